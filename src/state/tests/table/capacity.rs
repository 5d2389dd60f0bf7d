//! The rows of a session in which a begin waits for a permit.

/// Begin 1 has the slot and waits for a permit, begin 2 waits behind it.
pub(super) const ASKING: &str = "
reject queue-full wrong-version redo: refused(b9 short)
queue interrupt-0 interrupt-5 parallel steer branch named named-other: => live q1? q2 q9
draining: refused(b9 draining)
leave-queue: refused(b2 timeout) => live q1?
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
drop panic alarm-early alarm-abort alarm-late unload unload-used leave-echo keep-1 keep-77 take-1 take-77 ok unavailable unknown no-such-life granted-late:
cancel-1 cancel-77: cancelled(none)
cancel-all: cancelled(none) refused(b1 cancelled stopped) refused(b2 cancelled stopped) => live
append: => live q1? q2 | change:append#1v1
data: => live q1? q2 | change:data-v1
label: => live q1? q2 | change:label
forget-revision: => live q1? q2 | change:forget1
delete: refused(b1 closing) refused(b2 closing) => closing d9 | delete
await-delete: deleted(d9 left)
look look-act: unwatch
named-stale: refused(b9 ask again)
take-back put-back: changed(c9 moved)
clear-1: => live q1? q2 | settle1:interrupted/keep
clear-77: => live q1? q2 | settle77:interrupted/keep
granted: opened(t1) => live t1s q2 | begin1#1
not-granted: refused(b1 short) => live q2?
suspend: stands(suspended) refused(b1 suspended) refused(b2 suspended) => suspended | change:suspended
resume restore expire: changed(c9 v0 #0)
archive: stands(archived) refused(b1 archived) refused(b2 archived) => archived | change:archived
end: stands(ended) refused(b1 ended) refused(b2 ended) => ended | change:ended
pin: => live q1? q2 | change:patch
handle: => live q1? q2 | change:handle
rotate: => live q1? q2 | change:rotate>further
lease: taken(l8) alarm(112) leased(112) => live q1? q2 l8 u
renew release: leased(over)
inherit: alarm(130) => live q1? q2 l5
save:
";

/// Turn 1 runs, and begin 2 waits for a permit to run beside it.
pub(super) const ASKING_BESIDE: &str = "
reject wrong-version redo: refused(b9 busy t1 running q0)
queue parallel steer branch named named-other: => live p1r q2? q9
queue-full: refused(b9 full t1 running q0)
interrupt-0: alarm(102) tell(~1 preempted) fence(~1 preempted) => live q2? q9 !1 | settle1:cancelled_preempted/keep
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) => live p1c q2? q9
draining: refused(b9 draining)
leave-queue not-granted: refused(b2 short) => live p1r
commit-1: => live q2? | commit1#2v1
commit-2 commit-77: settled(s9 stale store_failed)
fail-keep: => live q2? | settle1:failed/keep
fail-drop: => live q2? | settle1:failed/drop
drop: => live q2? | settle1:abandoned/keep
panic: => live q2? | settle1:panicked/keep
cancel-1: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) => live p1c q2?
cancel-77: cancelled(none)
cancel-all: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) refused(b2 cancelled stopped) => live p1c
append: => live p1r q2? | change:append#2v1
data: => live p1r q2? | change:data-v1
label: => live p1r q2? | change:label
forget-revision: => live p1r q2? | change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) refused(b2 closing) => closing d9 !1 | delete
await-delete: deleted(d9 left)
alarm-early alarm-abort alarm-late unload unload-used leave-echo keep-77 take-1 take-77 ok unavailable unknown no-such-life granted-late:
look: stalled(~1 model 2/2 silence)
look-act: stalled(~1 model 2/2 silence) alarm(105) alarm(107) tell(~1 stalled) => live p1c q2?
named-stale: refused(b9 ask again)
take-back put-back: changed(c9 busy)
keep-1: => live p1r q2? | partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live p1r q2? | settle77:interrupted/keep
granted: opened(t2) => live p1r p2s | begin2#2
suspend: stands(suspended) refused(b2 suspended) fence(~1 suspended) => suspended !1 | settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) refused(b2 archived) fence(~1 archived) => archived !1 | settle1:cancelled_archived/keep change:archived
end: stands(ended) refused(b2 ended) fence(~1 ended) => ended !1 | settle1:cancelled_ended/keep change:ended
pin: => live p1r q2? | change:patch
handle: => live p1r q2? | change:handle
rotate: => live p1r q2? | change:rotate>further
lease: taken(l8) alarm(112) leased(112) => live p1r q2? l8 u
renew release: leased(over)
inherit: alarm(130) => live p1r q2? l5
save:
";

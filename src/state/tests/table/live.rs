//! The rows of a live session with at most one turn.

/// Nothing runs. A generation that this state never fenced can only be one of a state that was
/// left, so it is told that the store had failed.
pub(super) const IDLE: &str = "
reject queue queue-full interrupt-0 interrupt-5: opened(t1) => live t1s | begin1#1
parallel: opened(t1) => live p1s | begin1#1
draining: refused(b9 draining)
wrong-version: refused(b9 conflict v0)
leave-queue drop panic alarm-early alarm-abort alarm-late:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append: => live | change:append#1v1
data: => live | change:data-v1
label: => live | change:label
handle: => live | change:handle
rotate: => live | change:rotate>further
forget-revision: => live | change:forget1
delete: => closing d9 | delete
await-delete: deleted(d9 left)
ok unavailable unknown no-such-life:
look look-act: unwatch
steer: opened(t1) => live t1s | begin1#1
branch: opened(t1) => live b1s | begin1#1^0
named named-other: opened(t1) => live t1s | begin1#1(a name)
named-stale: refused(b9 ask again)
redo: refused(b9 moved)
take-back put-back: changed(c9 moved)
leave-echo keep-1 keep-77 take-1 take-77:
clear-1: => live | settle1:interrupted/keep
clear-77: => live | settle77:interrupted/keep
unload: leave(idle) => left
unload-used:
suspend: stands(suspended) => suspended | change:suspended
resume restore expire: changed(c9 v0 #0)
archive: stands(archived) => archived | change:archived
end: stands(ended) => ended | change:ended
pin: => live | change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live l8 u
renew release: leased(over)
inherit: alarm(130) => live l5
save:
";

/// The slot is taken and the begin is with the store. Nobody has the turn yet, so its ends can only
/// come from a begin that was dropped; they are taken as they come.
pub(super) const STARTING: &str = "
reject wrong-version: refused(b9 busy t1 starting q0)
queue: => live t1s q9 | *begin1
queue-full: refused(b9 full t1 starting q0)
interrupt-0: alarm(102) tell(~1 preempted) fence(~1 preempted) opened(t2) => live t2s | *begin1 settle1:cancelled_preempted/keep begin2#2
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) => live t1c q9 | *begin1
parallel: opened(t2) => live t1s p2s | *begin1 begin2#2
draining: refused(b9 draining)
leave-queue alarm-early alarm-abort alarm-late:
commit-1: => live | *begin1 commit1#2v1
commit-2 commit-77: settled(s9 stale store_failed)
fail-keep: => live | *begin1 settle1:failed/keep
fail-drop: => live | *begin1 settle1:failed/drop
drop: => live | *begin1 settle1:abandoned/keep
panic: => live | *begin1 settle1:panicked/keep
cancel-1 cancel-all: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) => live t1c | *begin1
cancel-77: cancelled(none)
append: => live t1s | *begin1 change:append#2v1
data: => live t1s | *begin1 change:data-v1
label: => live t1s | *begin1 change:label
handle: => live t1s | *begin1 change:handle
rotate: => live t1s | *begin1 change:rotate>further
forget-revision: => live t1s | *begin1 change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) => closing d9 | *begin1 delete
await-delete: deleted(d9 left)
ok: begun(b1 t1 ~1) => live t1r
unavailable: refused(b1 unavailable) fence(~1 store_failed) end(~1 interrupted) leave => left
unknown: refused(b1 unknown) fence(~1 store_failed) end(~1 interrupted) leave => left
no-such-life: refused(b1 no-such-life) fence(~1 store_failed) end(~1 interrupted) leave => left
look look-act:
steer named named-other: => live t1s q9 | *begin1
branch: opened(t2) => live t1s b2s | *begin1 begin2#2^0
named-stale: refused(b9 ask again)
redo: refused(b9 busy t1 starting q0)
take-back put-back: changed(c9 busy)
leave-echo keep-77 take-1 take-77:
keep-1: => live t1s | *begin1 partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live t1s | *begin1 settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) fence(~1 suspended) => suspended | *begin1 settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) fence(~1 archived) => archived | *begin1 settle1:cancelled_archived/keep change:archived
end: stands(ended) fence(~1 ended) => ended | *begin1 settle1:cancelled_ended/keep change:ended
pin: => live t1s | *begin1 change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live t1s l8 u | *begin1
renew release: leased(over)
inherit: alarm(130) => live t1s l5 | *begin1
save:
";

/// Turn 1 runs and everything is written.
pub(super) const RUNNING: &str = "
reject wrong-version: refused(b9 busy t1 running q0)
queue: => live t1r q9
queue-full: refused(b9 full t1 running q0)
interrupt-0: alarm(102) tell(~1 preempted) fence(~1 preempted) opened(t2) => live t2s !1 | settle1:cancelled_preempted/keep begin2#2
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) => live t1c q9
parallel: opened(t2) => live t1r p2s | begin2#2
draining: refused(b9 draining)
leave-queue alarm-early alarm-abort alarm-late:
commit-1: => live | commit1#2v1
commit-2 commit-77: settled(s9 stale store_failed)
fail-keep: => live | settle1:failed/keep
fail-drop: => live | settle1:failed/drop
drop: => live | settle1:abandoned/keep
panic: => live | settle1:panicked/keep
cancel-1 cancel-all: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) => live t1c
cancel-77: cancelled(none)
append: => live t1r | change:append#2v1
data: => live t1r | change:data-v1
label: => live t1r | change:label
handle: => live t1r | change:handle
rotate: => live t1r | change:rotate>further
forget-revision: => live t1r | change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) => closing d9 !1 | delete
await-delete: deleted(d9 left)
ok unavailable unknown no-such-life:
look: stalled(~1 model 2/2 silence)
look-act: stalled(~1 model 2/2 silence) alarm(105) alarm(107) tell(~1 stalled) => live t1c
steer: steerable(~1) => live t1r q9
branch: opened(t2) => live t1r b2s | begin2#2^0
named named-other: => live t1r q9
named-stale: refused(b9 ask again)
redo: refused(b9 busy t1 running q0)
take-back put-back: changed(c9 busy)
leave-echo keep-77 take-1 take-77:
keep-1: => live t1r | partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live t1r | settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) fence(~1 suspended) => suspended !1 | settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) fence(~1 archived) => archived !1 | settle1:cancelled_archived/keep change:archived
end: stands(ended) fence(~1 ended) => ended !1 | settle1:cancelled_ended/keep change:ended
pin: => live t1r | change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live t1r l8 u
renew release: leased(over)
inherit: alarm(130) => live t1r l5
save:
";

/// Turn 1 was stopped at 100 and has until 105. The first reason stands.
pub(super) const CANCELLING: &str = "
reject wrong-version: refused(b9 busy t1 cancelling q0)
queue interrupt-5: => live t1c q9
queue-full: refused(b9 full t1 cancelling q0)
interrupt-0: alarm(102) fence(~1 stopped) opened(t2) => live t2s !1 | settle1:cancelled_stopped/keep begin2#2
parallel: opened(t2) => live t1c p2s | begin2#2
draining: refused(b9 draining)
leave-queue alarm-early:
commit-1 fail-keep drop panic: => live | settle1:cancelled_stopped/keep
commit-2 commit-77: settled(s9 stale store_failed)
fail-drop: => live | settle1:cancelled_stopped/drop
cancel-1 cancel-all: cancelled([1] already)
cancel-77: cancelled(none)
append: => live t1c | change:append#2v1
data: => live t1c | change:data-v1
label: => live t1c | change:label
handle: => live t1c | change:handle
rotate: => live t1c | change:rotate>further
forget-revision: => live t1c | change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) => closing d9 !1 | delete
await-delete: deleted(d9 left)
alarm-late: fence(~1 stopped) => live !1 | settle1:cancelled_stopped/keep
ok unavailable unknown no-such-life:
look look-act:
alarm-abort: abort(~1 stopped) => live t1a
steer named named-other: => live t1c q9
branch: opened(t2) => live t1c b2s | begin2#2^0
named-stale: refused(b9 ask again)
redo: refused(b9 busy t1 cancelling q0)
take-back put-back: changed(c9 busy)
leave-echo keep-77 take-1 take-77:
keep-1: => live t1c | partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live t1c | settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) fence(~1 suspended) => suspended !1 | settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) fence(~1 archived) => archived !1 | settle1:cancelled_archived/keep change:archived
end: stands(ended) fence(~1 ended) => ended !1 | settle1:cancelled_ended/keep change:ended
pin: => live t1c | change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live t1c l8 u
renew release: leased(over)
inherit: alarm(130) => live t1c l5
save:
";

/// The same before its begin is stored: it has no holder that could be fenced, and its caller is
/// told when the input is safe.
pub(super) const CANCELLING_WHILE_STARTING: &str = "
reject wrong-version: refused(b9 busy t1 cancelling q0)
queue interrupt-5: => live t1c q9 | *begin1
queue-full: refused(b9 full t1 cancelling q0)
interrupt-0: alarm(102) fence(~1 stopped) opened(t2) => live t2s | *begin1 settle1:cancelled_stopped/keep begin2#2
parallel: opened(t2) => live t1c p2s | *begin1 begin2#2
draining: refused(b9 draining)
leave-queue alarm-early alarm-abort:
commit-1 fail-keep drop panic: => live | *begin1 settle1:cancelled_stopped/keep
commit-2 commit-77: settled(s9 stale store_failed)
fail-drop: => live | *begin1 settle1:cancelled_stopped/drop
cancel-1 cancel-all: cancelled([1] already)
cancel-77: cancelled(none)
append: => live t1c | *begin1 change:append#2v1
data: => live t1c | *begin1 change:data-v1
label: => live t1c | *begin1 change:label
handle: => live t1c | *begin1 change:handle
rotate: => live t1c | *begin1 change:rotate>further
forget-revision: => live t1c | *begin1 change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) => closing d9 | *begin1 delete
await-delete: deleted(d9 left)
alarm-late: fence(~1 stopped) => live | *begin1 settle1:cancelled_stopped/keep
ok: refused(b1 cancelled stopped) => live | settle1:cancelled_stopped/keep
unavailable: refused(b1 unavailable) fence(~1 store_failed) end(~1 interrupted) leave => left
unknown: refused(b1 unknown) fence(~1 store_failed) end(~1 interrupted) leave => left
no-such-life: refused(b1 no-such-life) fence(~1 store_failed) end(~1 interrupted) leave => left
look look-act:
steer named named-other: => live t1c q9 | *begin1
branch: opened(t2) => live t1c b2s | *begin1 begin2#2^0
named-stale: refused(b9 ask again)
redo: refused(b9 busy t1 cancelling q0)
take-back put-back: changed(c9 busy)
leave-echo keep-77 take-1 take-77:
keep-1: => live t1c | *begin1 partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live t1c | *begin1 settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) fence(~1 suspended) => suspended | *begin1 settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) fence(~1 archived) => archived | *begin1 settle1:cancelled_archived/keep change:archived
end: stands(ended) fence(~1 ended) => ended | *begin1 settle1:cancelled_ended/keep change:ended
pin: => live t1c | *begin1 change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live t1c l8 u | *begin1
renew release: leased(over)
inherit: alarm(130) => live t1c l5 | *begin1
save:
";

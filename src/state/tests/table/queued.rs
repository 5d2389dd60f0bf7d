//! The rows of a live session with waiting begins, several turns, or writes of turns that ended.

/// Turn 1 runs, and the begin 2 waits.
pub(super) const QUEUED: &str = "
reject wrong-version: refused(b9 busy t1 running q1)
queue: => live t1r q2 q9
queue-full: refused(b9 full t1 running q1)
interrupt-0: alarm(102) tell(~1 preempted) fence(~1 preempted) opened(t2) alarm(102) tell(~2 preempted) => live t2c q9 !1 | settle1:cancelled_preempted/keep begin2#2
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) => live t1c q2 q9
parallel: => live t1r q2 q9
draining: refused(b9 draining)
leave-queue: refused(b2 timeout t1 running) => live t1r
alarm-early alarm-abort alarm-late:
commit-1: opened(t2) => live t2s | commit1#2v1 begin2#3
commit-2 commit-77: settled(s9 stale store_failed)
fail-keep: opened(t2) => live t2s | settle1:failed/keep begin2#2
fail-drop: opened(t2) => live t2s | settle1:failed/drop begin2#2
drop: opened(t2) => live t2s | settle1:abandoned/keep begin2#2
panic: opened(t2) => live t2s | settle1:panicked/keep begin2#2
cancel-1: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) => live t1c q2
cancel-77: cancelled(none)
cancel-all: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) refused(b2 cancelled stopped) => live t1c
append: => live t1r q2 | change:append#2v1
data: => live t1r q2 | change:data-v1
label: => live t1r q2 | change:label
handle: => live t1r q2 | change:handle
rotate: => live t1r q2 | change:rotate>further
forget-revision: => live t1r q2 | change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) refused(b2 closing) => closing d9 !1 | delete
await-delete: deleted(d9 left)
ok unavailable unknown no-such-life:
look: stalled(~1 model 2/2 silence)
look-act: stalled(~1 model 2/2 silence) alarm(105) alarm(107) tell(~1 stalled) => live t1c q2
steer branch named named-other: => live t1r q2 q9
named-stale: refused(b9 ask again)
redo: refused(b9 busy t1 running q1)
take-back put-back: changed(c9 busy)
leave-echo keep-77 take-1 take-77:
keep-1: => live t1r q2 | partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live t1r q2 | settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) refused(b2 suspended) fence(~1 suspended) => suspended !1 | settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) refused(b2 archived) fence(~1 archived) => archived !1 | settle1:cancelled_archived/keep change:archived
end: stands(ended) refused(b2 ended) fence(~1 ended) => ended !1 | settle1:cancelled_ended/keep change:ended
pin: => live t1r q2 | change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live t1r q2 l8 u
renew release: leased(over)
inherit: alarm(130) => live t1r q2 l5
save:
";

/// Turn 1 runs, was told at 100 to make room by 105, and the begin 2 waits for it.
pub(super) const INTERRUPTING: &str = "
reject wrong-version: refused(b9 busy t1 cancelling q1)
queue interrupt-5: => live t1c q2 q9
queue-full: refused(b9 full t1 cancelling q1)
interrupt-0: alarm(102) fence(~1 preempted) opened(t2) alarm(102) tell(~2 preempted) => live t2c q9 !1 | settle1:cancelled_preempted/keep begin2#2
parallel: => live t1c q2 q9
draining: refused(b9 draining)
leave-queue: refused(b2 timeout t1 cancelling) => live t1c
alarm-early:
alarm-late: fence(~1 preempted) opened(t2) => live t2s !1 | settle1:cancelled_preempted/keep begin2#2
commit-1 fail-keep drop panic: opened(t2) => live t2s | settle1:cancelled_preempted/keep begin2#2
commit-2 commit-77: settled(s9 stale store_failed)
fail-drop: opened(t2) => live t2s | settle1:cancelled_preempted/drop begin2#2
cancel-1: cancelled([1] already)
cancel-77: cancelled(none)
cancel-all: cancelled([1] already) refused(b2 cancelled stopped) => live t1c
append: => live t1c q2 | change:append#2v1
data: => live t1c q2 | change:data-v1
label: => live t1c q2 | change:label
handle: => live t1c q2 | change:handle
rotate: => live t1c q2 | change:rotate>further
forget-revision: => live t1c q2 | change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) refused(b2 closing) => closing d9 !1 | delete
await-delete: deleted(d9 left)
ok unavailable unknown no-such-life:
look look-act:
alarm-abort: abort(~1 preempted) => live t1a q2
steer branch named named-other: => live t1c q2 q9
named-stale: refused(b9 ask again)
redo: refused(b9 busy t1 cancelling q1)
take-back put-back: changed(c9 busy)
leave-echo keep-77 take-1 take-77:
keep-1: => live t1c q2 | partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live t1c q2 | settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) refused(b2 suspended) fence(~1 suspended) => suspended !1 | settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) refused(b2 archived) fence(~1 archived) => archived !1 | settle1:cancelled_archived/keep change:archived
end: stands(ended) refused(b2 ended) fence(~1 ended) => ended !1 | settle1:cancelled_ended/keep change:ended
pin: => live t1c q2 | change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live t1c q2 l8 u
renew release: leased(over)
inherit: alarm(130) => live t1c q2 l5
save:
";

/// Turns 1 and 2 run beside each other; the newest is named as the holder.
pub(super) const PARALLEL: &str = "
reject wrong-version: refused(b9 busy t2 running q0)
queue: => live p1r p2r q9
queue-full: refused(b9 full t2 running q0)
interrupt-0: alarm(102) tell(~1 preempted) alarm(102) tell(~2 preempted) fence(~1 preempted) fence(~2 preempted) opened(t3) => live t3s !1 !2 | settle1:cancelled_preempted/keep settle2:cancelled_preempted/keep begin3#3
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) alarm(105) alarm(107) tell(~2 preempted) => live p1c p2c q9
parallel: opened(t3) => live p1r p2r p3s | begin3#3
draining: refused(b9 draining)
leave-queue alarm-early alarm-abort alarm-late:
commit-1: => live p2r | commit1#3v1
commit-2: => live p1r | commit2#3v1
commit-77: settled(s9 stale store_failed)
fail-keep: => live p2r | settle1:failed/keep
fail-drop: => live p2r | settle1:failed/drop
drop: => live p2r | settle1:abandoned/keep
panic: => live p2r | settle1:panicked/keep
cancel-1: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) => live p1c p2r
cancel-77: cancelled(none)
cancel-all: alarm(105) alarm(107) tell(~1 stopped) alarm(105) alarm(107) tell(~2 stopped) cancelled([1, 2]) => live p1c p2c
append: => live p1r p2r | change:append#3v1
data: => live p1r p2r | change:data-v1
label: => live p1r p2r | change:label
handle: => live p1r p2r | change:handle
rotate: => live p1r p2r | change:rotate>further
forget-revision: => live p1r p2r | change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) fence(~2 deleted) end(~2 cancelled_deleted) => closing d9 !1 !2 | delete
await-delete: deleted(d9 left)
ok unavailable unknown no-such-life:
look: stalled(~1 model 2/2 silence) stalled(~2 model 2/2 silence)
look-act: stalled(~1 model 2/2 silence) stalled(~2 model 2/2 silence) alarm(105) alarm(107) tell(~1 stalled) alarm(105) alarm(107) tell(~2 stalled) => live p1c p2c
steer: steerable(~1) steerable(~2) => live p1r p2r q9
branch: opened(t3) => live p1r p2r b3s | begin3#3^0
named named-other: => live p1r p2r q9
named-stale: refused(b9 ask again)
redo: refused(b9 busy t2 running q0)
take-back put-back: changed(c9 busy)
leave-echo keep-77 take-1 take-77:
keep-1: => live p1r p2r | partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live p1r p2r | settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) fence(~1 suspended) fence(~2 suspended) => suspended !1 !2 | settle1:cancelled_suspended/keep settle2:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #2)
archive: stands(archived) fence(~1 archived) fence(~2 archived) => archived !1 !2 | settle1:cancelled_archived/keep settle2:cancelled_archived/keep change:archived
end: stands(ended) fence(~1 ended) fence(~2 ended) => ended !1 !2 | settle1:cancelled_ended/keep settle2:cancelled_ended/keep change:ended
pin: => live p1r p2r | change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live p1r p2r l8 u
renew release: leased(over)
inherit: alarm(130) => live p1r p2r l5
save:
";

/// Turn 1 was stopped and fenced, and its holder has not reported; turn 2 runs. What comes from
/// turn 1 never hits turn 2.
pub(super) const FENCED: &str = "
reject wrong-version: refused(b9 busy t2 running q0)
queue: => live t2r q9 !1
queue-full: refused(b9 full t2 running q0)
interrupt-0: alarm(102) tell(~2 preempted) fence(~2 preempted) opened(t3) => live t3s !1 !2 | settle2:cancelled_preempted/keep begin3#3
interrupt-5: alarm(105) alarm(107) tell(~2 preempted) => live t2c q9 !1
parallel: opened(t3) => live t2r p3s !1 | begin3#3
draining: refused(b9 draining)
leave-queue alarm-early alarm-abort alarm-late:
commit-1 fail-keep fail-drop: settled(s9 stale stopped) => live t2r
commit-2: => live !1 | commit2#3v1
commit-77: settled(s9 stale store_failed)
drop panic: => live t2r
cancel-1 cancel-77: cancelled(none)
cancel-all: alarm(105) alarm(107) tell(~2 stopped) cancelled([2]) => live t2c !1
append: => live t2r !1 | change:append#3v1
data: => live t2r !1 | change:data-v1
label: => live t2r !1 | change:label
handle: => live t2r !1 | change:handle
rotate: => live t2r !1 | change:rotate>further
forget-revision: => live t2r !1 | change:forget1
delete: fence(~2 deleted) end(~2 cancelled_deleted) => closing d9 !1 !2 | delete
await-delete: deleted(d9 left)
ok unavailable unknown no-such-life:
look: stalled(~2 model 2/2 silence)
look-act: stalled(~2 model 2/2 silence) alarm(105) alarm(107) tell(~2 stalled) => live t2c !1
steer: steerable(~2) => live t2r q9 !1
branch: opened(t3) => live t2r b3s !1 | begin3#3^1
named named-other: => live t2r q9 !1
named-stale: refused(b9 ask again)
redo: refused(b9 busy t2 running q0)
take-back put-back: changed(c9 busy)
leave-echo keep-1 keep-77 take-1 take-77:
clear-1: => live t2r !1 | settle1:interrupted/keep
clear-77: => live t2r !1 | settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) fence(~2 suspended) => suspended !1 !2 | settle2:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #2)
archive: stands(archived) fence(~2 archived) => archived !1 !2 | settle2:cancelled_archived/keep change:archived
end: stands(ended) fence(~2 ended) => ended !1 !2 | settle2:cancelled_ended/keep change:ended
pin: => live t2r !1 | change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live t2r !1 l8 u
renew release: leased(over)
inherit: alarm(130) => live t2r !1 l5
save:
";

/// Turn 1 has committed, and the store has not answered yet. The slot is free: admission is seen at
/// once, only the outcome waits.
pub(super) const COMMITTING: &str = "
reject queue queue-full interrupt-0 interrupt-5: opened(t2) => live t2s | *commit1 begin2#3
parallel: opened(t2) => live p2s | *commit1 begin2#3
draining: refused(b9 draining)
wrong-version: refused(b9 conflict v1)
leave-queue drop panic alarm-early alarm-abort alarm-late:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append: => live | *commit1 change:append#3v2
data: => live | *commit1 change:data-v2
label: => live | *commit1 change:label
handle: => live | *commit1 change:handle
rotate: => live | *commit1 change:rotate>further
forget-revision: => live | *commit1 change:forget1
delete: => closing d9 | *commit1 delete
await-delete: deleted(d9 left)
ok: end(~1 committed) settled(s1 committed #2 v1) => live
unavailable: end(~1 interrupted) settled(s1 unavailable) leave => left
unknown: end(~1 interrupted) settled(s1 unknown) leave => left
no-such-life: end(~1 interrupted) settled(s1 no-such-life) leave => left
look look-act: unwatch
steer: opened(t2) => live t2s | *commit1 begin2#3
branch: opened(t2) => live b2s | *commit1 begin2#3^2
named named-other: opened(t2) => live t2s | *commit1 begin2#3(a name)
named-stale: refused(b9 ask again)
redo: refused(b9 moved)
take-back put-back: changed(c9 moved)
leave-echo keep-1 keep-77 take-1 take-77:
clear-1: settled(s9 failed)
clear-77: => live | *commit1 settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) => suspended | *commit1 change:suspended
resume restore expire: changed(c9 v1 #2)
archive: stands(archived) => archived | *commit1 change:archived
end: stands(ended) => ended | *commit1 change:ended
pin: => live | *commit1 change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live l8 u | *commit1
renew release: leased(over)
inherit: alarm(130) => live l5 | *commit1
save:
";

/// Turn 1 has failed, and the store has not answered yet.
pub(super) const SETTLING: &str = "
reject queue queue-full interrupt-0 interrupt-5: opened(t2) => live t2s | *settle1:failed begin2#2
parallel: opened(t2) => live p2s | *settle1:failed begin2#2
draining: refused(b9 draining)
wrong-version: refused(b9 conflict v0)
leave-queue drop panic alarm-early alarm-abort alarm-late:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append: => live | *settle1:failed change:append#2v1
data: => live | *settle1:failed change:data-v1
label: => live | *settle1:failed change:label
handle: => live | *settle1:failed change:handle
rotate: => live | *settle1:failed change:rotate>further
forget-revision: => live | *settle1:failed change:forget1
delete: => closing d9 | *settle1:failed delete
await-delete: deleted(d9 left)
ok: end(~1 failed) settled(s1 failed) => live
unavailable: end(~1 interrupted) settled(s1 unavailable) leave => left
unknown: end(~1 interrupted) settled(s1 unknown) leave => left
no-such-life: end(~1 interrupted) settled(s1 no-such-life) leave => left
look look-act: unwatch
steer: opened(t2) => live t2s | *settle1:failed begin2#2
branch: opened(t2) => live b2s | *settle1:failed begin2#2^1
named named-other: opened(t2) => live t2s | *settle1:failed begin2#2(a name)
named-stale: refused(b9 ask again)
redo: refused(b9 moved)
take-back put-back: changed(c9 moved)
leave-echo keep-1 keep-77 take-1 take-77:
clear-1: settled(s9 failed)
clear-77: => live | *settle1:failed settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) => suspended | *settle1:failed change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) => archived | *settle1:failed change:archived
end: stands(ended) => ended | *settle1:failed change:ended
pin: => live | *settle1:failed change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live l8 u | *settle1:failed
renew release: leased(over)
inherit: alarm(130) => live l5 | *settle1:failed
save:
";

/// Loaded with turn 3 open in the record: it is settled ahead of everything, and is no turn here.
pub(super) const STALE: &str = "
reject queue queue-full interrupt-0 interrupt-5: opened(t4) => live t4s | settle3:interrupted/keep begin4#2
parallel: opened(t4) => live p4s | settle3:interrupted/keep begin4#2
draining: refused(b9 draining)
wrong-version: refused(b9 conflict v0)
leave-queue drop panic alarm-early alarm-abort alarm-late:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append: => live | settle3:interrupted/keep change:append#2v1
data: => live | settle3:interrupted/keep change:data-v1
label: => live | settle3:interrupted/keep change:label
handle: => live | settle3:interrupted/keep change:handle
rotate: => live | settle3:interrupted/keep change:rotate>further
forget-revision: => live | settle3:interrupted/keep change:forget1
delete: => closing d9 | settle3:interrupted/keep delete
await-delete: deleted(d9 left)
ok: => live
unavailable unknown no-such-life: leave => left
look look-act: unwatch
steer: opened(t4) => live t4s | settle3:interrupted/keep begin4#2
branch: opened(t4) => live b4s | settle3:interrupted/keep begin4#2^1
named named-other: opened(t4) => live t4s | settle3:interrupted/keep begin4#2(a name)
named-stale: refused(b9 ask again)
redo: opened(t4) => live t4s | settle3:interrupted/keep begin4#2<back#1v1>
take-back: => live | settle3:interrupted/keep change:back#1v1
put-back: changed(c9 moved)
leave-echo keep-1 keep-77 take-1 take-77:
clear-1: => live | settle3:interrupted/keep settle1:interrupted/keep
clear-77: => live | settle3:interrupted/keep settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) => suspended | settle3:interrupted/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) => archived | settle3:interrupted/keep change:archived
end: stands(ended) => ended | settle3:interrupted/keep change:ended
pin: => live | settle3:interrupted/keep change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live l8 u | settle3:interrupted/keep
renew release: leased(over)
inherit: alarm(130) => live l5 | settle3:interrupted/keep
save:
";

//! The rows of a live session with branches, and with pieces of a reply on their way.

/// Turn 1 runs and its reply may stand beside others. Those that begin beside it stand under what it stands
/// under, at the start.
pub(super) const BRANCH: &str = "
reject wrong-version redo: refused(b9 busy t1 running q0)
queue named named-other: => live b1r q9
queue-full: refused(b9 full t1 running q0)
interrupt-0: alarm(102) tell(~1 preempted) fence(~1 preempted) opened(t2) => live t2s !1 | settle1:cancelled_preempted/keep begin2#2
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) => live b1c q9
parallel: opened(t2) => live b1r p2s | begin2#2^0
draining: refused(b9 draining)
leave-queue alarm-early alarm-abort alarm-late leave-echo keep-77 take-1 take-77 ok unavailable unknown no-such-life:
commit-1: => live | commit1#2v1
commit-2 commit-77: settled(s9 stale store_failed)
fail-keep: => live | settle1:failed/keep
fail-drop: => live | settle1:failed/drop
drop: => live | settle1:abandoned/keep
panic: => live | settle1:panicked/keep
cancel-1 cancel-all: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) => live b1c
cancel-77: cancelled(none)
append: => live b1r | change:append#2v1
data: => live b1r | change:data-v1
label: => live b1r | change:label
handle: => live b1r | change:handle
rotate: => live b1r | change:rotate>further
forget-revision: => live b1r | change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) => closing d9 !1 | delete
await-delete: deleted(d9 left)
look: stalled(~1 model 2/2 silence)
look-act: stalled(~1 model 2/2 silence) alarm(105) alarm(107) tell(~1 stalled) => live b1c
steer: steerable(~1) => live b1r q9
branch: opened(t2) => live b1r b2s | begin2#2^0
named-stale: refused(b9 ask again)
take-back put-back: changed(c9 busy)
keep-1: => live b1r | partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live b1r | settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) fence(~1 suspended) => suspended !1 | settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) fence(~1 archived) => archived !1 | settle1:cancelled_archived/keep change:archived
end: stands(ended) fence(~1 ended) => ended !1 | settle1:cancelled_ended/keep change:ended
pin: => live b1r | change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live b1r l8 u
renew release: leased(over)
inherit: alarm(130) => live b1r l5
save:
";

/// Turns 1 to 3 stand beside each other, and no more may.
pub(super) const BRANCHES: &str = "
reject wrong-version redo: refused(b9 busy t3 running q0)
queue named named-other: => live b1r b2r b3r q9
queue-full: refused(b9 full t3 running q0)
interrupt-0: alarm(102) tell(~1 preempted) alarm(102) tell(~2 preempted) alarm(102) tell(~3 preempted) fence(~1 preempted) fence(~2 preempted) fence(~3 preempted) opened(t4) => live t4s !1 !2 !3 | settle1:cancelled_preempted/keep settle2:cancelled_preempted/keep settle3:cancelled_preempted/keep begin4#4
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) alarm(105) alarm(107) tell(~2 preempted) alarm(105) alarm(107) tell(~3 preempted) => live b1c b2c b3c q9
parallel: opened(t4) => live b1r b2r b3r p4s | begin4#4^0
draining: refused(b9 draining)
leave-queue alarm-early alarm-abort alarm-late leave-echo keep-77 take-1 take-77 ok unavailable unknown no-such-life:
commit-1: => live b2r b3r | commit1#4v1
commit-2: => live b1r b3r | commit2#4v1
commit-77: settled(s9 stale store_failed)
fail-keep: => live b2r b3r | settle1:failed/keep
fail-drop: => live b2r b3r | settle1:failed/drop
drop: => live b2r b3r | settle1:abandoned/keep
panic: => live b2r b3r | settle1:panicked/keep
cancel-1: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) => live b1c b2r b3r
cancel-77: cancelled(none)
cancel-all: alarm(105) alarm(107) tell(~1 stopped) alarm(105) alarm(107) tell(~2 stopped) alarm(105) alarm(107) tell(~3 stopped) cancelled([1, 2, 3]) => live b1c b2c b3c
append: => live b1r b2r b3r | change:append#4v1
data: => live b1r b2r b3r | change:data-v1
label: => live b1r b2r b3r | change:label
handle: => live b1r b2r b3r | change:handle
rotate: => live b1r b2r b3r | change:rotate>further
forget-revision: => live b1r b2r b3r | change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) fence(~2 deleted) end(~2 cancelled_deleted) fence(~3 deleted) end(~3 cancelled_deleted) => closing d9 !1 !2 !3 | delete
await-delete: deleted(d9 left)
look: stalled(~1 model 2/2 silence) stalled(~2 model 2/2 silence) stalled(~3 model 2/2 silence)
look-act: stalled(~1 model 2/2 silence) stalled(~2 model 2/2 silence) stalled(~3 model 2/2 silence) alarm(105) alarm(107) tell(~1 stalled) alarm(105) alarm(107) tell(~2 stalled) alarm(105) alarm(107) tell(~3 stalled) => live b1c b2c b3c
steer: steerable(~1) steerable(~2) steerable(~3) => live b1r b2r b3r q9
branch: refused(b9 branches under #0)
named-stale: refused(b9 ask again)
take-back put-back: changed(c9 busy)
keep-1: => live b1r b2r b3r | partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live b1r b2r b3r | settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) fence(~1 suspended) fence(~2 suspended) fence(~3 suspended) => suspended !1 !2 !3 | settle1:cancelled_suspended/keep settle2:cancelled_suspended/keep settle3:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #3)
archive: stands(archived) fence(~1 archived) fence(~2 archived) fence(~3 archived) => archived !1 !2 !3 | settle1:cancelled_archived/keep settle2:cancelled_archived/keep settle3:cancelled_archived/keep change:archived
end: stands(ended) fence(~1 ended) fence(~2 ended) fence(~3 ended) => ended !1 !2 !3 | settle1:cancelled_ended/keep settle2:cancelled_ended/keep settle3:cancelled_ended/keep change:ended
pin: => live b1r b2r b3r | change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live b1r b2r b3r l8 u
renew release: leased(over)
inherit: alarm(130) => live b1r b2r b3r l5
save:
";

/// Turn 1 has said two chunks, which are with the store. What becomes of them costs the turn nothing, and the
/// next piece waits until that is known.
pub(super) const PIECE: &str = "
reject wrong-version redo: refused(b9 busy t1 running q0)
queue named named-other: => live t1r q9 | *partial1
queue-full: refused(b9 full t1 running q0)
interrupt-0: alarm(102) tell(~1 preempted) fence(~1 preempted) opened(t2) => live t2s !1 | *partial1 settle1:cancelled_preempted/keep begin2#2
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) => live t1c q9 | *partial1
parallel: opened(t2) => live t1r p2s | *partial1 begin2#2
draining: refused(b9 draining)
leave-queue alarm-early alarm-abort alarm-late leave-echo keep-1 keep-77 take-1 take-77:
commit-1: => live | *partial1 commit1#2v1
commit-2 commit-77: settled(s9 stale store_failed)
fail-keep: => live | *partial1 settle1:failed/keep
fail-drop: => live | *partial1 settle1:failed/drop
drop: => live | *partial1 settle1:abandoned/keep
panic: => live | *partial1 settle1:panicked/keep
cancel-1 cancel-all: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) => live t1c | *partial1
cancel-77: cancelled(none)
append: => live t1r | *partial1 change:append#2v1
data: => live t1r | *partial1 change:data-v1
label: => live t1r | *partial1 change:label
handle: => live t1r | *partial1 change:handle
rotate: => live t1r | *partial1 change:rotate>further
forget-revision: => live t1r | *partial1 change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) => closing d9 !1 | *partial1 delete
await-delete: deleted(d9 left)
look: stalled(~1 model 2/2 silence)
look-act: stalled(~1 model 2/2 silence) alarm(105) alarm(107) tell(~1 stalled) => live t1c | *partial1
steer: steerable(~1) => live t1r q9 | *partial1
branch: opened(t2) => live t1r b2s | *partial1 begin2#2^0
named-stale: refused(b9 ask again)
take-back put-back: changed(c9 busy)
clear-1: settled(s9 failed)
clear-77: => live t1r | *partial1 settle77:interrupted/keep
ok unavailable unknown no-such-life: => live t1r
unload unload-used:
suspend: stands(suspended) fence(~1 suspended) => suspended !1 | *partial1 settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) fence(~1 archived) => archived !1 | *partial1 settle1:cancelled_archived/keep change:archived
end: stands(ended) fence(~1 ended) => ended !1 | *partial1 settle1:cancelled_ended/keep change:ended
pin: => live t1r | *partial1 change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live t1r l8 u | *partial1
renew release: leased(over)
inherit: alarm(130) => live t1r l5 | *partial1
save:
";

/// The same, and then a third, and was dropped. Its end has the third chunk; if the first two are not kept, it
/// has them as well, and if nobody knows, nothing.
pub(super) const LAST_PIECE: &str = "
reject queue queue-full interrupt-0 interrupt-5 steer: opened(t2) => live t2s | *partial1 settle1:abandoned/keep~3+1 begin2#2
parallel: opened(t2) => live p2s | *partial1 settle1:abandoned/keep~3+1 begin2#2
draining: refused(b9 draining)
wrong-version: refused(b9 conflict v0)
leave-queue drop panic alarm-early alarm-abort alarm-late leave-echo keep-1 keep-77 take-1 take-77:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append: => live | *partial1 settle1:abandoned/keep~3+1 change:append#2v1
data: => live | *partial1 settle1:abandoned/keep~3+1 change:data-v1
label: => live | *partial1 settle1:abandoned/keep~3+1 change:label
handle: => live | *partial1 settle1:abandoned/keep~3+1 change:handle
rotate: => live | *partial1 settle1:abandoned/keep~3+1 change:rotate>further
forget-revision: => live | *partial1 settle1:abandoned/keep~3+1 change:forget1
delete: => closing d9 | *partial1 settle1:abandoned/keep~3+1 delete
await-delete: deleted(d9 left)
look look-act: unwatch
branch: opened(t2) => live b2s | *partial1 settle1:abandoned/keep~3+1 begin2#2^1
named named-other: opened(t2) => live t2s | *partial1 settle1:abandoned/keep~3+1 begin2#2(a name)
named-stale: refused(b9 ask again)
redo: refused(b9 moved)
take-back put-back: changed(c9 moved)
clear-1: settled(s9 failed)
clear-77: => live | *partial1 settle1:abandoned/keep~3+1 settle77:interrupted/keep
ok: => live | settle1:abandoned/keep~3+1
unavailable: => live | settle1:abandoned/keep~1+3
unknown no-such-life: => live | settle1:abandoned/keep
unload unload-used:
suspend: stands(suspended) => suspended | *partial1 settle1:abandoned/keep~3+1 change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) => archived | *partial1 settle1:abandoned/keep~3+1 change:archived
end: stands(ended) => ended | *partial1 settle1:abandoned/keep~3+1 change:ended
pin: => live | *partial1 settle1:abandoned/keep~3+1 change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live l8 u | *partial1 settle1:abandoned/keep~3+1
renew release: leased(over)
inherit: alarm(130) => live l5 | *partial1 settle1:abandoned/keep~3+1
save:
";

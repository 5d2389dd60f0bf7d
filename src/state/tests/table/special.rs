//! The rows of a live session with inputs, names, branches and replies on their way.

/// Turn 1 runs, and the begin 2 waits to be handed to it. Whoever comes behind it is not handed anything yet.
pub(super) const STEERING: &str = "
reject wrong-version redo: refused(b9 busy t1 running q1)
queue parallel steer branch named named-other: steerable(~1) => live t1r q2 q9
queue-full: refused(b9 full t1 running q1)
interrupt-0: steerable(~1) alarm(102) tell(~1 preempted) fence(~1 preempted) opened(t2) alarm(102) tell(~2 preempted) => live t2c q9 !1 | settle1:cancelled_preempted/keep begin2#2
interrupt-5: steerable(~1) alarm(105) alarm(107) tell(~1 preempted) => live t1c q2 q9
draining: refused(b9 draining)
leave-queue: refused(b2 timeout t1 running) => live t1r
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
alarm-early alarm-abort alarm-late leave-echo keep-77 take-77 ok unavailable unknown no-such-life:
look: stalled(~1 model 2/2 silence)
look-act: stalled(~1 model 2/2 silence) alarm(105) alarm(107) tell(~1 stalled) => live t1c q2
named-stale: refused(b9 ask again)
take-back put-back: changed(c9 busy)
keep-1: => live t1r q2 | partial1~1+1
take-1: => live t1r | steer1#2
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

/// Turn 1 has taken the begin 2, and the store has not answered yet. It is the turn's, however that ends.
pub(super) const STEERED: &str = "
reject wrong-version redo: refused(b9 busy t1 running q0)
queue named named-other: => live t1r q9 | *steer1
queue-full: refused(b9 full t1 running q0)
interrupt-0: alarm(102) tell(~1 preempted) fence(~1 preempted) opened(t2) => live t2s !1 | *steer1 settle1:cancelled_preempted/keep begin2#3
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) => live t1c q9 | *steer1
parallel: opened(t2) => live t1r p2s | *steer1 begin2#3
draining: refused(b9 draining)
leave-queue alarm-early alarm-abort alarm-late leave-echo keep-77 take-1 take-77:
commit-1: => live | *steer1 commit1#3v1
commit-2 commit-77: settled(s9 stale store_failed)
fail-keep: => live | *steer1 settle1:failed/keep
fail-drop: => live | *steer1 settle1:failed/drop
drop: => live | *steer1 settle1:abandoned/keep
panic: => live | *steer1 settle1:panicked/keep
cancel-1 cancel-all: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) => live t1c | *steer1
cancel-77: cancelled(none)
append: => live t1r | *steer1 change:append#3v1
data: => live t1r | *steer1 change:data-v1
label: => live t1r | *steer1 change:label
handle: => live t1r | *steer1 change:handle
rotate: => live t1r | *steer1 change:rotate>further
forget-revision: => live t1r | *steer1 change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) => closing d9 !1 | *steer1 delete
await-delete: deleted(d9 left)
look: stalled(~1 model 2/2 silence)
look-act: stalled(~1 model 2/2 silence) alarm(105) alarm(107) tell(~1 stalled) => live t1c | *steer1
steer: steerable(~1) => live t1r q9 | *steer1
branch: opened(t2) => live t1r b2s | *steer1 begin2#3^0
named-stale: refused(b9 ask again)
take-back put-back: changed(c9 busy)
keep-1: => live t1r | *steer1 partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live t1r | *steer1 settle77:interrupted/keep
ok: steered(b2 t1 #2) => live t1r
unavailable: refused(b2 unavailable) fence(~1 store_failed) end(~1 interrupted) leave => left !1
unknown: refused(b2 unknown) fence(~1 store_failed) end(~1 interrupted) leave => left !1
no-such-life: refused(b2 no-such-life) fence(~1 store_failed) end(~1 interrupted) leave => left !1
unload unload-used:
suspend: stands(suspended) fence(~1 suspended) => suspended !1 | *steer1 settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #2)
archive: stands(archived) fence(~1 archived) => archived !1 | *steer1 settle1:cancelled_archived/keep change:archived
end: stands(ended) fence(~1 ended) => ended !1 | *steer1 settle1:cancelled_ended/keep change:ended
pin: => live t1r | *steer1 change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live t1r l8 u | *steer1
renew release: leased(over)
inherit: alarm(130) => live t1r l5 | *steer1
save:
";

/// Turn 1 runs and was begun under a name: whoever repeats it is told, whatever the policy.
pub(super) const NAMED: &str = "
reject wrong-version redo: refused(b9 busy t1 running q0)
queue: => live t1r q9
queue-full: refused(b9 full t1 running q0)
interrupt-0: alarm(102) tell(~1 preempted) fence(~1 preempted) opened(t2) => live t2s !1 | settle1:cancelled_preempted/keep begin2#2
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) => live t1c q9
parallel: opened(t2) => live t1r p2s | begin2#2
draining: refused(b9 draining)
leave-queue alarm-early alarm-abort alarm-late leave-echo keep-77 take-1 take-77 ok unavailable unknown no-such-life:
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
look: stalled(~1 model 2/2 silence)
look-act: stalled(~1 model 2/2 silence) alarm(105) alarm(107) tell(~1 stalled) => live t1c
steer: steerable(~1) => live t1r q9
branch: opened(t2) => live t1r b2s | begin2#2^0
named: refused(b9 repeats t1 same)
named-other: refused(b9 repeats t1 other)
named-stale: refused(b9 ask again)
take-back put-back: changed(c9 busy)
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

/// Turn 1 was begun under a name, which the begin 3 repeats. The store has it: the echo is told when that
/// answers, whatever has become of the turn.
pub(super) const ECHO_STARTING: &str = "
reject wrong-version redo: refused(b9 busy t1 starting q0)
queue steer: => live t1s q9 e3 | *begin1
queue-full: refused(b9 full t1 starting q0)
interrupt-0: alarm(102) tell(~1 preempted) fence(~1 preempted) opened(t2) => live t2s e3 | *begin1 settle1:cancelled_preempted/keep begin2#2
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) => live t1c q9 e3 | *begin1
parallel: opened(t2) => live t1s p2s e3 | *begin1 begin2#2
draining: refused(b9 draining)
leave-queue alarm-early alarm-abort alarm-late look look-act keep-77 take-1 take-77:
commit-1: => live e3 | *begin1 commit1#2v1
commit-2 commit-77: settled(s9 stale store_failed)
fail-keep: => live e3 | *begin1 settle1:failed/keep
fail-drop: => live e3 | *begin1 settle1:failed/drop
drop: => live e3 | *begin1 settle1:abandoned/keep
panic: => live e3 | *begin1 settle1:panicked/keep
cancel-1 cancel-all: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) => live t1c e3 | *begin1
cancel-77: cancelled(none)
append: => live t1s e3 | *begin1 change:append#2v1
data: => live t1s e3 | *begin1 change:data-v1
label: => live t1s e3 | *begin1 change:label
handle: => live t1s e3 | *begin1 change:handle
rotate: => live t1s e3 | *begin1 change:rotate>further
forget-revision: => live t1s e3 | *begin1 change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) => closing d9 e3 | *begin1 delete
await-delete: deleted(d9 left)
branch: opened(t2) => live t1s b2s e3 | *begin1 begin2#2^0
named named-other: => live t1s e3 e9 | *begin1
named-stale: refused(b9 ask again)
take-back put-back: changed(c9 busy)
leave-echo: refused(b3 timeout t1 starting) => live t1s | *begin1
keep-1: => live t1s e3 | *begin1 partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live t1s e3 | *begin1 settle77:interrupted/keep
ok: refused(b3 repeats t1 same) begun(b1 t1 ~1) => live t1r
unavailable: refused(b1 unavailable) fence(~1 store_failed) end(~1 interrupted) refused(b3 unavailable) leave => left
unknown: refused(b1 unknown) fence(~1 store_failed) end(~1 interrupted) refused(b3 unknown) leave => left
no-such-life: refused(b1 no-such-life) fence(~1 store_failed) end(~1 interrupted) refused(b3 no-such-life) leave => left
unload unload-used:
suspend: stands(suspended) fence(~1 suspended) => suspended e3 | *begin1 settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) fence(~1 archived) => archived e3 | *begin1 settle1:cancelled_archived/keep change:archived
end: stands(ended) fence(~1 ended) => ended e3 | *begin1 settle1:cancelled_ended/keep change:ended
pin: => live t1s e3 | *begin1 change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live t1s e3 l8 u | *begin1
renew release: leased(over)
inherit: alarm(130) => live t1s e3 l5 | *begin1
save:
";

/// Turn 1 runs, the begin 2 waits under a name, and the begin 3 repeats it: what becomes of the one becomes of
/// the other. A leave takes the one who leaves, and the echo with the begin that it repeats.
pub(super) const ECHO_QUEUED: &str = "
reject wrong-version redo: refused(b9 busy t1 running q1)
queue parallel steer branch: => live t1r q2 q9 e3
queue-full: refused(b9 full t1 running q1)
interrupt-0: alarm(102) tell(~1 preempted) fence(~1 preempted) opened(t2) alarm(102) tell(~2 preempted) => live t2c q9 e3 !1 | settle1:cancelled_preempted/keep begin2#2(a name)
interrupt-5: alarm(105) alarm(107) tell(~1 preempted) => live t1c q2 q9 e3
draining: refused(b9 draining)
leave-queue: refused(b3 timeout t1 running) refused(b2 timeout t1 running) => live t1r
commit-1: opened(t2) => live t2s e3 | commit1#2v1 begin2#3(a name)
commit-2 commit-77: settled(s9 stale store_failed)
fail-keep: opened(t2) => live t2s e3 | settle1:failed/keep begin2#2(a name)
fail-drop: opened(t2) => live t2s e3 | settle1:failed/drop begin2#2(a name)
drop: opened(t2) => live t2s e3 | settle1:abandoned/keep begin2#2(a name)
panic: opened(t2) => live t2s e3 | settle1:panicked/keep begin2#2(a name)
cancel-1: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) => live t1c q2 e3
cancel-77: cancelled(none)
cancel-all: alarm(105) alarm(107) tell(~1 stopped) cancelled([1]) refused(b3 cancelled stopped) refused(b2 cancelled stopped) => live t1c
append: => live t1r q2 e3 | change:append#2v1
data: => live t1r q2 e3 | change:data-v1
label: => live t1r q2 e3 | change:label
handle: => live t1r q2 e3 | change:handle
rotate: => live t1r q2 e3 | change:rotate>further
forget-revision: => live t1r q2 e3 | change:forget1
delete: fence(~1 deleted) end(~1 cancelled_deleted) refused(b3 closing) refused(b2 closing) => closing d9 !1 | delete
await-delete: deleted(d9 left)
alarm-early alarm-abort alarm-late keep-77 take-1 take-77 ok unavailable unknown no-such-life:
look: stalled(~1 model 2/2 silence)
look-act: stalled(~1 model 2/2 silence) alarm(105) alarm(107) tell(~1 stalled) => live t1c q2 e3
named named-other: => live t1r q2 e3 e9
named-stale: refused(b9 ask again)
take-back put-back: changed(c9 busy)
leave-echo: refused(b3 timeout t1 running) => live t1r q2
keep-1: => live t1r q2 e3 | partial1~1+1
clear-1: settled(s9 failed)
clear-77: => live t1r q2 e3 | settle77:interrupted/keep
unload unload-used:
suspend: stands(suspended) refused(b3 suspended) refused(b2 suspended) fence(~1 suspended) => suspended !1 | settle1:cancelled_suspended/keep change:suspended
resume restore expire: changed(c9 v0 #1)
archive: stands(archived) refused(b3 archived) refused(b2 archived) fence(~1 archived) => archived !1 | settle1:cancelled_archived/keep change:archived
end: stands(ended) refused(b3 ended) refused(b2 ended) fence(~1 ended) => ended !1 | settle1:cancelled_ended/keep change:ended
pin: => live t1r q2 e3 | change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => live t1r q2 e3 l8 u
renew release: leased(over)
inherit: alarm(130) => live t1r q2 e3 l5
save:
";

//! The rows of a session that work beside the turns keeps, and of one that was used without a trace.

/// Nothing runs, and work beside the turns keeps it. An unload that comes from the idle clock lets the store
/// know of the use, and no more.
pub(super) const LEASED: &str = "
reject queue queue-full interrupt-0 interrupt-5 steer: opened(t1) => live t1s l9 | begin1#1
parallel: opened(t1) => live p1s l9 | begin1#1
draining: refused(b9 draining)
wrong-version: refused(b9 conflict v0)
leave-queue drop panic alarm-early granted granted-late not-granted leave-echo keep-1 keep-77 take-1 take-77 ok unavailable unknown no-such-life:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append: => live l9 | change:append#1v1
data: => live l9 | change:data-v1
label: => live l9 u | change:label
forget-revision: => live l9 u | change:forget1
handle: => live l9 u | change:handle
rotate: => live l9 | change:rotate>further
delete: dropped(l9) => closing d9 u | delete
await-delete: deleted(d9 left)
alarm-abort alarm-late: expired(l9) => live u
look look-act: unwatch
unload unload-used save: => live l9 | use:patch
lease: taken(l8) leased(112) => live l9 l8 u
renew: leased(112)
release: released(l9) leased(released) => live u
inherit: => live l9 l5 u
branch: opened(t1) => live b1s l9 | begin1#1^0
named named-other: opened(t1) => live t1s l9 | begin1#1(a name)
named-stale: refused(b9 ask again)
redo: refused(b9 moved)
take-back put-back: changed(c9 moved)
clear-1: => live l9 u | settle1:interrupted/keep
clear-77: => live l9 u | settle77:interrupted/keep
suspend: stands(suspended) => suspended l9 u | change:suspended
resume restore expire: changed(c9 v0 #0)
archive: stands(archived) dropped(l9) => archived u | change:archived
end: stands(ended) dropped(l9) => ended u | change:ended
pin: => live l9 u | change:patch
";

/// Nothing runs. The store is told before it leaves.
pub(super) const TOUCHED: &str = "
reject queue queue-full interrupt-0 interrupt-5 steer: opened(t1) => live t1s | begin1#1
parallel: opened(t1) => live p1s | begin1#1
draining: refused(b9 draining)
wrong-version: refused(b9 conflict v0)
leave-queue drop panic alarm-early granted granted-late not-granted alarm-abort alarm-late leave-echo keep-1 keep-77 take-1 take-77 ok unavailable unknown no-such-life:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append: => live | change:append#1v1
data: => live | change:data-v1
label: => live u | change:label
forget-revision: => live u | change:forget1
handle: => live u | change:handle
rotate: => live | change:rotate>further
delete: => closing d9 u | delete
await-delete: deleted(d9 left)
look look-act: unwatch
unload: => live | use-leave:patch
unload-used save: => live | use:patch
lease: taken(l8) alarm(112) leased(112) => live l8 u
renew release: leased(over)
inherit: alarm(130) => live l5 u
branch: opened(t1) => live b1s | begin1#1^0
named named-other: opened(t1) => live t1s | begin1#1(a name)
named-stale: refused(b9 ask again)
redo: refused(b9 moved)
take-back put-back: changed(c9 moved)
clear-1: => live u | settle1:interrupted/keep
clear-77: => live u | settle77:interrupted/keep
suspend: stands(suspended) => suspended u | change:suspended
resume restore expire: changed(c9 v0 #0)
archive: stands(archived) => archived u | change:archived
end: stands(ended) => ended u | change:ended
pin: => live u | change:patch
";

/// It was touched and is to leave. What comes before the answer keeps it; if the store fails, it stays.
pub(super) const LEAVING: &str = "
reject queue queue-full interrupt-0 interrupt-5 steer: opened(t1) => live t1s | use-leave:patch begin1#1
parallel: opened(t1) => live p1s | use-leave:patch begin1#1
draining: refused(b9 draining)
wrong-version: refused(b9 conflict v0)
leave-queue drop panic alarm-early granted granted-late not-granted alarm-abort alarm-late unload unload-used save leave-echo keep-1 keep-77 take-1 take-77:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append: => live | use-leave:patch change:append#1v1
data: => live | use-leave:patch change:data-v1
label: => live | use-leave:patch change:label
forget-revision: => live | use-leave:patch change:forget1
handle: => live | use-leave:patch change:handle
rotate: => live | use-leave:patch change:rotate>further
delete: => closing d9 | use-leave:patch delete
await-delete: deleted(d9 left)
look look-act: unwatch
lease: taken(l8) alarm(112) leased(112) => live l8 u | use-leave:patch
renew release: leased(over)
inherit: alarm(130) => live l5 | use-leave:patch
branch: opened(t1) => live b1s | use-leave:patch begin1#1^0
named named-other: opened(t1) => live t1s | use-leave:patch begin1#1(a name)
named-stale: refused(b9 ask again)
redo: refused(b9 moved)
take-back put-back: changed(c9 moved)
clear-1: => live | use-leave:patch settle1:interrupted/keep
clear-77: => live | use-leave:patch settle77:interrupted/keep
ok: leave(idle) => left
unavailable unknown: => live u
no-such-life: leave => left
suspend: stands(suspended) => suspended | use-leave:patch change:suspended
resume restore expire: changed(c9 v0 #0)
archive: stands(archived) => archived | use-leave:patch change:archived
end: stands(ended) => ended | use-leave:patch change:ended
pin: => live | use-leave:patch change:patch
";

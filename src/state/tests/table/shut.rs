//! The rows of a session that takes no turns, or whose time is over.

/// Turn 1 ran and the begin 2 waited when it was suspended; the holder of the turn has not reported.
pub(super) const SUSPENDED: &str = "
reject queue queue-full interrupt-0 interrupt-5 parallel draining wrong-version steer branch named named-other named-stale redo: refused(b9 suspended)
leave-queue alarm-early alarm-abort alarm-late unload unload-used leave-echo keep-1 keep-77 take-1 take-77 ok unavailable unknown no-such-life:
commit-1 fail-keep fail-drop: settled(s9 stale suspended) => suspended
commit-2 commit-77: settled(s9 stale store_failed)
drop panic: => suspended
cancel-1 cancel-77 cancel-all: cancelled(none)
append data handle rotate take-back put-back restore: changed(c9 suspended)
label: => suspended !1 | change:label
forget-revision: => suspended !1 | change:forget1
delete: => closing d9 !1 | delete
await-delete: deleted(d9 left)
look look-act: unwatch
clear-1: => suspended !1 | settle1:interrupted/keep
clear-77: => suspended !1 | settle77:interrupted/keep
suspend expire: changed(c9 v0 #1)
resume: stands(active) => live !1 | change:active
archive: stands(archived) => archived !1 | change:archived
end: stands(ended) => ended !1 | change:ended
pin: => suspended !1 | change:patch
granted granted-late not-granted:
lease: taken(l8) alarm(112) leased(112) => suspended !1 l8 u
renew release: leased(over)
inherit: alarm(130) => suspended !1 l5
save:
";

/// Nothing ran when it was archived.
pub(super) const ARCHIVED: &str = "
reject queue queue-full interrupt-0 interrupt-5 parallel draining wrong-version steer branch named named-other named-stale redo: refused(b9 archived)
leave-queue drop panic alarm-early alarm-abort alarm-late unload-used leave-echo keep-1 keep-77 take-1 take-77 ok unavailable unknown no-such-life:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append data handle rotate take-back put-back suspend resume: changed(c9 archived)
label: => archived | change:label
forget-revision: => archived | change:forget1
delete: => closing d9 | delete
await-delete: deleted(d9 left)
look look-act: unwatch
unload: leave(idle) => left
clear-1: => archived | settle1:interrupted/keep
clear-77: => archived | settle77:interrupted/keep
archive expire: changed(c9 v0 #0)
restore: stands(active) => live | change:active
end: stands(ended) => ended | change:ended
pin: => archived | change:patch
granted granted-late not-granted:
lease: leased(archived)
renew release: leased(over)
inherit: dropped(l5)
save:
";

/// Nothing ran when it was ended.
pub(super) const ENDED: &str = "
reject queue queue-full interrupt-0 interrupt-5 parallel draining wrong-version steer branch named named-other named-stale redo: refused(b9 ended)
leave-queue drop panic alarm-early alarm-abort alarm-late unload-used leave-echo keep-1 keep-77 take-1 take-77 ok unavailable unknown no-such-life:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append data handle rotate take-back put-back suspend resume archive restore: changed(c9 ended)
label: => ended | change:label
forget-revision: => ended | change:forget1
delete: => closing d9 | delete
await-delete: deleted(d9 left)
look look-act: unwatch
unload: leave(idle) => left
clear-1: => ended | settle1:interrupted/keep
clear-77: => ended | settle77:interrupted/keep
end expire: changed(c9 v0 #0)
pin: => ended | change:patch
granted granted-late not-granted:
lease: leased(ended)
renew release: leased(over)
inherit: dropped(l5)
save:
";

/// Its time is over, and nobody has noticed.
pub(super) const DUE: &str = "
reject queue queue-full interrupt-0 interrupt-5 parallel wrong-version steer branch named named-other named-stale redo: refused(b9 due)
draining: refused(b9 draining)
leave-queue drop panic alarm-early alarm-abort alarm-late unload-used leave-echo keep-1 keep-77 take-1 take-77 ok unavailable unknown no-such-life:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append data rotate label handle take-back put-back suspend resume archive restore end pin: changed(c9 due)
forget-revision: changed(c9 due)
delete: => closing d9 | delete
await-delete: deleted(d9 left)
look look-act: unwatch
unload: leave(idle) => left
clear-1: => live | settle1:interrupted/keep
clear-77: => live | settle77:interrupted/keep
expire: stands(archived) => archived | change:archived
granted granted-late not-granted:
lease: leased(due)
renew release: leased(over)
inherit: alarm(130) => live l5
save:
";

//! The rows of a session that is being deleted, is gone, or was left.

/// Turn 1 ran when the session was deleted, and its holder has not reported. Closing comes before
/// draining, busy and conflict.
pub(super) const CLOSING: &str = "
reject queue queue-full interrupt-0 interrupt-5 parallel draining wrong-version: refused(b9 closing)
leave-queue alarm-early alarm-abort alarm-late:
commit-1 fail-keep fail-drop: settled(s9 stale deleted) => closing d1 | *delete
commit-2 commit-77: settled(s9 stale store_failed)
drop panic: => closing d1 | *delete
cancel-1 cancel-77 cancel-all: cancelled(none)
append data label forget-revision handle rotate: changed(c9 closing)
delete await-delete: => closing d1 d9 !1 | *delete
ok no-such-life: bury deleted(d1 deleted) => gone !1
unavailable: deleted(d1 unavailable) => closing failed !1
unknown: deleted(d1 unknown) => closing failed !1
look look-act: unwatch
steer branch named named-other named-stale redo: refused(b9 closing)
take-back put-back: changed(c9 closing)
leave-echo keep-1 keep-77 take-1 take-77:
clear-1 clear-77: settled(s9 failed)
unload unload-used:
suspend resume archive restore end expire pin: changed(c9 closing)
granted granted-late not-granted:
lease: leased(closing)
renew release: leased(over)
inherit: dropped(l5)
save:
";

/// The store did not delete it: it stays closed, and the next delete tries again. Waiting for a
/// delete does not.
pub(super) const CLOSING_FAILED: &str = "
reject queue queue-full interrupt-0 interrupt-5 parallel draining wrong-version: refused(b9 closing)
leave-queue alarm-early alarm-abort alarm-late:
commit-1 fail-keep fail-drop: settled(s9 stale deleted) => closing failed
commit-2 commit-77: settled(s9 stale store_failed)
drop panic: => closing failed
cancel-1 cancel-77 cancel-all: cancelled(none)
append data label forget-revision handle rotate: changed(c9 closing)
delete: => closing d9 !1 | delete
await-delete: deleted(d9 unavailable)
ok unavailable unknown no-such-life:
look look-act: unwatch
steer branch named named-other named-stale redo: refused(b9 closing)
take-back put-back: changed(c9 closing)
leave-echo keep-1 keep-77 take-1 take-77:
clear-1 clear-77: settled(s9 failed)
unload unload-used:
suspend resume archive restore end expire pin: changed(c9 closing)
granted granted-late not-granted:
lease: leased(closing)
renew release: leased(over)
inherit: dropped(l5)
save:
";

/// Turn 1 was starting when the session was deleted: it never had a holder.
pub(super) const CLOSING_BEHIND: &str = "
reject queue queue-full interrupt-0 interrupt-5 parallel draining wrong-version: refused(b9 closing)
leave-queue alarm-early alarm-abort alarm-late drop panic:
commit-1 commit-2 commit-77 fail-keep fail-drop: settled(s9 stale store_failed)
cancel-1 cancel-77 cancel-all: cancelled(none)
append data label forget-revision handle rotate: changed(c9 closing)
delete await-delete: => closing d1 d9 | *begin1 delete
ok: refused(b1 closing) => closing d1 | delete
unavailable: refused(b1 unavailable) deleted(d1 unavailable) => closing failed
unknown: refused(b1 unknown) deleted(d1 unknown) => closing failed
no-such-life: refused(b1 no-such-life) deleted(d1 no-such-life) => closing failed
look look-act: unwatch
steer branch named named-other named-stale redo: refused(b9 closing)
take-back put-back: changed(c9 closing)
leave-echo keep-1 keep-77 take-1 take-77:
clear-1 clear-77: settled(s9 failed)
unload unload-used:
suspend resume archive restore end expire pin: changed(c9 closing)
granted granted-late not-granted:
lease: leased(closing)
renew release: leased(over)
inherit: dropped(l5)
save:
";

/// Deleted while turn 1 ran, whose holder has not reported.
pub(super) const GONE: &str = "
reject queue queue-full interrupt-0 interrupt-5 parallel draining wrong-version: refused(b9 gone)
leave-queue alarm-early alarm-abort alarm-late:
commit-1 fail-keep fail-drop: settled(s9 stale deleted) => gone
commit-2 commit-77: settled(s9 stale store_failed)
drop panic: => gone
cancel-1 cancel-77 cancel-all: cancelled(none)
append data label forget-revision handle rotate: changed(c9 gone)
delete await-delete: deleted(d9 already)
ok unavailable unknown no-such-life:
look look-act: unwatch
steer branch named named-other named-stale redo: refused(b9 gone)
take-back put-back: changed(c9 gone)
leave-echo keep-1 keep-77 take-1 take-77:
clear-1 clear-77: settled(s9 failed)
unload unload-used:
suspend resume archive restore end expire pin: changed(c9 gone)
granted granted-late not-granted:
lease: leased(gone)
renew release: leased(over)
inherit: dropped(l5)
save:
";

/// The store failed while turn 1 ran, whose holder has not reported.
pub(super) const LEFT: &str = "
reject queue queue-full interrupt-0 interrupt-5 parallel draining wrong-version: refused(b9 left)
leave-queue alarm-early alarm-abort alarm-late:
commit-1 fail-keep fail-drop: settled(s9 stale store_failed) => left
commit-2 commit-77: settled(s9 stale store_failed)
drop panic: => left
cancel-1 cancel-77 cancel-all: cancelled(none)
append data label forget-revision handle rotate: changed(c9 left)
delete await-delete: deleted(d9 left)
ok unavailable unknown no-such-life:
look look-act: unwatch
steer branch named named-other named-stale redo: refused(b9 left)
take-back put-back: changed(c9 left)
leave-echo keep-1 keep-77 take-1 take-77:
clear-1 clear-77: settled(s9 failed)
unload unload-used:
suspend resume archive restore end expire pin: changed(c9 left)
granted granted-late not-granted:
lease: leased(left)
renew release: leased(over)
inherit: alarm(130) => left !1 l5
save:
";

//! Ending by itself: what is due, for whom, and what is deleted for it.

use std::time::Duration;

use super::{Input, Rig};
use crate::standing::ExpiryClock;
use crate::state::{Change, Patch, Verb};
use crate::tombstone::GoneReason;

/// Deletes it because of a clock, or because it was closed for long.
fn deletes(reason: GoneReason, port: u32) -> Input<super::Test> {
    Input::Delete { reason, keep_for: Duration::from_secs(60), port }
}

impl Rig {
    fn pin(&mut self, pinned: bool) -> String {
        self.apply(Input::Change { change: Change::Patch(Patch::Pinned(pinned)), port: 7 })
    }
}

// E12, X13: restored or pinned, it is not deleted for what it was; asked for, it is
#[test]
fn what_deletes_itself_stays_if_it_was_restored_or_pinned() {
    for reason in [GoneReason::Expired(ExpiryClock::Idle), GoneReason::Purged] {
        let mut rig = Rig::new();
        assert_eq!(rig.apply(deletes(reason, 1)), "deleted(d1 kept)", "it is active");
        rig.stand(Verb::Archive);
        rig.flush();
        rig.pin(true);
        assert_eq!(rig.apply(deletes(reason, 2)), "deleted(d2 kept)", "it is pinned");
        rig.pin(false);
        rig.stand(Verb::Restore);
        assert_eq!(rig.apply(deletes(reason, 3)), "deleted(d3 kept)", "it was restored");
        rig.stand(Verb::End);
        rig.flush();
        assert_eq!(rig.apply(deletes(reason, 4)), "");
        assert!(rig.flush().starts_with("bury deleted(d4 "));
    }
    let mut rig = Rig::new();
    rig.pin(true);
    assert_eq!(rig.delete(1), "");
    assert!(rig.flush().contains("deleted(d1 deleted)"));
}

// X18: whoever finds it not due writes nothing, and waits for nobody
#[test]
fn one_that_is_not_due_is_left_as_it_is() {
    let mut rig = Rig::expiring(Duration::from_secs(60));
    rig.append(1);
    let digest = rig.digest();
    let answer = rig.stand(Verb::Expire);
    assert!(answer.starts_with("changed(c8 "), "{answer}");
    assert_eq!(rig.digest(), digest);
}

// X3, X4: used in the very moment in which it was loaded, or when the wall clock shows the same as before
#[test]
fn a_use_counts_whatever_the_wall_clock_shows() {
    let mut rig = Rig::expiring(Duration::from_secs(60));
    let loaded_at = rig.second;
    let stored = rig.snapshot().last_active_at;
    rig.second = loaded_at + 50;
    rig.append(1);
    rig.flush();
    // The clock was put back to what it showed when the session was used before.
    rig.state.last_active_at = stored;
    rig.second = loaded_at + 109;
    assert!(rig.append(2).is_empty(), "a minute is not over");
    rig.flush();
    rig.state.last_active_at = stored;
    rig.second = loaded_at + 169;
    assert_eq!(rig.append(3), "changed(c3 due)");
}

// X10: whatever is wanted of it, it is over first; but for a delete
#[test]
fn whoever_changes_what_is_over_is_sent_to_end_it() {
    let mut rig = Rig::expiring(Duration::from_secs(60));
    rig.second += 60;
    assert_eq!(rig.append(1), "changed(c1 due)");
    assert_eq!(rig.pin(true), "changed(c7 due)");
    assert_eq!(rig.stand(Verb::Suspend(crate::SuspendReason::Requested)), "changed(c8 due)");
    assert_eq!(rig.stand(Verb::Expire), "stands(archived)");
    rig.flush();
    assert!(rig.pin(true).is_empty());
    let mut rig = Rig::expiring(Duration::from_secs(60));
    rig.second += 60;
    assert_eq!(rig.delete(1), "");
}

// X14: out of memory it stands as it did
#[test]
fn one_that_left_memory_stands_as_it_did() {
    let mut rig = Rig::new();
    rig.stand(Verb::Suspend(crate::SuspendReason::Requested));
    rig.flush();
    let standing = rig.snapshot().standing;
    assert!(!standing.is_active());
    rig.second += 100;
    let unused_since = super::at(rig.second).moment;
    let reason = crate::state::LeaveReason::Idle;
    assert_eq!(rig.apply(Input::Unload { unused_since, reason }), "leave(idle)");
    assert_eq!(rig.snapshot().standing, standing);
}

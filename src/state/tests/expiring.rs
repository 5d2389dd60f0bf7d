//! Ending by itself: what is due, for whom, and what is deleted for it.

use std::time::Duration;

use super::{Input, Rig, START, at};
use crate::clock::{Moment, Now, Timestamp};
use crate::expiry::{ExpiryAction, ExpiryRules};
use crate::rt::Arc;
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
    let unused_since = at(rig.second).moment;
    let reason = crate::state::LeaveReason::Idle;
    assert_eq!(rig.apply(Input::Unload { unused_since, reason }), "leave(idle)");
    assert_eq!(rig.snapshot().standing, standing);
}

// X3: what it was idle before it was loaded counts on, until it is used
#[test]
fn one_that_is_loaded_is_as_old_as_it_was_and_no_younger() {
    let new = || {
        let mut rig = Rig::expiring(Duration::from_secs(60));
        rig.state.lifespan.ages.idle = Duration::from_secs(30);
        rig
    };
    let mut rig = new();
    assert_eq!(rig.state.due(at(START + 29)), None);
    assert_eq!(rig.state.due(at(START + 30)), Some(ExpiryClock::Idle), "to the moment");
    // In the very moment in which it was loaded: by the wall clock it is seen.
    let mut rig = new();
    rig.append(1);
    rig.flush();
    assert_eq!(rig.state.due(at(START + 59)), None);
    assert_eq!(rig.state.due(at(START + 60)), Some(ExpiryClock::Idle));
}

// E12: what is back is in use
#[test]
fn one_that_was_restored_is_not_over_at_once() {
    let mut rig = Rig::expiring(Duration::from_secs(60));
    rig.stand(Verb::Archive);
    rig.flush();
    rig.second += 1_000;
    rig.stand(Verb::Restore);
    assert_eq!(rig.state.due(at(rig.second + 59)), None);
    rig.flush();
    assert_eq!(rig.state.due(at(rig.second + 59)), None);
}

// E12: who finds it as it is to be waits for the store, but for one who comes to end it
#[test]
fn what_is_on_its_way_to_the_store_is_not_said_to_be_done() {
    let mut rig = Rig::new();
    rig.stand(Verb::Archive);
    assert_eq!(rig.stand(Verb::Archive), "");
    assert_eq!(rig.stand(Verb::Restore), "stands(active)");
    assert_eq!(rig.stand(Verb::Restore), "", "the store may still know it as archived");
    rig.flush();
    assert!(rig.stand(Verb::Restore).starts_with("changed(c8 "), "now it does not");
}

// X14, X18: one that goes ahead of the other clock, or back, and nothing less
#[test]
fn a_use_looks_anew_at_the_clocks_if_the_wall_clock_has_jumped() {
    let clocks = |second: u64, wall: u64| Now {
        moment: Moment::after_start(Duration::from_secs(second)),
        wall: Timestamp::from_millis(wall),
    };
    let wall = START * 1_000;
    let looks = |uses: &[Now]| {
        let mut rig = Rig::expiring(Duration::from_secs(60));
        rig.append(1);
        rig.flush();
        assert_eq!(rig.state.due(at(START)), None);
        let known = rig.state.fresh_until();
        for at in uses {
            rig.state.note_use(*at);
        }
        assert!([known, Moment::default()].contains(&rig.state.fresh_until()));
        rig.state.fresh_until() != known
    };
    assert!(!looks(&[clocks(START + 10, wall + 10_000)]));
    assert!(!looks(&[clocks(START + 10, wall + 11_000)]), "a second is none");
    assert!(looks(&[clocks(START + 10, wall + 11_001)]));
    assert!(looks(&[clocks(START + 10, wall - 1)]));
    assert!(!looks(&[clocks(START + 10, wall)]), "it stood still");
    assert!(looks(&[clocks(START, wall + 1_001)]), "whichever of them shows that it was later");
}

// X14
#[test]
fn only_a_use_that_is_later_by_one_clock_is_one() {
    let used = |second: u64, wall: u64| {
        let mut rig = Rig::new();
        rig.append(1);
        rig.flush();
        assert!(!rig.state.unsaved);
        let moment = Moment::after_start(Duration::from_secs(second));
        rig.state.note_use(Now { moment, wall: Timestamp::from_millis(wall * 1_000) });
        let last = rig.state.last_use(at(START));
        assert!(last.moment >= at(START).moment, "it does not go back by the clock that does not");
        rig.state.unsaved
    };
    assert!(!used(START, START), "the same once more");
    assert!(used(START + 1, START + 1) && used(START, START + 1) && used(START + 1, START));
    assert!(used(START, START - 1), "the wall clock was put back");
    assert!(used(START - 1, START + 1));
    assert!(!used(START - 1, START) && !used(START - 1, START - 1), "somebody was sooner");
}

// X14: whoever uses it need not be asked again before that is over
#[test]
fn a_use_is_counted_from_as_soon_as_it_is_looked_at_anew() {
    let mut rig = Rig::expiring(Duration::from_secs(60));
    assert_eq!(rig.state.due(at(START)), None);
    rig.state.note_use(at(START + 10));
    rig.state.refresh(at(START + 10));
    assert_eq!(rig.state.fresh_until(), at(START + 70).moment);
}

// E12
#[test]
fn what_becomes_of_it_is_what_its_rules_say() {
    let mut rig = Rig::new();
    assert_eq!(rig.state.expiry_action(), ExpiryAction::Archive);
    let action = Some(ExpiryAction::Delete);
    let rules = ExpiryRules { action, ..ExpiryRules::default() };
    let expiry = rig.state.lifespan.expiry.overlaid(&rules).unwrap();
    rig.state.lifespan.expiry = Arc::new(expiry);
    assert_eq!(rig.state.expiry_action(), ExpiryAction::Delete);
}

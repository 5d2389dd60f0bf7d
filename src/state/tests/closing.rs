//! Deleting: what it ends, whom it tells, and what is left to do when the store fails.

use super::{
    BusyPolicy, Effects, Input, InputFate, LIFE, PARALLEL, Phase, QUEUE, Rig, Write, at, interrupt,
    no_such_life, outcome_unknown, unavailable,
};
use crate::state::{Deletion, Effect};
use crate::tombstone::{GoneReason, Tombstone};

// E1
#[test]
fn a_delete_closes_and_fences_at_once_and_does_not_wait_for_the_turn() {
    let mut rig = Rig::running();
    assert_eq!(rig.delete(1), "fence(~1 deleted) end(~1 cancelled_deleted)");
    assert!(matches!(rig.send(), Some(Write::Delete { .. })));
    assert_eq!(rig.ok(), "bury deleted(d1 deleted)");
    assert!(rig.state.has_holders());
}

// E3
#[test]
fn nothing_is_admitted_behind_a_delete_and_who_had_waited_never_runs() {
    let mut rig = Rig::running();
    rig.begin(2, QUEUE);
    rig.delete(1);
    for (number, policy) in (3..).zip([BusyPolicy::Reject, QUEUE, interrupt(0), PARALLEL]) {
        assert_eq!(rig.begin(number, policy), format!("refused(b{number} closing)"));
    }
    assert_eq!(rig.commit(1, 1), "settled(s1 stale deleted)");
    assert_eq!(rig.digest(), "closing d1 | delete");
}

// E4
#[test]
fn of_64_deletes_one_has_deleted_and_63_found_it_gone() {
    let mut rig = Rig::new();
    for number in 0..60 {
        assert_eq!(rig.delete(number), "");
    }
    let told = rig.flush();
    assert!(told.starts_with("bury deleted(d0 deleted) deleted(d1 already)"), "{told}");
    let late: String = (60..64).map(|number| rig.delete(number)).collect();
    let all = told + &late;
    assert_eq!((all.matches(" deleted)").count(), all.matches(" already)").count()), (1, 63));
}

// E4: whoever looks something up while the delete is with the store waits for it, and does not
// count as the one that did it.
#[test]
fn a_look_up_waits_for_the_delete_and_is_told_that_it_is_gone() {
    let mut rig = Rig::new();
    rig.delete(1);
    assert_eq!(rig.apply(Input::AwaitDelete { port: 2 }), "");
    assert_eq!(rig.flush(), "bury deleted(d1 deleted) deleted(d2 already)");
}

// E5
#[test]
fn a_worker_that_ends_after_the_delete_writes_nothing() {
    for buried in [false, true] {
        let mut rig = Rig::new();
        for number in 1..=4 {
            rig.begin(number, PARALLEL);
        }
        rig.flush();
        rig.delete(1);
        if buried {
            rig.flush();
        }
        let unwritten = rig.snapshot().unwritten;
        rig.commit(1, 1);
        rig.fail(2, InputFate::Drop, 2);
        rig.drop_turn(3);
        rig.apply(Input::Drop { generation: super::Generation::new(4), panicked: true });
        rig.append(1);
        assert_eq!(rig.snapshot().unwritten, unwritten);
    }
}

// E6, E7
#[test]
fn a_delete_that_failed_is_told_as_failed_and_finished_by_the_next() {
    let mut rig = Rig::running();
    rig.delete(1);
    rig.delete(2);
    let told = rig.stored(Err(unavailable()));
    assert_eq!(told, "deleted(d1 unavailable) deleted(d2 unavailable)");
    assert_eq!(rig.begin(3, BusyPolicy::Reject), "refused(b3 closing)");
    assert_eq!(rig.apply(Input::AwaitDelete { port: 4 }), "deleted(d4 unavailable)");
    assert!(!rig.state.has_unsent());
    assert_eq!(rig.delete(5), "");
    assert_eq!(rig.delete(6), "");
    assert_eq!(rig.flush(), "bury deleted(d5 deleted) deleted(d6 already)");
}

// E6: the failing fsync had kept it after all.
#[test]
fn a_delete_whose_outcome_was_not_known_and_that_had_happened_is_finished_by_the_next() {
    let mut rig = Rig::new();
    rig.delete(1);
    assert_eq!(rig.stored(Err(outcome_unknown())), "deleted(d1 unknown)");
    rig.delete(2);
    assert_eq!(rig.stored(Err(no_such_life())), "bury deleted(d2 deleted)");
}

// E6
#[test]
fn a_write_that_fails_ahead_of_a_delete_takes_it_along_and_the_next_delete_finishes_it() {
    let mut rig = Rig::running();
    rig.append(1);
    rig.commit(1, 1);
    rig.delete(1);
    assert_eq!(
        rig.stored(Err(unavailable())),
        "changed(c1 unavailable) end(~1 interrupted) settled(s1 unavailable) deleted(d1 unavailable)"
    );
    assert_eq!(rig.digest(), "closing failed");
    rig.delete(2);
    assert_eq!(rig.flush(), "bury deleted(d2 deleted)");
}

// E9, E5
#[test]
fn a_life_has_holders_until_the_last_fenced_turn_reports() {
    let mut rig = Rig::new();
    assert!(!rig.state.has_holders());
    rig.begin(1, PARALLEL);
    rig.begin(2, PARALLEL);
    rig.flush();
    rig.stop(1, 0);
    rig.flush();
    rig.delete(1);
    rig.flush();
    assert!(rig.state.has_holders());
    assert_eq!(rig.drop_turn(2), "");
    assert!(rig.state.has_holders());
    assert_eq!(rig.commit(1, 1), "settled(s1 stale stopped)");
    assert!(!rig.state.has_holders());
}

// E9: nobody was ever given the turn, so nothing has to be waited for.
#[test]
fn a_turn_that_was_starting_when_its_session_was_deleted_has_no_holder() {
    let mut rig = Rig::new();
    rig.begin(1, BusyPolicy::Reject);
    rig.delete(1);
    assert!(!rig.state.has_holders());
    assert_eq!(rig.flush(), "refused(b1 closing) bury deleted(d1 deleted)");
}

// E13
#[test]
fn a_delete_tells_each_of_five_waiters() {
    let mut rig = Rig::running();
    for number in 2..=6 {
        rig.begin(number, QUEUE);
    }
    let told = rig.delete(1);
    for number in 2..=6 {
        assert!(told.contains(&format!("refused(b{number} closing)")), "{told}");
    }
    assert_eq!(rig.digest(), "closing d1 !1 | delete");
}

// E8: the tombstone stands from the delete on, and is the same for the slot, the store and everybody.
#[test]
fn the_slot_the_store_and_every_caller_get_the_same_tombstone() {
    let expected = Tombstone {
        incarnation: LIFE,
        reason: GoneReason::Deleted,
        at: at(100).wall,
        until: at(160).wall,
    };
    let mut rig = Rig::new();
    rig.delete(1);
    rig.second += 30;
    rig.delete(2);
    let written = rig.send();
    assert!(matches!(written, Some(Write::Delete { tombstone }) if tombstone == expected));
    let mut effects = Effects::new();
    rig.state.apply(Input::Stored { result: Ok(()) }, at(131), &mut effects);
    // The slot first, so that whoever is told finds the tombstone.
    assert!(
        matches!(effects[0], Effect::Bury { tombstone, counted: true } if tombstone == expected)
    );
    let told = |effect: &Effect<super::Test>, wanted| matches!(effect, Effect::Deleted { answer: Ok(deletion), .. } if *deletion == wanted);
    assert!(told(&effects[1], Deletion::Deleted(expected)));
    assert!(told(&effects[2], Deletion::AlreadyGone(expected)));
    assert!(matches!(rig.state.phase(), Phase::Gone(found) if **found == expected));
    assert_eq!(rig.state.incarnation, LIFE);
}

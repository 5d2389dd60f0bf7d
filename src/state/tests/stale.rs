//! Clearing turns that the store calls open and that nobody holds.

use super::{BusyPolicy, Input, InputFate, Rig, StoreError, Write, at, record, unavailable};
use crate::outcome::TurnOutcome;
use crate::state::Settlement;
use crate::store::{FenceReason, PartialFate};

fn not_open() -> StoreError {
    StoreError::fenced(FenceReason::TurnNotOpen)
}

// G10, G11
#[test]
fn a_turn_that_nobody_holds_is_settled_as_interrupted_and_whoever_asked_is_told() {
    let mut rig = Rig::load(&record(&[]));
    rig.second = 200;
    assert_eq!(rig.clear(3, 1), "");
    let Some(Write::Settle { generation, outcome, input, partial, at: when, .. }) = rig.send()
    else {
        panic!("an end")
    };
    assert_eq!((generation.get(), outcome), (3, TurnOutcome::Interrupted));
    assert_eq!((input, partial), (InputFate::Keep, PartialFate::Keep { last: None }));
    assert_eq!(when, at(200).wall);
    assert_eq!(rig.ok(), "settled(s1 failed)");
    assert_eq!(rig.digest(), "live");
}

// G11
#[test]
fn a_turn_that_may_be_alive_is_not_touched() {
    let alive: [fn(&mut Rig); 5] = [
        |_| (),
        |rig| {
            rig.flush();
        },
        |rig| {
            rig.flush();
            rig.stop(1, 5);
        },
        |rig| {
            rig.flush();
            rig.commit(1, 1);
            rig.send();
        },
        |rig| {
            rig.stop(1, 0);
        },
    ];
    for reach in alive {
        let mut rig = Rig::new();
        rig.begin(1, BusyPolicy::Reject);
        reach(&mut rig);
        let before = rig.digest();
        assert_eq!(rig.clear(1, 9), "settled(s9 failed)");
        assert_eq!(rig.digest(), before);
    }
}

// G10: settled exactly once: the second finds it on its way, or over.
#[test]
fn of_two_that_clear_the_same_turn_one_writes() {
    let mut rig = Rig::new();
    rig.clear(3, 1);
    assert_eq!(rig.clear(3, 2), "settled(s2 failed)");
    assert_eq!(rig.digest(), "live | settle3:interrupted/keep");
    rig.flush();
    rig.clear(3, 3);
    assert_eq!(rig.stored(Err(not_open())), "settled(s3 failed)", "the store knows better");
    assert_eq!(rig.digest(), "live");
}

// G11: another number.
#[test]
fn a_clearing_never_hits_a_newer_turn() {
    let mut rig = Rig::running();
    rig.clear(77, 1);
    assert_eq!(rig.stored(Err(not_open())), "settled(s1 failed)");
    assert_eq!(rig.digest(), "live t1r");
    rig.commit(1, 2);
    assert_eq!(rig.flush(), "end(~1 committed) settled(s2 committed #2 v1)");
}

// G11, C6: as with any write, what is not known to be written is found out by the next load.
#[test]
fn a_store_that_fails_to_clear_is_told() {
    let mut rig = Rig::new();
    rig.clear(3, 1);
    assert_eq!(rig.stored(Err(unavailable())), "settled(s1 unavailable) leave");
}

// G11: what is on its way to its end otherwise is not taken for cleared.
#[test]
fn a_turn_whose_own_end_is_refused_leaves_the_state() {
    let mut rig = Rig::running();
    rig.drop_turn(1);
    assert_eq!(rig.stored(Err(not_open())), "end(~1 interrupted) leave");
}

// X21: a repair is not a use.
#[test]
fn clearing_does_not_count_as_use() {
    let mut rig = Rig::new();
    let used = rig.snapshot().last_active_at;
    rig.second = 9_999;
    rig.clear(3, 1);
    rig.flush();
    assert_eq!(rig.snapshot().last_active_at, used);
}

// G11, B5: a session that is over has nothing to clear.
#[test]
fn a_session_that_closes_clears_nothing() {
    let mut rig = Rig::running();
    rig.delete(1);
    let before = rig.digest();
    let answer = format!("{:?}", Settlement::Failed).to_lowercase();
    assert_eq!(rig.clear(3, 9), format!("settled(s9 {answer})"));
    assert_eq!(rig.digest(), before);
    assert_eq!(rig.apply(Input::Take { generation: super::Generation::new(1), read: 0 }), "");
}

//! Handing what is said to a busy session to the turn that runs.

use super::{
    BusyPolicy, Generation, Input, InputFate, PARALLEL, Ports, QUEUE, Rig, STEER, SessionState,
    begin_with, leave, named, unavailable,
};
use crate::state::Pending;

/// How much of what was said to a turn has been delivered to it.
pub(super) fn handed<P: Ports>(state: &SessionState<P>, wanted: Generation) -> u64 {
    let turn = state.turns.iter().find(|turn| turn.generation == wanted);
    let is_steer = |pending: &&Pending<P>| matches!(pending, Pending::Steer { generation, .. } if *generation == wanted);
    let on_their_way = state.outbox.iter().filter(is_steer).count() as u64;
    turn.map_or(0, |turn| turn.steered).saturating_sub(on_their_way)
}

impl Rig {
    /// A turn asks for more, which has read all that it was handed.
    pub(super) fn take(&mut self, generation: u64) -> String {
        let generation = Generation::new(generation);
        let read = handed(&self.state, generation);
        self.apply(Input::Take { generation, read })
    }
}

/// A session whose turn 1 runs, and for which the begin 2 waits.
fn steering() -> Rig {
    let mut rig = Rig::running();
    assert_eq!(rig.begin(2, STEER), "steerable(~1)");
    rig
}

// B8
#[test]
fn what_a_turn_asks_for_is_stored_before_it_has_it_and_is_its_own() {
    let mut rig = steering();
    assert_eq!(rig.take(1), "");
    assert_eq!(rig.digest(), "live t1r | steer1#2");
    assert_eq!(rig.ok(), "steered(b2 t1 #2)");
    rig.commit(1, 1);
    assert_eq!(rig.flush(), "end(~1 committed) settled(s1 committed #3 v1)");
}

// B8
#[test]
fn what_a_turn_does_not_ask_for_becomes_a_turn_of_its_own() {
    let mut rig = steering();
    rig.begin(3, STEER);
    assert_eq!(rig.commit(1, 1), "opened(t2)");
    rig.flush();
    assert_eq!(rig.take(2), "");
    assert_eq!(rig.flush(), "steered(b3 t2 #4)", "the second is for whoever runs then");
}

// B8, B6
#[test]
fn a_take_overtakes_nobody() {
    let mut rig = Rig::running();
    rig.begin(2, QUEUE);
    assert_eq!(rig.begin(3, STEER), "");
    let before = rig.digest();
    assert_eq!(rig.take(1), "");
    assert_eq!(rig.digest(), before);
}

// B8: a turn that waits for input is told of what has come to the front by the leave of another.
#[test]
fn what_becomes_the_first_is_offered() {
    let mut rig = Rig::running();
    rig.begin(2, QUEUE);
    rig.begin(3, STEER);
    assert_eq!(rig.apply(leave(2)), "refused(b2 timeout t1 running) steerable(~1)");
    assert_eq!(rig.take(1), "");
    assert_eq!(rig.flush(), "steered(b3 t1 #2)");
}

// B8, B6
#[test]
fn several_are_taken_one_at_a_time_in_their_order() {
    let mut rig = steering();
    rig.begin(3, STEER);
    rig.take(1);
    rig.take(1);
    assert_eq!(rig.digest(), "live t1r q3 | steer1#2");
    rig.ok();
    rig.take(1);
    assert_eq!(rig.ok(), "steered(b3 t1 #3)");
}

// B8. On four threads a turn that looked again took the next one as well: what it had taken was stored, and not yet in
// its hands. Had it ended then, it would have ended with an input that it never saw.
#[test]
fn a_turn_that_has_not_read_what_it_was_handed_is_handed_nothing() {
    let mut rig = steering();
    rig.begin(3, STEER);
    rig.take(1);
    assert_eq!(rig.ok(), "steered(b2 t1 #2)");
    let generation = Generation::new(1);
    assert_eq!(rig.apply(Input::Take { generation, read: 0 }), "");
    assert_eq!(rig.digest(), "live t1r q3");
    rig.apply(Input::Take { generation, read: 1 });
    assert_eq!(rig.ok(), "steered(b3 t1 #3)");
}

// B8: only what is an input and nothing else can become one of another turn.
#[test]
fn what_asks_for_more_than_to_be_said_waits_for_its_own_turn() {
    let asks = [
        begin_with(2, STEER, |request| request.input = None),
        begin_with(2, STEER, |request| request.expect_version = Some(0)),
        named(2, STEER, ("a name", 1), 0),
    ];
    for ask in asks {
        let mut rig = Rig::running();
        assert_eq!(rig.apply(ask), "");
        assert_eq!(rig.take(1), "");
        assert_eq!(rig.digest(), "live t1r q2");
    }
}

// B8: neither a turn that is told to end, nor one that is over, nor one that nobody has.
#[test]
fn only_a_turn_that_runs_takes() {
    let mut rig = steering();
    rig.stop(1, 5);
    rig.take(1);
    rig.take(77);
    assert_eq!(rig.digest(), "live t1c q2");
    rig.stop(1, 0);
    rig.take(1);
    rig.take(2);
    assert_eq!(rig.digest(), "live t2s !1 | settle1:cancelled_stopped/keep begin2#2");
}

// B8, C10: the input is the turn's, whatever becomes of that.
#[test]
fn what_was_taken_stays_when_the_turn_is_forgotten() {
    let mut rig = steering();
    rig.take(1);
    rig.fail(1, InputFate::Drop, 1);
    assert_eq!(rig.flush(), "steered(b2 t1 #2) end(~1 failed) settled(s1 failed)");
    rig.begin(3, super::BRANCH);
    assert_eq!(rig.digest(), "live b2s | begin2#3^2", "what follows stands under it");
}

// B8: the fence has come, and the input is still told to be where it is.
#[test]
fn what_was_taken_by_a_turn_that_is_fenced_is_stored_ahead_of_its_end() {
    let mut rig = steering();
    rig.take(1);
    rig.stop(1, 0);
    assert_eq!(rig.flush(), "steered(b2 t1 #2) end(~1 cancelled_stopped)");
}

// B8, C6
#[test]
fn a_store_that_fails_is_told_to_whoever_was_taken() {
    let mut rig = steering();
    rig.take(1);
    let told = rig.stored(Err(unavailable()));
    assert!(told.starts_with("refused(b2 unavailable)"), "{told}");
}

// B8, B6: a parallel newcomer that waited behind it waits no longer.
#[test]
fn a_take_lets_in_whom_it_kept_back() {
    let mut rig = steering();
    rig.begin(3, PARALLEL);
    assert_eq!(rig.digest(), "live t1r q2 q3");
    assert_eq!(rig.take(1), "opened(t2)");
    assert_eq!(rig.digest(), "live t1r p2s | steer1#2 begin2#3");
}

// B8: nothing runs, so it is a begin like any other.
#[test]
fn who_steers_an_idle_session_has_the_turn() {
    let mut rig = Rig::new();
    assert_eq!(rig.begin(1, STEER), "opened(t1)");
    assert_eq!(
        rig.begin(2, BusyPolicy::Steer { max: 0, wait: None }),
        "refused(b2 full t1 starting q0)"
    );
}

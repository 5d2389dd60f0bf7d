//! What is kept of replies: piece by piece, and at the end by policy.

use bytes::Bytes;

use super::{
    BusyPolicy, Generation, InputFate, PARALLEL, PartialPolicy, Rig, StallRule, Write,
    no_such_life, outcome_unknown, record, unavailable,
};
use crate::store::{PartialFate, PartialPiece, StoreError};

/// A session whose turn 1 runs.
fn running(policy: PartialPolicy) -> Rig {
    let mut rig = Rig::load_with(&record(&[]), Vec::new(), policy);
    rig.begin(1, BusyPolicy::Reject);
    rig.flush();
    rig
}

fn piece(first: u64, chunks: u64, text: &'static str) -> PartialPiece {
    PartialPiece { first, chunks, text: Bytes::from_static(text.as_bytes()) }
}

/// What the next write says of turn 1: a piece, or what its end does with what was said.
fn next(rig: &mut Rig) -> Result<PartialPiece, PartialFate> {
    match rig.send() {
        Some(Write::Partial { piece, .. }) => Ok(piece),
        Some(Write::Settle { partial, .. }) => Err(partial),
        other => panic!("neither a piece nor an end: {other:?}"),
    }
}

// C10
#[test]
fn one_piece_is_with_the_store_however_often_it_is_asked_for() {
    let mut rig = running(PartialPolicy::Beside);
    rig.say(1, "a");
    rig.say(1, "b");
    rig.say(1, "c");
    rig.keep(1);
    rig.keep(1);
    assert_eq!(rig.digest(), "live t1r | partial1~1+2");
    assert_eq!(next(&mut rig), Ok(piece(1, 2, "ab")));
    rig.keep(1);
    assert_eq!(rig.digest(), "live t1r | *partial1");
    rig.ok();
    rig.keep(1);
    assert_eq!(next(&mut rig), Ok(piece(3, 1, "c")));
}

// C10
#[test]
fn a_piece_that_the_store_does_not_take_costs_the_turn_nothing() {
    for error in [unavailable(), outcome_unknown(), no_such_life()] {
        let mut rig = running(PartialPolicy::Beside);
        rig.say(1, "a");
        rig.say(1, "b");
        assert_eq!(rig.stored(Err(error)), "");
        assert_eq!(rig.digest(), "live t1r");
        rig.commit(1, 1);
        assert_eq!(rig.flush(), "end(~1 committed) settled(s1 committed #2 v1)");
    }
}

// C10: however the answer for the piece before it comes.
#[test]
fn the_end_of_a_turn_has_what_follows_on_what_the_store_keeps() {
    let answers: [(Result<(), StoreError>, Option<PartialPiece>); 3] = [
        (Ok(()), Some(piece(3, 1, "c"))),
        (Err(unavailable()), Some(piece(1, 3, "abc"))),
        (Err(outcome_unknown()), None),
    ];
    for (answer, last) in answers {
        let mut rig = running(PartialPolicy::Beside);
        rig.say(1, "a");
        rig.say(1, "b");
        assert_eq!(next(&mut rig), Ok(piece(1, 2, "ab")));
        rig.say(1, "c");
        rig.drop_turn(1);
        rig.stored(answer);
        assert_eq!(next(&mut rig), Err(PartialFate::Keep { last }));
    }
}

// C10: a turn that has ended is not mended in the place of another.
#[test]
fn a_lost_piece_is_mended_in_the_end_of_its_own_turn() {
    let mut rig = Rig::new();
    rig.begin(1, PARALLEL);
    rig.begin(2, PARALLEL);
    rig.flush();
    rig.say(1, "a");
    rig.say(1, "b");
    rig.send();
    rig.say(2, "x");
    rig.drop_turn(2);
    rig.drop_turn(1);
    rig.stored(Err(unavailable()));
    assert_eq!(next(&mut rig), Err(PartialFate::Keep { last: Some(piece(1, 1, "x")) }));
    rig.ok();
    assert_eq!(next(&mut rig), Err(PartialFate::Keep { last: Some(piece(1, 2, "ab")) }));
}

// C10: what was said goes where the input goes, and otherwise where the policy says.
#[test]
fn what_is_left_of_a_reply_is_what_the_policy_says() {
    let beside = PartialFate::Keep { last: Some(piece(1, 1, "a")) };
    let entry = PartialFate::Entry { payload: Bytes::from_static(b"a") };
    for (policy, fate, expected) in [
        (PartialPolicy::Beside, InputFate::Keep, beside),
        (PartialPolicy::Entry, InputFate::Keep, entry),
        (PartialPolicy::Drop, InputFate::Keep, PartialFate::Drop),
        (PartialPolicy::Beside, InputFate::Drop, PartialFate::Drop),
        (PartialPolicy::Entry, InputFate::Drop, PartialFate::Drop),
        (PartialPolicy::Drop, InputFate::Drop, PartialFate::Drop),
    ] {
        let mut rig = running(policy);
        if policy != PartialPolicy::Drop {
            rig.say(1, "a");
        }
        rig.fail(1, fate, 1);
        assert_eq!(next(&mut rig), Err(expected), "{policy:?} {fate:?}");
    }
}

// C10, C8
#[test]
fn what_was_said_takes_a_number_and_a_version_as_an_entry_does() {
    let mut rig = running(PartialPolicy::Entry);
    rig.say(1, "a");
    rig.drop_turn(1);
    assert_eq!(rig.digest(), "live | settle1:abandoned/keep+entry#2");
    rig.begin(2, BusyPolicy::Reject);
    rig.flush();
    assert_eq!(rig.snapshot().version, 1);
    rig.drop_turn(2);
    assert_eq!(rig.digest(), "live | settle2:abandoned/keep", "it has said nothing");
    assert_eq!(rig.snapshot().version, 1);
}

// C10: the reply is the entry, and nothing is kept beside it.
#[test]
fn a_commit_has_no_piece_and_a_late_one_has_no_turn() {
    let mut rig = running(PartialPolicy::Beside);
    rig.say(1, "a");
    rig.commit(1, 1);
    rig.keep(1);
    assert_eq!(rig.digest(), "live | commit1#2v1");
}

// G10, C10: in the order of the turns, by the policy of this run.
#[test]
fn what_a_crash_left_of_replies_is_settled_by_policy() {
    let said = || vec![Bytes::new(), Bytes::from_static(b"half")];
    for (policy, expected) in [
        (PartialPolicy::Beside, "live | settle3:interrupted/keep settle4:interrupted/keep"),
        (PartialPolicy::Drop, "live | settle3:interrupted/keep settle4:interrupted/keep"),
        (PartialPolicy::Entry, "live | settle3:interrupted/keep settle4:interrupted/keep+entry#3"),
    ] {
        let mut rig = Rig::load_with(&record(&[3, 4]), said(), policy);
        assert_eq!(rig.digest(), expected, "{policy:?}");
        assert_eq!(rig.snapshot().version, u64::from(policy == PartialPolicy::Entry));
        let kept = PartialFate::Keep { last: None };
        let fate = if policy == PartialPolicy::Beside { kept } else { PartialFate::Drop };
        assert_eq!(next(&mut rig), Err(fate));
    }
}

// C10: chunks that come slowly are given to the store by whoever looks at the turn.
#[test]
fn what_has_waited_long_enough_is_kept_at_a_look() {
    let mut rig = running(PartialPolicy::Beside);
    rig.say(1, "a");
    rig.look(StallRule::default());
    assert_eq!(rig.digest(), "live t1r | partial1~1+1");
    assert!(rig.state.is_open(Generation::new(1)));
}

// C10
#[test]
fn nothing_is_kept_of_a_turn_before_it_has_begun_and_then_what_has_waited_long_enough() {
    let mut rig = Rig::new();
    rig.begin(1, BusyPolicy::Reject);
    rig.say(1, "early");
    rig.second += 1_000;
    let (rule, before) = (StallRule::default(), rig.digest());
    rig.look(rule);
    assert_eq!(rig.digest(), before);
    rig.flush();
    rig.look(rule);
    assert_eq!(next(&mut rig), Ok(piece(1, 1, "early")));
}

//! The auditor itself: each rule is broken by hand, and has to be named.

use bytes::Bytes;

use super::{BRANCH, Name, PARALLEL, QUEUE, Rig, START, at, unavailable};
use crate::id::Generation;
use crate::limit::Place;
use crate::outcome::CancelReason;
use crate::state::outbox::Outbox;
use crate::state::{Pending, Phase};

/// Breaks a session that is in order, and expects the rule that `names` is found broken.
fn finds(mut rig: Rig, names: &str, breaks: impl FnOnce(&mut Rig)) {
    assert_eq!(rig.state.audit(), Vec::<String>::new(), "in order before");
    breaks(&mut rig);
    let broken = rig.state.audit();
    assert!(broken.iter().any(|rule| rule.contains(names)), "{names}: {broken:?}");
}

// L6
#[test]
fn each_rule_that_is_broken_is_named() {
    let parallel = || {
        let mut rig = Rig::new();
        rig.begin(1, PARALLEL);
        rig.begin(2, PARALLEL);
        rig.flush();
        rig
    };
    let queued = || {
        let mut rig = Rig::running();
        rig.begin(2, QUEUE);
        rig
    };
    finds(parallel(), "two exclusive turns", |rig| {
        rig.state.turns.iter_mut().for_each(|turn| turn.parallel = None);
    });
    finds(queued(), "neither a turn nor a permit to drain it", |rig| rig.state.turns.clear());
    finds(Rig::new(), "that nobody could use", |rig| rig.state.asking = Some(Place(1)));
    finds(Rig::running(), "newer than the newest", |rig| {
        rig.state.generation = Generation::default();
    });
    finds(Rig::running(), "both open and fenced", |rig| {
        rig.state.fenced.make().push((Generation::new(1), CancelReason::Stopped));
    });
    finds(Rig::running(), "neither stored nor about to be", |rig| {
        rig.state.turns[0].opened = false;
    });
    finds(Rig::running(), "has a delete to write", |rig| {
        rig.state.outbox.push_back(Pending::Delete { write: None });
    });
    finds(Rig::new(), "writes what nobody asked for", |rig| rig.state.writing = true);
    finds(Rig::running(), "not live has an open turn", |rig| rig.state.phase = Phase::Left);
    finds(queued(), "not live has a queue", |rig| rig.state.phase = Phase::Left);
    finds(Rig::running(), "nobody looks at it", |rig| rig.state.watched = false);
    finds(Rig::running(), "aborted after its fence", |rig| {
        rig.stop(1, 5);
        let stopping = rig.state.turns[0].stopping.as_mut();
        stopping.expect("it was told").abort_at = at(START + 6).moment;
    });
    let owing = || {
        let mut rig = Rig::new();
        rig.begin(1, QUEUE);
        rig
    };
    finds(owing(), "owes the store a write", |rig| rig.state.phase = Phase::Left);
}

// L6
#[test]
fn each_rule_of_names_pieces_and_places_that_is_broken_is_named() {
    const NAME: Name = ("a name", 1);
    let named = || {
        let mut rig = Rig::new();
        rig.begin_named(1, PARALLEL, NAME);
        rig.flush();
        rig.begin_named(2, PARALLEL, ("another", 1));
        rig.flush();
        rig
    };
    finds(named(), "two begins have one name", |rig| {
        rig.state.turns[1].named = rig.state.turns[0].named.clone();
    });
    let echoed = || {
        let mut rig = Rig::new();
        rig.begin_named(1, PARALLEL, NAME);
        rig.begin_named(2, PARALLEL, NAME);
        rig
    };
    finds(echoed(), "neither waits nor is being stored", |rig| {
        rig.state.outbox = Outbox::default();
    });
    let generation = Generation::new(1);
    let piece = || Pending::Partial { write: None, generation, stream: 1 };
    finds(Rig::running(), "two pieces", |rig| {
        rig.state.outbox.extend([piece(), piece()]);
    });
    let steer = || {
        let (input, port, stream) = (Bytes::new(), 9, 1);
        Pending::Steer { write: None, generation, seq: 2, port, stream, input }
    };
    finds(Rig::running(), "two takings", |rig| {
        rig.state.outbox.extend([steer(), steer()]);
    });
    let over = || {
        let mut rig = Rig::running();
        rig.drop_turn(1);
        rig
    };
    finds(over(), "behind its end", |rig| rig.state.outbox.push_back(piece()));
    finds(over(), "behind its end", |rig| rig.state.outbox.push_back(steer()));
    finds(Rig::running(), "a number that was not given", |rig| rig.state.tip = 2);
    finds(Rig::running(), "a number that was not given", |rig| rig.state.turns[0].last_seq = 2);
    let branches = || {
        let mut rig = Rig::new();
        rig.begin(1, BRANCH);
        rig
    };
    finds(branches(), "than may", |rig| rig.state.max_branches = 0);
}

// L6
#[test]
fn each_rule_of_a_closing_session_that_is_broken_is_named() {
    let closing = || {
        let mut rig = Rig::running();
        rig.delete(1);
        rig
    };
    finds(closing(), "not one delete to write", |rig| {
        rig.state.outbox = Outbox::default();
    });
    finds(closing(), "behind a delete", |rig| {
        let settle = Pending::Change {
            write: None,
            port: 9,
            version: 1,
            last_seq: 1,
            used: true,
            rotated: None,
        };
        rig.state.outbox.push_back(settle);
    });
    finds(closing(), "waits for a delete that has failed", |rig| {
        rig.state.outbox = Outbox::default();
        let Phase::Closing(closing) = &mut rig.state.phase else { panic!("it closes") };
        closing.failed = Some(unavailable());
    });
}

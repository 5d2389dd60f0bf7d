//! What a session owes its store: order, durability before the answer, and failures.

use bytes::Bytes;

use super::{
    BusyPolicy, Change, Generation, Input, InputFate, InstanceId, PARALLEL, QUEUE, Rig, START,
    Write, at, begin_with, no_such_life, outcome_unknown, record, unavailable,
};
use crate::outcome::TurnOutcome;

/// What a write is, in one word.
fn name(write: &Write) -> &'static str {
    match write {
        Write::Begin { .. } => "begin",
        Write::Steer { .. } => "steer",
        Write::Partial { .. } => "partial",
        Write::Commit { .. } => "commit",
        Write::Settle { .. } => "settle",
        Write::Append { .. } => "append",
        Write::PutData { .. } => "data",
        Write::TakeBack { .. } => "take_back",
        Write::Resume { .. } => "resume",
        Write::PutBack { .. } => "put_back",
        Write::ForgetRevision { .. } => "forget_revision",
        Write::Label { .. } => "label",
        Write::Rotate { .. } => "rotate",
        Write::Standing { .. } => "standing",
        Write::Patch { .. } => "patch",
        Write::Delete { .. } => "delete",
    }
}

// G2, G3
#[test]
fn a_begin_writes_marker_and_input_together_and_is_told_when_they_are_stored() {
    let mut rig = Rig::new();
    assert_eq!(rig.begin(1, BusyPolicy::Reject), "opened(t1)");
    let Some(Write::Begin { marker, input, extra: None, at: when }) = rig.send() else {
        panic!("a begin")
    };
    assert_eq!(marker.generation, Generation::new(1));
    assert_eq!(marker.instance, InstanceId::from_random(2));
    assert_eq!(input, Some((1, Bytes::from_static(b"input 1"))));
    assert_eq!(when, at(100).wall);
    assert_eq!(rig.ok(), "begun(b1 t1 ~1)");
}

// C4, C11
#[test]
fn nothing_is_told_of_a_commit_before_the_store_has_it() {
    let mut rig = Rig::running();
    assert_eq!(rig.commit(1, 1), "");
    assert_eq!(rig.append(1), "");
    assert_eq!(rig.ok(), "end(~1 committed) settled(s1 committed #2 v1)");
    assert_eq!(rig.ok(), "changed(c1 v2 #3)");
}

// G4, B6
#[test]
fn the_store_has_one_write_at_a_time_in_the_order_of_the_decisions() {
    let mut rig = Rig::new();
    rig.begin(1, BusyPolicy::Reject);
    rig.append(1);
    rig.apply(Input::Change { change: Change::Data(Vec::new()), port: 2 });
    rig.apply(Input::Change { change: Change::Label(Some("a title".into())), port: 3 });
    rig.commit(1, 1);
    let mut order = Vec::new();
    while let Some(write) = rig.send() {
        assert!(rig.state.writing && !rig.state.has_unsent());
        assert!(rig.send().is_none(), "the store has a write already");
        assert!(rig.state.writing, "and still has it");
        order.push(name(&write));
        rig.ok();
    }
    assert_eq!(order, ["begin", "append", "data", "label", "commit"]);
    assert!(rig.state.is_quiet());
}

// C8: a label is no part of what an optimistic caller has seen.
#[test]
fn the_version_counts_commits_appends_and_data_and_nothing_else() {
    let mut rig = Rig::running();
    rig.append(1);
    rig.apply(Input::Change { change: Change::Data(Vec::new()), port: 2 });
    rig.apply(Input::Change { change: Change::Label(None), port: 3 });
    assert_eq!(rig.flush(), "changed(c1 v1 #2) changed(c2 v2 #2) changed(c3 v2 #2)");
    rig.fail(1, InputFate::Drop, 1);
    rig.begin(2, BusyPolicy::Reject);
    rig.flush();
    assert_eq!(rig.snapshot().version, 2);
    rig.commit(2, 2);
    assert_eq!(rig.snapshot().version, 3);
}

// G2
#[test]
fn a_turn_without_an_input_takes_no_number() {
    let mut rig = Rig::new();
    rig.apply(begin_with(1, BusyPolicy::Reject, |request| request.input = None));
    rig.flush();
    rig.commit(1, 1);
    assert_eq!(rig.flush(), "end(~1 committed) settled(s1 committed #1 v1)");
}

// C6, G12: each of the seven kinds of waiting is answered once, turns end once, and the state is
// left once, whatever the error.
#[test]
fn a_store_that_fails_tells_everybody_exactly_once() {
    for error in [unavailable(), outcome_unknown(), no_such_life()] {
        let mut rig = Rig::new();
        rig.begin(1, PARALLEL);
        rig.begin(2, PARALLEL);
        rig.begin(3, PARALLEL);
        rig.begin(4, PARALLEL);
        rig.flush();
        rig.append(1);
        rig.send();
        rig.begin(5, PARALLEL);
        rig.begin(6, QUEUE);
        rig.apply(Input::Change { change: Change::Label(None), port: 2 });
        rig.commit(1, 1);
        rig.fail(2, InputFate::Keep, 2);
        rig.drop_turn(3);
        let told = rig.stored(Err(error));
        let mut words: Vec<_> = told
            .split(") ")
            .map(|word| word.split_whitespace().next().expect("a word").to_owned())
            .collect();
        words.sort();
        assert_eq!(
            words,
            [
                "changed(c1",
                "changed(c2",
                "end(~1",
                "end(~2",
                "end(~3",
                "end(~4",
                "end(~5",
                "fence(~4",
                "fence(~5",
                "leave",
                "refused(b5",
                "refused(b6",
                "settled(s1",
                "settled(s2",
            ],
            "{told}"
        );
        assert_eq!(rig.digest(), "left !4");
        assert_eq!(rig.commit(4, 4), "settled(s4 stale store_failed)");
        assert_eq!(rig.begin(7, QUEUE), "refused(b7 left)");
        assert!(rig.send().is_none());
    }
}

// G10
#[test]
fn a_session_loaded_with_markers_settles_each_first_and_once() {
    let mut rig = Rig::load(&record(&[3, 4]));
    assert_eq!(rig.begin(1, BusyPolicy::Reject), "opened(t5)");
    rig.append(1);
    let mut settled = Vec::new();
    for _ in 0..2 {
        let Some(Write::Settle { generation, outcome, input, .. }) = rig.send() else {
            panic!("the markers come first")
        };
        settled.push((generation.get(), outcome, input));
        assert_eq!(rig.ok(), "");
    }
    let kept = |turn| (turn, TurnOutcome::Interrupted, InputFate::Keep);
    assert_eq!(settled, [kept(3), kept(4)]);
    assert_eq!(rig.digest(), "live t5s | begin5#3 change:append#4v1");
    assert_eq!(rig.flush(), "begun(b1 t5 ~1) changed(c1 v1 #4)");
}

// G10, X21: a repair is not a use.
#[test]
fn settling_what_a_crash_left_open_does_not_count_as_use() {
    let record = record(&[3]);
    let mut rig = Rig::load(&record);
    rig.second = 9_999;
    let Some(Write::Settle { at: when, .. }) = rig.send() else { panic!("a settle") };
    rig.ok();
    assert_eq!(when, at(START).wall, "it is settled when it is loaded");
    assert_eq!(rig.snapshot().last_active_at, record.last_active_at);
    assert!(rig.state.is_quiet());
}

// G11
#[test]
fn what_is_settled_at_a_load_cannot_hit_a_new_turn() {
    let mut rig = Rig::load(&record(&[3]));
    assert_eq!(rig.stop(3, 0), "cancelled(none)");
    rig.begin(1, BusyPolicy::Reject);
    rig.flush();
    assert_eq!(rig.stop(3, 0), "cancelled(none)");
    assert_eq!(rig.commit(3, 1), "settled(s1 stale store_failed)");
    assert_eq!(rig.digest(), "live t4r");
}

// A5, J2: what a reader is given is the newest turn, or the one that was named, while it runs.
#[test]
fn a_stream_is_found_while_its_turn_is_open() {
    let mut rig = Rig::new();
    assert_eq!(rig.state.open_stream(), None);
    rig.begin(1, PARALLEL);
    rig.begin(2, PARALLEL);
    let first = Generation::new(1);
    assert_eq!(rig.state.open_stream().map(|(_, stream)| stream), Some(2));
    assert_eq!(rig.state.stream(first), Some(1));
    assert!(rig.state.is_open(first));
    rig.drop_turn(1);
    assert_eq!(rig.state.stream(first), Some(1), "its end is not stored yet");
    rig.flush();
    assert_eq!(rig.state.stream(first), None);
    assert!(!rig.state.is_open(first));
}

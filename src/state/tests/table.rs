//! Every input in every phase.
//!
//! A row names inputs, the effects that are expected of each, and the state behind them. The rows
//! were written from the design; [`every_pair_has_exactly_one_row`] sees that none is missing.

mod capacity;
mod leased;
mod live;
mod over;
mod phases;
mod pieces;
mod queued;
mod shut;
mod special;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use super::leases::{inherit, release, renew, take};
use super::{
    BRANCH, BusyPolicy, Change, Generation, Grace, Input, InputFate, Name, PARALLEL, Phase, Place,
    QUEUE, Redo, Rig, START, STEER, Size, StallRule, Target, Test, at, attempt, begin, begin_with,
    cancel, commit, delete, gate, grace, interrupt, leave, named, no_such_life, outcome_unknown,
    redoing, say, unavailable,
};
use crate::id::SessionId;
use crate::standing::SuspendReason;
use crate::state::{LeaveReason, Patch, Verb};
use crate::store::{DataChange, RevisionReason};

/// Every input, by name. What is begun, settled, changed or deleted by it has port 9.
const INPUTS: [&str; 68] = [
    "reject",
    "queue",
    "queue-full",
    "interrupt-0",
    "interrupt-5",
    "parallel",
    "draining",
    "wrong-version",
    "leave-queue",
    "commit-1",
    "commit-2",
    "commit-77",
    "fail-keep",
    "fail-drop",
    "drop",
    "panic",
    "cancel-1",
    "cancel-77",
    "cancel-all",
    "append",
    "data",
    "label",
    "handle",
    "rotate",
    "delete",
    "await-delete",
    "alarm-early",
    "alarm-abort",
    "alarm-late",
    "look",
    "look-act",
    "unload",
    "unload-used",
    "lease",
    "renew",
    "release",
    "inherit",
    "save",
    "steer",
    "branch",
    "named",
    "named-other",
    "named-stale",
    "redo",
    "take-back",
    "put-back",
    "forget-revision",
    "leave-echo",
    "keep-1",
    "keep-77",
    "take-1",
    "take-77",
    "clear-1",
    "clear-77",
    "suspend",
    "resume",
    "archive",
    "restore",
    "end",
    "expire",
    "pin",
    "ok",
    "unavailable",
    "unknown",
    "no-such-life",
    "granted",
    "granted-late",
    "not-granted",
];

/// A phase: its name, how one gets there, and its rows.
type Row = (&'static str, fn() -> Rig, &'static str);

/// Every phase.
const PHASES: [Row; 35] = [
    ("idle", phases::idle, live::IDLE),
    ("starting", phases::starting, live::STARTING),
    ("running", Rig::running, live::RUNNING),
    ("cancelling", phases::cancelling, live::CANCELLING),
    (
        "cancelling while starting",
        phases::cancelling_while_starting,
        live::CANCELLING_WHILE_STARTING,
    ),
    ("a queue behind a turn", phases::queued, queued::QUEUED),
    ("an interrupt behind a turn", phases::interrupting, queued::INTERRUPTING),
    ("two parallel turns", phases::parallel, queued::PARALLEL),
    ("a fenced turn beside the next", phases::fenced, queued::FENCED),
    ("a commit with the store", phases::committing, queued::COMMITTING),
    ("a failure with the store", phases::settling, queued::SETTLING),
    ("loaded with a stale marker", phases::stale, queued::STALE),
    ("a steering begin waits", phases::steering, special::STEERING),
    ("a steering input with the store", phases::steered, special::STEERED),
    ("a named turn", phases::named_running, special::NAMED),
    ("an echo of a begin with the store", phases::echo_starting, special::ECHO_STARTING),
    ("an echo of a waiting begin", phases::echo_queued, special::ECHO_QUEUED),
    ("a begin waits for a permit", phases::asking, capacity::ASKING),
    ("a parallel begin waits for a permit", phases::asking_beside, capacity::ASKING_BESIDE),
    ("a branch runs", phases::branch, pieces::BRANCH),
    ("branches at their limit", phases::branches, pieces::BRANCHES),
    ("a piece with the store", phases::piece, pieces::PIECE),
    ("a piece with the store, of a turn that is over", phases::last_piece, pieces::LAST_PIECE),
    ("suspended while a turn ran", phases::suspended, shut::SUSPENDED),
    ("archived", phases::archived, shut::ARCHIVED),
    ("ended", phases::ended, shut::ENDED),
    ("due", phases::due, shut::DUE),
    ("leased", phases::leased, leased::LEASED),
    ("touched", phases::touched, leased::TOUCHED),
    ("its last use with the store", phases::leaving, leased::LEAVING),
    ("a delete with the store", phases::closing, over::CLOSING),
    ("a delete that failed", phases::closing_failed, over::CLOSING_FAILED),
    ("a delete behind another write", phases::closing_behind, over::CLOSING_BEHIND),
    ("gone", phases::gone, over::GONE),
    ("left", phases::left, over::LEFT),
];

/// Applies the input `name`, two seconds after the phase was reached; alarms later, too.
fn apply(rig: &mut Rig, name: &str) -> String {
    rig.second = START
        + match name {
            "alarm-late" => 5,
            "alarm-abort" => 4,
            _ => 2,
        };
    if name.starts_with("keep") {
        say(1, "more", &rig.partials());
    }
    let input = input(name);
    if matches!(input, Input::Stored { .. }) {
        rig.send();
    }
    rig.apply(input)
}

/// The name under which turns are begun.
const NAME: Name = ("a name", 1);

/// What is to be taken back of a session with one entry that nobody has answered.
const ONE_ENTRY: Redo =
    Redo { from: 1, next_seq: 2, version: 0, open: false, taken: Size { entries: 0, bytes: 0 } };

/// A turn is stuck that has been silent for two seconds.
fn after_two_seconds(act: Option<Grace>) -> StallRule {
    StallRule { model: Some(Duration::from_secs(2)), act, ..StallRule::default() }
}

/// A change of what was taken out of the transcript.
fn revision(name: &str) -> Change {
    let (redo, reason) = (ONE_ENTRY, RevisionReason::Rollback);
    match name {
        "take-back" => Change::TakeBack { redo, reason },
        "put-back" => Change::PutBack { redo, revision: 1, back: Size { entries: 2, bytes: 2 } },
        _ => Change::ForgetRevision(1),
    }
}

/// The input that is called `name`.
fn input(name: &str) -> Input<Test> {
    let first = Generation::new(1);
    let unload = |second| {
        let unused_since = at(second).moment;
        Input::Unload { unused_since, reason: LeaveReason::Idle }
    };
    let change = |change| Input::Change { change, port: 9 };
    match name {
        "reject" => begin(9, BusyPolicy::Reject),
        "queue" => begin(9, QUEUE),
        "queue-full" => begin(9, BusyPolicy::Queue { max: 0, wait: None }),
        "interrupt-0" => begin(9, interrupt(0)),
        "interrupt-5" => begin(9, interrupt(5)),
        "parallel" => begin(9, PARALLEL),
        "draining" => begin_with(9, PARALLEL, |request| request.draining = true),
        "wrong-version" => {
            begin_with(9, BusyPolicy::Reject, |request| request.expect_version = Some(55))
        }
        "leave-queue" => leave(2),
        "commit-1" => commit(1, 9),
        "commit-2" => commit(2, 9),
        "commit-77" => commit(77, 9),
        "fail-keep" => Input::Fail { generation: first, fate: InputFate::Keep, port: 9 },
        "fail-drop" => Input::Fail { generation: first, fate: InputFate::Drop, port: 9 },
        "drop" => Input::Drop { generation: first, panicked: false },
        "panic" => Input::Drop { generation: first, panicked: true },
        "cancel-1" => cancel(Target::Turn(first), 5),
        "cancel-77" => cancel(Target::Turn(Generation::new(77)), 5),
        "cancel-all" => cancel(Target::Everything, 5),
        "append" => change(Change::Append(vec![Bytes::from_static(b"appended")])),
        "data" => change(Change::Data(vec![DataChange { name: "mood".into(), value: None }])),
        "label" => change(Change::Label(None)),
        "handle" => change(Change::Resume(Box::new(attempt()))),
        "rotate" => change(Change::Rotate(Box::new(SessionId::new("further").unwrap()))),
        "delete" => delete(9),
        "await-delete" => Input::AwaitDelete { port: 9 },
        "alarm-early" | "alarm-abort" | "alarm-late" => Input::Alarm,
        "look" => Input::Look { rule: after_two_seconds(None) },
        "look-act" => Input::Look { rule: after_two_seconds(Some(grace(5))) },
        "unload" => unload(START + 1),
        "unload-used" => unload(START - 1),
        "lease" | "renew" | "release" | "inherit" | "save" => lease_input(name),
        "steer" => begin(9, STEER),
        "branch" => begin(9, BRANCH),
        "named" => named(9, QUEUE, NAME, 0),
        "named-other" => named(9, QUEUE, (NAME.0, 2), 0),
        "named-stale" => named(9, QUEUE, ("another", 1), 55),
        "redo" => redoing(9, QUEUE, ONE_ENTRY),
        "take-back" | "put-back" | "forget-revision" => change(revision(name)),
        "leave-echo" => leave(3),
        "keep-1" => Input::Keep { generation: first },
        "keep-77" => Input::Keep { generation: Generation::new(77) },
        "take-1" => Input::Take { generation: first, read: 0 },
        "take-77" => Input::Take { generation: Generation::new(77), read: 0 },
        "clear-1" => Input::Clear { generation: first, port: 9 },
        "clear-77" => Input::Clear { generation: Generation::new(77), port: 9 },
        "ok" | "unavailable" | "unknown" | "no-such-life" => stored(name),
        other => permit(other).unwrap_or_else(|| change(standing(other))),
    }
}

/// What comes from the line for permits, if that is called `name`.
fn permit(name: &str) -> Option<Input<Test>> {
    if name == "not-granted" {
        let place = gate::expire().unwrap_or(Place(777));
        return Some(Input::NotGranted { place, shortage: gate::short() });
    }
    // Whoever waits is granted a permit that comes free by it.
    let granted = match name {
        "granted" => {
            gate::add_one();
            gate::grant()
        }
        "granted-late" => None,
        _ => return None,
    };
    let (place, permit) = granted.unwrap_or_else(|| {
        gate::add_one();
        let permit = gate::TestGate.take_one().unwrap_or_else(gate::none_needed);
        (Place(777), permit)
    });
    Some(Input::Granted { place, permit })
}

/// The change of how it stands that is called `name`.
fn standing(name: &str) -> Change {
    match name {
        "suspend" => Change::Stand(Verb::Suspend(SuspendReason::Requested)),
        "resume" => Change::Stand(Verb::Resume),
        "archive" => Change::Stand(Verb::Archive),
        "restore" => Change::Stand(Verb::Restore),
        "end" => Change::Stand(Verb::End),
        "expire" => Change::Stand(Verb::Expire),
        "pin" => Change::Patch(Patch::Pinned(true)),
        other => panic!("no input is called {other}"),
    }
}

/// What the store answers.
fn stored(name: &str) -> Input<Test> {
    let result = match name {
        "ok" => Ok(()),
        "unavailable" => Err(unavailable()),
        "unknown" => Err(outcome_unknown()),
        _ => Err(no_such_life()),
    };
    Input::Stored { result }
}

/// Those that have to do with leases.
fn lease_input(name: &str) -> Input<Test> {
    match name {
        "lease" => Input::Lease { op: take(8, 10, 2) },
        "renew" => Input::Lease { op: renew(9, 10) },
        "release" => Input::Lease { op: release(9) },
        "inherit" => inherit(5, 30),
        _ => Input::Save,
    }
}

/// The rows of a phase: input and what is expected of it. A row without a state leaves it as it
/// was, told by `before`.
fn rows(text: &str, before: &str) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (names, rest) = line.split_once(':').expect("a row has a colon behind its inputs");
        let (effects, state) = rest.split_once("=>").unwrap_or((rest, before));
        let expected = format!("{} => {}", effects.trim(), state.trim());
        rows.extend(names.split_whitespace().map(|name| (name.to_owned(), expected.clone())));
    }
    rows
}

#[test]
fn every_pair_has_exactly_one_row() {
    for (phase, _, text) in PHASES {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (name, _) in rows(text, "") {
            *counts.entry(name).or_default() += 1;
        }
        let expected = INPUTS.iter().map(|&name| (name.to_owned(), 1)).collect();
        assert_eq!(counts, expected, "in {phase}");
    }
    assert_eq!(INPUTS.iter().collect::<BTreeSet<_>>().len(), INPUTS.len());
}

// M7
#[test]
fn every_input_in_every_phase_does_what_its_row_says() {
    let mut wrong = Vec::new();
    for (phase, reach, text) in PHASES {
        for (name, expected) in rows(text, &reach().digest()) {
            let mut rig = reach();
            let effects = apply(&mut rig, &name);
            let found = format!("{effects} => {}", rig.digest());
            if found != expected {
                wrong.push(format!("{phase}, {name}:\n  expected {expected}\n  found    {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A new kind of input or phase does not compile until it has a number here, and fails until it has
/// a name and rows above.
#[test]
fn every_kind_of_input_and_of_phase_is_in_the_table() {
    let kind = |name: &&str| match input(name) {
        Input::Begin { .. } => 0,
        Input::LeaveQueue { .. } => 1,
        Input::Commit { .. } => 2,
        Input::Fail { .. } => 3,
        Input::Drop { .. } => 4,
        Input::Cancel { .. } => 5,
        Input::Change { .. } => 6,
        Input::Delete { .. } => 7,
        Input::AwaitDelete { .. } => 8,
        Input::Alarm => 9,
        Input::Stored { .. } => 10,
        Input::Look { .. } => 11,
        Input::Unload { .. } => 12,
        Input::Take { .. } => 13,
        Input::Keep { .. } => 14,
        Input::Clear { .. } => 15,
        Input::Granted { .. } => 16,
        Input::NotGranted { .. } => 17,
        Input::Lease { .. } => 18,
        Input::Inherit { .. } => 19,
        Input::Save => 20,
    };
    let kinds: BTreeSet<u8> = INPUTS.iter().map(kind).collect();
    assert_eq!(kinds, (0..=20).collect());

    let phase = |(_, reach, _): &Row| match reach().state.phase() {
        Phase::Live => 0,
        Phase::Closing(_) => 1,
        Phase::Gone(_) => 2,
        Phase::Left => 3,
        Phase::Shut(_) => 4,
    };
    let phases: BTreeSet<u8> = PHASES.iter().map(phase).collect();
    assert_eq!(phases, (0..=4).collect());
}

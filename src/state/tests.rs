//! The rules of a session, driven without a runtime: inputs in, effects out, time by hand.
//!
//! - [`table`]: every input in every phase, a row each;
//! - `admission`, `turns`, `closing`, `stalls`, `storing`, `partials`, `requests`, `redo`, `steering`,
//!   `branches`, `stale`, `idle`, `leases`, `expiring`: the promises, a sentence each;
//! - [`property`]: random inputs, delays and faults against a model and a real store; also played from the
//!   bytes of a fuzzer, for which these modules are compiled without their tests.

#![cfg_attr(fuzzing, allow(unused, reason = "fuzzers play histories and run no tests"))]

mod admission;
mod audit;
mod begins;
mod branches;
mod capacity;
mod closing;
mod expiring;
mod gate;
mod idle;
mod leases;
mod partials;
pub(crate) mod property;
mod redo;
mod requests;
mod stale;
mod stalls;
mod steering;
mod storing;
mod summary;
mod table;
mod turns;

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use self::begins::{Name, named, redoing};
use super::{
    Asked, BeginRequest, Change, Effects, Input, Length, Pass, Phase, Ports, Redo, Replied,
    SessionState, Settings, Size, Snapshot, Special, Spoken, StallRule, Target, Ticket, Verb,
};
use crate::clock::{Moment, Now, Timestamp};
use crate::config::PartialConfig;
use crate::expiry::{Ages, Expiry, ExpiryRules};
use crate::id::{Generation, Incarnation, InstanceId, SessionId};
use crate::limit::Place;
use crate::outcome::CancelReason;
use crate::policy::{BusyPolicy, Grace, Parallel, PartialPolicy};
use crate::pulse::{Pulse, Pulsing, WorkPhase};
use crate::rt::Arc;
use crate::store::{
    FenceReason, InputFate, PartialPiece, Record, Request, ResumeAction, ResumeChange,
    RevisionReason, StoreError, TurnMarker, Write,
};
use crate::stream::{Draft, PieceFate};
use crate::tombstone::GoneReason;

/// Ports that are plain numbers.
#[derive(Debug)]
struct Test;

impl Ports for Test {
    type Begin = u32;
    type Settle = u32;
    type Change = u32;
    type Delete = u32;
    type Stream = u32;
    type Gate = gate::TestGate;
}

thread_local! {
    /// What the streams of a test have said, by their number.
    static SAID: RefCell<HashMap<u32, Draft>> = RefCell::default();
}

/// The stream `number` says `text`; answers whether a piece is due.
fn say(number: u32, text: &str, config: &PartialConfig) -> bool {
    SAID.with_borrow_mut(|said| {
        let new = || Draft::new(Moment::default(), config);
        said.entry(number).or_insert_with(new).push(text)
    })
}

impl Spoken for u32 {
    fn take_piece(&self) -> Option<PartialPiece> {
        SAID.with_borrow_mut(|said| said.get_mut(self)?.take_piece())
    }

    fn take_last(&self) -> Option<PartialPiece> {
        SAID.with_borrow_mut(|said| said.get_mut(self)?.take_last())
    }

    fn settle_piece(&self, fate: PieceFate) -> bool {
        SAID.with_borrow_mut(|said| said.get_mut(self).is_some_and(|it| it.settle_piece(fate)))
    }

    fn is_overdue(&self, now: Moment) -> bool {
        SAID.with_borrow_mut(|said| said.get_mut(self).is_some_and(|it| it.is_overdue(now)))
    }

    fn text(&self) -> Bytes {
        SAID.with_borrow(|said| said.get(self).map_or_else(Bytes::new, Draft::text))
    }
}

/// What sessions under test are loaded with, in the run `instance`.
fn settings(instance: u128, partials: PartialPolicy) -> Settings {
    let (at, instance) = (at(START), InstanceId::from_random(instance));
    let (expiry, ages) = (Arc::default(), Ages::default());
    Settings { at, instance, partials, max_branches: 3, expiry, ages, length: Length::default() }
}

thread_local! {
    /// How far the streams of a test have come, by their number.
    static PULSES: RefCell<HashMap<u32, Pulse>> = RefCell::default();
}

/// The stream `number` makes progress: a chunk or a heartbeat, or, if `work` says so, another phase.
fn beat(number: u32, work: Option<WorkPhase>) {
    PULSES.with_borrow_mut(|pulses| {
        let pulse = pulses.entry(number).or_default();
        pulse.beats += 1;
        pulse.work = work.unwrap_or(pulse.work);
    });
}

impl Pulsing for u32 {
    fn pulse(&self) -> Pulse {
        PULSES.with_borrow(|pulses| pulses.get(self).copied().unwrap_or_default())
    }
}

/// The life that all tests are about.
const LIFE: Incarnation = Incarnation::new(7);

/// The second at which a test begins.
const START: u64 = 100;

const QUEUE: BusyPolicy = BusyPolicy::queue();
const PARALLEL: BusyPolicy = BusyPolicy::Parallel(Parallel::FirstCommit);
const BRANCH: BusyPolicy = BusyPolicy::Parallel(Parallel::Branch);
const STEER: BusyPolicy = BusyPolicy::steer();

/// When the work of a turn that was told to end is aborted.
const ABORT_AFTER: Duration = Duration::from_secs(3);

/// A grace of `seconds`.
fn grace(seconds: u64) -> Grace {
    Grace::new(ABORT_AFTER, Duration::from_secs(seconds))
}

/// Interrupts with a grace of `seconds`.
const fn interrupt(seconds: u64) -> BusyPolicy {
    BusyPolicy::Interrupt { grace: Duration::from_secs(seconds), max: 16 }
}

/// The reading of the clocks at `second`; both show the same.
fn at(second: u64) -> Now {
    let since = Duration::from_secs(second);
    Now { moment: Moment::after_start(since), wall: Timestamp::from_millis(second * 1_000) }
}

/// A session that nobody has used, with the open turns that `markers` names.
fn record(markers: &[u64]) -> Record {
    let marker = |&number: &u64| TurnMarker {
        generation: Generation::new(number),
        instance: InstanceId::from_random(1),
        began_at: Timestamp::from_millis(1),
    };
    Record {
        id: SessionId::from_random(1),
        former_ids: Vec::new(),
        incarnation: LIFE,
        key: None,
        label: None,
        created_at: Timestamp::from_millis(1),
        last_active_at: Timestamp::from_millis(1),
        generation: Generation::new(markers.last().copied().unwrap_or(0)),
        version: 0,
        next_seq: 1 + markers.len() as u64,
        entries: markers.len() as u64,
        open: markers.iter().map(marker).collect(),
        class: None,
        standing: crate::standing::Standing::Active,
        expiry: None,
        pinned: false,
        crashes: 0,
        previous: None,
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable { what: "a test".into(), source: None }
}

fn outcome_unknown() -> StoreError {
    StoreError::OutcomeUnknown { what: "a test".into(), source: None }
}

fn no_such_life() -> StoreError {
    StoreError::fenced(FenceReason::NoSuchLife)
}

/// Something that happens to a session under test.
type Act = fn(&mut Rig) -> String;

/// A session under test. Each step is audited and answers with its effects, as [`summary`] tells
/// them.
struct Rig {
    state: SessionState<Test>,
    second: u64,
}

impl Rig {
    fn new() -> Self {
        Self::load(&record(&[]))
    }

    fn load(record: &Record) -> Self {
        Self::load_with(record, Vec::new(), PartialPolicy::Beside)
    }

    fn load_with(record: &Record, said: Vec<Bytes>, partials: PartialPolicy) -> Self {
        PULSES.take();
        SAID.take();
        gate::permits(None);
        let state = SessionState::load(record, said, settings(2, partials), gate::TestGate);
        Self { state, second: START }
    }

    /// A session that ends when it was not used for so long.
    fn expiring(idle: Duration) -> Self {
        let mut rig = Self::new();
        let rules = ExpiryRules { idle: Some(idle), ..ExpiryRules::default() };
        let expiry = Expiry::default().overlaid(&rules).unwrap();
        let record = record(&[]);
        let ages = Ages { active_at: record.last_active_at, ..Ages::default() };
        let usual = settings(2, PartialPolicy::Beside);
        let settings = Settings { expiry: Arc::new(expiry), ages, ..usual };
        rig.state = SessionState::load(&record, Vec::new(), settings, gate::TestGate);
        rig
    }

    fn stand(&mut self, verb: Verb) -> String {
        self.apply(Input::Change { change: Change::Stand(verb), port: 8 })
    }

    /// A session whose turn 1 runs.
    fn running() -> Self {
        let mut rig = Self::new();
        rig.begin(1, BusyPolicy::Reject);
        rig.ok();
        rig
    }

    fn apply(&mut self, input: Input<Test>) -> String {
        let mut effects = Effects::new();
        self.state.apply(input, at(self.second), &mut effects);
        assert_eq!(self.state.audit(), Vec::<String>::new());
        summary::effects(&effects)
    }

    /// What is open, waiting, fenced and unwritten, as [`summary`] tells it.
    fn digest(&self) -> String {
        summary::state(&self.state)
    }

    fn snapshot(&self) -> Snapshot {
        self.state.snapshot(at(self.second))
    }

    /// Begins a turn; `number` is its port, its stream and its ticket.
    fn begin(&mut self, number: u32, policy: BusyPolicy) -> String {
        self.apply(begin(number, policy))
    }

    fn commit(&mut self, generation: u64, port: u32) -> String {
        self.apply(commit(generation, port))
    }

    fn fail(&mut self, generation: u64, fate: InputFate, port: u32) -> String {
        self.apply(Input::Fail { generation: Generation::new(generation), fate, port })
    }

    fn drop_turn(&mut self, generation: u64) -> String {
        self.apply(Input::Drop { generation: Generation::new(generation), panicked: false })
    }

    /// Stops turn `generation`, which has `grace` seconds.
    fn stop(&mut self, generation: u64, grace: u64) -> String {
        self.apply(cancel(Target::Turn(Generation::new(generation)), grace))
    }

    /// The open turn `generation` makes progress.
    fn beat(&self, generation: u64, work: Option<WorkPhase>) {
        let generation = Generation::new(generation);
        let open = self.state.turns.iter().find(|turn| turn.generation == generation);
        beat(open.expect("it is open").stream, work);
    }

    fn look(&mut self, rule: StallRule) -> String {
        self.apply(Input::Look { rule })
    }

    fn delete(&mut self, port: u32) -> String {
        self.apply(delete(port))
    }

    /// Begins a turn under the name `name`, of which the store knew nothing.
    fn begin_named(&mut self, number: u32, policy: BusyPolicy, (name, digest): Name) -> String {
        let seen = self.snapshot().requests;
        self.apply(named(number, policy, (name, digest), seen))
    }

    /// The stream `number` says `text`, and what is due of it is given to the store.
    fn say(&mut self, number: u32, text: &str) {
        let config = self.partials();
        if say(number, text, &config) {
            self.keep(number);
        }
    }

    /// What was said by the stream `number` is given to the store. Here it has the number of its turn.
    fn keep(&mut self, number: u32) -> String {
        self.apply(Input::Keep { generation: Generation::new(number.into()) })
    }

    /// Two chunks make a piece.
    fn partials(&self) -> PartialConfig {
        let interrupted = self.state.partials;
        PartialConfig { interrupted, every_chunks: 2, ..PartialConfig::default() }
    }

    fn clear(&mut self, generation: u64, port: u32) -> String {
        self.apply(Input::Clear { generation: Generation::new(generation), port })
    }

    fn take_back(&mut self, redo: Redo, port: u32) -> String {
        let change = Change::TakeBack { redo, reason: RevisionReason::Rollback };
        self.apply(Input::Change { change, port })
    }

    fn put_back(&mut self, redo: Redo, revision: u64, entries: u64, port: u32) -> String {
        let back = Size { entries, bytes: entries };
        self.apply(Input::Change { change: Change::PutBack { redo, revision, back }, port })
    }

    /// Takes back all from the number `from` on, as is right now.
    fn redo(&self, from: u64) -> Redo {
        let (next_seq, version) = (self.state.next_seq, self.state.version);
        Redo { from, next_seq, version, open: false, taken: Size::default() }
    }

    fn append(&mut self, port: u32) -> String {
        let change = Change::Append(vec![Bytes::from_static(b"appended")]);
        self.apply(Input::Change { change, port })
    }

    /// Hands the next write to the store, if one waits and none is with it.
    fn send(&mut self) -> Option<Write> {
        self.state.next_write()
    }

    /// The store answers, after it was handed the next write if it has none.
    fn stored(&mut self, result: Result<(), StoreError>) -> String {
        self.send();
        self.apply(Input::Stored { result })
    }

    fn ok(&mut self) -> String {
        self.stored(Ok(()))
    }

    /// The store answers well until nothing is left to write.
    fn flush(&mut self) -> String {
        let mut told = Vec::new();
        while !self.state.outbox.is_empty() {
            told.push(self.ok());
        }
        told.retain(|told| !told.is_empty());
        told.join(" ")
    }
}

fn begin(number: u32, policy: BusyPolicy) -> Input<Test> {
    begin_with(number, policy, |_| ())
}

fn begin_with(number: u32, policy: BusyPolicy, edit: fn(&mut BeginRequest)) -> Input<Test> {
    let mut request = BeginRequest {
        ticket: Ticket(number.into()),
        input: Some(Bytes::from(format!("input {number}"))),
        policy,
        expect_version: None,
        draining: false,
        abort_after: ABORT_AFTER,
        special: None,
    };
    edit(&mut request);
    Input::Begin { request, port: number, stream: number, pass: Pass::Ask { waited: false } }
}

fn commit(generation: u64, port: u32) -> Input<Test> {
    let entries = vec![Bytes::from(format!("reply {generation}"))];
    let reply = Replied { entries, ..Replied::default() };
    Input::Commit { generation: Generation::new(generation), reply, port }
}

/// Counts an attempt on a handle of an outside service.
fn attempt() -> ResumeChange {
    ResumeChange { provider: "cli".to_owned(), action: ResumeAction::Attempt { digest: 7 } }
}

fn cancel(target: Target, seconds: u64) -> Input<Test> {
    Input::Cancel { target, reason: CancelReason::Stopped, grace: grace(seconds) }
}

fn delete(port: u32) -> Input<Test> {
    Input::Delete { reason: GoneReason::Deleted, keep_for: Duration::from_secs(60), port }
}

fn leave(ticket: u64) -> Input<Test> {
    Input::LeaveQueue { ticket: Ticket(ticket) }
}

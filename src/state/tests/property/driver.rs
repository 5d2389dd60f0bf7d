//! The shell, played: with a real store and a clock set by hand.

mod finding;
mod leasing;
mod permits;
mod resting;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use self::finding::{Back, Last};
use super::super::gate::{self, TestGate, TestPermit};
use super::super::{
    ABORT_AFTER, BeginRequest, CancelReason, Change, Effects, Generation, GoneReason, Input,
    InputFate, Moment, PULSES, PartialPolicy, Phase, Replied, SAID, SessionId, SessionState,
    Settings, Special, StoreError, Target, Test, Ticket, Timestamp, Write, attempt, beat, commit,
    outcome_unknown, settings, unavailable,
};
use super::model::Model;
use super::{Fault, Step};
use crate::clock::Now;
use crate::limit::Place;
use crate::policy::Grace;
use crate::pulse::WorkPhase;
use crate::standing::SuspendReason;
use crate::state::{Effect, LeaveReason, Length, Pass, Patch, Pending, Size, Verb};
use crate::store::{
    BranchRecord, Created, DataChange, FenceReason, Found, MemoryStore, NewRecord, Record, Store,
    StoredEntry,
};

/// A grace, with the usual time until the abort.
fn patience(grace: Duration) -> Grace {
    Grace::new(ABORT_AFTER, grace)
}

/// The shell.
pub(super) struct Driver {
    state: SessionState<Test>,
    model: Model,
    store: MemoryStore,
    record: Record,
    clock: Duration,
    /// The number of the next port.
    port: u32,
    /// The turns that were given out and have not reported.
    held: Vec<Generation>,
    /// The store's answer for the write it has.
    in_flight: Option<(Result<(), StoreError>, Write)>,
    /// What becomes of replies that are not finished.
    partials: PartialPolicy,
    /// The names of which the store knew nothing when it was asked, and how many it had stored then.
    asked: BTreeMap<u8, u64>,
    /// What was found out about the last turns.
    found: Option<Last>,
    /// What was found out about a revision.
    found_back: Option<Back>,
    /// When a turn was opened or ended last, a change was told, somebody was there, or a lease began or ended.
    last_work: Option<Duration>,
    /// The changes that count as use, by port.
    uses: BTreeSet<u32>,
    /// Whether a delete happened whose outcome was not known.
    deleted_unknown: bool,
    /// The permits that are on their way to who waited for them.
    granted: Vec<(Place, TestPermit)>,
}

impl Driver {
    pub(super) fn new(partials: PartialPolicy, permits: Option<usize>) -> Self {
        gate::permits(permits);
        PULSES.take();
        SAID.take();
        let store = MemoryStore::new();
        let new = NewRecord::new(SessionId::from_random(1), Timestamp::from_millis(1));
        let created = store.create(new).now().expect("at once").expect("no faults");
        let Created::Created(created) = created else { panic!("a fresh id") };
        Self {
            state: SessionState::load(&created, Vec::new(), settings(2, partials), TestGate),
            model: Model::new(&created, &[], partials, &[]),
            store,
            record: created,
            clock: Duration::from_secs(100),
            port: 0,
            held: Vec::new(),
            in_flight: None,
            partials,
            asked: BTreeMap::new(),
            found: None,
            found_back: None,
            last_work: None,
            uses: BTreeSet::new(),
            deleted_unknown: false,
            granted: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        let millis = u64::try_from(self.clock.as_millis()).expect("a short test");
        Now { moment: Moment::after_start(self.clock), wall: Timestamp::from_millis(millis) }
    }

    fn port(&mut self) -> u32 {
        self.port += 1;
        self.port
    }

    /// Applies one input and holds the effects against the model.
    fn apply(&mut self, input: Input<Test>) {
        let was_live = matches!(self.state.phase, Phase::Live | Phase::Shut(_));
        let unwritten = self.state.outbox.len();
        let deletes = usize::from(matches!(input, Input::Delete { .. }));
        let written = match (&input, &self.in_flight) {
            (Input::Stored { .. }, Some((_, write))) => Some(write),
            _ => None,
        };
        let mut effects = Effects::new();
        let now = self.now();
        let alarm = matches!(input, Input::Alarm);
        self.model.before(&input, written, now.moment);
        self.state.apply(input, now, &mut effects);
        assert_eq!(self.state.audit(), Vec::<String>::new());
        for effect in effects {
            let changes = matches!(&effect, Effect::Changed { port, answer: Ok(_) }
                if self.uses.contains(port));
            if changes || matches!(effect, Effect::Opened { .. } | Effect::End { .. }) {
                self.last_work = Some(self.clock);
            }
            self.last_work = self.last_work.max(self.lease_work(&effect));
            if let Effect::Begun { generation, .. } = effect {
                self.held.push(generation);
            }
            if let Effect::Opened { generation, .. } = effect {
                self.model.effect(effect);
                self.model.stands(generation, self.parent(generation));
            } else {
                self.model.effect(effect);
            }
        }
        self.model.after(&self.state.phase, self.state.asking.is_some());
        let held = self.state.permits() + self.granted.len();
        assert_eq!(gate::counted().0, held, "a permit is out that nobody has");
        let leases: Vec<_> = self.state.leases(now.moment).map(|lease| lease.number).collect();
        let ends = match &self.state.phase {
            Phase::Live | Phase::Left => false,
            Phase::Shut(standing) => !standing.is_routable(),
            Phase::Closing(_) | Phase::Gone(_) => true,
        };
        self.model.leases(&leases, ends, alarm);
        if !was_live {
            assert!(self.state.outbox.len() <= unwritten + deletes, "written behind a delete");
            assert_eq!(self.state.echoes.len(), self.model.echoing());
        } else if matches!(self.state.phase, Phase::Closing(_) | Phase::Gone(_)) {
            assert_eq!(self.state.outbox.len(), unwritten + 1);
            assert!(matches!(self.state.outbox.back(), Some(Pending::Delete { .. })));
        }
        assert_eq!(self.state.snapshot(now).turns.len(), self.model.open_turns());
        assert_eq!(self.state.snapshot(now).queued, self.model.waiting());
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Begin { .. } => self.begin(step),
            Step::Find(find) => self.find(find),
            Step::Leave(which) => {
                let ticket = Ticket(self.model.waiter(which).map_or(0, u64::from));
                self.apply(Input::LeaveQueue { ticket });
            }
            Step::Commit { turn, entries } => self.commit(turn, entries),
            Step::Fail { turn, drop_input } => {
                let Some(generation) = self.take_held(turn) else { return };
                let fate = if drop_input { InputFate::Drop } else { InputFate::Keep };
                let port = self.port();
                self.apply(Input::Fail { generation, fate, port });
            }
            Step::Drop { turn, panicked } => {
                let Some(generation) = self.take_held(turn) else { return };
                self.apply(Input::Drop { generation, panicked });
            }
            Step::Cancel { turn, grace } => {
                let (reason, grace) = (CancelReason::Stopped, patience(grace));
                let target = Target::Turn(Generation::new(turn));
                self.apply(Input::Cancel { target, reason, grace });
            }
            Step::CancelAll { grace } => {
                let (reason, grace) = (CancelReason::Reset, patience(grace));
                self.apply(Input::Cancel { target: Target::Everything, reason, grace });
            }
            Step::Change(which) => self.change(which),
            Step::Delete => {
                let (port, keep_for) = (self.port(), Duration::from_hours(24));
                self.apply(Input::Delete { reason: GoneReason::Deleted, keep_for, port });
            }
            Step::AwaitDelete => {
                let port = self.port();
                self.apply(Input::AwaitDelete { port });
            }
            Step::Alarm => self.apply(Input::Alarm),
            Step::Beat { turn, work } => self.beat(turn, work),
            Step::Look(rule) => self.apply(Input::Look { rule }),
            Step::Advance(duration) => self.clock += duration,
            Step::Send(fault) => self.send(fault),
            Step::Answer => self.answer(),
            Step::Flush => {
                while self.in_flight.is_some() || self.state.has_unsent() {
                    self.answer();
                    self.send(Fault::None);
                }
            }
            Step::Touch => self.touch(),
            Step::Save => self.apply(Input::Save),
            Step::Lease { op, which, seconds } => self.lease(op, which, seconds),
            Step::Reload => self.reload(),
            Step::Unload { unused_for } => self.unload(unused_for),
            Step::Permit(which) => self.permit(which),
        }
    }

    fn begin(&mut self, step: Step) {
        let Step::Begin { policy, version, input, draining, name } = step else { return };
        let request = match name.map(|name| self.asked_for(name)) {
            Some(None) => return,
            asked => asked.flatten(),
        };
        let port = self.port();
        let special = request.is_some().then(|| Box::new(Special { redo: None, request }));
        let request = BeginRequest {
            ticket: Ticket(port.into()),
            input: input.then(|| Bytes::from(format!("input {port}"))),
            policy,
            expect_version: version,
            draining,
            abort_after: ABORT_AFTER,
            special,
        };
        self.apply(Input::Begin { request, port, stream: port, pass: Pass::Ask { waited: false } });
    }

    fn commit(&mut self, turn: usize, entries: usize) {
        let Some(generation) = self.take_held(turn) else { return };
        let port = self.port();
        let entry = |number| Bytes::from(format!("reply {port}.{number}"));
        let entries = (0..entries).map(entry).collect();
        let reply = Replied { entries, ..Replied::default() };
        self.apply(Input::Commit { generation, reply, port });
    }

    /// One of the open turns makes progress.
    fn beat(&self, which: usize, work: Option<WorkPhase>) {
        let turn = self.held.get(which % self.held.len().max(1));
        let stream = turn.and_then(|&turn| self.state.stream(turn));
        if let Some(stream) = stream {
            beat(stream, work);
        }
    }

    fn change(&mut self, which: usize) {
        let port = self.port();
        let change = match which {
            3 => Change::Stand(Verb::Suspend(SuspendReason::Requested)),
            4 => Change::Stand(Verb::Archive),
            5 => Change::Stand(Verb::End),
            6 => Change::Stand(Verb::Expire),
            7..12 => Change::Stand(Verb::Resume),
            12..16 => Change::Stand(Verb::Restore),
            16 => Change::Patch(Patch::Pinned(true)),
            0 => Change::Append(vec![Bytes::from(format!("note {port}"))]),
            1 => Change::Data(vec![DataChange { name: "mood".into(), value: None }]),
            17 => Change::Resume(Box::new(attempt())),
            2 => Change::Label(Some(format!("label {port}"))),
            _ => Change::Rotate(Box::new(SessionId::new(&format!("further-{port}")).unwrap())),
        };
        let quiet = matches!(
            change,
            Change::Stand(_) | Change::Patch(_) | Change::Label(_) | Change::Resume(_)
        );
        if !quiet {
            self.uses.insert(port);
        }
        self.apply(Input::Change { change, port });
    }

    /// One of the turns that were given out, which now reports.
    fn take_held(&mut self, which: usize) -> Option<Generation> {
        let count = self.held.len();
        (count > 0).then(|| self.held.remove(which % count))
    }

    /// Hands the next write to the store. One that is not made to fail is never refused.
    fn send(&mut self, fault: Fault) {
        let Some(write) = self.state.next_write() else { return };
        assert!(self.in_flight.is_none(), "the store has a write already");
        self.model.writes(&write);
        let written = write.clone();
        if let Write::Begin { extra: Some(extra), .. } = &write
            && let Some(request) = &extra.request
        {
            assert_eq!(self.request(&request.key), None, "begun twice under one name");
        }
        let deletes = matches!(write, Write::Delete { .. });
        let keeps = matches!(fault, Fault::None | Fault::UnknownAndKept);
        let kept = if keeps {
            let id = &self.record.id;
            self.store.write(id, self.record.incarnation, write).now().expect("at once")
        } else {
            Ok(())
        };
        if deletes && self.deleted_unknown {
            assert!(
                kept.is_ok()
                    || matches!(kept, Err(StoreError::Fenced { reason: FenceReason::NoSuchLife }))
            );
        } else if self.model.clears(&written) {
            let over = StoreError::fenced(FenceReason::TurnNotOpen);
            assert!(kept.is_ok() || format!("{kept:?}") == format!("{:?}", Err::<(), _>(over)));
        } else {
            assert!(kept.is_ok(), "the store refused {kept:?} for {written:?}");
        }
        let result = match fault {
            Fault::None => kept,
            Fault::Unavailable => Err(unavailable()),
            Fault::UnknownAndLost | Fault::UnknownAndKept => {
                self.deleted_unknown |= deletes && keeps;
                Err(outcome_unknown())
            }
        };
        self.in_flight = Some((result, written));
    }

    /// Brings the store's answer back.
    fn answer(&mut self) {
        let Some((result, _)) = self.in_flight.clone() else { return };
        self.apply(Input::Stored { result });
        self.in_flight = None;
    }

    /// Lets the session leave, if it may; then the record says what it knew.
    fn unload(&mut self, unused_for: Duration) {
        let unused_since = Moment::after_start(self.clock.saturating_sub(unused_for));
        let was_live = matches!(self.state.phase, Phase::Live | Phase::Shut(_));
        self.apply(Input::Unload { unused_since, reason: LeaveReason::Idle });
        if !was_live || matches!(self.state.phase, Phase::Live | Phase::Shut(_)) {
            return;
        }
        assert!(self.held.is_empty() && self.in_flight.is_none(), "somebody was not done");
        assert!(self.last_work.is_none_or(|at| at + unused_for <= self.clock), "it was used since");
        assert!(self.model.is_free(), "a lease keeps it");
        let found = self.store.look_up(&self.record.id, self.now().wall).now().expect("at once");
        let Found::Live(record) = found.expect("no faults") else { panic!("nothing deleted it") };
        let known = self.state.snapshot(self.now());
        assert_eq!((record.version, record.generation), (known.version, known.generation));
        assert_eq!(record.next_seq, self.state.next_seq);
        assert_eq!(record.last_active_at, known.last_active_at);
        assert!(record.open.is_empty());
    }

    /// Loads the session again after it was left; what its turns report later goes to the old state.
    fn reload(&mut self) {
        if !matches!(self.state.phase, Phase::Left) {
            return;
        }
        while let Some(generation) = self.take_held(0) {
            let port = self.port();
            self.apply(commit(generation.get(), port));
        }
        assert!(!self.state.has_holders());
        self.model.settled();
        let found = self.store.look_up(&self.record.id, self.now().wall).now().expect("at once");
        let Found::Live(record) = found.expect("no faults") else { panic!("nothing deleted it") };
        self.model.keeps_beginnings(|turn| self.partial(turn));
        let said: Vec<_> = record.open.iter().map(|it| self.partial(it.generation)).collect();
        let entries = matches!(self.partials, PartialPolicy::Entry);
        let for_state = if entries { said.clone() } else { Vec::new() };
        // From when on it is idle.
        let length = Length { size: self.size(), max: Size::default() };
        let settings = Settings { at: self.now(), length, ..settings(3, self.partials) };
        let leases = self.state.bequeath();
        self.state = SessionState::load(&record, for_state, settings, TestGate);
        self.model.reload(&record, &self.entries(), self.partials, &said);
        self.model.stood(&self.branches());
        if let Some(leases) = leases {
            self.apply(Input::Inherit { leases });
        }
        // Whoever asked before asks again.
        self.asked.clear();
    }

    fn branches(&self) -> Vec<BranchRecord> {
        let (id, life) = (&self.record.id, self.record.incarnation);
        self.store.branches(id, life).now().expect("at once").expect("no faults")
    }

    /// How long the conversation is that is stored.
    fn size(&self) -> Size {
        Size::of(self.entries().iter().map(|entry| entry.payload.len()))
    }

    fn entries(&self) -> Vec<StoredEntry> {
        let (id, life) = (&self.record.id, self.record.incarnation);
        self.store.entries(id, life, 0, usize::MAX).now().expect("at once").expect("no faults")
    }
}

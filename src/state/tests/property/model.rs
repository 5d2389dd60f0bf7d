//! What the state may do, said again in the plainest words that suffice: lists, and no cleverness.

mod effects;
mod stalls;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use self::stalls::Watch;
use super::super::{BusyPolicy, Change, Generation, Input, InputFate, Moment, Record, Test, Write};
use crate::id::{Incarnation, StreamId};
use crate::outcome::{CancelReason, TurnOutcome};
use crate::pulse::Pulse;
use crate::state::{Budget, Changed, Settlement};
use crate::store::{EntryMark, StoredEntry};

/// A begin; its port is its stream too.
#[derive(Clone, Debug)]
struct Begin {
    port: u32,
    policy: BusyPolicy,
    version: Option<u64>,
    input: Option<Bytes>,
}

/// A turn that runs.
#[derive(Debug)]
struct Turn {
    generation: Generation,
    stream: u32,
    /// The number of its input.
    input: Option<u64>,
    /// How many had committed at its begin.
    base: usize,
    told: Option<CancelReason>,
    /// Whether its work was aborted.
    aborted: bool,
    /// Whether its holder has it.
    given: bool,
    /// What was seen of it: first when it had begun, then at each look.
    seen: Vec<Seen>,
    /// Which of them found it stuck, and how.
    stuck: Vec<(usize, Budget)>,
}

/// What was seen of a turn.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Moment,
    pulse: Pulse,
}

/// A session, as its callers may understand it.
#[derive(Debug)]
pub(super) struct Model {
    life: Incarnation,
    over: bool,
    deleted: bool,
    /// Whether the store has just failed.
    failing: bool,
    newest: Generation,
    version: u64,
    next_seq: u64,
    /// The transcript, by number.
    lines: BTreeMap<u64, (Bytes, EntryMark)>,
    /// What somebody was told is durable, and no turn has dropped since.
    acknowledged: BTreeMap<u64, Bytes>,
    open: Vec<Turn>,
    queue: Vec<Begin>,
    /// The begin that is being decided, and what it has to be told if it may not wait.
    newcomer: Option<(Begin, Option<&'static str>)>,
    /// Who committed, in order.
    commits: Vec<Generation>,
    /// Turns that were ended over their holder's head.
    fenced: BTreeMap<Generation, CancelReason>,
    /// Turns whose begin waits for the store: who is told.
    starting: BTreeMap<Generation, u32>,
    /// How turns that are over have to be told to end, by stream.
    outcomes: BTreeMap<u32, TurnOutcome>,
    /// The streams that owe an end.
    endless: BTreeSet<u32>,
    /// The ports that owe an answer.
    owed: BTreeSet<u32>,
    /// What those who settle have to be told.
    settles: BTreeMap<u32, Settlement>,
    /// What the watch sees.
    watch: Watch,
    /// What those who change something have to be told.
    changes: BTreeMap<u32, Changed>,
    /// What those who commit or append have written.
    written: BTreeMap<u32, Vec<(u64, Bytes)>>,
}

impl Model {
    pub(super) fn new(record: &Record, entries: &[StoredEntry]) -> Self {
        let stale = |entry: &StoredEntry| {
            record.open.iter().any(|marker| Some(marker.generation) == entry.generation)
        };
        let line = |entry: &StoredEntry| {
            let mark = if stale(entry) { EntryMark::Unanswered } else { entry.mark };
            (entry.seq, (entry.payload.clone(), mark))
        };
        Self {
            life: record.incarnation,
            newest: record.generation,
            version: record.version,
            next_seq: record.next_seq,
            lines: entries.iter().map(line).collect(),
            over: false,
            deleted: false,
            failing: false,
            acknowledged: BTreeMap::new(),
            open: Vec::new(),
            queue: Vec::new(),
            newcomer: None,
            commits: Vec::new(),
            fenced: BTreeMap::new(),
            starting: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            endless: BTreeSet::new(),
            owed: BTreeSet::new(),
            settles: BTreeMap::new(),
            watch: Watch::default(),
            changes: BTreeMap::new(),
            written: BTreeMap::new(),
        }
    }

    /// The session was loaded again; what was acknowledged has to be there.
    pub(super) fn reload(&mut self, record: &Record, entries: &[StoredEntry]) {
        let acknowledged = std::mem::take(&mut self.acknowledged);
        *self = Self { acknowledged, ..Self::new(record, entries) };
        self.keeps_what_was_acknowledged();
    }

    pub(super) fn open_turns(&self) -> usize {
        self.open.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// One of those who wait.
    pub(super) fn waiter(&self, which: usize) -> Option<u32> {
        self.queue.get(which % self.queue.len().max(1)).map(|begin| begin.port)
    }

    /// The turns that were told to end and have not.
    pub(super) fn told(&self) -> Vec<Generation> {
        self.open.iter().filter(|it| it.told.is_some()).map(|it| it.generation).collect()
    }

    /// Nobody waits for anything.
    pub(super) fn settled(&self) {
        assert!(self.owed.is_empty(), "nobody answered {:?}", self.owed);
        assert!(self.endless.is_empty(), "without an end: {:?}", self.endless);
        assert!(self.open.is_empty() && self.queue.is_empty());
    }

    /// A write goes to the store.
    pub(super) fn writes(&self, write: &Write) {
        if let Write::Commit { generation, .. } = write {
            assert!(self.commits.contains(generation), "a commit that was refused is written");
            assert!(!self.fenced.contains_key(generation), "a fenced turn commits");
        }
    }

    /// Takes in an input before its effects are seen; `begins` is the turn whose begin the store has
    /// kept.
    pub(super) fn before(&mut self, input: &Input<Test>, begins: Option<Generation>, now: Moment) {
        self.failing = matches!(input, Input::Stored { result: Err(_) });
        match input {
            Input::Begin { request, port, .. } => {
                self.owed.insert(*port);
                let (policy, version) = (request.policy, request.expect_version);
                let verdict = self.verdict(policy, version, request.draining);
                let input = request.input.clone();
                self.newcomer = Some((Begin { port: *port, policy, version, input }, verdict));
            }
            Input::Commit { generation, entries, port, .. } => {
                self.owed.insert(*port);
                let answer = self.commit(*generation, entries, *port);
                self.settles.insert(*port, answer);
            }
            Input::Fail { generation, fate, port } => {
                self.owed.insert(*port);
                let answer = match self.end(*generation, TurnOutcome::Failed, *fate) {
                    Some(Turn { told: None, .. }) => Settlement::Failed,
                    Some(Turn { told: Some(reason), .. }) => Settlement::Stale { reason },
                    None => self.stale(*generation),
                };
                self.settles.insert(*port, answer);
            }
            Input::Drop { generation, panicked } => {
                let outcome =
                    if *panicked { TurnOutcome::Panicked } else { TurnOutcome::Abandoned };
                self.end(*generation, outcome, InputFate::Keep);
            }
            Input::Change { change, port } => {
                self.owed.insert(*port);
                self.change(change, *port);
            }
            Input::Delete { port, .. } | Input::AwaitDelete { port } => {
                self.owed.insert(*port);
            }
            Input::Stored { .. } => {
                let given_to_nobody = self
                    .open
                    .iter()
                    .find(|turn| Some(turn.generation) == begins && turn.told.is_some());
                if let Some(turn) = given_to_nobody {
                    self.end(turn.generation, TurnOutcome::Abandoned, InputFate::Keep);
                }
                for turn in self.open.iter_mut().filter(|it| Some(it.generation) == begins) {
                    turn.given = true;
                    turn.seen.push(Seen { at: now, pulse: Pulse::default() });
                }
            }
            Input::Look { rule } => self.look(rule, now),
            Input::Cancel { .. }
            | Input::LeaveQueue { .. }
            | Input::Alarm
            | Input::Unload { .. }
            | Input::Keep { .. }
            | Input::Take { .. }
            | Input::Clear { .. } => {}
        }
    }

    /// What a begin has to be told at once; nothing if it has to wait.
    fn verdict(
        &self,
        policy: BusyPolicy,
        version: Option<u64>,
        draining: bool,
    ) -> Option<&'static str> {
        let conflict = version.is_some_and(|version| version != self.version);
        let admitted = Some(if conflict { "conflict" } else { "opened" });
        let max = match policy {
            _ if self.over => return Some("over"),
            _ if draining => return Some("draining"),
            _ if self.open.is_empty() => return admitted,
            BusyPolicy::Parallel(_) if self.queue.is_empty() => return admitted,
            BusyPolicy::Reject => return Some("busy"),
            BusyPolicy::Queue { max, .. }
            | BusyPolicy::Steer { max, .. }
            | BusyPolicy::Interrupt { max, .. } => max,
            BusyPolicy::Parallel(_) => 16,
        };
        let full = (self.queue.len() >= max).then_some("full");
        full.or_else(|| conflict.then_some("conflict"))
    }

    /// What a commit has to be told.
    fn commit(&mut self, generation: Generation, entries: &[Bytes], port: u32) -> Settlement {
        let Some(turn) = self.open.iter().find(|turn| turn.generation == generation) else {
            return self.stale(generation);
        };
        let (base, told) = (turn.base, turn.told);
        if let Some(reason) = told {
            self.end(generation, TurnOutcome::Abandoned, InputFate::Keep);
            return Settlement::Stale { reason };
        }
        if let Some(&by) = self.commits.get(base..).and_then(<[Generation]>::last) {
            self.end(generation, TurnOutcome::Superseded, InputFate::Aside);
            return Settlement::Superseded { by: StreamId::new(self.life, by) };
        }
        self.end(generation, TurnOutcome::Committed, InputFate::Keep);
        self.commits.push(generation);
        self.version += 1;
        self.write(entries, port);
        Settlement::Committed { seq: self.next_seq - 1, version: self.version }
    }

    /// What the holder of a turn that does not run has to be told.
    fn stale(&self, generation: Generation) -> Settlement {
        let reason = self.fenced.get(&generation).copied();
        Settlement::Stale { reason: reason.unwrap_or(CancelReason::StoreFailed) }
    }

    fn change(&mut self, change: &Change, port: u32) {
        if self.over {
            return;
        }
        match change {
            Change::Append(entries) => {
                self.version += 1;
                self.write(entries, port);
            }
            Change::Data(_) => self.version += 1,
            Change::Label(_) | Change::TakeBack(_) => {}
        }
        let changed = Changed { version: self.version, last_seq: self.next_seq - 1 };
        self.changes.insert(port, changed);
    }

    /// Adds lines to the transcript, which `port` will be told of.
    fn write(&mut self, entries: &[Bytes], port: u32) {
        let numbered: Vec<_> = (self.next_seq..).zip(entries.iter().cloned()).collect();
        self.next_seq += entries.len() as u64;
        for (seq, payload) in &numbered {
            self.lines.insert(*seq, (payload.clone(), EntryMark::Kept));
        }
        self.written.insert(port, numbered);
    }

    /// Ends a turn that runs; answers which, if it did run.
    fn end(
        &mut self,
        generation: Generation,
        outcome: TurnOutcome,
        fate: InputFate,
    ) -> Option<Turn> {
        let place = self.open.iter().position(|turn| turn.generation == generation)?;
        let turn = self.open.remove(place);
        let outcome = turn.told.map_or(outcome, TurnOutcome::Cancelled);
        self.outcomes.insert(turn.stream, outcome);
        if let Some(seq) = turn.input.filter(|_| outcome != TurnOutcome::Committed) {
            let line = self.lines.get_mut(&seq).expect("it was written");
            match fate {
                InputFate::Keep => line.1 = EntryMark::Unanswered,
                InputFate::Aside => line.1 = EntryMark::Aside,
                InputFate::Drop => {
                    self.lines.remove(&seq);
                    self.acknowledged.remove(&seq);
                }
            }
        }
        Some(turn)
    }
}

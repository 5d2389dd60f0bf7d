//! What the state may do, said again in the plainest words that suffice: lists, and no cleverness.

mod admission;
mod branches;
mod changes;
mod effects;
mod leases;
mod names;
mod partials;
mod revisions;
mod stalls;
mod standing;
mod steering;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use self::branches::Stands;
use self::leases::Leases;
use self::names::{Echo, Name};
use self::partials::Said;
use self::stalls::Watch;
use self::standing::Stand;
use super::super::{
    BeginRequest, BusyPolicy, Generation, Input, InputFate, Moment, PartialPolicy, Record, Redo,
    Test, Write,
};
use crate::id::{Incarnation, SessionId, StreamId};
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
    name: Option<Name>,
    redo: Option<Redo>,
}

impl Begin {
    fn of(request: &BeginRequest, port: u32) -> Self {
        let special = request.special.as_deref();
        let redo = special.and_then(|special| special.redo);
        let name = special.and_then(|special| special.request.as_ref()).map(Name::of);
        let (policy, version) = (request.policy, request.expect_version);
        Self { port, policy, version, input: request.input.clone(), name, redo }
    }
}

/// A turn that runs.
#[derive(Debug)]
struct Turn {
    generation: Generation,
    stream: u32,
    /// The number of its input.
    input: Option<u64>,
    /// The numbers of what was said to it later.
    took: Vec<u64>,
    /// Whether its reply stands beside others.
    branches: bool,
    name: Option<Name>,
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

/// What a begin may be told: one of these.
type Verdict = &'static [&'static str];

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
    /// Whether it takes turns.
    stand: Stand,
    /// Whether the store has just failed.
    failing: bool,
    newest: Generation,
    version: u64,
    next_seq: u64,
    /// The transcript, by number.
    lines: BTreeMap<u64, (Bytes, EntryMark)>,
    /// Which turns wrote the lines.
    owners: BTreeMap<u64, Generation>,
    /// What somebody was told is durable, and no turn has dropped since.
    acknowledged: BTreeMap<u64, Bytes>,
    open: Vec<Turn>,
    queue: Vec<Begin>,
    /// The begin that is being decided, and what it may be told if it may not wait.
    newcomer: Option<(Begin, Option<Verdict>)>,
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
    /// What becomes of replies that are not finished.
    partials: PartialPolicy,
    /// What turns have said.
    said: BTreeMap<Generation, Said>,
    /// What stands under what.
    stands: Stands,
    /// What was handed to turns and is not stored: who said it, to whom, and its number.
    steers: BTreeMap<u32, (Generation, u64)>,
    /// The turns that were told in this step that there is something for them.
    offered: BTreeSet<u32>,
    /// Who was the first in the queue before this step, and which turns could take something.
    before: (Option<u32>, Vec<u32>),
    /// The begins that repeat others, by port.
    echoes: BTreeMap<u32, Echo>,
    /// What each begin with a name became in this step.
    became: BTreeMap<u32, &'static str>,
    /// What those who repeat others were told in this step.
    told_echoes: Vec<(u32, &'static str)>,
    /// The names of begins, by port.
    names: BTreeMap<u32, Name>,
    /// Who began each turn.
    streams: BTreeMap<Generation, u32>,
    /// The turns that are over and whose ends are not stored.
    endings: BTreeSet<Generation>,
    /// How many begins with a name were stored.
    named: u64,
    /// The turn whose begin has just been stored.
    begun: Option<Generation>,
    /// Who has just gone away.
    leaving: Option<u32>,
    /// The transcript as whoever takes something back saw it.
    seen: Vec<u64>,
    /// The entries of the revision that is put back next, as whoever does it saw them.
    returning: Vec<StoredEntry>,
    /// The turns that are to be cleared.
    clearing: BTreeSet<Generation>,
    /// The leases that stand.
    leases: Leases,
    /// What those who change something have to be told.
    changes: BTreeMap<u32, Changed>,
    /// The further ids that are on their way, by who gives them.
    rotations: BTreeMap<u32, SessionId>,
    /// What those who commit or append have written.
    written: BTreeMap<u32, Vec<(u64, Bytes)>>,
}

impl Model {
    pub(super) fn new(
        record: &Record,
        entries: &[StoredEntry],
        partials: PartialPolicy,
        said: &[Bytes],
    ) -> Self {
        let stale = |entry: &StoredEntry| {
            record.open.iter().any(|marker| Some(marker.generation) == entry.generation)
        };
        let line = |entry: &StoredEntry| {
            let mark = if stale(entry) { EntryMark::Unanswered } else { entry.mark };
            (entry.seq, (entry.payload.clone(), mark))
        };
        let owner = |entry: &StoredEntry| Some((entry.seq, entry.generation?));
        let mut model = Self {
            life: record.incarnation,
            newest: record.generation,
            version: record.version,
            next_seq: record.next_seq,
            lines: entries.iter().map(line).collect(),
            owners: entries.iter().filter_map(owner).collect(),
            partials,
            said: BTreeMap::new(),
            stands: Stands::default(),
            steers: BTreeMap::new(),
            offered: BTreeSet::new(),
            before: (None, Vec::new()),
            echoes: BTreeMap::new(),
            became: BTreeMap::new(),
            told_echoes: Vec::new(),
            names: BTreeMap::new(),
            streams: BTreeMap::new(),
            endings: BTreeSet::new(),
            named: 0,
            begun: None,
            leaving: None,
            seen: Vec::new(),
            returning: Vec::new(),
            clearing: BTreeSet::new(),
            over: false,
            deleted: false,
            stand: record.standing.as_str(),
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
            leases: Leases::default(),
            changes: BTreeMap::new(),
            rotations: BTreeMap::new(),
            written: BTreeMap::new(),
        };
        model.interrupted(record, said);
        model
    }

    /// The session was loaded again; what was acknowledged has to be there.
    pub(super) fn reload(
        &mut self,
        record: &Record,
        entries: &[StoredEntry],
        partials: PartialPolicy,
        said: &[Bytes],
    ) {
        let acknowledged = std::mem::take(&mut self.acknowledged);
        let noted = self.stands.noted;
        let leases = std::mem::take(&mut self.leases);
        *self = Self { acknowledged, leases, ..Self::new(record, entries, partials, said) };
        self.stands.noted = noted;
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
        assert!(self.echoes.is_empty(), "nobody answered {:?}", self.echoes);
    }

    /// Takes in an input before its effects are seen; `written` is what the store answers for.
    pub(super) fn before(&mut self, input: &Input<Test>, written: Option<&Write>, now: Moment) {
        self.step_begins();
        self.leases.step_begins(now, self.over || !self.is_routable());
        let begins = self.stored(input, written);
        match input {
            Input::Begin { request, port, .. } => self.asked(request, *port),
            Input::Commit { generation, reply, port } => {
                self.owed.insert(*port);
                let answer = self.commit(*generation, &reply.entries, *port);
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
            Input::Stored { .. } => self.hands_over(begins, now),
            Input::Look { rule } => self.look(rule, now),
            Input::Take { generation, read } => self.take(*generation, *read),
            Input::Clear { generation, port } => {
                self.owed.insert(*port);
                self.clearing.insert(*generation);
                self.settles.insert(*port, Settlement::Failed);
            }
            Input::LeaveQueue { ticket } => self.leaving = u32::try_from(ticket.0).ok(),
            Input::Lease { op } => self.leases.asked(op),
            Input::Cancel { .. }
            | Input::Alarm
            | Input::Keep { .. }
            | Input::Unload { .. }
            | Input::Granted { .. }
            | Input::NotGranted { .. }
            | Input::Inherit { .. }
            | Input::Save => {}
        }
    }

    /// What a commit has to be told.
    fn commit(&mut self, generation: Generation, entries: &[Bytes], port: u32) -> Settlement {
        let Some(turn) = self.open.iter().find(|turn| turn.generation == generation) else {
            return self.stale(generation);
        };
        let (base, told, branches) = (turn.base, turn.told, turn.branches);
        if let Some(reason) = told {
            self.end(generation, TurnOutcome::Abandoned, InputFate::Keep);
            return Settlement::Stale { reason };
        }
        let later = self.commits.get(base..).and_then(<[Generation]>::last);
        if let Some(&by) = later.filter(|_| !branches) {
            self.end(generation, TurnOutcome::Superseded, InputFate::Aside);
            return Settlement::Superseded { by: StreamId::new(self.life, by) };
        }
        self.end(generation, TurnOutcome::Committed, InputFate::Keep);
        self.commits.push(generation);
        self.version += 1;
        self.write(entries, Some(generation), port);
        Settlement::Committed { seq: self.next_seq - 1, version: self.version }
    }

    /// What the holder of a turn that does not run has to be told.
    fn stale(&self, generation: Generation) -> Settlement {
        let reason = self.fenced.get(&generation).copied();
        Settlement::Stale { reason: reason.unwrap_or(CancelReason::StoreFailed) }
    }

    /// Adds lines to the transcript, which `port` will be told of.
    fn write(&mut self, entries: &[Bytes], turn: Option<Generation>, port: u32) {
        let numbered: Vec<_> = (self.next_seq..).zip(entries.iter().cloned()).collect();
        self.next_seq += entries.len() as u64;
        for (seq, payload) in &numbered {
            self.lines.insert(*seq, (payload.clone(), EntryMark::Kept));
            self.owners.extend(turn.map(|turn| (*seq, turn)));
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
        if outcome != TurnOutcome::Committed {
            if let Some(seq) = turn.input.filter(|_| fate == InputFate::Drop) {
                self.lines.remove(&seq);
                self.acknowledged.remove(&seq);
            }
            for seq in turn.input.iter().chain(&turn.took) {
                if let Some(line) = self.lines.get_mut(seq) {
                    let aside = fate == InputFate::Aside;
                    line.1 = if aside { EntryMark::Aside } else { EntryMark::Unanswered };
                }
            }
        }
        self.endings.insert(generation);
        self.leaves(&turn, outcome, fate);
        Some(turn)
    }
}

//! What is happening in a session: every rule about turns, queues, fences and deletes, as pure data.
//!
//! [`SessionState::apply`] takes an input and the time and pushes effects. No await, no clock, no
//! I/O, no channel: the shell holds a lock around it and carries the effects out afterwards. What
//! the callers wait on is opaque here ([`Ports`]), so the tests need no runtime.
//!
//! Admission is decided here and visible at once; what a caller is told is told when the store has
//! it. Both meet in the *outbox*, the ordered list of writes: a decision pushes a [`Pending`], the
//! shell hands its write to the store, and the answer comes back as [`Input::Stored`], always for
//! the front. When one write fails the rest fail with it and the state is left for good; whoever
//! comes next loads the session anew.
//!
//! Invariants, checked by [`SessionState::audit`] after every step in tests:
//!
//! - at most one exclusive turn is open, and a queue has an open turn that will drain it;
//! - a turn is open, or fenced (its holder still runs and will be refused), or over: never two;
//! - every turn that was opened gets exactly one [`Effect::End`];
//! - closing, gone and left sessions have no open turn and no queue; gone and left ones owe the
//!   store nothing.

mod audit;
mod close;
mod outbox;
mod turns;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::clock::{Moment, Now, Timestamp};
use crate::id::{Generation, Incarnation, InstanceId, StreamId};
use crate::store::{DataChange, InputFate, Record, StoreError};
use crate::tombstone::{GoneReason, Tombstone};
use crate::turn::{BusyPolicy, CancelReason, Holder, TurnOutcome, TurnPhase};

pub(crate) use close::Deletion;
pub(crate) use outbox::Pending;

/// What the callers wait on, and where a turn's chunks go: opaque to the state.
pub(crate) trait Ports {
    /// Who began a turn and waits for it.
    type Begin: fmt::Debug;
    /// Who ended a turn and waits for the outcome.
    type Settle: fmt::Debug;
    /// Who changes the session without a turn.
    type Change: fmt::Debug;
    /// Who deletes it.
    type Delete: fmt::Debug;
    /// The turn's stream.
    type Stream: Clone + fmt::Debug;
}

/// The state of one loaded session.
#[derive(Debug)]
pub(crate) struct SessionState<P: Ports> {
    /// Which life.
    incarnation: Incarnation,
    /// Which run of the process, for markers.
    instance: InstanceId,
    /// Whether it can be used.
    phase: Phase<P>,
    /// The newest turn.
    generation: Generation,
    /// Counts changes of transcript and data.
    version: u64,
    /// The number of the next entry.
    next_seq: u64,
    /// The turn that committed last in this loaded state. What a parallel turn compares.
    last_commit: Option<Generation>,
    /// The turns that run, oldest first. One, unless some are parallel.
    turns: SmallVec<[OpenTurn<P>; 1]>,
    /// The turns that were ended over their holder's head. A holder that reports is taken off.
    fenced: SmallVec<[(Generation, CancelReason); 1]>,
    /// Who waits for the slot, in order of arrival.
    queue: VecDeque<Queued<P>>,
    /// What the store is still to be told, in order. The front may be with it already.
    outbox: VecDeque<Pending<P>>,
    /// Whether the front of the outbox is with the store.
    writing: bool,
    /// When the session was last used, for people.
    last_active_at: Timestamp,
}

/// Whether a session can be used.
#[derive(Debug)]
pub(crate) enum Phase<P: Ports> {
    /// It can.
    Live,
    /// It is being deleted: nothing new is admitted, and nothing runs.
    Closing(Closing<P>),
    /// It was deleted.
    Gone(Tombstone),
    /// This state is over; the session itself may live on, and is loaded anew on the next use.
    Left,
}

/// A delete under way.
#[derive(Debug)]
pub(crate) struct Closing<P: Ports> {
    /// What will stand under the id.
    pub(crate) tombstone: Tombstone,
    /// Who waits for it; the first is the one that did it.
    pub(crate) waiting: Vec<P::Delete>,
    /// Why the store has not done it, once it failed; then the next delete tries again.
    pub(crate) failed: Option<StoreError>,
}

/// A turn that runs.
#[derive(Debug)]
pub(crate) struct OpenTurn<P: Ports> {
    /// Which.
    generation: Generation,
    /// Where its chunks go.
    stream: P::Stream,
    /// Whether it may run beside others.
    parallel: bool,
    /// Whether its begin is stored, so that its holder has it.
    opened: bool,
    /// The commit it saw last at its begin.
    base: Option<Generation>,
    /// When it began.
    since: Moment,
    /// Whether it has been told to end.
    stopping: Option<Stopping>,
}

/// A turn that has been told to end.
#[derive(Clone, Copy, Debug)]
struct Stopping {
    /// Why.
    reason: CancelReason,
    /// When it is ended over its holder's head.
    fence_at: Moment,
}

/// A begin that waits for the slot.
#[derive(Debug)]
struct Queued<P: Ports> {
    /// What it asks for.
    request: BeginRequest,
    /// Who waits.
    port: P::Begin,
    /// Where its chunks would go.
    stream: P::Stream,
}

/// Tells one waiting begin from another; drawn by the shell, never twice for one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// What a begin asks for.
#[derive(Clone, Debug)]
pub(crate) struct BeginRequest {
    /// Names it while it waits.
    pub(crate) ticket: Ticket,
    /// The user's entry, encoded.
    pub(crate) input: Option<Bytes>,
    /// What happens while another turn runs.
    pub(crate) policy: BusyPolicy,
    /// The version the caller saw last, if it minds.
    pub(crate) expect_version: Option<u64>,
    /// Whether the supervisor admits nothing any more.
    pub(crate) draining: bool,
}

/// What a session is told.
#[derive(Debug)]
pub(crate) enum Input<P: Ports> {
    /// From `begin` and `run`. Counts as use when it is admitted.
    Begin { request: BeginRequest, port: P::Begin, stream: P::Stream },
    /// From a waiting begin whose wait is over, or that was dropped.
    LeaveQueue { ticket: Ticket },
    /// From [`Turn::commit`](crate::Turn::commit). Counts as use.
    Commit { generation: Generation, entries: Vec<Bytes>, data: Vec<DataChange>, port: P::Settle },
    /// From [`Turn::fail`](crate::Turn::fail). Counts as use.
    Fail { generation: Generation, fate: InputFate, port: P::Settle },
    /// From a dropped turn. Counts as use.
    Drop { generation: Generation, panicked: bool },
    /// From `cancel`, `stop`, `reset` and the shutdown. Does not count as use.
    Cancel { target: Target, reason: CancelReason, grace: Duration },
    /// From `append`, `insert`, `remove`, `set_label`. Counts as use.
    Change { change: Change, port: P::Change },
    /// From `delete`.
    Delete { reason: GoneReason, keep_for: Duration, port: P::Delete },
    /// From a look-up that found the session closing: waits for the delete without joining in.
    AwaitDelete { port: P::Delete },
    /// From the timer that [`Effect::Alarm`] asked for.
    Alarm,
    /// From the shell: what became of the write at the front.
    Stored { result: Result<(), StoreError> },
}

/// Which turns a cancel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// One, if it still runs.
    Turn(Generation),
    /// All that run and all that wait.
    Everything,
}

/// A change without a turn.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Adds entries.
    Append(Vec<Bytes>),
    /// Changes data.
    Data(Vec<DataChange>),
    /// Changes the line for people.
    Label(Option<String>),
}

/// What the shell is to do, after the lock.
#[derive(Debug)]
pub(crate) enum Effect<P: Ports> {
    /// The turn is the caller's.
    Begun { port: P::Begin, generation: Generation, stream: P::Stream },
    /// It is not.
    Refused { port: P::Begin, refusal: BeginRefusal },
    /// How a turn ended, for who ended it.
    Settled { port: P::Settle, answer: Result<Settlement, StoreError> },
    /// What became of a change.
    Changed { port: P::Change, answer: Result<Changed, ChangeRefusal> },
    /// What became of a delete.
    Deleted { port: P::Delete, answer: Result<Deletion, DeleteRefusal> },
    /// What a cancel found.
    Cancelled { streams: SmallVec<[StreamId; 1]>, already: bool },
    /// A begin has to wait behind this turn.
    Waiting { holder: Holder },
    /// A turn was opened: counts as accepted, and will get one `End`.
    Opened { generation: Generation },
    /// Tell a turn to end; its stream takes no more chunks.
    Tell { stream: P::Stream, reason: CancelReason },
    /// A turn was ended over its holder's head.
    Fence { stream: P::Stream, reason: CancelReason },
    /// A turn is over: its stream's terminal event.
    End { stream: P::Stream, outcome: TurnOutcome },
    /// Send [`Input::Alarm`] at this time.
    Alarm { at: Moment },
    /// The session is gone: its slot becomes the tombstone.
    Bury { tombstone: Tombstone },
    /// This state is over: its slot is taken off.
    Leave,
}

/// Effects in the order of their causes.
pub(crate) type Effects<P> = SmallVec<[Effect<P>; 4]>;

/// One step: when it is taken, and where its effects go.
struct Step<'a, P: Ports> {
    /// When.
    now: Now,
    /// What the shell is to do.
    effects: &'a mut Effects<P>,
}

/// Why a begin was not admitted. In order of precedence where several hold.
#[derive(Clone, Debug)]
pub(crate) enum BeginRefusal {
    /// Not this state: load the session and ask again.
    Left,
    /// It was deleted.
    Gone(Tombstone),
    /// It is being deleted.
    Closing,
    /// The supervisor shuts down.
    Draining,
    /// Another turn runs.
    Busy { holder: Holder, queued: usize },
    /// The queue is full.
    QueueFull { holder: Holder, queued: usize },
    /// It waited as long as it was to.
    TimedOut { holder: Option<Holder> },
    /// The session is not as the caller saw it last.
    Conflict { version: u64 },
    /// It was told to end before it had begun. Its input is kept if it was stored.
    Cancelled(CancelReason),
    /// The store failed.
    Store(StoreError),
}

/// How a turn ended, for who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// Its reply is in the transcript.
    Committed { seq: u64, version: u64 },
    /// It lost to another turn.
    Superseded { by: StreamId },
    /// It had been ended over its head.
    Stale { reason: CancelReason },
    /// It failed, as its holder said.
    Failed,
}

/// What a change has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    /// The session's version from then on.
    pub(crate) version: u64,
    /// The number of the last entry.
    pub(crate) last_seq: u64,
}

/// Why a change was refused.
#[derive(Clone, Debug)]
pub(crate) enum ChangeRefusal {
    /// Not this state: load the session and ask again.
    Left,
    /// It was deleted.
    Gone(Tombstone),
    /// It is being deleted.
    Closing,
    /// The store failed.
    Store(StoreError),
}

/// Why a delete did not happen.
#[derive(Clone, Debug)]
pub(crate) enum DeleteRefusal {
    /// Not this state: load the session and ask again.
    Left,
    /// The store failed; the session stays closing and the next delete finishes it.
    Store(StoreError),
}

/// What is to be seen of a session, without touching it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The turns that run, oldest first.
    pub(crate) turns: SmallVec<[Holder; 1]>,
    /// How many wait.
    pub(crate) queued: usize,
    /// How many turns were ended over their holder's head and still run.
    pub(crate) fenced: usize,
    /// How many writes the store has not answered.
    pub(crate) unwritten: usize,
    /// Counts changes.
    pub(crate) version: u64,
    /// When it was last used.
    pub(crate) last_active_at: Timestamp,
    /// The newest turn.
    pub(crate) generation: Generation,
}

impl<P: Ports> SessionState<P> {
    /// The state of a session as its record says.
    ///
    /// Whatever turn the record calls open has no holder: nobody but this state could give it one.
    /// Each is settled as interrupted, ahead of anything else that will be written.
    pub(crate) fn load(record: &Record, instance: InstanceId) -> Self {
        let outbox = record.open.iter().map(|marker| Pending::repair(marker, record)).collect();
        Self {
            incarnation: record.incarnation,
            instance,
            phase: Phase::Live,
            generation: record.generation,
            version: record.version,
            next_seq: record.next_seq,
            last_commit: None,
            turns: SmallVec::new(),
            fenced: SmallVec::new(),
            queue: VecDeque::new(),
            outbox,
            writing: false,
            last_active_at: record.last_active_at,
        }
    }

    /// Takes in one input.
    pub(crate) fn apply(&mut self, input: Input<P>, now: Now, effects: &mut Effects<P>) {
        let step = &mut Step { now, effects };
        match input {
            Input::Begin { request, port, stream } => self.begin(request, port, stream, step),
            Input::LeaveQueue { ticket } => self.leave_queue(ticket, step),
            Input::Commit { generation, entries, data, port } => {
                self.commit(generation, (entries, data), port, step);
            }
            Input::Fail { generation, fate, port } => self.fail(generation, fate, port, step),
            Input::Drop { generation, panicked } => self.dropped(generation, panicked, step),
            Input::Cancel { target, reason, grace } => self.cancel(target, reason, grace, step),
            Input::Change { change, port } => self.change(change, port, step),
            Input::Delete { reason, keep_for, port } => self.delete(reason, keep_for, port, step),
            Input::AwaitDelete { port } => self.await_delete(port, step),
            Input::Alarm => self.alarm(step),
            Input::Stored { result } => self.stored(result, step),
        }
    }

    /// Whether it can be used.
    pub(crate) fn phase(&self) -> &Phase<P> {
        &self.phase
    }

    /// Whether a turn of this life still has a holder, told or not.
    pub(crate) fn has_holders(&self) -> bool {
        !self.turns.is_empty() || !self.fenced.is_empty()
    }

    /// Whether nothing runs, waits or is owed to the store.
    pub(crate) fn is_quiet(&self) -> bool {
        self.turns.is_empty() && self.queue.is_empty() && self.outbox.is_empty()
    }

    /// Whether turn `generation` runs.
    pub(crate) fn is_open(&self, generation: Generation) -> bool {
        self.turns.iter().any(|turn| turn.generation == generation)
    }

    /// The stream of the turn that was begun last and still runs; with a generation, of that turn.
    pub(crate) fn stream(&self, generation: Option<Generation>) -> Option<(Generation, P::Stream)> {
        let mut turns = self.turns.iter().rev();
        turns
            .find(|turn| generation.is_none_or(|wanted| turn.generation == wanted))
            .map(|turn| (turn.generation, turn.stream.clone()))
    }

    /// What is to be seen.
    pub(crate) fn snapshot(&self, now: Now) -> Snapshot {
        Snapshot {
            turns: self.turns.iter().map(|turn| self.holder(turn, now)).collect(),
            queued: self.queue.len(),
            fenced: self.fenced.len(),
            unwritten: self.outbox.len(),
            version: self.version,
            last_active_at: self.last_active_at,
            generation: self.generation,
        }
    }

    /// The name of a turn of this life.
    fn stream_id(&self, generation: Generation) -> StreamId {
        StreamId::new(self.incarnation, generation)
    }

    /// What is told of a turn that holds the slot.
    fn holder(&self, turn: &OpenTurn<P>, now: Now) -> Holder {
        let phase = match (turn.stopping, turn.opened) {
            (Some(_), _) => TurnPhase::Cancelling,
            (None, true) => TurnPhase::Running,
            (None, false) => TurnPhase::Starting,
        };
        Holder { stream: self.stream_id(turn.generation), age: now.moment.since(turn.since), phase }
    }
}

#[cfg(test)]
mod tests;

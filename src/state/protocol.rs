//! What the state is told and what it answers: the protocol between the pure core and its shell.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use super::capacity::{Gate, Pass, Permit};
use super::close::Deletion;
use super::idle::{KeptBy, LeaveReason};
use super::lease::{LeaseAnswer, LeaseEnd, LeaseInfo, LeaseOp, Leases};
use super::partial::Spoken;
use super::refusal::{BeginRefusal, ChangeRefusal, DeleteRefusal};
use super::size::Size;
use super::stalls::{Stall, StallRule};
use super::standing::Verb;
use crate::clock::{Moment, Timestamp};
use crate::expiry::{Expiry, ExpiryRules};
use crate::id::{Generation, SessionId, StreamId};
use crate::limit::{Place, Shortage};
use crate::outcome::{CancelReason, TurnOutcome};
use crate::policy::{BusyPolicy, Grace, Holder, TurnPhase};
use crate::pulse::{Pulsing, WorkPhase};
use crate::rt::{Arc, CancellationToken};
use crate::standing::Standing;
use crate::store::{
    CommitExtra, DataChange, InputFate, Request, ResumeChange, RevisionReason, StoreError,
};
use crate::tombstone::{GoneReason, Tombstone};

/// What the callers wait on, and where a turn's chunks go: opaque to the state.
pub(crate) trait Ports: 'static {
    /// Who began a turn and waits for it.
    type Begin: fmt::Debug;
    /// Who ended a turn and waits for the outcome.
    type Settle: fmt::Debug;
    /// Who changes the session without a turn.
    type Change: fmt::Debug;
    /// Who deletes it.
    type Delete: fmt::Debug;
    /// The turn's stream.
    type Stream: Spoken + Pulsing;
    /// Where turns get their permits.
    type Gate: Gate;
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
    /// Whether the supervisor admits nothing any more. Set by the slot, under its lock.
    pub(crate) draining: bool,
    /// When the work of a turn that it interrupts is aborted.
    pub(crate) abort_after: Duration,
    /// What only some ask for.
    pub(crate) special: Option<Box<Special>>,
}

impl BeginRequest {
    /// How long those have that it interrupts, if it does.
    pub(super) fn grace(&self) -> Option<Grace> {
        self.policy.grace().map(|fence_after| Grace::new(self.abort_after, fence_after))
    }
}

/// What only some begins ask for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Special {
    /// Does an earlier turn over.
    pub(crate) redo: Option<Redo>,
    /// Has a name, so that asking twice begins once.
    pub(crate) request: Option<Asked>,
}

/// Which entries are taken back, and what was seen when that was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Redo {
    /// All from this number on.
    pub(crate) from: u64,
    /// What the next entry's number was when that was found out.
    pub(crate) next_seq: u64,
    /// And the session's version, which tells of entries that were taken back.
    pub(crate) version: u64,
    /// Whether the store called a turn open then.
    pub(crate) open: bool,
    /// How much that is.
    pub(crate) taken: Size,
}

/// A name for a begin that the store does not know.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The name.
    pub(crate) request: Request,
    /// How many named begins the store had taken before it was asked.
    pub(crate) seen: u64,
}

/// What a session is told.
#[derive(Debug)]
pub(crate) enum Input<P: Ports> {
    /// From `begin` and `run`. Counts as use when it is admitted. Who has waited for a permit before its
    /// session was created brings it along.
    Begin { request: BeginRequest, port: P::Begin, stream: P::Stream, pass: Pass<Permit<P>> },
    /// From the line for permits: one for who has this place.
    Granted { place: Place, permit: Permit<P> },
    /// From the line for permits: the wait is over.
    NotGranted { place: Place, shortage: Shortage },
    /// From a waiting begin whose wait is over, or that was dropped.
    LeaveQueue { ticket: Ticket },
    /// From [`Turn::commit`](crate::Turn::commit). Counts as use.
    Commit { generation: Generation, reply: Replied, port: P::Settle },
    /// From a turn that asks for what was said to it while it works, and has read so much of that. Does not count
    /// as use.
    Take { generation: Generation, read: u64 },
    /// From the turn that has said enough for a piece to be stored. Does not count as use.
    Keep { generation: Generation },
    /// From a reader that found a turn open in the store and may be wrong. Does not count as use.
    Clear { generation: Generation, port: P::Settle },
    /// From [`Turn::fail`](crate::Turn::fail). Counts as use.
    Fail { generation: Generation, fate: InputFate, port: P::Settle },
    /// From a dropped turn. Counts as use.
    Drop { generation: Generation, panicked: bool },
    /// From `cancel`, `stop`, `reset` and the shutdown. Does not count as use.
    Cancel { target: Target, reason: CancelReason, grace: Grace },
    /// From `append`, `insert`, `remove`, `rollback`, `rotate`, which count as use. From `set_label` and from what
    /// is done with resume handles, which do not.
    Change { change: Change, port: P::Change },
    /// From `delete`.
    Delete { reason: GoneReason, keep_for: Duration, port: P::Delete },
    /// From a look-up that found the session closing: waits for the delete without joining in.
    AwaitDelete { port: P::Delete },
    /// From the timer that [`Effect::Alarm`] asked for.
    Alarm,
    /// From the watch that [`Effect::Watch`] asked for: the open turns are looked at. Never counts as
    /// use.
    Look { rule: StallRule },
    /// From the supervisor: leave memory, unless there is something to do or it was used after that.
    Unload { unused_since: Moment, reason: LeaveReason },
    /// From the shutdown: the store is to know when it was used last.
    Save,
    /// From `lease` and what belongs to it. Counts as use when one is taken or given back.
    Lease { op: LeaseOp },
    /// From the shell: the leases of a state that was left, for the one that came after it.
    Inherit { leases: Box<Leases> },
    /// From the shell: what became of the write at the front.
    Stored { result: Result<(), StoreError> },
}

/// What a turn ends with, encoded.
#[derive(Debug, Default)]
pub(crate) struct Replied {
    /// The entries.
    pub(crate) entries: Vec<Bytes>,
    /// The data that change with it.
    pub(crate) data: Vec<DataChange>,
    /// What only some have.
    pub(crate) extra: Option<Box<CommitExtra>>,
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
    /// Takes entries back.
    TakeBack {
        /// Which.
        redo: Redo,
        /// Why.
        reason: RevisionReason,
    },
    /// Puts the entries of a revision back, in the place of what came after them.
    PutBack {
        /// What is in their place.
        redo: Redo,
        /// Which revision.
        revision: u64,
        /// How much it has.
        back: Size,
    },
    /// Drops a revision.
    ForgetRevision(u64),
    /// Changes what is kept of the handles of an outside service. No use, and no new version.
    Resume(Box<ResumeChange>),
    /// Changes the line for people.
    Label(Option<String>),
    /// Gives it a further id, which nobody else can take meanwhile.
    Rotate(Box<SessionId>),
    /// Changes whether it takes turns.
    Stand(Verb),
    /// Changes what is said for it alone.
    Patch(Patch),
}

/// What is said for a session alone.
#[derive(Clone, Debug)]
pub(crate) enum Patch {
    /// Whether it never ends by itself.
    Pinned(bool),
    /// When it ends by itself: as it is stored, and as it counts.
    Expiry(Option<Box<ExpiryRules>>, Arc<Expiry>),
}

impl Change {
    /// What the transcript has to be for it, if that matters.
    pub(super) fn redo(&self) -> Option<Redo> {
        match self {
            Self::TakeBack { redo, .. } | Self::PutBack { redo, .. } => Some(*redo),
            Self::Append(_)
            | Self::Data(_)
            | Self::ForgetRevision(_)
            | Self::Label(_)
            | Self::Resume(_)
            | Self::Rotate(_)
            | Self::Stand(_)
            | Self::Patch(_) => None,
        }
    }
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
    /// The session has a further id: it is told by that from now on.
    Rotated { to: Box<SessionId> },
    /// What became of a change.
    Changed { port: P::Change, answer: Result<Changed, ChangeRefusal> },
    /// What became of a delete.
    Deleted { port: P::Delete, answer: Result<Deletion, DeleteRefusal> },
    /// What a cancel found.
    Cancelled { streams: SmallVec<[StreamId; 1]>, already: bool },
    /// A begin has to wait: behind this turn, or for a permit.
    Waiting { holder: Option<Holder> },
    /// A turn may ask for what waits first.
    Steerable { stream: P::Stream },
    /// What was said to a running turn is stored: it is the turn's, and its port is told.
    Steered { port: P::Begin, generation: Generation, seq: u64, stream: P::Stream, input: Bytes },
    /// A turn was opened: counts as accepted, and will get one `End`.
    Opened { generation: Generation, stream: P::Stream },
    /// Tell a turn to end; its stream takes no more chunks.
    Tell { stream: P::Stream, reason: CancelReason },
    /// A turn that was told to end has not: its work is to be dropped where it awaits.
    Abort { stream: P::Stream, reason: CancelReason },
    /// A turn was ended over its holder's head.
    Fence { stream: P::Stream, reason: CancelReason },
    /// A turn is over: its stream's terminal event.
    End { stream: P::Stream, outcome: TurnOutcome },
    /// Send [`Input::Alarm`] at this time, unless it is `unneeded` by then.
    Alarm { at: Moment, unneeded: Option<CancellationToken> },
    /// Look at the open turns from now on: send [`Input::Look`] regularly.
    Watch,
    /// That is enough, until the next `Watch`: no turn is open.
    Unwatch,
    /// A turn is stuck. Told once, until it makes progress again.
    Stalled { stream: P::Stream, stall: Stall },
    /// It stands otherwise from now on.
    Stands { before: Standing, standing: Standing },
    /// The session is gone: its slot becomes the tombstone. Whether it was one of those that count.
    Bury { tombstone: Tombstone, counted: bool },
    /// What became of a lease.
    Leased { answer: LeaseAnswer },
    /// A lease was taken, and will get one `LeaseEnded`.
    LeaseTaken { lease: Box<LeaseInfo> },
    /// A lease is over. Told once.
    LeaseEnded { lease: Box<LeaseInfo>, end: LeaseEnd },
    /// This state is over: its slot is taken off.
    Leave { reason: LeaveReason },
}

/// Effects in the order of their causes.
pub(crate) type Effects<P> = SmallVec<[Effect<P>; 4]>;

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

/// What is to be seen of an open turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnView {
    /// Its stream.
    pub(crate) stream: StreamId,
    /// How far it is.
    pub(crate) phase: TurnPhase,
    /// How long it has been open.
    pub(crate) age: Duration,
    /// What it is waiting for.
    pub(crate) work: WorkPhase,
    /// How long it has made no progress, as far as was seen.
    pub(crate) silent_for: Duration,
}

/// What is to be seen of a session, without touching it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The turns that run, oldest first.
    pub(crate) turns: Vec<TurnView>,
    /// How many wait.
    pub(crate) queued: usize,
    /// How many wait for a begin that they repeat.
    pub(crate) echoes: usize,
    /// How many named begins the store has taken.
    pub(crate) requests: u64,
    /// How many turns were ended over their holder's head and still run.
    pub(crate) fenced: usize,
    /// How many writes the store has not answered.
    pub(crate) unwritten: usize,
    /// Counts changes.
    pub(crate) version: u64,
    /// When it was last used.
    pub(crate) last_active_at: Timestamp,
    /// Whether it takes turns.
    pub(crate) standing: Standing,
    /// The newest turn.
    pub(crate) generation: Generation,
}

/// Whether a session rests, which nobody who only wants its status has to wait for.
#[derive(Debug)]
pub(crate) struct Rest {
    /// How long nothing has happened in it.
    pub(crate) idle_for: Duration,
    /// What keeps it in memory.
    pub(crate) kept_by: SmallVec<[KeptBy; 4]>,
}

impl Snapshot {
    /// How many begins have no answer because others are before them.
    pub(crate) fn waiting(&self) -> usize {
        self.queued + self.echoes
    }
}

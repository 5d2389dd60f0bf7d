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
//! - at most one exclusive turn is open, and a queue has an open turn that will drain it, or its first has a
//!   place in the line for permits;
//! - a turn is open, or fenced (its holder still runs and will be refused), or over: never two;
//! - every turn that was opened gets exactly one [`Effect::End`];
//! - a session with an open turn is looked at now and then;
//! - closing, gone and left sessions have no open turn and no queue; gone and left ones owe the
//!   store nothing.

mod admission;
mod audit;
mod branch;
mod cancel;
mod capacity;
mod change;
mod close;
mod expiry;
mod idle;
mod lease;
mod outbox;
mod partial;
mod pending;
mod protocol;
mod redo;
mod refusal;
mod request;
mod size;
mod stale;
mod stalls;
mod standing;
mod steer;
mod streams;
mod turns;
mod view;

use std::collections::VecDeque;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::clock::{Moment, Now, Timestamp};
use crate::expiry::{Ages, Expiry};
use crate::id::{Generation, Incarnation, InstanceId};
use crate::limit::Place;
use crate::outcome::CancelReason;
use crate::policy::{Parallel, PartialPolicy};
use crate::rt::Arc;
use crate::seldom::Seldom;
use crate::standing::Standing;
use crate::store::{Record, Request, StoreError, Write};
use crate::tombstone::Tombstone;

use branch::Siblings;
use capacity::Spot;
pub(crate) use capacity::{Gate, Pass, Permit, Taken};
pub(crate) use close::Deletion;
pub(crate) use expiry::Lifespan;
pub use idle::KeptBy;
pub(crate) use idle::LeaveReason;
pub use lease::LeaseInfo;
pub(crate) use lease::{LeaseAnswer, LeaseEnd, LeaseKey, LeaseOp, Leases};
use outbox::Outbox;
pub(crate) use partial::Spoken;
pub(crate) use pending::Pending;
pub(crate) use protocol::{
    Asked, BeginRequest, Change, Changed, Effect, Effects, Input, Patch, Ports, Redo, Replied,
    Rest, Settlement, Snapshot, Special, Target, Ticket, TurnView,
};
pub(crate) use refusal::{BeginRefusal, ChangeRefusal, DeleteRefusal};
use request::Echo;
pub(crate) use size::{Length, Size};
use stalls::Watched;
pub(crate) use stalls::{Budget, Stall, StallRule};
pub(crate) use standing::Verb;

/// The state of one loaded session.
///
/// Laid out as it is written. Most sessions rest, and the next one that is asked for is another than the last:
/// what is asked has to come from memory. So what is to be seen of a session stands in front, in two lines, then
/// what a turn needs besides, then the rest; and what is rare is in boxes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct SessionState<P: Ports> {
    /// Whether the front of the outbox is with the store.
    writing: bool,
    /// Whether somebody looks at the open turns now and then. Stays so from the first turn on until a
    /// look finds none, so that a session in use asks for it once in a while, not once a turn.
    watched: bool,
    /// Whether it was used in a way that is not written by itself, and the store does not know.
    unsaved: bool,
    /// What becomes of replies that are not finished.
    partials: PartialPolicy,
    /// How many are about to use it, and have waited for it to be loaded.
    guests: u32,
    /// Whether it can be used.
    phase: Phase<P>,
    /// Until when its time is not over for sure.
    fresh_until: Moment,
    /// The newest turn.
    generation: Generation,
    /// Counts changes of transcript and data.
    version: u64,
    /// When the session was last used, for people.
    last_active_at: Timestamp,
    /// When its last work ended, by the clock that does not jump.
    used_at: Moment,
    /// The turns that run, oldest first. One, unless some are parallel, and none as a rule: in a box, which is
    /// memory that was used a moment ago, where its place here would have to be fetched.
    turns: SmallVec<[Box<OpenTurn<P>>; 1]>,
    /// What the store is still to be told, in order. The front may be with it already.
    outbox: Outbox<P>,
    /// Who waits for the slot, in order of arrival.
    queue: Seldom<VecDeque<Queued<P>>>,
    /// The turns that were ended over their holder's head. A holder that reports is taken off.
    fenced: Seldom<Vec<(Generation, CancelReason)>>,
    /// The work beside the turns that keeps it.
    leases: Option<Box<Leases>>,
    /// Who repeated a begin that waits or is being stored.
    echoes: Seldom<Vec<Echo<P>>>,
    /// The number of the next entry.
    next_seq: u64,
    /// The entry that the next one follows: the last one of the transcript, without what open turns were
    /// begun with.
    tip: u64,
    /// The turn that committed last in this loaded state. What a parallel turn compares.
    last_commit: Option<Generation>,
    /// Which run of the process, for markers.
    instance: InstanceId,
    /// How long the conversation is.
    length: Length,
    /// The place of the first in the queue in the line for permits, if it waits for one.
    asking: Option<Place>,
    /// How many turns stand beside each other.
    siblings: Siblings,
    /// Which life.
    incarnation: Incarnation,
    /// How many begins with a name the store has taken.
    requests: u64,
    /// How many turns may stand beside each other.
    max_branches: usize,
    /// Where its turns get their permits.
    gate: P::Gate,
    /// When it ends by itself.
    lifespan: Lifespan,
    /// How it stood when it left memory.
    left_as: Standing,
}

/// What a session is loaded with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// When: turns that are settled by it are settled then.
    pub(crate) at: Now,
    /// This run of the process.
    pub(crate) instance: InstanceId,
    /// What becomes of replies that are not finished.
    pub(crate) partials: PartialPolicy,
    /// How many turns may stand beside each other.
    pub(crate) max_branches: usize,
    /// When it ends by itself.
    pub(crate) expiry: Arc<Expiry>,
    /// How old it is.
    pub(crate) ages: Ages,
    /// How long the conversation is, and how long it may be.
    pub(crate) length: Length,
}

/// Whether a session can be used.
#[derive(Debug)]
pub(crate) enum Phase<P: Ports> {
    /// It can.
    Live,
    /// It takes no turns and no changes, for now or for good. Never [`Standing::Active`].
    Shut(Standing),
    /// It is being deleted: nothing new is admitted, and nothing runs.
    Closing(Box<Closing<P>>),
    /// It was deleted.
    Gone(Box<Tombstone>),
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
    /// Whether keys might lead to it.
    routable: bool,
}

/// A turn that runs.
#[derive(Debug)]
pub(crate) struct OpenTurn<P: Ports> {
    /// Which.
    generation: Generation,
    /// Where its chunks go.
    stream: P::Stream,
    /// Whether it may run beside others, and whose reply gets in.
    parallel: Option<Parallel>,
    /// Whether the store knows what it stands under, as of those that branch and those beside such ones.
    beside: bool,
    /// The number of its newest entry; 0 if it has none.
    last_seq: u64,
    /// How much was said to it while it ran.
    steered: u64,
    /// The name under which it was asked for, once its begin is stored.
    named: Option<Box<Request>>,
    /// Whether its begin is stored, so that its holder has it.
    opened: bool,
    /// The commit it saw last at its begin.
    base: Option<Generation>,
    /// When it began.
    since: Moment,
    /// Whether it has been told to end.
    stopping: Option<Stopping>,
    /// When its holder got it.
    given_at: Moment,
    /// What was seen of it when it was looked at last; most turns end before that.
    seen: Option<Box<Watched>>,
    /// Its permit, where turns need one.
    permit: Option<Permit<P>>,
    /// The bytes of what it was begun with, if it was with something.
    input_bytes: Option<usize>,
}

impl<P: Ports> OpenTurn<P> {
    /// Whether its reply stands beside those of others.
    fn branches(&self) -> bool {
        self.parallel == Some(Parallel::Branch)
    }
}

/// A turn that has been told to end.
#[derive(Clone, Copy, Debug)]
struct Stopping {
    /// Why.
    reason: CancelReason,
    /// When its work is aborted; never after the fence.
    abort_at: Moment,
    /// Whether it was.
    aborted: bool,
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
    /// The right to wait for the slot; none once it has that and waits for a permit.
    _spot: Option<Spot<P>>,
}

/// One step: when it is taken, and where its effects go.
struct Step<'a, P: Ports> {
    /// When.
    now: Now,
    /// What the shell is to do.
    effects: &'a mut Effects<P>,
}

impl<P: Ports> SessionState<P> {
    /// The state of a session as its record says.
    ///
    /// Whatever turn the record calls open has no holder: nobody but this state could give it one.
    /// Each is settled as interrupted, ahead of anything else that will be written; `said` is what is
    /// kept of their replies, in their order, if that is to be made entries.
    pub(crate) fn load(
        record: &Record,
        said: Vec<Bytes>,
        settings: Settings,
        gate: P::Gate,
    ) -> Self {
        let Settings { at, instance, partials, max_branches, expiry, ages, length } = settings;
        let standing = record.standing;
        let mut state = Self {
            incarnation: record.incarnation,
            instance,
            partials,
            phase: if standing.is_active() { Phase::Live } else { Phase::Shut(standing) },
            generation: record.generation,
            version: record.version,
            next_seq: record.next_seq,
            tip: record.next_seq - 1,
            siblings: Siblings::default(),
            max_branches,
            requests: 0,
            echoes: Seldom::default(),
            last_commit: None,
            turns: SmallVec::new(),
            fenced: Seldom::default(),
            queue: Seldom::default(),
            outbox: Outbox::default(),
            writing: false,
            last_active_at: record.last_active_at,
            used_at: at.moment,
            fresh_until: Moment::default(),
            lifespan: Lifespan { expiry, ages, pinned: record.pinned, loaded_at: at.moment },
            guests: 0,
            watched: false,
            gate,
            asking: None,
            length,
            unsaved: false,
            leases: None,
            left_as: Standing::Active,
        };
        let mut said = said.into_iter();
        for marker in &record.open {
            state.repair(marker.generation, said.next(), at.wall, None);
        }
        state
    }

    /// The writes that settle what its record calls open, for a session that is not to be loaded.
    pub(crate) fn into_repairs(self) -> Vec<Write> {
        self.outbox.into_writes()
    }

    /// Takes in one input.
    pub(crate) fn apply(&mut self, input: Input<P>, now: Now, effects: &mut Effects<P>) {
        let step = &mut Step { now, effects };
        match input {
            Input::Begin { request, port, stream, pass } => {
                self.begin(request, (port, stream), pass, step);
            }
            Input::Granted { place, permit } => self.granted(place, permit, step),
            Input::NotGranted { place, shortage } => self.not_granted(place, shortage, step),
            Input::LeaveQueue { ticket } => self.leave_queue(ticket, step),
            Input::Commit { generation, reply, port } => {
                self.commit(generation, reply, port, step);
            }
            Input::Take { generation, read } => self.take(generation, read, step),
            Input::Clear { generation, port } => self.clear(generation, port, step),
            Input::Keep { generation } => self.keep(generation),
            Input::Fail { generation, fate, port } => self.fail(generation, fate, port, step),
            Input::Drop { generation, panicked } => self.dropped(generation, panicked, step),
            Input::Cancel { target, reason, grace } => self.cancel(target, reason, grace, step),
            Input::Change { change, port } => self.change(change, port, step),
            Input::Delete { reason, keep_for, port } => self.delete(reason, keep_for, port, step),
            Input::AwaitDelete { port } => self.await_delete(port, step),
            Input::Alarm => self.alarm(step),
            Input::Look { rule } => self.look(&rule, step),
            Input::Unload { unused_since, reason } => self.unload(unused_since, reason, step),
            Input::Save => self.save_now(step),
            Input::Lease { op } => self.lease(op, step),
            Input::Inherit { leases } => self.inherit(*leases, step),
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

    /// Whether nothing is owed to the store.
    pub(crate) fn owes_nothing(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Whether turn `generation` runs.
    pub(crate) fn is_open(&self, generation: Generation) -> bool {
        self.turns.iter().any(|turn| turn.generation == generation)
    }
}

#[cfg(test)]
pub(crate) mod tests;

// The model, for fuzzers.
#[cfg(all(fuzzing, not(test)))]
pub(crate) mod tests;

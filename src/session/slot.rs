//! One loaded session: its state under its lock, and the way its writes reach the store.
//!
//! A caller applies its input on its own thread and carries out the effects after the lock. The
//! write at the front of the outbox goes to the store from whichever thread made it the front; what
//! the store answers at once is taken in on the spot, so on a memory store nobody is woken. What
//! has to be awaited is left in the slot for the session's actor, which gets nothing but a wake-up.
//!
//! Invariants: the lock is held for one `apply` and never across user code, a store or an await; at
//! most one write of a session is with the store; whoever has it brings an answer back, whatever
//! happens to the store or to the actor ([`Answer`] sees to that).

use std::fmt;
use std::time::Duration;

use smallvec::SmallVec;

use super::actor::ActorHandle;
use super::house::House;
use super::state::{
    BeginRefusal, BeginRequest, Change, ChangeRefusal, Changed, DeleteRefusal, Deletion, Effect,
    Effects, Input, Phase, Ports, SessionState, Settlement, Snapshot, Target, Ticket,
};
use crate::clock::{Now, Timestamp};
use crate::engine::Engine;
use crate::id::{Generation, Incarnation, SessionId, StreamId};
use crate::key::SessionKey;
use crate::rt::{Arc, AtomicU64, Mutex, Ordering, Weak, oneshot};
use crate::store::{DataChange, InputFate, Record, StoreError, StoreFuture, Write};
use crate::stream::Stream;
use crate::tombstone::{GoneReason, Tombstone};
use crate::turn::{CancelReason, TurnOutcome};

/// The callers of a real session wait on channels.
#[derive(Debug)]
pub(crate) struct Callers;

impl Ports for Callers {
    type Begin = oneshot::Sender<Result<Hold, BeginRefusal>>;
    type Settle = oneshot::Sender<Result<Settlement, StoreError>>;
    type Change = oneshot::Sender<Result<Changed, ChangeRefusal>>;
    type Delete = oneshot::Sender<Result<Deletion, DeleteRefusal>>;
    type Stream = Arc<Stream>;
}

/// A write that the store has not answered yet.
#[derive(Debug)]
pub(super) struct Writing {
    /// Its answer.
    future: StoreFuture<Result<(), StoreError>>,
    /// What it does, for the metric.
    operation: &'static str,
}

/// One loaded session.
pub(crate) struct Slot {
    /// Which conversation.
    pub(crate) id: SessionId,
    /// Which life of it.
    pub(crate) incarnation: Incarnation,
    /// The key it was created under.
    pub(crate) key: Option<SessionKey>,
    /// When this life began.
    pub(crate) created_at: Timestamp,
    /// What it needs.
    pub(crate) engine: Arc<Engine>,
    /// Who keeps it.
    house: Weak<dyn House>,
    /// What is happening in it.
    state: Mutex<SessionState<Callers>>,
    /// The write that its actor is to await.
    left_for_actor: Mutex<Option<Writing>>,
    /// Its actor, if it ever needed one.
    pub(super) actor: Mutex<Option<ActorHandle>>,
    /// The newest ticket.
    tickets: AtomicU64,
}

impl Slot {
    /// A session as its record says. Its repairs are not written before [`Self::start`].
    pub(crate) fn new(record: Record, engine: Arc<Engine>, house: Weak<dyn House>) -> Arc<Self> {
        let state = SessionState::load(&record, engine.instance);
        Arc::new(Self {
            id: record.id,
            incarnation: record.incarnation,
            key: record.key,
            created_at: record.created_at,
            engine,
            house,
            state: Mutex::new(state),
            left_for_actor: Mutex::new(None),
            actor: Mutex::new(None),
            tickets: AtomicU64::new(0),
        })
    }

    /// Hands what is owed to the store over to it.
    pub(crate) fn start(self: &Arc<Self>) {
        let write = self.state.lock().next_write();
        self.finish(Effects::new(), write);
    }

    /// A name for a begin.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.tickets.fetch_add(1, Ordering::Relaxed))
    }

    /// The name of a turn of this session.
    pub(crate) fn stream_id(&self, generation: Generation) -> StreamId {
        StreamId::new(self.incarnation, generation)
    }

    /// Asks for a turn. The answer comes over the channel; the first event there is that the begin
    /// has to wait, which is answered at once.
    pub(crate) fn begin(
        self: &Arc<Self>,
        request: BeginRequest,
        stream: Arc<Stream>,
    ) -> (bool, oneshot::Receiver<Result<Hold, BeginRefusal>>) {
        let (port, answer) = oneshot::channel();
        let (effects, write) = self.step(Input::Begin { request, port, stream });
        let waits = effects.iter().any(|effect| matches!(effect, Effect::Waiting { .. }));
        self.finish(effects, write);
        (waits, answer)
    }

    /// Takes a begin off the queue, if it still waits.
    pub(crate) fn leave_queue(self: &Arc<Self>, ticket: Ticket) {
        self.apply(Input::LeaveQueue { ticket });
    }

    /// Tells turns to end; which ones were found, and whether all of them had been told before.
    pub(crate) fn cancel(
        self: &Arc<Self>,
        target: Target,
        reason: CancelReason,
        grace: Duration,
    ) -> (SmallVec<[StreamId; 1]>, bool) {
        let (mut effects, write) = self.step(Input::Cancel { target, reason, grace });
        let place = effects.iter().position(|it| matches!(it, Effect::Cancelled { .. }));
        let found = match place.map(|place| effects.remove(place)) {
            Some(Effect::Cancelled { streams, already }) => (streams, already),
            Some(_) | None => (SmallVec::new(), true),
        };
        self.finish(effects, write);
        found
    }

    /// Tells one turn to end, as somebody asked for it.
    pub(crate) fn cancel_turn(self: &Arc<Self>, generation: Generation) {
        let grace = self.engine.config.turns.cancel_grace;
        self.cancel(Target::Turn(generation), CancelReason::Stopped, grace);
    }

    /// Changes the session without a turn.
    pub(crate) fn change(
        self: &Arc<Self>,
        change: Change,
    ) -> oneshot::Receiver<Result<Changed, ChangeRefusal>> {
        let (port, answer) = oneshot::channel();
        self.apply(Input::Change { change, port });
        answer
    }

    /// Deletes the session.
    pub(crate) fn delete(
        self: &Arc<Self>,
        reason: GoneReason,
    ) -> oneshot::Receiver<Result<Deletion, DeleteRefusal>> {
        let (port, answer) = oneshot::channel();
        let keep_for = self.engine.config.tombstones.keep_for;
        self.apply(Input::Delete { reason, keep_for, port });
        answer
    }

    /// Waits for a delete that another one began.
    pub(crate) fn await_delete(
        self: &Arc<Self>,
    ) -> oneshot::Receiver<Result<Deletion, DeleteRefusal>> {
        let (port, answer) = oneshot::channel();
        self.apply(Input::AwaitDelete { port });
        answer
    }

    /// What is to be seen of it.
    pub(crate) fn snapshot(&self, now: Now) -> Snapshot {
        self.state.lock().snapshot(now)
    }

    /// Whether it can be used.
    pub(crate) fn standing(&self) -> Standing {
        match self.state.lock().phase() {
            Phase::Live => Standing::Live,
            Phase::Closing(_) => Standing::Closing,
            Phase::Gone(tombstone) => Standing::Gone(*tombstone),
            Phase::Left => Standing::Left,
        }
    }

    /// Whether a turn of this life still has a holder.
    pub(crate) fn has_holders(&self) -> bool {
        self.state.lock().has_holders()
    }

    /// Whether nothing runs, waits or is owed to the store.
    pub(crate) fn is_quiet(&self) -> bool {
        self.state.lock().is_quiet()
    }

    /// The open turn that was begun last, or the one that is meant.
    pub(crate) fn stream(&self, generation: Option<Generation>) -> Option<(StreamId, Arc<Stream>)> {
        let state = self.state.lock();
        let (generation, stream) = state.stream(generation)?;
        Some((self.stream_id(generation), stream))
    }

    /// Whether turn `generation` is open.
    pub(crate) fn is_open(&self, generation: Generation) -> bool {
        self.state.lock().is_open(generation)
    }

    /// Every rule that is broken.
    pub(crate) fn audit(&self) -> Vec<String> {
        let state = self.state.lock();
        let mut broken = state.audit();
        if state.has_unsent() {
            broken.push("a write waits that nobody has handed to the store".to_owned());
        }
        broken.into_iter().map(|rule| format!("session {}: {rule}", self.id)).collect()
    }

    /// One input, with everything that follows from it.
    pub(super) fn apply(self: &Arc<Self>, input: Input<Callers>) {
        let (effects, write) = self.step(input);
        self.finish(effects, write);
    }

    /// One input under the lock; what is to be done, and what the store is to be told next.
    fn step(&self, input: Input<Callers>) -> (Effects<Callers>, Option<Write>) {
        let now = self.engine.now();
        let mut effects = Effects::new();
        let mut state = self.state.lock();
        state.apply(input, now, &mut effects);
        let write = state.next_write();
        (effects, write)
    }

    /// Carries out effects, then lets the store have the write; what it does not answer at once is
    /// left to the actor.
    fn finish(self: &Arc<Self>, effects: Effects<Callers>, write: Option<Write>) {
        if let Some(writing) = self.pump(effects, write) {
            *self.left_for_actor.lock() = Some(writing);
            super::actor::wake(self);
        }
    }

    /// Carries out effects and writes until there is nothing more, or the store has to be awaited.
    fn pump(
        self: &Arc<Self>,
        mut effects: Effects<Callers>,
        mut write: Option<Write>,
    ) -> Option<Writing> {
        loop {
            self.perform(effects);
            let write_now = write.take()?;
            let operation = write_now.name();
            let answer = Answer { slot: self, owed: Some(operation) };
            let store = &self.engine.store;
            match store.write(&self.id, self.incarnation, write_now).now() {
                Ok(result) => (effects, write) = answer.give(result),
                Err(future) => {
                    answer.pass_on();
                    return Some(Writing { future, operation });
                }
            }
        }
    }

    /// For the actor: the write that was left to it.
    pub(super) fn take_left(&self) -> Option<Writing> {
        self.left_for_actor.lock().take()
    }

    /// Whether a write was left that nobody awaits.
    pub(super) fn has_left(&self) -> bool {
        self.left_for_actor.lock().is_some()
    }

    /// Who keeps it, if that still stands.
    pub(super) fn house(&self) -> Option<Arc<dyn House>> {
        self.house.upgrade()
    }

    /// For the actor: awaits the write, and every one that follows and has to be awaited.
    pub(super) async fn see_through(self: &Arc<Self>, mut writing: Writing) {
        loop {
            let answer = Answer { slot: self, owed: Some(writing.operation) };
            let result = writing.future.await;
            let (effects, write) = answer.give(result);
            match self.pump(effects, write) {
                Some(next) => writing = next,
                None => return,
            }
        }
    }

    /// Whether this slot will never need an actor again.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock();
        matches!(state.phase(), Phase::Gone(_) | Phase::Left) && state.is_quiet()
    }

    /// Carries out effects, outside the lock.
    fn perform(self: &Arc<Self>, effects: Effects<Callers>) {
        for effect in effects {
            match effect {
                Effect::Begun { port, generation, stream } => {
                    // If nobody waits any more the hold comes back and is dropped: abandoned.
                    drop(port.send(Ok(Hold {
                        slot: self.clone(),
                        generation,
                        stream,
                        held: true,
                    })));
                }
                Effect::Refused { port, refusal } => drop(port.send(Err(refusal))),
                Effect::Settled { port, answer } => {
                    if let Ok(Settlement::Stale { reason }) = answer {
                        self.engine.counts.stale(reason);
                    }
                    drop(port.send(answer));
                }
                Effect::Changed { port, answer } => drop(port.send(answer)),
                Effect::Deleted { port, answer } => drop(port.send(answer)),
                // Taken out by `cancel` and by the escalations of the state itself.
                Effect::Cancelled { .. } => {}
                Effect::Waiting { holder } => {
                    tracing::debug!(session = %self.id, behind = %holder.stream, held_for = ?holder.age,
                        phase = %holder.phase, "a begin waits");
                }
                Effect::Opened { generation } => self.opened(generation),
                Effect::Tell { stream, reason } => {
                    tracing::debug!(session = %self.id, %reason, from = "running", to = "cancelling",
                        "a turn is told to end");
                    stream.tell(reason);
                }
                Effect::Fence { stream, reason } => {
                    tracing::debug!(session = %self.id, %reason, to = "fenced", "a turn is fenced");
                    self.engine.counts.fenced(reason);
                    stream.fence(reason);
                }
                Effect::End { stream, outcome } => self.ended(&stream, outcome),
                Effect::Alarm { at } => self.set_alarm(at.since(self.engine.now().moment)),
                Effect::Bury { tombstone } => self.bury(tombstone),
                Effect::Leave => self.leave(),
            }
        }
        if self.engine.is_draining() {
            self.with_house(|house, _| house.stirred());
        }
    }

    /// A turn took the slot.
    fn opened(&self, generation: Generation) {
        self.engine.counts.begun();
        tracing::debug!(session = %self.id, stream = %self.stream_id(generation), from = "idle",
            to = "starting", "a turn takes the slot");
    }

    /// A turn is over.
    fn ended(&self, stream: &Stream, outcome: TurnOutcome) {
        let took = self.engine.now().moment.since(stream.since());
        self.engine.counts.ended(outcome, took.as_secs_f64(), stream.taken());
        tracing::debug!(session = %self.id, %outcome, ?took, to = "ended", "a turn is over");
        stream.end(outcome);
    }

    /// Sends the state an alarm after `wait`, unless the session or the supervisor is over first.
    ///
    /// Also where nothing is left to wait: the time may have come since the state was asked, and an
    /// alarm that was not needed changes nothing.
    fn set_alarm(self: &Arc<Self>, wait: Duration) {
        let (slot, over) = (Arc::downgrade(self), self.engine.over.clone());
        self.engine.spawner.spawn(async move {
            let rung = over.run_until_cancelled(crate::rt::sleep(wait)).await.is_some();
            if let Some(slot) = slot.upgrade().filter(|_| rung) {
                slot.apply(Input::Alarm);
            }
        });
    }

    /// The session is gone.
    fn bury(self: &Arc<Self>, tombstone: Tombstone) {
        tracing::info!(session = %self.id, reason = %tombstone.reason, to = "gone", "a session is deleted");
        self.engine.counts.deleted();
        self.with_house(|house, slot| house.bury(slot, tombstone));
        super::actor::retire(self);
    }

    /// This state is over, and the session is not.
    fn leave(self: &Arc<Self>) {
        tracing::warn!(session = %self.id, to = "left", "the store failed, the session is loaded anew on the next use");
        self.engine.counts.unloaded();
        self.with_house(|house, slot| house.leave(slot));
        super::actor::retire(self);
    }

    /// Tells the house, if it still stands.
    fn with_house(self: &Arc<Self>, tell: impl FnOnce(&dyn House, &Arc<Self>)) {
        if let Some(house) = self.house() {
            tell(house.as_ref(), self);
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("id", &self.id)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// Whether a slot can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can.
    Live,
    /// It is being deleted.
    Closing,
    /// It was deleted.
    Gone(Tombstone),
    /// It is to be loaded anew.
    Left,
}

/// The duty to bring the store's answer back. Dropped without one, as when the store panics or the
/// actor is killed, it answers that the outcome is not known.
struct Answer<'a> {
    /// The session.
    slot: &'a Arc<Slot>,
    /// What was asked for, for the metric; `None` once it is answered or passed on.
    owed: Option<&'static str>,
}

impl Answer<'_> {
    /// Brings it back.
    fn give(mut self, result: Result<(), StoreError>) -> (Effects<Callers>, Option<Write>) {
        let operation = self.owed.take().unwrap_or_default();
        if let Err(error) = &result {
            self.slot.engine.counts.store_failed(operation);
            tracing::warn!(session = %self.slot.id, operation, %error, "the store failed");
        }
        self.slot.step(Input::Stored { result })
    }

    /// Leaves the duty to the actor.
    fn pass_on(mut self) {
        self.owed = None;
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if self.owed.take().is_some() {
            let what = "the store did not finish it".to_owned();
            let result = Err(StoreError::OutcomeUnknown { what, source: None });
            self.slot.apply(Input::Stored { result });
        }
    }
}

/// The right to end one turn. Dropping it ends the turn as abandoned, at once.
pub(crate) struct Hold {
    /// The session.
    pub(crate) slot: Arc<Slot>,
    /// Which turn.
    generation: Generation,
    /// Where its chunks go.
    pub(crate) stream: Arc<Stream>,
    /// Whether the turn has not been ended through this.
    held: bool,
}

impl Hold {
    /// Which turn.
    pub(crate) fn stream_id(&self) -> StreamId {
        self.slot.stream_id(self.generation)
    }

    /// Ends the turn with a reply. Once this returns the turn cannot become abandoned.
    pub(crate) fn commit(
        mut self,
        entries: Vec<bytes::Bytes>,
        data: Vec<DataChange>,
    ) -> oneshot::Receiver<Result<Settlement, StoreError>> {
        let (port, answer) = oneshot::channel();
        self.held = false;
        let generation = self.generation;
        self.slot.apply(Input::Commit { generation, entries, data, port });
        answer
    }

    /// Ends the turn without one.
    pub(crate) fn fail(
        mut self,
        fate: InputFate,
    ) -> oneshot::Receiver<Result<Settlement, StoreError>> {
        let (port, answer) = oneshot::channel();
        self.held = false;
        self.slot.apply(Input::Fail { generation: self.generation, fate, port });
        answer
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.held {
            let panicked = crate::rt::is_panicking();
            self.slot.apply(Input::Drop { generation: self.generation, panicked });
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hold({})", self.stream_id())
    }
}

//! One loaded session: its state under its lock, and the way its writes reach the store.
//!
//! A caller applies its input on its own thread and carries out the effects after the lock. The
//! write at the front of the outbox goes to the store from whichever thread made it the front; what
//! the store answers at once is taken in on the spot, so on a memory store nobody is woken. What
//! has to be awaited is left in the slot for the session's actor, which gets nothing but a wake-up.
//!
//! Invariants: the lock is held for one `apply` and never across user code, a store or an await; at
//! most one write of a session is with the store; whoever has it brings an answer back, whatever
//! happens to the store or to the actor (`Answer`, in `pump`, sees to that).

pub(crate) mod actor;
mod admit;
pub(crate) mod answer;
pub(crate) mod expiry;
pub(crate) mod hold;
pub(crate) mod house;
pub(crate) mod idle;
pub(crate) mod lease;
mod names;
mod perform;
mod pump;
mod streams;
pub(crate) mod touch;
mod view;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use self::actor::ActorHandle;
use self::answer::{Answered, Asker, Begun, Errand, Settled};
use self::house::House;
use self::names::{Names, split};
use self::pump::Writing;
use self::touch::Touched;
use crate::capacity::SessionGate;
use crate::clock::{Moment, Now, Timestamp};
use crate::engine::Engine;
use crate::id::{Generation, Incarnation, SessionId, StreamId};
use crate::key::SessionKey;
use crate::outcome::CancelReason;
use crate::policy::Grace;
use crate::room::Weight;
use crate::rt::{
    self, Arc, AtomicBool, AtomicU64, Mutex, Notify, OnceLock, Ordering, Weak, oneshot,
};
use crate::standing::{Previous, Standing};
use crate::state::{
    Change, ChangeRefusal, Changed, DeleteRefusal, Deletion, Effect, Input, Phase, Ports,
    SessionState, Settings, Spoken, StallRule, Target, Ticket,
};
use crate::store::{LifeWriter, PartialPiece, Record, class_name};
use crate::stream::{PieceFate, Stream};
use crate::tombstone::{GoneReason, Tombstone};

/// The callers of a real session: [`answer`] says where their answers go.
#[derive(Debug)]
pub(crate) struct Callers;

impl Ports for Callers {
    type Begin = Asker<Begun>;
    type Settle = Asker<Settled>;
    type Change = oneshot::Sender<Result<Changed, ChangeRefusal>>;
    type Delete = oneshot::Sender<Result<Deletion, DeleteRefusal>>;
    type Stream = Arc<Stream>;
    type Gate = SessionGate;
}

impl Spoken for Arc<Stream> {
    fn take_piece(&self) -> Option<PartialPiece> {
        Stream::take_piece(self)
    }

    fn take_last(&self) -> Option<PartialPiece> {
        Stream::take_last(self)
    }

    fn settle_piece(&self, fate: PieceFate) -> bool {
        Stream::settle_piece(self, fate)
    }

    fn is_overdue(&self, now: Moment) -> bool {
        Stream::is_overdue(self, now)
    }

    fn text(&self) -> Bytes {
        Stream::text(self)
    }
}

/// One loaded session. Laid out as it is written, for the same reason as [`SessionState`].
#[repr(C)]
pub(crate) struct Slot {
    /// Whether somebody was there since the state was asked last. First, beside the counts of the handles: whoever
    /// has one has just read that.
    touched: Touched,
    /// What it needs.
    pub(crate) engine: Arc<Engine>,
    /// What is happening in it: in front of it whether it can be used, which is what a look-up asks.
    state: Mutex<SessionState<Callers>>,
    /// The store's shorter way to this life, if it has one.
    writer: Option<Arc<dyn LifeWriter>>,
    /// The newest ticket.
    tickets: AtomicU64,
    /// Which life of it.
    pub(crate) incarnation: Incarnation,
    /// The key it was created under.
    pub(crate) key: Option<SessionKey>,
    /// Whether `names` has an id. Here, beside what a begin needs, so that one that asks needs no other line.
    renamed: AtomicBool,
    /// Wakes whoever waits until the store has everything; made when somebody does. Here for the same reason.
    stored: OnceLock<Box<Notify>>,
    /// Who keeps it.
    house: Weak<dyn House>,
    /// Which conversation: the id under which it was created, by which it stands here and in the store.
    /// People are told [`Self::tip`].
    pub(crate) id: SessionId,
    /// When this life began.
    pub(crate) created_at: Timestamp,
    /// What its key led to before.
    pub(crate) previous: Option<Box<Previous>>,
    /// What kind of conversation it is.
    class: Option<String>,
    /// The write that its actor is to await.
    left_for_actor: Mutex<Option<Writing>>,
    /// What it is counted with.
    weight: Weight,
    /// Its actor, if it ever needed one.
    pub(super) actor: Mutex<Option<ActorHandle>>,
    /// What else leads to it; made when there is something.
    names: OnceLock<Box<Names>>,
}

impl Slot {
    /// A session as its record says, with what is kept of the replies that it calls open, and how many bytes its
    /// entries have. Its repairs are not written before [`Self::start`].
    pub(crate) fn new(
        record: Record,
        (said, bytes): (Vec<Bytes>, u64),
        engine: Arc<Engine>,
        house: Weak<dyn House>,
    ) -> Arc<Self> {
        let partials = engine.config.partials.interrupted;
        let (at, instance) = (engine.now(), engine.instance);
        let max_branches = engine.config.limits.max_branches;
        let (expiry, ages) = (engine.expiry(&record), engine.ages(&record, at));
        let length = engine.length(&record, bytes);
        let settings = Settings { at, instance, partials, max_branches, expiry, ages, length };
        let writer = engine.store.attach(&record.id, record.incarnation);
        let class = engine.capacity.class(record.class_name());
        Arc::new_cyclic(|myself: &Weak<Self>| {
            let gate = SessionGate::new(engine.capacity.clone(), class, myself.clone());
            let state = SessionState::load(&record, said, settings, gate);
            let (id, later_ids) = split(record.id, record.former_ids);
            Self {
                id,
                renamed: AtomicBool::new(!later_ids.is_empty()),
                incarnation: record.incarnation,
                key: record.key,
                created_at: record.created_at,
                previous: record.previous,
                class: record.class,
                engine,
                house,
                writer,
                touched: Touched::new(matches!(state.phase(), Phase::Live)),
                state: Mutex::new(state),
                left_for_actor: Mutex::new(None),
                weight: Weight::default(),
                actor: Mutex::new(None),
                tickets: AtomicU64::new(0),
                stored: OnceLock::new(),
                names: Names::of(later_ids),
            }
        })
    }

    /// Hands what is owed to the store over to it.
    pub(crate) fn start(self: &Arc<Self>) {
        let write = self.state.lock().next_write();
        if write.is_some() {
            self.finish(&mut Errand { write, ..Errand::new(self.engine.now()) });
        }
    }

    /// What kind of conversation it is.
    pub(crate) fn class_name(&self) -> &str {
        class_name(self.class.as_deref(), self.key.as_ref())
    }

    /// A name for a begin.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.tickets.fetch_add(1, Ordering::Relaxed))
    }

    /// The name of a turn of this session.
    pub(crate) fn stream_id(&self, generation: Generation) -> StreamId {
        StreamId::new(self.incarnation, generation)
    }

    /// Ends a turn as `input` says.
    fn settle(
        self: &Arc<Self>,
        input: impl FnOnce(Asker<Settled>) -> Input<Callers>,
    ) -> Answered<Settled> {
        let mut errand = Errand::new(self.engine.now());
        let state = self.state.lock();
        let (port, receiver) = Asker::new(self.writer.is_some() && state.owes_nothing());
        self.step_locked(state, input(port), &mut errand);
        self.finish(&mut errand);
        Answered::of(receiver, errand.settled)
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
        let grace = Grace::new(self.engine.config.turns.abort_after, grace);
        let mut errand = Errand::new(self.engine.now());
        self.step(Input::Cancel { target, reason, grace }, &mut errand);
        let effects = &mut errand.effects;
        let place = effects.iter().position(|it| matches!(it, Effect::Cancelled { .. }));
        let found = match place.map(|place| effects.remove(place)) {
            Some(Effect::Cancelled { streams, already }) => (streams, already),
            Some(_) | None => (SmallVec::new(), true),
        };
        self.finish(&mut errand);
        found
    }

    /// Tells one turn to end, as somebody asked for it.
    pub(crate) fn cancel_turn(self: &Arc<Self>, generation: Generation) {
        let grace = self.engine.config.turns.cancel_grace;
        self.cancel(Target::Turn(generation), CancelReason::Stopped, grace);
    }

    /// Looks at the open turns at `now`; answers whether that is to be done again.
    pub(crate) fn look(self: &Arc<Self>, rule: StallRule, now: Now) -> bool {
        let mut errand = Errand::new(now);
        self.step(Input::Look { rule }, &mut errand);
        let enough = errand.effects.iter().any(|effect| matches!(effect, Effect::Unwatch));
        self.finish(&mut errand);
        !enough
    }

    /// Settles turn `generation` as interrupted, unless it may be alive.
    pub(crate) fn clear(self: &Arc<Self>, generation: Generation) -> Answered<Settled> {
        self.settle(|port| Input::Clear { generation, port })
    }

    /// Whether turn `generation` is open, or on its way to or from it.
    pub(crate) fn may_live(&self, generation: Generation) -> bool {
        self.state.lock().may_live(generation)
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

    /// Whether it can be used.
    pub(crate) fn presence(&self) -> Presence {
        Presence::of(&self.state.lock())
    }

    /// Whether it can be used, its time being what it is.
    pub(crate) fn presence_now(&self) -> Presence {
        let (presence, fresh_until) = {
            let state = self.state.lock();
            (Presence::of(&state), state.fresh_until())
        };
        // As mostly, and then without a look at the clock where it never ends. Use can only make it later.
        if fresh_until == Moment::NEVER {
            return presence;
        }
        let now = self.engine.now();
        if now.moment < fresh_until {
            return presence;
        }
        let mut state = self.state.lock();
        self.note_touch(&mut state, now);
        if state.due(now).is_some() { Presence::Due } else { Presence::of(&state) }
    }

    /// Whether a turn of this life still has a holder.
    pub(crate) fn has_holders(&self) -> bool {
        self.state.lock().has_holders()
    }

    /// Whether nothing runs, waits or is owed to the store.
    pub(crate) fn is_quiet(&self) -> bool {
        self.state.lock().is_quiet()
    }

    /// Waits until the store has everything that was decided.
    pub(crate) async fn all_stored(&self) {
        // Whoever empties the outbox after the look below finds it.
        let stored = self.stored.get_or_init(Box::default);
        rt::wait(stored, || self.state.lock().owes_nothing().then_some(())).await;
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
        broken.into_iter().map(|rule| format!("session {}: {rule}", self.tip())).collect()
    }

    /// One input, with everything that follows from it.
    pub(super) fn apply(self: &Arc<Self>, input: Input<Callers>) {
        let mut errand = Errand::new(self.engine.now());
        self.step(input, &mut errand);
        self.finish(&mut errand);
    }

    /// Who keeps it, if that still stands.
    pub(crate) fn house(&self) -> Option<Arc<dyn House>> {
        self.house.upgrade()
    }

    /// Whether this slot will never need an actor again.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock();
        matches!(state.phase(), Phase::Gone(_) | Phase::Left) && state.is_quiet()
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
pub(crate) enum Presence {
    /// It can.
    Live,
    /// It can be looked at, and it takes no turns.
    Shut(Standing),
    /// Its time is over, and nobody has ended it yet.
    Due,
    /// It is being deleted.
    Closing,
    /// It was deleted.
    Gone(Tombstone),
    /// It is to be loaded anew.
    Left,
}

impl Presence {
    /// Whether keys may lead to it.
    pub(crate) const fn is_routable(self) -> bool {
        match self {
            Self::Live => true,
            Self::Shut(standing) => standing.is_routable(),
            Self::Due | Self::Closing | Self::Gone(_) | Self::Left => false,
        }
    }

    /// That of a session in `state`.
    fn of(state: &SessionState<Callers>) -> Self {
        match state.phase() {
            Phase::Live => Self::Live,
            Phase::Shut(standing) => Self::Shut(*standing),
            Phase::Closing(_) => Self::Closing,
            Phase::Gone(tombstone) => Self::Gone(**tombstone),
            Phase::Left => Self::Left,
        }
    }
}

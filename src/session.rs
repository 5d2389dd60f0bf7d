//! One conversation.
//!
//! A [`Session`] is a handle. It does not go stale by idleness or by a store that failed for a
//! while: what it names is loaded again on use. Only deletion ends it.

mod attempt;
mod begin;
mod data;
mod error;
mod lease;
mod names;
mod redo;
mod resume;
mod resuming;
mod revisions;
mod standing;
mod status;
mod streams;
mod touch;
mod transcript;
mod wait;

use std::fmt;
use std::marker::PhantomData;

pub use self::error::{BeginError, DeleteError, SessionError};
pub use self::lease::{Lease, LeaseError, LeaseRenewal};
pub use self::names::RotateError;
pub use self::redo::RolledBack;
pub use self::revisions::{RestoredRevision, TakenBack};
pub use self::status::{SessionStatus, TurnStatus};
pub(crate) use self::wait::{answer, delete};

use self::wait::{Again, again, delete_for_good};
use crate::clock::Timestamp;
use crate::entry::{ChatMessage, EntryError};
use crate::id::{Incarnation, SessionId, StreamId};
use crate::key::SessionKey;
use crate::outcome::CancelReason;
use crate::room::{LoadError, Need};
use crate::rt::Arc;
use crate::slot::house::House;
use crate::slot::{Presence, Slot};
use crate::standing::Previous;
use crate::state::Target;
use crate::store::{FenceReason, Found, Record, StoreError};
use crate::tombstone::Tombstone;
use crate::turn::CancelOutcome;

/// The handle to one conversation. Clones name the same one.
///
/// It goes on working whether the session is in memory or has left it (see
/// [`IdleConfig`](crate::IdleConfig)): what changes something loads it again; what only looks does not.
///
/// # Examples
///
/// ```
/// # use session_supervisor::{BusyPolicy, ChatMessage, CommitOutcome, SessionKey, Supervisor};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let supervisor: Supervisor = Supervisor::builder().start().await?;
/// let key = SessionKey::builder("irc").chat("#rust").build()?;
/// let session = supervisor.open(&key).await?;
///
/// let turn = session.begin(&ChatMessage::user("hello"), BusyPolicy::Reject).await?;
/// turn.emit("hi ")?;
/// turn.emit("there")?;
/// let outcome = turn.commit(&ChatMessage::assistant("hi there")).await?;
/// assert!(matches!(outcome, CommitOutcome::Committed { seq: 2, .. }));
/// # Ok(())
/// # }
/// ```
pub struct Session<E = ChatMessage> {
    /// What it was loaded into; over once the store has failed.
    slot: Arc<Slot>,
    /// Where it is loaded again.
    house: Arc<dyn House>,
    /// What its entries are.
    entries: PhantomData<fn() -> E>,
}

impl<E> Clone for Session<E> {
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone(), house: self.house.clone(), entries: PhantomData }
    }
}

impl<E> fmt::Debug for Session<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.id())
    }
}

/// What a delete did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeleteOutcome {
    /// This call deleted it.
    Deleted(Tombstone),
    /// It was gone before, or another call deleted it first.
    AlreadyGone(Tombstone),
    /// There is no such session, and none is remembered.
    Unknown,
}

impl<E> Session<E> {
    /// The handle to what is in `slot`.
    pub(crate) fn new(slot: Arc<Slot>, house: Arc<dyn House>) -> Self {
        Self { slot, house, entries: PhantomData }
    }

    /// Which conversation. Of the ids that it was given, the newest; where it is not in memory, the newest of
    /// when this handle had it loaded last. See [`rotate`](Self::rotate).
    pub fn id(&self) -> &SessionId {
        if self.slot.presence() == Presence::Left {
            self.slot.learn_ids(&self.current());
        }
        self.slot.tip()
    }

    /// Which life of the id. An id that was deleted may be created again, and is another conversation then:
    /// two handles are of one if this is the same.
    pub fn incarnation(&self) -> Incarnation {
        self.slot.incarnation
    }

    /// The slot that it had loaded last.
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// The key it was created under; it may be bound to another session by now, and others to it. See
    /// [`keys`](Self::keys).
    pub fn key(&self) -> Option<&SessionKey> {
        self.slot.key.as_ref()
    }

    /// When it was created.
    pub fn created_at(&self) -> Timestamp {
        self.slot.created_at
    }

    /// The session that its key led to before, if there was one, and why it does not any more: for a bot
    /// that tells its user that a conversation has ended.
    pub fn previous(&self) -> Option<&Previous> {
        self.slot.previous.as_deref()
    }

    /// What is happening in it now. Never waits, never counts as use, and does not load it: where it is not
    /// in memory, this says so, and what was known of it last.
    pub fn status(&self) -> SessionStatus {
        let status = SessionStatus::of(&self.slot);
        let left = !status.loaded && status.gone.is_none();
        if left { self.status_elsewhere(status) } else { status }
    }

    /// What is happening where it is loaded now, if it is: its slot was left with `status`.
    #[cold]
    fn status_elsewhere(&self, mut status: SessionStatus) -> SessionStatus {
        let (id, incarnation) = (&self.slot.id, self.slot.incarnation);
        if let Some(slot) = self.house.loaded(id, incarnation) {
            status = SessionStatus::of(&slot);
        }
        if !status.loaded && status.gone.is_none() {
            status.gone = self.house.tombstone(id, incarnation);
        }
        status
    }

    /// Tells the turn `stream` to end, as somebody asked for it. A stale id never hits a newer turn.
    ///
    /// Returns at once. The turn's token is cancelled and its stream takes no more chunks; it keeps
    /// the slot until it unwinds, or `turns.cancel_grace` is over. Repeating it changes nothing. Does
    /// not count as use.
    pub fn cancel(&self, stream: StreamId) -> CancelOutcome {
        if stream.incarnation() != self.slot.incarnation {
            return CancelOutcome::NotRunning;
        }
        self.cancel_target(Target::Turn(stream.generation()))
    }

    /// Tells every turn of the session to end, and every begin that waits for it.
    ///
    /// As [`cancel`](Self::cancel) otherwise.
    pub fn stop(&self) -> CancelOutcome {
        self.cancel_target(Target::Everything)
    }

    /// Tells turns to end.
    fn cancel_target(&self, target: Target) -> CancelOutcome {
        let grace = self.slot.engine.config.turns.cancel_grace;
        let (streams, already) = self.current().cancel(target, CancelReason::Stopped, grace);
        match (streams.is_empty(), already) {
            (true, _) => CancelOutcome::NotRunning,
            (false, true) => CancelOutcome::AlreadyCancelling { streams: streams.to_vec() },
            (false, false) => CancelOutcome::Cancelling { streams: streams.to_vec() },
        }
    }

    /// Deletes the conversation: its entries, its data, its key's binding.
    ///
    /// At once nothing new is admitted, waiting begins are told, running turns are told and fenced:
    /// whatever they do later is refused. It does not wait for them. The future resolves when the
    /// store has the tombstone.
    ///
    /// # Errors
    ///
    /// [`DeleteError`] if the store failed. The session then stays closed to everything but another
    /// delete, which finishes it.
    ///
    /// # Cancel safety
    ///
    /// A future that was polled once has handed the delete over, and dropping it takes nothing back.
    pub async fn delete(&self) -> Result<DeleteOutcome, DeleteError> {
        delete_for_good(&self.slot, &self.house).await
    }

    /// The record as the store has it. A turn that it calls open runs; one that does not run any more is
    /// cleared on the way. A session whose time is over is ended, as by whoever uses it.
    ///
    /// # Errors
    ///
    /// [`SessionError`]; never `Content`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn record(&self) -> Result<Record, SessionError> {
        let (slot, engine) = (&self.slot, &self.slot.engine);
        let found = match engine.store.look_up(&slot.id, engine.now().wall).await {
            Ok(Found::Live(record)) => Ok(self.house.current(record).await),
            found => found,
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => return Err(self.read_failed(error).await),
        };
        let (id, instance) = (slot.tip().clone(), slot.engine.instance);
        match found {
            Found::Live(record) if record.incarnation == slot.incarnation => Ok(record),
            Found::Gone(tombstone) => Err(SessionError::Gone { id, tombstone, instance }),
            Found::Live(_) | Found::Unknown => Err(SessionError::Unknown { id, instance }),
        }
    }

    /// The slot that holds this life now, or the last that did.
    fn current(&self) -> Arc<Slot> {
        let left = self.slot.presence() == Presence::Left;
        let now = left.then(|| self.house.loaded(&self.slot.id, self.slot.incarnation)).flatten();
        now.unwrap_or_else(|| self.slot.clone())
    }

    /// The slot that holds this life now, loaded if it is not.
    async fn again(&self) -> Result<Again, LoadError> {
        again(&self.slot, self.house.as_ref(), Need::Use).await
    }

    /// What a failed read means to a caller: a life that is over is told as what it is.
    async fn read_failed(&self, source: StoreError) -> SessionError {
        if !matches!(&source, StoreError::Fenced { reason: FenceReason::NoSuchLife }) {
            return self.store_failed(source);
        }
        let (id, instance) = (self.slot.tip().clone(), self.slot.engine.instance);
        // Only looked at, and not refused.
        match again(&self.slot, self.house.as_ref(), Need::Look).await {
            Ok(Again::Gone(tombstone)) => SessionError::Gone { id, tombstone, instance },
            Ok(Again::Unknown) => SessionError::Unknown { id, instance },
            Ok(Again::Live(_)) => self.store_failed(source),
            Err(error) => SessionError::from_load(error, id),
        }
    }

    /// What a store's failure means to a caller.
    fn store_failed(&self, source: StoreError) -> SessionError {
        self.slot.engine.counts.store_failed("read");
        SessionError::Store { id: self.slot.tip().clone(), source }
    }

    /// What an unsuitable content means to a caller.
    fn refused(&self, source: EntryError) -> SessionError {
        SessionError::Content { id: self.slot.tip().clone(), source }
    }
}

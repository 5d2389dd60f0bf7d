//! One conversation.
//!
//! A [`Session`] is a handle. It does not go stale by idleness or by a store that failed for a
//! while: what it names is loaded again on use. Only deletion ends it.

mod data;
mod error;
mod status;
mod streams;
mod wait;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

pub use self::error::{BeginError, DeleteError, SessionError};
pub use self::status::{SessionStatus, TurnStatus};
pub(crate) use self::wait::delete;

use self::wait::{Again, admitted, again};
use crate::clock::Timestamp;
use crate::entry::{ChatMessage, Content, Entry, EntryError, TurnInput, decode, encode};
use crate::id::{SessionId, StreamId};
use crate::key::SessionKey;
use crate::outcome::CancelReason;
use crate::rt::Arc;
use crate::slot::hold::Hold;
use crate::slot::house::House;
use crate::slot::{Slot, Standing};
use crate::state::{BeginRequest, Change, Target};
use crate::store::{EntryMark, FenceReason, Found, Record, StoreError, StoredEntry};
use crate::tombstone::Tombstone;
use crate::turn::{BeginOptions, CancelOutcome, Running, Turn};

/// The handle to one conversation. Clones name the same one.
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
        write!(f, "Session({})", self.slot.id)
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

    /// Which conversation.
    pub fn id(&self) -> &SessionId {
        &self.slot.id
    }

    /// The key it was created under; it may be bound to another session by now.
    pub fn key(&self) -> Option<&SessionKey> {
        self.slot.key.as_ref()
    }

    /// When it was created.
    pub fn created_at(&self) -> Timestamp {
        self.slot.created_at
    }

    /// What is happening in it now. Never waits, never counts as use.
    pub fn status(&self) -> SessionStatus {
        let current = self.current();
        let mut status = SessionStatus::of(&current);
        if current.standing() == Standing::Left {
            status.gone = self.house.tombstone(&current.id, current.incarnation);
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
        delete(&self.slot, self.house.as_ref()).await
    }

    /// The record as the store has it.
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
        let found = engine.store.look_up(&slot.id, engine.now().wall).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => return Err(self.read_failed(error).await),
        };
        let (id, instance) = (slot.id.clone(), slot.engine.instance);
        match found {
            Found::Live(record) if record.incarnation == slot.incarnation => Ok(record),
            Found::Gone(tombstone) => Err(SessionError::Gone { id, tombstone, instance }),
            Found::Live(_) | Found::Unknown => Err(SessionError::Unknown { id, instance }),
        }
    }

    /// The slot that holds this life now, or the last that did.
    fn current(&self) -> Arc<Slot> {
        let left = self.slot.standing() == Standing::Left;
        let now = left.then(|| self.house.loaded(&self.slot.id, self.slot.incarnation)).flatten();
        now.unwrap_or_else(|| self.slot.clone())
    }

    /// The slot that holds this life now, loaded if it is not.
    async fn again(&self) -> Result<Again, StoreError> {
        again(&self.slot, self.house.as_ref()).await
    }

    /// What a failed read means to a caller: a life that is over is told as what it is.
    async fn read_failed(&self, source: StoreError) -> SessionError {
        if !matches!(&source, StoreError::Fenced { reason: FenceReason::NoSuchLife }) {
            return self.store_failed(source);
        }
        let (id, instance) = (self.slot.id.clone(), self.slot.engine.instance);
        match self.again().await {
            Ok(Again::Gone(tombstone)) => SessionError::Gone { id, tombstone, instance },
            Ok(Again::Unknown) => SessionError::Unknown { id, instance },
            Ok(Again::Live(_)) => self.store_failed(source),
            Err(source) => SessionError::Store { id, source },
        }
    }

    /// What a store's failure means to a caller.
    fn store_failed(&self, source: StoreError) -> SessionError {
        self.slot.engine.counts.store_failed("read");
        SessionError::Store { id: self.slot.id.clone(), source }
    }

    /// What an unsuitable content means to a caller.
    fn refused(&self, source: EntryError) -> SessionError {
        SessionError::Content { id: self.slot.id.clone(), source }
    }
}

impl<E: Content> Session<E> {
    /// Begins a turn whose work stays with the caller: what the user said becomes durable, and the
    /// caller gets the right to reply.
    ///
    /// Its place among others is taken by the first poll of the future, not by the call: whoever spawns
    /// a task for each message and wants them in order has to poll each once before the next.
    ///
    /// `options` is a [`BusyPolicy`](crate::BusyPolicy), `()` for the supervisor's, or
    /// [`BeginOptions`]. Counts as use if it is admitted.
    ///
    /// # Errors
    ///
    /// [`BeginError`]; with any of them nothing runs. The input is in the transcript only if the
    /// turn was admitted and then told to end, or if the store does not know.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its first poll, nothing has happened. Dropped while it waits, it leaves the
    /// queue. Dropped after the turn has taken the slot, the turn ends as abandoned and its input is
    /// kept.
    pub async fn begin(
        &self,
        input: impl Into<TurnInput<'_, E>>,
        options: impl Into<BeginOptions>,
    ) -> Result<Turn<E>, BeginError> {
        let (engine, options) = (&self.slot.engine, options.into());
        let admitted = input.into().encode(&engine.config.limits).map_err(BeginError::Input);
        let admitted = admitted.and_then(|input| {
            let request = options.request(engine, Some(self.id()), self.key(), input.as_ref());
            engine.admit(&request).map_err(|denial| BeginError::denied(denial, engine))?;
            Ok(input)
        });
        match admitted {
            Ok(input) => self.begin_admitted(input, options).await,
            Err(error) => Err(error.noted(engine)),
        }
    }

    /// As [`begin`](Self::begin), for an input that was encoded and that the host was asked about.
    pub(crate) async fn begin_admitted(
        &self,
        input: Option<bytes::Bytes>,
        options: BeginOptions,
    ) -> Result<Turn<E>, BeginError> {
        let begun = self.begin_encoded(input, options).await;
        begun.map_err(|error| error.noted(&self.slot.engine)).map(Turn::new)
    }

    /// Begins a turn and gives its work to the supervisor: a task that it tracks, aborts when the
    /// turn does not end in time after it was told to, and waits for at its shutdown.
    ///
    /// Resolves when the turn has begun. Dropping the handle that it resolves to detaches from the
    /// task, unless [`Running::cancel_on_drop`] was called.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin); `work` has not been called then.
    ///
    /// # Cancel safety
    ///
    /// As [`begin`](Self::begin); once the work has started, dropping has no influence.
    pub async fn run<F, W>(
        &self,
        input: impl Into<TurnInput<'_, E>>,
        options: impl Into<BeginOptions>,
        work: F,
    ) -> Result<Running<W::Output>, BeginError>
    where
        F: FnOnce(Turn<E>) -> W + Send + 'static,
        W: Future + Send + 'static,
        W::Output: Send + 'static,
    {
        let turn = self.begin(input, options).await?;
        Ok(Running::start(turn, work))
    }

    /// [`Self::begin`], from what was encoded.
    async fn begin_encoded(
        &self,
        input: Option<bytes::Bytes>,
        options: BeginOptions,
    ) -> Result<Hold, BeginError> {
        let mut slot = self.slot.clone();
        loop {
            let engine = &slot.engine;
            let began = engine.now();
            let request = BeginRequest {
                ticket: slot.ticket(),
                input: input.clone(),
                policy: options.policy.unwrap_or(engine.config.busy),
                expect_version: options.expect_version,
                draining: engine.is_draining(),
                abort_after: engine.config.turns.abort_after,
            };
            let refusal = match admitted(&slot, request, began).await {
                Ok(hold) => return Ok(hold),
                Err(refusal) => refusal,
            };
            let waited = engine.now().moment.since(began.moment);
            let expected = options.expect_version;
            if let Some(error) = BeginError::from_refusal(refusal, &slot, waited, expected) {
                if matches!(error, BeginError::Gone { .. }) {
                    engine.counts.gone_hit();
                }
                return Err(error);
            }
            let (id, instance) = (slot.id.clone(), slot.engine.instance);
            slot = match self.again().await {
                Ok(Again::Live(slot)) => slot,
                Ok(Again::Gone(tombstone)) => {
                    return Err(BeginError::Gone { id, tombstone, instance });
                }
                Ok(Again::Unknown) => return Err(BeginError::Unknown { id, instance }),
                Err(source) if slot.engine.is_over(&source) => {
                    return Err(BeginError::Draining { instance });
                }
                Err(source) => return Err(BeginError::Store { id, source }),
            };
        }
    }

    /// Adds entries without a turn, such as a notice; answers the number of the last. Counts as use.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    ///
    /// As [`insert`](Self::insert).
    pub async fn append(&self, entries: &[E]) -> Result<u64, SessionError> {
        let max = self.slot.engine.config.limits.max_entry_bytes;
        let entries = entries.iter().map(|entry| encode(entry, max)).collect::<Result<_, _>>();
        let entries = entries.map_err(|error| self.refused(error))?;
        self.change(Change::Append(entries)).await.map(|changed| changed.last_seq)
    }

    /// Up to `limit` entries with a number above `after`, in order; `after` 0 starts at the first.
    ///
    /// The input of a turn that runs is among them, marked [`EntryMark::Pending`]. Never waits for a
    /// turn, never counts as use.
    ///
    /// # Errors
    ///
    /// As the store says. An entry that cannot be read is an error in that entry alone.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry<E>>, SessionError> {
        let slot = &self.slot;
        let stored = match slot.engine.store.entries(&slot.id, slot.incarnation, after, limit).await
        {
            Ok(stored) => stored,
            Err(error) => return Err(self.read_failed(error).await),
        };
        let slot = self.current();
        Ok(stored.iter().map(|entry| Self::decode_entry(&slot, entry)).collect())
    }

    /// The whole transcript: [`entries`](Self::entries) without those beside it.
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn transcript(&self) -> Result<Vec<Entry<E>>, SessionError> {
        let mut entries = self.entries(0, usize::MAX).await?;
        entries.retain(|entry| entry.mark != EntryMark::Aside);
        Ok(entries)
    }

    /// An entry as its reader sees it.
    fn decode_entry(slot: &Slot, stored: &StoredEntry) -> Entry<E> {
        let open = stored.generation.is_some_and(|turn| slot.is_open(turn));
        let pending = open && stored.mark == EntryMark::Kept;
        let content = match stored.mark {
            EntryMark::Damaged => Err(EntryError::Damaged),
            EntryMark::Kept | EntryMark::Pending | EntryMark::Unanswered | EntryMark::Aside => {
                decode(&stored.payload)
            }
        };
        Entry {
            seq: stored.seq,
            stream: stored.generation.map(|generation| slot.stream_id(generation)),
            mark: if pending { EntryMark::Pending } else { stored.mark },
            at: stored.at,
            content,
        }
    }
}

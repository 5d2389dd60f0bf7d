//! One reply: the right to produce it, and how it ends.
//!
//! A [`Turn`] is held by the code that works on the reply. It emits chunks, then commits or fails;
//! dropping it ends it as abandoned, at once. Every turn has exactly one outcome, whatever races:
//! the first that reaches the session decides, and the others are told.

mod resume;
mod running;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

pub use self::running::{RunError, Running};

use self::resume::Resuming;

use crate::admission::AdmissionRequest;
use crate::engine::Engine;
use crate::entry::{ChatMessage, Content, Entry, EntryError, Reply, decode};
use crate::id::{SessionId, StreamId};
use crate::key::SessionKey;
use crate::limit::TooLong;
use crate::outcome::CancelReason;
use crate::policy::BusyPolicy;
use crate::pulse::WorkPhase;
use crate::rt::{CancellationToken, Mutex};
use crate::slot::hold::Hold;
use crate::state::{Replied, Settlement};
use crate::store::{EntryMark, InputFate, StoreError};
use crate::stream::{Chunk, Said, Subscription};

/// How a turn is to be begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BeginOptions {
    /// What happens while another turn runs; `None` is the supervisor's policy.
    pub policy: Option<BusyPolicy>,
    /// The session's version as the caller saw it last; if it is another by now, nothing is run.
    pub expect_version: Option<u64>,
    /// The caller's own name for this begin, such as the id of the message that it answers: within one
    /// session, a second begin under the same name begins nothing, also after a restart.
    pub idempotency_key: Option<String>,
}

impl BeginOptions {
    /// With this policy.
    #[must_use]
    pub fn policy(mut self, policy: BusyPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Only if the session is still at this version. With one, [`BusyPolicy::Steer`] waits and steers
    /// nobody.
    #[must_use]
    pub fn expect_version(mut self, version: u64) -> Self {
        self.expect_version = Some(version);
        self
    }

    /// Once: a platform that delivers a message twice, or a client that asks again because it did not hear
    /// the answer, begins one turn.
    ///
    /// The same key and input answer [`BeginError::Repeated`](crate::BeginError::Repeated) with the turn
    /// that came of it, whether that runs or is over, however it ended; the same key with another input
    /// answers [`BeginError::KeyReused`](crate::BeginError::KeyReused). Between 1 and
    /// `limits.max_name_bytes` bytes; remembered for `kept.requests_for`. A begin that is refused is not
    /// remembered. With one, [`BusyPolicy::Steer`] waits and steers nobody.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

impl BeginOptions {
    /// What the host is asked about a begin with these.
    pub(crate) fn request<'a>(
        &self,
        engine: &Engine,
        session: Option<&'a SessionId>,
        key: Option<&'a SessionKey>,
        input: Option<&bytes::Bytes>,
    ) -> AdmissionRequest<'a> {
        let policy = self.policy.unwrap_or(engine.config.busy);
        AdmissionRequest { session, key, input_bytes: input.map_or(0, bytes::Bytes::len), policy }
    }
}

impl From<BusyPolicy> for BeginOptions {
    fn from(policy: BusyPolicy) -> Self {
        Self::default().policy(policy)
    }
}

/// The supervisor's policy, and no expectation.
impl From<()> for BeginOptions {
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// What a commit did. The reply is the caller's in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a reply that was not committed is in nobody's transcript"]
#[non_exhaustive]
pub enum CommitOutcome {
    /// The reply is in the transcript, and durable.
    Committed {
        /// The number of its last entry.
        seq: u64,
        /// The session's version from then on.
        version: u64,
    },
    /// The turn ran in parallel and another one had committed since its begin. Nothing was written.
    Superseded {
        /// The turn that won.
        by: StreamId,
    },
    /// The turn had been ended over its holder's head. Nothing was written.
    Stale {
        /// Why.
        reason: CancelReason,
    },
}

/// What a cancel found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelOutcome {
    /// These turns have been told to end, at least one of them now.
    Cancelling {
        /// Their streams.
        streams: Vec<StreamId>,
    },
    /// These turns had been told before and have not ended yet.
    AlreadyCancelling {
        /// Their streams.
        streams: Vec<StreamId>,
    },
    /// No such turn runs.
    NotRunning,
}

/// Why a reply was not committed.
#[non_exhaustive]
#[derive(thiserror::Error)]
pub enum CommitError<E = ChatMessage> {
    /// The reply cannot be stored. The turn is still open and handed back.
    #[error("the reply of turn {} was refused", .turn.stream())]
    Reply {
        /// The turn.
        turn: Box<Turn<E>>,
        /// What is wrong with the reply.
        #[source]
        source: EntryError,
    },
    /// The conversation would be longer than it may be. The turn is still open and handed back: commit
    /// something shorter, or let it fail.
    #[error("the reply of turn {} is too long for its conversation", .turn.stream())]
    TooLong {
        /// The turn.
        turn: Box<Turn<E>>,
        /// How long it would be, and what to do.
        #[source]
        source: TooLong,
    },
    /// The store failed; the turn is over. With [`StoreError::OutcomeUnknown`] the reply may be in
    /// the transcript, otherwise it is not.
    #[error("the reply of turn {stream} could not be stored")]
    Store {
        /// The turn.
        stream: StreamId,
        /// How.
        #[source]
        source: StoreError,
    },
}

impl<E> fmt::Debug for CommitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply { turn, source } => {
                f.debug_struct("Reply").field("turn", turn).field("source", source).finish()
            }
            Self::TooLong { turn, source } => {
                f.debug_struct("TooLong").field("turn", turn).field("source", source).finish()
            }
            Self::Store { stream, source } => {
                f.debug_struct("Store").field("stream", stream).field("source", source).finish()
            }
        }
    }
}

/// Why a chunk was not taken: the turn was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("turn {stream} takes no more chunks: {reason}")]
#[non_exhaustive]
pub struct EmitError {
    /// The turn.
    pub stream: StreamId,
    /// Why it is to end.
    pub reason: CancelReason,
}

/// The right to produce one reply. Dropping it ends the turn as abandoned, or as panicked while its
/// thread unwinds; the input is kept.
#[must_use = "dropping a turn ends it as abandoned"]
pub struct Turn<E = ChatMessage> {
    /// The right itself.
    hold: Hold,
    /// What it has done with handles of outside services.
    resuming: Mutex<Option<Box<Resuming>>>,
    /// What the session's entries are.
    entries: PhantomData<fn() -> E>,
}

impl<E> fmt::Debug for Turn<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({})", self.stream())
    }
}

impl<E> Turn<E> {
    /// A turn that has begun.
    pub(crate) fn new(hold: Hold) -> Self {
        Self { hold, resuming: Mutex::new(None), entries: PhantomData }
    }

    /// Its stream, which names it.
    pub fn stream(&self) -> StreamId {
        self.hold.stream_id()
    }

    /// The session it belongs to.
    pub fn session(&self) -> &SessionId {
        self.hold.slot.tip()
    }

    /// Emits a piece of the reply to whoever reads; answers its number, from 1.
    ///
    /// Never waits for a reader or for the store. What is emitted is not the reply: that is what is
    /// committed. Until then it is kept beside the transcript, piece by piece, for the case that the turn
    /// does not come to it; see [`PartialConfig`](crate::PartialConfig).
    ///
    /// Costs one wake-up at most, however many read. Work that emits and then computes for long without
    /// an await keeps readers waiting, since they may be next on its thread.
    ///
    /// # Errors
    ///
    /// [`EmitError`] once the turn was told to end; a good moment to stop working.
    pub fn emit(&self, chunk: impl Into<Chunk>) -> Result<u64, EmitError> {
        self.hold.emit(chunk.into()).map_err(|reason| EmitError { stream: self.stream(), reason })
    }

    /// Says what the turn is waiting for from here on. It starts with [`WorkPhase::Model`].
    ///
    /// This is progress, and decides how long the turn may be silent from now on: see
    /// [`StallConfig`](crate::StallConfig). Say `Human` before you wait for a person, and what comes
    /// next after it. Cheap: reads no clock and wakes nobody.
    pub fn enter(&self, work: WorkPhase) {
        self.hold.stream.mark(Some(work));
    }

    /// A heartbeat: says that the work goes on, for work that emits nothing. Call it where something
    /// has been achieved, not from a timer, which would beat for a stuck turn as well. As cheap as
    /// [`enter`](Self::enter).
    pub fn progress(&self) {
        self.hold.stream.mark(None);
    }

    /// A reader of this turn's stream.
    pub fn subscribe(&self) -> Subscription {
        Subscription::new(self.stream(), self.hold.stream.clone())
    }

    /// Gives the rest of the work to the supervisor, as [`Session::run`](crate::Session::run) does from the
    /// start: for a turn that came of [`Session::retry`](crate::Session::retry) or
    /// [`Session::begin`](crate::Session::begin).
    pub fn run<F, W>(self, work: F) -> Running<W::Output>
    where
        E: 'static,
        F: FnOnce(Self) -> W + Send + 'static,
        W: Future + Send + 'static,
        W::Output: Send + 'static,
    {
        Running::start(self, work)
    }

    /// Why the turn is to end, if it was told to.
    pub fn cancelled_by(&self) -> Option<CancelReason> {
        self.hold.stream.told()
    }

    /// Waits until the turn is told to end; answers why.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only waits.
    pub async fn cancelled(&self) -> CancelReason {
        self.hold.stream.wait_told().await
    }

    /// A token that is cancelled when the turn is told to end, to hand to what it calls.
    pub fn token(&self) -> CancellationToken {
        self.hold.stream.token()
    }

    /// Ends the turn without a reply. A `Keep` leaves the input in the transcript, marked
    /// unanswered; a `Drop` removes it. Answers what the turn's end came to: `Stale` if it had been
    /// told to end before, otherwise `None`. Counts as use.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store failed; the turn is over all the same, and is recorded as
    /// interrupted when the session is loaded again.
    ///
    /// # Cancel safety
    ///
    /// A future that was polled once has handed the end over, and dropping it takes nothing back.
    /// Dropped before that, the turn ends as abandoned.
    pub async fn fail(self, input: FailedInput) -> Result<Option<CancelReason>, StoreError> {
        let fate = match input {
            FailedInput::Keep => InputFate::Keep,
            FailedInput::Drop => InputFate::Drop,
        };
        match self.hold.fail(fate).get().await.map_err(|error| *error)? {
            Settlement::Stale { reason } => Ok(Some(reason)),
            Settlement::Failed | Settlement::Committed { .. } | Settlement::Superseded { .. } => {
                Ok(None)
            }
        }
    }

    /// A span that names the turn and its session, for work that is not given to
    /// [`run`](crate::Session::run), which enters it by itself.
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!("turn", session = %self.session(), stream = %self.stream())
    }

    /// How long after a cancel the turn keeps its slot.
    pub fn cancel_grace(&self) -> Duration {
        self.hold.slot.engine.config.turns.cancel_grace
    }
}

impl<E: Content> Turn<E> {
    /// Waits for the next input that somebody hands to this turn while it works, under
    /// [`BusyPolicy::Steer`]; `None` once the turn is told to end.
    ///
    /// It is stored as a further input of this turn, and whoever said it is told
    /// [`BeginError::Steered`](crate::BeginError::Steered). A turn that does not ask takes nothing: what
    /// was said becomes a turn of its own later. Inputs come in the order in which they were said.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what a dropped future has asked for is handed out by the next one. What was asked for
    /// and never read is in the transcript all the same.
    pub async fn next_input(&self) -> Option<Entry<E>> {
        let Said { seq, at, input } = self.hold.said().await?;
        let (stream, mark) = (Some(self.stream()), EntryMark::Pending);
        Some(Entry { seq, stream, input: true, mark, at, content: decode(&input) })
    }

    /// Ends the turn with its reply: an entry, entries, or a [`Reply`] with data beside them. All of
    /// it becomes durable, or nothing. Counts as use. Resume handles that the turn has used without failing,
    /// or keeps, are stored with it.
    ///
    /// # Errors
    ///
    /// [`CommitError::Reply`] hands the turn back if the reply cannot be stored, and
    /// [`CommitError::TooLong`] if the conversation has no room for it;
    /// [`CommitError::Store`] if the store failed.
    ///
    /// # Cancel safety
    ///
    /// A future that was polled once has handed the commit over: it completes, and the turn cannot
    /// become abandoned any more. Dropped before that, the turn ends as abandoned.
    pub async fn commit(
        mut self,
        reply: impl Into<Reply<'_, E>>,
    ) -> Result<CommitOutcome, CommitError<E>> {
        let stream = self.stream();
        let encoded = reply.into().encode(&self.hold.slot.engine.config);
        let (entries, data, handles) = match encoded {
            Ok(encoded) => encoded,
            Err(source) => return Err(CommitError::Reply { turn: Box::new(self), source }),
        };
        if let Some(source) = self.hold.refuse_reply(&entries) {
            self.hold.slot.engine.capacity.rejected(source.limit);
            return Err(CommitError::TooLong { turn: Box::new(self), source });
        }
        let told = (!handles.is_empty()).then(|| (self.hold.slot.clone(), handles.clone()));
        let extra = self.commit_extra(handles);
        let settled = self.hold.commit(Replied { entries, data, extra }).get().await;
        if let (Some((slot, handles)), Ok(Settlement::Committed { .. })) = (told, &settled) {
            Box::pin(resume::tell_refused(&slot, &handles)).await;
        }
        match settled.map_err(|source| CommitError::Store { stream, source: *source })? {
            Settlement::Committed { seq, version } => Ok(CommitOutcome::Committed { seq, version }),
            Settlement::Superseded { by } => Ok(CommitOutcome::Superseded { by }),
            Settlement::Stale { reason } => Ok(CommitOutcome::Stale { reason }),
            Settlement::Failed => Ok(CommitOutcome::Stale { reason: CancelReason::StoreFailed }),
        }
    }
}

/// What becomes of the input of a turn that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailedInput {
    /// It stays in the transcript, marked unanswered.
    #[default]
    Keep,
    /// It is removed.
    Drop,
}

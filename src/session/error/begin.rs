//! Why a turn was not begun.

use std::time::Duration;

use super::inactive;
use crate::admission::Denial;
use crate::engine::Engine;
use crate::entry::EntryError;
use crate::id::{InstanceId, SessionId, StreamId};
use crate::key::SessionKey;
use crate::limit::{Full, Limit, Shortage, TooLong};
use crate::outcome::{CancelReason, TurnOutcome};
use crate::policy::Holder;
use crate::room::NoRoom;
use crate::slot::Slot;
use crate::standing::{EndReason, Standing};
use crate::state::BeginRefusal;
use crate::store::StoreError;
use crate::tombstone::{GoneReason, Tombstone};
use crate::turn::BeginOptions;

/// Why a turn was not begun. Where several reasons hold, the earlier variant is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// The input cannot be stored. Nothing was asked of the session.
    #[error("the input of a turn was refused")]
    Input(#[source] EntryError),
    /// The host refused it; see [`Admission`](crate::Admission). Nothing was touched.
    #[error("the turn was refused: {denial}")]
    Denied {
        /// Why, in the host's words.
        denial: Denial,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The session was deleted. Open its key to start anew.
    #[error("session {id} was {} at {}", .tombstone.reason, .tombstone.at)]
    Gone {
        /// Which session.
        id: SessionId,
        /// When and why.
        tombstone: Tombstone,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The session is being deleted.
    #[error("session {id} is being deleted")]
    Closing {
        /// Which session.
        id: SessionId,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The session takes no turns: it was suspended, archived, or has ended. Nothing was changed.
    #[error("session {id} is {standing}; {}", inactive(*.standing))]
    Inactive {
        /// Which session.
        id: SessionId,
        /// Since when, and why.
        standing: Standing,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The supervisor shuts down and admits nothing.
    #[error("the supervisor shuts down")]
    Draining {
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// Another turn runs, and the policy was to reject.
    #[error("session {id} is busy: turn {} has been {} for {:?}, {queued} wait", .holder.stream, .holder.phase, .holder.age)]
    Busy {
        /// Which session.
        id: SessionId,
        /// The turn that runs.
        holder: Holder,
        /// How many wait for it.
        queued: usize,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// As many wait as may.
    #[error("session {id} is busy with turn {} and {queued} wait, which is the limit", .holder.stream)]
    QueueFull {
        /// Which session.
        id: SessionId,
        /// The turn that runs.
        holder: Holder,
        /// How many wait for it.
        queued: usize,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// It waited as long as the policy says, or as the one did whose begin it repeated.
    #[error("session {id} did not get free in {waited:?}{}", held_by(.holder.as_ref()))]
    TimedOut {
        /// Which session.
        id: SessionId,
        /// How long it waited.
        waited: Duration,
        /// The turn that ran when the wait was over.
        holder: Option<Holder>,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The session has changed since the caller saw it. Nothing was run.
    #[error("session {id} is at version {version}, the caller expected {expected}")]
    Conflict {
        /// Which session.
        id: SessionId,
        /// What the caller expected.
        expected: u64,
        /// What it is.
        version: u64,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The conversation would be longer than it may be. Nothing was stored.
    #[error("session {id} is full")]
    TooLong {
        /// Which session.
        id: SessionId,
        /// How long it would be, and what to do.
        #[source]
        too_long: TooLong,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// There is no permit for the turn, or no room for another one that waits. Nothing was stored.
    #[error("there is no room for another turn")]
    Full {
        /// Which limit is reached, and when to come back.
        #[source]
        full: Full,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The supervisor is paused, and was for as long as a begin waits. Nothing was stored.
    #[error("the supervisor is paused")]
    Paused {
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// A begin under the same name was admitted before, with the same input. Nothing was begun: follow the
    /// stream, or read the transcript.
    #[error("session {id} was asked for this before: turn {stream}")]
    Repeated {
        /// Which session.
        id: SessionId,
        /// The turn that came of it.
        stream: StreamId,
        /// How that ended; `None` if it runs, or its end is not stored yet.
        outcome: Option<TurnOutcome>,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// A begin under the same name was admitted before, with another input. Nothing was begun.
    #[error("session {id} was asked for something else under the name {key:?}: turn {stream}")]
    KeyReused {
        /// Which session.
        id: SessionId,
        /// The name.
        key: String,
        /// The turn that came of the other begin.
        stream: StreamId,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The running turn took the input, which is stored. There is no turn of its own for it: the reply of
    /// the running one answers it, too.
    #[error("session {id}: turn {by} took the input")]
    Steered {
        /// Which session.
        id: SessionId,
        /// The turn.
        by: StreamId,
        /// The number of the entry.
        seq: u64,
    },
    /// As many turns stand under the last entry as may.
    #[error("session {id} has {max} branches under entry {parent}, which is the limit")]
    TooManyBranches {
        /// Which session.
        id: SessionId,
        /// The entry.
        parent: u64,
        /// `limits.max_branches`.
        max: usize,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// More turns were to be done over than there are, or than may be. Nothing was changed.
    #[error("session {id} cannot go back by {asked} turns, {max} at most")]
    TooDeep {
        /// Which session.
        id: SessionId,
        /// How many were asked for.
        asked: usize,
        /// How many there are, or `limits.max_take_back` if that is less.
        max: usize,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The turn that was to be done over had no input. Nothing was changed.
    #[error("session {id}: turn {stream} had no input to be done over")]
    NoInput {
        /// Which session.
        id: SessionId,
        /// The turn.
        stream: StreamId,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// It was told to end while it waited or started. An input that was stored is kept.
    #[error("the turn was told to end before it began: {reason}")]
    Cancelled {
        /// Why.
        reason: CancelReason,
    },
    /// The session that was to be used does not exist.
    #[error("session {id} does not exist")]
    Unknown {
        /// Which session.
        id: SessionId,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// A version of the key's session was expected, and the key has no session. None was created.
    #[error("{key} is bound to no session, the caller expected version {expected} of one")]
    Unbound {
        /// Which key.
        key: SessionKey,
        /// What the caller expected.
        expected: u64,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The id source gave an id that is in use. Nothing was created.
    #[error("the id source repeats itself: {id} is in use")]
    IdCollision {
        /// The id.
        id: SessionId,
    },
    /// The store failed while the key was followed; no session was created, unless the store does
    /// not know.
    #[error("{key} could not be opened")]
    Open {
        /// Which key.
        key: SessionKey,
        /// How.
        #[source]
        source: StoreError,
    },
    /// It is not in memory, and there is no room for it. Nothing was begun or created.
    #[error(transparent)]
    NoRoom(NoRoom),
    /// The store failed.
    #[error("session {id} could not begin a turn")]
    Store {
        /// Which session.
        id: SessionId,
        /// How.
        #[source]
        source: StoreError,
    },
}

/// For the message of [`BeginError::TimedOut`].
fn held_by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| {
        format!(", held by turn {} ({}, {:?})", holder.stream, holder.phase, holder.age)
    })
}

impl BeginError {
    /// Counts it and logs it: an input that nobody will answer leaves a trace.
    pub(crate) fn note(&self, engine: &Engine) {
        engine.counts.refused(self.name());
        // Who refuses a session has counted that.
        if let Some(limit) = self.limit().filter(|limit| *limit != Limit::Sessions) {
            engine.capacity.rejected(limit);
        }
        let source = std::error::Error::source(self).map(tracing::field::display);
        tracing::debug!(reason = self.name(), refusal = %self, source, "a begin is refused");
    }

    /// Itself, after [`note`](Self::note).
    pub(crate) fn noted(self, engine: &Engine) -> Self {
        self.note(engine);
        self
    }

    /// Whether the session's time was over.
    pub(crate) fn has_expired(&self) -> bool {
        let archived = matches!(
            self,
            Self::Inactive {
                standing: Standing::Archived { reason: EndReason::Expired(_), .. },
                ..
            }
        );
        let gone = |tombstone: &Tombstone| matches!(tombstone.reason, GoneReason::Expired(_));
        archived || matches!(self, Self::Gone { tombstone, .. } if gone(tombstone))
    }

    /// What the host's refusal means to the caller.
    pub(crate) fn denied(denial: Denial, engine: &Engine) -> Self {
        Self::Denied { denial, instance: engine.instance }
    }

    /// What a refusal means to the caller; `None` if the session is to be asked again, after it was loaded
    /// or looked at.
    pub(in crate::session) fn from_refusal(
        refusal: BeginRefusal,
        slot: &Slot,
        waited: Duration,
        options: &BeginOptions,
    ) -> Option<Self> {
        let (id, instance) = (slot.tip().clone(), slot.engine.instance);
        Some(match refusal {
            BeginRefusal::Left(_)
            | BeginRefusal::Moved
            | BeginRefusal::AskAgain(_)
            | BeginRefusal::Due(_) => return None,
            BeginRefusal::Repeated { generation, same: true } => {
                Self::Repeated { id, stream: slot.stream_id(generation), outcome: None, instance }
            }
            BeginRefusal::Repeated { generation, same: false } => {
                let key = options.idempotency_key.clone().unwrap_or_default();
                Self::KeyReused { id, key, stream: slot.stream_id(generation), instance }
            }
            BeginRefusal::Steered { by, seq } => Self::Steered { id, by: slot.stream_id(by), seq },
            BeginRefusal::TooManyBranches { parent } => {
                let max = slot.engine.config.limits.max_branches;
                Self::TooManyBranches { id, parent, max, instance }
            }
            BeginRefusal::Gone(tombstone) => Self::Gone { id, tombstone, instance },
            BeginRefusal::Closing => Self::Closing { id, instance },
            BeginRefusal::Shut(standing) => Self::Inactive { id, standing, instance },
            BeginRefusal::Draining => Self::Draining { instance },
            BeginRefusal::Busy { holder, queued } => Self::Busy { id, holder, queued, instance },
            BeginRefusal::QueueFull { holder, queued } => {
                Self::QueueFull { id, holder, queued, instance }
            }
            BeginRefusal::Short(Shortage::Full(full)) => Self::Full { full, instance },
            BeginRefusal::Short(Shortage::Paused) => Self::Paused { instance },
            BeginRefusal::TooLong(too_long) => Self::TooLong { id, too_long, instance },
            BeginRefusal::TimedOut { holder } => Self::TimedOut { id, waited, holder, instance },
            BeginRefusal::Conflict { version } => {
                let expected = options.expect_version.unwrap_or(version);
                Self::Conflict { id, expected, version, instance }
            }
            BeginRefusal::Cancelled(reason) => Self::Cancelled { reason },
            BeginRefusal::Store(source) => Self::Store { id, source },
        })
    }
}

//! Why something could not be done with a session.

mod begin;
mod kind;

pub use self::begin::BeginError;

use crate::entry::EntryError;
use crate::id::{InstanceId, SessionId};
use crate::limit::TooLong;
use crate::policy::Holder;
use crate::room::{LoadError, NoRoom};
use crate::slot::Slot;
use crate::standing::Standing;
use crate::state::ChangeRefusal;
use crate::store::StoreError;
use crate::tombstone::Tombstone;

/// What to do about a session that takes no turns.
const fn inactive(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "ask again",
        Standing::Suspended { .. } => "resume it",
        Standing::Archived { .. } => "restore it, or open its key for a fresh one",
        Standing::Ended { .. } => "open its key for a fresh one",
    }
}

/// Why a session could not be changed or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The entry, datum, name or label cannot be stored or read.
    #[error("session {id} refused it")]
    Content {
        /// Which session.
        id: SessionId,
        /// Why.
        #[source]
        source: EntryError,
    },
    /// The session was deleted.
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
    /// The session takes no changes, or not this one: it was suspended, archived, or has ended. Nothing was changed.
    #[error("session {id} is {standing}; {}", inactive(*.standing))]
    Inactive {
        /// Which session.
        id: SessionId,
        /// Since when, and why.
        standing: Standing,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// A turn runs, and this cannot be done beside it. Nothing was changed.
    #[error("session {id} is busy: turn {} has been {} for {:?}", .holder.stream, .holder.phase, .holder.age)]
    Busy {
        /// Which session.
        id: SessionId,
        /// The turn that runs.
        holder: Holder,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The session has changed since the caller saw it. Nothing was changed.
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
    /// There is no such revision: it was restored or forgotten, or never made. Nothing was changed.
    #[error("session {id} has no revision {version}")]
    NoRevision {
        /// Which session.
        id: SessionId,
        /// The number that was asked for.
        version: u64,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// More turns were to be taken back than there are, or than may be. Nothing was changed.
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
    /// The session does not exist any more, and its tombstone neither.
    #[error("session {id} does not exist")]
    Unknown {
        /// Which session.
        id: SessionId,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// It is not in memory, and there is no room for it. Nothing was changed.
    #[error(transparent)]
    NoRoom(NoRoom),
    /// The store failed. [`StoreError::OutcomeUnknown`] means that it may have happened.
    #[error("session {id} could not be used")]
    Store {
        /// Which session.
        id: SessionId,
        /// How.
        #[source]
        source: StoreError,
    },
}

impl SessionError {
    /// What it means that session `id` was not loaded.
    pub(super) fn from_load(error: LoadError, id: SessionId) -> Self {
        match error {
            LoadError::NoRoom(no_room) => Self::NoRoom(no_room),
            LoadError::Store(source) => Self::Store { id, source },
        }
    }

    /// What a refusal means to the caller; `None` if the session is to be loaded and asked again.
    pub(super) fn from_refusal(refusal: ChangeRefusal, slot: &Slot) -> Option<Self> {
        let (id, instance) = (slot.tip().clone(), slot.engine.instance);
        Some(match refusal {
            ChangeRefusal::Left | ChangeRefusal::Moved | ChangeRefusal::Due => return None,
            ChangeRefusal::Busy { holder } => Self::Busy { id, holder, instance },
            ChangeRefusal::Gone(tombstone) => Self::Gone { id, tombstone, instance },
            ChangeRefusal::Shut(standing) => Self::Inactive { id, standing, instance },
            ChangeRefusal::Closing => Self::Closing { id, instance },
            ChangeRefusal::TooLong(too_long) => Self::TooLong { id, too_long, instance },
            ChangeRefusal::Store(source) => Self::Store { id, source },
        })
    }
}

/// Why a session was not deleted.
#[derive(Debug, thiserror::Error)]
#[error("session {id} could not be deleted")]
#[non_exhaustive]
pub struct DeleteError {
    /// Which session.
    pub id: SessionId,
    /// What the store said. Unless it says that the session is still usable, nothing runs in it any
    /// more, and the next delete finishes it.
    #[source]
    pub source: StoreError,
}

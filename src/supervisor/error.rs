//! Why a supervisor could not do something.

use std::time::Duration;

use crate::config::ConfigError;
use crate::entry::EntryError;
use crate::expiry::CalendarError;
use crate::id::{InstanceId, SessionId};
use crate::key::SessionKey;
use crate::limit::{ErrorKind, Full};
use crate::room::{LoadError, NoRoom};
use crate::store::StoreError;
use crate::tombstone::Tombstone;

/// Why a supervisor did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is out of its bounds.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A time zone of the settings is not known on this machine.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// Partial replies are to become entries, and nobody said how.
    #[error(
        "`partials.interrupted` is `entry`: say with `SupervisorBuilder::partial_entry` what a partial \
         reply looks like as an entry"
    )]
    NoPartialEntry,
    /// There is no tokio runtime to run on.
    #[error("a supervisor has to be started inside a tokio runtime with time enabled")]
    NoRuntime,
    /// The store failed while it was asked what an earlier run had left.
    #[error("the store could not be recovered")]
    Store(#[source] StoreError),
    /// The supervisor's actor did not start.
    #[error("the supervisor's actor did not start: {reason}")]
    Actor {
        /// What the actor library said.
        reason: String,
    },
}

/// Why a key was not opened or reset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// What the new session was to start with cannot be stored. Nothing was created.
    #[error("a session for {key} cannot be created")]
    Content {
        /// The key.
        key: SessionKey,
        /// Why.
        #[source]
        source: EntryError,
    },
    /// The supervisor shuts down and creates nothing.
    #[error("the supervisor shuts down")]
    Draining {
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// There are as many sessions as may be. Nothing was created.
    #[error("a session for {key} cannot be created")]
    Full {
        /// The key.
        key: SessionKey,
        /// Which limit is reached.
        #[source]
        full: Full,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The id source gave an id that is in use. Nothing was created.
    #[error("the id source repeats itself: {id} is in use")]
    IdCollision {
        /// The id.
        id: SessionId,
    },
    /// There is no room for it in memory. Nothing was created.
    #[error(transparent)]
    NoRoom(NoRoom),
    /// What the key is bound to is damaged in the store, and was left as it is. The key can be
    /// [reset](crate::Supervisor::reset), which starts anew.
    #[error(
        "what {key} is bound to is damaged; it was left as it is, and a reset of the key starts anew"
    )]
    Damaged {
        /// The key.
        key: SessionKey,
        /// Which row.
        #[source]
        source: StoreError,
    },
    /// The store failed.
    #[error("{key} could not be opened")]
    Store {
        /// The key.
        key: SessionKey,
        /// How.
        #[source]
        source: StoreError,
    },
}

/// Why a session was not created, or not found for use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// What it was to start with cannot be stored. Nothing was created.
    #[error("a session cannot be created")]
    Content(#[source] EntryError),
    /// The supervisor shuts down and creates nothing.
    #[error("the supervisor shuts down")]
    Draining {
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// There are as many sessions as may be. Nothing was created.
    #[error("session {id} cannot be created")]
    Full {
        /// The id.
        id: SessionId,
        /// Which limit is reached.
        #[source]
        full: Full,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// A live session has the id. Nothing was changed.
    #[error("session {id} exists")]
    Exists {
        /// The id.
        id: SessionId,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The key is bound to a session that takes turns. Nothing was changed.
    #[error("{key} is bound to session {to}")]
    KeyTaken {
        /// The key.
        key: SessionKey,
        /// What it is bound to.
        to: SessionId,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The id was deleted, and reuse was not asked for.
    #[error("session {id} was {} at {}", .tombstone.reason, .tombstone.at)]
    Gone {
        /// The id.
        id: SessionId,
        /// When and why.
        tombstone: Tombstone,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// Nobody knows the id, and the policy is not to create it.
    #[error("session {id} does not exist")]
    Unknown {
        /// The id.
        id: SessionId,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// There is no room for it in memory. Nothing was created.
    #[error(transparent)]
    NoRoom(NoRoom),
    /// The store failed.
    #[error("session {id} could not be created")]
    Store {
        /// The id.
        id: SessionId,
        /// How.
        #[source]
        source: StoreError,
    },
}

impl OpenError {
    /// Of which kind it is: what an adapter tells its client.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Content { .. } => ErrorKind::Invalid,
            Self::Full { .. } => ErrorKind::Full,
            Self::Draining { .. }
            | Self::IdCollision { .. }
            | Self::NoRoom(_)
            | Self::Damaged { .. }
            | Self::Store { .. } => ErrorKind::Unavailable,
        }
    }

    /// When to come back, if that is known: 1 s where the store has no room or cannot be reached.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full { full, .. } => full.retry_after,
            Self::NoRoom(no_room) => Some(no_room.retry_after),
            Self::Store { source, .. } => source.retry_after(),
            Self::Content { .. }
            | Self::Draining { .. }
            | Self::IdCollision { .. }
            | Self::Damaged { .. } => None,
        }
    }
}

impl CreateError {
    /// Of which kind it is: what an adapter tells its client.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Content(_) => ErrorKind::Invalid,
            Self::Full { .. } => ErrorKind::Full,
            Self::Exists { .. } | Self::KeyTaken { .. } => ErrorKind::Conflict,
            Self::Gone { .. } => ErrorKind::Gone,
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::Draining { .. } | Self::NoRoom(_) | Self::Store { .. } => ErrorKind::Unavailable,
        }
    }

    /// When to come back, if that is known: 1 s where the store has no room or cannot be reached.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full { full, .. } => full.retry_after,
            Self::NoRoom(no_room) => Some(no_room.retry_after),
            Self::Store { source, .. } => source.retry_after(),
            Self::Content(_)
            | Self::Draining { .. }
            | Self::Exists { .. }
            | Self::KeyTaken { .. }
            | Self::Gone { .. }
            | Self::Unknown { .. } => None,
        }
    }
}

impl CreateError {
    /// What it means that `id` was not loaded.
    pub(super) fn failed(id: &SessionId) -> impl Fn(LoadError) -> Self {
        |error| match error {
            LoadError::NoRoom(no_room) => Self::NoRoom(no_room),
            LoadError::Store(source) => Self::Store { id: id.clone(), source },
        }
    }
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the store could not be read")]
#[non_exhaustive]
pub struct ReadError {
    /// How it failed.
    #[from]
    pub source: StoreError,
}

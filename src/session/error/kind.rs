//! Of which kind the errors are, and when to come back.

use std::time::Duration;

use super::{BeginError, SessionError};
use crate::limit::{ErrorKind, Full, Limit, TooLong};
use crate::store::StoreError;

/// When to come back where a limit of waiting or the store is in the way, and nothing more is known.
const SOON: Duration = Duration::from_secs(1);

impl BeginError {
    /// Of which kind it is: what an adapter tells its client.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Input(_)
            | Self::KeyReused { .. }
            | Self::TooManyBranches { .. }
            | Self::TooLong { .. }
            | Self::TooDeep { .. }
            | Self::NoInput { .. } => ErrorKind::Invalid,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Gone { .. } | Self::Closing { .. } => ErrorKind::Gone,
            Self::Inactive { .. } => ErrorKind::Inactive,
            Self::Unknown { .. } | Self::Unbound { .. } => ErrorKind::NotFound,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Busy { .. } | Self::TimedOut { .. } => ErrorKind::Busy,
            Self::QueueFull { .. } | Self::Full { .. } => ErrorKind::Full,
            Self::Repeated { .. } | Self::Steered { .. } => ErrorKind::Done,
            Self::Cancelled { .. } => ErrorKind::Cancelled,
            Self::Draining { .. }
            | Self::Paused { .. }
            | Self::IdCollision { .. }
            | Self::NoRoom(_)
            | Self::Open { .. }
            | Self::Store { .. } => ErrorKind::Unavailable,
        }
    }

    /// When to come back, if that is known: a guess, see [`Full`]. 1 s where a queue is full, the
    /// supervisor is paused, or the store has no room or cannot be reached.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Full { full, .. } = self {
            full.retry_after
        } else if let Self::NoRoom(no_room) = self {
            Some(no_room.retry_after)
        } else if let Self::Open { source, .. } | Self::Store { source, .. } = self {
            source.retry_after()
        } else {
            matches!(self, Self::QueueFull { .. } | Self::Paused { .. }).then_some(SOON)
        }
    }

    /// The limit that is in the way, if one is.
    pub(super) const fn limit(&self) -> Option<Limit> {
        if let Self::Full { full: Full { limit, .. }, .. }
        | Self::TooLong { too_long: TooLong { limit, .. }, .. } = self
        {
            return Some(*limit);
        }
        None
    }

    /// Its name in metrics; stable.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Denied { .. } => "denied",
            Self::Gone { .. } => "gone",
            Self::Closing { .. } => "closing",
            Self::Inactive { .. } => "inactive",
            Self::Draining { .. } => "draining",
            Self::Busy { .. } => "busy",
            Self::QueueFull { .. } => "queue_full",
            Self::Full { .. } => "full",
            Self::Paused { .. } => "paused",
            Self::TooLong { .. } => "too_long",
            Self::TimedOut { .. } => "timed_out",
            Self::Conflict { .. } => "conflict",
            Self::Repeated { .. } => "repeated",
            Self::KeyReused { .. } => "key_reused",
            Self::Steered { .. } => "steered",
            Self::TooManyBranches { .. } => "too_many_branches",
            Self::TooDeep { .. } => "too_deep",
            Self::NoInput { .. } => "no_input",
            Self::Cancelled { .. } => "cancelled",
            Self::Unknown { .. } | Self::Unbound { .. } => "unknown",
            Self::IdCollision { .. } => "id_collision",
            Self::NoRoom(_) => "no_room",
            Self::Open { .. } | Self::Store { .. } => "store",
        }
    }
}

impl SessionError {
    /// Of which kind it is: what an adapter tells its client.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Content { .. } | Self::TooDeep { .. } | Self::TooLong { .. } => {
                ErrorKind::Invalid
            }
            Self::Gone { .. } | Self::Closing { .. } => ErrorKind::Gone,
            Self::Inactive { .. } => ErrorKind::Inactive,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Unknown { .. } | Self::NoRevision { .. } => ErrorKind::NotFound,
            Self::NoRoom(_) | Self::Store { .. } => ErrorKind::Unavailable,
        }
    }
}

impl StoreError {
    /// When to come back, where that may help: the store has no room, or could not be reached.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        if matches!(self, Self::Full { .. } | Self::Unavailable { .. }) { Some(SOON) } else { None }
    }
}

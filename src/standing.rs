//! Whether a session takes turns, and why not.
//!
//! Four verbs, each with its own way back or none: a session that is *suspended* is not to be touched for
//! the moment, one that is *archived* is out of the way until somebody restores it, one that has *ended*
//! is history, and one that is deleted is gone. In none of them anything of the transcript is lost, but
//! in the last.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::tombstone::GoneReason;

/// Whether a session takes turns and changes.
///
/// Whatever it says, the session can be looked at, and deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Standing {
    /// It does.
    #[default]
    Active,
    /// Not for now: its keys stay, it never expires, and [`Session::resume`](crate::Session::resume) lets
    /// it go on.
    Suspended {
        /// Why.
        reason: SuspendReason,
        /// When.
        at: Timestamp,
    },
    /// It is out of the way: no key leads to it, and
    /// [`Session::restore`](crate::Session::restore) brings it back.
    Archived {
        /// Why.
        reason: EndReason,
        /// When.
        at: Timestamp,
    },
    /// It is history: no key leads to it, and nothing brings it back.
    Ended {
        /// Why.
        reason: EndReason,
        /// When.
        at: Timestamp,
    },
}

/// Why a session was suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SuspendReason {
    /// Somebody asked for it.
    Requested,
    /// The process crashed several times in a row while a turn of it ran.
    CrashLoop,
}

/// Why a session was archived, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndReason {
    /// Somebody asked for it.
    Requested,
    /// Its time was over, by this clock.
    Expired(ExpiryClock),
}

/// One of the clocks by which sessions expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExpiryClock {
    /// It was not used for long.
    Idle,
    /// It was created long ago.
    Age,
    /// A time of the day or of the week had come since it was last used.
    Calendar,
}

impl Standing {
    /// Whether it takes turns and changes.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Active)
    }

    /// Whether keys may lead to it.
    pub const fn is_routable(self) -> bool {
        matches!(self, Self::Active | Self::Suspended { .. })
    }

    /// By which clock its time was over, if that is why it is closed, and whether it is to be deleted.
    pub(crate) const fn expired(self) -> Option<(ExpiryClock, bool)> {
        match self {
            Self::Archived { reason: EndReason::Expired(clock), .. } => Some((clock, false)),
            Self::Ended { reason: EndReason::Expired(clock), .. } => Some((clock, true)),
            Self::Active
            | Self::Suspended { .. }
            | Self::Archived { reason: EndReason::Requested, .. }
            | Self::Ended { reason: EndReason::Requested, .. } => None,
        }
    }

    /// Its name in logs and metrics; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended { .. } => "suspended",
            Self::Archived { .. } => "archived",
            Self::Ended { .. } => "ended",
        }
    }
}

impl ExpiryClock {
    /// Its name in logs and metrics; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Age => "age",
            Self::Calendar => "calendar",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str("active"),
            Self::Suspended { reason, at } => write!(f, "suspended at {at}: {reason}"),
            Self::Archived { reason, at } => write!(f, "archived at {at}: {reason}"),
            Self::Ended { reason, at } => write!(f, "ended at {at}: {reason}"),
        }
    }
}

impl fmt::Display for SuspendReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "somebody asked for it",
            Self::CrashLoop => "the process crashed several times in a row while a turn of it ran",
        })
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("somebody asked for it"),
            Self::Expired(clock) => clock.fmt(f),
        }
    }
}

impl fmt::Display for ExpiryClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "it was not used for long",
            Self::Age => "it was created long ago",
            Self::Calendar => "its day was over",
        })
    }
}

/// The session that a key led to before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Previous {
    /// Which.
    pub id: SessionId,
    /// Why the key leads to another one.
    pub reason: RebindReason,
}

/// Why a key was bound to another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RebindReason {
    /// Somebody asked for a fresh one.
    Reset,
    /// Its time was over, by this clock.
    Expired(ExpiryClock),
    /// It was archived.
    Archived,
    /// It was ended.
    Ended,
    /// It was gone.
    Gone,
}

impl Previous {
    /// The session `id`, left for that reason.
    pub const fn new(id: SessionId, reason: RebindReason) -> Self {
        Self { id, reason }
    }
}

impl RebindReason {
    /// Why a key does not lead to a session that went for that reason.
    pub(crate) const fn left_by(reason: GoneReason) -> Self {
        match reason {
            GoneReason::Expired(clock) => Self::Expired(clock),
            GoneReason::Deleted | GoneReason::Purged => Self::Gone,
        }
    }

    /// Why a key does not lead to a session that stands so; `None` if it does.
    pub(crate) const fn of(standing: Standing) -> Option<Self> {
        match standing {
            Standing::Active | Standing::Suspended { .. } => None,
            Standing::Archived { reason: EndReason::Expired(clock), .. }
            | Standing::Ended { reason: EndReason::Expired(clock), .. } => {
                Some(Self::Expired(clock))
            }
            Standing::Archived { reason: EndReason::Requested, .. } => Some(Self::Archived),
            Standing::Ended { reason: EndReason::Requested, .. } => Some(Self::Ended),
        }
    }
}

impl fmt::Display for RebindReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset => f.write_str("somebody asked for a fresh one"),
            Self::Expired(clock) => clock.fmt(f),
            Self::Archived => f.write_str("it was archived"),
            Self::Ended => f.write_str("it was ended"),
            Self::Gone => f.write_str("it was gone"),
        }
    }
}

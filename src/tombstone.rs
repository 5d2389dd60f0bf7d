//! An id that was deleted.
//!
//! Invariants: a tombstone stands for at least `tombstones.keep_for`, however many there are; what
//! is held in memory is bounded by `tombstones.max_in_memory`, and a store with a disk keeps the row
//! beyond that. It is pinned while a turn of the life it stands for still runs. Readers check its
//! deadline themselves; removing it only frees room.

use std::fmt;

use crate::clock::Timestamp;
use crate::id::Incarnation;

/// An id that was deleted: when, why, and until when the id answers so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tombstone {
    /// Which life ended.
    pub incarnation: Incarnation,
    /// Why.
    pub reason: GoneReason,
    /// When.
    pub at: Timestamp,
    /// Until when it stands at least.
    pub until: Timestamp,
}

/// Why a session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GoneReason {
    /// Somebody deleted it.
    Deleted,
}

impl fmt::Display for GoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deleted => "deleted",
        })
    }
}

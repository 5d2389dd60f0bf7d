//! An id that was deleted.
//!
//! Invariants: a tombstone stands for at least `tombstones.keep_for`, however many there are; what
//! is held in memory is bounded by `tombstones.max_in_memory`, and a store with a disk keeps the row
//! beyond that. It is pinned while a turn of the life it stands for still runs. Readers check its
//! deadline themselves; removing it only frees room.

use std::fmt;

use crate::clock::Timestamp;
use crate::id::Incarnation;
use crate::standing::ExpiryClock;

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
    /// Its time was over, by this clock.
    Expired(ExpiryClock),
    /// It was archived, or had ended, and its time to be kept was over.
    Purged,
}

impl GoneReason {
    /// Its name in stores, logs and metrics; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired(ExpiryClock::Idle) => "expired_idle",
            Self::Expired(ExpiryClock::Age) => "expired_age",
            Self::Expired(ExpiryClock::Calendar) => "expired_calendar",
            Self::Purged => "purged",
        }
    }

    /// Every reason there is, in a fixed order.
    pub const ALL: [Self; 5] = [
        Self::Deleted,
        Self::Expired(ExpiryClock::Idle),
        Self::Expired(ExpiryClock::Age),
        Self::Expired(ExpiryClock::Calendar),
        Self::Purged,
    ];

    /// The reason that [`as_str`](Self::as_str) names so; for stores.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for GoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deleted => f.write_str("deleted"),
            Self::Expired(clock) => write!(f, "expired: {clock}"),
            Self::Purged => f.write_str("purged: it was kept for as long as it was to be"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_by_its_name_and_by_no_other() {
        let names = GoneReason::ALL.map(GoneReason::as_str);
        assert_eq!(
            names,
            ["deleted", "expired_idle", "expired_age", "expired_calendar", "purged"],
            "they stand in files"
        );
        for reason in GoneReason::ALL {
            assert_eq!(GoneReason::from_name(reason.as_str()), Some(reason));
        }
        for name in ["", "gone", "expired", "Deleted"] {
            assert_eq!(GoneReason::from_name(name), None);
        }
    }

    #[test]
    fn a_reason_is_told_in_words() {
        let told = GoneReason::ALL.map(|reason| reason.to_string());
        assert_eq!(told[0], "deleted");
        assert!(told[1].starts_with("expired: ") && told[1] != told[2], "{told:?}");
        assert!(told[4].starts_with("purged: "), "{told:?}");
    }
}

//! How turns end.

use std::fmt;

/// How a turn ended. Every turn has exactly one, recorded with it and told to every reader of its
/// stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TurnOutcome {
    /// Its reply is in the transcript.
    Committed,
    /// It ran in parallel and another turn had committed since its begin.
    Superseded,
    /// Its code said that it failed.
    Failed,
    /// Its [`Turn`](crate::Turn) was dropped without an outcome.
    Abandoned,
    /// Its code panicked.
    Panicked,
    /// It was told to end.
    Cancelled(CancelReason),
    /// The process ended while it ran, or the store failed and the session has to be loaded anew. If
    /// the store did not say whether it kept a commit, the reply may be in the transcript all the
    /// same: read it again.
    Interrupted,
}

/// Why a turn was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// Somebody asked for it.
    Stopped,
    /// A newer turn came under [`BusyPolicy::Interrupt`](crate::BusyPolicy::Interrupt).
    Preempted,
    /// The key of the session was reset to a fresh one.
    Reset,
    /// The session was deleted.
    Deleted,
    /// The session was suspended.
    Suspended,
    /// The session was archived.
    Archived,
    /// The session was ended.
    Ended,
    /// The supervisor shuts down.
    Shutdown,
    /// It was stuck, and [`StallAction::Act`](crate::StallAction::Act) is set.
    Stalled,
    /// The store failed and the session has to be loaded anew.
    StoreFailed,
}

impl TurnOutcome {
    /// Its name in stores, logs and metrics; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::Panicked => "panicked",
            Self::Cancelled(CancelReason::Stopped) => "cancelled_stopped",
            Self::Cancelled(CancelReason::Preempted) => "cancelled_preempted",
            Self::Cancelled(CancelReason::Reset) => "cancelled_reset",
            Self::Cancelled(CancelReason::Deleted) => "cancelled_deleted",
            Self::Cancelled(CancelReason::Suspended) => "cancelled_suspended",
            Self::Cancelled(CancelReason::Archived) => "cancelled_archived",
            Self::Cancelled(CancelReason::Ended) => "cancelled_ended",
            Self::Cancelled(CancelReason::Shutdown) => "cancelled_shutdown",
            Self::Cancelled(CancelReason::Stalled) => "cancelled_stalled",
            Self::Cancelled(CancelReason::StoreFailed) => "cancelled_store_failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// Every outcome there is, in a fixed order.
    pub const ALL: [Self; 16] = [
        Self::Committed,
        Self::Superseded,
        Self::Failed,
        Self::Abandoned,
        Self::Panicked,
        Self::Cancelled(CancelReason::Stopped),
        Self::Cancelled(CancelReason::Preempted),
        Self::Cancelled(CancelReason::Reset),
        Self::Cancelled(CancelReason::Deleted),
        Self::Cancelled(CancelReason::Suspended),
        Self::Cancelled(CancelReason::Archived),
        Self::Cancelled(CancelReason::Ended),
        Self::Cancelled(CancelReason::Shutdown),
        Self::Cancelled(CancelReason::Stalled),
        Self::Cancelled(CancelReason::StoreFailed),
        Self::Interrupted,
    ];

    /// The outcome that [`as_str`](Self::as_str) names so; for stores.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

impl CancelReason {
    /// Its name in logs and metrics; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Preempted => "preempted",
            Self::Reset => "reset",
            Self::Deleted => "deleted",
            Self::Suspended => "suspended",
            Self::Archived => "archived",
            Self::Ended => "ended",
            Self::Shutdown => "shutdown",
            Self::Stalled => "stalled",
            Self::StoreFailed => "store_failed",
        }
    }
}

impl fmt::Display for TurnOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "somebody stopped it",
            Self::Preempted => "a newer turn interrupted it",
            Self::Reset => "its key was reset",
            Self::Deleted => "its session was deleted",
            Self::Suspended => "its session was suspended",
            Self::Archived => "its session was archived",
            Self::Ended => "its session was ended",
            Self::Shutdown => "the supervisor shuts down",
            Self::Stalled => "it was stuck",
            Self::StoreFailed => "the store failed",
        })
    }
}

//! What can go wrong in a store.

use crate::rt::Arc;

/// Why a store did not do what it was asked.
///
/// Cloneable, because one failure is told to everybody whose write it stopped.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The write was meant for a life that is over, for a turn that is not open, or was out of
    /// order. Nothing was changed.
    #[error("the store refused a write: {reason}")]
    Fenced {
        /// Which check failed.
        reason: FenceReason,
    },
    /// There is no room left, on the disk or under the store's own limit. Nothing was changed.
    #[error("the store is full: {what}")]
    Full {
        /// Which room ran out.
        what: String,
    },
    /// A row cannot be what was written: its checksum or its form is wrong. It was left as it is.
    #[error("{what} is damaged in the store")]
    Damaged {
        /// Which row, by table and id.
        what: String,
    },
    /// The store could not be reached or failed. Nothing was changed.
    #[error("the store failed: {what}")]
    Unavailable {
        /// What was being done.
        what: String,
        /// What came back.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    /// The store failed while it made the write durable. It may be there after a restart, or not.
    #[error("it is not known whether the store kept the write: {what}")]
    OutcomeUnknown {
        /// What was being done.
        what: String,
        /// What came back.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    /// The file belongs to another process. It was not touched.
    #[error("{path} is in use by {holder}")]
    Owned {
        /// The file.
        path: String,
        /// Who holds it, as it has written itself down: the process, its
        /// [instance](crate::Supervisor::instance) once its supervisor starts, and since when.
        holder: String,
    },
    /// The file is not one that this version can use. It was not touched.
    #[error("{path} cannot be used: {problem}")]
    Unusable {
        /// The file.
        path: String,
        /// What is wrong with it and what can be done.
        problem: String,
        /// What came back.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

/// Which check of a [`Write`](super::Write) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FenceReason {
    /// There is no such life of the session: it was deleted, or never created.
    #[error("this life of the session is over")]
    NoSuchLife,
    /// The turn is not open: it was settled before, or never begun.
    #[error("the turn is not open")]
    TurnNotOpen,
    /// The turn's number is not above every earlier one.
    #[error("the turn is older than one that was begun")]
    OldTurn,
    /// A number is not the next one.
    #[error("the entries are out of order")]
    OutOfOrder,
    /// There is no revision of this number: it was put back or forgotten, or never made.
    #[error("there is no such revision")]
    NoSuchRevision,
    /// A turn is open, and nothing can be taken back under it.
    #[error("a turn is open")]
    TurnOpen,
    /// The session was used since it was looked at.
    #[error("the session was used since")]
    UsedSince,
    /// The id belongs to a life, or is a tombstone.
    #[error("the id is taken")]
    IdTaken,
    /// The run is not the newest one, or was never noted.
    #[error("the run of the process is over")]
    RunOver,
}

impl StoreError {
    /// A refusal because of `reason`.
    pub fn fenced(reason: FenceReason) -> Self {
        Self::Fenced { reason }
    }

    /// A failure before anything was changed.
    pub fn unavailable(
        what: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Unavailable { what: what.into(), source: Some(Arc::new(source)) }
    }

    /// A failure after which nobody knows whether the write was kept.
    pub fn outcome_unknown(
        what: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::OutcomeUnknown { what: what.into(), source: Some(Arc::new(source)) }
    }
}

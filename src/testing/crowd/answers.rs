//! What a session's answers are called in a history.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an answer that the model does not know is odd, whichever it is"
)]

use super::model::{Answer, Life};
use crate::outcome::CancelReason;
use crate::session::{BeginError, DeleteError, DeleteOutcome, SessionError};
use crate::store::{Found, Record, StoreError};
use crate::supervisor::{CreateError, Lookup, ReadError};
use crate::tombstone::Tombstone;
use crate::turn::{CancelOutcome, CommitError, CommitOutcome};

/// Something that a store that works never has answered.
fn odd(what: &impl std::fmt::Debug) -> Answer {
    Answer::Odd(format!("{what:?}"))
}

/// Of the life that a tombstone is of.
const fn gone(tombstone: &Tombstone) -> Answer {
    Answer::Gone(tombstone.incarnation.get())
}

/// Why nothing was created.
pub(super) fn not_created(error: &CreateError) -> Answer {
    match error {
        CreateError::Exists { .. } => Answer::Exists,
        CreateError::Gone { tombstone, .. } => gone(tombstone),
        other => odd(other),
    }
}

/// What a look-up has found, of which nobody has a handle.
pub(super) fn not_live(found: &Result<Lookup, ReadError>) -> Answer {
    match found {
        Ok(Lookup::Gone(tombstone)) => gone(tombstone),
        Ok(Lookup::Unknown) => Answer::Unknown,
        Ok(Lookup::Live(_)) | Err(_) => odd(found),
    }
}

/// What a delete has done; by a handle of this life, if by any.
pub(super) fn deleted(
    outcome: &Result<DeleteOutcome, DeleteError>,
    handle: Option<Life>,
) -> Answer {
    match outcome {
        Ok(DeleteOutcome::Deleted(tombstone)) => Answer::Deleted(tombstone.incarnation.get()),
        Ok(DeleteOutcome::AlreadyGone(tombstone)) => gone(tombstone),
        // The id is another life's by now.
        Ok(DeleteOutcome::Unknown) => handle.map_or(Answer::Unknown, Answer::Gone),
        Err(error) => odd(error),
    }
}

/// Why a turn of this life was not begun.
pub(super) fn not_begun(error: &BeginError, life: Life) -> Answer {
    match error {
        BeginError::Busy { holder, .. } | BeginError::QueueFull { holder, .. } => {
            Answer::Busy(holder.stream.generation().get())
        }
        BeginError::Gone { tombstone, .. } => gone(tombstone),
        // The id is another life's by now.
        BeginError::Unknown { .. } => Answer::Gone(life),
        BeginError::Closing { .. } => Answer::Closing,
        BeginError::Cancelled { .. } => Answer::Cancelled,
        other => odd(other),
    }
}

/// What a commit has done.
pub(super) fn committed(outcome: &Result<CommitOutcome, CommitError>) -> Answer {
    match outcome {
        Ok(CommitOutcome::Committed { seq, version }) => {
            Answer::Committed { seq: *seq, version: *version }
        }
        Ok(CommitOutcome::Stale { reason }) => stale(*reason),
        other => odd(other),
    }
}

/// What the end of a turn without a reply has done.
pub(super) fn failed(outcome: &Result<Option<CancelReason>, StoreError>) -> Answer {
    match outcome {
        Ok(None) => Answer::Ended,
        Ok(Some(reason)) => stale(*reason),
        Err(error) => odd(error),
    }
}

/// Why a turn was over.
fn stale(reason: CancelReason) -> Answer {
    match reason {
        CancelReason::Stopped => Answer::StaleStopped,
        CancelReason::Deleted => Answer::StaleDeleted,
        CancelReason::Preempted => Answer::StalePreempted,
        other => odd(&other),
    }
}

/// What a cancel has found.
pub(super) fn cancelled(outcome: &CancelOutcome) -> Answer {
    match outcome {
        CancelOutcome::NotRunning => Answer::NotRunning,
        CancelOutcome::Cancelling { streams } => match streams.as_slice() {
            [one] => Answer::Told(one.generation().get()),
            _ => odd(outcome),
        },
        CancelOutcome::AlreadyCancelling { streams } => match streams.as_slice() {
            [one] => Answer::ToldBefore(one.generation().get()),
            _ => odd(outcome),
        },
    }
}

/// Why a session of this life was not changed or read.
pub(super) fn refused(error: &SessionError, life: Life) -> Answer {
    match error {
        SessionError::Gone { tombstone, .. } => gone(tombstone),
        SessionError::Unknown { .. } => Answer::Gone(life),
        SessionError::Closing { .. } => Answer::Closing,
        other => odd(other),
    }
}

/// What is stored of a name.
pub(super) fn stored(found: &Result<Found, ReadError>) -> Answer {
    match found {
        Ok(Found::Live(record)) => version(record),
        Ok(Found::Gone(tombstone)) => gone(tombstone),
        Ok(Found::Unknown) => Answer::Unknown,
        Err(error) => odd(error),
    }
}

/// What is compared of a record.
pub(super) const fn version(record: &Record) -> Answer {
    Answer::Version { life: record.incarnation.get(), version: record.version }
}

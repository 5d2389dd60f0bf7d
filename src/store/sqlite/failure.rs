//! What SQLite's failures mean for a caller.

use rusqlite::{Error, ErrorCode};

use crate::store::{FenceReason, StoreError};

/// Why one operation inside a transaction did not happen.
#[derive(Debug)]
pub(super) enum Setback {
    /// It was refused before it changed anything, so the transaction may go on.
    Refused(StoreError),
    /// SQLite failed, perhaps in the middle of it: the transaction has to be rolled back.
    Sql(Error),
}

impl Setback {
    /// A refusal because of `reason`.
    pub(super) fn fenced(reason: FenceReason) -> Self {
        Self::Refused(StoreError::fenced(reason))
    }

    /// The answer to the caller of `what`, if everything that it did has been undone.
    pub(super) fn into_error(self, what: impl FnOnce() -> String) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Sql(error) => undone(what(), error),
        }
    }
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

/// The error for `what`, which failed and was undone.
pub(super) fn undone(what: String, error: Error) -> StoreError {
    let Some(code) = error.sqlite_error_code() else { return StoreError::unavailable(what, error) };
    if code == ErrorCode::DiskFull {
        return StoreError::Full {
            what: format!("no room on the disk or below the limit for {what}"),
        };
    }
    // A uniqueness that the record does not know of is a contradiction between rows.
    let structure =
        [ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase, ErrorCode::ConstraintViolation];
    if structure.contains(&code) {
        return StoreError::Damaged { what: format!("what is needed for {what} ({error})") };
    }
    StoreError::unavailable(what, error)
}

/// The error for a transaction whose `COMMIT` failed, in words about `what`.
///
/// SQLite rolls back in memory whenever a commit fails, but that says nothing of the file: after a
/// failing fsync the commit frame has been written, and a crash before the next commit may bring
/// it back. `SQLITE_FULL` is different. It comes from writing a frame, before the sync, and without
/// its last byte the commit frame does not pass its checksum: the transaction is surely undone.
/// So is one that SQLite still holds open (`undecided`), since we roll it back.
pub(super) fn not_committed(what: String, error: Error, undecided: bool) -> StoreError {
    if undecided || error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        undone(what, error)
    } else {
        StoreError::outcome_unknown(what, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn error(code: i32) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn only_a_full_disk_or_an_open_transaction_makes_a_failed_commit_certain() {
        let answer = |code, open| not_committed("a write".to_owned(), error(code), open);
        assert!(matches!(answer(ffi::SQLITE_FULL, false), StoreError::Full { .. }));
        assert!(matches!(
            answer(ffi::SQLITE_IOERR_FSYNC, false),
            StoreError::OutcomeUnknown { .. }
        ));
        assert!(matches!(
            answer(ffi::SQLITE_IOERR_WRITE, false),
            StoreError::OutcomeUnknown { .. }
        ));
        assert!(matches!(answer(ffi::SQLITE_BUSY, true), StoreError::Unavailable { .. }));
    }

    #[test]
    fn rows_that_contradict_each_other_are_damage_and_not_a_failure() {
        let answer = undone("a write".to_owned(), error(ffi::SQLITE_CONSTRAINT_UNIQUE));
        assert!(matches!(answer, StoreError::Damaged { .. }));
        let answer = undone("a write".to_owned(), error(ffi::SQLITE_CORRUPT));
        assert!(matches!(answer, StoreError::Damaged { .. }));
    }
}

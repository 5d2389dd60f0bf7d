//! What a start puts right in a store, and what it leaves alone and tells.
//!
//! A removal makes two rows agree: that of the revision, and the record, whose version and count say that it
//! knows. If only the first is there, nobody decided that the entries were to go: the file was put together
//! from two states. Then they come back. Whatever the record knows of stays removed, and where the rows
//! say neither, nothing is restored and it is told.

use std::fmt;

use crate::id::{Incarnation, SessionId};

/// What [`Store::heal`](super::Store::heal) found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealReport {
    /// The sessions that got back what they had lost.
    pub healed: Vec<Healed>,
    /// What was found wrong and left as it is.
    pub quarantined: Vec<Quarantined>,
}

/// A session that got back what it had lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healed {
    /// Which.
    pub session: SessionId,
    /// Which life.
    pub incarnation: Incarnation,
    /// The revisions that it knew nothing of; they are no more.
    pub revisions: Vec<u64>,
    /// How many entries came back.
    pub entries: u64,
}

/// Something that is wrong and was left as it is: nothing is restored on its word, and nothing else is kept
/// from going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Whose it is, if that can be told.
    pub session: Option<SessionId>,
    /// Which row, by table and number.
    pub what: String,
    /// What is wrong with it.
    pub reason: QuarantineReason,
}

impl fmt::Display for Quarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}

/// What is wrong with something that was left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineReason {
    /// Its checksum or its form is wrong.
    #[error("it is damaged")]
    Damaged,
    /// It is about entries that there never were.
    #[error("it goes beyond the last entry")]
    Misfit,
    /// The record counts neither what is left nor what there was before.
    #[error("the record counts another number of entries, with it and without it")]
    Miscounted,
    /// The life that it is of is over.
    #[error("its session is not there")]
    NoSuchLife,
}

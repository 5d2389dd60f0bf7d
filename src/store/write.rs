//! What a store is told.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::id::{Generation, SessionId};
use crate::key::SessionKey;
use crate::outcome::TurnOutcome;
use crate::tombstone::Tombstone;

use super::record::{Record, TurnMarker};

/// A session to be created.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Its id.
    pub id: SessionId,
    /// Whether the id may be one that was deleted.
    pub allow_reuse: bool,
    /// The key to bind to it.
    pub binding: Option<Binding>,
    /// A line for people.
    pub label: Option<String>,
    /// Its first entries, encoded.
    pub entries: Vec<Bytes>,
    /// Its first data, encoded.
    pub data: Vec<(String, Bytes)>,
    /// When.
    pub at: Timestamp,
}

/// A key to be bound, by compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The key.
    pub key: SessionKey,
    /// What it must be bound to for the change to happen.
    pub expected: Option<SessionId>,
}

/// What came of a [`NewRecord`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    Created(Record),
    /// The id belongs to a live session. Nothing was changed.
    IdTaken,
    /// The id is a tombstone and reuse was not allowed. Nothing was changed.
    IdGone(Tombstone),
    /// The key is not bound to what was expected. Nothing was changed.
    KeyMoved {
        /// What it is bound to.
        bound_to: Option<SessionId>,
    },
}

/// One operation on one life of a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Write {
    /// Opens a turn: its marker and the user's input, together.
    ///
    /// Fenced if the turn's number is not above the record's `generation`, or the input's not its
    /// `next_seq`.
    Begin {
        /// The turn.
        marker: TurnMarker,
        /// The input's number and content. A turn may have none.
        input: Option<(u64, Bytes)>,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Ends a turn with its reply: entries, data, outcome `Committed`, counters and the marker's end,
    /// together.
    ///
    /// Fenced if the turn is not open, or `first_seq` is not the record's `next_seq`.
    Commit {
        /// The turn.
        generation: Generation,
        /// The number of the first entry.
        first_seq: u64,
        /// The reply.
        entries: Vec<Bytes>,
        /// Data that change with it.
        data: Vec<DataChange>,
        /// The record's version from then on.
        version: u64,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Ends a turn without a reply: outcome and the marker's end, and what becomes of the input.
    ///
    /// Fenced if the turn is not open.
    Settle {
        /// The turn.
        generation: Generation,
        /// How it ended; never `Committed`.
        outcome: TurnOutcome,
        /// What becomes of its input.
        input: InputFate,
        /// When. Becomes `last_active_at`, except for an outcome of
        /// [`TurnOutcome::Interrupted`], since a repair is not a use.
        at: Timestamp,
    },
    /// Adds entries without a turn. Fenced if `first_seq` is not the record's `next_seq`.
    Append {
        /// The number of the first entry.
        first_seq: u64,
        /// The entries.
        entries: Vec<Bytes>,
        /// The record's version from then on.
        version: u64,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Changes data.
    PutData {
        /// The changes, in order.
        changes: Vec<DataChange>,
        /// The record's version from then on.
        version: u64,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Changes the line for people.
    Label {
        /// The new one.
        label: Option<String>,
    },
    /// Deletes the record, its entries, data and turns, unbinds every key that still points to this
    /// life, and leaves the tombstone.
    Delete {
        /// What stays under the id.
        tombstone: Tombstone,
    },
}

impl Write {
    /// Its name in logs and metrics; stable.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Begin { .. } => "begin",
            Self::Commit { .. } => "commit",
            Self::Settle { .. } => "settle",
            Self::Append { .. } => "append",
            Self::PutData { .. } => "put_data",
            Self::Label { .. } => "label",
            Self::Delete { .. } => "delete",
        }
    }
}

/// One change of a session's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataChange {
    /// The datum's name.
    pub name: String,
    /// Its new content, encoded; `None` removes it.
    pub value: Option<Bytes>,
}

/// What becomes of the input of a turn that ended without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InputFate {
    /// It stays in the transcript, marked unanswered.
    Keep,
    /// It is removed.
    Drop,
    /// It stays beside the transcript: the turn ran in parallel and lost.
    Aside,
}

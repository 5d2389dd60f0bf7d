//! What a store is told to create and to bind, and what it answers.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::expiry::ExpiryRules;
use crate::id::SessionId;
use crate::key::SessionKey;
use crate::standing::{Previous, Standing};
use crate::tombstone::Tombstone;

use super::record::Record;

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
    /// What kind of conversation it is.
    pub class: Option<String>,
    /// When it ends by itself, if that is said for it alone.
    pub expiry: Option<Box<ExpiryRules>>,
    /// What its key led to before.
    pub previous: Option<Box<Previous>>,
    /// Its first entries, encoded.
    pub entries: Vec<Bytes>,
    /// Its first data, encoded.
    pub data: Vec<(String, Bytes)>,
    /// When.
    pub at: Timestamp,
}

impl NewRecord {
    /// A session with nothing in it.
    pub const fn new(id: SessionId, at: Timestamp) -> Self {
        Self {
            id,
            allow_reuse: false,
            binding: None,
            label: None,
            class: None,
            expiry: None,
            previous: None,
            entries: Vec::new(),
            data: Vec::new(),
            at,
        }
    }
}

/// A key to be bound, by compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The key.
    pub key: SessionKey,
    /// What it must be bound to for the change to happen: the id under which that session was created.
    pub expected: Option<SessionId>,
}

/// What came of a [`Binding`] that was asked for by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The key is bound to what was asked for.
    Bound,
    /// The key is not bound to what was expected. Nothing was changed.
    KeyMoved {
        /// What it is bound to.
        bound_to: Option<SessionId>,
    },
    /// The life that it was to be bound to is not there. Nothing was changed.
    NoSuchLife,
    /// No key may lead to that life, as it stands. Nothing was changed.
    Unroutable {
        /// How it stands.
        standing: Standing,
    },
}

/// What came of a [`NewRecord`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one at a time, and a session as a rule")]
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

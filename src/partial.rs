//! The reply of a turn that has not committed one: what is kept of it, and how it becomes an entry.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use crate::entry::{Content, EntryError, encode};
use crate::rt::Arc;
use crate::store::StoredPartial;

/// What is kept of the reply of a turn that has not committed one: its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partial {
    /// What was said.
    pub text: String,
    /// How many chunks that was, from the first on.
    pub chunks: u64,
}

impl From<StoredPartial> for Partial {
    fn from(stored: StoredPartial) -> Self {
        let text = String::from_utf8_lossy(&stored.text).into_owned();
        Self { text, chunks: stored.chunks }
    }
}

/// How a partial reply becomes an entry: what the user gave, and the encoding.
#[derive(Clone)]
pub(crate) struct PartialEntry(Arc<Make>);

/// Makes the entry of a text, at most so many bytes.
type Make = dyn Fn(&str, usize) -> Result<Bytes, EntryError> + Send + Sync;

impl PartialEntry {
    /// With what the user gave.
    pub(crate) fn new<E: Content>(make: impl Fn(&str) -> E + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |text, max| encode(&make(text), max)))
    }

    /// The entry of `text`; `None` if there is none that can be stored.
    pub(crate) fn make(&self, text: &[u8], max: usize) -> Option<Bytes> {
        let text = String::from_utf8_lossy(text);
        // User code: a panic in it must not cost the turn its end.
        match catch_unwind(AssertUnwindSafe(|| (self.0)(&text, max))) {
            Ok(Ok(entry)) => Some(entry),
            Ok(Err(error)) => {
                tracing::warn!(%error, "a partial reply could not be made an entry");
                None
            }
            Err(_) => {
                tracing::error!("making an entry of a partial reply panicked");
                None
            }
        }
    }
}

impl fmt::Debug for PartialEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PartialEntry")
    }
}

//! What a conversation consists of.
//!
//! Entries are the user's own serde type; [`ChatMessage`] is one that is ready. They are encoded as
//! JSON once, before any lock is taken.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::{Config, ConfigError, LimitConfig};
use crate::id::StreamId;
use crate::resume::keeps;
use crate::store::{DataChange, EntryMark, ResumeChange};

/// What may be an entry: any owned serde type.
pub trait Content: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Content for T {}

/// Who said something and what: the ready entry type.
///
/// Fields that it does not know are kept, so that what another program stored comes back whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `system`, `user`, `assistant`, `tool`, or what the model's service calls it.
    pub role: Cow<'static, str>,
    /// The text.
    pub content: String,
    /// Whatever else the message has.
    #[serde(flatten, skip_serializing_if = "serde_json::Map::is_empty", default)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl ChatMessage {
    /// A message of any role.
    pub fn new(role: impl Into<Cow<'static, str>>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), extra: serde_json::Map::new() }
    }

    /// What the user said.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// What the model said.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }

    /// What the model is told beforehand.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new("system", content)
    }
}

/// One entry of a transcript, as it is read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Entry<E> {
    /// Its number, growing along the transcript; the first is 1. A dropped input leaves a gap.
    pub seq: u64,
    /// The turn that wrote it; `None` if it was appended without one.
    pub stream: Option<StreamId>,
    /// Whether it is what its turn was begun with, or what was said to it later; otherwise it is a reply,
    /// or was appended.
    pub input: bool,
    /// Whether it counts.
    pub mark: EntryMark,
    /// When it was written.
    pub at: Timestamp,
    /// The entry; an error if its row is damaged or holds something else than an `E`.
    pub content: Result<E, EntryError>,
}

/// Why something cannot be stored or read as an entry or a datum.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// It cannot be encoded as JSON.
    #[error("it cannot be encoded")]
    Encode(#[source] serde_json::Error),
    /// What is stored is not what was asked for.
    #[error("what is stored has another form")]
    Decode(#[source] serde_json::Error),
    /// Its row was damaged on the disk.
    #[error("its row is damaged in the store")]
    Damaged,
    /// It is larger than the limit.
    #[error("it has {bytes} bytes, the limit is {max}")]
    TooLarge {
        /// Its size, encoded.
        bytes: usize,
        /// `limits.max_entry_bytes` or `limits.max_datum_bytes`.
        max: usize,
    },
    /// The name of a datum begins with `_`. Those are kept for what a later release stores there.
    #[error("the name {name:?} of a datum is reserved: it begins with `_`")]
    Reserved {
        /// The name.
        name: String,
    },
    /// The rules of its own by which a session is to end make no sense.
    #[error(transparent)]
    Rules(#[from] ConfigError),
    /// A name, a label or a resume handle is empty or longer than the limit.
    #[error("a name or a handle of {bytes} bytes is not between 1 and {max}")]
    Name {
        /// How long it is.
        bytes: usize,
        /// `limits.max_name_bytes`, or `resume.max_value_bytes` of a handle.
        max: usize,
    },
}

/// The input of a turn: what the user said, or nothing.
#[derive(Debug)]
pub struct TurnInput<'a, E>(Option<&'a E>);

impl<E> TurnInput<'_, E> {
    /// A turn without an entry of its own, such as one that goes on after a tool's result.
    pub const fn none() -> Self {
        Self(None)
    }
}

impl<'a, E> From<&'a E> for TurnInput<'a, E> {
    fn from(entry: &'a E) -> Self {
        Self(Some(entry))
    }
}

impl<E: Content> TurnInput<'_, E> {
    /// Encoded, and not too large.
    pub(crate) fn encode(&self, limits: &LimitConfig) -> Result<Option<Bytes>, EntryError> {
        self.0.map(|entry| encode(entry, limits.max_entry_bytes)).transpose()
    }
}

/// A reply as it goes to the store: entries, data, and what becomes of handles.
type EncodedReply = (Vec<Bytes>, Vec<DataChange>, Vec<ResumeChange>);

/// A datum as JSON, `None` to remove it; a problem is kept for the commit to tell.
type EncodedDatum = Result<Option<Vec<u8>>, serde_json::Error>;

/// The reply of a turn: entries, data that change with them, and handles of outside services, all or
/// nothing.
#[derive(Debug)]
#[must_use = "a reply does nothing until it is committed"]
pub struct Reply<'a, E> {
    /// The entries, in order.
    entries: &'a [E],
    /// The data.
    data: Vec<(String, EncodedDatum)>,
    /// The handles: the service, and what it calls its conversation.
    handles: Vec<(String, String)>,
}

impl<'a, E> From<&'a E> for Reply<'a, E> {
    fn from(entry: &'a E) -> Self {
        Self { entries: std::slice::from_ref(entry), data: Vec::new(), handles: Vec::new() }
    }
}

impl<'a, E> From<&'a [E]> for Reply<'a, E> {
    fn from(entries: &'a [E]) -> Self {
        Self { entries, data: Vec::new(), handles: Vec::new() }
    }
}

impl<'a, E> From<&'a Vec<E>> for Reply<'a, E> {
    fn from(entries: &'a Vec<E>) -> Self {
        Self { entries, data: Vec::new(), handles: Vec::new() }
    }
}

impl<E: Content> Reply<'_, E> {
    /// Also puts a datum.
    pub fn insert(mut self, name: &str, value: &impl Serialize) -> Self {
        self.data.push((name.to_owned(), serde_json::to_vec(value).map(Some)));
        self
    }

    /// Also removes a datum.
    pub fn remove(mut self, name: &str) -> Self {
        self.data.push((name.to_owned(), Ok(None)));
        self
    }

    /// Also keeps `value` as the handle of the outside service `provider`, as
    /// [`Session::keep_resume_handle`](crate::Session::keep_resume_handle) does, with the rest.
    ///
    /// A value of which the service has said that it is gone does not hold up the reply: it is left out, and
    /// told to the log and to `session_resume_refused_total`. Whoever wants to be told keeps it by
    /// [`Turn::keep_resume_handle`](crate::Turn::keep_resume_handle).
    pub fn resume_handle(mut self, provider: &str, value: &str) -> Self {
        self.handles.push((provider.to_owned(), value.to_owned()));
        self
    }

    /// Encoded, and not too large.
    pub(crate) fn encode(self, config: &Config) -> Result<EncodedReply, EntryError> {
        let limits = &config.limits;
        let max = limits.max_entry_bytes;
        let mut entries = Vec::with_capacity(self.entries.len());
        for entry in self.entries {
            entries.push(encode(entry, max)?);
        }
        if self.data.is_empty() && self.handles.is_empty() {
            return Ok((entries, Vec::new(), Vec::new()));
        }
        let data = self.data.into_iter().map(|(name, value)| {
            check_datum_name(&name, limits)?;
            let value = value.map_err(EntryError::Encode)?;
            let value = value.map(|value| check_size(value, limits.max_datum_bytes)).transpose()?;
            Ok(DataChange { name, value })
        });
        let data = data.collect::<Result<_, EntryError>>()?;
        let handles = self.handles.iter().map(|(provider, value)| keeps(provider, value, config));
        Ok((entries, data, handles.collect::<Result<_, _>>()?))
    }
}

/// As large as most encodings are at most.
const SHORT_BYTES: usize = 512;

/// Encodes one thing, at most `max` bytes.
pub(crate) fn encode(thing: &impl Serialize, max: usize) -> Result<Bytes, EntryError> {
    // Most are short: encoded where they need not grow, then copied once into as much as they need.
    let mut encoded = Vec::with_capacity(SHORT_BYTES);
    serde_json::to_writer(&mut encoded, thing).map_err(EntryError::Encode)?;
    let bytes = encoded.len();
    if bytes <= SHORT_BYTES.min(max) {
        return Ok(Bytes::copy_from_slice(&encoded));
    }
    check_size(encoded, max)
}

/// Decodes one thing.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EntryError> {
    serde_json::from_slice(bytes).map_err(EntryError::Decode)
}

/// Whether a name or a label may be stored.
pub(crate) fn check_name(name: &str, limits: &LimitConfig) -> Result<(), EntryError> {
    check_length(name, limits.max_name_bytes)
}

/// Whether a text has between 1 and `max` bytes.
pub(crate) fn check_length(text: &str, max: usize) -> Result<(), EntryError> {
    let bytes = text.len();
    if (1..=max).contains(&bytes) { Ok(()) } else { Err(EntryError::Name { bytes, max }) }
}

/// Whether a datum may have this name.
pub(crate) fn check_datum_name(name: &str, limits: &LimitConfig) -> Result<(), EntryError> {
    check_name(name, limits)?;
    if name.starts_with('_') {
        return Err(EntryError::Reserved { name: name.to_owned() });
    }
    Ok(())
}

/// Takes over an encoding of at most `max` bytes.
fn check_size(encoded: Vec<u8>, max: usize) -> Result<Bytes, EntryError> {
    let bytes = encoded.len();
    if bytes <= max {
        Ok(encoded.into_boxed_slice().into())
    } else {
        Err(EntryError::TooLarge { bytes, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A fuzzer found a message that changed each time it was read and stored again: numbers were read by a
    // short way that is off by the last bit for some, and the next reading was off again.
    #[test]
    fn a_number_in_a_message_is_the_same_whenever_it_is_read_and_stored_again() {
        for number in
            ["105010049438636138509", "1.0501004493863615e20", "0.30000000000000004", "5e-324"]
        {
            let written = format!(r#"{{"role":"a","content":"","n":{number}}}"#);
            let first: ChatMessage = decode(written.as_bytes()).unwrap();
            let exact: f64 = number.parse().unwrap();
            assert_eq!(first.extra["n"].as_f64(), Some(exact), "{number} is read exactly");
            let stored = encode(&first, usize::MAX).unwrap();
            assert_eq!(decode::<ChatMessage>(&stored).unwrap(), first, "{number} as it was stored");
        }
    }
}

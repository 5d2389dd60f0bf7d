//! What a new session starts with.

use bytes::Bytes;
use serde::Serialize;

use crate::config::LimitConfig;
use crate::entry::{ChatMessage, Content, EntryError, check_datum_name, check_name, encode};
use crate::expiry::ExpiryRules;

/// What a new session starts with.
#[derive(Debug)]
#[must_use = "it does nothing until a session is created with it"]
pub struct NewSession<E = ChatMessage> {
    /// A line for people.
    label: Option<String>,
    /// What kind of conversation it is.
    class: Option<String>,
    /// When it ends by itself.
    expiry: Option<Box<ExpiryRules>>,
    /// The first entries.
    entries: Vec<E>,
    /// The first data.
    data: Vec<(String, Result<Vec<u8>, serde_json::Error>)>,
    /// Whether its id may be one that was deleted.
    allow_reuse: bool,
}

impl<E> Default for NewSession<E> {
    fn default() -> Self {
        Self {
            label: None,
            class: None,
            expiry: None,
            entries: Vec::new(),
            data: Vec::new(),
            allow_reuse: false,
        }
    }
}

impl<E> NewSession<E> {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry, such as a system prompt.
    pub fn entry(mut self, entry: E) -> Self {
        self.entries.push(entry);
        self
    }

    /// Adds a datum.
    pub fn insert(mut self, name: &str, value: &impl Serialize) -> Self {
        self.data.push((name.to_owned(), serde_json::to_vec(value)));
        self
    }

    /// Sets the line for people.
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }

    /// Says what kind of conversation it is: which of `classes` in the settings counts for it. Without it
    /// that is the platform of its key. There should be few of them: one for each kind, not for each user.
    pub fn class(mut self, class: &str) -> Self {
        self.class = Some(class.to_owned());
        self
    }

    /// Says when it ends by itself, for it alone; what is `None` in `rules` is as for its class.
    pub fn expiry(mut self, rules: ExpiryRules) -> Self {
        self.expiry = Some(Box::new(rules));
        self
    }

    /// Lets the id be one that was deleted. The new life starts empty and is another one: nothing
    /// that was meant for the old one reaches it.
    pub fn allow_reuse(mut self) -> Self {
        self.allow_reuse = true;
        self
    }
}

/// A [`NewSession`] that was checked and encoded.
#[derive(Debug)]
pub(super) struct Seed {
    /// A line for people.
    pub(super) label: Option<String>,
    /// What kind of conversation it is.
    pub(super) class: Option<String>,
    /// When it ends by itself.
    pub(super) expiry: Option<Box<ExpiryRules>>,
    /// The first entries.
    pub(super) entries: Vec<Bytes>,
    /// The first data.
    pub(super) data: Vec<(String, Bytes)>,
    /// Whether the id may be one that was deleted.
    pub(super) allow_reuse: bool,
}

impl<E: Content> NewSession<E> {
    /// Checks and encodes it.
    pub(super) fn encode(self, limits: &LimitConfig) -> Result<Seed, EntryError> {
        if let Some(label) = &self.label {
            check_name(label, limits)?;
        }
        if let Some(class) = &self.class {
            check_name(class, limits)?;
        }
        if let Some(rules) = &self.expiry {
            rules.validate("expiry")?;
        }
        let max = limits.max_entry_bytes;
        let entries =
            self.entries.iter().map(|entry| encode(entry, max)).collect::<Result<_, _>>()?;
        let data = self.data.into_iter().map(|(name, value)| {
            check_datum_name(&name, limits)?;
            let value = value.map_err(EntryError::Encode)?;
            let (bytes, max) = (value.len(), limits.max_datum_bytes);
            if bytes > max {
                return Err(EntryError::TooLarge { bytes, max });
            }
            Ok((name, value.into()))
        });
        let data = data.collect::<Result<_, EntryError>>()?;
        let Self { label, class, expiry, allow_reuse, .. } = self;
        Ok(Seed { label, class, expiry, entries, data, allow_reuse })
    }
}

//! Who talks where: the address of a conversation, stable for years.
//!
//! Invariants: a [`SessionKey`] holds its one canonical text and nothing else, so equal keys print
//! alike and what prints alike is equal; parsing accepts that text alone.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rt::Arc;

/// The longest canonical text of a key, in bytes.
pub const MAX_SESSION_KEY_BYTES: usize = 1_024;

/// Who talks where: a platform, and named segments in an order that the caller chooses.
///
/// Prints as `platform/name=value/name=value`, with every byte of a value outside
/// `A-Z a-z 0-9 . _ ~ - @ : +` as `%XX`. A value is any text that is not empty.
///
/// ```
/// # use session_supervisor::SessionKey;
/// let key = SessionKey::builder("telegram").chat("-100 42").thread("7").build()?;
/// assert_eq!(key.to_string(), "telegram/chat=-100%2042/thread=7");
/// assert_eq!(key.to_string().parse::<SessionKey>()?, key);
/// assert_eq!(key.segment("chat").as_deref(), Some("-100 42"));
/// # Ok::<_, session_supervisor::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(Arc<str>);

impl SessionKey {
    /// Starts a key on `platform`, a name like `discord` or `irc`.
    pub fn builder(platform: &str) -> SessionKeyBuilder {
        let problem = check_name(platform).err();
        SessionKeyBuilder { text: platform.to_owned(), problem }
    }

    /// Its platform.
    pub fn platform(&self) -> &str {
        let end = self.0.bytes().position(|byte| byte == b'/');
        self.0.get(..end.unwrap_or(self.0.len())).unwrap_or_default()
    }

    /// The value of the segment `name`.
    pub fn segment(&self, name: &str) -> Option<Cow<'_, str>> {
        self.segments().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Its segments after the platform, in order.
    pub fn segments(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let pairs = self.0.split('/').skip(1).filter_map(|pair| pair.split_once('='));
        pairs.filter_map(|(name, value)| Some((name, decode(value)?)))
    }

    /// Its canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({self})")
    }
}

impl FromStr for SessionKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.split('/');
        let mut builder = Self::builder(parts.next().unwrap_or_default());
        for part in parts {
            let (name, value) = part.split_once('=').ok_or(KeyError::NotCanonical)?;
            let value = decode(value).ok_or(KeyError::NotCanonical)?;
            builder = builder.segment(name, &value);
        }
        let key = builder.build()?;
        if key.as_str() == text { Ok(key) } else { Err(KeyError::NotCanonical) }
    }
}

impl Serialize for SessionKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Builds a [`SessionKey`]. The first problem is kept and told by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct SessionKeyBuilder {
    /// The canonical text so far.
    text: String,
    /// The first rule that was broken.
    problem: Option<KeyError>,
}

impl SessionKeyBuilder {
    /// Adds the segment `chat`: a channel, a room, a direct conversation.
    pub fn chat(self, value: &str) -> Self {
        self.segment("chat", value)
    }

    /// Adds the segment `thread`.
    pub fn thread(self, value: &str) -> Self {
        self.segment("thread", value)
    }

    /// Adds the segment `user`.
    pub fn user(self, value: &str) -> Self {
        self.segment("user", value)
    }

    /// Adds a segment with a name of the caller's own: 1 to 32 of `a-z 0-9 _`.
    pub fn segment(mut self, name: &str, value: &str) -> Self {
        let problem = check_name(name).err().or_else(|| {
            let twice =
                self.text.split('/').skip(1).any(|pair| pair.split('=').next() == Some(name));
            if twice {
                Some(KeyError::Repeated { name: name.to_owned() })
            } else if value.is_empty() {
                Some(KeyError::EmptyValue { name: name.to_owned() })
            } else {
                None
            }
        });
        self.problem = self.problem.or(problem);
        self.text.push('/');
        self.text.push_str(name);
        self.text.push('=');
        encode(value, &mut self.text);
        self
    }

    /// The key.
    ///
    /// # Errors
    ///
    /// [`KeyError`], for the first segment that breaks a rule.
    pub fn build(self) -> Result<SessionKey, KeyError> {
        match self.problem {
            Some(problem) => Err(problem),
            None if self.text.len() > MAX_SESSION_KEY_BYTES => {
                Err(KeyError::TooLong { bytes: self.text.len() })
            }
            None => Ok(SessionKey(self.text.into())),
        }
    }
}

/// Why something is not a session key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The platform or a segment's name is empty, too long, or has other characters.
    #[error("{name:?} does not name a segment of a session key: 1 to 32 of `a-z 0-9 _` do")]
    Name {
        /// The name as it was given.
        name: String,
    },
    /// A segment has no value.
    #[error("segment `{name}` of a session key is empty")]
    EmptyValue {
        /// Which segment.
        name: String,
    },
    /// A segment is given twice.
    #[error("segment `{name}` of a session key is given twice")]
    Repeated {
        /// Which segment.
        name: String,
    },
    /// The canonical text is longer than [`MAX_SESSION_KEY_BYTES`].
    #[error("a session key of {bytes} bytes is too long, the limit is {MAX_SESSION_KEY_BYTES}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The text parses to a key that prints differently, or to none.
    #[error("not the canonical text of a session key, `platform/name=value`")]
    NotCanonical,
}

/// Whether `name` may name a platform or a segment.
fn check_name(name: &str) -> Result<(), KeyError> {
    let valid = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
    if (1..=32).contains(&name.len()) && name.bytes().all(valid) {
        Ok(())
    } else {
        Err(KeyError::Name { name: name.to_owned() })
    }
}

/// Appends `value` to `text`, escaped.
fn encode(value: &str, text: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'_' | b'~' | b'-' | b'@' | b':' | b'+')
        {
            text.push(char::from(byte));
        } else {
            text.push('%');
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(digit.into(), 16).map(|it| it.to_ascii_uppercase()));
            }
        }
    }
}

/// Undoes [`encode`]; `None` if `text` is not something it produces.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

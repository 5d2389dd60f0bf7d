//! Names of conversations, of their lives, of turns and of runs of the process.
//!
//! Invariants: every id prints in one form, and that form parses back to the same id. A
//! [`StreamId`] *is* the fence of its turn (which life of the session, which turn of that life), so
//! a stale one cannot name a newer turn, and it is never used again because an [`Incarnation`] is
//! not.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rt::{self, Arc};

/// The longest id that a caller may choose, in bytes.
pub const MAX_SESSION_ID_BYTES: usize = 128;

/// Which conversation: 128 random bits, or a caller's own string.
///
/// A caller's string has 1 to 128 of the characters `A-Z a-z 0-9 . _ -` and is neither `.` nor
/// `..`, so that it is safe in a path, a URL, a header and a log line. It is checked once, here;
/// whoever holds a `SessionId` holds a valid one.
///
/// A [`SessionKey`](crate::SessionKey), which says who talks where, is another type, and one cannot
/// be passed for the other:
///
/// ```compile_fail
/// # async fn f(supervisor: session_supervisor::Supervisor, id: session_supervisor::SessionId) {
/// let session = supervisor.open(&id).await; // `open` takes a key
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Repr);

/// 128 bits in two words, the higher one first: aligned to 16, an id would take a word more wherever one stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Bits(u64, u64);

impl Bits {
    /// Those of a number.
    const fn of(bits: u128) -> Self {
        let [high, low] = [bits >> 64, bits & u64::MAX as u128];
        #[expect(clippy::cast_possible_truncation, reason = "each is a half")]
        Self(high as u64, low as u64)
    }

    /// The number.
    const fn number(self) -> u128 {
        (self.0 as u128) << 64 | self.1 as u128
    }
}

/// A random id stays a number: it is copied and compared without touching the heap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    /// Prints as 32 lower-case hexadecimal digits, and what has that form parses to this.
    Random(Bits),
    /// Any other valid string.
    Named(Arc<str>),
}

impl SessionId {
    /// An id of 128 bits that an [`IdSource`] drew.
    pub const fn from_random(bits: u128) -> Self {
        Self(Repr::Random(Bits::of(bits)))
    }

    /// Checks and takes over a caller's own string.
    ///
    /// # Errors
    ///
    /// [`IdError`] says which rule the string breaks. Nothing is looked up and no store is asked.
    pub fn new(id: &str) -> Result<Self, IdError> {
        if id.is_empty() {
            return Err(IdError::Empty);
        }
        if id.len() > MAX_SESSION_ID_BYTES {
            return Err(IdError::TooLong { bytes: id.len() });
        }
        if id == "." || id == ".." {
            return Err(IdError::Dots);
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(found) = id.chars().find(|&c| !valid(c)) {
            return Err(IdError::Character { found });
        }
        Ok(parse_random(id).map_or_else(|| Self(Repr::Named(id.into())), Self::from_random))
    }

    /// What it takes besides itself, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Random(_) => 0,
            Repr::Named(name) => name.len() + 2 * size_of::<usize>(),
        }
    }
}

/// The bits of a canonical random id; anything else, upper-case digits too, is a name.
fn parse_random(id: &str) -> Option<u128> {
    let canonical = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if canonical { u128::from_str_radix(id, 16).ok() } else { None }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Random(bits) => write!(f, "{:032x}", bits.number()),
            Repr::Named(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl FromStr for SessionId {
    type Err = IdError;

    fn from_str(id: &str) -> Result<Self, IdError> {
        Self::new(id)
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a string is not a session id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The string has no characters.
    #[error("a session id must not be empty")]
    Empty,
    /// The string is longer than [`MAX_SESSION_ID_BYTES`].
    #[error("a session id of {bytes} bytes is too long, the limit is {MAX_SESSION_ID_BYTES}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The string is `.` or `..`, which would name a folder in a path.
    #[error("a session id must not be `.` or `..`")]
    Dots,
    /// The string has a character outside `A-Z a-z 0-9 . _ -`.
    #[error("a session id must not contain {found:?}, only `A-Z a-z 0-9 . _ -`")]
    Character {
        /// The first such character.
        found: char,
    },
    /// The string does not have the form of a stream id.
    #[error("not a stream id: two hexadecimal numbers joined by `-` are expected")]
    Stream,
}

/// One life of a session id, drawn when the session is created from a counter of its store.
///
/// Never 0 and never drawn twice by one store, so an id that is created again after a delete cannot
/// be taken for its former self. Loading a session does not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(u64);

impl Incarnation {
    /// The life with this number; for stores, which keep the counter.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// The number of a turn within one [`Incarnation`], from 1. Grows with every turn that is admitted;
/// some may be skipped when a session is loaded, so it does not count turns.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    /// The turn with this number; for stores.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after it.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Names one turn and its stream, for ever.
///
/// Prints as two hexadecimal numbers joined by `-`. It is not a secret: whoever can name the session
/// may name its streams.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Which life of the session.
    incarnation: Incarnation,
    /// Which turn of that life.
    generation: Generation,
}

impl StreamId {
    /// The stream of turn `generation` of the life `incarnation`.
    pub const fn new(incarnation: Incarnation, generation: Generation) -> Self {
        Self { incarnation, generation }
    }

    /// Which life of the session it belongs to.
    pub const fn incarnation(self) -> Incarnation {
        self.incarnation
    }

    /// Which turn of that life it belongs to.
    pub const fn generation(self) -> Generation {
        self.generation
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.incarnation.0, self.generation.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({self})")
    }
}

impl FromStr for StreamId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (life, turn) = text.split_once('-').ok_or(IdError::Stream)?;
        let number = |text: &str| u64::from_str_radix(text, 16).map_err(|_| IdError::Stream);
        let id = Self::new(Incarnation(number(life)?), Generation(number(turn)?));
        // One form only: no sign, no leading zero, no upper case.
        if id.to_string() == text { Ok(id) } else { Err(IdError::Stream) }
    }
}

/// Names one run of the process. Stored beside anything in progress, so that the next run knows
/// that it no longer is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstanceId(Bits);

impl InstanceId {
    /// An id of 128 bits that an [`IdSource`] drew.
    pub const fn from_random(bits: u128) -> Self {
        Self(Bits::of(bits))
    }

    /// Its bits; for stores.
    pub const fn as_bits(self) -> u128 {
        self.0.number()
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.as_bits())
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceId({self})")
    }
}

/// Where a supervisor takes new ids from. Tests give one that repeats itself or counts.
pub trait IdSource: fmt::Debug + Send + Sync + 'static {
    /// 128 bits that nobody can guess.
    fn draw(&self) -> u128;
}

/// The operating system's seeded, cryptographically strong generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn draw(&self) -> u128 {
        rt::random_u128()
    }
}

// A4: what must not compile, each behind its twin that does, so that it fails for the right reason.
#[cfg(doctest)]
/// Looking up takes an id:
///
/// ```
/// # use session_supervisor::{SessionId, SessionKey, Supervisor};
/// async fn f(it: Supervisor, key: SessionKey, id: SessionId) { drop(it.look_up(&id).await) }
/// ```
///
/// Looking up takes an id:
///
/// ```compile_fail
/// # use session_supervisor::{SessionId, SessionKey, Supervisor};
/// async fn f(it: Supervisor, key: SessionKey, id: SessionId) { drop(it.look_up(&key).await) }
/// ```
///
/// Opening takes a key:
///
/// ```
/// # use session_supervisor::{SessionId, SessionKey, Supervisor};
/// async fn f(it: Supervisor, key: SessionKey, id: SessionId) { drop(it.open(&key).await) }
/// ```
///
/// Opening takes a key:
///
/// ```compile_fail
/// # use session_supervisor::{SessionId, SessionKey, Supervisor};
/// async fn f(it: Supervisor, key: SessionKey, id: SessionId) { drop(it.open(&id).await) }
/// ```
///
/// An id is equal to ids alone:
///
/// ```
/// # use session_supervisor::{SessionId, SessionKey, Supervisor};
/// fn f(key: SessionKey, id: SessionId) -> bool { id == id }
/// ```
///
/// An id is equal to ids alone:
///
/// ```compile_fail
/// # use session_supervisor::{SessionId, SessionKey, Supervisor};
/// fn f(key: SessionKey, id: SessionId) -> bool { id == key }
/// ```
///
/// A key is made from no id:
///
/// ```
/// # use session_supervisor::{SessionId, SessionKey, Supervisor};
/// fn f(key: SessionKey, id: SessionId) -> SessionKey { key.into() }
/// ```
///
/// A key is made from no id:
///
/// ```compile_fail
/// # use session_supervisor::{SessionId, SessionKey, Supervisor};
/// fn f(key: SessionKey, id: SessionId) -> SessionKey { id.into() }
/// ```
struct KeysAndIdsAreNotExchanged;

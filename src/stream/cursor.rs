//! A place in a stream, to come back to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::StreamId;

/// A place in one turn's stream: everything up to a number has been seen, nothing after it.
///
/// Prints as one opaque token that parses back, made of the session's life, the turn and the number.
/// It is safe in a URL and in a header such as `Last-Event-ID`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// Whose stream.
    stream: StreamId,
    /// The last number that was seen; 0 before the first.
    seq: u64,
}

impl Cursor {
    /// The place right after chunk `seq` of `stream`; 0 is the place before the first.
    pub const fn after(stream: StreamId, seq: u64) -> Self {
        Self { stream, seq }
    }

    /// Which stream it is in.
    pub const fn stream(self) -> StreamId {
        self.stream
    }

    /// The last number that was seen; 0 if none was.
    pub const fn seq(self) -> u64 {
        self.seq
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.stream, self.seq)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

/// A token is not the cursor of any stream: something else than a cursor was handed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{token:?} is not a cursor")]
#[non_exhaustive]
pub struct CursorError {
    /// The first 64 characters of what was handed in.
    pub token: String,
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(token: &str) -> Result<Self, CursorError> {
        let parse = || {
            let (stream, seq) = token.rsplit_once('-')?;
            let cursor = Self::after(stream.parse().ok()?, u64::from_str_radix(seq, 16).ok()?);
            // One form only: no sign, no leading zero, no upper case.
            (cursor.to_string() == token).then_some(cursor)
        };
        parse().ok_or_else(|| CursorError { token: token.chars().take(64).collect() })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let token = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        token.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Generation, Incarnation};

    #[test]
    fn what_is_printed_parses_back_and_nothing_else_does() {
        let stream = StreamId::new(Incarnation::new(u64::MAX), Generation::new(26));
        for cursor in [Cursor::after(stream, 0), Cursor::after(stream, u64::MAX)] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        let cursor = Cursor::after(stream, 3);
        assert_eq!((cursor.stream(), cursor.seq()), (stream, 3));
        assert_eq!(cursor.to_string(), "ffffffffffffffff-1a-3");
        for token in
            ["", "-", "1-2", "1-2-", "1-2-03", "1-2-A", "+1-2-3", "1-2-3-4", "x-1-1", "1-2- 3"]
        {
            let error = token.parse::<Cursor>().unwrap_err();
            assert_eq!(error.token, token);
        }
        let long = "9".repeat(1_000);
        assert_eq!(long.parse::<Cursor>().unwrap_err().token.len(), 64);
    }
}

//! What was taken out of a transcript, and why.

use std::borrow::Cow;
use std::fmt;

use super::record::StoredEntry;
use crate::clock::Timestamp;

/// Entries that were taken out of a transcript together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number: the version of the session from then on.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: RevisionReason,
    /// What was taken out, in order.
    pub entries: Vec<StoredEntry>,
}

/// Why entries were taken out of a transcript.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevisionReason {
    /// The last turns were taken back; [`Session::rollback`](crate::Session::rollback).
    Rollback,
    /// They are being done over; [`Session::retry`](crate::Session::retry).
    Retry,
    /// It was cut off; [`Session::truncate`](crate::Session::truncate).
    Truncated {
        /// Why, in the words of whoever did it.
        why: String,
    },
    /// An earlier revision was put back in their place;
    /// [`Session::restore_revision`](crate::Session::restore_revision).
    Restored {
        /// The number of that.
        revision: u64,
    },
}

impl RevisionReason {
    /// As a store keeps it in a text; [`parse`](Self::parse) undoes it.
    pub fn to_text(&self) -> Cow<'static, str> {
        match self {
            Self::Rollback => Cow::Borrowed("rollback"),
            Self::Retry => Cow::Borrowed("retry"),
            Self::Truncated { why } => Cow::Owned(format!("truncated:{why}")),
            Self::Restored { revision } => Cow::Owned(format!("restored:{revision}")),
        }
    }

    /// Undoes [`to_text`](Self::to_text); `None` if `text` is not something that it makes.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "rollback" => Some(Self::Rollback),
            None if text == "retry" => Some(Self::Retry),
            Some(("truncated", why)) => Some(Self::Truncated { why: why.to_owned() }),
            Some(("restored", revision)) => {
                let revision = revision.parse().ok()?;
                Some(Self::Restored { revision })
            }
            None | Some(_) => None,
        }
    }
}

impl fmt::Display for RevisionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rollback => f.write_str("taken back"),
            Self::Retry => f.write_str("done over"),
            Self::Truncated { why } => write!(f, "cut off: {why}"),
            Self::Restored { revision } => write!(f, "replaced by revision {revision}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // G6
    #[test]
    fn a_reason_comes_back_from_its_text_and_nothing_else_is_one() {
        let text = |why: &str| RevisionReason::Truncated { why: why.to_owned() };
        for reason in [
            RevisionReason::Rollback,
            RevisionReason::Retry,
            text("edited: again"),
            text("rollback"),
            text(""),
            RevisionReason::Restored { revision: u64::MAX },
        ] {
            assert_eq!(RevisionReason::parse(&reason.to_text()), Some(reason));
        }
        for other in ["", "Rollback", "truncated", "restored:", "restored:-1", "lost:x"] {
            assert_eq!(RevisionReason::parse(other), None, "{other}");
        }
    }
}

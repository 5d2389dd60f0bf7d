//! How those are found whose time may be over, without looking at the others.
//!
//! Every session that can expire stands in a *lane*, with all others that the same rules are set for, in
//! the order of their last use. So whoever knows how long the sessions of a lane may rest finds those that
//! have rested longer at its front. Times are rounded down there, so that a session which is used all the
//! time seldom has to move.

use crate::clock::Timestamp;
use crate::expiry::ExpiryRules;
use crate::id::Incarnation;
use crate::standing::{EndReason, Standing};

use super::record::Record;

/// How many bits of a time in milliseconds are rounded off: a [`Bucket`] is about 17 minutes.
const ROUNDED_OFF: u32 = 20;

/// The sessions that the same rules are set for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Active ones.
    Active {
        /// Of this class; see [`Record::class_name`].
        class: String,
        /// With these rules of their own.
        rules: Option<ExpiryRules>,
    },
    /// Those that are archived or have ended.
    Closed {
        /// Of this class.
        class: String,
        /// With these rules of their own.
        rules: Option<ExpiryRules>,
        /// Whether they ended because their time was over. Only those that are to be deleted do; the others
        /// are archived.
        at_once: bool,
    },
}

/// A time, rounded down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u64);

impl Bucket {
    /// The one that `at` is in.
    pub const fn of(at: Timestamp) -> Self {
        Self(at.as_millis() >> ROUNDED_OFF)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

impl Lane {
    /// Its name in a store: two lanes have the same only if they are the same. Those of closed sessions begin
    /// with `c`, and no others.
    pub fn name(&self) -> String {
        let (kind, class, rules) = match self {
            Self::Active { class, rules } => ("a", class, rules),
            Self::Closed { class, rules, at_once: false } => ("cq", class, rules),
            Self::Closed { class, rules, at_once: true } => ("ce", class, rules),
        };
        // No text of a class can be taken for rules, nor for the end of them.
        let Some(rules) = rules else { return format!("{kind}-{class}") };
        let rules = serde_json::to_string(rules).unwrap_or_default();
        format!("{kind}+{rules}{class}")
    }

    /// The lane of this name; `None` if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        let (kind, mut class) = name.split_at_checked(name.find(['-', '+'])?)?;
        let mut rules = None;
        let with_rules = class.starts_with('+');
        class = class.get(1..)?;
        if with_rules {
            let mut parts = serde_json::Deserializer::from_str(class).into_iter();
            rules = Some(parts.next()?.ok()?);
            class = class.get(parts.byte_offset()..)?;
        }
        let class = class.to_owned();
        match kind {
            "a" => Some(Self::Active { class, rules }),
            "cq" => Some(Self::Closed { class, rules, at_once: false }),
            "ce" => Some(Self::Closed { class, rules, at_once: true }),
            _ => None,
        }
    }
}

impl Record {
    /// Where it is found when its time may be over; `None` if it never is: it is pinned, or suspended.
    pub fn lane(&self) -> Option<(Lane, Bucket)> {
        let rules = self.expiry.as_deref();
        if self.pinned {
            None
        } else {
            lane(self.class_name(), self.standing, rules, self.last_active_at)
        }
    }
}

/// Where a session stands that is not pinned.
pub(crate) fn lane(
    class: &str,
    standing: Standing,
    rules: Option<&ExpiryRules>,
    active_at: Timestamp,
) -> Option<(Lane, Bucket)> {
    let (class, rules) = (class.to_owned(), rules.cloned());
    match standing {
        Standing::Suspended { .. } => None,
        Standing::Active => Some((Lane::Active { class, rules }, Bucket::of(active_at))),
        Standing::Archived { reason, at } | Standing::Ended { reason, at } => {
            let ended = matches!(standing, Standing::Ended { .. });
            let at_once = ended && matches!(reason, EndReason::Expired(_));
            Some((Lane::Closed { class, rules, at_once }, Bucket::of(at)))
        }
    }
}

/// Asks for the sessions of a lane that are old enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueQuery {
    /// Which lane.
    pub lane: Lane,
    /// How old they have to be.
    pub by: DueBy,
    /// Those behind this one in the order of the answer.
    pub after: Option<(Bucket, Incarnation)>,
}

/// What makes a session old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DueBy {
    /// It stands in this bucket of its lane or an earlier one. In the order of buckets, then of lives.
    Rested(Bucket),
    /// It was created at this time or before. In the order of lives; the bucket of `after` does not matter.
    Created(Timestamp),
}

/// A part of the answer to a [`DueQuery`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Rows that could not be read, each told by table and id. They are left out of `records`.
    pub damaged: Vec<String>,
    /// Behind which the next page starts; `None` if this was the last.
    pub next: Option<(Bucket, Incarnation)>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lanes_have_names_of_their_own_that_read_back() {
        let rules = ExpiryRules { idle: Some(Duration::from_secs(60)), ..ExpiryRules::default() };
        let class = |class: &str, rules: Option<&ExpiryRules>| Lane::Active {
            class: class.to_owned(),
            rules: rules.cloned(),
        };
        let closed = |class: &str, rules: Option<&ExpiryRules>, at_once| Lane::Closed {
            class: class.to_owned(),
            rules: rules.cloned(),
            at_once,
        };
        let lanes = [
            class("", None),
            class("a", None),
            class("c", None),
            class("{}", None),
            class("", Some(&rules)),
            class("{}", Some(&rules)),
            class("x", Some(&ExpiryRules::default())),
            class("{}x", Some(&ExpiryRules::default())),
            closed("", None, false),
            closed("", None, true),
            closed("a", None, false),
            closed("a", Some(&rules), false),
            closed("a", Some(&rules), true),
        ];
        let names: std::collections::BTreeSet<_> = lanes.iter().map(Lane::name).collect();
        assert_eq!(names.len(), lanes.len());
        for lane in lanes {
            assert_eq!(lane.name().starts_with('c'), matches!(lane, Lane::Closed { .. }));
            assert_eq!(Lane::from_name(&lane.name()), Some(lane));
        }
        for name in ["", "x", "a", "a+", "a+{", "ce+1x", "x-y", "é"] {
            assert_eq!(Lane::from_name(name), None, "{name:?}");
        }
    }
}

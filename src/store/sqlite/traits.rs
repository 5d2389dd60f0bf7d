//! The column `traits` of a session: what most sessions have none of, as one JSON object; `NULL` if all of it
//! is as it is for most.
//!
//! What a later version adds to the object is read over, and kept as long as nothing of the object changes.

use serde::{Deserialize, Serialize};

use crate::expiry::ExpiryRules;
use crate::standing::{Previous, Standing};

/// What most sessions have none of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Traits {
    /// What kind of conversation it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<String>,
    /// Whether it takes turns.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) standing: Standing,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expiry: Option<Box<ExpiryRules>>,
    /// Whether it never ends by itself.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pinned: bool,
    /// How many starts in a row have found it with an open turn.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) crashes: u32,
    /// What its key led to before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Box<Previous>>,
    /// How many ids it was given after its first: where fewer are found, some are lost.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) rotations: u64,
    /// How many removals from its transcript are kept: where fewer are found, what one of them took out would be
    /// seen again.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) revisions: u64,
}

/// Whether there is nothing to say.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Traits {
    /// The column.
    pub(super) fn encode(&self) -> Option<String> {
        let text = || serde_json::to_string(self).expect("texts and numbers can be encoded");
        (!is_default(self)).then(text)
    }

    /// Undoes [`encode`](Self::encode); `None` if it is nothing that this produces.
    pub(super) fn decode(column: Option<&str>) -> Option<Self> {
        column.map_or_else(|| Some(Self::default()), |text| serde_json::from_str(text).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_as_it_is_for_most_is_written() {
        assert_eq!(Traits::default().encode(), None);
        let pinned = Traits { pinned: true, ..Traits::default() };
        assert_eq!(pinned.encode().as_deref(), Some(r#"{"pinned":true}"#));
        assert_eq!(Traits::decode(pinned.encode().as_deref()), Some(pinned));
    }
}

//! The keys that were bound to one life; some may have moved on.

use crate::key::SessionKey;
use crate::seldom::Seldom;

/// The keys of a life. Most have the one that they were created under, which stands there already.
#[derive(Debug)]
pub(super) struct Keys {
    /// The others.
    others: Seldom<Vec<SessionKey>>,
    /// Whether it has the one that it was created under.
    first: bool,
}

impl Keys {
    /// That of a life that is created under one, or is not.
    pub(super) fn new(first: bool) -> Self {
        Self { others: Seldom::default(), first }
    }

    /// Adds `key` to those of a life that was created under `first`.
    pub(super) fn add(&mut self, key: &SessionKey, first: Option<&SessionKey>) {
        if first == Some(key) {
            self.first = true;
        } else if !self.others.contains(key) {
            self.others.make().push(key.clone());
        }
    }

    /// Takes `key` from those of a life that was created under `first`.
    pub(super) fn remove(&mut self, key: &SessionKey, first: Option<&SessionKey>) {
        if first == Some(key) {
            self.first = false;
        } else if let Some(others) = self.others.made() {
            others.retain(|had| had != key);
        }
    }

    /// All of them, of a life that was created under `first`.
    pub(super) fn all(&self, first: Option<&SessionKey>) -> Vec<SessionKey> {
        first.filter(|_| self.first).into_iter().chain(&*self.others).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(chat: &str) -> SessionKey {
        SessionKey::builder("irc").chat(chat).build().unwrap()
    }

    // M4
    #[test]
    fn a_key_that_has_moved_on_is_kept_no_more() {
        let (first, other) = (key("first"), key("other"));
        let mut keys = Keys::new(true);
        let all = |keys: &Keys| keys.all(Some(&first));
        for _ in 0..2 {
            keys.add(&other, Some(&first));
            keys.add(&first, Some(&first));
            assert_eq!(all(&keys), [first.clone(), other.clone()]);
        }
        keys.remove(&first, Some(&first));
        assert_eq!(all(&keys), std::slice::from_ref(&other));
        keys.remove(&other, Some(&first));
        assert!(all(&keys).is_empty());
    }
}

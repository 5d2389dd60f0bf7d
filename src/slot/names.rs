//! What leads to a slot beside the id under which its session was created: the ids that it was given
//! since, and the keys that it was found by.
//!
//! Ids are only ever added, in one order that all slots of a life agree on, so a reference to the newest
//! stays good. Most sessions have one id and one key, and nothing of this.

use super::Slot;
use crate::id::SessionId;
use crate::key::SessionKey;
use crate::rt::{Mutex, OnceLock, Ordering};

/// What leads to a slot beside its first id and the key it was created under.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The ids that it was given before it was loaded, oldest first.
    loaded: Box<[SessionId]>,
    /// Those since.
    since: Link,
    /// The keys that the supervisor's cache has of it, without the one it was created under.
    keys: Mutex<Vec<SessionKey>>,
}

/// The next id, once there is one.
type Link = OnceLock<Box<Given>>;

/// An id that was given to a loaded session.
#[derive(Debug)]
struct Given {
    /// The id.
    id: SessionId,
    /// The one after it.
    next: Link,
}

impl Names {
    /// Those of a session that has had `ids` after its first; made only if there are any.
    pub(super) fn of(ids: Vec<SessionId>) -> OnceLock<Box<Self>> {
        let names = OnceLock::new();
        if !ids.is_empty() {
            let loaded = ids.into_boxed_slice();
            names.get_or_init(|| Box::new(Self { loaded, ..Self::default() }));
        }
        names
    }

    /// The ids, oldest first.
    fn ids(&self) -> impl Iterator<Item = &SessionId> {
        let mut next = &self.since;
        let since = std::iter::from_fn(move || {
            let given = next.get()?;
            next = &given.next;
            Some(&given.id)
        });
        self.loaded.iter().chain(since)
    }

    /// Adds an id, unless it is there. Whoever adds at the same time adds the same ones in the same order.
    fn add(&self, id: &SessionId) {
        if self.loaded.contains(id) {
            return;
        }
        let mut next = &self.since;
        loop {
            let given = next.get_or_init(|| Box::new(Given { id: id.clone(), next: Link::new() }));
            if given.id == *id {
                return;
            }
            next = &given.next;
        }
    }
}

/// The first id of a session that is told by `tip` and was told by `former` before, and those since.
pub(super) fn split(tip: SessionId, former: Vec<SessionId>) -> (SessionId, Vec<SessionId>) {
    let mut ids = former.into_iter();
    match ids.next() {
        Some(first) => (first, ids.chain([tip]).collect()),
        None => (tip, Vec::new()),
    }
}

impl Slot {
    /// The id that it is told by: of those that it was given, the newest.
    pub(crate) fn tip(&self) -> &SessionId {
        if !self.renamed.load(Ordering::Acquire) {
            return &self.id;
        }
        self.later_ids().last().unwrap_or(&self.id)
    }

    /// Every id that leads to it, oldest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &SessionId> {
        std::iter::once(&self.id).chain(self.later_ids())
    }

    /// The ids that it was given after its first, oldest first.
    pub(crate) fn later_ids(&self) -> impl Iterator<Item = &SessionId> {
        self.names.get().into_iter().flat_map(|names| names.ids())
    }

    /// Notes that it was given `id`.
    pub(super) fn add_id(&self, id: &SessionId) {
        self.names.get_or_init(Box::default).add(id);
        self.renamed.store(true, Ordering::Release);
    }

    /// Takes over the ids that the session was given where it was loaded since.
    pub(crate) fn learn_ids(&self, now: &Self) {
        now.later_ids().for_each(|id| self.add_id(id));
    }

    /// Notes that `key` leads to it.
    pub(crate) fn note_key(&self, key: &SessionKey) {
        if self.key.as_ref() == Some(key) {
            return;
        }
        let mut keys = self.names.get_or_init(Box::default).keys.lock();
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }

    /// Notes that `key` leads to it no more.
    pub(crate) fn forget_key(&self, key: &SessionKey) {
        if let Some(names) = self.names.get() {
            names.keys.lock().retain(|noted| noted != key);
        }
    }

    /// Every key that may lead to it.
    pub(crate) fn noted_keys(&self) -> Vec<SessionKey> {
        let noted = self.names.get().map(|names| names.keys.lock().clone());
        self.key.iter().cloned().chain(noted.unwrap_or_default()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An id.
    fn id(name: &str) -> SessionId {
        SessionId::new(name).unwrap()
    }

    // A13
    #[test]
    fn ids_are_added_once_and_in_order_wherever_they_come_from() {
        let names = Names { loaded: [id("b"), id("c")].into(), ..Names::default() };
        for added in ["c", "d", "e", "b", "d", "f", "e"] {
            names.add(&id(added));
        }
        let all: Vec<_> = names.ids().cloned().collect();
        assert_eq!(all, ["b", "c", "d", "e", "f"].map(id));
        assert!(Names::of(Vec::new()).get().is_none());
        assert_eq!(Names::of(all.clone()).get().unwrap().ids().count(), all.len());
    }
}

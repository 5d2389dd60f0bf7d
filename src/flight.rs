//! One at a time for each name: loads of an id, bindings of a key.
//!
//! A flight is joined before something is looked up in the store and published, so that those who
//! come together do it once. Whoever leads and is dropped, or fails, lets the next one lead.

use std::fmt;
use std::hash::Hash;

use crate::rt::{Arc, AsyncMutex, OwnedMutexGuard, ShardedMap};

/// The flights under way.
pub(crate) struct Flights<K: Hash + Eq + Clone> {
    /// A lock for each name that somebody holds or waits for, and for no other.
    locks: ShardedMap<K, Arc<AsyncMutex<()>>>,
}

impl<K: Hash + Eq + Clone> Flights<K> {
    /// None.
    pub(crate) fn new() -> Self {
        Self { locks: ShardedMap::new() }
    }

    /// Waits until nobody else is at `name`, in order of arrival.
    pub(crate) async fn join<'a>(&'a self, name: &'a K) -> Flight<'a, K> {
        let lock = self.locks.alter(name, |lock| lock.get_or_insert_default().clone());
        // Made before the wait, so that one who is dropped while waiting cleans up, too.
        let mut flight = Flight { flights: self, name, lock: Some(lock.clone()), guard: None };
        flight.guard = Some(lock.lock_owned().await);
        flight
    }

    /// How many names somebody is at.
    pub(crate) fn len(&self) -> usize {
        self.locks.len()
    }
}

impl<K: Hash + Eq + Clone> fmt::Debug for Flights<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("names", &self.len()).finish()
    }
}

/// The right to be the only one at a name. Ends when dropped.
#[must_use = "a flight ends when it is dropped"]
pub(crate) struct Flight<'a, K: Hash + Eq + Clone> {
    /// Where it is noted.
    flights: &'a Flights<K>,
    /// At which name.
    name: &'a K,
    /// The name's lock.
    lock: Option<Arc<AsyncMutex<()>>>,
    /// Held, once the wait is over.
    guard: Option<OwnedMutexGuard<()>>,
}

impl<K: Hash + Eq + Clone> Drop for Flight<'_, K> {
    fn drop(&mut self) {
        self.guard = None;
        self.lock = None;
        // Whoever joins clones the lock under its shard, so a count of one means nobody.
        self.flights.locks.remove_if(self.name, |lock| Arc::strong_count(lock) == 1);
    }
}

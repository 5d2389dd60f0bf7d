//! The one seam to the runtime: every task, lock, atomic, map, channel, timer and random number.
//!
//! The rest of the library imports these from here and from nowhere else (`tests/tidy.rs` holds it
//! to that), so that a second build can put a scheduler of its own underneath and explore
//! interleavings. In production everything here is a re-export or a thin wrapper.
//!
//! Invariants: no lock of this module is held across an await; a [`ShardedMap`] never runs the
//! caller's code while it holds a shard, except the closures of [`ShardedMap::with`] and
//! [`ShardedMap::alter`], which must not lock another map.

use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
pub(crate) use std::sync::{Arc, Weak};
#[cfg(feature = "sqlite")]
pub(crate) use tokio::sync::Semaphore;
pub(crate) use tokio::sync::{Notify, oneshot};
pub(crate) use tokio::task::JoinHandle;
pub(crate) use tokio::task::coop::consume_budget;
pub(crate) use tokio::time::{Instant, error::Elapsed};
// What a scheduler that explores interleavings has to see, and what is random by itself (`sim/`).
#[cfg(sim)]
pub(crate) use seam::{
    AtomicBool, AtomicU64, AtomicUsize, CancellationToken, Mutex, MutexGuard, OnceLock, Ordering,
    RandomState, random_u128,
};
#[cfg(not(sim))]
pub(crate) use {
    ahash::RandomState,
    parking_lot::{Mutex, MutexGuard},
    std::sync::OnceLock,
    std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    tokio_util::sync::CancellationToken,
};

/// Starts tasks on the runtime that the supervisor was started on, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Spawner(tokio::runtime::Handle);

impl Spawner {
    /// The runtime that runs this code; `None` outside of one.
    pub(crate) fn current() -> Option<Self> {
        tokio::runtime::Handle::try_current().ok().map(Self)
    }

    /// Starts a task.
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(future)
    }

    /// Starts work that blocks its thread: the disk, and nothing else.
    #[cfg(feature = "sqlite")]
    pub(crate) fn spawn_blocking<F, T>(&self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.0.spawn_blocking(work)
    }

    /// Runs `work` with this runtime as the current one, for code that starts tasks by itself.
    pub(crate) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.0.enter();
        work()
    }
}

tokio::task_local! {
    /// What the task that runs works for.
    static ERRAND: u64;
}

/// `work`, marked as being for the errand of that number, as long as it stays in its task.
pub(crate) async fn on_errand<F: Future>(number: u64, work: F) -> F::Output {
    ERRAND.scope(number, work).await
}

/// Whether this task works for the errand of that number.
pub(crate) fn is_on_errand(number: u64) -> bool {
    ERRAND.try_with(|it| *it == number).unwrap_or_default()
}

/// Waits for `duration` on the runtime's clock, which tests may pause.
pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits for `future`, `duration` at most.
pub(crate) async fn timeout<F: Future>(
    duration: Duration,
    future: F,
) -> Result<F::Output, Elapsed> {
    tokio::time::timeout(duration, future).await
}

/// Waits until `look` finds something; all who wait for `changed` are notified after each change it may
/// find.
pub(crate) async fn wait<T>(changed: &Notify, look: impl Fn() -> Option<T>) -> T {
    loop {
        // From here on no notification of all is lost, so a look afterwards sees what came before.
        let notified = changed.notified();
        if let Some(found) = look() {
            return found;
        }
        notified.await;
    }
}

/// Lets the other tasks of this thread run once.
pub(crate) async fn yield_now() {
    tokio::task::yield_now().await;
}

/// Time since the Unix epoch by the machine's wall clock; zero if that clock stands before it.
pub(crate) fn wall_clock() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// Whether this thread is unwinding from a panic.
pub(crate) fn is_panicking() -> bool {
    std::thread::panicking()
}

/// 128 bits from the operating system's seeded, cryptographically strong generator.
#[cfg(not(sim))]
pub(crate) fn random_u128() -> u128 {
    rand::random()
}

/// A map of one owner, behind a lock of its own, with the same hash.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;

/// A set of one owner, behind a lock of its own, with the same hash.
pub(crate) type HashSet<K> = std::collections::HashSet<K, RandomState>;

/// How many shards a [`ShardedMap`] has. Enough that two cores rarely meet, and few enough that an
/// empty map stays small.
const SHARDS: usize = if cfg!(sim) { 2 } else { 64 };

/// A concurrent map: a fixed number of locked hash tables.
///
/// A plain map under a plain lock, sharded, is as fast here as the lock-free ones that were
/// measured, and each of its locks is one that a scheduler can see.
pub(crate) struct ShardedMap<K, V> {
    /// Keyed anew for each map, so that callers who choose ids cannot aim at one shard. Opening a key
    /// hashes it in five maps, and the standard library's hash was a third of what a create cost.
    hasher: RandomState,
    /// The maps; a key's shard follows from its hash.
    shards: Box<[Shard<K, V>]>,
}

/// One locked part of a [`ShardedMap`], on a cache line of its own.
#[repr(align(64))]
struct Shard<K, V>(Mutex<HashTable<Place<K, V>>>);

/// What stands under one key.
struct Place<K, V> {
    /// Of the key. Kept, so that a table that grows hashes nothing again.
    hash: u64,
    key: K,
    value: V,
}

impl<K: Hash + Eq + Clone, V> ShardedMap<K, V> {
    /// An empty map.
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Shard(Mutex::new(HashTable::new()))).collect();
        Self { hasher: RandomState::default(), shards }
    }

    /// The hash of `key`, drawn once for the shard and for the place in it, and the shard, locked.
    fn shard(&self, key: &K) -> (u64, MutexGuard<'_, HashTable<Place<K, V>>>) {
        let hash = self.hasher.hash_one(key);
        // Bits in the middle: the table uses the low ones and the highest.
        let index = (hash >> 32) as usize % SHARDS;
        (hash, self.shards.get(index).expect("a remainder is below its divisor").0.lock())
    }

    /// What stands under `key`, cloned.
    pub(crate) fn get(&self, key: &K) -> Option<V>
    where
        V: Clone,
    {
        let (hash, shard) = self.shard(key);
        shard.find(hash, |place| place.key == *key).map(|place| place.value.clone())
    }

    /// Runs `read` on what stands under `key`, with the shard locked.
    pub(crate) fn with<T>(&self, key: &K, read: impl FnOnce(Option<&mut V>) -> T) -> T {
        let (hash, mut shard) = self.shard(key);
        read(shard.find_mut(hash, |place| place.key == *key).map(|place| &mut place.value))
    }

    /// Runs `change` on the place of `key`, with the shard locked: whatever it leaves there stays.
    pub(crate) fn alter<T>(&self, key: &K, change: impl FnOnce(&mut Option<V>) -> T) -> T {
        let (hash, mut shard) = self.shard(key);
        match shard.entry(hash, |place| place.key == *key, |place| place.hash) {
            Entry::Occupied(occupied) => {
                let (Place { key, value, .. }, vacant) = occupied.remove();
                let mut value = Some(value);
                let answer = change(&mut value);
                if let Some(value) = value {
                    vacant.insert(Place { hash, key, value });
                }
                answer
            }
            Entry::Vacant(vacant) => {
                let mut value = None;
                let answer = change(&mut value);
                if let Some(value) = value {
                    vacant.insert(Place { hash, key: key.clone(), value });
                }
                answer
            }
        }
    }

    /// Puts `value` under `key` and returns what stood there.
    pub(crate) fn insert(&self, key: K, value: V) -> Option<V> {
        let (hash, mut shard) = self.shard(&key);
        match shard.entry(hash, |place| place.key == key, |place| place.hash) {
            Entry::Occupied(mut occupied) => {
                Some(std::mem::replace(&mut occupied.get_mut().value, value))
            }
            Entry::Vacant(vacant) => {
                vacant.insert(Place { hash, key, value });
                None
            }
        }
    }

    /// Removes what stands under `key` if `doomed` says so.
    pub(crate) fn remove_if(&self, key: &K, doomed: impl FnOnce(&V) -> bool) -> Option<V> {
        let (hash, mut shard) = self.shard(key);
        let found = shard.find_entry(hash, |place| place.key == *key).ok()?;
        doomed(&found.get().value).then(|| found.remove().0.value)
    }

    /// How many keys there are, shard by shard, so not at one instant.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().len()).sum()
    }

    /// Every value that `pick` picks, one shard locked at a time.
    pub(crate) fn collect<T>(&self, mut pick: impl FnMut(&K, &V) -> Option<T>) -> Vec<T> {
        let mut picked = Vec::new();
        for shard in &self.shards {
            let shard = shard.0.lock();
            picked.extend(shard.iter().filter_map(|place| pick(&place.key, &place.value)));
        }
        picked
    }
}

impl<K, V> std::fmt::Debug for ShardedMap<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardedMap").finish_non_exhaustive()
    }
}

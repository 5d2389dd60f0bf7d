//! A sharded map of async mutexes.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

use super::state::encoded;
use super::{Entries, Key, Rival, State, Turns};
use crate::world::Said;

/// A session: its state behind a lock that may be awaited.
pub(crate) type Cell = Arc<Mutex<State>>;

/// The map.
#[derive(Clone)]
pub(crate) struct Map(Arc<DashMap<Arc<str>, Cell>>);

impl Map {
    /// Every key, in no order.
    pub(crate) fn keys(&self) -> Vec<Arc<str>> {
        self.0.iter().map(|session| session.key().clone()).collect()
    }
}

/// Begin under the lock, and commit under it, with a ticket in between.
pub(super) async fn turn(cell: &Mutex<State>, entries: Option<Entries>) {
    let (input, reply) = entries.map_or((None, None), |[input, reply]| (Some(input), Some(reply)));
    let ticket = cell.lock().await.begin(input).expect("nobody else is there");
    let committed = cell.lock().await.commit(&ticket, reply);
    assert!(committed, "nobody has cancelled it");
}

/// A lock that somebody keeps, and those who want it.
pub(crate) struct Stuck {
    _guard: OwnedMutexGuard<State>,
    waiting: Vec<JoinHandle<()>>,
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.waiting.iter().for_each(JoinHandle::abort);
    }
}

/// Keeps the lock of a session.
pub(super) async fn stick(cell: &Cell) -> Stuck {
    let guard = cell.clone().lock_owned().await;
    let wait = |_| {
        let cell = cell.clone();
        tokio::spawn(async move { turn(&cell, None).await })
    };
    let waiting = (0..super::WAITING).map(wait).collect();
    tokio::task::yield_now().await;
    Stuck { _guard: guard, waiting }
}

impl Rival for Map {
    const NAME: &'static str = "map of locks";
    type Name = Key;
    type Handle = Cell;

    async fn start() -> Self {
        Self(Arc::default())
    }

    async fn create(&self, key: &Key) -> (Key, Cell) {
        let cell = Cell::default();
        self.0.insert(key.text.clone(), cell.clone());
        (key.clone(), cell)
    }

    async fn look_up(&self, name: &Key) -> bool {
        let found = self.0.get(&name.text).map(|cell| cell.clone());
        std::hint::black_box(found).is_some()
    }

    async fn delete(&self, name: &Key, _: &Cell) {
        std::hint::black_box(self.0.remove(&name.text));
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    async fn stop(self) {}
}

impl Turns for Map {
    type Stuck = Stuck;

    async fn turn(&self, handle: &Cell) {
        turn(handle, None).await;
    }

    async fn say(&self, handle: &Cell, said: &Said) {
        turn(handle, Some(encoded(said))).await;
    }

    async fn committed(&self, handle: &Cell) -> u64 {
        handle.lock().await.committed()
    }

    async fn open(&self, key: &Key) -> Cell {
        if let Some(found) = self.0.get(&key.text) {
            return found.clone();
        }
        self.0.entry(key.text.clone()).or_default().clone()
    }

    fn same(one: &Cell, other: &Cell) -> bool {
        Arc::ptr_eq(one, other)
    }

    async fn stick(&self, handle: &Cell) -> Stuck {
        stick(handle).await
    }
}

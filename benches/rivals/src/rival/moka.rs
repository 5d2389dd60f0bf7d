//! A moka cache of async mutexes, whose sessions leave when they are idle.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::map::{Cell, Stuck, stick, turn};
use super::state::encoded;
use super::{Key, Rival, Turns};
use crate::world::Said;

/// As long as the library keeps an idle session in memory by default.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// The cache.
#[derive(Clone)]
pub(crate) struct Moka(Cache<Arc<str>, Cell>);

impl Moka {
    /// What a session is used by: getting it from the cache is what keeps it there.
    async fn get(&self, key: &Key) -> Cell {
        self.0.get(&key.text).await.expect("it is not idle")
    }
}

impl Rival for Moka {
    const NAME: &'static str = "moka";
    type Name = Key;
    type Handle = Key;

    async fn start() -> Self {
        Self(Cache::builder().time_to_idle(IDLE).build())
    }

    async fn create(&self, key: &Key) -> (Key, Key) {
        self.0.insert(key.text.clone(), Cell::default()).await;
        (key.clone(), key.clone())
    }

    async fn look_up(&self, name: &Key) -> bool {
        std::hint::black_box(self.0.get(&name.text).await).is_some()
    }

    async fn delete(&self, name: &Key, _: &Key) {
        self.0.invalidate(&name.text).await;
    }

    fn count(&self) -> usize {
        // `entry_count` is as of the last housekeeping.
        self.0.iter().count()
    }

    async fn stop(self) {
        self.0.invalidate_all();
        self.0.run_pending_tasks().await;
    }
}

impl Turns for Moka {
    type Stuck = Stuck;

    async fn turn(&self, handle: &Key) {
        turn(&*self.get(handle).await, None).await;
    }

    async fn say(&self, handle: &Key, said: &Said) {
        turn(&*self.get(handle).await, Some(encoded(said))).await;
    }

    async fn committed(&self, handle: &Key) -> u64 {
        self.get(handle).await.lock().await.committed()
    }

    async fn open(&self, key: &Key) -> Key {
        self.0.get_with_by_ref(&key.text, async { Cell::default() }).await;
        key.clone()
    }

    fn same(one: &Key, other: &Key) -> bool {
        one.text == other.text
    }

    async fn stick(&self, handle: &Key) -> Stuck {
        stick(&self.get(handle).await).await
    }
}

//! Ids that tests know beforehand.

use crate::id::IdSource;
use crate::rt::{AtomicU64, AtomicUsize, Ordering};

/// Draws 1, 2, 3 and so on.
#[derive(Debug, Default)]
pub struct CountingIds {
    /// The last one drawn.
    last: AtomicU64,
}

impl CountingIds {
    /// A source whose first id is 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many ids have been drawn.
    pub fn drawn(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }
}

impl IdSource for CountingIds {
    fn draw(&self) -> u128 {
        u128::from(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Draws the ids of a list in order, and then from its start again: a source that repeats itself.
#[derive(Debug)]
pub struct FixedIds {
    /// What is drawn; never empty.
    ids: Vec<u128>,
    /// How many have been drawn.
    drawn: AtomicUsize,
}

impl FixedIds {
    /// A source of `ids`.
    ///
    /// # Panics
    ///
    /// If `ids` is empty.
    pub fn new(ids: impl IntoIterator<Item = u128>) -> Self {
        let ids: Vec<_> = ids.into_iter().collect();
        assert!(!ids.is_empty(), "a source of fixed ids needs at least one");
        Self { ids, drawn: AtomicUsize::new(0) }
    }
}

impl IdSource for FixedIds {
    fn draw(&self) -> u128 {
        let index = self.drawn.fetch_add(1, Ordering::Relaxed) % self.ids.len();
        *self.ids.get(index).expect("a remainder is below its divisor")
    }
}

//! Runs the conformance suite against every store that comes with the library.
//!
//! Each store is tried on both kinds of runtime, and once more so that none of its answers is there
//! at once.

use std::sync::Arc;

use session_supervisor::store::MemoryStore;
use session_supervisor::testing::{FaultyStore, conformance, differential};

/// A memory store whose answers have to be awaited.
fn pending() -> FaultyStore {
    FaultyStore::pending(Arc::new(MemoryStore::new()))
}

#[tokio::test]
async fn the_memory_store_conforms() {
    conformance(|| async { MemoryStore::new() }).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_conforms_on_several_threads() {
    conformance(|| async { MemoryStore::new() }).await.assert();
}

#[tokio::test]
async fn a_store_that_has_to_be_awaited_conforms() {
    conformance(|| async { pending() }).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_has_to_be_awaited_conforms_on_several_threads() {
    conformance(|| async { pending() }).await.assert();
}

#[tokio::test]
async fn the_memory_store_has_its_own_answers_from_many_seeds() {
    for seed in 1..=20 {
        differential(|| async { pending() }, seed, 500).await.expect("they are the same store");
    }
}

/// The place of the SQLite store: `conformance` on both runtimes, over files in a temporary folder.
#[cfg(feature = "sqlite")]
mod sqlite {}

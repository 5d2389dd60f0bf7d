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

/// Every store is a file of its own, in a folder that goes with the test.
#[cfg(feature = "sqlite")]
mod sqlite {
    use std::sync::atomic::{AtomicU64, Ordering};

    use session_supervisor::store::{SqliteOptions, SqliteStore};
    use session_supervisor::testing::{conformance, differential};
    use tempfile::TempDir;

    /// A folder for the stores of one test.
    struct Folder {
        dir: TempDir,
        files: AtomicU64,
    }

    impl Folder {
        fn new() -> Self {
            let dir = TempDir::new().expect("a folder for temporary files");
            Self { dir, files: AtomicU64::new(0) }
        }

        async fn store(&self) -> SqliteStore {
            let name = format!("{}.db", self.files.fetch_add(1, Ordering::Relaxed));
            let opened = SqliteStore::open(self.dir.path().join(name), SqliteOptions::default());
            opened.await.expect("a fresh file")
        }
    }

    #[tokio::test]
    async fn the_sqlite_store_conforms() {
        let folder = Folder::new();
        conformance(|| folder.store()).await.assert();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_sqlite_store_conforms_on_several_threads() {
        let folder = Folder::new();
        conformance(|| folder.store()).await.assert();
    }

    #[tokio::test]
    async fn the_sqlite_store_answers_as_the_memory_store_from_many_seeds() {
        let folder = Folder::new();
        for seed in 100..=105 {
            differential(|| folder.store(), seed, 400).await.expect("they answer alike");
        }
    }
}

//! Where images lie, and what runs them.

use std::path::{Path, PathBuf};

/// A folder in memory, if there is such a place; gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Room(PathBuf);

impl Room {
    /// A fresh one.
    pub(crate) fn new(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let base = std::env::var("PROOF_ROOM").map_or(base, PathBuf::from);
        let folder = base.join(format!("disk-proof-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("there is room");
        // As the store sees it.
        Self(folder.canonicalize().expect("it was made"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A runtime of one thread; what the store does on the disk is on others.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it can be built")
}

/// On how many threads images are opened.
pub(crate) fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    usize::try_from(crate::report::setting("PROOF_WORKERS", cores as u64)).expect("a few")
}

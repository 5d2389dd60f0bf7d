//! Where the files of a fuzzer are, and what runs its futures.

use std::cell::RefCell;
use std::future::Future;
use std::path::PathBuf;

use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_time().build().expect("a runtime"));
}

/// Runs a future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with_borrow(|runtime| runtime.block_on(future))
}

/// The path of a file that is not there, nor anything beside it; in memory, if the machine has such a place.
pub fn fresh() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = base.join(format!("session-supervisor-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("s");
    for ending in ["", "-wal", "-shm", ".lock", ".creating"] {
        // Most are not there.
        drop(std::fs::remove_file(folder.join(format!("s{ending}"))));
    }
    path
}

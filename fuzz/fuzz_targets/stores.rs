//! The same sequence of operations for a file and for the memory store: the same answers, and the file finds
//! nothing wrong with itself.
#![no_main]

mod scratch;

use libfuzzer_sys::fuzz_target;
use session_supervisor::store::Synchronous;
use session_supervisor::testing::differential_by;
use session_supervisor::{SqliteOptions, SqliteStore};

fuzz_target!(|bytes: &[u8]| {
    let path = scratch::fresh();
    let verdict = scratch::block_on(async {
        let mut options = SqliteOptions::default();
        options.synchronous = Synchronous::Normal;
        let store = SqliteStore::open(&path, options).await.expect("a new file");
        let verdict = differential_by(store.clone(), bytes).await;
        session_supervisor::Store::close(&store).await.expect("it can be closed");
        verdict
    });
    if let Err(differs) = verdict {
        panic!("{differs}");
    }
});

//! Files with sessions, and what reads them raw.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OpenFlags};
use session_supervisor::store::{Binding, NewRecord};
use session_supervisor::{
    Config, SessionId, SqliteOptions, SqliteStore, Store, Supervisor, Timestamp,
};

use crate::world::{self, Said};

/// The id of stored session `number`.
pub(crate) fn id(number: usize) -> SessionId {
    SessionId::from_random(0x5EED << 64 | number as u128)
}

/// Now, on the wall clock.
fn now() -> Timestamp {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
    Timestamp::from_millis(u64::try_from(since.as_millis()).expect("few millennia"))
}

/// A file with `count` sessions, each with its key and `entries` entries of 400 bytes.
pub(crate) async fn fill(path: &Path, count: usize, entries: usize) {
    let store = SqliteStore::open(path, SqliteOptions::default()).await.expect("it opens");
    let said = Said::long();
    let said = [bytes::Bytes::from(said.input_bytes()), said.reply_bytes().into()];
    let entries: Vec<_> = said.into_iter().cycle().take(entries).collect();
    let numbers: Vec<_> = (0..count).collect();
    for some in numbers.chunks(4_096) {
        let create = |&number: &usize| {
            let binding = Some(Binding { key: world::key(number), expected: None });
            let new = NewRecord::new(id(number), now());
            store.create(NewRecord { binding, entries: entries.clone(), ..new })
        };
        let handed_over: Vec<_> = some.iter().map(create).collect();
        for created in handed_over {
            drop(created.await.expect("the store does not fail"));
        }
    }
    store.close().await.expect("it closes");
}

/// A supervisor on a file, which makes no passes of its own.
pub(crate) async fn quiet(path: &Path) -> Supervisor {
    let mut config = Config::default();
    config.prune.every = Duration::ZERO;
    let store = SqliteStore::open(path, SqliteOptions::default()).await.expect("it opens");
    let builder = Supervisor::builder().shared_store(Arc::new(store)).config(config);
    builder.start().await.expect("it starts")
}

/// A bare connection to the same file that only reads, with as much cache as one of the store's.
pub(crate) fn raw(path: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let raw = Connection::open_with_flags(path, flags).expect("it opens");
    let cache = SqliteOptions::DEFAULT_CACHE_BYTES >> 10;
    raw.execute_batch(&format!("PRAGMA mmap_size = 0; PRAGMA cache_size = -{cache}"))
        .expect("it is set up");
    raw
}

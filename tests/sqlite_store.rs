//! What the SQLite store promises beyond what every store does.
#![cfg(feature = "sqlite")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

#[path = "sqlite_store/damage.rs"]
mod damage;
#[path = "sqlite_store/equal.rs"]
mod equal;
#[path = "sqlite_store/file.rs"]
mod file;
#[path = "sqlite_store/group.rs"]
mod group;
#[path = "sqlite_store/kill.rs"]
mod kill;
#[path = "sqlite_store/room.rs"]
mod room;

use std::path::Path;

use bytes::Bytes;
use session_supervisor::store::{
    Binding, Created, Found, NewRecord, Record, SqliteOptions, SqliteStore, Store, TurnMarker,
    Write,
};
use session_supervisor::{
    Generation, GoneReason, Incarnation, InstanceId, SessionId, SessionKey, Timestamp, Tombstone,
};

/// A time, in milliseconds.
const fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn id(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

fn key(text: &str) -> SessionKey {
    text.parse().unwrap()
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).await.unwrap()
}

fn new_record(name: &str) -> NewRecord {
    NewRecord {
        id: id(name),
        allow_reuse: false,
        binding: None,
        label: None,
        entries: Vec::new(),
        data: Vec::new(),
        at: at(1),
    }
}

fn bound(name: &str, to: &str) -> NewRecord {
    let binding = Some(Binding { key: key(to), expected: None });
    NewRecord { binding, ..new_record(name) }
}

async fn created(store: &SqliteStore, new: NewRecord) -> Record {
    let created = store.create(new).await.unwrap();
    let Created::Created(record) = created else { panic!("not created: {created:?}") };
    record
}

async fn live(store: &SqliteStore, name: &str) -> Record {
    let found = store.look_up(&id(name), at(1)).await.unwrap();
    let Found::Live(record) = found else { panic!("not live: {found:?}") };
    record
}

fn begin(generation: u64, input: Option<(u64, Bytes)>) -> Write {
    let marker = TurnMarker {
        generation: Generation::new(generation),
        instance: InstanceId::from_random(7),
        began_at: at(2),
    };
    Write::Begin { marker, input, extra: None, at: at(2) }
}

fn commit(generation: u64, first_seq: u64, entries: Vec<Bytes>) -> Write {
    let generation = Generation::new(generation);
    Write::Commit { generation, first_seq, entries, data: Vec::new(), version: 1, at: at(3) }
}

fn append(first_seq: u64, payload: impl Into<Bytes>) -> Write {
    Write::Append { first_seq, entries: vec![payload.into()], version: first_seq, at: at(4) }
}

fn delete(incarnation: Incarnation) -> Write {
    let reason = GoneReason::Deleted;
    Write::Delete { tombstone: Tombstone { incarnation, reason, at: at(5), until: at(100) } }
}

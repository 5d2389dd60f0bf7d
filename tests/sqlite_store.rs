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
#[path = "sqlite_store/extras.rs"]
mod extras;
#[path = "sqlite_store/file.rs"]
mod file;
#[path = "sqlite_store/group.rs"]
mod group;
#[path = "sqlite_store/kill.rs"]
mod kill;
#[path = "sqlite_store/owner.rs"]
mod owner;
#[path = "sqlite_store/room.rs"]
mod room;

use std::path::Path;

use bytes::Bytes;
use session_supervisor::store::{
    BeginExtra, Binding, Created, Found, InputFate, NewRecord, PartialFate, PartialPiece, Record,
    Request, ResumeAction, ResumeChange, RevisionReason, SqliteOptions, SqliteStore, Store,
    TakeBack, TurnMarker, Write, resume_digest,
};
use session_supervisor::{
    Generation, GoneReason, Incarnation, InstanceId, SessionId, SessionKey, Timestamp, Tombstone,
    TurnOutcome,
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
    NewRecord::new(id(name), at(1))
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

fn marker(generation: u64) -> TurnMarker {
    TurnMarker {
        generation: Generation::new(generation),
        instance: InstanceId::from_random(7),
        began_at: at(2),
    }
}

fn begin(generation: u64, input: Option<(u64, Bytes)>) -> Write {
    let marker = marker(generation);
    Write::Begin { marker, input, extra: None, at: at(2) }
}

/// A begin of a turn without an input.
fn begin_with(generation: u64, extra: BeginExtra) -> Write {
    let marker = marker(generation);
    Write::Begin { marker, input: None, extra: Some(Box::new(extra)), at: at(2) }
}

fn asked(key: &str) -> BeginExtra {
    let request = Some(Request { key: key.to_owned(), digest: 77 });
    BeginExtra { request, ..BeginExtra::default() }
}

/// A piece of one chunk.
fn piece(first: u64, text: &'static str) -> PartialPiece {
    PartialPiece { first, chunks: 1, text: text.into() }
}

fn say(generation: u64, piece: PartialPiece) -> Write {
    Write::Partial { generation: Generation::new(generation), piece }
}

fn settle(generation: u64, next_seq: u64, partial: PartialFate) -> Write {
    let (generation, outcome) = (Generation::new(generation), TurnOutcome::Failed);
    let (input, version) = (InputFate::Keep, 1);
    Write::Settle { generation, outcome, input, partial, next_seq, version, at: at(3) }
}

/// Does something with the handle of an outside service.
fn resume(provider: &str, action: ResumeAction) -> Write {
    let change = Box::new(ResumeChange { provider: provider.to_owned(), action });
    Write::Resume { change, at: at(4) }
}

fn keep(value: &str) -> ResumeAction {
    let refuse_for = std::time::Duration::from_secs(60);
    ResumeAction::Keep { value: value.to_owned(), refuse_for }
}

fn attempt(value: &str) -> ResumeAction {
    ResumeAction::Attempt { digest: resume_digest(value) }
}

fn refuse(value: &str) -> ResumeAction {
    ResumeAction::Refuse { digest: resume_digest(value) }
}

fn take_back(from: u64, version: u64) -> Write {
    let reason = RevisionReason::Rollback;
    Write::TakeBack { from: TakeBack { from, version, reason }, at: at(4) }
}

fn commit(generation: u64, first_seq: u64, entries: Vec<Bytes>) -> Write {
    let generation = Generation::new(generation);
    let (data, extra) = (Vec::new(), None);
    Write::Commit { generation, first_seq, entries, data, extra, version: 1, at: at(3) }
}

fn append(first_seq: u64, payload: impl Into<Bytes>) -> Write {
    Write::Append { first_seq, entries: vec![payload.into()], version: first_seq, at: at(4) }
}

fn delete(incarnation: Incarnation) -> Write {
    let reason = GoneReason::Deleted;
    Write::Delete { tombstone: Tombstone { incarnation, reason, at: at(5), until: at(100) } }
}

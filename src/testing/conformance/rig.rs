//! What the checks are made of: a store with shorter calls, and shorter ways to say what it is told.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::snapshot::Snapshot;
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, InstanceId, SessionId};
use crate::key::SessionKey;
use crate::outcome::TurnOutcome;
use crate::rt::{Arc, Mutex, Spawner};
use crate::store::{
    Binding, Created, DataChange, FenceReason, Found, HealReport, InputFate, LifeWriter, NewRecord,
    PartialFate, Record, RecordFilter, RecordPage, Store, StoreError, StoreFuture, StoredEntry,
    TurnMarker, TurnRecord, Write,
};
use crate::tombstone::{GoneReason, Tombstone};

/// The time zero of all checks: 2023-11-14.
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// How much of a value is shown where two differ.
const MAX_SHOWN: usize = 700;

/// Nothing, or what differs.
pub(super) type Verdict = Result<(), String>;

/// What a check returns.
pub(super) type CheckFuture = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// One check of the suite.
pub(super) struct Check {
    /// A sentence with underscores.
    pub(super) name: &'static str,
    /// Runs it on a new store.
    pub(super) run: fn(Rig) -> CheckFuture,
}

/// The table of a file's checks, each named as its function is.
macro_rules! checks {
    ($($check:ident),* $(,)?) => {
        &[$($crate::testing::conformance::rig::Check {
            name: stringify!($check),
            run: |rig| Box::pin($check(rig)),
        }),*]
    };
}
pub(super) use checks;

/// The store under test.
#[derive(Clone, Debug)]
pub(super) struct Rig {
    /// It.
    store: Arc<dyn Store>,
    /// The shorter ways to lives that it gave out; kept, so that some outlive their life.
    writers: Arc<Mutex<BTreeMap<Incarnation, Writer>>>,
}

/// A store's shorter way to a life, if it has one, and whether its turn has come.
type Writer = (Option<Arc<dyn LifeWriter>>, bool);

impl Rig {
    /// A rig around a store.
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, writers: Arc::default() }
    }

    /// The store itself.
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Creates, whatever the answer.
    pub(super) async fn try_create(&self, new: NewRecord) -> Result<Created, String> {
        let id = new.id.clone();
        told(&format!("create {id}"), self.store.create(new).await)
    }

    /// Creates a session that can be created.
    pub(super) async fn create(&self, new: NewRecord) -> Result<Record, String> {
        match self.try_create(new).await? {
            Created::Created(record) => Ok(record),
            refused @ (Created::IdTaken | Created::IdGone(_) | Created::KeyMoved { .. }) => {
                Err(format!("create: found {}, expected a record", shown(&refused)))
            }
        }
    }

    /// Creates a session without anything in it.
    pub(super) async fn empty(&self, name: &str) -> Result<Record, String> {
        self.create(new(name)).await
    }

    /// Hands over a write: to the store, and every second one over its shorter way to the life, which
    /// was asked for before the first.
    pub(super) fn write(&self, life: &Record, write: Write) -> StoreFuture<Result<(), StoreError>> {
        let mut writers = self.writers.lock();
        let attach = || (self.store.attach(&life.id, life.incarnation), true);
        let (writer, shorter) = writers.entry(life.incarnation).or_insert_with(attach);
        *shorter = !*shorter;
        match writer.clone().filter(|_| *shorter) {
            Some(writer) => StoreFuture::ready(writer.write(write)),
            None => self.store.write(&life.id, life.incarnation, write),
        }
    }

    /// Makes writes that the store must accept, in order.
    pub(super) async fn done<const N: usize>(&self, life: &Record, writes: [Write; N]) -> Verdict {
        for write in writes {
            let what = shown(&write);
            told(&what, self.write(life, write).await)?;
        }
        Ok(())
    }

    /// Makes a write that the store must refuse for `reason`, and that changes nothing.
    pub(super) async fn fenced(&self, life: &Record, write: Write, reason: FenceReason) -> Verdict {
        self.fenced_for(life, write, &[reason]).await
    }

    /// Makes a write that the store must refuse for one of `reasons`, and that changes nothing.
    pub(super) async fn fenced_for(
        &self,
        life: &Record,
        write: Write,
        reasons: &[FenceReason],
    ) -> Verdict {
        let what = shown(&write);
        let before = self.snapshot().await?;
        let answer = self.write(life, write).await;
        refused_for(&what, &answer, reasons)?;
        before.is_still(&self.snapshot().await?).map_err(|differs| format!("{what}: {differs}"))
    }

    /// The record of a live session.
    pub(super) async fn live(&self, life: &Record) -> Result<Record, String> {
        match self.found(&life.id, at(0)).await? {
            Found::Live(record) => Ok(record),
            other @ (Found::Gone(_) | Found::Unknown) => {
                Err(format!("look up {}: found {}, expected it live", life.id, shown(&other)))
            }
        }
    }

    /// What there is under an id.
    pub(super) async fn found(&self, id: &SessionId, now: Timestamp) -> Result<Found, String> {
        told(&format!("look up {id}"), self.store.look_up(id, now).await)
    }

    /// What a key is bound to.
    pub(super) async fn bound_to(&self, key: &SessionKey) -> Result<Option<SessionId>, String> {
        told(&format!("look up the key {key}"), self.store.bound_to(key).await)
    }

    /// All entries of a life.
    pub(super) async fn entries(&self, life: &Record) -> Result<Vec<StoredEntry>, String> {
        let answer = self.store.entries(&life.id, life.incarnation, 0, 10_000).await;
        told(&format!("entries of {}", life.id), answer)
    }

    /// A datum of a life.
    pub(super) async fn datum(&self, life: &Record, name: &str) -> Result<Option<Bytes>, String> {
        let answer = self.store.datum(&life.id, life.incarnation, name).await;
        told(&format!("datum {name:?} of {}", life.id), answer)
    }

    /// How a turn of a life ended.
    pub(super) async fn turn(
        &self,
        life: &Record,
        generation: u64,
    ) -> Result<Option<TurnRecord>, String> {
        let turn = Generation::new(generation);
        let answer = self.store.turn(&life.id, life.incarnation, turn).await;
        told(&format!("turn {generation} of {}", life.id), answer)
    }

    /// A page of a listing.
    pub(super) async fn list(
        &self,
        filter: &RecordFilter,
        after: Option<Incarnation>,
        limit: usize,
    ) -> Result<RecordPage, String> {
        told("list", self.store.list(filter.clone(), after, limit).await)
    }

    /// Everything that can be read, at time zero: no tombstone has expired.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, String> {
        Snapshot::take(self, at(0)).await
    }

    /// Whether the store finds nothing wrong with itself. A closed one cannot look.
    pub(super) async fn healthy(&self) -> Verdict {
        match self.store.check().await {
            Ok(problems) => same("what the store finds wrong with itself", &problems, &vec![])?,
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => {
                return Err(format!("could not look at itself after the check: {error}"));
            }
        }
        let before = self.snapshot().await?;
        let healed = told("heal", self.store.heal().await)?;
        same("what was lost, where nothing was", &healed, &HealReport::default())?;
        before.is_still(&self.snapshot().await?).map_err(|differs| format!("heal: {differs}"))
    }
}

/// Makes all calls at once, on as many threads as the runtime has, and answers in their order.
pub(super) async fn at_once<T, C>(calls: Vec<C>) -> Vec<T>
where
    T: Send + Unpin + 'static,
    C: FnOnce() -> StoreFuture<T> + Send + 'static,
{
    let mut answers = Vec::with_capacity(calls.len());
    if let Some(spawner) = Spawner::current() {
        let spawn = |call: C| spawner.spawn(async move { call().await });
        let tasks: Vec<_> = calls.into_iter().map(spawn).collect();
        for task in tasks {
            answers.push(task.await.expect("a store does not panic, and nobody aborts the task"));
        }
    } else {
        let handed_over: Vec<_> = calls.into_iter().map(|call| call()).collect();
        for answer in handed_over {
            answers.push(answer.await);
        }
    }
    answers
}

/// The answer of a call that must not fail.
pub(super) fn told<T>(what: &str, answer: Result<T, StoreError>) -> Result<T, String> {
    answer.map_err(|error| format!("{what}: failed: {error}"))
}

/// Whether a call was refused for one of `reasons`.
pub(super) fn refused_for<T: Debug>(
    what: &str,
    answer: &Result<T, StoreError>,
    reasons: &[FenceReason],
) -> Verdict {
    match answer {
        Err(StoreError::Fenced { reason }) if reasons.contains(reason) => Ok(()),
        other => Err(format!("{what}: found {}, expected a fence {reasons:?}", shown(other))),
    }
}

/// Whether what was found is what was expected.
pub(super) fn same<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Verdict {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: found {}, expected {}", shown(found), shown(expected)))
}

/// A value in words, cut where it becomes too long to read.
pub(super) fn shown(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(MAX_SHOWN) {
        Some((cut, _)) => format!("{}…", text.split_at(cut).0),
        None => text,
    }
}

/// So many seconds after time zero.
pub(super) fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

/// The id of this name.
pub(super) fn id(name: &str) -> SessionId {
    SessionId::new(name).expect("the ids of the checks are valid")
}

/// The key of a chat of this name, on the platform `test`.
pub(super) fn key(chat: &str) -> SessionKey {
    key_on("test", chat)
}

/// The key of a chat of this name.
pub(super) fn key_on(platform: &str, chat: &str) -> SessionKey {
    SessionKey::builder(platform).chat(chat).build().expect("the keys of the checks are valid")
}

/// Bytes of a text.
pub(super) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A session without anything in it, made at time zero.
pub(super) fn new(name: &str) -> NewRecord {
    NewRecord::new(id(name), at(0))
}

/// The same with a key of the chat `chat`, which must be bound to `expected`.
pub(super) fn new_bound(name: &str, chat: &str, expected: Option<&str>) -> NewRecord {
    let binding = Binding { key: key(chat), expected: expected.map(id) };
    NewRecord { binding: Some(binding), ..new(name) }
}

/// The same over a tombstone.
pub(super) fn new_again(name: &str) -> NewRecord {
    NewRecord { allow_reuse: true, ..new(name) }
}

/// The marker of a turn, begun `seconds` after time zero.
pub(super) fn marker(generation: u64, seconds: u64) -> TurnMarker {
    TurnMarker {
        generation: Generation::new(generation),
        instance: InstanceId::from_random(u128::MAX - u128::from(generation)),
        began_at: at(seconds),
    }
}

/// Begins a turn with an input `in`, as entry `seq`, `generation` seconds after time zero.
pub(super) fn begin(generation: u64, seq: u64) -> Write {
    let (marker, input) = (marker(generation, generation), Some((seq, bytes("in"))));
    Write::Begin { marker, input, extra: None, at: at(generation) }
}

/// Begins a turn without an input, `generation` seconds after time zero.
pub(super) fn begin_bare(generation: u64) -> Write {
    let marker = marker(generation, generation);
    Write::Begin { marker, input: None, extra: None, at: at(generation) }
}

/// Commits a turn with one entry `out`, 100 seconds after time zero.
pub(super) fn commit(generation: u64, first_seq: u64) -> Write {
    Write::Commit {
        generation: Generation::new(generation),
        first_seq,
        entries: vec![bytes("out")],
        data: vec![put_one("one", "committed")],
        extra: None,
        version: 7,
        at: at(100),
    }
}

/// Settles a turn, 100 seconds after time zero. What it has said is dropped, and the version becomes
/// what [`commit`] makes it.
pub(super) fn settle(
    generation: u64,
    next_seq: u64,
    outcome: TurnOutcome,
    input: InputFate,
) -> Write {
    let (generation, partial) = (Generation::new(generation), PartialFate::Drop);
    Write::Settle { generation, outcome, input, partial, next_seq, version: 7, at: at(100) }
}

/// Appends entries, 50 seconds after time zero.
pub(super) fn append(first_seq: u64, entries: &[&str]) -> Write {
    let entries = entries.iter().map(|entry| bytes(entry)).collect();
    Write::Append { first_seq, entries, version: first_seq, at: at(50) }
}

/// Puts a datum.
pub(super) fn put_one(name: &str, value: &str) -> DataChange {
    DataChange { name: name.to_owned(), value: Some(bytes(value)) }
}

/// Changes data, 60 seconds after time zero.
pub(super) fn put(version: u64, changes: Vec<DataChange>) -> Write {
    Write::PutData { changes, version, at: at(60) }
}

/// Deletes a life, 70 seconds after time zero, with a tombstone that stands until `until`.
pub(super) fn delete(life: &Record, until: Timestamp) -> Write {
    Write::Delete { tombstone: tombstone(life, until) }
}

/// What a deleted life leaves.
pub(super) fn tombstone(life: &Record, until: Timestamp) -> Tombstone {
    Tombstone { incarnation: life.incarnation, reason: GoneReason::Deleted, at: at(70), until }
}

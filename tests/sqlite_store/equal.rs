//! The store answers as the reference does: both are told the same random operations.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use session_supervisor::store::{
    BeginExtra, Binding, CommitExtra, Created, DataChange, Forget, Found, InputFate, MemoryStore,
    NewRecord, PartialFate, PartialPiece, Record, RecordFilter, RecordPatch, Request, ResumeAction,
    ResumeChange, RevisionReason, SqliteStore, Store, StoreError, TakeBack, TurnMarker, Write,
    resume_digest,
};
use session_supervisor::{
    EndReason, Generation, GoneReason, Incarnation, InstanceId, SessionId, Standing, SuspendReason,
    Timestamp, Tombstone, TurnOutcome,
};

use crate::{at, id, key, open};

/// A small generator: the same seed, the same run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn time(&mut self) -> Timestamp {
        at(if self.chance(2) { u64::MAX - self.below(3) } else { self.below(100) })
    }

    fn payloads(&mut self, bound: u64) -> Vec<Bytes> {
        (0..self.below(bound)).map(|n| Bytes::from(format!("{n} {}", self.below(1_000)))).collect()
    }

    fn id(&mut self) -> SessionId {
        match self.below(6) {
            5 => SessionId::from_random(5),
            n => id(&format!("s{n}")),
        }
    }
}

/// The two stores, and which life of one is which of the other.
struct Pair {
    sqlite: SqliteStore,
    memory: MemoryStore,
    to_sqlite: HashMap<Incarnation, Incarnation>,
    to_memory: HashMap<Incarnation, Incarnation>,
    /// The newest life of each id, in memory, whether it is over or not.
    lives: HashMap<SessionId, Incarnation>,
}

/// An error as text: the two stores' errors have no other equality.
fn told<T>(answer: Result<T, StoreError>) -> Result<T, String> {
    answer.map_err(|error| format!("{error:?}"))
}

impl Pair {
    fn sqlite_life(&self, memory: Incarnation) -> Incarnation {
        self.to_sqlite.get(&memory).copied().unwrap_or(Incarnation::new(u64::MAX - memory.get()))
    }

    fn as_memory(&self, mut record: Record) -> Record {
        record.incarnation = self.to_memory[&record.incarnation];
        record
    }

    async fn create(&mut self, new: NewRecord) {
        let ours = self.sqlite.create(new.clone()).await.unwrap();
        let theirs = self.memory.create(new.clone()).await.unwrap();
        match (ours, theirs) {
            (Created::Created(ours), Created::Created(theirs)) => {
                self.to_sqlite.insert(theirs.incarnation, ours.incarnation);
                self.to_memory.insert(ours.incarnation, theirs.incarnation);
                self.lives.insert(new.id, theirs.incarnation);
                assert_eq!(self.as_memory(ours), theirs);
            }
            (Created::IdGone(ours), Created::IdGone(theirs)) => {
                assert_eq!(
                    (ours.at, ours.until, ours.reason),
                    (theirs.at, theirs.until, theirs.reason)
                );
            }
            (ours, theirs) => assert_eq!(ours, theirs),
        }
    }

    async fn write(&self, id: &SessionId, life: Incarnation, write: Write) {
        let ours = self.sqlite.write(id, self.sqlite_life(life), write.clone()).await;
        let theirs = self.memory.write(id, life, write.clone()).await;
        assert_eq!(told(ours), told(theirs), "{write:?}");
    }

    async fn compare(&self, random: &mut Random) {
        let now = random.time();
        for n in 0..4 {
            let key = key(&format!("p{}/chat={n}", n % 2));
            let ours = self.sqlite.bound_to(&key).await.unwrap();
            assert_eq!(ours, self.memory.bound_to(&key).await.unwrap());
        }
        for (id, life) in &self.lives {
            let ours = self.sqlite.look_up(id, now).await.unwrap();
            match (ours, self.memory.look_up(id, now).await.unwrap()) {
                (Found::Live(ours), Found::Live(theirs)) => {
                    assert_eq!(self.as_memory(ours), theirs);
                }
                (Found::Gone(ours), Found::Gone(theirs)) => assert_eq!(ours, theirs),
                (ours, theirs) => assert_eq!(ours, theirs),
            }
            let (after, limit) = (random.below(5), usize::try_from(random.below(9)).unwrap());
            let sqlite = self.sqlite_life(*life);
            let ours = told(self.sqlite.entries(id, sqlite, after, limit).await);
            assert_eq!(ours, told(self.memory.entries(id, *life, after, limit).await));
            let ours = told(self.sqlite.datum(id, sqlite, "d1").await);
            assert_eq!(ours, told(self.memory.datum(id, *life, "d1").await));
            let turn = Generation::new(random.below(4));
            let ours = told(self.sqlite.turn(id, sqlite, turn).await);
            assert_eq!(ours, told(self.memory.turn(id, *life, turn).await));
            let ours = told(self.sqlite.partial(id, sqlite, turn).await);
            assert_eq!(ours, told(self.memory.partial(id, *life, turn).await));
            let ours = told(self.sqlite.request(id, sqlite, "r1").await);
            assert_eq!(ours, told(self.memory.request(id, *life, "r1").await));
            let ours = told(self.sqlite.resume(id, sqlite, "h1").await);
            assert_eq!(ours, told(self.memory.resume(id, *life, "h1").await));
            let ours = told(self.sqlite.branches(id, sqlite).await);
            assert_eq!(ours, told(self.memory.branches(id, *life).await));
            let ours = told(self.sqlite.revisions(id, sqlite).await);
            assert_eq!(ours, told(self.memory.revisions(id, *life).await));
        }
        self.compare_lists(random).await;
        let limit = usize::try_from(random.below(3)).unwrap();
        for what in
            [Forget::Revisions, Forget::Requests, Forget::ResumeHandles, Forget::RefusedHandles]
        {
            // Rarely all of it.
            let what = what(at(random.below(40)));
            let ours = self.sqlite.forget(what, limit).await.unwrap();
            assert_eq!(ours, self.memory.forget(what, limit).await.unwrap(), "{what:?}");
        }
    }

    async fn compare_lists(&self, random: &mut Random) {
        let mut filter = RecordFilter::default();
        filter.platform = random.chance(30).then(|| "p1".to_owned());
        filter.active_since = random.chance(30).then(|| random.time());
        filter.replying = random.chance(60).then(|| random.chance(50));
        let limit = usize::try_from(random.below(4)).unwrap();
        let mut after = None;
        loop {
            let ours =
                self.sqlite.list(filter.clone(), after.map(|life| self.sqlite_life(life)), limit);
            let ours = ours.await.unwrap();
            let theirs = self.memory.list(filter.clone(), after, limit).await.unwrap();
            assert!(ours.damaged.is_empty());
            assert_eq!(ours.next.map(|life| self.to_memory[&life]), theirs.next);
            let ours: Vec<_> = ours.records.into_iter().map(|r| self.as_memory(r)).collect();
            assert_eq!(ours, theirs.records);
            after = theirs.next;
            if after.is_none() {
                return;
            }
        }
    }
}

/// A write that is right more often than not.
fn random_write(random: &mut Random, record: &Record) -> Write {
    let next = if random.chance(90) { record.next_seq } else { random.below(5) };
    let open = record.open.first().map_or(Generation::new(9), |marker| marker.generation);
    let (at, version) = (random.time(), random.below(100));
    match random.below(100) {
        0..25 => Write::Begin {
            marker: TurnMarker {
                generation: Generation::new(record.generation.get() + u64::from(random.chance(90))),
                instance: InstanceId::from_random(u128::from(random.below(9)) << 100),
                began_at: random.time(),
            },
            input: random.chance(80).then(|| (next, Bytes::from_static(b"input"))),
            extra: random.chance(30).then(|| Box::new(extra(random, record))),
            at,
        },
        25..45 => Write::Commit {
            generation: open,
            first_seq: next,
            entries: random.payloads(3),
            data: changes(random),
            extra: random.chance(30).then(|| Box::new(commit_extra(random))),
            version,
            at,
        },
        45..65 => Write::Settle {
            generation: open,
            outcome: TurnOutcome::ALL[usize::try_from(1 + random.below(11)).unwrap()],
            input: [InputFate::Keep, InputFate::Drop, InputFate::Aside]
                [usize::try_from(random.below(3)).unwrap()],
            partial: fate(random),
            next_seq: next + random.below(2),
            version,
            at,
        },
        65..68 => Write::Partial { generation: open, piece: piece(random) },
        68..70 => Write::Steer { generation: open, seq: next, input: "more".into(), at },
        70..73 => Write::TakeBack { from: take_back(random, record), at },
        73..78 => Write::Append { first_seq: next, entries: random.payloads(4), version, at },
        78..85 => Write::PutData { changes: changes(random), version, at },
        85..88 => Write::Patch { patch: patch(random) },
        88..90 => Write::Standing {
            standing: STANDINGS[usize::try_from(random.below(4)).unwrap()],
            unused_since: random.chance(30).then(|| random.time()),
            used_at: random.chance(30).then_some(at),
        },
        90..92 => Write::Resume { change: Box::new(resume(random)), at },
        92..93 => Write::Label { label: random.chance(50).then(|| "line".to_owned()) },
        _ => Write::Delete {
            tombstone: Tombstone {
                incarnation: record.incarnation,
                reason: GoneReason::Deleted,
                at,
                until: random.time(),
            },
        },
    }
}

const STANDINGS: [Standing; 4] = [
    Standing::Active,
    Standing::Active,
    Standing::Suspended { reason: SuspendReason::Requested, at: Timestamp::from_millis(5) },
    Standing::Archived { reason: EndReason::Requested, at: Timestamp::from_millis(6) },
];

fn patch(random: &mut Random) -> RecordPatch {
    let mut patch = RecordPatch::default();
    patch.pinned = random.chance(50).then(|| random.chance(50));
    patch.crashes = random.chance(50).then(|| u32::try_from(random.below(3)).unwrap());
    patch.touched_at = random.chance(50).then(|| random.time());
    patch
}

fn commit_extra(random: &mut Random) -> CommitExtra {
    CommitExtra { resume: (0..random.below(3)).map(|_| resume(random)).collect() }
}

/// Something to be done with a handle, of which there are few.
fn resume(random: &mut Random) -> ResumeChange {
    let value = format!("v{}", random.below(3));
    let digest = resume_digest(&value);
    let action = match random.below(8) {
        0..3 => ResumeAction::Keep { value, refuse_for: Duration::from_secs(random.below(60)) },
        3 => ResumeAction::Worked { digest },
        4 => ResumeAction::Attempt { digest },
        5 => ResumeAction::Absolve { digest },
        6 => ResumeAction::Drop { digest, unused_since: random.time() },
        _ => ResumeAction::Refuse { digest },
    };
    ResumeChange { provider: format!("h{}", random.below(2)), action }
}

fn take_back(random: &mut Random, record: &Record) -> TakeBack {
    let from = record.next_seq.saturating_sub(random.below(5));
    let version = record.version + random.below(4);
    TakeBack { from, version, reason: RevisionReason::Rollback }
}

fn extra(random: &mut Random, record: &Record) -> BeginExtra {
    let request = Request { key: format!("r{}", random.below(2)), digest: random.below(9).into() };
    BeginExtra {
        take_back: random.chance(40).then(|| take_back(random, record)),
        request: random.chance(60).then_some(request),
        parent: random.chance(50).then(|| random.below(9)),
    }
}

/// A piece that is the first of its turn more often than not.
fn piece(random: &mut Random) -> PartialPiece {
    let (first, chunks) = (1 + random.below(3) / 2, random.below(8).min(2));
    PartialPiece { first, chunks, text: Bytes::from(format!("{} ", random.below(9))) }
}

fn fate(random: &mut Random) -> PartialFate {
    match random.below(4) {
        0 => PartialFate::Drop,
        1 => PartialFate::Keep { last: None },
        2 => PartialFate::Keep { last: Some(piece(random)) },
        _ => PartialFate::Entry { payload: "half".into() },
    }
}

fn changes(random: &mut Random) -> Vec<DataChange> {
    (0..random.below(3))
        .map(|_| DataChange {
            name: format!("d{}", random.below(2)),
            value: random.chance(70).then(|| Bytes::from(format!("{}", random.below(9)))),
        })
        .collect()
}

#[tokio::test]
async fn it_answers_as_the_memory_store_does() {
    for seed in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        let mut pair = Pair {
            sqlite: open(&folder.path().join("s.db")).await,
            memory: MemoryStore::new(),
            to_sqlite: HashMap::new(),
            to_memory: HashMap::new(),
            lives: HashMap::new(),
        };
        for step in 0..250 {
            let id = random.id();
            let found = pair.memory.look_up(&id, at(0)).await.unwrap();
            match found {
                Found::Live(record) if random.chance(90) => {
                    let write = random_write(&mut random, &record);
                    let stale = random.chance(5);
                    let life = record.incarnation.get() - u64::from(stale);
                    pair.write(&id, Incarnation::new(life), write).await;
                }
                Found::Live(_) | Found::Gone(_) | Found::Unknown => {
                    let key = random.below(4);
                    let key = key_of(key);
                    let bound_to = pair.memory.bound_to(&key).await.unwrap();
                    let expected = if random.chance(80) { bound_to } else { Some(random.id()) };
                    let new = NewRecord {
                        allow_reuse: random.chance(30),
                        binding: random.chance(70).then_some(Binding { key, expected }),
                        label: random.chance(50).then(|| "line".to_owned()),
                        entries: random.payloads(3),
                        data: vec![("d1".to_owned(), "0".into()), ("d1".to_owned(), "1".into())],
                        ..NewRecord::new(id, random.time())
                    };
                    pair.create(new).await;
                }
            }
            if step % 5 == 0 {
                pair.compare(&mut random).await;
            }
        }
        assert_eq!(pair.sqlite.check().await.unwrap(), Vec::<String>::new(), "seed {seed}");
    }
}

fn key_of(n: u64) -> session_supervisor::SessionKey {
    key(&format!("p{}/chat={n}", n % 2))
}

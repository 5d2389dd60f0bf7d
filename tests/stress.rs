//! Eight tasks at once, at random, on a few keys; then everything is deleted and nothing is left.
//!
//! The seed of each run is printed, and can be given again as `STRESS_SEED`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

#[path = "support/stage.rs"]
mod stage;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_supervisor::testing::StoreCall;
use session_supervisor::{
    BeginError, BusyPolicy, CommitOutcome, DeleteOutcome, FailedInput, Lookup, Parallel,
    RecordFilter, Session, SessionError, SessionId, SessionKey, Supervisor, Turn,
};
use stage::{Kind, Stage, assert_clean, key, poll_once, reply, runtime, until, user};

const TASKS: u64 = 8;

/// Turns of these keys are never fenced while their holder works, so they must never overlap.
const STRICT: usize = 3;
/// In all.
const KEYS: usize = 5;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What the tasks know together.
struct World {
    supervisor: Supervisor,
    keys: Vec<SessionKey>,
    /// Every session that was ever opened.
    seen: Mutex<HashSet<SessionId>>,
    /// Those of which somebody was told `Deleted`.
    deleted: Mutex<HashSet<SessionId>>,
    /// How many exclusive turns of a session are at work, by the tasks' own account.
    at_work: Mutex<HashMap<SessionId, Arc<AtomicUsize>>>,
    committed: AtomicU64,
    superseded: AtomicU64,
    refused: AtomicU64,
}

/// A turn at work, by its task's own account.
struct AtWork(Option<Arc<AtomicUsize>>);

impl Drop for AtWork {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            assert_eq!(count.fetch_sub(1, Ordering::SeqCst), 1, "two turns at work");
        }
    }
}

impl World {
    /// Opens a key; answers which one it was.
    async fn open(&self, random: &mut Random) -> (Session, bool) {
        let place = usize::try_from(random.below(KEYS as u64)).unwrap();
        let session = self.supervisor.open(&self.keys[place]).await.unwrap();
        self.seen.lock().unwrap().insert(session.id().clone());
        (session, place < STRICT)
    }

    /// Notes that a turn is at work, which no other of its session may be.
    fn at_work(&self, session: &Session, strict: bool) -> AtWork {
        if !strict {
            return AtWork(None);
        }
        let count = self.at_work.lock().unwrap().entry(session.id().clone()).or_default().clone();
        assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "two turns at work");
        AtWork(Some(count))
    }

    /// Begins a turn, unless it is refused for a reason that may be.
    async fn begin(&self, session: &Session, policy: BusyPolicy) -> Option<Turn> {
        match session.begin(&user("in"), policy).await {
            Ok(turn) => Some(turn),
            Err(
                BeginError::Busy { .. }
                | BeginError::QueueFull { .. }
                | BeginError::Gone { .. }
                | BeginError::Closing { .. }
                | BeginError::Cancelled { .. }
                | BeginError::TimedOut { .. },
            ) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                None
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Commits, and looks whether another one did while this turn held the slot.
    async fn commit(&self, session: &Session, turn: Turn, exclusive: bool, version: u64) {
        match turn.commit(&reply("out")).await.unwrap() {
            CommitOutcome::Committed { version: now, .. } => {
                self.committed.fetch_add(1, Ordering::Relaxed);
                assert!(!exclusive || now == version + 1, "{session:?}: {version}, then {now}");
            }
            CommitOutcome::Superseded { .. } => {
                assert!(!exclusive);
                self.superseded.fetch_add(1, Ordering::Relaxed);
            }
            CommitOutcome::Stale { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    async fn delete(&self, session: &Session, by_handle: bool) {
        let deleted = if by_handle {
            session.delete().await.unwrap()
        } else {
            self.supervisor.delete(session.id()).await.unwrap()
        };
        if let DeleteOutcome::Deleted(_) = deleted {
            let first = self.deleted.lock().unwrap().insert(session.id().clone());
            assert!(first, "{session:?} was deleted twice");
        } else {
            assert!(matches!(deleted, DeleteOutcome::AlreadyGone(_)), "{deleted:?}");
        }
    }

    /// One thing, at random.
    async fn round(&self, random: &mut Random) {
        let (session, strict) = self.open(random).await;
        match random.below(100) {
            0..45 => {
                let policy = match random.below(3) {
                    0 => BusyPolicy::Queue { max: 6, wait: None },
                    1 => BusyPolicy::Queue { max: 6, wait: Some(Duration::from_secs(50)) },
                    _ => BusyPolicy::Reject,
                };
                let Some(turn) = self.begin(&session, policy).await else { return };
                let version = session.status().version;
                let at_work = self.at_work(&session, strict);
                for _ in 0..random.below(3) {
                    if turn.emit("chunk").is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                drop(at_work);
                match random.below(10) {
                    0 => drop(turn),
                    1 => drop(turn.fail(FailedInput::Drop).await.unwrap()),
                    2 => drop(turn.fail(FailedInput::Keep).await.unwrap()),
                    _ => self.commit(&session, turn, strict, version).await,
                }
            }
            45..55 => {
                // Asked for and given up.
                let wants = session.clone();
                let policy = BusyPolicy::queue();
                let mut begin = Box::pin(async move { wants.begin(&user("in"), policy).await });
                let granted = poll_once(&mut begin);
                tokio::task::yield_now().await;
                drop((granted, begin));
            }
            55..60 => {
                let work = |turn: Turn| async move {
                    tokio::task::yield_now().await;
                    turn.commit(&reply("out")).await.unwrap()
                };
                if let Ok(running) = session.run(&user("in"), BusyPolicy::queue(), work).await {
                    if random.below(2) == 0 {
                        match running.await {
                            Ok(CommitOutcome::Committed { .. }) => {
                                self.committed.fetch_add(1, Ordering::Relaxed);
                            }
                            Ok(CommitOutcome::Superseded { .. }) => {
                                self.superseded.fetch_add(1, Ordering::Relaxed);
                            }
                            Ok(_) | Err(_) => {}
                        }
                    } else {
                        // Whatever it did is not known here.
                        let known = running.cancel_on_drop();
                        drop(known);
                    }
                }
            }
            60..70 if !strict => {
                let policy = if random.below(2) == 0 {
                    BusyPolicy::Interrupt { grace: Duration::ZERO, max: 6 }
                } else {
                    BusyPolicy::Parallel(Parallel::FirstCommit)
                };
                if let Some(turn) = self.begin(&session, policy).await {
                    tokio::task::yield_now().await;
                    self.commit(&session, turn, false, 0).await;
                }
            }
            60..72 => drop(session.stop()),
            72..76 => {
                let stream = session.status().attachable();
                drop(stream.map(|stream| session.cancel(stream)));
            }
            76..80 if !strict => match session.insert("late", &1).await {
                Ok(_) | Err(SessionError::Gone { .. } | SessionError::Closing { .. }) => {}
                Err(error) => panic!("{error:?}"),
            },
            76..86 => {
                let known = self.deleted.lock().unwrap().contains(session.id());
                match self.supervisor.look_up(session.id()).await.unwrap() {
                    Lookup::Live(found) => assert!(!known, "{found:?} lives again"),
                    Lookup::Gone(_) => {}
                    Lookup::Unknown => panic!("{session:?} is forgotten"),
                }
            }
            86..88 => {
                let page = self.supervisor.list(RecordFilter::default(), None, 9).await.unwrap();
                // Not of one instant, but each life once and in order.
                let lives: Vec<_> = page.records.iter().map(|it| it.incarnation).collect();
                assert!(lives.is_sorted_by(|one, next| one < next), "{lives:?}");
            }
            88..90 => {
                if let Some(mut reader) = session.subscribe() {
                    drop(poll_once(&mut Box::pin(async { reader.next().await })));
                }
            }
            _ => self.delete(&session, random.below(2) == 0).await,
        }
    }
}

/// The seed of a run.
fn seed(default: u64) -> u64 {
    let given = std::env::var("STRESS_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(default)
}

/// Everything at once, and then nothing.
fn stress(kind: Kind, rounds: u64, default_seed: u64) {
    let seed = seed(default_seed);
    println!("{kind:?}: {rounds} rounds, STRESS_SEED={seed}");
    runtime(2).block_on(async {
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let baseline = tasks();
        let stage = Stage::new(kind).await;
        let world = Arc::new(World {
            supervisor: stage.start().await,
            keys: (0..KEYS).map(|n| key(&format!("{n}"))).collect(),
            seen: Mutex::default(),
            deleted: Mutex::default(),
            at_work: Mutex::default(),
            committed: AtomicU64::new(0),
            superseded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let workers: Vec<_> = (0..TASKS)
            .map(|n| {
                let world = world.clone();
                tokio::spawn(async move {
                    let mut random = Random(seed.wrapping_mul(TASKS).wrapping_add(n));
                    for _ in 0..rounds / TASKS {
                        world.round(&mut random).await;
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        let supervisor = &world.supervisor;
        // Turns that were given to the supervisor may still run.
        until("every turn ends", || {
            let counts = supervisor.counts();
            counts.turns_begun == counts.turns_ended
        })
        .await;
        assert_clean(supervisor).await;
        let (lives, deleted) =
            (world.seen.lock().unwrap().len(), world.deleted.lock().unwrap().len());
        let counts = supervisor.counts();
        println!("{counts:?}");
        // Loaded once per key: each life was created by one caller, and never loaded beside it.
        assert_eq!(counts.created, lives as u64);
        assert_eq!(counts.loaded, counts.created);
        assert_eq!(counts.deleted, deleted as u64);
        assert_eq!(counts.unloaded, 0);
        assert_eq!(counts.begins_queued, counts.begins_dequeued);
        assert_eq!(counts.store_failures, 0);
        // Those of work that was let go are counted there alone.
        assert!(counts.turns_committed >= world.committed.load(Ordering::Relaxed));
        assert!(counts.turns_superseded >= world.superseded.load(Ordering::Relaxed));
        assert!(counts.turns_committed > rounds / 20, "too little has happened");
        assert!(counts.begins_refused >= world.refused.load(Ordering::Relaxed));

        // Delete everything: no slot, no flight, no queue, no actor, no task.
        let page = supervisor.list(RecordFilter::default(), None, 1_000).await.unwrap();
        assert!(page.records.len() <= KEYS);
        for record in page.records {
            assert_eq!(record.open, [], "a turn is open in the store");
            let gone = supervisor.delete(&record.id).await.unwrap();
            assert!(matches!(gone, DeleteOutcome::Deleted(_)), "{gone:?}");
        }
        assert_clean(supervisor).await;
        assert_eq!(supervisor.loaded(), 0);
        assert_eq!(supervisor.counts().deleted, supervisor.counts().created);
        let page = supervisor.list(RecordFilter::default(), None, 9).await.unwrap();
        assert_eq!(page.records, []);
        for key in &world.keys {
            assert_eq!(stage.behind.bound_to(key).await.unwrap(), None);
        }
        assert_eq!(supervisor.check_store().await.unwrap(), Vec::<String>::new());
        until("every actor of a session ends", || {
            let counts = supervisor.counts();
            counts.actors_started == counts.actors_ended
        })
        .await;
        assert!(supervisor.shutdown(Duration::from_secs(10)).await.unwrap().clean);
        drop(world);
        until("every task ends", || tasks() <= baseline).await;
    });
}

// M4, B1, B2, B3, B6, E4, A6, C11, L5
#[test]
fn a_hundred_thousand_random_rounds_leave_nothing_behind_in_memory() {
    stress(Kind::Memory, 100_000, 1);
}

// M4
#[test]
fn random_rounds_leave_nothing_behind_on_a_store_that_has_to_be_awaited() {
    for seed in 2..6 {
        stress(Kind::Pending, 4_000, seed);
    }
}

// M4
#[test]
fn random_rounds_leave_nothing_behind_on_the_disk() {
    stress(Kind::Sqlite, 4_000, 7);
}

// A6, K5: 64 come for each of 20 keys at once, to sessions that are not loaded.
#[test]
fn get_or_create_loads_once_per_key() {
    stage::everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let keys: Vec<_> = (0..20).map(|n| key(&format!("{n}"))).collect();
        for key in &keys {
            supervisor.open(key).await.unwrap();
        }
        drop(supervisor);
        let stage = stage.reopened().await;
        let supervisor = stage.start().await;
        let barrier = Arc::new(tokio::sync::Barrier::new(64 * keys.len()));
        let opens: Vec<_> = (0..64)
            .flat_map(|_| keys.iter().cloned())
            .map(|key| {
                let (supervisor, barrier) = (supervisor.clone(), barrier.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    supervisor.open(&key).await.unwrap().id().clone()
                })
            })
            .collect();
        let mut ids = HashSet::new();
        for open in opens {
            ids.insert(open.await.unwrap());
        }
        assert_eq!(ids.len(), keys.len());
        assert_eq!(supervisor.counts().loaded, keys.len() as u64);
        assert_eq!(supervisor.counts().created, 0);
        assert_eq!(stage.faults.calls_of(StoreCall::LookUp), keys.len() as u64);
        assert_eq!(stage.faults.calls_of(StoreCall::BoundTo), keys.len() as u64);
        assert_clean(&supervisor).await;
    });
}

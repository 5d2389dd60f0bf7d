//! A million sessions that nobody uses, on a file: a start, a look-up, a page, a pass that ends one in a
//! hundred; and what it costs to wake one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, OpenFlags};
use session_supervisor::store::{Binding, NewRecord};
use session_supervisor::{
    CommitOutcome, Config, RecordFilter, Session, SessionId, SqliteOptions, SqliteStore, Store,
    Supervisor, Timestamp,
};
use tokio::runtime::Runtime;

use crate::measure::{Draw, Side, in_task, interleave, median, timed};
use crate::report::{Report, Shown, Target};
use crate::world::{self, Said};

/// How many are stored.
const STORED: usize = 1_000_000;

/// One in so many has not been used for longer than it may rest.
const DUE_ONE_IN: usize = 100;

/// How many sessions are in use beside the pass.
const BUSY: usize = 64;

/// How many a page has, and of how many.
const PAGE: (usize, usize) = (1_000, 100_000);

/// How many entries the sessions have that are woken.
const ENTRIES: usize = 100;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A million that rest: a start, a look-up, and a pass.
pub(crate) fn stored(report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    million(report, &world::runtime(), &folder.path().join("million.db"));
}

/// A page of them.
pub(crate) fn listed(report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    page(report, &world::runtime(), &folder.path().join("page.db"));
}

/// Some that wake.
pub(crate) fn woken(report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    wake(report, &world::runtime(), &folder.path().join("wake.db"));
}

/// A wall clock's time.
fn wall(ago: Duration) -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
    Timestamp::from_millis(now.saturating_sub(ago).as_millis() as u64)
}

/// The id of session `number`.
fn id(number: usize) -> SessionId {
    SessionId::from_random(0x5EED << 64 | number as u128)
}

/// A file with `count` sessions with a key and without entries; `rested` says for how long.
async fn fill(path: &Path, count: usize, rested: impl Fn(usize) -> Duration) {
    let store = SqliteStore::open(path, SqliteOptions::default()).await.expect("it opens");
    let numbers: Vec<_> = (0..count).collect();
    for some in numbers.chunks(4_096) {
        let create = |&number: &usize| {
            let binding = Some(Binding { key: world::key(number), expected: None });
            let at = wall(rested(number));
            store.create(NewRecord { binding, ..NewRecord::new(id(number), at) })
        };
        let handed_over: Vec<_> = some.iter().map(create).collect();
        for created in handed_over {
            drop(created.await.expect("the store does not fail"));
        }
    }
    store.close().await.expect("it closes");
}

/// A supervisor on a file that ends nothing before it is asked to.
async fn quiet(path: &Path) -> Supervisor {
    let store = SqliteStore::open(path, SqliteOptions::default()).await.expect("it opens");
    let mut config = Config::default();
    config.prune.every = Duration::ZERO;
    Supervisor::builder().store(store).config(config).start().await.expect("it starts")
}

/// Start, look-up and a pass, on a million.
fn million(report: &mut Report, runtime: &Runtime, path: &Path) {
    let name = |what: &str| format!("{what}/sqlite/stored={STORED}");
    let rested = |number| if number % DUE_ONE_IN == 0 { 100 * DAY } else { DAY };
    runtime.block_on(fill(path, STORED, rested));
    let supervisor = in_task(runtime, {
        let path = path.to_owned();
        async move {
            let start = Instant::now();
            let supervisor = quiet(&path).await;
            (supervisor, start.elapsed())
        }
    });
    let (supervisor, took) = supervisor;
    let seconds = (took.as_secs_f64(), "s");
    report.line(&name("start"), seconds, None, Some(Target::AtMost(1.0)));
    let loaded = (supervisor.loaded() as f64, "loaded");
    report.line(&format!("{} (loaded)", name("start")), loaded, None, Some(Target::AtMost(0.0)));
    look_up(report, runtime, &supervisor, path);

    // The others' turns: alone, then beside the pass.
    let keys: Arc<Vec<_>> =
        Arc::new((0..BUSY).map(|busy| world::key(busy * DUE_ONE_IN + 1)).collect());
    let sessions = in_task(runtime, {
        let (supervisor, keys) = (supervisor.clone(), keys.clone());
        async move { world::open_all(&supervisor, &keys).await }
    });
    let ended = supervisor.counts().expired as usize;
    let (alone, beside, pruned, took) = in_task(runtime, {
        let supervisor = supervisor.clone();
        async move {
            let mut alone = begins(&sessions, tokio::time::sleep(Duration::from_secs(3))).await;
            let (mut pruned, mut took) = (0, Duration::ZERO);
            let mut beside = begins(&sessions, async {
                let report = supervisor.prune(false).await.expect("the store does not fail");
                (pruned, took) = (report.expired, report.took);
            })
            .await;
            (p99(&mut alone), p99(&mut beside), pruned, took)
        }
    });
    // Some were looked up, which ends them as well.
    let missing = (STORED / DUE_ONE_IN).abs_diff(ended + pruned) as f64;
    let due = format!("{} (due and not ended)", name("prune"));
    report.line(&due, (missing, "left"), None, Some(Target::AtMost(0.0)));
    let each = took.as_secs_f64() * 1e6 / pruned.max(1) as f64;
    report.line(&format!("{} (each)", name("prune")), (each, "us"), None, None);
    let ratio = Some((beside / alone, "the same without it"));
    let p99 = format!("{} (p99 of a begin beside it)", name("prune"));
    report.line(&p99, (beside / 1e3, "us"), ratio, Some(Target::AtMost(2.0)));
    report.line("- p99 of a begin without it", (alone / 1e3, "us"), None, None);
    let start = Instant::now();
    let again = runtime.block_on(supervisor.prune(false)).expect("the store does not fail");
    let took = (start.elapsed().as_secs_f64() * 1e3, "ms");
    report.line(&format!("{} (nothing due)", name("prune")), took, None, None);
    assert_eq!(again.expired, 0);
    runtime.block_on(supervisor.shutdown(Duration::from_secs(5))).expect("it closes");
}

/// What begins take, in nanoseconds, from one task a session until `done`.
async fn begins(sessions: &Arc<Vec<Session>>, done: impl Future<Output = ()>) -> Vec<f64> {
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let said = Said::short();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..sessions.len() {
        let (sessions, said, over) = (sessions.clone(), said.clone(), over.clone());
        tasks.spawn(async move {
            let mut took = Vec::new();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let start = Instant::now();
                let turn = sessions[number].begin(&said.input, ()).await.expect("it is free");
                took.push(start.elapsed().as_nanos() as f64);
                let outcome = turn.commit(&said.reply).await.expect("the store does not fail");
                assert!(matches!(outcome, CommitOutcome::Committed { .. }));
            }
            took
        });
    }
    done.await;
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    tasks.join_all().await.concat()
}

/// The slowest but one in a hundred.
fn p99(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}

/// A look-up of metadata, beside the raw row.
fn look_up(report: &mut Report, runtime: &Runtime, supervisor: &Supervisor, path: &Path) {
    const EACH: usize = 2_000;
    let (mut ours, mut theirs) = (Draw::new(1), Draw::new(1));
    let raw = raw(path);
    let subject = || {
        let ids: Vec<_> = (0..EACH).map(|_| id(ours.below(STORED))).collect();
        let supervisor = supervisor.clone();
        in_task(runtime, async move {
            timed(EACH, async {
                for id in &ids {
                    supervisor.record(id).await.expect("the store does not fail");
                }
            })
            .await
        })
    };
    let limit = || {
        runtime.block_on(timed(EACH, async {
            let mut select =
                raw.prepare_cached("SELECT * FROM sessions WHERE id = ?1").expect("it is right");
            for _ in 0..EACH {
                let id = id(theirs.below(STORED)).to_string();
                let version = select.query_row([id], |row| row.get::<_, i64>("version"));
                std::hint::black_box(version.expect("it is there"));
            }
        }))
    };
    let sides = vec![
        Side::new(format!("record/sqlite/stored={STORED}"), subject),
        Side::new("the row, raw, on the same thread", limit),
    ];
    report.sides(Shown::Time, &interleave(5, sides), &[]);
}

/// A connection that reads, with nothing around it, and as much of the file in memory as the store's have.
fn raw(path: &Path) -> Connection {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let connection = connection.expect("it opens");
    let cache = SqliteOptions::DEFAULT_CACHE_BYTES >> 10;
    connection.execute_batch(&format!("PRAGMA cache_size = -{cache}")).expect("it is right");
    connection
}

/// A page of metadata, beside the raw rows.
fn page(report: &mut Report, runtime: &Runtime, path: &Path) {
    let (limit, stored) = PAGE;
    runtime.block_on(fill(path, stored, |_| DAY));
    let supervisor = in_task(runtime, {
        let path = path.to_owned();
        async move { quiet(&path).await }
    });
    let raw = raw(path);
    let mut after = None;
    let subject = || {
        let supervisor = supervisor.clone();
        let from = after.take();
        let (sample, next) = in_task(runtime, async move {
            let mut next = None;
            let sample = timed(1, async {
                let page = supervisor.list(RecordFilter::default(), from, limit).await;
                let page = page.expect("the store does not fail");
                assert_eq!(page.records.len(), limit);
                next = page.next;
            })
            .await;
            (sample, next)
        });
        after = next;
        sample
    };
    let mut last = 0_i64;
    let rows = || {
        runtime.block_on(timed(1, async {
            let mut select = raw
                .prepare_cached(
                    "SELECT * FROM sessions WHERE incarnation > ?1 ORDER BY incarnation LIMIT ?2",
                )
                .expect("it is right");
            let mut rows = select.query((last, limit as i64)).expect("it is right");
            let mut count = 0;
            while let Some(row) = rows.next().expect("the store does not fail") {
                last = row.get(0).expect("a number");
                for column in 0..12 {
                    std::hint::black_box(row.get_ref(column).expect("a column"));
                }
                count += 1;
            }
            if count < limit {
                last = 0;
            }
        }))
    };
    let sides = vec![
        Side::new(format!("page/sqlite/{limit}/stored={stored}"), subject),
        Side::new("the rows, raw, on the same thread", rows),
    ];
    report.sides(Shown::Time, &interleave(41, sides), &[Some(Target::AtMost(3.0))]);
    let loaded = (supervisor.counts().loaded as f64, "loaded");
    report.line("page/sqlite (loaded)", loaded, None, Some(Target::AtMost(0.0)));
}

/// How many sessions are woken in a round.
const SLEEPERS: usize = 200;

/// Reads what is said in each, with nothing around it.
fn read_raw(raw: &Connection) {
    for number in 0..SLEEPERS {
        let mut select = raw.prepare_cached("SELECT * FROM sessions WHERE id = ?1").expect("right");
        let life = select.query_row([id(number).to_string()], |row| row.get::<_, i64>(0));
        let mut select = raw
            .prepare_cached(
                "SELECT seq, generation, mark, at, payload FROM entries \
                 WHERE incarnation = ?1 ORDER BY seq",
            )
            .expect("right");
        let mut rows = select.query([life.expect("it is there")]).expect("right");
        let mut read = Vec::new();
        while let Some(row) = rows.next().expect("the store does not fail") {
            let entry: (i64, Vec<u8>) = (row.get(0).expect("seq"), row.get(4).expect("it"));
            let text: session_supervisor::ChatMessage =
                serde_json::from_slice(&entry.1).expect("an entry");
            read.push((entry.0, text));
        }
        assert_eq!(read.len(), ENTRIES);
    }
}

/// Waking a session and reading what is said in it, beside the raw rows.
fn wake(report: &mut Report, runtime: &Runtime, path: &Path) {
    let said = Said::long();
    runtime.block_on(async {
        let store = SqliteStore::open(path, SqliteOptions::default()).await.expect("it opens");
        for number in 0..SLEEPERS {
            let entries = vec![bytes::Bytes::from(said.input_bytes()); ENTRIES];
            let new = NewRecord { entries, ..NewRecord::new(id(number), wall(DAY)) };
            drop(store.create(new).await.expect("the store does not fail"));
        }
        store.close().await.expect("it closes");
    });
    let supervisor = in_task(runtime, {
        let path = path.to_owned();
        async move {
            let store = SqliteStore::open(&path, SqliteOptions::default()).await.expect("it opens");
            let mut config = Config::default();
            config.idle.max_live = 1;
            let builder = Supervisor::builder().store(store).config(config);
            builder.start().await.expect("it starts")
        }
    });
    let raw = raw(path);
    let subject = || {
        let supervisor: Supervisor = supervisor.clone();
        in_task(runtime, async move {
            timed(SLEEPERS, async {
                for number in 0..SLEEPERS {
                    let found = supervisor.look_up(&id(number)).await.expect("no failure");
                    let session = found.live().expect("it is there");
                    let entries = session.entries(0, ENTRIES).await.expect("no failure");
                    assert_eq!(entries.len(), ENTRIES);
                }
            })
            .await
        })
    };
    let limit = || runtime.block_on(timed(SLEEPERS, async { read_raw(&raw) }));
    let sides = vec![
        Side::new(format!("wake/sqlite/entries={ENTRIES}"), subject),
        Side::new("the rows, raw, on the same thread", limit),
    ];
    let target = Some(Target::AtMost(3.0));
    report.sides(Shown::Time, &interleave(15, sides), &[target]);
    let woken = supervisor.counts().unloaded as f64 / SLEEPERS as f64;
    let median = median(vec![woken]);
    report.line("- rounds in which each was asleep", (median, "rounds"), None, None);
}

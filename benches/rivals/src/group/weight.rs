//! What a session weighs that nobody uses, each kind in a process of its own.

use std::path::Path;
use std::time::Duration;

use session_supervisor::{ChatMessage, Config, SessionKey, SqliteOptions, SqliteStore, Supervisor};
use tokio::task::JoinSet;

use super::elsewhere;
use crate::figure::OURS;
use crate::machine::available_bytes;
use crate::measure::{Sample, Series};
use crate::memory::allocated;
use crate::report::{Report, Shown, Target};
use crate::rival::kameo::Kameo;
use crate::rival::map::Map;
use crate::rival::moka::Moka;
use crate::rival::ours::Ours;
use crate::rival::python::{self, Python};
use crate::rival::ractor::{Bare, Ractor};
use crate::rival::rmcp::Rmcp;
use crate::rival::task::Task;
use crate::rival::{Key, Rival};
use crate::stored;
use crate::world::{self, Said};

/// Live, with nothing open: its slot, and its record in the store on memory.
const LIVE: &str = OURS;
/// The same after a turn, with what the store keeps of it.
const USED: &str = "session-supervisor, after a turn";
/// Not loaded: its record in the store on memory.
const DORMANT: &str = "session-supervisor, dormant";
/// Live on SQLite, with an actor, which such a session has from its first write on.
const ACTOR: &str = "session-supervisor, with an actor";
/// Not loaded, on SQLite.
const STORED: &str = "session-supervisor, dormant on SQLite";

/// In the order in which they are shown.
const ALL: [&str; 12] = [
    LIVE,
    USED,
    DORMANT,
    ACTOR,
    STORED,
    Map::NAME,
    Moka::NAME,
    Task::NAME,
    Ractor::NAME,
    Bare::NAME,
    Kameo::NAME,
    Rmcp::NAME,
];

/// At 100,000 and at 1,000,000, those that fit.
pub(crate) fn run(report: &mut Report) {
    let sizes: &[usize] = report.scale.pick(&[100_000, 1_000_000], &[5_000]);
    let mut before: Vec<Series> = Vec::new();
    for &count in sizes {
        let rounds = if count > 100_000 { 1 } else { report.scale.pick(3, 1) };
        let mut series = Vec::new();
        for who in ALL {
            let each = before.iter().find(|it| it.name == who).map_or(0.0, Series::wall);
            // What one weighs in an allocator is a third less than what the process needs.
            if each * 1.5 * count as f64 > 0.8 * available_bytes() as f64 {
                report.progress(&format!("{who}: {count} do not fit into the machine's memory"));
                continue;
            }
            report.progress(&format!("memory of {count}: {who}"));
            let count = count.to_string();
            let weigh = |_| elsewhere(&["memory", who, &count])[0];
            let samples = (0..rounds).map(weigh).map(|bytes| Sample { wall: bytes, cpu: bytes });
            series.push(Series::of(who, samples.collect()));
        }
        if let Some(mut python) = Python::start() {
            let samples = vec![python.work("memory", serde_json::json!({"count": count}))];
            series.push(Series::of(python::NAME, samples));
        }
        report.work(&format!("memory/sessions={count}"), Shown::Value("memory", "B"), &series);
        judge(report, count, &series);
        before = series;
    }
}

fn judge(report: &mut Report, count: usize, series: &[Series]) {
    let of = |who: &str| series.iter().find(|it| it.name == who).map(Series::wall);
    let row = "a live idle session";
    if let Some(live) = of(LIVE) {
        let name = format!("memory/live/sessions={count}");
        report.judge(row, (&name, live, "B"), None, Target::AtMost(1_024.0));
    }
    if let (Some(actor), Some(bare)) = (of(ACTOR), of(Bare::NAME)) {
        let name = format!("memory/with an actor/sessions={count}");
        let ratio = (actor / bare, "a bare ractor actor");
        report.judge(row, (&name, actor, "B"), Some(ratio), Target::AtMost(1.25));
    }
}

/// Weighs `count` of `who`, and prints the bytes of one.
pub(crate) fn probe(who: &str, count: usize) {
    let runtime = world::runtime();
    let bytes = runtime.block_on(async {
        match who {
            LIVE => live::<Ours>(count).await,
            USED => used(count).await,
            DORMANT => dormant(count).await,
            ACTOR => on_sqlite(count, true).await,
            STORED => on_sqlite(count, false).await,
            Map::NAME => live::<Map>(count).await,
            Moka::NAME => live::<Moka>(count).await,
            Task::NAME => live::<Task>(count).await,
            Ractor::NAME => live::<Ractor>(count).await,
            Bare::NAME => live::<Bare>(count).await,
            Kameo::NAME => live::<Kameo>(count).await,
            Rmcp::NAME => live::<Rmcp>(count).await,
            _ => panic!("{who}: nobody"),
        }
    });
    println!("{}", bytes / count as f64);
}

/// How many are there before it is weighed, for what there is once and for what grows in steps.
const FIRST: usize = 100;

/// What is allocated once nothing is under way.
async fn at_rest() -> f64 {
    tokio::time::sleep(Duration::from_millis(300)).await;
    allocated()
}

/// Created, and its handle let go.
async fn live<R: Rival>(count: usize) -> f64 {
    let rival = R::start().await;
    let fill = async |from: usize, to: usize| {
        for number in from..to {
            drop(rival.create(&Key::of(number)).await);
        }
    };
    fill(0, FIRST).await;
    let before = at_rest().await;
    fill(FIRST, FIRST + count).await;
    let after = at_rest().await;
    assert_eq!(rival.count(), FIRST + count, "{}: all are there", R::NAME);
    after - before
}

/// Created, and used once.
async fn used(count: usize) -> f64 {
    let ours = Ours::start().await;
    let said = Said::short();
    let fill = async |from: usize, to: usize| {
        for number in from..to {
            let (_, session) = ours.create(&Key::of(number)).await;
            world::turn(&session, &said).await;
        }
    };
    fill(0, FIRST).await;
    let before = at_rest().await;
    fill(FIRST, FIRST + count).await;
    at_rest().await - before
}

/// Created and unloaded.
async fn dormant(count: usize) -> f64 {
    let mut config = Config::default();
    config.idle.max_live = 1;
    config.idle.check_every = Duration::from_millis(10);
    let supervisor: Supervisor =
        Supervisor::builder().config(config).start().await.expect("it starts");
    let fill = async |from: usize, to: usize| {
        for number in from..to {
            supervisor.open(&world::key(number)).await.expect("it opens");
        }
        while supervisor.loaded() > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    fill(0, count / 10).await;
    let before = at_rest().await;
    fill(count / 10, count + count / 10).await;
    at_rest().await - before
}

/// Stored, and either only that or loaded and written to.
async fn on_sqlite(count: usize, with_actors: bool) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weight.db");
    stored::fill(&path, count + FIRST, 0).await;
    if !with_actors {
        let before = at_rest().await;
        let supervisor = stored::quiet(&path).await;
        let bytes = at_rest().await - before;
        assert_eq!(supervisor.loaded(), 0);
        return bytes;
    }
    let supervisor = on_file(&path).await;
    append(&supervisor, 0, FIRST).await;
    let before = at_rest().await;
    append(&supervisor, FIRST, FIRST + count).await;
    let bytes = at_rest().await - before;
    let actors = supervisor.counts().actors_started - supervisor.counts().actors_ended;
    assert_eq!(actors as usize, FIRST + count, "each has an actor");
    bytes
}

/// One that keeps what it has loaded, without waiting for the disk: what is written is not what is weighed.
async fn on_file(path: &Path) -> Supervisor {
    let mut options = SqliteOptions::default();
    options.synchronous = session_supervisor::store::Synchronous::Normal;
    let store = SqliteStore::open(path, options).await.expect("it opens");
    let mut config = Config::default();
    config.idle.unload_after = Duration::ZERO;
    config.prune.every = Duration::ZERO;
    Supervisor::builder().store(store).config(config).start().await.expect("it starts")
}

/// Appends an entry to each of some sessions, many at once.
async fn append(supervisor: &Supervisor, from: usize, to: usize) {
    const TASKS: usize = 1_000;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let supervisor = supervisor.clone();
        tasks.spawn(async move {
            for number in (from + task..to).step_by(TASKS) {
                let key: SessionKey = world::key(number);
                let session = supervisor.open(&key).await.expect("it opens");
                session.append(&[ChatMessage::user("x")]).await.expect("it is stored");
            }
        });
    }
    tasks.join_all().await;
}

//! Begin and commit on a file, synced, with so many sessions at once.

use std::path::Path;
use std::sync::Arc;

use session_supervisor::Session;
use tokio::task::JoinSet;

use crate::measure::{Draw, Sample, Side, in_task, interleave, timed};
use crate::report::{Report, Shown, Target};
use crate::rivals::RawLog;
use crate::world::{self, SESSIONS, Said};

const ROUNDS: usize = 7;

/// How many at once, turns of each in a round, and what part of the raw loop's rate is due.
const SIZES: [(usize, usize, Option<Target>); 4] =
    [(1, 300, None), (8, 100, None), (64, 50, Some(Target::AtLeast(0.5))), (512, 12, None)];

/// The library, and the raw loop with batches of as many.
pub(crate) fn run(report: &mut Report) {
    let runtime = world::runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, raw) = (folder.path().join("ours.db"), folder.path().join("raw.db"));
    let keys = world::keys(SESSIONS);
    let said = Said::long();
    let sessions = in_task(&runtime, {
        let (ours, raw, keys, said) = (ours, raw.clone(), keys.clone(), said.clone());
        async move {
            let supervisor = world::on_file(Path::new(&ours)).await;
            world::open_all(&supervisor, &keys).await;
            supervisor.shutdown(std::time::Duration::from_secs(10)).await.expect("it closes");
            std::fs::copy(&ours, &raw).expect("it can be copied");
            let supervisor = world::on_file(Path::new(&ours)).await;
            let sessions = world::open_all(&supervisor, &keys).await;
            // Every session has its actor before anything is measured.
            turns_at_once(&sessions, &said, 500, SESSIONS / 500, true).await;
            sessions
        }
    });
    let mut log = RawLog::open(&raw).expect("it opens");
    let all: Vec<_> = (0..log.sessions()).collect();
    for some in all.chunks(500) {
        log.turns(some, &said.input_bytes(), &said.reply_bytes()).expect("it is written");
    }
    for (at_once, each, target) in SIZES {
        let subject = || {
            let (sessions, said) = (sessions.clone(), said.clone());
            in_task(&runtime, async move {
                timed(at_once * each, turns_at_once(&sessions, &said, at_once, each, false)).await
            })
        };
        let limit = || raw_turns(&runtime, &mut log, &said, at_once, each);
        let sides = vec![
            Side::new(format!("begin_commit/sqlite/at_once={at_once}"), subject),
            Side::new(format!("rusqlite/batch={at_once}"), limit),
        ];
        report.sides(Shown::Rate, &interleave(ROUNDS, sides), &[target]);
    }
}

/// `each` turns in each of `at_once` tasks; a task's sessions are its own, drawn or in their order.
async fn turns_at_once(
    sessions: &Arc<Vec<Session>>,
    said: &Arc<Said>,
    at_once: usize,
    each: usize,
    in_order: bool,
) {
    let mut tasks = JoinSet::new();
    for task in 0..at_once {
        let (sessions, said) = (sessions.clone(), said.clone());
        tasks.spawn(async move {
            let mut draw = Draw::new(task as u64);
            for round in 0..each {
                let place = if in_order { round } else { draw.below(SESSIONS / at_once) };
                world::turn(&sessions[place * at_once + task], &said).await;
            }
        });
    }
    tasks.join_all().await;
}

/// The same turns, a batch at a time.
fn raw_turns(
    runtime: &tokio::runtime::Runtime,
    log: &mut RawLog,
    said: &Said,
    at_once: usize,
    each: usize,
) -> Sample {
    let (input, reply) = (said.input_bytes(), said.reply_bytes());
    let mut draws: Vec<_> = (0..at_once).map(|task| Draw::new(task as u64)).collect();
    runtime.block_on(timed(at_once * each, async {
        for _ in 0..each {
            let draws = draws.iter_mut().enumerate();
            let places = draws.map(|(task, it)| it.below(SESSIONS / at_once) * at_once + task);
            let places: Vec<_> = places.collect();
            log.turns(&places, &input, &reply).expect("it is written");
        }
    }))
}

//! Begin and commit on a file, synced, with so many sessions at once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use session_supervisor::{Session, SessionKey};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::figure::OURS;
use crate::limits::RawLog;
use crate::measure::{Draw, Sample, Side, in_task, interleave, timed};
use crate::report::{Report, Shown, Target};
use crate::world::{self, SESSIONS, Said};

/// What it is held against: the same rows from one thread, all begins of a batch in one transaction and all commits
/// in the next. It reads nothing, checks nothing, computes no checksum and answers nobody.
const RAW: &str = "raw rusqlite";

/// How many at once, turns of each in a round, and what is due: for one alone how many times as long as the
/// commits that it needs it may take, which are two, since a begin is durable before it answers; for many what part of
/// the raw loop's rate.
const SIZES: [(usize, usize, Option<Target>); 4] = [
    (1, 300, Some(Target::AtMost(1.5))),
    (8, 100, None),
    (64, 50, Some(Target::AtLeast(0.65))),
    (512, 12, Some(Target::AtLeast(0.75))),
];

/// The library, and the raw loop with batches of as many.
pub(crate) fn run(report: &mut Report) {
    let runtime = world::runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let said = Said::long();
    let (sessions, mut log) = files(&runtime, folder.path(), SESSIONS, &said);
    for (at_once, each, target) in SIZES {
        let each = report.scale.pick(each, each / 4);
        let subject = || {
            let (sessions, said) = (sessions.clone(), said.clone());
            in_task(&runtime, async move {
                timed(at_once * each, turns_at_once(&sessions, &said, at_once, each)).await
            })
        };
        let limit = || raw_turns(&runtime, &mut log, &said, at_once, each);
        let sides = vec![Side::new(OURS, subject), Side::new(RAW, limit)];
        let series = interleave(report.scale.rounds(9), sides);
        let work = format!("begin_commit/sqlite/at_once={at_once}");
        report.work(&work, Shown::Rate, &series);
        let Some(target) = target else { continue };
        let (name, value, unit, ratio) = match target {
            Target::AtMost(_) => {
                (format!("{work} (time)"), series[0].wall(), "ns", series[0].wall_ratio(&series[1]))
            }
            // How many times as long the raw loop took: the library's rate as a part of its.
            Target::AtLeast(_) => {
                let rate = 1e9 / series[0].wall();
                (format!("{work} (rate)"), rate, "/s", series[1].wall_ratio(&series[0]))
            }
        };
        let ratio = Some((ratio, "raw rusqlite, a batch of as many"));
        report.judge("begin + commit on SQLite", (&name, value, unit), ratio, target);
    }
}

/// A supervisor's sessions on one file, and a copy of it for the raw loop.
pub(super) fn files(
    runtime: &Runtime,
    folder: &Path,
    count: usize,
    said: &Arc<Said>,
) -> (Arc<Vec<Session>>, RawLog) {
    let (ours, raw) = (folder.join("ours.db"), folder.join("raw.db"));
    let keys: Arc<Vec<SessionKey>> = world::keys(count);
    let sessions = in_task(runtime, {
        let (raw, said) = (raw.clone(), said.clone());
        async move {
            let supervisor = world::on_file(&ours).await;
            world::open_all(&supervisor, &keys).await;
            supervisor.shutdown(Duration::from_secs(10)).await.expect("it closes");
            std::fs::copy(&ours, &raw).expect("it can be copied");
            let supervisor = world::on_file(&ours).await;
            let sessions = world::open_all(&supervisor, &keys).await;
            // Every session has its actor, and its first turn, before anything is measured.
            once_each(&sessions, &said).await;
            sessions
        }
    });
    let mut log = RawLog::open(&raw).expect("it opens");
    let all: Vec<_> = (0..log.sessions()).collect();
    for some in all.chunks(500) {
        log.turns(some, &said.input_bytes(), &said.reply_bytes()).expect("it is written");
    }
    (sessions, log)
}

/// A turn in each session.
async fn once_each(sessions: &Arc<Vec<Session>>, said: &Arc<Said>) {
    let mut tasks = JoinSet::new();
    for task in 0..500 {
        let (sessions, said) = (sessions.clone(), said.clone());
        tasks.spawn(async move {
            for session in sessions.iter().skip(task).step_by(500) {
                world::turn(session, &said).await;
            }
        });
    }
    tasks.join_all().await;
}

/// `each` turns in each of `at_once` tasks; a task's sessions are its own.
pub(super) async fn turns_at_once(
    sessions: &Arc<Vec<Session>>,
    said: &Arc<Said>,
    at_once: usize,
    each: usize,
) {
    let mut tasks = JoinSet::new();
    for task in 0..at_once {
        let (sessions, said) = (sessions.clone(), said.clone());
        tasks.spawn(async move {
            let mut draw = Draw::new(task as u64);
            for _ in 0..each {
                let place = draw.below(sessions.len() / at_once);
                world::turn(&sessions[place * at_once + task], &said).await;
            }
        });
    }
    tasks.join_all().await;
}

/// The same turns, a batch at a time.
pub(super) fn raw_turns(
    runtime: &Runtime,
    log: &mut RawLog,
    said: &Said,
    at_once: usize,
    each: usize,
) -> Sample {
    let (input, reply) = (said.input_bytes(), said.reply_bytes());
    let mut draws: Vec<_> = (0..at_once).map(|task| Draw::new(task as u64)).collect();
    let share = log.sessions() / at_once;
    runtime.block_on(timed(at_once * each, async {
        for _ in 0..each {
            let draws = draws.iter_mut().enumerate();
            let places: Vec<_> = draws.map(|(task, it)| it.below(share) * at_once + task).collect();
            log.turns(&places, &input, &reply).expect("it is written");
        }
    }))
}

//! What an operation costs with more sessions, each point beside a map of locks of the same size.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::crowd::Crowd;
use super::turns::Load;
use super::{durable, elsewhere, long, look_up, page, turns};
use crate::figure::{OURS, Place};
use crate::measure::{Sample, Series, Side, in_task, interleave, timed};
use crate::popularity::Popularity;
use crate::report::{Report, Shown};
use crate::rival::map::Map;
use crate::rival::ours::Ours;
use crate::rival::{Key, Rival};
use crate::stored::{fill, quiet};
use crate::world::{self, Said};

/// Operations in a round.
const OPERATIONS: usize = 20_000;

/// Over the number of sessions, then over the length of a conversation.
pub(crate) fn run(report: &mut Report) {
    let sizes: &[usize] =
        report.scale.pick(&[100, 1_000, 10_000, 100_000, 1_000_000], &[100, 1_000, 10_000]);
    for &sessions in sizes {
        in_memory(report, sessions);
        dormant(report, sessions);
        on_file(report, sessions);
    }
    long::run(report);
}

/// A place on the curves of this file.
fn at(sessions: usize) -> Place {
    Place { of: "sessions".to_owned(), count: sessions as f64 }
}

/// Look-up, touch, turns and creation.
fn in_memory(report: &mut Report, sessions: usize) {
    let runtime = world::runtime();
    let rounds = report.scale.rounds(7);
    let at = at(sessions);
    let sides = vec![create::<Ours>(&runtime, sessions), create::<Map>(&runtime, sessions)];
    let many = if sessions > 100_000 { 2 } else { rounds };
    report.on_curve("growth/create", Some(&at), Shown::Times, &interleave(many, sides));

    let keys = Key::many(0, sessions);
    let (ours, map) = (Crowd::<Ours>::of(&runtime, &keys), Crowd::<Map>::of(&runtime, &keys));
    let drawn = Arc::new(Popularity::Uniform.draws(sessions, OPERATIONS, 3));
    let sides = vec![look_up::side(&runtime, &ours, &drawn), look_up::side(&runtime, &map, &drawn)];
    report.on_curve("growth/look_up", Some(&at), Shown::Times, &interleave(rounds, sides));
    let touch = Side::new(OURS, || touches(&runtime, &ours, &drawn));
    report.on_curve("growth/touch", Some(&at), Shown::Times, &interleave(rounds, vec![touch]));
    for (load, work) in
        [(Load::Silent, "growth/begin_commit"), (Load::Said, "growth/begin_commit_with_entries")]
    {
        let sides = vec![
            turns::side(&runtime, &ours, &drawn, load),
            turns::side(&runtime, &map, &drawn, load),
        ];
        report.on_curve(work, Some(&at), Shown::Times, &interleave(rounds, sides));
    }
}

/// Creation of all of them, one by one.
fn create<R: Rival>(runtime: &Runtime, sessions: usize) -> Side<'_> {
    let keys = Key::many(0, sessions);
    Side::new(R::NAME, move || {
        let keys = keys.clone();
        in_task(runtime, async move {
            let rival = R::start().await;
            let sample = timed(sessions, async {
                for key in keys.iter() {
                    std::hint::black_box(rival.create(key).await);
                }
            })
            .await;
            assert_eq!(rival.count(), sessions);
            rival.stop().await;
            sample
        })
    })
}

fn touches(runtime: &Runtime, ours: &Crowd<Ours>, drawn: &Arc<Vec<u32>>) -> Sample {
    let (sessions, drawn) = (ours.handles.clone(), drawn.clone());
    in_task(runtime, async move {
        timed(drawn.len(), async {
            for &number in drawn.iter() {
                sessions[number as usize].touch().await.expect("it is live");
            }
        })
        .await
    })
}

/// What one weighs that is not loaded.
fn dormant(report: &mut Report, sessions: usize) {
    let weigh = || {
        let bytes = elsewhere(&["memory", "session-supervisor, dormant", &sessions.to_string()])[0];
        vec![Sample { wall: bytes, cpu: bytes }]
    };
    let series = [Series::of(OURS, weigh())];
    let shown = Shown::Value("memory", "B");
    report.on_curve("growth/dormant", Some(&at(sessions)), shown, &series);
}

/// A start, a page and turns on SQLite.
fn on_file(report: &mut Report, sessions: usize) {
    let runtime = world::runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("growth.db");
    let at = at(sessions);
    runtime.block_on(fill(&path, sessions, 2));
    let rounds = report.scale.rounds(5);
    let start = Side::new(OURS, || start(&runtime, &path));
    report.on_curve("growth/start", Some(&at), Shown::Times, &interleave(rounds, vec![start]));
    if sessions >= page::PAGE {
        let series = interleave(rounds, page::on_file(&runtime, &path));
        report.on_curve("growth/page", Some(&at), Shown::Times, &series);
    }
    if sessions > 100_000 {
        return;
    }
    let said = Said::long();
    let at_once = sessions.min(64);
    let each = report.scale.pick(50, 5);
    let (sessions, mut log) = durable::files(&runtime, folder.path(), sessions, &said);
    let subject = || {
        let (sessions, said) = (sessions.clone(), said.clone());
        in_task(&runtime, async move {
            let turns = durable::turns_at_once(&sessions, &said, at_once, each);
            timed(at_once * each, turns).await
        })
    };
    let limit = || durable::raw_turns(&runtime, &mut log, &said, at_once, each);
    let sides = vec![Side::new(OURS, subject), Side::new("raw rusqlite", limit)];
    let series = interleave(rounds, sides);
    report.on_curve("growth/begin_commit_on_sqlite", Some(&at), Shown::Times, &series);
}

fn start(runtime: &Runtime, path: &Path) -> Sample {
    let path = path.to_owned();
    in_task(runtime, async move {
        let mut started = None;
        let sample = timed(1, async { started = Some(quiet(&path).await) }).await;
        let started = started.expect("it was started");
        started.shutdown(std::time::Duration::from_secs(5)).await.expect("it closes");
        sample
    })
}

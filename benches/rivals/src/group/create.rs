//! Sessions that come.

use std::any::Any;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::limits::{self, Record};
use crate::measure::{Series, Side, in_task, interleave, timed};
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
use crate::world;

/// What a map insertion is called that does nothing else.
const INSERT: &str = "map insertion";

/// Whose memory the sessions get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// Nobody's: all sessions of all rounds stay until all is measured, as they do while a server fills. That is
    /// what is judged.
    Fresh,
    /// That of the round before, whose sessions have ended, as in a server where as many go as come.
    Left,
}

/// Creates sessions for keys that are new.
pub(crate) fn run(report: &mut Report) {
    create(report, Memory::Fresh);
    create(report, Memory::Left);
}

/// What is kept until all is measured.
type Kept = Arc<Mutex<Vec<Box<dyn Any + Send>>>>;

fn create(report: &mut Report, memory: Memory) {
    let (count, rounds) = (report.scale.pick(10_000, 1_000), report.scale.rounds(7));
    let runtime = world::runtime();
    // The warm-up is a round as well.
    let keys: Vec<_> = (0..=rounds).map(|round| Key::many(round * count, count)).collect();
    let kept = Kept::default();
    let mut python = Python::start();
    let mut sides = vec![
        side::<Ours>(&runtime, &keys, memory, &kept),
        side::<Map>(&runtime, &keys, memory, &kept),
        side::<Moka>(&runtime, &keys, memory, &kept),
        side::<Task>(&runtime, &keys, memory, &kept),
        side::<Ractor>(&runtime, &keys, memory, &kept),
        side::<Bare>(&runtime, &keys, memory, &kept),
        side::<Kameo>(&runtime, &keys, memory, &kept),
        side::<Rmcp>(&runtime, &keys, memory, &kept),
        insertions(&runtime, &keys, memory, &kept),
    ];
    if let Some(python) = &mut python {
        let round = move || python.work("create", json!({"count": count}));
        sides.push(Side::new(python::NAME, round));
    }
    let series = interleave(rounds, sides);
    let work = if memory == Memory::Fresh { "create" } else { "create/as many have ended" };
    report.work(&format!("{work}/count={count}"), Shown::Times, &series);
    if memory == Memory::Left {
        return;
    }
    for (who, target) in [
        (Rmcp::NAME, Target::AtMost(1.0 / 10.0)),
        (Bare::NAME, Target::AtMost(1.0 / 5.0)),
        (INSERT, Target::AtMost(2.0)),
    ] {
        judge(report, &series, who, target);
    }
}

fn judge(report: &mut Report, series: &[Series], who: &str, target: Target) {
    let ours = &series[0];
    let other = series.iter().find(|it| it.name == who).expect("it was measured");
    let ratio = (ours.cpu_ratio(other), who);
    report.judge("create", ("create (cpu)", ours.cpu(), "ns"), Some(ratio), target);
}

/// A round of a rival: a new one, and as many sessions.
fn side<'a, R: Rival>(
    runtime: &'a Runtime,
    keys: &'a [Arc<Vec<Key>>],
    memory: Memory,
    kept: &Kept,
) -> Side<'a> {
    let kept = kept.clone();
    let mut rounds = keys.iter();
    Side::new(R::NAME, move || {
        let keys = rounds.next().expect("keys for each round").clone();
        let kept = kept.clone();
        in_task(runtime, async move {
            let rival = R::start().await;
            let mut created = Vec::with_capacity(keys.len());
            let sample = timed(keys.len(), async {
                for key in keys.iter() {
                    created.push(rival.create(key).await);
                }
            })
            .await;
            assert_eq!(rival.count(), keys.len(), "{}", R::NAME);
            match memory {
                Memory::Fresh => kept.lock().push(Box::new((rival, created))),
                Memory::Left => {
                    drop(created);
                    rival.stop().await;
                }
            }
            sample
        })
    })
}

/// As many insertions of 200 bytes behind a lock into a sharded map.
fn insertions<'a>(
    runtime: &'a Runtime,
    keys: &'a [Arc<Vec<Key>>],
    memory: Memory,
    kept: &Kept,
) -> Side<'a> {
    let kept = kept.clone();
    let mut rounds = keys.iter();
    Side::new(INSERT, move || {
        let keys = rounds.next().expect("keys for each round").clone();
        let kept = kept.clone();
        in_task(runtime, async move {
            let map = limits::Map::new();
            let sample = timed(keys.len(), async {
                for key in keys.iter() {
                    let record = Record::new(Mutex::new([0; 25]));
                    std::hint::black_box(map.insert(key.text.clone(), record));
                }
            })
            .await;
            if memory == Memory::Fresh {
                kept.lock().push(Box::new(map));
            }
            sample
        })
    })
}

//! Sessions that come.

use std::sync::Arc;

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

/// Creates sessions for keys that are new.
pub(crate) fn run(report: &mut Report) {
    let count = report.scale.pick(10_000, 1_000);
    let runtime = world::runtime();
    let keys = Key::many(0, count);
    let mut python = Python::start();
    let mut sides = vec![
        side::<Ours>(&runtime, &keys),
        side::<Map>(&runtime, &keys),
        side::<Moka>(&runtime, &keys),
        side::<Task>(&runtime, &keys),
        side::<Ractor>(&runtime, &keys),
        side::<Bare>(&runtime, &keys),
        side::<Kameo>(&runtime, &keys),
        side::<Rmcp>(&runtime, &keys),
        Side::new(INSERT, || insertions(&runtime, &keys)),
    ];
    if let Some(python) = &mut python {
        let round = move || python.work("create", json!({"count": count}));
        sides.push(Side::new(python::NAME, round));
    }
    let series = interleave(report.scale.rounds(9), sides);
    report.work(&format!("create/count={count}"), Shown::Times, &series);
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
    report.judge("create", "create (cpu)", (ours.cpu(), "ns"), ratio, target);
}

/// Everything is made anew in each round, and ended after it, which is not measured.
fn side<'a, R: Rival>(runtime: &'a Runtime, keys: &Arc<Vec<Key>>) -> Side<'a> {
    let keys = keys.clone();
    Side::new(R::NAME, move || {
        let keys = keys.clone();
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
            drop(created);
            rival.stop().await;
            sample
        })
    })
}

/// As many insertions of 200 bytes behind a lock into a sharded map.
fn insertions(runtime: &Runtime, keys: &Arc<Vec<Key>>) -> crate::measure::Sample {
    let keys = keys.clone();
    in_task(runtime, async move {
        let map = limits::Map::new();
        timed(keys.len(), async {
            for key in keys.iter() {
                let record = Record::new(parking_lot::Mutex::new([0; 25]));
                std::hint::black_box(map.insert(key.text.clone(), record));
            }
        })
        .await
    })
}

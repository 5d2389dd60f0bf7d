//! Sessions that end.

use std::sync::Arc;

use serde_json::json;
use tokio::runtime::Runtime;

use crate::measure::{Side, in_task, interleave, timed};
use crate::report::{Report, Shown};
use crate::rival::kameo::Kameo;
use crate::rival::map::Map;
use crate::rival::moka::Moka;
use crate::rival::ours::Ours;
use crate::rival::python::{self, Python};
use crate::rival::ractor::Ractor;
use crate::rival::rmcp::Rmcp;
use crate::rival::task::Task;
use crate::rival::{Key, Rival, create_all};
use crate::world;

/// One after the other, each awaited. The library leaves a tombstone, which nobody else does.
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
        side::<Kameo>(&runtime, &keys),
        side::<Rmcp>(&runtime, &keys),
    ];
    if let Some(python) = &mut python {
        let round = move || python.work("delete", json!({"count": count}));
        sides.push(Side::new(python::NAME, round));
    }
    let series = interleave(report.scale.rounds(9), sides);
    report.work(&format!("delete/count={count}"), Shown::Times, &series);
}

fn side<'a, R: Rival>(runtime: &'a Runtime, keys: &Arc<Vec<Key>>) -> Side<'a> {
    let keys = keys.clone();
    Side::new(R::NAME, move || {
        let keys = keys.clone();
        in_task(runtime, async move {
            let rival = R::start().await;
            let (names, handles) = create_all(&rival, &keys).await;
            let sample = timed(keys.len(), async {
                for (name, handle) in names.iter().zip(&handles) {
                    rival.delete(name, handle).await;
                }
            })
            .await;
            assert_eq!(rival.count(), 0, "{}", R::NAME);
            rival.stop().await;
            sample
        })
    })
}

//! Eight who open one key at once.

use std::sync::Arc;

use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::measure::{Side, in_task, interleave, timed};
use crate::report::{Report, Shown};
use crate::rival::kameo::Kameo;
use crate::rival::map::Map;
use crate::rival::moka::Moka;
use crate::rival::ours::Ours;
use crate::rival::python::{self, Python};
use crate::rival::ractor::Ractor;
use crate::rival::task::Task;
use crate::rival::{Key, Turns};
use crate::world;

/// How many open each key.
const RACERS: usize = 8;

/// What eight tasks take that open a new key, all of them together.
pub(crate) fn run(report: &mut Report) {
    let count = report.scale.pick(2_000, 200);
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
    ];
    if let Some(python) = &mut python {
        let arguments = json!({"count": count, "racers": RACERS});
        sides.push(Side::new(python::NAME, move || python.work("race", arguments.clone())));
    }
    let series = interleave(report.scale.rounds(9), sides);
    report.work(&format!("race/racers={RACERS}"), Shown::Times, &series);
}

fn side<'a, R: Turns>(runtime: &'a Runtime, keys: &Arc<Vec<Key>>) -> Side<'a> {
    let keys = keys.clone();
    Side::new(R::NAME, move || {
        let keys = keys.clone();
        in_task(runtime, async move {
            let rival = R::start().await;
            let sample = timed(keys.len(), async {
                for number in 0..keys.len() {
                    race(&rival, &keys, number).await;
                }
            })
            .await;
            assert_eq!(rival.count(), keys.len(), "{}: one session a key", R::NAME);
            rival.stop().await;
            sample
        })
    })
}

/// All get the same session.
async fn race<R: Turns>(rival: &R, keys: &Arc<Vec<Key>>, number: usize) {
    let mut racing = JoinSet::new();
    for _ in 0..RACERS {
        let (rival, keys) = (rival.clone(), keys.clone());
        racing.spawn(async move { rival.open(&keys[number]).await });
    }
    let opened = racing.join_all().await;
    assert!(opened.iter().all(|it| R::same(it, &opened[0])), "{}", R::NAME);
}

//! Finding a session that is known.

use std::sync::Arc;

use serde_json::json;
use session_supervisor::{Lookup, SessionId};
use tokio::runtime::Runtime;

use super::crowd::Crowd;
use crate::measure::{Sample, Side, in_task, interleave, timed};
use crate::popularity::Popularity;
use crate::report::{Report, Shown};
use crate::rival::kameo::Kameo;
use crate::rival::map::Map;
use crate::rival::moka::Moka;
use crate::rival::ours::Ours;
use crate::rival::python::{self, Python};
use crate::rival::ractor::Ractor;
use crate::rival::rmcp::Rmcp;
use crate::rival::task::Task;
use crate::rival::{Key, Rival};
use crate::world::{self, SESSIONS};

/// By key or name, 10,000 sessions drawn evenly.
pub(crate) fn run(report: &mut Report) {
    let count = report.scale.pick(100_000, 10_000);
    let runtime = world::runtime();
    let keys = Key::many(0, SESSIONS);
    let drawn = Arc::new(Popularity::Uniform.draws(SESSIONS, count, 1));
    let ours = Crowd::<Ours>::of(&runtime, &keys);
    let mut python = Python::start();
    let by_id = {
        let ids: Vec<_> = ours.handles.iter().map(|session| session.id().clone()).collect();
        let (ours, ids, drawn) = (ours.rival.clone(), Arc::new(ids), drawn.clone());
        let runtime = &runtime;
        move || look_up_ids(runtime, &ours, &ids, &drawn)
    };
    let mut sides = vec![
        side(&runtime, &ours, &drawn),
        Side::new(format!("{}, by id", Ours::NAME), by_id),
        side(&runtime, &Crowd::<Map>::of(&runtime, &keys), &drawn),
        side(&runtime, &Crowd::<Moka>::of(&runtime, &keys), &drawn),
        side(&runtime, &Crowd::<Task>::of(&runtime, &keys), &drawn),
        side(&runtime, &Crowd::<Ractor>::of(&runtime, &keys), &drawn),
        side(&runtime, &Crowd::<Kameo>::of(&runtime, &keys), &drawn),
        side(&runtime, &Crowd::<Rmcp>::of(&runtime, &keys), &drawn),
    ];
    if let Some(python) = &mut python {
        python.fill(SESSIONS);
        let arguments = json!({"sessions": SESSIONS, "count": count});
        let round = move || python.work("look_up", arguments.clone());
        sides.push(Side::new(python::NAME, round));
    }
    let series = interleave(report.scale.rounds(15), sides);
    report.work(&format!("look_up/sessions={SESSIONS}"), Shown::Times, &series);
}

/// What a rival takes for a look-up of each that was drawn.
pub(super) fn side<'a, R: Rival>(
    runtime: &'a Runtime,
    crowd: &Crowd<R>,
    drawn: &Arc<Vec<u32>>,
) -> Side<'a> {
    let (crowd, drawn) = (crowd.clone(), drawn.clone());
    Side::new(R::NAME, move || {
        let (crowd, drawn) = (crowd.clone(), drawn.clone());
        in_task(runtime, async move {
            let mut found = 0;
            let sample = timed(drawn.len(), async {
                for &number in drawn.iter() {
                    found += usize::from(crowd.rival.look_up(&crowd.names[number as usize]).await);
                }
            })
            .await;
            assert_eq!(found, drawn.len(), "{}", R::NAME);
            sample
        })
    })
}

fn look_up_ids(
    runtime: &Runtime,
    ours: &Ours,
    ids: &Arc<Vec<SessionId>>,
    drawn: &Arc<Vec<u32>>,
) -> Sample {
    let (ours, ids, drawn) = (ours.clone(), ids.clone(), drawn.clone());
    in_task(runtime, async move {
        timed(drawn.len(), async {
            for &number in drawn.iter() {
                let found = ours.0.look_up(&ids[number as usize]).await;
                let session = found.ok().and_then(Lookup::live).expect("it is live");
                std::hint::black_box(session.status());
            }
        })
        .await
    })
}

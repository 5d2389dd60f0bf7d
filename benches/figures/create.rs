//! Sessions that come and go.

use std::hint::black_box;
use std::sync::Arc;

use parking_lot::Mutex;
use session_supervisor::DeleteOutcome;

use crate::measure::{Side, in_task, interleave, timed};
use crate::report::{Report, Shown, Target};
use crate::rivals::{self, Map, Record};
use crate::world;

/// Sessions in a round.
const COUNT: usize = 10_000;
const ROUNDS: usize = 9;

/// Opening a key that is bound to nothing, against a linked actor and a map insertion.
///
/// What was created stays until all is measured, since that is what a server's sessions do: each
/// round pays for memory that it has not had before.
pub(crate) fn create(report: &mut Report) {
    let runtime = world::runtime();
    let keys = world::keys(COUNT);
    let (mut supervisors, mut all_actors, mut maps) = (Vec::new(), Vec::new(), Vec::new());
    let by_key = || {
        let keys = keys.clone();
        let (sample, supervisor) = in_task(&runtime, async move {
            let supervisor = world::on_memory().await;
            let sample = timed(COUNT, async {
                for key in keys.iter() {
                    black_box(supervisor.open(key).await.expect("it is created"));
                }
            })
            .await;
            (sample, supervisor)
        });
        supervisors.push(supervisor);
        sample
    };
    let actor = || {
        let (sample, parent, actors) = in_task(&runtime, async move {
            let parent = rivals::start_parent().await;
            let mut actors = Vec::with_capacity(COUNT);
            let sample = timed(COUNT, async {
                for _ in 0..COUNT {
                    actors.push(rivals::start_linked(parent.get_cell()).await);
                }
            })
            .await;
            (sample, parent, actors)
        });
        all_actors.push((parent, actors));
        sample
    };
    let insert = || {
        let keys = keys.clone();
        let (sample, map) = in_task(&runtime, async move {
            let map = Map::new();
            let sample = timed(COUNT, async {
                for key in keys.iter() {
                    let record: Record = Arc::new(Mutex::new([0; 25]));
                    black_box(map.insert(key.clone(), record));
                }
            })
            .await;
            (sample, map)
        });
        maps.push(map);
        sample
    };
    let sides = vec![
        Side::new(format!("create/memory/by_key/count={COUNT}"), by_key),
        Side::new(format!("ractor_spawn_linked/count={COUNT}"), actor),
        Side::new(format!("map_insert/count={COUNT}"), insert),
    ];
    let targets = [Some(Target::AtMost(1.0 / 3.0)), None];
    report.sides(Shown::Time, &interleave(ROUNDS, sides), &targets);
}

/// Deleting, against a map removal and the insertion of what stays.
pub(crate) fn delete(report: &mut Report) {
    let runtime = world::runtime();
    let keys = world::keys(COUNT);
    let delete = || {
        let keys = keys.clone();
        in_task(&runtime, async move {
            let supervisor = world::on_memory().await;
            let sessions = world::open_all(&supervisor, &keys).await;
            timed(COUNT, async {
                for session in sessions.iter() {
                    let outcome = session.delete().await.expect("the store does not fail");
                    assert!(matches!(outcome, DeleteOutcome::Deleted(_)));
                }
            })
            .await
        })
    };
    let replace = || {
        let keys = keys.clone();
        in_task(&runtime, async move {
            let (live, gone) = (Map::new(), Map::new());
            for key in keys.iter() {
                let record: Record = Arc::new(Mutex::new([0; 25]));
                live.insert(key.clone(), record);
            }
            timed(COUNT, async {
                for key in keys.iter() {
                    black_box(live.remove(key));
                    black_box(gone.insert(key.clone(), [0_u64; 4]));
                }
            })
            .await
        })
    };
    let sides = vec![
        Side::new(format!("delete/memory/count={COUNT}"), delete),
        Side::new(format!("map_remove_and_insert/count={COUNT}"), replace),
    ];
    report.sides(Shown::Time, &interleave(ROUNDS, sides), &[]);
}

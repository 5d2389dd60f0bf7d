//! Finding a live session, and what is happening in it.

use std::hint::black_box;
use std::sync::Arc;

use parking_lot::Mutex;
use session_supervisor::{Lookup, SessionId};

use crate::measure::{Draw, Side, in_task, interleave, timed};
use crate::report::{Report, Shown, Target};
use crate::rivals::{Map, Record};
use crate::world::{self, SESSIONS};

/// Operations in a round.
const OPERATIONS: usize = 100_000;
const ROUNDS: usize = 21;

/// Look-up by id with status, and open of a known key, against a map look-up with a lock.
pub(crate) fn run(report: &mut Report) {
    let runtime = world::runtime();
    let keys = world::keys(SESSIONS);
    let (supervisor, sessions) = in_task(&runtime, {
        let keys = keys.clone();
        async move {
            let supervisor = world::on_memory().await;
            let sessions = world::open_all(&supervisor, &keys).await;
            (supervisor, sessions)
        }
    });
    let ids: Arc<Vec<SessionId>> = Arc::new(sessions.iter().map(|it| it.id().clone()).collect());
    let by_id = Arc::new(Map::new());
    let by_key = Arc::new(Map::new());
    for (id, key) in ids.iter().zip(keys.iter()) {
        let record: Record = Arc::new(Mutex::new([0; 25]));
        by_id.insert(id.clone(), record.clone());
        by_key.insert(key.clone(), record);
    }
    let look_up = || {
        let (supervisor, ids) = (supervisor.clone(), ids.clone());
        in_task(&runtime, async move {
            let mut draw = Draw::new(1);
            timed(OPERATIONS, async {
                for _ in 0..OPERATIONS {
                    let found = supervisor.look_up(&ids[draw.below(ids.len())]).await;
                    let session = found.ok().and_then(Lookup::live).expect("it is live");
                    black_box(session.status());
                }
            })
            .await
        })
    };
    let open = || {
        let (supervisor, keys) = (supervisor.clone(), keys.clone());
        in_task(&runtime, async move {
            let mut draw = Draw::new(1);
            timed(OPERATIONS, async {
                for _ in 0..OPERATIONS {
                    let opened = supervisor.open(&keys[draw.below(keys.len())]).await;
                    black_box(opened.expect("it is live"));
                }
            })
            .await
        })
    };
    let name = |what: &str| format!("{what}/sessions={SESSIONS}");
    let sides = vec![
        Side::new(name("look_up/id_and_status"), look_up),
        Side::new(name("map_look_up_and_lock/id"), || limit(&runtime, &by_id, &ids)),
    ];
    report.sides(Shown::Time, &interleave(ROUNDS, sides), &[Some(Target::AtMost(3.0))]);
    let sides = vec![
        Side::new(name("open/known_key"), open),
        Side::new(name("map_look_up_and_lock/key"), || limit(&runtime, &by_key, &keys)),
    ];
    report.sides(Shown::Time, &interleave(ROUNDS, sides), &[]);
}

/// What a touch costs over the look-up of the session.
pub(crate) fn touch(report: &mut Report) {
    let runtime = world::runtime();
    let keys = world::keys(SESSIONS);
    let (supervisor, sessions) = in_task(&runtime, async move {
        let supervisor = world::on_memory().await;
        let sessions = world::open_all(&supervisor, &keys).await;
        (supervisor, sessions)
    });
    let ids: Arc<Vec<SessionId>> = Arc::new(sessions.iter().map(|it| it.id().clone()).collect());
    let side = |touches: bool| {
        let (supervisor, ids) = (supervisor.clone(), ids.clone());
        in_task(&runtime, async move {
            let mut draw = Draw::new(1);
            timed(OPERATIONS, async {
                for _ in 0..OPERATIONS {
                    let found = supervisor.look_up(&ids[draw.below(ids.len())]).await;
                    let session = found.ok().and_then(Lookup::live).expect("it is live");
                    if touches {
                        session.touch().await.expect("it is live");
                    }
                    black_box(session);
                }
            })
            .await
        })
    };
    let name = |what: &str| format!("{what}/sessions={SESSIONS}");
    let sides = vec![
        Side::new(name("touch/after_look_up"), || side(true)),
        Side::new(name("look_up/id"), || side(false)),
    ];
    let held = |one: bool| {
        let sessions = sessions.clone();
        in_task(&runtime, async move {
            let mut draw = Draw::new(1);
            let among = if one { 1 } else { sessions.len() };
            timed(OPERATIONS, async {
                for _ in 0..OPERATIONS {
                    sessions[draw.below(among)].touch().await.expect("it is live");
                }
            })
            .await
        })
    };
    let by_handle = vec![
        Side::new("touch/by_handle/sessions=1", || held(true)),
        Side::new(name("touch/by_handle"), || held(false)),
    ];
    report.sides(Shown::Time, &interleave(ROUNDS, by_handle), &[]);
    let series = interleave(ROUNDS, sides);
    report.sides(Shown::Time, &series, &[]);
    if let [touched, found] = &series[..] {
        let over = (touched.cpu_over(found), "ns");
        report.line(&name("touch/over_look_up (cpu)"), over, None, Some(Target::AtMost(10.0)));
    }
}

/// A map look-up, and a lock of what was found, in a task.
pub(crate) fn limit<K>(
    runtime: &tokio::runtime::Runtime,
    map: &Arc<Map<K, Record>>,
    keys: &Arc<Vec<K>>,
) -> crate::measure::Sample
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
{
    let (map, keys) = (map.clone(), keys.clone());
    in_task(runtime, async move {
        let mut draw = Draw::new(1);
        timed(OPERATIONS, async {
            for _ in 0..OPERATIONS {
                let found = map.get(&keys[draw.below(keys.len())]).expect("it is there");
                let mut record = found.lock();
                record[0] += 1;
                black_box(*record);
            }
        })
        .await
    })
}

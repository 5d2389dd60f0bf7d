//! Begin and commit on memory, over many sessions.

use std::sync::Arc;

use parking_lot::Mutex;
use ractor::ActorRef;
use session_supervisor::{Session, SessionKey, Supervisor};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::look_up::limit;
use crate::measure::{Draw, Sample, Side, in_task, interleave, timed};
use crate::report::{Report, Shown, Target};
use crate::rivals::{self, Map, Next, Record};
use crate::world::{self, SESSIONS, Said};

/// Turns in a round. The store keeps them all, so not more than are needed.
const TURNS: usize = 20_000;
const ROUNDS: usize = 15;
/// Tasks at once, where there are many.
const TASKS: usize = 64;

/// Sessions and actors, as many of each.
struct World {
    runtime: Runtime,
    keys: Arc<Vec<SessionKey>>,
    supervisor: Supervisor,
    sessions: Arc<Vec<Session>>,
    actors: Arc<Vec<ActorRef<Next>>>,
    said: Arc<Said>,
}

impl World {
    fn new() -> Self {
        let runtime = world::runtime();
        let keys = world::keys(SESSIONS);
        let (supervisor, sessions, actors) = in_task(&runtime, {
            let keys = keys.clone();
            async move {
                let supervisor = world::on_memory().await;
                let sessions = world::open_all(&supervisor, &keys).await;
                let parent = rivals::start_parent().await;
                let mut actors = Vec::new();
                for _ in 0..SESSIONS {
                    let actor = rivals::start_linked(parent.get_cell()).await;
                    rivals::ask(&actor).await;
                    actors.push(actor);
                }
                (supervisor, sessions, Arc::new(actors))
            }
        });
        Self { runtime, keys, supervisor, sessions, actors, said: Said::short() }
    }

    /// A turn in a session that is drawn, again and again.
    fn turns(&self, seed: u64) -> Sample {
        let (sessions, said) = (self.sessions.clone(), self.said.clone());
        in_task(&self.runtime, async move {
            timed(TURNS, async {
                turns(&sessions, &said, 0..SESSIONS, TURNS, seed).await;
            })
            .await
        })
    }

    /// The same without entries.
    fn silent_turns(&self) -> Sample {
        let sessions = self.sessions.clone();
        in_task(&self.runtime, async move {
            let mut draw = Draw::new(5);
            timed(TURNS, async {
                for _ in 0..TURNS {
                    world::silent_turn(&sessions[draw.below(sessions.len())]).await;
                }
            })
            .await
        })
    }

    /// The same with the session found by its key each time.
    fn turns_by_key(&self) -> Sample {
        let (supervisor, keys) = (self.supervisor.clone(), self.keys.clone());
        let said = self.said.clone();
        in_task(&self.runtime, async move {
            let mut draw = Draw::new(3);
            timed(TURNS, async {
                for _ in 0..TURNS {
                    let key = &keys[draw.below(keys.len())];
                    let session = supervisor.open(key).await.expect("it is live");
                    world::turn(&session, &said).await;
                }
            })
            .await
        })
    }

    /// A bare call of an actor that is drawn, again and again.
    fn calls(&self) -> Sample {
        let actors = self.actors.clone();
        in_task(&self.runtime, async move {
            timed(TURNS, async { calls(&actors, 0..SESSIONS, TURNS, 1).await }).await
        })
    }

    /// Many tasks at once, each with sessions of its own.
    fn at_once<F>(&self, task: impl Fn(usize) -> F + Send + Sync + 'static) -> Sample
    where
        F: Future<Output = ()> + Send + 'static,
    {
        in_task(&self.runtime, async move {
            timed(TURNS, async {
                let mut tasks = JoinSet::new();
                for number in 0..TASKS {
                    tasks.spawn(task(number));
                }
                tasks.join_all().await;
            })
            .await
        })
    }
}

/// Turns in sessions drawn from `range`.
async fn turns(
    sessions: &[Session],
    said: &Said,
    range: std::ops::Range<usize>,
    count: usize,
    seed: u64,
) {
    let mut draw = Draw::new(seed);
    for _ in 0..count {
        let session = &sessions[range.start + draw.below(range.len())];
        world::turn(session, said).await;
    }
}

/// Calls of actors drawn from `range`.
async fn calls(actors: &[ActorRef<Next>], range: std::ops::Range<usize>, count: usize, seed: u64) {
    let mut draw = Draw::new(seed);
    for _ in 0..count {
        rivals::ask(&actors[range.start + draw.below(range.len())]).await;
    }
}

/// The sessions of one of the tasks.
fn share(task: usize) -> std::ops::Range<usize> {
    let each = SESSIONS / TASKS;
    task * each..(task + 1) * each
}

/// One task, against one bare call of an actor and against a look-up with a lock.
pub(crate) fn one_task(report: &mut Report) {
    let world = World::new();
    let map = Arc::new(Map::new());
    for key in world.keys.iter() {
        let record: Record = Arc::new(Mutex::new([0; 25]));
        map.insert(key.clone(), record);
    }
    let name = |what: &str| format!("{what}/sessions={SESSIONS}/tasks=1");
    // The target was set by a sketch that looked up, locked twice and kept nothing; a turn without
    // entries is that kind of work. What encoding and keeping two entries adds is shown beside it.
    let sides = vec![
        Side::new(name("begin_commit/memory/without_entries"), || world.silent_turns()),
        Side::new(name("ractor_call"), || world.calls()),
    ];
    report.sides(Shown::Time, &interleave(ROUNDS, sides), &[Some(Target::AtMost(1.0))]);
    let sides = vec![
        Side::new(name("begin_commit/memory"), || world.turns(1)),
        Side::new(name("ractor_call"), || world.calls()),
        Side::new(name("map_look_up_and_lock"), || limit(&world.runtime, &map, &world.keys)),
        Side::new(name("open_begin_commit/memory"), || world.turns_by_key()),
    ];
    report.sides(Shown::Time, &interleave(ROUNDS, sides), &[]);
}

/// Many tasks on both workers, against as many that call actors.
pub(crate) fn many_tasks(report: &mut Report) {
    let world = World::new();
    let turns = || {
        let (sessions, said) = (world.sessions.clone(), world.said.clone());
        world.at_once(move |task| {
            let (sessions, said) = (sessions.clone(), said.clone());
            async move { turns(&sessions, &said, share(task), TURNS / TASKS, task as u64).await }
        })
    };
    let calls = || {
        let actors = world.actors.clone();
        world.at_once(move |task| {
            let actors = actors.clone();
            async move { calls(&actors, share(task), TURNS / TASKS, task as u64).await }
        })
    };
    let name = |what: &str| format!("{what}/sessions={SESSIONS}/tasks={TASKS}");
    let sides = vec![
        Side::new(name("begin_commit/memory"), turns),
        Side::new(name("ractor_call"), calls),
        Side::new(format!("begin_commit/memory/sessions={SESSIONS}/tasks=1"), || world.turns(2)),
    ];
    report.sides(Shown::Time, &interleave(ROUNDS, sides), &[]);
}

//! Letting those leave that are idle: one in a hundred is due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use session_supervisor::testing::PausedClock;
use session_supervisor::{Config, NewSession, Session, Supervisor};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::measure::{Sample, Series, Side, cpu_nanos, in_task, interleave};
use crate::report::{Report, Shown};
use crate::rival::map::Map;
use crate::rival::moka::Moka;
use crate::rival::ours::Ours;
use crate::rival::python::{self, Python};
use crate::rival::{Key, Rival, State};
use crate::world;

/// One in so many is due.
const ONE_IN: usize = 100;

/// After how long one leaves that is not used.
const AFTER: Duration = Duration::from_secs(3_600);

/// How much later each round's sessions were used than those of the round before.
const LATER: Duration = Duration::from_secs(60);

/// What it takes for each that leaves, of a hundred times as many.
pub(crate) fn run(report: &mut Report) {
    let sizes: &[usize] = report.scale.pick(&[100_000, 1_000_000], &[10_000]);
    for &count in sizes {
        let (due, rounds) = (count / ONE_IN, report.scale.rounds(7));
        let runtime = world::paused_runtime();
        let mut crowd = Some(in_task(&runtime, Crowd::of(count, due, rounds + 1)));
        let scanned = Scanned::of(count);
        let mut python = Python::start();
        let ours = || {
            let taken = crowd.take().expect("it is put back");
            let (back, sample) = in_task(&runtime, async move {
                let sample = taken.round().await;
                (taken, sample)
            });
            crowd = Some(back);
            sample
        };
        let mut sides =
            vec![Side::new(Ours::NAME, ours), Side::new(Map::NAME, || scanned.round(due))];
        if let Some(python) = &mut python {
            let arguments = serde_json::json!({"count": count, "due": due});
            sides.push(Side::new(python::NAME, move || python.work("sweep", arguments.clone())));
        }
        let mut series = interleave(rounds, sides);
        report.progress("moka, whose time cannot be paused");
        let moka = (0..report.scale.pick(3, 1)).map(|_| moka(&world::runtime(), count, due));
        series.insert(2, Series::of(Moka::NAME, moka.collect()));
        report.work(&format!("sweep/sessions={count}/due={due}"), Shown::Times, &series);
    }
}

/// Loaded sessions, of which some become due in each round, on a runtime whose time goes on when it is told.
struct Crowd {
    supervisor: Supervisor,
    due: usize,
    /// So that their handles are not what is measured.
    _sessions: Vec<Session>,
}

impl Crowd {
    async fn of(count: usize, due: usize, rounds: usize) -> Self {
        let mut config = Config::default();
        config.idle.unload_after = AFTER;
        config.idle.check_every = Duration::from_millis(10);
        config.prune.every = Duration::ZERO;
        let builder = Supervisor::builder().config(config).clock(PausedClock::new());
        let supervisor: Supervisor = builder.start().await.expect("it starts");
        let mut sessions = Vec::with_capacity(count);
        for number in 0..count {
            if number > 0 && number % due == 0 && number / due <= rounds {
                tokio::time::advance(LATER).await;
            }
            sessions.push(supervisor.create(NewSession::new()).await.expect("it is created"));
        }
        let later = LATER * (u32::try_from(rounds).expect("few") + 1);
        // Just before those of the first round are due.
        tokio::time::advance(AFTER - later).await;
        Self { supervisor, due, _sessions: sessions }
    }

    /// Time passes until the next ones are due, and they leave.
    async fn round(&self) -> Sample {
        let left = self.supervisor.loaded() - self.due;
        tokio::time::advance(LATER).await;
        each(self.due, async {
            while self.supervisor.loaded() > left {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
    }
}

/// What `work` takes for each of `due`, on clocks that are not paused.
async fn each(due: usize, work: impl Future<Output = ()>) -> Sample {
    let (cpu, start) = (cpu_nanos(), Instant::now());
    work.await;
    let (wall, cpu) = (start.elapsed().as_nanos() as f64, cpu_nanos() - cpu);
    Sample { wall: wall / due as f64, cpu: cpu / due as f64 }
}

/// A map of locked states that knows when each was used, and is looked through.
struct Scanned {
    map: DashMap<Arc<str>, (Arc<Mutex<State>>, u64)>,
    keys: Arc<Vec<Key>>,
}

impl Scanned {
    fn of(count: usize) -> Self {
        let (map, keys) = (DashMap::new(), Key::many(0, count));
        for key in keys.iter() {
            map.insert(key.text.clone(), (Arc::default(), 1));
        }
        Self { map, keys }
    }

    /// Makes some due, throws them out, and brings them back, which is not measured.
    fn round(&self, due: usize) -> Sample {
        for key in self.keys.iter().step_by(ONE_IN).take(due) {
            self.map.insert(key.text.clone(), (Arc::default(), 0));
        }
        let (cpu, start) = (cpu_nanos(), Instant::now());
        self.map.retain(|_, (_, used_at)| *used_at > 0);
        let (wall, cpu) = (start.elapsed().as_nanos() as f64, cpu_nanos() - cpu);
        assert_eq!(self.map.len(), self.keys.len() - due);
        for key in self.keys.iter().step_by(ONE_IN).take(due) {
            self.map.insert(key.text.clone(), (Arc::default(), 1));
        }
        Sample { wall: wall / due as f64, cpu: cpu / due as f64 }
    }
}

/// A cache of which the first ones are idle for longer than it keeps them, and the others are not.
fn moka(runtime: &Runtime, count: usize, due: usize) -> Sample {
    const IDLE: Duration = Duration::from_secs(8);
    let keys = Key::many(0, count);
    in_task(runtime, async move {
        let cache = moka::future::Cache::builder().time_to_idle(IDLE).build();
        let (first, others) = keys.split_at(due);
        let start = Instant::now();
        for key in first {
            cache.insert(key.text.clone(), Arc::<Mutex<State>>::default()).await;
        }
        cache.run_pending_tasks().await;
        tokio::time::sleep(IDLE / 4).await;
        for key in others {
            cache.insert(key.text.clone(), Arc::default()).await;
        }
        cache.run_pending_tasks().await;
        assert_eq!(cache.entry_count(), count as u64, "none is due yet");
        tokio::time::sleep(IDLE.saturating_sub(start.elapsed()) + IDLE / 8).await;
        let sample = each(due, async {
            while cache.entry_count() > (count - due) as u64 {
                cache.run_pending_tasks().await;
            }
        })
        .await;
        assert_eq!(cache.entry_count(), (count - due) as u64, "the others are kept");
        sample
    })
}

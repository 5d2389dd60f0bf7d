//! Sessions that are loaded and not used: what it costs to let those leave that are due, and what one weighs
//! that has left.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use session_supervisor::testing::PausedClock;
use session_supervisor::{Config, NewSession, Session, SessionId, Supervisor};
use tokio::runtime::Runtime;

use crate::measure::{Draw, Sample, Side, in_task, interleave};
use crate::report::{Report, Target};
use crate::start::resident_bytes;
use crate::world;

const ROUNDS: usize = 15;

/// How many leave in a round.
const DUE: usize = 1_000;

/// After how long.
const AFTER: Duration = Duration::from_secs(3_600);

/// Every figure of idle sessions.
pub(crate) fn run(report: &mut Report) {
    let runtime = world::runtime();
    sweep(report);
    dormant(report, &runtime);
}

/// Loaded sessions, of which some become due in each round: on a runtime whose time goes on when it is told, so
/// that nothing but a round lets one leave.
struct Crowd {
    supervisor: Supervisor,
    /// Those that are loaded, so that their handles are not what is measured.
    _sessions: Vec<Session>,
}

/// How much later each round's sessions were used than those of the round before.
const LATER: Duration = Duration::from_secs(60);

impl Crowd {
    /// So many, of which each round, the one to warm up among them, lets [`DUE`] leave.
    async fn of(count: usize) -> Self {
        let mut config = Config::default();
        config.idle.unload_after = AFTER;
        config.idle.check_every = Duration::from_millis(10);
        config.prune.every = Duration::ZERO;
        let builder = Supervisor::builder().config(config).clock(PausedClock::new());
        let supervisor: Supervisor = builder.start().await.expect("it starts");
        let mut sessions = Vec::with_capacity(count);
        for number in 0..count {
            if number > 0 && number % DUE == 0 && number / DUE <= ROUNDS + 1 {
                tokio::time::advance(LATER).await;
            }
            sessions.push(supervisor.create(NewSession::new()).await.expect("it is created"));
        }
        // Just before those of the first round are due.
        tokio::time::advance(AFTER - LATER * (ROUNDS as u32 + 2)).await;
        Self { supervisor, _sessions: sessions }
    }

    /// Time passes until the next [`DUE`] are due, and they leave; what that takes for each.
    async fn round(&mut self) -> Sample {
        let left = self.supervisor.loaded() - DUE;
        tokio::time::advance(LATER).await;
        self.wait_for(left).await
    }

    /// Waits until so many are loaded; what it takes for each that leaves.
    async fn wait_for(&self, left: usize) -> Sample {
        let (cpu, start) = (crate::measure::cpu_nanos(), Instant::now());
        while self.supervisor.loaded() > left {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (wall, cpu) = (start.elapsed().as_nanos() as f64, crate::measure::cpu_nanos() - cpu);
        Sample { wall: wall / DUE as f64, cpu: cpu / DUE as f64 }
    }
}

/// Letting those leave that are due, of two crowds, beside the bare removal of as many.
fn sweep(report: &mut Report) {
    let mut crowds = [100_000, 1_000_000].map(|count| {
        let runtime = world::paused_runtime();
        let crowd = in_task(&runtime, Crowd::of(count));
        (count, runtime, Some(crowd))
    });
    let bare = [100_000, 1_000_000].map(|count| (count, Bare::of(count)));
    let mut sides = Vec::new();
    for (count, runtime, crowd) in &mut crowds {
        let name = format!("sweep/memory/due={DUE}/loaded={count}");
        sides.push(Side::new(name, move || {
            let mut taken = crowd.take().expect("it is put back");
            let (back, sample) = in_task(runtime, async move {
                let sample = taken.round().await;
                (taken, sample)
            });
            *crowd = Some(back);
            sample
        }));
    }
    for (count, mut bare) in bare {
        let name = format!("bare removal from a map of {count} behind a lock");
        sides.push(Side::new(name, move || bare.round()));
    }
    let series = interleave(ROUNDS, sides);
    let [few, many, bare_few, bare_many] = series.as_slice() else { return };
    let target = |bound| Some(Target::AtMost(bound));
    for (swept, bare) in [(few, bare_few), (many, bare_many)] {
        let ratio = Some((swept.cpu_ratio(bare), bare.name.as_str()));
        report.line(&format!("{} (cpu)", swept.name), (swept.cpu(), "ns"), ratio, target(2.0));
        report.line(&format!("- {} (cpu)", bare.name), (bare.cpu(), "ns"), None, None);
    }
    // What a map of ten times the size costs more is memory that is further away, for whoever removes something.
    let (grown, bare) = (many.cpu_ratio(few), bare_many.cpu_ratio(bare_few));
    let ratio = Some((grown / bare, "what the bare removal grows by"));
    report.line(
        "sweep/memory/ten times as many loaded (cpu)",
        (grown, "times"),
        ratio,
        target(1.2),
    );
}

/// A plain map behind a lock, of which some are removed.
struct Bare {
    map: Mutex<HashMap<SessionId, Box<[u8; 1_024]>>>,
    count: usize,
    draw: Draw,
}

impl Bare {
    fn of(count: usize) -> Self {
        let ids = (0..count).map(|number| SessionId::from_random(number as u128));
        let map = Mutex::new(ids.map(|id| (id, Box::new([1; 1_024]))).collect());
        Self { map, count, draw: Draw::new(3) }
    }

    fn round(&mut self) -> Sample {
        let draw = || SessionId::from_random(self.draw.below(self.count) as u128);
        let due: Vec<_> = std::iter::repeat_with(draw).take(DUE).collect();
        let (cpu, start) = (crate::measure::cpu_nanos(), Instant::now());
        let gone: Vec<_> = due.iter().filter_map(|id| self.map.lock().remove(id)).collect();
        drop(std::hint::black_box(gone));
        let (wall, cpu) = (start.elapsed().as_nanos() as f64, crate::measure::cpu_nanos() - cpu);
        for id in due {
            self.map.lock().insert(id, Box::new([1; 1_024]));
        }
        Sample { wall: wall / DUE as f64, cpu: cpu / DUE as f64 }
    }
}

/// What a session weighs that is not loaded.
fn dormant(report: &mut Report, runtime: &Runtime) {
    const COUNT: usize = 200_000;
    let supervisor = in_task(runtime, async {
        let mut config = Config::default();
        config.idle.max_live = 1;
        let builder = Supervisor::builder().config(config);
        let supervisor: Supervisor = builder.start().await.expect("it starts");
        let fill = |supervisor: Supervisor, keys: std::ops::Range<usize>| async move {
            for number in keys {
                supervisor.open(&world::key(number)).await.expect("it opens");
            }
        };
        // First what every supervisor has, and what the allocator keeps for the next ones.
        fill(supervisor.clone(), 0..COUNT / 10).await;
        let before = resident_bytes();
        fill(supervisor.clone(), COUNT / 10..COUNT + COUNT / 10).await;
        (supervisor, resident_bytes() - before)
    });
    let (supervisor, bytes) = supervisor;
    let each = (bytes / COUNT as f64, "B");
    let name = format!("dormant/memory/stored={COUNT} (memory each)");
    report.line(&name, each, None, Some(Target::AtMost(512.0)));
    let loaded = (supervisor.loaded() as f64, "loaded");
    report.line("dormant/memory (loaded)", loaded, None, None);
}

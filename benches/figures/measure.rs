//! How a figure is taken: sides interleaved round by round, medians, ratios within a round.

use std::future::Future;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

/// What one round of one side took, for each operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Nanoseconds on the clock.
    pub(crate) wall: f64,
    /// Nanoseconds of processor time, all threads of the process together.
    pub(crate) cpu: f64,
}

/// Processor time of this process so far, in nanoseconds.
pub(crate) fn cpu_nanos() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    1e9 * time.tv_sec as f64 + time.tv_nsec as f64
}

/// Processor time of this thread so far, in nanoseconds.
///
/// For what is done without an await: a task may go on on another thread.
pub(crate) fn thread_cpu_nanos() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    1e9 * time.tv_sec as f64 + time.tv_nsec as f64
}

/// Awaits `work`, which does `operations` of them.
pub(crate) async fn timed(operations: usize, work: impl Future<Output = ()>) -> Sample {
    let (cpu, start) = (cpu_nanos(), Instant::now());
    work.await;
    let (wall, cpu) = (start.elapsed().as_nanos() as f64, cpu_nanos() - cpu);
    Sample { wall: wall / operations as f64, cpu: cpu / operations as f64 }
}

/// Runs `work` as a task of the runtime, where the callers of a library like this one are.
pub(crate) fn in_task<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let task = runtime.spawn(work);
    runtime.block_on(task).expect("a workload does not panic")
}

/// One side of a comparison: its name, and what does one round of it.
pub(crate) struct Side<'a> {
    pub(crate) name: String,
    pub(crate) round: Box<dyn FnMut() -> Sample + 'a>,
}

impl<'a> Side<'a> {
    pub(crate) fn new(name: impl Into<String>, round: impl FnMut() -> Sample + 'a) -> Self {
        Self { name: name.into(), round: Box::new(round) }
    }
}

/// Every round of one side.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) samples: Vec<Sample>,
}

/// Runs every side once to warm up, then `rounds` times in turn, so that what else the machine does
/// meets all of them.
pub(crate) fn interleave(rounds: usize, sides: Vec<Side<'_>>) -> Vec<Series> {
    let (mut series, mut sides) = (Vec::new(), sides);
    for side in &mut sides {
        (side.round)();
        series.push(Series { name: side.name.clone(), samples: Vec::with_capacity(rounds) });
    }
    for _ in 0..rounds {
        for (side, series) in sides.iter_mut().zip(&mut series) {
            series.samples.push((side.round)());
        }
    }
    series
}

impl Series {
    /// Of samples that were taken elsewhere.
    pub(crate) fn of(name: impl Into<String>, samples: Vec<Sample>) -> Self {
        Self { name: name.into(), samples }
    }

    /// The median time of an operation, in nanoseconds.
    pub(crate) fn wall(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.wall).collect())
    }

    /// The median processor time of an operation, in nanoseconds.
    pub(crate) fn cpu(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.cpu).collect())
    }

    /// The median, over the rounds, of how many times as long as `other` this took.
    pub(crate) fn wall_ratio(&self, other: &Self) -> f64 {
        let rounds = self.samples.iter().zip(&other.samples);
        median(rounds.map(|(a, b)| a.wall / b.wall).collect())
    }

    /// The median, over the rounds, of how much more processor time than `other` this took, in nanoseconds.
    pub(crate) fn cpu_over(&self, other: &Self) -> f64 {
        let rounds = self.samples.iter().zip(&other.samples);
        median(rounds.map(|(a, b)| a.cpu - b.cpu).collect())
    }

    /// The same of processor time.
    pub(crate) fn cpu_ratio(&self, other: &Self) -> f64 {
        let rounds = self.samples.iter().zip(&other.samples);
        median(rounds.map(|(a, b)| a.cpu / b.cpu).collect())
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Draws places evenly: xorshift, the same in every run.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// One of `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

//! Running a model under schedule after schedule.
//!
//! A model sets its stage, lets a few tasks [`race`], and checks what became of them. Only the race is
//! explored. Which schedules there are follows from one seed, which is printed; a schedule that fails is
//! written to a file that replays it, however it was found.

use std::future::Future;
use std::hash::BuildHasher;
use std::path::PathBuf;

use shuttle::scheduler::{
    PctScheduler, RandomScheduler, ReplayScheduler, Scheduler,
    UncontrolledNondeterminismCheckScheduler, UrwRandomScheduler,
};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::schedule::{Bounded, Staged, set_racing};

/// How many schedules all tests together explore if nobody says otherwise (`SIM_SCHEDULES`): a look, for
/// `cargo test`. `run` says how many make a check.
const SCHEDULES: usize = 20_000;

/// A number of the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().expect("a number"))
}

/// The name of the test that runs, which libtest gives its thread.
fn test() -> String {
    let name = std::thread::current().name().unwrap_or("main").to_owned();
    name.rsplit("::").next().unwrap_or_default().to_owned()
}

/// Where the schedules go that fail.
fn failures() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/failed").join(test());
    std::fs::create_dir_all(&folder).expect("a folder for the schedules that fail");
    folder
}

/// Runs `model` under the schedules of one scheduler.
fn run<F: Future<Output = ()>>(
    scheduler: impl Scheduler + 'static,
    model: impl Fn() -> F + Send + Sync + 'static,
) -> usize {
    let mut config = Config::new();
    config.stack_size = 0xF_0000;
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.silence_warnings = true;
    config.failure_persistence = FailurePersistence::File(Some(failures()));
    Runner::new(scheduler, config).run(move || shuttle::future::block_on(model()))
}

/// Runs the one schedule of a file, if the environment names one.
fn replays<F: Future<Output = ()>>(model: impl Fn() -> F + Send + Sync + 'static) -> bool {
    let Some(path) = std::env::var_os("SIM_REPLAY") else { return false };
    let replay = ReplayScheduler::new_from_file(path).expect("a file with a schedule");
    run(replay, model);
    true
}

/// Explores its share of the schedules, in thousandths of all: half of them at random, the rest by
/// schedulers that find what chance seldom does.
pub(crate) fn explore<F: Future<Output = ()>>(
    thousandths: usize,
    model: impl Fn() -> F + Send + Sync + Copy + 'static,
) {
    if replays(model) {
        return;
    }
    let all =
        number("SIM_SCHEDULES").map_or(SCHEDULES, |all| usize::try_from(all).expect("a size"));
    let seed = number("SIM_SEED").unwrap_or_else(|| std::hash::RandomState::new().hash_one(0));
    println!("sim_seed {seed}");
    let tenth = (all * thousandths / 10_000).max(1);
    let seeds: Vec<u64> = (0..4).map(|which| seed.wrapping_add(which)).collect();
    let started = std::time::Instant::now();
    // The last counts every step of every task, and has to see them all.
    let mut explored = run(Staged(RandomScheduler::new_from_seed(seeds[0], 5 * tenth)), model);
    explored += run(Staged(PctScheduler::new_from_seed(seeds[1], 3, 2 * tenth)), model);
    explored += run(Staged(PctScheduler::new_from_seed(seeds[2], 5, 2 * tenth)), model);
    explored += run(UrwRandomScheduler::new_from_seed(seeds[3], tenth), model);
    tell(explored, started);
}

/// Explores every schedule with at most so many delays, of each of the `ways` in which it can go.
pub(crate) fn explore_all<F: Future<Output = ()>>(
    delays: usize,
    ways: u32,
    model: impl Fn(u32) -> F + Send + Sync + Copy + 'static,
) {
    let delays = number("SIM_DELAYS").map_or(delays, |most| most as usize);
    let started = std::time::Instant::now();
    let mut explored = 0;
    for way in 0..ways {
        if !replays(move || model(way)) {
            explored += run(Staged(Bounded::new(delays, 1_000_000)), move || model(way));
        }
    }
    tell(explored, started);
}

/// Checks that a seed stands for one schedule: each is run twice, and must take the same steps.
pub(crate) fn explore_twice<F: Future<Output = ()>>(
    times: usize,
    model: impl Fn() -> F + Send + Sync + Copy + 'static,
) {
    let seed = number("SIM_SEED").unwrap_or_else(|| std::hash::RandomState::new().hash_one(0));
    println!("sim_seed {seed}");
    let started = std::time::Instant::now();
    let random = Staged(RandomScheduler::new_from_seed(seed, times));
    tell(run(UncontrolledNondeterminismCheckScheduler::new(random), model), started);
}

/// Says how many schedules there were.
fn tell(explored: usize, started: std::time::Instant) {
    println!("explored_schedules {explored} schedules");
    let millis = started.elapsed().as_millis().max(1);
    println!("rate {} schedules/s", explored as u128 * 1_000 / millis);
}

/// Lets `tasks` race, and waits for what they answer.
pub(crate) async fn race<T: Send + 'static>(
    tasks: impl IntoIterator<Item: Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(shuttle::future::spawn).collect();
    set_racing(true);
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("nobody aborts it"));
    }
    set_racing(false);
    answers
}

//! Sessions that come, are used and go, a million times: what is left of them.
//!
//! `cargo bench --bench churn`, with the lines and the flags of `figures`. A program of its own, since it counts
//! what is allocated, which would cost the others time: what is resident says little, for an allocator keeps
//! what was given back.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    clippy::print_stdout,
    dead_code,
    reason = "a program that measures: it prints, reads real clocks, and shares files with the other"
)]

#[path = "../figures/measure.rs"]
mod measure;
#[path = "../figures/report.rs"]
mod report;
#[path = "../figures/world.rs"]
mod world;

use std::alloc::System;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_supervisor::{Config, DeleteOutcome, SqliteOptions, SqliteStore, Supervisor};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::measure::in_task;
use crate::report::{Report, Target};
use crate::world::Said;

/// Counts what is allocated.
#[global_allocator]
static ALLOCATOR: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

/// How many come and go, after those that warm it up.
const CYCLES: usize = 1_000_000;

/// Those that fill what may be full: tombstones, shelves, buckets. As many as come and go while the first of
/// their tombstones stand, and more.
const WARM_UP: usize = 500_000;

/// How many come and go at once.
const TASKS: usize = 512;

/// For how many ids memory knows that they were deleted.
const TOMBSTONES: usize = 10_000;

/// By how much what is allocated may grow over a million that came and went.
const GROWTH: f64 = 1024.0 * 1024.0;

fn main() -> ExitCode {
    let given = |flag: &str| std::env::args().any(|argument| argument == flag);
    if !given("--bench") {
        // As a part of `cargo test --all-targets`: a test does not measure.
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new();
    run(&mut report);
    println!("{} short of the target", report.short);
    if report.short == 0 || given("--no-fail") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every figure of what comes and goes.
fn run(report: &mut Report) {
    // Threads that wait for a disk are the runtime's, and are not to be waited for long.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().thread_keep_alive(Duration::from_millis(500));
    let runtime = builder.build().expect("a runtime starts");
    let supervisor = runtime.block_on(Supervisor::builder().config(config()).start());
    cycles(report, &runtime, "memory", &supervisor.expect("it starts"), None);
    let folder = tempfile::tempdir().expect("a folder");
    let supervisor = runtime.block_on(async {
        let path = folder.path().join("churn.db");
        let store = SqliteStore::open(&path, SqliteOptions::default()).await.expect("it opens");
        Supervisor::builder().store(store).config(config()).start().await
    });
    cycles(report, &runtime, "sqlite", &supervisor.expect("it starts"), Some(folder.path()));
}

/// Deleted ids are forgotten soon, so that what is left is not hidden behind them.
fn config() -> Config {
    let mut config = Config::default();
    config.tombstones.max_in_memory = TOMBSTONES;
    config.tombstones.keep_for = Duration::from_secs(1);
    config.tombstones.sweep_every = Duration::from_secs(1);
    config
}

/// What there is besides sessions: what a leak would add to.
#[derive(Clone, Copy, Debug)]
struct Left {
    tasks: usize,
    threads: usize,
    /// Open files of the process.
    handles: usize,
    /// Files beside the store's.
    files: usize,
    /// What is allocated.
    bytes: f64,
}

impl Left {
    fn now(runtime: &Runtime, folder: Option<&Path>) -> Self {
        let count = |path: &Path| std::fs::read_dir(path).map_or(0, Iterator::count);
        Self {
            tasks: runtime.metrics().num_alive_tasks(),
            threads: count(Path::new("/proc/self/task")),
            handles: count(Path::new("/proc/self/fd")),
            files: folder.map_or(0, count),
            bytes: ALLOCATOR.allocated() as f64,
        }
    }
}

/// A million that come and go; what is left then, beside what was there after the first of them.
fn cycles(
    report: &mut Report,
    runtime: &Runtime,
    store: &str,
    supervisor: &Supervisor,
    folder: Option<&Path>,
) {
    in_task(runtime, come_and_go(supervisor.clone(), 0, WARM_UP));
    rest(runtime, supervisor);
    let before = Left::now(runtime, folder);
    let start = Instant::now();
    in_task(runtime, come_and_go(supervisor.clone(), WARM_UP, CYCLES));
    let each = start.elapsed().as_secs_f64() * 1e6 / CYCLES as f64;
    rest(runtime, supervisor);
    let after = Left::now(runtime, folder);

    let name = |what: &str| format!("churn/{store}/cycles={CYCLES} ({what})");
    let none = Some(Target::AtMost(0.0));
    report.line(&name("each"), (each, "us"), None, None);
    report.line(&name("slots left"), (supervisor.loaded() as f64, "slots"), None, none);
    let broken = supervisor.audit().broken.len() + supervisor.audit_counts().len();
    report.line(&name("rules broken"), (broken as f64, "rules"), None, none);
    let kept = (supervisor.tombstones() as f64, "ids");
    let most = Some(Target::AtMost(TOMBSTONES as f64));
    report.line(&name("tombstones in memory"), kept, None, most);
    for (what, before, after) in [
        ("tasks more", before.tasks, after.tasks),
        ("threads more", before.threads, after.threads),
        ("open files more", before.handles, after.handles),
        ("files more", before.files, after.files),
    ] {
        let more = after as f64 - before as f64;
        report.line(&name(what), (more, "more"), None, none);
    }
    let grown = (after.bytes - before.bytes) / 1024.0;
    let most = Some(Target::AtMost(GROWTH / 1024.0));
    report.line(&name("memory more"), (grown, "KiB"), None, most);
    runtime.block_on(supervisor.shutdown(Duration::from_secs(10))).expect("it closes");
}

/// Waits until nothing is under way; tasks and threads end a moment after their work does.
fn rest(runtime: &Runtime, supervisor: &Supervisor) {
    let start = Instant::now();
    let mut seen = (usize::MAX, 0);
    runtime.block_on(async {
        // The same number of tasks for a second, and long enough for tombstones and idle threads to go.
        while seen.1 < 15 || start.elapsed() < Duration::from_secs(12) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let tasks = runtime.metrics().num_alive_tasks();
            let same = tasks == seen.0 && supervisor.in_flight() == 0;
            seen = (tasks, if same { seen.1 + 1 } else { 0 });
            assert!(start.elapsed() < Duration::from_secs(60), "it does not come to rest");
        }
    });
}

/// Opens `count` keys, has a turn and a lease in each, and deletes it.
async fn come_and_go(supervisor: Supervisor, first: usize, count: usize) {
    let said = Said::short();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (supervisor, said) = (supervisor.clone(), Arc::clone(&said));
        tasks.spawn(async move {
            for number in (first + task..first + count).step_by(TASKS) {
                let session = supervisor.open(&world::key(number)).await.expect("it opens");
                let lease = session.lease("at work", Duration::from_secs(60)).await;
                world::turn(&session, &said).await;
                lease.expect("nobody else has one").release();
                let deleted = session.delete().await.expect("the store does not fail");
                assert!(matches!(deleted, DeleteOutcome::Deleted(_)));
            }
        });
    }
    tasks.join_all().await;
}

//! An hour of a real chat service, replayed through a supervisor on SQLite, chunk by chunk.
//!
//! `CONVERSATION_TRACE=<file> cargo bench --bench replay`, with the lines and the flags of `figures`; an excerpt
//! without that variable. Three times: as it was recorded, in simulated time; as fast as the machine can; and so
//! with `--copies N` of it side by side, a hundred unless said.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unchecked_time_subtraction,
    clippy::wildcard_enum_match_arm,
    dead_code,
    reason = "a program that measures: it prints, reads real clocks, and shares files with the other"
)]

#[path = "../figures/measure.rs"]
mod measure;
mod play;
#[path = "../figures/report.rs"]
mod report;
#[path = "../figures/start.rs"]
mod start;
mod trace;
#[path = "../figures/world.rs"]
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use session_supervisor::testing::PausedClock;
use session_supervisor::{Config, SqliteOptions, SqliteStore, Supervisor};
use tokio::runtime::Runtime;

use crate::measure::in_task;
use crate::play::{Pace, Played, missing, play};
use crate::report::{Report, Target};
use crate::start::resident_bytes;
use crate::trace::Trace;

/// How many sessions may be live at once, where that is bounded.
const MAX_LIVE: usize = 10_000;

/// How many side by side.
const COPIES: usize = 100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if !given("--bench") {
        // As a part of `cargo test --all-targets`: a test does not measure.
        return ExitCode::SUCCESS;
    }
    let copies = arguments.iter().skip_while(|it| *it != "--copies").nth(1);
    let copies = copies.map_or(COPIES, |copies| copies.parse().expect("a number of copies"));
    let trace = Arc::new(Trace::load());
    let mut report = Report::new();
    let count = |count: usize| count as f64;
    report.line("replay/trace/turns", (count(trace.requests.len()), "turns"), None, None);
    report.line("replay/trace/conversations", (count(trace.turns.len()), "keys"), None, None);
    report.line("replay/trace/tokens", (count(trace.tokens()), "tokens"), None, None);
    replay(&mut report, &trace, 1, Pace::Recorded);
    replay(&mut report, &trace, 1, Pace::Full);
    replay(&mut report, &trace, copies, Pace::Full);
    println!("{} short of the target", report.short);
    if report.short == 0 || given("--no-fail") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One replay, with a file of its own.
fn replay(report: &mut Report, trace: &Arc<Trace>, copies: usize, pace: Pace) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = match pace {
        Pace::Recorded => world::paused_runtime(),
        Pace::Full => world::runtime(),
    };
    let path = folder.path().join("replay.db");
    let (store, supervisor) = runtime.block_on(async {
        let store = SqliteStore::open(&path, SqliteOptions::default()).await.expect("it opens");
        let builder = Supervisor::builder().store(store.clone()).config(config(pace));
        let builder = match pace {
            Pace::Recorded => builder.clock(PausedClock::new()),
            Pace::Full => builder,
        };
        (store, builder.start().await.expect("it starts"))
    });
    let (before, start) = (resident_bytes(), Instant::now());
    let played = in_task(&runtime, play(supervisor.clone(), Arc::clone(trace), copies, pace));
    let took = start.elapsed();
    let name = |what: &str| {
        let pace = if pace == Pace::Recorded { "as_recorded" } else { "full_speed" };
        format!("replay/{}/{pace}/copies={copies} ({what})", trace.name)
    };
    tell(report, &name, &played, (trace.length() * copies as u32, took));
    let bytes = played.most_bytes.load(Ordering::Relaxed) as f64 - before;
    report.line(&name("most memory more"), (bytes / 1e6, "MB"), None, None);
    let seconds = if pace == Pace::Recorded { trace.length() } else { took }.as_secs_f64();
    let transactions = store.transactions() as f64;
    report.line(&name("transactions"), (transactions / seconds, "/s"), None, None);
    check(report, &name, (&runtime, &supervisor), &played, (trace, copies));
    runtime.block_on(supervisor.shutdown(Duration::from_secs(30))).expect("it closes");
}

/// What nothing of the trace is about does not come in between. Where an hour takes seconds nothing gets idle in it,
/// and what is live is bounded instead.
fn config(pace: Pace) -> Config {
    let mut config = Config::default();
    config.prune.every = Duration::ZERO;
    if pace == Pace::Full {
        config.idle.max_live = MAX_LIVE;
    }
    config
}

/// What was counted on the way.
fn tell(
    report: &mut Report,
    name: &impl Fn(&str) -> String,
    played: &Played,
    (recorded, took): (Duration, Duration),
) {
    let count = |count: u64| count as f64;
    let (turns, busy) =
        (count(played.turns.load(Ordering::Relaxed)), count(played.busy.load(Ordering::Relaxed)));
    report.line(&name("took"), (took.as_secs_f64(), "s"), None, None);
    let times = recorded.as_secs_f64() / took.as_secs_f64();
    let target = Some(Target::AtLeast(100.0));
    report.line(&name("traffic in its own time"), (times, "times"), None, target);
    report.line(&name("turns"), (turns / took.as_secs_f64(), "/s"), None, None);
    report.line(&name("came while another ran"), (busy, "turns"), None, None);
    for (what, taken) in [("begin", &played.begins), ("commit", &played.commits)] {
        let mut taken = std::mem::take(&mut *taken.lock());
        taken.sort_unstable();
        for (share, per_cent) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")] {
            let place = (taken.len() as f64 * share) as usize;
            let value = taken.get(place).copied().unwrap_or_default();
            report.line(&name(&format!("{what} {per_cent}")), (f64::from(value), "us"), None, None);
        }
    }
    let live = played.most_live.load(Ordering::Relaxed) as f64;
    report.line(&name("most live"), (live, "live"), None, None);
}

/// Whether everything is accounted for.
fn check(
    report: &mut Report,
    name: &impl Fn(&str) -> String,
    (runtime, supervisor): (&Runtime, &Supervisor),
    played: &Played,
    (trace, copies): (&Arc<Trace>, usize),
) {
    let none = Some(Target::AtMost(0.0));
    let missing = in_task(runtime, {
        let (supervisor, trace) = (supervisor.clone(), Arc::clone(trace));
        async move { missing(&supervisor, &trace, copies).await }
    });
    report.line(&name("turns not accounted for"), (missing as f64, "turns"), None, none);
    let counts = supervisor.counts();
    let lost = counts.turns_begun.abs_diff(played.turns.load(Ordering::Relaxed))
        + counts.turns_begun.abs_diff(counts.turns_committed);
    report.line(&name("turns counted otherwise"), (lost as f64, "turns"), None, none);
    let chunks = played.chunks.load(Ordering::Relaxed);
    let unread = chunks.abs_diff(played.read.load(Ordering::Relaxed));
    report.line(&name("chunks not accounted for"), (unread as f64, "chunks"), None, none);
    let broken = supervisor.audit().broken.len() + supervisor.audit_counts().len();
    report.line(&name("rules broken"), (broken as f64, "rules"), None, none);
}

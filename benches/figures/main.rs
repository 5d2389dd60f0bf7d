//! Measures what the library is held to, each figure beside its limit in the same run.
//!
//! `cargo bench --bench figures` prints one line for each: `name value unit ratio`, what the ratio is
//! of, its target and `ok` or `SHORT`. It fails if a figure falls short. `-- --only TEXT` measures
//! those whose group contains the text, `-- --no-fail` always ends well. See `benches/README.md`.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::unchecked_time_subtraction,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program that measures: it prints, reads real clocks and makes bare calls"
)]

mod conversation;
mod create;
mod disk;
mod dormant;
mod emit;
mod idle;
mod look_up;
mod measure;
mod report;
mod rivals;
mod start;
mod turns;
mod world;

use std::process::ExitCode;

use report::Report;

/// Off unless asked for, since it takes a minute to build.
#[cfg(bench_jemalloc)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures a group and prints its figures.
type Group = fn(&mut Report);

/// What can be asked for with `--only`, in the order in which it is measured.
const GROUPS: [(&str, Group); 14] = [
    ("look_up", look_up::run),
    ("touch", look_up::touch),
    ("create", create::create),
    ("delete", create::delete),
    ("turns_one_task", turns::one_task),
    ("turns_many_tasks", turns::many_tasks),
    ("conversation", conversation::run),
    ("emit", emit::run),
    ("sqlite", disk::run),
    ("start", start::run),
    ("idle", idle::run),
    ("dormant_stored", dormant::stored),
    ("dormant_listed", dormant::listed),
    ("dormant_woken", dormant::woken),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == start::PROBE) {
        let path = arguments.get(at + 1).expect("a path follows");
        start::probe(path.as_ref());
        return ExitCode::SUCCESS;
    }
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if !given("--bench") {
        // As a part of `cargo test --all-targets`: a test does not measure.
        return ExitCode::SUCCESS;
    }
    let only = arguments.iter().position(|argument| argument == "--only");
    let only = only.and_then(|at| arguments.get(at + 1)).map_or("", String::as_str);
    let mut report = Report::new();
    for (group, run) in GROUPS {
        if group.contains(only) {
            run(&mut report);
        }
    }
    println!("{} short of the target", report.short);
    if report.short == 0 || given("--no-fail") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

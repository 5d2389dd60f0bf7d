//! The same work done by what a person would pick instead, all in turn in one run.
//!
//! `cargo run --release` in this directory measures everything and prints it: first a line a figure, then
//! a table, then what is judged. It fails if a figure falls short. `benches/run` runs it and draws what it
//! found; `BENCHMARKS.md` says what is measured, and what the numbers do not say.
//!
//! ```text
//! session-supervisor-rivals [--quick] [--json FILE] [--no-fail] [GROUP…]
//! session-supervisor-rivals draw FILE [REPLAY]
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program that measures: it reads real clocks and makes bare calls"
)]

mod arguments;
mod draw;
mod figure;
mod group;
#[allow(dead_code, reason = "shared with `figures`, which uses all of it")]
#[path = "../../figures/rivals.rs"]
mod limits;
mod machine;
#[allow(dead_code, reason = "shared with `figures`, which uses all of it")]
#[path = "../../figures/measure.rs"]
mod measure;
mod memory;
mod popularity;
mod report;
mod rival;
mod scale;
mod stored;
#[allow(dead_code, reason = "shared with `figures`, which uses all of it")]
#[path = "../../figures/world.rs"]
mod world;

use std::process::ExitCode;

use crate::arguments::{Arguments, Task};
use crate::report::Report;

/// The same for everybody: the baselines were measured with it, and it can be asked what is allocated.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match arguments.task {
        Task::Measure => measure(&arguments),
        Task::Draw(file, replay) => {
            draw::all(&file, replay.as_deref());
            ExitCode::SUCCESS
        }
        Task::Probe(words) => {
            group::probe(&words);
            ExitCode::SUCCESS
        }
    }
}

/// Measures what was asked for, prints it, and writes it down.
fn measure(arguments: &Arguments) -> ExitCode {
    let mut report = Report::new(arguments.scale);
    for (name, run) in group::ALL {
        if arguments.groups.is_empty() || arguments.groups.iter().any(|group| group == name) {
            report.enter(name);
            run(&mut report);
        }
    }
    report.print();
    if let Some(file) = &arguments.json {
        report.write(file);
    }
    if report.short() == 0 || arguments.no_fail { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

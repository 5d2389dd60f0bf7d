//! Power cuts, failing disks and damaged files against the SQLite store, through the whole library.
//!
//! `disk-proof power | faults | scenes | damage` runs one of them; `run` beside the manifest runs all. Each
//! prints a line a figure, `name value unit`, its seed among them, and ends with 1 if something was not as it
//! has to be or less was done than was asked for.

mod creation;
mod damage;
mod disk;
mod faults;
mod habits;
mod power;
mod questions;
mod random;
mod rebuild;
mod report;
mod room;
mod said;
mod scenes;
mod twin;
mod vfs;
mod witness;
mod work;

use std::process::ExitCode;

use report::{Report, seed};

fn main() -> ExitCode {
    let told: Vec<_> = std::env::args().skip(1).collect();
    let proof: fn(&Report, u64) = match told.first().map(String::as_str) {
        Some("power") => power::prove,
        Some("faults") => faults::prove,
        Some("scenes") => scenes::prove,
        Some("damage") => damage::prove,
        _ => {
            eprintln!("usage: disk-proof power | faults | scenes | damage");
            return ExitCode::from(2);
        }
    };
    let seed = seed();
    let report = Report::new(&told[0], seed);
    proof(&report, seed);
    if report.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! Random histories of conversations, and what has to come of them: clocks and zones, jumps of the wall
//! clock, turns, hooks, pins, standings, passes and restarts, against a model that knows only the promises.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    clippy::format_push_string,
    reason = "for tests"
)]

#[path = "lifetimes/acts.rs"]
mod acts;
#[path = "lifetimes/clocks.rs"]
mod clocks;
#[path = "lifetimes/compare.rs"]
mod compare;
#[path = "lifetimes/doing.rs"]
mod doing;
#[path = "lifetimes/driver.rs"]
mod driver;
#[path = "lifetimes/endings.rs"]
mod endings;
#[path = "lifetimes/history.rs"]
mod history;
#[path = "lifetimes/host.rs"]
mod host;
#[path = "lifetimes/life.rs"]
mod life;
#[path = "lifetimes/model.rs"]
mod model;
#[path = "lifetimes/passes.rs"]
mod passes;
#[path = "lifetimes/play.rs"]
mod play;

use proptest::prelude::*;

use crate::history::{History, Kind, history};

/// How many histories; `PROPTEST_CASES` may ask for more.
fn config(least: u32) -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").map(|_| ProptestConfig::default().cases);
    ProptestConfig {
        cases: asked.map_or(least, |asked| asked.max(least)),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..ProptestConfig::default()
    }
}

fn run(history: &History) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(driver::play(history)).map_err(TestCaseError::fail)
}

proptest! {
    #![proptest_config(config(400))]

    // X1, X3, X4, X5, X6, X8, X10, X13, X14, X17, X19, X21
    #[test]
    fn conversations_last_as_long_as_they_should(
        history in history(&[Kind::Memory, Kind::Pending], 40),
    ) {
        run(&history)?;
    }
}

proptest! {
    #![proptest_config(config(40))]

    // The same, on a disk.
    #[test]
    fn conversations_on_a_disk_last_as_long_as_they_should(
        history in history(&[Kind::Sqlite], 40),
    ) {
        run(&history)?;
    }
}

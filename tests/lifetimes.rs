//! Random histories of conversations, and what has to come of them: clocks and zones, jumps of the wall
//! clock, turns, leases, hooks, pins, standings, passes and restarts, against a model that knows only the
//! promises.
//!
//! The model (`model`, with `life`, `clocks`, `endings`, `acts`, `passes`, `compare`, `play`) shares no code
//! with the library and has calendars of its own. The driver (`driver`, `doing`, `host`) plays a history
//! (`history`) in paused time, and looks at the store behind the supervisor after each step.
//!
//! How many histories it took to find the library broken in one place, once each:
//!
//! | broken | found after |
//! | --- | --- |
//! | a restart starts the idle clock anew | 0 |
//! | nobody looks at the clocks before a use | 0 |
//! | what the wall clock jumps counts as age | 1 |
//! | who looks at a session uses it | 2 |
//! | a lease keeps nothing | 9 |
//! | a pin keeps nothing | 9 |
//! | the end of a turn is no use | 17 |
//! | a hook that fails keeps nothing | 27 |
//! | a session used by a clock that was put back stays where it stood | 40 |
//! | a session may leave memory between its end and its delete | 72 as it was; broken again, not in 150 s |
//! | a lease ends by the wall clock of its beginning | 180 |
//! | until when it is fresh is not found out anew after a jump | 211 as it was; broken again, not in 150 s |
//!
//! Steps come one after the other and each has settled before the next. So what races is not found here; that
//! a session does not leave memory while it is used is shown in `unload.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    clippy::format_push_string,
    clippy::match_wildcard_for_single_variants,
    clippy::too_many_arguments,
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

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
use proptest::test_runner::RngSeed;

use session_supervisor::ExpiryRules;

use crate::history::{Finish, History, Kind, Mood, Policy, Settings, Step, Stop, history};

/// How many histories; `PROPTEST_CASES` may ask for more, which are others each time. Those that are played without
/// are always the same, so that what fails is the change.
fn config(least: u32) -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").map(|_| ProptestConfig::default().cases);
    ProptestConfig {
        rng_seed: if asked.is_some() { RngSeed::Random } else { RngSeed::Fixed(1) },
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

/// Sessions that end at four in the morning in Berlin.
fn in_the_morning() -> ExpiryRules {
    let mut rules = ExpiryRules::default();
    rules.calendar = Some("04:00 Europe/Berlin".parse().unwrap());
    rules
}

/// A history on memory from noon on, with `settings` as changed.
fn told(change: impl FnOnce(&mut Settings), steps: Vec<Step>) -> History {
    let mut settings = Settings {
        all: ExpiryRules::default(),
        classes: Vec::new(),
        prune_every: 0,
        attempts: 1,
        delete_closed_after: 0,
        unload_after: 0,
        max_live: 0,
        hook: false,
    };
    change(&mut settings);
    History { kind: Kind::Memory, settings, wall: 1_901_016_000_000, watched: false, steps }
}

// X1, X17: the hour at which a conversation ended was known for the clock that was a day ahead when it was
// created, and used to be taken for the one of a turn after the clock had been put back.
#[test]
fn a_turn_by_a_clock_that_was_put_back_ends_at_the_next_hour_that_it_shows() {
    let steps = vec![
        Step::Create { class: Some(0), own: Some(in_the_morning()) },
        Step::Jump { millis: -86_400_000 },
        Step::Restart { how: Stop::Shutdown, away: 0, settings: None },
        Step::Begin { who: 0, policy: Policy::Reject },
        Step::Finish { turn: 0, how: Finish::Commit },
        Step::Edge { who: 0, late: 0 },
        Step::Pin { who: 0, pinned: false },
    ];
    run(&told(|_| (), steps)).unwrap();
}

// X8, X10, X15: a session that had to make room was asked about anew as soon as it was loaded, and whoever had
// come for it waited as long as the host hung.
#[test]
fn who_comes_for_a_session_that_makes_room_is_not_held_up_by_a_hook_for_ever() {
    let steps = vec![
        Step::Say { key: 0 },
        Step::Open { key: 1, class: None, own: None },
        Step::Mood { keeps: Mood::Hangs, rites: Mood::Well },
        Step::Wait { millis: 86_400_000 },
        Step::Open { key: 1, class: None, own: None },
    ];
    let settings = |settings: &mut Settings| {
        settings.all = in_the_morning();
        settings.max_live = 1;
        settings.hook = true;
    };
    run(&told(settings, steps)).unwrap();
}

// D1, G1: the model took a turn that an earlier run had told to end for one of this run, where little time had gone by
// when it was told and the start took long.
#[test]
fn a_turn_that_was_told_to_end_ends_with_its_run() {
    let settings = |settings: &mut Settings| settings.hook = true;
    let again = told(settings, Vec::new()).settings;
    let steps = vec![
        Step::Open { key: 0, class: None, own: None },
        Step::Mood { keeps: Mood::Well, rites: Mood::Hangs },
        Step::Begin { who: 0, policy: Policy::Reject },
        Step::Cancel { who: 0 },
        Step::Restart { how: Stop::Crash, away: 0, settings: Some(Box::new(again)) },
    ];
    run(&told(|_| (), steps)).unwrap();
}

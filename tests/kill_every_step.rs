//! A process that is killed at every step of what it does: before each write to the store, in the middle of
//! it, after it, and between the writes. After the restart, what was acknowledged is there exactly once, a
//! reply is there up to the last piece that was stored, and every turn has one end.
//!
//! The child is this test binary, run again for one test that does nothing unless it is told to. It works
//! through a scenario ([`child`]) on a store that counts its steps ([`points`]), and kills itself at one of
//! them. It says on its output what it was told ([`log`]); the parent opens the file again and compares
//! ([`check`]). Unlike `tests/crash.rs`, which kills at random, this leaves no step out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]
// A signal ends the child.
#![cfg(unix)]

#[path = "kill_every_step/check.rs"]
mod check;
#[path = "kill_every_step/child.rs"]
mod child;
#[path = "kill_every_step/log.rs"]
mod log;
#[path = "kill_every_step/points.rs"]
mod points;
#[path = "support/stage.rs"]
mod stage;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use check::Parent;
use log::Log;
use session_supervisor::{ChatMessage, Config, PartialPolicy, Supervisor, SupervisorBuilder};

/// Names the job for the child.
const CHILD: &str = "KILL_EVERY_STEP_CHILD";

/// How many chunks are a piece.
const PIECE: usize = 8;

/// What a child is to do.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) scenario: String,
    /// What becomes of replies that are not finished.
    pub(crate) policy: String,
    /// Whether it is to leave something for the child that comes next.
    pub(crate) prelude: bool,
    /// Names its sessions apart from those of the other rounds on the same file.
    pub(crate) round: u64,
    /// The step at which it dies; 0 for none.
    pub(crate) last: u64,
    pub(crate) path: String,
}

impl Job {
    /// The chat of a session.
    pub(crate) fn chat(&self, name: &str) -> String {
        format!("{}{name}", self.round)
    }

    fn told(&self) -> String {
        let Self { scenario, policy, prelude, round, last, path } = self;
        format!("{scenario} {policy} {prelude} {round} {last} {path}")
    }

    fn parse(told: &str) -> Self {
        let words: Vec<_> = told.splitn(6, ' ').collect();
        let [scenario, policy, prelude, round, last, path] = words[..] else { panic!("{told}") };
        Self {
            scenario: scenario.to_owned(),
            policy: policy.to_owned(),
            prelude: prelude.parse().unwrap(),
            round: round.parse().unwrap(),
            last: last.parse().unwrap(),
            path: path.to_owned(),
        }
    }
}

/// The settings of child and parent.
pub(crate) fn builder(policy: &str) -> SupervisorBuilder {
    let mut config = Config::default();
    config.partials.interrupted = match policy {
        "beside" => PartialPolicy::Beside,
        "entry" => PartialPolicy::Entry,
        "drop" => PartialPolicy::Drop,
        other => panic!("{other}"),
    };
    config.partials.every_chunks = PIECE;
    // No piece for its age alone: the steps are the same however slow the machine is.
    config.partials.every = Duration::from_secs(3_600);
    // These crashes are wanted.
    (config.recovery.max_crashes, config.recovery.max_restarts) = (0, 0);
    let bracketed = |text: &str| ChatMessage::assistant(format!("[{text}]"));
    Supervisor::builder().config(config).partial_entry(bracketed)
}

#[test]
fn the_child_that_kills_itself() {
    let Ok(told) = std::env::var(CHILD) else { return };
    child::run(&Job::parse(&told));
}

/// Runs a child to its end, and takes in what it says.
fn run(job: &Job, log: &mut Log) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child_that_kills_itself", "--nocapture"])
        .env(CHILD, job.told())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    log.next_child();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        log.take_in(&line.unwrap());
    }
    let status = child.wait().unwrap();
    if log.done {
        assert!(status.success(), "{status} of {job:?}");
    } else {
        assert_eq!(status.signal(), Some(9), "{job:?}");
    }
}

/// Runs a scenario once to its end, and once for each of its steps.
fn kill_at_every_step(scenario: &str, policy: &str, writes: &[(&str, usize)]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db").to_str().unwrap().to_owned();
    let (scenario, policy) = (scenario.to_owned(), policy.to_owned());
    let mut job = Job { scenario, policy, prelude: false, round: 0, last: 0, path };
    let mut parent = Parent::default();
    let mut steps = Vec::new();
    let mut killed = 0;
    loop {
        let mut log = Log::default();
        if ["again", "starts"].contains(&&*job.scenario) {
            job.prelude = true;
            run(&job, &mut log);
            job.prelude = false;
        }
        run(&job, &mut log);
        let what = format!(
            "{} {}, round {}: {:?}",
            job.scenario,
            job.policy,
            job.round,
            log.points.last()
        );
        let checked = std::panic::AssertUnwindSafe(|| parent.compare(&job, &log));
        std::panic::catch_unwind(checked).unwrap_or_else(|_| panic!("{what}: see above\n{log:#?}"));
        // How many steps there are is not known where chunks are said while the store writes.
        let is_exact = job.scenario != "flow";
        if job.round == 0 {
            assert!(log.done, "{job:?}");
            steps.clone_from(&log.points);
        } else if log.done {
            assert!(!is_exact, "{what}: it was not killed");
            break;
        } else {
            killed += 1;
            assert_eq!(log.points.len() as u64, job.last);
            assert!(!is_exact || steps.starts_with(&log.points), "{what} of {steps:?}");
        }
        if is_exact && job.round == steps.len() as u64 {
            break;
        }
        job.round += 1;
        job.last = job.round;
    }
    for (kind, count) in writes {
        for place in ["before", "in", "after"] {
            let step = format!("{place} {kind}");
            let there = steps.iter().filter(|name| **name == step).count();
            assert!(there == *count || (job.scenario == "flow" && there > 0), "{step}: {there}");
        }
    }
    let kinds: BTreeSet<_> = steps.iter().collect();
    println!(
        "{} {}: killed at {killed} steps of {} kinds, {}",
        job.scenario,
        job.policy,
        kinds.len(),
        parent.summary()
    );
}

// G2, G3, C10, C11, G10
#[test]
fn a_reply_that_is_cut_off_at_any_step_is_there_up_to_the_last_piece() {
    kill_at_every_step(
        "reply",
        "beside",
        &[("create", 1), ("begin", 1), ("partial", 6), ("end", 1)],
    );
}

// C10: a piece is with the store while the next chunks are said.
#[test]
fn a_reply_that_does_not_wait_for_the_store_is_a_prefix_wherever_it_is_cut_off() {
    kill_at_every_step("flow", "beside", &[("begin", 1), ("partial", 6), ("end", 1)]);
}

// C7, C10, C11
#[test]
fn every_end_without_a_reply_happened_or_did_not_and_what_was_said_stays_beside() {
    let writes = [("create", 1), ("begin", 6), ("partial", 5), ("end", 6)];
    kill_at_every_step("ends", "beside", &writes);
}

// C7, C10, C11
#[test]
fn every_end_without_a_reply_happened_or_did_not_and_what_was_said_is_one_entry() {
    let writes = [("create", 1), ("begin", 6), ("partial", 5), ("end", 6)];
    kill_at_every_step("ends", "entry", &writes);
}

// C7, C11
#[test]
fn every_end_without_a_reply_happened_or_did_not_and_what_was_said_goes() {
    let writes = [("create", 1), ("begin", 6), ("partial", 0), ("end", 6)];
    kill_at_every_step("ends", "drop", &writes);
}

// G2, G3, C11, F6
#[test]
fn of_turns_in_a_row_and_one_that_waits_each_was_begun_or_was_not() {
    let writes = [("create", 1), ("begin", 3), ("partial", 3), ("end", 3)];
    kill_at_every_step("queue", "beside", &writes);
}

// C7, C9, C10, G10
#[test]
fn a_turn_that_is_done_over_has_its_input_once_and_what_was_taken_back_is_kept() {
    // The first end is that of the interrupted turn, by the start.
    let writes = [("patch", 1), ("begin", 3), ("partial", 2), ("end", 4), ("back", 1)];
    kill_at_every_step("again", "beside", &writes);
}

// G2: a message that is delivered again after the restart.
#[test]
fn a_begin_with_a_name_that_is_cut_off_and_repeated_begins_one_turn() {
    let writes = [("create", 1), ("begin", 1), ("partial", 1), ("end", 1)];
    kill_at_every_step("named", "beside", &writes);
}

// G2, C10
#[test]
fn what_was_said_to_a_running_turn_is_there_once() {
    let writes = [("create", 1), ("begin", 2), ("steer", 2), ("partial", 1), ("end", 2)];
    kill_at_every_step("steer", "beside", &writes);
}

// G8, G10, H9, C10, C11
#[test]
fn a_start_that_is_cut_off_is_finished_by_the_next_and_each_turn_is_told_once() {
    kill_at_every_step("starts", "beside", &[("patch", 3), ("end", 4)]);
}

// G8, G10, C10, C11
#[test]
fn a_start_that_is_cut_off_makes_no_reply_an_entry_twice() {
    kill_at_every_step("starts", "entry", &[("patch", 3), ("end", 4)]);
}

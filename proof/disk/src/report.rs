//! What a proof tells: a line a figure, and at the end whether everything was as it has to be.

use std::fmt::Display;
use std::sync::Mutex;
use std::time::Instant;

use crate::witness::lock;

/// How many problems are told in full.
const TOLD: usize = 20;

/// The figures of one proof.
#[derive(Debug)]
pub(crate) struct Report {
    /// What was not as it has to be.
    problems: Mutex<Vec<String>>,
    /// When it began.
    began: Instant,
}

impl Report {
    /// One without figures. Tells what would be needed to see the same again.
    pub(crate) fn new(name: &str, seed: u64) -> Self {
        println!("proof {name} -");
        println!("seed {seed} -");
        Self { problems: Mutex::new(Vec::new()), began: Instant::now() }
    }

    /// A figure.
    pub(crate) fn figure(&self, name: &str, value: impl Display, unit: &str) {
        println!("{name} {value} {unit}");
    }

    /// A figure that must not be smaller.
    pub(crate) fn at_least(&self, name: &str, value: usize, unit: &str, least: usize) {
        self.figure(name, value, unit);
        if value < least {
            self.problem(format!("{name} is {value}, at least {least} are needed"));
        }
    }

    /// A figure that must be this.
    pub(crate) fn exactly(&self, name: &str, value: usize, unit: &str, wanted: usize) {
        self.figure(name, value, unit);
        if value != wanted {
            self.problem(format!("{name} is {value} and not {wanted}"));
        }
    }

    /// Something that must not be.
    pub(crate) fn problem(&self, problem: String) {
        let mut problems = lock(&self.problems);
        problems.push(problem);
        if problems.len() <= TOLD {
            eprintln!("problem: {}", problems[problems.len() - 1]);
        }
    }

    /// How many there were so far.
    pub(crate) fn problems(&self) -> usize {
        lock(&self.problems).len()
    }

    /// Whether there was none.
    pub(crate) fn end(self) -> bool {
        self.figure("seconds", format_args!("{:.1}", self.began.elapsed().as_secs_f64()), "s");
        self.figure("problems", self.problems(), "problems");
        self.problems() == 0
    }
}

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    let Ok(told) = std::env::var(name) else { return default };
    told.parse().unwrap_or_else(|_| panic!("{name} is a number, not {told:?}"))
}

/// A seed from the environment, or a fresh one.
pub(crate) fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let fresh = now.map_or(1, |now| now.as_secs() ^ u64::from(now.subsec_nanos()) << 20);
    setting("PROOF_SEED", fresh % 1_000_000_000)
}

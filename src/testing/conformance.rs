//! One suite that runs against every store.
//!
//! Each check gets a new store, does what a supervisor might do to it, and says what differs from
//! what the [store contract](crate::store) promises. After each, the store must find nothing wrong
//! with itself. The checks are named by sentences; a failed one is found by its name.

mod content;
mod create;
mod delete;
mod differential;
mod extras;
mod handover;
mod keys;
mod lanes;
mod listing;
mod partials;
mod put_back;
mod requests;
mod resume;
mod revisions;
mod rig;
mod rotation;
mod runs;
mod settle;
mod snapshot;
mod steering;
mod turns;

use std::fmt;
use std::future::Future;

pub use differential::{differential, differential_by};

use self::rig::{Check, Rig, Verdict};
use crate::rt::Arc;
use crate::store::Store;

/// The seed and the length of the random sequence that is part of the suite.
const SEQUENCE: (u64, usize) = (0x5e55_1075, 2_000);

/// What the suite found.
#[derive(Clone, Debug, Default)]
#[must_use = "a report says nothing until it is looked at; `assert` panics if a check failed"]
pub struct Conformance {
    /// The checks, in the order in which they ran.
    checks: Vec<CheckResult>,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckResult {
    /// The check: a sentence with underscores.
    pub name: &'static str,
    /// What differs from the contract, if anything does.
    pub result: Result<(), String>,
}

impl Conformance {
    /// All checks, in the order in which they ran.
    pub fn checks(&self) -> &[CheckResult] {
        &self.checks
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &CheckResult> {
        self.checks.iter().filter(|check| check.result.is_err())
    }

    /// Whether the check of this name failed.
    ///
    /// # Panics
    ///
    /// If there is no such check: a misspelt name would never fail.
    pub fn failed(&self, name: &str) -> bool {
        let check = self.checks.iter().find(|check| check.name == name);
        check.expect("the suite has a check of this name").result.is_err()
    }

    /// Panics unless every check passed.
    ///
    /// # Panics
    ///
    /// If a check failed, with the names of all that did and what differs.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.failures().next().is_none(), "{self}");
    }
}

impl fmt::Display for Conformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failures().count();
        write!(f, "{failed} of {} checks of the store failed", self.checks.len())?;
        for check in self.failures() {
            let differs = check.result.as_ref().err().map_or("", String::as_str);
            write!(f, "\n- {}: {differs}", check.name)?;
        }
        Ok(())
    }
}

/// Runs the suite. `fresh` gives a new and empty store for each check.
///
/// Where there is a runtime of several threads, the checks of what happens at once use them.
///
/// # Cancel safety
///
/// If it is dropped, the check that runs ends where it is and there is no report.
pub async fn conformance<F, Fut, S>(fresh: F) -> Conformance
where
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
    S: Store,
{
    let mut report = Conformance::default();
    for check in all() {
        let rig = Rig::new(Arc::new(fresh().await));
        let verdict = (check.run)(rig.clone()).await;
        let result = finish(&rig, verdict).await;
        report.checks.push(CheckResult { name: check.name, result });
    }
    let (seed, steps) = SEQUENCE;
    let result = differential(fresh, seed, steps).await;
    report.checks.push(CheckResult {
        name: "a_random_sequence_has_the_answers_of_the_memory_store",
        result,
    });
    report
}

/// Every check but the random sequence.
fn all() -> impl Iterator<Item = &'static Check> {
    let parts = [
        create::CHECKS,
        turns::CHECKS,
        settle::CHECKS,
        steering::CHECKS,
        partials::CHECKS,
        revisions::CHECKS,
        put_back::CHECKS,
        requests::CHECKS,
        resume::CHECKS,
        content::CHECKS,
        delete::CHECKS,
        keys::CHECKS,
        rotation::CHECKS,
        listing::CHECKS,
        lanes::CHECKS,
        runs::CHECKS,
        handover::CHECKS,
    ];
    parts.into_iter().flatten()
}

/// Has the store look at itself after a check, and closes it.
async fn finish(rig: &Rig, verdict: Verdict) -> Verdict {
    let healthy = rig.healthy().await;
    let closed = rig.store().close().await;
    verdict?;
    healthy?;
    closed.map_err(|error| format!("could not be closed after the check: {error}"))
}

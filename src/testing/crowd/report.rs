//! What became of a crowd.

use std::collections::BTreeMap;
use std::fmt;

use super::model::{Answer, Call};
use super::{Counted, MAX_ILLEGAL};
use crate::testing::Verdict;
use crate::testing::settled::Unsettled;

/// What became of a [`Crowd`](super::Crowd).
#[derive(Clone, Debug, Default)]
#[must_use = "a report says nothing until it is looked at; `assert` panics if something is wrong"]
pub struct CrowdReport {
    /// What the deeds followed from.
    seed: u64,
    /// How many operations were checked.
    operations: u64,
    /// How many histories there were.
    pub(super) histories: u64,
    /// Those for which there is no order, as a person reads them.
    illegal: Vec<String>,
    /// Those of which it cannot be told.
    too_hard: Vec<String>,
    /// What hung, or panicked.
    pub(super) hung: Option<String>,
    /// What was wrong when nothing was under way.
    unsettled: Vec<String>,
    /// How often each answer was given.
    answers: BTreeMap<&'static str, u64>,
    /// How often a session left memory.
    pub(super) unloaded: u64,
}

impl CrowdReport {
    /// Of a crowd that has done nothing.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Whether there is more to be done, for so many operations.
    pub(super) fn is_going_on(&self, operations: u64) -> bool {
        let told = self.too_hard.len() as u64 <= self.histories / 100 + MAX_ILLEGAL as u64;
        let legal = self.illegal.len() < MAX_ILLEGAL;
        self.operations < operations && legal && told && self.hung.is_none()
    }

    /// Adds what was found of a history.
    pub(super) fn add<E: fmt::Display>(
        &mut self,
        checked: Result<(u64, Counted, Verdict<Call, Answer>), E>,
    ) {
        let (operations, counted, verdict) = match checked {
            Ok(checked) => checked,
            Err(error) => return self.hung = Some(format!("the checker: {error}")),
        };
        if !matches!(verdict, Verdict::TooHard(_)) {
            self.operations += operations;
        }
        for (answer, count) in counted {
            *self.answers.entry(answer).or_default() += count;
        }
        match verdict {
            Verdict::Legal => {}
            Verdict::Illegal(illegal) => self.illegal.push(illegal.to_string()),
            Verdict::TooHard(part) => self.too_hard.push(part),
        }
    }

    /// Adds what was found when nothing was under way.
    pub(super) fn settled(&mut self, settled: Result<(), Unsettled>) {
        self.unsettled.extend(settled.err().map(|unsettled| unsettled.to_string()));
    }

    /// How many operations were checked.
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// How many histories they made up, each checked by itself.
    pub const fn histories(&self) -> u64 {
        self.histories
    }

    /// The histories for which there is no order, shrunk and told so that a person can read them. After three
    /// the crowd stops.
    pub fn illegal(&self) -> &[String] {
        &self.illegal
    }

    /// How many histories could not be told, since there were too many orders to look at. Their operations do not
    /// count as checked.
    pub const fn untold(&self) -> usize {
        self.too_hard.len()
    }

    /// How often each answer was given, by its name: what a test looks at to be sure that everything happens.
    pub const fn answers(&self) -> &BTreeMap<&'static str, u64> {
        &self.answers
    }

    /// How often a session left memory.
    pub const fn unloaded(&self) -> u64 {
        self.unloaded
    }

    /// Whether nothing is wrong, and at most one history in a hundred could not be told.
    pub fn is_clean(&self) -> bool {
        self.illegal.is_empty()
            && self.too_hard.len() as u64 <= self.histories / 100
            && self.hung.is_none()
            && self.unsettled.is_empty()
    }

    /// Panics unless nothing is wrong.
    ///
    /// # Panics
    ///
    /// If there was no order, too many histories could not be told, something hung, or something was wrong when
    /// nothing was under way.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.is_clean(), "{self}");
    }
}

impl fmt::Display for CrowdReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, operations, histories, illegal, too_hard, hung, unsettled, .. } = self;
        write!(f, "seed {seed}: {operations} operations in {histories} histories; ")?;
        write!(f, "{} in no order, {} not told", illegal.len(), too_hard.len())?;
        illegal.iter().try_for_each(|illegal| write!(f, "\n\n{illegal}"))?;
        too_hard.iter().try_for_each(|part| write!(f, "\n\ntoo hard: {part}"))?;
        hung.iter().try_for_each(|hung| write!(f, "\n\nhung: {hung}"))?;
        unsettled.iter().try_for_each(|wrong| write!(f, "\n\nat rest: {wrong}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of a hundred histories of ten operations, so many of which could not be told.
    fn untold(untold: u64) -> CrowdReport {
        let mut report = CrowdReport::new(0);
        for history in 0..100 {
            let told = history >= untold;
            let verdict = if told { Verdict::Legal } else { Verdict::TooHard("a part".to_owned()) };
            report.histories += 1;
            report.add(Ok::<_, &str>((10, Counted::default(), verdict)));
        }
        report
    }

    // A long run met one now and then, and failed as if something were wrong.
    #[test]
    fn one_history_in_a_hundred_may_be_too_hard_and_counts_as_nothing() {
        let [none, one, two, many] = [0, 1, 2, 5].map(untold);
        assert_eq!([&none, &one, &two].map(CrowdReport::is_clean), [true, true, false]);
        assert_eq!([&none, &one, &two].map(CrowdReport::operations), [1_000, 990, 980]);
        assert_eq!(two.untold(), 2);
        // It ends where nothing can be told any more.
        assert_eq!([&one, &many].map(|it| it.is_going_on(1_000)), [true, false]);
    }
}

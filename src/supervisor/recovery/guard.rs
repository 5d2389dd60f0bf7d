//! What keeps a process from crashing over the same conversation for ever.
//!
//! Two counts, and neither needs a clock that is right: how many starts in a row found a session with an open
//! turn, which is kept with the session, and how many starts followed a crash of late, which the runs
//! tell. A session that was suspended before stays so.

use crate::clock::Timestamp;
use crate::config::RecoveryConfig;
use crate::store::{Record, RunRecord};

/// What is done about a loop, at one start.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    /// Whether the run before this one has no mark.
    crashed: bool,
    /// How many starts within the window followed such a run, this one included.
    restarts: u32,
    /// The settings.
    config: &'a RecoveryConfig,
    /// When the start is.
    now: Timestamp,
}

impl<'a> Guard<'a> {
    /// For a start at `now`, after the runs `earlier`, newest first.
    pub(super) fn new(earlier: &[RunRecord], config: &'a RecoveryConfig, now: Timestamp) -> Self {
        let after_crash = |before: &RunRecord| before.stop.is_none();
        let starts = std::iter::once(now).chain(earlier.iter().map(|run| run.started_at));
        let late = |at: Timestamp| now.since(at) <= config.loop_window;
        let restarts = starts.zip(earlier).filter(|(at, before)| late(*at) && after_crash(before));
        Self {
            crashed: earlier.first().is_some_and(after_crash),
            restarts: u32::try_from(restarts.count()).unwrap_or(u32::MAX),
            config,
            now,
        }
    }

    /// How many starts within the window followed a crash.
    pub(super) fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Whether this start is one of too many.
    pub(super) fn is_looping(&self) -> bool {
        let most = self.config.max_restarts;
        self.crashed && most > 0 && self.restarts >= most
    }

    /// How many starts in a row have found the session of `record` with an open turn, now that this one has.
    pub(super) fn crashes(&self, record: &Record) -> u32 {
        // A turn whose end the store did not take is no crash.
        record.crashes.saturating_add(u32::from(self.crashed))
    }

    /// Whether that session is to be suspended, if there were so many.
    pub(super) fn suspends(&self, record: &Record, crashes: u32) -> bool {
        let most = self.config.max_crashes;
        let too_often = most > 0 && crashes >= most;
        self.crashed && record.standing.is_active() && (too_often || self.is_looping())
    }

    /// Whether a turn of that session that was begun at `began_at` may be done over, if it is not suspended.
    pub(super) fn offers(&self, record: &Record, began_at: Timestamp) -> bool {
        let within = self.config.resume_within;
        let fresh = !within.is_zero() && self.now.since(began_at) <= within;
        fresh && record.standing.is_active() && !self.is_looping()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::InstanceId;
    use crate::store::{CleanStop, DrainCounts};

    const MINUTE: u64 = 60_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A run that was started then.
    fn run(started_at: u64, clean: bool) -> RunRecord {
        let stop = CleanStop { at: at(started_at), turns: DrainCounts::default() };
        let instance = InstanceId::from_random(started_at.into());
        RunRecord { instance, started_at: at(started_at), stop: clean.then_some(stop) }
    }

    // H7
    #[test]
    fn only_starts_after_a_crash_count_and_only_those_of_late() {
        let config = RecoveryConfig::default();
        let now = 100 * MINUTE;
        let count = |earlier: &[RunRecord]| {
            let guard = Guard::new(earlier, &config, at(now));
            (guard.restarts(), guard.is_looping())
        };
        assert_eq!(count(&[]), (0, false));
        assert_eq!(count(&[run(99 * MINUTE, true)]), (0, false));
        assert_eq!(count(&[run(3, false)]), (1, false));
        // The start at 99 followed a crash, this one did not.
        assert_eq!(count(&[run(99 * MINUTE, true), run(98 * MINUTE, false)]), (1, false));
        let crashed =
            |ago: &[u64]| -> Vec<_> { ago.iter().map(|ago| run(now - ago, false)).collect() };
        assert_eq!(count(&crashed(&[1, 2, 3, 4])), (4, false));
        assert_eq!(count(&crashed(&[1, 2, 3, 4, 5])), (5, true));
        assert_eq!(count(&crashed(&[1, 2, 3, 10 * MINUTE, 11 * MINUTE])), (5, true));
        assert_eq!(count(&crashed(&[1, 2, 3, 10 * MINUTE + 1, 11 * MINUTE])), (4, false));
        // Five of late, and then one that ended in good order: no loop any more.
        let mut over = crashed(&[2, 3, 4, 5, 6, 7]);
        over.insert(0, run(now - 1, true));
        assert_eq!(count(&over), (6, false));
        // A clock that was set back makes no start older than it is.
        assert_eq!(count(&[run(now + MINUTE, false), run(now + MINUTE, false)]), (2, false));
    }
}

//! Jumps of the wall clock.
//!
//! What is stored has times of the wall clock. If that jumps forward by a day, everything looks a day older,
//! and if it jumps back, younger. The second does no harm: what is younger expires later. The first would
//! end conversations that nobody has left. So the wall clock is compared with the one that does not jump,
//! and what it went ahead is not counted as age of anything that was stored before.
//!
//! What an earlier run stored by a clock that was ahead of this one's is measured by the wall clock alone: it
//! may be this one that is wrong, and is put right later.
//!
//! A clock that goes ahead and is put back has left nothing behind, so one that is wrong for an hour makes
//! nothing live longer than that.
//!
//! That also leaves out the time for which the machine slept. What happened before this run of the process
//! cannot be told from time that has passed, and counts.

use std::time::Duration;

use crate::clock::{Now, Timestamp};

/// What the two clocks may differ by without it being a jump. Clocks that are disciplined go up to 0.05 %
/// faster or slower: a second in half an hour.
const TOLERANCE: Duration = Duration::from_secs(2);

/// How many jumps are remembered; older ones are added together, as if they had come later than they did.
const REMEMBERED: usize = 32;

/// The jumps that were seen.
#[derive(Debug)]
pub(crate) struct Drift {
    /// What the clocks said when they were compared last.
    seen: Now,
    /// The latest time that the wall clock has shown in this run, as far as is known. What was stored may say
    /// so, even if the clock was put back since.
    latest: Timestamp,
    /// Each jump forward: what was stored up to then, and by how much.
    jumps: Vec<(Timestamp, Duration)>,
}

impl Drift {
    /// From `now` on.
    pub(crate) const fn new(now: Now) -> Self {
        Self { seen: now, latest: now.wall, jumps: Vec::new() }
    }

    /// Compares the clocks; answers by how much the wall clock went ahead, if it did.
    pub(crate) fn observe(&mut self, now: Now) -> Option<Duration> {
        if now.moment < self.seen.moment {
            return None; // Read before what was compared last.
        }
        let expected = self.seen.wall.plus(now.moment.since(self.seen.moment));
        let latest = self.latest.max(expected);
        self.latest = latest.max(now.wall);
        let (ahead, behind) = (now.wall.since(expected), expected.since(now.wall));
        // Small differences add up until they are seen: the mark stays where it was.
        if ahead.max(behind) <= TOLERANCE {
            return None;
        }
        self.seen = now;
        self.take_back(behind);
        if ahead.is_zero() {
            return None;
        }
        // It may have jumped at any time since; as late as possible is late for everybody. What says later than
        // that was stored before all the same, if the clock was put back in between.
        let before = latest.min(now.wall.minus(Duration::from_millis(1)));
        self.jumps.push((now.wall.minus(ahead).max(before), ahead));
        if self.jumps.len() > REMEMBERED {
            let (_, oldest) = self.jumps.remove(0);
            if let Some((_, next)) = self.jumps.first_mut() {
                *next += oldest;
            }
        }
        Some(ahead)
    }

    /// The clock went back: what it had gone ahead last is not ahead any more.
    fn take_back(&mut self, mut behind: Duration) {
        while !behind.is_zero()
            && let Some((_, ahead)) = self.jumps.last_mut()
        {
            let undone = behind.min(*ahead);
            *ahead -= undone;
            behind -= undone;
            if ahead.is_zero() {
                self.jumps.pop();
            }
        }
    }

    /// How long ago `at` was, which was stored, at `now`.
    pub(crate) fn age(&self, at: Timestamp, now: Timestamp) -> Duration {
        let ahead = self.jumps.iter().filter(|(until, _)| at <= *until).map(|(_, ahead)| *ahead);
        now.since(at).saturating_sub(ahead.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;

    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(86_400);
    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn now(passed: Duration, ahead: Duration) -> Now {
        Now { moment: Moment::after_start(passed), wall: START.plus(passed + ahead) }
    }

    // X3
    #[test]
    fn what_the_wall_clock_went_ahead_is_no_age() {
        let minute = Duration::from_secs(60);
        let mut drift = Drift::new(now(Duration::ZERO, Duration::ZERO));
        assert_eq!(drift.observe(now(minute, Duration::ZERO)), None);
        assert_eq!(drift.observe(now(2 * minute, DAY)), Some(DAY));
        let later = now(5 * minute, DAY);
        assert_eq!(drift.observe(later), None);
        assert_eq!(drift.age(START, later.wall), 5 * minute);
        // Stored after the jump.
        assert_eq!(drift.age(now(3 * minute, DAY).wall, later.wall), 2 * minute);
        // Before this run: it counts from then, without the jump.
        assert_eq!(drift.age(START.minus(DAY), later.wall), DAY + 5 * minute);
    }

    // X3
    #[test]
    fn a_clock_that_goes_back_makes_nothing_older() {
        let hour = Duration::from_secs(3_600);
        let mut drift = Drift::new(now(DAY, Duration::ZERO));
        let back = Now { moment: Moment::after_start(DAY + hour), wall: START.plus(hour) };
        assert_eq!(drift.observe(back), None);
        assert!(drift.age(START.plus(DAY), back.wall) <= hour);
        // Forward again: the way back is not age either.
        let forth =
            Now { moment: Moment::after_start(DAY + 2 * hour), wall: START.plus(DAY + 2 * hour) };
        assert_eq!(drift.observe(forth), Some(DAY));
        assert!(drift.age(START.plus(DAY), forth.wall) <= 2 * hour);
    }

    // X3, X21: a clock that was wrong for a while makes nothing immortal
    #[test]
    fn a_jump_that_is_taken_back_leaves_nothing_behind() {
        let (minute, years) = (Duration::from_secs(60), 3_650 * DAY);
        let mut drift = Drift::new(now(Duration::ZERO, Duration::ZERO));
        let before = now(minute, Duration::ZERO).wall;
        assert_eq!(drift.observe(now(2 * minute, DAY)), Some(DAY));
        assert_eq!(drift.observe(now(3 * minute, DAY + years)), Some(years));
        // Back by a part, which is seen at once, and by the rest.
        assert_eq!(drift.observe(now(3 * minute, DAY + years / 2)), None);
        assert_eq!(drift.age(before, now(4 * minute, DAY + years / 2).wall), 3 * minute);
        assert_eq!(drift.observe(now(4 * minute, Duration::ZERO)), None);
        assert!(drift.jumps.is_empty());
        assert_eq!(drift.age(before, now(5 * minute, Duration::ZERO).wall), 4 * minute);
    }

    // X3: threads compare what they have read in any order
    #[test]
    fn a_reading_that_comes_late_is_no_jump() {
        let mut drift = Drift::new(now(DAY, DAY));
        // Back by a day, which the one has seen and the other not yet.
        let (early, late) = (now(5 * DAY / 2, DAY), now(3 * DAY, Duration::ZERO));
        assert_eq!(drift.observe(late), None);
        assert_eq!(drift.observe(early), None);
        assert_eq!(drift.observe(now(3 * DAY, Duration::ZERO)), None);
        assert!(drift.jumps.is_empty());
    }

    // X3
    #[test]
    fn a_clock_that_goes_back_and_then_far_ahead_makes_nothing_older() {
        let hour = Duration::from_secs(3_600);
        let mut drift = Drift::new(now(Duration::ZERO, DAY));
        let stored = now(hour, DAY).wall;
        let minute = Duration::from_secs(60);
        // Back by an hour, and then ahead by a day.
        drift.observe(now(hour + minute, DAY.saturating_sub(hour)));
        drift.observe(now(hour + 2 * minute, (2 * DAY).saturating_sub(hour)));
        let later = now(hour + 3 * minute, (2 * DAY).saturating_sub(hour));
        assert!(drift.age(stored, later.wall) <= 3 * minute);
        assert!(drift.age(START, later.wall) <= DAY + hour + 3 * minute);
        // Stored after all of it.
        assert_eq!(
            drift.age(now(hour + 2 * minute, (2 * DAY).saturating_sub(hour)).wall, later.wall),
            minute
        );
    }

    // X3
    #[test]
    fn what_was_stored_by_a_clock_that_was_ahead_goes_by_the_wall_clock() {
        // A machine without a clock of its own starts in the past, and is told the time later.
        let mut drift = Drift::new(now(Duration::ZERO, Duration::ZERO));
        let stored = START.plus(100 * DAY);
        assert_eq!(drift.observe(now(DAY, 102 * DAY)), Some(102 * DAY));
        assert_eq!(drift.age(stored, now(DAY, 102 * DAY).wall), 3 * DAY);
    }

    // X3
    #[test]
    fn many_jumps_are_never_counted_as_age() {
        let step = Duration::from_secs(60);
        let mut drift = Drift::new(now(Duration::ZERO, Duration::ZERO));
        for jump in 1..=200_u32 {
            drift.observe(now(step * jump, DAY * jump));
        }
        let last = now(step * 200, DAY * 200);
        assert!(drift.jumps.len() <= REMEMBERED);
        assert!(drift.age(START, last.wall) <= step * 200);
    }

    // X3
    #[test]
    fn as_many_jumps_as_are_remembered_are_told_apart_and_with_one_more_the_oldest_two_are_one() {
        let hours = |hours: usize| HOUR * u32::try_from(hours).unwrap();
        let mut drift = Drift::new(now(Duration::ZERO, Duration::ZERO));
        let stored = now(HOUR + HOUR / 2, HOUR).wall; // Between the first jump and the second.
        for jump in 1..=REMEMBERED {
            drift.observe(now(hours(jump), hours(jump)));
        }
        let last = now(hours(REMEMBERED), hours(REMEMBERED));
        let age = last.moment.since(now(HOUR + HOUR / 2, HOUR).moment);
        assert_eq!(drift.age(stored, last.wall), age);
        let one_more = now(hours(REMEMBERED + 1), hours(REMEMBERED + 1));
        drift.observe(one_more);
        assert_eq!(
            drift.age(stored, one_more.wall),
            age,
            "an hour older, and taken for an hour younger"
        );
    }
}

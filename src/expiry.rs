//! When conversations end by themselves: three clocks, and what is set for which.
//!
//! Pure. A clock is given the two ages of a session, as they are known to whoever asks: a loaded session
//! counts by the clock that does not jump, and what is stored is measured by the wall clock less the jumps
//! that were seen ([`drift`]). So no jump of the wall clock makes anything expire, and a restart neither
//! starts a clock anew nor stops it.
//!
//! What is set for the session counts more than what is set for its class, and that more than what is set
//! for all, clock by clock.

mod calendar;
mod drift;
mod table;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::calendar::Boundary;
pub use self::calendar::{Calendar, CalendarError, Weekday};
pub(crate) use self::drift::Drift;
pub(crate) use self::table::ExpiryTable;
use crate::clock::Timestamp;
use crate::standing::{EndReason, ExpiryClock, Standing};

/// When a conversation ends by itself: for all, for a class or for one session. What is `None` is taken from
/// the next wider one, and for all it means never.
///
/// The clocks can be combined: whichever is the first to be over ends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ExpiryRules {
    /// How long after the end of its last work. 0 is never; otherwise at least 1 s, at most 100 years.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
    /// How long after it was created. 0 is never; otherwise at least 1 s, at most 100 years.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
    /// At which time of the day or of the week, in a time zone; such as `"04:00 Europe/Berlin"` or
    /// `"monday 04:00 Europe/Berlin"`, and `"never"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Calendar>,
    /// What becomes of it then. For all, `None` is [`ExpiryAction::Archive`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<ExpiryAction>,
}

/// What becomes of a conversation whose time is over.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExpiryAction {
    /// No key leads to it any more, and its transcript stays. It can be restored.
    #[default]
    Archive,
    /// It is deleted, and leaves a tombstone that says why.
    Delete,
}

/// The clocks that count for a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expiry {
    /// How long after the end of its last work.
    idle: Option<Duration>,
    /// How long after it was created.
    age: Option<Duration>,
    /// At which times.
    calendar: Option<Boundary>,
    /// What becomes of it.
    pub(crate) action: ExpiryAction,
}

/// How old a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ages {
    /// When it was last used, by the wall clock of that time.
    pub(crate) active_at: Timestamp,
    /// How long ago that was.
    pub(crate) idle: Duration,
    /// How long ago it was created.
    pub(crate) age: Duration,
}

/// What the clocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Its time is over.
    Over {
        /// By which clock first.
        clock: ExpiryClock,
        /// Since when.
        since: Duration,
    },
    /// Not yet.
    In {
        /// By which clock first.
        clock: ExpiryClock,
        /// When, if it is not used before.
        left: Duration,
    },
    /// Never.
    Never,
}

impl Expiry {
    /// What counts if `rules` are set over it.
    pub(crate) fn overlaid(&self, rules: &ExpiryRules) -> Result<Self, CalendarError> {
        let some = |duration: Duration| Some(duration).filter(|it| !it.is_zero());
        Ok(Self {
            idle: rules.idle.map_or(self.idle, some),
            age: rules.age.map_or(self.age, some),
            calendar: match &rules.calendar {
                Some(calendar) => calendar.compile()?,
                None => self.calendar.clone(),
            },
            action: rules.action.unwrap_or(self.action),
        })
    }

    /// How a session stands whose time was over at `at`. One that is to be deleted has ended: whatever is set
    /// by the time somebody comes to delete it, it was not archived to be kept.
    pub(crate) const fn closed(&self, clock: ExpiryClock, at: Timestamp) -> Standing {
        let reason = EndReason::Expired(clock);
        match self.action {
            ExpiryAction::Archive => Standing::Archived { reason, at },
            ExpiryAction::Delete => Standing::Ended { reason, at },
        }
    }

    /// What the clocks say of a session of these ages.
    pub(crate) fn due(&self, ages: &Ages) -> Due {
        let calendar = self.calendar.as_ref().and_then(|it| it.first_after(ages.active_at));
        let calendar = calendar.map(|boundary| boundary.since(ages.active_at));
        let clocks = [
            (ExpiryClock::Idle, self.idle, ages.idle),
            (ExpiryClock::Age, self.age, ages.age),
            (ExpiryClock::Calendar, calendar, ages.idle),
        ];
        // Who was over first is over for longest; of those that are not, the first to be over.
        let over = clocks.iter().filter_map(|(clock, most, age)| {
            Some((*clock, age.checked_sub((*most)?)?)).map(|(clock, since)| (since, clock))
        });
        if let Some((since, clock)) = over.max_by_key(|(since, _)| *since) {
            return Due::Over { clock, since };
        }
        let left = clocks
            .iter()
            .filter_map(|(clock, most, age)| Some(((*most)?.saturating_sub(*age), *clock)));
        let first = left.min_by_key(|(left, _)| *left);
        first.map_or(Due::Never, |(left, clock)| Due::In { clock, left })
    }

    /// When a session has to have been used last for any clock but that of its age to be over at `now`;
    /// `None` if none ever is.
    pub(crate) fn idle_horizon(&self, now: Timestamp) -> Option<Timestamp> {
        let idle = self.idle.map(|idle| now.minus(idle));
        let calendar = self.calendar.as_ref().and_then(|it| it.last_before(now));
        idle.into_iter().chain(calendar).max()
    }

    /// When a session has to have been created for its age to be over at `now`.
    pub(crate) fn age_horizon(&self, now: Timestamp) -> Option<Timestamp> {
        self.age.map(|age| now.minus(age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn hours(hours: u64) -> Timestamp {
        Timestamp::default().plus(HOUR * u32::try_from(hours).unwrap())
    }

    fn rules(idle: Option<u32>, age: Option<u32>) -> ExpiryRules {
        let hours = |hours: u32| HOUR * hours;
        ExpiryRules { idle: idle.map(hours), age: age.map(hours), ..ExpiryRules::default() }
    }

    fn ages(idle: u32, age: u32) -> Ages {
        Ages { active_at: hours(1_000), idle: HOUR * idle, age: HOUR * age }
    }

    // X1, X2
    #[test]
    fn what_is_set_nearer_counts_clock_by_clock_and_zero_is_never() {
        let action = Some(ExpiryAction::Delete);
        let all = ExpiryRules { action, ..rules(Some(1), Some(5)) };
        let all = Expiry::default().overlaid(&all).unwrap();
        let class = all.overlaid(&rules(Some(0), None)).unwrap();
        assert_eq!((all.idle, all.age), (Some(HOUR), Some(HOUR * 5)));
        assert_eq!((class.idle, class.age), (None, Some(HOUR * 5)));
        assert_eq!(class.action, ExpiryAction::Delete);
        let calendar = Some("12:00 UTC".parse().unwrap());
        let own = class.overlaid(&ExpiryRules { calendar, ..rules(Some(2), Some(0)) }).unwrap();
        assert_eq!((own.idle, own.age, own.calendar.is_some()), (Some(HOUR * 2), None, true));
        let calendar = Some(Calendar::NEVER);
        let never = own.overlaid(&ExpiryRules { calendar, ..ExpiryRules::default() }).unwrap();
        assert!(never.calendar.is_none());
    }

    // X1
    #[test]
    fn the_clock_that_is_over_for_longest_is_told_and_else_the_next_to_be_over() {
        let expiry = Expiry::default().overlaid(&rules(Some(2), Some(5))).unwrap();
        let (idle, age) = (ExpiryClock::Idle, ExpiryClock::Age);
        let due = |idle, age| expiry.due(&ages(idle, age));
        assert_eq!(due(0, 0), Due::In { clock: idle, left: HOUR * 2 });
        assert_eq!(due(0, 4), Due::In { clock: age, left: HOUR });
        assert_eq!(due(2, 2), Due::Over { clock: idle, since: Duration::ZERO });
        assert_eq!(due(3, 8), Due::Over { clock: age, since: HOUR * 3 });
        assert_eq!(due(6, 6), Due::Over { clock: idle, since: HOUR * 4 });
        assert_eq!(Expiry::default().due(&ages(9, 9)), Due::Never);
    }

    // X12
    #[test]
    fn what_was_used_or_made_at_a_horizon_is_over_and_nothing_later_is() {
        let expiry = Expiry::default().overlaid(&rules(Some(2), Some(5))).unwrap();
        assert_eq!(expiry.idle_horizon(hours(10)), Some(hours(8)));
        assert_eq!(expiry.age_horizon(hours(10)), Some(hours(5)));
        let calendar = Some("12:00 UTC".parse().unwrap());
        let nightly = expiry.overlaid(&ExpiryRules { calendar, ..rules(Some(30), None) }).unwrap();
        // Noon was later than thirty hours ago.
        assert_eq!(nightly.idle_horizon(hours(40)), Some(hours(36)));
        let never = Expiry::default();
        assert_eq!((never.idle_horizon(hours(10)), never.age_horizon(hours(10))), (None, None));
    }
}

//! Settings of what a start does after a crash.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, refuse};

/// The most that `max_restarts` may be: as many starts as a store can tell of.
pub(super) const MAX_RESTARTS: u32 = 31;

/// Settings of what a start does with turns that an earlier run left open.
///
/// A run that keeps crashing must not be fed with what it crashes on. So a session that was in the middle of
/// a turn each time is suspended in the end, and so are all that were, if starts come too fast. It is told
/// by [`RecoveryReport`](crate::RecoveryReport); whoever suspects nothing resumes the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RecoveryConfig {
    /// How old a turn may be that is offered to be done over, counted from its begin. Default: 1 h. 0 offers
    /// none; at most 100 years.
    #[serde(with = "humantime_serde")]
    pub resume_within: Duration,
    /// The session that is found in the middle of a turn by this many starts in a row, each after a crash
    /// and with no commit in between, is suspended. Default: 3. 0 is never.
    pub max_crashes: u32,
    /// After this many starts that followed a crash within `loop_window`, this one included, the sessions
    /// that are found in the middle of a turn are suspended, and no turn is offered. Default: 5. 0 is never;
    /// at most 31.
    pub max_restarts: u32,
    /// See `max_restarts`. Default: 10 min. Between 1 s and 100 years.
    #[serde(with = "humantime_serde")]
    pub loop_window: Duration,
}

impl Default for RecoveryConfig {
    fn default() -> Self {
        Self {
            resume_within: Duration::from_secs(60 * 60),
            max_crashes: 3,
            max_restarts: 5,
            loop_window: Duration::from_secs(10 * 60),
        }
    }
}

impl RecoveryConfig {
    /// Checks every bound.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let ages = Duration::from_secs(100 * 366 * 24 * 3_600);
        let span = |field, value: Duration, low, rule| {
            let printed = humantime::format_duration(value).to_string();
            refuse(value < low || value > ages, field, printed, rule)
        };
        let (within, rule) = (self.resume_within, "it must be at most 100 years");
        span("recovery.resume_within", within, Duration::ZERO, rule)?;
        let (most, rule) = (self.max_restarts, "it must be at most 31");
        refuse(most > MAX_RESTARTS, "recovery.max_restarts", most, rule)?;
        let rule = "it must be between 1s and 100 years";
        span("recovery.loop_window", self.loop_window, Duration::from_secs(1), rule)
    }
}

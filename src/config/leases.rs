//! Settings of leases: how long they may last, and how many may stand.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, refuse};

/// Settings of [leases](crate::Session::lease).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LeaseConfig {
    /// The longest that a lease may be taken or renewed for at a time. One that is renewed may last
    /// longer. Default: 24 h. Between 1 s and 100 years.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// How many may stand in one session. Default: 64. At least 1.
    pub max_per_session: usize,
}

impl LeaseConfig {
    /// Checks every bound.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        const SECOND: Duration = Duration::from_secs(1);
        const AGES: Duration = Duration::from_secs(100 * 366 * 24 * 3_600);
        let (age, rule) = (self.max_age, "it must be between 1s and 100 years");
        let printed = humantime::format_duration(age);
        refuse(age < SECOND || age > AGES, "leases.max_age", printed, rule)?;
        let max = self.max_per_session;
        refuse(max < 1, "leases.max_per_session", max, "it must be at least 1")
    }
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(24 * 3_600), max_per_session: 64 }
    }
}

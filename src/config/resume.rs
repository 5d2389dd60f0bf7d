//! Settings of the handles of outside services.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the handles of outside services; see [`ResumeHandle`](crate::ResumeHandle).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ResumeConfig {
    /// How long after it was known to work last a handle is kept, and how long a value is refused of which
    /// the service has said that it is gone. Set it below the time after which the service forgets.
    /// By the wall clock; one that is set back can double it, and no more. Default: 24 h; 0 is for ever.
    /// Otherwise at least 1 s, and at most 100 years.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// How many attempts in a row may fail, or not end, before a handle is dropped. Turns that run in parallel
    /// may exceed it by one each. Default: 5; 0 is any number.
    pub max_attempts: u32,
    /// The longest value of a handle, in bytes. Default: 4,096. At least 1.
    pub max_value_bytes: usize,
}

impl Default for ResumeConfig {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(24 * 60 * 60), max_attempts: 5, max_value_bytes: 4_096 }
    }
}

//! Settings of sessions that are not used: when they leave memory.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of sessions that are not used: when they leave memory.
///
/// Leaving memory ends nothing: a session comes back from the store on its next use, and every handle goes
/// on working. A session with a turn that runs or was fenced and has not reported, a begin that waits, or
/// a write that the store has not answered stays.
///
/// Use is what is done with a session: begins that are admitted, the ends of turns, and changes. Looking at
/// it is none: status, listings, records, entries, streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct IdleConfig {
    /// How long after the end of its last work a session leaves memory. It stays for up to two
    /// `check_every` longer. Default: 15 min; 0 keeps it for ever. Otherwise at least 1 s, and at most
    /// 100 years.
    #[serde(with = "humantime_serde")]
    pub unload_after: Duration,
    /// How many sessions may be loaded. Beyond that those that have not been used for longest leave, to
    /// within `check_every`; none that something keeps. If all are kept, more are loaded than this, and
    /// `session_live_exceeded_total` counts it: nothing is refused. Default: 0, which is any number.
    pub max_live: usize,
    /// How often it is looked for sessions that are due, while there are any. Default: 1 s. Between
    /// 10 ms and 1 h.
    #[serde(with = "humantime_serde")]
    pub check_every: Duration,
}

impl Default for IdleConfig {
    fn default() -> Self {
        Self {
            unload_after: Duration::from_secs(15 * 60),
            max_live: 0,
            check_every: Duration::from_secs(1),
        }
    }
}

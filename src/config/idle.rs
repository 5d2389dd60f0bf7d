//! Settings of sessions that are not used: when they leave memory.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of sessions that are not used: when they leave memory.
///
/// Leaving memory ends nothing: a session comes back from the store on its next use, and every handle goes
/// on working. A session with a turn that runs or was fenced and has not reported, a begin that waits, or
/// a write that the store has not answered stays, and so does one that work beside the turns has a
/// [lease](crate::Session::lease) on.
///
/// Use is what is done with a session: begins that are admitted, the ends of turns, changes, touches, and the
/// begin and the end of leases. Looking at it is none: status, listings, records, entries, streams.
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
    /// within `check_every`; none that something keeps. What happens if all are kept is `when_full`. Default:
    /// 0, which is any number.
    pub max_live: usize,
    /// How many bytes the loaded sessions may take: their slots, states, ids and keys, and their actors, each
    /// as it was measured; not what their turns have said, and not what the store keeps in memory.
    /// Otherwise as `max_live`. Default: 0, which is any number.
    pub max_bytes: usize,
    /// What happens to one more session when as many are loaded as may be, and something keeps all that were
    /// looked at. Default: exceed.
    pub when_full: WhenFull,
    /// How often it is looked for sessions that are due, while there are any. Default: 1 s. Between
    /// 10 ms and 1 h.
    #[serde(with = "humantime_serde")]
    pub check_every: Duration,
}

/// What happens to one more session when there is no room for it in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhenFull {
    /// It is loaded or created all the same, and `session_live_exceeded_total` counts it.
    #[default]
    Exceed,
    /// It is not, and whoever wants to use it is told [`NoRoom`](crate::NoRoom). Who has a session that is
    /// loaded is not affected, and look-ups and deletes are never refused: what they load is the first to
    /// leave.
    Refuse,
}

impl IdleConfig {
    /// Whether there is a bound.
    pub(crate) const fn is_bounded(&self) -> bool {
        self.max_live > 0 || self.max_bytes > 0
    }
}

impl Default for IdleConfig {
    fn default() -> Self {
        Self {
            unload_after: Duration::from_secs(15 * 60),
            max_live: 0,
            max_bytes: 0,
            when_full: WhenFull::Exceed,
            check_every: Duration::from_secs(1),
        }
    }
}

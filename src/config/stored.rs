//! Settings of what is stored, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of what is stored, and of how much there may be at once; see [`Limit`](crate::Limit).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitConfig {
    /// The largest entry, encoded, in bytes. Default: 16,777,216. At least 1.
    pub max_entry_bytes: usize,
    /// The largest datum, encoded, in bytes. Default: 65,536. At least 1.
    pub max_datum_bytes: usize,
    /// How many turns of [`Parallel::Branch`](crate::Parallel::Branch) may stand under one entry,
    /// counted from when the session was loaded. Default: 64. At least 1.
    pub max_branches: usize,
    /// How many turns may be taken back or done over at once. Default: 32. At least 1.
    pub max_take_back: usize,
    /// The longest name of a datum and the longest label, in bytes, and the longest name of a
    /// begin. Default: 256. At least 1.
    pub max_name_bytes: usize,
    /// How many turns may run at once, in all sessions. A turn needs a permit then, from its begin until it
    /// is over or fenced; where there is none, its begin waits, see `turn_wait`. A class may have less:
    /// [`ClassConfig::max_turns`](crate::ClassConfig::max_turns). Default: 0, which is any number.
    pub max_turns: usize,
    /// How many sessions may wait for a permit at once. Beyond that a begin is refused; those that had waited
    /// in the queue of their session still get a place. Default: 1,024; 0 is any number.
    pub max_waiting_turns: usize,
    /// How long a begin waits for a permit, and for the end of a pause. Then it is refused, and nothing of it
    /// is stored. It counts from when the session is free for it, so it comes after the wait of a queue; the
    /// `wait` of a policy bounds both together. Default: 30 s; 0 lets nobody wait. At most 24 h.
    #[serde(with = "humantime_serde")]
    pub turn_wait: Duration,
    /// How many sessions may be stored, without those that were archived or have ended. Beyond that none is
    /// created. Default: 0, which is any number.
    pub max_sessions: usize,
    /// How many begins may wait for their sessions, in all sessions together; a policy bounds those of one
    /// session. Default: 0, which is any number.
    pub max_queued_turns: usize,
    /// How many bytes the inputs of those begins may have together. Default: 0, which is any number.
    pub max_queued_bytes: usize,
    /// How many entries the transcript of a conversation may have, those beside it included and without what
    /// was taken back. A begin, a reply and an append that would exceed it are refused. Default: 0, which is
    /// any number.
    pub max_entries: usize,
    /// How many bytes these entries may have, encoded. As `max_entries`. Default: 0, which is any number.
    pub max_transcript_bytes: usize,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            max_entry_bytes: 16 * 1_024 * 1_024,
            max_datum_bytes: 64 * 1_024,
            max_branches: 64,
            max_take_back: 32,
            max_name_bytes: 256,
            max_turns: 0,
            max_waiting_turns: 1_024,
            turn_wait: Duration::from_secs(30),
            max_sessions: 0,
            max_queued_turns: 0,
            max_queued_bytes: 0,
            max_entries: 0,
            max_transcript_bytes: 0,
        }
    }
}

/// Settings of what is kept for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KeepConfig {
    /// How long a begin with a name is remembered, at least; see
    /// [`BeginOptions::idempotency_key`](crate::BeginOptions::idempotency_key). Default: 24 h. At least
    /// 1 s.
    #[serde(with = "humantime_serde")]
    pub requests_for: Duration,
    /// How long entries that were taken back are kept, at least. Default: 30 d. At least 1 s.
    #[serde(with = "humantime_serde")]
    pub revisions_for: Duration,
}

impl Default for KeepConfig {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self { requests_for: DAY, revisions_for: DAY * 30 }
    }
}

/// Settings of deleted ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TombstoneConfig {
    /// How long a deleted id answers so, at least. Default: 24 h. At least 1 s: a retry that comes
    /// after a delete must find the tombstone. The run that has deleted it counts by a clock that does not
    /// jump, and the ones after it by the wall clock.
    #[serde(with = "humantime_serde")]
    pub keep_for: Duration,
    /// How many are held in memory. Default: 1,000,000. At least 1. Beyond that the store is asked.
    pub max_in_memory: usize,
    /// How often those whose time is over are removed. Default: 1 min. At least 1 s.
    #[serde(with = "humantime_serde")]
    pub sweep_every: Duration,
}

impl Default for TombstoneConfig {
    fn default() -> Self {
        Self {
            keep_for: Duration::from_secs(24 * 60 * 60),
            max_in_memory: 1_000_000,
            sweep_every: Duration::from_secs(60),
        }
    }
}

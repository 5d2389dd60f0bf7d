//! Settings of what is stored, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of what is stored.
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
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            max_entry_bytes: 16 * 1_024 * 1_024,
            max_datum_bytes: 64 * 1_024,
            max_branches: 64,
            max_take_back: 32,
            max_name_bytes: 256,
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
    /// after a delete must find the tombstone.
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

//! Settings of what turns say: for readers, and for the case of a crash.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::PartialPolicy;

/// Settings of streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StreamConfig {
    /// How many chunks of a turn are kept for readers. Default: 1,024. At least 1.
    pub max_items: usize,
    /// How many bytes of chunks are kept. Default: 262,144. At least 1; one chunk is kept whatever
    /// its size.
    pub max_bytes: usize,
    /// How long the stream of a turn that is over stays readable. Default: 10 min; 0 drops it at
    /// once. At most 24 h.
    #[serde(with = "humantime_serde")]
    pub keep_finished_for: Duration,
    /// How many bytes such streams may have together, over all sessions; beyond that the oldest goes
    /// first. Default: 67,108,864. At least 1.
    pub max_finished_bytes: usize,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            max_items: 1_024,
            max_bytes: 256 * 1_024,
            keep_finished_for: Duration::from_secs(10 * 60),
            max_finished_bytes: 64 * 1_024 * 1_024,
        }
    }
}

/// Settings of replies that are being said: what a crash in the middle leaves of them.
///
/// What a turn emits is stored in pieces, beside the transcript. With the defaults a reply of 2,000
/// chunks costs 12 to 18 transactions at any pace from one chunk a second up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PartialConfig {
    /// What becomes of it when a turn ends without a reply. Default: it stays beside the transcript.
    pub interrupted: PartialPolicy,
    /// How many chunks make a piece. Default: 160. At least 1.
    pub every_chunks: usize,
    /// How long the first chunks of a reply wait, if they are fewer; the next ones wait twice as long,
    /// and so on. Default: 5 s. At least 100 ms, at most 24 h.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// How many bytes are kept of one reply, from its beginning. Default: 1,048,576. At least 1.
    pub max_bytes: usize,
}

impl Default for PartialConfig {
    fn default() -> Self {
        Self {
            interrupted: PartialPolicy::Beside,
            every_chunks: 160,
            every: Duration::from_secs(5),
            max_bytes: 1_024 * 1_024,
        }
    }
}

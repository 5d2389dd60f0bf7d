//! Every setting: its default, its unit, its bounds. Checked once, at the start.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::{BusyPolicy, PartialPolicy};

/// The settings of a supervisor. Every field has a default; a file needs only what differs.
///
/// Durations are written as text, such as `"15m"` or `"2h 30m"`. A field that does not exist, a
/// negative duration and a value out of bounds are errors that name the field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// What happens when a turn is begun while another runs. Default: reject. One may be given with
    /// every begin.
    pub busy: BusyPolicy,
    /// What happens to an id that nobody knows. Default: not found.
    pub unknown: UnknownPolicy,
    /// Turns.
    pub turns: TurnConfig,
    /// Turns that are stuck.
    pub stalls: StallConfig,
    /// Streams.
    pub streams: StreamConfig,
    /// Replies that are being said.
    pub partials: PartialConfig,
    /// What is stored.
    pub limits: LimitConfig,
    /// What is kept for a time.
    pub kept: KeepConfig,
    /// Deleted ids.
    pub tombstones: TombstoneConfig,
}

/// What happens when something is to be written to an id that nobody knows. Reads never create, and
/// a deleted id is never created by this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnknownPolicy {
    /// It is refused.
    #[default]
    NotFound,
    /// A session of that id is created.
    Create,
}

/// Settings of turns: what becomes of one that is told to end.
///
/// It is told, then aborted, then fenced, each counted from the cancel. The abort is never later than
/// the fence, and no setting can keep the fence from coming; so these, the grace of an interrupt and
/// the wait of a queue can be set one by one and never contradict each other: who waits is admitted when
/// the grace is over, or told before that who holds the slot, for how long and doing what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TurnConfig {
    /// How long after it was told to end the work of a turn is aborted: what was given to
    /// [`Session::run`](crate::Session::run) is dropped where it awaits. A turn that was begun with
    /// [`Session::begin`](crate::Session::begin), or whose work blocks its thread, goes on until the
    /// grace is over. Default: 3 s; 0 aborts it at once. At most 1 h, and never after the grace,
    /// however short that is.
    #[serde(with = "humantime_serde")]
    pub abort_after: Duration,
    /// How long after it was told to end a turn keeps its slot if it does not unwind. Then it is fenced:
    /// the slot is free, and what the turn commits later is refused. Default: 5 s; 0 takes it at
    /// once. At most 1 h.
    #[serde(with = "humantime_serde")]
    pub cancel_grace: Duration,
}

/// Settings of turns that are stuck: of when a turn counts as stuck, and what is done about it.
///
/// A turn makes progress when it emits, [enters](crate::Turn::enter) a phase, or says
/// [so](crate::Turn::progress). How long it may make none depends on its
/// [phase](crate::WorkPhase); one that waits for a person may take as long as it likes. A turn is never
/// judged by its age.
///
/// Turns are looked at now and then, so one that is stuck is found up to two `check_every` late, and
/// never early. The budgets count from what the turn did last, and not from another setting, so none
/// of them can contradict another: the shortest that applies is the one that is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StallConfig {
    /// How long a turn may make no progress while it waits for the model. Default: 5 min; 0 is for
    /// ever. At most 100 years.
    #[serde(with = "humantime_serde")]
    pub model: Duration,
    /// How long a turn may make no progress while it waits for a tool. Default: 30 min; 0 is for ever.
    /// At most 100 years.
    #[serde(with = "humantime_serde")]
    pub tool: Duration,
    /// How long a turn may work in all, however much progress it makes: for retries that each begin
    /// afresh. Waiting for a person does not count. Default: 0, which is for ever. At most 100 years.
    #[serde(with = "humantime_serde")]
    pub total: Duration,
    /// What is done with a turn that is stuck. Default: observe.
    pub action: StallAction,
    /// How often the sessions in which turns run are looked at. Default: 1 s. Between 10 ms and 1 h.
    #[serde(with = "humantime_serde")]
    pub check_every: Duration,
}

/// What is done with a turn that is stuck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StallAction {
    /// It is told to the log and counted, once until it makes progress again.
    #[default]
    Observe,
    /// It is told to end as well, for the reason [`Stalled`](crate::CancelReason::Stalled).
    Act,
}

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

/// Bounds of what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitConfig {
    /// The largest entry, encoded, in bytes. Default: 16,777,216. At least 1.
    pub max_entry_bytes: usize,
    /// The largest datum, encoded, in bytes. Default: 65,536. At least 1.
    pub max_datum_bytes: usize,
    /// How many turns of [`Parallel::Branch`](crate::Parallel::Branch) may stand under one entry.
    /// Default: 64. At least 1.
    pub max_branches: usize,
    /// How many turns may be taken back or done over at once. Default: 32. At least 1.
    pub max_take_back: usize,
    /// The longest name of a datum and the longest label, in bytes, and the longest name of a
    /// begin. Default: 256. At least 1.
    pub max_name_bytes: usize,
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

impl Default for Config {
    fn default() -> Self {
        Self {
            busy: BusyPolicy::Reject,
            unknown: UnknownPolicy::NotFound,
            turns: TurnConfig::default(),
            stalls: StallConfig::default(),
            streams: StreamConfig::default(),
            partials: PartialConfig::default(),
            limits: LimitConfig::default(),
            kept: KeepConfig::default(),
            tombstones: TombstoneConfig::default(),
        }
    }
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self { abort_after: Duration::from_secs(3), cancel_grace: Duration::from_secs(5) }
    }
}

impl Default for StallConfig {
    fn default() -> Self {
        Self {
            model: Duration::from_secs(5 * 60),
            tool: Duration::from_secs(30 * 60),
            total: Duration::ZERO,
            action: StallAction::Observe,
            check_every: Duration::from_secs(1),
        }
    }
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

impl Default for KeepConfig {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self { requests_for: DAY, revisions_for: DAY * 30 }
    }
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

/// A setting that is out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("setting `{field}` is {value}, but {rule}")]
pub struct ConfigError {
    /// Which setting, with dots.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What it must be.
    pub rule: &'static str,
}

impl Config {
    /// Checks every bound.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first setting that is out of its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const SECOND: Duration = Duration::from_secs(1);
        const HOUR: Duration = Duration::from_secs(3_600);
        const AGES: Duration = Duration::from_secs(100 * 366 * 24 * 3_600);
        let at_least_one = "it must be at least 1";
        let positive = |field, value: usize| refuse(value < 1, field, value, at_least_one);
        let span = |field, value: Duration, low: Duration, high: Duration, rule| {
            let printed = humantime::format_duration(value).to_string();
            refuse(value < low || value > high, field, printed, rule)
        };
        let grace = "it must be at most 1h";
        span("turns.abort_after", self.turns.abort_after, Duration::ZERO, HOUR, grace)?;
        span("turns.cancel_grace", self.turns.cancel_grace, Duration::ZERO, HOUR, grace)?;
        if let BusyPolicy::Interrupt { grace: value, .. } = self.busy {
            span("busy.interrupt.grace", value, Duration::ZERO, HOUR, grace)?;
        }
        let budget =
            |field, value| span(field, value, Duration::ZERO, AGES, "it must be at most 100 years");
        budget("stalls.model", self.stalls.model)?;
        budget("stalls.tool", self.stalls.tool)?;
        budget("stalls.total", self.stalls.total)?;
        let (every, rule) = (self.stalls.check_every, "it must be between 10ms and 1h");
        span("stalls.check_every", every, Duration::from_millis(10), HOUR, rule)?;
        positive("streams.max_items", self.streams.max_items)?;
        positive("streams.max_bytes", self.streams.max_bytes)?;
        positive("streams.max_finished_bytes", self.streams.max_finished_bytes)?;
        let (kept, day) = (self.streams.keep_finished_for, 24 * HOUR);
        span("streams.keep_finished_for", kept, Duration::ZERO, day, "it must be at most 24h")?;
        positive("partials.every_chunks", self.partials.every_chunks)?;
        positive("partials.max_bytes", self.partials.max_bytes)?;
        let (every, shortest) = (self.partials.every, Duration::from_millis(100));
        span("partials.every", every, shortest, day, "it must be between 100ms and 24h")?;
        positive("limits.max_entry_bytes", self.limits.max_entry_bytes)?;
        positive("limits.max_datum_bytes", self.limits.max_datum_bytes)?;
        positive("limits.max_take_back", self.limits.max_take_back)?;
        positive("limits.max_branches", self.limits.max_branches)?;
        positive("limits.max_name_bytes", self.limits.max_name_bytes)?;
        positive("tombstones.max_in_memory", self.tombstones.max_in_memory)?;
        let rule = "it must be between 1s and 100 years";
        span("kept.requests_for", self.kept.requests_for, SECOND, AGES, rule)?;
        span("kept.revisions_for", self.kept.revisions_for, SECOND, AGES, rule)?;
        span("tombstones.keep_for", self.tombstones.keep_for, SECOND, AGES, rule)?;
        span("tombstones.sweep_every", self.tombstones.sweep_every, SECOND, AGES, rule)
    }
}

/// An error if the setting is `wrong`.
fn refuse(
    wrong: bool,
    field: &'static str,
    value: impl std::fmt::Display,
    rule: &'static str,
) -> Result<(), ConfigError> {
    if wrong { Err(ConfigError { field, value: value.to_string(), rule }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_bounds() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    // X2
    #[test]
    fn a_file_needs_only_what_differs() {
        let config: Config = toml::from_str(
            "busy = { queue = { max = 3, wait = \"90s\" } }\n[turns]\ncancel_grace = \"250ms\"\n\
             [stalls]\ntool = \"0s\"\naction = \"act\"",
        )
        .unwrap();
        let wait = Some(Duration::from_secs(90));
        assert_eq!(config.busy, BusyPolicy::Queue { max: 3, wait });
        assert_eq!(config.turns.cancel_grace, Duration::from_millis(250));
        assert_eq!(config.turns.abort_after, Duration::from_secs(3));
        let (tool, action) = (Duration::ZERO, StallAction::Act);
        assert_eq!(config.stalls, StallConfig { tool, action, ..StallConfig::default() });
        assert_eq!(config.tombstones, TombstoneConfig::default());
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
    }

    // X2
    #[test]
    fn nonsense_is_refused_with_the_name_of_the_field() {
        for (text, name) in [
            ("tombstone = 3", "tombstone"),
            ("[tombstones]\nkeep_fro = \"1h\"", "keep_fro"),
            ("[turns]\ncancel_grace = \"-5s\"", "cancel_grace"),
            ("[stalls]\nhuman = \"5m\"", "human"),
            ("[stalls]\naction = \"panic\"", "panic"),
            ("busy = \"sometimes\"", "sometimes"),
        ] {
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        for (text, name) in [
            ("[tombstones]\nkeep_for = \"0s\"", "tombstones.keep_for"),
            ("[streams]\nmax_items = 0", "streams.max_items"),
            ("[turns]\ncancel_grace = \"2h\"", "turns.cancel_grace"),
            ("[turns]\nabort_after = \"2h\"", "turns.abort_after"),
            ("[stalls]\ncheck_every = \"9ms\"", "stalls.check_every"),
            ("[stalls]\ncheck_every = \"2h\"", "stalls.check_every"),
            ("[stalls]\nmodel = \"200years\"", "stalls.model"),
            ("[stalls]\ntool = \"200years\"", "stalls.tool"),
            ("[stalls]\ntotal = \"200years\"", "stalls.total"),
            ("[partials]\nevery_chunks = 0", "partials.every_chunks"),
            ("[partials]\nevery = \"2d\"", "partials.every"),
            ("[partials]\nmax_bytes = 0", "partials.max_bytes"),
            ("busy = { interrupt = { grace = \"2h\" } }", "busy.interrupt.grace"),
        ] {
            let config: Config = toml::from_str(text).unwrap();
            let error = config.validate().unwrap_err();
            assert_eq!(error.field, name);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

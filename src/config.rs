//! Every setting: its default, its unit, its bounds. Checked once, at the start.

mod ending;
mod idle;
mod leases;
mod lenient;
mod recovery;
mod resume;
mod stored;
mod streams;
mod turns;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::ending::{ClassConfig, PruneConfig};
pub use self::idle::{IdleConfig, WhenFull};
pub use self::leases::LeaseConfig;
pub use self::lenient::{ConfigProblem, ConfigWarning};
pub use self::recovery::RecoveryConfig;
pub use self::resume::ResumeConfig;
pub use self::stored::{KeepConfig, LimitConfig, TombstoneConfig};
pub use self::streams::{PartialConfig, StreamConfig};
pub use self::turns::{StallAction, StallConfig, TurnConfig};

use crate::expiry::ExpiryRules;
use crate::policy::BusyPolicy;

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
    /// Sessions that are not used.
    pub idle: IdleConfig,
    /// When conversations end by themselves. Default: 90 days after they were last used; they are archived
    /// then. In a file, `idle` has this default as well if only other clocks are set.
    #[serde(with = "ending::expiry_for_all")]
    pub expiry: ExpiryRules,
    /// What is different for one kind of conversation; see
    /// [`NewSession::class`](crate::NewSession::class).
    pub classes: BTreeMap<String, ClassConfig>,
    /// The pass that ends conversations whose time is over.
    pub prune: PruneConfig,
    /// Work beside the turns.
    pub leases: LeaseConfig,
    /// Streams.
    pub streams: StreamConfig,
    /// Replies that are being said.
    pub partials: PartialConfig,
    /// What is stored.
    pub limits: LimitConfig,
    /// What is kept for a time.
    pub kept: KeepConfig,
    /// Handles of outside services.
    pub resume: ResumeConfig,
    /// Deleted ids.
    pub tombstones: TombstoneConfig,
    /// What a start does after a crash.
    pub recovery: RecoveryConfig,
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

impl Default for Config {
    fn default() -> Self {
        Self {
            busy: BusyPolicy::Reject,
            unknown: UnknownPolicy::NotFound,
            turns: TurnConfig::default(),
            stalls: StallConfig::default(),
            idle: IdleConfig::default(),
            expiry: ending::default_expiry(),
            classes: BTreeMap::new(),
            prune: PruneConfig::default(),
            leases: LeaseConfig::default(),
            streams: StreamConfig::default(),
            partials: PartialConfig::default(),
            limits: LimitConfig::default(),
            kept: KeepConfig::default(),
            resume: ResumeConfig::default(),
            tombstones: TombstoneConfig::default(),
            recovery: RecoveryConfig::default(),
        }
    }
}

/// A setting that is out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("setting `{field}` is {value}, but {rule}")]
pub struct ConfigError {
    /// Which setting, with dots.
    pub field: Cow<'static, str>,
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
        let (unload, rule) = (self.idle.unload_after, "it must be 0, or between 1s and 100 years");
        if !unload.is_zero() {
            span("idle.unload_after", unload, SECOND, AGES, rule)?;
        }
        let (every, rule) = (self.idle.check_every, "it must be between 10ms and 1h");
        span("idle.check_every", every, Duration::from_millis(10), HOUR, rule)?;
        self.leases.validate()?;
        self.validate_ending()?;
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
        let (max_age, rule) = (self.resume.max_age, "it must be 0, or between 1s and 100 years");
        if !max_age.is_zero() {
            span("resume.max_age", max_age, SECOND, AGES, rule)?;
        }
        positive("resume.max_value_bytes", self.resume.max_value_bytes)?;
        let (wait, rule) = (self.limits.turn_wait, "it must be at most 24h");
        span("limits.turn_wait", wait, Duration::ZERO, day, rule)?;
        positive("tombstones.max_in_memory", self.tombstones.max_in_memory)?;
        self.recovery.validate()?;
        let rule = "it must be between 1s and 100 years";
        span("kept.requests_for", self.kept.requests_for, SECOND, AGES, rule)?;
        span("kept.revisions_for", self.kept.revisions_for, SECOND, AGES, rule)?;
        span("tombstones.keep_for", self.tombstones.keep_for, SECOND, AGES, rule)?;
        span("tombstones.sweep_every", self.tombstones.sweep_every, SECOND, AGES, rule)
    }
}

impl Config {
    /// Checks when conversations end, and the pass that ends them.
    fn validate_ending(&self) -> Result<(), ConfigError> {
        self.expiry.validate("expiry")?;
        for (class, config) in &self.classes {
            config.expiry.validate(&format!("classes.{class}.expiry"))?;
        }
        self.prune.validate()
    }
}

/// An error if the setting is `wrong`.
fn refuse(
    wrong: bool,
    field: &'static str,
    value: impl std::fmt::Display,
    rule: &'static str,
) -> Result<(), ConfigError> {
    if wrong {
        Err(ConfigError { field: Cow::Borrowed(field), value: value.to_string(), rule })
    } else {
        Ok(())
    }
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
    fn a_store_keeps_as_many_runs_as_starts_may_be_counted() {
        assert_eq!(recovery::MAX_RESTARTS as usize, crate::store::KEPT_RUNS - 1);
    }

    // X2
    #[test]
    fn unloading_and_the_cap_can_be_switched_off() {
        let text = "[idle]\nunload_after = \"0s\"\nmax_live = 0";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!((config.idle.unload_after, config.idle.max_live), (Duration::ZERO, 0));
    }

    // X1, X2
    #[test]
    fn expiry_is_set_for_all_and_for_classes() {
        let text = "[expiry]\nidle = \"0s\"\ncalendar = \"04:00 Europe/Berlin\"\naction = \"delete\"\n\
                    [classes.discord.expiry]\nage = \"30d\"\ncalendar = \"never\"";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.expiry.idle, Some(Duration::ZERO));
        assert_eq!(config.expiry.action, Some(crate::ExpiryAction::Delete));
        let discord = &config.classes["discord"].expiry;
        assert_eq!(discord.age, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(discord.calendar, Some(crate::Calendar::NEVER));
        assert_eq!(discord.idle, None);
        let written = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&written).unwrap(), config);
    }

    // X1
    #[test]
    fn a_clock_that_is_not_set_has_its_default() {
        let config: Config = toml::from_str("[expiry]\naction = \"delete\"").unwrap();
        assert_eq!(config.expiry.idle, Config::default().expiry.idle);
        // What was set to never in the program stays so.
        let mut config = Config::default();
        config.expiry.idle = None;
        let read: Config = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(read.expiry.idle, Some(Duration::ZERO));
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
            ("[idle]\nmax_live = -1", "max_live"),
            ("[limits]\nmax_turns = -1", "max_turns"),
            ("[classes.irc]\nmax_turns = \"many\"", "max_turns"),
            ("[stalls]\nhuman = \"5m\"", "human"),
            ("[stalls]\naction = \"panic\"", "panic"),
            ("busy = \"sometimes\"", "sometimes"),
            ("[expiry]\ncalendar = \"25:00 UTC\"", "25:00"),
            ("[expiry]\ncalendar = \"04:00 Atlantis\"", "Atlantis"),
            ("[expiry]\naction = \"explode\"", "explode"),
            ("[classes.night]\nexpire = \"1h\"", "expire"),
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
            ("[idle]\nunload_after = \"999ms\"", "idle.unload_after"),
            ("[idle]\nunload_after = \"200years\"", "idle.unload_after"),
            ("[idle]\ncheck_every = \"9ms\"", "idle.check_every"),
            ("[idle]\ncheck_every = \"2h\"", "idle.check_every"),
            ("[expiry]\nidle = \"1ms\"", "expiry.idle"),
            ("[expiry]\nage = \"200years\"", "expiry.age"),
            ("[classes.night.expiry]\nidle = \"1ms\"", "classes.night.expiry.idle"),
            ("[prune]\nevery = \"1ms\"", "prune.every"),
            ("[prune]\nhook_timeout = \"0s\"", "prune.hook_timeout"),
            ("[prune]\nfinalize_attempts = 0", "prune.finalize_attempts"),
            ("[prune]\ndelete_closed_after = \"1ms\"", "prune.delete_closed_after"),
            ("[recovery]\nresume_within = \"200years\"", "recovery.resume_within"),
            ("[recovery]\nmax_restarts = 32", "recovery.max_restarts"),
            ("[recovery]\nloop_window = \"0s\"", "recovery.loop_window"),
            ("[resume]\nmax_age = \"999ms\"", "resume.max_age"),
            ("[resume]\nmax_age = \"200years\"", "resume.max_age"),
            ("[resume]\nmax_value_bytes = 0", "resume.max_value_bytes"),
            ("[leases]\nmax_age = \"999ms\"", "leases.max_age"),
            ("[leases]\nmax_per_session = 0", "leases.max_per_session"),
            ("[partials]\nevery_chunks = 0", "partials.every_chunks"),
            ("[partials]\nevery = \"2d\"", "partials.every"),
            ("[partials]\nmax_bytes = 0", "partials.max_bytes"),
            ("[limits]\nturn_wait = \"25h\"", "limits.turn_wait"),
            ("busy = { interrupt = { grace = \"2h\" } }", "busy.interrupt.grace"),
        ] {
            let config: Config = toml::from_str(text).unwrap();
            let error = config.validate().unwrap_err();
            assert_eq!(error.field, name);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

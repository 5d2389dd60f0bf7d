//! Settings of how conversations end by themselves, for all and for kinds of them.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::expiry::ExpiryRules;

/// Settings of the pass that ends conversations whose time is over.
///
/// Whoever opens or uses such a conversation ends it on the spot; the pass is for those that nobody asks
/// for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PruneConfig {
    /// How often. The first pass begins with the start. Default: 1 h; 0 is never. Otherwise at least 1 s,
    /// at most 100 years.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// How long a [`PruneHook`](crate::PruneHook) may take for one session; longer means that it keeps the
    /// session. Default: 5 s. Between 1 ms and 1 h.
    #[serde(with = "humantime_serde")]
    pub hook_timeout: Duration,
    /// How often in a row, since it was last used, the last rites of a session may fail before it is ended
    /// without. Default: 3. At least 1.
    pub finalize_attempts: u32,
    /// How long sessions are kept that were archived or have ended, before they are deleted. Default: 0,
    /// which is for ever. Otherwise at least 1 s, at most 100 years.
    #[serde(with = "humantime_serde")]
    pub delete_closed_after: Duration,
}

impl Default for PruneConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(60 * 60),
            hook_timeout: Duration::from_secs(5),
            finalize_attempts: 3,
            delete_closed_after: Duration::ZERO,
        }
    }
}

/// Settings of one kind of conversation; what is absent is as for all.
///
/// A session is of the kind that [`NewSession::class`](crate::NewSession::class) says, and otherwise of that
/// of its key's platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ClassConfig {
    /// When its conversations end by themselves.
    pub expiry: ExpiryRules,
    /// How many of its turns may run at once; as `limits.max_turns`, which bounds all classes together.
    /// Default: 0, which is any number.
    pub max_turns: usize,
}

/// How long conversations may rest unless something else is set.
const DEFAULT_IDLE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What is set for all if nothing is.
pub(super) fn default_expiry() -> ExpiryRules {
    ExpiryRules { idle: Some(DEFAULT_IDLE), ..ExpiryRules::default() }
}

/// As they are in a file: what is not said there has its default, as everywhere else.
pub(super) mod expiry_for_all {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::expiry::ExpiryRules;

    /// For serde.
    pub(in crate::config) fn serialize<S: Serializer>(
        rules: &ExpiryRules,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        // Never has to be said: left out, it would be the default.
        let idle = Some(rules.idle.unwrap_or(Duration::ZERO));
        ExpiryRules { idle, ..rules.clone() }.serialize(serializer)
    }

    /// For serde.
    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ExpiryRules, D::Error> {
        let rules = ExpiryRules::deserialize(deserializer)?;
        let idle = rules.idle.or(super::default_expiry().idle);
        Ok(ExpiryRules { idle, ..rules })
    }
}

/// The longest time that can be set.
const AGES: Duration = Duration::from_secs(100 * 366 * 24 * 3_600);

/// An error if `value` is neither 0 nor within the usual bounds.
fn never_or_usual(field: impl Into<Cow<'static, str>>, value: Duration) -> Result<(), ConfigError> {
    if value.is_zero() || (value >= Duration::from_secs(1) && value <= AGES) {
        return Ok(());
    }
    let value = humantime::format_duration(value).to_string();
    Err(ConfigError {
        field: field.into(),
        value,
        rule: "it must be 0, or between 1s and 100 years",
    })
}

impl PruneConfig {
    /// Checks every bound.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        never_or_usual("prune.every", self.every)?;
        never_or_usual("prune.delete_closed_after", self.delete_closed_after)?;
        let refuse = |field: &'static str, value: String, rule| {
            Err(ConfigError { field: Cow::Borrowed(field), value, rule })
        };
        let bounds = Duration::from_millis(1)..=Duration::from_secs(3_600);
        if !bounds.contains(&self.hook_timeout) {
            let value = humantime::format_duration(self.hook_timeout).to_string();
            return refuse("prune.hook_timeout", value, "it must be between 1ms and 1h");
        }
        if self.finalize_attempts < 1 {
            let rule = "it must be at least 1";
            return refuse("prune.finalize_attempts", self.finalize_attempts.to_string(), rule);
        }
        Ok(())
    }
}

impl ExpiryRules {
    /// Checks every bound; `whose` are they, with dots.
    pub(crate) fn validate(&self, whose: &str) -> Result<(), ConfigError> {
        never_or_usual(format!("{whose}.idle"), self.idle.unwrap_or_default())?;
        never_or_usual(format!("{whose}.age"), self.age.unwrap_or_default())
    }
}

//! Settings of how conversations end by themselves, for all and for kinds of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// How often in a row the last rites of a session may fail before it is ended without. Default: 3. At
    /// least 1.
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
}

/// How long conversations may rest unless something else is set.
const DEFAULT_IDLE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What is set for all if nothing is.
pub(super) fn default_expiry() -> ExpiryRules {
    ExpiryRules { idle: Some(DEFAULT_IDLE), ..ExpiryRules::default() }
}

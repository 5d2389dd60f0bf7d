//! Handles of conversations at outside services.
//!
//! Many bots talk to something that keeps a conversation of its own: the session id of an agent's command
//! line, the thread id of a hosted API. They keep that id and hand it back on the next turn. When the
//! service has lost the conversation, every turn fails with the dead id, for ever; a run that fails may
//! echo it in its output, and it is stored again; and whoever retries does so without an end.
//!
//! So a handle is kept beside the session with its age and its attempts; an attempt is counted before
//! it is made; and a value that the service says is gone is dropped at once and not taken again.
//! [`Turn::attempt_resume`](crate::Turn::attempt_resume) shows the whole loop.

use std::fmt;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::entry::{EntryError, check_length, check_name};
use crate::store::{ResumeAction, ResumeChange, StoredHandle, resume_digest};

/// What an outside service calls its side of the conversation, as it was read.
///
/// It is a view: what has become of the handle since is found out by whatever it is given to, which does
/// nothing to a newer one.
#[derive(Clone, PartialEq, Eq)]
pub struct ResumeHandle {
    /// Which service.
    provider: String,
    /// What is kept.
    stored: StoredHandle,
}

impl ResumeHandle {
    /// What is kept of `provider`.
    pub(crate) fn new(provider: &str, stored: StoredHandle) -> Self {
        Self { provider: provider.to_owned(), stored }
    }

    /// Which service.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// What the service calls the conversation.
    pub fn value(&self) -> &str {
        &self.stored.value
    }

    /// Since when this value is kept.
    pub fn stored_at(&self) -> Timestamp {
        self.stored.stored_at
    }

    /// When it was known to work last: it was kept, or a turn that had used it committed. From here
    /// `resume.max_age` counts.
    pub fn last_used_at(&self) -> Timestamp {
        self.stored.used_at
    }

    /// How many attempts were begun since then, each counted before it was made. One that is handed out by
    /// an attempt counts that, too; otherwise more than 0 says that the last ones failed, or never ended
    /// because the process did.
    pub fn attempts(&self) -> u32 {
        self.stored.attempts
    }

    /// What drops it, unless another has taken its place or it was used after `unused_since`.
    pub(crate) fn drops(&self, unused_since: Timestamp) -> ResumeChange {
        let action = ResumeAction::Drop { digest: self.digest(), unused_since };
        ResumeChange { provider: self.provider.clone(), action }
    }

    /// What tells its value from others.
    pub(crate) fn digest(&self) -> u128 {
        resume_digest(&self.stored.value)
    }
}

/// What keeps `value` as the handle of `provider`, if it can be one.
pub(crate) fn keeps(
    provider: &str,
    value: &str,
    config: &Config,
) -> Result<ResumeChange, EntryError> {
    check_name(provider, &config.limits)?;
    check_length(value, config.resume.max_value_bytes)?;
    let (value, refuse_for) = (value.to_owned(), config.resume.max_age);
    let action = ResumeAction::Keep { value, refuse_for };
    Ok(ResumeChange { provider: provider.to_owned(), action })
}

/// Without the value, which may be as good as a password where it comes from.
impl fmt::Debug for ResumeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeHandle")
            .field("provider", &self.provider)
            .field("stored_at", &self.stored.stored_at)
            .field("last_used_at", &self.stored.used_at)
            .field("attempts", &self.stored.attempts)
            .finish_non_exhaustive()
    }
}

/// Why an attempt to go on with a handle failed, in the words of whoever knows the service's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResumeFailure {
    /// The service says that there is no such conversation, or not any more. Only this one drops the handle
    /// at once; be sure of it.
    Gone,
    /// The service refused the request, and did not say that the conversation is gone.
    Rejected,
    /// The service did not answer in time.
    Timeout,
    /// The service could not be reached, or says that it is overloaded. It says nothing about the handle, and the
    /// attempt is not counted against it.
    Unavailable,
    /// Anything else.
    Other,
}

impl ResumeFailure {
    /// Every class.
    pub const ALL: [Self; 5] =
        [Self::Gone, Self::Rejected, Self::Timeout, Self::Unavailable, Self::Other];

    /// Its name in metrics; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Other => "other",
        }
    }

    /// Whether the handle is dead.
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Gone)
    }
}

impl fmt::Display for ResumeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be done after an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a loop that does not look at it may be without an end"]
#[non_exhaustive]
pub enum ResumeAdvice {
    /// The handle is dropped: try once more without one.
    RetryFresh,
    /// Fail. The handle is kept, unless it was gone, and may work another time.
    GiveUp,
}

/// What became of a value that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a value that is refused as dead is not kept"]
#[non_exhaustive]
pub enum KeptHandle {
    /// It is kept; of a turn, once that commits.
    Kept,
    /// It is not: the service has said that it is gone, less than `resume.max_age` ago. What was kept before
    /// stays.
    RefusedDead,
}

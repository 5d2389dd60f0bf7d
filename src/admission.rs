//! The one place where a host may refuse a turn: authorisation, quotas, maintenance.
//!
//! Asked once for each begin, on the caller's thread, before the session's lock is taken, and the same
//! whether the session is idle or busy. What it refuses has touched nothing: no session is created for
//! it, nothing is stored, and it takes no place in a queue.

use std::fmt;

use crate::id::SessionId;
use crate::key::SessionKey;
use crate::policy::BusyPolicy;

/// Decides whether a turn may be begun.
///
/// Any `Fn(&AdmissionRequest<'_>) -> Result<(), Denial>` is one.
pub trait Admission: Send + Sync + 'static {
    /// Whether the turn may be begun, for all that the host knows.
    ///
    /// Called without any lock, by whoever begins, so it must not block for long: what has to be
    /// looked up elsewhere is looked up before the begin. A panic goes to the caller of the begin,
    /// and leaves nothing behind.
    ///
    /// # Errors
    ///
    /// A [`Denial`] refuses the begin, with [`BeginError::Denied`](crate::BeginError::Denied).
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<(), Denial>;
}

impl<F> Admission for F
where
    F: Fn(&AdmissionRequest<'_>) -> Result<(), Denial> + Send + Sync + 'static,
{
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<(), Denial> {
        self(request)
    }
}

/// A turn that somebody wants to begin.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AdmissionRequest<'a> {
    /// The session; `None` if the begin is for a key and its session is not known yet.
    pub session: Option<&'a SessionId>,
    /// The key that the begin is for, or under which the session was created.
    pub key: Option<&'a SessionKey>,
    /// The size of the input, encoded, in bytes; 0 without one.
    pub input_bytes: usize,
    /// What would happen while another turn runs.
    pub policy: BusyPolicy,
}

/// Why a host refuses a turn, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Denial {
    /// Shown to whoever began; say what to do about it.
    pub reason: String,
}

impl Denial {
    /// A refusal for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Admits everything: what a supervisor has unless it is given another.
pub(crate) struct AdmitAll;

impl Admission for AdmitAll {
    fn admit(&self, _request: &AdmissionRequest<'_>) -> Result<(), Denial> {
        Ok(())
    }
}

impl fmt::Debug for dyn Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admission")
    }
}

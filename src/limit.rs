//! What there is only so much of, and what is said to whoever finds it used up.
//!
//! Being *full* and being *unavailable* are different answers. Full: this supervisor has as much to do as it
//! was told to take on; whoever comes back later may find room. Unavailable: the store, or the process, cannot
//! do it now, however little there is to do. [`ErrorKind`] tells them apart, and has the usual HTTP status of
//! each.

use std::fmt;
use std::time::Duration;

/// A setting that bounds how much there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Turns at once: `limits.max_turns`.
    Turns,
    /// Turns at once in one class: `classes.<name>.max_turns`.
    ClassTurns,
    /// Turns that wait for a permit: `limits.max_waiting_turns`.
    WaitingTurns,
    /// Stored sessions: `limits.max_sessions`.
    Sessions,
    /// Begins that wait for their session, in all sessions: `limits.max_queued_turns`.
    QueuedTurns,
    /// The bytes of their inputs: `limits.max_queued_bytes`.
    QueuedBytes,
    /// Entries of one conversation: `limits.max_entries`.
    Entries,
    /// Bytes of the entries of one conversation: `limits.max_transcript_bytes`.
    TranscriptBytes,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Turns,
        Self::ClassTurns,
        Self::WaitingTurns,
        Self::Sessions,
        Self::QueuedTurns,
        Self::QueuedBytes,
        Self::Entries,
        Self::TranscriptBytes,
    ];

    /// Its name in metrics; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Turns => "turns",
            Self::ClassTurns => "class_turns",
            Self::WaitingTurns => "waiting_turns",
            Self::Sessions => "sessions",
            Self::QueuedTurns => "queued_turns",
            Self::QueuedBytes => "queued_bytes",
            Self::Entries => "entries",
            Self::TranscriptBytes => "transcript_bytes",
        }
    }
}

/// The setting that it is, with dots.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Turns => "limits.max_turns",
            Self::ClassTurns => "classes.<name>.max_turns",
            Self::WaitingTurns => "limits.max_waiting_turns",
            Self::Sessions => "limits.max_sessions",
            Self::QueuedTurns => "limits.max_queued_turns",
            Self::QueuedBytes => "limits.max_queued_bytes",
            Self::Entries => "limits.max_entries",
            Self::TranscriptBytes => "limits.max_transcript_bytes",
        })
    }
}

/// A limit that is reached. Nothing was stored, created or called; coming back later may do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{limit}` is reached: {current} of {max}")]
#[non_exhaustive]
pub struct Full {
    /// Which one.
    pub limit: Limit,
    /// How much of it there was.
    pub current: u64,
    /// How much there may be.
    pub max: u64,
    /// When to come back, as a guess: how long turns took of late, for each round of those that wait. Between
    /// 1 s and 1 min. `None` where nothing that passes by itself makes room.
    pub retry_after: Option<Duration>,
}

/// A conversation that is as long as it may be. Nothing was stored. Coming back later does not help: begin a
/// new conversation ([`Supervisor::reset`](crate::Supervisor::reset)), or take turns back
/// ([`Session::rollback`](crate::Session::rollback)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the conversation is as long as it may be: with this it would have {wanted} of `{limit}`, {max} at most; \
     begin a new one, or take turns back"
)]
#[non_exhaustive]
pub struct TooLong {
    /// Which limit: of entries, or of bytes.
    pub limit: Limit,
    /// How much it would have.
    pub wanted: u64,
    /// How much it may have.
    pub max: u64,
}

/// How a limit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitStatus {
    /// Which one.
    pub limit: Limit,
    /// The class that it is for, if it is for one.
    pub class: Option<String>,
    /// How much of it there is; `None` for those of a single conversation.
    pub current: Option<u64>,
    /// How much there may be; 0 is any number.
    pub max: u64,
    /// How many wait for it.
    pub waiting: u64,
    /// How often somebody was refused because of it, since the start. Those of a class are counted together,
    /// for the supervisor.
    pub rejected: u64,
}

/// Of which kind an error is: what an adapter tells its client.
///
/// | kind | HTTP | come back? |
/// | --- | --- | --- |
/// | `Invalid` | 400, 413, 422 | not with the same |
/// | `Denied` | 403 | as the host says |
/// | `NotFound` | 404 | no |
/// | `Gone` | 410 | with another session |
/// | `Inactive` | 423 | once it is resumed or restored |
/// | `Conflict` | 409 | after looking again |
/// | `Busy` | 409 | once the running turn is over |
/// | `Full` | 429 | after `retry_after` |
/// | `Unavailable` | 503 | after `retry_after`, if it is told |
/// | `Done` | 200 | no: the input has been taken in already |
/// | `Cancelled` | 499 | as the user likes |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked for cannot be done, now or later.
    Invalid,
    /// The host refused it.
    Denied,
    /// There is no such session.
    NotFound,
    /// The session was deleted, or is being deleted.
    Gone,
    /// The session takes no turns and no changes: it was suspended, archived, or has ended.
    Inactive,
    /// Something else has come first.
    Conflict,
    /// A turn runs in the session.
    Busy,
    /// A limit is reached.
    Full,
    /// The store failed or has no room, or the supervisor is paused or shuts down.
    Unavailable,
    /// It has been done: the same was asked for before, or a running turn took it.
    Done,
    /// It was told to end.
    Cancelled,
}

/// A place in the line for permits; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(pub(crate) u64);

impl From<Full> for Shortage {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

/// Why there is no permit for a turn, and no place to wait for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// A limit is reached.
    Full(Full),
    /// The supervisor is paused.
    Paused,
}

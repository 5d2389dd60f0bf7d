//! What a start says it found and did.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::{InstanceId, SessionId, StreamId};
use crate::key::SessionKey;
use crate::standing::SuspendReason;
use crate::store::{CleanStop, Healed, Quarantined, RunRecord};

/// What a start found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// How many sessions the store holds. None of them is loaded.
    pub found: u64,
    /// How the run before this one ended.
    pub last_run: LastRun,
    /// How many starts within `recovery.loop_window` came after a run that did not end in good order, this one
    /// included.
    pub restarts: u32,
    /// Whether those were `recovery.max_restarts` or more, so that this start suspended what it found open.
    pub looping: bool,
    /// The turns that an earlier run had left open.
    pub settled: Vec<SettledTurn>,
    /// The sessions that were suspended, since a turn of theirs ran in too many crashes in a row.
    pub suspended: Vec<SuspendedSession>,
    /// What was removed because its time was over.
    pub swept: Swept,
    /// How many handles of outside services had expired and were dropped; see
    /// [`ResumeConfig::max_age`](crate::ResumeConfig::max_age).
    pub resume_handles_swept: usize,
    /// Rows that could not be read, each told by table and id. They were left as they are.
    pub damaged: Vec<String>,
    /// The sessions that got back what they had lost; see [`Store::heal`](crate::Store::heal).
    pub healed: Vec<Healed>,
    /// What is wrong otherwise and was left as it is: nothing was restored on its word, and no other session
    /// is affected.
    pub quarantined: Vec<Quarantined>,
    /// How long it took.
    pub took: Duration,
}

impl RecoveryReport {
    /// The turns that may be done over, with [`Session::retry`](crate::Session::retry): the id stays the
    /// same, and so does the input.
    pub fn resumable(&self) -> impl Iterator<Item = &SettledTurn> {
        self.settled.iter().filter(|turn| turn.resumable)
    }
}

/// How the run before this one ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LastRun {
    /// There was none.
    #[default]
    None,
    /// In good order.
    Clean {
        /// Which.
        instance: InstanceId,
        /// When it was started.
        started_at: Timestamp,
        /// When it ended, and how its turns did.
        stop: CleanStop,
    },
    /// Not in good order: it was killed, crashed, did not come to the end of its shutdown, or was dropped
    /// without one.
    Crashed {
        /// Which.
        instance: InstanceId,
        /// When it was started.
        started_at: Timestamp,
    },
}

impl LastRun {
    /// Of the run before, if there was one.
    pub(super) fn of(run: Option<&RunRecord>) -> Self {
        match run {
            None => Self::None,
            Some(&RunRecord { instance, started_at, stop: Some(stop) }) => {
                Self::Clean { instance, started_at, stop }
            }
            Some(&RunRecord { instance, started_at, stop: None }) => {
                Self::Crashed { instance, started_at }
            }
        }
    }

    /// Whether there was one, and it did not end in good order.
    pub const fn is_crash(self) -> bool {
        matches!(self, Self::Crashed { .. })
    }
}

/// A turn that was running when an earlier run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettledTurn {
    /// Its session.
    pub session: SessionId,
    /// The key of that session.
    pub key: Option<SessionKey>,
    /// Its stream.
    pub stream: StreamId,
    /// The run that had begun it.
    pub instance: InstanceId,
    /// When it was begun.
    pub began_at: Timestamp,
    /// Whether it may be done over: it is younger than `recovery.resume_within`, its session is active, and
    /// nothing looks like a loop of crashes.
    pub resumable: bool,
}

/// A session that a start has suspended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuspendedSession {
    /// Which.
    pub session: SessionId,
    /// Its key.
    pub key: Option<SessionKey>,
    /// Why.
    pub reason: SuspendReason,
    /// How many starts in a row have found it with an open turn.
    pub crashes: u32,
}

/// What a start has removed because its time was over: a bounded number of each, and the rest is for the
/// sweeps to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Tombstones.
    pub tombstones: usize,
    /// Names of begins.
    pub requests: usize,
    /// Revisions, with their entries.
    pub revisions: usize,
}

//! The runs of the process on a store: what tells a start whether the one before it ended in good order.
//!
//! Each start notes a run, and a shutdown marks it. A run without a mark was killed, crashed, or was dropped.
//! Only the newest run can be marked, so a mark is told once, to the start that comes next.

use crate::clock::Timestamp;
use crate::id::InstanceId;

/// How many runs a store keeps: the newest, with the one that is under way.
pub const KEPT_RUNS: usize = 32;

/// One run of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// Which.
    pub instance: InstanceId,
    /// When it was started.
    pub started_at: Timestamp,
    /// How it was ended in good order; `None` if it was not, or has not been yet.
    pub stop: Option<CleanStop>,
}

/// The mark of a run that was ended in good order: nothing ran any more, and the store had everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanStop {
    /// When.
    pub at: Timestamp,
    /// How the turns ended that ran when it began to end.
    pub turns: DrainCounts,
}

/// How turns ended while a supervisor shut down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainCounts {
    /// By themselves.
    pub finished: u64,
    /// After they were told to.
    pub cancelled: u64,
    /// Because their work was dropped.
    pub aborted: u64,
    /// Over their holder's head.
    pub fenced: u64,
}

impl DrainCounts {
    /// All of them.
    pub const fn total(self) -> u64 {
        self.finished + self.cancelled + self.aborted + self.fenced
    }
}

/// What a run finds when it is noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunsFound {
    /// The runs before it, newest first: up to [`KEPT_RUNS`] less one. One whose row is damaged is here with
    /// what can be read of it, and as if it had not been marked.
    pub earlier: Vec<RunRecord>,
    /// How many sessions there are.
    pub sessions: u64,
    /// The rows of runs that are damaged, a line each.
    pub damaged: Vec<String>,
}

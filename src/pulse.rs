//! What a turn is doing, and whether it moves.

use std::fmt;

/// What a turn that runs is waiting for, as its code says with [`Turn::enter`](crate::Turn::enter).
/// It decides how long the turn may be silent: see [`StallConfig`](crate::StallConfig).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkPhase {
    /// The model: its answer, or the next piece of it.
    #[default]
    Model,
    /// A tool, a download, a build: anything that may be silent for long.
    Tool,
    /// A person: an approval, an answer. May take as long as it likes.
    Human,
}

impl WorkPhase {
    /// Its name in logs and metrics; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Tool => "tool",
            Self::Human => "human",
        }
    }
}

impl fmt::Display for WorkPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One reading of a turn's progress. Two readings that are equal say that nothing has happened
/// between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pulse {
    /// How often it has made progress: a chunk, a phase, a heartbeat.
    pub(crate) beats: u64,
    /// What it is waiting for.
    pub(crate) work: WorkPhase,
}

/// Something whose progress can be read, at any time and without waking anybody.
pub(crate) trait Pulsing {
    /// Reads it.
    fn pulse(&self) -> Pulse;
}

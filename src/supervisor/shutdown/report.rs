//! How a shutdown is asked for, and what it says it did.

use std::time::Duration;

use crate::id::{SessionId, StreamId};
use crate::key::SessionKey;
use crate::outcome::TurnOutcome;
use crate::store::DrainCounts;

/// How a supervisor is to be shut down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownOptions {
    /// How long turns that run, and tasks, may go on before they are told to end. Default: not at all.
    pub deadline: Duration,
    /// Turns that are not to be waited for, and not to be told: those whose own work asks for the
    /// shutdown. Default: none.
    pub except: Vec<StreamId>,
}

impl ShutdownOptions {
    /// With this deadline.
    #[must_use]
    pub fn within(deadline: Duration) -> Self {
        Self { deadline, ..Self::default() }
    }

    /// Does not wait for the turn of this stream, nor for its task. For work that asks for the shutdown itself:
    /// it would wait for itself.
    ///
    /// If that turn is still open when everything else has ended, its end is stored over its head, as
    /// cancelled by the shutdown and with its input kept; its code is neither told nor aborted and hears
    /// of it from its next call.
    #[must_use]
    pub fn except(mut self, turn: StreamId) -> Self {
        self.except.push(turn);
        self
    }
}

impl From<Duration> for ShutdownOptions {
    fn from(deadline: Duration) -> Self {
        Self::within(deadline)
    }
}

/// What a shutdown did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The sessions that were not at rest when it was asked for, or in which a turn ran afterwards, in the
    /// order of their creation.
    pub sessions: Vec<DrainedSession>,
    /// How their turns ended, together. Those that were not waited for count as fenced.
    pub turns: DrainCounts,
    /// Turns that were told to end because the deadline had come.
    pub told: usize,
    /// The turns whose tasks still run, without those that were not to be waited for: work that blocks its
    /// thread can be left behind, but not ended.
    pub detached: Vec<StreamId>,
    /// Whether the store has the mark of a clean stop, so that the next start knows that this run did not crash.
    pub marked: bool,
    /// Whether everything had ended and was stored before the store was closed.
    pub clean: bool,
    /// How long it took.
    pub took: Duration,
}

/// What a shutdown found in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainedSession {
    /// Which.
    pub id: SessionId,
    /// The key that it was created under.
    pub key: Option<SessionKey>,
    /// The turns that ran then or later, oldest first. None, if there was only something to be stored.
    pub turns: Vec<DrainedTurn>,
}

/// What became of a turn during a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainedTurn {
    /// Its stream.
    pub stream: StreamId,
    /// What it took to end it.
    pub end: DrainEnd,
    /// Its outcome; `None` if it has none.
    pub outcome: Option<TurnOutcome>,
}

/// What it took to end a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DrainEnd {
    /// Nothing: it ended by itself, be it after it was told to.
    Finished,
    /// It was told to, and has ended as cancelled.
    Cancelled,
    /// Its work was dropped.
    Aborted,
    /// It was ended over its holder's head.
    Fenced,
    /// As `Fenced`, but as late as possible and without a word: it was [not to be waited
    /// for](ShutdownOptions::except).
    Excepted,
    /// It has not ended, or the store does not know of its end: the next start settles it.
    Open,
}

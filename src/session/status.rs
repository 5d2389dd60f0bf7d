//! What is to be seen of a session from outside.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::{Generation, StreamId};
use crate::policy::TurnPhase;
use crate::pulse::WorkPhase;
use crate::rt::Arc;
use crate::slot::{Presence, Slot};
use crate::standing::Standing;
use crate::state::TurnView;
use crate::tombstone::Tombstone;

/// What is happening in a session, at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Set once the session was deleted.
    pub gone: Option<Tombstone>,
    /// Whether it is being deleted.
    pub closing: bool,
    /// Whether it takes turns, as far as is known here; see `loaded`. One whose time is over is archived
    /// when it is used, and by the next pass at the latest.
    pub standing: Standing,
    /// Whether it is in memory. If not, nothing runs and nothing waits, and the version, the newest turn and
    /// the last use are those of when this handle had it loaded last. They may be older than what is stored,
    /// if it was used since through other handles; [`Session::record`](crate::Session::record) says.
    pub loaded: bool,
    /// The turns that run, oldest first.
    pub turns: Vec<TurnStatus>,
    /// How many begins wait: for the turns that run, or, the first of them, for a permit.
    pub queued: usize,
    /// How many turns were ended over their holder's head and have not noticed yet.
    pub fenced: usize,
    /// How many writes the store has not answered.
    pub unwritten: usize,
    /// Counts the changes of transcript and data; for [`BeginOptions::expect_version`].
    ///
    /// [`BeginOptions::expect_version`]: crate::BeginOptions::expect_version
    pub version: u64,
    /// The number of the newest turn.
    pub generation: Generation,
    /// When it was last used.
    pub last_active_at: Timestamp,
}

/// A turn that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnStatus {
    /// Its stream.
    pub stream: StreamId,
    /// What it is doing.
    pub phase: TurnPhase,
    /// How long it has been open.
    pub age: Duration,
    /// What its code says that it is waiting for.
    pub work: WorkPhase,
    /// How long it has made no progress: no chunk, no phase, no heartbeat. As far as was seen, so up to
    /// `stalls.check_every` less than it was.
    pub silent_for: Duration,
}

impl SessionStatus {
    /// Of what is in `slot`.
    pub(super) fn of(slot: &Arc<Slot>) -> Self {
        let (snapshot, presence) = slot.view();
        let turn = |turn: TurnView| {
            let TurnView { stream, phase, age, work, silent_for } = turn;
            TurnStatus { stream, phase, age, work, silent_for }
        };
        Self {
            gone: match presence {
                Presence::Gone(tombstone) => Some(tombstone),
                Presence::Live
                | Presence::Shut(_)
                | Presence::Due
                | Presence::Closing
                | Presence::Left => None,
            },
            standing: snapshot.standing,
            closing: presence == Presence::Closing,
            loaded: !matches!(presence, Presence::Gone(_) | Presence::Left),
            turns: snapshot.turns.into_iter().map(turn).collect(),
            queued: snapshot.queued,
            fenced: snapshot.fenced,
            unwritten: snapshot.unwritten,
            version: snapshot.version,
            generation: snapshot.generation,
            last_active_at: snapshot.last_active_at,
        }
    }

    /// Whether a turn holds the slot, so that a begin under `Reject` would be refused.
    pub fn is_busy(&self) -> bool {
        !self.turns.is_empty()
    }

    /// The stream that a reader can follow: of the turn begun last that has not been told to end. A
    /// session may be busy and have none.
    pub fn attachable(&self) -> Option<StreamId> {
        let running = |turn: &&TurnStatus| turn.phase != TurnPhase::Cancelling;
        self.turns.iter().rev().find(running).map(|turn| turn.stream)
    }
}

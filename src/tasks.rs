//! The tasks that work on turns: those that `run` was given, by the turn each was begun for.
//!
//! A task may outlive its turn: what its work does after it has committed is nobody's reply any more, and
//! still is to be waited for, and in the end aborted, when the supervisor shuts down.

use crate::id::StreamId;
use crate::outcome::CancelReason;
use crate::rt::{Arc, ShardedMap};
use crate::slot::Slot;
use crate::stream::Stream;

/// The tasks that run.
#[derive(Debug)]
pub(crate) struct Tasks {
    /// Through what each is told to end.
    running: ShardedMap<StreamId, Arc<Stream>>,
}

impl Tasks {
    /// None.
    pub(crate) fn new() -> Self {
        Self { running: ShardedMap::new() }
    }

    /// A task begins to work on a turn of `slot`; it goes on until what this answers is dropped.
    pub(crate) fn track(slot: &Arc<Slot>, turn: StreamId, stream: Arc<Stream>) -> Tracked {
        slot.engine.tasks.running.insert(turn, stream);
        Tracked { slot: slot.clone(), turn }
    }

    /// Those that run, but for `except`.
    pub(crate) fn left(&self, except: &[StreamId]) -> Vec<StreamId> {
        self.running.collect(|turn, _| (!except.contains(turn)).then_some(*turn))
    }

    /// Has the work of those that run dropped where it awaits, as the supervisor shuts down, but for `except`.
    pub(crate) fn abort(&self, except: &[StreamId]) {
        let pick = |turn: &StreamId, stream: &Arc<Stream>| {
            (!except.contains(turn)).then(|| stream.clone())
        };
        // Told without a shard locked: whoever is woken may end at once.
        for stream in self.running.collect(pick) {
            stream.abort(CancelReason::Shutdown);
        }
    }
}

/// A task that runs.
#[derive(Debug)]
pub(crate) struct Tracked {
    /// Where its turn was begun.
    slot: Arc<Slot>,
    /// That turn.
    turn: StreamId,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.slot.engine.tasks.running.remove_if(&self.turn, |_| true);
        self.slot.stir();
    }
}

//! What is to be seen of the session, without touching it.

use super::{OpenTurn, Ports, Rest, SessionState, Snapshot, TurnView};
use crate::clock::Now;
use crate::id::{Generation, StreamId};
use crate::policy::{Holder, TurnPhase};
use crate::pulse::Pulsing;

impl<P: Ports> SessionState<P> {
    /// What is to be seen.
    pub(crate) fn snapshot(&self, now: Now) -> Snapshot {
        Snapshot {
            turns: self.turns.iter().map(|turn| self.turn_view(turn, now)).collect(),
            queued: self.queue.len(),
            echoes: self.echoes.len(),
            requests: self.requests,
            fenced: self.fenced.len(),
            unwritten: self.outbox.len(),
            version: self.version,
            last_active_at: self.last_use(now).wall,
            standing: self.standing(),
            generation: self.generation,
        }
    }

    /// Whether it rests.
    pub(crate) fn rest(&self, now: Now) -> Rest {
        Rest { idle_for: self.idle_for(now), kept_by: self.keepers(now.moment).collect() }
    }

    /// The name of a turn of this life.
    pub(super) fn stream_id(&self, generation: Generation) -> StreamId {
        StreamId::new(self.incarnation, generation)
    }

    /// What is to be seen of an open turn.
    fn turn_view(&self, turn: &OpenTurn<P>, now: Now) -> TurnView {
        let Holder { stream, age, phase } = self.holder(turn, now);
        let pulse = turn.stream.pulse();
        let silent_for = turn.silent_for(pulse, now.moment);
        TurnView { stream, phase, age, work: pulse.work, silent_for }
    }

    /// What is told of a turn that holds the slot.
    pub(super) fn holder(&self, turn: &OpenTurn<P>, now: Now) -> Holder {
        let phase = match (turn.stopping, turn.opened) {
            (Some(_), _) => TurnPhase::Cancelling,
            (None, true) => TurnPhase::Running,
            (None, false) => TurnPhase::Starting,
        };
        Holder { stream: self.stream_id(turn.generation), age: now.moment.since(turn.since), phase }
    }
}

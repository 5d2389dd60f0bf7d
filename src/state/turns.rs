//! How turns end.
//!
//! What may race with each transition is decided by the lock: whichever input comes first wins, and
//! the later one finds a turn that is open, fenced or over, and is answered so.

use super::pending::Pending;
use super::{
    Effect, Gate, OpenTurn, Ports, Replied, SessionState, Settlement, Size, Step, Stopping,
};
use crate::clock::Now;
use crate::id::Generation;
use crate::outcome::TurnOutcome;
use crate::store::{InputFate, Write};

impl<P: Ports> SessionState<P> {
    /// Ends a turn with its reply, if it still may.
    pub(super) fn commit(
        &mut self,
        generation: Generation,
        Replied { entries, data, extra }: Replied,
        port: P::Settle,
        step: &mut Step<'_, P>,
    ) {
        let Some(turn) = self.take_turn(generation, step) else {
            let answer = Ok(Settlement::Stale { reason: self.take_fenced(generation) });
            step.effects.push(Effect::Settled { port, answer });
            return;
        };
        if let Some(stopping) = turn.stopping {
            let outcome = TurnOutcome::Cancelled(stopping.reason);
            let then = Some((port, Settlement::Stale { reason: stopping.reason }));
            self.settle(turn, (outcome, InputFate::Keep), then, step.now);
        } else if let Some(by) = self.superseded_by(&turn) {
            let then = Some((port, Settlement::Superseded { by: self.stream_id(by) }));
            self.settle(turn, (TurnOutcome::Superseded, InputFate::Aside), then, step.now);
        } else {
            self.grow(Size::of(entries.iter().map(bytes::Bytes::len)));
            let first_seq = self.take_seqs(entries.len());
            self.version += 1;
            self.last_commit = Some(generation);
            let nothing = entries.is_empty();
            self.tip = if nothing { self.tip.max(turn.last_seq) } else { self.next_seq - 1 };
            self.touch(step.now);
            let answer = Settlement::Committed { seq: self.next_seq - 1, version: self.version };
            let (version, at) = (self.version, step.now.wall);
            let write = Write::Commit { generation, first_seq, entries, data, extra, version, at };
            self.outbox.push_back(Pending::Settle {
                write: Some(write),
                generation,
                stream: Some(turn.stream),
                outcome: TurnOutcome::Committed,
                then: Some((port, answer)),
            });
        }
        self.admit_next(step);
    }

    /// The turn that has made a parallel turn's reply too late, if one has.
    fn superseded_by(&self, turn: &OpenTurn<P>) -> Option<Generation> {
        self.last_commit.filter(|_| !turn.branches() && turn.base != self.last_commit)
    }

    /// Ends a turn without a reply, as its holder says.
    pub(super) fn fail(
        &mut self,
        generation: Generation,
        fate: InputFate,
        port: P::Settle,
        step: &mut Step<'_, P>,
    ) {
        let Some(turn) = self.take_turn(generation, step) else {
            let answer = Ok(Settlement::Stale { reason: self.take_fenced(generation) });
            step.effects.push(Effect::Settled { port, answer });
            return;
        };
        let (outcome, answer) = match turn.stopping {
            Some(Stopping { reason, .. }) => {
                (TurnOutcome::Cancelled(reason), Settlement::Stale { reason })
            }
            None => (TurnOutcome::Failed, Settlement::Failed),
        };
        self.settle(turn, (outcome, fate), Some((port, answer)), step.now);
        self.admit_next(step);
    }

    /// Ends a turn whose holder let go of it.
    pub(super) fn dropped(
        &mut self,
        generation: Generation,
        panicked: bool,
        step: &mut Step<'_, P>,
    ) {
        let Some(turn) = self.take_turn(generation, step) else {
            self.take_fenced(generation);
            return;
        };
        let outcome = match turn.stopping {
            Some(stopping) => TurnOutcome::Cancelled(stopping.reason),
            None if panicked => TurnOutcome::Panicked,
            None => TurnOutcome::Abandoned,
        };
        self.settle(turn, (outcome, InputFate::Keep), None, step.now);
        self.admit_next(step);
    }

    /// Takes a turn off the open ones. Its permit goes back at once, before the next one asks for one.
    pub(super) fn take_turn(
        &mut self,
        generation: Generation,
        step: &Step<'_, P>,
    ) -> Option<Box<OpenTurn<P>>> {
        let place = self.turns.iter().position(|turn| turn.generation == generation)?;
        let mut turn = self.turns.remove(place);
        if let Some(permit) = turn.permit.take() {
            self.gate.free(permit, step.now.moment);
        }
        Some(turn)
    }

    /// Records the end of a turn that left no reply.
    pub(super) fn settle(
        &mut self,
        turn: Box<OpenTurn<P>>,
        (outcome, input): (TurnOutcome, InputFate),
        then: Option<(P::Settle, Settlement)>,
        now: Now,
    ) {
        self.touch(now);
        let generation = turn.generation;
        // A dropped input leaves what was said to the turn later.
        let stays = input == InputFate::Keep || input == InputFate::Drop && turn.steered > 0;
        if stays && !turn.beside {
            self.tip = self.tip.max(turn.last_seq);
        }
        if input == InputFate::Drop {
            self.shrink(Size::of(turn.input_bytes));
        }
        let partial = self.partial_fate(&turn, input);
        let (next_seq, version, at) = (self.next_seq, self.version, now.wall);
        let write = Write::Settle { generation, outcome, input, partial, next_seq, version, at };
        self.outbox.push_back(Pending::Settle {
            write: Some(write),
            generation,
            stream: Some(turn.stream),
            outcome,
            then,
        });
    }
}

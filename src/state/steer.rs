//! Handing what is said to a busy session to the turn that runs in it.
//!
//! Whoever says something waits in the queue like anybody else, at its place. A running turn that asks for
//! more gets the first in the queue, if that may be handed to it; so nobody is overtaken, a turn that never
//! asks takes nothing, and what it leaves becomes a turn of its own. What was taken is stored before the
//! turn gets it, as a further input of the turn. One at a time: what was not asked for stays where it is.
//!
//! What races:
//!
//! - A take against the end of the turn. If the end comes first, the newcomer is admitted and there is nothing to
//!   take; if the take does, the input is the turn's, whatever becomes of that.
//! - A turn that looks again against the delivery of what it took: it is stored, and not in the turn's hands. So a turn
//!   that asks says how much it has read, and gets more only when that is all that it was given.

use std::collections::VecDeque;

use super::pending::Pending;
use super::{Effect, Ports, SessionState, Size, Step};
use crate::id::Generation;
use crate::policy::BusyPolicy;
use crate::store::Write;

impl<P: Ports> SessionState<P> {
    /// Tells the turn that runs that there is something for it, if there is.
    pub(super) fn offer(&self, step: &mut Step<'_, P>) {
        if !self.is_steering() {
            return;
        }
        for turn in &self.turns {
            if turn.opened && turn.stopping.is_none() {
                step.effects.push(Effect::Steerable { stream: turn.stream.clone() });
            }
        }
    }

    /// Whether the first in the queue may be handed to a running turn.
    fn is_steering(&self) -> bool {
        let steers = |policy| matches!(policy, BusyPolicy::Steer { .. });
        self.queue.front().is_some_and(|first| {
            steers(first.request.policy)
                && first.request.input.is_some()
                && first.request.special.is_none()
                && first.request.expect_version.is_none()
        })
    }

    /// Hands the first in the queue to turn `generation`, if it may take it.
    pub(super) fn take(&mut self, generation: Generation, read: u64, step: &mut Step<'_, P>) {
        let runs = |turn: &super::OpenTurn<P>| {
            let is_it = turn.generation == generation && turn.steered == read;
            is_it && turn.opened && turn.stopping.is_none()
        };
        if !self.is_steering() {
            return;
        }
        let Some(place) = self.turns.iter().position(|turn| runs(turn)) else { return };
        let Some(first) = self.queue.made().and_then(VecDeque::pop_front) else { return };
        let Some(input) = first.request.input else { return };
        self.grow(Size::one(input.len()));
        let (seq, at) = (self.take_seqs(1), step.now.wall);
        self.touch(step.now);
        let Some(turn) = self.turns.get_mut(place) else { return };
        turn.last_seq = seq;
        turn.steered += 1;
        let stream = turn.stream.clone();
        let write = Some(Write::Steer { generation, seq, input: input.clone(), at });
        let port = first.port;
        self.outbox.push_back(Pending::Steer { write, generation, seq, port, stream, input });
        // It may have kept back a parallel newcomer that needs no free slot, or something for another turn.
        self.admit_next(step);
    }
}

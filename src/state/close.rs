//! Deleting a session.
//!
//! Under the lock the session closes: nothing new is admitted, what waits is told, what runs is
//! fenced, and nothing that ends later can write. Then the store deletes and leaves the tombstone,
//! and only then is anybody told. A store that fails leaves the session closing, and the next delete
//! finishes it.

use std::time::Duration;

use super::pending::Pending;
use super::{BeginRefusal, Closing, DeleteRefusal, Effect, Phase, Ports, SessionState, Step};
use crate::outcome::{CancelReason, TurnOutcome};
use crate::store::{StoreError, Write};
use crate::tombstone::{GoneReason, Tombstone};

/// What a delete did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// This one deleted it.
    Deleted(Tombstone),
    /// Another one did, or had done.
    AlreadyGone(Tombstone),
}

impl<P: Ports> SessionState<P> {
    /// Deletes the session, or joins the delete under way.
    pub(super) fn delete(
        &mut self,
        reason: GoneReason,
        keep_for: Duration,
        port: P::Delete,
        step: &mut Step<'_, P>,
    ) {
        let by_itself = matches!(reason, GoneReason::Expired(_) | GoneReason::Purged);
        let kept = by_itself && self.is_open_or_pinned();
        let standing = self.standing();
        match &mut self.phase {
            Phase::Live | Phase::Shut(_) if kept => {
                step.effects.push(Effect::Deleted { port, answer: Err(DeleteRefusal::Kept) });
            }
            Phase::Live | Phase::Shut(_) => {
                let until = step.now.wall.plus(keep_for);
                let incarnation = self.incarnation;
                let tombstone = Tombstone { incarnation, reason, at: step.now.wall, until };
                let waiting = vec![port];
                let routable = standing.is_routable();
                let closing = Closing { tombstone, waiting, failed: None, routable };
                self.phase = Phase::Closing(Box::new(closing));
                self.end_everything(step);
                self.drop_leases(step);
                self.push_delete(tombstone);
            }
            Phase::Closing(closing) => {
                closing.waiting.push(port);
                if closing.failed.take().is_some() {
                    let tombstone = closing.tombstone;
                    self.push_delete(tombstone);
                }
            }
            Phase::Gone(tombstone) => {
                let answer = Ok(Deletion::AlreadyGone(**tombstone));
                step.effects.push(Effect::Deleted { port, answer });
            }
            Phase::Left => {
                step.effects.push(Effect::Deleted { port, answer: Err(DeleteRefusal::Left) });
            }
        }
    }

    /// Waits for the delete under way; one that has failed is told as it is, not tried again.
    pub(super) fn await_delete(&mut self, port: P::Delete, step: &mut Step<'_, P>) {
        let answer = match &mut self.phase {
            Phase::Closing(closing) => {
                let Some(error) = &closing.failed else {
                    closing.waiting.push(port);
                    return;
                };
                Err(DeleteRefusal::Store(error.clone()))
            }
            Phase::Gone(tombstone) => Ok(Deletion::AlreadyGone(**tombstone)),
            Phase::Live | Phase::Shut(_) | Phase::Left => Err(DeleteRefusal::Left),
        };
        step.effects.push(Effect::Deleted { port, answer });
    }

    /// Fences what runs and tells what waits. Their ends are told at once: the record that could
    /// say otherwise is about to go.
    fn end_everything(&mut self, step: &mut Step<'_, P>) {
        let reason = CancelReason::Deleted;
        let open: Vec<_> = self.turns.iter().map(|turn| turn.generation).collect();
        for generation in open {
            let Some(turn) = self.fence(generation, reason, step) else { continue };
            let outcome = TurnOutcome::Cancelled(reason);
            step.effects.push(Effect::End { stream: turn.stream, outcome });
        }
        self.stop_asking();
        for queued in self.queue.take() {
            let refusal = BeginRefusal::Closing;
            self.refuse_echoes(queued.request.ticket, &refusal, step);
            step.effects.push(Effect::Refused { port: queued.port, refusal });
        }
    }

    /// Puts the delete behind what is still to be written.
    fn push_delete(&mut self, tombstone: Tombstone) {
        self.outbox.push_back(Pending::Delete { write: Some(Write::Delete { tombstone }) });
    }

    /// The store has deleted it.
    pub(super) fn buried(&mut self, step: &mut Step<'_, P>) {
        let Phase::Closing(closing) = &mut self.phase else { return };
        let (tombstone, counted) = (closing.tombstone, closing.routable);
        let waiting = std::mem::take(&mut closing.waiting);
        self.phase = Phase::Gone(Box::new(tombstone));
        // First the slot, then the answers: whoever is told finds the tombstone.
        step.effects.push(Effect::Bury { tombstone, counted });
        for (place, port) in waiting.into_iter().enumerate() {
            let answer = Ok(if place == 0 {
                Deletion::Deleted(tombstone)
            } else {
                Deletion::AlreadyGone(tombstone)
            });
            step.effects.push(Effect::Deleted { port, answer });
        }
    }

    /// The store has not deleted it. The session stays closing.
    pub(super) fn delete_failed(&mut self, error: &StoreError, step: &mut Step<'_, P>) {
        let Phase::Closing(closing) = &mut self.phase else { return };
        closing.failed = Some(error.clone());
        for port in std::mem::take(&mut closing.waiting) {
            let answer = Err(DeleteRefusal::Store(error.clone()));
            step.effects.push(Effect::Deleted { port, answer });
        }
    }
}

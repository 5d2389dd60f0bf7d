//! Clearing a turn that the store calls open and that nobody holds.
//!
//! The proof that it is dead is this state: a turn that could still be alive is open here, or its begin or
//! its end is on its way to the store. Anything else has no holder, since only this state gives turns
//! away. The clearing goes through the outbox like everything else, so that it is behind what was decided
//! before it and ahead of what comes after; and the store refuses it if the turn is not open any more.

use super::pending::Pending;
use super::{Effect, Phase, Ports, SessionState, Settlement, Step};
use crate::id::Generation;
use crate::outcome::TurnOutcome;
use crate::store::{FenceReason, StoreError};

impl<P: Ports> SessionState<P> {
    /// Settles turn `generation` as interrupted, unless it may be alive.
    pub(super) fn clear(
        &mut self,
        generation: Generation,
        port: P::Settle,
        step: &mut Step<'_, P>,
    ) {
        if !matches!(self.phase, Phase::Live | Phase::Shut(_)) || self.may_live(generation) {
            step.effects.push(Effect::Settled { port, answer: Ok(Settlement::Failed) });
            return;
        }
        self.repair(generation, None, step.now.wall, Some((port, Settlement::Failed)));
    }

    /// Whether a turn is open, or about to be, or about to be told to the store as over.
    pub(crate) fn may_live(&self, wanted: Generation) -> bool {
        let coming = |pending: &Pending<P>| {
            matches!(pending, Pending::Begin { generation, .. } | Pending::Settle { generation, .. }
                if *generation == wanted)
        };
        self.outbox.iter().any(coming) || self.is_open(wanted)
    }

    /// Whether the error with which the store answers to the clearing of a turn means that it is over.
    pub(super) fn is_cleared(outcome: TurnOutcome, error: &StoreError) -> bool {
        let over = matches!(error, StoreError::Fenced { reason: FenceReason::TurnNotOpen });
        outcome == TurnOutcome::Interrupted && over
    }
}

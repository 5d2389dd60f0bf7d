//! How turns are told to end: told, then aborted, then ended over their holder's head.
//!
//! Each step has its own deadline, counted from the cancel and not from the begin. Aborting drops the
//! work that was given to `run`, and the turn ends with it, as a dropped one does; a turn that its
//! caller holds, or whose work blocks its thread, has only the fence ahead.

use smallvec::SmallVec;

use super::{BeginRefusal, Effect, OpenTurn, Ports, SessionState, Step, Stopping, Target};
use crate::id::Generation;
use crate::outcome::{CancelReason, TurnOutcome};
use crate::policy::Grace;
use crate::store::InputFate;

impl<P: Ports> SessionState<P> {
    /// Tells turns to end. Each keeps the slot until it unwinds or its grace is over.
    pub(super) fn cancel(
        &mut self,
        target: Target,
        reason: CancelReason,
        grace: Grace,
        step: &mut Step<'_, P>,
    ) {
        let hit = |turn: &OpenTurn<P>| match target {
            Target::Turn(generation) => turn.generation == generation,
            Target::Everything => true,
        };
        let found: SmallVec<[Generation; 1]> =
            self.turns.iter().filter(|turn| hit(turn)).map(|turn| turn.generation).collect();
        let streams = found.iter().map(|&generation| self.stream_id(generation)).collect();
        let mut already = true;
        for &generation in &found {
            already &= !self.tell(generation, reason, grace, step);
        }
        step.effects.push(Effect::Cancelled { streams, already });
        if target == Target::Everything {
            self.stop_asking();
            for queued in self.queue.take() {
                let refusal = BeginRefusal::Cancelled(reason);
                self.refuse_echoes(queued.request.ticket, &refusal, step);
                step.effects.push(Effect::Refused { port: queued.port, refusal });
            }
        }
        self.escalate(step);
    }

    /// Tells every open turn to end.
    pub(super) fn tell_all(&mut self, reason: CancelReason, grace: Grace, step: &mut Step<'_, P>) {
        let open: SmallVec<[Generation; 1]> =
            self.turns.iter().map(|turn| turn.generation).collect();
        for generation in open {
            self.tell(generation, reason, grace, step);
        }
    }

    /// Tells one turn to end; answers whether it had not been told before. The first reason stands,
    /// and a shorter grace than the first shortens it.
    pub(super) fn tell(
        &mut self,
        generation: Generation,
        reason: CancelReason,
        grace: Grace,
        step: &mut Step<'_, P>,
    ) -> bool {
        let now = step.now.moment;
        let (abort_at, fence_at) = (now.plus(grace.abort_after), now.plus(grace.fence_after));
        let Some(turn) = self.turns.iter_mut().find(|turn| turn.generation == generation) else {
            return false;
        };
        let earlier = turn.stopping;
        if earlier.is_none_or(|earlier| fence_at < earlier.fence_at) {
            let first = Stopping { reason, abort_at, aborted: false, fence_at };
            let stopping = earlier.map_or(first, |earlier| Stopping {
                abort_at: earlier.abort_at.min(abort_at),
                fence_at,
                ..earlier
            });
            turn.stopping = Some(stopping);
            let sooner = earlier.is_none_or(|earlier| stopping.abort_at < earlier.abort_at);
            if sooner && stopping.abort_at < fence_at {
                step.effects.push(Effect::Alarm { at: stopping.abort_at, unneeded: None });
            }
            step.effects.push(Effect::Alarm { at: fence_at, unneeded: None });
        }
        if earlier.is_none() {
            step.effects.push(Effect::Tell { stream: turn.stream.clone(), reason });
        }
        earlier.is_none()
    }

    /// Takes the next step with every turn that was told to end and has not in time.
    pub(super) fn escalate(&mut self, step: &mut Step<'_, P>) {
        self.abort_overdue(step);
        self.fence_overdue(step);
    }

    /// Aborts the turns whose time to unwind is over. What is to be fenced is dropped by that, and one
    /// whose begin is not stored has no work yet.
    fn abort_overdue(&mut self, step: &mut Step<'_, P>) {
        let now = step.now.moment;
        for turn in self.turns.iter_mut().filter(|turn| turn.opened) {
            let Some(stopping) = &mut turn.stopping else { continue };
            if !stopping.aborted && stopping.abort_at <= now && now < stopping.fence_at {
                stopping.aborted = true;
                let (stream, reason) = (turn.stream.clone(), stopping.reason);
                step.effects.push(Effect::Abort { stream, reason });
            }
        }
    }

    /// Fences the turns whose grace is over; their holders will find out when they report.
    fn fence_overdue(&mut self, step: &mut Step<'_, P>) {
        let overdue: SmallVec<[(Generation, CancelReason); 1]> = self
            .turns
            .iter()
            .filter_map(|turn| Some((turn.generation, turn.stopping?)))
            .filter(|(_, stopping)| stopping.fence_at <= step.now.moment)
            .map(|(generation, stopping)| (generation, stopping.reason))
            .collect();
        for &(generation, reason) in &overdue {
            let Some(turn) = self.fence(generation, reason, step) else { continue };
            let outcome = TurnOutcome::Cancelled(reason);
            self.settle(turn, (outcome, InputFate::Keep), None, step.now);
        }
        if !overdue.is_empty() {
            self.admit_next(step);
        }
    }

    /// Takes a turn from its holder. Whoever gets it has to see to its one end.
    pub(super) fn fence(
        &mut self,
        generation: Generation,
        reason: CancelReason,
        step: &mut Step<'_, P>,
    ) -> Option<Box<OpenTurn<P>>> {
        let turn = self.take_turn(generation, step)?;
        if turn.opened {
            self.fenced.make().push((generation, reason));
        }
        step.effects.push(Effect::Fence { stream: turn.stream.clone(), reason });
        Some(turn)
    }

    /// Takes a turn off the fenced ones, now that its holder has reported; why it was fenced.
    pub(super) fn take_fenced(&mut self, generation: Generation) -> CancelReason {
        let taken = self.fenced.made().and_then(|fenced| {
            let place = fenced.iter().position(|(fenced, _)| *fenced == generation)?;
            Some(fenced.remove(place).1)
        });
        // Only a state that was left forgets whom it fenced.
        taken.unwrap_or(CancelReason::StoreFailed)
    }
}

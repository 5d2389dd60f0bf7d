//! Carrying out effects, after the lock.

use std::time::Duration;

use super::Slot;
use super::answer::Errand;
use crate::clock::Now;
use crate::id::{Generation, SessionId, StreamId};
use crate::metrics::Counts;
use crate::outcome::{CancelReason, TurnOutcome};
use crate::policy::Holder;
use crate::rt::{self, Arc, CancellationToken};
use crate::slot::actor;
use crate::slot::hold::Hold;
use crate::slot::house::{DrainStep, House};
use crate::standing::Standing;
use crate::state::{BeginRefusal, Effect, Input, LeaveReason, Settlement, Stall};
use crate::stream::{Said, Stream};
use crate::tombstone::Tombstone;

impl Slot {
    /// Carries out the effects of an input, outside the lock. Many have none.
    pub(super) fn perform(self: &Arc<Self>, errand: &mut Errand) {
        if !errand.effects.is_empty() {
            self.carry_out(errand);
        }
        self.stir();
    }

    /// Carries out the effects of an input.
    fn carry_out(self: &Arc<Self>, errand: &mut Errand) {
        let Errand { now, effects, begun, settled, .. } = errand;
        let now = *now;
        for effect in effects.drain(..) {
            match effect {
                Effect::Begun { port, generation, stream } => {
                    tracing::debug!(session = %self.tip(), stream = name(&stream), from = "starting",
                        to = "running", "a turn has begun");
                    // If nobody waits any more the hold comes back and is dropped: abandoned.
                    port.give(Ok(Hold::new(self.clone(), generation, stream)), begun);
                }
                Effect::Refused { port, refusal } => port.give(Err(Box::new(refusal)), begun),
                Effect::Settled { port, answer } => {
                    if let Ok(Settlement::Stale { reason }) = answer {
                        self.engine.counts.stale(reason);
                    }
                    port.give(answer.map_err(Box::new), settled);
                }
                Effect::Rotated { to } => self.rotated(&to),
                Effect::Changed { port, answer } => drop(port.send(answer)),
                Effect::Deleted { port, answer } => drop(port.send(answer)),
                // Taken out by `cancel` and `lease`, read by `look`.
                Effect::Cancelled { .. } | Effect::Leased { .. } | Effect::Unwatch => {}
                Effect::LeaseTaken { lease } => self.lease_taken(&lease),
                Effect::LeaseEnded { lease, end } => self.lease_ended(&lease, end),
                Effect::Waiting { holder } => self.waits(holder.as_ref()),
                Effect::Steerable { stream } => stream.offer(),
                Effect::Steered { port, generation, seq, stream, input } => {
                    tracing::debug!(session = %self.tip(), stream = name(&stream), seq,
                        "a turn takes what was said to it");
                    stream.deliver(Said { seq, at: now.wall, input });
                    let refusal = BeginRefusal::Steered { by: generation, seq };
                    port.give(Err(Box::new(refusal)), begun);
                }
                Effect::Opened { generation, stream } => self.opened(generation, &stream),
                Effect::Tell { stream, reason } => self.tell(&stream, reason),
                Effect::Abort { stream, reason } => self.abort(&stream, reason),
                Effect::Fence { stream, reason } => self.fence(&stream, reason),
                Effect::End { stream, outcome } => self.ended(&stream, outcome, now),
                Effect::Stalled { stream, stall } => self.stalled(&stream, &stall),
                Effect::Watch => self.with_house(|house, slot| house.watch(slot)),
                Effect::Alarm { at, unneeded } => self.set_alarm(at.since(now.moment), unneeded),
                Effect::Stands { before, standing } => self.stands(before, standing),
                Effect::Bury { tombstone, counted } => self.bury(tombstone, counted),
                Effect::Leave { reason } => self.leave(reason),
            }
        }
    }

    /// Tells a shutdown that something may have ended.
    pub(crate) fn stir(self: &Arc<Self>) {
        if self.engine.is_draining() {
            self.with_house(|house, _| house.stirred());
        }
    }

    /// A begin has to wait.
    fn waits(&self, holder: Option<&Holder>) {
        if let Some(holder) = holder {
            tracing::debug!(session = %self.tip(), behind = %holder.stream, held_for = ?holder.age,
                phase = %holder.phase, "a begin waits");
        } else {
            tracing::debug!(session = %self.tip(), "a begin waits for a permit");
        }
    }

    /// Tells a shutdown what happens to a turn.
    fn drains(self: &Arc<Self>, stream: &Stream, step: DrainStep) {
        if self.engine.is_draining()
            && let Some(turn) = stream.name()
        {
            self.with_house(|house, slot| house.drains(slot, turn, step));
        }
    }

    /// A turn took the slot.
    fn opened(&self, generation: Generation, stream: &Stream) {
        self.engine.counts.begun();
        stream.set_name(generation);
        tracing::debug!(session = %self.tip(), stream = name(stream), from = "idle", to = "starting",
            "a turn takes the slot");
    }

    /// A turn is told to end.
    fn tell(self: &Arc<Self>, stream: &Stream, reason: CancelReason) {
        tracing::debug!(session = %self.tip(), stream = name(stream), %reason, from = "running",
            to = "cancelling", "a turn is told to end");
        self.engine.counts.told(reason);
        self.drains(stream, DrainStep::Told);
        stream.tell(reason);
    }

    /// A turn that was told to end has not.
    fn abort(self: &Arc<Self>, stream: &Stream, reason: CancelReason) {
        tracing::debug!(session = %self.tip(), stream = name(stream), %reason, from = "cancelling",
            to = "aborted", "a turn's work is to be dropped");
        self.engine.counts.aborted(reason);
        self.drains(stream, DrainStep::Aborted);
        stream.abort(reason);
    }

    /// A turn is ended over its holder's head.
    fn fence(self: &Arc<Self>, stream: &Stream, reason: CancelReason) {
        tracing::debug!(session = %self.tip(), stream = name(stream), %reason, from = phase(stream),
            to = "fenced", "a turn is fenced");
        self.engine.counts.fenced(reason);
        self.drains(stream, DrainStep::Fenced);
        stream.abort(reason);
    }

    /// A turn is stuck.
    fn stalled(&self, stream: &Stream, stall: &Stall) {
        let (phase, budget) = (stall.work, stall.budget.as_str());
        self.engine.counts.stalled(phase, stall.budget);
        tracing::warn!(session = %self.tip(), stream = name(stream), %phase, silent_for = ?stall.silent_for,
            worked_for = ?stall.worked_for, budget, "a turn is stuck");
    }

    /// A turn is over.
    fn ended(self: &Arc<Self>, stream: &Arc<Stream>, outcome: TurnOutcome, now: Now) {
        let took = now.moment.since(stream.since());
        let taken = stream.taken();
        self.engine.counts.ended(outcome, took.as_secs_f64(), taken);
        tracing::debug!(session = %self.tip(), stream = name(stream), reason = %outcome, ?took,
            from = phase(stream), to = "ended", "a turn is over");
        stream.end(outcome);
        self.drains(stream, DrainStep::Ended(outcome));
        // One whose end was stored was shelved under the lock. Not again here: a delete may have come
        // between, and what was said in a deleted conversation must not come back.
        if taken > 0 && outcome == TurnOutcome::Interrupted {
            self.shelve(stream, now);
        }
    }

    /// The session has a further id.
    fn rotated(self: &Arc<Self>, to: &SessionId) {
        tracing::info!(session = %self.tip(), to = %to, "a session is told by another id");
        self.engine.counts.rotated();
        self.add_id(to);
        self.with_house(|house, slot| house.rotated(slot, to));
    }

    /// Keeps a stream for readers that come back. Without chunks there is nothing to come back for.
    pub(super) fn shelve(&self, stream: &Arc<Stream>, now: Now) {
        if let Some(id) = stream.name().filter(|_| stream.taken() > 0) {
            self.engine.shelf.put(id, stream.clone(), now.moment);
        }
    }

    /// Sends the state an alarm after `wait`, unless it is not needed any more, or the supervisor is over first.
    ///
    /// Also where nothing is left to wait: the time may have come since the state was asked, and an
    /// alarm that was not needed changes nothing.
    fn set_alarm(self: &Arc<Self>, wait: Duration, unneeded: Option<CancellationToken>) {
        let (slot, over) = (Arc::downgrade(self), self.engine.over.clone());
        let unneeded = unneeded.unwrap_or_default();
        self.engine.spawner.spawn(async move {
            let wait = unneeded.run_until_cancelled(rt::sleep(wait));
            let rung = over.run_until_cancelled(wait).await.flatten().is_some();
            if let Some(slot) = slot.upgrade().filter(|_| rung) {
                slot.apply(Input::Alarm);
            }
        });
    }

    /// It takes turns from now on, or takes none.
    fn stands(self: &Arc<Self>, before: Standing, standing: Standing) {
        tracing::info!(session = %self.tip(), from = before.as_str(), to = standing.as_str(),
            reason = %standing, "a session stands otherwise");
        Counts::stands(standing);
        if before.is_routable() != standing.is_routable() {
            self.engine.capacity.count_session(standing.is_routable());
        }
        self.with_house(|house, slot| house.stands(slot));
    }

    /// The session is gone.
    fn bury(self: &Arc<Self>, tombstone: Tombstone, counted: bool) {
        tracing::info!(session = %self.tip(), reason = %tombstone.reason, from = "closing", to = "gone",
            "a session is deleted");
        self.engine.counts.deleted();
        if counted {
            self.engine.capacity.count_session(false);
        }
        self.engine.shelf.forget(self.incarnation);
        self.with_house(|house, slot| house.bury(slot, tombstone));
        actor::retire(self);
    }

    /// This state is over, and the session is not.
    fn leave(self: &Arc<Self>, reason: LeaveReason) {
        if matches!(reason, LeaveReason::StoreFailed | LeaveReason::Outdated) {
            tracing::warn!(session = %self.tip(), reason = reason.as_str(), from = "live", to = "left",
                "a session is loaded anew on the next use");
        } else {
            tracing::debug!(session = %self.tip(), reason = reason.as_str(), from = "live", to = "stored",
                "a session leaves memory");
        }
        self.engine.counts.unloaded(reason);
        self.with_house(|house, slot| house.leave(slot));
        actor::retire(self);
    }

    /// Tells the house, if it still stands.
    fn with_house(self: &Arc<Self>, tell: impl FnOnce(&dyn House, &Arc<Self>)) {
        if let Some(house) = self.house() {
            tell(house.as_ref(), self);
        }
    }
}

/// The name of a stream, as a field of an event.
fn name(stream: &Stream) -> Option<tracing::field::DisplayValue<StreamId>> {
    stream.name().map(tracing::field::display)
}

/// What a turn that is about to end was doing.
fn phase(stream: &Stream) -> &'static str {
    if stream.told().is_some() { "cancelling" } else { "running" }
}

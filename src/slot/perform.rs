//! Carrying out effects, after the lock.

use std::time::Duration;

use super::Slot;
use super::answer::Errand;
use crate::clock::Now;
use crate::id::{Generation, StreamId};
use crate::metrics::Counts;
use crate::outcome::TurnOutcome;
use crate::policy::Holder;
use crate::rt::Arc;
use crate::slot::actor;
use crate::slot::hold::Hold;
use crate::slot::house::House;
use crate::standing::Standing;
use crate::state::{BeginRefusal, Effect, Input, LeaveReason, Settlement, Stall};
use crate::stream::{Said, Stream};
use crate::tombstone::Tombstone;

impl Slot {
    /// Carries out the effects of an input, outside the lock.
    pub(super) fn perform(self: &Arc<Self>, errand: &mut Errand) {
        let Errand { now, effects, begun, settled } = errand;
        let now = *now;
        for effect in effects.drain(..) {
            match effect {
                Effect::Begun { port, generation, stream } => {
                    tracing::debug!(session = %self.id, stream = name(&stream), from = "starting",
                        to = "running", "a turn has begun");
                    // If nobody waits any more the hold comes back and is dropped: abandoned.
                    port.give(Ok(Hold::new(self.clone(), generation, stream)), begun);
                }
                Effect::Refused { port, refusal } => port.give(Err(refusal), begun),
                Effect::Settled { port, answer } => {
                    if let Ok(Settlement::Stale { reason }) = answer {
                        self.engine.counts.stale(reason);
                    }
                    port.give(answer, settled);
                }
                Effect::Changed { port, answer } => drop(port.send(answer)),
                Effect::Deleted { port, answer } => drop(port.send(answer)),
                // The one is taken out by `cancel`, the other read by `look`.
                Effect::Cancelled { .. } | Effect::Unwatch => {}
                Effect::Waiting { holder } => self.waits(&holder),
                Effect::Steerable { stream } => stream.offer(),
                Effect::Steered { port, generation, seq, stream, input } => {
                    tracing::debug!(session = %self.id, stream = name(&stream), seq,
                        "a turn takes what was said to it");
                    stream.deliver(Said { seq, at: now.wall, input });
                    port.give(Err(BeginRefusal::Steered { by: generation, seq }), begun);
                }
                Effect::Opened { generation, stream } => self.opened(generation, &stream),
                Effect::Tell { stream, reason } => {
                    tracing::debug!(session = %self.id, stream = name(&stream), %reason,
                        from = "running", to = "cancelling", "a turn is told to end");
                    self.engine.counts.told(reason);
                    stream.tell(reason);
                }
                Effect::Abort { stream, reason } => {
                    tracing::debug!(session = %self.id, stream = name(&stream), %reason,
                        from = "cancelling", to = "aborted", "a turn's work is to be dropped");
                    self.engine.counts.aborted(reason);
                    stream.abort(reason);
                }
                Effect::Fence { stream, reason } => {
                    tracing::debug!(session = %self.id, stream = name(&stream), %reason,
                        from = phase(&stream), to = "fenced", "a turn is fenced");
                    self.engine.counts.fenced(reason);
                    stream.abort(reason);
                }
                Effect::End { stream, outcome } => self.ended(&stream, outcome, now),
                Effect::Stalled { stream, stall } => self.stalled(&stream, &stall),
                Effect::Watch => self.with_house(|house, slot| house.watch(slot)),
                Effect::Alarm { at } => self.set_alarm(at.since(now.moment)),
                Effect::Stands { before, standing } => self.stands(before, standing),
                Effect::Bury { tombstone } => self.bury(tombstone),
                Effect::Leave { reason } => self.leave(reason),
            }
        }
        if self.engine.is_draining() {
            self.with_house(|house, _| house.stirred());
        }
    }

    /// A begin has to wait.
    fn waits(&self, holder: &Holder) {
        tracing::debug!(session = %self.id, behind = %holder.stream, held_for = ?holder.age,
            phase = %holder.phase, "a begin waits");
    }

    /// A turn took the slot.
    fn opened(&self, generation: Generation, stream: &Stream) {
        self.engine.counts.begun();
        stream.set_name(self.stream_id(generation));
        tracing::debug!(session = %self.id, stream = name(stream), from = "idle", to = "starting",
            "a turn takes the slot");
    }

    /// A turn is stuck.
    fn stalled(&self, stream: &Stream, stall: &Stall) {
        let (phase, budget) = (stall.work, stall.budget.as_str());
        self.engine.counts.stalled(phase, stall.budget);
        tracing::warn!(session = %self.id, stream = name(stream), %phase, silent_for = ?stall.silent_for,
            worked_for = ?stall.worked_for, budget, "a turn is stuck");
    }

    /// A turn is over.
    fn ended(&self, stream: &Arc<Stream>, outcome: TurnOutcome, now: Now) {
        let took = now.moment.since(stream.since());
        let taken = stream.taken();
        self.engine.counts.ended(outcome, took.as_secs_f64(), taken);
        tracing::debug!(session = %self.id, stream = name(stream), reason = %outcome, ?took,
            from = phase(stream), to = "ended", "a turn is over");
        stream.end(outcome);
        // One whose end was stored was shelved under the lock. Not again here: a delete may have come
        // between, and what was said in a deleted conversation must not come back.
        if taken > 0 && outcome == TurnOutcome::Interrupted {
            self.shelve(stream, now);
        }
    }

    /// Keeps a stream for readers that come back. Without chunks there is nothing to come back for.
    pub(super) fn shelve(&self, stream: &Arc<Stream>, now: Now) {
        if let Some(id) = stream.name().filter(|_| stream.taken() > 0) {
            self.engine.shelf.put(id, stream.clone(), now.moment);
        }
    }

    /// Sends the state an alarm after `wait`, unless the session or the supervisor is over first.
    ///
    /// Also where nothing is left to wait: the time may have come since the state was asked, and an
    /// alarm that was not needed changes nothing.
    fn set_alarm(self: &Arc<Self>, wait: Duration) {
        let (slot, over) = (Arc::downgrade(self), self.engine.over.clone());
        self.engine.spawner.spawn(async move {
            let rung = over.run_until_cancelled(crate::rt::sleep(wait)).await.is_some();
            if let Some(slot) = slot.upgrade().filter(|_| rung) {
                slot.apply(Input::Alarm);
            }
        });
    }

    /// It takes turns from now on, or takes none.
    fn stands(self: &Arc<Self>, before: Standing, standing: Standing) {
        tracing::info!(session = %self.id, from = before.as_str(), to = standing.as_str(),
            reason = %standing, "a session stands otherwise");
        Counts::stands(standing);
        self.with_house(|house, slot| house.stands(slot));
    }

    /// The session is gone.
    fn bury(self: &Arc<Self>, tombstone: Tombstone) {
        tracing::info!(session = %self.id, reason = %tombstone.reason, from = "closing", to = "gone",
            "a session is deleted");
        self.engine.counts.deleted();
        self.engine.shelf.forget(self.incarnation);
        self.with_house(|house, slot| house.bury(slot, tombstone));
        actor::retire(self);
    }

    /// This state is over, and the session is not.
    fn leave(self: &Arc<Self>, reason: LeaveReason) {
        if reason == LeaveReason::StoreFailed {
            tracing::warn!(session = %self.id, reason = "the store failed", from = "live", to = "left",
                "a session is loaded anew on the next use");
        } else {
            tracing::debug!(session = %self.id, reason = reason.as_str(), from = "live", to = "stored",
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

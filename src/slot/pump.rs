//! The way of a session's writes to the store, one at a time and in order.

use super::answer::Errand;
use super::{Callers, Slot};
use crate::rt::{Arc, MutexGuard};
use crate::slot::actor;
use crate::state::{Input, Phase, SessionState};
use crate::store::{StoreError, StoreFuture};

/// A write that the store has not answered yet.
#[derive(Debug)]
pub(in crate::slot) struct Writing {
    /// Its answer.
    future: StoreFuture<Result<(), StoreError>>,
    /// What it does, for the metric.
    operation: &'static str,
}

impl Slot {
    /// One input under the lock: what follows from it stands in the errand then.
    pub(super) fn step(&self, input: Input<Callers>, errand: &mut Errand) {
        self.step_locked(self.state.lock(), input, errand);
    }

    /// [`Self::step`], for a caller that has looked at the state first. Unlocks it.
    pub(super) fn step_locked(
        &self,
        mut state: MutexGuard<'_, SessionState<Callers>>,
        input: Input<Callers>,
        errand: &mut Errand,
    ) {
        let was_live = matches!(state.phase(), Phase::Live);
        let leaves = matches!(input, Input::Unload { .. });
        self.apply_locked(&mut state, input, leaves, errand);
        let closes = was_live && matches!(state.phase(), Phase::Closing(_));
        drop(state);
        if closes {
            tracing::info!(session = %self.tip(), from = "live", to = "closing", "a session closes");
        }
    }

    /// The store's answer under the lock, with everything else as in [`Self::step`].
    fn take_answer(&self, result: Result<(), StoreError>, errand: &mut Errand) {
        let mut state = self.state.lock();
        if result.is_err() {
            // Before anybody can load the session anew: it may have begun turns that the store never heard of.
            self.engine.numbers.move_on();
        } else if let Some(stream) = state.front_ending() {
            // Before the state forgets it, so that a reader who comes back finds it at every moment.
            self.shelve(stream, errand.now);
        }
        let leaves = state.is_leaving();
        self.apply_locked(&mut state, Input::Stored { result }, leaves, errand);
        drop(state);
        if let Some(waiters) = self.stored.get() {
            waiters.notify_waiters();
        }
    }

    /// Applies one input, by which the session may leave memory or not.
    fn apply_locked(
        &self,
        state: &mut SessionState<Callers>,
        input: Input<Callers>,
        leaves: bool,
        errand: &mut Errand,
    ) {
        if leaves {
            self.hold_touches(state, errand.now);
        } else {
            self.note_touch(state, errand.now);
        }
        let was_live = matches!(state.phase(), Phase::Live);
        state.apply(input, errand.now, &mut errand.effects);
        self.forget_fresh(state);
        errand.write = state.next_write();
        if leaves || was_live != matches!(state.phase(), Phase::Live) {
            self.settle_touches(state, errand.now);
        }
    }

    /// Carries out what follows from a step, and lets the store have the write; what it does not answer
    /// at once is left to the actor.
    pub(super) fn finish(self: &Arc<Self>, errand: &mut Errand) {
        if let Some(writing) = self.pump(errand) {
            *self.left_for_actor.lock() = Some(writing);
            actor::wake(self);
        }
    }

    /// Carries out effects and writes until there is nothing more, or the store has to be awaited.
    fn pump(self: &Arc<Self>, errand: &mut Errand) -> Option<Writing> {
        loop {
            self.perform(errand);
            let mut write = errand.write.take()?;
            self.engine.encode_partial(&mut write);
            let operation = write.name();
            let answer = Answer { slot: self, owed: Some(operation) };
            let result = if let Some(writer) = &self.writer {
                writer.write(write)
            } else {
                let written = self.engine.store.write(&self.id, self.incarnation, write);
                match written.now() {
                    Ok(result) => result,
                    Err(future) => {
                        answer.pass_on();
                        return Some(Writing { future, operation });
                    }
                }
            };
            answer.give(result, errand);
        }
    }

    /// For the actor: the write that was left to it.
    pub(in crate::slot) fn take_left(&self) -> Option<Writing> {
        self.left_for_actor.lock().take()
    }

    /// Whether a write was left that nobody awaits.
    pub(in crate::slot) fn has_left(&self) -> bool {
        self.left_for_actor.lock().is_some()
    }

    /// For the actor: awaits the write, and every one that follows and has to be awaited.
    pub(in crate::slot) async fn see_through(self: &Arc<Self>, mut writing: Writing) {
        loop {
            let answer = Answer { slot: self, owed: Some(writing.operation) };
            let result = writing.future.await;
            let mut errand = Errand::new(self.engine.now());
            answer.give(result, &mut errand);
            match self.pump(&mut errand) {
                Some(next) => writing = next,
                None => return,
            }
        }
    }
}

/// The duty to bring the store's answer back. Dropped without one, as when the store panics or the
/// actor is killed, it answers that the outcome is not known.
struct Answer<'a> {
    /// The session.
    slot: &'a Arc<Slot>,
    /// What was asked for, for the metric; `None` once it is answered or passed on.
    owed: Option<&'static str>,
}

impl Answer<'_> {
    /// Brings it back.
    fn give(mut self, result: Result<(), StoreError>, errand: &mut Errand) {
        let operation = self.owed.take().unwrap_or_default();
        if let Err(error) = &result {
            self.slot.engine.counts.store_failed(operation);
            // What counts may have been counted already.
            self.slot.engine.capacity.doubt_sessions();
            tracing::warn!(session = %self.slot.tip(), operation, %error, "the store failed");
        }
        self.slot.take_answer(result, errand);
    }

    /// Leaves the duty to the actor.
    fn pass_on(mut self) {
        self.owed = None;
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if self.owed.take().is_some() {
            let what = "the store did not finish it".to_owned();
            let result = Err(StoreError::OutcomeUnknown { what, source: None });
            let mut errand = Errand::new(self.slot.engine.now());
            self.slot.take_answer(result, &mut errand);
            self.slot.finish(&mut errand);
        }
    }
}

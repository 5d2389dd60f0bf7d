//! The way of a session's writes to the store, one at a time and in order.

use super::answer::Errand;
use super::{Callers, Slot};
use crate::rt::{Arc, MutexGuard};
use crate::slot::actor;
use crate::state::{Input, Phase, SessionState};
use crate::store::{StoreError, StoreFuture, Write};

/// A write that the store has not answered yet.
#[derive(Debug)]
pub(in crate::slot) struct Writing {
    /// Its answer.
    future: StoreFuture<Result<(), StoreError>>,
    /// What it does, for the metric.
    operation: &'static str,
}

impl Slot {
    /// One input under the lock; what is to be done, and what the store is to be told next.
    pub(super) fn step(&self, input: Input<Callers>, errand: &mut Errand) -> Option<Write> {
        self.step_locked(self.state.lock(), input, errand)
    }

    /// [`Self::step`], for a caller that has looked at the state first. Unlocks it.
    pub(super) fn step_locked(
        &self,
        mut state: MutexGuard<'_, SessionState<Callers>>,
        input: Input<Callers>,
        errand: &mut Errand,
    ) -> Option<Write> {
        let was_live = matches!(state.phase(), Phase::Live);
        if let (Input::Stored { result: Ok(()) }, Some(stream)) = (&input, state.front_ending()) {
            // Before the state forgets it, so that a reader who comes back finds it at every moment.
            self.shelve(stream, errand.now);
        }
        let stored = matches!(input, Input::Stored { .. });
        if matches!(input, Input::Stored { result: Err(_) }) {
            // Before anybody can load the session anew: it may have begun turns that the store never heard of.
            self.engine.numbers.move_on();
        }
        let unloads = matches!(input, Input::Unload { .. }) || stored && state.is_leaving();
        if unloads {
            self.hold_touches(&mut state, errand.now);
        } else {
            self.note_touch(&mut state, || errand.now);
        }
        state.apply(input, errand.now, &mut errand.effects);
        self.forget_fresh(&state);
        let write = state.next_write();
        let is_live = matches!(state.phase(), Phase::Live);
        if unloads || was_live != is_live {
            self.settle_touches(&mut state, errand.now);
        }
        let closes = was_live && matches!(state.phase(), Phase::Closing(_));
        drop(state);
        if let Some(waiters) = self.stored.get().filter(|_| stored) {
            waiters.notify_waiters();
        }
        if closes {
            tracing::info!(session = %self.tip(), from = "live", to = "closing", "a session closes");
        }
        write
    }

    /// Carries out effects, then lets the store have the write; what it does not answer at once is
    /// left to the actor.
    pub(super) fn finish(self: &Arc<Self>, errand: &mut Errand, write: Option<Write>) {
        if let Some(writing) = self.pump(errand, write) {
            *self.left_for_actor.lock() = Some(writing);
            actor::wake(self);
        }
    }

    /// Carries out effects and writes until there is nothing more, or the store has to be awaited.
    fn pump(self: &Arc<Self>, errand: &mut Errand, mut write: Option<Write>) -> Option<Writing> {
        loop {
            self.perform(errand);
            let mut write_now = write.take()?;
            self.engine.encode_partial(&mut write_now);
            let operation = write_now.name();
            let answer = Answer { slot: self, owed: Some(operation) };
            let result = if let Some(writer) = &self.writer {
                writer.write(write_now)
            } else {
                let written = self.engine.store.write(&self.id, self.incarnation, write_now);
                match written.now() {
                    Ok(result) => result,
                    Err(future) => {
                        answer.pass_on();
                        return Some(Writing { future, operation });
                    }
                }
            };
            write = answer.give(result, errand);
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
            let write = answer.give(result, &mut errand);
            match self.pump(&mut errand, write) {
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
    fn give(mut self, result: Result<(), StoreError>, errand: &mut Errand) -> Option<Write> {
        let operation = self.owed.take().unwrap_or_default();
        if let Err(error) = &result {
            self.slot.engine.counts.store_failed(operation);
            // What counts may have been counted already.
            self.slot.engine.capacity.doubt_sessions();
            tracing::warn!(session = %self.slot.tip(), operation, %error, "the store failed");
        }
        self.slot.step(Input::Stored { result }, errand)
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
            self.slot.apply(Input::Stored { result });
        }
    }
}

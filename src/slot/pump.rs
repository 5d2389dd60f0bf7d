//! The way of a session's writes to the store, one at a time and in order.

use super::{Callers, Slot};
use crate::clock::Now;
use crate::rt::Arc;
use crate::slot::actor;
use crate::state::{Effects, Input, Phase};
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
    pub(super) fn step(
        &self,
        input: Input<Callers>,
        now: Now,
        effects: &mut Effects<Callers>,
    ) -> Option<Write> {
        let mut state = self.state.lock();
        let was_live = matches!(state.phase(), Phase::Live);
        if let (Input::Stored { result: Ok(()) }, Some(stream)) = (&input, state.front_ending()) {
            // Before the state forgets it, so that a reader who comes back finds it at every moment.
            self.shelve(stream, now);
        }
        state.apply(input, now, effects);
        let write = state.next_write();
        let closes = was_live && matches!(state.phase(), Phase::Closing(_));
        drop(state);
        if closes {
            tracing::info!(session = %self.id, from = "live", to = "closing", "a session closes");
        }
        write
    }

    /// Carries out effects, then lets the store have the write; what it does not answer at once is
    /// left to the actor.
    pub(super) fn finish(
        self: &Arc<Self>,
        effects: &mut Effects<Callers>,
        write: Option<Write>,
        now: Now,
    ) {
        if let Some(writing) = self.pump(effects, write, now) {
            *self.left_for_actor.lock() = Some(writing);
            actor::wake(self);
        }
    }

    /// Carries out effects and writes until there is nothing more, or the store has to be awaited.
    /// What the store answers at once happens at `now`, too: the clock is not read again for it.
    fn pump(
        self: &Arc<Self>,
        effects: &mut Effects<Callers>,
        mut write: Option<Write>,
        now: Now,
    ) -> Option<Writing> {
        loop {
            self.perform(effects, now);
            let write_now = self.engine.encode_partial(write.take()?);
            let operation = write_now.name();
            let answer = Answer { slot: self, owed: Some(operation) };
            let written = match &self.writer {
                Some(writer) => writer.write(write_now),
                None => self.engine.store.write(&self.id, self.incarnation, write_now),
            };
            match written.now() {
                Ok(result) => write = answer.give(result, now, effects),
                Err(future) => {
                    answer.pass_on();
                    return Some(Writing { future, operation });
                }
            }
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
            let now = self.engine.now();
            let mut effects = Effects::new();
            let write = answer.give(result, now, &mut effects);
            match self.pump(&mut effects, write, now) {
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
    fn give(
        mut self,
        result: Result<(), StoreError>,
        now: Now,
        effects: &mut Effects<Callers>,
    ) -> Option<Write> {
        let operation = self.owed.take().unwrap_or_default();
        if let Err(error) = &result {
            self.slot.engine.counts.store_failed(operation);
            tracing::warn!(session = %self.slot.id, operation, %error, "the store failed");
        }
        self.slot.step(Input::Stored { result }, now, effects)
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

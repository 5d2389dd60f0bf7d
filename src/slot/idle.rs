//! Keeping a slot in memory for a moment, and taking it out.

use std::ops::Deref;

use super::answer::Errand;
use super::{Presence, Slot};
use crate::clock::{Moment, Now};
use crate::room::ACTOR;
use crate::rt::Arc;
use crate::state::{Effect, Input, LeaveReason};

impl Slot {
    /// Leaves memory, unless something keeps it or it was used after `unused_since`. Answers since when it
    /// can be counted as idle, as far as is known at `now`; `None` if it is over.
    pub(crate) fn unload(
        self: &Arc<Self>,
        unused_since: Moment,
        reason: LeaveReason,
        now: Now,
    ) -> Option<Moment> {
        let mut errand = Errand::new(now);
        let mut state = self.state.lock();
        self.note_touch(&mut state, now);
        let idle_since = state.idle_since(now);
        self.step_locked(state, Input::Unload { unused_since, reason }, &mut errand);
        let leaves = errand.effects.iter().any(|effect| matches!(effect, Effect::Leave { .. }));
        let saves = errand.write.is_some();
        self.finish(&mut errand);
        // It may have left with the store's answer, or will. If it does not, it is not to be tried all the time.
        let left = leaves || saves && self.presence() == Presence::Left;
        let later = |since: Moment| if saves && since <= unused_since { now.moment } else { since };
        idle_since.filter(|_| !left).map(later)
    }

    /// It is loaded: what it takes is counted.
    pub(crate) fn put_on_weight(&self) {
        let counts = 2 * size_of::<usize>();
        let key = self.key.as_ref().map_or(0, |key| key.as_str().len() + counts);
        let names = self.id.heap_bytes() + key;
        self.weight.put_on(size_of::<Self>() + counts, names, &self.engine.occupied);
        self.engine.counts.occupied(self.engine.occupied.bytes());
    }

    /// It has an actor from now on.
    pub(super) fn grow(&self) {
        self.weight.grow(ACTOR, &self.engine.occupied);
        self.engine.counts.occupied(self.engine.occupied.bytes());
        if let Some(house) = self.house() {
            house.grown();
        }
    }

    /// It is not loaded any more.
    pub(crate) fn take_off_weight(&self) {
        self.weight.take_off(&self.engine.occupied);
        self.engine.counts.occupied(self.engine.occupied.bytes());
    }

    /// Lets the store know when it was used last.
    pub(crate) fn save(self: &Arc<Self>) {
        let now = self.engine.now();
        let mut errand = Errand::new(now);
        let mut state = self.state.lock();
        self.note_touch(&mut state, now);
        self.step_locked(state, Input::Save, &mut errand);
        self.finish(&mut errand);
    }

    /// Since when it can be counted as idle, as far as is known at `now`; `None` if it is over.
    pub(crate) fn idle_since(&self, now: Now) -> Option<Moment> {
        let mut state = self.state.lock();
        self.note_touch(&mut state, now);
        state.idle_since(now)
    }
}

/// A slot that stays in memory as long as this stands: for whoever has waited for it to be loaded and is
/// about to use it. Without it, somebody who is slow could find it unloaded each time.
#[derive(Debug)]
pub(crate) struct Stay(Arc<Slot>);

impl Stay {
    /// Keeps `slot`, if it can be used.
    pub(crate) fn take(slot: &Arc<Slot>) -> Option<Self> {
        let stays = slot.state.lock().let_in();
        stays.then(|| Self(slot.clone()))
    }
}

impl Deref for Stay {
    type Target = Arc<Slot>;

    fn deref(&self) -> &Arc<Slot> {
        &self.0
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.state.lock().let_out();
    }
}

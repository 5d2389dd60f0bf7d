//! Keeping a slot in memory for a moment, and taking it out.

use std::ops::Deref;

use super::Slot;
use super::answer::Errand;
use crate::clock::{Moment, Now};
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
        let state = self.state.lock();
        let idle_since = state.idle_since(now.moment);
        let write = self.step_locked(state, Input::Unload { unused_since, reason }, &mut errand);
        let leaves = errand.effects.iter().any(|effect| matches!(effect, Effect::Leave { .. }));
        self.finish(&mut errand, write);
        idle_since.filter(|_| !leaves)
    }

    /// Since when it can be counted as idle, as far as is known at `now`; `None` if it is over.
    pub(crate) fn idle_since(&self, now: Moment) -> Option<Moment> {
        self.state.lock().idle_since(now)
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

//! What is to be seen of a session.

use super::{Presence, Slot};
use crate::clock::Now;
use crate::state::{Rest, Snapshot};

impl Slot {
    /// What is to be seen of it.
    pub(crate) fn snapshot(&self, now: Now) -> Snapshot {
        let mut state = self.state.lock();
        self.note_touch(&mut state, now);
        state.snapshot(now)
    }

    /// Whether it rests.
    pub(crate) fn rest(&self, now: Now) -> Rest {
        let mut state = self.state.lock();
        self.note_touch(&mut state, now);
        state.rest(now)
    }

    /// What is to be seen of it, and whether it can be used, at one instant.
    pub(crate) fn view(&self) -> (Snapshot, Presence) {
        {
            let state = self.state.lock();
            // As mostly: nothing in it tells how long it has been so.
            if state.is_timeless() && !self.touched.is_noted() {
                return (state.snapshot(Now::default()), Presence::of(&state));
            }
        }
        let now = self.engine.now();
        let mut state = self.state.lock();
        self.note_touch(&mut state, now);
        (state.snapshot(now), Presence::of(&state))
    }
}

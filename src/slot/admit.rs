//! Taking in what the line for permits says.

use super::Slot;
use crate::capacity::{Admit, Permit};
use crate::id::Generation;
use crate::limit::{Place, Shortage, TooLong};
use crate::rt::Arc;
use crate::state::{Input, Size};

impl Admit for Slot {
    fn granted(self: Arc<Self>, place: Place, permit: Permit) {
        self.apply(Input::Granted { place, permit });
    }

    fn not_granted(self: Arc<Self>, place: Place, shortage: Shortage) {
        self.apply(Input::NotGranted { place, shortage });
    }
}

impl Slot {
    /// Why the reply of turn `generation` would be too much, if it would.
    pub(crate) fn refuse_reply(&self, generation: Generation, more: Size) -> Option<TooLong> {
        self.state.lock().refuse_reply(generation, more)
    }

    /// How many permits its open turns have.
    pub(crate) fn permits(&self) -> usize {
        self.state.lock().permits()
    }
}

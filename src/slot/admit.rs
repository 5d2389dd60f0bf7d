//! Asking for a turn, and taking in what the line for permits says.

use super::Slot;
use super::answer::{Answered, Asker, Begun, Errand};
use crate::capacity::{Admit, Permit};
use crate::clock::Now;
use crate::id::Generation;
use crate::limit::{Place, Shortage, TooLong};
use crate::rt::Arc;
use crate::state::{BeginRequest, Effect, Input, Pass, Size};

impl Admit for Slot {
    fn granted(self: Arc<Self>, place: Place, permit: Permit) {
        self.apply(Input::Granted { place, permit });
    }

    fn not_granted(self: Arc<Self>, place: Place, shortage: Shortage) {
        self.apply(Input::NotGranted { place, shortage });
    }
}

impl Slot {
    /// Asks for a turn, at `now`, with a permit if that was waited for before; answers first whether the begin
    /// has to wait in the queue.
    pub(crate) fn begin(
        self: &Arc<Self>,
        mut request: BeginRequest,
        permit: Option<Permit>,
        now: Now,
    ) -> (bool, Answered<Begun>) {
        let stream = self.engine.stream(self.incarnation, now.moment);
        let mut errand = Errand::new(now);
        let state = self.state.lock();
        let pass = match permit {
            Some(permit) => Pass::With(permit),
            None if self.engine.capacity.is_gated() => Pass::Ask { waited: false },
            None => Pass::Free,
        };
        // One that may have to wait for a permit is told by who brings that.
        let here = !matches!(pass, Pass::Ask { .. }) && self.writer.is_some() && state.is_quiet();
        // With the lock held: a shutdown that looks at the session later sees what is admitted here.
        request.draining = self.engine.is_draining();
        let (port, receiver) = Asker::new(here);
        let input = Input::Begin { request, port, stream, pass };
        self.step_locked(state, input, &mut errand);
        let waits = |effect: &Effect<_>| matches!(effect, Effect::Waiting { .. });
        let waits = receiver.is_some() && errand.effects.iter().any(waits);
        self.finish(&mut errand);
        (waits, Answered::of(receiver, errand.begun))
    }

    /// Why the reply of turn `generation` would be too much, if it would.
    pub(crate) fn refuse_reply(&self, generation: Generation, more: Size) -> Option<TooLong> {
        self.state.lock().refuse_reply(generation, more)
    }

    /// How many permits its open turns have.
    pub(crate) fn permits(&self) -> usize {
        self.state.lock().permits()
    }
}

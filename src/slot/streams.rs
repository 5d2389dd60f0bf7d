//! Finding what a session says, for its readers.

use super::Slot;
use crate::id::StreamId;
use crate::rt::Arc;
use crate::state::Phase;
use crate::stream::{Stream, Subscription};

impl Slot {
    /// A reader of the open turn that was begun last.
    pub(crate) fn open_stream(&self) -> Option<Subscription> {
        let (generation, stream) = self.state.lock().open_stream()?;
        Some(Subscription::new(self.stream_id(generation), stream))
    }

    /// The stream of one turn: open, or over and kept. There is no moment between the two at which
    /// it is not found.
    pub(crate) fn stream(&self, id: StreamId) -> Option<Arc<Stream>> {
        if id.incarnation() != self.incarnation {
            return None;
        }
        let here = {
            let state = self.state.lock();
            if matches!(state.phase(), Phase::Closing(_) | Phase::Gone(_)) {
                return None; // What was said in a deleted conversation is nobody's any more.
            }
            state.stream(id.generation())
        };
        here.or_else(|| self.engine.shelf.get(id, self.engine.now().moment))
    }

    /// A reader of the open turn that was begun last, or else of the last one that is kept.
    pub(crate) fn last_stream(&self) -> Option<Subscription> {
        let here = {
            let state = self.state.lock();
            if matches!(state.phase(), Phase::Closing(_) | Phase::Gone(_)) {
                return None;
            }
            state.open_stream().or_else(|| state.ending_stream())
        };
        let here = here.map(|(generation, stream)| (self.stream_id(generation), stream));
        let now = self.engine.now().moment;
        let found = here.or_else(|| self.engine.shelf.last(self.incarnation, now));
        found.map(|(id, stream)| Subscription::new(id, stream))
    }
}

//! Where the streams of turns are found, as long as the store does not know that these are over.

use super::pending::Pending;
use super::{Ports, SessionState};
use crate::id::Generation;

impl<P: Ports> SessionState<P> {
    /// The stream of the turn that was begun last and still runs.
    pub(crate) fn open_stream(&self) -> Option<(Generation, P::Stream)> {
        self.turns.last().map(|turn| (turn.generation, turn.stream.clone()))
    }

    /// The stream of turn `generation`, if that runs, or is over and its end is not stored yet.
    pub(crate) fn stream(&self, generation: Generation) -> Option<P::Stream> {
        let open = self.turns.iter().find(|turn| turn.generation == generation);
        let open = open.map(|turn| turn.stream.clone());
        open.or_else(|| self.ending().find(|(it, _)| *it == generation).map(|(_, stream)| stream))
    }

    /// The stream of the newest turn that is over and whose end is not stored yet.
    pub(crate) fn ending_stream(&self) -> Option<(Generation, P::Stream)> {
        self.ending().last()
    }

    /// The turns that are over and whose ends are not stored yet.
    pub(super) fn ending(&self) -> impl Iterator<Item = (Generation, P::Stream)> {
        self.outbox.iter().filter_map(|pending| {
            let Pending::Settle { generation, stream: Some(stream), .. } = pending else {
                return None;
            };
            Some((*generation, stream.clone()))
        })
    }
}

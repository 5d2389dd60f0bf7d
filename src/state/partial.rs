//! What turns say while they work, on its way to the store; and what is left of it at their end.
//!
//! A piece that the store does not take costs nothing but itself: the turn goes on, and the next piece
//! has what was in it.

use std::fmt;

use bytes::Bytes;
use smallvec::SmallVec;

use super::pending::Pending;
use super::{OpenTurn, Ports, SessionState, Size};
use crate::clock::Moment;
use crate::id::Generation;
use crate::policy::PartialPolicy;
use crate::store::{InputFate, PartialFate, PartialPiece, StoreError, Write};
use crate::stream::PieceFate;

/// What the state asks of a turn's stream. The stream's lock is taken under the session's, never the
/// other way round.
pub(crate) trait Spoken: Clone + fmt::Debug {
    /// What was said, to be given to the store, unless that has a piece already.
    fn take_piece(&self) -> Option<PartialPiece>;

    /// What was said and is not with the store, for the end of the turn: it follows on the piece that is.
    fn take_last(&self) -> Option<PartialPiece>;

    /// Takes in what became of the piece that was given to the store; answers whether another is due.
    fn settle_piece(&self, fate: PieceFate) -> bool;

    /// Whether what was said has waited long enough.
    fn is_overdue(&self, now: Moment) -> bool;

    /// Everything that was said, if that is wanted as an entry.
    fn text(&self) -> Bytes;
}

impl<P: Ports> SessionState<P> {
    /// Gives a piece of what turn `generation` has said to the store.
    pub(super) fn keep(&mut self, generation: Generation) {
        let open = self.turns.iter().find(|turn| turn.generation == generation);
        let Some(stream) = open.map(|turn| turn.stream.clone()) else { return };
        if let Some(piece) = stream.take_piece() {
            let write = Some(Write::Partial { generation, piece });
            self.outbox.push_back(Pending::Partial { write, generation, stream });
        }
    }

    /// Gives what has waited long enough to the store.
    pub(super) fn keep_overdue(&mut self, now: Moment) {
        let overdue = |turn: &OpenTurn<P>| turn.opened && turn.stream.is_overdue(now);
        let overdue: SmallVec<[Generation; 1]> =
            self.turns.iter().filter(|it| overdue(it)).map(|turn| turn.generation).collect();
        for generation in overdue {
            self.keep(generation);
        }
    }

    /// Takes in what became of a piece.
    pub(super) fn kept(
        &mut self,
        generation: Generation,
        stream: &P::Stream,
        result: &Result<(), StoreError>,
    ) {
        let fate = match result {
            Ok(()) => PieceFate::Kept,
            Err(StoreError::Unavailable { .. }) => PieceFate::Lost,
            Err(_) => PieceFate::Unknown,
        };
        if stream.settle_piece(fate) {
            self.keep(generation);
        }
        if fate != PieceFate::Kept {
            self.outbox.mend_last_piece(generation, || stream.take_last());
        }
    }

    /// What becomes of what a turn has said that ends without a reply. It goes where the input goes.
    pub(super) fn partial_fate(&mut self, turn: &OpenTurn<P>, input: InputFate) -> PartialFate {
        match (input, self.partials) {
            (InputFate::Drop | InputFate::Aside, _) | (_, PartialPolicy::Drop) => PartialFate::Drop,
            (InputFate::Keep, PartialPolicy::Beside) => {
                PartialFate::Keep { last: turn.stream.take_last() }
            }
            (InputFate::Keep, PartialPolicy::Entry) => self.partial_entry(turn.stream.text()),
        }
    }

    /// Makes an entry of what was said, if anything was. The shell puts the entry's encoding in the
    /// place of the text, since that takes code of the user.
    pub(super) fn partial_entry(&mut self, text: Bytes) -> PartialFate {
        if text.is_empty() {
            return PartialFate::Drop;
        }
        self.grow(Size::one(text.len()));
        self.tip = self.take_seqs(1);
        self.version += 1;
        PartialFate::Entry { payload: text }
    }
}

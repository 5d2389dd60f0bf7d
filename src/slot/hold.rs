//! The right to end one turn.

use std::fmt;

use super::Slot;
use super::answer::{Answered, Settled};
use crate::id::{Generation, StreamId};
use crate::limit::TooLong;
use crate::outcome::CancelReason;
use crate::rt::Arc;
use crate::state::{Input, Replied, Size};
use crate::store::InputFate;
use crate::stream::{Chunk, Said, Stream};

/// The right to end one turn. Dropping it ends the turn as abandoned, at once.
pub(crate) struct Hold {
    /// The session.
    pub(crate) slot: Arc<Slot>,
    /// Which turn.
    generation: Generation,
    /// Where its chunks go.
    pub(crate) stream: Arc<Stream>,
    /// Whether the turn has not been ended through this.
    held: bool,
}

impl Hold {
    /// The right to end turn `generation`, which has begun.
    pub(super) fn new(slot: Arc<Slot>, generation: Generation, stream: Arc<Stream>) -> Self {
        Self { slot, generation, stream, held: true }
    }

    /// Which turn.
    pub(crate) fn stream_id(&self) -> StreamId {
        self.slot.stream_id(self.generation)
    }

    /// Emits a chunk, and gives the store a piece when one is due; the chunk's number.
    pub(crate) fn emit(&self, chunk: Chunk) -> Result<u64, CancelReason> {
        let engine = &self.slot.engine;
        let (seq, due) = self.stream.push(chunk, &engine.config.partials, &engine.spawner)?;
        if due {
            self.slot.apply(Input::Keep { generation: self.generation });
        }
        Ok(seq)
    }

    /// Waits for what is said to the turn while it works; `None` once it is told to end.
    pub(crate) async fn said(&self) -> Option<Said> {
        let generation = self.generation;
        let ask = |read| self.slot.apply(Input::Take { generation, read });
        self.stream.wait_said(ask).await
    }

    /// Why a reply would make the conversation too long, if it would.
    #[inline]
    pub(crate) fn refuse_reply(&self, entries: &[bytes::Bytes]) -> Option<TooLong> {
        let limits = &self.slot.engine.config.limits;
        if limits.max_entries == 0 && limits.max_transcript_bytes == 0 {
            return None;
        }
        self.slot.refuse_reply(self.generation, Size::of(entries.iter().map(bytes::Bytes::len)))
    }

    /// Ends the turn with a reply. Once this returns the turn cannot become abandoned.
    pub(crate) fn commit(mut self, reply: Replied) -> Answered<Settled> {
        self.held = false;
        let generation = self.generation;
        self.slot.settle(|port| Input::Commit { generation, reply, port })
    }

    /// Ends the turn without one.
    pub(crate) fn fail(mut self, fate: InputFate) -> Answered<Settled> {
        self.held = false;
        let generation = self.generation;
        self.slot.settle(|port| Input::Fail { generation, fate, port })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.held {
            let panicked = crate::rt::is_panicking();
            self.slot.apply(Input::Drop { generation: self.generation, panicked });
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hold({})", self.stream_id())
    }
}

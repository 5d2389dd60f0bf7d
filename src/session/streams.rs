//! Reading what a session's turns say.

use super::Session;
use super::error::SessionError;
use crate::id::StreamId;
use crate::partial::Partial;
use crate::stream::{Cursor, RejoinError, Subscription, Unreadable};

impl<E> Session<E> {
    /// A reader of the open turn that was begun last; `None` if no turn is open.
    ///
    /// It starts with the oldest chunk that is kept. Does not count as use.
    pub fn subscribe(&self) -> Option<Subscription> {
        self.current().open_stream()
    }

    /// A reader of the open turn that was begun last, or else of the last one that is kept: for whoever
    /// comes back and does not know what has happened since. Does not count as use.
    pub fn subscribe_last(&self) -> Option<Subscription> {
        self.current().last_stream()
    }

    /// A reader of the turn `stream`, from the oldest chunk that is kept; `None` if that turn is
    /// neither open nor kept. Does not count as use.
    ///
    /// The stream of a turn that is over is kept for `streams.keep_finished_for`, if it had chunks.
    pub fn subscribe_to(&self, stream: StreamId) -> Option<Subscription> {
        self.current().stream(stream).map(|found| Subscription::new(stream, found))
    }

    /// What is kept of the reply of the turn `stream`, if that has not committed one: its beginning, as far
    /// as it was stored. `None` if nothing is kept. Does not count as use.
    ///
    /// After a crash or a cancel it is what the user had read, or nearly: the newest chunks may be missing
    /// after a crash, at most what a piece has (see [`PartialConfig`](crate::PartialConfig)).
    ///
    /// # Errors
    ///
    /// [`SessionError`] as the store says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn partial(&self, stream: StreamId) -> Result<Option<Partial>, SessionError> {
        let slot = &self.slot;
        if stream.incarnation() != slot.incarnation {
            return Ok(None);
        }
        let store = &slot.engine.store;
        match store.partial(&slot.id, slot.incarnation, stream.generation()).await {
            Ok(kept) => Ok(kept.map(Partial::from)),
            Err(error) => Err(self.read_failed(error).await),
        }
    }

    /// A reader strictly after `cursor`: what has come since, then what comes, with no gap and nothing
    /// twice. Does not count as use.
    ///
    /// # Errors
    ///
    /// [`RejoinError`] if that cannot be done, with why, and with a place to go on from.
    pub fn rejoin(&self, cursor: Cursor) -> Result<Subscription, RejoinError> {
        let slot = self.current();
        let reader = if cursor.stream().incarnation() == slot.incarnation {
            let stream = slot.stream(cursor.stream()).ok_or(Unreadable::Forgotten);
            stream.and_then(|stream| Subscription::after(cursor, stream))
        } else {
            Err(Unreadable::Foreign)
        };
        reader.map_err(|reason| {
            let last = slot.last_stream();
            RejoinError {
                cursor,
                reason,
                go_on: last.as_ref().map(Subscription::start),
                outcome: last.and_then(|last| last.outcome()),
                version: slot.snapshot(slot.engine.now()).version,
            }
        })
    }
}

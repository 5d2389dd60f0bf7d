//! A reader of one turn's stream, and why one cannot go on where it was.

use std::fmt;

use super::ring::{Gap, Look};
use super::{Cursor, Event, Stream};
use crate::id::StreamId;
use crate::outcome::TurnOutcome;
use crate::rt::{self, Arc};

/// Why a cursor cannot be read on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// It is of another session, or of another life of this one.
    Foreign,
    /// Its stream is not kept any more, or never was.
    Forgotten,
    /// It names a number that its stream has not come to.
    Ahead {
        /// The last number there is; 0 if there is none.
        latest: u64,
    },
    /// The chunk after it is not kept any more.
    Evicted {
        /// How many chunks are gone.
        missed: u64,
    },
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("it is of another session"),
            Self::Forgotten => f.write_str("its stream is not kept any more"),
            Self::Ahead { latest } => write!(f, "its stream has come to {latest} only"),
            Self::Evicted { missed } => write!(f, "{missed} chunks after it are not kept any more"),
        }
    }
}

/// A cursor cannot be read on from: what its reader has not seen cannot be told without a gap.
///
/// Nothing is skipped in silence: read the transcript, whose version is given, and go on from
/// [`go_on`](Self::go_on).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cursor {cursor} cannot be resumed: {reason}")]
#[non_exhaustive]
pub struct RejoinError {
    /// The cursor.
    pub cursor: Cursor,
    /// Why.
    pub reason: Unreadable,
    /// Where reading gets everything that is kept of the turn that runs, or else of the last one that
    /// is kept; `None` if there is neither.
    pub go_on: Option<Cursor>,
    /// How the turn of `go_on` ended, if it did.
    pub outcome: Option<TurnOutcome>,
    /// The session's version now.
    pub version: u64,
}

/// A reader of one turn's stream.
///
/// Reads at its own pace. Falling behind costs nobody but itself; dropping it changes nothing for
/// the turn.
#[derive(Debug)]
#[must_use = "a subscription does nothing unless it is read"]
pub struct Subscription {
    /// Which stream.
    id: StreamId,
    /// The stream.
    stream: Arc<Stream>,
    /// The number it reads next.
    next: u64,
    /// Whether it has handed out the terminal event.
    done: bool,
}

impl Subscription {
    /// A reader from the oldest chunk that is kept.
    pub(crate) fn new(id: StreamId, stream: Arc<Stream>) -> Self {
        Self { id, stream, next: 1, done: false }
    }

    /// A reader strictly after `cursor`.
    pub(crate) fn after(cursor: Cursor, stream: Arc<Stream>) -> Result<Self, Unreadable> {
        let refused = stream.ring.lock().refuse(cursor.seq());
        match refused {
            None => {
                let next = cursor.seq() + 1;
                Ok(Self { id: cursor.stream(), stream, next, done: false })
            }
            Some(Gap::Ahead { latest }) => Err(Unreadable::Ahead { latest }),
            Some(Gap::Evicted { missed }) => Err(Unreadable::Evicted { missed }),
        }
    }

    /// Where reading it gets everything that is kept.
    pub(crate) fn start(&self) -> Cursor {
        Cursor::after(self.id, self.stream.ring.lock().first() - 1)
    }

    /// The place after what it has handed out: to come back to with
    /// [`Session::rejoin`](crate::Session::rejoin).
    pub fn cursor(&self) -> Cursor {
        Cursor::after(self.id, self.next - 1)
    }

    /// Which turn it reads.
    pub fn stream(&self) -> StreamId {
        self.id
    }

    /// How the turn ended, if it did, without reading up to there.
    pub fn outcome(&self) -> Option<TurnOutcome> {
        self.stream.outcome()
    }

    /// Waits for the next event. `None` after [`Event::Ended`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped future has consumed nothing.
    pub async fn next(&mut self) -> Option<Event> {
        if self.done {
            return None;
        }
        let (event, next) = {
            let look = || {
                let mut ring = self.stream.ring.lock();
                match ring.look(self.next) {
                    Look::Event(event, next) => Some((event, next)),
                    Look::Wait => {
                        ring.waiting.wait();
                        None
                    }
                }
            };
            rt::wait(&self.stream.readers, look).await
        };
        self.next = next;
        self.done = matches!(event, Event::Ended(_));
        Some(event)
    }
}

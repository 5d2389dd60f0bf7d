//! What a turn says while it works, and the readers of it.
//!
//! A turn emits chunks into a bounded ring; any number of [`Subscription`]s read it at their own
//! pace. A reader that falls behind is told how much it missed and slows nobody. When the turn is
//! over, every reader gets one [`Event::Ended`], and after it nothing.
//!
//! Invariants: numbers are gapless from 1; a reader gets each number once, in order, or is told of
//! the gap; nothing is taken once the turn was told to end; the first end stands.

mod cursor;
mod draft;
mod ring;
mod shelf;

use std::fmt;

pub use self::cursor::{Cursor, CursorError};
pub(crate) use self::draft::{Draft, PieceFate};
pub(crate) use self::shelf::Shelf;

use bytes::Bytes;

use self::ring::{Gap, Look, Ring};
use crate::clock::{Moment, Timestamp};
use crate::config::PartialConfig;
use crate::id::StreamId;
use crate::outcome::{CancelReason, TurnOutcome};
use crate::policy::PartialPolicy;
use crate::pulse::{Pulse, Pulsing, WorkPhase};
use crate::rt::{Arc, AtomicU64, CancellationToken, Mutex, Notify, OnceLock, Ordering};
use crate::store::PartialPiece;

/// A piece of a reply: text, shared between the readers and never copied.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Chunk(Arc<str>);

impl Chunk {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Chunk {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Chunk {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Arc<str>> for Chunk {
    fn from(text: Arc<str>) -> Self {
        Self(text)
    }
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prints the length only: what people say does not belong into logs.
impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.0.len())
    }
}

/// What a reader of a stream gets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The next piece.
    Chunk {
        /// Its number, from 1.
        seq: u64,
        /// The text.
        chunk: Chunk,
    },
    /// The reader fell behind by more than the ring keeps; it goes on with what is still there.
    Lagged {
        /// How many chunks it will not see.
        missed: u64,
    },
    /// The turn is over. Nothing comes after this.
    Ended(TurnOutcome),
}

/// What was said to a turn while it works, stored.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// The number of the entry.
    pub(crate) seq: u64,
    /// When.
    pub(crate) at: Timestamp,
    /// The entry, encoded.
    pub(crate) input: Bytes,
}

/// The stream of one turn: shared by its holder, its readers and the session.
pub(crate) struct Stream {
    /// When its turn was asked for.
    since: Moment,
    /// Its name, once its turn has taken the slot.
    name: OnceLock<StreamId>,
    /// What was said.
    ring: Mutex<Ring>,
    /// How many chunks were taken. Set with `ring` locked; here, so that it is read without.
    taken: AtomicU64,
    /// Wakes the readers: something was said, or the turn is over.
    readers: Notify,
    /// Wakes whoever waits for the turn to be told to end, or to be aborted.
    orders: Notify,
    /// Made when somebody asks for it.
    token: OnceLock<CancellationToken>,
}

impl Stream {
    /// An empty one, for a turn that was asked for at `since`, that keeps so many chunks and bytes.
    pub(crate) fn new(since: Moment, max_items: usize, max_bytes: usize) -> Self {
        Self {
            since,
            name: OnceLock::new(),
            ring: Mutex::new(Ring::new(max_items, max_bytes)),
            taken: AtomicU64::new(0),
            readers: Notify::new(),
            orders: Notify::new(),
            token: OnceLock::new(),
        }
    }

    /// Takes a chunk; answers its number, and whether the store is to be given a piece.
    pub(crate) fn push(
        &self,
        chunk: Chunk,
        partials: &PartialConfig,
    ) -> Result<(u64, bool), CancelReason> {
        let taken = {
            let mut ring = self.ring.lock();
            let due = ring.told.is_none() && partials.interrupted != PartialPolicy::Drop && {
                let new = || Box::new(Draft::new(self.since, partials));
                ring.draft.get_or_insert_with(new).push(chunk.as_str())
            };
            let seq = ring.push(chunk)?;
            self.taken.store(seq, Ordering::Release);
            (seq, due)
        };
        self.readers.notify_waiters();
        Ok(taken)
    }

    /// What was said and is not with the store, to be given to it.
    pub(crate) fn take_piece(&self) -> Option<PartialPiece> {
        self.ring.lock().draft.as_mut()?.take_piece()
    }

    /// Takes in what became of the piece that was given to the store; answers whether another is due.
    pub(crate) fn settle_piece(&self, fate: PieceFate) -> bool {
        self.ring.lock().draft.as_mut().is_some_and(|draft| draft.settle_piece(fate))
    }

    /// Whether what was said has waited long enough for the store.
    pub(crate) fn is_overdue(&self, now: Moment) -> bool {
        self.ring.lock().draft.as_mut().is_some_and(|draft| draft.is_overdue(now))
    }

    /// Everything that was said, if that is wanted as an entry.
    pub(crate) fn text(&self) -> Bytes {
        self.ring.lock().draft.as_ref().map_or_else(Bytes::new, |draft| draft.text())
    }

    /// The turn is to end: no more chunks.
    pub(crate) fn tell(&self, reason: CancelReason) {
        self.order(|ring| ring.told = ring.told.or(Some(reason)));
    }

    /// The turn's work is to be dropped: it did not end in time, or was ended over its holder's head.
    pub(crate) fn abort(&self, reason: CancelReason) {
        self.order(|ring| {
            ring.told = ring.told.or(Some(reason));
            ring.aborted = true;
        });
    }

    /// The turn makes progress without a chunk; `work` is what it turns to, if to something else.
    pub(crate) fn mark(&self, work: Option<WorkPhase>) {
        self.ring.lock().mark(work);
    }

    /// Changes what the holder is to know, and wakes it.
    fn order(&self, change: impl FnOnce(&mut Ring)) {
        change(&mut self.ring.lock());
        if let Some(token) = self.token.get() {
            token.cancel();
        }
        self.orders.notify_waiters();
    }

    /// There may be something for the turn to ask for.
    pub(crate) fn offer(&self) {
        self.orders.notify_waiters();
    }

    /// Something was said to the turn.
    pub(crate) fn deliver(&self, said: Said) {
        self.ring.lock().inbox.get_or_insert_default().push_back(said);
        self.orders.notify_waiters();
    }

    /// What was said to the turn and it has not read.
    fn unread(&self) -> Option<Said> {
        self.ring.lock().inbox.as_mut()?.pop_front()
    }

    /// Waits for what is said to the turn; `None` once it is told to end. `ask` asks for what waits.
    pub(crate) async fn wait_said(&self, ask: impl Fn()) -> Option<Said> {
        wait(&self.orders, || {
            let here = || self.unread().map(Some);
            let over = || self.told().map(|_| None);
            here().or_else(over).or_else(|| {
                ask();
                here()
            })
        })
        .await
    }

    /// The turn is over: the terminal event.
    pub(crate) fn end(&self, outcome: TurnOutcome) {
        if self.ring.lock().end(outcome) {
            self.readers.notify_waiters();
        }
    }

    /// Its turn has taken the slot, and so it has a name.
    pub(crate) fn set_name(&self, name: StreamId) {
        // A turn takes the slot once.
        self.name.get_or_init(|| name);
    }

    /// Its name, for logs.
    pub(crate) fn name(&self) -> Option<StreamId> {
        self.name.get().copied()
    }

    /// When its turn was asked for.
    pub(crate) fn since(&self) -> Moment {
        self.since
    }

    /// How many bytes of chunks it keeps.
    fn bytes(&self) -> usize {
        self.ring.lock().bytes()
    }

    /// How many chunks were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Why the turn is to end, if it is.
    pub(crate) fn told(&self) -> Option<CancelReason> {
        self.ring.lock().told
    }

    /// How the turn ended, if it did.
    pub(crate) fn outcome(&self) -> Option<TurnOutcome> {
        self.ring.lock().outcome()
    }

    /// A token that is cancelled when the turn is told to end.
    pub(crate) fn token(&self) -> CancellationToken {
        let token = self.token.get_or_init(CancellationToken::new).clone();
        // Either `order` finds the token, or this finds the order.
        if self.told().is_some() {
            token.cancel();
        }
        token
    }

    /// Waits until the turn is told to end.
    pub(crate) async fn wait_told(&self) -> CancelReason {
        wait(&self.orders, || self.ring.lock().told).await
    }

    /// Waits until the turn's work is to be dropped.
    pub(crate) async fn wait_aborted(&self) -> CancelReason {
        wait(&self.orders, || {
            let ring = self.ring.lock();
            ring.told.filter(|_| ring.aborted)
        })
        .await
    }
}

impl Pulsing for Arc<Stream> {
    fn pulse(&self) -> Pulse {
        self.ring.lock().pulse()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

/// Waits until `look` finds something; `changed` is notified after each change it may find.
async fn wait<T>(changed: &Notify, look: impl Fn() -> Option<T>) -> T {
    loop {
        let notified = changed.notified();
        let mut notified = std::pin::pin!(notified);
        // From here on no notification is lost, so a look afterwards sees what came before.
        notified.as_mut().enable();
        if let Some(found) = look() {
            return found;
        }
        notified.await;
    }
}

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
pub struct ResumeError {
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
    /// [`Session::resume`](crate::Session::resume).
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
            let look = || match self.stream.ring.lock().look(self.next) {
                Look::Event(event, next) => Some((event, next)),
                Look::Wait => None,
            };
            wait(&self.stream.readers, look).await
        };
        self.next = next;
        self.done = matches!(event, Event::Ended(_));
        Some(event)
    }
}

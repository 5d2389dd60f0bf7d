//! What a turn says while it works, and the readers of it.
//!
//! A turn emits chunks into a bounded ring; any number of [`Subscription`]s read it at their own
//! pace. A reader that falls behind is told how much it missed and slows nobody. When the turn is
//! over, every reader gets one [`Event::Ended`], and after it nothing.
//!
//! Invariants: numbers are gapless from 1; a reader gets each number once, in order, or is told of
//! the gap; nothing is taken once the turn was told to end; the first end stands. A chunk costs its
//! producer one wake-up at most, whoever reads (`stream/waiting.rs`).

mod cursor;
mod draft;
mod fan_out;
mod ring;
mod shelf;
mod subscription;
mod waiting;

use std::fmt;

pub use self::cursor::{Cursor, CursorError};
pub(crate) use self::draft::{Draft, PieceFate};
pub(crate) use self::shelf::Shelf;
pub use self::subscription::{RejoinError, Subscription, Unreadable};

use bytes::Bytes;

use self::fan_out::FanOut;
use self::ring::Ring;
use self::waiting::Wake;
use crate::clock::{Moment, Timestamp};
use crate::config::PartialConfig;
use crate::id::{Generation, Incarnation, StreamId};
use crate::outcome::{CancelReason, TurnOutcome};
use crate::policy::PartialPolicy;
use crate::pulse::{Pulse, Pulsing, WorkPhase};
use crate::rt::{
    self, Arc, AtomicU64, CancellationToken, Mutex, Notify, OnceLock, Ordering, Spawner,
};
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
    /// The life of the session to which it belongs.
    life: Incarnation,
    /// When its turn was asked for.
    since: Moment,
    /// The number of its turn, once that has taken the slot; 0 before.
    turn: AtomicU64,
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
    /// An empty one, for a turn of `life` that was asked for at `since`, that keeps so many chunks and bytes.
    pub(crate) fn new(
        life: Incarnation,
        since: Moment,
        max_items: usize,
        max_bytes: usize,
    ) -> Self {
        Self {
            life,
            since,
            turn: AtomicU64::new(0),
            ring: Mutex::new(Ring::new(max_items, max_bytes)),
            taken: AtomicU64::new(0),
            readers: Notify::new(),
            orders: Notify::new(),
            token: OnceLock::new(),
        }
    }

    /// Takes a chunk; answers its number, and whether the store is to be given a piece. Readers are
    /// woken by a task on `spawner` where they are many.
    pub(crate) fn push(
        self: &Arc<Self>,
        chunk: Chunk,
        partials: &PartialConfig,
        spawner: &Spawner,
    ) -> Result<(u64, bool), CancelReason> {
        let (seq, due, wake) = {
            let mut ring = self.ring.lock();
            let due = ring.told.is_none() && partials.interrupted != PartialPolicy::Drop && {
                let new = || Box::new(Draft::new(self.since, partials));
                ring.draft.get_or_insert_with(new).push(chunk.as_str())
            };
            let seq = ring.push(chunk)?;
            self.taken.store(seq, Ordering::Release);
            (seq, due, ring.waiting.added())
        };
        match wake {
            Wake::Nobody => {}
            Wake::Readers => self.readers.notify_waiters(),
            Wake::FanOut(waker) => waker.wake(),
            Wake::StartFanOut => FanOut::start(self.clone(), spawner),
        }
        Ok((seq, due))
    }

    /// What was said, to be given to the store, unless that has a piece already.
    pub(crate) fn take_piece(&self) -> Option<PartialPiece> {
        self.ring.lock().draft.as_mut()?.take_piece()
    }

    /// What was said and is not with the store, for the end of the turn.
    pub(crate) fn take_last(&self) -> Option<PartialPiece> {
        self.ring.lock().draft.as_mut()?.take_last()
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

    /// The holder is not to hear of it if the turn is told to end, or aborted, from here on: it goes on until
    /// it asks for something.
    pub(crate) fn spare(&self) {
        let mut ring = self.ring.lock();
        ring.spared = ring.told.is_none();
    }

    /// Changes what the holder is to know, and wakes it.
    fn order(&self, change: impl FnOnce(&mut Ring)) {
        let spared = {
            let mut ring = self.ring.lock();
            change(&mut ring);
            ring.spared
        };
        if spared {
            return;
        }
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
        self.ring.lock().deliver(said);
        self.orders.notify_waiters();
    }

    /// What was said to the turn and it has not read; or else how much it has.
    fn unread(&self) -> Result<Said, u64> {
        self.ring.lock().read_said()
    }

    /// Waits for what is said to the turn; `None` once it is told to end. `ask` asks for what waits, and says how
    /// much was read: it may be delivered between this look and that question.
    pub(crate) async fn wait_said(&self, ask: impl Fn(u64)) -> Option<Said> {
        rt::wait(&self.orders, || {
            let read = match self.unread() {
                Ok(said) => return Some(Some(said)),
                Err(_) if self.told().is_some() => return Some(None),
                Err(read) => read,
            };
            ask(read);
            self.unread().ok().map(Some)
        })
        .await
    }

    /// The turn is over: the terminal event.
    pub(crate) fn end(&self, outcome: TurnOutcome) {
        let fan_out = {
            let mut ring = self.ring.lock();
            if !ring.end(outcome) {
                return;
            }
            ring.waiting.over()
        };
        self.readers.notify_waiters();
        if let Some(fan_out) = fan_out {
            fan_out.wake();
        }
    }

    /// Its turn has taken the slot, and so it has a name.
    pub(crate) fn set_name(&self, turn: Generation) {
        self.turn.store(turn.get(), Ordering::Release);
    }

    /// Its name, for logs.
    pub(crate) fn name(&self) -> Option<StreamId> {
        let turn = self.turn.load(Ordering::Acquire);
        (turn != 0).then(|| StreamId::new(self.life, Generation::new(turn)))
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
        if self.heard().is_some() {
            token.cancel();
        }
        token
    }

    /// Waits until the turn is told to end.
    pub(crate) async fn wait_told(&self) -> CancelReason {
        rt::wait(&self.orders, || self.heard()).await
    }

    /// Why the turn is to end, if it is and its holder is to hear of it.
    fn heard(&self) -> Option<CancelReason> {
        let ring = self.ring.lock();
        ring.told.filter(|_| !ring.spared)
    }

    /// Waits until the turn's work is to be dropped.
    pub(crate) async fn wait_aborted(&self) -> CancelReason {
        rt::wait(&self.orders, || {
            let ring = self.ring.lock();
            ring.told.filter(|_| ring.aborted && !ring.spared)
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

//! The streams of turns that are over, kept for a while for readers that come back.
//!
//! Bounded in time and in bytes over all sessions: beyond the bytes the oldest goes first. Readers
//! check the time themselves; sweeping only frees memory. A reader that holds a stream keeps it,
//! whatever happens here.

use std::collections::VecDeque;
use std::time::Duration;

use super::Stream;
use crate::clock::Moment;
use crate::id::{Generation, Incarnation, StreamId};
use crate::rt::{Arc, Mutex, ShardedMap};

/// The finished streams that are kept.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// How long each is kept.
    keep_for: Duration,
    /// How many bytes of chunks are kept together.
    max_bytes: usize,
    /// The streams of each life, oldest first.
    lives: ShardedMap<Incarnation, Vec<Kept>>,
    /// All of them, oldest first. Locked on its own.
    order: Mutex<Order>,
}

/// One stream that is kept.
#[derive(Clone, Debug)]
struct Kept {
    /// Which turn's.
    generation: Generation,
    /// The stream.
    stream: Arc<Stream>,
    /// Until when.
    until: Moment,
}

/// In which order streams go.
#[derive(Debug, Default)]
struct Order {
    /// The oldest first. What a delete has removed may still be named here.
    streams: VecDeque<Place>,
    /// The bytes of all that are named.
    bytes: usize,
}

/// One stream in the order.
#[derive(Debug)]
struct Place {
    /// Which.
    stream: StreamId,
    /// Until when it is kept.
    until: Moment,
    /// What it weighs.
    bytes: usize,
}

/// What a stream weighs beside its chunks, roughly: itself and its places.
const OVERHEAD_BYTES: usize = 512;

impl Shelf {
    /// An empty one.
    pub(crate) fn new(keep_for: Duration, max_bytes: usize) -> Self {
        Self { keep_for, max_bytes, lives: ShardedMap::new(), order: Mutex::default() }
    }

    /// Keeps the stream of a turn that is over, once, and drops the oldest beyond the bytes.
    pub(crate) fn put(&self, id: StreamId, stream: Arc<Stream>, now: Moment) {
        if self.keep_for.is_zero() {
            return;
        }
        let until = now.plus(self.keep_for);
        let bytes = stream.bytes() + OVERHEAD_BYTES;
        let new = self.lives.alter(&id.incarnation(), |kept| {
            let kept = kept.get_or_insert_default();
            let new = kept.iter().all(|it| it.generation != id.generation());
            if new {
                kept.push(Kept { generation: id.generation(), stream, until });
            }
            new
        });
        if !new {
            return;
        }
        let mut order = self.order.lock();
        order.bytes += bytes;
        order.streams.push_back(Place { stream: id, until, bytes });
        drop(order);
        self.drop_while(|order| order.bytes > self.max_bytes);
    }

    /// The stream `id`, if it is kept.
    pub(crate) fn get(&self, id: StreamId, now: Moment) -> Option<Arc<Stream>> {
        self.lives.with(&id.incarnation(), |kept| {
            let mut kept = kept?.iter();
            kept.find(|it| it.generation == id.generation() && it.until > now)
                .map(|it| it.stream.clone())
        })
    }

    /// The stream of that life that was put here last, if it is kept.
    pub(crate) fn last(&self, life: Incarnation, now: Moment) -> Option<(StreamId, Arc<Stream>)> {
        self.lives.with(&life, |kept| {
            let last = kept?.last().filter(|it| it.until > now)?;
            Some((StreamId::new(life, last.generation), last.stream.clone()))
        })
    }

    /// Drops every stream of a life that is over.
    pub(crate) fn forget(&self, life: Incarnation) {
        // Their places are found empty when their time comes.
        self.lives.remove_if(&life, |_| true);
    }

    /// Drops those whose time is over.
    pub(crate) fn sweep(&self, now: Moment) {
        self.drop_while(|order| order.streams.front().is_some_and(|oldest| oldest.until <= now));
    }

    /// Drops the oldest while `due` says so.
    fn drop_while(&self, due: impl Fn(&Order) -> bool) {
        loop {
            let oldest = {
                let mut order = self.order.lock();
                if !due(&order) {
                    return;
                }
                let Some(oldest) = order.streams.pop_front() else { return };
                order.bytes -= oldest.bytes;
                oldest.stream
            };
            self.lives.alter(&oldest.incarnation(), |kept| {
                let Some(left) = kept else { return };
                left.retain(|it| it.generation != oldest.generation());
                if left.is_empty() {
                    *kept = None;
                }
            });
        }
    }
}

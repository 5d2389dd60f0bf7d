//! The chunks of one turn that are kept for readers: bounded, with gapless numbers. Pure.

use std::collections::VecDeque;

use super::draft::Draft;
use super::waiting::Waiting;
use super::{Chunk, Event, Said};
use crate::outcome::{CancelReason, TurnOutcome};
use crate::pulse::{Pulse, WorkPhase};

/// What a turn's readers see, and whether it may add to it.
#[derive(Debug)]
pub(super) struct Ring {
    /// The newest chunks, oldest first.
    chunks: VecDeque<Chunk>,
    /// The number of the first of them; the first chunk of a stream is 1.
    first: u64,
    /// How many bytes they have together.
    bytes: usize,
    /// The most chunks that are kept.
    max_items: usize,
    /// The most bytes that are kept. One chunk is kept whatever its size.
    max_bytes: usize,
    /// What the turn is waiting for.
    work: WorkPhase,
    /// How often it has made progress without a chunk.
    marks: u64,
    /// Why nothing is taken any more.
    pub(super) told: Option<CancelReason>,
    /// Whether the turn's work is to be dropped.
    pub(super) aborted: bool,
    /// Whether the turn's holder is not to hear of either.
    pub(super) spared: bool,
    /// How the turn ended.
    ended: Option<TurnOutcome>,
    /// What was said to the turn while it works, and that it has not read.
    inbox: VecDeque<Said>,
    /// How much of that it has read.
    read: u64,
    /// What the store is to have of it, while the turn runs and says something.
    pub(super) draft: Option<Box<Draft>>,
    /// Who waits for the next chunk.
    pub(super) waiting: Waiting,
}

/// Why nobody can read on from a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// So far it has not come.
    Ahead {
        /// The last number there is; 0 if there is none.
        latest: u64,
    },
    /// What comes next is not kept any more.
    Evicted {
        /// How many chunks are gone.
        missed: u64,
    },
}

/// What a reader finds at its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// An event; and where to read on.
    Event(Event, u64),
    /// Nothing yet.
    Wait,
}

impl Ring {
    /// An empty one.
    pub(super) fn new(max_items: usize, max_bytes: usize) -> Self {
        let chunks = VecDeque::new();
        Self {
            chunks,
            first: 1,
            bytes: 0,
            max_items,
            max_bytes,
            work: WorkPhase::default(),
            marks: 0,
            told: None,
            aborted: false,
            spared: false,
            ended: None,
            inbox: VecDeque::new(),
            read: 0,
            draft: None,
            waiting: Waiting::default(),
        }
    }

    /// The number that the next chunk gets.
    pub(super) fn next(&self) -> u64 {
        self.first + self.chunks.len() as u64
    }

    /// Adds a chunk and drops the oldest ones beyond the bounds; answers its number, or why no
    /// chunk is taken any more.
    pub(super) fn push(&mut self, chunk: Chunk) -> Result<u64, CancelReason> {
        if let Some(reason) = self.told {
            return Err(reason);
        }
        let seq = self.next();
        self.bytes += chunk.len();
        self.chunks.push_back(chunk);
        while self.chunks.len() > self.max_items
            || self.bytes > self.max_bytes && self.chunks.len() > 1
        {
            let Some(dropped) = self.chunks.pop_front() else { break };
            self.bytes -= dropped.len();
            self.first += 1;
        }
        Ok(seq)
    }

    /// The turn makes progress without saying anything; `work` is what it turns to.
    pub(super) fn mark(&mut self, work: Option<WorkPhase>) {
        self.marks += 1;
        self.work = work.unwrap_or(self.work);
    }

    /// How far the turn has come.
    pub(super) fn pulse(&self) -> Pulse {
        Pulse { beats: self.next() - 1 + self.marks, work: self.work }
    }

    /// Something was said to the turn.
    pub(super) fn deliver(&mut self, said: Said) {
        self.inbox.push_back(said);
    }

    /// The first of what was said to the turn and it has not read; or else how much it has.
    pub(super) fn read_said(&mut self) -> Result<Said, u64> {
        let said = self.inbox.pop_front().ok_or(self.read)?;
        self.read += 1;
        Ok(said)
    }

    /// Ends the stream; the first end stands. Answers whether this was it.
    pub(super) fn end(&mut self, outcome: TurnOutcome) -> bool {
        let first = self.ended.is_none();
        self.ended = self.ended.or(Some(outcome));
        self.draft = None;
        if self.inbox.capacity() > 0 {
            self.inbox = VecDeque::new();
        }
        first
    }

    /// How many bytes are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of the oldest chunk that is kept, or would be the next.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Why nobody can read on strictly after chunk `seq`, if nobody can.
    pub(super) fn refuse(&self, seq: u64) -> Option<Gap> {
        if seq >= self.next() {
            Some(Gap::Ahead { latest: self.next() - 1 })
        } else if seq + 1 < self.first {
            Some(Gap::Evicted { missed: self.first - seq - 1 })
        } else {
            None
        }
    }

    /// How the turn ended.
    pub(super) fn outcome(&self) -> Option<TurnOutcome> {
        self.ended
    }

    /// What a reader finds whose next number is `next`.
    pub(super) fn look(&self, next: u64) -> Look {
        if next < self.first {
            return Look::Event(Event::Lagged { missed: self.first - next }, self.first);
        }
        let found = usize::try_from(next - self.first).ok().and_then(|at| self.chunks.get(at));
        match (found, self.ended) {
            (Some(chunk), _) => {
                Look::Event(Event::Chunk { seq: next, chunk: chunk.clone() }, next + 1)
            }
            (None, Some(outcome)) => Look::Event(Event::Ended(outcome), next),
            (None, None) => Look::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(text: &str) -> Chunk {
        Chunk::from(text)
    }

    #[test]
    fn a_reader_sees_every_number_once_and_then_the_end() {
        let mut ring = Ring::new(4, 100);
        assert_eq!(ring.look(1), Look::Wait);
        assert_eq!(ring.push(chunk("a")), Ok(1));
        assert_eq!(ring.look(1), Look::Event(Event::Chunk { seq: 1, chunk: chunk("a") }, 2));
        assert_eq!(ring.look(2), Look::Wait);
        assert!(ring.end(TurnOutcome::Committed));
        assert!(!ring.end(TurnOutcome::Failed), "the first end stands");
        assert_eq!(ring.look(2), Look::Event(Event::Ended(TurnOutcome::Committed), 2));
    }

    // J4
    #[test]
    fn a_slow_reader_is_told_exactly_how_many_it_missed() {
        let mut ring = Ring::new(2, 100);
        for _ in 0..5 {
            ring.push(chunk("x")).unwrap();
        }
        assert_eq!(ring.look(1), Look::Event(Event::Lagged { missed: 3 }, 4));
        assert_eq!(ring.look(4), Look::Event(Event::Chunk { seq: 4, chunk: chunk("x") }, 5));
    }

    #[test]
    fn bytes_are_bounded_and_one_chunk_is_always_kept() {
        let mut ring = Ring::new(100, 4);
        ring.push(chunk("abc")).unwrap();
        ring.push(chunk("def")).unwrap();
        assert_eq!(ring.look(1), Look::Event(Event::Lagged { missed: 1 }, 2));
        ring.push(chunk("g")).unwrap();
        assert_eq!(ring.look(2), Look::Event(Event::Chunk { seq: 2, chunk: chunk("def") }, 3));
        ring.push(chunk("much more than fits")).unwrap();
        let kept = Event::Chunk { seq: 4, chunk: chunk("much more than fits") };
        assert_eq!(ring.look(4), Look::Event(kept, 5));
        assert_eq!(ring.bytes, 19);
    }

    // J8
    #[test]
    fn nothing_is_taken_after_the_turn_was_told_to_end() {
        let mut ring = Ring::new(4, 100);
        ring.told = Some(CancelReason::Stopped);
        assert_eq!(ring.push(chunk("late")), Err(CancelReason::Stopped));
        assert_eq!(ring.next(), 1);
    }

    // J4
    #[test]
    fn who_asks_for_what_is_gone_or_has_not_come_is_told_how_much() {
        let mut ring = Ring::new(2, 100);
        assert_eq!((ring.first(), ring.refuse(0)), (1, None), "the first one is the next");
        assert_eq!(ring.refuse(1), Some(Gap::Ahead { latest: 0 }));
        for _ in 0..7 {
            ring.push(chunk("x")).unwrap();
        }
        assert_eq!((ring.first(), ring.next(), ring.bytes()), (6, 8, 2));
        assert_eq!(ring.refuse(2), Some(Gap::Evicted { missed: 3 }));
        assert_eq!(ring.refuse(4), Some(Gap::Evicted { missed: 1 }));
        assert_eq!((ring.refuse(5), ring.refuse(7)), (None, None));
        assert_eq!(ring.refuse(8), Some(Gap::Ahead { latest: 7 }));
        assert_eq!(ring.refuse(9), Some(Gap::Ahead { latest: 7 }));
    }

    // D8
    #[test]
    fn each_chunk_and_each_mark_is_a_beat() {
        let mut ring = Ring::new(4, 100);
        assert_eq!(ring.pulse(), Pulse::default());
        ring.mark(Some(WorkPhase::Tool));
        ring.push(chunk("a")).unwrap();
        ring.push(chunk("b")).unwrap();
        assert_eq!(ring.pulse(), Pulse { beats: 3, work: WorkPhase::Tool });
        ring.mark(None);
        assert_eq!(ring.pulse(), Pulse { beats: 4, work: WorkPhase::Tool }, "as it was");
    }

    #[test]
    fn what_was_said_to_a_turn_is_freed_with_its_end() {
        let mut ring = Ring::new(4, 100);
        ring.inbox.reserve(8);
        assert_eq!(ring.outcome(), None);
        assert!(ring.end(TurnOutcome::Committed));
        assert_eq!(ring.inbox.capacity(), 0);
        assert_eq!(ring.outcome(), Some(TurnOutcome::Committed));
    }
}

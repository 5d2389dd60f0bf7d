//! Who waits for the next chunk, and who is to wake them. Pure: it decides, and wakes nobody.
//!
//! A chunk costs its producer a short lock, and one wake-up at most. A single reader is woken directly.
//! Where more wait, the producer wakes one task, the *fan-out* (`stream/fan_out.rs`), and that wakes them.
//! It is told once for all who wait; until it has come to it, further chunks wake nobody.
//!
//! No wake-up is lost. Everything here is decided under the ring's lock. A reader enters the queue first
//! (it creates its `notified`), then looks, and is counted under the lock if it finds nothing. So the next
//! chunk finds it counted, or finds that the fan-out was told. A fan-out that was told takes the count
//! back under the lock, and wakes the queue after that. Either way a `notify_waiters` comes after the
//! chunk, and it reaches everybody who entered the queue before it. The end is told to the queue by
//! whoever ends the turn, directly. The count may be too high, since a reader that goes away stays
//! counted until the next chunk; it is never zero while one waits whom nobody is about to wake.
//!
//! No reader's wake-up is in the hands of another reader: one that is woken passes nothing on, so one
//! that is dropped or whose task is stuck delays nobody. The fan-out runs no code but this. Where it was
//! told by a task, the runtime runs it next on the same thread, and nothing can take it from there: it
//! waits for that task's next await, as a single reader does that was woken directly. So a producer that
//! emits on and on without an await wakes the readers itself, once it has left 64 chunks to a fan-out
//! that does not come. A fan-out that is dropped with its runtime wakes everybody, and is absent for the
//! next chunk.

use std::task::Waker;

/// How many readers a producer wakes itself. One is what any channel costs it.
const FEW: usize = 1;

/// How many chunks a producer leaves to a fan-out that does not come before it wakes the readers
/// itself.
const PATIENCE: usize = 64;

/// Who waits for the next chunk.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// How often readers have found nothing since they were woken last.
    readers: usize,
    /// Where the fan-out is.
    fan_out: FanOut,
}

/// Where the task is that wakes readers in the producer's place.
#[derive(Debug, Default)]
enum FanOut {
    /// Nowhere: so far there were too few readers, or its runtime is gone.
    #[default]
    Absent,
    /// It waits to be told.
    Asleep(Waker),
    /// It was told to wake the readers and has not come to it.
    Told {
        /// How many more chunks are left to it.
        patience: usize,
    },
}

/// What a producer does for its readers.
#[derive(Debug)]
pub(super) enum Wake {
    /// Nothing: nobody waits, or the fan-out is on its way.
    Nobody,
    /// It wakes them.
    Readers,
    /// It wakes the fan-out.
    FanOut(Waker),
    /// It starts the fan-out.
    StartFanOut,
}

impl Waiting {
    /// A reader has found nothing, and is going to wait.
    pub(super) fn wait(&mut self) {
        self.readers += 1;
    }

    /// There is a new chunk.
    pub(super) fn added(&mut self) -> Wake {
        if let FanOut::Told { patience } = &mut self.fan_out {
            if let Some(less) = patience.checked_sub(1) {
                *patience = less;
                return Wake::Nobody;
            }
            *patience = PATIENCE;
            return Wake::Readers;
        }
        match std::mem::take(&mut self.readers) {
            0 => Wake::Nobody,
            1..=FEW => Wake::Readers,
            _ => {
                let told = FanOut::Told { patience: PATIENCE };
                match std::mem::replace(&mut self.fan_out, told) {
                    FanOut::Asleep(waker) => Wake::FanOut(waker),
                    FanOut::Absent | FanOut::Told { .. } => Wake::StartFanOut,
                }
            }
        }
    }

    /// The fan-out asks what to do: whether it is to wake everybody now. `waker` wakes it when it is to ask
    /// again.
    pub(super) fn ask(&mut self, waker: &Waker) -> bool {
        let told = matches!(self.fan_out, FanOut::Told { .. });
        if told {
            self.readers = 0;
        }
        self.fan_out = FanOut::Asleep(waker.clone());
        told
    }

    /// The fan-out is gone.
    pub(super) fn left(&mut self) {
        *self = Self::default();
    }

    /// The stream is over: what wakes the fan-out, for it to end.
    pub(super) fn over(&mut self) -> Option<Waker> {
        match std::mem::take(&mut self.fan_out) {
            FanOut::Asleep(waker) => Some(waker),
            FanOut::Absent | FanOut::Told { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(wake: &Wake) -> bool {
        matches!(wake, Wake::FanOut(_) | Wake::StartFanOut)
    }

    /// So many readers wait; then there is a chunk.
    fn chunk_for(waiting: &mut Waiting, readers: usize) -> Wake {
        (0..readers).for_each(|_| waiting.wait());
        waiting.added()
    }

    #[test]
    fn a_chunk_that_nobody_waits_for_wakes_nobody_and_a_single_reader_is_woken_directly() {
        let mut waiting = Waiting::default();
        assert!(matches!(waiting.added(), Wake::Nobody));
        assert!(matches!(chunk_for(&mut waiting, 1), Wake::Readers));
        assert!(matches!(waiting.added(), Wake::Nobody), "it was woken and has not looked yet");
    }

    #[test]
    fn many_are_left_to_the_fan_out_which_is_told_once() {
        let mut waiting = Waiting::default();
        assert!(matches!(chunk_for(&mut waiting, 64), Wake::StartFanOut));
        assert!(matches!(chunk_for(&mut waiting, 3), Wake::Nobody));
        assert!(waiting.ask(Waker::noop()), "it was told before it asked");
        assert!(!waiting.ask(Waker::noop()));
        assert!(matches!(chunk_for(&mut waiting, 1), Wake::Readers));
        assert!(matches!(chunk_for(&mut waiting, 2), Wake::FanOut(_)));
        waiting.left();
        assert!(matches!(chunk_for(&mut waiting, 2), Wake::StartFanOut));
    }

    #[test]
    fn a_fan_out_that_does_not_come_is_not_waited_for_for_ever() {
        let mut waiting = Waiting::default();
        assert!(told(&chunk_for(&mut waiting, 64)));
        for _ in 0..3 {
            assert!((0..PATIENCE).all(|_| matches!(waiting.added(), Wake::Nobody)));
            assert!(matches!(waiting.added(), Wake::Readers));
        }
    }

    #[test]
    fn a_fan_out_that_sleeps_is_woken_by_the_end() {
        let mut waiting = Waiting::default();
        assert!(waiting.over().is_none());
        assert!(told(&chunk_for(&mut waiting, 2)));
        assert!(waiting.ask(Waker::noop()));
        assert!(!waiting.ask(Waker::noop()));
        assert!(waiting.over().is_some());
    }

    /// Where a reader is.
    #[derive(Clone, Copy, Debug)]
    enum Reader {
        /// It has not entered the queue.
        Away,
        /// It has entered the queue after so many calls, and has not looked.
        Queued(u64),
        /// It has looked in vain.
        Waits(u64),
    }

    /// Where the task of the fan-out is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Task {
        Absent,
        Asleep,
        /// It asks next.
        Awake,
        /// It calls next.
        Calls,
        /// It calls next, and was woken again.
        CallsAgain,
    }

    /// A stream, in steps between which others come.
    struct Steps {
        waiting: Waiting,
        /// How many chunks there are.
        chunks: u64,
        /// How often the queue was called.
        calls: u64,
        task: Task,
        /// What the producer does next, beside the lock.
        wake: Wake,
        /// The number that each reads next, and where it is.
        readers: [(u64, Reader); 4],
    }

    const CHUNKS: u64 = 6;

    impl Steps {
        fn new() -> Self {
            let (waiting, readers) = (Waiting::default(), [(1, Reader::Away); 4]);
            Self { waiting, chunks: 0, calls: 0, task: Task::Absent, wake: Wake::Nobody, readers }
        }

        fn producer(&mut self) {
            match std::mem::replace(&mut self.wake, Wake::Nobody) {
                Wake::Nobody if self.chunks < CHUNKS => {
                    self.chunks += 1;
                    self.wake = self.waiting.added();
                }
                Wake::Nobody => {}
                Wake::Readers => self.calls += 1,
                Wake::FanOut(_) => {
                    self.task = match self.task {
                        // It called when it went.
                        Task::Absent => Task::Absent,
                        Task::Asleep | Task::Awake => Task::Awake,
                        Task::Calls | Task::CallsAgain => Task::CallsAgain,
                    }
                }
                Wake::StartFanOut => {
                    assert_eq!(self.task, Task::Absent);
                    self.task = Task::Awake;
                }
            }
        }

        fn fan_out(&mut self) {
            match self.task {
                Task::Absent | Task::Asleep => {}
                Task::Awake if self.waiting.ask(Waker::noop()) => self.task = Task::Calls,
                Task::Awake => self.task = Task::Asleep,
                Task::Calls => {
                    self.calls += 1;
                    self.task = Task::Asleep;
                }
                Task::CallsAgain => {
                    self.calls += 1;
                    self.task = Task::Awake;
                }
            }
        }

        fn runtime_goes(&mut self) {
            if self.task != Task::Absent {
                self.waiting.left();
                self.calls += 1;
                self.task = Task::Absent;
            }
        }

        fn reader(&mut self, number: usize) {
            let (next, at) = &mut self.readers[number];
            *at = match *at {
                Reader::Away => Reader::Queued(self.calls),
                Reader::Queued(_) if *next <= self.chunks => {
                    *next += 1;
                    Reader::Away
                }
                Reader::Queued(since) => {
                    self.waiting.wait();
                    Reader::Waits(since)
                }
                Reader::Waits(since) if self.calls > since => Reader::Away,
                waits @ Reader::Waits(_) => waits,
            };
        }

        /// A reader's future is dropped, and comes back.
        fn reader_goes(&mut self, number: usize) {
            self.readers[number].1 = Reader::Away;
        }
    }

    /// Takes steps in the order that is drawn, then all that are left.
    fn play(mut draw: impl FnMut(usize) -> usize) {
        let mut steps = Steps::new();
        for _ in 0..100 {
            match (draw(6), draw(8)) {
                (0, _) => steps.producer(),
                (1, 0) => steps.runtime_goes(),
                // Polled for no reason.
                (1, 1) if steps.task == Task::Asleep => steps.task = Task::Awake,
                (1, _) => steps.fan_out(),
                (reader, 0) => steps.reader_goes(reader - 2),
                (reader, _) => steps.reader(reader - 2),
            }
        }
        // From here on nobody goes, so that nobody is saved by going.
        for _ in 0..200 {
            steps.producer();
            steps.fan_out();
            (0..4).for_each(|number| steps.reader(number));
        }
        assert_eq!(steps.chunks, CHUNKS);
        for (next, at) in steps.readers {
            assert_eq!(next, CHUNKS + 1, "{at:?}: {:?}, {:?}", steps.waiting, steps.task);
        }
    }

    // J2, J5
    #[test]
    fn whatever_the_order_of_their_steps_every_reader_is_woken_for_every_chunk() {
        for seed in 0..20_000_u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            play(|bound| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                usize::try_from(state >> 40).unwrap() % bound
            });
        }
    }
}

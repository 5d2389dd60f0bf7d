//! How whoever asks a slot for something gets the answer.
//!
//! An answer comes back over a channel, unless it is there when the call that asks returns. Then no
//! channel is made: the answer is put into the [`Errand`] of the call.
//!
//! That is decided under the lock, before the input is applied ([`Asker::new`]), and it is sound
//! because no other thread can come to give that answer. The caller chooses [`Asker::Here`] only if
//! the life has a writer, which answers at once, and nothing is owed to the store; for a begin also
//! nothing runs or waits. Then the input is answered in the same step, or its write becomes the front
//! of the outbox and is taken out in that step. Whoever takes a write brings its answer back, on its
//! own thread as the writer answers at once; and nothing else takes what is at the front off. Should
//! the writer panic, the asker unwinds, and what would have been its answer is dropped with its
//! errand: a turn is abandoned, as if the asker had gone.

use super::Callers;
use super::hold::Hold;
use crate::clock::Now;
use crate::rt::{self, oneshot};
use crate::state::{BeginRefusal, ChangeRefusal, DeleteRefusal, Effects, Settlement};
use crate::store::{StoreError, Write};

/// Who waits for an answer.
#[derive(Debug)]
pub(crate) enum Asker<T> {
    /// The thread that asks: it finds the answer in its errand.
    Here,
    /// Whoever has the other end.
    Channel(oneshot::Sender<T>),
}

/// Where an answer is to be had.
#[derive(Debug)]
pub(crate) enum Answered<T> {
    /// Here it is.
    Ready(T),
    /// It comes.
    Later(oneshot::Receiver<T>),
}

/// What becomes of a begin. A refusal is in a box, so that it does not make every answer a large one.
pub(crate) type Begun = Result<Hold, Box<BeginRefusal>>;

/// What becomes of a commit, a fail or a clearing. An error is in a box for the same reason.
pub(crate) type Settled = Result<Settlement, Box<StoreError>>;

/// What follows from one call of a slot.
#[derive(Debug)]
pub(super) struct Errand {
    /// When the call was made. What the store answers at once happens then, too: the clock is not read
    /// again for it.
    pub(super) now: Now,
    /// What is to be done.
    pub(super) effects: Effects<Callers>,
    /// What the store is to be told then.
    pub(super) write: Option<Write>,
    /// The answer for [`Asker::Here`] of a begin.
    pub(super) begun: Option<Begun>,
    /// The answer for [`Asker::Here`] of whatever ends a turn.
    pub(super) settled: Option<Settled>,
}

impl Errand {
    /// That of a call at `now`.
    pub(super) fn new(now: Now) -> Self {
        Self { now, effects: Effects::new(), write: None, begun: None, settled: None }
    }
}

impl<T> Asker<T> {
    /// Who waits; and what it waits on, unless the answer comes `here`.
    pub(super) fn new(here: bool) -> (Self, Option<oneshot::Receiver<T>>) {
        if here {
            return (Self::Here, None);
        }
        let (sender, receiver) = oneshot::channel();
        (Self::Channel(sender), Some(receiver))
    }

    /// Gives the answer: into `here` if that is where the asker looks. Where nobody waits any more it is
    /// dropped.
    pub(super) fn give(self, answer: T, here: &mut Option<T>) {
        match self {
            Self::Here => *here = Some(answer),
            Self::Channel(sender) => drop(sender.send(answer)),
        }
    }
}

impl<T, R: FromOver> Answered<Result<T, R>> {
    /// What has become `ready`, or else comes over the channel.
    pub(super) fn of(
        receiver: Option<oneshot::Receiver<Result<T, R>>>,
        ready: Option<Result<T, R>>,
    ) -> Self {
        match receiver {
            Some(receiver) => Self::Later(receiver),
            None => Self::Ready(ready.unwrap_or_else(|| Err(R::over()))),
        }
    }

    /// The answer. A slot answers everybody; only one whose state was dropped with its supervisor does
    /// not.
    pub(crate) async fn get(self) -> Result<T, R> {
        match self {
            Self::Ready(answer) => {
                // As a channel does: a task that never has to wait still lets others in.
                rt::consume_budget().await;
                answer
            }
            Self::Later(receiver) => receiver.await.unwrap_or_else(|_| Err(R::over())),
        }
    }
}

/// A refusal for those whose session was dropped with its supervisor.
pub(crate) trait FromOver {
    /// That refusal.
    fn over() -> Self;
}

impl FromOver for Box<BeginRefusal> {
    fn over() -> Self {
        Self::new(BeginRefusal::Draining)
    }
}

impl FromOver for Box<StoreError> {
    fn over() -> Self {
        Self::new(StoreError::Closed)
    }
}

impl FromOver for ChangeRefusal {
    fn over() -> Self {
        Self::Store(StoreError::Closed)
    }
}

impl FromOver for DeleteRefusal {
    fn over() -> Self {
        Self::Store(StoreError::Closed)
    }
}

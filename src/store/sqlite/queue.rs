//! The writes that wait for the disk, and the task that takes them there.
//!
//! Whoever pushes a write onto an idle queue starts the flusher: one blocking task, which takes
//! everything that has gathered as one batch, again and again, and ends when nothing has. Both
//! decisions, "is a flusher running" and "has anything gathered", are made under the queue's lock,
//! so no write is left behind. There is no flusher while nothing waits: a resident task would keep
//! a paused clock from moving.

use std::collections::VecDeque;
use std::fmt;

use crate::clock::Timestamp;
use crate::id::{Incarnation, InstanceId, SessionId};
use crate::rt::{Mutex, oneshot};
use crate::store::{
    Binding, Bound, CleanStop, Created, Forget, HealReport, NewRecord, RunsFound, StoreError, Write,
};

/// A write that was handed over.
#[derive(Debug)]
pub(super) struct Job {
    /// What is to be done.
    pub(super) operation: Operation,
    /// Where the answer goes. Nobody may be waiting there any more.
    pub(super) reply: oneshot::Sender<Result<Answer, StoreError>>,
}

impl Job {
    /// Answers it.
    pub(super) fn answer(self, answer: Result<Answer, StoreError>) {
        // Whoever asked may have gone away; the write has happened all the same.
        drop(self.reply.send(answer));
    }
}

/// What a job does.
#[derive(Debug)]
pub(super) enum Operation {
    /// Creates a session; answered with [`Answer::Created`].
    Create(Box<NewRecord>),
    /// Changes a life; answered with [`Answer::Written`].
    Write {
        /// Whose.
        id: SessionId,
        /// Which.
        incarnation: Incarnation,
        /// What.
        write: Write,
    },
    /// Binds a key to a life or to nothing; answered with [`Answer::Bound`].
    Bind {
        /// Which key.
        binding: Binding,
        /// What to.
        to: Option<(SessionId, Incarnation)>,
    },
    /// Notes a run of the process; answered with [`Answer::Opened`].
    OpenRun {
        /// Which.
        instance: InstanceId,
        /// When it starts.
        at: Timestamp,
    },
    /// Marks a run of the process; answered with [`Answer::Written`].
    CloseRun {
        /// Which.
        instance: InstanceId,
        /// The mark.
        stop: CleanStop,
    },
    /// Removes what is kept for a time only; answered with [`Answer::Forgotten`].
    Forget {
        /// What, and how old.
        what: Forget,
        /// How many at most.
        limit: usize,
    },
    /// Puts back what was lost; answered with [`Answer::Healed`].
    Heal,
}

impl Operation {
    /// Which run of the process it notes, if it does.
    pub(super) fn opens(&self) -> Option<InstanceId> {
        if let Self::OpenRun { instance, .. } = self { Some(*instance) } else { None }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(new) => write!(f, "the creation of session {}", new.id),
            Self::Write { id, .. } => write!(f, "a write to session {id}"),
            Self::Bind { binding, .. } => write!(f, "the binding of {}", binding.key),
            Self::OpenRun { .. } => f.write_str("the note of a run"),
            Self::CloseRun { .. } => f.write_str("the mark of a clean stop"),
            Self::Forget { what, .. } => f.write_str(match what {
                Forget::Tombstones(_) => "the removal of old tombstones",
                Forget::Revisions(_) => "the removal of old revisions",
                Forget::Requests(_) => "the removal of old requests",
                Forget::ResumeHandles(_) => "the removal of old resume handles",
                Forget::RefusedHandles(_) => "the removal of old refusals of resume handles",
            }),
            Self::Heal => f.write_str("putting back what was lost"),
        }
    }
}

/// What came of a job.
#[derive(Debug)]
pub(super) enum Answer {
    /// Of [`Operation::Create`].
    Created(Box<Created>),
    /// Of [`Operation::Write`] and [`Operation::CloseRun`].
    Written,
    /// Of [`Operation::Bind`].
    Bound(Bound),
    /// Of [`Operation::OpenRun`].
    Opened(Box<RunsFound>),
    /// Of [`Operation::Forget`].
    Forgotten(usize),
    /// Of [`Operation::Heal`].
    Healed(Box<HealReport>),
}

impl Answer {
    /// Of [`Operation::Create`].
    pub(super) fn created(self) -> Option<Created> {
        if let Self::Created(created) = self { Some(*created) } else { None }
    }

    /// Of [`Operation::Write`] and [`Operation::CloseRun`].
    pub(super) fn written(self) -> Option<()> {
        if let Self::Written = self { Some(()) } else { None }
    }

    /// Of [`Operation::Bind`].
    pub(super) fn bound(self) -> Option<Bound> {
        if let Self::Bound(bound) = self { Some(bound) } else { None }
    }

    /// Of [`Operation::OpenRun`].
    pub(super) fn opened(self) -> Option<RunsFound> {
        if let Self::Opened(found) = self { Some(*found) } else { None }
    }

    /// Of [`Operation::Forget`].
    pub(super) fn forgotten(self) -> Option<usize> {
        if let Self::Forgotten(count) = self { Some(count) } else { None }
    }

    /// Of [`Operation::Heal`].
    pub(super) fn healed(self) -> Option<HealReport> {
        if let Self::Healed(report) = self { Some(*report) } else { None }
    }
}

/// The writes that wait.
#[derive(Debug)]
pub(super) struct Queue {
    /// What is behind the lock.
    state: Mutex<State>,
    /// The bound of `State::jobs`.
    max_queued: usize,
    /// The bound of a batch.
    max_batch: usize,
}

/// What is behind the lock.
#[derive(Debug, Default)]
struct State {
    /// First come, first served.
    jobs: VecDeque<Job>,
    /// Whether a flusher runs or is being started; it is the only one that takes jobs out.
    flushing: bool,
    /// Whether new jobs are refused.
    closed: bool,
    /// Who waits until there is no flusher.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Queue {
    /// An empty queue.
    pub(super) fn new(max_queued: usize, max_batch: usize) -> Self {
        Self { state: Mutex::new(State::default()), max_queued, max_batch }
    }

    /// Adds a job; says whether the caller has to start a flusher.
    pub(super) fn push(&self, job: Job) -> Result<bool, StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        if state.jobs.len() >= self.max_queued {
            let what = format!("{} writes are waiting, the limit", state.jobs.len());
            return Err(StoreError::Full { what });
        }
        state.jobs.push_back(job);
        Ok(!std::mem::replace(&mut state.flushing, true))
    }

    /// The next batch, for the flusher; `None` if there is nothing, and then it must end.
    pub(super) fn take(&self) -> Option<Vec<Job>> {
        let mut state = self.state.lock();
        if state.jobs.is_empty() {
            state.end_flush();
            return None;
        }
        let batch = state.jobs.len().min(self.max_batch);
        Some(state.jobs.drain(..batch).collect())
    }

    /// Notes that the flusher ended before it was through; answers with what it left.
    pub(super) fn abort(&self) -> Vec<Job> {
        let mut state = self.state.lock();
        state.end_flush();
        state.jobs.drain(..).collect()
    }

    /// Refuses every job from now on.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
    }

    /// Whether jobs are refused.
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Something that ends when the flusher does; `None` if there is none, and so nothing waits.
    pub(super) fn idle(&self) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state.lock();
        if !state.flushing {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push(sender);
        Some(receiver)
    }
}

impl State {
    /// Notes that there is no flusher, and wakes who waits for that by dropping its sender.
    fn end_flush(&mut self) {
        self.flushing = false;
        self.waiting.clear();
    }
}

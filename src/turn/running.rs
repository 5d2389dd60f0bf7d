//! A turn whose work the supervisor runs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tracing::Instrument;

use super::Turn;
use crate::id::StreamId;
use crate::outcome::CancelReason;
use crate::rt::{Arc, JoinHandle};
use crate::slot::Slot;
use crate::stream::{Stream, Subscription};
use crate::tasks::Tasks;

/// The work of a turn, as it runs. Await it for what the work returned; drop it to let it run on.
#[must_use = "dropping it detaches from the turn; say so with `drop`"]
pub struct Running<T> {
    /// The task.
    task: JoinHandle<Result<T, CancelReason>>,
    /// Which turn.
    stream: StreamId,
    /// Where its chunks go.
    chunks: Arc<Stream>,
    /// Its session.
    slot: Arc<Slot>,
    /// Whether the turn is to be told to end when this is dropped.
    cancels: bool,
}

/// Why the work of a turn returned nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It panicked. The turn is over and the session goes on.
    #[error("the work of turn {stream} panicked: {message}")]
    Panicked {
        /// The turn.
        stream: StreamId,
        /// The panic's message.
        message: String,
    },
    /// It did not end in time after it was told to, and was aborted.
    #[error("the work of turn {stream} was aborted: {reason}")]
    Aborted {
        /// The turn.
        stream: StreamId,
        /// Why it was to end.
        reason: CancelReason,
    },
}

impl<T: Send + 'static> Running<T> {
    /// Starts the work.
    pub(crate) fn start<E, F, W>(turn: Turn<E>, work: F) -> Self
    where
        E: 'static,
        F: FnOnce(Turn<E>) -> W + Send + 'static,
        W: Future<Output = T> + Send + 'static,
    {
        let (stream, slot) = (turn.stream(), turn.hold.slot.clone());
        let (chunks, span) = (turn.hold.stream.clone(), turn.span());
        let orders = chunks.clone();
        let tracked = Tasks::track(&slot, stream, chunks.clone());
        let task = async move {
            let _tracked = tracked;
            tokio::select! {
                biased;
                output = async { work(turn).await } => Ok(output),
                reason = orders.wait_aborted() => Err(reason),
            }
        };
        let task = slot.engine.spawner.spawn(task.instrument(span));
        Self { task, stream, chunks, slot, cancels: false }
    }
}

impl<T> Running<T> {
    /// Which turn.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// A reader of the turn's stream, also when the turn is over already.
    pub fn subscribe(&self) -> Subscription {
        Subscription::new(self.stream, self.chunks.clone())
    }

    /// From here on, dropping this tells the turn to end, as when the one who asked is gone.
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels = true;
        self
    }
}

impl<T> Future for Running<T> {
    type Output = Result<T, RunError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let running = self.get_mut();
        let stream = running.stream;
        Pin::new(&mut running.task).poll(context).map(|joined| match joined {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(reason)) => Err(RunError::Aborted { stream, reason }),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => Err(RunError::Panicked { stream, message: message(&*panic) }),
                // Only a runtime that shuts down cancels a task that nobody aborts.
                Err(_) => Err(RunError::Aborted { stream, reason: CancelReason::Shutdown }),
            },
        })
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if self.cancels {
            self.slot.cancel_turn(self.stream.generation());
        }
    }
}

impl<T> fmt::Debug for Running<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({})", self.stream)
    }
}

/// What a panic says, if it says anything.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

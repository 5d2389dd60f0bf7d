//! The task that wakes a stream's readers in the producer's place.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::Stream;
use crate::rt::{Arc, Spawner};

/// The duty to wake the readers of a stream. Started by the first chunk for which more readers wait
/// than a producer wakes itself; ends with the stream.
pub(super) struct FanOut(Arc<Stream>);

impl FanOut {
    /// Starts it. It wakes everybody at once, and then whenever it is told to.
    pub(super) fn start(stream: Arc<Stream>, spawner: &Spawner) {
        let fan_out = Self(stream);
        drop(spawner.spawn(poll_fn(move |context| fan_out.poll(context))));
    }

    /// Wakes everybody if it was told to. Only once each time: those it has just woken may be next on
    /// this thread.
    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let Self(stream) = self;
        let told = {
            let mut ring = stream.ring.lock();
            if ring.outcome().is_some() {
                return Poll::Ready(());
            }
            ring.waiting.ask(context.waker())
        };
        if told {
            stream.readers.notify_waiters();
        }
        Poll::Pending
    }
}

impl Drop for FanOut {
    /// Its runtime may go before the stream is over. Then the next chunk finds it absent.
    fn drop(&mut self) {
        self.0.ring.lock().waiting.left();
        self.0.readers.notify_waiters();
    }
}

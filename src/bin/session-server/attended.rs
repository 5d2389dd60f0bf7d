//! Work that its client waits for, and that goes on without it.
//!
//! As long as the client is there, the client's own task does the work: a task beside it would cost two wake-ups, each
//! of which may be another core's. When the client goes, what is left to do becomes a task.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Tells the work that its client has gone.
#[derive(Debug)]
pub(crate) struct Gone(CancellationToken);

/// Work that its client waits for. Dropped before it is done, it goes on in a task.
pub(crate) struct Attended<T: Send + 'static> {
    /// What is left to do; none once it is done, or has panicked.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    /// Dropped when the client goes.
    here: Option<DropGuard>,
}

impl Gone {
    /// Waits until the client has gone; at once, if it has.
    pub(crate) async fn wait(&self) {
        self.0.cancelled().await;
    }
}

impl<T: Send + 'static> Attended<T> {
    /// Work that counts as one of the `tracker`'s tasks from now on.
    pub(crate) fn new<F>(tracker: &TaskTracker, work: impl FnOnce(Gone) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let gone = CancellationToken::new();
        let here = gone.clone().drop_guard();
        let work = Box::pin(tracker.track_future(work(Gone(gone))));
        Self { work: Some(work), here: Some(here) }
    }
}

impl<T: Send + 'static> Future for Attended<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out while it runs: one that panics is over.
        let mut work = self.work.take().expect("polled after it was done");
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Attended<T> {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        self.here = None;
        // Without a runtime the process is at its end.
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_answers_who_waits() {
        let tracker = TaskTracker::new();
        assert_eq!(Attended::new(&tracker, |_gone| async { 7 }).await, 7);
        assert!(tracker.is_empty());
    }

    #[tokio::test]
    async fn it_goes_on_without_its_client_and_is_told() {
        let tracker = TaskTracker::new();
        let (done, told) = oneshot::channel();
        let mut attended = Box::pin(Attended::new(&tracker, |gone| async move {
            gone.wait().await;
            // Whoever asks again is told again.
            gone.wait().await;
            done.send("gone").unwrap();
        }));
        assert!(futures_util::poll!(&mut attended).is_pending());
        assert_eq!(tracker.len(), 1);
        drop(attended);
        assert_eq!(told.await.unwrap(), "gone");
        tracker.close();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn one_that_was_never_polled_is_done_all_the_same() {
        let tracker = TaskTracker::new();
        let (done, told) = oneshot::channel();
        drop(Attended::new(&tracker, |_gone| async move { done.send(1).unwrap() }));
        assert_eq!(told.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn one_that_panics_is_over() {
        let tracker = TaskTracker::new();
        let attended = Attended::new(&tracker, |_gone| async { panic!("scripted") });
        let caught = AssertUnwindSafe(attended).catch_unwind().await;
        let _: () = caught.map(|()| unreachable!()).unwrap_or_default();
        assert!(tracker.is_empty());
    }
}

//! Work that goes on without whoever asked for it.
//!
//! Some operations take several awaits and must not stop between two of them: a binding that has changed in
//! the store and not in the cache would be followed wrongly for ever. The first poll is made by the caller, so
//! that what it does is done in the caller's order, and costs nothing else if the answer is there; the rest is
//! a task. So neither a caller who goes away nor one who does not look for a while holds up anybody.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::rt::{JoinHandle, Spawner};
use crate::store::StoreError;

/// A future that is seen through once it was polled, whatever becomes of this.
#[must_use = "nothing is handed over before the first poll"]
pub(crate) struct Handover<T: Send + 'static> {
    /// How far it is.
    stage: Stage<T>,
    /// Where it goes on.
    spawner: Spawner,
}

/// How far a handover is.
enum Stage<T> {
    /// Nobody has asked for it.
    New(Pin<Box<dyn Future<Output = T> + Send>>),
    /// It is under way.
    Task(JoinHandle<T>),
    /// It is over, perhaps by a panic.
    Over,
}

impl<T: Send + 'static> Handover<T> {
    /// One that has not begun.
    pub(crate) fn new(spawner: &Spawner, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { stage: Stage::New(Box::pin(work)), spawner: spawner.clone() }
    }
}

impl<T: Send + 'static> Future for Handover<T> {
    type Output = Result<T, StoreError>;

    /// [`StoreError::OutcomeUnknown`] if the task panicked, as by a store, or its runtime has gone.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut task = match std::mem::replace(&mut this.stage, Stage::Over) {
            Stage::New(mut work) => match work.as_mut().poll(context) {
                Poll::Ready(answer) => return Poll::Ready(Ok(answer)),
                Poll::Pending => this.spawner.spawn(work),
            },
            Stage::Task(task) => task,
            Stage::Over => unreachable!("polled after it was ready"),
        };
        let answer = Pin::new(&mut task).poll(context);
        if answer.is_pending() {
            this.stage = Stage::Task(task);
        }
        let what = "what was handed over did not come to its end";
        answer.map_err(|lost| StoreError::outcome_unknown(what, lost))
    }
}

impl<T: Send + 'static> fmt::Debug for Handover<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::New(_) => "Handover(new)",
            Stage::Task(_) => "Handover(under way)",
            Stage::Over => "Handover(over)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::{self, Arc, AtomicU64, Ordering};

    /// Work of two steps, each of which is counted.
    fn work(steps: &Arc<AtomicU64>) -> impl Future<Output = u64> + Send + use<> {
        let steps = steps.clone();
        async move {
            steps.fetch_add(1, Ordering::SeqCst);
            rt::yield_now().await;
            steps.fetch_add(1, Ordering::SeqCst) + 1
        }
    }

    // A7, M3
    #[tokio::test]
    async fn what_was_polled_once_is_seen_through_and_what_was_not_never_begins() {
        let spawner = Spawner::current().unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        drop(Handover::new(&spawner, work(&steps)));
        rt::yield_now().await;
        assert_eq!(steps.load(Ordering::SeqCst), 0);
        let mut begun = Handover::new(&spawner, work(&steps));
        let noop = &mut Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut begun).poll(noop).is_pending());
        drop(begun);
        while steps.load(Ordering::SeqCst) < 2 {
            rt::yield_now().await;
        }
        assert!(matches!(Handover::new(&spawner, work(&steps)).await, Ok(4)));
        // A panic of the first poll is its caller's, a later one leaves the outcome open.
        let panics = Handover::new(&spawner, async { panic!("at once") });
        let panicked: Result<Result<(), _>, _> = spawner.spawn(panics).await;
        assert!(panicked.unwrap_err().is_panic());
        let panics = async {
            rt::yield_now().await;
            panic!("in the middle");
        };
        let panicked: Result<(), _> = Handover::new(&spawner, panics).await;
        assert!(matches!(panicked, Err(StoreError::OutcomeUnknown { .. })));
    }
}

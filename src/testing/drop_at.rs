//! Dropping a future at each of its suspensions.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::rt::{self, Arc, AtomicBool, Mutex, Ordering};

/// How often the other tasks get to run before the runtime is let go idle. Being idle is what lets
/// a paused clock move on, so it comes only when running them was not enough.
const MAX_YIELDS: usize = 256;

/// How long a future may wait to be woken, on the runtime's clock, before it counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Drops a future after its first poll, a fresh one after its second poll, and so on, until one
/// completes before it would be dropped; answers how many were dropped.
///
/// `make` sets the stage and hands back what `check` needs to look at it, and the future. `check`
/// gets that and the future's output, or `None` if the future was dropped, and should panic if the
/// stage is not as it should be. Between two polls of the future the other tasks run until it was
/// woken, so a poll that comes for nothing is never a drop point. Works on every runtime, and with
/// a paused clock.
///
/// # Panics
///
/// If the future is not woken for a day of the runtime's time: it would never complete.
///
/// # Cancel safety
///
/// Not meant to be dropped: what is left is whatever `make` left.
///
/// # Examples
///
/// ```
/// use session_supervisor::testing::{Gate, drop_at_every_await};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let dropped = drop_at_every_await(
///     async || {
///         let gate = Gate::new();
///         gate.let_through(1);
///         let waiter = gate.clone();
///         (gate, async move {
///             tokio::task::yield_now().await;
///             waiter.wait().await;
///         })
///     },
///     async |gate, output: Option<()>| assert_eq!(gate.passed(), u64::from(output.is_some())),
/// )
/// .await;
/// assert_eq!(dropped, 1);
/// # });
/// # Ok::<_, std::io::Error>(())
/// ```
pub async fn drop_at_every_await<T, F: Future>(
    mut make: impl AsyncFnMut() -> (T, F),
    mut check: impl AsyncFnMut(T, Option<F::Output>),
) -> usize {
    let mut dropped = 0;
    loop {
        let (stage, future) = make().await;
        let output = poll_times(future, dropped + 1).await;
        let completed = output.is_some();
        check(stage, output).await;
        if completed {
            return dropped;
        }
        dropped += 1;
    }
}

/// Polls `future` at most `polls` times and drops it.
async fn poll_times<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for poll in 1..=polls {
        let bell = Arc::new(Bell::default());
        if let Poll::Ready(output) = poll_once(future.as_mut(), &bell) {
            return Some(output);
        }
        if poll < polls {
            bell.wait().await;
        }
    }
    None
}

/// Polls once; the future's wake-up rings `bell`.
fn poll_once<F: Future>(future: Pin<&mut F>, bell: &Arc<Bell>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(bell));
    future.poll(&mut Context::from_waker(&waker))
}

/// Remembers that the future was woken.
#[derive(Default)]
struct Bell {
    /// Whether it was.
    rung: AtomicBool,
    /// Who waits for it.
    listener: Mutex<Option<Waker>>,
}

impl Bell {
    /// Lets the others run until the bell was rung.
    async fn wait(&self) {
        for _ in 0..MAX_YIELDS {
            if self.rung.load(Ordering::Acquire) {
                return;
            }
            rt::yield_now().await;
        }
        let rung = rt::timeout(STUCK_AFTER, poll_fn(|context| self.poll_rung(context))).await;
        assert!(rung.is_ok(), "the future was polled, and then not woken for a day");
    }

    /// Whether the bell was rung; if not, the task of `context` is woken when it is.
    fn poll_rung(&self, context: &Context<'_>) -> Poll<()> {
        *self.listener.lock() = Some(context.waker().clone());
        // After the listener is in place, so that a bell that rings in between is heard.
        if self.rung.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let listener = self.listener.lock().take();
        if let Some(listener) = listener {
            listener.wake();
        }
    }
}

//! Time that stands still until a model says [`advance`].
//!
//! Whether a timer rings before or after something else is then one more step that the scheduler
//! orders, and no schedule depends on how fast the machine is.

use std::future::Future;
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
pub use std::time::Duration;

pub mod error {
    //! What a timeout says.
    pub use shuttle_tokio::time::error::Elapsed;
}

/// The time of one schedule, and who waits for it.
#[derive(Debug, Default)]
struct Timers {
    now: Duration,
    /// Until when, and whom to wake. Those who went away stay in it: waking them does nothing.
    waiting: Vec<(Duration, Waker)>,
}

shuttle::lazy_static! {
    /// Begins anew with each schedule.
    static ref TIMERS: Mutex<Timers> = Mutex::default();
}

/// Runs `work` on the timers. It is one step: nothing in it lets anybody else run.
fn timers<T>(work: impl FnOnce(&mut Timers) -> T) -> T {
    work(&mut TIMERS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// Moves the time, and wakes whoever waited for it.
pub fn advance(duration: Duration) {
    shuttle_engine::runtime::thread::switch();
    let due = timers(|timers| {
        timers.now += duration;
        let now = timers.now;
        timers.waiting.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>()
    });
    for (_, waker) in due {
        waker.wake();
    }
}

/// A moment of this schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    pub fn now() -> Self {
        Self(timers(|timers| timers.now))
    }

    pub fn elapsed(&self) -> Duration {
        Self::now() - *self
    }

    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        *self - earlier
    }

    pub fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Waits until the time has come.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct Sleep(Instant);

/// Waits for `duration`, which passes only by [`advance`].
pub fn sleep(duration: Duration) -> Sleep {
    Sleep(Instant::now() + duration)
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        timers(|timers| {
            if timers.now >= self.0.0 {
                return Poll::Ready(());
            }
            timers.waiting.push((self.0.0, context.waker().clone()));
            Poll::Pending
        })
    }
}

/// Waits for `work`, `duration` at most.
///
/// # Errors
///
/// If the time has come first.
pub async fn timeout<F: Future>(duration: Duration, work: F) -> Result<F::Output, error::Elapsed> {
    let (mut work, mut over) = (std::pin::pin!(work), sleep(duration));
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Ok(answer)),
        Poll::Pending => Pin::new(&mut over).poll(context).map(|()| Err(error::Elapsed::new())),
    })
    .await
}

/// Ticks once a period.
#[derive(Debug)]
pub struct Interval {
    period: Duration,
    next: Instant,
}

/// Ticks now, and then once a `period`.
pub fn interval(period: Duration) -> Interval {
    Interval { period, next: Instant::now() }
}

impl Interval {
    pub async fn tick(&mut self) -> Instant {
        let at = self.next;
        Sleep(at).await;
        self.next = at + self.period;
        at
    }
}

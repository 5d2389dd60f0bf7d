//! Time, behind a handle that is given to the builder.
//!
//! Two clocks, never mixed. A [`Moment`] is monotonic and belongs to one run of the process: every
//! deadline inside the process is one. A [`Timestamp`] is wall-clock time: it is what is stored and
//! shown, and nothing in the process is decided by it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rt::{self, AtomicU64, Ordering};

/// An instant of this run of the process, in nanoseconds since its clock was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// Later than any other.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The moment `since_start` after the clock was made; saturates after 584 years.
    pub fn after_start(since_start: Duration) -> Self {
        Self(u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The moment `duration` later; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// In nanoseconds since the clock was made.
    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    /// The moment so many nanoseconds after the clock was made.
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment `duration` earlier, if there was one.
    pub(crate) fn minus(self, duration: Duration) -> Option<Self> {
        let nanos = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_sub(nanos).map(Self)
    }

    /// How many whole spans of `width` have passed.
    pub(crate) fn spans(self, width: Duration) -> u64 {
        self.0 / u64::try_from(width.as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// The moment when `spans` whole spans of `width` have passed; saturates.
    pub(crate) fn after_spans(spans: u64, width: Duration) -> Self {
        Self(spans.saturating_mul(u64::try_from(width.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Wall-clock time in milliseconds since the Unix epoch. Prints as RFC 3339 in UTC.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The instant `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The instant `duration` earlier; the epoch at the earliest.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The instant `duration` later; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// How much time lies between the two, whichever is the earlier.
    pub(crate) fn apart(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last second that humantime can print is that of the year 9999.
        let millis = self.0.min(253_402_300_799_999);
        let time = std::time::UNIX_EPOCH + Duration::from_millis(millis);
        write!(f, "{}", humantime::format_rfc3339_millis(time))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock: decides.
    pub moment: Moment,
    /// The wall clock: is stored and shown.
    pub wall: Timestamp,
}

impl Now {
    /// What both clocks would have shown at `moment`, which was not long ago.
    pub(crate) fn back_at(self, moment: Moment) -> Self {
        Self { moment, wall: self.wall.minus(self.moment.since(moment)) }
    }
}

/// Where a supervisor takes its time from.
///
/// Timers run on tokio's clock; an implementation that is to be tested with
/// `tokio::time::pause` has to follow that clock, as [`SystemClock`] does.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Reads both clocks. Called on every operation, so it must be cheap and must not block.
    fn now(&self) -> Now;

    /// For how long a reading may be used again by [touches](crate::Session::touch), of which there are
    /// many and none has to be exact. Measured by the runtime's timers, so it is for clocks that go with
    /// them. Default: not at all, the clock is read for each.
    fn reading_lasts(&self) -> Duration {
        Duration::ZERO
    }
}

/// The machine's clocks: tokio's instants, which tests may pause, and the system's wall clock.
///
/// The wall clock is read ten times a second at most; in between it goes on with the other, so a jump
/// of it is seen a tenth of a second late. A touch may be noted as a tenth of a second earlier than it was.
#[derive(Debug)]
pub struct SystemClock {
    /// What moments are counted from.
    started: rt::Instant,
    /// The wall clock less the moment when it was read last, in milliseconds.
    offset: AtomicU64,
    /// The moment from which on it is read again, in nanoseconds.
    stale_at: AtomicU64,
}

/// How long a reading of the wall clock is used.
const WALL_READING: Duration = Duration::from_millis(100);

impl SystemClock {
    /// A clock whose moments count from now.
    pub fn new() -> Self {
        let (offset, stale_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { started: rt::Instant::now(), offset, stale_at }
    }

    /// Reads the wall clock; answers its distance from `moment`, in milliseconds.
    fn read_wall(&self, moment: Moment) -> u64 {
        let wall = u64::try_from(rt::wall_clock().as_millis()).unwrap_or(u64::MAX);
        let offset = wall.wrapping_sub(moment.0 / 1_000_000);
        self.offset.store(offset, Ordering::Relaxed);
        self.stale_at.store(moment.plus(WALL_READING).0, Ordering::Relaxed);
        offset
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let moment = Moment::after_start(self.started.elapsed());
        let offset = if moment.0 >= self.stale_at.load(Ordering::Relaxed) {
            self.read_wall(moment)
        } else {
            self.offset.load(Ordering::Relaxed)
        };
        Now { moment, wall: Timestamp::from_millis((moment.0 / 1_000_000).wrapping_add(offset)) }
    }

    fn reading_lasts(&self) -> Duration {
        WALL_READING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339_and_the_largest_does_not_panic() {
        assert_eq!(Timestamp::from_millis(1_500).to_string(), "1970-01-01T00:00:01.500Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn arithmetic_saturates() {
        let last = Moment(u64::MAX);
        assert_eq!(last.plus(Duration::MAX), last);
        assert_eq!(Moment::default().since(last), Duration::ZERO);
        let last = Timestamp::from_millis(u64::MAX);
        assert_eq!(last.plus(Duration::MAX), last);
        assert_eq!(Timestamp::default().since(last), Duration::ZERO);
    }
}

//! Clocks that tests hold in their hands.
//!
//! Invariants: a moment never goes back; the wall clock may, as the one of a machine does.

use std::time::Duration;

use crate::clock::{Clock, Moment, Now, Timestamp};
use crate::rt::{self, Arc, Mutex};

/// Where the wall clock of a test starts unless it is told otherwise: 2030-01-01T00:00:00Z.
const WALL_START: Timestamp = Timestamp::from_millis(1_893_456_000_000);

/// A clock that stands still until it is moved. A clone is another handle to the same clock.
///
/// Timers of the runtime do not follow it; use [`PausedClock`] where they matter.
#[derive(Clone, Debug)]
pub struct ManualClock {
    /// Both clocks, so that they are read together.
    now: Arc<Mutex<Now>>,
}

impl ManualClock {
    /// A clock at the first moment, and at the start of 2030 on the wall.
    pub fn new() -> Self {
        Self::starting_at(WALL_START)
    }

    /// A clock at the first moment, and at `wall` on the wall.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self { now: Arc::new(Mutex::new(Now { moment: Moment::default(), wall })) }
    }

    /// Moves both clocks on.
    pub fn advance(&self, duration: Duration) {
        let mut now = self.now.lock();
        now.moment = now.moment.plus(duration);
        now.wall = now.wall.plus(duration);
    }

    /// Moves the monotonic clock on and leaves the wall clock.
    pub fn advance_moment(&self, duration: Duration) {
        let mut now = self.now.lock();
        now.moment = now.moment.plus(duration);
    }

    /// Moves the wall clock on and leaves the monotonic clock.
    pub fn advance_wall(&self, duration: Duration) {
        let mut now = self.now.lock();
        now.wall = now.wall.plus(duration);
    }

    /// Sets the monotonic clock.
    ///
    /// # Panics
    ///
    /// If `moment` lies behind: a monotonic clock does not go back.
    pub fn set_moment(&self, moment: Moment) {
        let mut now = self.now.lock();
        assert!(moment >= now.moment, "a monotonic clock does not go back");
        now.moment = moment;
    }

    /// Sets the wall clock, back too, as an operator or a time server may.
    pub fn set_wall(&self, wall: Timestamp) {
        self.now.lock().wall = wall;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        *self.now.lock()
    }
}

/// A clock of which both readings follow tokio's time, paused or not, from a fixed start on the
/// wall.
#[derive(Clone, Copy, Debug)]
pub struct PausedClock {
    /// What both readings are counted from.
    started: rt::Instant,
    /// What the wall clock showed then.
    wall: Timestamp,
}

impl PausedClock {
    /// A clock that counts from now, and from the start of 2030 on the wall.
    pub fn new() -> Self {
        Self::starting_at(WALL_START)
    }

    /// A clock that counts from now, and from `wall` on the wall.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self { started: rt::Instant::now(), wall }
    }
}

impl Default for PausedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Now {
        let elapsed = self.started.elapsed();
        Now { moment: Moment::after_start(elapsed), wall: self.wall.plus(elapsed) }
    }
}

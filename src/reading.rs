//! The time for what happens often and need not know it exactly: touches.
//!
//! Reading the clock costs more than everything else that a touch does. So a reading is used again as long as the
//! clock says that it may be, and nothing ticks while nobody asks.

use crate::clock::Moment;
use crate::engine::Engine;
use crate::rt::{self, Arc, AtomicU64, Ordering};

/// The last reading, in nanoseconds; 0 if the clock is to be read.
#[derive(Debug, Default)]
pub(crate) struct Reading(AtomicU64);

impl Engine {
    /// The time, for touches.
    #[inline]
    pub(crate) fn reading(self: &Arc<Self>) -> Moment {
        match self.reading.0.load(Ordering::Relaxed) {
            0 => self.read(),
            nanos => Moment::from_nanos(nanos),
        }
    }

    /// Reads the clock, and sees to it that the reading is not used for longer than it may.
    #[cold]
    fn read(self: &Arc<Self>) -> Moment {
        let (now, lasts) = (self.now().moment, self.reading_lasts());
        let first = || {
            let (nanos, relaxed) = (now.nanos().max(1), Ordering::Relaxed);
            self.reading.0.compare_exchange(0, nanos, relaxed, relaxed).is_ok()
        };
        if !lasts.is_zero() && first() {
            let used = Used(self.clone());
            self.spawner.spawn(async move {
                used.0.over.run_until_cancelled(rt::sleep(lasts)).await;
                drop(used);
            });
        }
        now
    }
}

/// A reading that is used. Dropped, however that comes, it is not any more.
struct Used(Arc<Engine>);

impl Drop for Used {
    fn drop(&mut self) {
        self.0.reading.0.store(0, Ordering::Relaxed);
    }
}

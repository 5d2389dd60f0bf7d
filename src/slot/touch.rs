//! Touches: somebody is there, and nothing else happens.
//!
//! A touch is one word beside the state, so that it costs next to nothing and waits for nobody. What it says
//! is taken into the state by whoever wants to know how long the session has been idle, under the lock.
//!
//! The word is [`ASK`] while the session cannot be used, and while it is being decided whether it leaves:
//! then a touch has to ask under the lock. It is changed to and from that under the lock alone. So a touch
//! comes before that decision, which then knows of it, or finds what was decided.
//!
//! Nor does it bring a conversation back whose time is over: until when that is not so is noted beside it, and
//! later than that it is asked under the lock. Use makes it later; wherever the state has come to know that it
//! may be earlier, it is forgotten here as well. A touch reads no wall clock, so that may have jumped: under the
//! lock it is asked now and then at least.

use std::time::Duration;

use super::{Presence, Slot};
use crate::clock::{Moment, Now};
use crate::rt::{AtomicU64, Ordering};
use crate::slot::Callers;
use crate::state::{Phase, SessionState};

/// Ask under the lock. No moment is that far away.
const ASK: u64 = u64::MAX;

/// For how long nobody has to ask under the lock at most, so that a wall clock that jumped nearer to the end of the
/// session is noticed.
const ASKED_EVERY: Duration = Duration::from_secs(60);

/// When somebody was there last, if the state does not know of it yet.
#[derive(Debug)]
pub(super) struct Touched {
    /// When, in nanoseconds; 0 if nobody was.
    at: AtomicU64,
    /// Until when the time of the session is not over for sure: later than that it is to be asked.
    fresh_until: AtomicU64,
}

impl Touched {
    /// Nobody was, and it is to be asked the first time.
    pub(super) const fn new(live: bool) -> Self {
        let at = AtomicU64::new(if live { 0 } else { ASK });
        Self { at, fresh_until: AtomicU64::new(0) }
    }

    /// Somebody is there at `at`; answers whether that was noted, or is to be asked for under the lock.
    #[inline]
    fn note(&self, at: Moment) -> bool {
        let at = at.nanos().clamp(1, ASK - 1);
        if at >= self.fresh_until.load(Ordering::Relaxed) {
            return false;
        }
        // Not written again within one reading of the clock.
        self.at.load(Ordering::Relaxed) == at || self.at.fetch_max(at, Ordering::Relaxed) != ASK
    }

    /// Whether somebody was there that the state does not know of.
    pub(super) fn is_noted(&self) -> bool {
        (1..ASK).contains(&self.at.load(Ordering::Relaxed))
    }

    /// What was noted, once. Under the lock.
    fn take(&self) -> Option<Moment> {
        // As a rule nothing was.
        self.is_noted().then(|| Moment::from_nanos(self.at.swap(0, Ordering::Relaxed)))
    }

    /// What was noted; from here on it is to be asked. Under the lock.
    fn close(&self) -> Option<Moment> {
        let before = self.at.swap(ASK, Ordering::Relaxed);
        Some(before).filter(|at| (1..ASK).contains(at)).map(Moment::from_nanos)
    }

    /// From here on it is noted again. Under the lock.
    fn open(&self) {
        self.at.store(0, Ordering::Relaxed);
    }
}

impl Slot {
    /// Somebody is there. Answers what the session is if it cannot be used.
    #[inline]
    pub(crate) fn touch(&self) -> Option<Presence> {
        if self.touched.note(self.engine.reading()) { None } else { self.touch_locked() }
    }

    /// [`Self::touch`], under the lock.
    #[cold]
    fn touch_locked(&self) -> Option<Presence> {
        let now = self.engine.now();
        let mut state = self.state.lock();
        self.note_touch(&mut state, now);
        let presence = Presence::of(&state);
        if presence != Presence::Live {
            return Some(presence);
        }
        if state.due(now).is_some() {
            return Some(Presence::Due);
        }
        state.note_use(now);
        state.refresh(now);
        let fresh_until = state.fresh_until().min(now.moment.plus(ASKED_EVERY));
        self.touched.fresh_until.store(fresh_until.nanos(), Ordering::Relaxed);
        None
    }

    /// Takes into `state` that somebody was there.
    pub(super) fn note_touch(&self, state: &mut SessionState<Callers>, now: Now) {
        if let Some(at) = self.touched.take() {
            state.note_use(now.back_at(at));
            self.forget_fresh(state);
        }
    }

    /// The same, and whoever comes now has to wait for the lock.
    pub(super) fn hold_touches(&self, state: &mut SessionState<Callers>, now: Now) {
        if let Some(at) = self.touched.close() {
            state.note_use(now.back_at(at));
        }
    }

    /// Whoever comes is to ask, if the time of the session may be over earlier than was noted here. Under the
    /// lock.
    pub(super) fn forget_fresh(&self, state: &SessionState<Callers>) {
        if state.fresh_until().nanos() < self.touched.fresh_until.load(Ordering::Relaxed) {
            self.touched.fresh_until.store(0, Ordering::Relaxed);
        }
    }

    /// It is decided whether the session can be used.
    #[cold]
    pub(super) fn settle_touches(&self, state: &mut SessionState<Callers>, now: Now) {
        match state.phase() {
            Phase::Live => self.touched.open(),
            Phase::Shut(_) | Phase::Closing(_) | Phase::Gone(_) | Phase::Left => {
                self.hold_touches(state, now);
            }
        }
    }
}

//! When the session ends by itself.
//!
//! It is found out by whoever uses it, before that: nobody begins in a conversation whose time is over,
//! whether somebody has come to sweep it or not. While there is work it is not over, however long that
//! takes; and a state that is loaded counts by the clock that does not jump.

use super::{KeptBy, Phase, Ports, SessionState};
use crate::clock::{Moment, Now, Timestamp};
use crate::expiry::{Ages, Due, Expiry, ExpiryAction};
use crate::rt::Arc;
use crate::standing::ExpiryClock;

/// How old a session was when it was loaded, and by which clocks it ends.
#[derive(Clone, Debug)]
pub(crate) struct Lifespan {
    /// The clocks.
    pub(crate) expiry: Arc<Expiry>,
    /// How old it was.
    pub(crate) ages: Ages,
    /// Whether it never ends by itself.
    pub(crate) pinned: bool,
    /// When it was loaded.
    pub(crate) loaded_at: Moment,
}

impl Lifespan {
    /// How old the session is that was used last at `active_at`, or at `used_at` by the other clock.
    fn ages(&self, active_at: Timestamp, used_at: Moment, now: Moment) -> Ages {
        let loaded_for = now.since(self.loaded_at);
        // By either clock: the one may jump onto the same time, and the other begins with the load.
        let used = active_at != self.ages.active_at || used_at > self.loaded_at;
        let idle = if used { now.since(used_at) } else { self.ages.idle + loaded_for };
        Ages { active_at, idle, age: self.ages.age + loaded_for }
    }
}

impl<P: Ports> SessionState<P> {
    /// How old it is.
    pub(crate) fn ages(&self, now: Now) -> Ages {
        let used = self.last_use(now);
        self.lifespan.ages(used.wall, used.moment, now.moment)
    }

    /// Whether its time is not over for sure.
    pub(crate) fn is_fresh(&self, now: Now) -> bool {
        now.moment < self.fresh_until
    }

    /// By which clock its time is over, if it is, and nothing keeps it.
    pub(crate) fn due(&mut self, now: Now) -> Option<ExpiryClock> {
        if self.is_fresh(now) {
            return None; // As mostly, and without a look at the clocks.
        }
        if !matches!(self.phase, Phase::Live) {
            return None;
        }
        match self.clocks(now) {
            Due::Over { clock, .. } => {
                let kept = self.kept_from_expiry(now.moment).next().is_some();
                return (!kept).then_some(clock);
            }
            // Whatever happens until then can only make it later, but for a jump, which a use finds.
            Due::In { left, .. } => self.fresh_until = now.moment.plus(left),
            Due::Never => self.fresh_until = Moment::NEVER,
        }
        None
    }

    /// What keeps it, however long it was not used. One who is about to use it does not: that one finds out
    /// that it is over.
    pub(crate) fn kept_from_expiry(&self, now: Moment) -> impl Iterator<Item = KeptBy> {
        let pinned = self.lifespan.pinned.then_some(KeptBy::Pinned);
        self.keepers(now).filter(|by| *by != KeptBy::Guest).chain(pinned)
    }

    /// What becomes of it when its time is over.
    pub(crate) fn expiry_action(&self) -> ExpiryAction {
        self.lifespan.expiry.action
    }

    /// What the clocks say, whatever keeps it.
    pub(crate) fn clocks(&self, now: Now) -> Due {
        self.lifespan.expiry.due(&self.ages(now))
    }

    /// Until when its time is not over for sure, as far as that was found out.
    pub(crate) const fn fresh_until(&self) -> Moment {
        self.fresh_until
    }

    /// Finds out anew until when its time is not over for sure: it was used at `now`.
    pub(crate) fn refresh(&mut self, now: Now) {
        self.fresh_until = Moment::default();
        self.due(now);
    }

    /// Nobody is to ask again before `until`: somebody outside keeps it.
    pub(crate) fn spare(&mut self, until: Moment) {
        self.fresh_until = self.fresh_until.max(until);
    }

    /// Whoever asks next finds out anew whether its time is over.
    pub(crate) fn reconsider(&mut self) {
        self.fresh_until = Moment::default();
    }

    /// Whether it never ends by itself, or no longer: it is pinned, or was restored.
    pub(super) fn is_open_or_pinned(&self) -> bool {
        self.lifespan.pinned || self.standing().is_routable()
    }

    /// Other clocks count from now on.
    pub(super) fn set_expiry(&mut self, expiry: Arc<Expiry>) {
        self.lifespan.expiry = expiry;
        self.reconsider();
    }

    /// Whether it never ends by itself, from now on.
    pub(super) fn set_pinned(&mut self, pinned: bool) {
        self.lifespan.pinned = pinned;
        self.reconsider();
    }
}

//! The leases of a slot: asked for, told of, and handed over to the slot that comes after it.

use super::answer::Errand;
use super::{Presence, Slot};
use crate::clock::Now;
use crate::rt::Arc;
use crate::state::{Effect, Input, LeaseAnswer, LeaseEnd, LeaseInfo, LeaseOp};

impl Slot {
    /// Takes, renews or gives back a lease.
    pub(crate) fn lease(self: &Arc<Self>, op: LeaseOp) -> LeaseAnswer {
        let mut errand = Errand::new(self.engine.now());
        self.step(Input::Lease { op }, &mut errand);
        let effects = &mut errand.effects;
        let place = effects.iter().position(|it| matches!(it, Effect::Leased { .. }));
        let answer = match place.map(|place| effects.remove(place)) {
            Some(Effect::Leased { answer }) => answer,
            Some(_) | None => LeaseAnswer::Over,
        };
        self.finish(&mut errand);
        answer
    }

    /// The leases that stand at `now`.
    pub(crate) fn leases(&self, now: Now) -> Vec<LeaseInfo> {
        self.state.lock().leases(now.moment).cloned().collect()
    }

    /// How many have not been told to be over.
    pub(crate) fn lease_count(&self) -> usize {
        self.state.lock().lease_count()
    }

    /// Where leases of this life may be: here, where it is loaded by now, and where it was left.
    pub(crate) fn lease_holders(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let mut holders = vec![self.clone()];
        if self.presence() == Presence::Live {
            return holders;
        }
        let Some(house) = self.house() else { return holders };
        let loaded = || house.loaded(&self.id, self.incarnation);
        // What was left and taken over while this looks is found where it is by then.
        let found = loaded().into_iter().chain(house.left(&self.id, self.incarnation));
        for slot in found.chain(loaded()).collect::<Vec<_>>() {
            if !holders.iter().any(|there| Arc::ptr_eq(there, &slot)) {
                holders.push(slot);
            }
        }
        holders
    }

    /// Takes over the leases of `old`, a slot of the same life that was left.
    pub(crate) fn inherit(self: &Arc<Self>, old: &Self) {
        let mut errand = Errand::new(self.engine.now());
        // Both locks at once, this one first: nobody finds a lease in neither. A slot inherits from older
        // ones alone, so nobody waits in a circle.
        let state = self.state.lock();
        let Some(leases) = old.state.lock().bequeath() else { return };
        self.step_locked(state, Input::Inherit { leases }, &mut errand);
        self.finish(&mut errand);
    }

    /// A lease was taken.
    pub(super) fn lease_taken(&self, lease: &LeaseInfo) {
        let LeaseInfo { number, name, purpose, until, .. } = lease;
        self.engine.counts.lease_taken();
        tracing::debug!(session = %self.tip(), lease = number, name, purpose, %until,
            from = "free", to = "leased", "a lease is taken");
    }

    /// A lease is over.
    pub(super) fn lease_ended(&self, lease: &LeaseInfo, end: LeaseEnd) {
        let LeaseInfo { number, name, purpose, since, .. } = lease;
        self.engine.counts.lease_ended(end);
        let reason = end.as_str();
        if end == LeaseEnd::Released {
            tracing::debug!(session = %self.tip(), lease = number, name, purpose, %since, reason,
                from = "leased", to = "free", "a lease ends");
        } else {
            tracing::warn!(session = %self.tip(), lease = number, name, purpose, %since, reason,
                from = "leased", to = "free", "a lease ends that was not given back");
        }
    }
}

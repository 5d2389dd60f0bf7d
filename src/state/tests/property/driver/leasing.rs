//! Leases and touches.

use std::time::Duration;

use super::Driver;
use crate::state::tests::Test;
use crate::state::{Effect, Input, LeaseEnd, LeaseKey, LeaseOp, Phase};

impl Driver {
    /// Somebody is there.
    pub(super) fn touch(&mut self) {
        let now = self.now();
        if matches!(self.state.phase, Phase::Live) {
            self.state.note_use(now);
            self.last_work = Some(self.clock);
        }
    }

    /// Something is done with one of a few leases, some of which have names.
    pub(super) fn lease(&mut self, op: u8, which: u8, seconds: u8) {
        let max_age = Duration::from_secs(u64::from(seconds % 6) + 1);
        let name = ["upload", "index"].get(usize::from(which % 4)).map(|name| (*name).to_owned());
        let number = match op % 4 {
            0 | 1 => u64::from(self.port()),
            _ => u64::from(self.port.saturating_sub(u32::from(which))),
        };
        let lease = || name.clone().map_or(LeaseKey::Number(number), LeaseKey::Name);
        let op = match op % 4 {
            0 | 1 => {
                let purpose = "work".to_owned();
                LeaseOp::Take { number, name: name.clone(), purpose, max_age, max: 3 }
            }
            2 => LeaseOp::Renew { lease: lease(), max_age },
            _ => LeaseOp::Release { lease: lease() },
        };
        self.apply(Input::Lease { op });
    }

    /// When a lease has begun or ended by this, if it has.
    pub(super) fn lease_work(&self, effect: &Effect<Test>) -> Option<Duration> {
        if matches!(effect, Effect::LeaseTaken { .. }) {
            return Some(self.clock);
        }
        let Effect::LeaseEnded { end, lease } = effect else { return None };
        match end {
            LeaseEnd::Released => Some(self.clock),
            // Both clocks show the same here.
            LeaseEnd::Expired => Some(Duration::from_millis(lease.until.as_millis())),
            LeaseEnd::Dropped => None,
        }
    }
}

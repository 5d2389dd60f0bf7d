//! Counting leases.

use metrics::{counter, gauge};

use super::Counts;
use crate::state::LeaseEnd;

impl Counts {
    pub(crate) fn lease_taken(&self) {
        self.leases_taken.add();
        counter!("session_leases_taken_total").increment(1);
        gauge!("session_leases").increment(1);
    }

    pub(crate) fn lease_ended(&self, end: LeaseEnd) {
        gauge!("session_leases").decrement(1);
        match end {
            LeaseEnd::Released => {
                self.leases_released.add();
                counter!("session_leases_released_total").increment(1);
            }
            LeaseEnd::Expired => {
                self.leases_expired.add();
                counter!("session_leases_expired_total").increment(1);
            }
            LeaseEnd::Dropped => {
                self.leases_dropped.add();
                counter!("session_leases_dropped_total").increment(1);
            }
        }
    }
}

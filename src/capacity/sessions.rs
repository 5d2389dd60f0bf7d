//! How many sessions there are.
//!
//! The store says it at the start, and it is kept from then on. Where it is not known whether one was created
//! or deleted, the store is asked again, at a moment at which nothing is on its way.

use super::Capacity;
use crate::limit::{Full, Limit};
use crate::rt::{Arc, Ordering};

/// How many sessions are stored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sessions {
    /// How many, as far as is known.
    pub(super) stored: u64,
    /// How many are being created.
    reserved: u64,
    /// Counts changes.
    changes: u64,
    /// Whether it is to be asked.
    doubtful: bool,
}

/// The room for one session that is being created. Dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// Where it belongs; `None` once it is used.
    capacity: Option<Arc<Capacity>>,
}

impl Capacity {
    /// So many are stored at the start.
    pub(crate) fn count_sessions(&self, stored: u64) {
        self.change_sessions(|it| it.stored = stored);
    }

    /// Room for one more session, unless there are as many as may be.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Reservation, Full> {
        let max = self.config.limits.max_sessions as u64;
        let mut sessions = self.sessions.lock();
        let current = sessions.stored + sessions.reserved;
        if max > 0 && current >= max {
            return Err(Full { limit: Limit::Sessions, current, max, retry_after: None });
        }
        sessions.reserved += 1;
        drop(sessions);
        Ok(Reservation { capacity: Some(Arc::clone(self)) })
    }

    /// One session more or less is stored: one was restored, or archived, or deleted.
    pub(crate) fn count_session(&self, more: bool) {
        self.change_sessions(|it| {
            it.stored = if more { it.stored + 1 } else { it.stored.saturating_sub(1) };
        });
    }

    /// It is not known whether a session was created, or is one of those that count.
    pub(crate) fn doubt_sessions(&self) {
        self.change_sessions(|it| it.doubtful = true);
    }

    /// Whether the store is to be asked how many there are; if so, a proof for the answer.
    pub(crate) fn doubts(&self) -> Option<u64> {
        let sessions = self.sessions.lock();
        sessions.doubtful.then_some(sessions.changes)
    }

    /// The store's answer, which counts if nothing has changed since it was asked.
    pub(crate) fn recount(&self, proof: u64, stored: u64) {
        let mut sessions = self.sessions.lock();
        if sessions.changes == proof && sessions.reserved == 0 {
            (sessions.stored, sessions.doubtful) = (stored, false);
            drop(sessions);
            // It may be another number than the one that was told.
            self.moved.store(true, Ordering::Relaxed);
        }
    }

    /// Changes what is known.
    fn change_sessions(&self, change: impl FnOnce(&mut Sessions)) {
        let mut sessions = self.sessions.lock();
        sessions.changes += 1;
        change(&mut sessions);
        drop(sessions);
        self.moved.store(true, Ordering::Relaxed);
    }
}

impl Reservation {
    /// The session is stored.
    pub(crate) fn keep(mut self) {
        if let Some(capacity) = self.capacity.take() {
            capacity.change_sessions(|it| {
                it.reserved = it.reserved.saturating_sub(1);
                it.stored += 1;
            });
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(capacity) = self.capacity.take() {
            capacity.change_sessions(|it| it.reserved = it.reserved.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    // A crowd on a server ended, and its gauge went on to say what was counted before the store was asked.
    #[test]
    fn what_the_store_says_is_told_as_well() {
        let capacity = Capacity::new(&Config::default());
        capacity.count_sessions(7);
        capacity.doubt_sessions();
        let proof = capacity.doubts().expect("it is in doubt");
        capacity.moved.store(false, Ordering::Relaxed);
        capacity.recount(proof, 9);
        assert_eq!(capacity.sessions.lock().stored, 9);
        assert!(capacity.moved.load(Ordering::Relaxed));
        assert_eq!(capacity.doubts(), None);
    }
}

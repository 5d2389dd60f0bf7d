//! What is kept for a time only, in memory: which lives have some of it, by its age.

use std::collections::BTreeSet;

use super::Shared;
use super::life::Life;
use crate::clock::Timestamp;
use crate::id::{Incarnation, SessionId};
use crate::rt::Mutex;
use crate::store::{StoreError, Write};

/// The lives that have something of one kind, the oldest first, once for each thing. A life that is over
/// may still be named.
#[derive(Debug, Default)]
pub(super) struct Aging(Mutex<BTreeSet<Aged>>);

/// One thing: since when, whose, and in which turn or version it came to be.
type Aged = (Timestamp, Incarnation, u64, SessionId);

impl Aging {
    /// Notes that a life has something since `at`.
    fn note(&self, at: Timestamp, number: u64, life: &Life) {
        self.0.lock().insert((at, life.record.incarnation, number, life.record.id.clone()));
    }

    /// Takes out the oldest, if it is as old as `at`.
    fn take_oldest(&self, at: Timestamp) -> Option<(Incarnation, SessionId)> {
        let mut lives = self.0.lock();
        lives.first().filter(|(since, ..)| *since <= at)?;
        lives.pop_first().map(|(_, incarnation, _, id)| (incarnation, id))
    }
}

/// Whether what `write` leaves behind is kept for a time only.
pub(super) fn ages(write: &Write) -> bool {
    match write {
        Write::Begin { extra, .. } => extra.is_some(),
        Write::TakeBack { .. } => true,
        _ => false,
    }
}

impl Shared {
    /// Applies a write, and notes what it leaves behind for a time.
    pub(super) fn apply(&self, life: &mut Life, write: Write) -> Result<(), StoreError> {
        let (revises, asks, at) = match &write {
            Write::Begin { extra: Some(extra), at, .. } => {
                (extra.take_back.is_some(), extra.request.is_some(), *at)
            }
            Write::TakeBack { at, .. } => (true, false, *at),
            _ => (false, false, Timestamp::default()),
        };
        life.apply(write)?;
        if revises {
            self.revisions.note(at, life.record.version, life);
        }
        if asks {
            self.requests.note(at, life.record.generation.get(), life);
        }
        Ok(())
    }

    /// Forgets what `aging` names and is as old as `at`, until there are `limit` of it.
    pub(super) fn forget_aged(&self, aging: &Aging, at: Timestamp, limit: usize) -> usize {
        let revisions = std::ptr::eq(aging, &raw const self.revisions);
        let mut forgotten = 0;
        while forgotten < limit
            && let Some((incarnation, id)) = aging.take_oldest(at)
        {
            // A life that is over has nothing to be forgotten.
            let forgot = self.with_life(&id, incarnation, |life| {
                Ok(if revisions {
                    life.extras.forget_revision(at)
                } else {
                    life.extras.forget_request(at)
                })
            });
            forgotten += usize::from(forgot.unwrap_or_default());
        }
        forgotten
    }
}

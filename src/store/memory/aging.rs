//! What is kept for a time only, in memory: which lives have some of it, by its age.

use std::collections::BTreeSet;

use super::Shared;
use super::extras::Extras;
use super::life::Life;
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, SessionId};
use crate::rt::Mutex;
use crate::store::{StoreError, Write};

/// What lives have of one kind, the oldest first. What was replaced, or was a life's that is over, may still
/// be named.
#[derive(Debug, Default)]
pub(super) struct Aging(Mutex<BTreeSet<Aged>>);

/// One thing: since when, whose, and its number in that life: a revision's, or that of a request's turn.
type Aged = (Timestamp, Incarnation, u64, SessionId);

impl Aging {
    /// Notes that a life has something since `at`.
    fn note(&self, at: Timestamp, number: u64, life: &Life) {
        self.0.lock().insert((at, life.record.incarnation, number, life.record.id.clone()));
    }

    /// Takes out the oldest, if it is as old as `at`.
    fn take_oldest(&self, at: Timestamp) -> Option<Aged> {
        let mut all = self.0.lock();
        all.first().filter(|(since, ..)| *since <= at)?;
        all.pop_first()
    }
}

/// Whether what `write` leaves behind is kept for a time only.
pub(super) const fn ages(write: &Write) -> bool {
    matches!(write, Write::Begin { extra: Some(_), .. } | Write::TakeBack { .. })
}

/// Whether `write` makes a revision, whether it is asked for under a name, and when.
fn aged(write: &Write) -> (bool, bool, Timestamp) {
    if let Write::Begin { extra: Some(extra), at, .. } = write {
        (extra.take_back.is_some(), extra.request.is_some(), *at)
    } else if let Write::TakeBack { at, .. } = write {
        (true, false, *at)
    } else {
        (false, false, Timestamp::default())
    }
}

impl Shared {
    /// Applies a write, and notes what it leaves behind for a time.
    pub(super) fn apply(&self, life: &mut Life, write: Write) -> Result<(), StoreError> {
        let (revises, asks, at) = aged(&write);
        life.apply(write)?;
        if revises {
            self.revisions.note(at, life.record.version, life);
        }
        if asks {
            self.requests.note(at, life.record.generation.get(), life);
        }
        Ok(())
    }

    /// [`Forget::Revisions`].
    ///
    /// [`Forget::Revisions`]: crate::store::Forget::Revisions
    pub(super) fn forget_revisions(&self, at: Timestamp, limit: usize) -> usize {
        self.forget_aged(&self.revisions, at, limit, Extras::forget_revision)
    }

    /// [`Forget::Requests`].
    ///
    /// [`Forget::Requests`]: crate::store::Forget::Requests
    pub(super) fn forget_requests(&self, at: Timestamp, limit: usize) -> usize {
        let forget = |extras: &mut Extras, turn| extras.forget_request(Generation::new(turn));
        self.forget_aged(&self.requests, at, limit, forget)
    }

    /// Has `forget` drop what `aging` names and is as old as `at`, until there are `limit` of it.
    fn forget_aged(
        &self,
        aging: &Aging,
        at: Timestamp,
        limit: usize,
        forget: impl Fn(&mut Extras, u64) -> bool,
    ) -> usize {
        let mut forgotten = 0;
        while forgotten < limit
            && let Some((_, incarnation, number, id)) = aging.take_oldest(at)
        {
            let dropped =
                self.with_life(&id, incarnation, |life| Ok(forget(&mut life.extras, number)));
            // A life that is over has nothing to be forgotten.
            forgotten += usize::from(dropped.unwrap_or_default());
        }
        forgotten
    }
}

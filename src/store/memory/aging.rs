//! What is kept for a time only, in memory: which lives have some of it, by its age.

use std::collections::BTreeSet;

use super::Shared;
use super::extras::Extras;
use super::life::Life;
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, SessionId};
use crate::rt::Mutex;
use crate::store::{ResumeRecord, StoreError, Write};

/// What lives have of one kind, the oldest first. What was replaced, or was a life's that is over, may still
/// be named.
#[derive(Debug)]
pub(super) struct Aging<K = u64>(Mutex<BTreeSet<Aged<K>>>);

/// One thing: since when, whose, and its name in that life: the number of a revision, that of a request's
/// turn, or an outside service.
type Aged<K> = (Timestamp, Incarnation, K, SessionId);

impl<K> Default for Aging<K> {
    fn default() -> Self {
        Self(Mutex::new(BTreeSet::new()))
    }
}

impl<K: Ord> Aging<K> {
    /// Notes that a life has something since `at`.
    fn note(&self, at: Timestamp, name: K, life: &Life) {
        self.0.lock().insert((at, life.record.incarnation, name, life.record.first_id().clone()));
    }

    /// Takes a note back.
    fn unnote(&self, at: Timestamp, name: K, life: &Life) {
        self.0.lock().remove(&(at, life.record.incarnation, name, life.record.first_id().clone()));
    }

    /// Takes out the oldest, if it is as old as `at`.
    fn take_oldest(&self, at: Timestamp) -> Option<Aged<K>> {
        let mut all = self.0.lock();
        all.first().filter(|(since, ..)| *since <= at)?;
        all.pop_first()
    }
}

impl Aging<String> {
    /// Notes that what a life has of `name` since `before` it has since `after`.
    fn renote(&self, name: &str, before: Option<Timestamp>, after: Option<Timestamp>, life: &Life) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.unnote(before, name.to_owned(), life);
        }
        if let Some(after) = after {
            self.note(after, name.to_owned(), life);
        }
    }
}

/// Whether what `write` leaves behind is kept for a time only.
pub(super) const fn ages(write: &Write) -> bool {
    matches!(
        write,
        Write::Begin { extra: Some(_), .. }
            | Write::TakeBack { .. }
            | Write::PutBack { .. }
            | Write::Commit { extra: Some(_), .. }
            | Write::Resume { .. }
    )
}

/// Whether `write` makes a revision, whether it is asked for under a name, and when.
fn aged(write: &Write) -> (bool, bool, Timestamp) {
    if let Write::Begin { extra: Some(extra), at, .. } = write {
        (extra.take_back.is_some(), extra.request.is_some(), *at)
    } else if let Write::TakeBack { at, .. } | Write::PutBack { at, .. } = write {
        (true, false, *at)
    } else {
        (false, false, Timestamp::default())
    }
}

/// The outside services whose handles `write` changes.
fn resumed(write: &Write) -> Vec<String> {
    if let Write::Commit { extra: Some(extra), .. } = write {
        extra.resume.iter().map(|change| change.provider.clone()).collect()
    } else if let Write::Resume { change, .. } = write {
        vec![change.provider.clone()]
    } else {
        Vec::new()
    }
}

/// When the handle of a service was used last, and when one was refused last.
fn ages_of(life: &Life, provider: &str) -> (Option<Timestamp>, Option<Timestamp>) {
    let record = life.extras.resume(provider);
    (record.and_then(ResumeRecord::used_at), record.and_then(ResumeRecord::refused_at))
}

impl Shared {
    /// Applies a write, and notes what it leaves behind for a time.
    pub(super) fn apply(&self, life: &mut Life, write: Write) -> Result<(), StoreError> {
        let (revises, asks, at) = aged(&write);
        let resumed = resumed(&write);
        let before: Vec<_> = resumed.iter().map(|provider| ages_of(life, provider)).collect();
        life.apply(write)?;
        if revises {
            self.revisions.note(at, life.record.version, life);
        }
        if asks {
            self.requests.note(at, life.record.generation.get(), life);
        }
        for (provider, (used, refused)) in resumed.iter().zip(before) {
            let (used_now, refused_now) = ages_of(life, provider);
            self.resume_handles.renote(provider, used, used_now, life);
            self.refused_handles.renote(provider, refused, refused_now, life);
        }
        Ok(())
    }

    /// Takes back what was noted of the handles of a life that is to be over.
    pub(super) fn unnote_resume(&self, life: &Life) {
        for (provider, record) in life.extras.all_resume() {
            self.resume_handles.renote(provider, record.used_at(), None, life);
            self.refused_handles.renote(provider, record.refused_at(), None, life);
        }
    }

    /// [`Forget::Revisions`].
    ///
    /// [`Forget::Revisions`]: crate::store::Forget::Revisions
    pub(super) fn forget_revisions(&self, at: Timestamp, limit: usize) -> usize {
        let forget = |extras: &mut Extras, version: &u64| extras.forget_revision(*version);
        self.forget_aged(&self.revisions, at, limit, forget)
    }

    /// [`Forget::Requests`].
    ///
    /// [`Forget::Requests`]: crate::store::Forget::Requests
    pub(super) fn forget_requests(&self, at: Timestamp, limit: usize) -> usize {
        let forget =
            |extras: &mut Extras, turn: &u64| extras.forget_request(Generation::new(*turn));
        self.forget_aged(&self.requests, at, limit, forget)
    }

    /// [`Forget::ResumeHandles`].
    ///
    /// [`Forget::ResumeHandles`]: crate::store::Forget::ResumeHandles
    pub(super) fn forget_resume_handles(&self, at: Timestamp, limit: usize) -> usize {
        // It may have been used since it was looked up.
        let forget =
            |extras: &mut Extras, provider: &String| extras.forget_resume_handle(provider, at);
        self.forget_aged(&self.resume_handles, at, limit, forget)
    }

    /// [`Forget::RefusedHandles`].
    ///
    /// [`Forget::RefusedHandles`]: crate::store::Forget::RefusedHandles
    pub(super) fn forget_refused_handles(&self, at: Timestamp, limit: usize) -> usize {
        let forget =
            |extras: &mut Extras, provider: &String| extras.forget_refused_handles(provider, at);
        self.forget_aged(&self.refused_handles, at, limit, forget)
    }

    /// Has `forget` drop what `aging` names and is as old as `at`, until there are `limit` of it.
    fn forget_aged<K: Ord>(
        &self,
        aging: &Aging<K>,
        at: Timestamp,
        limit: usize,
        forget: impl Fn(&mut Extras, &K) -> bool,
    ) -> usize {
        let mut forgotten = 0;
        while forgotten < limit
            && let Some((_, incarnation, name, id)) = aging.take_oldest(at)
        {
            let dropped =
                self.with_life(&id, incarnation, |life| Ok(forget(&mut life.extras, &name)));
            // A life that is over has nothing to be forgotten.
            forgotten += usize::from(dropped.unwrap_or_default());
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{Created, NewRecord, ResumeAction, ResumeChange, Store};
    use crate::store::{MemoryStore, resume_digest};
    use crate::tombstone::{GoneReason, Tombstone};

    // I1: a handle that is used again and again, or goes, leaves nothing behind that only a sweep would
    // remove, which there may be none of.
    #[tokio::test]
    async fn a_handle_is_noted_once_and_not_longer_than_it_is_there() {
        let store = MemoryStore::new();
        let at = Timestamp::from_millis;
        let id = SessionId::from_random(1);
        let new = NewRecord::new(id.clone(), at(1));
        let Created::Created(record) = store.create(new).await.unwrap() else { panic!("created") };
        let life = record.incarnation;
        let resume = |provider: &str, action, millis| {
            let change = Box::new(ResumeChange { provider: provider.to_owned(), action });
            store.write(&id, life, Write::Resume { change, at: at(millis) })
        };
        let keep = || ResumeAction::Keep { value: "x".to_owned(), refuse_for: Duration::ZERO };
        let refuse = |value| ResumeAction::Refuse { digest: resume_digest(value) };
        let noted = || {
            let shared = &store.shared;
            (shared.resume_handles.0.lock().len(), shared.refused_handles.0.lock().len())
        };
        for millis in 1..50 {
            resume("cli", keep(), millis).await.unwrap();
            resume("api", keep(), millis).await.unwrap();
            resume("api", refuse("y"), millis).await.unwrap();
        }
        assert_eq!(noted(), (2, 1));
        resume("cli", refuse("x"), 60).await.unwrap();
        assert_eq!(noted(), (1, 2));
        let (reason, until) = (GoneReason::Deleted, at(99));
        let tombstone = Tombstone { incarnation: life, reason, at: at(70), until };
        store.write(&id, life, Write::Delete { tombstone }).await.unwrap();
        assert_eq!(noted(), (0, 0));
    }
}

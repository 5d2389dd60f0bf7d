//! Cutting a transcript off, and what becomes of what was taken out of it.
//!
//! As for a rollback, what is to be done is found out in the store without the session's lock, and done only
//! if nothing has come between.

use super::Session;
use super::error::SessionError;
use super::redo::RolledBack;
use crate::clock::Timestamp;
use crate::entry::{Content, Entry, check_name};
use crate::state::{Change, LeaveReason, Redo, Size};
use crate::store::{FenceReason, Found, Record, Revision, RevisionReason, StoreError, StoredEntry};

/// Entries that were taken back together; what [`Session::revisions`] lists.
#[derive(Debug)]
#[non_exhaustive]
pub struct TakenBack<E> {
    /// The session's version from then on, which is also the number of this revision.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: RevisionReason,
    /// The entries, in order.
    pub entries: Vec<Entry<E>>,
}

/// What a [`Session::restore_revision`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoredRevision {
    /// How many entries came back. They are the last of the transcript, under new numbers.
    pub entries: usize,
    /// How many were taken out to make room for them.
    pub taken_back: usize,
    /// The session's version from then on; if anything was taken out, also the number of the revision that
    /// has it.
    pub version: u64,
}

impl<E: Content> Session<E> {
    /// Cuts the transcript off behind the entry `after_seq`; 0 takes all of it. A turn may be cut in two.
    /// `why` is for people: it is stored, and listed by [`revisions`](Self::revisions). With
    /// `expect_version`, only if the session is at that version.
    ///
    /// What is taken out is kept as a revision for `kept.revisions_for`. If there is nothing behind that
    /// entry, nothing is changed. A turn that runs is in the way: stop it first. Counts as use.
    ///
    /// # Errors
    ///
    /// [`SessionError::Content`] if `why` is empty or longer than `limits.max_name_bytes`;
    /// [`SessionError::Conflict`], [`SessionError::Busy`], and otherwise as [`append`](Self::append). With
    /// any of them nothing was changed, unless the store does not know.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has either done nothing or all of it.
    pub async fn truncate(
        &self,
        after_seq: u64,
        why: &str,
        expect_version: Option<u64>,
    ) -> Result<RolledBack, SessionError> {
        let limits = &self.slot.engine.config.limits;
        check_name(why, limits).map_err(|error| self.refused(error))?;
        let reason = RevisionReason::Truncated { why: why.to_owned() };
        let mut last = None;
        loop {
            let (record, entries) = self.seen_at(expect_version).await?;
            let (before, taken) =
                entries.split_at(entries.partition_point(|entry| entry.seq <= after_seq));
            if taken.is_empty() {
                return Ok(RolledBack { entries: 0, version: record.version });
            }
            // Without the gap, if there is one: the next entry is to follow one that there is.
            let redo = found_in(&record, before.last().map_or(0, |before| before.seq) + 1, taken);
            let change = Change::TakeBack { redo, reason: reason.clone() };
            if let Some(changed) = self.change_unless_moved(change).await? {
                return Ok(RolledBack { entries: taken.len(), version: changed.version });
            }
            self.look_again(redo, &mut last);
        }
    }

    /// What was taken back and is not forgotten, oldest first. Does not count as use.
    ///
    /// # Errors
    ///
    /// As [`entries`](Self::entries).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn revisions(&self) -> Result<Vec<TakenBack<E>>, SessionError> {
        let revisions = self.stored_revisions().await?;
        let slot = self.current();
        let read = |revision: Revision| TakenBack {
            version: revision.version,
            at: revision.at,
            entries: revision.entries.iter().map(|it| Self::decode_entry(&slot, it)).collect(),
            reason: revision.reason,
        };
        Ok(revisions.into_iter().map(read).collect())
    }

    /// Puts the entries of the revision `version` back, in the place of all that stands in the transcript
    /// from where they stood. That is taken out first and becomes a revision of its own, in the same step:
    /// restoring that one undoes this one, and nothing is lost. With `expect_version`, only if the session
    /// is at that version.
    ///
    /// The entries come back at the end, under new numbers, as everything does that is added: a reader that
    /// goes on behind the last number it has seen sees them. The revision is no more then. One that was
    /// taken out before another that goes further back follows on what is left. A turn that runs is in the
    /// way: stop it first. Counts as use.
    ///
    /// # Errors
    ///
    /// [`SessionError::NoRevision`] if there is none of this number, or it has no entries;
    /// [`SessionError::Conflict`], [`SessionError::Busy`], and otherwise as [`append`](Self::append). With
    /// any of them nothing was changed, unless the store does not know.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has either done nothing or all of it.
    pub async fn restore_revision(
        &self,
        version: u64,
        expect_version: Option<u64>,
    ) -> Result<RestoredRevision, SessionError> {
        let mut last = None;
        loop {
            let (record, entries) = self.seen_at(expect_version).await?;
            let revisions = self.stored_revisions().await?;
            let found = revisions.iter().find(|revision| revision.version == version);
            let Some((first, found)) = found.and_then(|it| Some((it.entries.first()?.seq, it)))
            else {
                return Err(self.no_revision(version));
            };
            let (_, taken) = entries.split_at(entries.partition_point(|entry| entry.seq < first));
            let redo = found_in(&record, first, taken);
            let back = size_of(&found.entries);
            let change = Change::PutBack { redo, revision: version, back };
            let (count, taken_back) = (found.entries.len(), taken.len());
            match self.change_unless_moved(change).await {
                Ok(Some(changed)) => {
                    let version = changed.version;
                    return Ok(RestoredRevision { entries: count, taken_back, version });
                }
                Ok(None) => self.look_again(redo, &mut last),
                // Its time was over in this very moment.
                Err(SessionError::Store {
                    source: StoreError::Fenced { reason: FenceReason::NoSuchRevision },
                    ..
                }) => return Err(self.no_revision(version)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Drops the revision `version` before its time, with its entries and with what their turns had said;
    /// answers whether there was one. A turn that runs is not in the way, nor that the session takes no turns.
    /// Does not count as use.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    ///
    /// # Cancel safety
    ///
    /// A dropped future has either done nothing or all of it.
    pub async fn forget_revision(&self, version: u64) -> Result<bool, SessionError> {
        // One that is on its way to the store is one.
        self.current().all_stored().await;
        let revisions = self.stored_revisions().await?;
        if revisions.iter().all(|revision| revision.version != version) {
            return Ok(false);
        }
        self.change(Change::ForgetRevision(version)).await.map(|_| true)
    }

    /// What was taken out, as the store has it.
    async fn stored_revisions(&self) -> Result<Vec<Revision>, SessionError> {
        let slot = &self.slot;
        match slot.engine.store.revisions(&slot.id, slot.incarnation).await {
            Ok(revisions) => Ok(revisions),
            Err(error) => Err(self.read_failed(error).await),
        }
    }

    /// [`Self::seen`], if the session is at the expected version.
    pub(super) async fn seen_at(
        &self,
        expected: Option<u64>,
    ) -> Result<(Record, Vec<StoredEntry>), SessionError> {
        let seen = match self.seen().await {
            Ok(seen) => seen,
            Err(error) => return Err(self.read_failed(error).await),
        };
        let version = seen.0.version;
        match expected.filter(|expected| *expected != version) {
            Some(expected) => {
                let (id, instance) = (self.slot.tip().clone(), self.slot.engine.instance);
                Err(SessionError::Conflict { id, expected, version, instance })
            }
            None => Ok(seen),
        }
    }

    /// The record and all entries, once the store has everything. No turn is open in the record that nobody
    /// holds.
    pub(super) async fn seen(&self) -> Result<(Record, Vec<StoredEntry>), StoreError> {
        let slot = self.current();
        let store = &slot.engine.store;
        // What is on its way to the store may still change what there is.
        slot.all_stored().await;
        let found = match store.look_up(&slot.id, slot.engine.now().wall).await {
            // One that nobody holds would be in the way for ever.
            Ok(Found::Live(record)) if !record.open.is_empty() => self.house.fresh(record).await,
            found => found,
        };
        let record = match found? {
            Found::Live(record) if record.incarnation == slot.incarnation => record,
            Found::Live(_) | Found::Gone(_) | Found::Unknown => {
                return Err(StoreError::fenced(FenceReason::NoSuchLife));
            }
        };
        // All of it: where a turn begins is told by no entry but its first, and there may be any number of
        // others between that and its last.
        let entries = store.entries(&slot.id, slot.incarnation, 0, usize::MAX).await;
        let mut entries = entries?;
        entries.retain(|entry| entry.seq < record.next_seq);
        Ok((record, entries))
    }

    /// It is not as it was seen. Mostly because something has come between; but if the same is seen once more
    /// and is not so either, the store has another state than the copy in memory, and nobody here has
    /// written that. Then the copy is given up, unless something runs in it, and loaded anew.
    pub(super) fn look_again(&self, seen: Redo, last: &mut Option<Redo>) {
        if last.replace(seen) == Some(seen) {
            let (slot, now) = (self.current(), self.slot.engine.now());
            slot.unload(now.moment, LeaveReason::Outdated, now);
        }
    }

    /// What it means to a caller that there is no such revision.
    fn no_revision(&self, version: u64) -> SessionError {
        let (id, instance) = (self.slot.tip().clone(), self.slot.engine.instance);
        SessionError::NoRevision { id, version, instance }
    }
}

/// What is to be taken out from the number `from` on, as seen in `record` and among its entries.
fn found_in(record: &Record, from: u64, taken: &[StoredEntry]) -> Redo {
    let (next_seq, version, open) = (record.next_seq, record.version, !record.open.is_empty());
    Redo { from, next_seq, version, open, taken: size_of(taken) }
}

/// How much entries are.
fn size_of(entries: &[StoredEntry]) -> Size {
    Size::of(entries.iter().map(|entry| entry.payload.len()))
}

//! The ways to a session in memory other than its id, and what concerns them: deleting, forgetting and
//! listing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use super::lanes::Lanes;
use super::{Cell, Entry, Shared};
use crate::clock::Timestamp;
use crate::id::{Incarnation, SessionId};
use crate::key::SessionKey;
use crate::rt::{Arc, HashMap, Ordering};
use crate::store::{RecordFilter, RecordPage, StoreError};
use crate::tombstone::Tombstone;

/// How many records a listing looks at before it lets others in.
const LIST_SLICE: usize = 1_024;

/// The other ways in.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// What each key is bound to.
    pub(super) bindings: HashMap<SessionKey, Incarnation>,
    /// The live sessions, in order of creation.
    pub(super) order: BTreeMap<Incarnation, Arc<Cell>>,
    /// The tombstones that stand, by when they end. An id has one at most.
    pub(super) tombstones: BTreeSet<(Timestamp, SessionId)>,
    /// The latest time at which one was created.
    pub(super) created_last: Timestamp,
    /// By how much one that came after another was created before it, at most: the wall clock was put back.
    pub(super) created_behind: Duration,
    /// Those whose time may be over.
    pub(super) lanes: Lanes,
    /// How many of the live sessions are archived or have ended.
    pub(super) closed: usize,
}

impl Index {
    /// What `key` is bound to, by the id under which that was created.
    pub(super) fn bound_to(&self, key: &SessionKey) -> Option<SessionId> {
        let cell = self.order.get(self.bindings.get(key)?)?;
        Some(cell.life.lock().record.first_id().clone())
    }
}

impl Shared {
    /// [`Write::Delete`](crate::store::Write::Delete).
    pub(super) fn delete(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        tombstone: Tombstone,
    ) -> Result<(), StoreError> {
        let mut index = self.index.lock();
        let (keys, ids, filed, closed) = self.with_life(id, incarnation, |life| {
            life.over = true;
            self.unnote_resume(life);
            let closed = !life.record.standing.is_routable();
            Ok((life.keys(), life.ids(), life.filed.take(), closed))
        })?;
        index.closed -= usize::from(closed);
        for key in keys {
            if index.bindings.get(&key) == Some(&incarnation) {
                index.bindings.remove(&key);
            }
        }
        index.lanes.leave(filed, incarnation);
        index.order.remove(&incarnation);
        for id in ids {
            self.lives.insert(id.clone(), Entry::Gone(Box::new(tombstone)));
            index.tombstones.insert((tombstone.until, id));
        }
        while index.tombstones.len() > self.max_tombstones {
            self.drop_first_to_end(&mut index);
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// [`Forget::Tombstones`](crate::store::Forget::Tombstones).
    pub(super) fn forget_tombstones(&self, now: Timestamp, limit: usize) -> usize {
        let mut index = self.index.lock();
        let mut forgotten = 0;
        while forgotten < limit && index.tombstones.first().is_some_and(|(until, _)| *until <= now)
        {
            self.drop_first_to_end(&mut index);
            forgotten += 1;
        }
        forgotten
    }

    /// Drops the tombstone that ends first.
    fn drop_first_to_end(&self, index: &mut Index) {
        let Some((_, id)) = index.tombstones.pop_first() else { return };
        self.lives.remove_if(&id, |entry| matches!(entry, Entry::Gone(_)));
    }

    /// [`Store::list`](crate::store::Store::list), a slice at a time so that nobody waits for a long one.
    pub(super) fn list(
        &self,
        filter: &RecordFilter,
        after: Option<Incarnation>,
        limit: usize,
    ) -> RecordPage {
        let mut page = RecordPage::default();
        let mut from = after.map_or(Bound::Unbounded, Bound::Excluded);
        loop {
            let slice: Vec<_> = {
                let index = self.index.lock();
                let range = index.order.range((from, Bound::Unbounded));
                range.take(LIST_SLICE).map(|(life, cell)| (*life, cell.clone())).collect()
            };
            let Some((last, _)) = slice.last() else { return page };
            from = Bound::Excluded(*last);
            for (_, cell) in slice {
                // It may be over by now.
                let record = cell.record().filter(|record| filter.matches(record));
                let Some(record) = record else { continue };
                if page.records.len() == limit {
                    page.next = page.records.last().map(|record| record.incarnation);
                    return page;
                }
                page.records.push(record);
            }
        }
    }

    /// Whether the index and the lives agree.
    pub(super) fn check(&self) -> Vec<String> {
        let index = self.index.lock();
        let mut problems = Vec::new();
        for (incarnation, cell) in &index.order {
            let ids = cell.life.lock().ids();
            for id in ids {
                if self.with_life(&id, *incarnation, |_| Ok(())).is_err() {
                    problems.push(format!("session {id}: listed and not there"));
                }
            }
        }
        for (key, incarnation) in &index.bindings {
            if !index.order.contains_key(incarnation) {
                problems.push(format!("key {key}: bound to {incarnation:?}, which is not there"));
            }
        }
        problems
    }
}

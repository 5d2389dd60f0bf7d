//! How those are found whose time may be over.
//!
//! Using a session moves nothing here, as a rule: it stands where it was put, at a time that is too early by
//! then, and is put right when it is looked at. Only what is used while the wall clock shows less than before
//! is put right at once, since nobody would look for it where it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::index::Index;
use super::summary::Summary;
use super::{Life, Shared};
use crate::id::{Incarnation, SessionId};
use crate::rt::Arc;
use crate::store::{Bucket, DueBy, DuePage, DueQuery, Lane, StoreError, Write};

/// How many sessions are looked at together, at least, while those that were used since are put right.
const LOOKS: usize = 1_024;

/// Where a session stands: its lane, and the time that is known there.
pub(super) type Filed = (Arc<Lane>, Bucket);

/// Those whose time may be over, by their lane.
#[derive(Debug, Default)]
pub(super) struct Lanes(BTreeMap<Arc<Lane>, BTreeSet<(Bucket, Incarnation)>>);

impl Lanes {
    /// Puts in a session, if its time can ever be over; answers where it stands.
    pub(super) fn enter(&mut self, record: &Summary) -> Option<Filed> {
        let (lane, bucket) = record.lane()?;
        let known = self.0.get_key_value(&lane).map(|(lane, _)| lane.clone());
        let lane = known.unwrap_or_else(|| Arc::new(lane));
        self.0.entry(lane.clone()).or_default().insert((bucket, record.incarnation));
        Some((lane, bucket))
    }

    /// Takes out a session that stands there.
    pub(super) fn leave(&mut self, filed: Option<Filed>, incarnation: Incarnation) {
        let Some((lane, bucket)) = filed else { return };
        let Some(sessions) = self.0.get_mut(&lane) else { return };
        sessions.remove(&(bucket, incarnation));
        if sessions.is_empty() {
            self.0.remove(&lane);
        }
    }

    /// The lanes in which something stands.
    pub(super) fn names(&self) -> Vec<Lane> {
        self.0.keys().map(|lane| Lane::clone(lane)).collect()
    }

    /// The first of a lane behind `after` and up to `last`.
    fn first(
        &self,
        lane: &Lane,
        after: Option<(Bucket, Incarnation)>,
        last: Bucket,
    ) -> Option<(Bucket, Incarnation)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let first = self.0.get(lane)?.range((from, Bound::Unbounded)).next()?;
        Some(*first).filter(|(bucket, _)| *bucket <= last)
    }
}

impl Index {
    /// Puts a session where it belongs by now.
    fn file(&mut self, life: &mut Life) {
        self.lanes.leave(life.filed.take(), life.record.incarnation);
        life.filed = self.lanes.enter(&life.record);
    }
}

impl Life {
    /// Whether it stands at a later time than that of its last use: the wall clock was put back.
    pub(super) fn stands_too_late(&self) -> bool {
        let belongs = Bucket::of(self.record.last_active_at);
        let too_late = self.filed.as_ref().is_some_and(|(_, stands)| belongs < *stands);
        // The others stand where they were closed.
        too_late && self.record.standing.is_active()
    }
}

/// Whether a write moves a session to another lane, or may.
pub(super) const fn refiles(write: &Write) -> bool {
    matches!(write, Write::Standing { .. } | Write::Patch { .. })
}

impl Shared {
    /// A write that moves a session to another lane, or may.
    pub(super) fn refile(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        write: Write,
    ) -> Result<(), StoreError> {
        let mut index = self.index.lock();
        self.with_life(id, incarnation, |life| {
            index.closed -= usize::from(!life.record.standing.is_routable());
            let applied = life.apply(write);
            index.closed += usize::from(!life.record.standing.is_routable());
            applied?;
            index.file(life);
            Ok(())
        })
    }

    /// Puts a session where it belongs by now, if it is still there.
    #[cold]
    pub(super) fn put_right(&self, id: &SessionId, incarnation: Incarnation) {
        let mut index = self.index.lock();
        let file = |life: &mut Life| {
            index.file(life);
            Ok(())
        };
        // What is gone stands nowhere.
        self.with_life(id, incarnation, file).unwrap_or_default();
    }

    /// [`Store::due`](crate::store::Store::due).
    pub(super) fn due(&self, query: &DueQuery, limit: usize) -> DuePage {
        match query.by {
            DueBy::Rested(last) => self.due_by_rest(query, last, limit),
            DueBy::Created(_) => self.due_by_age(query, limit),
        }
    }

    /// Those that have rested.
    fn due_by_rest(&self, query: &DueQuery, last: Bucket, limit: usize) -> DuePage {
        let (mut page, mut after) = (DuePage::default(), query.after);
        let mut index = self.index.lock();
        let mut looks = 0;
        while let Some(filed) = index.lanes.first(&query.lane, after, last) {
            if page.records.len() == limit || looks > LOOKS.max(limit) {
                page.next = after;
                return page;
            }
            looks += 1;
            let (bucket, incarnation) = filed;
            let cell = index.order.get(&incarnation).cloned();
            let record = cell.and_then(|cell| {
                let mut life = cell.life.lock();
                let there = life.record.lane().is_some_and(|(_, now)| now == bucket);
                if !there {
                    index.file(&mut life);
                }
                there.then(|| life.record())
            });
            after = Some(filed);
            page.records.extend(record);
        }
        page
    }

    /// Those that were created long ago.
    fn due_by_age(&self, query: &DueQuery, limit: usize) -> DuePage {
        let DueBy::Created(at) = query.by else { return DuePage::default() };
        let after = query.after.map(|(_, incarnation)| incarnation);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (index, mut page) = (self.index.lock(), DuePage::default());
        for (_, cell) in index.order.range((from, Bound::Unbounded)) {
            let Some(record) = cell.record() else { continue };
            if record.created_at > at.plus(index.created_behind) {
                break; // And so were all that came later.
            }
            if record.created_at > at {
                continue;
            }
            let Some((lane, bucket)) = record.lane() else { continue };
            if lane != query.lane {
                continue;
            }
            if page.records.len() == limit {
                let last = page.records.last();
                page.next = last.map(|record| (bucket, record.incarnation));
                break;
            }
            page.records.push(record);
        }
        page
    }
}

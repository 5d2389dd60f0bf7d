//! Creating sessions in memory.

use super::index::Index;
use super::keys::Keys;
use super::life::Life;
use super::summary::Summary;
use super::{Cell, Entry, Shared};
use crate::id::{Generation, Incarnation};
use crate::rt::{Arc, Mutex, Ordering};
use crate::standing::Standing;
use crate::store::{Created, NewRecord, Record};

impl Shared {
    /// [`Store::create`](crate::store::Store::create), under the index so that id and key change together.
    pub(super) fn create(&self, new: NewRecord) -> Created {
        let mut index = self.index.lock();
        if let Some(refusal) = self.refuse_create(&index, &new) {
            return refusal;
        }
        let incarnation = Incarnation::new(self.newest.fetch_add(1, Ordering::Relaxed) + 1);
        let key = new.binding.map(|binding| binding.key);
        if let Some(key) = &key {
            index.bindings.insert(key.clone(), incarnation);
        }
        index.created_last = index.created_last.max(new.at);
        index.created_behind = index.created_behind.max(index.created_last.since(new.at));
        let count = new.entries.len() as u64;
        let record = Summary::new(Record {
            id: new.id.clone(),
            former_ids: Vec::new(),
            incarnation,
            key,
            label: new.label,
            created_at: new.at,
            last_active_at: new.at,
            generation: Generation::default(),
            version: 0,
            next_seq: 1,
            entries: 0,
            open: Vec::new(),
            class: new.class,
            standing: Standing::Active,
            expiry: new.expiry,
            pinned: false,
            crashes: 0,
            previous: new.previous,
        });
        let keys = Keys::new(record.key.is_some());
        let filed = index.lanes.enter(&record);
        let data = new.data.into_iter().collect();
        let mut life = Life::new(record, data, keys, filed);
        life.push(new.entries, None, false, new.at);
        debug_assert_eq!(life.record.entries, count);
        let record = life.record();
        let cell = Arc::new(Cell { door: self.door.clone(), life: Mutex::new(life) });
        index.order.insert(incarnation, cell.clone());
        let before = self.lives.insert(new.id.clone(), Entry::Live(cell));
        if let Some(Entry::Gone(tombstone)) = before {
            index.tombstones.remove(&(tombstone.until, new.id));
        }
        Created::Created(record)
    }

    /// Why `new` cannot be created, if it cannot.
    fn refuse_create(&self, index: &Index, new: &NewRecord) -> Option<Created> {
        let by_id = self.lives.with(&new.id, |entry| match entry {
            Some(Entry::Live(_)) => Some(Created::IdTaken),
            Some(Entry::Gone(tombstone)) if !new.allow_reuse && tombstone.until > new.at => {
                Some(Created::IdGone(**tombstone))
            }
            Some(Entry::Gone(_)) | None => None,
        });
        by_id.or_else(|| {
            let binding = new.binding.as_ref()?;
            let bound_to = index.bound_to(&binding.key);
            (bound_to != binding.expected).then_some(Created::KeyMoved { bound_to })
        })
    }
}

//! The store that forgets with the process: for tests and throw-away bots, and the reference that
//! the conformance suite is written against.

mod aging;
mod cell;
mod create;
mod endings;
mod extras;
mod index;
mod keys;
mod lanes;
mod life;
mod names;
mod open;
mod runs;
mod summary;
mod transcript;
mod truncate;

use bytes::Bytes;

use self::aging::Aging;
use self::cell::{Cell, Door};
use self::index::Index;
use self::life::Life;
use self::runs::Runs;
use super::creation::{Binding, Bound, Created, NewRecord};
use super::error::{FenceReason, StoreError};
use super::lane::{DuePage, DueQuery, Lane};
use super::record::{
    BranchRecord, Forget, Found, RecordFilter, RecordPage, RequestRecord, StoredEntry,
    StoredPartial, TurnRecord,
};
use super::resume::ResumeRecord;
use super::revision::Revision;
use super::run::{CleanStop, RunsFound};
use super::write::Write;
use super::{LifeWriter, Store, StoreFuture};
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, InstanceId, SessionId};
use crate::key::SessionKey;
use crate::rt::{self, Arc, AtomicBool, AtomicU64, Mutex, Ordering, ShardedMap};
use crate::tombstone::Tombstone;

/// How many tombstones a [`MemoryStore`] keeps unless it is told otherwise.
const DEFAULT_MAX_TOMBSTONES: usize = 1_000_000;

/// Keeps everything in memory. A clone is another handle to the same store.
///
/// It answers at once, so a turn on it wakes nobody. Nothing of it survives the process.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    /// What the handles share.
    shared: Arc<Shared>,
}

/// What the handles of one store share. Locks are taken in the order index, then a shard of `lives`,
/// then a life, then what ages.
#[derive(Debug)]
struct Shared {
    /// Every id that is live or a tombstone. A life stands under each of its ids.
    lives: ShardedMap<SessionId, Entry>,
    /// What is looked up by something else than the id; held by whoever creates, deletes or lists.
    index: Mutex<Index>,
    /// The newest life's number. Starts at a random place, so that a stream or a cursor of an
    /// earlier process is not taken for one of this.
    newest: AtomicU64,
    /// Which lives have revisions, which are kept for a time.
    revisions: Aging,
    /// Which lives have requests, which are kept for a time.
    requests: Aging,
    /// The runs that were noted.
    runs: Runs,
    /// Which lives have handles of outside services, by their last use.
    resume_handles: Aging<String>,
    /// Which lives have refusals of such handles, by the newest.
    refused_handles: Aging<String>,
    /// The bound of `Index::tombstones`.
    max_tombstones: usize,
    /// Tombstones that were dropped before their time.
    evicted: AtomicU64,
    /// The way back, for its lives. Closed once.
    door: Arc<Door>,
}

/// What stands under an id.
#[derive(Debug)]
enum Entry {
    /// A session.
    Live(Arc<Cell>),
    /// It was deleted.
    Gone(Box<Tombstone>),
}

impl MemoryStore {
    /// An empty store that keeps a million tombstones at most.
    pub fn new() -> Self {
        Self::with_max_tombstones(DEFAULT_MAX_TOMBSTONES)
    }

    /// An empty store that keeps `max_tombstones` at most: beyond that the one that would end first is
    /// dropped early, and counted by [`tombstones_evicted`](Self::tombstones_evicted).
    pub fn with_max_tombstones(max_tombstones: usize) -> Self {
        let start = u64::try_from(rt::random_u128() >> 80).unwrap_or_default();
        Self {
            shared: Arc::new_cyclic(|myself| Shared {
                lives: ShardedMap::new(),
                index: Mutex::new(Index::default()),
                newest: AtomicU64::new(start),
                revisions: Aging::default(),
                requests: Aging::default(),
                runs: Runs::default(),
                resume_handles: Aging::default(),
                refused_handles: Aging::default(),
                max_tombstones,
                evicted: AtomicU64::new(0),
                door: Arc::new(Door { closed: AtomicBool::new(false), shared: myself.clone() }),
            }),
        }
    }

    /// How many tombstones were dropped before their time, because there were too many.
    pub fn tombstones_evicted(&self) -> u64 {
        self.shared.evicted.load(Ordering::Relaxed)
    }

    /// Runs `work` unless the store is closed.
    fn answer<T>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, StoreError>,
    ) -> StoreFuture<Result<T, StoreError>> {
        StoreFuture::ready(if self.shared.door.closed.load(Ordering::Acquire) {
            Err(StoreError::Closed)
        } else {
            work(&self.shared)
        })
    }
}

impl MemoryStore {
    /// What `look` finds in the life that is meant.
    fn read<T>(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        look: impl FnOnce(&Life) -> T,
    ) -> StoreFuture<Result<T, StoreError>> {
        self.answer(|shared| shared.with_life(id, incarnation, |life| Ok(look(life))))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn create(&self, new: NewRecord) -> StoreFuture<Result<Created, StoreError>> {
        self.answer(|shared| Ok(shared.create(new)))
    }

    fn write(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        write: Write,
    ) -> StoreFuture<Result<(), StoreError>> {
        self.answer(|shared| shared.write(id, incarnation, write))
    }

    fn attach(&self, id: &SessionId, incarnation: Incarnation) -> Option<Arc<dyn LifeWriter>> {
        let cell = self.shared.cell(id)?;
        let meant = cell.life.lock().record.incarnation == incarnation;
        if meant { Some(cell) } else { None }
    }

    fn look_up(&self, id: &SessionId, now: Timestamp) -> StoreFuture<Result<Found, StoreError>> {
        self.answer(|shared| {
            Ok(shared.lives.with(id, |entry| match entry {
                Some(Entry::Live(cell)) => Found::Live(cell.life.lock().record()),
                Some(Entry::Gone(tombstone)) if tombstone.until > now => Found::Gone(**tombstone),
                Some(Entry::Gone(_)) | None => Found::Unknown,
            }))
        })
    }

    fn bound_to(&self, key: &SessionKey) -> StoreFuture<Result<Option<SessionId>, StoreError>> {
        self.answer(|shared| Ok(shared.index.lock().bound_to(key)))
    }

    fn bind(
        &self,
        binding: Binding,
        to: Option<(SessionId, Incarnation)>,
    ) -> StoreFuture<Result<Bound, StoreError>> {
        self.answer(|shared| Ok(shared.bind(binding, to)))
    }

    fn keys_of(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<SessionKey>, StoreError>> {
        self.answer(|shared| shared.keys_of(id, incarnation))
    }

    fn entries(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        after: u64,
        limit: usize,
    ) -> StoreFuture<Result<Vec<StoredEntry>, StoreError>> {
        self.read(id, incarnation, |life| life.entries.after(after).take(limit).cloned().collect())
    }

    fn datum(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        name: &str,
    ) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        self.read(id, incarnation, |life| life.data.get(name).cloned())
    }

    fn turn(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<TurnRecord>, StoreError>> {
        self.read(id, incarnation, |life| life.turn(generation))
    }

    fn list(
        &self,
        filter: RecordFilter,
        after: Option<Incarnation>,
        limit: usize,
    ) -> StoreFuture<Result<RecordPage, StoreError>> {
        self.answer(|shared| Ok(shared.list(&filter, after, limit)))
    }

    fn count(&self) -> StoreFuture<Result<u64, StoreError>> {
        self.answer(|shared| {
            let index = shared.index.lock();
            Ok((index.order.len() - index.closed) as u64)
        })
    }

    fn lanes(&self) -> StoreFuture<Result<Vec<Lane>, StoreError>> {
        self.answer(|shared| Ok(shared.index.lock().lanes.names()))
    }

    fn due(&self, query: DueQuery, limit: usize) -> StoreFuture<Result<DuePage, StoreError>> {
        self.answer(|shared| Ok(shared.due(&query, limit)))
    }

    fn partial(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<StoredPartial>, StoreError>> {
        self.read(id, incarnation, |life| life.extras.partial(generation))
    }

    fn request(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        key: &str,
    ) -> StoreFuture<Result<Option<RequestRecord>, StoreError>> {
        self.read(id, incarnation, |life| life.extras.request(key))
    }

    fn branches(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<BranchRecord>, StoreError>> {
        self.read(id, incarnation, |life| life.extras.branches())
    }

    fn revisions(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<Revision>, StoreError>> {
        self.read(id, incarnation, |life| life.extras.revisions())
    }

    fn resume(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        provider: &str,
    ) -> StoreFuture<Result<ResumeRecord, StoreError>> {
        self.read(id, incarnation, |life| life.extras.resume(provider).cloned().unwrap_or_default())
    }

    fn forget(&self, what: Forget, limit: usize) -> StoreFuture<Result<usize, StoreError>> {
        self.answer(|shared| {
            Ok(match what {
                Forget::Tombstones(now) => shared.forget_tombstones(now, limit),
                Forget::Revisions(at) => shared.forget_revisions(at, limit),
                Forget::Requests(at) => shared.forget_requests(at, limit),
                Forget::ResumeHandles(at) => shared.forget_resume_handles(at, limit),
                Forget::RefusedHandles(at) => shared.forget_refused_handles(at, limit),
            })
        })
    }

    fn open_run(
        &self,
        instance: InstanceId,
        at: Timestamp,
    ) -> StoreFuture<Result<RunsFound, StoreError>> {
        self.answer(|shared| Ok(shared.open_run(instance, at)))
    }

    fn close_run(
        &self,
        instance: InstanceId,
        stop: CleanStop,
    ) -> StoreFuture<Result<(), StoreError>> {
        self.answer(|shared| shared.runs.close(instance, stop))
    }

    fn check(&self) -> StoreFuture<Result<Vec<String>, StoreError>> {
        self.answer(|shared| Ok(shared.check()))
    }

    fn close(&self) -> StoreFuture<Result<(), StoreError>> {
        self.shared.door.closed.store(true, Ordering::Release);
        StoreFuture::ready(Ok(()))
    }
}

impl Shared {
    /// [`Store::write`].
    fn write(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        write: Write,
    ) -> Result<(), StoreError> {
        if let Write::Delete { tombstone } = write {
            self.delete(id, incarnation, tombstone)
        } else if let Write::Rotate { to, at } = write {
            self.rotate(id, incarnation, to, at)
        } else if lanes::refiles(&write) {
            self.refile(id, incarnation, write)
        } else {
            let too_late = self.with_life(id, incarnation, |life| {
                self.apply(life, write)?;
                Ok(life.stands_too_late())
            })?;
            if too_late {
                self.put_right(id, incarnation);
            }
            Ok(())
        }
    }

    /// The way to the life that has `id`.
    fn cell(&self, id: &SessionId) -> Option<Arc<Cell>> {
        self.lives.with(id, |entry| match entry {
            Some(Entry::Live(cell)) => Some(cell.clone()),
            Some(Entry::Gone(_)) | None => None,
        })
    }

    /// Runs `work` on the life that is meant, and on no other.
    fn with_life<T>(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        work: impl FnOnce(&mut Life) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.lives.with(id, |entry| match entry {
            Some(Entry::Live(cell)) => {
                let mut life = cell.life.lock();
                if life.record.incarnation == incarnation {
                    work(&mut life)
                } else {
                    Err(StoreError::fenced(FenceReason::NoSuchLife))
                }
            }
            Some(Entry::Gone(_)) | None => Err(StoreError::fenced(FenceReason::NoSuchLife)),
        })
    }
}

#[cfg(test)]
mod tests;

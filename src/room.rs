//! Room in memory: what a loaded session takes, and what it means that there is none.

use std::time::Duration;

use crate::id::InstanceId;
use crate::rt::{AtomicUsize, Ordering};
use crate::store::StoreError;

/// There is no room for another session in memory, and none of those that are loaded can leave: something
/// keeps each. Nothing was changed. Of the kind of a 503: it is the whole supervisor that is full, and what
/// is loaded goes on.
///
/// Told only if `idle.when_full` says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{loaded} sessions are loaded, {bytes} bytes, and none can leave; try again in {retry_after:?}"
)]
#[non_exhaustive]
pub struct NoRoom {
    /// How many sessions are loaded.
    pub loaded: usize,
    /// What they take, in bytes.
    pub bytes: usize,
    /// When it is looked again for sessions that can leave.
    pub retry_after: Duration,
    /// Which run of the process says so.
    pub instance: InstanceId,
}

/// Why a session was not loaded.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// There is no room for it.
    NoRoom(NoRoom),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for LoadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl LoadError {
    /// As a failure of the store, for who is loaded whether there is room or not.
    pub(crate) fn into_store(self) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::NoRoom(no_room) => {
                StoreError::Unavailable { what: no_room.to_string(), source: None }
            }
        }
    }
}

/// Whether a session is loaded though there is no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Only if the settings say so: somebody wants to use it.
    Use,
    /// Always: it is looked at or ended, and is the first to leave.
    Look,
}

/// What a loaded session takes beside its slot, its id and its key: its places in the maps by id and by key, and
/// among the idle ones. Tables of hashes are between a half and seven eighths full.
///
/// `tests/weight.rs` holds it against what the process grows by.
const PLACES: usize = 320;

/// What the actor of a session takes: its task, its ports, its names. Measured in the same way.
pub(crate) const ACTOR: usize = 8 * 1_024;

/// What the loaded sessions take, as far as it is theirs alone: not what their turns have said, and not what a
/// store keeps.
#[derive(Debug, Default)]
pub(crate) struct Occupied(AtomicUsize);

impl Occupied {
    /// How many bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Some more.
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Some less.
    fn sub(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What one slot is counted with, while it is loaded.
#[derive(Debug, Default)]
pub(crate) struct Weight(AtomicUsize);

/// What a slot is counted with that has gone.
const GONE: usize = usize::MAX;

impl Weight {
    /// It is loaded: `slot` bytes, and `names` of its id and its key.
    pub(crate) fn put_on(&self, slot: usize, names: usize, occupied: &Occupied) {
        let bytes = slot + names + PLACES;
        occupied.add(bytes);
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// It has `bytes` more, unless it is not loaded any more. Called once at most.
    pub(crate) fn grow(&self, bytes: usize, occupied: &Occupied) {
        let relaxed = Ordering::Relaxed;
        occupied.add(bytes);
        let grown = |now: usize| (now != GONE).then(|| now + bytes);
        if self.0.fetch_update(relaxed, relaxed, grown).is_err() {
            occupied.sub(bytes);
        }
    }

    /// It is not loaded any more.
    pub(crate) fn take_off(&self, occupied: &Occupied) {
        let before = self.0.swap(GONE, Ordering::Relaxed);
        if before != GONE {
            occupied.sub(before);
        }
    }
}

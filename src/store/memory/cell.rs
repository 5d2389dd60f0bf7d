//! The way to one life in memory that needs no look-up.

use super::life::Life;
use super::{Shared, aging, lanes};
use crate::rt::{Arc, AtomicBool, Mutex, Ordering, Weak};
use crate::store::{FenceReason, LifeWriter, Record, StoreError, Write};

/// One life behind its lock; also the way to it that needs no look-up. Laid out as it is written, as the life.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Cell {
    /// The way back to the store.
    pub(super) door: Arc<Door>,
    /// The life.
    pub(super) life: Mutex<Life>,
}

/// The way back to the store, which all its lives share.
#[derive(Debug)]
pub(super) struct Door {
    /// Whether the store is closed.
    pub(super) closed: AtomicBool,
    /// The store, for what concerns more than a life.
    pub(super) shared: Weak<Shared>,
}

impl Door {
    /// The store, if it is still there.
    fn store(&self) -> Result<Arc<Shared>, StoreError> {
        self.shared.upgrade().ok_or(StoreError::Closed)
    }
}

impl Cell {
    /// The metadata of the life, unless it is over.
    pub(super) fn record(&self) -> Option<Record> {
        let life = self.life.lock();
        (!life.over).then(|| life.record())
    }
}

/// Whether a write concerns more than its life.
const fn concerns_index(write: &Write) -> bool {
    lanes::refiles(write) || matches!(write, Write::Delete { .. } | Write::Rotate { .. })
}

impl LifeWriter for Cell {
    fn write(&self, write: Write) -> Result<(), StoreError> {
        if self.door.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        if concerns_index(&write) {
            let (id, incarnation) = {
                let life = self.life.lock();
                (life.record.id.clone(), life.record.incarnation)
            };
            return self.door.store()?.write(&id, incarnation, write);
        }
        let mut life = self.life.lock();
        if life.over {
            return Err(StoreError::fenced(FenceReason::NoSuchLife));
        }
        if aging::ages(&write) {
            self.door.store()?.apply(&mut life, write)?;
        } else {
            life.apply(write)?;
        }
        if life.stands_too_late() {
            let (id, incarnation) = (life.record.id.clone(), life.record.incarnation);
            drop(life);
            self.door.store()?.put_right(&id, incarnation);
        }
        Ok(())
    }
}

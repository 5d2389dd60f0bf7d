//! The way to one life in memory that needs no look-up.

use super::life::Life;
use super::{Shared, aging, lanes};
use crate::rt::{Arc, AtomicBool, Mutex, Ordering, Weak};
use crate::store::{FenceReason, LifeWriter, StoreError, Write};

/// One life behind its lock; also the way to it that needs no look-up. Laid out as it is written, as the life.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Cell {
    /// Whether the store is closed.
    pub(super) closed: Arc<AtomicBool>,
    /// The store, for what concerns more than the life.
    pub(super) shared: Weak<Shared>,
    /// The life.
    pub(super) life: Mutex<Life>,
}

/// Whether a write concerns more than its life.
const fn concerns_index(write: &Write) -> bool {
    lanes::refiles(write) || matches!(write, Write::Delete { .. } | Write::Rotate { .. })
}

impl LifeWriter for Cell {
    fn write(&self, write: Write) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        if concerns_index(&write) {
            let (id, incarnation) = {
                let life = self.life.lock();
                (life.record.id.clone(), life.record.incarnation)
            };
            let shared = self.shared.upgrade().ok_or(StoreError::Closed)?;
            return shared.write(&id, incarnation, write);
        }
        let mut life = self.life.lock();
        if life.over {
            return Err(StoreError::fenced(FenceReason::NoSuchLife));
        }
        if aging::ages(&write) {
            self.shared.upgrade().ok_or(StoreError::Closed)?.apply(&mut life, write)?;
        } else {
            life.apply(write)?;
        }
        if life.stands_too_late() {
            let (id, incarnation) = (life.record.id.clone(), life.record.incarnation);
            drop(life);
            self.shared.upgrade().ok_or(StoreError::Closed)?.put_right(&id, incarnation);
        }
        Ok(())
    }
}

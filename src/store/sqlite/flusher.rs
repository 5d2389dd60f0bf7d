//! The task that takes what waits to the disk.

use super::Shared;
use crate::rt::Arc;
use crate::store::StoreError;

/// The task that takes the queue to the disk.
pub(super) struct Flusher {
    /// The store.
    shared: Arc<Shared>,
    /// Whether it saw the queue empty, so that another one may have been started since.
    through: bool,
}

impl Flusher {
    /// One that has not begun.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), through: false }
    }

    /// Writes batch by batch until nothing waits.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.shared.queue.take() {
            match &mut *self.shared.writer.lock() {
                Some(owned) => {
                    if let Some(instance) = batch.iter().find_map(|job| job.operation.opens()) {
                        owned.ownership.sign(instance);
                    }
                    match owned.presence.check() {
                        Ok(()) => owned.writer.run(batch, &self.shared.transactions),
                        Err(error) => {
                            batch.into_iter().for_each(|job| job.answer(Err(error.clone())))
                        }
                    }
                }
                None => batch.into_iter().for_each(|job| job.answer(Err(StoreError::Closed))),
            }
        }
        self.through = true;
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        if self.through {
            return;
        }
        // It panicked, or the runtime has shut down and never ran it.
        for job in self.shared.queue.abort() {
            let what = format!("{}: the task that writes has ended", job.operation);
            job.answer(Err(StoreError::Unavailable { what, source: None }));
        }
    }
}

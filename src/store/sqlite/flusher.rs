//! The task that takes what waits to the disk.

use super::Shared;
use super::queue::Job;
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
            let mut writer = self.shared.writer.lock();
            let Some(owned) = &mut *writer else {
                refuse(batch, &StoreError::Closed);
                continue;
            };
            if let Some(instance) = batch.iter().find_map(|job| job.operation.opens()) {
                owned.ownership.sign(instance);
            }
            match owned.presence.check() {
                Ok(()) => owned.writer.run(batch, &self.shared.transactions),
                Err(error) => refuse(batch, &error),
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

/// Answers jobs that are not done.
fn refuse(jobs: Vec<Job>, error: &StoreError) {
    for job in jobs {
        job.answer(Err(error.clone()));
    }
}

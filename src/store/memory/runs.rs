//! The runs of the process, in memory.

use std::collections::VecDeque;

use super::Shared;
use crate::clock::Timestamp;
use crate::id::InstanceId;
use crate::rt::Mutex;
use crate::store::{CleanStop, FenceReason, KEPT_RUNS, RunRecord, RunsFound, StoreError};

/// The runs that were noted, newest first.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<VecDeque<RunRecord>>);

impl Runs {
    /// Notes a run; answers those before it.
    fn open(&self, instance: InstanceId, started_at: Timestamp) -> Vec<RunRecord> {
        let mut runs = self.0.lock();
        runs.truncate(KEPT_RUNS - 1);
        let earlier = runs.iter().copied().collect();
        runs.push_front(RunRecord { instance, started_at, stop: None });
        earlier
    }

    /// [`Store::close_run`](crate::store::Store::close_run).
    pub(super) fn close(&self, instance: InstanceId, stop: CleanStop) -> Result<(), StoreError> {
        match self.0.lock().front_mut() {
            Some(newest) if newest.instance == instance => {
                newest.stop = Some(stop);
                Ok(())
            }
            Some(_) | None => Err(StoreError::fenced(FenceReason::RunOver)),
        }
    }
}

impl Shared {
    /// [`Store::open_run`](crate::store::Store::open_run).
    pub(super) fn open_run(&self, instance: InstanceId, at: Timestamp) -> RunsFound {
        let earlier = self.runs.open(instance, at);
        let sessions = self.index.lock().order.len() as u64;
        RunsFound { earlier, sessions, damaged: Vec::new() }
    }
}

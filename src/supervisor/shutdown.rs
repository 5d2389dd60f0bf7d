//! Ending in good order: refuse, wait, tell, fence, close.

use std::time::Duration;

use super::shared::Shared;
use crate::clock::Moment;
use crate::outcome::CancelReason;
use crate::rt::{self, Arc};
use crate::state::Target;
use crate::store::StoreError;

/// How long the last actors have to end once nothing is left for them to do.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// What a shutdown did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Turns that were told to end because the deadline had come.
    pub told: usize,
    /// Whether everything had ended and was stored before the store was closed.
    pub clean: bool,
    /// How long it took.
    pub took: Duration,
}

/// Ends the supervisor: see [`Supervisor::shutdown`](super::Supervisor::shutdown).
pub(super) async fn shutdown(
    shared: &Arc<Shared>,
    deadline: Duration,
) -> Result<ShutdownReport, StoreError> {
    let engine = &shared.engine;
    let started = engine.now().moment;
    engine.drain();
    for slot in shared.registry.slots() {
        slot.save();
    }
    let mut report = ShutdownReport { clean: true, ..ShutdownReport::default() };
    if !quiet(shared, started.plus(deadline)).await {
        for slot in shared.registry.slots() {
            let grace = engine.config.turns.cancel_grace;
            let (streams, _) = slot.cancel(Target::Everything, CancelReason::Shutdown, grace);
            report.told += streams.len();
        }
        // Alarms fence what does not unwind, so after the grace only the store can be waited for.
        let grace = engine.config.turns.cancel_grace + LAST_WAIT;
        report.clean = quiet(shared, engine.now().moment.plus(grace)).await;
    }
    engine.tasks.close();
    let tasks = rt::timeout(engine.config.turns.cancel_grace, engine.tasks.wait()).await;
    report.clean &= tasks.is_ok();
    engine.over.cancel();
    // What is in flight has been waited for; whoever still hangs in the store is left behind.
    report.clean &= super::actor::stop(shared, LAST_WAIT).await;
    let closed = engine.store.close().await;
    report.took = engine.now().moment.since(started);
    tracing::info!(told = report.told, clean = report.clean, took = ?report.took, "a supervisor ends");
    closed.map(|()| report)
}

/// Waits until nothing runs, waits or is owed to the store, or until `deadline`; whether it is so.
async fn quiet(shared: &Arc<Shared>, deadline: Moment) -> bool {
    loop {
        let stirred = shared.stirred.notified();
        let mut stirred = std::pin::pin!(stirred);
        stirred.as_mut().enable();
        if shared.registry.slots().iter().all(|slot| slot.is_quiet()) {
            return true;
        }
        let left = deadline.since(shared.engine.now().moment);
        if left.is_zero() || rt::timeout(left, stirred).await.is_err() {
            return shared.registry.slots().iter().all(|slot| slot.is_quiet());
        }
    }
}

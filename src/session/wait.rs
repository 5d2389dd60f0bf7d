//! Waiting for what a slot answers, wherever the session is loaded by then.

use super::DeleteOutcome;
use super::error::DeleteError;
use crate::capacity::Permit;
use crate::clock::{Moment, Now};
use crate::room::{LoadError, Need};
use crate::rt::{self, Arc, oneshot};
use crate::slot::Slot;
use crate::slot::answer::{Answered, FromOver};
use crate::slot::hold::Hold;
use crate::slot::house::{House, Reloaded};
use crate::slot::idle::Stay;
use crate::state::{BeginRefusal, BeginRequest, DeleteRefusal, Deletion, Ticket};
use crate::store::StoreError;
use crate::tombstone::{GoneReason, Tombstone};

/// Which life to ask again.
pub(super) enum Again {
    /// This one. It stays loaded until this is dropped, which is to be after it was used.
    Live(Stay),
    /// It is over.
    Gone(Tombstone),
    /// It is over, and not remembered.
    Unknown,
}

/// Asks for a turn at `now` and waits for it, at most as long as its policy says once it has to queue. A
/// `permit` that was waited for is brought along.
pub(super) async fn admitted(
    slot: &Arc<Slot>,
    request: BeginRequest,
    permit: Option<Permit>,
    now: Now,
) -> Result<Hold, BeginRefusal> {
    let (ticket, wait) = (request.ticket, request.policy.wait());
    let (waits, begun) = slot.begin(request, permit, now);
    let mut receiver = match begun {
        Answered::Later(receiver) if waits => receiver,
        begun @ (Answered::Ready(_) | Answered::Later(_)) => return begun.get().await,
    };
    let place = QueuePlace::take(slot, ticket, now.moment);
    let Some(wait) = wait else { return answer(receiver).await };
    if let Ok(answer) = rt::timeout(wait, &mut receiver).await {
        return answer.unwrap_or(Err(BeginRefusal::Draining));
    }
    // From here the answer is near: refused as timed out, or admitted in this very moment.
    drop(place);
    answer(receiver).await
}

/// A place in a session's queue; given up when dropped.
struct QueuePlace<'a> {
    /// The session.
    slot: &'a Arc<Slot>,
    /// Which place.
    ticket: Ticket,
    /// Since when.
    since: Moment,
}

impl<'a> QueuePlace<'a> {
    /// Notes that `ticket` waits.
    fn take(slot: &'a Arc<Slot>, ticket: Ticket, since: Moment) -> Self {
        slot.engine.counts.queued();
        Self { slot, ticket, since }
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        let waited = self.slot.engine.now().moment.since(self.since);
        self.slot.engine.counts.dequeued(waited.as_secs_f64());
        self.slot.leave_queue(self.ticket);
    }
}

/// What comes over a channel from a slot.
pub(crate) async fn answer<T, R: FromOver>(
    receiver: oneshot::Receiver<Result<T, R>>,
) -> Result<T, R> {
    Answered::Later(receiver).get().await
}

/// The slot that holds the same life as `slot` now.
pub(super) async fn again(
    slot: &Arc<Slot>,
    house: &dyn House,
    need: Need,
) -> Result<Again, LoadError> {
    Ok(match house.reload(&slot.id, slot.incarnation, need).await? {
        Reloaded::Live(stay) => Again::Live(stay),
        Reloaded::Gone(tombstone) => Again::Gone(tombstone),
        Reloaded::Unknown => Again::Unknown,
    })
}

/// Deletes what is in `slot`, wherever it is loaded by now.
pub(crate) async fn delete(
    slot: &Arc<Slot>,
    house: &dyn House,
) -> Result<DeleteOutcome, DeleteError> {
    let mut slot = slot.clone();
    let mut _stay = None;
    loop {
        match answer(slot.delete(GoneReason::Deleted)).await {
            Ok(Deletion::Deleted(tombstone)) => return Ok(DeleteOutcome::Deleted(tombstone)),
            Ok(Deletion::AlreadyGone(tombstone)) => {
                return Ok(DeleteOutcome::AlreadyGone(tombstone));
            }
            Err(DeleteRefusal::Store(source)) => {
                return Err(DeleteError { id: slot.tip().clone(), source });
            }
            // Who asks for it gets it, whatever keeps the session.
            Err(DeleteRefusal::Left | DeleteRefusal::Kept) => {}
        }
        // Without waiting where it is loaded: a delete that has failed is to be tried again.
        if let Some(now) = house.loaded(&slot.id, slot.incarnation)
            && !Arc::ptr_eq(&now, &slot)
        {
            slot = now;
            continue;
        }
        let failed = |source| DeleteError { id: slot.tip().clone(), source };
        let now = match again(&slot, house, Need::Look).await.map_err(LoadError::into_store) {
            Err(damaged @ StoreError::Damaged { .. }) => {
                let deleted =
                    house.delete_damaged(&slot.id, slot.incarnation).await.map_err(failed)?;
                return deleted.map(DeleteOutcome::Deleted).ok_or_else(|| failed(damaged));
            }
            now => now.map_err(failed)?,
        };
        slot = match now {
            Again::Live(stay) => {
                let slot = stay.clone();
                _stay = Some(stay);
                slot
            }
            Again::Gone(tombstone) => return Ok(DeleteOutcome::AlreadyGone(tombstone)),
            Again::Unknown => return Ok(DeleteOutcome::Unknown),
        };
    }
}

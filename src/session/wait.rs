//! Waiting for what a slot answers, wherever the session is loaded by then.

use super::DeleteOutcome;
use super::error::DeleteError;
use crate::room::{LoadError, Need};
use crate::rt::{Arc, oneshot};
use crate::slot::Slot;
use crate::slot::answer::{Answered, FromOver};
use crate::slot::house::{House, Reloaded};
use crate::slot::idle::Stay;
use crate::state::{DeleteRefusal, Deletion};
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

/// Deletes what is in `slot`, wherever it is loaded by now, whether whoever asks for it stays or not: what is not in
/// this slot any more is found and deleted by a task.
pub(super) async fn delete_for_good(
    slot: &Arc<Slot>,
    house: &Arc<dyn House>,
) -> Result<DeleteOutcome, DeleteError> {
    if let Some(deleted) = delete_here(slot).await {
        return deleted;
    }
    let (owned, house) = (slot.clone(), house.clone());
    let task = slot.engine.spawner.spawn(async move { delete(&owned, house.as_ref()).await });
    let over = |_| Err(DeleteError { id: slot.tip().clone(), source: StoreError::Closed });
    task.await.unwrap_or_else(over)
}

/// Deletes what is in `slot`; `None` if that is not in it any more.
async fn delete_here(slot: &Arc<Slot>) -> Option<Result<DeleteOutcome, DeleteError>> {
    Some(match answer(slot.delete(GoneReason::Deleted)).await {
        Ok(Deletion::Deleted(tombstone)) => Ok(DeleteOutcome::Deleted(tombstone)),
        Ok(Deletion::AlreadyGone(tombstone)) => Ok(DeleteOutcome::AlreadyGone(tombstone)),
        Err(DeleteRefusal::Store(source)) => Err(DeleteError { id: slot.tip().clone(), source }),
        // Who asks for it gets it, whatever keeps the session.
        Err(DeleteRefusal::Left | DeleteRefusal::Kept) => return None,
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
        if let Some(deleted) = delete_here(&slot).await {
            return deleted;
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

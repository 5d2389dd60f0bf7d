//! Sessions and keys whose rows are damaged: in nobody's way, and left for whoever can repair them.

use super::resolve::Resolved;
use super::shared::Shared;
use crate::id::{Incarnation, SessionId};
use crate::key::SessionKey;
use crate::room::LoadError;
use crate::rt::Arc;
use crate::slot::Slot;
use crate::store::{StoreError, Write};
use crate::tombstone::{GoneReason, Tombstone};

impl Shared {
    /// The session that `key` leads to, what it is bound to, and the session that was deleted on the way since
    /// its time was over, for somebody who binds it anew: a session that is damaged is none, and a binding
    /// that is says nothing. Called under the key's flight.
    pub(super) async fn resolve_to_replace(
        &self,
        key: &SessionKey,
    ) -> Result<(Option<Arc<Slot>>, Option<SessionId>, Option<SessionId>), LoadError> {
        let damage = match self.resolve(key).await {
            Ok(Resolved::Live(slot)) => {
                let id = slot.id.clone();
                return Ok((Some(slot), Some(id), None));
            }
            Ok(Resolved::Nothing { bound_to, ended, .. }) => {
                return Ok((None, bound_to, ended.map(|ended| ended.id)));
            }
            Err(LoadError::Store(StoreError::Damaged { what })) => what,
            Err(error) => return Err(error),
        };
        tracing::warn!(%key, what = damage, "a key is taken off what is damaged");
        match self.engine.store.bound_to(key).await {
            Ok(bound_to) => Ok((None, bound_to, None)),
            Err(StoreError::Damaged { .. }) => Ok((None, None, None)),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the session `id`, which cannot be loaded because its record is damaged, if it is that life of
    /// it; `None` if there is no such record. What can be loaded is not touched.
    pub(super) async fn delete_damaged(
        &self,
        id: &SessionId,
        life: Option<Incarnation>,
    ) -> Result<Option<Tombstone>, StoreError> {
        let _flight = self.id_flights.join(id).await;
        let now = self.engine.now().wall;
        match self.engine.store.look_up(id, now).await {
            Err(StoreError::Damaged { .. }) => {}
            found => return found.map(|_| None),
        }
        let found = self.engine.store.life_of(id).await?;
        let found = found.filter(|found| life.is_none_or(|life| life == *found));
        let Some(incarnation) = found else { return Ok(None) };
        let until = now.plus(self.engine.config.tombstones.keep_for);
        let reason = GoneReason::Deleted;
        let tombstone = Tombstone { incarnation, reason, at: now, until };
        self.engine.store.write(id, incarnation, Write::Delete { tombstone }).await?;
        tracing::info!(session = %id, from = "damaged", to = "gone", "a session is deleted");
        Ok(Some(tombstone))
    }
}

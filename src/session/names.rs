//! What leads to a session: the ids that it is given, and its keys.

use super::Session;
use super::error::SessionError;
use crate::handover::Handover;
use crate::id::{InstanceId, SessionId};
use crate::key::SessionKey;
use crate::slot::house::Claim;
use crate::state::Change;
use crate::tombstone::Tombstone;

/// Why a session was not given an id. It is told by the one that it had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// A session has the id; perhaps this one, which had it before. Nothing was changed.
    #[error("the id {id} is in use")]
    Taken {
        /// The id.
        id: SessionId,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The id was deleted, and its tombstone stands. Nothing was changed.
    #[error("the id {id} was {} at {}", .tombstone.reason, .tombstone.at)]
    Buried {
        /// The id.
        id: SessionId,
        /// When and why.
        tombstone: Tombstone,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The session cannot be changed.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl<E> Session<E> {
    /// Gives the session another id, `to` or a fresh one, by which it is told from then on: after a
    /// compaction, say, that makes of it what another program calls a new session. Answers with that.
    ///
    /// Nothing else changes. It is the same session: a turn that runs goes on and commits, who waits keeps
    /// his place, and keys and data stay. Every id that it had before leads to it as well, so whoever comes
    /// by an old one is in the same queue; a delete leaves a tombstone under each. An id is never given
    /// back or given twice, so there is no chain of ids to follow, and none that could be a circle.
    ///
    /// To the id that it is told by, it changes nothing; so it may be repeated. Counts as use.
    ///
    /// # Errors
    ///
    /// [`RotateError`]. With [`StoreError::OutcomeUnknown`](crate::StoreError::OutcomeUnknown) in it, it may have happened.
    ///
    /// # Cancel safety
    ///
    /// A future that was polled once has handed it over, and dropping it takes nothing back.
    pub async fn rotate(&self, to: Option<SessionId>) -> Result<SessionId, RotateError> {
        // The id is held until the store has answered, whether the caller waits for that or not.
        let session: Session<()> = Session::new(self.slot.clone(), self.house.clone());
        let engine = &self.slot.engine;
        let id = to.unwrap_or_else(|| engine.fresh_id());
        let rotated = async move { session.rotate_to(&id).await.map(|()| id) };
        let rotated = Handover::new(&engine.spawner, rotated).await;
        rotated.map_err(|lost| self.store_failed(lost))?
    }

    /// [`Self::rotate`], to its end.
    async fn rotate_to(&self, to: &SessionId) -> Result<(), RotateError> {
        let instance = self.slot.engine.instance;
        let claim = self.house.claim(to).await;
        let _flight = match claim.map_err(|error| self.store_failed(error))? {
            Claim::Free(flight) => flight,
            Claim::Taken if self.record().await?.id == *to => return Ok(()),
            Claim::Taken => return Err(RotateError::Taken { id: to.clone(), instance }),
            Claim::Gone(tombstone) => {
                return Err(RotateError::Buried { id: to.clone(), tombstone, instance });
            }
        };
        self.change(Change::Rotate(Box::new(to.clone()))).await?;
        Ok(())
    }

    /// Every key that is bound to the session, in the order of their text. A store read: unlike
    /// [`key`](Self::key), which is how it was created.
    ///
    /// # Errors
    ///
    /// [`SessionError`]; never `Content`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn keys(&self) -> Result<Vec<SessionKey>, SessionError> {
        let slot = &self.slot;
        match slot.engine.store.keys_of(&slot.id, slot.incarnation).await {
            Ok(keys) => Ok(keys),
            Err(error) => Err(self.read_failed(error).await),
        }
    }
}

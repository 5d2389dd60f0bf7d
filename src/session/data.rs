//! The small typed data beside a session's entries.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Session;
use super::error::SessionError;
use super::wait::{Again, answer};
use crate::entry::{check_datum_name, check_name, decode, encode};
use crate::slot::idle::Stay;
use crate::state::{Change, ChangeRefusal, Changed};
use crate::store::DataChange;

impl<E> Session<E> {
    /// The datum `name`, if there is one.
    ///
    /// # Errors
    ///
    /// [`SessionError::Content`] if it is not a `T`; otherwise as the store says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SessionError> {
        let slot = &self.slot;
        let found = match slot.engine.store.datum(&slot.id, slot.incarnation, name).await {
            Ok(found) => found,
            Err(error) => return Err(self.read_failed(error).await),
        };
        found.map(|bytes| decode(&bytes)).transpose().map_err(|error| self.refused(error))
    }

    /// Puts `value` under `name`; answers the session's version from then on. Counts as use.
    ///
    /// # Errors
    ///
    /// [`SessionError::Content`] if the value or the name is too large, or the name begins with `_`, which is
    /// reserved; otherwise as for a turn.
    ///
    /// # Cancel safety
    ///
    /// A future that was polled once has handed the change over, and dropping it takes nothing back.
    pub async fn insert(&self, name: &str, value: &impl Serialize) -> Result<u64, SessionError> {
        let max = self.slot.engine.config.limits.max_datum_bytes;
        let value = encode(value, max).map_err(|error| self.refused(error))?;
        self.change_datum(name, Some(value)).await
    }

    /// Removes what is under `name`, if anything is. Otherwise as [`insert`](Self::insert).
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    ///
    /// As [`insert`](Self::insert).
    pub async fn remove(&self, name: &str) -> Result<u64, SessionError> {
        self.change_datum(name, None).await
    }

    /// Sets the line for people that listings show. Counts as no use.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    ///
    /// As [`insert`](Self::insert).
    pub async fn set_label(&self, label: Option<&str>) -> Result<(), SessionError> {
        if let Some(label) = label {
            check_name(label, &self.slot.engine.config.limits)
                .map_err(|error| self.refused(error))?;
        }
        self.change(Change::Label(label.map(str::to_owned))).await.map(|_| ())
    }

    /// Changes one datum.
    async fn change_datum(&self, name: &str, value: Option<Bytes>) -> Result<u64, SessionError> {
        let named = check_datum_name(name, &self.slot.engine.config.limits);
        named.map_err(|error| self.refused(error))?;
        let changes = vec![DataChange { name: name.to_owned(), value }];
        self.change(Change::Data(changes)).await.map(|changed| changed.version)
    }

    /// Changes the session without a turn.
    pub(super) async fn change(&self, change: Change) -> Result<Changed, SessionError> {
        loop {
            // Only what is to be taken back can have moved.
            if let Some(changed) = self.change_unless_moved(change.clone()).await? {
                return Ok(changed);
            }
        }
    }

    /// Changes the session without a turn; `None` if what is to be taken back is not as it was seen.
    pub(super) async fn change_unless_moved(
        &self,
        change: Change,
    ) -> Result<Option<Changed>, SessionError> {
        let mut loaded: Option<Stay> = None;
        loop {
            let slot = loaded.as_deref().unwrap_or(&self.slot);
            let refusal = match answer(slot.change(change.clone())).await {
                Ok(changed) => return Ok(Some(changed)),
                Err(ChangeRefusal::Moved) => return Ok(None),
                Err(ChangeRefusal::Due) => {
                    let id = slot.tip();
                    let expired = self.house.expire(slot).await;
                    expired.map_err(|source| SessionError::Store { id: id.clone(), source })?;
                    continue;
                }
                Err(refusal) => refusal,
            };
            if let ChangeRefusal::TooLong(too_long) = &refusal {
                slot.engine.capacity.rejected(too_long.limit);
            }
            if let Some(error) = SessionError::from_refusal(refusal, slot) {
                return Err(error);
            }
            let (id, instance) = (slot.tip().clone(), slot.engine.instance);
            let again = self.again().await;
            let failed = |error| SessionError::from_load(error, id.clone());
            loaded = match again.map_err(failed)? {
                Again::Live(stay) => Some(stay),
                Again::Gone(tombstone) => {
                    return Err(SessionError::Gone { id, tombstone, instance });
                }
                Again::Unknown => return Err(SessionError::Unknown { id, instance }),
            };
        }
    }
}

//! The names of lives in memory: the keys that are bound to them, and the ids that they are given.

use super::{Entry, Shared};
use crate::clock::Timestamp;
use crate::id::{Incarnation, SessionId};
use crate::key::SessionKey;
use crate::store::{Binding, Bound, FenceReason, StoreError};

impl Shared {
    /// [`Store::bind`](crate::store::Store::bind).
    pub(super) fn bind(&self, binding: Binding, to: Option<(SessionId, Incarnation)>) -> Bound {
        let mut index = self.index.lock();
        let before = index.bindings.get(&binding.key).copied();
        let bound_to = index.bound_to(&binding.key);
        if bound_to != binding.expected {
            return Bound::KeyMoved { bound_to };
        }
        let key = binding.key;
        let life = to.as_ref().map(|(_, incarnation)| *incarnation);
        if let Some((id, incarnation)) = to {
            let routable = self.with_life(&id, incarnation, |life| {
                let standing = life.record.standing;
                if !standing.is_routable() {
                    return Ok(Err(standing));
                }
                life.keys.add(&key, life.record.key.as_ref());
                Ok(Ok(()))
            });
            match routable {
                Ok(Ok(())) => index.bindings.insert(key.clone(), incarnation),
                Ok(Err(standing)) => return Bound::Unroutable { standing },
                Err(_) => return Bound::NoSuchLife,
            };
        } else {
            index.bindings.remove(&key);
        }
        // It may have moved on by a create, and that life be over.
        let before = before.filter(|before| Some(*before) != life);
        if let Some(cell) = before.and_then(|before| index.order.get(&before)) {
            let life = &mut *cell.life.lock();
            life.keys.remove(&key, life.record.key.as_ref());
        }
        Bound::Bound
    }

    /// [`Store::keys_of`](crate::store::Store::keys_of).
    pub(super) fn keys_of(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> Result<Vec<SessionKey>, StoreError> {
        let index = self.index.lock();
        let mut keys = self.with_life(id, incarnation, |life| Ok(life.keys()))?;
        keys.retain(|key| index.bindings.get(key) == Some(&incarnation));
        keys.sort();
        Ok(keys)
    }

    /// [`Write::Rotate`](crate::store::Write::Rotate).
    pub(super) fn rotate(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        to: SessionId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        // Held by whoever creates or deletes, so that nobody takes the id meanwhile.
        let mut index = self.index.lock();
        self.with_life(id, incarnation, |_| Ok(()))?;
        let cell = self.cell(id).ok_or(StoreError::fenced(FenceReason::NoSuchLife))?;
        let is_free = self.lives.with(&to, |entry| match entry {
            Some(Entry::Live(_)) => false,
            Some(Entry::Gone(tombstone)) => tombstone.until <= at,
            None => true,
        });
        if !is_free {
            return Err(StoreError::fenced(FenceReason::IdTaken));
        }
        {
            let mut life = cell.life.lock();
            life.record.rotate(to.clone());
            life.record.last_active_at = at;
        }
        if let Some(Entry::Gone(tombstone)) = self.lives.insert(to.clone(), Entry::Live(cell)) {
            index.tombstones.remove(&(tombstone.until, to));
        }
        Ok(())
    }
}

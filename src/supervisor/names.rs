//! What leads to a session: keys that are bound to it beside the first, and ids that it is given.
//!
//! What races: everything that changes a key has its flight until the store has answered, and is seen through
//! whether its caller waits or not. So nobody reads a binding that is about to change, and a caller who goes
//! away leaves no cached key behind. A delete does not take part: it unbinds in its own transaction, and the
//! compare-and-set finds that out. An id that is to be given is claimed: its flight is held, nothing live
//! and no tombstone has it, until the store has it.

use super::Supervisor;
use super::error::ReadError;
use super::shared::{Located, Shared};
use crate::handover::Handover;
use crate::id::{InstanceId, SessionId};
use crate::key::SessionKey;
use crate::rt::Arc;
use crate::session::Session;
use crate::slot::house::Claim;
use crate::slot::{Presence, Slot};
use crate::standing::Standing;
use crate::store::{Binding, Bound, FenceReason, Found, StoreError};
use crate::tombstone::Tombstone;

/// Why a key was not bound or unbound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The key is bound to another session, and [`Supervisor::rebind`] was not said. Nothing was changed.
    #[error("{key} is bound to session {to}")]
    Taken {
        /// The key.
        key: SessionKey,
        /// What it is bound to.
        to: SessionId,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The session was deleted. Nothing was changed.
    #[error("session {id} was {} at {}", .tombstone.reason, .tombstone.at)]
    Gone {
        /// Which session.
        id: SessionId,
        /// When and why.
        tombstone: Tombstone,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The session does not exist any more, and its tombstone neither. Nothing was changed.
    #[error("session {id} does not exist")]
    Unknown {
        /// Which session.
        id: SessionId,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// No key may lead to the session: it was archived, or has ended, or its time was over. Nothing was changed.
    #[error("session {id} is {standing}")]
    Unroutable {
        /// Which session.
        id: SessionId,
        /// How it stands.
        standing: Standing,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The supervisor has shut down.
    #[error("the supervisor shuts down")]
    Draining {
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The store failed. [`StoreError::OutcomeUnknown`] means that it may have happened.
    #[error("{key} could not be bound")]
    Store {
        /// The key.
        key: SessionKey,
        /// How.
        #[source]
        source: StoreError,
    },
}

/// A change of a key.
enum Change {
    /// Binds it, unless it is bound to another session.
    Bind(Arc<Slot>),
    /// Binds it, whatever it was bound to.
    Rebind(Arc<Slot>),
    /// Unbinds it.
    Unbind,
}

impl Change {
    /// The session that it is to be bound to.
    const fn to(&self) -> Option<&Arc<Slot>> {
        match self {
            Self::Bind(slot) | Self::Rebind(slot) => Some(slot),
            Self::Unbind => None,
        }
    }
}

impl<E> Supervisor<E> {
    /// Binds `key` to `session` as well. A session may have any number of keys, and whoever comes by any of
    /// them comes to the same turns, the same queue and the same limits. Answers with what the key was bound
    /// to before: nothing, or this very session.
    ///
    /// A key is the name of a place, and two sessions in one place are two bots in one chat; so a key that
    /// is bound to another session stays there, and [`rebind`](Self::rebind) is how to say that it is to
    /// move. Does not count as use. A delete of the session unbinds all its keys.
    ///
    /// # Errors
    ///
    /// [`BindError`]; nothing was changed then, unless the store does not know.
    ///
    /// # Cancel safety
    ///
    /// A future that was polled once has handed it over, and dropping it takes nothing back.
    pub async fn bind(
        &self,
        key: &SessionKey,
        session: &Session<E>,
    ) -> Result<Option<SessionId>, BindError> {
        self.change_key(key, Change::Bind(session.slot().clone())).await
    }

    /// Binds `key` to `session`, whatever it was bound to; answers with that. Only the name moves: the other
    /// session is kept, and turns that run in it go on and commit there. ([`reset`](Self::reset) ends them.)
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind); never `Taken`.
    ///
    /// # Cancel safety
    ///
    /// As [`bind`](Self::bind).
    pub async fn rebind(
        &self,
        key: &SessionKey,
        session: &Session<E>,
    ) -> Result<Option<SessionId>, BindError> {
        self.change_key(key, Change::Rebind(session.slot().clone())).await
    }

    /// Binds `key` to nothing; answers with what it was bound to. The session is kept, and turns that run in
    /// it go on. The next open of the key creates a fresh one.
    ///
    /// # Errors
    ///
    /// [`BindError::Store`] or [`BindError::Draining`].
    ///
    /// # Cancel safety
    ///
    /// As [`bind`](Self::bind).
    pub async fn unbind(&self, key: &SessionKey) -> Result<Option<SessionId>, BindError> {
        self.change_key(key, Change::Unbind).await
    }

    /// Every key that is bound to the session `id`, in the order of their text; none, if there is no such
    /// session. Loads nothing and counts as no use.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn keys_of(&self, id: &SessionId) -> Result<Vec<SessionKey>, ReadError> {
        let keys = self.shared.keys_of(id).await;
        keys.map_err(|source| self.read_failed(source))
    }

    /// Changes a key, whether the caller waits for it or not.
    async fn change_key(
        &self,
        key: &SessionKey,
        change: Change,
    ) -> Result<Option<SessionId>, BindError> {
        let (shared, theirs, whose) = (&self.shared, self.shared.clone(), key.clone());
        let changed = async move { theirs.change_key(&whose, &change).await };
        let changed = Handover::new(&shared.engine.spawner, changed).await;
        changed.map_err(|source| shared.bind_failed(key, source))?
    }
}

impl Shared {
    /// Changes a key; answers with what it was bound to.
    async fn change_key(
        &self,
        key: &SessionKey,
        change: &Change,
    ) -> Result<Option<SessionId>, BindError> {
        let instance = self.engine.instance;
        let failed = |source| self.bind_failed(key, source);
        let _flight = self.key_flights.join(key).await;
        if let Some(slot) = change.to() {
            // One whose time is over is out of the way first. One that is being deleted is not waited for: the
            // store says which of the two was first. One that is not loaded stays so.
            if self.is_over(&slot.id).await.map_err(failed)? {
                self.locate(&slot.id).await.map_err(failed)?;
            }
        }
        let before = loop {
            let before = self.engine.store.bound_to(key).await.map_err(failed)?;
            if let (Change::Bind(slot), Some(bound)) = (change, &before)
                && *bound != slot.id
                && let Some(to) = self.leads_to(bound).await.map_err(failed)?
            {
                return Err(BindError::Taken { key: key.clone(), to, instance });
            }
            if change.to().is_none() && before.is_none() {
                break before;
            }
            let binding = Binding { key: key.clone(), expected: before.clone() };
            let to = change.to().map(|slot| (slot.id.clone(), slot.incarnation));
            let bound = self.engine.store.bind(binding, to).await;
            let bound = bound.inspect_err(|_| self.uncache(key)).map_err(failed)?;
            match (bound, change.to()) {
                (Bound::Bound, _) => break before,
                // A delete has unbound it.
                (Bound::KeyMoved { .. }, _) => {}
                (Bound::NoSuchLife, Some(slot)) => return Err(self.life_over(key, slot).await),
                (Bound::Unroutable { standing }, Some(slot)) => {
                    let id = slot.tip().clone();
                    return Err(BindError::Unroutable { id, standing, instance });
                }
                (Bound::NoSuchLife | Bound::Unroutable { .. }, None) => {
                    let what = format!("unbinding {key}: the store asks for a session");
                    return Err(failed(StoreError::Unavailable { what, source: None }));
                }
            }
        };
        self.note_change(key, change.to());
        Ok(match before {
            Some(bound) => Some(self.tip_of(&bound).await),
            None => None,
        })
    }

    /// Whether the time of a session is over, and nobody has ended it.
    async fn is_over(&self, id: &SessionId) -> Result<bool, StoreError> {
        if let Some(slot) = self.loaded(id) {
            return Ok(slot.presence_now() == Presence::Due);
        }
        Ok(match self.read(id).await? {
            Found::Live(record) => {
                self.decide_stored(&record, self.engine.now()).is_due().is_some()
            }
            Found::Gone(_) | Found::Unknown => false,
        })
    }

    /// Brings the cached keys up to a key that has changed. Called under the key's flight.
    fn note_change(&self, key: &SessionKey, to: Option<&Arc<Slot>>) {
        tracing::debug!(%key, session = to.map(|slot| tracing::field::display(slot.tip())),
            "a key is bound");
        self.uncache(key);
        let loaded = to.and_then(|slot| {
            self.loaded(&slot.id).filter(|now| now.incarnation == slot.incarnation)
        });
        if let Some(slot) = loaded {
            self.note(key, &slot);
        }
    }

    /// Has the next one who follows `key` ask the store. Called under the key's flight.
    pub(super) fn uncache(&self, key: &SessionKey) {
        if let Some(slot) = self.keys.remove_if(key, |_| true) {
            slot.forget_key(key);
        }
    }

    /// Notes that `key` leads to `slot`, unless that is over by now. Called under the key's flight.
    pub(super) fn note(&self, key: &SessionKey, slot: &Arc<Slot>) {
        slot.note_key(key);
        if let Some(before) = self.keys.insert(key.clone(), slot.clone())
            && !Arc::ptr_eq(&before, slot)
        {
            before.forget_key(key);
        }
        // A slot takes itself out when it is over, which it may have tried before it was in.
        if matches!(slot.presence(), Presence::Gone(_) | Presence::Left) {
            self.keys.remove_if(key, |there| Arc::ptr_eq(there, slot));
        }
    }

    /// Takes a slot's keys off the loaded ones.
    pub(super) fn forget_keys(&self, slot: &Arc<Slot>) {
        for key in slot.noted_keys() {
            self.keys.remove_if(&key, |there| Arc::ptr_eq(there, slot));
        }
    }

    /// Every key that is bound to the session `id`.
    async fn keys_of(&self, id: &SessionId) -> Result<Vec<SessionKey>, StoreError> {
        let Found::Live(record) = self.read(id).await? else { return Ok(Vec::new()) };
        match self.engine.store.keys_of(id, record.incarnation).await {
            // Deleted in between.
            Err(StoreError::Fenced { reason: FenceReason::NoSuchLife }) => Ok(Vec::new()),
            keys => keys,
        }
    }

    /// The session that a key leads to which is bound to `id`: none, if that is out of the way.
    async fn leads_to(&self, id: &SessionId) -> Result<Option<SessionId>, StoreError> {
        Ok(match self.locate(id).await? {
            Located::Live(slot) => slot.presence().is_routable().then(|| slot.tip().clone()),
            Located::Gone(_) | Located::Unknown => None,
        })
    }

    /// The id that the session is told by which has `id`, as far as that can be found out.
    async fn tip_of(&self, id: &SessionId) -> SessionId {
        if let Some(slot) = self.loaded(id) {
            return slot.tip().clone();
        }
        match self.read(id).await {
            Ok(Found::Live(record)) => record.id,
            Ok(Found::Gone(_) | Found::Unknown) | Err(_) => id.clone(),
        }
    }

    /// Why a key cannot be bound to a session that the store does not have.
    async fn life_over(&self, key: &SessionKey, slot: &Slot) -> BindError {
        let instance = self.engine.instance;
        let id = slot.tip().clone();
        match self.locate(&slot.id).await {
            Ok(Located::Gone(tombstone)) => BindError::Gone { id, tombstone, instance },
            Ok(Located::Live(_) | Located::Unknown) => BindError::Unknown { id, instance },
            Err(source) => self.bind_failed(key, source),
        }
    }

    /// What a store's failure means to whoever binds `key`.
    fn bind_failed(&self, key: &SessionKey, source: StoreError) -> BindError {
        if self.engine.is_over(&source) {
            return BindError::Draining { instance: self.engine.instance };
        }
        self.engine.counts.store_failed("bind");
        BindError::Store { key: key.clone(), source }
    }

    /// The right to give `id` to a session.
    pub(super) async fn claim<'a>(&'a self, id: &'a SessionId) -> Result<Claim<'a>, StoreError> {
        let flight = self.id_flights.join(id).await;
        match self.presence(id) {
            Some((_, Presence::Live | Presence::Due | Presence::Shut(_) | Presence::Closing)) => {
                return Ok(Claim::Taken);
            }
            Some((_, Presence::Gone(tombstone))) => return Ok(Claim::Gone(tombstone)),
            Some((slot, Presence::Left)) => self.registry.remove(&slot),
            None => {}
        }
        // The store goes by the wall clock, and knows nothing of a turn that still runs.
        if let Some(tombstone) = self.grave(id) {
            return Ok(Claim::Gone(tombstone));
        }
        let found = self.read(id).await;
        Ok(match found.inspect_err(|_| self.engine.counts.store_failed("look_up"))? {
            Found::Live(_) => Claim::Taken,
            Found::Gone(tombstone) => Claim::Gone(tombstone),
            Found::Unknown => Claim::Free(flight),
        })
    }
}

//! How limits stand, and having new turns wait.

use super::Supervisor;
use super::shared::Shared;
use crate::capacity::{Permit, Reservation};
use crate::key::SessionKey;
use crate::limit::{Full, LimitStatus, Shortage};
use crate::session::BeginError;

impl<E> Supervisor<E> {
    /// How each limit stands: how much there is, how much there may be, how many wait and how often somebody
    /// was refused. Also those that are not set, with a maximum of 0; those of classes one by one, as far as
    /// they are set. Read one by one, so not of one instant.
    pub fn limits(&self) -> Vec<LimitStatus> {
        self.shared.engine.capacity.statuses()
    }

    /// Has new turns wait, in all sessions, until [`resume`](Self::resume); answers whether they did not
    /// before.
    ///
    /// Turns that run go on to their ends. A begin waits as for a permit, within the same bounds:
    /// `limits.turn_wait`, after which it is told [`BeginError::Paused`], and
    /// `limits.max_waiting_turns`. Everything else works as before: status, listings, cancels, changes,
    /// deletes, sessions that are created. Not remembered over a restart.
    pub fn pause(&self) -> bool {
        let pauses = self.shared.engine.capacity.pause();
        if pauses {
            tracing::info!(from = "running", to = "paused", "a supervisor is paused");
        }
        pauses
    }

    /// Lets turns begin again, first those that wait, in order; answers whether it was paused.
    pub fn resume(&self) -> bool {
        let resumes = self.shared.engine.capacity.resume();
        if resumes {
            tracing::info!(from = "paused", to = "running", "a supervisor goes on");
        }
        resumes
    }

    /// Whether [`pause`](Self::pause) was called, and [`resume`](Self::resume) was not since.
    pub fn is_paused(&self) -> bool {
        self.shared.engine.capacity.is_paused()
    }

    /// Whether new turns begin: it is neither paused nor shutting down. For a readiness probe; a supervisor
    /// that is not ready is alive all the same.
    pub fn is_ready(&self) -> bool {
        !self.is_draining() && !self.is_paused()
    }

    /// A permit for the first turn of a session that would have to be created for `key`; none if there is
    /// one, whose turns ask for themselves.
    pub(super) async fn permit_for(&self, key: &SessionKey) -> Result<Option<Permit>, BeginError> {
        let engine = &self.shared.engine;
        if !engine.capacity.is_gated() {
            return Ok(None);
        }
        let known = self.shared.is_bound(key).await;
        if known.map_err(|source| BeginError::Open { key: key.clone(), source })? {
            return Ok(None);
        }
        let instance = self.instance();
        engine.capacity.acquire(key.platform(), engine).await.map_err(|shortage| match shortage {
            None => BeginError::Draining { instance },
            Some(Shortage::Paused) => BeginError::Paused { instance },
            Some(Shortage::Full(full)) => BeginError::Full { full, instance },
        })
    }
}

impl Shared {
    /// Room for a session, after the store was asked how many there are if that is in doubt.
    pub(super) async fn room(&self) -> Result<Reservation, Full> {
        let capacity = &self.engine.capacity;
        if let Ok(room) = capacity.reserve() {
            return Ok(room);
        }
        self.recount().await;
        capacity.reserve().inspect_err(|full| capacity.rejected(full.limit))
    }

    /// Asks the store how many sessions there are, if that is in doubt.
    pub(super) async fn recount(&self) {
        let (engine, capacity) = (&self.engine, &self.engine.capacity);
        if let Some(proof) = capacity.doubts()
            && let Ok(stored) = engine.store.count().await
        {
            capacity.recount(proof, stored);
        }
    }
}

//! Binding a key to a fresh session.

use super::Supervisor;
use super::error::OpenError;
use super::open::Opened;
use super::seed::{NewSession, Seed};
use super::shared::Shared;
use crate::entry::Content;
use crate::handover::Handover;
use crate::key::SessionKey;
use crate::outcome::CancelReason;
use crate::room::LoadError;
use crate::rt::Arc;
use crate::slot::Slot;
use crate::standing::{Previous, RebindReason};
use crate::state::Target;
use crate::store::Binding;

impl<E: Content> Supervisor<E> {
    /// Binds `key` to a fresh session. The old one is kept, without the key; turns that run in it
    /// are ended over their holder's head, since nobody who writes under the key will see them.
    ///
    /// An old one that is damaged is not in the way. It stays as it is, listings name it, and it can be
    /// [deleted](Self::delete) by its id.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; nothing was changed then, unless the store does not know.
    ///
    /// # Cancel safety
    ///
    /// A future that was polled once has handed it over, and dropping it takes nothing back.
    pub async fn reset(
        &self,
        key: &SessionKey,
        new: NewSession<E>,
    ) -> Result<Opened<E>, OpenError> {
        let shared = &self.shared;
        if shared.engine.is_draining() {
            return Err(OpenError::Draining { instance: self.instance() });
        }
        let seed = self.seed(new, key)?;
        // A caller who goes away must not leave the old session in the cache, nor its turns running.
        let (theirs, whose) = (shared.clone(), key.clone());
        let reset = async move { theirs.reset(&whose, &seed).await };
        let reset = Handover::new(&shared.engine.spawner, reset).await;
        let (slot, previous) =
            reset.map_err(|error| shared.failed(key)(LoadError::Store(error)))??;
        Ok(Opened { session: self.session(slot), created: true, previous })
    }
}

impl Shared {
    /// Binds a key to a fresh session; answers with that and with what the key was bound to.
    async fn reset(
        &self,
        key: &SessionKey,
        seed: &Seed,
    ) -> Result<(Arc<Slot>, Option<Previous>), OpenError> {
        let _flight = self.key_flights.join(key).await;
        let mut before = None;
        loop {
            let resolved = self.resolve_to_replace(key).await;
            let (old, expected, ended) = resolved.map_err(self.failed(key))?;
            let tip = old.as_ref().map(|old| old.tip().clone());
            // One that was deleted meanwhile is not bound any more, and was before.
            before = tip.or_else(|| expected.clone()).or(ended).or(before);
            let previous = before.clone().map(|id| Previous::new(id, RebindReason::Reset));
            let binding = Binding { key: key.clone(), expected };
            let Some(slot) = self.attempt_key(binding, seed, previous.clone()).await? else {
                continue;
            };
            if let Some(old) = old {
                let at_once = std::time::Duration::ZERO;
                // Where it is loaded by now: it may have been left and used since.
                let now = self.loaded(&old.id).filter(|now| now.incarnation == old.incarnation);
                let old = now.unwrap_or(old);
                old.cancel(Target::Everything, CancelReason::Reset, at_once);
            }
            return Ok((slot, previous));
        }
    }
}

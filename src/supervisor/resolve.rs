//! Where a key leads: to a session, or to none any more, and why.

use super::shared::{Located, Shared};
use crate::id::SessionId;
use crate::key::SessionKey;
use crate::room::{LoadError, Need};
use crate::rt::Arc;
use crate::slot::{Presence, Slot};
use crate::standing::{Previous, RebindReason};
use crate::store::StoreError;
use crate::tombstone::{GoneReason, Tombstone};

/// What a key leads to.
pub(super) enum Resolved {
    /// A session.
    Live(Arc<Slot>),
    /// None; what the store says it is bound to, a session that no key leads to, and why; and which one was
    /// deleted on the way, as its time was over.
    Nothing { bound_to: Option<SessionId>, reason: RebindReason, ended: Option<Previous> },
}

impl Shared {
    /// The loaded session that `key` is bound to, if it can be used.
    pub(super) fn bound(&self, key: &SessionKey) -> Option<Arc<Slot>> {
        self.keys.get(key).filter(|slot| slot.presence_now().is_routable())
    }

    /// Whether `key` is bound to a session, as far as one can know without following it.
    pub(super) async fn is_bound(&self, key: &SessionKey) -> Result<bool, StoreError> {
        if self.bound(key).is_some() {
            return Ok(true);
        }
        let bound = self.engine.store.bound_to(key).await;
        bound.inspect_err(|_| self.engine.counts.store_failed("bound_to")).map(|id| id.is_some())
    }

    /// Follows `key`, through the store. Called under the key's flight.
    pub(super) async fn resolve(&self, key: &SessionKey) -> Result<Resolved, LoadError> {
        let mut ended = None;
        if let Some(slot) = self.keys.get(key) {
            // Being deleted, perhaps: then its key is unbound once that is through.
            match self.locate_for(&slot.id, Need::Use).await? {
                Located::Live(now)
                    if now.incarnation == slot.incarnation && now.presence().is_routable() =>
                {
                    self.note(key, &now);
                    return Ok(Resolved::Live(now));
                }
                Located::Gone(Tombstone { reason: GoneReason::Expired(clock), .. }) => {
                    ended = Some(Previous::new(slot.id.clone(), RebindReason::Expired(clock)));
                }
                Located::Live(_) | Located::Gone(_) | Located::Unknown => {}
            }
        }
        let bound = self.engine.store.bound_to(key).await;
        let bound = bound.inspect_err(|_| self.engine.counts.store_failed("bound_to"))?;
        let Some(id) = bound else {
            return Ok(Resolved::Nothing { bound_to: None, reason: RebindReason::Gone, ended });
        };
        let reason = loop {
            let slot = match self.locate_for(&id, Need::Use).await? {
                Located::Live(slot) => slot,
                Located::Gone(tombstone) => break Ok(RebindReason::left_by(tombstone.reason)),
                Located::Unknown => break Ok(RebindReason::Gone),
            };
            let presence = slot.presence();
            if presence.is_routable() {
                break Err(slot);
            }
            if let Presence::Shut(standing) = presence
                && let Some(reason) = RebindReason::of(standing)
                && slot.owes_nothing()
            {
                break Ok(reason);
            }
            // Nobody binds a key anew for what a failing store takes back.
            slot.all_stored().await;
        };
        Ok(match reason {
            Ok(reason) => Resolved::Nothing { bound_to: Some(id), reason, ended },
            Err(slot) => {
                self.note(key, &slot);
                Resolved::Live(slot)
            }
        })
    }
}

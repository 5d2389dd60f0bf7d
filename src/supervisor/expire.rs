//! Ending what is over: one decision, for whoever uses a session, for the pass, and for whoever asks why.
//!
//! What races: a session that is used against the one who found it due. A loaded one is asked under its
//! lock, and asked again after the host's hook; one that is not loaded cannot be used while the flight of
//! its id is held, and the store refuses to end what was used since it was read.

use std::time::Duration;

use super::shared::Shared;
use crate::clock::Now;
use crate::expiry::{Due, ExpiryAction};
use crate::hook::{Candidate, Said};
use crate::metrics::Counts;
use crate::rt::Arc;
use crate::slot::{Presence, Slot};
use crate::standing::{EndReason, ExpiryClock, Standing};
use crate::state::{Change, ChangeRefusal, DeleteRefusal, KeptBy, Verb};
use crate::store::{Record, StoreError};
use crate::tombstone::GoneReason;

/// How long a session is left alone at most that something outside keeps.
const SPARED_FOR: Duration = Duration::from_secs(60);

/// What is to become of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Its time is over.
    Over {
        /// By which clock.
        clock: ExpiryClock,
        /// Since when.
        since: Duration,
        /// What keeps it all the same.
        kept_by: Vec<KeptBy>,
    },
    /// It goes on.
    GoesOn {
        /// The clock by which it will be over first, and in what time.
        next: Option<(ExpiryClock, Duration)>,
        /// What would keep it.
        kept_by: Vec<KeptBy>,
    },
    /// It takes no turns as it is.
    Inactive(Standing),
}

impl Decision {
    /// From what the clocks say of an active session and what keeps it.
    pub(super) fn new(clocks: Due, kept_by: Vec<KeptBy>) -> Self {
        match clocks {
            Due::Over { clock, since } => Self::Over { clock, since, kept_by },
            Due::In { clock, left } => Self::GoesOn { next: Some((clock, left)), kept_by },
            Due::Never => Self::GoesOn { next: None, kept_by },
        }
    }

    /// By which clock it is to be ended, if it is.
    pub(super) fn is_due(&self) -> Option<ExpiryClock> {
        match self {
            Self::Over { clock, kept_by, .. } if kept_by.is_empty() => Some(*clock),
            Self::Over { .. } | Self::GoesOn { .. } | Self::Inactive(_) => None,
        }
    }

    /// Adds what keeps it.
    pub(super) fn keep(&mut self, by: KeptBy) {
        if let Self::Over { kept_by, .. } | Self::GoesOn { kept_by, .. } = self {
            kept_by.push(by);
        }
    }
}

impl Shared {
    /// What is to become of a session that is stored so and not loaded.
    pub(super) fn decide_stored(&self, record: &Record, now: Now) -> Decision {
        if !record.standing.is_active() {
            return Decision::Inactive(record.standing);
        }
        let mut kept_by = Vec::new();
        if record.pinned {
            kept_by.push(KeptBy::Pinned);
        }
        if !record.open.is_empty() {
            kept_by.push(KeptBy::Turn);
        }
        if self.registry.is_leased(record.first_id(), record.incarnation, now) {
            kept_by.push(KeptBy::Leased);
        }
        let clocks = self.engine.expiry(record).due(&self.engine.ages(record, now));
        Decision::new(clocks, kept_by)
    }

    /// What the host says of a session that is due; what keeps it, if something does.
    pub(super) async fn ask_hook(&self, candidate: Candidate) -> Option<KeptBy> {
        let (engine, hook) = (&self.engine, self.engine.hook.as_ref()?);
        let candidate = Arc::new(candidate);
        match hook.keeps(&candidate, &engine.spawner).await {
            Said::Keep => return Some(KeptBy::Hook),
            Said::Failed(failure) => {
                Counts::hook_failed("keeps", failure.as_str());
                return Some(KeptBy::HookFailed);
            }
            Said::End => {}
        }
        None
    }

    /// Gives a session its last rites; whether it can be ended.
    pub(super) async fn last_rites(&self, candidate: Candidate) -> bool {
        let engine = &self.engine;
        let Some(hook) = &engine.hook else { return true };
        let (life, candidate) = (candidate.incarnation, Arc::new(candidate));
        match hook.finalize(&candidate, &engine.spawner).await {
            Ok(()) => {
                self.rites.remove_if(&life, |_| true);
                true
            }
            Err(failure) => {
                Counts::hook_failed("finalize", failure.as_str());
                let most = engine.config.prune.finalize_attempts;
                let failed = self.rites.alter(&life, |failed| {
                    let failed = failed.get_or_insert(0);
                    *failed += 1;
                    *failed
                });
                if failed < most {
                    return false;
                }
                self.rites.remove_if(&life, |_| true);
                Counts::forced();
                tracing::warn!(session = %candidate.id, attempts = failed,
                    "a session ends without its last rites");
                true
            }
        }
    }

    /// Ends the session in `slot` if its time is over and nothing keeps it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it could not be stored; the session is loaded anew then, and still due.
    pub(super) async fn expire(&self, slot: &Arc<Slot>) -> Result<(), StoreError> {
        let Some(candidate) = slot.candidate(self.engine.now()) else { return Ok(()) };
        let kept = self.ask_hook(candidate.clone()).await.is_some();
        if kept || !self.last_rites(candidate).await {
            let every = self.engine.config.prune.every;
            let spared_for = if every.is_zero() { SPARED_FOR } else { every.min(SPARED_FOR) };
            slot.spare(self.engine.now().moment.plus(spared_for));
            return Ok(());
        }
        // Under its lock it is looked again whether it is due.
        match crate::session::answer(slot.change(Change::Stand(Verb::Expire))).await {
            Ok(_) => {}
            Err(ChangeRefusal::Store(error)) => return Err(error),
            // Somebody else was faster, with something that counts more.
            Err(
                ChangeRefusal::Left
                | ChangeRefusal::Gone(_)
                | ChangeRefusal::Closing
                | ChangeRefusal::Shut(_)
                | ChangeRefusal::Due
                | ChangeRefusal::TooLong(_)
                | ChangeRefusal::Busy { .. }
                | ChangeRefusal::Moved,
            ) => return Ok(()),
        }
        let Presence::Shut(Standing::Archived { reason: EndReason::Expired(clock), .. }) =
            slot.presence()
        else {
            return Ok(());
        };
        self.engine.counts.expired(clock);
        if slot.expiry_action() == ExpiryAction::Delete {
            delete(slot, GoneReason::Expired(clock)).await?;
        }
        Ok(())
    }
}

/// Deletes what is in `slot`.
pub(super) async fn delete(slot: &Arc<Slot>, reason: GoneReason) -> Result<(), StoreError> {
    match crate::session::answer(slot.delete(reason)).await {
        Ok(_) | Err(DeleteRefusal::Left) => Ok(()),
        Err(DeleteRefusal::Store(error)) => Err(error),
    }
}

//! Why a session stands as it does, and what is to become of it: the same decision as the pass's.

use std::time::Duration;

use super::Supervisor;
use super::error::ReadError;
use super::expire::Decision;

use crate::expiry::ExpiryAction;
use crate::id::{Incarnation, SessionId};
use crate::standing::{ExpiryClock, Standing};
use crate::state::KeptBy;
use crate::store::{Found, Record};

/// What is to become of a session, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Which.
    pub id: SessionId,
    /// Which of those that have had its id.
    pub incarnation: Incarnation,
    /// Its kind.
    pub class: String,
    /// Whether it takes turns.
    pub standing: Standing,
    /// Whether it is in memory.
    pub loaded: bool,
    /// What is to become of it.
    pub fate: Fate,
    /// What keeps it, or would.
    pub kept_by: Vec<KeptBy>,
    /// What becomes of it when its time is over.
    pub action: ExpiryAction,
}

/// What is to become of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// Its time is over, and whoever comes next ends it: its user, or the pass.
    Ends {
        /// By which clock.
        clock: ExpiryClock,
        /// Since when.
        since: Duration,
    },
    /// Its time is over, and something keeps it.
    Kept {
        /// By which clock.
        clock: ExpiryClock,
        /// Since when.
        since: Duration,
    },
    /// Its time will be over.
    GoesOn {
        /// By which clock first.
        clock: ExpiryClock,
        /// In what time, if it is not used before.
        left: Duration,
    },
    /// It goes on for ever: no clock counts for it.
    Stays,
    /// It takes no turns, as its standing says.
    Inactive,
}

impl<E> Supervisor<E> {
    /// What is to become of the session `id`, and why: what [`prune`](Self::prune) would decide at this
    /// moment. `None` if there is no such session. Loads nothing, counts as no use; the host's
    /// [`PruneHook`](crate::PruneHook) is asked if the session's time is over.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn explain(&self, id: &SessionId) -> Result<Option<Explanation>, ReadError> {
        let found = self.shared.read(id).await.map_err(|source| self.read_failed(source))?;
        let Found::Live(record) = found else { return Ok(None) };
        Ok(Some(self.explain_record(record).await))
    }

    /// [`explain`](Self::explain), for what is stored so.
    async fn explain_record(&self, record: Record) -> Explanation {
        let shared = &self.shared;
        let mut decision = shared.decide(&record, shared.engine.now());
        if let Some(clock) = decision.is_due()
            && let Some(by) = shared.would_keep(shared.candidate(&record, clock)).await
        {
            decision.keep(by);
        }
        let loaded = shared.loaded(&record.id);
        let (standing, fate, kept_by) = match decision {
            Decision::Over { clock, since, kept_by } if kept_by.is_empty() => {
                (Standing::Active, Fate::Ends { clock, since }, kept_by)
            }
            Decision::Over { clock, since, kept_by } => {
                (Standing::Active, Fate::Kept { clock, since }, kept_by)
            }
            Decision::GoesOn { next: Some((clock, left)), kept_by } => {
                (Standing::Active, Fate::GoesOn { clock, left }, kept_by)
            }
            Decision::GoesOn { next: None, kept_by } => (Standing::Active, Fate::Stays, kept_by),
            Decision::Inactive(standing) => (standing, Fate::Inactive, Vec::new()),
        };
        let action = match &loaded {
            Some(slot) => slot.expiry_action(),
            None => shared.engine.expiry(&record).action,
        };
        Explanation {
            class: record.class_name().to_owned(),
            id: record.id,
            incarnation: record.incarnation,
            standing,
            loaded: loaded.is_some(),
            fate,
            kept_by,
            action,
        }
    }
}

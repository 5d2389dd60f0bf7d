//! Asking a loaded session whether its time is over.

use super::Slot;
use crate::clock::{Moment, Now};
use crate::expiry::{Due, ExpiryAction, ExpiryRules};
use crate::hook::Candidate;
use crate::rt::Arc;
use crate::standing::Standing;
use crate::state::KeptBy;

/// What is known of a loaded session's end.
#[derive(Clone, Debug)]
pub(crate) struct Outlook {
    /// Whether it takes turns.
    pub(crate) standing: Standing,
    /// What the clocks say.
    pub(crate) clocks: Due,
    /// What keeps it.
    pub(crate) kept_by: Vec<KeptBy>,
}

impl Slot {
    /// What is known of its end at `now`.
    pub(crate) fn outlook(&self, now: Now) -> Outlook {
        let mut state = self.state.lock();
        self.note_touch(&mut state, || now);
        Outlook {
            standing: state.standing(),
            clocks: state.clocks(now.moment),
            kept_by: state.kept_from_expiry(now.moment).collect(),
        }
    }

    /// What the host is asked about it, if it is due at `now`.
    pub(crate) fn candidate(&self, now: Now) -> Option<Candidate> {
        let (clock, last_active_at) = {
            let mut state = self.state.lock();
            self.note_touch(&mut state, || now);
            (state.due(now)?, state.last_active_at())
        };
        Some(Candidate {
            id: self.tip().clone(),
            incarnation: self.incarnation,
            key: self.key.clone(),
            class: self.class_name().to_owned(),
            last_active_at,
            clock,
        })
    }

    /// What becomes of it when its time is over.
    pub(crate) fn expiry_action(&self) -> ExpiryAction {
        self.state.lock().expiry_action()
    }

    /// It is not due before `until`: somebody outside keeps it.
    pub(crate) fn spare(&self, until: Moment) {
        self.state.lock().spare(until);
    }

    /// The clocks of a session like this with rules of its own.
    pub(crate) fn expiry_with(&self, own: Option<&ExpiryRules>) -> Arc<crate::expiry::Expiry> {
        self.engine.expiry_of(self.class_name(), own)
    }
}

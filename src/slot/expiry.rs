//! Asking a loaded session whether its time is over.

use super::Slot;
use super::answer::Errand;
use crate::clock::{Moment, Now, Timestamp};
use crate::expiry::{Due, ExpiryAction, ExpiryRules};
use crate::hook::Candidate;
use crate::rt::{Arc, oneshot};
use crate::standing::{ExpiryClock, Standing};
use crate::state::{Change, ChangeRefusal, Changed, Effect, Input, KeptBy, Phase, Verb};
use crate::tombstone::GoneReason;

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

/// Brings what the store says to a change.
type Stored = oneshot::Receiver<Result<Changed, ChangeRefusal>>;

impl Slot {
    /// What is known of its end at `now`.
    pub(crate) fn outlook(&self, now: Now) -> Outlook {
        let mut state = self.state.lock();
        self.note_touch(&mut state, now);
        Outlook {
            standing: state.standing(),
            clocks: state.clocks(now),
            kept_by: state.kept_from_expiry(now.moment).collect(),
        }
    }

    /// What the host is asked about it, if it is due at `now`.
    pub(crate) fn candidate(&self, now: Now) -> Option<Candidate> {
        let (clock, last_active_at) = {
            let mut state = self.state.lock();
            self.note_touch(&mut state, now);
            (state.due(now)?, state.last_use(now).wall)
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

    /// When it was last used.
    pub(crate) fn last_use(&self, now: Now) -> Timestamp {
        let mut state = self.state.lock();
        self.note_touch(&mut state, now);
        state.last_use(now).wall
    }

    /// What becomes of it when its time is over.
    pub(crate) fn expiry_action(&self) -> ExpiryAction {
        self.state.lock().expiry_action()
    }

    /// Ends it if its time is over and nothing keeps it; by which clock, if this call did it, and whether it is
    /// to be deleted. The answer comes when the store has it, also to one that came second.
    pub(crate) fn expire(self: &Arc<Self>) -> (Option<(ExpiryClock, bool)>, Stored) {
        let (port, answer) = oneshot::channel();
        let mut errand = Errand::new(self.engine.now());
        let change = Change::Stand(Verb::Expire);
        self.step(Input::Change { change, port }, &mut errand);
        let clock = errand.effects.iter().find_map(|effect| {
            let Effect::Stands { standing, .. } = effect else { return None };
            standing.expired()
        });
        self.finish(&mut errand);
        (clock, answer)
    }

    /// It is not due before `until`: somebody outside keeps it.
    pub(crate) fn spare(&self, until: Moment) {
        self.state.lock().spare(until);
    }

    /// Nobody spares it any more.
    pub(crate) fn reconsider(&self) {
        self.state.lock().reconsider();
    }

    /// Why it is being deleted, if it is, and by nobody who would try again.
    pub(crate) fn deletes_itself(&self) -> Option<GoneReason> {
        let reason = match self.state.lock().phase() {
            Phase::Closing(closing) => closing.tombstone.reason,
            Phase::Live | Phase::Shut(_) | Phase::Gone(_) | Phase::Left => return None,
        };
        (reason != GoneReason::Deleted).then_some(reason)
    }

    /// Whether the store has everything that was decided.
    pub(crate) fn owes_nothing(&self) -> bool {
        self.state.lock().owes_nothing()
    }

    /// The clocks of a session like this with rules of its own.
    pub(crate) fn expiry_with(&self, own: Option<&ExpiryRules>) -> Arc<crate::expiry::Expiry> {
        self.engine.expiry_of(self.class_name(), own)
    }
}

//! Leaving memory: what counts as use, and what keeps a session loaded.
//!
//! Idle counts from the end of the last work: a turn that is admitted or over, a change, and the store's
//! answer to what was written of them. Reads, refusals, cancels, looks and the repair of a turn that nobody
//! holds are no use.
//!
//! A session is unloaded only with nothing open and nothing unwritten, so nothing is written for it and
//! nothing is lost: what the next load reads is what is here. What races is decided by the lock. Whatever
//! comes first keeps the session; whatever comes second finds a state that was left, and asks the one that
//! is loaded for it.

use std::time::Duration;

use super::{Effect, Phase, Ports, SessionState, Step};
use crate::clock::{Moment, Now};

/// What keeps a session in memory, or from expiring, however long it has not been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeptBy {
    /// It is being deleted.
    Closing,
    /// A turn runs.
    Turn,
    /// Begins wait.
    Waiting,
    /// The store has not answered a write.
    Unwritten,
    /// A turn was ended over its holder's head, and the holder has not noticed yet: the loaded session is
    /// what refuses it.
    Fenced,
    /// Somebody is about to use it. It does not keep a session from expiring, only in memory.
    Guest,
    /// It is pinned: it never expires. That does not keep it in memory.
    Pinned,
    /// Somebody opens, loads or creates it. That is no state of a loaded session.
    Starting,
    /// A [`PruneHook`](crate::PruneHook) says so.
    Hook,
    /// A [`PruneHook`](crate::PruneHook) failed, or did not answer in time.
    HookFailed,
}

/// Why a session left memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaveReason {
    /// It was not used for long.
    Idle,
    /// There were too many.
    Cap,
    /// A write failed.
    StoreFailed,
}

impl LeaveReason {
    /// As a label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Cap => "cap",
            Self::StoreFailed => "store_failed",
        }
    }
}

impl<P: Ports> SessionState<P> {
    /// Notes that the session is used.
    pub(super) fn touch(&mut self, now: Now) {
        self.last_active_at = now.wall;
        self.used_at = now.moment;
    }

    /// What keeps it in memory.
    pub(super) fn keepers(&self) -> impl Iterator<Item = KeptBy> {
        let keepers = [
            (KeptBy::Closing, matches!(self.phase, Phase::Closing(_))),
            (KeptBy::Turn, !self.turns.is_empty()),
            (KeptBy::Waiting, !self.queue.is_empty() || !self.echoes.is_empty()),
            (KeptBy::Unwritten, !self.outbox.is_empty()),
            (KeptBy::Fenced, !self.fenced.is_empty()),
            (KeptBy::Guest, self.guests > 0),
        ];
        keepers.into_iter().filter_map(|(by, keeps)| keeps.then_some(by))
    }

    /// How long nothing has happened in it; nothing while something keeps it.
    pub(super) fn idle_for(&self, now: Moment) -> Duration {
        let at_rest = self.keepers().next().is_none();
        if at_rest { now.since(self.used_at) } else { Duration::ZERO }
    }

    /// From when on it can be counted as idle, as far as that is known at `now`; `None` if it is over.
    pub(crate) fn idle_since(&self, now: Moment) -> Option<Moment> {
        match self.phase {
            Phase::Gone(_) | Phase::Left => None,
            Phase::Live | Phase::Shut(_) | Phase::Closing(_) => {
                let at_rest = self.keepers().next().is_none();
                Some(if at_rest { self.used_at } else { now })
            }
        }
    }

    /// Leaves memory, unless something keeps it or it was used after `unused_since`.
    pub(super) fn unload(
        &mut self,
        unused_since: Moment,
        reason: LeaveReason,
        step: &mut Step<'_, P>,
    ) {
        let live = matches!(self.phase, Phase::Live | Phase::Shut(_));
        if live && self.keepers().next().is_none() && self.used_at <= unused_since {
            self.left_as = self.standing();
            self.phase = Phase::Left;
            step.effects.push(Effect::Leave { reason });
        }
    }

    /// Somebody is about to use it; answers whether it can be used.
    pub(crate) fn let_in(&mut self) -> bool {
        let live = matches!(self.phase, Phase::Live | Phase::Shut(_));
        self.guests += u32::from(live);
        live
    }

    /// Who was about to use it has, or does not want to any more.
    pub(crate) fn let_out(&mut self) {
        self.guests = self.guests.saturating_sub(1);
    }
}

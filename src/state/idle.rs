//! Leaving memory: what counts as use, and what keeps a session loaded.
//!
//! Idle counts from the end of the last work: a turn that is admitted or over, a change, and the store's
//! answer to what was written of them; a touch; and the begin and the end of a lease. Reads, refusals, cancels,
//! looks and the repair of a turn that nobody holds are no use.
//!
//! A session is unloaded only with nothing open and nothing unwritten, so nothing is lost: what the next load
//! reads is what is here. All that may have to be written for it is when it was used last, if that was by
//! something that leaves no trace in the store; then it leaves with the answer. What races is decided by the lock. Whatever
//! comes first keeps the session; whatever comes second finds a state that was left, and asks the one that
//! is loaded for it.

use std::time::Duration;

use super::{Effect, Pending, Phase, Ports, SessionState, Step};
use crate::clock::{Moment, Now};
use crate::store::{RecordPatch, Write};

/// By how much the wall clock may go ahead from use to use without being taken for one that has jumped.
const AHEAD: Duration = Duration::from_secs(1);

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
    /// Work beside the turns has a lease.
    Leased,
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
    /// The store has another state than it, which nobody here has written.
    Outdated,
}

impl LeaveReason {
    /// As a label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Cap => "cap",
            Self::StoreFailed => "store_failed",
            Self::Outdated => "outdated",
        }
    }
}

impl<P: Ports> SessionState<P> {
    /// Notes that the session is used, by something that is written with this time.
    pub(super) fn touch(&mut self, now: Now) {
        self.find_jump(now);
        self.last_active_at = now.wall;
        self.used_at = now.moment;
        self.unsaved = false;
    }

    /// Notes that it was used at `at`, by something that is not written by itself.
    pub(crate) fn note_use(&mut self, at: Now) {
        // By either clock: the one may jump, and the other begins with the load.
        let known = Now { moment: self.used_at, wall: self.last_active_at };
        let later = at.moment >= known.moment && at != known;
        if later || at.wall > known.wall {
            self.find_jump(at);
            self.used_at = self.used_at.max(at.moment);
            self.last_active_at = at.wall;
            self.unsaved = true;
        }
    }

    /// Its last use is to be `at`: if the wall clock has gone ahead of the other since the one before, a time of
    /// the day is nearer than was known; and if it shows less than then, there may be one in between again.
    fn find_jump(&mut self, at: Now) {
        let (passed, shown) = (at.moment.since(self.used_at), at.wall.since(self.last_active_at));
        if shown > passed + AHEAD || at.wall < self.last_active_at {
            self.reconsider();
        }
    }

    /// When its last work ended, by both clocks, as far as that is known at `now`.
    pub(crate) fn last_use(&self, now: Now) -> Now {
        let known = Now { moment: self.used_at, wall: self.last_active_at };
        self.lease_over(now).filter(|over| over.moment > self.used_at).unwrap_or(known)
    }

    /// What keeps it in memory at `now`.
    pub(super) fn keepers(&self, now: Moment) -> impl Iterator<Item = KeptBy> {
        let keepers = [
            (KeptBy::Closing, matches!(self.phase, Phase::Closing(_))),
            (KeptBy::Turn, !self.turns.is_empty()),
            (KeptBy::Waiting, !self.queue.is_empty() || !self.echoes.is_empty()),
            (KeptBy::Unwritten, !self.outbox.is_empty()),
            (KeptBy::Fenced, !self.fenced.is_empty()),
            (KeptBy::Leased, self.leases(now).next().is_some()),
            (KeptBy::Guest, self.guests > 0),
        ];
        keepers.into_iter().filter_map(|(by, keeps)| keeps.then_some(by))
    }

    /// How long nothing has happened in it; nothing while something keeps it.
    pub(super) fn idle_for(&self, now: Now) -> Duration {
        let at_rest = self.keepers(now.moment).next().is_none();
        if at_rest { now.moment.since(self.last_use(now).moment) } else { Duration::ZERO }
    }

    /// From when on it can be counted as idle, as far as that is known at `now`; `None` if it is over.
    pub(crate) fn idle_since(&self, now: Now) -> Option<Moment> {
        match self.phase {
            Phase::Gone(_) | Phase::Left => None,
            Phase::Live | Phase::Shut(_) | Phase::Closing(_) => {
                let at_rest = self.keepers(now.moment).next().is_none();
                Some(if at_rest { self.last_use(now).moment } else { now.moment })
            }
        }
    }

    /// Leaves memory, unless something keeps it or it was used after `unused_since`; after the store knows of
    /// its last use.
    pub(super) fn unload(
        &mut self,
        unused_since: Moment,
        reason: LeaveReason,
        step: &mut Step<'_, P>,
    ) {
        self.expire_leases(step);
        let leaves = self.may_leave(unused_since, step.now);
        if leaves && !self.unsaved {
            self.leave(reason, step);
        } else if leaves {
            self.save(Some((unused_since, reason)));
        } else if reason == LeaveReason::Idle {
            // So that a crash takes back little.
            self.save(None);
        }
    }

    /// Whether nothing keeps it, and it was not used after `unused_since`.
    fn may_leave(&self, unused_since: Moment, now: Now) -> bool {
        let live = matches!(self.phase, Phase::Live | Phase::Shut(_));
        live && self.keepers(now.moment).next().is_none() && self.used_at <= unused_since
    }

    /// Leaves memory.
    fn leave(&mut self, reason: LeaveReason, step: &mut Step<'_, P>) {
        self.left_as = self.standing();
        self.phase = Phase::Left;
        step.effects.push(Effect::Leave { reason });
    }

    /// Whether what is to be seen is the same at any time, but for how long it has been so.
    pub(crate) fn is_timeless(&self) -> bool {
        self.turns.is_empty() && self.leases.is_none()
    }

    /// Lets the store know of its last use, if it does not.
    pub(super) fn save_now(&mut self, step: &mut Step<'_, P>) {
        self.expire_leases(step);
        self.save(None);
    }

    /// Lets the store know of its last use, if it does not; then it leaves memory, if that is said and still
    /// right.
    pub(super) fn save(&mut self, then_leave: Option<(Moment, LeaveReason)>) {
        let live = matches!(self.phase, Phase::Live | Phase::Shut(_));
        if live && std::mem::take(&mut self.unsaved) {
            let touched_at = Some(self.last_active_at);
            let patch = RecordPatch { touched_at, ..RecordPatch::default() };
            let write = Some(Write::Patch { patch });
            self.outbox.push_back(Pending::Use { write, then_leave });
        }
    }

    /// The store knows of its last use.
    pub(super) fn saved(
        &mut self,
        then_leave: Option<(Moment, LeaveReason)>,
        step: &mut Step<'_, P>,
    ) {
        let leaves = then_leave.filter(|(unused_since, _)| self.may_leave(*unused_since, step.now));
        if let Some((_, reason)) = leaves.filter(|_| !self.unsaved) {
            self.leave(reason, step);
        }
    }

    /// The store does not know of its last use, and was told.
    pub(super) fn not_saved(&mut self) {
        self.unsaved = true;
    }

    /// Whether it may leave memory with the store's next answer.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.outbox.iter().next(), Some(Pending::Use { then_leave: Some(_), .. }))
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

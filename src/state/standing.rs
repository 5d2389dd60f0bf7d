//! Whether the session takes turns: suspended, archived, ended, and back.
//!
//! Whoever suspends, archives or ends a session does not wait for what runs in it: that is fenced, what
//! waits is told, and the store is told of both in this order. What comes later finds the session shut.

use super::pending::Pending;
use super::{
    BeginRefusal, Change, ChangeRefusal, Changed, Effect, Phase, Ports, SessionState, Step,
};
use crate::clock::Now;
use crate::outcome::{CancelReason, TurnOutcome};
use crate::standing::{EndReason, Standing, SuspendReason};
use crate::store::{InputFate, RecordPatch, Write};

/// What is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// It takes no turns for now.
    Suspend(SuspendReason),
    /// It does again.
    Resume,
    /// It is out of the way.
    Archive,
    /// It is back.
    Restore,
    /// It is history.
    End,
    /// If its time is over it is archived, or ended if it is to be deleted; otherwise it is left alone.
    Expire,
}

impl<P: Ports> SessionState<P> {
    /// Whether it takes turns, as far as it is not being deleted or gone; and as it was when it left memory.
    pub(crate) fn standing(&self) -> Standing {
        match self.phase {
            Phase::Shut(standing) => standing,
            Phase::Left => self.left_as,
            Phase::Live | Phase::Closing(_) | Phase::Gone(_) => Standing::Active,
        }
    }

    /// Why a change is refused, if it is.
    pub(super) fn refuse_change(&mut self, change: &Change, now: Now) -> Option<ChangeRefusal> {
        // A line for people is no part of the conversation.
        let content = !matches!(
            change,
            Change::Stand(_) | Change::Patch(_) | Change::ForgetRevision(_) | Change::Label(_)
        );
        let expires = matches!(change, Change::Stand(Verb::Expire));
        match &self.phase {
            // Whatever is wanted, it is over first, as it is where it has to be loaded for that.
            Phase::Live if !expires => {
                let due = self.due(now).map(|_| ChangeRefusal::Due);
                due.or_else(|| self.refuse_more(change).map(ChangeRefusal::TooLong))
            }
            Phase::Shut(standing) if content => Some(ChangeRefusal::Shut(*standing)),
            Phase::Live | Phase::Shut(_) => None,
            Phase::Closing(_) => Some(ChangeRefusal::Closing),
            Phase::Gone(tombstone) => Some(ChangeRefusal::Gone(**tombstone)),
            Phase::Left => Some(ChangeRefusal::Left),
        }
    }

    /// Changes whether it takes turns. Asked for what it is already, it answers when the store has that.
    pub(super) fn stand(&mut self, verb: Verb, port: P::Change, step: &mut Step<'_, P>) {
        let before = self.standing();
        let Some(standing) = self.after(before, verb, step.now) else {
            let answer = Err(ChangeRefusal::Shut(before));
            step.effects.push(Effect::Changed { port, answer });
            return;
        };
        let (version, last_seq) = (self.version, self.next_seq - 1);
        // Who finds it not due has nothing to wait for.
        let expires = verb == Verb::Expire && before.is_active();
        if standing == before && (expires || !self.is_about_to_stand()) {
            let answer = Ok(Changed { version, last_seq });
            step.effects.push(Effect::Changed { port, answer });
            return;
        }
        let used = standing != before && standing.is_active();
        let write = if standing == before {
            // Nothing is left to be written; whoever asks waits for what is on its way.
            Write::Patch { patch: RecordPatch::default() }
        } else {
            step.effects.push(Effect::Stands { before, standing });
            self.phase = if standing.is_active() { Phase::Live } else { Phase::Shut(standing) };
            self.shut_out(standing, step);
            // What is back is in use: otherwise whatever had ended it would end it again at once.
            if used {
                self.touch(step.now);
            }
            let used_at = used.then_some(step.now.wall);
            Write::Standing { standing, unused_since: None, used_at }
        };
        let write = Some(write);
        self.outbox.push_back(Pending::Change {
            write,
            port,
            version,
            last_seq,
            used,
            rotated: None,
        });
    }

    /// Whether the store may not know yet how it stands.
    fn is_about_to_stand(&self) -> bool {
        self.outbox.iter().any(|pending| matches!(pending, Pending::Change { .. }))
    }

    /// What becomes of `before`; `None` if that cannot be.
    fn after(&mut self, before: Standing, verb: Verb, now: Now) -> Option<Standing> {
        let at = now.wall;
        match (verb, before) {
            (Verb::Suspend(reason), Standing::Active) => Some(Standing::Suspended { reason, at }),
            (Verb::Archive, Standing::Active | Standing::Suspended { .. }) => {
                Some(Standing::Archived { reason: EndReason::Requested, at })
            }
            (
                Verb::End,
                Standing::Active | Standing::Suspended { .. } | Standing::Archived { .. },
            ) => Some(Standing::Ended { reason: EndReason::Requested, at }),
            (Verb::Resume, Standing::Suspended { .. })
            | (Verb::Restore, Standing::Archived { .. }) => Some(Standing::Active),
            (Verb::Expire, Standing::Active) => Some(match self.due(now) {
                Some(clock) => self.lifespan.expiry.closed(clock, at),
                None => before,
            }),
            // It is so already; an earlier reason stands.
            (Verb::Suspend(_), Standing::Suspended { .. })
            | (Verb::Archive, Standing::Archived { .. })
            | (Verb::End, Standing::Ended { .. })
            | (Verb::Resume | Verb::Restore, Standing::Active)
            | (Verb::Expire, _) => Some(before),
            (Verb::Suspend(_), Standing::Archived { .. } | Standing::Ended { .. })
            | (Verb::Archive | Verb::Restore, Standing::Ended { .. })
            | (Verb::Restore, Standing::Suspended { .. })
            | (Verb::Resume, Standing::Archived { .. } | Standing::Ended { .. }) => None,
        }
    }

    /// Ends what runs and tells what waits, if the session does not stand for it.
    fn shut_out(&mut self, standing: Standing, step: &mut Step<'_, P>) {
        if !standing.is_routable() {
            self.drop_leases(step);
        }
        let reason = match standing {
            Standing::Active => return,
            Standing::Suspended { .. } => CancelReason::Suspended,
            Standing::Archived { .. } => CancelReason::Archived,
            Standing::Ended { .. } => CancelReason::Ended,
        };
        // First those who wait, so that nobody gets the slot of a turn that is ended here.
        self.stop_asking();
        for queued in self.queue.take() {
            let refusal = BeginRefusal::Shut(standing);
            self.refuse_echoes(queued.request.ticket, &refusal, step);
            step.effects.push(Effect::Refused { port: queued.port, refusal });
        }
        let open: Vec<_> = self.turns.iter().map(|turn| turn.generation).collect();
        for generation in open {
            let Some(turn) = self.fence(generation, reason, step) else { continue };
            let outcome = TurnOutcome::Cancelled(reason);
            self.settle(turn, (outcome, InputFate::Keep), None, step.now);
        }
    }
}

//! Changes of a session without a turn.

use super::outbox::Pending;
use super::{Change, ChangeRefusal, Effect, Phase, Ports, SessionState, Step};
use crate::clock::Now;
use crate::store::Write;

impl<P: Ports> SessionState<P> {
    /// Changes the session without a turn.
    pub(super) fn change(&mut self, change: Change, port: P::Change, step: &mut Step<'_, P>) {
        let refusal = match &self.phase {
            Phase::Live => None,
            Phase::Closing(_) => Some(ChangeRefusal::Closing),
            Phase::Gone(tombstone) => Some(ChangeRefusal::Gone(*tombstone)),
            Phase::Left => Some(ChangeRefusal::Left),
        };
        let refusal = refusal.or_else(|| self.refuse_take_back(&change, step.now));
        if let Some(refusal) = refusal {
            step.effects.push(Effect::Changed { port, answer: Err(refusal) });
            return;
        }
        let at = step.now.wall;
        let write = match change {
            Change::Append(entries) => {
                let first_seq = self.take_seqs(entries.len());
                self.version += 1;
                self.tip = self.next_seq - 1;
                Write::Append { first_seq, entries, version: self.version, at }
            }
            Change::Data(changes) => {
                self.version += 1;
                Write::PutData { changes, version: self.version, at }
            }
            Change::TakeBack(redo) => Write::TakeBack { from: self.take_back(redo), at },
            Change::Label(label) => Write::Label { label },
        };
        self.touch(step.now);
        let (version, last_seq) = (self.version, self.next_seq - 1);
        self.outbox.push_back(Pending::Change { write: Some(write), port, version, last_seq });
    }

    /// Why nothing can be taken back now, if that is asked for.
    fn refuse_take_back(&self, change: &Change, now: Now) -> Option<ChangeRefusal> {
        let Change::TakeBack(redo) = change else { return None };
        let holder = self.turns.last().map(|turn| self.holder(turn, now));
        let busy = holder.map(|holder| ChangeRefusal::Busy { holder });
        busy.or_else(|| self.has_moved(*redo).then_some(ChangeRefusal::Moved))
    }
}

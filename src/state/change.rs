//! Changes of a session without a turn.

use super::outbox::Pending;
use super::{Change, ChangeRefusal, Effect, Phase, Ports, SessionState, Step};
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
        if let Some(refusal) = refusal {
            step.effects.push(Effect::Changed { port, answer: Err(refusal) });
            return;
        }
        let at = step.now.wall;
        let write = match change {
            Change::Append(entries) => {
                let first_seq = self.take_seqs(entries.len());
                self.version += 1;
                Write::Append { first_seq, entries, version: self.version, at }
            }
            Change::Data(changes) => {
                self.version += 1;
                Write::PutData { changes, version: self.version, at }
            }
            Change::Label(label) => Write::Label { label },
        };
        self.last_active_at = at;
        let (version, last_seq) = (self.version, self.next_seq - 1);
        self.outbox.push_back(Pending::Change { write: Some(write), port, version, last_seq });
    }
}

//! Changes of a session without a turn.

use super::pending::Pending;
use super::{Change, ChangeRefusal, Effect, Patch, Ports, SessionState, Size, Step};
use crate::clock::Now;
use crate::store::{RecordPatch, Write};

impl<P: Ports> SessionState<P> {
    /// Changes the session without a turn.
    pub(super) fn change(&mut self, change: Change, port: P::Change, step: &mut Step<'_, P>) {
        let refusal = self.refuse_change(&change, step.now);
        let refusal = refusal.or_else(|| self.refuse_take_back(&change, step.now));
        if let Some(refusal) = refusal {
            step.effects.push(Effect::Changed { port, answer: Err(refusal) });
            return;
        }
        let (at, mut rotated) = (step.now.wall, None);
        let write = match change {
            Change::Append(entries) => {
                self.grow(Size::of(entries.iter().map(bytes::Bytes::len)));
                let first_seq = self.take_seqs(entries.len());
                self.version += 1;
                self.tip = self.next_seq - 1;
                Write::Append { first_seq, entries, version: self.version, at }
            }
            Change::Data(changes) => {
                self.version += 1;
                Write::PutData { changes, version: self.version, at }
            }
            Change::TakeBack { redo, reason } => {
                Write::TakeBack { from: self.take_back(redo, reason), at }
            }
            Change::PutBack { redo, revision, back } => {
                Write::PutBack { back: self.put_back(redo, revision, back), at }
            }
            Change::ForgetRevision(version) => Write::ForgetRevision { version },
            Change::Resume(change) => Write::Resume { change, at },
            Change::Label(label) => Write::Label { label },
            Change::Stand(verb) => return self.stand(verb, port, step),
            Change::Patch(patch) => self.patch(patch),
            Change::Rotate(to) => {
                let write = Write::Rotate { to: (*to).clone(), at };
                rotated = Some(to);
                write
            }
        };
        // Neither a line for people nor a handle is what somebody does with the conversation, nor what it is
        // rid of.
        let used = !matches!(
            write,
            Write::Patch { .. }
                | Write::Label { .. }
                | Write::Resume { .. }
                | Write::ForgetRevision { .. }
        );
        if used {
            self.touch(step.now);
        }
        let (version, last_seq) = (self.version, self.next_seq - 1);
        let write = Some(write);
        self.outbox.push_back(Pending::Change { write, port, version, last_seq, used, rotated });
    }

    /// Changes what is said for it alone. Not a use.
    fn patch(&mut self, patch: Patch) -> Write {
        let mut stored = RecordPatch::default();
        match patch {
            Patch::Pinned(pinned) => {
                self.set_pinned(pinned);
                stored.pinned = Some(pinned);
            }
            Patch::Expiry(rules, expiry) => {
                self.set_expiry(expiry);
                stored.expiry = Some(rules);
            }
        }
        Write::Patch { patch: stored }
    }

    /// Why nothing can be taken or put back now, if that is asked for.
    fn refuse_take_back(&self, change: &Change, now: Now) -> Option<ChangeRefusal> {
        let redo = change.redo()?;
        let holder = self.turns.last().map(|turn| self.holder(turn, now));
        let busy = holder.map(|holder| ChangeRefusal::Busy { holder });
        // What is on its way may be that the revision is forgotten, which the version does not tell.
        let unsure = matches!(change, Change::PutBack { .. }) && !self.owes_nothing();
        busy.or_else(|| (unsure || self.has_moved(redo)).then_some(ChangeRefusal::Moved))
    }
}

//! Taking back entries, so that the last turns are done over or forgotten, and putting them back.
//!
//! Which entries that are is found out in the store, by whoever asks, without the lock. What was found
//! holds as long as no entry has come or gone since, no turn runs or waits, and none is on its way to its end;
//! otherwise nothing is changed and it is to be found out again.

use super::{Ports, Redo, SessionState, Size};
use crate::store::{PutBack, RevisionReason, TakeBack};

impl<P: Ports> SessionState<P> {
    /// Whether the session is not as it was when it was found out what to take back.
    pub(super) fn has_moved(&self, redo: Redo) -> bool {
        let Redo { next_seq, version, open, .. } = redo;
        // A turn that was open then has ended since, and may have dropped its input.
        let as_it_was = !open && (next_seq, version) == (self.next_seq, self.version);
        !as_it_was || !self.turns.is_empty() || self.ending().next().is_some()
    }

    /// Takes entries back.
    pub(super) fn take_back(&mut self, redo: Redo, reason: RevisionReason) -> TakeBack {
        self.version += 1;
        self.shrink(redo.taken);
        self.tip = self.tip.min(redo.from - 1);
        self.free_branches(redo.from);
        TakeBack { from: redo.from, version: self.version, reason }
    }

    /// Puts entries back at the end, in the place of all that is there from the first of them on.
    pub(super) fn put_back(&mut self, redo: Redo, revision: u64, back: Size) -> PutBack {
        self.version += 1;
        self.shrink(redo.taken);
        self.grow(back);
        self.free_branches(redo.from);
        let first_seq = self.next_seq;
        let entries = back.entries;
        self.next_seq += entries;
        self.tip = self.next_seq - 1;
        PutBack { revision, from: redo.from, entries, first_seq, version: self.version }
    }
}

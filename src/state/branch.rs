//! Turns that stand beside each other under one entry.

use super::{BeginRefusal, Ports, Redo, SessionState};

/// How many turns stand under the entry under which one was begun last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Siblings {
    /// The entry.
    parent: u64,
    /// How many.
    count: usize,
}

impl Siblings {
    /// Those that are left once the entries from `from` on are taken back.
    fn without(self, from: u64) -> Self {
        if from <= self.parent + 1 { Self::default() } else { self }
    }
}

impl<P: Ports> SessionState<P> {
    /// A place under the entry that is the last one, once what `redo` takes back is gone.
    pub(super) fn branch(&self, redo: Option<Redo>) -> Result<Siblings, BeginRefusal> {
        let (parent, before) = match redo {
            Some(redo) => (self.tip.min(redo.from - 1), self.siblings.without(redo.from)),
            None => (self.tip, self.siblings),
        };
        let count = if before.parent == parent { before.count } else { 0 };
        if count >= self.max_branches {
            return Err(BeginRefusal::TooManyBranches { parent });
        }
        Ok(Siblings { parent, count: count + 1 })
    }

    /// Gives back the places of turns whose entries, from `from` on, are taken back.
    pub(super) fn free_branches(&mut self, from: u64) {
        self.siblings = self.siblings.without(from);
    }

    /// Whether no more turns stand beside each other than may.
    pub(super) fn has_room(&self) -> bool {
        self.siblings.count <= self.max_branches
    }
}

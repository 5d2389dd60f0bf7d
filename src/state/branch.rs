//! Turns that stand beside each other under one entry.

use super::{BeginRefusal, Ports, SessionState};

/// How many turns stand under the entry under which one was begun last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Siblings {
    /// The entry.
    parent: u64,
    /// How many.
    count: usize,
}

impl<P: Ports> SessionState<P> {
    /// Takes a place under the entry that is the last one now.
    pub(super) fn take_branch(&mut self) -> Result<(), BeginRefusal> {
        let parent = self.tip;
        let count = if self.siblings.parent == parent { self.siblings.count } else { 0 };
        if count >= self.max_branches {
            return Err(BeginRefusal::TooManyBranches { parent });
        }
        self.siblings = Siblings { parent, count: count + 1 };
        Ok(())
    }
}

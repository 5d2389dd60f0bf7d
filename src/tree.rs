//! A transcript in which some turns stand beside each other. Pure.
//!
//! Entries are stored in one order, by number. A turn that was begun beside others says which entry it
//! stands under; everything else follows on the newest entry before it. What leads nowhere is not followed
//! on: inputs of turns that lost, and branches that ended without a reply.

use std::collections::{HashMap, HashSet};

use crate::id::Generation;
use crate::store::{BranchRecord, EntryMark, StoredEntry};

/// The entries of a transcript, each with the one that it follows.
pub(crate) struct Tree<'a> {
    /// All of them, by number.
    entries: &'a [StoredEntry],
    /// Where turns stand that were begun beside others.
    parents: HashMap<Generation, u64>,
    /// Those of them that ended without a reply.
    dead: HashSet<Generation>,
}

impl<'a> Tree<'a> {
    /// Of `entries`, in order, with the turns that stand beside siblings.
    pub(crate) fn new(entries: &'a [StoredEntry], branches: &[BranchRecord]) -> Self {
        let parents: HashMap<_, _> =
            branches.iter().map(|branch| (branch.generation, branch.parent)).collect();
        let mut dead = HashSet::new();
        if !parents.is_empty() {
            for entry in entries {
                let Some(turn) = entry.generation.filter(|turn| parents.contains_key(turn)) else {
                    continue;
                };
                if entry.mark == EntryMark::Unanswered {
                    dead.insert(turn);
                } else {
                    // A partial reply is one that can be gone on from.
                    dead.remove(&turn);
                }
            }
        }
        Self { entries, parents, dead }
    }

    /// The line that ends with the newest entry of turn `last`, or with the newest of all.
    pub(crate) fn line(&self, last: Option<Generation>) -> Vec<&'a StoredEntry> {
        let is_last = |entry: &&StoredEntry| match last {
            Some(turn) => entry.generation == Some(turn),
            None => self.leads_on(entry) || self.parents.is_empty(),
        };
        if self.parents.is_empty() && last.is_none() {
            // As nearly every conversation is.
            return self.entries.iter().filter(|entry| entry.mark != EntryMark::Aside).collect();
        }
        let mut line = Vec::new();
        let mut next = self.entries.iter().rev().find(is_last);
        while let Some(entry) = next {
            line.push(entry);
            next = self.before(entry);
        }
        line.reverse();
        line
    }

    /// Whether something can follow on `entry`.
    fn leads_on(&self, entry: &StoredEntry) -> bool {
        let dead = entry.generation.is_some_and(|turn| self.dead.contains(&turn));
        entry.mark != EntryMark::Aside && !dead
    }

    /// The entry that `entry` follows.
    fn before(&self, entry: &StoredEntry) -> Option<&'a StoredEntry> {
        let place = self.entries.partition_point(|other| other.seq < entry.seq);
        let earlier = self.entries.get(..place)?;
        let Some(turn) = entry.generation else { return self.newest(earlier, u64::MAX) };
        // Within a turn, one after the other.
        let mut own = earlier.iter().rev();
        // The turns that are beside it are near.
        let branch = self.parents.get(&turn);
        if branch.is_some()
            && let Some(own) = own.find(|other| other.generation == Some(turn))
        {
            return Some(own);
        }
        self.newest(earlier, branch.copied().unwrap_or(u64::MAX))
    }

    /// The newest of `entries` with the number `most` or a lower one that can be followed on.
    fn newest(&self, entries: &'a [StoredEntry], most: u64) -> Option<&'a StoredEntry> {
        let place = entries.partition_point(|entry| entry.seq <= most);
        entries.get(..place)?.iter().rev().find(|entry| self.leads_on(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    /// An entry: its number, its turn (0 for none) and its mark.
    fn entry(seq: u64, turn: u64, mark: EntryMark) -> StoredEntry {
        let generation = (turn > 0).then(|| Generation::new(turn));
        let (at, payload) = (Timestamp::default(), bytes::Bytes::new());
        StoredEntry { seq, generation, input: false, mark, at, payload }
    }

    fn branch(turn: u64, parent: u64) -> BranchRecord {
        BranchRecord { generation: Generation::new(turn), parent }
    }

    fn line(entries: &[StoredEntry], branches: &[BranchRecord], last: Option<u64>) -> Vec<u64> {
        let tree = Tree::new(entries, branches);
        tree.line(last.map(Generation::new)).iter().map(|entry| entry.seq).collect()
    }

    // B9
    #[test]
    fn siblings_have_the_same_past_and_the_line_follows_the_last_to_commit() {
        use EntryMark::Kept;
        // A turn; then two that began under its reply, 2 and 3, the older of which committed last; then one
        // that went on from that.
        let turns = [1, 1, 2, 3, 3, 2, 4, 4];
        let entries: Vec<_> = (1..).zip(turns).map(|(seq, turn)| entry(seq, turn, Kept)).collect();
        let branches = [branch(2, 2), branch(3, 2)];
        assert_eq!(line(&entries, &branches, None), [1, 2, 3, 6, 7, 8]);
        assert_eq!(line(&entries, &branches, Some(3)), [1, 2, 4, 5]);
        assert_eq!(line(&entries, &branches, Some(2)), [1, 2, 3, 6]);
        assert_eq!(line(&entries, &branches, Some(1)), [1, 2]);
        assert_eq!(line(&entries, &branches, Some(9)), [0_u64; 0]);
    }

    #[test]
    fn nothing_follows_on_a_branch_without_a_reply_or_on_a_loser() {
        use EntryMark::{Aside, Kept, Partial, Unanswered};
        let entries = [
            entry(1, 1, Kept),
            entry(2, 1, Kept),
            entry(3, 2, Unanswered), // a branch that failed
            entry(4, 3, Aside),      // one that lost
            entry(5, 4, Unanswered), // a branch that was interrupted
            entry(6, 4, Partial),
            entry(7, 0, Kept), // a note
        ];
        let branches = [branch(2, 2), branch(4, 2)];
        assert_eq!(line(&entries, &branches, None), [1, 2, 5, 6, 7]);
        assert_eq!(line(&entries, &branches, Some(2)), [1, 2, 3]);
    }

    #[test]
    fn without_branches_the_line_is_everything_but_losers() {
        use EntryMark::{Aside, Kept, Unanswered};
        let entries = [
            entry(1, 1, Kept),
            entry(2, 2, Aside),
            entry(3, 1, Kept),
            entry(4, 3, Unanswered),
            entry(5, 0, Kept),
        ];
        assert_eq!(line(&entries, &[], None), [1, 3, 4, 5]);
        assert_eq!(line(&entries, &[], Some(1)), [1, 3]);
    }
}

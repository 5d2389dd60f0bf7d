//! A transcript in which some turns stand beside each other. Pure.
//!
//! Entries are stored in one order, by number. A turn that was begun beside others says which entry it
//! stands under; everything else follows on the newest entry before it that is not beside it. What leads
//! nowhere is not followed on: inputs of turns that lost, and branches that ended without a reply. An entry
//! that was added without a turn belongs to each turn in whose course it was.

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
    /// The number of the first entry of each turn; empty if none stands beside another.
    firsts: HashMap<Generation, u64>,
}

impl<'a> Tree<'a> {
    /// Of `entries`, in order, with the turns that stand beside siblings.
    pub(crate) fn new(entries: &'a [StoredEntry], branches: &[BranchRecord]) -> Self {
        let parents: HashMap<_, _> =
            branches.iter().map(|branch| (branch.generation, branch.parent)).collect();
        let (mut dead, mut firsts) = (HashSet::new(), HashMap::new());
        if !parents.is_empty() {
            for entry in entries {
                let Some(turn) = entry.generation else { continue };
                firsts.entry(turn).or_insert(entry.seq);
                if !parents.contains_key(&turn) {
                    continue;
                }
                if entry.mark == EntryMark::Unanswered {
                    dead.insert(turn);
                } else {
                    // A partial reply is one that can be gone on from.
                    dead.remove(&turn);
                }
            }
        }
        Self { entries, parents, dead, firsts }
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
        let mut next = self.entries.iter().rev().find(is_last).map(|entry| (entry, None));
        while let Some((entry, of)) = next {
            line.push(entry);
            next = self.before(entry, of);
        }
        line.reverse();
        line
    }

    /// Those of `branches` that have entries, each with the entry that its first one follows: what it was
    /// begun under, unless that leads nowhere.
    pub(crate) fn branches(&self, branches: &[BranchRecord]) -> Vec<BranchRecord> {
        let here: HashSet<_> = self.entries.iter().filter_map(|entry| entry.generation).collect();
        let stands = |branch: &&BranchRecord| here.contains(&branch.generation);
        let follows = |branch: &BranchRecord| {
            let parent = self.newest_up_to(branch.parent).map_or(0, |parent| parent.seq);
            BranchRecord { generation: branch.generation, parent }
        };
        branches.iter().filter(stands).map(follows).collect()
    }

    /// Whether something can follow on `entry`.
    fn leads_on(&self, entry: &StoredEntry) -> bool {
        let dead = entry.generation.is_some_and(|turn| self.dead.contains(&turn));
        entry.mark != EntryMark::Aside && !dead
    }

    /// The entry that `entry` follows, and the turn in whose course that was written. `of` is the one in
    /// whose course `entry` was, which for an entry without a turn is known only from what follows on it.
    fn before(
        &self,
        entry: &StoredEntry,
        of: Option<Generation>,
    ) -> Option<(&'a StoredEntry, Option<Generation>)> {
        let place = self.entries.partition_point(|other| other.seq < entry.seq);
        let earlier = self.entries.get(..place)?;
        let of = entry.generation.or(of);
        let branch = |turn: Generation| self.parents.contains_key(&turn);
        let found = match of {
            // A note follows what was replied, not what is being asked beside it.
            None => {
                let asked = |it: &&StoredEntry| it.input && it.generation.is_some_and(branch);
                earlier.iter().rev().find(|it| self.leads_on(it) && !asked(it))
            }
            // Its own entries one after the other, with the notes that came between.
            Some(turn) if branch(turn) && self.began_before(turn, entry.seq) => {
                let own = |it: &&StoredEntry| it.generation.is_none_or(|it| it == turn);
                earlier.iter().rev().find(own)
            }
            Some(turn) => {
                if let Some(parent) = self.parents.get(&turn) {
                    self.newest(up_to(earlier, *parent))
                } else {
                    // A branch that was begun after it and has entries before this one is beside it.
                    let beside = |it: Generation| it > turn && branch(it);
                    let beside = |it: &&StoredEntry| it.generation.is_some_and(beside);
                    earlier.iter().rev().find(|it| self.leads_on(it) && !beside(it))
                }
            }
        };
        let of = of.filter(|turn| found.is_some_and(|it| self.began_before(*turn, it.seq)));
        found.map(|found| (found, of))
    }

    /// Whether `turn` has an entry before the number `seq`.
    fn began_before(&self, turn: Generation, seq: u64) -> bool {
        self.firsts.get(&turn).is_some_and(|first| *first < seq)
    }

    /// The newest of `entries` that can be followed on.
    fn newest(&self, entries: &'a [StoredEntry]) -> Option<&'a StoredEntry> {
        entries.iter().rev().find(|entry| self.leads_on(entry))
    }

    /// The newest with the number `most` or a lower one that can be followed on.
    fn newest_up_to(&self, most: u64) -> Option<&'a StoredEntry> {
        self.newest(up_to(self.entries, most))
    }
}

/// Those with the number `most` or a lower one.
fn up_to(entries: &[StoredEntry], most: u64) -> &[StoredEntry] {
    let place = entries.partition_point(|entry| entry.seq <= most);
    entries.get(..place).unwrap_or_default()
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

    // B9
    #[test]
    fn a_turn_that_was_begun_before_a_branch_and_ends_beside_it_does_not_follow_on_it() {
        use EntryMark::Kept;
        let input = |seq, turn| StoredEntry { input: true, ..entry(seq, turn, Kept) };
        let mut entries = vec![
            entry(1, 1, Kept),
            input(2, 2),
            input(3, 3),       // a branch
            entry(4, 0, Kept), // a note
        ];
        let branches = [branch(3, 1), branch(4, 4)];
        assert_eq!(line(&entries, &branches, None), [1, 2, 4]);
        entries.push(entry(5, 2, Kept));
        assert_eq!(line(&entries, &branches, Some(2)), [1, 2, 4, 5]);
        assert_eq!(line(&entries, &branches, Some(3)), [1, 3]);
        // The branch has heard the note, too, and so has one that begins after it.
        entries.extend([entry(6, 3, Kept), input(7, 4)]);
        assert_eq!(line(&entries, &branches, Some(3)), [1, 3, 4, 6]);
        assert_eq!(line(&entries, &branches, Some(4)), [1, 2, 4, 7]);
    }

    #[test]
    fn a_branch_is_told_with_the_entry_that_it_follows_and_only_while_it_is_there() {
        use EntryMark::{Kept, Unanswered};
        let entries = [
            entry(1, 1, Kept),
            entry(2, 2, Unanswered), // a branch that failed
            entry(4, 4, Kept),
        ];
        // 3 was taken back; 4 was begun by a process that took what failed for the last entry.
        let branches = [branch(2, 1), branch(3, 1), branch(4, 2)];
        let told = Tree::new(&entries, &branches).branches(&branches);
        assert_eq!(told, [branch(2, 1), branch(4, 1)]);
    }

    // A number that was one too low at the start of everything ran over.
    #[test]
    fn a_branch_under_what_came_later_follows_what_came_before_it() {
        use EntryMark::Kept;
        let entries = [entry(0, 1, Kept), entry(1, 1, Kept), entry(2, 2, Kept), entry(3, 2, Kept)];
        assert_eq!(line(&entries, &[branch(2, 9)], None), [0, 1, 2, 3]);
        assert_eq!(line(&entries, &[branch(1, 9), branch(2, 2)], None), [0, 1, 2, 3]);
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

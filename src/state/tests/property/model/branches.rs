//! What stands under what, and what is taken back.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::{BRANCH, BusyPolicy, Generation, Redo};
use super::{Begin, Model};
use crate::store::{BranchRecord, EntryMark, StoredEntry};
use crate::tree::Tree;

/// As many turns may stand beside each other.
const MAX: usize = 3;

/// What stands under what.
#[derive(Debug, Default)]
pub(super) struct Stands {
    /// The turns that have a place, and the entry that each follows; 0 is the start.
    under: BTreeMap<Generation, u64>,
    /// The turns that have a place since before the session was loaded.
    before: BTreeSet<Generation>,
    /// Those of them that have it because of what they were begun with.
    branches: BTreeSet<Generation>,
    /// What nothing may be put between: the entries of turns that ran when a turn was begun.
    beside: BTreeMap<Generation, Vec<u64>>,
    /// Whether something was appended, or began without a place, while turns ran: it stands in the line of the newest entry, whoever's
    /// that is, and so does what follows on it.
    pub(super) noted: bool,
    /// Whether something was taken back, so that it is not known how many were counted.
    taken_back: bool,
}

impl Model {
    /// The last entry that can be followed on, and that no turn that runs was begun with.
    fn tip(&self) -> u64 {
        let leads = |seq: &&u64| !self.runs(**seq) && self.leads_on(**seq);
        self.lines.keys().rev().find(leads).copied().unwrap_or(0)
    }

    /// Whether a turn that runs has the entry `seq`.
    fn runs(&self, seq: u64) -> bool {
        let owner = self.owners.get(&seq);
        self.open.iter().any(|turn| Some(&turn.generation) == owner)
    }

    /// Whether something can follow on the entry `seq`.
    fn leads_on(&self, seq: u64) -> bool {
        let mark = self.lines.get(&seq).map(|line| line.1);
        // A branch without a reply leads nowhere, unless what it had said is an entry.
        let dead = mark == Some(EntryMark::Unanswered)
            && self.owners.get(&seq).is_some_and(|turn| {
                let last = self.owners.iter().rev().find(|(_, it)| *it == turn);
                let last = last.and_then(|(seq, _)| self.lines.get(seq)).map(|line| line.1);
                let Stands { under, before, .. } = &self.stands;
                let stands = under.contains_key(turn) || before.contains(turn);
                stands && last == Some(EntryMark::Unanswered)
            });
        mark != Some(EntryMark::Aside) && !dead
    }

    /// Notes where a turn is to stand that is being begun, before it has entries.
    pub(super) fn stand(&mut self, generation: Generation, begin: &Begin) {
        let branches = begin.policy == BRANCH;
        let parallel = matches!(begin.policy, BusyPolicy::Parallel(_));
        let among = self.open.iter().any(|turn| turn.branches);
        if !(branches || parallel && among) {
            // It is beside one without a place, and stands where that stands.
            self.stands.noted |= !self.open.is_empty();
            return;
        }
        let tip = self.tip();
        if branches {
            let count = self.siblings(tip);
            assert!(self.stands.taken_back || count < MAX, "{count} stand under {tip}");
            self.stands.branches.insert(generation);
        }
        let behind = self.lines.keys().filter(|seq| **seq > tip && self.runs(**seq));
        self.stands.beside.insert(generation, behind.copied().collect());
        self.stands.under.insert(generation, tip);
    }

    /// How many branches stand under `tip`.
    pub(super) fn siblings(&self, tip: u64) -> usize {
        let under = |turn: &&Generation| self.stands.under.get(*turn) == Some(&tip);
        self.stands.branches.iter().filter(under).count()
    }

    /// Whether something was taken back, after which less may be counted.
    pub(super) fn stands_taken_back(&self) -> bool {
        self.stands.taken_back
    }

    /// Whether somebody is rightly told that too many stand under `parent`.
    pub(super) fn is_full(&self) -> bool {
        self.siblings(self.tip()) >= MAX
    }

    /// A turn was begun under `parent`.
    pub(in super::super) fn stands(&self, generation: Generation, parent: Option<u64>) {
        let expected = self.stands.under.get(&generation);
        assert_eq!(parent.is_some(), expected.is_some(), "{generation:?} stands under {parent:?}");
        let (Some(parent), Some(&expected)) = (parent, expected) else { return };
        assert!(parent >= expected, "{parent} is before {expected}");
        let between = |seq: &&u64| (expected + 1..=parent).contains(*seq);
        let beside = self.stands.beside.get(&generation).into_iter().flatten().find(between);
        assert_eq!(beside, None, "under {parent}, between which and {expected} others run");
    }

    /// Something is appended without a turn.
    pub(super) fn notes(&mut self) {
        self.stands.noted |= !self.open.is_empty();
    }

    /// Whether what was seen is all there is, and nothing runs. A state that is more careful may say
    /// that it has moved, but never the other way round.
    pub(super) fn takes_back(&self, redo: Redo) -> bool {
        let as_seen = self.seen.iter().eq(self.lines.keys());
        let same = (redo.next_seq, redo.version, redo.open) == (self.next_seq, self.version, false);
        self.open.is_empty() && as_seen && same && self.endings.is_empty()
    }

    /// Whoever takes something back next has seen these entries.
    pub(in super::super) fn sees(&mut self, numbers: Vec<u64>) {
        self.seen = numbers;
    }

    /// Takes entries back.
    pub(super) fn take_back(&mut self, redo: Redo) {
        assert!(self.seen.iter().eq(self.lines.keys()), "what it takes back it has not seen");
        assert!(self.open.is_empty(), "taken back under a turn that runs");
        self.lines.split_off(&redo.from);
        self.owners.split_off(&redo.from);
        self.acknowledged.split_off(&redo.from);
        self.version += 1;
        self.stands.taken_back = true;
    }

    /// Entries have other numbers now: what stands under one goes on standing there.
    pub(super) fn stands_move(&mut self, moved: &BTreeMap<u64, u64>) {
        for parent in self.stands.under.values_mut() {
            *parent = moved.get(parent).copied().unwrap_or(*parent);
        }
    }

    /// The session was loaded, and the store knows these places.
    pub(in super::super) fn stood(&mut self, branches: &[BranchRecord]) {
        self.stands.before = branches.iter().map(|branch| branch.generation).collect();
    }

    /// Each turn that has a place follows what it was begun under.
    pub(super) fn follows(&self, entries: &[StoredEntry], branches: &[BranchRecord]) {
        let tree = Tree::new(entries, branches);
        // One that came back before what it stands under follows what is there.
        let there = |parent: u64| parent == 0 || self.lines.contains_key(&parent);
        for (turn, parent) in self.stands.under.iter().filter(|(_, parent)| there(**parent)) {
            let line = tree.line(Some(*turn));
            let first = line.iter().position(|entry| entry.generation == Some(*turn));
            let Some(first) = first else { continue };
            let before = first.checked_sub(1).and_then(|place| line.get(place));
            assert_eq!(before.map_or(0, |entry| entry.seq), *parent, "before {turn:?}");
        }
        let turns: BTreeSet<_> = entries.iter().filter_map(|entry| entry.generation).collect();
        for turn in turns {
            let own = |entry: &&StoredEntry| entry.generation == Some(turn);
            let all: Vec<_> = entries.iter().filter(own).collect();
            if !self.stands.noted && all.iter().all(|entry| entry.mark != EntryMark::Aside) {
                let line: Vec<_> = tree.line(Some(turn)).into_iter().filter(own).collect();
                assert_eq!(line, all, "all that {turn:?} has is in its line");
            }
        }
    }
}

//! The entries of one life, in parts of a bounded size, so that adding to a long conversation costs
//! what it costs in a short one.

use crate::id::Generation;
use crate::store::StoredEntry;

/// The most entries in a part: what is copied when one grows, and what a removal moves.
const PART: usize = 256;

/// Entries in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// The parts, oldest first; only the last one grows, and none is empty.
    parts: Vec<Vec<StoredEntry>>,
}

impl Transcript {
    /// Adds an entry at the end.
    pub(super) fn push(&mut self, entry: StoredEntry) {
        match self.parts.last_mut() {
            Some(last) if last.len() < PART => last.push(entry),
            Some(_) | None => {
                let mut part = Vec::with_capacity(4);
                part.push(entry);
                self.parts.push(part);
            }
        }
    }

    /// The entries with a number above `seq`, in order.
    pub(super) fn after(&self, seq: u64) -> impl Iterator<Item = &StoredEntry> {
        let ends_before = |part: &Vec<StoredEntry>| part.last().is_none_or(|last| last.seq <= seq);
        let first = self.parts.partition_point(ends_before);
        self.parts.iter().skip(first).flatten().skip_while(move |entry| entry.seq <= seq)
    }

    /// The newest entry of a turn.
    pub(super) fn newest_of(&self, turn: Generation) -> Option<&StoredEntry> {
        self.parts.iter().rev().flat_map(|part| part.iter().rev()).find(|it| it.is_of(turn))
    }

    /// The newest entry of a turn, to be changed.
    pub(super) fn newest_of_mut(&mut self, turn: Generation) -> Option<&mut StoredEntry> {
        self.parts.iter_mut().rev().flat_map(|part| part.iter_mut().rev()).find(|it| it.is_of(turn))
    }

    /// Removes the newest entry of a turn; answers whether there was one.
    pub(super) fn remove_newest_of(&mut self, turn: Generation) -> bool {
        for (at, part) in self.parts.iter_mut().enumerate().rev() {
            if let Some(place) = part.iter().rposition(|entry| entry.is_of(turn)) {
                part.remove(place);
                if part.is_empty() {
                    self.parts.remove(at);
                }
                return true;
            }
        }
        false
    }
}

impl StoredEntry {
    /// Whether turn `turn` wrote it.
    fn is_of(&self, turn: Generation) -> bool {
        self.generation == Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::EntryMark;

    #[test]
    fn entries_are_found_added_and_removed_across_parts() {
        let mut all = Transcript::default();
        for seq in 1..=1_000_u64 {
            let generation = Some(Generation::new(seq.div_ceil(2)));
            let (mark, at) = (EntryMark::Kept, Timestamp::from_millis(seq));
            all.push(StoredEntry { seq, generation, mark, at, payload: "x".into() });
        }
        let numbers =
            |all: &Transcript, after| all.after(after).map(|it| it.seq).collect::<Vec<_>>();
        for after in [0, 1, 255, 256, 257, 999, 1_000, u64::MAX] {
            let expected: Vec<u64> = (1..=1_000).filter(|seq| *seq > after).collect();
            assert_eq!(numbers(&all, after), expected, "after {after}");
        }
        let turn = Generation::new(129);
        assert_eq!(all.newest_of(turn).unwrap().seq, 258);
        assert!(all.remove_newest_of(turn) && all.remove_newest_of(turn));
        assert!(!all.remove_newest_of(turn) && all.newest_of(turn).is_none());
        assert_eq!(numbers(&all, 255), [256].into_iter().chain(259..=1_000).collect::<Vec<_>>());
        for turn in 1..=500 {
            while all.remove_newest_of(Generation::new(turn)) {}
        }
        assert!(all.parts.is_empty());
    }
}

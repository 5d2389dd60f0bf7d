//! The entries of one life, in parts of a bounded size that never grow, so that adding to a conversation
//! copies nothing, however long it is.

use crate::id::Generation;
use crate::seldom::Seldom;
use crate::store::{EntryMark, StoredEntry};

/// The fewest entries that a part has room for.
const LEAST: usize = 4;

/// The most entries that a part has room for: what a removal moves. Small, because a part of many pages
/// is memory that nobody has touched yet, and adding to a long conversation would cost that.
const MOST: usize = 16;

/// Entries in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// The part that is added to. Empty only if there is no entry.
    last: Vec<StoredEntry>,
    /// Those before it, oldest first; none is empty.
    before: Seldom<Vec<Vec<StoredEntry>>>,
}

impl Transcript {
    /// Adds an entry at the end.
    pub(super) fn push(&mut self, entry: StoredEntry) {
        if self.last.len() == self.last.capacity() {
            // Each has room for twice as many as the one before it.
            let room = (self.last.capacity() * 2).clamp(LEAST, MOST);
            let full = std::mem::replace(&mut self.last, Vec::with_capacity(room));
            if !full.is_empty() {
                self.before.make().push(full);
            }
        }
        self.last.push(entry);
    }

    /// The entries with a number above `seq`, in order.
    pub(super) fn after(&self, seq: u64) -> impl Iterator<Item = &StoredEntry> {
        let first = self.part_of(seq.saturating_add(1));
        let parts = self.before.iter().skip(first).chain([&self.last]);
        parts.flatten().skip_while(move |entry| entry.seq <= seq)
    }

    /// The newest entry of a turn.
    pub(super) fn newest_of(&self, turn: Generation) -> Option<&StoredEntry> {
        let parts = self.before.iter().chain([&self.last]).rev();
        parts.flat_map(|part| part.iter().rev()).find(|it| it.is_of(turn))
    }

    /// Marks every entry of a turn that has the number `from` or a higher one.
    pub(super) fn mark_all_of(&mut self, turn: Generation, from: u64, mark: EntryMark) {
        let first = self.part_of(from);
        let before = self.before.made().into_iter().flatten();
        let parts = before.skip(first).chain([&mut self.last]);
        for entry in parts.flatten() {
            if entry.seq >= from && entry.is_of(turn) {
                entry.mark = mark;
            }
        }
    }

    /// Removes the entry `seq`; answers whether there was one.
    pub(super) fn remove(&mut self, seq: u64) -> bool {
        let at = self.part_of(seq);
        let before = self.before.made().and_then(|before| before.get_mut(at));
        let part = before.unwrap_or(&mut self.last);
        let Ok(place) = part.binary_search_by_key(&seq, |entry| entry.seq) else { return false };
        part.remove(place);
        if part.is_empty() {
            match self.before.made() {
                Some(before) if at < before.len() => drop(before.remove(at)),
                before => self.last = before.and_then(Vec::pop).unwrap_or_default(),
            }
        }
        true
    }

    /// Takes out the entries from the number `seq` on.
    pub(super) fn split_off(&mut self, seq: u64) -> Vec<StoredEntry> {
        let first = self.part_of(seq);
        let mut parts = self.before.made().map_or_else(Vec::new, |before| before.split_off(first));
        parts.push(std::mem::take(&mut self.last));
        let mut taken: Vec<StoredEntry> = Vec::new();
        for mut part in parts {
            let place = part.partition_point(|entry| entry.seq < seq);
            taken.extend(part.drain(place..));
            if !part.is_empty() {
                self.before.make().push(part);
            }
        }
        self.last = self.before.made().and_then(Vec::pop).unwrap_or_default();
        taken
    }

    /// The place of the first part that ends with `seq` or behind it; behind the others if that is the last.
    fn part_of(&self, seq: u64) -> usize {
        self.before.partition_point(|part| part.last().is_none_or(|last| last.seq < seq))
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

    #[test]
    fn entries_are_found_added_and_removed_across_parts() {
        let mut all = Transcript::default();
        for seq in 1..=1_000_u64 {
            let generation = Some(Generation::new(seq.div_ceil(2)));
            let (mark, at) = (EntryMark::Kept, Timestamp::from_millis(seq));
            all.push(StoredEntry { seq, generation, input: false, mark, at, payload: "x".into() });
        }
        let sizes: Vec<_> = all.before.iter().take(5).map(Vec::len).collect();
        assert_eq!(sizes, [4, 8, 16, 16, 16], "each has room for twice as many, up to a bound");
        let numbers =
            |all: &Transcript, after| all.after(after).map(|it| it.seq).collect::<Vec<_>>();
        for after in [0, 1, 255, 256, 257, 999, 1_000, u64::MAX] {
            let expected: Vec<u64> = (1..=1_000).filter(|seq| *seq > after).collect();
            assert_eq!(numbers(&all, after), expected, "after {after}");
        }
        let turn = Generation::new(129);
        assert_eq!(all.newest_of(turn).unwrap().seq, 258);
        all.mark_all_of(turn, 258, EntryMark::Aside);
        let marks: Vec<_> = all.after(256).take(3).map(|it| it.mark).collect();
        assert_eq!(marks, [EntryMark::Kept, EntryMark::Aside, EntryMark::Kept]);
        assert!(all.remove(258) && all.remove(257) && !all.remove(257));
        assert!(all.newest_of(turn).is_none());
        assert_eq!(numbers(&all, 255), [256].into_iter().chain(259..=1_000).collect::<Vec<_>>());
        assert!(all.split_off(1_001).is_empty());
        let taken: Vec<u64> = all.split_off(500).iter().map(|it| it.seq).collect();
        assert_eq!(taken, (500..=1_000).collect::<Vec<_>>());
        assert_eq!(numbers(&all, 497), [498, 499]);
        for seq in 1..=500 {
            all.remove(seq);
        }
        assert!(all.before.is_empty() && all.last.is_empty());
    }
}

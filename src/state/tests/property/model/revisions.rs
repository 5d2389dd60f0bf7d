//! What comes back into a transcript.

use std::collections::BTreeMap;

use super::super::super::Redo;
use super::Model;
use crate::store::StoredEntry;

impl Model {
    /// Whoever puts a revision back next has seen these entries of it. With none of them it has to be found
    /// out again, since something is on its way to the store.
    pub(in super::super) fn sees_revision(&mut self, entries: Vec<StoredEntry>) {
        self.returning = entries;
    }

    /// What stands from the first of them on makes room, and they come last, as they were.
    pub(super) fn put_back(&mut self, redo: Redo, entries: Vec<StoredEntry>, port: u32) {
        self.take_back(redo);
        let mut moved = BTreeMap::new();
        let mut numbered = Vec::new();
        for entry in entries {
            let seq = self.next_seq;
            self.next_seq += 1;
            self.lines.insert(seq, (entry.payload.clone(), entry.mark));
            self.owners.extend(entry.generation.map(|turn| (seq, turn)));
            moved.insert(entry.seq, seq);
            numbered.push((seq, entry.payload));
        }
        self.stands_move(&moved);
        self.written.insert(port, numbered);
    }
}

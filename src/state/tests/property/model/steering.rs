//! What is said to running turns.

use bytes::Bytes;

use super::super::super::{BusyPolicy, Generation};
use super::{Begin, Model};
use crate::store::EntryMark;

impl Begin {
    /// Whether it may be handed to a running turn.
    fn steers(&self) -> bool {
        matches!(self.policy, BusyPolicy::Steer { .. })
            && self.input.is_some()
            && (self.version, &self.name, self.redo).0.is_none()
            && self.name.is_none()
            && self.redo.is_none()
    }
}

impl Model {
    /// Who may be handed to a running turn: the first in the queue, or nobody.
    pub(super) fn first_to_steer(&self) -> Option<u32> {
        self.queue.first().filter(|begin| begin.steers()).map(|begin| begin.port)
    }

    /// The turns that may take something.
    pub(super) fn takers(&self) -> Vec<u32> {
        let takes = self.open.iter().filter(|turn| turn.given && turn.told.is_none());
        takes.map(|turn| turn.stream).collect()
    }

    /// A turn asks for what was said to it: it has the first in the queue, if it has read all that it has.
    pub(super) fn take(&mut self, generation: Generation, read: u64) {
        let turn = self.open.iter_mut().find(|turn| turn.generation == generation);
        let has_read = |took: &[u64]| u64::try_from(took.len()).is_ok_and(|took| took == read);
        let turn = turn.filter(|turn| turn.given && turn.told.is_none() && has_read(&turn.took));
        let first = self.queue.first().filter(|begin| begin.steers());
        let (Some(turn), Some(first)) = (turn, first.cloned()) else { return };
        let seq = self.next_seq;
        self.queue.remove(0);
        self.next_seq += 1;
        turn.took.push(seq);
        self.lines.insert(seq, (first.input.expect("it says something"), EntryMark::Kept));
        self.owners.insert(seq, generation);
        self.steers.insert(first.port, (generation, seq));
    }

    /// What was said is stored.
    pub(super) fn steered(&mut self, port: u32, by: (Generation, u64), input: &Bytes) {
        self.answered(port);
        assert_eq!(self.steers.remove(&port), Some(by), "handed to another turn, or twice");
        // It may have been set aside or taken back since.
        if let Some((payload, _)) = self.lines.get(&by.1) {
            assert_eq!(payload, input);
            self.acknowledged.insert(by.1, input.clone());
        }
    }

    /// After a step: if somebody else is the first to be handed to a turn, every turn that could take
    /// something before was told so.
    pub(super) fn offers_are_made(&self) {
        let (first, takers) = &self.before;
        let now = self.first_to_steer();
        if now.is_none() || now == *first {
            return;
        }
        for stream in self.takers() {
            let told = !takers.contains(&stream) || self.offered.contains(&stream);
            assert!(told, "{stream} does not know that there is something for it");
        }
    }
}

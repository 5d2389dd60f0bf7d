//! Taking entries out of a transcript in memory, and putting them back.

use std::collections::{HashMap, HashSet};

use super::life::Life;
use crate::clock::Timestamp;
use crate::outcome::TurnOutcome;
use crate::store::{
    FenceReason, PutBack, Revision, RevisionReason, StoreError, StoredEntry, TakeBack, TurnRecord,
};

impl Life {
    /// Whether the transcript may be cut and its version become `version`.
    pub(super) fn check_cut(&self, version: u64) -> Result<(), StoreError> {
        if !self.open.is_empty() {
            Err(StoreError::fenced(FenceReason::TurnOpen))
        } else if version <= self.record.version || version <= self.extras.newest_revision() {
            Err(StoreError::fenced(FenceReason::OutOfOrder))
        } else {
            Ok(())
        }
    }

    /// Takes entries out of the transcript and keeps them as a revision.
    pub(super) fn take_back(&mut self, from: TakeBack, at: Timestamp) {
        let TakeBack { from, version, reason } = from;
        let entries = self.entries.split_off(from);
        self.record.entries -= entries.len() as u64;
        (self.record.version, self.record.last_active_at) = (version, at);
        // A turn that is told by its newest entry alone has to be told otherwise now.
        let mut told: HashSet<_> = self.turns.iter().map(|turn| turn.generation).collect();
        for entry in entries.iter().rev() {
            if let Some(generation) = entry.generation.filter(|turn| told.insert(*turn)) {
                let outcome = TurnOutcome::Committed;
                self.turns.push(TurnRecord { generation, outcome, settled_at: entry.at });
            }
        }
        self.extras.taken_back(Revision { version, at, reason, entries });
    }

    /// Puts the entries of a revision back at the end; what is in their place becomes one.
    pub(super) fn put_back(&mut self, back: PutBack, at: Timestamp) -> Result<(), StoreError> {
        let PutBack { revision, from, entries, first_seq, version } = back;
        self.check_cut(version)?;
        self.check_next(first_seq)?;
        let Some(put) = self.extras.revision(revision) else {
            return Err(StoreError::fenced(FenceReason::NoSuchRevision));
        };
        let first = put.entries.first().map(|first| first.seq);
        if (first, put.entries.len() as u64) != (Some(from), entries) {
            return Err(StoreError::fenced(FenceReason::OutOfOrder));
        }
        if self.entries.after(from - 1).next().is_some() {
            let reason = RevisionReason::Restored { revision };
            self.take_back(TakeBack { from, version, reason }, at);
        }
        let mut moved = HashMap::new();
        for entry in self.extras.take_revision(revision).map_or_else(Vec::new, |it| it.entries) {
            moved.insert(entry.seq, self.record.next_seq);
            self.entries.push(StoredEntry { seq: self.record.next_seq, ..entry });
            self.record.next_seq += 1;
            self.record.entries += 1;
        }
        self.extras.moved(&moved);
        (self.record.version, self.record.last_active_at) = (version, at);
        Ok(())
    }
}

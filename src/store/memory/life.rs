//! One life of a session, in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use smallvec::SmallVec;

use super::transcript::Transcript;
use crate::clock::Timestamp;
use crate::id::Generation;
use crate::key::SessionKey;
use crate::outcome::TurnOutcome;
use crate::store::{
    DataChange, EntryMark, FenceReason, InputFate, Record, StoreError, StoredEntry, TurnMarker,
    TurnRecord, Write,
};

/// One life of a session.
#[derive(Debug)]
pub(super) struct Life {
    /// Its metadata, without the open turns.
    pub(super) record: Record,
    /// The open turns, oldest first. One as a rule, which has its place inside.
    open: SmallVec<[TurnMarker; 1]>,
    /// Its transcript, by number.
    pub(super) entries: Transcript,
    /// Its data.
    pub(super) data: BTreeMap<String, Bytes>,
    /// How turns ended that left no reply, in that order; the others are told by their entries.
    turns: Vec<TurnRecord>,
    /// The keys that were bound to it; some may have moved on.
    pub(super) keys: SmallVec<[SessionKey; 1]>,
    /// Whether it was deleted; then nothing is written to it by whoever still holds it.
    pub(super) over: bool,
}

impl Life {
    /// One that has just begun.
    pub(super) fn new(
        record: Record,
        data: BTreeMap<String, Bytes>,
        keys: SmallVec<[SessionKey; 1]>,
    ) -> Self {
        let (open, entries, turns) = (SmallVec::new(), Transcript::default(), Vec::new());
        Self { record, open, entries, data, turns, keys, over: false }
    }

    /// Its metadata, with the open turns.
    pub(super) fn record(&self) -> Record {
        Record { open: self.open.to_vec(), ..self.record.clone() }
    }

    /// How a turn ended, if it did.
    pub(super) fn turn(&self, generation: Generation) -> Option<TurnRecord> {
        let open = self.open.iter().any(|marker| marker.generation == generation);
        if let Some(turn) = self.turns.iter().rev().find(|turn| turn.generation == generation) {
            return Some(turn.clone());
        }
        let last = self.entries.newest_of(generation);
        let (outcome, settled_at) = (TurnOutcome::Committed, last.filter(|_| !open)?.at);
        Some(TurnRecord { generation, outcome, settled_at })
    }

    /// Applies one operation after checking all of it; a refusal changes nothing.
    pub(super) fn apply(&mut self, write: Write) -> Result<(), StoreError> {
        match write {
            Write::Begin { marker, input, at } => {
                if marker.generation <= self.record.generation {
                    return Err(StoreError::fenced(FenceReason::OldTurn));
                }
                if let Some((seq, input)) = input {
                    self.check_next(seq)?;
                    self.push([input], Some(marker.generation), at);
                }
                self.record.generation = marker.generation;
                self.open.push(marker);
                self.record.last_active_at = at;
            }
            Write::Commit { generation, first_seq, entries, data, version, at } => {
                self.check_next(first_seq)?;
                self.close(generation)?;
                if entries.is_empty() {
                    let outcome = TurnOutcome::Committed;
                    self.turns.push(TurnRecord { generation, outcome, settled_at: at });
                }
                self.push(entries, Some(generation), at);
                self.change(data);
                self.touch(version, at);
            }
            Write::Settle { generation, outcome, input, at } => {
                self.close(generation)?;
                self.turns.push(TurnRecord { generation, outcome, settled_at: at });
                self.mark_input(generation, input);
                if outcome != TurnOutcome::Interrupted {
                    self.record.last_active_at = at;
                }
            }
            Write::Append { first_seq, entries, version, at } => {
                self.check_next(first_seq)?;
                self.push(entries, None, at);
                self.touch(version, at);
            }
            Write::PutData { changes, version, at } => {
                self.change(changes);
                self.touch(version, at);
            }
            Write::Label { label } => self.record.label = label,
            Write::Delete { .. } => unreachable!("a delete goes through the index"),
        }
        Ok(())
    }

    /// Whether `seq` is the number that the next entry gets.
    fn check_next(&self, seq: u64) -> Result<(), StoreError> {
        if seq == self.record.next_seq {
            Ok(())
        } else {
            Err(StoreError::fenced(FenceReason::OutOfOrder))
        }
    }

    /// Appends entries.
    pub(super) fn push(
        &mut self,
        payloads: impl IntoIterator<Item = Bytes>,
        generation: Option<Generation>,
        at: Timestamp,
    ) {
        for payload in payloads {
            let seq = self.record.next_seq;
            self.entries.push(StoredEntry { seq, generation, mark: EntryMark::Kept, at, payload });
            self.record.next_seq += 1;
            self.record.entries += 1;
        }
    }

    /// Ends a turn's marker.
    fn close(&mut self, generation: Generation) -> Result<(), StoreError> {
        let open = self.open.iter().position(|marker| marker.generation == generation);
        self.open.remove(open.ok_or(StoreError::fenced(FenceReason::TurnNotOpen))?);
        Ok(())
    }

    /// Does with a turn's input what its end asks for.
    fn mark_input(&mut self, generation: Generation, fate: InputFate) {
        // The input is near the end: nothing but what came since its turn began is behind it.
        let mark = match fate {
            InputFate::Drop => {
                self.record.entries -= u64::from(self.entries.remove_newest_of(generation));
                return;
            }
            InputFate::Keep => EntryMark::Unanswered,
            InputFate::Aside => EntryMark::Aside,
        };
        if let Some(entry) = self.entries.newest_of_mut(generation) {
            entry.mark = mark;
        }
    }

    /// Changes data.
    fn change(&mut self, changes: Vec<DataChange>) {
        for change in changes {
            match change.value {
                Some(value) => self.data.insert(change.name, value),
                None => self.data.remove(&change.name),
            };
        }
    }

    /// Takes over the counters of a write.
    fn touch(&mut self, version: u64, at: Timestamp) {
        self.record.version = version;
        self.record.last_active_at = at;
    }
}

//! One life of a session, in memory.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::id::Generation;
use crate::key::SessionKey;
use crate::outcome::TurnOutcome;
use crate::store::{
    DataChange, EntryMark, FenceReason, InputFate, Record, StoreError, StoredEntry, TurnRecord,
    Write,
};

/// One life of a session.
#[derive(Debug)]
pub(super) struct Life {
    /// Its metadata.
    pub(super) record: Record,
    /// Its transcript, by number.
    pub(super) entries: Vec<StoredEntry>,
    /// Its data.
    pub(super) data: BTreeMap<String, Bytes>,
    /// How its turns ended, in that order.
    pub(super) turns: Vec<TurnRecord>,
    /// The keys that were bound to it; some may have moved on.
    pub(super) keys: Vec<SessionKey>,
}

impl Life {
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
                self.record.open.push(marker);
                self.record.last_active_at = at;
            }
            Write::Commit { generation, first_seq, entries, data, version, at } => {
                self.check_next(first_seq)?;
                self.settle(generation, TurnOutcome::Committed, at)?;
                self.push(entries, Some(generation), at);
                self.change(data);
                self.touch(version, at);
            }
            Write::Settle { generation, outcome, input, at } => {
                self.settle(generation, outcome, at)?;
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

    /// Ends a turn's marker and records its outcome.
    fn settle(
        &mut self,
        generation: Generation,
        outcome: TurnOutcome,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let open = self.record.open.iter().position(|marker| marker.generation == generation);
        let open = open.ok_or(StoreError::fenced(FenceReason::TurnNotOpen))?;
        self.record.open.remove(open);
        self.turns.push(TurnRecord { generation, outcome, settled_at: at });
        Ok(())
    }

    /// Does with a turn's input what its end asks for.
    fn mark_input(&mut self, generation: Generation, fate: InputFate) {
        // The input is near the end: nothing but what came since its turn began is behind it.
        let input = self.entries.iter().rposition(|entry| entry.generation == Some(generation));
        let Some(input) = input else { return };
        match fate {
            InputFate::Drop => {
                self.entries.remove(input);
                self.record.entries -= 1;
            }
            InputFate::Keep | InputFate::Aside => {
                let mark =
                    if fate == InputFate::Keep { EntryMark::Unanswered } else { EntryMark::Aside };
                if let Some(entry) = self.entries.get_mut(input) {
                    entry.mark = mark;
                }
            }
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

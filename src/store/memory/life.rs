//! One life of a session, in memory.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::endings::Endings;
use super::extras::Extras;
use super::keys::Keys;
use super::lanes::Filed;
use super::open::{Open, OpenTurns};
use super::summary::Summary;
use super::transcript::Transcript;
use crate::clock::Timestamp;
use crate::id::{Generation, SessionId};
use crate::key::SessionKey;
use crate::outcome::TurnOutcome;
use crate::seldom::Seldom;
use crate::standing::Standing;
use crate::store::{
    BeginExtra, DataChange, EntryMark, FenceReason, InputFate, PartialFate, PartialPiece, Record,
    RecordPatch, StoreError, StoredEntry, TurnMarker, TurnRecord, Write,
};

/// One life of a session. Laid out as it is written: what a turn needs stands together.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Life {
    /// Its metadata, without the open turns.
    pub(super) record: Summary,
    /// Whether it was deleted; then nothing is written to it by whoever still holds it.
    pub(super) over: bool,
    /// What most lives have none of.
    pub(super) extras: Extras,
    /// The open turns, oldest first.
    pub(super) open: OpenTurns,
    /// How turns ended that left no reply, in that order; the others are told by their entries.
    pub(super) turns: Endings,
    /// Its transcript, by number.
    pub(super) entries: Transcript,
    /// The keys that were bound to it; some may have moved on.
    pub(super) keys: Keys,
    /// Its data.
    pub(super) data: Seldom<BTreeMap<String, Bytes>>,
    /// Where it stands among those whose time may be over.
    pub(super) filed: Option<Filed>,
}

impl Life {
    /// One that has just begun.
    pub(super) fn new(
        record: Summary,
        data: BTreeMap<String, Bytes>,
        keys: Keys,
        filed: Option<Filed>,
    ) -> Self {
        let (open, entries, turns) =
            (OpenTurns::default(), Transcript::default(), Endings::default());
        let (extras, data) = (Extras::default(), Seldom::of(data));
        Self { record, open, entries, data, turns, extras, keys, over: false, filed }
    }

    /// Its metadata, with the open turns.
    pub(super) fn record(&self) -> Record {
        self.record.record(self.open.iter().map(|open| open.marker.clone()).collect())
    }

    /// Every id that it has had, oldest first.
    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.record.ids()
    }

    /// The keys that were bound to it; some may have moved on.
    pub(super) fn keys(&self) -> Vec<SessionKey> {
        self.keys.all(self.record.key.as_ref())
    }

    /// How a turn ended, if it did.
    pub(super) fn turn(&self, generation: Generation) -> Option<TurnRecord> {
        let open = self.is_open(generation);
        if let Some(turn) = self.turns.newest_of(generation) {
            return Some(turn.clone());
        }
        let last = self.entries.newest_of(generation);
        let (outcome, settled_at) = (TurnOutcome::Committed, last.filter(|_| !open)?.at);
        Some(TurnRecord { generation, outcome, settled_at })
    }

    /// Applies one operation after checking all of it; a refusal changes nothing.
    pub(super) fn apply(&mut self, write: Write) -> Result<(), StoreError> {
        match write {
            Write::Begin { marker, input, extra, at } => self.begin(marker, input, extra, at)?,
            Write::Steer { generation, seq, input, at } => {
                self.check_next(seq)?;
                self.check_open(generation)?;
                self.push([input], Some(generation), true, at);
                self.record.last_active_at = at;
            }
            Write::Partial { generation, piece } => {
                self.check_open(generation)?;
                self.check_piece(generation, &piece)?;
                self.extras.said(generation, &piece);
            }
            Write::Commit { generation, first_seq, entries, data, extra, version, at } => {
                self.commit(generation, first_seq, entries, at)?;
                if !data.is_empty() {
                    self.change(data);
                }
                for change in extra.iter().flat_map(|extra| &extra.resume) {
                    self.extras.change_resume(change, at);
                }
                self.touch(version, at);
            }
            Write::Settle { generation, outcome, input, partial, next_seq, version, at } => {
                self.settle((generation, outcome), input, (partial, next_seq), at)?;
                self.record.version = self.record.version.max(version);
            }
            Write::TakeBack { from, at } => {
                self.check_cut(from.version)?;
                self.take_back(from, at);
            }
            Write::PutBack { back, at } => self.put_back(back, at)?,
            Write::ForgetRevision { version } => drop(self.extras.forget_revision(version)),
            Write::Append { first_seq, entries, version, at } => {
                self.check_next(first_seq)?;
                self.push(entries, None, false, at);
                self.touch(version, at);
            }
            Write::PutData { changes, version, at } => {
                if version <= self.record.version {
                    return Err(StoreError::fenced(FenceReason::OutOfOrder));
                }
                self.change(changes);
                self.touch(version, at);
            }
            Write::Resume { change, at } => self.extras.change_resume(&change, at),
            Write::Label { label } => self.record.set_label(label),
            Write::Standing { standing, unused_since, used_at } => {
                self.stand(standing, unused_since)?;
                self.record.last_active_at = used_at.unwrap_or(self.record.last_active_at);
            }
            Write::Patch { patch } => self.patch(patch),
            Write::Delete { .. } | Write::Rotate { .. } => {
                unreachable!("what concerns ids goes through the index")
            }
        }
        Ok(())
    }

    /// [`Write::Commit`], but for what changes beside the transcript.
    fn commit(
        &mut self,
        generation: Generation,
        first_seq: u64,
        entries: Vec<Bytes>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.check_next(first_seq)?;
        self.close(generation)?;
        self.extras.forget_partial(generation);
        if entries.is_empty() {
            let outcome = TurnOutcome::Committed;
            self.turns.push(TurnRecord { generation, outcome, settled_at: at });
        } else {
            self.push(entries, Some(generation), false, at);
        }
        self.record.crashes = 0;
        Ok(())
    }

    /// [`Write::Begin`].
    fn begin(
        &mut self,
        marker: TurnMarker,
        input: Option<(u64, Bytes)>,
        extra: Option<Box<BeginExtra>>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let generation = marker.generation;
        if generation <= self.record.generation {
            return Err(StoreError::fenced(FenceReason::OldTurn));
        }
        if let Some((seq, _)) = &input {
            self.check_next(*seq)?;
        }
        if let Some(extra) = extra {
            if let Some(from) = extra.take_back {
                self.check_cut(from.version)?;
                self.take_back(from, at);
            }
            self.extras.begun(generation, extra.request, extra.parent);
        }
        let (first, has_input) = (self.record.next_seq, input.is_some());
        if let Some((_, input)) = input {
            self.push([input], Some(generation), true, at);
        }
        self.record.generation = generation;
        self.open.push(Open { marker, first, has_input });
        self.record.last_active_at = at;
        Ok(())
    }

    /// Whether `seq` is the number that the next entry gets.
    pub(super) fn check_next(&self, seq: u64) -> Result<(), StoreError> {
        if seq == self.record.next_seq {
            Ok(())
        } else {
            Err(StoreError::fenced(FenceReason::OutOfOrder))
        }
    }

    /// Whether a turn is open.
    fn is_open(&self, generation: Generation) -> bool {
        self.open.iter().any(|open| open.marker.generation == generation)
    }

    /// Whether a turn is open, or else a refusal.
    fn check_open(&self, generation: Generation) -> Result<(), StoreError> {
        if self.is_open(generation) {
            Ok(())
        } else {
            Err(StoreError::fenced(FenceReason::TurnNotOpen))
        }
    }

    /// Whether `piece` follows on what is kept of what a turn has said.
    fn check_piece(&self, turn: Generation, piece: &PartialPiece) -> Result<(), StoreError> {
        let kept = self.extras.said_chunks(turn);
        if piece.chunks > 0 && piece.first.checked_sub(1) == Some(kept) {
            Ok(())
        } else {
            Err(StoreError::fenced(FenceReason::OutOfOrder))
        }
    }

    /// Whether a turn can be settled so.
    fn check_settle(
        &self,
        generation: Generation,
        partial: &PartialFate,
        next_seq: u64,
    ) -> Result<(), StoreError> {
        self.check_open(generation)?;
        let entries = u64::from(matches!(partial, PartialFate::Entry { .. }));
        if next_seq < self.record.next_seq + entries {
            return Err(StoreError::fenced(FenceReason::OutOfOrder));
        }
        match partial {
            PartialFate::Keep { last: Some(last) } => self.check_piece(generation, last),
            PartialFate::Keep { last: None } | PartialFate::Drop | PartialFate::Entry { .. } => {
                Ok(())
            }
        }
    }

    /// Does with what a turn has said what its end asks for.
    fn settle_partial(
        &mut self,
        generation: Generation,
        partial: PartialFate,
        next_seq: u64,
        at: Timestamp,
    ) {
        match partial {
            PartialFate::Drop => self.extras.forget_partial(generation),
            PartialFate::Keep { last } => {
                if let Some(last) = last {
                    self.extras.said(generation, &last);
                }
            }
            PartialFate::Entry { payload } => {
                self.extras.forget_partial(generation);
                let (seq, mark) = (next_seq - 1, EntryMark::Partial);
                let generation = Some(generation);
                self.entries.push(StoredEntry { seq, generation, input: false, mark, at, payload });
                self.record.entries += 1;
            }
        }
    }

    /// Appends entries.
    pub(super) fn push(
        &mut self,
        payloads: impl IntoIterator<Item = Bytes>,
        generation: Option<Generation>,
        input: bool,
        at: Timestamp,
    ) {
        for payload in payloads {
            let (seq, mark) = (self.record.next_seq, EntryMark::Kept);
            self.entries.push(StoredEntry { seq, generation, input, mark, at, payload });
            self.record.next_seq += 1;
            self.record.entries += 1;
        }
    }

    /// Ends a turn's marker.
    fn close(&mut self, generation: Generation) -> Result<Open, StoreError> {
        self.open.take(generation).ok_or(StoreError::fenced(FenceReason::TurnNotOpen))
    }

    /// Does with a turn's inputs what its end asks for. Only the first one is dropped: whoever said
    /// the others was told that they are stored.
    fn mark_inputs(&mut self, ended: &Open, fate: InputFate) {
        if fate == InputFate::Drop && ended.has_input {
            self.record.entries -= u64::from(self.entries.remove(ended.first));
        }
        let mark = match fate {
            InputFate::Keep | InputFate::Drop => EntryMark::Unanswered,
            InputFate::Aside => EntryMark::Aside,
        };
        self.entries.mark_all_of(ended.marker.generation, ended.first, mark);
    }

    /// Changes data.
    fn change(&mut self, changes: Vec<DataChange>) {
        for change in changes {
            match change.value {
                Some(value) => drop(self.data.make().insert(change.name, value)),
                None => drop(self.data.made().and_then(|data| data.remove(&change.name))),
            }
        }
    }

    /// [`Write::Settle`], but for the version.
    fn settle(
        &mut self,
        (generation, outcome): (Generation, TurnOutcome),
        input: InputFate,
        (partial, next_seq): (PartialFate, u64),
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.check_settle(generation, &partial, next_seq)?;
        let ended = self.close(generation)?;
        self.turns.push(TurnRecord { generation, outcome, settled_at: at });
        self.mark_inputs(&ended, input);
        self.settle_partial(generation, partial, next_seq, at);
        self.record.next_seq = next_seq;
        if outcome != TurnOutcome::Interrupted {
            self.record.last_active_at = at;
        }
        Ok(())
    }

    /// [`Write::Standing`], but for the last use.
    fn stand(
        &mut self,
        standing: Standing,
        unused_since: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let (active, pinned) = (self.record.standing.is_active(), self.record.pinned);
        let idle = |since| self.record.last_active_at <= since && active && !pinned;
        if !unused_since.is_none_or(idle) {
            return Err(StoreError::fenced(FenceReason::UsedSince));
        }
        if !self.open.is_empty() {
            return Err(StoreError::fenced(FenceReason::TurnOpen));
        }
        self.record.standing = standing;
        if standing.is_active() {
            self.record.crashes = 0;
        }
        Ok(())
    }

    /// [`Write::Patch`].
    fn patch(&mut self, RecordPatch { pinned, expiry, crashes, touched_at }: RecordPatch) {
        let record = &mut self.record;
        record.pinned = pinned.unwrap_or(record.pinned);
        record.crashes = crashes.unwrap_or(record.crashes);
        if let Some(expiry) = expiry {
            record.set_expiry(expiry);
        }
        record.last_active_at = touched_at.unwrap_or(record.last_active_at);
    }

    /// Takes over the counters of a write.
    fn touch(&mut self, version: u64, at: Timestamp) {
        self.record.version = version;
        self.record.last_active_at = at;
    }
}

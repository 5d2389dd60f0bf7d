//! How the operations of a random sequence are drawn.

use std::time::Duration;

use bytes::Bytes;

use super::super::rig::{at, bytes};
use super::super::snapshot::{DATA, NAMES, REQUESTS, SERVICES};
use super::step::Known;
use crate::clock::Timestamp;
use crate::expiry::ExpiryRules;
use crate::standing::{EndReason, Standing, SuspendReason};
use crate::store::{
    BeginExtra, CommitExtra, DataChange, PartialFate, PartialPiece, PutBack, RecordPatch, Request,
    ResumeAction, ResumeChange, RevisionReason, TakeBack, resume_digest,
};

/// What a sequence is drawn from: the same draws for the same seed or the same bytes, on every machine.
#[derive(Debug)]
pub(super) enum Random {
    /// Marsaglia's xorshift.
    Seeded(u64),
    /// Somebody else's bytes, the next one last; zeros after them.
    Chosen(Vec<u8>),
}

/// The standings that a random write picks from.
pub(super) const STANDINGS: [Standing; 5] = [
    Standing::Active,
    Standing::Active,
    Standing::Suspended { reason: SuspendReason::Requested, at: Timestamp::from_millis(1) },
    Standing::Archived { reason: EndReason::Requested, at: Timestamp::from_millis(2) },
    Standing::Ended { reason: EndReason::Requested, at: Timestamp::from_millis(3) },
];

impl Random {
    /// A change of metadata.
    pub(super) fn patch(&mut self, now: u64) -> RecordPatch {
        let rules = ExpiryRules { idle: Some(Duration::from_secs(60)), ..ExpiryRules::default() };
        RecordPatch {
            pinned: self.one_in(2).then(|| self.one_in(2)),
            expiry: self.one_in(2).then(|| self.one_in(2).then(|| Box::new(rules))),
            crashes: self.one_in(2).then(|| u32::from(self.one_in(2))),
            touched_at: self.one_in(2).then(|| at(now)),
        }
    }

    /// The draws of a seed.
    pub(super) fn seeded(seed: u64) -> Self {
        // Zero is the one state that does not move.
        Self::Seeded(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1))
    }

    /// The draws that `choices` make.
    pub(super) fn chosen(choices: &[u8]) -> Self {
        Self::Chosen(choices.iter().rev().copied().collect())
    }

    /// Whether nothing is left to be drawn; never, if it came from a seed.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Chosen(rest) if rest.is_empty())
    }

    /// A number below `bound`, or 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let drawn = match self {
            Self::Seeded(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                // The low bits are the weak ones.
                *state >> 16
            }
            // As few bytes as it takes, so that one choice is one byte almost always.
            Self::Chosen(rest) => (0..8_u32)
                .take_while(|byte| bound.saturating_sub(1) >> (8 * byte) > 0)
                .fold(0, |drawn, _| drawn << 8 | u64::from(rest.pop().unwrap_or(0))),
        };
        drawn.checked_rem(bound).unwrap_or(0)
    }

    /// An index below `bound`, or 0.
    pub(super) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("it is below a usize")
    }

    /// Once in so many times.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *from.get(self.index(from.len())).expect("nobody picks from nothing")
    }

    /// The name of an id or a chat.
    pub(super) fn name(&mut self) -> &'static str {
        self.pick(&NAMES)
    }

    /// Something to store.
    pub(super) fn payload(&mut self) -> Bytes {
        bytes(&format!("{:x}", self.below(1 << 20)))
    }

    /// Up to two payloads.
    pub(super) fn payloads(&mut self) -> Vec<Bytes> {
        (0..self.below(3)).map(|_| self.payload()).collect()
    }

    /// A piece that mostly follows on so many chunks.
    pub(super) fn piece(&mut self, said: u64) -> PartialPiece {
        let first = if self.one_in(8) { self.below(4) } else { said + 1 };
        let chunks = self.below(16).min(3);
        PartialPiece { first, chunks, text: self.payload() }
    }

    /// What becomes of so many chunks.
    pub(super) fn partial_fate(&mut self, said: u64) -> PartialFate {
        match self.below(4) {
            0 => PartialFate::Drop,
            1 => PartialFate::Keep { last: None },
            2 => PartialFate::Keep { last: Some(self.piece(said)) },
            _ => PartialFate::Entry { payload: self.payload() },
        }
    }

    /// What is taken back: mostly a few of the newest entries.
    pub(super) fn take_back(&mut self, version: u64, next_seq: u64) -> TakeBack {
        let reason = match self.below(3) {
            0 => RevisionReason::Rollback,
            1 => RevisionReason::Retry,
            _ => RevisionReason::Truncated { why: format!("{:x}: it is", self.below(99)) },
        };
        TakeBack { from: next_seq.saturating_sub(self.below(6)), version, reason }
    }

    /// What is put back: mostly a revision that there is, whole.
    pub(super) fn put_back(&mut self, version: u64, first_seq: u64, known: &Known) -> PutBack {
        let place = self.index(known.revisions.len().max(1));
        let found = known.revisions.get(place).copied().unwrap_or((version, first_seq, 1));
        let (mut revision, mut from, mut entries) = found;
        match self.below(24) {
            0 => revision += 1,
            1 => from += 1,
            2 => entries += 1,
            _ => {}
        }
        PutBack { revision, from, entries, first_seq, version }
    }

    /// A revision to be forgotten: mostly one that there is.
    pub(super) fn forgotten(&mut self, version: u64, known: &Known) -> u64 {
        let place = self.index(known.revisions.len() + 1);
        known.revisions.get(place).map_or(version, |found| found.0)
    }

    /// What a begin has beside its input.
    pub(super) fn extra(&mut self, version: u64, next_seq: u64) -> BeginExtra {
        let (key, digest) = (self.pick(&REQUESTS).to_owned(), u128::from(self.below(4)) << 100);
        let request = self.one_in(2).then_some(Request { key, digest });
        let take_back = self.one_in(3).then(|| self.take_back(version, next_seq));
        BeginExtra { take_back, request, parent: self.one_in(2).then(|| self.below(6)) }
    }

    /// What a commit has beside its reply.
    pub(super) fn commit_extra(&mut self) -> CommitExtra {
        CommitExtra { resume: (0..self.below(3)).map(|_| self.resume()).collect() }
    }

    /// Something to be done with a handle, of which there are few.
    pub(super) fn resume(&mut self) -> ResumeChange {
        let value = self.pick(&["x", "y", "z"]);
        let digest = resume_digest(value);
        let action = match self.below(8) {
            0..3 => {
                let (value, refuse_for) = (value.to_owned(), Duration::from_secs(self.below(90)));
                ResumeAction::Keep { value, refuse_for }
            }
            3 => ResumeAction::Worked { digest },
            4 => ResumeAction::Attempt { digest },
            5 => ResumeAction::Absolve { digest },
            6 => ResumeAction::Drop { digest, unused_since: at(self.below(2_000)) },
            _ => ResumeAction::Refuse { digest },
        };
        ResumeChange { provider: self.pick(&SERVICES).to_owned(), action }
    }

    /// Up to two changes of data.
    pub(super) fn changes(&mut self) -> Vec<DataChange> {
        let one = |random: &mut Self| DataChange {
            name: random.pick(&DATA).to_owned(),
            value: (!random.one_in(3)).then(|| random.payload()),
        };
        (0..self.below(3)).map(|_| one(self)).collect()
    }
}

//! What only some sessions have: how the checks tell a store of it, and read it.

use super::rig::{Rig, at, bytes, marker, told};
use crate::clock::Timestamp;
use crate::id::Generation;
use crate::outcome::TurnOutcome;
use crate::store::{
    BeginExtra, BranchRecord, Forget, InputFate, PartialFate, PartialPiece, PutBack, Record,
    Request, RequestRecord, Revision, RevisionReason, StoredPartial, TakeBack, Write,
};

impl Rig {
    /// What is kept of what a turn of a life has said.
    pub(super) async fn partial(
        &self,
        life: &Record,
        generation: u64,
    ) -> Result<Option<StoredPartial>, String> {
        let turn = Generation::new(generation);
        let answer = self.store().partial(&life.id, life.incarnation, turn).await;
        told(&format!("what turn {generation} of {} has said", life.id), answer)
    }

    /// What came of a request of a life.
    pub(super) async fn request(
        &self,
        life: &Record,
        key: &str,
    ) -> Result<Option<RequestRecord>, String> {
        let answer = self.store().request(&life.id, life.incarnation, key).await;
        told(&format!("request {key:?} of {}", life.id), answer)
    }

    /// The turns of a life beside their siblings.
    pub(super) async fn branches(&self, life: &Record) -> Result<Vec<BranchRecord>, String> {
        let answer = self.store().branches(&life.id, life.incarnation).await;
        told(&format!("branches of {}", life.id), answer)
    }

    /// What was taken out of the transcript of a life.
    pub(super) async fn revisions(&self, life: &Record) -> Result<Vec<Revision>, String> {
        let answer = self.store().revisions(&life.id, life.incarnation).await;
        told(&format!("revisions of {}", life.id), answer)
    }

    /// The numbers of a life's entries.
    pub(super) async fn numbers(&self, life: &Record) -> Result<Vec<u64>, String> {
        Ok(self.entries(life).await?.iter().map(|entry| entry.seq).collect())
    }

    /// The number of each revision, and those of its entries.
    pub(super) async fn taken(&self, life: &Record) -> Result<Vec<(u64, Vec<u64>)>, String> {
        let numbers = |revision: Revision| {
            (revision.version, revision.entries.iter().map(|entry| entry.seq).collect())
        };
        Ok(self.revisions(life).await?.into_iter().map(numbers).collect())
    }

    /// Has the store forget.
    pub(super) async fn forget(&self, what: Forget, limit: usize) -> Result<usize, String> {
        told(what.name(), self.store().forget(what, limit).await)
    }
}

/// Adds an input `more` to a turn, 10 seconds after time zero.
pub(super) fn steer(generation: u64, seq: u64) -> Write {
    let generation = Generation::new(generation);
    Write::Steer { generation, seq, input: bytes("more"), at: at(10) }
}

/// A piece of two chunks.
pub(super) fn piece(first: u64, text: &str) -> PartialPiece {
    PartialPiece { first, chunks: 2, text: bytes(text) }
}

/// Keeps a piece of two chunks of what a turn has said.
pub(super) fn say(generation: u64, first: u64, text: &str) -> Write {
    Write::Partial { generation: Generation::new(generation), piece: piece(first, text) }
}

/// What was kept of so many chunks.
#[expect(clippy::unnecessary_wraps, reason = "it is compared with what may not be there")]
pub(super) fn said(chunks: u64, text: &str) -> Option<StoredPartial> {
    Some(StoredPartial { chunks, text: bytes(text) })
}

/// Settles a turn as failed with its input kept, 100 seconds after time zero.
pub(super) fn settle_said(generation: u64, next_seq: u64, partial: PartialFate) -> Write {
    let (generation, outcome, input) =
        (Generation::new(generation), TurnOutcome::Failed, InputFate::Keep);
    Write::Settle { generation, outcome, input, partial, next_seq, version: 7, at: at(100) }
}

/// Takes entries back, so many seconds after time zero.
pub(super) fn take_back(from: u64, version: u64, seconds: u64) -> Write {
    let reason = RevisionReason::Rollback;
    Write::TakeBack { from: TakeBack { from, version, reason }, at: at(seconds) }
}

/// Puts the entries of a revision back: so many, from the first on, as those from `first_seq` on. 300 seconds
/// after time zero.
pub(super) fn put_back(
    revision: u64,
    (from, entries): (u64, u64),
    first_seq: u64,
    version: u64,
) -> Write {
    Write::PutBack { back: PutBack { revision, from, entries, first_seq, version }, at: at(300) }
}

/// Begins a turn with an input `in` and something beside it, `generation` seconds after time zero.
pub(super) fn begin_with(generation: u64, seq: u64, extra: BeginExtra) -> Write {
    let marker = marker(generation, generation);
    let (input, extra) = (Some((seq, bytes("in"))), Some(Box::new(extra)));
    Write::Begin { marker, input, extra, at: at(generation) }
}

/// A begin that does an earlier one over.
pub(super) fn over(from: u64, version: u64) -> BeginExtra {
    let reason = RevisionReason::Retry;
    BeginExtra { take_back: Some(TakeBack { from, version, reason }), ..BeginExtra::default() }
}

/// A begin that is asked for under a name.
pub(super) fn asked(key: &str, digest: u128) -> BeginExtra {
    let request = Some(Request { key: key.to_owned(), digest });
    BeginExtra { request, ..BeginExtra::default() }
}

/// A begin that stands under a parent.
pub(super) fn under(parent: u64) -> BeginExtra {
    BeginExtra { parent: Some(parent), ..BeginExtra::default() }
}

/// A millisecond earlier.
pub(super) fn just_before(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis() - 1)
}

//! What most lives have none of: partial replies, branches, requests and revisions.

use crate::clock::Timestamp;
use crate::id::Generation;
use crate::store::{
    BranchRecord, PartialPiece, Request, RequestRecord, Revision, StoredEntry, StoredPartial,
};

/// What most lives have none of, which costs them one word.
#[derive(Debug, Default)]
pub(super) struct Extras(Option<Box<Kept>>);

/// What is kept.
#[derive(Debug, Default)]
struct Kept {
    /// What turns have said that have not committed a reply.
    partials: Vec<(Generation, Said)>,
    /// The begins that were asked for under a name, oldest first.
    requests: Vec<Asked>,
    /// The turns that stand beside siblings, oldest first.
    branches: Vec<BranchRecord>,
    /// What was taken back, oldest first.
    revisions: Vec<Revision>,
}

/// What a turn has said.
#[derive(Debug, Default)]
struct Said {
    /// How many chunks.
    chunks: u64,
    /// Their text.
    text: Vec<u8>,
}

/// A begin that was asked for under a name.
#[derive(Debug)]
struct Asked {
    /// The name.
    key: String,
    /// What came of it.
    record: RequestRecord,
    /// When.
    at: Timestamp,
}

impl Extras {
    /// Notes what a begin has beside its marker and its input.
    pub(super) fn begun(
        &mut self,
        generation: Generation,
        request: Option<Request>,
        parent: Option<u64>,
        at: Timestamp,
    ) {
        if let Some(Request { key, digest }) = request {
            let record = RequestRecord { generation, digest };
            let requests = &mut self.kept_mut().requests;
            requests.retain(|asked| asked.key != key);
            requests.push(Asked { key, record, at });
        }
        if let Some(parent) = parent {
            self.kept_mut().branches.push(BranchRecord { generation, parent });
        }
    }

    /// Adds to what a turn has said.
    pub(super) fn said(&mut self, generation: Generation, piece: &PartialPiece) {
        let partials = &mut self.kept_mut().partials;
        let found = partials.iter().position(|(turn, _)| *turn == generation);
        let place = found.unwrap_or_else(|| {
            partials.push((generation, Said::default()));
            partials.len() - 1
        });
        if let Some((_, said)) = partials.get_mut(place) {
            said.chunks += piece.chunks;
            said.text.extend_from_slice(&piece.text);
        }
    }

    /// How many chunks are kept of what a turn has said.
    pub(super) fn said_chunks(&self, generation: Generation) -> u64 {
        self.find_partial(generation).map_or(0, |said| said.chunks)
    }

    /// What is kept of what a turn has said.
    pub(super) fn partial(&self, generation: Generation) -> Option<StoredPartial> {
        self.find_partial(generation)
            .map(|said| StoredPartial { chunks: said.chunks, text: said.text.clone().into() })
    }

    /// Drops what a turn has said.
    pub(super) fn forget_partial(&mut self, generation: Generation) {
        if let Some(kept) = &mut self.0 {
            kept.partials.retain(|(turn, _)| *turn != generation);
        }
    }

    /// What came of the begin that was asked for under `key`.
    pub(super) fn request(&self, key: &str) -> Option<RequestRecord> {
        let mut requests = self.0.as_ref()?.requests.iter();
        requests.find(|asked| asked.key == key).map(|asked| asked.record)
    }

    /// The turns that stand beside siblings.
    pub(super) fn branches(&self) -> Vec<BranchRecord> {
        self.0.as_ref().map_or_else(Vec::new, |kept| kept.branches.clone())
    }

    /// What was taken back.
    pub(super) fn revisions(&self) -> Vec<Revision> {
        self.0.as_ref().map_or_else(Vec::new, |kept| kept.revisions.clone())
    }

    /// Keeps what was taken back.
    pub(super) fn taken_back(&mut self, version: u64, at: Timestamp, entries: Vec<StoredEntry>) {
        self.kept_mut().revisions.push(Revision { version, at, entries });
    }

    /// Drops the oldest revision if it was made at or before `at`, with what its turns had said; answers
    /// whether it did.
    pub(super) fn forget_revision(&mut self, at: Timestamp) -> bool {
        let Some(kept) = &mut self.0 else { return false };
        if kept.revisions.first().is_none_or(|oldest| oldest.at > at) {
            return false;
        }
        for entry in kept.revisions.remove(0).entries {
            kept.partials.retain(|(turn, _)| Some(*turn) != entry.generation);
        }
        true
    }

    /// Drops the oldest request if it was made at or before `at`; answers whether it did.
    pub(super) fn forget_request(&mut self, at: Timestamp) -> bool {
        let Some(kept) = &mut self.0 else { return false };
        let old = kept.requests.first().is_some_and(|oldest| oldest.at <= at);
        if old {
            kept.requests.remove(0);
        }
        old
    }

    /// What a turn has said.
    fn find_partial(&self, generation: Generation) -> Option<&Said> {
        let mut partials = self.0.as_ref()?.partials.iter();
        partials.find(|(turn, _)| *turn == generation).map(|(_, said)| said)
    }

    /// A place for something.
    fn kept_mut(&mut self) -> &mut Kept {
        self.0.get_or_insert_default()
    }
}

//! What most lives have none of: partial replies, branches, requests, revisions and handles of outside
//! services.

use std::collections::{HashMap, HashSet};

use crate::clock::Timestamp;
use crate::id::Generation;
use crate::store::{
    BranchRecord, PartialPiece, Request, RequestRecord, ResumeChange, ResumeRecord, Revision,
    StoredPartial,
};

/// What most lives have none of, which costs them one word.
#[derive(Debug, Default)]
pub(super) struct Extras(Option<Box<Kept>>);

/// What is kept.
#[derive(Debug, Default)]
struct Kept {
    /// What turns have said that have not committed a reply.
    partials: Vec<(Generation, Said)>,
    /// The begins that were asked for under a name, by that.
    requests: HashMap<String, RequestRecord>,
    /// The names of `requests`, by the turn that came of each.
    asked: HashMap<Generation, String>,
    /// The turns that stand beside siblings, oldest first.
    branches: Vec<BranchRecord>,
    /// What was taken back, oldest first.
    revisions: Vec<Revision>,
    /// What is kept of the handles of outside services, by their names; nothing that is empty.
    resume: HashMap<String, ResumeRecord>,
}

/// What a turn has said.
#[derive(Debug, Default)]
struct Said {
    /// How many chunks.
    chunks: u64,
    /// Their text.
    text: Vec<u8>,
}

impl Extras {
    /// Notes what a begin has beside its marker and its input.
    pub(super) fn begun(
        &mut self,
        generation: Generation,
        request: Option<Request>,
        parent: Option<u64>,
    ) {
        if let Some(Request { key, digest }) = request {
            let record = RequestRecord { generation, digest };
            let kept = self.kept_mut();
            kept.asked.insert(generation, key.clone());
            if let Some(replaced) = kept.requests.insert(key, record) {
                kept.asked.remove(&replaced.generation);
            }
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
            said.chunks = said.chunks.saturating_add(piece.chunks);
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
        self.0.as_ref()?.requests.get(key).copied()
    }

    /// The turns that stand beside siblings.
    pub(super) fn branches(&self) -> Vec<BranchRecord> {
        self.0.as_ref().map_or_else(Vec::new, |kept| kept.branches.clone())
    }

    /// What was taken back.
    pub(super) fn revisions(&self) -> Vec<Revision> {
        self.0.as_ref().map_or_else(Vec::new, |kept| kept.revisions.clone())
    }

    /// The number of the newest revision; 0 if there is none.
    pub(super) fn newest_revision(&self) -> u64 {
        let newest = self.0.as_ref().and_then(|kept| kept.revisions.last());
        newest.map_or(0, |newest| newest.version)
    }

    /// Keeps what was taken back.
    pub(super) fn taken_back(&mut self, revision: Revision) {
        self.kept_mut().revisions.push(revision);
    }

    /// The revision of this number.
    pub(super) fn revision(&self, version: u64) -> Option<&Revision> {
        self.0.as_ref()?.revisions.iter().find(|revision| revision.version == version)
    }

    /// Takes out the revision of this number.
    pub(super) fn take_revision(&mut self, version: u64) -> Option<Revision> {
        let revisions = &mut self.0.as_mut()?.revisions;
        let place = revisions.iter().position(|revision| revision.version == version)?;
        Some(revisions.remove(place))
    }

    /// Entries have other numbers now: turns that stand under them go on standing there.
    pub(super) fn moved(&mut self, numbers: &HashMap<u64, u64>) {
        for branch in self.0.iter_mut().flat_map(|kept| &mut kept.branches) {
            branch.parent = numbers.get(&branch.parent).copied().unwrap_or(branch.parent);
        }
    }

    /// Drops a revision, with what its turns had said; answers whether it was there.
    pub(super) fn forget_revision(&mut self, version: u64) -> bool {
        let Some(Revision { entries, .. }) = self.take_revision(version) else { return false };
        let Some(kept) = &mut self.0 else { return false };
        let turns: HashSet<_> = entries.iter().filter_map(|entry| entry.generation).collect();
        kept.partials.retain(|(turn, _)| !turns.contains(turn));
        true
    }

    /// Drops the request that turn `generation` came of; answers whether it was there.
    pub(super) fn forget_request(&mut self, generation: Generation) -> bool {
        let Some(kept) = &mut self.0 else { return false };
        let Some(key) = kept.asked.remove(&generation) else { return false };
        kept.requests.remove(&key);
        true
    }

    /// What is kept of the handles of an outside service.
    pub(super) fn resume(&self, provider: &str) -> Option<&ResumeRecord> {
        self.0.as_ref()?.resume.get(provider)
    }

    /// Changes what is kept of the handles of an outside service.
    pub(super) fn change_resume(&mut self, change: &ResumeChange, at: Timestamp) {
        self.with_resume(&change.provider, |record| record.apply(&change.action, at));
    }

    /// What is kept of the handles of all outside services.
    pub(super) fn all_resume(&self) -> impl Iterator<Item = (&String, &ResumeRecord)> {
        self.0.iter().flat_map(|kept| &kept.resume)
    }

    /// Drops the handle of an outside service that was used last at or before `at`; answers whether there
    /// was such.
    pub(super) fn forget_resume_handle(&mut self, provider: &str, at: Timestamp) -> bool {
        self.with_resume(provider, |record| record.forget_handle(at))
    }

    /// Drops the refusals of the handles of an outside service, the last of which was made at or before
    /// `at`; answers whether there were such.
    pub(super) fn forget_refused_handles(&mut self, provider: &str, at: Timestamp) -> bool {
        self.with_resume(provider, |record| record.forget_refused(at))
    }

    /// Changes what is kept of an outside service; what is empty then is not kept.
    fn with_resume<T>(&mut self, provider: &str, change: impl FnOnce(&mut ResumeRecord) -> T) -> T {
        let all = self.0.as_mut().map(|kept| &mut kept.resume);
        let mut record = all.and_then(|all| all.remove(provider)).unwrap_or_default();
        let answer = change(&mut record);
        if !record.is_empty() {
            self.kept_mut().resume.insert(provider.to_owned(), record);
        }
        answer
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

//! Everything that can be read from a store, to tell that nothing has changed.

use bytes::Bytes;

use super::rig::{Rig, Verdict, id, key, same};
use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::key::SessionKey;
use crate::store::{
    BranchRecord, Found, Record, RecordFilter, RequestRecord, ResumeRecord, Revision, StoredEntry,
    StoredPartial, TurnRecord,
};

/// The names that ids and chats of the checks are taken from.
pub(super) const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The names of data that the checks use.
pub(super) const DATA: [&str; 3] = ["one", "two", "three"];

/// The names under which the checks ask for begins.
pub(super) const REQUESTS: [&str; 3] = ["ask", "again", "other"];

/// The names of outside services that the checks use.
pub(super) const SERVICES: [&str; 2] = ["cli", "api"];

/// All that can be read of the names in [`NAMES`], [`DATA`], [`REQUESTS`] and [`SERVICES`], and all records.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The listed sessions and their content.
    pub(super) lives: Vec<Content>,
    /// What stands under each id.
    pub(super) found: Vec<(SessionId, Found)>,
    /// What each key is bound to.
    pub(super) bound: Vec<(SessionKey, Option<SessionId>)>,
}

/// All that can be read of one life.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// Its record, as it is listed.
    pub(super) record: Record,
    /// The keys that are bound to it.
    pub(super) keys: Vec<SessionKey>,
    /// Its transcript.
    pub(super) entries: Vec<StoredEntry>,
    /// Its data, by [`DATA`].
    pub(super) data: Vec<Option<Bytes>>,
    /// Its settled turns, up to one beyond the newest.
    pub(super) turns: Vec<Option<TurnRecord>>,
    /// What they have said, like `turns`.
    pub(super) partials: Vec<Option<StoredPartial>>,
    /// What came of requests, by [`REQUESTS`].
    pub(super) requests: Vec<Option<RequestRecord>>,
    /// What is kept of handles, by [`SERVICES`].
    pub(super) resume: Vec<ResumeRecord>,
    /// Its turns beside siblings.
    pub(super) branches: Vec<BranchRecord>,
    /// What was taken back.
    pub(super) revisions: Vec<Revision>,
}

impl Snapshot {
    /// Reads everything; look-ups are made as of `now`.
    pub(super) async fn take(rig: &Rig, now: Timestamp) -> Result<Self, String> {
        let page = rig.list(&RecordFilter::default(), None, 10_000).await?;
        same("damaged rows of a listing", &page.damaged, &vec![])?;
        let mut lives = Vec::with_capacity(page.records.len());
        for record in page.records {
            lives.push(Content::take(rig, record).await?);
        }
        let mut found = Vec::with_capacity(NAMES.len());
        let mut bound = Vec::with_capacity(NAMES.len());
        for name in NAMES {
            found.push((id(name), rig.found(&id(name), now).await?));
            bound.push((key(name), rig.bound_to(&key(name)).await?));
        }
        Ok(Self { lives, found, bound })
    }

    /// Whether `after`, taken later, is the same; if not, says what changed.
    pub(super) fn is_still(&self, after: &Self) -> Verdict {
        first_difference("sessions", &after.lives, &self.lives)?;
        first_difference("what is found", &after.found, &self.found)?;
        first_difference("what keys are bound to", &after.bound, &self.bound)
    }
}

impl Content {
    /// Reads the content of one life.
    async fn take(rig: &Rig, record: Record) -> Result<Self, String> {
        let entries = rig.entries(&record).await?;
        let mut data = Vec::with_capacity(DATA.len());
        for name in DATA {
            data.push(rig.datum(&record, name).await?);
        }
        let (mut turns, mut partials) = (Vec::new(), Vec::new());
        for generation in 0..=record.generation.get() + 1 {
            turns.push(rig.turn(&record, generation).await?);
            partials.push(rig.partial(&record, generation).await?);
        }
        let mut requests = Vec::with_capacity(REQUESTS.len());
        for key in REQUESTS {
            requests.push(rig.request(&record, key).await?);
        }
        let mut resume = Vec::with_capacity(SERVICES.len());
        for provider in SERVICES {
            resume.push(rig.resume(&record, provider).await?);
        }
        let (branches, revisions) = (rig.branches(&record).await?, rig.revisions(&record).await?);
        let keys = rig.keys_of(&record).await?;
        Ok(Self {
            record,
            keys,
            entries,
            data,
            turns,
            partials,
            requests,
            resume,
            branches,
            revisions,
        })
    }
}

/// Whether two lists are the same; if not, says where they first differ.
fn first_difference<T: PartialEq + std::fmt::Debug>(
    what: &str,
    after: &[T],
    before: &[T],
) -> Verdict {
    for (after, before) in after.iter().zip(before) {
        same(what, after, before)?;
    }
    same(&format!("the number of {what}"), &after.len(), &before.len())
}

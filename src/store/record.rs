//! What a store hands out.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::expiry::ExpiryRules;
use crate::id::{Generation, Incarnation, InstanceId, SessionId, StreamId};
use crate::key::SessionKey;
use crate::outcome::TurnOutcome;
use crate::standing::{Previous, Standing};
use crate::tombstone::Tombstone;

/// The metadata of one life of a session. Its entries and data are read apart.
///
/// It is a view. There is no way to save it, so a copy that is old or incomplete cannot overwrite anything:
///
/// ```compile_fail,E0599
/// # async fn clear(supervisor: session_supervisor::Supervisor, record: session_supervisor::Record) {
/// supervisor.clear_stale(&record).await; // Compare-and-set on what it calls open: always safe.
/// record.save().await;                   // No such method, on this or on anything that takes one.
/// # }
/// ```
///
/// and without the handle of a session it cannot be written to:
///
/// ```compile_fail,E0599
/// # async fn write(record: session_supervisor::Record, entry: session_supervisor::ChatMessage) {
/// record.append(&[entry]).await;
/// # }
/// ```
// Laid out as it is written, for a store that keeps it as it is: what each turn changes stands together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Record {
    /// Which conversation. Of the ids that it was given, the newest.
    pub id: SessionId,
    /// The ids that it was told by before, oldest first; each leads to it still. Most have none.
    pub former_ids: Vec<SessionId>,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The key under which it was created; it may be bound to another session by now.
    pub key: Option<SessionKey>,
    /// A line for people, such as a title.
    pub label: Option<String>,
    /// What kind of conversation it is, for settings; `None` is the platform of its key.
    pub class: Option<String>,
    /// Whether it takes turns.
    pub standing: Standing,
    /// When it ends by itself, as far as that was said for it alone.
    pub expiry: Option<Box<ExpiryRules>>,
    /// Whether it never ends by itself.
    pub pinned: bool,
    /// What its key led to before.
    pub previous: Option<Box<Previous>>,
    /// When this life began.
    pub created_at: Timestamp,
    /// The turns that were begun and not settled, oldest first.
    pub open: Vec<TurnMarker>,
    /// When it was last used: a turn begun or ended, entries appended, data put.
    pub last_active_at: Timestamp,
    /// The number of the newest turn; 0 before the first.
    pub generation: Generation,
    /// Counts the changes of the transcript and the data; what an optimistic caller compares.
    pub version: u64,
    /// The number that the next entry gets; the first is 1.
    pub next_seq: u64,
    /// How many entries there are.
    pub entries: u64,
    /// How many starts in a row, the last ones, have found it with an open turn. A commit makes it 0, and so
    /// does what makes it active again.
    pub crashes: u32,
}

/// The class of a session that has none and no key.
pub(crate) const DEFAULT_CLASS: &str = "default";

impl Record {
    /// The id under which it was created. Unlike [`id`](Self::id) it never changes.
    pub fn first_id(&self) -> &SessionId {
        self.former_ids.first().unwrap_or(&self.id)
    }

    /// What kind of conversation it is: its class, or the platform of the key that it was created under, or
    /// `default`.
    pub fn class_name(&self) -> &str {
        class_name(self.class.as_deref(), self.key.as_ref())
    }

    /// The stream of the turn that was begun last and is not settled.
    pub fn active_stream(&self) -> Option<StreamId> {
        self.open.last().map(|marker| StreamId::new(self.incarnation, marker.generation))
    }
}

/// What kind of conversation one of that class and that key is.
pub(crate) fn class_name<'a>(class: Option<&'a str>, key: Option<&'a SessionKey>) -> &'a str {
    class.or_else(|| key.map(SessionKey::platform)).unwrap_or(DEFAULT_CLASS)
}

/// A turn that was begun and not settled. Without a live turn behind it, it is stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnMarker {
    /// Which turn.
    pub generation: Generation,
    /// Which run of the process began it.
    pub instance: InstanceId,
    /// When.
    pub began_at: Timestamp,
}

/// How a turn ended: its one terminal outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnRecord {
    /// Which turn.
    pub generation: Generation,
    /// How it ended.
    pub outcome: TurnOutcome,
    /// When.
    pub settled_at: Timestamp,
}

/// What is kept of the reply of a turn that has not committed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPartial {
    /// How many chunks are kept, from the first on.
    pub chunks: u64,
    /// Their text, one after the other.
    pub text: Bytes,
}

/// A begin that was asked for under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// The turn that came of it.
    pub generation: Generation,
    /// Of what was asked for.
    pub digest: u128,
}

/// A turn that stands beside its siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchRecord {
    /// The turn.
    pub generation: Generation,
    /// The number of the entry that it stands under; 0 is the start of the transcript.
    pub parent: u64,
}

/// What is kept for a time only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forget {
    /// Tombstones whose `until` lies at or before this time.
    Tombstones(Timestamp),
    /// Revisions that were made at or before this time, with their entries.
    Revisions(Timestamp),
    /// Requests whose turns were begun at or before this time.
    Requests(Timestamp),
    /// Handles of outside services that were used last at or before this time.
    ResumeHandles(Timestamp),
    /// All refusals of the handles of one service, if the last was made at or before this time; they are
    /// one together.
    RefusedHandles(Timestamp),
}

impl Forget {
    /// Its name in logs and metrics; stable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tombstones(_) => "forget_tombstones",
            Self::Revisions(_) => "forget_revisions",
            Self::Requests(_) => "forget_requests",
            Self::ResumeHandles(_) => "forget_resume_handles",
            Self::RefusedHandles(_) => "forget_refused_handles",
        }
    }
}

/// One entry of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its number, growing along the transcript. Dropped inputs leave gaps.
    pub seq: u64,
    /// The turn that wrote it; `None` if it was appended without one.
    pub generation: Option<Generation>,
    /// Whether it is what the turn was begun with, or what was said to it later.
    pub input: bool,
    /// Whether it counts.
    pub mark: EntryMark,
    /// When it was written.
    pub at: Timestamp,
    /// The entry, encoded.
    pub payload: Bytes,
}

/// What is known of an entry beside its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryMark {
    /// A part of the transcript.
    Kept,
    /// The input of a turn that still runs. Stores do not write this one; the supervisor knows it.
    Pending,
    /// The input of a turn that ended without a reply.
    Unanswered,
    /// What a turn had said when it was interrupted: not a whole reply.
    Partial,
    /// The input of a parallel turn that lost: kept beside the transcript, not in it.
    Aside,
    /// Its row was damaged on the disk; the payload is empty.
    Damaged,
}

/// What there is under an id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one at a time, and a session as a rule")]
pub enum Found {
    /// A session.
    Live(Record),
    /// It was deleted.
    Gone(Tombstone),
    /// Nothing, and nothing that is remembered.
    Unknown,
}

/// Which records a listing shows. The default shows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordFilter {
    /// Only those created under a key of this platform.
    pub platform: Option<String>,
    /// Only those last used at or after this time.
    pub active_since: Option<Timestamp>,
    /// Only those with an open turn (`true`), or without one (`false`).
    pub replying: Option<bool>,
    /// Only those that keys can lead to (`true`): active and suspended ones; or that none can lead to
    /// (`false`): archived ones and those that have ended.
    pub routable: Option<bool>,
}

impl RecordFilter {
    /// Also only those created under a key of this platform.
    #[must_use]
    pub fn platform(mut self, platform: &str) -> Self {
        self.platform = Some(platform.to_owned());
        self
    }

    /// Also only those last used at or after this time.
    #[must_use]
    pub fn active_since(mut self, since: Timestamp) -> Self {
        self.active_since = Some(since);
        self
    }

    /// Also only those with an open turn (`true`), or without one (`false`).
    #[must_use]
    pub fn replying(mut self, replying: bool) -> Self {
        self.replying = Some(replying);
        self
    }

    /// Also only those that keys can lead to (`true`), or that none can lead to (`false`).
    #[must_use]
    pub fn routable(mut self, routable: bool) -> Self {
        self.routable = Some(routable);
        self
    }

    /// Whether `record` is shown.
    pub fn matches(&self, record: &Record) -> bool {
        let platform = self
            .platform
            .as_deref()
            .is_none_or(|wanted| record.key.as_ref().is_some_and(|key| key.platform() == wanted));
        let active = self.active_since.is_none_or(|since| record.last_active_at >= since);
        let replying = self.replying.is_none_or(|wanted| wanted != record.open.is_empty());
        let routable = self.routable.is_none_or(|wanted| wanted == record.standing.is_routable());
        platform && active && replying && routable
    }
}

/// A part of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordPage {
    /// The records, in order of creation.
    pub records: Vec<Record>,
    /// Rows that could not be read, each told by table and id. They are left out of `records`.
    pub damaged: Vec<String>,
    /// Where the next page starts; `None` if this was the last.
    pub next: Option<Incarnation>,
}

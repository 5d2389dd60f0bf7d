//! What a store is told.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::expiry::ExpiryRules;
use crate::id::{Generation, SessionId};
use crate::outcome::TurnOutcome;
use crate::standing::Standing;
use crate::tombstone::Tombstone;

use super::record::TurnMarker;
use super::resume::ResumeChange;
use super::revision::RevisionReason;

/// One operation on one life of a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Write {
    /// Opens a turn: its marker and the user's input, together.
    ///
    /// Fenced if the turn's number is not above the record's `generation`, or the input's not its
    /// `next_seq`.
    Begin {
        /// The turn.
        marker: TurnMarker,
        /// The input's number and content. A turn may have none.
        input: Option<(u64, Bytes)>,
        /// What only some begins do beside it; in the same transaction, and before it.
        extra: Option<Box<BeginExtra>>,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Adds an input to an open turn: somebody said something more while it worked.
    ///
    /// Fenced if the turn is not open, or `seq` is not the record's `next_seq`.
    Steer {
        /// The turn.
        generation: Generation,
        /// The input's number.
        seq: u64,
        /// The input.
        input: Bytes,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Keeps a further piece of what an open turn has said so far, beside the transcript. Not a use.
    ///
    /// Fenced if the turn is not open, or `piece.first` is not the number after the last chunk that is
    /// kept of it, or the piece has no chunk.
    Partial {
        /// The turn.
        generation: Generation,
        /// What was said.
        piece: PartialPiece,
    },
    /// Ends a turn with its reply: entries, data, outcome `Committed`, counters and the marker's end,
    /// together. What was kept of its partial reply goes.
    ///
    /// Fenced if the turn is not open, or `first_seq` is not the record's `next_seq`.
    Commit {
        /// The turn.
        generation: Generation,
        /// The number of the first entry.
        first_seq: u64,
        /// The reply.
        entries: Vec<Bytes>,
        /// Data that change with it.
        data: Vec<DataChange>,
        /// What only some commits do beside it, in the same transaction.
        extra: Option<Box<CommitExtra>>,
        /// The record's version from then on.
        version: u64,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Ends a turn without a reply: outcome and the marker's end, and what becomes of the input and of
    /// what was said.
    ///
    /// Fenced if the turn is not open, or `next_seq` is below the record's, or a piece in `partial` does
    /// not follow on what is kept.
    Settle {
        /// The turn.
        generation: Generation,
        /// How it ended; never `Committed`.
        outcome: TurnOutcome,
        /// What becomes of its inputs.
        input: InputFate,
        /// What becomes of what it has said.
        partial: PartialFate,
        /// The record's `next_seq` from then on. An entry of `partial` is the one before it; a number
        /// that was given to an entry that could not be made is left out.
        next_seq: u64,
        /// The record's version from then on, unless that is higher already.
        version: u64,
        /// When. Becomes `last_active_at`, except for an outcome of
        /// [`TurnOutcome::Interrupted`], since a repair is not a use.
        at: Timestamp,
    },
    /// Adds entries without a turn. Fenced if `first_seq` is not the record's `next_seq`.
    Append {
        /// The number of the first entry.
        first_seq: u64,
        /// The entries.
        entries: Vec<Bytes>,
        /// The record's version from then on.
        version: u64,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Changes data. Fenced if the version is not above the record's: whoever writes it has not seen the
    /// latest.
    PutData {
        /// The changes, in order.
        changes: Vec<DataChange>,
        /// The record's version from then on.
        version: u64,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Takes entries out of the transcript, and keeps them as a revision. Their numbers are not given
    /// again.
    ///
    /// Fenced if a turn is open, or the version is not above the record's and every revision's.
    TakeBack {
        /// Which.
        from: TakeBack,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Puts the entries of a revision back, at the end and under new numbers. What stands in the transcript
    /// from the place on where they stood is taken out first, as [`Write::TakeBack`] does, if there is
    /// any. A turn that stood under one of them stands under it as before.
    ///
    /// Fenced if there is no such revision, or it has other entries than `back` says, or as
    /// [`Write::TakeBack`] and [`Write::Append`] are.
    PutBack {
        /// Which.
        back: PutBack,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Drops a revision with its entries, and with what their turns had said. Nothing happens if there is
    /// none of this number. Not a use.
    ForgetRevision {
        /// Its number.
        version: u64,
    },
    /// Changes what is kept of the handles of an outside service, as [`ResumeRecord::apply`] does. Not a
    /// use. What comes of it is nothing that a store refuses.
    ///
    /// [`ResumeRecord::apply`]: super::ResumeRecord::apply
    Resume {
        /// What is to be done.
        change: Box<ResumeChange>,
        /// When.
        at: Timestamp,
    },
    /// Changes the line for people.
    Label {
        /// The new one.
        label: Option<String>,
    },
    /// Changes whether the session takes turns. Keys stay bound to it: whoever follows one sees that the
    /// session is not to be used, and binds the key to a fresh one. One that is active from then on has its
    /// crashes counted anew.
    ///
    /// Fenced if a turn is open, or it is not as `unused_since` says.
    Standing {
        /// The new one.
        standing: Standing,
        /// Only if it is active, not pinned, and was not used after that.
        unused_since: Option<Timestamp>,
        /// When it was used, if this is a use: becomes `last_active_at`.
        used_at: Option<Timestamp>,
    },
    /// Changes metadata. Not a use, but for what it says of one.
    Patch {
        /// What.
        patch: RecordPatch,
    },
    /// Gives the life a further id, by which it is told from then on. It keeps everything, and every id
    /// that it had before goes on leading to it.
    ///
    /// Fenced if any life has the id, this one too, or if it is a tombstone that stands at `at`; one
    /// that does not makes room.
    Rotate {
        /// The new id.
        to: SessionId,
        /// When; becomes `last_active_at`.
        at: Timestamp,
    },
    /// Deletes the record, damaged or not, and everything that hangs on it: entries, revisions, data, turns, partial
    /// replies, branches, requests and handles of outside services. Unbinds every key that still points to
    /// this life, and leaves the tombstone under every id that it has had.
    Delete {
        /// What stays under its ids.
        tombstone: Tombstone,
    },
}

impl Write {
    /// Its name in logs and metrics; stable.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Begin { .. } => "begin",
            Self::Steer { .. } => "steer",
            Self::Partial { .. } => "partial",
            Self::Commit { .. } => "commit",
            Self::Settle { .. } => "settle",
            Self::Append { .. } => "append",
            Self::PutData { .. } => "put_data",
            Self::TakeBack { .. } => "take_back",
            Self::Resume { .. } => "resume",
            Self::PutBack { .. } => "put_back",
            Self::ForgetRevision { .. } => "forget_revision",
            Self::Label { .. } => "label",
            Self::Standing { .. } => "standing",
            Self::Patch { .. } => "patch",
            Self::Rotate { .. } => "rotate",
            Self::Delete { .. } => "delete",
        }
    }
}

/// A change of metadata; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordPatch {
    /// Whether it never ends by itself.
    pub pinned: Option<bool>,
    /// When it ends by itself; `Some(None)` takes back what was said for it alone.
    pub expiry: Option<Option<Box<ExpiryRules>>>,
    /// How many starts in a row have found it with an open turn.
    pub crashes: Option<u32>,
    /// When it was last used, also if the wall clock was put back and this is earlier than what is stored.
    pub touched_at: Option<Timestamp>,
}

/// What only some begins do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BeginExtra {
    /// Takes entries back first, as [`Write::TakeBack`] does, and is fenced as that is: the turn does an
    /// earlier one over.
    pub take_back: Option<TakeBack>,
    /// The caller's name for what it asked for, to be found again by [`Store::request`]. It takes the
    /// place of an earlier one in this life.
    ///
    /// [`Store::request`]: super::Store::request
    pub request: Option<Request>,
    /// The number of the entry that the turn stands under, for one that runs beside its siblings.
    pub parent: Option<u64>,
}

/// What only some commits do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitExtra {
    /// What becomes of handles of outside services, in order, each as [`Write::Resume`] does it.
    pub resume: Vec<ResumeChange>,
}

/// Which entries go out of the transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeBack {
    /// All with this number or a higher one.
    pub from: u64,
    /// The record's version from then on, which is also the revision's number.
    pub version: u64,
    /// Why.
    pub reason: RevisionReason,
}

/// Which entries come back into the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutBack {
    /// Those of the revision of this number, which is no more then.
    pub revision: u64,
    /// The number of the first of them. What stands in the transcript with this number or a higher one is
    /// taken out.
    pub from: u64,
    /// How many they are; at least one.
    pub entries: u64,
    /// The new number of the first of them: the record's `next_seq`.
    pub first_seq: u64,
    /// The record's version from then on, which is also the number of the revision of what is taken out.
    pub version: u64,
}

/// A caller's own name for a begin, so that asking twice begins once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name.
    pub key: String,
    /// Of what was asked for, so that another request under the same name is found out.
    pub digest: u128,
}

/// A piece of what a turn has said, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialPiece {
    /// The number of its first chunk.
    pub first: u64,
    /// How many chunks it is; at least one.
    pub chunks: u64,
    /// Their text.
    pub text: Bytes,
}

/// What becomes of what a turn has said that ended without a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartialFate {
    /// It goes.
    Drop,
    /// It stays beside the transcript, with a last piece.
    Keep {
        /// The last piece.
        last: Option<PartialPiece>,
    },
    /// It goes, and this becomes an entry of the turn, marked [`EntryMark::Partial`].
    ///
    /// [`EntryMark::Partial`]: super::EntryMark::Partial
    Entry {
        /// The entry, encoded.
        payload: Bytes,
    },
}

/// One change of a session's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataChange {
    /// The datum's name.
    pub name: String,
    /// Its new content, encoded; `None` removes it.
    pub value: Option<Bytes>,
}

/// What becomes of the input of a turn that ended without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InputFate {
    /// It stays in the transcript, marked unanswered.
    Keep,
    /// It is removed.
    Drop,
    /// It stays beside the transcript: the turn ran in parallel and lost.
    Aside,
}

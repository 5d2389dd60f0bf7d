//! Where records live: the [`Store`] trait, and the stores that come with the library.
//!
//! A store is told operations, never whole objects, so a partial view cannot be saved over a full
//! one: there is no save. It knows ids and records, and nothing of sessions, turns or actors.
//!
//! What every store promises, and `testing::conformance` shows:
//!
//! - A [`Write`] happens whole or not at all, and its future resolves after the commit.
//! - Each write carries the [`Incarnation`] it is meant for, and the turn where there is one. A
//!   write to a life that is over, to a turn that is not open, or out of order is
//!   [`StoreError::Fenced`] and changes nothing.
//! - A write that was refused or failed never fails another that was gathered into the same
//!   transaction.
//! - Writes to one life happen in the order in which they were handed over, awaited or not.
//! - Handing over a write is enough: dropping its future afterwards does not take it back.
//! - Each life of an id has its own entries and data; a later life never sees an earlier one's.

mod creation;
mod error;
mod heal;
mod lane;
mod memory;
mod record;
mod resume;
mod revision;
mod run;
#[cfg(feature = "sqlite")]
mod sqlite;
mod write;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

pub use creation::{Binding, Bound, Created, NewRecord};
pub use error::{FenceReason, StoreError};
pub use heal::{HealReport, Healed, QuarantineReason, Quarantined};
pub(crate) use lane::lane;
pub use lane::{Bucket, DueBy, DuePage, DueQuery, Lane};
pub use memory::MemoryStore;
pub use record::{
    BranchRecord, EntryMark, Forget, Found, Record, RecordFilter, RecordPage, RequestRecord,
    StoredEntry, StoredPartial, TurnMarker, TurnRecord,
};
pub(crate) use record::{DEFAULT_CLASS, class_name};
pub use resume::{
    MAX_REFUSED, RefusedHandle, ResumeAction, ResumeChange, ResumeRecord, StoredHandle,
    resume_digest,
};
pub use revision::{Revision, RevisionReason};
pub use run::{CleanStop, DrainCounts, KEPT_RUNS, RunRecord, RunsFound};
#[cfg(all(fuzzing, feature = "sqlite"))]
pub(crate) use sqlite::fuzzing;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore, Synchronous};
pub use write::{
    BeginExtra, CommitExtra, DataChange, InputFate, PartialFate, PartialPiece, PutBack,
    RecordPatch, Request, TakeBack, Write,
};

use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, InstanceId, SessionId};
use crate::key::SessionKey;
use crate::rt::Arc;

/// Where records live.
///
/// Object safe; a supervisor holds an `Arc<dyn Store>`. What an implementation promises is at the
/// top of [this module](self); `testing::conformance` checks it. Only one supervisor uses a store
/// at a time, and a store with a file of its own sees to that itself.
///
/// A future that is returned must not need the store to be borrowed, since it may be finished by
/// another task than the caller's; a store that has its answer at once returns
/// [`StoreFuture::ready`] and costs no task switch.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Creates a session with its first entries and data, and binds its key, in one transaction.
    ///
    /// Draws the life's [`Incarnation`] from the store's counter. That the id is taken, that it is a
    /// tombstone, or that the key is bound to something else is an answer, not an error. A binding that is
    /// damaged is in nobody's way: it is replaced, whatever was expected.
    fn create(&self, new: NewRecord) -> StoreFuture<Result<Created, StoreError>>;

    /// Applies one operation to the life `incarnation` of the session `id`, in one transaction. Here and
    /// in every read of a life, `id` is any of the ids that it has had.
    fn write(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        write: Write,
    ) -> StoreFuture<Result<(), StoreError>>;

    /// A shorter way to write to one life, for a store that answers at once: it is asked for when a
    /// session is loaded, and used instead of [`write`](Self::write) from then on. It must do the same,
    /// and refuse the same, whatever has become of the life since. `None` is always right.
    fn attach(&self, _id: &SessionId, _incarnation: Incarnation) -> Option<Arc<dyn LifeWriter>> {
        None
    }

    /// What there is under `id`, which may be any of the ids that a life has had. A tombstone counts until
    /// its `until` lies at or before `now`.
    fn look_up(&self, id: &SessionId, now: Timestamp) -> StoreFuture<Result<Found, StoreError>>;

    /// Which life there is under `id`, also where [`look_up`](Self::look_up) says that its record is
    /// damaged: so that it can be deleted all the same. A store whose records cannot be damaged has none to
    /// tell.
    fn life_of(&self, _id: &SessionId) -> StoreFuture<Result<Option<Incarnation>, StoreError>> {
        StoreFuture::ready(Ok(None))
    }

    /// The session that `key` is bound to, by the id under which that was created.
    fn bound_to(&self, key: &SessionKey) -> StoreFuture<Result<Option<SessionId>, StoreError>>;

    /// Binds a key to a life, or to nothing, by compare-and-set and in one transaction. Several keys may
    /// be bound to one life. Concerns the key alone: it is no use of any session. That the key has moved
    /// or that there is no such life is an answer, not an error; the key is judged first.
    fn bind(
        &self,
        binding: Binding,
        to: Option<(SessionId, Incarnation)>,
    ) -> StoreFuture<Result<Bound, StoreError>>;

    /// Every key that is bound to a life, in the order of their text.
    fn keys_of(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<SessionKey>, StoreError>>;

    /// Up to `limit` entries of a life with a number above `after`, in order, without those that were
    /// taken back.
    ///
    /// An entry whose checksum does not match is told as [`EntryMark::Damaged`] with an empty
    /// payload; the others are not affected. [`StoreError::Damaged`] if it cannot be read which were
    /// taken back: they are not shown as if they still counted.
    fn entries(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        after: u64,
        limit: usize,
    ) -> StoreFuture<Result<Vec<StoredEntry>, StoreError>>;

    /// The datum `name` of a life.
    fn datum(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        name: &str,
    ) -> StoreFuture<Result<Option<Bytes>, StoreError>>;

    /// How turn `generation` of a life ended; `None` if it is open or never was.
    fn turn(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<TurnRecord>, StoreError>>;

    /// Up to `limit` records that match, in order of creation, after the life `after`.
    fn list(
        &self,
        filter: RecordFilter,
        after: Option<Incarnation>,
        limit: usize,
    ) -> StoreFuture<Result<RecordPage, StoreError>>;

    /// How many sessions there are, without those that were archived or have ended. Asked for at the start,
    /// so it must not cost what the sessions hold.
    fn count(&self) -> StoreFuture<Result<u64, StoreError>>;

    /// The lanes in which sessions stand, and perhaps some in which none does any more, in no order. A
    /// name that is no lane is left out.
    fn lanes(&self) -> StoreFuture<Result<Vec<Lane>, StoreError>>;

    /// Up to `limit` sessions of a lane that are old enough. The answer costs what it holds, and not what
    /// the store holds; only by [`DueBy::Created`] it may cost what was created up to then.
    fn due(&self, query: DueQuery, limit: usize) -> StoreFuture<Result<DuePage, StoreError>>;

    /// What is kept of the reply of turn `generation`; `None` if nothing is. [`StoreError::Damaged`] if
    /// a piece of it is damaged or missing.
    fn partial(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<StoredPartial>, StoreError>>;

    /// What came of the begin that was asked for under the name `key`, if that is not forgotten.
    fn request(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        key: &str,
    ) -> StoreFuture<Result<Option<RequestRecord>, StoreError>>;

    /// The turns of a life that were begun under a parent, oldest first. [`StoreError::Damaged`] if one
    /// cannot be read, since the others are told wrongly without it.
    fn branches(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<BranchRecord>, StoreError>>;

    /// What was taken out of the transcript and is not forgotten, oldest first. An entry that is damaged is
    /// told as in [`entries`](Self::entries). [`StoreError::Damaged`] if it cannot be read what was taken
    /// out.
    fn revisions(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<Revision>, StoreError>>;

    /// What is kept of the handles of the outside service `provider`; empty if nothing is.
    /// [`StoreError::Damaged`] if it cannot be read; what is kept next takes its place.
    fn resume(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        provider: &str,
    ) -> StoreFuture<Result<ResumeRecord, StoreError>>;

    /// Removes up to `limit` of what is kept for a time, oldest first; answers how many. What is damaged
    /// stays until its session is deleted.
    fn forget(&self, what: Forget, limit: usize) -> StoreFuture<Result<usize, StoreError>>;

    /// Notes a run of the process that starts at `at`, as the newest, and answers what there is, in one
    /// transaction. Of more than [`KEPT_RUNS`] the oldest goes. An instance may be noted twice; it is
    /// another run then.
    ///
    /// A damaged row never fails it. It is called once, before anything else, and may cost something for
    /// each session that there is, but less than a listing by far.
    fn open_run(
        &self,
        instance: InstanceId,
        at: Timestamp,
    ) -> StoreFuture<Result<RunsFound, StoreError>>;

    /// Marks the newest run as ended in good order; again replaces the mark. [`FenceReason::RunOver`]
    /// unless it is that of `instance`: a later start has been told already that it was not marked.
    fn close_run(
        &self,
        instance: InstanceId,
        stop: CleanStop,
    ) -> StoreFuture<Result<(), StoreError>>;

    /// Puts back what was lost from transcripts: what a revision holds that the record of its session knows
    /// nothing of, which no write leaves behind. What was removed on purpose stays removed, and what is
    /// wrong otherwise stays as it is and is told. Asked once, before anything is loaded.
    ///
    /// It looks at sessions with revisions only, counts as no use, and asked twice does nothing the second
    /// time. A store in which rows cannot come apart has nothing to do.
    fn heal(&self) -> StoreFuture<Result<HealReport, StoreError>> {
        StoreFuture::ready(Ok(HealReport::default()))
    }

    /// Looks at everything, and answers with what is damaged, a line each; empty is well.
    fn check(&self) -> StoreFuture<Result<Vec<String>, StoreError>>;

    /// Finishes what was handed over and lets go of files and locks. Everything afterwards is
    /// refused with [`StoreError::Closed`]. Closing twice is harmless.
    fn close(&self) -> StoreFuture<Result<(), StoreError>>;
}

/// Writes to one life of one session; what [`Store::attach`] hands out.
pub trait LifeWriter: fmt::Debug + Send + Sync + 'static {
    /// As [`Store::write`], to the life it was handed out for, and without waiting: it is called on
    /// the thread of whoever begins or commits, and must not block it.
    ///
    /// # Errors
    ///
    /// [`StoreError`], as from [`Store::write`].
    fn write(&self, write: Write) -> Result<(), StoreError>;
}

/// The answer of a store: there already, or to be awaited.
///
/// Sends between threads and borrows nothing.
#[must_use = "a store's answer says whether anything happened"]
pub struct StoreFuture<T>(Answer<T>);

/// The two states of a [`StoreFuture`].
enum Answer<T> {
    /// There already; taken by the first poll.
    Ready(Option<T>),
    /// To be polled.
    Pending(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> StoreFuture<T> {
    /// An answer that is there already.
    pub fn ready(answer: T) -> Self {
        Self(Answer::Ready(Some(answer)))
    }

    /// An answer to be awaited.
    pub fn pending(answer: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Answer::Pending(Box::pin(answer)))
    }

    /// The answer if it is there already, and otherwise the future.
    pub(crate) fn now(self) -> Result<T, Self> {
        match self.0 {
            Answer::Ready(Some(answer)) => Ok(answer),
            pending @ (Answer::Ready(None) | Answer::Pending(_)) => Err(Self(pending)),
        }
    }
}

impl<T: Unpin> Future for StoreFuture<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut self.get_mut().0 {
            Answer::Ready(answer) => Poll::Ready(answer.take().expect("polled after it was ready")),
            Answer::Pending(future) => future.as_mut().poll(context),
        }
    }
}

impl<T> fmt::Debug for StoreFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if matches!(self.0, Answer::Ready(_)) { "ready" } else { "pending" };
        write!(f, "StoreFuture({state})")
    }
}

//! The embedded durable store: one SQLite file, owned by one process.
//!
//! - **Durable when answered.** The write-ahead log is synced before a write's future resolves, and
//!   writes of all sessions that wait at that time share the sync ([`queue`], [`writer`]).
//! - **Owned.** An advisory lock beside the file keeps a second process away, and a killed one
//!   blocks nobody ([`ownership`]).
//! - **Where it was.** What would be written to a file that was moved away is refused ([`presence`]).
//! - **Checked.** A foreign, newer or broken file is refused and left as it is ([`inspect`]); every
//!   row has a checksum, and a damaged one is told by name while the rest goes on ([`row`]).
//! - **Quiet.** Nothing runs while nothing is asked: the disk is worked on by blocking tasks of the
//!   runtime that the store was opened on, one for writes and a few for reads ([`reader`]).
//!
//! Statements are beside their rows: [`life`], [`entry`], [`datum`], [`turn`], [`binding`],
//! [`later_id`], [`tombstone`], [`partial`], [`revision`], [`request`], [`resume`], [`branch`], [`standing`], [`run`];
//! [`change`] and [`query`] put them together.

mod binding;
mod branch;
mod change;
mod check;
mod datum;
mod entry;
mod failure;
mod flusher;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod heal;
mod inspect;
mod later_id;
mod life;
mod opening;
mod options;
mod ownership;
mod partial;
mod presence;
mod query;
mod queue;
mod range;
mod reader;
mod request;
mod resume;
mod revision;
mod row;
mod run;
mod schema;
mod snapshot;
mod standing;
mod tombstone;
mod traits;
mod truncate;
mod turn;
mod verdict;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rusqlite::Connection;

pub use options::{SqliteOptions, Synchronous};

use self::failure::Setback;
use self::flusher::Flusher;
use self::ownership::Ownership;
use self::presence::Presence;
use self::queue::{Answer, Job, Operation, Queue};
use self::reader::Readers;
use self::writer::Writer;
use super::{
    Binding, Bound, BranchRecord, CleanStop, Created, DuePage, DueQuery, Forget, Found, HealReport,
    Lane, NewRecord, RecordFilter, RecordPage, RequestRecord, ResumeRecord, Revision, RunsFound,
    Store, StoreError, StoreFuture, StoredEntry, StoredPartial, TurnRecord, Write,
};
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, InstanceId, SessionId};
use crate::key::SessionKey;
use crate::rt::{Arc, AtomicU64, Mutex, Ordering, Spawner, oneshot};

/// Keeps everything in one SQLite file. A clone is another handle to the same store.
///
/// The file belongs to one `SqliteStore` at a time, on this machine, from [`open`](Self::open) until
/// [`close`](Store::close). Dropping the last handle gives it up as well, but only once the work
/// that was handed over is done, and perhaps on a thread of the runtime. Files beside it end in `-wal`,
/// `-shm` and `.lock`; the first two belong to it, so that a backup is made with SQLite's own means
/// or after a close.
#[derive(Clone)]
pub struct SqliteStore {
    /// What the handles share.
    shared: Arc<Shared>,
}

/// What the handles of one store share. Dropped from the top: the lock goes last.
struct Shared {
    /// Where the file is.
    path: PathBuf,
    /// The runtime whose blocking tasks work on the file.
    spawner: Spawner,
    /// The writes that wait.
    queue: Queue,
    /// How many transactions were committed.
    transactions: AtomicU64,
    /// The connections that read.
    readers: Arc<Readers>,
    /// The connection that writes, and the lock; `None` once closed. Held by the flusher while it
    /// works on a batch.
    writer: Mutex<Option<Owned>>,
}

/// What is given up at the close, in this order.
#[derive(Debug)]
struct Owned {
    /// The connection that writes.
    writer: Writer,
    /// Where its file has to be.
    presence: Presence,
    /// The lock on the file.
    ownership: Ownership,
}

impl SqliteStore {
    /// Opens the store at `path`, and makes it if there is nothing or an empty file.
    ///
    /// Must be called on a tokio runtime, whose blocking tasks the store uses from then on.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Owned`] if another store has the file open, in this process or another.
    /// - [`StoreError::Unusable`] if the path cannot be reached or written, or is not a whole file
    ///   of this library and of a version that it knows. The file was not changed.
    /// - [`StoreError::Unavailable`] outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// If this future is dropped the file is opened and closed again, and may have been made.
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let what = format!("opening {}", path.display());
        let Some(spawner) = Spawner::current() else {
            let what = format!("{what}: a tokio runtime is needed");
            return Err(StoreError::Unavailable { what, source: None });
        };
        let runtime = spawner.clone();
        let opening = spawner.spawn_blocking(move || Shared::open(&path, options, runtime));
        let shared = opening.await.map_err(|error| StoreError::unavailable(what, error))??;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How many transactions were committed since the store was opened: fewer than writes when many
    /// come at once.
    pub fn transactions(&self) -> u64 {
        self.shared.transactions.load(Ordering::Relaxed)
    }

    /// Hands over a write; `pick` takes the answer apart.
    fn push<T: Send + 'static>(
        &self,
        operation: Operation,
        pick: fn(Answer) -> Option<T>,
    ) -> StoreFuture<Result<T, StoreError>> {
        let what = operation.to_string();
        let (reply, answer) = oneshot::channel();
        match self.shared.queue.push(Job { operation, reply }) {
            Ok(true) => self.start_flusher(),
            Ok(false) => {}
            Err(error) => return StoreFuture::ready(Err(error)),
        }
        StoreFuture::pending(async move {
            match answer.await {
                Ok(answer) => answer.map(|answer| pick(answer).expect("answers match operations")),
                // The flusher panicked in the middle of it.
                Err(lost) => Err(StoreError::outcome_unknown(what, lost)),
            }
        })
    }

    /// Starts the task that takes the queue to the disk. Not under the queue's lock: a runtime that
    /// has shut down drops the task at once.
    fn start_flusher(&self) {
        let flusher = Flusher::new(&self.shared);
        drop(self.shared.spawner.spawn_blocking(move || flusher.run()));
    }

    /// Asks a question on a connection that reads. `what` names it in errors.
    fn ask<T: Send + 'static>(
        &self,
        what: String,
        query: impl FnOnce(&Connection) -> Result<T, Setback> + Send + 'static,
    ) -> StoreFuture<Result<T, StoreError>> {
        if self.shared.queue.is_closed() {
            return StoreFuture::ready(Err(StoreError::Closed));
        }
        let readers = Arc::clone(&self.shared.readers);
        StoreFuture::pending(readers.run(self.shared.spawner.clone(), what, query))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl Store for SqliteStore {
    fn create(&self, new: NewRecord) -> StoreFuture<Result<Created, StoreError>> {
        self.push(Operation::Create(Box::new(new)), Answer::created)
    }

    fn write(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        write: Write,
    ) -> StoreFuture<Result<(), StoreError>> {
        let operation = Operation::Write { id: id.clone(), incarnation, write };
        self.push(operation, Answer::written)
    }

    fn look_up(&self, id: &SessionId, now: Timestamp) -> StoreFuture<Result<Found, StoreError>> {
        let id = id.clone();
        self.ask(format!("looking up session {id}"), move |connection| {
            query::look_up(connection, &id, now)
        })
    }

    fn life_of(&self, id: &SessionId) -> StoreFuture<Result<Option<Incarnation>, StoreError>> {
        let id = id.clone();
        self.ask(format!("looking for session {id}"), move |it| query::life_of(it, &id))
    }

    fn bound_to(&self, key: &SessionKey) -> StoreFuture<Result<Option<SessionId>, StoreError>> {
        let key = key.clone();
        self.ask(format!("looking up key {key}"), move |connection| binding::find(connection, &key))
    }

    fn bind(
        &self,
        binding: Binding,
        to: Option<(SessionId, Incarnation)>,
    ) -> StoreFuture<Result<Bound, StoreError>> {
        self.push(Operation::Bind { binding, to }, Answer::bound)
    }

    fn keys_of(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<SessionKey>, StoreError>> {
        let id = id.clone();
        self.ask(format!("reading the keys of session {id}"), move |connection| {
            query::keys_of(connection, &id, incarnation)
        })
    }

    fn entries(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        after: u64,
        limit: usize,
    ) -> StoreFuture<Result<Vec<StoredEntry>, StoreError>> {
        let id = id.clone();
        self.ask(format!("reading the entries of session {id}"), move |connection| {
            query::entries(connection, &id, incarnation, after, limit)
        })
    }

    fn datum(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        name: &str,
    ) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        let (id, name) = (id.clone(), name.to_owned());
        self.ask(format!("reading {name:?} of session {id}"), move |connection| {
            query::datum(connection, &id, incarnation, &name)
        })
    }

    fn turn(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<TurnRecord>, StoreError>> {
        let id = id.clone();
        let what = format!("reading turn {} of session {id}", generation.get());
        self.ask(what, move |connection| query::turn(connection, &id, incarnation, generation))
    }

    fn list(
        &self,
        filter: RecordFilter,
        after: Option<Incarnation>,
        limit: usize,
    ) -> StoreFuture<Result<RecordPage, StoreError>> {
        self.ask("listing sessions".to_owned(), move |connection| {
            query::list(connection, &filter, after, limit)
        })
    }

    fn count(&self) -> StoreFuture<Result<u64, StoreError>> {
        self.ask("counting sessions".to_owned(), standing::count)
    }

    fn lanes(&self) -> StoreFuture<Result<Vec<Lane>, StoreError>> {
        self.ask("listing lanes".to_owned(), standing::lanes)
    }

    fn due(&self, query: DueQuery, limit: usize) -> StoreFuture<Result<DuePage, StoreError>> {
        self.ask("looking for what is due".to_owned(), move |connection| {
            standing::due(connection, &query, limit)
        })
    }

    fn partial(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<StoredPartial>, StoreError>> {
        let id = id.clone();
        let what = format!("reading what turn {} of session {id} has said", generation.get());
        self.ask(what, move |connection| query::partial(connection, &id, incarnation, generation))
    }

    fn request(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        key: &str,
    ) -> StoreFuture<Result<Option<RequestRecord>, StoreError>> {
        let (id, key) = (id.clone(), key.to_owned());
        self.ask(format!("reading request {key:?} of session {id}"), move |connection| {
            query::request(connection, &id, incarnation, &key)
        })
    }

    fn branches(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<BranchRecord>, StoreError>> {
        let id = id.clone();
        self.ask(format!("reading the branches of session {id}"), move |connection| {
            query::branches(connection, &id, incarnation)
        })
    }

    fn revisions(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<Revision>, StoreError>> {
        let id = id.clone();
        self.ask(format!("reading the revisions of session {id}"), move |connection| {
            query::revisions(connection, &id, incarnation)
        })
    }

    fn resume(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        provider: &str,
    ) -> StoreFuture<Result<ResumeRecord, StoreError>> {
        let (id, provider) = (id.clone(), provider.to_owned());
        self.ask(format!("reading handle {provider:?} of session {id}"), move |connection| {
            query::resume(connection, &id, incarnation, &provider)
        })
    }

    fn forget(&self, what: Forget, limit: usize) -> StoreFuture<Result<usize, StoreError>> {
        self.push(Operation::Forget { what, limit }, Answer::forgotten)
    }

    fn heal(&self) -> StoreFuture<Result<HealReport, StoreError>> {
        self.push(Operation::Heal, Answer::healed)
    }

    fn open_run(
        &self,
        instance: InstanceId,
        at: Timestamp,
    ) -> StoreFuture<Result<RunsFound, StoreError>> {
        self.push(Operation::OpenRun { instance, at }, Answer::opened)
    }

    fn close_run(
        &self,
        instance: InstanceId,
        stop: CleanStop,
    ) -> StoreFuture<Result<(), StoreError>> {
        self.push(Operation::CloseRun { instance, stop }, Answer::written)
    }

    fn check(&self) -> StoreFuture<Result<Vec<String>, StoreError>> {
        self.ask("checking the store".to_owned(), check::check)
    }

    fn close(&self) -> StoreFuture<Result<(), StoreError>> {
        self.shared.queue.close();
        let shared = Arc::clone(&self.shared);
        StoreFuture::pending(async move {
            if let Some(idle) = shared.queue.idle() {
                // Its end is what counts, however it comes.
                drop(idle.await);
            }
            let readers = Arc::clone(&shared.readers);
            let closed = readers.close(shared.spawner.clone(), move || shared.let_go()).await;
            closed.unwrap_or(Ok(()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Forget = Forget::Tombstones(Timestamp::from_millis(0));

    /// A store, and a job in its queue that no flusher has been started for.
    async fn with_a_job(
        path: &Path,
    ) -> (SqliteStore, oneshot::Receiver<Result<Answer, StoreError>>) {
        let store = SqliteStore::open(path, SqliteOptions::default()).await.unwrap();
        let (reply, answer) = oneshot::channel();
        let operation = Operation::Forget { what: OLD, limit: 1 };
        assert!(store.shared.queue.push(Job { operation, reply }).unwrap());
        (store, answer)
    }

    #[tokio::test]
    async fn a_flusher_that_panics_wedges_nothing_and_says_what_it_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let (store, lost) = with_a_job(&folder.path().join("s.db")).await;
        let left = store.forget(OLD, 1);
        // What a panic does: the batch in hand is dropped unanswered, then the flusher.
        let mut batch = store.shared.queue.take().unwrap();
        let (reply, waiting) = oneshot::channel();
        let operation = Operation::Forget { what: OLD, limit: 1 };
        assert!(!store.shared.queue.push(Job { operation, reply }).unwrap());
        assert_eq!(batch.len(), 2);
        batch.clear();
        drop(Flusher::new(&store.shared));
        assert!(lost.await.is_err());
        assert!(matches!(left.await, Err(StoreError::OutcomeUnknown { .. })));
        assert!(matches!(waiting.await, Ok(Err(StoreError::Unavailable { .. }))));
        assert_eq!(store.forget(OLD, 1).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_transaction_that_a_panic_left_open_is_rolled_back_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
        let owned = store.shared.writer.lock().take().unwrap();
        let connection = owned.writer.into_connection();
        connection
            .execute_batch("BEGIN IMMEDIATE; INSERT INTO bindings VALUES ('irc', 'a', 1, 0)")
            .unwrap();
        let writer = Writer::new(connection);
        *store.shared.writer.lock() = Some(Owned { writer, ..owned });
        assert_eq!(store.forget(OLD, 1).await.unwrap(), 0);
        let key = "irc".parse::<SessionKey>().unwrap();
        assert_eq!(store.bound_to(&key).await.unwrap(), None);
    }

    /// Not only what comes once the file is let go of.
    #[tokio::test]
    async fn what_comes_after_the_call_of_close_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("s.db"), SqliteOptions::default());
        let store = store.await.unwrap();
        let closing = store.close();
        assert!(matches!(store.forget(OLD, 1).await, Err(StoreError::Closed)));
        assert!(matches!(store.count().await, Err(StoreError::Closed)));
        closing.await.unwrap();
    }

    #[tokio::test]
    async fn a_close_waits_for_what_was_handed_over() {
        let folder = tempfile::tempdir().unwrap();
        let (store, answer) = with_a_job(&folder.path().join("s.db")).await;
        let mut closing = std::pin::pin!(store.close());
        let early = std::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(early, &mut closing).await.is_err(), "a job waits");
        store.start_flusher();
        assert!(matches!(answer.await, Ok(Ok(Answer::Forgotten(0)))));
        closing.await.unwrap();
    }
}

//! A store in front of the SQLite store that keeps every operation it was asked for, in the order in which they
//! queue, and records when each was asked and when it was answered.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use session_supervisor::store::{
    Binding, Bound, BranchRecord, CleanStop, Created, DuePage, DueQuery, Forget, Found, HealReport,
    Lane, NewRecord, RequestRecord, ResumeRecord, Revision, RunsFound, StoreFuture, StoredEntry,
    StoredPartial, TurnRecord, Write,
};
use session_supervisor::{
    Generation, Incarnation, InstanceId, RecordFilter, RecordPage, SessionId, SessionKey,
    SqliteStore, Store, StoreError, Timestamp,
};

use crate::disk::{Disk, Event};

/// An operation that changes the store.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// [`Store::create`].
    Create(Box<NewRecord>),
    /// [`Store::write`].
    Write(SessionId, Incarnation, Box<Write>),
    /// [`Store::bind`].
    Bind(Binding, Option<(SessionId, Incarnation)>),
    /// [`Store::forget`].
    Forget(Forget, usize),
    /// [`Store::open_run`].
    OpenRun(InstanceId, Timestamp),
    /// [`Store::close_run`].
    CloseRun(InstanceId, CleanStop),
    /// [`Store::heal`].
    Heal,
}

impl Operation {
    /// Asks a store for it; answers with what that said, in words.
    pub(crate) async fn ask(self, store: &dyn Store) -> Result<String, String> {
        match self {
            Self::Create(new) => in_words(store.create(*new).await),
            Self::Write(id, life, write) => in_words(store.write(&id, life, *write).await),
            Self::Bind(binding, to) => in_words(store.bind(binding, to).await),
            Self::Forget(what, limit) => in_words(store.forget(what, limit).await),
            Self::OpenRun(instance, at) => in_words(store.open_run(instance, at).await),
            Self::CloseRun(instance, stop) => in_words(store.close_run(instance, stop).await),
            Self::Heal => in_words(store.heal().await),
        }
    }

    /// What kind it is.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Write(_, _, write) => write.name(),
            Self::Bind(..) => "bind",
            Self::Forget(what, _) => what.name(),
            Self::OpenRun(..) => "open_run",
            Self::CloseRun(..) => "close_run",
            Self::Heal => "heal",
        }
    }
}

/// An answer in words.
fn in_words<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> Result<String, String> {
    answer.map(|it| format!("{it:?}")).map_err(|error| format!("{error:?}"))
}

/// An operation, and what was answered.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Which.
    pub(crate) operation: Operation,
    /// `None` if nobody waited for it.
    pub(crate) answer: Option<Result<String, String>>,
}

/// The operations of all runs on one file.
pub(crate) type Asks = Arc<Mutex<Vec<Asked>>>;

/// A store that is watched.
#[derive(Debug)]
pub(crate) struct Witness {
    /// The store that does it.
    inner: SqliteStore,
    /// Where its file is.
    disk: Arc<Disk>,
    /// What it was asked.
    asks: Asks,
    /// Whether the inner one was told to close: what is asked from then on is refused, and no matter.
    closed: Arc<AtomicBool>,
}

impl Witness {
    /// In front of `inner`, whose file is on `disk`.
    pub(crate) fn new(inner: SqliteStore, disk: Arc<Disk>, asks: Asks) -> Self {
        Self { inner, disk, asks, closed: Arc::default() }
    }

    /// Closes the store under whoever uses it: all that an end by force leaves of a process.
    pub(crate) fn crash(&self) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let (inner, closed) = (self.inner.clone(), self.closed.clone());
        async move {
            closed.store(true, Ordering::SeqCst);
            inner.close().await
        }
    }

    /// Passes an operation on.
    fn pass<T: std::fmt::Debug + Send + Unpin + 'static>(
        &self,
        operation: Operation,
        ask: impl FnOnce(&SqliteStore) -> StoreFuture<Result<T, StoreError>>,
    ) -> StoreFuture<Result<T, StoreError>> {
        // Whoever comes first here is first in the queue.
        let mut asks = lock(&self.asks);
        if self.closed.load(Ordering::SeqCst) {
            return ask(&self.inner);
        }
        let number = asks.len();
        self.disk.note(Event::Asked { operation: number });
        asks.push(Asked { operation, answer: None });
        let inner = ask(&self.inner);
        drop(asks);
        let answered = Arc::new(Answered {
            disk: self.disk.clone(),
            number,
            noted: AtomicBool::new(false),
            waker: Mutex::new(Waker::noop().clone()),
        });
        StoreFuture::pending(Passed { inner, asks: self.asks.clone(), answered })
    }
}

/// Lets whoever waits for an answer know, and records it at that moment and not when it is read.
#[derive(Debug)]
struct Answered {
    /// Where it is recorded.
    disk: Arc<Disk>,
    /// Which operation it is about.
    number: usize,
    /// Whether it is recorded.
    noted: AtomicBool,
    /// Who waits.
    waker: Mutex<Waker>,
}

impl Answered {
    /// Records it, once.
    fn note(&self) {
        if !self.noted.swap(true, Ordering::SeqCst) {
            self.disk.note(Event::Answered { operation: self.number });
        }
    }
}

impl Wake for Answered {
    fn wake(self: Arc<Self>) {
        self.note();
        lock(&self.waker).wake_by_ref();
    }
}

/// An answer that is waited for.
struct Passed<T> {
    /// The answer of the store that does it.
    inner: StoreFuture<Result<T, StoreError>>,
    /// Where it is kept.
    asks: Asks,
    /// Tells when it came.
    answered: Arc<Answered>,
}

impl<T: std::fmt::Debug + Unpin> Future for Passed<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        lock(&self.answered.waker).clone_from(context.waker());
        let waker = Waker::from(self.answered.clone());
        let polled = Pin::new(&mut self.inner).poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(answer) = &polled {
            self.answered.note();
            let words = match answer {
                Ok(answer) => Ok(format!("{answer:?}")),
                Err(error) => Err(format!("{error:?}")),
            };
            // A recording that is over has been taken away.
            if let Some(asked) = lock(&self.asks).get_mut(self.answered.number) {
                asked.answer = Some(words);
            }
        }
        polled
    }
}

/// Locks, whoever has panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads that are passed on.
macro_rules! reads {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {$(
        fn $name(&self $(, $arg: $kind)*) -> StoreFuture<Result<$answer, StoreError>> {
            self.inner.$name($($arg),*)
        }
    )*};
}

impl Store for Witness {
    fn create(&self, new: NewRecord) -> StoreFuture<Result<Created, StoreError>> {
        self.pass(Operation::Create(Box::new(new.clone())), |inner| inner.create(new))
    }

    fn write(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        write: Write,
    ) -> StoreFuture<Result<(), StoreError>> {
        let operation = Operation::Write(id.clone(), incarnation, Box::new(write.clone()));
        self.pass(operation, |inner| inner.write(id, incarnation, write))
    }

    fn bind(
        &self,
        binding: Binding,
        to: Option<(SessionId, Incarnation)>,
    ) -> StoreFuture<Result<Bound, StoreError>> {
        let operation = Operation::Bind(binding.clone(), to.clone());
        self.pass(operation, |inner| inner.bind(binding, to))
    }

    fn forget(&self, what: Forget, limit: usize) -> StoreFuture<Result<usize, StoreError>> {
        self.pass(Operation::Forget(what, limit), |inner| inner.forget(what, limit))
    }

    fn open_run(
        &self,
        instance: InstanceId,
        at: Timestamp,
    ) -> StoreFuture<Result<RunsFound, StoreError>> {
        self.pass(Operation::OpenRun(instance, at), |inner| inner.open_run(instance, at))
    }

    fn close_run(
        &self,
        instance: InstanceId,
        stop: CleanStop,
    ) -> StoreFuture<Result<(), StoreError>> {
        self.pass(Operation::CloseRun(instance, stop), |inner| inner.close_run(instance, stop))
    }

    fn heal(&self) -> StoreFuture<Result<HealReport, StoreError>> {
        self.pass(Operation::Heal, SqliteStore::heal)
    }

    reads! {
        look_up(id: &SessionId, now: Timestamp) -> Found;
        life_of(id: &SessionId) -> Option<Incarnation>;
        bound_to(key: &SessionKey) -> Option<SessionId>;
        keys_of(id: &SessionId, life: Incarnation) -> Vec<SessionKey>;
        entries(id: &SessionId, life: Incarnation, after: u64, limit: usize) -> Vec<StoredEntry>;
        datum(id: &SessionId, life: Incarnation, name: &str) -> Option<Bytes>;
        turn(id: &SessionId, life: Incarnation, turn: Generation) -> Option<TurnRecord>;
        list(filter: RecordFilter, after: Option<Incarnation>, limit: usize) -> RecordPage;
        count() -> u64;
        lanes() -> Vec<Lane>;
        due(query: DueQuery, limit: usize) -> DuePage;
        partial(id: &SessionId, life: Incarnation, turn: Generation) -> Option<StoredPartial>;
        request(id: &SessionId, life: Incarnation, key: &str) -> Option<RequestRecord>;
        branches(id: &SessionId, life: Incarnation) -> Vec<BranchRecord>;
        revisions(id: &SessionId, life: Incarnation) -> Vec<Revision>;
        resume(id: &SessionId, life: Incarnation, provider: &str) -> ResumeRecord;
        check() -> Vec<String>;
    }

    fn close(&self) -> StoreFuture<Result<(), StoreError>> {
        self.closed.store(true, Ordering::SeqCst);
        self.inner.close()
    }
}

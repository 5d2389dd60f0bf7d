//! The steps at which the child may be killed, and the store that has three of them around each write.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use session_supervisor::store::{
    BeginExtra, Binding, Bound, BranchRecord, CleanStop, Created, DuePage, DueQuery, Forget, Found,
    HealReport, Lane, NewRecord, RequestRecord, ResumeRecord, Revision, RunsFound, StoreFuture,
    StoredEntry, StoredPartial, TurnRecord, Write,
};
use session_supervisor::{
    ChatMessage, Generation, Incarnation, InstanceId, RecordFilter, RecordPage, SessionId,
    SessionKey, SqliteStore, Store, StoreError, StreamId, Timestamp,
};

/// Tells the parent; one write, on a line of its own whatever the test harness has printed.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n@ {line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Ends this process where it stands, as `kill -9` does.
pub(crate) fn die() -> ! {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .unwrap();
    unreachable!("the kernel does not let a killed process go on")
}

/// Counts the steps of a child; at one of them it dies.
#[derive(Debug)]
pub(crate) struct Points {
    passed: AtomicU64,
    /// The one that is its last; 0 for none.
    last: u64,
}

impl Points {
    pub(crate) fn new(last: u64) -> Self {
        Self { passed: AtomicU64::new(0), last }
    }

    /// A step. Its name is told before anything else happens.
    pub(crate) fn pass(&self, name: &str) {
        let number = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
        say(&format!("point {name}"));
        if number == self.last {
            die();
        }
    }
}

/// A store in a file, that tells what it is asked and what it has done. The process may be killed before
/// the file is asked, while it writes, and when it has answered and nobody has heard of it.
#[derive(Debug)]
pub(crate) struct MortalStore {
    inner: SqliteStore,
    points: Arc<Points>,
}

impl MortalStore {
    pub(crate) fn new(inner: SqliteStore, points: Arc<Points>) -> Self {
        Self { inner, points }
    }

    /// Passes a write on. `told` says what it does, with the kind of it first.
    fn pass<T: Send + Unpin + 'static>(
        &self,
        told: String,
        ask: impl FnOnce(&SqliteStore) -> StoreFuture<Result<T, StoreError>>,
    ) -> StoreFuture<Result<T, StoreError>> {
        let kind = told.split(' ').next().unwrap().to_owned();
        self.points.pass(&format!("before {kind}"));
        say(&format!("asks {told}"));
        let answer = ask(&self.inner);
        self.points.pass(&format!("in {kind}"));
        let points = self.points.clone();
        StoreFuture::pending(async move {
            let answer = answer.await;
            match &answer {
                Ok(_) => say(&format!("has {told}")),
                Err(error) => say(&format!("refuses {told}: {error:?}")),
            }
            points.pass(&format!("after {kind}"));
            answer
        })
    }
}

/// The text of an entry.
fn text(entry: &Bytes) -> String {
    serde_json::from_slice::<ChatMessage>(entry).unwrap().content
}

/// What a write does, for the parent.
fn describe(incarnation: Incarnation, write: &Write) -> String {
    let stream = |generation: Generation| StreamId::new(incarnation, generation);
    match write {
        Write::Begin { marker, input: Some((_, input)), extra, .. } => {
            let extra: Option<&BeginExtra> = extra.as_deref();
            let back = extra.and_then(|extra| extra.take_back.as_ref());
            let back = back.map_or("0 0".to_owned(), |it| format!("{} {}", it.version, it.from));
            format!("begin {} {} {back}", stream(marker.generation), text(input))
        }
        Write::Steer { generation, seq, input, .. } => {
            format!("steer {} {seq} {}", stream(*generation), text(input))
        }
        Write::Partial { generation, piece } => {
            format!("partial {} {}", stream(*generation), piece.first + piece.chunks - 1)
        }
        Write::Commit { generation, entries, .. } => {
            format!("end {} committed {}", stream(*generation), text(&entries[0]))
        }
        Write::Settle { generation, outcome, .. } => {
            format!("end {} {outcome} -", stream(*generation))
        }
        Write::TakeBack { from, .. } => {
            format!("back {} {} {}", incarnation.get(), from.version, from.from)
        }
        Write::Patch { .. } => format!("patch {}", incarnation.get()),
        other => panic!("no scenario has a {}", other.name()),
    }
}

impl Store for MortalStore {
    fn create(&self, new: NewRecord) -> StoreFuture<Result<Created, StoreError>> {
        self.pass(format!("create {}", new.id), move |inner| inner.create(new))
    }

    fn write(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        write: Write,
    ) -> StoreFuture<Result<(), StoreError>> {
        self.pass(describe(incarnation, &write), |inner| inner.write(id, incarnation, write))
    }

    fn look_up(&self, id: &SessionId, now: Timestamp) -> StoreFuture<Result<Found, StoreError>> {
        self.inner.look_up(id, now)
    }

    fn bound_to(&self, key: &SessionKey) -> StoreFuture<Result<Option<SessionId>, StoreError>> {
        self.inner.bound_to(key)
    }

    fn bind(
        &self,
        binding: Binding,
        to: Option<(SessionId, Incarnation)>,
    ) -> StoreFuture<Result<Bound, StoreError>> {
        self.inner.bind(binding, to)
    }

    fn keys_of(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<SessionKey>, StoreError>> {
        self.inner.keys_of(id, incarnation)
    }

    fn entries(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        after: u64,
        limit: usize,
    ) -> StoreFuture<Result<Vec<StoredEntry>, StoreError>> {
        self.inner.entries(id, incarnation, after, limit)
    }

    fn datum(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        name: &str,
    ) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        self.inner.datum(id, incarnation, name)
    }

    fn turn(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<TurnRecord>, StoreError>> {
        self.inner.turn(id, incarnation, generation)
    }

    fn list(
        &self,
        filter: RecordFilter,
        after: Option<Incarnation>,
        limit: usize,
    ) -> StoreFuture<Result<RecordPage, StoreError>> {
        self.inner.list(filter, after, limit)
    }

    fn count(&self) -> StoreFuture<Result<u64, StoreError>> {
        self.inner.count()
    }

    fn lanes(&self) -> StoreFuture<Result<Vec<Lane>, StoreError>> {
        self.inner.lanes()
    }

    fn due(&self, query: DueQuery, limit: usize) -> StoreFuture<Result<DuePage, StoreError>> {
        self.inner.due(query, limit)
    }

    fn partial(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<StoredPartial>, StoreError>> {
        self.inner.partial(id, incarnation, generation)
    }

    fn request(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        key: &str,
    ) -> StoreFuture<Result<Option<RequestRecord>, StoreError>> {
        self.inner.request(id, incarnation, key)
    }

    fn resume(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        provider: &str,
    ) -> StoreFuture<Result<ResumeRecord, StoreError>> {
        self.inner.resume(id, incarnation, provider)
    }

    fn branches(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<BranchRecord>, StoreError>> {
        self.inner.branches(id, incarnation)
    }

    fn revisions(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<Revision>, StoreError>> {
        self.inner.revisions(id, incarnation)
    }

    fn forget(&self, what: Forget, limit: usize) -> StoreFuture<Result<usize, StoreError>> {
        self.inner.forget(what, limit)
    }

    fn open_run(
        &self,
        instance: InstanceId,
        at: Timestamp,
    ) -> StoreFuture<Result<RunsFound, StoreError>> {
        self.inner.open_run(instance, at)
    }

    fn close_run(
        &self,
        instance: InstanceId,
        stop: CleanStop,
    ) -> StoreFuture<Result<(), StoreError>> {
        self.inner.close_run(instance, stop)
    }

    fn heal(&self) -> StoreFuture<Result<HealReport, StoreError>> {
        self.inner.heal()
    }

    fn check(&self) -> StoreFuture<Result<Vec<String>, StoreError>> {
        self.inner.check()
    }

    fn close(&self) -> StoreFuture<Result<(), StoreError>> {
        self.inner.close()
    }
}

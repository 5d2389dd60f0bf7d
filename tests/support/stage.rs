//! A supervisor on every kind of store, on every kind of runtime.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "for tests"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use session_supervisor::testing::{FaultyStore, settled};
use session_supervisor::{
    ChatMessage, Generation, MemoryStore, RecordFilter, SessionId, SessionKey, SqliteOptions,
    SqliteStore, Store, Supervisor, SupervisorBuilder, Timestamp,
};

/// The data that [`content`] looks at.
pub(crate) const DATA: [&str; 2] = ["mood", "late"];

/// How a store answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At once.
    Memory,
    /// At the second poll.
    Pending,
    /// When the disk has it.
    Sqlite,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Pending, Self::Sqlite];
}

/// A store, with faults in front of it and a folder below it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) kind: Kind,
    /// What the supervisor gets.
    pub(crate) faults: FaultyStore,
    /// What is behind it.
    pub(crate) behind: Arc<dyn Store>,
    /// Where its file is.
    folder: Option<tempfile::TempDir>,
}

impl Stage {
    pub(crate) async fn new(kind: Kind) -> Self {
        let folder = (kind == Kind::Sqlite).then(|| tempfile::tempdir().unwrap());
        let behind: Arc<dyn Store> = match &folder {
            Some(folder) => Arc::new(open_sqlite(folder.path()).await),
            None => Arc::new(MemoryStore::new()),
        };
        Self::over(kind, behind, folder)
    }

    fn over(kind: Kind, behind: Arc<dyn Store>, folder: Option<tempfile::TempDir>) -> Self {
        let faults = match kind {
            Kind::Pending => FaultyStore::pending(behind.clone()),
            Kind::Memory | Kind::Sqlite => FaultyStore::new(behind.clone()),
        };
        Self { kind, faults, behind, folder }
    }

    /// A builder on this store.
    pub(crate) fn builder(&self) -> SupervisorBuilder {
        Supervisor::builder().shared_store(Arc::new(self.faults.clone()))
    }

    /// A supervisor on this store, with the defaults.
    pub(crate) async fn start(&self) -> Supervisor {
        self.builder().start().await.unwrap()
    }

    /// What a process finds that comes after one that was killed: a memory store lives on in its
    /// clone, a file is given up by the kernel and opened again. Whatever the earlier run still
    /// does, it does to a store that is closed.
    pub(crate) async fn reopened(self) -> Self {
        let behind: Arc<dyn Store> = match &self.folder {
            Some(folder) => {
                self.behind.close().await.unwrap();
                Arc::new(open_sqlite(folder.path()).await)
            }
            None => self.behind.clone(),
        };
        Self::over(self.kind, behind, self.folder)
    }
}

async fn open_sqlite(folder: &std::path::Path) -> SqliteStore {
    SqliteStore::open(folder.join("s.db"), SqliteOptions::default()).await.unwrap()
}

/// Runs a scenario on every store and every runtime (G1, M5).
pub(crate) fn everywhere<F: Future<Output = ()>>(scenario: impl Fn(Stage) -> F) {
    on(&Kind::ALL, scenario);
}

/// Runs a scenario on these stores and every runtime.
pub(crate) fn on<F: Future<Output = ()>>(kinds: &[Kind], scenario: impl Fn(Stage) -> F) {
    for &kind in kinds {
        for threads in [1, 2] {
            println!("on {kind:?}, {threads} thread(s)");
            runtime(threads).block_on(async {
                let scenario = async { scenario(Stage::new(kind).await).await };
                // Only a test that hangs gets there.
                tokio::time::timeout(Duration::from_secs(60), scenario).await.unwrap();
            });
        }
    }
}

/// A runtime of one thread or more.
pub(crate) fn runtime(threads: usize) -> tokio::runtime::Runtime {
    if threads == 1 {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    } else {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads).enable_all().build().unwrap()
    }
}

/// The key of a chat.
pub(crate) fn key(chat: &str) -> SessionKey {
    SessionKey::builder("irc").chat(chat).build().unwrap()
}

/// An id of the caller's own.
pub(crate) fn id(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

/// What a user says.
pub(crate) fn user(text: &str) -> ChatMessage {
    ChatMessage::user(text)
}

/// What a model says.
pub(crate) fn reply(text: &str) -> ChatMessage {
    ChatMessage::assistant(text)
}

/// Polls once, without a waker that does anything.
pub(crate) fn poll_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets the other tasks run a while, then asserts that `future` is still not ready.
pub(crate) async fn still_pending<F: Future + ?Sized>(future: &mut Pin<Box<F>>, what: &str) {
    for _ in 0..20 {
        assert!(poll_once(future).is_pending(), "{what} did not wait");
        tokio::task::yield_now().await;
    }
}

/// Lets the other tasks run until `is_so`; fails after a while of real time.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}: never");
        tokio::task::yield_now().await;
    }
}

/// Waits until nothing is under way, then looks at everything (L6, M4).
pub(crate) async fn assert_clean(supervisor: &Supervisor) {
    settled(supervisor).await.unwrap();
}

/// Everything that the store has, and what it says of `ids` and `keys`; a line each.
pub(crate) async fn content(
    store: &dyn Store,
    ids: &[SessionId],
    keys: &[SessionKey],
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(RecordFilter::default(), after, 100).await.unwrap();
        assert_eq!(page.damaged, Vec::<String>::new());
        for record in &page.records {
            lines.push(format!("{record:?}"));
            let (id, life) = (&record.id, record.incarnation);
            for entry in store.entries(id, life, 0, usize::MAX).await.unwrap() {
                lines.push(format!("{id}: {entry:?}"));
            }
            // A load skips many numbers; nothing is ever under those.
            let newest = record.generation.get();
            let last = newest.saturating_sub(2).max(65)..=newest + 2;
            for turn in (1..=64).chain(last) {
                let turn = store.turn(id, life, Generation::new(turn)).await.unwrap();
                lines.push(format!("{id}: {turn:?}"));
            }
            for name in DATA {
                let datum = store.datum(id, life, name).await.unwrap();
                lines.push(format!("{id}: {name} = {datum:?}"));
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for id in ids {
        let found = store.look_up(id, Timestamp::from_millis(0)).await.unwrap();
        lines.push(format!("{id}: {found:?}"));
    }
    for key in keys {
        lines.push(format!("{key}: {:?}", store.bound_to(key).await.unwrap()));
    }
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    lines
}

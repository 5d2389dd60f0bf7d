//! Where the scenarios of the turn tests play: on which store, on which runtime, from which start.
//!
//! A scenario is written once, as `async fn name(stage: Stage)` inside [`everywhere!`] or
//! [`in_paused_time!`], and becomes a module of tests, one for each store and runtime. Nothing in
//! here sleeps to wait: what cannot be awaited is looked at between two turns of the scheduler.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(unused_macros, unused_imports, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_types,
    clippy::match_wildcard_for_single_variants,
    clippy::unused_async,
    reason = "helpers of tests, which do not run on the library's seam"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use session_supervisor::testing::{FaultyStore, PausedClock};
use session_supervisor::{
    BeginError, BeginOptions, ChatMessage, CommitOutcome, Config, Event, IdSource, MemoryStore,
    RandomIds, Session, SessionKey, Store, Subscription, Supervisor, Turn, TurnOutcome,
};

/// Which store stands behind.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// In memory; answers at once, so that callers carry out everything themselves.
    Memory,
    /// In memory; every answer has to be awaited, so that actors do the work.
    Awaited,
    /// In a file of its own, which goes with the test.
    #[cfg(feature = "sqlite")]
    Sqlite,
}

/// What a scenario starts from.
#[derive(Debug)]
pub struct Stage {
    /// The store, and the faults that it is to have.
    pub store: FaultyStore,
    /// Which kind of store that is.
    pub kind: Kind,
    /// What is behind it.
    behind: Arc<dyn Store>,
    /// Where its file is.
    #[cfg(feature = "sqlite")]
    folder: Option<tempfile::TempDir>,
}

impl Stage {
    /// An empty store of this kind.
    pub async fn new(kind: Kind) -> Self {
        #[cfg(feature = "sqlite")]
        if matches!(kind, Kind::Sqlite) {
            let folder = tempfile::TempDir::new().unwrap();
            let options = session_supervisor::SqliteOptions::default();
            let file = folder.path().join("turns.db");
            let behind = session_supervisor::SqliteStore::open(file, options).await.unwrap();
            let behind: Arc<dyn Store> = Arc::new(behind);
            let store = FaultyStore::new(behind.clone());
            return Self { store, kind, behind, folder: Some(folder) };
        }
        let behind: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let store = match kind {
            Kind::Awaited => FaultyStore::pending(behind.clone()),
            _ => FaultyStore::new(behind.clone()),
        };
        Self {
            store,
            kind,
            behind,
            #[cfg(feature = "sqlite")]
            folder: None,
        }
    }

    /// What a process finds that comes after this one, without its faults: a file is given up and opened
    /// again. Whatever the earlier process still does, it does to a store that is closed.
    pub async fn reopened(self) -> Self {
        #[cfg(feature = "sqlite")]
        if let Some(folder) = self.folder {
            self.behind.close().await.unwrap();
            let options = session_supervisor::SqliteOptions::default();
            let file = folder.path().join("turns.db");
            let behind = session_supervisor::SqliteStore::open(file, options).await.unwrap();
            let behind: Arc<dyn Store> = Arc::new(behind);
            let (store, kind) = (FaultyStore::new(behind.clone()), self.kind);
            return Self { store, kind, behind, folder: Some(folder) };
        }
        Self {
            store: FaultyStore::new(self.behind.clone()),
            kind: self.kind,
            behind: self.behind,
            #[cfg(feature = "sqlite")]
            folder: None,
        }
    }

    /// A supervisor with the default settings.
    pub async fn start(&self) -> Supervisor {
        self.start_with(|_| {}).await
    }

    /// A supervisor with other settings.
    pub async fn start_with(&self, change: impl FnOnce(&mut Config)) -> Supervisor {
        self.start_drawing(RandomIds, change).await
    }

    /// A supervisor with other settings and ids from `ids`.
    pub async fn start_drawing(
        &self,
        ids: impl IdSource,
        change: impl FnOnce(&mut Config),
    ) -> Supervisor {
        let mut config = Config::default();
        change(&mut config);
        let builder = Supervisor::builder().config(config).ids(ids).clock(PausedClock::new());
        builder.store(self.store.clone()).start().await.unwrap()
    }

    /// The store without its faults.
    pub fn behind(&self) -> Arc<dyn Store> {
        self.behind.clone()
    }

    /// A builder on this store with other settings, and with nothing else.
    pub fn builder_with(
        &self,
        change: impl FnOnce(&mut Config),
    ) -> session_supervisor::SupervisorBuilder {
        let mut config = Config::default();
        change(&mut config);
        Supervisor::builder().config(config).store(self.store.clone())
    }

    /// A supervisor with the default settings, and one session in it.
    pub async fn session(&self) -> (Supervisor, Session) {
        self.session_with(|_| {}).await
    }

    /// A supervisor with other settings, and one session in it.
    pub async fn session_with(&self, change: impl FnOnce(&mut Config)) -> (Supervisor, Session) {
        let supervisor = self.start_with(change).await;
        let session = supervisor.open(&key("#rust")).await.unwrap();
        (supervisor, session)
    }
}

/// A key that differs by `chat`.
pub fn key(chat: &str) -> SessionKey {
    SessionKey::builder("irc").chat(chat).build().unwrap()
}

/// What the user says.
pub fn user(text: &str) -> ChatMessage {
    ChatMessage::user(text)
}

/// What the model says.
pub fn says(text: &str) -> ChatMessage {
    ChatMessage::assistant(text)
}

/// The texts of the transcript, in order.
pub async fn texts(session: &Session) -> Vec<String> {
    let entries = session.transcript().await.unwrap();
    entries.into_iter().map(|entry| entry.content.unwrap().content).collect()
}

/// Lets the others run until `holds`. Fails after half a minute of the machine's time.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "in vain: {what}");
        tokio::task::yield_now().await;
    }
}

/// Waits until nothing is owed to the store, and checks every rule and every balance.
#[track_caller]
pub fn settled(supervisor: &Supervisor) -> impl Future<Output = ()> {
    let (supervisor, from) = (supervisor.clone(), std::panic::Location::caller());
    async move {
        let broken = || {
            let mut broken = supervisor.audit().broken;
            broken.extend(supervisor.audit_counts());
            broken
        };
        let started = std::time::Instant::now();
        // What was seen last: a clock that works in between must not fail what was in order.
        let mut seen = broken();
        while !seen.is_empty() && started.elapsed() < Duration::from_secs(10) {
            tokio::task::yield_now().await;
            seen = broken();
        }
        assert_eq!(seen, Vec::<String>::new(), "at {from}");
    }
}

/// Waits until `session` owes the store nothing, then [`settled`].
#[track_caller]
pub fn quiet(supervisor: &Supervisor, session: &Session) -> impl Future<Output = ()> {
    let (then, session) = (settled(supervisor), session.clone());
    async move {
        until("a session owes the store nothing", || session.status().unwritten == 0).await;
        then.await;
    }
}

/// A begin that owns what it needs. Not begun before it is polled.
pub fn begin(
    session: &Session,
    text: &str,
    options: impl Into<BeginOptions>,
) -> Pin<Box<dyn Future<Output = Result<Turn, BeginError>> + Send>> {
    let (session, input, options) = (session.clone(), user(text), options.into());
    Box::pin(async move { session.begin(&input, options).await })
}

/// Commits a reply that is to be in the transcript; answers its number and the session's version.
pub async fn committed(turn: Turn, text: &str) -> (u64, u64) {
    match commit(turn, text).await {
        CommitOutcome::Committed { seq, version } => (seq, version),
        other => panic!("not committed: {other:?}"),
    }
}

/// Commits a reply that may come too late.
pub async fn commit(turn: Turn, text: &str) -> CommitOutcome {
    turn.commit(&says(text)).await.unwrap()
}

/// Polls once, without anybody to be woken.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Reads to the end: what was said, and how it ended. Fails if anything follows the end.
pub async fn read_out(mut reader: Subscription) -> (Vec<String>, TurnOutcome) {
    let mut said = Vec::new();
    loop {
        match reader.next().await {
            Some(Event::Chunk { chunk, .. }) => said.push(chunk.as_str().to_owned()),
            Some(Event::Ended(outcome)) => {
                assert_eq!(reader.next().await, None, "something follows the end");
                return (said, outcome);
            }
            other => panic!("neither a chunk nor the end: {other:?}"),
        }
    }
}

/// Plays a scenario on real time.
pub fn play<F: Future<Output = ()>>(threads: bool, kind: Kind, scenario: impl FnOnce(Stage) -> F) {
    let mut builder = if threads {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder.worker_threads(4).enable_all().build().unwrap();
    // No scenario needs a tenth of it; it is for those that hang.
    let limit = Duration::from_secs(300);
    runtime
        .block_on(async {
            let stage = Stage::new(kind).await;
            tokio::time::timeout(limit, scenario(stage)).await
        })
        .expect("the scenario does not end");
    // A task that blocks its thread must not hold up the test.
    runtime.shutdown_background();
}

/// Plays a scenario in paused time, which moves on only when nothing else is left to do.
pub fn play_paused<F: Future<Output = ()>>(kind: Kind, scenario: impl FnOnce(Stage) -> F) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    // Of paused time: it is over at once if nobody does anything any more.
    let limit = Duration::from_secs(30 * 24 * 60 * 60);
    runtime
        .block_on(async {
            let stage = Stage::new(kind).await;
            tokio::time::timeout(limit, scenario(stage)).await
        })
        .expect("the scenario does not end");
}

/// Each scenario on each store and on both kinds of runtime.
macro_rules! everywhere {
    ($($(#[$about:meta])* async fn $name:ident($stage:pat_param) $body:block)*) => {$(
        $(#[$about])*
        mod $name {
            use super::*;

            async fn scenario($stage: support::Stage) $body

            #[test]
            fn on_memory_in_one_thread() {
                support::play(false, support::Kind::Memory, scenario);
            }

            #[test]
            fn on_memory_in_four_threads() {
                support::play(true, support::Kind::Memory, scenario);
            }

            #[test]
            fn on_an_awaited_store_in_one_thread() {
                support::play(false, support::Kind::Awaited, scenario);
            }

            #[test]
            fn on_an_awaited_store_in_four_threads() {
                support::play(true, support::Kind::Awaited, scenario);
            }

            #[cfg(feature = "sqlite")]
            #[test]
            fn on_sqlite_in_one_thread() {
                support::play(false, support::Kind::Sqlite, scenario);
            }

            #[cfg(feature = "sqlite")]
            #[test]
            fn on_sqlite_in_four_threads() {
                support::play(true, support::Kind::Sqlite, scenario);
            }
        }
    )*};
}

/// Each scenario on each store, in one thread whose time is paused.
macro_rules! in_paused_time {
    ($($(#[$about:meta])* async fn $name:ident($stage:pat_param) $body:block)*) => {$(
        $(#[$about])*
        mod $name {
            use super::*;

            async fn scenario($stage: support::Stage) $body

            #[test]
            fn on_memory() {
                support::play_paused(support::Kind::Memory, scenario);
            }

            #[test]
            fn on_an_awaited_store() {
                support::play_paused(support::Kind::Awaited, scenario);
            }
        }
    )*};
}

pub(crate) use {everywhere, in_paused_time};

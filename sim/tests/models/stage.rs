//! A supervisor on a stage where nothing is left to chance: ids are counted, and time stands still until a
//! model says `tokio::time::advance`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use session_supervisor::store::Found;
use session_supervisor::testing::{CountingIds, FaultyStore, PausedClock};
use session_supervisor::{
    BusyPolicy, ChatMessage, CommitOutcome, Config, MemoryStore, Session, SessionKey, Store,
    Supervisor, Turn,
};

/// A task of a model.
pub(crate) type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A task of a model, of the same type as the others.
pub(crate) fn task<T>(work: impl Future<Output = T> + Send + 'static) -> Task<T> {
    Box::pin(work)
}

/// How the store answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At once, so that no actor is needed.
    AtOnce,
    /// At once, if no fault is put in it.
    Faulty,
    /// After others have had their turn, so that everything goes through an actor.
    Awaited,
}

/// A supervisor and what is behind it.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) supervisor: Supervisor,
    /// Its store, if faults can be put in it.
    pub(crate) faults: Option<FaultyStore>,
    /// What the store has, without the detour.
    pub(crate) behind: Arc<dyn Store>,
}

impl Stage {
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::with(kind, |_| {}).await
    }

    /// One whose settings are changed by `set`.
    pub(crate) async fn with(kind: Kind, set: impl FnOnce(&mut Config)) -> Self {
        let behind: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let faults = match kind {
            Kind::AtOnce => None,
            Kind::Faulty => Some(FaultyStore::new(behind.clone())),
            Kind::Awaited => Some(FaultyStore::pending(behind.clone())),
        };
        let store: Arc<dyn Store> = match &faults {
            Some(faults) => Arc::new(faults.clone()),
            None => behind.clone(),
        };
        let mut config = Config::default();
        config.prune.every = Duration::ZERO;
        config.turns.cancel_grace = Duration::ZERO;
        config.turns.abort_after = Duration::ZERO;
        set(&mut config);
        let builder = Supervisor::builder().clock(PausedClock::new()).ids(CountingIds::new());
        let builder = builder.shared_store(store).config(config);
        let supervisor = builder.start().await.unwrap();
        Self { supervisor, faults, behind }
    }

    /// One with a session.
    pub(crate) async fn with_session(kind: Kind) -> (Self, Session) {
        let stage = Self::new(kind).await;
        let session = stage.supervisor.open(&key("a")).await.unwrap();
        (stage, session)
    }

    /// Waits until everything has come to rest, and checks that nothing is broken.
    pub(crate) async fn settle(&self) {
        let mut looks = 0;
        loop {
            let in_flight = self.supervisor.in_flight();
            let (audit, counts) = (self.supervisor.audit(), self.supervisor.audit_counts());
            if in_flight == 0 && audit.is_clean() && counts.is_empty() {
                return;
            }
            looks += 1;
            assert!(looks < 100, "it does not come to rest: {in_flight} {audit:?} {counts:?}");
            tokio::task::yield_now().await;
        }
    }

    /// What the store has of a session.
    pub(crate) async fn stored(&self, session: &Session) -> Found {
        self.behind.look_up(session.id(), session.created_at()).await.unwrap()
    }
}

/// A key.
pub(crate) fn key(name: &str) -> SessionKey {
    SessionKey::builder("irc").chat(name).build().unwrap()
}

/// What somebody says.
pub(crate) fn user(text: &str) -> ChatMessage {
    ChatMessage::user(text.to_owned())
}

/// Begins a turn, or is refused.
pub(crate) async fn begin(
    session: &Session,
    text: &str,
    policy: BusyPolicy,
) -> Result<Turn, session_supervisor::BeginError> {
    session.begin(&user(text), policy).await
}

/// Commits a reply.
pub(crate) async fn commit(turn: Turn, text: &str) -> CommitOutcome {
    turn.commit(&ChatMessage::assistant(text.to_owned())).await.unwrap()
}

/// Commits a reply that nobody is in the way of; the number of the entry.
pub(crate) async fn committed(turn: Turn, text: &str) -> u64 {
    match commit(turn, text).await {
        CommitOutcome::Committed { seq, .. } => seq,
        other => panic!("nobody ended it: {other:?}"),
    }
}

/// Everything that was said.
pub(crate) async fn said(session: &Session) -> Vec<String> {
    let entries = session.transcript().await.unwrap();
    entries.into_iter().map(|entry| entry.content.unwrap().content).collect()
}

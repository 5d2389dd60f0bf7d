//! What the workloads have in common: a runtime, supervisors with sessions, and what is said there.

use std::path::Path;
use std::sync::Arc;

use session_supervisor::{
    BusyPolicy, ChatMessage, CommitOutcome, Session, SessionKey, SqliteOptions, SqliteStore,
    Supervisor, TurnInput,
};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How many sessions there are unless the workload says otherwise.
pub(crate) const SESSIONS: usize = 10_000;

/// The runtime of every workload: two workers, as the machine that the targets were set on has cores.
pub(crate) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime starts")
}

/// One whose time stands still while there is work, and goes on when it is told.
pub(crate) fn paused_runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().expect("a runtime starts")
}

/// The key of session `number`, 40 bytes long.
pub(crate) fn key(number: usize) -> SessionKey {
    let chat = format!("room-{number:012}");
    SessionKey::builder("irc").chat(&chat).user("somebody").build().expect("a key")
}

/// Keys, so that making them is not measured.
pub(crate) fn keys(count: usize) -> Arc<Vec<SessionKey>> {
    Arc::new((0..count).map(key).collect())
}

/// A message of the user and a reply.
pub(crate) struct Said {
    pub(crate) input: ChatMessage,
    pub(crate) reply: ChatMessage,
}

impl Said {
    /// Short ones: 32 and 128 bytes of text.
    pub(crate) fn short() -> Arc<Self> {
        Self::of(32, 128)
    }

    /// Such as take 400 bytes each in a store.
    pub(crate) fn long() -> Arc<Self> {
        let (input, reply) = (Self::of(0, 0), Self::of(0, 0));
        Self::of(400 - input.input_bytes().len(), 400 - reply.reply_bytes().len())
    }

    fn of(input: usize, reply: usize) -> Arc<Self> {
        let text = |length| "m".repeat(length);
        Arc::new(Self {
            input: ChatMessage::user(text(input)),
            reply: ChatMessage::assistant(text(reply)),
        })
    }

    /// The input as a store gets it.
    pub(crate) fn input_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.input).expect("it can be encoded")
    }

    /// The reply as a store gets it.
    pub(crate) fn reply_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.reply).expect("it can be encoded")
    }
}

/// One turn.
pub(crate) async fn turn(session: &Session, said: &Said) {
    let turn = session.begin(&said.input, BusyPolicy::Reject).await.expect("nobody else is there");
    let outcome = turn.commit(&said.reply).await.expect("the store does not fail");
    assert!(matches!(outcome, CommitOutcome::Committed { .. }));
}

/// One turn in which nothing is said: the slot, the fence, the outcome, and no entries to encode and keep.
pub(crate) async fn silent_turn(session: &Session) {
    let begun = session.begin(TurnInput::none(), BusyPolicy::Reject).await;
    let reply: &[ChatMessage] = &[];
    let turn = begun.expect("nobody else is there");
    let outcome = turn.commit(reply).await.expect("the store does not fail");
    assert!(matches!(outcome, CommitOutcome::Committed { .. }));
}

/// A supervisor on memory.
pub(crate) async fn on_memory() -> Supervisor {
    Supervisor::builder().start().await.expect("it starts")
}

/// A supervisor on a file.
pub(crate) async fn on_file(path: &Path) -> Supervisor {
    let store = SqliteStore::open(path, SqliteOptions::default()).await.expect("it opens");
    Supervisor::builder().store(store).start().await.expect("it starts")
}

/// Opens a session for each of `keys`, many at a time, in their order.
pub(crate) async fn open_all(
    supervisor: &Supervisor,
    keys: &Arc<Vec<SessionKey>>,
) -> Arc<Vec<Session>> {
    const TASKS: usize = 512;
    let mut opening = JoinSet::new();
    for task in 0..TASKS {
        let (supervisor, keys) = (supervisor.clone(), keys.clone());
        opening.spawn(async move {
            let mut opened = Vec::new();
            for (number, key) in keys.iter().enumerate().skip(task).step_by(TASKS) {
                opened.push((number, supervisor.open(key).await.expect("it opens")));
            }
            opened
        });
    }
    let mut opened = opening.join_all().await.concat();
    opened.sort_by_key(|(number, _)| *number);
    Arc::new(opened.into_iter().map(|(_, session)| session).collect())
}

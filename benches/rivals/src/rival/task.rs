//! A plain task a session, a channel to it, a channel for each answer, and a map of them.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Notify, mpsc, oneshot};

use super::ractor::Stuck;
use super::state::encoded;
use super::{Entries, Key, Rival, State, Turns};
use crate::world::Said;

/// How many messages wait at most, as in an actor with a bounded mailbox.
const QUEUED: usize = 64;

/// The map.
#[derive(Clone)]
pub(crate) struct Task(Arc<DashMap<Arc<str>, mpsc::Sender<Message>>>);

/// What a session's task is asked.
pub(crate) enum Message {
    /// To do the bookkeeping of a turn, and keep what was said in it.
    Turn(Option<Entries>, oneshot::Sender<u64>),
    /// How many turns were committed.
    Committed(oneshot::Sender<u64>),
    /// To be stuck until it is told.
    Hang(Arc<Notify>),
    /// To end; the answer comes when it has.
    End(oneshot::Sender<u64>),
}

fn spawn() -> mpsc::Sender<Message> {
    let (sender, receiver) = mpsc::channel(QUEUED);
    tokio::spawn(session(receiver));
    sender
}

async fn session(mut receiver: mpsc::Receiver<Message>) {
    let mut state = State::default();
    while let Some(message) = receiver.recv().await {
        match message {
            Message::Turn(entries, reply) => _ = reply.send(state.turn(entries)),
            Message::Committed(reply) => _ = reply.send(state.committed()),
            Message::Hang(until) => until.notified().await,
            Message::End(reply) => {
                _ = reply.send(state.committed());
                return;
            }
        }
    }
}

async fn ask(
    session: &mpsc::Sender<Message>,
    message: impl FnOnce(oneshot::Sender<u64>) -> Message,
) -> u64 {
    let (reply, answer) = oneshot::channel();
    assert!(session.send(message(reply)).await.is_ok(), "it runs");
    answer.await.expect("it answers")
}

impl Rival for Task {
    const NAME: &'static str = "tokio task";
    type Name = Key;
    type Handle = mpsc::Sender<Message>;

    async fn start() -> Self {
        Self(Arc::default())
    }

    async fn create(&self, key: &Key) -> (Key, mpsc::Sender<Message>) {
        let sender = spawn();
        self.0.insert(key.text.clone(), sender.clone());
        (key.clone(), sender)
    }

    async fn look_up(&self, name: &Key) -> bool {
        let found = self.0.get(&name.text).map(|sender| sender.clone());
        std::hint::black_box(found).is_some()
    }

    async fn delete(&self, name: &Key, handle: &mpsc::Sender<Message>) {
        self.0.remove(&name.text);
        ask(handle, Message::End).await;
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    async fn stop(self) {
        let senders: Vec<_> = self.0.iter().map(|sender| sender.clone()).collect();
        self.0.clear();
        for sender in senders {
            ask(&sender, Message::End).await;
        }
    }
}

impl Turns for Task {
    type Stuck = Stuck;

    async fn turn(&self, handle: &mpsc::Sender<Message>) {
        std::hint::black_box(ask(handle, |reply| Message::Turn(None, reply)).await);
    }

    async fn say(&self, handle: &mpsc::Sender<Message>, said: &Said) {
        let entries = Some(encoded(said));
        std::hint::black_box(ask(handle, |reply| Message::Turn(entries, reply)).await);
    }

    async fn committed(&self, handle: &mpsc::Sender<Message>) -> u64 {
        ask(handle, Message::Committed).await
    }

    async fn open(&self, key: &Key) -> mpsc::Sender<Message> {
        if let Some(found) = self.0.get(&key.text) {
            return found.clone();
        }
        self.0.entry(key.text.clone()).or_insert_with(spawn).clone()
    }

    fn same(one: &mpsc::Sender<Message>, other: &mpsc::Sender<Message>) -> bool {
        one.same_channel(other)
    }

    async fn stick(&self, handle: &mpsc::Sender<Message>) -> Stuck {
        let until = Arc::new(Notify::new());
        assert!(handle.send(Message::Hang(until.clone())).await.is_ok(), "it runs");
        for _ in 0..super::WAITING {
            let (reply, _) = oneshot::channel();
            assert!(handle.send(Message::Turn(None, reply)).await.is_ok(), "it runs");
        }
        Stuck(until)
    }
}

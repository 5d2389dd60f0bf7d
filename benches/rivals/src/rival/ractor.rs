//! A ractor actor a session, linked to a parent and found by its name.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ractor::{
    Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr, SupervisionEvent, registry,
};
use tokio::sync::Notify;

use super::state::encoded;
use super::{Entries, Key, Rival, State, Turns};
use crate::world::Said;

/// What holds the sessions' parent, and counts them.
#[derive(Clone)]
pub(crate) struct Ractor {
    parent: ActorRef<Message>,
    count: Arc<AtomicUsize>,
}

/// What a session's actor is asked.
pub(crate) enum Message {
    /// To do the bookkeeping of a turn, and keep what was said in it.
    Turn(Option<Entries>, RpcReplyPort<u64>),
    /// How many turns were committed.
    Committed(RpcReplyPort<u64>),
    /// To be stuck until it is told.
    Hang(Arc<Notify>),
}

struct Session;

impl Actor for Session {
    type Msg = Message;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message>, (): ()) -> Result<State, ActorProcessingErr> {
        Ok(State::default())
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Turn(entries, reply) => drop(reply.send(state.turn(entries))),
            Message::Committed(reply) => drop(reply.send(state.committed())),
            Message::Hang(until) => until.notified().await,
        }
        Ok(())
    }

    /// The parent outlives its children; by itself it would stop with the first of them.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message>,
        _: SupervisionEvent,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl Ractor {
    async fn spawn(&self, name: Option<&Key>) -> Result<ActorRef<Message>, SpawnErr> {
        let name = name.map(|key| key.text.to_string());
        let spawned = Actor::spawn_linked(name, Session, (), self.parent.get_cell()).await;
        let (actor, _) = spawned?;
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(actor)
    }
}

impl Rival for Ractor {
    const NAME: &'static str = "ractor";
    type Name = Key;
    type Handle = ActorRef<Message>;

    async fn start() -> Self {
        let (parent, _) = Actor::spawn(None, Session, ()).await.expect("it starts");
        Self { parent, count: Arc::default() }
    }

    async fn create(&self, key: &Key) -> (Key, ActorRef<Message>) {
        (key.clone(), self.spawn(Some(key)).await.expect("the name is free"))
    }

    async fn look_up(&self, name: &Key) -> bool {
        let found = registry::where_is(&*name.text).map(ActorRef::<Message>::from);
        std::hint::black_box(found).is_some()
    }

    async fn delete(&self, _: &Key, handle: &ActorRef<Message>) {
        handle.stop_and_wait(None, None).await.expect("it runs");
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    async fn stop(self) {
        self.parent.stop_children_and_wait(None, None).await;
        self.parent.stop_and_wait(None, None).await.expect("it runs");
    }
}

impl Turns for Ractor {
    type Stuck = Stuck;

    async fn turn(&self, handle: &ActorRef<Message>) {
        call(handle, None).await;
    }

    async fn say(&self, handle: &ActorRef<Message>, said: &Said) {
        call(handle, Some(encoded(said))).await;
    }

    async fn committed(&self, handle: &ActorRef<Message>) -> u64 {
        let answer = handle.call(Message::Committed, None).await.expect("it runs");
        answer.expect("it answers")
    }

    async fn open(&self, key: &Key) -> ActorRef<Message> {
        loop {
            if let Some(found) = registry::where_is(&*key.text) {
                return found.into();
            }
            // Another caller may have been faster; then its actor is found.
            match self.spawn(Some(key)).await {
                Ok(actor) => return actor,
                Err(SpawnErr::ActorAlreadyRegistered(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn same(one: &ActorRef<Message>, other: &ActorRef<Message>) -> bool {
        one.get_id() == other.get_id()
    }

    async fn stick(&self, handle: &ActorRef<Message>) -> Stuck {
        let until = Arc::new(Notify::new());
        handle.cast(Message::Hang(until.clone())).expect("it runs");
        for _ in 0..super::WAITING {
            let (port, _) = tokio::sync::oneshot::channel();
            handle.cast(Message::Turn(None, port.into())).expect("it runs");
        }
        Stuck(until)
    }
}

/// Lets a stuck session go on when it is dropped.
pub(crate) struct Stuck(pub(crate) Arc<Notify>);

impl Drop for Stuck {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn call(actor: &ActorRef<Message>, entries: Option<Entries>) {
    let answer = actor.call(|reply| Message::Turn(entries, reply), None).await;
    std::hint::black_box(answer.expect("it runs").expect("it answers"));
}

/// The same actors without names: a bare spawn.
#[derive(Clone)]
pub(crate) struct Bare(Ractor);

impl Rival for Bare {
    const NAME: &'static str = "ractor, unnamed";
    type Name = ();
    type Handle = ActorRef<Message>;

    async fn start() -> Self {
        Self(Ractor::start().await)
    }

    async fn create(&self, _: &Key) -> ((), ActorRef<Message>) {
        ((), self.0.spawn(None).await.expect("it starts"))
    }

    async fn look_up(&self, (): &()) -> bool {
        false
    }

    async fn delete(&self, (): &(), handle: &ActorRef<Message>) {
        handle.stop_and_wait(None, None).await.expect("it runs");
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.0.count()
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}

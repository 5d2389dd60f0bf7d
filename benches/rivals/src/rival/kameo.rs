//! A kameo actor a session, in a map.

use std::convert::Infallible;
use std::sync::Arc;

use dashmap::DashMap;
use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::message::{Context, Message};
use tokio::sync::Notify;

use super::ractor::Stuck;
use super::state::encoded;
use super::{Entries, Key, Rival, State, Turns};
use crate::world::Said;

/// The map.
#[derive(Clone)]
pub(crate) struct Kameo(Arc<DashMap<Arc<str>, ActorRef<Session>>>);

pub(crate) struct Session(State);

impl Actor for Session {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(state: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(state)
    }
}

/// To do the bookkeeping of a turn, and keep what was said in it.
struct Turn(Option<Entries>);

impl Message<Turn> for Session {
    type Reply = u64;

    async fn handle(&mut self, turn: Turn, _: &mut Context<Self, u64>) -> u64 {
        self.0.turn(turn.0)
    }
}

/// How many turns were committed.
struct Committed;

impl Message<Committed> for Session {
    type Reply = u64;

    async fn handle(&mut self, _: Committed, _: &mut Context<Self, u64>) -> u64 {
        self.0.committed()
    }
}

/// To be stuck until it is told.
struct Hang(Arc<Notify>);

impl Message<Hang> for Session {
    type Reply = ();

    async fn handle(&mut self, until: Hang, _: &mut Context<Self, ()>) {
        until.0.notified().await;
    }
}

fn spawn() -> ActorRef<Session> {
    Session::spawn(Session(State::default()))
}

impl Rival for Kameo {
    const NAME: &'static str = "kameo";
    type Name = Key;
    type Handle = ActorRef<Session>;

    async fn start() -> Self {
        Self(Arc::default())
    }

    async fn create(&self, key: &Key) -> (Key, ActorRef<Session>) {
        let actor = spawn();
        self.0.insert(key.text.clone(), actor.clone());
        (key.clone(), actor)
    }

    async fn look_up(&self, name: &Key) -> bool {
        let found = self.0.get(&name.text).map(|actor| actor.clone());
        std::hint::black_box(found).is_some()
    }

    async fn delete(&self, name: &Key, handle: &ActorRef<Session>) {
        self.0.remove(&name.text);
        handle.stop_gracefully().await.expect("it runs");
        handle.wait_for_shutdown().await;
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    async fn stop(self) {
        let actors: Vec<_> = self.0.iter().map(|actor| actor.clone()).collect();
        self.0.clear();
        for actor in actors {
            actor.stop_gracefully().await.expect("it runs");
            actor.wait_for_shutdown().await;
        }
    }
}

impl Turns for Kameo {
    type Stuck = Stuck;

    async fn turn(&self, handle: &ActorRef<Session>) {
        std::hint::black_box(handle.ask(Turn(None)).await.expect("it answers"));
    }

    async fn say(&self, handle: &ActorRef<Session>, said: &Said) {
        std::hint::black_box(handle.ask(Turn(Some(encoded(said)))).await.expect("it answers"));
    }

    async fn committed(&self, handle: &ActorRef<Session>) -> u64 {
        handle.ask(Committed).await.expect("it answers")
    }

    async fn open(&self, key: &Key) -> ActorRef<Session> {
        if let Some(found) = self.0.get(&key.text) {
            return found.clone();
        }
        self.0.entry(key.text.clone()).or_insert_with(spawn).clone()
    }

    fn same(one: &ActorRef<Session>, other: &ActorRef<Session>) -> bool {
        one.id() == other.id()
    }

    async fn stick(&self, handle: &ActorRef<Session>) -> Stuck {
        let until = Arc::new(Notify::new());
        handle.tell(Hang(until.clone())).await.expect("it runs");
        for _ in 0..super::WAITING {
            handle.tell(Turn(None)).await.expect("it runs");
        }
        Stuck(until)
    }
}

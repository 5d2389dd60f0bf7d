//! The library, on memory.

use std::time::Duration;

use session_supervisor::{
    BusyPolicy, CommitOutcome, DeleteOutcome, Session, Subscription, Supervisor, Turn,
};
use tokio::task::JoinHandle;

use super::{Key, Rival, Turns};
use crate::figure::OURS;
use crate::world::{self, Said};

/// A supervisor.
#[derive(Clone)]
pub(crate) struct Ours(pub(crate) Supervisor);

impl Rival for Ours {
    const NAME: &'static str = OURS;
    type Name = Key;
    type Handle = Session;

    async fn start() -> Self {
        Self(world::on_memory().await)
    }

    async fn create(&self, key: &Key) -> (Key, Session) {
        (key.clone(), self.open(key).await)
    }

    async fn look_up(&self, name: &Key) -> bool {
        !self.open(name).await.status().is_busy()
    }

    async fn delete(&self, _: &Key, handle: &Session) {
        let outcome = handle.delete().await.expect("the store does not fail");
        assert!(matches!(outcome, DeleteOutcome::Deleted(_)));
    }

    fn count(&self) -> usize {
        self.0.loaded()
    }

    async fn stop(self) {
        self.0.shutdown(Duration::from_secs(5)).await.expect("it ends");
    }
}

/// A turn that goes on and hears nothing, whoever waits for it, and a reader of it that never reads.
pub(crate) struct Stuck {
    _reader: Subscription,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Turns for Ours {
    type Stuck = Stuck;

    async fn turn(&self, handle: &Session) {
        world::silent_turn(handle).await;
    }

    async fn say(&self, handle: &Session, said: &Said) {
        world::turn(handle, said).await;
    }

    async fn committed(&self, handle: &Session) -> u64 {
        // Every commit was looked at when it was made; this says that there were as many turns.
        handle.record().await.expect("it is there").generation.get()
    }

    async fn open(&self, key: &Key) -> Session {
        self.0.open(&key.session).await.expect("it opens")
    }

    fn same(one: &Session, other: &Session) -> bool {
        one.incarnation() == other.incarnation()
    }

    async fn stick(&self, handle: &Session) -> Stuck {
        let said = Said::short();
        let turn = handle.begin(&said.input, BusyPolicy::Reject).await.expect("it is free");
        let reader = turn.subscribe();
        for _ in 0..2_000 {
            turn.emit("more than the reader's ring has room for").expect("it runs");
        }
        let goes_on = tokio::spawn(go_on(turn));
        let wait = |_| {
            let (session, said) = (handle.clone(), said.clone());
            tokio::spawn(async move {
                let begun = session.begin(&said.input, BusyPolicy::queue()).await;
                if let Ok(turn) = begun {
                    let committed = turn.commit(&said.reply).await;
                    assert!(matches!(committed, Ok(CommitOutcome::Committed { .. })));
                }
            })
        };
        let tasks = (0..super::WAITING).map(wait).chain([goes_on]).collect();
        tokio::task::yield_now().await;
        Stuck { _reader: reader, tasks }
    }
}

/// Emits for ever.
async fn go_on(turn: Turn) {
    while turn.emit("and so on").is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

//! Whatever callers do, in whatever order, given up wherever it waits: what was acknowledged is there, what
//! was deleted stays so, every part agrees with every other, and in the end nothing is left.
//!
//! A byte says how the supervisor is set up; then each three are a step. A step polls its future once and
//! leaves it among those that wait, which are polled again with each step.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use session_supervisor::testing::{CountingIds, FaultyStore, PausedClock};
use session_supervisor::{
    BeginOptions, BusyPolicy, ChatMessage, CommitOutcome, Config, DeleteOutcome, FailedInput,
    Lookup, MemoryStore, NewSession, Parallel, PartialPolicy, RecordFilter, Session, SessionId,
    SessionKey, Store, StreamId, Subscription, Supervisor, Turn,
};
use tokio::runtime::Builder;

fuzz_target!(|bytes: &[u8]| {
    let Some((&setup, steps)) = bytes.split_first() else { return };
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let mut world = World::start(setup).await;
        for &[kind, which, how] in steps.as_chunks::<3>().0.iter().take(200) {
            world.step(kind, usize::from(which), how).await;
            world.poll().await;
            let audit = world.supervisor.audit();
            assert!(audit.is_clean(), "{audit:?}");
        }
        world.end().await;
    });
});

/// What came of a future.
enum Done {
    Nothing,
    Session(Session),
    Turn(Box<Turn>),
    /// A reply: whose, its number, its text.
    Committed(StreamId, u64, String),
    /// Entries went, or came back.
    Cut(SessionId),
    Deleted(SessionId),
    Found(SessionId, bool),
}

type Waiting = Pin<Box<dyn Future<Output = Done>>>;

struct World {
    store: Arc<dyn Store>,
    supervisor: Supervisor,
    sessions: Vec<Session>,
    turns: Vec<Turn>,
    readers: Vec<Subscription>,
    waiting: Vec<Waiting>,
    /// What somebody was told is in the transcript, by life.
    committed: BTreeMap<u64, BTreeMap<u64, String>>,
    /// Of whose transcript a part may have been taken out.
    cut: BTreeSet<SessionId>,
    deleted: BTreeSet<SessionId>,
    said: usize,
}

impl World {
    async fn start(setup: u8) -> Self {
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let store: Arc<dyn Store> =
            if setup & 1 == 0 { memory } else { Arc::new(FaultyStore::pending(memory)) };
        let mut config = Config::default();
        config.limits.max_turns = usize::from(setup >> 1 & 3);
        config.limits.max_sessions = if setup & 8 == 0 { 0 } else { 3 };
        config.idle.max_live = if setup & 16 == 0 { 0 } else { 2 };
        config.idle.unload_after = Duration::from_secs(30);
        config.partials.interrupted = match setup >> 5 & 3 {
            0 => PartialPolicy::Drop,
            1 => PartialPolicy::Entry,
            _ => PartialPolicy::Beside,
        };
        let builder = Supervisor::builder().shared_store(store.clone()).config(config);
        let builder = builder.clock(PausedClock::new()).ids(CountingIds::new());
        let supervisor = builder.partial_entry(|said| ChatMessage::assistant(said)).start().await;
        Self {
            store,
            supervisor: supervisor.expect("it starts"),
            sessions: Vec::new(),
            turns: Vec::new(),
            readers: Vec::new(),
            waiting: Vec::new(),
            committed: BTreeMap::new(),
            cut: BTreeSet::new(),
            deleted: BTreeSet::new(),
            said: 0,
        }
    }

    /// Something new to say.
    fn text(&mut self) -> String {
        self.said += 1;
        format!("{}", self.said)
    }

    fn wait(&mut self, future: impl Future<Output = Done> + 'static) {
        // As many as a busy bot has.
        if self.waiting.len() < 16 {
            self.waiting.push(Box::pin(future));
        }
    }

    async fn step(&mut self, kind: u8, which: usize, how: u8) {
        let (supervisor, key) = (self.supervisor.clone(), key(which));
        match kind % 32 {
            0 | 1 => self.wait(async move { session(supervisor.open(&key).await.ok()) }),
            2 => self.wait(async move {
                session(supervisor.reset(&key, NewSession::new()).await.ok().map(|it| it.session))
            }),
            3 => self.wait(async move { session(supervisor.create(NewSession::new()).await.ok()) }),
            4 => self.wait(async move {
                drop(supervisor.unbind(&key).await);
                Done::Nothing
            }),
            5 => {
                // Time passes, and whatever is due happens.
                tokio::time::advance(Duration::from_millis(u64::from(how) * 250)).await;
            }
            6 => {
                let taken = which % self.waiting.len().max(1);
                drop((taken < self.waiting.len()).then(|| self.waiting.swap_remove(taken)));
            }
            7 => {
                let begun = ChatMessage::user(self.text());
                let options = options(how);
                self.wait(async move { turn(supervisor.begin(&key, &begun, options).await.ok()) });
            }
            8..16 if !self.turns.is_empty() => self.turn(kind, which, how),
            16..32 if !self.sessions.is_empty() => self.session(kind, which, how),
            _ => {
                let page = self.supervisor.prune(how & 1 == 0);
                self.waiting.truncate(16);
                drop(page.await);
            }
        }
    }

    /// A step of a turn.
    fn turn(&mut self, kind: u8, which: usize, how: u8) {
        let text = self.text();
        let turn = self.turns.swap_remove(which % self.turns.len());
        match kind % 8 {
            0..3 => self.wait(async move {
                let stream = turn.stream();
                match turn.commit(&ChatMessage::assistant(text.clone())).await {
                    Ok(CommitOutcome::Committed { seq, .. }) => Done::Committed(stream, seq, text),
                    _ => Done::Nothing,
                }
            }),
            3 => {
                let input = if how & 1 == 0 { FailedInput::Keep } else { FailedInput::Drop };
                self.wait(async move {
                    drop(turn.fail(input).await);
                    Done::Nothing
                });
            }
            4 => drop(turn),
            5 => {
                self.readers.push(turn.subscribe());
                self.turns.push(turn);
            }
            _ => {
                for _ in 0..=how % 4 {
                    let _ = turn.emit(text.clone());
                }
                self.turns.push(turn);
            }
        }
    }

    /// A step of a session.
    fn session(&mut self, kind: u8, which: usize, how: u8) {
        let text = self.text();
        let session = self.sessions[which % self.sessions.len()].clone();
        let id = session.id().clone();
        let number = u64::from(how % 8);
        match kind % 16 {
            0..5 => {
                let (begun, options) = (ChatMessage::user(text), options(how));
                self.wait(async move { turn(session.begin(&begun, options).await.ok()) });
            }
            5 => self.wait(async move {
                drop(session.append(&[ChatMessage::system(text)]).await);
                Done::Nothing
            }),
            6 => {
                self.cut.insert(id.clone());
                self.wait(async move {
                    drop(session.rollback(usize::from(how % 3), None).await);
                    Done::Cut(id)
                });
            }
            7 => {
                self.cut.insert(id.clone());
                self.wait(async move {
                    drop(session.truncate(number, "because", None).await);
                    Done::Cut(id)
                });
            }
            8 => {
                self.cut.insert(id);
                self.wait(async move {
                    drop(session.restore_revision(number, None).await);
                    Done::Nothing
                });
            }
            9 => {
                self.cut.insert(id);
                let options = options(how);
                self.wait(async move { turn(session.retry(1, options).await.ok()) });
            }
            10 => self.wait(async move {
                match session.delete().await {
                    Ok(DeleteOutcome::Deleted(_)) => Done::Deleted(id),
                    _ => Done::Nothing,
                }
            }),
            11 => self.wait(async move {
                match how % 8 {
                    0 => drop(session.suspend().await),
                    1..3 => drop(session.resume().await),
                    3 => drop(session.archive().await),
                    4..6 => drop(session.restore().await),
                    6 => drop(session.end().await),
                    _ => drop(session.touch().await),
                }
                Done::Nothing
            }),
            12 if how & 1 == 0 => drop(session.stop()),
            12 => drop(session.status().attachable().map(|stream| session.cancel(stream))),
            13 => self.wait(async move {
                drop(session.insert("mood", &text).await);
                Done::Nothing
            }),
            14 => {
                let (supervisor, key) = (self.supervisor.clone(), key(usize::from(how)));
                self.wait(async move {
                    drop(supervisor.rebind(&key, &session).await);
                    Done::Nothing
                });
            }
            _ => {
                let supervisor = self.supervisor.clone();
                self.wait(async move {
                    let found = supervisor.look_up(&id).await.expect("the store works");
                    Done::Found(id, matches!(found, Lookup::Live(_)))
                });
            }
        }
    }

    /// Polls everything that waits, until nothing more comes of it.
    async fn poll(&mut self) {
        for _ in 0..4 {
            tokio::task::yield_now().await;
            let mut done = Vec::new();
            std::future::poll_fn(|context| {
                self.waiting.retain_mut(|future| match future.as_mut().poll(context) {
                    Poll::Ready(what) => {
                        done.push(what);
                        false
                    }
                    Poll::Pending => true,
                });
                self.readers.retain_mut(|reader| {
                    let mut next = std::pin::pin!(reader.next());
                    !matches!(next.as_mut().poll(context), Poll::Ready(None))
                });
                Poll::Ready(())
            })
            .await;
            if done.is_empty() {
                break;
            }
            done.into_iter().for_each(|what| self.done(what));
        }
    }

    fn done(&mut self, what: Done) {
        match what {
            Done::Nothing => {}
            Done::Session(session) => {
                if self.sessions.len() < 8 {
                    self.sessions.push(session);
                }
            }
            Done::Turn(turn) => self.turns.push(*turn),
            Done::Committed(stream, seq, text) => {
                let life = self.committed.entry(stream.incarnation().get()).or_default();
                assert_eq!(life.insert(seq, text), None, "two replies under one number");
            }
            Done::Cut(id) => drop(self.cut.insert(id)),
            Done::Deleted(id) => drop(self.deleted.insert(id)),
            Done::Found(id, live) => {
                assert!(!live || !self.deleted.contains(&id), "{id} lives again");
            }
        }
    }

    /// Everybody goes away; then nothing is left, and what was acknowledged is there.
    async fn end(mut self) {
        self.poll().await;
        self.waiting.clear();
        self.turns.clear();
        self.readers.clear();
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        let (supervisor, store) = (&self.supervisor, &self.store);
        let audit = supervisor.audit();
        assert!(audit.is_clean(), "{audit:?}");
        assert_eq!(supervisor.audit_counts(), Vec::<String>::new());
        assert_eq!(supervisor.in_flight(), 0, "somebody is still on the way");
        let page = supervisor.list(RecordFilter::default(), None, 1_000).await;
        for record in page.expect("the store works").records {
            assert_eq!(record.open, [], "a turn of {} is open", record.id);
            assert!(!self.deleted.contains(&record.id), "{} lives again", record.id);
            let Some(committed) = self.committed.get(&record.incarnation.get()) else { continue };
            if self.cut.contains(&record.id) {
                continue;
            }
            let (id, life) = (&record.id, record.incarnation);
            let entries = store.entries(id, life, 0, 10_000).await.expect("the store works");
            for (seq, text) in committed {
                let entry = entries.iter().find(|entry| entry.seq == *seq);
                let entry = entry.unwrap_or_else(|| panic!("{id} has lost {seq}, {text}"));
                let message: ChatMessage = serde_json::from_slice(&entry.payload).expect("one");
                assert_eq!(message.content, *text);
            }
        }
        assert_eq!(store.check().await.expect("the store works"), Vec::<String>::new());
        let report = supervisor.shutdown(Duration::from_secs(10)).await.expect("the store works");
        assert!(report.clean, "{report:?}");
    }
}

fn key(which: usize) -> SessionKey {
    let chat = ["a", "b", "c", "d"][which % 4];
    SessionKey::builder("test").chat(chat).build().expect("it is one")
}

fn session(session: Option<Session>) -> Done {
    session.map_or(Done::Nothing, Done::Session)
}

fn turn(turn: Option<Turn>) -> Done {
    turn.map_or(Done::Nothing, |turn| Done::Turn(Box::new(turn)))
}

/// How a begin is asked for.
fn options(how: u8) -> BeginOptions {
    let grace = Duration::from_secs(u64::from(how % 3));
    let policy = match how % 8 {
        0 | 1 => BusyPolicy::Reject,
        2 | 3 => BusyPolicy::queue(),
        4 => BusyPolicy::Interrupt { grace, max: 4 },
        5 => BusyPolicy::Parallel(Parallel::FirstCommit),
        6 => BusyPolicy::Parallel(Parallel::Branch),
        _ => BusyPolicy::Queue { max: 2, wait: Some(Duration::from_secs(5)) },
    };
    let options = BeginOptions::from(policy);
    if how > 200 { options.idempotency_key(["x", "y"][usize::from(how & 1)]) } else { options }
}

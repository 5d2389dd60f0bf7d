//! What users do while they are watched: several conversations at once, every kind of write, clean stops and
//! crashes in between.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_supervisor::store::Synchronous;
use session_supervisor::testing::ManualClock;
use session_supervisor::{
    ChatMessage, CommitOutcome, Config, DeleteOutcome, SessionKey, SqliteOptions, SqliteStore,
    Store, Supervisor,
};

use crate::disk::{Disk, Event};
use crate::habits;
use crate::random::Random;
use crate::rebuild::{self, Image};
use crate::report::Report;
use crate::said::Said;
use crate::witness::{Asked, Asks, Witness, lock};

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    /// How often the store is opened.
    pub(crate) lives: u64,
    /// How many steps each task of a life makes.
    pub(crate) steps: u64,
}

/// What was recorded.
#[derive(Debug)]
pub(crate) struct Recording {
    /// The folder as it was before.
    pub(crate) base: Image,
    /// What happened.
    pub(crate) events: Vec<Event>,
    /// What the store was asked.
    pub(crate) asked: Vec<Asked>,
    /// How many transactions it made of that.
    pub(crate) transactions: u64,
    /// The clock at the end.
    pub(crate) clock: ManualClock,
}

/// Where the work is done.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where the file is.
    folder: PathBuf,
    /// Who watches it.
    disk: Arc<Disk>,
    /// What the store was asked.
    asks: Asks,
    /// The time.
    clock: ManualClock,
    /// How the store is opened.
    options: SqliteOptions,
    /// Numbers the texts.
    texts: AtomicU64,
}

/// The settings of everybody here: pieces of replies are stored soon, and crashes are wanted.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.partials.every_chunks = 4;
    config.prune.delete_closed_after = Duration::from_secs(2 * 60 * 60);
    config.kept.requests_for = Duration::from_secs(60 * 60);
    config.kept.revisions_for = Duration::from_secs(60 * 60);
    config.tombstones.keep_for = Duration::from_secs(3 * 60 * 60);
    config.resume.max_age = Duration::from_secs(60 * 60);
    (config.recovery.max_crashes, config.recovery.max_restarts) = (0, 0);
    config
}

/// The key of a chat.
pub(crate) fn key(chat: &str) -> SessionKey {
    SessionKey::builder("irc").chat(chat).build().expect("it is one")
}

/// Makes an empty store in `folder`, closed.
pub(crate) async fn fresh(folder: &Path) {
    rebuild::write(folder, &Image::new());
    let store = SqliteStore::open(folder.join("s.db"), SqliteOptions::default()).await;
    store.expect("there is room").close().await.expect("it closes");
}

/// Works in `folder`, and records it.
pub(crate) async fn record(
    folder: &Path,
    synchronous: Synchronous,
    amount: Amount,
    random: &mut Random,
) -> Recording {
    fresh(folder).await;
    let base = rebuild::read(folder);
    let mut options = SqliteOptions::default();
    options.synchronous = synchronous;
    // So that the log is taken over in the middle of the work, and begins anew.
    options.checkpoint_bytes = 128 << 10;
    let place = Arc::new(Place {
        folder: folder.to_owned(),
        disk: Disk::watch(folder),
        asks: Asks::default(),
        clock: ManualClock::new(),
        options,
        texts: AtomicU64::new(0),
    });
    let mut transactions = 0;
    for life in 0..amount.lives {
        transactions += place.live(life, amount.steps, random).await;
        place.clock.advance(Duration::from_secs(45 * 60));
    }
    place.disk.forget();
    Recording {
        base,
        events: place.disk.take_events(),
        asked: std::mem::take(&mut *lock(&place.asks)),
        transactions,
        clock: place.clock.clone(),
    }
}

impl Place {
    /// One run of the process; answers with how many transactions it made.
    async fn live(self: &Arc<Self>, life: u64, steps: u64, random: &mut Random) -> u64 {
        let path = self.folder.join("s.db");
        let store = SqliteStore::open(&path, self.options.clone()).await.expect("it opens");
        let witness = Witness::new(store.clone(), self.disk.clone(), self.asks.clone());
        let crash = witness.crash();
        let builder = Supervisor::builder().config(config()).clock(self.clock.clone());
        let supervisor = builder.store(witness).start().await.expect("it starts");
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..5 {
            let (place, supervisor) = (self.clone(), supervisor.clone());
            let mut random = Random::new(random.next(), task);
            tasks.spawn(async move {
                if task < 2 {
                    place.work_plainly(&supervisor, task, steps, &mut random).await;
                } else {
                    habits::work(&supervisor, task, steps, &mut random).await;
                }
            });
        }
        tasks.join_all().await;
        self.clock.advance(Duration::from_secs(30 * 60));
        supervisor.prune(false).await.expect("it prunes");
        let open = habits::leave_open(&supervisor).await;
        let transactions = store.transactions();
        if life.is_multiple_of(2) {
            // Whatever is still under way finds a store that is closed.
            crash.await.expect("it closes");
            drop(open);
        } else {
            drop(open);
            let within = Duration::from_secs(20);
            assert!(supervisor.shutdown(within).await.expect("it ends").clean);
        }
        transactions
    }

    /// Writes, replies and deletes, and says everything that it is told.
    async fn work_plainly(
        &self,
        supervisor: &Supervisor,
        task: u64,
        steps: u64,
        random: &mut Random,
    ) {
        for _ in 0..steps {
            let chat = format!("plain{task}-{}", random.below(2));
            let session = supervisor.open(&key(&chat)).await.expect("it opens");
            let id = session.id().to_string();
            match random.below(20) {
                0 => {
                    self.say(Said::Deleting { session: id.clone() });
                    let deleted = session.delete().await.expect("it is deleted");
                    assert!(matches!(deleted, DeleteOutcome::Deleted(_)));
                    self.say(Said::Deleted { session: id });
                }
                1..6 => {
                    let text = self.text(&id);
                    let note = [ChatMessage::user(text.clone())];
                    let seq = Some(session.append(&note).await.expect("it is appended"));
                    self.say(Said::Wrote { text, seq });
                }
                _ => {
                    let text = self.text(&id);
                    let input = ChatMessage::user(text.clone());
                    let turn = session.begin(&input, ()).await.expect("it begins");
                    self.say(Said::Wrote { text, seq: None });
                    for chunk in 0..random.below(10) {
                        turn.emit(format!("chunk {chunk} ")).expect("nobody ends it");
                        tokio::task::yield_now().await;
                    }
                    let (text, generation) = (self.text(&id), turn.stream().generation().get());
                    let reply = ChatMessage::assistant(text.clone());
                    let committed = turn.commit(&reply).await.expect("it is stored");
                    let CommitOutcome::Committed { seq, .. } = committed else {
                        panic!("{committed:?}")
                    };
                    self.say(Said::Wrote { text, seq: Some(seq) });
                    self.say(Said::Committed { session: id, generation });
                }
            }
        }
    }

    /// A text that nobody has used, which is about to be written.
    fn text(&self, session: &str) -> String {
        let text = format!("plain.{}", self.texts.fetch_add(1, Ordering::SeqCst));
        self.say(Said::Trying { session: session.to_owned(), text: text.clone() });
        text
    }

    /// Records what was said.
    fn say(&self, said: Said) {
        self.disk.note(Event::Said(said));
    }
}

/// What every recording has to have in it, or some write was never tried.
pub(crate) const KINDS: [&str; 25] = [
    "create",
    "begin",
    "steer",
    "partial",
    "commit",
    "settle",
    "append",
    "put_data",
    "take_back",
    "resume",
    "put_back",
    "forget_revision",
    "label",
    "standing",
    "patch",
    "rotate",
    "delete",
    "bind",
    "open_run",
    "close_run",
    "heal",
    "forget_tombstones",
    "forget_revisions",
    "forget_requests",
    "forget_resume_handles",
];

/// The kinds of writes that all recordings of a proof had.
#[derive(Debug, Default)]
pub(crate) struct Kinds(Mutex<BTreeMap<&'static str, usize>>);

impl Kinds {
    /// Adds those of one recording.
    pub(crate) fn add(&self, recording: &Recording) {
        let mut seen = lock(&self.0);
        for asked in &recording.asked {
            *seen.entry(asked.operation.name()).or_default() += 1;
        }
    }

    /// Tells how many of each there were.
    pub(crate) fn tell(&self, report: &Report) {
        for (kind, count) in &*lock(&self.0) {
            report.figure(&format!("operations_{kind}"), count, "operations");
        }
    }

    /// Those that no recording had.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let seen = lock(&self.0);
        KINDS.into_iter().filter(|kind| !seen.contains_key(kind)).collect()
    }
}

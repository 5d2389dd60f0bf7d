//! Plays a history on a real supervisor, and tells the model what is to be seen of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_supervisor::store::Found;
use session_supervisor::testing::{CountingIds, Fault, FaultyStore, StoreCall};
use session_supervisor::{
    BeginError, Lease, Lookup, MemoryStore, Previous, RebindReason, Session, SessionId, SessionKey,
    SqliteOptions, SqliteStore, Store, Supervisor, Timestamp, Turn,
};
use tokio::task::JoinHandle;

use crate::doing::refused;
use crate::history::{History, KEYS, Kind, Mood, Settings, Step, Stop};
use crate::host::{HandClock, Hook, Host, Ids};
use crate::model::{Account, Asked, Played, Reading, Refusal, Row, Told, World};

/// Longer than whatever a hook that hangs holds up.
const LONG: Duration = Duration::from_secs(60);

/// Longer than anything may take.
const NEVER: Duration = Duration::from_secs(30 * 60);

/// How often every task that can run does so before there is nothing left to do, at least.
const TURNS: usize = 64;

/// A begin that has not been answered.
pub(crate) type Begin = JoinHandle<Result<Turn, BeginError>>;

/// What is played on.
pub(crate) struct Driver {
    pub(crate) kind: Kind,
    pub(crate) folder: Option<tempfile::TempDir>,
    pub(crate) behind: Arc<dyn Store>,
    pub(crate) faults: FaultyStore,
    pub(crate) ids: Arc<CountingIds>,
    pub(crate) clock: HandClock,
    pub(crate) run: usize,
    pub(crate) host: Arc<Host>,
    pub(crate) settings: Settings,
    pub(crate) supervisor: Option<Supervisor>,
    /// Each session that was ever there.
    pub(crate) sessions: Vec<SessionId>,
    pub(crate) handles: BTreeMap<usize, Session>,
    /// What is held, with the number of its begin and its session.
    pub(crate) turns: Vec<(usize, usize, Turn)>,
    pub(crate) waiting: Vec<(usize, usize, Begin)>,
    pub(crate) leases: Vec<(usize, Lease)>,
    pub(crate) begins: usize,
    /// Whether a turn was told to end that may not have.
    pub(crate) told: bool,
}

/// Plays it; says what is wrong, with all that has happened.
pub(crate) async fn play(history: &History) -> Result<(), String> {
    let mut world = World::new();
    let mut trace = String::new();
    let mut driver = Driver::new(history).await;
    driver.start(&mut world).await;
    let started = driver.played(&Step::Started);
    let mut wrong = driver.check(started, history, &mut world, &mut trace).await;
    for step in &history.steps {
        if wrong.is_err() {
            break;
        }
        let played = driver.step(step, &mut world).await;
        wrong = driver.check(played, history, &mut world, &mut trace).await;
        if let (Ok(()), Step::Restart { away, settings, .. }) = (&wrong, step) {
            driver.reopen(*away, settings.as_deref()).await;
            driver.start(&mut world).await;
            let started = driver.played(&Step::Started);
            wrong = driver.check(started, history, &mut world, &mut trace).await;
        }
    }
    wrong.map_err(|wrong| format!("{wrong}\n\n{history:?}\nWhat came of it:\n{trace}"))
}

impl Driver {
    async fn new(history: &History) -> Self {
        let folder = (history.kind == Kind::Sqlite).then(|| tempfile::tempdir().unwrap());
        let behind: Arc<dyn Store> = match &folder {
            Some(folder) => Arc::new(open_sqlite(folder.path()).await),
            None => Arc::new(MemoryStore::new()),
        };
        Self {
            kind: history.kind,
            folder,
            faults: FaultyStore::new(behind.clone()),
            behind,
            ids: Arc::new(CountingIds::new()),
            clock: HandClock::starting_at(i64::try_from(history.wall).unwrap()),
            run: 0,
            host: Arc::new(Host {
                moods: Mutex::new((Mood::Well, Mood::Well)),
                asked: Mutex::new(Vec::new()),
            }),
            settings: history.settings.clone(),
            supervisor: None,
            sessions: Vec::new(),
            handles: BTreeMap::new(),
            turns: Vec::new(),
            waiting: Vec::new(),
            leases: Vec::new(),
            begins: 0,
            told: false,
        }
    }

    /// A process starts.
    async fn start(&mut self, world: &mut World) {
        self.faults = match self.kind {
            Kind::Pending => FaultyStore::pending(self.behind.clone()),
            Kind::Memory | Kind::Sqlite => FaultyStore::new(self.behind.clone()),
        };
        let moods = *self.host.moods.lock().unwrap();
        self.set_moods(moods, world);
        world.start(self.settings.clone(), self.now());
        let builder = Supervisor::builder()
            .shared_store(Arc::new(self.faults.clone()))
            .config(self.settings.config())
            .clock(self.clock.clone())
            .ids(Ids(self.ids.clone()));
        let builder =
            if self.settings.hook { builder.prune_hook(Hook(self.host.clone())) } else { builder };
        self.supervisor = Some(builder.start().await.unwrap());
    }

    /// The store as the next process finds it.
    async fn reopen(&mut self, away: u64, settings: Option<&Settings>) {
        let now = self.now();
        if let Some(folder) = &self.folder {
            self.behind.close().await.unwrap();
            self.behind = Arc::new(open_sqlite(folder.path()).await);
        }
        self.run += 1;
        self.clock = HandClock::starting_at(now.wall + i64::try_from(away).unwrap());
        self.settings = settings.unwrap_or(&self.settings).clone();
    }

    pub(crate) fn now(&self) -> Reading {
        self.clock.read(self.run)
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        self.supervisor.as_ref().unwrap()
    }

    pub(crate) fn set_moods(&self, moods: (Mood, Mood), world: &mut World) {
        // A turn that is about to be fenced, or a pass that nobody asked for, while a hook hangs would be one
        // of many orders.
        let tame = self.settings.prune_every > 0 || self.told;
        let tame = |mood| if tame && mood == Mood::Hangs { Mood::Fails } else { mood };
        let moods = (tame(moods.0), tame(moods.1));
        *self.host.moods.lock().unwrap() = moods;
        world.set_moods(moods);
    }

    pub(crate) fn hangs(&self) -> bool {
        let (keeps, rites) = *self.host.moods.lock().unwrap();
        self.settings.hook && (keeps == Mood::Hangs || rites == Mood::Hangs)
    }

    /// The number of a session.
    pub(crate) fn number(&mut self, id: &SessionId) -> usize {
        self.sessions.iter().position(|it| it == id).unwrap_or_else(|| {
            self.sessions.push(id.clone());
            self.sessions.len() - 1
        })
    }

    pub(crate) fn previous(
        &mut self,
        previous: Option<&Previous>,
    ) -> Option<(usize, RebindReason)> {
        previous.map(|it| (self.number(&it.id), it.reason))
    }

    /// The handle of a session, or why there is none.
    pub(crate) async fn handle(&mut self, who: usize) -> Result<Session, Refusal> {
        if let Some(session) = self.handles.get(&who) {
            return Ok(session.clone());
        }
        match self.supervisor().look_up(&self.sessions[who]).await.unwrap() {
            Lookup::Live(session) => {
                self.handles.insert(who, session.clone());
                Ok(session)
            }
            Lookup::Gone(tombstone) => Err(Refusal::Gone(tombstone.reason)),
            _ => Err(Refusal::Unknown),
        }
    }

    /// A step of which nothing has happened yet.
    fn played<'a>(&self, step: &'a Step) -> Played<'a> {
        let now = self.now();
        Played {
            step,
            who: None,
            begin: 0,
            before: now,
            after: now,
            settled: now,
            told: Told::Done,
            answered: Vec::new(),
            asked: Vec::new(),
            rows: Vec::new(),
            keys: Vec::new(),
            accounts: Vec::new(),
        }
    }

    async fn step<'a>(&mut self, step: &'a Step, world: &mut World) -> Played<'a> {
        let mut played = self.played(step);
        let about = match step {
            Step::Begin { who, .. }
            | Step::Change { who, .. }
            | Step::Touch { who }
            | Step::Lease { who, .. }
            | Step::Look { who }
            | Step::LookUp { who }
            | Step::Cancel { who }
            | Step::Verb { who, .. }
            | Step::Pin { who, .. }
            | Step::Rules { who, .. }
            | Step::Rebind { who, .. }
            | Step::Delete { who }
            | Step::Edge { who, .. }
            | Step::Explain { who } => Some(usize::from(*who)),
            _ => None,
        };
        if let Some(who) = about {
            if self.sessions.is_empty() {
                played.told = Told::Skipped;
                return played;
            }
            played.who = Some(who % self.sessions.len());
        }
        let limit = match step {
            Step::Wait { .. } | Step::Edge { .. } => Duration::MAX,
            _ => NEVER,
        };
        let act = tokio::time::timeout(limit, self.act(step, &mut played, world));
        played.told = act.await.unwrap_or(Told::Nothing);
        played.after = self.now();
        played
    }

    pub(crate) async fn stop(&mut self, how: Stop) -> Told {
        match how {
            Stop::Shutdown => {
                // A store in memory that is closed stays so.
                self.faults.fail_next_of(StoreCall::Close, Fault::Unavailable);
                self.supervisor().shutdown(Duration::from_secs(1)).await.unwrap_err();
            }
            Stop::Crash => {}
        }
        // Nothing reaches a store that is closed either.
        self.faults.fail_every(Fault::Unavailable);
        for (_, _, begin) in self.waiting.drain(..) {
            begin.abort();
            drop(begin.await);
        }
        self.turns.clear();
        self.leases.clear();
        self.handles.clear();
        self.supervisor = None;
        self.told = false;
        Told::Done
    }

    /// Time passes, and nobody does anything.
    pub(crate) async fn pass_time(&self, millis: u64) {
        tokio::time::advance(Duration::from_millis(millis)).await;
    }

    /// Lets everything happen that nothing but time can delay, and what falls due in the last moment of it.
    pub(crate) async fn settle(&self) {
        let long = if self.hangs() { LONG } else { Duration::from_millis(1) };
        tokio::time::sleep(long).await;
        if self.kind != Kind::Sqlite {
            run_dry().await;
        }
    }

    /// Lets everything happen that can happen now; on a disk and where a hook hangs only time tells.
    pub(crate) async fn answer(&self) {
        if self.kind == Kind::Sqlite || self.hangs() {
            self.settle().await;
        } else {
            run_dry().await;
        }
    }

    /// Tells the model what is to be seen now.
    async fn check(
        &mut self,
        mut played: Played<'_>,
        history: &History,
        world: &mut World,
        trace: &mut String,
    ) -> Result<(), String> {
        self.settle().await;
        played.settled = self.now();
        played.answered = self.answered().await;
        played.asked = self.asked();
        for id in self.sessions.clone() {
            let row = self.behind.look_up(&id, Timestamp::from_millis(0)).await.unwrap();
            played.rows.push(self.row(row));
        }
        for key in 0..KEYS.len() {
            let bound = self.behind.bound_to(&keyed(u8::try_from(key).unwrap())).await.unwrap();
            played.keys.push(bound.map(|id| self.number(&id)));
        }
        if let Some(supervisor) = self.supervisor.as_ref().filter(|_| !self.hangs()) {
            if history.watched {
                for (who, id) in self.sessions.iter().enumerate() {
                    played.accounts.push((who, account(supervisor, id).await));
                }
                self.host.asked.lock().unwrap().clear();
            }
            let mut broken = supervisor.audit().broken;
            broken.extend(supervisor.audit_counts());
            if !broken.is_empty() {
                return Err(format!("the audit says {broken:?}"));
            }
        }
        let time = Timestamp::from_millis(u64::try_from(played.before.wall).unwrap());
        let line = format!("  {time} {:?}, #{:?}: {:?}\n", played.step, played.who, played.told);
        trace.push_str(&line);
        for asked in &played.asked {
            trace.push_str(&format!("      {asked:?}\n"));
        }
        for answered in &played.answered {
            trace.push_str(&format!("      {answered:?}\n"));
        }
        world.play(&played)
    }

    /// What those were told who had waited.
    async fn answered(&mut self) -> Vec<(usize, Told)> {
        let mut answered = Vec::new();
        for (begin, who, waiting) in std::mem::take(&mut self.waiting) {
            if !waiting.is_finished() {
                self.waiting.push((begin, who, waiting));
                continue;
            }
            answered.push((
                begin,
                match waiting.await.unwrap() {
                    Ok(turn) => {
                        self.turns.push((begin, who, turn));
                        Told::Begun
                    }
                    Err(error) => Told::Refused(refused(error)),
                },
            ));
        }
        answered
    }

    fn asked(&mut self) -> Vec<Asked> {
        let asked = std::mem::take(&mut *self.host.asked.lock().unwrap());
        let asked = asked.into_iter().map(|(session, question, mood)| Asked {
            who: self.number(&session.id),
            question,
            clock: session.clock,
            last_active: i64::try_from(session.last_active_at.as_millis()).unwrap(),
            mood,
        });
        asked.collect()
    }

    fn row(&mut self, found: Found) -> Row {
        let millis = |at: Timestamp| i64::try_from(at.as_millis()).unwrap();
        match found {
            Found::Live(record) => Row::Live {
                standing: record.standing,
                last_active: millis(record.last_active_at),
                created: millis(record.created_at),
                open: record.open.len(),
                pinned: record.pinned,
                own: record.expiry.as_deref().cloned(),
                class: record.class_name().to_owned(),
                previous: self.previous(record.previous.as_deref()),
                crashes: record.crashes,
            },
            Found::Gone(tombstone) => Row::Gone {
                reason: tombstone.reason,
                at: millis(tombstone.at),
                until: millis(tombstone.until),
            },
            Found::Unknown => Row::Unknown,
        }
    }
}

/// Lets all tasks run that can, again and again, while the clock stands still.
async fn run_dry() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

async fn open_sqlite(folder: &std::path::Path) -> SqliteStore {
    SqliteStore::open(folder.join("s.db"), SqliteOptions::default()).await.unwrap()
}

pub(crate) fn keyed(key: u8) -> SessionKey {
    KEYS[usize::from(key)].parse().unwrap()
}

pub(crate) async fn account(supervisor: &Supervisor, id: &SessionId) -> Option<Account> {
    supervisor.explain(id).await.unwrap().map(|it| Account {
        class: it.class,
        standing: it.standing,
        fate: it.fate,
        kept_by: it.kept_by,
        action: it.action,
    })
}

//! Plays a history on a real supervisor, and tells the model what is to be seen of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_supervisor::store::Found;
use session_supervisor::testing::{CountingIds, Fault, FaultyStore, StoreCall};
use session_supervisor::{
    BeginError, BusyPolicy, Candidate, ChatMessage, Clock, CommitOutcome, DeleteOutcome,
    FailedInput, HookFuture, Lease, LeaseError, LeaseRenewal, Lookup, MemoryStore, Moment,
    NewSession, Now, Parallel, Previous, PruneHook, RebindReason, Session, SessionError, SessionId,
    SessionKey, SqliteOptions, SqliteStore, Store, Supervisor, Timestamp, Turn,
};
use tokio::task::JoinHandle;

use crate::history::{
    CLASSES, Change, Finish, History, KEYS, Kind, Mood, Policy, Settings, Step, Stop, Verb,
};
use crate::model::{Account, Asked, Played, Question, Reading, Refusal, Report, Row, Told, World};

/// Longer than whatever a hook that hangs holds up.
const LONG: Duration = Duration::from_secs(60);

/// Longer than anything may take.
const NEVER: Duration = Duration::from_secs(30 * 60);

/// Clocks of one run of the process: both follow tokio's time, and the wall clock can be set.
#[derive(Clone, Debug)]
struct HandClock {
    started: tokio::time::Instant,
    /// What the wall clock shows, less what the other does.
    wall: Arc<AtomicI64>,
}

impl HandClock {
    fn starting_at(wall: i64) -> Self {
        Self { started: tokio::time::Instant::now(), wall: Arc::new(AtomicI64::new(wall)) }
    }

    fn read(&self, run: usize) -> Reading {
        let moment = i64::try_from(self.started.elapsed().as_millis()).unwrap();
        Reading { run, moment, wall: self.wall.load(Ordering::Relaxed) + moment }
    }
}

impl Clock for HandClock {
    fn now(&self) -> Now {
        let Reading { wall, .. } = self.read(0);
        let wall = Timestamp::from_millis(u64::try_from(wall).unwrap());
        Now { moment: Moment::after_start(self.started.elapsed()), wall }
    }
}

/// What the host is asked, and says.
#[derive(Debug)]
struct Host {
    moods: Mutex<(Mood, Mood)>,
    asked: Mutex<Vec<(Arc<Candidate>, Question, Mood)>>,
}

#[derive(Clone, Debug)]
struct Hook(Arc<Host>);

impl Hook {
    fn ask<T: Send + 'static>(
        &self,
        session: Arc<Candidate>,
        question: Question,
        mood: Mood,
        says: T,
    ) -> HookFuture<T> {
        self.0.asked.lock().unwrap().push((session, question, mood));
        match mood {
            Mood::Well | Mood::Keeps => Box::pin(std::future::ready(Ok(says))),
            Mood::Fails => Box::pin(std::future::ready(Err("nobody is there".into()))),
            // Without a line on the terminal.
            Mood::Panics => Box::pin(async { std::panic::resume_unwind(Box::new("a hook")) }),
            Mood::Hangs => Box::pin(std::future::pending()),
        }
    }
}

impl PruneHook for Hook {
    fn keeps(&self, session: Arc<Candidate>) -> HookFuture<bool> {
        let (mood, _) = *self.0.moods.lock().unwrap();
        self.ask(session, Question::Keeps, mood, mood == Mood::Keeps)
    }

    fn finalize(&self, session: Arc<Candidate>) -> HookFuture<()> {
        let (_, mood) = *self.0.moods.lock().unwrap();
        let mood = if mood == Mood::Keeps { Mood::Well } else { mood };
        self.ask(session, Question::Rites, mood, ())
    }
}

/// A begin that has not been answered.
type Begin = JoinHandle<Result<Turn, BeginError>>;

/// What is played on.
struct Driver {
    kind: Kind,
    folder: Option<tempfile::TempDir>,
    behind: Arc<dyn Store>,
    faults: FaultyStore,
    ids: Arc<CountingIds>,
    clock: HandClock,
    run: usize,
    host: Arc<Host>,
    settings: Settings,
    supervisor: Option<Supervisor>,
    /// Each session that was ever there.
    sessions: Vec<SessionId>,
    handles: BTreeMap<usize, Session>,
    /// What is held, with the number of its begin and its session.
    turns: Vec<(usize, usize, Turn)>,
    waiting: Vec<(usize, usize, Begin)>,
    leases: Vec<(usize, Lease)>,
    begins: usize,
    /// Whether a turn was told to end that may not have.
    told: bool,
}

/// Plays it; says what is wrong, with all that has happened.
pub(crate) async fn play(history: &History) -> Result<(), String> {
    let mut world = World::new();
    let mut trace = String::new();
    let mut driver = Driver::new(history).await;
    driver.start(&mut world).await;
    let started = driver.played(&Step::Started).await;
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
            let started = driver.played(&Step::Started).await;
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
        let builder = match self.settings.hook {
            true => builder.prune_hook(Hook(self.host.clone())),
            false => builder,
        };
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

    fn now(&self) -> Reading {
        self.clock.read(self.run)
    }

    fn supervisor(&self) -> &Supervisor {
        self.supervisor.as_ref().unwrap()
    }

    fn set_moods(&self, moods: (Mood, Mood), world: &mut World) {
        // A turn that is about to be fenced, or a pass that nobody asked for, while a hook hangs would be one
        // of many orders.
        let tame = self.settings.prune_every > 0 || self.told;
        let tame = |mood| if tame && mood == Mood::Hangs { Mood::Fails } else { mood };
        let moods = (tame(moods.0), tame(moods.1));
        *self.host.moods.lock().unwrap() = moods;
        world.set_moods(moods);
    }

    fn hangs(&self) -> bool {
        let (keeps, rites) = *self.host.moods.lock().unwrap();
        self.settings.hook && (keeps == Mood::Hangs || rites == Mood::Hangs)
    }

    /// The number of a session.
    fn number(&mut self, id: &SessionId) -> usize {
        self.sessions.iter().position(|it| it == id).unwrap_or_else(|| {
            self.sessions.push(id.clone());
            self.sessions.len() - 1
        })
    }

    fn previous(&mut self, previous: Option<&Previous>) -> Option<(usize, RebindReason)> {
        previous.map(|it| (self.number(&it.id), it.reason))
    }

    /// The handle of a session, or why there is none.
    async fn handle(&mut self, who: usize) -> Result<Session, Refusal> {
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
    async fn played<'a>(&self, step: &'a Step) -> Played<'a> {
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
        let mut played = self.played(step).await;
        if std::env::var_os("LIFETIMES_TRACE").is_some() {
            eprintln!("{:?} {step:?}", self.now());
        }
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

    async fn act(&mut self, step: &Step, played: &mut Played<'_>, world: &mut World) -> Told {
        let who = played.who.unwrap_or_default();
        match step {
            Step::Open { key, class, own } => {
                let new = new(*class, own.clone());
                let opened = self.supervisor().open_with(&keyed(*key), || new).await.unwrap();
                self.opened(&opened.session, opened.created, opened.previous.as_ref())
            }
            Step::Reset { key, class } => {
                let opened =
                    self.supervisor().reset(&keyed(*key), new(*class, None)).await.unwrap();
                self.opened(&opened.session, opened.created, opened.previous.as_ref())
            }
            Step::Create { class, own } => {
                let new = new(*class, own.clone());
                let session = self.supervisor().create(new).await.unwrap();
                self.opened(&session, true, None)
            }
            Step::Say { key } => {
                let said = ChatMessage::user("a line");
                let began = self.supervisor().begin(&keyed(*key), &said, BusyPolicy::Reject).await;
                // The session may have come to be by it.
                let bound = self.behind.bound_to(&keyed(*key)).await.unwrap().unwrap();
                let who = self.number(&bound);
                self.began(who, began, played)
            }
            Step::Begin { policy, .. } => self.begin(who, *policy, played).await,
            Step::Finish { turn, how } => {
                if self.turns.is_empty() {
                    return Told::Skipped;
                }
                let (begin, who, turn) = self.turns.remove(usize::from(*turn) % self.turns.len());
                (played.begin, played.who) = (begin, Some(who));
                finish(turn, *how).await
            }
            Step::Change { what, .. } => {
                let session = match self.handle(who).await {
                    Ok(session) => session,
                    Err(refusal) => return Told::Refused(refusal),
                };
                done(match what {
                    Change::Append => {
                        session.append(&[ChatMessage::user("a note")]).await.map(|_| ())
                    }
                    Change::Insert => session.insert("mood", &"good").await.map(|_| ()),
                    Change::Label => session.set_label(Some("a title")).await,
                })
            }
            Step::Touch { .. } => match self.handle(who).await {
                Ok(session) => done(session.touch().await),
                Err(refusal) => Told::Refused(refusal),
            },
            Step::Lease { millis, .. } => match self.handle(who).await {
                Ok(session) => {
                    let taken = session.lease("a job", Duration::from_millis(*millis)).await;
                    self.leased(taken, played)
                }
                Err(refusal) => Told::Refused(refusal),
            },
            Step::Renew { lease, millis } => {
                if self.leases.is_empty() {
                    return Told::Skipped;
                }
                let (number, lease) = &self.leases[usize::from(*lease) % self.leases.len()];
                played.begin = *number;
                match lease.renew(Duration::from_millis(*millis)).unwrap() {
                    LeaseRenewal::Expired => Told::Late,
                    _ => Told::Done,
                }
            }
            Step::Release { lease } => {
                if self.leases.is_empty() {
                    return Told::Skipped;
                }
                let at = usize::from(*lease) % self.leases.len();
                let (number, lease) = self.leases.remove(at);
                played.begin = number;
                if lease.release() { Told::Done } else { Told::Late }
            }
            Step::Look { .. } => self.look(who).await,
            Step::LookUp { .. } => {
                match self.supervisor().look_up(&self.sessions[who]).await.unwrap() {
                    Lookup::Live(session) => {
                        self.handles.insert(who, session);
                        Told::Found
                    }
                    Lookup::Gone(tombstone) => Told::Refused(Refusal::Gone(tombstone.reason)),
                    _ => Told::Refused(Refusal::Unknown),
                }
            }
            Step::Cancel { .. } => {
                let Some(session) = self.handles.get(&who).filter(|_| !self.hangs()) else {
                    return Told::Skipped;
                };
                session.stop();
                self.told = true;
                Told::Done
            }
            Step::Verb { .. } | Step::Pin { .. } | Step::Rules { .. } => {
                match self.handle(who).await {
                    Ok(session) => done(say(&session, step).await),
                    Err(refusal) => Told::Refused(refusal),
                }
            }
            Step::Rebind { key, .. } => match self.handle(who).await {
                Ok(session) => rebound(self.supervisor().rebind(&keyed(*key), &session).await),
                Err(refusal) => Told::Refused(refusal),
            },
            Step::Unbind { key } => {
                self.supervisor().unbind(&keyed(*key)).await.unwrap();
                Told::Done
            }
            Step::Delete { .. } => {
                match self.supervisor().delete(&self.sessions[who]).await.unwrap() {
                    DeleteOutcome::Deleted(_) => Told::Deleted,
                    DeleteOutcome::AlreadyGone(tombstone) => Told::AlreadyGone(tombstone.reason),
                    _ => Told::Refused(Refusal::Unknown),
                }
            }
            Step::Wait { millis } => {
                self.pass_time(millis - 1).await;
                Told::Done
            }
            Step::Edge { late, .. } => {
                let left = world.left(who, self.now()).unwrap_or(0) + i64::from(*late) - 1;
                let Ok(left) = u64::try_from(left) else { return Told::Skipped };
                self.pass_time(left).await;
                Told::Done
            }
            Step::Jump { .. } if self.hangs() => Told::Skipped,
            Step::Jump { millis } => {
                let wall = self.clock.wall.fetch_add(*millis, Ordering::Relaxed);
                assert!(wall > 0);
                world.jump(*millis);
                played.before = self.now();
                // Somebody has to see it before much time passes: what is stored between the two is taken for
                // older than the jump.
                self.supervisor().prune(true).await.unwrap();
                self.host.asked.lock().unwrap().clear();
                Told::Done
            }
            Step::Mood { keeps, rites } => {
                self.set_moods((*keeps, *rites), world);
                Told::Done
            }
            Step::Prune { dry } => self.prune(*dry).await,
            Step::Explain { .. } => {
                Told::Explained(account(self.supervisor(), &self.sessions[who]).await)
            }
            Step::Restart { how, .. } => self.stop(*how).await,
            Step::Started => Told::Done,
        }
    }

    fn opened(&mut self, session: &Session, created: bool, previous: Option<&Previous>) -> Told {
        let previous = self.previous(previous);
        let says = self.previous(session.previous());
        let who = self.number(session.id());
        self.handles.insert(who, session.clone());
        Told::Opened { who, created, previous, says }
    }

    fn began(
        &mut self,
        who: usize,
        began: Result<Turn, BeginError>,
        played: &mut Played<'_>,
    ) -> Told {
        self.begins += 1;
        (played.begin, played.who) = (self.begins, Some(who));
        match began {
            Ok(turn) => {
                self.turns.push((self.begins, who, turn));
                Told::Begun
            }
            Err(error) => Told::Refused(refused(error)),
        }
    }

    fn leased(&mut self, taken: Result<Lease, LeaseError>, played: &mut Played<'_>) -> Told {
        self.begins += 1;
        played.begin = self.begins;
        match taken {
            Ok(lease) => {
                self.leases.push((self.begins, lease));
                Told::Done
            }
            Err(LeaseError::Session(error)) => done(Err(error)),
            Err(error) => Told::Refused(Refusal::Other(format!("{error:?}"))),
        }
    }

    async fn begin(&mut self, who: usize, policy: Policy, played: &mut Played<'_>) -> Told {
        let session = match self.handle(who).await {
            Ok(session) => session,
            Err(refusal) => return Told::Refused(refusal),
        };
        let said = ChatMessage::user("a line");
        let policy = match policy {
            Policy::Reject => {
                let began = session.begin(&said, BusyPolicy::Reject).await;
                return self.began(who, began, played);
            }
            Policy::Queue => BusyPolicy::queue(),
            Policy::Parallel => BusyPolicy::Parallel(Parallel::FirstCommit),
        };
        let begin = tokio::spawn(async move { session.begin(&said, policy).await });
        self.settle().await;
        if begin.is_finished() {
            return self.began(who, begin.await.unwrap(), played);
        }
        self.begins += 1;
        played.begin = self.begins;
        self.waiting.push((self.begins, who, begin));
        Told::Waits
    }

    async fn look(&self, who: usize) -> Told {
        if let Some(session) = self.handles.get(&who) {
            session.status();
            // Whatever they say: it may be gone.
            let _: (Result<_, _>, Result<_, _>, Result<_, _>) = (
                session.entries(0, 10).await,
                session.get::<String>("mood").await,
                session.record().await,
            );
        }
        let supervisor = self.supervisor();
        supervisor.record(&self.sessions[who]).await.unwrap();
        supervisor.list(session_supervisor::RecordFilter::default(), None, 10).await.unwrap();
        supervisor.inspect(&self.sessions[who]);
        Told::Done
    }

    async fn prune(&mut self, dry: bool) -> Told {
        let report = self.supervisor().prune(dry).await.unwrap();
        assert_eq!(report.expired, report.expired_sessions.len());
        assert_eq!(report.kept, report.kept_sessions.len());
        assert_eq!((report.failed, report.dry_run), (report.failures.len(), dry));
        let expired = report.expired_sessions.iter().map(|it| {
            let active = i64::try_from(it.last_active_at.as_millis()).unwrap();
            (self.number(&it.id), it.clock, active)
        });
        let expired = expired.collect();
        let kept = report.kept_sessions.iter().map(|(id, by)| (self.number(id), by.clone()));
        let kept = kept.collect();
        Told::Report(Report { expired, kept, deleted: report.deleted, failures: report.failures })
    }

    async fn stop(&mut self, how: Stop) -> Told {
        match how {
            Stop::Shutdown => {
                // A store in memory that is closed stays so.
                self.faults.fail_next_of(StoreCall::Close, Fault::Unavailable);
                self.supervisor().shutdown(Duration::from_secs(1)).await.unwrap_err();
            }
            Stop::Crash => self.faults.fail_every(Fault::Unavailable),
        }
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
    async fn pass_time(&self, millis: u64) {
        tokio::time::advance(Duration::from_millis(millis)).await;
    }

    /// Lets everything happen that nothing but time can delay.
    async fn settle(&self) {
        let long = if self.hangs() { LONG } else { Duration::from_millis(1) };
        tokio::time::sleep(long).await;
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

/// Ids that go on over a restart.
#[derive(Debug)]
struct Ids(Arc<CountingIds>);

impl session_supervisor::IdSource for Ids {
    fn draw(&self) -> u128 {
        self.0.draw()
    }
}

async fn open_sqlite(folder: &std::path::Path) -> SqliteStore {
    SqliteStore::open(folder.join("s.db"), SqliteOptions::default()).await.unwrap()
}

fn keyed(key: u8) -> SessionKey {
    KEYS[usize::from(key)].parse().unwrap()
}

fn new(class: Option<u8>, own: Option<session_supervisor::ExpiryRules>) -> NewSession<ChatMessage> {
    let mut new = NewSession::new();
    if let Some(class) = class {
        new = new.class(CLASSES[usize::from(class)]);
    }
    match own {
        Some(own) => new.expiry(own),
        None => new,
    }
}

async fn say(session: &Session, step: &Step) -> Result<(), SessionError> {
    match step {
        Step::Verb { verb: Verb::Suspend, .. } => session.suspend().await,
        Step::Verb { verb: Verb::Resume, .. } => session.resume().await,
        Step::Verb { verb: Verb::Archive, .. } => session.archive().await,
        Step::Verb { verb: Verb::Restore, .. } => session.restore().await,
        Step::Verb { verb: Verb::End, .. } => session.end().await,
        Step::Pin { pinned: true, .. } => session.pin().await,
        Step::Pin { pinned: false, .. } => session.unpin().await,
        Step::Rules { own, .. } => session.set_expiry(own.clone()).await,
        _ => panic!("{step:?}"),
    }
}

async fn finish(turn: Turn, how: Finish) -> Told {
    let failed = match how {
        Finish::Commit => {
            return match turn.commit(&ChatMessage::assistant("a reply")).await.unwrap() {
                CommitOutcome::Committed { .. } => Told::Ended,
                CommitOutcome::Superseded { .. } => Told::Lost,
                _ => Told::Late,
            };
        }
        Finish::Drop => return Told::Done,
        Finish::FailKeep => FailedInput::Keep,
        Finish::FailDrop => FailedInput::Drop,
    };
    if turn.fail(failed).await.unwrap().is_some() { Told::Late } else { Told::Ended }
}

async fn account(supervisor: &Supervisor, id: &SessionId) -> Option<Account> {
    supervisor.explain(id).await.unwrap().map(|it| Account {
        class: it.class,
        standing: it.standing,
        fate: it.fate,
        kept_by: it.kept_by,
        action: it.action,
    })
}

fn done(result: Result<(), SessionError>) -> Told {
    match result {
        Ok(()) => Told::Done,
        Err(SessionError::Inactive { standing, .. }) => Told::Refused(Refusal::Inactive(standing)),
        Err(SessionError::Gone { tombstone, .. }) => Told::Refused(Refusal::Gone(tombstone.reason)),
        Err(SessionError::Unknown { .. }) => Told::Refused(Refusal::Unknown),
        Err(error) => Told::Refused(Refusal::Other(format!("{error:?}"))),
    }
}

fn refused(error: BeginError) -> Refusal {
    match error {
        BeginError::Inactive { standing, .. } => Refusal::Inactive(standing),
        BeginError::Gone { tombstone, .. } => Refusal::Gone(tombstone.reason),
        BeginError::Unknown { .. } => Refusal::Unknown,
        BeginError::Closing { .. } => Refusal::Closing,
        BeginError::Busy { .. } => Refusal::Busy,
        BeginError::Cancelled { .. } => Refusal::Told,
        error => Refusal::Other(format!("{error:?}")),
    }
}

fn rebound(result: Result<Option<SessionId>, session_supervisor::BindError>) -> Told {
    use session_supervisor::BindError;
    match result {
        Ok(_) => Told::Done,
        Err(BindError::Gone { tombstone, .. }) => Told::Refused(Refusal::Gone(tombstone.reason)),
        Err(BindError::Unknown { .. }) => Told::Refused(Refusal::Unknown),
        Err(BindError::Unroutable { standing, .. }) => Told::Refused(Refusal::Inactive(standing)),
        Err(error) => Told::Refused(Refusal::Other(format!("{error:?}"))),
    }
}

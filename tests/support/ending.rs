//! Sessions that end by themselves: a clock that is moved by hand, and a host that says what it is told to.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "helpers of tests, which do not run on the library's seam"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_supervisor::testing::{Gate, ManualClock};
use session_supervisor::{
    BusyPolicy, Candidate, ClassConfig, Config, EndReason, ExpiryClock, ExpiryRules, HookFuture,
    NewSession, PruneHook, Record, Session, SessionKey, Standing, Supervisor,
};

use super::support::{Stage, committed, key, quiet, settled, until, user};

/// How long a session may rest in these tests.
pub const TTL: Duration = Duration::from_secs(3_600);
/// A millisecond.
pub const MS: Duration = Duration::from_millis(1);
/// A day.
pub const DAY: Duration = Duration::from_secs(86_400);

/// The class of sessions that never end by themselves.
const CROWD: &str = "crowd";

/// Rules with only an idle clock.
pub fn idle(idle: Duration) -> ExpiryRules {
    let mut rules = ExpiryRules::default();
    rules.idle = Some(idle);
    rules
}

/// Rules with only a clock for the age.
pub fn age(age: Duration) -> ExpiryRules {
    let mut rules = ExpiryRules::default();
    rules.age = Some(age);
    rules
}

/// Rules with only a calendar.
pub fn calendar(calendar: &str) -> ExpiryRules {
    let mut rules = ExpiryRules::default();
    rules.calendar = Some(calendar.parse().unwrap());
    rules
}

/// The settings of these tests: an hour of idleness, no pass by itself, and nothing leaves memory unless a
/// test makes it.
pub fn an_hour(config: &mut Config) {
    config.expiry.idle = Some(TTL);
    config.prune.every = Duration::ZERO;
    config.prune.hook_timeout = Duration::from_secs(3_600);
    config.idle.unload_after = Duration::ZERO;
    config.idle.max_live = 1;
    let mut never = ClassConfig::default();
    never.expiry = idle(Duration::ZERO);
    never.expiry.age = Some(Duration::ZERO);
    never.expiry.calendar = Some(session_supervisor::Calendar::NEVER);
    config.classes.insert(CROWD.to_owned(), never);
}

/// A supervisor with these settings and a clock that is moved by hand.
pub async fn start(stage: &Stage, change: impl FnOnce(&mut Config)) -> (Supervisor, ManualClock) {
    let clock = ManualClock::new();
    (start_at(stage, &clock, change).await, clock)
}

/// A supervisor with these settings and that clock.
pub async fn start_at(
    stage: &Stage,
    clock: &ManualClock,
    change: impl FnOnce(&mut Config),
) -> Supervisor {
    let builder = stage.builder_with(|config| {
        an_hour(config);
        change(config);
    });
    builder.clock(clock.clone()).start().await.unwrap()
}

/// A supervisor with these settings, a clock that is moved by hand, and a host.
pub async fn start_with_host(
    stage: &Stage,
    change: impl FnOnce(&mut Config),
) -> (Supervisor, ManualClock, Host) {
    let (clock, host) = (ManualClock::new(), Host::default());
    let builder = stage.builder_with(|config| {
        an_hour(config);
        change(config);
    });
    let builder = builder.clock(clock.clone()).prune_hook(host.clone());
    (builder.start().await.unwrap(), clock, host)
}

/// The key of these tests.
pub fn our_key() -> SessionKey {
    key("#rust")
}

/// A turn with its reply.
pub async fn talk(session: &Session, text: &str) {
    let turn = session.begin(&user(text), BusyPolicy::queue()).await.unwrap();
    committed(turn, &format!("re: {text}")).await;
}

/// Makes everything leave memory that nothing keeps, under a cap of one.
pub async fn crowd_out(supervisor: &Supervisor, session: &Session) {
    quiet(supervisor, session).await;
    supervisor.create(NewSession::new().class(CROWD)).await.unwrap();
    // At once, unless its last use is still to be stored.
    until("it leaves", || !session.status().loaded).await;
    settled(supervisor).await;
}

/// The record as the store has it, without anybody looking at its clocks.
pub async fn stored(stage: &Stage, session: &Session) -> Record {
    use session_supervisor::store::Found;
    let found = stage.behind().look_up(session.id(), session.created_at()).await.unwrap();
    let Found::Live(record) = found else { panic!("{found:?}") };
    record
}

/// The clock by which it was archived, and whether it was.
pub fn expired_by(standing: Standing) -> Option<ExpiryClock> {
    let (Standing::Archived { reason: EndReason::Expired(clock), .. }
    | Standing::Ended { reason: EndReason::Expired(clock), .. }) = standing
    else {
        return None;
    };
    Some(clock)
}

/// What a host says.
#[derive(Clone, Debug)]
pub enum Says {
    /// It may end; the last rites are held.
    End,
    /// It is kept.
    Keep,
    /// It does not know.
    Fail,
    /// It panics.
    Panic,
    /// It never answers.
    Hang,
    /// It may end, once the gate lets the answer through.
    EndAfter(Gate),
}

/// Work that a host does in a session.
type Work = Arc<dyn Fn(Arc<Candidate>) -> HookFuture<()> + Send + Sync>;

/// A host that says what it was told to. A clone is the same.
#[derive(Clone, Default)]
pub struct Host(Arc<Mutex<HostState>>);

#[derive(Default)]
struct HostState {
    /// What it says to the next questions; afterwards that a session may end.
    keeps: VecDeque<Says>,
    /// How its next rites go; afterwards well.
    rites: VecDeque<Says>,
    /// What it does before it answers.
    before_keeps: Option<Work>,
    /// What it does as last rites.
    as_rites: Option<Work>,
    /// What it was asked about.
    asked: Vec<Candidate>,
    /// Whose rites were held.
    held: Vec<Candidate>,
}

impl Host {
    /// What it says next.
    pub fn says(&self, says: Says) {
        self.0.lock().unwrap().keeps.push_back(says);
    }

    /// How its next rites go.
    pub fn rites(&self, says: Says) {
        self.0.lock().unwrap().rites.push_back(says);
    }

    /// What it does before each answer.
    pub fn does(&self, work: impl Fn(Arc<Candidate>) -> HookFuture<()> + Send + Sync + 'static) {
        self.0.lock().unwrap().before_keeps = Some(Arc::new(work));
    }

    /// What it does as last rites.
    pub fn does_as_rites(
        &self,
        work: impl Fn(Arc<Candidate>) -> HookFuture<()> + Send + Sync + 'static,
    ) {
        self.0.lock().unwrap().as_rites = Some(Arc::new(work));
    }

    /// It does nothing any more.
    pub fn rests(&self) {
        let mut state = self.0.lock().unwrap();
        (state.before_keeps, state.as_rites) = (None, None);
    }

    /// What it was asked about since the last call.
    pub fn asked(&self) -> Vec<Candidate> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    /// Whose rites it has begun since the last call.
    pub fn held(&self) -> Vec<Candidate> {
        std::mem::take(&mut self.0.lock().unwrap().held)
    }
}

/// What the host says, as an answer that means `end` if it may end.
async fn answer<T>(says: Says, end: T, keep: T) -> Result<T, session_supervisor::HookError> {
    match says {
        Says::End => Ok(end),
        Says::Keep => Ok(keep),
        Says::Fail => Err("the host does not know".into()),
        Says::Panic => panic!("the host panics, as it was told to"),
        Says::Hang => std::future::pending().await,
        Says::EndAfter(gate) => {
            gate.wait().await;
            Ok(end)
        }
    }
}

impl PruneHook for Host {
    fn keeps(&self, session: Arc<Candidate>) -> HookFuture<bool> {
        let (says, work) = {
            let mut state = self.0.lock().unwrap();
            state.asked.push((*session).clone());
            (state.keeps.pop_front().unwrap_or(Says::End), state.before_keeps.clone())
        };
        Box::pin(async move {
            if let Some(work) = work {
                work(session).await?;
            }
            answer(says, false, true).await
        })
    }

    fn finalize(&self, session: Arc<Candidate>) -> HookFuture<()> {
        let (says, work) = {
            let mut state = self.0.lock().unwrap();
            state.held.push((*session).clone());
            (state.rites.pop_front().unwrap_or(Says::End), state.as_rites.clone())
        };
        Box::pin(async move {
            if let Some(work) = work {
                work(session).await?;
            }
            answer(says, (), ()).await
        })
    }
}

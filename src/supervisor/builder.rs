//! How a supervisor comes to be.

use std::fmt;
use std::marker::PhantomData;

use ractor::Actor;

use super::Supervisor;
use super::actor::SupervisorActor;
use super::error::StartError;
use super::recovery::{self, RecoveryReport};
use super::shared::Shared;
use crate::admission::{Admission, AdmitAll};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine::{Engine, Parts};
use crate::entry::{ChatMessage, Content};
use crate::expiry::ExpiryRules;
use crate::hook::PruneHook;
use crate::id::{IdSource, RandomIds};
use crate::metrics::Counts;
use crate::partial::PartialEntry;
use crate::policy::PartialPolicy;
use crate::rt::{Arc, Spawner};
use crate::store::{MemoryStore, Store};

/// Builds a [`Supervisor`]. Without anything it has a [`MemoryStore`], the defaults of [`Config`],
/// the machine's clocks and random ids.
#[must_use = "a builder does nothing until `start` is called"]
pub struct SupervisorBuilder<E = ChatMessage> {
    /// Where records will live.
    store: Arc<dyn Store>,
    /// Every setting.
    config: Config,
    /// Where time will come from; made at the start unless given.
    clock: Option<Arc<dyn Clock>>,
    /// Where ids will come from.
    ids: Arc<dyn IdSource>,
    /// What the host will say of each begin.
    admission: Arc<dyn Admission>,
    /// How a partial reply will become an entry.
    partial_entry: Option<PartialEntry>,
    /// What the host will say before a conversation ends by itself.
    hook: Option<Arc<dyn PruneHook>>,
    /// What the entries will be.
    entries: PhantomData<fn() -> E>,
}

impl<E> fmt::Debug for SupervisorBuilder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut builder = f.debug_struct("SupervisorBuilder");
        builder.field("store", &self.store).field("config", &self.config).finish_non_exhaustive()
    }
}

impl<E> SupervisorBuilder<E> {
    /// With nothing set.
    pub(super) fn new() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            config: Config::default(),
            clock: None,
            ids: Arc::new(RandomIds),
            admission: Arc::new(AdmitAll),
            partial_entry: None,
            hook: None,
            entries: PhantomData,
        }
    }

    /// Where records live. A store belongs to one supervisor.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// As [`store`](Self::store), for one that is shared already.
    pub fn shared_store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// The settings.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Where time comes from.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Where ids come from.
    pub fn ids(mut self, ids: impl IdSource) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Who may refuse a turn before it is begun: authorisation, quotas. Without one, nobody does.
    pub fn admission(mut self, admission: impl Admission) -> Self {
        self.admission = Arc::new(admission);
        self
    }

    /// What a reply that was not finished looks like in the transcript, made of the text that had been
    /// emitted. Needed for [`PartialPolicy::Entry`], and used for nothing else.
    ///
    /// It is called without any lock, by whoever ends the turn. If it panics, or its entry is too large,
    /// what was stored of the reply stays beside the transcript.
    ///
    /// ```
    /// # use session_supervisor::{ChatMessage, Config, PartialPolicy, Supervisor};
    /// let mut config = Config::default();
    /// config.partials.interrupted = PartialPolicy::Entry;
    /// let builder = Supervisor::builder().config(config);
    /// let builder = builder.partial_entry(|text| ChatMessage::assistant(text));
    /// ```
    pub fn partial_entry(mut self, make: impl Fn(&str) -> E + Send + Sync + 'static) -> Self
    where
        E: Content,
    {
        self.partial_entry = Some(PartialEntry::new(make));
        self
    }

    /// Who is asked before a conversation ends by itself: whether something outside keeps it. Without one,
    /// only what the library knows of keeps it.
    pub fn prune_hook(mut self, hook: impl PruneHook) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Starts the supervisor on the current tokio runtime.
    ///
    /// First, the run is noted in the store, which tells how the one before it ended. Then every turn that an
    /// earlier run left open is settled as interrupted, with its input kept; a session that was in the
    /// middle of a turn in too many crashes is suspended. No session is loaded for it, and nothing can be
    /// begun before. What was found is told by [`Supervisor::recovery`].
    ///
    /// # Errors
    ///
    /// [`StartError`]; the store is left as it was, but for turns that were settled already.
    ///
    /// # Cancel safety
    ///
    /// A dropped start leaves no supervisor. Turns that it has settled stay settled.
    pub async fn start(self) -> Result<Supervisor<E>, StartError> {
        self.config.validate()?;
        let spawner = Spawner::current().ok_or(StartError::NoRuntime)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let Self { store, config, ids, admission, partial_entry, hook, .. } = self;
        if config.partials.interrupted == PartialPolicy::Entry && partial_entry.is_none() {
            return Err(StartError::NoPartialEntry);
        }
        let parts = Parts { store, config, clock, ids, admission, partial_entry, hook };
        let engine = Engine::new(parts, spawner)?;
        let recovery: RecoveryReport =
            recovery::recover(&engine).await.map_err(StartError::Store)?;
        Counts::max_live(engine.config.idle.max_live, engine.config.idle.max_bytes);
        warn_of_no_way_out(&engine.config);
        let stored = engine.store.count().await.map_err(StartError::Store)?;
        engine.capacity.count_sessions(stored);
        engine.capacity.publish_settings();
        let shared = Shared::new(engine);
        let started = Actor::spawn(None, SupervisorActor, Arc::downgrade(&shared)).await;
        let (actor, _ended) =
            started.map_err(|error| StartError::Actor { reason: error.to_string() })?;
        *shared.actor.lock() = Some(actor);
        tracing::info!(instance = %shared.engine.instance, found = recovery.found,
            crashed = recovery.last_run.is_crash(), settled = recovery.settled.len(),
            suspended = recovery.suspended.len(), took = ?recovery.took, "a supervisor starts");
        Ok(Supervisor::new(shared, Arc::new(recovery)))
    }
}

/// A bound under which nothing leaves by itself is seldom meant.
fn warn_of_no_way_out(config: &Config) {
    let never = |rules: &ExpiryRules| {
        rules.idle.unwrap_or_default().is_zero()
            && rules.age.unwrap_or_default().is_zero()
            && rules.calendar.is_none()
    };
    let stays = config.idle.unload_after.is_zero() && never(&config.expiry);
    if config.idle.is_bounded() && stays {
        tracing::warn!(
            max_live = config.idle.max_live,
            max_bytes = config.idle.max_bytes,
            "loaded sessions are bounded, and none leaves or expires before that: consider `idle.unload_after`"
        );
    }
}

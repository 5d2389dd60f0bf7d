//! What every session of a supervisor needs: the store, the clock, the settings, the runtime.
//!
//! Knows nothing of sessions; they hold it, it does not hold them.

use std::time::Duration;

use bytes::Bytes;

use crate::admission::{Admission, AdmissionRequest, Denial};
use crate::capacity::Capacity;
use crate::clock::{Clock, Moment, Now, Timestamp};
use crate::config::Config;
use crate::expiry::{Ages, CalendarError, Drift, Expiry, ExpiryRules, ExpiryTable};
use crate::hook::{Hook, PruneHook};
use crate::id::{IdSource, Incarnation, InstanceId, SessionId};
use crate::metrics::Counts;
use crate::numbers::Numbers;
use crate::partial::PartialEntry;
use crate::policy::PartialPolicy;
use crate::reading::Reading;
use crate::room::Occupied;
use crate::rt::{
    Arc, AtomicBool, AtomicU64, CancellationToken, Mutex, MutexGuard, Ordering, Spawner,
};
use crate::state::{Length, Size};
use crate::store::{PartialFate, Record, Store, StoreError, Write};
use crate::stream::{Shelf, Stream};
use crate::tasks::Tasks;

/// Shared by a supervisor and its sessions.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Where records live.
    pub(crate) store: Arc<dyn Store>,
    /// Every setting, checked.
    pub(crate) config: Config,
    /// Where time comes from.
    clock: Arc<dyn Clock>,
    /// Where new ids come from.
    ids: Arc<dyn IdSource>,
    /// What the host says of each begin.
    admission: Arc<dyn Admission>,
    /// How a partial reply becomes an entry, where that is wanted.
    partial_entry: Option<PartialEntry>,
    /// This run.
    pub(crate) instance: InstanceId,
    /// Starts tasks.
    pub(crate) spawner: Spawner,
    /// The tasks that work on turns.
    pub(crate) tasks: Tasks,
    /// The streams of turns that are over.
    pub(crate) shelf: Shelf,
    /// Where the numbers of turns go on in sessions that are loaded.
    pub(crate) numbers: Numbers,
    /// When conversations end by themselves.
    expiry: ExpiryTable,
    /// What the host says before a conversation ends by itself.
    pub(crate) hook: Option<Hook>,
    /// The jumps of the wall clock.
    drift: Mutex<Drift>,
    /// Counts everything that happens.
    pub(crate) counts: Counts,
    /// What there is only so much of.
    pub(crate) capacity: Arc<Capacity>,
    /// What the loaded sessions take.
    pub(crate) occupied: Occupied,
    /// When touches are noted.
    pub(crate) reading: Reading,
    /// The newest lease.
    leases: AtomicU64,
    /// Whether nothing new is admitted.
    draining: AtomicBool,
    /// Cancelled when the supervisor is over; ends its timers.
    pub(crate) over: CancellationToken,
}

/// What a supervisor is built from.
pub(crate) struct Parts {
    /// Where records live.
    pub(crate) store: Arc<dyn Store>,
    /// Every setting, checked.
    pub(crate) config: Config,
    /// Where time comes from.
    pub(crate) clock: Arc<dyn Clock>,
    /// Where new ids come from.
    pub(crate) ids: Arc<dyn IdSource>,
    /// What the host says of each begin.
    pub(crate) admission: Arc<dyn Admission>,
    /// How a partial reply becomes an entry.
    pub(crate) partial_entry: Option<PartialEntry>,
    /// What the host will say before a conversation ends by itself.
    pub(crate) hook: Option<Arc<dyn PruneHook>>,
}

impl Engine {
    /// The engine of a new supervisor.
    ///
    /// # Errors
    ///
    /// [`CalendarError`] if a time zone of the settings is not known on this machine.
    pub(crate) fn new(parts: Parts, spawner: Spawner) -> Result<Arc<Self>, CalendarError> {
        let Parts { store, config, clock, ids, admission, partial_entry, hook } = parts;
        let timeout = config.prune.hook_timeout;
        let classes = config.classes.iter().map(|(class, config)| (class, &config.expiry));
        let expiry = ExpiryTable::new(&config.expiry, classes)?;
        let streams = &config.streams;
        let shelf = Shelf::new(streams.keep_finished_for, streams.max_finished_bytes);
        let capacity = Capacity::new(&config);
        Ok(Arc::new(Self {
            instance: InstanceId::from_random(ids.draw()),
            expiry,
            hook: hook.map(|hook| Hook { hook, timeout }),
            drift: Mutex::new(Drift::new(clock.now())),
            store,
            config,
            clock,
            ids,
            admission,
            partial_entry,
            spawner,
            tasks: Tasks::new(),
            shelf,
            numbers: Numbers::new(),
            counts: Counts::default(),
            capacity,
            occupied: Occupied::default(),
            reading: Reading::default(),
            leases: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            over: CancellationToken::new(),
        }))
    }

    /// When a session that is stored so ends by itself.
    pub(crate) fn expiry(&self, record: &Record) -> Arc<Expiry> {
        self.expiry_of(record.class_name(), record.expiry.as_deref())
    }

    /// How long ago something was stored that says `at`.
    pub(crate) fn closed_for(&self, at: Timestamp) -> Duration {
        let now = self.now();
        self.compare_clocks(now).age(at, now.wall)
    }

    /// Finds out whether the wall clock has jumped. The sooner after it, the less of what is stored meanwhile
    /// is taken for older than the jump.
    pub(crate) fn compare_clocks(&self, now: Now) -> MutexGuard<'_, Drift> {
        let mut drift = self.drift.lock();
        if let Some(ahead) = drift.observe(now) {
            tracing::warn!(?ahead, "the wall clock has jumped; it counts as nobody's age");
        }
        drift
    }

    /// When a session of that class with those rules of its own ends by itself.
    pub(crate) fn expiry_of(&self, class: &str, own: Option<&ExpiryRules>) -> Arc<Expiry> {
        self.expiry.of(class, own)
    }

    /// How old a session is that is stored so.
    pub(crate) fn ages(&self, record: &Record, now: Now) -> Ages {
        let drift = self.compare_clocks(now);
        Ages {
            active_at: record.last_active_at,
            idle: drift.age(record.last_active_at, now.wall),
            age: drift.age(record.created_at, now.wall),
        }
    }

    /// Both clocks.
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// For how long a reading may be used again for touches.
    pub(crate) fn reading_lasts(&self) -> Duration {
        self.clock.reading_lasts()
    }

    /// Asks the host whether a turn may be begun.
    pub(crate) fn admit(&self, request: &AdmissionRequest<'_>) -> Result<(), Denial> {
        self.admission.admit(request)
    }

    /// What is kept of the replies of the turns that `record` calls open, in their order, if that is to
    /// be made entries.
    pub(crate) async fn said(&self, record: &Record) -> Result<Vec<Bytes>, StoreError> {
        let mut said = Vec::new();
        if self.config.partials.interrupted != PartialPolicy::Entry {
            return Ok(said);
        }
        for marker in &record.open {
            let store = &self.store;
            let kept = store.partial(&record.id, record.incarnation, marker.generation).await;
            said.push(match kept {
                Ok(kept) => kept.map_or_else(Bytes::new, |kept| kept.text),
                // What cannot be read is nobody's reply; the session is not to be lost for it.
                Err(StoreError::Damaged { .. }) => Bytes::new(),
                Err(error) => return Err(error),
            });
        }
        Ok(said)
    }

    /// How many bytes the entries of a session have, if that makes a difference. They are read for it.
    pub(crate) async fn transcript_bytes(&self, record: &Record) -> Result<u64, StoreError> {
        if self.config.limits.max_transcript_bytes == 0 {
            return Ok(0);
        }
        let (id, life) = (&record.id, record.incarnation);
        match self.store.entries(id, life, 0, usize::MAX).await {
            Ok(entries) => Ok(entries.iter().map(|entry| entry.payload.len() as u64).sum()),
            // What cannot be read is not to keep the session from being used.
            Err(StoreError::Damaged { .. }) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// How long the conversation of a session is that has so many bytes of entries, and how long it may be.
    pub(crate) fn length(&self, record: &Record, bytes: u64) -> Length {
        let limits = &self.config.limits;
        let (entries, max_bytes) = (limits.max_entries as u64, limits.max_transcript_bytes as u64);
        Length {
            size: Size { entries: record.entries, bytes },
            max: Size { entries, bytes: max_bytes },
        }
    }

    /// Puts the encoding of a partial reply in the place of its text.
    ///
    /// User code, so without any lock. If there is no such entry, what is kept stays beside.
    pub(crate) fn encode_partial(&self, write: &mut Write) {
        if let Write::Settle { partial, .. } = write
            && let PartialFate::Entry { payload } = partial
        {
            let max = self.config.limits.max_entry_bytes;
            let entry = self.partial_entry.as_ref().and_then(|entry| entry.make(payload, max));
            *partial = match entry {
                Some(payload) => PartialFate::Entry { payload },
                None => PartialFate::Keep { last: None },
            };
        }
    }

    /// A fresh id.
    pub(crate) fn fresh_id(&self) -> SessionId {
        SessionId::from_random(self.ids.draw())
    }

    /// A number for a lease.
    pub(crate) fn lease_number(&self) -> u64 {
        self.leases.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// An empty stream, for a turn of `life` that is asked for at `since`.
    pub(crate) fn stream(&self, life: Incarnation, since: Moment) -> Arc<Stream> {
        let streams = &self.config.streams;
        Arc::new(Stream::new(life, since, streams.max_items, streams.max_bytes))
    }

    /// Whether nothing new is admitted.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether `error` only says that the supervisor has ended.
    pub(crate) fn is_over(&self, error: &StoreError) -> bool {
        self.is_draining() && matches!(error, StoreError::Closed)
    }

    /// Admits nothing new from here on; answers whether it did before.
    pub(crate) fn drain(&self) -> bool {
        let drains = !self.draining.swap(true, Ordering::AcqRel);
        self.capacity.drain();
        drains
    }
}

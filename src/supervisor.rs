//! The handle to everything: open, create, look up, list, delete, shut down.

mod actor;
mod audit;
mod builder;
mod damaged;
mod error;
mod expire;
mod explain;
mod idle;
mod limits;
mod names;
mod open;
mod prune;
mod recovery;
mod reset;
mod resolve;
mod resume_sweep;
mod seed;
mod shared;
mod shutdown;
mod stale;
mod watch;

use std::fmt;
use std::marker::PhantomData;

pub use self::audit::{AuditReport, Inspection};
pub use self::builder::SupervisorBuilder;
pub use self::error::{CreateError, OpenError, ReadError, StartError};
pub use self::explain::{Explanation, Fate};
pub use self::names::BindError;
pub use self::open::Opened;
pub use self::prune::{ExpiredSession, PruneReport};
pub use self::recovery::{LastRun, RecoveryReport, SettledTurn, SuspendedSession, Swept};
pub use self::seed::NewSession;
pub use self::shutdown::{DrainEnd, DrainedSession, DrainedTurn, ShutdownOptions, ShutdownReport};
pub use crate::state::KeptBy;

use self::shared::{Located, Shared};
use crate::clock::Timestamp;
use crate::entry::{ChatMessage, Content, TurnInput};
use crate::id::{Incarnation, InstanceId, SessionId};
use crate::key::SessionKey;
use crate::metrics::CountsSnapshot;
use crate::room::{LoadError, Need};
use crate::rt::Arc;
use crate::session::{BeginError, DeleteError, DeleteOutcome, Session};
use crate::slot::Slot;
use crate::slot::house::House;
use crate::store::{RecordFilter, RecordPage, StoreError};
use crate::tombstone::Tombstone;
use crate::turn::{BeginOptions, Turn};

/// The handle to everything. Clones name the same supervisor; when the last clone and the last
/// session handle are dropped it ends, without waiting for anything. [`shutdown`](Self::shutdown)
/// ends it in good order.
pub struct Supervisor<E = ChatMessage> {
    /// What the handles share.
    shared: Arc<Shared>,
    /// What the start found.
    recovery: Arc<RecoveryReport>,
    /// What entries are.
    entries: PhantomData<fn() -> E>,
}

impl<E> Clone for Supervisor<E> {
    fn clone(&self) -> Self {
        let (shared, recovery) = (self.shared.clone(), self.recovery.clone());
        Self { shared, recovery, entries: PhantomData }
    }
}

impl<E> fmt::Debug for Supervisor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("instance", &self.instance()).finish_non_exhaustive()
    }
}

/// What there is under an id.
#[derive(Debug)]
pub enum Lookup<E = ChatMessage> {
    /// A session.
    Live(Session<E>),
    /// It was deleted, when and why.
    Gone(Tombstone),
    /// Nothing, and nothing that is remembered.
    Unknown,
}

impl<E> Lookup<E> {
    /// The session, if there is one.
    pub fn live(self) -> Option<Session<E>> {
        match self {
            Self::Live(session) => Some(session),
            Self::Gone(_) | Self::Unknown => None,
        }
    }
}

impl<E> Supervisor<E> {
    /// Starts building one.
    pub fn builder() -> SupervisorBuilder<E> {
        SupervisorBuilder::new()
    }

    /// The handle to what the builder has started.
    fn new(shared: Arc<Shared>, recovery: Arc<RecoveryReport>) -> Self {
        Self { shared, recovery, entries: PhantomData }
    }

    /// The handle to what is in `slot`.
    fn session(&self, slot: Arc<Slot>) -> Session<E> {
        let house: Arc<dyn House> = self.shared.clone();
        Session::new(slot, house)
    }

    /// Names this run. Stored beside every turn that it begins.
    pub fn instance(&self) -> InstanceId {
        self.shared.engine.instance
    }

    /// What the start found of earlier runs.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// Looks up `id`: live, gone or unknown, in one answer. Creates nothing, counts as no use;
    /// a session that has left memory is loaded for its handle.
    ///
    /// Waits only for a delete under way, so that nobody is told "gone" before it is durable.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store had to be asked, or the delete was waited for, and it failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn look_up(&self, id: &SessionId) -> Result<Lookup<E>, ReadError> {
        if let Some(slot) = self.shared.at_hand(id) {
            return Ok(Lookup::Live(self.session(slot)));
        }
        Ok(match self.shared.locate(id).await? {
            Located::Live(slot) => Lookup::Live(self.session(slot)),
            Located::Gone(tombstone) => Lookup::Gone(tombstone),
            Located::Unknown => Lookup::Unknown,
        })
    }

    /// Deletes the session `id`; as [`Session::delete`]. One whose record is damaged is deleted as well.
    ///
    /// # Errors
    ///
    /// [`DeleteError`] if the store failed.
    ///
    /// # Cancel safety
    ///
    /// Once the session has been found, as [`Session::delete`]; before that nothing has happened.
    pub async fn delete(&self, id: &SessionId) -> Result<DeleteOutcome, DeleteError> {
        let failed = |source: StoreError| DeleteError { id: id.clone(), source };
        loop {
            // Not `find`: a delete that has failed is to be tried again, not waited for.
            let slot = match self.shared.loaded(id) {
                Some(slot) => slot,
                None => match self.shared.find(id, Need::Look).await.map_err(LoadError::into_store)
                {
                    Ok(Located::Live(slot)) => slot,
                    Ok(Located::Gone(tombstone)) => {
                        return Ok(DeleteOutcome::AlreadyGone(tombstone));
                    }
                    Ok(Located::Unknown) => return Ok(DeleteOutcome::Unknown),
                    Err(damaged @ StoreError::Damaged { .. }) => {
                        let deleted = self.shared.delete_damaged(id, None).await.map_err(failed)?;
                        return deleted.map(DeleteOutcome::Deleted).ok_or_else(|| failed(damaged));
                    }
                    Err(error) => return Err(failed(error)),
                },
            };
            match crate::session::delete(&slot, self.shared.as_ref()).await? {
                // That life is over, and its tombstone may be as well: another stands under the id by now.
                DeleteOutcome::Unknown => {}
                outcome @ (DeleteOutcome::Deleted(_) | DeleteOutcome::AlreadyGone(_)) => {
                    return Ok(outcome);
                }
            }
        }
    }

    /// Up to `limit` records that match, at least one, in order of creation, after the life `after`: pass
    /// [`RecordPage::next`] for the next page.
    ///
    /// Read from the store's metadata alone: no session is loaded, woken or waited for, and none
    /// counts as used. `open` names the turns that run; one that does not run any more is cleared on the
    /// way, as by [`clear_stale`](Self::clear_stale), so a page may be shorter than it could be. One whose time
    /// is over is shown as archived since then, whether anybody has come for it or not; but as it is stored if
    /// there is a [`PruneHook`](crate::PruneHook), which is not asked for this.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store failed. A damaged row is told in the page.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn list(
        &self,
        filter: RecordFilter,
        after: Option<Incarnation>,
        limit: usize,
    ) -> Result<RecordPage, ReadError> {
        // A page of none would be the last one for ever.
        let listed = self.shared.list(&filter, after, limit.max(1)).await;
        listed.map_err(|source| self.read_failed(source))
    }

    /// Looks at everything in the store, and answers with what is damaged, a line each.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store could not be read at all.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn check_store(&self) -> Result<Vec<String>, ReadError> {
        self.shared.engine.store.check().await.map_err(|source| self.read_failed(source))
    }

    /// What has been counted so far. See [the table](crate::metrics).
    pub fn counts(&self) -> CountsSnapshot {
        self.shared.engine.counts.snapshot()
    }

    /// Whether [`shutdown`](Self::shutdown) was called.
    pub fn is_draining(&self) -> bool {
        self.shared.engine.is_draining()
    }

    /// The time, as this supervisor sees it.
    pub fn now(&self) -> Timestamp {
        self.shared.engine.now().wall
    }

    /// Ends the supervisor in good order: for a planned restart, and for a signal that asks the process to end.
    ///
    /// Nothing new is admitted from here on. It waits until every turn has ended, every task that `run` was
    /// given has, and everything is stored, up to the deadline; then it tells what still runs to end,
    /// aborts it after `turns.abort_after`, and fences it after `turns.cancel_grace`. As soon as nothing
    /// is open, the store gets the mark of a clean stop. Work that goes on after its turn is over cannot be
    /// told; it is aborted then. Last, the store is closed. A mark that the store does not
    /// take is told in the report and fails nothing: the next start takes this run for one that crashed.
    ///
    /// Code of a turn that asks for it excepts itself, since it would wait for itself: see
    /// [`ShutdownOptions::except`].
    ///
    /// May be called any number of times, also at once: one shutdown is done, for the earliest deadline that
    /// was asked for, and everybody gets its report.
    ///
    /// ```
    /// # use session_supervisor::{ChatMessage, SessionKey, ShutdownOptions, Supervisor};
    /// # use std::time::Duration;
    /// # async fn restart(supervisor: Supervisor, key: &SessionKey) -> Result<(), Box<dyn std::error::Error>> {
    /// let clone = supervisor.clone();
    /// let session = supervisor.open(key).await?;
    /// let input = ChatMessage::user("/restart");
    /// let told = session.run(&input, (), |turn| async move {
    ///     let options = ShutdownOptions::within(Duration::from_secs(30)).except(turn.stream());
    ///     clone.shutdown(options).await
    /// });
    /// println!("{:?}", told.await?.await??);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store could not be closed properly; called again, it closes it again.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves a supervisor that admits nothing; another call, one that waits already or a later
    /// one, finishes it.
    pub async fn shutdown(
        &self,
        options: impl Into<ShutdownOptions>,
    ) -> Result<ShutdownReport, StoreError> {
        shutdown::shutdown(&self.shared, options.into()).await
    }

    /// Counts a failed read.
    fn read_failed(&self, source: StoreError) -> ReadError {
        self.shared.engine.counts.store_failed("read");
        ReadError { source }
    }
}

impl<E: Content> Supervisor<E> {
    /// Opens `key` and begins a turn in its session, for a message that has arrived.
    ///
    /// Unlike `open` and `begin` one after the other, a message that is refused for what it is, because
    /// there is no permit for its turn, or because the supervisor shuts down, leaves no session behind: where
    /// one would be created, the permit is waited for first.
    ///
    /// # Errors
    ///
    /// [`BeginError`].
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Self::open), then as [`Session::begin`].
    pub async fn begin(
        &self,
        key: &SessionKey,
        input: impl Into<TurnInput<'_, E>>,
        options: impl Into<BeginOptions>,
    ) -> Result<Turn<E>, BeginError> {
        let (engine, options, input) = (&self.shared.engine, options.into(), input.into());
        let mut admitted = match self.admit_message(key, &input, &options).await {
            Ok(input) => input,
            Err(error) => return Err(error.noted(engine)),
        };
        loop {
            match self.begin_opened(key, admitted, &options).await {
                // It ended by itself between the two: the next open creates a fresh one.
                Err(error) if error.has_expired() => {
                    let encoded = input.encode(&engine.config.limits).map_err(BeginError::Input);
                    admitted = encoded.map_err(|error| error.noted(engine))?;
                }
                begun => return begun,
            }
        }
    }

    /// Opens `key` and begins a turn there.
    async fn begin_opened(
        &self,
        key: &SessionKey,
        input: Option<bytes::Bytes>,
        options: &BeginOptions,
    ) -> Result<Turn<E>, BeginError> {
        let engine = &self.shared.engine;
        let permit = match self.permit_for(key).await {
            Ok(permit) => permit,
            Err(error) => return Err(error.noted(engine)),
        };
        let session = self.open(key).await.map_err(|error| match error {
            OpenError::Draining { instance } => BeginError::Draining { instance },
            OpenError::Content { source, .. } => BeginError::Input(source),
            OpenError::Full { full, instance, .. } => BeginError::Full { full, instance },
            OpenError::IdCollision { id } => BeginError::IdCollision { id },
            OpenError::NoRoom(no_room) => BeginError::NoRoom(no_room),
            OpenError::Store { source, .. } | OpenError::Damaged { source, .. } => {
                BeginError::Open { key: key.clone(), source }
            }
        });
        let session = session.map_err(|error| error.noted(engine))?;
        session.begin_admitted(input, permit, options).await
    }

    /// A message, encoded, unless it is refused before a session is created for it.
    async fn admit_message(
        &self,
        key: &SessionKey,
        input: &TurnInput<'_, E>,
        options: &BeginOptions,
    ) -> Result<Option<bytes::Bytes>, BeginError> {
        let engine = &self.shared.engine;
        let input = input.encode(&engine.config.limits).map_err(BeginError::Input)?;
        let request = options.request(engine, None, Some(key), input.as_ref());
        engine.admit(&request).map_err(|denial| BeginError::denied(denial, engine))?;
        let Some(expected) = options.expect_version.filter(|version| *version > 0) else {
            return Ok(input);
        };
        let known = self.shared.is_bound(key).await;
        if known.map_err(|source| BeginError::Open { key: key.clone(), source })? {
            return Ok(input);
        }
        Err(BeginError::Unbound { key: key.clone(), expected, instance: self.instance() })
    }
}

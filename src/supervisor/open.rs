//! How sessions come to be: by key, by id, and anew.

use super::Supervisor;
use super::error::{CreateError, OpenError};
use super::resolve::Resolved;
use super::seed::{NewSession, Seed};
use super::shared::{Located, Shared};
use crate::config::UnknownPolicy;
use crate::entry::{ChatMessage, Content};
use crate::id::SessionId;
use crate::key::SessionKey;
use crate::limit::Full;
use crate::room::{LoadError, Need, NoRoom};
use crate::rt::Arc;
use crate::session::Session;
use crate::slot::Slot;
use crate::standing::{Previous, RebindReason};
use crate::store::{Binding, Created, Found, NewRecord, StoreError};
use crate::tombstone::Tombstone;

/// What [`Supervisor::open_with`] and [`Supervisor::reset`] answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened<E = ChatMessage> {
    /// The session that the key is bound to now.
    pub session: Session<E>,
    /// Whether this call created it.
    pub created: bool,
    /// The session that the key was bound to before, if this call bound it anew, and why. A bot tells its
    /// user by this that a conversation has ended; [`Session::previous`] says it later.
    pub previous: Option<Previous>,
}

/// What became of an attempt to create.
enum Attempt {
    Created(Arc<Slot>),
    KeyMoved,
    Taken,
    Gone(Tombstone),
    Full(Full),
}

/// The session that a key led to before it leads to a new one: what it is bound to, or else one that was deleted on the
/// way, as its time was over, and was there all the same.
fn replaced(
    bound_to: Option<&SessionId>,
    reason: RebindReason,
    ended: Option<Previous>,
) -> Option<Previous> {
    bound_to.map(|id| Previous::new(id.clone(), reason)).or(ended)
}

impl<E: Content> Supervisor<E> {
    /// Opens the session that `key` is bound to, and creates one if it is bound to none, or if that one is
    /// archived, has ended, or its time is over: [`Session::previous`] says so then.
    ///
    /// Those who open one key at the same time get the same session, and it is created once. A
    /// session being deleted is waited for; then a fresh one is created.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    ///
    /// # Cancel safety
    ///
    /// A dropped future has either done nothing, or has created a session that the next open of the
    /// key finds. A session whose time was over may have been ended for it.
    pub async fn open(&self, key: &SessionKey) -> Result<Session<E>, OpenError> {
        if let Some(slot) = self.shared.bound(key) {
            return Ok(self.session(slot));
        }
        self.open_with(key, NewSession::new).await.map(|opened| opened.session)
    }

    /// As [`open`](Self::open), with what a new session starts with. `new` is called once, and only
    /// if a session has to be created.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; with `Content`, nothing was created.
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Self::open).
    pub async fn open_with(
        &self,
        key: &SessionKey,
        new: impl FnOnce() -> NewSession<E>,
    ) -> Result<Opened<E>, OpenError> {
        let shared = &self.shared;
        let _flight = shared.key_flights.join(key).await;
        let mut new = Some(new);
        let (mut seed, mut previous) = (None, None);
        loop {
            let expected = match shared.resolve(key).await.map_err(shared.failed(key))? {
                Resolved::Live(slot) => {
                    let session = self.session(slot);
                    return Ok(Opened { session, created: false, previous: None });
                }
                Resolved::Nothing { bound_to, reason, ended } => {
                    previous = replaced(bound_to.as_ref(), reason, ended).or(previous);
                    bound_to
                }
            };
            if shared.engine.is_draining() {
                return Err(OpenError::Draining { instance: self.instance() });
            }
            if let Some(new) = new.take() {
                seed = Some(self.seed(new(), key)?);
            }
            let Some(seed) = &seed else { continue };
            let binding = Binding { key: key.clone(), expected };
            if let Some(slot) = shared.attempt_key(binding, seed, previous.clone()).await? {
                return Ok(Opened { session: self.session(slot), created: true, previous });
            }
        }
    }

    /// Creates a session with a fresh id and no key.
    ///
    /// # Errors
    ///
    /// [`CreateError`].
    ///
    /// # Cancel safety
    ///
    /// A dropped future has either done nothing, or has created a session that nobody knows the id
    /// of; a listing shows it.
    pub async fn create(&self, new: NewSession<E>) -> Result<Session<E>, CreateError> {
        self.create_id(&self.shared.engine.fresh_id(), new).await
    }

    /// Creates a session with an id of the caller's own.
    ///
    /// # Errors
    ///
    /// [`CreateError::Exists`] if it is live; [`CreateError::Gone`] if it was deleted and
    /// [`NewSession::allow_reuse`] was not said.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has either done nothing, or has created the session.
    pub async fn create_id(
        &self,
        id: &SessionId,
        new: NewSession<E>,
    ) -> Result<Session<E>, CreateError> {
        let shared = &self.shared;
        if shared.engine.is_draining() {
            return Err(CreateError::Draining { instance: self.instance() });
        }
        let seed = new.encode(&shared.engine.config.limits).map_err(CreateError::Content)?;
        let attempt = shared.attempt(id, None, &seed, None).await;
        self.answer(id, attempt.map_err(CreateError::failed(id))?)
    }

    /// Creates a session with an id of the caller's own, with `key` bound to it from the start: both happen, or
    /// neither does.
    ///
    /// # Errors
    ///
    /// As [`create_id`](Self::create_id); [`CreateError::KeyTaken`] if the key is bound to a session that
    /// [`open`](Self::open) would open.
    ///
    /// # Cancel safety
    ///
    /// As [`create_id`](Self::create_id). A session of the key whose time was over may have been ended for it.
    pub async fn create_for(
        &self,
        key: &SessionKey,
        id: &SessionId,
        new: NewSession<E>,
    ) -> Result<Session<E>, CreateError> {
        let (shared, failed) = (&self.shared, CreateError::failed(id));
        let seed = new.encode(&shared.engine.config.limits).map_err(CreateError::Content)?;
        let _flight = shared.key_flights.join(key).await;
        let mut previous = None;
        loop {
            if shared.engine.is_draining() {
                return Err(CreateError::Draining { instance: self.instance() });
            }
            let expected = match shared.resolve(key).await.map_err(&failed)? {
                Resolved::Live(slot) => {
                    let (key, to, instance) = (key.clone(), slot.tip().clone(), self.instance());
                    return Err(CreateError::KeyTaken { key, to, instance });
                }
                Resolved::Nothing { bound_to, reason, ended } => {
                    previous = replaced(bound_to.as_ref(), reason, ended).or(previous);
                    bound_to
                }
            };
            let binding = Binding { key: key.clone(), expected };
            let attempt = shared.attempt_bound(id, binding, &seed, previous.clone()).await;
            let attempt = attempt.map_err(&failed)?;
            if !matches!(attempt, Attempt::KeyMoved) {
                return self.answer(id, attempt);
            }
        }
    }

    /// What an attempt to create the session `id` means to whoever asked for it.
    fn answer(&self, id: &SessionId, attempt: Attempt) -> Result<Session<E>, CreateError> {
        let (id, instance) = (id.clone(), self.instance());
        match attempt {
            Attempt::Created(slot) => Ok(self.session(slot)),
            Attempt::Taken | Attempt::KeyMoved => Err(CreateError::Exists { id, instance }),
            Attempt::Gone(tombstone) => Err(CreateError::Gone { id, tombstone, instance }),
            Attempt::Full(full) => Err(CreateError::Full { id, full, instance }),
        }
    }

    /// The session `id`, to be written to. If nobody knows it, `unknown` of the settings decides; a
    /// deleted one is never created by this.
    ///
    /// # Errors
    ///
    /// [`CreateError::Gone`], [`CreateError::Unknown`], or as for [`create_id`](Self::create_id).
    ///
    /// # Cancel safety
    ///
    /// As [`create_id`](Self::create_id).
    pub async fn open_id(&self, id: &SessionId) -> Result<Session<E>, CreateError> {
        let (instance, failed) = (self.instance(), CreateError::failed(id));
        loop {
            match self.shared.locate_for(id, Need::Use).await.map_err(&failed)? {
                Located::Live(slot) => return Ok(self.session(slot)),
                Located::Gone(tombstone) => {
                    return Err(CreateError::Gone { id: id.clone(), tombstone, instance });
                }
                Located::Unknown => {}
            }
            match self.shared.engine.config.unknown {
                UnknownPolicy::NotFound => {
                    return Err(CreateError::Unknown { id: id.clone(), instance });
                }
                UnknownPolicy::Create => match self.create_id(id, NewSession::new()).await {
                    // Somebody else was faster: theirs is as good.
                    Err(CreateError::Exists { .. }) => {}
                    created => return created,
                },
            }
        }
    }

    /// What a new session for `key` starts with, checked.
    pub(super) fn seed(&self, new: NewSession<E>, key: &SessionKey) -> Result<Seed, OpenError> {
        let encoded = new.encode(&self.shared.engine.config.limits);
        encoded.map_err(|source| OpenError::Content { key: key.clone(), source })
    }
}

impl Shared {
    /// What a store's failure means to whoever opens `key`. Once the supervisor has ended, its store
    /// is closed, and that is no failure.
    pub(super) fn failed(&self, key: &SessionKey) -> impl Fn(LoadError) -> OpenError {
        |error| match error {
            LoadError::NoRoom(no_room) => OpenError::NoRoom(no_room),
            LoadError::Store(source) if self.engine.is_over(&source) => {
                OpenError::Draining { instance: self.engine.instance }
            }
            LoadError::Store(source @ StoreError::Damaged { .. }) => {
                OpenError::Damaged { key: key.clone(), source }
            }
            LoadError::Store(source) => OpenError::Store { key: key.clone(), source },
        }
    }

    /// Tries to create a session with a fresh id for a key; `None` if the key moved meanwhile.
    /// Called under the key's flight.
    pub(super) async fn attempt_key(
        &self,
        binding: Binding,
        seed: &Seed,
        previous: Option<Previous>,
    ) -> Result<Option<Arc<Slot>>, OpenError> {
        let (id, key) = (self.engine.fresh_id(), binding.key.clone());
        let attempt = self.attempt_bound(&id, binding, seed, previous).await;
        match attempt.map_err(self.failed(&key))? {
            Attempt::Created(slot) => Ok(Some(slot)),
            Attempt::KeyMoved => Ok(None),
            Attempt::Taken | Attempt::Gone(_) => Err(OpenError::IdCollision { id }),
            Attempt::Full(full) => {
                Err(OpenError::Full { key, full, instance: self.engine.instance })
            }
        }
    }

    /// Tries to create the session `id` with a key bound to it. Called under the key's flight.
    async fn attempt_bound(
        &self,
        id: &SessionId,
        binding: Binding,
        seed: &Seed,
        previous: Option<Previous>,
    ) -> Result<Attempt, LoadError> {
        let key = binding.key.clone();
        let attempt = self.attempt(id, Some(binding), seed, previous).await;
        // The store may have bound it all the same.
        let attempt = attempt.inspect_err(|_| self.uncache(&key))?;
        if let Attempt::Created(slot) = &attempt {
            self.note(&key, slot);
        }
        Ok(attempt)
    }

    /// There is no room for `id`; what else there is to be told comes first.
    async fn refuse(
        &self,
        id: &SessionId,
        seed: &Seed,
        no_room: NoRoom,
    ) -> Result<Attempt, LoadError> {
        match self.read(id).await? {
            Found::Live(_) => Ok(Attempt::Taken),
            Found::Gone(tombstone) if !seed.allow_reuse => Ok(Attempt::Gone(tombstone)),
            Found::Gone(_) | Found::Unknown => Err(LoadError::NoRoom(no_room)),
        }
    }

    /// Tries to create the session `id`.
    async fn attempt(
        &self,
        id: &SessionId,
        binding: Option<Binding>,
        seed: &Seed,
        previous: Option<Previous>,
    ) -> Result<Attempt, LoadError> {
        // A fresh id as well: its key leads to it as soon as the store has it, and whoever follows and
        // deletes it must not be ahead of its own publication.
        let _flight = self.id_flights.join(id).await;
        // The store goes by the wall clock, and knows nothing of a turn that still runs.
        if !seed.allow_reuse
            && let Some(tombstone) = self.grave(id)
        {
            return Ok(Attempt::Gone(tombstone));
        }
        let capacity = &self.engine.capacity;
        let place = match self.room().await {
            Ok(place) => place,
            Err(full) => return Ok(Attempt::Full(full)),
        };
        let bytes: usize = seed.entries.iter().map(bytes::Bytes::len).sum();
        let room = match self.ask_for_room(Need::Use) {
            Ok(room) => room,
            Err(no_room) => return self.refuse(id, seed, no_room).await,
        };
        let new = NewRecord {
            id: id.clone(),
            allow_reuse: seed.allow_reuse,
            binding,
            label: seed.label.clone(),
            class: seed.class.clone(),
            expiry: seed.expiry.clone(),
            previous: previous.map(Box::new),
            entries: seed.entries.clone(),
            data: seed.data.clone(),
            at: self.engine.now().wall,
        };
        let created = self.engine.store.create(new).await;
        let created = created.inspect_err(|error| {
            self.engine.counts.store_failed("create");
            if matches!(error, StoreError::OutcomeUnknown { .. }) {
                capacity.doubt_sessions();
            }
        })?;
        Ok(match created {
            Created::Created(record) => {
                place.keep();
                self.engine.counts.created();
                tracing::info!(session = %record.id, from = "unknown", to = "stored", "a session is created");
                match self.publish(record, (Vec::new(), bytes as u64), room) {
                    Ok(slot) => Attempt::Created(slot),
                    Err(tombstone) => Attempt::Gone(tombstone),
                }
            }
            Created::IdTaken => Attempt::Taken,
            Created::IdGone(tombstone) => Attempt::Gone(tombstone),
            Created::KeyMoved { .. } => Attempt::KeyMoved,
        })
    }
}

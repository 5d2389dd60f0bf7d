//! What the handles of one supervisor share: the engine, the registry, and how a session is found.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use ractor::{ActorCell, ActorRef};

use super::actor::SupervisorMessage;
use super::expire::Rites;
use super::idle::{Idle, Room};
use super::shutdown::Ending;
use super::watch::Watch;
use crate::engine::Engine;
use crate::flight::Flights;
use crate::id::{Incarnation, SessionId, StreamId};
use crate::key::SessionKey;
use crate::registry::{Place, Published, Registry};
use crate::room::{LoadError, Need};
use crate::rt::{Arc, Mutex, Notify, ShardedMap, Weak};
use crate::slot::house::{Claim, DrainStep, House, Reloaded};
use crate::slot::idle::Stay;
use crate::slot::{Presence, Slot};
use crate::store::{Found, Record, StoreError};
use crate::tombstone::Tombstone;

/// What the handles of one supervisor share. Dropped with the last of them.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What sessions need.
    pub(crate) engine: Arc<Engine>,
    /// What is live.
    pub(crate) registry: Registry,
    /// The loaded sessions that keys are bound to, several to one perhaps; what is not here, the store knows. Changed only
    /// under the key's flight, and by a slot that takes itself out.
    pub(crate) keys: ShardedMap<SessionKey, Arc<Slot>>,
    /// Who opens or resets a key.
    pub(crate) key_flights: Flights<SessionKey>,
    /// Who loads or creates an id.
    pub(crate) id_flights: Flights<SessionId>,
    /// The parent of all session actors, until the shutdown.
    pub(super) actor: Mutex<Option<ActorRef<SupervisorMessage>>>,
    /// The sessions whose turns are looked at.
    pub(super) watch: Arc<Watch>,
    /// The loaded sessions by their last use.
    pub(super) idle: Arc<Idle>,
    /// Who asks the host about a life whose time is over.
    pub(super) asking: Flights<Incarnation>,
    /// How often in a row the last rites of a life have failed.
    pub(super) rites: Rites,
    /// Notified when something ended during a shutdown.
    pub(super) stirred: Notify,
    /// What those share who shut it down.
    pub(super) ending: Ending,
    /// Itself, for the slots.
    myself: Weak<Self>,
}

/// What is under an id.
#[derive(Debug)]
pub(crate) enum Located {
    /// A loaded session.
    Live(Arc<Slot>),
    /// It was deleted.
    Gone(Tombstone),
    /// Nothing.
    Unknown,
}

impl Shared {
    /// With nothing loaded and no actor yet.
    pub(super) fn new(engine: Arc<Engine>) -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            registry: Registry::new(engine.config.tombstones.max_in_memory),
            idle: Arc::new(Idle::new(engine.config.idle.clone())),
            engine,
            keys: ShardedMap::new(),
            key_flights: Flights::new(),
            id_flights: Flights::new(),
            actor: Mutex::new(None),
            watch: Arc::new(Watch::new()),
            asking: Flights::new(),
            rites: Rites::new(),
            stirred: Notify::new(),
            ending: Ending::new(),
            myself: myself.clone(),
        })
    }

    /// Itself, unless it is being dropped.
    pub(super) fn myself(&self) -> Option<Arc<Self>> {
        self.myself.upgrade()
    }

    /// Finds the session `id`, and loads it if it is not. One whose time is over is ended, unless something
    /// keeps it. Who is mostly after what is loaded looks [`at_hand`](Self::at_hand) first.
    ///
    /// Waits for a delete under way, so that nobody is told of one that a crash can take back.
    pub(crate) async fn locate(&self, id: &SessionId) -> Result<Located, StoreError> {
        // In a box: its future is large, and would be carried along.
        Box::pin(self.locate_for(id, Need::Look)).await.map_err(LoadError::into_store)
    }

    /// The slot under `id`, if it is loaded and can be used: in one look, as mostly.
    pub(super) fn at_hand(&self, id: &SessionId) -> Option<Arc<Slot>> {
        let Place::Live(slot) = self.registry.get(id)? else { return None };
        let presence = slot.presence_now();
        matches!(presence, Presence::Live | Presence::Shut(_)).then_some(slot)
    }

    /// [`Self::locate`], for what it is needed for.
    pub(crate) async fn locate_for(
        &self,
        id: &SessionId,
        need: Need,
    ) -> Result<Located, LoadError> {
        loop {
            let located = self.find(id, need).await?;
            let Located::Live(slot) = &located else { return Ok(located) };
            if slot.presence_now() != Presence::Due {
                return Ok(located);
            }
            // Whoever keeps it is noted in it: if it made room for others before that was read, the host would
            // be asked about what is loaded then, again and again where it takes its time.
            let _stay = Stay::take(slot);
            self.expire(slot).await?;
            if matches!(slot.presence_now(), Presence::Live | Presence::Shut(_)) {
                return Ok(located);
            }
        }
    }

    /// As [`locate`](Self::locate), whether its time is over or not: for whoever finds that out by himself, or
    /// wants to be rid of it.
    pub(super) async fn find(&self, id: &SessionId, need: Need) -> Result<Located, LoadError> {
        loop {
            match self.presence(id) {
                Some((slot, Presence::Live | Presence::Shut(_) | Presence::Due)) => {
                    return Ok(Located::Live(slot));
                }
                Some((slot, Presence::Closing)) => {
                    self.wait_gone(&slot).await?;
                    continue;
                }
                Some((_, Presence::Gone(tombstone))) => return Ok(self.gone(tombstone)),
                Some((slot, Presence::Left)) => self.registry.remove(&slot),
                None => {}
            }
            if let Some(grave) = self.grave(id) {
                return Ok(self.gone(grave));
            }
            if let Some(located) = self.load(id, need).await? {
                return Ok(located);
            }
        }
    }

    /// The slot under `id`, if there is one.
    pub(super) fn presence(&self, id: &SessionId) -> Option<(Arc<Slot>, Presence)> {
        match self.registry.get(id)? {
            Place::Live(slot) => {
                let presence = slot.presence();
                Some((slot, presence))
            }
            Place::Gone(_) => None,
        }
    }

    /// The slot under `id`, whatever its presence.
    pub(crate) fn loaded(&self, id: &SessionId) -> Option<Arc<Slot>> {
        self.presence(id).map(|(slot, _)| slot)
    }

    /// The tombstone under `id`, if it stands.
    pub(super) fn grave(&self, id: &SessionId) -> Option<Tombstone> {
        match self.registry.get(id)? {
            Place::Gone(grave) => grave.stands(self.engine.now()).then_some(grave.tombstone),
            Place::Live(_) => None,
        }
    }

    /// Counts that somebody was told so.
    fn gone(&self, tombstone: Tombstone) -> Located {
        self.engine.counts.gone_hit();
        Located::Gone(tombstone)
    }

    /// Waits until the delete of `slot` is through.
    async fn wait_gone(&self, slot: &Arc<Slot>) -> Result<(), StoreError> {
        use crate::state::DeleteRefusal;
        // Nobody else tries again what nobody has asked for.
        let deleting = slot.deletes_itself().map(|reason| slot.delete(reason));
        match deleting.unwrap_or_else(|| slot.await_delete()).await {
            Ok(Ok(_) | Err(DeleteRefusal::Left | DeleteRefusal::Kept)) => Ok(()),
            Ok(Err(DeleteRefusal::Store(error))) => Err(error),
            Err(_) => Err(StoreError::Closed),
        }
    }

    /// Asks the store for `id`, one at a time; `None` if something is there by now.
    ///
    /// A session is loaded under the flight of its first id, whichever of its ids it is asked for by.
    async fn load(&self, id: &SessionId, need: Need) -> Result<Option<Located>, LoadError> {
        let mut flown = id.clone();
        loop {
            let first = {
                let _flight = self.id_flights.join(&flown).await;
                if self.presence(id).is_some() || self.grave(id).is_some() {
                    return Ok(None);
                }
                let found = self.read(id).await;
                match found.inspect_err(|_| self.engine.counts.store_failed("look_up"))? {
                    Found::Live(record) if *record.first_id() == flown => {
                        return self.take_in(record, need).await.map(Some);
                    }
                    Found::Live(record) => record.first_id().clone(),
                    Found::Gone(tombstone) => return Ok(Some(self.gone(tombstone))),
                    Found::Unknown => return Ok(Some(Located::Unknown)),
                }
            };
            flown = first;
        }
    }

    /// Makes a session live as its record says. Called under the flight of its first id.
    async fn take_in(&self, mut record: Record, need: Need) -> Result<Located, LoadError> {
        record.generation = self.engine.numbers.go_on(record.generation);
        let said = self.engine.said(&record).await;
        let said = said.inspect_err(|_| self.engine.counts.store_failed("partial"))?;
        let bytes = self.engine.transcript_bytes(&record).await;
        let bytes = bytes.inspect_err(|_| self.engine.counts.store_failed("entries"))?;
        let room = self.ask_for_room(need).map_err(LoadError::NoRoom)?;
        Ok(match self.publish(record, (said, bytes), room) {
            Ok(slot) => Located::Live(slot),
            Err(tombstone) => self.gone(tombstone),
        })
    }

    /// Makes a session live, with what is kept of the replies that its record calls open. Called under the
    /// flight of its first id.
    pub(super) fn publish(
        &self,
        record: Record,
        loaded: (Vec<Bytes>, u64),
        room: Option<Room>,
    ) -> Result<Arc<Slot>, Tombstone> {
        let repairs = record.open.len();
        let house: Weak<dyn House> = self.myself.clone();
        let slot = Slot::new(record, loaded, self.engine.clone(), house);
        match self.registry.publish(&slot) {
            Published::New => {
                drop(room); // It is counted as loaded from here on.
                self.engine.counts.loaded();
                self.registry.bequeath(&slot);
                tracing::debug!(session = %slot.tip(), repairs, from = "stored", to = "live", "a session is loaded");
                slot.start();
                self.note_loaded(&slot);
                Ok(slot)
            }
            Published::Existing(slot) => Ok(slot),
            Published::Gone(tombstone) => Err(tombstone),
        }
    }
}

impl House for Shared {
    fn bury(&self, slot: &Arc<Slot>, tombstone: Tombstone) {
        self.rites.forget(slot.incarnation);
        let keep_for = self.engine.config.tombstones.keep_for;
        let evicted = self.registry.bury(slot, tombstone, keep_for, self.engine.now());
        self.engine.counts.tombstones(self.registry.tombstones(), evicted);
        self.forget_keys(slot);
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.registry.remove(slot);
        self.forget_keys(slot);
    }

    fn rotated(&self, slot: &Arc<Slot>, to: &SessionId) {
        self.registry.share(slot, to);
    }

    fn expire<'a>(
        &'a self,
        slot: &'a Arc<Slot>,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>> {
        Box::pin(Self::expire(self, slot))
    }

    fn stands(&self, slot: &Arc<Slot>) {
        self.rites.forget(slot.incarnation);
    }

    fn grown(&self) {
        if self.is_crowded_now() {
            self.idle.wake();
        }
    }

    fn watch(&self, slot: &Arc<Slot>) {
        self.watch.add(Arc::downgrade(slot));
    }

    fn stirred(&self) {
        self.stirred.notify_waiters();
    }

    fn drains(&self, slot: &Slot, turn: StreamId, step: DrainStep) {
        self.ending.note(slot, turn, step);
    }

    fn tombstone(&self, id: &SessionId, incarnation: Incarnation) -> Option<Tombstone> {
        self.grave(id).filter(|tombstone| tombstone.incarnation == incarnation)
    }

    fn loaded(&self, id: &SessionId, incarnation: Incarnation) -> Option<Arc<Slot>> {
        Self::loaded(self, id).filter(|slot| slot.incarnation == incarnation)
    }

    fn left(&self, id: &SessionId, incarnation: Incarnation) -> Vec<Arc<Slot>> {
        let mut left = self.registry.testators(id);
        left.retain(|slot| slot.incarnation == incarnation);
        left
    }

    fn reload<'a>(
        &'a self,
        id: &'a SessionId,
        incarnation: Incarnation,
        need: Need,
    ) -> Pin<Box<dyn Future<Output = Result<Reloaded, LoadError>> + Send + 'a>> {
        Box::pin(async move {
            loop {
                return Ok(match self.find(id, need).await? {
                    Located::Live(slot) if slot.incarnation == incarnation => {
                        // In this very moment it may have been left again.
                        let Some(stay) = Stay::take(&slot) else { continue };
                        Reloaded::Live(stay)
                    }
                    Located::Gone(tombstone) => Reloaded::Gone(tombstone),
                    Located::Live(_) | Located::Unknown => Reloaded::Unknown,
                });
            }
        })
    }

    fn claim<'a>(
        &'a self,
        id: &'a SessionId,
    ) -> Pin<Box<dyn Future<Output = Result<Claim<'a>, StoreError>> + Send + 'a>> {
        Box::pin(self.claim(id))
    }

    fn current(&self, record: Record) -> Pin<Box<dyn Future<Output = Found> + Send + '_>> {
        let myself = self.myself();
        Box::pin(async move {
            match myself {
                Some(myself) => Self::current(&myself, record).await,
                None => Found::Live(record),
            }
        })
    }

    fn fresh(
        &self,
        record: Record,
    ) -> Pin<Box<dyn Future<Output = Result<Found, StoreError>> + Send + '_>> {
        Box::pin(self.fresh(record))
    }

    fn delete_damaged<'a>(
        &'a self,
        id: &'a SessionId,
        incarnation: Incarnation,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Tombstone>, StoreError>> + Send + 'a>> {
        Box::pin(self.delete_damaged(id, Some(incarnation)))
    }

    fn parent(&self) -> Option<ActorCell> {
        self.actor.lock().as_ref().map(ActorRef::get_cell)
    }

    fn actor_ended(&self, slot: &Weak<Slot>, tenure: u64) {
        if let Some(actor) = self.actor.lock().as_ref() {
            let slot = slot.clone();
            // Refused only once the supervisor's actor has ended; nothing is admitted any more then.
            drop(actor.cast(SupervisorMessage::ActorEnded { slot, tenure }));
        }
        if self.engine.is_draining() {
            self.stirred.notify_waiters();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.engine.over.cancel();
        if let Some(actor) = self.actor.lock().take() {
            actor.stop(None);
        }
    }
}

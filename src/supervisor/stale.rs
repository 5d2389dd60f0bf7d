//! Turns that the store calls open and that nobody holds: found by whoever reads, and cleared.
//!
//! After a crash there are none, since a start settles them. What is left are those whose end could not be
//! stored. A reader that comes across one clears it, by compare-and-set on its life and its number, and
//! with a proof that it is dead: either its session is loaded, and then the session's own state knows
//! which turns may be alive; or it is not, and cannot be as long as this holds the flight of its id.
//!
//! What races: a begin, a commit or a load. The first two are decided by the session's lock; a load waits
//! for the flight. Nothing of it reads or writes an entry, and nothing counts as use.

use super::Supervisor;
use super::error::ReadError;
use super::recovery;
use super::shared::Shared;
use crate::id::{Generation, Incarnation, SessionId};
use crate::rt::Arc;
use crate::slot::idle::Stay;
use crate::slot::{Presence, Slot};
use crate::store::{Found, Record, RecordFilter, RecordPage, StoreError};

impl Shared {
    /// `record`, which was just read, or what there is by now if it called a turn open that nobody holds.
    pub(super) async fn fresh(&self, record: Record) -> Result<Found, StoreError> {
        if self.dead(&record).is_empty() {
            Ok(Found::Live(record))
        } else {
            self.cleared(&record).await
        }
    }

    /// What there is by now, after the turns were cleared that `record` calls open and that nobody holds.
    async fn cleared(&self, record: &Record) -> Result<Found, StoreError> {
        if self.dead(record).is_empty() {
            return self.read(record.first_id()).await;
        }
        // The first, under whose flight it would be loaded.
        let id = record.first_id().clone();
        let _flight = self.id_flights.join(&id).await;
        // First who is dead, then what the store says: whoever ended in good order has told it by then.
        let dead = self.dead(record);
        let record = match self.read(&id).await? {
            Found::Live(record) => record,
            over @ (Found::Gone(_) | Found::Unknown) => return Ok(over),
        };
        let slot = self.in_use(&record);
        // It stays while it is asked, unless it has left just now.
        let stay = slot.as_ref().and_then(Stay::take);
        match slot.filter(|slot| stay.is_some() || slot.presence() != Presence::Left) {
            Some(slot) => {
                for marker in record.open.iter().filter(|it| dead.contains(&it.generation)) {
                    slot.clear(marker.generation).get().await.map_err(|error| *error)?;
                }
            }
            None => recovery::settle_one(&self.engine, &record, &mut Vec::new()).await?,
        }
        self.read(&id).await
    }

    /// As [`fresh`](Self::fresh); if the store cannot clear it, `record` as it is. A store that can be read
    /// and not written, such as a full disk, is to be read all the same.
    pub(super) async fn freshest(&self, record: Record) -> Found {
        if record.open.is_empty() {
            return Found::Live(record);
        }
        self.fresh(record.clone()).await.unwrap_or_else(|error| {
            self.engine.counts.store_failed("clear");
            tracing::warn!(session = %record.id, %error, "a turn that nobody holds is not cleared");
            Found::Live(record)
        })
    }

    /// As [`freshest`](Self::freshest); and one whose time is over is ended.
    pub(super) async fn current(self: &Arc<Self>, record: Record) -> Found {
        match self.freshest(record).await {
            Found::Live(record) => self.after_its_time(record).await,
            over @ (Found::Gone(_) | Found::Unknown) => over,
        }
    }

    /// A page of records that match, none of which calls a turn open that nobody holds.
    pub(super) async fn list(
        &self,
        filter: &RecordFilter,
        after: Option<Incarnation>,
        limit: usize,
    ) -> Result<RecordPage, StoreError> {
        let mut page = self.engine.store.list(filter.clone(), after, limit).await?;
        for record in std::mem::take(&mut page.records) {
            let Found::Live(record) = self.freshest(record).await else { continue };
            let record = self.as_it_stands(record);
            if filter.matches(&record) {
                page.records.push(record);
            }
        }
        Ok(page)
    }

    /// The turns that `record` calls open and that nobody holds, for all that the session's state knows.
    fn dead(&self, record: &Record) -> Vec<Generation> {
        if record.open.is_empty() {
            return Vec::new();
        }
        let slot = self.in_use(record);
        let lives = |turn| slot.as_ref().is_some_and(|slot| slot.may_live(turn));
        let open = record.open.iter().map(|marker| marker.generation);
        open.filter(|turn| !lives(*turn)).collect()
    }

    /// The slot that holds the life that `record` is of, if that is loaded.
    fn in_use(&self, record: &Record) -> Option<Arc<Slot>> {
        let slot = self.loaded(record.first_id())?;
        let holds = slot.incarnation == record.incarnation && slot.presence() != Presence::Left;
        holds.then_some(slot)
    }

    /// The metadata of `id`, as the store has it.
    pub(super) async fn read(&self, id: &SessionId) -> Result<Found, StoreError> {
        self.engine.store.look_up(id, self.engine.now().wall).await
    }
}

impl<E> Supervisor<E> {
    /// The metadata of the session `id`, as the store has it: loads nothing, wakes nothing, counts as no
    /// use. A turn that it calls open runs, or its end is on its way to the store; any other is cleared on the
    /// way, unless the store cannot be written. One whose time is over is ended, as by whoever opens it.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was cleared stays cleared.
    pub async fn record(&self, id: &SessionId) -> Result<Found, ReadError> {
        match self.shared.read(id).await {
            Ok(Found::Live(record)) => Ok(self.shared.current(record).await),
            found => found.map_err(|source| self.read_failed(source)),
        }
    }

    /// Clears the turns that `record` calls open and that nobody holds: each is settled as interrupted,
    /// with its input and what was stored of its reply kept. Answers what there is by now.
    ///
    /// Listings and [`record`](Self::record) do it by themselves; this is for whoever has kept a record
    /// for a while. A record that is old harms nothing: a turn that was begun since is not in it, and
    /// one that may be alive is not touched. One that is over and whose end the store has not taken yet is
    /// still called open. Counts as no use.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store failed, also if it could be read and did not clear them.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was cleared stays cleared.
    pub async fn clear_stale(&self, record: &Record) -> Result<Found, ReadError> {
        let found = self.shared.cleared(record).await;
        found.map_err(|source| self.read_failed(source))
    }
}

//! The pass that ends conversations whose time is over and that nobody asks for.
//!
//! The store tells which they may be, lane by lane, so a pass costs what is due and not what is stored; it
//! goes in slices, and lets everybody else in between them. Each session is decided about anew, as by
//! whoever uses it ([`super::expire`]). One that is not loaded is not loaded for it: while the flight of its
//! id is held nobody can use it, and the store refuses to end what was used since it was read. One that
//! cannot be read, or ended, is told in the report and stops nothing.
//!
//! One that is to be deleted when it expires is ended first, and found again among those that are closed: so a
//! crash between the two is nothing that anybody has to know of. Nothing else ends by a clock, so what was
//! archived is kept for as long as it was to be, whatever is set by now.

mod report;

use std::time::Duration;

pub use self::report::{ExpiredSession, PruneReport};

use super::Supervisor;
use super::error::ReadError;
use super::expire::{Decision, delete};
use super::shared::{Located, Shared};
use crate::clock::{Now, Timestamp};
use crate::expiry::ExpiryAction;
use crate::flight::Flight;
use crate::hook::{Candidate, is_asked_about};
use crate::id::{Incarnation, SessionId};
use crate::metrics::Counts;
use crate::room::{LoadError, Need};
use crate::rt::{self, Arc, Weak};
use crate::slot::Slot;
use crate::standing::{ExpiryClock, Standing};
use crate::state::KeptBy;
use crate::store::{Bucket, DueBy, DueQuery, Found, Lane, Record, StoreError, StoreFuture, Write};
use crate::tombstone::GoneReason;

/// How many sessions are read together.
const SLICE: usize = 128;

/// How many are ended together, which is what whoever writes meanwhile waits for.
const BATCH: usize = 6;

impl<E> Supervisor<E> {
    /// Ends the conversations whose time is over, now instead of at the next pass; with `dry_run`, it only
    /// says which. The host's [`PruneHook`](crate::PruneHook) is asked in both cases.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store could not be asked. What fails for one session, or for some of one kind, is in
    /// the report.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the rest for the next pass, but for the few dozen sessions that it is at.
    pub async fn prune(&self, dry_run: bool) -> Result<PruneReport, ReadError> {
        self.shared.prune(dry_run).await.map_err(|source| self.read_failed(source))
    }
}

/// Sessions that are looked at together.
struct Slice {
    /// As they were read.
    records: Vec<Record>,
    /// Those that rest since then or earlier have been looked at before.
    looked_at: Option<Bucket>,
    /// Whether they take no turns any more.
    closed: bool,
    /// Whether they are only looked at.
    dry_run: bool,
}

/// A session that is being ended in the store: nobody can load it meanwhile.
struct Ending<'a> {
    /// As it was read.
    record: &'a Record,
    /// By which clock.
    clock: ExpiryClock,
    /// Keeps it from being loaded.
    _flight: Flight<'a, SessionId>,
    /// Keeps the host from being asked about it again.
    _asking: Option<Flight<'a, Incarnation>>,
    /// The store's answer.
    answer: StoreFuture<Result<(), StoreError>>,
}

impl Shared {
    /// One pass.
    pub(super) async fn prune(self: &Arc<Self>, dry_run: bool) -> Result<PruneReport, StoreError> {
        let started = self.engine.now();
        drop(self.engine.compare_clocks(started));
        let mut report = PruneReport { dry_run, ..PruneReport::default() };
        for lane in self.engine.store.lanes().await? {
            let Lane::Active { class, rules } = &lane else { continue };
            let expiry = self.engine.expiry_of(class, rules.as_ref());
            let now = self.engine.now().wall;
            let rested = expiry.idle_horizon(now).map(Bucket::of);
            if let Some(rested) = rested {
                self.prune_lane(&lane, DueBy::Rested(rested), None, &mut report).await;
            }
            if let Some(created) = expiry.age_horizon(now) {
                self.prune_lane(&lane, DueBy::Created(created), rested, &mut report).await;
            }
        }
        // Now those that were closed, some of them above.
        for lane in self.engine.store.lanes().await? {
            let Lane::Closed { at_once, .. } = &lane else { continue };
            if let Some(horizon) = self.purge_horizon(*at_once) {
                let by = DueBy::Rested(Bucket::of(horizon));
                self.prune_lane(&lane, by, None, &mut report).await;
            }
        }
        report.took = self.engine.now().moment.since(started.moment);
        if !dry_run {
            Counts::pruned(report.took.as_secs_f64());
        }
        tracing::debug!(looked = report.looked, expired = report.expired, deleted = report.deleted,
            kept = report.kept, failed = report.failed, took = ?report.took, dry_run, "a prune pass");
        Ok(report)
    }

    /// When those of a lane have to have been closed to be deleted by now; `None` if they never are. Some are
    /// to be deleted `at_once`: something came between that and their end.
    fn purge_horizon(&self, at_once: bool) -> Option<Timestamp> {
        let (now, kept) = (self.engine.now().wall, self.engine.config.prune.delete_closed_after);
        let after = Some(kept).filter(|kept| !kept.is_zero()).map(|kept| now.minus(kept));
        if at_once { Some(now) } else { after }
    }

    /// The sessions of one lane that may be due, slice by slice, but for those that were `looked_at`. A lane
    /// that cannot be read stops no other.
    async fn prune_lane(
        self: &Arc<Self>,
        lane: &Lane,
        by: DueBy,
        looked_at: Option<Bucket>,
        report: &mut PruneReport,
    ) {
        let (closed, dry_run) = (matches!(lane, Lane::Closed { .. }), report.dry_run);
        let mut after = None;
        loop {
            let query = DueQuery { lane: lane.clone(), by, after };
            let page = match self.engine.store.due(query, SLICE).await {
                Ok(page) => page,
                Err(error) => {
                    self.engine.counts.store_failed("due");
                    report.failed(|| format!("lane {}: {error}", lane.name()));
                    return;
                }
            };
            for damaged in page.damaged {
                let told = format!("{damaged} is damaged");
                // It is in each part of its lane, since nobody can say in which it belongs.
                if !report.failures.contains(&told) {
                    report.failed(|| told);
                }
            }
            for batch in page.records.chunks(BATCH) {
                let slice = Slice { records: batch.to_vec(), looked_at, closed, dry_run };
                report.add(self.prune_slice(slice).await);
                rt::yield_now().await;
            }
            after = page.next;
            if after.is_none() || self.engine.is_draining() {
                return;
            }
        }
    }

    /// Ends those of a slice that are due. In a task of its own: what was handed over is seen through, so that
    /// nobody loads a session that the store is about to end.
    async fn prune_slice(self: &Arc<Self>, slice: Slice) -> PruneReport {
        let shared = self.clone();
        let task = self.engine.spawner.spawn(async move {
            let mut report = PruneReport { dry_run: slice.dry_run, ..PruneReport::default() };
            if slice.closed {
                shared.purge(&slice.records, &mut report).await;
            } else {
                shared.end_those_due(&slice, &mut report).await;
            }
            report
        });
        task.await.unwrap_or_else(|_| {
            let mut report = PruneReport::default();
            report.failed(|| "a slice was cut off by a panic".to_owned());
            report
        })
    }

    /// Ends those of a slice that are due.
    async fn end_those_due(&self, slice: &Slice, report: &mut PruneReport) {
        let now = self.engine.now();
        let mut endings = Vec::new();
        for record in &slice.records {
            let rests = Bucket::of(record.last_active_at);
            if slice.looked_at.is_some_and(|looked_at| rests <= looked_at) {
                continue;
            }
            report.looked += 1;
            let decision = self.decide(record, now);
            if let Some(clock) = decision.is_due() {
                endings.extend(self.prune_one(record, clock, report).await);
            } else if let Decision::Over { kept_by, .. } = decision {
                report.kept(&record.id, kept_by);
            }
            if self.engine.hook.is_some() {
                // The next one may take its time, and nobody is to wait for that with this one.
                self.see_through(std::mem::take(&mut endings), report).await;
            }
        }
        // All of them were handed over: a store that gathers writes has them in one transaction.
        self.see_through(endings, report).await;
    }

    /// Waits for the store's answers.
    async fn see_through(&self, endings: Vec<Ending<'_>>, report: &mut PruneReport) {
        for Ending { record, clock, answer, .. } in endings {
            match answer.await {
                Ok(()) => {
                    self.engine.counts.expired(clock);
                    self.engine.capacity.count_session(false);
                    let (from, to) = ("active", self.closed(record, clock).as_str());
                    tracing::info!(session = %record.id, from, to, reason = %clock, "a session expires");
                    self.rites.forget(record.incarnation);
                    report.expired(record, clock, record.last_active_at);
                }
                // Used, pinned or deleted since it was read.
                Err(StoreError::Fenced { .. }) => report.kept(&record.id, vec![KeptBy::Starting]),
                Err(error) => {
                    self.engine.counts.store_failed("standing");
                    report.failed(|| format!("session {}: {error}", record.id));
                }
            }
        }
    }

    /// Ends one session whose time was over when it was looked at. If it is not loaded, the store's part of it
    /// is handed over and still to be awaited.
    async fn prune_one<'a>(
        &'a self,
        record: &'a Record,
        clock: ExpiryClock,
        report: &mut PruneReport,
    ) -> Option<Ending<'a>> {
        let mut asking = None;
        if self.engine.hook.is_some() {
            asking = Some(self.asking.join(&record.incarnation).await);
            let rites = !report.dry_run;
            if let Some(by) = self.ask_hook(self.candidate(record, clock), rites).await {
                report.kept(&record.id, vec![by]);
                return None;
            }
        }
        if report.dry_run {
            report.expired(record, clock, self.last_use(record));
            let action = self.engine.expiry(record).action;
            report.deleted += usize::from(action == ExpiryAction::Delete);
            return None;
        }
        if let Some(slot) = self.loaded(&record.id) {
            self.prune_loaded(&slot, record, report).await;
            return None;
        }
        let flight = self.id_flights.try_join(record.first_id());
        // Whoever loads it finds out that its time is over.
        let Some(flight) = flight.filter(|_| self.loaded(&record.id).is_none()) else {
            report.kept(&record.id, vec![KeptBy::Starting]);
            return None;
        };
        let write = Write::Standing {
            standing: self.closed(record, clock),
            unused_since: Some(record.last_active_at),
            used_at: None,
        };
        let answer = self.engine.store.write(&record.id, record.incarnation, write);
        Some(Ending { record, clock, _flight: flight, _asking: asking, answer })
    }

    /// How a session stands whose time is over by now.
    fn closed(&self, record: &Record, clock: ExpiryClock) -> Standing {
        self.engine.expiry(record).closed(clock, self.engine.now().wall)
    }

    /// Ends a session that is loaded, if it is still due.
    async fn prune_loaded(&self, slot: &Arc<Slot>, record: &Record, report: &mut PruneReport) {
        // Whoever was told to keep it, or has only looked at it, does not keep it now.
        slot.reconsider();
        match self.close(slot).await {
            Ok(Some((clock, _))) => {
                report.expired(record, clock, slot.last_use(self.engine.now()));
            }
            Ok(None) => {
                let mut kept_by = slot.outlook(self.engine.now()).kept_by;
                if kept_by.is_empty() {
                    kept_by.push(KeptBy::Starting);
                }
                report.kept(&record.id, kept_by);
            }
            Err(error) => report.failed(|| format!("session {}: {error}", record.id)),
        }
    }

    /// When a session was last used that is stored so: where it is loaded, somebody may have been there since.
    fn last_use(&self, record: &Record) -> Timestamp {
        let slot = self.loaded(&record.id).filter(|slot| slot.incarnation == record.incarnation);
        slot.map_or(record.last_active_at, |slot| slot.last_use(self.engine.now()))
    }

    /// What the host is asked about a session that is stored so.
    pub(super) fn candidate(&self, record: &Record, clock: ExpiryClock) -> Candidate {
        Candidate {
            id: record.id.clone(),
            incarnation: record.incarnation,
            key: record.key.clone(),
            class: record.class_name().to_owned(),
            last_active_at: self.last_use(record),
            clock,
        }
    }

    /// What is to become of a session that is stored so, loaded or not.
    pub(super) fn decide(&self, record: &Record, now: Now) -> Decision {
        let slot = self.loaded(&record.id).filter(|slot| slot.incarnation == record.incarnation);
        let Some(slot) = slot else { return self.decide_stored(record, now) };
        let outlook = slot.outlook(now);
        if outlook.standing.is_active() {
            Decision::new(outlook.clocks, outlook.kept_by)
        } else {
            Decision::Inactive(outlook.standing)
        }
    }

    /// Ends the session that is stored so, if its time is over; answers what there is by now. One that cannot
    /// be ended is shown as it is to be.
    pub(super) async fn after_its_time(self: &Arc<Self>, record: Record) -> Found {
        let (now, life) = (self.engine.now(), record.incarnation);
        if self.decide(&record, now).is_due().is_none() || is_asked_about(life) {
            return Found::Live(record);
        }
        let slice = |record: &Record, closed| Slice {
            records: vec![record.clone()],
            looked_at: None,
            closed,
            dry_run: false,
        };
        let mut last = record;
        for closed in [false, true] {
            self.prune_slice(slice(&last, closed)).await;
            match self.read(&last.id).await {
                Ok(Found::Live(record)) if record.incarnation == life => last = record,
                Ok(other) => return other,
                Err(_) => break,
            }
        }
        Found::Live(self.as_it_stands(last))
    }

    /// Deletes those that were closed for long enough.
    async fn purge(&self, records: &[Record], report: &mut PruneReport) {
        for record in records {
            report.looked += 1;
            let Some(reason) = self.is_to_be_deleted(record) else { continue };
            let deleted =
                if report.dry_run { Ok(true) } else { self.purge_one(record, reason).await };
            match deleted {
                Ok(deleted) => report.deleted += usize::from(deleted),
                Err(error) => report.failed(|| format!("session {}: {error}", record.id)),
            }
            rt::yield_now().await;
        }
    }

    /// Why a closed session is to be deleted, if it is.
    fn is_to_be_deleted(&self, record: &Record) -> Option<GoneReason> {
        if let Some((clock, true)) = record.standing.expired() {
            return Some(GoneReason::Expired(clock));
        }
        let (Standing::Archived { at, .. } | Standing::Ended { at, .. }) = record.standing else {
            return None;
        };
        let kept = self.engine.config.prune.delete_closed_after;
        let closed_for = self.engine.closed_for(at);
        (!kept.is_zero() && closed_for >= kept).then_some(GoneReason::Purged)
    }

    /// Deletes a closed session, unless it was restored or pinned since it was read; whether it did.
    async fn purge_one(&self, record: &Record, reason: GoneReason) -> Result<bool, StoreError> {
        // Not `find`, if it is loaded: a delete that has failed is to be tried again.
        let slot = match self.loaded(&record.id) {
            Some(slot) => slot,
            None => match self.find(&record.id, Need::Look).await.map_err(LoadError::into_store)? {
                Located::Live(slot) => slot,
                Located::Gone(_) | Located::Unknown => return Ok(false),
            },
        };
        if slot.incarnation == record.incarnation { delete(&slot, reason).await } else { Ok(false) }
    }
}

/// The first pass at once, then one every `prune.every`, each in a task of its own so that a panic ends one
/// pass and not the clock.
pub(super) async fn run(every: Duration, shared: Weak<Shared>) {
    if every.is_zero() {
        return;
    }
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let spawner = shared.engine.spawner.clone();
        let pass = spawner.spawn(async move {
            if let Err(error) = shared.prune(false).await {
                shared.engine.counts.store_failed("prune");
                tracing::warn!(%error, "a prune pass failed");
            }
        });
        drop(pass.await);
        rt::sleep(every).await;
    }
}

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

mod purge;
mod report;

use std::time::Duration;

pub use self::report::{ExpiredSession, PruneReport};

use super::Supervisor;
use super::error::ReadError;
use super::expire::Decision;
use super::shared::Shared;
use crate::clock::{Now, Timestamp};
use crate::expiry::ExpiryAction;
use crate::flight::Flight;
use crate::hook::{Candidate, is_asked_about};
use crate::id::SessionId;
use crate::metrics::Counts;
use crate::rt::{self, Arc, Weak};
use crate::slot::Slot;
use crate::standing::{ExpiryClock, Standing};
use crate::state::KeptBy;
use crate::store::{Bucket, DueBy, DueQuery, Found, Lane, Record, StoreError, StoreFuture, Write};

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
            let clock = match self.decide(record, now).into_due() {
                Ok(clock) => clock,
                Err(kept_by) => {
                    if !kept_by.is_empty() {
                        report.kept(&record.id, kept_by);
                    }
                    continue;
                }
            };
            if self.engine.hook.is_some() {
                // That may take its time, and nobody is to wait for it with another one.
                self.ask_and_end(record, report).await;
            } else {
                endings.extend(self.prune_one(record, clock, report).await);
            }
        }
        // All of them were handed over: a store that gathers writes has them in one transaction.
        self.see_through(endings, report).await;
    }

    /// Ends one session that was due when it was read, unless the host is against it.
    ///
    /// It is read anew before each of the two questions. The answers about those before it may have taken minutes, in
    /// which it was loaded, used, and left memory again; and so may the first about itself.
    async fn ask_and_end(&self, read: &Record, report: &mut PruneReport) {
        let _asking = self.asking.join(&read.incarnation).await;
        let Some((record, clock)) = self.still_due(read, report).await else { return };
        if let Some(by) = self.ask_hook(self.candidate(&record, clock)).await {
            return report.kept(&record.id, vec![by]);
        }
        if report.dry_run {
            self.prune_one(&record, clock, report).await;
            return;
        }
        let Some((record, clock)) = self.still_due(&record, report).await else { return };
        if let Some(by) = self.last_rites(self.candidate(&record, clock)).await {
            return report.kept(&record.id, vec![by]);
        }
        let ending = self.prune_one(&record, clock, report).await;
        self.see_through(ending.into_iter().collect(), report).await;
    }

    /// A session that was due when it was read, as it is by now, and by which clock it is to be ended, if it still
    /// is.
    async fn still_due(
        &self,
        read: &Record,
        report: &mut PruneReport,
    ) -> Option<(Record, ExpiryClock)> {
        let mut kept_by = Vec::new();
        match self.read(&read.id).await {
            Ok(Found::Live(record)) if record.incarnation == read.incarnation => {
                match self.decide(&record, self.engine.now()).into_due() {
                    Ok(clock) => return Some((record, clock)),
                    Err(by) => kept_by = by,
                }
            }
            Ok(_) => {}
            Err(error) => {
                self.engine.counts.store_failed("look_up");
                report.failed(|| format!("session {}: {error}", read.id));
                return None;
            }
        }
        if kept_by.is_empty() {
            // Used, pinned, ended or deleted meanwhile.
            kept_by.push(KeptBy::Starting);
        }
        report.kept(&read.id, kept_by);
        None
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

    /// Ends one session whose time was over when it was looked at, and of which the host has said what it had to
    /// say. If it is not loaded, the store's part of it is handed over and still to be awaited.
    async fn prune_one<'a>(
        &'a self,
        record: &'a Record,
        clock: ExpiryClock,
        report: &mut PruneReport,
    ) -> Option<Ending<'a>> {
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
        Some(Ending { record, clock, _flight: flight, answer })
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

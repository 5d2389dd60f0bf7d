//! The pass that ends conversations whose time is over and that nobody asks for.
//!
//! The store tells which they may be, lane by lane, so a pass costs what is due and not what is stored; it
//! goes in slices, and lets everybody else in between them. Each session is decided about anew, as by
//! whoever uses it ([`super::expire`]). One that is not loaded is not loaded for it: while the flight of its
//! id is held nobody can use it, and the store refuses to end what was used since it was read. One that
//! cannot be read, or ended, is told in the report and stops nothing.

use std::time::Duration;

use super::Supervisor;
use super::error::ReadError;
use super::expire::{Decision, delete};
use super::shared::{Located, Shared};
use crate::clock::{Now, Timestamp};
use crate::expiry::ExpiryAction;
use crate::flight::Flight;
use crate::hook::Candidate;
use crate::id::SessionId;
use crate::key::SessionKey;
use crate::metrics::Counts;
use crate::rt::{self, Weak};
use crate::standing::{EndReason, ExpiryClock, Standing};
use crate::state::KeptBy;
use crate::store::{
    Bucket, DueBy, DueQuery, FenceReason, Lane, Record, StoreError, StoreFuture, Write,
};
use crate::tombstone::GoneReason;

/// How many sessions are read together.
const SLICE: usize = 128;

/// How many are ended together, which is what whoever writes meanwhile waits for.
const BATCH: usize = 16;

/// How many sessions a report names of each kind; beyond that it only counts.
const MOST_NAMED: usize = 1_000;

/// What a pass did, or would do.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PruneReport {
    /// Whether it only looked.
    pub dry_run: bool,
    /// How many sessions were looked at.
    pub looked: usize,
    /// How many were ended because their time was over.
    pub expired: usize,
    /// Which, up to a thousand.
    pub expired_sessions: Vec<ExpiredSession>,
    /// How many were deleted: because that is what becomes of those that expire, or because they had been
    /// closed for as long as they were to be kept.
    pub deleted: usize,
    /// How many were kept although their time was over.
    pub kept: usize,
    /// Which, and by what, up to a thousand.
    pub kept_sessions: Vec<(SessionId, Vec<KeptBy>)>,
    /// How many could not be ended, or not read.
    pub failed: usize,
    /// Which, and why, up to a thousand.
    pub failures: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// A session whose time was over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpiredSession {
    /// Which.
    pub id: SessionId,
    /// The key under which it was created.
    pub key: Option<SessionKey>,
    /// By which clock.
    pub clock: ExpiryClock,
    /// When it was last used.
    pub last_active_at: Timestamp,
}

impl PruneReport {
    /// Names one of many.
    fn name<T>(names: &mut Vec<T>, name: impl FnOnce() -> T) {
        if names.len() < MOST_NAMED {
            names.push(name());
        }
    }

    /// A session was ended.
    fn expired(&mut self, record: &Record, clock: ExpiryClock) {
        self.expired += 1;
        Self::name(&mut self.expired_sessions, || ExpiredSession {
            id: record.id.clone(),
            key: record.key.clone(),
            clock,
            last_active_at: record.last_active_at,
        });
    }

    /// A session was kept.
    fn kept(&mut self, id: &SessionId, by: Vec<KeptBy>) {
        self.kept += 1;
        Self::name(&mut self.kept_sessions, || (id.clone(), by));
    }

    /// Something failed.
    fn failed(&mut self, what: impl FnOnce() -> String) {
        self.failed += 1;
        Self::name(&mut self.failures, what);
    }
}

impl<E> Supervisor<E> {
    /// Ends the conversations whose time is over, now instead of at the next pass; with `dry_run`, it only
    /// says which. The host's [`PruneHook`](crate::PruneHook) is asked in both cases.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store could not be asked. What fails for one session is in the report.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the rest for the next pass.
    pub async fn prune(&self, dry_run: bool) -> Result<PruneReport, ReadError> {
        self.shared.prune(dry_run).await.map_err(|source| self.read_failed(source))
    }
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
    pub(super) async fn prune(&self, dry_run: bool) -> Result<PruneReport, StoreError> {
        let started = self.engine.now();
        let mut report = PruneReport { dry_run, ..PruneReport::default() };
        for lane in self.engine.store.lanes().await? {
            let Lane::Active { class, rules } = &lane else { continue };
            let expiry = self.engine.expiry_of(class, rules.as_ref());
            let now = self.engine.now().wall;
            let rested = expiry.idle_horizon(now).map(|at| DueBy::Rested(Bucket::of(at)));
            let created = expiry.age_horizon(now).map(DueBy::Created);
            for by in rested.into_iter().chain(created) {
                self.prune_lane(&lane, by, &mut report).await?;
            }
        }
        // Now those that were closed, some of them above.
        for lane in self.engine.store.lanes().await? {
            let Lane::Closed { class } = &lane else { continue };
            if let Some(horizon) = self.purge_horizon(class) {
                self.prune_lane(&lane, DueBy::Rested(Bucket::of(horizon)), &mut report).await?;
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

    /// When those of a class have to have been closed to be deleted by now; `None` if they never are.
    fn purge_horizon(&self, class: &str) -> Option<Timestamp> {
        let (now, kept) = (self.engine.now().wall, self.engine.config.prune.delete_closed_after);
        // One that is to be deleted when it expires, and was only archived before something came between.
        let at_once = self.engine.expiry_of(class, None).action == ExpiryAction::Delete;
        let after = Some(kept).filter(|kept| !kept.is_zero()).map(|kept| now.minus(kept));
        if at_once { Some(now) } else { after }
    }

    /// The sessions of one lane that may be due, slice by slice.
    async fn prune_lane(
        &self,
        lane: &Lane,
        by: DueBy,
        report: &mut PruneReport,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let query = DueQuery { lane: lane.clone(), by, after };
            let page = self.engine.store.due(query, SLICE).await?;
            report.looked += page.records.len();
            for damaged in page.damaged {
                report.failed(|| format!("{damaged} is damaged"));
            }
            match lane {
                Lane::Active { .. } => {
                    for batch in page.records.chunks(BATCH) {
                        self.prune_batch(batch, report).await;
                        rt::yield_now().await;
                    }
                }
                Lane::Closed { .. } => self.purge_slice(&page.records, report).await,
            }
            after = page.next;
            if after.is_none() || self.engine.is_draining() {
                return Ok(());
            }
        }
    }

    /// Ends those of a batch that are due.
    async fn prune_batch(&self, records: &[Record], report: &mut PruneReport) {
        let now = self.engine.now();
        let mut endings = Vec::new();
        for record in records {
            if let Some(ending) = self.prune_one(record, now, report).await {
                endings.push(ending);
            }
        }
        // All of them were handed over: a store that gathers writes has them in one transaction.
        for Ending { record, clock, answer, .. } in endings {
            match answer.await {
                Ok(()) => {
                    self.engine.counts.expired(clock);
                    let (from, to) = ("active", "archived");
                    tracing::info!(session = %record.id, from, to, reason = %clock, "a session expires");
                    report.expired(record, clock);
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

    /// Ends one session if it is due; the store's part of it is handed over and still to be awaited.
    async fn prune_one<'a>(
        &'a self,
        record: &'a Record,
        now: Now,
        report: &mut PruneReport,
    ) -> Option<Ending<'a>> {
        let mut decision = self.decide(record, now);
        let Some(clock) = decision.is_due() else {
            if let Decision::Over { kept_by, .. } = decision {
                report.kept(&record.id, kept_by);
            }
            return None;
        };
        let candidate = candidate(record, clock);
        if let Some(by) = self.ask_hook(candidate.clone()).await {
            decision.keep(by);
            report.kept(&record.id, vec![by]);
            return None;
        }
        if report.dry_run {
            report.expired(record, clock);
            return None;
        }
        if self.loaded(&record.id).is_some() {
            self.prune_loaded(record, clock, report).await;
            return None;
        }
        if !self.last_rites(candidate).await {
            report.kept(&record.id, vec![KeptBy::HookFailed]);
            return None;
        }
        let flight = self.id_flights.try_join(&record.id);
        let Some(flight) = flight.filter(|_| self.loaded(&record.id).is_none()) else {
            report.kept(&record.id, vec![KeptBy::Starting]);
            return None;
        };
        let (reason, at) = (EndReason::Expired(clock), self.engine.now().wall);
        let write = Write::Standing {
            standing: Standing::Archived { reason, at },
            unused_since: Some(record.last_active_at),
            used_at: None,
        };
        let answer = self.engine.store.write(&record.id, record.incarnation, write);
        Some(Ending { record, clock, _flight: flight, answer })
    }

    /// Ends a session that is loaded, if it is still due.
    async fn prune_loaded(&self, record: &Record, clock: ExpiryClock, report: &mut PruneReport) {
        let Some(slot) = self.loaded(&record.id) else { return };
        match self.expire(&slot).await {
            Ok(()) if slot.outlook(self.engine.now()).standing.is_active() => {
                report.kept(&record.id, slot.outlook(self.engine.now()).kept_by);
            }
            Ok(()) => report.expired(record, clock),
            Err(error) => report.failed(|| format!("session {}: {error}", record.id)),
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

    /// Deletes those of a slice that were closed for long enough.
    async fn purge_slice(&self, records: &[Record], report: &mut PruneReport) {
        for record in records {
            let Some(reason) = self.is_to_be_deleted(record) else { continue };
            report.deleted += 1;
            if report.dry_run {
                continue;
            }
            if let Err(error) = self.purge(record, reason).await {
                report.deleted -= 1;
                report.failed(|| format!("session {}: {error}", record.id));
            }
            rt::yield_now().await;
        }
    }

    /// Why a closed session is to be deleted, if it is.
    fn is_to_be_deleted(&self, record: &Record) -> Option<GoneReason> {
        let (Standing::Archived { reason, at } | Standing::Ended { reason, at }) = record.standing
        else {
            return None;
        };
        let kept = self.engine.config.prune.delete_closed_after;
        let closed_for = self.engine.closed_for(at);
        if let EndReason::Expired(clock) = reason
            && self.engine.expiry(record).action == ExpiryAction::Delete
        {
            return Some(GoneReason::Expired(clock));
        }
        (!kept.is_zero() && closed_for >= kept).then_some(GoneReason::Purged)
    }

    /// Deletes a closed session, unless it was restored or pinned since it was read.
    async fn purge(&self, record: &Record, reason: GoneReason) -> Result<(), StoreError> {
        let slot = match self.locate(&record.id).await? {
            Located::Live(slot) if slot.incarnation == record.incarnation => slot,
            Located::Live(_) | Located::Gone(_) | Located::Unknown => return Ok(()),
        };
        let outlook = slot.outlook(self.engine.now());
        if outlook.standing == record.standing && outlook.kept_by.is_empty() {
            delete(&slot, reason).await
        } else {
            Err(StoreError::fenced(FenceReason::UsedSince))
        }
    }
}

/// What the host is asked about a session that is stored so.
pub(super) fn candidate(record: &Record, clock: ExpiryClock) -> Candidate {
    Candidate {
        id: record.id.clone(),
        incarnation: record.incarnation,
        key: record.key.clone(),
        class: record.class_name().to_owned(),
        last_active_at: record.last_active_at,
        clock,
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

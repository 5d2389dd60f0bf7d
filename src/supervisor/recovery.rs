//! What a start finds of an earlier run, and settles.
//!
//! A turn's marker names the run that began it. At a start nothing runs, so every marker is of a
//! turn that will never report: it is settled as interrupted, once, with its input kept. Only the
//! sessions that have one are touched, none is loaded, and none counts as used by it.
//!
//! First the store puts back what was lost from transcripts ([`Store::heal`](crate::Store::heal)), and
//! the run is noted, which tells how the one before it ended. Each session with an open turn is counted
//! before anything else is done with it, so that a start that crashes over it is counted as well.

mod guard;
mod report;

pub use self::report::{LastRun, RecoveryReport, SettledTurn, SuspendedSession, Swept};

use self::guard::Guard;
use super::{actor, resume_sweep};
use crate::capacity::SessionGate;
use crate::engine::Engine;
use crate::id::StreamId;
use crate::rt::Weak;
use crate::slot::{Callers, Slot};
use crate::standing::{Standing, SuspendReason};
use crate::state::{Length, SessionState, Settings};
use crate::store::{
    FenceReason, Forget, HealReport, QuarantineReason, Quarantined, Record, RecordFilter,
    RecordPatch, StoreError, Write,
};

/// How many sessions are looked at together.
const PAGE: usize = 256;

/// How much of each kind of what is kept for a time a start removes. The rest is for the sweeps.
const SWEEP_SLICE: usize = 256;

/// Notes the run, and settles what earlier runs have left open.
pub(super) async fn recover(engine: &Engine) -> Result<RecoveryReport, StoreError> {
    let started = engine.now();
    let found = engine.store.open_run(engine.instance, started.wall).await?;
    let guard = Guard::new(&found.earlier, &engine.config.recovery, started.wall);
    let mut report = RecoveryReport {
        found: found.sessions,
        last_run: LastRun::of(found.earlier.first()),
        restarts: guard.restarts(),
        looping: guard.is_looping(),
        damaged: found.damaged,
        ..RecoveryReport::default()
    };
    heal(engine, &mut report).await?;
    let filter = RecordFilter { replying: Some(true), ..RecordFilter::default() };
    let mut after = None;
    loop {
        let page = engine.store.list(filter.clone(), after, PAGE).await?;
        report.damaged.extend(page.damaged);
        for record in &page.records {
            match settle_found(engine, record, &guard, &mut report).await {
                // Rows that contradict each other are one session's misfortune.
                Err(StoreError::Damaged { what }) => {
                    tracing::warn!(session = %record.id, what, "a turn cannot be settled");
                    let (session, reason) = (Some(record.id.clone()), QuarantineReason::Damaged);
                    report.quarantined.push(Quarantined { session, what, reason });
                }
                settled => settled?,
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    report.swept = sweep(engine).await;
    report.resume_handles_swept = resume_sweep::sweep(engine).await;
    report.took = engine.now().moment.since(started.moment);
    Ok(report)
}

/// Puts back what was lost.
async fn heal(engine: &Engine, report: &mut RecoveryReport) -> Result<(), StoreError> {
    match engine.store.heal().await {
        Ok(HealReport { healed, quarantined }) => {
            (report.healed, report.quarantined) = (healed, quarantined);
        }
        // Nothing is put back then, and whoever needs a row that can be read goes on.
        Err(StoreError::Damaged { what }) => {
            let (session, reason) = (None, QuarantineReason::Damaged);
            report.quarantined.push(Quarantined { session, what, reason });
        }
        Err(error) => return Err(error),
    }
    for healed in &report.healed {
        tracing::warn!(session = %healed.session, entries = healed.entries,
            "a session got back what it had lost");
    }
    for left in &report.quarantined {
        tracing::warn!(session = left.session.as_ref().map(tracing::field::display),
            what = left.what, reason = %left.reason, "something is wrong in the store");
    }
    Ok(())
}

/// Settles the open turns of one session that a start has found, and suspends it if it is to be.
async fn settle_found(
    engine: &Engine,
    record: &Record,
    guard: &Guard<'_>,
    report: &mut RecoveryReport,
) -> Result<(), StoreError> {
    let write = |write| engine.store.write(&record.id, record.incarnation, write);
    let crashes = guard.crashes(record);
    // Handed over ahead of the settling, and not waited for: they share a transaction.
    let counted = (crashes != record.crashes).then(|| {
        let patch = RecordPatch { crashes: Some(crashes), ..RecordPatch::default() };
        write(Write::Patch { patch })
    });
    let before = report.settled.len();
    settle_one(engine, record, &mut report.settled).await?;
    if let Some(counted) = counted {
        counted.await?;
    }
    let suspend = guard.suspends(record, crashes);
    if suspend {
        let (reason, at) = (SuspendReason::CrashLoop, engine.now().wall);
        let standing = Standing::Suspended { reason, at };
        write(Write::Standing { standing, unused_since: None, used_at: None }).await?;
        tracing::warn!(session = %record.id, crashes, from = "active", to = "suspended", %reason,
            "a session is suspended");
        let (session, key) = (record.id.clone(), record.key.clone());
        report.suspended.push(SuspendedSession { session, key, reason, crashes });
    }
    for turn in report.settled.iter_mut().skip(before) {
        turn.resumable = !suspend && guard.offers(record, turn.began_at);
    }
    Ok(())
}

/// Settles the open turns of one session as interrupted, with what is kept of their replies.
pub(super) async fn settle_one(
    engine: &Engine,
    record: &Record,
    settled: &mut Vec<SettledTurn>,
) -> Result<(), StoreError> {
    let said = engine.said(record).await?;
    let settings = Settings {
        at: engine.now(),
        instance: engine.instance,
        partials: engine.config.partials.interrupted,
        max_branches: engine.config.limits.max_branches,
        length: Length::default(),
        expiry: engine.expiry(record),
        ages: engine.ages(record, engine.now()),
    };
    // Nothing begins in it.
    let nobody = Weak::<Slot>::new();
    let gate = SessionGate::new(engine.capacity.clone(), engine.capacity.class(""), nobody);
    let repairs = SessionState::<Callers>::load(record, said, settings, gate).into_repairs();
    for (marker, mut write) in record.open.iter().zip(repairs) {
        engine.encode_partial(&mut write);
        match engine.store.write(&record.id, record.incarnation, write).await {
            Ok(()) => {}
            // It is not open any more: what a start that was dropped had handed over came through.
            Err(StoreError::Fenced {
                reason: FenceReason::TurnNotOpen | FenceReason::NoSuchLife,
            }) => {
                continue;
            }
            Err(error) => return Err(error),
        }
        let stream = StreamId::new(record.incarnation, marker.generation);
        tracing::info!(session = %record.id, %stream, from = "running", to = "interrupted",
            "a turn of an earlier run is settled");
        settled.push(SettledTurn {
            session: record.id.clone(),
            key: record.key.clone(),
            stream,
            instance: marker.instance,
            began_at: marker.began_at,
            resumable: false,
        });
    }
    Ok(())
}

/// Removes some of what is kept for a time and whose time is over. What a store that fails does not remove is
/// swept later.
async fn sweep(engine: &Engine) -> Swept {
    let mut swept = Swept::default();
    for what in actor::over(engine) {
        match engine.store.forget(what, SWEEP_SLICE).await {
            Ok(count) => match what {
                Forget::Tombstones(_) => swept.tombstones += count,
                Forget::Requests(_) => swept.requests += count,
                Forget::Revisions(_) => swept.revisions += count,
                // They are swept apart.
                Forget::ResumeHandles(_) | Forget::RefusedHandles(_) => {}
            },
            Err(error) => {
                engine.counts.store_failed(what.name());
                tracing::warn!(what = what.name(), %error, "a sweep failed");
            }
        }
    }
    swept
}

//! What a start finds of an earlier run, and settles.
//!
//! A turn's marker names the run that began it. At a start nothing runs, so every marker is of a
//! turn that will never report: it is settled as interrupted, once, with its input kept. Only the
//! sessions that have one are touched, none is loaded, and none counts as used by it.

use std::time::Duration;

use super::resume_sweep;
use crate::capacity::SessionGate;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::id::{InstanceId, SessionId, StreamId};
use crate::key::SessionKey;
use crate::rt::Weak;
use crate::slot::{Callers, Slot};
use crate::state::{Length, SessionState, Settings};
use crate::store::{FenceReason, Record, RecordFilter, StoreError};

/// How many sessions are looked at together.
const PAGE: usize = 256;

/// What a start found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The turns that an earlier run had left open.
    pub settled: Vec<SettledTurn>,
    /// How many handles of outside services had expired and were dropped; see
    /// [`ResumeConfig::max_age`](crate::ResumeConfig::max_age).
    pub resume_handles_swept: usize,
    /// Rows that could not be read, each told by table and id. They were left as they are.
    pub damaged: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// A turn that was running when an earlier run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettledTurn {
    /// Its session.
    pub session: SessionId,
    /// The key of that session.
    pub key: Option<SessionKey>,
    /// Its stream.
    pub stream: StreamId,
    /// The run that had begun it.
    pub instance: InstanceId,
    /// When it was begun.
    pub began_at: Timestamp,
}

/// Settles what earlier runs have left open.
pub(super) async fn settle(engine: &Engine) -> Result<RecoveryReport, StoreError> {
    let started = engine.now();
    let mut report = RecoveryReport::default();
    let filter = RecordFilter { replying: Some(true), ..RecordFilter::default() };
    let mut after = None;
    loop {
        let page = engine.store.list(filter.clone(), after, PAGE).await?;
        report.damaged.extend(page.damaged);
        for record in &page.records {
            settle_one(engine, record, &mut report.settled).await?;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    report.resume_handles_swept = resume_sweep::sweep(engine).await;
    report.took = engine.now().moment.since(started.moment);
    Ok(report)
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
        });
    }
    Ok(())
}

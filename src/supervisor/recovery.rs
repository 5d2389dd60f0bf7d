//! What a start finds of an earlier run, and settles.
//!
//! A turn's marker names the run that began it. At a start nothing runs, so every marker is of a
//! turn that will never report: it is settled as interrupted, once, with its input kept. Only the
//! sessions that have one are touched, none is loaded, and none counts as used by it.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::id::{InstanceId, SessionId, StreamId};
use crate::key::SessionKey;
use crate::outcome::TurnOutcome;
use crate::store::{
    FenceReason, InputFate, PartialFate, Record, RecordFilter, StoreError, TurnMarker, Write,
};

/// How many sessions are looked at together.
const PAGE: usize = 256;

/// What a start found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The turns that an earlier run had left open.
    pub settled: Vec<SettledTurn>,
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
            for marker in &record.open {
                if !settle_one(engine, record, marker).await? {
                    continue;
                }
                report.settled.push(SettledTurn {
                    session: record.id.clone(),
                    key: record.key.clone(),
                    stream: StreamId::new(record.incarnation, marker.generation),
                    instance: marker.instance,
                    began_at: marker.began_at,
                });
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    report.took = engine.now().moment.since(started.moment);
    Ok(report)
}

/// Settles one turn as interrupted; `false` if it is not open any more: what a start that was dropped
/// had handed over came through meanwhile.
async fn settle_one(
    engine: &Engine,
    record: &Record,
    marker: &TurnMarker,
) -> Result<bool, StoreError> {
    let stream = StreamId::new(record.incarnation, marker.generation);
    let write = Write::Settle {
        generation: marker.generation,
        outcome: TurnOutcome::Interrupted,
        input: InputFate::Keep,
        partial: PartialFate::Keep { last: None },
        next_seq: record.next_seq,
        version: record.version,
        at: engine.now().wall,
    };
    match engine.store.write(&record.id, record.incarnation, write).await {
        Ok(()) => {}
        Err(StoreError::Fenced { reason: FenceReason::TurnNotOpen | FenceReason::NoSuchLife }) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    tracing::info!(session = %record.id, %stream, from = "running", to = "interrupted",
        "a turn of an earlier run is settled");
    Ok(true)
}

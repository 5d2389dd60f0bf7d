//! The rows of runs of the process in `runs`.
//!
//! All of them fit into one page, so that noting a run needs no room that a full file does not have.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::failure::Setback;
use super::row::{self, Table, number};
use crate::clock::Timestamp;
use crate::id::InstanceId;
use crate::store::{CleanStop, DrainCounts, FenceReason, KEPT_RUNS, RunRecord, RunsFound};

/// Notes a run as the newest, and drops the oldest of too many.
pub(super) fn open(
    connection: &Connection,
    instance: InstanceId,
    started_at: Timestamp,
) -> Result<RunsFound, Setback> {
    let mut found = RunsFound::default();
    let mut select = connection.prepare(
        "SELECT number, instance, started_at, stopped_at, finished, cancelled, aborted, fenced, crc \
         FROM runs ORDER BY number DESC",
    )?;
    let mut rows = select.query([])?;
    let (mut newest, mut kept_from) = (None, None);
    while found.earlier.len() < KEPT_RUNS - 1 {
        let Some(row) = rows.next()? else { break };
        let number: i64 = row.get(0)?;
        newest = newest.or(Some(number));
        kept_from = Some(number);
        found.earlier.push(read(row).unwrap_or_else(|| {
            found.damaged.push(format!("`runs` row {number}"));
            salvage(row)
        }));
    }
    drop(rows);
    let kept_from = kept_from.unwrap_or(0);
    connection.prepare("DELETE FROM runs WHERE number < ?1")?.execute([kept_from])?;
    let next = newest.map_or(1, |newest| newest.saturating_add(1));
    write(connection, next, &RunRecord { instance, started_at, stop: None })?;
    // Over the smallest of its indexes, cell by cell, without a look at the rows.
    found.sessions = connection
        .query_row("SELECT count(*) FROM sessions", [], |row| row.get::<_, i64>(0))?
        .cast_unsigned();
    Ok(found)
}

/// Marks the newest run, if it is that of `instance`. A damaged row is nobody's.
pub(super) fn close(
    connection: &Connection,
    instance: InstanceId,
    stop: CleanStop,
) -> Result<(), Setback> {
    let mut select = connection.prepare(
        "SELECT number, instance, started_at, stopped_at, finished, cancelled, aborted, fenced, crc \
         FROM runs ORDER BY number DESC LIMIT 1",
    )?;
    let newest = select.query_row([], |row| Ok((row.get::<_, i64>(0)?, read(row)))).optional()?;
    match newest {
        Some((number, Some(run))) if run.instance == instance => {
            Ok(write(connection, number, &RunRecord { stop: Some(stop), ..run })?)
        }
        Some(_) | None => Err(Setback::fenced(FenceReason::RunOver)),
    }
}

/// Writes a row, in the place of the one with its number.
fn write(connection: &Connection, place: i64, run: &RunRecord) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT OR REPLACE INTO runs (number, instance, started_at, stopped_at, finished, cancelled, \
         aborted, fenced, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let turns = run.stop.map_or_else(DrainCounts::default, |stop| stop.turns);
    let columns = [
        ValueRef::Integer(place),
        ValueRef::Blob(&run.instance.as_bits().to_be_bytes()),
        number(run.started_at.as_millis()),
        run.stop.map_or(ValueRef::Null, |stop| number(stop.at.as_millis())),
        number(turns.finished),
        number(turns.cancelled),
        number(turns.aborted),
        number(turns.fenced),
    ];
    insert.execute(row::seal(Table::Runs, columns)).map(drop)
}

/// The run in `row`; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>) -> Option<RunRecord> {
    row::read(Table::Runs, row, |row| {
        let turns = DrainCounts {
            finished: row::get_number(row, 4)?,
            cancelled: row::get_number(row, 5)?,
            aborted: row::get_number(row, 6)?,
            fenced: row::get_number(row, 7)?,
        };
        let at = row::get_optional_number(row, 3)?.map(Timestamp::from_millis);
        let stop = at.map(|at| CleanStop { at, turns });
        let started_at = Timestamp::from_millis(row::get_number(row, 2)?);
        Some(RunRecord { instance: instance(row)?, started_at, stop })
    })
}

/// What can still be read of a damaged row. That it was marked cannot be believed.
fn salvage(row: &Row<'_>) -> RunRecord {
    RunRecord {
        instance: instance(row).unwrap_or(InstanceId::from_random(0)),
        started_at: Timestamp::from_millis(row::get_number(row, 2).unwrap_or_default()),
        stop: None,
    }
}

/// The instance in a row.
fn instance(row: &Row<'_>) -> Option<InstanceId> {
    let bits = row::get_blob(row, 1)?.try_into().ok()?;
    Some(InstanceId::from_random(u128::from_be_bytes(bits)))
}

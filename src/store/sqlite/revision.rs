//! The rows of what was taken out of transcripts in `revisions`.
//!
//! Entries are not moved or copied: a row is an interval of numbers, up to the last that was given at
//! the time. What lies in one is not in the transcript. Intervals may overlap, since a later one may
//! begin earlier; an entry belongs to the first that covered it, and goes when that one is forgotten, or
//! comes back, at the end, when that one is put back.
//!
//! How many there are stands in the row of their life as well. A row that a damaged page hides would put what
//! it has taken out back into the transcript, and nobody would know.

use rusqlite::{Connection, Row};

use super::failure::Setback;
use super::life::Life;
use super::range::Range;
use super::row::{self, Table, number, text};
use super::{entry, partial};
use crate::clock::Timestamp;
use crate::id::Incarnation;
use crate::store::{Revision, RevisionReason, StoreError};

/// A row: what was taken out at once.
#[derive(Clone, Debug)]
pub(super) struct Interval {
    /// The revision's number.
    pub(super) version: u64,
    /// Which entries.
    pub(super) range: Range,
    /// When.
    pub(super) at: Timestamp,
    /// Why.
    pub(super) reason: RevisionReason,
}

/// Writes a row for what is taken out of the life `incarnation`.
pub(super) fn insert(
    connection: &Connection,
    incarnation: Incarnation,
    interval: &Interval,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO revisions (incarnation, version, from_seq, to_seq, at, reason, crc) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let reason = interval.reason.to_text();
    let columns = [
        number(incarnation.get()),
        number(interval.version),
        number(interval.range.from),
        number(interval.range.to),
        number(interval.at.as_millis()),
        text(&reason),
    ];
    insert.execute(row::seal(Table::Revisions, columns)).map(drop)
}

/// What was taken out of a life that counts `counted` removals, oldest first. Refused if a row is damaged or
/// missing: which entries are in the transcript is not known then. `None` for a life whose own row is damaged:
/// what can still be read of it is.
pub(super) fn of_life(
    connection: &Connection,
    incarnation: Incarnation,
    counted: Option<u64>,
) -> Result<Vec<Interval>, Setback> {
    if counted == Some(0) {
        return Ok(Vec::new());
    }
    let intervals = rows(connection, incarnation)?;
    if counted.is_none_or(|counted| counted == intervals.len() as u64) {
        Ok(intervals)
    } else {
        let life = format_args!("of life {}", incarnation.get());
        Err(Setback::Refused(Table::Revisions.damaged(life)))
    }
}

/// The rows of a life, oldest first, whatever it counts. Refused if one is damaged.
fn rows(connection: &Connection, incarnation: Incarnation) -> Result<Vec<Interval>, Setback> {
    let mut select = connection.prepare_cached(
        "SELECT incarnation, version, from_seq, to_seq, at, reason, crc FROM revisions \
         WHERE incarnation = ?1 ORDER BY version",
    )?;
    let mut rows = select.query([incarnation.get().cast_signed()])?;
    let mut intervals = Vec::new();
    let key = [number(incarnation.get())];
    while let Some(row) = rows.next()? {
        let interval = row::asked_for(row, &key, read(row))?;
        intervals.push(interval.ok_or_else(|| Setback::Refused(damaged(incarnation, row)))?);
    }
    Ok(intervals)
}

/// What was taken out of a life, with its entries, oldest first.
pub(super) fn list(
    connection: &Connection,
    incarnation: Incarnation,
    counted: Option<u64>,
) -> Result<Vec<Revision>, Setback> {
    let intervals = of_life(connection, incarnation, counted)?;
    let revisions = intervals.iter().map(|interval| {
        let own = own(interval, &intervals);
        let entries = entry::list(connection, incarnation, &own, usize::MAX)?;
        let reason = interval.reason.clone();
        Ok(Revision { version: interval.version, at: interval.at, reason, entries })
    });
    revisions.collect()
}

/// Removes up to `limit` revisions that were made at or before `at`, oldest first, with their entries
/// and with what the turns of these have said; says how many. Those of a life of which a row is
/// damaged stay.
pub(super) fn forget(
    connection: &Connection,
    at: Timestamp,
    limit: usize,
) -> Result<usize, Setback> {
    let due = due(connection, at, limit)?;
    for (incarnation, version) in &due {
        if let Some(Some(mut life)) = Life::find(connection, *incarnation)? {
            forget_one(connection, &mut life, *version)?;
            life.update(connection)?;
        } else {
            // The life is over.
            let intervals = rows(connection, *incarnation)?;
            remove_whole(connection, *incarnation, *version, &intervals)?;
        }
    }
    Ok(due.len())
}

/// Removes a revision, if it is there, with its entries and with what the turns of these have said. The row of
/// the life is still to be written.
pub(super) fn forget_one(
    connection: &Connection,
    life: &mut Life,
    version: u64,
) -> Result<(), Setback> {
    let intervals = of_life(connection, life.incarnation, Some(life.traits()?.revisions))?;
    if remove_whole(connection, life.incarnation, version, &intervals)? {
        life.count_revisions(intervals.len() as u64 - 1)?;
    }
    Ok(())
}

/// Removes one of `intervals`, which are all of a life, with its entries and with what the turns of these have
/// said; whether it is one of them.
fn remove_whole(
    connection: &Connection,
    incarnation: Incarnation,
    version: u64,
    intervals: &[Interval],
) -> Result<bool, Setback> {
    let Some(interval) = intervals.iter().find(|it| it.version == version) else {
        return Ok(false);
    };
    for range in own(interval, intervals) {
        partial::remove_all(connection, incarnation, range)?;
        entry::remove_all(connection, incarnation, range)?;
    }
    remove(connection, incarnation, version)?;
    Ok(true)
}

/// Removes the row of a revision, and nothing that it covers.
pub(super) fn remove(
    connection: &Connection,
    incarnation: Incarnation,
    version: u64,
) -> rusqlite::Result<()> {
    let mut delete = connection
        .prepare_cached("DELETE FROM revisions WHERE incarnation = ?1 AND version = ?2")?;
    delete.execute([incarnation.get().cast_signed(), version.cast_signed()]).map(drop)
}

/// The revisions that [`forget`] removes.
fn due(
    connection: &Connection,
    at: Timestamp,
    limit: usize,
) -> Result<Vec<(Incarnation, u64)>, Setback> {
    let mut select = connection.prepare_cached(
        // A time with its highest bit set is stored as a negative number, and is not over.
        "SELECT incarnation, version, from_seq, to_seq, at, reason, crc FROM revisions \
         WHERE at BETWEEN 0 AND ?1 ORDER BY at, incarnation, version",
    )?;
    let mut rows = select.query([i64::try_from(at.as_millis()).unwrap_or(i64::MAX)])?;
    let mut due = Vec::new();
    while due.len() < limit {
        let Some(row) = rows.next()? else { break };
        let incarnation = row::get_number(row, 0).map(Incarnation::new);
        let (Some(incarnation), Some(interval)) = (incarnation, read(row)) else { continue };
        match is_whole(connection, incarnation) {
            Ok(true) => due.push((incarnation, interval.version)),
            Ok(false) | Err(Setback::Refused(_)) => {}
            Err(error @ Setback::Sql(_)) => return Err(error),
        }
    }
    Ok(due)
}

/// Whether the removals of a life can be told apart: its row and theirs can be read, and none is missing. So can
/// those of one that is over.
fn is_whole(connection: &Connection, incarnation: Incarnation) -> Result<bool, Setback> {
    let counted = match Life::find(connection, incarnation)? {
        Some(Some(life)) => Some(life.traits()?.revisions),
        Some(None) => return Ok(false),
        None => None,
    };
    let intervals = of_life(connection, incarnation, counted)?;
    Ok(!intervals.is_empty())
}

/// What of an interval no older one had covered. Versions grow with each.
pub(super) fn own(interval: &Interval, intervals: &[Interval]) -> Vec<Range> {
    let older = intervals.iter().filter(|other| other.version < interval.version);
    interval.range.without(older.map(|older| older.range))
}

/// The interval in `row`; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>) -> Option<Interval> {
    row::read(Table::Revisions, row, |row| {
        Some(Interval {
            version: row::get_number(row, 1)?,
            range: Range { from: row::get_number(row, 2)?, to: row::get_number(row, 3)? },
            at: Timestamp::from_millis(row::get_number(row, 4)?),
            reason: RevisionReason::parse(row::get_text(row, 5)?)?,
        })
    })
}

/// The error for a damaged row.
pub(super) fn damaged(incarnation: Incarnation, row: &Row<'_>) -> StoreError {
    let version = row::get_number(row, 1).unwrap_or_default();
    Table::Revisions.damaged(format_args!("{version} of life {}", incarnation.get()))
}

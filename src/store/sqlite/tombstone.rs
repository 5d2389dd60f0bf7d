//! The rows of deleted ids in `tombstones`.

use rusqlite::{Connection, Row};

use super::failure::Setback;
use super::row::{self, Table, number, text};
use crate::clock::Timestamp;
use crate::id::{Incarnation, SessionId};
use crate::tombstone::{GoneReason, Tombstone};

/// Writes the tombstone of `id`.
pub(super) fn insert(
    connection: &Connection,
    id: &str,
    tombstone: &Tombstone,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO tombstones (id, incarnation, reason, at, until, crc) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let columns = [
        text(id),
        number(tombstone.incarnation.get()),
        text(tombstone.reason.as_str()),
        number(tombstone.at.as_millis()),
        number(tombstone.until.as_millis()),
    ];
    insert.execute(row::seal(Table::Tombstones, columns)).map(drop)
}

/// The tombstone of `id`, whether it still stands or not; refused if its row is damaged.
pub(super) fn find(connection: &Connection, id: &SessionId) -> Result<Option<Tombstone>, Setback> {
    let mut select = connection.prepare_cached(
        "SELECT id, incarnation, reason, at, until, crc FROM tombstones WHERE id = ?1",
    )?;
    let asked = id.to_string();
    let mut rows = select.query([&asked])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    match row::asked_for(row, &[text(&asked)], read(row))? {
        Some(tombstone) => Ok(Some(tombstone)),
        None => Err(Setback::Refused(Table::Tombstones.damaged(id))),
    }
}

/// Removes the tombstone of `id`.
pub(super) fn remove(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM tombstones WHERE id = ?1")?.execute([id]).map(drop)
}

/// Removes up to `limit` tombstones that no longer stand at `now`, oldest first; says how many. A
/// damaged one stays.
pub(super) fn forget(
    connection: &Connection,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let mut select = connection.prepare_cached(
        // A time with its highest bit set is stored as a negative number, and is not over.
        "SELECT id, incarnation, reason, at, until, crc FROM tombstones \
         WHERE until BETWEEN 0 AND ?1 ORDER BY until",
    )?;
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let mut over = Vec::new();
    let mut rows = select.query([now])?;
    while over.len() < limit {
        let Some(row) = rows.next()? else { break };
        if read(row).is_some() {
            over.extend(row::get_text(row, 0).map(str::to_owned));
        }
    }
    drop(rows);
    for id in &over {
        remove(connection, id)?;
    }
    Ok(over.len())
}

/// The tombstone in `row`; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>) -> Option<Tombstone> {
    row::read(Table::Tombstones, row, |row| {
        Some(Tombstone {
            incarnation: Incarnation::new(row::get_number(row, 1)?),
            reason: GoneReason::from_name(row::get_text(row, 2)?)?,
            at: Timestamp::from_millis(row::get_number(row, 3)?),
            until: Timestamp::from_millis(row::get_number(row, 4)?),
        })
    })
}

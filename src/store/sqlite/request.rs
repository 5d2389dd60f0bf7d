//! The rows of begins that were asked for under a name in `requests`.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row::{self, Table, number, text};
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation};
use crate::store::{Request, RequestRecord};

/// Writes what came of a request, in the place of an earlier one under the same name. A damaged one is
/// replaced whole, which repairs it.
pub(super) fn put(
    connection: &Connection,
    incarnation: Incarnation,
    request: &Request,
    generation: Generation,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO requests (incarnation, key, generation, digest, at, crc) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let columns = [
        number(incarnation.get()),
        text(&request.key),
        number(generation.get()),
        ValueRef::Blob(&request.digest.to_be_bytes()),
        number(at.as_millis()),
    ];
    insert.execute(row::seal(Table::Requests, columns)).map(drop)
}

/// What came of the request `key`, if it is known; the inner `None` is a damaged row.
#[expect(clippy::option_option, reason = "missing and damaged are two answers")]
pub(super) fn find(
    connection: &Connection,
    incarnation: Incarnation,
    key: &str,
) -> rusqlite::Result<Option<Option<RequestRecord>>> {
    let mut select = connection.prepare_cached(
        "SELECT incarnation, key, generation, digest, at, crc FROM requests \
         WHERE incarnation = ?1 AND key = ?2",
    )?;
    let asked = params![incarnation.get().cast_signed(), key];
    let key = [number(incarnation.get()), text(key)];
    select.query_row(asked, |row| row::asked_for(row, &key, read(row))).optional()
}

/// Removes up to `limit` requests that were made at or before `at`, oldest first; says how many. A
/// damaged one stays.
pub(super) fn forget(
    connection: &Connection,
    at: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let mut select = connection.prepare_cached(
        // A time with its highest bit set is stored as a negative number, and is not over.
        "SELECT incarnation, key, generation, digest, at, crc FROM requests \
         WHERE at BETWEEN 0 AND ?1 ORDER BY at, incarnation, rowid",
    )?;
    let mut over = Vec::new();
    let mut rows = select.query([i64::try_from(at.as_millis()).unwrap_or(i64::MAX)])?;
    while over.len() < limit {
        let Some(row) = rows.next()? else { break };
        if read(row).is_some()
            && let (Some(life), Some(key)) = (row::get_number(row, 0), row::get_text(row, 1))
        {
            over.push((life.cast_signed(), key.to_owned()));
        }
    }
    drop(rows);
    let mut delete =
        connection.prepare_cached("DELETE FROM requests WHERE incarnation = ?1 AND key = ?2")?;
    for (life, key) in &over {
        delete.execute(params![life, key])?;
    }
    Ok(over.len())
}

/// What came of the request in `row`; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>) -> Option<RequestRecord> {
    row::read(Table::Requests, row, |row| {
        Some(RequestRecord {
            generation: Generation::new(row::get_number(row, 2)?),
            digest: u128::from_be_bytes(row::get_blob(row, 3)?.try_into().ok()?),
        })
    })
}

//! The rows of a session's data in `data`.

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row::{self, Table, number, text};
use crate::id::Incarnation;
use crate::store::DataChange;

/// Makes changes, in order.
pub(super) fn change(
    connection: &Connection,
    incarnation: Incarnation,
    changes: &[DataChange],
) -> rusqlite::Result<()> {
    for DataChange { name, value } in changes {
        match value {
            Some(value) => put(connection, incarnation, name, value)?,
            None => remove(connection, incarnation, name)?,
        }
    }
    Ok(())
}

/// Writes the datum `name`, or replaces it. A damaged one is replaced whole, which repairs it.
pub(super) fn put(
    connection: &Connection,
    incarnation: Incarnation,
    name: &str,
    value: &[u8],
) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO data (incarnation, name, value, crc) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (incarnation, name) DO UPDATE SET value = excluded.value, crc = excluded.crc",
    )?;
    let columns = [number(incarnation.get()), text(name), ValueRef::Blob(value)];
    upsert.execute(row::seal(Table::Data, columns)).map(drop)
}

/// Removes the datum `name`, if it is there.
fn remove(connection: &Connection, incarnation: Incarnation, name: &str) -> rusqlite::Result<()> {
    let mut delete =
        connection.prepare_cached("DELETE FROM data WHERE incarnation = ?1 AND name = ?2")?;
    delete.execute(params![incarnation.get().cast_signed(), name]).map(drop)
}

/// The datum `name`, if it is there; the inner `None` is a damaged row.
#[expect(clippy::option_option, reason = "missing and damaged are two answers")]
pub(super) fn find(
    connection: &Connection,
    incarnation: Incarnation,
    name: &str,
) -> rusqlite::Result<Option<Option<Bytes>>> {
    let mut select = connection.prepare_cached(
        "SELECT incarnation, name, value, crc FROM data WHERE incarnation = ?1 AND name = ?2",
    )?;
    let key = [number(incarnation.get()), text(name)];
    let asked = params![incarnation.get().cast_signed(), name];
    select.query_row(asked, |row| row::asked_for(row, &key, read(row))).optional()
}

/// The datum in `row`; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>) -> Option<Bytes> {
    row::read(Table::Data, row, |row| row::get_blob(row, 2).map(Bytes::copy_from_slice))
}

//! The rows of bound keys in `bindings`.

use rusqlite::{Connection, Row};

use super::failure::Setback;
use super::row::{self, Table, number, text};
use crate::id::{Incarnation, SessionId};
use crate::key::SessionKey;

/// Binds `key` to a life of `id`, whatever it was bound to.
pub(super) fn put(
    connection: &Connection,
    key: &SessionKey,
    id: &SessionId,
    incarnation: Incarnation,
) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT OR REPLACE INTO bindings (key, id, incarnation, crc) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let id = id.to_string();
    let columns = [text(key.as_str()), text(&id), number(incarnation.get())];
    upsert.execute(row::seal(Table::Bindings, columns)).map(drop)
}

/// What `key` is bound to; refused if its row is damaged.
pub(super) fn find(
    connection: &Connection,
    key: &SessionKey,
) -> Result<Option<SessionId>, Setback> {
    let mut select = connection
        .prepare_cached("SELECT key, id, incarnation, crc FROM bindings WHERE key = ?1")?;
    let mut rows = select.query([key.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    match read(row) {
        Some(id) => Ok(Some(id)),
        None => Err(Setback::Refused(Table::Bindings.damaged(key))),
    }
}

/// Unbinds every key that points to the life `incarnation`.
pub(super) fn remove_all(
    connection: &Connection,
    incarnation: Incarnation,
) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM bindings WHERE incarnation = ?1")?;
    delete.execute([incarnation.get().cast_signed()]).map(drop)
}

/// The id in `row`; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>) -> Option<SessionId> {
    row::read(Table::Bindings, row, |row| SessionId::new(row::get_text(row, 1)?).ok())
}

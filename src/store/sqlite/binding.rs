//! The rows of bound keys in `bindings`.

use rusqlite::{Connection, Row};

use super::failure::Setback;
use super::life::Life;
use super::row::{self, Table, number, text};
use crate::id::{Incarnation, SessionId};
use crate::key::SessionKey;
use crate::store::{Binding, Bound, FenceReason, StoreError};

/// Binds `key` to a life that was created as `id`, whatever it was bound to.
pub(super) fn put(
    connection: &Connection,
    key: &SessionKey,
    id: &str,
    incarnation: Incarnation,
) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT OR REPLACE INTO bindings (key, id, incarnation, crc) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let columns = [text(key.as_str()), text(id), number(incarnation.get())];
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
    match row::asked_for(row, &[text(key.as_str())], read(row))? {
        Some(id) => Ok(Some(id)),
        None => Err(Setback::Refused(Table::Bindings.damaged(key))),
    }
}

/// [`Store::bind`](crate::store::Store::bind).
pub(super) fn change(
    connection: &Connection,
    binding: &Binding,
    to: Option<&(SessionId, Incarnation)>,
) -> Result<Bound, Setback> {
    let bound_to = find(connection, &binding.key)?;
    if bound_to != binding.expected {
        return Ok(Bound::KeyMoved { bound_to });
    }
    let Some((id, incarnation)) = to else {
        remove(connection, &binding.key)?;
        return Ok(Bound::Bound);
    };
    let life = match Life::load(connection, id, *incarnation) {
        Err(Setback::Refused(StoreError::Fenced { reason: FenceReason::NoSuchLife })) => {
            return Ok(Bound::NoSuchLife);
        }
        life => life?,
    };
    let standing = life.traits()?.standing;
    if !standing.is_routable() {
        return Ok(Bound::Unroutable { standing });
    }
    put(connection, &binding.key, &life.id, *incarnation)?;
    Ok(Bound::Bound)
}

/// Every key that points to the life `incarnation`, in the order of their text; refused if a row of
/// them is damaged.
pub(super) fn of_life(
    connection: &Connection,
    incarnation: Incarnation,
) -> Result<Vec<SessionKey>, Setback> {
    let mut select = connection.prepare_cached(
        "SELECT key, id, incarnation, crc FROM bindings WHERE incarnation = ?1 ORDER BY key",
    )?;
    let mut rows = select.query([incarnation.get().cast_signed()])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let key = row::read(Table::Bindings, row, |row| row::get_text(row, 0)?.parse().ok());
        if key.is_some() && row::get_number(row, 2) != Some(incarnation.get()) {
            return Err(row::misled().into());
        }
        let which = || row::get_text(row, 0).unwrap_or("of an unreadable key").to_owned();
        keys.push(key.ok_or_else(|| Setback::Refused(Table::Bindings.damaged(which())))?);
    }
    Ok(keys)
}

/// Unbinds `key`.
fn remove(connection: &Connection, key: &SessionKey) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM bindings WHERE key = ?1")?;
    delete.execute([key.as_str()]).map(drop)
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

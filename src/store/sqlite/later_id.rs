//! The rows of ids that lives were given after their first, in `later_ids`.

use rusqlite::{Connection, Row};

use super::failure::Setback;
use super::life::Life;
use super::row::{self, Table, number, text};
use super::tombstone;
use crate::clock::Timestamp;
use crate::id::{Incarnation, SessionId};
use crate::store::{FenceReason, Record};

/// The life that was given `id` after its first; refused if the row is damaged.
pub(super) fn find(
    connection: &Connection,
    id: &SessionId,
) -> Result<Option<Incarnation>, Setback> {
    let mut select = connection
        .prepare_cached("SELECT id, incarnation, place, crc FROM later_ids WHERE id = ?1")?;
    let asked = id.to_string();
    let mut rows = select.query([&asked])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    match row::asked_for(row, &[text(&asked)], read(row))? {
        Some((_, incarnation)) => Ok(Some(incarnation)),
        None => Err(Setback::Refused(Table::LaterIds.damaged(id))),
    }
}

/// The record of a life, with its later ids; refused if a row of them is damaged or missing, or its own is
/// damaged.
pub(super) fn complete(connection: &Connection, life: Life) -> Result<Record, Setback> {
    let (id, rotations) = (life.id.clone(), life.traits()?.rotations);
    let damaged = || Setback::Refused(Table::Sessions.damaged(&id));
    let mut record = life.into_record().ok_or_else(damaged)?;
    for id in of_life(connection, &id, record.incarnation, rotations)? {
        let former = std::mem::replace(&mut record.id, id);
        record.former_ids.push(former);
    }
    Ok(record)
}

/// The ids that the life created as `first` was given after that, in order: as many as its own row says.
///
/// Refused if a row of them is damaged or missing. Told by an earlier id it would be another session to whoever
/// knows it by the newest.
fn of_life(
    connection: &Connection,
    first: &str,
    incarnation: Incarnation,
    rotations: u64,
) -> Result<Vec<SessionId>, Setback> {
    let mut ids = Vec::new();
    if rotations == 0 {
        return Ok(ids);
    }
    let mut select = connection.prepare_cached(
        "SELECT id, incarnation, place, crc FROM later_ids WHERE incarnation = ?1 ORDER BY place",
    )?;
    let mut rows = select.query([incarnation.get().cast_signed()])?;
    let damaged = || Setback::Refused(Table::LaterIds.damaged(first));
    while let Some(row) = rows.next()? {
        let place = ids.len() as u64 + 1;
        let next = |whose| whose == incarnation && row::get_number(row, 2) == Some(place);
        let id = read(row).filter(|(_, whose)| next(*whose));
        let (id, _) = id.ok_or_else(damaged)?;
        ids.push(id);
    }
    if ids.len() as u64 == rotations { Ok(ids) } else { Err(damaged()) }
}

/// [`Write::Rotate`](crate::store::Write::Rotate). Checks before it writes, and must be the first of its
/// operation to write.
pub(super) fn rotate(
    connection: &Connection,
    life: &mut Life,
    to: &SessionId,
    at: Timestamp,
) -> Result<(), Setback> {
    let buried = tombstone::find(connection, to)?;
    if is_taken(connection, to)? || buried.is_some_and(|tombstone| tombstone.until > at) {
        return Err(Setback::fenced(FenceReason::IdTaken));
    }
    let mut traits = life.traits()?;
    // No place is given behind one that cannot be read.
    of_life(connection, &life.id, life.incarnation, traits.rotations)?;
    traits.rotations += 1;
    let id = to.to_string();
    if buried.is_some() {
        tombstone::remove(connection, &id)?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO later_ids (id, incarnation, place, crc) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let columns = [text(&id), number(life.incarnation.get()), number(traits.rotations)];
    insert.execute(row::seal(Table::LaterIds, columns))?;
    life.set_traits(&traits);
    life.active_at = at;
    Ok(())
}

/// Whether a life has `id`, as its first or as a later one.
pub(super) fn is_taken(connection: &Connection, id: &SessionId) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached(
        "SELECT 1 FROM sessions WHERE id = ?1 UNION ALL SELECT 1 FROM later_ids WHERE id = ?1",
    )?;
    select.exists([id.to_string()])
}

/// Takes the later ids off a life; answers with them. What of a damaged one can still be read is one.
pub(super) fn remove_all(
    connection: &Connection,
    incarnation: Incarnation,
) -> rusqlite::Result<Vec<SessionId>> {
    let mut select = connection
        .prepare_cached("SELECT id FROM later_ids WHERE incarnation = ?1 ORDER BY place")?;
    let incarnation = incarnation.get().cast_signed();
    let ids = select.query_map([incarnation], |row| {
        Ok(row::get_text(row, 0).and_then(|id| SessionId::new(id).ok()))
    })?;
    let ids = ids.filter_map(Result::transpose).collect::<rusqlite::Result<_>>()?;
    let mut delete = connection.prepare_cached("DELETE FROM later_ids WHERE incarnation = ?1")?;
    delete.execute([incarnation])?;
    Ok(ids)
}

/// The id in `row` and whose it is; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>) -> Option<(SessionId, Incarnation)> {
    row::read(Table::LaterIds, row, |row| {
        let id = SessionId::new(row::get_text(row, 0)?).ok()?;
        Some((id, Incarnation::new(row::get_number(row, 1)?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;
    use crate::store::{NewRecord, StoreError};

    /// A file that was put together from two states has as many ids as the record says, and not those.
    #[test]
    fn an_id_in_the_place_of_another_is_not_taken_for_that() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0).unwrap();
        let (id, at) = (|name| SessionId::new(name).unwrap(), Timestamp::default());
        let mut life = Life::new(Incarnation::new(1), &NewRecord::new(id("a"), at));
        for to in ["b", "c"] {
            rotate(&connection, &mut life, &id(to), at).unwrap();
        }
        let ids = |rotations| of_life(&connection, "a", life.incarnation, rotations);
        assert_eq!(ids(2).unwrap(), [id("b"), id("c")]);
        connection.execute("DELETE FROM later_ids WHERE id = 'b'", []).unwrap();
        let told = ids(1).unwrap_err();
        assert!(matches!(told, Setback::Refused(StoreError::Damaged { .. })), "{told:?}");
    }
}

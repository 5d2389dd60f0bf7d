//! The rows of what turns have said in `partials`, a piece each.

use bytes::{Bytes, BytesMut};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::entry;
use super::range::Range;
use super::row::{self, Table, number};
use crate::id::{Generation, Incarnation};
use crate::store::{PartialPiece, StoredPartial};

/// Writes a row for a further piece of what a turn has said.
pub(super) fn insert(
    connection: &Connection,
    incarnation: Incarnation,
    turn: Generation,
    piece: &PartialPiece,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO partials (incarnation, generation, first, chunks, text, crc) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let columns = [
        number(incarnation.get()),
        number(turn.get()),
        number(piece.first),
        number(piece.chunks),
        ValueRef::Blob(&piece.text),
    ];
    insert.execute(row::seal(Table::Partials, columns)).map(drop)
}

/// What is kept of what a turn has said, if anything is; the inner `None` says that a piece of it is
/// damaged or missing.
#[expect(clippy::option_option, reason = "missing and damaged are two answers")]
pub(super) fn find(
    connection: &Connection,
    incarnation: Incarnation,
    turn: Generation,
) -> rusqlite::Result<Option<Option<StoredPartial>>> {
    let mut select = connection.prepare_cached(
        "SELECT incarnation, generation, first, chunks, text, crc FROM partials \
         WHERE incarnation = ?1 AND generation = ?2 ORDER BY first",
    )?;
    let mut rows = select.query([incarnation.get().cast_signed(), turn.get().cast_signed()])?;
    let (mut chunks, mut text) = (0_u64, BytesMut::new());
    let key = [number(incarnation.get()), number(turn.get())];
    while let Some(row) = rows.next()? {
        let piece = row::asked_for(row, &key, read(row))?;
        let Some(piece) = piece.filter(|piece| piece.first.checked_sub(1) == Some(chunks)) else {
            return Ok(Some(None));
        };
        chunks = chunks.saturating_add(piece.chunks);
        text.extend_from_slice(&piece.text);
    }
    Ok((chunks > 0).then(|| Some(StoredPartial { chunks, text: text.freeze() })))
}

/// Removes what a turn has said. Damaged pieces go as well.
pub(super) fn remove(
    connection: &Connection,
    incarnation: Incarnation,
    turn: Generation,
) -> rusqlite::Result<()> {
    let mut delete = connection
        .prepare_cached("DELETE FROM partials WHERE incarnation = ?1 AND generation = ?2")?;
    delete.execute([incarnation.get().cast_signed(), turn.get().cast_signed()]).map(drop)
}

/// Removes what the turns have said that have an entry in `range`.
pub(super) fn remove_all(
    connection: &Connection,
    incarnation: Incarnation,
    range: Range,
) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM partials WHERE incarnation = ?1 AND generation IN (SELECT generation \
         FROM entries WHERE incarnation = ?1 AND seq BETWEEN ?2 AND ?3)",
    )?;
    delete.execute(entry::within(incarnation, range)).map(drop)
}

/// The piece in `row`; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>) -> Option<PartialPiece> {
    row::read(Table::Partials, row, |row| {
        Some(PartialPiece {
            first: row::get_number(row, 2)?,
            chunks: row::get_number(row, 3)?,
            text: Bytes::copy_from_slice(row::get_blob(row, 4)?),
        })
    })
}

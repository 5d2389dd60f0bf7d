//! The rows of settled turns in `turns`.

use rusqlite::{Connection, OptionalExtension, Row};

use super::row::{self, Table, number, text};
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation};
use crate::outcome::TurnOutcome;
use crate::store::TurnRecord;

/// Writes how a turn ended. A second outcome for the same turn breaks the primary key.
pub(super) fn insert(
    connection: &Connection,
    incarnation: Incarnation,
    turn: &TurnRecord,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO turns (incarnation, generation, outcome, settled_at, crc) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let columns = [
        number(incarnation.get()),
        number(turn.generation.get()),
        text(turn.outcome.as_str()),
        number(turn.settled_at.as_millis()),
    ];
    insert.execute(row::seal(Table::Turns, columns)).map(drop)
}

/// How a turn ended, if it did; the inner `None` is a damaged row.
#[expect(clippy::option_option, reason = "missing and damaged are two answers")]
pub(super) fn find(
    connection: &Connection,
    incarnation: Incarnation,
    generation: Generation,
) -> rusqlite::Result<Option<Option<TurnRecord>>> {
    let mut select = connection.prepare_cached(
        "SELECT incarnation, generation, outcome, settled_at, crc FROM turns \
         WHERE incarnation = ?1 AND generation = ?2",
    )?;
    let asked = [incarnation.get().cast_signed(), generation.get().cast_signed()];
    let key = [number(incarnation.get()), number(generation.get())];
    select.query_row(asked, |row| row::asked_for(row, &key, read(row))).optional()
}

/// The outcome in `row`; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>) -> Option<TurnRecord> {
    row::read(Table::Turns, row, |row| {
        Some(TurnRecord {
            generation: Generation::new(row::get_number(row, 1)?),
            outcome: TurnOutcome::from_name(row::get_text(row, 2)?)?,
            settled_at: Timestamp::from_millis(row::get_number(row, 3)?),
        })
    })
}

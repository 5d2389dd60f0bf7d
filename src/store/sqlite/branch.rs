//! The rows of turns that stand beside their siblings in `branches`.

use rusqlite::{Connection, Row};

use super::failure::Setback;
use super::row::{self, Table, number};
use crate::id::{Generation, Incarnation};
use crate::store::BranchRecord;

/// Writes a row for a turn that begins under a parent.
pub(super) fn insert(
    connection: &Connection,
    incarnation: Incarnation,
    branch: &BranchRecord,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO branches (incarnation, generation, parent, crc) VALUES (?1, ?2, ?3, ?4)",
    )?;
    insert.execute(seal(incarnation, branch)).map(drop)
}

/// Writes the row of a turn anew, whose parent has another number now.
pub(super) fn update(
    connection: &Connection,
    incarnation: Incarnation,
    branch: &BranchRecord,
) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE branches SET parent = ?3, crc = ?4 WHERE incarnation = ?1 AND generation = ?2",
    )?;
    update.execute(seal(incarnation, branch)).map(drop)
}

/// A row's columns and their checksum.
fn seal(incarnation: Incarnation, branch: &BranchRecord) -> impl rusqlite::Params {
    let columns =
        [number(incarnation.get()), number(branch.generation.get()), number(branch.parent)];
    row::seal(Table::Branches, columns)
}

/// The turns of a life that stand beside siblings, oldest first. Refused if a row is damaged: without
/// it the others would be told as if they stood alone.
pub(super) fn list(
    connection: &Connection,
    incarnation: Incarnation,
) -> Result<Vec<BranchRecord>, Setback> {
    let mut select = connection.prepare_cached(
        "SELECT incarnation, generation, parent, crc FROM branches \
         WHERE incarnation = ?1 ORDER BY generation",
    )?;
    let mut rows = select.query([incarnation.get().cast_signed()])?;
    let mut branches = Vec::new();
    let key = [number(incarnation.get())];
    while let Some(row) = rows.next()? {
        let branch = row::asked_for(row, &key, read(row))?;
        branches.push(branch.ok_or_else(|| {
            let turn = row::get_number(row, 1).unwrap_or_default();
            let which = format_args!("{turn} of life {}", incarnation.get());
            Setback::Refused(Table::Branches.damaged(which))
        })?);
    }
    Ok(branches)
}

/// The turn in `row`; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>) -> Option<BranchRecord> {
    row::read(Table::Branches, row, |row| {
        Some(BranchRecord {
            generation: Generation::new(row::get_number(row, 1)?),
            parent: row::get_number(row, 2)?,
        })
    })
}

//! What the rows of all tables have in common: how they are sealed, and how they are read.
//!
//! SQLite does not notice a flipped bit in a payload, so every row carries a checksum over its
//! other columns. Each column goes into it with its type and its length, so that no two different
//! rows are the same bytes, and the table's name goes first, so that a row does not pass in another
//! table. Whoever reads a row reads it through [`read`], and gets nothing of a damaged one.

use crc32fast::Hasher;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Params, Row, params_from_iter};

use crate::store::StoreError;

/// A table of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// One row a life.
    Sessions,
    /// One row an entry of a transcript.
    Entries,
    /// One row a datum.
    Data,
    /// One row a settled turn.
    Turns,
    /// One row a bound key.
    Bindings,
    /// One row an id that a life was given after its first.
    LaterIds,
    /// One row a deleted id.
    Tombstones,
    /// One row a piece of what a turn has said.
    Partials,
    /// One row an interval that was taken out of a transcript.
    Revisions,
    /// One row a begin that was asked for under a name.
    Requests,
    /// One row an outside service of whose handles something is kept.
    Resume,
    /// One row a turn beside its siblings.
    Branches,
    /// One row a run of the process.
    Runs,
}

impl Table {
    /// Every table, in the order in which a check goes through them.
    pub(super) const ALL: [Self; 13] = [
        Self::Sessions,
        Self::Entries,
        Self::Data,
        Self::Turns,
        Self::Bindings,
        Self::LaterIds,
        Self::Tombstones,
        Self::Partials,
        Self::Revisions,
        Self::Requests,
        Self::Resume,
        Self::Branches,
        Self::Runs,
    ];

    /// Its name in the schema.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Entries => "entries",
            Self::Data => "data",
            Self::Turns => "turns",
            Self::Bindings => "bindings",
            Self::LaterIds => "later_ids",
            Self::Tombstones => "tombstones",
            Self::Partials => "partials",
            Self::Revisions => "revisions",
            Self::Requests => "requests",
            Self::Resume => "resume",
            Self::Branches => "branches",
            Self::Runs => "runs",
        }
    }

    /// Its columns in the order of the checksum, which is the last one.
    pub(super) const fn columns(self) -> &'static str {
        match self {
            Self::Sessions => {
                "incarnation, id, key, label, created_at, active_at, generation, version, \
                 next_seq, entries, open, traits, crc"
            }
            Self::Entries => "incarnation, seq, generation, mark, at, payload, crc",
            Self::Data => "incarnation, name, value, crc",
            Self::Turns => "incarnation, generation, outcome, settled_at, crc",
            Self::Bindings => "key, id, incarnation, crc",
            Self::LaterIds => "id, incarnation, place, crc",
            Self::Tombstones => "id, incarnation, reason, at, until, crc",
            Self::Partials => "incarnation, generation, first, chunks, text, crc",
            Self::Revisions => "incarnation, version, from_seq, to_seq, at, reason, crc",
            Self::Requests => "incarnation, key, generation, digest, at, crc",
            Self::Resume => {
                "incarnation, provider, value, stored_at, used_at, attempts, refused, refused_at, crc"
            }
            Self::Branches => "incarnation, generation, parent, crc",
            Self::Runs => {
                "number, instance, started_at, stopped_at, finished, cancelled, aborted, fenced, crc"
            }
        }
    }

    /// The error for the row of this table that `which` names.
    pub(super) fn damaged(self, which: impl std::fmt::Display) -> StoreError {
        StoreError::Damaged { what: format!("`{}` row {which}", self.name()) }
    }
}

/// The parameters of a statement that writes a row: its columns, then their checksum.
pub(super) fn seal<const N: usize>(table: Table, columns: [ValueRef<'_>; N]) -> impl Params {
    let checksum = checksum(table, &columns);
    params_from_iter(columns.into_iter().chain([checksum]).map(ToSqlOutput::Borrowed))
}

/// The checksum of a row with these columns.
pub(super) fn checksum(table: Table, columns: &[ValueRef<'_>]) -> ValueRef<'static> {
    let mut checksum = Checksum::new(table);
    for column in columns {
        checksum.add(*column);
    }
    checksum.finish()
}

/// The row of [`Table::columns`] as `parse` understands it; `None` if it is damaged.
pub(super) fn read<'r, T>(
    table: Table,
    row: &'r Row<'_>,
    parse: impl FnOnce(&'r Row<'_>) -> Option<T>,
) -> Option<T> {
    let last = row.as_ref().column_count().checked_sub(1)?;
    let mut checksum = Checksum::new(table);
    for column in 0..last {
        checksum.add(row.get_ref(column).ok()?);
    }
    if row.get_ref(last).ok()? == checksum.finish() { parse(row) } else { None }
}

/// The columns of a row of [`Table::columns`], without the checksum; `None` if it is damaged. For rows of which
/// many are read: each column is asked for once.
pub(super) fn columns<'r, const N: usize>(
    table: Table,
    row: &'r Row<'_>,
) -> Option<[ValueRef<'r>; N]> {
    let mut columns = [ValueRef::Null; N];
    for (place, column) in columns.iter_mut().enumerate() {
        *column = row.get_ref(place).ok()?;
    }
    if row.get_ref(N).ok()? == checksum(table, &columns) { Some(columns) } else { None }
}

/// What was read of a row that was asked for by its first columns; fails if it is whole and another one.
///
/// An index has no checksums. One with a flipped bit leads to rows of others, and their checksums are right. Nor has a
/// page that lies where another one was: a search in it ends at any of its rows.
pub(super) fn asked_for<T>(
    row: &Row<'_>,
    key: &[ValueRef<'_>],
    read: Option<T>,
) -> rusqlite::Result<Option<T>> {
    let is_it = |(column, value): (usize, &ValueRef<'_>)| {
        row.get_ref(column).is_ok_and(|found| found == *value)
    };
    if read.is_none() || key.iter().enumerate().all(is_it) { Ok(read) } else { Err(misled()) }
}

/// The error for an index that leads to another row than it says: the damage that SQLite did not see.
pub(super) fn misled() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some("an index leads to another row".to_owned()))
}

/// How many bytes of short columns are hashed at once: call by call they cost several times as much.
const GATHERED_BYTES: usize = 256;

/// The checksum of a row, column by column.
struct Checksum {
    /// Over what is not in `gathered` any more.
    hasher: Hasher,
    /// What comes next, at the front.
    gathered: [u8; GATHERED_BYTES],
    /// How much of it.
    length: usize,
}

impl Checksum {
    /// That of a row of `table` without columns.
    fn new(table: Table) -> Self {
        let mut checksum = Self { hasher: Hasher::new(), gathered: [0; GATHERED_BYTES], length: 0 };
        checksum.add_bytes(b't', table.name().as_bytes());
        checksum
    }

    /// Adds a column.
    fn add(&mut self, column: ValueRef<'_>) {
        match column {
            ValueRef::Null => self.gather(&head(b'0', 0)),
            ValueRef::Integer(number) => self.add_number(b'i', number.to_le_bytes()),
            ValueRef::Real(number) => self.add_number(b'r', number.to_le_bytes()),
            ValueRef::Text(text) => self.add_bytes(b's', text),
            ValueRef::Blob(blob) => self.add_bytes(b'b', blob),
        }
    }

    /// Adds a number after what it is and how long; as one piece, since most columns are numbers.
    fn add_number(&mut self, kind: u8, number: [u8; 8]) {
        let mut piece = [0; HEAD_BYTES + 8];
        let (before, after) = piece.split_at_mut(HEAD_BYTES);
        before.copy_from_slice(&head(kind, 8));
        after.copy_from_slice(&number);
        self.gather(&piece);
    }

    /// Adds bytes after what they are and how many.
    fn add_bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.gather(&head(kind, bytes.len() as u64));
        self.gather(bytes);
    }

    /// Adds bytes; those that have no place any more are hashed where they lie.
    #[inline]
    fn gather(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.gathered.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        } else {
            self.hash_gathered();
            self.hasher.update(bytes);
        }
    }

    /// Hashes what was gathered.
    fn hash_gathered(&mut self) {
        let gathered = self.gathered.get(..self.length).expect("only what has a place is gathered");
        self.hasher.update(gathered);
        self.length = 0;
    }

    /// The last column.
    fn finish(mut self) -> ValueRef<'static> {
        self.hash_gathered();
        ValueRef::Integer(i64::from(self.hasher.finalize()))
    }
}

/// How long what stands before a column is.
const HEAD_BYTES: usize = 9;

/// What stands before a column: what it is, and how long.
#[inline]
fn head(kind: u8, length: u64) -> [u8; HEAD_BYTES] {
    let mut head = [kind; HEAD_BYTES];
    if let Some(place) = head.last_chunk_mut() {
        *place = length.to_le_bytes();
    }
    head
}

/// A number as a column.
pub(super) const fn number(number: u64) -> ValueRef<'static> {
    ValueRef::Integer(number.cast_signed())
}

/// A text as a column.
pub(super) const fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

/// A text that may be missing, as a column.
pub(super) fn optional_text(optional: Option<&str>) -> ValueRef<'_> {
    optional.map_or(ValueRef::Null, text)
}

/// The number in a column.
pub(super) fn get_number(row: &Row<'_>, column: usize) -> Option<u64> {
    row.get_ref(column).ok()?.as_i64().ok().map(i64::cast_unsigned)
}

/// The number in a column that counts one by one, and so never comes to the highest bit: a row where it is
/// set was not written by this library, and what is added to it would run over.
pub(super) fn get_count(row: &Row<'_>, column: usize) -> Option<u64> {
    row.get_ref(column).ok()?.as_i64().ok()?.try_into().ok()
}

/// The number in a column that may have none.
#[expect(clippy::option_option, reason = "the outer one says damaged, the inner one missing")]
pub(super) fn get_optional_number(row: &Row<'_>, column: usize) -> Option<Option<u64>> {
    row.get_ref(column).ok()?.as_i64_or_null().ok().map(|number| number.map(i64::cast_unsigned))
}

/// The text in a column.
pub(super) fn get_text<'r>(row: &'r Row<'_>, column: usize) -> Option<&'r str> {
    row.get_ref(column).ok()?.as_str().ok()
}

/// The text in a column that may have none.
#[expect(clippy::option_option, reason = "the outer one says damaged, the inner one missing")]
pub(super) fn get_optional_text<'r>(row: &'r Row<'_>, column: usize) -> Option<Option<&'r str>> {
    row.get_ref(column).ok()?.as_str_or_null().ok()
}

/// The bytes in a column.
pub(super) fn get_blob<'r>(row: &'r Row<'_>, column: usize) -> Option<&'r [u8]> {
    row.get_ref(column).ok()?.as_blob().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_cannot_shift_into_each_other_without_changing_the_checksum() {
        let row = checksum(Table::Data, &[text("ab"), text("c")]);
        assert_ne!(row, checksum(Table::Data, &[text("a"), text("bc")]));
        assert_ne!(row, checksum(Table::Data, &[text("abc"), text("")]));
        assert_ne!(row, checksum(Table::Data, &[text("ab"), ValueRef::Blob(b"c")]));
        assert_ne!(row, checksum(Table::Turns, &[text("ab"), text("c")]));
        assert_ne!(checksum(Table::Data, &[text("")]), checksum(Table::Data, &[ValueRef::Null]));
    }

    #[test]
    fn a_checksum_is_that_of_the_bytes_in_order_however_they_were_gathered() {
        for length in [0, 1, 100, 199, 200, 255, 256, 257, 1_000] {
            let value = "x".repeat(length);
            let mut bytes = Vec::new();
            let mut checksum = Checksum::new(Table::Data);
            for (kind, column) in [(b't', "data"), (b's', "a"), (b's', &value), (b's', &value)] {
                bytes.push(kind);
                bytes.extend((column.len() as u64).to_le_bytes());
                bytes.extend(column.as_bytes());
            }
            for column in ["a", &value, &value] {
                checksum.add(text(column));
            }
            let whole = ValueRef::Integer(i64::from(crc32fast::hash(&bytes)));
            assert_eq!(checksum.finish(), whole, "{length} bytes");
        }
    }
}

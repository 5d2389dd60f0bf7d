//! What the fuzzers reach behind the checksums: rows of any content, sealed as this store seals its own.
//!
//! A damaged row is refused by its checksum, so fuzzers that change bytes never come to what is behind it.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::failure::Setback;
use super::row::{self, Table};
use super::{change, check, heal, query, schema, tombstone};
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, SessionId};
use crate::store::{HealReport, Record, RecordFilter, StoreError, StoredEntry, Write};

/// The content of a column, whatever it should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Nothing.
    Null,
    /// A number.
    Integer(i64),
    /// A fraction.
    Real(f64),
    /// A text, which need not be one.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Column {
    /// As SQLite takes it.
    fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text),
            Self::Blob(blob) => ValueRef::Blob(blob),
        }
    }
}

/// The tables, and of each the columns that its checksum is over.
pub fn tables() -> Vec<(&'static str, Vec<&'static str>)> {
    let of = |table: Table| {
        let columns = table.columns().split(", ").filter(|column| *column != "crc");
        (table.name(), columns.collect())
    };
    Table::ALL.into_iter().map(of).collect()
}

/// A store in memory, without a thread, a log or a lock.
#[derive(Debug)]
pub struct Rows {
    /// Where they are.
    connection: Connection,
}

impl Rows {
    /// A store without rows.
    ///
    /// # Errors
    ///
    /// If SQLite cannot make one.
    pub fn new() -> rusqlite::Result<Self> {
        let mut connection = Connection::open_in_memory()?;
        connection.set_prepared_statement_cache_capacity(128);
        schema::migrate(&mut connection, 0)?;
        Ok(Self { connection })
    }

    /// Removes all rows.
    ///
    /// # Errors
    ///
    /// If SQLite fails.
    pub fn clear(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN")?;
        for table in Table::ALL {
            self.connection.prepare_cached(&format!("DELETE FROM {}", table.name()))?.execute([])?;
        }
        self.connection.prepare_cached("DELETE FROM sqlite_sequence")?.execute([])?;
        self.connection.execute_batch("COMMIT")
    }

    /// Whether a row is taken for intact that reads `found` and has the checksum of `sealed`.
    ///
    /// # Errors
    ///
    /// If SQLite does not take one of the columns.
    pub fn is_intact(
        &self,
        table: usize,
        sealed: &[Column],
        found: &[Column],
    ) -> rusqlite::Result<bool> {
        let table = pick(table);
        let places: Vec<_> = (1..=found.len() + 1).map(|place| format!("?{place}")).collect();
        let mut select =
            self.connection.prepare_cached(&format!("SELECT {}", places.join(", ")))?;
        let checksum = seal(table, sealed);
        let columns = found.iter().map(Column::value).chain([checksum]);
        let mut rows = select.query(params_from_iter(columns.map(ToSqlOutput::Borrowed)))?;
        Ok(rows.next()?.is_some_and(|row| check::is_intact(table, row)))
    }

    /// Puts a row into a table, sealed; the schema refuses some.
    ///
    /// # Errors
    ///
    /// If the schema refuses it.
    pub fn put(&self, table: usize, columns: &[Column]) -> rusqlite::Result<()> {
        let table = pick(table);
        let places: Vec<_> = (1..=columns.len() + 1).map(|place| format!("?{place}")).collect();
        let (name, names) = (table.name(), table.columns());
        let sql = format!("INSERT INTO {name} ({names}) VALUES ({})", places.join(", "));
        let checksum = seal(table, columns);
        let columns =
            columns.iter().map(Column::value).chain([checksum]).map(ToSqlOutput::Borrowed);
        self.connection.prepare_cached(&sql)?.execute(params_from_iter(columns)).map(drop)
    }

    /// What a check finds.
    ///
    /// # Errors
    ///
    /// If SQLite fails.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        check::check(&self.connection).map_err(told)
    }

    /// Heals, in a transaction.
    ///
    /// # Errors
    ///
    /// If SQLite fails.
    pub fn heal(&self) -> Result<HealReport, StoreError> {
        self.within(|connection| heal::heal(connection))
    }

    /// All lives of which the row can be read.
    ///
    /// # Errors
    ///
    /// If SQLite fails.
    pub fn records(&self) -> Result<Vec<Record>, StoreError> {
        let page = query::list(&self.connection, &RecordFilter::default(), None, usize::MAX);
        page.map(|page| page.records).map_err(told)
    }

    /// Reads all that there is of a life, by every question that can be asked; answers with its transcript.
    ///
    /// # Errors
    ///
    /// If the transcript cannot be read.
    pub fn read(&self, life: &Record) -> Result<Vec<StoredEntry>, StoreError> {
        let (it, id, incarnation) = (&self.connection, &life.id, life.incarnation);
        for generation in
            life.open.iter().map(|marker| marker.generation).chain([Generation::new(1)])
        {
            drop(query::turn(it, id, incarnation, generation));
            drop(query::partial(it, id, incarnation, generation));
        }
        drop(query::keys_of(it, id, incarnation));
        drop(query::datum(it, id, incarnation, "a"));
        drop(query::request(it, id, incarnation, "a"));
        drop(query::resume(it, id, incarnation, "a"));
        drop(query::branches(it, id, incarnation));
        drop(query::revisions(it, id, incarnation));
        drop(query::look_up(it, id, Timestamp::default()));
        query::entries(it, id, incarnation, 0, usize::MAX).map_err(told)
    }

    /// Writes to a life, in a transaction.
    ///
    /// # Errors
    ///
    /// If it is refused, or SQLite fails.
    pub fn write(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        write: &Write,
    ) -> Result<(), StoreError> {
        self.within(|connection| change::apply(connection, id, incarnation, write))
    }

    /// Removes the tombstones that are over.
    ///
    /// # Errors
    ///
    /// If SQLite fails.
    pub fn forget(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.within(|connection| Ok(tombstone::forget(connection, now, 8)?))
    }

    /// Does something in a transaction, which is undone if it fails.
    fn within<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Setback>,
    ) -> Result<T, StoreError> {
        let transaction = self.connection.unchecked_transaction().map_err(|it| told(it.into()))?;
        let done = work(&transaction).map_err(told)?;
        transaction.commit().map_err(|it| told(it.into()))?;
        Ok(done)
    }
}

/// The checksum of a row.
fn seal(table: Table, columns: &[Column]) -> ValueRef<'static> {
    row::checksum(table, &columns.iter().map(Column::value).collect::<Vec<_>>())
}

/// The table of that number.
fn pick(table: usize) -> Table {
    *Table::ALL.get(table % Table::ALL.len()).expect("it is below their number")
}

/// The answer to a fuzzer.
fn told(setback: Setback) -> StoreError {
    setback.into_error(|| "what a fuzzer asked for".to_owned())
}

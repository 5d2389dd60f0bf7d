//! A second store that does the same operations one by one, and what its rows are after each: what a file may
//! hold after a power cut is one of these states, and which ones depends on what was asked and answered.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use session_supervisor::{SqliteOptions, SqliteStore, Store};

use crate::rebuild::{self, Image};
use crate::witness::Asked;

/// The states of a file, one after each operation.
#[derive(Debug)]
pub(crate) struct States {
    /// After how many operations a state is seen, in order, by its digest.
    after: HashMap<u64, Vec<usize>>,
}

/// Where a state belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing that was acknowledged is missing, and nothing is there that was not begun.
    Right,
    /// It is one from before something that was acknowledged.
    Early,
    /// It is one from after something that was not asked for yet.
    Late,
    /// There never was such a state.
    Nowhere,
}

impl States {
    /// Does the operations in `folder`, on a copy of the file that they were done on.
    pub(crate) async fn of(folder: &Path, base: &Image, asked: &[Asked]) -> Self {
        rebuild::write(folder, base);
        let path = folder.join("s.db");
        let store = SqliteStore::open(&path, SqliteOptions::default()).await.expect("it is whole");
        let connection = open(&path).expect("it can be read");
        let mut after: HashMap<u64, Vec<usize>> = HashMap::new();
        after.entry(digest(&connection).expect("it can be read")).or_default().push(0);
        for (number, asked) in asked.iter().enumerate() {
            let answer = asked.operation.clone().ask(&store).await;
            if let Some(told) = &asked.answer {
                assert_eq!(*told, answer, "the twin answers as the store did: {asked:?}");
            }
            let state = digest(&connection).expect("it can be read");
            after.entry(state).or_default().push(number + 1);
        }
        drop(connection);
        store.close().await.expect("it closes");
        Self { after }
    }

    /// Where a state belongs of which `acknowledged` operations must be there and `begun` may be.
    pub(crate) fn place(&self, digest: u64, acknowledged: usize, begun: usize) -> Place {
        let Some(after) = self.after.get(&digest) else { return Place::Nowhere };
        match after.iter().rfind(|after| **after <= begun) {
            None => Place::Late,
            Some(after) if *after < acknowledged => Place::Early,
            Some(_) => Place::Right,
        }
    }
}

/// A connection that reads.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

/// Every row of every table, in order, as one number.
pub(crate) fn digest(connection: &Connection) -> rusqlite::Result<u64> {
    // One state, whatever else goes on.
    let snapshot = connection.unchecked_transaction()?;
    let mut select = snapshot
        .prepare_cached("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let tables = select.query_map([], |row| row.get::<_, String>(0))?;
    let tables: Vec<_> = tables.collect::<rusqlite::Result<_>>()?;
    let mut hasher = DefaultHasher::new();
    for table in tables {
        table.hash(&mut hasher);
        let mut select = snapshot.prepare_cached(&format!("SELECT * FROM {table}"))?;
        let columns = select.column_count();
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                match row.get_ref(column)? {
                    ValueRef::Null => 0_u8.hash(&mut hasher),
                    ValueRef::Integer(number) => number.hash(&mut hasher),
                    ValueRef::Real(number) => number.to_bits().hash(&mut hasher),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.hash(&mut hasher),
                }
            }
        }
    }
    Ok(hasher.finish())
}

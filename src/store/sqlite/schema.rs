//! The form of the file: its marks, its migrations and how connections to it are set up.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::SqliteOptions;
use super::ownership::beside;
use crate::rt;

/// Marks a file as one of this library: `SSUP`.
pub(super) const APPLICATION_ID: u32 = 0x5353_5550;

/// What made each version of the format out of the one before; the first makes it out of nothing.
const MIGRATIONS: [&str; VERSION as usize] = [include_str!("../schema/0001.sql")];

/// The version of the format that this library writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;

/// How long a connection waits for a lock that another program has on the file.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// How many statements a connection keeps prepared; there are fewer than fifty.
const STATEMENTS: usize = 64;

/// The size of a page, SQLite's default.
const PAGE_BYTES: u64 = 4_096;

/// Makes an empty store at `path`, whole or not at all: it is made beside, synced, and renamed.
pub(super) fn create(path: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let new = beside(path, ".creating");
    for leftover in [new.clone(), beside(&new, "-wal"), beside(&new, "-shm")] {
        match fs::remove_file(&leftover) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = Connection::open_with_flags(&new, flags)?;
    // A crash leaves no journal that could be taken for a later file's.
    connection.execute_batch(
        "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON",
    )?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    migrate(&mut connection, 0)?;
    // Lives count from a random place, so that a stream of a file that stood here before is not
    // taken for one of this.
    let start = i64::try_from(rt::random_u128() >> 97)?;
    connection
        .execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('sessions', ?1)", [start])?;
    connection.execute_batch("PRAGMA journal_mode = WAL")?;
    connection.close().map_err(|(_, error)| error)?;
    if let Ok(empty) = fs::metadata(path) {
        fs::set_permissions(&new, empty.permissions())?;
    }
    fs::rename(&new, path)?;
    Ok(sync_directory(path)?)
}

/// Brings the format from `version` to [`VERSION`], each step in a transaction.
pub(super) fn migrate(connection: &mut Connection, version: u32) -> rusqlite::Result<()> {
    for (before, migration) in (0..VERSION).zip(MIGRATIONS).skip(version as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", before + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The connection that writes.
pub(super) fn open_writer(
    path: &Path,
    options: &SqliteOptions,
) -> Result<Connection, Box<dyn Error + Send + Sync>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection, options)?;
    // SQLite falls back to reading where it may not write, and to another journal where the disk
    // does not let processes share memory.
    if connection.is_readonly("main")? {
        return Err("the file may only be read".into());
    }
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(format!("its disk allows a `{mode}` journal and no write-ahead log").into());
    }
    // `fullfsync` is for macOS, where a sync alone leaves the data in the drive's cache.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {}; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; \
         PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = {}",
        options.synchronous.pragma(),
        options.checkpoint_bytes / PAGE_BYTES,
        options.checkpoint_bytes,
    ))?;
    if let Some(bytes) = options.max_file_bytes {
        connection.execute_batch(&format!("PRAGMA max_page_count = {}", bytes / PAGE_BYTES))?;
    }
    Ok(connection)
}

/// A connection that reads.
pub(super) fn open_reader(path: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection, options)?;
    Ok(connection)
}

/// What both kinds have in common. The file is not mapped into memory: a mapped page that the disk
/// cannot deliver kills the process where a read returns an error.
fn set_up(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch(&format!(
        "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; \
         PRAGMA cell_size_check = ON; PRAGMA cache_size = -{}",
        options.cache_bytes >> 10,
    ))
}

/// Makes the new name of a file durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened as a file, and a rename needs no help.
    if cfg!(unix) {
        let directory = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::options::Synchronous;
    use super::*;

    #[test]
    fn a_write_is_synced_as_the_options_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        create(&path).unwrap();
        for (synchronous, number) in [(Synchronous::Full, 2), (Synchronous::Normal, 1)] {
            let options = SqliteOptions { synchronous, ..SqliteOptions::default() };
            let writer = open_writer(&path, &options).unwrap();
            let asked = |row: &rusqlite::Row<'_>| row.get::<_, u32>(0);
            assert_eq!(writer.query_row("PRAGMA synchronous", [], asked).unwrap(), number);
        }
    }

    #[test]
    fn what_a_crash_left_of_a_new_file_is_made_anew_and_what_cannot_be_removed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        fs::write(beside(&path, ".creating"), "half").unwrap();
        create(&path).unwrap();
        let stuck = folder.path().join("stuck.db");
        fs::create_dir(beside(&stuck, ".creating-shm")).unwrap();
        assert!(create(&stuck).is_err());
        assert!(!stuck.exists());
    }
}

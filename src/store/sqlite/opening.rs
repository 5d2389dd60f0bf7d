//! How a file is opened, and given up.

use std::error::Error;
use std::path::Path;

use rusqlite::Connection;

use super::inspect::{self, Finding, unusable};
use super::options::SqliteOptions;
use super::ownership::Ownership;
use super::presence::Presence;
use super::queue::Queue;
use super::reader::Readers;
use super::writer::Writer;
use super::{Owned, Shared, schema};
use crate::rt::{Arc, AtomicU64, Mutex, Spawner};
use crate::store::StoreError;

impl Shared {
    /// Opens the file, on a thread that may block.
    pub(super) fn open(
        path: &Path,
        options: SqliteOptions,
        spawner: Spawner,
    ) -> Result<Self, StoreError> {
        let options = options.bounded();
        let path = inspect::resolve(path)?;
        // Before the lock as well, so that nothing appears beside a foreign file.
        inspect::look(&path)?;
        let ownership = Ownership::acquire(&path)?;
        if inspect::look(&path)? == Finding::Nothing {
            schema::create(&path).map_err(|error| {
                let problem = "it cannot be made; check the disk and its directory's permissions";
                unusable(&path, problem, Some(error))
            })?;
        }
        let version = inspect::examine(&path)?;
        let (writer, readers) = connect(&path, &options, version).map_err(|error| {
            let problem = "it cannot be opened for writing; check its permissions and the disk";
            unusable(&path, problem, Some(error))
        })?;
        let presence = Presence::of(&path)
            .map_err(|error| unusable(&path, "it cannot be reached", Some(error.into())))?;
        Ok(Self {
            spawner,
            queue: Queue::new(options.max_queued, options.max_batch),
            transactions: AtomicU64::new(0),
            readers: Arc::new(Readers::new(readers)),
            writer: Mutex::new(Some(Owned { writer: Writer::new(writer), presence, ownership })),
            path,
        })
    }

    /// Takes the log over into the file, and gives up the connection and the lock. Nothing is lost
    /// if that fails: the log stays and is read by the next open.
    pub(super) fn let_go(&self) -> Result<(), StoreError> {
        let Some(owned) = self.writer.lock().take() else { return Ok(()) };
        let connection = owned.writer.into_connection();
        let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let closed = connection.close().map_err(|(_, error)| error);
        drop(owned.ownership);
        let what = || format!("closing {}", self.path.display());
        checkpoint.and(closed).map_err(|error| StoreError::unavailable(what(), error))
    }
}

/// Opens the connections to a file that was found to be a store of `version`.
fn connect(
    path: &Path,
    options: &SqliteOptions,
    version: u32,
) -> Result<(Connection, Vec<Connection>), Box<dyn Error + Send + Sync>> {
    let mut writer = schema::open_writer(path, options)?;
    schema::migrate(&mut writer, version)?;
    let readers = (0..options.readers).map(|_| schema::open_reader(path, options));
    Ok((writer, readers.collect::<rusqlite::Result<_>>()?))
}

//! One state of the store, for as long as a question is asked of it.

use std::ops::Deref;

use rusqlite::Connection;

/// A transaction that only reads. It is over when this is dropped, by a panic too.
///
/// Its statements are kept prepared: to parse them each time would be a tenth of what waking a session costs.
#[derive(Debug)]
pub(super) struct Snapshot<'c>(&'c Connection);

impl<'c> Snapshot<'c> {
    /// Begins one. It shows the state at its first read.
    pub(super) fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
        Ok(Self(connection))
    }
}

impl Deref for Snapshot<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // Some errors have ended it already. If this fails, the next one on this connection says so.
        if !self.0.is_autocommit() {
            drop(self.0.prepare_cached("ROLLBACK").and_then(|mut rollback| rollback.execute([])));
        }
    }
}

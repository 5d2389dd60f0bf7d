//! The connections that read, beside the one that writes.
//!
//! A read begins its own snapshot, so it sees every write that was acknowledged before, and waits
//! for none that is under way.

use rusqlite::Connection;

use super::failure::Setback;
use crate::rt::{Arc, Mutex, Semaphore, Spawner};
use crate::store::StoreError;

/// A fixed number of connections, lent one by one.
#[derive(Debug)]
pub(super) struct Readers {
    /// One permit a connection; closed when they are.
    permits: Arc<Semaphore>,
    /// How many there are.
    count: u32,
    /// Those that are not lent out; a permit is held for every other one.
    idle: Mutex<Vec<Connection>>,
}

/// A connection that is lent; it goes back when this is dropped, by a panic too.
struct Lent<'a> {
    /// Where it goes.
    readers: &'a Readers,
    /// The connection; taken out only by the drop.
    connection: Option<Connection>,
}

impl Readers {
    /// A pool of these.
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        let count = u32::try_from(connections.len()).expect("the option's bound is far below");
        Self {
            permits: Arc::new(Semaphore::new(connections.len())),
            count,
            idle: Mutex::new(connections),
        }
    }

    /// Runs `query` on a connection, on a thread that may block. `what` names it in errors.
    ///
    /// # Cancel safety
    ///
    /// If this future is dropped, the query either does not begin or runs to its end unheard.
    pub(super) async fn run<T: Send + 'static>(
        self: Arc<Self>,
        spawner: Spawner,
        what: String,
        query: impl FnOnce(&Connection) -> Result<T, Setback> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let place = what.clone();
        let read = spawner.spawn_blocking(move || {
            let permit = permit;
            let lent = self.lend()?;
            let connection = lent.connection.as_ref().expect("only the drop takes it");
            let answer = query(connection).map_err(|setback| setback.into_error(|| what));
            drop(lent);
            drop(permit);
            answer
        });
        read.await.unwrap_or_else(|error| Err(StoreError::unavailable(place, error)))
    }

    /// Takes a connection; the caller holds a permit.
    fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let connection = Some(self.idle.lock().pop().ok_or(StoreError::Closed)?);
        Ok(Lent { readers: self, connection })
    }

    /// Waits until every connection is back, then runs `work` on a thread that may block, and
    /// closes them before it. `None` if that has been done before.
    pub(super) async fn close<T: Send + 'static>(
        self: Arc<Self>,
        spawner: Spawner,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Option<Result<T, StoreError>> {
        let permits = Arc::clone(&self.permits);
        let all = permits.acquire_many_owned(self.count).await.ok()?;
        let closing = spawner.spawn_blocking(move || {
            self.idle.lock().clear();
            let answer = work();
            // Whoever else waits to close is let go only now, when it is done.
            self.permits.close();
            drop(all);
            answer
        });
        let place = "the close of the store";
        Some(closing.await.unwrap_or_else(|error| Err(StoreError::unavailable(place, error))))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.readers.idle.lock().extend(self.connection.take());
    }
}

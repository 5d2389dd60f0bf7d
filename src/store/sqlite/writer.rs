//! The one connection that writes: a batch of jobs becomes one transaction.

use rusqlite::Connection;

use super::change;
use super::failure::{Setback, not_committed, undone};
use super::queue::{Answer, Job, Operation};
use super::tombstone;
use crate::rt::{AtomicU64, Ordering};
use crate::store::StoreError;

/// The connection that writes.
///
/// It is kept after a failed commit. SQLite has rolled back by then, and the next commit overwrites
/// in the log what the failed one left there; to open it anew could bring that back.
#[derive(Debug)]
pub(super) struct Writer {
    /// The connection; never left inside a transaction.
    connection: Connection,
}

impl Writer {
    /// A writer on `connection`.
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// The connection, to be closed.
    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Does the jobs and answers them, each after the commit that made it durable. Adds the commits
    /// to `transactions`.
    ///
    /// They go into one transaction. If SQLite fails in the middle of one of them it is rolled back
    /// and each goes into one of its own, so that only the culprit fails.
    pub(super) fn run(&mut self, jobs: Vec<Job>, transactions: &AtomicU64) {
        match self.attempt(&jobs) {
            Ok(answers) => {
                transactions.fetch_add(1, Ordering::Relaxed);
                for (job, answer) in jobs.into_iter().zip(answers) {
                    job.answer(answer);
                }
            }
            Err(Stopped::Within(_)) if jobs.len() > 1 => {
                for job in jobs {
                    self.run(vec![job], transactions);
                }
            }
            Err(Stopped::Within(error) | Stopped::Whole(error)) => {
                for job in jobs {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }

    /// Does the jobs in one transaction.
    fn attempt(&self, jobs: &[Job]) -> Result<Vec<Result<Answer, StoreError>>, Stopped> {
        // A panic in the middle of a batch would have left one open.
        self.roll_back();
        self.execute("BEGIN IMMEDIATE").map_err(|error| {
            Stopped::Whole(undone("the begin of a transaction".to_owned(), error))
        })?;
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(match perform(&self.connection, &job.operation) {
                Ok(answer) => Ok(answer),
                Err(Setback::Refused(error)) => Err(error),
                Err(Setback::Sql(error)) => {
                    self.roll_back();
                    return Err(Stopped::Within(undone(job.operation.to_string(), error)));
                }
            });
        }
        self.execute("COMMIT").map_err(|error| {
            let undecided = !self.connection.is_autocommit();
            self.roll_back();
            let what = format!("the commit of {} writes", jobs.len());
            Stopped::Whole(not_committed(what, error, undecided))
        })?;
        Ok(answers)
    }

    /// Leaves the transaction, if there is one.
    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // If even this fails, the next begin does, and says why.
            drop(self.execute("ROLLBACK"));
        }
    }

    /// Runs a statement without parameters.
    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}

/// Why a batch did not become a transaction. Nothing of it is left in the connection.
enum Stopped {
    /// SQLite failed within one of its jobs.
    Within(StoreError),
    /// It failed at the begin or the end, so for all of them.
    Whole(StoreError),
}

/// Does one job inside the transaction.
fn perform(connection: &Connection, operation: &Operation) -> Result<Answer, Setback> {
    match operation {
        Operation::Create(new) => {
            change::create(connection, new).map(|created| Answer::Created(Box::new(created)))
        }
        Operation::Write { id, incarnation, write } => {
            change::apply(connection, id, *incarnation, write).map(|()| Answer::Written)
        }
        Operation::Forget { now, limit } => {
            Ok(Answer::Forgotten(tombstone::forget(connection, *now, *limit)?))
        }
    }
}

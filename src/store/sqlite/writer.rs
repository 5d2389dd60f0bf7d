//! The one connection that writes: a batch of jobs becomes one transaction.

use rusqlite::Connection;

use super::change;
use super::failure::{Setback, not_committed, undone};
use super::queue::{Answer, Job, Operation};
use super::{binding, heal, request, resume, revision, run, tombstone};
use crate::rt::{AtomicU64, Ordering};
use crate::store::{Forget, StoreError};

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
        Operation::Bind { binding, to } => {
            binding::change(connection, binding, to.as_ref()).map(Answer::Bound)
        }
        Operation::OpenRun { instance, at } => {
            run::open(connection, *instance, *at).map(|found| Answer::Opened(Box::new(found)))
        }
        Operation::CloseRun { instance, stop } => {
            run::close(connection, *instance, *stop).map(|()| Answer::Written)
        }
        Operation::Forget { what, limit } => Ok(Answer::Forgotten(match what {
            Forget::Tombstones(now) => tombstone::forget(connection, *now, *limit)?,
            Forget::Revisions(at) => revision::forget(connection, *at, *limit)?,
            Forget::Requests(at) => request::forget(connection, *at, *limit)?,
            Forget::ResumeHandles(at) => resume::forget_handles(connection, *at, *limit)?,
            Forget::RefusedHandles(at) => resume::forget_refused(connection, *at, *limit)?,
        })),
        Operation::Heal => heal::heal(connection).map(|report| Answer::Healed(Box::new(report))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::SessionId;
    use crate::rt::oneshot;
    use crate::store::sqlite::{SqliteOptions, schema};
    use crate::store::{Created, NewRecord};

    /// A job that creates a session.
    fn create(name: &str) -> (Job, oneshot::Receiver<Result<Answer, StoreError>>) {
        let new = NewRecord {
            entries: vec!["entry".into()],
            ..NewRecord::new(SessionId::new(name).unwrap(), Timestamp::default())
        };
        let (reply, answer) = oneshot::channel();
        (Job { operation: Operation::Create(Box::new(new)), reply }, answer)
    }

    /// A writer on a new file, where a session `bad` cannot be created.
    fn writer(path: &std::path::Path) -> Writer {
        schema::create(path).unwrap();
        let connection = schema::open_writer(path, &SqliteOptions::default()).unwrap();
        connection
            .execute_batch(
                "CREATE TEMP TRIGGER t AFTER INSERT ON sessions WHEN NEW.id = 'bad' \
                 BEGIN SELECT raise(FAIL, 'no'); END",
            )
            .unwrap();
        Writer::new(connection)
    }

    #[test]
    fn one_transaction_serves_a_batch_and_a_failure_within_it_fails_only_the_culprit() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(&folder.path().join("s.db"));
        let transactions = AtomicU64::new(0);
        let run = |writer: &mut Writer, names: &[&str]| {
            let (jobs, mut answers): (Vec<_>, Vec<_>) = names.iter().map(|n| create(n)).unzip();
            writer.run(jobs, &transactions);
            let answers = answers.iter_mut().map(|answer| match answer.try_recv().unwrap() {
                Ok(Answer::Created(created)) => matches!(*created, Created::Created(_)),
                Ok(
                    Answer::Written
                    | Answer::Bound(_)
                    | Answer::Opened(_)
                    | Answer::Forgotten(_)
                    | Answer::Healed(_),
                )
                | Err(_) => false,
            });
            (answers.collect::<Vec<_>>(), transactions.swap(0, Ordering::Relaxed))
        };
        assert_eq!(run(&mut writer, &["a", "b", "a"]), (vec![true, true, false], 1));
        assert_eq!(run(&mut writer, &["c", "bad", "d"]), (vec![true, false, true], 2));
        assert_eq!(run(&mut writer, &["bad"]), (vec![false], 0));
        let entries = "SELECT count(*) FROM entries";
        let count: i64 = writer.connection.query_row(entries, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 4, "the culprit left its entry behind");
    }
}

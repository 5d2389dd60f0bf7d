//! Whether a commit minds how long its conversation is.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use session_supervisor::{BusyPolicy, ChatMessage, CommitOutcome, NewSession, Session, Supervisor};

use crate::measure::{Sample, Series, in_task, median};
use crate::report::{Report, Shown, Target};
use crate::world::{self, Said};

/// Entries of the long conversations and of the short ones.
const LONG: usize = 10_000;
const SHORT: usize = 10;

/// On memory and on a file.
pub(crate) fn run(report: &mut Report) {
    let runtime = world::runtime();
    let series = in_task(&runtime, async {
        let supervisor = world::on_memory().await;
        measure(&supervisor, "memory", 64, 41).await
    });
    report.sides(Shown::Time, &series, &[Some(Target::Within(0.1))]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("conversation.db");
    let series = in_task(&runtime, async move {
        let supervisor = world::on_file(Path::new(&path)).await;
        measure(&supervisor, "sqlite", 16, 31).await
    });
    report.sides(Shown::Time, &series, &[Some(Target::Within(0.1))]);
}

/// A session with so many entries.
async fn talked(supervisor: &Supervisor, entries: usize) -> Session {
    let session = supervisor.create(NewSession::new()).await.expect("it is created");
    let entry = || ChatMessage::user("m".repeat(64));
    let entries: Vec<_> = (0..entries).map(|_| entry()).collect();
    session.append(&entries).await.expect("the store does not fail");
    session
}

/// Commits in long and short conversations by turns, one for one. The short ones are made anew each
/// round, so that they stay short.
async fn measure(
    supervisor: &Supervisor,
    store: &str,
    sessions: usize,
    rounds: usize,
) -> Vec<Series> {
    let said = Said::short();
    let mut long = Vec::new();
    for _ in 0..sessions {
        long.push(talked(supervisor, LONG).await);
    }
    let (mut in_long, mut in_short) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let mut short = Vec::new();
        for _ in 0..sessions {
            short.push(talked(supervisor, SHORT).await);
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (number, (long, short)) in long.iter().zip(&short).enumerate() {
            // Either goes first as often as the other.
            if (round + number) % 2 == 0 {
                a.push(commit(long, &said).await);
                b.push(commit(short, &said).await);
            } else {
                b.push(commit(short, &said).await);
                a.push(commit(long, &said).await);
            }
        }
        if round > 0 {
            in_long.push(Sample { wall: median(a), cpu: f64::NAN });
            in_short.push(Sample { wall: median(b), cpu: f64::NAN });
        }
    }
    let name = |entries| format!("commit/{store}/entries={entries}");
    vec![Series::of(name(LONG), in_long), Series::of(name(SHORT), in_short)]
}

/// The time of one commit, in nanoseconds.
async fn commit(session: &Session, said: &Arc<Said>) -> f64 {
    let turn = session.begin(&said.input, BusyPolicy::Reject).await.expect("it is idle");
    let start = Instant::now();
    let outcome = turn.commit(&said.reply).await;
    let took = start.elapsed().as_nanos() as f64;
    assert!(matches!(outcome, Ok(CommitOutcome::Committed { .. })));
    took
}

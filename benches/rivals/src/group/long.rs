//! What an operation costs in a conversation that is longer.

use std::path::PathBuf;
use std::time::Duration;

use session_supervisor::{
    ChatMessage, Config, NewSession, Session, SessionId, SqliteOptions, SqliteStore, Supervisor,
};
use tokio::runtime::Runtime;

use crate::figure::{OURS, Place};
use crate::measure::{Sample, Side, in_task, interleave, timed};
use crate::report::{Report, Shown};
use crate::world::{self, Said};

/// How many entries the last page of a conversation has.
const PAGE: usize = 50;

/// How many entries are appended at once to make one.
const AT_ONCE: usize = 1_000;

/// How many conversations of each length there are, so that one page of memory is not all that is used.
const CONVERSATIONS: usize = 8;

/// Turns, the last page and waking, in memory and on SQLite.
pub(super) fn run(report: &mut Report) {
    let lengths: &[usize] =
        report.scale.pick(&[1, 10, 100, 1_000, 10_000, 100_000], &[1, 100, 1_000]);
    let runtime = world::runtime();
    for &length in lengths {
        let at = Place { of: "entries".to_owned(), count: length as f64 };
        let ours = in_task(&runtime, world::on_memory());
        let sessions = in_task(&runtime, conversations(ours, length));
        measure(report, &runtime, "memory", &at, &sessions);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("long.db");
        let sessions = in_task(&runtime, {
            let path = path.clone();
            async move { conversations(world::on_file(&path).await, length).await }
        });
        measure(report, &runtime, "sqlite", &at, &sessions);
        drop(sessions);
    }
    for &length in lengths {
        let at = Place { of: "entries".to_owned(), count: length as f64 };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("asleep.db");
        let sleepers = in_task(&runtime, asleep(path, length));
        let side = Side::new(OURS, || wake(&runtime, &sleepers));
        let series = interleave(report.scale.rounds(15), vec![side]);
        report.on_curve("growth/wake/sqlite", Some(&at), Shown::Times, &series);
        runtime.block_on(sleepers.0.shutdown(Duration::from_secs(5))).expect("it closes");
    }
}

/// Conversations with so many entries.
async fn conversations(supervisor: Supervisor, length: usize) -> Vec<Session> {
    let said = Said::short();
    let entries: Vec<ChatMessage> = vec![said.reply.clone(); AT_ONCE.min(length)];
    let mut sessions = Vec::new();
    for _ in 0..CONVERSATIONS {
        let session = supervisor.create(NewSession::new()).await.expect("it is created");
        for _ in 0..length.div_ceil(AT_ONCE) {
            session.append(&entries).await.expect("the store does not fail");
        }
        sessions.push(session);
    }
    sessions
}

/// Turns and the last page.
fn measure(report: &mut Report, runtime: &Runtime, store: &str, at: &Place, on: &[Session]) {
    let count = if store == "memory" { report.scale.pick(2_000, 200) } else { 80 };
    let rounds = report.scale.rounds(7);
    // The page first: turns make the conversations longer, and the short ones a hundred times so.
    let page = Side::new(OURS, || pages(runtime, on));
    let series = interleave(rounds, vec![page]);
    report.on_curve(&format!("growth/last_page/{store}"), Some(at), Shown::Times, &series);
    let turn = Side::new(OURS, || turns(runtime, on, count));
    let series = interleave(rounds, vec![turn]);
    report.on_curve(&format!("growth/turn_in/{store}"), Some(at), Shown::Times, &series);
}

fn turns(runtime: &Runtime, sessions: &[Session], count: usize) -> Sample {
    let sessions = sessions.to_vec();
    let said = Said::short();
    in_task(runtime, async move {
        timed(count, async {
            for number in 0..count {
                world::turn(&sessions[number % sessions.len()], &said).await;
            }
        })
        .await
    })
}

/// The last entries of each conversation.
fn pages(runtime: &Runtime, sessions: &[Session]) -> Sample {
    let sessions = sessions.to_vec();
    in_task(runtime, async move {
        let mut after = Vec::new();
        for session in &sessions {
            let record = session.record().await.expect("it is there");
            after.push((record.next_seq - 1).saturating_sub(PAGE as u64));
        }
        timed(sessions.len(), async {
            for (session, after) in sessions.iter().zip(&after) {
                let entries = session.entries(*after, PAGE).await.expect("it can be read");
                assert!(!entries.is_empty());
            }
        })
        .await
    })
}

/// Conversations that are not loaded, with what they are found by.
async fn asleep(path: PathBuf, length: usize) -> (Supervisor, Vec<SessionId>) {
    let first = world::on_file(&path).await;
    let sessions = conversations(first.clone(), length).await;
    let ids = sessions.iter().map(|session| session.id().clone()).collect();
    first.shutdown(Duration::from_secs(10)).await.expect("it closes");
    let mut config = Config::default();
    config.idle.max_live = 1;
    config.idle.check_every = Duration::from_millis(10);
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.expect("it opens");
    let builder = Supervisor::builder().store(store).config(config);
    (builder.start().await.expect("it starts"), ids)
}

/// Finds each by its id, which loads it; before that all but one have left.
fn wake(runtime: &Runtime, (supervisor, ids): &(Supervisor, Vec<SessionId>)) -> Sample {
    let (supervisor, ids) = (supervisor.clone(), ids.clone());
    in_task(runtime, async move {
        while supervisor.loaded() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = supervisor.counts().loaded;
        let sample = timed(ids.len(), async {
            for id in &ids {
                let found = supervisor.look_up(id).await.expect("the store does not fail");
                let session = found.live().expect("it is there");
                std::hint::black_box(session.status());
            }
        })
        .await;
        let woken = supervisor.counts().loaded - before;
        assert!(woken as usize + 1 >= ids.len(), "{woken} of {} were asleep", ids.len());
        sample
    })
}

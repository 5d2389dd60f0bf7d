//! The library's own workloads, to look at while working on it: `cargo bench --bench core`.
//!
//! `benches/figures` holds the same against its limits. What stands here has none beside it, is
//! quicker, and takes a filter: `cargo bench --bench core -- begin_commit`.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench: where anything fails it cannot go on"
)]

#[cfg(feature = "sqlite")]
use std::sync::Arc;

use divan::{Bencher, black_box};
use session_supervisor::{
    BusyPolicy, ChatMessage, CommitOutcome, Lookup, NewSession, Session, SessionKey, Supervisor,
};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn key(number: usize) -> SessionKey {
    SessionKey::builder("irc").chat(&format!("room-{number:010}")).build().unwrap()
}

/// A supervisor on memory with so many sessions.
fn with_sessions(runtime: &Runtime, count: usize) -> (Supervisor, Vec<Session>) {
    runtime.block_on(async {
        let supervisor = Supervisor::builder().start().await.unwrap();
        let mut sessions = Vec::with_capacity(count);
        for number in 0..count {
            sessions.push(supervisor.open(&key(number)).await.unwrap());
        }
        (supervisor, sessions)
    })
}

async fn turn(session: &Session, input: &ChatMessage, reply: &ChatMessage) {
    let turn = session.begin(input, BusyPolicy::Reject).await.unwrap();
    let outcome = turn.commit(reply).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }));
}

/// What is said: 32 bytes, and 128.
fn said() -> (ChatMessage, ChatMessage) {
    (ChatMessage::user("m".repeat(32)), ChatMessage::assistant("m".repeat(128)))
}

/// The next of `sessions`, far from the one before.
fn next<'a, T>(things: &'a [T], at: &mut usize) -> &'a T {
    *at = (*at + 7_919) % things.len();
    things.get(*at).unwrap()
}

#[divan::bench(args = [100, 10_000])]
fn look_up_and_status(bencher: Bencher<'_, '_>, sessions: usize) {
    let runtime = runtime();
    let (supervisor, sessions) = with_sessions(&runtime, sessions);
    let mut at = 0;
    bencher.bench_local(|| {
        let id = next(&sessions, &mut at).id();
        let found = runtime.block_on(supervisor.look_up(id)).ok().and_then(Lookup::live);
        black_box(found.unwrap().status())
    });
}

#[divan::bench(args = [100, 10_000])]
fn open_known_key(bencher: Bencher<'_, '_>, sessions: usize) {
    let runtime = runtime();
    let (supervisor, _sessions) = with_sessions(&runtime, sessions);
    let keys: Vec<_> = (0..sessions).map(key).collect();
    let mut at = 0;
    bencher.bench_local(|| {
        runtime.block_on(supervisor.open(next(&keys, &mut at))).map(black_box).ok()
    });
}

#[divan::bench]
fn create_by_key(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let (supervisor, _) = with_sessions(&runtime, 0);
    let mut number = 0;
    bencher
        .with_inputs(|| {
            number += 1;
            key(number)
        })
        .bench_local_values(|key| runtime.block_on(supervisor.open(&key)).unwrap());
}

#[divan::bench]
fn delete(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let (supervisor, _) = with_sessions(&runtime, 0);
    bencher
        .with_inputs(|| runtime.block_on(supervisor.create(NewSession::new())).unwrap())
        .bench_local_values(|session| runtime.block_on(session.delete()).unwrap());
}

#[divan::bench(args = [1, 100, 10_000])]
fn begin_commit_on_memory(bencher: Bencher<'_, '_>, sessions: usize) {
    let runtime = runtime();
    let (_supervisor, sessions) = with_sessions(&runtime, sessions);
    let (input, reply) = said();
    let mut at = 0;
    bencher.bench_local(|| runtime.block_on(turn(next(&sessions, &mut at), &input, &reply)));
}

/// One turn in each of so many sessions, at once; the time is that of all together.
#[cfg(feature = "sqlite")]
#[divan::bench(args = [1, 8, 64, 512], sample_count = 20, sample_size = 1)]
fn begin_commit_on_sqlite_at_once(bencher: Bencher<'_, '_>, sessions: usize) {
    use session_supervisor::{SqliteOptions, SqliteStore};

    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let said = Arc::new(said());
    let sessions: Vec<Session> = runtime.block_on(async {
        let path = folder.path().join("bench.db");
        let store = SqliteStore::open(path, SqliteOptions::default()).await.unwrap();
        let supervisor: Supervisor = Supervisor::builder().store(store).start().await.unwrap();
        let mut opened = Vec::new();
        for number in 0..sessions {
            opened.push(supervisor.open(&key(number)).await.unwrap());
        }
        opened
    });
    bencher.counter(divan::counter::ItemsCount::new(sessions.len())).bench_local(|| {
        runtime.block_on(async {
            let mut turns = tokio::task::JoinSet::new();
            for session in &sessions {
                let (session, said) = (session.clone(), said.clone());
                turns.spawn(async move { turn(&session, &said.0, &said.1).await });
            }
            turns.join_all().await;
        });
    });
}

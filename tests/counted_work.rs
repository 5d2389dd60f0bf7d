//! What the paths that are hot cost in work that can be counted: allocations, store transactions, actors. Times
//! vary with the machine, and these do not, so that a change that makes a turn dearer is seen in the gate.
//!
//! The only test of its program, since it is the program's allocations that are counted. A bound is what is needed by
//! now, rounded up; whoever needs less lowers it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a test, which does not run on the library's seam"
)]

use std::alloc::System;
use std::future::Future;

use session_supervisor::{
    BusyPolicy, ChatMessage, CommitOutcome, Event, Lookup, Session, SessionKey, SqliteOptions,
    SqliteStore, Supervisor, TurnInput,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often each path is taken before it is counted, and while it is.
const TIMES: usize = 1_000;

/// A path, how many allocations it makes each time, and how many it may make.
struct Counted {
    what: &'static str,
    each: f64,
    most: f64,
}

/// Counts what `work` allocates each time, once it has been done often.
async fn count<F: Future<Output = ()>>(
    what: &'static str,
    most: f64,
    mut work: impl FnMut(usize) -> F,
) -> Counted {
    for number in 0..TIMES {
        work(number).await;
    }
    let region = Region::new(ALLOCATOR);
    for number in TIMES..2 * TIMES {
        work(number).await;
    }
    let change = region.change();
    // A vector that grows is one allocation that goes on.
    let made = change.allocations + change.reallocations;
    Counted { what, each: made as f64 / TIMES as f64, most }
}

fn key(number: usize) -> SessionKey {
    SessionKey::builder("irc").chat(&format!("room-{number:010}")).user("somebody").build().unwrap()
}

/// A turn in which nothing is said: what the slot, the fence and the outcome take by themselves.
async fn silent_turn(session: &Session) {
    let turn = session.begin(TurnInput::none(), BusyPolicy::Reject).await.unwrap();
    let reply: &[ChatMessage] = &[];
    let outcome = turn.commit(reply).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }));
}

/// A turn with what is said and its reply.
async fn turn(session: &Session, said: &(ChatMessage, ChatMessage)) {
    let turn = session.begin(&said.0, BusyPolicy::Reject).await.unwrap();
    let outcome = turn.commit(&said.1).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }));
}

#[tokio::test]
async fn hot_paths_cost_no_more_than_they_did() {
    let supervisor: Supervisor = Supervisor::builder().start().await.unwrap();
    let mut sessions: Vec<Session> = Vec::new();
    for number in 0..16 {
        sessions.push(supervisor.open(&key(number)).await.unwrap());
    }
    let keys: Vec<SessionKey> = (0..16).map(key).collect();
    let said = (ChatMessage::user("m".repeat(32)), ChatMessage::assistant("m".repeat(128)));
    let (supervisor, sessions, keys, said) = (&supervisor, &sessions, &keys, &said);
    let session = |number: usize| &sessions[number % 16];
    let mut all = Vec::new();

    let look_up = async |number: usize| {
        let found = supervisor.look_up(session(number).id()).await;
        let found = found.ok().and_then(Lookup::live).unwrap();
        assert!(!found.status().is_busy());
    };
    all.push(count("look_up and status", 0.0, look_up).await);
    let open = async |number: usize| drop(supervisor.open(&keys[number % 16]).await.unwrap());
    all.push(count("open of a known key", 0.0, open).await);
    let touch = async |number: usize| session(number).touch().await.unwrap();
    all.push(count("touch", 0.0, touch).await);
    let silent = async |number: usize| silent_turn(session(number)).await;
    all.push(count("begin and commit without entries", 5.1, silent).await);
    let said_turn = async |number: usize| turn(session(number), said).await;
    all.push(count("begin and commit", 10.2, said_turn).await);

    let running = session(0).begin(TurnInput::none(), BusyPolicy::Reject).await.unwrap();
    let mut reader = session(0).subscribe().unwrap();
    for _ in 0..10 * TIMES {
        running.emit("a word").unwrap();
    }
    while let Some(Event::Chunk { .. } | Event::Lagged { .. }) = reader.next().await {
        if reader.cursor().seq() == 10 * TIMES as u64 {
            break;
        }
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..TIMES {
        running.emit("a word").unwrap();
        assert!(matches!(reader.next().await, Some(Event::Chunk { .. })));
    }
    let each = region.change().allocations as f64 / TIMES as f64;
    all.push(Counted { what: "a chunk, emitted and read", each, most: 1.1 });
    drop(running);
    // Nothing of it needs an actor.
    assert_eq!(supervisor.counts().actors_started, 0);

    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("a.db"), SqliteOptions::default());
    let store = store.await.unwrap();
    let durable: Supervisor = Supervisor::builder().store(store.clone()).start().await.unwrap();
    let alone = durable.open(&key(0)).await.unwrap();
    turn(&alone, said).await;
    let before = store.transactions();
    for _ in 0..10 {
        turn(&alone, said).await;
    }
    let each = (store.transactions() - before) as f64 / 10.0;
    all.push(Counted { what: "transactions of a begin and a commit", each, most: 2.0 });

    for Counted { what, each, most } in &all {
        println!("{what}: {each:.3}, at most {most}");
    }
    let dear: Vec<_> = all.iter().filter(|it| it.each > it.most).map(|it| it.what).collect();
    assert!(dear.is_empty(), "dearer than they were: {dear:?}");
}

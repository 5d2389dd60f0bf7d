//! One walk through everything, on every store: the first test to run when something is wrong.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test's helper")]

use std::time::Duration;

use session_supervisor::{
    BusyPolicy, ChatMessage, CommitOutcome, DeleteOutcome, Event, Lookup, MemoryStore, SessionKey,
    Store, Supervisor, TurnOutcome, testing::FaultyStore,
};
use std::sync::Arc;

async fn walk(store: Arc<dyn Store>) {
    let supervisor: Supervisor = Supervisor::builder().shared_store(store).start().await.unwrap();
    let key = SessionKey::builder("irc").chat("#rust").build().unwrap();
    let session = supervisor.open(&key).await.unwrap();
    let turn = session.begin(&ChatMessage::user("hello"), ()).await.unwrap();
    let mut reader = turn.subscribe();
    assert!(session.begin(&ChatMessage::user("again"), ()).await.is_err());
    let queued = tokio::spawn({
        let session = session.clone();
        async move { session.begin(&ChatMessage::user("queued"), BusyPolicy::queue()).await }
    });
    turn.emit("hi").unwrap();
    let outcome = turn.commit(&ChatMessage::assistant("hi")).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { seq: 2, version: 1 }), "{outcome:?}");
    assert!(matches!(reader.next().await, Some(Event::Chunk { seq: 1, .. })));
    assert_eq!(reader.next().await, Some(Event::Ended(TurnOutcome::Committed)));
    assert_eq!(reader.next().await, None);
    let queued = queued.await.unwrap().unwrap();
    let running = session
        .run(
            &ChatMessage::user("parallel"),
            BusyPolicy::Parallel(session_supervisor::Parallel::FirstCommit),
            |turn| async move { turn.commit(&ChatMessage::assistant("first")).await.unwrap() },
        )
        .await
        .unwrap();
    assert!(matches!(running.await.unwrap(), CommitOutcome::Committed { .. }));
    let outcome = queued.commit(&ChatMessage::assistant("late")).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Superseded { .. }), "{outcome:?}");
    assert_eq!(session.transcript().await.unwrap().len(), 4);
    session.insert("mood", &"good").await.unwrap();
    assert_eq!(session.get::<String>("mood").await.unwrap().as_deref(), Some("good"));
    assert!(matches!(session.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
    assert!(matches!(supervisor.look_up(session.id()).await.unwrap(), Lookup::Gone(_)));
    let fresh = supervisor.open(&key).await.unwrap();
    assert_ne!(fresh.id(), session.id());
    let report = supervisor.audit();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(supervisor.audit_counts(), Vec::<String>::new());
    assert!(supervisor.shutdown(Duration::from_secs(1)).await.unwrap().clean);
}

// G1, M5
#[tokio::test]
async fn walk_on_memory() {
    walk(Arc::new(MemoryStore::new())).await;
}

// G1, M5
#[tokio::test(flavor = "multi_thread")]
async fn walk_on_a_store_that_has_to_be_awaited() {
    walk(Arc::new(FaultyStore::pending(Arc::new(MemoryStore::new())))).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn walk_on_sqlite() {
    let folder = tempfile::TempDir::new().unwrap();
    let options = session_supervisor::SqliteOptions::default();
    let store = session_supervisor::SqliteStore::open(folder.path().join("walk.db"), options);
    walk(Arc::new(store.await.unwrap())).await;
}

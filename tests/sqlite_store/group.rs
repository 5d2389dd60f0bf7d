//! Many writes, few transactions; and nobody pays for another's mistake.

use std::time::Duration;

use session_supervisor::store::{FenceReason, SqliteOptions, SqliteStore, Store, StoreError};

use crate::{append, at, begin, commit, created, delete, id, live, new_record, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_many_sessions_that_come_at_once_share_their_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("s.db")).await;
    let mut records = Vec::new();
    for n in 0..200 {
        records.push(created(&store, new_record(&format!("s{n}"))).await);
    }
    let before = store.transactions();
    let writes: Vec<_> = records
        .iter()
        .map(|record| store.write(&record.id, record.incarnation, append(1, "hello")))
        .collect();
    for write in writes {
        write.await.unwrap();
    }
    let used = store.transactions() - before;
    assert!((1..=20).contains(&used), "{used} transactions for 200 writes");
    for record in &records {
        assert_eq!(live(&store, &record.id.to_string()).await.next_seq, 2);
    }
}

#[tokio::test]
async fn a_refused_write_does_not_fail_the_others_in_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("s.db")).await;
    let a = created(&store, new_record("a")).await;
    let b = created(&store, new_record("b")).await;
    let before = store.transactions();
    let first = store.write(&a.id, a.incarnation, append(1, "one"));
    let good = store.write(&b.id, b.incarnation, append(1, "one"));
    let late = store.write(&a.id, a.incarnation, append(1, "again"));
    let never = store.write(&a.id, a.incarnation, commit(9, 2, vec!["x".into()]));
    let next = store.write(&a.id, a.incarnation, append(2, "two"));
    first.await.unwrap();
    good.await.unwrap();
    let Err(StoreError::Fenced { reason: FenceReason::OutOfOrder }) = late.await else { panic!() };
    let Err(StoreError::Fenced { reason: FenceReason::TurnNotOpen }) = never.await else {
        panic!()
    };
    next.await.unwrap();
    assert!(store.transactions() - before < 5, "the writes were not gathered");
    let entries = store.entries(&a.id, a.incarnation, 0, 9).await.unwrap();
    assert_eq!(entries.iter().map(|e| &e.payload[..]).collect::<Vec<_>>(), [b"one", b"two"]);
}

/// The culprit breaks the primary key of `turns`: a row is there that its record knows nothing of.
#[tokio::test]
async fn a_write_that_fails_in_sqlite_is_undone_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = open(&path).await;
    let a = created(&store, new_record("a")).await;
    let b = created(&store, new_record("b")).await;
    store.write(&a.id, a.incarnation, begin(1, None)).await.unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute(
            "INSERT INTO turns VALUES (?1, 1, 'failed', 0, 0)",
            [i64::try_from(a.incarnation.get()).unwrap()],
        )
        .unwrap();
    // The first write alone goes at once, so the three behind it are one batch.
    let before = store.transactions();
    let ahead = store.write(&b.id, b.incarnation, append(1, "one"));
    let good = store.write(&b.id, b.incarnation, append(2, "two"));
    let culprit = store.write(&a.id, a.incarnation, commit(1, 1, vec!["x".into()]));
    let after = store.write(&b.id, b.incarnation, append(3, "three"));
    ahead.await.unwrap();
    good.await.unwrap();
    assert!(matches!(culprit.await, Err(StoreError::Damaged { .. })));
    after.await.unwrap();
    assert!(store.transactions() > before);
    assert_eq!(live(&store, "b").await.next_seq, 4);
    let a = live(&store, "a").await;
    assert_eq!((a.open.len(), a.entries), (1, 0), "nothing of the culprit is left");
}

#[tokio::test]
async fn a_write_whose_future_is_dropped_happens_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = open(&path).await;
    let a = created(&store, new_record("a")).await;
    drop(store.write(&a.id, a.incarnation, append(1, "kept")));
    store.close().await.unwrap();
    assert_eq!(live(&open(&path).await, "a").await.entries, 1);
}

#[tokio::test]
async fn more_writes_than_may_wait_are_refused_and_the_others_happen() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = SqliteOptions::default();
    options.max_queued = 3;
    let store = SqliteStore::open(folder.path().join("s.db"), options).await.unwrap();
    let a = created(&store, new_record("a")).await;
    // More than can be taken to the disk while they are pushed.
    let writes: Vec<_> =
        (1..=2_000).map(|n| store.write(&a.id, a.incarnation, append(n, "x"))).collect();
    let mut full = 0;
    let mut done = 0;
    for write in writes {
        match write.await {
            Ok(()) => done += 1,
            Err(StoreError::Full { what }) => {
                assert!(what.contains('3'), "{what}");
                full += 1;
            }
            // Behind one that was refused.
            Err(StoreError::Fenced { reason: FenceReason::OutOfOrder }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(full > 0 && done > 0, "{full} refused, {done} done");
    assert_eq!(live(&store, "a").await.entries, done);
}

#[tokio::test]
async fn a_closed_store_finishes_what_was_handed_over_and_refuses_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = open(&path).await;
    let a = created(&store, new_record("a")).await;
    let writes: Vec<_> =
        (1..=50).map(|n| store.write(&a.id, a.incarnation, append(n, "x"))).collect();
    let (first, second) = tokio::join!(store.close(), store.clone().close());
    first.unwrap();
    second.unwrap();
    for write in writes {
        write.await.unwrap();
    }
    store.close().await.unwrap();
    let refused = store.write(&a.id, a.incarnation, delete(a.incarnation)).await;
    assert!(matches!(refused, Err(StoreError::Closed)));
    assert!(matches!(store.look_up(&a.id, at(1)).await, Err(StoreError::Closed)));
    assert!(!folder.path().join("s.db-wal").exists(), "the log was taken over");
    assert_eq!(live(&open(&path).await, "a").await.entries, 50);
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_does_not_run_ahead_of_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("s.db")).await;
    let work = async {
        let a = created(&store, new_record("a")).await;
        for n in 1..=20 {
            store.write(&a.id, a.incarnation, append(n, "x")).await.unwrap();
        }
        live(&store, &id("a").to_string()).await.entries
    };
    let entries = tokio::time::timeout(Duration::from_millis(1), work).await;
    assert_eq!(entries.unwrap(), 20);
    // And with nothing to do there is nothing that holds the clock.
    tokio::time::sleep(Duration::from_secs(3_600)).await;
}

#[test]
fn outside_of_a_runtime_opening_is_an_error_and_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let opening = SqliteStore::open(folder.path().join("s.db"), SqliteOptions::default());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = Future::poll(std::pin::pin!(opening), &mut context);
    let std::task::Poll::Ready(Err(StoreError::Unavailable { what, .. })) = polled else {
        panic!()
    };
    assert!(what.contains("runtime"), "{what}");
}

#[test]
fn a_runtime_that_has_shut_down_fails_writes_and_wedges_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (store, a) = runtime.block_on(async {
        let store = open(&path).await;
        let a = created(&store, new_record("a")).await;
        (store, a)
    });
    drop(runtime);
    let other = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..2 {
        let answer = other.block_on(store.write(&a.id, a.incarnation, append(1, "x")));
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
    }
    assert!(other.block_on(store.look_up(&a.id, at(1))).is_err());
    drop(store);
    assert_eq!(other.block_on(async { live(&open(&path).await, "a").await.entries }), 0);
}

//! What the tools of `testing` promise: gates, clocks, ids, the faulty store, drop points.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests, which do not run on the library's seam"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_supervisor::store::{
    Created, Found, MemoryStore, NewRecord, Record, Store, StoreError, Write,
};
use session_supervisor::testing::{
    CountingIds, Fault, FaultyStore, FixedIds, Gate, ManualClock, PausedClock, StoreCall,
    drop_at_every_await,
};
use session_supervisor::{Clock, IdSource, Moment, SessionId, Timestamp};
use tokio::task::yield_now;

/// A session without anything in it.
fn new(name: &str) -> NewRecord {
    NewRecord::new(SessionId::new(name).unwrap(), Timestamp::default())
}

/// A faulty store with one session in it, and that session.
async fn stage() -> (FaultyStore, Record) {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let Created::Created(record) = store.create(new("a")).await.unwrap() else {
        panic!("the store was empty")
    };
    store.reset_calls();
    (store, record)
}

/// Changes the label.
async fn label(store: &FaultyStore, life: &Record, label: &str) -> Result<(), StoreError> {
    let write = Write::Label { label: Some(label.to_owned()) };
    store.write(&life.id, life.incarnation, write).await
}

/// What the label is.
async fn read(store: &FaultyStore, life: &Record) -> Option<String> {
    match store.look_up(&life.id, Timestamp::default()).await {
        Ok(Found::Live(record)) => record.label,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_gate_holds_until_it_is_opened() {
    let gate = Gate::new();
    let waiter = tokio::spawn({
        let gate = gate.clone();
        async move { gate.wait().await }
    });
    gate.wait_until_reached().await;
    yield_now().await;
    assert!(!waiter.is_finished());
    gate.open();
    waiter.await.unwrap();
    gate.wait().await;
    assert_eq!((gate.reached(), gate.passed()), (2, 2));
}

#[tokio::test]
async fn a_gate_lets_exactly_so_many_through_whoever_comes_first() {
    let gate = Gate::new();
    gate.let_through(1);
    let waiters: Vec<_> = (0..5)
        .map(|_| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.wait().await })
        })
        .collect();
    gate.wait_until_reached_by(5).await;
    assert_eq!(gate.passed(), 1);
    gate.let_through(2);
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(gate.passed(), 3);
    assert_eq!(waiters.iter().filter(|waiter| waiter.is_finished()).count(), 3);
    gate.close();
    gate.open();
    for waiter in waiters {
        waiter.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_of_a_gate_is_lost_between_threads() {
    for _ in 0..500 {
        let gate = Gate::new();
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let gate = gate.clone();
                tokio::spawn(async move { gate.wait().await })
            })
            .collect();
        gate.let_through(2);
        gate.wait_until_reached_by(4).await;
        gate.let_through(2);
        for waiter in waiters {
            waiter.await.unwrap();
        }
        assert_eq!(gate.passed(), 4);
    }
}

#[test]
fn a_manual_clock_stands_still_and_its_wall_may_go_back() {
    let clock = ManualClock::starting_at(Timestamp::from_millis(5_000));
    let start = clock.now();
    assert_eq!(clock.now(), start);
    clock.advance(Duration::from_secs(1));
    clock.advance_moment(Duration::from_secs(1));
    clock.set_wall(Timestamp::from_millis(10));
    clock.advance_wall(Duration::from_millis(1));
    let now = clock.clone().now();
    assert_eq!(now.moment.since(start.moment), Duration::from_secs(2));
    assert_eq!(now.wall, Timestamp::from_millis(11));
    clock.set_moment(Moment::after_start(Duration::from_secs(9)));
    assert_eq!(clock.now().moment.since(start.moment), Duration::from_secs(9));
}

#[test]
#[should_panic(expected = "does not go back")]
fn a_manual_clock_refuses_to_set_its_moment_back() {
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(1));
    clock.set_moment(Moment::default());
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_follows_the_time_of_the_runtime() {
    let clock = PausedClock::starting_at(Timestamp::from_millis(1_000));
    let start = clock.now();
    tokio::time::advance(Duration::from_secs(3_600)).await;
    let now = clock.now();
    assert_eq!(now.moment.since(start.moment), Duration::from_secs(3_600));
    assert_eq!(now.wall.since(start.wall), Duration::from_secs(3_600));
}

#[test]
fn id_sources_count_and_repeat() {
    let counting = CountingIds::new();
    assert_eq!([counting.draw(), counting.draw()], [1, 2]);
    assert_eq!(counting.drawn(), 2);
    let fixed = FixedIds::new([7, 7, 9]);
    assert_eq!([fixed.draw(), fixed.draw(), fixed.draw(), fixed.draw()], [7, 7, 9, 7]);
}

#[tokio::test]
async fn a_faulty_store_fails_before_or_after_the_store_behind() {
    let (store, life) = stage().await;
    store.fail_next(Fault::Unavailable);
    let answer = label(&store, &life, "1").await;
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
    store.fail_next(Fault::Full);
    let answer = label(&store, &life, "2").await;
    assert!(matches!(answer, Err(StoreError::Full { .. })), "{answer:?}");
    store.fail_next(Fault::Refused(StoreError::Closed));
    let answer = label(&store, &life, "3").await;
    assert!(matches!(answer, Err(StoreError::Closed)), "{answer:?}");
    store.fail_next(Fault::UnknownAndLost);
    let answer = label(&store, &life, "4").await;
    assert!(matches!(answer, Err(StoreError::OutcomeUnknown { .. })), "{answer:?}");
    assert_eq!(read(&store, &life).await, None);
    store.fail_next(Fault::UnknownButApplied);
    let answer = label(&store, &life, "5").await;
    assert!(matches!(answer, Err(StoreError::OutcomeUnknown { .. })), "{answer:?}");
    assert_eq!(read(&store, &life).await.as_deref(), Some("5"));
    assert_eq!(store.faults_left(), 0);
}

#[tokio::test]
async fn faults_wait_for_the_call_that_they_are_for_and_calls_are_counted() {
    let (store, life) = stage().await;
    store.fail_nth(2, Fault::Full);
    store.fail_nth(3, Fault::Full);
    store.fail_nth_of(StoreCall::LookUp, 2, Fault::Unavailable);
    assert!(label(&store, &life, "1").await.is_ok());
    assert!(label(&store, &life, "2").await.is_err());
    assert!(label(&store, &life, "3").await.is_err());
    assert_eq!(read(&store, &life).await.as_deref(), Some("1"));
    assert!(store.look_up(&life.id, Timestamp::default()).await.is_err());
    assert_eq!(read(&store, &life).await.as_deref(), Some("1"));
    assert_eq!((store.calls(), store.writes()), (6, 3));
    assert_eq!(store.calls_of(StoreCall::Label), 3);
    assert_eq!(store.calls_of(StoreCall::Begin), 0);
    store.fail_every_of(StoreCall::Label, Fault::Full);
    for _ in 0..3 {
        assert!(label(&store, &life, "4").await.is_err());
    }
    assert_eq!(store.faults_left(), 1);
    store.heal();
    assert!(label(&store, &life, "5").await.is_ok());
}

#[tokio::test]
async fn a_held_call_happens_when_its_gate_opens_even_if_nobody_waits() {
    let (store, life) = stage().await;
    let (before, after) = (Gate::new(), Gate::new());
    store.fail_next_of(StoreCall::Label, Fault::HeldBefore(before.clone()));
    let write = Write::Label { label: Some("held".to_owned()) };
    drop(store.write(&life.id, life.incarnation, write));
    before.wait_until_reached().await;
    assert_eq!(read(&store, &life).await, None);
    before.open();
    while read(&store, &life).await.is_none() {
        yield_now().await;
    }
    store.fail_next_of(StoreCall::Label, Fault::HeldAfter(after.clone()));
    let held = tokio::spawn({
        let (store, life) = (store.clone(), life.clone());
        async move { label(&store, &life, "answered late").await }
    });
    after.wait_until_reached().await;
    assert_eq!(read(&store, &life).await.as_deref(), Some("answered late"));
    assert!(!held.is_finished());
    after.let_through(1);
    held.await.unwrap().unwrap();
}

/// Waits once for each way of being woken: by itself, by a task, by a timer, by another thread.
async fn four_waits(steps: Arc<AtomicUsize>) -> usize {
    yield_now().await;
    steps.fetch_add(1, Ordering::SeqCst);
    tokio::spawn(yield_now()).await.unwrap();
    steps.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(60)).await;
    steps.fetch_add(1, Ordering::SeqCst);
    tokio::task::spawn_blocking(|| ()).await.unwrap();
    steps.fetch_add(1, Ordering::SeqCst)
}

/// Drops [`four_waits`] everywhere and checks how far it came each time.
async fn every_drop_point_comes_once() {
    let mut reached = Vec::new();
    let dropped = drop_at_every_await(
        async || {
            let steps = Arc::new(AtomicUsize::new(0));
            (steps.clone(), four_waits(steps))
        },
        async |steps, output| reached.push((steps.load(Ordering::SeqCst), output)),
    )
    .await;
    assert_eq!(dropped, 4);
    let expected = vec![(0, None), (1, None), (2, None), (3, None), (4, Some(3))];
    assert_eq!(reached, expected);
}

#[tokio::test(start_paused = true)]
async fn a_future_is_dropped_at_each_await_on_one_thread_with_paused_time() {
    every_drop_point_comes_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_future_is_dropped_at_each_await_on_several_threads() {
    // Real time: without the long sleep.
    let dropped = drop_at_every_await(
        async || ((), async { tokio::task::spawn_blocking(|| ()).await.unwrap() }),
        async |(), _| (),
    )
    .await;
    assert!(dropped <= 1);
}

#[tokio::test]
async fn a_future_that_does_not_wait_has_no_drop_point() {
    assert_eq!(drop_at_every_await(async || ((), async {}), async |(), _| ()).await, 0);
}

//! Many readers of one turn: each is woken whatever the others do, and none of them holds up the turn.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use crate::support;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use session_supervisor::{Event, Subscription, Turn, TurnOutcome};
use support::{committed, everywhere, poll_once, quiet, until, user};

/// A read that owns its reader.
type Read = Pin<Box<dyn Future<Output = (Option<Event>, Subscription)> + Send>>;

/// A read that has begun to wait, and that nobody polls again.
fn stuck(mut reader: Subscription) -> Read {
    let mut read: Read = Box::pin(async move { (reader.next().await, reader) });
    assert!(poll_once(&mut read).is_pending(), "nothing was said");
    read
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// So many readers that wait; and how many of them were woken.
fn waiting(turn: &Turn, readers: usize) -> (Vec<Read>, impl Fn() -> usize + use<>) {
    let (mut reads, mut counts) = (Vec::new(), Vec::new());
    for _ in 0..readers {
        let count = Arc::new(Count::default());
        let mut reader = turn.subscribe();
        let mut read: Read = Box::pin(async move { (reader.next().await, reader) });
        let waker = Waker::from(count.clone());
        assert!(read.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        reads.push(read);
        counts.push(count);
    }
    let woken = move || counts.iter().filter(|it| it.0.load(Ordering::SeqCst) > 0).count();
    (reads, woken)
}

everywhere! {
    // J4, J5, J6
    async fn readers_that_are_stuck_or_go_away_delay_no_other(stage) {
        const CHUNKS: u64 = 200;
        let (supervisor, session) = stage.session_with(|config| {
            config.streams.keep_finished_for = Duration::ZERO;
        }).await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let shared: Arc<str> = "word".into();
        let mut held: Vec<_> = (0..20).map(|_| stuck(turn.subscribe())).collect();
        let seen: Arc<Vec<_>> = Arc::new((0..20).map(|_| AtomicU64::new(0)).collect());
        let live: Vec<_> = (0..20).map(|number| {
            let (mut reader, seen) = (turn.subscribe(), seen.clone());
            tokio::spawn(async move {
                loop {
                    match reader.next().await {
                        Some(Event::Chunk { seq, .. }) => {
                            let before = seen.get(number).unwrap().fetch_add(1, Ordering::SeqCst);
                            assert_eq!(seq, before + 1);
                        }
                        Some(Event::Ended(outcome)) => {
                            assert_eq!(reader.next().await, None);
                            return outcome;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            })
        }).collect();
        for number in 1..=CHUNKS {
            turn.emit(shared.clone()).unwrap();
            until("a reader gets a chunk", || {
                seen.iter().all(|seen| seen.load(Ordering::SeqCst) == number)
            }).await;
            // Some go away after they were woken, some before they are.
            if number % 20 == 0 {
                drop(held.pop());
                drop(stuck_at(&turn, number).await);
            }
        }
        committed(turn, "done").await;
        for reader in live {
            assert_eq!(reader.await.unwrap(), TurnOutcome::Committed);
        }
        for read in held {
            let (first, mut reader) = read.await;
            assert!(matches!(first, Some(Event::Chunk { seq: 1, .. })));
            for number in 2..=CHUNKS {
                let next = reader.next().await;
                assert!(matches!(next, Some(Event::Chunk { seq, .. }) if seq == number));
            }
            assert_eq!(reader.next().await, Some(Event::Ended(TurnOutcome::Committed)));
        }
        quiet(&supervisor, &session).await;
        let left = || Arc::strong_count(&shared) - 1;
        until("nothing of the stream is left", || left() == 0).await;
    }
}

/// A reader that has read `seen` chunks and waits.
async fn stuck_at(turn: &Turn, seen: u64) -> Read {
    let mut reader = turn.subscribe();
    for _ in 0..seen {
        assert!(reader.next().await.is_some());
    }
    stuck(reader)
}

// J4: a runtime runs the task that was woken last on the same thread, and this thread is never given up.
#[tokio::test]
async fn a_producer_that_never_awaits_wakes_its_readers_all_the_same() {
    let supervisor = support::Stage::new(support::Kind::Memory).await.start().await;
    let session = supervisor.open(&support::key("#busy")).await.unwrap();
    let turn = session.begin(&user("go"), ()).await.unwrap();
    let (reads, woken) = waiting(&turn, 50);
    for _ in 0..100 {
        turn.emit("x").unwrap();
    }
    assert_eq!(woken(), 50);
    drop((reads, turn));
}

// J4, J5
#[test]
fn readers_on_another_runtime_are_woken_when_the_supervisors_runtime_is_gone() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (supervisor, turn, early) = runtime.block_on(async {
        let supervisor = support::Stage::new(support::Kind::Memory).await.start().await;
        let session = supervisor.open(&support::key("#gone")).await.unwrap();
        let turn = session.begin(&user("go"), ()).await.unwrap();
        // The task that wakes them is there, and is told once more than it can do.
        let (early, woken) = waiting(&turn, 8);
        turn.emit("1").unwrap();
        until("all are woken", || woken() == 8).await;
        (supervisor, turn, early)
    });
    let mut reads: Vec<_> = early.into_iter().map(|read| stuck(finish(read).1)).collect();
    turn.emit("2").unwrap();
    drop(runtime);
    for number in 2..=4 {
        let again = |read| {
            let (event, reader) = finish(read);
            assert!(matches!(event, Some(Event::Chunk { seq, .. }) if seq == number), "{event:?}");
            stuck(reader)
        };
        reads = reads.into_iter().map(again).collect();
        turn.emit("more").unwrap();
    }
    drop((reads, turn, supervisor));
}

/// What a read came to. A read that was not woken finds nothing.
fn finish(mut read: Read) -> (Option<Event>, Subscription) {
    match poll_once(&mut read) {
        Poll::Ready(found) => found,
        Poll::Pending => panic!("it still waits"),
    }
}

// J4
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_never_read_keep_no_chunk_of_a_million_alive() {
    const CHUNKS: u64 = 1_000_000;
    const LIVE: usize = 8;
    let supervisor = support::Stage::new(support::Kind::Memory).await.start().await;
    let session = supervisor.open(&support::key("#flood")).await.unwrap();
    let turn = session.begin(&user("go"), ()).await.unwrap();
    let never: Vec<_> = (0..32).map(|_| turn.subscribe()).collect();
    let held: Vec<_> = (0..32).map(|_| stuck(turn.subscribe())).collect();
    let live: Vec<_> = (0..LIVE)
        .map(|_| {
            let mut reader = turn.subscribe();
            tokio::spawn(async move {
                let (mut seen, mut missed) = (0, 0);
                loop {
                    match reader.next().await.unwrap() {
                        Event::Chunk { .. } => seen += 1,
                        Event::Lagged { missed: gap } => missed += gap,
                        _ => return (seen, missed),
                    }
                }
            })
        })
        .collect();
    let kept = tokio::spawn(async move {
        let (shared, mut most): (Arc<str>, _) = ("x".into(), 0);
        for seq in 1..=CHUNKS {
            turn.emit(shared.clone()).unwrap();
            if seq % 1_000 == 0 {
                most = most.max(Arc::strong_count(&shared) - 1);
                tokio::task::yield_now().await;
            }
        }
        committed(turn, "done").await;
        most
    });
    let most = kept.await.unwrap();
    assert!(most <= 1_024 + LIVE, "{most} chunks were kept");
    for reader in live {
        let (seen, missed) = reader.await.unwrap();
        assert_eq!(seen + missed, CHUNKS);
    }
    for mut reader in never {
        assert_eq!(reader.next().await, Some(Event::Lagged { missed: CHUNKS - 1_024 }));
    }
    for read in held {
        assert_eq!(read.await.0, Some(Event::Lagged { missed: CHUNKS - 1_024 }));
    }
}

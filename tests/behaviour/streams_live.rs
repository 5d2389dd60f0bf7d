//! Readers of a turn: each at its own pace, told of every gap and of the end, and in nobody's way.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::similar_names,
    clippy::default_trait_access,
    clippy::manual_assert,
    clippy::wildcard_enum_match_arm,
    reason = "a test, which does not run on the library's seam"
)]

use crate::support;

use std::sync::Arc;
use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, StoreCall, drop_at_every_await};
use session_supervisor::{
    BusyPolicy, CancelReason, Chunk, CommitOutcome, Event, FailedInput, Parallel, Subscription,
    TurnOutcome,
};
use support::{commit, committed, everywhere, in_paused_time, poll_once, quiet, read_out, user};

/// Reads to the end: the numbers that were seen, how many were missed, and how it ended.
async fn numbers(mut reader: Subscription) -> (Vec<u64>, u64, TurnOutcome) {
    let (mut seen, mut missed) = (Vec::new(), 0);
    loop {
        match reader.next().await {
            Some(Event::Chunk { seq, .. }) => seen.push(seq),
            Some(Event::Lagged { missed: more }) => missed += more,
            Some(Event::Ended(outcome)) => {
                for _ in 0..3 {
                    assert_eq!(reader.next().await, None);
                }
                return (seen, missed, outcome);
            }
            other => panic!("{other:?}"),
        }
    }
}

everywhere! {
    // J5, J6
    async fn every_reader_gets_every_chunk_in_order_and_one_end(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let stream = turn.stream();
        let mut readers = Vec::new();
        for number in 0..32 {
            let reader =
                if number % 2 == 0 { turn.subscribe() } else { session.subscribe().unwrap() };
            assert_eq!(reader.stream(), stream);
            readers.push(tokio::spawn(numbers(reader)));
        }
        for number in 1..=500 {
            assert_eq!(turn.emit(format!("word {number} ")).unwrap(), number);
            if number % 7 == 0 {
                tokio::task::yield_now().await;
            }
            if number == 250 {
                readers.push(tokio::spawn(numbers(session.subscribe_to(stream).unwrap())));
            }
        }
        committed(turn, "all of it").await;
        for reader in readers {
            let (seen, missed, outcome) = reader.await.unwrap();
            assert_eq!((seen, missed), ((1..=500).collect(), 0));
            assert_eq!(outcome, TurnOutcome::Committed);
        }
        assert!(session.subscribe().is_none());
        quiet(&supervisor, &session).await;
    }

    // J4, J5
    async fn a_reader_that_falls_behind_is_told_exactly_how_much_it_missed(stage) {
        let (supervisor, session) = stage.session_with(|config| config.streams.max_items = 8).await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let (mut slow, never) = (turn.subscribe(), turn.subscribe());
        turn.emit("1").unwrap();
        assert_eq!(slow.next().await, Some(Event::Chunk { seq: 1, chunk: Chunk::from("1") }));
        for number in 2..=100 {
            assert_eq!(turn.emit(number.to_string()).unwrap(), number);
        }
        assert_eq!(slow.next().await, Some(Event::Lagged { missed: 91 }));
        for number in 93..=100_u64 {
            let chunk = Chunk::from(number.to_string());
            assert_eq!(slow.next().await, Some(Event::Chunk { seq: number, chunk }));
        }
        assert!(poll_once(&mut Box::pin(slow.next())).is_pending());
        for number in 101..=150 {
            turn.emit(number.to_string()).unwrap();
        }
        committed(turn, "reply").await;
        let (seen, missed, outcome) = numbers(slow).await;
        assert_eq!((seen, missed), ((143..=150).collect(), 42));
        assert_eq!(outcome, TurnOutcome::Committed);
        // Who never read gets the gap, the rest and the end.
        assert_eq!(never.outcome(), Some(TurnOutcome::Committed));
        let (seen, missed, _) = numbers(never).await;
        assert_eq!((seen.len(), missed), (8, 142));
        quiet(&supervisor, &session).await;
    }

    // J4: whatever the pace, seen and missed add up
    async fn what_a_reader_sees_and_misses_adds_up_whatever_its_pace(stage) {
        let (supervisor, session) = stage.session_with(|config| {
            config.streams.max_items = 16;
            config.streams.max_bytes = 64;
        }).await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let readers: Vec<_> = (0..8_usize).map(|pace| {
            let mut reader = turn.subscribe();
            tokio::spawn(async move {
                let (mut next, mut events) = (1, 0);
                loop {
                    match reader.next().await.unwrap() {
                        Event::Chunk { seq, .. } => {
                            assert_eq!(seq, next, "a chunk is skipped or told twice");
                            next += 1;
                        }
                        Event::Lagged { missed } => {
                            assert!(missed > 0);
                            next += missed;
                        }
                        Event::Ended(outcome) => return (next - 1, outcome, reader.next().await),
                        other => panic!("{other:?}"),
                    }
                    events += 1;
                    if events % (pace + 1) == 0 {
                        for _ in 0..pace {
                            tokio::task::yield_now().await;
                        }
                    }
                }
            })
        }).collect();
        for number in 0..2_000_usize {
            turn.emit("x".repeat(number % 13)).unwrap();
            if number % 5 == 0 {
                tokio::task::yield_now().await;
            }
        }
        committed(turn, "reply").await;
        for reader in readers {
            assert_eq!(reader.await.unwrap(), (2_000, TurnOutcome::Committed, None));
        }
        quiet(&supervisor, &session).await;
    }

    // J4: memory is bounded by the ring, not by who reads
    async fn a_reader_that_never_reads_costs_the_turn_nothing(stage) {
        let (supervisor, session) = stage.session_with(|config| {
            config.streams.max_items = 4;
            config.streams.max_bytes = 1_024;
            config.streams.keep_finished_for = Duration::ZERO;
        }).await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let idle: Vec<_> = (0..64).map(|_| turn.subscribe()).collect();
        let shared: Arc<str> = "y".repeat(512).into();
        for _ in 0..10_000 {
            turn.emit(shared.clone()).unwrap();
        }
        // Two chunks of 512 bytes fit; nobody holds on to what was dropped.
        assert_eq!(Arc::strong_count(&shared), 3);
        committed(turn, "reply").await;
        for reader in idle {
            let (seen, missed, _) = numbers(reader).await;
            assert_eq!((seen, missed), (vec![9_999, 10_000], 9_998));
        }
        quiet(&supervisor, &session).await;
        assert_eq!(Arc::strong_count(&shared), 1, "nothing of the stream is left");
    }

    // J8
    async fn nothing_is_taken_once_the_turn_was_told_to_end(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let reader = turn.subscribe();
        turn.emit("before").unwrap();
        session.cancel(turn.stream());
        let error = turn.emit("after").unwrap_err();
        assert_eq!((error.stream, error.reason), (turn.stream(), CancelReason::Stopped));
        assert!(error.to_string().contains("takes no more chunks"), "{error}");
        let late = session.subscribe().unwrap();
        assert!(!matches!(commit(turn, "late").await, CommitOutcome::Committed { .. }));
        let expected = (vec!["before".to_owned()], TurnOutcome::Cancelled(CancelReason::Stopped));
        assert_eq!(read_out(reader).await, expected);
        assert_eq!(read_out(late).await, expected);
        quiet(&supervisor, &session).await;
    }

    // J6, J8: a fenced turn, whose holder goes on
    async fn readers_of_a_fenced_turn_hear_the_end_before_its_holder_does(stage) {
        let (supervisor, session) = stage.session().await;
        let old = session.begin(&user("old"), ()).await.unwrap();
        let (reader, stream) = (old.subscribe(), old.stream());
        let policy = BusyPolicy::Interrupt { grace: Duration::ZERO, max: 1 };
        let new = session.begin(&user("new"), policy).await.unwrap();
        assert_eq!(read_out(reader).await.1, TurnOutcome::Cancelled(CancelReason::Preempted));
        assert!(old.emit("late").is_err());
        assert!(session.subscribe_to(stream).is_none());
        assert_eq!(session.subscribe().unwrap().stream(), new.stream());
        assert_eq!(new.emit("first").unwrap(), 1, "streams do not share their numbers");
        drop((old, new));
        quiet(&supervisor, &session).await;
    }

    // J6: each way in which a turn can end
    async fn each_end_of_a_turn_is_told_to_its_readers_as_what_it_was(stage) {
        let (supervisor, session) = stage.session().await;
        let begin = async || {
            let turn = session.begin(&user("question"), ()).await.unwrap();
            let readers = [turn.subscribe(), turn.subscribe(), session.subscribe().unwrap()];
            (turn, readers)
        };
        let told = async |readers: [Subscription; 3], expected: TurnOutcome| {
            for reader in readers {
                let (_, _, outcome) = numbers(reader).await;
                assert_eq!(outcome, expected);
            }
        };
        let (turn, readers) = begin().await;
        committed(turn, "reply").await;
        told(readers, TurnOutcome::Committed).await;
        let (turn, readers) = begin().await;
        turn.fail(FailedInput::Drop).await.unwrap();
        told(readers, TurnOutcome::Failed).await;
        let (turn, readers) = begin().await;
        drop(turn);
        told(readers, TurnOutcome::Abandoned).await;
        let (turn, readers) = begin().await;
        let task = tokio::spawn(async move {
            let _held = turn;
            panic!("the turn's code");
        });
        assert!(task.await.is_err());
        told(readers, TurnOutcome::Panicked).await;
        let (turn, readers) = begin().await;
        stage.store.fail_next_of(StoreCall::Commit, Fault::Unavailable);
        assert!(turn.commit(&support::says("lost")).await.is_err());
        told(readers, TurnOutcome::Interrupted).await;
        let (turn, readers) = begin().await;
        session.stop();
        drop(turn);
        told(readers, TurnOutcome::Cancelled(CancelReason::Stopped)).await;
        let parallel = BusyPolicy::Parallel(Parallel::FirstCommit);
        let other = session.begin(&user("other"), parallel).await.unwrap();
        let turn = session.begin(&user("loses"), parallel).await.unwrap();
        let reader = turn.subscribe();
        committed(other, "wins").await;
        assert!(matches!(commit(turn, "loses").await, CommitOutcome::Superseded { .. }));
        assert_eq!(read_out(reader).await.1, TurnOutcome::Superseded);
        let (turn, readers) = begin().await;
        session.delete().await.unwrap();
        told(readers, TurnOutcome::Cancelled(CancelReason::Deleted)).await;
        drop(turn);
        quiet(&supervisor, &session).await;
    }

    // J6: the end comes when it is durable, and not before
    async fn readers_hear_of_a_commit_when_the_store_has_it(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        turn.emit("word").unwrap();
        let mut reader = turn.subscribe();
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Commit, Fault::HeldBefore(gate.clone()));
        let committing = tokio::spawn(commit(turn, "reply"));
        gate.wait_until_reached().await;
        assert!(matches!(reader.next().await, Some(Event::Chunk { seq: 1, .. })));
        assert!(poll_once(&mut Box::pin(reader.next())).is_pending());
        assert_eq!(reader.outcome(), None);
        gate.open();
        assert_eq!(reader.next().await, Some(Event::Ended(TurnOutcome::Committed)));
        assert!(matches!(committing.await, Ok(CommitOutcome::Committed { .. })));
        quiet(&supervisor, &session).await;
    }

    // D12, F13: readers that go away
    async fn a_reader_that_goes_away_changes_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let stays = tokio::spawn(numbers(turn.subscribe()));
        let mut leaves = turn.subscribe();
        turn.emit("1").unwrap();
        assert!(leaves.next().await.is_some());
        let waits = tokio::spawn({
            let mut reader = turn.subscribe();
            async move { while reader.next().await.is_some() {} }
        });
        tokio::task::yield_now().await;
        waits.abort();
        drop(leaves);
        drop(waits.await);
        turn.emit("2").unwrap();
        assert_eq!(turn.cancelled_by(), None);
        committed(turn, "reply").await;
        assert_eq!(stays.await.unwrap(), (vec![1, 2], 0, TurnOutcome::Committed));
        quiet(&supervisor, &session).await;
    }

    // M3
    async fn a_read_that_is_dropped_has_consumed_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let mut reader = turn.subscribe();
        for number in 1..=20_u64 {
            // Dropped while it waits, and then once more when there is something.
            assert!(poll_once(&mut Box::pin(reader.next())).is_pending());
            turn.emit(number.to_string()).unwrap();
            drop(reader.next());
            assert!(matches!(reader.next().await, Some(Event::Chunk { seq, .. }) if seq == number));
        }
        let dropped = drop_at_every_await(
            async || {
                let mut reader = turn.subscribe();
                ((), async move { reader.next().await })
            },
            async |(), event| assert!(matches!(event, Some(Some(Event::Chunk { seq: 1, .. })))),
        )
        .await;
        assert_eq!(dropped, 0, "what is there is there at once");
        drop(turn);
        quiet(&supervisor, &session).await;
    }
}

in_paused_time! {
    // J4: a reader sleeps until there is something, and is woken by each kind of event
    async fn a_reader_is_woken_by_a_chunk_and_by_the_end(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let reading = tokio::spawn(numbers(turn.subscribe()));
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(60)).await;
            turn.emit("tick").unwrap();
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!reading.is_finished());
        drop(turn);
        assert_eq!(reading.await.unwrap(), (vec![1, 2, 3], 0, TurnOutcome::Abandoned));
        quiet(&supervisor, &session).await;
    }
}

//! Readers that go away and come back: each number once, or told of the gap.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::similar_names,
    clippy::indexing_slicing,
    reason = "a test"
)]

use crate::support;

use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{
    CommitOutcome, Cursor, Event, Generation, Incarnation, Session, StreamId, Subscription,
    TurnOutcome, Unreadable,
};
use support::{committed, everywhere, in_paused_time, key, quiet, says, texts, user};

/// The number of the next chunk; `None` at the end of the stream.
async fn number(reader: &mut Subscription) -> Option<u64> {
    match reader.next().await? {
        Event::Chunk { seq, chunk } => {
            assert_eq!(chunk.as_str(), seq.to_string(), "each chunk says its number");
            Some(seq)
        }
        Event::Ended(_) => None,
        other => panic!("{other:?}"),
    }
}

/// Everything that a reader gets, up to the end.
async fn rest(mut reader: Subscription) -> Vec<u64> {
    let mut seen = Vec::new();
    while let Some(seq) = number(&mut reader).await {
        seen.push(seq);
    }
    assert_eq!(reader.next().await, None, "nothing comes after the end");
    seen
}

/// Why a cursor cannot be read on from.
fn refused(session: &Session, cursor: Cursor) -> Unreadable {
    session.rejoin(cursor).unwrap_err().reason
}

everywhere! {
    // J1, J2, F29: a second drop once lost the place, and a return brought the whole conversation.
    async fn a_reader_that_drops_out_three_times_misses_nothing_and_gets_nothing_twice(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("count"), ()).await.unwrap();
        let (mut seen, mut place) = (Vec::new(), turn.subscribe().cursor());
        for round in 0..3_u64 {
            for seq in round * 10 + 1..=round * 10 + 10 {
                turn.emit(seq.to_string()).unwrap();
            }
            let token = place.to_string();
            let mut reader = session.rejoin(token.parse().unwrap()).unwrap();
            for _ in 0..7 {
                seen.extend(number(&mut reader).await);
            }
            place = reader.cursor();
        }
        committed(turn, "thirty").await;
        seen.extend(rest(session.rejoin(place).unwrap()).await);
        assert_eq!(seen, (1..=30).collect::<Vec<_>>());
        quiet(&supervisor, &session).await;
    }

    // J3
    async fn a_cursor_that_cannot_be_read_on_from_is_told_why_and_where_to_go_on(stage) {
        let (supervisor, session) = stage.session_with(|config| config.streams.max_items = 4).await;
        let other = supervisor.open(&key("#other")).await.unwrap();
        let turn = session.begin(&user("count"), ()).await.unwrap();
        for seq in 1..=10 {
            turn.emit(seq.to_string()).unwrap();
        }
        let stream = turn.stream();
        let elsewhere = other.begin(&user("x"), ()).await.unwrap();
        assert_eq!(refused(&session, Cursor::after(elsewhere.stream(), 0)), Unreadable::Foreign);
        let never = StreamId::new(stream.incarnation(), Generation::new(9_999));
        assert_eq!(refused(&session, Cursor::after(never, 0)), Unreadable::Forgotten);
        let ahead = Unreadable::Ahead { latest: 10 };
        assert_eq!(refused(&session, Cursor::after(stream, 11)), ahead);
        assert_eq!(refused(&session, Cursor::after(stream, u64::MAX)), ahead);
        let error = session.rejoin(Cursor::after(stream, 2)).unwrap_err();
        assert_eq!(error.reason, Unreadable::Evicted { missed: 4 });
        assert_eq!((error.outcome, error.version), (None, 0));
        // Exactly what is kept can still be had.
        assert_eq!(error.go_on, Some(Cursor::after(stream, 6)));
        let mut reader = session.rejoin(error.go_on.unwrap()).unwrap();
        for seq in 7..=10 {
            assert_eq!(number(&mut reader).await, Some(seq));
        }
        assert!(error.to_string().contains("4 chunks after it are not kept any more"), "{error}");
        drop(elsewhere);
        committed(turn, "done").await;
        quiet(&supervisor, &session).await;
    }

    // F13: nobody listens while the reply is made; it is in the transcript, and can be read again.
    async fn a_reply_that_nobody_listened_to_is_kept_and_can_be_read(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("hello"), ()).await.unwrap();
        let stream = turn.stream();
        turn.emit("1").unwrap();
        turn.emit("2").unwrap();
        committed(turn, "12").await;
        assert!(session.subscribe().is_none(), "no turn is open");
        assert_eq!(rest(session.subscribe_last().unwrap()).await, [1, 2]);
        assert_eq!(rest(session.subscribe_to(stream).unwrap()).await, [1, 2]);
        assert_eq!(rest(session.rejoin(Cursor::after(stream, 1)).unwrap()).await, [2]);
        assert_eq!(rest(session.rejoin(Cursor::after(stream, 2)).unwrap()).await, [0; 0]);
        assert_eq!(texts(&session).await, ["hello", "12"]);
        quiet(&supervisor, &session).await;
    }

    // J2: the decision is made and the store has not answered; the stream is found all the while.
    async fn a_stream_is_found_while_its_end_is_being_stored(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("hello"), ()).await.unwrap();
        let stream = turn.stream();
        turn.emit("1").unwrap();
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Commit, Fault::HeldBefore(gate.clone()));
        let commit = tokio::spawn(async move { turn.commit(&says("1")).await });
        gate.wait_until_reached().await;
        assert!(session.subscribe().is_none(), "no turn is open");
        let mut early = session.rejoin(Cursor::after(stream, 0)).unwrap();
        assert_eq!(number(&mut early).await, Some(1));
        assert_eq!(early.outcome(), None, "nobody hears of a commit before the store has it");
        assert_eq!(session.subscribe_last().unwrap().stream(), stream);
        gate.open();
        assert!(matches!(commit.await.unwrap().unwrap(), CommitOutcome::Committed { .. }));
        assert_eq!(early.next().await, Some(Event::Ended(TurnOutcome::Committed)));
        assert_eq!(rest(session.rejoin(Cursor::after(stream, 0)).unwrap()).await, [1]);
        quiet(&supervisor, &session).await;
    }

    // E6, J3: what was said in a deleted conversation is nobody's any more.
    async fn a_delete_forgets_the_streams_too(stage) {
        let (_supervisor, session) = stage.session().await;
        let mut streams = Vec::new();
        for _ in 0..2 {
            let turn = session.begin(&user("hello"), ()).await.unwrap();
            turn.emit("1").unwrap();
            streams.push(turn.stream());
            committed(turn, "1").await;
        }
        let running = session.begin(&user("hello"), ()).await.unwrap();
        running.emit("1").unwrap();
        streams.push(running.stream());
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Delete, Fault::HeldBefore(gate.clone()));
        let delete = tokio::spawn({
            let session = session.clone();
            async move { session.delete().await }
        });
        gate.wait_until_reached().await;
        // From the moment the session closes, not only when the store has deleted it.
        assert!(session.subscribe_to(streams[0]).is_none());
        assert!(session.subscribe_last().is_none());
        gate.open();
        delete.await.unwrap().unwrap();
        drop(running);
        for stream in streams {
            assert!(session.subscribe_to(stream).is_none(), "{stream}");
            let error = session.rejoin(Cursor::after(stream, 0)).unwrap_err();
            assert_eq!((error.reason, error.go_on), (Unreadable::Forgotten, None));
        }
        assert!(session.subscribe_last().is_none());
    }

    // J7: beyond the bytes the oldest goes first, over all sessions.
    async fn finished_streams_have_a_budget_together(stage) {
        let supervisor = stage
            .start_with(|config| config.streams.max_finished_bytes = 8_000)
            .await;
        let mut streams = Vec::new();
        for number in 0..10 {
            let session = supervisor.open(&key(&format!("#{number}"))).await.unwrap();
            let turn = session.begin(&user("hello"), ()).await.unwrap();
            turn.emit("x".repeat(1_000)).unwrap();
            streams.push((session.clone(), turn.stream()));
            committed(turn, "x").await;
        }
        let kept: Vec<_> =
            streams.iter().map(|(it, stream)| it.subscribe_to(*stream).is_some()).collect();
        assert_eq!(kept, [false, false, false, false, false, true, true, true, true, true]);
    }
}

in_paused_time! {
    // J7, X10: the reader finds the time over, no sweep has to come by.
    async fn a_finished_stream_is_kept_for_its_time_and_no_longer(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("hello"), ()).await.unwrap();
        let stream = turn.stream();
        turn.emit("1").unwrap();
        committed(turn, "1").await;
        tokio::time::advance(Duration::from_secs(10 * 60 - 1)).await;
        assert!(session.subscribe_to(stream).is_some());
        let held = session.subscribe_last().unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(session.subscribe_to(stream).is_none());
        assert!(session.subscribe_last().is_none());
        assert_eq!(rest(held).await, [1], "who holds it keeps it");
        quiet(&supervisor, &session).await;
    }
}

/// A number that looks random, from one that does not.
fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

/// Reads in stretches, leaves and comes back, until the end; answers how many it saw and how many it
/// was told that it missed.
async fn come_and_go(session: Session, stream: StreamId, seed: u64) -> (u64, u64) {
    let (mut place, mut seen, mut missed) = (Cursor::after(stream, 0), 0, 0);
    for round in 0.. {
        let mut reader = match session.rejoin(place) {
            Ok(reader) => reader,
            Err(error) => {
                let Unreadable::Evicted { missed: gap } = error.reason else { panic!("{error}") };
                let go_on = error.go_on.unwrap();
                assert!(go_on.seq() >= place.seq() + gap);
                missed += go_on.seq() - place.seq();
                place = go_on;
                continue;
            }
        };
        for _ in 0..mix(seed + round) % 5_000 {
            let expected = reader.cursor().seq() + 1;
            match reader.next().await.unwrap() {
                Event::Chunk { seq, .. } => {
                    assert_eq!(seq, expected, "out of order, or twice");
                    seen += 1;
                }
                Event::Lagged { missed: gap } => missed += gap,
                Event::Ended(outcome) => {
                    assert_eq!(outcome, TurnOutcome::Committed);
                    return (seen, missed);
                }
                other => panic!("{other:?}"),
            }
        }
        place = reader.cursor();
        tokio::task::yield_now().await;
    }
    unreachable!("the rounds do not end")
}

// J2, J4, J5: a producer at full speed, and 64 readers that join and leave at random places.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_full_speed_every_reader_saw_every_number_once_or_was_told_of_the_gap() {
    const CHUNKS: u64 = 1_000_000;
    let supervisor = support::Stage::new(support::Kind::Memory).await.start().await;
    let session = supervisor.open(&key("#flood")).await.unwrap();
    let turn = session.begin(&user("go"), ()).await.unwrap();
    let stream = turn.stream();
    let readers: Vec<_> = (0..64)
        .map(|seed| tokio::spawn(come_and_go(session.clone(), stream, seed * 1_000_003)))
        .collect();
    let producer = tokio::spawn(async move {
        for seq in 1..=CHUNKS {
            turn.emit("x").unwrap();
            if seq % 1_000 == 0 {
                tokio::task::yield_now().await;
            }
        }
        committed(turn, "done").await;
    });
    producer.await.unwrap();
    let mut seen_by_all = 0;
    for reader in readers {
        let (seen, missed) = reader.await.unwrap();
        assert_eq!(seen + missed, CHUNKS);
        seen_by_all += seen;
    }
    assert!(seen_by_all > 0, "somebody saw something");
    let life = Incarnation::new(stream.incarnation().get() + 1);
    let foreign = Cursor::after(StreamId::new(life, stream.generation()), 1);
    assert_eq!(refused(&session, foreign), Unreadable::Foreign);
}

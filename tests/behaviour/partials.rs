//! What is left of a reply that was not finished, and what keeping it costs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use crate::stage;

use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, PausedClock, StoreCall};
use session_supervisor::{
    ChatMessage, CommitOutcome, Config, EntryMark, FailedInput, PartialPolicy, Session, StartError,
    StreamId, Supervisor, Turn, TurnOutcome,
};
use stage::{Stage, assert_clean, everywhere, key, reply, until, user};

/// The settings with this policy, and pieces of `chunks` chunks.
fn config(interrupted: PartialPolicy, chunks: usize) -> Config {
    let mut config = Config::default();
    config.partials.interrupted = interrupted;
    config.partials.every_chunks = chunks;
    config
}

/// A supervisor whose partial replies become entries in brackets, if they become entries.
async fn start(stage: &Stage, interrupted: PartialPolicy, chunks: usize) -> Supervisor {
    let bracketed = |text: &str| ChatMessage::assistant(format!("[{text}]"));
    let builder = stage.builder().config(config(interrupted, chunks));
    builder.partial_entry(bracketed).start().await.unwrap()
}

/// What is kept of a reply.
async fn kept(session: &Session, stream: StreamId) -> Option<(String, u64)> {
    session.partial(stream).await.unwrap().map(|partial| (partial.text, partial.chunks))
}

/// The texts of a transcript, with their marks.
async fn lines(session: &Session) -> Vec<(String, EntryMark)> {
    let entries = session.transcript().await.unwrap();
    entries.into_iter().map(|entry| (entry.content.unwrap().content, entry.mark)).collect()
}

/// Says the numbers `from..=to`, a chunk each.
fn count(turn: &Turn, from: u64, to: u64) {
    for number in from..=to {
        turn.emit(format!("{number} ")).unwrap();
    }
}

/// What [`count`] says.
fn counted(to: u64) -> String {
    (1..=to).fold(String::new(), |said, number| said + &format!("{number} "))
}

/// Waits until `writes` pieces are with the store and everything is stored.
async fn stored(stage: &Stage, session: &Session, pieces: u64) {
    until("the pieces are stored", || {
        stage.faults.calls_of(StoreCall::Partial) == pieces && session.status().unwritten == 0
    })
    .await;
}

// C10, G2
#[test]
fn a_crash_in_the_middle_keeps_the_input_and_the_reply_up_to_the_last_piece() {
    for (policy, after) in [
        (PartialPolicy::Beside, vec![("go on", EntryMark::Unanswered)]),
        (
            PartialPolicy::Entry,
            vec![("go on", EntryMark::Unanswered), ("[1 2 3 4 ]", EntryMark::Partial)],
        ),
        (PartialPolicy::Drop, vec![("go on", EntryMark::Unanswered)]),
    ] {
        everywhere(move |stage| {
            let after = after.clone();
            async move {
                let supervisor = start(&stage, policy, 2).await;
                let session = supervisor.open(&key("a")).await.unwrap();
                let turn = session.begin(&user("go on"), ()).await.unwrap();
                let stream = turn.stream();
                count(&turn, 1, 4);
                let pieces = if policy == PartialPolicy::Drop { 0 } else { 2 };
                stored(&stage, &session, pieces).await;
                count(&turn, 5, 5);
                // Leaked rather than dropped: a killed process runs no `Drop`.
                Box::leak(Box::new((turn, session, supervisor)));
                let stage = stage.reopened().await;
                let supervisor = start(&stage, policy, 2).await;
                assert_eq!(supervisor.recovery().settled.len(), 1);
                let session = supervisor.open(&key("a")).await.unwrap();
                let after: Vec<_> =
                    after.into_iter().map(|(text, mark)| (text.to_owned(), mark)).collect();
                assert_eq!(lines(&session).await, after);
                let beside = (policy == PartialPolicy::Beside).then(|| (counted(4), 4));
                assert_eq!(kept(&session, stream).await, beside);
                // What comes next is numbered behind it.
                let turn = session.begin(&user("again"), ()).await.unwrap();
                let CommitOutcome::Committed { .. } = turn.commit(&reply("done")).await.unwrap()
                else {
                    panic!("nothing else runs")
                };
                assert_eq!(lines(&session).await.len(), after.len() + 2);
                assert_eq!(supervisor.check_store().await.unwrap(), Vec::<String>::new());
                assert_clean(&supervisor).await;
            }
        });
    }
}

/// Every way in which a turn ends without a reply and its input stays.
const WAYS: [&str; 5] = ["fail", "drop", "stop", "fence", "panic"];

/// Ends a turn in one of them.
async fn end(way: &str, session: &Session, turn: Turn) {
    match way {
        "fail" => assert_eq!(turn.fail(FailedInput::Keep).await.unwrap(), None),
        "drop" => drop(turn),
        "stop" => {
            session.stop();
            drop(turn);
        }
        "fence" => {
            session.stop();
            until("it is fenced", || session.status().turns.is_empty()).await;
            drop(turn);
        }
        "panic" => {
            let panicked = tokio::spawn(async move {
                let _turn = turn;
                panic!("as it should");
            });
            panicked.await.unwrap_err();
        }
        other => panic!("{other} is no way to end"),
    }
}

// C10, C11, D1
#[test]
fn a_turn_that_ends_without_a_reply_leaves_all_that_it_said_where_its_input_stays() {
    for way in WAYS {
        for policy in [PartialPolicy::Beside, PartialPolicy::Entry, PartialPolicy::Drop] {
            everywhere(move |stage| async move {
                let bracketed = |text: &str| ChatMessage::assistant(format!("[{text}]"));
                let mut config = config(policy, 2);
                config.turns.cancel_grace = Duration::from_millis(20);
                let builder = stage.builder().config(config).partial_entry(bracketed);
                let supervisor: Supervisor = builder.start().await.unwrap();
                let session = supervisor.open(&key("a")).await.unwrap();
                let turn = session.begin(&user("go on"), ()).await.unwrap();
                let (stream, mut reader) = (turn.stream(), turn.subscribe());
                count(&turn, 1, 5);
                end(way, &session, turn).await;
                while reader.next().await.is_some() {}
                // The fifth chunk was in no piece yet, and is there all the same.
                let mut expected = vec![("go on".to_owned(), EntryMark::Unanswered)];
                if policy == PartialPolicy::Entry {
                    expected.push((format!("[{}]", counted(5)), EntryMark::Partial));
                }
                assert_eq!(lines(&session).await, expected, "{way}");
                let beside = (policy == PartialPolicy::Beside).then(|| (counted(5), 5));
                assert_eq!(kept(&session, stream).await, beside, "{way}");
                // Its entry counts as a change that a caller may not have seen.
                let version = u64::from(policy == PartialPolicy::Entry);
                assert_eq!(session.status().version, version);
                assert_eq!(session.record().await.unwrap().version, version);
                assert_clean(&supervisor).await;
            });
        }
    }
}

// C7, C10
#[test]
fn what_was_said_goes_with_the_input_and_with_the_answer() {
    everywhere(|stage| async move {
        let supervisor = start(&stage, PartialPolicy::Beside, 2).await;
        let session = supervisor.open(&key("a")).await.unwrap();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        let committed = turn.stream();
        count(&turn, 1, 5);
        until("it is stored", || session.status().unwritten == 0).await;
        assert!(kept(&session, committed).await.is_some());
        assert!(matches!(
            turn.commit(&reply("1 to 5")).await.unwrap(),
            CommitOutcome::Committed { seq: 2, .. }
        ));
        assert_eq!(kept(&session, committed).await, None);
        let turn = session.begin(&user("two"), ()).await.unwrap();
        let dropped = turn.stream();
        count(&turn, 1, 5);
        turn.fail(FailedInput::Drop).await.unwrap();
        assert_eq!(kept(&session, dropped).await, None);
        assert_eq!(lines(&session).await.len(), 2);
        assert_clean(&supervisor).await;
    });
}

// C10
#[test]
fn a_reply_of_two_thousand_chunks_costs_at_most_twenty_transactions() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("a")).await.unwrap();
        stage.faults.reset_calls();
        let turn = session.begin(&user("count"), ()).await.unwrap();
        let stream = turn.stream();
        for number in 1..=2_000 {
            turn.emit(format!("{number} ")).unwrap();
            tokio::task::yield_now().await;
        }
        // Nearly all of it would be there after a crash in this moment.
        until("the pieces are stored", || session.status().unwritten == 0).await;
        let (text, chunks) = kept(&session, stream).await.unwrap();
        assert!(chunks >= 2_000 - 160 && counted(2_000).starts_with(&text), "{chunks}");
        assert!(matches!(
            turn.commit(&reply("done")).await.unwrap(),
            CommitOutcome::Committed { .. }
        ));
        let writes = stage.faults.writes();
        println!("{writes} transactions");
        // While a slow store has a piece, the next one grows; a fast one gets them as they are due.
        let fewest = if stage.kind == stage::Kind::Memory { 14 } else { 3 };
        assert!((fewest..=20).contains(&writes), "{writes} transactions");
        assert_clean(&supervisor).await;
    });
}

// C10, G12
#[test]
fn a_piece_that_the_store_refuses_never_costs_the_turn() {
    for fault in [Fault::Unavailable, Fault::UnknownAndLost, Fault::UnknownButApplied] {
        let known = matches!(fault, Fault::Unavailable);
        everywhere(move |stage| {
            let fault = fault.clone();
            async move {
                let supervisor = start(&stage, PartialPolicy::Beside, 2).await;
                let session = supervisor.open(&key("a")).await.unwrap();
                let turn = session.begin(&user("go on"), ()).await.unwrap();
                let (stream, mut reader) = (turn.stream(), turn.subscribe());
                stage.faults.fail_next_of(StoreCall::Partial, fault);
                count(&turn, 1, 2);
                stored(&stage, &session, 1).await;
                count(&turn, 3, 6);
                until("it is stored", || session.status().unwritten == 0).await;
                drop(turn);
                while reader.next().await.is_some() {}
                // The refused piece was in the next one; after one of which nobody knows, nothing is.
                let beside = kept(&session, stream).await;
                if known {
                    assert_eq!(beside, Some((counted(6), 6)));
                } else {
                    assert!(beside.is_none_or(|(text, _)| text == counted(2)));
                }
                assert_eq!(supervisor.counts().turns_fenced, 0);
                assert_eq!(supervisor.counts().unloaded, 0, "the session was not given up");
                let (id, life) = (session.id(), stream.incarnation());
                let turn = stage.behind.turn(id, life, stream.generation()).await.unwrap();
                assert_eq!(turn.unwrap().outcome, TurnOutcome::Abandoned);
                assert_clean(&supervisor).await;
            }
        });
    }
}

// C10: the end overtakes a piece that is with the store, and the store then refuses the piece.
#[test]
fn a_piece_that_fails_behind_the_end_of_its_turn_is_in_the_end() {
    everywhere(|stage| async move {
        let supervisor = start(&stage, PartialPolicy::Beside, 2).await;
        let session = supervisor.open(&key("a")).await.unwrap();
        let turn = session.begin(&user("go on"), ()).await.unwrap();
        let (stream, mut reader) = (turn.stream(), turn.subscribe());
        let gate = Gate::new();
        stage.faults.fail_next_of(StoreCall::Partial, Fault::HeldAfter(gate.clone()));
        count(&turn, 1, 2);
        gate.wait_until_reached().await;
        count(&turn, 3, 3);
        drop(turn);
        gate.open();
        while reader.next().await.is_some() {}
        assert_eq!(kept(&session, stream).await, Some((counted(3), 3)));
        assert_clean(&supervisor).await;
    });
}

// M1, C10
#[test]
fn an_entry_that_cannot_be_made_leaves_what_is_kept_beside() {
    everywhere(|stage| async move {
        let make = |text: &str| -> ChatMessage {
            assert!(!text.starts_with('1'), "as it should");
            ChatMessage::assistant(text)
        };
        let builder = stage.builder().config(config(PartialPolicy::Entry, 2)).partial_entry(make);
        let supervisor: Supervisor = builder.start().await.unwrap();
        let session = supervisor.open(&key("a")).await.unwrap();
        let turn = session.begin(&user("go on"), ()).await.unwrap();
        let (stream, mut reader) = (turn.stream(), turn.subscribe());
        count(&turn, 1, 2);
        stored(&stage, &session, 1).await;
        drop(turn);
        while reader.next().await.is_some() {}
        assert_eq!(lines(&session).await, [("go on".to_owned(), EntryMark::Unanswered)]);
        assert_eq!(kept(&session, stream).await, Some((counted(2), 2)));
        // The number that it would have had stays free, and everything goes on.
        let turn = session.begin(&user("again"), ()).await.unwrap();
        assert!(matches!(
            turn.commit(&reply("done")).await.unwrap(),
            CommitOutcome::Committed { seq: 4, .. }
        ));
        assert_clean(&supervisor).await;
    });
}

#[test]
fn entries_of_partial_replies_need_somebody_to_say_what_they_look_like() {
    everywhere(|stage| async move {
        let builder = stage.builder().config(config(PartialPolicy::Entry, 2));
        let error = builder.start().await.unwrap_err();
        assert!(matches!(error, StartError::NoPartialEntry));
        assert!(error.to_string().contains("partial_entry"), "{error}");
    });
}

// E6
#[test]
fn a_delete_takes_what_was_said_with_it() {
    everywhere(|stage| async move {
        let supervisor = start(&stage, PartialPolicy::Beside, 2).await;
        let session = supervisor.open(&key("a")).await.unwrap();
        let turn = session.begin(&user("go on"), ()).await.unwrap();
        let stream = turn.stream();
        count(&turn, 1, 4);
        until("it is stored", || session.status().unwritten == 0).await;
        session.delete().await.unwrap();
        turn.emit("5").unwrap_err();
        session.partial(stream).await.unwrap_err();
        let found = stage.behind.partial(session.id(), stream.incarnation(), stream.generation());
        assert!(found.await.is_err());
        drop(turn);
        assert_clean(&supervisor).await;
    });
}

// C10: the first words of a slow reply are kept after a while, the next ones after twice that.
#[test]
fn what_waits_is_kept_after_a_while_that_doubles() {
    for kind in [stage::Kind::Memory, stage::Kind::Pending] {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().start_paused(true).build().unwrap().block_on(async {
            let stage = Stage::new(kind).await;
            let supervisor: Supervisor =
                stage.builder().clock(PausedClock::new()).start().await.unwrap();
            let session = supervisor.open(&key("a")).await.unwrap();
            let turn = session.begin(&user("slowly"), ()).await.unwrap();
            let pieces = || stage.faults.calls_of(StoreCall::Partial);
            let mut before = 0;
            // A word each second. The default is 5 s; the watch looks each second.
            let mut at = Vec::new();
            for second in 1..=60 {
                turn.emit("word ").unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
                if pieces() > before {
                    before = pieces();
                    at.push(second);
                }
            }
            let gaps: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!((5..=7).contains(&at[0]), "{at:?}");
            assert!((10..=12).contains(&gaps[0]) && (20..=22).contains(&gaps[1]), "{at:?}");
            let (_, chunks) = kept(&session, turn.stream()).await.unwrap();
            assert!(chunks >= at[2] - 1, "{chunks} by {at:?}");
            // Silence costs nothing.
            tokio::time::sleep(Duration::from_secs(600)).await;
            let silent = pieces();
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            assert_eq!(pieces(), silent);
            drop(turn);
            assert_clean(&supervisor).await;
        });
    }
}

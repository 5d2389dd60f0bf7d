//! What is said to a turn while it works.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test, which does not run on the library's seam"
)]

use crate::support;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, StoreCall, drop_at_every_await};
use session_supervisor::{
    BeginError, BeginOptions, BusyPolicy, CancelReason, CommitOutcome, EntryMark, FailedInput,
    Parallel, Session, StreamId, Turn, TurnInput,
};
use support::{
    begin, commit, committed, everywhere, in_paused_time, poll_once, quiet, says, texts, until,
    user,
};

/// Steers; a thousand may wait for ever.
const STEER: BusyPolicy = BusyPolicy::Steer { max: 1_000, wait: None };
const QUEUE: BusyPolicy = BusyPolicy::Queue { max: 1_000, wait: None };

type Saying = tokio::task::JoinHandle<Result<Turn, BeginError>>;

/// Says something to a session in which a turn runs; comes back when it waits.
async fn say(session: &Session, text: &str, options: impl Into<BeginOptions>) -> Saying {
    let before = session.status().queued;
    let saying = tokio::spawn(begin(session, text, options));
    until("it waits", || session.status().queued > before).await;
    saying
}

/// Who took it, and under which number.
#[track_caller]
fn steered(answer: Result<Turn, BeginError>) -> (StreamId, u64) {
    match answer {
        Err(BeginError::Steered { by, seq, .. }) => (by, seq),
        other => panic!("nobody took it: {other:?}"),
    }
}

/// The next input of a turn, if it is not told to end.
async fn next(turn: &Turn) -> Option<String> {
    turn.next_input().await.map(|entry| {
        assert_eq!((entry.stream, entry.input), (Some(turn.stream()), true));
        assert_eq!(entry.mark, EntryMark::Pending);
        entry.content.unwrap().content
    })
}

/// The texts and marks of all entries.
async fn marks(session: &Session) -> Vec<(String, EntryMark)> {
    let entries = session.entries(0, usize::MAX).await.unwrap();
    entries.into_iter().map(|entry| (entry.content.unwrap().content, entry.mark)).collect()
}

/// Lets the others run for a while.
async fn others_run() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

everywhere! {
    // B8: what is said to a turn that never asks becomes a turn of its own
    async fn what_is_said_to_a_turn_that_never_asks_becomes_a_turn(stage) {
        let (supervisor, session) = stage.session().await;
        let mut turn = session.begin(&user("0"), STEER).await.unwrap();
        let mut sayings = Vec::new();
        for number in 1..=5 {
            sayings.push(say(&session, &number.to_string(), STEER).await);
        }
        for (place, saying) in sayings.into_iter().enumerate() {
            committed(turn, &format!("-{place}")).await;
            turn = saying.await.unwrap().unwrap();
        }
        committed(turn, "-5").await;
        let said = ["0", "-0", "1", "-1", "2", "-2", "3", "-3", "4", "-4", "5", "-5"];
        assert_eq!(texts(&session).await, said);
        quiet(&supervisor, &session).await;
        assert_eq!(supervisor.counts().turns_ended, 6);
    }

    // B8: a turn that asks gets it, in order, stored before it sees it
    async fn a_turn_that_asks_gets_what_is_said_in_order(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("0"), ()).await.unwrap();
        let stream = turn.stream();
        let mut sayings = Vec::new();
        for number in 1..=5 {
            sayings.push(say(&session, &number.to_string(), STEER).await);
        }
        for (place, saying) in sayings.into_iter().enumerate() {
            assert_eq!(next(&turn).await.unwrap(), (place + 1).to_string());
            assert_eq!(steered(saying.await.unwrap()), (stream, place as u64 + 2));
            // It is in the transcript before the reply is.
            let entries = session.entries(0, 99).await.unwrap();
            assert_eq!(entries.len(), place + 2);
            assert!(entries.iter().all(|entry| entry.mark == EntryMark::Pending), "{entries:?}");
            assert_eq!(session.status().queued, 4 - place, "it takes what it asked for");
        }
        let mut asked = Box::pin(next(&turn));
        assert!(poll_once(&mut asked).is_pending());
        let saying = tokio::spawn(begin(&session, "6", STEER));
        assert_eq!(asked.await.unwrap(), "6");
        assert_eq!(steered(saying.await.unwrap()), (stream, 7));
        committed(turn, "to all").await;
        let expected = ["0", "1", "2", "3", "4", "5", "6", "to all"];
        assert_eq!(texts(&session).await, expected);
        assert!(marks(&session).await.iter().all(|(_, mark)| *mark == EntryMark::Kept));
        quiet(&supervisor, &session).await;
        assert_eq!(supervisor.counts().turns_ended, 1);
    }

    // B8: a turn that asks once takes once, however long the store needs
    async fn a_turn_takes_no_more_than_it_asks_for(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("0"), ()).await.unwrap();
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Steer, Fault::HeldBefore(gate.clone()));
        let first = say(&session, "1", STEER).await;
        let second = say(&session, "2", STEER).await;
        let mut asked = Box::pin(next(&turn));
        assert!(poll_once(&mut asked).is_pending(), "it is not stored yet");
        let third = say(&session, "3", STEER).await;
        for _ in 0..50 {
            assert!(poll_once(&mut asked).is_pending(), "it is not stored yet");
            tokio::task::yield_now().await;
        }
        assert!(!first.is_finished());
        assert_eq!(session.status().queued, 2);
        gate.open();
        assert_eq!(asked.await.unwrap(), "1");
        steered(first.await.unwrap());
        others_run().await;
        assert_eq!(session.status().queued, 2);
        committed(turn, "to 0 and 1").await;
        let turn = second.await.unwrap().unwrap();
        assert_eq!(next(&turn).await.unwrap(), "3");
        steered(third.await.unwrap());
        committed(turn, "to 2 and 3").await;
        let expected = ["0", "1", "to 0 and 1", "2", "3", "to 2 and 3"];
        assert_eq!(texts(&session).await, expected);
        quiet(&supervisor, &session).await;
    }

    // B6, B8: nobody who waits is overtaken, and whoever gives up makes way
    async fn nobody_who_waits_is_overtaken(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("0"), ()).await.unwrap();
        let plain = say(&session, "plain", QUEUE).await;
        let steer = say(&session, "steer", STEER).await;
        let mut asked = Box::pin(next(&turn));
        assert!(poll_once(&mut asked).is_pending());
        others_run().await;
        assert!(poll_once(&mut asked).is_pending());
        assert_eq!(session.status().queued, 2);
        plain.abort();
        assert!(plain.await.unwrap_err().is_cancelled());
        assert_eq!(asked.await.unwrap(), "steer", "it is told without asking again");
        steered(steer.await.unwrap());
        // One that does not give up has its turn first.
        let plain = say(&session, "plain", QUEUE).await;
        let steer = say(&session, "own", STEER).await;
        committed(turn, "reply").await;
        let turn = plain.await.unwrap().unwrap();
        committed(turn, "reply").await;
        let turn = steer.await.unwrap().unwrap();
        committed(turn, "reply").await;
        let expected = ["0", "steer", "reply", "plain", "reply", "own", "reply"];
        assert_eq!(texts(&session).await, expected);
        quiet(&supervisor, &session).await;
    }

    // B8: nothing that asks for more than to be heard is handed over
    async fn only_what_needs_no_turn_of_its_own_is_handed_over(stage) {
        let (supervisor, session) = stage.session().await;
        let version = session.status().version;
        for options in [
            BeginOptions::default().policy(STEER).expect_version(version),
            BeginOptions::default().policy(STEER).idempotency_key("k"),
        ] {
            let turn = session.begin(&user("0"), ()).await.unwrap();
            let saying = say(&session, "1", options).await;
            let mut asked = Box::pin(next(&turn));
            assert!(poll_once(&mut asked).is_pending());
            others_run().await;
            assert!(poll_once(&mut asked).is_pending());
            drop(asked);
            turn.fail(FailedInput::Drop).await.unwrap();
            saying.await.unwrap().unwrap().fail(FailedInput::Drop).await.unwrap();
        }
        let turn = session.begin(&user("0"), ()).await.unwrap();
        let mut silent = Box::pin(session.begin(TurnInput::none(), STEER));
        assert!(poll_once(&mut silent).is_pending());
        let mut asked = Box::pin(next(&turn));
        assert!(poll_once(&mut asked).is_pending());
        drop(asked);
        drop(turn);
        drop(silent.await.unwrap());
        // A version that is not so any more is told, not handed over.
        let expects = BeginOptions::default().policy(STEER).expect_version(session.status().version);
        let turn = session.begin(&user("0"), ()).await.unwrap();
        let saying = say(&session, "1", expects).await;
        committed(turn, "reply").await;
        let answer = saying.await.unwrap();
        assert!(matches!(answer, Err(BeginError::Conflict { .. })), "{answer:?}");
        quiet(&supervisor, &session).await;
    }

    // B6, B8: the queue is bounded, and an idle session begins a turn
    async fn the_queue_is_bounded_whether_the_turn_asks_or_not(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("0"), STEER).await.unwrap();
        let two = BusyPolicy::Steer { max: 2, wait: None };
        let (one, other) = (say(&session, "1", two).await, say(&session, "2", two).await);
        let full = begin(&session, "3", two).await;
        assert!(matches!(full, Err(BeginError::QueueFull { queued: 2, .. })), "{full:?}");
        assert_eq!(next(&turn).await.unwrap(), "1");
        assert_eq!(next(&turn).await.unwrap(), "2");
        steered(one.await.unwrap());
        steered(other.await.unwrap());
        drop(turn);
        quiet(&supervisor, &session).await;
    }

    // B3, B8: asked for and dropped at each poll, nothing is lost and nothing comes twice
    async fn what_a_dropped_future_has_asked_for_comes_with_the_next(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = Arc::new(session.begin(&user("0"), ()).await.unwrap());
        let (mut said, mut heard) = (0, Vec::new());
        let dropped = drop_at_every_await(
            async || {
                said += 1;
                let saying = say(&session, &said.to_string(), STEER).await;
                let turn = turn.clone();
                (saying, async move { next(&turn).await.unwrap() })
            },
            async |saying, output| {
                heard.extend(output.clone());
                if output.is_none() {
                    heard.push(next(&turn).await.unwrap());
                }
                steered(saying.await.unwrap());
            },
        )
        .await;
        assert_eq!(heard, (1..=said).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(said, dropped + 1);
        // What was asked for and not read is in the transcript.
        let saying = say(&session, "unread", STEER).await;
        drop(poll_once(&mut Box::pin(next(&turn))));
        steered(saying.await.unwrap());
        committed(Arc::into_inner(turn).unwrap(), "reply").await;
        let mut expected = vec!["0".to_owned()];
        expected.extend(heard);
        expected.extend(["unread".to_owned(), "reply".to_owned()]);
        assert_eq!(texts(&session).await, expected);
        quiet(&supervisor, &session).await;
    }

    // B8, D3: a turn that is told to end while it asks gets nothing more
    async fn a_turn_that_is_told_to_end_is_told_so_where_it_asks(stage) {
        let (supervisor, session) = stage.session().await;
        let running = session.run(&user("0"), (), |turn| async move {
            let heard = next(&turn).await;
            (heard, commit(turn, "late").await)
        }).await.unwrap();
        others_run().await;
        drop(session.cancel(running.stream()));
        let too_late = CommitOutcome::Stale { reason: CancelReason::Stopped };
        assert_eq!(running.await.unwrap(), (None, too_late));
        let turn = session.begin(&user("1"), ()).await.unwrap();
        drop(session.cancel(turn.stream()));
        let saying = say(&session, "2", STEER).await;
        assert_eq!(next(&turn).await, None);
        assert_eq!(next(&turn).await, None);
        drop(turn);
        committed(saying.await.unwrap().unwrap(), "reply").await;
        assert_eq!(texts(&session).await, ["0", "1", "2", "reply"]);
        quiet(&supervisor, &session).await;
    }

    // B8, C7: without a reply what was said is unanswered, also if what the turn was begun with is dropped
    async fn what_was_said_to_a_turn_without_a_reply_is_marked_unanswered(stage) {
        let (supervisor, session) = stage.session().await;
        for fate in [Some(FailedInput::Keep), Some(FailedInput::Drop), None] {
            let turn = session.begin(&user("0"), ()).await.unwrap();
            let saying = say(&session, "1", STEER).await;
            assert_eq!(next(&turn).await.unwrap(), "1");
            steered(saying.await.unwrap());
            match fate {
                Some(fate) => drop(turn.fail(fate).await.unwrap()),
                None => drop(turn),
            }
            quiet(&supervisor, &session).await;
            let mut expected = vec![("1".to_owned(), EntryMark::Unanswered)];
            if fate != Some(FailedInput::Drop) {
                expected.insert(0, ("0".to_owned(), EntryMark::Unanswered));
            }
            assert_eq!(marks(&session).await, expected, "{fate:?}");
            // A branch that begins now begins after it.
            let branch = BusyPolicy::Parallel(Parallel::Branch);
            let branch = session.begin(&user("branch"), branch).await.unwrap();
            let (one, parent) = session.branches().await.unwrap()[0];
            let last = session.entries(0, 99).await.unwrap()[expected.len() - 1].seq;
            assert_eq!((one, parent), (branch.stream(), last), "{fate:?}");
            branch.fail(FailedInput::Drop).await.unwrap();
            session.rollback(1, None).await.unwrap();
        }
    }

    // B8, C4: a crash leaves what was said, unanswered
    async fn what_was_said_survives_a_crash(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("0"), ()).await.unwrap();
        let saying = say(&session, "1", STEER).await;
        assert_eq!(next(&turn).await.unwrap(), "1");
        steered(saying.await.unwrap());
        let stage = stage.reopened().await;
        let _crashed = (turn, supervisor, session);
        let (supervisor, session) = stage.session().await;
        let unanswered = |text: &str| (text.to_owned(), EntryMark::Unanswered);
        assert_eq!(marks(&session).await, [unanswered("0"), unanswered("1")]);
        let again = session.retry(1, ()).await.unwrap();
        assert_eq!(texts(&session).await, ["0"], "what was said to it is in the revision");
        drop(again);
        quiet(&supervisor, &session).await;
    }

    // B13, E1: whoever waits to be heard leaves before anything of it is stored
    async fn a_stop_or_a_delete_takes_off_whoever_waits_to_be_heard(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("0"), ()).await.unwrap();
        let saying = say(&session, "1", STEER).await;
        drop(session.stop());
        let answer = saying.await.unwrap();
        assert!(matches!(answer, Err(BeginError::Cancelled { .. })), "{answer:?}");
        assert_eq!(next(&turn).await, None);
        drop(turn);
        let turn = session.begin(&user("2"), ()).await.unwrap();
        // One is being taken, one waits.
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Steer, Fault::HeldBefore(gate.clone()));
        let taken = say(&session, "3", STEER).await;
        let mut asked = Box::pin(next(&turn));
        assert!(poll_once(&mut asked).is_pending());
        let waits = say(&session, "4", STEER).await;
        let deleting = tokio::spawn({
            let session = session.clone();
            async move { session.delete().await }
        });
        let answer = waits.await.unwrap();
        assert!(matches!(answer, Err(BeginError::Closing { .. })), "{answer:?}");
        gate.open();
        // The store had it; then it was deleted with the rest.
        steered(taken.await.unwrap());
        deleting.await.unwrap().unwrap();
        drop(asked);
        drop(turn);
        quiet(&supervisor, &session).await;
    }

    // B6, B8: the end of the turn against the take, both ways round
    async fn the_end_of_a_turn_and_what_it_takes_decide_by_who_is_first(stage) {
        let (supervisor, session) = stage.session().await;
        // The end comes first: a turn of its own.
        let turn = session.begin(&user("0"), ()).await.unwrap();
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Commit, Fault::HeldBefore(gate.clone()));
        let saying = say(&session, "1", STEER).await;
        let reply = says("-0");
        let mut committing = Box::pin(turn.commit(&reply));
        assert!(poll_once(&mut committing).is_pending());
        assert_eq!(session.status().queued, 0, "it is admitted in the same step");
        gate.open();
        assert!(matches!(committing.await.unwrap(), CommitOutcome::Committed { .. }));
        let turn = saying.await.unwrap().unwrap();
        // The take comes first: the turn's, though it ends before it has seen it.
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Steer, Fault::HeldBefore(gate.clone()));
        let saying = say(&session, "2", STEER).await;
        let mut asked = Box::pin(next(&turn));
        assert!(poll_once(&mut asked).is_pending());
        drop(asked);
        let stream = turn.stream();
        let mut committing = Box::pin(commit(turn, "-1"));
        assert!(poll_once(&mut committing).is_pending());
        gate.open();
        assert!(matches!(committing.await, CommitOutcome::Committed { seq: 5, .. }));
        assert_eq!(steered(saying.await.unwrap()), (stream, 4));
        assert_eq!(texts(&session).await, ["0", "-0", "1", "2", "-1"]);
        quiet(&supervisor, &session).await;
    }

    // B6, B8, F7: count in = count out
    async fn of_five_hundred_sayings_none_is_lost_or_heard_twice(stage) {
        let (supervisor, session) = stage.session().await;
        let heard = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..500).map(|number: usize| {
            let (session, heard) = (session.clone(), heard.clone());
            tokio::spawn(async move {
                let policy = if number.is_multiple_of(5) { QUEUE } else { STEER };
                match session.begin(&user(&number.to_string()), policy).await {
                    Ok(turn) => {
                        // Some never ask, some ask and go, some wait a little for more.
                        for _ in 0..number % 4 {
                            let asked = Box::pin(next(&turn));
                            let more = tokio::select! {
                                biased;
                                more = asked => more.is_some(),
                                () = async { for _ in 0..number % 7 { tokio::task::yield_now().await } } => false,
                            };
                            heard.fetch_add(usize::from(more), Ordering::SeqCst);
                        }
                        committed(turn, "-").await;
                        (1, 0)
                    }
                    Err(BeginError::Steered { .. }) => (0, 1),
                    Err(other) => panic!("{other:?}"),
                }
            })
        }).collect();
        let (mut turns, mut taken) = (0, 0);
        for task in tasks {
            let (began, steered) = task.await.unwrap();
            turns += began;
            taken += steered;
        }
        quiet(&supervisor, &session).await;
        assert_eq!(turns + taken, 500);
        assert!(heard.load(Ordering::SeqCst) <= taken, "what was asked for may not have been read");
        let mut said: Vec<usize> =
            texts(&session).await.iter().filter(|text| *text != "-").map(|text| text.parse().unwrap()).collect();
        said.sort_unstable();
        assert_eq!(said, (0..500).collect::<Vec<_>>());
        let counts = supervisor.counts();
        assert_eq!((counts.turns_begun, counts.turns_ended), (turns as u64, turns as u64));
        assert_eq!(counts.begins_queued, counts.begins_dequeued);
    }

    // B8, M2: a store that does not take it ends the turn, and tells whoever said it
    async fn a_store_that_fails_is_told_to_both(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("0"), ()).await.unwrap();
        stage.store.fail_next_of(StoreCall::Steer, Fault::Unavailable);
        let saying = say(&session, "1", STEER).await;
        assert_eq!(next(&turn).await, None);
        assert_eq!(turn.cancelled_by(), Some(CancelReason::StoreFailed));
        let answer = saying.await.unwrap();
        assert!(matches!(answer, Err(BeginError::Store { .. })), "{answer:?}");
        assert!(matches!(commit(turn, "late").await, CommitOutcome::Stale { .. }));
        let turn = session.begin(&user("1"), STEER).await.unwrap();
        committed(turn, "reply").await;
        assert_eq!(texts(&session).await, ["0", "1", "reply"]);
        quiet(&supervisor, &session).await;
    }

    // B8, B10: beside others, whoever asks first gets it; where the turn goes, it goes
    async fn of_turns_that_run_at_once_the_one_that_asks_takes_it(stage) {
        let (supervisor, session) = stage.session().await;
        let parallel = BusyPolicy::Parallel(Parallel::FirstCommit);
        let one = session.begin(&user("one"), parallel).await.unwrap();
        let two = session.begin(&user("two"), parallel).await.unwrap();
        let first = tokio::spawn(begin(&session, "1", STEER));
        let second = tokio::spawn(begin(&session, "2", STEER));
        let (by_one, by_two) = tokio::join!(next(&one), next(&two));
        let mut heard = [by_one.unwrap(), by_two.unwrap()];
        heard.sort_unstable();
        assert_eq!(heard, ["1", "2"]);
        let by = [steered(first.await.unwrap()).0, steered(second.await.unwrap()).0];
        assert_ne!(by[0], by[1]);
        committed(one, "won").await;
        assert!(matches!(commit(two, "lost").await, CommitOutcome::Superseded { .. }));
        assert_eq!(texts(&session).await.len(), 3);
        quiet(&supervisor, &session).await;
        assert_eq!(marks(&session).await.iter().filter(|(_, mark)| *mark == EntryMark::Aside).count(), 2);
    }
}

in_paused_time! {
    // B12: it waits no longer than its policy says
    async fn whoever_waits_to_be_heard_waits_as_long_as_it_said(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("0"), ()).await.unwrap();
        let wait = BusyPolicy::Steer { max: 9, wait: Some(Duration::from_secs(3)) };
        let started = tokio::time::Instant::now();
        let answer = begin(&session, "1", wait).await;
        let Err(BeginError::TimedOut { waited, holder, .. }) = answer else { panic!("{answer:?}") };
        assert_eq!((waited, started.elapsed()), (Duration::from_secs(3), Duration::from_secs(3)));
        assert_eq!(holder.unwrap().stream, turn.stream());
        let mut asked = Box::pin(next(&turn));
        assert!(poll_once(&mut asked).is_pending(), "what has left cannot be taken");
        // What was taken in time and is not stored in time is taken.
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Steer, Fault::HeldBefore(gate.clone()));
        let saying = tokio::spawn(begin(&session, "2", wait));
        gate_reached(&mut asked, &gate).await;
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(!saying.is_finished());
        gate.open();
        assert_eq!(asked.await.unwrap(), "2");
        steered(saying.await.unwrap());
        drop(turn);
        quiet(&supervisor, &session).await;
    }
}

/// Polls a turn that asks until the store has been asked.
async fn gate_reached<F: Future + Unpin>(asked: &mut F, gate: &Gate) {
    while gate.reached() == 0 {
        assert!(poll_once(asked).is_pending());
        tokio::task::yield_now().await;
    }
}

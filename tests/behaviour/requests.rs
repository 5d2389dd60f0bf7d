//! Begins with a name: what is delivered twice is begun once.

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

use std::sync::Arc;
use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{
    BeginError, BeginOptions, BusyPolicy, CancelReason, CommitOutcome, FailedInput, Session,
    StoreError, StreamId, Supervisor, Turn, TurnInput, TurnOutcome,
};
use support::{
    begin, committed, everywhere, in_paused_time, key, poll_once, quiet, settled, texts, user,
};
use tokio::sync::Barrier;

const QUEUE: BusyPolicy = BusyPolicy::Queue { max: 1_000, wait: None };
const HOUR: Duration = Duration::from_secs(3_600);

/// Under this name.
fn named(name: &str, policy: BusyPolicy) -> BeginOptions {
    BeginOptions::default().policy(policy).idempotency_key(name)
}

/// Which turn it repeats, and how that ended.
#[track_caller]
fn repeats(answer: Result<Turn, BeginError>) -> (StreamId, Option<TurnOutcome>) {
    match answer {
        Err(BeginError::Repeated { stream, outcome, .. }) => (stream, outcome),
        other => panic!("not a repetition: {other:?}"),
    }
}

/// Which turn has the name.
#[track_caller]
fn reuses(answer: Result<Turn, BeginError>) -> StreamId {
    match answer {
        Err(BeginError::KeyReused { key, stream, .. }) => {
            assert_eq!(key, "k");
            stream
        }
        other => panic!("the name is not taken: {other:?}"),
    }
}

/// Both kinds of duplicates are told of `stream`.
async fn assert_taken(session: &Session, stream: StreamId, ended: Option<TurnOutcome>) {
    for policy in [BusyPolicy::Reject, QUEUE, BusyPolicy::interrupt(), BusyPolicy::steer()] {
        assert_eq!(repeats(begin(session, "a", named("k", policy)).await), (stream, ended));
        assert_eq!(reuses(begin(session, "b", named("k", policy)).await), stream);
    }
}

/// What has begun balances with what has been told: `turns` turns.
async fn assert_begun(supervisor: &Supervisor, session: &Session, turns: u64) {
    quiet(supervisor, session).await;
    let counts = supervisor.counts();
    assert_eq!((counts.turns_begun, counts.turns_ended), (turns, turns));
    assert_eq!(counts.begins_queued, counts.begins_dequeued);
}

everywhere! {
    // B15, F4: while it is being stored
    async fn a_duplicate_of_a_begin_that_is_being_stored_is_told_of_its_turn(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let first = tokio::spawn(begin(&session, "a", named("k", BusyPolicy::Reject)));
        gate.wait_until_reached().await;
        let mut same = begin(&session, "a", named("k", BusyPolicy::Reject));
        let mut other = begin(&session, "b", named("k", BusyPolicy::Reject));
        for _ in 0..50 {
            assert!(poll_once(&mut same).is_pending());
            assert!(poll_once(&mut other).is_pending());
            tokio::task::yield_now().await;
        }
        gate.open();
        let turn = first.await.unwrap().unwrap();
        assert_eq!(repeats(same.await), (turn.stream(), None));
        assert_eq!(reuses(other.await), turn.stream());
        committed(turn, "reply").await;
        assert_eq!(texts(&session).await, ["a", "reply"]);
        assert_begun(&supervisor, &session, 1).await;
    }

    // B15, F4: while it waits; the counts balance while they do
    async fn a_duplicate_of_a_begin_that_waits_waits_with_it(stage) {
        let (supervisor, session) = stage.session().await;
        let running = session.begin(&user("0"), ()).await.unwrap();
        let first = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
        support::until("it waits", || session.status().queued == 1).await;
        // Whatever the policy: what it asks for waits already.
        let same = tokio::spawn(begin(&session, "a", named("k", BusyPolicy::Reject)));
        let other = tokio::spawn(begin(&session, "b", named("k", BusyPolicy::interrupt())));
        support::until("all wait", || supervisor.counts().begins_queued == 3).await;
        settled(&supervisor).await;
        assert_eq!(session.status().queued, 1);
        assert_eq!(running.cancelled_by(), None, "a duplicate interrupts nobody");
        committed(running, "to 0").await;
        let turn = first.await.unwrap().unwrap();
        assert_eq!(repeats(same.await.unwrap()), (turn.stream(), None));
        assert_eq!(reuses(other.await.unwrap()), turn.stream());
        committed(turn, "to a").await;
        assert_eq!(texts(&session).await, ["0", "to 0", "a", "to a"]);
        assert_begun(&supervisor, &session, 2).await;
    }

    // B15, F4: while it runs, after every end, and after a restart
    async fn a_duplicate_is_told_of_the_turn_while_it_runs_and_however_it_ended(stage) {
        let supervisor = stage.start().await;
        let mut ended = Vec::new();
        for place in 0..4 {
            let session = supervisor.open(&key(&place.to_string())).await.unwrap();
            let turn = begin(&session, "a", named("k", BusyPolicy::Reject)).await.unwrap();
            let stream = turn.stream();
            assert_taken(&session, stream, None).await;
            let outcome = match place {
                0 => {
                    committed(turn, "reply").await;
                    TurnOutcome::Committed
                }
                1 => {
                    turn.fail(FailedInput::Drop).await.unwrap();
                    TurnOutcome::Failed
                }
                2 => {
                    drop(turn);
                    TurnOutcome::Abandoned
                }
                _ => {
                    drop(session.stop());
                    let late = support::commit(turn, "late").await;
                    assert!(matches!(late, CommitOutcome::Stale { .. }));
                    TurnOutcome::Cancelled(CancelReason::Stopped)
                }
            };
            quiet(&supervisor, &session).await;
            assert_taken(&session, stream, Some(outcome)).await;
            ended.push((stream, outcome, texts(&session).await));
        }
        let running = supervisor.open(&key("runs")).await.unwrap();
        let turn = begin(&running, "a", named("k", BusyPolicy::Reject)).await.unwrap();
        let stream = turn.stream();
        let stage = stage.reopened().await;
        let _crashed = (turn, running, supervisor);
        let supervisor = stage.start().await;
        for (place, (stream, outcome, before)) in ended.into_iter().enumerate() {
            let session = supervisor.open(&key(&place.to_string())).await.unwrap();
            assert_taken(&session, stream, Some(outcome)).await;
            assert_eq!(texts(&session).await, before);
        }
        let running = supervisor.open(&key("runs")).await.unwrap();
        assert_taken(&running, stream, Some(TurnOutcome::Interrupted)).await;
        assert_begun(&supervisor, &running, 0).await;
    }

    // B15: a look into the store that is overtaken by a begin of the same name is not believed
    async fn a_look_up_that_is_overtaken_is_made_again(stage) {
        let (supervisor, session) = stage.session().await;
        // The other one begins and ends while the store's answer is on its way.
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Request, Fault::HeldAfter(gate.clone()));
        let late = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
        gate.wait_until_reached().await;
        let turn = begin(&session, "a", named("k", QUEUE)).await.unwrap();
        let stream = turn.stream();
        committed(turn, "reply").await;
        gate.open();
        assert_eq!(repeats(late.await.unwrap()), (stream, Some(TurnOutcome::Committed)));
        assert_begun(&supervisor, &session, 1).await;
    }

    // B15: the same if the other one had been admitted before the store was asked, and was stored after
    async fn a_look_up_while_the_begin_is_being_stored_is_made_again(stage) {
        let (supervisor, session) = stage.session().await;
        let (storing, looking) = (Gate::new(), Gate::new());
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(storing.clone()));
        let first = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
        storing.wait_until_reached().await;
        stage.store.fail_next_of(StoreCall::Request, Fault::HeldAfter(looking.clone()));
        let late = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
        looking.wait_until_reached().await;
        storing.open();
        let turn = first.await.unwrap().unwrap();
        let stream = turn.stream();
        committed(turn, "reply").await;
        quiet(&supervisor, &session).await;
        looking.open();
        assert_eq!(repeats(late.await.unwrap()), (stream, Some(TurnOutcome::Committed)));
        assert_eq!(texts(&session).await, ["a", "reply"]);
        assert_begun(&supervisor, &session, 1).await;
    }

    // B15, D1: a turn that is ended over its holder's head before its begin is stored keeps its name
    async fn a_begin_that_is_fenced_while_it_is_being_stored_keeps_its_name(stage) {
        let (supervisor, session) = stage
            .session_with(|config| config.turns.cancel_grace = Duration::ZERO)
            .await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let first = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
        gate.wait_until_reached().await;
        drop(session.stop());
        support::until("it is over", || session.status().turns.is_empty()).await;
        let late = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
        let other = tokio::spawn(begin(&session, "b", named("k", QUEUE)));
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!late.is_finished() && !other.is_finished());
        gate.open();
        let refused = first.await.unwrap();
        assert!(matches!(refused, Err(BeginError::Cancelled { .. })), "{refused:?}");
        let (stream, _) = repeats(late.await.unwrap());
        assert_eq!(reuses(other.await.unwrap()), stream);
        quiet(&supervisor, &session).await;
        let stopped = TurnOutcome::Cancelled(CancelReason::Stopped);
        assert_taken(&session, stream, Some(stopped)).await;
        assert_eq!(texts(&session).await, ["a"]);
        assert_begun(&supervisor, &session, 1).await;
    }

    // B15, F4: however many deliver it at the same time
    async fn of_sixty_four_begins_with_one_name_one_gets_a_turn(stage) {
        let (supervisor, session) = stage.session().await;
        for policy in [BusyPolicy::Reject, QUEUE, BusyPolicy::interrupt()] {
            let name = format!("{policy:?}");
            let barrier = Arc::new(Barrier::new(64));
            let tasks: Vec<_> = (0..64).map(|_| {
                let (barrier, begin) = (barrier.clone(), begin(&session, "a", named(&name, policy)));
                tokio::spawn(async move {
                    barrier.wait().await;
                    match begin.await {
                        Ok(turn) => {
                            let stream = turn.stream();
                            tokio::task::yield_now().await;
                            committed(turn, "reply").await;
                            (true, stream)
                        }
                        Err(BeginError::Repeated { stream, .. }) => (false, stream),
                        Err(other) => panic!("{other:?}"),
                    }
                })
            }).collect();
            let (mut began, mut streams) = (0, Vec::new());
            for task in tasks {
                let (mine, stream) = task.await.unwrap();
                began += usize::from(mine);
                streams.push(stream);
            }
            streams.dedup();
            assert_eq!((began, streams.len()), (1, 1), "{policy:?}");
        }
        assert_eq!(texts(&session).await.len(), 6);
        assert_begun(&supervisor, &session, 3).await;
    }

    // B13, B15: a begin that leaves the queue takes those with it who repeated it, and frees the name
    async fn whoever_repeats_a_begin_that_leaves_the_queue_leaves_with_it(stage) {
        let supervisor = stage.start().await;
        for way in ["drop", "stop", "delete"] {
            let session = supervisor.open(&key(way)).await.unwrap();
            let running = session.begin(&user("0"), ()).await.unwrap();
            let before = supervisor.counts().begins_queued;
            let first = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
            support::until("it waits", || session.status().queued == 1).await;
            let same = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
            let other = tokio::spawn(begin(&session, "b", named("k", QUEUE)));
            support::until("all wait", || supervisor.counts().begins_queued == before + 3).await;
            // Somebody else waits behind; nobody of them is in its way.
            let next = tokio::spawn(begin(&session, "next", named("another", QUEUE)));
            support::until("it waits", || session.status().queued == 2).await;
            match way {
                "drop" => {
                    first.abort();
                    assert!(first.await.unwrap_err().is_cancelled());
                    for echo in [same, other] {
                        let answer = echo.await.unwrap();
                        assert!(matches!(answer, Err(BeginError::TimedOut { .. })), "{answer:?}");
                    }
                    drop(running);
                    let next = next.await.unwrap().unwrap();
                    // The name is free: the same can be asked for again.
                    let again = tokio::spawn(begin(&session, "b", named("k", QUEUE)));
                    support::until("it waits", || session.status().queued == 1).await;
                    drop(next);
                    drop(again.await.unwrap().unwrap());
                    assert_eq!(texts(&session).await, ["0", "next", "b"]);
                }
                "stop" => {
                    drop(session.stop());
                    for task in [first, same, other, next] {
                        let answer = task.await.unwrap();
                        let stopped = CancelReason::Stopped;
                        assert!(matches!(answer, Err(BeginError::Cancelled { reason }) if reason == stopped));
                    }
                    drop(running);
                    let again = begin(&session, "b", named("k", QUEUE)).await.unwrap();
                    drop(again);
                }
                _ => {
                    session.delete().await.unwrap();
                    for task in [first, same, other, next] {
                        let answer = task.await.unwrap();
                        assert!(matches!(answer, Err(BeginError::Closing { .. })), "{answer:?}");
                    }
                    drop(running);
                    let gone = begin(&session, "a", named("k", QUEUE)).await;
                    assert!(matches!(gone, Err(BeginError::Gone { .. })), "{gone:?}");
                }
            }
            quiet(&supervisor, &session).await;
        }
    }

    // B3, B15: one that repeats may go away; the one that it repeats does not notice
    async fn whoever_repeats_may_go_away(stage) {
        let (supervisor, session) = stage.session().await;
        let running = session.begin(&user("0"), ()).await.unwrap();
        let first = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
        support::until("it waits", || session.status().queued == 1).await;
        let gone = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
        let stays = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
        support::until("all wait", || supervisor.counts().begins_queued == 3).await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        settled(&supervisor).await;
        drop(running);
        let turn = first.await.unwrap().unwrap();
        assert_eq!(repeats(stays.await.unwrap()).0, turn.stream());
        drop(turn);
        assert_begun(&supervisor, &session, 2).await;
    }

    // B15, M2: a begin that fails is not remembered, and those who repeated it are told
    async fn a_begin_that_fails_frees_its_name(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        // The write fails while both wait for it.
        let unavailable = StoreError::Unavailable { what: "later".into(), source: None };
        stage.store.fail_next_of(StoreCall::Append, Fault::HeldBefore(gate.clone()));
        stage.store.fail_next_of(StoreCall::Begin, Fault::Refused(unavailable));
        let noting = tokio::spawn({
            let session = session.clone();
            async move { session.append(&[support::says("note")]).await }
        });
        gate.wait_until_reached().await;
        let first = tokio::spawn(begin(&session, "a", named("k", BusyPolicy::Reject)));
        support::until("it starts", || session.status().is_busy()).await;
        let same = tokio::spawn(begin(&session, "a", named("k", BusyPolicy::Reject)));
        let other = tokio::spawn(begin(&session, "b", named("k", BusyPolicy::Reject)));
        support::until("both repeat it", || supervisor.counts().begins_queued == 2).await;
        gate.open();
        noting.await.unwrap().unwrap();
        for task in [first, same, other] {
            let answer = task.await.unwrap();
            assert!(matches!(answer, Err(BeginError::Store { .. })), "{answer:?}");
        }
        assert_eq!(texts(&session).await, ["note"]);
        committed(begin(&session, "b", named("k", BusyPolicy::Reject)).await.unwrap(), "reply").await;
        assert_eq!(texts(&session).await, ["note", "b", "reply"]);
        quiet(&supervisor, &session).await;
        // A look-up that fails begins nothing.
        stage.store.fail_next_of(StoreCall::Request, Fault::Unavailable);
        let answer = begin(&session, "c", named("c", BusyPolicy::Reject)).await;
        assert!(matches!(answer, Err(BeginError::Store { .. })), "{answer:?}");
        drop(begin(&session, "c", named("c", BusyPolicy::Reject)).await.unwrap());
        // Nor does one that the store is not sure of begin twice.
        stage.store.fail_next_of(StoreCall::Begin, Fault::UnknownButApplied);
        let answer = begin(&session, "d", named("d", BusyPolicy::Reject)).await;
        assert!(matches!(answer, Err(BeginError::Store { .. })), "{answer:?}");
        repeats(begin(&session, "d", named("d", BusyPolicy::Reject)).await);
        let count = texts(&session).await.iter().filter(|text| *text == "d").count();
        assert_eq!(count, 1);
        quiet(&supervisor, &session).await;
    }

    // B15: a begin that is refused is not remembered
    async fn a_begin_that_is_refused_does_not_take_its_name(stage) {
        let (supervisor, session) = stage.session().await;
        let running = session.begin(&user("0"), ()).await.unwrap();
        let busy = begin(&session, "a", named("k", BusyPolicy::Reject)).await;
        assert!(matches!(busy, Err(BeginError::Busy { .. })), "{busy:?}");
        let full = BusyPolicy::Queue { max: 0, wait: None };
        let full = begin(&session, "a", named("k", full)).await;
        assert!(matches!(full, Err(BeginError::QueueFull { .. })), "{full:?}");
        let conflict = begin(&session, "a", named("k", QUEUE).expect_version(9)).await;
        assert!(matches!(conflict, Err(BeginError::Conflict { .. })), "{conflict:?}");
        // One that waits and finds another version when it is its turn; who repeats it is told the same.
        let expects = named("k", QUEUE).expect_version(session.status().version);
        let first = tokio::spawn(begin(&session, "a", expects));
        support::until("it waits", || session.status().queued == 1).await;
        let same = tokio::spawn(begin(&session, "a", named("k", QUEUE)));
        support::until("both wait", || supervisor.counts().begins_queued == 2).await;
        committed(running, "to 0").await;
        for task in [first, same] {
            let answer = task.await.unwrap();
            assert!(matches!(answer, Err(BeginError::Conflict { .. })), "{answer:?}");
        }
        committed(begin(&session, "b", named("k", QUEUE)).await.unwrap(), "to b").await;
        assert_begun(&supervisor, &session, 2).await;
        for bad in ["", &"x".repeat(257)] {
            let answer = begin(&session, "a", named(bad, QUEUE)).await;
            assert!(matches!(answer, Err(BeginError::Input(_))), "{answer:?}");
        }
        drop(begin(&session, "a", named(&"x".repeat(256), QUEUE)).await.unwrap());
        quiet(&supervisor, &session).await;
    }

    // B15: names do not get into each other's way, within a session or between two
    async fn two_names_do_not_disturb_each_other(stage) {
        let supervisor = stage.start().await;
        let (one, two) = (supervisor.open(&key("1")).await.unwrap(), supervisor.open(&key("2")).await.unwrap());
        let running = begin(&one, "a", named("k", QUEUE)).await.unwrap();
        let waits = tokio::spawn(begin(&one, "a", named("l", QUEUE)));
        let other = begin(&two, "b", named("k", QUEUE)).await.unwrap();
        assert_eq!(reuses(begin(&one, "b", named("k", QUEUE)).await), running.stream());
        support::until("it waits", || one.status().queued == 1).await;
        drop((running, other));
        drop(waits.await.unwrap().unwrap());
        // Nothing is something else than nothing in particular.
        let silent = one.begin(TurnInput::none(), named("m", QUEUE)).await.unwrap();
        let stream = silent.stream();
        assert_eq!(repeats(one.begin(TurnInput::none(), named("m", QUEUE)).await).0, stream);
        assert!(matches!(one.begin(&user(""), named("m", QUEUE)).await, Err(BeginError::KeyReused { .. })));
        drop(silent);
        quiet(&supervisor, &one).await;
        quiet(&supervisor, &two).await;
    }

    // B15, F4: for a message that arrives, the same
    async fn a_message_that_arrives_twice_begins_one_turn(stage) {
        let supervisor = stage.start().await;
        let (chat, options) = (key("new"), named("k", BusyPolicy::Reject));
        let turn: Turn = supervisor.begin(&chat, &user("a"), options.clone()).await.unwrap();
        assert_eq!(repeats(supervisor.begin(&chat, &user("a"), options.clone()).await).0, turn.stream());
        let stream = turn.stream();
        committed(turn, "reply").await;
        let session = supervisor.open(&chat).await.unwrap();
        assert_eq!(repeats(supervisor.begin(&chat, &user("a"), options.clone()).await).0, stream);
        assert_eq!(reuses(supervisor.begin(&chat, &user("b"), options.clone()).await), stream);
        // A reset starts a life that has heard nothing.
        session.delete().await.unwrap();
        drop(supervisor.begin(&chat, &user("a"), options).await.unwrap());
        settled(&supervisor).await;
    }
}

in_paused_time! {
    // B12, B15
    async fn whoever_repeats_waits_no_longer_than_its_own_policy_says(stage) {
        let (supervisor, session) = stage.session().await;
        let running = session.begin(&user("0"), ()).await.unwrap();
        let wait = |seconds| BusyPolicy::Queue { max: 9, wait: Some(Duration::from_secs(seconds)) };
        let started = tokio::time::Instant::now();
        let first = tokio::spawn(begin(&session, "a", named("k", wait(10))));
        support::until("it waits", || session.status().queued == 1).await;
        let short = begin(&session, "a", named("k", wait(4))).await;
        let Err(BeginError::TimedOut { waited, .. }) = short else { panic!("{short:?}") };
        assert_eq!((waited, started.elapsed()), (Duration::from_secs(4), Duration::from_secs(4)));
        assert_eq!(session.status().queued, 1);
        // It outlives the one that it repeats by nothing.
        let long = begin(&session, "a", named("k", wait(100))).await;
        assert!(matches!(long, Err(BeginError::TimedOut { .. })), "{long:?}");
        assert_eq!(started.elapsed(), Duration::from_secs(10));
        assert!(matches!(first.await.unwrap(), Err(BeginError::TimedOut { .. })));
        drop(running);
        drop(begin(&session, "b", named("k", wait(1))).await.unwrap());
        quiet(&supervisor, &session).await;
    }

    // B15: kept as long as the setting says, and not for ever
    async fn names_are_forgotten_after_their_time_and_not_before(stage) {
        let (supervisor, session) = stage.session_with(|config| config.kept.requests_for = HOUR).await;
        let turn = begin(&session, "a", named("k", QUEUE)).await.unwrap();
        let stream = turn.stream();
        committed(turn, "reply").await;
        tokio::time::sleep(HOUR.saturating_sub(Duration::from_secs(1))).await;
        assert_taken(&session, stream, Some(TurnOutcome::Committed)).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        let turn = begin(&session, "b", named("k", QUEUE)).await.unwrap();
        let stream = turn.stream();
        // One that runs is not forgotten, for as long as it does.
        tokio::time::sleep(2 * HOUR).await;
        assert_eq!(repeats(begin(&session, "b", named("k", QUEUE)).await), (stream, None));
        assert_eq!(reuses(begin(&session, "a", named("k", QUEUE)).await), stream);
        committed(turn, "reply").await;
        drop(begin(&session, "a", named("k", QUEUE)).await.unwrap());
        quiet(&supervisor, &session).await;
    }
}

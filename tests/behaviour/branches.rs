//! Turns that stand beside each other under one entry.

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

use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{
    BeginError, BeginOptions, BusyPolicy, CommitOutcome, FailedInput, Parallel, Session, StreamId,
    TurnInput, TurnOutcome,
};
use support::{
    begin, commit, committed, everywhere, key, poll_once, quiet, read_out, says, texts, user,
};
use tokio::sync::Barrier;

const BRANCH: BusyPolicy = BusyPolicy::Parallel(Parallel::Branch);
const FIRST_COMMIT: BusyPolicy = BusyPolicy::Parallel(Parallel::FirstCommit);
const QUEUE: BusyPolicy = BusyPolicy::Queue { max: 1_000, wait: None };

/// The transcript as it stands for a turn.
async fn line(session: &Session, stream: StreamId) -> Vec<String> {
    let entries = session.transcript_of(stream).await.unwrap();
    entries.into_iter().map(|entry| entry.content.unwrap().content).collect()
}

/// A session with a turn: entries 1 and 2.
async fn talked(supervisor: &session_supervisor::Supervisor, chat: &str) -> Session {
    let session = supervisor.open(&key(chat)).await.unwrap();
    let turn = session.begin(&user("hi"), ()).await.unwrap();
    committed(turn, "hello").await;
    session
}

everywhere! {
    // B9: none is lost, each has the same past, and the conversation goes on from the last to commit
    async fn of_two_to_sixteen_branches_none_is_lost(stage) {
        let supervisor = stage.start().await;
        for count in [2, 3, 8, 16] {
            let session = talked(&supervisor, &count.to_string()).await;
            let barrier = Arc::new(Barrier::new(count));
            let tasks: Vec<_> = (0..count).map(|number| {
                let (session, barrier) = (session.clone(), barrier.clone());
                tokio::spawn(async move {
                    let turn = session.begin(&user(&number.to_string()), BRANCH).await.unwrap();
                    let stream = turn.stream();
                    barrier.wait().await;
                    match commit(turn, &format!("-{number}")).await {
                        CommitOutcome::Committed { seq, .. } => (number, stream, seq),
                        other => panic!("{other:?}"),
                    }
                })
            }).collect();
            let mut done = Vec::new();
            for task in tasks {
                done.push(task.await.unwrap());
            }
            let branches = session.branches().await.unwrap();
            assert_eq!(branches.len(), count);
            for (number, stream, _) in &done {
                assert!(branches.contains(&(*stream, 2)), "{branches:?}");
                let (said, replied) = (number.to_string(), format!("-{number}"));
                assert_eq!(line(&session, *stream).await, ["hi", "hello", &*said, &*replied]);
            }
            let (number, _, _) = *done.iter().max_by_key(|(_, _, seq)| *seq).unwrap();
            let (said, replied) = (number.to_string(), format!("-{number}"));
            let past = ["hi", "hello", &*said, &*replied];
            assert_eq!(texts(&session).await, past);
            // The next turns go on from there, whatever their policy.
            let next = session.begin(&user("next"), BRANCH).await.unwrap();
            let stream = next.stream();
            let parent = u64::try_from(2 + 2 * count).unwrap();
            assert_eq!(session.branches().await.unwrap().last(), Some(&(stream, parent)));
            committed(next, "-next").await;
            let last = session.begin(&user("last"), ()).await.unwrap();
            committed(last, "-last").await;
            let expected = [&past[..], &["next", "-next", "last", "-last"]].concat();
            assert_eq!(texts(&session).await, expected);
            assert_eq!(session.entries(0, 99).await.unwrap().len(), 6 + 2 * count);
            quiet(&supervisor, &session).await;
        }
        let counts = supervisor.counts();
        assert_eq!(counts.turns_begun, counts.turns_ended);
    }

    // B9: at the limit nothing is stored and nobody is called; the next entry has its own
    async fn the_limit_is_refused_before_anything_is_stored_or_called(stage) {
        let (supervisor, _) = stage.session_with(|config| config.limits.max_branches = 3).await;
        let session = talked(&supervisor, "limit").await;
        let mut turns = Vec::new();
        for number in 0..3 {
            turns.push(session.begin(&user(&number.to_string()), BRANCH).await.unwrap());
        }
        quiet(&supervisor, &session).await;
        stage.store.reset_calls();
        let before = session.status();
        for _ in 0..3 {
            let refused = session.run(&user("x"), BRANCH, |_| async { panic!("called") }).await;
            match refused.unwrap_err() {
                BeginError::TooManyBranches { parent: 2, max: 3, .. } => {}
                other => panic!("{other:?}"),
            }
        }
        let named = BeginOptions::default().policy(BRANCH).idempotency_key("k");
        let refused = session.begin(&user("x"), named.clone()).await;
        assert!(matches!(refused, Err(BeginError::TooManyBranches { .. })), "{refused:?}");
        assert_eq!(stage.store.writes(), 0);
        let after = session.status();
        assert_eq!((after.generation, after.version), (before.generation, before.version));
        // One that ends without a reply still stands there; one that commits moves the conversation on.
        turns.pop().unwrap().fail(FailedInput::Keep).await.unwrap();
        let refused = session.begin(&user("x"), BRANCH).await;
        assert!(matches!(refused, Err(BeginError::TooManyBranches { .. })), "{refused:?}");
        committed(turns.pop().unwrap(), "reply").await;
        let next = session.begin(&user("next"), named).await.unwrap();
        assert_eq!(line(&session, next.stream()).await, ["hi", "hello", "1", "reply", "next"]);
        committed(next, "-next").await;
        committed(turns.pop().unwrap(), "late").await;
        assert_eq!(texts(&session).await, ["hi", "hello", "0", "late"]);
        quiet(&supervisor, &session).await;
        assert_eq!(supervisor.counts().turns_ended, 5);
    }

    // B9, C9: places of branches that were taken back are free again
    async fn branches_that_are_taken_back_make_room(stage) {
        let (supervisor, _) = stage.session_with(|config| config.limits.max_branches = 2).await;
        let session = talked(&supervisor, "room").await;
        for round in 0..3 {
            let one = session.begin(&user("1"), BRANCH).await.unwrap();
            let two = session.begin(&user("2"), BRANCH).await.unwrap();
            let refused = session.begin(&user("3"), BRANCH).await;
            assert!(matches!(refused, Err(BeginError::TooManyBranches { parent: 2, .. })), "{refused:?}");
            if round == 0 {
                drop((one, two));
            } else {
                committed(one, "-1").await;
                committed(two, "-2").await;
            }
            quiet(&supervisor, &session).await;
            if round < 2 {
                assert_eq!(session.rollback(2, None).await.unwrap().entries, 2 + 2 * round);
                assert_eq!(session.branches().await.unwrap(), []);
                assert_eq!(texts(&session).await, ["hi", "hello"]);
            }
        }
        // Done over under the same policy it stands where the earlier one stood.
        let again = session.retry(1, BRANCH).await.unwrap();
        assert_eq!(session.branches().await.unwrap(), [(again.stream(), 2)]);
        assert_eq!(texts(&session).await, ["hi", "hello", "2"]);
        drop(session.begin(&user("beside"), BRANCH).await.unwrap());
        let refused = session.begin(&user("3"), BRANCH).await;
        assert!(matches!(refused, Err(BeginError::TooManyBranches { .. })), "{refused:?}");
        drop(again);
        quiet(&supervisor, &session).await;
    }

    // B9, C7: branches without a reply lead nowhere and take nothing from the others
    async fn branches_that_fail_or_are_cancelled_lead_nowhere(stage) {
        let supervisor = stage.start().await;
        let session = talked(&supervisor, "fail").await;
        let mut turns = Vec::new();
        for name in ["kept", "dropped", "abandoned", "cancelled", "committed", "runs"] {
            turns.push(session.begin(&user(name), BRANCH).await.unwrap());
        }
        let streams: Vec<_> = turns.iter().map(session_supervisor::Turn::stream).collect();
        let mut turns = turns.into_iter();
        turns.next().unwrap().fail(FailedInput::Keep).await.unwrap();
        turns.next().unwrap().fail(FailedInput::Drop).await.unwrap();
        drop(turns.next());
        let cancelled = turns.next().unwrap();
        let reader = cancelled.subscribe();
        drop(session.cancel(streams[3]));
        assert!(matches!(commit(cancelled, "late").await, CommitOutcome::Stale { .. }));
        assert!(matches!(read_out(reader).await.1, TurnOutcome::Cancelled(_)));
        committed(turns.next().unwrap(), "reply").await;
        let runs = turns.next().unwrap();
        assert_eq!(runs.cancelled_by(), None, "a stale id hits no other");
        assert_eq!(texts(&session).await, ["hi", "hello", "committed", "reply"]);
        for (place, name) in ["kept", "", "abandoned", "cancelled"].into_iter().enumerate() {
            let expected = if name.is_empty() { vec![] } else { vec!["hi", "hello", name] };
            assert_eq!(line(&session, streams[place]).await, expected);
        }
        drop(runs);
        quiet(&supervisor, &session).await;
        assert_eq!(texts(&session).await, ["hi", "hello", "committed", "reply"]);
        let standing: Vec<_> = session.branches().await.unwrap();
        let expected: Vec<_> = [0, 2, 3, 4, 5].into_iter().map(|place| (streams[place], 2)).collect();
        assert_eq!(standing, expected);
        // All of them gone: it goes on from what was before.
        assert_eq!(session.retry(1, ()).await.unwrap().fail(FailedInput::Drop).await.unwrap(), None);
        assert_eq!(session.branches().await.unwrap(), [(streams[0], 2), (streams[2], 2), (streams[3], 2)]);
        let next = session.begin(&user("next"), ()).await.unwrap();
        committed(next, "-next").await;
        assert_eq!(texts(&session).await, ["hi", "hello", "next", "-next"]);
        quiet(&supervisor, &session).await;
    }

    // B9, B10: beside branches a first commit still has to be the first, and a branch never loses
    async fn branches_and_first_commits_beside_each_other(stage) {
        let supervisor = stage.start().await;
        let session = talked(&supervisor, "mixed").await;
        let first = session.begin(&user("first"), FIRST_COMMIT).await.unwrap();
        let branch = session.begin(&user("branch"), BRANCH).await.unwrap();
        let second = session.begin(&user("second"), FIRST_COMMIT).await.unwrap();
        let (a, b) = (first.stream(), second.stream());
        let past = ["hi", "hello"];
        committed(first, "-first").await;
        let late = commit(second, "-second").await;
        assert_eq!(late, CommitOutcome::Superseded { by: a });
        let stream = branch.stream();
        committed(branch, "-branch").await;
        assert_eq!(texts(&session).await, [&past[..], &["branch", "-branch"]].concat());
        assert_eq!(line(&session, stream).await, [&past[..], &["branch", "-branch"]].concat());
        assert_eq!(line(&session, a).await, [&past[..], &["first", "-first"]].concat());
        assert_eq!(line(&session, b).await, [&past[..], &["second"]].concat());
        let next = session.begin(&user("next"), FIRST_COMMIT).await.unwrap();
        committed(next, "-next").await;
        assert_eq!(texts(&session).await, [&past[..], &["branch", "-branch", "next", "-next"]].concat());
        quiet(&supervisor, &session).await;
    }

    // B9, B6: an exclusive turn waits for all of them; a branch behind it does not overtake it, and then
    // runs beside it
    async fn an_exclusive_turn_waits_for_all_branches_and_is_not_overtaken(stage) {
        let supervisor = stage.start().await;
        let session = talked(&supervisor, "queue").await;
        let one = session.begin(&user("1"), BRANCH).await.unwrap();
        let two = session.begin(&user("2"), BRANCH).await.unwrap();
        let mut waits = begin(&session, "waits", QUEUE);
        assert!(poll_once(&mut waits).is_pending());
        let mut behind = begin(&session, "behind", BRANCH);
        assert!(poll_once(&mut behind).is_pending());
        committed(one, "-1").await;
        assert!(poll_once(&mut waits).is_pending());
        assert!(poll_once(&mut behind).is_pending());
        committed(two, "-2").await;
        let (waits, behind) = (waits.await.unwrap(), behind.await.unwrap());
        assert!(waits.stream() < behind.stream());
        session.append(&[says("note")]).await.unwrap();
        let streams = [waits.stream(), behind.stream()];
        committed(waits, "-waits").await;
        let past = ["hi", "hello", "2", "-2"];
        let exclusive = [&past[..], &["waits", "note", "-waits"]].concat();
        assert_eq!(line(&session, streams[0]).await, exclusive);
        assert_eq!(texts(&session).await, exclusive);
        committed(behind, "-behind").await;
        let beside = [&past[..], &["behind", "note", "-behind"]].concat();
        assert_eq!(line(&session, streams[1]).await, beside);
        assert_eq!(line(&session, streams[0]).await, exclusive);
        quiet(&supervisor, &session).await;
    }

    // B9, C4: after a restart everything stands where it stood
    async fn branches_stand_where_they_stood_after_a_restart(stage) {
        let supervisor = stage.start().await;
        let session = talked(&supervisor, "restart").await;
        let one = session.begin(&user("1"), BRANCH).await.unwrap();
        let two = session.begin(&user("2"), BRANCH).await.unwrap();
        let crashes = session.begin(&user("3"), BRANCH).await.unwrap();
        let streams = [one.stream(), two.stream(), crashes.stream()];
        committed(two, "-2").await;
        committed(one, "-1").await;
        let stage = stage.reopened().await;
        let _crashed = (crashes, session, supervisor);
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("restart")).await.unwrap();
        assert_eq!(session.branches().await.unwrap(), streams.map(|stream| (stream, 2)));
        assert_eq!(texts(&session).await, ["hi", "hello", "1", "-1"]);
        assert_eq!(line(&session, streams[1]).await, ["hi", "hello", "2", "-2"]);
        assert_eq!(line(&session, streams[2]).await, ["hi", "hello", "3"]);
        // What is begun now stands under the end of the transcript.
        let four = session.begin(&user("4"), BRANCH).await.unwrap();
        let five = session.begin(&user("5"), BRANCH).await.unwrap();
        let new = [four.stream(), five.stream()];
        let last = session.transcript_of(streams[0]).await.unwrap().last().unwrap().seq;
        assert_eq!(session.branches().await.unwrap()[3..], new.map(|stream| (stream, last)));
        four.fail(FailedInput::Keep).await.unwrap();
        let stage = stage.reopened().await;
        let _crashed = (five, session, supervisor);
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("restart")).await.unwrap();
        // Neither of the two had a reply, so the next one stands beside them.
        let six = session.begin(&user("6"), BRANCH).await.unwrap();
        assert_eq!(session.branches().await.unwrap().pop().unwrap(), (six.stream(), last));
        committed(six, "-6").await;
        assert_eq!(texts(&session).await, ["hi", "hello", "1", "-1", "6", "-6"]);
        quiet(&supervisor, &session).await;
    }

    // B9: from the very start, and without inputs
    async fn branches_may_stand_at_the_start_of_a_transcript(stage) {
        let (supervisor, session) = stage.session().await;
        let one = session.begin(TurnInput::none(), BRANCH).await.unwrap();
        let two = session.begin(TurnInput::none(), BRANCH).await.unwrap();
        let streams = [one.stream(), two.stream()];
        assert_eq!(session.branches().await.unwrap(), [], "nothing of them is there");
        committed(one, "-1").await;
        committed(two, "-2").await;
        assert_eq!(session.branches().await.unwrap(), streams.map(|stream| (stream, 0)));
        assert_eq!(line(&session, streams[0]).await, ["-1"]);
        assert_eq!(texts(&session).await, ["-2"]);
        let foreign = supervisor.open(&key("other")).await.unwrap();
        assert_eq!(line(&foreign, streams[0]).await, [""; 0]);
        quiet(&supervisor, &session).await;
    }

    // B9, M2: a begin that fails takes no place and ends its siblings as a store's failure does
    async fn a_branch_that_cannot_be_stored_leaves_the_others_whole(stage) {
        let supervisor = stage.start().await;
        let session = talked(&supervisor, "store").await;
        let one = session.begin(&user("1"), BRANCH).await.unwrap();
        committed(one, "-1").await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let mut two = begin(&session, "2", BRANCH);
        assert!(poll_once(&mut two).is_pending());
        stage.store.fail_next_of(StoreCall::Begin, Fault::Unavailable);
        let mut three = begin(&session, "3", BRANCH);
        assert!(poll_once(&mut three).is_pending());
        gate.open();
        let failed = three.await;
        assert!(matches!(failed, Err(BeginError::Store { .. })), "{failed:?}");
        if let Ok(two) = two.await {
            assert!(matches!(two.commit(&says("late")).await, Ok(CommitOutcome::Stale { .. })));
        }
        let four = session.begin(&user("4"), BRANCH).await.unwrap();
        committed(four, "-4").await;
        assert_eq!(texts(&session).await, ["hi", "hello", "1", "-1", "4", "-4"]);
        quiet(&supervisor, &session).await;
    }
}

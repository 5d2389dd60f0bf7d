//! Taking the last turns of a conversation back, and doing them over.

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

use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, StoreCall, drop_at_every_await};
use session_supervisor::{
    BeginError, BeginOptions, BusyPolicy, CommitOutcome, EntryMark, FailedInput, Parallel, Session,
    SessionError, StoreError, TurnInput,
};
use support::{
    begin, commit, committed, everywhere, in_paused_time, key, poll_once, quiet, says, texts,
    until, user,
};

const FIRST_COMMIT: BusyPolicy = BusyPolicy::Parallel(Parallel::FirstCommit);
const QUEUE: BusyPolicy = BusyPolicy::Queue { max: 1_000, wait: None };
const HOUR: Duration = Duration::from_secs(3_600);

/// One turn: what was said, and `-` with it as the reply.
async fn turn(session: &Session, text: &str) {
    let turn = session.begin(&user(text), ()).await.unwrap();
    committed(turn, &format!("-{text}")).await;
}

/// How the last turn of a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Committed,
    Failed,
    Dropped,
    Abandoned,
    Stopped,
}

/// A note, three turns with a note between, and what is left of a fourth.
async fn conversation(session: &Session, last: Last) -> Vec<&'static str> {
    session.append(&[says("prompt")]).await.unwrap();
    turn(session, "1").await;
    turn(session, "2").await;
    session.append(&[says("note")]).await.unwrap();
    turn(session, "3").await;
    let turn = session.begin(&user("4"), ()).await.unwrap();
    match last {
        Last::Committed => drop(committed(turn, "-4").await),
        Last::Failed => drop(turn.fail(FailedInput::Keep).await.unwrap()),
        Last::Dropped => drop(turn.fail(FailedInput::Drop).await.unwrap()),
        Last::Abandoned => drop(turn),
        Last::Stopped => {
            drop(session.stop());
            assert!(matches!(commit(turn, "late").await, CommitOutcome::Stale { .. }));
        }
    }
    let mut texts = vec!["prompt", "1", "-1", "2", "-2", "note", "3", "-3"];
    match last {
        Last::Committed => texts.extend(["4", "-4"]),
        Last::Dropped => {}
        Last::Failed | Last::Abandoned | Last::Stopped => texts.push("4"),
    }
    texts
}

/// Everything that a refusal may not change.
async fn all_of(session: &Session) -> String {
    let entries = session.entries(0, usize::MAX).await.unwrap();
    let revisions = session.revisions().await.unwrap();
    let record = session.record().await.unwrap();
    format!("{entries:?} {revisions:?} {record:?}")
}

/// The texts of each revision.
async fn revised(session: &Session) -> Vec<Vec<String>> {
    let text = |entry: session_supervisor::Entry<session_supervisor::ChatMessage>| {
        entry.content.unwrap().content
    };
    let revisions = session.revisions().await.unwrap();
    revisions.into_iter().map(|it| it.entries.into_iter().map(text).collect()).collect()
}

everywhere! {
    // C9
    async fn the_truth_table_of_rollbacks(stage) {
        use Last::{Abandoned, Committed, Dropped, Failed, Stopped};
        let supervisor = stage.start().await;
        for (place, last) in [Committed, Failed, Dropped, Abandoned, Stopped].into_iter().enumerate() {
            for turns in 0..=6_usize {
                let session = supervisor.open(&key(&format!("{place} {turns}"))).await.unwrap();
                let before = conversation(&session, last).await;
                quiet(&supervisor, &session).await;
                let there: usize = if last == Dropped { 3 } else { 4 };
                let unchanged = all_of(&session).await;
                // Where the first of the turns begins; 0 is taken for 1.
                let from = match (there + 1).checked_sub(turns.max(1)) {
                    Some(first @ 1..) => before.iter().position(|text| *text == first.to_string()),
                    _ => None,
                };
                match (session.rollback(turns, None).await, from) {
                    (Ok(done), Some(from)) => {
                        assert_eq!(texts(&session).await, before[..from], "{last:?} {turns}");
                        assert_eq!(done.entries, before.len() - from, "{last:?} {turns}");
                        assert_eq!(done.version, session.status().version);
                        assert_eq!(revised(&session).await, [before[from..].to_vec()]);
                        assert_eq!(session.revisions().await.unwrap()[0].version, done.version);
                    }
                    (Err(SessionError::TooDeep { asked, max, .. }), None) => {
                        assert_eq!((asked, max), (turns, there), "{last:?} {turns}");
                        assert_eq!(all_of(&session).await, unchanged, "{last:?} {turns}");
                    }
                    (other, _) => panic!("{last:?} {turns}: {other:?}"),
                }
                turn(&session, "on").await;
                quiet(&supervisor, &session).await;
            }
        }
    }

    // C9, C7: however the turn had ended, it is done over once, and its input is there once
    async fn a_retry_does_not_double_the_input(stage) {
        use Last::{Abandoned, Committed, Failed, Stopped};
        let supervisor = stage.start().await;
        for (place, last) in [Committed, Failed, Abandoned, Stopped].into_iter().enumerate() {
            for turns in 1..=4 {
                let session = supervisor.open(&key(&format!("{place} {turns}"))).await.unwrap();
                let before = conversation(&session, last).await;
                let input = (5 - turns).to_string();
                let from = before.iter().position(|text| *text == input).unwrap();
                let newest = session.entries(0, 99).await.unwrap().last().unwrap().seq;
                let again = session.retry(turns, ()).await.unwrap();
                let mut expected = before[..=from].to_vec();
                assert_eq!(texts(&session).await, expected, "{last:?} {turns}");
                let entries = session.entries(0, 99).await.unwrap();
                assert_eq!(entries.last().unwrap().mark, EntryMark::Pending);
                assert_eq!(entries.last().unwrap().seq, newest + 1, "no number is given again");
                committed(again, "better").await;
                expected.push("better");
                assert_eq!(texts(&session).await, expected, "{last:?} {turns}");
                assert_eq!(revised(&session).await, [before[from..].to_vec()]);
                quiet(&supervisor, &session).await;
            }
        }
    }

    // C9: the bound is told with what there is, and nothing is changed
    async fn deeper_than_the_bound_is_refused_and_changes_nothing(stage) {
        let (supervisor, session) = stage.session_with(|config| config.limits.max_take_back = 2).await;
        for (there, asked, bound) in [(0, 1, 0), (1, 2, 1), (1, 3, 1), (2, 3, 2), (3, 3, 2), (4, 99, 2)] {
            let session = supervisor.open(&key(&format!("{there} {asked}"))).await.unwrap();
            for number in 0..there {
                turn(&session, &number.to_string()).await;
            }
            quiet(&supervisor, &session).await;
            let before = all_of(&session).await;
            match session.rollback(asked, None).await {
                Err(SessionError::TooDeep { max, .. }) => assert_eq!(max, bound, "{asked} of {there}"),
                other => panic!("{other:?}"),
            }
            match session.retry(asked, ()).await {
                Err(BeginError::TooDeep { max, .. }) => assert_eq!(max, bound, "{asked} of {there}"),
                other => panic!("{other:?}"),
            }
            assert_eq!(all_of(&session).await, before);
        }
        quiet(&supervisor, &session).await;
    }

    // C9: a turn that runs, waits or is told to end is in the way, whatever the policy
    async fn a_turn_that_runs_or_waits_is_in_the_way(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        for policy in [BusyPolicy::Reject, FIRST_COMMIT] {
            let running = session.begin(&user("runs"), policy).await.unwrap();
            let mut waits = begin(&session, "waits", QUEUE);
            assert!(poll_once(&mut waits).is_pending());
            let before = all_of(&session).await;
            for policy in [BusyPolicy::Reject, QUEUE, BusyPolicy::interrupt(), FIRST_COMMIT, BusyPolicy::steer()] {
                match session.retry(1, policy).await {
                    Err(BeginError::Busy { holder, queued: 1, .. }) => {
                        assert_eq!(holder.stream, running.stream());
                    }
                    other => panic!("{other:?}"),
                }
            }
            match session.rollback(1, None).await {
                Err(SessionError::Busy { holder, .. }) => assert_eq!(holder.stream, running.stream()),
                other => panic!("{other:?}"),
            }
            assert_eq!(running.cancelled_by(), None);
            assert_eq!(all_of(&session).await, before);
            drop(waits);
            running.fail(FailedInput::Drop).await.unwrap();
        }
        assert_eq!(session.rollback(1, None).await.unwrap().entries, 2);
        quiet(&supervisor, &session).await;
    }

    // C9, B10: turns that ran beside each other go together, none by half; who lost does not count
    async fn turns_that_ran_in_parallel_are_not_taken_back_by_half(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        let loser = session.begin(&user("loses"), FIRST_COMMIT).await.unwrap();
        let winner = session.begin(&user("wins"), FIRST_COMMIT).await.unwrap();
        committed(winner, "won").await;
        assert!(matches!(commit(loser, "lost").await, CommitOutcome::Superseded { .. }));
        quiet(&supervisor, &session).await;
        let again = session.retry(1, ()).await.unwrap();
        assert_eq!(texts(&session).await, ["1", "-1", "wins"]);
        again.fail(FailedInput::Drop).await.unwrap();
        let branch = BusyPolicy::Parallel(Parallel::Branch);
        let left = session.begin(&user("left"), branch).await.unwrap();
        let right = session.begin(&user("right"), branch).await.unwrap();
        committed(left, "-left").await;
        committed(right, "-right").await;
        let again = session.retry(1, branch).await.unwrap();
        assert_eq!(texts(&session).await, ["1", "-1", "right"]);
        let (_, parent) = session.branches().await.unwrap()[0];
        assert_eq!((session.branches().await.unwrap().len(), parent), (1, 2));
        drop(again);
        quiet(&supervisor, &session).await;
    }

    // C9: a turn is found whole, however much was noted while it ran and however long the conversation is
    async fn a_turn_is_found_whole_in_a_long_conversation(stage) {
        let (supervisor, session) = stage.session().await;
        for number in 0..40 {
            turn(&session, &number.to_string()).await;
        }
        let long = session.begin(&user("long"), ()).await.unwrap();
        for number in 0..100 {
            session.append(&[says(&format!("note {number}"))]).await.unwrap();
        }
        committed(long, "-long").await;
        let again = session.retry(1, ()).await.unwrap();
        assert_eq!(texts(&session).await.last().unwrap(), "long");
        assert_eq!(texts(&session).await.len(), 81);
        committed(again, "better").await;
        assert_eq!(session.rollback(32, None).await.unwrap().entries, 64);
        assert_eq!(texts(&session).await.len(), 18);
        match session.rollback(10, None).await {
            Err(SessionError::TooDeep { max: 9, .. }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(session.rollback(9, None).await.unwrap().entries, 18);
        assert_eq!(revised(&session).await.iter().map(Vec::len).collect::<Vec<_>>(), [102, 64, 18]);
        quiet(&supervisor, &session).await;
    }

    // C9: a turn without an input can be taken back and not be done over
    async fn a_turn_without_an_input_cannot_be_done_over(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        let silent = session.begin(TurnInput::none(), ()).await.unwrap();
        let stream = silent.stream();
        committed(silent, "by itself").await;
        quiet(&supervisor, &session).await;
        let before = all_of(&session).await;
        match session.retry(1, ()).await {
            Err(BeginError::NoInput { stream: of, .. }) => assert_eq!(of, stream),
            other => panic!("{other:?}"),
        }
        assert_eq!(all_of(&session).await, before);
        drop(session.retry(2, ()).await.unwrap());
        assert_eq!(texts(&session).await, ["1"]);
        quiet(&supervisor, &session).await;
    }

    // C8, C9, F21: what was taken back is a change that an optimistic caller notices
    async fn whoever_expects_an_earlier_version_is_told_after_a_rollback(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        let seen = session.status().version;
        let done = session.rollback(1, None).await.unwrap();
        assert_eq!(done.version, seen + 1);
        let options = BeginOptions::default().expect_version(seen);
        match session.begin(&user("2"), options.clone()).await {
            Err(BeginError::Conflict { expected, version, .. }) => {
                assert_eq!((expected, version), (seen, done.version));
            }
            other => panic!("{other:?}"),
        }
        turn(&session, "2").await;
        let before = all_of(&session).await;
        match session.retry(1, options).await {
            Err(BeginError::Conflict { .. }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(all_of(&session).await, before);
        let now = BeginOptions::default().expect_version(session.status().version);
        committed(session.retry(1, now).await.unwrap(), "better").await;
        quiet(&supervisor, &session).await;
    }

    // C9: revisions are there after a restart, in order, and so are the turns' ends
    async fn revisions_survive_a_restart(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        turn(&session, "2").await;
        session.rollback(1, None).await.unwrap();
        committed(session.retry(1, ()).await.unwrap(), "better").await;
        quiet(&supervisor, &session).await;
        let before = all_of(&session).await;
        drop((supervisor, session));
        let stage = stage.reopened().await;
        let (supervisor, session) = stage.session().await;
        assert_eq!(all_of(&session).await, before);
        assert_eq!(revised(&session).await, [["2", "-2"], ["1", "-1"]]);
        assert_eq!(texts(&session).await, ["1", "better"]);
        session.rollback(1, None).await.unwrap();
        assert_eq!(revised(&session).await.len(), 3);
        quiet(&supervisor, &session).await;
    }

    // C9, C4: a turn that a crash interrupted is done over like any other
    async fn a_turn_that_a_crash_interrupted_is_done_over(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        let running = session.begin(&user("2"), ()).await.unwrap();
        running.emit("half").unwrap();
        let stage = stage.reopened().await;
        let _crashed = (running, supervisor, session);
        let (supervisor, session) = stage.session_with(|config| {
            config.partials.interrupted = session_supervisor::PartialPolicy::Drop;
        }).await;
        let again = session.retry(1, ()).await.unwrap();
        assert_eq!(texts(&session).await, ["1", "-1", "2"]);
        committed(again, "-2").await;
        quiet(&supervisor, &session).await;
    }

    // C9: what comes between the look and the lock is not taken back unseen by whoever minds, and the last
    // turn is the one that is last then
    async fn a_turn_that_comes_between_makes_it_look_again(stage) {
        let (supervisor, session) = stage.session().await;
        for (round, minds) in [false, true].into_iter().enumerate() {
            turn(&session, "1").await;
            turn(&session, "2").await;
            let options = BeginOptions::default();
            let version = session.status().version;
            let options = if minds { options.expect_version(version) } else { options };
            let gate = Gate::new();
            stage.store.fail_next_of(StoreCall::Entries, Fault::HeldAfter(gate.clone()));
            let retrying = {
                let session = session.clone();
                tokio::spawn(async move { session.retry(1, options).await })
            };
            gate.wait_until_reached().await;
            turn(&session, "3").await;
            gate.open();
            match (minds, retrying.await.unwrap()) {
                (true, Err(BeginError::Conflict { .. })) => {
                    assert_eq!(texts(&session).await, ["1", "-1", "2", "-2", "3", "-3"]);
                }
                (false, Ok(again)) => {
                    assert_eq!(texts(&session).await, ["1", "-1", "2", "-2", "3"], "{round}");
                    drop(again);
                }
                (_, other) => panic!("{other:?}"),
            }
            assert_eq!(session.rollback(3, None).await.unwrap().entries, if minds { 6 } else { 5 });
        }
        quiet(&supervisor, &session).await;
    }

    // C9, B2: the other order: what was decided first is done first, and the newcomer comes after it
    async fn a_begin_that_comes_after_a_rollback_was_decided_follows_on_it(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        turn(&session, "2").await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::TakeBack, Fault::HeldBefore(gate.clone()));
        let rolling = {
            let session = session.clone();
            tokio::spawn(async move { session.rollback(1, None).await })
        };
        gate.wait_until_reached().await;
        let mut newcomer = begin(&session, "3", ());
        assert!(poll_once(&mut newcomer).is_pending());
        // A second one that looked before the newcomer: it finds the session busy.
        let mut second = Box::pin(session.rollback(1, None));
        assert!(poll_once(&mut second).is_pending());
        gate.open();
        assert_eq!(rolling.await.unwrap().unwrap().entries, 2);
        let newcomer = newcomer.await.unwrap();
        assert!(matches!(second.await, Err(SessionError::Busy { .. })));
        committed(newcomer, "-3").await;
        assert_eq!(texts(&session).await, ["1", "-1", "3", "-3"]);
        quiet(&supervisor, &session).await;
    }

    // C9: of two at once each takes back what it has seen as the last
    async fn rollbacks_at_the_same_time_take_back_one_after_the_other(stage) {
        let (supervisor, session) = stage.session().await;
        for number in 0..8 {
            turn(&session, &number.to_string()).await;
        }
        let tasks: Vec<_> = (0..8).map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.rollback(1, None).await.unwrap().entries })
        }).collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 2);
        }
        assert_eq!(texts(&session).await, [""; 0]);
        assert_eq!(revised(&session).await.len(), 8);
        quiet(&supervisor, &session).await;
    }

    // C9: it waits for what is on its way to the store, and does not turn in circles meanwhile
    async fn a_retry_waits_for_what_is_on_its_way_to_the_store(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Append, Fault::HeldBefore(gate.clone()));
        let note = [says("note")];
        let mut noting = Box::pin(session.append(&note));
        assert!(poll_once(&mut noting).is_pending());
        gate.wait_until_reached().await;
        stage.store.reset_calls();
        let mut retrying = Box::pin(session.retry(1, ()));
        for _ in 0..50 {
            assert!(poll_once(&mut retrying).is_pending());
            tokio::task::yield_now().await;
        }
        assert_eq!(stage.store.calls_of(StoreCall::Entries), 0);
        gate.open();
        let again = retrying.await.unwrap();
        noting.await.unwrap();
        assert_eq!(texts(&session).await, ["1"]);
        assert_eq!(revised(&session).await, [["1", "-1", "note"]]);
        committed(again, "better").await;
        quiet(&supervisor, &session).await;
    }

    // C9, M2: a store that fails in the middle leaves all of it or nothing
    async fn a_store_that_fails_leaves_all_of_it_or_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        turn(&session, "2").await;
        quiet(&supervisor, &session).await;
        for call in [StoreCall::LookUp, StoreCall::Entries, StoreCall::TakeBack] {
            let before = all_of(&session).await;
            stage.store.fail_next_of(call, Fault::Unavailable);
            match session.rollback(1, None).await {
                Err(SessionError::Store { source: StoreError::Unavailable { .. }, .. }) => {}
                other => panic!("{call:?}: {other:?}"),
            }
            stage.store.heal();
            assert_eq!(all_of(&session).await, before, "{call:?}");
        }
        for call in [StoreCall::LookUp, StoreCall::Entries, StoreCall::Begin] {
            let before = texts(&session).await;
            stage.store.fail_next_of(call, Fault::Unavailable);
            match session.retry(1, ()).await {
                Err(BeginError::Store { source: StoreError::Unavailable { .. }, .. }) => {}
                other => panic!("{call:?}: {other:?}"),
            }
            stage.store.heal();
            assert_eq!(texts(&session).await, before, "{call:?}");
            assert_eq!(session.revisions().await.unwrap().len(), 0);
        }
        stage.store.fail_next_of(StoreCall::TakeBack, Fault::UnknownButApplied);
        match session.rollback(1, None).await {
            Err(SessionError::Store { source: StoreError::OutcomeUnknown { .. }, .. }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(texts(&session).await, ["1", "-1"]);
        stage.store.fail_next_of(StoreCall::Begin, Fault::UnknownButApplied);
        assert!(matches!(session.retry(1, ()).await, Err(BeginError::Store { .. })));
        committed(session.retry(1, ()).await.unwrap(), "better").await;
        assert_eq!(texts(&session).await, ["1", "better"]);
        assert_eq!(revised(&session).await, [vec!["2", "-2"], vec!["1", "-1"], vec!["1"]]);
        quiet(&supervisor, &session).await;
    }

    // C9, B15, F4: a retry that is delivered twice is done once, whatever has become of the turns it goes
    // back by
    async fn a_retry_with_a_name_goes_back_once(stage) {
        let (supervisor, session) = stage.session().await;
        for number in 1..=3 {
            turn(&session, &number.to_string()).await;
        }
        let options = BeginOptions::default().idempotency_key("again");
        let again = session.retry(3, options.clone()).await.unwrap();
        let stream = again.stream();
        for _ in 0..2 {
            // There is one turn left, so it could not even go back by three.
            match session.retry(3, options.clone()).await {
                Err(BeginError::Repeated { stream: of, outcome: None, .. }) => assert_eq!(of, stream),
                other => panic!("{other:?}"),
            }
        }
        committed(again, "better").await;
        for number in 4..=6 {
            turn(&session, &number.to_string()).await;
            match session.retry(3, options.clone()).await {
                Err(BeginError::Repeated { stream: of, outcome: Some(_), .. }) => assert_eq!(of, stream),
                other => panic!("{other:?}"),
            }
        }
        let other = session.retry(2, options).await;
        assert!(matches!(other, Err(BeginError::KeyReused { .. })), "{other:?}");
        assert_eq!(texts(&session).await, ["1", "better", "4", "-4", "5", "-5", "6", "-6"]);
        assert_eq!(revised(&session).await.len(), 1);
        quiet(&supervisor, &session).await;
    }

    // C9, E10: a session that is over is told as what it is
    async fn a_session_that_is_deleted_is_told_as_such(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        session.delete().await.unwrap();
        let refused = session.retry(1, ()).await;
        assert!(matches!(refused, Err(BeginError::Gone { .. })), "{refused:?}");
        let refused = session.rollback(1, None).await;
        assert!(matches!(refused, Err(SessionError::Gone { .. })), "{refused:?}");
        let refused = session.revisions().await;
        assert!(matches!(refused, Err(SessionError::Gone { .. })), "{refused:?}");
        quiet(&supervisor, &session).await;
    }

    // C9, B3, M3
    async fn a_retry_that_is_dropped_has_done_nothing_or_all_of_it(stage) {
        let supervisor = stage.start().await;
        let mut number = 0;
        let dropped = drop_at_every_await(
            async || {
                number += 1;
                let session = supervisor.open(&key(&number.to_string())).await.unwrap();
                turn(&session, "1").await;
                turn(&session, "2").await;
                let mine = session.clone();
                (session, async move { mine.retry(1, ()).await.map(drop).unwrap() })
            },
            async |session, output| {
                // Its turn may be on its way to somebody who has gone: nothing is unwritten then, and it runs.
                until("nobody has a turn", || !session.status().is_busy()).await;
                quiet(&supervisor, &session).await;
                let (texts, revised) = (texts(&session).await, revised(&session).await);
                if output.is_none() && revised.is_empty() {
                    assert_eq!(texts, ["1", "-1", "2", "-2"]);
                } else {
                    assert_eq!(texts, ["1", "-1", "2"]);
                    assert_eq!(revised, [["2", "-2"]]);
                    let last = session.transcript().await.unwrap().pop().unwrap();
                    assert_eq!(last.mark, EntryMark::Unanswered);
                }
                turn(&session, "on").await;
            },
        )
        .await;
        assert!(dropped <= 20, "{dropped}");
    }
}

in_paused_time! {
    // C9: kept as long as the setting says, and not for ever
    async fn revisions_are_forgotten_after_their_time_and_not_before(stage) {
        let (supervisor, session) = stage.session_with(|config| config.kept.revisions_for = HOUR).await;
        turn(&session, "1").await;
        turn(&session, "2").await;
        session.rollback(1, None).await.unwrap();
        tokio::time::sleep(HOUR / 2).await;
        session.rollback(1, None).await.unwrap();
        tokio::time::sleep((HOUR / 2).saturating_sub(Duration::from_secs(1))).await;
        assert_eq!(revised(&session).await, [["2", "-2"], ["1", "-1"]]);
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(revised(&session).await, [["1", "-1"]]);
        tokio::time::sleep(HOUR / 2).await;
        assert_eq!(revised(&session).await, Vec::<Vec<String>>::new());
        turn(&session, "3").await;
        assert_eq!(session.rollback(1, None).await.unwrap().entries, 2);
        quiet(&supervisor, &session).await;
    }
}

//! What happens when a turn is begun while another runs, under every policy; and that nobody else
//! waits for it.

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
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{
    BeginError, BeginOptions, BusyPolicy, CancelOutcome, CancelReason, Clock, CommitOutcome,
    DeleteOutcome, EntryMark, Lookup, Moment, Now, Parallel, RecordFilter, Session, Timestamp,
    Turn, TurnOutcome, TurnPhase,
};
use support::{
    begin, commit, committed, everywhere, in_paused_time, key, poll_once, quiet, read_out, says,
    settled,
};
use support::{texts, user};
use tokio::sync::Barrier;

const PARALLEL: BusyPolicy = BusyPolicy::Parallel(Parallel::FirstCommit);
const SECOND: Duration = Duration::from_secs(1);

/// A queue in which a thousand may wait for ever.
const QUEUE: BusyPolicy = BusyPolicy::Queue { max: 1_000, wait: None };

/// Lets the others run for a while.
async fn others_run() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Counts how many are inside at once, and the most there ever were.
#[derive(Default)]
struct Overlap {
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Overlap {
    fn enter(&self) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sixty-four begins at once; how many got a turn, and the most that were inside together. Whoever
/// is told to end leaves at once, as a turn that unwinds does.
async fn crowd(session: &Session, policy: BusyPolicy) -> (usize, usize) {
    let (overlap, barrier) = (Arc::new(Overlap::default()), Arc::new(Barrier::new(64)));
    let callers: Vec<_> = (0..64)
        .map(|number| {
            let (session, barrier, overlap) = (session.clone(), barrier.clone(), overlap.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                let input = user(&number.to_string());
                let Ok(turn) = session.begin(&input, policy).await else { return 0 };
                overlap.enter();
                for _ in 0..20 {
                    if turn.cancelled_by().is_some() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                overlap.leave();
                drop(turn.commit(&says("reply")).await);
                1
            })
        })
        .collect();
    let mut admitted = 0;
    for caller in callers {
        admitted += caller.await.unwrap();
    }
    (admitted, overlap.most.load(Ordering::SeqCst))
}

everywhere! {
    // B1
    async fn no_two_turns_of_a_session_overlap_under_any_policy_but_parallel(stage) {
        let supervisor = stage.start().await;
        let interrupt = BusyPolicy::Interrupt { grace: Duration::from_secs(3_600), max: 64 };
        for (chat, policy) in [("r", BusyPolicy::Reject), ("q", QUEUE), ("i", interrupt)] {
            let session = supervisor.open(&key(chat)).await.unwrap();
            let (admitted, most) = crowd(&session, policy).await;
            assert_eq!(most, 1, "{policy:?}");
            assert!(admitted >= 1, "{policy:?}");
            if policy == QUEUE {
                assert_eq!(admitted, 64);
            }
            quiet(&supervisor, &session).await;
        }
    }

    // B2
    async fn the_slot_is_taken_by_the_first_poll_of_a_begin(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let mut first = begin(&session, "first", BusyPolicy::Reject);
        assert!(poll_once(&mut first).is_pending());
        let mut second = begin(&session, "second", BusyPolicy::Reject);
        match poll_once(&mut second) {
            std::task::Poll::Ready(Err(BeginError::Busy { holder, .. })) => {
                assert_eq!(holder.phase, TurnPhase::Starting);
            }
            other => panic!("{other:?}"),
        }
        gate.open();
        drop(first.await.unwrap());
        quiet(&supervisor, &session).await;
    }

    // B4
    async fn reject_answers_at_once_names_who_runs_and_touches_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("first"), ()).await.unwrap();
        quiet(&supervisor, &session).await;
        stage.store.reset_calls();
        let before = session.status();
        let work_called = Arc::new(AtomicUsize::new(0));
        for _ in 0..10 {
            let called = work_called.clone();
            let work = move |_turn| async move { called.fetch_add(1, Ordering::SeqCst) };
            let input = user("second");
            let refused = session.run(&input, BusyPolicy::Reject, work);
            let error = refused.await.unwrap_err();
            let BeginError::Busy { id, holder, queued, .. } = &error else { panic!("{error:?}") };
            assert_eq!((id, holder.stream, *queued), (session.id(), turn.stream(), 0));
            assert_eq!(holder.phase, TurnPhase::Running);
            assert!(error.to_string().contains(&turn.stream().to_string()), "{error}");
        }
        // The first pass over what is due may be reading meanwhile.
        assert_eq!((stage.store.writes(), work_called.load(Ordering::SeqCst)), (0, 0));
        assert_eq!(session.status().last_active_at, before.last_active_at);
        assert_eq!(session.status().generation, before.generation);
        assert_eq!(supervisor.counts().begins_refused, 10);
        committed(turn, "reply").await;
        quiet(&supervisor, &session).await;
    }

    // B6
    async fn a_queue_is_first_come_first_served_and_its_bound_is_a_typed_error(stage) {
        let (supervisor, session) = stage.session().await;
        let policy = BusyPolicy::Queue { max: 5, wait: None };
        let mut running = session.begin(&user("0"), ()).await.unwrap();
        let mut waiting = Vec::new();
        for number in 1..=5 {
            let mut place = begin(&session, &number.to_string(), policy);
            assert!(poll_once(&mut place).is_pending());
            waiting.push(place);
        }
        let error = begin(&session, "6", policy).await.unwrap_err();
        let BeginError::QueueFull { holder, queued, .. } = error else { panic!("{error:?}") };
        assert_eq!((holder.stream, queued), (running.stream(), 5));
        for (place, waiter) in waiting.into_iter().enumerate() {
            // Every way in which a turn can end hands the slot on.
            match place {
                0 => drop(committed(running, "reply").await),
                1 => drop(running.fail(session_supervisor::FailedInput::Keep).await.unwrap()),
                2 => drop(running),
                3 => {
                    assert!(matches!(session.cancel(running.stream()), CancelOutcome::Cancelling { .. }));
                    assert!(matches!(commit(running, "late").await, CommitOutcome::Stale { .. }));
                }
                _ => {
                    let task = tokio::spawn(async move {
                        let _held = running;
                        panic!("the turn's code");
                    });
                    assert!(task.await.unwrap_err().is_panic());
                }
            }
            running = waiter.await.unwrap();
            assert_eq!(session.status().queued, 4 - place);
        }
        committed(running, "last").await;
        quiet(&supervisor, &session).await;
        assert_eq!(texts(&session).await, ["0", "reply", "1", "2", "3", "4", "5", "last"]);
    }

    // B6, F7: a message that lands exactly at the end of a turn
    async fn of_a_thousand_begins_that_land_at_a_turns_end_none_is_lost_or_run_twice(stage) {
        let (supervisor, session) = stage.session().await;
        let mut turn = session.begin(&user("0"), ()).await.unwrap();
        for number in 1..=1_000 {
            let next = tokio::spawn(begin(&session, &number.to_string(), QUEUE));
            if number % 2 == 0 {
                tokio::task::yield_now().await;
            }
            let outcome = match number % 3 {
                0 => turn.commit(&says("-")).await.map(|_| ()),
                1 => {
                    drop(turn);
                    Ok(())
                }
                _ => {
                    turn.fail(session_supervisor::FailedInput::Keep).await.unwrap();
                    Ok(())
                }
            };
            outcome.unwrap();
            turn = next.await.unwrap().unwrap();
        }
        committed(turn, "-").await;
        quiet(&supervisor, &session).await;
        let said: Vec<_> = texts(&session).await.into_iter().filter(|text| text != "-").collect();
        assert_eq!(said, (0..=1_000).map(|number| number.to_string()).collect::<Vec<_>>());
        let counts = supervisor.counts();
        assert_eq!((counts.turns_begun, counts.turns_ended), (1_001, 1_001));
        assert_eq!(session.status().generation.get(), 1_001);
    }

    // B3, B6, M3: a waiter that goes away
    async fn waiters_that_go_away_are_skipped_and_the_rest_keep_their_order(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("0"), ()).await.unwrap();
        let mut waiting: Vec<_> = (1..=6).map(|it| Some(begin(&session, &it.to_string(), QUEUE))).collect();
        for place in waiting.iter_mut().flatten() {
            assert!(poll_once(place).is_pending());
        }
        for gone in [0, 2, 3] {
            waiting[gone] = None;
        }
        assert_eq!(session.status().queued, 3);
        drop(turn);
        for place in [1, 4, 5] {
            let turn = waiting[place].take().unwrap().await.unwrap();
            committed(turn, "to").await;
        }
        quiet(&supervisor, &session).await;
        assert_eq!(texts(&session).await, ["0", "2", "to", "5", "to", "6", "to"]);
    }

    // B7
    async fn an_interrupting_turn_starts_once_the_old_one_has_unwound(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        let (overlap, held) = (Arc::new(Overlap::default()), gate.clone());
        let theirs = overlap.clone();
        let old = session.run(&user("old"), (), move |turn| async move {
            theirs.enter();
            let reason = turn.cancelled().await;
            held.wait().await; // Unwinding takes its time.
            theirs.leave();
            (reason, turn.commit(&says("late")).await.unwrap())
        }).await.unwrap();
        support::until("it runs", || overlap.inside.load(Ordering::SeqCst) == 1).await;
        let newcomer = tokio::spawn(begin(&session, "new", BusyPolicy::interrupt()));
        gate.wait_until_reached().await;
        others_run().await;
        assert!(!newcomer.is_finished(), "it starts before the old one has unwound");
        assert_eq!(session.status().queued, 1);
        gate.open();
        let turn = newcomer.await.unwrap().unwrap();
        assert_eq!(overlap.inside.load(Ordering::SeqCst), 0);
        let (reason, late) = old.await.unwrap();
        assert_eq!(reason, CancelReason::Preempted);
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Preempted });
        committed(turn, "reply").await;
        assert_eq!(texts(&session).await, ["old", "new", "reply"]);
        quiet(&supervisor, &session).await;
    }

    // B7: with no grace the old one is fenced at once
    async fn an_interrupt_without_grace_fences_at_once_and_the_late_commit_is_refused(stage) {
        let (supervisor, session) = stage.session().await;
        let old = session.begin(&user("old"), ()).await.unwrap();
        let at_once = BusyPolicy::Interrupt { grace: Duration::ZERO, max: 4 };
        let new = session.begin(&user("new"), at_once).await.unwrap();
        assert_eq!(session.status().fenced, 1);
        committed(new, "reply").await;
        let late = old.commit(&says("late")).await.unwrap();
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Preempted });
        assert_eq!(texts(&session).await, ["old", "new", "reply"]);
        quiet(&supervisor, &session).await;
        assert_eq!(session.status().fenced, 0);
        assert_eq!(supervisor.counts().turns_fenced, 1);
    }

    // B7: several newcomers, each wants the one before it gone
    async fn of_several_interrupting_newcomers_the_last_one_runs(stage) {
        let (supervisor, session) = stage.session().await;
        let first = session.begin(&user("1"), ()).await.unwrap();
        let mut newcomers: Vec<_> =
            (2..=4).map(|it| begin(&session, &it.to_string(), BusyPolicy::interrupt())).collect();
        for newcomer in &mut newcomers {
            assert!(poll_once(newcomer).is_pending());
        }
        drop(first);
        let mut ran = Vec::new();
        for newcomer in newcomers {
            match newcomer.await {
                Ok(turn) => ran.push(turn),
                Err(BeginError::Cancelled { reason: CancelReason::Preempted }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(ran.len(), 1);
        for turn in ran {
            committed(turn, "reply").await;
        }
        assert_eq!(texts(&session).await, ["1", "2", "3", "4", "reply"], "no input is lost");
        quiet(&supervisor, &session).await;
    }

    // B10
    async fn of_four_parallel_turns_the_first_to_commit_wins_and_the_others_are_told(stage) {
        let (supervisor, session) = stage.session().await;
        let mut turns = Vec::new();
        for number in 0..4 {
            turns.push(session.begin(&user(&number.to_string()), PARALLEL).await.unwrap());
        }
        assert_eq!(session.status().turns.len(), 4);
        let barrier = Arc::new(Barrier::new(4));
        let readers: Vec<_> = turns.iter().map(Turn::subscribe).collect();
        let commits: Vec<_> = turns.into_iter().map(|turn| {
            let barrier = barrier.clone();
            tokio::spawn(async move {
                let stream = turn.stream();
                barrier.wait().await;
                (stream, turn.commit(&says("reply")).await.unwrap())
            })
        }).collect();
        let (mut won, mut lost) = (Vec::new(), Vec::new());
        for commit in commits {
            match commit.await.unwrap() {
                (stream, CommitOutcome::Committed { .. }) => won.push(stream),
                (_, CommitOutcome::Superseded { by }) => lost.push(by),
                (_, other) => panic!("{other:?}"),
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!(lost, [won[0]; 3]);
        for reader in readers {
            let expected =
                if reader.stream() == won[0] { TurnOutcome::Committed } else { TurnOutcome::Superseded };
            assert_eq!(read_out(reader).await.1, expected);
        }
        quiet(&supervisor, &session).await;
        let transcript = session.transcript().await.unwrap();
        assert_eq!(transcript.len(), 2, "the winner's input and its reply");
        assert!(transcript.iter().all(|entry| entry.stream == Some(won[0])));
        let all = session.entries(0, 100).await.unwrap();
        let aside = all.iter().filter(|entry| entry.mark == EntryMark::Aside).count();
        assert_eq!((all.len(), aside), (5, 3), "the losers' inputs are kept beside it");
        assert_eq!(supervisor.counts().turns_superseded, 3);
    }

    // B6, B10: "runs at once" once nobody is before it any more, however the one before it left
    async fn a_parallel_newcomer_starts_when_the_waiter_before_it_has_left(stage) {
        let (supervisor, session) = stage.session().await;
        let hangs = session.begin(&user("hangs"), ()).await.unwrap();
        let mut before = begin(&session, "before", QUEUE);
        assert!(poll_once(&mut before).is_pending());
        let mut newcomer = begin(&session, "newcomer", PARALLEL);
        assert!(poll_once(&mut newcomer).is_pending(), "nobody who waits is overtaken");
        drop(before);
        committed(newcomer.await.unwrap(), "reply").await;
        drop(hangs);
        quiet(&supervisor, &session).await;
    }

    // B10: a turn that begins after a commit is not superseded by it
    async fn a_parallel_turn_begun_after_the_commit_may_commit_as_well(stage) {
        let (supervisor, session) = stage.session().await;
        let (first, other) = (session.begin(&user("a"), PARALLEL).await.unwrap(),
            session.begin(&user("b"), PARALLEL).await.unwrap());
        committed(first, "1").await;
        let later = session.begin(&user("c"), PARALLEL).await.unwrap();
        committed(later, "2").await;
        assert!(matches!(other.commit(&says("3")).await, Ok(CommitOutcome::Superseded { .. })));
        quiet(&supervisor, &session).await;
    }

    // B11
    async fn one_session_that_hangs_holds_up_none_of_a_thousand_others(stage) {
        let supervisor = stage.start().await;
        let hung = supervisor.open(&key("hung")).await.unwrap();
        let held = supervisor.open(&key("held")).await.unwrap();
        let _turn = hung.begin(&user("for ever"), ()).await.unwrap();
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let waiting = tokio::spawn(begin(&held, "held", ()));
        gate.wait_until_reached().await;
        for number in 0..1_000 {
            let session = supervisor.open(&key(&number.to_string())).await.unwrap();
            let turn = session.begin(&user("hello"), ()).await.unwrap();
            turn.emit("hi").unwrap();
            committed(turn, "hi").await;
        }
        assert!(!waiting.is_finished());
        gate.open();
        drop(waiting.await.unwrap().unwrap());
        settled(&supervisor).await;
    }

    // B13
    async fn a_waiter_that_is_stopped_or_deleted_leaves_before_its_work_is_called(stage) {
        for delete in [false, true] {
            let supervisor = stage.start().await;
            let session = supervisor.open(&key(if delete { "d" } else { "s" })).await.unwrap();
            let turn = session.begin(&user("runs"), ()).await.unwrap();
            let called = Arc::new(AtomicUsize::new(0));
            let waiters: Vec<_> = (0..3).map(|_| {
                let (session, called) = (session.clone(), called.clone());
                tokio::spawn(async move {
                    let work = move |_turn| async move { called.fetch_add(1, Ordering::SeqCst) };
                    session.run(&user("waits"), QUEUE, work).await.map(|_| ())
                })
            }).collect();
            support::until("three wait", || session.status().queued == 3).await;
            if delete {
                assert!(matches!(session.delete().await, Ok(DeleteOutcome::Deleted(_))));
            } else {
                let expected = CancelOutcome::Cancelling { streams: vec![turn.stream()] };
                assert_eq!(session.stop(), expected);
            }
            for waiter in waiters {
                let error = waiter.await.unwrap().unwrap_err();
                match error {
                    BeginError::Closing { .. } => assert!(delete),
                    BeginError::Cancelled { reason } => {
                        assert!(!delete);
                        assert_eq!(reason, CancelReason::Stopped);
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(called.load(Ordering::SeqCst), 0);
            drop(turn);
            quiet(&supervisor, &session).await;
        }
    }

    // B14, E1
    async fn status_stop_list_and_delete_never_wait_for_a_turn(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("hangs"), ()).await.unwrap();
        let status = session.status();
        assert!(status.is_busy());
        assert_eq!(status.attachable(), Some(turn.stream()));
        let mut replying = RecordFilter::default();
        replying.replying = Some(true);
        assert_eq!(supervisor.list(replying, None, 10).await.unwrap().records.len(), 1);
        assert_eq!(session.transcript().await.unwrap()[0].mark, EntryMark::Pending);
        assert!(supervisor.inspect(session.id()).unwrap().status.is_busy());
        assert!(matches!(session.stop(), CancelOutcome::Cancelling { .. }));
        assert!(matches!(supervisor.look_up(session.id()).await, Ok(Lookup::Live(_))));
        assert!(matches!(session.delete().await, Ok(DeleteOutcome::Deleted(_))));
        assert!(matches!(supervisor.look_up(session.id()).await, Ok(Lookup::Gone(_))));
        let late = turn.commit(&says("late")).await.unwrap();
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Deleted });
        settled(&supervisor).await;
    }

    // B14
    async fn status_stop_and_list_never_wait_for_the_store_of_a_turn(stage) {
        let (supervisor, session) = stage.session().await;
        for call in [StoreCall::Begin, StoreCall::Commit] {
            let gate = Gate::new();
            stage.store.fail_next_of(call, Fault::HeldBefore(gate.clone()));
            let task = tokio::spawn({
                let session = session.clone();
                async move {
                    let turn = session.begin(&user("hello"), ()).await?;
                    let stream = turn.stream();
                    Ok::<_, BeginError>((stream, turn.commit(&says("hi")).await.unwrap()))
                }
            });
            gate.wait_until_reached().await;
            let (status, starting) = (session.status(), call == StoreCall::Begin);
            assert_eq!((status.is_busy(), status.unwritten), (starting, 1));
            assert_eq!(supervisor.list(RecordFilter::default(), None, 10).await.unwrap().records.len(), 1);
            assert!(matches!(supervisor.look_up(session.id()).await, Ok(Lookup::Live(_))));
            let stopped = session.stop();
            assert_eq!(matches!(stopped, CancelOutcome::Cancelling { .. }), starting, "{stopped:?}");
            assert!(!task.is_finished());
            gate.open();
            match task.await.unwrap() {
                Ok((_, outcome)) => {
                    assert!(!starting);
                    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
                }
                Err(BeginError::Cancelled { reason }) => {
                    assert!(starting);
                    assert_eq!(reason, CancelReason::Stopped);
                }
                Err(error) => panic!("{error:?}"),
            }
            quiet(&supervisor, &session).await;
        }
    }

    // B14: a delete is not durable before the store says so, but it closes the session at once
    async fn a_delete_behind_a_held_write_closes_at_once(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::PutData, Fault::HeldBefore(gate.clone()));
        let putting = tokio::spawn({
            let session = session.clone();
            async move { session.insert("mood", &1).await }
        });
        gate.wait_until_reached().await;
        let deleting = tokio::spawn({
            let session = session.clone();
            async move { session.delete().await }
        });
        support::until("it closes", || session.status().closing).await;
        let error = session.begin(&user("hello"), ()).await.unwrap_err();
        assert!(matches!(error, BeginError::Closing { .. }), "{error:?}");
        assert_eq!(supervisor.list(RecordFilter::default(), None, 10).await.unwrap().records.len(), 1);
        assert!(!deleting.is_finished());
        gate.open();
        putting.await.unwrap().unwrap();
        assert!(matches!(deleting.await.unwrap(), Ok(DeleteOutcome::Deleted(_))));
        settled(&supervisor).await;
    }

    // B17
    async fn a_session_whose_turn_was_told_to_end_is_busy_and_not_attachable(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!((session.status().is_busy(), session.status().attachable()), (false, None));
        let turn = session.begin(&user("hello"), ()).await.unwrap();
        assert_eq!(session.status().attachable(), Some(turn.stream()));
        session.cancel(turn.stream());
        let status = session.status();
        assert_eq!((status.is_busy(), status.attachable()), (true, None));
        assert_eq!(status.turns[0].phase, TurnPhase::Cancelling);
        let error = session.begin(&user("more"), BusyPolicy::Reject).await.unwrap_err();
        assert!(matches!(error, BeginError::Busy { holder, .. } if holder.phase == TurnPhase::Cancelling));
        drop(turn);
        quiet(&supervisor, &session).await;
        assert!(!session.status().is_busy());
    }

    // B5
    async fn where_several_refusals_hold_the_first_in_the_order_is_told(stage) {
        let (supervisor, session) = stage.session().await;
        let options = BeginOptions::from(BusyPolicy::Reject).expect_version(99);
        let conflict = session.begin(&user("x"), options.clone()).await.unwrap_err();
        assert!(matches!(conflict, BeginError::Conflict { expected: 99, version: 0, .. }), "{conflict:?}");
        let turn = session.begin(&user("runs"), ()).await.unwrap();
        let busy = session.begin(&user("x"), options.clone()).await.unwrap_err();
        assert!(matches!(busy, BeginError::Busy { .. }), "{busy:?}");
        let ending = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.shutdown(Duration::from_secs(50)).await }
        });
        support::until("it drains", || supervisor.is_draining()).await;
        for policy in [BusyPolicy::Reject, QUEUE, BusyPolicy::interrupt(), PARALLEL] {
            let draining = session.begin(&user("x"), policy).await.unwrap_err();
            assert!(matches!(draining, BeginError::Draining { .. }), "{draining:?}");
        }
        assert_eq!(turn.cancelled_by(), None, "a refused newcomer interrupts nobody");
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Delete, Fault::HeldBefore(gate.clone()));
        let deleting = tokio::spawn({
            let session = session.clone();
            async move { session.delete().await }
        });
        support::until("it closes", || session.status().closing).await;
        let closing = session.begin(&user("x"), options.clone()).await.unwrap_err();
        assert!(matches!(closing, BeginError::Closing { .. }), "{closing:?}");
        gate.open();
        deleting.await.unwrap().unwrap();
        let gone = session.begin(&user("x"), options).await.unwrap_err();
        assert!(matches!(gone, BeginError::Gone { .. }), "{gone:?}");
        drop(turn);
        assert!(ending.await.unwrap().unwrap().clean);
    }
}

in_paused_time! {
    // B12, F3
    async fn a_wait_that_is_over_is_told_with_who_holds_the_slot_how_long_and_doing_what(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("holds"), ()).await.unwrap();
        tokio::time::advance(7 * SECOND).await;
        let waiters: Vec<_> = (1..=100_u32).map(|number| {
            let wait = Some(number * SECOND);
            begin(&session, &number.to_string(), BusyPolicy::Queue { max: 100, wait })
        }).collect();
        let started = tokio::time::Instant::now();
        let mut tasks = Vec::new();
        for waiter in waiters {
            tasks.push(tokio::spawn(async move { (waiter.await, started.elapsed()) }));
        }
        for (place, task) in tasks.into_iter().enumerate() {
            let (answer, took) = task.await.unwrap();
            let error = answer.unwrap_err();
            let BeginError::TimedOut { waited, holder, .. } = &error else { panic!("{error:?}") };
            let wait = u32::try_from(place + 1).unwrap() * SECOND;
            assert_eq!((*waited, took), (wait, wait));
            let holder = holder.unwrap();
            assert_eq!((holder.stream, holder.phase), (turn.stream(), TurnPhase::Running));
            assert_eq!(holder.age, 7 * SECOND + wait);
            assert!(error.to_string().contains("running"), "{error}");
        }
        assert_eq!(session.status().queued, 0);
        committed(turn, "reply").await;
        quiet(&supervisor, &session).await;
        assert_eq!(texts(&session).await, ["holds", "reply"], "nothing of the waiters was stored");
    }

    // B12
    async fn whoever_waits_no_longer_than_its_bound_gets_the_slot_in_order(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("0"), ()).await.unwrap();
        let wait = |seconds: u32| BusyPolicy::Queue { max: 9, wait: Some(seconds * SECOND) };
        let short = tokio::spawn(begin(&session, "short", wait(1)));
        let long = tokio::spawn(begin(&session, "long", wait(60)));
        support::until("both wait", || session.status().queued == 2).await;
        assert!(matches!(short.await.unwrap(), Err(BeginError::TimedOut { .. })));
        drop(turn);
        let turn = long.await.unwrap().unwrap();
        committed(turn, "to long").await;
        quiet(&supervisor, &session).await;
    }

    // B7, D1: a turn that does not unwind is fenced when its grace is over, not before
    async fn an_interrupted_turn_that_hangs_is_fenced_when_its_grace_is_over(stage) {
        let (supervisor, session) = stage.session().await;
        let old = session.begin(&user("old"), ()).await.unwrap();
        let reader = old.subscribe();
        let started = tokio::time::Instant::now();
        let policy = BusyPolicy::Interrupt { grace: 3 * SECOND, max: 1 };
        let new = session.begin(&user("new"), policy).await.unwrap();
        assert_eq!(started.elapsed(), 3 * SECOND);
        assert_eq!(read_out(reader).await.1, TurnOutcome::Cancelled(CancelReason::Preempted));
        assert!(old.emit("late").is_err());
        assert_eq!(old.commit(&says("late")).await.unwrap(),
            CommitOutcome::Stale { reason: CancelReason::Preempted });
        committed(new, "reply").await;
        assert_eq!(texts(&session).await, ["old", "new", "reply"]);
        quiet(&supervisor, &session).await;
    }

    // B12: the wait of an interrupting begin ends with the grace, whatever the store does meanwhile
    async fn a_shorter_grace_shortens_a_longer_one_and_never_the_other_way_round(stage) {
        let (supervisor, session) = stage.session().await;
        let old = session.begin(&user("old"), ()).await.unwrap();
        let started = tokio::time::Instant::now();
        let policy = |grace: u32| BusyPolicy::Interrupt { grace: grace * SECOND, max: 9 };
        let mut long = begin(&session, "long", policy(100));
        assert!(poll_once(&mut long).is_pending());
        let mut short = begin(&session, "short", policy(2));
        assert!(poll_once(&mut short).is_pending());
        let mut longest = begin(&session, "longest", policy(200));
        assert!(poll_once(&mut longest).is_pending());
        assert!(matches!(long.await, Err(BeginError::Cancelled { .. })));
        assert_eq!(started.elapsed(), 2 * SECOND);
        assert!(matches!(short.await, Err(BeginError::Cancelled { .. })));
        drop(longest.await.unwrap());
        drop(old);
        quiet(&supervisor, &session).await;
    }
}

/// Moves on by a second whenever it is looked at: as if the thread were held up between any two steps.
#[derive(Debug, Default)]
struct Stutter(AtomicU64);

impl Clock for Stutter {
    fn now(&self) -> Now {
        let at = SECOND * u32::try_from(self.0.fetch_add(1, Ordering::SeqCst)).unwrap();
        Now { moment: Moment::after_start(at), wall: Timestamp::from_millis(0).plus(at) }
    }
}

// D1, D6, F1: the alarm of a grace that is over before it could be set was never sent, and a turn that
// does not unwind kept its session for ever.
#[test]
fn a_grace_that_is_over_before_its_alarm_is_set_fences_all_the_same() {
    support::play_paused(support::Kind::Memory, |stage| async move {
        let builder = session_supervisor::Supervisor::builder().clock(Stutter::default());
        let supervisor: session_supervisor::Supervisor =
            builder.store(stage.store.clone()).start().await.unwrap();
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let old = session.begin(&user("hangs"), ()).await.unwrap();
        let reader = old.subscribe();
        let policy = BusyPolicy::Interrupt { grace: Duration::from_millis(1), max: 1 };
        let new = session.begin(&user("new"), policy).await.unwrap();
        assert_eq!(read_out(reader).await.1, TurnOutcome::Cancelled(CancelReason::Preempted));
        drop((old, new));
        settled(&supervisor).await;
    });
}

//! How turns end: exactly once, truthfully, and without the session whatever their code does.

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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use session_supervisor::testing::{Fault, Gate, StoreCall, drop_at_every_await};
use session_supervisor::{
    BeginError, BeginOptions, BusyPolicy, CancelOutcome, CancelReason, CommitError, CommitOutcome,
    EntryMark, FailedInput, Reply, RunError, Supervisor, Turn, TurnInput, TurnOutcome, TurnPhase,
};
use support::{
    begin, commit, committed, everywhere, in_paused_time, key, poll_once, quiet, read_out, says,
    settled, texts, until, user,
};

const SECOND: Duration = Duration::from_secs(1);

/// A number that follows from `seed`, the same each time.
fn draw(seed: u64, below: u64) -> u64 {
    let mixed = (seed.wrapping_add(1)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 29)) % below
}

everywhere! {
    // C5, C3: each of the operations that bump the fence, then a late commit
    async fn a_late_commit_is_refused_and_says_why_and_the_reply_stays_with_its_caller(stage) {
        let supervisor = stage.start_with(|config| config.turns.cancel_grace = Duration::ZERO).await;
        let reasons =
            [CancelReason::Stopped, CancelReason::Preempted, CancelReason::Reset, CancelReason::Deleted];
        for reason in reasons {
            let key = key(reason.as_str());
            let session = supervisor.open(&key).await.unwrap();
            let turn = session.begin(&user("question"), ()).await.unwrap();
            let reader = turn.subscribe();
            match reason {
                CancelReason::Stopped => drop(session.stop()),
                CancelReason::Preempted => {
                    let policy = BusyPolicy::Interrupt { grace: Duration::ZERO, max: 1 };
                    committed(session.begin(&user("newer"), policy).await.unwrap(), "newer").await;
                }
                CancelReason::Reset => drop(supervisor.reset(&key, Default::default()).await.unwrap()),
                _ => drop(session.delete().await.unwrap()),
            }
            let reply = says("computed at great expense");
            assert_eq!(turn.commit(&reply).await.unwrap(), CommitOutcome::Stale { reason });
            assert_eq!(reply.content, "computed at great expense");
            assert_eq!(read_out(reader).await.1, TurnOutcome::Cancelled(reason));
            if reason != CancelReason::Deleted {
                quiet(&supervisor, &session).await;
                assert!(!texts(&session).await.contains(&reply.content));
                assert_eq!(session.status().fenced, 0, "the holder has reported");
            }
        }
        assert_eq!(supervisor.counts().commits_stale, 4);
        settled(&supervisor).await;
    }

    // C7, C10
    async fn a_failed_turn_keeps_its_input_for_a_retry_or_drops_it(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let reader = turn.subscribe();
        let before = session.status().version;
        assert_eq!(turn.fail(FailedInput::Keep).await.unwrap(), None);
        assert_eq!(read_out(reader).await.1, TurnOutcome::Failed);
        assert_eq!(session.status().version, before);
        let kept = session.transcript().await.unwrap();
        assert_eq!((kept.len(), kept[0].mark), (1, EntryMark::Unanswered));
        // The retry takes up what is there instead of doubling it.
        let retry = session.begin(TurnInput::none(), ()).await.unwrap();
        committed(retry, "answer").await;
        assert_eq!(texts(&session).await, ["question", "answer"]);
        let turn = session.begin(&user("dropped"), ()).await.unwrap();
        assert_eq!(turn.fail(FailedInput::Drop).await.unwrap(), None);
        assert_eq!(texts(&session).await, ["question", "answer"]);
        quiet(&supervisor, &session).await;
    }

    // C8, F21
    async fn a_begin_that_states_an_old_version_is_a_conflict_and_runs_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        let (_, version) = committed(session.begin(&user("1"), ()).await.unwrap(), "2").await;
        quiet(&supervisor, &session).await;
        stage.store.reset_calls();
        let stale = BeginOptions::default().expect_version(version - 1);
        let error = session.begin(&user("x"), stale).await.unwrap_err();
        let BeginError::Conflict { expected, version: is, .. } = error else { panic!("{error:?}") };
        assert_eq!((expected, is), (version - 1, version));
        // The first pass over what is due may be reading meanwhile.
        assert_eq!((stage.store.writes(), stage.store.calls_of(StoreCall::Request)), (0, 0));
        let same = BeginOptions::default().expect_version(version);
        let turn = session.begin(&user("3"), same).await.unwrap();
        // What is stated is looked at when the turn would start, not when it is asked for.
        let waiting_options = BeginOptions::from(BusyPolicy::queue()).expect_version(version);
        let mut waiting = begin(&session, "x", waiting_options);
        assert!(poll_once(&mut waiting).is_pending());
        committed(turn, "4").await;
        assert!(matches!(waiting.await, Err(BeginError::Conflict { .. })));
        assert_eq!(texts(&session).await, ["1", "2", "3", "4"]);
        quiet(&supervisor, &session).await;
    }

    // C10
    async fn whenever_a_turn_is_cancelled_its_input_is_there_exactly_once(stage) {
        let supervisor = stage.start_with(|config| config.turns.cancel_grace = Duration::ZERO).await;
        for phase in 0..4 {
            let session = supervisor.open(&key(&phase.to_string())).await.unwrap();
            let gate = Gate::new();
            if phase == 0 {
                stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
            }
            let mut beginning = begin(&session, "question", ());
            if phase == 0 {
                // While it starts.
                assert!(poll_once(&mut beginning).is_pending());
                gate.wait_until_reached().await;
                assert!(matches!(session.stop(), CancelOutcome::Cancelling { .. }));
                gate.open();
                let error = beginning.await.unwrap_err();
                assert!(matches!(error, BeginError::Cancelled { reason: CancelReason::Stopped }), "{error:?}");
            } else {
                let turn = beginning.await.unwrap();
                if phase == 1 {
                    session.cancel(turn.stream());
                    drop(turn);
                } else if phase == 2 {
                    turn.emit("part").unwrap();
                    session.cancel(turn.stream());
                    let reason = turn.fail(FailedInput::Keep).await.unwrap();
                    assert_eq!(reason, Some(CancelReason::Stopped));
                } else {
                    session.cancel(turn.stream());
                    assert!(matches!(commit(turn, "late").await, CommitOutcome::Stale { .. }));
                }
            }
            quiet(&supervisor, &session).await;
            assert_eq!(texts(&session).await, ["question"], "phase {phase}");
            assert_eq!(session.transcript().await.unwrap()[0].mark, EntryMark::Unanswered);
        }
    }

    // C11, J6: whatever races, one end for each reader and one settlement for each turn
    async fn whatever_races_every_turn_ends_exactly_once(stage) {
        let supervisor = stage.start_with(|config| config.turns.cancel_grace = Duration::ZERO).await;
        for seed in 0..150 {
            let session = supervisor.open(&key(&seed.to_string())).await.unwrap();
            let turn = session.begin(&user("question"), ()).await.unwrap();
            let stream = turn.stream();
            let incarnation = stream.incarnation();
            let readers: Vec<_> =
                (0..3).map(|_| tokio::spawn(read_out(turn.subscribe()))).collect();
            let racer = tokio::spawn({
                let (supervisor, session) = (supervisor.clone(), session.clone());
                async move {
                    for _ in 0..draw(seed, 4) {
                        tokio::task::yield_now().await;
                    }
                    match draw(seed ^ 0xA5, 5) {
                        0 => drop(session.cancel(stream)),
                        1 => drop(session.stop()),
                        2 => drop(session.delete().await.unwrap()),
                        3 => {
                            let policy = BusyPolicy::Interrupt { grace: Duration::ZERO, max: 9 };
                            drop(session.begin(&user("newer"), policy).await);
                        }
                        _ => {
                            let key = key(&seed.to_string());
                            drop(supervisor.reset(&key, Default::default()).await.unwrap());
                        }
                    }
                }
            });
            let holder = tokio::spawn(async move {
                for _ in 0..draw(seed ^ 0x5A, 4) {
                    tokio::task::yield_now().await;
                }
                match draw(seed ^ 0xFF, 4) {
                    0 => drop(turn),
                    1 => drop(turn.fail(FailedInput::Keep).await.unwrap()),
                    _ => {
                        let outcome = commit(turn, "reply").await;
                        return matches!(outcome, CommitOutcome::Committed { .. });
                    }
                }
                false
            });
            let was_committed = holder.await.unwrap();
            racer.await.unwrap();
            let mut ends = Vec::new();
            for reader in readers {
                ends.push(reader.await.unwrap().1);
            }
            assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
            assert_eq!(ends[0] == TurnOutcome::Committed, was_committed);
            quiet(&supervisor, &session).await;
            if session.status().gone.is_none() {
                use session_supervisor::store::Store;
                let turn = stage.store.turn(session.id(), incarnation, stream.generation()).await;
                assert_eq!(turn.unwrap().unwrap().outcome, ends[0]);
            }
        }
        let counts = supervisor.counts();
        assert_eq!(counts.turns_begun, counts.turns_ended);
        settled(&supervisor).await;
    }

    // D2, D3, F9
    async fn a_stop_of_a_turn_that_is_over_says_so_and_hits_nobody(stage) {
        let (supervisor, session) = stage.session().await;
        let old = session.begin(&user("1"), ()).await.unwrap();
        let stale = old.stream();
        committed(old, "2").await;
        assert_eq!(session.cancel(stale), CancelOutcome::NotRunning);
        let new = session.begin(&user("3"), ()).await.unwrap();
        assert_eq!(session.cancel(stale), CancelOutcome::NotRunning);
        let other = supervisor.open(&key("other")).await.unwrap();
        committed(other.begin(&user("x"), ()).await.unwrap(), "y").await;
        let theirs = other.begin(&user("x"), ()).await.unwrap();
        assert_eq!(theirs.stream().generation(), new.stream().generation());
        assert_eq!(session.cancel(theirs.stream()), CancelOutcome::NotRunning);
        assert_eq!((new.cancelled_by(), theirs.cancelled_by()), (None, None));
        assert!(session.subscribe_to(stale).is_none());
        committed(new, "4").await;
        drop(theirs);
        assert_eq!(session.stop(), CancelOutcome::NotRunning);
        quiet(&supervisor, &other).await;
    }

    // D4, F10
    async fn a_stop_reaches_every_turn_of_the_session(stage) {
        let (supervisor, session) = stage.session().await;
        let policy = BusyPolicy::Parallel(session_supervisor::Parallel::FirstCommit);
        let mut turns: Vec<Turn> = Vec::new();
        for number in 0..3 {
            turns.push(session.begin(&user(&number.to_string()), policy).await.unwrap());
        }
        let streams: Vec<_> = turns.iter().map(Turn::stream).collect();
        assert_eq!(session.stop(), CancelOutcome::Cancelling { streams });
        for turn in turns {
            assert_eq!(turn.cancelled().await, CancelReason::Stopped);
        }
        quiet(&supervisor, &session).await;
        assert_eq!(session.stop(), CancelOutcome::NotRunning);
    }

    // D5, D13
    async fn a_stop_is_told_once_however_often_it_is_said(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let (streams, token) = (vec![turn.stream()], turn.token());
        assert!(!token.is_cancelled());
        assert_eq!(session.status().turns[0].phase, TurnPhase::Running);
        assert_eq!(session.stop(), CancelOutcome::Cancelling { streams: streams.clone() });
        assert!(token.is_cancelled() && turn.token().is_cancelled());
        // Told to end, and not yet ended.
        assert_eq!(session.status().turns[0].phase, TurnPhase::Cancelling);
        assert_eq!(turn.subscribe().outcome(), None);
        for _ in 0..10 {
            let again = CancelOutcome::AlreadyCancelling { streams: streams.clone() };
            assert_eq!(session.stop(), again);
            assert_eq!(session.cancel(turn.stream()), again);
        }
        let reader = turn.subscribe();
        drop(turn);
        assert_eq!(read_out(reader).await.1, TurnOutcome::Cancelled(CancelReason::Stopped));
        quiet(&supervisor, &session).await;
        assert_eq!((supervisor.counts().turns_fenced, supervisor.counts().turns_ended), (0, 1));
    }

    // D11
    async fn a_turn_that_is_stopped_while_it_starts_never_runs(stage) {
        let (supervisor, session) = stage.session().await;
        let (gate, called) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let starting = tokio::spawn({
            let (session, called) = (session.clone(), called.clone());
            async move {
                let work = move |_turn| async move { called.fetch_add(1, Ordering::SeqCst) };
                session.run(&user("question"), (), work).await.map(|_| ())
            }
        });
        gate.wait_until_reached().await;
        assert_eq!(session.status().turns[0].phase, TurnPhase::Starting);
        assert!(matches!(session.stop(), CancelOutcome::Cancelling { .. }));
        gate.open();
        let error = starting.await.unwrap().unwrap_err();
        assert!(matches!(error, BeginError::Cancelled { reason: CancelReason::Stopped }), "{error:?}");
        quiet(&supervisor, &session).await;
        assert_eq!(called.load(Ordering::SeqCst), 0);
        committed(session.begin(TurnInput::none(), ()).await.unwrap(), "answer").await;
        assert_eq!(texts(&session).await, ["question", "answer"]);
    }

    // D12, F13
    async fn a_run_whose_handle_is_dropped_goes_on_unless_it_was_to_be_cancelled(stage) {
        let (supervisor, session) = stage.session().await;
        for cancel in [false, true] {
            let gate = Gate::new();
            let held = gate.clone();
            let running = session.run(&user("question"), (), move |turn| async move {
                tokio::select! {
                    biased;
                    _ = turn.cancelled() => {}
                    () = held.wait() => {}
                }
                turn.commit(&says("answer")).await.unwrap()
            }).await.unwrap();
            let reader = session.subscribe_to(running.stream()).unwrap();
            gate.wait_until_reached().await;
            if cancel { drop(running.cancel_on_drop()) } else { drop(running) }
            let cancelled = session.status().turns.first().is_none_or(|it| it.phase == TurnPhase::Cancelling);
            assert_eq!(cancelled, cancel);
            gate.open();
            let expected =
                if cancel { TurnOutcome::Cancelled(CancelReason::Stopped) } else { TurnOutcome::Committed };
            assert_eq!(read_out(reader).await.1, expected);
            quiet(&supervisor, &session).await;
        }
        assert_eq!(texts(&session).await, ["question", "answer", "question"]);
    }

    // D12, M3, B3: a begin that is dropped
    async fn a_begin_that_is_dropped_at_any_await_leaves_the_session_free(stage) {
        let (supervisor, session) = stage.session().await;
        drop_at_every_await(
            async || ((), begin(&session, "question", BusyPolicy::Reject)),
            async |(), output| {
                drop(output);
                // A turn that comes when nobody waits any more is let go by whoever brings it, in a moment.
                until("nobody has the turn", || !session.status().is_busy()).await;
                quiet(&supervisor, &session).await;
                committed(session.begin(&user("next"), BusyPolicy::Reject).await.unwrap(), "-").await;
            },
        )
        .await;
        quiet(&supervisor, &session).await;
    }

    // M3, B3: a commit that is dropped is a commit, or the turn was abandoned before
    async fn a_commit_that_is_dropped_at_any_await_is_whole_or_never_was(stage) {
        let (supervisor, session) = stage.session().await;
        drop_at_every_await(
            async || {
                let turn = session.begin(&user("question"), ()).await.unwrap();
                let reader = turn.subscribe();
                (reader, async move { commit(turn, "reply").await })
            },
            async |reader, output| {
                let (_, outcome) = read_out(reader).await;
                assert_eq!(outcome, TurnOutcome::Committed, "it was polled, so it was handed over");
                if let Some(output) = output {
                    assert!(matches!(output, CommitOutcome::Committed { .. }));
                }
                quiet(&supervisor, &session).await;
            },
        )
        .await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let reader = turn.subscribe();
        let reply = says("reply");
        drop(turn.commit(&reply)); // Never polled.
        assert_eq!(read_out(reader).await.1, TurnOutcome::Abandoned);
        quiet(&supervisor, &session).await;
    }

    // M1
    async fn code_that_panics_ends_its_turn_and_leaves_the_session_usable(stage) {
        let (supervisor, session) = stage.session().await;
        let running = session.run(&user("1"), (), |turn| async move {
            turn.emit("so far").unwrap();
            if turn.cancelled_by().is_none() {
                panic!("the model's answer is {}", 42);
            }
        }).await.unwrap();
        let (stream, reader) = (running.stream(), session.subscribe_to(running.stream()));
        let error = running.await.unwrap_err();
        let message = "the model's answer is 42".to_owned();
        assert_eq!(error, RunError::Panicked { stream, message });
        assert!(error.to_string().contains("the model's answer is 42"), "{error}");
        if let Some(reader) = reader {
            assert_eq!(read_out(reader).await, (vec!["so far".to_owned()], TurnOutcome::Panicked));
        }
        // In the closure itself, before there is a future; with another payload; and in no task of ours.
        let running = session.run(&user("2"), (), |turn: Turn| {
            let _held = turn;
            assert!(std::hint::black_box(false), "in the closure");
            std::future::ready(())
        }).await.unwrap();
        assert!(matches!(running.await, Err(RunError::Panicked { message, .. }) if message == "in the closure"));
        let running = session.run(&user("3"), (), |turn| async move {
            let _held = turn;
            std::panic::panic_any(7_u8)
        }).await.unwrap();
        let error: Result<(), RunError> = running.await;
        assert!(matches!(error, Err(RunError::Panicked { message, .. }) if message == "no message"));
        let turn = session.begin(&user("4"), ()).await.unwrap();
        let reader = turn.subscribe();
        let task = tokio::spawn(async move {
            let _held = turn;
            tokio::task::yield_now().await;
            panic!("while it holds a turn");
        });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(read_out(reader).await.1, TurnOutcome::Panicked);
        committed(session.begin(&user("5"), ()).await.unwrap(), "6").await;
        quiet(&supervisor, &session).await;
        assert_eq!(texts(&session).await, ["1", "2", "3", "4", "5", "6"]);
    }

    // C5 for runs: what the work returned is the caller's
    async fn a_run_returns_what_its_work_did_whatever_became_of_the_turn(stage) {
        let (supervisor, session) = stage.session().await;
        let running = session.run(&user("1"), (), |turn| async move {
            let reply = says("reply");
            (turn.commit(&reply).await.unwrap(), reply.content)
        }).await.unwrap();
        let (outcome, reply) = running.await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { seq: 2, .. }));
        assert_eq!(reply, "reply");
        let running = session.run(&user("2"), (), |turn| async move {
            let reason = turn.cancelled().await;
            (reason, turn.commit(&says("partial")).await.unwrap())
        }).await.unwrap();
        assert!(matches!(session.cancel(running.stream()), CancelOutcome::Cancelling { .. }));
        let (reason, outcome) = running.await.unwrap();
        assert_eq!(reason, CancelReason::Stopped);
        assert_eq!(outcome, CommitOutcome::Stale { reason });
        quiet(&supervisor, &session).await;
    }

    // D6: the work of a fenced run is aborted
    async fn the_work_of_a_run_is_aborted_when_its_turn_is_fenced(stage) {
        struct Unwound(Arc<AtomicUsize>);
        impl Drop for Unwound {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let (supervisor, session) = stage.session().await;
        let unwound = Arc::new(AtomicUsize::new(0));
        let witness = Unwound(unwound.clone());
        let running = session.run(&user("1"), (), move |turn| async move {
            let _held = (turn, witness);
            std::future::pending::<()>().await;
        }).await.unwrap();
        let stream = running.stream();
        session.delete().await.unwrap();
        let error = running.await.unwrap_err();
        assert_eq!(error, RunError::Aborted { stream, reason: CancelReason::Deleted });
        assert!(error.to_string().contains("its session was deleted"), "{error}");
        assert_eq!(unwound.load(Ordering::SeqCst), 1);
        settled(&supervisor).await;
    }

    // C4: all of a reply, or nothing; and what cannot be stored hands the turn back
    async fn a_reply_that_cannot_be_stored_hands_the_turn_back(stage) {
        let (supervisor, session) = stage.session_with(|config| {
            config.limits.max_entry_bytes = 64;
            config.limits.max_datum_bytes = 16;
        }).await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let stream = turn.stream();
        let large = [says("small"), says(&"x".repeat(100))];
        let Err(CommitError::Reply { turn, .. }) = turn.commit(large.as_slice()).await else { panic!() };
        let (reply, wide) = (says("reply"), "y".repeat(100));
        let with_data = Reply::from(&reply).insert("fits", &1).insert("does not", &wide);
        let Err(CommitError::Reply { turn, .. }) = turn.commit(with_data).await else { panic!() };
        assert_eq!(turn.stream(), stream);
        assert_eq!(session.get::<u32>("fits").await.unwrap(), None);
        assert_eq!(texts(&session).await, ["question"]);
        let both = [says("one"), says("two")];
        let both = Reply::from(both.as_slice()).insert("fits", &1).remove("nothing");
        let outcome = turn.commit(both).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { seq: 3, version: 1 }), "{outcome:?}");
        assert_eq!(session.get::<u32>("fits").await.unwrap(), Some(1));
        assert_eq!(texts(&session).await, ["question", "one", "two"]);
        quiet(&supervisor, &session).await;
    }
}

/// Does not come out of its encoder.
#[derive(Debug, Deserialize)]
struct Explosive;

impl Serialize for Explosive {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("in the caller's own encoder")
    }
}

// M1: user code is never run under the lock, serde included
#[test]
fn an_entry_whose_encoder_panics_poisons_nothing() {
    support::play(true, support::Kind::Memory, |stage| async move {
        let supervisor: Supervisor<Explosive> =
            Supervisor::builder().store(stage.store.clone()).start().await.unwrap();
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let theirs = session.clone();
        let task = tokio::spawn(async move { theirs.begin(&Explosive, ()).await.map(drop) });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(stage.store.calls_of(StoreCall::Begin), 0);
        let turn = session.begin(TurnInput::none(), BusyPolicy::Reject).await.unwrap();
        let reader = turn.subscribe();
        let task = tokio::spawn(async move { turn.commit(&Explosive).await.map(drop) });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(read_out(reader).await.1, TurnOutcome::Panicked);
        let turn = session.begin(TurnInput::none(), BusyPolicy::Reject).await.unwrap();
        let none: &[Explosive] = &[];
        assert!(matches!(turn.commit(none).await, Ok(CommitOutcome::Committed { .. })));
        assert!(supervisor.audit().is_clean());
        assert_eq!(supervisor.audit_counts(), Vec::<String>::new());
    });
}

// D1, F1: a turn that blocks in native code holds its session no longer than its grace
#[test]
fn a_turn_that_blocks_its_thread_does_not_hold_its_session() {
    support::play(true, support::Kind::Awaited, |stage| async move {
        let (supervisor, session) =
            stage.session_with(|config| config.turns.cancel_grace = Duration::from_millis(1)).await;
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let (entered, inside) = tokio::sync::oneshot::channel();
        let running = session
            .run(&user("hog"), (), move |turn| async move {
                entered.send(()).unwrap();
                blocked.recv().ok(); // In native code: it cannot be told, and not be aborted.
                turn.commit(&says("late")).await.unwrap()
            })
            .await
            .unwrap();
        inside.await.unwrap();
        let reader = session.subscribe_to(running.stream()).unwrap();
        assert!(matches!(session.stop(), CancelOutcome::Cancelling { .. }));
        assert_eq!(read_out(reader).await.1, TurnOutcome::Cancelled(CancelReason::Stopped));
        committed(session.begin(&user("next"), BusyPolicy::queue()).await.unwrap(), "reply").await;
        assert_eq!(session.status().fenced, 1, "it is still in there");
        drop(release);
        match running.await {
            Ok(outcome) => {
                assert_eq!(outcome, CommitOutcome::Stale { reason: CancelReason::Stopped });
            }
            Err(error) => panic!("its work had ended by itself: {error}"),
        }
        quiet(&supervisor, &session).await;
        assert_eq!(session.status().fenced, 0);
        assert_eq!(texts(&session).await, ["hog", "next", "reply"]);
    });
}

in_paused_time! {
    // D7
    async fn the_grace_of_a_stop_counts_from_the_stop_and_not_from_the_turns_start(stage) {
        let (supervisor, session) = stage.session_with(|it| it.turns.cancel_grace = 5 * SECOND).await;
        let turn = session.begin(&user("old"), ()).await.unwrap();
        let reader = turn.subscribe();
        tokio::time::advance(3_600 * SECOND).await;
        let started = tokio::time::Instant::now();
        assert!(matches!(session.stop(), CancelOutcome::Cancelling { .. }));
        tokio::time::sleep(Duration::from_millis(4_990)).await;
        assert!(session.status().is_busy(), "its grace is not over");
        // Saying it again neither shortens nor lengthens it.
        assert!(matches!(session.stop(), CancelOutcome::AlreadyCancelling { .. }));
        assert_eq!(read_out(reader).await.1, TurnOutcome::Cancelled(CancelReason::Stopped));
        assert_eq!(started.elapsed(), 5 * SECOND);
        assert!(!session.status().is_busy());
        assert_eq!(session.status().fenced, 1);
        assert!(matches!(commit(turn, "late").await, CommitOutcome::Stale { .. }));
        quiet(&supervisor, &session).await;
    }

    // D8 as far as it goes: age alone ends nothing
    async fn a_turn_is_not_ended_for_its_age(stage) {
        let (supervisor, session) = stage.session_with(|it| it.stalls.check_every = 60 * SECOND).await;
        let turn = session.begin(&user("thinks"), ()).await.unwrap();
        tokio::time::sleep(10 * 24 * 3_600 * SECOND).await;
        assert_eq!(turn.cancelled_by(), None);
        committed(turn, "at last").await;
        quiet(&supervisor, &session).await;
    }

    // D6: told, then aborted with its turn when the grace is over
    async fn a_run_that_ignores_its_token_is_aborted_when_its_grace_is_over(stage) {
        let (supervisor, session) = stage.session_with(|it| it.turns.cancel_grace = 2 * SECOND).await;
        let running = session.run(&user("deaf"), (), |turn| async move {
            let _held = turn;
            std::future::pending::<()>().await;
        }).await.unwrap();
        let (stream, started) = (running.stream(), tokio::time::Instant::now());
        session.cancel(stream);
        let error = running.await.unwrap_err();
        assert_eq!(error, RunError::Aborted { stream, reason: CancelReason::Stopped });
        assert_eq!(started.elapsed(), 2 * SECOND);
        quiet(&supervisor, &session).await;
        assert_eq!(session.status().fenced, 0);
    }
}

// B2: on a store that answers at once nothing is waited for, and still the other tasks of the thread run
#[tokio::test]
async fn a_task_that_never_has_to_wait_lets_others_in() {
    let supervisor: Supervisor = Supervisor::builder().start().await.unwrap();
    let session = supervisor.open(&key("busy")).await.unwrap();
    let question = user("question");
    let mut begin = Box::pin(session.begin(&question, ()));
    let Poll::Ready(Ok(turn)) = poll_once(&mut begin) else { panic!("a begin waited") };
    drop(begin);
    let reply = says("answer");
    let mut commit = Box::pin(turn.commit(&reply));
    assert!(poll_once(&mut commit).is_ready(), "a commit waited");
    drop(commit);

    let other = Arc::new(AtomicUsize::new(0));
    tokio::spawn({
        let other = other.clone();
        async move { other.fetch_add(1, Ordering::Relaxed) }
    });
    for _ in 0..1_000 {
        committed(session.begin(&question, ()).await.unwrap(), "answer").await;
        if other.load(Ordering::Relaxed) > 0 {
            return;
        }
    }
    panic!("a thousand turns let nobody in");
}

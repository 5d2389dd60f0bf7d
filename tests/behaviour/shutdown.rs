//! How a supervisor ends: what it waits for, what it tells, aborts and fences, whom it leaves out, and
//! what it says afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test, which does not run on the library's seam"
)]

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{
    BeginError, BusyPolicy, CancelReason, CommitOutcome, Config, DrainCounts, DrainEnd,
    DrainedSession, Parallel, RecordFilter, RunError, Session, ShutdownOptions, Store, StoreError,
    StreamId, Supervisor, TurnOutcome,
};
use support::{Stage, begin, committed, everywhere, in_paused_time, key, says, until, user};
use tokio::sync::oneshot;

const SECOND: Duration = Duration::from_secs(1);
const SHUTDOWN: TurnOutcome = TurnOutcome::Cancelled(CancelReason::Shutdown);

/// A supervisor that aborts after 3 s and fences after 5 s.
async fn start(stage: &Stage) -> Supervisor {
    let graces = |config: &mut Config| {
        (config.turns.abort_after, config.turns.cancel_grace) = (3 * SECOND, 5 * SECOND);
    };
    stage.start_with(graces).await
}

async fn open(supervisor: &Supervisor, chat: &str) -> Session {
    supervisor.open(&key(chat)).await.unwrap()
}

/// How the turns of a session ended.
fn ends(session: &DrainedSession) -> Vec<(StreamId, DrainEnd, Option<TurnOutcome>)> {
    session.turns.iter().map(|turn| (turn.stream, turn.end, turn.outcome)).collect()
}

/// How many tasks are alive.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Waits until a turn is told to end, and drops it then.
async fn ends_when_told(turn: session_supervisor::Turn) {
    turn.cancelled().await;
}

in_paused_time! {
    // H1
    async fn what_runs_is_waited_for_then_told_then_aborted_then_fenced_and_each_is_told_of(stage) {
        let supervisor = start(&stage).await;
        let names = ["short", "long", "hung", "held", "done", "rests"];
        let mut sessions = Vec::new();
        for name in names {
            sessions.push(open(&supervisor, name).await);
        }
        let [short, long, hung, held, done, _rests] = &sessions[..] else { panic!() };
        let short = short.run(&user("in"), (), |turn| async move {
            tokio::time::sleep(2 * SECOND).await;
            turn.commit(&says("in time")).await.unwrap()
        }).await.unwrap();
        let long = long.run(&user("in"), (), ends_when_told).await.unwrap();
        let hung = hung.run(&user("in"), (), |turn| async move {
            turn.emit("for ever").unwrap();
            std::future::pending::<()>().await;
        }).await.unwrap();
        let held = held.begin(&user("in"), ()).await.unwrap();
        committed(done.begin(&user("in"), ()).await.unwrap(), "out").await;
        let streams = [short.stream(), long.stream(), hung.stream(), held.stream()];

        let report = supervisor.shutdown(10 * SECOND).await.unwrap();
        assert!(matches!(short.await.unwrap(), CommitOutcome::Committed { .. }));
        long.await.unwrap();
        let error = hung.await.unwrap_err();
        assert_eq!(error, RunError::Aborted { stream: streams[2], reason: CancelReason::Shutdown });
        let late = held.commit(&says("late")).await.unwrap();
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Shutdown });

        // Who was at rest is not in it.
        assert_eq!(report.sessions.len(), 4);
        for (session, name) in report.sessions.iter().zip(names) {
            assert_eq!(session.key, Some(key(name)));
        }
        let ends: Vec<_> = report.sessions.iter().flat_map(ends).collect();
        let expected = [
            (streams[0], DrainEnd::Finished, Some(TurnOutcome::Committed)),
            (streams[1], DrainEnd::Cancelled, Some(SHUTDOWN)),
            (streams[2], DrainEnd::Aborted, Some(SHUTDOWN)),
            (streams[3], DrainEnd::Fenced, Some(SHUTDOWN)),
        ];
        assert_eq!(ends, expected);
        assert_eq!(report.turns, DrainCounts { finished: 1, cancelled: 1, aborted: 1, fenced: 1 });
        assert_eq!(report.turns.total(), 4);
        assert_eq!((report.told, &report.detached[..]), (3, &[][..]));
        assert!(report.clean && report.marked);
        // 10 s for all, and 5 s for those that had to be told.
        assert_eq!(report.took, 15 * SECOND);
    }

    // H1: nothing is waited for that need not be.
    async fn what_is_at_rest_ends_at_once(stage) {
        let supervisor = start(&stage).await;
        let session = open(&supervisor, "a").await;
        committed(session.begin(&user("in"), ()).await.unwrap(), "out").await;
        support::quiet(&supervisor, &session).await;
        let report = supervisor.shutdown(100 * SECOND).await.unwrap();
        assert_eq!((report.took, report.sessions, report.told), (Duration::ZERO, vec![], 0));
        assert!(report.clean && report.marked);
        let counts = supervisor.counts();
        assert_eq!(counts.actors_started, counts.actors_ended);
    }

    // H1, F27: what work does after its commit is nobody's reply, and is waited for as well.
    async fn work_that_outlives_its_turn_is_waited_for_and_aborted_in_the_end(stage) {
        for (rest, aborted) in [(20 * SECOND, false), (40 * SECOND, true)] {
            let stage = Stage::new(stage.kind).await;
            let supervisor = start(&stage).await;
            let session = open(&supervisor, "a").await;
            let (done, mut is_done) = oneshot::channel();
            let running = session.run(&user("in"), (), async move |turn| {
                committed(turn, "out").await;
                tokio::time::sleep(rest).await;
                done.send(()).unwrap();
            }).await.unwrap();
            until("it has committed", || !session.status().is_busy()).await;
            let report = supervisor.shutdown(30 * SECOND).await.unwrap();
            assert_eq!(running.await.is_err(), aborted);
            assert_eq!(is_done.try_recv().is_err(), aborted);
            assert_eq!(report.took, if aborted { 30 * SECOND } else { 20 * SECOND });
            assert!(report.clean && report.marked, "{report:?}");
            assert_eq!((report.detached, report.told), (vec![], 0));
        }
    }

    // H1: who waits for the slot is told when what runs is.
    async fn those_that_wait_get_their_turn_until_the_deadline_and_are_refused_then(stage) {
        let supervisor = start(&stage).await;
        let session = open(&supervisor, "a").await;
        let turn = session.begin(&user("1"), ()).await.unwrap();
        let [second, third] = ["2", "3"].map(|text| tokio::spawn(begin(&session, text, BusyPolicy::queue())));
        until("both wait", || session.status().queued == 2).await;
        let ending = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.shutdown(10 * SECOND).await.unwrap() }
        });
        until("it drains", || supervisor.is_draining()).await;
        let refused = session.begin(&user("4"), BusyPolicy::queue()).await.unwrap_err();
        assert!(matches!(refused, BeginError::Draining { .. }), "{refused:?}");
        committed(turn, "to 1").await;
        let second = second.await.unwrap().unwrap();
        let stream = second.stream();
        tokio::spawn(ends_when_told(second));
        let refused = third.await.unwrap().unwrap_err();
        assert!(matches!(refused, BeginError::Cancelled { reason: CancelReason::Shutdown, .. }), "{refused:?}");
        let report = ending.await.unwrap();
        let turns = ends(&report.sessions[0]);
        assert_eq!(turns[1], (stream, DrainEnd::Cancelled, Some(SHUTDOWN)));
        assert_eq!((turns.len(), report.told, report.took), (2, 1, 10 * SECOND));
    }

    // H10: the earliest deadline counts, whoever has asked for it.
    async fn several_that_end_it_at_once_get_one_report(stage) {
        let supervisor = start(&stage).await;
        let session = open(&supervisor, "a").await;
        let running = session.run(&user("in"), (), ends_when_told).await.unwrap();
        let end = |after: Duration, deadline: Duration| {
            let supervisor = supervisor.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                supervisor.shutdown(deadline).await.unwrap()
            })
        };
        let ending = [end(Duration::ZERO, 1_000 * SECOND), end(SECOND, 2 * SECOND), end(2 * SECOND, 90 * SECOND)];
        let mut reports = Vec::new();
        for one in ending {
            reports.push(one.await.unwrap());
        }
        running.await.unwrap();
        assert_eq!((reports[0].took, reports[0].told), (3 * SECOND, 1));
        assert!(reports.iter().all(|report| *report == reports[0] && report.clean), "{reports:?}");
        assert_eq!(supervisor.shutdown(SECOND).await.unwrap(), reports[0]);
        assert_eq!(stage.store.calls_of(StoreCall::CloseRun), 1);
        assert_eq!(stage.store.calls_of(StoreCall::Close), 1);
    }

    // H10, M3: the next one goes on where the one was that was dropped.
    async fn one_that_is_dropped_is_finished_by_whoever_waits(stage) {
        let supervisor = start(&stage).await;
        let session = open(&supervisor, "a").await;
        let turn = session.begin(&user("in"), ()).await.unwrap();
        let stream = turn.stream();
        let clone = supervisor.clone();
        let mut first = Box::pin(async move { clone.shutdown(10 * SECOND).await });
        assert!(support::poll_once(&mut first).is_pending());
        let second = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.shutdown(100 * SECOND).await.unwrap() }
        });
        tokio::time::sleep(SECOND).await;
        drop(first);
        let report = second.await.unwrap();
        assert_eq!(report.took, 15 * SECOND, "the deadline of the first still counts");
        assert_eq!(ends(&report.sessions[0]), [(stream, DrainEnd::Fenced, Some(SHUTDOWN))]);
        assert!(report.clean);
        drop(turn);
    }

    // H2, F27: the turn whose work asks for it is not waited for, not told and not aborted.
    async fn work_that_ends_its_own_supervisor_goes_on_and_everything_else_has_ended(stage) {
        let supervisor = start(&stage).await;
        let (own, other) = (open(&supervisor, "own").await, open(&supervisor, "other").await);
        let other = other.run(&user("in"), (), |turn| async move {
            tokio::time::sleep(4 * SECOND).await;
            turn.commit(&says("out")).await.unwrap()
        }).await.unwrap();
        let clone = supervisor.clone();
        let running = own.run(&user("/restart"), (), |turn| async move {
            turn.emit("restarting").unwrap();
            let options = ShutdownOptions::within(10 * SECOND).except(turn.stream());
            // As work does that listens: it must not hear of its own shutdown in the middle of it.
            let report = tokio::select! {
                biased;
                reason = turn.cancelled() => panic!("told: {reason}"),
                report = clone.shutdown(options) => report.unwrap(),
            };
            assert!(turn.emit("late").is_err());
            (report, turn.commit(&says("late")).await.unwrap())
        }).await.unwrap();
        let stream = running.stream();
        let mut reader = running.subscribe();
        let behind = tokio::spawn(begin(&own, "behind", BusyPolicy::queue()));
        let (report, late) = running.await.unwrap();
        assert!(matches!(other.await.unwrap(), CommitOutcome::Committed { .. }));
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Shutdown });
        assert_eq!(report.took, 4 * SECOND, "it was not waited for");
        assert_eq!(report.turns, DrainCounts { finished: 1, fenced: 1, ..DrainCounts::default() });
        assert_eq!(ends(&report.sessions[0]), [(stream, DrainEnd::Excepted, Some(SHUTDOWN))]);
        assert_eq!((report.told, &report.detached[..]), (0, &[][..]));
        assert!(report.clean && report.marked, "{report:?}");
        let refused = behind.await.unwrap().unwrap_err();
        assert!(matches!(refused, BeginError::Cancelled { .. } | BeginError::Draining { .. }), "{refused:?}");
        // Its readers are told all the same.
        while let Some(event) = reader.next().await {
            if let session_supervisor::Event::Ended(outcome) = event {
                assert_eq!(outcome, SHUTDOWN);
            }
        }
    }

    // H2: the reply of the turn is told first, and its task is not waited for either.
    async fn work_that_has_committed_may_end_its_supervisor_as_well(stage) {
        let supervisor = start(&stage).await;
        let own = open(&supervisor, "own").await;
        let clone = supervisor.clone();
        let running = own.run(&user("/restart"), (), async move |turn| {
            let options = ShutdownOptions::within(10 * SECOND).except(turn.stream());
            committed(turn, "restarting").await;
            clone.shutdown(options).await.unwrap()
        }).await.unwrap();
        let report = running.await.unwrap();
        assert_eq!((report.took, report.told, &report.detached[..]), (Duration::ZERO, 0, &[][..]));
        assert!(report.clean && report.marked, "{report:?}");
    }

    // H2: a turn that its caller holds, and another one beside it.
    async fn a_turn_that_its_caller_holds_can_be_left_out_and_its_neighbour_is_told(stage) {
        let supervisor = start(&stage).await;
        let session = open(&supervisor, "a").await;
        let parallel = BusyPolicy::Parallel(Parallel::FirstCommit);
        let own = session.begin(&user("own"), parallel).await.unwrap();
        let beside = session.begin(&user("beside"), parallel).await.unwrap();
        let streams = [own.stream(), beside.stream()];
        let beside = tokio::spawn(ends_when_told(beside));
        let report = supervisor.shutdown(ShutdownOptions::within(SECOND).except(own.stream())).await.unwrap();
        beside.await.unwrap();
        assert_eq!(own.cancelled_by(), Some(CancelReason::Shutdown), "it may ask");
        let expected = [
            (streams[0], DrainEnd::Excepted, Some(SHUTDOWN)),
            (streams[1], DrainEnd::Cancelled, Some(SHUTDOWN)),
        ];
        assert_eq!(ends(&report.sessions[0]), expected);
        assert_eq!((report.told, report.took), (1, SECOND));
        assert!(report.clean);
        drop(own);
    }

    // H2, H10: two that ask for it at once do not wait for each other.
    async fn two_turns_that_end_it_at_once_do_not_wait_for_each_other(stage) {
        let supervisor = start(&stage).await;
        let mut running = Vec::new();
        let sessions = [open(&supervisor, "a").await, open(&supervisor, "b").await];
        for session in &sessions {
            let clone = supervisor.clone();
            running.push(session.run(&user("/restart"), (), |turn| async move {
                tokio::time::sleep(SECOND).await;
                let options = ShutdownOptions::within(100 * SECOND).except(turn.stream());
                clone.shutdown(options).await.unwrap()
            }).await.unwrap());
        }
        let mut reports = Vec::new();
        for one in running {
            reports.push(one.await.unwrap());
        }
        assert_eq!(reports[0], reports[1]);
        assert_eq!(reports[0].took, Duration::ZERO);
        assert_eq!(reports[0].turns.fenced, 2);
        assert!(reports[0].clean && reports[0].marked);
    }

    // H4: the store does not take the mark.
    async fn a_mark_that_is_not_taken_is_told_and_fails_nothing(stage) {
        for fault in [Fault::Unavailable, Fault::Full, Fault::UnknownAndLost] {
            let stage = Stage::new(stage.kind).await;
            let supervisor = start(&stage).await;
            stage.store.fail_next_of(StoreCall::CloseRun, fault);
            let report = supervisor.shutdown(SECOND).await.unwrap();
            assert_eq!((report.clean, report.marked), (true, false));
            assert_eq!(supervisor.counts().store_failures, 1);
        }
    }

    // H4, H10: the store does not answer any more.
    async fn a_store_that_hangs_is_left_behind_without_a_mark(stage) {
        let supervisor = start(&stage).await;
        let session = open(&supervisor, "a").await;
        let turn = session.begin(&user("in"), ()).await.unwrap();
        let (stream, gate) = (turn.stream(), Gate::new());
        stage.store.fail_next_of(StoreCall::Settle, Fault::HeldBefore(gate.clone()));
        drop(turn);
        let report = supervisor.shutdown(SECOND).await.unwrap();
        assert_eq!((report.clean, report.marked), (false, false));
        assert_eq!(ends(&report.sessions[0]), [(stream, DrainEnd::Open, Some(TurnOutcome::Interrupted))]);
        assert_eq!(stage.store.calls_of(StoreCall::CloseRun), 0);
        gate.open();
    }

    // H10: closed again.
    async fn a_store_that_cannot_be_closed_is_closed_by_the_next_call(stage) {
        let supervisor = start(&stage).await;
        stage.store.fail_next_of(StoreCall::Close, Fault::Unavailable);
        let error = supervisor.shutdown(SECOND).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(supervisor.shutdown(SECOND).await.unwrap().clean);
        assert_eq!(stage.store.calls_of(StoreCall::Close), 2);
    }
}

everywhere! {
    // H1, H10: whatever a begin meets, it is refused or seen, and nothing is open when the mark is made.
    async fn no_begin_slips_past_a_shutdown(stage) {
        let supervisor = stage.start().await;
        let mut sessions = Vec::new();
        for n in 0..8 {
            sessions.push(open(&supervisor, &n.to_string()).await);
        }
        let begins: Vec<_> = sessions.iter().cloned().map(|session| tokio::spawn(async move {
            for n in 0.. {
                let turn = match session.begin(&user("in"), ()).await {
                    Ok(turn) => turn,
                    Err(BeginError::Draining { .. }) => return n,
                    Err(error) => panic!("{error:?}"),
                };
                committed(turn, "out").await;
                tokio::task::yield_now().await;
            }
            unreachable!("it ends")
        })).collect();
        until("they are at it", || sessions.iter().all(|session| session.status().version > 3)).await;
        stage.store.fail_next_of(StoreCall::Close, Fault::Unavailable);
        drop(supervisor.shutdown(60 * SECOND).await.unwrap_err());
        assert_eq!(stage.store.calls_of(StoreCall::CloseRun), 1);
        let mut replying = RecordFilter::default();
        replying.replying = Some(true);
        assert_eq!(stage.store.list(replying, None, 9).await.unwrap().records, []);
        for begin in begins {
            assert!(begin.await.unwrap() > 0);
        }
        support::settled(&supervisor).await;
    }

    // H10: nothing is left behind but what cannot be ended.
    async fn a_shutdown_leaves_no_task(stage) {
        let before = tasks();
        let supervisor = stage.start_with(|config| {
            let turns = &mut config.turns;
            (turns.abort_after, turns.cancel_grace) = (Duration::from_millis(10), Duration::from_millis(20));
        }).await;
        let mut running = Vec::new();
        let mut turns = Vec::new();
        for n in 0..5 {
            let session = open(&supervisor, &n.to_string()).await;
            let mut reader = session.run(&user("in"), (), |turn| async move {
                for _ in 0..500 {
                    turn.emit("chunk").unwrap();
                }
                std::future::pending::<()>().await;
            }).await.unwrap().subscribe();
            running.push(tokio::spawn(async move { while reader.next().await.is_some() {} }));
            let held = open(&supervisor, &format!("held {n}")).await;
            turns.push(held.begin(&user("in"), ()).await.unwrap());
        }
        assert!(supervisor.shutdown(Duration::from_millis(5)).await.unwrap().clean);
        for reader in running {
            reader.await.unwrap();
        }
        until("the tasks have ended", || tasks() <= before).await;
        let counts = supervisor.counts();
        assert_eq!(counts.actors_started, counts.actors_ended);
        drop(turns);
    }
}

// H1, F27: what blocks its thread can be left behind, and is told of.
#[test]
fn a_task_that_blocks_its_thread_is_told_of() {
    let blocked = Arc::new(AtomicBool::new(true));
    let blocks = blocked.clone();
    support::play(true, support::Kind::Memory, |stage: Stage| async move {
        let supervisor = stage.start_with(|config| {
            let turns = &mut config.turns;
            (turns.abort_after, turns.cancel_grace) =
                (Duration::from_millis(1), Duration::from_millis(2));
        });
        let supervisor = supervisor.await;
        let session = open(&supervisor, "a").await;
        let blocks = blocks.clone();
        let running = session
            .run(&user("in"), (), |turn| async move {
                let turn = turn;
                while blocks.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
                drop(turn);
            })
            .await
            .unwrap();
        let report = supervisor.shutdown(Duration::from_millis(5)).await.unwrap();
        assert_eq!(report.detached, [running.stream()]);
        assert_eq!((report.clean, report.marked), (false, true), "the store has its end");
        let expected = (running.stream(), DrainEnd::Fenced, Some(SHUTDOWN));
        assert_eq!(ends(&report.sessions[0]), [expected]);
    });
    blocked.store(false, Ordering::SeqCst);
}

// H4, H6: what the next start of the same file is told.
#[cfg(feature = "sqlite")]
#[test]
fn the_next_start_is_told_of_the_shutdown_once() {
    use session_supervisor::LastRun;
    support::play(false, support::Kind::Sqlite, |stage: Stage| async move {
        let supervisor = stage.start().await;
        assert_eq!(supervisor.recovery().last_run, LastRun::None);
        let session = open(&supervisor, "a").await;
        let own = session.begin(&user("in"), ()).await.unwrap();
        let options = ShutdownOptions::default().except(own.stream());
        let report = supervisor.shutdown(options).await.unwrap();
        let before = supervisor.instance();
        let stage = stage.reopened().await;
        let supervisor = stage.start().await;
        let recovery = supervisor.recovery();
        let LastRun::Clean { instance, stop, .. } = recovery.last_run else {
            panic!("{recovery:?}")
        };
        assert_eq!((instance, stop.turns), (before, report.turns));
        assert_eq!((recovery.found, recovery.restarts, &recovery.settled[..]), (1, 0, &[][..]));
        let session = open(&supervisor, "a").await;
        assert_eq!(support::texts(&session).await, ["in"]);
        let (before, stage) = (supervisor.instance(), stage.reopened().await);
        let supervisor = stage.start().await;
        let recovery = supervisor.recovery();
        let LastRun::Crashed { instance, .. } = recovery.last_run else { panic!("{recovery:?}") };
        assert_eq!((instance, recovery.restarts), (before, 1));
        drop(own);
    });
}

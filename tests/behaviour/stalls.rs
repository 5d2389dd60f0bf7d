//! Turns that are stuck: noticed, told once, and ended step by step if that is wanted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use crate::listen;
use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use listen::{Events, Numbers};
use session_supervisor::testing::{ManualClock, PausedClock};
use session_supervisor::{
    BusyPolicy, CancelReason, Clock, CommitOutcome, Config, CountsSnapshot, Now, RunError, Session,
    StallAction, Supervisor, Turn, TurnOutcome, TurnPhase, WorkPhase,
};
use support::{
    commit, committed, everywhere, in_paused_time, key, quiet, read_out, says, settled, texts,
    until, user,
};

const SECOND: Duration = Duration::from_secs(1);

/// What is done about turns that are stuck, with ten seconds for the model and a minute for tools.
fn act(config: &mut Config) {
    config.stalls.model = 10 * SECOND;
    config.stalls.tool = 60 * SECOND;
    config.stalls.action = StallAction::Act;
}

/// How many turns were found stuck, told, aborted and fenced.
fn steps(supervisor: &Supervisor) -> [u64; 4] {
    let CountsSnapshot { stalls, turns_told, turns_aborted, turns_fenced, .. } =
        supervisor.counts();
    [stalls, turns_told, turns_aborted, turns_fenced]
}

/// Lets `seconds` pass, less a tenth of one.
async fn nearly(seconds: u32) {
    tokio::time::sleep(Duration::from_millis(u64::from(seconds) * 1_000 - 100)).await;
}

/// Lets the next two tenths pass: looks come up to a few milliseconds late.
async fn then() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

in_paused_time! {
    // D9, D8, F12
    async fn a_silent_turn_is_told_once_and_again_after_progress(stage) {
        let (supervisor, session) = stage.session_with(|it| it.stalls.model = 10 * SECOND).await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        nearly(10).await;
        assert_eq!(steps(&supervisor), [0; 4]);
        then().await;
        assert_eq!(steps(&supervisor), [1, 0, 0, 0]);
        tokio::time::sleep(3_600 * SECOND).await;
        assert_eq!(steps(&supervisor), [1, 0, 0, 0], "once an episode");
        assert!(session.status().turns[0].silent_for > 3_600 * SECOND);
        turn.emit("at last").unwrap();
        assert_eq!(session.status().turns[0].silent_for, Duration::ZERO);
        nearly(10).await;
        assert_eq!(steps(&supervisor), [1, 0, 0, 0]);
        tokio::time::sleep(3_600 * SECOND).await;
        assert_eq!(steps(&supervisor), [2, 0, 0, 0], "and again in the next");
        assert_eq!(turn.cancelled_by(), None, "it is only observed");
        committed(turn, "answer").await;
        quiet(&supervisor, &session).await;
        assert_eq!(texts(&session).await, ["question", "answer"]);
    }

    // D6, D7, D1: work that awaits is told, then aborted, and its session is free without a fence
    async fn a_stuck_run_is_told_and_then_aborted(stage) {
        let (supervisor, session) = stage.session_with(act).await;
        let running = session.run(&user("stuck"), (), |turn| async move {
            turn.cancelled().await;
            assert_eq!(turn.emit("too late").unwrap_err().reason, CancelReason::Stalled);
            std::future::pending::<()>().await;
        }).await.unwrap();
        let (stream, reader) = (running.stream(), running.subscribe());
        nearly(10).await;
        assert_eq!(steps(&supervisor), [0; 4]);
        then().await;
        assert_eq!(steps(&supervisor), [1, 1, 0, 0]);
        assert_eq!(session.status().turns[0].phase, TurnPhase::Cancelling);
        tokio::time::sleep(Duration::from_millis(2_800)).await;
        assert_eq!(steps(&supervisor), [1, 1, 0, 0], "it has three seconds");
        let aborted = RunError::Aborted { stream, reason: CancelReason::Stalled };
        assert_eq!(running.await.unwrap_err(), aborted);
        assert_eq!(read_out(reader).await.1, TurnOutcome::Cancelled(CancelReason::Stalled));
        assert_eq!(steps(&supervisor), [1, 1, 1, 0]);
        committed(session.begin(&user("next"), ()).await.unwrap(), "answer").await;
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(steps(&supervisor), [1, 1, 1, 0], "nothing was left to fence");
        quiet(&supervisor, &session).await;
    }

    // D6, D1, C5: what its caller holds cannot be aborted, and is fenced
    async fn a_stuck_turn_of_the_callers_own_is_told_aborted_and_fenced_each_at_its_time(stage) {
        let (supervisor, session) = stage.session_with(act).await;
        tokio::time::sleep(100 * SECOND).await;
        let turn = session.begin(&user("stuck"), ()).await.unwrap();
        nearly(10).await;
        assert_eq!(steps(&supervisor), [0; 4]);
        then().await;
        assert_eq!(steps(&supervisor), [1, 1, 0, 0]);
        nearly(3).await;
        then().await;
        assert_eq!(steps(&supervisor), [1, 1, 1, 0]);
        let next = tokio::spawn(support::begin(&session, "next", BusyPolicy::queue()));
        tokio::time::sleep(Duration::from_millis(1_600)).await;
        assert_eq!(steps(&supervisor), [1, 1, 1, 0]);
        assert!(!next.is_finished());
        then().await;
        then().await;
        assert_eq!(steps(&supervisor), [1, 1, 1, 1]);
        committed(next.await.unwrap().unwrap(), "answer").await;
        assert_eq!(commit(turn, "late").await, CommitOutcome::Stale { reason: CancelReason::Stalled });
        quiet(&supervisor, &session).await;
        assert_eq!(texts(&session).await, ["stuck", "next", "answer"]);
    }

    // D6, D7: each cancel goes the same way, counted from the cancel
    async fn a_stop_aborts_before_it_fences_and_both_count_from_the_stop(stage) {
        let (supervisor, session) = stage.session_with(|config| {
            config.turns.abort_after = 2 * SECOND;
            config.turns.cancel_grace = 9 * SECOND;
        }).await;
        for (text, ends_at) in [("run", 2 * SECOND), ("begin", 9 * SECOND)] {
            let running = session.run(&user(text), (), move |turn| async move {
                let held = turn;
                if text == "begin" {
                    // Its turn is elsewhere, where dropping the work does not reach it.
                    tokio::spawn(async move { held.cancelled().await; std::future::pending::<()>().await });
                    return;
                }
                std::future::pending::<()>().await;
            }).await.unwrap();
            let reader = running.subscribe();
            tokio::time::sleep(3_600 * SECOND).await;
            let started = tokio::time::Instant::now();
            session.stop();
            assert_eq!(read_out(reader).await.1, TurnOutcome::Cancelled(CancelReason::Stopped));
            assert_eq!(started.elapsed(), ends_at, "{text}");
        }
        assert_eq!(steps(&supervisor)[1..], [2, 2, 1]);
        settled(&supervisor).await;
    }

    // D8, F11: as long as somebody says that it goes on
    async fn heartbeats_keep_a_long_silent_tool_alive(stage) {
        let (supervisor, session) = stage.session_with(act).await;
        let turn = session.begin(&user("build"), ()).await.unwrap();
        turn.enter(WorkPhase::Tool);
        assert_eq!(session.status().turns[0].work, WorkPhase::Tool);
        for _ in 0..200 {
            nearly(59).await;
            turn.progress();
        }
        assert_eq!(steps(&supervisor), [0; 4]);
        assert_eq!(turn.cancelled_by(), None);
        turn.enter(WorkPhase::Model);
        nearly(9).await;
        turn.emit("built").unwrap();
        nearly(9).await;
        assert_eq!(steps(&supervisor), [0; 4]);
        turn.enter(WorkPhase::Tool);
        tokio::time::sleep(62 * SECOND).await;
        assert_eq!(turn.cancelled_by(), Some(CancelReason::Stalled), "and without them it is told");
        drop(turn);
        quiet(&supervisor, &session).await;
    }

    // D8, D10: a person may take as long as it likes, and that is no work
    async fn waiting_for_a_person_is_neither_silence_nor_work(stage) {
        let (supervisor, session) = stage.session_with(|config| {
            act(config);
            config.stalls.total = 120 * SECOND;
        }).await;
        let turn = session.begin(&user("may I?"), ()).await.unwrap();
        nearly(8).await;
        turn.enter(WorkPhase::Human);
        tokio::time::sleep(24 * 3_600 * SECOND).await;
        assert_eq!(session.status().turns[0].work, WorkPhase::Human);
        turn.enter(WorkPhase::Model);
        nearly(8).await;
        assert_eq!(steps(&supervisor), [0; 4]);
        committed(turn, "done").await;
        quiet(&supervisor, &session).await;
    }

    // D10, F12: each of three retries is in time by itself
    async fn three_retries_inside_a_turn_use_up_the_total(stage) {
        let (supervisor, session) = stage.session_with(|config| {
            act(config);
            config.stalls.model = 100 * SECOND;
            config.stalls.total = 120 * SECOND;
        }).await;
        let retries = Arc::new(AtomicU64::new(0));
        let (counted, started) = (retries.clone(), tokio::time::Instant::now());
        let running = session.run(&user("question"), (), move |turn| async move {
            for _ in 0..3 {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(95 * SECOND).await;
                turn.progress();
            }
            turn.commit(&says("answer")).await.unwrap()
        }).await.unwrap();
        let error = running.await.unwrap_err();
        assert!(matches!(error, RunError::Aborted { reason: CancelReason::Stalled, .. }), "{error}");
        let took = started.elapsed().as_millis();
        assert!((123_000..124_000).contains(&took), "{took} ms");
        assert_eq!((retries.load(Ordering::SeqCst), steps(&supervisor)), (2, [1, 1, 1, 0]));
        quiet(&supervisor, &session).await;
    }

    // D8, D10: without a total, retries go on for ever
    async fn without_a_total_a_lively_turn_is_never_judged(stage) {
        let (supervisor, session) = stage.session_with(act).await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        for _ in 0..1_000 {
            tokio::time::sleep(7 * SECOND).await;
            turn.emit("and ").unwrap();
        }
        assert_eq!(steps(&supervisor), [0; 4]);
        committed(turn, "so on").await;
        quiet(&supervisor, &session).await;
    }

    // D9: one of many, and the next one in its place
    async fn only_the_turn_that_is_stuck_is_told(stage) {
        let (supervisor, session) = stage.session_with(act).await;
        let stuck = session.begin(&user("stuck"), ()).await.unwrap();
        let waits = tokio::spawn(support::begin(&session, "next", BusyPolicy::queue()));
        let mut others = Vec::new();
        for number in 0..20 {
            let other = supervisor.open(&key(&number.to_string())).await.unwrap();
            others.push(other.begin(&user("works"), ()).await.unwrap());
        }
        for _ in 0..6 {
            tokio::time::sleep(2 * SECOND).await;
            others.iter().for_each(Turn::progress);
        }
        assert_eq!(stuck.cancelled_by(), Some(CancelReason::Stalled));
        assert!(others.iter().all(|turn| turn.cancelled_by().is_none()));
        drop(stuck);
        let next = waits.await.unwrap().unwrap();
        drop(others);
        tokio::time::sleep(9 * SECOND).await;
        assert_eq!(next.cancelled_by(), None, "its time counts from its own begin");
        tokio::time::sleep(3 * SECOND).await;
        assert_eq!(next.cancelled_by(), Some(CancelReason::Stalled));
        drop(next);
        quiet(&supervisor, &session).await;
    }
}

/// Counts how often it is read.
#[derive(Clone, Debug)]
struct Counted(PausedClock, Arc<AtomicU64>);

impl Clock for Counted {
    fn now(&self) -> Now {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.now()
    }
}

// X12: looking costs what runs, and nothing while nothing does.
#[test]
fn nobody_looks_while_no_turn_is_open() {
    support::play_paused(support::Kind::Memory, |stage| async move {
        let clock = Counted(PausedClock::new(), Arc::default());
        let reads = || clock.1.load(Ordering::Relaxed);
        let builder = Supervisor::builder().clock(clock.clone()).store(stage.store.clone());
        let supervisor: Supervisor = builder.start().await.unwrap();
        let mut sessions = Vec::new();
        for number in 0..100 {
            let session = supervisor.open(&key(&number.to_string())).await.unwrap();
            committed(session.begin(&user("in"), ()).await.unwrap(), "out").await;
            sessions.push(session);
        }
        tokio::time::sleep(2 * SECOND).await;
        let before = reads();
        tokio::time::sleep(600 * SECOND).await;
        let idle = reads() - before;
        assert!(idle <= 40, "{idle} reads in ten minutes of sweeps");
        let turn = sessions[0].begin(&user("in"), ()).await.unwrap();
        let before = reads();
        tokio::time::sleep(600 * SECOND).await;
        let busy = reads() - before;
        assert!((590..700).contains(&busy), "{busy} looks, one a second");
        drop(turn);
        settled(&supervisor).await;
    });
}

// L1, L5, D9: the event names the session, the stream, the phase and the silence.
#[test]
fn what_is_stuck_is_told_to_the_log_and_counted_by_phase_and_reason() {
    let (events, numbers) = (Events::default(), Numbers::default());
    let scenario = |stage: support::Stage| {
        let events = events.clone();
        async move {
            let (supervisor, session) = stage.session_with(act).await;
            let turn = session.begin(&user("secret"), ()).await.unwrap();
            turn.enter(WorkPhase::Tool);
            events.take();
            tokio::time::sleep(70 * SECOND).await;
            let told = events.take();
            let stall: Vec<_> = told.iter().filter(|it| it.contains_key("silent_for")).collect();
            assert_eq!(stall.len(), 1, "{told:?}");
            assert_eq!(stall[0]["session"], session.id().to_string());
            assert_eq!(stall[0]["stream"], turn.stream().to_string());
            assert_eq!((&*stall[0]["phase"], &*stall[0]["budget"]), ("tool", "silence"));
            assert!(stall[0]["silent_for"].starts_with("60"), "{stall:?}");
            let to = |to: &str| told.iter().any(|it| it.get("to").is_some_and(|it| it == to));
            assert!(to("cancelling") && to("aborted") && to("fenced"), "{told:?}");
            drop(turn);
            settled(&supervisor).await;
        }
    };
    events.during(|| {
        metrics::with_local_recorder(&numbers, || {
            support::play_paused(support::Kind::Memory, scenario);
        });
    });
    for name in [
        "session_stalls_total{phase=tool}{budget=silence}",
        "session_turns_told_total{reason=stalled}",
        "session_turns_aborted_total{reason=stalled}",
        "session_turns_fenced_total{reason=stalled}",
        "session_turns_ended_total{outcome=cancelled_stalled}",
    ] {
        assert_eq!(numbers.get(name), 1, "{name} of {:?}", numbers.names());
    }
}

/// Short enough for real time.
fn impatient(config: &mut Config) {
    config.stalls.model = Duration::from_millis(30);
    config.stalls.check_every = Duration::from_millis(10);
    config.stalls.action = StallAction::Act;
    config.turns.abort_after = Duration::from_millis(10);
    config.turns.cancel_grace = Duration::from_millis(50);
}

everywhere! {
    // D6: on every store and runtime, in real time
    async fn a_stuck_run_is_ended_and_its_input_is_kept(stage) {
        let (supervisor, session) = stage.session_with(impatient).await;
        let running = session.run(&user("stuck"), (), |turn| async move {
            let _held = turn;
            std::future::pending::<()>().await;
        }).await.unwrap();
        let reader = running.subscribe();
        assert!(running.await.is_err());
        assert_eq!(read_out(reader).await.1, TurnOutcome::Cancelled(CancelReason::Stalled));
        quiet(&supervisor, &session).await;
        assert_eq!(texts(&session).await, ["stuck"]);
    }
}

/// A supervisor whose turns are looked at all the time, by a clock that stands still until it is moved: so
/// nothing is stuck because the machine is busy.
async fn by_hand(stage: &support::Stage) -> (ManualClock, Supervisor, Session) {
    let mut config = Config::default();
    act(&mut config);
    config.stalls.check_every = Duration::from_millis(10);
    config.tombstones.sweep_every = SECOND;
    let clock = ManualClock::new();
    let builder = Supervisor::builder().config(config).clock(clock.clone());
    let supervisor: Supervisor = builder.store(stage.store.clone()).start().await.unwrap();
    let session = supervisor.open(&key("#rust")).await.unwrap();
    (clock, supervisor, session)
}

/// Moves the clock on to where the one turn is told, aborted and fenced, and waits for each.
async fn escalates(clock: &ManualClock, supervisor: &Supervisor) {
    let waits = [(10, [1, 1, 0, 0]), (3, [1, 1, 1, 0]), (2, [1, 1, 1, 1])];
    for (seconds, expected) in waits {
        clock.advance(seconds * SECOND);
        until("the next step is taken", || steps(supervisor) == expected).await;
    }
}

/// A run blocks its thread; nobody cancels it.
fn blocked_run(kind: support::Kind) {
    support::play(true, kind, |stage| async move {
        let (clock, supervisor, session) = by_hand(&stage).await;
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let running = session
            .run(&user("hog"), (), move |turn| async move {
                blocked.recv().ok(); // In native code: it cannot be told, and not be aborted.
                turn.commit(&says("late")).await.unwrap()
            })
            .await
            .unwrap();
        let next = tokio::spawn(support::begin(&session, "next", BusyPolicy::queue()));
        until("it waits", || session.status().queued == 1).await;
        escalates(&clock, &supervisor).await;
        committed(next.await.unwrap().unwrap(), "reply").await;
        assert_eq!(session.status().fenced, 1, "it is still in there");
        drop(release);
        let stale = CommitOutcome::Stale { reason: CancelReason::Stalled };
        assert_eq!(running.await.unwrap(), stale);
        quiet(&supervisor, &session).await;
        assert_eq!(session.status().fenced, 0);
        assert_eq!(texts(&session).await, ["hog", "next", "reply"]);
    });
}

// F1, D1, D6, C5
#[test]
fn a_run_that_blocks_its_thread_does_not_hold_its_session() {
    blocked_run(support::Kind::Memory);
    blocked_run(support::Kind::Awaited);
    #[cfg(feature = "sqlite")]
    blocked_run(support::Kind::Sqlite);
}

// F1: the thread that begins the turn blocks in the next instruction, and the watch, which it has just
// woken, may be in a queue that nobody else takes from. The next sweep looks all the same.
#[test]
fn a_thread_that_blocks_right_after_its_begin_does_not_blind_the_watch() {
    support::play(true, support::Kind::Memory, |stage| async move {
        let (clock, supervisor, session) = by_hand(&stage).await;
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let begins = session.clone();
        let hog = tokio::spawn(async move {
            let turn = begins.begin(&user("hog"), ()).await.unwrap();
            blocked.recv().ok();
            turn.commit(&says("late")).await.unwrap()
        });
        until("it runs", || session.status().is_busy()).await;
        escalates(&clock, &supervisor).await;
        committed(session.begin(&user("next"), ()).await.unwrap(), "reply").await;
        drop(release);
        assert_eq!(hog.await.unwrap(), CommitOutcome::Stale { reason: CancelReason::Stalled });
        quiet(&supervisor, &session).await;
    });
}

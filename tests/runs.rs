//! What a start is told of the run before it, and what it does if the process crashes again and again.
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

#[path = "support/stage.rs"]
mod stage;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_supervisor::store::{Created, NewRecord};
use session_supervisor::testing::{Fault, FaultyStore, Gate, ManualClock, StoreCall};
use session_supervisor::{
    BeginError, BeginOptions, CommitOutcome, Config, LastRun, MemoryStore, NewSession,
    RecoveryReport, SessionId, SqliteOptions, SqliteStore, Standing, Store, StoreError, Supervisor,
    SuspendReason, Timestamp, Turn, TurnOutcome,
};
use stage::{
    Kind, Stage, assert_clean, everywhere, key, on, poll_once, reply, runtime, until, user,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// A supervisor with other settings.
async fn start(stage: &Stage, clock: &ManualClock, change: impl FnOnce(&mut Config)) -> Supervisor {
    let mut config = Config::default();
    change(&mut config);
    stage.builder().clock(clock.clone()).config(config).start().await.unwrap()
}

/// Kills the process in the middle of whatever it does.
async fn crashed(stage: Stage, supervisor: Supervisor, turns: Vec<Turn>) -> Stage {
    // Leaked rather than dropped: a killed process runs no `Drop`.
    Box::leak(Box::new((supervisor, turns)));
    stage.reopened().await
}

/// Ends a process in good order, on any store: one in memory is not closed, so that it lives on.
async fn ended(stage: Stage, supervisor: Supervisor) -> Stage {
    stage.faults.fail_next_of(StoreCall::Close, Fault::Unavailable);
    let error = supervisor.shutdown(SECOND).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    stage.reopened().await
}

/// Commits a reply that is to be in the transcript.
async fn committed(turn: Turn, text: &str) {
    let outcome = turn.commit(&reply(text)).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
}

/// The standing and the count of a session, as the store has them.
async fn standing(supervisor: &Supervisor, id: &SessionId) -> (Standing, u32) {
    let found = supervisor.record(id).await.unwrap();
    let session_supervisor::store::Found::Live(record) = found else { panic!("{found:?}") };
    (record.standing, record.crashes)
}

/// Whether a session was suspended by a start.
fn is_suspended(standing: Standing) -> bool {
    matches!(standing, Standing::Suspended { reason: SuspendReason::CrashLoop, .. })
}

/// How many turns were settled, how many of them may be done over, and how many sessions suspended.
fn told(report: &RecoveryReport) -> (usize, usize, usize) {
    (report.settled.len(), report.resumable().count(), report.suspended.len())
}

// H4
#[test]
fn each_start_is_told_how_the_run_before_it_ended() {
    everywhere(|mut stage| async move {
        let clock = ManualClock::new();
        let mut before = None;
        // Whether each run ends in good order.
        for clean in [true, false, true, true, false, false] {
            clock.advance(SECOND);
            let supervisor = start(&stage, &clock, |_| {}).await;
            let expected = match before {
                None => LastRun::None,
                Some((instance, started_at, false)) => LastRun::Crashed { instance, started_at },
                Some((instance, started_at, true)) => {
                    let LastRun::Clean { stop, .. } = supervisor.recovery().last_run else {
                        panic!("{:?}", supervisor.recovery())
                    };
                    assert_eq!(stop.at, started_at);
                    LastRun::Clean { instance, started_at, stop }
                }
            };
            assert_eq!(supervisor.recovery().last_run, expected);
            assert_eq!(expected.is_crash(), before.is_some_and(|(_, _, clean)| !clean));
            before = Some((supervisor.instance(), supervisor.now(), clean));
            stage = if clean {
                ended(stage, supervisor).await
            } else {
                crashed(stage, supervisor, Vec::new()).await
            };
        }
    });
}

// H4: the start that finds the mark is the last one that does.
#[test]
fn a_mark_is_used_up_by_the_start_that_finds_it_whatever_becomes_of_that() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let supervisor = start(&stage, &clock, |_| {}).await;
        let turn = supervisor.begin(&key("a"), &user("in"), ()).await.unwrap();
        committed(turn, "out").await;
        let stage = ended(stage, supervisor).await;
        // It dies at its first look at the sessions.
        stage.faults.fail_next_of(StoreCall::List, Fault::Unavailable);
        assert!(stage.builder().start().await.is_err());
        let supervisor = start(&stage, &clock, |_| {}).await;
        assert!(supervisor.recovery().last_run.is_crash(), "{:?}", supervisor.recovery());
    });
}

// H4, G9: a store that cannot be written is told of before anything else.
#[test]
fn a_start_that_cannot_be_noted_fails() {
    everywhere(|stage| async move {
        stage.faults.fail_next_of(StoreCall::OpenRun, Fault::Full);
        let error = stage.builder().start().await.unwrap_err();
        let session_supervisor::StartError::Store(StoreError::Full { .. }) = error else {
            panic!("{error:?}")
        };
        assert_eq!(stage.faults.calls(), 1);
        assert_eq!(stage.start().await.recovery().last_run, LastRun::None);
    });
}

// H6
#[test]
fn a_turn_may_be_done_over_while_it_is_fresh_and_the_id_stays_the_same() {
    for (age, within, offered) in [
        (3_599 * SECOND, HOUR, true),
        (HOUR, HOUR, true),
        (3_601 * SECOND, HOUR, false),
        (Duration::ZERO, Duration::ZERO, false),
        (Duration::ZERO, SECOND, true),
    ] {
        everywhere(|stage| async move {
            let clock = ManualClock::new();
            let supervisor = start(&stage, &clock, |_| {}).await;
            let turn = supervisor.begin(&key("a"), &user("question"), ()).await.unwrap();
            let (id, stream) = (turn.session().clone(), turn.stream());
            let stage = crashed(stage, supervisor, vec![turn]).await;
            clock.advance(age);
            let settings = |config: &mut Config| config.recovery.resume_within = within;
            let supervisor = start(&stage, &clock, settings).await;
            let report = supervisor.recovery();
            assert_eq!(told(report), (1, usize::from(offered), 0), "{report:?}");
            assert_eq!(report.settled[0].resumable, offered);
            for turn in report.resumable() {
                assert_eq!((&turn.session, turn.stream), (&id, stream));
                let session = supervisor.look_up(&turn.session).await.unwrap().live().unwrap();
                let again = session.retry(1, ()).await.unwrap();
                assert_eq!(again.session(), &id);
                committed(again, "answer").await;
                let transcript = session.transcript().await.unwrap();
                let texts: Vec<_> = transcript.into_iter().map(|it| it.content.unwrap()).collect();
                assert_eq!(texts, [user("question"), reply("answer")]);
            }
            assert_clean(&supervisor).await;
        });
    }
}

// H7, F12: nothing but a crash counts, and a commit takes it all back.
#[test]
fn a_session_in_whose_turns_the_process_crashes_three_times_in_a_row_is_suspended() {
    everywhere(|mut stage| async move {
        let clock = ManualClock::new();
        let supervisor = start(&stage, &clock, |_| {}).await;
        let mut ids = Vec::new();
        for name in ["poison", "unlucky", "rests"] {
            let turn = supervisor.begin(&key(name), &user("in"), ()).await.unwrap();
            ids.push(turn.session().clone());
            committed(turn, "out").await;
        }
        let [poison, unlucky, rests] = &ids[..] else { panic!() };
        let mut supervisor = supervisor;
        for crash in 1..=3 {
            let mut turns =
                vec![supervisor.begin(&key("poison"), &user("again"), ()).await.unwrap()];
            if crash == 2 {
                // Answered once in between.
                let turn = supervisor.begin(&key("unlucky"), &user("again"), ()).await.unwrap();
                committed(turn, "out").await;
                assert_eq!(standing(&supervisor, unlucky).await, (Standing::Active, 0));
            }
            turns.push(supervisor.begin(&key("unlucky"), &user("again"), ()).await.unwrap());
            stage = crashed(stage, supervisor, turns).await;
            clock.advance(HOUR);
            supervisor = start(&stage, &clock, |config| {
                config.recovery.resume_within = 10 * HOUR;
            })
            .await;
            let report = supervisor.recovery().clone();
            let (now, count) = standing(&supervisor, poison).await;
            assert_eq!((count, is_suspended(now)), (crash, crash == 3));
            assert_eq!(told(&report), if crash == 3 { (2, 1, 1) } else { (2, 2, 0) });
            assert!(!report.looping && report.restarts == 1, "{report:?}");
            if crash == 3 {
                let told = &report.suspended[0];
                assert_eq!((&told.session, &told.key), (poison, &Some(key("poison"))));
                assert_eq!((told.crashes, told.reason), (3, SuspendReason::CrashLoop));
                assert!(told.reason.to_string().contains("crashed"), "{}", told.reason);
                let offered: Vec<_> = report.resumable().map(|turn| &turn.session).collect();
                assert_eq!(offered, [unlucky]);
            }
            assert_eq!(standing(&supervisor, rests).await, (Standing::Active, 0));
        }
        assert_eq!(standing(&supervisor, unlucky).await, (Standing::Active, 2));

        // H8: it stays so, since when it was, over another crash and over a clean stop.
        let (suspended, _) = standing(&supervisor, poison).await;
        stage = crashed(stage, supervisor, Vec::new()).await;
        clock.advance(HOUR);
        let supervisor = start(&stage, &clock, |_| {}).await;
        assert_eq!(standing(&supervisor, poison).await, (suspended, 3));
        stage = ended(stage, supervisor).await;
        let supervisor = start(&stage, &clock, |_| {}).await;
        assert_eq!(standing(&supervisor, poison).await, (suspended, 3));
        assert_eq!(told(supervisor.recovery()), (0, 0, 0));

        let session = supervisor.look_up(poison).await.unwrap().live().unwrap();
        let refused = session.begin(&user("again"), ()).await.unwrap_err();
        let BeginError::Inactive { standing: said, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(*said, suspended);
        assert!(refused.to_string().contains("crashed"), "{refused}");

        // H8: a reset of the key makes a fresh session, without either.
        let fresh = supervisor.reset(&key("poison"), NewSession::new()).await.unwrap().session;
        assert_ne!(fresh.id(), poison);
        assert_eq!(standing(&supervisor, fresh.id()).await, (Standing::Active, 0));
        let turn = fresh.begin(&user("hello"), ()).await.unwrap();
        committed(turn, "hi").await;

        // Whoever resumes the old one has it counted anew.
        session.resume().await.unwrap();
        assert_eq!(standing(&supervisor, poison).await, (Standing::Active, 0));
        let turn = session.begin(&user("again"), ()).await.unwrap();
        let stage = crashed(stage, supervisor, vec![turn]).await;
        let supervisor = start(&stage, &clock, |_| {}).await;
        assert_eq!(told(supervisor.recovery()), (1, 1, 0));
        assert_eq!(standing(&supervisor, poison).await, (Standing::Active, 1));
    });
}

// H7: 0 is never.
#[test]
fn the_guard_can_be_switched_off() {
    everywhere(|mut stage| async move {
        let clock = ManualClock::new();
        for crash in 0..8 {
            let off = |config: &mut Config| {
                (config.recovery.max_crashes, config.recovery.max_restarts) = (0, 0);
            };
            let supervisor = start(&stage, &clock, off).await;
            let report = supervisor.recovery();
            assert_eq!(told(report), if crash == 0 { (0, 0, 0) } else { (1, 1, 0) });
            assert_eq!((report.restarts, report.looping), (crash, false));
            let turn = supervisor.begin(&key("a"), &user("in"), ()).await.unwrap();
            assert_eq!(standing(&supervisor, turn.session()).await.1, crash);
            stage = crashed(stage, supervisor, vec![turn]).await;
        }
    });
}

// H7: whichever sessions it is over.
#[test]
fn too_many_starts_after_crashes_suspend_what_was_running_and_offer_nothing() {
    everywhere(|mut stage| async move {
        let clock = ManualClock::new();
        let settings = |config: &mut Config| {
            (config.recovery.max_restarts, config.recovery.loop_window) = (3, 60 * SECOND);
        };
        let looping = [false, false, false, true, false, true];
        // The fifth comes when the first two are over.
        let pauses = [0, 10, 10, 10, 55, 5];
        for (run, (looping, pause)) in looping.into_iter().zip(pauses).enumerate() {
            clock.advance(pause * SECOND);
            let supervisor = start(&stage, &clock, settings).await;
            let report = supervisor.recovery();
            assert_eq!(report.looping, looping, "run {run}: {report:?}");
            let expected = match (run, looping) {
                (0, _) => (0, 0, 0),
                (_, false) => (1, 1, 0),
                (_, true) => (1, 0, 1),
            };
            assert_eq!(told(report), expected, "run {run}: {report:?}");
            for suspended in &report.suspended {
                assert_eq!(suspended.crashes, 1);
                assert!(is_suspended(standing(&supervisor, &suspended.session).await.0));
            }
            let chat = key(&run.to_string());
            let turn = supervisor.begin(&chat, &user("in"), ()).await.unwrap();
            stage = crashed(stage, supervisor, vec![turn]).await;
        }
    });
}

// H7: what is not a crash: the store failed, and the run ended in good order.
#[test]
fn a_turn_whose_end_was_not_stored_is_no_crash() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let supervisor = start(&stage, &clock, |_| {}).await;
        let session = supervisor.open(&key("a")).await.unwrap();
        let turn = session.begin(&user("in"), ()).await.unwrap();
        stage.faults.fail_next_of(StoreCall::Commit, Fault::Unavailable);
        assert!(turn.commit(&reply("out")).await.is_err());
        let id = session.id().clone();
        drop(session);
        let stage = ended(stage, supervisor).await;
        let supervisor = start(&stage, &clock, |_| {}).await;
        let report = supervisor.recovery();
        assert!(matches!(report.last_run, LastRun::Clean { .. }), "{report:?}");
        assert_eq!(told(report), (1, 1, 0));
        assert_eq!(standing(&supervisor, &id).await, (Standing::Active, 0));
    });
}

// H7: the count is there before the settling, so that a start that crashes over it counts.
#[test]
fn a_crash_in_the_middle_of_a_recovery_is_counted() {
    on(&[Kind::Memory, Kind::Pending], |stage| async move {
        let clock = ManualClock::new();
        let supervisor = start(&stage, &clock, |_| {}).await;
        let turn = supervisor.begin(&key("a"), &user("in"), ()).await.unwrap();
        let id = turn.session().clone();
        let mut stage = crashed(stage, supervisor, vec![turn]).await;
        for _ in 1..3 {
            let gate = Gate::new();
            stage.faults.fail_next_of(StoreCall::Settle, Fault::HeldBefore(gate.clone()));
            let mut start = Box::pin(stage.builder().clock(clock.clone()).start());
            while gate.reached() == 0 {
                assert!(poll_once(&mut start).is_pending());
                tokio::task::yield_now().await;
            }
            Box::leak(Box::new(start));
            stage = stage.reopened().await;
        }
        let supervisor = start(&stage, &clock, |_| {}).await;
        let report = supervisor.recovery();
        assert_eq!((report.restarts, report.suspended[0].crashes), (3, 3));
        assert!(is_suspended(standing(&supervisor, &id).await.0));
    });
}

// G8: whatever of it the store refuses, the start says so, and the next one does it.
#[test]
fn a_start_whose_guard_the_store_fails_is_finished_by_the_next() {
    for (call, count) in [(StoreCall::Patch, 1), (StoreCall::Standing, 2)] {
        everywhere(|stage| async move {
            let clock = ManualClock::new();
            let settings = |config: &mut Config| config.recovery.max_crashes = 1;
            let supervisor = start(&stage, &clock, settings).await;
            let turn = supervisor.begin(&key("a"), &user("in"), ()).await.unwrap();
            let (id, life) = (turn.session().clone(), turn.stream());
            let stage = crashed(stage, supervisor, vec![turn]).await;
            stage.faults.fail_next_of(call, Fault::Unavailable);
            let mut config = Config::default();
            settings(&mut config);
            assert!(stage.builder().config(config).clock(clock.clone()).start().await.is_err());
            let supervisor = start(&stage, &clock, settings).await;
            assert_eq!(supervisor.recovery().restarts, 2);
            let (incarnation, turn) = (life.incarnation(), life.generation());
            let settled = stage.behind.turn(&id, incarnation, turn).await.unwrap().unwrap();
            assert_eq!(settled.outcome, TurnOutcome::Interrupted);
            // A crash between the settling and what follows costs one more try.
            assert_eq!(standing(&supervisor, &id).await.1, count - 1);
        });
    }
}

// G10, E8: what is over is removed by the start, a bounded number of it.
#[test]
fn a_start_removes_what_is_kept_for_a_time_and_tells_how_much() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let supervisor = start(&stage, &clock, |_| {}).await;
        for n in 0..300 {
            let session = supervisor.open(&key(&n.to_string())).await.unwrap();
            session.delete().await.unwrap();
        }
        let session = supervisor.open(&key("a")).await.unwrap();
        for n in 0..3 {
            let named = BeginOptions::default().idempotency_key(format!("{n}"));
            committed(session.begin(&user("in"), named).await.unwrap(), "out").await;
        }
        session.rollback(1, None).await.unwrap();
        session.rollback(1, None).await.unwrap();
        let stage = ended(stage, supervisor).await;
        clock.advance(23 * HOUR);
        let supervisor = start(&stage, &clock, |_| {}).await;
        let swept = supervisor.recovery().swept;
        assert_eq!((swept.tombstones, swept.requests, swept.revisions), (0, 0, 0));
        let stage = ended(stage, supervisor).await;
        clock.advance(30 * 24 * HOUR);
        stage.faults.fail_next_of(StoreCall::ForgetRequests, Fault::Unavailable);
        let supervisor = start(&stage, &clock, |_| {}).await;
        let swept = supervisor.recovery().swept;
        assert_eq!((swept.tombstones, swept.requests, swept.revisions), (256, 0, 2));
        assert_eq!(supervisor.counts().store_failures, 1);
        let stage = ended(stage, supervisor).await;
        let swept = start(&stage, &clock, |_| {}).await.recovery().swept;
        assert_eq!((swept.tombstones, swept.requests, swept.revisions), (44, 3, 0));
    });
}

// G9: a damaged row of a run is told, and what it says is not believed.
#[test]
fn a_damaged_run_is_taken_for_a_crash() {
    runtime(1).block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let open = async || SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
        for damage in ["started_at = 7", "instance = x'00'", "stopped_at = 'soon'"] {
            let supervisor: Supervisor =
                Supervisor::builder().store(open().await).start().await.unwrap();
            assert!(supervisor.shutdown(SECOND).await.unwrap().marked);
            let connection = rusqlite::Connection::open(&path).unwrap();
            connection.pragma_update(None, "ignore_check_constraints", true).unwrap();
            let sql =
                format!("UPDATE runs SET {damage} WHERE number = (SELECT max(number) FROM runs)");
            if connection.execute(&sql, []).is_err() {
                continue; // A strict table does not take it.
            }
            drop(connection);
            let supervisor: Supervisor =
                Supervisor::builder().store(open().await).start().await.unwrap();
            let report = supervisor.recovery();
            assert!(report.last_run.is_crash(), "{damage}: {report:?}");
            assert!(report.damaged.iter().any(|line| line.contains("`runs`")), "{report:?}");
            assert!(!supervisor.check_store().await.unwrap().is_empty());
            assert!(supervisor.shutdown(SECOND).await.unwrap().marked);
        }
    });
}

/// A session that nothing was said in.
fn empty(id: SessionId) -> NewRecord {
    NewRecord {
        id,
        allow_reuse: false,
        binding: None,
        label: None,
        class: None,
        previous: None,
        expiry: None,
        entries: Vec::new(),
        data: Vec::new(),
        at: Timestamp::default(),
    }
}

// G8, X12: the start counts them and loads none.
#[test]
fn a_start_with_a_hundred_thousand_sessions_loads_none_of_them() {
    const MANY: u64 = 100_000;
    runtime(1).block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let sqlite = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
        for store in [Arc::new(MemoryStore::new()) as Arc<dyn Store>, Arc::new(sqlite)] {
            for thousands in (0..MANY).step_by(10_000) {
                let create =
                    |n| store.create(empty(SessionId::new(&format!("session-{n}")).unwrap()));
                let creates: Vec<_> = (thousands..thousands + 10_000).map(create).collect();
                for create in creates {
                    assert!(matches!(create.await.unwrap(), Created::Created(_)));
                }
            }
            let faulty = FaultyStore::new(store);
            let supervisor: Supervisor =
                Supervisor::builder().store(faulty.clone()).start().await.unwrap();
            let report = supervisor.recovery();
            println!("{:?} for {} sessions", report.took, report.found);
            assert_eq!((report.found, supervisor.loaded()), (MANY, 0));
            assert!(report.took < SECOND, "{report:?}");
            let reads = [StoreCall::LookUp, StoreCall::Entries, StoreCall::Turn];
            assert_eq!(reads.map(|call| faulty.calls_of(call)), [0, 0, 0]);
            assert_eq!(faulty.calls_of(StoreCall::List), 1);
        }
    });
}

/// Names the file and the place for the child.
const CHILD: &str = "RUNS_CHILD";

/// Tells the parent.
fn say(line: &str) {
    println!("\n@ {line}");
}

/// A child that shuts down while a turn runs, and stops at a place to be killed there.
#[test]
fn the_child_that_is_killed_while_it_ends() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (place, path) = told.split_once('|').unwrap();
    runtime(2).block_on(async {
        let store = SqliteStore::open(path, SqliteOptions::default()).await.unwrap();
        let faults = FaultyStore::new(Arc::new(store));
        let supervisor: Supervisor =
            Supervisor::builder().store(faults.clone()).start().await.unwrap();
        let gate = Gate::new();
        let session = supervisor.open(&key("a")).await.unwrap();
        let stays = gate.clone();
        let in_the_drain = place == "drain";
        let work = async move |turn: Turn| {
            if in_the_drain {
                stays.wait().await;
            }
            committed(turn, "out").await;
        };
        let _running = session.run(&user("in"), (), work).await.unwrap();
        match place {
            "drain" => {}
            "before the mark" => {
                faults.fail_next_of(StoreCall::CloseRun, Fault::HeldBefore(gate.clone()));
            }
            "after the mark" => {
                faults.fail_next_of(StoreCall::Close, Fault::HeldBefore(gate.clone()));
            }
            other => panic!("{other}"),
        }
        let clone = supervisor.clone();
        let _ending = tokio::spawn(async move { clone.shutdown(HOUR).await });
        until("it ends", || supervisor.is_draining() && gate.reached() > 0).await;
        say("there");
        std::future::pending::<()>().await;
    });
}

/// Runs the child to a place, and kills it there.
fn kill_at(place: &str, path: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child_that_is_killed_while_it_ends", "--nocapture"])
        .env(CHILD, format!("{place}|{}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let there = lines.map_while(Result::ok).any(|line| line == "@ there");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(there, "the child did not come to {place}");
}

// H4, H5, G13, G14, F26: killed during the drain, before the mark, and behind it.
#[test]
fn a_process_that_is_killed_while_it_ends_has_crashed_until_the_mark_is_there() {
    let folder = tempfile::tempdir().unwrap();
    for (place, crashed, settled) in
        [("drain", true, 1), ("before the mark", true, 0), ("after the mark", false, 0)]
    {
        let path = folder.path().join(format!("{place}.db"));
        kill_at(place, &path);
        runtime(1).block_on(async {
            let started = Instant::now();
            let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
            let supervisor: Supervisor = Supervisor::builder().store(store).start().await.unwrap();
            assert!(started.elapsed() < SECOND, "the file is taken over at once");
            let report = supervisor.recovery();
            assert_eq!(report.last_run.is_crash(), crashed, "{place}: {report:?}");
            assert_eq!(told(report), (settled, settled, 0), "{place}");
            let entries = supervisor.open(&key("a")).await.unwrap().transcript().await.unwrap();
            assert_eq!(entries.len(), 2 - settled);
            assert!(supervisor.shutdown(SECOND).await.unwrap().marked);
        });
    }
}

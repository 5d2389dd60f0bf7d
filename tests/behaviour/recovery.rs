//! What a start finds of a run that was killed, and settles: once, before anything else may begin.
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

use std::collections::BTreeSet;
use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, ManualClock, StoreCall};
use session_supervisor::{
    BusyPolicy, CommitError, CommitOutcome, EntryMark, Generation, InstanceId, Parallel,
    RecordFilter, RecoveryReport, Session, SessionId, SqliteOptions, SqliteStore, StartError,
    Store, StoreError, StreamId, Supervisor, Timestamp, Turn, TurnInput, TurnOutcome,
};
use stage::{
    Kind, Stage, assert_clean, content, everywhere, key, on, poll_once, reply, still_pending, user,
};

const PARALLEL: BusyPolicy = BusyPolicy::Parallel(Parallel::FirstCommit);

/// A turn that was running when the process was killed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lost {
    session: SessionId,
    stream: StreamId,
    began_at: Timestamp,
}

/// What a first run leaves when it is killed.
struct Killed {
    instance: InstanceId,
    lost: BTreeSet<Lost>,
    /// Kept alive, so that no `Drop` tidies up after what cannot tidy up.
    turns: Vec<Turn>,
    sessions: Vec<Session>,
}

/// The first run: conversations in every state, killed in the middle.
async fn first_run(stage: &Stage, clock: &ManualClock) -> Killed {
    let supervisor = stage.builder().clock(clock.clone()).start().await.unwrap();
    let mut killed = Killed {
        instance: supervisor.instance(),
        lost: BTreeSet::new(),
        turns: Vec::new(),
        sessions: Vec::new(),
    };
    for name in ["input", "none", "parallel", "done", "queue", "deleted"] {
        clock.advance(Duration::from_secs(1));
        let session = supervisor.open(&key(name)).await.unwrap();
        let turn = session.begin(&user("hello"), ()).await.unwrap();
        assert!(matches!(turn.commit(&reply("hi")).await, Ok(CommitOutcome::Committed { .. })));
        killed.sessions.push(session);
    }
    let [input, none, parallel, _done, queue, deleted] = &killed.sessions[..] else { panic!() };
    clock.advance(Duration::from_secs(1));
    let turns = [
        input.begin(&user("lost"), ()).await.unwrap(),
        none.begin(TurnInput::none(), ()).await.unwrap(),
        parallel.begin(&user("lost 1"), PARALLEL).await.unwrap(),
        parallel.begin(&user("lost 2"), PARALLEL).await.unwrap(),
        queue.begin(&user("lost"), ()).await.unwrap(),
    ];
    for turn in turns {
        turn.emit("half a rep").unwrap();
        killed.lost.insert(Lost {
            session: turn.session().clone(),
            stream: turn.stream(),
            began_at: supervisor.now(),
        });
        killed.turns.push(turn);
    }
    // Never acknowledged, so never there.
    let waits = queue.clone();
    let mut waiting =
        Box::pin(async move { waits.begin(&user("queued"), BusyPolicy::queue()).await });
    assert!(poll_once(&mut waiting).is_pending());
    let gone = deleted.begin(&user("lost"), ()).await.unwrap();
    deleted.delete().await.unwrap();
    killed.turns.push(gone);
    // Leaked rather than dropped: a killed process runs no `Drop`.
    Box::leak(Box::new((waiting, supervisor)));
    killed
}

/// The turns that a report lists.
fn listed(report: &RecoveryReport, instance: InstanceId) -> BTreeSet<Lost> {
    let listed: BTreeSet<_> = report
        .settled
        .iter()
        .map(|turn| {
            assert_eq!(turn.instance, instance);
            assert!(turn.key.is_some());
            let (session, stream) = (turn.session.clone(), turn.stream);
            Lost { session, stream, began_at: turn.began_at }
        })
        .collect();
    assert_eq!(listed.len(), report.settled.len(), "a turn is listed twice");
    listed
}

/// The texts of a transcript, with their marks.
async fn transcript(session: &Session) -> Vec<(String, EntryMark)> {
    let entries = session.transcript().await.unwrap();
    entries.into_iter().map(|entry| (entry.content.unwrap().content, entry.mark)).collect()
}

// G2, G3, G8, G10, H5, X5
#[test]
fn a_start_settles_what_a_killed_run_left_open_once_and_loads_nothing() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let killed = first_run(&stage, &clock).await;
        let stage = stage.reopened().await;
        let replying = || {
            let mut filter = filter();
            filter.replying = Some(true);
            filter
        };
        let before = stage.behind.list(filter(), None, 100).await.unwrap().records;
        assert_eq!(stage.behind.list(replying(), None, 9).await.unwrap().records.len(), 4);
        clock.advance(Duration::from_secs(3_600));

        let supervisor = stage.builder().clock(clock.clone()).start().await.unwrap();
        let report = supervisor.recovery();
        assert_eq!(listed(report, killed.instance), killed.lost);
        assert_eq!(report.damaged, Vec::<String>::new());
        assert_ne!(supervisor.instance(), killed.instance);
        assert_eq!(supervisor.loaded(), 0);
        assert_eq!(supervisor.counts().loaded, 0);
        assert_eq!(supervisor.list(replying(), None, 9).await.unwrap().records, []);
        let after = supervisor.list(filter(), None, 100).await.unwrap().records;
        for (before, after) in before.iter().zip(&after) {
            let crashes = u32::from(!before.open.is_empty());
            let expected =
                session_supervisor::Record { open: Vec::new(), crashes, ..before.clone() };
            assert_eq!(after, &expected, "more than the marker and the count changed");
        }
        for lost in &killed.lost {
            let (life, turn) = (lost.stream.incarnation(), lost.stream.generation());
            let record = stage.behind.turn(&lost.session, life, turn).await.unwrap().unwrap();
            assert_eq!(record.outcome, TurnOutcome::Interrupted);
            assert_eq!(record.settled_at, supervisor.now());
        }
        let hello = [("hello".to_owned(), EntryMark::Kept), ("hi".to_owned(), EntryMark::Kept)];
        for (name, lost) in [
            ("input", vec!["lost"]),
            ("none", vec![]),
            ("parallel", vec!["lost 1", "lost 2"]),
            ("done", vec![]),
            ("queue", vec!["lost"]),
        ] {
            let session = supervisor.open(&key(name)).await.unwrap();
            let lost = lost.into_iter().map(|text| (text.to_owned(), EntryMark::Unanswered));
            let expected: Vec<_> = hello.iter().cloned().chain(lost).collect();
            assert_eq!(transcript(&session).await, expected, "{name}");
            assert!(!session.status().is_busy());
            assert_eq!(session.status().unwritten, 0);
        }
        assert_clean(&supervisor).await;

        // A second start finds nothing, and changes nothing.
        let content_before = content(&*stage.behind, &[], &[]).await;
        drop(supervisor);
        let stage = stage.reopened().await;
        let third = stage.builder().clock(clock.clone()).start().await.unwrap();
        assert_eq!(third.recovery().settled, []);
        assert_eq!(content(&*stage.behind, &[], &[]).await, content_before);

        // The conversations go on.
        for name in ["input", "none", "parallel", "done", "queue"] {
            let session = third.open(&key(name)).await.unwrap();
            let turn = session.begin(&user("again"), ()).await.unwrap();
            assert!(killed.lost.iter().all(|lost| lost.stream != turn.stream()));
            let committed = turn.commit(&reply("yes")).await.unwrap();
            assert!(matches!(committed, CommitOutcome::Committed { .. }));
        }
        assert_clean(&third).await;
        Box::leak(Box::new(killed.turns));
    });
}

/// All records.
fn filter() -> RecordFilter {
    RecordFilter::default()
}

// G11, C1, C3, F5
#[test]
fn a_turn_of_the_killed_run_that_commits_late_is_refused_and_hits_no_newer_turn() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let killed = first_run(&stage, &clock).await;
        let stage = stage.reopened().await;
        let supervisor = stage.builder().clock(clock.clone()).start().await.unwrap();
        let session = supervisor.open(&key("input")).await.unwrap();
        let turn = session.begin(&user("new"), ()).await.unwrap();
        let ids: Vec<_> = killed.sessions.iter().map(|session| session.id().clone()).collect();
        let before = content(&*stage.behind, &ids, &[key("input"), key("deleted")]).await;
        for (n, late) in killed.turns.into_iter().enumerate() {
            match (n % 2, late.session() == killed.sessions[5].id()) {
                (_, true) => {
                    let outcome = late.commit(&reply("late")).await.unwrap();
                    assert!(matches!(outcome, CommitOutcome::Stale { .. }), "{outcome:?}");
                }
                (0, false) => {
                    let error = late.commit(&reply("late")).await.unwrap_err();
                    let CommitError::Store { source, .. } = error else { panic!("{error:?}") };
                    let refused = matches!(source, StoreError::Fenced { .. } | StoreError::Closed);
                    assert!(refused, "{source}");
                }
                _ => drop(late),
            }
        }
        let after = content(&*stage.behind, &ids, &[key("input"), key("deleted")]).await;
        assert_eq!(before, after);
        assert!(session.status().is_busy());
        assert!(turn.emit("still here").is_ok());
        let life = turn.stream().incarnation();
        let settled = stage.behind.turn(session.id(), life, Generation::new(2)).await.unwrap();
        assert_eq!(settled.unwrap().outcome, TurnOutcome::Interrupted);
    });
}

// G2, G3: what was acknowledged is there, what was not is there at most once.
#[test]
fn a_kill_around_a_write_leaves_it_whole_or_not_at_all() {
    for (call, stored) in [
        (StoreCall::Begin, false),
        (StoreCall::Begin, true),
        (StoreCall::Commit, false),
        (StoreCall::Commit, true),
    ] {
        on(&[Kind::Memory, Kind::Pending], |stage| async move {
            let supervisor = stage.start().await;
            let session = supervisor.open(&key("#rust")).await.unwrap();
            let gate = Gate::new();
            let held = gate.clone();
            let fault = if stored { Fault::HeldAfter(held) } else { Fault::HeldBefore(held) };
            stage.faults.fail_next_of(call, fault);
            let works = session.clone();
            let mut work = Box::pin(async move {
                let turn = works.begin(&user("hello"), ()).await.unwrap();
                turn.commit(&reply("hi")).await.unwrap()
            });
            while gate.reached() == 0 {
                assert!(poll_once(&mut work).is_pending());
                tokio::task::yield_now().await;
            }
            let stage = stage.reopened().await;
            let second = stage.start().await;
            let transcript = transcript(&second.open(&key("#rust")).await.unwrap()).await;
            let told = |text: &str, mark| (text.to_owned(), mark);
            let expected = match (call, stored) {
                (StoreCall::Begin, false) => vec![],
                (StoreCall::Begin, true) | (StoreCall::Commit, false) => {
                    vec![told("hello", EntryMark::Unanswered)]
                }
                _ => vec![told("hello", EntryMark::Kept), told("hi", EntryMark::Kept)],
            };
            assert_eq!(transcript, expected, "{call:?} {stored}");
            let settled = usize::from(expected.len() == 1);
            assert_eq!(second.recovery().settled.len(), settled);
            assert_clean(&second).await;
            Box::leak(Box::new((work, supervisor)));
        });
    }
}

// H9
#[test]
fn nothing_can_begin_before_the_start_has_settled_everything() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let killed = first_run(&stage, &clock).await;
        let stage = stage.reopened().await;
        let gate = Gate::new();
        stage.faults.fail_nth_of(StoreCall::Settle, 3, Fault::HeldBefore(gate.clone()));
        let mut start = Box::pin(stage.builder().start());
        while gate.reached() == 0 {
            assert!(poll_once(&mut start).is_pending());
            tokio::task::yield_now().await;
        }
        still_pending(&mut start, "the start").await;
        assert_eq!(stage.faults.calls_of(StoreCall::Settle), 3);
        gate.open();
        let supervisor = start.await.unwrap();
        assert_eq!(supervisor.recovery().settled.len(), killed.lost.len());
        assert_eq!(stage.faults.calls_of(StoreCall::Begin), 0);
        Box::leak(Box::new(killed.turns));
    });
}

// G9, G12
#[test]
fn a_start_that_the_store_fails_says_so_and_the_next_one_settles_the_rest() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let killed = first_run(&stage, &clock).await;
        let stage = stage.reopened().await;
        stage.faults.fail_nth_of(StoreCall::Settle, 3, Fault::Unavailable);
        let error = stage.builder().start().await.unwrap_err();
        assert!(matches!(error, StartError::Store(StoreError::Unavailable { .. })), "{error:?}");
        stage.faults.fail_next_of(StoreCall::List, Fault::Unavailable);
        assert!(stage.builder().start().await.is_err());
        let supervisor = stage.start().await;
        let settled = supervisor.recovery().settled.len();
        assert_eq!(settled, killed.lost.len() - 2);
        assert_eq!(stage.start().await.recovery().settled, []);
        Box::leak(Box::new(killed.turns));
    });
}

// G10: nobody knows whether it was settled; the next start does, once.
#[test]
fn a_settling_whose_outcome_is_not_known_is_settled_once() {
    for fault in [Fault::UnknownAndLost, Fault::UnknownButApplied] {
        everywhere(|stage| {
            let fault = fault.clone();
            async move {
                let clock = ManualClock::new();
                let killed = first_run(&stage, &clock).await;
                let stage = stage.reopened().await;
                stage.faults.fail_next_of(StoreCall::Settle, fault);
                let error = stage.builder().start().await.unwrap_err();
                let StartError::Store(StoreError::OutcomeUnknown { .. }) = error else {
                    panic!("{error:?}")
                };
                let supervisor = stage.start().await;
                for lost in &killed.lost {
                    let (life, turn) = (lost.stream.incarnation(), lost.stream.generation());
                    let record = stage.behind.turn(&lost.session, life, turn).await.unwrap();
                    assert_eq!(record.unwrap().outcome, TurnOutcome::Interrupted);
                }
                assert_clean(&supervisor).await;
                Box::leak(Box::new(killed.turns));
            }
        });
    }
}

// G8, K5: more sessions than are looked at together, with others in between.
#[test]
fn a_start_settles_as_many_as_there_are() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let begins: Vec<_> = (0..700)
            .map(|n| {
                let supervisor = supervisor.clone();
                tokio::spawn(async move {
                    let session = supervisor.open(&key(&format!("{n}"))).await.unwrap();
                    if n % 10 == 3 {
                        None
                    } else {
                        Some(session.begin(TurnInput::none(), ()).await.unwrap())
                    }
                })
            })
            .collect();
        let mut turns = Vec::new();
        for begin in begins {
            turns.extend(begin.await.unwrap());
        }
        let streams: BTreeSet<_> = turns.iter().map(Turn::stream).collect();
        drop(supervisor);
        let stage = stage.reopened().await;
        let supervisor = stage.start().await;
        let settled: Vec<_> =
            supervisor.recovery().settled.iter().map(|turn| turn.stream).collect();
        assert_eq!(settled.len(), 630);
        assert_eq!(settled.into_iter().collect::<BTreeSet<_>>(), streams);
        assert_eq!(supervisor.loaded(), 0);
        Box::leak(Box::new(turns));
    });
}

// G10, G11: a session that is loaded again after its store had failed settles its own turn.
#[test]
fn a_turn_that_was_lost_with_its_loaded_state_is_settled_when_the_session_is_loaded_again() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let turn = session.begin(&user("hello"), ()).await.unwrap();
        stage.faults.fail_next_of(StoreCall::Commit, Fault::Unavailable);
        assert!(turn.commit(&reply("hi")).await.is_err());
        let again = session.begin(&user("again"), ()).await.unwrap();
        let committed = again.commit(&reply("yes")).await.unwrap();
        assert!(matches!(committed, CommitOutcome::Committed { .. }));
        let expected = [
            ("hello".to_owned(), EntryMark::Unanswered),
            ("again".to_owned(), EntryMark::Kept),
            ("yes".to_owned(), EntryMark::Kept),
        ];
        assert_eq!(transcript(&session).await, expected);
        assert_clean(&supervisor).await;
    });
}

// G9: told by name, left as it is, and the others are settled.
#[test]
fn a_damaged_row_is_told_and_the_rest_is_settled() {
    stage::runtime(1).block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let open = async || SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
        let store = open().await;
        let supervisor: Supervisor =
            Supervisor::builder().store(store.clone()).start().await.unwrap();
        let mut turns = Vec::new();
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            let session = supervisor.open(&key(name)).await.unwrap();
            turns.push(session.begin(&user("lost"), ()).await.unwrap());
            ids.push(session.id().clone());
        }
        store.close().await.unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        let damage = format!("UPDATE sessions SET created_at = 7 WHERE id = '{}'", ids[1]);
        assert_eq!(connection.execute(&damage, []).unwrap(), 1);
        drop(connection);

        let supervisor: Supervisor =
            Supervisor::builder().store(open().await).start().await.unwrap();
        let settled: Vec<_> =
            supervisor.recovery().settled.iter().map(|turn| turn.session.clone()).collect();
        assert_eq!(settled, [ids[0].clone(), ids[2].clone()]);
        let [told] = &supervisor.recovery().damaged[..] else {
            panic!("{:?}", supervisor.recovery())
        };
        let life = turns[1].stream().incarnation().get().to_string();
        assert!(told.contains("sessions") && told.contains(&life), "{told}");
        let error = supervisor.look_up(&ids[1]).await.unwrap_err();
        assert!(matches!(error.source, StoreError::Damaged { .. }), "{error:?}");
        let error = supervisor.open(&key("b")).await.unwrap_err();
        assert!(error.to_string().contains("irc/chat=b"), "{error}");
        assert_eq!(supervisor.check_store().await.unwrap().len(), 1);
        let a = supervisor.open(&key("a")).await.unwrap();
        let turn = a.begin(&user("again"), ()).await.unwrap();
        assert!(matches!(turn.commit(&reply("yes")).await, Ok(CommitOutcome::Committed { .. })));
        Box::leak(Box::new(turns));
    });
}

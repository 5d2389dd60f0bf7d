//! A delete sticks: it waits for no turn, it happens once, and nothing that ends later can write.
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

use std::task::Poll;
use std::time::Duration;

use session_supervisor::testing::{Fault, FaultyStore, Gate, StoreCall, drop_at_every_await};
use session_supervisor::{
    BeginError, BusyPolicy, CancelReason, CommitError, CommitOutcome, CreateError, DeleteOutcome,
    Event, FailedInput, Lookup, OpenError, Parallel, RunError, Session, SessionError, StoreError,
    Supervisor, Turn, TurnOutcome,
};
use stage::{
    Kind, Stage, assert_clean, content, everywhere, key, on, poll_once, reply, still_pending, user,
};

/// Every policy.
const POLICIES: [BusyPolicy; 4] = [
    BusyPolicy::Reject,
    BusyPolicy::queue(),
    BusyPolicy::interrupt(),
    BusyPolicy::Parallel(Parallel::FirstCommit),
];

/// A session with a finished turn and a datum.
async fn conversation(supervisor: &Supervisor) -> Session {
    let session = supervisor.open(&key("#rust")).await.unwrap();
    let turn = session.begin(&user("hello"), ()).await.unwrap();
    let committed = turn.commit(&reply("hi")).await.unwrap();
    assert!(matches!(committed, CommitOutcome::Committed { seq: 2, .. }));
    session.insert("mood", &"good").await.unwrap();
    session
}

/// What is left of the conversation: nothing but its tombstone.
async fn assert_only_a_tombstone(stage: &Stage, supervisor: &Supervisor, session: &Session) {
    let left = content(&*stage.behind, &[session.id().clone()], &[key("#rust")]).await;
    let [found, bound] = left.as_slice() else { panic!("{left:?}") };
    assert!(found.contains("Gone(Tombstone"), "{found}");
    assert!(bound.ends_with("None"), "{bound}");
    let looked_up = supervisor.look_up(session.id()).await.unwrap();
    assert!(matches!(looked_up, Lookup::Gone(_)), "{looked_up:?}");
    assert!(session.transcript().await.is_err());
    assert_clean(supervisor).await;
}

// E1, D5, C3, C5
#[test]
fn a_delete_does_not_wait_for_the_turn_that_runs() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = conversation(&supervisor).await;
        let turn = session.begin(&user("tell me everything"), ()).await.unwrap();
        let mut reader = turn.subscribe();
        turn.emit("well").unwrap();
        let token = turn.token();

        let deleted = session.delete().await.unwrap();
        let DeleteOutcome::Deleted(tombstone) = deleted else { panic!("{deleted:?}") };
        assert_eq!(tombstone.incarnation, turn.stream().incarnation());

        assert!(token.is_cancelled());
        assert_eq!(turn.cancelled().await, CancelReason::Deleted);
        assert_eq!(turn.emit("so").unwrap_err().reason, CancelReason::Deleted);
        assert!(matches!(reader.next().await, Some(Event::Chunk { seq: 1, .. })));
        let ended = Event::Ended(TurnOutcome::Cancelled(CancelReason::Deleted));
        assert_eq!(reader.next().await, Some(ended));
        assert_eq!(reader.next().await, None);
        // The holder still runs, and is seen.
        assert_eq!(session.status().fenced, 1);
        let answer = reply("everything");
        let stale = turn.commit(&answer).await.unwrap();
        assert_eq!(stale, CommitOutcome::Stale { reason: CancelReason::Deleted });
        assert_eq!(session.status().fenced, 0);
        assert_only_a_tombstone(&stage, &supervisor, &session).await;
    });
}

// E1, D6
#[test]
fn a_delete_does_not_wait_for_work_that_ignores_it() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = conversation(&supervisor).await;
        let never = Gate::new();
        let waits = never.clone();
        let work = move |turn: Turn| async move {
            waits.wait().await;
            turn.commit(&reply("late")).await.unwrap()
        };
        let running = session.run(&user("go"), (), work).await.unwrap();
        never.wait_until_reached().await;
        assert!(matches!(session.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
        let stream = running.stream();
        let aborted = RunError::Aborted { stream, reason: CancelReason::Deleted };
        assert_eq!(running.await.unwrap_err(), aborted);
        never.open();
        assert_only_a_tombstone(&stage, &supervisor, &session).await;
        assert!(supervisor.shutdown(Duration::from_secs(5)).await.unwrap().clean);
    });
}

/// After a delete was dropped: it is whole or never was, and the next one finishes.
async fn whole_or_never(
    supervisor: &Supervisor,
    session: &Session,
    turn: Option<Turn>,
    output: Option<Result<DeleteOutcome, session_supervisor::DeleteError>>,
) {
    assert_clean(supervisor).await;
    // Waits for what was handed over.
    let found = supervisor.look_up(session.id()).await.unwrap();
    assert!(!session.status().closing, "a zombie: {:?}", session.status());
    match found {
        Lookup::Live(found) => {
            assert!(output.is_none());
            let policy = BusyPolicy::Parallel(Parallel::FirstCommit);
            let turn = found.begin(&user("still there?"), policy).await.unwrap();
            assert!(matches!(
                turn.commit(&reply("yes")).await,
                Ok(CommitOutcome::Committed { .. })
            ));
            assert!(matches!(found.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
        }
        Lookup::Gone(tombstone) => {
            let again = supervisor.delete(session.id()).await.unwrap();
            assert_eq!(again, DeleteOutcome::AlreadyGone(tombstone));
        }
        Lookup::Unknown => panic!("neither live nor gone"),
    }
    if let Some(turn) = turn {
        let late = turn.commit(&reply("late")).await.unwrap();
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Deleted });
    }
    assert!(matches!(supervisor.look_up(session.id()).await.unwrap(), Lookup::Gone(_)));
    assert_clean(supervisor).await;
}

// E2, M3
#[test]
fn a_delete_that_is_dropped_at_any_await_is_whole_or_never_was() {
    for kind in Kind::ALL {
        for threads in [1, 2] {
            let dropped = stage::runtime(threads).block_on(drop_at_every_await(
                async || {
                    let stage = Stage::new(kind).await;
                    let supervisor = stage.start().await;
                    let session = conversation(&supervisor).await;
                    let turn = session.begin(&user("go"), ()).await.unwrap();
                    let deletes = session.clone();
                    ((stage, supervisor, session, turn), async move { deletes.delete().await })
                },
                async |(_stage, supervisor, session, turn), output| {
                    whole_or_never(&supervisor, &session, Some(turn), output).await;
                },
            ));
            assert_eq!(dropped > 0, kind != Kind::Memory, "{kind:?}: {dropped}");
        }
    }
}

// E2, M3
#[test]
fn a_delete_of_a_session_that_is_not_loaded_is_whole_or_never_was() {
    for kind in Kind::ALL {
        let dropped = stage::runtime(1).block_on(drop_at_every_await(
            async || {
                let stage = Stage::new(kind).await;
                let session = conversation(&stage.start().await).await;
                let id = session.id().clone();
                drop(session);
                let stage = stage.reopened().await;
                let supervisor = stage.start().await;
                assert_eq!(supervisor.loaded(), 0);
                let deletes = supervisor.clone();
                ((stage, supervisor, id.clone()), async move { deletes.delete(&id).await })
            },
            async |(_stage, supervisor, id), output| {
                assert_clean(&supervisor).await;
                let found = supervisor.look_up(&id).await.unwrap();
                let session = match (found, &output) {
                    (Lookup::Live(session), None) => session,
                    (Lookup::Gone(_), _) => return assert_clean(&supervisor).await,
                    other => panic!("{other:?}"),
                };
                whole_or_never(&supervisor, &session, None, output).await;
            },
        ));
        // The disk may answer within a poll, so no more is certain.
        assert_eq!(dropped > 0, kind != Kind::Memory, "{kind:?}: {dropped}");
    }
}

// E3, B5, B13, E13, L2
#[test]
fn nothing_is_admitted_once_a_session_closes_and_who_waited_is_told() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = conversation(&supervisor).await;
        let turn = session.begin(&user("go"), ()).await.unwrap();
        let mut waiting: Vec<_> = (0..5)
            .map(|n| {
                let session = session.clone();
                let input = user(&format!("queued {n}"));
                Box::pin(async move { session.begin(&input, BusyPolicy::queue()).await })
            })
            .collect();
        for begin in &mut waiting {
            assert!(poll_once(begin).is_pending());
        }
        assert_eq!(session.status().queued, 5);

        let gate = Gate::new();
        stage.faults.fail_next_of(StoreCall::Delete, Fault::HeldBefore(gate.clone()));
        let deletes = session.clone();
        let mut delete = Box::pin(async move { deletes.delete().await });
        assert!(poll_once(&mut delete).is_pending());
        gate.wait_until_reached().await;
        let writes = stage.faults.writes();

        assert!(session.status().closing);
        for begin in waiting {
            let error = begin.await.unwrap_err();
            assert!(
                matches!(&error, BeginError::Closing { id, .. } if id == session.id()),
                "{error}"
            );
        }
        let counts = supervisor.counts();
        assert_eq!((counts.begins_queued, counts.begins_dequeued), (5, 5));
        for policy in POLICIES {
            let error = session.begin(&user("in"), policy).await.unwrap_err();
            assert!(matches!(error, BeginError::Closing { .. }), "{error}");
        }
        for refused in [
            session.append(&[reply("x")]).await.map(|_| ()),
            session.insert("late", &1).await.map(|_| ()),
            session.remove("mood").await.map(|_| ()),
            session.set_label(Some("x")).await,
        ] {
            assert!(matches!(refused, Err(SessionError::Closing { .. })), "{refused:?}");
        }
        assert_eq!(session.stop(), session_supervisor::CancelOutcome::NotRunning);
        let late = turn.commit(&reply("late")).await.unwrap();
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Deleted });
        assert_eq!(stage.faults.writes(), writes, "something was written while it closed");

        gate.open();
        assert!(matches!(delete.await.unwrap(), DeleteOutcome::Deleted(_)));
        for policy in POLICIES {
            let error = session.begin(&user("in"), policy).await.unwrap_err();
            assert!(matches!(error, BeginError::Gone { .. }), "{error}");
        }
        let gone = session.insert("late", &1).await.unwrap_err();
        assert!(matches!(gone, SessionError::Gone { .. }), "{gone}");
        assert_only_a_tombstone(&stage, &supervisor, &session).await;
    });
}

// E4
#[test]
fn of_64_deleters_exactly_one_has_deleted() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = conversation(&supervisor).await;
        let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(64));
        let deleters: Vec<_> = (0..64)
            .map(|n| {
                let (supervisor, session) = (supervisor.clone(), session.clone());
                let barrier = barrier.clone();
                tokio::spawn(async move {
                    barrier.wait().await;
                    if n % 2 == 0 {
                        session.delete().await.unwrap()
                    } else {
                        supervisor.delete(session.id()).await.unwrap()
                    }
                })
            })
            .collect();
        let (mut deleted, mut gone) = (Vec::new(), Vec::new());
        for deleter in deleters {
            match deleter.await.unwrap() {
                DeleteOutcome::Deleted(tombstone) => deleted.push(tombstone),
                DeleteOutcome::AlreadyGone(tombstone) => gone.push(tombstone),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((deleted.len(), gone.len()), (1, 63));
        assert!(gone.iter().all(|tombstone| deleted.contains(tombstone)));
        assert_eq!(supervisor.counts().deleted, 1);
        assert_eq!(stage.faults.calls_of(StoreCall::Delete), 1);
        assert_only_a_tombstone(&stage, &supervisor, &session).await;
    });
}

// A5
#[test]
fn deleting_what_never_was_is_told_apart_from_what_is_gone() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let nobody = stage::id("nobody");
        assert_eq!(supervisor.delete(&nobody).await.unwrap(), DeleteOutcome::Unknown);
        let session = conversation(&supervisor).await;
        let deleted = supervisor.delete(session.id()).await.unwrap();
        let DeleteOutcome::Deleted(tombstone) = deleted else { panic!("{deleted:?}") };
        let again = DeleteOutcome::AlreadyGone(tombstone);
        assert_eq!(supervisor.delete(session.id()).await.unwrap(), again);
        assert_eq!(session.delete().await.unwrap(), again);
        assert_eq!(stage.faults.calls_of(StoreCall::Delete), 1);
    });
}

/// Everything that a late worker might try, by the handles that it still has.
async fn try_everything(supervisor: &Supervisor, session: &Session) {
    for policy in POLICIES {
        assert!(session.begin(&user("late"), policy).await.is_err());
    }
    assert!(session.append(&[reply("late")]).await.is_err());
    assert!(session.insert("late", &1).await.is_err());
    assert!(session.set_label(Some("late")).await.is_err());
    assert!(supervisor.open_id(session.id()).await.is_err());
}

/// Where a turn stands when its session is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    BeginNotStored,
    BeginNotAnswered,
    Running,
    Emitting,
    Cancelling,
    CommitNotStored,
    CommitNotAnswered,
    FailNotStored,
    DropNotStored,
}

impl At {
    const ALL: [Self; 9] = [
        Self::BeginNotStored,
        Self::BeginNotAnswered,
        Self::Running,
        Self::Emitting,
        Self::Cancelling,
        Self::CommitNotStored,
        Self::CommitNotAnswered,
        Self::FailNotStored,
        Self::DropNotStored,
    ];

    /// What holds it there.
    fn fault(self, gate: &Gate) -> Option<(StoreCall, Fault)> {
        let gate = gate.clone();
        Some(match self {
            Self::BeginNotStored => (StoreCall::Begin, Fault::HeldBefore(gate)),
            Self::BeginNotAnswered => (StoreCall::Begin, Fault::HeldAfter(gate)),
            Self::CommitNotStored => (StoreCall::Commit, Fault::HeldBefore(gate)),
            Self::CommitNotAnswered => (StoreCall::Commit, Fault::HeldAfter(gate)),
            Self::FailNotStored | Self::DropNotStored => {
                (StoreCall::Settle, Fault::HeldBefore(gate))
            }
            Self::Running | Self::Emitting | Self::Cancelling => return None,
        })
    }
}

// E5, F14, C1, C11
#[test]
fn a_worker_that_ends_after_the_delete_writes_nothing_whatever_it_was_doing() {
    for at in At::ALL {
        println!("{at:?}");
        everywhere(|stage| async move {
            let supervisor = stage.start().await;
            let session = conversation(&supervisor).await;
            let gate = Gate::new();
            if let Some((call, fault)) = at.fault(&gate) {
                stage.faults.fail_next_of(call, fault);
            }
            let begins = session.clone();
            let mut begin = Box::pin(async move { begins.begin(&user("go"), ()).await });
            let mut late = None;
            let mut ending = None;
            let mut reader = None;
            if matches!(at, At::BeginNotStored | At::BeginNotAnswered) {
                assert!(poll_once(&mut begin).is_pending());
                gate.wait_until_reached().await;
            } else {
                let turn = begin.as_mut().await.unwrap();
                reader = Some(turn.subscribe());
                match at {
                    At::Emitting => drop(turn.emit("well").unwrap()),
                    At::Cancelling => drop(session.cancel(turn.stream())),
                    _ => {}
                }
                match at {
                    At::CommitNotStored | At::CommitNotAnswered => {
                        ending = Some(tokio::spawn(async move {
                            turn.commit(&reply("done")).await.unwrap()
                        }));
                    }
                    At::FailNotStored => {
                        ending = Some(tokio::spawn(async move {
                            assert_eq!(turn.fail(FailedInput::Drop).await.unwrap(), None);
                            CommitOutcome::Stale { reason: CancelReason::Stopped }
                        }));
                    }
                    At::DropNotStored => drop(turn),
                    _ => late = Some(turn),
                }
                if at.fault(&gate).is_some() {
                    gate.wait_until_reached().await;
                }
            }

            let deletes = session.clone();
            let mut delete = Box::pin(async move { deletes.delete().await });
            if let Poll::Ready(deleted) = poll_once(&mut delete) {
                assert!(matches!(deleted.unwrap(), DeleteOutcome::Deleted(_)));
            }
            if at.fault(&gate).is_some() {
                gate.open();
            }
            drop(delete);
            let found = supervisor.look_up(session.id()).await.unwrap();
            assert!(matches!(found, Lookup::Gone(_)), "{found:?}");

            let ids = [session.id().clone()];
            let before = content(&*stage.behind, &ids, &[key("#rust")]).await;
            let calls = stage.faults.writes();
            if matches!(at, At::BeginNotStored | At::BeginNotAnswered) {
                let error = begin.await.unwrap_err();
                let told = matches!(error, BeginError::Closing { .. } | BeginError::Gone { .. });
                assert!(told, "{error}");
            }
            if let Some(ending) = ending {
                let outcome = ending.await.unwrap();
                let committed = matches!(outcome, CommitOutcome::Committed { .. });
                assert_eq!(committed, at != At::FailNotStored, "{outcome:?}");
            }
            if let Some(turn) = late {
                assert!(turn.emit("late").is_err());
                // Even if it had been told to stop before: it is the delete that it meets.
                let reason = CancelReason::Deleted;
                let outcome = turn.commit(&reply("late")).await.unwrap();
                assert_eq!(outcome, CommitOutcome::Stale { reason });
            }
            try_everything(&supervisor, &session).await;
            let after = content(&*stage.behind, &ids, &[key("#rust")]).await;
            assert_eq!(before, after);
            assert_eq!(stage.faults.writes(), calls, "a late worker reached the store");
            // One terminal event, and nothing after it.
            if let Some(mut reader) = reader {
                let mut ends = 0;
                while let Some(event) = reader.next().await {
                    ends += usize::from(matches!(event, Event::Ended(_)));
                }
                assert_eq!(ends, 1);
            }
            assert_eq!(supervisor.counts().deleted, 1);
            assert_only_a_tombstone(&stage, &supervisor, &session).await;
        });
    }
}

// E5
#[test]
fn a_turn_that_is_dropped_or_fails_after_the_delete_writes_nothing() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = conversation(&supervisor).await;
        let parallel = BusyPolicy::Parallel(Parallel::FirstCommit);
        let one = session.begin(&user("1"), parallel).await.unwrap();
        let two = session.begin(&user("2"), parallel).await.unwrap();
        session.delete().await.unwrap();
        assert_eq!(session.status().fenced, 2);
        let writes = stage.faults.writes();
        drop(one);
        assert_eq!(two.fail(FailedInput::Drop).await.unwrap(), Some(CancelReason::Deleted));
        assert_eq!(session.status().fenced, 0);
        assert_eq!(stage.faults.writes(), writes);
        assert_only_a_tombstone(&stage, &supervisor, &session).await;
    });
}

/// Every way in which a store fails a delete, and whether the delete is in the store all the same.
fn faults() -> [(Fault, bool); 5] {
    let what = "session s".to_owned();
    [
        (Fault::Unavailable, false),
        (Fault::Full, false),
        (Fault::Refused(StoreError::Damaged { what }), false),
        (Fault::UnknownAndLost, false),
        (Fault::UnknownButApplied, true),
    ]
}

// E6, E7, C6, G12
#[test]
fn a_delete_that_the_store_fails_leaves_the_session_closed_and_the_next_one_finishes_it() {
    for (fault, applied) in faults() {
        println!("{fault:?}");
        everywhere(|stage| {
            let fault = fault.clone();
            async move {
                let supervisor = stage.start().await;
                let session = conversation(&supervisor).await;
                let turn = session.begin(&user("go"), ()).await.unwrap();
                stage.faults.fail_next_of(StoreCall::Delete, fault);

                let error = session.delete().await.unwrap_err();
                assert_eq!(&error.id, session.id());
                assert!(std::error::Error::source(&error).is_some());
                assert_eq!(
                    matches!(error.source, StoreError::OutcomeUnknown { .. }),
                    error.source.to_string().contains("not known"),
                );
                assert!(session.status().closing);
                assert!(session.status().turns.is_empty());
                let late = turn.commit(&reply("late")).await.unwrap();
                assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Deleted });
                for policy in POLICIES {
                    let refused = session.begin(&user("in"), policy).await.unwrap_err();
                    assert!(matches!(refused, BeginError::Closing { .. }), "{refused}");
                }
                let refused = session.insert("late", &1).await.unwrap_err();
                assert!(matches!(refused, SessionError::Closing { .. }), "{refused}");
                // Neither live nor gone, and who looks is told why instead of being kept waiting.
                let looked = supervisor.look_up(session.id()).await.unwrap_err();
                assert_eq!(looked.source.to_string(), error.source.to_string());
                let opened = supervisor.open(&key("#rust")).await.unwrap_err();
                let told = matches!(opened, OpenError::Store { .. } | OpenError::Damaged { .. });
                assert!(told, "{opened}");
                let opened = supervisor.open_id(session.id()).await.unwrap_err();
                assert!(matches!(opened, CreateError::Store { .. }), "{opened}");
                assert_clean(&supervisor).await;
                assert_eq!(supervisor.counts().deleted, 0);
                let found = stage.behind.look_up(session.id(), supervisor.now()).await.unwrap();
                let gone = matches!(found, session_supervisor::store::Found::Gone(_));
                assert_eq!(gone, applied);

                // By its id, too: it is found although it is neither live nor gone.
                let finished = supervisor.delete(session.id()).await.unwrap();
                assert!(matches!(finished, DeleteOutcome::Deleted(_)), "{finished:?}");
                assert_eq!(supervisor.counts().deleted, 1);
                assert_only_a_tombstone(&stage, &supervisor, &session).await;
                let fresh = supervisor.open(&key("#rust")).await.unwrap();
                assert_ne!(fresh.id(), session.id());
            }
        });
    }
}

// E6, E7
#[test]
fn a_write_ahead_of_the_delete_that_fails_fails_the_delete_and_the_next_one_finishes() {
    everywhere(|stage| async move {
        // One store holds the begin back, the one behind it fails it.
        let holds = FaultyStore::new(std::sync::Arc::new(stage.faults.clone()));
        let supervisor: Supervisor =
            Supervisor::builder().store(holds.clone()).start().await.unwrap();
        let session = conversation(&supervisor).await;
        let gate = Gate::new();
        holds.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        stage.faults.fail_next_of(StoreCall::Begin, Fault::Unavailable);
        let begins = session.clone();
        let mut begin = Box::pin(async move { begins.begin(&user("go"), ()).await });
        assert!(poll_once(&mut begin).is_pending());
        gate.wait_until_reached().await;
        let deletes = session.clone();
        let mut delete = Box::pin(async move { deletes.delete().await });
        assert!(poll_once(&mut delete).is_pending());
        gate.open();
        let error = delete.await.unwrap_err();
        assert!(matches!(error.source, StoreError::Unavailable { .. }), "{error:?}");
        assert!(begin.await.is_err());
        assert!(session.status().closing);
        assert_clean(&supervisor).await;
        assert!(matches!(session.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
        assert_only_a_tombstone(&stage, &supervisor, &session).await;
    });
}

// E7
#[test]
fn a_store_that_cannot_be_asked_is_not_taken_for_one_that_has_nothing() {
    everywhere(|stage| async move {
        let session = conversation(&stage.start().await).await;
        let id = session.id().clone();
        drop(session);
        let stage = stage.reopened().await;
        let supervisor = stage.start().await;
        stage.faults.fail_next_of(StoreCall::LookUp, Fault::Unavailable);
        let error = supervisor.delete(&id).await.unwrap_err();
        assert!(matches!(error.source, StoreError::Unavailable { .. }), "{error:?}");
        stage.faults.fail_next_of(StoreCall::LookUp, Fault::Unavailable);
        assert!(supervisor.look_up(&id).await.is_err());
        assert!(matches!(supervisor.delete(&id).await.unwrap(), DeleteOutcome::Deleted(_)));
        assert_clean(&supervisor).await;
    });
}

// E6
#[test]
fn all_deleters_of_a_store_that_fails_are_told_and_of_the_next_ones_one_deletes() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = conversation(&supervisor).await;
        stage.faults.fail_every_of(StoreCall::Delete, Fault::Unavailable);
        let all = |session: &Session| {
            let deleters: Vec<_> = (0..64)
                .map(|_| {
                    let session = session.clone();
                    tokio::spawn(async move { session.delete().await })
                })
                .collect();
            deleters
        };
        for deleter in all(&session) {
            assert!(deleter.await.unwrap().is_err());
        }
        assert!(session.status().closing);
        stage.faults.heal();
        let mut deleted = 0;
        for deleter in all(&session) {
            match deleter.await.unwrap().unwrap() {
                DeleteOutcome::Deleted(_) => deleted += 1,
                DeleteOutcome::AlreadyGone(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(deleted, 1);
        assert_only_a_tombstone(&stage, &supervisor, &session).await;
    });
}

// E6, A5: whoever is told "gone" is told of something that no crash takes back.
#[test]
fn nobody_is_told_of_a_delete_before_the_store_has_it() {
    for after in [false, true] {
        everywhere(|stage| async move {
            let supervisor = stage.start().await;
            let session = conversation(&supervisor).await;
            let gate = Gate::new();
            let held = gate.clone();
            let fault = if after { Fault::HeldAfter(held) } else { Fault::HeldBefore(held) };
            stage.faults.fail_next_of(StoreCall::Delete, fault);

            let (one, two, id) = (session.clone(), supervisor.clone(), session.id().clone());
            let mut delete = Box::pin(async move { one.delete().await });
            assert!(poll_once(&mut delete).is_pending());
            gate.wait_until_reached().await;
            let of = id.clone();
            let mut second = Box::pin(async move { two.delete(&of).await });
            let (three, of) = (supervisor.clone(), id.clone());
            let mut look_up = Box::pin(async move { three.look_up(&of).await });
            let (four, of) = (supervisor.clone(), id.clone());
            let mut open_id = Box::pin(async move { four.open_id(&of).await });
            let five = supervisor.clone();
            let mut open = Box::pin(async move { five.open(&key("#rust")).await });
            let six = supervisor.clone();
            let mut reset = Box::pin(async move {
                six.reset(&key("#rust"), session_supervisor::NewSession::new()).await
            });
            still_pending(&mut delete, "the delete").await;
            still_pending(&mut second, "a second delete").await;
            still_pending(&mut look_up, "a look-up").await;
            still_pending(&mut open_id, "an open of the id").await;
            still_pending(&mut open, "an open of the key").await;
            still_pending(&mut reset, "a reset of the key").await;
            assert_eq!(supervisor.counts().deleted, 0);
            assert_eq!(supervisor.counts().gone_hits, 0);

            gate.open();
            let deleted = delete.await.unwrap();
            let DeleteOutcome::Deleted(tombstone) = deleted else { panic!("{deleted:?}") };
            assert_eq!(second.await.unwrap(), DeleteOutcome::AlreadyGone(tombstone));
            assert!(matches!(look_up.await.unwrap(), Lookup::Gone(it) if it == tombstone));
            let refused = open_id.await.unwrap_err();
            assert!(matches!(refused, CreateError::Gone { .. }), "{refused}");
            let fresh = open.await.unwrap();
            assert_ne!(fresh.id(), &id);
            let reset = reset.await.unwrap();
            assert_eq!(reset.previous.map(|previous| previous.id).as_ref(), Some(fresh.id()));
            assert_clean(&supervisor).await;
        });
    }
}

// E2, E6: the one who waits for another's delete may go away, too.
#[test]
fn a_look_up_that_waits_for_a_delete_and_is_dropped_changes_nothing() {
    on(&[Kind::Pending, Kind::Sqlite], |stage| async move {
        let supervisor = stage.start().await;
        let session = conversation(&supervisor).await;
        let gate = Gate::new();
        stage.faults.fail_next_of(StoreCall::Delete, Fault::HeldBefore(gate.clone()));
        let deletes = session.clone();
        let mut delete = Box::pin(async move { deletes.delete().await });
        assert!(poll_once(&mut delete).is_pending());
        gate.wait_until_reached().await;
        let (looks, of) = (supervisor.clone(), session.id().clone());
        let mut look_up = Box::pin(async move { looks.look_up(&of).await });
        still_pending(&mut look_up, "a look-up").await;
        drop(look_up);
        gate.open();
        assert!(matches!(delete.await.unwrap(), DeleteOutcome::Deleted(_)));
        assert_only_a_tombstone(&stage, &supervisor, &session).await;
    });
}

// E6
#[test]
fn a_delete_while_the_supervisor_shuts_down_is_waited_for() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = conversation(&supervisor).await;
        let gate = Gate::new();
        stage.faults.fail_next_of(StoreCall::Delete, Fault::HeldBefore(gate.clone()));
        let deletes = session.clone();
        let mut delete = Box::pin(async move { deletes.delete().await });
        assert!(poll_once(&mut delete).is_pending());
        gate.wait_until_reached().await;
        let ends = supervisor.clone();
        let mut shutdown = Box::pin(async move { ends.shutdown(Duration::from_secs(30)).await });
        still_pending(&mut shutdown, "the shutdown").await;
        gate.open();
        assert!(shutdown.await.unwrap().clean);
        assert!(matches!(delete.await.unwrap(), DeleteOutcome::Deleted(_)));
    });
}

// E5, C6: the store refuses a late write by itself, should the lock ever let one through.
#[test]
fn the_store_refuses_what_is_meant_for_a_life_that_is_over() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = conversation(&supervisor).await;
        let turn = session.begin(&user("go"), ()).await.unwrap();
        let record = session.record().await.unwrap();
        // Another supervisor, as after a kill, deletes it behind the back of the first.
        let tombstone = session_supervisor::Tombstone {
            incarnation: record.incarnation,
            reason: session_supervisor::GoneReason::Deleted,
            at: supervisor.now(),
            until: supervisor.now().plus(Duration::from_secs(60)),
        };
        let write = session_supervisor::store::Write::Delete { tombstone };
        stage.behind.write(session.id(), record.incarnation, write).await.unwrap();
        let error = turn.commit(&reply("late")).await.unwrap_err();
        let CommitError::Store { source, .. } = error else { panic!("{error:?}") };
        assert!(matches!(source, StoreError::Fenced { .. }), "{source}");
        assert_only_a_tombstone(&stage, &supervisor, &session).await;
        let again = session.delete().await.unwrap();
        assert_eq!(again, DeleteOutcome::AlreadyGone(tombstone));
    });
}

//! Turns that the store calls open and that nobody holds: cleared by whoever reads, and no other turn is
//! ever touched by it. Every race is forced both ways round with gates.
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

use session_supervisor::store::{Found, InputFate, PartialFate, TurnMarker, Write};
use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{
    BusyPolicy, CancelOutcome, CommitOutcome, EntryMark, Generation, InstanceId, Record,
    RecordFilter, Session, StreamId, Supervisor, Turn, TurnOutcome,
};
use stage::{Stage, assert_clean, everywhere, key, poll_once, reply, until, user};

/// The record as the store has it, with nothing cleared.
async fn stored(stage: &Stage, session: &Session) -> Record {
    let found = stage.behind.look_up(session.id(), session.created_at()).await.unwrap();
    let Found::Live(record) = found else { panic!("{found:?}") };
    record
}

/// How the store says that a turn ended.
async fn outcome(stage: &Stage, session: &Session, stream: StreamId) -> Option<TurnOutcome> {
    let turn = stage.behind.turn(session.id(), stream.incarnation(), stream.generation());
    turn.await.unwrap().map(|turn| turn.outcome)
}

/// The record in what was found.
fn live(found: Found) -> Record {
    let Found::Live(record) = found else { panic!("{found:?}") };
    record
}

/// A session whose store failed while a turn ran: it is left, and the store calls the turn open.
async fn left_open(stage: &Stage, supervisor: &Supervisor) -> (Session, Turn, StreamId) {
    let session = supervisor.open(&key("a")).await.unwrap();
    let turn = session.begin(&user("go on"), ()).await.unwrap();
    let stream = turn.stream();
    turn.emit("half a").unwrap();
    stage.faults.fail_next_of(StoreCall::Append, Fault::Unavailable);
    session.append(&[reply("a notice")]).await.unwrap_err();
    assert_eq!(stored(stage, &session).await.active_stream(), Some(stream));
    (session, turn, stream)
}

/// Opens a turn in the store, behind the back of the session.
async fn open_behind(stage: &Stage, session: &Session) -> StreamId {
    until("it is stored", || session.status().unwritten == 0).await;
    let record = stored(stage, session).await;
    let generation = Generation::new(record.generation.get() + 1);
    let at = record.last_active_at;
    let marker = TurnMarker { generation, instance: InstanceId::from_random(7), began_at: at };
    let write = Write::Begin { marker, input: None, extra: None, at };
    stage.behind.write(session.id(), record.incarnation, write).await.unwrap();
    StreamId::new(record.incarnation, generation)
}

/// The ways in which somebody reads metadata.
const READERS: [&str; 5] = ["session", "supervisor", "list", "clear", "old view"];

// G10, G11, C10
#[test]
fn whoever_reads_clears_what_nobody_holds_and_sees_it_fresh() {
    for reader in READERS {
        everywhere(move |stage| async move {
            let supervisor = stage.start().await;
            let (session, turn, stream) = left_open(&stage, &supervisor).await;
            let view = stored(&stage, &session).await;
            let active = view.last_active_at;
            let fresh = match reader {
                "session" => session.record().await.unwrap(),
                "supervisor" => live(supervisor.record(session.id()).await.unwrap()),
                "list" => {
                    let page = supervisor.list(RecordFilter::default(), None, 9).await.unwrap();
                    page.records.into_iter().next().unwrap()
                }
                "clear" => live(supervisor.clear_stale(&view).await.unwrap()),
                // Something else has been written since: a view that is old does no harm.
                _ => {
                    session.set_label(Some("newer")).await.unwrap();
                    let fresh = live(supervisor.clear_stale(&view).await.unwrap());
                    assert_eq!(fresh.label.as_deref(), Some("newer"));
                    fresh
                }
            };
            assert_eq!(fresh.active_stream(), None, "{reader}");
            assert_eq!(fresh, stored(&stage, &session).await);
            assert_eq!(outcome(&stage, &session, stream).await, Some(TurnOutcome::Interrupted));
            if reader != "old view" {
                assert_eq!(fresh.last_active_at, active, "clearing is no use");
                // The one that was left takes itself out.
                until("nothing is loaded for it", || supervisor.loaded() == 0).await;
            }
            let entries = session.transcript().await.unwrap();
            assert_eq!(entries[0].mark, EntryMark::Unanswered, "the input is kept");
            assert_eq!(entries.len(), 1);
            // The one who held it finds out.
            let late = turn.commit(&reply("late")).await.unwrap();
            assert!(matches!(late, CommitOutcome::Stale { .. }), "{late:?}");
            // Twice changes nothing.
            let again = live(supervisor.clear_stale(&view).await.unwrap());
            assert_eq!(again.generation, fresh.generation);
            assert_clean(&supervisor).await;
        });
    }
}

// G11. Exploring the schedules of a clear and a load showed it: where nothing was dead the caller got its own
// view back, however old that was, since only what was cleared was read again.
#[test]
fn whoever_asks_to_clear_what_still_runs_is_told_what_there_is_by_now() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("a")).await.unwrap();
        let turn = session.begin(&user("go on"), ()).await.unwrap();
        let view = stored(&stage, &session).await;
        session.set_label(Some("newer")).await.unwrap();
        let fresh = live(supervisor.clear_stale(&view).await.unwrap());
        assert_eq!(fresh.label.as_deref(), Some("newer"));
        assert_eq!(fresh.active_stream(), Some(turn.stream()), "it runs");
        let committed = turn.commit(&reply("done")).await.unwrap();
        assert!(matches!(committed, CommitOutcome::Committed { .. }), "{committed:?}");
        assert_clean(&supervisor).await;
    });
}

// G10, D8: nobody is judged dead by a clock.
#[test]
fn a_turn_that_runs_is_never_cleared_however_it_stands() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("a")).await.unwrap();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        let view = stored(&stage, &session).await;
        for _ in 0..3 {
            let fresh = live(supervisor.clear_stale(&view).await.unwrap());
            assert_eq!(fresh.active_stream(), Some(turn.stream()));
            assert_eq!(session.record().await.unwrap().open.len(), 1);
        }
        // Told to end, and not ended yet.
        assert!(matches!(session.cancel(turn.stream()), CancelOutcome::Cancelling { .. }));
        let fresh = live(supervisor.clear_stale(&view).await.unwrap());
        assert_eq!(fresh.active_stream(), Some(turn.stream()));
        drop(turn);
        assert_clean(&supervisor).await;
    });
}

// G10, G11: crash marker against admission, the first way round. The marker is in the store, and its
// turn's begin is not acknowledged yet.
#[test]
fn a_turn_that_is_just_being_admitted_is_not_taken_for_a_dead_one() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("a")).await.unwrap();
        let gate = Gate::new();
        stage.faults.fail_next_of(StoreCall::Begin, Fault::HeldAfter(gate.clone()));
        let beginner = session.clone();
        let begin = tokio::spawn(async move { beginner.begin(&user("one"), ()).await });
        gate.wait_until_reached().await;
        // Held after: the store has it.
        let view = loop {
            let view = stored(&stage, &session).await;
            if view.active_stream().is_some() {
                break view;
            }
            tokio::task::yield_now().await;
        };
        let fresh = live(supervisor.clear_stale(&view).await.unwrap());
        assert_eq!(fresh.active_stream(), view.active_stream());
        gate.open();
        let turn = begin.await.unwrap().unwrap();
        assert!(matches!(
            turn.commit(&reply("done")).await.unwrap(),
            CommitOutcome::Committed { .. }
        ));
        assert_clean(&supervisor).await;
    });
}

// G10, H9: crash marker against admission, the other way round. The marker of a dead turn is there, and a
// begin comes: it is settled ahead of the begin, once.
#[test]
fn a_begin_that_finds_a_dead_turn_settles_it_first() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let (session, dead, stream) = left_open(&stage, &supervisor).await;
        let view = stored(&stage, &session).await;
        let turn = session.begin(&user("two"), BusyPolicy::Reject).await.unwrap();
        assert_eq!(outcome(&stage, &session, stream).await, Some(TurnOutcome::Interrupted));
        let fresh = live(supervisor.clear_stale(&view).await.unwrap());
        assert_eq!(fresh.active_stream(), Some(turn.stream()), "the new one is not touched");
        drop(dead);
        assert!(matches!(
            turn.commit(&reply("done")).await.unwrap(),
            CommitOutcome::Committed { .. }
        ));
        assert_clean(&supervisor).await;
    });
}

// G11: clear against begin, the clear first: it holds the flight of the id while the store is slow, and
// the begin, which has to load the session, waits for it.
#[test]
fn a_begin_that_comes_during_a_clearing_waits_for_it() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let (session, _dead, stream) = left_open(&stage, &supervisor).await;
        let view = stored(&stage, &session).await;
        let gate = Gate::new();
        stage.faults.fail_next_of(StoreCall::Settle, Fault::HeldBefore(gate.clone()));
        let clearer = supervisor.clone();
        let clear = tokio::spawn(async move { clearer.clear_stale(&view).await });
        gate.wait_until_reached().await;
        let beginner = session.clone();
        let mut begin = Box::pin(async move { beginner.begin(&user("two"), ()).await });
        for _ in 0..20 {
            assert!(poll_once(&mut begin).is_pending(), "it did not wait");
            tokio::task::yield_now().await;
        }
        gate.open();
        assert_eq!(live(clear.await.unwrap().unwrap()).active_stream(), None);
        let turn = begin.await.unwrap();
        assert!(turn.stream() > stream);
        assert_eq!(outcome(&stage, &session, stream).await, Some(TurnOutcome::Interrupted));
        assert_eq!(session.status().turns.len(), 1);
        drop(turn);
        assert_clean(&supervisor).await;
    });
}

// G11: clear against begin, the begin first: between the clearer's look and its deed the session is
// loaded, the dead turn is settled and a new one runs.
#[test]
fn a_clearing_that_is_overtaken_by_a_begin_touches_nothing() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let (session, _dead, stream) = left_open(&stage, &supervisor).await;
        let view = stored(&stage, &session).await;
        // The clearer has looked, and everything else happens before it goes on.
        let mut clear = Box::pin({
            let (supervisor, view) = (supervisor.clone(), view.clone());
            async move { supervisor.clear_stale(&view).await }
        });
        let turn = session.begin(&user("two"), ()).await.unwrap();
        let settled = stage.faults.calls_of(StoreCall::Settle);
        let fresh = live(clear.as_mut().await.unwrap());
        assert_eq!(fresh.active_stream(), Some(turn.stream()));
        assert_eq!(stage.faults.calls_of(StoreCall::Settle), settled, "nothing was settled twice");
        assert_eq!(outcome(&stage, &session, stream).await, Some(TurnOutcome::Interrupted));
        assert!(matches!(
            turn.commit(&reply("done")).await.unwrap(),
            CommitOutcome::Committed { .. }
        ));
        assert_clean(&supervisor).await;
    });
}

// G11: clear against commit, both ways round.
#[test]
fn a_commit_and_a_clearing_cannot_both_end_a_turn() {
    // The commit is with the store, unanswered, when the clearer looks.
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("a")).await.unwrap();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        let stream = turn.stream();
        let view = stored(&stage, &session).await;
        let gate = Gate::new();
        stage.faults.fail_next_of(StoreCall::Commit, Fault::HeldBefore(gate.clone()));
        let commit = tokio::spawn(async move { turn.commit(&reply("done")).await });
        gate.wait_until_reached().await;
        let fresh = live(supervisor.clear_stale(&view).await.unwrap());
        assert_eq!(fresh.active_stream(), Some(stream), "it is about to end by itself");
        gate.open();
        assert!(matches!(commit.await.unwrap().unwrap(), CommitOutcome::Committed { .. }));
        assert_eq!(outcome(&stage, &session, stream).await, Some(TurnOutcome::Committed));
        assert_clean(&supervisor).await;
    });
    // The clearer comes first: the session is left, and the holder's commit is refused.
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let (session, turn, stream) = left_open(&stage, &supervisor).await;
        live(supervisor.record(session.id()).await.unwrap());
        let late = turn.commit(&reply("late")).await.unwrap();
        assert!(matches!(late, CommitOutcome::Stale { .. }), "{late:?}");
        assert_eq!(outcome(&stage, &session, stream).await, Some(TurnOutcome::Interrupted));
        assert_clean(&supervisor).await;
    });
}

// G10, L6: bookkeeping that failed. The session is loaded and uses a store in which somebody has opened a
// turn that the session knows nothing of.
#[test]
fn a_loaded_session_clears_what_its_state_does_not_know() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("a")).await.unwrap();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        assert!(matches!(
            turn.commit(&reply("done")).await.unwrap(),
            CommitOutcome::Committed { .. }
        ));
        let stream = open_behind(&stage, &session).await;
        assert_eq!(stored(&stage, &session).await.active_stream(), Some(stream));
        let fresh = live(supervisor.record(session.id()).await.unwrap());
        assert_eq!(fresh.active_stream(), None);
        assert_eq!(outcome(&stage, &session, stream).await, Some(TurnOutcome::Interrupted));
        assert_eq!(supervisor.counts().unloaded, 0, "the session goes on");
        assert_clean(&supervisor).await;
    });
}

// G12, B14: a store that can be read and not written, such as a full disk.
#[test]
fn what_cannot_be_cleared_can_be_read_all_the_same() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let (session, _dead, stream) = left_open(&stage, &supervisor).await;
        let view = stored(&stage, &session).await;
        stage.faults.fail_every_of(StoreCall::Settle, Fault::Full);
        let listed = supervisor.list(RecordFilter::default(), None, 9).await.unwrap().records;
        let told = live(supervisor.record(session.id()).await.unwrap());
        let own = session.record().await.unwrap();
        for record in listed.into_iter().chain([told, own]) {
            assert_eq!(record.active_stream(), Some(stream), "it is not cleared, and told so");
        }
        // Whoever asks for the clearing itself is told why it was not done.
        supervisor.clear_stale(&view).await.unwrap_err();
        stage.faults.heal();
        assert_eq!(session.record().await.unwrap().active_stream(), None);
        assert_clean(&supervisor).await;
    });
}

// C9, G11
#[test]
fn a_turn_that_nobody_holds_is_not_in_the_way_of_a_retry_or_a_rollback() {
    for retries in [true, false] {
        everywhere(move |stage| async move {
            let supervisor = stage.start().await;
            let session = supervisor.open(&key("a")).await.unwrap();
            let turn = session.begin(&user("one"), ()).await.unwrap();
            assert!(matches!(
                turn.commit(&reply("done")).await.unwrap(),
                CommitOutcome::Committed { .. }
            ));
            open_behind(&stage, &session).await;
            if retries {
                // The number of its turn was taken behind its back, which the store refuses, once.
                session.retry(1, ()).await.unwrap_err();
                drop(session.retry(1, ()).await.unwrap());
            } else {
                session.rollback(1, None).await.unwrap();
            }
            until("it is stored", || session.status().unwritten == 0).await;
            assert_eq!(stored(&stage, &session).await.active_stream(), None);
            assert_clean(&supervisor).await;
        });
    }
}

// G11: two clear at once, or the turn is cleared behind the session's back.
#[test]
fn clearing_what_is_cleared_already_changes_nothing() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let (session, _dead, stream) = left_open(&stage, &supervisor).await;
        let view = stored(&stage, &session).await;
        let clear = || {
            let (supervisor, view) = (supervisor.clone(), view.clone());
            tokio::spawn(async move { supervisor.clear_stale(&view).await })
        };
        for task in [clear(), clear(), clear()] {
            assert_eq!(live(task.await.unwrap().unwrap()).active_stream(), None);
        }
        // Settled behind its back: the clearing of a loaded session is refused by the store, and that
        // costs the session nothing.
        let (_, _dead, stream_2) = left_open(&stage, &supervisor).await;
        let record = stored(&stage, &session).await;
        let write = Write::Settle {
            generation: stream_2.generation(),
            outcome: TurnOutcome::Interrupted,
            input: InputFate::Keep,
            partial: PartialFate::Keep { last: None },
            next_seq: record.next_seq,
            version: record.version,
            at: record.last_active_at,
        };
        stage.behind.write(session.id(), record.incarnation, write).await.unwrap();
        let fresh = live(supervisor.clear_stale(&record).await.unwrap());
        assert_eq!(fresh.active_stream(), None);
        assert_ne!(stream, stream_2);
        assert_clean(&supervisor).await;
    });
}

// D3, F9: cancel of an old id against a new turn, both ways round; cancel against finish likewise.
#[test]
fn a_cancel_of_an_old_turn_never_hits_a_new_one() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("a")).await.unwrap();
        let old = session.begin(&user("one"), ()).await.unwrap();
        let stream = old.stream();
        let gate = Gate::new();
        stage.faults.fail_next_of(StoreCall::Commit, Fault::HeldBefore(gate.clone()));
        let commit = tokio::spawn(async move { old.commit(&reply("done")).await });
        gate.wait_until_reached().await;
        // Its end is decided and not stored: the cancel comes too late.
        assert_eq!(session.cancel(stream), CancelOutcome::NotRunning);
        // And a new one has taken the slot already.
        let beginner = session.clone();
        let begin = tokio::spawn(async move { beginner.begin(&user("two"), ()).await });
        until("the new one has the slot", || !session.status().turns.is_empty()).await;
        assert_eq!(session.cancel(stream), CancelOutcome::NotRunning);
        gate.open();
        assert!(matches!(commit.await.unwrap().unwrap(), CommitOutcome::Committed { .. }));
        let new = begin.await.unwrap().unwrap();
        assert_eq!(session.cancel(stream), CancelOutcome::NotRunning);
        assert_eq!(new.cancelled_by(), None);
        // The cancel first, the finish behind it.
        assert!(matches!(session.cancel(new.stream()), CancelOutcome::Cancelling { .. }));
        let late = new.commit(&reply("late")).await.unwrap();
        assert!(matches!(late, CommitOutcome::Stale { .. }), "{late:?}");
        assert_clean(&supervisor).await;
    });
}

// G10: whoever kept a record was answered with that same record as long as it called nothing open, or nothing
// but what runs; the promise is what there is by now.
#[test]
fn a_record_that_was_kept_is_answered_with_what_there_is_by_now() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("a")).await.unwrap();
        let at_rest = session.record().await.unwrap();
        let turn = session.begin(&user("hello"), ()).await.unwrap();
        let running = session.record().await.unwrap();
        session.insert("mood", &"good").await.unwrap();
        for kept in [&at_rest, &running] {
            let now = live(supervisor.clear_stale(kept).await.unwrap());
            assert_eq!(now.version, kept.version + 1);
            assert_eq!(now.active_stream(), Some(turn.stream()));
        }
        session.delete().await.unwrap();
        for kept in [&at_rest, &running] {
            let now = supervisor.clear_stale(kept).await.unwrap();
            assert!(matches!(now, Found::Gone(_)), "{now:?}");
        }
    });
}

//! Sessions that are not used leave memory, and come back on use as if nothing had been.
//!
//! Two ways to make one leave without waiting: a cap of one, under which whatever else is loaded takes its
//! place; and paused time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::similar_names,
    clippy::wildcard_enum_match_arm,
    reason = "a test, which does not run on the library's seam"
)]

use crate::support;

use std::collections::HashSet;
use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{
    BeginError, BeginOptions, BusyPolicy, CancelOutcome, CancelReason, CommitOutcome, Config,
    CreateError, DeleteOutcome, KeptBy, Lookup, NewSession, NoRoom, OpenError, Previous,
    RebindReason, RecordFilter, Session, SessionError, Supervisor, WhenFull,
};
use support::{
    begin, commit, committed, everywhere, in_paused_time, key, poll_once, quiet, read_out, says,
    settled, texts, until, user,
};

/// A cap of `most`, and no other reason to leave.
fn cap(most: usize) -> impl FnOnce(&mut Config) {
    move |config| {
        config.idle.max_live = most;
        config.idle.unload_after = Duration::ZERO;
    }
}

/// Makes `session` leave, under a cap of one: another one takes its place.
async fn leaves(supervisor: &Supervisor, session: &Session) {
    quiet(supervisor, session).await;
    supervisor.create(NewSession::new()).await.unwrap();
    assert!(!session.status().loaded);
    assert!(supervisor.inspect(session.id()).is_none());
    settled(supervisor).await;
}

/// A turn with its reply.
async fn talk(session: &Session, text: &str) {
    let turn = session.begin(&user(text), BusyPolicy::queue()).await.unwrap();
    committed(turn, &format!("re: {text}")).await;
}

everywhere! {
    // X14
    async fn a_session_that_left_comes_back_as_if_nothing_had_been(stage) {
        let (supervisor, session) = stage.session_with(cap(1)).await;
        let turn = session.begin(&user("one"), ()).await.unwrap();
        turn.emit("re: ").unwrap();
        let (stream, cursor) = (turn.stream(), turn.subscribe().cursor());
        turn.emit("one").unwrap();
        committed(turn, "re: one").await;
        session.insert("mood", &"fine").await.unwrap();
        session.set_label(Some("a talk")).await.unwrap();
        quiet(&supervisor, &session).await;
        let (before, record) = (session.status(), session.record().await.unwrap());
        assert!(before.loaded);
        leaves(&supervisor, &session).await;

        // Looked at, it is as it was, and stays where it is.
        let after = session.status();
        assert_eq!((after.version, after.generation), (before.version, before.generation));
        assert_eq!(after.last_active_at, before.last_active_at);
        assert_eq!(session.record().await.unwrap(), record);
        assert_eq!(texts(&session).await, ["one", "re: one"]);
        assert_eq!(session.get::<String>("mood").await.unwrap().as_deref(), Some("fine"));
        assert_eq!(supervisor.list(RecordFilter::default(), None, 10).await.unwrap().records.len(), 2);
        assert_eq!(read_out(session.subscribe_to(stream).unwrap()).await.0, ["re: ", "one"]);
        assert_eq!(read_out(session.subscribe_last().unwrap()).await.0.len(), 2);
        assert!(session.rejoin(cursor).is_ok());
        assert!(session.subscribe().is_none());
        assert!(matches!(session.cancel(stream), CancelOutcome::NotRunning));
        assert!(matches!(session.stop(), CancelOutcome::NotRunning));
        assert!(!session.status().loaded);

        // Used, it is there.
        let expecting = BeginOptions::default().expect_version(before.version);
        let turn = session.begin(&user("two"), expecting).await.unwrap();
        assert!(session.status().loaded);
        assert!(turn.stream().generation() > stream.generation());
        assert_eq!(committed(turn, "re: two").await, (4, before.version + 1));
        assert_eq!(texts(&session).await, ["one", "re: one", "two", "re: two"]);
        assert_eq!(session.record().await.unwrap().label.as_deref(), Some("a talk"));
        quiet(&supervisor, &session).await;
        let counts = supervisor.counts();
        assert_eq!((counts.loaded, counts.unloaded, counts.unloaded_for_cap), (3, 2, 2));
    }

    // E2, M3: a delete is handed over by the first poll. Where the session had to be loaded for it, it used to
    // go with whoever had asked for it.
    async fn a_delete_of_one_that_left_is_carried_out_though_nobody_waits_for_it(stage) {
        let (supervisor, session) = stage.session_with(cap(1)).await;
        talk(&session, "one").await;
        leaves(&supervisor, &session).await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::LookUp, Fault::HeldBefore(gate.clone()));
        let mut deleting = Box::pin(session.delete());
        assert!(poll_once(&mut deleting).is_pending());
        drop(deleting);
        gate.open();
        until("it is gone", || session.status().gone.is_some()).await;
        assert!(matches!(session.delete().await.unwrap(), DeleteOutcome::AlreadyGone(_)));
        settled(&supervisor).await;
    }

    // X13, X14: it left first, whatever comes then
    async fn whatever_is_done_with_a_session_that_left_is_done(stage) {
        let (supervisor, session) = stage.session_with(cap(1)).await;
        talk(&session, "one").await;
        leaves(&supervisor, &session).await;
        session.append(&[says("notice")]).await.unwrap();
        leaves(&supervisor, &session).await;
        session.insert("mood", &1).await.unwrap();
        leaves(&supervisor, &session).await;
        session.remove("mood").await.unwrap();
        leaves(&supervisor, &session).await;
        session.set_label(Some("x")).await.unwrap();
        leaves(&supervisor, &session).await;
        assert_eq!(session.rollback(1, None).await.unwrap().entries, 3);
        leaves(&supervisor, &session).await;
        talk(&session, "two").await;
        leaves(&supervisor, &session).await;
        let turn = session.retry(1, ()).await.unwrap();
        committed(turn, "better").await;
        leaves(&supervisor, &session).await;
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), session.id());
        leaves(&supervisor, &session).await;
        let found = supervisor.look_up(session.id()).await.unwrap().live().unwrap();
        leaves(&supervisor, &session).await;
        let turn = supervisor.begin(&key("#rust"), &user("three"), ()).await.unwrap();
        assert_eq!(turn.session(), session.id());
        committed(turn, "re: three").await;
        leaves(&supervisor, &session).await;
        let running = found.run(&user("four"), (), |turn| commit(turn, "re: four")).await.unwrap();
        assert!(matches!(running.await.unwrap(), CommitOutcome::Committed { .. }));
        let said = ["two", "better", "three", "re: three", "four", "re: four"];
        assert_eq!(texts(&session).await, said);
        leaves(&supervisor, &session).await;
        assert!(matches!(session.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
        settled(&supervisor).await;
    }

    // A5, E1, X13
    async fn a_delete_of_a_session_that_left_is_heard_by_every_handle(stage) {
        let (supervisor, session) = stage.session_with(cap(1)).await;
        talk(&session, "one").await;
        let other = session.clone();
        leaves(&supervisor, &session).await;
        let DeleteOutcome::Deleted(tombstone) = session.delete().await.unwrap() else { panic!() };
        assert_eq!(other.status().gone, Some(tombstone));
        assert!(matches!(other.delete().await.unwrap(), DeleteOutcome::AlreadyGone(_)));
        assert!(matches!(other.begin(&user("x"), ()).await, Err(BeginError::Gone { .. })));
        assert!(matches!(other.append(&[user("x")]).await, Err(SessionError::Gone { .. })));
        assert!(matches!(supervisor.look_up(other.id()).await.unwrap(), Lookup::Gone(_)));
        // By its id, without a handle.
        let third = supervisor.open(&key("#next")).await.unwrap();
        assert_ne!(third.id(), session.id());
        leaves(&supervisor, &third).await;
        assert!(matches!(supervisor.delete(third.id()).await.unwrap(), DeleteOutcome::Deleted(_)));
        assert_eq!(third.status().gone.map(|gone| gone.incarnation > tombstone.incarnation), Some(true));
        settled(&supervisor).await;
    }

    // X6, X13: it is used first; then it stays
    async fn a_session_that_something_keeps_does_not_make_room(stage) {
        let (supervisor, session) = stage.session_with(cap(1)).await;
        let kept_by = || supervisor.inspect(session.id()).unwrap().kept_by;
        let crowd = || supervisor.create(NewSession::new());
        // A begin that the store has not taken, and one behind it.
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let beginning = tokio::spawn(begin(&session, "one", ()));
        gate.wait_until_reached().await;
        let mut waiting = begin(&session, "two", BusyPolicy::queue());
        assert!(poll_once(&mut waiting).is_pending());
        crowd().await.unwrap();
        assert_eq!(kept_by(), [KeptBy::Turn, KeptBy::Waiting, KeptBy::Unwritten]);
        gate.open();
        // A turn that runs, one that waits.
        let turn = beginning.await.unwrap().unwrap();
        quiet(&supervisor, &session).await;
        crowd().await.unwrap();
        assert_eq!(kept_by(), [KeptBy::Turn, KeptBy::Waiting]);
        committed(turn, "re: one").await;
        let turn = waiting.await.unwrap();
        quiet(&supervisor, &session).await;
        crowd().await.unwrap();
        assert_eq!(kept_by(), [KeptBy::Turn]);
        // A turn that was fenced, and whose holder has not noticed.
        let at_once = BusyPolicy::Interrupt { grace: Duration::ZERO, max: 16 };
        committed(session.begin(&user("three"), at_once).await.unwrap(), "re: three").await;
        quiet(&supervisor, &session).await;
        crowd().await.unwrap();
        assert_eq!(kept_by(), [KeptBy::Fenced]);
        let late = commit(turn, "late").await;
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Preempted });
        // A change that the store has not answered.
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Append, Fault::HeldAfter(gate.clone()));
        let appending = tokio::spawn({
            let session = session.clone();
            async move { session.append(&[says("notice")]).await }
        });
        gate.wait_until_reached().await;
        crowd().await.unwrap();
        assert_eq!(kept_by(), [KeptBy::Unwritten]);
        gate.open();
        appending.await.unwrap().unwrap();
        // A delete.
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Delete, Fault::HeldBefore(gate.clone()));
        let deleting = tokio::spawn({
            let session = session.clone();
            async move { session.delete().await }
        });
        gate.wait_until_reached().await;
        crowd().await.unwrap();
        assert_eq!(kept_by(), [KeptBy::Closing, KeptBy::Unwritten]);
        gate.open();
        assert!(matches!(deleting.await.unwrap().unwrap(), DeleteOutcome::Deleted(_)));
        settled(&supervisor).await;
        assert!(supervisor.counts().live_exceeded > 0);
    }

    // X13: one load for all who come for it, and it does not leave before they have used it
    async fn those_who_wait_for_a_session_to_come_back_all_get_it(stage) {
        let (supervisor, session) = stage.session_with(cap(1)).await;
        talk(&session, "one").await;
        leaves(&supervisor, &session).await;
        let loads = supervisor.counts().loaded;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::LookUp, Fault::HeldBefore(gate.clone()));
        let waiting: Vec<_> = (0..8)
            .map(|number| {
                let session = session.clone();
                tokio::spawn(async move { session.append(&[says(&format!("{number}"))]).await })
            })
            .collect();
        gate.wait_until_reached().await;
        // Meanwhile nothing else is held up, and nothing is lost.
        let other = supervisor.create(NewSession::new()).await.unwrap();
        talk(&other, "beside").await;
        gate.open();
        let mut last = HashSet::new();
        for waiting in waiting {
            assert!(last.insert(waiting.await.unwrap().unwrap()));
        }
        assert_eq!(texts(&session).await.len(), 10);
        quiet(&supervisor, &session).await;
        assert!(supervisor.counts().loaded - loads <= 10, "it came back for each of them");
    }

    // G12: the store fails just when it is to come back
    async fn a_load_that_the_store_fails_is_told_and_the_next_use_tries_again(stage) {
        let (supervisor, session) = stage.session_with(cap(1)).await;
        talk(&session, "one").await;
        leaves(&supervisor, &session).await;
        stage.store.fail_next_of(StoreCall::LookUp, Fault::Unavailable);
        let refused = session.begin(&user("x"), ()).await;
        assert!(matches!(refused, Err(BeginError::Store { .. })), "{refused:?}");
        assert!(!session.status().loaded);
        talk(&session, "two").await;
        assert_eq!(texts(&session).await.len(), 4);
        settled(&supervisor).await;
    }

    // D3, C2: numbers go on, and an old name hits nobody
    async fn a_cancel_of_an_old_stream_never_hits_a_turn_of_a_session_that_came_back(stage) {
        let (supervisor, session) = stage.session_with(cap(1)).await;
        let mut seen = HashSet::new();
        for round in 0..5 {
            let turn = session.begin(&user("x"), ()).await.unwrap();
            for &old in &seen {
                assert!(matches!(session.cancel(old), CancelOutcome::NotRunning));
            }
            assert!(turn.cancelled_by().is_none());
            assert!(seen.insert(turn.stream()), "a name comes again");
            if round == 2 {
                // A begin that the store never hears of has a name, too.
                stage.store.fail_next_of(StoreCall::Begin, Fault::Unavailable);
                let parallel = BusyPolicy::Parallel(session_supervisor::Parallel::FirstCommit);
                session.begin(&user("lost"), parallel).await.unwrap_err();
                let late = commit(turn, "late").await;
                assert!(matches!(late, CommitOutcome::Stale { .. }));
            } else {
                committed(turn, "y").await;
            }
            leaves(&supervisor, &session).await;
        }
        // Nothing is skipped where nothing was lost.
        let numbers = |session: Session| async move {
            let turn = session.begin(&user("x"), ()).await.unwrap();
            let number = turn.stream().generation().get();
            committed(turn, "y").await;
            number
        };
        let first = numbers(session.clone()).await;
        leaves(&supervisor, &session).await;
        assert_eq!(numbers(session.clone()).await, first + 1);
    }

    // B15
    async fn a_begin_with_a_name_is_begun_once_though_the_session_left_between(stage) {
        let (supervisor, session) = stage.session_with(cap(1)).await;
        let named = || BeginOptions::default().idempotency_key("message 1");
        let turn = session.begin(&user("one"), named()).await.unwrap();
        let first = turn.stream();
        committed(turn, "re: one").await;
        leaves(&supervisor, &session).await;
        let again = session.begin(&user("one"), named()).await.unwrap_err();
        let BeginError::Repeated { stream, .. } = again else { panic!("{again:?}") };
        assert_eq!(stream, first);
        assert_eq!(texts(&session).await.len(), 2);
        settled(&supervisor).await;
    }

    // B17, D3: what another handle has brought back
    async fn a_handle_sees_and_stops_what_another_one_has_brought_back(stage) {
        let (supervisor, session) = stage.session_with(cap(1)).await;
        let other = session.clone();
        leaves(&supervisor, &session).await;
        let turn = other.begin(&user("one"), ()).await.unwrap();
        assert_eq!(session.status().attachable(), Some(turn.stream()));
        assert!(session.subscribe().is_some());
        let busy = session.begin(&user("two"), BusyPolicy::Reject).await;
        assert!(matches!(busy, Err(BeginError::Busy { .. })));
        assert!(matches!(session.cancel(turn.stream()), CancelOutcome::Cancelling { .. }));
        assert_eq!(turn.cancelled().await, CancelReason::Stopped);
        drop(turn);
        quiet(&supervisor, &other).await;
    }

    // A6, A12: keys lead to where it is loaded by then
    async fn keys_lead_to_sessions_that_left(stage) {
        let supervisor = stage.start_with(cap(2)).await;
        let mut ids = Vec::new();
        for number in 0..10 {
            let session = supervisor.open(&key(&format!("#{number}"))).await.unwrap();
            talk(&session, "hello").await;
            quiet(&supervisor, &session).await;
            ids.push(session.id().clone());
        }
        for (number, id) in ids.iter().enumerate() {
            let session = supervisor.open(&key(&format!("#{number}"))).await.unwrap();
            assert_eq!(session.id(), id);
            assert_eq!(texts(&session).await, ["hello", "re: hello"]);
        }
        let opened = supervisor.reset(&key("#3"), NewSession::new()).await.unwrap();
        assert_eq!(opened.previous, Some(Previous::new(ids[3].clone(), RebindReason::Reset)));
        settled(&supervisor).await;
        assert!(supervisor.loaded() <= 2 && supervisor.in_flight() == 0);
    }

    // A12, X13: it left and came back while its key was being bound anew
    async fn a_reset_fences_the_turns_of_a_session_that_left_and_came_back_meanwhile(stage) {
        let supervisor = stage.start_with(cap(1)).await;
        let other = supervisor.create(NewSession::new()).await.unwrap();
        let session = supervisor.open(&key("#rust")).await.unwrap();
        quiet(&supervisor, &session).await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Create, Fault::HeldBefore(gate.clone()));
        let resetting = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.reset(&key("#rust"), NewSession::new()).await }
        });
        gate.wait_until_reached().await;
        supervisor.look_up(other.id()).await.unwrap().live().unwrap();
        assert!(!session.status().loaded);
        let turn = session.begin(&user("one"), ()).await.unwrap();
        gate.open();
        let opened = resetting.await.unwrap().unwrap();
        let previous = Previous::new(session.id().clone(), RebindReason::Reset);
        assert_eq!(opened.previous, Some(previous));
        assert_eq!(turn.cancelled().await, CancelReason::Reset);
        let late = commit(turn, "late").await;
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Reset });
        settled(&supervisor).await;
    }

    // X13, X15, M4: everybody needs what everybody else makes leave
    async fn those_who_use_more_sessions_than_may_be_loaded_lose_nothing(stage) {
        let supervisor = stage.start_with(cap(2)).await;
        let mut users = Vec::new();
        for number in 0..8 {
            let session = supervisor.open(&key(&format!("#{number}"))).await.unwrap();
            users.push(tokio::spawn(async move {
                for round in 0..20 {
                    talk(&session, &format!("{round}")).await;
                    session.insert("round", &round).await.unwrap();
                }
                session
            }));
        }
        for user in users {
            let session = user.await.unwrap();
            let said = texts(&session).await;
            let expected: Vec<_> =
                (0..20).flat_map(|round| [format!("{round}"), format!("re: {round}")]).collect();
            assert_eq!(said, expected);
            assert_eq!(session.get::<u32>("round").await.unwrap(), Some(19));
        }
        settled(&supervisor).await;
        until("the cap holds", || supervisor.loaded() <= 2).await;
        until("the actors of those that left have ended", || {
            let counts = supervisor.counts();
            counts.actors_started - counts.actors_ended <= 2
        })
        .await;
    }
}

/// Leaves after ten seconds.
fn after_ten_seconds(config: &mut Config) {
    config.idle.unload_after = Duration::from_secs(10);
}

/// Lets `seconds` of paused time pass.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

in_paused_time! {
    // X4, X5, X12
    async fn a_session_leaves_when_it_was_not_used_for_long_and_looking_is_no_use(stage) {
        let (supervisor, session) = stage.session_with(after_ten_seconds).await;
        let kept = supervisor.open(&key("#kept")).await.unwrap();
        talk(&session, "one").await;
        let stream = session.subscribe_last().map(|reader| reader.stream());
        for second in 0..9 {
            assert!(session.status().loaded, "after {second} s");
            let inspection = supervisor.inspect(session.id()).unwrap();
            assert_eq!(inspection.idle_for, Duration::from_secs(second));
            assert_eq!(inspection.kept_by, []);
            // None of it is use.
            session.record().await.unwrap();
            session.transcript().await.unwrap();
            session.get::<u8>("nothing").await.unwrap();
            let _ = (session.subscribe(), session.subscribe_last(), session.stop());
            let _ = stream.map(|stream| session.cancel(stream));
            supervisor.list(RecordFilter::default(), None, 10).await.unwrap();
            supervisor.record(session.id()).await.unwrap();
            supervisor.look_up(session.id()).await.unwrap();
            supervisor.open(&key("#rust")).await.unwrap();
            let refused = session.begin(&user("x"), BeginOptions::default().expect_version(99)).await;
            assert!(matches!(refused, Err(BeginError::Conflict { .. })));
            // This is.
            kept.insert("second", &second).await.unwrap();
            pass(1).await;
        }
        pass(3).await;
        assert!(!session.status().loaded);
        assert!(kept.status().loaded);
        assert_eq!(supervisor.loaded(), 1);
        assert_eq!(supervisor.counts().unloaded, 1);
        settled(&supervisor).await;
        talk(&session, "two").await;
        assert_eq!(supervisor.loaded(), 2);
        pass(13).await;
        assert_eq!((supervisor.loaded(), supervisor.counts().unloaded), (0, 3));
        settled(&supervisor).await;
    }

    // X4, X6
    async fn idle_counts_from_the_end_of_the_last_work(stage) {
        let (supervisor, session) = stage.session_with(after_ten_seconds).await;
        let turn = session.begin(&user("one"), ()).await.unwrap();
        pass(100).await;
        assert!(session.status().loaded);
        let inspection = supervisor.inspect(session.id()).unwrap();
        assert_eq!((inspection.idle_for, inspection.kept_by), (Duration::ZERO, vec![KeptBy::Turn]));
        committed(turn, "re: one").await;
        pass(9).await;
        assert!(session.status().loaded);
        pass(4).await;
        assert!(!session.status().loaded);
        // The store's answer is the end of a change.
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Append, Fault::HeldAfter(gate.clone()));
        let appending = tokio::spawn({
            let session = session.clone();
            async move { session.append(&[says("notice")]).await }
        });
        gate.wait_until_reached().await;
        pass(100).await;
        gate.open();
        appending.await.unwrap().unwrap();
        pass(9).await;
        assert!(session.status().loaded);
        pass(4).await;
        assert!(!session.status().loaded);
        settled(&supervisor).await;
    }

    // X2
    async fn nothing_leaves_where_that_is_switched_off(stage) {
        let (supervisor, session) = stage
            .session_with(|config| config.idle.unload_after = Duration::ZERO)
            .await;
        talk(&session, "one").await;
        pass(24 * 60 * 60).await;
        assert!(session.status().loaded);
        assert_eq!(supervisor.counts().unloaded, 0);
    }

    // X15, X16
    async fn those_that_were_not_used_for_longest_make_room(stage) {
        let supervisor = stage.start_with(cap(5)).await;
        let mut sessions = Vec::new();
        for number in 0..5 {
            sessions.push(supervisor.open(&key(&format!("#{number}"))).await.unwrap());
            pass(2).await;
        }
        // The first two are used again; a listing and a look-up are no use.
        for number in [1, 0] {
            talk(&sessions[number], "again").await;
            pass(2).await;
        }
        supervisor.list(RecordFilter::default(), None, 10).await.unwrap();
        supervisor.look_up(sessions[2].id()).await.unwrap();
        let running = sessions[3].begin(&user("runs"), ()).await.unwrap();
        pass(2).await;
        let loaded = || {
            let loaded = |number: &usize| sessions[*number].status().loaded;
            (0..5).filter(loaded).collect::<Vec<_>>()
        };
        let mut left = Vec::new();
        for _ in 0..6 {
            supervisor.create(NewSession::new()).await.unwrap();
            pass(2).await;
            left.push(loaded());
        }
        let expected: [&[usize]; 6] =
            [&[0, 1, 3, 4], &[0, 1, 3], &[0, 3], &[3], &[3], &[3]];
        assert_eq!(left, expected);
        assert_eq!(supervisor.loaded(), 5);
        committed(running, "done").await;
        settled(&supervisor).await;
    }

    // X6, X15
    async fn if_all_are_busy_the_cap_is_exceeded_and_made_up_for_later(stage) {
        let supervisor = stage.start_with(cap(50)).await;
        let mut turns = Vec::new();
        for number in 0..200 {
            let session = supervisor.open(&key(&format!("#{number}"))).await.unwrap();
            turns.push(session.begin(&user("x"), ()).await.unwrap());
        }
        assert_eq!(supervisor.loaded(), 200);
        assert_eq!(supervisor.counts().live_exceeded, 150);
        pass(60).await;
        assert_eq!(supervisor.loaded(), 200, "nothing that runs is touched");
        let still = turns.split_off(170);
        for turn in turns {
            committed(turn, "y").await;
        }
        pass(5).await;
        assert_eq!(supervisor.loaded(), 50);
        for turn in still {
            committed(turn, "y").await;
        }
        settled(&supervisor).await;
    }

    // X11, X12: as many as there are, at once
    async fn ten_thousand_that_are_due_at_once_leave(stage) {
        let supervisor = stage.start_with(after_ten_seconds).await;
        for _ in 0..10_000 {
            supervisor.create(NewSession::new()).await.unwrap();
        }
        assert_eq!(supervisor.loaded(), 10_000);
        pass(13).await;
        assert_eq!(supervisor.loaded(), 0);
        settled(&supervisor).await;
    }
}

/// Refuses what there is no room for.
fn refuse_beyond(most: usize) -> impl FnOnce(&mut Config) {
    move |config| {
        config.idle.max_live = most;
        config.idle.when_full = WhenFull::Refuse;
    }
}

everywhere! {
    // X15, A10, B5, F18, K2
    async fn where_all_are_busy_one_more_is_refused_and_nothing_is_left_behind(stage) {
        let supervisor = stage.start_with(refuse_beyond(2)).await;
        let first = supervisor.open(&key("#0")).await.unwrap();
        let gone = supervisor.open(&key("#gone")).await.unwrap();
        gone.delete().await.unwrap();
        let second = supervisor.open(&key("#1")).await.unwrap();
        // One that is idle makes room.
        quiet(&supervisor, &first).await;
        let turn = second.begin(&user("x"), ()).await.unwrap();
        quiet(&supervisor, &second).await;
        let third = supervisor.open(&key("#2")).await.unwrap();
        assert!(!first.status().loaded);
        let lease = third.lease("work", Duration::from_secs(60)).await.unwrap();
        let full = |no_room: &NoRoom| {
            assert_eq!((no_room.loaded, no_room.retry_after), (2, Duration::from_secs(1)));
            assert_eq!(no_room.instance, supervisor.instance());
            no_room.bytes > 0
        };
        // Whatever needs a place is refused.
        let refused = supervisor.open(&key("#3")).await.unwrap_err();
        assert!(matches!(&refused, OpenError::NoRoom(it) if full(it)), "{refused:?}");
        let refused = supervisor.open(&key("#0")).await.unwrap_err();
        assert!(matches!(&refused, OpenError::NoRoom(it) if full(it)), "{refused:?}");
        let refused = supervisor.reset(&key("#1"), NewSession::new()).await.unwrap_err();
        assert!(matches!(&refused, OpenError::NoRoom(it) if full(it)), "{refused:?}");
        let refused = supervisor.create(NewSession::new()).await.unwrap_err();
        assert!(matches!(&refused, CreateError::NoRoom(it) if full(it)), "{refused:?}");
        let refused = supervisor.open_id(first.id()).await.unwrap_err();
        assert!(matches!(&refused, CreateError::NoRoom(it) if full(it)), "{refused:?}");
        let refused = first.begin(&user("x"), ()).await.unwrap_err();
        assert!(matches!(&refused, BeginError::NoRoom(it) if full(it)), "{refused:?}");
        let refused = supervisor.begin(&key("#3"), &user("x"), ()).await.unwrap_err();
        assert!(matches!(&refused, BeginError::NoRoom(it) if full(it)), "{refused:?}");
        let refused = first.append(&[says("x")]).await.unwrap_err();
        assert!(matches!(&refused, SessionError::NoRoom(it) if full(it)), "{refused:?}");
        let refused = first.touch().await.unwrap_err();
        assert!(matches!(&refused, SessionError::NoRoom(it) if full(it)), "{refused:?}");
        assert_eq!(supervisor.counts().loads_refused, 9);
        // What else there is to be told comes first.
        let refused = supervisor.create_id(gone.id(), NewSession::new()).await.unwrap_err();
        assert!(matches!(refused, CreateError::Gone { .. }), "{refused:?}");
        let refused = supervisor.create_id(first.id(), NewSession::new()).await.unwrap_err();
        assert!(matches!(refused, CreateError::Exists { .. }), "{refused:?}");
        let refused = gone.begin(&user("x"), ()).await.unwrap_err();
        assert!(matches!(refused, BeginError::Gone { .. }), "{refused:?}");
        // Nothing was left behind, and who has one that is loaded is not affected.
        let listed = supervisor.list(RecordFilter::default(), None, 10).await.unwrap();
        assert_eq!(listed.records.len(), 3);
        assert_eq!((supervisor.loaded(), supervisor.in_flight()), (2, 0));
        assert_eq!(supervisor.open(&key("#1")).await.unwrap().id(), second.id());
        third.append(&[says("x")]).await.unwrap();
        // Reads and deletes are never refused.
        assert_eq!(first.transcript().await.unwrap().len(), 0);
        assert!(first.record().await.is_ok() && !first.status().loaded);
        assert!(supervisor.look_up(first.id()).await.unwrap().live().is_some());
        assert!(matches!(first.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
        // Once one is idle again, there is room.
        committed(turn, "y").await;
        quiet(&supervisor, &second).await;
        let fourth = supervisor.open(&key("#3")).await.unwrap();
        until("the cap holds", || supervisor.loaded() <= 2).await;
        assert!(third.status().loaded && !lease.is_expired());
        drop(fourth);
        settled(&supervisor).await;
    }

    // X15, X13: of those who come together, as many get in as there is room for
    async fn no_more_are_loaded_than_there_is_room_for_however_many_come(stage) {
        let supervisor = stage.start_with(refuse_beyond(5)).await;
        let mut coming = Vec::new();
        for number in 0..40 {
            let supervisor = supervisor.clone();
            coming.push(tokio::spawn(async move {
                let session = supervisor.open(&key(&format!("#{number}"))).await;
                let session = session.map_err(|refused| {
                    assert!(matches!(refused, OpenError::NoRoom(_)), "{refused:?}");
                });
                let lease = match session {
                    Ok(session) => session.lease("work", Duration::from_secs(60)).await,
                    Err(()) => return None,
                };
                assert!(supervisor.loaded() <= 5);
                lease.ok()
            }));
        }
        let mut leases = Vec::new();
        for coming in coming {
            leases.extend(coming.await.unwrap());
        }
        assert!((1..=5).contains(&leases.len()), "{}", leases.len());
        assert!(supervisor.loaded() <= 5);
        settled(&supervisor).await;
        assert_eq!(supervisor.counts().live_exceeded, 0);
    }

    // X15, K5: by what they take
    async fn a_budget_of_memory_sheds_the_idle_ones(stage) {
        let supervisor = stage
            .start_with(|config| {
                config.idle.max_bytes = 200_000;
                config.idle.unload_after = Duration::ZERO;
            })
            .await;
        let held = supervisor.open(&key("#held")).await.unwrap();
        let _lease = held.lease("work", Duration::from_secs(60)).await.unwrap();
        for number in 0..400 {
            let session = supervisor.open(&key(&format!("#{number}"))).await.unwrap();
            session.append(&[says("x")]).await.unwrap();
        }
        until("the budget holds", || supervisor.loaded_bytes() <= 200_000).await;
        let each = supervisor.loaded_bytes() / supervisor.loaded();
        assert!((500..12_000).contains(&each), "{each} bytes each");
        assert!(held.status().loaded);
        settled(&supervisor).await;
        // All that is counted is taken back.
        for record in supervisor.list(RecordFilter::default(), None, 1_000).await.unwrap().records {
            supervisor.delete(&record.id).await.unwrap();
        }
        assert_eq!((supervisor.loaded(), supervisor.loaded_bytes()), (0, 0));
        settled(&supervisor).await;
    }
}

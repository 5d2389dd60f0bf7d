//! A session that is given another id: it is the same session, and every id that it had leads to it.

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

use std::pin::Pin;
use std::time::Duration;

use session_supervisor::store::Found;
use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{
    BeginError, BusyPolicy, CancelReason, CommitError, CommitOutcome, Config, CreateError,
    DeleteOutcome, Lookup, NewSession, RecordFilter, RotateError, Session, SessionError, SessionId,
    StoreError, Supervisor, Tombstone, TurnOutcome,
};
use support::{
    begin, commit, committed, everywhere, in_paused_time, key, poll_once, quiet, read_out, says,
    settled, texts, until, user,
};

/// An id of the caller's own.
fn id(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

/// A rotation that owns what it needs.
fn rotate(session: &Session, to: &str) -> Rotating {
    let (session, to) = (session.clone(), id(to));
    Box::pin(async move { session.rotate(Some(to)).await })
}

/// What [`rotate`] returns.
type Rotating = Pin<Box<dyn Future<Output = Result<SessionId, RotateError>> + Send>>;

/// The session under an id.
async fn live(supervisor: &Supervisor, id: &SessionId) -> Session {
    supervisor.look_up(id).await.unwrap().live().unwrap()
}

/// What was deleted under an id.
async fn gone(supervisor: &Supervisor, id: &SessionId) -> Tombstone {
    match supervisor.look_up(id).await.unwrap() {
        Lookup::Gone(tombstone) => tombstone,
        other => panic!("{id}: {other:?}"),
    }
}

/// A cap of one, and no other reason to leave.
fn cap_of_one(config: &mut Config) {
    config.idle.max_live = 1;
    config.idle.unload_after = Duration::ZERO;
}

/// Makes `session` leave memory, under a cap of one.
async fn leaves(supervisor: &Supervisor, session: &Session) {
    quiet(supervisor, session).await;
    supervisor.create(NewSession::new()).await.unwrap();
    assert!(!session.status().loaded);
    settled(supervisor).await;
}

everywhere! {
    // A13, C1: nothing of a turn is lost, whatever the session is called by then
    async fn a_turn_goes_on_and_commits_under_the_new_id(stage) {
        let (supervisor, session) = stage.session().await;
        let old = session.id().clone();
        session.append(&[says("hello")]).await.unwrap();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        turn.emit("re: ").unwrap();
        let reader = turn.subscribe();

        let new = session.rotate(None).await.unwrap();
        assert_ne!(new, old);
        assert_eq!((session.id(), turn.session()), (&new, &new));
        assert_eq!(session.status().turns[0].stream, turn.stream());
        turn.emit("one").unwrap();
        assert_eq!(committed(turn, "re: one").await.0, 3);
        assert_eq!(read_out(reader).await, (vec!["re: ".into(), "one".into()], TurnOutcome::Committed));

        let record = session.record().await.unwrap();
        assert_eq!((&record.id, record.former_ids.as_slice()), (&new, &[old.clone()][..]));
        assert_eq!(record.first_id(), &old);
        for id in [&old, &new] {
            let found = live(&supervisor, id).await;
            assert_eq!((found.id(), found.record().await.unwrap()), (&new, record.clone()));
            assert_eq!(texts(&found).await, ["hello", "one", "re: one"]);
            assert_eq!(supervisor.inspect(id).unwrap().id, new);
            assert_eq!(supervisor.record(id).await.unwrap(), Found::Live(record.clone()));
            assert_eq!(supervisor.open_id(id).await.unwrap().id(), &new);
        }
        let listed = supervisor.list(RecordFilter::default(), None, 10).await.unwrap().records;
        assert_eq!(listed, [record]);
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), &new);
        let counts = supervisor.counts();
        assert_eq!((supervisor.loaded(), counts.loaded, counts.rotated), (1, 1, 1));
        settled(&supervisor).await;
    }

    // A13, B4: one queue, in order of arrival
    async fn who_waits_on_the_old_id_and_on_the_new_one_is_in_one_queue(stage) {
        let (supervisor, session) = stage.session().await;
        let old = session.id().clone();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        let mut waiting = Vec::new();
        let mut wait = |by: &Session, text: &str| {
            let mut begin = begin(by, text, BusyPolicy::queue());
            assert!(poll_once(&mut begin).is_pending());
            waiting.push((begin, text.to_owned()));
        };
        wait(&live(&supervisor, &old).await, "two");
        let new = session.rotate(Some(id("new"))).await.unwrap();
        wait(&live(&supervisor, &new).await, "three");
        wait(&live(&supervisor, &old).await, "four");
        wait(&supervisor.open(&key("#rust")).await.unwrap(), "five");
        assert_eq!(session.status().queued, 4);
        let busy = supervisor.open_id(&old).await.unwrap();
        let busy = busy.begin(&user("no"), BusyPolicy::Reject).await.unwrap_err();
        let BeginError::Busy { id: told, queued, .. } = &busy else { panic!("{busy:?}") };
        assert_eq!((told, *queued), (&new, 4));

        committed(turn, "re: one").await;
        let mut said = vec!["one".to_owned(), "re: one".to_owned()];
        for (waiter, text) in waiting {
            committed(waiter.await.unwrap(), &format!("re: {text}")).await;
            said.extend([text.clone(), format!("re: {text}")]);
        }
        assert_eq!(texts(&session).await, said);
        settled(&supervisor).await;
    }

    // A13: there is no chain to follow, and none that could be a circle
    async fn no_id_is_given_twice_or_given_back(stage) {
        let (supervisor, session) = stage.session().await;
        let first = session.id().clone();
        let other = supervisor.create_id(&id("other"), NewSession::new()).await.unwrap();
        let dead = supervisor.create_id(&id("dead"), NewSession::new()).await.unwrap();
        dead.delete().await.unwrap();
        session.rotate(Some(id("b"))).await.unwrap();
        session.rotate(Some(id("c"))).await.unwrap();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        for taken in [&first, &id("b"), other.id()] {
            let error = session.rotate(Some(taken.clone())).await.unwrap_err();
            let RotateError::Taken { id, instance } = &error else { panic!("{error:?}") };
            assert_eq!((id, *instance), (taken, supervisor.instance()));
        }
        let error = session.rotate(Some(id("dead"))).await.unwrap_err();
        let RotateError::Buried { id: told, .. } = &error else { panic!("{error:?}") };
        assert_eq!(told, &id("dead"));
        // What it is told by is no change, so it may be repeated.
        assert_eq!(session.rotate(Some(id("c"))).await.unwrap(), id("c"));
        assert_eq!(session.record().await.unwrap().former_ids, [first.clone(), id("b")]);
        // None of it was asked of the turn that runs.
        assert_eq!(stage.store.calls_of(StoreCall::Rotate), 2);
        committed(turn, "re: one").await;
        for taken in [&first, &id("b"), &id("c")] {
            let error = supervisor.create_id(taken, NewSession::new().allow_reuse()).await;
            assert!(matches!(error.unwrap_err(), CreateError::Exists { .. }));
        }
        settled(&supervisor).await;
    }

    // A13, C1: ahead of a begin, and the turn is there
    async fn a_begin_behind_a_rotation_is_stored_after_it(stage) {
        let (supervisor, session) = stage.session().await;
        let (old, gate) = (session.id().clone(), Gate::new());
        stage.store.fail_next_of(StoreCall::Rotate, Fault::HeldBefore(gate.clone()));
        let mut rotation = rotate(&session, "new");
        assert!(poll_once(&mut rotation).is_pending());
        until("it is on its way", || stage.store.calls_of(StoreCall::Rotate) == 1).await;
        let mut begin = begin(&session, "one", ());
        assert!(poll_once(&mut begin).is_pending());
        // Nobody is told of it before the store has it, and nobody can take the id meanwhile.
        assert_eq!(session.id(), &old);
        let mut create = Box::pin(supervisor.create_id(rotated(), NewSession::new()));
        let mut look_up = Box::pin(supervisor.look_up(rotated()));
        assert!(poll_once(&mut create).is_pending() && poll_once(&mut look_up).is_pending());
        gate.open();
        let turn = begin.await.unwrap();
        assert_eq!(rotation.await.unwrap(), id("new"));
        assert!(matches!(create.await.unwrap_err(), CreateError::Exists { .. }));
        assert_eq!(look_up.await.unwrap().live().unwrap().id(), &id("new"));
        assert_eq!(turn.session(), &id("new"));
        committed(turn, "re: one").await;
        assert_eq!(texts(&session).await, ["one", "re: one"]);
        settled(&supervisor).await;
    }

    // A13, C1: behind a begin
    async fn a_rotation_behind_a_begin_is_stored_after_it(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let mut begin = begin(&session, "one", ());
        assert!(poll_once(&mut begin).is_pending());
        let mut rotation = rotate(&session, "new");
        assert!(poll_once(&mut rotation).is_pending());
        until("it is decided", || session.status().unwritten == 2).await;
        gate.open();
        assert_eq!(rotation.await.unwrap(), id("new"));
        committed(begin.await.unwrap(), "re: one").await;
        assert_eq!(session.id(), &id("new"));
        quiet(&supervisor, &session).await;
    }

    // A13, C1, C3: ahead of a commit and behind one; the failure that this is about lost the reply
    async fn a_commit_and_a_rotation_do_not_hurt_each_other(stage) {
        let (supervisor, session) = stage.session().await;
        for (held, first, to) in [(StoreCall::Rotate, true, "b"), (StoreCall::Commit, false, "c")] {
            let turn = session.begin(&user("ask"), ()).await.unwrap();
            let gate = Gate::new();
            stage.store.fail_next_of(held, Fault::HeldBefore(gate.clone()));
            let mut rotation = rotate(&session, to);
            let mut commit: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(commit(turn, "say"));
            if first {
                assert!(poll_once(&mut rotation).is_pending());
                until("it is on its way", || stage.store.calls_of(held) == 1).await;
                assert!(poll_once(&mut commit).is_pending());
            } else {
                assert!(poll_once(&mut commit).is_pending());
                assert!(poll_once(&mut rotation).is_pending());
                until("it is decided", || session.status().unwritten == 2).await;
            }
            gate.open();
            assert_eq!(rotation.await.unwrap(), id(to));
            assert!(matches!(commit.await, CommitOutcome::Committed { .. }));
            assert_eq!(session.id(), &id(to));
        }
        assert_eq!(texts(&session).await, ["ask", "say", "ask", "say"]);
        quiet(&supervisor, &session).await;
    }

    // A13, E1, E5: a delete that comes behind it leaves a tombstone under the new id, too
    async fn a_delete_behind_a_rotation_buries_every_id(stage) {
        let (supervisor, session) = stage.session().await;
        let (old, gate) = (session.id().clone(), Gate::new());
        let turn = session.begin(&user("one"), ()).await.unwrap();
        stage.store.fail_next_of(StoreCall::Rotate, Fault::HeldBefore(gate.clone()));
        let mut rotation = rotate(&session, "new");
        assert!(poll_once(&mut rotation).is_pending());
        until("it is on its way", || stage.store.calls_of(StoreCall::Rotate) == 1).await;
        let mut delete = Box::pin(session.delete());
        assert!(poll_once(&mut delete).is_pending());
        gate.open();
        let DeleteOutcome::Deleted(tombstone) = delete.await.unwrap() else { panic!("deleted") };
        assert_eq!(rotation.await.unwrap(), id("new"));
        let stale = turn.commit(&says("late")).await.unwrap();
        assert!(matches!(stale, CommitOutcome::Stale { reason: CancelReason::Deleted }));
        assert_eq!(gone(&supervisor, &old).await, tombstone);
        assert_eq!(gone(&supervisor, &id("new")).await, tombstone);
        assert_eq!(supervisor.tombstones(), 2);
        settled(&supervisor).await;
    }

    // A13, E1: a delete that comes first leaves the new id to others
    async fn a_rotation_behind_a_delete_is_refused(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Delete, Fault::HeldBefore(gate.clone()));
        let mut delete = Box::pin(session.delete());
        assert!(poll_once(&mut delete).is_pending());
        let error = rotate(&session, "new").await.unwrap_err();
        let RotateError::Session(SessionError::Closing { .. }) = &error else { panic!("{error:?}") };
        gate.open();
        delete.await.unwrap();
        let error = rotate(&session, "new").await.unwrap_err();
        let RotateError::Session(SessionError::Gone { .. }) = &error else { panic!("{error:?}") };
        assert!(matches!(supervisor.look_up(&id("new")).await.unwrap(), Lookup::Unknown));
        supervisor.create_id(&id("new"), NewSession::new()).await.unwrap();
        settled(&supervisor).await;
    }

    // A13, E6: by any of them, at the same time, and once
    async fn a_delete_by_one_id_is_a_delete_of_all(stage) {
        let (supervisor, session) = stage.session().await;
        let first = session.id().clone();
        for to in ["b", "c"] {
            session.rotate(Some(id(to))).await.unwrap();
        }
        let ids = [first, id("b"), id("c")];
        let deletes = ids.clone().map(|id| {
            let supervisor = supervisor.clone();
            tokio::spawn(async move { supervisor.delete(&id).await.unwrap() })
        });
        let mut deleted = 0;
        for delete in deletes {
            match delete.await.unwrap() {
                DeleteOutcome::Deleted(_) => deleted += 1,
                DeleteOutcome::AlreadyGone(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(deleted, 1);
        for id in &ids {
            assert_eq!(gone(&supervisor, id).await, gone(&supervisor, &ids[0]).await);
            let error = supervisor.create_id(id, NewSession::new()).await.unwrap_err();
            assert!(matches!(error, CreateError::Gone { .. }), "{error:?}");
        }
        // One of them may live again, and the others do not lead to it.
        let again = supervisor.create_id(&id("b"), NewSession::new().allow_reuse()).await.unwrap();
        assert_eq!(again.id(), &id("b"));
        for id in [&ids[0], &ids[2]] {
            gone(&supervisor, id).await;
        }
        settled(&supervisor).await;
    }

    // A13, X14: by whichever id it is asked for, it is loaded once, and is one session
    async fn a_session_that_left_is_loaded_once_by_any_of_its_ids(stage) {
        let (supervisor, session) = stage.session_with(cap_of_one).await;
        let first = session.id().clone();
        session.append(&[says("hello")]).await.unwrap();
        for to in ["b", "c"] {
            session.rotate(Some(id(to))).await.unwrap();
        }
        for _ in 0..3 {
            leaves(&supervisor, &session).await;
            let before = supervisor.counts().loaded;
            let gate = Gate::new();
            stage.store.fail_next_of(StoreCall::LookUp, Fault::HeldAfter(gate.clone()));
            let found: Vec<_> = [id("b"), id("c"), first.clone(), id("b")].map(|id| {
                let supervisor = supervisor.clone();
                tokio::spawn(async move { live(&supervisor, &id).await })
            }).into();
            until("one is on its way", || gate.reached() == 1).await;
            gate.open();
            for found in found {
                let found = found.await.unwrap();
                assert_eq!(found.id(), &id("c"));
                assert_eq!(texts(&found).await, ["hello"]);
            }
            assert_eq!(supervisor.counts().loaded, before + 1);
            settled(&supervisor).await;
        }
    }

    // A13, X13: what was read by another id before it was loaded is not what it is loaded with
    async fn a_session_is_loaded_as_it_is_by_then_whatever_id_it_is_asked_for_by(stage) {
        let (supervisor, session) = stage.session_with(cap_of_one).await;
        let first = session.id().clone();
        session.rotate(Some(id("b"))).await.unwrap();
        leaves(&supervisor, &session).await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::LookUp, Fault::HeldAfter(gate.clone()));
        let theirs = supervisor.clone();
        let slow = tokio::spawn(async move { live(&theirs, &id("b")).await });
        until("it is on its way", || gate.reached() == 1).await;
        let found = live(&supervisor, &first).await;
        committed(found.begin(&user("one"), ()).await.unwrap(), "re: one").await;
        leaves(&supervisor, &found).await;
        gate.open();
        let found = slow.await.unwrap();
        committed(found.begin(&user("two"), ()).await.unwrap(), "re: two").await;
        assert_eq!(texts(&found).await, ["one", "re: one", "two", "re: two"]);
        quiet(&supervisor, &found).await;
    }

    // A13, B5: also of a session that is not in memory; the turn that runs is not touched
    async fn the_id_of_a_session_that_left_is_taken(stage) {
        let (supervisor, other) = stage.session_with(cap_of_one).await;
        let first = other.id().clone();
        other.rotate(Some(id("b"))).await.unwrap();
        leaves(&supervisor, &other).await;
        let session = supervisor.open(&key("busy")).await.unwrap();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        for taken in [&first, &id("b")] {
            let error = session.rotate(Some(taken.clone())).await.unwrap_err();
            assert!(matches!(error, RotateError::Taken { .. }), "{error:?}");
        }
        assert!(!other.status().loaded);
        committed(turn, "re: one").await;
        quiet(&supervisor, &session).await;
    }

    // A13, X13, X14: a handle of when it was loaded last, and one of now, are of one session
    async fn a_session_that_left_is_given_an_id_and_every_handle_hears_of_it(stage) {
        let (supervisor, session) = stage.session_with(cap_of_one).await;
        let first = session.id().clone();
        leaves(&supervisor, &session).await;
        assert_eq!(session.rotate(Some(id("b"))).await.unwrap(), id("b"));
        assert_eq!(session.id(), &id("b"));
        let handle = live(&supervisor, &first).await;
        leaves(&supervisor, &session).await;
        let now = live(&supervisor, &id("b")).await;
        now.rotate(Some(id("c"))).await.unwrap();
        for it in [&session, &handle, &now] {
            assert_eq!(it.id(), &id("c"));
        }
        // Asked of a handle that knows nothing of it, it is no change either.
        assert_eq!(session.rotate(Some(id("c"))).await.unwrap(), id("c"));
        let error = handle.rotate(Some(id("b"))).await.unwrap_err();
        assert!(matches!(error, RotateError::Taken { .. }), "{error:?}");
        leaves(&supervisor, &now).await;
        let turn = session.begin(&user("one"), ()).await.unwrap();
        assert_eq!(turn.session(), &id("c"));
        committed(turn, "re: one").await;
        quiet(&supervisor, &session).await;
        let deleted = supervisor.delete(&id("b")).await.unwrap();
        assert!(matches!(deleted, DeleteOutcome::Deleted(_)));
        for handle in [&session, &handle, &now] {
            assert!(matches!(handle.delete().await.unwrap(), DeleteOutcome::AlreadyGone(_)));
        }
        settled(&supervisor).await;
    }

    // A13: both happen, in one order or the other
    async fn two_rotations_at_once_are_one_after_the_other(stage) {
        let (supervisor, session) = stage.session().await;
        let first = session.id().clone();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        let rotations = ["b", "c", "d"].map(|to| tokio::spawn(rotate(&session, to)));
        for rotation in rotations {
            rotation.await.unwrap().unwrap();
        }
        let record = session.record().await.unwrap();
        assert_eq!((record.first_id(), record.former_ids.len()), (&first, 3));
        assert_eq!(session.id(), &record.id);
        for id in record.former_ids.iter().chain([&record.id]) {
            assert_eq!(live(&supervisor, id).await.id(), &record.id);
        }
        committed(turn, "re: one").await;
        settled(&supervisor).await;
    }

    // A13: the same id is given to one, and the other loses nothing
    async fn two_sessions_that_want_one_id_do_not_both_get_it(stage) {
        let (supervisor, one) = stage.session().await;
        let other = supervisor.open(&key("other")).await.unwrap();
        let turns = [one.begin(&user("one"), ()).await.unwrap(),
            other.begin(&user("two"), ()).await.unwrap()];
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Rotate, Fault::HeldBefore(gate.clone()));
        let mut first = rotate(&one, "new");
        assert!(poll_once(&mut first).is_pending());
        until("it is on its way", || stage.store.calls_of(StoreCall::Rotate) == 1).await;
        let mut second = rotate(&other, "new");
        let mut again = rotate(&one, "new");
        assert!(poll_once(&mut second).is_pending() && poll_once(&mut again).is_pending());
        gate.open();
        assert_eq!(first.await.unwrap(), id("new"));
        assert!(matches!(second.await.unwrap_err(), RotateError::Taken { .. }));
        assert_eq!(again.await.unwrap(), id("new"));
        assert_eq!(live(&supervisor, &id("new")).await.key(), one.key());
        for turn in turns {
            committed(turn, "reply").await;
        }
        settled(&supervisor).await;
    }

    // A7, A13: a caller that goes away takes nothing back, and the id is nobody else's meanwhile
    async fn a_rotation_goes_on_without_its_caller(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let mut begin = begin(&session, "one", ());
        assert!(poll_once(&mut begin).is_pending());
        let mut rotation = rotate(&session, "new");
        assert!(poll_once(&mut rotation).is_pending());
        until("it is decided", || session.status().unwritten == 2).await;
        drop(rotation);
        let mut create = Box::pin(supervisor.create_id(rotated(), NewSession::new()));
        for _ in 0..20 {
            assert!(poll_once(&mut create).is_pending());
            tokio::task::yield_now().await;
        }
        gate.open();
        assert!(matches!(create.await.unwrap_err(), CreateError::Exists { .. }));
        committed(begin.await.unwrap(), "re: one").await;
        assert_eq!(session.id(), &id("new"));
        quiet(&supervisor, &session).await;
        assert_eq!(supervisor.in_flight(), 0);
    }

    // A13, G2: a store that fails says so, and the record is the truth
    async fn a_rotation_that_fails_is_told_and_the_id_is_free(stage) {
        let (supervisor, session) = stage.session().await;
        let old = session.id().clone();
        stage.store.fail_next_of(StoreCall::LookUp, Fault::Unavailable);
        let error = rotate(&session, "new").await.unwrap_err();
        let RotateError::Session(SessionError::Store { .. }) = &error else { panic!("{error:?}") };
        assert_eq!(stage.store.calls_of(StoreCall::Rotate), 0);

        let turn = session.begin(&user("one"), ()).await.unwrap();
        stage.store.fail_next_of(StoreCall::Rotate, Fault::Full);
        let error = rotate(&session, "new").await.unwrap_err();
        let RotateError::Session(SessionError::Store { source, .. }) = &error else {
            panic!("{error:?}")
        };
        assert!(matches!(source, StoreError::Full { .. }));
        let late = turn.commit(&says("late")).await;
        assert!(!matches!(late, Ok(CommitOutcome::Committed { .. })), "{late:?}");
        assert_eq!(session.id(), &old);
        assert!(matches!(supervisor.look_up(&id("new")).await.unwrap(), Lookup::Unknown));

        stage.store.fail_next_of(StoreCall::Rotate, Fault::UnknownButApplied);
        let error = rotate(&session, "new").await.unwrap_err();
        let RotateError::Session(SessionError::Store { source, .. }) = &error else {
            panic!("{error:?}")
        };
        assert!(matches!(source, StoreError::OutcomeUnknown { .. }));
        // The next use tells, and to say it again is harmless.
        assert_eq!(live(&supervisor, &old).await.id(), &id("new"));
        assert_eq!(rotate(&session, "new").await.unwrap(), id("new"));
        assert_eq!(session.id(), &id("new"));
        assert_eq!(texts(&session).await, ["one"]);
        quiet(&supervisor, &session).await;
    }

    // A13, G1, G10: a start finds the ids, the turn, and later the tombstones
    async fn ids_are_kept_over_a_restart(stage) {
        let (supervisor, session) = stage.session().await;
        let first = session.id().clone();
        session.rotate(Some(id("b"))).await.unwrap();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        session.rotate(Some(id("c"))).await.unwrap();
        quiet(&supervisor, &session).await;
        let stage = stage.reopened().await;
        let (ids, supervisor) = ([first, id("b"), id("c")], stage.start().await);
        let settled_turns = &supervisor.recovery().settled;
        assert_eq!((settled_turns.len(), &settled_turns[0].session), (1, &id("c")));
        for id in &ids {
            let session = live(&supervisor, id).await;
            assert_eq!((session.id(), texts(&session).await), (&ids[2], vec!["one".to_owned()]));
        }
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), &ids[2]);
        assert_eq!(supervisor.loaded(), 1);
        drop(turn);
        supervisor.delete(&ids[1]).await.unwrap();
        settled(&supervisor).await;
        let stage = stage.reopened().await;
        let supervisor = stage.start().await;
        let tombstone = gone(&supervisor, &ids[0]).await;
        for id in &ids {
            assert_eq!(gone(&supervisor, id).await, tombstone);
        }
    }

    // A13, G10, G11: by a former id, too
    async fn a_turn_that_nobody_holds_is_cleared_whatever_id_it_is_seen_by(stage) {
        let (supervisor, session) = stage.session().await;
        let first = session.id().clone();
        session.rotate(Some(id("new"))).await.unwrap();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        let record = session.record().await.unwrap();
        assert_eq!(record.open.len(), 1);
        stage.store.fail_next_of(StoreCall::Commit, Fault::Unavailable);
        let failed = turn.commit(&says("re: one")).await;
        assert!(matches!(failed, Err(CommitError::Store { .. })), "{failed:?}");
        let Found::Live(cleared) = supervisor.record(&first).await.unwrap() else { panic!("live") };
        assert_eq!((cleared.open.len(), &cleared.id), (0, &id("new")));
        let Found::Live(cleared) = supervisor.clear_stale(&record).await.unwrap() else {
            panic!("live")
        };
        assert_eq!(cleared.open.len(), 0);
        settled(&supervisor).await;
    }
}

/// The id that many of the tests give.
fn rotated() -> &'static SessionId {
    static NEW: std::sync::OnceLock<SessionId> = std::sync::OnceLock::new();
    NEW.get_or_init(|| id("new"))
}

in_paused_time! {
    // A13, E9: a turn that still runs pins the tombstone under each id
    async fn a_turn_that_still_runs_keeps_every_id_from_being_used_again(stage) {
        let change = |config: &mut Config| config.tombstones.keep_for = Duration::from_secs(1);
        let (supervisor, session) = stage.session_with(change).await;
        let first = session.id().clone();
        session.rotate(Some(id("new"))).await.unwrap();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        session.delete().await.unwrap();
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        for id in [&first, &id("new")] {
            gone(&supervisor, id).await;
            let error = supervisor.create_id(id, NewSession::new()).await.unwrap_err();
            assert!(matches!(error, CreateError::Gone { .. }), "{error:?}");
        }
        let other = supervisor.create(NewSession::new()).await.unwrap();
        let error = other.rotate(Some(id("new"))).await.unwrap_err();
        assert!(matches!(error, RotateError::Buried { .. }), "{error:?}");
        drop(turn);
        assert_eq!(other.rotate(Some(id("new"))).await.unwrap(), id("new"));
        supervisor.create_id(&first, NewSession::new()).await.unwrap();
        assert_eq!(live(&supervisor, &id("new")).await.id(), &id("new"));
        settled(&supervisor).await;
    }
}

//! Several keys of one session: whoever comes by any of them comes to the same turns.

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

use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{
    BeginError, BindError, BusyPolicy, Config, DeleteOutcome, NewSession, Session, SessionError,
    SessionId, SessionKey, StoreError, Supervisor,
};
use support::{
    begin, committed, everywhere, in_paused_time, key, poll_once, quiet, settled, texts, until,
    user,
};

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

/// The keys of these chats, which are in order.
fn keys<const N: usize>(chats: [&str; N]) -> Vec<SessionKey> {
    chats.map(key).to_vec()
}

everywhere! {
    // A12, B1, B4
    async fn two_keys_of_one_session_are_one_slot_and_one_queue(stage) {
        let (supervisor, session) = stage.session().await;
        let (web, irc) = (key("web"), key("#rust"));
        assert_eq!(supervisor.bind(&web, &session).await.unwrap(), None);
        assert_eq!(supervisor.open(&web).await.unwrap().id(), session.id());
        assert_eq!(supervisor.loaded(), 1);

        let turn = supervisor.begin(&irc, &user("one"), ()).await.unwrap();
        let busy = supervisor.begin(&web, &user("no"), BusyPolicy::Reject).await.unwrap_err();
        let BeginError::Busy { id, holder, .. } = busy else { panic!("{busy:?}") };
        assert_eq!((&id, holder.stream), (session.id(), turn.stream()));
        let by_web = supervisor.open(&web).await.unwrap();
        assert!(by_web.status().is_busy());

        let mut second = begin(&by_web, "two", BusyPolicy::queue());
        let mut third = begin(&session, "three", BusyPolicy::queue());
        let mut fourth = begin(&supervisor.open(&web).await.unwrap(), "four", BusyPolicy::queue());
        for waiter in [&mut second, &mut third, &mut fourth] {
            assert!(poll_once(waiter).is_pending());
        }
        committed(turn, "re: one").await;
        for (waiter, text) in [(second, "two"), (third, "three"), (fourth, "four")] {
            committed(waiter.await.unwrap(), &format!("re: {text}")).await;
        }
        let said = ["one", "re: one", "two", "re: two", "three", "re: three", "four", "re: four"];
        assert_eq!(texts(&session).await, said);
        settled(&supervisor).await;
    }

    // A12: what it was created under is one of them
    async fn the_keys_of_a_session_are_listed(stage) {
        let (supervisor, session) = stage.session().await;
        for chat in ["b", "a", "b"] {
            supervisor.bind(&key(chat), &session).await.unwrap();
        }
        let all = keys(["#rust", "a", "b"]);
        assert_eq!(session.keys().await.unwrap(), all);
        assert_eq!(supervisor.keys_of(session.id()).await.unwrap(), all);
        assert_eq!(session.key(), Some(&key("#rust")));
        let bound = supervisor.unbind(&key("#rust")).await.unwrap();
        assert_eq!(bound.as_ref(), Some(session.id()));
        assert_eq!(session.keys().await.unwrap(), keys(["a", "b"]));
        session.delete().await.unwrap();
        assert!(matches!(session.keys().await.unwrap_err(), SessionError::Gone { .. }));
        assert_eq!(supervisor.keys_of(session.id()).await.unwrap(), Vec::new());
        settled(&supervisor).await;
    }

    // A12: a name that is taken stays, unless it is said to move; then only the name moves
    async fn a_key_moves_only_if_that_is_said_and_turns_go_on_where_they_are(stage) {
        let (supervisor, one) = stage.session().await;
        let other = supervisor.open(&key("other")).await.unwrap();
        assert_eq!(supervisor.bind(&key("#rust"), &one).await.unwrap().as_ref(), Some(one.id()));
        let error = supervisor.bind(&key("#rust"), &other).await.unwrap_err();
        let BindError::Taken { key: taken, to, instance } = &error else { panic!("{error:?}") };
        assert_eq!((taken, to, *instance), (&key("#rust"), one.id(), supervisor.instance()));
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), one.id());

        let turn = supervisor.begin(&key("#rust"), &user("one"), ()).await.unwrap();
        let moved = supervisor.rebind(&key("#rust"), &other).await.unwrap();
        assert_eq!(moved.as_ref(), Some(one.id()));
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), other.id());
        let next = supervisor.begin(&key("#rust"), &user("two"), BusyPolicy::Reject).await.unwrap();
        committed(next, "re: two").await;
        committed(turn, "re: one").await;
        assert_eq!(texts(&one).await, ["one", "re: one"]);
        assert_eq!(texts(&other).await, ["two", "re: two"]);
        assert_eq!(one.keys().await.unwrap(), Vec::new());
        assert_eq!(other.keys().await.unwrap(), keys(["#rust", "other"]));
        quiet(&supervisor, &one).await;
        quiet(&supervisor, &other).await;
    }

    // A12
    async fn an_unbound_key_starts_afresh_and_the_session_stays(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("one"), ()).await.unwrap();
        assert_eq!(supervisor.unbind(&key("#rust")).await.unwrap().as_ref(), Some(session.id()));
        assert_eq!(supervisor.unbind(&key("#rust")).await.unwrap(), None);
        let fresh = supervisor.open(&key("#rust")).await.unwrap();
        assert_ne!(fresh.id(), session.id());
        committed(turn, "re: one").await;
        assert_eq!(texts(&session).await.len(), 2);
        let found = supervisor.look_up(session.id()).await.unwrap().live().unwrap();
        assert_eq!(found.id(), session.id());
        quiet(&supervisor, &session).await;
    }

    // A12, A8: a reset moves one name, and ends what runs
    async fn a_reset_by_one_key_leaves_the_other_where_it_is(stage) {
        let (supervisor, session) = stage.session().await;
        supervisor.bind(&key("web"), &session).await.unwrap();
        let opened = supervisor.reset(&key("web"), NewSession::new()).await.unwrap();
        assert_eq!(opened.previous.map(|it| it.id).as_ref(), Some(session.id()));
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), session.id());
        assert_eq!(supervisor.open(&key("web")).await.unwrap().id(), opened.session.id());
        assert_eq!(session.keys().await.unwrap(), keys(["#rust"]));
        settled(&supervisor).await;
    }

    // A12, E3: nothing is left of a session that is deleted by one of them
    async fn a_delete_unbinds_every_key(stage) {
        let (supervisor, session) = stage.session().await;
        for chat in ["a", "b"] {
            supervisor.bind(&key(chat), &session).await.unwrap();
        }
        let by_a = supervisor.open(&key("a")).await.unwrap();
        assert!(matches!(by_a.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
        let mut ids = vec![session.id().clone()];
        for chat in ["#rust", "a", "b"] {
            let fresh = supervisor.open(&key(chat)).await.unwrap();
            assert!(!ids.contains(fresh.id()), "{chat}");
            ids.push(fresh.id().clone());
        }
        let error = supervisor.bind(&key("c"), &session).await.unwrap_err();
        let BindError::Gone { id, .. } = &error else { panic!("{error:?}") };
        assert_eq!(id, session.id());
        settled(&supervisor).await;
    }

    // A12, X14: what leaves memory leaves no key behind, and comes back by any of them
    async fn a_session_that_left_comes_back_by_any_of_its_keys(stage) {
        let (supervisor, session) = stage.session_with(cap_of_one).await;
        supervisor.bind(&key("web"), &session).await.unwrap();
        leaves(&supervisor, &session).await;
        // Where it is not loaded, it is bound all the same.
        assert_eq!(supervisor.bind(&key("late"), &session).await.unwrap(), None);
        assert!(!session.status().loaded);
        for chat in ["web", "late", "#rust"] {
            leaves(&supervisor, &session).await;
            assert_eq!(supervisor.open(&key(chat)).await.unwrap().id(), session.id(), "{chat}");
            assert!(session.status().loaded);
        }
        leaves(&supervisor, &session).await;
        let turn = supervisor.begin(&key("late"), &user("one"), ()).await.unwrap();
        assert_eq!(turn.session(), session.id());
        committed(turn, "re: one").await;
        quiet(&supervisor, &session).await;
    }

    // A12, G1
    async fn keys_are_kept_over_a_restart(stage) {
        let (supervisor, session) = stage.session().await;
        supervisor.bind(&key("web"), &session).await.unwrap();
        supervisor.unbind(&key("#rust")).await.unwrap();
        settled(&supervisor).await;
        let id = session.id().clone();
        let stage = stage.reopened().await;
        let supervisor = stage.start().await;
        assert_eq!(supervisor.open(&key("web")).await.unwrap().id(), &id);
        assert_ne!(supervisor.open(&key("#rust")).await.unwrap().id(), &id);
        assert_eq!(supervisor.keys_of(&id).await.unwrap(), keys(["web"]));
    }

    // A12, L1
    async fn no_key_is_bound_after_the_shutdown(stage) {
        let (supervisor, session) = stage.session().await;
        supervisor.shutdown(Duration::from_secs(5)).await.unwrap();
        let error = supervisor.bind(&key("late"), &session).await.unwrap_err();
        assert!(matches!(error, BindError::Draining { .. }), "{error:?}");
    }

    // A6, A12: bind first, and the open finds it; nothing is created beside
    async fn an_open_waits_for_a_bind_of_its_key(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Bind, Fault::HeldBefore(gate.clone()));
        let web = key("web");
        let mut bind = Box::pin(supervisor.bind(&web, &session));
        assert!(poll_once(&mut bind).is_pending());
        until("it is on its way", || stage.store.calls_of(StoreCall::Bind) == 1).await;
        let mut open = Box::pin(supervisor.open(&web));
        assert!(poll_once(&mut open).is_pending());
        gate.open();
        assert_eq!(open.await.unwrap().id(), session.id());
        assert_eq!(bind.await.unwrap(), None);
        assert_eq!(supervisor.counts().created, 1);
        settled(&supervisor).await;
    }

    // A6, A12: open first, and the bind is told what is there
    async fn a_bind_waits_for_an_open_of_its_key(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Create, Fault::HeldBefore(gate.clone()));
        let web = key("web");
        let mut open = Box::pin(supervisor.open(&web));
        assert!(poll_once(&mut open).is_pending());
        let mut bind = Box::pin(supervisor.bind(&web, &session));
        assert!(poll_once(&mut bind).is_pending());
        gate.open();
        let opened = open.await.unwrap();
        let error = bind.await.unwrap_err();
        let BindError::Taken { to, .. } = &error else { panic!("{error:?}") };
        assert_eq!(to, opened.id());
        settled(&supervisor).await;
    }

    // A12, E1: the bind is stored first, and goes with the session
    async fn a_bind_that_is_ahead_of_a_delete_goes_with_it(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Delete, Fault::HeldBefore(gate.clone()));
        let mut delete = Box::pin(session.delete());
        assert!(poll_once(&mut delete).is_pending());
        assert_eq!(supervisor.bind(&key("web"), &session).await.unwrap(), None);
        gate.open();
        delete.await.unwrap();
        assert_ne!(supervisor.open(&key("web")).await.unwrap().id(), session.id());
        settled(&supervisor).await;
    }

    // A12, E1: the delete is stored first
    async fn a_bind_that_is_behind_a_delete_is_told(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Bind, Fault::HeldBefore(gate.clone()));
        let mut bind = bind(&supervisor, "web", &session);
        assert!(poll_once(&mut bind).is_pending());
        until("it is on its way", || stage.store.calls_of(StoreCall::Bind) == 1).await;
        session.delete().await.unwrap();
        gate.open();
        let error = bind.await.unwrap_err();
        let BindError::Gone { id, .. } = &error else { panic!("{error:?}") };
        assert_eq!(id, session.id());
        assert_ne!(supervisor.open(&key("web")).await.unwrap().id(), session.id());
        settled(&supervisor).await;
    }

    // A12, E1: what the key was bound to goes away between the look and the change
    async fn a_bind_finds_out_that_its_key_was_unbound_by_a_delete(stage) {
        let (supervisor, session) = stage.session().await;
        let other = supervisor.open(&key("other")).await.unwrap();
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Bind, Fault::HeldBefore(gate.clone()));
        let mut bind = bind(&supervisor, "#rust", &other);
        assert!(poll_once(&mut bind).is_pending());
        until("it is on its way", || stage.store.calls_of(StoreCall::Bind) == 1).await;
        session.delete().await.unwrap();
        gate.open();
        assert_eq!(bind.await.unwrap(), None);
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), other.id());
        settled(&supervisor).await;
    }

    // A7, A12: a caller that goes away takes nothing back, and leaves no key in the cache
    async fn a_bind_goes_on_without_its_caller(stage) {
        let (supervisor, one) = stage.session().await;
        let other = supervisor.open(&key("other")).await.unwrap();
        for fault in [Fault::HeldBefore, Fault::HeldAfter] {
            let (gate, asked) = (Gate::new(), stage.store.calls_of(StoreCall::Bind));
            supervisor.rebind(&key("#rust"), &one).await.unwrap();
            assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), one.id());
            stage.store.fail_next_of(StoreCall::Bind, fault(gate.clone()));
            let mut bind = bind(&supervisor, "#rust", &other);
            assert!(poll_once(&mut bind).is_pending());
            until("it is on its way", || stage.store.calls_of(StoreCall::Bind) == asked + 2).await;
            drop(bind);
            gate.open();
            until("it is through", || supervisor.in_flight() == 0).await;
            assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), other.id());
        }
        settled(&supervisor).await;
    }

    // A12, G2: a store that fails says so, and what it has done is found
    async fn a_bind_that_fails_leaves_the_key_to_the_store(stage) {
        let (supervisor, one) = stage.session().await;
        let other = supervisor.open(&key("other")).await.unwrap();
        stage.store.fail_next_of(StoreCall::Bind, Fault::Unavailable);
        let error = supervisor.rebind(&key("#rust"), &other).await.unwrap_err();
        let BindError::Store { source: StoreError::Unavailable { .. }, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), one.id());
        stage.store.fail_next_of(StoreCall::Bind, Fault::UnknownButApplied);
        let error = supervisor.rebind(&key("#rust"), &other).await.unwrap_err();
        let BindError::Store { source: StoreError::OutcomeUnknown { .. }, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), other.id());
        settled(&supervisor).await;
    }

    // A12, X2: what is out of the way gets no key, and does not keep one from others
    async fn a_key_is_not_bound_to_what_was_archived(stage) {
        let (supervisor, archived) = stage.session().await;
        archived.archive().await.unwrap();
        let error = supervisor.bind(&key("web"), &archived).await.unwrap_err();
        let BindError::Unroutable { id, standing, .. } = &error else { panic!("{error:?}") };
        assert_eq!((id, standing.as_str()), (archived.id(), "archived"));
        let other = supervisor.open(&key("other")).await.unwrap();
        let bound = supervisor.bind(&key("#rust"), &other).await.unwrap();
        assert_eq!(bound.as_ref(), Some(archived.id()));
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), other.id());
        archived.restore().await.unwrap();
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), other.id());
        assert_eq!(archived.keys().await.unwrap(), Vec::new());
        supervisor.bind(&key("web"), &archived).await.unwrap();
        settled(&supervisor).await;
    }
}

in_paused_time! {
    // A12: one that nobody remembers is told so
    async fn a_key_is_not_bound_to_what_is_not_known_any_more(stage) {
        let change = |config: &mut Config| config.tombstones.keep_for = Duration::from_secs(1);
        let (supervisor, session) = stage.session_with(change).await;
        session.delete().await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let error = supervisor.bind(&key("web"), &session).await.unwrap_err();
        let BindError::Unknown { id, .. } = &error else { panic!("{error:?}") };
        assert_eq!(id, session.id());
    }
}

/// A rebind that owns what it needs.
fn bind(supervisor: &Supervisor, chat: &str, session: &Session) -> Binding {
    let (supervisor, key, session) = (supervisor.clone(), key(chat), session.clone());
    Box::pin(async move { supervisor.rebind(&key, &session).await })
}

/// What [`bind`] returns.
type Binding = Pin<Box<dyn Future<Output = Result<Option<SessionId>, BindError>> + Send>>;

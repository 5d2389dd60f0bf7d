//! Sessions that are created with an id of the caller's own and a key at once: both, or neither.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a test, which does not run on the library's seam"
)]

use crate::support;

use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{CreateError, ErrorKind, Lookup, NewSession, RebindReason, SessionId};
use support::{committed, everywhere, key, poll_once, settled, texts, user};

fn id(text: &str) -> SessionId {
    SessionId::new(text).unwrap()
}

everywhere! {
    // A2, A12
    async fn a_session_has_its_id_and_its_key_from_the_start(stage) {
        let supervisor = stage.start().await;
        let new = NewSession::new().entry(user("system"));
        let session = supervisor.create_for(&key("web"), &id("mine"), new).await.unwrap();
        assert_eq!((session.id(), session.key()), (&id("mine"), Some(&key("web"))));
        assert_eq!(texts(&session).await, ["system"]);
        assert_eq!(supervisor.open(&key("web")).await.unwrap().id(), &id("mine"));
        assert_eq!(session.keys().await.unwrap(), [key("web")]);
        assert_eq!((supervisor.counts().created, supervisor.loaded()), (1, 1));
        settled(&supervisor).await;
    }

    // A2, A12: the id stays free, and no tombstone lies on it
    async fn a_key_that_is_taken_leaves_the_id_as_it_was(stage) {
        let (supervisor, session) = stage.session().await;
        let wanted = supervisor.create_for(&key("#rust"), &id("mine"), NewSession::new()).await;
        let error = wanted.unwrap_err();
        let CreateError::KeyTaken { key: told, to, .. } = &error else { panic!("{error:?}") };
        assert_eq!((told, to, error.kind()), (&key("#rust"), session.id(), ErrorKind::Conflict));
        assert!(matches!(supervisor.look_up(&id("mine")).await.unwrap(), Lookup::Unknown));
        supervisor.create_for(&key("web"), &id("mine"), NewSession::new()).await.unwrap();
        settled(&supervisor).await;
    }

    // A2, A12: the key leads where it led
    async fn an_id_that_is_taken_leaves_the_key_as_it_was(stage) {
        let supervisor = stage.start().await;
        let there = supervisor.create_id(&id("mine"), NewSession::new()).await.unwrap();
        let again = supervisor.create_for(&key("web"), &id("mine"), NewSession::new()).await;
        assert!(matches!(again, Err(CreateError::Exists { .. })), "{again:?}");
        there.delete().await.unwrap();
        let gone = supervisor.create_for(&key("web"), &id("mine"), NewSession::new()).await;
        assert!(matches!(gone, Err(CreateError::Gone { .. })), "{gone:?}");
        assert_ne!(supervisor.open(&key("web")).await.unwrap().id(), &id("mine"));

        let reuse = NewSession::new().allow_reuse();
        let reused = supervisor.create_for(&key("irc"), &id("mine"), reuse).await.unwrap();
        assert!(reused.incarnation() > there.incarnation());
        assert_eq!(supervisor.open(&key("irc")).await.unwrap().id(), &id("mine"));
        settled(&supervisor).await;
    }

    // A6, A12: of those who come for one key at once, one creates
    async fn an_open_of_the_key_waits_for_it(stage) {
        let supervisor = stage.start().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Create, Fault::HeldBefore(gate.clone()));
        let (web, mine) = (key("web"), id("mine"));
        let mut create = Box::pin(supervisor.create_for(&web, &mine, NewSession::new()));
        assert!(poll_once(&mut create).is_pending());
        let mut open = Box::pin(supervisor.open(&web));
        assert!(poll_once(&mut open).is_pending());
        gate.open();
        assert_eq!(create.await.unwrap().id(), &mine);
        assert_eq!(open.await.unwrap().id(), &mine);
        assert_eq!(supervisor.counts().created, 1);
        settled(&supervisor).await;
    }

    // A12, X2: what is out of the way keeps no key, and is what was there before
    async fn a_key_of_what_was_archived_is_free(stage) {
        let (supervisor, archived) = stage.session().await;
        archived.archive().await.unwrap();
        let new = NewSession::new();
        let session = supervisor.create_for(&key("#rust"), &id("mine"), new).await.unwrap();
        let previous = session.previous().unwrap();
        assert_eq!((&previous.id, previous.reason), (archived.id(), RebindReason::Archived));
        committed(session.begin(&user("hello"), ()).await.unwrap(), "hi").await;
        settled(&supervisor).await;
    }

    // A12, G2: a store that fails says so, and what it has done is found
    async fn a_store_that_fails_has_done_both_or_neither(stage) {
        let supervisor = stage.start().await;
        stage.store.fail_next_of(StoreCall::Create, Fault::Unavailable);
        let failed = supervisor.create_for(&key("web"), &id("a"), NewSession::new()).await;
        assert!(matches!(failed, Err(CreateError::Store { .. })), "{failed:?}");
        assert!(matches!(supervisor.look_up(&id("a")).await.unwrap(), Lookup::Unknown));
        stage.store.fail_next_of(StoreCall::Create, Fault::UnknownButApplied);
        let unknown = supervisor.create_for(&key("web"), &id("b"), NewSession::new()).await;
        assert!(matches!(unknown, Err(CreateError::Store { .. })), "{unknown:?}");
        assert_eq!(supervisor.open(&key("web")).await.unwrap().id(), &id("b"));
        settled(&supervisor).await;
        supervisor.shutdown(Duration::from_secs(5)).await.unwrap();
        let late = supervisor.create_for(&key("irc"), &id("c"), NewSession::new()).await;
        assert!(matches!(late, Err(CreateError::Draining { .. })), "{late:?}");
    }
}

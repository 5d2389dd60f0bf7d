//! The host may refuse a turn, and what it refuses has touched nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use session_supervisor::testing::FaultyStore;
use session_supervisor::{
    AdmissionRequest, BeginError, BusyPolicy, Denial, MemoryStore, Supervisor, TurnInput,
};
use support::{committed, key, quiet, settled, user};

/// A supervisor whose host counts what it is asked, and refuses inputs of more than 60 bytes.
async fn guarded(asked: &Arc<AtomicUsize>) -> (FaultyStore, Supervisor) {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let asked = asked.clone();
    let admission = move |request: &AdmissionRequest<'_>| {
        asked.fetch_add(1, Ordering::SeqCst);
        assert!(request.key.is_some());
        if request.input_bytes > 60 { Err(Denial::new("say it in fewer words")) } else { Ok(()) }
    };
    let builder = Supervisor::builder().store(store.clone()).admission(admission);
    (store, builder.start().await.unwrap())
}

// B16, A10
#[tokio::test]
async fn a_host_is_asked_once_whether_the_session_is_idle_or_busy_and_a_refusal_touches_nothing() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (store, supervisor) = guarded(&asked).await;
    let long = user(&"x".repeat(100));
    let policies = [
        BusyPolicy::Reject,
        BusyPolicy::queue(),
        BusyPolicy::interrupt(),
        BusyPolicy::Parallel(session_supervisor::Parallel::FirstCommit),
    ];

    // No session yet: none is created.
    let error = supervisor.begin(&key("#new"), &long, ()).await.unwrap_err();
    assert!(matches!(&error, BeginError::Denied { denial, instance }
        if denial.reason == "say it in fewer words" && *instance == supervisor.instance()));
    assert_eq!(error.to_string(), "the turn was refused: say it in fewer words");
    assert_eq!((supervisor.loaded(), supervisor.counts().created, store.writes()), (0, 0, 0));

    let session = supervisor.open(&key("#rust")).await.unwrap();
    let (before, writes) = (asked.load(Ordering::SeqCst), store.writes());
    for (nth, policy) in policies.into_iter().enumerate() {
        let error = session.begin(&long, policy).await.unwrap_err();
        assert!(matches!(error, BeginError::Denied { .. }), "idle, {policy:?}: {error}");
        assert_eq!(asked.load(Ordering::SeqCst), before + nth + 1, "asked once");
    }
    let turn = session.begin(&user("short"), ()).await.unwrap();
    for policy in policies {
        let error = session.begin(&long, policy).await.unwrap_err();
        assert!(matches!(error, BeginError::Denied { .. }), "busy, {policy:?}: {error}");
        let status = session.status();
        assert_eq!((status.turns.len(), status.queued), (1, 0), "{policy:?}");
    }
    assert_eq!(turn.cancelled_by(), None, "a refused newcomer interrupts nobody");
    assert_eq!(store.writes(), writes + 1, "the turn that runs, and nothing else");
    assert_eq!(supervisor.counts().begins_refused, 9);
    committed(turn, "done").await;
    quiet(&supervisor, &session).await;
}

// B16: by key, an admitted message is asked about once as well.
#[tokio::test]
async fn a_message_for_a_key_is_asked_about_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (_store, supervisor) = guarded(&asked).await;
    for expected in 1..=3 {
        let turn = supervisor.begin(&key("#rust"), &user("hello"), ()).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), expected);
        committed(turn, "hi").await;
    }
    let session = supervisor.open(&key("#rust")).await.unwrap();
    committed(session.begin(TurnInput::none(), ()).await.unwrap(), "on my own").await;
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    settled(&supervisor).await;
}

// M1
#[tokio::test]
async fn a_host_that_panics_leaves_nothing_behind() {
    let first = AtomicUsize::new(0);
    let admission = move |_: &AdmissionRequest<'_>| {
        assert!(first.fetch_add(1, Ordering::SeqCst) > 0, "the first is too much");
        Ok(())
    };
    let supervisor: Supervisor = Supervisor::builder().admission(admission).start().await.unwrap();
    let session = supervisor.open(&key("#rust")).await.unwrap();
    let begun = tokio::spawn({
        let session = session.clone();
        async move { session.begin(&user("hello"), ()).await.map(drop) }
    });
    assert!(begun.await.unwrap_err().is_panic());
    committed(session.begin(&user("again"), ()).await.unwrap(), "hi").await;
    quiet(&supervisor, &session).await;
}

//! Opening a key: one session for all who come, whatever fails on the way; and resetting it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::similar_names,
    clippy::default_trait_access,
    clippy::manual_assert,
    reason = "a test, which does not run on the library's seam"
)]

use crate::support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use session_supervisor::store::{Binding, Created, NewRecord, Store, StoreError};
use session_supervisor::testing::{Fault, Gate, StoreCall, drop_at_every_await};
use session_supervisor::{
    BeginError, BusyPolicy, CancelReason, ChatMessage, CommitOutcome, EntryMark, Event, Lookup,
    NewSession, OpenError, Previous, RebindReason, RecordFilter, SessionId, Supervisor,
    TurnOutcome,
};
use support::{committed, everywhere, key, quiet, read_out, says, settled, texts, until, user};
use tokio::sync::Barrier;

/// Everything in the store, by id.
async fn listed(supervisor: &Supervisor) -> Vec<SessionId> {
    let page = supervisor.list(RecordFilter::default(), None, 1_000).await.unwrap();
    page.records.into_iter().map(|record| record.id).collect()
}

everywhere! {
    // A6
    async fn sixty_four_who_open_one_key_together_get_one_session_created_once(stage) {
        let supervisor = stage.start().await;
        let (barrier, made) = (Arc::new(Barrier::new(64)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..64).map(|_| {
            let (supervisor, barrier, made) = (supervisor.clone(), barrier.clone(), made.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                let factory = || {
                    made.fetch_add(1, Ordering::SeqCst);
                    NewSession::new().entry(ChatMessage::system("be kind"))
                };
                let opened = supervisor.open_with(&key("#rust"), factory).await.unwrap();
                (opened.session.id().clone(), opened.created)
            })
        }).collect();
        let (mut ids, mut created) = (HashSet::new(), 0);
        for caller in callers {
            let (id, was_created) = caller.await.unwrap();
            ids.insert(id);
            created += usize::from(was_created);
        }
        assert_eq!(ids.len(), 1);
        assert_eq!((created, made.load(Ordering::SeqCst)), (1, 1));
        assert_eq!(stage.store.calls_of(StoreCall::Create), 1);
        assert_eq!((supervisor.loaded(), supervisor.in_flight()), (1, 0));
        settled(&supervisor).await;
    }

    // A6, A7
    async fn those_who_come_together_survive_a_creator_that_fails(stage) {
        let supervisor = stage.start().await;
        stage.store.fail_next_of(StoreCall::Create, Fault::Unavailable);
        let barrier = Arc::new(Barrier::new(16));
        let callers: Vec<_> = (0..16).map(|_| {
            let (supervisor, barrier) = (supervisor.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                supervisor.open(&key("#rust")).await
            })
        }).collect();
        let (mut ids, mut failed) = (HashSet::new(), 0);
        for caller in callers {
            match caller.await.unwrap() {
                Ok(session) => drop(ids.insert(session.id().clone())),
                Err(OpenError::Store { source: StoreError::Unavailable { .. }, .. }) => failed += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!((ids.len(), failed), (1, 1));
        assert_eq!(stage.store.calls_of(StoreCall::Create), 2);
        settled(&supervisor).await;
    }

    // A7
    async fn after_an_open_that_failed_at_any_call_the_next_one_succeeds(stage) {
        let supervisor = stage.start().await;
        let faults = [Fault::Unavailable, Fault::Full, Fault::UnknownAndLost, Fault::UnknownButApplied];
        for (place, call) in [StoreCall::BoundTo, StoreCall::Create].into_iter().enumerate() {
            for (number, fault) in faults.iter().enumerate() {
                let key = key(&format!("{place}-{number}"));
                stage.store.fail_next_of(call, fault.clone());
                let error = supervisor.open(&key).await.unwrap_err();
                assert!(matches!(&error, OpenError::Store { key: k, .. } if *k == key), "{error:?}");
                let before = stage.store.calls_of(StoreCall::Create);
                let opened = supervisor.open_with(&key, NewSession::new).await.unwrap();
                let applied = call == StoreCall::Create && matches!(fault, Fault::UnknownButApplied);
                assert_eq!(opened.created, !applied, "{call:?} {fault:?}");
                let creates = stage.store.calls_of(StoreCall::Create) - before;
                assert_eq!(creates, u64::from(!applied));
                assert_eq!(supervisor.open(&key).await.unwrap().id(), opened.session.id());
            }
        }
        assert_eq!((supervisor.loaded(), listed(&supervisor).await.len()), (8, 8));
        assert_eq!(supervisor.in_flight(), 0);
        settled(&supervisor).await;
    }

    // A7
    async fn an_open_that_is_dropped_at_any_await_leaves_the_key_to_the_next(stage) {
        let supervisor = stage.start().await;
        let mut number = 0;
        drop_at_every_await(
            async || {
                number += 1;
                let (supervisor, key) = (supervisor.clone(), key(&format!("#{number}")));
                (key.clone(), async move { supervisor.open(&key).await.unwrap().id().clone() })
            },
            async |key, output: Option<SessionId>| {
                let id = supervisor.open(&key).await.unwrap().id().clone();
                assert!(output.is_none_or(|opened| opened == id));
            },
        )
        .await;
        assert_eq!(listed(&supervisor).await.len(), number, "one session for each key");
        assert_eq!(supervisor.in_flight(), 0);
        settled(&supervisor).await;
    }

    // A7
    async fn when_the_leader_is_dropped_a_waiter_leads(stage) {
        let supervisor = stage.start().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::BoundTo, Fault::HeldBefore(gate.clone()));
        let open = |supervisor: Supervisor| async move { supervisor.open(&key("#rust")).await };
        let leader = tokio::spawn(open(supervisor.clone()));
        gate.wait_until_reached().await;
        let waiter = tokio::spawn(open(supervisor.clone()));
        tokio::task::yield_now().await;
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        let session = waiter.await.unwrap().unwrap();
        gate.open();
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), session.id());
        assert_eq!(supervisor.in_flight(), 0);
        settled(&supervisor).await;
    }

    // A7, M1
    async fn a_factory_that_panics_or_makes_nonsense_leaves_nothing_behind(stage) {
        let supervisor = stage.start_with(|config| config.limits.max_entry_bytes = 64).await;
        let (theirs, key) = (supervisor.clone(), key("#rust"));
        let of_panic = key.clone();
        let panics = tokio::spawn(async move {
            theirs.open_with(&of_panic, || panic!("the factory")).await.map(|opened| opened.created)
        });
        assert!(panics.await.unwrap_err().is_panic());
        let large = || NewSession::new().entry(user(&"x".repeat(100)));
        let error = supervisor.open_with(&key, large).await.unwrap_err();
        assert!(matches!(error, OpenError::Content { .. }), "{error:?}");
        assert_eq!(stage.store.calls_of(StoreCall::Create), 0);
        assert_eq!((supervisor.loaded(), supervisor.in_flight()), (0, 0));
        assert!(supervisor.open_with(&key, NewSession::new).await.unwrap().created);
        settled(&supervisor).await;
    }

    // A6
    async fn the_factory_is_not_called_for_a_key_that_is_bound(stage) {
        let supervisor = stage.start().await;
        let first = supervisor
            .open_with(&key("#rust"), || NewSession::new().label("first").insert("mood", &"good"))
            .await
            .unwrap();
        let again = supervisor.open_with(&key("#rust"), || panic!("called")).await.unwrap();
        assert!(first.created && !again.created);
        assert_eq!(again.session.id(), first.session.id());
        assert_eq!(again.session.record().await.unwrap().label.as_deref(), Some("first"));
        let mood: Option<String> = again.session.get("mood").await.unwrap();
        assert_eq!(mood.as_deref(), Some("good"));
    }

    // A6
    async fn an_open_whose_key_is_bound_by_somebody_else_meanwhile_takes_theirs(stage) {
        let supervisor = stage.start().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Create, Fault::HeldBefore(gate.clone()));
        let ours = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.open_with(&key("#rust"), NewSession::new).await }
        });
        gate.wait_until_reached().await;
        let id = SessionId::new("theirs").unwrap();
        let binding = Some(Binding { key: key("#rust"), expected: None });
        let (entries, data) = (Vec::new(), Vec::new());
        let at = supervisor.now();
        let new =
            NewRecord { binding, entries, data, ..NewRecord::new(id.clone(), at) };
        assert!(matches!(stage.store.create(new).await, Ok(Created::Created(_))));
        gate.open();
        let opened = ours.await.unwrap().unwrap();
        assert_eq!((opened.session.id(), opened.created), (&id, false));
        assert_eq!(listed(&supervisor).await, [id]);
        settled(&supervisor).await;
    }

    // A6, E3: an open of a key whose session is being deleted
    async fn an_open_during_a_delete_waits_for_it_and_creates_afresh(stage) {
        let (supervisor, session) = stage.session().await;
        session.append(&[user("old")]).await.unwrap();
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Delete, Fault::HeldBefore(gate.clone()));
        let deleting = tokio::spawn({
            let session = session.clone();
            async move { session.delete().await }
        });
        gate.wait_until_reached().await;
        let creates = stage.store.calls_of(StoreCall::Create);
        let opening = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.open(&key("#rust")).await }
        });
        until("the open has begun", || supervisor.in_flight() > 0).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!opening.is_finished(), "nobody is told before the delete is durable");
        assert_eq!(stage.store.calls_of(StoreCall::Create), creates);
        gate.open();
        deleting.await.unwrap().unwrap();
        let fresh = opening.await.unwrap().unwrap();
        assert_ne!(fresh.id(), session.id());
        assert_eq!(texts(&fresh).await, Vec::<String>::new());
        settled(&supervisor).await;
    }

    // A12: what a reset does
    async fn a_reset_binds_a_fresh_session_and_fences_the_turns_of_the_old_one(stage) {
        let (supervisor, old) = stage.session().await;
        let turn = old.begin(&user("question"), ()).await.unwrap();
        let reader = turn.subscribe();
        let mut waiting = support::begin(&old, "waiting", BusyPolicy::queue());
        assert!(support::poll_once(&mut waiting).is_pending());
        let reset = supervisor.reset(&key("#rust"), NewSession::new().label("new")).await.unwrap();
        assert!(reset.created);
        let previous = Previous::new(old.id().clone(), RebindReason::Reset);
        assert_eq!(reset.previous, Some(previous));
        assert_ne!(reset.session.id(), old.id());
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), reset.session.id());
        let refused = waiting.await.unwrap_err();
        assert!(matches!(refused, BeginError::Cancelled { reason: CancelReason::Reset }), "{refused:?}");
        assert_eq!(turn.cancelled().await, CancelReason::Reset);
        let late = turn.commit(&says("late")).await.unwrap();
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Reset });
        assert_eq!(read_out(reader).await.1, TurnOutcome::Cancelled(CancelReason::Reset));
        quiet(&supervisor, &old).await;
        assert!(matches!(supervisor.look_up(old.id()).await.unwrap(), Lookup::Live(_)));
        let kept = old.transcript().await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].mark, EntryMark::Unanswered);
        assert_eq!(listed(&supervisor).await, [old.id().clone(), reset.session.id().clone()]);
        // The old one still takes turns from whoever holds it.
        let turn = old.begin(&user("still there"), ()).await.unwrap();
        committed(turn, "yes").await;
        settled(&supervisor).await;
    }

    // B1, A6: resets of one key at once
    async fn resets_of_one_key_at_once_each_bind_a_session_of_their_own(stage) {
        let supervisor = stage.start().await;
        let barrier = Arc::new(Barrier::new(8));
        let resets: Vec<_> = (0..8).map(|_| {
            let (supervisor, barrier) = (supervisor.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                supervisor.reset(&key("#rust"), NewSession::new()).await.unwrap()
            })
        }).collect();
        let (mut fresh, mut previous) = (HashSet::new(), HashSet::new());
        for reset in resets {
            let reset = reset.await.unwrap();
            fresh.insert(reset.session.id().clone());
            previous.extend(reset.previous.map(|previous| previous.id));
        }
        assert_eq!((fresh.len(), previous.len()), (8, 7), "each replaced another one");
        let bound = supervisor.open(&key("#rust")).await.unwrap().id().clone();
        assert_eq!(fresh.difference(&previous).collect::<Vec<_>>(), [&bound]);
        settled(&supervisor).await;
    }

    // A7: a caller that goes away leaves the key where the store has it, and nothing that still runs
    async fn a_reset_goes_on_without_its_caller(stage) {
        let (supervisor, rust) = (stage.start().await, key("#rust"));
        for fault in [Fault::HeldBefore, Fault::HeldAfter] {
            let old = supervisor.open(&rust).await.unwrap();
            let turn = old.begin(&user("question"), ()).await.unwrap();
            let (gate, asked) = (Gate::new(), stage.store.calls_of(StoreCall::Create));
            stage.store.fail_next_of(StoreCall::Create, fault(gate.clone()));
            let mut reset = Box::pin(supervisor.reset(&rust, NewSession::new()));
            assert!(support::poll_once(&mut reset).is_pending());
            let calls = || stage.store.calls_of(StoreCall::Create);
            until("it is on its way", || calls() == asked + 1).await;
            drop(reset);
            gate.open();
            until("it is through", || supervisor.in_flight() == 0).await;
            assert_ne!(supervisor.open(&rust).await.unwrap().id(), old.id());
            let late = turn.commit(&says("late")).await.unwrap();
            assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Reset });
            settled(&supervisor).await;
        }
    }

    // G2: what the store has done is found, though it could not say so
    async fn a_reset_of_which_the_outcome_is_not_known_leaves_the_key_to_the_store(stage) {
        let (supervisor, old) = stage.session().await;
        stage.store.fail_next_of(StoreCall::Create, Fault::UnknownButApplied);
        let error = supervisor.reset(&key("#rust"), NewSession::new()).await.unwrap_err();
        let OpenError::Store { source, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(source, StoreError::OutcomeUnknown { .. }), "{source:?}");
        assert_ne!(supervisor.open(&key("#rust")).await.unwrap().id(), old.id());
        settled(&supervisor).await;
    }

    async fn a_reset_that_the_store_refuses_changes_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        stage.store.fail_next_of(StoreCall::Create, Fault::Full);
        let error = supervisor.reset(&key("#rust"), NewSession::new()).await.unwrap_err();
        assert!(matches!(error, OpenError::Store { source: StoreError::Full { .. }, .. }), "{error:?}");
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), session.id());
        assert_eq!(turn.cancelled_by(), None);
        committed(turn, "answer").await;
        settled(&supervisor).await;
    }

    // A1: the id source repeats itself
    async fn an_id_that_is_in_use_is_a_typed_error_and_the_key_stays_free(stage) {
        let ids = session_supervisor::testing::FixedIds::new([7, 7, 7, 8]);
        let supervisor = stage.start_drawing(ids, |_| {}).await; // The first names the instance.
        let first = supervisor.open(&key("a")).await.unwrap();
        let error = supervisor.open(&key("b")).await.unwrap_err();
        assert!(matches!(&error, OpenError::IdCollision { id } if id == first.id()), "{error:?}");
        let second = supervisor.open(&key("b")).await.unwrap();
        assert_ne!(second.id(), first.id());
        settled(&supervisor).await;
    }

    // B5: draining comes before creating
    async fn a_supervisor_that_shuts_down_opens_what_there_is_and_creates_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let mut reader = turn.subscribe();
        let ending = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.shutdown(std::time::Duration::from_secs(50)).await }
        });
        until("it drains", || supervisor.is_draining()).await;
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), session.id());
        let error = supervisor.open(&key("#other")).await.unwrap_err();
        assert!(matches!(error, OpenError::Draining { .. }), "{error:?}");
        let error = supervisor.reset(&key("#rust"), NewSession::new()).await.unwrap_err();
        assert!(matches!(error, OpenError::Draining { .. }), "{error:?}");
        let error = supervisor.begin(&key("#other"), &user("hello"), ()).await.unwrap_err();
        assert!(matches!(error, BeginError::Draining { .. }), "{error:?}");
        let error = supervisor.begin(&key("#rust"), &user("hello"), ()).await.unwrap_err();
        assert!(matches!(error, BeginError::Draining { .. }), "draining comes before busy: {error:?}");
        committed(turn, "answer").await;
        assert_eq!(reader.next().await, Some(Event::Ended(TurnOutcome::Committed)));
        assert!(ending.await.unwrap().unwrap().clean);
    }

    // B5: and after the store is closed it is still told so
    async fn after_the_shutdown_whoever_comes_is_told_of_the_shutdown(stage) {
        let (supervisor, session) = stage.session().await;
        assert!(supervisor.shutdown(std::time::Duration::from_secs(5)).await.unwrap().clean);
        let error = session.begin(&user("hello"), ()).await.unwrap_err();
        assert!(matches!(error, BeginError::Draining { .. }), "{error:?}");
        let error = supervisor.open(&key("#other")).await.unwrap_err();
        assert!(matches!(error, OpenError::Draining { .. }), "{error:?}");
        let error = supervisor.begin(&key("#other"), &user("hello"), ()).await.unwrap_err();
        assert!(matches!(error, BeginError::Draining { .. }), "{error:?}");
    }
}

/// A delete that comes between finding a key's session and noting it must not leave the key noted.
#[test]
fn a_key_never_leads_to_a_session_that_is_over() {
    support::play(true, support::Kind::Memory, |stage| async move {
        let supervisor = stage.start().await;
        for round in 0..2_000 {
            let key = key(&format!("#{}", round % 7));
            let opening = tokio::spawn({
                let (supervisor, key) = (supervisor.clone(), key.clone());
                async move { supervisor.open(&key).await.unwrap() }
            });
            if let Some(id) = stage.store.bound_to(&key).await.unwrap() {
                supervisor.delete(&id).await.unwrap();
            }
            opening.await.unwrap();
        }
        settled(&supervisor).await;
    });
}

//! Suspend, archive, end, delete: four ways for a conversation to take no turns, and the ways back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::similar_names,
    clippy::wildcard_enum_match_arm,
    reason = "a test, which does not run on the library's seam"
)]

use crate::ending;
use crate::support;

use std::time::Duration;

use ending::{DAY, MS, TTL, age, crowd_out, idle, our_key, start, stored, talk};
use session_supervisor::store::Found;
use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{
    BeginError, BusyPolicy, CancelReason, CommitOutcome, DeleteOutcome, EndReason, ExpiryClock,
    Fate, GoneReason, KeptBy, Lookup, NewSession, Previous, RebindReason, RecordFilter, Session,
    SessionError, Standing, Supervisor, SuspendReason, TurnOutcome,
};
use support::{begin, commit, everywhere, key, poll_once, quiet, says, settled, texts, user};

/// One of the four.
async fn does(session: &Session, verb: &str) -> Result<(), SessionError> {
    match verb {
        "suspend" => session.suspend().await,
        "resume" => session.resume().await,
        "archive" => session.archive().await,
        "restore" => session.restore().await,
        "end" => session.end().await,
        other => panic!("{other}"),
    }
}

/// Its standing by name, everywhere it can be seen.
async fn stands(supervisor: &Supervisor, session: &Session) -> Standing {
    let standing = session.status().standing;
    assert_eq!(session.record().await.unwrap().standing, standing);
    assert_eq!(supervisor.explain(session.id()).await.unwrap().unwrap().standing, standing);
    let found = supervisor.look_up(session.id()).await.unwrap().live().unwrap();
    assert_eq!(found.status().standing, standing);
    standing
}

/// Those that a listing shows.
async fn listed(supervisor: &Supervisor, routable: Option<bool>, session: &Session) -> bool {
    let mut filter = RecordFilter::default();
    filter.routable = routable;
    let page = supervisor.list(filter, None, 100).await.unwrap();
    page.records.iter().any(|record| record.id == *session.id())
}

everywhere! {
    // E12: what runs is fenced, what waits is told, and what is left differs
    async fn the_four_differ_as_they_are_documented(stage) {
        let cases = [
            ("suspend", CancelReason::Suspended, "suspended"),
            ("archive", CancelReason::Archived, "archived"),
            ("end", CancelReason::Ended, "ended"),
            ("delete", CancelReason::Deleted, ""),
        ];
        for (verb, reason, name) in cases {
            let (supervisor, _clock) = start(&stage, |_| {}).await;
            let session = supervisor.open(&our_key()).await.unwrap();
            let turn = session.begin(&user("one"), ()).await.unwrap();
            let stream = turn.stream();
            let mut waiting = begin(&session, "two", BusyPolicy::queue());
            assert!(poll_once(&mut waiting).is_pending());
            if verb == "delete" {
                assert!(matches!(session.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
            } else {
                does(&session, verb).await.unwrap();
            }
            // What ran.
            assert_eq!(turn.cancelled_by(), Some(reason), "{verb}");
            assert_eq!(commit(turn, "late").await, CommitOutcome::Stale { reason }, "{verb}");
            // What waited.
            let refused = waiting.await.unwrap_err();
            match (&refused, verb) {
                (BeginError::Closing { .. }, "delete") => {}
                (BeginError::Inactive { standing, .. }, _) => assert_eq!(standing.as_str(), name),
                other => panic!("{other:?}"),
            }
            quiet(&supervisor, &session).await;
            if verb == "delete" {
                let Lookup::Gone(tombstone) = supervisor.look_up(session.id()).await.unwrap() else {
                    panic!()
                };
                assert_eq!(tombstone.reason, GoneReason::Deleted);
                assert!(matches!(session.transcript().await, Err(SessionError::Gone { .. })));
                assert_eq!(supervisor.open(&our_key()).await.unwrap().previous(), None);
                settled(&supervisor).await;
                continue;
            }
            // Nothing is lost, and nothing is taken.
            assert_eq!(texts(&session).await, ["one"], "{verb}");
            let (life, turn) = (stream.incarnation(), stream.generation());
            let outcome = stage.behind().turn(session.id(), life, turn).await.unwrap().unwrap().outcome;
            assert_eq!(outcome, TurnOutcome::Cancelled(reason), "{verb}");
            assert_eq!(stands(&supervisor, &session).await.as_str(), name);
            let refused = session.begin(&user("x"), ()).await.unwrap_err();
            assert!(matches!(refused, BeginError::Inactive { standing, .. } if standing.as_str() == name));
            for refused in [
                session.append(&[says("x")]).await.map(drop),
                session.insert("mood", &1).await.map(drop),
                session.remove("mood").await.map(drop),
                session.rollback(1, None).await.map(drop),
            ] {
                let refused = refused.unwrap_err();
                assert!(matches!(refused, SessionError::Inactive { .. }), "{verb}: {refused:?}");
            }
            assert!(matches!(session.retry(1, ()).await, Err(BeginError::Inactive { .. })));
            assert_eq!(session.get::<u8>("mood").await.unwrap(), None);
            // A line for people, and what is said of its end, can be changed.
            session.set_label(Some("a talk")).await.unwrap();
            session.pin().await.unwrap();
            session.unpin().await.unwrap();
            assert_eq!(session.record().await.unwrap().label.as_deref(), Some("a talk"));
            // Its key.
            let routable = verb == "suspend";
            assert!(listed(&supervisor, None, &session).await);
            assert_eq!(listed(&supervisor, Some(true), &session).await, routable);
            assert_eq!(listed(&supervisor, Some(false), &session).await, !routable);
            let opened = supervisor.open_with(&our_key(), NewSession::new).await.unwrap();
            assert_eq!(opened.created, !routable, "{verb}");
            if routable {
                assert_eq!(opened.session.id(), session.id());
                let refused = supervisor.begin(&our_key(), &user("x"), ()).await.unwrap_err();
                assert!(matches!(refused, BeginError::Inactive { .. }));
            } else {
                let why = if verb == "end" { RebindReason::Ended } else { RebindReason::Archived };
                let previous = Previous::new(session.id().clone(), why);
                assert_eq!(opened.previous, Some(previous.clone()));
                assert_eq!(opened.session.previous(), Some(&previous));
                // Also for whoever comes later.
                crowd_out(&supervisor, &opened.session).await;
                let again = supervisor.open(&our_key()).await.unwrap();
                assert_eq!((again.id(), again.previous()), (opened.session.id(), Some(&previous)));
                opened.session.delete().await.unwrap();
            }
            // It never ends by itself, whatever it is.
            assert_eq!(supervisor.explain(session.id()).await.unwrap().unwrap().fate, Fate::Inactive);
            session.delete().await.unwrap();
            settled(&supervisor).await;
        }
    }

    // E12: asked for twice, the first reason and time stand, and nothing is written
    async fn asked_for_again_nothing_changes(stage) {
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        talk(&session, "one").await;
        let version = session.status().version;
        for (verb, name) in [("suspend", "suspended"), ("archive", "archived"), ("end", "ended")] {
            for dormant in [false, true] {
                if dormant {
                    crowd_out(&supervisor, &session).await;
                }
                does(&session, verb).await.unwrap();
                quiet(&supervisor, &session).await;
                let before = stands(&supervisor, &session).await;
                assert_eq!(before.as_str(), name);
                clock.advance(TTL);
                stage.store.reset_calls();
                does(&session, verb).await.unwrap();
                assert_eq!(stage.store.writes(), 0, "{verb}");
                assert_eq!(stands(&supervisor, &session).await, before);
            }
        }
        assert_eq!(session.status().version, version, "the transcript is the same");
        // There and back without ever having been away.
        let other = supervisor.create(NewSession::new()).await.unwrap();
        quiet(&supervisor, &other).await;
        stage.store.reset_calls();
        other.resume().await.unwrap();
        other.restore().await.unwrap();
        assert_eq!(stage.store.writes(), 0);
        settled(&supervisor).await;
    }

    // E12: each way, and only the ways that there are
    async fn only_the_documented_ways_lead_back(stage) {
        let (supervisor, _clock) = start(&stage, |_| {}).await;
        let ways = [
            (&["suspend"][..], "suspend", "suspended"), (&["suspend"], "resume", "active"),
            (&["suspend"], "archive", "archived"), (&["suspend"], "restore", "refused"),
            (&["suspend"], "end", "ended"), (&["archive"], "suspend", "refused"),
            (&["archive"], "resume", "refused"), (&["archive"], "archive", "archived"),
            (&["archive"], "restore", "active"), (&["archive"], "end", "ended"),
            (&["end"], "suspend", "refused"), (&["end"], "resume", "refused"),
            (&["end"], "archive", "refused"), (&["end"], "restore", "refused"), (&["end"], "end", "ended"),
            (&["suspend", "archive"], "resume", "refused"),
            (&["suspend", "archive"], "restore", "active"), (&["archive", "end"], "restore", "refused"),
            (&["suspend", "resume"], "archive", "archived"), (&["archive", "restore"], "end", "ended"),
        ];
        for (before, verb, expected) in ways {
            let session = supervisor.create(NewSession::new()).await.unwrap();
            talk(&session, "one").await;
            for verb in before {
                does(&session, verb).await.unwrap();
            }
            let stood = stands(&supervisor, &session).await;
            let done = does(&session, verb).await;
            let stands = stands(&supervisor, &session).await;
            if expected == "refused" {
                let refused = done.unwrap_err();
                assert!(matches!(refused, SessionError::Inactive { standing, .. } if standing == stood));
                assert_eq!(stands, stood, "{before:?} {verb}");
            } else {
                done.unwrap();
                assert_eq!(stands.as_str(), expected, "{before:?} {verb}");
            }
            if expected == "active" {
                talk(&session, "two").await;
                assert_eq!(texts(&session).await, ["one", "re: one", "two", "re: two"]);
            }
            session.delete().await.unwrap();
        }
        settled(&supervisor).await;
    }

    // E12: a key leads back to what was restored, unless it was opened since
    async fn restoring_gives_the_key_back_unless_it_was_opened_since(stage) {
        for dormant in [false, true] {
            let (supervisor, _clock) = start(&stage, |_| {}).await;
            let session = supervisor.open(&our_key()).await.unwrap();
            talk(&session, "one").await;
            session.archive().await.unwrap();
            if dormant {
                crowd_out(&supervisor, &session).await;
            }
            session.restore().await.unwrap();
            assert_eq!(supervisor.open(&our_key()).await.unwrap().id(), session.id());
            session.archive().await.unwrap();
            let fresh = supervisor.open(&our_key()).await.unwrap();
            assert_ne!(fresh.id(), session.id());
            session.restore().await.unwrap();
            talk(&session, "beside").await;
            assert_eq!(supervisor.open(&our_key()).await.unwrap().id(), fresh.id());
            // Nor when the fresh one has gone: it was the key's last.
            fresh.delete().await.unwrap();
            let third = supervisor.open(&our_key()).await.unwrap();
            assert_ne!(third.id(), session.id());
            third.delete().await.unwrap();
            session.delete().await.unwrap();
            settled(&supervisor).await;
        }
    }

    // E12, X1: what was archived for its age is too old again at once, unless something is said
    async fn one_that_was_archived_for_its_age_is_restored_and_pinned_or_given_rules(stage) {
        let (supervisor, clock) = start(&stage, |config| config.expiry.age = Some(TTL)).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        clock.advance(TTL);
        session.append(&[says("late")]).await.unwrap_err();
        assert_eq!(ending::expired_by(session.status().standing), Some(ExpiryClock::Age));
        session.restore().await.unwrap();
        let fate = supervisor.explain(session.id()).await.unwrap().unwrap().fate;
        assert!(matches!(fate, Fate::Ends { clock: ExpiryClock::Age, .. }), "{fate:?}");
        assert!(matches!(session.append(&[says("x")]).await, Err(SessionError::Inactive { .. })));
        // Pinned while it is archived, then restored.
        session.pin().await.unwrap();
        session.restore().await.unwrap();
        talk(&session, "one").await;
        let explained = supervisor.explain(session.id()).await.unwrap().unwrap();
        assert!(matches!(explained.fate, Fate::Kept { clock: ExpiryClock::Age, .. }), "{explained:?}");
        assert_eq!(explained.kept_by, [KeptBy::Pinned]);
        // With rules of its own it need not be pinned.
        session.set_expiry(Some(age(DAY))).await.unwrap();
        session.unpin().await.unwrap();
        talk(&session, "two").await;
        assert!(session.record().await.unwrap().standing.is_active());
        settled(&supervisor).await;
    }

    // X6, X10: what is suspended or pinned does not end, however long it rests; loaded and not
    async fn what_is_suspended_or_pinned_rests_for_ever(stage) {
        let (supervisor, clock) = start(&stage, |config| config.expiry.age = Some(TTL)).await;
        let suspended = supervisor.open(&key("#suspended")).await.unwrap();
        let pinned = supervisor.open(&key("#pinned")).await.unwrap();
        suspended.suspend().await.unwrap();
        pinned.pin().await.unwrap();
        quiet(&supervisor, &suspended).await;
        for _ in 0..2 {
            clock.advance(1_000 * DAY);
            let report = supervisor.prune(false).await.unwrap();
            assert_eq!((report.expired, report.deleted), (0, 0), "{report:?}");
            for session in [&suspended, &pinned] {
                let key = session.key().unwrap();
                assert_eq!(supervisor.open(key).await.unwrap().id(), session.id());
            }
            crowd_out(&supervisor, &suspended).await;
        }
        // Resumed it is in use: it rests from then on, but is as old as it is.
        suspended.set_expiry(Some({ let mut rules = idle(TTL); rules.age = Some(Duration::ZERO); rules }))
            .await
            .unwrap();
        suspended.resume().await.unwrap();
        talk(&suspended, "one").await;
        let fate = supervisor.explain(suspended.id()).await.unwrap().unwrap().fate;
        assert_eq!(fate, Fate::GoesOn { clock: ExpiryClock::Idle, left: TTL });
        settled(&supervisor).await;
    }

    // E12, A6: a key is bound anew only when the store has it that the old one is out of the way
    async fn a_key_is_not_taken_from_what_the_store_did_not_archive(stage) {
        for verb in ["archive", "end"] {
            for fails in [false, true] {
                let (supervisor, _clock) = start(&stage, |_| {}).await;
                let session = supervisor.open(&our_key()).await.unwrap();
                talk(&session, "one").await;
                quiet(&supervisor, &session).await;
                // Behind a write that takes its time.
                let gate = Gate::new();
                stage.store.fail_next_of(StoreCall::Label, Fault::HeldBefore(gate.clone()));
                let labels = tokio::spawn({
                    let session = session.clone();
                    async move { session.set_label(Some("x")).await }
                });
                gate.wait_until_reached().await;
                if fails {
                    stage.store.fail_next_of(StoreCall::Standing, Fault::Unavailable);
                }
                let mut verb = Box::pin(does(&session, verb));
                let key = our_key();
                let mut opening = Box::pin(supervisor.open(&key));
                assert!(poll_once(&mut verb).is_pending());
                for _ in 0..20 {
                    assert!(poll_once(&mut opening).is_pending(), "it did not wait for the store");
                    tokio::task::yield_now().await;
                }
                gate.open();
                let opened = opening.await.unwrap();
                assert_eq!(verb.await.is_err(), fails);
                labels.await.unwrap().unwrap();
                assert_eq!(opened.id() == session.id(), fails);
                if fails {
                    talk(&opened, "two").await;
                } else {
                    opened.delete().await.unwrap();
                }
                session.delete().await.unwrap();
                settled(&supervisor).await;
            }
        }
    }

    // E12: a begin on its way when it is archived is told, its input is kept or was never there
    async fn a_begin_against_an_archive_has_one_winner(stage) {
        for begin_first in [false, true] {
            let (supervisor, _clock) = start(&stage, |_| {}).await;
            let session = supervisor.open(&our_key()).await.unwrap();
            quiet(&supervisor, &session).await;
            let gate = Gate::new();
            let call = if begin_first { StoreCall::Begin } else { StoreCall::Standing };
            stage.store.fail_next_of(call, Fault::HeldBefore(gate.clone()));
            let archive = {
                let session = session.clone();
                async move { session.archive().await }
            };
            if begin_first {
                let beginning = tokio::spawn(begin(&session, "one", ()));
                gate.wait_until_reached().await;
                let archiving = tokio::spawn(archive);
                support::until("it is archived", || !session.status().standing.is_active()).await;
                gate.open();
                assert!(matches!(beginning.await.unwrap(), Err(BeginError::Inactive { .. })));
                archiving.await.unwrap().unwrap();
                assert_eq!(texts(&session).await, ["one"]);
            } else {
                let archiving = tokio::spawn(archive);
                gate.wait_until_reached().await;
                let refused = session.begin(&user("one"), ()).await;
                assert!(matches!(refused, Err(BeginError::Inactive { .. })));
                gate.open();
                archiving.await.unwrap().unwrap();
                assert_eq!(texts(&session).await, Vec::<String>::new());
            }
            assert!(!stored(&stage, &session).await.standing.is_active());
            session.restore().await.unwrap();
            talk(&session, "two").await;
            session.delete().await.unwrap();
            settled(&supervisor).await;
        }
    }

    // E12: two who ask at the same time are both told when the store has it
    async fn the_second_who_asks_waits_for_the_store_too(stage) {
        let (supervisor, _clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        quiet(&supervisor, &session).await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Standing, Fault::HeldBefore(gate.clone()));
        let archive = |session: Session| async move { session.archive().await };
        let first = tokio::spawn(archive(session.clone()));
        gate.wait_until_reached().await;
        let mut second = Box::pin(archive(session.clone()));
        for _ in 0..20 {
            assert!(poll_once(&mut second).is_pending());
            tokio::task::yield_now().await;
        }
        gate.open();
        first.await.unwrap().unwrap();
        second.await.unwrap();
        assert_eq!(stage.store.calls_of(StoreCall::Standing), 1);
        settled(&supervisor).await;
    }

    // E12, X21: each lasts over a restart
    async fn how_it_stands_lasts_over_a_restart(stage) {
        let (supervisor, clock) = start(&stage, |config| config.idle.max_live = 0).await;
        let mut before = Vec::new();
        for verb in ["suspend", "archive", "end"] {
            let session = supervisor.open(&key(verb)).await.unwrap();
            talk(&session, verb).await;
            clock.advance(MS);
            does(&session, verb).await.unwrap();
            quiet(&supervisor, &session).await;
            before.push((verb, session.id().clone(), session.status().standing));
        }
        drop(supervisor);
        let stage = stage.reopened().await;
        let (supervisor, _clock) = start(&stage, |_| {}).await;
        for (verb, id, standing) in before {
            let Found::Live(record) = supervisor.record(&id).await.unwrap() else { panic!() };
            assert_eq!(record.standing, standing, "{verb}");
            let session = supervisor.look_up(&id).await.unwrap().live().unwrap();
            assert_eq!(session.status().standing, standing);
            assert!(matches!(session.begin(&user("x"), ()).await, Err(BeginError::Inactive { .. })));
            assert_eq!(texts(&session).await.len(), 2);
            let opened = supervisor.open_with(&key(verb), NewSession::new).await.unwrap();
            assert_eq!(opened.created, verb != "suspend", "{verb}");
            match standing {
                Standing::Suspended { reason, .. } => assert_eq!(reason, SuspendReason::Requested),
                Standing::Archived { reason, .. } | Standing::Ended { reason, .. } => {
                    assert_eq!(reason, EndReason::Requested);
                }
                other => panic!("{other}"),
            }
        }
        settled(&supervisor).await;
    }

    // E12: by a reset the key is taken, and the session stands as before
    async fn a_reset_leaves_the_old_one_as_it_stands(stage) {
        let (supervisor, _clock) = start(&stage, |_| {}).await;
        for verb in ["", "suspend", "archive", "end"] {
            let session = supervisor.open(&our_key()).await.unwrap();
            if !verb.is_empty() {
                does(&session, verb).await.unwrap();
            }
            let before = stands(&supervisor, &session).await;
            let opened = supervisor.reset(&our_key(), NewSession::new()).await.unwrap();
            let previous = Previous::new(session.id().clone(), RebindReason::Reset);
            assert_eq!((opened.created, opened.previous), (true, Some(previous)), "{verb}");
            assert_eq!(stands(&supervisor, &session).await, before);
            opened.session.delete().await.unwrap();
        }
        settled(&supervisor).await;
    }
}

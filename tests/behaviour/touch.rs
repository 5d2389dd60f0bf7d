//! What counts as use and what does not, and that somebody who is only there is not forgotten.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    clippy::field_reassign_with_default,
    clippy::let_underscore_must_use,
    clippy::semicolon_if_nothing_returned,
    reason = "a test, which does not run on the library's seam"
)]

use crate::support;

use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, StoreCall};
use session_supervisor::{
    BeginOptions, BusyPolicy, ChatMessage, Config, ExpiryRules, Fate, MemoryStore, NewSession,
    RecordFilter, Session, SessionError, Supervisor, SystemClock, TurnInput,
};
use support::{committed, everywhere, in_paused_time, key, quiet, says, settled, until, user};

const MINUTE: Duration = Duration::from_secs(60);

/// Leaves after ten seconds.
fn after_ten_seconds(config: &mut Config) {
    config.idle.unload_after = Duration::from_secs(10);
}

/// Lets `seconds` of paused time pass.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Does something, a second after what was done before; answers whether it counted as use.
async fn touches(
    supervisor: &Supervisor,
    session: &Session,
    what: impl AsyncFnOnce(&Supervisor, &Session),
) -> bool {
    quiet(supervisor, session).await;
    let before = session.status().last_active_at;
    pass(1).await;
    what(supervisor, session).await;
    quiet(supervisor, session).await;
    let (after, now) = (session.status().last_active_at, supervisor.now());
    assert!(after == before || after == now, "neither before nor now");
    after != before
}

in_paused_time! {
    // X5, X16, F19: every operation, whether it counts as use
    async fn only_what_somebody_does_with_a_session_counts_as_use(stage) {
        let (supervisor, session) =
            stage.session_with(|config| config.limits.max_entry_bytes = 10_000).await;
        let turn = session.begin(&user("one"), ()).await.unwrap();
        turn.emit("re: ").unwrap();
        let (stream, cursor) = (turn.stream(), turn.subscribe().cursor());
        committed(turn, "re: one").await;
        macro_rules! table {
            ($($counts:literal $name:literal: |$supervisor:pat_param, $session:pat_param| $what:expr;)*) => {$(
                let counted = touches(&supervisor, &session, async |$supervisor: &Supervisor, $session: &Session| {
                    let _ = $what;
                }).await;
                assert_eq!(counted, $counts, $name);
            )*};
        }
        table! {
            // Reads.
            false "status": |_, session| session.status();
            false "record": |_, session| session.record().await.unwrap();
            false "transcript": |_, session| session.transcript().await.unwrap();
            false "get": |_, session| session.get::<u8>("nothing").await.unwrap();
            false "subscribe": |_, session| session.subscribe();
            false "subscribe_last": |_, session| session.subscribe_last();
            false "subscribe_to": |_, session| session.subscribe_to(stream);
            false "rejoin": |_, session| session.rejoin(cursor);
            false "leases": |_, session| session.leases();
            false "inspect": |supervisor, session| supervisor.inspect(session.id());
            false "supervisor.record": |supervisor, session| supervisor.record(session.id()).await.unwrap();
            false "look_up": |supervisor, session| supervisor.look_up(session.id()).await.unwrap();
            false "open": |supervisor, _| supervisor.open(&key("#rust")).await.unwrap();
            false "open_id": |supervisor, session| supervisor.open_id(session.id()).await.unwrap();
            false "list": |supervisor, _| {
                supervisor.list(RecordFilter::default(), None, 10).await.unwrap()
            };
            false "audit": |supervisor, _| (supervisor.audit(), supervisor.audit_counts());
            false "check_store": |supervisor, _| supervisor.check_store().await.unwrap();
            // Repair and sweeps.
            false "clear_stale": |supervisor, session| {
                let record = session.record().await.unwrap();
                supervisor.clear_stale(&record).await.unwrap()
            };
            false "sweeps": |_, _| pass(5).await;
            // Cancels.
            false "cancel": |_, session| session.cancel(stream);
            false "stop": |_, session| session.stop();
            // What is refused.
            false "a version that is not there": |_, session| {
                let refused = session.begin(&user("x"), BeginOptions::default().expect_version(99)).await;
                refused.unwrap_err()
            };
            false "too deep a rollback": |_, session| session.rollback(99, None).await.unwrap_err();
            false "too deep a retry": |_, session| session.retry(99, ()).await.unwrap_err();
            false "an empty name": |_, session| session.insert("", &1).await.unwrap_err();
            false "too large": |_, session| {
                session.append(&[user(&"x".repeat(10_000))]).await.unwrap_err()
            };
            false "too long a lease": |_, session| session.lease("x", 10_000 * MINUTE).await.unwrap_err();
            false "a renewal of nothing": |_, session| session.renew_lease("none", MINUTE).unwrap();
            false "a release of nothing": |_, session| session.release_lease("none");
            // Use.
            true "touch": |_, session| session.touch().await.unwrap();
            true "begin": |_, session| session.begin(TurnInput::<ChatMessage>::none(), ()).await.unwrap();
            true "supervisor.begin": |supervisor, _| {
                supervisor.begin(&key("#rust"), &user("x"), ()).await.unwrap()
            };
            true "run": |_, session| {
                let running = session.run(&user("x"), (), |turn| async move { drop(turn) }).await;
                running.unwrap().await.unwrap()
            };
            true "append": |_, session| session.append(&[says("note")]).await.unwrap();
            true "insert": |_, session| session.insert("mood", &1).await.unwrap();
            true "remove": |_, session| session.remove("mood").await.unwrap();
            false "set_label": |_, session| session.set_label(Some("x")).await.unwrap();
            true "retry": |_, session| session.retry(1, ()).await.unwrap();
            true "rollback": |_, session| session.rollback(1, None).await.unwrap();
            false "revisions": |_, session| session.revisions().await.unwrap();
            true "restore_revision": |_, session| {
                let newest = session.revisions().await.unwrap().pop().unwrap().version;
                session.restore_revision(newest, None).await.unwrap()
            };
            true "truncate": |_, session| session.truncate(1, "x", None).await.unwrap();
            false "a truncation of nothing": |_, session| {
                session.truncate(1, "x", None).await.unwrap()
            };
            false "forget_revision": |_, session| {
                let newest = session.revisions().await.unwrap().pop().unwrap().version;
                assert!(session.forget_revision(newest).await.unwrap());
            };
            true "lease": |_, session| session.lease("work", MINUTE).await.unwrap();
            true "lease_named": |_, session| session.lease_named("name", "work", MINUTE).await.unwrap();
            false "renew_lease": |_, session| session.renew_lease("name", MINUTE).unwrap();
            false "lease_named again": |_, session| {
                session.lease_named("name", "work", MINUTE).await.unwrap()
            };
            true "release_lease": |_, session| session.release_lease("name");
            // Rules, and how it stands: what is back is in use.
            false "pin": |_, session| session.pin().await.unwrap();
            false "unpin": |_, session| session.unpin().await.unwrap();
            false "set_expiry": |_, session| session.set_expiry(None).await.unwrap();
            false "suspend": |_, session| session.suspend().await.unwrap();
            false "a touch while suspended": |_, session| session.touch().await.unwrap_err();
            false "a begin while suspended": |_, session| session.begin(&user("x"), ()).await.unwrap_err();
            true "resume": |_, session| session.resume().await.unwrap();
            false "resume again": |_, session| session.resume().await.unwrap();
            false "archive": |_, session| session.archive().await.unwrap();
            false "a lease while archived": |_, session| session.lease("x", MINUTE).await.unwrap_err();
            true "restore": |_, session| session.restore().await.unwrap();
            false "explain": |supervisor, session| supervisor.explain(session.id()).await.unwrap();
            false "prune": |supervisor, _| supervisor.prune(false).await.unwrap();
        }
        // While a turn runs: whatever is refused, cancelled or looked at because of it.
        let turn = session.begin(&user("runs"), ()).await.unwrap();
        table! {
            false "busy": |_, session| session.begin(&user("x"), BusyPolicy::Reject).await.unwrap_err();
            false "a heartbeat of a turn": |_, _| turn.progress();
            false "a chunk": |_, _| turn.emit("x").unwrap();
            false "cancel of a turn": |_, session| session.cancel(turn.stream());
        }
        drop(turn);
        settled(&supervisor).await;
    }

    // X4, X17: without a turn
    async fn who_is_there_keeps_the_session_from_leaving(stage) {
        let (supervisor, session) = stage.session_with(after_ten_seconds).await;
        for _ in 0..20 {
            pass(5).await;
            session.touch().await.unwrap();
            assert_eq!(supervisor.inspect(session.id()).unwrap().idle_for, Duration::ZERO);
        }
        let used = supervisor.now();
        pass(9).await;
        assert!(session.status().loaded);
        pass(4).await;
        assert!(!session.status().loaded);
        // X14, X21: it comes back as old as it was.
        assert_eq!(session.status().last_active_at, used);
        assert_eq!(session.record().await.unwrap().last_active_at, used);
        let found = supervisor.look_up(session.id()).await.unwrap().live().unwrap();
        assert_eq!(found.status().last_active_at, used);
        settled(&supervisor).await;
    }

    // X17: so that a crash takes back little
    async fn a_touch_is_stored_when_the_session_is_looked_at(stage) {
        let (supervisor, session) = stage.session_with(after_ten_seconds).await;
        pass(8).await;
        session.touch().await.unwrap();
        let used = supervisor.now();
        pass(6).await;
        assert!(session.status().loaded);
        assert_eq!(session.record().await.unwrap().last_active_at, used);
        settled(&supervisor).await;
    }

    // X10, X17: it keeps a conversation from expiring, and brings none back
    async fn who_is_there_keeps_the_conversation_from_expiring_and_brings_none_back(stage) {
        let (supervisor, session) = stage
            .session_with(|config| {
                config.expiry.idle = Some(MINUTE);
                config.prune.every = Duration::ZERO;
            })
            .await;
        for _ in 0..10 {
            pass(50).await;
            session.touch().await.unwrap();
        }
        assert_eq!(supervisor.open(&key("#rust")).await.unwrap().id(), session.id());
        // The rules change, and that counts at once.
        let mut rules = ExpiryRules::default();
        rules.idle = Some(MINUTE / 6);
        session.set_expiry(Some(rules)).await.unwrap();
        pass(9).await;
        session.touch().await.unwrap();
        pass(11).await;
        let refused = session.touch().await.unwrap_err();
        assert!(matches!(refused, SessionError::Inactive { .. }), "{refused:?}");
        assert_ne!(supervisor.open(&key("#rust")).await.unwrap().id(), session.id());
        settled(&supervisor).await;
    }

    // X10, X17: whoever decides knows of the last touch, however that was noted
    async fn whoever_asks_whether_a_conversation_is_over_knows_of_the_last_touch(stage) {
        let supervisor = stage
            .start_with(|config| {
                config.expiry.idle = Some(MINUTE);
                config.prune.every = Duration::ZERO;
            })
            .await;
        for way in ["open", "begin", "append", "lease", "explain", "prune", "inspect"] {
            let key = key(way);
            let session = supervisor.open(&key).await.unwrap();
            // Every other one is only noted: it is not over for sure until later.
            for _ in 0..10 {
                pass(50).await;
                session.touch().await.unwrap();
            }
            pass(50).await;
            match way {
                "begin" => drop(session.begin(&user("x"), ()).await.unwrap()),
                "append" => {
                    session.append(&[says("x")]).await.unwrap();
                }
                "lease" => drop(session.lease("work", MINUTE).await.unwrap()),
                "explain" => {
                    let explained = supervisor.explain(session.id()).await.unwrap().unwrap();
                    assert!(matches!(explained.fate, Fate::GoesOn { .. }), "{explained:?}");
                }
                "prune" => drop(supervisor.prune(false).await.unwrap()),
                "inspect" => {
                    let inspection = supervisor.inspect(session.id()).unwrap();
                    assert_eq!(inspection.idle_for, Duration::from_secs(50));
                }
                _ => {}
            }
            assert_eq!(supervisor.open(&key).await.unwrap().id(), session.id(), "{way}");
        }
        settled(&supervisor).await;
    }

    // X6, X13: somebody comes while the store is being told
    async fn a_touch_while_the_session_is_about_to_leave_keeps_it(stage) {
        let (supervisor, session) = stage.session_with(after_ten_seconds).await;
        pass(1).await;
        session.touch().await.unwrap();
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Patch, Fault::HeldBefore(gate.clone()));
        gate.wait_until_reached().await;
        assert!(session.status().loaded);
        session.touch().await.unwrap();
        let used = supervisor.now();
        gate.open();
        quiet(&supervisor, &session).await;
        pass(5).await;
        assert!(session.status().loaded);
        pass(20).await;
        assert!(!session.status().loaded);
        assert_eq!(session.record().await.unwrap().last_active_at, used);
        settled(&supervisor).await;
    }

    // G12, X6: it stays, and is tried again
    async fn a_session_whose_last_use_cannot_be_stored_does_not_leave(stage) {
        let (supervisor, session) = stage.session_with(after_ten_seconds).await;
        pass(1).await;
        session.touch().await.unwrap();
        let used = supervisor.now();
        for _ in 0..3 {
            stage.store.fail_next_of(StoreCall::Patch, Fault::Unavailable);
        }
        pass(35).await;
        assert!(session.status().loaded);
        assert!(supervisor.counts().store_failures >= 2);
        pass(35).await;
        assert!(!session.status().loaded);
        assert_eq!(session.record().await.unwrap().last_active_at, used);
        settled(&supervisor).await;
    }
}

everywhere! {
    // X14
    async fn a_touch_brings_a_session_back(stage) {
        let (supervisor, session) = stage
            .session_with(|config| {
                config.idle.max_live = 1;
                config.idle.unload_after = Duration::ZERO;
            })
            .await;
        quiet(&supervisor, &session).await;
        supervisor.create(NewSession::new()).await.unwrap();
        assert!(!session.status().loaded);
        session.touch().await.unwrap();
        assert!(session.status().loaded);
        settled(&supervisor).await;
        // One that was touched makes room like any other, once the store knows.
        session.touch().await.unwrap();
        supervisor.create(NewSession::new()).await.unwrap();
        until("it leaves", || !session.status().loaded).await;
        settled(&supervisor).await;
    }

    // A5, E3: and only that
    async fn a_touch_of_a_session_that_is_gone_says_so(stage) {
        let (supervisor, session) = stage.session().await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Delete, Fault::HeldBefore(gate.clone()));
        let deleting = tokio::spawn({
            let session = session.clone();
            async move { session.delete().await }
        });
        gate.wait_until_reached().await;
        assert!(matches!(session.touch().await, Err(SessionError::Closing { .. })));
        gate.open();
        deleting.await.unwrap().unwrap();
        assert!(matches!(session.touch().await, Err(SessionError::Gone { .. })));
        settled(&supervisor).await;
    }
}

// X17, X21, H1: or at the shutdown
#[cfg(feature = "sqlite")]
#[test]
fn a_touch_is_stored_when_the_supervisor_ends() {
    support::play(false, support::Kind::Sqlite, |stage| async move {
        let (supervisor, session) = stage.session().await;
        quiet(&supervisor, &session).await;
        let before = session.status().last_active_at;
        until("the clock has moved", || supervisor.now() > before).await;
        session.touch().await.unwrap();
        let used = session.status().last_active_at;
        assert!(used > before);
        assert!(supervisor.shutdown(MINUTE).await.unwrap().clean);
        let stage = stage.reopened().await;
        let next = stage.start().await;
        let found = next.open(&key("#rust")).await.unwrap();
        assert_eq!(found.status().last_active_at, used);
        settled(&next).await;
    });
}

// X4: what is used as the time may be a tenth of a second old, and no more
#[tokio::test(start_paused = true)]
async fn with_the_clock_of_the_machine_a_touch_is_noted_to_within_a_tenth_of_a_second() {
    let mut config = Config::default();
    config.idle.unload_after = Duration::from_secs(1);
    config.idle.check_every = Duration::from_millis(10);
    let builder = Supervisor::builder().clock(SystemClock::new()).config(config);
    let supervisor: Supervisor = builder.store(MemoryStore::new()).start().await.unwrap();
    let session = supervisor.create(NewSession::new()).await.unwrap();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(333)).await;
        session.touch().await.unwrap();
        let idle_for = supervisor.inspect(session.id()).unwrap().idle_for;
        assert!(idle_for <= Duration::from_millis(101), "{idle_for:?}");
    }
    // Many within one reading.
    for _ in 0..1_000 {
        session.touch().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let idle_for = supervisor.inspect(session.id()).unwrap().idle_for;
    assert!(idle_for <= Duration::from_millis(102), "{idle_for:?}");
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(session.status().loaded);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!session.status().loaded);
    settled(&supervisor).await;
}

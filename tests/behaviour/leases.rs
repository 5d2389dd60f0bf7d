//! Work beside the turns keeps its session, for a time, and everybody can see it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test, which does not run on the library's seam"
)]

use crate::support;

use std::time::Duration;

use session_supervisor::testing::{Fault, StoreCall};
use session_supervisor::{
    Config, DeleteOutcome, KeptBy, LeaseError, LeaseRenewal, NewSession, Session, SessionError,
    Supervisor,
};
use support::{committed, everywhere, in_paused_time, key, quiet, says, settled, until, user};

const MINUTE: Duration = Duration::from_secs(60);

/// A cap of one, and no other reason to leave.
fn cap_of_one(config: &mut Config) {
    config.idle.max_live = 1;
    config.idle.unload_after = Duration::ZERO;
}

/// Leaves after ten seconds.
fn after_ten_seconds(config: &mut Config) {
    config.idle.unload_after = Duration::from_secs(10);
}

/// Lets `seconds` of paused time pass.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Another session is loaded, which needs the room of this one.
async fn crowd(supervisor: &Supervisor) {
    supervisor.create(NewSession::new()).await.unwrap();
}

fn purposes(session: &Session) -> Vec<String> {
    session.leases().into_iter().map(|lease| lease.purpose).collect()
}

everywhere! {
    // X6, X7, L4
    async fn a_guard_keeps_its_session_and_can_be_seen(stage) {
        let (supervisor, session) = stage.session_with(cap_of_one).await;
        let lease = session.lease("index the attachments", MINUTE).await.unwrap();
        crowd(&supervisor).await;
        assert!(session.status().loaded);
        let inspection = supervisor.inspect(session.id()).unwrap();
        assert_eq!(inspection.kept_by, [KeptBy::Leased]);
        let [info] = &inspection.leases[..] else { panic!("{inspection:?}") };
        assert_eq!((info.number, info.name.as_deref()), (lease.number(), None));
        assert_eq!((info.purpose.as_str(), info.owner), ("index the attachments", supervisor.instance()));
        assert_eq!(info.until.since(info.since), MINUTE);
        assert_eq!(session.leases(), inspection.leases);
        assert_eq!(lease.info(), inspection.leases.first().cloned());
        assert_eq!(lease.session(), session.id());
        assert!(!lease.is_expired());
        // What somebody asks for is not held up by it.
        committed(session.begin(&user("one"), ()).await.unwrap(), "re: one").await;
        quiet(&supervisor, &session).await;
        // It goes with the task that has it, however that ends.
        let working = tokio::spawn(async move {
            let _lease = lease;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        assert_eq!(session.leases().len(), 1);
        working.abort();
        working.await.unwrap_err();
        assert_eq!(session.leases(), []);
        crowd(&supervisor).await;
        until("it leaves", || !session.status().loaded).await;
        settled(&supervisor).await;
        let counts = supervisor.counts();
        assert_eq!((counts.leases_taken, counts.leases_released), (1, 1));
    }

    // X7: the form without a guard
    async fn a_name_stands_until_it_is_given_back_and_is_renewed_by_taking_it_again(stage) {
        let (supervisor, session) = stage.session_with(cap_of_one).await;
        let until = session.lease_named("upload", "a picture", MINUTE).await.unwrap();
        crowd(&supervisor).await;
        let again = session.lease_named("upload", "two pictures", 2 * MINUTE).await.unwrap();
        assert!(again.since(until) >= MINUTE);
        session.lease_named("index", "the rest", MINUTE).await.unwrap();
        assert_eq!(purposes(&session), ["two pictures", "the rest"]);
        let renewed = session.renew_lease("upload", 3 * MINUTE).unwrap();
        let LeaseRenewal::Renewed { until } = renewed else { panic!("{renewed:?}") };
        assert!(until.since(again) >= MINUTE);
        // By any handle.
        let other = supervisor.look_up(session.id()).await.unwrap().live().unwrap();
        assert!(other.release_lease("upload"));
        assert!(!session.release_lease("upload"), "it is given back once");
        assert_eq!(session.renew_lease("upload", MINUTE).unwrap(), LeaseRenewal::Expired);
        crowd(&supervisor).await;
        assert!(session.status().loaded);
        assert!(session.release_lease("index"));
        settled(&supervisor).await;
        let counts = supervisor.counts();
        assert_eq!((counts.leases_taken, counts.leases_released), (2, 2));
    }

    // X6, X13: one that was left is loaded for it
    async fn a_lease_brings_a_session_back(stage) {
        let (supervisor, session) = stage.session_with(cap_of_one).await;
        quiet(&supervisor, &session).await;
        crowd(&supervisor).await;
        assert!(!session.status().loaded);
        let lease = session.lease("work", MINUTE).await.unwrap();
        assert!(session.status().loaded);
        crowd(&supervisor).await;
        assert_eq!(session.leases().len(), 1);
        assert!(lease.release());
        settled(&supervisor).await;
    }

    // X7, K3
    async fn what_is_too_long_or_too_many_is_refused_by_name(stage) {
        let (supervisor, session) = stage
            .session_with(|config| {
                config.leases.max_age = MINUTE;
                config.leases.max_per_session = 2;
            })
            .await;
        let too_long = |refused: &LeaseError| matches!(refused, LeaseError::MaxAge { max, .. } if *max == MINUTE);
        assert!(too_long(&session.lease("work", MINUTE * 2).await.unwrap_err()));
        assert!(too_long(&session.lease("work", Duration::ZERO).await.unwrap_err()));
        assert!(too_long(&session.lease_named("name", "work", MINUTE * 2).await.unwrap_err()));
        assert!(too_long(&session.renew_lease("name", MINUTE * 2).unwrap_err()));
        let endless = "x".repeat(100_000);
        for (name, purpose) in [("", "work"), ("name", ""), (&*endless, "work"), ("name", &*endless)] {
            let refused = session.lease_named(name, purpose, MINUTE).await.unwrap_err();
            assert!(
                matches!(refused, LeaseError::Session(SessionError::Content { .. })),
                "{refused:?}"
            );
        }
        let first = session.lease("one", MINUTE).await.unwrap();
        assert!(too_long(&first.renew(MINUTE * 2).unwrap_err()));
        let _second = session.lease("two", MINUTE).await.unwrap();
        let refused = session.lease("three", MINUTE).await.unwrap_err();
        assert!(matches!(refused, LeaseError::TooMany { max: 2, .. }), "{refused:?}");
        drop(first);
        let _third = session.lease("three", MINUTE).await.unwrap();
        assert_eq!(purposes(&session), ["two", "three"]);
        settled(&supervisor).await;
    }

    // E1, E3, A5
    async fn a_delete_does_not_wait_for_a_lease_and_ends_it(stage) {
        let (supervisor, session) = stage.session().await;
        let lease = session.lease("work", MINUTE).await.unwrap();
        session.lease_named("name", "work", MINUTE).await.unwrap();
        assert!(matches!(session.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
        assert!(lease.is_expired());
        assert_eq!(lease.renew(MINUTE).unwrap(), LeaseRenewal::Expired);
        assert!(!lease.release() && !session.release_lease("name"));
        assert_eq!(session.leases(), []);
        let refused = session.lease("more", MINUTE).await.unwrap_err();
        assert!(matches!(refused, LeaseError::Session(SessionError::Gone { .. })), "{refused:?}");
        settled(&supervisor).await;
        assert_eq!(supervisor.counts().leases_dropped, 2);
    }

    // G12, X6: the state is given up, and the leases are not
    async fn a_store_that_fails_ends_no_lease(stage) {
        let (supervisor, session) = stage.session_with(cap_of_one).await;
        let lease = session.lease("work", MINUTE).await.unwrap();
        session.lease_named("name", "more work", MINUTE).await.unwrap();
        stage.store.fail_next_of(StoreCall::Append, Fault::Unavailable);
        session.append(&[says("lost")]).await.unwrap_err();
        assert!(!session.status().loaded);
        assert_eq!(purposes(&session), ["work", "more work"]);
        assert!(matches!(lease.renew(MINUTE).unwrap(), LeaseRenewal::Renewed { .. }));
        settled(&supervisor).await;
        // The next use loads it, and the leases stand there.
        session.append(&[says("kept")]).await.unwrap();
        assert_eq!(purposes(&session), ["work", "more work"]);
        crowd(&supervisor).await;
        quiet(&supervisor, &session).await;
        crowd(&supervisor).await;
        assert!(session.status().loaded);
        assert!(!lease.is_expired());
        assert!(matches!(lease.renew(MINUTE).unwrap(), LeaseRenewal::Renewed { .. }));
        assert!(lease.release() && session.release_lease("name"));
        assert_eq!(session.leases(), []);
        settled(&supervisor).await;
        let counts = supervisor.counts();
        assert_eq!((counts.leases_taken, counts.leases_released), (2, 2));
    }

    // X6, M4: many who hold what everybody else wants to leave
    async fn those_who_hold_leases_keep_them_under_any_pressure(stage) {
        let supervisor = stage.start_with(cap_of_one).await;
        let mut working = Vec::new();
        for number in 0..8 {
            let session = supervisor.open(&key(&format!("#{number}"))).await.unwrap();
            working.push(tokio::spawn(async move {
                for round in 0..20 {
                    let lease = session.lease("work", MINUTE).await.unwrap();
                    tokio::task::yield_now().await;
                    assert!(session.status().loaded && !lease.is_expired(), "in round {round}");
                    session.insert("round", &round).await.unwrap();
                    assert!(session.status().loaded && !lease.is_expired(), "in round {round}");
                }
            }));
        }
        for working in working {
            working.await.unwrap();
        }
        settled(&supervisor).await;
        until("the cap holds", || supervisor.loaded() <= 1).await;
        let counts = supervisor.counts();
        assert_eq!((counts.leases_taken, counts.leases_released), (160, 160));
    }
}

in_paused_time! {
    // X7, F23: nobody looks, and it is over and told all the same
    async fn a_lease_is_over_at_its_time_and_told_once(stage) {
        let (supervisor, session) = stage.session_with(after_ten_seconds).await;
        let lease = session.lease("work", MINUTE).await.unwrap();
        pass(59).await;
        assert!(session.status().loaded && !lease.is_expired());
        assert_eq!(supervisor.counts().leases_expired, 0);
        pass(1).await;
        assert!(lease.is_expired());
        assert_eq!(lease.renew(MINUTE).unwrap(), LeaseRenewal::Expired);
        assert_eq!(session.leases(), []);
        pass(1).await;
        assert_eq!(supervisor.counts().leases_expired, 1);
        // X4: idle counts from then.
        assert_eq!(supervisor.inspect(session.id()).unwrap().idle_for, Duration::from_secs(1));
        pass(8).await;
        assert!(session.status().loaded);
        pass(4).await;
        assert!(!session.status().loaded);
        assert!(!lease.release());
        settled(&supervisor).await;
        let counts = supervisor.counts();
        assert_eq!((counts.leases_taken, counts.leases_expired, counts.leases_released), (1, 1, 0));
    }

    // X13, F23
    async fn one_that_is_renewed_lasts_as_long_as_it_is_and_is_told_when_that_ends(stage) {
        let (supervisor, session) = stage.session_with(after_ten_seconds).await;
        let lease = session.lease("work", MINUTE).await.unwrap();
        for _ in 0..50 {
            pass(50).await;
            assert!(matches!(lease.renew(MINUTE).unwrap(), LeaseRenewal::Renewed { .. }));
        }
        assert!(session.status().loaded);
        pass(61).await;
        assert!(lease.is_expired());
        assert_eq!(supervisor.counts().leases_expired, 1);
        pass(13).await;
        assert!(!session.status().loaded, "it lives for ever");
        settled(&supervisor).await;
    }

    // X4, X14: when it comes back it is as old as it was
    async fn idle_counts_from_when_a_lease_was_given_back(stage) {
        let (supervisor, session) = stage.session_with(after_ten_seconds).await;
        let lease = session.lease("work", 60 * MINUTE).await.unwrap();
        pass(1_000).await;
        drop(lease);
        let used = supervisor.now();
        pass(9).await;
        assert!(session.status().loaded);
        pass(4).await;
        assert!(!session.status().loaded);
        assert_eq!(session.status().last_active_at, used);
        assert_eq!(session.record().await.unwrap().last_active_at, used, "the store knows");
        let found = supervisor.look_up(session.id()).await.unwrap().live().unwrap();
        assert_eq!(found.status().last_active_at, used);
        settled(&supervisor).await;
    }

    // X6, X7, X10: while it stands, and no longer
    async fn a_lease_keeps_the_conversation_from_expiring(stage) {
        let (supervisor, session) = stage
            .session_with(|config| {
                config.expiry.idle = Some(MINUTE);
                config.prune.every = Duration::from_secs(7);
            })
            .await;
        let lease = session.lease("work", 10 * MINUTE).await.unwrap();
        pass(500).await;
        assert!(session.status().loaded && !lease.is_expired());
        let key = key("#rust");
        let open = || supervisor.open(&key);
        assert_eq!(open().await.unwrap().id(), session.id());
        // X4: from its end.
        drop(lease);
        pass(59).await;
        assert_eq!(open().await.unwrap().id(), session.id());
        let lease = session.lease("more", MINUTE).await.unwrap();
        pass(61).await;
        assert!(lease.is_expired());
        pass(57).await;
        assert_eq!(open().await.unwrap().id(), session.id());
        pass(3).await;
        let refused = session.lease("late", MINUTE).await.unwrap_err();
        let inactive = matches!(refused, LeaseError::Session(SessionError::Inactive { .. }));
        assert!(inactive, "{refused:?}");
        assert_ne!(open().await.unwrap().id(), session.id());
        settled(&supervisor).await;
    }

    // X6, G12: nor one whose state was given up
    async fn a_lease_keeps_a_conversation_that_was_left_from_being_pruned(stage) {
        let (supervisor, session) = stage
            .session_with(|config| {
                config.expiry.idle = Some(MINUTE);
                config.prune.every = Duration::from_secs(7);
            })
            .await;
        session.lease_named("name", "work", 10 * MINUTE).await.unwrap();
        stage.store.fail_next_of(StoreCall::Append, Fault::Unavailable);
        session.append(&[says("lost")]).await.unwrap_err();
        pass(500).await;
        assert!(!session.status().loaded);
        assert!(session.record().await.unwrap().standing.is_active());
        pass(200).await;
        assert!(!session.record().await.unwrap().standing.is_active());
        settled(&supervisor).await;
    }

    // X6: how it stands
    async fn a_suspended_session_takes_leases_and_an_archived_one_has_none(stage) {
        let (supervisor, session) = stage.session_with(after_ten_seconds).await;
        session.suspend().await.unwrap();
        let lease = session.lease("work", 10 * MINUTE).await.unwrap();
        pass(100).await;
        assert!(session.status().loaded);
        session.resume().await.unwrap();
        assert!(!lease.is_expired());
        session.archive().await.unwrap();
        assert!(lease.is_expired());
        assert_eq!(supervisor.counts().leases_dropped, 1);
        pass(13).await;
        assert!(!session.status().loaded);
        settled(&supervisor).await;
    }

    // X7: nobody loads it again, and its leases are told to be over
    async fn a_lease_of_a_session_that_was_left_is_over_at_its_time(stage) {
        let (supervisor, session) = stage.session().await;
        session.lease_named("name", "work", MINUTE).await.unwrap();
        stage.store.fail_next_of(StoreCall::Append, Fault::Unavailable);
        session.append(&[says("lost")]).await.unwrap_err();
        pass(59).await;
        assert_eq!(purposes(&session), ["work"]);
        pass(2).await;
        assert_eq!(session.leases(), []);
        assert_eq!(supervisor.counts().leases_expired, 1);
        settled(&supervisor).await;
    }
}

// X14: a restart ends them, and says so by not knowing them
#[cfg(feature = "sqlite")]
#[test]
fn a_lease_belongs_to_its_run_of_the_process() {
    support::play(false, support::Kind::Sqlite, |stage| async move {
        let (supervisor, session) = stage.session().await;
        let lease = session.lease("work", MINUTE).await.unwrap();
        supervisor.shutdown(Duration::from_secs(5)).await.unwrap();
        let used = session.status().last_active_at;
        let stage = stage.reopened().await;
        let next = stage.start().await;
        let found = next.open(&key("#rust")).await.unwrap();
        assert_eq!(found.leases(), []);
        assert_eq!(found.status().last_active_at, used);
        drop(lease);
        settled(&next).await;
    });
}

everywhere! {
    // Every lease that was given back early left a task behind, which slept until the lease would have been
    // over: a bot whose jobs take a minute under a lease of two days had two days of them.
    // X7, M4
    async fn a_lease_that_is_given_back_leaves_nothing_that_waits_for_its_end(stage) {
        let (supervisor, session) = stage.session_with(|_| ()).await;
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let day = Duration::from_secs(24 * 3_600);
        session.lease("the first", day).await.unwrap().release();
        quiet(&supervisor, &session).await;
        let before = tasks();
        for number in 0..100 {
            let guard = session.lease("a job", day).await.unwrap();
            let named = session.lease_named("job", "another", day).await.unwrap();
            session.renew_lease("job", day).unwrap();
            if number % 2 == 0 {
                assert!(session.release_lease("job"), "{named}");
                guard.release();
            } else {
                guard.release();
                assert!(session.release_lease("job"), "{named}");
            }
        }
        until("they have ended", || tasks() <= before).await;
        let kept = session.lease("a job", day).await.unwrap();
        session.delete().await.unwrap();
        drop(kept);
        until("that has ended as well", || tasks() <= before).await;
    }
}

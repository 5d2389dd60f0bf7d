//! The pass that ends what nobody comes for, what keeps a conversation from it, and who is asked.

#![allow(
    clippy::unchecked_time_subtraction,
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
use crate::listen;
use crate::support;

use std::sync::Arc;
use std::time::Duration;

use ending::{
    DAY, MS, Says, TTL, age, crowd_out, expired_by, idle, our_key, start, start_at,
    start_with_host, stored, talk,
};
use listen::{Events, Numbers};
use session_supervisor::store::{FenceReason, Found};
use session_supervisor::testing::{Fault, Gate, PausedClock, StoreCall};
use session_supervisor::{
    BeginError, BusyPolicy, CommitOutcome, Config, ExpiryAction, ExpiryClock, ExpiryRules, Fate,
    GoneReason, Incarnation, KeptBy, Lookup, NewSession, PruneReport, RecordFilter, Session,
    SessionId, SessionKey, Standing, StoreError, Supervisor,
};
use support::{
    begin, commit, committed, everywhere, in_paused_time, key, poll_once, quiet, says, settled,
    texts, until, user,
};

/// What would become of `session`, and what keeps it, as everybody says: `explain`, a dry run and a pass.
async fn kept_by(supervisor: &Supervisor, session: &Session) -> Vec<KeptBy> {
    let explained = supervisor.explain(session.id()).await.unwrap().unwrap();
    assert!(matches!(explained.fate, Fate::Kept { clock: ExpiryClock::Idle, .. }), "{explained:?}");
    for dry_run in [true, false] {
        let report = supervisor.prune(dry_run).await.unwrap();
        assert_eq!(report.expired, 0, "{report:?}");
        assert_eq!(report.kept_sessions, [(session.id().clone(), explained.kept_by.clone())]);
    }
    explained.kept_by
}

/// Asserts that whoever comes finds it, and that it takes turns.
async fn is_found(supervisor: &Supervisor, session: &Session) {
    assert_eq!(supervisor.open(&our_key()).await.unwrap().id(), session.id());
    let found = supervisor.look_up(session.id()).await.unwrap().live().unwrap();
    assert!(found.status().standing.is_active());
    let Found::Live(record) = supervisor.record(session.id()).await.unwrap() else { panic!() };
    assert!(record.standing.is_active());
}

/// Asserts that its time is over, as everybody says, and ends it with a pass.
async fn ends(supervisor: &Supervisor, session: &Session) -> PruneReport {
    let explained = supervisor.explain(session.id()).await.unwrap().unwrap();
    assert!(matches!(explained.fate, Fate::Ends { .. }), "{explained:?}");
    let expired = |report: &PruneReport| {
        report.expired_sessions.iter().map(|it| it.id.clone()).collect::<Vec<_>>()
    };
    let dry = supervisor.prune(true).await.unwrap();
    assert_eq!(expired(&dry), [session.id().clone()], "{dry:?}");
    assert!(dry.dry_run);
    let report = supervisor.prune(false).await.unwrap();
    assert_eq!(expired(&report), [session.id().clone()], "{report:?}");
    assert_eq!((dry.expired, dry.deleted, dry.kept), (report.expired, report.deleted, report.kept));
    settled(supervisor).await;
    report
}

everywhere! {
    // X6, X8: each of them keeps it, and all say the same
    async fn what_is_at_work_keeps_it(stage) {
        // A turn that runs, and one that waits.
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        let turn = session.begin(&user("one"), ()).await.unwrap();
        quiet(&supervisor, &session).await;
        clock.advance(TTL);
        assert_eq!(kept_by(&supervisor, &session).await, [KeptBy::Turn]);
        is_found(&supervisor, &session).await;
        let mut waiting = begin(&session, "two", BusyPolicy::queue());
        assert!(poll_once(&mut waiting).is_pending());
        assert_eq!(kept_by(&supervisor, &session).await, [KeptBy::Turn, KeptBy::Waiting]);
        is_found(&supervisor, &session).await;
        committed(turn, "re: one").await;
        let turn = waiting.await.unwrap();
        quiet(&supervisor, &session).await;
        // One that was ended over its holder's head.
        let at_once = BusyPolicy::Interrupt { grace: Duration::ZERO, max: 16 };
        committed(session.begin(&user("three"), at_once).await.unwrap(), "re: three").await;
        quiet(&supervisor, &session).await;
        clock.advance(TTL);
        assert_eq!(kept_by(&supervisor, &session).await, [KeptBy::Fenced]);
        is_found(&supervisor, &session).await;
        assert!(matches!(commit(turn, "late").await, CommitOutcome::Stale { .. }));
        // A turn that starts.
        // Nothing keeps it any more: it ends for whoever comes, who brings it back.
        session.restore().await.unwrap();
        talk(&session, "four").await;
        quiet(&supervisor, &session).await;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let beginning = tokio::spawn(begin(&session, "five", ()));
        gate.wait_until_reached().await;
        clock.advance(TTL);
        assert_eq!(kept_by(&supervisor, &session).await, [KeptBy::Turn, KeptBy::Unwritten]);
        is_found(&supervisor, &session).await;
        gate.open();
        committed(beginning.await.unwrap().unwrap(), "re: five").await;
        quiet(&supervisor, &session).await;
        // What is not stored.
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Append, Fault::HeldBefore(gate.clone()));
        let appending = tokio::spawn({
            let session = session.clone();
            async move { session.append(&[says("a notice")]).await }
        });
        gate.wait_until_reached().await;
        clock.advance(TTL);
        assert_eq!(kept_by(&supervisor, &session).await, [KeptBy::Unwritten]);
        is_found(&supervisor, &session).await;
        gate.open();
        appending.await.unwrap().unwrap();
        quiet(&supervisor, &session).await;
        // It was stored an hour later than it was said: that is when the work ended.
        assert!(matches!(
            supervisor.explain(session.id()).await.unwrap().unwrap().fate,
            Fate::GoesOn { .. } | Fate::Ends { .. }
        ));
        // Pinned, in memory and not.
        session.restore().await.unwrap();
        session.append(&[says("x")]).await.unwrap();
        session.pin().await.unwrap();
        quiet(&supervisor, &session).await;
        clock.advance(2 * TTL);
        for _ in 0..2 {
            let explained = supervisor.explain(session.id()).await.unwrap().unwrap();
            assert!(matches!(explained.fate, Fate::Kept { .. }), "{explained:?}");
            assert_eq!(explained.kept_by, [KeptBy::Pinned]);
            let report = supervisor.prune(false).await.unwrap();
            assert_eq!((report.looked, report.expired), (0, 0), "no lane leads to it");
            is_found(&supervisor, &session).await;
            crowd_out(&supervisor, &session).await;
        }
        // Suspended.
        session.unpin().await.unwrap();
        session.restore().await.unwrap();
        session.suspend().await.unwrap();
        clock.advance(2 * TTL);
        let explained = supervisor.explain(session.id()).await.unwrap().unwrap();
        assert_eq!(explained.fate, Fate::Inactive);
        assert_eq!(supervisor.prune(false).await.unwrap().looked, 0);
        assert_eq!(supervisor.open(&our_key()).await.unwrap().id(), session.id());
        settled(&supervisor).await;
    }

    // X6, X8, X10: whatever the host says or fails to say, but that it may end, keeps it; for everybody alike
    async fn what_the_host_says_counts_for_everybody(stage) {
        let cases = [
            (Says::Keep, KeptBy::Hook), (Says::Fail, KeptBy::HookFailed), (Says::Panic, KeptBy::HookFailed),
            (Says::Hang, KeptBy::HookFailed),
        ];
        for dormant in [false, true] {
            for (says, expected) in &cases {
                let (supervisor, clock, host) = start_with_host(&stage, |config| {
                    config.prune.hook_timeout = if matches!(says, Says::Hang) { MS } else { DAY / 24 };
                }).await;
                // A busy machine may have no time for a host's task within its millisecond: it is not asked then.
                let was_asked = |times: usize| {
                    let asked = host.asked().len();
                    if matches!(says, Says::Hang) { asked <= times } else { asked == times }
                };
                let session = supervisor.open(&our_key()).await.unwrap();
                talk(&session, "one").await;
                if dormant {
                    crowd_out(&supervisor, &session).await;
                }
                clock.advance(TTL);
                for _ in 0..3 {
                    host.says(says.clone());
                }
                let by = kept_by(&supervisor, &session).await;
                assert_eq!(by, [*expected], "{says:?} {dormant}");
                assert!(was_asked(3), "{says:?} {dormant}");
                assert_eq!(session.status().loaded, !dormant);
                // On read, each in its turn: asked once, and then left alone for a while.
                for way in ["open", "begin", "look_up", "record"] {
                    host.says(says.clone());
                    match way {
                        "open" => {
                            let opened = supervisor.open(&our_key()).await.unwrap();
                            assert_eq!(opened.id(), session.id());
                        }
                        "look_up" => {
                            let found = supervisor.look_up(session.id()).await.unwrap().live().unwrap();
                            assert!(found.status().standing.is_active());
                        }
                        "record" => assert!(session.record().await.unwrap().standing.is_active()),
                        _ => {
                            let turn = session.begin(&user("two"), ()).await.unwrap();
                            committed(turn, "re: two").await;
                            clock.advance(TTL);
                        }
                    }
                    assert!(was_asked(1), "{way} {says:?} {dormant}");
                    assert!(host.held().is_empty());
                    quiet(&supervisor, &session).await;
                    // By then it is asked again.
                    clock.advance(DAY);
                }
                // Until it says otherwise, for which a host that may hang has no time that is sure to be enough.
                if !matches!(says, Says::Hang) {
                    ends(&supervisor, &session).await;
                    assert_eq!(host.held().len(), 1);
                }
                session.delete().await.unwrap();
            }
        }
    }

    // X6, X10: kept for one who reads, it is still asked about in a pass
    async fn a_pass_asks_also_about_what_was_kept_a_moment_ago(stage) {
        let (supervisor, clock, host) = start_with_host(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        quiet(&supervisor, &session).await;
        clock.advance(TTL);
        host.says(Says::Keep);
        assert_eq!(supervisor.open(&our_key()).await.unwrap().id(), session.id());
        // Nobody else who reads asks for a minute.
        assert_eq!(supervisor.open(&our_key()).await.unwrap().id(), session.id());
        assert_eq!(host.asked().len(), 1);
        ends(&supervisor, &session).await;
    }

    // A4, F20: the host gets the names as what they are
    async fn the_host_is_told_which_conversation_by_its_id_and_key(stage) {
        let (supervisor, clock, host) = start_with_host(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        let other = supervisor.create(NewSession::new().class("job").expiry(age(2 * TTL))).await.unwrap();
        talk(&session, "one").await;
        let used = session.status().last_active_at;
        clock.advance(2 * TTL);
        supervisor.prune(false).await.unwrap();
        let mut asked = host.asked();
        asked.sort_by_key(|it| it.incarnation);
        assert_eq!(asked, { let mut held = host.held(); held.sort_by_key(|it| it.incarnation); held });
        let (id, key): (&SessionId, &Option<SessionKey>) = (&asked[0].id, &asked[0].key);
        let life: Incarnation = asked[0].incarnation;
        assert_eq!((id, key.as_ref()), (session.id(), Some(&our_key())));
        assert_eq!(life, session.record().await.unwrap().incarnation);
        assert_eq!((asked[0].class.as_str(), asked[0].clock), ("irc", ExpiryClock::Idle));
        assert_eq!(asked[0].last_active_at, used);
        assert_eq!((&asked[1].id, asked[1].key.as_ref()), (other.id(), None));
        assert_eq!(asked[1].class, "job");
        settled(&supervisor).await;
    }

    // A pass that came at the very moment at which a lease was over told the host, and its report, of the last use
    // before the lease. A process that was stopped for a while wakes up to both at once.
    // X4, X7, X15
    async fn what_a_pass_tells_is_used_until_its_lease_was_over(stage) {
        let (supervisor, clock, host) = start_with_host(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        let lease = session.lease("work", TTL).await.unwrap();
        let until = lease.info().unwrap().until;
        // No alarm rings by this clock.
        clock.advance(3 * TTL);
        let report = supervisor.prune(true).await.unwrap();
        let [expired] = &report.expired_sessions[..] else { panic!("{report:?}") };
        assert_eq!((&expired.id, expired.last_active_at), (session.id(), until));
        let last = host.asked().last().unwrap().last_active_at;
        assert_eq!(last, until);
        drop(lease);
        settled(&supervisor).await;
    }

    // X9: the host itself uses the session, in the very task that it is asked in
    async fn what_the_host_uses_while_it_is_asked_is_kept(stage) {
        for dormant in [false, true] {
            for by in ["pass", "open", "begin"] {
                for (how, rites) in [("turn", false), ("append", false), ("append", true)] {
                    let (supervisor, clock, host) = start_with_host(&stage, |_| {}).await;
                    let session = supervisor.open(&our_key()).await.unwrap();
                    talk(&session, "one").await;
                    if dormant {
                        crowd_out(&supervisor, &session).await;
                    }
                    clock.advance(TTL);
                    let inside = supervisor.clone();
                    let work = move |candidate: Arc<session_supervisor::Candidate>| {
                        let supervisor = inside.clone();
                        let work: session_supervisor::HookFuture<()> = Box::pin(async move {
                            let found = supervisor.look_up(&candidate.id).await?.live().unwrap();
                            match how {
                                "turn" => talk(&found, "from inside").await,
                                _ => drop(found.append(&[says("from inside")]).await?),
                            }
                            Ok(())
                        });
                        work
                    };
                    if rites { host.does_as_rites(work) } else { host.does(work) }
                    match by {
                        "pass" => {
                            let report = supervisor.prune(false).await.unwrap();
                            assert_eq!((report.expired, report.kept, report.failed), (0, 1, 0), "{report:?}");
                        }
                        "open" => {
                            let opened = supervisor.open(&our_key()).await.unwrap();
                            assert_eq!(opened.id(), session.id(), "{how} {rites} {dormant}");
                        }
                        _ => drop(session.begin(&user("two"), ()).await.unwrap()),
                    }
                    assert_eq!(host.asked().len(), 1, "{by} {how} {rites} {dormant}");
                    let held = host.held().len();
                    assert_eq!(held, usize::from(rites), "{by} {how} {rites} {dormant}");
                    assert!(session.record().await.unwrap().standing.is_active());
                    assert!(texts(&session).await.contains(&"from inside".to_owned()));
                    host.rests();
                    session.delete().await.unwrap();
                    settled(&supervisor).await;
                }
            }
        }
    }

    // What a pass reads together it asks about one by one, and each answer may take half a minute. One that was
    // read as it is stored, was used since, and had left memory by the time it was its turn, was asked about as it
    // had been read, and was given its last rites; only its end was refused.
    // X9, X15
    async fn what_leaves_memory_while_the_host_is_asked_about_another_is_read_anew(stage) {
        let (supervisor, clock, host) = start_with_host(&stage, |_| {}).await;
        let one = supervisor.open(&key("#one")).await.unwrap();
        talk(&one, "one").await;
        let two = supervisor.open(&key("#two")).await.unwrap();
        talk(&two, "one").await;
        until("one makes room for two", || !one.status().loaded).await;
        clock.advance(TTL - MS);
        // Nothing of it is stored as long as it is loaded.
        two.touch().await.unwrap();
        clock.advance(MS);
        let (inside, other) = (supervisor.clone(), two.clone());
        host.does(move |_| {
            let (supervisor, two) = (inside.clone(), other.clone());
            Box::pin(async move {
                crowd_out(&supervisor, &two).await;
                Ok(())
            })
        });
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!((report.expired, report.kept, report.failed), (1, 1, 0), "{report:?}");
        assert_eq!(report.kept_sessions, [(two.id().clone(), vec![KeptBy::Starting])]);
        let ids = |asked: Vec<session_supervisor::Candidate>| -> Vec<SessionId> {
            asked.into_iter().map(|it| it.id).collect()
        };
        assert_eq!(ids(host.asked()), [one.id().clone()]);
        assert_eq!(ids(host.held()), [one.id().clone()]);
        assert!(two.record().await.unwrap().standing.is_active());
        host.rests();
        settled(&supervisor).await;
    }

    // X9: looking is no use
    async fn a_host_that_only_looks_does_not_keep_it(stage) {
        for dormant in [false, true] {
            for by in ["pass", "open", "begin", "record"] {
                let (supervisor, clock, host) = start_with_host(&stage, |_| {}).await;
                let session = supervisor.open(&our_key()).await.unwrap();
                talk(&session, "one").await;
                if dormant {
                    crowd_out(&supervisor, &session).await;
                }
                clock.advance(TTL);
                let inside = supervisor.clone();
                let look = move |candidate: Arc<session_supervisor::Candidate>| {
                    let supervisor = inside.clone();
                    let work: session_supervisor::HookFuture<()> = Box::pin(async move {
                        let found = supervisor.look_up(&candidate.id).await?.live().unwrap();
                        assert_eq!(texts(&found).await.len(), 2);
                        assert!(found.record().await?.standing.is_active());
                        drop(supervisor.record(&candidate.id).await?);
                        drop(supervisor.explain(&candidate.id).await?);
                        Ok(())
                    });
                    work
                };
                host.does(look.clone());
                host.does_as_rites(look);
                match by {
                    "pass" => assert_eq!(supervisor.prune(false).await.unwrap().expired, 1),
                    "open" => {
                        let opened = supervisor.open(&our_key()).await.unwrap();
                        assert_eq!(opened.previous().unwrap().id, *session.id());
                    }
                    "begin" => {
                        let refused = session.begin(&user("x"), ()).await.unwrap_err();
                        assert!(matches!(refused, BeginError::Inactive { .. }), "{refused:?}");
                    }
                    _ => drop(session.record().await.unwrap()),
                }
                assert_eq!((host.asked().len(), host.held().len()), (1, 1), "{by} {dormant}");
                assert!(expired_by(stored(&stage, &session).await.standing).is_some());
                host.rests();
                session.delete().await.unwrap();
                settled(&supervisor).await;
            }
        }
    }

    // X9, X13: while the host is asked, others come; they wait, ask nothing themselves, and find what became of it
    async fn those_who_come_while_the_host_is_asked_wait_for_its_answer(stage) {
        for keeps in [false, true] {
            for dormant in [false, true] {
                let (supervisor, clock, host) = start_with_host(&stage, |_| {}).await;
                let session = supervisor.open(&our_key()).await.unwrap();
                talk(&session, "one").await;
                if dormant {
                    crowd_out(&supervisor, &session).await;
                }
                clock.advance(TTL);
                let gate = Gate::new();
                host.says(Says::EndAfter(gate.clone()));
                if keeps {
                    host.rites(Says::Fail);
                }
                let pass = tokio::spawn({
                    let supervisor = supervisor.clone();
                    async move { supervisor.prune(false).await.unwrap() }
                });
                gate.wait_until_reached().await;
                let comers: Vec<_> = (0..8)
                    .map(|number| {
                        let (supervisor, session) = (supervisor.clone(), session.clone());
                        tokio::spawn(async move {
                            if number % 2 == 0 {
                                supervisor.open(&our_key()).await.unwrap().id() == session.id()
                            } else {
                                session.append(&[says("x")]).await.is_ok()
                            }
                        })
                    })
                    .collect();
                until("somebody has loaded it", || session.status().loaded).await;
                for _ in 0..20 {
                    assert!(comers.iter().all(|it| !it.is_finished()), "somebody did not wait");
                    tokio::task::yield_now().await;
                }
                gate.open();
                let report = pass.await.unwrap();
                let mut found = Vec::new();
                for comer in comers {
                    found.push(comer.await.unwrap());
                }
                // The pass was told to keep it; whoever came asked once more, and ended it.
                assert_eq!(report.kept, usize::from(keeps), "{report:?}");
                assert_eq!(found, [false; 8], "{dormant}");
                assert_eq!(host.asked().len(), 1 + usize::from(keeps));
                assert_eq!(supervisor.counts().expired, 1);
                session.delete().await.unwrap();
                supervisor.open(&our_key()).await.unwrap().delete().await.unwrap();
                settled(&supervisor).await;
            }
        }
    }

    // X18: the last rites are tried so often in a row, then it ends without; a use begins the row anew
    async fn last_rites_are_tried_a_few_times_in_a_row_and_then_left_out(stage) {
        for dormant in [false, true] {
            let (supervisor, clock, host) = start_with_host(&stage, |_| {}).await;
            let session = supervisor.open(&our_key()).await.unwrap();
            talk(&session, "one").await;
            for _ in 0..7 {
                host.rites(Says::Fail);
            }
            let leave = async || {
                if dormant {
                    crowd_out(&supervisor, &session).await;
                }
            };
            leave().await;
            clock.advance(TTL);
            // Twice by the pass, then it is used.
            for _ in 0..2 {
                let report = supervisor.prune(false).await.unwrap();
                assert_eq!(report.kept_sessions, [(session.id().clone(), vec![KeptBy::HookFailed])]);
            }
            host.asked();
            session.set_expiry(Some(idle(3 * TTL))).await.unwrap();
            assert_eq!(host.held().len(), 3, "whoever came was the third");
            let Standing::Archived { .. } = stored(&stage, &session).await.standing else { panic!() };
            session.restore().await.unwrap();
            leave().await;
            clock.advance(3 * TTL);
            // Anew: three times in a row, by whoever comes, and a dry run holds none.
            supervisor.prune(true).await.unwrap();
            assert_eq!(host.held().len(), 0);
            assert_eq!(supervisor.prune(false).await.unwrap().kept, 1);
            assert_eq!(supervisor.open(&our_key()).await.unwrap().id(), session.id());
            assert_eq!(host.held().len(), 2);
            // Used: it begins again.
            talk(&session, "two").await;
            leave().await;
            clock.advance(3 * TTL);
            for _ in 0..2 {
                assert_eq!(supervisor.prune(false).await.unwrap().kept, 1);
            }
            assert_eq!(supervisor.prune(false).await.unwrap().expired, 1);
            assert_eq!(host.held().len(), 3);
            session.delete().await.unwrap();
            settled(&supervisor).await;
        }
    }

    // X11: one that cannot be ended stops no other, and is told
    async fn one_that_fails_stops_no_other(stage) {
        let (supervisor, clock) = start(&stage, |config| config.idle.max_live = 4).await;
        let mut all = Vec::new();
        for number in 0..200 {
            all.push(supervisor.open(&key(&format!("{number}"))).await.unwrap());
        }
        for session in &all {
            quiet(&supervisor, session).await;
        }
        clock.advance(TTL);
        let errors = [
            Fault::Unavailable,
            Fault::Refused(StoreError::Damaged { what: "the row of one".into() }),
            Fault::UnknownButApplied,
            Fault::UnknownAndLost,
            Fault::Refused(StoreError::Fenced { reason: FenceReason::UsedSince }),
        ];
        for (nth, fault) in errors.into_iter().enumerate() {
            stage.store.fail_nth_of(StoreCall::Standing, 3 + 20 * nth as u64, fault);
        }
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!((report.looked, report.expired, report.failed, report.kept), (200, 195, 4, 1), "{report:?}");
        assert_eq!((report.failures.len(), report.kept_sessions.len()), (4, 1));
        // The rest at the next pass; one of them was ended all the same.
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!((report.looked, report.expired, report.failed), (4, 4, 0), "{report:?}");
        for session in &all {
            assert!(!stored(&stage, session).await.standing.is_active());
        }
        settled(&supervisor).await;
    }

    // X11: a lane that cannot be read stops no other; one where nothing can be read is an error
    async fn a_kind_that_cannot_be_read_stops_no_other(stage) {
        let (supervisor, clock) = start(&stage, |config| config.idle.max_live = 4).await;
        for number in 0..6 {
            let new = NewSession::new().class(&format!("kind {number}"));
            quiet(&supervisor, &supervisor.create(new).await.unwrap()).await;
        }
        clock.advance(TTL);
        stage.store.fail_nth_of(StoreCall::Due, 2, Fault::Unavailable);
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!((report.expired, report.failed), (5, 1), "{report:?}");
        assert!(report.failures[0].contains("lane"), "{report:?}");
        stage.store.fail_next_of(StoreCall::Lanes, Fault::Unavailable);
        supervisor.prune(false).await.unwrap_err();
        assert_eq!(supervisor.prune(false).await.unwrap().expired, 1);
        settled(&supervisor).await;
    }

    // X12, X16: what is not due is not looked at, not woken, not written, and none is idle for less
    async fn a_pass_leaves_alone_what_is_not_due(stage) {
        let (supervisor, clock) = start(&stage, |config| config.idle.max_live = 3).await;
        let mut all = Vec::new();
        for number in 0..6 {
            let session = supervisor.open(&key(&format!("{number}"))).await.unwrap();
            talk(&session, "one").await;
            quiet(&supervisor, &session).await;
            all.push(session);
            clock.advance(TTL / 8);
        }
        let loaded = |all: &[Session]| all.iter().map(|it| it.status().loaded).collect::<Vec<_>>();
        let idle_for = |all: &[Session]| {
            all.iter().map(|it| supervisor.inspect(it.id()).map(|it| it.idle_for)).collect::<Vec<_>>()
        };
        let before = (loaded(&all), idle_for(&all), supervisor.counts().loaded);
        assert_eq!(before.0.iter().filter(|it| **it).count(), 3);
        stage.store.reset_calls();
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!((report.looked, report.expired, report.kept), (0, 0, 0), "{report:?}");
        assert_eq!(stage.store.writes(), 0);
        assert_eq!((loaded(&all), idle_for(&all), supervisor.counts().loaded), before);
        // The first two are due by now; they are ended where they are.
        clock.advance(TTL / 2 - MS);
        stage.store.reset_calls();
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!(report.expired, 2, "{report:?}");
        assert_eq!(stage.store.writes(), 2);
        assert_eq!(stage.store.calls_of(StoreCall::LookUp), 0);
        assert_eq!((loaded(&all), supervisor.counts().loaded), (before.0, before.2));
        // Nothing has changed since: nothing is written.
        stage.store.reset_calls();
        supervisor.prune(false).await.unwrap();
        assert_eq!(stage.store.writes(), 0);
        // The idlest leaves first, as before.
        supervisor.create(NewSession::new()).await.unwrap();
        assert_eq!(loaded(&all), [false, false, false, false, true, true]);
        settled(&supervisor).await;
    }

    // X1, X11: over by two clocks it is ended, kept and told of once
    async fn one_that_is_over_by_two_clocks_is_counted_once(stage) {
        let (supervisor, clock, host) = start_with_host(&stage, |config| {
            config.expiry.age = Some(TTL);
        }).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        quiet(&supervisor, &session).await;
        clock.advance(2 * TTL);
        let report = supervisor.prune(true).await.unwrap();
        assert_eq!((report.looked, report.expired), (1, 1), "{report:?}");
        host.says(Says::Keep);
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!((report.looked, report.kept, report.expired), (1, 1, 0), "{report:?}");
        assert_eq!(supervisor.prune(false).await.unwrap().expired, 1);
        settled(&supervisor).await;
    }

    // F22, B11, X9: whatever the store takes its time with, the pass holds nothing that anybody else needs
    async fn a_pass_that_waits_for_the_store_holds_up_nobody(stage) {
        for call in [StoreCall::Lanes, StoreCall::Due, StoreCall::Standing] {
            for dormant in [false, true] {
                let (supervisor, clock) = start(&stage, |_| {}).await;
                let old = supervisor.create(NewSession::new()).await.unwrap();
                if dormant {
                    crowd_out(&supervisor, &old).await;
                }
                clock.advance(TTL);
                let other = supervisor.open(&our_key()).await.unwrap();
                let gate = Gate::new();
                stage.store.fail_next_of(call, Fault::HeldBefore(gate.clone()));
                let pass = {
                    let supervisor = supervisor.clone();
                    tokio::spawn(async move { supervisor.prune(false).await.unwrap() })
                };
                gate.wait_until_reached().await;
                talk(&other, "one").await;
                assert!(supervisor.open(&key("#new")).await.unwrap().status().loaded);
                assert!(supervisor.explain(other.id()).await.unwrap().is_some());
                supervisor.list(RecordFilter::default(), None, 10).await.unwrap();
                other.delete().await.unwrap();
                assert!(!pass.is_finished(), "it waits for {call:?}");
                gate.open();
                let report = pass.await.unwrap();
                assert_eq!((report.expired, report.failed), (1, 0), "{call:?}: {report:?}");
                settled(&supervisor).await;
            }
        }
    }

    // X17: by the last use, not by the beginning
    async fn an_old_conversation_that_was_used_lately_goes_on(stage) {
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let old = supervisor.open(&our_key()).await.unwrap();
        for _ in 0..50 {
            clock.advance(TTL - MS);
            talk(&old, "again").await;
        }
        let young = supervisor.create(NewSession::new()).await.unwrap();
        quiet(&supervisor, &old).await;
        clock.advance(TTL - MS);
        talk(&old, "again").await;
        clock.advance(MS);
        let report = ends(&supervisor, &young).await;
        assert_eq!(report.kept, 0);
        is_found(&supervisor, &old).await;
    }

    // X19: deleted by the pass, the tombstone says why and when; one that was only archived says it in its record
    async fn what_the_pass_deletes_leaves_a_tombstone_that_says_why(stage) {
        for dormant in [false, true] {
            for own in [false, true] {
                let (supervisor, clock) = start(&stage, |config| {
                    if !own {
                        config.expiry.action = Some(ExpiryAction::Delete);
                    }
                }).await;
                let mut rules = ExpiryRules::default();
                rules.action = own.then_some(ExpiryAction::Delete);
                let new = || NewSession::new().expiry(rules.clone());
                let session = supervisor.open_with(&our_key(), new).await.unwrap().session;
                talk(&session, "one").await;
                if dormant {
                    crowd_out(&supervisor, &session).await;
                }
                clock.advance(TTL);
                let at = supervisor.now();
                let report = ends(&supervisor, &session).await;
                assert_eq!((report.deleted, report.failed), (1, 0), "{dormant} {own}: {report:?}");
                let Lookup::Gone(tombstone) = supervisor.look_up(session.id()).await.unwrap() else {
                    panic!("{dormant} {own}")
                };
                assert_eq!(tombstone.reason, GoneReason::Expired(ExpiryClock::Idle));
                assert_eq!(tombstone.at, at);
                assert_eq!(stage.behind().bound_to(&our_key()).await.unwrap(), None);
                settled(&supervisor).await;
            }
        }
    }

    // X11, X19: cut off between the archive and the delete, the next one who comes or the next pass finishes it
    async fn a_delete_that_was_cut_off_is_finished(stage) {
        for dormant in [false, true] {
            for by in ["pass", "open", "restart"] {
                let deletes = |config: &mut Config| config.expiry.action = Some(ExpiryAction::Delete);
                let (supervisor, clock) = start(&stage, deletes).await;
                let session = supervisor.open(&our_key()).await.unwrap();
                talk(&session, "one").await;
                if dormant {
                    crowd_out(&supervisor, &session).await;
                }
                quiet(&supervisor, &session).await;
                clock.advance(TTL);
                stage.store.fail_next_of(StoreCall::Delete, Fault::Unavailable);
                let report = supervisor.prune(false).await.unwrap();
                assert_eq!((report.expired, report.deleted, report.failed), (1, 0, 1), "{report:?}");
                assert_eq!(expired_by(stored(&stage, &session).await.standing), Some(ExpiryClock::Idle));
                let reason = match by {
                    "pass" => {
                        let report = supervisor.prune(false).await.unwrap();
                        assert_eq!((report.deleted, report.failed), (1, 0), "{report:?}");
                        supervisor.record(session.id()).await.unwrap()
                    }
                    "open" => {
                        let fresh = supervisor.open(&our_key()).await.unwrap();
                        assert_ne!(fresh.id(), session.id());
                        fresh.delete().await.unwrap();
                        supervisor.record(session.id()).await.unwrap()
                    }
                    _ => {
                        let again = start_at(&stage, &clock, deletes).await;
                        let report = again.prune(false).await.unwrap();
                        assert_eq!((report.deleted, report.failed), (1, 0), "{report:?}");
                        again.record(session.id()).await.unwrap()
                    }
                };
                let Found::Gone(tombstone) = reason else { panic!("{by} {dormant}: {reason:?}") };
                assert_eq!(tombstone.reason, GoneReason::Expired(ExpiryClock::Idle), "{by} {dormant}");
                if by != "restart" {
                    settled(&supervisor).await;
                }
            }
        }
    }

    // E12: those that were closed for long enough go; never what is pinned, restored or suspended
    async fn what_was_closed_for_long_enough_is_deleted(stage) {
        let (supervisor, clock) = start(&stage, |config| {
            config.expiry = ExpiryRules::default();
            config.prune.delete_closed_after = DAY;
            config.idle.max_live = 2;
        }).await;
        let mut all = Vec::new();
        for verb in ["archive", "end", "pinned", "restored", "suspended", "active", "later"] {
            let session = supervisor.open(&key(verb)).await.unwrap();
            talk(&session, verb).await;
            all.push((verb, session));
        }
        for (verb, session) in &all {
            match *verb {
                "archive" => session.archive().await.unwrap(),
                "end" => session.end().await.unwrap(),
                "pinned" => {
                    session.archive().await.unwrap();
                    session.pin().await.unwrap();
                }
                "restored" => {
                    session.archive().await.unwrap();
                    session.restore().await.unwrap();
                }
                "suspended" => session.suspend().await.unwrap(),
                _ => {}
            }
            quiet(&supervisor, session).await;
        }
        clock.advance(MS);
        all[6].1.archive().await.unwrap();
        quiet(&supervisor, &all[6].1).await;
        clock.advance(DAY - 2 * MS);
        assert_eq!(supervisor.prune(false).await.unwrap().deleted, 0);
        clock.advance(MS);
        let dry = supervisor.prune(true).await.unwrap();
        assert_eq!((dry.deleted, dry.failed), (2, 0), "{dry:?}");
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!((report.deleted, report.expired, report.failed), (2, 0, 0), "{report:?}");
        clock.advance(MS);
        assert_eq!(supervisor.prune(false).await.unwrap().deleted, 1);
        for (verb, session) in &all {
            let found = supervisor.record(session.id()).await.unwrap();
            let gone = matches!(*verb, "archive" | "end" | "later");
            match found {
                Found::Gone(tombstone) if gone => assert_eq!(tombstone.reason, GoneReason::Purged),
                Found::Live(_) if !gone => assert_eq!(texts(session).await.len(), 2),
                other => panic!("{verb}: {other:?}"),
            }
        }
        clock.advance(DAY);
        assert_eq!(supervisor.prune(false).await.unwrap().deleted, 0);
        // Pinned no more, it goes as well.
        all[2].1.unpin().await.unwrap();
        quiet(&supervisor, &all[2].1).await;
        assert_eq!(supervisor.prune(false).await.unwrap().deleted, 1);
        settled(&supervisor).await;
    }

    // E12, X13: restored or pinned while the pass comes to delete it, it stays
    async fn what_is_brought_back_before_it_is_deleted_stays(stage) {
        for what in ["restore", "pin"] {
            let (supervisor, clock) = start(&stage, |config| {
                config.prune.delete_closed_after = DAY;
            }).await;
            let session = supervisor.open(&our_key()).await.unwrap();
            talk(&session, "one").await;
            session.archive().await.unwrap();
            crowd_out(&supervisor, &session).await;
            clock.advance(DAY);
            // It has read which are to go, and loads the first of them.
            let gate = Gate::new();
            stage.store.fail_next_of(StoreCall::LookUp, Fault::HeldAfter(gate.clone()));
            let pass = tokio::spawn({
                let supervisor = supervisor.clone();
                async move { supervisor.prune(false).await.unwrap() }
            });
            gate.wait_until_reached().await;
            let mut back = Box::pin({
                let session = session.clone();
                async move {
                    if what == "pin" { session.pin().await } else { session.restore().await }
                }
            });
            assert!(poll_once(&mut back).is_pending());
            gate.open();
            let (back, report) = (back.await, pass.await.unwrap());
            assert_eq!(report.failed, 0, "{report:?}");
            // Whichever was first; both say the same.
            let found = supervisor.record(session.id()).await.unwrap();
            assert_eq!(matches!(found, Found::Live(_)), back.is_ok(), "{what}: {back:?} {report:?}");
            assert_eq!(report.deleted, usize::from(back.is_err()), "{what}: {back:?} {report:?}");
            settled(&supervisor).await;
            session.delete().await.unwrap();
        }
    }
}

in_paused_time! {
    // X11: the first pass comes with the start, the others every so often, and one that fails ends no other
    async fn passes_come_with_the_start_and_then_again_and_again(stage) {
        let wall = {
            let supervisor = stage.builder_with(|config| config.prune.every = Duration::ZERO)
                .clock(PausedClock::new()).start().await.unwrap();
            let session = supervisor.create(NewSession::new()).await.unwrap();
            quiet(&supervisor, &session).await;
            supervisor.now()
        };
        let clock = PausedClock::starting_at(wall.plus(2 * TTL));
        let builder = stage.builder_with(|config| {
            config.expiry.idle = Some(TTL);
            config.prune.every = TTL / 4;
            config.idle.unload_after = Duration::ZERO;
        });
        let supervisor = builder.clock(clock).start().await.unwrap();
        // Nothing else than the start has happened, and no time has passed.
        until("the first pass", || supervisor.counts().expired == 1).await;
        assert_eq!(supervisor.now(), wall.plus(2 * TTL));
        let session = supervisor.open(&our_key()).await.unwrap();
        stage.store.fail_nth_of(StoreCall::Lanes, 2, Fault::Unavailable);
        tokio::time::sleep(TTL + TTL / 4 + MS).await;
        assert_eq!(supervisor.counts().expired, 2);
        assert!(expired_by(session.status().standing).is_some());
        assert!(supervisor.counts().store_failures > 0);
        settled(&supervisor).await;
    }
}

/// A session whose row cannot be read any more.
#[cfg(feature = "sqlite")]
mod damage {
    use session_supervisor::{SqliteOptions, SqliteStore};

    use super::*;

    // X11, G9: one row that is damaged stops nothing and is told once
    #[tokio::test]
    async fn a_damaged_row_stops_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.db");
        let open = async || SqliteStore::open(&file, SqliteOptions::default()).await.unwrap();
        let config = || {
            let mut config = Config::default();
            ending::an_hour(&mut config);
            config.expiry.age = Some(TTL);
            config
        };
        let clock = session_supervisor::testing::ManualClock::new();
        let builder =
            Supervisor::builder().store(open().await).config(config()).clock(clock.clone());
        let supervisor: Supervisor = builder.start().await.unwrap();
        let mut ids = Vec::new();
        for number in 0..3 {
            ids.push(supervisor.open(&key(&format!("{number}"))).await.unwrap().id().clone());
        }
        supervisor.shutdown(Duration::from_secs(1)).await.unwrap();
        drop(supervisor);
        let connection = rusqlite::Connection::open(&file).unwrap();
        let damaged = "UPDATE sessions SET version = version + 1 WHERE id = ?1";
        connection.execute(damaged, [ids[1].to_string()]).unwrap();
        drop(connection);
        clock.advance(TTL);
        let builder =
            Supervisor::builder().store(open().await).config(config()).clock(clock.clone());
        let supervisor: Supervisor = builder.start().await.unwrap();
        for dry_run in [true, false] {
            let report = supervisor.prune(dry_run).await.unwrap();
            assert_eq!((report.expired, report.failed), (2, 1), "{report:?}");
            assert!(report.failures[0].contains(&ids[1].to_string()), "{report:?}");
        }
        assert_eq!(supervisor.prune(false).await.unwrap().failed, 1);
        settled(&supervisor).await;
    }
}

// X8, X18, X19, L1, L5: what is counted and told of it
#[test]
fn what_ends_and_what_is_kept_is_counted_and_told() {
    let (numbers, events) = (Numbers::default(), Events::default());
    let play = || {
        // In paused time, a millisecond is over only when the host hangs, however busy the machine is.
        support::play_paused(support::Kind::Memory, |stage| async move {
            let (supervisor, clock, host) = start_with_host(&stage, |config| {
                config.prune.hook_timeout = MS;
                config.prune.finalize_attempts = 2;
            })
            .await;
            let session = supervisor.open(&our_key()).await.unwrap();
            let dormant = supervisor.open(&key("#dormant")).await.unwrap();
            session.set_expiry(Some(idle(TTL))).await.unwrap();
            crowd_out(&supervisor, &dormant).await;
            clock.advance(TTL);
            for says in [Says::Fail, Says::Fail, Says::Panic, Says::Panic, Says::Hang, Says::Hang] {
                host.says(says);
            }
            for _ in 0..3 {
                assert_eq!(supervisor.prune(false).await.unwrap().kept, 2);
            }
            for _ in 0..4 {
                host.rites(Says::Fail);
            }
            assert_eq!(supervisor.prune(false).await.unwrap().kept, 2);
            assert_eq!(supervisor.prune(false).await.unwrap().expired, 2);
            assert_eq!(supervisor.counts().expired, 2);
            settled(&supervisor).await;
        });
    };
    metrics::with_local_recorder(&numbers, || events.during(play));
    let errors = |hook: &str, how: &str| {
        numbers.get(&format!("session_prune_hook_errors_total{{hook={hook}}}{{how={how}}}"))
    };
    assert_eq!(
        (errors("keeps", "error"), errors("keeps", "panic"), errors("keeps", "timeout")),
        (2, 2, 2)
    );
    assert_eq!(errors("finalize", "error"), 4);
    assert_eq!(numbers.get("session_prune_forced_total"), 2);
    assert_eq!(numbers.get("session_expired_total{clock=idle}"), 2);
    assert_eq!(numbers.get("session_prune_seconds"), 5);
    let told: Vec<_> = events
        .take()
        .into_iter()
        .filter(|event| event.get("to").is_some_and(|to| to == "archived"))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for event in told {
        assert_eq!(event["from"], "active");
        assert!(event["reason"].contains("it was not used for long"), "{event:?}");
        assert!(event.contains_key("session"), "{event:?}");
    }
}

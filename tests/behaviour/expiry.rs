//! Conversations end by themselves: by which clocks, and for whom, whether a pass has come or not.
//!
//! The clocks are moved by hand, so nothing here waits for time, and a millisecond before and after the end
//! are exact.

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
use crate::support;

use std::future::Future;
use std::time::Duration;

use ending::{
    DAY, MS, TTL, age, calendar, crowd_out, expired_by, idle, our_key, start, start_at, stored,
    talk,
};
use session_supervisor::store::Found;
use session_supervisor::testing::{Fault, Gate, ManualClock, StoreCall, drop_at_every_await};
use session_supervisor::{
    BeginError, BeginOptions, Calendar, ClassConfig, Config, ExpiryAction, ExpiryClock,
    ExpiryRules, Fate, GoneReason, KeptBy, LeaseRenewal, Lookup, NewSession, Previous,
    RebindReason, RecordFilter, Session, SessionError, SessionId, Standing, StartError, Supervisor,
    Timestamp,
};
use support::{
    begin, committed, everywhere, in_paused_time, key, poll_once, quiet, says, settled, texts, user,
};

/// What is to become of it by itself.
async fn fate(supervisor: &Supervisor, session: &Session) -> Fate {
    supervisor.explain(session.id()).await.unwrap().unwrap().fate
}

/// The clock by which it will end first, and in what time.
async fn next(supervisor: &Supervisor, session: &Session) -> Option<(ExpiryClock, Duration)> {
    match fate(supervisor, session).await {
        Fate::GoesOn { clock, left } => Some((clock, left)),
        Fate::Stays => None,
        other => panic!("{other:?}"),
    }
}

/// Asserts that it is over by `clock`, and that whoever opens its key finds a fresh one.
async fn is_over(supervisor: &Supervisor, session: &Session, clock: ExpiryClock) {
    let explained = fate(supervisor, session).await;
    assert!(matches!(explained, Fate::Ends { clock: by, .. } if by == clock), "{explained:?}");
    let refused = session.begin(&user("late"), ()).await.unwrap_err();
    let BeginError::Inactive { standing, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(expired_by(standing), Some(clock));
    assert_eq!(fate(supervisor, session).await, Fate::Inactive);
    settled(supervisor).await;
}

/// Asserts that it takes turns.
async fn is_alive(supervisor: &Supervisor, session: &Session) {
    let record = session.record().await.unwrap();
    assert!(record.standing.is_active(), "{}", record.standing);
    let listed = supervisor.list(RecordFilter::default(), None, 100).await.unwrap().records;
    let listed = listed.into_iter().find(|it| it.id == *session.id()).unwrap();
    assert!(listed.standing.is_active(), "{}", listed.standing);
    if let Some(key) = session.key() {
        assert_eq!(supervisor.open(key).await.unwrap().id(), session.id());
    }
    let found = supervisor.look_up(session.id()).await.unwrap().live().unwrap();
    assert!(found.status().standing.is_active());
}

/// Asserts that it has ended by the idle clock, as the store says.
async fn is_over_by_now(supervisor: &Supervisor, session: &Session) {
    let Found::Live(record) = supervisor.record(session.id()).await.unwrap() else { panic!() };
    assert_eq!(expired_by(record.standing), Some(ExpiryClock::Idle));
}

/// Lets the others run, and asserts that it still waits.
async fn still_pending<F: Future + Unpin>(future: &mut F) {
    for _ in 0..20 {
        assert!(poll_once(future).is_pending(), "it did not wait");
        tokio::task::yield_now().await;
    }
}

/// Rules of all three clocks.
fn three(idle: Option<Duration>, age: Option<Duration>, calendar: Option<&str>) -> ExpiryRules {
    let mut rules = ExpiryRules::default();
    (rules.idle, rules.age) = (idle, age);
    rules.calendar = calendar.map(|it| it.parse().unwrap());
    rules
}

everywhere! {
    // X1: each clock, loaded and not
    async fn each_clock_ends_a_conversation_to_the_millisecond(stage) {
        // 12:00 UTC.
        let noon = Timestamp::from_millis(1_893_456_000_000).plus(DAY / 2);
        let cases = [
            (idle(TTL), ExpiryClock::Idle, TTL),
            (age(2 * TTL), ExpiryClock::Age, 2 * TTL),
            (calendar("15:30"), ExpiryClock::Calendar, Duration::from_secs(12_600)),
            // Whichever is over first.
            (three(Some(2 * TTL), Some(TTL), Some("15:30")), ExpiryClock::Age, TTL),
            (three(Some(2 * TTL), Some(3 * TTL), Some("15:30")), ExpiryClock::Idle, 2 * TTL),
            (three(Some(9 * TTL), Some(9 * TTL), Some("12:30")), ExpiryClock::Calendar, TTL / 2),
        ];
        let clock = ManualClock::starting_at(noon);
        let supervisor = start_at(&stage, &clock, |config| config.expiry = ExpiryRules::default()).await;
        for dormant in [false, true] {
            for (number, (rules, by, after)) in cases.iter().enumerate() {
                clock.set_wall(noon);
                let key = key(&format!("{dormant}-{number}"));
                let new = || NewSession::new().expiry(rules.clone());
                let opened = supervisor.open_with(&key, new).await.unwrap();
                let session = opened.session;
                assert_eq!(next(&supervisor, &session).await, Some((*by, *after)), "{rules:?}");
                if dormant {
                    crowd_out(&supervisor, &session).await;
                }
                clock.advance(*after - MS);
                assert_eq!(next(&supervisor, &session).await, Some((*by, MS)), "{rules:?}");
                assert_eq!(session.status().loaded, !dormant, "to explain loads nothing");
                clock.advance(MS);
                is_over(&supervisor, &session, *by).await;
                let fresh = supervisor.open_with(&key, NewSession::new).await.unwrap();
                let previous = Previous::new(session.id().clone(), RebindReason::Expired(*by));
                assert_eq!((fresh.created, fresh.previous), (true, Some(previous)));
            }
        }
    }

    // X1: idle counts from the last use, age from the beginning
    async fn use_puts_off_the_idle_clock_and_not_the_age(stage) {
        let (supervisor, clock) = start(&stage, |config| {
            config.expiry = three(Some(TTL), Some(3 * TTL), None);
        }).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        for _ in 0..4 {
            clock.advance(TTL / 2);
            talk(&session, "again").await;
            assert_eq!(next(&supervisor, &session).await.map(|(_, left)| left), Some(TTL));
        }
        clock.advance(TTL / 2);
        talk(&session, "again").await;
        assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Age, TTL / 2)));
        crowd_out(&supervisor, &session).await;
        assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Age, TTL / 2)));
        clock.advance(TTL / 2);
        is_over(&supervisor, &session, ExpiryClock::Age).await;
    }

    // X1: session over class over all, clock by clock
    async fn the_most_specific_rule_counts_for_each_clock_alone(stage) {
        let (supervisor, _clock) = start(&stage, |config| {
            config.idle.max_live = 0;
            config.expiry = three(Some(10 * TTL), Some(20 * TTL), None);
            let class = |rules| {
                let mut class = ClassConfig::default();
                class.expiry = rules;
                class
            };
            config.classes.insert("short".into(), class(idle(TTL)));
            config.classes.insert("irc".into(), class(age(5 * TTL)));
            config.classes.insert("ever".into(), class(three(Some(Duration::ZERO), Some(Duration::ZERO), None)));
        }).await;
        let check = async |new: NewSession, with_key: bool, expected: Option<(ExpiryClock, Duration)>| {
            let session = if with_key {
                supervisor.reset(&our_key(), new).await.unwrap().session
            } else {
                supervisor.create(new).await.unwrap()
            };
            assert_eq!(next(&supervisor, &session).await, expected);
        };
        let (i, a) = (ExpiryClock::Idle, ExpiryClock::Age);
        check(NewSession::new(), false, Some((i, 10 * TTL))).await;
        check(NewSession::new().class("short"), false, Some((i, TTL))).await;
        check(NewSession::new().class("unheard of"), false, Some((i, 10 * TTL))).await;
        // The platform of its key, unless something else is said.
        check(NewSession::new(), true, Some((a, 5 * TTL))).await;
        check(NewSession::new().class("short"), true, Some((i, TTL))).await;
        check(NewSession::new().class("ever"), true, None).await;
        // Its own, for one clock.
        check(NewSession::new().class("short").expiry(idle(2 * TTL)), false, Some((i, 2 * TTL))).await;
        check(NewSession::new().class("short").expiry(age(TTL / 2)), false, Some((a, TTL / 2))).await;
        let off = idle(Duration::ZERO);
        check(NewSession::new().class("short").expiry(off), false, Some((a, 20 * TTL))).await;
        check(NewSession::new().class("ever").expiry(age(TTL)), false, Some((a, TTL))).await;
    }

    // X1: said later, and taken back; no use
    async fn rules_of_its_own_can_be_changed_and_taken_back(stage) {
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        clock.advance(TTL / 2);
        session.set_expiry(Some(idle(2 * TTL))).await.unwrap();
        assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Idle, 3 * TTL / 2)));
        crowd_out(&supervisor, &session).await;
        assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Idle, 3 * TTL / 2)));
        session.set_expiry(Some(idle(TTL / 4))).await.unwrap();
        is_over(&supervisor, &session, ExpiryClock::Idle).await;
        // Brought back it is in use.
        session.restore().await.unwrap();
        session.set_expiry(None).await.unwrap();
        assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Idle, TTL)));
        is_alive(&supervisor, &session).await;
    }

    // X1: the night in which the clocks are put forward, and that in which they are put back
    async fn a_calendar_is_kept_over_the_change_of_the_clocks(stage) {
        let at = |text: &str| {
            let time: std::time::SystemTime = humantime::parse_rfc3339(text).unwrap();
            let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
            Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
        };
        for (calendar_text, used, over) in [
            // 04:00 is CEST from 31 March 2030 on, and CET from 27 October 2030 on.
            ("04:00 Europe/Berlin", "2030-03-29T12:00:00Z", "2030-03-30T03:00:00Z"),
            ("04:00 Europe/Berlin", "2030-03-30T12:00:00Z", "2030-03-31T02:00:00Z"),
            ("04:00 Europe/Berlin", "2030-10-26T12:00:00Z", "2030-10-27T03:00:00Z"),
            // There is no 02:30 in the one night, and there are two in the other.
            ("02:30 Europe/Berlin", "2030-03-30T12:00:00Z", "2030-03-31T01:30:00Z"),
            ("02:30 Europe/Berlin", "2030-10-26T12:00:00Z", "2030-10-27T00:30:00Z"),
            ("02:30 Europe/Berlin", "2030-10-27T00:30:00Z", "2030-10-28T01:30:00Z"),
            ("sunday 04:00 America/New_York", "2030-03-05T00:00:00Z", "2030-03-10T08:00:00Z"),
        ] {
            let (used, over) = (at(used), at(over));
            let clock = ManualClock::starting_at(used);
            let supervisor = start_at(&stage, &clock, |config| {
                config.expiry = calendar(calendar_text);
            }).await;
            let session = supervisor.create(NewSession::new()).await.unwrap();
            let dormant = supervisor.create(NewSession::new()).await.unwrap();
            crowd_out(&supervisor, &dormant).await;
            talk(&session, "hello").await;
            clock.advance(over.since(used) - MS);
            assert_eq!(next(&supervisor, &dormant).await, Some((ExpiryClock::Calendar, MS)), "{over}");
            assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Calendar, MS)), "{over}");
            assert_eq!(supervisor.prune(false).await.unwrap().expired, 0);
            clock.advance(MS);
            is_over(&supervisor, &session, ExpiryClock::Calendar).await;
            let report = supervisor.prune(false).await.unwrap();
            assert_eq!(report.expired_sessions.len(), 1, "{report:?}");
            assert_eq!(report.expired_sessions[0].id, *dormant.id());
            session.delete().await.unwrap();
            dormant.delete().await.unwrap();
        }
    }

    // X1, X2
    async fn a_class_may_have_no_calendar_where_all_have_one(stage) {
        let (supervisor, clock) = start(&stage, |config| {
            config.expiry = calendar("04:00 Asia/Tokyo");
            let mut class = ClassConfig::default();
            class.expiry.calendar = Some(Calendar::NEVER);
            config.classes.insert("game".into(), class);
        }).await;
        let game = supervisor.create(NewSession::new().class("game")).await.unwrap();
        let chat = supervisor.create(NewSession::new()).await.unwrap();
        assert_eq!(fate(&supervisor, &game).await, Fate::Stays);
        clock.advance(3_650 * DAY);
        is_over(&supervisor, &chat, ExpiryClock::Calendar).await;
        is_alive(&supervisor, &game).await;
        let mut never = ExpiryRules::default();
        never.calendar = Some(Calendar::NEVER);
        let own = supervisor.create(NewSession::new().expiry(never)).await.unwrap();
        assert_eq!(fate(&supervisor, &own).await, Fate::Stays);
    }

    // X2: absent and 0 are never
    async fn what_is_not_set_or_zero_never_ends_anything(stage) {
        let zero = three(Some(Duration::ZERO), Some(Duration::ZERO), Some("never"));
        for rules in [ExpiryRules::default(), zero] {
            let (supervisor, clock) = start(&stage, |config| config.expiry = rules.clone()).await;
            let session = supervisor.open(&our_key()).await.unwrap();
            clock.advance(36_500 * DAY);
            assert_eq!(fate(&supervisor, &session).await, Fate::Stays);
            is_alive(&supervisor, &session).await;
            crowd_out(&supervisor, &session).await;
            clock.advance(36_500 * DAY);
            let report = supervisor.prune(false).await.unwrap();
            assert_eq!((report.looked, report.expired), (0, 0));
            is_alive(&supervisor, &session).await;
        }
        assert_eq!(Config::default().expiry.idle, Some(90 * DAY), "the default is written down");
    }

    // X2: wherever rules come from
    async fn rules_that_make_no_sense_are_refused_by_the_name_of_the_field(stage) {
        let builder = stage.builder_with(|config| config.expiry.idle = Some(MS));
        let StartError::Config(error) = builder.start().await.unwrap_err() else { panic!() };
        assert_eq!(error.field, "expiry.idle");
        let builder = stage.builder_with(|config| {
            let mut class = ClassConfig::default();
            class.expiry.age = Some(Duration::MAX);
            config.classes.insert("night".into(), class);
        });
        let StartError::Config(error) = builder.start().await.unwrap_err() else { panic!() };
        assert_eq!(error.field, "classes.night.expiry.age");
        let builder = stage.builder_with(|config| config.prune.every = MS);
        let StartError::Config(error) = builder.start().await.unwrap_err() else { panic!() };
        assert_eq!(error.field, "prune.every");
        // Those of a session, too: nothing is created, nothing is changed.
        let (supervisor, _clock) = start(&stage, |_| {}).await;
        let refused = supervisor.open_with(&our_key(), || NewSession::new().expiry(idle(MS))).await;
        let text = format!("{:?}", refused.unwrap_err());
        assert!(text.contains("expiry.idle"), "{text}");
        assert_eq!(supervisor.list(RecordFilter::default(), None, 10).await.unwrap().records.len(), 0);
        let session = supervisor.open(&our_key()).await.unwrap();
        let refused = session.set_expiry(Some(age(Duration::MAX))).await.unwrap_err();
        assert!(matches!(refused, SessionError::Content { .. }), "{refused:?}");
        assert!(format!("{refused:?}").contains("expiry.age"), "{refused:?}");
        assert_eq!(session.record().await.unwrap().expiry, None);
        assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Idle, TTL)));
    }

    // X3: a wall clock that jumps while the process runs ends nothing, and real time does
    async fn a_jump_of_the_wall_clock_ends_nothing(stage) {
        let years = 3_650 * DAY;
        for (jump, back) in [(DAY, false), (DAY, true), (years, false)] {
            for rules in [idle(TTL), age(TTL), calendar("00:30")] {
                let clock = ManualClock::new();
                let supervisor = start_at(&stage, &clock, |config| {
                    config.idle.max_live = 2;
                    config.expiry = rules.clone();
                }).await;
                let dormant = supervisor.create(NewSession::new()).await.unwrap();
                let loaded = supervisor.create(NewSession::new()).await.unwrap();
                crowd_out(&supervisor, &dormant).await;
                assert!(loaded.status().loaded);
                clock.advance(10 * MS);
                // Ends after half an hour by the calendar, after an hour otherwise.
                let whole = if rules.calendar.is_some() { TTL / 2 } else { TTL };
                if back {
                    clock.set_wall(supervisor.now().minus(jump));
                } else {
                    clock.advance_wall(jump);
                }
                for at in [Duration::ZERO, whole / 2, whole / 4] {
                    clock.advance(at);
                    let report = supervisor.prune(false).await.unwrap();
                    assert_eq!((report.expired, report.kept, report.failed), (0, 0, 0), "{jump:?}");
                    for session in [&dormant, &loaded] {
                        let explained = fate(&supervisor, session).await;
                        assert!(matches!(explained, Fate::GoesOn { .. }), "{jump:?} {back}: {explained:?}");
                        assert!(session.record().await.unwrap().standing.is_active());
                    }
                    assert!(!dormant.status().loaded);
                }
                if !back {
                    // On read. It is loaded then, and something else leaves.
                    is_alive(&supervisor, &dormant).await;
                }
                // After real time it is over: at once for what was in memory.
                clock.advance(whole / 4);
                assert!(matches!(fate(&supervisor, &loaded).await, Fate::Ends { .. }), "{jump:?} {back}");
                assert!(supervisor.open_id(loaded.id()).await.unwrap().status().standing != Standing::Active);
                if back {
                    // What was only stored is as much younger as the clock went back.
                    clock.advance(jump);
                }
                let report = supervisor.prune(false).await.unwrap();
                assert_eq!(report.expired, 1, "{jump:?} {back} {report:?}");
                dormant.delete().await.unwrap();
                loaded.delete().await.unwrap();
                settled(&supervisor).await;
            }
        }
    }

    // X3, X21: a clock that was wrong for a while and is put right makes nothing immortal
    async fn a_jump_that_is_taken_back_keeps_nothing_alive(stage) {
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        crowd_out(&supervisor, &session).await;
        clock.advance_wall(3_650 * DAY);
        assert_eq!(supervisor.prune(false).await.unwrap().expired, 0);
        clock.advance(TTL / 2);
        clock.set_wall(supervisor.now().minus(3_650 * DAY));
        assert_eq!(supervisor.prune(false).await.unwrap().expired, 0);
        assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Idle, TTL / 2)));
        clock.advance(TTL / 2);
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!(report.expired, 1, "{report:?}");
    }

    // X4: idle counts from the end of the work
    async fn a_turn_that_takes_longer_than_the_idle_clock_ends_nothing(stage) {
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        let turn = session.begin(&user("a long one"), ()).await.unwrap();
        clock.advance(3 * TTL);
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!(report.kept_sessions, [(session.id().clone(), vec![KeptBy::Turn])]);
        assert_eq!(supervisor.open(&our_key()).await.unwrap().id(), session.id());
        committed(turn, "done").await;
        quiet(&supervisor, &session).await;
        assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Idle, TTL)));
        crowd_out(&supervisor, &session).await;
        assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Idle, TTL)));
        clock.advance(TTL - MS);
        is_alive(&supervisor, &session).await;
        clock.advance(MS);
        is_over(&supervisor, &session, ExpiryClock::Idle).await;
    }

    // X5, X16: what counts as use, and what does not; loaded and stored alike
    async fn only_what_is_done_with_a_conversation_puts_its_end_off(stage) {
        type Step = (&'static str, bool);
        const STEPS: [Step; 23] = [
            ("begin and commit", true), ("append", true), ("insert", true), ("remove", true),
            ("rollback", true), ("retry", true), ("a turn that is dropped", true),
            ("resume", false), ("restore", false),
            ("transcript", false), ("record", false), ("status", false), ("get", false), ("open", false),
            ("look up", false), ("list", false), ("explain", false), ("prune", false), ("inspect", false),
            ("stop", false), ("a refused begin", false), ("pin and unpin", false), ("rules of its own", false),
        ];
        let (supervisor, clock) = start(&stage, |_| {}).await;
        for (number, (step, uses)) in STEPS.into_iter().enumerate() {
            let key = key(&format!("#{number}"));
            let session = supervisor.open(&key).await.unwrap();
            talk(&session, "one").await;
            quiet(&supervisor, &session).await;
            let before = session.status().last_active_at;
            clock.advance(TTL / 2);
            match step {
                "begin and commit" => talk(&session, "two").await,
                "append" => drop(session.append(&[says("a notice")]).await.unwrap()),
                "insert" => drop(session.insert("mood", &1).await.unwrap()),
                "remove" => drop(session.remove("mood").await.unwrap()),
                "rollback" => drop(session.rollback(1, None).await.unwrap()),
                "retry" => drop(committed(session.retry(1, ()).await.unwrap(), "better").await),
                "a turn that is dropped" => drop(session.begin(&user("x"), ()).await.unwrap()),
                "resume" => session.resume().await.unwrap(),
                "restore" => session.restore().await.unwrap(),
                "transcript" => drop(session.transcript().await.unwrap()),
                "record" => drop(supervisor.record(session.id()).await.unwrap()),
                "status" => drop(session.status()),
                "get" => drop(session.get::<u8>("mood").await.unwrap()),
                "open" => drop(supervisor.open(&key).await.unwrap()),
                "look up" => drop(supervisor.look_up(session.id()).await.unwrap()),
                "list" => drop(supervisor.list(RecordFilter::default(), None, 100).await.unwrap()),
                "explain" => drop(supervisor.explain(session.id()).await.unwrap()),
                "prune" => drop(supervisor.prune(false).await.unwrap()),
                "inspect" => drop(supervisor.inspect(session.id()).unwrap()),
                "stop" => drop(session.stop()),
                "a refused begin" => {
                    let wrong = BeginOptions::default().expect_version(99);
                    let refused = session.begin(&user("x"), wrong).await;
                    assert!(matches!(refused, Err(BeginError::Conflict { .. })));
                }
                "pin and unpin" => {
                    session.pin().await.unwrap();
                    session.unpin().await.unwrap();
                }
                "rules of its own" => session.set_expiry(Some(idle(TTL))).await.unwrap(),
                other => panic!("{other}"),
            }
            quiet(&supervisor, &session).await;
            let left = if uses { TTL } else { TTL / 2 };
            assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Idle, left)), "{step}");
            let after = session.status().last_active_at;
            assert_eq!(after > before, uses, "{step}");
            assert_eq!(stored(&stage, &session).await.last_active_at, after, "{step}");
            crowd_out(&supervisor, &session).await;
            assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Idle, left)), "{step}");
        }
    }

    // X10: before any pass, for everybody who comes
    async fn nobody_finds_a_conversation_whose_time_is_over(stage) {
        const WAYS: [&str; 13] = [
            "open", "open_with", "reset", "begin by key", "begin", "append", "insert", "rollback", "retry",
            "look_up", "open_id", "record", "record of a handle",
        ];
        for (dormant, way) in [false, true].into_iter().flat_map(|it| WAYS.map(|way| (it, way))) {
            let (supervisor, clock) = start(&stage, |_| {}).await;
            let session = supervisor.open(&our_key()).await.unwrap();
            talk(&session, "one").await;
            if dormant {
                crowd_out(&supervisor, &session).await;
            }
            quiet(&supervisor, &session).await;
            clock.advance(TTL - MS);
            is_alive(&supervisor, &session).await;
            if dormant {
                crowd_out(&supervisor, &session).await;
            }
            clock.advance(2 * MS);
            let at = supervisor.now();
            let expired = Some(ExpiryClock::Idle);
            let inactive = |error: SessionError| match error {
                SessionError::Inactive { standing, .. } => expired_by(standing),
                other => panic!("{way}: {other:?}"),
            };
            let unusable = |error: BeginError| match error {
                BeginError::Inactive { standing, .. } => expired_by(standing),
                other => panic!("{way}: {other:?}"),
            };
            let previous = Previous::new(session.id().clone(), RebindReason::Expired(ExpiryClock::Idle));
            match way {
                "open" => {
                    let fresh = supervisor.open(&our_key()).await.unwrap();
                    assert_ne!(fresh.id(), session.id());
                    assert_eq!(fresh.previous(), Some(&previous));
                }
                "open_with" => {
                    let fresh = supervisor.open_with(&our_key(), NewSession::new).await.unwrap();
                    assert_eq!((fresh.created, fresh.previous), (true, Some(previous)));
                }
                "reset" => {
                    let fresh = supervisor.reset(&our_key(), NewSession::new()).await.unwrap();
                    assert_ne!(fresh.session.id(), session.id());
                    assert_eq!(fresh.previous.unwrap().id, *session.id());
                }
                "begin by key" => {
                    let turn = supervisor.begin(&our_key(), &user("two"), ()).await.unwrap();
                    assert_ne!(turn.session(), session.id());
                    let fresh = supervisor.open(&our_key()).await.unwrap();
                    assert_eq!(fresh.previous(), Some(&previous));
                    committed(turn, "re: two").await;
                    assert_eq!(texts(&fresh).await, ["two", "re: two"]);
                }
                "begin" => assert_eq!(unusable(session.begin(&user("x"), ()).await.unwrap_err()), expired),
                "retry" => assert_eq!(unusable(session.retry(1, ()).await.unwrap_err()), expired),
                "append" => assert_eq!(inactive(session.append(&[says("x")]).await.unwrap_err()), expired),
                "insert" => assert_eq!(inactive(session.insert("x", &1).await.unwrap_err()), expired),
                "rollback" => assert_eq!(inactive(session.rollback(1, None).await.unwrap_err()), expired),
                "look_up" => {
                    let found = supervisor.look_up(session.id()).await.unwrap().live().unwrap();
                    assert_eq!(expired_by(found.status().standing), expired);
                }
                "open_id" => {
                    let found = supervisor.open_id(session.id()).await.unwrap();
                    assert_eq!(expired_by(found.status().standing), expired);
                }
                "record" => {
                    let Found::Live(record) = supervisor.record(session.id()).await.unwrap() else { panic!() };
                    assert_eq!(expired_by(record.standing), expired);
                    assert_eq!(session.status().loaded, !dormant, "to read a record loads nothing");
                }
                "record of a handle" => {
                    assert_eq!(expired_by(session.record().await.unwrap().standing), expired);
                    assert_eq!(session.status().loaded, !dormant);
                }
                other => panic!("{other}"),
            }
            // Whoever it was, it is over now, and says when and why.
            let record = stored(&stage, &session).await;
            let Standing::Archived { at: since, .. } = record.standing else { panic!("{way}: {record:?}") };
            assert_eq!((expired_by(record.standing), since), (expired, at), "{way}");
            assert_eq!(texts(&session).await, ["one", "re: one"], "{way}");
            assert_eq!(supervisor.counts().expired, 1, "{way}");
            session.delete().await.unwrap();
            if let Some(left) = supervisor.open(&our_key()).await.ok().filter(|it| it.id() != session.id()) {
                left.delete().await.unwrap();
            }
            settled(&supervisor).await;
        }
    }

    // X10, X16: a listing shows it as it is to be, ends nothing and wakes nothing
    async fn a_listing_shows_what_is_over_as_archived(stage) {
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        let pinned = supervisor.create(NewSession::new()).await.unwrap();
        pinned.pin().await.unwrap();
        crowd_out(&supervisor, &session).await;
        let started = stored(&stage, &session).await.last_active_at;
        clock.advance(TTL + MS);
        stage.store.reset_calls();
        let list = async |filter: RecordFilter| {
            let page = supervisor.list(filter, None, 100).await.unwrap();
            page.records.into_iter().map(|it| (it.id.clone(), it.standing)).collect::<Vec<_>>()
        };
        let standing = |all: &[(SessionId, Standing)], of: &Session| {
            all.iter().find(|(id, _)| id == of.id()).map(|(_, standing)| *standing)
        };
        let all = list(RecordFilter::default()).await;
        let shown = standing(&all, &session).unwrap();
        assert_eq!(expired_by(shown), Some(ExpiryClock::Idle));
        assert!(matches!(shown, Standing::Archived { at, .. } if at == started.plus(TTL)), "{shown:?}");
        assert_eq!(standing(&all, &pinned), Some(Standing::Active));
        let routable = list(RecordFilter::default().routable(true)).await;
        assert_eq!(standing(&routable, &session), None);
        assert!(standing(&routable, &pinned).is_some());
        assert_eq!(stage.store.writes(), 0);
        assert!(!session.status().loaded);
        assert_eq!(stored(&stage, &session).await.standing, Standing::Active);
        settled(&supervisor).await;
    }

    // X10, X19: deleted instead of archived
    async fn one_that_is_to_be_deleted_is_gone_for_whoever_comes(stage) {
        for dormant in [false, true] {
            let (supervisor, clock) = start(&stage, |config| {
                config.expiry.action = Some(ExpiryAction::Delete);
            }).await;
            let session = supervisor.open(&our_key()).await.unwrap();
            talk(&session, "one").await;
            if dormant {
                crowd_out(&supervisor, &session).await;
            }
            clock.advance(TTL);
            let at = supervisor.now();
            let fresh = supervisor.open_with(&our_key(), NewSession::new).await.unwrap();
            let previous = Previous::new(session.id().clone(), RebindReason::Expired(ExpiryClock::Idle));
            assert_eq!((fresh.created, fresh.previous.clone()), (true, Some(previous)));
            let Lookup::Gone(tombstone) = supervisor.look_up(session.id()).await.unwrap() else { panic!() };
            assert_eq!(tombstone.reason, GoneReason::Expired(ExpiryClock::Idle));
            assert_eq!(tombstone.at, at);
            let refused = session.begin(&user("x"), ()).await.unwrap_err();
            assert!(matches!(refused, BeginError::Gone { tombstone: told, .. } if told == tombstone));
            settled(&supervisor).await;
            // By a message: it is answered in the fresh one.
            clock.advance(TTL);
            let turn = supervisor.begin(&our_key(), &user("two"), ()).await.unwrap();
            assert_ne!(turn.session(), fresh.session.id());
            committed(turn, "re: two").await;
            let found = supervisor.record(fresh.session.id()).await.unwrap();
            assert!(matches!(found, Found::Gone(it) if it.reason == tombstone.reason), "{found:?}");
            let last = supervisor.open(&our_key()).await.unwrap();
            clock.advance(TTL);
            // By reading its record.
            let found = supervisor.record(last.id()).await.unwrap();
            assert!(matches!(found, Found::Gone(it) if it.reason == tombstone.reason), "{found:?}");
            settled(&supervisor).await;
        }
    }

    // X13: the use comes first, in memory
    async fn a_begin_that_is_on_its_way_keeps_the_conversation(stage) {
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        quiet(&supervisor, &session).await;
        clock.advance(TTL - MS);
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let beginning = tokio::spawn(begin(&session, "in time", ()));
        gate.wait_until_reached().await;
        clock.advance(2 * TTL);
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!(report.kept_sessions, [(session.id().clone(), vec![KeptBy::Turn, KeptBy::Unwritten])]);
        assert_eq!(supervisor.open(&our_key()).await.unwrap().id(), session.id());
        gate.open();
        committed(beginning.await.unwrap().unwrap(), "re: in time").await;
        is_alive(&supervisor, &session).await;
        settled(&supervisor).await;
    }

    // X13: the end comes first, in memory; whoever comes second is told of it
    async fn a_begin_that_comes_second_is_told_and_a_key_waits_for_the_store(stage) {
        for by_pass in [false, true] {
            let (supervisor, clock) = start(&stage, |_| {}).await;
            let session = supervisor.open(&our_key()).await.unwrap();
            talk(&session, "one").await;
            quiet(&supervisor, &session).await;
            clock.advance(TTL);
            let gate = Gate::new();
            stage.store.fail_next_of(StoreCall::Standing, Fault::HeldBefore(gate.clone()));
            let ends = tokio::spawn({
                let (supervisor, session) = (supervisor.clone(), session.clone());
                async move {
                    if by_pass {
                        assert_eq!(supervisor.prune(false).await.unwrap().expired, 1);
                    } else {
                        session.append(&[says("late")]).await.unwrap_err();
                    }
                }
            });
            gate.wait_until_reached().await;
            let refused = session.begin(&user("late"), ()).await.unwrap_err();
            assert!(matches!(refused, BeginError::Inactive { .. }), "{refused:?}");
            let key = our_key();
            let mut opening = Box::pin(supervisor.open(&key));
            still_pending(&mut opening).await;
            gate.open();
            let fresh = opening.await.unwrap();
            assert_ne!(fresh.id(), session.id());
            ends.await.unwrap();
            assert_eq!(supervisor.counts().expired, 1);
            settled(&supervisor).await;
            fresh.delete().await.unwrap();
            session.delete().await.unwrap();
        }
    }

    // X13: not in memory; the pass is first, and whoever loads it waits and is told
    async fn whoever_loads_it_while_the_pass_ends_it_waits_and_is_told(stage) {
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        talk(&session, "one").await;
        crowd_out(&supervisor, &session).await;
        clock.advance(TTL);
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Standing, Fault::HeldBefore(gate.clone()));
        let pass = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.prune(false).await.unwrap() }
        });
        gate.wait_until_reached().await;
        let mut beginning = begin(&session, "late", ());
        let mut by_id = Box::pin(supervisor.look_up(session.id()));
        still_pending(&mut beginning).await;
        still_pending(&mut by_id).await;
        gate.open();
        let refused = beginning.await.unwrap_err();
        let BeginError::Inactive { standing, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(expired_by(standing), Some(ExpiryClock::Idle));
        assert_eq!(by_id.await.unwrap().live().unwrap().status().standing, standing);
        assert_eq!(pass.await.unwrap().expired, 1);
        assert_eq!(supervisor.counts().expired, 1);
        settled(&supervisor).await;
    }

    // X13: the same, and nobody waits for the pass any more; what it has handed over is seen through
    async fn a_pass_that_is_dropped_leaves_nobody_with_what_it_is_ending(stage) {
        let (supervisor, clock) = start(&stage, |_| {}).await;
        let session = supervisor.open(&our_key()).await.unwrap();
        crowd_out(&supervisor, &session).await;
        clock.advance(TTL);
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Standing, Fault::HeldBefore(gate.clone()));
        let mut pass = Box::pin(supervisor.prune(false));
        while gate.reached() == 0 {
            assert!(poll_once(&mut pass).is_pending());
            tokio::task::yield_now().await;
        }
        drop(pass);
        let mut beginning = begin(&session, "late", ());
        still_pending(&mut beginning).await;
        gate.open();
        assert!(matches!(beginning.await.unwrap_err(), BeginError::Inactive { .. }));
        assert!(!stored(&stage, &session).await.standing.is_active());
        settled(&supervisor).await;
    }

    // X13: not in memory; it is read by the pass, and used before that comes to it
    async fn what_is_used_after_the_pass_has_read_it_is_kept(stage) {
        for leaves_again in [false, true] {
            let (supervisor, clock) = start(&stage, |_| {}).await;
            let session = supervisor.open(&our_key()).await.unwrap();
            session.set_expiry(Some(idle(2 * TTL))).await.unwrap();
            crowd_out(&supervisor, &session).await;
            clock.advance(TTL);
            session.set_expiry(Some(idle(2 * TTL))).await.unwrap();
            crowd_out(&supervisor, &session).await;
            clock.advance(TTL - MS);
            // In a millisecond it will be over, and by then it is in use.
            let gate = Gate::new();
            stage.store.fail_next_of(StoreCall::LookUp, Fault::HeldBefore(gate.clone()));
            let mut using = begin(&session, "in time", ());
            assert!(poll_once(&mut using).is_pending());
            gate.wait_until_reached().await;
            clock.advance(MS);
            // Being loaded, it is left to whoever loads it.
            let report = supervisor.prune(false).await.unwrap();
            assert_eq!(report.kept_sessions, [(session.id().clone(), vec![KeptBy::Starting])]);
            gate.open();
            // That one finds it over: it had not begun in time.
            assert!(matches!(using.await.unwrap_err(), BeginError::Inactive { .. }));
            session.restore().await.unwrap();
            crowd_out(&supervisor, &session).await;
            clock.advance(2 * TTL);
            // Read as due, and used before it is ended.
            let gate = Gate::new();
            let answered = Gate::new();
            stage.store.fail_next_of(StoreCall::Due, Fault::HeldAfter(gate.clone()));
            let pass = tokio::spawn({
                let (supervisor, answered) = (supervisor.clone(), answered.clone());
                async move {
                    let report = supervisor.prune(false).await.unwrap();
                    answered.open();
                    report
                }
            });
            gate.wait_until_reached().await;
            // It ends for whoever uses it, who brings it back.
            session.append(&[says("late")]).await.unwrap_err();
            session.restore().await.unwrap();
            talk(&session, "in time").await;
            if leaves_again {
                crowd_out(&supervisor, &session).await;
            }
            gate.open();
            let report = pass.await.unwrap();
            assert_eq!((report.expired, report.failed), (0, 0), "{report:?}");
            // A file is read when the answer is fetched.
            assert!(report.kept <= usize::from(leaves_again), "{report:?}");
            assert!(session.record().await.unwrap().standing.is_active());
            assert_eq!(next(&supervisor, &session).await, Some((ExpiryClock::Idle, 2 * TTL)));
            session.delete().await.unwrap();
            settled(&supervisor).await;
        }
    }

    // X13: a delete, a pin, a reset and an archive against the end, both ways round
    async fn whatever_comes_first_decides(stage) {
        for dormant in [false, true] {
            for what in ["delete", "pin", "reset", "archive", "suspend"] {
                for end_first in [false, true] {
                    let case = format!("{what}, dormant: {dormant}, end first: {end_first}");
                    let (supervisor, clock) = start(&stage, |_| {}).await;
                    let session = supervisor.open(&our_key()).await.unwrap();
                    if dormant {
                        crowd_out(&supervisor, &session).await;
                    }
                    quiet(&supervisor, &session).await;
                    clock.advance(TTL - MS);
                    let (call, gate) = (match (end_first, what) {
                        (true, _) | (_, "archive" | "suspend") => StoreCall::Standing,
                        (_, "delete") => StoreCall::Delete,
                        (_, "pin") => StoreCall::Patch,
                        (_, "reset") => StoreCall::Create,
                        _ => panic!(),
                    }, Gate::new());
                    stage.store.fail_next_of(call, Fault::HeldBefore(gate.clone()));
                    let other = {
                        let (supervisor, session) = (supervisor.clone(), session.clone());
                        async move {
                            match what {
                                "delete" => drop(session.delete().await.unwrap()),
                                "pin" => session.pin().await.unwrap(),
                                "reset" => drop(supervisor.reset(&our_key(), NewSession::new()).await.unwrap()),
                                "archive" => session.archive().await.unwrap(),
                                "suspend" => drop(session.suspend().await),
                                _ => panic!(),
                            }
                        }
                    };
                    let pass = {
                        let supervisor = supervisor.clone();
                        async move { supervisor.prune(false).await.unwrap() }
                    };
                    let (other, pass) = if end_first {
                        clock.advance(MS);
                        let pass = tokio::spawn(pass);
                        gate.wait_until_reached().await;
                        (tokio::spawn(other), pass)
                    } else {
                        let other = tokio::spawn(other);
                        gate.wait_until_reached().await;
                        clock.advance(MS);
                        (other, tokio::spawn(pass))
                    };
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    gate.open();
                    let report = pass.await.unwrap();
                    other.await.unwrap();
                    let found = supervisor.record(session.id()).await.unwrap();
                    let ended = usize::from(end_first || what == "reset");
                    assert_eq!(report.expired, ended, "{case}: {report:?}");
                    assert_eq!(supervisor.counts().expired, u64::try_from(ended).unwrap(), "{case}");
                    match (what, found) {
                        ("delete", Found::Gone(tombstone)) => {
                            assert_eq!(tombstone.reason, GoneReason::Deleted, "{case}");
                        }
                        ("pin", Found::Live(record)) => {
                            assert!(record.pinned, "{case}");
                            assert_eq!(record.standing.is_active(), !end_first, "{case}");
                        }
                        ("reset", Found::Live(record)) => {
                            assert_eq!(expired_by(record.standing), Some(ExpiryClock::Idle), "{case}");
                            let fresh = supervisor.open(&our_key()).await.unwrap();
                            assert_eq!(fresh.previous().unwrap().id, *session.id(), "{case}");
                            fresh.delete().await.unwrap();
                        }
                        ("archive", Found::Live(record)) => {
                            let expired = expired_by(record.standing).is_some();
                            assert_eq!(expired, end_first, "{case}: the first reason stands");
                        }
                        ("suspend", Found::Live(record)) => {
                            assert_eq!(record.standing.is_routable(), !end_first, "{case}");
                        }
                        (_, other) => panic!("{case}: {other:?}"),
                    }
                    session.delete().await.unwrap();
                    settled(&supervisor).await;
                }
            }
        }
    }

    // X13, F23: a touch, a lease and the renewal of one against the end, both ways round
    async fn a_touch_or_a_lease_that_is_first_keeps_it_and_one_that_is_second_is_told(stage) {
        for what in ["touch", "lease", "renewal"] {
            for end_first in [false, true] {
                let case = format!("{what}, end first: {end_first}");
                let (supervisor, clock) = start(&stage, |_| {}).await;
                let session = supervisor.open(&our_key()).await.unwrap();
                quiet(&supervisor, &session).await;
                let mut lease = None;
                if what == "renewal" {
                    // Where the end is first, nobody has renewed it in time; its end is use.
                    lease = Some(session.lease("work", TTL).await.unwrap());
                    clock.advance(if end_first { TTL } else { Duration::ZERO });
                }
                let uses = {
                    let session = session.clone();
                    async move {
                        match what {
                            "touch" => (session.touch().await.is_ok(), None),
                            "lease" => {
                                let taken = session.lease("more", TTL).await;
                                (taken.is_ok(), taken.ok())
                            }
                            _ => {
                                let lease = lease.unwrap();
                                let renewed = lease.renew(TTL).unwrap();
                                (renewed != LeaseRenewal::Expired, Some(lease))
                            }
                        }
                    }
                };
                if end_first {
                    clock.advance(TTL);
                    let gate = Gate::new();
                    stage.store.fail_next_of(StoreCall::Standing, Fault::HeldBefore(gate.clone()));
                    let pass = {
                        let supervisor = supervisor.clone();
                        tokio::spawn(async move { supervisor.prune(false).await.unwrap() })
                    };
                    gate.wait_until_reached().await;
                    let uses = tokio::spawn(uses);
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    gate.open();
                    assert_eq!(pass.await.unwrap().expired, 1, "{case}");
                    assert!(!uses.await.unwrap().0, "{case}");
                    is_over_by_now(&supervisor, &session).await;
                } else {
                    clock.advance(TTL - MS);
                    let (used, held) = uses.await;
                    assert!(used, "{case}");
                    clock.advance(MS);
                    assert_eq!(supervisor.prune(false).await.unwrap().expired, 0, "{case}");
                    is_alive(&supervisor, &session).await;
                    drop(held);
                }
                session.delete().await.unwrap();
                settled(&supervisor).await;
            }
        }
    }

    // X13, M3: whoever goes away while it ends leaves it as it was or ended
    async fn whoever_is_dropped_while_it_ends_leaves_nothing_half_done(stage) {
        for what in ["open", "begin", "begin by key", "prune", "record", "append"] {
            for (dormant, deletes) in [(false, false), (true, false), (false, true), (true, true)] {
                drop_at_every_await(
                    async || {
                        let (supervisor, clock) = start(&stage, |config| {
                            if deletes {
                                config.expiry.action = Some(ExpiryAction::Delete);
                            }
                        }).await;
                        let session = supervisor.open(&our_key()).await.unwrap();
                        if dormant {
                            crowd_out(&supervisor, &session).await;
                        }
                        quiet(&supervisor, &session).await;
                        clock.advance(TTL);
                        let (owner, handle) = (supervisor.clone(), session.clone());
                        let work = async move {
                            match what {
                                "open" => drop(owner.open(&our_key()).await.unwrap()),
                                "begin" => drop(handle.begin(&user("x"), ()).await.unwrap_err()),
                                "begin by key" => drop(owner.begin(&our_key(), &user("x"), ()).await.unwrap()),
                                "prune" => assert_eq!(owner.prune(false).await.unwrap().expired, 1),
                                "record" => drop(owner.record(handle.id()).await.unwrap()),
                                "append" => drop(handle.append(&[says("x")]).await.unwrap_err()),
                                _ => panic!(),
                            }
                        };
                        ((supervisor, session), work)
                    },
                    async |(supervisor, session), output| {
                        settled(&supervisor).await;
                        // The next one finds a fresh one, whatever was left.
                        let fresh = supervisor.open(&our_key()).await.unwrap();
                        assert_ne!(fresh.id(), session.id(), "{what} {dormant} {deletes} {output:?}");
                        settled(&supervisor).await;
                        assert_eq!(supervisor.counts().expired, 1, "{what} {dormant} {deletes} {output:?}");
                        // And the next pass whatever is left of the old one.
                        supervisor.prune(false).await.unwrap();
                        let found = supervisor.record(session.id()).await.unwrap();
                        assert_eq!(matches!(found, Found::Gone(_)), deletes, "{what} {dormant} {output:?}");
                        fresh.delete().await.unwrap();
                        session.delete().await.unwrap();
                    },
                )
                .await;
            }
        }
    }

    // X21, H9: a restart neither starts the clock anew nor stops it
    async fn the_clocks_go_on_over_a_restart(stage) {
        let (supervisor, clock) = start(&stage, |config| {
            config.idle.max_live = 0;
            config.expiry.age = Some(3 * TTL);
        }).await;
        let used = supervisor.open(&our_key()).await.unwrap();
        let old = supervisor.create(NewSession::new()).await.unwrap();
        let archived = supervisor.create(NewSession::new()).await.unwrap();
        let suspended = supervisor.open(&key("#suspended")).await.unwrap();
        let pinned = supervisor.create(NewSession::new()).await.unwrap();
        let ids: Vec<_> =
            [&used, &old, &archived, &suspended, &pinned].map(|it| it.id().clone()).to_vec();
        archived.archive().await.unwrap();
        suspended.suspend().await.unwrap();
        pinned.pin().await.unwrap();
        clock.advance(TTL / 2);
        talk(&used, "one").await;
        quiet(&supervisor, &used).await;
        clock.advance(TTL / 4);
        let at = supervisor.now();
        for session in [&used, &old, &archived, &suspended, &pinned] {
            quiet(&supervisor, session).await;
        }
        drop((supervisor, used, old, archived, suspended, pinned));
        let stage = stage.reopened().await;
        // The process was down for a while, which counts.
        let clock = ManualClock::starting_at(at.plus(TTL / 8));
        let supervisor = start_at(&stage, &clock, |config| config.expiry.age = Some(3 * TTL)).await;
        let left = async |id: &SessionId| match supervisor.explain(id).await.unwrap().unwrap().fate {
            Fate::GoesOn { left, .. } => left,
            other => panic!("{other:?}"),
        };
        assert_eq!(left(&ids[0]).await, TTL / 2 + TTL / 8);
        assert_eq!(left(&ids[1]).await, TTL / 8);
        // Looked at and loaded it is no younger.
        let again = supervisor.open(&our_key()).await.unwrap();
        assert_eq!(*again.id(), ids[0]);
        supervisor.prune(false).await.unwrap();
        assert_eq!(left(&ids[0]).await, TTL / 2 + TTL / 8);
        clock.advance(TTL / 8);
        let report = supervisor.prune(false).await.unwrap();
        assert_eq!(report.expired_sessions.iter().map(|it| &it.id).collect::<Vec<_>>(), [&ids[1]]);
        clock.advance(TTL / 2 - MS);
        is_alive(&supervisor, &again).await;
        clock.advance(MS);
        is_over(&supervisor, &again, ExpiryClock::Idle).await;
        clock.advance(DAY);
        supervisor.prune(false).await.unwrap();
        let standing = async |id: &SessionId| match supervisor.record(id).await.unwrap() {
            Found::Live(record) => (record.standing, record.pinned),
            other => panic!("{other:?}"),
        };
        assert!(matches!(standing(&ids[2]).await.0, Standing::Archived { .. }));
        assert!(matches!(standing(&ids[3]).await.0, Standing::Suspended { .. }));
        assert_eq!(standing(&ids[4]).await, (Standing::Active, true));
        assert_eq!(*supervisor.open(&key("#suspended")).await.unwrap().id(), ids[3]);
        settled(&supervisor).await;
    }
}

in_paused_time! {
    // X10, X15: one that was loaded to be ended was at rest once it had ended, and left memory to make room
    // before it was deleted, where the cap looked just then. Whoever came was told that it had ended; but its
    // record and its transcript stayed until the next pass, and for ever where there is none.
    async fn one_that_is_to_be_deleted_does_not_leave_on_the_way(stage) {
        let (supervisor, clock) = start(&stage, |config| {
            config.expiry.action = Some(ExpiryAction::Delete);
        }).await;
        for round in 0..20 {
            let key = key(&format!("#{round}"));
            let session = supervisor.open(&key).await.unwrap();
            crowd_out(&supervisor, &session).await;
            clock.advance(TTL);
            assert!(supervisor.open_with(&key, NewSession::new).await.unwrap().created);
            let found = stage.behind().look_up(session.id(), Timestamp::from_millis(0)).await.unwrap();
            assert!(matches!(found, Found::Gone(_)), "{round}: {found:?}");
        }
        settled(&supervisor).await;
    }
}

//! Limits and pauses: who waits for a permit, for how long, what the others are told, and that nobody keeps
//! one too long or gives one back twice.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test, which does not run on the library's seam"
)]

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use session_supervisor::testing::{Fault, StoreCall, drop_at_every_await};
use session_supervisor::{
    BeginError, BusyPolicy, ChatMessage, ClassConfig, CommitError, Config, CreateError,
    DeleteOutcome, ErrorKind, FailedInput, Full, Limit, LimitStatus, NewSession, OpenError,
    Parallel, RecordFilter, Session, SessionError, SessionKey, Store, Supervisor, Turn,
};
use support::{
    begin, committed, everywhere, in_paused_time, key, poll_once, quiet, settled, texts, until,
    user,
};

const SECOND: Duration = Duration::from_secs(1);
const REJECT: BusyPolicy = BusyPolicy::Reject;

/// As many turns at once, for as long a wait.
fn turns(max: usize, wait: Duration) -> impl FnOnce(&mut Config) {
    move |config| {
        config.limits.max_turns = max;
        config.limits.turn_wait = wait;
    }
}

/// A key of another platform.
fn on(platform: &str, chat: &str) -> SessionKey {
    SessionKey::builder(platform).chat(chat).build().unwrap()
}

/// How a limit stands.
fn limit(supervisor: &Supervisor, limit: Limit) -> LimitStatus {
    supervisor.limits().into_iter().find(|status| status.limit == limit).unwrap()
}

/// Current, waiting and rejected of the turns.
fn counted(supervisor: &Supervisor) -> (u64, u64, u64) {
    let status = limit(supervisor, Limit::Turns);
    (status.current.unwrap(), status.waiting, status.rejected)
}

/// The limit of a refusal.
fn full(error: &BeginError) -> &Full {
    match error {
        BeginError::Full { full, .. } => full,
        other => panic!("not full: {other:?}"),
    }
}

/// Sessions under different keys.
async fn sessions(supervisor: &Supervisor, count: usize) -> Vec<Session> {
    let mut sessions = Vec::new();
    for number in 0..count {
        sessions.push(supervisor.open(&key(&format!("#{number}"))).await.unwrap());
    }
    sessions
}

everywhere! {
    // K1
    async fn as_many_turns_run_as_there_are_permits_and_the_next_comes_when_one_is_over(stage) {
        let supervisor = stage.start_with(turns(2, 30 * SECOND)).await;
        let rooms = sessions(&supervisor, 4).await;
        let first = begin(&rooms[0], "one", REJECT).await.unwrap();
        let second = begin(&rooms[1], "two", REJECT).await.unwrap();
        let mut third = begin(&rooms[2], "three", REJECT);
        let mut fourth = begin(&rooms[3], "four", REJECT);
        assert!(poll_once(&mut third).is_pending() && poll_once(&mut fourth).is_pending());
        assert_eq!(counted(&supervisor), (2, 2, 0));
        // Nothing of those that wait is stored, and everything else works.
        assert_eq!(texts(&rooms[2]).await, Vec::<String>::new());
        assert_eq!((rooms[2].status().turns.len(), rooms[2].status().queued), (0, 1));
        assert_eq!(supervisor.list(RecordFilter::default(), None, 9).await.unwrap().records.len(), 4);
        committed(second, "2").await;
        let third = third.await.unwrap();
        assert_eq!(counted(&supervisor), (2, 1, 0));
        first.fail(FailedInput::Keep).await.unwrap();
        let fourth = fourth.await.unwrap();
        drop(third);
        committed(fourth, "4").await;
        until("all permits are back", || counted(&supervisor) == (0, 0, 0)).await;
        quiet(&supervisor, &rooms[2]).await;
        quiet(&supervisor, &rooms[3]).await;
    }

    // B5, K1
    async fn where_a_begin_waits_for_a_permit_the_next_one_waits_behind_it_or_is_told(stage) {
        let supervisor = stage.start_with(turns(1, 30 * SECOND)).await;
        let rooms = sessions(&supervisor, 2).await;
        let turn = begin(&rooms[0], "one", REJECT).await.unwrap();
        let mut waits = begin(&rooms[1], "two", REJECT);
        assert!(poll_once(&mut waits).is_pending());
        let mut behind = begin(&rooms[1], "three", BusyPolicy::queue());
        assert!(poll_once(&mut behind).is_pending());
        let error = begin(&rooms[1], "four", REJECT).await.unwrap_err();
        assert_eq!((full(&error).limit, full(&error).max), (Limit::Turns, 1));
        assert_eq!(error.kind(), ErrorKind::Full);
        assert!(error.retry_after().unwrap() >= SECOND);
        // Where a turn runs, that is what one is told first.
        let error = begin(&rooms[0], "five", REJECT).await.unwrap_err();
        assert!(matches!(error, BeginError::Busy { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert_eq!(counted(&supervisor), (1, 1, 1));
        drop(turn);
        let second = waits.await.unwrap();
        committed(second, "2").await;
        committed(behind.await.unwrap(), "3").await;
        assert_eq!(texts(&rooms[1]).await, ["two", "2", "three", "3"]);
        quiet(&supervisor, &rooms[1]).await;
    }

    // A10, K1: in front of a session that does not exist
    async fn a_message_that_finds_no_permit_leaves_no_session_behind(stage) {
        let supervisor = stage.start_with(turns(1, Duration::from_millis(50))).await;
        let turn = supervisor.begin(&key("#a"), &user("one"), REJECT).await.unwrap();
        for chat in ["#b", "#c", "#d"] {
            let error = supervisor.begin(&key(chat), &user("two"), REJECT).await.unwrap_err();
            assert_eq!(full(&error).limit, Limit::Turns);
        }
        let listed = supervisor.list(RecordFilter::default(), None, 9).await.unwrap().records;
        assert_eq!((listed.len(), supervisor.loaded()), (1, 1));
        committed(turn, "1").await;
        // With a permit the session is created, and the permit is its turn's.
        let turn = supervisor.begin(&key("#b"), &user("two"), REJECT).await.unwrap();
        assert_eq!(counted(&supervisor).0, 1);
        committed(turn, "2").await;
        assert_eq!(counted(&supervisor), (0, 0, 3));
        settled(&supervisor).await;
    }

    // A10, K1: who gives up before it has a permit
    async fn a_message_that_waits_for_a_permit_has_no_session_and_leaves_none(stage) {
        let supervisor = stage.start_with(turns(1, 30 * SECOND)).await;
        let turn = supervisor.begin(&key("#a"), &user("one"), REJECT).await.unwrap();
        let waits = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.begin(&key("#e"), &user("five"), REJECT).await.map(drop) }
        });
        until("somebody waits", || counted(&supervisor).1 == 1).await;
        waits.abort();
        until("nobody waits", || counted(&supervisor).1 == 0).await;
        let listed = supervisor.list(RecordFilter::default(), None, 9).await.unwrap().records;
        assert_eq!((listed.len(), supervisor.loaded()), (1, 1));
        committed(turn, "1").await;
        settled(&supervisor).await;
    }

    // K1, K4: whatever the turn's end
    async fn a_permit_comes_back_however_its_turn_ends(stage) {
        let supervisor = stage.start_with(|config| {
            turns(1, 30 * SECOND)(config);
            config.turns.cancel_grace = Duration::ZERO;
        }).await;
        for (number, end) in ["commit", "fail", "drop", "stop", "delete", "panic", "run", "store"]
            .into_iter().enumerate()
        {
            let room = supervisor.open(&key(&format!("#{number}"))).await.unwrap();
            let turn = begin(&room, "one", REJECT).await.unwrap();
            assert_eq!(counted(&supervisor).0, 1, "{end}");
            match end {
                "commit" => drop(committed(turn, "1").await),
                "fail" => drop(turn.fail(FailedInput::Drop).await.unwrap()),
                "drop" => drop(turn),
                "stop" => {
                    // Fenced at once: the permit is free while the holder still has the turn.
                    room.stop();
                    until("it is fenced", || counted(&supervisor).0 == 0).await;
                    drop(turn);
                }
                "delete" => {
                    assert!(matches!(room.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
                    assert_eq!(counted(&supervisor).0, 0);
                    drop(turn);
                }
                "panic" => {
                    let running = turn.run(async |_turn| panic!("on purpose"));
                    running.await.unwrap_err();
                }
                "run" => {
                    let running = turn.run(async |turn| committed(turn, "1").await);
                    running.await.unwrap();
                }
                _ => {
                    stage.store.fail_next_of(StoreCall::Commit, Fault::Unavailable);
                    turn.commit(&user("1")).await.unwrap_err();
                }
            }
            until("it is back", || counted(&supervisor).0 == 0).await;
        }
        stage.store.heal();
        until("all is stored", || supervisor.audit().is_clean()).await;
        settled(&supervisor).await;
    }

    // K1, K4: a begin that the store does not take
    async fn a_permit_of_a_begin_that_failed_is_the_next_ones(stage) {
        let supervisor = stage.start_with(turns(1, 30 * SECOND)).await;
        let rooms = sessions(&supervisor, 2).await;
        stage.store.fail_next_of(StoreCall::Begin, Fault::Unavailable);
        let error = begin(&rooms[0], "one", REJECT).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.retry_after().is_some());
        let turn = begin(&rooms[1], "two", REJECT).await.unwrap();
        assert_eq!(counted(&supervisor).0, 1);
        drop(turn);
        quiet(&supervisor, &rooms[1]).await;
    }

    // K6: one class floods
    async fn a_class_that_floods_delays_another_by_one_turn(stage) {
        let supervisor = stage.start_with(turns(1, 300 * SECOND)).await;
        let mut turn = Some(supervisor.begin(&on("loud", "x"), &user("x"), REJECT).await.unwrap());
        let mut flood = Vec::new();
        for number in 0..50 {
            let room = supervisor.open(&on("loud", &number.to_string())).await.unwrap();
            let mut waits = begin(&room, "loud", REJECT);
            assert!(poll_once(&mut waits).is_pending());
            flood.push(waits);
        }
        let mut quiet_ones = Vec::new();
        for number in 0..5 {
            let room = supervisor.open(&on("quiet", &number.to_string())).await.unwrap();
            let mut waits = begin(&room, "quiet", REJECT);
            assert!(poll_once(&mut waits).is_pending());
            quiet_ones.push(waits);
        }
        assert_eq!(counted(&supervisor), (1, 55, 0));
        // In turn, however many wait on one side.
        let mut flood = flood.into_iter();
        for waits in quiet_ones {
            drop(turn.take());
            let loud = flood.next().unwrap().await.unwrap();
            drop(loud);
            turn = Some(waits.await.unwrap());
        }
        drop(turn.take());
        for waits in flood {
            drop(waits.await.unwrap());
        }
        until("all permits are back", || counted(&supervisor).0 == 0).await;
        settled(&supervisor).await;
    }

    // K1, K6: a class of its own limit
    async fn a_class_has_its_own_limit_within_that_of_all(stage) {
        let supervisor = stage.start_with(|config| {
            turns(2, Duration::ZERO)(config);
            let mut night = ClassConfig::default();
            night.max_turns = 1;
            config.classes.insert("night".to_owned(), night);
        }).await;
        let open = async |chat: &str| {
            let new = || NewSession::new().class("night");
            supervisor.open_with(&key(chat), new).await.unwrap().session
        };
        let (one, two) = (open("#1").await, open("#2").await);
        let turn = begin(&one, "one", REJECT).await.unwrap();
        let error = begin(&two, "two", REJECT).await.unwrap_err();
        assert_eq!((full(&error).limit, full(&error).max), (Limit::ClassTurns, 1));
        // Others are not in its way, and it is not in theirs.
        let day = supervisor.open(&key("#day")).await.unwrap();
        let other = begin(&day, "day", REJECT).await.unwrap();
        let error = begin(&supervisor.open(&key("#noon")).await.unwrap(), "x", REJECT).await;
        assert_eq!(full(&error.unwrap_err()).limit, Limit::Turns);
        let status = limit(&supervisor, Limit::ClassTurns);
        assert_eq!((status.class.as_deref(), status.current, status.max), (Some("night"), Some(1), 1));
        assert_eq!(status.rejected, 1);
        drop((turn, other));
        drop(begin(&two, "two", REJECT).await.unwrap());
        quiet(&supervisor, &two).await;
    }

    // K3
    async fn as_many_sessions_are_stored_as_may_be_and_a_refusal_creates_none(stage) {
        let supervisor = stage.start_with(|config| config.limits.max_sessions = 2).await;
        let first = supervisor.open(&key("#1")).await.unwrap();
        let second = supervisor.create(NewSession::new()).await.unwrap();
        let error = supervisor.open(&key("#2")).await.unwrap_err();
        assert!(matches!(&error, OpenError::Full { full, .. } if full.limit == Limit::Sessions));
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Full, None));
        let error = supervisor.create(NewSession::new()).await.unwrap_err();
        assert!(matches!(&error, CreateError::Full { full, .. } if full.current == 2));
        let error = supervisor.begin(&key("#3"), &user("x"), REJECT).await.unwrap_err();
        assert_eq!(full(&error).limit, Limit::Sessions);
        let listed = supervisor.list(RecordFilter::default(), None, 9).await.unwrap().records;
        assert_eq!(listed.len(), 2);
        assert_eq!(limit(&supervisor, Limit::Sessions).rejected, 3);
        // What exists works; a delete makes room for one.
        drop(begin(&first, "one", REJECT).await.unwrap());
        second.delete().await.unwrap();
        supervisor.open(&key("#2")).await.unwrap();
        assert_eq!(limit(&supervisor, Limit::Sessions).current, Some(2));
        supervisor.open(&key("#3")).await.unwrap_err();
        quiet(&supervisor, &first).await;
        drop((first, second, supervisor));
        // A later run counts what it finds.
        let stage = stage.reopened().await;
        let supervisor = stage.start_with(|config| config.limits.max_sessions = 2).await;
        assert_eq!(limit(&supervisor, Limit::Sessions).current, Some(2));
        supervisor.open(&key("#3")).await.unwrap_err();
        supervisor.open(&key("#1")).await.unwrap();
        settled(&supervisor).await;
    }

    // K3
    async fn as_many_begins_wait_in_all_sessions_as_may_and_with_as_many_bytes(stage) {
        let supervisor = stage.start_with(|config| {
            config.limits.max_queued_turns = 3;
            config.limits.max_queued_bytes = 400;
        }).await;
        let rooms = sessions(&supervisor, 2).await;
        let held = [
            begin(&rooms[0], "a", REJECT).await.unwrap(),
            begin(&rooms[1], "b", REJECT).await.unwrap(),
        ];
        let mut waiting = Vec::new();
        for room in [0, 1, 0] {
            let mut waits = begin(&rooms[room], "c", BusyPolicy::queue());
            assert!(poll_once(&mut waits).is_pending());
            waiting.push(waits);
        }
        let error = begin(&rooms[1], "d", BusyPolicy::queue()).await.unwrap_err();
        assert_eq!((full(&error).limit, full(&error).current), (Limit::QueuedTurns, 3));
        // One that gives up makes room; one that says too much still finds none.
        drop(waiting.pop());
        let long = "x".repeat(400);
        let error = begin(&rooms[1], &long, BusyPolicy::queue()).await.unwrap_err();
        assert_eq!(full(&error).limit, Limit::QueuedBytes);
        let mut waits = begin(&rooms[1], "e", BusyPolicy::queue());
        assert!(poll_once(&mut waits).is_pending());
        assert_eq!(limit(&supervisor, Limit::QueuedTurns).current, Some(3));
        drop((waiting, waits, held));
        assert_eq!(limit(&supervisor, Limit::QueuedTurns).current, Some(0));
        assert_eq!(limit(&supervisor, Limit::QueuedBytes).current, Some(0));
        quiet(&supervisor, &rooms[0]).await;
        quiet(&supervisor, &rooms[1]).await;
    }

    // K3
    async fn a_conversation_that_is_as_long_as_it_may_be_takes_no_more_and_says_what_to_do(stage) {
        let supervisor = stage.start_with(|config| config.limits.max_entries = 4).await;
        let room = supervisor.open(&key("#rust")).await.unwrap();
        let turn = begin(&room, "one", REJECT).await.unwrap();
        // A reply that is too long comes back with its turn.
        let long: Vec<ChatMessage> = (0..4).map(|_| user("x")).collect();
        let Err(CommitError::TooLong { turn, source }) = turn.commit(&long[..]).await else {
            panic!("there is no room for it")
        };
        assert_eq!((source.limit, source.wanted, source.max), (Limit::Entries, 5, 4));
        committed(*turn, "1").await;
        room.append(&[user("a note")]).await.unwrap();
        let error = begin(&room, "two", REJECT).await.unwrap_err();
        assert!(matches!(&error, BeginError::TooLong { .. }), "{error:?}");
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Invalid, None));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("limits.max_entries") && source.contains("take turns back"));
        let error = room.append(&[user("x"), user("y")]).await.unwrap_err();
        assert!(matches!(error, SessionError::TooLong { .. }), "{error:?}");
        assert_eq!(limit(&supervisor, Limit::Entries).rejected, 3);
        // As it says: what is taken back makes room, and doing over needs none.
        room.rollback(1, None).await.unwrap();
        let turn = begin(&room, "again", REJECT).await.unwrap();
        committed(turn, "2").await;
        drop(room.retry(1, REJECT).await.unwrap());
        quiet(&supervisor, &room).await;
    }

    // K3: counted anew where a session is loaded
    async fn the_bytes_of_a_conversation_are_known_to_a_later_run(stage) {
        let supervisor = stage.start_with(|config| config.limits.max_transcript_bytes = 400).await;
        let room = supervisor.open(&key("#rust")).await.unwrap();
        room.append(&[user(&"x".repeat(300))]).await.unwrap();
        drop((room, supervisor));
        let stage = stage.reopened().await;
        let supervisor = stage.start_with(|config| config.limits.max_transcript_bytes = 400).await;
        let room = supervisor.open(&key("#rust")).await.unwrap();
        let error = room.append(&[user(&"x".repeat(100))]).await.unwrap_err();
        let SessionError::TooLong { too_long, .. } = error else { panic!("{error:?}") };
        assert_eq!((too_long.limit, too_long.max), (Limit::TranscriptBytes, 400));
        drop(begin(&room, "short", REJECT).await.unwrap());
        quiet(&supervisor, &room).await;
    }

    // K3: those that were archived do not count
    async fn archived_sessions_make_room_and_restored_ones_take_it(stage) {
        let supervisor = stage.start_with(|config| config.limits.max_sessions = 1).await;
        let first = supervisor.open(&key("#1")).await.unwrap();
        supervisor.open(&key("#2")).await.unwrap_err();
        first.archive().await.unwrap();
        let second = supervisor.open(&key("#2")).await.unwrap();
        first.restore().await.unwrap();
        assert_eq!(limit(&supervisor, Limit::Sessions).current, Some(2));
        first.archive().await.unwrap();
        first.delete().await.unwrap();
        assert_eq!(limit(&supervisor, Limit::Sessions).current, Some(1));
        second.suspend().await.unwrap();
        assert_eq!(limit(&supervisor, Limit::Sessions).current, Some(1));
        assert_eq!(stage.store.count().await.unwrap(), 1);
        settled(&supervisor).await;
    }

    // H11, L3
    async fn a_pause_has_new_turns_wait_and_lets_the_running_ones_finish(stage) {
        let supervisor = stage.start().await;
        let rooms = sessions(&supervisor, 3).await;
        let turn = begin(&rooms[0], "one", REJECT).await.unwrap();
        let mut queued = begin(&rooms[0], "queued", BusyPolicy::queue());
        assert!(poll_once(&mut queued).is_pending());
        assert!(supervisor.is_ready() && supervisor.pause() && !supervisor.pause());
        assert!(!supervisor.is_ready() && supervisor.is_paused());
        let mut second = begin(&rooms[1], "two", REJECT);
        let mut third = begin(&rooms[1], "three", BusyPolicy::queue());
        let mut fourth = begin(&rooms[2], "four", REJECT);
        assert!(poll_once(&mut second).is_pending());
        assert!(poll_once(&mut third).is_pending() && poll_once(&mut fourth).is_pending());
        committed(turn, "1").await;
        assert!(poll_once(&mut queued).is_pending());
        // Nothing else waits.
        assert_eq!(rooms[1].status().queued, 2);
        rooms[1].append(&[user("a note")]).await.unwrap();
        let created = supervisor.open(&key("#new")).await.unwrap();
        created.delete().await.unwrap();
        rooms[2].stop();
        let error = fourth.await.unwrap_err();
        assert!(matches!(error, BeginError::Cancelled { .. }), "{error:?}");
        assert!(supervisor.resume() && !supervisor.resume());
        committed(queued.await.unwrap(), "q").await;
        committed(second.await.unwrap(), "2").await;
        committed(third.await.unwrap(), "3").await;
        assert_eq!(texts(&rooms[0]).await, ["one", "1", "queued", "q"]);
        assert_eq!(texts(&rooms[1]).await, ["a note", "two", "2", "three", "3"]);
        assert!(supervisor.is_ready());
        for room in &rooms {
            quiet(&supervisor, room).await;
        }
    }

    // K4: many at once, who give up at random
    async fn permits_balance_whatever_happens_at_once(stage) {
        let supervisor = stage.start_with(turns(3, 30 * SECOND)).await;
        let rooms = sessions(&supervisor, 8).await;
        let mut tasks = Vec::new();
        for (number, room) in rooms.iter().cloned().enumerate() {
            tasks.push(tokio::spawn(async move {
                for round in 0..30 {
                    let mut waits = begin(&room, "x", BusyPolicy::queue());
                    if (round + number) % 3 == 0 {
                        drop(poll_once(&mut waits));
                        tokio::task::yield_now().await;
                        continue;
                    }
                    let turn = waits.await.unwrap();
                    match round % 4 {
                        0 => drop(turn),
                        1 => drop(room.stop()),
                        _ => drop(turn.commit(&user("y")).await.unwrap()),
                    }
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        until("all permits are back", || {
            let (current, waiting, _) = counted(&supervisor);
            (current, waiting) == (0, 0)
        }).await;
        for room in &rooms {
            quiet(&supervisor, room).await;
        }
    }

    // A10, K1, K4: dropped at every await, behind a turn that goes on meanwhile
    async fn a_begin_that_waits_for_a_permit_can_be_dropped_anywhere(stage) {
        let supervisor = stage.start_with(turns(1, 30 * SECOND)).await;
        let rooms = sessions(&supervisor, 2).await;
        for known in [true, false] {
            let dropped = drop_at_every_await(
                async || {
                    until("all permits are back", || counted(&supervisor).0 == 0).await;
                    let turn = begin(&rooms[0], "holds", REJECT).await.unwrap();
                    let (supervisor, room) = (supervisor.clone(), rooms[1].clone());
                    let over = Arc::new(AtomicBool::new(false));
                    let ends = tokio::spawn({
                        let (supervisor, over) = (supervisor.clone(), over.clone());
                        async move {
                            until("somebody waits", || {
                                over.load(Ordering::SeqCst) || counted(&supervisor).1 == 1
                            }).await;
                            committed(turn, "1").await;
                        }
                    });
                    let begins = async move {
                        if known {
                            begin(&room, "waits", REJECT).await.unwrap()
                        } else {
                            supervisor.begin(&key("#unknown"), &user("waits"), REJECT).await.unwrap()
                        }
                    };
                    ((ends, over), begins)
                },
                async |(ends, over), turn: Option<Turn>| {
                    over.store(true, Ordering::SeqCst);
                    ends.await.unwrap();
                    drop(turn);
                    until("all permits are back", || {
                        let (current, waiting, _) = counted(&supervisor);
                        (current, waiting) == (0, 0)
                    }).await;
                    if let Ok(room) = supervisor.open(&key("#unknown")).await {
                        room.delete().await.unwrap();
                    }
                },
            ).await;
            assert!(dropped > 0);
        }
        for room in &rooms {
            quiet(&supervisor, room).await;
        }
    }
}

in_paused_time! {
    // K1
    async fn a_wait_for_a_permit_is_over_at_its_time_and_says_when_to_come_back(stage) {
        let supervisor = stage.start_with(turns(1, 10 * SECOND)).await;
        let rooms = sessions(&supervisor, 3).await;
        // A turn took twenty seconds, so the next one may, too.
        let turn = begin(&rooms[0], "one", REJECT).await.unwrap();
        tokio::time::sleep(20 * SECOND).await;
        committed(turn, "1").await;
        let turn = begin(&rooms[0], "two", REJECT).await.unwrap();
        let started = supervisor.now();
        let mut early = begin(&rooms[1], "early", REJECT);
        assert!(poll_once(&mut early).is_pending());
        tokio::time::sleep(3 * SECOND).await;
        let mut late = begin(&rooms[2], "late", BusyPolicy::queue());
        let mut behind = begin(&rooms[2], "behind", BusyPolicy::Queue { max: 4, wait: Some(12 * SECOND) });
        assert!(poll_once(&mut late).is_pending() && poll_once(&mut behind).is_pending());
        let error = early.await.unwrap_err();
        assert_eq!(supervisor.now().as_millis() - started.as_millis(), 10_000);
        assert_eq!(full(&error).limit, Limit::Turns);
        // Behind one other.
        assert_eq!(error.retry_after(), Some(40 * SECOND));
        assert_eq!(full(&late.await.unwrap_err()).current, 1);
        assert_eq!(supervisor.now().as_millis() - started.as_millis(), 13_000);
        // The wait of its policy is over before that for a permit.
        let error = behind.await.unwrap_err();
        assert_eq!(supervisor.now().as_millis() - started.as_millis(), 15_000);
        assert_eq!(error.kind(), ErrorKind::Full);
        assert_eq!(counted(&supervisor), (1, 0, 3));
        drop(turn);
        for room in &rooms {
            quiet(&supervisor, room).await;
        }
    }

    // H11
    async fn a_pause_that_lasts_is_told_as_what_it_is(stage) {
        let supervisor = stage.start_with(|config| config.limits.turn_wait = 5 * SECOND).await;
        let room = supervisor.open(&key("#rust")).await.unwrap();
        supervisor.pause();
        let error = begin(&room, "one", REJECT).await.unwrap_err();
        assert!(matches!(error, BeginError::Paused { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.retry_after().is_some());
        let error = supervisor.begin(&key("#new"), &user("x"), REJECT).await.unwrap_err();
        assert!(matches!(error, BeginError::Paused { .. }), "{error:?}");
        assert_eq!(supervisor.loaded(), 1);
        // A paused supervisor shuts down like any other; whoever waits is told.
        let mut waits = begin(&room, "two", REJECT);
        assert!(poll_once(&mut waits).is_pending());
        let creates = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.begin(&key("#new"), &user("x"), REJECT).await }
        });
        until("both wait", || counted(&supervisor).1 == 2).await;
        let shut_down = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.shutdown(SECOND).await }
        });
        let error = creates.await.unwrap().unwrap_err();
        assert!(matches!(error, BeginError::Draining { .. }), "{error:?}");
        let error = waits.await.unwrap_err();
        assert!(matches!(error, BeginError::Cancelled { .. }), "{error:?}");
        assert!(shut_down.await.unwrap().unwrap().clean);
    }

    // K1: no line
    async fn where_nobody_may_wait_a_begin_is_refused_at_once(stage) {
        let supervisor = stage.start_with(|config| {
            turns(1, Duration::ZERO)(config);
        }).await;
        let rooms = sessions(&supervisor, 2).await;
        let turn = begin(&rooms[0], "one", REJECT).await.unwrap();
        let mut second = begin(&rooms[1], "two", BusyPolicy::queue());
        assert!(poll_once(&mut second).is_ready());
        drop(turn);
        quiet(&supervisor, &rooms[1]).await;

        let supervisor = stage.start_with(|config| {
            turns(1, 30 * SECOND)(config);
            config.limits.max_waiting_turns = 1;
        }).await;
        let rooms = sessions(&supervisor, 3).await;
        let turn = begin(&rooms[0], "one", REJECT).await.unwrap();
        // One that has waited for its session has a place all the same.
        let mut behind = begin(&rooms[0], "behind", BusyPolicy::queue());
        let mut second = begin(&rooms[1], "two", REJECT);
        assert!(poll_once(&mut behind).is_pending() && poll_once(&mut second).is_pending());
        let error = begin(&rooms[2], "three", REJECT).await.unwrap_err();
        assert_eq!((full(&error).limit, full(&error).max), (Limit::WaitingTurns, 1));
        drop(turn);
        committed(second.await.unwrap(), "2").await;
        committed(behind.await.unwrap(), "3").await;
        for room in &rooms {
            quiet(&supervisor, room).await;
        }
    }

    // B1, K1: parallel turns have a permit each
    async fn parallel_turns_have_a_permit_each(stage) {
        let supervisor = stage.start_with(turns(2, 30 * SECOND)).await;
        let room = supervisor.open(&key("#rust")).await.unwrap();
        let branch = BusyPolicy::Parallel(Parallel::Branch);
        let one = begin(&room, "one", branch).await.unwrap();
        let two = begin(&room, "two", branch).await.unwrap();
        let mut three = begin(&room, "three", branch);
        assert!(poll_once(&mut three).is_pending());
        assert_eq!(counted(&supervisor), (2, 1, 0));
        committed(one, "1").await;
        committed(three.await.unwrap(), "3").await;
        drop(two);
        quiet(&supervisor, &room).await;
    }

    // K1, K4: the last handle goes while somebody waits
    async fn a_delete_ends_the_wait_for_a_permit(stage) {
        let supervisor = stage.start_with(turns(1, 30 * SECOND)).await;
        let rooms = sessions(&supervisor, 2).await;
        let turn = begin(&rooms[0], "one", REJECT).await.unwrap();
        let mut waits = begin(&rooms[1], "two", REJECT);
        assert!(poll_once(&mut waits).is_pending());
        rooms[1].delete().await.unwrap();
        let error = waits.await.unwrap_err();
        assert!(matches!(error, BeginError::Closing { .. }), "{error:?}");
        assert_eq!(counted(&supervisor), (1, 0, 0));
        drop(turn);
        quiet(&supervisor, &rooms[0]).await;
    }
}

// K7
#[test]
fn every_limit_is_told_with_current_maximum_and_rejected() {
    support::play(false, support::Kind::Memory, async |stage| {
        let supervisor = stage
            .start_with(|config| {
                config.limits.max_turns = 7;
                let mut night = ClassConfig::default();
                night.max_turns = 3;
                config.classes.insert("night".to_owned(), night);
            })
            .await;
        let told = supervisor.limits();
        for limit in Limit::ALL {
            assert!(told.iter().any(|status| status.limit == limit), "{limit} is not told");
        }
        assert_eq!(limit(&supervisor, Limit::Turns).max, 7);
        assert_eq!(limit(&supervisor, Limit::ClassTurns).max, 3);
        assert_eq!(limit(&supervisor, Limit::Entries).current, None);
    });
}

//! A deleted id answers so: for as long as was promised, however many there are, over a restart, and
//! while anything of that life still runs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unchecked_time_subtraction,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use crate::stage;

use std::sync::Arc;
use std::time::Duration;

use session_supervisor::testing::{Fault, Gate, ManualClock, PausedClock, StoreCall};
use session_supervisor::{
    BusyPolicy, CancelReason, CommitOutcome, Config, CreateError, DeleteOutcome, Lookup,
    MemoryStore, NewSession, Parallel, Session, SessionId, Store, Supervisor, Timestamp, Tombstone,
    UnknownPolicy, store::Forget, store::Found,
};
use stage::{Kind, Stage, assert_clean, everywhere, id, key, on, poll_once, reply, user};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Settings with tombstones that stand for an hour, of which so many are held in memory.
fn config(max_in_memory: usize) -> Config {
    let mut config = Config::default();
    config.tombstones.keep_for = HOUR;
    config.tombstones.max_in_memory = max_in_memory;
    config
}

/// Creates a session of this id and deletes it again.
async fn dead(supervisor: &Supervisor, id: &SessionId) -> Tombstone {
    let session = supervisor.create_id(id, NewSession::new()).await.unwrap();
    match session.delete().await.unwrap() {
        DeleteOutcome::Deleted(tombstone) => tombstone,
        other => panic!("{other:?}"),
    }
}

/// What a look-up says.
async fn looked_up(supervisor: &Supervisor, id: &SessionId) -> &'static str {
    match supervisor.look_up(id).await.unwrap() {
        Lookup::Live(_) => "live",
        Lookup::Gone(_) => "gone",
        Lookup::Unknown => "unknown",
    }
}

// E8, F14
#[test]
fn no_tombstone_ends_before_its_time_however_many_there_are() {
    // One store has room, the other is asked for what the registry had to drop.
    for max_in_memory in [1_000_000, 1_000] {
        let store = MemoryStore::new();
        let clock = ManualClock::new();
        stage::runtime(1).block_on(async {
            let builder = Supervisor::builder().store(store.clone()).clock(clock.clone());
            let supervisor: Supervisor =
                builder.config(config(max_in_memory)).start().await.unwrap();
            let ids: Vec<_> = (0..110_000).map(|n| id(&format!("s{n}"))).collect();
            for id in &ids {
                dead(&supervisor, id).await;
            }
            let evicted = ids.len().saturating_sub(max_in_memory) as u64;
            assert_eq!(supervisor.counts().tombstones_evicted, evicted);
            assert_eq!(store.tombstones_evicted(), 0);
            assert_eq!(supervisor.loaded(), 0);
            clock.advance(HOUR - Duration::from_millis(1));
            for id in &ids {
                assert_eq!(looked_up(&supervisor, id).await, "gone", "{id}");
            }
            clock.advance(Duration::from_millis(1));
            for id in &ids {
                assert_eq!(looked_up(&supervisor, id).await, "unknown", "{id}");
            }
            assert_clean(&supervisor).await;
        });
    }
}

// E8
#[test]
fn a_full_memory_store_drops_the_oldest_first_and_counts_it() {
    let store = MemoryStore::with_max_tombstones(100);
    let clock = ManualClock::new();
    stage::runtime(1).block_on(async {
        let builder = Supervisor::builder().store(store.clone()).clock(clock.clone());
        let supervisor: Supervisor = builder.config(config(10)).start().await.unwrap();
        for n in 0..150 {
            dead(&supervisor, &id(&format!("s{n}"))).await;
            clock.advance(Duration::from_millis(1));
        }
        assert_eq!(store.tombstones_evicted(), 50);
        assert_eq!(supervisor.counts().tombstones_evicted, 140);
        for n in 0..150 {
            let expected = if n < 50 { "unknown" } else { "gone" };
            assert_eq!(looked_up(&supervisor, &id(&format!("s{n}"))).await, expected, "s{n}");
        }
        assert_clean(&supervisor).await;
    });
}

// E8: the cap bounds memory only.
#[test]
fn a_store_that_keeps_rows_answers_for_what_memory_had_no_room_for() {
    everywhere(|stage| async move {
        let supervisor = stage.builder().config(config(2)).start().await.unwrap();
        let mut tombstones = Vec::new();
        for n in 0..10 {
            let id = id(&format!("s{n}"));
            tombstones.push((id.clone(), dead(&supervisor, &id).await));
        }
        assert_eq!(supervisor.counts().tombstones_evicted, 8);
        for (id, tombstone) in &tombstones {
            let found = supervisor.look_up(id).await.unwrap();
            assert!(matches!(found, Lookup::Gone(it) if it == *tombstone), "{found:?}");
            let refused = supervisor.create_id(id, NewSession::new()).await.unwrap_err();
            assert!(matches!(refused, CreateError::Gone { .. }), "{refused}");
            assert_eq!(
                supervisor.delete(id).await.unwrap(),
                DeleteOutcome::AlreadyGone(*tombstone)
            );
        }
        assert_eq!(supervisor.loaded(), 0);
        assert_clean(&supervisor).await;
    });
}

/// A session whose turn outlives its delete.
async fn outlived(supervisor: &Supervisor) -> (Session, session_supervisor::Turn, Tombstone) {
    let session = supervisor.create_id(&id("pinned"), NewSession::new()).await.unwrap();
    let turn = session.begin(&user("go"), ()).await.unwrap();
    let deleted = session.delete().await.unwrap();
    let DeleteOutcome::Deleted(tombstone) = deleted else { panic!("{deleted:?}") };
    (session, turn, tombstone)
}

// E9, E5
#[test]
fn a_tombstone_stands_while_a_turn_of_that_life_still_runs() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let builder = stage.builder().clock(clock.clone());
        let supervisor = builder.config(config(1_000)).start().await.unwrap();
        let (session, turn, tombstone) = outlived(&supervisor).await;
        clock.advance(DAY);
        // What the store has is swept as it is due; what runs keeps the answer.
        stage.faults.forget(Forget::Tombstones(supervisor.now()), 10).await.unwrap();
        let found = supervisor.look_up(session.id()).await.unwrap();
        assert!(matches!(found, Lookup::Gone(it) if it == tombstone), "{found:?}");
        let late = turn.commit(&reply("late")).await.unwrap();
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Deleted });
        assert_eq!(looked_up(&supervisor, session.id()).await, "unknown");
        let deleted = session.delete().await.unwrap();
        assert_eq!(deleted, DeleteOutcome::AlreadyGone(tombstone), "the handle still knows");
        assert_clean(&supervisor).await;
    });
}

// E9, E10, A9: a pinned id is not free, whatever the store has forgotten.
#[test]
fn an_id_is_not_created_again_while_a_turn_of_its_former_life_still_runs() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let mut config = config(1_000);
        config.unknown = UnknownPolicy::Create;
        let builder = stage.builder().clock(clock.clone());
        let supervisor = builder.config(config).start().await.unwrap();
        let (session, turn, tombstone) = outlived(&supervisor).await;
        clock.advance(DAY);
        let refused = supervisor.create_id(session.id(), NewSession::new()).await.unwrap_err();
        assert!(
            matches!(refused, CreateError::Gone { tombstone: it, .. } if it == tombstone),
            "{refused}"
        );
        let refused = supervisor.open_id(session.id()).await.unwrap_err();
        assert!(matches!(refused, CreateError::Gone { .. }), "{refused}");
        drop(turn);
        let created = supervisor.open_id(session.id()).await.unwrap();
        assert!(created.record().await.unwrap().incarnation > tombstone.incarnation);
        assert_clean(&supervisor).await;
    });
}

// E8, E9, X3: what runs is not dropped to make room.
#[test]
fn a_pinned_tombstone_is_not_dropped_to_make_room() {
    stage::runtime(1).block_on(async {
        let store = MemoryStore::with_max_tombstones(3);
        let builder = Supervisor::builder().store(store.clone());
        let supervisor: Supervisor = builder.config(config(3)).start().await.unwrap();
        let (session, turn, _) = outlived(&supervisor).await;
        for n in 0..20 {
            dead(&supervisor, &id(&format!("s{n}"))).await;
        }
        assert_eq!(looked_up(&supervisor, session.id()).await, "gone");
        drop(turn);
        dead(&supervisor, &id("another")).await;
        dead(&supervisor, &id("and-another")).await;
        assert_clean(&supervisor).await;
    });
}

// E9: the sweep leaves it, and takes it once nothing runs.
#[tokio::test(start_paused = true)]
async fn the_sweep_leaves_what_is_pinned_and_takes_it_later() {
    let stage = Stage::new(Kind::Memory).await;
    let builder = stage.builder().clock(PausedClock::new());
    let supervisor = builder.config(config(1_000)).start().await.unwrap();
    let (session, turn, _) = outlived(&supervisor).await;
    dead(&supervisor, &id("other")).await;
    tokio::time::sleep(HOUR / 2).await;
    assert_eq!(supervisor.tombstones(), 2, "none is over");
    // Beyond the hour, over many sweeps.
    tokio::time::sleep(5 * HOUR / 2).await;
    assert_eq!(supervisor.tombstones(), 1, "readers would not notice one that is kept for ever");
    let swept = stage.faults.calls_of(StoreCall::ForgetTombstones);
    assert!(swept >= 170, "{swept} sweeps in three hours");
    assert_eq!(looked_up(&supervisor, &id("other")).await, "unknown");
    assert_eq!(looked_up(&supervisor, session.id()).await, "gone");
    assert!(turn.emit("late").is_err());
    drop(turn);
    assert_eq!(looked_up(&supervisor, session.id()).await, "unknown");
    tokio::time::sleep(HOUR).await;
    assert_eq!(supervisor.tombstones(), 0);
    assert_clean(&supervisor).await;
}

// X10, E8: readers check the deadline themselves; nothing has been swept.
#[test]
fn a_tombstone_ends_when_its_time_is_over_before_any_sweep() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let builder = stage.builder().clock(clock.clone());
        let supervisor = builder.config(config(1_000)).start().await.unwrap();
        // The start has swept.
        stage.faults.reset_calls();
        let tombstone = dead(&supervisor, &id("s")).await;
        assert_eq!(tombstone.until, tombstone.at.plus(HOUR));
        clock.advance(HOUR - Duration::from_millis(1));
        assert_eq!(looked_up(&supervisor, &id("s")).await, "gone");
        clock.advance(Duration::from_millis(1));
        assert_eq!(looked_up(&supervisor, &id("s")).await, "unknown");
        assert_eq!(stage.faults.calls_of(StoreCall::ForgetTombstones), 0);
        let again = supervisor.create_id(&id("s"), NewSession::new()).await.unwrap();
        assert!(again.record().await.unwrap().incarnation > tombstone.incarnation);
        assert_clean(&supervisor).await;
    });
}

// X3, E8
#[test]
fn a_wall_clock_that_jumps_does_not_shorten_a_tombstone() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let builder = stage.builder().clock(clock.clone());
        let supervisor = builder.config(config(1_000)).start().await.unwrap();
        let tombstone = dead(&supervisor, &id("s")).await;
        for wall in [supervisor.now().plus(30 * DAY), Timestamp::from_millis(1)] {
            clock.set_wall(wall);
            let found = supervisor.look_up(&id("s")).await.unwrap();
            assert!(matches!(found, Lookup::Gone(it) if it == tombstone), "{wall}: {found:?}");
            let refused = supervisor.create_id(&id("s"), NewSession::new()).await.unwrap_err();
            assert!(matches!(refused, CreateError::Gone { .. }), "{wall}: {refused}");
            clock.advance_moment(Duration::from_secs(60));
        }
        assert_clean(&supervisor).await;
    });
}

// E10, C2, F5, F17
#[test]
fn an_id_is_used_again_only_on_request_and_the_new_life_is_another() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let again = || NewSession::new().allow_reuse();
        let first = supervisor.create_id(&id("s"), NewSession::new()).await.unwrap();
        let parallel = BusyPolicy::Parallel(Parallel::FirstCommit);
        first.append(&[user("old")]).await.unwrap();
        first.insert("mood", &"old").await.unwrap();
        let old_turn = first.begin(&user("old"), parallel).await.unwrap();
        let dropped = first.begin(&user("old"), parallel).await.unwrap();
        let old_stream = old_turn.stream();
        // Reuse is for what is gone, not for what lives.
        let exists = supervisor.create_id(&id("s"), again()).await.unwrap_err();
        assert!(matches!(exists, CreateError::Exists { .. }), "{exists}");
        let deleted = first.delete().await.unwrap();
        let DeleteOutcome::Deleted(tombstone) = deleted else { panic!("{deleted:?}") };
        let refused = supervisor.create_id(&id("s"), NewSession::new()).await.unwrap_err();
        assert!(matches!(refused, CreateError::Gone { .. }), "{refused}");

        let second = supervisor.create_id(&id("s"), again()).await.unwrap();
        assert_eq!(looked_up(&supervisor, &id("s")).await, "live");
        let record = second.record().await.unwrap();
        assert!(record.incarnation > tombstone.incarnation);
        assert_eq!((record.entries, record.generation.get()), (0, 0));
        assert_eq!(second.transcript().await.unwrap().len(), 0);
        assert_eq!(second.get::<String>("mood").await.unwrap(), None);
        let new_turn = second.begin(&user("new"), ()).await.unwrap();
        assert_ne!(new_turn.stream(), old_stream);

        // It once counted the tombstone of the life before as well.
        assert_eq!(supervisor.tombstones(), 0);

        // Nothing of the old life reaches the new one.
        let late = old_turn.commit(&reply("late")).await.unwrap();
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Deleted });
        drop(dropped);
        let not_running = session_supervisor::CancelOutcome::NotRunning;
        assert_eq!(second.cancel(old_stream), not_running);
        assert_eq!(first.cancel(new_turn.stream()), not_running);
        assert_eq!(first.stop(), not_running);
        assert!(second.subscribe_to(old_stream).is_none());
        assert!(first.begin(&user("late"), ()).await.is_err());
        assert!(first.append(&[user("late")]).await.is_err());
        assert!(first.insert("late", &1).await.is_err());
        assert!(first.set_label(Some("late")).await.is_err());
        assert!(first.transcript().await.is_err());
        assert!(first.get::<String>("mood").await.is_err());
        assert!(first.record().await.is_err());
        assert_eq!(first.delete().await.unwrap(), DeleteOutcome::AlreadyGone(tombstone));
        assert_eq!(looked_up(&supervisor, &id("s")).await, "live");
        assert!(new_turn.emit("still running").is_ok());
        let committed = new_turn.commit(&reply("hi")).await.unwrap();
        assert!(matches!(committed, CommitOutcome::Committed { seq: 2, version: 1 }));
        assert_eq!(second.get::<u8>("late").await.unwrap(), None);
        assert_eq!(second.record().await.unwrap().label, None);

        // And again, many times: it never wears out.
        for _ in 0..20 {
            assert!(matches!(
                supervisor.delete(&id("s")).await.unwrap(),
                DeleteOutcome::Deleted(_)
            ));
            supervisor.create_id(&id("s"), again()).await.unwrap();
        }
        assert_clean(&supervisor).await;
    });
}

// E10, X3: the tombstone of a former life neither hides nor ends the next one.
#[test]
fn a_new_life_outlives_the_tombstone_of_the_former() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let builder = stage.builder().clock(clock.clone());
        let supervisor = builder.config(config(1_000)).start().await.unwrap();
        dead(&supervisor, &id("s")).await;
        let new = NewSession::new().allow_reuse();
        let second = supervisor.create_id(&id("s"), new).await.unwrap();
        clock.advance(2 * HOUR);
        stage.faults.forget(Forget::Tombstones(supervisor.now()), 10).await.unwrap();
        assert_eq!(looked_up(&supervisor, &id("s")).await, "live");
        second.append(&[user("here")]).await.unwrap();
        assert!(matches!(second.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
        // The second tombstone has its own hour.
        clock.advance(HOUR - Duration::from_millis(1));
        stage.faults.forget(Forget::Tombstones(supervisor.now()), 10).await.unwrap();
        assert_eq!(looked_up(&supervisor, &id("s")).await, "gone");
        assert_clean(&supervisor).await;
    });
}

// A9
#[test]
fn nothing_but_a_request_creates_a_deleted_id_however_often_it_is_tried() {
    everywhere(|stage| async move {
        let mut config = config(1_000);
        config.unknown = UnknownPolicy::Create;
        let supervisor = stage.builder().config(config).start().await.unwrap();
        dead(&supervisor, &id("s")).await;
        let created = supervisor.counts().created;
        for _ in 0..100 {
            stage.faults.forget(Forget::Tombstones(supervisor.now()), 10).await.unwrap();
            let refused = supervisor.open_id(&id("s")).await.unwrap_err();
            assert!(matches!(refused, CreateError::Gone { .. }), "{refused}");
            assert_eq!(looked_up(&supervisor, &id("s")).await, "gone");
        }
        assert_eq!(supervisor.counts().created, created);
        assert!(supervisor.counts().gone_hits >= 200);
        assert_clean(&supervisor).await;
    });
}

// E11, F24
#[test]
fn a_tombstone_holds_over_a_restart_from_the_first_moment() {
    everywhere(|stage| async move {
        let supervisor = stage.builder().config(config(1_000)).start().await.unwrap();
        let keyed = supervisor.open(&key("#rust")).await.unwrap();
        let DeleteOutcome::Deleted(tombstone) = keyed.delete().await.unwrap() else { panic!() };
        let other = supervisor.open(&key("#c")).await.unwrap();
        let (keyed, other) = (keyed.id().clone(), other.id().clone());
        drop(supervisor);
        let stage = stage.reopened().await;
        let supervisor = stage.builder().config(config(1_000)).start().await.unwrap();
        assert_eq!(supervisor.loaded(), 0);
        let found = supervisor.look_up(&keyed).await.unwrap();
        assert!(matches!(found, Lookup::Gone(it) if it == tombstone), "{found:?}");
        let refused = supervisor.create_id(&keyed, NewSession::new()).await.unwrap_err();
        assert!(matches!(refused, CreateError::Gone { .. }), "{refused}");
        assert_eq!(supervisor.delete(&keyed).await.unwrap(), DeleteOutcome::AlreadyGone(tombstone));
        assert_eq!(supervisor.loaded(), 0);
        assert_ne!(supervisor.open(&key("#rust")).await.unwrap().id(), &keyed);
        assert_eq!(supervisor.open(&key("#c")).await.unwrap().id(), &other);
        // A new life is newer than every life of the run before.
        let new = NewSession::new().allow_reuse();
        let again = supervisor.create_id(&keyed, new).await.unwrap();
        assert!(again.record().await.unwrap().incarnation > tombstone.incarnation);
        assert_clean(&supervisor).await;
    });
}

// E11, E6: a delete that a kill cuts off has happened or has not, and nobody was told.
#[test]
fn a_delete_that_a_kill_cuts_off_happened_or_did_not() {
    for stored in [false, true] {
        on(&[Kind::Memory, Kind::Pending], |stage| async move {
            let supervisor = stage.start().await;
            let session = supervisor.open(&key("#rust")).await.unwrap();
            let gate = Gate::new();
            let held = gate.clone();
            let fault = if stored { Fault::HeldAfter(held) } else { Fault::HeldBefore(held) };
            stage.faults.fail_next_of(StoreCall::Delete, fault);
            let deletes = session.clone();
            let mut delete = Box::pin(async move { deletes.delete().await });
            assert!(poll_once(&mut delete).is_pending());
            gate.wait_until_reached().await;
            let next = Stage::new(Kind::Memory).await;
            drop(next);
            let second: Supervisor =
                Supervisor::builder().shared_store(stage.behind.clone()).start().await.unwrap();
            let expected = if stored { "gone" } else { "live" };
            assert_eq!(looked_up(&second, session.id()).await, expected);
        });
    }
}

// E8: what is swept in the store was due.
#[test]
fn the_store_forgets_only_what_is_due() {
    everywhere(|stage| async move {
        let clock = ManualClock::new();
        let builder = stage.builder().clock(clock.clone());
        let supervisor = builder.config(config(1)).start().await.unwrap();
        for n in 0..10 {
            dead(&supervisor, &id(&format!("s{n}"))).await;
            clock.advance(Duration::from_secs(60));
        }
        clock.advance(HOUR - Duration::from_secs(300));
        let forgotten =
            stage.faults.forget(Forget::Tombstones(supervisor.now()), 100).await.unwrap();
        assert_eq!(forgotten, 6);
        for n in 0..10 {
            let found = stage.behind.look_up(&id(&format!("s{n}")), supervisor.now()).await;
            let gone = matches!(found.unwrap(), Found::Gone(_));
            assert_eq!(gone, n > 5, "s{n}");
        }
        let store: Arc<dyn Store> = stage.behind.clone();
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    });
}

// A5, C1, E10: a crowd found that an id could be told as deleted whose session was alive. As soon as the store
// has a delete, the id may be created again; if that life left memory before the answer of the delete had
// arrived, the tombstone of the earlier life was put where nothing stood, and hid it until it was over.
#[test]
fn the_tombstone_of_an_earlier_life_does_not_hide_one_that_has_left_memory() {
    everywhere(|stage| async move {
        let mut config = Config::default();
        config.idle.max_live = 1;
        let supervisor = stage.builder().config(config).start().await.unwrap();
        let one = supervisor.create_id(&id("a"), NewSession::new()).await.unwrap();
        let gate = Gate::new();
        stage.faults.fail_next_of(StoreCall::Delete, Fault::HeldAfter(gate.clone()));
        let deleting = tokio::spawn({
            let one = one.clone();
            async move { one.delete().await }
        });
        gate.wait_until_reached().await;
        // Handed over to the store after the delete, so the store has that.
        let new = NewSession::new().allow_reuse();
        let two = supervisor.create_id(&id("a"), new).await.unwrap();
        assert!(two.incarnation() > one.incarnation());
        // It makes room for another one.
        supervisor.create_id(&id("b"), NewSession::new()).await.unwrap();
        stage::until("it has left memory", || !two.status().loaded).await;
        gate.open();
        assert!(matches!(deleting.await.unwrap().unwrap(), DeleteOutcome::Deleted(_)));
        assert_eq!(looked_up(&supervisor, &id("a")).await, "live");
        let again = supervisor.create_id(&id("a"), NewSession::new()).await;
        assert!(matches!(again, Err(CreateError::Exists { .. })), "{again:?}");
        let turn = two.begin(&user("hello"), BusyPolicy::Reject).await.unwrap();
        drop(turn);
        assert_clean(&supervisor).await;
    });
}

//! Every public future is dropped at every await; afterwards the library is as it should be: a new
//! turn is admitted, every rule holds, every count balances, nothing is left under way.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use crate::stage;

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use session_supervisor::testing::drop_at_every_await;
use session_supervisor::{
    BeginError, BusyPolicy, CommitOutcome, FailedInput, NewSession, Parallel, RecordFilter, Reply,
    Session, Supervisor, Turn, TurnPhase,
};
use stage::{Kind, Stage, assert_clean, content, id, key, poll_once, reply, until, user};

/// For outcomes that do not matter here.
fn ignore<T>(_: T) {}

type Operation = Pin<Box<dyn Future<Output = ()> + Send>>;

const PARALLEL: BusyPolicy = BusyPolicy::Parallel(Parallel::FirstCommit);

/// What an operation finds.
struct World {
    stage: Stage,
    supervisor: Supervisor,
    /// Bound to `#rust`; has a finished turn. Not loaded in a cold world.
    session: Session,
    /// Holds the session's slot in a busy world.
    turn: Mutex<Option<Turn>>,
}

/// Which world an operation is tried in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    /// The session is loaded and idle.
    Idle,
    /// A turn holds it.
    Busy,
    /// Nothing is loaded.
    Cold,
}

impl World {
    async fn new(kind: Kind, setting: Setting) -> Self {
        let mut stage = Stage::new(kind).await;
        let mut supervisor = stage.start().await;
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let turn = session.begin(&user("hello"), ()).await.unwrap();
        let reply = reply("hi");
        let with_data = Reply::from(&reply).insert("mood", &"good");
        assert!(matches!(turn.commit(with_data).await, Ok(CommitOutcome::Committed { .. })));
        let dead = supervisor.create_id(&id("dead"), NewSession::new()).await.unwrap();
        dead.delete().await.unwrap();
        if setting == Setting::Cold {
            stage = stage.reopened().await;
            supervisor = stage.start().await;
        }
        let turn = match setting {
            Setting::Busy => Some(session.begin(&user("go"), ()).await.unwrap()),
            Setting::Idle | Setting::Cold => None,
        };
        Self { stage, supervisor, session, turn: Mutex::new(turn) }
    }

    /// The turn of a busy world.
    fn turn(&self) -> Turn {
        self.turn.lock().unwrap().take().unwrap()
    }

    /// Has a task end the turn of a busy world after a while.
    fn end_soon(&self) {
        let turn = self.turn();
        tokio::spawn(async move {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            drop(turn);
        });
    }

    /// Has a task end the turn of a busy world once it is told to.
    fn end_when_told(&self) {
        let turn = self.turn();
        tokio::spawn(async move {
            turn.cancelled().await;
            drop(turn);
        });
    }
}

/// After an operation was dropped or is through.
async fn afterwards(what: &str, world: World) {
    let World { stage, supervisor, turn, .. } = world;
    drop(turn);
    let ended = || {
        let counts = supervisor.counts();
        counts.turns_begun == counts.turns_ended
    };
    until(what, ended).await;
    assert_clean(&supervisor).await;
    let session = supervisor.open(&key("#rust")).await.unwrap();
    let turn = session.begin(&user("again"), BusyPolicy::Reject).await;
    let turn = turn.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(matches!(turn.commit(&reply("yes")).await, Ok(CommitOutcome::Committed { .. })));
    assert_clean(&supervisor).await;
    assert_eq!(supervisor.in_flight(), 0, "{what}");
    let counts = supervisor.counts();
    assert_eq!(counts.turns_begun, counts.turns_ended, "{what}");
    assert_eq!(counts.begins_queued, counts.begins_dequeued, "{what}");
    content(&*stage.behind, &[], &[]).await;
    let replying = {
        let mut filter = RecordFilter::default();
        filter.replying = Some(true);
        supervisor.list(filter, None, 9).await.unwrap()
    };
    assert_eq!(replying.records, [], "{what}");
    assert!(supervisor.shutdown(Duration::from_secs(10)).await.unwrap().clean, "{what}");
    let counts = supervisor.counts();
    assert_eq!(counts.actors_started, counts.actors_ended, "{what}");
}

/// Drops an operation at every await, on every store and runtime; answers at how many awaits it was
/// dropped on the store that has to be awaited.
fn everywhere(what: &str, setting: Setting, operation: impl Fn(&World) -> Operation) -> usize {
    let mut most = 0;
    for kind in Kind::ALL {
        for threads in [1, 2] {
            let dropped = stage::runtime(threads).block_on(drop_at_every_await(
                async || {
                    let world = World::new(kind, setting).await;
                    let future = operation(&world);
                    (world, future)
                },
                async |world, _output| afterwards(what, world).await,
            ));
            println!("{what}: dropped {dropped} times on {kind:?}, {threads} thread(s)");
            most = most.max(dropped);
        }
    }
    most
}

/// An operation, its name, its setting, and at how many awaits it is dropped at least.
macro_rules! cancelled {
    ($($name:ident: $setting:ident, $least:literal, |$world:ident| $operation:expr;)*) => {$(
        // B3, E2, M3
        #[test]
        fn $name() {
            let dropped = everywhere(stringify!($name), Setting::$setting, |$world| {
                let future = $operation;
                Box::pin(async move { ignore(future.await) })
            });
            let least: usize = $least;
            assert!(dropped.checked_sub(least).is_some(), "dropped {dropped} times");
        }
    )*};
}

/// A clone of the supervisor.
fn s(world: &World) -> Supervisor {
    world.supervisor.clone()
}

cancelled! {
    open_of_what_is_loaded: Idle, 0, |w| { let s = s(w); async move { s.open(&key("#rust")).await } };
    open_of_what_is_not_loaded: Cold, 2, |w| {
        let s = s(w); async move { s.open(&key("#rust")).await }
    };
    open_of_a_new_key: Idle, 2, |w| { let s = s(w); async move { s.open(&key("#new")).await } };
    open_with: Idle, 2, |w| {
        let s = s(w);
        async move {
            let new = || NewSession::new().entry(user("system")).insert("mood", &1).label("l");
            s.open_with(&key("#new"), new).await
        }
    };
    reset: Idle, 1, |w| {
        let s = s(w); async move { s.reset(&key("#rust"), NewSession::new()).await }
    };
    reset_of_a_busy_session: Busy, 1, |w| {
        let s = s(w); async move { s.reset(&key("#rust"), NewSession::new()).await }
    };
    reset_of_what_is_not_loaded: Cold, 1, |w| {
        let s = s(w); async move { s.reset(&key("#rust"), NewSession::new()).await }
    };
    create: Idle, 1, |w| { let s = s(w); async move { s.create(NewSession::new()).await } };
    create_id: Idle, 1, |w| {
        let s = s(w); async move { s.create_id(&id("mine"), NewSession::new()).await }
    };
    create_for: Idle, 2, |w| {
        let s = s(w); async move { s.create_for(&key("#new"), &id("mine"), NewSession::new()).await }
    };
    create_id_of_a_tombstone: Idle, 1, |w| {
        let s = s(w);
        async move { s.create_id(&id("dead"), NewSession::new().allow_reuse()).await }
    };
    open_id: Cold, 1, |w| {
        let (s, id) = (s(w), w.session.id().clone()); async move { s.open_id(&id).await }
    };
    look_up: Cold, 1, |w| {
        let (s, id) = (s(w), w.session.id().clone()); async move { s.look_up(&id).await }
    };
    look_up_of_a_tombstone: Cold, 1, |w| {
        let s = s(w); async move { s.look_up(&id("dead")).await }
    };
    list: Idle, 1, |w| {
        let s = s(w); async move { s.list(RecordFilter::default(), None, 10).await }
    };
    check_store: Idle, 1, |w| { let s = s(w); async move { s.check_store().await } };
    delete_by_id: Idle, 1, |w| {
        let (s, id) = (s(w), w.session.id().clone()); async move { s.delete(&id).await }
    };
    delete_by_id_of_what_is_not_loaded: Cold, 2, |w| {
        let (s, id) = (s(w), w.session.id().clone()); async move { s.delete(&id).await }
    };
    delete_by_handle: Busy, 1, |w| {
        let session = w.session.clone(); async move { session.delete().await }
    };
    begin_of_a_free_session: Idle, 1, |w| {
        let session = w.session.clone();
        async move { session.begin(&user("in"), BusyPolicy::Reject).await }
    };
    begin_that_is_rejected: Busy, 0, |w| {
        let session = w.session.clone();
        async move { assert!(session.begin(&user("in"), BusyPolicy::Reject).await.is_err()) }
    };
    begin_that_waits: Busy, 1, |w| {
        let session = w.session.clone();
        w.end_soon();
        async move { session.begin(&user("in"), BusyPolicy::queue()).await }
    };
    begin_that_waits_for_a_while: Busy, 1, |w| {
        let session = w.session.clone();
        w.end_soon();
        let policy = BusyPolicy::Queue { max: 3, wait: Some(Duration::from_secs(60)) };
        async move { session.begin(&user("in"), policy).await }
    };
    begin_that_waits_in_vain: Busy, 1, |w| {
        let session = w.session.clone();
        let policy = BusyPolicy::Queue { max: 3, wait: Some(Duration::from_millis(2)) };
        async move {
            let error = session.begin(&user("in"), policy).await.unwrap_err();
            assert!(matches!(error, BeginError::TimedOut { .. }), "{error}");
        }
    };
    begin_that_interrupts: Busy, 1, |w| {
        let session = w.session.clone();
        w.end_when_told();
        async move { session.begin(&user("in"), BusyPolicy::interrupt()).await }
    };
    begin_that_fences: Busy, 1, |w| {
        let session = w.session.clone();
        let policy = BusyPolicy::Interrupt { grace: Duration::ZERO, max: 3 };
        async move { session.begin(&user("in"), policy).await }
    };
    begin_in_parallel: Busy, 1, |w| {
        let session = w.session.clone(); async move { session.begin(&user("in"), PARALLEL).await }
    };
    begin_by_key: Idle, 3, |w| {
        let s = s(w); async move { s.begin(&key("#new"), &user("in"), ()).await }
    };
    begin_by_key_of_what_is_not_loaded: Cold, 3, |w| {
        let s = s(w); async move { s.begin(&key("#rust"), &user("in"), ()).await }
    };
    run: Idle, 1, |w| {
        let session = w.session.clone();
        async move {
            let work = |turn: Turn| async move { turn.commit(&reply("done")).await.is_ok() };
            session.run(&user("in"), (), work).await.map(drop)
        }
    };
    run_that_is_awaited: Idle, 2, |w| {
        let session = w.session.clone();
        async move {
            let work = |turn: Turn| async move {
                turn.emit("a").unwrap();
                tokio::task::yield_now().await;
                turn.commit(&reply("done")).await.is_ok()
            };
            session.run(&user("in"), (), work).await.unwrap().await
        }
    };
    run_that_is_cancelled_when_dropped: Idle, 2, |w| {
        let session = w.session.clone();
        async move {
            let work = |turn: Turn| async move { ignore(turn.cancelled().await) };
            let cancels = session.clone();
            let running = session.run(&user("in"), (), work).await.unwrap().cancel_on_drop();
            cancels.cancel(running.stream());
            running.await
        }
    };
    commit: Busy, 1, |w| {
        let turn = w.turn();
        async move { turn.commit(Reply::from(&reply("done")).insert("mood", &2)).await.unwrap() }
    };
    commit_after_a_delete: Busy, 0, |w| {
        let turn = w.turn();
        let session = w.session.clone();
        async move {
            session.delete().await.unwrap();
            assert!(matches!(turn.commit(&reply("late")).await, Ok(CommitOutcome::Stale { .. })));
        }
    };
    fail_that_keeps_the_input: Busy, 1, |w| {
        let turn = w.turn(); async move { turn.fail(FailedInput::Keep).await }
    };
    fail_that_drops_the_input: Busy, 1, |w| {
        let turn = w.turn(); async move { turn.fail(FailedInput::Drop).await }
    };
    entries: Idle, 1, |w| { let session = w.session.clone(); async move { session.entries(0, 9).await } };
    transcript: Idle, 1, |w| { let session = w.session.clone(); async move { session.transcript().await } };
    record: Idle, 1, |w| { let session = w.session.clone(); async move { session.record().await } };
    get: Idle, 1, |w| {
        let session = w.session.clone(); async move { session.get::<String>("mood").await }
    };
    insert: Idle, 1, |w| { let session = w.session.clone(); async move { session.insert("late", &1).await } };
    remove: Idle, 1, |w| { let session = w.session.clone(); async move { session.remove("mood").await } };
    set_label: Idle, 1, |w| {
        let session = w.session.clone(); async move { session.set_label(Some("l")).await }
    };
    append: Busy, 1, |w| {
        let session = w.session.clone(); async move { session.append(&[reply("notice")]).await }
    };
    bind: Idle, 1, |w| {
        let (s, session) = (s(w), w.session.clone());
        async move { s.bind(&key("#new"), &session).await }
    };
    bind_of_what_is_not_loaded: Cold, 1, |w| {
        let s = s(w);
        async move {
            let session = s.open(&key("#rust")).await.unwrap();
            s.bind(&key("#new"), &session).await
        }
    };
    rebind: Busy, 1, |w| {
        let s = s(w);
        async move {
            let other = s.open(&key("#new")).await.unwrap();
            s.rebind(&key("#rust"), &other).await
        }
    };
    unbind: Busy, 1, |w| { let s = s(w); async move { s.unbind(&key("#rust")).await } };
    keys_of: Idle, 1, |w| {
        let (s, id) = (s(w), w.session.id().clone()); async move { s.keys_of(&id).await }
    };
    keys: Idle, 1, |w| { let session = w.session.clone(); async move { session.keys().await } };
    rotate: Busy, 1, |w| {
        let session = w.session.clone(); async move { session.rotate(None).await }
    };
    rotate_of_what_is_not_loaded: Cold, 1, |w| {
        let s = s(w);
        async move { s.open(&key("#rust")).await.unwrap().rotate(Some(id("mine"))).await }
    };
    subscription_next: Busy, 2, |w| {
        let mut reader = w.session.subscribe().unwrap();
        let turn = w.turn();
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            turn.emit("a").unwrap();
            tokio::task::yield_now().await;
            drop(turn);
        });
        async move { while reader.next().await.is_some() {} }
    };
    cancelled: Busy, 1, |w| {
        let session = w.session.clone();
        let turn = w.turn();
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            session.stop();
        });
        async move { turn.cancelled().await }
    };
}

// B6, B3, M3: woken with the slot, and dropped before it looks: it is passed on.
#[test]
fn a_begin_that_is_granted_the_slot_and_dropped_passes_it_on() {
    stage::everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let turn = session.begin(&user("go"), ()).await.unwrap();
        let queue = |text: &'static str| {
            let session = session.clone();
            Box::pin(async move { session.begin(&user(text), BusyPolicy::queue()).await })
        };
        let (mut first, mut second, mut third) = (queue("1"), queue("2"), queue("3"));
        for begin in [&mut first, &mut second, &mut third] {
            assert!(poll_once(begin).is_pending());
        }
        drop(turn);
        // Granted and told, not yet looked at.
        until("the first is granted", || session.status().turns.len() == 1).await;
        until("it has begun", || {
            session.status().turns.iter().all(|turn| turn.phase == TurnPhase::Running)
        })
        .await;
        drop(first);
        let second = second.await.unwrap();
        assert_eq!(session.status().queued, 1);
        // Who gives up while it waits leaves the queue at once, and is never begun.
        let mut fourth = queue("4");
        assert!(poll_once(&mut fourth).is_pending());
        assert_eq!(session.status().queued, 2);
        drop(fourth);
        assert_eq!(session.status().queued, 1);
        drop(second);
        let third = third.await.unwrap();
        assert!(matches!(third.commit(&reply("yes")).await, Ok(CommitOutcome::Committed { .. })));
        until("all ended", || {
            let counts = supervisor.counts();
            (counts.turns_begun, counts.turns_ended) == (4, 4)
        })
        .await;
        assert_clean(&supervisor).await;
    });
}

// H10, M3: what is dropped leaves a supervisor that admits nothing; calling it again finishes.
#[test]
fn shutdown() {
    for kind in Kind::ALL {
        for threads in [1, 2] {
            let dropped = stage::runtime(threads).block_on(drop_at_every_await(
                async || {
                    let world = World::new(kind, Setting::Busy).await;
                    world.end_when_told();
                    let s = world.supervisor.clone();
                    (world, async move { s.shutdown(Duration::from_millis(1)).await.unwrap() })
                },
                async |world, output| {
                    let World { supervisor, session, .. } = world;
                    assert!(supervisor.is_draining());
                    let error = session.begin(&user("in"), ()).await.unwrap_err();
                    assert!(matches!(error, BeginError::Draining { .. }), "{error}");
                    assert!(supervisor.open(&key("#other")).await.is_err());
                    let again = supervisor.shutdown(Duration::from_millis(1)).await.unwrap();
                    assert!(again.clean && output.is_none_or(|report| report.clean));
                    assert_clean(&supervisor).await;
                    let counts = supervisor.counts();
                    assert_eq!(counts.turns_begun, counts.turns_ended);
                    assert_eq!(counts.actors_started, counts.actors_ended);
                },
            ));
            assert!(dropped > 0, "{kind:?}: {dropped}");
        }
    }
}

// M3, G8, M4: a dropped start leaves no supervisor and no task; the next one settles the rest.
#[test]
fn start() {
    for kind in Kind::ALL {
        for threads in [1, 2] {
            let dropped = stage::runtime(threads).block_on(drop_at_every_await(
                async || {
                    let stage = Stage::new(kind).await;
                    let supervisor = stage.start().await;
                    for name in ["a", "b"] {
                        let session = supervisor.open(&key(name)).await.unwrap();
                        let turn = session.begin(&user("lost"), ()).await.unwrap();
                        Box::leak(Box::new(turn));
                    }
                    drop(supervisor);
                    let stage = stage.reopened().await;
                    let before = quiet_tasks().await;
                    let start = stage.builder().start();
                    ((stage, before), start)
                },
                async |(stage, before), output| {
                    drop(output.map(|started| started.unwrap()));
                    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
                    until("the tasks of a start end", || tasks() <= before).await;
                    let supervisor = stage.start().await;
                    let turn = supervisor.begin(&key("a"), &user("again"), ()).await.unwrap();
                    let committed = turn.commit(&reply("yes")).await.unwrap();
                    assert!(matches!(committed, CommitOutcome::Committed { seq: 3, .. }));
                    let b = supervisor.open(&key("b")).await.unwrap();
                    assert_eq!(b.transcript().await.unwrap().len(), 1);
                    assert_clean(&supervisor).await;
                    assert!(supervisor.shutdown(Duration::from_secs(5)).await.unwrap().clean);
                },
            ));
            println!("start: dropped {dropped} times on {kind:?}");
            assert!(dropped > 1 || kind == Kind::Memory, "{kind:?}: {dropped}");
        }
    }
}

/// How many tasks are alive once those of earlier supervisors have ended.
async fn quiet_tasks() -> usize {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    tasks()
}

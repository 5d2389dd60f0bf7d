//! What the library says of itself: one event a transition, numbers that balance, and a look inside.
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

#[path = "support/listen.rs"]
mod listen;
#[path = "support/stage.rs"]
mod stage;

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use listen::{Events, Numbers};
use session_supervisor::testing::{Fault, Gate, PausedClock, StoreCall};
use session_supervisor::{
    BeginError, BusyPolicy, Candidate, CommitOutcome, Config, CreateError, ExpiryRules,
    FailedInput, HookFuture, KeptHandle, Lookup, NewSession, OpenError, Parallel, PruneHook,
    ResumeAdvice, ResumeFailure, SessionError, Supervisor, Turn, TurnInput, TurnPhase, WorkPhase,
};
use stage::{
    Kind, Stage, assert_clean, everywhere, id, key, poll_once, reply, runtime, until, user,
};

const PARALLEL: BusyPolicy = BusyPolicy::Parallel(Parallel::FirstCommit);
const AT_ONCE: BusyPolicy = BusyPolicy::Interrupt { grace: Duration::ZERO, max: 16 };

/// Runs a scenario on one thread, and answers with the transitions that it told, as
/// `session stream: from -> to (reason)`, in order; streams by the number of their turn.
fn told(kind: Kind, scenario: impl AsyncFnOnce(&Stage, &Supervisor)) -> Vec<String> {
    let events = Events::default();
    events.during(|| {
        runtime(1).block_on(async {
            let stage = Stage::new(kind).await;
            let supervisor = stage.start().await;
            events.take();
            scenario(&stage, &supervisor).await;
            assert_clean(&supervisor).await;
        });
    });
    let line = |event: &std::collections::BTreeMap<String, String>| {
        let to = event.get("to")?;
        let from = event.get("from").unwrap_or_else(|| panic!("no `from`: {event:?}"));
        assert!(event.contains_key("session"), "no `session`: {event:?}");
        let turn = event.get("stream").map_or_else(String::new, |stream| {
            format!("turn {} ", stream.rsplit('-').next().unwrap())
        });
        let reason = event.get("reason").map_or_else(String::new, |reason| format!(" ({reason})"));
        Some(format!("{turn}{from} -> {to}{reason}"))
    };
    events.take().iter().filter_map(line).collect()
}

// L1, X7
#[test]
fn every_lease_is_told_when_it_begins_and_when_it_ends() {
    for kind in Kind::ALL {
        let lines = told(kind, async |_stage, supervisor| {
            let session = supervisor.open(&key("#rust")).await.unwrap();
            drop(session.lease("work", Duration::from_secs(60)).await.unwrap());
            session.lease_named("name", "work", Duration::from_millis(1)).await.unwrap();
            until("it is over", || supervisor.counts().leases_expired > 0).await;
            session.lease_named("name", "work", Duration::from_secs(60)).await.unwrap();
            session.delete().await.unwrap();
        });
        let of_leases: Vec<_> = lines.iter().filter(|line| line.contains("leased")).collect();
        let expected = [
            "free -> leased",
            "leased -> free (released)",
            "free -> leased",
            "leased -> free (expired)",
            "free -> leased",
            "leased -> free (dropped)",
        ];
        assert_eq!(of_leases, expected, "{kind:?}");
    }
}

// X15
#[test]
fn a_bound_under_which_nothing_leaves_by_itself_is_warned_of() {
    let warned = |change: fn(&mut Config)| {
        let events = Events::default();
        events.during(|| {
            runtime(1).block_on(async {
                let stage = Stage::new(Kind::Memory).await;
                let mut config = Config::default();
                change(&mut config);
                stage.builder().config(config).start().await.unwrap();
            });
        });
        let events = events.take();
        events.iter().any(|event| event.get("message").is_some_and(|it| it.contains("bounded")))
    };
    let stays = |config: &mut Config| {
        config.idle.max_live = 10;
        config.idle.unload_after = Duration::ZERO;
        config.expiry.idle = None;
    };
    assert!(warned(stays));
    assert!(!warned(|config| config.idle.max_live = 10));
    assert!(!warned(|config| {
        config.idle.max_live = 10;
        config.idle.unload_after = Duration::ZERO;
    }));
    assert!(!warned(|config| {
        config.idle.unload_after = Duration::ZERO;
        config.expiry.idle = None;
    }));
}

// L1
#[test]
fn every_transition_of_a_turn_is_told_once_with_its_session_and_stream() {
    for kind in Kind::ALL {
        let lines = told(kind, async |_stage, supervisor| {
            let session = supervisor.open(&key("#rust")).await.unwrap();
            let turn = session.begin(&user("in"), ()).await.unwrap();
            turn.commit(&reply("out")).await.unwrap().ignore();
            drop(session.begin(&user("in"), ()).await.unwrap());
            let turn = session.begin(&user("in"), BusyPolicy::queue()).await.unwrap();
            turn.fail(FailedInput::Drop).await.unwrap();
            let turn = session.begin(&user("in"), ()).await.unwrap();
            session.cancel(turn.stream());
            drop(turn);
            let turn = session.begin(&user("in"), BusyPolicy::queue()).await.unwrap();
            let next = session.begin(&user("in"), AT_ONCE).await.unwrap();
            drop(turn);
            session.delete().await.unwrap();
            drop(next);
        });
        let expected = [
            "unknown -> stored",
            "stored -> live",
            "turn 1 idle -> starting",
            "turn 1 starting -> running",
            "turn 1 running -> ended (committed)",
            "turn 2 idle -> starting",
            "turn 2 starting -> running",
            "turn 2 running -> ended (abandoned)",
            "turn 3 idle -> starting",
            "turn 3 starting -> running",
            "turn 3 running -> ended (failed)",
            "turn 4 idle -> starting",
            "turn 4 starting -> running",
            "turn 4 running -> cancelling (somebody stopped it)",
            "turn 4 cancelling -> ended (cancelled_stopped)",
            "turn 5 idle -> starting",
            "turn 5 starting -> running",
            "turn 5 running -> cancelling (a newer turn interrupted it)",
            "turn 5 cancelling -> fenced (a newer turn interrupted it)",
            "turn 5 cancelling -> ended (cancelled_preempted)",
            "turn 6 idle -> starting",
            "turn 6 starting -> running",
            "live -> closing",
            "turn 6 running -> fenced (its session was deleted)",
            "turn 6 cancelling -> ended (cancelled_deleted)",
            "closing -> gone (deleted)",
        ];
        let sorted = |lines: &[String]| {
            let mut lines = lines.to_vec();
            lines.sort();
            lines
        };
        let expected: Vec<_> = expected.map(str::to_owned).to_vec();
        // On a store that is awaited a turn may begin before the end of the one before is stored.
        assert_eq!(sorted(&lines), sorted(&expected), "{kind:?}: {lines:#?}");
        if kind == Kind::Memory {
            let of = |turn: &str| {
                let mine = lines.iter().filter(|line| line.starts_with(turn));
                mine.cloned().collect::<Vec<_>>()
            };
            for turn in ["turn 1", "turn 4", "turn 5", "turn 6"] {
                let in_order: Vec<_> =
                    expected.iter().filter(|line| line.starts_with(turn)).cloned().collect();
                assert_eq!(of(turn), in_order);
            }
        }
    }
}

/// For outcomes that do not matter here.
trait Ignore: Sized {
    fn ignore(self) {}
}

impl Ignore for CommitOutcome {}

// L1
#[test]
fn a_store_that_fails_and_the_session_that_is_given_up_for_it_are_told() {
    let lines = told(Kind::Memory, async |stage, supervisor| {
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let turn = session.begin(&user("in"), ()).await.unwrap();
        stage.faults.fail_next_of(StoreCall::Append, Fault::Unavailable);
        assert!(session.append(&[reply("notice")]).await.is_err());
        drop(turn);
        session.append(&[reply("notice")]).await.unwrap();
    });
    for line in [
        "turn 1 running -> fenced (the store failed)",
        "live -> left (store_failed)",
        "stored -> live",
    ] {
        assert!(lines.iter().any(|it| it == line), "{line} is missing: {lines:#?}");
    }
}

// L1, G10
#[test]
fn what_a_start_settles_is_told() {
    let events = Events::default();
    events.during(|| {
        runtime(1).block_on(async {
            let stage = Stage::new(Kind::Memory).await;
            let supervisor = stage.start().await;
            let session = supervisor.open(&key("#rust")).await.unwrap();
            let turn = session.begin(&user("in"), ()).await.unwrap();
            events.take();
            let _second = stage.start().await;
            let settled = events.take();
            let settled: Vec<_> = settled
                .iter()
                .filter(|it| it.get("to").is_some_and(|to| to == "interrupted"))
                .collect();
            assert_eq!(settled.len(), 1);
            assert_eq!(settled[0]["session"], session.id().to_string());
            assert_eq!(settled[0]["stream"], turn.stream().to_string());
            Box::leak(Box::new((turn, supervisor)));
        });
    });
}

// L2, F8
#[test]
fn an_input_that_waits_or_is_refused_leaves_a_line_that_names_the_holder() {
    let events = Events::default();
    events.during(|| {
        runtime(1).block_on(async {
            let stage = Stage::new(Kind::Memory).await;
            let supervisor = stage.start().await;
            let session = supervisor.open(&key("#rust")).await.unwrap();
            let turn = session.begin(&user("in"), ()).await.unwrap();
            events.take();
            assert!(session.begin(&user("secret"), ()).await.is_err());
            let waits = session.clone();
            let policy = BusyPolicy::queue();
            let mut begin = Box::pin(async move { waits.begin(&user("secret"), policy).await });
            assert!(poll_once(&mut begin).is_pending());
            let lines = events.take();
            let holder = turn.stream().to_string();
            let refused = lines.iter().find(|it| it.get("reason").is_some_and(|it| it == "busy"));
            assert!(refused.unwrap()["refusal"].contains(&holder), "{lines:?}");
            let waits = lines.iter().find(|it| it.contains_key("behind")).unwrap();
            assert_eq!(waits["behind"], holder);
            assert!(waits.contains_key("held_for") && waits.contains_key("session"));
            session.delete().await.unwrap();
            assert!(begin.await.is_err());
            let lines = events.take();
            let dropped =
                lines.iter().find(|it| it.get("reason").is_some_and(|it| it == "closing"));
            assert!(dropped.is_some(), "{lines:?}");
            // What people say is in no event.
            assert!(!format!("{lines:?}").contains("secret"));
        });
    });
}

/// The metrics that the table in the docs names.
fn in_the_table() -> BTreeSet<String> {
    let lines = include_str!("../src/metrics.rs").lines();
    let rows = lines.filter_map(|line| line.strip_prefix("//! | `"));
    let names: BTreeSet<_> =
        rows.map(|row| row.split(['`', '{']).next().unwrap().to_owned()).collect();
    assert!(names.len() > 20, "{names:?}");
    names
}

/// Something of everything that is counted.
async fn everything(stage: &Stage) -> Supervisor {
    let mut config = Config::default();
    config.tombstones.max_in_memory = 1;
    config.tombstones.keep_for = Duration::from_secs(60);
    config.turns.abort_after = Duration::ZERO;
    config.stalls.model = Duration::from_millis(1);
    config.stalls.check_every = Duration::from_millis(10);
    config.classes.entry("irc".to_owned()).or_default().max_turns = 100;
    config.prune.finalize_attempts = 1;
    let builder = stage.builder().config(config).clock(PausedClock::new()).prune_hook(NoRites);
    let supervisor = builder.start().await.unwrap();
    ends_by_itself(&supervisor).await;
    let session = supervisor.open(&key("#rust")).await.unwrap();
    let turn = session.begin(&user("in"), ()).await.unwrap();
    turn.emit("chunk").unwrap();
    turn.emit("chunk").unwrap();
    assert!(session.begin(&user("in"), ()).await.is_err());
    let waits = session.clone();
    let mut begin = Box::pin(async move { waits.begin(&user("in"), BusyPolicy::queue()).await });
    assert!(poll_once(&mut begin).is_pending());
    turn.commit(&reply("out")).await.unwrap().ignore();
    let waited = begin.await.unwrap();
    let (one, two) = (
        session.begin(TurnInput::none(), PARALLEL).await.unwrap(),
        session.begin(TurnInput::none(), PARALLEL).await.unwrap(),
    );
    one.commit(&reply("1")).await.unwrap().ignore();
    assert!(matches!(two.commit(&reply("2")).await, Ok(CommitOutcome::Superseded { .. })));
    assert_eq!(waited.keep_resume_handle("cli", "x").await.unwrap(), KeptHandle::Kept);
    let again = session.keep_resume_handle("cli", "x").await.unwrap();
    assert_eq!(again, KeptHandle::Kept);
    let handle = waited.attempt_resume("cli").await.unwrap().unwrap();
    let advice = waited.resume_failed(&handle, ResumeFailure::Gone).await.unwrap();
    assert_eq!(advice, ResumeAdvice::RetryFresh);
    let dead = session.keep_resume_handle("cli", "x").await.unwrap();
    assert_eq!(dead, KeptHandle::RefusedDead);
    let next = session.begin(&user("in"), AT_ONCE).await.unwrap();
    assert!(matches!(waited.commit(&reply("late")).await, Ok(CommitOutcome::Stale { .. })));
    stage.faults.fail_next_of(StoreCall::Append, Fault::Unavailable);
    assert!(session.append(&[reply("x")]).await.is_err());
    drop(next);
    session.append(&[reply("x")]).await.unwrap();
    let aborted = session.begin(&user("in"), ()).await.unwrap();
    session.cancel(aborted.stream());
    drop(aborted);
    let open = session.begin(&user("in"), ()).await.unwrap();
    drop(session.lease("work", Duration::from_secs(60)).await.unwrap());
    session.lease_named("name", "work", Duration::from_millis(1)).await.unwrap();
    for name in ["a", "b"] {
        let dead = supervisor.create_id(&id(name), NewSession::new()).await.unwrap();
        dead.lease_named("name", "work", Duration::from_secs(60)).await.unwrap();
        dead.delete().await.unwrap();
        assert!(matches!(supervisor.look_up(&id(name)).await.unwrap(), Lookup::Gone(_)));
    }
    until("it is stuck", || supervisor.counts().stalls > 0).await;
    until("a lease is over", || supervisor.counts().leases_expired > 0).await;
    Box::leak(Box::new(open));
    supervisor
}

/// Last rites that fail.
struct NoRites;

impl PruneHook for NoRites {
    fn keeps(&self, _session: Arc<Candidate>) -> HookFuture<bool> {
        Box::pin(ready(Ok(false)))
    }

    fn finalize(&self, _session: Arc<Candidate>) -> HookFuture<()> {
        Box::pin(ready(Err("no ink".into())))
    }
}

/// A session with two ids whose time is over, ended without its last rites.
async fn ends_by_itself(supervisor: &Supervisor) {
    const AGE: Duration = Duration::from_secs(60);
    let session = supervisor.open(&key("#short")).await.unwrap();
    session.rotate(None).await.unwrap();
    let mut rules = ExpiryRules::default();
    rules.age = Some(AGE);
    session.set_expiry(Some(rules)).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(AGE).await;
    tokio::time::resume();
    // By this pass, or by the one whose time has come as well.
    supervisor.prune(false).await.unwrap();
    assert_eq!(supervisor.counts().expired, 1);
}

// L5, K7, I5
#[test]
fn every_metric_in_the_table_is_emitted_and_no_other_and_they_balance() {
    for kind in Kind::ALL {
        let numbers = Numbers::default();
        metrics::with_local_recorder(&numbers, || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let stage = Stage::new(kind).await;
                let supervisor = everything(&stage).await;
                assert_clean(&supervisor).await;
                let emitted: BTreeSet<_> = numbers
                    .names()
                    .iter()
                    .map(|name| name.split('{').next().unwrap().to_owned())
                    .collect();
                let mut table = in_the_table();
                if kind == Kind::Memory {
                    // It answers at once, so no actor is needed.
                    table.retain(|name| !name.starts_with("session_actors"));
                }
                assert_eq!(emitted, table, "{kind:?}");

                let of = |name: &str| numbers.get(&format!("session_{name}"));
                let counts = supervisor.counts();
                let unsigned = |name: &str| u64::try_from(of(name)).unwrap();
                for (name, count) in [
                    ("created_total", counts.created),
                    ("loaded_total", counts.loaded),
                    ("unloaded_total", counts.unloaded),
                    ("deleted_total", counts.deleted),
                    ("expired_total", counts.expired),
                    ("rotated_total", counts.rotated),
                    ("gone_hits_total", counts.gone_hits),
                    ("turns_begun_total", counts.turns_begun),
                    ("turns_ended_total", counts.turns_ended),
                    ("commits_stale_total", counts.commits_stale),
                    ("turns_told_total", counts.turns_told),
                    ("turns_aborted_total", counts.turns_aborted),
                    ("turns_fenced_total", counts.turns_fenced),
                    ("stalls_total", counts.stalls),
                    ("begins_refused_total", counts.begins_refused),
                    ("begins_queued_total", counts.begins_queued),
                    ("begins_dequeued_total", counts.begins_dequeued),
                    ("store_failures_total", counts.store_failures),
                    ("actors_started_total", counts.actors_started),
                    ("actors_ended_total", counts.actors_ended),
                    ("tombstones_evicted_total", counts.tombstones_evicted),
                    ("leases_taken_total", counts.leases_taken),
                    ("leases_released_total", counts.leases_released),
                    ("leases_expired_total", counts.leases_expired),
                    ("leases_dropped_total", counts.leases_dropped),
                    ("loads_refused_total", counts.loads_refused),
                    ("resume_attempts_total", counts.resume_attempts),
                    ("resume_failures_total", counts.resume_failures),
                    ("resume_retries_total", counts.resume_retries),
                    ("resume_refused_total", counts.resume_refused),
                ] {
                    assert_eq!(unsigned(name), count, "{kind:?}: {name}");
                }
                assert_eq!(
                    of("loaded_total"),
                    of("live") + of("unloaded_total") + of("deleted_total")
                );
                let ended = of("leases_released_total")
                    + of("leases_expired_total")
                    + of("leases_dropped_total");
                assert_eq!((of("leases_taken_total"), ended, of("leases")), (4, 4, 0));
                assert_eq!(of("live_bytes"), i64::try_from(supervisor.loaded_bytes()).unwrap());
                assert_eq!(of("turns_begun_total"), of("turns_ended_total") + of("turns_open"));
                assert_eq!(
                    of("begins_queued_total"),
                    of("begins_dequeued_total") + of("queue_length")
                );
                assert_eq!(of("turn_seconds"), of("turns_ended_total"));
                assert_eq!(of("queue_wait_seconds"), of("begins_dequeued_total"));
                assert_eq!(
                    numbers.get("session_turns_ended_total{outcome=committed}"),
                    i64::try_from(counts.turns_committed).unwrap()
                );
                assert_eq!(of("chunks_total"), 2);
                assert_eq!(of("live"), i64::try_from(supervisor.loaded()).unwrap());
                assert_eq!(of("turns_open"), 1);
                assert_eq!(of("created_total"), 4);
                assert_eq!(of("expired_total"), 1);
                assert_eq!(of("deleted_total"), 2);
                assert_eq!(of("gone_hits_total"), 2);
                assert_eq!(
                    (of("unloaded_total"), of("live_max"), of("live_exceeded_total")),
                    (1, 0, 0)
                );
                assert_eq!(of("store_failures_total"), 1);
                assert_eq!(of("tombstones"), 1);
                assert_eq!(of("tombstones_evicted_total"), 1);
                let resume = ["attempts", "failures", "retries", "refused"];
                assert_eq!(resume.map(|name| of(&format!("resume_{name}_total"))), [1; 4]);
                let failed = "session_resume_failures_total{provider=cli}{class=gone}";
                assert_eq!(numbers.get(failed), 1);
                assert_eq!(of("begins_refused_total"), 1);
                assert_eq!(of("commits_stale_total"), 1);
                // The interrupt and the cancel told one each, and the work of one was aborted.
                assert_eq!((of("turns_told_total"), of("turns_aborted_total")), (2, 1));
                // Two by the interrupt and the store's failure.
                assert_eq!(of("turns_fenced_total"), 2);
            });
        });
    }
}

// L5: every begin that is answered with an error is counted, wherever it is refused.
#[test]
fn a_begin_is_counted_wherever_it_is_refused() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let refused = || supervisor.counts().begins_refused;
        stage.faults.fail_next_of(StoreCall::BoundTo, Fault::Unavailable);
        assert!(supervisor.begin(&key("#rust"), &user("in"), ()).await.is_err());
        assert_eq!(refused(), 1);
        let turn = supervisor.begin(&key("#rust"), &user("in"), ()).await.unwrap();
        assert!(supervisor.begin(&key("#rust"), &user("in"), ()).await.is_err());
        assert_eq!(refused(), 2);
        drop(turn);
        assert!(supervisor.shutdown(Duration::from_secs(5)).await.unwrap().clean);
        assert!(supervisor.begin(&key("#rust"), &user("in"), ()).await.is_err());
        assert_eq!(refused(), 3);
        assert!(supervisor.begin(&key("#new"), &user("in"), ()).await.is_err());
        assert_eq!(refused(), 4);
    });
}

// L5: every call that the store answers with an error is counted.
#[test]
fn a_failure_of_the_store_is_counted_whichever_call_it_was() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let turn = session.begin(&user("in"), ()).await.unwrap();
        let mut expected = 0;
        for call in [
            StoreCall::Entries,
            StoreCall::Datum,
            StoreCall::List,
            StoreCall::Check,
            StoreCall::BoundTo,
            StoreCall::Create,
            StoreCall::LookUp,
        ] {
            stage.faults.fail_next_of(call, Fault::Unavailable);
            let failed = match call {
                StoreCall::Entries => session.transcript().await.is_err(),
                StoreCall::Datum => session.get::<u8>("mood").await.is_err(),
                StoreCall::List => {
                    let all = session_supervisor::RecordFilter::default();
                    supervisor.list(all, None, 9).await.is_err()
                }
                StoreCall::Check => supervisor.check_store().await.is_err(),
                StoreCall::BoundTo => supervisor.open(&key("#new")).await.is_err(),
                StoreCall::Create => supervisor.create(NewSession::new()).await.is_err(),
                _ => supervisor.delete(&id("other")).await.is_err(),
            };
            assert!(failed, "{call:?}");
            expected += 1;
            assert_eq!(supervisor.counts().store_failures, expected, "{call:?}");
        }
        drop(turn);
        assert_clean(&supervisor).await;
    });
}

// L4, B14, B17
#[test]
fn an_inspection_says_what_is_happening_without_waiting_or_touching() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        assert!(supervisor.inspect(&id("nobody")).is_none());
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let gate = Gate::new();
        stage.faults.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
        let begins = session.clone();
        let mut begin = Box::pin(async move { begins.begin(&user("in"), ()).await });
        assert!(poll_once(&mut begin).is_pending());
        gate.wait_until_reached().await;
        let seen = supervisor.inspect(session.id()).unwrap();
        assert_eq!(seen.key.as_ref(), Some(&key("#rust")));
        assert_eq!(&seen.id, session.id());
        assert_eq!(seen.status.turns[0].phase, TurnPhase::Starting);
        assert_eq!(seen.status.unwritten, 1);
        gate.open();
        let turn: Turn = begin.await.unwrap();
        let waits = session.clone();
        let mut queued =
            Box::pin(async move { waits.begin(&user("in"), BusyPolicy::queue()).await });
        assert!(poll_once(&mut queued).is_pending());
        let before = session.status().last_active_at;
        let seen = supervisor.inspect(session.id()).unwrap().status;
        assert_eq!((seen.turns[0].phase, seen.queued), (TurnPhase::Running, 1));
        assert_eq!(seen.turns[0].stream, turn.stream());
        assert_eq!(seen.turns[0].work, WorkPhase::Model);
        turn.enter(WorkPhase::Human);
        let seen = supervisor.inspect(session.id()).unwrap().status;
        assert_eq!(
            (seen.turns[0].work, seen.turns[0].silent_for),
            (WorkPhase::Human, Duration::ZERO)
        );
        assert!(seen.is_busy());
        assert_eq!(seen.attachable(), Some(turn.stream()));
        session.cancel(turn.stream());
        let seen = supervisor.inspect(session.id()).unwrap().status;
        assert_eq!(seen.turns[0].phase, TurnPhase::Cancelling);
        assert!(seen.is_busy() && seen.attachable().is_none());
        assert_eq!(seen.last_active_at, before);
        drop(queued);
        drop(turn);
        until("it ends", || session.status().unwritten == 0).await;
        let seen = supervisor.inspect(session.id()).unwrap().status;
        assert!(!seen.is_busy() && !seen.closing && seen.gone.is_none());
        session.delete().await.unwrap();
        assert!(supervisor.inspect(session.id()).is_none());
        assert!(session.status().gone.is_some());
    });
}

// L7
#[test]
fn a_refusal_names_the_run_that_refused() {
    everywhere(|stage| async move {
        let supervisor = stage.start().await;
        let run = supervisor.instance();
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let turn = session.begin(&user("in"), ()).await.unwrap();
        let busy = session.begin(&user("in"), ()).await.unwrap_err();
        assert!(matches!(busy, BeginError::Busy { instance, .. } if instance == run), "{busy:?}");
        drop(turn);
        session.delete().await.unwrap();
        let gone = session.begin(&user("in"), ()).await.unwrap_err();
        assert!(matches!(gone, BeginError::Gone { instance, .. } if instance == run), "{gone:?}");
        let gone = session.insert("late", &1).await.unwrap_err();
        assert!(matches!(gone, SessionError::Gone { instance, .. } if instance == run), "{gone:?}");
        let unknown = supervisor.open_id(&id("nobody")).await.unwrap_err();
        let named = matches!(unknown, CreateError::Unknown { instance, .. } if instance == run);
        assert!(named, "{unknown:?}");
        let gone = supervisor.create_id(session.id(), NewSession::new()).await.unwrap_err();
        assert!(matches!(gone, CreateError::Gone { instance, .. } if instance == run), "{gone:?}");
        assert!(supervisor.shutdown(Duration::from_secs(5)).await.unwrap().clean);
        let draining = supervisor.open(&key("#new")).await.unwrap_err();
        assert!(matches!(draining, OpenError::Draining { instance } if instance == run));
    });
}

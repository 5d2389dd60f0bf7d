//! Session actors that stop while somebody wants something of their sessions: nobody waits for ever.
//!
//! A message to an actor that is just stopping can be accepted and never read; a call to it then never
//! returns. Nothing in the library calls an actor, so that it does not is to be seen on real threads only: with
//! a store that has to be awaited each session in use has an actor, which stops with every unload and every
//! delete. A little of it in `cargo test`; more with
//!
//! ```sh
//! STOPS=500000 cargo test --release --test stops -- --nocapture
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test"
)]

#[path = "support/stage.rs"]
mod stage;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use session_supervisor::{BeginError, BusyPolicy, Config, DeleteError, Session, Supervisor};
use stage::{Kind, Stage, assert_clean, key, reply, runtime, user};

/// How many callers there are: three to a session, wherever they come together.
const CALLERS: u64 = 9;

/// How many sessions there are, of which one may be loaded.
const SESSIONS: u64 = 6;

/// How long a caller stays with a session.
const STAY: u64 = 8;

/// When a call hangs. A runtime that is short of time answers late.
const HUNG_AFTER: Duration = Duration::from_secs(30);

/// What the callers share.
struct Race {
    supervisor: Supervisor,
    /// How many stops there are to be.
    stops: u64,
    /// How many calls were made.
    calls: AtomicU64,
    /// The longest call, in microseconds.
    worst: AtomicU64,
    /// How many never returned.
    hung: AtomicU64,
}

impl Race {
    /// Waits for a call; `None` if it hangs, which is told with what there is to know of its session.
    async fn call<T>(
        &self,
        what: &str,
        session: &Session,
        call: impl Future<Output = T>,
    ) -> Option<T> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let answer = tokio::time::timeout(HUNG_AFTER, call).await;
        let took = u64::try_from(started.elapsed().as_micros()).unwrap();
        self.worst.fetch_max(took, Ordering::Relaxed);
        if answer.is_err() {
            self.hung.fetch_add(1, Ordering::Relaxed);
            println!("{what} hangs: {:#?}", session.status());
            println!("{:#?}", self.supervisor.inspect(session.id()));
        }
        answer.ok()
    }

    /// Begins, changes and deletes until enough actors have stopped.
    async fn caller(&self, number: u64) {
        let mut round = number;
        while self.supervisor.counts().actors_ended < self.stops
            && self.hung.load(Ordering::Relaxed) == 0
        {
            round += 1;
            let place = (number % (CALLERS / 3) + round / STAY) % SESSIONS;
            let session = self.supervisor.open(&key(&format!("{place}"))).await.unwrap();
            match round % 8 {
                0 => {
                    let deleted: Option<Result<_, DeleteError>> =
                        self.call("a delete", &session, session.delete()).await;
                    assert!(!matches!(deleted, Some(Err(_))), "{deleted:?}");
                }
                1 => {
                    let value = self.call("a change", &session, session.insert("n", &round)).await;
                    drop(value);
                }
                _ => self.turn(&session, round).await,
            }
        }
    }

    /// A turn, committed or let go, or not begun.
    async fn turn(&self, session: &Session, round: u64) {
        let policy = if round.is_multiple_of(2) { BusyPolicy::Reject } else { BusyPolicy::queue() };
        let input = user("in");
        let begun = self.call("a begin", session, session.begin(&input, policy)).await;
        match begun {
            Some(Ok(turn)) if round.is_multiple_of(5) => drop(turn),
            Some(Ok(turn)) => {
                let out = reply("out");
                let outcome = self.call("a commit", session, turn.commit(&out)).await;
                assert!(!matches!(outcome, Some(Err(_))), "{outcome:?}");
            }
            Some(Err(
                BeginError::Busy { .. } | BeginError::Gone { .. } | BeginError::Closing { .. },
            ))
            | None => {}
            Some(Err(error)) => panic!("{error:?}"),
        }
    }
}

// M4, E2, B3
#[test]
fn nobody_waits_for_ever_for_a_session_whose_actor_stops() {
    let stops = std::env::var("STOPS").ok().and_then(|it| it.parse().ok()).unwrap_or(3_000);
    runtime(4).block_on(async {
        let stage = Stage::new(Kind::Pending).await;
        let mut config = Config::default();
        config.idle.max_live = 1;
        config.idle.check_every = Duration::from_millis(10);
        config.tombstones.max_in_memory = 10_000;
        let supervisor = stage.builder().config(config).start().await.unwrap();
        let race = Arc::new(Race {
            supervisor: supervisor.clone(),
            stops,
            calls: AtomicU64::new(0),
            worst: AtomicU64::new(0),
            hung: AtomicU64::new(0),
        });
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| {
                let race = race.clone();
                tokio::spawn(async move { race.caller(number).await })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        let counts = supervisor.counts();
        let hung = race.hung.load(Ordering::Relaxed);
        println!("actor_stops {} stops", counts.actors_ended);
        println!("unloads {} unloads", counts.unloaded);
        println!("deletes {} deletes", counts.deleted);
        println!("racing_calls {} calls", race.calls.load(Ordering::Relaxed));
        println!("hung_calls {hung} calls");
        println!("worst_call {} us", race.worst.load(Ordering::Relaxed));
        assert_eq!(hung, 0);
        assert!(counts.unloaded > stops / 20, "{counts:?}");
        assert!(counts.deleted > stops / 20, "{counts:?}");
        assert_clean(&supervisor).await;
        assert!(supervisor.shutdown(Duration::from_secs(10)).await.unwrap().clean);
    });
}

//! Handles of outside services: kept with the reply, gone when they are dead, and never a storm.

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

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_supervisor::store::Forget;
use session_supervisor::testing::{Fault, Gate, ManualClock, StoreCall, drop_at_every_await};
use session_supervisor::{
    BusyPolicy, CommitOutcome, Config, EntryError, FailedInput, KeptHandle, NewSession, Parallel,
    Reply, ResumeAdvice, ResumeFailure, ResumeHandle, Session, SessionError, Store, StoreError,
    Supervisor, Turn,
};
use support::{commit, committed, everywhere, in_paused_time, key, poll_once, quiet, says, user};

const HOUR: Duration = Duration::from_secs(3_600);
const BESIDE: BusyPolicy = BusyPolicy::Parallel(Parallel::Branch);

/// The value of the handle `cli`.
async fn value(session: &Session) -> Option<String> {
    let handle = session.resume_handle("cli").await.unwrap();
    handle.map(|handle| handle.value().to_owned())
}

/// Keeps `value` as the handle `cli`.
async fn keep(session: &Session, value: &str) -> KeptHandle {
    session.keep_resume_handle("cli", value).await.unwrap()
}

/// Whether the store has anything of `cli` under the session.
async fn is_stored(store: &dyn Store, session: &Session) -> bool {
    let life = session.record().await.unwrap().incarnation;
    store.resume(session.id(), life, "cli").await.unwrap().handle.is_some()
}

/// Says that the service says that `handle` is gone.
async fn is_dead(session: &Session, handle: &ResumeHandle) -> bool {
    let advice = session.resume_failed(handle, ResumeFailure::Gone).await.unwrap();
    advice == ResumeAdvice::RetryFresh
}

/// An agent's command line that keeps conversations: what it is called with, and what it knows.
#[derive(Default)]
struct Agent {
    calls: AtomicUsize,
    /// How a call with a handle fails; without one it works.
    fails: Option<ResumeFailure>,
    /// Whether the dead id is what it prints when it fails, and when it starts afresh.
    echoes: bool,
    /// What its own names begin with.
    name: String,
}

impl Agent {
    /// Answers with the name of the conversation, or fails with what it printed.
    async fn call(&self, resume: Option<&str>) -> Result<String, (ResumeFailure, Option<String>)> {
        tokio::task::yield_now().await;
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        match (resume, self.fails) {
            (Some(id), Some(class)) => Err((class, self.echoes.then(|| id.to_owned()))),
            (Some(id), None) => Ok(id.to_owned()),
            (None, _) => Ok(format!("{}fresh after {call}", self.name)),
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// One turn of a bot: keeps whatever name the agent prints, also when it fails. Whether it was answered.
async fn converse(session: &Session, agent: &Agent) -> bool {
    let turn = session.begin(&user("hi"), BESIDE).await.unwrap();
    loop {
        let handle = turn.attempt_resume("cli").await.unwrap();
        match (agent.call(handle.as_ref().map(ResumeHandle::value)).await, handle) {
            (Ok(id), _) => {
                assert_eq!(turn.keep_resume_handle("cli", &id).await.unwrap(), KeptHandle::Kept);
                committed(turn, "hello").await;
                return true;
            }
            (Err((class, echo)), handle) => {
                let advice = match &handle {
                    Some(handle) => turn.resume_failed(handle, class).await.unwrap(),
                    None => ResumeAdvice::GiveUp,
                };
                if let Some(id) = echo {
                    let kept = turn.keep_resume_handle("cli", &id).await.unwrap();
                    assert_eq!(kept == KeptHandle::RefusedDead, class.is_gone());
                }
                if advice == ResumeAdvice::GiveUp {
                    // An apology is a reply, too.
                    committed(turn, "something went wrong").await;
                    return false;
                }
            }
        }
    }
}

everywhere! {
    // I2, F28: calls = 2, handle cleared; visibly
    async fn a_dead_handle_costs_one_retry_and_is_replaced(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "dead").await, KeptHandle::Kept);
        let fails = Some(ResumeFailure::Gone);
        let agent = Agent { fails, ..Agent::default() };
        assert!(converse(&session, &agent).await);
        assert_eq!(agent.calls(), 2);
        assert_eq!(value(&session).await.unwrap(), "fresh after 2");
        let counts = supervisor.counts();
        assert_eq!((counts.resume_attempts, counts.resume_failures), (1, 1));
        assert_eq!((counts.resume_retries, counts.resume_refused), (1, 0));
        quiet(&supervisor, &session).await;
    }

    // I2: other errors: no retry, handle kept
    async fn any_other_failure_keeps_the_handle_and_is_not_retried(stage) {
        for class in ResumeFailure::ALL.into_iter().filter(|class| !class.is_gone()) {
            let (supervisor, _) = stage.session().await;
            let session = supervisor.open(&key(class.as_str())).await.unwrap();
            assert_eq!(keep(&session, "good").await, KeptHandle::Kept);
            let agent = Agent { fails: Some(class), echoes: true, ..Agent::default() };
            assert!(!converse(&session, &agent).await);
            assert_eq!((agent.calls(), value(&session).await.as_deref()), (1, Some("good")));
            let counts = supervisor.counts();
            assert_eq!((counts.resume_failures, counts.resume_retries), (1, 0), "{class}");
        }
    }

    // I3, F28: the error's output contains the old id
    async fn what_a_failed_run_echoes_is_not_stored_again(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "dead").await, KeptHandle::Kept);
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        let handle = turn.attempt_resume("cli").await.unwrap().unwrap();
        let advice = turn.resume_failed(&handle, ResumeFailure::Gone).await.unwrap();
        assert_eq!(advice, ResumeAdvice::RetryFresh);
        assert_eq!(value(&session).await, None);
        // Said in time, with the reply, by another, and by who did not notice.
        assert_eq!(turn.keep_resume_handle("cli", "dead").await.unwrap(), KeptHandle::RefusedDead);
        assert_eq!(keep(&session, "dead").await, KeptHandle::RefusedDead);
        let reply = says("sorry");
        let outcome = turn.commit(Reply::from(&reply).resume_handle("cli", "dead")).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
        assert_eq!(value(&session).await, None);
        assert_eq!(supervisor.counts().resume_refused, 3);
        // The next turns begin afresh, and keep what they get.
        let agent = Agent::default();
        assert!(converse(&session, &agent).await && converse(&session, &agent).await);
        assert_eq!(value(&session).await.unwrap(), "fresh after 1");
        // A refusal outlives the process.
        let session_id = session.id().clone();
        drop((session, supervisor));
        let stage = stage.reopened().await;
        let supervisor = stage.start().await;
        let session = supervisor.look_up(&session_id).await.unwrap().live().unwrap();
        assert_eq!(keep(&session, "dead").await, KeptHandle::RefusedDead);
        assert_eq!(value(&session).await.unwrap(), "fresh after 1");
    }

    // I3: what was staged before the failure is not stored by the commit after it
    async fn what_a_turn_was_to_keep_is_dropped_when_it_turns_out_dead(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        assert_eq!(turn.keep_resume_handle("cli", "new").await.unwrap(), KeptHandle::Kept);
        assert_eq!(turn.keep_resume_handle("api", "other").await.unwrap(), KeptHandle::Kept);
        assert_eq!(keep(&session, "new").await, KeptHandle::Kept);
        let handle = session.resume_handle("cli").await.unwrap().unwrap();
        let other = session.begin(&user("hi"), BESIDE).await.unwrap();
        let advice = other.resume_failed(&handle, ResumeFailure::Gone).await.unwrap();
        assert_eq!(advice, ResumeAdvice::RetryFresh);
        committed(turn, "hello").await;
        assert_eq!(value(&session).await, None);
        assert!(session.resume_handle("api").await.unwrap().is_some());
        drop(other);
        quiet(&supervisor, &session).await;
    }

    // I1: with the commit, and only if it lands
    async fn a_handle_is_stored_with_the_reply_or_not_at_all(stage) {
        let (supervisor, session) = stage.session().await;
        let failed = session.begin(&user("1"), ()).await.unwrap();
        assert_eq!(failed.keep_resume_handle("cli", "a").await.unwrap(), KeptHandle::Kept);
        failed.fail(FailedInput::Keep).await.unwrap();
        let dropped = session.begin(&user("2"), ()).await.unwrap();
        assert_eq!(dropped.keep_resume_handle("cli", "b").await.unwrap(), KeptHandle::Kept);
        drop(dropped);
        let told = session.begin(&user("3"), ()).await.unwrap();
        assert_eq!(told.keep_resume_handle("cli", "c").await.unwrap(), KeptHandle::Kept);
        session.stop();
        assert!(matches!(commit(told, "late").await, CommitOutcome::Stale { .. }));
        quiet(&supervisor, &session).await;
        assert_eq!(value(&session).await, None);

        let turn = session.begin(&user("4"), ()).await.unwrap();
        assert_eq!(turn.keep_resume_handle("cli", "d").await.unwrap(), KeptHandle::Kept);
        assert_eq!(value(&session).await, None, "not before the commit");
        stage.store.reset_calls();
        committed(turn, "hello").await;
        assert_eq!(value(&session).await.unwrap(), "d");
        assert_eq!(stage.store.writes(), 1, "one transaction");
        // The last one counts, and the reply's own is the last.
        let turn = session.begin(&user("5"), ()).await.unwrap();
        for early in ["e", "f"] {
            assert_eq!(turn.keep_resume_handle("cli", early).await.unwrap(), KeptHandle::Kept);
        }
        let reply = says("hello");
        let reply = Reply::from(&reply).resume_handle("cli", "g").resume_handle("api", "h");
        turn.commit(reply).await.map(drop).unwrap();
        assert_eq!(value(&session).await.unwrap(), "g");
        assert_eq!(session.resume_handle("api").await.unwrap().unwrap().value(), "h");
    }

    // I1: a commit of the turn that used it says that it works
    async fn a_turn_that_commits_has_used_its_handle_with_success(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "good").await, KeptHandle::Kept);
        let attempts = async || session.resume_handle("cli").await.unwrap().unwrap().attempts();
        for expected in [1, 2] {
            let turn = session.begin(&user("hi"), ()).await.unwrap();
            let handle = turn.attempt_resume("cli").await.unwrap().unwrap();
            assert_eq!(handle.attempts(), expected, "counted before it is made");
            assert_eq!(attempts().await, expected);
            turn.fail(FailedInput::Keep).await.unwrap();
        }
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        assert_eq!(turn.attempt_resume("cli").await.unwrap().unwrap().attempts(), 3);
        committed(turn, "hello").await;
        assert_eq!(attempts().await, 0);
        // But not if it failed and the turn commits an apology.
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        let handle = turn.attempt_resume("cli").await.unwrap().unwrap();
        let advice = turn.resume_failed(&handle, ResumeFailure::Rejected).await.unwrap();
        assert_eq!(advice, ResumeAdvice::GiveUp);
        committed(turn, "sorry").await;
        assert_eq!(attempts().await, 1);
        // Nor does it take the place of a newer one.
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        assert!(turn.attempt_resume("cli").await.unwrap().is_some());
        assert_eq!(keep(&session, "newer").await, KeptHandle::Kept);
        committed(turn, "hello").await;
        assert_eq!(value(&session).await.unwrap(), "newer");
        quiet(&supervisor, &session).await;
    }

    // I2, F28: a handle that fails and fails, unrecognised, is no storm for ever
    async fn a_handle_that_fails_too_often_in_a_row_is_dropped(stage) {
        let supervisor = stage.start_with(|config| config.resume.max_attempts = 3).await;
        let session = supervisor.open(&key("#rust")).await.unwrap();
        assert_eq!(keep(&session, "odd").await, KeptHandle::Kept);
        let fails = Some(ResumeFailure::Other);
        let agent = Agent { fails, echoes: false, ..Agent::default() };
        for turn in 1..=3 {
            assert!(!converse(&session, &agent).await);
            assert_eq!(agent.calls(), turn);
        }
        assert!(converse(&session, &agent).await, "the fourth goes without");
        assert_eq!(value(&session).await.unwrap(), "fresh after 4");
        // What says nothing about the handle does not count against it.
        let down = Agent { fails: Some(ResumeFailure::Unavailable), ..Agent::default() };
        for _ in 0..9 {
            assert!(!converse(&session, &down).await);
        }
        assert_eq!(value(&session).await.unwrap(), "fresh after 4");
        quiet(&supervisor, &session).await;
    }

    // I2: a crash in the service's call is seen
    async fn attempts_that_never_end_are_seen_by_the_next_process(stage) {
        let (supervisor, session) = stage.session().await;
        let session_id = session.id().clone();
        assert_eq!(keep(&session, "bad").await, KeptHandle::Kept);
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        assert_eq!(turn.attempt_resume("cli").await.unwrap().unwrap().attempts(), 1);
        Box::leak(Box::new(turn));
        drop((session, supervisor));
        let stage = stage.reopened().await;
        let supervisor = stage.start().await;
        let session = supervisor.look_up(&session_id).await.unwrap().live().unwrap();
        assert_eq!(session.resume_handle("cli").await.unwrap().unwrap().attempts(), 1);
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        assert_eq!(turn.attempt_resume("cli").await.unwrap().unwrap().attempts(), 2);
    }

    // I2: an answer that is not there is no permission
    async fn an_attempt_that_cannot_be_counted_is_not_made(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "good").await, KeptHandle::Kept);
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        stage.store.fail_next_of(StoreCall::Resume, Fault::Unavailable);
        let refused = turn.attempt_resume("cli").await;
        assert!(matches!(refused, Err(SessionError::Store { .. })), "{refused:?}");
        drop(turn);
        quiet(&supervisor, &session).await;
        assert_eq!(session.resume_handle("cli").await.unwrap().unwrap().attempts(), 0);
    }

    // I2: whoever reports late hits nobody newer
    async fn a_failure_that_comes_late_does_not_hit_a_newer_handle(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "old").await, KeptHandle::Kept);
        let slow = session.begin(&user("slow"), BESIDE).await.unwrap();
        let quick = session.begin(&user("quick"), BESIDE).await.unwrap();
        let old = slow.attempt_resume("cli").await.unwrap().unwrap();
        assert_eq!(quick.keep_resume_handle("cli", "new").await.unwrap(), KeptHandle::Kept);
        committed(quick, "hello").await;
        let advice = slow.resume_failed(&old, ResumeFailure::Gone).await.unwrap();
        assert_eq!(advice, ResumeAdvice::RetryFresh);
        session.forget_resume_handle(&old).await.unwrap();
        assert_eq!(value(&session).await.unwrap(), "new");
        // Its one retry finds the newer one.
        let newer = slow.attempt_resume("cli").await.unwrap().unwrap();
        assert_eq!(newer.value(), "new");
        let advice = slow.resume_failed(&newer, ResumeFailure::Gone).await.unwrap();
        assert_eq!(advice, ResumeAdvice::GiveUp, "one retry in a turn");
        assert_eq!(value(&session).await, None);
        drop(slow);
        quiet(&supervisor, &session).await;
    }

    // I2: a turn that was told to end does not begin again
    async fn a_turn_that_was_told_to_end_is_not_told_to_retry(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "dead").await, KeptHandle::Kept);
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        let handle = turn.attempt_resume("cli").await.unwrap().unwrap();
        session.stop();
        let advice = turn.resume_failed(&handle, ResumeFailure::Gone).await.unwrap();
        assert_eq!((advice, value(&session).await), (ResumeAdvice::GiveUp, None));
        assert_eq!(supervisor.counts().resume_retries, 0);
        drop(turn);
        quiet(&supervisor, &session).await;
    }

    // I2, I3: while the commit that keeps it is with the store
    async fn a_handle_that_dies_while_it_is_being_stored_is_not_there_afterwards(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
        let handle = session.resume_handle("cli").await.unwrap().unwrap();
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        assert_eq!(turn.keep_resume_handle("cli", "x").await.unwrap(), KeptHandle::Kept);
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Commit, Fault::HeldBefore(gate.clone()));
        let commits = tokio::spawn(commit(turn, "hello"));
        gate.wait_until_reached().await;
        let (other, dead) = (session.clone(), handle.clone());
        let mut fails: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(async move { other.resume_failed(&dead, ResumeFailure::Gone).await });
        assert!(poll_once(&mut fails).is_pending(), "it is behind the commit");
        gate.open();
        assert!(matches!(commits.await.unwrap(), CommitOutcome::Committed { .. }));
        assert_eq!(fails.await.unwrap(), ResumeAdvice::RetryFresh);
        assert_eq!(value(&session).await, None);
        assert_eq!(keep(&session, "x").await, KeptHandle::RefusedDead);
        quiet(&supervisor, &session).await;
    }

    // I2, I3: and the other way round: refused between the question and the commit
    async fn a_handle_that_dies_before_its_commit_is_left_out_of_it(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
        let handle = session.resume_handle("cli").await.unwrap().unwrap();
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Resume, Fault::HeldBefore(gate.clone()));
        let other = session.clone();
        let dead = handle.clone();
        let fails = async move { other.resume_failed(&dead, ResumeFailure::Gone).await };
        let fails = tokio::spawn(fails);
        gate.wait_until_reached().await;
        assert_eq!(turn.keep_resume_handle("cli", "x").await.unwrap(), KeptHandle::Kept);
        let mut commits = Box::pin(commit(turn, "hello"));
        assert!(poll_once(&mut commits).is_pending(), "it is behind the refusal");
        gate.open();
        assert!(matches!(commits.await, CommitOutcome::Committed { .. }));
        assert_eq!(fails.await.unwrap().unwrap(), ResumeAdvice::RetryFresh);
        assert_eq!(value(&session).await, None);
        quiet(&supervisor, &session).await;
    }

    // I2: what is handed out is what was counted
    async fn an_attempt_whose_handle_is_replaced_meanwhile_is_made_with_the_new_one(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "old").await, KeptHandle::Kept);
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::ReadResume, Fault::HeldAfter(gate.clone()));
        let other = session.clone();
        let attempt = tokio::spawn(async move { other.attempt_resume("cli").await });
        gate.wait_until_reached().await;
        assert_eq!(keep(&session, "new").await, KeptHandle::Kept);
        gate.open();
        let handle = attempt.await.unwrap().unwrap().unwrap();
        assert_eq!((handle.value(), handle.attempts()), ("new", 1));
        quiet(&supervisor, &session).await;
    }

    // I1, I2: many turns at once on one dead handle
    async fn however_many_turns_find_it_dead_each_retries_once(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "dead").await, KeptHandle::Kept);
        let fails = Some(ResumeFailure::Gone);
        let agent = |n| Agent { fails, echoes: true, name: format!("{n} "), ..Agent::default() };
        let agents: Vec<_> = (0..8).map(|n| Arc::new(agent(n))).collect();
        let turns: Vec<_> = agents
            .iter()
            .map(|agent| {
                let (session, agent) = (session.clone(), agent.clone());
                tokio::spawn(async move { converse(&session, &agent).await })
            })
            .collect();
        for turn in turns {
            assert!(turn.await.is_ok());
        }
        for agent in &agents {
            assert!(agent.calls() <= 2, "{} calls", agent.calls());
        }
        assert_ne!(value(&session).await.as_deref(), Some("dead"));
        quiet(&supervisor, &session).await;
        assert_eq!(supervisor.check_store().await.unwrap(), Vec::<String>::new());
    }

    // I1: a delete takes them, a later life and a reset have none
    async fn a_handle_goes_with_its_session(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
        let handle = session.resume_handle("cli").await.unwrap().unwrap();
        let fresh = supervisor.reset(&key("#rust"), NewSession::new()).await.unwrap().session;
        assert_eq!(value(&fresh).await, None);
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        session.delete().await.unwrap();
        let read = session.resume_handle("cli").await;
        assert!(matches!(read, Err(SessionError::Gone { .. })), "{read:?}");
        let kept = session.keep_resume_handle("cli", "x").await;
        assert!(matches!(kept, Err(SessionError::Gone { .. })), "{kept:?}");
        let failed = turn.resume_failed(&handle, ResumeFailure::Gone).await;
        assert!(matches!(failed, Err(SessionError::Gone { .. })), "{failed:?}");
        let attempt = turn.attempt_resume("cli").await;
        assert!(matches!(attempt, Err(SessionError::Gone { .. })), "{attempt:?}");
        drop(turn);
        assert_eq!(supervisor.check_store().await.unwrap(), Vec::<String>::new());
    }

    // I1: a row that cannot be read costs a conversation at the service, and not this one
    async fn a_handle_that_cannot_be_read_is_none(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
        let damaged = || Fault::Refused(StoreError::Damaged { what: "`resume` row".to_owned() });
        stage.store.fail_next_of(StoreCall::ReadResume, damaged());
        assert_eq!(value(&session).await, None);
        assert_eq!(supervisor.counts().store_failures, 1);
        stage.store.fail_next_of(StoreCall::ReadResume, Fault::Unavailable);
        let failed = session.resume_handle("cli").await;
        assert!(matches!(failed, Err(SessionError::Store { .. })), "{failed:?}");
        assert_eq!(value(&session).await.unwrap(), "x");
    }

    // I1
    async fn what_is_no_name_or_no_handle_is_refused(stage) {
        let (_, session) = stage.session_with(|config| config.resume.max_value_bytes = 4).await;
        let wrong = |error: SessionError| {
            matches!(error, SessionError::Content { source: EntryError::Name { .. }, .. })
        };
        let long = "x".repeat(300);
        for (provider, value) in [("", "x"), (&long[..], "x"), ("cli", ""), ("cli", "12345")] {
            assert!(session.keep_resume_handle(provider, value).await.is_err_and(wrong));
        }
        for provider in ["", &long] {
            assert!(session.resume_handle(provider).await.is_err_and(wrong));
            assert!(session.attempt_resume(provider).await.is_err_and(wrong));
        }
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        let reply = says("hello");
        let refused = turn.commit(Reply::from(&reply).resume_handle("cli", "12345")).await;
        let Err(session_supervisor::CommitError::Reply { turn, .. }) = refused else {
            panic!("{refused:?}")
        };
        committed(*turn, "hello").await;
        assert_eq!(keep(&session, "1234").await, KeptHandle::Kept);
        assert_eq!(value(&session).await.unwrap(), "1234");
        let handle = session.resume_handle("cli").await.unwrap().unwrap();
        assert!(!format!("{handle:?}").contains("1234"), "{handle:?}");
    }

    // I1, M3: each step is done or not, and the session goes on
    async fn whichever_await_is_dropped_the_step_is_done_or_not(stage) {
        let supervisor = stage.start().await;
        let rounds = AtomicUsize::new(0);
        for step in ["attempt", "fail", "keep", "commit"] {
            let make = async || {
                let round = rounds.fetch_add(1, Ordering::SeqCst);
                let session = supervisor.open(&key(&format!("{step}{round}"))).await.unwrap();
                assert_eq!(keep(&session, "old").await, KeptHandle::Kept);
                let handle = session.resume_handle("cli").await.unwrap().unwrap();
                let turn = session.begin(&user("hi"), ()).await.unwrap();
                (session, step_of(step, turn, handle))
            };
            let check = async |session: Session, output: Option<()>| {
                quiet(&supervisor, &session).await;
                let handle = session.resume_handle("cli").await.unwrap();
                let now = handle.as_ref().map(|it| (it.value(), it.attempts()));
                let done = match step {
                    "attempt" => Some(("old", 1)),
                    "fail" => None,
                    _ => Some(("new", 0)),
                };
                assert!(now == done || output.is_none() && now == Some(("old", 0)), "{step} {now:?}");
                assert_eq!(session.status().turns.len(), 0);
                assert!(converse(&session, &Agent::default()).await);
                assert_eq!(session.resume_handle("cli").await.unwrap().unwrap().attempts(), 0);
            };
            drop_at_every_await(make, check).await;
        }
    }

    // I1: 1 h: there. 25 h: None, and the row is gone. Over restarts.
    async fn a_handle_lasts_for_its_time_after_its_last_use(stage) {
        let clock = ManualClock::new();
        let supervisor = start_at(&stage, &clock, |_| {}).await;
        let session = supervisor.open(&key("#rust")).await.unwrap();
        let session_id = session.id().clone();
        assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
        let stored = session.resume_handle("cli").await.unwrap().unwrap();
        clock.advance(HOUR);
        assert_eq!(value(&session).await.unwrap(), "x");
        clock.advance(22 * HOUR);
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        assert_eq!(turn.attempt_resume("cli").await.unwrap().unwrap().value(), "x");
        committed(turn, "hello").await;
        clock.advance(23 * HOUR);
        let used = session.resume_handle("cli").await.unwrap().unwrap();
        assert_eq!(used.stored_at(), stored.stored_at());
        assert_eq!(used.last_used_at().since(stored.last_used_at()), 23 * HOUR);
        drop((session, supervisor));

        // The start sweeps, so it is made one hour too early for that.
        let stage = stage.reopened().await;
        let supervisor = start_at(&stage, &clock, |_| {}).await;
        assert_eq!(supervisor.recovery().resume_handles_swept, 0);
        let session = supervisor.look_up(&session_id).await.unwrap().live().unwrap();
        assert_eq!(value(&session).await.unwrap(), "x");
        clock.advance(2 * HOUR);
        assert!(is_stored(&stage.store, &session).await);
        assert_eq!(value(&session).await, None);
        assert!(!is_stored(&stage.store, &session).await, "the row is gone");
        assert_eq!(session.attempt_resume("cli").await.unwrap(), None);
        // It has expired and is not dead: it may be kept again.
        assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
        assert_eq!(value(&session).await.unwrap(), "x");
    }

    // I4
    async fn a_start_sweeps_what_has_expired_and_says_how_many(stage) {
        let clock = ManualClock::new();
        let supervisor = start_at(&stage, &clock, |_| {}).await;
        for (name, hours) in [("a", 3), ("b", 20), ("c", 2)] {
            let session = supervisor.open(&key(name)).await.unwrap();
            assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
            let handle = session.resume_handle("cli").await.unwrap().unwrap();
            let kept = session.keep_resume_handle("api", name).await.unwrap();
            assert_eq!(kept, KeptHandle::Kept);
            if name == "a" {
                assert!(is_dead(&session, &handle).await);
            }
            clock.advance(hours * HOUR);
        }
        drop(supervisor);
        let stage = stage.reopened().await;
        let supervisor = start_at(&stage, &clock, |config| config.resume.max_age = Duration::ZERO).await;
        assert_eq!(supervisor.recovery().resume_handles_swept, 0, "0 is for ever");
        drop(supervisor);
        let stage = stage.reopened().await;
        let supervisor = start_at(&stage, &clock, |_| {}).await;
        // Of a one, since the other was gone, and two of b, a good hour later than the last of c.
        assert_eq!(supervisor.recovery().resume_handles_swept, 1);
        clock.advance(HOUR);
        drop(supervisor);
        let stage = stage.reopened().await;
        stage.store.fail_next_of(StoreCall::ForgetResumeHandles, Fault::Unavailable);
        let supervisor = start_at(&stage, &clock, |_| {}).await;
        assert_eq!(supervisor.recovery().resume_handles_swept, 0, "a sweep that fails costs no start");
        assert_eq!(supervisor.counts().store_failures, 1);
        drop(supervisor);
        let stage = stage.reopened().await;
        clock.advance(24 * HOUR);
        let supervisor = start_at(&stage, &clock, |_| {}).await;
        assert_eq!(supervisor.recovery().resume_handles_swept, 4);
        for name in ["a", "b", "c"] {
            let session = supervisor.open(&key(name)).await.unwrap();
            assert!(!is_stored(&stage.store, &session).await);
        }
        let rest = stage.store.forget(Forget::RefusedHandles(supervisor.now()), 9).await.unwrap();
        assert_eq!(rest, 0, "the refusal went with the sweep");
    }

    // I1: a wall clock that jumps back makes nothing last for ever, and nothing fail
    async fn a_wall_clock_that_is_set_back_makes_no_handle_immortal(stage) {
        for (back, there_at_once) in [(12, true), (30 * 24, false)] {
            let clock = ManualClock::new();
            let started = session_supervisor::Clock::now(&clock).wall;
            let supervisor = start_at(&stage, &clock, |_| {}).await;
            let session = supervisor.open(&key(&format!("{back}"))).await.unwrap();
            assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
            clock.set_wall(started.minus(back * HOUR));
            assert_eq!(value(&session).await.is_some(), there_at_once, "{back}");
            clock.advance(23 * HOUR);
            assert_eq!(value(&session).await.is_some(), there_at_once, "{back}");
            clock.advance(13 * HOUR);
            assert_eq!(value(&session).await, None, "{back}");
            assert!(!is_stored(&stage.store, &session).await);
            assert_eq!(keep(&session, "y").await, KeptHandle::Kept);
            assert_eq!(value(&session).await.unwrap(), "y");
        }
    }

    // I1: who finds it expired does not drop what has been used since
    async fn a_handle_that_is_used_while_it_is_found_expired_stays(stage) {
        let clock = ManualClock::new();
        let supervisor = start_at(&stage, &clock, |_| {}).await;
        let session = supervisor.open(&key("#rust")).await.unwrap();
        assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
        clock.advance(25 * HOUR);
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Resume, Fault::HeldBefore(gate.clone()));
        let other = session.clone();
        let finds = tokio::spawn(async move { value(&other).await });
        gate.wait_until_reached().await;
        assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
        gate.open();
        assert_eq!(finds.await.unwrap(), None);
        assert_eq!(value(&session).await.unwrap(), "x");
        quiet(&supervisor, &session).await;
    }

    // I1: and if it cannot be dropped, that costs no turn
    async fn an_expired_handle_that_cannot_be_dropped_is_none_all_the_same(stage) {
        let clock = ManualClock::new();
        let supervisor = start_at(&stage, &clock, |_| {}).await;
        let session = supervisor.open(&key("#rust")).await.unwrap();
        assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        clock.advance(25 * HOUR);
        stage.store.fail_next_of(StoreCall::Resume, Fault::Unavailable);
        assert_eq!(turn.attempt_resume("cli").await.unwrap(), None);
        assert_eq!(supervisor.counts().store_failures, 1);
        committed(turn, "hello").await;
        assert!(is_stored(&stage.store, &session).await);
        assert_eq!(value(&session).await, None);
        assert!(!is_stored(&stage.store, &session).await);
    }
}

/// One step of a bot, to be dropped.
async fn step_of(step: &str, turn: Turn, handle: ResumeHandle) {
    match step {
        "attempt" => drop(turn.attempt_resume("cli").await.unwrap()),
        "fail" => {
            let advice = turn.resume_failed(&handle, ResumeFailure::Gone).await.unwrap();
            assert_eq!(advice, ResumeAdvice::RetryFresh);
        }
        "keep" => {
            let kept = turn.keep_resume_handle("cli", "new").await.unwrap();
            assert_eq!(kept, KeptHandle::Kept);
            committed(turn, "hello").await;
        }
        "commit" => {
            let reply = says("hello");
            let reply = Reply::from(&reply).resume_handle("cli", "new");
            turn.commit(reply).await.map(drop).unwrap();
        }
        other => panic!("{other}"),
    }
}

/// A supervisor whose time stands still until it is moved.
async fn start_at(
    stage: &support::Stage,
    clock: &ManualClock,
    change: impl FnOnce(&mut Config),
) -> Supervisor {
    let mut config = Config::default();
    change(&mut config);
    let builder = Supervisor::builder().config(config).clock(clock.clone());
    builder.store(stage.store.clone()).start().await.unwrap()
}

in_paused_time! {
    // I4: not only at a start
    async fn handles_that_nobody_asks_for_are_swept_while_it_runs(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(keep(&session, "dead").await, KeptHandle::Kept);
        let handle = session.resume_handle("cli").await.unwrap().unwrap();
        assert!(is_dead(&session, &handle).await);
        assert_eq!(keep(&session, "x").await, KeptHandle::Kept);
        tokio::time::sleep(23 * HOUR).await;
        assert!(is_stored(&stage.store, &session).await);
        tokio::time::sleep(2 * HOUR).await;
        assert!(!is_stored(&stage.store, &session).await);
        assert_eq!(keep(&session, "dead").await, KeptHandle::Kept, "believed again");
        quiet(&supervisor, &session).await;
    }

    // I1: a session that is not in memory has its handle, and what is done with it is no use
    async fn a_session_that_is_not_loaded_has_its_handle(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("hi"), ()).await.unwrap();
        assert_eq!(turn.keep_resume_handle("cli", "x").await.unwrap(), KeptHandle::Kept);
        committed(turn, "hello").await;
        let before = session.record().await.unwrap().last_active_at;
        tokio::time::sleep(HOUR).await;
        assert_eq!(supervisor.loaded(), 0);
        assert_eq!(value(&session).await.unwrap(), "x");
        assert_eq!(supervisor.loaded(), 0);
        let handle = session.attempt_resume("cli").await.unwrap().unwrap();
        let advice = session.resume_failed(&handle, ResumeFailure::Gone).await.unwrap();
        assert_eq!((advice, value(&session).await), (ResumeAdvice::RetryFresh, None));
        assert_eq!(session.record().await.unwrap().last_active_at, before);
        assert_eq!(session.status().last_active_at, before);
    }
}

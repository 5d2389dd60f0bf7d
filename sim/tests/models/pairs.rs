//! Two or three callers at one place: every pair that the design says who wins of, each a model of its own.
//!
//! Each is explored exhaustively up to so many delays, and at random beyond that.

use std::time::Duration;

use session_supervisor::store::Found;
use session_supervisor::testing::{Fault, StoreCall};
use session_supervisor::{
    BeginError, BusyPolicy, CancelOutcome, CancelReason, CommitOutcome, DeleteOutcome, Event,
    FailedInput, LeaseRenewal, Lookup, NewSession, SessionId, TurnOutcome,
};

use crate::explore::{explore, explore_all, race};
use crate::stage::{Kind, Stage, begin, commit, committed, key, said, task, user};

/// A number below `most`, of the schedule.
fn chance(most: u32) -> u32 {
    use shuttle::rand::Rng;
    shuttle::rand::thread_rng().gen_range(0..most)
}

/// The tests of a pair, for each way in which a store answers: all schedules with few delays, and more
/// of them at random. `$how` is one of `$ways` ways in which it can go besides.
macro_rules! pair {
    ($(#[$doc:meta])* $name:ident($kind:ident: $at_once:ident, $how:ident < $ways:literal) $model:block) => {
        $(#[$doc])*
        mod $name {
            use super::*;

            async fn model($kind: Kind, $how: u32) {
                $model
            }

            #[test]
            fn all_at_once() {
                explore_all(2, $ways, |how| model(Kind::$at_once, how));
            }

            #[test]
            fn all_awaited() {
                explore_all(2, $ways, |how| model(Kind::Awaited, how));
            }

            #[test]
            fn random_at_once() {
                explore(10, || model(Kind::$at_once, chance($ways)));
            }

            #[test]
            fn random_awaited() {
                explore(10, || model(Kind::Awaited, chance($ways)));
            }
        }
    };
}

pair!(
    /// B2: the slot is taken before the first await of a begin, so of those that come together one has it,
    /// and the others are told whose it is.
    of_those_who_begin_together_one_has_the_slot_and_the_others_see_it(kind: AtOnce, _how < 1) {
        let (stage, session) = Stage::with_session(kind).await;
        let tasks = (0..3).map(|_| {
            let session = session.clone();
            async move { begin(&session, "me", BusyPolicy::Reject).await }
        });
        let mut turns = Vec::new();
        let mut holders = Vec::new();
        for begun in race(tasks).await {
            match begun {
                Ok(turn) => turns.push(turn),
                Err(BeginError::Busy { holder, .. }) => holders.push(holder.stream),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(turns.len(), 1);
        let turn = turns.pop().unwrap();
        assert_eq!(holders, [turn.stream(); 2]);
        assert_eq!(committed(turn, "yes").await, 2);
        stage.settle().await;
    }
);

/// The ways in which a holder ends its turn.
async fn end(turn: session_supervisor::Turn, how: u32) {
    match how {
        0 => {
            let _ = commit(turn, "done").await;
        }
        1 => drop(turn.fail(FailedInput::Keep).await.unwrap()),
        2 => drop(turn.fail(FailedInput::Drop).await.unwrap()),
        _ => drop(turn),
    }
}

pair!(
    /// B3: only its owner gives the slot back, however the turn ends. Whoever is fenced and ends late does not
    /// free the slot of the next.
    a_turn_that_ends_late_does_not_free_the_slot_of_the_next(kind: AtOnce, how < 4) {
        let (stage, session) = Stage::with_session(kind).await;
        let old = begin(&session, "one", BusyPolicy::Reject).await.unwrap();
        let next = session.clone();
        let begun = race([
            task(async move {
                end(old, how).await;
                None
            }),
            task(async move {
                next.stop();
                Some(begin(&next, "two", BusyPolicy::Reject).await.unwrap())
            }),
        ]);
        let new = begun.await.pop().unwrap().unwrap();
        match begin(&session, "three", BusyPolicy::Reject).await {
            Err(BeginError::Busy { holder, .. }) => assert_eq!(holder.stream, new.stream()),
            other => panic!("the slot is taken: {other:?}"),
        }
        end(new, how).await;
        drop(begin(&session, "four", BusyPolicy::Reject).await.unwrap());
        stage.settle().await;
    }
);

pair!(
    /// B6: whoever comes at the very end of a turn gets its own: count in = count out, nobody runs twice, and
    /// who came first is first.
    whoever_is_queued_at_the_end_of_a_turn_has_one_in_order(kind: AtOnce, how < 4) {
        let (stage, session) = Stage::with_session(kind).await;
        let first = begin(&session, "first", BusyPolicy::Reject).await.unwrap();
        let queued = |text: &'static str| {
            let session = session.clone();
            async move {
                let turn = begin(&session, text, BusyPolicy::queue()).await.unwrap();
                committed(turn, text).await
            }
        };
        // One caller polls two of them, so which of the two comes first is known.
        let (a, b, c) = (queued("a"), queued("b"), queued("c"));
        let ends = race([
            task(async move {
                end(first, how).await;
                [0; 2]
            }),
            task(async move {
                let (a, b) = tokio::join!(a, b);
                [a, b]
            }),
            task(async move { [c.await; 2] }),
        ])
        .await;
        assert!(ends[1][0] < ends[1][1], "{ends:?}");
        let said = said(&session).await;
        for text in ["a", "b", "c"] {
            let twice = said.windows(2).filter(|it| *it == [text, text]).count();
            assert_eq!(twice, 1, "{said:?}");
        }
        stage.settle().await;
    }
);

pair!(
    /// C1: what an old turn commits after a newer one began is refused and is nowhere.
    a_late_commit_after_a_newer_turn_began_writes_nothing(kind: AtOnce, _how < 1) {
        let (stage, session) = Stage::with_session(kind).await;
        let old = begin(&session, "one", BusyPolicy::Reject).await.unwrap();
        let next = session.clone();
        let outcomes = race([
            task(async move { commit(old, "old").await }),
            task(async move {
                let policy = BusyPolicy::Interrupt { grace: Duration::ZERO, max: 1 };
                let turn = begin(&next, "two", policy).await.unwrap();
                commit(turn, "new").await
            }),
        ])
        .await;
        assert!(matches!(outcomes[1], CommitOutcome::Committed { .. }), "{outcomes:?}");
        let expected: &[&str] = match outcomes[0] {
            CommitOutcome::Committed { .. } => &["one", "old", "two", "new"],
            CommitOutcome::Stale { reason: CancelReason::Preempted } => &["one", "two", "new"],
            ref other => panic!("{other:?}"),
        };
        assert_eq!(said(&session).await, expected);
        stage.settle().await;
    }
);

pair!(
    /// C1, E5, E10: neither does it after its session was deleted and its id was taken for another life.
    a_late_commit_never_reaches_the_next_life_of_its_id(kind: AtOnce, _how < 1) {
        let stage = Stage::new(kind).await;
        let id: SessionId = "mine".parse().unwrap();
        let session = stage.supervisor.create_id(&id, NewSession::new()).await.unwrap();
        let old = begin(&session, "one", BusyPolicy::Reject).await.unwrap();
        let supervisor = stage.supervisor.clone();
        let (outcome, session) = {
            let (id, session) = (id.clone(), session.clone());
            let mut answers = race([
                task(async move { (Some(commit(old, "old").await), None) }),
                task(async move {
                    session.delete().await.unwrap();
                    let again = loop {
                        // Not as long as the old turn still runs (A9).
                        let new = NewSession::new().allow_reuse();
                        match supervisor.create_id(&id, new).await {
                            Ok(session) => break session,
                            Err(_) => tokio::task::yield_now().await,
                        }
                    };
                    let turn = begin(&again, "two", BusyPolicy::Reject).await.unwrap();
                    committed(turn, "new").await;
                    (None, Some(again))
                }),
            ])
            .await;
            (answers[0].0.take().unwrap(), answers[1].1.take().unwrap())
        };
        let deleted = CommitOutcome::Stale { reason: CancelReason::Deleted };
        assert!(matches!(outcome, CommitOutcome::Committed { .. }) || outcome == deleted);
        assert_eq!(said(&session).await, ["two", "new"]);
        stage.settle().await;
    }
);

pair!(
    /// D2, D3: a stop hits the turn that it names or none, and both sides are told the same.
    a_stop_and_the_end_of_its_turn_agree_on_who_was_first(kind: AtOnce, _how < 1) {
        let (stage, session) = Stage::with_session(kind).await;
        let turn = begin(&session, "one", BusyPolicy::Reject).await.unwrap();
        let (stream, stopper) = (turn.stream(), session.clone());
        let answers = race([
            task(async move {
                let outcome = commit(turn, "done").await;
                let next = begin(&session, "two", BusyPolicy::Reject).await.unwrap();
                let hit = next.cancelled_by();
                assert_eq!(hit, None, "another turn was stopped");
                (Some(outcome), Some(next), None)
            }),
            task(async move { (None, None, Some(stopper.cancel(stream))) }),
        ]);
        let mut answers = answers.await;
        let (outcome, next) = (answers[0].0.take().unwrap(), answers[0].1.take().unwrap());
        match answers[1].2.take().unwrap() {
            CancelOutcome::NotRunning => {
                assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
            }
            CancelOutcome::Cancelling { streams } => {
                assert_eq!(streams, [stream]);
                assert_eq!(outcome, CommitOutcome::Stale { reason: CancelReason::Stopped });
            }
            other => panic!("{other:?}"),
        }
        committed(next, "again").await;
        stage.settle().await;
    }
);

pair!(
    /// E2: a delete whose caller goes away at any moment has not begun, or is seen through: nothing stays
    /// half closed.
    a_delete_whose_caller_goes_away_happens_or_does_not(kind: AtOnce, polls < 4) {
        let (stage, session) = Stage::with_session(kind).await;
        let turn = begin(&session, "one", BusyPolicy::Reject).await.unwrap();
        let deleter = session.clone();
        race([
            task(async move {
                let mut delete = Box::pin(deleter.delete());
                for _ in 0..polls {
                    let answered = std::future::poll_fn(|context| {
                        std::task::Poll::Ready(delete.as_mut().poll(context).is_ready())
                    });
                    if answered.await {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }),
            task(async move { end(turn, 0).await }),
        ])
        .await;
        for _ in 0..100 {
            // Nobody waits for it any more.
            tokio::task::yield_now().await;
        }
        stage.settle().await;
        let status = session.status();
        assert!(!status.closing, "half closed");
        assert_eq!(status.gone.is_some(), polls > 0, "begun is done");
        let found = stage.supervisor.look_up(session.id()).await.unwrap();
        match (stage.stored(&session).await, found) {
            (Found::Live(_), Lookup::Live(_)) => {
                drop(begin(&session, "two", BusyPolicy::Reject).await.unwrap());
            }
            (Found::Gone(_), Lookup::Gone(_)) => {
                let refused = begin(&session, "two", BusyPolicy::Reject).await.unwrap_err();
                assert!(matches!(refused, BeginError::Gone { .. }), "{refused}");
            }
            other => panic!("{other:?}"),
        }
        stage.settle().await;
    }
);

pair!(
    /// E4: of those who delete together one did it, and nobody is told before the store has it.
    of_those_who_delete_together_one_did_it(kind: AtOnce, _how < 1) {
        let (stage, session) = Stage::with_session(kind).await;
        let answers = race((0..3).map(|_| {
            let (stage, session) = (stage.clone(), session.clone());
            async move {
                let answer = session.delete().await.unwrap();
                assert!(matches!(stage.stored(&session).await, Found::Gone(_)), "told too early");
                answer
            }
        }))
        .await;
        let is_deleted = |it: &&DeleteOutcome| matches!(it, DeleteOutcome::Deleted(_));
        let is_late = |it: &&DeleteOutcome| matches!(it, DeleteOutcome::AlreadyGone(_));
        assert_eq!(answers.iter().filter(is_deleted).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(is_late).count(), 2, "{answers:?}");
        stage.settle().await;
    }
);

pair!(
    /// X13: of a renewal and the end of its time one comes first, and everybody sees which. None stays
    /// without a time.
    a_renewal_and_the_end_of_a_lease_agree_on_who_was_first(kind: AtOnce, _how < 1) {
        const AGE: Duration = Duration::from_secs(10);
        let (stage, session) = Stage::with_session(kind).await;
        let lease = session.lease("a job", AGE).await.unwrap();
        let mut answers = race([
            task(async move {
                let renewed = lease.renew(2 * AGE).unwrap();
                Some((lease, renewed))
            }),
            task(async move {
                tokio::time::advance(AGE);
                None
            }),
        ])
        .await;
        let (lease, renewed) = answers[0].take().unwrap();
        match renewed {
            LeaseRenewal::Renewed { .. } => {
                assert_eq!(session.leases().len(), 1);
                assert!(!lease.is_expired());
                stage.settle().await;
                tokio::time::advance(2 * AGE);
            }
            LeaseRenewal::Expired => {}
            other => panic!("{other:?}"),
        }
        assert!(lease.is_expired());
        assert_eq!(session.leases(), []);
        assert_eq!(lease.renew(AGE).unwrap(), LeaseRenewal::Expired);
        stage.settle().await;
        let counts = stage.supervisor.counts();
        assert_eq!((counts.leases_taken, counts.leases_expired), (1, 1), "an alarm has told its end");
    }
);

pair!(
    /// X13, X14: a begin and the room that another session needs: it stays, or it is loaded again, and
    /// nobody notices.
    a_begin_finds_its_session_whatever_makes_room(kind: AtOnce, _how < 1) {
        let stage = Stage::with(kind, |config| config.idle.max_live = 1).await;
        let session = stage.supervisor.open(&key("a")).await.unwrap();
        committed(begin(&session, "one", BusyPolicy::Reject).await.unwrap(), "1").await;
        stage.settle().await;
        let (supervisor, user) = (stage.supervisor.clone(), session.clone());
        race([
            task(async move {
                drop(supervisor.open(&key("b")).await.unwrap());
            }),
            task(async move {
                let turn = begin(&user, "two", BusyPolicy::Reject).await.unwrap();
                assert_eq!(committed(turn, "2").await, 4);
            }),
        ])
        .await;
        assert_eq!(said(&session).await, ["one", "1", "two", "2"]);
        stage.settle().await;
    }
);

pair!(
    /// G10, G11: a turn that nobody holds is cleared once, and a turn that begins meanwhile is not touched.
    clearing_a_stale_turn_never_hits_a_newer_one(kind: Faulty, _how < 1) {
        let (stage, session) = Stage::with_session(kind).await;
        let faults = stage.faults.clone().unwrap();
        let old = begin(&session, "go on", BusyPolicy::Reject).await.unwrap();
        faults.fail_next_of(StoreCall::Append, Fault::Unavailable);
        session.append(&[user("a notice")]).await.unwrap_err();
        let Found::Live(view) = stage.stored(&session).await else { panic!("it is there") };
        assert_eq!(view.active_stream(), Some(old.stream()));
        let (reader, user) = (stage.supervisor.clone(), session.clone());
        let mut answers = race([
            task(async move {
                let fresh = reader.clear_stale(&view).await.unwrap();
                assert!(matches!(fresh, Found::Live(_)), "it is there");
                None
            }),
            task(async move {
                let turn = begin(&user, "anew", BusyPolicy::Reject).await.unwrap();
                assert_eq!(turn.cancelled_by(), None);
                Some(turn)
            }),
        ])
        .await;
        let turn = answers[1].take().unwrap();
        assert_eq!(turn.cancelled_by(), None);
        let Found::Live(now) = stage.stored(&session).await else { panic!("it is there") };
        assert_eq!(now.active_stream(), Some(turn.stream()), "the newer one runs, and no other");
        committed(turn, "done").await;
        let stream = old.stream();
        let kept = stage.behind.turn(session.id(), stream.incarnation(), stream.generation());
        assert_eq!(kept.await.unwrap().map(|turn| turn.outcome), Some(TurnOutcome::Interrupted));
        assert!(matches!(commit(old, "late").await, CommitOutcome::Stale { .. }));
        assert_eq!(said(&session).await, ["go on", "anew", "done"]);
        stage.settle().await;
    }
);

pair!(
    /// G10, G11: a turn that runs is not cleared, and its end and the clearing do not hurt each other.
    clearing_what_runs_does_not_touch_it(kind: AtOnce, _how < 1) {
        let (stage, session) = Stage::with_session(kind).await;
        let turn = begin(&session, "one", BusyPolicy::Reject).await.unwrap();
        let Found::Live(view) = stage.stored(&session).await else { panic!("it is there") };
        let reader = stage.supervisor.clone();
        race([
            task(async move { drop(reader.clear_stale(&view).await.unwrap()) }),
            task(async move { assert_eq!(committed(turn, "done").await, 2) }),
        ])
        .await;
        assert_eq!(said(&session).await, ["one", "done"]);
        stage.settle().await;
    }
);

pair!(
    /// J5, J6: no reader sleeps through a chunk or the end, whenever it comes: what is looked for is looked for again
    /// after whoever changes it has been told to wake somebody.
    a_reader_hears_of_every_chunk_and_of_the_end(kind: AtOnce, how < 5) {
        let (stage, session) = Stage::with_session(kind).await;
        let turn = begin(&session, "one", BusyPolicy::Reject).await.unwrap();
        let mut reader = session.subscribe().unwrap();
        race([
            task(async move {
                let mut heard = Vec::new();
                while let Some(event) = reader.next().await {
                    heard.push(match event {
                        Event::Chunk { chunk, .. } => chunk.to_string(),
                        Event::Ended(_) => "the end".to_owned(),
                        other => panic!("{other:?}"),
                    });
                }
                assert_eq!(heard, ["a", "b", "the end"]);
            }),
            task(async move {
                for chunk in ["a", "b"] {
                    turn.emit(chunk).unwrap();
                }
                if how == 4 {
                    session.delete().await.unwrap();
                } else {
                    end(turn, how).await;
                }
            }),
        ])
        .await;
        stage.settle().await;
    }
);

pair!(
    /// D1: whoever works in a turn hears that it is to end, whenever that is said, and by whichever way it listens.
    a_turn_hears_that_it_is_to_end(kind: AtOnce, how < 4) {
        let (stage, session) = Stage::with_session(kind).await;
        let turn = begin(&session, "one", BusyPolicy::Reject).await.unwrap();
        race([
            task(async move {
                if how & 1 == 0 {
                    turn.cancelled().await;
                } else {
                    turn.token().cancelled().await;
                }
                assert!(turn.cancelled_by().is_some());
                let _ = commit(turn, "late").await;
            }),
            task(async move {
                if how & 2 == 0 {
                    session.stop();
                } else {
                    session.delete().await.unwrap();
                }
            }),
        ])
        .await;
        stage.settle().await;
    }
);

pair!(
    /// A5, E4: who deletes what is under an id is told of that, whatever came and went under it meanwhile: there was
    /// no time at which nobody knew of it. The session leaves memory, is deleted, and the id is used again.
    a_delete_by_its_id_is_about_whatever_is_there(kind: AtOnce, _how < 1) {
        let stage = Stage::with(kind, |config| config.idle.max_live = 1).await;
        let id = SessionId::new("a").unwrap();
        let session = stage.supervisor.create_id(&id, NewSession::new()).await.unwrap();
        let (one, other) = (stage.supervisor.clone(), stage.supervisor.clone());
        let mine = id.clone();
        race([
            task(async move {
                let outcome = one.delete(&mine).await.unwrap();
                assert!(!matches!(outcome, DeleteOutcome::Unknown), "{outcome:?}");
            }),
            task(async move {
                drop(other.create(NewSession::new()).await.unwrap());
                session.delete().await.unwrap();
                drop(other.create_id(&id, NewSession::new().allow_reuse()).await);
            }),
        ])
        .await;
        stage.settle().await;
    }
);

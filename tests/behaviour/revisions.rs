//! Cutting a transcript off for a reason, and putting back, listing and dropping what was taken out.

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

use session_supervisor::store::{FenceReason, RevisionReason};
use session_supervisor::testing::{Fault, Gate, StoreCall, drop_at_every_await};
use session_supervisor::{
    BusyPolicy, EntryError, EntryMark, FailedInput, Parallel, Session, SessionError, StoreError,
};
use support::{
    begin, committed, everywhere, in_paused_time, key, poll_once, quiet, says, texts, user,
};

const BRANCH: BusyPolicy = BusyPolicy::Parallel(Parallel::Branch);
const HOUR: Duration = Duration::from_secs(3_600);

/// One turn: what was said, and `-` with it as the reply.
async fn turn(session: &Session, text: &str) {
    let turn = session.begin(&user(text), ()).await.unwrap();
    committed(turn, &format!("-{text}")).await;
}

/// A session of three turns: entries 1 to 6.
async fn three_turns(session: &Session) {
    for text in ["1", "2", "3"] {
        turn(session, text).await;
    }
}

/// The reason of each revision, and the texts that it has.
async fn revised(session: &Session) -> Vec<(RevisionReason, Vec<String>)> {
    let revisions = session.revisions().await.unwrap();
    let text = |revision: session_supervisor::TakenBack<_>| {
        let entries = revision.entries.into_iter();
        let entry = |it: session_supervisor::Entry<session_supervisor::ChatMessage>| {
            it.content.unwrap().content
        };
        (revision.reason, entries.map(entry).collect())
    };
    revisions.into_iter().map(text).collect()
}

fn cut(why: &str) -> RevisionReason {
    RevisionReason::Truncated { why: why.to_owned() }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// All that can be seen of a transcript and its revisions.
async fn all_of(session: &Session) -> String {
    let record = session.record().await.unwrap();
    let entries: Vec<_> = session.entries(0, usize::MAX).await.unwrap();
    format!("{record:?} {entries:?} {:?}", session.revisions().await.unwrap())
}

everywhere! {
    // G6: whoever cuts says why, and what is cut off is kept under that
    async fn a_truncation_needs_a_reason_and_leaves_a_revision(stage) {
        let (supervisor, session) = stage.session().await;
        three_turns(&session).await;
        let long = "x".repeat(2_000);
        for why in ["", &long] {
            match session.truncate(2, why, None).await {
                Err(SessionError::Content { source: EntryError::Name { bytes, .. }, .. }) => {
                    assert_eq!(bytes, why.len());
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(texts(&session).await.len(), 6, "nothing goes without a reason");
        let seen = session.status().version;
        // In the middle of a turn, if that is asked for.
        let done = session.truncate(3, "edited: the second", None).await.unwrap();
        assert_eq!((done.entries, done.version), (3, seen + 1));
        assert_eq!(texts(&session).await, ["1", "-1", "2"]);
        assert_eq!(revised(&session).await, [(cut("edited: the second"), owned(&["-2", "3", "-3"]))]);
        assert_eq!(session.revisions().await.unwrap()[0].version, done.version);
        turn(&session, "on").await;
        assert_eq!(texts(&session).await, ["1", "-1", "2", "on", "-on"]);
        let all = session.truncate(0, "a fresh start", None).await.unwrap();
        assert_eq!(all.entries, 5);
        assert_eq!(texts(&session).await, [""; 0]);
        quiet(&supervisor, &session).await;
    }

    // G6: twice gives the same
    async fn cutting_off_what_is_not_there_changes_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        assert_eq!(session.truncate(0, "empty", None).await.unwrap().entries, 0);
        three_turns(&session).await;
        let first = session.truncate(4, "once", None).await.unwrap();
        let before = all_of(&session).await;
        for after in [4, 5, 6, 99, u64::MAX] {
            let again = session.truncate(after, "again", None).await.unwrap();
            assert_eq!((again.entries, again.version), (0, first.version));
        }
        assert_eq!(all_of(&session).await, before);
        quiet(&supervisor, &session).await;
    }

    // G6, C8: each of them is refused where the caller has seen another version, and changes nothing
    async fn whoever_expects_another_version_changes_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        three_turns(&session).await;
        let revision = session.truncate(4, "once", None).await.unwrap().version;
        let now = session.status().version;
        let before = all_of(&session).await;
        for wrong in [0, now - 1, now + 1] {
            let refusals = [
                session.rollback(1, Some(wrong)).await.map(drop),
                session.rollback(99, Some(wrong)).await.map(drop),
                session.truncate(2, "no", Some(wrong)).await.map(drop),
                session.restore_revision(revision, Some(wrong)).await.map(drop),
                session.restore_revision(77, Some(wrong)).await.map(drop),
            ];
            for refusal in refusals {
                match refusal {
                    Err(SessionError::Conflict { expected, version, .. }) => {
                        assert_eq!((expected, version), (wrong, now));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(all_of(&session).await, before);
        session.restore_revision(revision, Some(now)).await.unwrap();
        session.truncate(8, "yes", Some(now + 1)).await.unwrap();
        session.rollback(1, Some(now + 1)).await.unwrap();
        quiet(&supervisor, &session).await;
    }

    // G6: rollback, retry and restore say what they were
    async fn each_revision_says_what_made_it(stage) {
        let (supervisor, session) = stage.session().await;
        three_turns(&session).await;
        session.rollback(1, None).await.unwrap();
        committed(session.retry(1, ()).await.unwrap(), "better").await;
        let revision = session.truncate(2, "why not", None).await.unwrap().version;
        turn(&session, "4").await;
        session.restore_revision(revision, None).await.unwrap();
        let expected = [
            (RevisionReason::Rollback, owned(&["3", "-3"])),
            (RevisionReason::Retry, owned(&["2", "-2"])),
            (RevisionReason::Restored { revision }, owned(&["4", "-4"])),
        ];
        assert_eq!(revised(&session).await, expected);
        assert_eq!(texts(&session).await, ["1", "-1", "2", "better"]);
        quiet(&supervisor, &session).await;
        let before = all_of(&session).await;
        drop((supervisor, session));
        let stage = stage.reopened().await;
        let (supervisor, session) = stage.session().await;
        assert_eq!(all_of(&session).await, before);
        quiet(&supervisor, &session).await;
    }

    // G6: what came since is not lost, and the same undoes it
    async fn a_restore_is_undone_by_restoring_what_it_replaced(stage) {
        let (supervisor, session) = stage.session().await;
        three_turns(&session).await;
        let mut hidden = session.rollback(2, None).await.unwrap().version;
        turn(&session, "other").await;
        session.append(&[says("note")]).await.unwrap();
        let (first, second) = (["1", "-1", "2", "-2", "3", "-3"], ["1", "-1", "other", "-other", "note"]);
        for _ in 0..3 {
            let restored = session.restore_revision(hidden, None).await.unwrap();
            assert_eq!((restored.entries, restored.taken_back), (4, 3));
            assert_eq!(texts(&session).await, first);
            hidden = restored.version;
            let restored = session.restore_revision(hidden, None).await.unwrap();
            assert_eq!((restored.entries, restored.taken_back), (3, 4));
            assert_eq!(texts(&session).await, second);
            hidden = restored.version;
            assert_eq!(session.revisions().await.unwrap().len(), 1);
        }
        turn(&session, "on").await;
        assert_eq!(texts(&session).await[5..], ["on", "-on"]);
        quiet(&supervisor, &session).await;
    }

    // G6: whoever follows a transcript by its numbers sees what comes back
    async fn what_comes_back_has_new_numbers_and_is_otherwise_as_it_was(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        let failed = session.begin(&user("2"), ()).await.unwrap();
        failed.emit("half").unwrap();
        let stream = failed.stream();
        failed.fail(FailedInput::Keep).await.unwrap();
        let before = session.entries(0, 99).await.unwrap();
        let revision = session.truncate(1, "oops", None).await.unwrap().version;
        session.restore_revision(revision, None).await.unwrap();
        let after = session.entries(before.last().unwrap().seq, 99).await.unwrap();
        assert_eq!(after.iter().map(|it| it.seq).collect::<Vec<_>>(), [4, 5]);
        for (before, after) in before[1..].iter().zip(&after) {
            let of = |it: &session_supervisor::Entry<_>| (it.stream, it.input, it.mark, it.at);
            assert_eq!(of(before), of(after));
        }
        assert_eq!(after[1].mark, EntryMark::Unanswered);
        assert_eq!(session.partial(stream).await.unwrap().unwrap().text, "half");
        // And it can be gone back from, and done over.
        committed(session.retry(1, ()).await.unwrap(), "-2").await;
        assert_eq!(texts(&session).await, ["1", "-1", "2", "-2"]);
        quiet(&supervisor, &session).await;
    }

    // G6, B9: siblings stand where they stood
    async fn branches_come_back_where_they_stood(stage) {
        let (supervisor, session) = stage.session().await;
        turn(&session, "1").await;
        let (a, b) = (begin(&session, "a", BRANCH).await, begin(&session, "b", BRANCH).await);
        let (a, b) = (a.unwrap(), b.unwrap());
        let (one, two) = (a.stream(), b.stream());
        committed(b, "-b").await;
        committed(a, "-a").await;
        let line = async |stream| {
            let line = session.transcript_of(stream).await.unwrap();
            line.into_iter().map(|it| it.content.unwrap().content).collect::<Vec<_>>()
        };
        let before = (texts(&session).await, line(one).await, line(two).await);
        // With what they stand under, and without.
        for after in [1, 2] {
            let revision = session.truncate(after, "all", None).await.unwrap().version;
            turn(&session, "between").await;
            session.restore_revision(revision, None).await.unwrap();
            assert_eq!((texts(&session).await, line(one).await, line(two).await), before);
        }
        assert_eq!(session.branches().await.unwrap().len(), 2);
        quiet(&supervisor, &session).await;
    }

    // G6: it can be dropped before its time, once, and others stay
    async fn one_revision_can_be_dropped(stage) {
        let (supervisor, session) = stage.session().await;
        three_turns(&session).await;
        let first = session.rollback(1, None).await.unwrap().version;
        let second = session.rollback(1, None).await.unwrap().version;
        let version = session.status().version;
        assert!(session.forget_revision(first).await.unwrap());
        assert!(!session.forget_revision(first).await.unwrap());
        assert!(!session.forget_revision(77).await.unwrap());
        assert_eq!(session.status().version, version, "the transcript is the same");
        match session.restore_revision(first, None).await {
            Err(SessionError::NoRevision { version, .. }) => assert_eq!(version, first),
            other => panic!("{other:?}"),
        }
        assert_eq!(revised(&session).await, [(RevisionReason::Rollback, owned(&["2", "-2"]))]);
        session.restore_revision(second, None).await.unwrap();
        assert_eq!(texts(&session).await, ["1", "-1", "2", "-2"]);
        match session.restore_revision(second, None).await {
            Err(SessionError::NoRevision { .. }) => {}
            other => panic!("{other:?}"),
        }
        quiet(&supervisor, &session).await;
    }

    // G6: a turn that runs is in the way of what changes the transcript, and of nothing else
    async fn a_turn_that_runs_is_in_the_way(stage) {
        let (supervisor, session) = stage.session().await;
        three_turns(&session).await;
        let one = session.rollback(1, None).await.unwrap().version;
        let two = session.rollback(1, None).await.unwrap().version;
        let running = session.begin(&user("4"), ()).await.unwrap();
        let refusals = [
            session.truncate(1, "no", None).await.map(drop),
            session.restore_revision(one, None).await.map(drop),
        ];
        for refusal in refusals {
            match refusal {
                Err(SessionError::Busy { holder, .. }) => assert_eq!(holder.stream, running.stream()),
                other => panic!("{other:?}"),
            }
        }
        assert!(session.forget_revision(one).await.unwrap());
        committed(running, "-4").await;
        session.restore_revision(two, None).await.unwrap();
        assert_eq!(texts(&session).await, ["1", "-1", "2", "-2"]);
        quiet(&supervisor, &session).await;
    }

    // G6, E3: what is over has no revisions
    async fn a_session_that_is_over_says_so(stage) {
        let (supervisor, session) = stage.session().await;
        three_turns(&session).await;
        let revision = session.rollback(1, None).await.unwrap().version;
        session.delete().await.unwrap();
        let refusals = [
            session.truncate(1, "no", None).await.map(drop),
            session.restore_revision(revision, None).await.map(drop),
            session.forget_revision(revision).await.map(drop),
            session.revisions().await.map(drop),
        ];
        for refusal in refusals {
            assert!(matches!(refusal, Err(SessionError::Gone { .. })), "{refusal:?}");
        }
        support::settled(&supervisor).await;
    }

    // G6: of two at the same time each does what it says, or says that it did not
    async fn of_two_that_restore_the_same_one_does(stage) {
        let (supervisor, session) = stage.session().await;
        three_turns(&session).await;
        let revision = session.truncate(2, "all", None).await.unwrap().version;
        let all = [0, 1, 2].map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.restore_revision(revision, None).await })
        });
        let mut done = 0;
        for restored in all {
            match restored.await.unwrap() {
                Ok(restored) => done += restored.entries,
                Err(SessionError::NoRevision { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(done, 4, "once");
        assert_eq!(texts(&session).await, ["1", "-1", "2", "-2", "3", "-3"]);
        quiet(&supervisor, &session).await;
    }

    // G6, C6: a store that fails changes nothing, and the session goes on
    async fn a_store_that_fails_restores_nothing_and_says_so(stage) {
        let (supervisor, session) = stage.session().await;
        three_turns(&session).await;
        let revision = session.truncate(2, "all", None).await.unwrap().version;
        quiet(&supervisor, &session).await;
        let before = all_of(&session).await;
        for call in [StoreCall::LookUp, StoreCall::Entries, StoreCall::Revisions, StoreCall::PutBack] {
            stage.store.fail_next_of(call, Fault::Unavailable);
            match session.restore_revision(revision, None).await {
                Err(SessionError::Store { source: StoreError::Unavailable { .. }, .. }) => {}
                other => panic!("{call:?}: {other:?}"),
            }
            assert_eq!(stage.store.faults_left(), 0);
            assert_eq!(all_of(&session).await, before, "{call:?}");
        }
        // Its time is over between the look and the deed.
        let gone = StoreError::fenced(FenceReason::NoSuchRevision);
        stage.store.fail_next_of(StoreCall::PutBack, Fault::Refused(gone));
        match session.restore_revision(revision, None).await {
            Err(SessionError::NoRevision { .. }) => {}
            other => panic!("{other:?}"),
        }
        // It may have happened, and has.
        stage.store.fail_next_of(StoreCall::PutBack, Fault::UnknownButApplied);
        match session.restore_revision(revision, None).await {
            Err(SessionError::Store { source: StoreError::OutcomeUnknown { .. }, .. }) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(texts(&session).await, ["1", "-1", "2", "-2", "3", "-3"]);
        turn(&session, "4").await;
        quiet(&supervisor, &session).await;
    }

    // G6, M3: dropped anywhere, it has done nothing or all of it
    async fn a_dropped_restore_has_done_nothing_or_all_of_it(stage) {
        let supervisor = stage.start().await;
        let mut number = 0;
        let dropped = drop_at_every_await(
            async || {
                number += 1;
                let session = supervisor.open(&key(&number.to_string())).await.unwrap();
                three_turns(&session).await;
                let revision = session.truncate(2, "all", None).await.unwrap().version;
                turn(&session, "other").await;
                let mine = session.clone();
                (session, async move { mine.restore_revision(revision, None).await.unwrap() })
            },
            async |session, output| {
                quiet(&supervisor, &session).await;
                let found = texts(&session).await;
                let restored = found == ["1", "-1", "2", "-2", "3", "-3"];
                assert!(restored || found == ["1", "-1", "other", "-other"], "{found:?}");
                assert!(restored || output.is_none());
                assert_eq!(session.revisions().await.unwrap().len(), 1, "nothing is lost");
                turn(&session, "on").await;
            },
        )
        .await;
        assert!(dropped <= 20, "{dropped}");
    }
}

in_paused_time! {
    // G6: what comes between is seen
    async fn what_comes_between_is_taken_out_as_well(stage) {
        let (supervisor, session) = stage.session().await;
        three_turns(&session).await;
        let revision = session.truncate(2, "all", None).await.unwrap().version;
        let gate = Gate::new();
        stage.store.fail_next_of(StoreCall::Revisions, Fault::HeldAfter(gate.clone()));
        let mut restore = Box::pin(session.restore_revision(revision, None));
        while gate.reached() == 0 {
            assert!(poll_once(&mut restore).is_pending());
            tokio::task::yield_now().await;
        }
        turn(&session, "between").await;
        gate.open();
        let restored = restore.await.unwrap();
        assert_eq!((restored.entries, restored.taken_back), (4, 2));
        assert_eq!(texts(&session).await, ["1", "-1", "2", "-2", "3", "-3"]);
        quiet(&supervisor, &session).await;
    }

    // G6: kept for `kept.revisions_for`, and what was put back is kept for good
    async fn revisions_are_dropped_when_their_time_is_over(stage) {
        let (supervisor, session) = stage.session_with(|config| {
            config.kept.revisions_for = 10 * HOUR;
            config.tombstones.sweep_every = HOUR;
        }).await;
        three_turns(&session).await;
        session.truncate(4, "first", None).await.unwrap();
        tokio::time::sleep(6 * HOUR).await;
        let second = session.truncate(2, "second", None).await.unwrap().version;
        turn(&session, "other").await;
        tokio::time::sleep(6 * HOUR).await;
        assert_eq!(revised(&session).await, [(cut("second"), owned(&["2", "-2"]))]);
        session.restore_revision(second, None).await.unwrap();
        tokio::time::sleep(6 * HOUR).await;
        let replaced = RevisionReason::Restored { revision: second };
        assert_eq!(revised(&session).await, [(replaced, owned(&["other", "-other"]))]);
        tokio::time::sleep(6 * HOUR).await;
        assert_eq!(revised(&session).await, []);
        assert_eq!(texts(&session).await, ["1", "-1", "2", "-2"]);
        let key = key("#rust");
        assert_eq!(supervisor.open(&key).await.unwrap().id(), session.id());
        quiet(&supervisor, &session).await;
    }
}

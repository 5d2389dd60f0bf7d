//! A store that fails, for a while: everybody is told in a typed error, nothing acknowledged is lost,
//! and the same handle goes on once the fault is over.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::similar_names,
    clippy::default_trait_access,
    clippy::manual_assert,
    clippy::wildcard_enum_match_arm,
    reason = "a test, which does not run on the library's seam"
)]

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use session_supervisor::store::{
    Binding, Bound, BranchRecord, CleanStop, Created, DuePage, DueQuery, FenceReason, Forget,
    Found, Lane, NewRecord, RequestRecord, ResumeRecord, Revision, RunsFound, Store, StoreError,
    StoreFuture, StoredEntry, StoredPartial, TurnRecord, Write,
};
use session_supervisor::testing::{Fault, FaultyStore, Gate, StoreCall};
use session_supervisor::{
    BeginError, BeginOptions, BusyPolicy, CancelOutcome, CancelReason, CommitError, CommitOutcome,
    DeleteOutcome, EntryMark, FailedInput, Generation, Incarnation, InstanceId, Lookup,
    RecordFilter, RecordPage, Session, SessionError, SessionId, SessionKey, Supervisor, Timestamp,
    Turn, TurnOutcome, TurnPhase,
};
use support::{
    begin, commit, committed, everywhere, key, poll_once, quiet, read_out, says, settled, texts,
    user,
};

/// Every fault after which the write has not happened, and the one after which it has.
fn faults() -> [(Fault, bool); 4] {
    [
        (Fault::Unavailable, false),
        (Fault::Full, false),
        (Fault::UnknownAndLost, false),
        (Fault::UnknownButApplied, true),
    ]
}

/// Whether `error` is what `fault` is told as.
fn tells(error: &StoreError, fault: &Fault) -> bool {
    match fault {
        Fault::Unavailable => matches!(error, StoreError::Unavailable { .. }),
        Fault::Full => matches!(error, StoreError::Full { .. }),
        _ => matches!(error, StoreError::OutcomeUnknown { .. }),
    }
}

/// A turn and its reply, as if nothing had ever happened.
async fn goes_on(supervisor: &Supervisor, session: &Session) {
    let turn = session.begin(&user("again"), BusyPolicy::Reject).await.unwrap();
    assert_eq!(session.status().attachable(), Some(turn.stream()));
    committed(turn, "at last").await;
    quiet(supervisor, session).await;
    let said = texts(session).await;
    assert_eq!(said[said.len() - 2..], ["again", "at last"]);
    assert!(session.record().await.unwrap().open.is_empty());
}

everywhere! {
    // C6, G12, A10 (no turn is left), C11
    async fn a_begin_that_the_store_fails_is_told_and_the_next_one_begins(stage) {
        let (supervisor, session) = stage.session().await;
        for (fault, applied) in faults() {
            let before = session.entries(0, 100).await.unwrap().len();
            stage.store.fail_next_of(StoreCall::Begin, fault.clone());
            let error = session.begin(&user("lost?"), ()).await.unwrap_err();
            let BeginError::Store { id, source } = &error else { panic!("{error:?}") };
            assert_eq!(id, session.id());
            assert!(tells(source, &fault), "{source:?}");
            goes_on(&supervisor, &session).await;
            let entries = session.entries(0, 100).await.unwrap();
            assert_eq!(entries.len() - before, 2 + usize::from(applied));
            if applied {
                let kept = entries.iter().find(|entry| entry.mark == EntryMark::Unanswered).unwrap();
                assert_eq!(kept.content.as_ref().unwrap().content, "lost?");
            }
        }
        let counts = supervisor.counts();
        assert_eq!((counts.unloaded, counts.loaded), (4, 5));
        assert_eq!(counts.store_failures, 4);
    }

    // C4, C6: nothing of a commit is there, or all of it
    async fn a_commit_that_the_store_fails_leaves_all_or_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        for (fault, applied) in faults() {
            let turn = session.begin(&user("question"), ()).await.unwrap();
            let (stream, reader) = (turn.stream(), turn.subscribe());
            quiet(&supervisor, &session).await;
            let before = session.record().await.unwrap();
            stage.store.fail_next_of(StoreCall::Commit, fault.clone());
            let reply = [says("one"), says("two")];
            let reply: session_supervisor::Reply<'_, _> = reply.as_slice().into();
            let reply = reply.insert("mood", &format!("{fault:?}"));
            let error = turn.commit(reply).await.unwrap_err();
            let CommitError::Store { stream: told, source } = &error else { panic!("{error:?}") };
            assert_eq!(*told, stream);
            assert!(tells(source, &fault), "{source:?}");
            assert_eq!(read_out(reader).await.1, TurnOutcome::Interrupted);
            // As it was before, or as it would be after; never between. Read from the store itself: the
            // session would clear the turn that nobody holds any more.
            let after = stage.store.look_up(session.id(), supervisor.now()).await.unwrap();
            let Found::Live(after) = after else { panic!("{after:?}") };
            let mood: Option<String> = session.get("mood").await.unwrap();
            let took = usize::from(applied);
            assert_eq!(after.version, before.version + u64::from(applied));
            assert_eq!(after.entries, before.entries + 2 * u64::from(applied));
            assert_eq!(after.open.len(), 1 - took);
            assert_eq!(mood == Some(format!("{fault:?}")), applied);
            let outcome = stage.store.turn(session.id(), before.incarnation, stream.generation());
            let outcome = outcome.await.unwrap().map(|turn| turn.outcome);
            assert_eq!(outcome, applied.then_some(TurnOutcome::Committed));
            goes_on(&supervisor, &session).await;
            let settled = stage.store.turn(session.id(), before.incarnation, stream.generation());
            let settled = settled.await.unwrap().unwrap().outcome;
            let expected = if applied { TurnOutcome::Committed } else { TurnOutcome::Interrupted };
            assert_eq!(settled, expected);
        }
    }

    // C4, C11
    async fn an_end_without_a_reply_that_the_store_fails_is_recorded_on_the_next_use(stage) {
        let (supervisor, session) = stage.session().await;
        for (fault, applied) in faults() {
            let turn = session.begin(&user("question"), ()).await.unwrap();
            let (stream, reader) = (turn.stream(), turn.subscribe());
            stage.store.fail_next_of(StoreCall::Settle, fault.clone());
            let error = turn.fail(FailedInput::Drop).await.unwrap_err();
            assert!(tells(&error, &fault), "{error:?}");
            assert_eq!(read_out(reader).await.1, TurnOutcome::Interrupted);
            goes_on(&supervisor, &session).await;
            let record = session.record().await.unwrap();
            let settled = stage.store.turn(session.id(), record.incarnation, stream.generation());
            let expected = if applied { TurnOutcome::Failed } else { TurnOutcome::Interrupted };
            assert_eq!(settled.await.unwrap().unwrap().outcome, expected);
        }
    }

    // C11: a dropped turn whose settling fails
    async fn a_dropped_turn_whose_end_the_store_fails_does_not_keep_the_session_busy(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let reader = turn.subscribe();
        stage.store.fail_next_of(StoreCall::Settle, Fault::Unavailable);
        drop(turn);
        assert_eq!(read_out(reader).await.1, TurnOutcome::Interrupted);
        goes_on(&supervisor, &session).await;
        let kept = session.transcript().await.unwrap();
        assert_eq!(kept[0].mark, EntryMark::Unanswered, "the input is kept");
    }

    async fn changes_that_the_store_fails_are_told_and_nothing_else_is_lost(stage) {
        let (supervisor, session) = stage.session().await;
        session.append(&[user("kept")]).await.unwrap();
        session.insert("kept", &1).await.unwrap();
        for (fault, applied) in faults() {
            let before = session.record().await.unwrap();
            let told = |error: &SessionError| {
                let SessionError::Store { id, source } = error else { panic!("{error:?}") };
                assert_eq!(id, session.id());
                assert!(tells(source, &fault), "{source:?}");
            };
            stage.store.fail_next_of(StoreCall::Append, fault.clone());
            told(&session.append(&[user("lost?")]).await.unwrap_err());
            stage.store.fail_next_of(StoreCall::PutData, fault.clone());
            told(&session.insert("lost?", &format!("{fault:?}")).await.unwrap_err());
            stage.store.fail_next_of(StoreCall::PutData, fault.clone());
            told(&session.remove("nothing").await.unwrap_err());
            stage.store.fail_next_of(StoreCall::Label, fault.clone());
            told(&session.set_label(Some(&format!("{fault:?}"))).await.unwrap_err());
            let after = session.record().await.unwrap();
            assert_eq!(after.version - before.version, 3 * u64::from(applied));
            assert_eq!(after.entries - before.entries, u64::from(applied));
            assert_eq!(after.label == Some(format!("{fault:?}")), applied);
            let datum: Option<String> = session.get("lost?").await.unwrap();
            assert_eq!(datum == Some(format!("{fault:?}")), applied);
            let version = session.insert("after", &2).await.unwrap();
            assert_eq!(version, after.version + 1);
            goes_on(&supervisor, &session).await;
        }
        assert_eq!(session.get::<u32>("kept").await.unwrap(), Some(1));
        assert_eq!(texts(&session).await[0], "kept");
    }

    // C5, C11: the turn that is open while another write fails
    async fn the_holder_of_an_open_turn_is_told_when_another_write_fails(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let (token, reader) = (turn.token(), turn.subscribe());
        let mut waiting = begin(&session, "waits", BusyPolicy::queue());
        assert!(poll_once(&mut waiting).is_pending());
        stage.store.fail_next_of(StoreCall::Append, Fault::Full);
        assert!(session.append(&[user("notice")]).await.is_err());
        token.cancelled().await;
        assert_eq!(turn.cancelled().await, CancelReason::StoreFailed);
        assert_eq!(turn.emit("more").unwrap_err().reason, CancelReason::StoreFailed);
        let waited = waiting.await.unwrap_err();
        assert!(matches!(waited, BeginError::Store { source: StoreError::Full { .. }, .. }), "{waited:?}");
        let late = commit(turn, "late").await;
        assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::StoreFailed });
        assert_eq!(read_out(reader).await.1, TurnOutcome::Interrupted);
        goes_on(&supervisor, &session).await;
        assert_eq!(texts(&session).await, ["question", "again", "at last"]);
    }

    // B11, G12: a store that hangs holds up what needs it and nothing else, and nothing is lost
    async fn a_store_that_hangs_and_then_fails_or_not_loses_nothing_that_was_told(stage) {
        let (supervisor, session) = stage.session().await;
        for fails in [false, true] {
            let gate = Gate::new();
            stage.store.fail_next_of(StoreCall::Begin, Fault::HeldBefore(gate.clone()));
            if fails {
                stage.store.fail_next_of(StoreCall::Append, Fault::Unavailable);
            }
            let beginning = tokio::spawn(begin(&session, "held", ()));
            gate.wait_until_reached().await;
            let appending = tokio::spawn({
                let session = session.clone();
                async move { session.append(&[says("notice")]).await }
            });
            support::until("both are owed", || session.status().unwritten == 2).await;
            assert!(!beginning.is_finished() && !appending.is_finished());
            gate.open();
            let (begun, appended) = (beginning.await.unwrap(), appending.await.unwrap());
            assert_eq!(appended.is_err(), fails);
            match begun {
                Ok(turn) if fails => {
                    let late = commit(turn, "late").await;
                    assert!(matches!(late, CommitOutcome::Stale { .. }), "{late:?}");
                }
                Ok(turn) => drop(committed(turn, "reply").await),
                // The failure was there before the answer.
                Err(error) => assert!(fails, "{error:?}"),
            }
            goes_on(&supervisor, &session).await;
        }
    }

    // D3, B14, B17: the handle that was there before the failure sees, and stops, what runs now
    async fn a_handle_from_before_a_failure_sees_and_stops_the_turn_that_runs_now(stage) {
        let (supervisor, session) = stage.session().await;
        stage.store.fail_next_of(StoreCall::Append, Fault::Unavailable);
        assert!(session.append(&[user("notice")]).await.is_err());
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let stream = turn.stream();
        assert_eq!(session.status().attachable(), Some(stream));
        assert_eq!(session.subscribe().map(|reader| reader.stream()), Some(stream));
        assert!(session.subscribe_to(stream).is_some());
        assert_eq!(session.transcript().await.unwrap()[0].mark, EntryMark::Pending);
        assert_eq!(session.cancel(stream), CancelOutcome::Cancelling { streams: vec![stream] });
        assert_eq!(turn.cancelled().await, CancelReason::Stopped);
        assert_eq!(session.stop(), CancelOutcome::AlreadyCancelling { streams: vec![stream] });
        drop(turn);
        quiet(&supervisor, &session).await;
    }

    // A5: the handle that was there before the failure hears of a delete through another one
    async fn a_handle_from_before_a_failure_knows_that_its_session_is_gone(stage) {
        let (supervisor, session) = stage.session().await;
        stage.store.fail_next_of(StoreCall::Append, Fault::Unavailable);
        assert!(session.append(&[user("notice")]).await.is_err());
        let other = supervisor.open(&key("#rust")).await.unwrap();
        assert_eq!(session.status().gone, None);
        other.delete().await.unwrap();
        let gone = session.status().gone;
        assert_eq!((gone, gone.is_some()), (other.status().gone, true));
        assert!(matches!(session.begin(&user("x"), ()).await, Err(BeginError::Gone { .. })));
        assert!(matches!(session.delete().await.unwrap(), DeleteOutcome::AlreadyGone(_)));
        settled(&supervisor).await;
    }

    // C2, D3: "the first turn's id hit the second": a begin that failed gave its number back
    async fn a_turn_number_is_not_used_again_after_its_begin_has_failed(stage) {
        let (supervisor, session) = stage.session().await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let gate = Gate::new();
            // Refused by the store, after somebody has seen the turn start.
            stage.store.fail_next_of(StoreCall::Append, Fault::HeldBefore(gate.clone()));
            stage.store.fail_next_of(StoreCall::Begin, Fault::Unavailable);
            let appending = tokio::spawn({
                let session = session.clone();
                async move { session.append(&[says("notice")]).await }
            });
            gate.wait_until_reached().await;
            let mut first = begin(&session, "first", ());
            assert!(poll_once(&mut first).is_pending());
            let busy = session.begin(&user("x"), BusyPolicy::Reject).await.unwrap_err();
            let BeginError::Busy { holder, .. } = busy else { panic!("{busy:?}") };
            assert_eq!(holder.phase, TurnPhase::Starting);
            gate.open();
            appending.await.unwrap().unwrap();
            assert!(matches!(first.await, Err(BeginError::Store { .. })));
            // A load once started at the same place each time: the second was the first again.
            assert!(!seen.contains(&holder.stream), "{seen:?}");
            seen.push(holder.stream);
        }
        let second = session.begin(&user("second"), ()).await.unwrap();
        for stream in seen {
            assert_ne!(second.stream(), stream);
            assert_eq!(session.cancel(stream), CancelOutcome::NotRunning);
        }
        assert_eq!(second.cancelled_by(), None);
        committed(second, "reply").await;
        quiet(&supervisor, &session).await;
    }

    // C8: what a failed write would have made of the version is not what the session is at
    async fn the_version_after_a_failed_write_is_the_one_in_the_store(stage) {
        let (supervisor, session) = stage.session().await;
        stage.store.fail_next_of(StoreCall::PutData, Fault::Unavailable);
        assert!(session.insert("mood", &1).await.is_err());
        let turn = session.begin(&user("x"), BeginOptions::default().expect_version(0)).await.unwrap();
        assert_eq!(session.status().version, 0);
        committed(turn, "reply").await;
        quiet(&supervisor, &session).await;
    }

    // E6, E2
    async fn a_delete_that_the_store_fails_stays_closed_and_the_next_one_finishes_it(stage) {
        for (number, (fault, _)) in faults().into_iter().enumerate() {
            let supervisor = stage.start().await;
            let session = supervisor.open(&key(&number.to_string())).await.unwrap();
            let turn = session.begin(&user("question"), ()).await.unwrap();
            stage.store.fail_next_of(StoreCall::Delete, fault.clone());
            let error = session.delete().await.unwrap_err();
            assert_eq!(&error.id, session.id());
            assert!(tells(&error.source, &fault), "{error:?}");
            assert!(session.status().closing);
            assert!(matches!(session.begin(&user("x"), ()).await, Err(BeginError::Closing { .. })));
            assert!(supervisor.look_up(session.id()).await.is_err());
            let late = commit(turn, "late").await;
            assert_eq!(late, CommitOutcome::Stale { reason: CancelReason::Deleted });
            assert!(matches!(session.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
            assert!(matches!(session.delete().await.unwrap(), DeleteOutcome::AlreadyGone(_)));
            settled(&supervisor).await;
        }
    }

    // A5: what is read of a session that was deleted says so, and is no failure of the store
    async fn what_is_read_through_a_handle_of_a_deleted_session_says_gone(stage) {
        let (supervisor, session) = stage.session().await;
        session.insert("mood", &1).await.unwrap();
        session.delete().await.unwrap();
        let gone = |error: SessionError| {
            assert!(matches!(&error, SessionError::Gone { id, .. } if id == session.id()), "{error:?}");
        };
        gone(session.get::<u32>("mood").await.unwrap_err());
        gone(session.transcript().await.unwrap_err());
        gone(session.entries(0, 10).await.unwrap_err());
        gone(session.record().await.unwrap_err());
        gone(session.insert("mood", &2).await.unwrap_err());
        gone(session.append(&[user("x")]).await.unwrap_err());
        assert_eq!(supervisor.counts().store_failures, 0);
        settled(&supervisor).await;
    }

    // G12, A5
    async fn reads_that_the_store_fails_are_told_and_change_nothing(stage) {
        let (supervisor, session) = stage.session().await;
        for call in [StoreCall::Entries, StoreCall::Datum, StoreCall::LookUp, StoreCall::List] {
            stage.store.fail_next_of(call, Fault::Unavailable);
        }
        assert!(matches!(session.transcript().await, Err(SessionError::Store { .. })));
        assert!(matches!(session.get::<u32>("x").await, Err(SessionError::Store { .. })));
        assert!(matches!(session.record().await, Err(SessionError::Store { .. })));
        assert!(supervisor.list(RecordFilter::default(), None, 10).await.is_err());
        assert_eq!(stage.store.faults_left(), 0);
        assert_eq!(supervisor.counts().store_failures, 4);
        assert_eq!(supervisor.counts().unloaded, 0);
        goes_on(&supervisor, &session).await;
    }

    // C4, C11, L6: each write of a conversation fails once, in every way
    async fn whatever_write_of_a_conversation_fails_the_session_goes_on(stage) {
        let supervisor = stage.start().await;
        let mut number = 0;
        for nth in 1..=8 {
            for (fault, _) in faults() {
                number += 1;
                let session = supervisor.open(&key(&number.to_string())).await.unwrap();
                stage.store.fail_nth(nth, fault.clone());
                let turn = session.begin(&user("1"), ()).await;
                if let Ok(turn) = turn {
                    drop(session.append(&[says("aside")]).await);
                    drop(turn.commit(&says("2")).await);
                }
                drop(session.begin(&user("3"), BusyPolicy::Queue { max: 1, wait: None }).await);
                drop(session.insert("x", &1).await);
                stage.store.heal();
                support::until("it is free", || !session.status().is_busy()).await;
                goes_on(&supervisor, &session).await;
            }
        }
        assert_eq!(stage.store.check().await.unwrap(), Vec::<String>::new());
        settled(&supervisor).await;
    }
}

/// Panics where it is told to, once: as it is called, or as its answer is awaited.
#[derive(Debug)]
struct PanickingStore {
    inner: FaultyStore,
    next: AtomicU8,
}

const AT_THE_CALL: u8 = 1;
const AT_THE_AWAIT: u8 = 2;

impl PanickingStore {
    fn pass<T: Send + Unpin + 'static>(
        &self,
        ask: impl FnOnce() -> StoreFuture<T>,
    ) -> StoreFuture<T> {
        match self.next.swap(0, Ordering::SeqCst) {
            AT_THE_CALL => panic!("the store, as it is called"),
            AT_THE_AWAIT => {
                let answer = ask();
                StoreFuture::pending(async move {
                    drop(answer.await);
                    panic!("the store, as it is awaited")
                })
            }
            _ => ask(),
        }
    }
}

type Answer<T> = StoreFuture<Result<T, StoreError>>;

impl Store for PanickingStore {
    fn create(&self, new: NewRecord) -> Answer<Created> {
        self.pass(|| self.inner.create(new))
    }
    fn write(&self, id: &SessionId, life: Incarnation, write: Write) -> Answer<()> {
        self.pass(|| self.inner.write(id, life, write))
    }
    fn look_up(&self, id: &SessionId, now: Timestamp) -> Answer<Found> {
        self.inner.look_up(id, now)
    }
    fn bound_to(&self, key: &SessionKey) -> Answer<Option<SessionId>> {
        self.inner.bound_to(key)
    }
    fn bind(&self, binding: Binding, to: Option<(SessionId, Incarnation)>) -> Answer<Bound> {
        self.pass(|| self.inner.bind(binding, to))
    }
    fn keys_of(&self, id: &SessionId, life: Incarnation) -> Answer<Vec<SessionKey>> {
        self.inner.keys_of(id, life)
    }
    fn entries(
        &self,
        id: &SessionId,
        life: Incarnation,
        after: u64,
        limit: usize,
    ) -> Answer<Vec<StoredEntry>> {
        self.inner.entries(id, life, after, limit)
    }
    fn datum(&self, id: &SessionId, life: Incarnation, name: &str) -> Answer<Option<Bytes>> {
        self.inner.datum(id, life, name)
    }
    fn turn(
        &self,
        id: &SessionId,
        life: Incarnation,
        turn: Generation,
    ) -> Answer<Option<TurnRecord>> {
        self.inner.turn(id, life, turn)
    }
    fn list(
        &self,
        filter: RecordFilter,
        after: Option<Incarnation>,
        limit: usize,
    ) -> Answer<RecordPage> {
        self.inner.list(filter, after, limit)
    }
    fn count(&self) -> Answer<u64> {
        self.inner.count()
    }

    fn lanes(&self) -> Answer<Vec<Lane>> {
        self.inner.lanes()
    }
    fn due(&self, query: DueQuery, limit: usize) -> Answer<DuePage> {
        self.inner.due(query, limit)
    }
    fn partial(
        &self,
        id: &SessionId,
        life: Incarnation,
        turn: Generation,
    ) -> Answer<Option<StoredPartial>> {
        self.inner.partial(id, life, turn)
    }
    fn request(
        &self,
        id: &SessionId,
        life: Incarnation,
        key: &str,
    ) -> Answer<Option<RequestRecord>> {
        self.inner.request(id, life, key)
    }
    fn resume(&self, id: &SessionId, life: Incarnation, whose: &str) -> Answer<ResumeRecord> {
        self.inner.resume(id, life, whose)
    }
    fn branches(&self, id: &SessionId, life: Incarnation) -> Answer<Vec<BranchRecord>> {
        self.inner.branches(id, life)
    }
    fn revisions(&self, id: &SessionId, life: Incarnation) -> Answer<Vec<Revision>> {
        self.inner.revisions(id, life)
    }
    fn forget(&self, what: Forget, limit: usize) -> Answer<usize> {
        self.inner.forget(what, limit)
    }
    fn open_run(&self, instance: InstanceId, at: Timestamp) -> Answer<RunsFound> {
        self.inner.open_run(instance, at)
    }
    fn close_run(&self, instance: InstanceId, stop: CleanStop) -> Answer<()> {
        self.inner.close_run(instance, stop)
    }
    fn check(&self) -> Answer<Vec<String>> {
        self.inner.check()
    }
    fn close(&self) -> Answer<()> {
        self.inner.close()
    }
}

everywhere! {
    // M1, M4: a store that panics takes a caller or an actor with it, and no session
    async fn a_store_that_panics_leaves_every_session_usable(stage) {
        let store = Arc::new(PanickingStore { inner: stage.store.clone(), next: AtomicU8::new(0) });
        let supervisor: Supervisor =
            Supervisor::builder().shared_store(store.clone()).start().await.unwrap();
        for (number, at) in [AT_THE_CALL, AT_THE_AWAIT, AT_THE_CALL, AT_THE_AWAIT].into_iter().enumerate() {
            let key = key(&number.to_string());
            // A create that panics is its caller's panic.
            store.next.store(at, Ordering::SeqCst);
            let theirs = (supervisor.clone(), key.clone());
            let opened = tokio::spawn(async move { theirs.0.open(&theirs.1).await.map(drop) });
            assert!(opened.await.unwrap_err().is_panic());
            assert_eq!(supervisor.in_flight(), 0);
            let session = supervisor.open(&key).await.unwrap();
            // So is a begin, or it is told that nobody knows.
            store.next.store(at, Ordering::SeqCst);
            match tokio::spawn(begin(&session, "begins", ())).await {
                Ok(begun) => {
                    let error = begun.unwrap_err();
                    let BeginError::Store { source, .. } = &error else { panic!("{error:?}") };
                    assert!(matches!(source, StoreError::OutcomeUnknown { .. }), "{source:?}");
                }
                Err(panicked) => assert!(panicked.is_panic()),
            }
            goes_on(&supervisor, &session).await;
            // A commit, and what waits behind it.
            let turn: Turn = session.begin(&user("commits"), ()).await.unwrap();
            let reader = turn.subscribe();
            store.next.store(at, Ordering::SeqCst);
            match tokio::spawn(async move { turn.commit(&says("reply")).await }).await {
                Ok(Err(CommitError::Store { source, .. })) => {
                    assert!(matches!(source, StoreError::OutcomeUnknown { .. }), "{source:?}");
                }
                Ok(other) => panic!("{other:?}"),
                Err(panicked) => assert!(panicked.is_panic()),
            }
            assert_eq!(read_out(reader).await.1, TurnOutcome::Interrupted);
            goes_on(&supervisor, &session).await;
            // A turn that is dropped, so that the panic comes out of a drop or out of the actor.
            let turn = session.begin(&user("drops"), ()).await.unwrap();
            let reader = turn.subscribe();
            store.next.store(at, Ordering::SeqCst);
            drop(tokio::spawn(async move { drop(turn) }).await);
            assert_eq!(read_out(reader).await.1, TurnOutcome::Interrupted);
            goes_on(&supervisor, &session).await;
            // A delete stays to be finished.
            store.next.store(at, Ordering::SeqCst);
            let theirs = session.clone();
            match tokio::spawn(async move { theirs.delete().await }).await {
                Ok(deleted) => assert!(deleted.is_err(), "{deleted:?}"),
                Err(panicked) => assert!(panicked.is_panic()),
            }
            assert!(matches!(session.delete().await.unwrap(), DeleteOutcome::Deleted(_)));
            assert!(matches!(supervisor.look_up(session.id()).await.unwrap(), Lookup::Gone(_)));
        }
        settled(&supervisor).await;
        let ended = supervisor.shutdown(std::time::Duration::from_secs(5)).await.unwrap();
        assert!(ended.clean, "{ended:?}");
        let counts = supervisor.counts();
        assert_eq!(counts.actors_started, counts.actors_ended);
    }

    // E5, C1: a write that was given up and arrives late
    async fn a_write_that_was_refused_as_late_never_ends_in_the_transcript(stage) {
        let (supervisor, session) = stage.session().await;
        let turn = session.begin(&user("question"), ()).await.unwrap();
        let refused = Fault::Refused(StoreError::fenced(FenceReason::TurnNotOpen));
        stage.store.fail_next_of(StoreCall::Commit, refused);
        let error = turn.commit(&says("reply")).await.unwrap_err();
        assert!(matches!(error, CommitError::Store { source: StoreError::Fenced { .. }, .. }), "{error:?}");
        goes_on(&supervisor, &session).await;
        assert_eq!(texts(&session).await, ["question", "again", "at last"]);
    }
}

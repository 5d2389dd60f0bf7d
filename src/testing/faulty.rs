//! A store that fails when it is told to.
//!
//! Invariants: the script and the counters belong to one [`FaultyStore`]; a call is counted when it
//! is made, whether it fails or not; a call meets one fault at most, the first in the script that
//! is meant for it.

mod call;
mod script;

use std::fmt;

use bytes::Bytes;

pub use self::call::StoreCall;
use self::script::Script;
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, InstanceId, SessionId};
use crate::key::SessionKey;
use crate::rt::{self, Arc, Mutex, Spawner, oneshot};
use crate::store::{
    Binding, Bound, BranchRecord, CleanStop, Created, DuePage, DueQuery, Forget, Found, HealReport,
    Lane, NewRecord, RecordFilter, RecordPage, RequestRecord, ResumeRecord, Revision, RunsFound,
    Store, StoreError, StoreFuture, StoredEntry, StoredPartial, TurnRecord, Write,
};
use crate::testing::Gate;

/// What a [`FaultyStore`] does with a call instead of passing it on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Fails with [`StoreError::Unavailable`]; the store behind is not asked.
    Unavailable,
    /// Fails with [`StoreError::Full`]; the store behind is not asked.
    Full,
    /// Fails with the given error; the store behind is not asked.
    Refused(StoreError),
    /// Answers [`StoreError::OutcomeUnknown`], and the store behind has done it.
    UnknownButApplied,
    /// Answers [`StoreError::OutcomeUnknown`], and the store behind was not asked.
    UnknownAndLost,
    /// Reaches the store behind only when the gate lets it through. Like any call it happens even
    /// if its future is dropped; it needs a runtime, since a task carries it there.
    HeldBefore(Gate),
    /// Reaches the store behind at once; the answer comes when the gate lets it through.
    HeldAfter(Gate),
}

/// Stands in front of a store, fails as it is told to, and counts. A clone is another handle to the
/// same one.
///
/// Without a script it passes everything on. What passes through keeps the promises of the store
/// behind; a fault breaks none of them, since a store may fail.
#[derive(Clone)]
pub struct FaultyStore {
    /// The store behind.
    inner: Arc<dyn Store>,
    /// What is to fail, and what was called.
    script: Arc<Mutex<Script>>,
    /// Whether an answer that is there already is held back for one poll.
    yields: bool,
}

impl FaultyStore {
    /// Passes everything on, as the store behind answers it.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, script: Arc::default(), yields: false }
    }

    /// Passes everything on, and gives every answer only at its second poll: so a store that
    /// answers at once takes the path of one that has to be awaited.
    pub fn pending(inner: Arc<dyn Store>) -> Self {
        Self { yields: true, ..Self::new(inner) }
    }

    /// The next call meets `fault`.
    pub fn fail_next(&self, fault: Fault) {
        self.fail_nth(1, fault);
    }

    /// The `nth` call from now on meets `fault`; 1 is the next.
    pub fn fail_nth(&self, nth: u64, fault: Fault) {
        self.script.lock().add(None, nth, fault);
    }

    /// The next call of this kind meets `fault`.
    pub fn fail_next_of(&self, call: StoreCall, fault: Fault) {
        self.fail_nth_of(call, 1, fault);
    }

    /// The `nth` call of this kind from now on meets `fault`; 1 is the next.
    pub fn fail_nth_of(&self, call: StoreCall, nth: u64, fault: Fault) {
        self.script.lock().add(Some(call), nth, fault);
    }

    /// Every call meets `fault`, until [`heal`](Self::heal).
    pub fn fail_every(&self, fault: Fault) {
        self.script.lock().always(None, fault);
    }

    /// Every call of this kind meets `fault`, until [`heal`](Self::heal).
    pub fn fail_every_of(&self, call: StoreCall, fault: Fault) {
        self.script.lock().always(Some(call), fault);
    }

    /// Forgets all faults that have not been met. Does not open gates.
    pub fn heal(&self) {
        self.script.lock().clear();
    }

    /// How many faults wait to be met; those for every call count until [`heal`](Self::heal).
    pub fn faults_left(&self) -> usize {
        self.script.lock().left()
    }

    /// How many calls there were since it was made, or since [`reset_calls`](Self::reset_calls).
    pub fn calls(&self) -> u64 {
        self.script.lock().count(|_| true)
    }

    /// How many calls of this kind there were, like [`calls`](Self::calls).
    pub fn calls_of(&self, call: StoreCall) -> u64 {
        self.script.lock().count(|made| made == call)
    }

    /// How many calls there were that may change a session, like [`calls`](Self::calls).
    pub fn writes(&self) -> u64 {
        self.script.lock().count(StoreCall::is_write)
    }

    /// Counts from 0 again. Faults that wait for the nth call are not put off.
    pub fn reset_calls(&self) {
        self.script.lock().reset();
    }

    /// Counts a call, and does with it what the script says.
    fn pass<T: Send + Unpin + 'static>(
        &self,
        call: StoreCall,
        ask: impl FnOnce(&dyn Store) -> StoreFuture<Result<T, StoreError>> + Send + 'static,
    ) -> StoreFuture<Result<T, StoreError>> {
        let fault = self.script.lock().meet(call);
        let Some(fault) = fault else { return self.answer(ask(&*self.inner)) };
        let what = format!("a scripted fault of {call:?}");
        match fault {
            Fault::Unavailable => self.refuse(StoreError::Unavailable { what, source: None }),
            Fault::Full => self.refuse(StoreError::Full { what }),
            Fault::Refused(error) => self.refuse(error),
            Fault::UnknownAndLost => self.refuse(StoreError::OutcomeUnknown { what, source: None }),
            Fault::UnknownButApplied => {
                let answer = ask(&*self.inner);
                StoreFuture::pending(async move {
                    // What was refused is known not to have happened, and is told as it is.
                    answer.await?;
                    Err(StoreError::OutcomeUnknown { what, source: None })
                })
            }
            Fault::HeldBefore(gate) => self.hold_before(gate, ask),
            Fault::HeldAfter(gate) => {
                let answer = ask(&*self.inner);
                StoreFuture::pending(async move {
                    gate.wait().await;
                    answer.await
                })
            }
        }
    }

    /// Passes an answer on, in the way of this store.
    fn answer<T: Send + Unpin + 'static>(&self, answer: StoreFuture<T>) -> StoreFuture<T> {
        if !self.yields {
            return answer;
        }
        StoreFuture::pending(async move {
            rt::yield_now().await;
            answer.await
        })
    }

    /// An answer without the store behind.
    fn refuse<T: Send + Unpin + 'static>(
        &self,
        error: StoreError,
    ) -> StoreFuture<Result<T, StoreError>> {
        self.answer(StoreFuture::ready(Err(error)))
    }

    /// Has a task wait at `gate` and ask the store behind, whoever waits for the answer.
    fn hold_before<T: Send + Unpin + 'static>(
        &self,
        gate: Gate,
        ask: impl FnOnce(&dyn Store) -> StoreFuture<Result<T, StoreError>> + Send + 'static,
    ) -> StoreFuture<Result<T, StoreError>> {
        let spawner = Spawner::current().expect("a call is held on a runtime only");
        let inner = Arc::clone(&self.inner);
        let (told, answer) = oneshot::channel();
        // Detached: it ends with the gate, or with the runtime.
        drop(spawner.spawn(async move {
            gate.wait().await;
            // Nobody may be waiting for the answer any more.
            told.send(ask(&*inner).await).ok();
        }));
        StoreFuture::pending(async move {
            let lost =
                || StoreError::Unavailable { what: "the runtime ended".into(), source: None };
            answer.await.unwrap_or_else(|_| Err(lost()))
        })
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore")
            .field("inner", &self.inner)
            .field("calls", &self.calls())
            .field("faults_left", &self.faults_left())
            .finish_non_exhaustive()
    }
}

impl Store for FaultyStore {
    fn create(&self, new: NewRecord) -> StoreFuture<Result<Created, StoreError>> {
        self.pass(StoreCall::Create, move |inner| inner.create(new))
    }

    fn write(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        write: Write,
    ) -> StoreFuture<Result<(), StoreError>> {
        let id = id.clone();
        self.pass(StoreCall::of(&write), move |inner| inner.write(&id, incarnation, write))
    }

    fn look_up(&self, id: &SessionId, now: Timestamp) -> StoreFuture<Result<Found, StoreError>> {
        let id = id.clone();
        self.pass(StoreCall::LookUp, move |inner| inner.look_up(&id, now))
    }

    fn life_of(&self, id: &SessionId) -> StoreFuture<Result<Option<Incarnation>, StoreError>> {
        let id = id.clone();
        self.pass(StoreCall::LifeOf, move |inner| inner.life_of(&id))
    }

    fn bound_to(&self, key: &SessionKey) -> StoreFuture<Result<Option<SessionId>, StoreError>> {
        let key = key.clone();
        self.pass(StoreCall::BoundTo, move |inner| inner.bound_to(&key))
    }

    fn bind(
        &self,
        binding: Binding,
        to: Option<(SessionId, Incarnation)>,
    ) -> StoreFuture<Result<Bound, StoreError>> {
        self.pass(StoreCall::Bind, move |inner| inner.bind(binding, to))
    }

    fn keys_of(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<SessionKey>, StoreError>> {
        let id = id.clone();
        self.pass(StoreCall::KeysOf, move |inner| inner.keys_of(&id, incarnation))
    }

    fn entries(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        after: u64,
        limit: usize,
    ) -> StoreFuture<Result<Vec<StoredEntry>, StoreError>> {
        let id = id.clone();
        self.pass(StoreCall::Entries, move |inner| inner.entries(&id, incarnation, after, limit))
    }

    fn datum(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        name: &str,
    ) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        let (id, name) = (id.clone(), name.to_owned());
        self.pass(StoreCall::Datum, move |inner| inner.datum(&id, incarnation, &name))
    }

    fn turn(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<TurnRecord>, StoreError>> {
        let id = id.clone();
        self.pass(StoreCall::Turn, move |inner| inner.turn(&id, incarnation, generation))
    }

    fn list(
        &self,
        filter: RecordFilter,
        after: Option<Incarnation>,
        limit: usize,
    ) -> StoreFuture<Result<RecordPage, StoreError>> {
        self.pass(StoreCall::List, move |inner| inner.list(filter, after, limit))
    }

    fn count(&self) -> StoreFuture<Result<u64, StoreError>> {
        self.pass(StoreCall::Count, <dyn Store>::count)
    }

    fn lanes(&self) -> StoreFuture<Result<Vec<Lane>, StoreError>> {
        self.pass(StoreCall::Lanes, <dyn Store>::lanes)
    }

    fn due(&self, query: DueQuery, limit: usize) -> StoreFuture<Result<DuePage, StoreError>> {
        self.pass(StoreCall::Due, move |inner| inner.due(query, limit))
    }

    fn partial(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<StoredPartial>, StoreError>> {
        let id = id.clone();
        let ask = move |inner: &dyn Store| inner.partial(&id, incarnation, generation);
        self.pass(StoreCall::ReadPartial, ask)
    }

    fn request(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        key: &str,
    ) -> StoreFuture<Result<Option<RequestRecord>, StoreError>> {
        let (id, key) = (id.clone(), key.to_owned());
        self.pass(StoreCall::Request, move |inner| inner.request(&id, incarnation, &key))
    }

    fn branches(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<BranchRecord>, StoreError>> {
        let id = id.clone();
        self.pass(StoreCall::Branches, move |inner| inner.branches(&id, incarnation))
    }

    fn revisions(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<Revision>, StoreError>> {
        let id = id.clone();
        self.pass(StoreCall::Revisions, move |inner| inner.revisions(&id, incarnation))
    }

    fn resume(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        provider: &str,
    ) -> StoreFuture<Result<ResumeRecord, StoreError>> {
        let (id, provider) = (id.clone(), provider.to_owned());
        let ask = move |inner: &dyn Store| inner.resume(&id, incarnation, &provider);
        self.pass(StoreCall::ReadResume, ask)
    }

    fn forget(&self, what: Forget, limit: usize) -> StoreFuture<Result<usize, StoreError>> {
        self.pass(StoreCall::forgets(what), move |inner| inner.forget(what, limit))
    }

    fn open_run(
        &self,
        instance: InstanceId,
        at: Timestamp,
    ) -> StoreFuture<Result<RunsFound, StoreError>> {
        self.pass(StoreCall::OpenRun, move |inner| inner.open_run(instance, at))
    }

    fn close_run(
        &self,
        instance: InstanceId,
        stop: CleanStop,
    ) -> StoreFuture<Result<(), StoreError>> {
        self.pass(StoreCall::CloseRun, move |inner| inner.close_run(instance, stop))
    }

    fn heal(&self) -> StoreFuture<Result<HealReport, StoreError>> {
        self.pass(StoreCall::Heal, <dyn Store>::heal)
    }

    fn check(&self) -> StoreFuture<Result<Vec<String>, StoreError>> {
        self.pass(StoreCall::Check, <dyn Store>::check)
    }

    fn close(&self) -> StoreFuture<Result<(), StoreError>> {
        self.pass(StoreCall::Close, <dyn Store>::close)
    }
}

//! Shows that the conformance suite can fail: stores with one bug each, and the check that must
//! find it. A suite that silently stops looking would pass everything.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests, which do not run on the library's seam"
)]

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;
use session_supervisor::store::{
    BranchRecord, Created, DataChange, Forget, Found, InputFate, MemoryStore, NewRecord,
    RecordFilter, RecordPage, RequestRecord, Revision, Store, StoreError, StoreFuture, StoredEntry,
    StoredPartial, TurnRecord, Write,
};
use session_supervisor::testing::conformance;
use session_supervisor::{Generation, Incarnation, SessionId, SessionKey, Timestamp, TurnOutcome};

/// What a [`Broken`] store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// Says yes to a commit that is fenced.
    IgnoresTheFenceOfCommits,
    /// Applies the data of a commit that is fenced.
    AppliesHalfOfAFencedCommit,
    /// Leaves keys bound to a deleted session.
    ForgetsToUnbind,
    /// Moves `last_active_at` when a turn is settled as interrupted.
    CountsARepairAsUse,
    /// Removes an input that should be marked.
    DropsInputsSetAside,
    /// Says that more follows whenever a page is full.
    PromisesAPageTooMuch,
    /// Does a write only when its future is polled.
    WritesOnlyWhenPolled,
    /// Says yes to a second delete.
    DeletesTwice,
    /// Looks at the key before the id.
    JudgesTheKeyFirst,
    /// Reads after it was closed.
    ReadsAfterClose,
    /// Takes a tombstone's end for inclusive.
    KeepsTombstonesTooLong,
    /// Takes an empty label for none.
    LosesEmptyLabels,
    /// Ignores which turns are open when it lists.
    IgnoresTheReplyingFilter,
}

impl Bug {
    /// Each bug, and a check that must fail on it.
    const ALL: [(Self, &'static str); 13] = [
        (Self::IgnoresTheFenceOfCommits, "a_commit_of_a_turn_that_is_not_open_changes_nothing"),
        (Self::AppliesHalfOfAFencedCommit, "a_commit_out_of_order_changes_nothing"),
        (Self::ForgetsToUnbind, "a_delete_leaves_nothing_but_the_tombstone"),
        (Self::CountsARepairAsUse, "a_repair_does_not_count_as_use"),
        (Self::DropsInputsSetAside, "an_input_set_aside_is_marked_so"),
        (Self::PromisesAPageTooMuch, "a_full_last_page_has_no_next"),
        (Self::WritesOnlyWhenPolled, "a_write_happens_even_if_its_future_is_dropped"),
        (Self::DeletesTwice, "a_second_delete_is_fenced_and_the_first_tombstone_stands"),
        (Self::JudgesTheKeyFirst, "an_id_is_judged_before_its_key"),
        (Self::ReadsAfterClose, "a_closed_store_refuses_everything"),
        (Self::KeepsTombstonesTooLong, "an_expired_tombstone_permits_a_create"),
        (Self::LosesEmptyLabels, "a_label_changes_and_nothing_with_it"),
        (Self::IgnoresTheReplyingFilter, "each_filter_shows_what_matches"),
    ];
}

/// A memory store with a bug.
#[derive(Debug)]
struct Broken {
    /// The store that does everything else right.
    inner: MemoryStore,
    /// What it does wrong.
    bug: Bug,
    /// What each key was bound to last.
    bound: Mutex<HashMap<SessionKey, SessionId>>,
}

impl Broken {
    /// An empty store with this bug.
    fn new(bug: Bug) -> Self {
        Self { inner: MemoryStore::new(), bug, bound: Mutex::default() }
    }

    /// What becomes of a write that the inner store has fenced.
    fn excuse(
        &self,
        life: (&SessionId, Incarnation),
        write: Write,
        fence: StoreError,
    ) -> Result<(), StoreError> {
        let (id, incarnation) = life;
        match (self.bug, write) {
            (Bug::IgnoresTheFenceOfCommits, Write::Commit { .. })
            | (Bug::DeletesTwice, Write::Delete { .. }) => Ok(()),
            (Bug::AppliesHalfOfAFencedCommit, Write::Commit { data, version, at, .. }) => {
                let half = Write::PutData { changes: data, version, at };
                now(self.inner.write(id, incarnation, half))?;
                Err(fence)
            }
            _ => Err(fence),
        }
    }

    /// Settles as interrupted, and then counts it as use.
    fn repair(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        write: Write,
        at: Timestamp,
    ) -> StoreFuture<Result<(), StoreError>> {
        let answer = self.inner.write(id, incarnation, write);
        if let Ok(Found::Live(record)) = now(self.inner.look_up(id, at)) {
            let changes: Vec<DataChange> = Vec::new();
            let touch = Write::PutData { changes, version: record.version, at };
            drop(self.inner.write(id, incarnation, touch));
        }
        answer
    }
}

/// The answer of a memory store, which is there at once.
fn now<T: Unpin>(mut answer: StoreFuture<T>) -> T {
    let mut context = Context::from_waker(std::task::Waker::noop());
    match Pin::new(&mut answer).poll(&mut context) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a memory store answers at once"),
    }
}

impl Store for Broken {
    fn create(&self, mut new: NewRecord) -> StoreFuture<Result<Created, StoreError>> {
        if let Some(binding) = &new.binding {
            if self.bug == Bug::JudgesTheKeyFirst {
                let bound_to = now(self.inner.bound_to(&binding.key));
                if let Some(moved) = bound_to.ok().filter(|found| *found != binding.expected) {
                    return StoreFuture::ready(Ok(Created::KeyMoved { bound_to: moved }));
                }
            }
            self.bound.lock().unwrap().insert(binding.key.clone(), new.id.clone());
        }
        if self.bug == Bug::KeepsTombstonesTooLong {
            new.at = Timestamp::from_millis(new.at.as_millis() - 1);
        }
        self.inner.create(new)
    }

    fn write(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        mut write: Write,
    ) -> StoreFuture<Result<(), StoreError>> {
        match (self.bug, &mut write) {
            (
                Bug::CountsARepairAsUse,
                &mut Write::Settle { outcome: TurnOutcome::Interrupted, at, .. },
            ) => return self.repair(id, incarnation, write, at),
            (Bug::DropsInputsSetAside, Write::Settle { input, .. })
                if *input == InputFate::Aside =>
            {
                *input = InputFate::Drop;
            }
            (Bug::LosesEmptyLabels, Write::Label { label }) => {
                *label = label.take().filter(|label| !label.is_empty());
            }
            (Bug::WritesOnlyWhenPolled, _) => {
                let (inner, id) = (self.inner.clone(), id.clone());
                return StoreFuture::pending(
                    async move { inner.write(&id, incarnation, write).await },
                );
            }
            _ => {}
        }
        let answer = now(self.inner.write(id, incarnation, write.clone()));
        StoreFuture::ready(match answer {
            Err(fence @ StoreError::Fenced { .. }) => self.excuse((id, incarnation), write, fence),
            answer => answer,
        })
    }

    fn look_up(&self, id: &SessionId, now: Timestamp) -> StoreFuture<Result<Found, StoreError>> {
        self.inner.look_up(id, now)
    }

    fn bound_to(&self, key: &SessionKey) -> StoreFuture<Result<Option<SessionId>, StoreError>> {
        if self.bug != Bug::ForgetsToUnbind {
            return self.inner.bound_to(key);
        }
        let stale = self.bound.lock().unwrap().get(key).cloned();
        StoreFuture::ready(now(self.inner.bound_to(key)).map(|found| found.or(stale)))
    }

    fn entries(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        after: u64,
        limit: usize,
    ) -> StoreFuture<Result<Vec<StoredEntry>, StoreError>> {
        self.inner.entries(id, incarnation, after, limit)
    }

    fn datum(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        name: &str,
    ) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        match now(self.inner.datum(id, incarnation, name)) {
            Err(StoreError::Closed) if self.bug == Bug::ReadsAfterClose => {
                StoreFuture::ready(Ok(None))
            }
            answer => StoreFuture::ready(answer),
        }
    }

    fn turn(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<TurnRecord>, StoreError>> {
        self.inner.turn(id, incarnation, generation)
    }

    fn list(
        &self,
        mut filter: RecordFilter,
        after: Option<Incarnation>,
        limit: usize,
    ) -> StoreFuture<Result<RecordPage, StoreError>> {
        if self.bug == Bug::IgnoresTheReplyingFilter {
            filter.replying = None;
        }
        let page = now(self.inner.list(filter, after, limit)).map(|mut page| {
            if self.bug == Bug::PromisesAPageTooMuch && page.records.len() == limit {
                page.next = page.records.last().map(|record| record.incarnation);
            }
            page
        });
        StoreFuture::ready(page)
    }

    fn partial(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<StoredPartial>, StoreError>> {
        self.inner.partial(id, incarnation, generation)
    }

    fn request(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        key: &str,
    ) -> StoreFuture<Result<Option<RequestRecord>, StoreError>> {
        self.inner.request(id, incarnation, key)
    }

    fn branches(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<BranchRecord>, StoreError>> {
        self.inner.branches(id, incarnation)
    }

    fn revisions(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<Revision>, StoreError>> {
        self.inner.revisions(id, incarnation)
    }

    fn forget(&self, what: Forget, limit: usize) -> StoreFuture<Result<usize, StoreError>> {
        self.inner.forget(what, limit)
    }

    fn check(&self) -> StoreFuture<Result<Vec<String>, StoreError>> {
        self.inner.check()
    }

    fn close(&self) -> StoreFuture<Result<(), StoreError>> {
        self.inner.close()
    }
}

#[tokio::test]
async fn each_bug_is_found_by_the_check_that_is_for_it() {
    for (bug, check) in Bug::ALL {
        let report = conformance(|| async { Broken::new(bug) }).await;
        assert!(report.failed(check), "{bug:?} passed {check}: {report}");
        // What has nothing to do with a bug still passes, so a failure says where to look.
        let failures = report.failures().count();
        assert!(failures < report.checks().len() / 4, "{bug:?}: {report}");
    }
}

#[tokio::test]
async fn a_report_names_each_failed_check_and_what_differs() {
    let report = conformance(|| async { Broken::new(Bug::LosesEmptyLabels) }).await;
    let text = report.to_string();
    assert!(text.contains("- a_label_changes_and_nothing_with_it: look up: found"), "{text}");
    let random = "a_random_sequence_has_the_answers_of_the_memory_store";
    let wrong = conformance(|| async { Broken::new(Bug::DropsInputsSetAside) }).await;
    assert!(wrong.failed(random), "{wrong}");
    assert!(wrong.to_string().contains("seed 0x5e551075, step "), "{wrong}");
}

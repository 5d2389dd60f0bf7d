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
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use session_supervisor::store::{
    Binding, Bound, BranchRecord, CleanStop, Created, DuePage, DueQuery, EntryMark, FenceReason,
    Forget, Found, HealReport, InputFate, Lane, MemoryStore, NewRecord, PartialFate, PutBack,
    Record, RecordFilter, RecordPage, RecordPatch, RequestRecord, ResumeAction, ResumeRecord,
    Revision, RevisionReason, RunsFound, Store, StoreError, StoreFuture, StoredEntry,
    StoredPartial, TurnRecord, Write,
};
use session_supervisor::testing::conformance;
use session_supervisor::{
    Generation, Incarnation, InstanceId, SessionId, SessionKey, Timestamp, TurnOutcome,
};

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
    /// Counts those that were archived as well.
    CountsWhatIsClosed,
    /// Keeps what a turn had said when it has committed its reply.
    KeepsPartialsOfCommits,
    /// Says yes to a piece that does not follow.
    IgnoresGapsInPartials,
    /// Leaves the next number alone when a turn is settled.
    ForgetsTheNextNumber,
    /// Marks only the first input of a turn.
    MarksOneInput,
    /// Gives the numbers of what was taken back again.
    ReusesNumbers,
    /// Shows what was taken back.
    ShowsTakenBackEntries,
    /// Says yes to a truncation under an open turn.
    TakesBackUnderATurn,
    /// Takes back for a begin that is refused.
    AppliesHalfOfAFencedBegin,
    /// Forgets a revision's interval, and so shows its entries again.
    ResurrectsForgottenEntries,
    /// Forgets what is as old as a millisecond later.
    ForgetsRequestsTooEarly,
    /// Finds the first request of a name.
    KeepsTheFirstRequest,
    /// Lists branches by their parents.
    SortsBranchesByParent,
    /// Marks a run although a newer one was noted.
    MarksRunsThatAreOver,
    /// Counts sessions that were deleted.
    CountsDeletedSessions,
    /// Keeps a handle that was refused.
    KeepsRefusedHandles,
    /// Drops a handle whatever it was used for since.
    DropsHandlesInUse,
    /// Leaves out the handles of a commit.
    LosesHandlesOfCommits,
    /// Forgets handles that are as old as a millisecond later.
    ForgetsHandlesTooEarly,
    /// Binds a key whatever it is bound to.
    BindsWithoutLooking,
    /// Tells the last key of a session only.
    ForgetsTheOldKeys,
    /// Finds a session by its newest id only.
    ForgetsFormerIds,
    /// Buries a session under its newest id only.
    BuriesOneId,
    /// Says yes to an id that is taken, and leaves it where it is.
    RotatesToTakenIds,
    /// Says of every revision that it was a rollback.
    ForgetsReasons,
    /// Drops what makes room for what is put back.
    LosesWhatMakesRoom,
    /// Says yes to a revision that is not the one that was seen.
    PutsBackUnseen,
    /// Forgets the other revisions, too.
    ForgetsTooManyRevisions,
    /// Puts back what was removed on purpose.
    HealsWhatWasRemoved,
    /// Says yes to data that were written without having seen the latest.
    IgnoresTheFenceOfData,
}

impl Bug {
    /// Each bug, and a check that must fail on it.
    const ALL: [(Self, &'static str); 43] = [
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
        (Self::CountsWhatIsClosed, "those_that_are_not_closed_are_counted"),
        (Self::KeepsPartialsOfCommits, "a_commit_drops_what_was_kept_of_its_turn"),
        (Self::IgnoresGapsInPartials, "a_piece_that_does_not_follow_is_fenced"),
        (Self::ForgetsTheNextNumber, "a_settle_may_leave_out_numbers"),
        (Self::MarksOneInput, "every_input_of_a_turn_is_marked_at_its_end"),
        (Self::ReusesNumbers, "the_numbers_of_what_was_taken_back_are_not_given_again"),
        (Self::ShowsTakenBackEntries, "reading_goes_over_what_was_taken_back"),
        (Self::TakesBackUnderATurn, "nothing_is_taken_back_under_an_open_turn"),
        (Self::AppliesHalfOfAFencedBegin, "a_begin_that_is_refused_takes_nothing_back"),
        (Self::ResurrectsForgottenEntries, "forgetting_a_revision_spares_what_others_hold"),
        (Self::ForgetsRequestsTooEarly, "requests_are_forgotten_by_their_time_and_up_to_a_limit"),
        (Self::KeepsTheFirstRequest, "a_repeated_request_takes_the_place_of_the_first"),
        (Self::SortsBranchesByParent, "branches_are_listed_with_their_parents_oldest_first"),
        (Self::MarksRunsThatAreOver, "a_run_that_is_not_the_newest_cannot_be_marked"),
        (Self::CountsDeletedSessions, "a_run_finds_how_many_sessions_there_are"),
        (Self::KeepsRefusedHandles, "a_refused_value_is_not_kept_again_and_a_newer_one_stays"),
        (Self::DropsHandlesInUse, "a_handle_that_was_used_since_is_not_dropped"),
        (Self::LosesHandlesOfCommits, "a_commit_keeps_handles_with_the_reply_or_not_at_all"),
        (Self::ForgetsHandlesTooEarly, "handles_are_forgotten_by_their_last_use_and_up_to_a_limit"),
        (Self::BindsWithoutLooking, "a_key_that_is_bound_to_something_else_stays"),
        (Self::ForgetsTheOldKeys, "a_session_may_have_several_keys"),
        (Self::ForgetsFormerIds, "every_id_of_a_life_leads_to_all_of_it"),
        (Self::BuriesOneId, "a_delete_leaves_a_tombstone_under_every_id"),
        (Self::RotatesToTakenIds, "an_id_that_is_taken_is_not_given"),
        (Self::ForgetsReasons, "a_revision_says_why_it_was_made"),
        (Self::LosesWhatMakesRoom, "what_stands_in_its_place_becomes_a_revision"),
        (Self::PutsBackUnseen, "only_the_revision_that_was_seen_is_put_back"),
        (Self::ForgetsTooManyRevisions, "one_revision_can_be_forgotten_before_its_time"),
        (Self::HealsWhatWasRemoved, "what_was_removed_on_purpose_does_not_come_back"),
        (Self::IgnoresTheFenceOfData, "data_with_an_old_version_are_fenced"),
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
    /// The key that each session was bound to last.
    only_key: Mutex<HashMap<SessionId, SessionKey>>,
    /// The ids that are not the newest of their session any more.
    former: Mutex<Vec<SessionId>>,
    /// What turns had said that committed.
    said: Mutex<HashMap<(Incarnation, Generation), StoredPartial>>,
    /// The first request of each name.
    asked: Mutex<HashMap<(Incarnation, String), RequestRecord>>,
    /// The entries of every revision that there ever was.
    taken: Mutex<HashMap<Incarnation, Vec<StoredEntry>>>,
    /// How many sessions were created.
    created: AtomicU64,
}

impl Broken {
    /// An empty store with this bug.
    fn new(bug: Bug) -> Self {
        Self {
            inner: MemoryStore::new(),
            bug,
            bound: Mutex::default(),
            only_key: Mutex::default(),
            former: Mutex::default(),
            said: Mutex::default(),
            asked: Mutex::default(),
            taken: Mutex::default(),
            created: AtomicU64::new(0),
        }
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
            | (Bug::DeletesTwice, Write::Delete { .. })
            | (Bug::IgnoresGapsInPartials, Write::Partial { .. })
            | (Bug::TakesBackUnderATurn, Write::TakeBack { .. })
            | (Bug::RotatesToTakenIds, Write::Rotate { .. })
            | (Bug::PutsBackUnseen, Write::PutBack { .. })
            | (Bug::IgnoresTheFenceOfData, Write::PutData { .. }) => Ok(()),
            (Bug::ReusesNumbers, Write::Begin { marker, input: Some((_, input)), extra, at }) => {
                let taken = now(self.inner.revisions(id, incarnation))?;
                let next_seq = self.record(id).map_or(0, |record| record.next_seq);
                if taken.is_empty() {
                    return Err(fence);
                }
                let again = Write::Begin { marker, input: Some((next_seq, input)), extra, at };
                now(self.inner.write(id, incarnation, again))
            }
            (Bug::AppliesHalfOfAFencedBegin, Write::Begin { extra: Some(extra), at, .. }) => {
                if let Some(from) = extra.take_back {
                    now(self.inner.write(id, incarnation, Write::TakeBack { from, at }))?;
                }
                Err(fence)
            }
            (Bug::AppliesHalfOfAFencedCommit, Write::Commit { data, version, at, .. }) => {
                let half = Write::PutData { changes: data, version: version + 100, at };
                now(self.inner.write(id, incarnation, half))?;
                Err(fence)
            }
            _ => Err(fence),
        }
    }

    /// The record of a live session.
    fn record(&self, id: &SessionId) -> Option<Record> {
        match now(self.inner.look_up(id, Timestamp::default())) {
            Ok(Found::Live(record)) => Some(record),
            Ok(_) | Err(_) => None,
        }
    }

    /// Remembers what a write that is about to be done will end.
    fn remember(&self, id: &SessionId, incarnation: Incarnation, write: &Write) {
        if let Write::Commit { generation, .. } = write
            && let Ok(Some(said)) = now(self.inner.partial(id, incarnation, *generation))
        {
            self.said.lock().unwrap().insert((incarnation, *generation), said);
        }
    }

    /// Remembers what a write that was done has made.
    fn note(&self, id: &SessionId, incarnation: Incarnation, write: &Write) {
        if let Write::Begin { marker, extra: Some(extra), .. } = write
            && let Some(request) = &extra.request
        {
            let record = RequestRecord { generation: marker.generation, digest: request.digest };
            let name = (incarnation, request.key.clone());
            self.asked.lock().unwrap().entry(name).or_insert(record);
        }
        if let Ok(revisions) = now(self.inner.revisions(id, incarnation)) {
            let entries = revisions.into_iter().flat_map(|revision| revision.entries);
            let mut taken = self.taken.lock().unwrap();
            let known = taken.entry(incarnation).or_default();
            let new: Vec<_> =
                entries.filter(|entry| known.iter().all(|old| old.seq != entry.seq)).collect();
            known.extend(new);
        }
    }

    /// The entries of a life, with some of those that were taken back.
    fn entries_with(
        &self,
        (id, incarnation): (&SessionId, Incarnation),
        (after, limit): (u64, usize),
        more: Vec<StoredEntry>,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let mut entries = now(self.inner.entries(id, incarnation, after, usize::MAX))?;
        entries.extend(more.into_iter().filter(|entry| entry.seq > after));
        entries.sort_by_key(|entry| entry.seq);
        entries.truncate(limit);
        Ok(entries)
    }

    /// Drops all revisions of a life.
    fn forget_all(&self, id: &SessionId, incarnation: Incarnation) {
        for Revision { version, .. } in now(self.inner.revisions(id, incarnation)).unwrap() {
            let write = Write::ForgetRevision { version };
            now(self.inner.write(id, incarnation, write)).unwrap();
        }
    }

    /// Puts the newest revision of a life back.
    fn put_back(&self, record: &Record) -> Result<(), StoreError> {
        let (id, life) = (&record.id, record.incarnation);
        let Some(newest) = now(self.inner.revisions(id, life))?.pop() else { return Ok(()) };
        let Some(first) = newest.entries.first() else { return Ok(()) };
        let back = PutBack {
            revision: newest.version,
            from: first.seq,
            entries: newest.entries.len() as u64,
            first_seq: record.next_seq,
            version: newest.version.max(record.version) + 1,
        };
        let at = record.last_active_at;
        now(self.inner.write(id, life, Write::PutBack { back, at }))
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
            let mut patch = RecordPatch::default();
            patch.touched_at = Some(at.max(record.last_active_at));
            drop(self.inner.write(id, incarnation, Write::Patch { patch }));
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
        self.created.fetch_add(1, Ordering::Relaxed);
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
            (Bug::ForgetsTheNextNumber, Write::Settle { next_seq, partial, .. }) => {
                let entries = u64::from(matches!(partial, PartialFate::Entry { .. }));
                let lowest = self.record(id).map_or(0, |record| record.next_seq + entries);
                *next_seq = lowest.min(*next_seq);
            }
            (Bug::LosesEmptyLabels, Write::Label { label }) => {
                *label = label.take().filter(|label| !label.is_empty());
            }
            (Bug::KeepsRefusedHandles, Write::Resume { change, .. }) => {
                if let ResumeAction::Keep { refuse_for, .. } = &mut change.action {
                    *refuse_for = Duration::from_nanos(1);
                }
            }
            (Bug::DropsHandlesInUse, Write::Resume { change, .. }) => {
                if let ResumeAction::Drop { unused_since, .. } = &mut change.action {
                    *unused_since = Timestamp::from_millis(u64::MAX);
                }
            }
            (Bug::LosesHandlesOfCommits, Write::Commit { extra, .. }) => *extra = None,
            (Bug::WritesOnlyWhenPolled, _) => {
                let (inner, id) = (self.inner.clone(), id.clone());
                return StoreFuture::pending(
                    async move { inner.write(&id, incarnation, write).await },
                );
            }
            _ => {}
        }
        if let (Bug::ForgetsFormerIds | Bug::BuriesOneId, Write::Rotate { .. }) = (self.bug, &write)
        {
            let former = self.record(id).map(|record| record.id);
            self.former.lock().unwrap().extend(former);
        }
        self.remember(id, incarnation, &write);
        let answer = now(self.inner.write(id, incarnation, write.clone()));
        StoreFuture::ready(match answer {
            Ok(()) => {
                self.note(id, incarnation, &write);
                match (self.bug, &write) {
                    (Bug::LosesWhatMakesRoom, Write::PutBack { .. })
                    | (Bug::ForgetsTooManyRevisions, Write::ForgetRevision { .. }) => {
                        self.forget_all(id, incarnation);
                    }
                    _ => {}
                }
                Ok(())
            }
            Err(fence @ StoreError::Fenced { .. }) => self.excuse((id, incarnation), write, fence),
            answer => answer,
        })
    }

    fn look_up(&self, id: &SessionId, now: Timestamp) -> StoreFuture<Result<Found, StoreError>> {
        let found = self.inner.look_up(id, now);
        let forgets = match self.bug {
            Bug::ForgetsFormerIds => true,
            Bug::BuriesOneId => self.record(id).is_none(),
            _ => false,
        };
        if forgets && self.former.lock().unwrap().contains(id) {
            return StoreFuture::ready(Ok(Found::Unknown));
        }
        found
    }

    fn bound_to(&self, key: &SessionKey) -> StoreFuture<Result<Option<SessionId>, StoreError>> {
        if self.bug != Bug::ForgetsToUnbind {
            return self.inner.bound_to(key);
        }
        let stale = self.bound.lock().unwrap().get(key).cloned();
        StoreFuture::ready(now(self.inner.bound_to(key)).map(|found| found.or(stale)))
    }

    fn bind(
        &self,
        binding: Binding,
        to: Option<(SessionId, Incarnation)>,
    ) -> StoreFuture<Result<Bound, StoreError>> {
        if self.bug == Bug::BindsWithoutLooking {
            let expected = now(self.inner.bound_to(&binding.key)).ok().flatten();
            return self.inner.bind(Binding { expected, ..binding }, to);
        }
        let key = binding.key.clone();
        let bound = now(self.inner.bind(binding, to.clone()));
        if let (Bug::ForgetsTheOldKeys, Ok(Bound::Bound), Some((id, _))) = (self.bug, &bound, to) {
            // One key a session, as if it were a field.
            self.only_key.lock().unwrap().insert(id, key);
        }
        StoreFuture::ready(bound)
    }

    fn keys_of(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<SessionKey>, StoreError>> {
        let keys = now(self.inner.keys_of(id, incarnation));
        let only = self.only_key.lock().unwrap().get(id).cloned();
        StoreFuture::ready(keys.map(|keys| only.map_or(keys, |key| vec![key])))
    }

    fn entries(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        after: u64,
        limit: usize,
    ) -> StoreFuture<Result<Vec<StoredEntry>, StoreError>> {
        let (whose, which) = ((id, incarnation), (after, limit));
        let taken = |revisions: Vec<Revision>| revisions.into_iter().flat_map(|it| it.entries);
        StoreFuture::ready(match self.bug {
            Bug::ShowsTakenBackEntries => now(self.inner.revisions(id, incarnation))
                .and_then(|them| self.entries_with(whose, which, taken(them).collect())),
            Bug::ResurrectsForgottenEntries => {
                now(self.inner.revisions(id, incarnation)).and_then(|them| {
                    let kept: Vec<_> = taken(them).map(|entry| entry.seq).collect();
                    let mut all = self.taken.lock().unwrap();
                    let mut lost = all.entry(incarnation).or_default().clone();
                    lost.retain(|entry| !kept.contains(&entry.seq));
                    self.entries_with(whose, which, lost)
                })
            }
            Bug::MarksOneInput => {
                now(self.inner.entries(id, incarnation, after, limit)).map(|mut entries| {
                    let mut seen = Vec::new();
                    for entry in &mut entries {
                        if seen.contains(&entry.generation) && entry.mark == EntryMark::Unanswered {
                            entry.mark = EntryMark::Kept;
                        }
                        seen.push(entry.generation);
                    }
                    entries
                })
            }
            _ => return self.inner.entries(id, incarnation, after, limit),
        })
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

    fn count(&self) -> StoreFuture<Result<u64, StoreError>> {
        if self.bug == Bug::CountsWhatIsClosed {
            let all = now(self.inner.list(RecordFilter::default(), None, 1_000));
            return StoreFuture::ready(all.map(|page| page.records.len() as u64));
        }
        self.inner.count()
    }

    fn heal(&self) -> StoreFuture<Result<HealReport, StoreError>> {
        if self.bug == Bug::HealsWhatWasRemoved
            && let Ok(page) = now(self.inner.list(RecordFilter::default(), None, 999))
        {
            for record in &page.records {
                drop(self.put_back(record)); // Not under an open turn.
            }
        }
        self.inner.heal()
    }

    fn lanes(&self) -> StoreFuture<Result<Vec<Lane>, StoreError>> {
        self.inner.lanes()
    }

    fn due(&self, query: DueQuery, limit: usize) -> StoreFuture<Result<DuePage, StoreError>> {
        self.inner.due(query, limit)
    }

    fn partial(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        generation: Generation,
    ) -> StoreFuture<Result<Option<StoredPartial>, StoreError>> {
        let partial = now(self.inner.partial(id, incarnation, generation));
        StoreFuture::ready(match partial {
            Ok(None) if self.bug == Bug::KeepsPartialsOfCommits => {
                Ok(self.said.lock().unwrap().get(&(incarnation, generation)).cloned())
            }
            partial => partial,
        })
    }

    fn request(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        key: &str,
    ) -> StoreFuture<Result<Option<RequestRecord>, StoreError>> {
        let request = now(self.inner.request(id, incarnation, key));
        StoreFuture::ready(match request {
            Ok(Some(_)) if self.bug == Bug::KeepsTheFirstRequest => {
                Ok(self.asked.lock().unwrap().get(&(incarnation, key.to_owned())).copied())
            }
            request => request,
        })
    }

    fn branches(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<BranchRecord>, StoreError>> {
        let branches = now(self.inner.branches(id, incarnation)).map(|mut branches| {
            if self.bug == Bug::SortsBranchesByParent {
                branches.sort_by_key(|branch| branch.parent);
            }
            branches
        });
        StoreFuture::ready(branches)
    }

    fn revisions(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
    ) -> StoreFuture<Result<Vec<Revision>, StoreError>> {
        let mut answer = now(self.inner.revisions(id, incarnation));
        if let (Bug::ForgetsReasons, Ok(revisions)) = (self.bug, &mut answer) {
            for revision in revisions {
                revision.reason = RevisionReason::Rollback;
            }
        }
        StoreFuture::ready(answer)
    }

    fn resume(
        &self,
        id: &SessionId,
        incarnation: Incarnation,
        provider: &str,
    ) -> StoreFuture<Result<ResumeRecord, StoreError>> {
        self.inner.resume(id, incarnation, provider)
    }

    fn forget(&self, what: Forget, limit: usize) -> StoreFuture<Result<usize, StoreError>> {
        match what {
            Forget::Requests(at) if self.bug == Bug::ForgetsRequestsTooEarly => {
                let late = Timestamp::from_millis(at.as_millis() + 1);
                self.inner.forget(Forget::Requests(late), limit)
            }
            Forget::ResumeHandles(at) if self.bug == Bug::ForgetsHandlesTooEarly => {
                let late = Timestamp::from_millis(at.as_millis() + 1);
                self.inner.forget(Forget::ResumeHandles(late), limit)
            }
            what => self.inner.forget(what, limit),
        }
    }

    fn open_run(
        &self,
        instance: InstanceId,
        at: Timestamp,
    ) -> StoreFuture<Result<RunsFound, StoreError>> {
        StoreFuture::ready(now(self.inner.open_run(instance, at)).map(|mut found| {
            if self.bug == Bug::CountsDeletedSessions {
                found.sessions = self.created.load(Ordering::Relaxed);
            }
            found
        }))
    }

    fn close_run(
        &self,
        instance: InstanceId,
        stop: CleanStop,
    ) -> StoreFuture<Result<(), StoreError>> {
        match now(self.inner.close_run(instance, stop)) {
            Err(StoreError::Fenced { reason: FenceReason::RunOver })
                if self.bug == Bug::MarksRunsThatAreOver =>
            {
                StoreFuture::ready(Ok(()))
            }
            answer => StoreFuture::ready(answer),
        }
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

//! What is kept of the handles of outside services. The rules themselves are [`ResumeRecord`]'s; here it is
//! shown that a store has them done, beside nothing else, and forgets by time.

use std::time::Duration;

use super::extras::just_before;
use super::rig::{
    Check, Rig, Verdict, at, begin, bytes, checks, commit, delete, new_again, same, told,
};
use crate::clock::Timestamp;
use crate::id::Generation;
use crate::store::{
    CommitExtra, FenceReason, Forget, Record, RefusedHandle, ResumeAction, ResumeChange,
    ResumeRecord, StoredHandle, Write, resume_digest,
};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    a_handle_is_kept_used_and_counted,
    each_service_of_each_session_has_its_own_handle,
    a_refused_value_is_not_kept_again_and_a_newer_one_stays,
    a_handle_that_was_used_since_is_not_dropped,
    a_commit_keeps_handles_with_the_reply_or_not_at_all,
    what_is_done_with_handles_changes_nothing_else,
    handles_are_forgotten_by_their_last_use_and_up_to_a_limit,
    refusals_are_forgotten_by_the_newest_and_up_to_a_limit,
    a_handle_that_was_used_again_is_not_forgotten_by_its_first_use,
    a_later_life_has_no_handles_and_no_refusals,
];

/// For how long refusals count.
const REFUSE_FOR: Duration = Duration::from_secs(1_000);

impl Rig {
    /// What is kept of a service.
    pub(super) async fn resume(
        &self,
        life: &Record,
        provider: &str,
    ) -> Result<ResumeRecord, String> {
        let answer = self.store().resume(&life.id, life.incarnation, provider).await;
        told(&format!("handles of {provider:?} of {}", life.id), answer)
    }

    /// The value, the uses in seconds after time zero and the attempts of a handle.
    pub(super) async fn handle(
        &self,
        life: &Record,
        provider: &str,
    ) -> Result<Option<Handle>, String> {
        let seconds = |time: Timestamp| time.since(at(0)).as_secs();
        let known =
            |it: StoredHandle| (it.value, seconds(it.stored_at), seconds(it.used_at), it.attempts);
        Ok(self.resume(life, provider).await?.handle.map(known))
    }
}

/// A handle: its value, since when it is kept, when it was used, and its attempts.
pub(super) type Handle = (String, u64, u64, u32);

/// Such a handle.
#[expect(clippy::unnecessary_wraps, reason = "it is compared with what may not be there")]
fn kept(value: &str, stored: u64, used: u64, attempts: u32) -> Option<Handle> {
    Some((value.to_owned(), stored, used, attempts))
}

/// Does something with a handle, so many seconds after time zero.
pub(super) fn resume(provider: &str, action: ResumeAction, seconds: u64) -> Write {
    let change = Box::new(ResumeChange { provider: provider.to_owned(), action });
    Write::Resume { change, at: at(seconds) }
}

/// Keeps a value.
pub(super) fn keeps(value: &str) -> ResumeAction {
    ResumeAction::Keep { value: value.to_owned(), refuse_for: REFUSE_FOR }
}

/// Refuses a value.
pub(super) fn refuses(value: &str) -> ResumeAction {
    ResumeAction::Refuse { digest: resume_digest(value) }
}

/// Counts an attempt.
fn attempts(value: &str) -> ResumeAction {
    ResumeAction::Attempt { digest: resume_digest(value) }
}

/// Says that one works.
pub(super) fn worked(value: &str) -> ResumeAction {
    ResumeAction::Worked { digest: resume_digest(value) }
}

/// Drops one that was not used since.
fn drops(value: &str, unused_since: u64) -> ResumeAction {
    ResumeAction::Drop { digest: resume_digest(value), unused_since: at(unused_since) }
}

/// A commit that also changes handles.
fn commit_with(generation: u64, first_seq: u64, resume: Vec<ResumeChange>) -> Write {
    Write::Commit {
        generation: Generation::new(generation),
        first_seq,
        entries: vec![bytes("out")],
        data: Vec::new(),
        extra: Some(Box::new(CommitExtra { resume })),
        version: 7,
        at: at(100),
    }
}

/// One change of a commit.
fn change(provider: &str, action: ResumeAction) -> ResumeChange {
    ResumeChange { provider: provider.to_owned(), action }
}

/// With each of its numbers.
async fn a_handle_is_kept_used_and_counted(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    same("at first", &rig.resume(&life, "cli").await?, &ResumeRecord::default())?;
    rig.done(&life, [resume("cli", keeps("one"), 10)]).await?;
    same("kept", &rig.handle(&life, "cli").await?, &kept("one", 10, 10, 0))?;
    rig.done(&life, [resume("cli", attempts("one"), 20), resume("cli", attempts("one"), 21)])
        .await?;
    same("attempts", &rig.handle(&life, "cli").await?, &kept("one", 10, 10, 2))?;
    let absolve = ResumeAction::Absolve { digest: resume_digest("one") };
    rig.done(&life, [resume("cli", absolve, 22), resume("cli", attempts("two"), 23)]).await?;
    same("absolved", &rig.handle(&life, "cli").await?, &kept("one", 10, 10, 1))?;
    rig.done(&life, [resume("cli", worked("one"), 30)]).await?;
    same("it works", &rig.handle(&life, "cli").await?, &kept("one", 10, 30, 0))?;
    rig.done(&life, [resume("cli", keeps("one"), 40)]).await?;
    same("kept again", &rig.handle(&life, "cli").await?, &kept("one", 10, 40, 0))?;
    rig.done(&life, [resume("cli", keeps("two"), 50)]).await?;
    same("replaced", &rig.handle(&life, "cli").await?, &kept("two", 50, 50, 0))
}

/// Names are told apart by every letter.
async fn each_service_of_each_session_has_its_own_handle(rig: Rig) -> Verdict {
    let (life, other) = (rig.empty("a").await?, rig.empty("b").await?);
    rig.done(&life, [resume("cli", keeps("one"), 10), resume("api", keeps("two"), 20)]).await?;
    rig.done(&life, [resume("cli", refuses("one"), 30)]).await?;
    same("the one", &rig.handle(&life, "cli").await?, &None)?;
    same("the other", &rig.handle(&life, "api").await?, &kept("two", 20, 20, 0))?;
    rig.done(&life, [resume("api", keeps("one"), 40)]).await?;
    same("another's refusal", &rig.handle(&life, "api").await?, &kept("one", 40, 40, 0))?;
    for unknown in ["", "Cli", "cli ", "ap"] {
        same("another name", &rig.resume(&life, unknown).await?, &ResumeRecord::default())?;
    }
    same("another session", &rig.resume(&other, "api").await?, &ResumeRecord::default())
}

/// Whichever comes first; and until the refusal is over.
async fn a_refused_value_is_not_kept_again_and_a_newer_one_stays(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [resume("cli", keeps("one"), 10), resume("cli", refuses("one"), 20)]).await?;
    let refused = vec![RefusedHandle { digest: resume_digest("one"), at: at(20) }];
    let gone = ResumeRecord { handle: None, refused };
    same("refused", &rig.resume(&life, "cli").await?, &gone)?;
    rig.done(&life, [resume("cli", keeps("one"), 30)]).await?;
    same("kept again", &rig.resume(&life, "cli").await?, &gone)?;
    rig.done(&life, [resume("cli", keeps("two"), 40), resume("cli", refuses("one"), 50)]).await?;
    same("a newer one", &rig.handle(&life, "cli").await?, &kept("two", 40, 40, 0))?;
    rig.done(&life, [resume("cli", refuses("three"), 60), resume("cli", keeps("three"), 61)])
        .await?;
    same("refused before", &rig.handle(&life, "cli").await?, &kept("two", 40, 40, 0))?;
    rig.done(&life, [resume("cli", keeps("one"), 1_049)]).await?;
    same("before it is over", &rig.handle(&life, "cli").await?, &kept("two", 40, 40, 0))?;
    rig.done(&life, [resume("cli", keeps("one"), 1_050)]).await?;
    same("once it is over", &rig.handle(&life, "cli").await?, &kept("one", 1_050, 1_050, 0))
}

/// By compare-and-set on the value and on its use.
async fn a_handle_that_was_used_since_is_not_dropped(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [resume("cli", keeps("one"), 10), resume("cli", worked("one"), 20)]).await?;
    rig.done(&life, [resume("cli", drops("one", 19), 30), resume("cli", drops("two", 90), 30)])
        .await?;
    same("used since", &rig.handle(&life, "cli").await?, &kept("one", 10, 20, 0))?;
    rig.done(&life, [resume("cli", drops("one", 20), 30)]).await?;
    same("dropped", &rig.resume(&life, "cli").await?, &ResumeRecord::default())?;
    rig.done(&life, [resume("cli", keeps("one"), 40)]).await?;
    same("kept again", &rig.handle(&life, "cli").await?, &kept("one", 40, 40, 0))
}

/// In the same transaction, in order; a refused value does not hold it up.
async fn a_commit_keeps_handles_with_the_reply_or_not_at_all(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let both = || vec![change("cli", keeps("one")), change("api", keeps("two"))];
    rig.done(&life, [begin(1, 1)]).await?;
    rig.fenced(&life, commit_with(1, 3, both()), FenceReason::OutOfOrder).await?;
    rig.fenced(&life, commit_with(2, 2, both()), FenceReason::TurnNotOpen).await?;
    same("nothing yet", &rig.resume(&life, "cli").await?, &ResumeRecord::default())?;
    rig.done(&life, [commit_with(1, 2, both())]).await?;
    same("the one", &rig.handle(&life, "cli").await?, &kept("one", 100, 100, 0))?;
    same("the other", &rig.handle(&life, "api").await?, &kept("two", 100, 100, 0))?;
    rig.done(&life, [resume("cli", refuses("one"), 110), resume("api", attempts("two"), 110)])
        .await?;
    let dead = vec![change("cli", keeps("one")), change("api", worked("two"))];
    rig.done(&life, [begin(2, 3), commit_with(2, 4, dead)]).await?;
    same("a refused one", &rig.handle(&life, "cli").await?, &None)?;
    same("one that works", &rig.handle(&life, "api").await?, &kept("two", 100, 100, 0))?;
    same("the replies", &rig.numbers(&life).await?, &vec![1, 2, 3, 4])
}

/// Not the record, and nothing that is read otherwise.
async fn what_is_done_with_handles_changes_nothing_else(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), commit(1, 2), begin(2, 3)]).await?;
    let (record, entries) = (rig.live(&life).await?, rig.entries(&life).await?);
    for action in [
        keeps("one"),
        attempts("one"),
        worked("one"),
        ResumeAction::Absolve { digest: resume_digest("one") },
        refuses("one"),
        drops("one", 90),
    ] {
        rig.done(&life, [resume("cli", action, 500)]).await?;
        same("the record", &rig.live(&life).await?, &record)?;
        same("the entries", &rig.entries(&life).await?, &entries)?;
    }
    Ok(())
}

/// The oldest first, over all sessions; what was refused stays.
async fn handles_are_forgotten_by_their_last_use_and_up_to_a_limit(rig: Rig) -> Verdict {
    let (life, other) = (rig.empty("a").await?, rig.empty("b").await?);
    rig.done(&other, [resume("cli", keeps("x"), 30)]).await?;
    rig.done(&life, [resume("cli", refuses("y"), 5), resume("cli", keeps("x"), 10)]).await?;
    rig.done(&life, [resume("api", keeps("x"), 20), resume("web", keeps("x"), 40)]).await?;
    let early = just_before(at(10));
    for (time, limit, expected) in
        [(early, 10, 0), (at(90), 0, 0), (at(90), 1, 1), (at(30), usize::MAX, 2), (at(39), 9, 0)]
    {
        let forgotten = rig.forget(Forget::ResumeHandles(time), limit).await?;
        same(&format!("forgotten at {time}, {limit} at most"), &forgotten, &expected)?;
        if limit == 1 {
            same("the oldest", &rig.handle(&life, "cli").await?, &None)?;
            same("the next", &rig.handle(&life, "api").await?, &kept("x", 20, 20, 0))?;
        }
    }
    same("the third", &rig.resume(&other, "cli").await?, &ResumeRecord::default())?;
    same("the youngest", &rig.handle(&life, "web").await?, &kept("x", 40, 40, 0))?;
    same("refusals", &rig.resume(&life, "cli").await?.refused.len(), &1)?;
    same("other kinds", &rig.forget(Forget::Requests(at(900)), 10).await?, &0)
}

/// Those of one service together; its handle stays.
async fn refusals_are_forgotten_by_the_newest_and_up_to_a_limit(rig: Rig) -> Verdict {
    let (life, other) = (rig.empty("a").await?, rig.empty("b").await?);
    rig.done(&life, [resume("cli", refuses("x"), 10), resume("cli", refuses("y"), 20)]).await?;
    rig.done(&life, [resume("cli", keeps("z"), 25), resume("api", refuses("x"), 15)]).await?;
    rig.done(&other, [resume("cli", refuses("x"), 30)]).await?;
    for (time, limit, expected) in
        [(just_before(at(15)), 9, 0), (at(90), 1, 1), (at(19), 9, 0), (at(20), 9, 1)]
    {
        let forgotten = rig.forget(Forget::RefusedHandles(time), limit).await?;
        same(&format!("forgotten at {time}, {limit} at most"), &forgotten, &expected)?;
    }
    same("of api", &rig.resume(&life, "api").await?, &ResumeRecord::default())?;
    same("of cli", &rig.resume(&life, "cli").await?.refused, &vec![])?;
    same("its handle", &rig.handle(&life, "cli").await?, &kept("z", 25, 25, 0))?;
    rig.done(&life, [resume("cli", keeps("x"), 40)]).await?;
    same("kept again", &rig.handle(&life, "cli").await?, &kept("x", 40, 40, 0))?;
    same("the rest", &rig.forget(Forget::RefusedHandles(at(30)), 9).await?, &1)
}

/// And counts once.
async fn a_handle_that_was_used_again_is_not_forgotten_by_its_first_use(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [resume("cli", keeps("x"), 10), resume("cli", worked("x"), 20)]).await?;
    rig.done(&life, [resume("cli", keeps("x"), 30), resume("cli", attempts("x"), 50)]).await?;
    same("too early", &rig.forget(Forget::ResumeHandles(at(29)), 10).await?, &0)?;
    same("handle", &rig.handle(&life, "cli").await?, &kept("x", 10, 30, 1))?;
    same("in time", &rig.forget(Forget::ResumeHandles(at(30)), 10).await?, &1)?;
    same("handle", &rig.handle(&life, "cli").await?, &None)
}

/// And forgetting those of the first takes none of its own.
async fn a_later_life_has_no_handles_and_no_refusals(rig: Rig) -> Verdict {
    let old = rig.empty("a").await?;
    rig.done(&old, [resume("cli", refuses("x"), 1), resume("cli", keeps("y"), 1)]).await?;
    rig.done(&old, [delete(&old, at(1_000))]).await?;
    rig.healthy().await?;
    let young = rig.create(new_again("a")).await?;
    same("handle", &rig.resume(&young, "cli").await?, &ResumeRecord::default())?;
    for write in [resume("cli", keeps("z"), 3), resume("cli", refuses("y"), 3)] {
        rig.fenced(&old, write, FenceReason::NoSuchLife).await?;
    }
    rig.done(&young, [resume("cli", keeps("x"), 2), resume("cli", refuses("z"), 2)]).await?;
    for what in [Forget::ResumeHandles, Forget::RefusedHandles] {
        same("forgotten", &rig.forget(what(at(1)), 10).await?, &0)?;
    }
    same("handle", &rig.handle(&young, "cli").await?, &kept("x", 2, 2, 0))?;
    same("refused", &rig.resume(&young, "cli").await?.refused.len(), &1)
}

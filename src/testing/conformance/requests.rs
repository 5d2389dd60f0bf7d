//! What a begin has beside its marker and its input: the name it was asked for under, and its parent.

use super::extras::{asked, begin_with, just_before, over, under};
use super::rig::{Check, Rig, Verdict, at, begin, checks, commit, delete, new_again, same};
use crate::id::Generation;
use crate::store::{BeginExtra, BranchRecord, FenceReason, Forget, RequestRecord};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    a_request_is_found_by_its_name,
    a_repeated_request_takes_the_place_of_the_first,
    a_refused_begin_leaves_no_request_and_no_branch,
    requests_are_forgotten_by_their_time_and_up_to_a_limit,
    a_replaced_request_is_forgotten_by_the_time_of_its_successor,
    branches_are_listed_with_their_parents_oldest_first,
    a_begin_may_have_everything_at_once,
    a_later_life_has_no_requests_and_no_branches,
];

/// What came of a request.
#[expect(clippy::unnecessary_wraps, reason = "it is compared with what may not be there")]
fn found(turn: u64, digest: u128) -> Option<RequestRecord> {
    Some(RequestRecord { generation: Generation::new(turn), digest })
}

/// A turn under a parent.
fn branch(turn: u64, parent: u64) -> BranchRecord {
    BranchRecord { generation: Generation::new(turn), parent }
}

/// While its turn is open and afterwards, in its own session, with all of its digest.
async fn a_request_is_found_by_its_name(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let other = rig.empty("b").await?;
    rig.done(&life, [begin_with(1, 1, asked("ask", u128::MAX - 1))]).await?;
    same("while open", &rig.request(&life, "ask").await?, &found(1, u128::MAX - 1))?;
    rig.done(&life, [commit(1, 2), begin_with(2, 3, asked("again", 0)), commit(2, 4)]).await?;
    rig.done(&life, [begin(3, 5), commit(3, 6)]).await?;
    same("the first", &rig.request(&life, "ask").await?, &found(1, u128::MAX - 1))?;
    same("the second", &rig.request(&life, "again").await?, &found(2, 0))?;
    for unknown in ["", "Ask", "ask ", "other"] {
        same("another name", &rig.request(&life, unknown).await?, &None)?;
    }
    same("another session", &rig.request(&other, "ask").await?, &None)
}

/// There is one of a name.
async fn a_repeated_request_takes_the_place_of_the_first(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin_with(1, 1, asked("ask", 5)), commit(1, 2)]).await?;
    rig.done(&life, [begin_with(2, 3, asked("ask", 6))]).await?;
    same("request", &rig.request(&life, "ask").await?, &found(2, 6))
}

/// Nothing of it is there, and what was there before stays.
async fn a_refused_begin_leaves_no_request_and_no_branch(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin_with(2, 1, asked("ask", 5))]).await?;
    let both = |key| BeginExtra { parent: Some(1), ..asked(key, 6) };
    for key in ["ask", "again"] {
        rig.fenced(&life, begin_with(2, 2, both(key)), FenceReason::OldTurn).await?;
        rig.fenced(&life, begin_with(3, 3, both(key)), FenceReason::OutOfOrder).await?;
        let third = BeginExtra { take_back: over(1, 8).take_back, ..both(key) };
        rig.fenced(&life, begin_with(3, 2, third), FenceReason::TurnOpen).await?;
    }
    same("request", &rig.request(&life, "ask").await?, &found(2, 5))
}

/// The oldest first, over all sessions; the turns stay.
async fn requests_are_forgotten_by_their_time_and_up_to_a_limit(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let other = rig.empty("b").await?;
    rig.done(&other, [begin_with(30, 1, asked("ask", 1))]).await?;
    rig.done(&life, [begin_with(10, 1, asked("ask", 1)), begin_with(20, 2, asked("again", 1))])
        .await?;
    rig.done(&life, [begin_with(40, 3, asked("other", 1))]).await?;
    let early = just_before(at(10));
    for (time, limit, expected) in
        [(early, 10, 0), (at(90), 0, 0), (at(90), 1, 1), (at(30), usize::MAX, 2), (at(39), 9, 0)]
    {
        let forgotten = rig.forget(Forget::Requests(time), limit).await?;
        same(&format!("forgotten at {time}, {limit} at most"), &forgotten, &expected)?;
        if limit == 1 {
            same("the oldest", &rig.request(&life, "ask").await?, &None)?;
            same("the next", &rig.request(&life, "again").await?, &found(20, 1))?;
        }
    }
    same("the third", &rig.request(&other, "ask").await?, &None)?;
    same("the youngest", &rig.request(&life, "other").await?, &found(40, 1))?;
    same("open turns", &rig.live(&life).await?.open.len(), &3)?;
    same("other kinds", &rig.forget(Forget::Revisions(at(900)), 10).await?, &0)
}

/// And counts once.
async fn a_replaced_request_is_forgotten_by_the_time_of_its_successor(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin_with(10, 1, asked("ask", 1)), begin_with(30, 2, asked("ask", 2))])
        .await?;
    same("too early", &rig.forget(Forget::Requests(at(29)), 10).await?, &0)?;
    same("request", &rig.request(&life, "ask").await?, &found(30, 2))?;
    same("in time", &rig.forget(Forget::Requests(at(30)), 10).await?, &1)?;
    same("request", &rig.request(&life, "ask").await?, &None)
}

/// Open or not; 0 is a parent as well.
async fn branches_are_listed_with_their_parents_oldest_first(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let other = rig.empty("b").await?;
    rig.done(&life, [begin(1, 1), commit(1, 2)]).await?;
    same("at first", &rig.branches(&life).await?, &vec![])?;
    rig.done(&life, [begin_with(2, 3, under(2)), begin_with(4, 4, under(0))]).await?;
    rig.done(&life, [commit(2, 5), begin_with(9, 6, under(2))]).await?;
    let expected = vec![branch(2, 2), branch(4, 0), branch(9, 2)];
    same("branches", &rig.branches(&life).await?, &expected)?;
    same("another session's", &rig.branches(&other).await?, &vec![])
}

/// A name, a parent, and something to do over.
async fn a_begin_may_have_everything_at_once(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let all =
        BeginExtra { take_back: over(1, 8).take_back, parent: Some(u64::MAX), ..asked("ask", 5) };
    rig.done(&life, [begin(1, 1), commit(1, 2), begin_with(2, 3, all)]).await?;
    same("request", &rig.request(&life, "ask").await?, &found(2, 5))?;
    same("branches", &rig.branches(&life).await?, &vec![branch(2, u64::MAX)])?;
    same("entries", &rig.numbers(&life).await?, &vec![3])?;
    same("revisions", &rig.taken(&life).await?, &vec![(8, vec![1, 2])])
}

/// And forgetting those of the first takes none of its own.
async fn a_later_life_has_no_requests_and_no_branches(rig: Rig) -> Verdict {
    let old = rig.empty("a").await?;
    let both = |key, digest| BeginExtra { parent: Some(0), ..asked(key, digest) };
    rig.done(&old, [begin_with(1, 1, both("ask", 5)), delete(&old, at(1_000))]).await?;
    let young = rig.create(new_again("a")).await?;
    same("request", &rig.request(&young, "ask").await?, &None)?;
    same("branches", &rig.branches(&young).await?, &vec![])?;
    rig.done(&young, [begin_with(2, 1, both("ask", 6))]).await?;
    same("forgotten", &rig.forget(Forget::Requests(at(1)), 10).await?, &0)?;
    same("request", &rig.request(&young, "ask").await?, &found(2, 6))?;
    same("branches", &rig.branches(&young).await?, &vec![branch(2, 0)])
}

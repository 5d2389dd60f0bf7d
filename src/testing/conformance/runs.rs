//! The runs of the process, and the mark of one that ended in good order.

use super::rig::{
    Check, Rig, Verdict, append, at, begin, checks, commit, delete, refused_for, same, shown, told,
};
use crate::id::InstanceId;
use crate::standing::{Standing, SuspendReason};
use crate::store::{
    CleanStop, DrainCounts, FenceReason, KEPT_RUNS, RecordPatch, RunRecord, RunsFound, Write,
};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    the_first_run_finds_none_before_it,
    a_run_finds_those_before_it_newest_first,
    a_run_finds_how_many_sessions_there_are,
    a_mark_is_told_to_the_runs_that_come_after,
    a_mark_replaces_an_earlier_one,
    a_run_that_is_not_the_newest_cannot_be_marked,
    an_instance_that_is_noted_again_is_another_run,
    the_newest_runs_are_kept,
    a_run_is_noted_and_marked_even_if_the_futures_are_dropped,
    a_run_changes_no_session,
    crashes_are_counted_until_a_commit_or_until_it_is_active_again,
];

/// An instance by a number, with all of its bits in use.
fn instance(number: u128) -> InstanceId {
    InstanceId::from_random(u128::MAX - number)
}

/// A run that was started `number` seconds after time zero.
fn run(number: u64, stop: Option<CleanStop>) -> RunRecord {
    let instance = instance(number.into());
    RunRecord { instance, started_at: at(number), stop }
}

/// A mark, `seconds` after time zero.
fn stop(seconds: u64) -> CleanStop {
    let turns = DrainCounts { finished: seconds, cancelled: 2, aborted: 0, fenced: u64::MAX };
    CleanStop { at: at(seconds), turns }
}

/// Notes a run, as [`run`] has it.
async fn open(rig: &Rig, number: u64) -> Result<RunsFound, String> {
    let answer = rig.store().open_run(instance(number.into()), at(number)).await;
    let found = told(&format!("note run {number}"), answer)?;
    same("damaged runs", &found.damaged, &vec![])?;
    Ok(found)
}

/// Marks a run that can be marked.
async fn close(rig: &Rig, number: u64, seconds: u64) -> Verdict {
    let answer = rig.store().close_run(instance(number.into()), stop(seconds)).await;
    told(&format!("mark run {number}"), answer)
}

/// Nor any session.
async fn the_first_run_finds_none_before_it(rig: Rig) -> Verdict {
    same("the first run", &open(&rig, 1).await?, &RunsFound::default())
}

/// None of them was marked.
async fn a_run_finds_those_before_it_newest_first(rig: Rig) -> Verdict {
    for number in [3, 1] {
        let _ = open(&rig, number).await?;
    }
    let earlier = vec![run(1, None), run(3, None)];
    same("the runs before", &open(&rig, 2).await?.earlier, &earlier)
}

/// Those that were deleted do not count, those that live again do.
async fn a_run_finds_how_many_sessions_there_are(rig: Rig) -> Verdict {
    let mut lives = Vec::new();
    for name in ["a", "b", "c"] {
        lives.push(rig.empty(name).await?);
    }
    for life in &lives {
        rig.done(life, [begin(1, 1)]).await?;
    }
    same("three", &open(&rig, 1).await?.sessions, &3)?;
    let [a, b, _] = lives.as_slice() else { return Err("three were made".to_owned()) };
    rig.done(a, [delete(a, at(1_000))]).await?;
    rig.done(b, [delete(b, at(1_000))]).await?;
    same("one", &open(&rig, 2).await?.sessions, &1)?;
    let _ = rig.create(super::rig::new_again("a")).await?;
    same("two", &open(&rig, 3).await?.sessions, &2)
}

/// To the next as that of the newest, and it stays that run's.
async fn a_mark_is_told_to_the_runs_that_come_after(rig: Rig) -> Verdict {
    let _ = open(&rig, 1).await?;
    close(&rig, 1, 50).await?;
    let marked = run(1, Some(stop(50)));
    same("the next run", &open(&rig, 2).await?.earlier, &vec![marked])?;
    same("the one after", &open(&rig, 3).await?.earlier, &vec![run(2, None), marked])
}

/// Whoever was not told whether it was written asks again.
async fn a_mark_replaces_an_earlier_one(rig: Rig) -> Verdict {
    let _ = open(&rig, 1).await?;
    close(&rig, 1, 50).await?;
    close(&rig, 1, 60).await?;
    same("the next run", &open(&rig, 2).await?.earlier, &vec![run(1, Some(stop(60)))])
}

/// Its mark would come after somebody was told that there is none.
async fn a_run_that_is_not_the_newest_cannot_be_marked(rig: Rig) -> Verdict {
    let mark = |number| rig.store().close_run(instance(number), stop(50));
    let over = [FenceReason::RunOver];
    refused_for("none was noted", &mark(1).await, &over)?;
    let _ = open(&rig, 1).await?;
    let _ = open(&rig, 2).await?;
    refused_for("an earlier one", &mark(1).await, &over)?;
    refused_for("one that never was", &mark(7).await, &over)?;
    same("the runs", &open(&rig, 3).await?.earlier, &vec![run(2, None), run(1, None)])
}

/// A mark is of the newer one.
async fn an_instance_that_is_noted_again_is_another_run(rig: Rig) -> Verdict {
    let _ = open(&rig, 1).await?;
    same("again", &open(&rig, 1).await?.earlier, &vec![run(1, None)])?;
    close(&rig, 1, 50).await?;
    let earlier = vec![run(1, Some(stop(50))), run(1, None)];
    same("the runs", &open(&rig, 2).await?.earlier, &earlier)
}

/// And no more than that.
async fn the_newest_runs_are_kept(rig: Rig) -> Verdict {
    let most = KEPT_RUNS as u64;
    for number in 1..=2 * most {
        let earlier = open(&rig, number).await?.earlier;
        let oldest = (number + 1).saturating_sub(most).max(1);
        let expected: Vec<_> = (oldest..number).rev().map(|number| run(number, None)).collect();
        if earlier != expected {
            return Err(format!("run {number}: found {}", shown(&earlier)));
        }
    }
    Ok(())
}

/// In the order in which they were handed over.
async fn a_run_is_noted_and_marked_even_if_the_futures_are_dropped(rig: Rig) -> Verdict {
    drop(rig.store().open_run(instance(1), at(1)));
    drop(rig.store().close_run(instance(1), stop(50)));
    same("the next run", &open(&rig, 2).await?.earlier, &vec![run(1, Some(stop(50)))])
}

/// Nor does its mark.
async fn a_run_changes_no_session(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [append(1, &["x"]), begin(1, 2)]).await?;
    let before = rig.snapshot().await?;
    let _ = open(&rig, 1).await?;
    close(&rig, 1, 50).await?;
    before.is_still(&rig.snapshot().await?)
}

/// Nothing else touches the count.
async fn crashes_are_counted_until_a_commit_or_until_it_is_active_again(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let count = |crashes| {
        let patch = RecordPatch { crashes: Some(crashes), ..RecordPatch::default() };
        Write::Patch { patch }
    };
    let stand = |standing| Write::Standing { standing, unused_since: None, used_at: None };
    let suspended = Standing::Suspended { reason: SuspendReason::CrashLoop, at: at(9) };
    rig.done(&life, [count(2), append(1, &["x"]), begin(1, 2)]).await?;
    same("after a begin", &rig.live(&life).await?.crashes, &2)?;
    rig.done(&life, [commit(1, 3)]).await?;
    same("after a commit", &rig.live(&life).await?.crashes, &0)?;
    rig.done(&life, [count(3), stand(suspended)]).await?;
    same("suspended", &rig.live(&life).await?.crashes, &3)?;
    rig.done(&life, [stand(Standing::Active)]).await?;
    same("active again", &rig.live(&life).await?.crashes, &0)
}

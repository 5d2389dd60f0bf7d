//! Deleting, and what stays.

use super::create::reads_are_fenced;
use super::extras::{asked, begin_with, piece, put_back, said, say, settle_said, steer, take_back};
use super::resume::{keeps, refuses, resume};
use super::rig::{
    Check, Rig, Verdict, append, at, begin, bytes, checks, commit, delete, id, key, new, new_again,
    new_bound, put, put_one, same, settle, tombstone,
};
use super::rotation::rotate;
use super::snapshot::Content;
use crate::clock::Timestamp;
use crate::outcome::TurnOutcome;
use crate::store::{
    BeginExtra, FenceReason, Forget, Found, InputFate, NewRecord, PartialFate, Record,
    RecordFilter, Write,
};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    a_delete_leaves_nothing_but_the_tombstone,
    a_delete_takes_what_was_kept_beside_the_transcript,
    a_delete_ends_open_turns,
    a_delete_spares_a_key_that_has_moved_on,
    a_second_delete_is_fenced_and_the_first_tombstone_stands,
    late_writes_to_a_deleted_life_are_fenced,
    late_writes_do_not_reach_the_next_life,
    expired_tombstones_are_forgotten_up_to_a_limit,
    a_long_tombstone_does_not_keep_a_short_one,
    forgetting_spares_an_id_that_lives_again,
];

/// A session with something of everything.
async fn stage(rig: &Rig) -> Result<Record, String> {
    let data = vec![("one".to_owned(), bytes("1"))];
    let entries = vec![bytes("first")];
    let life = rig.create(NewRecord { entries, data, ..new_bound("a", "a", None) }).await?;
    rig.done(&life, [begin(1, 2), commit(1, 3)]).await?;
    Ok(life)
}

/// Record, entries, data, turns and key are gone.
async fn a_delete_leaves_nothing_but_the_tombstone(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [delete(&life, at(1_000))]).await?;
    let gone = Found::Gone(tombstone(&life, at(1_000)));
    same("look up", &rig.found(&life.id, at(0)).await?, &gone)?;
    same("key", &rig.bound_to(&key("a")).await?, &None)?;
    let page = rig.list(&RecordFilter::default(), None, 10).await?;
    same("list", &page.records, &vec![])?;
    reads_are_fenced(&rig, &life).await?;
    let next = rig.create(new_bound("b", "a", None)).await?;
    same("the key is free", &next.key, &Some(key("a")))
}

/// Whatever its time is; there is nothing left to be forgotten, and nothing for the next life.
async fn a_delete_takes_what_was_kept_beside_the_transcript(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    let extra = |key| BeginExtra { parent: Some(1), ..asked(key, 5) };
    let kept = settle_said(2, 5, PartialFate::Keep { last: Some(piece(1, "half")) });
    rig.done(&life, [begin_with(2, 4, extra("ask")), kept, take_back(2, 8, 200)]).await?;
    rig.done(&life, [begin_with(3, 5, extra("other")), say(3, 1, "open")]).await?;
    rig.done(&life, [resume("cli", refuses("x"), 9), resume("cli", keeps("y"), 9)]).await?;
    rig.done(&life, [delete(&life, at(1_000))]).await?;
    reads_are_fenced(&rig, &life).await?;
    rig.healthy().await?;
    let young = rig.create(new_again("a")).await?;
    let snapshot = rig.snapshot().await?;
    for what in [Forget::Revisions, Forget::Requests, Forget::ResumeHandles, Forget::RefusedHandles]
    {
        same("forgotten", &rig.forget(what(at(1_000)), 10).await?, &0)?;
    }
    rig.done(&young, [begin(1, 1), begin(2, 2), begin(3, 3), say(3, 1, "new")]).await?;
    same("the next life's own", &rig.partial(&young, 3).await?, &said(2, "new"))?;
    rig.done(&young, [delete(&young, at(1_000))]).await?;
    let third = rig.create(new_again("a")).await?;
    let lives = rig.snapshot().await?.lives;
    let empty = |content: Content| Content { record: third.clone(), ..content };
    let before: Vec<_> = snapshot.lives.into_iter().map(empty).collect();
    same("an empty life", &lives, &before)
}

/// They are not settled, they are gone.
async fn a_delete_ends_open_turns(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [begin(2, 4), begin(3, 5), delete(&life, at(1_000))]).await?;
    rig.fenced(&life, commit(2, 6), FenceReason::NoSuchLife).await?;
    rig.fenced(&life, commit(3, 6), FenceReason::NoSuchLife).await
}

/// Whoever the key points to by now keeps it.
async fn a_delete_spares_a_key_that_has_moved_on(rig: Rig) -> Verdict {
    let older = rig.create(new_bound("a", "a", None)).await?;
    let newer = rig.create(new_bound("b", "a", Some("a"))).await?;
    rig.done(&older, [delete(&older, at(1_000))]).await?;
    same("key", &rig.bound_to(&key("a")).await?, &Some(id("b")))?;
    let again = NewRecord { allow_reuse: true, ..new_bound("a", "a", Some("b")) };
    let again = rig.create(again).await?;
    same("key", &rig.bound_to(&key("a")).await?, &Some(id("a")))?;
    rig.done(&newer, [delete(&newer, at(1_000))]).await?;
    same("key", &rig.bound_to(&key("a")).await?, &Some(id("a")))?;
    rig.done(&again, [delete(&again, at(1_000))]).await?;
    same("key", &rig.bound_to(&key("a")).await?, &None)
}

/// It does not lengthen the tombstone either.
async fn a_second_delete_is_fenced_and_the_first_tombstone_stands(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [delete(&life, at(1_000))]).await?;
    rig.fenced(&life, delete(&life, at(9_000)), FenceReason::NoSuchLife).await?;
    let gone = Found::Gone(tombstone(&life, at(1_000)));
    same("look up", &rig.found(&life.id, at(0)).await?, &gone)
}

/// One write of each kind, right in everything but the life.
fn every_write(life: &Record) -> [Write; 15] {
    [
        begin(2, 4),
        begin_with(2, 4, asked("ask", 5)),
        steer(1, 4),
        say(1, 1, "late"),
        take_back(1, 9, 90),
        put_back(9, (1, 1), 4, 10),
        Write::ForgetRevision { version: 9 },
        commit(1, 4),
        settle(1, 4, TurnOutcome::Failed, InputFate::Drop),
        append(4, &["late"]),
        put(9, vec![put_one("one", "late")]),
        resume("cli", keeps("late"), 90),
        Write::Label { label: Some("late".to_owned()) },
        rotate("f", 90),
        delete(life, at(9_000)),
    ]
}

/// Each kind, with a turn that was open.
async fn late_writes_to_a_deleted_life_are_fenced(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    rig.done(&life, [append(1, &["x", "y"]), begin(1, 3), delete(&life, at(1_000))]).await?;
    for write in every_write(&life) {
        rig.fenced(&life, write, FenceReason::NoSuchLife).await?;
    }
    Ok(())
}

/// Each kind, while the next life is in a state in which it would be right.
async fn late_writes_do_not_reach_the_next_life(rig: Rig) -> Verdict {
    let old = rig.empty("a").await?;
    rig.done(&old, [append(1, &["x", "y"]), begin(1, 3), delete(&old, at(1_000))]).await?;
    let young = rig.create(new_again("a")).await?;
    rig.done(&young, [append(1, &["x", "y"]), begin(1, 3)]).await?;
    for write in every_write(&old) {
        rig.fenced(&old, write, FenceReason::NoSuchLife).await?;
    }
    Ok(())
}

/// Has the store forget tombstones.
async fn forget(rig: &Rig, now: Timestamp, limit: usize) -> Result<usize, String> {
    rig.forget(Forget::Tombstones(now), limit).await
}

/// What is found under an id when no tombstone has expired by itself.
async fn is_unknown(rig: &Rig, name: &str) -> Result<bool, String> {
    Ok(rig.found(&id(name), at(0)).await? == Found::Unknown)
}

/// Only those whose time has come, and how many is told.
async fn expired_tombstones_are_forgotten_up_to_a_limit(rig: Rig) -> Verdict {
    for (name, until) in [("a", 100), ("b", 200), ("c", 300), ("d", 400)] {
        let life = rig.empty(name).await?;
        rig.done(&life, [delete(&life, at(until))]).await?;
    }
    let early = Timestamp::from_millis(at(100).as_millis() - 1);
    for (now, limit, expected) in
        [(early, 10, 0), (at(300), 0, 0), (at(300), 2, 2), (at(300), 10, 1), (at(300), 10, 0)]
    {
        let forgotten = forget(&rig, now, limit).await?;
        same(&format!("forgotten at {now}, {limit} at most"), &forgotten, &expected)?;
    }
    for (name, expected) in [("a", true), ("b", true), ("c", true), ("d", false)] {
        same(&format!("{name} is forgotten"), &is_unknown(&rig, name).await?, &expected)?;
    }
    same("a large limit", &forget(&rig, at(1_000), usize::MAX).await?, &1)?;
    rig.empty("a").await.map(drop)
}

/// The order of the deletes is not that of the ends.
async fn a_long_tombstone_does_not_keep_a_short_one(rig: Rig) -> Verdict {
    for (name, until) in [("a", 900), ("b", 100)] {
        let life = rig.empty(name).await?;
        rig.done(&life, [delete(&life, at(until))]).await?;
    }
    same("forgotten", &forget(&rig, at(100), 10).await?, &1)?;
    same("the short one is gone", &is_unknown(&rig, "b").await?, &true)?;
    same("the long one stands", &is_unknown(&rig, "a").await?, &false)
}

/// The tombstone of the earlier life is not counted, and takes nothing with it.
async fn forgetting_spares_an_id_that_lives_again(rig: Rig) -> Verdict {
    let old = rig.empty("a").await?;
    rig.done(&old, [delete(&old, at(100))]).await?;
    let young = rig.create(new_again("a")).await?;
    same("forgotten", &forget(&rig, at(500), 10).await?, &0)?;
    same("look up", &rig.live(&young).await?, &young)?;
    rig.done(&young, [append(1, &["x"]), delete(&young, at(800))]).await?;
    same("forgotten", &forget(&rig, at(500), 10).await?, &0)?;
    let gone = Found::Gone(tombstone(&young, at(800)));
    same("look up", &rig.found(&young.id, at(500)).await?, &gone)?;
    let third = rig.create(NewRecord { at: at(800), ..new("a") }).await?;
    same("forgotten", &forget(&rig, at(900), 10).await?, &0)?;
    same("look up", &rig.live(&third).await?, &third)
}

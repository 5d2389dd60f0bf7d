//! Further ids of one life.

use super::extras::{asked, begin_with};
use super::resume::{keeps, resume, worked};
use super::rig::{
    Check, Rig, Verdict, append, at, begin, bytes, checks, commit, delete, id, key, new, new_again,
    new_bound, put, put_one, same, tombstone,
};
use crate::id::Incarnation;
use crate::store::{Bound, Created, FenceReason, Forget, Found, Record, RecordFilter, Write};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    a_life_is_told_by_its_newest_id_and_keeps_everything,
    every_id_of_a_life_leads_to_all_of_it,
    an_id_that_is_taken_is_not_given,
    a_tombstone_makes_room_for_an_id_when_its_time_is_over,
    an_id_that_was_given_is_not_created,
    a_key_goes_by_the_first_id,
    what_is_kept_for_a_time_is_forgotten_by_that_whatever_the_id,
    a_delete_leaves_a_tombstone_under_every_id,
    a_life_that_is_over_is_given_no_id,
];

/// Gives a life another id, `seconds` after time zero.
pub(super) fn rotate(to: &str, seconds: u64) -> Write {
    Write::Rotate { to: id(to), at: at(seconds) }
}

/// The same life, asked for by another id.
fn by(life: &Record, name: &str) -> Record {
    Record { id: id(name), ..life.clone() }
}

/// The turn that runs, the counters, the entries, the data.
async fn a_life_is_told_by_its_newest_id_and_keeps_everything(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    rig.done(&life, [append(1, &["x"]), put(5, vec![put_one("one", "1")]), begin(1, 2)]).await?;
    let before = rig.live(&life).await?;
    let entries = rig.entries(&life).await?;
    rig.done(&life, [rotate("b", 80), rotate("c", 90)]).await?;
    let expected = Record {
        id: id("c"),
        former_ids: vec![id("a"), id("b")],
        last_active_at: at(90),
        ..before
    };
    same("the record", &rig.live(&life).await?, &expected)?;
    same("its first id", expected.first_id(), &id("a"))?;
    let page = rig.list(&RecordFilter::default(), None, 10).await?;
    same("list", &page.records, &vec![expected])?;
    same("entries", &rig.entries(&life).await?, &entries)?;
    rig.done(&life, [commit(1, 3), append(4, &["y"])]).await?;
    same("how many entries", &rig.entries(&life).await?.len(), &4)
}

/// Writes and reads, by any of them.
async fn every_id_of_a_life_leads_to_all_of_it(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    rig.done(&life, [rotate("b", 10), begin(1, 1), rotate("c", 20)]).await?;
    let (a, b, c) = (by(&life, "a"), by(&life, "b"), by(&life, "c"));
    for name in ["a", "b", "c"] {
        let found = rig.live(&by(&life, name)).await?;
        same(name, &(found.incarnation, found.id), &(life.incarnation, id("c")))?;
    }
    let written = rig.store().write(&b.id, b.incarnation, commit(1, 2)).await;
    written.map_err(|error| format!("a write by a former id: {error}"))?;
    let written = rig.store().write(&c.id, c.incarnation, append(3, &["x"])).await;
    written.map_err(|error| format!("a write by the newest id: {error}"))?;
    for life in [&a, &b, &c] {
        same("entries", &rig.entries(life).await?.len(), &3)?;
        same("datum", &rig.datum(life, "one").await?, &Some(bytes("committed")))?;
        same("turn", &rig.turn(life, 1).await?.is_some(), &true)?;
        same("keys", &rig.keys_of(life).await?, &vec![key("a")])?;
    }
    let other = Record { incarnation: Incarnation::new(u64::MAX >> 1), ..c };
    rig.fenced(&other, append(4, &["y"]), FenceReason::NoSuchLife).await
}

/// By another life or by this one, as the newest or as a former one, or by a tombstone that stands.
async fn an_id_that_is_taken_is_not_given(rig: Rig) -> Verdict {
    let (one, other) = (rig.empty("a").await?, rig.empty("b").await?);
    let gone = rig.empty("d").await?;
    rig.done(&one, [rotate("c", 10)]).await?;
    rig.done(&gone, [delete(&gone, at(100))]).await?;
    for taken in ["a", "b", "c", "d"] {
        rig.fenced(&one, rotate(taken, 20), FenceReason::IdTaken).await?;
        rig.fenced(&other, rotate(taken, 20), FenceReason::IdTaken).await?;
    }
    Ok(())
}

/// At its `until`, as for a create; and is not forgotten twice.
async fn a_tombstone_makes_room_for_an_id_when_its_time_is_over(rig: Rig) -> Verdict {
    let (gone, life) = (rig.empty("a").await?, rig.empty("b").await?);
    rig.done(&gone, [delete(&gone, at(100))]).await?;
    rig.fenced(&life, rotate("a", 99), FenceReason::IdTaken).await?;
    rig.done(&life, [rotate("a", 100)]).await?;
    let found = rig.live(&by(&life, "a")).await?;
    same("the life", &found.incarnation, &life.incarnation)?;
    let forgotten = rig.forget(Forget::Tombstones(at(1_000)), 10).await?;
    same("forgotten", &forgotten, &0)?;
    same("it is still there", &rig.live(&by(&life, "a")).await?, &found)
}

/// Whether reuse is allowed or not.
async fn an_id_that_was_given_is_not_created(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [rotate("b", 10), rotate("c", 20)]).await?;
    for name in ["a", "b", "c"] {
        for new in [new(name), new_again(name)] {
            same(name, &rig.try_create(new).await?, &Created::IdTaken)?;
        }
    }
    Ok(())
}

/// That is what it is bound to and what is expected, however often the life is given another.
async fn a_key_goes_by_the_first_id(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    rig.done(&life, [rotate("b", 10)]).await?;
    same("key", &rig.bound_to(&key("a")).await?, &Some(id("a")))?;
    same("by a later id", &rig.bind("b", None, Some(&by(&life, "b"))).await?, &Bound::Bound)?;
    same("key", &rig.bound_to(&key("b")).await?, &Some(id("a")))?;
    same("keys", &rig.keys_of(&life).await?, &vec![key("a"), key("b")])?;
    same("unbound", &rig.bind("a", Some("a"), None).await?, &Bound::Bound)?;
    let next = rig.create(new_bound("c", "b", Some("a"))).await?;
    same("keys", &rig.keys_of(&life).await?, &Vec::new())?;
    same("keys of the next", &rig.keys_of(&next).await?, &vec![key("b")])
}

/// What was used again under another id is not forgotten by its first use, and nothing is forgotten twice.
async fn what_is_kept_for_a_time_is_forgotten_by_that_whatever_the_id(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin_with(1, 1, asked("ask", 5)), resume("cli", keeps("x"), 10)]).await?;
    rig.done(&life, [rotate("b", 15), resume("cli", worked("x"), 40), rotate("c", 50)]).await?;
    for (what, expected) in [(Forget::ResumeHandles(at(30)), 0), (Forget::Requests(at(30)), 1)] {
        same(&format!("{what:?}"), &rig.forget(what, 10).await?, &expected)?;
    }
    let used = rig.handle(&by(&life, "b"), "cli").await?.map(|(_, _, used, _)| used);
    same("the handle", &used, &Some(40))?;
    rig.done(&life, [delete(&life, at(1_000))]).await?;
    same("after a delete", &rig.forget(Forget::ResumeHandles(at(90)), 10).await?, &0)
}

/// All of the same life, and all until the same time.
async fn a_delete_leaves_a_tombstone_under_every_id(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    rig.done(&life, [rotate("b", 10), rotate("c", 20)]).await?;
    let by_a_former = rig.store().write(&id("b"), life.incarnation, delete(&life, at(1_000))).await;
    by_a_former.map_err(|error| format!("a delete by a former id: {error}"))?;
    let gone = Found::Gone(tombstone(&life, at(1_000)));
    for name in ["a", "b", "c"] {
        same(name, &rig.found(&id(name), at(0)).await?, &gone)?;
        let refused = Created::IdGone(tombstone(&life, at(1_000)));
        same(name, &rig.try_create(new(name)).await?, &refused)?;
    }
    let again = rig.create(new_again("b")).await?;
    same("no former ids", &again.former_ids, &Vec::new())?;
    for name in ["a", "c"] {
        same(name, &rig.found(&id(name), at(0)).await?, &gone)?;
    }
    let forgotten = rig.forget(Forget::Tombstones(at(1_000)), 10).await?;
    same("forgotten", &forgotten, &2)?;
    same("it lives again", &rig.live(&again).await?, &again)
}

/// Under none of its ids.
async fn a_life_that_is_over_is_given_no_id(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [rotate("b", 10), delete(&life, at(1_000))]).await?;
    rig.fenced(&life, rotate("c", 20), FenceReason::NoSuchLife).await?;
    rig.fenced(&by(&life, "b"), rotate("c", 20), FenceReason::NoSuchLife).await?;
    same("it is free", &rig.found(&id("c"), at(0)).await?, &Found::Unknown)
}

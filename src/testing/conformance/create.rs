//! Creating a session, and the three ways in which that is refused.

use std::collections::BTreeSet;

use super::rig::{
    Check, Rig, Verdict, append, at, begin, bytes, checks, commit, delete, id, key, new, new_again,
    new_bound, put, put_one, refused_for, same, tombstone,
};
use crate::id::Generation;
use crate::store::{
    Binding, Created, EntryMark, FenceReason, Found, NewRecord, Record, RecordFilter, StoredEntry,
};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    a_created_session_reads_back_with_every_field,
    a_session_needs_no_key_no_label_and_no_content,
    what_was_never_created_is_unknown,
    a_taken_id_changes_nothing,
    a_deleted_id_is_told_with_its_tombstone_and_changes_nothing,
    a_moved_key_is_told_and_changes_nothing,
    an_id_is_judged_before_its_key,
    a_key_can_be_rebound_by_who_knows_what_it_is_bound_to,
    a_reused_id_begins_a_higher_life_without_the_old_content,
    an_expired_tombstone_permits_a_create,
    incarnations_grow_and_are_never_zero,
];

/// A session with something in every field.
fn full() -> NewRecord {
    NewRecord {
        label: Some("a line for people".to_owned()),
        entries: vec![bytes("first"), bytes("second")],
        data: vec![("one".to_owned(), bytes("1")), ("two".to_owned(), bytes("2"))],
        at: at(5),
        ..new_bound("a", "a", None)
    }
}

/// Record, listing, key, entries and data say what was given.
async fn a_created_session_reads_back_with_every_field(rig: Rig) -> Verdict {
    let record = rig.create(full()).await?;
    let expected = Record {
        id: id("a"),
        former_ids: Vec::new(),
        incarnation: record.incarnation,
        key: Some(key("a")),
        label: Some("a line for people".to_owned()),
        created_at: at(5),
        last_active_at: at(5),
        generation: Generation::default(),
        version: 0,
        next_seq: 3,
        entries: 2,
        open: Vec::new(),
        class: None,
        standing: crate::standing::Standing::Active,
        expiry: None,
        pinned: false,
        crashes: 0,
        previous: None,
    };
    same("the answer", &record, &expected)?;
    same("look up", &rig.found(&record.id, at(5)).await?, &Found::Live(expected.clone()))?;
    let page = rig.list(&RecordFilter::default(), None, 10).await?;
    same("list", &page.records, &vec![expected])?;
    same("key", &rig.bound_to(&key("a")).await?, &Some(id("a")))?;
    let entry = |seq, text| StoredEntry {
        seq,
        generation: None,
        input: false,
        mark: EntryMark::Kept,
        at: at(5),
        payload: bytes(text),
    };
    let entries = vec![entry(1, "first"), entry(2, "second")];
    same("entries", &rig.entries(&record).await?, &entries)?;
    same("datum one", &rig.datum(&record, "one").await?, &Some(bytes("1")))?;
    same("datum two", &rig.datum(&record, "two").await?, &Some(bytes("2")))?;
    same("datum three", &rig.datum(&record, "three").await?, &None)
}

/// Absent is not empty.
async fn a_session_needs_no_key_no_label_and_no_content(rig: Rig) -> Verdict {
    let bare = rig.empty("a").await?;
    same("key", &bare.key, &None)?;
    same("label", &bare.label, &None)?;
    same("next number", &bare.next_seq, &1)?;
    same("look up", &rig.live(&bare).await?, &bare)?;
    same("entries", &rig.entries(&bare).await?, &vec![])?;
    let labelled = NewRecord { label: Some(String::new()), ..new("b") };
    let labelled = rig.create(labelled).await?;
    same("an empty label", &rig.live(&labelled).await?.label, &Some(String::new()))
}

/// Reads of nothing are answered; reads and writes of no life are fenced.
async fn what_was_never_created_is_unknown(rig: Rig) -> Verdict {
    same("look up", &rig.found(&id("a"), at(0)).await?, &Found::Unknown)?;
    same("key", &rig.bound_to(&key("a")).await?, &None)?;
    let page = rig.list(&RecordFilter::default(), None, 10).await?;
    same("list", &(page.records, page.next), &(vec![], None))?;
    let mut stranger = rig.empty("b").await?;
    stranger.id = id("a");
    rig.fenced(&stranger, append(1, &["x"]), FenceReason::NoSuchLife).await?;
    rig.fenced(&stranger, begin(1, 1), FenceReason::NoSuchLife).await?;
    reads_are_fenced(&rig, &stranger).await
}

/// Entries, data and turns of a life that is not there are refused.
pub(super) async fn reads_are_fenced(rig: &Rig, life: &Record) -> Verdict {
    let (id, incarnation, gone) = (&life.id, life.incarnation, [FenceReason::NoSuchLife]);
    refused_for("entries", &rig.store().entries(id, incarnation, 0, 10).await, &gone)?;
    refused_for("datum", &rig.store().datum(id, incarnation, "one").await, &gone)?;
    let turn = rig.store().turn(id, incarnation, Generation::new(1)).await;
    refused_for("turn", &turn, &gone)?;
    let partial = rig.store().partial(id, incarnation, Generation::new(1)).await;
    refused_for("partial", &partial, &gone)?;
    refused_for("request", &rig.store().request(id, incarnation, "ask").await, &gone)?;
    refused_for("resume", &rig.store().resume(id, incarnation, "cli").await, &gone)?;
    refused_for("branches", &rig.store().branches(id, incarnation).await, &gone)?;
    refused_for("revisions", &rig.store().revisions(id, incarnation).await, &gone)
}

/// Tries to create what is refused, and compares everything before and after.
async fn refused(rig: &Rig, new: NewRecord, expected: Created) -> Verdict {
    let before = rig.snapshot().await?;
    same("the answer", &rig.try_create(new).await?, &expected)?;
    before.is_still(&rig.snapshot().await?)
}

/// `IdTaken`, however the newcomer looks.
async fn a_taken_id_changes_nothing(rig: Rig) -> Verdict {
    rig.create(full()).await?;
    refused(&rig, new("a"), Created::IdTaken).await?;
    refused(&rig, new_again("a"), Created::IdTaken).await?;
    refused(&rig, new_bound("a", "b", None), Created::IdTaken).await?;
    refused(&rig, full(), Created::IdTaken).await
}

/// `IdGone`, with every field of the tombstone.
async fn a_deleted_id_is_told_with_its_tombstone_and_changes_nothing(rig: Rig) -> Verdict {
    let life = rig.create(full()).await?;
    rig.done(&life, [delete(&life, at(1_000))]).await?;
    let gone = Created::IdGone(tombstone(&life, at(1_000)));
    refused(&rig, new("a"), gone.clone()).await?;
    refused(&rig, full(), gone).await
}

/// `KeyMoved`, for each way in which the expectation can be wrong.
async fn a_moved_key_is_told_and_changes_nothing(rig: Rig) -> Verdict {
    rig.create(new_bound("a", "a", None)).await?;
    rig.empty("b").await?;
    let moved = |bound_to: Option<&str>| Created::KeyMoved { bound_to: bound_to.map(id) };
    let with_content = |new| NewRecord { binding: Binding::clone(&new).into(), ..full() };
    let binding =
        |chat, expected: Option<&str>| Binding { key: key(chat), expected: expected.map(id) };
    refused(&rig, new_bound("c", "a", None), moved(Some("a"))).await?;
    refused(&rig, new_bound("c", "a", Some("b")), moved(Some("a"))).await?;
    refused(&rig, new_bound("c", "b", Some("b")), moved(None)).await?;
    let content = NewRecord { id: id("d"), ..with_content(binding("a", None)) };
    refused(&rig, content, moved(Some("a"))).await?;
    same("the id is still free", &rig.empty("c").await?.id, &id("c"))
}

/// A create that is wrong in both ways is told of its id.
async fn an_id_is_judged_before_its_key(rig: Rig) -> Verdict {
    rig.create(new_bound("a", "a", None)).await?;
    refused(&rig, new_bound("a", "a", None), Created::IdTaken).await?;
    refused(&rig, new_bound("a", "b", Some("a")), Created::IdTaken).await?;
    let gone = rig.empty("b").await?;
    rig.done(&gone, [delete(&gone, at(1_000))]).await?;
    let told = Created::IdGone(tombstone(&gone, at(1_000)));
    refused(&rig, new_bound("b", "a", None), told).await
}

/// The older session lives on, and still says under which key it was created.
async fn a_key_can_be_rebound_by_who_knows_what_it_is_bound_to(rig: Rig) -> Verdict {
    let older = rig.create(new_bound("a", "a", None)).await?;
    let newer = rig.create(new_bound("b", "a", Some("a"))).await?;
    same("key", &rig.bound_to(&key("a")).await?, &Some(id("b")))?;
    same("the older session", &rig.live(&older).await?, &older)?;
    same("the newer session", &rig.live(&newer).await?, &newer)
}

/// Nothing of the old life shows, and nothing of it can be read or written any more.
async fn a_reused_id_begins_a_higher_life_without_the_old_content(rig: Rig) -> Verdict {
    let old = rig.create(full()).await?;
    rig.done(&old, [begin(1, 3), commit(1, 4), delete(&old, at(1_000))]).await?;
    let young = rig.create(new_again("a")).await?;
    same("a higher life", &(young.incarnation > old.incarnation), &true)?;
    let expected = Record { incarnation: young.incarnation, ..empty_record("a") };
    same("look up", &rig.live(&young).await?, &expected)?;
    same("entries", &rig.entries(&young).await?, &vec![])?;
    same("datum", &rig.datum(&young, "one").await?, &None)?;
    same("turn", &rig.turn(&young, 1).await?, &None)?;
    same("the old key", &rig.bound_to(&key("a")).await?, &None)?;
    reads_are_fenced(&rig, &old).await?;
    rig.fenced(&old, append(1, &["x"]), FenceReason::NoSuchLife).await?;
    rig.fenced(&old, put(3, vec![put_one("one", "x")]), FenceReason::NoSuchLife).await?;
    rig.done(&young, [begin(1, 1), commit(1, 2)]).await?;
    same("its own turn", &rig.turn(&young, 1).await?.is_some(), &true)
}

/// What [`new`] should become, up to its life.
fn empty_record(name: &str) -> Record {
    Record {
        id: id(name),
        former_ids: Vec::new(),
        incarnation: crate::id::Incarnation::new(0),
        key: None,
        label: None,
        created_at: at(0),
        last_active_at: at(0),
        generation: Generation::default(),
        version: 0,
        next_seq: 1,
        entries: 0,
        open: Vec::new(),
        class: None,
        standing: crate::standing::Standing::Active,
        expiry: None,
        pinned: false,
        crashes: 0,
        previous: None,
    }
}

/// A tombstone has ended at its `until`, and not a millisecond earlier.
async fn an_expired_tombstone_permits_a_create(rig: Rig) -> Verdict {
    let old = rig.empty("a").await?;
    rig.done(&old, [delete(&old, at(90))]).await?;
    let last = crate::clock::Timestamp::from_millis(at(90).as_millis() - 1);
    let stands = tombstone(&old, at(90));
    same("look up before", &rig.found(&old.id, last).await?, &Found::Gone(stands))?;
    same("look up after", &rig.found(&old.id, at(90)).await?, &Found::Unknown)?;
    refused(&rig, NewRecord { at: last, ..new("a") }, Created::IdGone(stands)).await?;
    let young = rig.create(NewRecord { at: at(90), ..new("a") }).await?;
    same("a higher life", &(young.incarnation > old.incarnation), &true)?;
    rig.fenced(&old, append(1, &["x"]), FenceReason::NoSuchLife).await
}

/// Also across ids, deletes and refusals.
async fn incarnations_grow_and_are_never_zero(rig: Rig) -> Verdict {
    let mut seen = BTreeSet::new();
    for round in 0..20_u64 {
        let name = if round % 2 == 0 { "a" } else { "b" };
        let life = rig.create(new_again(name)).await?;
        let number = life.incarnation.get();
        let newest = seen.last().copied().unwrap_or(0);
        same(&format!("life {number} is above {newest}"), &(number > newest), &true)?;
        seen.insert(number);
        same("refused", &rig.try_create(new(name)).await?, &Created::IdTaken)?;
        rig.done(&life, [delete(&life, at(1_000))]).await?;
    }
    Ok(())
}

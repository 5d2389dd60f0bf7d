//! Handing over: futures that are dropped, calls that meet each other, and the end.

use super::rig::{
    Check, Rig, Verdict, append, at, at_once, begin, bytes, checks, commit, delete, id, key, new,
    new_bound, put, put_one, refused_for, same, settle, told,
};
use crate::id::{Generation, InstanceId};
use crate::outcome::TurnOutcome;
use crate::rt::Arc;
use crate::store::{
    CleanStop, Created, DrainCounts, FenceReason, Forget, Found, InputFate, NewRecord,
    RecordFilter, StoreError, Write,
};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    a_write_happens_even_if_its_future_is_dropped,
    a_create_happens_even_if_its_future_is_dropped,
    refused_writes_do_not_spoil_those_beside_them,
    of_concurrent_creates_of_one_id_one_succeeds,
    of_concurrent_creates_under_one_key_one_succeeds,
    of_concurrent_ends_of_one_turn_one_succeeds,
    of_concurrent_deletes_one_succeeds,
    a_store_in_use_finds_nothing_wrong_with_itself,
    a_closed_store_refuses_everything,
];

/// How many calls meet each other.
const CROWD: usize = 50;

/// Every kind of write; the label behind each is awaited, so that what came before it is settled.
async fn a_write_happens_even_if_its_future_is_dropped(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let writes = [
        append(1, &["x"]),
        begin(1, 2),
        commit(1, 3),
        put(8, vec![put_one("two", "put")]),
        begin(2, 4),
        settle(2, 5, TurnOutcome::Failed, InputFate::Keep),
    ];
    for write in writes {
        drop(rig.write(&life, write));
        rig.done(&life, [Write::Label { label: None }]).await?;
    }
    let record = rig.live(&life).await?;
    let found = (record.generation.get(), record.next_seq, record.entries, record.open.len());
    same("turns, next number, count, open turns", &found, &(2, 5, 4, 0))?;
    same("datum", &rig.datum(&life, "two").await?, &Some(bytes("put")))?;
    drop(rig.write(&life, delete(&life, at(1_000))));
    let late = rig.write(&life, Write::Label { label: None }).await;
    refused_for("a label after the delete", &late, &[FenceReason::NoSuchLife])
}

/// With its key; the same again says that it is there.
async fn a_create_happens_even_if_its_future_is_dropped(rig: Rig) -> Verdict {
    drop(rig.store().create(new_bound("a", "a", None)));
    let again = rig.try_create(new_bound("a", "a", None)).await?;
    same("the same again", &again, &Created::IdTaken)?;
    same("key", &rig.bound_to(&key("a")).await?, &Some(id("a")))
}

/// Exactly those are refused that should be, and exactly the others have happened.
async fn refused_writes_do_not_spoil_those_beside_them(rig: Rig) -> Verdict {
    let mut lives = Vec::with_capacity(CROWD);
    for index in 0..CROWD {
        lives.push(rig.empty(&format!("s{index}")).await?);
    }
    let writes = lives.iter().enumerate().map(|(index, life)| {
        let (store, life) = (Arc::clone(rig.store()), life.clone());
        let write = if index % 3 == 0 { append(9, &["x"]) } else { append(1, &["x"]) };
        move || store.write(&life.id, life.incarnation, write)
    });
    let answers = at_once(writes.collect()).await;
    for ((index, life), answer) in lives.iter().enumerate().zip(&answers) {
        if index % 3 == 0 {
            refused_for(&format!("write {index}"), answer, &[FenceReason::OutOfOrder])?;
        } else {
            told(&format!("write {index}"), answer.clone())?;
        }
        let expected = u64::from(index % 3 != 0);
        same(&format!("entries of {}", life.id), &rig.live(life).await?.entries, &expected)?;
    }
    Ok(())
}

/// The others are told that it is taken.
async fn of_concurrent_creates_of_one_id_one_succeeds(rig: Rig) -> Verdict {
    let creates = (0..CROWD).map(|index| {
        let store = Arc::clone(rig.store());
        let new = NewRecord { label: Some(index.to_string()), ..new("a") };
        move || store.create(new)
    });
    let mut winners = Vec::new();
    for answer in at_once(creates.collect()).await {
        match told("create", answer)? {
            Created::Created(record) => winners.push(record),
            lost @ (Created::IdTaken | Created::IdGone(_) | Created::KeyMoved { .. }) => {
                same("a loser's answer", &lost, &Created::IdTaken)?;
            }
        }
    }
    same("how many succeed", &winners.len(), &1)?;
    for winner in winners {
        same("look up", &rig.live(&winner).await?, &winner)?;
    }
    let page = rig.list(&RecordFilter::default(), None, 10).await?;
    same("how many are listed", &page.records.len(), &1)
}

/// The others are told who won, and have left nothing.
async fn of_concurrent_creates_under_one_key_one_succeeds(rig: Rig) -> Verdict {
    let creates = (0..CROWD).map(|index| {
        let store = Arc::clone(rig.store());
        let new = new_bound(&format!("s{index}"), "a", None);
        move || store.create(new)
    });
    let answers = at_once(creates.collect()).await;
    let winner = rig.bound_to(&key("a")).await?.ok_or("the key is bound to nobody")?;
    for (index, answer) in answers.into_iter().enumerate() {
        let name = id(&format!("s{index}"));
        match told("create", answer)? {
            Created::Created(record) => same("the winner", &record.id, &winner)?,
            lost @ (Created::IdTaken | Created::IdGone(_) | Created::KeyMoved { .. }) => {
                let moved = Created::KeyMoved { bound_to: Some(winner.clone()) };
                same("a loser's answer", &lost, &moved)?;
                same("a loser", &rig.found(&name, at(0)).await?, &Found::Unknown)?;
            }
        }
    }
    let page = rig.list(&RecordFilter::default(), None, 10).await?;
    let listed: Vec<_> = page.records.into_iter().map(|record| record.id).collect();
    same("what is listed", &listed, &vec![winner])
}

/// Makes writes to one session at once; answers which of them were accepted.
async fn accepted(
    rig: &Rig,
    life: &crate::store::Record,
    writes: Vec<Write>,
    refusals: &[FenceReason],
) -> Result<Vec<usize>, String> {
    let calls = writes.into_iter().map(|write| {
        let (store, life) = (Arc::clone(rig.store()), life.clone());
        move || store.write(&life.id, life.incarnation, write)
    });
    let mut accepted = Vec::new();
    for (index, answer) in at_once(calls.collect()).await.iter().enumerate() {
        match answer {
            Ok(()) => accepted.push(index),
            refused @ Err(_) => refused_for("a loser's answer", refused, refusals)?,
        }
    }
    Ok(accepted)
}

/// Commits and failures in one race: one of them is the outcome.
async fn of_concurrent_ends_of_one_turn_one_succeeds(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1)]).await?;
    let end = |index| match index % 2 {
        0 => commit(1, 2),
        _ => settle(1, 2, TurnOutcome::Failed, InputFate::Keep),
    };
    let refusals = [FenceReason::TurnNotOpen, FenceReason::OutOfOrder];
    let winners = accepted(&rig, &life, (0..CROWD).map(end).collect(), &refusals).await?;
    same("how many succeed", &winners.len(), &1)?;
    let committed = winners.iter().all(|index| index % 2 == 0);
    let outcome = if committed { TurnOutcome::Committed } else { TurnOutcome::Failed };
    let found = rig.turn(&life, 1).await?.map(|turn| turn.outcome);
    same("outcome", &found, &Some(outcome))?;
    let record = rig.live(&life).await?;
    let expected = if committed { (2, 3) } else { (1, 2) };
    same("count and next number", &(record.entries, record.next_seq), &expected)
}

/// And it is its tombstone that stands.
async fn of_concurrent_deletes_one_succeeds(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    let until = |index: usize| at(1_000 + index as u64);
    let deletes = (0..CROWD).map(|index| delete(&life, until(index))).collect();
    let winners = accepted(&rig, &life, deletes, &[FenceReason::NoSuchLife]).await?;
    same("how many succeed", &winners.len(), &1)?;
    for winner in winners {
        let stands = super::rig::tombstone(&life, until(winner));
        let found = rig.found(&life.id, at(0)).await?;
        same("look up", &found, &Found::Gone(stands))?;
    }
    Ok(())
}

/// After something of everything.
async fn a_store_in_use_finds_nothing_wrong_with_itself(rig: Rig) -> Verdict {
    let older = rig.create(new_bound("a", "a", None)).await?;
    let newer = rig.create(new_bound("b", "a", Some("a"))).await?;
    rig.done(&older, [append(1, &["x"]), begin(1, 2), delete(&older, at(100))]).await?;
    let dropped = settle(1, 2, TurnOutcome::Failed, InputFate::Drop);
    rig.done(&newer, [begin(1, 1), dropped, begin(2, 2), commit(2, 3), begin(3, 4)]).await?;
    rig.healthy().await?;
    told("forget", rig.store().forget(Forget::Tombstones(at(500)), 10).await)?;
    rig.healthy().await
}

/// Every call but another close, which is harmless.
async fn a_closed_store_refuses_everything(rig: Rig) -> Verdict {
    let life = rig.create(new_bound("a", "a", None)).await?;
    let store = rig.store();
    told("close", store.close().await)?;
    told("close again", store.close().await)?;
    let (id, incarnation) = (&life.id, life.incarnation);
    closed("create", &store.create(new("b")).await)?;
    for write in [append(1, &["x"]), begin(1, 1), delete(&life, at(1_000))] {
        closed("write", &rig.write(&life, write).await)?;
    }
    closed("look up", &store.look_up(id, at(0)).await)?;
    closed("key", &store.bound_to(&key("a")).await)?;
    closed("entries", &store.entries(id, incarnation, 0, 10).await)?;
    closed("datum", &store.datum(id, incarnation, "one").await)?;
    closed("turn", &store.turn(id, incarnation, Generation::new(1)).await)?;
    closed("list", &store.list(RecordFilter::default(), None, 10).await)?;
    let turn = Generation::new(1);
    closed("partial", &store.partial(id, incarnation, turn).await)?;
    closed("request", &store.request(id, incarnation, "x").await)?;
    closed("resume", &store.resume(id, incarnation, "cli").await)?;
    closed("branches", &store.branches(id, incarnation).await)?;
    closed("revisions", &store.revisions(id, incarnation).await)?;
    for what in [
        Forget::Tombstones,
        Forget::Revisions,
        Forget::Requests,
        Forget::ResumeHandles,
        Forget::RefusedHandles,
    ] {
        closed("forget", &store.forget(what(at(0)), 10).await)?;
    }
    let instance = InstanceId::from_random(1);
    let stop = CleanStop { at: at(1), turns: DrainCounts::default() };
    closed("open a run", &store.open_run(instance, at(1)).await)?;
    closed("close a run", &store.close_run(instance, stop).await)?;
    closed("check", &store.check().await)?;
    told("close once more", store.close().await)
}

/// Whether a call was refused because the store is closed.
fn closed<T: std::fmt::Debug>(what: &str, answer: &Result<T, StoreError>) -> Verdict {
    match answer {
        Err(StoreError::Closed) => Ok(()),
        other => Err(format!("{what}: found {}, expected `Closed`", super::rig::shown(other))),
    }
}

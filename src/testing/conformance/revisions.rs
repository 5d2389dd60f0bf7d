//! Taking entries out of a transcript, and what is kept of them.

use super::extras::{
    begin_with, just_before, over, piece, said, say, settle_said, steer, take_back,
};
use super::rig::{
    Check, Rig, Verdict, append, at, begin, bytes, checks, commit, delete, new_again, same, settle,
    told,
};
use crate::id::Generation;
use crate::outcome::TurnOutcome;
use crate::store::{
    EntryMark, FenceReason, Forget, InputFate, PartialFate, Record, Revision, RevisionReason,
    StoredEntry, TurnRecord,
};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    what_is_taken_back_is_a_revision_and_not_in_the_transcript,
    the_numbers_of_what_was_taken_back_are_not_given_again,
    reading_goes_over_what_was_taken_back,
    an_entry_belongs_to_the_first_revision_that_took_it,
    nothing_may_be_taken_back,
    nothing_is_taken_back_under_an_open_turn,
    a_revision_with_an_old_number_is_fenced,
    a_begin_can_take_back_what_it_does_over,
    a_begin_that_is_refused_takes_nothing_back,
    a_turn_that_was_taken_back_has_ended_as_it_did,
    revisions_are_forgotten_by_their_time_and_up_to_a_limit,
    forgetting_a_revision_spares_what_others_hold,
    forgetting_a_revision_takes_what_its_turns_had_said,
    a_later_life_has_no_revisions,
];

/// An entry that a turn leaves: its input `in`, or its reply.
fn written(turn: u64, seq: u64, text: &str, seconds: u64) -> StoredEntry {
    StoredEntry {
        seq,
        generation: Some(Generation::new(turn)),
        input: text == "in",
        mark: EntryMark::Kept,
        at: at(seconds),
        payload: bytes(text),
    }
}

/// A session with two turns, of the entries 1 to 4 and version 7.
pub(super) async fn stage(rig: &Rig) -> Result<Record, String> {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), commit(1, 2), begin(2, 3), commit(2, 4)]).await?;
    Ok(life)
}

/// Counts, version and last use change with it, and nothing else does.
async fn what_is_taken_back_is_a_revision_and_not_in_the_transcript(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    let before = rig.live(&life).await?;
    same("at first", &rig.revisions(&life).await?, &vec![])?;
    rig.done(&life, [take_back(3, 8, 200)]).await?;
    let expected = Record { version: 8, last_active_at: at(200), entries: 2, ..before };
    same("look up", &rig.live(&life).await?, &expected)?;
    let left = vec![written(1, 1, "in", 1), written(1, 2, "out", 100)];
    same("entries", &rig.entries(&life).await?, &left)?;
    let taken = vec![written(2, 3, "in", 2), written(2, 4, "out", 100)];
    let revision =
        Revision { version: 8, at: at(200), reason: RevisionReason::Rollback, entries: taken };
    same("revisions", &rig.revisions(&life).await?, &vec![revision])
}

/// Neither by a begin nor by an append.
async fn the_numbers_of_what_was_taken_back_are_not_given_again(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [take_back(2, 8, 200)]).await?;
    for used in [2, 4] {
        rig.fenced(&life, begin(3, used), FenceReason::OutOfOrder).await?;
        rig.fenced(&life, append(used, &["x"]), FenceReason::OutOfOrder).await?;
    }
    rig.fenced(&life, begin(2, 5), FenceReason::OldTurn).await?;
    rig.done(&life, [begin(3, 5), commit(3, 6), append(7, &["x"])]).await?;
    same("numbers", &rig.numbers(&life).await?, &vec![1, 5, 6, 7])?;
    same("count", &rig.live(&life).await?.entries, &4)
}

/// From any place and with any limit.
async fn reading_goes_over_what_was_taken_back(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [take_back(4, 8, 200), append(5, &["x", "y", "z"])]).await?;
    rig.done(&life, [take_back(7, 9, 201), append(8, &["w"])]).await?;
    let left = [1_u64, 2, 3, 5, 6, 8];
    for after in 0..=9 {
        for limit in [0, 1, 2, 3, 10, usize::MAX] {
            let read = rig.store().entries(&life.id, life.incarnation, after, limit).await;
            let read: Vec<_> = told("entries", read)?.iter().map(|entry| entry.seq).collect();
            let expected: Vec<_> =
                left.into_iter().filter(|seq| *seq > after).take(limit).collect();
            same(&format!("{limit} after {after}"), &read, &expected)?;
        }
    }
    let read = rig.store().entries(&life.id, life.incarnation, u64::MAX, 9).await;
    same("after the last number there is", &told("entries", read)?, &vec![])
}

/// A later one that begins earlier has what the first left.
async fn an_entry_belongs_to_the_first_revision_that_took_it(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [take_back(4, 8, 200), append(5, &["x"])]).await?;
    rig.done(&life, [take_back(2, 9, 201), append(6, &["y"]), take_back(6, 10, 202)]).await?;
    let expected = vec![(8, vec![4]), (9, vec![2, 3, 5]), (10, vec![6])];
    same("revisions", &rig.taken(&life).await?, &expected)?;
    same("entries", &rig.numbers(&life).await?, &vec![1])?;
    same("count", &rig.live(&life).await?.entries, &1)
}

/// That is a revision without entries, and hides nothing that comes after.
async fn nothing_may_be_taken_back(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [take_back(5, 8, 200), take_back(u64::MAX, 9, 201)]).await?;
    same("revisions", &rig.taken(&life).await?, &vec![(8, vec![]), (9, vec![])])?;
    rig.done(&life, [append(5, &["x", "y"])]).await?;
    same("entries", &rig.numbers(&life).await?, &vec![1, 2, 3, 4, 5, 6])?;
    rig.done(&life, [take_back(0, 10, 202)]).await?;
    same("all of it", &rig.numbers(&life).await?, &vec![])?;
    rig.done(&life, [take_back(0, 11, 203)]).await?;
    same("count", &rig.live(&life).await?.entries, &0)
}

/// Whatever it would take.
async fn nothing_is_taken_back_under_an_open_turn(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [begin(3, 5)]).await?;
    for from in [1, 5, 6] {
        rig.fenced(&life, take_back(from, 8, 200), FenceReason::TurnOpen).await?;
        rig.fenced(&life, begin_with(4, 6, over(from, 8)), FenceReason::TurnOpen).await?;
    }
    rig.done(&life, [commit(3, 6), take_back(5, 8, 200)]).await?;
    same("revisions", &rig.taken(&life).await?, &vec![(8, vec![5, 6])])
}

/// It would be another's.
async fn a_revision_with_an_old_number_is_fenced(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    for old in [0, 6, 7] {
        rig.fenced(&life, take_back(4, old, 200), FenceReason::OutOfOrder).await?;
    }
    // Appending makes the version what it says, here a lower one than the revision's.
    rig.done(&life, [take_back(4, 8, 200), append(5, &["x"])]).await?;
    for old in [5, 7, 8] {
        rig.fenced(&life, take_back(4, old, 200), FenceReason::OutOfOrder).await?;
        rig.fenced(&life, begin_with(3, 6, over(4, old)), FenceReason::OutOfOrder).await?;
    }
    rig.done(&life, [take_back(4, 9, 200)]).await
}

/// In one write, and before its input.
async fn a_begin_can_take_back_what_it_does_over(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [begin_with(3, 5, over(3, 8))]).await?;
    let record = rig.live(&life).await?;
    let found = (record.next_seq, record.entries, record.version, record.open.len());
    same("next number, count, version, open turns", &found, &(6, 3, 8, 1))?;
    same("entries", &rig.numbers(&life).await?, &vec![1, 2, 5])?;
    same("revisions", &rig.taken(&life).await?, &vec![(8, vec![3, 4])])?;
    same("when", &rig.revisions(&life).await?.first().map(|it| it.at), &Some(at(3)))?;
    rig.done(&life, [commit(3, 6)]).await?;
    same("entries", &rig.numbers(&life).await?, &vec![1, 2, 5, 6])
}

/// Whatever it is refused for.
async fn a_begin_that_is_refused_takes_nothing_back(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.fenced(&life, begin_with(2, 5, over(3, 8)), FenceReason::OldTurn).await?;
    rig.fenced(&life, begin_with(3, 4, over(3, 8)), FenceReason::OutOfOrder).await?;
    rig.fenced(&life, begin_with(3, 3, over(3, 8)), FenceReason::OutOfOrder).await
}

/// At the time at which it did, whether its input stays or not.
async fn a_turn_that_was_taken_back_has_ended_as_it_did(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    let failed = settle(3, 6, TurnOutcome::Failed, InputFate::Keep);
    rig.done(&life, [begin(3, 5), failed, take_back(2, 8, 200)]).await?;
    let [done, failed] = [TurnOutcome::Committed, TurnOutcome::Failed];
    for forgotten in [0, 1] {
        for (turn, outcome) in [(1, done), (2, done), (3, failed)] {
            let generation = Generation::new(turn);
            let expected = TurnRecord { generation, outcome, settled_at: at(100) };
            same("outcome", &rig.turn(&life, turn).await?, &Some(expected))?;
        }
        let all = rig.forget(Forget::Revisions(at(200)), 10).await?;
        same("forgotten", &all, &(1 - forgotten))?;
    }
    Ok(())
}

/// The oldest first, by when they were made, in whatever order.
async fn revisions_are_forgotten_by_their_time_and_up_to_a_limit(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    let other = rig.empty("b").await?;
    rig.done(&other, [append(1, &["x", "y"]), take_back(2, 8, 150)]).await?;
    rig.done(&life, [take_back(4, 8, 200), take_back(3, 9, 100), take_back(2, 10, 300)]).await?;
    let early = just_before(at(100));
    for (time, limit, expected) in
        [(early, 10, 0), (at(300), 0, 0), (at(200), 2, 2), (at(200), usize::MAX, 1)]
    {
        let forgotten = rig.forget(Forget::Revisions(time), limit).await?;
        same(&format!("forgotten at {time}, {limit} at most"), &forgotten, &expected)?;
        rig.healthy().await?;
        if limit == 2 {
            same("the older two are gone", &rig.taken(&other).await?, &vec![])?;
            let left = vec![(8, vec![4]), (10, vec![2])];
            same("the younger two are left", &rig.taken(&life).await?, &left)?;
        }
    }
    same("left", &rig.taken(&life).await?, &vec![(10, vec![2])])?;
    same("entries", &rig.numbers(&life).await?, &vec![1])?;
    same("other entries", &rig.numbers(&other).await?, &vec![1])?;
    let record = rig.live(&life).await?;
    same("next number and count", &(record.next_seq, record.entries), &(5, 1))?;
    same("again", &rig.forget(Forget::Revisions(at(200)), 10).await?, &0)?;
    same("other kinds", &rig.forget(Forget::Requests(at(900)), 10).await?, &0)
}

/// Also where the later one reaches over the earlier one and goes first.
async fn forgetting_a_revision_spares_what_others_hold(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [take_back(3, 8, 200), append(5, &["x"]), take_back(2, 9, 100)]).await?;
    rig.done(&life, [append(6, &["y"])]).await?;
    same("forgotten", &rig.forget(Forget::Revisions(at(150)), 10).await?, &1)?;
    same("left", &rig.taken(&life).await?, &vec![(8, vec![3, 4])])?;
    same("entries", &rig.numbers(&life).await?, &vec![1, 6])?;
    same("forgotten", &rig.forget(Forget::Revisions(at(200)), 10).await?, &1)?;
    same("left", &rig.taken(&life).await?, &vec![])?;
    same("entries", &rig.numbers(&life).await?, &vec![1, 6])
}

/// And of no other; until then it can be read.
async fn forgetting_a_revision_takes_what_its_turns_had_said(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let kept = |turn, next_seq| {
        let last = Some(piece(1, "half"));
        settle_said(turn, next_seq, PartialFate::Keep { last })
    };
    rig.done(&life, [begin(1, 1), kept(1, 2), begin(2, 2), steer(2, 3), kept(2, 4)]).await?;
    rig.done(&life, [take_back(2, 8, 200), begin(3, 4), say(3, 1, "new")]).await?;
    same("while it is kept", &rig.partial(&life, 2).await?, &said(2, "half"))?;
    same("forgotten", &rig.forget(Forget::Revisions(at(200)), 10).await?, &1)?;
    same("what was taken back", &rig.partial(&life, 2).await?, &None)?;
    same("what was not", &rig.partial(&life, 1).await?, &said(2, "half"))?;
    same("what is being said", &rig.partial(&life, 3).await?, &said(2, "new"))
}

/// And what is forgotten of the first takes nothing of it.
async fn a_later_life_has_no_revisions(rig: Rig) -> Verdict {
    let old = stage(&rig).await?;
    rig.done(&old, [take_back(1, 8, 200), delete(&old, at(1_000))]).await?;
    let young = rig.create(new_again("a")).await?;
    same("revisions", &rig.revisions(&young).await?, &vec![])?;
    rig.done(&young, [begin(1, 1), commit(1, 2), begin(2, 3), commit(2, 4)]).await?;
    same("entries", &rig.numbers(&young).await?, &vec![1, 2, 3, 4])?;
    same("forgotten", &rig.forget(Forget::Revisions(at(200)), 10).await?, &0)?;
    rig.done(&young, [take_back(3, 8, 200)]).await?;
    same("its own", &rig.taken(&young).await?, &vec![(8, vec![3, 4])])?;
    same("forgotten", &rig.forget(Forget::Revisions(at(200)), 10).await?, &1)?;
    same("entries", &rig.numbers(&young).await?, &vec![1, 2])
}

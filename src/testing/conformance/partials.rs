//! What turns have said that have not committed a reply.

use super::extras::{piece, said, say, settle_said, steer};
use super::rig::{Check, Rig, Verdict, at, begin, bytes, checks, commit, same, told};
use crate::id::Generation;
use crate::outcome::TurnOutcome;
use crate::store::{
    EntryMark, FenceReason, InputFate, PartialFate, PartialPiece, StoredEntry, Write,
};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    pieces_are_joined_in_order_and_each_turn_has_its_own,
    keeping_a_piece_is_not_a_use,
    a_piece_that_does_not_follow_is_fenced,
    a_piece_without_a_chunk_is_fenced,
    a_piece_of_a_turn_that_is_not_open_is_fenced,
    a_commit_drops_what_was_kept_of_its_turn,
    a_settle_can_drop_what_was_said,
    a_settle_can_keep_what_was_said_with_a_last_piece,
    a_last_piece_that_does_not_follow_is_fenced,
    a_settle_can_make_an_entry_of_what_was_said,
    a_settle_with_a_number_too_low_is_fenced,
    a_settle_may_leave_out_numbers,
];

/// And not in the transcript.
async fn pieces_are_joined_in_order_and_each_turn_has_its_own(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), begin(2, 2)]).await?;
    same("at first", &rig.partial(&life, 1).await?, &None)?;
    let long = PartialPiece { first: 3, chunks: 900, text: bytes("c") };
    let long = Write::Partial { generation: Generation::new(1), piece: long };
    rig.done(&life, [say(1, 1, "ab"), say(2, 1, "xy"), long, say(1, 903, "de")]).await?;
    same("the first turn's", &rig.partial(&life, 1).await?, &said(904, "abcde"))?;
    same("the second turn's", &rig.partial(&life, 2).await?, &said(2, "xy"))?;
    same("one that never was", &rig.partial(&life, 3).await?, &None)?;
    same("entries", &rig.numbers(&life).await?, &vec![1, 2])?;
    same("an outcome", &rig.turn(&life, 1).await?, &None)
}

/// The record is as it was.
async fn keeping_a_piece_is_not_a_use(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1)]).await?;
    let before = rig.live(&life).await?;
    rig.done(&life, [say(1, 1, "ab")]).await?;
    same("look up", &rig.live(&life).await?, &before)
}

/// Said twice, or with a gap; at the start as well.
async fn a_piece_that_does_not_follow_is_fenced(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1)]).await?;
    for wrong in [0, 2, u64::MAX] {
        rig.fenced(&life, say(1, wrong, "x"), FenceReason::OutOfOrder).await?;
    }
    rig.done(&life, [say(1, 1, "ab")]).await?;
    for wrong in [0, 1, 2, 4] {
        rig.fenced(&life, say(1, wrong, "x"), FenceReason::OutOfOrder).await?;
    }
    rig.done(&life, [say(1, 3, "cd")]).await
}

/// It would have no number.
async fn a_piece_without_a_chunk_is_fenced(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1)]).await?;
    let nothing = PartialPiece { first: 1, chunks: 0, text: bytes("") };
    let piece = nothing.clone();
    let write = Write::Partial { generation: Generation::new(1), piece };
    rig.fenced(&life, write, FenceReason::OutOfOrder).await?;
    let kept = settle_said(1, 2, PartialFate::Keep { last: Some(nothing) });
    rig.fenced(&life, kept, FenceReason::OutOfOrder).await
}

/// Never begun, another one, or over.
async fn a_piece_of_a_turn_that_is_not_open_is_fenced(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(3, 1)]).await?;
    for other in [0, 2, 4] {
        rig.fenced(&life, say(other, 1, "x"), FenceReason::TurnNotOpen).await?;
    }
    rig.done(&life, [commit(3, 2)]).await?;
    rig.fenced(&life, say(3, 1, "x"), FenceReason::TurnNotOpen).await?;
    let kept = settle_said(4, 4, PartialFate::Keep { last: None });
    rig.done(&life, [begin(4, 3), say(4, 1, "ab"), kept]).await?;
    rig.fenced(&life, say(4, 3, "cd"), FenceReason::TurnNotOpen).await
}

/// The reply says it; what other turns have said stays.
async fn a_commit_drops_what_was_kept_of_its_turn(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), begin(2, 2), say(1, 1, "ab"), say(2, 1, "xy")]).await?;
    rig.done(&life, [say(1, 3, "cd"), commit(1, 3)]).await?;
    same("the committed turn's", &rig.partial(&life, 1).await?, &None)?;
    same("the other's", &rig.partial(&life, 2).await?, &said(2, "xy"))
}

/// And leaves no entry.
async fn a_settle_can_drop_what_was_said(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), begin(2, 2), say(1, 1, "ab"), say(2, 1, "xy")]).await?;
    rig.done(&life, [settle_said(1, 3, PartialFate::Drop)]).await?;
    same("the settled turn's", &rig.partial(&life, 1).await?, &None)?;
    same("the other's", &rig.partial(&life, 2).await?, &said(2, "xy"))?;
    same("entries", &rig.numbers(&life).await?, &vec![1, 2])
}

/// Beside the transcript; with one and without, and where nothing was kept before.
async fn a_settle_can_keep_what_was_said_with_a_last_piece(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), begin(2, 2), begin(3, 3), begin(4, 4)]).await?;
    let keep = |turn, last| settle_said(turn, 5, PartialFate::Keep { last });
    rig.done(&life, [say(1, 1, "ab"), keep(1, Some(piece(3, "cd")))]).await?;
    rig.done(&life, [say(2, 1, "xy"), keep(2, None)]).await?;
    rig.done(&life, [keep(3, Some(piece(1, "at once"))), keep(4, None)]).await?;
    let expected = [said(4, "abcd"), said(2, "xy"), said(2, "at once"), None];
    for (turn, expected) in (1..).zip(expected) {
        same(&format!("turn {turn}"), &rig.partial(&life, turn).await?, &expected)?;
    }
    same("entries", &rig.numbers(&life).await?, &vec![1, 2, 3, 4])?;
    rig.done(&life, [begin(5, 5), commit(5, 6)]).await?;
    same("later", &rig.partial(&life, 1).await?, &said(4, "abcd"))
}

/// And the turn stays open.
async fn a_last_piece_that_does_not_follow_is_fenced(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), say(1, 1, "ab")]).await?;
    for wrong in [0, 1, 2, 4] {
        let kept = settle_said(1, 2, PartialFate::Keep { last: Some(piece(wrong, "x")) });
        rig.fenced(&life, kept, FenceReason::OutOfOrder).await?;
    }
    Ok(())
}

/// The one before the next; what was kept beside the transcript goes.
async fn a_settle_can_make_an_entry_of_what_was_said(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let entry =
        |turn, next_seq| settle_said(turn, next_seq, PartialFate::Entry { payload: bytes("half") });
    rig.done(&life, [begin(1, 1), say(1, 1, "ab"), steer(1, 2), entry(1, 4)]).await?;
    same("kept beside", &rig.partial(&life, 1).await?, &None)?;
    let made = StoredEntry {
        seq: 3,
        generation: Some(Generation::new(1)),
        input: false,
        mark: EntryMark::Partial,
        at: at(100),
        payload: bytes("half"),
    };
    let entries = rig.entries(&life).await?;
    same("the entry", &entries.last(), &Some(&made))?;
    let marks: Vec<_> = entries.iter().map(|entry| entry.mark).collect();
    let (unanswered, partial) = (EntryMark::Unanswered, EntryMark::Partial);
    same("marks", &marks, &vec![unanswered, unanswered, partial])?;
    let record = rig.live(&life).await?;
    let found = (record.next_seq, record.entries, record.version);
    same("next number, count, version", &found, &(4, 3, 7))?;
    let outcome = rig.turn(&life, 1).await?.map(|turn| turn.outcome);
    same("outcome", &outcome, &Some(TurnOutcome::Failed))?;
    // Nothing kept, and numbers left out before it.
    rig.done(&life, [begin(2, 4), entry(2, 8)]).await?;
    same("numbers", &rig.numbers(&life).await?, &vec![1, 2, 3, 4, 7])?;
    rig.done(&life, [begin(3, 8), commit(3, 9)]).await
}

/// An entry needs one of its own.
async fn a_settle_with_a_number_too_low_is_fenced(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), begin(2, 2), say(1, 1, "ab")]).await?;
    for low in [0, 1, 2] {
        rig.fenced(&life, settle_said(1, low, PartialFate::Drop), FenceReason::OutOfOrder).await?;
    }
    for low in [0, 2, 3] {
        let entry = settle_said(1, low, PartialFate::Entry { payload: bytes("half") });
        rig.fenced(&life, entry, FenceReason::OutOfOrder).await?;
    }
    rig.done(&life, [settle_said(1, 3, PartialFate::Drop)]).await
}

/// Those that were given to what could not be made; nobody gets them again.
async fn a_settle_may_leave_out_numbers(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let settled = Write::Settle {
        generation: Generation::new(1),
        outcome: TurnOutcome::Failed,
        input: InputFate::Drop,
        partial: PartialFate::Drop,
        next_seq: 5,
        version: 11,
        at: at(100),
    };
    rig.done(&life, [begin(1, 1), settled]).await?;
    let record = rig.live(&life).await?;
    let found = (record.next_seq, record.entries, record.version);
    same("next number, count, version", &found, &(5, 0, 11))?;
    rig.fenced(&life, begin(2, 2), FenceReason::OutOfOrder).await?;
    rig.done(&life, [begin(2, 5), commit(2, 6)]).await?;
    let after = rig.store().entries(&life.id, life.incarnation, 4, 1).await;
    let after = told("entries", after)?;
    same("the first", &after.iter().map(|entry| entry.seq).collect(), &vec![5])
}

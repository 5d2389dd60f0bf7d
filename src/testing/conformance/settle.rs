//! Ending turns without a reply.

use super::rig::{
    Check, Rig, Verdict, append, at, begin, begin_bare, bytes, checks, commit, same, settle,
};
use crate::id::Generation;
use crate::outcome::TurnOutcome;
use crate::store::{EntryMark, FenceReason, InputFate, PartialFate, Record, TurnRecord, Write};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    a_kept_input_is_marked_unanswered,
    an_input_set_aside_is_marked_so,
    a_dropped_input_leaves_a_gap_in_the_numbers,
    a_settle_marks_the_input_of_its_own_turn,
    a_settle_without_an_input_touches_no_entry,
    a_settle_of_a_turn_that_is_not_open_changes_nothing,
    a_settle_sets_the_version_and_leaves_data_alone,
    every_outcome_reads_back,
    a_repair_does_not_count_as_use,
];

/// Number and mark of each entry.
async fn marks(rig: &Rig, life: &Record) -> Result<Vec<(u64, EntryMark)>, String> {
    let entries = rig.entries(life).await?;
    Ok(entries.iter().map(|entry| (entry.seq, entry.mark)).collect())
}

/// It stays, with its content, and counts.
async fn a_kept_input_is_marked_unanswered(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let failed = settle(1, 2, TurnOutcome::Failed, InputFate::Keep);
    rig.done(&life, [begin(1, 1), failed]).await?;
    same("marks", &marks(&rig, &life).await?, &vec![(1, EntryMark::Unanswered)])?;
    let payloads = rig.entries(&life).await?.into_iter().map(|entry| entry.payload);
    same("content", &payloads.collect(), &vec![bytes("in")])?;
    let expected = Record {
        last_active_at: at(100),
        generation: Generation::new(1),
        version: 7,
        next_seq: 2,
        entries: 1,
        ..life.clone()
    };
    same("look up", &rig.live(&life).await?, &expected)
}

/// It stays and counts; what reads it decides where it is shown.
async fn an_input_set_aside_is_marked_so(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let lost = settle(1, 3, TurnOutcome::Superseded, InputFate::Aside);
    rig.done(&life, [begin(1, 1), append(2, &["more"]), lost]).await?;
    let expected = vec![(1, EntryMark::Aside), (2, EntryMark::Kept)];
    same("marks", &marks(&rig, &life).await?, &expected)?;
    same("count", &rig.live(&life).await?.entries, &2)
}

/// One entry less, and the next number is not used again.
async fn a_dropped_input_leaves_a_gap_in_the_numbers(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let dropped = settle(1, 3, TurnOutcome::Abandoned, InputFate::Drop);
    rig.done(&life, [append(1, &["x"]), begin(1, 2), dropped]).await?;
    let record = rig.live(&life).await?;
    same("next number and count", &(record.next_seq, record.entries), &(3, 1))?;
    rig.fenced(&life, append(2, &["y"]), FenceReason::OutOfOrder).await?;
    rig.done(&life, [append(3, &["y"]), begin(2, 4), commit(2, 5)]).await?;
    let kept = |seq| (seq, EntryMark::Kept);
    same("marks", &marks(&rig, &life).await?, &vec![kept(1), kept(3), kept(4), kept(5)])?;
    let after = rig.store().entries(&life.id, life.incarnation, 1, 2).await;
    let after = super::rig::told("entries", after)?;
    same("read over the gap", &after.iter().map(|entry| entry.seq).collect(), &vec![3, 4])
}

/// And of no other that is open.
async fn a_settle_marks_the_input_of_its_own_turn(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), begin(2, 2), begin(3, 3)]).await?;
    rig.done(&life, [settle(2, 4, TurnOutcome::Failed, InputFate::Drop)]).await?;
    let kept = |seq| (seq, EntryMark::Kept);
    same("marks", &marks(&rig, &life).await?, &vec![kept(1), kept(3)])?;
    rig.done(&life, [settle(1, 4, TurnOutcome::Failed, InputFate::Keep)]).await?;
    let expected = vec![(1, EntryMark::Unanswered), kept(3)];
    same("marks", &marks(&rig, &life).await?, &expected)
}

/// Whatever fate is asked for.
async fn a_settle_without_an_input_touches_no_entry(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), commit(1, 2)]).await?;
    let before = marks(&rig, &life).await?;
    let fates = [InputFate::Keep, InputFate::Drop, InputFate::Aside];
    for (turn, fate) in (2..).zip(fates) {
        let failed = settle(turn, 3, TurnOutcome::Failed, fate);
        rig.done(&life, [begin_bare(turn), failed]).await?;
        same("marks", &marks(&rig, &life).await?, &before)?;
    }
    let record = rig.live(&life).await?;
    same("next number and count", &(record.next_seq, record.entries), &(3, 2))
}

/// Never begun, or another one.
async fn a_settle_of_a_turn_that_is_not_open_changes_nothing(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(3, 1)]).await?;
    for other in [0, 2, 4] {
        for fate in [InputFate::Keep, InputFate::Drop, InputFate::Aside] {
            let write = settle(other, 2, TurnOutcome::Failed, fate);
            rig.fenced(&life, write, FenceReason::TurnNotOpen).await?;
        }
    }
    Ok(())
}

/// The version is what it is told, and data change by commits alone.
async fn a_settle_sets_the_version_and_leaves_data_alone(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), commit(1, 2), begin(2, 3)]).await?;
    rig.done(&life, [settle(2, 4, TurnOutcome::Failed, InputFate::Keep)]).await?;
    same("version", &rig.live(&life).await?.version, &7)?;
    same("datum", &rig.datum(&life, "one").await?, &Some(bytes("committed")))
}

/// With its turn and its time.
async fn every_outcome_reads_back(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    for (turn, outcome) in (1..).zip(TurnOutcome::ALL) {
        rig.done(&life, [begin_bare(turn)]).await?;
        let ended = if outcome == TurnOutcome::Committed {
            commit(turn, 1)
        } else {
            settle(turn, 2, outcome, InputFate::Keep)
        };
        rig.done(&life, [ended]).await?;
    }
    for (turn, outcome) in (1..).zip(TurnOutcome::ALL) {
        let generation = Generation::new(turn);
        let expected = TurnRecord { generation, outcome, settled_at: at(100) };
        same("turn", &rig.turn(&life, turn).await?, &Some(expected))?;
    }
    Ok(())
}

/// Only `Interrupted` leaves `last_active_at`; every other outcome moves it.
async fn a_repair_does_not_count_as_use(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let others = TurnOutcome::ALL.into_iter().filter(|o| *o != TurnOutcome::Committed);
    for (turn, outcome) in (1..).zip(others) {
        rig.done(&life, [begin_bare(turn)]).await?;
        let settled = Write::Settle {
            generation: Generation::new(turn),
            outcome,
            input: InputFate::Keep,
            partial: PartialFate::Keep { last: None },
            next_seq: 1,
            version: 0,
            at: at(1_000 + turn),
        };
        rig.done(&life, [settled]).await?;
        let interrupted = outcome == TurnOutcome::Interrupted;
        let expected = if interrupted { at(turn) } else { at(1_000 + turn) };
        let found = rig.live(&life).await?.last_active_at;
        same(&format!("last use after {outcome}"), &found, &expected)?;
    }
    Ok(())
}

//! Inputs that are added to a turn while it runs.

use super::extras::steer;
use super::rig::{
    Check, Rig, Verdict, append, at, begin, begin_bare, bytes, checks, commit, same, settle,
};
use crate::id::Generation;
use crate::outcome::TurnOutcome;
use crate::store::{EntryMark, FenceReason, InputFate, Record, StoredEntry};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    an_input_is_added_to_an_open_turn,
    an_input_for_a_turn_that_is_not_open_is_fenced,
    an_added_input_out_of_order_is_fenced,
    every_input_of_a_turn_is_marked_at_its_end,
    a_drop_takes_the_first_input_and_leaves_the_others_unanswered,
    a_drop_of_a_turn_that_began_without_an_input_takes_none,
];

/// Number and mark of each entry.
async fn marks(rig: &Rig, life: &Record) -> Result<Vec<(u64, EntryMark)>, String> {
    let entries = rig.entries(life).await?;
    Ok(entries.iter().map(|entry| (entry.seq, entry.mark)).collect())
}

/// As an entry of that turn; a use, and no change of the version.
async fn an_input_is_added_to_an_open_turn(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), steer(1, 2)]).await?;
    let record = rig.live(&life).await?;
    let found = (record.next_seq, record.entries, record.version, record.open.len());
    same("next number, count, version, open turns", &found, &(3, 2, 0, 1))?;
    same("last use", &record.last_active_at, &at(10))?;
    let added = StoredEntry {
        seq: 2,
        generation: Some(Generation::new(1)),
        input: true,
        mark: EntryMark::Kept,
        at: at(10),
        payload: bytes("more"),
    };
    same("the input", &rig.entries(&life).await?.last(), &Some(&added))?;
    rig.done(&life, [commit(1, 3)]).await?;
    let kept = |seq| (seq, EntryMark::Kept);
    same("marks", &marks(&rig, &life).await?, &vec![kept(1), kept(2), kept(3)])
}

/// Never begun, another one, or over.
async fn an_input_for_a_turn_that_is_not_open_is_fenced(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.fenced(&life, steer(1, 1), FenceReason::TurnNotOpen).await?;
    rig.done(&life, [begin(3, 1)]).await?;
    for other in [0, 2, 4] {
        rig.fenced(&life, steer(other, 2), FenceReason::TurnNotOpen).await?;
    }
    rig.done(&life, [commit(3, 2)]).await?;
    rig.fenced(&life, steer(3, 3), FenceReason::TurnNotOpen).await
}

/// Neither a number that is used nor one that leaves a gap.
async fn an_added_input_out_of_order_is_fenced(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1)]).await?;
    for wrong in [0, 1, 3, u64::from(u32::MAX)] {
        rig.fenced(&life, steer(1, wrong), FenceReason::OutOfOrder).await?;
    }
    rig.done(&life, [steer(1, 2)]).await
}

/// Its own, also where others stand between them.
async fn every_input_of_a_turn_is_marked_at_its_end(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [begin(1, 1), begin(2, 2), steer(1, 3), steer(2, 4)]).await?;
    rig.done(&life, [append(5, &["x"]), steer(1, 6), begin_bare(3), steer(3, 7)]).await?;
    let kept = |seq| (seq, EntryMark::Kept);
    let unanswered = |seq| (seq, EntryMark::Unanswered);
    let aside = |seq| (seq, EntryMark::Aside);
    rig.done(&life, [settle(1, 8, TurnOutcome::Failed, InputFate::Keep)]).await?;
    let first =
        vec![unanswered(1), kept(2), unanswered(3), kept(4), kept(5), unanswered(6), kept(7)];
    same("marks", &marks(&rig, &life).await?, &first)?;
    rig.done(&life, [settle(3, 8, TurnOutcome::Superseded, InputFate::Aside)]).await?;
    rig.done(&life, [settle(2, 8, TurnOutcome::Superseded, InputFate::Aside)]).await?;
    let all =
        vec![unanswered(1), aside(2), unanswered(3), aside(4), kept(5), unanswered(6), aside(7)];
    same("marks", &marks(&rig, &life).await?, &all)?;
    same("count", &rig.live(&life).await?.entries, &7)
}

/// Whoever said the others was told that they are stored.
async fn a_drop_takes_the_first_input_and_leaves_the_others_unanswered(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let dropped = settle(1, 4, TurnOutcome::Abandoned, InputFate::Drop);
    rig.done(&life, [begin(1, 1), steer(1, 2), steer(1, 3), dropped]).await?;
    let expected = vec![(2, EntryMark::Unanswered), (3, EntryMark::Unanswered)];
    same("marks", &marks(&rig, &life).await?, &expected)?;
    let record = rig.live(&life).await?;
    same("next number and count", &(record.next_seq, record.entries), &(4, 2))
}

/// What was added to it stays.
async fn a_drop_of_a_turn_that_began_without_an_input_takes_none(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let dropped = settle(1, 2, TurnOutcome::Abandoned, InputFate::Drop);
    rig.done(&life, [begin_bare(1), steer(1, 1), dropped]).await?;
    let expected = vec![(1, EntryMark::Unanswered)];
    same("marks", &marks(&rig, &life).await?, &expected)?;
    same("count", &rig.live(&life).await?.entries, &1)
}

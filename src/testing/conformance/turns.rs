//! Beginning and committing turns.

use super::rig::{
    Check, Rig, Verdict, append, at, begin, begin_bare, bytes, checks, commit, id, marker, put_one,
    same, settle,
};
use crate::id::Generation;
use crate::outcome::TurnOutcome;
use crate::store::{
    DataChange, EntryMark, FenceReason, InputFate, NewRecord, Record, StoredEntry, TurnRecord,
    Write,
};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    a_begun_turn_leaves_its_marker_and_its_input,
    a_turn_may_begin_without_an_input,
    a_begin_with_an_old_number_is_fenced,
    a_begin_with_a_wrong_entry_number_is_fenced,
    a_turn_reads_as_none_while_it_is_open,
    a_commit_changes_everything_together,
    a_commit_may_be_empty,
    a_commit_of_a_turn_that_is_not_open_changes_nothing,
    a_commit_out_of_order_changes_nothing,
    a_turn_has_exactly_one_outcome,
    open_turns_settle_independently,
    markers_are_listed_oldest_first,
];

/// A session with one entry and one datum, made at time zero.
async fn stage(rig: &Rig) -> Result<Record, String> {
    let data = vec![("one".to_owned(), bytes("old")), ("two".to_owned(), bytes("kept"))];
    let entries = vec![bytes("system")];
    rig.create(NewRecord { entries, data, ..super::rig::new("a") }).await
}

/// Marker, input, newest turn and time of use; the version stays.
async fn a_begun_turn_leaves_its_marker_and_its_input(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    let began = Write::Begin {
        marker: marker(4, 8),
        input: Some((2, bytes("hi"))),
        extra: None,
        at: at(9),
    };
    rig.done(&life, [began]).await?;
    let expected = Record {
        last_active_at: at(9),
        generation: Generation::new(4),
        next_seq: 3,
        entries: 2,
        open: vec![marker(4, 8)],
        ..life.clone()
    };
    same("look up", &rig.live(&life).await?, &expected)?;
    let input = StoredEntry {
        seq: 2,
        generation: Some(Generation::new(4)),
        input: true,
        mark: EntryMark::Kept,
        at: at(9),
        payload: bytes("hi"),
    };
    same("the input", &rig.entries(&life).await?.last(), &Some(&input))
}

/// Then no number is used up.
async fn a_turn_may_begin_without_an_input(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [begin_bare(1)]).await?;
    let record = rig.live(&life).await?;
    same("next number and count", &(record.next_seq, record.entries), &(2, 1))?;
    same("markers", &record.open, &vec![marker(1, 1)])?;
    rig.done(&life, [commit(1, 2)]).await?;
    same("entries", &rig.live(&life).await?.entries, &2)
}

/// The number may skip ahead, and must not stand still or go back, even when nothing is open.
async fn a_begin_with_an_old_number_is_fenced(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.fenced(&life, begin_bare(0), FenceReason::OldTurn).await?;
    rig.done(&life, [begin(5, 2)]).await?;
    for old in [0, 1, 4, 5] {
        rig.fenced(&life, begin(old, 3), FenceReason::OldTurn).await?;
    }
    rig.done(&life, [commit(5, 3)]).await?;
    rig.fenced(&life, begin(5, 4), FenceReason::OldTurn).await?;
    rig.done(&life, [begin(6, 4)]).await
}

/// Neither a number that is used nor one that leaves a gap.
async fn a_begin_with_a_wrong_entry_number_is_fenced(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    for wrong in [0, 1, 3, u64::from(u32::MAX)] {
        rig.fenced(&life, begin(1, wrong), FenceReason::OutOfOrder).await?;
    }
    rig.done(&life, [begin(1, 2)]).await
}

/// And so does one that never was.
async fn a_turn_reads_as_none_while_it_is_open(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [begin(1, 2)]).await?;
    same("the open turn", &rig.turn(&life, 1).await?, &None)?;
    same("one that never was", &rig.turn(&life, 2).await?, &None)
}

/// Entries, data, version, counters, outcome and the marker's end.
async fn a_commit_changes_everything_together(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [begin(1, 2)]).await?;
    let removed = DataChange { name: "one".to_owned(), value: None };
    let committed = Write::Commit {
        generation: Generation::new(1),
        first_seq: 3,
        entries: vec![bytes("think"), bytes("say")],
        data: vec![removed, put_one("three", "new")],
        extra: None,
        version: 42,
        at: at(20),
    };
    rig.done(&life, [committed]).await?;
    let expected = Record {
        last_active_at: at(20),
        generation: Generation::new(1),
        version: 42,
        next_seq: 5,
        entries: 4,
        ..life.clone()
    };
    same("look up", &rig.live(&life).await?, &expected)?;
    let entry = |seq, text| StoredEntry {
        seq,
        generation: Some(Generation::new(1)),
        input: seq == 2,
        mark: EntryMark::Kept,
        at: at(if seq == 2 { 1 } else { 20 }),
        payload: bytes(text),
    };
    let written = vec![entry(2, "in"), entry(3, "think"), entry(4, "say")];
    let entries = rig.entries(&life).await?;
    same("entries", &entries.into_iter().skip(1).collect(), &written)?;
    let mut data = Vec::new();
    for name in super::snapshot::DATA {
        data.push(rig.datum(&life, name).await?);
    }
    same("data", &data, &vec![None, Some(bytes("kept")), Some(bytes("new"))])?;
    let outcome = TurnRecord {
        generation: Generation::new(1),
        outcome: TurnOutcome::Committed,
        settled_at: at(20),
    };
    same("turn", &rig.turn(&life, 1).await?, &Some(outcome))
}

/// A turn that says nothing has ended all the same.
async fn a_commit_may_be_empty(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    let nothing = |first_seq| Write::Commit {
        generation: Generation::new(1),
        first_seq,
        entries: Vec::new(),
        data: Vec::new(),
        extra: None,
        version: 1,
        at: at(20),
    };
    rig.done(&life, [begin(1, 2)]).await?;
    rig.fenced(&life, nothing(2), FenceReason::OutOfOrder).await?;
    rig.done(&life, [nothing(3)]).await?;
    let record = rig.live(&life).await?;
    same("counters", &(record.next_seq, record.entries, record.version), &(3, 2, 1))?;
    same("markers", &record.open, &vec![])
}

/// Never begun, or another one.
async fn a_commit_of_a_turn_that_is_not_open_changes_nothing(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.fenced(&life, commit(1, 2), FenceReason::TurnNotOpen).await?;
    rig.done(&life, [begin(3, 2)]).await?;
    for other in [0, 2, 4] {
        rig.fenced(&life, commit(other, 3), FenceReason::TurnNotOpen).await?;
    }
    Ok(())
}

/// Something was written since the committer looked.
async fn a_commit_out_of_order_changes_nothing(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [begin(1, 2), append(3, &["meanwhile"])]).await?;
    for wrong in [0, 2, 3, 5] {
        rig.fenced(&life, commit(1, wrong), FenceReason::OutOfOrder).await?;
    }
    rig.done(&life, [commit(1, 4)]).await
}

/// The second end is refused, whichever ends they are, and the first one stands.
async fn a_turn_has_exactly_one_outcome(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    let failed = |turn, next_seq| settle(turn, next_seq, TurnOutcome::Failed, InputFate::Keep);
    for turn in 1..=4 {
        let next_seq = rig.live(&life).await?.next_seq;
        rig.done(&life, [begin(turn, next_seq)]).await?;
        let commits_first = turn % 2 == 0;
        let first =
            if commits_first { commit(turn, next_seq + 1) } else { failed(turn, next_seq + 1) };
        rig.done(&life, [first]).await?;
        let next_seq = rig.live(&life).await?.next_seq;
        let second = if turn > 2 { commit(turn, next_seq) } else { failed(turn, next_seq) };
        rig.fenced(&life, second, FenceReason::TurnNotOpen).await?;
        let ended = rig.turn(&life, turn).await?.map(|record| record.outcome);
        let first = if commits_first { TurnOutcome::Committed } else { TurnOutcome::Failed };
        same("outcome", &ended, &Some(first))?;
    }
    Ok(())
}

/// The younger may end first, and each ends as itself.
async fn open_turns_settle_independently(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [begin(1, 2), begin(2, 3), begin(3, 4)]).await?;
    rig.done(&life, [commit(2, 5)]).await?;
    same("left", &rig.live(&life).await?.open, &vec![marker(1, 1), marker(3, 3)])?;
    rig.fenced(&life, commit(2, 6), FenceReason::TurnNotOpen).await?;
    rig.done(&life, [settle(1, 6, TurnOutcome::Superseded, InputFate::Aside)]).await?;
    same("left", &rig.live(&life).await?.open, &vec![marker(3, 3)])?;
    rig.done(&life, [commit(3, 6)]).await?;
    let mut outcomes = Vec::new();
    for turn in 1..=3 {
        outcomes.push(rig.turn(&life, turn).await?.map(|record| record.outcome));
    }
    let [done, lost] = [Some(TurnOutcome::Committed), Some(TurnOutcome::Superseded)];
    same("outcomes", &outcomes, &vec![lost, done, done])?;
    let marks: Vec<_> = rig.entries(&life).await?.iter().map(|entry| entry.mark).collect();
    let (kept, aside) = (EntryMark::Kept, EntryMark::Aside);
    same("marks", &marks, &vec![kept, aside, kept, kept, kept, kept])
}

/// By the order in which they began, whatever their clocks said.
async fn markers_are_listed_oldest_first(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    for (turn, clock) in [(2, 30), (9, 20), (10, 10)] {
        let began =
            Write::Begin { marker: marker(turn, clock), input: None, extra: None, at: at(clock) };
        rig.done(&life, [began]).await?;
    }
    let expected = vec![marker(2, 30), marker(9, 20), marker(10, 10)];
    same("markers", &rig.live(&life).await?.open, &expected)?;
    let page = rig.list(&crate::store::RecordFilter::default(), None, 10).await?;
    let listed = page.records.into_iter().find(|record| record.id == id("a"));
    same("markers in a listing", &listed.map(|record| record.open), &Some(expected))?;
    rig.done(&life, [settle(2, 2, TurnOutcome::Failed, InputFate::Keep)]).await?;
    let left = vec![marker(9, 20), marker(10, 10)];
    same("markers without the oldest", &rig.live(&life).await?.open, &left)
}

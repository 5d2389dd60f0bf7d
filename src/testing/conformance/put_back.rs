//! Putting back what was taken out of a transcript, dropping it before its time, and why it was taken out.

use super::extras::{begin_with, piece, put_back, said, settle_said, take_back, under};
use super::revisions::stage;
use super::rig::{Check, Rig, Verdict, append, at, begin, bytes, checks, commit, same, told};
use crate::id::Generation;
use crate::store::{
    BranchRecord, FenceReason, Forget, HealReport, PartialFate, Record, RevisionReason, TakeBack,
    Write,
};

/// The checks of this file.
pub(super) const CHECKS: &[Check] = checks![
    what_is_put_back_comes_last_and_its_revision_is_no_more,
    what_stands_in_its_place_becomes_a_revision,
    putting_back_what_stood_in_its_place_undoes_it,
    any_revision_can_be_put_back,
    what_is_put_back_is_as_it_was,
    a_turn_goes_on_standing_under_what_is_put_back,
    nothing_is_put_back_under_an_open_turn,
    only_the_revision_that_was_seen_is_put_back,
    what_is_put_back_is_not_forgotten_with_its_revision,
    one_revision_can_be_forgotten_before_its_time,
    a_revision_says_why_it_was_made,
    what_was_removed_on_purpose_does_not_come_back,
];

/// The transcript as texts.
async fn texts(rig: &Rig, life: &Record) -> Result<Vec<String>, String> {
    let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
    Ok(rig.entries(life).await?.iter().map(|entry| text(&entry.payload)).collect())
}

/// A session of the entries `a` to `d`, version 5.
async fn letters(rig: &Rig) -> Result<Record, String> {
    let life = rig.empty("a").await?;
    rig.done(&life, [append(1, &["a", "b", "c"]), append(4, &["d"]), append(5, &[])]).await?;
    Ok(life)
}

/// Counts, version and last use change with it.
async fn what_is_put_back_comes_last_and_its_revision_is_no_more(rig: Rig) -> Verdict {
    let life = letters(&rig).await?;
    rig.done(&life, [take_back(3, 6, 200), put_back(6, (3, 2), 5, 7)]).await?;
    same("numbers", &rig.numbers(&life).await?, &vec![1, 2, 5, 6])?;
    same("texts", &texts(&rig, &life).await?.concat(), &"abcd".to_owned())?;
    same("revisions", &rig.revisions(&life).await?, &vec![])?;
    let record = rig.live(&life).await?;
    let found = (record.next_seq, record.entries, record.version, record.last_active_at);
    same("next number, count, version, last use", &found, &(7, 4, 7, at(300)))?;
    rig.fenced(&life, append(6, &["x"]), FenceReason::OutOfOrder).await?;
    rig.done(&life, [append(7, &["e"])]).await
}

/// In the same write, and only if there is anything.
async fn what_stands_in_its_place_becomes_a_revision(rig: Rig) -> Verdict {
    let life = letters(&rig).await?;
    rig.done(&life, [take_back(3, 6, 200), append(5, &["x", "y"])]).await?;
    rig.done(&life, [put_back(6, (3, 2), 7, 8)]).await?;
    same("texts", &texts(&rig, &life).await?.concat(), &"abcd".to_owned())?;
    same("revisions", &rig.taken(&life).await?, &vec![(8, vec![5, 6])])?;
    let revisions = rig.revisions(&life).await?;
    let made = revisions.first().map(|it| (it.at, it.reason.clone()));
    same("when and why", &made, &Some((at(300), RevisionReason::Restored { revision: 6 })))
}

/// As often as one likes.
async fn putting_back_what_stood_in_its_place_undoes_it(rig: Rig) -> Verdict {
    let life = letters(&rig).await?;
    rig.done(&life, [take_back(2, 6, 200), append(5, &["x", "y"])]).await?;
    let (mut revision, mut next, mut other) = (6, 7, (2, 3, "abcd", 2));
    let mut shown = (5, 2, "axy", 3);
    for version in 10..20 {
        rig.done(&life, [put_back(revision, (other.0, other.1), next, version)]).await?;
        same("texts", &texts(&rig, &life).await?.concat(), &other.2.to_owned())?;
        same("count", &rig.live(&life).await?.entries, &(other.1 + 1))?;
        other.0 = next;
        (revision, next) = (version, next + other.1);
        std::mem::swap(&mut other, &mut shown);
        let hidden = (other.0..other.0 + other.1).collect();
        same("revisions", &rig.taken(&life).await?, &vec![(version, hidden)])?;
    }
    Ok(())
}

/// Whatever others cover its numbers: each has its own entries.
async fn any_revision_can_be_put_back(rig: Rig) -> Verdict {
    let life = letters(&rig).await?;
    rig.done(&life, [take_back(4, 6, 200), append(5, &["x"]), take_back(2, 7, 201)]).await?;
    rig.done(&life, [append(6, &["y"])]).await?;
    same("at first", &rig.taken(&life).await?, &vec![(6, vec![4]), (7, vec![2, 3, 5])])?;
    rig.done(&life, [put_back(6, (4, 1), 7, 8)]).await?;
    same("the older one", &texts(&rig, &life).await?.concat(), &"ad".to_owned())?;
    same("the others", &rig.taken(&life).await?, &vec![(7, vec![2, 3, 5]), (8, vec![6])])?;
    rig.done(&life, [put_back(7, (2, 3), 8, 9)]).await?;
    same("the younger one", &texts(&rig, &life).await?.concat(), &"abcx".to_owned())?;
    same("what is left", &rig.taken(&life).await?, &vec![(8, vec![6]), (9, vec![7])])?;
    same("count", &rig.live(&life).await?.entries, &4)
}

/// But for its number: turn, mark, time, and what its turn had said.
async fn what_is_put_back_is_as_it_was(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let last = Some(piece(1, "half"));
    let failed = settle_said(2, 4, PartialFate::Keep { last });
    rig.done(&life, [begin(1, 1), commit(1, 2), begin(2, 3), failed]).await?;
    let mut before = rig.entries(&life).await?;
    rig.done(&life, [take_back(1, 8, 200), put_back(8, (1, 3), 4, 9)]).await?;
    for entry in &mut before {
        entry.seq += 3;
    }
    same("entries", &rig.entries(&life).await?, &before)?;
    same("what was said", &rig.partial(&life, 2).await?, &said(2, "half"))?;
    let ended = [rig.turn(&life, 1).await?, rig.turn(&life, 2).await?];
    same("ends of turns", &ended.map(|turn| turn.is_some()), &[true, true])
}

/// And nothing under what another revision has.
async fn a_turn_goes_on_standing_under_what_is_put_back(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    rig.done(&life, [append(1, &["a", "b"])]).await?;
    for (turn, seq, parent) in [(1, 3, 2), (2, 5, 2), (3, 7, 1)] {
        rig.done(&life, [begin_with(turn, seq, under(parent)), commit(turn, seq + 1)]).await?;
    }
    rig.done(&life, [take_back(2, 8, 200), put_back(8, (2, 7), 9, 10)]).await?;
    same("numbers", &rig.numbers(&life).await?, &vec![1, 9, 10, 11, 12, 13, 14, 15])?;
    let stand = |turn, parent| BranchRecord { generation: Generation::new(turn), parent };
    same("parents", &rig.branches(&life).await?, &vec![stand(1, 9), stand(2, 9), stand(3, 1)])
}

/// Whatever it is.
async fn nothing_is_put_back_under_an_open_turn(rig: Rig) -> Verdict {
    let life = stage(&rig).await?;
    rig.done(&life, [take_back(3, 8, 200), begin(3, 5)]).await?;
    rig.fenced(&life, put_back(8, (3, 2), 6, 9), FenceReason::TurnOpen).await?;
    rig.done(&life, [commit(3, 6), put_back(8, (3, 2), 7, 9)]).await?;
    same("revisions", &rig.taken(&life).await?, &vec![(9, vec![5, 6])])
}

/// With the entries, and in the state, in which it was.
async fn only_the_revision_that_was_seen_is_put_back(rig: Rig) -> Verdict {
    let life = letters(&rig).await?;
    rig.done(&life, [take_back(3, 6, 200)]).await?;
    for (write, reason) in [
        (put_back(5, (3, 2), 5, 7), FenceReason::NoSuchRevision),
        (put_back(7, (3, 2), 5, 8), FenceReason::NoSuchRevision),
        (put_back(6, (3, 1), 5, 7), FenceReason::OutOfOrder),
        (put_back(6, (3, 3), 5, 7), FenceReason::OutOfOrder),
        (put_back(6, (2, 2), 5, 7), FenceReason::OutOfOrder),
        (put_back(6, (4, 2), 5, 7), FenceReason::OutOfOrder),
        (put_back(6, (3, 2), 4, 7), FenceReason::OutOfOrder),
        (put_back(6, (3, 2), 6, 7), FenceReason::OutOfOrder),
        (put_back(6, (3, 2), 5, 6), FenceReason::OutOfOrder),
        (put_back(6, (3, 2), 5, 0), FenceReason::OutOfOrder),
    ] {
        rig.fenced(&life, write, reason).await?;
    }
    rig.done(&life, [put_back(6, (3, 2), 5, 7)]).await?;
    rig.fenced(&life, put_back(6, (3, 2), 7, 8), FenceReason::NoSuchRevision).await?;
    // One that has no entries has none to be put back.
    rig.done(&life, [take_back(9, 8, 200)]).await?;
    rig.fenced(&life, put_back(8, (7, 0), 7, 9), FenceReason::OutOfOrder).await
}

/// Whatever time that was made, and whatever covers its old numbers.
async fn what_is_put_back_is_not_forgotten_with_its_revision(rig: Rig) -> Verdict {
    let life = letters(&rig).await?;
    rig.done(&life, [take_back(3, 6, 200), append(5, &["x"]), put_back(6, (3, 2), 6, 7)]).await?;
    same("forgotten", &rig.forget(Forget::Revisions(at(250)), 9).await?, &0)?;
    same("left", &rig.taken(&life).await?, &vec![(7, vec![5])])?;
    same("forgotten", &rig.forget(Forget::Revisions(at(300)), 9).await?, &1)?;
    same("texts", &texts(&rig, &life).await?.concat(), &"abcd".to_owned())?;
    same("count", &rig.live(&life).await?.entries, &4)
}

/// With what its turns had said; the others stay, and one that is not there is no error.
async fn one_revision_can_be_forgotten_before_its_time(rig: Rig) -> Verdict {
    let life = rig.empty("a").await?;
    let kept = |turn, next_seq| {
        let last = Some(piece(1, "half"));
        settle_said(turn, next_seq, PartialFate::Keep { last })
    };
    rig.done(&life, [begin(1, 1), kept(1, 2), begin(2, 2), kept(2, 3)]).await?;
    rig.done(&life, [take_back(2, 8, 200), take_back(1, 9, 201)]).await?;
    let before = rig.live(&life).await?;
    for _ in 0..2 {
        rig.done(&life, [Write::ForgetRevision { version: 8 }]).await?;
        same("left", &rig.taken(&life).await?, &vec![(9, vec![1])])?;
        same("the record", &rig.live(&life).await?, &before)?;
    }
    same("what was forgotten", &rig.partial(&life, 2).await?, &None)?;
    same("what was not", &rig.partial(&life, 1).await?, &said(2, "half"))?;
    same("later", &rig.forget(Forget::Revisions(at(200)), 9).await?, &0)
}

/// To the letter.
async fn a_revision_says_why_it_was_made(rig: Rig) -> Verdict {
    let life = letters(&rig).await?;
    let cut = |why: &str| RevisionReason::Truncated { why: why.to_owned() };
    let reasons = [
        RevisionReason::Rollback,
        RevisionReason::Retry,
        cut("edited: \u{1f642} 'now'"),
        cut("rollback"),
        RevisionReason::Restored { revision: u64::MAX },
    ];
    for (version, reason) in (6..).zip(reasons.clone()) {
        let from = TakeBack { from: 5, version, reason };
        rig.done(&life, [Write::TakeBack { from, at: at(200) }]).await?;
    }
    let found: Vec<_> = rig.revisions(&life).await?.into_iter().map(|it| it.reason).collect();
    same("reasons", &found, &reasons.to_vec())?;
    same("bytes", &bytes("a"), &rig.entries(&life).await?.swap_remove(0).payload)
}

/// However often the store is asked, and wherever the version has gone since.
async fn what_was_removed_on_purpose_does_not_come_back(rig: Rig) -> Verdict {
    let life = letters(&rig).await?;
    let other = rig.create(super::rig::new("b")).await?;
    rig.done(&other, [append(1, &["x"]), take_back(1, 8, 200)]).await?;
    // The second makes the version a lower one than the revision's.
    rig.done(&life, [take_back(3, 20, 200), append(5, &["y"])]).await?;
    let before = rig.snapshot().await?;
    for _ in 0..2 {
        let healed = told("heal", rig.store().heal().await)?;
        same("healed", &healed, &HealReport::default())?;
        before.is_still(&rig.snapshot().await?)?;
    }
    Ok(())
}

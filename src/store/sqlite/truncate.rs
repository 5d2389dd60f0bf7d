//! Taking entries out of a transcript, and putting them back.
//!
//! Both check before they write, and must be the first of their operation to write.

use std::collections::HashMap;

use rusqlite::Connection;

use super::change::check_next;
use super::failure::Setback;
use super::life::Life;
use super::range::Range;
use super::revision::{self, Interval};
use super::{branch, entry};
use crate::clock::Timestamp;
use crate::store::{FenceReason, PutBack, RevisionReason, TakeBack};

/// [`Write::TakeBack`](crate::store::Write::TakeBack), and that of a begin.
pub(super) fn take_back(
    connection: &Connection,
    life: &mut Life,
    TakeBack { from, version, reason }: &TakeBack,
    at: Timestamp,
) -> Result<(), Setback> {
    let older = check(connection, life, *version)?;
    let (range, count) = visible(connection, life, *from, &older)?;
    life.entries = life.entries.saturating_sub(count);
    (life.version, life.active_at) = (*version, at);
    let (version, reason) = (*version, reason.clone());
    let interval = Interval { version, range, at, reason };
    revision::insert(connection, life.incarnation, &interval)?;
    life.count_revisions(older.len() as u64 + 1)
}

/// [`Write::PutBack`](crate::store::Write::PutBack).
///
/// The entries get new numbers instead of their interval going away: a later one may cover the same
/// numbers, and readers go on behind the last number that they have seen.
pub(super) fn put_back(
    connection: &Connection,
    life: &mut Life,
    back: &PutBack,
    at: Timestamp,
) -> Result<(), Setback> {
    let older = check(connection, life, back.version)?;
    check_next(life, back.first_seq)?;
    let Some(put) = older.iter().find(|it| it.version == back.revision) else {
        return Err(Setback::fenced(FenceReason::NoSuchRevision));
    };
    let numbers = entry::numbers(connection, life.incarnation, &revision::own(put, &older))?;
    if numbers.first() != Some(&back.from) || numbers.len() as u64 != back.entries {
        return Err(Setback::fenced(FenceReason::OutOfOrder));
    }
    let branches = branch::list(connection, life.incarnation)?;

    let (range, count) = visible(connection, life, back.from, &older)?;
    let mut revisions = older.len() as u64;
    if count > 0 {
        revisions += 1;
        let (version, reason) =
            (back.version, RevisionReason::Restored { revision: back.revision });
        let interval = Interval { version, range, at, reason };
        revision::insert(connection, life.incarnation, &interval)?;
        life.entries = life.entries.saturating_sub(count);
    }
    let mut moved = HashMap::with_capacity(numbers.len());
    for seq in numbers {
        entry::renumber(connection, life.incarnation, seq, life.next_seq)?;
        moved.insert(seq, life.next_seq);
        life.next_seq += 1;
        life.entries += 1;
    }
    for mut branch in branches {
        let Some(parent) = moved.get(&branch.parent) else { continue };
        branch.parent = *parent;
        branch::update(connection, life.incarnation, &branch)?;
    }
    revision::remove(connection, life.incarnation, back.revision)?;
    life.count_revisions(revisions - 1)?;
    (life.version, life.active_at) = (back.version, at);
    Ok(())
}

/// Whether the transcript may be cut and its version become `version`; answers with what was taken out
/// before.
fn check(connection: &Connection, life: &Life, version: u64) -> Result<Vec<Interval>, Setback> {
    if !life.open.is_empty() {
        return Err(Setback::fenced(FenceReason::TurnOpen));
    }
    let counted = life.traits()?.revisions;
    let older = revision::of_life(connection, life.incarnation, Some(counted))?;
    if version > life.version && older.iter().all(|older| version > older.version) {
        Ok(older)
    } else {
        Err(Setback::fenced(FenceReason::OutOfOrder))
    }
}

/// The interval of all numbers from `from` on, and how many entries in it are in the transcript.
fn visible(
    connection: &Connection,
    life: &Life,
    from: u64,
    older: &[Interval],
) -> Result<(Range, u64), Setback> {
    // Bounded, so that an interval of nothing is one in SQL as well.
    let range = Range { from: from.min(life.next_seq), to: life.next_seq - 1 };
    let mut count = 0;
    for left in range.without(older.iter().map(|older| older.range)) {
        count += entry::count(connection, life.incarnation, left)?;
    }
    Ok((range, count))
}

//! What each operation does to the rows.
//!
//! Runs inside the writer's transaction. Every operation checks all of itself before it writes a
//! row, so a refusal leaves the transaction as it was and the others in it go on.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};

use super::failure::Setback;
use super::life::{Life, OpenTurn};
use super::range::Range;
use super::{
    binding, branch, datum, entry, later_id, partial, query, request, resume, revision, standing,
    tombstone, truncate, turn,
};
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, SessionId};
use crate::outcome::TurnOutcome;
use crate::store::{
    BeginExtra, BranchRecord, Created, EntryMark, FenceReason, InputFate, NewRecord, PartialFate,
    PartialPiece, StoredEntry, TurnMarker, TurnRecord, Write,
};
use crate::tombstone::Tombstone;

/// [`Store::create`](crate::store::Store::create).
pub(super) fn create(connection: &Connection, new: &NewRecord) -> Result<Created, Setback> {
    let buried = match refuse(connection, new)? {
        Ok(buried) => buried,
        Err(refusal) => return Ok(refusal),
    };
    if buried.is_some() {
        tombstone::remove(connection, &new.id.to_string())?;
    }
    let mut life = Life::new(next_incarnation(connection)?, new);
    push(connection, &mut life, &new.entries, (None, false), new.at)?;
    life.insert(connection)?;
    for (name, value) in &new.data {
        datum::put(connection, life.incarnation, name, value)?;
    }
    if let Some(binding) = &new.binding {
        binding::put(connection, &binding.key, &life.id, life.incarnation)?;
    }
    Ok(Created::Created(life.into_record().expect("it was made of an id and a key")))
}

/// Why `new` cannot be created; otherwise the tombstone that has to make room for it.
fn refuse(
    connection: &Connection,
    new: &NewRecord,
) -> Result<Result<Option<Tombstone>, Created>, Setback> {
    if later_id::is_taken(connection, &new.id)? {
        return Ok(Err(Created::IdTaken));
    }
    let buried = tombstone::find(connection, &new.id)?;
    if let Some(tombstone) = buried.filter(|found| !new.allow_reuse && found.until > new.at) {
        return Ok(Err(Created::IdGone(tombstone)));
    }
    if let Some(binding) = &new.binding {
        match binding::find(connection, &binding.key) {
            Ok(bound_to) if bound_to == binding.expected => {}
            Ok(bound_to) => return Ok(Err(Created::KeyMoved { bound_to })),
            // Nobody can read what it says, so nobody expects it.
            Err(Setback::Refused(_)) => {}
            Err(error @ Setback::Sql(_)) => return Err(error),
        }
    }
    Ok(Ok(buried))
}

/// The number of the next life: above every one that there ever was, which `AUTOINCREMENT` keeps
/// in `sqlite_sequence`. Drawn before the row is written, because the row's checksum covers it.
fn next_incarnation(connection: &Connection) -> rusqlite::Result<Incarnation> {
    let mut select = connection.prepare_cached(
        "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'sessions'), 0), \
         coalesce((SELECT max(incarnation) FROM sessions), 0))",
    )?;
    let newest: Option<i64> = select.query_row([], |row| row.get(0)).optional()?;
    Ok(Incarnation::new(newest.unwrap_or_default().cast_unsigned() + 1))
}

/// [`Store::write`](crate::store::Store::write).
pub(super) fn apply(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
    write: &Write,
) -> Result<(), Setback> {
    if let Write::Delete { tombstone } = write {
        return delete(connection, id, incarnation, tombstone);
    }
    let mut life = Life::load(connection, id, incarnation)?;
    if let Write::Resume { change, at } = write {
        return resume::put(connection, incarnation, change, *at);
    }
    change(connection, &mut life, write)?;
    Ok(life.update(connection)?)
}

/// What a write does to a life, but for its row.
fn change(connection: &Connection, life: &mut Life, write: &Write) -> Result<(), Setback> {
    match write {
        Write::Begin { marker, input, extra, at } => {
            check_begin(life, marker, input.as_ref())?;
            if let Some(extra) = extra {
                begin_extra(connection, life, marker.generation, extra, *at)?;
            }
            begin(connection, life, marker, input.as_ref(), *at)?;
        }
        Write::Steer { generation, seq, input, at } => {
            steer(connection, life, *generation, (*seq, input), *at)?;
        }
        Write::Partial { generation, piece } => {
            keep_piece(connection, life, *generation, piece)?;
        }
        Write::Commit { generation, first_seq, entries, data, extra, version, at } => {
            check_next(life, *first_seq)?;
            let ended = settle(connection, life, *generation, TurnOutcome::Committed, *at)?;
            drop_partial(connection, life, &ended)?;
            push(connection, life, entries, (Some(*generation), false), *at)?;
            datum::change(connection, life.incarnation, data)?;
            resume::commit(connection, life.incarnation, extra.as_deref(), *at)?;
            touch(life, *version, *at);
            life.forgive_crashes()?;
        }
        Write::Settle { generation, outcome, input, partial, next_seq, version, at } => {
            check_settle(life, *generation, partial, *next_seq)?;
            let ended = settle(connection, life, *generation, *outcome, *at)?;
            mark_inputs(connection, life, &ended, *input)?;
            life.next_seq = *next_seq;
            settle_partial(connection, life, &ended, partial, *at)?;
            life.version = life.version.max(*version);
            if *outcome != TurnOutcome::Interrupted {
                life.active_at = *at;
            }
        }
        Write::Append { first_seq, entries, version, at } => {
            check_next(life, *first_seq)?;
            push(connection, life, entries, (None, false), *at)?;
            touch(life, *version, *at);
        }
        Write::PutData { changes, version, at } => {
            check_version(life, *version)?;
            datum::change(connection, life.incarnation, changes)?;
            touch(life, *version, *at);
        }
        Write::TakeBack { from, at } => truncate::take_back(connection, life, from, *at)?,
        Write::PutBack { back, at } => truncate::put_back(connection, life, back, *at)?,
        Write::Label { label } => life.label.clone_from(label),
        Write::Standing { standing, unused_since, used_at } => {
            standing::change(life, *standing, *unused_since)?;
            life.active_at = used_at.unwrap_or(life.active_at);
        }
        Write::Patch { patch } => standing::patch(life, patch)?,
        Write::ForgetRevision { version } => revision::forget_one(connection, life, *version)?,
        Write::Rotate { to, at } => later_id::rotate(connection, life, to, *at)?,
        // Nothing in the row of the life.
        Write::Resume { .. } | Write::Delete { .. } => {}
    }
    Ok(())
}

/// Whether a turn can begin so, as far as it is not for [`begin_extra`] to say.
fn check_begin(
    life: &Life,
    marker: &TurnMarker,
    input: Option<&(u64, Bytes)>,
) -> Result<(), Setback> {
    if marker.generation <= life.generation {
        return Err(Setback::fenced(FenceReason::OldTurn));
    }
    match input {
        Some((seq, _)) => check_next(life, *seq),
        None => Ok(()),
    }
}

/// [`Write::Begin`], after what only some have beside it.
fn begin(
    connection: &Connection,
    life: &mut Life,
    marker: &TurnMarker,
    input: Option<&(u64, Bytes)>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    if let Some((_, payload)) = input {
        let payload = std::slice::from_ref(payload);
        push(connection, life, payload, (Some(marker.generation), true), at)?;
    }
    let input = input.map_or(0, |(seq, _)| *seq);
    life.generation = marker.generation;
    life.open.push(OpenTurn { marker: marker.clone(), input, steered: 0, chunks: 0 });
    life.active_at = at;
    Ok(())
}

/// What only some begins do, before the others' part. Checks before it writes, and must be the first
/// of its operation to write.
fn begin_extra(
    connection: &Connection,
    life: &mut Life,
    generation: Generation,
    extra: &BeginExtra,
    at: Timestamp,
) -> Result<(), Setback> {
    if let Some(from) = &extra.take_back {
        truncate::take_back(connection, life, from, at)?;
    }
    if let Some(request) = &extra.request {
        request::put(connection, life.incarnation, request, generation, at)?;
    }
    if let Some(parent) = extra.parent {
        branch::insert(connection, life.incarnation, &BranchRecord { generation, parent })?;
    }
    Ok(())
}

/// [`Write::Steer`].
fn steer(
    connection: &Connection,
    life: &mut Life,
    generation: Generation,
    (seq, input): (u64, &Bytes),
    at: Timestamp,
) -> Result<(), Setback> {
    check_next(life, seq)?;
    let open = life.open_mut(generation)?;
    if open.steered == 0 {
        open.steered = seq;
    }
    push(connection, life, std::slice::from_ref(input), (Some(generation), true), at)?;
    life.active_at = at;
    Ok(())
}

/// [`Write::Partial`].
fn keep_piece(
    connection: &Connection,
    life: &mut Life,
    generation: Generation,
    piece: &PartialPiece,
) -> Result<(), Setback> {
    let open = life.open_mut(generation)?;
    check_piece(open, piece)?;
    open.chunks = open.chunks.saturating_add(piece.chunks);
    Ok(partial::insert(connection, life.incarnation, generation, piece)?)
}

/// [`Write::Delete`]. Takes damaged rows with it, also that of the session: what somebody deletes is to be
/// gone.
fn delete(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
    tombstone: &Tombstone,
) -> Result<(), Setback> {
    query::check_life(connection, id, incarnation)?;
    let first = query::first_id(connection, incarnation)?.unwrap_or_else(|| id.to_string());
    for statement in [
        "DELETE FROM sessions WHERE incarnation = ?1",
        "DELETE FROM entries WHERE incarnation = ?1",
        "DELETE FROM data WHERE incarnation = ?1",
        "DELETE FROM turns WHERE incarnation = ?1",
        "DELETE FROM partials WHERE incarnation = ?1",
        "DELETE FROM revisions WHERE incarnation = ?1",
        "DELETE FROM requests WHERE incarnation = ?1",
        "DELETE FROM resume WHERE incarnation = ?1",
        "DELETE FROM branches WHERE incarnation = ?1",
    ] {
        connection.prepare_cached(statement)?.execute([incarnation.get().cast_signed()])?;
    }
    binding::remove_all(connection, incarnation)?;
    for id in later_id::remove_all(connection, incarnation)? {
        tombstone::insert(connection, &id.to_string(), tombstone)?;
    }
    Ok(tombstone::insert(connection, &first, tombstone)?)
}

/// Whether `seq` is the number that the next entry gets.
pub(super) fn check_next(life: &Life, seq: u64) -> Result<(), Setback> {
    if seq == life.next_seq { Ok(()) } else { Err(Setback::fenced(FenceReason::OutOfOrder)) }
}

/// Whether `version` is above what it was.
fn check_version(life: &Life, version: u64) -> Result<(), Setback> {
    if version > life.version { Ok(()) } else { Err(Setback::fenced(FenceReason::OutOfOrder)) }
}

/// Whether `piece` follows on what is kept of what a turn has said.
fn check_piece(open: &OpenTurn, piece: &PartialPiece) -> Result<(), Setback> {
    if piece.chunks > 0 && piece.first.checked_sub(1) == Some(open.chunks) {
        Ok(())
    } else {
        Err(Setback::fenced(FenceReason::OutOfOrder))
    }
}

/// Whether a turn can be settled so.
fn check_settle(
    life: &mut Life,
    generation: Generation,
    partial: &PartialFate,
    next_seq: u64,
) -> Result<(), Setback> {
    let entries = u64::from(matches!(partial, PartialFate::Entry { .. }));
    let lowest = life.next_seq + entries;
    let open = life.open_mut(generation)?;
    if next_seq < lowest {
        return Err(Setback::fenced(FenceReason::OutOfOrder));
    }
    match partial {
        PartialFate::Keep { last: Some(last) } => check_piece(open, last),
        PartialFate::Keep { last: None } | PartialFate::Drop | PartialFate::Entry { .. } => Ok(()),
    }
}

/// Appends entries, of a turn or not, which are inputs of it or not.
fn push(
    connection: &Connection,
    life: &mut Life,
    payloads: &[Bytes],
    (generation, input): (Option<Generation>, bool),
    at: Timestamp,
) -> rusqlite::Result<()> {
    for payload in payloads {
        let (seq, payload, mark) = (life.next_seq, payload.clone(), EntryMark::Kept);
        let entry = StoredEntry { seq, generation, input, mark, at, payload };
        entry::insert(connection, life.incarnation, &entry)?;
        life.next_seq += 1;
        life.entries += 1;
    }
    Ok(())
}

/// Ends a turn's marker and records its outcome. Checks before it writes, and must be the first of
/// its operation to write.
fn settle(
    connection: &Connection,
    life: &mut Life,
    generation: Generation,
    outcome: TurnOutcome,
    at: Timestamp,
) -> Result<OpenTurn, Setback> {
    let ended = life.take_open(generation)?;
    let turn = TurnRecord { generation, outcome, settled_at: at };
    turn::insert(connection, life.incarnation, &turn)?;
    Ok(ended)
}

/// Does with a turn's inputs what its end asks for. Only the one that it began with is dropped: whoever
/// said the others was told that they are stored.
fn mark_inputs(
    connection: &Connection,
    life: &mut Life,
    ended: &OpenTurn,
    fate: InputFate,
) -> rusqlite::Result<()> {
    let (incarnation, input) = (life.incarnation, ended.input);
    let mark = match fate {
        InputFate::Keep | InputFate::Drop => EntryMark::Unanswered,
        InputFate::Aside => EntryMark::Aside,
    };
    if input != 0 && fate != InputFate::Drop {
        entry::mark(connection, incarnation, input, mark)?;
    } else if input != 0 && entry::remove(connection, incarnation, input)? {
        life.entries = life.entries.saturating_sub(1);
    }
    if ended.steered != 0 {
        let range = Range { from: ended.steered, to: life.next_seq - 1 };
        entry::mark_all_of(connection, incarnation, ended.marker.generation, range, mark)?;
    }
    Ok(())
}

/// Does with what a turn has said what its end asks for. An entry is the one before the next.
fn settle_partial(
    connection: &Connection,
    life: &mut Life,
    ended: &OpenTurn,
    fate: &PartialFate,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let generation = ended.marker.generation;
    match fate {
        PartialFate::Drop | PartialFate::Keep { last: None } => {}
        PartialFate::Keep { last: Some(last) } => {
            partial::insert(connection, life.incarnation, generation, last)?;
        }
        PartialFate::Entry { payload } => {
            let (seq, payload) = (life.next_seq - 1, payload.clone());
            let (generation, mark) = (Some(generation), EntryMark::Partial);
            let entry = StoredEntry { seq, generation, input: false, mark, at, payload };
            entry::insert(connection, life.incarnation, &entry)?;
            life.entries += 1;
        }
    }
    match fate {
        PartialFate::Keep { .. } => Ok(()),
        PartialFate::Drop | PartialFate::Entry { .. } => drop_partial(connection, life, ended),
    }
}

/// Drops what a turn has said, if anything of it is kept.
fn drop_partial(connection: &Connection, life: &Life, ended: &OpenTurn) -> rusqlite::Result<()> {
    if ended.chunks == 0 {
        return Ok(());
    }
    partial::remove(connection, life.incarnation, ended.marker.generation)
}

/// Takes over the counters of a write.
fn touch(life: &mut Life, version: u64, at: Timestamp) {
    life.version = version;
    life.active_at = at;
}

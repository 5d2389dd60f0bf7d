//! What each operation does to the rows.
//!
//! Runs inside the writer's transaction. Every operation checks all of itself before it writes a
//! row, so a refusal leaves the transaction as it was and the others in it go on.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};

use super::failure::Setback;
use super::life::{Life, OpenTurn};
use super::{binding, datum, entry, tombstone, turn};
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, SessionId};
use crate::outcome::TurnOutcome;
use crate::store::{
    Created, DataChange, EntryMark, FenceReason, InputFate, NewRecord, StoredEntry, TurnMarker,
    TurnRecord, Write,
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
    push(connection, &mut life, &new.entries, None, new.at)?;
    life.insert(connection)?;
    for (name, value) in &new.data {
        datum::put(connection, life.incarnation, name, value)?;
    }
    if let Some(binding) = &new.binding {
        binding::put(connection, &binding.key, &new.id, life.incarnation)?;
    }
    Ok(Created::Created(life.into_record().expect("it was made of an id and a key")))
}

/// Why `new` cannot be created; otherwise the tombstone that has to make room for it.
fn refuse(
    connection: &Connection,
    new: &NewRecord,
) -> Result<Result<Option<Tombstone>, Created>, Setback> {
    let mut select = connection.prepare_cached("SELECT 1 FROM sessions WHERE id = ?1")?;
    if select.exists([new.id.to_string()])? {
        return Ok(Err(Created::IdTaken));
    }
    let buried = tombstone::find(connection, &new.id)?;
    if let Some(tombstone) = buried.filter(|found| !new.allow_reuse && found.until > new.at) {
        return Ok(Err(Created::IdGone(tombstone)));
    }
    if let Some(binding) = &new.binding {
        let bound_to = binding::find(connection, &binding.key)?;
        if bound_to != binding.expected {
            return Ok(Err(Created::KeyMoved { bound_to }));
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
    let mut life = Life::load(connection, id, incarnation)?;
    match write {
        Write::Begin { marker, input, at } => {
            begin(connection, &mut life, marker, input.as_ref(), *at)?;
        }
        Write::Commit { generation, first_seq, entries, data, version, at } => {
            check_next(&life, *first_seq)?;
            settle(connection, &mut life, *generation, TurnOutcome::Committed, *at)?;
            push(connection, &mut life, entries, Some(*generation), *at)?;
            put_data(connection, &life, data)?;
            touch(&mut life, *version, *at);
        }
        Write::Settle { generation, outcome, input, at } => {
            let ended = settle(connection, &mut life, *generation, *outcome, *at)?;
            mark_input(connection, &mut life, ended.input, *input)?;
            if *outcome != TurnOutcome::Interrupted {
                life.active_at = *at;
            }
        }
        Write::Append { first_seq, entries, version, at } => {
            check_next(&life, *first_seq)?;
            push(connection, &mut life, entries, None, *at)?;
            touch(&mut life, *version, *at);
        }
        Write::PutData { changes, version, at } => {
            put_data(connection, &life, changes)?;
            touch(&mut life, *version, *at);
        }
        Write::Label { label } => life.label.clone_from(label),
        Write::Delete { tombstone } => return delete(connection, id, incarnation, tombstone),
    }
    Ok(life.update(connection)?)
}

/// [`Write::Begin`].
fn begin(
    connection: &Connection,
    life: &mut Life,
    marker: &TurnMarker,
    input: Option<&(u64, Bytes)>,
    at: Timestamp,
) -> Result<(), Setback> {
    if marker.generation <= life.generation {
        return Err(Setback::fenced(FenceReason::OldTurn));
    }
    if let Some((seq, _)) = input {
        check_next(life, *seq)?;
    }
    if let Some((_, payload)) = input {
        let payload = std::slice::from_ref(payload);
        push(connection, life, payload, Some(marker.generation), at)?;
    }
    let input = input.map_or(0, |(seq, _)| *seq);
    life.generation = marker.generation;
    life.open.push(OpenTurn { marker: marker.clone(), input });
    life.active_at = at;
    Ok(())
}

/// [`Write::Delete`]. Takes damaged rows with it: what somebody deletes is to be gone.
fn delete(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
    tombstone: &Tombstone,
) -> Result<(), Setback> {
    for statement in [
        "DELETE FROM sessions WHERE incarnation = ?1",
        "DELETE FROM entries WHERE incarnation = ?1",
        "DELETE FROM data WHERE incarnation = ?1",
        "DELETE FROM turns WHERE incarnation = ?1",
    ] {
        connection.prepare_cached(statement)?.execute([incarnation.get().cast_signed()])?;
    }
    binding::remove_all(connection, incarnation)?;
    Ok(tombstone::insert(connection, id, tombstone)?)
}

/// Whether `seq` is the number that the next entry gets.
fn check_next(life: &Life, seq: u64) -> Result<(), Setback> {
    if seq == life.next_seq { Ok(()) } else { Err(Setback::fenced(FenceReason::OutOfOrder)) }
}

/// Appends entries.
fn push(
    connection: &Connection,
    life: &mut Life,
    payloads: &[Bytes],
    generation: Option<Generation>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    for payload in payloads {
        let (seq, payload) = (life.next_seq, payload.clone());
        let entry = StoredEntry { seq, generation, mark: EntryMark::Kept, at, payload };
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

/// Does with a turn's input what its end asks for.
fn mark_input(
    connection: &Connection,
    life: &mut Life,
    input: u64,
    fate: InputFate,
) -> rusqlite::Result<()> {
    if input == 0 {
        return Ok(());
    }
    match fate {
        InputFate::Keep => entry::mark(connection, life.incarnation, input, EntryMark::Unanswered),
        InputFate::Aside => entry::mark(connection, life.incarnation, input, EntryMark::Aside),
        InputFate::Drop => {
            if entry::remove(connection, life.incarnation, input)? {
                life.entries = life.entries.saturating_sub(1);
            }
            Ok(())
        }
    }
}

/// Changes data.
fn put_data(connection: &Connection, life: &Life, changes: &[DataChange]) -> rusqlite::Result<()> {
    for DataChange { name, value } in changes {
        match value {
            Some(value) => datum::put(connection, life.incarnation, name, value)?,
            None => datum::remove(connection, life.incarnation, name)?,
        }
    }
    Ok(())
}

/// Takes over the counters of a write.
fn touch(life: &mut Life, version: u64, at: Timestamp) {
    life.version = version;
    life.active_at = at;
}

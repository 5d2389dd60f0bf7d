//! What each question asks of the rows.
//!
//! A question that takes more than one statement asks them inside one transaction, so that it sees
//! one state of the store.

use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::failure::Setback;
use super::life::Life;
use super::range::Range;
use super::revision;
use super::row::{self, Table};
use super::snapshot::Snapshot;
use super::{binding, branch, datum, entry, later_id, partial, request, resume, tombstone, turn};
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation, SessionId};
use crate::key::SessionKey;
use crate::store::{
    BranchRecord, FenceReason, Found, Record, RecordFilter, RecordPage, RequestRecord,
    ResumeRecord, Revision, StoreError, StoredEntry, StoredPartial, TurnRecord,
};

/// [`Store::look_up`](crate::store::Store::look_up).
pub(super) fn look_up(
    connection: &Connection,
    id: &SessionId,
    now: Timestamp,
) -> Result<Found, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    let damaged = || Setback::Refused(Table::Sessions.damaged(id));
    let mut select = snapshot.prepare_cached(
        "SELECT incarnation, id, key, label, created_at, active_at, generation, version, \
         next_seq, entries, open, traits, crc FROM sessions WHERE id = ?1",
    )?;
    if let Some(row) = select.query([id.to_string()])?.next()? {
        let life = Life::read(row).ok_or_else(damaged)?;
        if life.id != id.to_string() {
            return Err(row::misled().into());
        }
        return Ok(Found::Live(later_id::complete(&snapshot, life)?));
    }
    if let Some(incarnation) = later_id::find(&snapshot, id)? {
        let life = Life::load(&snapshot, id, incarnation)?;
        return Ok(Found::Live(later_id::complete(&snapshot, life)?));
    }
    let tombstone = tombstone::find(&snapshot, id)?;
    Ok(tombstone.filter(|found| found.until > now).map_or(Found::Unknown, Found::Gone))
}

/// [`Store::entries`](crate::store::Store::entries).
pub(super) fn entries(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEntry>, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    let revisions = revisions_counted(&snapshot, id, incarnation)?;
    let taken_back = revision::of_life(&snapshot, incarnation, revisions)?;
    let Some(from) = after.checked_add(1) else { return Ok(Vec::new()) };
    let left = Range { from, to: u64::MAX }.without(taken_back.iter().map(|it| it.range));
    Ok(entry::list(&snapshot, incarnation, &left, limit)?)
}

/// [`Store::keys_of`](crate::store::Store::keys_of).
pub(super) fn keys_of(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
) -> Result<Vec<SessionKey>, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    check_life(&snapshot, id, incarnation)?;
    binding::of_life(&snapshot, incarnation)
}

/// [`Store::datum`](crate::store::Store::datum).
pub(super) fn datum(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
    name: &str,
) -> Result<Option<Bytes>, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    check_life(&snapshot, id, incarnation)?;
    intact(datum::find(&snapshot, incarnation, name)?, || {
        Table::Data.damaged(format_args!("{name:?} of {id} (life {})", incarnation.get()))
    })
}

/// [`Store::turn`](crate::store::Store::turn).
pub(super) fn turn(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
    generation: Generation,
) -> Result<Option<TurnRecord>, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    check_life(&snapshot, id, incarnation)?;
    intact(turn::find(&snapshot, incarnation, generation)?, || {
        let turn = generation.get();
        Table::Turns.damaged(format_args!("{turn} of {id} (life {})", incarnation.get()))
    })
}

/// [`Store::partial`](crate::store::Store::partial).
pub(super) fn partial(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
    generation: Generation,
) -> Result<Option<StoredPartial>, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    check_life(&snapshot, id, incarnation)?;
    intact(partial::find(&snapshot, incarnation, generation)?, || {
        let turn = generation.get();
        let life = incarnation.get();
        Table::Partials.damaged(format_args!("of turn {turn} of {id} (life {life})"))
    })
}

/// [`Store::request`](crate::store::Store::request).
pub(super) fn request(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
    key: &str,
) -> Result<Option<RequestRecord>, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    check_life(&snapshot, id, incarnation)?;
    intact(request::find(&snapshot, incarnation, key)?, || {
        Table::Requests.damaged(format_args!("{key:?} of {id} (life {})", incarnation.get()))
    })
}

/// [`Store::resume`](crate::store::Store::resume).
pub(super) fn resume(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
    provider: &str,
) -> Result<ResumeRecord, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    check_life(&snapshot, id, incarnation)?;
    let found = intact(resume::find(&snapshot, incarnation, provider)?, || {
        Table::Resume.damaged(format_args!("{provider:?} of {id} (life {})", incarnation.get()))
    });
    Ok(found?.unwrap_or_default())
}

/// [`Store::branches`](crate::store::Store::branches).
pub(super) fn branches(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
) -> Result<Vec<BranchRecord>, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    check_life(&snapshot, id, incarnation)?;
    branch::list(&snapshot, incarnation)
}

/// [`Store::revisions`](crate::store::Store::revisions).
pub(super) fn revisions(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
) -> Result<Vec<Revision>, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    let revisions = revisions_counted(&snapshot, id, incarnation)?;
    revision::list(&snapshot, incarnation, revisions)
}

/// [`Store::list`](crate::store::Store::list).
///
/// SQLite narrows the rows down, and what is shown is decided by [`RecordFilter::matches`]. Damaged
/// rows count towards `limit`, so that a page stays a page.
pub(super) fn list(
    connection: &Connection,
    filter: &RecordFilter,
    after: Option<Incarnation>,
    limit: usize,
) -> Result<RecordPage, Setback> {
    let (sql, parameters) = listing(filter, after);
    let snapshot = Snapshot::begin(connection)?;
    let mut select = snapshot.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(parameters))?;
    let mut page = RecordPage::default();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let incarnation = row::get_number(row, 0).map(Incarnation::new);
        let record = whole_record(&snapshot, row)?;
        if record.as_ref().is_some_and(|record| !filter.matches(record)) {
            continue;
        }
        if page.records.len() + page.damaged.len() == limit {
            page.next = last;
            return Ok(page);
        }
        match record {
            Some(record) => page.records.push(record),
            None => page.damaged.push(name_damaged(row)),
        }
        last = incarnation;
    }
    Ok(page)
}

/// The statement for a listing, and its parameters.
fn listing(filter: &RecordFilter, after: Option<Incarnation>) -> (String, Vec<Value>) {
    let mut sql = format!("SELECT {} FROM sessions WHERE 1", Table::Sessions.columns());
    let mut parameters = Vec::new();
    if let Some(after) = after {
        sql.push_str(" AND incarnation > ?");
        parameters.push(Value::Integer(i64::try_from(after.get()).unwrap_or(i64::MAX)));
    }
    if let Some(platform) = &filter.platform {
        sql.push_str(" AND platform = ?");
        parameters.push(Value::Text(platform.clone()));
    }
    if let Some(since) = filter.active_since {
        // A time with its highest bit set is stored as a negative number.
        sql.push_str(" AND (active_at >= ? OR active_at < 0)");
        parameters.push(Value::Integer(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)));
    }
    match filter.replying {
        Some(true) => sql.push_str(" AND open IS NOT NULL"),
        Some(false) => sql.push_str(" AND open IS NULL"),
        None => {}
    }
    match filter.routable {
        // What has no lane is pinned or suspended; the rest is sorted out by `matches`.
        Some(true) => sql.push_str(" AND (lane IS NULL OR lane < 'c' OR lane >= 'd')"),
        Some(false) => sql.push_str(" AND (lane IS NULL OR lane >= 'c' AND lane < 'd')"),
        None => {}
    }
    sql.push_str(" ORDER BY incarnation");
    (sql, parameters)
}

/// The record in a row of `sessions`, with its later ids; `None` if it is damaged, or one of theirs is.
pub(super) fn whole_record(
    connection: &Connection,
    row: &Row<'_>,
) -> Result<Option<Record>, Setback> {
    match Life::read(row).map(|life| later_id::complete(connection, life)) {
        Some(Err(Setback::Sql(error))) => Err(Setback::Sql(error)),
        Some(record) => Ok(record.ok()),
        None => Ok(None),
    }
}

/// The record in a row of `sessions`, without its later ids; `None` if it is damaged.
pub(super) fn record(row: &Row<'_>) -> Option<Record> {
    Life::read(row).and_then(Life::into_record)
}

/// A damaged row of `sessions`, by what its columns still say.
pub(super) fn name_damaged(row: &Row<'_>) -> String {
    let id = row::get_text(row, 1).unwrap_or("of an unreadable id");
    let life = row::get_number(row, 0).unwrap_or_default();
    format!("`sessions` row {id} (life {life})")
}

/// [`Store::life_of`](crate::store::Store::life_of).
pub(super) fn life_of(
    connection: &Connection,
    id: &SessionId,
) -> Result<Option<Incarnation>, Setback> {
    let mut select = connection.prepare_cached("SELECT incarnation FROM sessions WHERE id = ?1")?;
    let life: Option<i64> = select.query_row([id.to_string()], |row| row.get(0)).optional()?;
    match life {
        Some(life) => Ok(Some(Incarnation::new(life.cast_unsigned()))),
        None => later_id::find(connection, id),
    }
}

/// The id under which a life was created, as its row says, damaged or not.
pub(super) fn first_id(
    connection: &Connection,
    incarnation: Incarnation,
) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare_cached("SELECT id FROM sessions WHERE incarnation = ?1")?;
    let mut rows = select.query([incarnation.get().cast_signed()])?;
    let row = rows.next()?;
    Ok(row.and_then(|row| row::get_text(row, 0)).map(str::to_owned))
}

/// Refuses unless there is such a life. Its row may be damaged otherwise: what belongs to it has
/// checksums of its own and can still be read.
pub(super) fn check_life(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
) -> Result<(), Setback> {
    let mut select = connection.prepare_cached("SELECT id FROM sessions WHERE incarnation = ?1")?;
    let mut rows = select.query([incarnation.get().cast_signed()])?;
    let same = match rows.next()? {
        Some(row) => row::get_text(row, 0) == Some(id.to_string().as_str()),
        None => return Err(Setback::fenced(FenceReason::NoSuchLife)),
    };
    let same = same || later_id::find(connection, id)? == Some(incarnation);
    // Another id is another session, or a damaged row: reading all of it tells.
    if same { Ok(()) } else { Life::load(connection, id, incarnation).map(drop) }
}

/// How many removals from its transcript a life counts; `None` if its row is damaged. Refuses unless there is such
/// a life, as [`check_life`].
fn revisions_counted(
    connection: &Connection,
    id: &SessionId,
    incarnation: Incarnation,
) -> Result<Option<u64>, Setback> {
    if let Some(revisions) = Life::find_revisions(connection, &id.to_string(), incarnation)? {
        return Ok(Some(revisions));
    }
    check_life(connection, id, incarnation)?;
    // By a later id, or its row is damaged.
    let life = Life::find(connection, incarnation)?.flatten();
    life.map(|life| Ok(life.traits()?.revisions)).transpose()
}

/// What was found, unless it is damaged.
#[expect(clippy::option_option, reason = "missing and damaged are two answers")]
fn intact<T>(
    found: Option<Option<T>>,
    damaged: impl FnOnce() -> StoreError,
) -> Result<Option<T>, Setback> {
    match found {
        Some(Some(found)) => Ok(Some(found)),
        Some(None) => Err(Setback::Refused(damaged())),
        None => Ok(None),
    }
}

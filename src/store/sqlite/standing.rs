//! Whether a session takes turns, and what else most sessions have none of; and how those are found whose
//! time may be over.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::failure::Setback;
use super::life::Life;
use super::query;
use super::row::{self, Table};
use super::snapshot::Snapshot;
use super::traits::Traits;
use crate::clock::Timestamp;
use crate::id::Incarnation;
use crate::standing::Standing;
use crate::store::{Bucket, DueBy, DuePage, DueQuery, FenceReason, Lane, Record, RecordPatch};

/// [`Write::Standing`](crate::store::Write::Standing).
pub(super) fn change(
    life: &mut Life,
    standing: Standing,
    unused_since: Option<Timestamp>,
) -> Result<(), Setback> {
    let traits = life.traits()?;
    let idle = |since| life.active_at <= since && traits.standing.is_active() && !traits.pinned;
    if !unused_since.is_none_or(idle) {
        return Err(Setback::fenced(FenceReason::UsedSince));
    }
    if !life.open.is_empty() {
        return Err(Setback::fenced(FenceReason::TurnOpen));
    }
    let crashes = if standing.is_active() { 0 } else { traits.crashes };
    life.set_traits(&Traits { standing, crashes, ..traits });
    Ok(())
}

/// [`Write::Patch`](crate::store::Write::Patch).
pub(super) fn patch(life: &mut Life, patch: &RecordPatch) -> Result<(), Setback> {
    let RecordPatch { pinned, expiry, crashes, touched_at } = patch;
    let before = life.traits()?;
    let mut traits = before.clone();
    traits.pinned = pinned.unwrap_or(traits.pinned);
    traits.crashes = crashes.unwrap_or(traits.crashes);
    if let Some(expiry) = expiry {
        traits.expiry.clone_from(expiry);
    }
    if traits != before {
        life.set_traits(&traits);
    }
    life.active_at = touched_at.unwrap_or(life.active_at);
    Ok(())
}

/// [`Store::count`](crate::store::Store::count). Those that are closed stand in a lane, unless they are pinned,
/// as few are.
pub(super) fn count(connection: &Connection) -> Result<u64, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    let count = |sql: &str| snapshot.query_row(sql, [], |row| row.get::<_, i64>(0));
    let all = count("SELECT count(*) FROM sessions")?;
    let closed = count("SELECT count(*) FROM sessions WHERE lane >= 'c' AND lane < 'd'")?;
    let columns = Table::Sessions.columns();
    let mut select =
        snapshot.prepare_cached(&format!("SELECT {columns} FROM sessions WHERE lane IS NULL"))?;
    let (mut rows, mut pinned) = (select.query([])?, 0);
    while let Some(row) = rows.next()? {
        let record = query::record(row);
        pinned += i64::from(record.is_some_and(|record| !record.standing.is_routable()));
    }
    Ok((all - closed - pinned).max(0).cast_unsigned())
}

/// [`Store::lanes`](crate::store::Store::lanes): from one to the next, past all that stand in it.
pub(super) fn lanes(connection: &Connection) -> Result<Vec<Lane>, Setback> {
    let snapshot = Snapshot::begin(connection)?;
    let mut next = snapshot.prepare_cached("SELECT min(lane) FROM sessions WHERE lane > ?1")?;
    let (mut lanes, mut last) = (Vec::new(), String::new());
    while let Some(name) = next.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
        lanes.extend(Lane::from_name(&name));
        last = name;
    }
    Ok(lanes)
}

/// [`Store::due`](crate::store::Store::due).
pub(super) fn due(
    connection: &Connection,
    query: &DueQuery,
    limit: usize,
) -> Result<DuePage, Setback> {
    // Times and numbers with their highest bit set, which are stored as negative ones, are not over.
    let most = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let after = query.after.unwrap_or((Bucket::default(), Incarnation::new(0)));
    let after = (most(after.0.get()), after.1.get().cast_signed());
    let columns = Table::Sessions.columns();
    let (sql, up_to) = match query.by {
        DueBy::Rested(bucket) => (
            format!(
                "SELECT {columns} FROM sessions WHERE lane = ?1 AND lane_at BETWEEN 0 AND ?2 \
                 AND (lane_at, incarnation) > (?3, ?4) ORDER BY lane_at, incarnation LIMIT ?5"
            ),
            most(bucket.get()),
        ),
        DueBy::Created(at) => (
            format!(
                "SELECT {columns} FROM sessions WHERE lane = ?1 \
                 AND created_at BETWEEN 0 AND ?2 AND incarnation > ?4 AND ?3 = ?3 \
                 ORDER BY incarnation LIMIT ?5"
            ),
            most(at.as_millis()),
        ),
    };
    let mut select = connection.prepare_cached(&sql)?;
    let limit_and_one = most(limit as u64).saturating_add(1);
    let parameters = [
        Value::Text(query.lane.name()),
        Value::Integer(up_to),
        Value::Integer(after.0),
        Value::Integer(after.1),
        Value::Integer(limit_and_one),
    ];
    let mut rows = select.query(parameters)?;
    let (mut page, mut count, mut last) = (DuePage::default(), 0, None);
    while let Some(row) = rows.next()? {
        if count == limit {
            page.next = last;
            break;
        }
        count += 1;
        let life = Incarnation::new(row::get_number(row, 0).unwrap_or_default());
        let record = query::whole_record(connection, row)?;
        let bucket = match record.as_ref().and_then(Record::lane) {
            Some((_, bucket)) => bucket,
            None => filed_at(connection, life)?,
        };
        last = Some((bucket, life));
        match record {
            Some(record) => page.records.push(record),
            None => page.damaged.push(query::name_damaged(row)),
        }
    }
    Ok(page)
}

/// Where a damaged row stands in its lane.
fn filed_at(connection: &Connection, life: Incarnation) -> rusqlite::Result<Bucket> {
    let mut select =
        connection.prepare_cached("SELECT lane_at FROM sessions WHERE incarnation = ?1")?;
    let bucket = select.query_row([life.get().cast_signed()], |row| row.get::<_, Option<i64>>(0));
    Ok(Bucket::new(bucket?.unwrap_or_default().cast_unsigned()))
}

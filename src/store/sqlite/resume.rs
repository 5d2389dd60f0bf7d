//! The rows of handles of outside services in `resume`: one for each service of a life of which anything is
//! kept.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::Setback;
use super::row::{self, Table, number, text};
use crate::clock::Timestamp;
use crate::id::Incarnation;
use crate::store::{CommitExtra, RefusedHandle, ResumeChange, ResumeRecord, StoredHandle};

/// How many bytes a [`RefusedHandle`] takes in its column.
const REFUSED_BYTES: usize = 24;

/// What a row has: whose it is, and what is kept.
struct Kept {
    /// Which life.
    incarnation: Incarnation,
    /// Which service.
    provider: String,
    /// What is kept.
    record: ResumeRecord,
}

/// Changes what is kept of one service. A damaged row is replaced whole by what is to be kept, and stays
/// if nothing is.
fn change(
    connection: &Connection,
    incarnation: Incarnation,
    ResumeChange { provider, action }: &ResumeChange,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let before = find(connection, incarnation, provider)?;
    let is_damaged = before == Some(None);
    let mut record = before.flatten().unwrap_or_default();
    record.apply(action, at);
    if is_damaged && record.is_empty() {
        return Ok(());
    }
    Kept { incarnation, provider: provider.clone(), record }.put(connection)
}

/// [`Write::Resume`](crate::store::Write::Resume).
pub(super) fn put(
    connection: &Connection,
    incarnation: Incarnation,
    change: &ResumeChange,
    at: Timestamp,
) -> Result<(), Setback> {
    Ok(self::change(connection, incarnation, change, at)?)
}

/// Does what a commit has to do with handles.
pub(super) fn commit(
    connection: &Connection,
    incarnation: Incarnation,
    extra: Option<&CommitExtra>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let mut changes = extra.into_iter().flat_map(|extra| &extra.resume);
    changes.try_for_each(|it| change(connection, incarnation, it, at))
}

/// What is kept of the service `provider`; the inner `None` is a damaged row.
#[expect(clippy::option_option, reason = "missing and damaged are two answers")]
pub(super) fn find(
    connection: &Connection,
    incarnation: Incarnation,
    provider: &str,
) -> rusqlite::Result<Option<Option<ResumeRecord>>> {
    let mut select = connection.prepare_cached(
        "SELECT incarnation, provider, value, stored_at, used_at, attempts, refused, refused_at, crc \
         FROM resume WHERE incarnation = ?1 AND provider = ?2",
    )?;
    let asked = params![incarnation.get().cast_signed(), provider];
    let key = [number(incarnation.get()), text(provider)];
    select.query_row(asked, |row| row::asked_for(row, &key, read(row))).optional()
}

/// Removes up to `limit` handles that were used last at or before `at`, oldest first; says how many. A
/// damaged one stays.
pub(super) fn forget_handles(
    connection: &Connection,
    at: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let sql = "SELECT incarnation, provider, value, stored_at, used_at, attempts, refused, \
               refused_at, crc FROM resume WHERE used_at BETWEEN 0 AND ?1 \
               ORDER BY used_at, incarnation, provider";
    forget(connection, sql, at, limit, |record| record.forget_handle(at))
}

/// Removes up to `limit` services' refusals of which the last was made at or before `at`, oldest first; says
/// how many. A damaged one stays.
pub(super) fn forget_refused(
    connection: &Connection,
    at: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let sql = "SELECT incarnation, provider, value, stored_at, used_at, attempts, refused, \
               refused_at, crc FROM resume WHERE refused_at BETWEEN 0 AND ?1 \
               ORDER BY refused_at, incarnation, provider";
    forget(connection, sql, at, limit, |record| record.forget_refused(at))
}

/// Has `forget` drop a part of what the rows have that `sql` finds. A time with its highest bit set is
/// stored as a negative number, and is not over.
fn forget(
    connection: &Connection,
    sql: &str,
    at: Timestamp,
    limit: usize,
    forget: impl Fn(&mut ResumeRecord) -> bool,
) -> rusqlite::Result<usize> {
    let mut over = Vec::new();
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([i64::try_from(at.as_millis()).unwrap_or(i64::MAX)])?;
    while over.len() < limit {
        let Some(row) = rows.next()? else { break };
        if let Some(mut kept) = read_kept(row)
            && forget(&mut kept.record)
        {
            over.push(kept);
        }
    }
    drop(rows);
    over.iter().try_for_each(|kept| kept.put(connection))?;
    Ok(over.len())
}

/// What is kept in `row`; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>) -> Option<ResumeRecord> {
    read_kept(row).map(|kept| kept.record)
}

/// The row `row`; `None` if it is damaged.
fn read_kept(row: &Row<'_>) -> Option<Kept> {
    row::read(Table::Resume, row, |row| {
        let handle = match row::get_optional_text(row, 2)? {
            Some(value) => Some(StoredHandle {
                value: value.to_owned(),
                stored_at: Timestamp::from_millis(row::get_number(row, 3)?),
                used_at: Timestamp::from_millis(row::get_number(row, 4)?),
                attempts: u32::try_from(row::get_number(row, 5)?).ok()?,
            }),
            None => None,
        };
        let refused = match row.get_ref(6).ok()?.as_blob_or_null().ok()? {
            Some(blob) => decode_refused(blob)?,
            None => Vec::new(),
        };
        let incarnation = Incarnation::new(row::get_number(row, 0)?);
        let provider = row::get_text(row, 1)?.to_owned();
        Some(Kept { incarnation, provider, record: ResumeRecord { handle, refused } })
    })
}

impl Kept {
    /// Writes the row, or removes it if nothing is kept.
    fn put(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Self { incarnation, provider, record } = self;
        if record.is_empty() {
            let mut delete = connection
                .prepare_cached("DELETE FROM resume WHERE incarnation = ?1 AND provider = ?2")?;
            return delete.execute(params![incarnation.get().cast_signed(), provider]).map(drop);
        }
        let mut insert = connection.prepare_cached(
            "INSERT OR REPLACE INTO resume (incarnation, provider, value, stored_at, used_at, \
             attempts, refused, refused_at, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        let time = |at: Option<Timestamp>| at.map_or(ValueRef::Null, |at| number(at.as_millis()));
        let handle = record.handle.as_ref();
        let refused = encode_refused(&record.refused);
        let columns = [
            number(incarnation.get()),
            text(provider),
            handle.map_or(ValueRef::Null, |handle| text(&handle.value)),
            time(handle.map(|handle| handle.stored_at)),
            time(record.used_at()),
            handle.map_or(ValueRef::Null, |handle| number(handle.attempts.into())),
            if refused.is_empty() { ValueRef::Null } else { ValueRef::Blob(&refused) },
            time(record.refused_at()),
        ];
        insert.execute(row::seal(Table::Resume, columns)).map(drop)
    }
}

/// The column `refused`: for each value its digest and when it was refused, big endian.
fn encode_refused(refused: &[RefusedHandle]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(refused.len() * REFUSED_BYTES);
    for RefusedHandle { digest, at } in refused {
        blob.extend(digest.to_be_bytes());
        blob.extend(at.as_millis().to_be_bytes());
    }
    blob
}

/// Undoes [`encode_refused`]; `None` if `blob` is not something it produces.
fn decode_refused(blob: &[u8]) -> Option<Vec<RefusedHandle>> {
    let (refused, rest) = blob.as_chunks::<REFUSED_BYTES>();
    let decode = |refused: &[u8; REFUSED_BYTES]| {
        let (digest, rest) = refused.split_first_chunk::<16>()?;
        let (at, _) = rest.split_first_chunk::<8>()?;
        let at = Timestamp::from_millis(u64::from_be_bytes(*at));
        Some(RefusedHandle { digest: u128::from_be_bytes(*digest), at })
    };
    if rest.is_empty() { refused.iter().map(decode).collect() } else { None }
}

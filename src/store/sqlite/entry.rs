//! The rows of a transcript in `entries`.

use bytes::{Bytes, BytesMut};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::range::Range;
use super::row::{self, Table, number};
use crate::clock::Timestamp;
use crate::id::{Generation, Incarnation};
use crate::store::{EntryMark, StoredEntry};

/// The number that stands for a mark. Stores write neither `Pending` nor `Damaged`.
const MARKS: [(u64, EntryMark); 4] = [
    (0, EntryMark::Kept),
    (1, EntryMark::Unanswered),
    (2, EntryMark::Aside),
    (3, EntryMark::Partial),
];

/// For how many entries a list has room at first.
const ROOM: usize = 128;

/// Added to the number of a mark if the entry is an input.
const INPUT: u64 = 16;

/// Writes a row for `entry` of the life `incarnation`.
pub(super) fn insert(
    connection: &Connection,
    incarnation: Incarnation,
    entry: &StoredEntry,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO entries (incarnation, seq, generation, mark, at, payload, crc) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute(seal(incarnation, entry)).map(drop)
}

/// Changes the mark of the entry `seq`, whose checksum is over all of it; a damaged one is left
/// alone.
pub(super) fn mark(
    connection: &Connection,
    incarnation: Incarnation,
    seq: u64,
    mark: EntryMark,
) -> rusqlite::Result<()> {
    let Some(mut entry) = find(connection, incarnation, seq)? else { return Ok(()) };
    entry.mark = mark;
    reseal(connection, incarnation, &entry)
}

/// Writes the row of an entry anew.
fn reseal(
    connection: &Connection,
    incarnation: Incarnation,
    entry: &StoredEntry,
) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE entries SET generation = ?3, mark = ?4, at = ?5, payload = ?6, crc = ?7 \
         WHERE incarnation = ?1 AND seq = ?2",
    )?;
    update.execute(seal(incarnation, entry)).map(drop)
}

/// Changes the marks of a turn's entries in `range`, as [`mark`] does.
pub(super) fn mark_all_of(
    connection: &Connection,
    incarnation: Incarnation,
    turn: Generation,
    range: Range,
    new: EntryMark,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(
        "SELECT seq FROM entries WHERE incarnation = ?1 AND seq BETWEEN ?2 AND ?3 \
         AND generation = ?4 ORDER BY seq",
    )?;
    let [life, from, to] = within(incarnation, range);
    let found = select.query_map([life, from, to, turn.get().cast_signed()], |row| row.get(0))?;
    let found: Vec<i64> = found.collect::<rusqlite::Result<_>>()?;
    for seq in found {
        mark(connection, incarnation, seq.cast_unsigned(), new)?;
    }
    Ok(())
}

/// Removes the entry `seq`; says whether it was there. A damaged one is left alone.
pub(super) fn remove(
    connection: &Connection,
    incarnation: Incarnation,
    seq: u64,
) -> rusqlite::Result<bool> {
    if find(connection, incarnation, seq)?.is_none() {
        return Ok(false);
    }
    let mut delete =
        connection.prepare_cached("DELETE FROM entries WHERE incarnation = ?1 AND seq = ?2")?;
    Ok(delete.execute([incarnation.get().cast_signed(), seq.cast_signed()])? > 0)
}

/// Up to `limit` entries of a life in these ranges, which are in order; damaged ones marked so.
pub(super) fn list(
    connection: &Connection,
    incarnation: Incarnation,
    ranges: &[Range],
    limit: usize,
) -> rusqlite::Result<Vec<StoredEntry>> {
    let mut select = connection.prepare_cached(
        "SELECT incarnation, seq, generation, mark, at, payload, crc FROM entries \
         WHERE incarnation = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq LIMIT ?4",
    )?;
    let mut entries = Vec::with_capacity(limit.min(ROOM));
    let mut payloads = if limit > 1 { Payloads::default() } else { Payloads::apart() };
    for range in ranges {
        let [life, from, to] = within(incarnation, *range);
        let rest = i64::try_from(limit - entries.len()).unwrap_or(i64::MAX);
        if rest == 0 {
            break;
        }
        let mut rows = select.query([life, from, to, rest])?;
        let mut next = range.from;
        while let Some(row) = rows.next()? {
            let Some(entry) =
                row::asked_for(row, &[number(incarnation.get())], read(row, &mut payloads))?
            else {
                entries.push(damaged(row));
                continue;
            };
            if !(next..=range.to).contains(&entry.seq) {
                return Err(row::misled());
            }
            next = entry.seq.saturating_add(1);
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// The numbers of the entries of a life in these ranges, which are in order; those of damaged ones as well.
pub(super) fn numbers(
    connection: &Connection,
    incarnation: Incarnation,
    ranges: &[Range],
) -> rusqlite::Result<Vec<u64>> {
    let mut select = connection.prepare_cached(
        "SELECT seq FROM entries WHERE incarnation = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq",
    )?;
    let mut numbers = Vec::new();
    for range in ranges {
        let found = select.query_map(within(incarnation, *range), |row| row.get(0))?;
        for seq in found {
            numbers.push(i64::cast_unsigned(seq?));
        }
    }
    Ok(numbers)
}

/// Gives the entry `seq` another number, which is over every other; a damaged one stays damaged.
pub(super) fn renumber(
    connection: &Connection,
    incarnation: Incarnation,
    seq: u64,
    new: u64,
) -> rusqlite::Result<()> {
    let intact = find(connection, incarnation, seq)?;
    let mut update = connection
        .prepare_cached("UPDATE entries SET seq = ?3 WHERE incarnation = ?1 AND seq = ?2")?;
    update.execute([incarnation.get(), seq, new].map(u64::cast_signed))?;
    match intact {
        Some(entry) => reseal(connection, incarnation, &StoredEntry { seq: new, ..entry }),
        None => Ok(()),
    }
}

/// How many entries of a life there are in `range`, damaged or not.
pub(super) fn count(
    connection: &Connection,
    incarnation: Incarnation,
    range: Range,
) -> rusqlite::Result<u64> {
    let mut select = connection.prepare_cached(
        "SELECT count(*) FROM entries WHERE incarnation = ?1 AND seq BETWEEN ?2 AND ?3",
    )?;
    select.query_row(within(incarnation, range), |row| row.get(0)).map(i64::cast_unsigned)
}

/// Removes the entries of a life in `range`, damaged or not.
pub(super) fn remove_all(
    connection: &Connection,
    incarnation: Incarnation,
    range: Range,
) -> rusqlite::Result<()> {
    let mut delete = connection
        .prepare_cached("DELETE FROM entries WHERE incarnation = ?1 AND seq BETWEEN ?2 AND ?3")?;
    delete.execute(within(incarnation, range)).map(drop)
}

/// The parameters that name a life and a range in it. Numbers are drawn from 1 on, one by one but for a
/// few, so none is above the largest signed one.
pub(super) fn within(incarnation: Incarnation, Range { from, to }: Range) -> [i64; 3] {
    let signed = |seq| i64::try_from(seq).unwrap_or(i64::MAX);
    [incarnation.get().cast_signed(), signed(from), signed(to)]
}

/// Where the payloads of a list are put: short ones share an allocation, which is freed with the last of them.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    /// What is left of the newest allocation.
    room: BytesMut,
    /// Whether each has its own.
    apart: bool,
}

impl Payloads {
    /// How much is allocated at once: an entry that is kept for long keeps that much of others at most.
    const ROOM: usize = 16 * 1_024;
    /// The longest that shares one.
    const LONGEST: usize = 1_024;

    /// Each has its own allocation.
    pub(super) fn apart() -> Self {
        Self { room: BytesMut::new(), apart: true }
    }

    /// A copy of `payload`.
    fn put(&mut self, payload: &[u8]) -> Bytes {
        if self.apart || payload.len() > Self::LONGEST {
            return Bytes::copy_from_slice(payload);
        }
        if self.room.capacity() < payload.len() {
            self.room = BytesMut::with_capacity(Self::ROOM);
        }
        self.room.extend_from_slice(payload);
        self.room.split().freeze()
    }
}

/// The entry in `row`; `None` if it is damaged.
pub(super) fn read(row: &Row<'_>, payloads: &mut Payloads) -> Option<StoredEntry> {
    let [_, seq, generation, mark, at, payload] = row::columns(Table::Entries, row)?;
    let number = |column: ValueRef<'_>| column.as_i64().ok().map(i64::cast_unsigned);
    let mark = number(mark)?;
    Some(StoredEntry {
        seq: number(seq)?,
        generation: generation.as_i64_or_null().ok()?.map(|it| Generation::new(it.cast_unsigned())),
        input: mark & INPUT != 0,
        mark: MARKS.iter().find(|(found, _)| *found == mark & !INPUT)?.1,
        at: Timestamp::from_millis(number(at)?),
        payload: payloads.put(payload.as_blob().ok()?),
    })
}

/// The entry `seq`; `None` if it is not there or damaged.
fn find(
    connection: &Connection,
    incarnation: Incarnation,
    seq: u64,
) -> rusqlite::Result<Option<StoredEntry>> {
    let found = list(connection, incarnation, &[Range { from: seq, to: seq }], 1)?.pop();
    Ok(found.filter(|entry| entry.mark != EntryMark::Damaged))
}

/// What is told of the damaged entry in `row`: its number, as its index has it, and nothing more.
fn damaged(row: &Row<'_>) -> StoredEntry {
    StoredEntry {
        seq: row::get_number(row, 1).unwrap_or_default(),
        generation: None,
        input: false,
        mark: EntryMark::Damaged,
        at: Timestamp::default(),
        payload: Bytes::new(),
    }
}

/// An entry's columns and their checksum.
fn seal(incarnation: Incarnation, entry: &StoredEntry) -> impl rusqlite::Params {
    let mark = MARKS.iter().find(|(_, mark)| *mark == entry.mark);
    let (mark, _) = mark.expect("the other marks are never written");
    let columns = [
        number(incarnation.get()),
        number(entry.seq),
        entry.generation.map_or(ValueRef::Null, |generation| number(generation.get())),
        number(mark + if entry.input { INPUT } else { 0 }),
        number(entry.at.as_millis()),
        ValueRef::Blob(&entry.payload),
    ];
    row::seal(Table::Entries, columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    /// Whether `next` lies right behind `before`.
    fn follows(before: &Bytes, next: &Bytes) -> bool {
        before.as_ptr() as usize + before.len() == next.as_ptr() as usize
    }

    #[test]
    fn short_payloads_lie_together_sixteen_kibibytes_of_them() {
        let mut payloads = Payloads::default();
        let kibibyte = [7; 1_024];
        let all: Vec<_> = (0..17).map(|_| payloads.put(&kibibyte)).collect();
        assert!(all.iter().all(|it| it[..] == kibibyte));
        let together: Vec<_> = all.windows(2).map(|two| follows(&two[0], &two[1])).collect();
        assert_eq!(together, [[true; 15].as_slice(), &[false]].concat());
    }

    #[test]
    fn a_long_payload_has_an_allocation_of_its_own_and_so_has_each_where_that_is_asked() {
        let mut payloads = Payloads::default();
        let (short, long) = (payloads.put(b"ab"), payloads.put(&[7; 1_025]));
        assert!(!follows(&short, &long) && long[..] == [7; 1_025]);
        assert!(follows(&short, &payloads.put(b"cd")), "it took nothing of the others' room");
        let mut payloads = Payloads::apart();
        let (first, second) = (payloads.put(b"ab"), payloads.put(b"cd"));
        assert!(!follows(&first, &second) && first == "ab" && second == "cd");
    }

    #[test]
    fn an_entry_that_is_read_alone_keeps_no_room_for_others() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0).unwrap();
        let life = Incarnation::new(1);
        for (seq, payload) in [(1, "ab"), (2, "cd")] {
            let (generation, input, mark) = (None, false, EntryMark::Kept);
            let at = Timestamp::default();
            let entry = StoredEntry { seq, generation, input, mark, at, payload: payload.into() };
            insert(&connection, life, &entry).unwrap();
        }
        let payloads = |limit| {
            let all = list(&connection, life, &[Range { from: 1, to: 9 }], limit).unwrap();
            all.into_iter().map(|entry| entry.payload).collect::<Vec<_>>()
        };
        let both = payloads(2);
        assert!(follows(&both[0], &both[1]) && both == ["ab", "cd"]);
        let alone = Vec::from(payloads(1).pop().unwrap());
        assert_eq!((&alone[..], alone.capacity()), (&b"ab"[..], 2));
    }
}

//! A flipped bit is told by name, and the rest goes on.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use session_supervisor::Generation;
use session_supervisor::store::{
    Bucket, Created, DueBy, DueQuery, EntryMark, FenceReason, Forget, Found, NewRecord,
    PartialFate, RecordFilter, SqliteOptions, SqliteStore, Store, StoreError, Write,
};

use crate::extras::two_with_extras;
use crate::{
    append, at, attempt, begin, bound, commit, created, id, key, live, new_record, open, piece,
    resume, say, settle, take_back,
};

/// Runs SQL on the file behind the store's back.
pub(crate) fn tamper(path: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
}

const TABLES: [&str; 12] = [
    "sessions",
    "entries",
    "data",
    "turns",
    "bindings",
    "later_ids",
    "tombstones",
    "partials",
    "revisions",
    "requests",
    "resume",
    "branches",
];

/// Every row of every table as text.
pub(crate) fn dump(path: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut lines = Vec::new();
    for table in TABLES {
        let mut select = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = select.column_count();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let row: Vec<_> = (0..columns).map(|n| row.get_ref_unwrap(n)).collect();
            lines.push(format!("{table} {row:?}"));
        }
    }
    lines
}

/// A store of two sessions with something in every table.
pub(crate) async fn two_sessions(path: &Path) -> SqliteStore {
    let store = open(path).await;
    for name in ["a", "b"] {
        let new = NewRecord {
            label: Some("line".to_owned()),
            data: vec![("d".to_owned(), "datum".into())],
            ..bound(name, &format!("irc/chat={name}"))
        };
        let record = created(&store, new).await;
        for n in 1..=3 {
            let payload = Bytes::from(format!("entry {n} of {name}"));
            store.write(&record.id, record.incarnation, append(n, payload)).await.unwrap();
        }
        store.write(&record.id, record.incarnation, begin(1, None)).await.unwrap();
        let reply = commit(1, 4, vec!["reply".into()]);
        store.write(&record.id, record.incarnation, reply).await.unwrap();
        store.write(&record.id, record.incarnation, begin(2, None)).await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_flipped_bit_in_an_entry_is_told_and_the_other_entries_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    two_sessions(&path).await.close().await.unwrap();
    // On the disk, below SQLite, which does not notice.
    let mut bytes = fs::read(&path).unwrap();
    let entry = b"entry 2 of a";
    let place = bytes.windows(entry.len()).position(|window| window == entry).unwrap();
    bytes[place] ^= 1;
    fs::write(&path, bytes).unwrap();

    let store = open(&path).await;
    let a = live(&store, "a").await;
    let entries = store.entries(&a.id, a.incarnation, 0, 9).await.unwrap();
    let told: Vec<_> = entries.iter().map(|e| (e.seq, e.mark, e.payload.len())).collect();
    let kept = |seq, length| (seq, EntryMark::Kept, length);
    assert_eq!(told, [kept(1, 12), (2, EntryMark::Damaged, 0), kept(3, 12), kept(4, 5)]);
    let b = live(&store, "b").await;
    let entries = store.entries(&b.id, b.incarnation, 0, 9).await.unwrap();
    assert!(entries.iter().all(|entry| entry.mark == EntryMark::Kept));
    let problems = store.check().await.unwrap();
    assert_eq!(problems, [format!("`entries` row {}, 2 is damaged", a.incarnation.get())]);
    // The session goes on.
    store.write(&a.id, a.incarnation, append(5, "more")).await.unwrap();
}

#[tokio::test]
async fn a_damaged_record_is_told_refused_and_never_written_and_the_others_go_on() {
    for column in [
        "id = 'c'",
        "key = 'irc/chat=c'",
        "label = NULL",
        "created_at = 2",
        "active_at = 9",
        "generation = 3",
        "version = 9",
        "next_seq = 6",
        "entries = 5",
        "open = NULL",
        "crc = crc + 1",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let store = two_sessions(&path).await;
        let a = live(&store, "a").await;
        tamper(&path, &format!("UPDATE sessions SET {column} WHERE id = 'a'"));
        let before = dump(&path);
        let page = store.list(RecordFilter::default(), None, 9).await.unwrap();
        assert_eq!(page.records.len(), 1, "{column}");
        let [told] = &page.damaged[..] else { panic!("{column}: {:?}", page.damaged) };
        assert!(told.contains("sessions") && told.contains(&a.incarnation.get().to_string()));
        for write in [append(5, "x"), Write::Label { label: None }, begin(3, None)] {
            let refused = store.write(&a.id, a.incarnation, write).await;
            assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{column}: {refused:?}");
        }
        if column != "id = 'c'" {
            let refused = store.look_up(&a.id, at(1)).await;
            let Err(StoreError::Damaged { what }) = refused else { panic!("{column}") };
            assert!(what.contains("sessions") && what.contains(" a"), "{what}");
        }
        assert!(!store.check().await.unwrap().is_empty(), "{column}");
        assert_eq!(dump(&path), before, "{column}: something was written");
        let b = live(&store, "b").await;
        store.write(&b.id, b.incarnation, append(5, "x")).await.unwrap();
    }
}

#[tokio::test]
async fn damage_in_the_other_tables_is_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_sessions(&path).await;
    let a = live(&store, "a").await;
    let life = a.incarnation.get();
    tamper(&path, &format!("UPDATE data SET value = x'00' WHERE incarnation = {life}"));
    tamper(&path, &format!("UPDATE turns SET outcome = 'failed' WHERE incarnation = {life}"));
    tamper(&path, "UPDATE bindings SET id = 'b' WHERE key = 'irc/chat=a'");
    let told = |error: StoreError| {
        let StoreError::Damaged { what } = error else { panic!("{error:?}") };
        what
    };
    let datum = told(store.datum(&a.id, a.incarnation, "d").await.unwrap_err());
    assert!(datum.contains("data") && datum.contains("\"d\" of a"), "{datum}");
    let turn = store.turn(&a.id, a.incarnation, Generation::new(1)).await;
    let turn = told(turn.unwrap_err());
    assert!(turn.contains("turns") && turn.contains("1 of a"), "{turn}");
    let binding = told(store.bound_to(&key("irc/chat=a")).await.unwrap_err());
    assert!(binding.contains("bindings") && binding.contains("irc/chat=a"), "{binding}");
    assert_eq!(store.bound_to(&key("irc/chat=b")).await.unwrap(), Some(id("b")));
    let problems = store.check().await.unwrap();
    for table in ["`data`", "`turns`", "`bindings`"] {
        assert!(problems.iter().any(|line| line.contains(table)), "{table}: {problems:?}");
    }
    // It is in nobody's way.
    created(&store, bound("c", "irc/chat=a")).await;
    assert_eq!(store.bound_to(&key("irc/chat=a")).await.unwrap(), Some(id("c")));
}

// A fuzzer of rows came to where a place was read without its row's checksum: the next id was given the place
// behind whatever the damaged row said, and a number ran over if that was the largest.
#[tokio::test]
async fn no_id_is_given_behind_one_whose_row_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_sessions(&path).await;
    let a = live(&store, "a").await;
    let rotate = |to| Write::Rotate { to: id(to), at: at(1) };
    store.write(&a.id, a.incarnation, rotate("c")).await.unwrap();
    tamper(&path, "UPDATE later_ids SET place = -1 WHERE id = 'c'");
    let refused = store.write(&a.id, a.incarnation, rotate("d")).await.unwrap_err();
    let StoreError::Damaged { what } = refused else { panic!("{refused:?}") };
    assert!(what.contains("`later_ids`"), "{what}");
    assert!(matches!(store.look_up(&id("d"), at(1)).await, Ok(Found::Unknown)));
}

// A13: a former id is not taken for nobody's because its row is damaged
#[tokio::test]
async fn a_damaged_id_is_told_whatever_id_is_asked_for_and_the_session_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_sessions(&path).await;
    let (a, b) = (live(&store, "a").await, live(&store, "b").await);
    for (life, to) in [(&a, "c"), (&a, "d"), (&b, "e")] {
        let rotate = Write::Rotate { to: id(to), at: at(1) };
        store.write(&life.id, life.incarnation, rotate).await.unwrap();
    }
    tamper(&path, "UPDATE later_ids SET place = 7 WHERE id = 'c'");
    for name in ["a", "c", "d"] {
        let StoreError::Damaged { what } = store.look_up(&id(name), at(1)).await.unwrap_err()
        else {
            panic!("{name}")
        };
        assert!(what.contains("`later_ids`"), "{name}: {what}");
    }
    for new in [new_record("c"), new_record("d")] {
        assert!(matches!(store.create(new).await, Ok(Created::IdTaken)));
    }
    let page = store.list(RecordFilter::default(), None, 9).await.unwrap();
    assert_eq!((page.records.len(), page.damaged.len()), (1, 1));
    assert_eq!(page.records[0].former_ids, [id("b")]);
    let problems = store.check().await.unwrap().join("\n");
    assert!(
        problems.contains("`later_ids` row c, ") && problems.contains("lack one"),
        "{problems}"
    );
    for (change, line) in [
        (
            "UPDATE later_ids SET id = 'b' WHERE id = 'c'",
            "`later_ids` row b is the first id of a life",
        ),
        ("UPDATE later_ids SET id = 'c' WHERE id = 'b'", "`later_ids` row c, "),
        ("UPDATE later_ids SET incarnation = 99 WHERE id = 'e'", "`later_ids` has rows of life 99"),
        ("DELETE FROM later_ids WHERE id = 'e'", "lack one"),
    ] {
        tamper(&path, change);
        let problems = store.check().await.unwrap().join("\n");
        assert!(problems.contains(line), "{line}: {problems}");
    }
    // A delete leaves no id behind that could be taken for nobody's.
    store.write(&a.id, a.incarnation, crate::delete(a.incarnation)).await.unwrap();
    for name in ["a", "c", "d"] {
        assert!(matches!(store.look_up(&id(name), at(1)).await, Ok(Found::Gone(_))), "{name}");
    }
    let lack = format!("`later_ids` of life {} lack one", b.incarnation.get());
    assert_eq!(store.check().await.unwrap(), [lack]);
}

/// A page of later ids was zeroed, and with it the rows were gone without a trace: the session was told by the id
/// that it had before the last, as a good one.
#[tokio::test]
async fn a_session_that_has_lost_an_id_is_not_told_by_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_sessions(&path).await;
    let a = live(&store, "a").await;
    for to in ["c", "d"] {
        let rotate = Write::Rotate { to: id(to), at: at(1) };
        store.write(&a.id, a.incarnation, rotate).await.unwrap();
    }
    for left in [["a", "c"].as_slice(), &["a"]] {
        let newest = "DELETE FROM later_ids WHERE place = (SELECT max(place) FROM later_ids)";
        tamper(&path, newest);
        for name in left {
            let told = store.look_up(&id(name), at(1)).await.unwrap_err();
            assert!(matches!(&told, StoreError::Damaged { what } if what.contains("`later_ids`")));
        }
        let page = store.list(RecordFilter::default(), None, 9).await.unwrap();
        assert_eq!((page.records.len(), page.damaged.len()), (1, 1));
        assert!(store.check().await.unwrap().join("\n").contains("lack one"));
    }
}

/// The cell of an entry in the index of entries, behind its header: life, number, row.
fn cell(life: u64, seq: u8, row: u8) -> Vec<u8> {
    // As few bytes as the number takes with a sign.
    let bytes = i64::try_from(life).unwrap().to_be_bytes();
    let length = (1..8).find(|length| life < 1 << (8 * length - 1)).unwrap();
    let mut cell = bytes[8 - length..].to_vec();
    cell.extend([seq, row]);
    cell
}

/// Flipped bits in an index led to the row of another session, and its checksum is right: what one user had said
/// was read in the conversation of another.
#[tokio::test]
async fn a_damaged_index_never_shows_what_another_session_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_sessions(&path).await;
    let lives = [live(&store, "a").await.incarnation, live(&store, "b").await.incarnation];
    store.close().await.unwrap();
    // Each has four rows, and where the third of `b` stands the index now has the third of `a`.
    let [of_a, of_b] = [cell(lives[0].get(), 3, 3), cell(lives[1].get(), 3, 7)];
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.windows(of_b.len()).position(|window| window == of_b).unwrap();
    bytes[place..place + of_a.len()].copy_from_slice(&of_a);
    fs::write(&path, bytes).unwrap();

    let store = open(&path).await;
    let (a, b) = (live(&store, "a").await, live(&store, "b").await);
    assert_eq!(store.entries(&a.id, a.incarnation, 0, 9).await.unwrap().len(), 4);
    let told = store.entries(&b.id, b.incarnation, 0, 9).await;
    assert!(matches!(told, Err(StoreError::Damaged { .. })), "{told:?}");
    // What lies behind it can be read.
    assert_eq!(store.entries(&b.id, b.incarnation, 3, 9).await.unwrap().len(), 1);
    assert!(!store.check().await.unwrap().is_empty());
}

/// A page that lies where another one was is whole, and a search in it ends at any of its rows: the outcome of one turn
/// was told as that of another.
#[tokio::test]
async fn a_misplaced_page_never_shows_another_turn() {
    const TURNS: u64 = 200;
    const PAGE: usize = 4_096;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = open(&path).await;
    let mut lives = Vec::new();
    for name in ["a", "b", "c"] {
        let record = created(&store, new_record(name)).await;
        let (id, life) = (record.id, record.incarnation);
        for turn in 1..=TURNS {
            store.write(&id, life, begin(turn, None)).await.unwrap();
            store.write(&id, life, commit(turn, 1, Vec::new())).await.unwrap();
        }
        lives.push((id, life));
    }
    store.close().await.unwrap();
    let whole = fs::read(&path).unwrap();
    // Leaves that are searched, with as many rows as fit.
    let is_full = |page: &&[u8]| page[0] == 0x0A && u16::from_be_bytes([page[3], page[4]]) > 50;
    let leaves: Vec<&[u8]> = whole.chunks(PAGE).filter(is_full).collect();
    let mut told = 0;
    for (from, to) in leaves.iter().flat_map(|from| leaves.iter().map(move |to| (*from, *to))) {
        let mut bytes = whole.clone();
        let place = to.as_ptr() as usize - whole.as_ptr() as usize;
        bytes[place..place + PAGE].copy_from_slice(from);
        fs::write(&path, bytes).unwrap();
        let store = open(&path).await;
        for (id, life) in &lives {
            for turn in (1..=TURNS).map(Generation::new) {
                match store.turn(id, *life, turn).await {
                    Ok(found) => assert!(found.is_none_or(|found| found.generation == turn)),
                    Err(StoreError::Damaged { .. } | StoreError::Unavailable { .. }) => told += 1,
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
        store.close().await.unwrap();
    }
    assert!(leaves.len() > 2 && told > 0, "{} leaves, {told} told", leaves.len());
}

#[tokio::test]
async fn a_damaged_tombstone_is_told_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = open(&path).await;
    for name in ["a", "b"] {
        let record = created(&store, new_record(name)).await;
        let delete = crate::delete(record.incarnation);
        store.write(&record.id, record.incarnation, delete).await.unwrap();
    }
    tamper(&path, "UPDATE tombstones SET until = 50 WHERE id = 'a'");
    assert!(matches!(store.look_up(&id("a"), at(1)).await, Err(StoreError::Damaged { .. })));
    assert!(matches!(store.create(new_record("a")).await, Err(StoreError::Damaged { .. })));
    assert_eq!(store.forget(Forget::Tombstones(at(1_000)), 9).await.unwrap(), 1);
    assert!(store.check().await.unwrap()[0].contains("`tombstones` row a"));
}

#[tokio::test]
async fn a_check_tells_rows_that_contradict_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_sessions(&path).await;
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    let a = live(&store, "a").await;
    tamper(&path, "DELETE FROM entries WHERE payload = CAST('entry 2 of a' AS BLOB)");
    tamper(&path, "DELETE FROM sessions WHERE id = 'b'");
    let problems = store.check().await.unwrap().join("\n");
    for line in [
        "`sessions` row a counts other entries",
        "`bindings` row irc/chat=b points to a life",
        "`entries` has rows of life",
        "`data` has rows of life",
        "`turns` has rows of life",
    ] {
        assert!(problems.contains(line), "{line}:\n{problems}");
    }
    let refused = store.write(&id("b"), a.incarnation, append(1, "x")).await;
    assert!(matches!(refused, Err(StoreError::Fenced { reason: FenceReason::NoSuchLife })));
}

/// Whatever a file's pages have become, an open and a full reading end in answers.
#[tokio::test]
async fn a_file_with_random_damage_never_makes_anything_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    two_with_extras(&path).await.close().await.unwrap();
    let whole = fs::read(&path).unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut refused = 0;
    for round in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 8 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = usize::try_from(random >> 16).unwrap() % bytes.len();
            bytes[place] ^= 1 << (random >> 61);
        }
        fs::write(&path, bytes).unwrap();
        drop(fs::remove_file(folder.path().join("s.db-wal")));
        drop(fs::remove_file(folder.path().join("s.db-shm")));
        let Ok(store) = SqliteStore::open(&path, SqliteOptions::default()).await else {
            refused += 1;
            continue;
        };
        for name in ["a", "b"] {
            drop(store.look_up(&id(name), at(1)).await);
            drop(store.bound_to(&key(&format!("irc/chat={name}"))).await);
        }
        if let Ok(page) = store.list(RecordFilter::default(), None, 9).await {
            for record in page.records {
                let (id, life) = (&record.id, record.incarnation);
                drop(store.entries(id, life, 0, 99).await);
                drop(store.partial(id, life, Generation::new(3)).await);
                drop(store.request(id, life, "ask").await);
                drop(store.resume(id, life, "cli").await);
                drop(store.branches(id, life).await);
                drop(store.revisions(id, life).await);
                for write in [
                    append(record.next_seq, "x"),
                    say(4, piece(1, "x")),
                    settle(4, record.next_seq + 1, PartialFate::Drop),
                    take_back(1, record.version + 10),
                    resume("cli", attempt("new")),
                ] {
                    drop(store.write(id, life, write).await);
                }
            }
        }
        for what in
            [Forget::Revisions, Forget::Requests, Forget::ResumeHandles, Forget::RefusedHandles]
        {
            drop(store.forget(what(at(1_000)), 9).await);
        }
        store.check().await.unwrap();
        drop(store.close().await);
    }
    assert!(refused < 75, "{refused} of 150 were refused, so little was read");
}

/// What belongs to a record has checksums of its own: whoever knows the life reads it, by any of its ids, and nobody by
/// that of another.
#[tokio::test]
async fn what_a_damaged_record_has_is_read_by_its_own_ids_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_sessions(&path).await;
    let (a, b) = (live(&store, "a").await, live(&store, "b").await);
    let rotate = Write::Rotate { to: id("c"), at: at(1) };
    store.write(&a.id, a.incarnation, rotate).await.unwrap();
    for damage in ["label = label", "label = NULL"] {
        tamper(&path, &format!("UPDATE sessions SET {damage} WHERE id = 'a'"));
        for own in [id("a"), id("c")] {
            let datum = store.datum(&own, a.incarnation, "d").await.unwrap();
            assert_eq!(datum.unwrap(), "datum", "{damage}, {own}");
            let turn = store.turn(&own, a.incarnation, Generation::new(1)).await.unwrap();
            assert!(turn.is_some(), "{damage}, {own}");
            let entries = store.entries(&own, a.incarnation, 0, 9).await.unwrap();
            assert_eq!(entries.len(), 4, "{damage}, {own}");
        }
        for other in [b.id.clone(), id("nobody")] {
            let datum = store.datum(&other, a.incarnation, "d").await;
            let entries = store.entries(&other, a.incarnation, 0, 9).await;
            if damage == "label = label" {
                let gone = StoreError::Fenced { reason: FenceReason::NoSuchLife };
                assert_eq!(datum.unwrap_err().to_string(), gone.to_string());
                assert_eq!(entries.unwrap_err().to_string(), gone.to_string());
            } else {
                // Its id may be what is damaged.
                assert!(matches!(datum, Err(StoreError::Damaged { .. })), "{datum:?}");
                assert!(matches!(entries, Err(StoreError::Damaged { .. })), "{entries:?}");
            }
        }
    }
}

/// Where a page ends with one that is damaged, the next goes on behind it.
#[tokio::test]
async fn a_damaged_record_does_not_hold_up_those_behind_it_in_its_lane() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = open(&path).await;
    for name in ["a", "b", "c"] {
        created(&store, NewRecord { at: at(90_000_000), ..new_record(name) }).await;
    }
    let lane = live(&store, "b").await.lane().unwrap();
    tamper(&path, "UPDATE sessions SET label = 'x' WHERE id = 'b'");
    let by = DueBy::Rested(Bucket::of(at(180_000_000)));
    let (mut told, mut after) = (Vec::new(), None);
    for _ in 0..3 {
        let page = store.due(DueQuery { lane: lane.0.clone(), by, after }, 1).await.unwrap();
        told.extend(page.records.iter().map(|record| record.id.to_string()));
        told.extend(page.damaged);
        after = page.next;
    }
    assert_eq!((told.len(), after), (3, None), "{told:?}");
    assert_eq!((&*told[0], &*told[2]), ("a", "c"));
    assert!(told[1].contains("`sessions` row b"), "{told:?}");
}

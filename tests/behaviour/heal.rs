//! What a start puts right, what it leaves alone, and how a session goes on over what is damaged. On SQLite
//! files that somebody else has changed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test, which does not run on the library's seam"
)]

use crate::stage;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::Value;
use session_supervisor::store::{QuarantineReason, Quarantined};
use session_supervisor::{
    CommitOutcome, DeleteOutcome, FailedInput, Lookup, NewSession, OpenError, RecordFilter,
    Session, SessionError, SessionId, SqliteOptions, SqliteStore, Store, StoreError, Supervisor,
};
use stage::{assert_clean, key, reply, user};

/// The columns of a record that can be written.
const RECORD: &str = "incarnation, id, key, label, created_at, active_at, generation, version, \
                      next_seq, entries, open, traits, crc";

/// A file, and what is in it.
struct World {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

/// What was read of a row.
type Row = Vec<Value>;

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        Self { _folder: folder, path }
    }

    /// A supervisor on the file.
    async fn start(&self) -> (Supervisor, SqliteStore) {
        let store = SqliteStore::open(&self.path, SqliteOptions::default()).await.unwrap();
        (Supervisor::builder().store(store.clone()).start().await.unwrap(), store)
    }

    /// A second connection, which asks nobody.
    fn other(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }

    /// Changes one row, whoever has the file open.
    fn tamper(&self, sql: &str) {
        assert_eq!(self.other().execute(sql, []).unwrap(), 1, "{sql}");
    }

    /// The record of a session, as it is now.
    fn record(&self, id: &SessionId) -> Row {
        let sql = format!("SELECT {RECORD} FROM sessions WHERE id = ?1");
        let columns = RECORD.split(',').count();
        let read = |row: &rusqlite::Row<'_>| (0..columns).map(|n| row.get(n)).collect();
        self.other().query_row(&sql, [id.to_string()], read).unwrap()
    }

    /// Puts an earlier record back, as a file that was put together from two states has it.
    fn put_record(&self, row: &Row) {
        let places: Vec<_> = (1..=row.len()).map(|n| format!("?{n}")).collect();
        let sql =
            format!("INSERT OR REPLACE INTO sessions ({RECORD}) VALUES ({})", places.join(", "));
        self.other().execute(&sql, rusqlite::params_from_iter(row)).unwrap();
    }

    /// Every row of every table, but for what starts say of themselves.
    fn dump(&self) -> Vec<String> {
        dump(&self.other())
    }
}

fn dump(connection: &Connection) -> Vec<String> {
    let tables =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'runs' ORDER BY name";
    let mut select = connection.prepare(tables).unwrap();
    let tables: Vec<String> =
        select.query_map([], |it| it.get(0)).unwrap().map(Result::unwrap).collect();
    let mut lines = Vec::new();
    for table in tables {
        let mut select = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = select.column_count();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let row: Vec<Value> = (0..columns).map(|n| row.get(n).unwrap()).collect();
            lines.push(format!("{table} {row:?}"));
        }
    }
    lines
}

/// One turn: what was said, and `-` with it as the reply.
async fn turn(session: &Session, text: &str) {
    let turn = session.begin(&user(text), ()).await.unwrap();
    let outcome = turn.commit(&reply(&format!("-{text}"))).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
}

/// A session under the key `chat` with three turns: entries 1 to 6.
async fn three_turns(supervisor: &Supervisor, chat: &str) -> Session {
    let session = supervisor.open(&key(chat)).await.unwrap();
    for text in ["1", "2", "3"] {
        turn(&session, text).await;
    }
    session
}

async fn texts(session: &Session) -> Vec<String> {
    let entries = session.transcript().await.unwrap();
    entries.into_iter().map(|entry| entry.content.unwrap().content).collect()
}

const WHOLE: [&str; 6] = ["1", "-1", "2", "-2", "3", "-3"];

fn run(scenario: impl AsyncFnOnce(World)) {
    stage::runtime(2).block_on(scenario(World::new()));
}

/// A file with two sessions, `lost` and `other`, each of three turns with the last two taken back; and the
/// records that `lost` had: with nothing in it, with all of it, and after it was cut off once of twice.
async fn cut_twice(world: &World) -> (SessionId, SessionId, [Row; 3]) {
    let (supervisor, _store) = world.start().await;
    let (lost, other) =
        (supervisor.open(&key("lost")).await.unwrap(), three_turns(&supervisor, "other").await);
    let empty = world.record(lost.id());
    three_turns(&supervisor, "lost").await;
    let whole = world.record(lost.id());
    lost.rollback(1, None).await.unwrap();
    let once = world.record(lost.id());
    lost.truncate(2, "more of it", None).await.unwrap();
    other.truncate(2, "on purpose", None).await.unwrap();
    let ids = (lost.id().clone(), other.id().clone());
    supervisor.shutdown(std::time::Duration::from_secs(9)).await.unwrap();
    (ids.0, ids.1, [empty, whole, once])
}

// G7, G8: what the record knows nothing of comes back, once, and nothing else changes
#[test]
fn what_was_lost_comes_back_and_what_was_removed_does_not() {
    for (state, expected) in [(1, &WHOLE[..]), (2, &WHOLE[..4])] {
        run(async |world| {
            let (lost, other, records) = cut_twice(&world).await;
            world.put_record(&records[state]);
            let before = world.dump();

            let (supervisor, store) = world.start().await;
            let report = supervisor.recovery();
            assert_eq!(report.quarantined, []);
            let [healed] = &report.healed[..] else { panic!("{report:?}") };
            assert_eq!(healed.session, lost);
            assert_eq!(healed.entries, expected.len() as u64 - 2);
            assert_eq!(healed.revisions.len(), 3 - state);
            // Only rows of the loss went; the record is to the byte what it was, its last use included.
            let after = world.dump();
            let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
            assert!(gone.iter().all(|line| line.starts_with("revisions ")), "{gone:?}");
            assert_eq!((gone.len(), after.len()), (3 - state, before.len() - (3 - state)));
            assert_eq!(world.record(&lost), records[state]);
            assert_eq!(supervisor.loaded(), 0);
            assert_eq!(store.check().await.unwrap(), Vec::<String>::new());

            store.close().await.unwrap();
            let (supervisor, _store) = world.start().await;
            assert_eq!((&supervisor.recovery().healed[..], world.dump()), (&[][..], after));
            let session = supervisor.open(&key("lost")).await.unwrap();
            assert_eq!(
                (session.id(), texts(&session).await),
                (&lost, expected.iter().map(|it| (*it).to_owned()).collect())
            );
            let purpose = supervisor.open(&key("other")).await.unwrap();
            assert_eq!((purpose.id(), texts(&purpose).await.len()), (&other, 2));
            // And it goes on from there.
            turn(&session, "on").await;
            session.rollback(1, None).await.unwrap();
            assert_eq!(texts(&session).await.len(), expected.len());
            assert_clean(&supervisor).await;
        });
    }
}

// G7: what a user took away stays away, over any number of starts, whatever came between
#[test]
fn what_was_removed_on_purpose_stays_removed_over_restarts() {
    run(async |world| {
        let (supervisor, store) = world.start().await;
        let session = three_turns(&supervisor, "#rust").await;
        let deleted = three_turns(&supervisor, "gone").await;
        session.truncate(4, "the user edits", None).await.unwrap();
        let running = session.begin(&user("4"), ()).await.unwrap();
        running.emit("half").unwrap();
        deleted.rollback(1, None).await.unwrap();
        deleted.delete().await.unwrap();
        // As a crash does it: nobody ends anything.
        store.close().await.unwrap();
        for _ in 0..3 {
            let (supervisor, store) = world.start().await;
            assert_eq!(supervisor.recovery().healed, []);
            assert_eq!(supervisor.recovery().quarantined, []);
            let again = supervisor.open(&key("#rust")).await.unwrap();
            assert_eq!(texts(&again).await, ["1", "-1", "2", "-2", "4"]);
            let gone = supervisor.look_up(deleted.id()).await.unwrap();
            assert!(matches!(gone, Lookup::Gone(_)), "{gone:?}");
            store.close().await.unwrap();
        }
        drop((running, supervisor, session));
    });
}

/// What is done to the session `lost`, given the records that it had.
type Damage = fn(&World, &SessionId, &[Row; 3]);

// G7, G8, G9: evidence that does not fit restores nothing, is told, and keeps nobody from going on
#[test]
fn malformed_evidence_restores_nothing_and_is_told() {
    use QuarantineReason::{Damaged, Miscounted, Misfit, NoSuchLife};
    let cases: [(&str, Damage, QuarantineReason); 7] = [
        (
            "a damaged revision",
            |world, _, records| {
                world.put_record(&records[1]);
                world.tamper("UPDATE revisions SET from_seq = 1 WHERE version = 5");
            },
            Damaged,
        ),
        (
            "a damaged revision of what was on purpose",
            |world, _, _| {
                world.tamper("UPDATE revisions SET reason = 'lost' WHERE version = 5");
            },
            Damaged,
        ),
        (
            "a damaged record",
            |world, id, records| {
                world.put_record(&records[1]);
                world.tamper(&format!("UPDATE sessions SET label = 'x' WHERE id = '{id}'"));
            },
            Damaged,
        ),
        (
            "an interval beyond the last entry",
            |world, _, records| {
                world.put_record(&records[0]);
            },
            Misfit,
        ),
        (
            "an entry too few",
            |world, id, records| {
                world.put_record(&records[1]);
                world.tamper(&format!(
                    "DELETE FROM entries WHERE seq = 1 AND incarnation = \
                (SELECT incarnation FROM sessions WHERE id = '{id}')"
                ));
            },
            Miscounted,
        ),
        (
            "an entry too few of what was taken back",
            |world, id, records| {
                world.put_record(&records[1]);
                world.tamper(&format!(
                    "DELETE FROM entries WHERE seq = 6 AND incarnation = \
                (SELECT incarnation FROM sessions WHERE id = '{id}')"
                ));
            },
            Miscounted,
        ),
        (
            "a life that is over",
            |world, id, _| {
                world.tamper(&format!("DELETE FROM sessions WHERE id = '{id}'"));
            },
            NoSuchLife,
        ),
    ];
    for (name, damage, reason) in cases {
        run(async |world| {
            let (lost, other, records) = cut_twice(&world).await;
            damage(&world, &lost, &records);
            let before = world.dump();
            for _ in 0..2 {
                let (supervisor, store) = world.start().await;
                let report = supervisor.recovery();
                assert_eq!(report.healed, [], "{name}");
                let [told] = &report.quarantined[..] else { panic!("{name}: {report:?}") };
                assert_eq!(told.reason, reason, "{name}");
                assert!(told.what.contains("of life"), "{told}");
                let known = matches!(reason, Misfit | Miscounted);
                assert!(!known || told.session.as_ref() == Some(&lost), "{name}: {told:?}");
                assert_eq!(world.dump(), before, "{name}: something was written");
                let purpose = supervisor.open(&key("other")).await.unwrap();
                assert_eq!((purpose.id(), texts(&purpose).await.len()), (&other, 2));
                store.close().await.unwrap();
            }
        });
    }
}

// G7: a new life under the same name gets nothing of what an older one has left
#[test]
fn a_newer_life_gets_nothing_of_an_older_one() {
    run(async |world| {
        let (lost, _, _) = cut_twice(&world).await;
        world.tamper(&format!("DELETE FROM sessions WHERE id = '{lost}'"));
        let (supervisor, store) = world.start().await;
        let again = supervisor.create_id(&lost, NewSession::new()).await.unwrap();
        turn(&again, "new").await;
        store.close().await.unwrap();
        let (supervisor, _store) = world.start().await;
        assert_eq!(supervisor.recovery().healed, []);
        let [Quarantined { reason: QuarantineReason::NoSuchLife, .. }] =
            &supervisor.recovery().quarantined[..]
        else {
            panic!("{:?}", supervisor.recovery())
        };
        let again = supervisor.look_up(&lost).await.unwrap().live().unwrap();
        assert_eq!(texts(&again).await, ["new", "-new"]);
        assert_eq!(again.revisions().await.unwrap().len(), 0);
    });
}

// G9: rows that contradict each other are told, and neither the start nor another session fails for them
#[test]
fn a_turn_that_cannot_be_settled_keeps_nobody_from_starting() {
    run(async |world| {
        let (supervisor, store) = world.start().await;
        let mut sessions = Vec::new();
        let mut turns = Vec::new();
        for chat in ["a", "b", "c"] {
            let session = three_turns(&supervisor, chat).await;
            turns.push(session.begin(&user("lost"), ()).await.unwrap());
            sessions.push(session);
        }
        store.close().await.unwrap();
        // The second one's turn has an end already, says another row.
        let life = turns[1].stream().incarnation().get();
        world.tamper(&format!(
            "INSERT INTO turns SELECT incarnation, {}, outcome, settled_at, crc FROM turns \
             WHERE incarnation = {life} LIMIT 1",
            turns[1].stream().generation().get()
        ));
        let (supervisor, _store) = world.start().await;
        let report = supervisor.recovery();
        assert_eq!(report.settled.len(), 2);
        let [told] = &report.quarantined[..] else { panic!("{report:?}") };
        assert_eq!(told.session.as_ref(), Some(sessions[1].id()));
        for chat in ["a", "c"] {
            turn(&supervisor.open(&key(chat)).await.unwrap(), "on").await;
        }
        let page = supervisor.list(RecordFilter::default(), None, 9).await.unwrap();
        assert_eq!(page.records.len(), 3);
        // Its user starts anew. It can be deleted: the first try finds that its turn cannot be settled.
        let fresh = supervisor.reset(&key("b"), NewSession::new()).await.unwrap();
        turn(&fresh.session, "on").await;
        supervisor.delete(sessions[1].id()).await.unwrap_err();
        let deleted = supervisor.delete(sessions[1].id()).await.unwrap();
        assert!(matches!(deleted, DeleteOutcome::Deleted(_)), "{deleted:?}");
        drop((turns, supervisor));
    });
}

/// Which rows are damaged.
const DAMAGES: [(&str, &str); 3] = [
    ("the record", "UPDATE sessions SET created_at = 7 WHERE id = 'ID'"),
    ("the binding", "UPDATE bindings SET crc = crc + 1 WHERE id = 'ID'"),
    ("both", "UPDATE sessions SET created_at = 7 WHERE id = 'ID'"),
];

// G9: a damaged row does not wedge its user, and stays for whoever can repair it
#[test]
fn a_key_is_reset_over_what_is_damaged() {
    for loaded in [false, true] {
        for (name, damage) in DAMAGES {
            run(async |world| {
                let (supervisor, store) = world.start().await;
                let broken = three_turns(&supervisor, "broken").await;
                three_turns(&supervisor, "well").await;
                let id = broken.id().clone();
                store.close().await.unwrap();
                let (supervisor, store) = world.start().await;
                if loaded {
                    supervisor.open(&key("broken")).await.unwrap();
                }
                world.tamper(&damage.replace("ID", &id.to_string()));
                if name == "both" {
                    world.tamper(&DAMAGES[1].1.replace("ID", &id.to_string()));
                }
                if !loaded {
                    let refused = supervisor.open(&key("broken")).await.unwrap_err();
                    assert!(
                        matches!(&refused, OpenError::Damaged { key: it, .. } if *it == key("broken"))
                    );
                    assert!(
                        refused.to_string().contains("a reset of the key starts anew"),
                        "{refused}"
                    );
                    supervisor.begin(&key("broken"), &user("x"), ()).await.unwrap_err();
                }
                let fresh = supervisor.reset(&key("broken"), NewSession::new()).await.unwrap();
                assert!(fresh.created && *fresh.session.id() != id, "{name}");
                let previous = (loaded || name == "the record").then_some(&id);
                assert_eq!(
                    fresh.previous.as_ref().map(|it| &it.id),
                    previous,
                    "{name}, loaded: {loaded}"
                );
                turn(&fresh.session, "new").await;
                let again = supervisor.open(&key("broken")).await.unwrap();
                assert_eq!(again.id(), fresh.session.id());
                let well = supervisor.open(&key("well")).await.unwrap();
                assert_eq!(texts(&well).await.len(), 6);
                // What is damaged is as it was, and listed.
                let page = supervisor.list(RecordFilter::default(), None, 99).await.unwrap();
                let record_is_damaged = name != "the binding";
                assert_eq!(page.damaged.len(), usize::from(record_is_damaged), "{name}");
                assert!(page.damaged.iter().all(|line| line.contains(&id.to_string())));
                store.close().await.unwrap();
                let (supervisor, _store) = world.start().await;
                let again = supervisor.open(&key("broken")).await.unwrap();
                assert_eq!(again.id(), fresh.session.id());
                assert_eq!(texts(&again).await, ["new", "-new"]);
                assert_clean(&supervisor).await;
            });
        }
    }
}

// G9: what is damaged can be deleted by its id, loaded or not; then its id is gone as any other
#[test]
fn a_damaged_session_is_deleted_by_its_id() {
    for loaded in [false, true] {
        run(async |world| {
            let (supervisor, store) = world.start().await;
            let broken = three_turns(&supervisor, "broken").await;
            let id = broken.id().clone();
            broken.rollback(1, None).await.unwrap();
            drop(broken);
            store.close().await.unwrap();
            let (supervisor, store) = world.start().await;
            let handle =
                if loaded { Some(supervisor.open(&key("broken")).await.unwrap()) } else { None };
            world.tamper(&DAMAGES[0].1.replace("ID", &id.to_string()));
            if let Some(handle) = &handle {
                let refused = handle.append(&[reply("x")]).await.unwrap_err();
                let SessionError::Store { source: StoreError::Damaged { .. }, .. } = refused else {
                    panic!("{refused:?}")
                };
            }
            let deleted = match handle {
                Some(handle) => handle.delete().await.unwrap(),
                None => supervisor.delete(&id).await.unwrap(),
            };
            let DeleteOutcome::Deleted(tombstone) = deleted else { panic!("{deleted:?}") };
            let again = supervisor.delete(&id).await.unwrap();
            assert_eq!(again, DeleteOutcome::AlreadyGone(tombstone));
            assert!(
                matches!(supervisor.look_up(&id).await, Ok(Lookup::Gone(it)) if it == tombstone)
            );
            assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
            let lines = world.dump();
            let tables = ["entries ", "turns ", "revisions ", "sessions ", "bindings "];
            let left = lines.iter().filter(|it| tables.iter().any(|table| it.starts_with(table)));
            assert_eq!(left.count(), 0, "{lines:?}");
            let fresh = supervisor.open(&key("broken")).await.unwrap();
            assert_ne!(*fresh.id(), id);
            assert_eq!(
                supervisor.delete(&SessionId::new("nobody").unwrap()).await.unwrap(),
                DeleteOutcome::Unknown
            );
            assert_clean(&supervisor).await;
        });
    }
}

/// Replaces all rows of a life in the file by those of another file, as a writer does that asks nobody.
fn copy_over(world: &World, from: &Path, life: u64) {
    let mut connection = world.other();
    connection.execute("ATTACH ?1 AS other", [from.to_str().unwrap()]).unwrap();
    let change = connection.transaction().unwrap();
    let columns = [
        ("sessions", RECORD),
        ("entries", "incarnation, seq, generation, mark, at, payload, crc"),
        ("data", "incarnation, name, value, crc"),
        ("turns", "incarnation, generation, outcome, settled_at, crc"),
        ("revisions", "incarnation, version, from_seq, to_seq, at, reason, crc"),
    ];
    for (table, columns) in columns {
        change
            .execute(&format!("DELETE FROM main.{table} WHERE incarnation = {life}"), [])
            .unwrap();
        let copy = format!(
            "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM other.{table} \
             WHERE incarnation = {life}"
        );
        change.execute(&copy, []).unwrap();
    }
    change.commit().unwrap();
}

// G16: a copy in memory that is older than the file is noticed, given up and loaded anew; nothing of it is
// written over what is there
#[test]
fn a_writer_that_asks_nobody_is_noticed_and_not_overwritten() {
    for deed in ["turn", "entry", "datum", "cut"] {
        for ours in ["turn", "append", "insert", "cut", "rollback", "retry"] {
            run(async |world| {
                let (supervisor, store) = world.start().await;
                let session = three_turns(&supervisor, "#rust").await;
                let copy = world.path.with_file_name("copy.db");
                world.other().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
                let elsewhere = SqliteStore::open(&copy, SqliteOptions::default()).await.unwrap();
                let other: Supervisor =
                    Supervisor::builder().store(elsewhere.clone()).start().await.unwrap();
                let same = other.look_up(session.id()).await.unwrap().live().unwrap();
                match deed {
                    "turn" => turn(&same, "theirs").await,
                    "entry" => assert_eq!(same.append(&[reply("theirs")]).await.unwrap(), 7),
                    "datum" => assert_eq!(same.insert("mood", &"theirs").await.unwrap(), 4),
                    _ => assert_eq!(same.truncate(4, "theirs", None).await.unwrap().entries, 2),
                }
                let (said, data) = (texts(&same).await, same.get::<String>("mood").await.unwrap());
                let record = same.record().await.unwrap();
                elsewhere.close().await.unwrap();
                copy_over(&world, &copy, record.incarnation.get());

                let attempt = async || match ours {
                    "turn" => match session.begin(&user("ours"), ()).await {
                        Ok(turn) => turn.commit(&reply("-ours")).await.is_ok(),
                        Err(_) => false,
                    },
                    "append" => session.append(&[reply("ours")]).await.is_ok(),
                    "insert" => session.insert("mood", &"ours").await.is_ok(),
                    "cut" => session.truncate(2, "ours", None).await.is_ok(),
                    "rollback" => session.rollback(1, None).await.is_ok(),
                    _ => match session.retry(1, ()).await {
                        Ok(turn) => turn.fail(FailedInput::Keep).await.is_ok(),
                        Err(_) => false,
                    },
                };
                // It may be refused once, and then it is done on top of what is there.
                let done = attempt().await;
                if !done {
                    assert_eq!(texts(&session).await, said, "{deed}, {ours}: refused, and changed");
                    assert_eq!(session.get::<String>("mood").await.unwrap(), data);
                    assert!(attempt().await, "{deed}, {ours}: refused again");
                }
                // New content behind the same entries needs no copy of them; all else is noticed.
                let told_by_numbers = matches!(deed, "turn" | "entry");
                if told_by_numbers || matches!(ours, "insert" | "cut" | "rollback" | "retry") {
                    assert!(supervisor.counts().unloaded > 0, "{deed}, {ours}: not noticed");
                }
                let found = texts(&session).await;
                let kept = found.iter().zip(&said).take_while(|(a, b)| a == b).count();
                let least = match ours {
                    "cut" => 2,
                    // The last turn, and what was added behind it.
                    "rollback" | "retry" => said.len() - 3,
                    _ => said.len(),
                };
                assert!(kept >= least, "{deed}, {ours}: {said:?} became {found:?}");
                assert!(
                    session.record().await.unwrap().version >= record.version,
                    "{deed}, {ours}"
                );
                assert_eq!(store.check().await.unwrap(), Vec::<String>::new(), "{deed}, {ours}");
                turn(&session, "on").await;
                assert_clean(&supervisor).await;
                drop(other);
            });
        }
    }
}

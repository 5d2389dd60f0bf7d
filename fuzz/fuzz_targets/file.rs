//! The bytes of a file, changed: it is refused and left as it is, or every answer is what was once written or an
//! error, and damaged rows keep no supervisor from starting. What a check finds nothing wrong with has all its content.
#![no_main]

mod scratch;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use session_supervisor::store::{
    Binding, Created, DataChange, Forget, Found, InputFate, NewRecord, PartialFate, PartialPiece,
    RevisionReason, Store, StoreError, Synchronous, TakeBack, TurnMarker, Write,
};
use session_supervisor::{
    ChatMessage, EntryMark, Generation, GoneReason, InstanceId, Record, RecordFilter, SessionId,
    SessionKey, SqliteOptions, SqliteStore, Supervisor, Timestamp, Tombstone, TurnOutcome,
};

/// A file and all that can be read from it.
struct Base {
    bytes: Vec<u8>,
    /// Every piece that was ever there: what is behind a page's free space has its checksum still.
    ever: BTreeSet<String>,
    /// All that it answers.
    whole: Vec<String>,
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let path = scratch::fresh();
        scratch::block_on(async {
            let store = open(&path).await.expect("a new file");
            store.close().await.expect("it can be closed");
            // Where lives begin to count is random; here it is not.
            let connection = rusqlite::Connection::open(&path).expect("a file of SQLite");
            connection.execute("UPDATE sqlite_sequence SET seq = 6", []).expect("a counter");
            drop(connection);
            let store = open(&path).await.expect("the same file");
            let mut ever = BTreeSet::new();
            fill(&store, &mut ever).await;
            let whole = answers(&store).await.whole;
            assert_eq!(store.check().await.expect("it can be checked"), Vec::<String>::new());
            store.close().await.expect("it can be closed");
            Base { bytes: std::fs::read(&path).expect("the file"), ever, whole }
        })
    })
}

fuzz_target!(|changes: &[u8]| {
    let base = base();
    let bytes = changed(&base.bytes, changes);
    let path = scratch::fresh();
    std::fs::write(&path, &bytes).expect("a file");
    scratch::block_on(async {
        let store = match open(&path).await {
            Ok(store) => store,
            Err(StoreError::Unusable { .. }) => {
                assert!(std::fs::read(&path).expect("the file") == bytes, "it was changed");
                return;
            }
            Err(error) => panic!("{error:?}"),
        };
        let problems = store.check().await;
        let found = answers(&store).await;
        let foreign: Vec<_> = found.pieces.difference(&base.ever).collect();
        assert!(foreign.is_empty(), "nobody wrote {foreign:#?}");
        if problems.as_ref().is_ok_and(Vec::is_empty) {
            assert_eq!(found.whole, base.whole, "nothing is wrong with it");
        }
        let structure =
            |line: &String| line.starts_with("the structure") || line.contains("read to");
        let is_readable = problems.is_ok_and(|problems| !problems.iter().any(structure));
        match Supervisor::<ChatMessage>::builder().store(store.clone()).start().await {
            Ok(supervisor) => {
                let page = supervisor.list(RecordFilter::default(), None, 100).await;
                assert!(page.is_ok() || !is_readable, "{page:?}");
                assert!(supervisor.audit().is_clean(), "{:?}", supervisor.audit());
            }
            // Damaged rows keep nobody from starting.
            Err(error) => assert!(!is_readable, "{error:?}"),
        }
        drop(store.heal().await);
        drop(store.forget(Forget::Tombstones(Timestamp::from_millis(1)), 8).await);
        drop(store.create(new("another")).await);
        // A file that cannot be written cannot be closed in good order.
        drop(store.close().await);
    });
});

/// The file with some of its bytes changed: six bytes are a change.
fn changed(bytes: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for &[low, middle, high, kind, value, length] in changes.as_chunks::<6>().0 {
        let place = usize::from(low) | usize::from(middle) << 8 | usize::from(high & 7) << 16;
        let place = place % bytes.len().max(1);
        let length = 1 + usize::from(length) % 64;
        let end = (place + length).min(bytes.len());
        match kind % 8 {
            0..3 => bytes[place..].iter_mut().take(1).for_each(|it| *it ^= value.max(1)),
            3 => bytes[place..].iter_mut().take(1).for_each(|it| *it = value),
            4 => bytes[place..end].fill(value),
            5 => {
                let whole = bytes.len();
                let from = usize::from(value) * 97 % whole.max(1);
                let from_end = (from + end - place).min(whole);
                bytes.copy_within(from..from_end, place.min(whole + from - from_end));
            }
            6 => {
                // Two pages in each other's place.
                let (one, other) = (place / 4096 * 4096, usize::from(value) * 4096);
                if one + 4096 <= bytes.len() && other + 4096 <= bytes.len() {
                    for at in 0..4096 {
                        bytes.swap(one + at, other + at);
                    }
                }
            }
            _ if value > 250 => bytes.truncate(place),
            _ => {}
        }
    }
    bytes
}

async fn open(path: &std::path::Path) -> Result<SqliteStore, StoreError> {
    let mut options = SqliteOptions::default();
    options.synchronous = Synchronous::Normal;
    options.readers = 1;
    SqliteStore::open(path, options).await
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
}

fn id(name: &str) -> SessionId {
    SessionId::new(name).expect("it is one")
}

fn key(chat: &str) -> SessionKey {
    SessionKey::builder("test").chat(chat).build().expect("it is one")
}

fn new(name: &str) -> NewRecord {
    NewRecord::new(id(name), at(0))
}

const NAMES: [&str; 4] = ["one", "two", "three", "gone"];

/// Something in every table.
async fn fill(store: &SqliteStore, ever: &mut BTreeSet<String>) {
    let mut lives = Vec::new();
    for name in NAMES {
        let binding = Some(Binding { key: key(name), expected: None });
        let entries = vec!["first".into(), "second".into()];
        let data = vec![("mood".to_owned(), "good".into())];
        let created = NewRecord { binding, entries, data, ..new(name) };
        match store.create(created).await.expect("created") {
            Created::Created(record) => lives.push(record),
            refused => panic!("{refused:?}"),
        }
    }
    let mut write = async |life: &Record, write: Write| {
        let what = format!("{write:?}");
        let done = store.write(&life.id, life.incarnation, write).await;
        done.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        ever.append(&mut answers(store).await.pieces);
    };
    let begin = |turn: u64, seq: u64| {
        let (generation, instance) = (Generation::new(turn), InstanceId::from_random(5));
        let marker = TurnMarker { generation, instance, began_at: at(turn) };
        Write::Begin { marker, input: Some((seq, "input".into())), extra: None, at: at(turn) }
    };
    let turn = Generation::new;
    let one = &lives[0];
    write(one, begin(1, 3)).await;
    let piece = |first| PartialPiece { first, chunks: 1, text: "said".into() };
    write(one, Write::Partial { generation: turn(1), piece: piece(1) }).await;
    let partial = PartialFate::Keep { last: Some(piece(2)) };
    let (outcome, input) = (TurnOutcome::ALL[1], InputFate::Keep);
    let settle = Write::Settle {
        generation: turn(1),
        outcome,
        input,
        partial,
        next_seq: 4,
        version: 1,
        at: at(2),
    };
    write(one, settle).await;
    write(one, begin(2, 4)).await;
    let (entries, data) = (vec!["reply".into()], vec![]);
    let commit = Write::Commit {
        generation: turn(2),
        first_seq: 5,
        entries,
        data,
        extra: None,
        version: 2,
        at: at(3),
    };
    write(one, commit).await;
    let from = TakeBack { from: 4, version: 3, reason: RevisionReason::Rollback };
    write(one, Write::TakeBack { from, at: at(4) }).await;
    write(one, begin(3, 6)).await;
    let changes =
        vec![DataChange { name: "other".to_owned(), value: Some(vec![b'x'; 300].into()) }];
    let two = &lives[1];
    write(two, Write::PutData { changes, version: 1, at: at(5) }).await;
    let entries: Vec<_> = (0..40).map(|it| vec![b'a' + it % 26; 200].into()).collect();
    write(two, Write::Append { first_seq: 3, entries, version: 2, at: at(6) }).await;
    write(two, Write::Rotate { to: id("later"), at: at(7) }).await;
    let (incarnation, reason) = (lives[3].incarnation, GoneReason::Deleted);
    let tombstone = Tombstone { incarnation, reason, at: at(8), until: at(900) };
    write(&lives[3], Write::Delete { tombstone }).await;
    store.open_run(InstanceId::from_random(5), at(0)).await.expect("a run");
}

/// What a file says.
#[derive(Default)]
struct Answers {
    /// What it says that there is, each piece for itself.
    pieces: BTreeSet<String>,
    /// All that it answers, what is not there as well.
    whole: Vec<String>,
}

/// Asks for all that there is.
async fn answers(store: &SqliteStore) -> Answers {
    let mut answers = Answers::default();
    for name in NAMES.iter().chain(&["later"]) {
        let found = store.look_up(&id(name), at(10)).await;
        answers.whole.push(format!("{name} is {found:?}"));
        match found {
            Ok(Found::Live(record)) => {
                let first = first(&record);
                answers.pieces.insert(format!("{name} is one of {}", first.id));
                answers.pieces.insert(format!("{first:?}"));
            }
            Ok(Found::Gone(tombstone)) => {
                answers.pieces.insert(format!("{name} {tombstone:?}"));
            }
            Ok(Found::Unknown) | Err(_) => {}
        }
        let bound = store.bound_to(&key(name)).await;
        answers.whole.push(format!("{name} leads to {bound:?}"));
        if let Ok(Some(bound)) = bound {
            answers.pieces.insert(format!("{name} leads to {bound}"));
        }
    }
    let page = store.list(RecordFilter::default(), None, 100).await;
    answers.whole.push(format!("{page:?}"));
    for life in page.map(|page| page.records).unwrap_or_default() {
        answers.pieces.insert(format!("{:?}", first(&life)));
        content(store, &life, &mut answers).await;
    }
    answers
}

/// A record as it would be without a later id, whose row may be lost alone.
fn first(record: &Record) -> Record {
    Record { id: record.first_id().clone(), former_ids: Vec::new(), ..record.clone() }
}

/// Asks for all that there is of a life.
async fn content(store: &SqliteStore, life: &Record, Answers { pieces, whole }: &mut Answers) {
    let (id, incarnation) = (&life.id, life.incarnation);
    let name = life.first_id();
    let entries = store.entries(id, incarnation, 0, 1_000).await;
    let revisions = store.revisions(id, incarnation).await;
    whole.push(format!("{name}: {entries:?}, {revisions:?}"));
    let taken = revisions.unwrap_or_default().into_iter().flat_map(|it| it.entries);
    for entry in entries.unwrap_or_default().into_iter().chain(taken) {
        if entry.mark != EntryMark::Damaged {
            pieces.insert(format!("{name}: {entry:?}"));
        }
    }
    for datum in ["mood", "other"] {
        let value = store.datum(id, incarnation, datum).await;
        whole.push(format!("{name}: {datum} {value:?}"));
        if let Ok(Some(value)) = value {
            pieces.insert(format!("{name}: {datum} {value:?}"));
        }
    }
    for generation in (1..=3).map(Generation::new) {
        let turn = store.turn(id, incarnation, generation).await;
        let said = store.partial(id, incarnation, generation).await;
        whole.push(format!("{name}: {generation:?} {turn:?} {said:?}"));
        if let Ok(Some(turn)) = turn {
            pieces.insert(format!("{name}: {generation:?} {turn:?}"));
        }
        if let Ok(Some(said)) = said {
            pieces.insert(format!("{name}: {generation:?} {said:?}"));
        }
    }
    let keys = store.keys_of(id, incarnation).await;
    whole.push(format!("{name}: {keys:?}"));
    for key in keys.unwrap_or_default() {
        pieces.insert(format!("{name}: {key}"));
    }
}

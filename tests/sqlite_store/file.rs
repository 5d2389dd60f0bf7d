//! Whose file it is, what is refused, and what is kept.

use std::fs;
use std::path::Path;

use session_supervisor::store::{
    Created, Found, NewRecord, RecordFilter, SqliteOptions, SqliteStore, Store, StoreError,
};

use crate::{append, at, bound, created, delete, id, key, live, new_record, open};

/// Opens a file that must be refused, checks that nothing changed, and returns what is told.
async fn refused(path: &Path) -> String {
    let folder = path.parent().unwrap();
    let listing = || {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.retain(|name| !name.to_string_lossy().ends_with(".lock"));
        names.sort();
        names
    };
    let (names, bytes) = (listing(), fs::read(path).unwrap());
    let error = SqliteStore::open(path, SqliteOptions::default()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unusable { .. }), "{error:?}");
    assert!(fs::read(path).unwrap() == bytes, "the file was changed");
    assert_eq!(listing(), names, "something was left beside it");
    let told = error.to_string();
    assert!(told.contains(&path.display().to_string()), "{told}");
    told
}

/// A closed store with some content.
async fn a_store(path: &Path) {
    let store = open(path).await;
    let a = created(&store, bound("a", "irc/chat=1")).await;
    for n in 1..=100 {
        store.write(&a.id, a.incarnation, append(n, vec![b'x'; 400])).await.unwrap();
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_text_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    for text in ["x", "not a database\n", &"long ".repeat(10_000)] {
        fs::write(&path, text).unwrap();
        assert!(refused(&path).await.contains("not a SQLite file"));
    }
    assert!(!folder.path().join("notes.txt.lock").exists());
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a); PRAGMA user_version = 1")
        .unwrap();
    drop(other);
    assert!(refused(&path).await.contains("another program"));
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    a_store(&path).await;
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA user_version = 77").unwrap();
    newer.close().unwrap();
    let told = refused(&path).await;
    assert!(told.contains("77") && told.contains("newer release"), "{told}");
}

/// The version in the header is that of the last checkpoint; a newer one may still be in the log.
#[tokio::test]
async fn a_newer_format_that_is_only_in_the_log_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("s.db"), folder.path().join("copy.db"));
    a_store(&path).await;
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA user_version = 77").unwrap();
    fs::copy(&path, &copy).unwrap();
    fs::copy(folder.path().join("s.db-wal"), folder.path().join("copy.db-wal")).unwrap();
    let log = fs::read(folder.path().join("copy.db-wal")).unwrap();
    assert!(refused(&copy).await.contains("77"));
    assert_eq!(fs::read(folder.path().join("copy.db-wal")).unwrap(), log);
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    a_store(&path).await;
    let whole = fs::read(&path).unwrap();
    for length in [whole.len() - 1, whole.len() - 4_096, 4_096, 120, 50] {
        fs::write(&path, &whole[..length]).unwrap();
        refused(&path).await;
    }
}

#[tokio::test]
async fn a_file_with_a_broken_schema_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    a_store(&path).await;
    let whole = fs::read(&path).unwrap();
    // The first page from behind the header on; then the roots of the tables.
    for broken in [100..4_096, 4_096..40_960] {
        let mut bytes = whole.clone();
        bytes[broken].fill(0x5a);
        fs::write(&path, &bytes).unwrap();
        assert!(refused(&path).await.contains("damaged"));
    }
}

/// The power was cut while the first page was taken over from the log, and its sector was garbage
/// afterwards. Everything was in the log, but the header was read from the file alone, and whoever started
/// again was told that this was no store.
#[tokio::test]
async fn a_header_that_is_garbage_does_not_matter_while_the_log_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, cut) = (folder.path().join("s.db"), folder.path().join("cut.db"));
    let log = |path: &Path| path.with_extension("db-wal");
    let store = open(&path).await;
    let a = created(&store, bound("a", "irc/chat=1")).await;
    for n in 1..=100 {
        store.write(&a.id, a.incarnation, append(n, vec![b'x'; 400])).await.unwrap();
    }
    let mut bytes = fs::read(&path).unwrap();
    bytes[..512].fill(0x5a);
    fs::write(&cut, &bytes).unwrap();
    fs::copy(log(&path), log(&cut)).unwrap();
    let again = open(&cut).await;
    assert_eq!(live(&again, "a").await.entries, 100);
    assert_eq!(again.check().await.unwrap(), Vec::<String>::new());
    drop(again);
    // What is no log of a store helps nobody.
    let other = rusqlite::Connection::open(folder.path().join("other.db")).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)").unwrap();
    let foreign = folder.path().join("foreign.db");
    for bytes in [
        &fs::read(log(&path)).unwrap()[..40],
        &fs::read(log(&folder.path().join("other.db"))).unwrap(),
    ] {
        fs::write(&foreign, "not a database at all").unwrap();
        fs::write(log(&foreign), bytes).unwrap();
        assert!(refused(&foreign).await.contains("not a SQLite file"));
        assert_eq!(fs::read(log(&foreign)).unwrap(), bytes);
        assert!(!folder.path().join("foreign.db.lock").exists());
    }
}

#[tokio::test]
async fn a_log_without_its_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    fs::write(folder.path().join("s.db-wal"), "left over").unwrap();
    fs::write(&path, "").unwrap();
    assert!(refused(&path).await.contains("-wal"));
}

#[tokio::test]
async fn a_path_that_cannot_be_used_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for (path, advice) in [
        (folder.path().join("missing").join("s.db"), "create it"),
        (file.join("s.db"), "check its directory"),
        (folder.path().to_owned(), "give the path of a file"),
    ] {
        let error = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, StoreError::Unusable { .. }), "{told}");
        assert!(told.contains(advice) && told.contains(path.to_str().unwrap()), "{told}");
    }
}

#[tokio::test]
async fn an_empty_file_becomes_a_store_and_a_leftover_of_a_crash_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    fs::write(&path, "").unwrap();
    fs::write(folder.path().join("s.db.creating"), "half a store").unwrap();
    a_store(&path).await;
    assert_eq!(live(&open(&path).await, "a").await.entries, 100);
    assert!(!folder.path().join("s.db.creating").exists());
}

/// A file that was moved away while it was open took every write, and so did one that was removed: they were
/// acknowledged, and gone with the process.
#[cfg(unix)]
#[tokio::test]
async fn nothing_is_acknowledged_into_a_file_that_was_moved_removed_or_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("s.db"), folder.path().join("away.db"));
    let store = open(&path).await;
    let a = created(&store, bound("a", "irc/chat=1")).await;
    let refused = async |n| {
        let answer = store.write(&a.id, a.incarnation, append(n, "x")).await;
        assert!(
            matches!(&answer, Err(StoreError::Unavailable { what, .. }) if what.contains("s.db"))
        );
        // What was there before can be read.
        let entries = store.entries(&a.id, a.incarnation, 0, 9).await.unwrap();
        assert_eq!(entries.len() as u64, n - 1);
    };
    fs::rename(&path, &away).unwrap();
    refused(1).await;
    fs::write(&path, "another file").unwrap();
    refused(1).await;
    fs::rename(&away, &path).unwrap();
    store.write(&a.id, a.incarnation, append(1, "x")).await.unwrap();
    fs::remove_file(&path).unwrap();
    refused(2).await;
}

#[tokio::test]
async fn a_second_store_on_the_same_file_is_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = open(&path).await;
    let other_name = folder.path().join("link.db");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&path, &other_name).unwrap();
    #[cfg(not(unix))]
    let other_name = folder.path().join(".").join("s.db");
    for path in [&path, &other_name] {
        let error = SqliteStore::open(path, SqliteOptions::default()).await.unwrap_err();
        let StoreError::Owned { holder, .. } = &error else { panic!("{error:?}") };
        assert!(holder.contains(&format!("process {}", std::process::id())), "{holder}");
    }
    let clone = store.clone();
    drop(store);
    assert!(SqliteStore::open(&path, SqliteOptions::default()).await.is_err());
    clone.close().await.unwrap();
    let again = open(&path).await;
    assert!(folder.path().join("s.db.lock").exists(), "the lock file is never removed");
    drop(again);
    open(&path).await;
}

#[tokio::test]
async fn a_process_id_left_in_the_lock_file_means_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    fs::write(folder.path().join("s.db.lock"), "process 1, instance old").unwrap();
    open(&path).await;
    let lock = fs::read_to_string(folder.path().join("s.db.lock")).unwrap();
    assert!(lock.contains(&std::process::id().to_string()), "{lock}");
    assert!(!lock.contains("old"), "{lock}");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_reopen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = open(&path).await;
    let new = NewRecord {
        label: Some("line".to_owned()),
        entries: vec!["first".into()],
        data: vec![("d".to_owned(), "datum".into())],
        ..bound("a", "irc/chat=1")
    };
    let a = created(&store, new).await;
    store.write(&a.id, a.incarnation, append(2, "second")).await.unwrap();
    let gone = created(&store, new_record("gone")).await;
    store.write(&gone.id, gone.incarnation, delete(gone.incarnation)).await.unwrap();
    let before = live(&store, "a").await;
    store.close().await.unwrap();
    let store = open(&path).await;
    assert_eq!(live(&store, "a").await, before);
    assert_eq!(store.entries(&a.id, a.incarnation, 0, 9).await.unwrap().len(), 2);
    assert_eq!(store.datum(&a.id, a.incarnation, "d").await.unwrap().unwrap(), "datum");
    assert_eq!(store.bound_to(&key("irc/chat=1")).await.unwrap(), Some(id("a")));
    let found = store.look_up(&gone.id, at(50)).await.unwrap();
    assert!(matches!(found, Found::Gone(tombstone) if tombstone.incarnation == gone.incarnation));
}

#[tokio::test]
async fn a_life_is_never_drawn_again_not_even_after_a_delete_and_a_reopen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut newest = 0;
    for round in 0..5 {
        let store = open(&path).await;
        let new = NewRecord { allow_reuse: true, ..new_record("a") };
        let a = created(&store, new.clone()).await;
        assert!(a.incarnation.get() > newest, "round {round}: {:?} after {newest}", a.incarnation);
        newest = a.incarnation.get();
        assert_eq!(store.create(new).await.unwrap(), Created::IdTaken);
        store.write(&a.id, a.incarnation, delete(a.incarnation)).await.unwrap();
        assert!(store.list(RecordFilter::default(), None, 9).await.unwrap().records.is_empty());
        store.close().await.unwrap();
    }
}

/// The path goes into a URI on the way.
#[tokio::test]
async fn a_path_of_any_characters_is_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file: a?b=c#d%20é\"'.db");
    a_store(&path).await;
    assert_eq!(live(&open(&path).await, "a").await.entries, 100);
}

//! What only some sessions have: damage to it is told by name, and it costs the others nothing.

use std::path::Path;

use session_supervisor::Generation;
use session_supervisor::store::{
    BeginExtra, Forget, PartialFate, QuarantineReason, RevisionReason, SqliteStore, Store,
    StoreError, TakeBack, Write,
};

use crate::damage::{dump, tamper, two_sessions};
use crate::{
    append, asked, at, attempt, begin, begin_with, commit, keep, live, piece, refuse, resume, say,
    settle, take_back,
};

/// A store of two sessions `a` and `b`, each with an interrupted turn 3 that has said `one two three ` and
/// stands under a parent, a request `ask`, entry 4 taken back, turn 4 open, and a handle `one` of `cli`, where
/// `dead` is refused.
pub(crate) async fn two_with_extras(path: &Path) -> SqliteStore {
    let store = two_sessions(path).await;
    for name in ["a", "b"] {
        let record = live(&store, name).await;
        let last = Some(piece(3, "three "));
        let writes = [
            settle(2, 5, PartialFate::Drop),
            begin_with(3, BeginExtra { parent: Some(1), ..asked("ask") }),
            say(3, piece(1, "one ")),
            say(3, piece(2, "two ")),
            settle(3, 5, PartialFate::Keep { last }),
            take_back(4, 9),
            begin(4, None),
            resume("cli", refuse("dead")),
            resume("cli", keep("one")),
        ];
        for write in writes {
            store.write(&record.id, record.incarnation, write).await.unwrap();
        }
    }
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store
}

/// What a damaged row is called.
fn damaged<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Damaged { what }) => what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_damaged_or_missing_piece_makes_what_was_said_damaged_and_nothing_else() {
    for change in [
        "UPDATE partials SET text = x'00' WHERE first = 1",
        "UPDATE partials SET chunks = 2 WHERE first = 2",
        "DELETE FROM partials WHERE first = 2",
        "DELETE FROM partials WHERE first = 1",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let store = two_with_extras(&path).await;
        let (a, b) = (live(&store, "a").await, live(&store, "b").await);
        tamper(&path, &format!("{change} AND incarnation = {}", a.incarnation.get()));
        let turn = Generation::new(3);
        let what = damaged(store.partial(&a.id, a.incarnation, turn).await);
        assert!(what.contains("`partials`") && what.contains("turn 3 of a"), "{what}");
        let kept = store.partial(&b.id, b.incarnation, turn).await.unwrap().unwrap();
        assert_eq!((kept.chunks, &*kept.text), (3, &b"one two three "[..]));
        let problems = store.check().await.unwrap().join("\n");
        assert!(problems.contains("`partials` "), "{change}: {problems}");
        assert_eq!(store.entries(&a.id, a.incarnation, 0, 9).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_damaged_request_is_told_stays_and_is_replaced_by_its_repetition() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_with_extras(&path).await;
    let (a, b) = (live(&store, "a").await, live(&store, "b").await);
    let life = a.incarnation.get();
    tamper(&path, &format!("UPDATE requests SET generation = 2 WHERE incarnation = {life}"));
    let what = damaged(store.request(&a.id, a.incarnation, "ask").await);
    assert!(what.contains("`requests`") && what.contains("\"ask\" of a"), "{what}");
    assert!(store.request(&b.id, b.incarnation, "ask").await.unwrap().is_some());
    assert_eq!(store.forget(Forget::Requests(at(1_000)), 1).await.unwrap(), 1);
    assert_eq!(store.forget(Forget::Requests(at(1_000)), 9).await.unwrap(), 0);
    assert_eq!(store.request(&b.id, b.incarnation, "ask").await.unwrap(), None);
    let problems = store.check().await.unwrap();
    assert_eq!(problems, [format!("`requests` row {life}, ask is damaged")]);
    store.write(&a.id, a.incarnation, begin_with(5, asked("ask"))).await.unwrap();
    let found = store.request(&a.id, a.incarnation, "ask").await.unwrap().unwrap();
    assert_eq!((found.generation, found.digest), (Generation::new(5), 77));
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_damaged_handle_is_told_stays_and_is_replaced_by_the_next() {
    for column in [
        "provider = 'api'",
        "value = 'two'",
        "value = NULL",
        "stored_at = 9",
        "used_at = 9",
        "attempts = 1",
        "refused = NULL",
        "refused = x'00'",
        "refused_at = 9",
        "crc = crc + 1",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let store = two_with_extras(&path).await;
        let (a, b) = (live(&store, "a").await, live(&store, "b").await);
        let life = a.incarnation.get();
        tamper(&path, &format!("UPDATE resume SET {column} WHERE incarnation = {life}"));
        let provider = if column.starts_with("provider") { "api" } else { "cli" };
        let what = damaged(store.resume(&a.id, a.incarnation, provider).await);
        assert!(what.contains("`resume`") && what.contains(provider), "{column}: {what}");
        let other = store.resume(&b.id, b.incarnation, "cli").await.unwrap();
        assert_eq!((other.handle.unwrap().value.as_str(), other.refused.len()), ("one", 1));
        // What is not to be kept does not take its place.
        let before = dump(&path);
        store.write(&a.id, a.incarnation, resume(provider, attempt("one"))).await.unwrap();
        assert_eq!(dump(&path), before, "{column}");
        for what in [Forget::ResumeHandles(at(1_000)), Forget::RefusedHandles(at(1_000))] {
            assert_eq!(store.forget(what, 9).await.unwrap(), 1, "{column}");
        }
        let problems = store.check().await.unwrap();
        assert_eq!(problems, [format!("`resume` row {life}, {provider} is damaged")], "{column}");
        store.write(&a.id, a.incarnation, resume(provider, keep("new"))).await.unwrap();
        let found = store.resume(&a.id, a.incarnation, provider).await.unwrap();
        assert_eq!((found.handle.unwrap().value.as_str(), found.refused.len()), ("new", 0));
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    }
}

/// No row is left of a service of which nothing is kept.
#[tokio::test]
async fn a_handle_that_goes_leaves_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_with_extras(&path).await;
    let rows = || dump(&path).iter().filter(|row| row.starts_with("resume ")).count();
    let a = live(&store, "a").await;
    store.write(&a.id, a.incarnation, resume("api", attempt("one"))).await.unwrap();
    assert_eq!(rows(), 2);
    assert_eq!(store.forget(Forget::RefusedHandles(at(1_000)), 9).await.unwrap(), 2);
    assert_eq!(rows(), 2);
    assert_eq!(store.forget(Forget::ResumeHandles(at(1_000)), 9).await.unwrap(), 2);
    assert_eq!(rows(), 0);
}

#[tokio::test]
async fn a_damaged_branch_is_told_instead_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_with_extras(&path).await;
    let (a, b) = (live(&store, "a").await, live(&store, "b").await);
    let life = a.incarnation.get();
    tamper(&path, &format!("UPDATE branches SET parent = 2 WHERE incarnation = {life}"));
    let what = damaged(store.branches(&a.id, a.incarnation).await);
    assert!(what.contains("`branches`") && what.contains(&format!("3 of life {life}")), "{what}");
    assert_eq!(store.branches(&b.id, b.incarnation).await.unwrap().len(), 1);
    let problems = store.check().await.unwrap();
    assert_eq!(problems, [format!("`branches` row {life}, 3 is damaged")]);
}

/// Nothing is shown as if it still counted, and nothing is removed on the word of a damaged row.
#[tokio::test]
async fn a_damaged_revision_hides_its_transcript_and_stays_until_the_delete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_with_extras(&path).await;
    let (a, b) = (live(&store, "a").await, live(&store, "b").await);
    let (id, life) = (&a.id, a.incarnation);
    store.write(id, life, settle(4, 5, PartialFate::Drop)).await.unwrap();
    tamper(&path, &format!("UPDATE revisions SET from_seq = 1 WHERE incarnation = {}", life.get()));
    let before = dump(&path);
    for what in [
        damaged(store.entries(id, life, 0, 9).await),
        damaged(store.revisions(id, life).await),
        damaged(store.write(id, life, take_back(1, 10)).await),
    ] {
        assert!(what.contains("`revisions`") && what.contains("9 of life"), "{what}");
    }
    let over = TakeBack { from: 1, version: 10, reason: RevisionReason::Retry };
    let over = BeginExtra { take_back: Some(over), ..asked("more") };
    damaged(store.write(id, life, begin_with(5, over)).await);
    assert_eq!(dump(&path), before, "something was written");
    let problems = store.check().await.unwrap();
    assert!(problems.contains(&format!("`revisions` row {}, 9 is damaged", life.get())));
    let told = store.heal().await.unwrap().quarantined;
    assert!(matches!(&told[..], [it] if it.reason == QuarantineReason::Damaged), "{told:?}");
    assert_eq!(dump(&path), before, "something was written");

    assert_eq!(store.entries(&b.id, b.incarnation, 0, 9).await.unwrap().len(), 3);
    assert_eq!(store.forget(Forget::Revisions(at(1_000)), 1).await.unwrap(), 1, "b's");
    assert_eq!(store.forget(Forget::Revisions(at(1_000)), 9).await.unwrap(), 0);
    let entries = |lines: &[String]| lines.iter().filter(|it| it.starts_with("entries")).count();
    assert_eq!(entries(&dump(&path)), entries(&before) - 1);
    // What needs no transcript goes on.
    store.write(id, life, append(5, "x")).await.unwrap();
    store.write(id, life, crate::delete(life)).await.unwrap();
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

/// A flipped bit in a page that is no leaf hides rows behind it, and all that is left of the file is in order: what a
/// hidden removal had taken out was in the transcript again.
#[tokio::test]
async fn a_missing_revision_hides_its_transcript_as_a_damaged_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_with_extras(&path).await;
    let (a, b) = (live(&store, "a").await, live(&store, "b").await);
    let (id, life, mine) = (&a.id, a.incarnation, a.incarnation.get());
    store.write(id, life, settle(4, 5, PartialFate::Drop)).await.unwrap();
    tamper(&path, &format!("DELETE FROM revisions WHERE incarnation = {mine}"));
    let before = dump(&path);
    for what in [
        damaged(store.entries(id, life, 0, 9).await),
        damaged(store.revisions(id, life).await),
        damaged(store.write(id, life, take_back(1, 10)).await),
        damaged(store.write(id, life, Write::ForgetRevision { version: 9 }).await),
    ] {
        assert!(what.contains(&format!("`revisions` row of life {mine}")), "{what}");
    }
    assert_eq!(dump(&path), before, "something was written");
    let problems = store.check().await.unwrap();
    let lack = format!("`revisions` of life {mine} are not as many as it counts");
    assert!(problems.contains(&lack), "{problems:?}");
    assert_eq!(store.entries(&b.id, b.incarnation, 0, 9).await.unwrap().len(), 3);
    // What needs no transcript goes on.
    store.write(id, life, append(5, "x")).await.unwrap();
    store.write(id, life, crate::delete(life)).await.unwrap();
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_check_tells_what_is_kept_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_with_extras(&path).await;
    let (a, b) = (live(&store, "a").await, live(&store, "b").await);
    let (a, b) = (a.incarnation.get(), b.incarnation.get());
    tamper(&path, &format!("DELETE FROM sessions WHERE incarnation = {b}"));
    tamper(&path, &format!("UPDATE revisions SET to_seq = 5 WHERE incarnation = {a}"));
    let change = "UPDATE turns SET outcome = 'committed' WHERE generation = 3";
    tamper(&path, &format!("{change} AND incarnation = {a}"));
    let problems = store.check().await.unwrap();
    for line in [
        format!("`partials` has rows of life {b}, which is not there"),
        format!("`revisions` has rows of life {b}, which is not there"),
        format!("`requests` has rows of life {b}, which is not there"),
        format!("`resume` has rows of life {b}, which is not there"),
        format!("`branches` has rows of life {b}, which is not there"),
        format!("`partials` of life {a} are of a turn that has committed its reply"),
        format!("`revisions` of life {a} go beyond its last entry"),
    ] {
        assert!(problems.contains(&line), "{line}: {problems:?}");
    }
}

// F15: neither rows in any table nor files beside the store are left of what was deleted.
#[tokio::test]
async fn what_was_deleted_leaves_a_tombstone_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_with_extras(&path).await;
    let files = |folder: &Path| {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files(folder.path());
    for name in ["a", "b"] {
        let record = live(&store, name).await;
        store
            .write(&record.id, record.incarnation, crate::delete(record.incarnation))
            .await
            .unwrap();
    }
    let left = dump(&path);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|row| row.starts_with("tombstones ")), "{left:?}");
    assert_eq!(files(folder.path()), before);
}

/// Turns that have nothing beside one input do not look into the tables of those that have.
#[tokio::test]
async fn a_plain_turn_makes_no_statement_for_what_only_some_have() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let store = two_sessions(&path).await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    for table in ["partials", "revisions", "requests", "resume", "branches"] {
        connection.execute_batch(&format!("DROP TABLE {table}")).unwrap();
    }
    let a = live(&store, "a").await;
    for write in [
        settle(2, 5, PartialFate::Drop),
        begin(3, Some((5, "in".into()))),
        commit(3, 6, vec!["out".into()]),
        begin(4, Some((7, "in".into()))),
        settle(4, 8, PartialFate::Keep { last: None }),
        begin(5, Some((8, "in".into()))),
        settle(5, 10, PartialFate::Entry { payload: "half".into() }),
        append(10, "more"),
        begin(6, None),
    ] {
        store.write(&a.id, a.incarnation, write).await.unwrap();
    }
    // The others do.
    store.write(&a.id, a.incarnation, say(6, piece(1, "x"))).await.unwrap_err();
}

/// On whose word would it go? The others' are forgotten all the same.
#[tokio::test]
async fn no_revision_is_forgotten_of_a_life_of_which_a_row_is_damaged_or_missing() {
    for damage in [
        "UPDATE revisions SET from_seq = 2 WHERE version = 10",
        "DELETE FROM revisions WHERE version = 10",
        "UPDATE sessions SET label = NULL WHERE id = 'a'",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let store = two_with_extras(&path).await;
        let (a, b) = (live(&store, "a").await, live(&store, "b").await);
        for write in [settle(4, 5, PartialFate::Drop), take_back(3, 10)] {
            store.write(&a.id, a.incarnation, write).await.unwrap();
        }
        tamper(&path, damage);
        let before = dump(&path);
        assert_eq!(store.forget(Forget::Revisions(at(1_000)), 9).await.unwrap(), 1, "{damage}");
        assert!(store.revisions(&b.id, b.incarnation).await.unwrap().is_empty(), "{damage}");
        let mine = |lines: &[String]| {
            let life = format!("Integer({})", a.incarnation.get());
            lines.iter().filter(|line| line.contains(&life)).cloned().collect::<Vec<_>>()
        };
        assert_eq!(mine(&dump(&path)), mine(&before), "{damage}");
    }
}

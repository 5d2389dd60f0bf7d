//! What only the inside of a store in memory shows.

use super::*;
use crate::store::{Bucket, DueBy, PutBack, Record, RevisionReason, TakeBack};
use crate::tombstone::GoneReason;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn id(number: u128) -> SessionId {
    SessionId::from_random(number)
}

/// A session that was created then.
async fn created(store: &MemoryStore, number: u128, millis: u64) -> Record {
    let new = NewRecord::new(id(number), at(millis));
    let Created::Created(record) = store.create(new).await.unwrap() else { panic!("created") };
    record
}

/// Entry `seq` is added.
fn append(seq: u64, millis: u64) -> Write {
    let entries = vec![Bytes::from_static(b"x")];
    Write::Append { first_seq: seq, entries, version: seq, at: at(millis) }
}

fn deleted(incarnation: Incarnation) -> Write {
    let (reason, until) = (GoneReason::Deleted, at(99));
    Write::Delete { tombstone: Tombstone { incarnation, reason, at: at(9), until } }
}

// What was given out by another run is not taken for something of this one
#[tokio::test]
async fn lives_are_counted_from_a_random_place() {
    let (one, other) = (MemoryStore::new(), MemoryStore::new());
    let first = created(&one, 1, 1).await.incarnation;
    assert_eq!(one.shared.newest.load(Ordering::Relaxed), first.get(), "it is the newest");
    let second = created(&one, 2, 1).await.incarnation;
    assert_eq!(second.get(), first.get() + 1);
    assert!(created(&other, 1, 1).await.incarnation.get().abs_diff(first.get()) > 2);
}

// E8. However many there are, as long as there is room for them
#[tokio::test]
async fn no_tombstone_is_dropped_before_its_time() {
    let store = MemoryStore::new();
    for number in 1..=2_000 {
        let life = created(&store, number, 1).await.incarnation;
        store.write(&id(number), life, deleted(life)).await.unwrap();
    }
    for number in 1..=2_000 {
        let Found::Gone(_) = store.look_up(&id(number), at(98)).await.unwrap() else {
            panic!("{number} was deleted, and is not known any more")
        };
        let found = store.look_up(&id(number), at(99)).await.unwrap();
        assert!(matches!(found, Found::Unknown), "{number}: {found:?}");
    }
    assert_eq!(store.tombstones_evicted(), 0);
}

#[tokio::test]
async fn a_life_is_written_to_without_the_others() {
    let store = MemoryStore::new();
    let life = created(&store, 1, 1).await.incarnation;
    assert!(store.attach(&id(1), Incarnation::new(life.get() + 1)).is_none(), "another life");
    assert!(store.attach(&id(2), life).is_none());
    let writer = store.attach(&id(1), life).unwrap();
    writer.write(append(1, 2)).unwrap();
    assert_eq!(store.entries(&id(1), life, 0, 9).await.unwrap().len(), 1);
    // It needs the store for what concerns more than the life, and for nothing else.
    drop(store);
    writer.write(append(2, 3)).unwrap();
    assert!(matches!(writer.write(deleted(life)), Err(StoreError::Closed)));
}

// G6
#[tokio::test]
async fn what_came_right_behind_what_was_taken_back_makes_room_for_it() {
    let store = MemoryStore::new();
    let life = created(&store, 1, 1).await.incarnation;
    let write = |write| store.write(&id(1), life, write);
    write(append(1, 1)).await.unwrap();
    write(append(2, 2)).await.unwrap();
    let from = TakeBack { from: 2, version: 3, reason: RevisionReason::Rollback };
    write(Write::TakeBack { from, at: at(3) }).await.unwrap();
    let entries = vec![Bytes::from_static(b"y")];
    write(Write::Append { first_seq: 3, entries, version: 4, at: at(4) }).await.unwrap();
    let back = PutBack { revision: 3, from: 2, entries: 1, first_seq: 4, version: 5 };
    write(Write::PutBack { back, at: at(5) }).await.unwrap();
    let entries = store.entries(&id(1), life, 0, 9).await.unwrap();
    assert_eq!(entries.iter().map(|it| it.seq).collect::<Vec<_>>(), [1, 4]);
    let revisions = store.revisions(&id(1), life).await.unwrap();
    assert_eq!(revisions.iter().map(|it| it.entries[0].seq).collect::<Vec<_>>(), [3]);
}

// Those that were used since are put right a slice at a time, and nobody waits for all of them
#[tokio::test]
async fn a_look_for_what_is_due_stops_after_so_many() {
    let store = MemoryStore::new();
    let mut lives = Vec::new();
    let later = 10 << 20;
    for number in 0..1_100 {
        let life = created(&store, number, 1).await.incarnation;
        store.write(&id(number), life, append(1, later)).await.unwrap();
        lives.push(life);
    }
    let lanes = store.lanes().await.unwrap();
    let [lane] = &lanes[..] else { panic!("{lanes:?}") };
    let by = DueBy::Rested(Bucket::of(at(1)));
    let query = |after| DueQuery { lane: lane.clone(), by, after };
    let page = store.due(query(None), 10).await.unwrap();
    assert!(page.records.is_empty());
    assert_eq!(page.next, Some((Bucket::of(at(1)), lives[1_024])), "one more than that");
    let page = store.due(query(page.next), 10).await.unwrap();
    assert!(page.records.is_empty() && page.next.is_none());
}

// L6
#[tokio::test]
async fn an_index_that_leads_nowhere_is_named() {
    let key = SessionKey::builder("irc").chat("#rust").build().unwrap();
    let store = MemoryStore::new();
    let life = created(&store, 1, 1).await.incarnation;
    let binding = Binding { key: key.clone(), expected: None };
    store.bind(binding, Some((id(1), life))).await.unwrap();
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store.shared.lives.remove_if(&id(1), |_| true);
    let problems = store.check().await.unwrap();
    assert!(problems.len() == 1 && problems[0].contains("not there"), "{problems:?}");
    store.shared.index.lock().order.clear();
    let problems = store.check().await.unwrap();
    assert!(problems.len() == 1 && problems[0].starts_with("key "), "{problems:?}");
}

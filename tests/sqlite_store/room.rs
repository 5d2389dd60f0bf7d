//! No room left.

use session_supervisor::store::{SqliteOptions, SqliteStore, Store, StoreError};

use crate::{append, created, delete, live, new_record, open};

#[tokio::test]
async fn a_full_store_says_so_keeps_what_it_has_and_works_again_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut options = SqliteOptions::default();
    options.max_file_bytes = Some(1 << 20);
    let store = SqliteStore::open(&path, options).await.unwrap();
    let a = created(&store, new_record("a")).await;
    let b = created(&store, new_record("b")).await;
    let mut kept = 0;
    let refused = loop {
        let write = append(kept + 1, vec![b'x'; 10_000]);
        match store.write(&a.id, a.incarnation, write).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&refused, StoreError::Full { what } if what.contains('a')), "{refused:?}");
    assert!(kept > 50, "{kept}");
    // One that needs no room is not failed by those in its batch that do.
    let ahead = store.write(&b.id, b.incarnation, append(1, "s"));
    let large = store.write(&a.id, a.incarnation, append(kept + 1, vec![b'x'; 100_000]));
    let small = store.write(&b.id, b.incarnation, append(2, "s"));
    ahead.await.unwrap();
    assert!(matches!(large.await, Err(StoreError::Full { .. })));
    small.await.unwrap();
    assert_eq!(store.entries(&a.id, a.incarnation, 0, 1_000).await.unwrap().len() as u64, kept);
    assert_eq!(live(&store, "a").await.entries, kept);

    store.write(&a.id, a.incarnation, delete(a.incarnation)).await.unwrap();
    for seq in 3..40 {
        let write = append(seq, vec![b'y'; 10_000]);
        store.write(&b.id, b.incarnation, write).await.unwrap();
    }
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store.close().await.unwrap();
    assert_eq!(live(&open(&path).await, "b").await.entries, 39);
}

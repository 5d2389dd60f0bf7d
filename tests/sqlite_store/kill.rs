//! A process that is killed: its lock is free, and what it acknowledged is there.
//!
//! The child is this test binary, run again for one test that does nothing unless it is told to.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use session_supervisor::store::{SqliteOptions, SqliteStore, Store, StoreError};

use crate::{append, created, live, new_record, open};

/// Names the file for the child.
const CHILD: &str = "SQLITE_STORE_CHILD";

/// Starts the child.
fn spawn(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::the_child_that_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_that_writes_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = open(Path::new(&path)).await;
    let writer = |n| {
        let store = &store;
        async move {
            let record = created(store, new_record(&format!("s{n}"))).await;
            for seq in 1.. {
                let write = append(seq, vec![b'x'; 100]);
                store.write(&record.id, record.incarnation, write).await.unwrap();
                println!("\nACK {n} {seq}");
            }
        }
    };
    tokio::join!(writer(0), writer(1), writer(2), writer(3));
}

#[tokio::test]
async fn what_a_killed_process_acknowledged_is_there_and_its_lock_is_free() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5_usize {
        let path = folder.path().join(format!("{round}.db"));
        let mut child = spawn(&path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = [0_u64; 4];
        let mut note = |line: &str| {
            let mut words = line.split(' ');
            if words.next() == Some("ACK") {
                let session: usize = words.next().unwrap().parse().unwrap();
                acknowledged[session] = words.next().unwrap().parse().unwrap();
            }
            acknowledged.iter().all(|seq| *seq > 0)
        };
        while !note(&lines.next().unwrap().unwrap()) {}
        for _ in 0..round * 100 {
            note(&lines.next().unwrap().unwrap());
        }
        let taken = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap_err();
        let StoreError::Owned { holder, .. } = &taken else { panic!("{taken:?}") };
        assert!(holder.contains(&format!("process {}", child.id())), "{holder}");
        child.kill().unwrap();
        child.wait().unwrap();
        // A last line may be cut off.
        let rest: Vec<_> = lines.map_while(Result::ok).collect();
        for line in rest.iter().take(rest.len().saturating_sub(1)) {
            note(line);
        }

        let store = open(&path).await;
        for (n, acknowledged) in acknowledged.into_iter().enumerate() {
            let record = live(&store, &format!("s{n}")).await;
            assert!(record.entries >= acknowledged, "s{n}: {record:?}, {acknowledged} were told");
            let stored =
                store.entries(&record.id, record.incarnation, 0, usize::MAX).await.unwrap();
            assert!(stored.iter().map(|entry| entry.seq).eq(1..=record.entries), "s{n} has gaps");
        }
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    }
}

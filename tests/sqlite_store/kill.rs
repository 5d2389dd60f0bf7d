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

/// Names the file for the child whose files may not grow.
#[cfg(target_os = "linux")]
const LIMITED_CHILD: &str = "SQLITE_STORE_LIMITED_CHILD";

/// Sets the largest size of a file that this process may write.
#[cfg(target_os = "linux")]
fn limit_files(bytes: &str) {
    let process = std::process::id().to_string();
    let limit = format!("--fsize={bytes}:unlimited");
    let set = Command::new("prlimit").args(["--pid", &process, &limit]).status();
    assert!(set.unwrap().success());
}

/// The log cannot grow, so that writing it fails inside of `COMMIT`.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_child_whose_commits_fail() {
    let Ok(path) = std::env::var(LIMITED_CHILD) else { return };
    let store = open(Path::new(&path)).await;
    let a = created(&store, new_record("a")).await;
    let write = |seq| store.write(&a.id, a.incarnation, append(seq, vec![b'x'; 4_000]));
    for seq in 1..=50 {
        write(seq).await.unwrap();
    }
    limit_files("1000000");
    let mut kept = 50;
    let error = loop {
        match write(kept + 1).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::OutcomeUnknown { .. }), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
    // Whoever asks now is told that it did not happen, and nothing else is lost.
    assert_eq!(live(&store, "a").await.entries, kept);
    // All of a batch is told, and still the store is not stuck.
    let (first, second) = (write(kept + 1), write(kept + 2));
    assert!(first.await.is_err() && second.await.is_err());
    limit_files("unlimited");
    write(kept + 1).await.unwrap();
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    println!("\nKEPT {}", kept + 1);
    // Without a close: what is read next comes out of the log.
    std::process::abort();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_commit_that_fails_is_told_as_unknown_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    // Without the signal a write beyond the limit is an error, as from a failing disk.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "kill::the_child_whose_commits_fail", "--nocapture"])
        .env(LIMITED_CHILD, &path)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    let kept = told.lines().find_map(|line| line.strip_prefix("KEPT "));
    let kept: u64 = kept.unwrap_or_else(|| panic!("{child:?}")).parse().unwrap();
    let store = open(&path).await;
    assert_eq!(live(&store, "a").await.entries, kept);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

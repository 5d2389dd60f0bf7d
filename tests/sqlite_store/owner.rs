//! Who owns a file: one at a time, told to everybody else, and nobody once it is dead.
//!
//! The child is this test binary, run again for one test that does nothing unless it is told to.
#![allow(clippy::disallowed_types, reason = "what another process does takes the machine's time")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use session_supervisor::Supervisor;
use session_supervisor::store::{SqliteOptions, SqliteStore, Store, StoreError};

use crate::{created, live, new_record, open};

/// Names the file for the child.
const CHILD: &str = "SQLITE_STORE_OWNER";

/// Another process that is told when to try the file, and says what came of it.
struct Other {
    child: Child,
    says: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Other {
    /// Starts it. It has not touched the file.
    fn spawn(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "owner::the_child_that_opens_when_it_is_told_to", "--nocapture"])
            .env(CHILD, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut other = Self { child, says };
        other.hears("ready");
        other
    }

    /// Has it try the file; answers who it was told has it, if it has not got it.
    fn tries(&mut self) -> Option<String> {
        self.told("open");
        let said = self.line();
        (said != "has it").then(|| said.strip_prefix("owned by ").unwrap().to_owned())
    }

    fn told(&mut self, what: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{what}").unwrap();
    }

    fn hears(&mut self, what: &str) {
        assert_eq!(self.line(), what);
    }

    fn line(&mut self) -> String {
        loop {
            let line = self.says.next().unwrap().unwrap();
            if let Some(line) = line.strip_prefix("@ ") {
                return line.to_owned();
            }
        }
    }

    /// As `kill -9` does.
    fn killed(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn the_child_that_opens_when_it_is_told_to() {
    let Ok(path) = std::env::var(CHILD) else { return };
    println!("\n@ ready");
    let mut supervisor: Option<Supervisor> = None;
    for line in std::io::stdin().lines() {
        match &*line.unwrap() {
            "open" => match SqliteStore::open(&path, SqliteOptions::default()).await {
                Ok(store) => {
                    let started = Supervisor::builder().store(store).start().await.unwrap();
                    supervisor = Some(started);
                    println!("\n@ has it");
                }
                Err(StoreError::Owned { holder, .. }) => println!("\n@ owned by {holder}"),
                Err(error) => panic!("{error}"),
            },
            "end" => {
                let ends = supervisor.take().unwrap();
                assert!(ends.shutdown(Duration::from_secs(5)).await.unwrap().marked);
                println!("\n@ ended");
            }
            other => panic!("{other}"),
        }
    }
}

/// Opens, or answers who has it.
async fn tries(path: &Path) -> Result<SqliteStore, String> {
    match SqliteStore::open(path, SqliteOptions::default()).await {
        Ok(store) => Ok(store),
        Err(StoreError::Owned { holder, .. }) => Err(holder),
        Err(error) => panic!("{error:?}"),
    }
}

// G13, F3: both ways round.
#[tokio::test]
async fn of_two_processes_one_has_the_file_and_the_other_is_told_who() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut other = Other::spawn(&path);
    let store = open(&path).await;
    let before = other.tries().unwrap();
    assert!(before.starts_with(&format!("process {}, since 20", std::process::id())), "{before}");
    let supervisor: Supervisor = Supervisor::builder().store(store).start().await.unwrap();
    let holder = other.tries().unwrap();
    let expected =
        format!("process {}, instance {}, since 20", std::process::id(), supervisor.instance());
    assert!(holder.starts_with(&expected), "{holder}");
    supervisor.shutdown(Duration::from_secs(5)).await.unwrap();

    assert_eq!(other.tries(), None, "the file is given up by the shutdown");
    let holder = tries(&path).await.unwrap_err();
    assert!(holder.starts_with(&format!("process {}, instance ", other.child.id())), "{holder}");
    other.told("end");
    other.hears("ended");
    let store = tries(&path).await.unwrap();
    assert!(other.tries().is_some());
    store.close().await.unwrap();
    other.killed();
}

// G13: two starts at one instant, any number of times; never both, never neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_starts_at_the_same_time_exactly_one_has_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = folder.path().join(format!("{round}.db"));
        let mut others = [Other::spawn(&path), Other::spawn(&path)];
        // Each is told before the first answers; the third is a task of this process.
        for other in &mut others {
            other.told("open");
        }
        let here = tries(&path).await;
        let said: Vec<_> = others.iter_mut().map(Other::line).collect();
        let winners = said.iter().filter(|said| *said == "has it").count();
        assert_eq!(winners + usize::from(here.is_ok()), 1, "{said:?}, {here:?}");
        others.into_iter().for_each(Other::killed);
        if round >= 5 && winners == 1 {
            break;
        }
    }
}

// G13, G14, F26: killed, and there is no waiting for it.
#[tokio::test]
async fn the_file_of_a_killed_process_is_taken_over_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut other = Other::spawn(&path);
    assert_eq!(other.tries(), None);
    assert!(tries(&path).await.is_err());
    other.killed();
    let started = Instant::now();
    let store = tries(&path).await.unwrap();
    let supervisor: Supervisor = Supervisor::builder().store(store).start().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(supervisor.recovery().last_run.is_crash());
}

// G13, F26: the number of the dead owner has been given to another process since.
#[tokio::test]
async fn the_process_id_of_a_dead_owner_that_lives_again_blocks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut foreign = Other::spawn(&folder.path().join("of its own.db"));
    assert_eq!(foreign.tries(), None);
    let id = foreign.child.id();
    for names in [id, 1, std::process::id()] {
        let line = format!("process {names}, instance 0, since 2030-01-01T00:00:00.000Z\n");
        fs::write(folder.path().join("s.db.lock"), line).unwrap();
        let store = tries(&path).await.unwrap();
        store.close().await.unwrap();
    }
    // And one that is alive and has it is believed whatever the file says.
    let store = open(&path).await;
    fs::write(folder.path().join("s.db.lock"), "process 4194304, instance 0\n").unwrap();
    assert!(tries(&path).await.is_err());
    drop(store);
    foreign.killed();
}

// G14, F26: the same process, over and over.
#[tokio::test]
async fn a_restart_in_the_same_process_has_its_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    for round in 0..4 {
        let store = open(&path).await;
        created(&store, new_record(&format!("s{round}"))).await;
        if round % 2 == 0 {
            store.close().await.unwrap();
        } else {
            // What was handed over is done, so nothing is waited for.
            drop(store);
        }
        let started = Instant::now();
        let store = loop {
            match tries(&path).await {
                Ok(store) => break store,
                // The last handle may be a thread's that has answered and not returned.
                Err(_) if round % 2 == 1 => tokio::task::yield_now().await,
                Err(holder) => panic!("{holder} after a close"),
            }
        };
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        live(&store, &format!("s{round}")).await;
        store.close().await.unwrap();
    }
}

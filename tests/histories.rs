//! What a crowd of clients does at once could have been done one after another, on every store.
//!
//! A little of it in `cargo test`; more with
//!
//! ```sh
//! HISTORIES_OPERATIONS=20000000 cargo test --release --test histories -- --nocapture --test-threads 1
//! ```
//!
//! which is so many in all; each store gets its share, by what it costs. `HISTORIES_SEED` gives the deeds of a
//! run again; what runs beside what is the machine's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_types,
    reason = "a test"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use session_supervisor::testing::{Crowd, CrowdReport, FaultyStore};
use session_supervisor::{MemoryStore, SqliteOptions, SqliteStore, Store};

/// A number from the environment.
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Of how many operations: so many of a thousand that are asked for, or the few of an everyday run.
fn operations(of_a_thousand: u64, few: u64) -> u64 {
    given("HISTORIES_OPERATIONS").map_or(few, |all| all / 1_000 * of_a_thousand)
}

/// What has to have happened, or nothing is shown.
const ANSWERS: [&str; 17] = [
    "begun",
    "busy",
    "committed",
    "created",
    "deleted",
    "ended",
    "exists",
    "gone",
    "live",
    "not_running",
    "put",
    "rests",
    "stale_deleted",
    "stale_preempted",
    "stale_stopped",
    "told",
    "value",
];

/// What has to where the store takes its time: in memory it is seldom met.
const ANSWERS_MEANWHILE: [&str; 3] = ["cancelled_before_begun", "closing", "given_up"];

/// Lets a crowd loose on a store, once with chaos and once without.
fn crowds<S: Store>(name: &str, operations: u64, store: impl AsyncFn() -> S) {
    let seed = given("HISTORIES_SEED").unwrap_or(1);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.unwrap().block_on(async {
        let started = Instant::now();
        let (mut checked, mut illegal, mut untold, mut unloads) = (0, 0, 0, 0);
        for chaos in [true, false] {
            println!("{name}, chaos {chaos}: HISTORIES_SEED={seed}");
            let crowd = Crowd::new(seed).operations(operations / 2).chaos(chaos);
            let report: CrowdReport = crowd.run(store().await).await;
            checked += report.operations();
            illegal += report.illegal().len();
            untold += report.untold();
            unloads += report.unloaded();
            println!("{:?}", report.answers());
            report.assert();
            assert!(report.operations() >= operations / 2);
            let meanwhile = ANSWERS_MEANWHILE.iter().filter(|_| name != "memory");
            for answer in ANSWERS.iter().chain(meanwhile).filter(|_| chaos) {
                assert!(report.answers().contains_key(answer), "nobody was told {answer}");
            }
        }
        assert!(unloads > checked / 1_000, "too little has left memory: {unloads}");
        println!("checked_operations_{name} {checked} operations");
        println!("illegal_histories_{name} {illegal} histories");
        println!("untold_histories_{name} {untold} histories");
        println!("unloads_{name} {unloads} unloads");
        println!("took_{name} {} ms", started.elapsed().as_millis());
    });
}

// M4, A5, B1, B2, B3, C1, E4, E5
#[test]
fn what_a_crowd_does_in_memory_could_have_been_done_one_after_another() {
    crowds("memory", operations(800, 20_000), async || MemoryStore::new());
}

// M4, A5, B1, B2, B3, C1, E4, E5
#[test]
fn what_a_crowd_does_on_a_store_that_has_to_be_awaited_could_have_been_done_one_after_another() {
    crowds("awaited", operations(180, 10_000), async || {
        FaultyStore::pending(Arc::new(MemoryStore::new()))
    });
}

// M4, A5, B1, B2, B3, C1, E4, E5
#[test]
fn what_a_crowd_does_on_the_disk_could_have_been_done_one_after_another() {
    // Where there is a file system in memory, nobody waits for the disk, and more happens at once.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.unwrap();
    let files = std::cell::Cell::new(0);
    crowds("sqlite", operations(20, 6_000), async || {
        files.set(files.get() + 1);
        let file = folder.path().join(format!("{}.db", files.get()));
        SqliteStore::open(file, SqliteOptions::default()).await.unwrap()
    });
}

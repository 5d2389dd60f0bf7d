//! A start on a file with many sessions: how long it takes, what it loads, what that weighs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use session_supervisor::store::{Binding, NewRecord};
use session_supervisor::{SessionId, SqliteOptions, SqliteStore, Store, Timestamp};

use crate::measure::median;
use crate::report::{Report, Target};
use crate::world;

/// The argument with which this program measures one start and prints what it found.
pub(crate) const PROBE: &str = "--probe-start";

const STORED: usize = 100_000;
const ROUNDS: usize = 7;

/// Starts on a full file and on an empty one, each in a process of its own.
pub(crate) fn run(report: &mut Report) {
    let runtime = world::runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let (full, empty) = (folder.path().join("full.db"), folder.path().join("empty.db"));
    runtime.block_on(fill(&full, STORED));
    runtime.block_on(fill(&empty, 0));
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (path, found) in [&full, &empty].into_iter().zip(&mut found) {
            found.push(start_elsewhere(path));
        }
    }
    let of =
        |which: usize, what: fn(&Found) -> f64| median(found[which].iter().map(what).collect());
    let (took, took_empty) = (of(0, |it| it.took), of(1, |it| it.took));
    let name = format!("start/sqlite/stored={STORED}");
    let ratio = Some((took / took_empty, "a start on an empty file"));
    report.line(&name, (took, "ms"), ratio, None);
    report.line(&format!("{name} (seconds)"), (took / 1e3, "s"), None, Some(Target::AtMost(1.0)));
    report.line("- start/sqlite/stored=0", (took_empty, "ms"), None, None);
    let loaded = (of(0, |it| it.loaded), "loaded");
    report.line(&format!("{name} (loaded)"), loaded, None, Some(Target::AtMost(0.0)));
    let bytes = (of(0, |it| it.bytes) - of(1, |it| it.bytes)) / STORED as f64;
    let each = format!("{name} (memory each)");
    report.line(&each, (bytes, "B"), None, Some(Target::AtMost(100.0)));
}

/// What a start found.
struct Found {
    /// In milliseconds.
    took: f64,
    /// Resident bytes more than before.
    bytes: f64,
    loaded: f64,
}

/// Lets another process start on `path`, so that what this one has in memory does not matter.
fn start_elsewhere(path: &Path) -> Found {
    let program = std::env::current_exe().expect("it runs");
    let output = Command::new(program).arg(PROBE).arg(path).output().expect("it starts");
    let output = String::from_utf8(output.stdout).expect("it prints text");
    let mut numbers = output.split_whitespace().map(|it| it.parse().expect("a number"));
    let mut next = || numbers.next().expect("it prints three");
    Found { took: next(), bytes: next(), loaded: next() }
}

/// Starts, and prints what [`Found`] has.
pub(crate) fn probe(path: &Path) {
    let runtime = world::runtime();
    runtime.block_on(async {
        let (before, start) = (resident_bytes(), Instant::now());
        let supervisor = world::on_file(path).await;
        let took = start.elapsed().as_secs_f64() * 1e3;
        let bytes = resident_bytes() - before;
        println!("{took} {bytes} {}", supervisor.counts().loaded);
    });
}

/// How much memory this process has resident; zero where it cannot be told.
pub(crate) fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")).unwrap_or("0");
    kilobytes.trim().parse::<f64>().map_or(0.0, |kilobytes| kilobytes * 1024.0)
}

/// A file with `count` sessions of two entries.
async fn fill(path: &Path, count: usize) {
    let store = SqliteStore::open(path, SqliteOptions::default()).await.expect("it opens");
    let store = Arc::new(store);
    let said = world::Said::long();
    let entries: Vec<bytes::Bytes> = vec![said.input_bytes().into(), said.reply_bytes().into()];
    let numbers: Vec<_> = (0..count).collect();
    for some in numbers.chunks(1_024) {
        let create = |&number: &usize| {
            store.create(NewRecord {
                binding: Some(Binding { key: world::key(number), expected: None }),
                entries: entries.clone(),
                ..NewRecord::new(
                    SessionId::from_random(0x5EED << 64 | number as u128),
                    Timestamp::from_millis(1_790_000_000_000),
                )
            })
        };
        let handed_over: Vec<_> = some.iter().map(create).collect();
        for created in handed_over {
            drop(created.await.expect("the store does not fail"));
        }
    }
    store.close().await.expect("it closes");
}

//! A start on a file with many sessions, each in a new process.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use super::elsewhere;
use crate::measure::{Sample, Side, interleave};
use crate::memory::allocated;
use crate::report::{Report, Shown};
use crate::stored::{fill, quiet, raw};
use crate::world;

/// What a gateway does that keeps its sessions in a map.
const ALL: &str = "all rows into a map";

/// The library, and a map of every row.
pub(crate) fn run(report: &mut Report) {
    let sizes: &[usize] = report.scale.pick(&[100_000, 1_000_000], &[10_000]);
    for &stored in sizes {
        report.progress(&format!("a file of {stored} sessions"));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("start.db");
        world::runtime().block_on(fill(&path, stored, 2));
        let path = path.to_str().expect("a path of text");
        let (mut ours, mut all) = (Vec::new(), Vec::new());
        let sides = vec![
            Side::new(crate::figure::OURS, || started("ours", path, stored, &mut ours)),
            Side::new(ALL, || started("map", path, stored, &mut all)),
        ];
        let series = interleave(report.scale.rounds(7), sides);
        let work = format!("start/sqlite/stored={stored}");
        report.work(&work, Shown::Times, &series);
        let memory = [(crate::figure::OURS, ours), (ALL, all)].map(|(name, bytes)| {
            let each = |bytes: f64| Sample { wall: bytes / stored as f64, cpu: f64::NAN };
            crate::measure::Series::of(name, bytes.into_iter().map(each).collect())
        });
        report.work(&work, Shown::Value("memory", "B"), &memory);
    }
}

/// A start in another process; what it has allocated is put to `bytes`.
fn started(who: &str, path: &str, stored: usize, bytes: &mut Vec<f64>) -> Sample {
    let found = elsewhere(&["start", who, path]);
    let [took, memory, loaded] = found.as_slice() else { panic!("{found:?}: three numbers") };
    let due = if who == "ours" { 0.0 } else { stored as f64 };
    assert!((loaded - due).abs() < 0.5, "{who} has loaded {loaded}");
    bytes.push(*memory);
    Sample { wall: *took, cpu: *took }
}

/// Starts, and prints how long it took in nanoseconds, what it has allocated and how many it has loaded.
pub(crate) fn probe(who: &str, path: &Path) {
    let runtime = world::runtime();
    let before = allocated();
    let start = Instant::now();
    let (loaded, kept): (usize, Box<dyn std::any::Any>) = match who {
        "ours" => {
            let supervisor = runtime.block_on(quiet(path));
            (supervisor.loaded(), Box::new(supervisor))
        }
        _ => {
            let rows = rows(path);
            (rows.len(), Box::new(rows))
        }
    };
    let took = start.elapsed().as_nanos();
    println!("{took} {} {loaded}", allocated() - before);
    drop(kept);
}

/// Everything about every session but what was said.
fn rows(path: &Path) -> HashMap<String, (String, [i64; 6])> {
    let raw = raw(path);
    let mut select = raw
        .prepare(
            "SELECT id, key, created_at, active_at, generation, version, next_seq, entries \
             FROM sessions",
        )
        .expect("it is right");
    let rows = select.query_map([], |row| {
        let mut numbers = [0; 6];
        for (place, number) in numbers.iter_mut().enumerate() {
            *number = row.get(place + 2)?;
        }
        Ok((row.get(1)?, (row.get(0)?, numbers)))
    });
    rows.expect("it is right").collect::<rusqlite::Result<_>>().expect("it can be read")
}

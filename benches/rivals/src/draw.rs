//! What a run has written, as tables and plots.

mod bars;
mod lines;
mod page;
mod replay;
mod svg;
pub(crate) mod table;

use std::path::Path;

use crate::figure::{Figure, Findings};

/// Where this crate is.
const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Draws every plot into `plots/`, and puts the tables into `BENCHMARKS.md`; that of the replay, if what it printed
/// is in `replay`.
pub(crate) fn all(file: &Path, replay: Option<&Path>) {
    let text = std::fs::read_to_string(file).expect("the file can be read");
    let findings: Findings = serde_json::from_str(&text).expect("a run has written it");
    let here = Path::new(HERE);
    let plots = here.join("plots");
    std::fs::create_dir_all(&plots).expect("the folder can be made");
    for (group, title) in BARS {
        let figures: Vec<_> = of(&findings, group).filter(|it| shown(it, group)).collect();
        save(&plots, group, bars::draw(title, &figures));
    }
    for (name, of, title) in LINES {
        let figures: Vec<_> = findings.figures.iter().filter(|it| on_curve(it, of)).collect();
        save(&plots, name, lines::draw(title, of, &figures));
    }
    let replay = replay.map(|it| std::fs::read_to_string(it).expect("the file can be read"));
    page::update(&here.join("../../BENCHMARKS.md"), &findings, replay.as_deref());
}

/// Groups that are drawn as bars.
const BARS: [(&str, &str); 9] = [
    ("create", "Creating a session: processor time"),
    ("look_up", "Finding a session that is known: processor time"),
    ("turns", "Begin and commit in memory: processor time a turn"),
    ("cores", "Begin and commit in memory: turns a second"),
    ("race", "Eight who open one key at once: processor time a key"),
    ("delete", "Deleting a session: processor time"),
    ("memory", "An idle session: bytes"),
    ("stuck", "10,000 busy sessions: p99 of a turn"),
    ("durable", "Begin and commit on SQLite, synced: turns a second"),
];

/// What grows, and how it is drawn.
const LINES: [(&str, &str, &str); 2] = [
    ("growth-sessions", "sessions", "An operation, with more sessions"),
    ("growth-entries", "entries", "An operation, in a longer conversation"),
];

fn of<'a>(findings: &'a Findings, group: &'a str) -> impl Iterator<Item = &'a Figure> {
    findings.figures.iter().filter(move |it| it.group == group)
}

/// One metric a group: processor time where there is one.
fn shown(figure: &Figure, group: &str) -> bool {
    match group {
        "memory" => figure.metric == "memory",
        "cores" | "durable" => figure.metric == "rate",
        "stuck" => figure.metric == "p99",
        _ => figure.metric == "cpu",
    }
}

fn on_curve(figure: &Figure, of: &str) -> bool {
    let on_it = figure.at.as_ref().is_some_and(|at| at.of == of);
    on_it && matches!(figure.metric.as_str(), "wall" | "memory")
}

fn save(folder: &Path, name: &str, drawing: Option<String>) {
    // A run of some groups says nothing of the others, and leaves their plots as they are.
    if let Some(drawing) = drawing {
        let path = folder.join(format!("{name}.svg"));
        std::fs::write(path, drawing).expect("the file can be written");
    }
}

/// A value in a unit that reads well.
pub(crate) fn readable(value: f64, unit: &str) -> String {
    let (value, unit) = match unit {
        "ns" if value >= 1e9 => (value / 1e9, "s"),
        "ns" if value >= 1e6 => (value / 1e6, "ms"),
        "ns" if value >= 1e3 => (value / 1e3, "µs"),
        "B" if value >= 1e4 => (value / 1e3, "kB"),
        "/s" if value >= 1e6 => (value / 1e6, "million/s"),
        "/s" if value >= 1e4 => (value / 1e3, "thousand/s"),
        "times" => (value, "×"),
        _ => (value, unit),
    };
    format!("{} {unit}", crate::report::short(value))
}

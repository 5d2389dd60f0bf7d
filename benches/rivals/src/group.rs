//! What is measured, a group a file, in the order in which it is.

mod cores;
mod create;
mod crowd;
mod delete;
mod durable;
mod growth;
mod long;
mod look_up;
mod page;
mod race;
mod start;
mod stuck;
mod sweep;
mod turns;
mod weight;

use crate::report::Report;

/// The argument with which the program measures one thing in a process of its own.
pub(crate) const PROBE: &str = "--probe";

/// Measures a group.
pub(crate) type Group = fn(&mut Report);

/// Every group.
pub(crate) const ALL: [(&str, Group); 13] = [
    ("create", create::run),
    ("look_up", look_up::run),
    ("turns", turns::run),
    ("cores", cores::run),
    ("race", race::run),
    ("delete", delete::run),
    ("memory", weight::run),
    ("sweep", sweep::run),
    ("stuck", stuck::run),
    ("durable", durable::run),
    ("start", start::run),
    ("page", page::run),
    ("growth", growth::run),
];

/// Measures what the words after [`PROBE`] ask for, and prints it.
pub(crate) fn probe(words: &[String]) {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["memory", who, count] => weight::probe(who, count.parse().expect("a number")),
        ["start", who, path] => start::probe(who, path.as_ref()),
        _ => panic!("{words:?}: not one of the program's own questions"),
    }
}

/// Runs this program with such a question, and answers with the numbers that it prints.
fn elsewhere(words: &[&str]) -> Vec<f64> {
    let program = std::env::current_exe().expect("it runs");
    let mut command = std::process::Command::new(program);
    let output = command.arg(PROBE).args(words).output().expect("it starts");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout).expect("it prints text");
    output.split_whitespace().map(|it| it.parse().expect("a number")).collect()
}

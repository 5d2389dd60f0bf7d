//! All mutants of the library in one program, and whether its tests notice each.
//!
//! `mutants-proof ROOT TREE [FILTER]`: the library, where its copy goes, and what the names of the mutants have to
//! contain. Prints a line a figure, `name value unit`, and each mutant that nothing notices; ends with 1 if one of
//! those is not argued in `README.md`.

mod argued;
mod hunt;
mod mutant;
mod program;
mod weave;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use argued::Argued;
use hunt::{Outcome, Suite, side_by_side};
use mutant::Mutant;
use program::Program;

/// The test programs that are asked, one after the other, until one notices.
const PROGRAMS: &str = "lib sqlite_store behaviour store_conformance";

fn main() -> ExitCode {
    let told: Vec<_> = std::env::args().skip(1).collect();
    let [root, tree, filter @ ..] = &told[..] else {
        eprintln!("usage: mutants-proof ROOT TREE [FILTER]");
        return ExitCode::from(2);
    };
    let (root, filter) = (Path::new(root), filter.first().map_or("", String::as_str));
    let argued = Argued::read(&root.join("proof/mutants/README.md"));
    let all = mutant::list(root);
    let mut chosen: Vec<_> = all.iter().filter(|it| it.told().contains(filter)).collect();
    if std::env::var_os("MUTANTS_LEFT").is_some() {
        let left = fs::read_to_string(Path::new(tree).with_file_name("left")).unwrap_or_default();
        chosen.retain(|it| left.lines().any(|line| is_same(line, it)));
    }
    let start = Instant::now();
    let program = Program::weave(root, PathBuf::from(tree), &chosen);
    eprintln!("woven in {} s", start.elapsed().as_secs());
    let viable = chosen.iter().filter(|it| !program.unviable.contains(&it.id));
    let outcomes = hunt(&program, &viable.copied().collect::<Vec<_>>());
    let stale = argued.iter().filter(|row| !all.iter().any(|it| row.is(it)));
    let stale: Vec<_> = stale.map(Argued::told).collect();
    let good = tell(&chosen, &program, &outcomes, &argued);
    for row in &stale {
        println!("argued, but there is no such mutant: {row}");
    }
    if good && stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Asks all tests about all mutants: each program about those that the ones before it have not noticed, and what is
/// slow at the very end.
fn hunt(program: &Program, mutants: &[&Mutant]) -> BTreeMap<u32, Outcome> {
    let setting = |name, usual: String| std::env::var(name).unwrap_or(usual);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = setting("MUTANTS_WORKERS", workers.to_string()).parse().expect("a number");
    let mut outcomes: BTreeMap<_, _> =
        mutants.iter().map(|it| (it.id, Outcome::NotReached)).collect();
    let mut ask = |suite: &Suite, slow: bool| {
        let start = Instant::now();
        let is_left = |it: &Outcome| !matches!(it, Outcome::Noticed(_));
        let left: Vec<_> = outcomes.iter().filter(|(_, it)| is_left(it)).map(|it| *it.0).collect();
        let answers = side_by_side(workers, &left, |id| suite.ask(*id, slow));
        for (id, answer) in left.into_iter().zip(answers) {
            if answer != Outcome::NotReached {
                outcomes.insert(id, answer);
            }
        }
        let left: Vec<_> = mutants.iter().filter(|it| is_left(&outcomes[&it.id])).collect();
        let told: String = left.iter().map(|it| it.told() + "\n").collect();
        fs::write(program.tree().with_file_name("left"), told).expect("room for it");
        eprintln!("{} mutants left, asked in {} s", left.len(), start.elapsed().as_secs());
        left.len()
    };
    let mut suites = Vec::new();
    for name in setting("MUTANTS_PROGRAMS", PROGRAMS.to_owned()).split_whitespace() {
        let start = Instant::now();
        let suite = Suite::explore(program.build(name), program.tree(), workers);
        let took = start.elapsed().as_secs();
        eprintln!("{name}: {} tests, built and explored in {took} s", suite.len());
        if ask(&suite, false) == 0 {
            return outcomes;
        }
        suites.push(suite);
    }
    for suite in &suites {
        ask(suite, true);
    }
    outcomes
}

/// Whether the line of an earlier run is about the mutant, which may have moved since.
fn is_same(line: &str, mutant: &Mutant) -> bool {
    line.starts_with(&format!("{}:", mutant.file)) && line.ends_with(&format!(": {}", mutant.what))
}

/// Prints the figures and what nothing has noticed; whether all of that is argued.
fn tell(
    chosen: &[&Mutant],
    program: &Program,
    outcomes: &BTreeMap<u32, Outcome>,
    argued: &[Argued],
) -> bool {
    let (mut noticed, mut not_noticed, mut not_reached, mut open) = (0, 0, 0, 0);
    let mut log = String::new();
    for mutant in chosen {
        let is_argued = argued.iter().any(|row| row.is(mutant));
        let Some(outcome) = outcomes.get(&mutant.id) else {
            let _ = writeln!(log, "{} {}: does not compile", mutant.id, mutant.told());
            continue;
        };
        let count = match outcome {
            Outcome::Noticed(by) => {
                let _ = writeln!(log, "{} {}: noticed by {by}", mutant.id, mutant.told());
                if is_argued {
                    println!("argued, but noticed by {by}: {}", mutant.told());
                }
                noticed += 1;
                continue;
            }
            Outcome::NotNoticed => &mut not_noticed,
            Outcome::NotReached => &mut not_reached,
        };
        *count += 1;
        let _ = writeln!(log, "{} {}: {outcome:?}", mutant.id, mutant.told());
        if !is_argued {
            open += 1;
            let reached =
                if *outcome == Outcome::NotReached { " (no test reaches it)" } else { "" };
            println!("{}{reached}", mutant.told());
        }
    }
    fs::write(program.tree().with_file_name("outcomes"), log).expect("room for it");
    println!("mutants_noticed {noticed} mutants");
    println!("mutants_not_noticed {not_noticed} mutants");
    println!("mutants_not_reached {not_reached} mutants");
    println!("mutants_unviable {} mutants", program.unviable.len());
    println!("mutants_argued {} mutants", not_noticed + not_reached - open);
    println!("mutants_open {open} mutants");
    // A method that finds nothing any more looks just like one that has nothing to find.
    open == 0 && noticed > 0
}

//! What the program is asked to do.

use std::path::PathBuf;

use crate::group;
use crate::scale::Scale;

/// What to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Measure groups, print and write what was found.
    Measure,
    /// Draw and tabulate what an earlier run has written, and what the replay has printed.
    Draw(PathBuf, Option<PathBuf>),
    /// Measure one thing in a process of its own; for the program itself.
    Probe(Vec<String>),
}

/// The command line.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) task: Task,
    pub(crate) scale: Scale,
    /// Where to write every figure with its rounds.
    pub(crate) json: Option<PathBuf>,
    /// Whether to end well although a figure falls short.
    pub(crate) no_fail: bool,
    /// Which groups to measure; none means all.
    pub(crate) groups: Vec<String>,
}

impl Arguments {
    /// Reads the words after the program's name.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = words.peekable();
        let mut found = Self {
            task: Task::Measure,
            scale: Scale::Full,
            json: None,
            no_fail: false,
            groups: Vec::new(),
        };
        match words.peek().map(String::as_str) {
            Some("draw") => {
                let file = words.nth(1).ok_or("draw: which file?")?;
                found.task = Task::Draw(file.into(), words.next().map(PathBuf::from));
                return Ok(found);
            }
            Some(group::PROBE) => {
                found.task = Task::Probe(words.skip(1).collect());
                return Ok(found);
            }
            _ => {}
        }
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => found.scale = Scale::Quick,
                "--no-fail" => found.no_fail = true,
                "--json" => found.json = Some(words.next().ok_or("--json: which file?")?.into()),
                group if group::ALL.iter().any(|(name, _)| *name == group) => {
                    found.groups.push(word);
                }
                _ => return Err(usage(&word)),
            }
        }
        Ok(found)
    }
}

fn usage(word: &str) -> String {
    let groups: Vec<_> = group::ALL.iter().map(|(name, _)| *name).collect();
    format!(
        "{word}: unknown\nusage: [--quick] [--json FILE] [--no-fail] [GROUP…] | draw FILE [REPLAY]\ngroups: {}",
        groups.join(" ")
    )
}

//! The mutants that nobody can notice: the table of `README.md`.

use std::fs;
use std::path::Path;

use crate::mutant::Mutant;

/// A row: a change after which the program does the same, and why.
#[derive(Debug)]
pub(crate) struct Argued {
    file: String,
    what: String,
}

impl Argued {
    /// The rows of the table in `page` whose first cell names a source and whose last one is not empty.
    pub(crate) fn read(page: &Path) -> Vec<Self> {
        let text = fs::read_to_string(page).expect("the page of the mutants");
        let rows = text.lines().filter(|line| line.starts_with("| `src/"));
        rows.map(|row| {
            // A bar within a cell is written `\|`.
            let row = row.replace("\\|", "\0");
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [file, what, why] = cells[..] else { panic!("not three cells: {row}") };
            assert!(!why.is_empty(), "not argued: {row}");
            let bare = |cell: &str| cell.trim_matches('`').replace('\0', "|");
            Self { file: bare(file), what: bare(what) }
        })
        .collect()
    }

    /// Whether the row is about that mutant.
    pub(crate) fn is(&self, mutant: &Mutant) -> bool {
        self.file == mutant.file && self.what == mutant.what
    }

    /// As it is told.
    pub(crate) fn told(&self) -> String {
        format!("{}: {}", self.file, self.what)
    }
}

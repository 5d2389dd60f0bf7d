//! What `cargo mutants` would break, as it tells it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What kind of change it is, and so how it is woven in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Genre {
    /// A function answers at once, with something else.
    FnValue,
    /// One operator instead of another.
    BinaryOperator,
    /// A `!` or `-` is gone.
    UnaryOperator,
    /// A guard is always true, or never.
    MatchArmGuard,
    /// An arm is gone; another one takes what it took.
    MatchArm,
    /// A field is gone, and comes from the base of the struct expression.
    StructField,
}

/// A place in a file: line and column, from 1.
pub(crate) type Position = (usize, usize);

/// One change to one place.
#[derive(Debug)]
pub(crate) struct Mutant {
    /// Its number in the woven program, from 1.
    pub(crate) id: u32,
    /// Below the root of the library.
    pub(crate) file: String,
    /// What becomes what, in which function. Where a file has the same twice, the second says ` (2)`: stays true when
    /// lines move, and so is what the table of the argued ones calls it.
    pub(crate) what: String,
    pub(crate) genre: Genre,
    pub(crate) from: Position,
    pub(crate) to: Position,
    /// What stands there instead.
    pub(crate) replacement: String,
}

impl Mutant {
    /// As compilers say it: the place, then the change.
    pub(crate) fn told(&self) -> String {
        format!("{}:{}:{}: {}", self.file, self.from.0, self.from.1, self.what)
    }
}

/// All mutants of the library at `root`, in the order of the files. `.cargo/mutants.toml` says of which files.
pub(crate) fn list(root: &Path) -> Vec<Mutant> {
    let told = Command::new("cargo")
        .args(["mutants", "--list", "--json"])
        .current_dir(root)
        .output()
        .expect("cargo can be started");
    assert!(told.status.success(), "cargo mutants: {}", String::from_utf8_lossy(&told.stderr));
    let told: Vec<Value> = serde_json::from_slice(&told.stdout).expect("a list of mutants");
    let mut seen = HashMap::new();
    let mut mutants: Vec<_> = told.iter().map(parse).collect();
    for (at, mutant) in mutants.iter_mut().enumerate() {
        mutant.id = u32::try_from(at + 1).expect("fewer than four billion");
        let times: &mut u32 = seen.entry((mutant.file.clone(), mutant.what.clone())).or_default();
        *times += 1;
        if *times > 1 {
            let _ = write!(mutant.what, " ({times})");
        }
    }
    mutants
}

fn parse(told: &Value) -> Mutant {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let place = |value: &Value| {
        let number = |value: &Value| value.as_u64().and_then(|it| it.try_into().ok());
        (number(&value["line"]).expect("a line"), number(&value["column"]).expect("a column"))
    };
    let (name, span) = (text(&told["name"]), &told["span"]);
    Mutant {
        id: 0,
        file: text(&told["file"]),
        what: name.splitn(4, ':').last().expect("at least itself").trim().to_owned(),
        genre: match told["genre"].as_str() {
            Some("FnValue") => Genre::FnValue,
            Some("BinaryOperator") => Genre::BinaryOperator,
            Some("UnaryOperator") => Genre::UnaryOperator,
            Some("MatchArmGuard") => Genre::MatchArmGuard,
            Some("MatchArm") => Genre::MatchArm,
            Some("StructField") => Genre::StructField,
            other => panic!("a kind of mutant that cannot be woven in: {other:?}"),
        },
        from: place(&span["start"]),
        to: place(&span["end"]),
        replacement: text(&told["replacement"]),
    }
}

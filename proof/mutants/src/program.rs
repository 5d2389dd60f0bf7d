//! The woven copy of the library, and its test programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::mutant::Mutant;
use crate::weave::{Woven, weave};

/// What asks which mutant is on.
const SWITCH: &str = include_str!("../switch.rs");

/// A copy of the library with all mutants in it that compile.
#[derive(Debug)]
pub(crate) struct Program {
    /// Where the copy is.
    tree: PathBuf,
    /// Those that do not compile, or that no choice can be made of.
    pub(crate) unviable: BTreeSet<u32>,
}

impl Program {
    /// Copies the library at `root` to `tree`, and weaves in what compiles.
    pub(crate) fn weave(root: &Path, tree: PathBuf, mutants: &[&Mutant]) -> Self {
        copy(root, &tree);
        let mut this = Self { tree, unviable: BTreeSet::new() };
        let mut files: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
        for mutant in mutants {
            files.entry(&mutant.file).or_default().push(mutant);
        }
        let mut changed: Vec<_> = files.keys().copied().collect();
        let mut woven = BTreeMap::new();
        while !changed.is_empty() {
            for file in changed {
                let viable = files[file].iter().filter(|it| !this.unviable.contains(&it.id));
                let viable: Vec<_> = viable.copied().collect();
                let text = fs::read_to_string(root.join(file)).expect("a source");
                let new = weave(&text, &viable);
                fs::write(this.tree.join(file), &new.text).expect("room for a copy");
                let there: BTreeSet<_> = new.variants.iter().map(|(_, id)| *id).collect();
                this.unviable
                    .extend(viable.iter().map(|it| it.id).filter(|id| !there.contains(id)));
                woven.insert(file, new);
            }
            let wrong = this.wrong(&woven);
            changed = files.keys().copied().collect();
            changed.retain(|file| files[file].iter().any(|it| wrong.contains(&it.id)));
            this.unviable.extend(wrong);
        }
        this
    }

    /// The mutants for which the copy does not compile. Not always all of them: some errors hide others.
    fn wrong(&self, woven: &BTreeMap<&str, Woven>) -> BTreeSet<u32> {
        let (good, told) = self.cargo(&["check", "--lib", "--features", "testing"]);
        let errors: Vec<_> = told
            .iter()
            .filter(|it| it["reason"] == "compiler-message" && it["message"]["level"] == "error")
            .map(|it| &it["message"])
            .collect();
        let named = |find: &dyn Fn(&Woven, usize, bool) -> Vec<u32>| -> BTreeSet<u32> {
            let spans = errors.iter().flat_map(|it| it["spans"].as_array().into_iter().flatten());
            spans
                .filter_map(|span| {
                    let file = woven.get(span["file_name"].as_str()?)?;
                    let at = usize::try_from(span["byte_start"].as_u64()?).ok()?;
                    Some(find(file, at, span["is_primary"] == true))
                })
                .flatten()
                .collect()
        };
        let within = |file: &Woven, at| {
            let variants = file.variants.iter().filter(|(range, _)| range.contains(&at));
            variants.map(|(_, id)| *id).collect()
        };
        // What is wrong stands in a mutant, or is said of one, or else is the choice itself.
        let mut wrong = named(&|file, at, primary| if primary { within(file, at) } else { vec![] });
        if wrong.is_empty() {
            wrong = named(&|file, at, _| within(file, at));
        }
        if wrong.is_empty() {
            wrong = named(&|file, at, _| {
                let around = file.choices.iter().filter(|(range, _)| range.contains(&at));
                let nearest = around.min_by_key(|(range, _)| range.len());
                nearest.map(|(_, ids)| ids.clone()).unwrap_or_default()
            });
        }
        let text: String = errors.iter().filter_map(|it| it["rendered"].as_str()).collect();
        assert!(good || !wrong.is_empty(), "does not compile, and not for a mutant:\n{text}");
        if good { BTreeSet::new() } else { wrong }
    }

    /// Builds a test program of the copy, and says where it is.
    pub(crate) fn build(&self, name: &str) -> PathBuf {
        let which = if name == "lib" { vec!["--lib"] } else { vec!["--test", name] };
        let (good, told) = self.cargo(&[&["test", "--no-run"], &which[..]].concat());
        let texts = told.iter().filter_map(|it| it["message"]["rendered"].as_str());
        assert!(good, "{name} does not compile:\n{}", texts.collect::<String>());
        let program = told.iter().rev().find_map(|it| it["executable"].as_str());
        program.expect("cargo says what it has built").into()
    }

    /// Where the tests of the copy run.
    pub(crate) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Runs cargo in the copy; whether it ended well, and its messages.
    fn cargo(&self, arguments: &[&str]) -> (bool, Vec<Value>) {
        let told = Command::new("cargo")
            .args(arguments)
            .args(["--message-format=json", "--quiet"])
            .current_dir(&self.tree)
            // What a mutant leaves behind is no worse for being unused; and to ask in a `const fn` which one is on
            // takes a feature that no stable compiler has.
            .env("RUSTFLAGS", "--cap-lints allow")
            .env("RUSTC_BOOTSTRAP", "session_supervisor")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .output()
            .expect("cargo can be started");
        let lines = told.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let told_all = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        (told.status.success(), told_all)
    }
}

/// Copies what tests need, with another version, so that what is built of it is not taken for the library's own:
/// cargo names both alike where they share a folder, and would link this one wherever its sources have not changed.
fn copy(root: &Path, tree: &Path) {
    let _ = fs::remove_dir_all(tree);
    fs::create_dir_all(tree).expect("room for a copy");
    let parts = ["Cargo.toml", "Cargo.lock", "README.md", "src", "tests", "examples", "benches"];
    let copied = Command::new("cp").arg("-a").args(parts).arg(tree).current_dir(root).status();
    assert!(copied.is_ok_and(|it| it.success()), "the library cannot be copied");
    let change = |file: &str, change: &dyn Fn(String) -> String| {
        let file = tree.join(file);
        let text = fs::read_to_string(&file).expect("it was copied");
        fs::write(file, change(text)).expect("room for it");
    };
    change("Cargo.toml", &|text| {
        let version = text.lines().find(|line| line.starts_with("version = ")).expect("a version");
        text.replacen(version, "version = \"0.0.0-mutants\"", 1)
    });
    change("src/lib.rs", &|text| {
        let allowed =
            "#![feature(core_intrinsics, const_eval_select)]\n#![allow(internal_features)]";
        format!("{allowed}\n{text}\nmod mutants_switch;\nuse mutants_switch::mutated;\n")
    });
    fs::write(tree.join("src/mutants_switch.rs"), SWITCH).expect("room for it");
}

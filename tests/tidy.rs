//! The rules of the house that no compiler checks.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helper")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file below `folder`.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing to look at in `{folder}`");
    found
}

/// The lines before the file's own tests, with their numbers, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    lines.enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| {
        let line = line.trim_start();
        !line.starts_with("//")
    })
}

/// Whether the file is a module of tests.
fn is_tests(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

/// Fails with every line that `wrong` finds.
fn forbid(what: &str, wrong: impl Fn(&Path, &str) -> bool) {
    let mut found = Vec::new();
    for (path, text) in sources("src").iter().filter(|(path, _)| !is_tests(path)) {
        for (at, line) in code(text).filter(|(_, line)| wrong(path, line)) {
            found.push(format!("{}:{at}: {}", path.display(), line.trim()));
        }
    }
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn tasks_locks_channels_timers_and_random_numbers_come_from_the_seam() {
    // What would be invisible to a scheduler that explores interleavings.
    let forbidden = [
        "std::sync::",
        "std::thread",
        "std::time::Instant",
        "SystemTime",
        "parking_lot",
        "tokio::",
        "tokio_util",
        "rand::",
        "RandomState",
        "dashmap",
    ];
    forbid("not through `rt`", |path, line| {
        // A program on top of the library has sockets and signals, which no scheduler explores.
        let program = path.components().any(|part| part.as_os_str() == "bin");
        let allowed = program || path.ends_with("src/rt.rs") || line.contains("tokio::select!");
        !allowed && forbidden.iter().any(|word| has_word(line, word))
    });
}

/// Whether `word` is in `line` and does not go on to the left, as `rand::` does in `Errand::`.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|before| !before.is_alphanumeric() && before != '_')
    })
}

#[test]
fn time_is_read_through_the_clock_that_the_builder_was_given() {
    forbid("not through `Clock`", |path, line| {
        let reads = ["wall_clock()", "Instant::now"].iter().any(|word| line.contains(word));
        let clocks = ["src/clock.rs", "src/testing/clock.rs", "src/rt.rs"];
        reads && !clocks.iter().any(|it| path.ends_with(it))
    });
}

#[test]
fn no_actor_is_called_and_waited_for() {
    let calls = [".call(", "call!(", "call_t!(", "rpc::"];
    forbid("a call to an actor can hang for ever", |path, line| {
        // Histories have calls as well; no actor is named there.
        let histories = path.components().any(|part| part.as_os_str() == "testing");
        !histories && calls.iter().any(|call| line.contains(call))
    });
}

#[test]
fn the_actor_library_stays_inside() {
    let inside = ["slot/actor.rs", "slot/house.rs", "supervisor/actor.rs", "supervisor/shared.rs"];
    let builder = "supervisor/builder.rs";
    forbid("ractor outside of the actors", |path, line| {
        line.contains("ractor") && !inside.iter().chain([&builder]).any(|it| path.ends_with(it))
    });
}

#[test]
fn files_are_short_and_open_with_what_they_are() {
    for (path, text) in sources("src") {
        assert!(text.starts_with("//!"), "{} does not say what it is", path.display());
        let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
        let most = 430;
        assert!(lines <= most, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_public_async_function_says_what_dropping_it_does() {
    for (path, text) in sources("src") {
        let mut documented = false;
        for (at, line) in text.lines().map(str::trim_start).enumerate() {
            documented |= line.starts_with("/// # Cancel safety");
            if line.starts_with("pub async fn ") {
                assert!(documented, "{}:{}: no `# Cancel safety`", path.display(), at + 1);
            }
            let part_of_it = line.starts_with("///") || line.starts_with("#[");
            documented &= part_of_it || line.is_empty();
        }
    }
}

#[test]
fn nothing_is_left_to_be_done_later_without_a_number() {
    forbid("a mark without an issue", |_, line| line.contains("TODO") || line.contains("FIXME"));
}

#[test]
fn every_requirement_named_in_the_list_of_tests_is_named_in_a_test() {
    let list = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/README.md"));
    let all: Vec<_> = sources("tests").into_iter().chain(sources("src")).collect();
    for row in list.unwrap().lines().filter(|line| line.starts_with("| ")) {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (id, tests) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        if !id.chars().next_back().is_some_and(|last| last.is_ascii_digit()) {
            continue; // a row of another table
        }
        for name in tests.split('`').skip(1).step_by(2).filter(|name| !name.contains('/')) {
            let declared = format!("fn {name}(");
            let found = all.iter().any(|(_, text)| text.contains(&declared));
            assert!(found, "{id}: there is no test {name}");
        }
    }
}

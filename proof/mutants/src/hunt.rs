//! Which test reaches which mutant, and whether it notices.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A test that takes longer is asked last.
const SLOW: Duration = Duration::from_secs(4);

/// How long the first ones may take that are asked at once; the next ones may take four times as long, and so on. Most
/// mutants are noticed by the first.
const FIRST: Duration = Duration::from_millis(50);

/// How much time of tests a program spends on a mutant that none of them notices.
const MOST: Duration = Duration::from_secs(15);

/// How the names of tests end that are played on another store or on several threads as well; each is asked once on
/// memory and once on SQLite.
const AGAIN: [&str; 3] =
    ["_in_four_threads", "on_an_awaited_store_in_one_thread", "on_an_awaited_store"];

/// How many random histories a test plays that plays some.
const HISTORIES: &str = "400";

/// How much address space a test program may have, in kilobytes, and how large a file, in blocks of 512 bytes: a
/// mutant may go on for ever. Soft ones: some tests set their own.
const LIMITS: &str = "ulimit -S -v 8000000; ulimit -S -f 2000000; ulimit -S -c 0";

/// A test, alone in its process.
#[derive(Debug)]
pub(crate) struct Test {
    name: String,
    took: Duration,
    reached: HashSet<u32>,
}

/// A test program, and what its tests reach.
#[derive(Debug)]
pub(crate) struct Suite {
    program: PathBuf,
    /// Where it runs.
    tree: PathBuf,
    /// The fastest first.
    tests: Vec<Test>,
}

/// How a mutant fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// By which test, as far as that was said.
    Noticed(String),
    NotNoticed,
    NotReached,
}

impl Suite {
    /// Runs each test of the program by itself, with no mutant on.
    ///
    /// # Panics
    ///
    /// If one fails: it would notice every mutant.
    pub(crate) fn explore(program: PathBuf, tree: &Path, workers: usize) -> Self {
        let told = Command::new(&program).args(["--list", "--format", "terse"]).output();
        let told = String::from_utf8(told.expect("a test program").stdout).expect("names");
        let names = told.lines().filter_map(|line| line.strip_suffix(": test"));
        let names: Vec<_> = names.filter(|it| !AGAIN.iter().any(|end| it.ends_with(end))).collect();
        assert!(!names.is_empty(), "{} has no tests", program.display());
        let mut this = Self { program, tree: tree.to_owned(), tests: Vec::new() };
        let mut tests = side_by_side(workers, &names, |name| {
            let file = this.tree.join(format!("reached-{}", name.replace("::", "-")));
            let start = Instant::now();
            let most = Duration::from_secs(300);
            let failed = this.run(&[name], most, |it| it.env("MUTANTS_REACHED", &file));
            assert!(failed.is_none(), "{name} fails without a mutant");
            let took = start.elapsed();
            let reached = fs::read_to_string(&file).unwrap_or_default();
            let _ = fs::remove_file(&file);
            let reached = reached.lines().filter_map(|line| line.parse().ok()).collect();
            Test { name: (*name).to_owned(), took, reached }
        });
        tests.sort_by_key(|it| it.took);
        this.tests = tests;
        this
    }

    /// How many tests there are.
    pub(crate) fn len(&self) -> usize {
        self.tests.len()
    }

    /// Asks the tests that reach the mutant, the fast or the slow ones, until one notices.
    pub(crate) fn ask(&self, mutant: u32, slow: bool) -> Outcome {
        let reaching = self.tests.iter().filter(|it| it.reached.contains(&mutant));
        let mut rest: Vec<_> = reaching.filter(|it| slow == (it.took > SLOW)).collect();
        let (mut outcome, mut time, mut spent) = (Outcome::NotReached, FIRST, Duration::ZERO);
        while !rest.is_empty() && spent < MOST {
            let mut usual = Duration::ZERO;
            let fit = rest.iter().take_while(|it| {
                usual += it.took;
                usual <= time
            });
            let size = fit.count().max(1);
            let batch: Vec<_> = rest.drain(..size).collect();
            time = (time * 4).min(MOST / 4);
            let names: Vec<_> = batch.iter().map(|it| it.name.as_str()).collect();
            let usual: Duration = batch.iter().map(|it| it.took).sum();
            spent += usual;
            let most = Duration::from_secs(10) + usual * 10;
            if let Some(how) = self.run(&names, most, |it| it.env("MUTANT", mutant.to_string())) {
                return Outcome::Noticed(how);
            }
            outcome = Outcome::NotNoticed;
        }
        outcome
    }

    /// Runs some of the tests; which one failed, if one did.
    fn run(
        &self,
        names: &[&str],
        most: Duration,
        set: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Option<String> {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{LIMITS}; exec timeout -s KILL \"$@\""), "sh"])
            .arg(format!("{}.{:03}", most.as_secs(), most.subsec_millis()))
            .arg(&self.program)
            .args(["--exact", "--test-threads", "1"])
            .args(names)
            .current_dir(&self.tree)
            .env("CARGO_MANIFEST_DIR", &self.tree)
            .env("RUST_BACKTRACE", "0")
            // Few random histories, since each mutant has some. One that fails is not made smaller, and not kept.
            .env("PROPTEST_CASES", HISTORIES)
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let told = set(&mut command).output().expect("a test can be started");
        if told.status.success() {
            return None;
        }
        let text = String::from_utf8_lossy(&told.stdout);
        let failed = text.lines().find_map(|line| line.strip_suffix(" ... FAILED"));
        let failed = failed.and_then(|line| line.strip_prefix("test "));
        Some(failed.map_or_else(|| format!("its end: {}", told.status), str::to_owned))
    }
}

/// Does all the work on some threads; the answers come in the order of the work.
pub(crate) fn side_by_side<W: Sync, A: Send>(
    workers: usize,
    work: &[W],
    answer: impl Fn(&W) -> A + Sync,
) -> Vec<A> {
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((at, it)) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|at| Some((at, work.get(at)?)))
                {
                    let one = answer(it);
                    answers.lock().expect("nobody panics with it").push((at, one));
                }
            });
        }
    });
    let mut answers = answers.into_inner().expect("nobody panics with it");
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

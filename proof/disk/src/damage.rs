//! Damaged files: cut off, zeroed, overwritten and with flipped bits, wherever that may be.
//!
//! Nothing panics; every question ends in an answer or a typed error; and whatever is read is what was
//! written. What is missing without an error (a page of an index may be what was hit) is told by the check.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_supervisor::store::{Synchronous, Write};
use session_supervisor::testing::ManualClock;
use session_supervisor::{ChatMessage, Store, StoreError, Supervisor, Timestamp};

use crate::power::open_small;
use crate::questions::{Question, Questions};
use crate::random::Random;
use crate::rebuild::{self, Image};
use crate::report::{Report, setting};
use crate::room::{self, Room};
use crate::work::{self, Amount, config, key};

/// What the file is made of.
const AMOUNT: Amount = Amount { lives: 3, steps: 10 };

/// One file in so many is used by a supervisor.
const USED: usize = 10;

/// The size of a page.
const PAGE: usize = 4_096;

/// How often something panicked, in any thread.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// One bit is another.
    Flip,
    /// Eight are.
    Flips,
    /// It is cut off anywhere.
    Truncate,
    /// A page is zeros.
    ZeroPage,
    /// A part of its header is garbage.
    Header,
    /// A page lies where another one was.
    Misplaced,
    /// Nothing is left.
    Empty,
}

/// What was counted.
#[derive(Debug, Default)]
struct Counts {
    /// Files that were looked at.
    files: AtomicUsize,
    /// Those of them that were not opened.
    refused: AtomicUsize,
    /// Files of which some question was answered with an error, or an entry marked as damaged.
    told: AtomicUsize,
    /// Files where something is missing, and the check tells.
    missing: AtomicUsize,
    /// Files with a misplaced page where something is missing, and nothing tells.
    untold: AtomicUsize,
    /// Files where nothing that is read differs.
    harmless: AtomicUsize,
    /// Answers that were never written.
    wrong: AtomicUsize,
    /// Questions that were asked.
    questions: AtomicUsize,
    /// Files that a supervisor has worked on.
    used: AtomicUsize,
}

/// Runs the proof.
pub(crate) fn prove(report: &Report, seed: u64) {
    let wanted = usize::try_from(setting("PROOF_DAMAGED", 10_000)).expect("a few");
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    let mut random = Random::new(seed, 5);
    let room = Room::new("whole");
    let (file, questions, clock) = room::runtime().block_on(async {
        let done = work::record(room.path(), Synchronous::Full, AMOUNT, &mut random).await;
        let image = rebuild::read(room.path());
        let store = open_small(&room.path().join("s.db")).await.expect("it is whole");
        let questions = Questions::of(&store, &done.asked).await;
        store.close().await.expect("it closes");
        (image["s.db"].clone(), questions, done.clock)
    });
    report.figure("file_bytes", file.len(), "bytes");
    report.at_least("questions_a_file", questions.len(), "questions", 50);
    let (counts, workers) = (Counts::default(), room::workers());
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (counts, file, questions, clock) = (&counts, &file, &questions, &clock);
            let mut random = Random::new(seed, 100 + worker as u64);
            scope.spawn(move || {
                let room = Room::new(&format!("damaged{worker}"));
                for number in (worker..wanted).step_by(workers) {
                    let (damage, bytes) = hit(file, &mut random);
                    let is_empty = bytes.is_empty();
                    rebuild::write(room.path(), &Image::from([("s.db".to_owned(), bytes)]));
                    let is_misplaced = matches!(damage, Damage::Misplaced);
                    let suspect = Suspect { room: &room, questions, clock, is_empty, is_misplaced };
                    let problems = room::runtime().block_on(suspect.look(number, counts));
                    for problem in problems {
                        report.problem(format!("file {number} ({damage:?}): {problem}"));
                    }
                }
            });
        }
    });
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    report.at_least("damaged_files", count(&counts.files), "files", wanted);
    report.figure("damaged_refused_at_open", count(&counts.refused), "files");
    report.at_least("damaged_told", count(&counts.told), "files", wanted / 20);
    report.figure("damaged_missing_and_told_by_check", count(&counts.missing), "files");
    report.figure("misplaced_pages_missing_untold", count(&counts.untold), "files");
    report.figure("damaged_harmless", count(&counts.harmless), "files");
    report.at_least("damaged_used", count(&counts.used), "files", wanted / USED / 4);
    report.figure("questions", count(&counts.questions), "questions");
    report.exactly("damaged_read_as_good", count(&counts.wrong), "answers", 0);
    report.exactly("panics", count(&PANICS), "panics", 0);
}

/// Damages a file.
fn hit(file: &[u8], random: &mut Random) -> (Damage, Vec<u8>) {
    let damage = match random.below(64) {
        0..32 => Damage::Flip,
        32..40 => Damage::Flips,
        40..48 => Damage::Truncate,
        48..54 => Damage::ZeroPage,
        54..59 => Damage::Header,
        59..63 => Damage::Misplaced,
        _ => Damage::Empty,
    };
    let mut bytes = file.to_vec();
    let mut flip = |bytes: &mut Vec<u8>| {
        let place = random.place(bytes.len());
        bytes[place] ^= 1 << random.below(8);
    };
    match damage {
        Damage::Flip => flip(&mut bytes),
        Damage::Flips => (0..8).for_each(|_| flip(&mut bytes)),
        Damage::Truncate => bytes.truncate(random.place(file.len())),
        Damage::ZeroPage => {
            let page = random.place(file.len() / PAGE) * PAGE;
            bytes[page..page + PAGE].fill(0);
        }
        Damage::Header => {
            let (from, to) = (random.place(100), random.place(100));
            bytes[from.min(to)..=from.max(to)].fill_with(|| random.next().to_le_bytes()[0]);
        }
        Damage::Misplaced => {
            let from = random.place(file.len() / PAGE) * PAGE;
            let to = random.place(file.len() / PAGE) * PAGE;
            bytes.copy_within(from..from + PAGE, to);
        }
        Damage::Empty => bytes.clear(),
    }
    (damage, bytes)
}

/// A damaged file.
struct Suspect<'a> {
    /// Where it is.
    room: &'a Room,
    /// What is asked of it.
    questions: &'a Questions,
    /// The time.
    clock: &'a ManualClock,
    /// Whether nothing is left of it.
    is_empty: bool,
    /// Whether a page of it is a whole page of another place, which no check can tell from the right one where
    /// nothing else counts its rows.
    is_misplaced: bool,
}

/// What came of all questions.
#[derive(Debug, Default)]
struct Answers {
    /// How many were answered with an error, or told of damage.
    told: usize,
    /// Which of them leave something out without a word.
    missing: Vec<String>,
    /// What was not as it has to be.
    problems: Vec<String>,
}

impl Suspect<'_> {
    /// Asks everything, checks, and goes on with it.
    async fn look(&self, number: usize, counts: &Counts) -> Vec<String> {
        counts.files.fetch_add(1, Ordering::Relaxed);
        let path = self.room.path().join("s.db");
        let store = match open_small(&path).await {
            Ok(store) => store,
            Err(StoreError::Unusable { .. }) => {
                counts.refused.fetch_add(1, Ordering::Relaxed);
                return Vec::new();
            }
            Err(error) => return vec![format!("it is refused in other words: {error:?}")],
        };
        let mut answers = Answers::default();
        for (question, truth) in self.questions.iter() {
            counts.questions.fetch_add(1, Ordering::Relaxed);
            answers.take_in(question, truth, question.ask(&store).await);
        }
        let told = store.check().await;
        let is_told = told.as_ref().map_or(true, |problems| !problems.is_empty());
        counts.wrong.fetch_add(answers.problems.len(), Ordering::Relaxed);
        // An empty file is a new store: nothing is left that could be told.
        if !answers.missing.is_empty() && !is_told && self.is_misplaced {
            counts.untold.fetch_add(1, Ordering::Relaxed);
        } else if !answers.missing.is_empty() && !is_told && !self.is_empty {
            answers.problems.push(format!("missing, and untold: {:?}", answers.missing));
        }
        let what = match (answers.told, answers.missing.is_empty()) {
            (0, true) => &counts.harmless,
            (0, false) => &counts.missing,
            (_, true | false) => &counts.told,
        };
        what.fetch_add(1, Ordering::Relaxed);
        self.write_to(&store).await;
        drop(store.close().await);
        if number.is_multiple_of(USED) && self.use_it().await {
            counts.used.fetch_add(1, Ordering::Relaxed);
        }
        answers.problems
    }

    /// Whatever the writes do, they answer.
    async fn write_to(&self, store: &impl Store) {
        for (id, life, next_seq) in self.questions.lives().iter().take(3) {
            let append = Write::Append {
                first_seq: *next_seq,
                entries: vec!["x".into()],
                version: u64::MAX >> 1,
                at: Timestamp::from_millis(1),
            };
            drop(store.write(id, *life, append).await);
            drop(store.write(id, *life, Write::Label { label: None }).await);
        }
    }

    /// A supervisor starts on it, or says why not, and users are answered.
    async fn use_it(&self) -> bool {
        let Ok(store) = open_small(&self.room.path().join("s.db")).await else { return false };
        let builder = Supervisor::builder().config(config()).clock(self.clock.clone());
        let Ok(supervisor) = builder.store(store.clone()).start().await else {
            drop(store.close().await);
            return false;
        };
        for chat in ["plain0-0", "rich2-0", "rich3-1", "open"] {
            let Ok(session) = supervisor.open(&key(chat)).await else { continue };
            drop(session.transcript().await);
            drop(session.revisions().await);
            if let Ok(turn) = session.begin(&ChatMessage::user("on"), ()).await {
                drop(turn.commit(&ChatMessage::assistant("and on")).await);
            }
            drop(session.rollback(1, None).await);
        }
        drop(supervisor.prune(false).await);
        drop(supervisor.shutdown(Duration::from_secs(5)).await);
        true
    }
}

impl Answers {
    /// Compares one answer with what was written.
    fn take_in(
        &mut self,
        question: &Question,
        truth: &[String],
        answer: Result<Vec<String>, StoreError>,
    ) {
        let lines = match answer {
            Ok(lines) => lines,
            Err(
                StoreError::Damaged { .. }
                | StoreError::Fenced { .. }
                | StoreError::Unavailable { .. },
            ) => {
                self.told += 1;
                return;
            }
            Err(error) => return self.problems.push(format!("{question:?}: {error:?}")),
        };
        let mut rest = truth.iter();
        let mut seen: BTreeMap<&String, usize> = BTreeMap::new();
        let mut count = 0;
        for line in &lines {
            *seen.entry(line).or_default() += 1;
            if line.contains("mark: Damaged") || line.starts_with("damaged ") {
                self.told += 1;
                count += 1;
            } else if rest.any(|true_line| true_line == line) {
                count += 1;
            } else {
                // Another line, or one of them at another place.
                self.problems.push(format!("{question:?}: {line}, and not {truth:?}"));
            }
        }
        if count < truth.len() {
            self.missing.push(format!("{question:?}"));
        }
    }
}

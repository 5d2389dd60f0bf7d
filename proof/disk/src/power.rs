//! Power cuts: the disk is rebuilt as it may be after one, at every point of recorded work, and opened.
//!
//! What is found must be one of the states that the store went through: not one from before anything that was
//! acknowledged, and not one from after anything that was asked for by then. So nothing is lost, torn, out of
//! order or there without having been begun, and a tombstone holds.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_supervisor::store::{Synchronous, TurnMarker};
use session_supervisor::testing::ManualClock;
use session_supervisor::{
    ChatMessage, RecordFilter, SqliteOptions, SqliteStore, Store, StoreError, StreamId, Supervisor,
    TurnOutcome,
};

use crate::creation;
use crate::disk::Event;
use crate::random::Random;
use crate::rebuild::{self, Image, Rebuild, Way};
use crate::report::{Report, setting};
use crate::room::{self, Room};
use crate::said::Told;
use crate::twin::{self, Place, States};
use crate::work::{self, Amount, Kinds, Recording, config};

/// One image in so many is opened by a whole supervisor.
const STARTED: usize = 50;

/// How much is recorded at a time: about 12,000 images.
const ROUND: Amount = Amount { lives: 3, steps: 10 };

/// How much is recorded with a setting that loses something.
const WEAK: Amount = Amount { lives: 1, steps: 12 };

/// How many images of that are opened; about half of them have lost something.
const WEAK_IMAGES: usize = 1_000;

/// What was counted.
#[derive(Debug, Default)]
struct Counts {
    /// Images that were opened.
    images: AtomicUsize,
    /// Those of them that a supervisor was started on.
    started: AtomicUsize,
    /// Turns that such a start has settled.
    settled: AtomicUsize,
    /// Images from before something that was acknowledged.
    lost: AtomicUsize,
    /// Images that are none of the states.
    torn: AtomicUsize,
    /// Images from after something that was not asked for.
    ghosts: AtomicUsize,
}

/// Runs the proof.
pub(crate) fn prove(report: &Report, seed: u64) {
    let wanted = usize::try_from(setting("PROOF_IMAGES", 80_000)).expect("a few");
    let mut random = Random::new(seed, 1);
    let (mut operations, mut transactions, mut acknowledged) = (0, 0, 0);
    let (counts, kinds) = (Counts::default(), Kinds::default());
    let mut rounds = 0;
    while counts.images.load(Ordering::Relaxed) < wanted {
        let round = Round::new(Synchronous::Full, ROUND, &mut random);
        kinds.add(&round.recording);
        operations += round.recording.asked.len();
        transactions += round.recording.transactions;
        acknowledged += round.judge(&counts, Some(report), seed ^ rounds, wanted);
        rounds += 1;
        if report.problems() > 0 {
            break;
        }
    }
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    report.figure("recordings", rounds, "recordings");
    report.figure("operations", operations, "operations");
    report.figure("transactions", transactions, "transactions");
    report.figure("acknowledged_operations", acknowledged, "operations");
    report.at_least("power_loss_images", count(&counts.images), "images", wanted);
    report.exactly("acknowledged_lost", count(&counts.lost), "images", 0);
    report.exactly("torn", count(&counts.torn), "images", 0);
    report.exactly("ghosts", count(&counts.ghosts), "images", 0);
    report.at_least("supervisors_started", count(&counts.started), "images", wanted / STARTED / 2);
    report.at_least("turns_settled", count(&counts.settled), "turns", wanted / STARTED / 8);
    if transactions >= operations as u64 {
        report.problem("no two operations shared a transaction".to_owned());
    }
    kinds.tell(report);
    let missing = kinds.missing();
    report.figure("kinds_of_write_missing", missing.len(), "kinds");
    // A few recordings have all of them, and one may lack some that are seldom.
    if rounds >= 4 && !missing.is_empty() {
        report.problem(format!("no recording had {missing:?}"));
    }
    creation::prove(report, seed);
    prove_that_losses_are_found(report, seed);
}

/// The same with a setting that does not sync what it acknowledges: losses must be found, or nothing of the
/// above counts. Even then no state is torn.
fn prove_that_losses_are_found(report: &Report, seed: u64) {
    let counts = Counts::default();
    let mut random = Random::new(seed, 2);
    let round = Round::new(Synchronous::Normal, WEAK, &mut random);
    round.judge(&counts, None, seed, WEAK_IMAGES);
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    report.figure("normal_images", count(&counts.images), "images");
    report.at_least("normal_losses_found", count(&counts.lost), "images", 100);
    report.exactly("normal_torn", count(&counts.torn), "images", 0);
    report.exactly("normal_ghosts", count(&counts.ghosts), "images", 0);
}

/// A recording, and the states that it went through.
struct Round {
    /// What was done.
    recording: Recording,
    /// What the store was after each of it.
    states: States,
}

/// A disk to be opened, with what must be found on it.
struct Suspect {
    /// Its files.
    image: Image,
    /// Where it comes from.
    place: String,
    /// How many operations must be there.
    acknowledged: usize,
    /// How many may be.
    begun: usize,
}

impl Round {
    /// Works, and goes over it again.
    fn new(synchronous: Synchronous, amount: Amount, random: &mut Random) -> Self {
        room::runtime().block_on(async {
            let (here, there) = (Room::new("work"), Room::new("twin"));
            let recording = work::record(here.path(), synchronous, amount, random).await;
            let states = States::of(there.path(), &recording.base, &recording.asked).await;
            Self { recording, states }
        })
    }

    /// Opens the images on all cores; answers with how many operations were acknowledged.
    fn judge(&self, counts: &Counts, report: Option<&Report>, seed: u64, most: usize) -> usize {
        let workers = room::workers();
        std::thread::scope(|scope| {
            for worker in 0..workers {
                scope.spawn(move || self.judge_share(worker, workers, counts, report, seed, most));
            }
        });
        self.recording.asked.iter().filter(|it| matches!(it.answer, Some(Ok(_)))).count()
    }

    /// Opens one image in so many.
    fn judge_share(
        &self,
        worker: usize,
        workers: usize,
        counts: &Counts,
        report: Option<&Report>,
        seed: u64,
        most: usize,
    ) {
        let (room, runtime) = (Room::new(&format!("image{worker}")), room::runtime());
        let mut random = Random::new(seed, 10 + worker as u64);
        let mut disk = Rebuild::new(&self.recording.base, random.clone());
        let (mut acknowledged, mut begun, mut number) = (0, 0, 0);
        let mut told = Told::default();
        let mut last_lost = None;
        for (at, event) in self.recording.events.iter().enumerate() {
            match event {
                Event::Asked { operation } => begun = operation + 1,
                Event::Answered { operation } if self.was_done(*operation) => {
                    acknowledged = acknowledged.max(operation + 1);
                }
                Event::Said(said) => told.take_in(said),
                _ => {}
            }
            let changed = disk.apply(event);
            for way in Way::ALL {
                let news = match way {
                    Way::Lost => last_lost != Some((disk.syncs, acknowledged)),
                    Way::Kept => changed && disk.unsynced() > 0,
                    Way::Subset => changed && disk.unsynced() > 1,
                    Way::Torn => changed && disk.unsynced() > 0,
                };
                if !news {
                    continue;
                }
                if way == Way::Lost {
                    last_lost = Some((disk.syncs, acknowledged));
                }
                number += 1;
                if number % workers != worker {
                    continue;
                }
                if counts.images.load(Ordering::Relaxed) >= most {
                    return;
                }
                let image = disk.cut(way, &mut random);
                let place = format!("event {at} ({way:?})");
                let suspect = Suspect { image, place, acknowledged, begun };
                counts.images.fetch_add(1, Ordering::Relaxed);
                let started = report.is_some() && (number / workers).is_multiple_of(STARTED);
                let problems = runtime.block_on(async {
                    let mut problems = self.open(room.path(), &suspect, &told, counts).await;
                    if started && problems.is_empty() {
                        problems = start(room.path(), &suspect, &told, counts).await;
                    }
                    problems
                });
                if let Some(report) = report {
                    for problem in problems {
                        let Suspect { place, acknowledged, begun, .. } = &suspect;
                        let known = format!("{acknowledged} acknowledged, {begun} begun");
                        report.problem(format!("{place}, {known}: {problem}"));
                    }
                }
            }
        }
    }

    /// Whether an operation was answered with what it did.
    fn was_done(&self, operation: usize) -> bool {
        matches!(self.recording.asked[operation].answer, Some(Ok(_)))
    }

    /// Opens an image as a store, checks it, and finds out which state it is.
    async fn open(
        &self,
        folder: &Path,
        suspect: &Suspect,
        told: &Told,
        counts: &Counts,
    ) -> Vec<String> {
        rebuild::write(folder, &suspect.image);
        let path = folder.join("s.db");
        let store = match open_small(&path).await {
            Ok(store) => store,
            Err(error) => {
                counts.torn.fetch_add(1, Ordering::Relaxed);
                return vec![format!("it does not open: {error:?}")];
            }
        };
        let mut problems = store.check().await.unwrap_or_else(|error| vec![error.to_string()]);
        let connection = twin::open(&path).expect("the store has it open");
        match twin::digest(&connection) {
            Ok(state) => match self.states.place(state, suspect.acknowledged, suspect.begun) {
                Place::Right => {}
                Place::Early => {
                    counts.lost.fetch_add(1, Ordering::Relaxed);
                    problems.push("something acknowledged is lost".to_owned());
                }
                Place::Late => {
                    counts.ghosts.fetch_add(1, Ordering::Relaxed);
                    problems.push("something is there that was not begun".to_owned());
                }
                Place::Nowhere => {
                    counts.torn.fetch_add(1, Ordering::Relaxed);
                    problems.push("there never was such a state".to_owned());
                }
            },
            Err(error) => problems.push(format!("it cannot be read: {error}")),
        }
        // The same again, as users see it.
        match told.compare(&connection) {
            Ok(contradictions) => problems.extend(contradictions),
            Err(error) => problems.push(format!("it cannot be read: {error}")),
        }
        problems
    }
}

/// Opens a store that keeps little in memory.
pub(crate) async fn open_small(path: &Path) -> Result<SqliteStore, StoreError> {
    let mut options = SqliteOptions::default();
    options.readers = 1;
    SqliteStore::open(path, options).await
}

/// Starts a supervisor on an image: every turn that was open is settled, once, and everything that users were
/// told is so.
async fn start(folder: &Path, suspect: &Suspect, told: &Told, counts: &Counts) -> Vec<String> {
    // Before everything that was recorded: what is kept for a time only is kept.
    let clock = ManualClock::new();
    rebuild::write(folder, &suspect.image);
    let path = folder.join("s.db");
    let mut problems = Vec::new();
    let mut settled = Vec::new();
    for run in 0..2 {
        let store = open_small(&path).await.expect("it was opened before");
        let open = open_turns(&store).await;
        let builder = Supervisor::<ChatMessage>::builder().config(config()).clock(clock.clone());
        let supervisor = match builder.store(store.clone()).start().await {
            Ok(supervisor) => supervisor,
            Err(error) => return vec![format!("it does not start: {error:?}")],
        };
        let report = supervisor.recovery();
        let mut found: Vec<_> = report.settled.iter().map(|turn| turn.stream).collect();
        found.sort();
        if found != open || run > 0 && !found.is_empty() {
            problems.push(format!("run {run} settles {found:?}, {open:?} were open"));
        }
        for turn in &report.settled {
            let stream = turn.stream;
            let (life, generation) = (stream.incarnation(), stream.generation());
            let ended = store.turn(&turn.session, life, generation).await;
            if !matches!(&ended, Ok(Some(it)) if it.outcome == TurnOutcome::Interrupted) {
                problems.push(format!("{stream} is settled as {ended:?}"));
            }
        }
        settled.append(&mut found);
        if !report.damaged.is_empty() || !report.healed.is_empty() || !report.quarantined.is_empty()
        {
            problems.push(format!("it finds something wrong: {report:?}"));
        }
        problems.extend(store.check().await.unwrap_or_else(|error| vec![error.to_string()]));
        let connection = twin::open(&path).expect("the store has it open");
        problems.extend(told.compare(&connection).expect("it was read before"));
        drop(connection);
        if run == 0 {
            // This one crashes as well.
            store.close().await.expect("it closes");
        } else {
            drop(supervisor.shutdown(Duration::from_secs(5)).await);
        }
    }
    counts.started.fetch_add(1, Ordering::Relaxed);
    counts.settled.fetch_add(settled.len(), Ordering::Relaxed);
    problems
}

/// The turns that a store calls open.
async fn open_turns(store: &SqliteStore) -> Vec<StreamId> {
    let replying = RecordFilter::default().replying(true);
    let page = store.list(replying, None, usize::MAX).await.expect("it was checked");
    let mut open = Vec::new();
    for record in page.records {
        let life = record.incarnation;
        let stream = |marker: &TurnMarker| StreamId::new(life, marker.generation);
        open.extend(record.open.iter().map(stream));
    }
    open.sort();
    open
}

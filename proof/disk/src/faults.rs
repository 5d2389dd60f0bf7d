//! A disk that fails: an error at every single file call of a conversation of a hundred commits, one call at a
//! time, and later a few calls in a row.
//!
//! Whoever is hit is told in a typed error; nothing that was acknowledged is lost, what was refused is not
//! there, and the supervisor goes on as soon as the disk does, without a restart. After each run the power is
//! cut as well, since a sync that failed may have lost what it was to keep.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_supervisor::{
    ChatMessage, CommitOutcome, Config, Session, SqliteOptions, SqliteStore, Store, StoreError,
    Supervisor,
};

use crate::disk::{Call, Disk, Event, Fault, Plan};
use crate::power::open_small;
use crate::random::Random;
use crate::rebuild::{self, Image, Rebuild, Way};
use crate::report::{Report, setting};
use crate::room::{self, Room};
use crate::said::{Said, Told};
use crate::twin;
use crate::work::{self, key};

/// How many turns a conversation has; with their begins, and notes and deletes, a hundred commits.
const TURNS: u64 = 44;

/// How many calls in a row fail in the second part.
const IN_A_ROW: usize = 12;

/// What was counted.
#[derive(Debug, Default)]
struct Counts {
    /// Conversations.
    runs: AtomicUsize,
    /// File calls that were made to fail.
    failed: AtomicUsize,
    /// Failures that somebody was told of.
    told: AtomicUsize,
    /// Those of them that say that the outcome is not known.
    unknown: AtomicUsize,
    /// Texts that were acknowledged.
    acknowledged: AtomicUsize,
    /// Disks that were rebuilt after a power cut.
    images: AtomicUsize,
}

/// Runs the proof.
pub(crate) fn prove(report: &Report, seed: u64) {
    let room = Room::new("template");
    room::runtime().block_on(work::fresh(room.path()));
    let template = rebuild::read(room.path());
    let mut random = Random::new(seed, 3);
    // What calls there are, when nothing fails.
    let calls = Run::new("count", &template).work(None);
    let mut of_kind: BTreeMap<Call, usize> = BTreeMap::new();
    for call in &calls {
        *of_kind.entry(*call).or_default() += 1;
    }
    report.at_least("file_calls", calls.len(), "calls", 500);
    for (call, count) in &of_kind {
        report.figure(&format!("file_calls_{call:?}").to_lowercase(), count, "calls");
    }
    let one = |(first, call): (usize, &Call)| {
        call.faults()
            .iter()
            .map(move |&fault| Plan { of: None, first, count: 1, fault })
            .collect::<Vec<_>>()
    };
    let mut plans: Vec<_> = calls.iter().enumerate().flat_map(one).collect();
    let singles = plans.len();
    let rows = usize::try_from(setting("PROOF_ROWS", 200)).expect("a few");
    plans.extend((0..rows).map(|_| Plan {
        of: None,
        first: random.place(calls.len()),
        count: 1 + random.place(IN_A_ROW),
        fault: [Fault::Error, Fault::Full, Fault::Short][random.place(3)],
    }));
    let (counts, workers) = (Counts::default(), room::workers());
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (counts, plans, template) = (&counts, &plans, &template);
            scope.spawn(move || {
                for (number, plan) in plans.iter().enumerate().skip(worker).step_by(workers) {
                    let seed = seed ^ number as u64;
                    prove_one(report, counts, template, *plan, worker, seed);
                }
            });
        }
    });
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    report.at_least("fault_runs", count(&counts.runs), "runs", singles);
    // Threads come in their own order, so now and then there are fewer calls than in the run that was counted.
    report.at_least("file_calls_failed", count(&counts.failed), "calls", singles * 98 / 100);
    report.at_least("failures_told", count(&counts.told), "failures", singles / 4);
    report.figure("outcomes_unknown_told", count(&counts.unknown), "failures");
    report.figure("acknowledged_texts", count(&counts.acknowledged), "texts");
    report.figure("power_loss_images_after_faults", count(&counts.images), "images");
}

/// One run with a fault in it.
fn prove_one(
    report: &Report,
    counts: &Counts,
    template: &Image,
    plan: Plan,
    worker: usize,
    seed: u64,
) {
    let mut run = Run::new(&format!("fault{worker}"), template);
    let calls = run.work(Some(plan));
    let call = calls.get(plan.first);
    let told = run.compare(counts, template, seed);
    counts.runs.fetch_add(1, Ordering::Relaxed);
    counts.failed.fetch_add(run.disk.failed(), Ordering::Relaxed);
    counts.told.fetch_add(run.told, Ordering::Relaxed);
    counts.unknown.fetch_add(run.unknown, Ordering::Relaxed);
    counts.acknowledged.fetch_add(told.acknowledged(), Ordering::Relaxed);
    // Only what a commit does can leave it undecided. It takes locks on the index of the log as well, and which of
    // its steps has failed is not told.
    let decides = [Call::Write, Call::Sync, Call::ShmMap, Call::ShmLock];
    if run.unknown > 0 && plan.count == 1 && !call.is_some_and(|call| decides.contains(call)) {
        run.problems.push("it is known what came of it".to_owned());
    }
    for problem in run.problems {
        report.problem(format!("{plan:?} ({call:?}): {problem}"));
    }
}

/// A conversation on a disk that fails.
struct Run {
    /// Where its file is.
    room: Room,
    /// Who watches that, and fails.
    disk: Arc<Disk>,
    /// How many operations failed.
    told: usize,
    /// How many of them nobody knows the outcome of.
    unknown: usize,
    /// What was not as it has to be.
    problems: Vec<String>,
    /// How many texts were handed over.
    texts: u64,
}

impl Run {
    /// One that has not begun, on a copy of `template`.
    fn new(name: &str, template: &Image) -> Self {
        let room = Room::new(name);
        rebuild::write(room.path(), template);
        let disk = Disk::watch(room.path());
        Self { room, disk, told: 0, unknown: 0, problems: Vec::new(), texts: 0 }
    }

    /// Has the conversation; answers with the calls that were made for it.
    fn work(&mut self, plan: Option<Plan>) -> Vec<Call> {
        self.disk.arm(plan);
        let runtime = room::runtime();
        runtime.block_on(async {
            let Some(supervisor) = self.start(plan).await else { return };
            for turn in 0..TURNS {
                self.turn(&supervisor, plan, turn).await;
            }
            for attempt in 0.. {
                let over = self.is_over(plan);
                match supervisor.shutdown(Duration::from_secs(5)).await {
                    Ok(_) => break,
                    Err(error) => self.failure(&error, over, None),
                }
                if attempt > IN_A_ROW {
                    self.problems.push("it does not end".to_owned());
                    break;
                }
            }
        });
        drop(runtime);
        let calls = self.disk.disarm();
        self.disk.forget();
        calls
    }

    /// Whether everything has failed that is to fail.
    fn is_over(&self, plan: Option<Plan>) -> bool {
        plan.is_none_or(|plan| self.disk.failed() >= plan.count)
    }

    /// Starts; whoever fails there tries again.
    async fn start(&mut self, plan: Option<Plan>) -> Option<Supervisor> {
        let mut options = SqliteOptions::default();
        // So that pages are read again, and the log is taken over in the middle.
        (options.readers, options.cache_bytes, options.checkpoint_bytes) = (1, 64 << 10, 256 << 10);
        let path = self.room.path().join("s.db");
        for _ in 0..=IN_A_ROW {
            let over = self.is_over(plan);
            let store = match SqliteStore::open(&path, options.clone()).await {
                Ok(store) => store,
                Err(error) => {
                    self.failure(&error, over, None);
                    continue;
                }
            };
            let mut config = Config::default();
            config.partials.every_chunks = 4;
            match Supervisor::builder().config(config).store(store.clone()).start().await {
                Ok(supervisor) => return Some(supervisor),
                Err(error) => self.failure(&error, over, None),
            }
            let over = self.is_over(plan);
            if let Err(error) = store.close().await {
                self.failure(&error, over, None);
            }
        }
        self.problems.push("it does not start".to_owned());
        None
    }

    /// A turn, and now and then a note and a delete.
    async fn turn(&mut self, supervisor: &Supervisor, plan: Option<Plan>, number: u64) {
        let chat = key(&format!("{}", number % 4));
        let over = self.is_over(plan);
        let session = match supervisor.open(&chat).await {
            Ok(session) => session,
            Err(error) => return self.failure(&error, over, None),
        };
        let id = session.id().to_string();
        let (text, over) = (self.text(&id), self.is_over(plan));
        let turn = match session.begin(&ChatMessage::user(text.clone()), ()).await {
            Ok(turn) => turn,
            Err(error) => return self.failure(&error, over, Some(text)),
        };
        self.say(Said::Wrote { text, seq: None });
        for chunk in 0..6 {
            if turn.emit(format!("chunk {chunk} ")).is_err() {
                break;
            }
        }
        let (text, generation) = (self.text(&id), turn.stream().generation().get());
        let over = self.is_over(plan);
        match turn.commit(&ChatMessage::assistant(text.clone())).await {
            Ok(CommitOutcome::Committed { seq, .. }) => {
                self.say(Said::Wrote { text, seq: Some(seq) });
                self.say(Said::Committed { session: id.clone(), generation });
            }
            // An earlier write of the session has failed, and nobody had to be told but this one.
            Ok(stale) => {
                self.told += 1;
                if over {
                    self.problems.push(format!("{stale:?} after the fault"));
                }
                self.say(Said::Refused { text });
            }
            Err(error) => self.failure(&error, over, Some(text)),
        }
        if number % 5 == 4 {
            let (text, over) = (self.text(&id), self.is_over(plan));
            match session.append(&[ChatMessage::user(text.clone())]).await {
                Ok(seq) => self.say(Said::Wrote { text, seq: Some(seq) }),
                Err(error) => self.failure(&error, over, Some(text)),
            }
        }
        if number % 16 == 15 {
            self.delete(&session, plan).await;
        }
    }

    /// Deletes a conversation. One whose deletion has failed stays closed until somebody deletes it again.
    async fn delete(&mut self, session: &Session, plan: Option<Plan>) {
        let id = session.id().to_string();
        self.say(Said::Deleting { session: id.clone() });
        for _ in 0..=IN_A_ROW {
            let over = self.is_over(plan);
            match session.delete().await {
                Ok(_) => return self.say(Said::Deleted { session: id }),
                Err(error) => self.failure(&error, over, None),
            }
        }
    }

    /// Something failed. `over` says whether nothing was to fail any more when it was asked for, and `text` is
    /// what was to be written.
    fn failure(&mut self, error: &(dyn Error + 'static), over: bool, text: Option<String>) {
        self.told += 1;
        if over {
            self.problems.push(format!("it fails after the fault: {error:?}"));
        }
        match store_error(error) {
            None => self.problems.push(format!("no error of the store: {error:?}")),
            Some(StoreError::OutcomeUnknown { .. }) => self.unknown += 1,
            Some(_) => {
                if let Some(text) = text {
                    self.say(Said::Refused { text });
                }
            }
        }
    }

    /// Compares the file with what was said, as it is and as power cuts leave it.
    fn compare(&mut self, counts: &Counts, template: &Image, seed: u64) -> Told {
        let events = self.disk.take_events();
        let mut told = Told::default();
        let mut random = Random::new(seed, 4);
        let mut disk = Rebuild::new(template, random.clone());
        // Soon after the fault, and when much has been written over what it left.
        let cuts = [
            (self.disk.failed_at().unwrap_or(0) + 40, Way::Torn),
            (events.len() * 9 / 10, Way::Lost),
        ];
        let runtime = room::runtime();
        runtime.block_on(async {
            let end = rebuild::read(self.room.path());
            for (at, event) in events.iter().enumerate() {
                disk.apply(event);
                if let Event::Said(said) = event {
                    told.take_in(said);
                }
                for (_, way) in cuts.iter().filter(|(cut, _)| *cut == at) {
                    counts.images.fetch_add(1, Ordering::Relaxed);
                    let image = disk.cut(*way, &mut random);
                    self.open(&image, &told, &format!("{way:?}")).await;
                }
            }
            self.open(&end, &told, "at the end").await;
        });
        told
    }

    /// Opens an image and compares.
    async fn open(&mut self, image: &Image, told: &Told, place: &str) {
        rebuild::write(self.room.path(), image);
        let path = self.room.path().join("s.db");
        let mut found = match open_small(&path).await {
            Ok(store) => {
                let mut found = store.check().await.unwrap_or_else(|it| vec![it.to_string()]);
                let connection = twin::open(&path).expect("the store has it open");
                match told.compare(&connection) {
                    Ok(problems) => found.extend(problems),
                    Err(error) => found.push(error.to_string()),
                }
                found
            }
            Err(error) => vec![format!("it does not open: {error:?}")],
        };
        for line in &mut found {
            line.insert_str(0, &format!("{place}: "));
        }
        self.problems.append(&mut found);
    }

    /// A text that is about to be written.
    fn text(&mut self, session: &str) -> String {
        let text = format!("plain.{}", self.texts);
        self.texts += 1;
        self.say(Said::Trying { session: session.to_owned(), text: text.clone() });
        text
    }

    /// Records what was said.
    fn say(&self, said: Said) {
        self.disk.note(Event::Said(said));
    }
}

/// What the store said, behind what the library says.
pub(crate) fn store_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a StoreError> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.find_map(|error| error.downcast_ref::<StoreError>())
}

//! A random sequence, played to the store under test and to the memory store.
//!
//! Invariants: the sequence follows from the seed and from the memory store's state alone, so that
//! a seed plays the same again; answers are compared up to the numbers of lives, which each store
//! draws for itself, and up to which of several fences a write ran into.

mod random;
mod step;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::future::Future;

use self::random::Random;
use self::step::{Known, Step};
use super::rig::{Rig, Verdict, at, same, shown};
use super::snapshot::{Content, Snapshot};
use crate::clock::Timestamp;
use crate::id::Incarnation;
use crate::rt::Arc;
use crate::store::{
    Binding, Created, Found, MemoryStore, Record, RecordPage, Store, StoreError, Write,
};
use crate::tombstone::Tombstone;

/// After how many steps everything that can be read is compared.
const COMPARE_EVERY: usize = 40;

/// How many of the last steps are told with a difference.
const TRACE: usize = 8;

/// Plays `steps` random operations to a store from `fresh` and to a [`MemoryStore`], and compares
/// every answer and, now and then, all that can be read. Part of [`conformance`](super::conformance)
/// with one fixed seed.
///
/// # Errors
///
/// Where the two first differ: the seed, the step, the last steps before it, and both answers.
///
/// # Cancel safety
///
/// If it is dropped, it ends where it is.
pub async fn differential<F, Fut, S>(fresh: F, seed: u64, steps: usize) -> Result<(), String>
where
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
    S: Store,
{
    let mut game = Game::new(Arc::new(fresh().await), Random::seeded(seed));
    for number in 1..=steps {
        let played = game.play(number % COMPARE_EVERY == 0 || number == steps).await;
        played.map_err(|differs| {
            format!("seed {seed:#x}, step {number}: {differs}; before: {:#?}", game.trace)
        })?;
    }
    game.tested.rig.healthy().await
}

/// As [`differential`], with the sequence that `choices` make: for fuzzers, which find the bytes that lead
/// somewhere new. One byte is one choice almost always, and a step is made of about ten.
///
/// # Errors
///
/// Where the two first differ: the step, the last steps before it, and both answers.
///
/// # Cancel safety
///
/// If it is dropped, it ends where it is.
pub async fn differential_by<S: Store>(store: S, choices: &[u8]) -> Result<(), String> {
    let mut game = Game::new(Arc::new(store), Random::chosen(choices));
    let mut number = 0_usize;
    while !game.random.is_over() {
        number += 1;
        let played = game.play(number.is_multiple_of(COMPARE_EVERY)).await;
        played.map_err(|differs| format!("step {number}: {differs}; before: {:#?}", game.trace))?;
    }
    game.compare()
        .await
        .map_err(|differs| format!("in the end: {differs}; before: {:#?}", game.trace))?;
    game.tested.rig.healthy().await
}

/// Two stores that are told the same.
struct Game {
    /// The store under test.
    tested: Side,
    /// The memory store.
    model: Side,
    /// Where the steps come from.
    random: Random,
    /// Seconds since time zero; moves with the steps.
    now: u64,
    /// The last steps.
    trace: VecDeque<String>,
}

/// One of the two stores.
struct Side {
    /// It.
    rig: Rig,
    /// The lives it made, in order.
    lives: Vec<Record>,
    /// Which of them has which number.
    numbers: BTreeMap<Incarnation, Incarnation>,
}

impl Game {
    /// Both stores empty.
    fn new(tested: Arc<dyn Store>, random: Random) -> Self {
        Self {
            tested: Side::new(tested),
            model: Side::new(Arc::new(MemoryStore::new())),
            random,
            now: 0,
            trace: VecDeque::new(),
        }
    }

    /// Plays one step, and compares the answers, and all that can be read if `compare` says so.
    async fn play(&mut self, compare: bool) -> Verdict {
        self.now += self.random.below(3);
        let step = self.draw().await?;
        let expected = self.model.perform(&step).await;
        let found = self.tested.perform(&step).await;
        same(&shown(&step), &found, &expected)?;
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{step:?} -> {found}"));
        if compare { self.compare().await } else { Ok(()) }
    }

    /// Compares all that can be read.
    async fn compare(&self) -> Verdict {
        let expected = self.model.snapshot(at(self.now)).await?;
        let found = self.tested.snapshot(at(self.now)).await?;
        expected.is_still(&found)
    }

    /// The next step, mostly one that makes sense in the model's state.
    async fn draw(&mut self) -> Result<Step, String> {
        let lives = self.model.lives.len();
        if lives == 0 || self.random.one_in(8) {
            let (chat, name) = (self.random.name(), self.random.name());
            let bound_to = self.model.rig.bound_to(&super::rig::key(chat)).await?;
            return Ok(Step::create(&mut self.random, self.now, name, chat, bound_to));
        }
        // Mostly a recent life: the older ones are over.
        let back = if self.random.one_in(6) { lives } else { lives.min(8) };
        let life = lives - 1 - self.random.index(back);
        if self.random.one_in(20) {
            let chat = self.random.name();
            let bound_to = self.model.rig.bound_to(&super::rig::key(chat)).await?;
            return Ok(Step::bind(&mut self.random, chat, bound_to, life));
        }
        if self.random.one_in(4) {
            return Ok(Step::read(&mut self.random, self.now, life));
        }
        let known = self.model.life(life).clone();
        let record = match self.model.rig.found(&known.id, at(0)).await? {
            Found::Live(record) if record.incarnation == known.incarnation => record,
            Found::Live(_) | Found::Gone(_) | Found::Unknown => known,
        };
        let turn = Step::turn(&mut self.random, &record);
        // A life that is over has said nothing.
        let said = self.model.rig.partial(&record, turn.get()).await.unwrap_or_default();
        let taken = self.model.rig.taken(&record).await.unwrap_or_default();
        let of = |(version, numbers): (u64, Vec<u64>)| {
            Some((version, *numbers.first()?, numbers.len() as u64))
        };
        let revisions = taken.into_iter().filter_map(of).collect();
        let said = said.map_or(0, |said| said.chunks);
        let known = Known { record, turn, said, revisions };
        Ok(Step::write(&mut self.random, self.now, life, &known))
    }
}

impl Side {
    /// A side without lives.
    fn new(store: Arc<dyn Store>) -> Self {
        Self { rig: Rig::new(store), lives: Vec::new(), numbers: BTreeMap::new() }
    }

    /// The life that was made as number `index`.
    fn life(&self, index: usize) -> &Record {
        self.lives.get(index).expect("both sides made the same lives")
    }

    /// Performs a step; the answer in words, the same for both stores.
    async fn perform(&mut self, step: &Step) -> String {
        let store = Arc::clone(self.rig.store());
        match step.clone() {
            Step::Create(new) => {
                let answer = store.create(new).await;
                self.remember(&answer);
                told(answer.map(|created| self.neutral_created(created)))
            }
            Step::Write { life, write } => {
                let life = self.life(life);
                told(store.write(&life.id, life.incarnation, write).await)
            }
            Step::Delete { life, mut tombstone } => {
                let life = self.life(life);
                tombstone.incarnation = life.incarnation;
                told(store.write(&life.id, life.incarnation, Write::Delete { tombstone }).await)
            }
            Step::LookUp { id, now } => {
                told(store.look_up(&id, now).await.map(|found| self.neutral_found(found)))
            }
            Step::BoundTo(key) => told(store.bound_to(&key).await),
            Step::Bind { binding, to } => self.bind(binding, to).await,
            Step::KeysOf(life) => self.keys_of(self.life(life)).await,
            Step::Entries { life, after, limit } => {
                let life = self.life(life);
                told(store.entries(&life.id, life.incarnation, after, limit).await)
            }
            Step::Datum { life, name } => {
                let life = self.life(life);
                told(store.datum(&life.id, life.incarnation, name).await)
            }
            Step::Turn { life, generation } => {
                let life = self.life(life);
                told(store.turn(&life.id, life.incarnation, generation).await)
            }
            Step::List { filter, after, limit } => {
                let after = after.map(|life| self.life(life).incarnation);
                let page = store.list(filter, after, limit).await;
                told(page.map(|page| self.neutral_page(page)))
            }
            Step::Partial { life, generation } => {
                let life = self.life(life);
                told(store.partial(&life.id, life.incarnation, generation).await)
            }
            Step::Request { life, key } => {
                let life = self.life(life);
                told(store.request(&life.id, life.incarnation, key).await)
            }
            Step::Resume { life, provider } => self.resume(self.life(life), provider).await,
            Step::Branches(life) => self.branches(self.life(life)).await,
            Step::Revisions(life) => self.revisions(self.life(life)).await,
            Step::Heal => told(store.heal().await),
            Step::Forget { what, limit } => told(store.forget(what, limit).await),
        }
    }

    /// The turns beside siblings, in words.
    async fn branches(&self, life: &Record) -> String {
        told(self.rig.store().branches(&life.id, life.incarnation).await)
    }

    /// What was taken out, in words.
    async fn revisions(&self, life: &Record) -> String {
        told(self.rig.store().revisions(&life.id, life.incarnation).await)
    }

    /// What is kept of a service, in words.
    async fn resume(&self, life: &Record, provider: &str) -> String {
        told(self.rig.store().resume(&life.id, life.incarnation, provider).await)
    }

    /// Binds a key to a life or to nothing.
    async fn bind(&self, binding: Binding, to: Option<usize>) -> String {
        let to = to.map(|life| self.life(life));
        let to = to.map(|life| (life.id.clone(), life.incarnation));
        told(self.rig.store().bind(binding, to).await)
    }

    /// The keys of a life.
    async fn keys_of(&self, life: &Record) -> String {
        told(self.rig.store().keys_of(&life.id, life.incarnation).await)
    }

    /// Gives a life that was made its number.
    fn remember(&mut self, answer: &Result<Created, StoreError>) {
        if let Ok(Created::Created(record)) = answer {
            self.lives.push(record.clone());
            let number = Incarnation::new(self.lives.len() as u64);
            self.numbers.insert(record.incarnation, number);
        }
    }

    /// The number of a life, the same for both stores; 0 for one that was never made.
    fn number(&self, incarnation: Incarnation) -> Incarnation {
        self.numbers.get(&incarnation).copied().unwrap_or(Incarnation::new(0))
    }

    /// A record with the common number.
    fn neutral(&self, record: Record) -> Record {
        Record { incarnation: self.number(record.incarnation), ..record }
    }

    /// A tombstone with the common number.
    fn neutral_tombstone(&self, tombstone: Tombstone) -> Tombstone {
        Tombstone { incarnation: self.number(tombstone.incarnation), ..tombstone }
    }

    /// The answer of a create with common numbers.
    fn neutral_created(&self, created: Created) -> Created {
        match created {
            Created::Created(record) => Created::Created(self.neutral(record)),
            Created::IdGone(tombstone) => Created::IdGone(self.neutral_tombstone(tombstone)),
            other @ (Created::IdTaken | Created::KeyMoved { .. }) => other,
        }
    }

    /// The answer of a look-up with common numbers.
    fn neutral_found(&self, found: Found) -> Found {
        match found {
            Found::Live(record) => Found::Live(self.neutral(record)),
            Found::Gone(tombstone) => Found::Gone(self.neutral_tombstone(tombstone)),
            Found::Unknown => Found::Unknown,
        }
    }

    /// A page with common numbers.
    fn neutral_page(&self, page: RecordPage) -> RecordPage {
        RecordPage {
            records: page.records.into_iter().map(|record| self.neutral(record)).collect(),
            damaged: page.damaged,
            next: page.next.map(|next| self.number(next)),
        }
    }

    /// All that can be read, with common numbers.
    async fn snapshot(&self, now: Timestamp) -> Result<Snapshot, String> {
        let read = Snapshot::take(&self.rig, now).await?;
        let neutral =
            |content: Content| Content { record: self.neutral(content.record), ..content };
        Ok(Snapshot {
            lives: read.lives.into_iter().map(neutral).collect(),
            found: read
                .found
                .into_iter()
                .map(|(id, found)| (id, self.neutral_found(found)))
                .collect(),
            bound: read.bound,
        })
    }
}

/// An answer in words. Which of several fences was met first is left to the store.
fn told<T: Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(StoreError::Fenced { .. }) => "fenced".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

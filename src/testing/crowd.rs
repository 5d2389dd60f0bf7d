//! A crowd of clients that do what they like to a few sessions at once, and are checked.

mod answers;
mod content;
mod member;
mod model;
mod report;
mod slot;

use std::time::Duration;

use self::member::{Handle, Member, Name};
use self::model::{Answer, Call, Sessions, What};
pub use self::report::CrowdReport;
use super::dice::Dice;
use super::settled::{comes_true, settled};
use super::{Operation, Recorder, Verdict, check};
use crate::config::Config;
use crate::id::SessionId;
use crate::key::SessionKey;
use crate::rt::{self, JoinHandle, Spawner};
use crate::store::Store;
use crate::supervisor::Supervisor;

/// How many clients there are.
const MEMBERS: u64 = 8;

/// How many operations each does before everybody waits for everybody, and the history is checked.
const OPERATIONS: usize = 100;

/// The most names that are used at a time.
const MAX_NAMES: u64 = 4;

/// How many sessions may be loaded: fewer than are used at times, so that they leave and come back.
const MAX_LIVE: usize = 2;

/// After how many histories everything is looked at.
const SETTLED_EVERY: u64 = 64;

/// How long a history may take, on the runtime's clock, before it hangs.
const HUNG_AFTER: Duration = Duration::from_secs(60);

/// How many histories with something wrong are enough.
const MAX_ILLEGAL: usize = 3;

/// A crowd of eight clients that create, open, look up, delete, begin, commit, fail, drop, cancel and change a
/// few sessions at once, at random; whose histories are checked against how sessions behave that are used by
/// one at a time.
///
/// For the author of a store: the conformance suite shows that the store keeps its promises one by one, and
/// this that a supervisor on it keeps those to its users. On a runtime of several threads; what it finds
/// depends on what runs beside what, so a seed gives the same deeds, but not the same history.
///
/// # Examples
///
/// ```
/// use session_supervisor::store::MemoryStore; // yours
/// use session_supervisor::testing::Crowd;
///
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let report = Crowd::new(1).operations(4_000).run(MemoryStore::new()).await;
/// report.assert();
/// assert!(report.operations() >= 4_000);
/// # });
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Crowd {
    /// What the deeds follow from.
    seed: u64,
    /// How many there are to be.
    operations: u64,
    /// Whether clients stop now and then.
    chaos: bool,
}

/// A history, and who made it.
struct Round {
    /// What they used.
    names: Vec<Name>,
    /// What they did.
    recorder: Recorder<Call, Answer>,
    /// They, until they are done.
    members: Vec<JoinHandle<Member>>,
}

/// What is being checked.
type Checking = JoinHandle<(u64, Counted, Verdict<Call, Answer>)>;

/// How often each answer was given.
type Counted = rt::HashMap<&'static str, u64>;

impl Crowd {
    /// One that does what follows from `seed`, 100,000 operations, with chaos.
    pub const fn new(seed: u64) -> Self {
        Self { seed, operations: 100_000, chaos: true }
    }

    /// With so many operations, and a few more until everybody is done.
    #[must_use]
    pub const fn operations(mut self, operations: u64) -> Self {
        self.operations = operations;
        self
    }

    /// Whether clients stop for a moment now and then, before and after what they do: it lets others in
    /// where they rarely come. Without, there is more of it in the same time.
    #[must_use]
    pub const fn chaos(mut self, chaos: bool) -> Self {
        self.chaos = chaos;
        self
    }

    /// Lets the crowd loose on a supervisor that stands on `store`, which is to be empty; and closes it.
    ///
    /// # Panics
    ///
    /// If the supervisor cannot be started or shut down, and if it is not called on a runtime.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the clients finish what they are at, and nothing is checked.
    pub async fn run(self, store: impl Store) -> CrowdReport {
        let mut config = Config::default();
        config.idle.max_live = MAX_LIVE;
        config.idle.check_every = Duration::from_millis(10);
        config.tombstones.max_in_memory = 10_000;
        let builder = Supervisor::builder().store(store).config(config);
        let supervisor: Supervisor = builder.start().await.expect("a supervisor on an empty store");
        let mut report = CrowdReport::new(self.seed);
        let mut dice = Dice::new(self.seed);
        let mut checking: Option<Checking> = None;
        while report.is_going_on(self.operations) {
            let round = self.round(&supervisor, &mut dice, report.histories);
            let Some(history) = round.finish(&mut report).await else { break };
            report.histories += 1;
            // The last one is checked while the next one is made.
            if let Some(checked) = checking.replace(judge(history)) {
                report.add(checked.await);
            }
            if report.histories.is_multiple_of(SETTLED_EVERY) {
                report.settled(settled(&supervisor).await);
            }
        }
        if let Some(checked) = checking {
            report.add(checked.await);
        }
        report.settled(settled(&supervisor).await);
        report.unloaded = supervisor.counts().unloaded;
        if report.hung.is_none() {
            let ended = supervisor.shutdown(HUNG_AFTER).await;
            ended.expect("a store that works is closed");
        }
        report
    }

    /// Starts everybody on names that nobody has used.
    fn round(&self, supervisor: &Supervisor, dice: &mut Dice, number: u64) -> Round {
        let seed = self.seed;
        let names: Vec<Name> = (0..=dice.below(MAX_NAMES))
            .map(|at| match at % 3 {
                2 => Name::Key(
                    SessionKey::builder("crowd")
                        .chat(&format!("{seed}-{number}-{at}"))
                        .build()
                        .expect("a short text is a segment"),
                ),
                _ => Name::Id(
                    SessionId::new(&format!("{seed}-{number}-{at}"))
                        .expect("digits and dashes are an id"),
                ),
            })
            .collect();
        let interrupts = dice.below(2) == 0;
        let recorder = Recorder::new();
        let spawner = Spawner::current().expect("a crowd is let loose on a runtime");
        let members = (0..MEMBERS).map(|at| {
            let member = Member {
                supervisor: supervisor.clone(),
                names: names.clone(),
                client: recorder.client(),
                dice: Dice::new(dice.draw()),
                chaos: self.chaos,
                interrupts,
                handles: vec![Vec::new(); names.len()],
                records: vec![None; names.len()],
                ticket: at << 32,
            };
            spawner.spawn(member.live(OPERATIONS))
        });
        let members = members.collect();
        Round { names, recorder, members }
    }
}

impl Round {
    /// Waits for everybody, then until nothing is under way, and looks at what is left; `None` if it hangs.
    async fn finish(self, report: &mut CrowdReport) -> Option<Vec<Operation<Call, Answer>>> {
        let Self { names, recorder, members } = self;
        let mut there = Vec::new();
        let all = async {
            for member in members {
                there.push(member.await);
            }
        };
        if rt::timeout(HUNG_AFTER, all).await.is_err() {
            report.hung = Some(format!("{:#?}", recorder.under_way()));
            return None;
        }
        let mut newest: Vec<Option<Handle>> = vec![None; names.len()];
        for member in there {
            let member: Member = match member {
                Ok(member) => member,
                Err(panicked) => {
                    report.hung = Some(format!("a client: {panicked}"));
                    return None;
                }
            };
            for (name, handle) in member.handles.into_iter().enumerate().flat_map(flatten) {
                let known = newest.get_mut(name)?;
                if known.as_ref().is_none_or(|known| known.life < handle.life) {
                    *known = Some(handle);
                }
            }
        }
        let rests = |handle: &Handle| {
            let status = handle.session.status();
            !status.is_busy() && status.queued == 0 && status.unwritten == 0
        };
        if !comes_true(|| newest.iter().flatten().all(rests)).await {
            let left: Vec<_> = newest.iter().flatten().map(|it| it.session.status()).collect();
            report.hung = Some(format!("a session never comes to rest: {left:#?}"));
            return None;
        }
        let looker = recorder.client();
        for (name, handle) in newest.into_iter().enumerate() {
            let Some(Handle { session, life }) = handle else { continue };
            let pending = looker.call(Call { name, what: What::Rest { life } });
            let answer = match session.record().await {
                Ok(record) if record.open.is_empty() => {
                    Answer::Rests { version: record.version, seq: record.next_seq - 1 }
                }
                Ok(record) => Answer::Odd(format!("{record:?}")),
                Err(error) => answers::refused(&error, life),
            };
            looker.answer(pending, answer);
        }
        Some(recorder.take())
    }
}

/// Each of a name's handles, with the name.
fn flatten((name, handles): (usize, Vec<Handle>)) -> impl Iterator<Item = (usize, Handle)> {
    handles.into_iter().map(move |handle| (name, handle))
}

/// Checks a history, beside whatever else is done.
fn judge(history: Vec<Operation<Call, Answer>>) -> Checking {
    let spawner = Spawner::current().expect("a crowd is let loose on a runtime");
    spawner.spawn(async move {
        let operations = history.len() as u64;
        let mut counted = Counted::default();
        for answer in history.iter().filter_map(|operation| operation.answer.as_ref()) {
            *counted.entry(answer.name()).or_default() += 1;
        }
        (operations, counted, check(&Sessions, history))
    })
}

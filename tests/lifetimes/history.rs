//! What is played: settings, and steps by somebody who does everything in any order.

use std::fmt;
use std::time::Duration;

use proptest::prelude::*;
use session_supervisor::{Config, ExpiryAction, ExpiryRules};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The keys that are opened; the platform of a key is a class.
pub(crate) const KEYS: [&str; 3] = ["irc/chat=a", "irc/chat=b", "web/user=c"];

/// The classes that are asked for by name.
pub(crate) const CLASSES: [&str; 2] = ["night", "web"];

/// Where conversations are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    /// In memory, but every answer has to be awaited.
    Pending,
    Sqlite,
}

/// What is set. Times are in milliseconds.
#[derive(Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) all: ExpiryRules,
    pub(crate) classes: Vec<(&'static str, ExpiryRules)>,
    pub(crate) prune_every: u64,
    pub(crate) attempts: u32,
    pub(crate) delete_closed_after: u64,
    pub(crate) unload_after: u64,
    pub(crate) max_live: usize,
    /// Whether the host has a hook.
    pub(crate) hook: bool,
}

impl Settings {
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default();
        config.expiry = self.all.clone();
        for (class, rules) in &self.classes {
            config.classes.entry((*class).to_owned()).or_default().expiry = rules.clone();
        }
        config.prune.every = Duration::from_millis(self.prune_every);
        config.prune.finalize_attempts = self.attempts;
        config.prune.delete_closed_after = Duration::from_millis(self.delete_closed_after);
        config.recovery.max_restarts = 0;
        config.idle.unload_after = Duration::from_millis(self.unload_after);
        config.idle.max_live = self.max_live;
        config
    }
}

/// What the host's hook does with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Nothing is against it.
    Well,
    /// It keeps the session. To the last rites it is [`Mood::Well`].
    Keeps,
    Fails,
    Panics,
    Hangs,
}

/// How a turn is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Commit,
    FailKeep,
    FailDrop,
    Drop,
}

/// What is begun while another turn runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Reject,
    Queue,
    Parallel,
}

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Append,
    Insert,
    Label,
}

/// What is done about the standing of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Suspend,
    Resume,
    Archive,
    Restore,
    End,
}

/// How one run of the process is followed by the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// In good order.
    Shutdown,
    /// Nothing that it still does reaches the store.
    Crash,
}

/// One step. Sessions and turns are named by numbers, modulo how many there are.
#[derive(Clone, PartialEq)]
pub(crate) enum Step {
    Open {
        key: u8,
        class: Option<u8>,
        own: Option<ExpiryRules>,
    },
    Create {
        class: Option<u8>,
        own: Option<ExpiryRules>,
    },
    Reset {
        key: u8,
        class: Option<u8>,
    },
    /// Opens a key and begins a turn.
    Say {
        key: u8,
    },
    Begin {
        who: u8,
        policy: Policy,
    },
    Finish {
        turn: u8,
        how: Finish,
    },
    Change {
        who: u8,
        what: Change,
    },
    /// Somebody is there.
    Touch {
        who: u8,
    },
    /// Takes a lease.
    Lease {
        who: u8,
        millis: u64,
    },
    Renew {
        lease: u8,
        millis: u64,
    },
    Release {
        lease: u8,
    },
    /// Whatever only looks.
    Look {
        who: u8,
    },
    LookUp {
        who: u8,
    },
    /// Tells all turns of a session to end.
    Cancel {
        who: u8,
    },
    Verb {
        who: u8,
        verb: Verb,
    },
    Pin {
        who: u8,
        pinned: bool,
    },
    Rules {
        who: u8,
        own: Option<ExpiryRules>,
    },
    /// Lets a key lead to a session.
    Rebind {
        key: u8,
        who: u8,
    },
    Unbind {
        key: u8,
    },
    Delete {
        who: u8,
    },
    /// Time passes.
    Wait {
        millis: u64,
    },
    /// Time passes, up to `late` milliseconds after the session's time is over.
    Edge {
        who: u8,
        late: i8,
    },
    /// The wall clock jumps.
    Jump {
        millis: i64,
    },
    /// The hook does other things with the two questions.
    Mood {
        keeps: Mood,
        rites: Mood,
    },
    Prune {
        dry: bool,
    },
    Explain {
        who: u8,
    },
    Restart {
        how: Stop,
        away: u64,
        settings: Option<Box<Settings>>,
    },
    /// What follows on that; not generated.
    Started,
}

/// All that is played.
#[derive(Clone, PartialEq)]
pub(crate) struct History {
    pub(crate) kind: Kind,
    pub(crate) settings: Settings,
    /// What the wall clock shows first.
    pub(crate) wall: u64,
    /// Whether everything is explained after each step.
    pub(crate) watched: bool,
    pub(crate) steps: Vec<Step>,
}

fn chance<T: Clone + fmt::Debug + 'static>(
    most: &[T],
) -> impl Strategy<Value = T> + Clone + use<T> {
    proptest::sample::select(most.to_vec())
}

fn rules() -> impl Strategy<Value = ExpiryRules> {
    let idle = [None, None, Some(0), Some(10 * MINUTE), Some(HOUR), Some(30 * DAY)];
    let age = [None, None, None, Some(0), Some(2 * HOUR), Some(3 * DAY), Some(60 * DAY)];
    let calendar = [
        None,
        None,
        None,
        Some("never"),
        Some("04:00 Europe/Berlin"),
        Some("02:30 Europe/Berlin"),
        Some("01:30 America/New_York"),
        Some("monday 00:00 Australia/Lord_Howe"),
    ];
    let action = [None, None, Some(ExpiryAction::Archive), Some(ExpiryAction::Delete)];
    (chance(&idle), chance(&age), chance(&calendar), chance(&action)).prop_map(
        |(idle, age, calendar, action)| {
            let mut rules = ExpiryRules::default();
            rules.idle = idle.map(Duration::from_millis);
            rules.age = age.map(Duration::from_millis);
            rules.calendar = calendar.map(|it| it.parse().unwrap());
            rules.action = action;
            rules
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    let classes = ["irc", "night", "web"].map(|class| {
        proptest::option::weighted(0.4, rules().prop_map(move |rules| (class, rules)))
    });
    (
        (rules(), classes),
        chance(&[0, 0, 6 * HOUR]),
        1..=3_u32,
        chance(&[0, 0, 2 * DAY]),
        chance(&[0, MINUTE, 15 * MINUTE]),
        chance(&[0, 0, 1, 2]),
        any::<bool>(),
    )
        .prop_map(
            |((all, classes), every, attempts, delete_closed_after, unload_after, max, hook)| {
                Settings {
                    all,
                    classes: classes.into_iter().flatten().collect(),
                    prune_every: every,
                    attempts,
                    delete_closed_after,
                    unload_after,
                    max_live: max,
                    hook,
                }
            },
        )
}

fn wait() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => chance(&[1, SECOND, MINUTE, 10 * MINUTE, HOUR]),
        2 => chance(&[2 * HOUR, 6 * HOUR, DAY, 2 * DAY]),
        1 => chance(&[7 * DAY, 29 * DAY, 30 * DAY, 100 * DAY]),
        1 => 1..3 * DAY,
    ]
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        3 => Just(Mood::Well),
        1 => chance(&[Mood::Keeps, Mood::Fails, Mood::Panics, Mood::Hangs]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..3_u8;
    let who = || any::<u8>();
    let class = || proptest::option::weighted(0.3, 0..2_u8);
    let own = || proptest::option::weighted(0.3, rules());
    let jump = chance(&[HOUR, DAY, 40 * DAY]);
    let verb = chance(&[Verb::Suspend, Verb::Resume, Verb::Archive, Verb::Restore, Verb::End]);
    let change = chance(&[Change::Append, Change::Insert, Change::Label]);
    let lasts = chance(&[MINUTE, 2 * HOUR, DAY]);
    let finish = chance(&[Finish::Commit, Finish::FailKeep, Finish::FailDrop, Finish::Drop]);
    let policy = chance(&[Policy::Reject, Policy::Queue, Policy::Parallel]);
    let restart = (
        chance(&[Stop::Shutdown, Stop::Crash]),
        prop_oneof![Just(0), wait()],
        proptest::option::weighted(0.5, settings().prop_map(Box::new)),
    );
    prop_oneof![
        8 => (key(), class(), own()).prop_map(|(key, class, own)| Step::Open { key, class, own }),
        2 => (class(), own()).prop_map(|(class, own)| Step::Create { class, own }),
        2 => (key(), class()).prop_map(|(key, class)| Step::Reset { key, class }),
        4 => key().prop_map(|key| Step::Say { key }),
        6 => (who(), policy).prop_map(|(who, policy)| Step::Begin { who, policy }),
        8 => (who(), finish).prop_map(|(turn, how)| Step::Finish { turn, how }),
        5 => (who(), change).prop_map(|(who, what)| Step::Change { who, what }),
        3 => who().prop_map(|who| Step::Touch { who }),
        3 => (who(), lasts.clone()).prop_map(|(who, millis)| Step::Lease { who, millis }),
        1 => (who(), lasts).prop_map(|(lease, millis)| Step::Renew { lease, millis }),
        2 => who().prop_map(|lease| Step::Release { lease }),
        2 => who().prop_map(|who| Step::Look { who }),
        2 => who().prop_map(|who| Step::LookUp { who }),
        2 => who().prop_map(|who| Step::Cancel { who }),
        7 => (who(), verb).prop_map(|(who, verb)| Step::Verb { who, verb }),
        3 => (who(), any::<bool>()).prop_map(|(who, pinned)| Step::Pin { who, pinned }),
        3 => (who(), own()).prop_map(|(who, own)| Step::Rules { who, own }),
        1 => (key(), who()).prop_map(|(key, who)| Step::Rebind { key, who }),
        1 => key().prop_map(|key| Step::Unbind { key }),
        2 => who().prop_map(|who| Step::Delete { who }),
        10 => wait().prop_map(|millis| Step::Wait { millis }),
        10 => (who(), -1..=1_i8).prop_map(|(who, late)| Step::Edge { who, late }),
        2 => (jump, proptest::bool::weighted(0.3)).prop_map(|(millis, back)| {
            let millis = i64::try_from(millis).unwrap();
            Step::Jump { millis: if back { -millis } else { millis } }
        }),
        3 => (mood(), mood()).prop_map(|(keeps, rites)| Step::Mood { keeps, rites }),
        5 => any::<bool>().prop_map(|dry| Step::Prune { dry }),
        3 => who().prop_map(|who| Step::Explain { who }),
        4 => restart.prop_map(|(how, away, settings)| Step::Restart { how, away, settings }),
    ]
}

/// Histories of up to `steps` steps.
pub(crate) fn history(kinds: &'static [Kind], steps: usize) -> impl Strategy<Value = History> {
    // Around days on which clocks are put forward or back.
    let days = ["2030-03-29", "2030-06-14", "2030-10-25", "2030-11-01"].map(|day| {
        let at: jiff::Timestamp = format!("{day}T12:00:00Z").parse().unwrap();
        u64::try_from(at.as_millisecond()).unwrap()
    });
    let steps = proptest::collection::vec(step(), 1..steps);
    (chance(kinds), settings(), chance(&days), any::<bool>(), steps).prop_map(
        |(kind, settings, wall, watched, steps)| History { kind, settings, wall, watched, steps },
    )
}

/// A time as people write it.
pub(crate) fn time(millis: u64) -> String {
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}

/// Rules as people write them.
fn written(rules: &ExpiryRules) -> String {
    let mut words = Vec::new();
    let clock = |it: Option<Duration>| it.map(|it| humantime::format_duration(it).to_string());
    words.extend(clock(rules.idle).map(|it| format!("idle {it}")));
    words.extend(clock(rules.age).map(|it| format!("age {it}")));
    words.extend(rules.calendar.as_ref().map(|it| format!("at {it:#}", it = it.to_string())));
    words.extend(rules.action.map(|it| format!("then {it:?}")));
    format!("[{}]", words.join(", "))
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all {}", written(&self.all))?;
        for (class, rules) in &self.classes {
            write!(f, ", {class} {}", written(rules))?;
        }
        write!(f, ", a pass every {}", time(self.prune_every))?;
        if self.delete_closed_after > 0 {
            write!(f, ", closed ones deleted after {}", time(self.delete_closed_after))?;
        }
        write!(f, ", unloaded after {}, {} loaded", time(self.unload_after), self.max_live)?;
        if self.hook {
            write!(f, ", a hook with {} attempts", self.attempts)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let new = |f: &mut fmt::Formatter<'_>, class: &Option<u8>, own: Option<&ExpiryRules>| {
            if let Some(class) = class {
                write!(f, ", of class {}", CLASSES[usize::from(*class)])?;
            }
            own.map_or(Ok(()), |own| write!(f, ", with its own {}", written(own)))
        };
        match self {
            Self::Open { key, class, own } => {
                write!(f, "open {}", KEYS[usize::from(*key)])?;
                new(f, class, own.as_ref())
            }
            Self::Create { class, own } => {
                write!(f, "create")?;
                new(f, class, own.as_ref())
            }
            Self::Reset { key, class } => {
                write!(f, "reset {}", KEYS[usize::from(*key)])?;
                new(f, class, None)
            }
            Self::Say { key } => write!(f, "say something to {}", KEYS[usize::from(*key)]),
            Self::Begin { who, policy } => write!(f, "begin in #{who}, {policy:?}"),
            Self::Finish { turn, how } => write!(f, "end turn {turn}: {how:?}"),
            Self::Change { who, what } => write!(f, "{what:?} to #{who}"),
            Self::Touch { who } => write!(f, "touch #{who}"),
            Self::Lease { who, millis } => write!(f, "lease #{who} for {}", time(*millis)),
            Self::Renew { lease, millis } => write!(f, "renew lease {lease} for {}", time(*millis)),
            Self::Release { lease } => write!(f, "release lease {lease}"),
            Self::Look { who } => write!(f, "look at #{who}"),
            Self::LookUp { who } => write!(f, "look up #{who}"),
            Self::Cancel { who } => write!(f, "cancel the turns of #{who}"),
            Self::Verb { who, verb } => write!(f, "{verb:?} #{who}"),
            Self::Pin { who, pinned: true } => write!(f, "pin #{who}"),
            Self::Pin { who, pinned: false } => write!(f, "unpin #{who}"),
            Self::Rules { who, own: Some(own) } => write!(f, "give #{who} {}", written(own)),
            Self::Rules { who, own: None } => write!(f, "take the rules of #{who}"),
            Self::Rebind { key, who } => write!(f, "bind {} to #{who}", KEYS[usize::from(*key)]),
            Self::Unbind { key } => write!(f, "unbind {}", KEYS[usize::from(*key)]),
            Self::Delete { who } => write!(f, "delete #{who}"),
            Self::Wait { millis } => write!(f, "wait {}", time(*millis)),
            Self::Edge { who, late } => write!(f, "wait for the end of #{who}, {late:+} ms"),
            Self::Jump { millis } => {
                let where_to = if *millis < 0 { "back" } else { "forward" };
                write!(f, "the wall clock goes {where_to} by {}", time(millis.unsigned_abs()))
            }
            Self::Mood { keeps, rites } => write!(f, "the hook: {keeps:?}, last rites {rites:?}"),
            Self::Prune { dry: true } => write!(f, "a pass that only looks"),
            Self::Prune { dry: false } => write!(f, "a pass"),
            Self::Explain { who } => write!(f, "explain #{who}"),
            Self::Restart { how, away, settings } => {
                write!(f, "{how:?}, and a start {} later", time(*away))?;
                settings.as_ref().map_or(Ok(()), |it| write!(f, " with {it:?}"))
            }
            Self::Started => write!(f, "started"),
        }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wall = session_supervisor::Timestamp::from_millis(self.wall);
        writeln!(f, "on {:?} at {wall}: {:?}", self.kind, self.settings)?;
        for (at, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {at:2} {step:?}")?;
        }
        Ok(())
    }
}

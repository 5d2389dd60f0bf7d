//! What has to come of a history, written from what is promised and not from how it is done.
//!
//! A session is nothing but the list of what has happened to it; whatever is asked of it is made out from
//! the whole list, each time anew. Times are exact, to the millisecond. Only where the wall clock was put
//! back the age of a session is not known exactly: what is stored has times of that clock. Then it lies
//! between two bounds, and what depends on it is taken from what was seen, if that is within them.

use session_supervisor::{
    EndReason, ExpiryAction, ExpiryClock, ExpiryRules, Fate, GoneReason, KeptBy, RebindReason,
    Standing, Timestamp,
};

use crate::history::{KEYS, Mood, Settings, Step};

/// How long a turn that was told to end has.
pub(crate) const GRACE: i64 = 5_000;

/// How long a deleted id says so, at least.
pub(crate) const TOMBSTONES: i64 = 24 * 3_600_000;

/// What the clocks show, in milliseconds: how long the process runs, and the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reading {
    /// Which run of the process.
    pub(crate) run: usize,
    pub(crate) moment: i64,
    pub(crate) wall: i64,
}

/// What was asked of the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Whether it keeps the session.
    Keeps,
    /// Its last rites.
    Rites,
}

/// A call of the hook, with what it was told and did.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) who: usize,
    pub(crate) question: Question,
    pub(crate) clock: ExpiryClock,
    pub(crate) last_active: i64,
    pub(crate) mood: Mood,
}

/// What the store has under an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Live {
        standing: Standing,
        last_active: i64,
        created: i64,
        open: usize,
        pinned: bool,
        own: Option<ExpiryRules>,
        class: String,
        previous: Option<(usize, RebindReason)>,
        crashes: u32,
    },
    Gone {
        reason: GoneReason,
        at: i64,
        until: i64,
    },
    Unknown,
}

/// Why something was refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    Inactive(Standing),
    Gone(GoneReason),
    Unknown,
    Busy,
    Closing,
    /// It was told to end while it waited.
    Told,
    Other(String),
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    /// There was nobody to do it with.
    Skipped,
    /// There was no answer at all.
    Nothing,
    Done,
    /// What was opened, whether it was created for it, what was told of the one before; and what the
    /// session says of that itself.
    Opened {
        who: usize,
        created: bool,
        previous: Option<(usize, RebindReason)>,
        says: Option<(usize, RebindReason)>,
    },
    /// A begin got its turn.
    Begun,
    /// A begin waits.
    Waits,
    Refused(Refusal),
    /// A turn's end was taken as it was meant.
    Ended,
    /// A turn's reply lost against another one's.
    Lost,
    /// A turn's end came too late.
    Late,
    Deleted,
    AlreadyGone(GoneReason),
    Found,
    Report(Report),
    Explained(Option<Account>),
}

/// What a pass says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) expired: Vec<(usize, ExpiryClock, i64)>,
    pub(crate) kept: Vec<(usize, Vec<KeptBy>)>,
    pub(crate) deleted: usize,
    pub(crate) failures: Vec<String>,
}

/// What is explained of a session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Account {
    pub(crate) class: String,
    pub(crate) standing: Standing,
    pub(crate) fate: Fate,
    pub(crate) kept_by: Vec<KeptBy>,
    pub(crate) action: ExpiryAction,
}

/// One step as it was played.
#[derive(Debug)]
pub(crate) struct Played<'a> {
    pub(crate) step: &'a Step,
    /// Which session it was about, if it named one.
    pub(crate) who: Option<usize>,
    /// The number of the begin it made, or of the turn that it ended; or of the lease.
    pub(crate) begin: usize,
    pub(crate) before: Reading,
    /// When it was answered.
    pub(crate) after: Reading,
    /// When nothing was left to be done.
    pub(crate) settled: Reading,
    pub(crate) told: Told,
    /// What came of begins that had waited.
    pub(crate) answered: Vec<(usize, Told)>,
    pub(crate) asked: Vec<Asked>,
    /// What the store has by now, of each session.
    pub(crate) rows: Vec<Row>,
    /// And to which each key leads.
    pub(crate) keys: Vec<Option<usize>>,
    /// Which are explained how by now; those that may be asked without doing anything.
    pub(crate) accounts: Vec<(usize, Option<Account>)>,
}

/// What has happened to a session.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Created,
    Used,
    /// Used by somebody for whom nothing was stored yet: a touch, or the begin or the end of a lease.
    Noted,
    Stands(Standing),
    Pinned(bool),
    Own(Option<ExpiryRules>),
    RitesFailed,
    /// The hook has kept it.
    Spared,
    /// A start after a crash found it in the middle of a turn.
    Crashed,
    Committed,
    Gone(GoneReason),
}

/// A turn that somebody holds.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// Of which begin it came.
    pub(crate) begin: usize,
    /// When it was told to end.
    pub(crate) told: Option<Reading>,
    /// Whether it was ended over its holder's head.
    pub(crate) fenced: bool,
}

/// A lease that was taken and not given back.
#[derive(Clone, Debug)]
pub(crate) struct Leased {
    pub(crate) number: usize,
    /// The moment when it is over.
    pub(crate) until: i64,
}

/// A session.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) class: String,
    pub(crate) previous: Option<(usize, RebindReason)>,
    pub(crate) history: Vec<(Reading, Event)>,
    pub(crate) turns: Vec<Open>,
    /// The begins that wait, in order, and whether they may run beside others.
    pub(crate) waiting: Vec<(usize, bool)>,
    pub(crate) leases: Vec<Leased>,
    /// What the store had as its last use when it was seen last.
    pub(crate) stored: i64,
    /// Whether the store has forgotten that it is gone.
    pub(crate) forgotten: bool,
    /// Whether turns have run beside each other in it.
    pub(crate) parallel: bool,
}

/// A run of the process.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) settings: Settings,
    pub(crate) start: Reading,
    pub(crate) jumps: Vec<i64>,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) runs: Vec<Run>,
    pub(crate) lives: Vec<Life>,
    pub(crate) keys: Vec<Option<usize>>,
    pub(crate) moods: (Mood, Mood),
}

/// What is wrong.
pub(crate) type Wrong = String;

/// Says what is wrong, unless something holds.
macro_rules! demand {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

pub(crate) use demand;

/// How long something takes at least, and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) least: i64,
    pub(crate) most: i64,
}

/// Whether it has to be found out that a session's time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Must {
    /// By whoever uses it, and by a pass.
    Yes,
    /// It may be.
    May,
    /// Somebody only looks.
    Never,
}

/// What came of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its time is not over.
    GoesOn,
    /// It is, and the session was ended.
    Ended,
    /// It is, and something keeps the session.
    Kept,
}

impl World {
    pub(crate) fn new() -> Self {
        let keys = KEYS.map(|_| None).to_vec();
        Self { runs: Vec::new(), lives: Vec::new(), keys, moods: (Mood::Well, Mood::Well) }
    }

    /// A run of the process begins.
    pub(crate) fn start(&mut self, settings: Settings, start: Reading) {
        self.runs.push(Run { settings, start, jumps: Vec::new() });
    }

    pub(crate) fn jump(&mut self, millis: i64) {
        self.runs.last_mut().unwrap().jumps.push(millis);
    }

    pub(crate) fn set_moods(&mut self, moods: (Mood, Mood)) {
        self.moods = moods;
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.runs.last().unwrap().settings
    }
}

pub(crate) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap()
}

pub(crate) fn stamp(at: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(at).unwrap())
}

pub(crate) fn archived(reason: EndReason, at: i64) -> Standing {
    Standing::Archived { reason, at: stamp(at) }
}

//! What has to come of a history, written from what is promised and not from how it is done.
//!
//! A session is nothing but the list of what has happened to it; whatever is asked of it is made out from
//! the whole list, each time anew. Times are exact, to the millisecond. Only where the wall clock was put
//! back the age of a session is not known exactly: what is stored has times of that clock. Then it lies
//! between two bounds, and what depends on it is taken from what was seen, if that is within them.

use jiff::civil;
use jiff::tz::TimeZone;
use session_supervisor::{
    EndReason, ExpiryAction, ExpiryClock, ExpiryRules, Fate, GoneReason, KeptBy, RebindReason,
    Standing, Timestamp,
};

use crate::history::{KEYS, Mood, Settings, Step, Verb};

/// How long a turn that was told to end has.
pub(crate) const GRACE: i64 = 5_000;

/// For how long at most nobody has to ask the hook again.
const SPARED_FOR: i64 = 60_000;

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
    /// What the wall clock was to show then.
    pub(crate) wall: i64,
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

impl Life {
    pub(crate) fn last<T>(&self, mut which: impl FnMut(Reading, &Event) -> Option<T>) -> Option<T> {
        self.history.iter().rev().find_map(|(at, event)| which(*at, event))
    }

    pub(crate) fn created(&self) -> Reading {
        self.history[0].0
    }

    pub(crate) fn last_used(&self) -> Reading {
        let is_use = |event: &Event| matches!(event, Event::Created | Event::Used | Event::Noted);
        self.last(|at, event| is_use(event).then_some(at)).unwrap()
    }

    /// What may be stored as its last use, oldest first.
    pub(crate) fn stored_uses(&self) -> Vec<i64> {
        let mut uses = Vec::new();
        for (at, event) in &self.history {
            match event {
                Event::Created | Event::Used => uses = vec![at.wall],
                Event::Noted => uses.push(at.wall),
                _ => {}
            }
        }
        uses
    }

    /// Takes back what was noted of its use and not stored, if this was.
    pub(crate) fn forget_noted(&mut self, stored: i64) {
        self.history.retain(|(at, event)| !matches!(event, Event::Noted) || at.wall <= stored);
    }

    pub(crate) fn standing(&self) -> (Reading, Standing) {
        let stands = |at, event: &Event| match event {
            Event::Stands(standing) => Some((at, *standing)),
            Event::Created => Some((at, Standing::Active)),
            _ => None,
        };
        self.last(stands).unwrap()
    }

    pub(crate) fn is_active(&self) -> bool {
        self.gone().is_none() && self.standing().1.is_active()
    }

    pub(crate) fn gone(&self) -> Option<(Reading, GoneReason)> {
        self.last(|at, event| match event {
            Event::Gone(reason) => Some((at, *reason)),
            _ => None,
        })
    }

    pub(crate) fn pinned(&self) -> bool {
        let pinned = |_, event: &Event| match event {
            Event::Pinned(pinned) => Some(*pinned),
            _ => None,
        };
        self.last(pinned).unwrap_or(false)
    }

    pub(crate) fn own(&self) -> Option<ExpiryRules> {
        let own = |_, event: &Event| match event {
            Event::Own(own) => Some(own.clone()),
            _ => None,
        };
        self.last(own).flatten()
    }

    /// How often in a row, in this run, its last rites have failed.
    pub(crate) fn rites_failed(&self, run: usize) -> usize {
        let mut failed = 0;
        for (at, event) in &self.history {
            match event {
                Event::RitesFailed if at.run == run => failed += 1,
                Event::Stands(_) => failed = 0,
                _ => {}
            }
        }
        failed
    }

    /// How many crashes in a row were found in the middle of a turn of it.
    pub(crate) fn crashes(&self) -> usize {
        let events = self.history.iter().rev().map(|(_, event)| event);
        let over =
            |event: &&Event| matches!(event, Event::Committed | Event::Stands(Standing::Active));
        let since = events.take_while(|event| !over(event));
        since.filter(|event| matches!(event, Event::Crashed)).count()
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.turns.iter().any(|turn| !turn.fenced)
    }

    /// What keeps it from ending, of what is known here.
    pub(crate) fn vetoes(&self) -> Vec<KeptBy> {
        let vetoes = [
            (KeptBy::Turn, self.is_busy()),
            (KeptBy::Waiting, !self.waiting.is_empty()),
            (KeptBy::Fenced, self.turns.iter().any(|turn| turn.fenced)),
            (KeptBy::Leased, !self.leases.is_empty()),
            (KeptBy::Pinned, self.pinned()),
        ];
        vetoes.into_iter().filter(|(_, keeps)| *keeps).map(|(veto, _)| veto).collect()
    }

    /// Ends its turns over their holders' heads.
    pub(crate) fn fence(&mut self) {
        for turn in &mut self.turns {
            turn.fenced = true;
        }
    }
}

/// The first time after `wall` at which conversations end by a calendar, as it is written.
pub(crate) fn boundary(calendar: &str, wall: i64) -> Option<i64> {
    let words: Vec<&str> = calendar.split(' ').collect();
    let (day, time, zone) = match words[..] {
        ["never"] => return None,
        [time, zone] => (None, time, zone),
        [day, time, zone] => (Some(day), time, zone),
        _ => panic!("{calendar}"),
    };
    let zone = TimeZone::get(zone).unwrap();
    let time: civil::Time = format!("{time}:00").parse().unwrap();
    let at = |millis: i64| jiff::Timestamp::from_millisecond(millis).unwrap();
    let offset = |millis: i64| i64::from(zone.to_offset(at(millis)).seconds()) * 1_000;
    let midnight_utc = wall.div_euclid(86_400_000) * 86_400_000;
    (-2..12).find_map(|days| {
        let utc = midnight_utc + days * 86_400_000;
        let date = at(utc).to_zoned(TimeZone::UTC).date();
        let name = format!("{:?}", date.weekday()).to_lowercase();
        if day.is_some_and(|day| day != name) {
            return None;
        }
        let local = utc + i64::from(time.hour()) * 3_600_000 + i64::from(time.minute()) * 60_000;
        // Whatever the clocks there may be ahead by, around that day; where it is twice, the first; where
        // it is not at all, as if they had not been put forward yet.
        let (before, after) = (offset(local - 36 * 3_600_000), offset(local + 36 * 3_600_000));
        let shown = |it: &i64| it + offset(*it) == local;
        let first = [local - before, local - after].into_iter().filter(shown).min();
        Some(first.unwrap_or(local - before)).filter(|it| *it > wall)
    })
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

    /// How long ago something was.
    pub(crate) fn age(&self, then: Reading, now: Reading) -> Span {
        let run = &self.runs[now.run];
        // Time in this run is known; of what was before it, what the wall clock says, and that cannot be
        // less than nothing.
        let (least, most) = if then.run == now.run {
            (now.moment - then.moment, now.moment - then.moment)
        } else {
            let before = run.start.wall - then.wall;
            // Stored by a clock that was ahead of this one's: the wall clock alone can tell.
            let most = if before < 0 { now.wall - then.wall } else { 0 };
            (before + now.moment, most.max(before.max(0) + now.moment))
        };
        let back = run.jumps.iter().any(|jump| *jump < 0);
        let lost: i64 = if back { run.jumps.iter().map(|jump| jump.abs()).sum() } else { 0 };
        Span { least: (least - lost).max(0), most }
    }

    /// What counts for a session: its own, what is set for its class, and for all, clock by clock.
    pub(crate) fn rules(
        &self,
        life: &Life,
    ) -> (Vec<(ExpiryClock, i64)>, Option<String>, ExpiryAction) {
        let settings = self.settings();
        let own = life.own();
        let class = settings.classes.iter().find(|(class, _)| *class == life.class);
        let levels = [own.as_ref(), class.map(|(_, rules)| rules), Some(&settings.all)];
        let levels: Vec<&ExpiryRules> = levels.into_iter().flatten().collect();
        let millis = |it: std::time::Duration| i64::try_from(it.as_millis()).unwrap();
        let idle = levels.iter().find_map(|rules| rules.idle).map_or(0, millis);
        let age = levels.iter().find_map(|rules| rules.age).map_or(0, millis);
        let calendar = levels.iter().find_map(|rules| rules.calendar.as_ref());
        let action = levels.iter().find_map(|rules| rules.action).unwrap_or(ExpiryAction::Archive);
        let clocks = [(ExpiryClock::Idle, idle), (ExpiryClock::Age, age)];
        let clocks = clocks.into_iter().filter(|(_, most)| *most > 0).collect();
        (clocks, calendar.map(ToString::to_string), action)
    }

    /// Each clock that counts, after how long it is over, and how long it has gone.
    pub(crate) fn clocks(&self, who: usize, now: Reading) -> Vec<(ExpiryClock, i64, Span)> {
        let life = &self.lives[who];
        let (spans, calendar, _) = self.rules(life);
        // While it is in use this says that its time is over, and the use keeps it; its end begins anew.
        let used = life.last_used();
        let idle = self.age(used, now);
        let age = self.age(life.created(), now);
        let calendar = calendar.and_then(|it| boundary(&it, used.wall)).map(|it| it - used.wall);
        let spans = spans
            .into_iter()
            .map(|(clock, most)| (clock, most, if clock == ExpiryClock::Age { age } else { idle }));
        spans.chain(calendar.map(|most| (ExpiryClock::Calendar, most, idle))).collect()
    }

    pub(crate) fn is_surely_over(&self, who: usize, now: Reading) -> bool {
        self.clocks(who, now).iter().any(|(_, most, gone)| gone.least >= *most)
    }

    pub(crate) fn may_be_over(&self, who: usize, now: Reading) -> bool {
        self.clocks(who, now).iter().any(|(_, most, gone)| gone.most >= *most)
    }

    /// In what time the session's is over, if that is known exactly.
    pub(crate) fn left(&self, who: usize, now: Reading) -> Option<i64> {
        let life = &self.lives[who];
        let clocks = self.clocks(who, now);
        let left = clocks.iter().map(|(_, most, gone)| most - gone.most).min();
        left.filter(|left| life.is_active() && *left > 0)
    }

    /// Whether the hook has kept it a moment ago, so that nobody has to ask again yet.
    pub(crate) fn is_spared(&self, who: usize, now: Reading) -> bool {
        let spared = |at: Reading, event: &Event| matches!(event, Event::Spared).then_some(at);
        let last = self.lives[who].last(spared).filter(|at| at.run == now.run);
        last.is_some_and(|at| now.moment - at.moment <= SPARED_FOR)
    }

    /// Whether the clock is one that was over first at some time from `from` to `to`.
    pub(crate) fn is_first_over(
        &self,
        who: usize,
        clock: ExpiryClock,
        from: Reading,
        to: Reading,
    ) -> bool {
        let over = |now: Reading| {
            let clocks = self.clocks(who, now);
            let since = |it: &(ExpiryClock, i64, Span)| it.2.most - it.1;
            let exact = clocks.iter().all(|(_, _, gone)| gone.least == gone.most);
            let first = clocks.iter().map(since).max();
            let mine = clocks.iter().find(|it| it.0 == clock).map(since);
            mine.is_some_and(|mine| mine >= 0 && (!exact || Some(mine) == first))
        };
        over(from) || over(to)
    }

    /// Whether a session was ended since it was seen last, as far as the store says, because its time was
    /// over: by which clock, and when.
    pub(crate) fn seen_ended(&self, who: usize, played: &Played<'_>) -> Option<(ExpiryClock, i64)> {
        let life = &self.lives[who];
        if !life.is_active() {
            return None;
        }
        let row = &played.rows[who];
        let last_used = life.last_used().wall;
        let hidden = match (played.step, row) {
            // It was over, and restored at once.
            (Step::Verb { verb: Verb::Restore, .. }, Row::Live { last_active, .. }) => {
                *last_active != last_used
            }
            // It is ended either way.
            (Step::Verb { verb: Verb::End, .. }, Row::Live { .. }) => true,
            _ => false,
        };
        let (_, _, action) = self.rules(life);
        if hidden && played.who == Some(who) && action == ExpiryAction::Archive {
            let clocks = self.clocks(who, played.settled).into_iter().map(|(clock, ..)| clock);
            let over = |clock: &ExpiryClock| {
                self.is_first_over(who, *clock, played.before, played.settled)
            };
            return clocks.filter(over).next().map(|clock| (clock, played.before.wall));
        }
        match row {
            Row::Live {
                standing: Standing::Archived { reason: EndReason::Expired(clock), at },
                ..
            } => Some((*clock, millis(*at))),
            Row::Gone { reason: GoneReason::Expired(clock), at, .. } => Some((*clock, *at)),
            _ => None,
        }
    }

    /// Finds out whether the session's time is over, and takes in what comes of it.
    pub(crate) fn find_out(
        &mut self,
        who: usize,
        played: &Played<'_>,
        must: Must,
    ) -> Result<Verdict, Wrong> {
        let (from, to) = (played.before, played.settled);
        let asked: Vec<&Asked> = played.asked.iter().filter(|asked| asked.who == who).collect();
        let life = &self.lives[who];
        let kept = !life.vetoes().is_empty();
        let may = life.is_active() && self.may_be_over(who, to);
        if !may || kept {
            demand!(asked.is_empty(), "#{who}: the hook was asked without need");
            let over = may && self.is_surely_over(who, from);
            return Ok(if over { Verdict::Kept } else { Verdict::GoesOn });
        }
        for question in &asked {
            let Asked { clock, last_active, .. } = question;
            let first = self.is_first_over(who, *clock, from, to);
            demand!(first, "#{who}: the hook was told of {clock:?}");
            let used = self.lives[who].last_used().wall;
            demand!(*last_active == used, "#{who}: the hook was told {last_active}, not {used}");
        }
        let seen = self.seen_ended(who, played);
        let surely = self.is_surely_over(who, from);
        let asks = self.settings().hook;
        let is_pass = matches!(played.step, Step::Prune { .. });
        let spared = !is_pass && self.is_spared(who, from);
        demand!(
            must != Must::Yes || !surely || !asks || !asked.is_empty() || spared,
            "#{who}: the hook was not asked"
        );
        let ended = if asks {
            self.ended_by_hook(who, played, &asked)?
        } else {
            (surely && must == Must::Yes) || seen.is_some()
        };
        if !ended || must == Must::Never {
            let kept = asked.iter().any(|asked| asked.mood != Mood::Well);
            if kept {
                self.lives[who].history.push((to, Event::Spared));
            }
            return Ok(if kept { Verdict::Kept } else { Verdict::GoesOn });
        }
        let Some((clock, at)) = seen else {
            return Err(format!("#{who}: its time is over, but there is {:?}", played.rows[who]));
        };
        demand!(from.wall <= at && at <= to.wall, "#{who}: ended at {at}, in {from:?} to {to:?}");
        demand!(self.is_first_over(who, clock, from, to), "#{who}: ended by {clock:?}");
        let (_, _, action) = self.rules(&self.lives[who]);
        let event = match action {
            ExpiryAction::Archive => Event::Stands(archived(EndReason::Expired(clock), at)),
            ExpiryAction::Delete => Event::Gone(GoneReason::Expired(clock)),
            _ => return Err(format!("unknown action {action:?}")),
        };
        let reading = Reading { moment: to.moment + at - to.wall, wall: at, ..to };
        self.lives[who].history.push((reading, event));
        self.unbind_gone(who);
        Ok(Verdict::Ended)
    }

    /// What the hook's answers came to.
    pub(crate) fn ended_by_hook(
        &mut self,
        who: usize,
        played: &Played<'_>,
        asked: &[&Asked],
    ) -> Result<bool, Wrong> {
        let attempts = usize::try_from(self.settings().attempts).unwrap();
        let looks = matches!(played.step, Step::Explain { .. } | Step::Prune { dry: true });
        let mut free = false;
        let mut ended = false;
        for question in asked {
            demand!(!ended, "#{who}: the hook was asked about what had been ended");
            match question.question {
                Question::Keeps => free = question.mood == Mood::Well,
                Question::Rites => {
                    demand!(free, "#{who}: last rites for what is kept");
                    demand!(!looks, "#{who}: last rites by somebody who only looks");
                    if question.mood != Mood::Well {
                        self.lives[who].history.push((played.before, Event::RitesFailed));
                    }
                    let failed = self.lives[who].rites_failed(played.before.run);
                    ended = question.mood == Mood::Well || failed >= attempts;
                    free = false;
                }
            }
        }
        demand!(!free || looks, "#{who}: no last rites");
        Ok(ended)
    }

    /// No key leads to what is gone.
    pub(crate) fn unbind_gone(&mut self, who: usize) {
        if self.lives[who].gone().is_some() {
            self.lives[who].fence();
            self.lives[who].leases.clear();
            for key in &mut self.keys {
                key.take_if(|bound| *bound == who);
            }
        }
    }

    /// The session is used in this step.
    pub(crate) fn used(&mut self, who: usize, played: &Played<'_>) -> Result<(), Wrong> {
        let (from, to) = (played.before, played.settled);
        let Row::Live { last_active, .. } = played.rows[who] else {
            return Err(format!("#{who} was used, and is {:?}", played.rows[who]));
        };
        demand!(
            from.wall <= last_active && last_active <= to.wall,
            "#{who}: used from {} to {}, not at {last_active}",
            from.wall,
            to.wall
        );
        let at = Reading { moment: to.moment + last_active - to.wall, wall: last_active, ..to };
        self.lives[who].history.push((at, Event::Used));
        Ok(())
    }

    /// The session may have been used in this step.
    pub(crate) fn perhaps_used(&mut self, who: usize, played: &Played<'_>) -> Result<(), Wrong> {
        let unchanged = self.lives[who].stored_uses();
        match played.rows[who] {
            Row::Live { last_active, .. } if !unchanged.contains(&last_active) => {
                self.used(who, played)
            }
            _ => Ok(()),
        }
    }

    /// Lets the first of those who wait have their turn.
    pub(crate) fn grant(
        &mut self,
        who: usize,
        played: &Played<'_>,
        answers: &mut Vec<(usize, Told)>,
    ) -> Result<(), Wrong> {
        loop {
            let life = &mut self.lives[who];
            let Some((begin, beside)) = life.waiting.first().copied() else { return Ok(()) };
            if life.is_busy() && !beside || !life.is_active() {
                return Ok(());
            }
            life.waiting.remove(0);
            life.turns.push(Open { begin, told: None, fenced: false });
            answers.push((begin, Told::Begun));
            self.used(who, played)?;
        }
    }

    /// Tells everybody who waits.
    pub(crate) fn refuse_waiting(
        &mut self,
        who: usize,
        why: &Refusal,
        answers: &mut Vec<(usize, Told)>,
    ) {
        let waiting = std::mem::take(&mut self.lives[who].waiting);
        answers.extend(waiting.into_iter().map(|(begin, _)| (begin, Told::Refused(why.clone()))));
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

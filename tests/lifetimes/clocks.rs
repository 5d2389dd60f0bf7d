//! What the clocks of a session say, from the rules as they are written.

use jiff::civil;
use jiff::tz::TimeZone;
use session_supervisor::{ExpiryAction, ExpiryClock, ExpiryRules};

use crate::model::{Event, Life, Reading, Span, World};

/// For how long at most nobody has to ask the hook again.
const SPARED_FOR: i64 = 60_000;

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
}

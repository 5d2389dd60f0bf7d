//! Turns that are stuck: noticed by looking at them now and then.
//!
//! A turn is never judged by its age: what counts is how long it has made no progress, and only
//! while it does not wait for a person. Whoever wants a bound over retries, which are progress each,
//! sets one for the time that a turn works.
//!
//! What the watch knows is what it saw: progress between two looks is taken to have been made at the
//! later one. So nothing is found stuck too early, and everything at most two looks late.
//!
//! What may race with a look: progress comes before it or is seen by the next one; a cancel comes
//! first and the turn is not judged any more, or finds it told already; an end comes first and there
//! is nothing to look at.

use std::time::Duration;

use smallvec::SmallVec;

use super::{Effect, OpenTurn, Ports, SessionState, Step};
use crate::clock::Moment;
use crate::id::Generation;
use crate::outcome::CancelReason;
use crate::policy::Grace;
use crate::pulse::{Pulse, Pulsing, WorkPhase};

/// When a turn is stuck, and what is to be done about it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StallRule {
    /// How long one may be silent that waits for the model; `None` is for ever, as for the others.
    pub(crate) model: Option<Duration>,
    /// How long one may be silent that waits for a tool.
    pub(crate) tool: Option<Duration>,
    /// How long one may work, however lively it is.
    pub(crate) total: Option<Duration>,
    /// How long one has to unwind, if one that is stuck is to be told to end.
    pub(crate) act: Option<Grace>,
}

impl StallRule {
    /// How long a turn may be silent that does `work`.
    fn silence(&self, work: WorkPhase) -> Option<Duration> {
        match work {
            WorkPhase::Model => self.model,
            WorkPhase::Tool => self.tool,
            WorkPhase::Human => None,
        }
    }
}

/// In which way a turn is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stall {
    /// What it was doing.
    pub(crate) work: WorkPhase,
    /// How long it had made no progress.
    pub(crate) silent_for: Duration,
    /// How long it had worked in all, without its waits for people.
    pub(crate) worked_for: Duration,
    /// What was used up.
    pub(crate) budget: Budget,
}

/// What a turn may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Budget {
    /// The time without progress.
    Silence,
    /// The time of work.
    Total,
}

impl Budget {
    /// Its name in logs and metrics; stable.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Total => "total",
        }
    }
}

/// What was seen of a turn at the last look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// Its progress.
    pulse: Pulse,
    /// Since when that has not changed.
    since: Moment,
    /// When it was looked at.
    looked_at: Moment,
    /// How long it had worked by then.
    worked_for: Duration,
    /// Whether this silence has been reported.
    silence_told: bool,
    /// Whether it has been reported that it works for too long.
    total_told: bool,
}

impl Watched {
    /// Nothing yet, of a turn that works from `now` on.
    fn new(now: Moment) -> Self {
        Self {
            pulse: Pulse::default(),
            since: now,
            looked_at: now,
            worked_for: Duration::ZERO,
            silence_told: false,
            total_told: false,
        }
    }

    /// Takes in what is seen `now`; answers if the turn is found to be stuck by it.
    fn look(&mut self, pulse: Pulse, rule: &StallRule, now: Moment) -> Option<Stall> {
        if self.pulse.work != WorkPhase::Human {
            self.worked_for += now.since(self.looked_at);
        }
        self.looked_at = now;
        if pulse != self.pulse {
            self.pulse = pulse;
            self.since = now;
            self.silence_told = false;
        }
        let (work, silent_for, worked_for) = (pulse.work, now.since(self.since), self.worked_for);
        let over = |most: Option<Duration>, used| most.is_some_and(|most| used >= most);
        let budget = if work == WorkPhase::Human {
            return None;
        } else if !self.total_told && over(rule.total, worked_for) {
            self.total_told = true;
            Budget::Total
        } else if !self.silence_told && over(rule.silence(work), silent_for) {
            self.silence_told = true;
            Budget::Silence
        } else {
            return None;
        };
        Some(Stall { work, silent_for, worked_for, budget })
    }
}

impl<P: Ports> OpenTurn<P> {
    /// How long it has been seen silent, if `pulse` is what is read at `now`.
    pub(super) fn silent_for(&self, pulse: Pulse, now: Moment) -> Duration {
        let last = self.seen.as_ref().map_or_else(Pulse::default, |seen| seen.pulse);
        let since = self.seen.as_ref().map_or(self.given_at, |seen| seen.since);
        if pulse == last { now.since(since) } else { Duration::ZERO }
    }

    /// Looks at it; answers if it is found to be stuck.
    fn look(&mut self, rule: &StallRule, now: Moment) -> Option<Stall> {
        let given_at = self.given_at;
        let seen = self.seen.get_or_insert_with(|| Box::new(Watched::new(given_at)));
        seen.look(self.stream.pulse(), rule, now)
    }
}

impl<P: Ports> SessionState<P> {
    /// Looks at the open turns: what has come due is done, and who is stuck is told.
    ///
    /// The deadlines of cancels are looked at as well, so that they hold even where an alarm is late.
    pub(super) fn look(&mut self, rule: &StallRule, step: &mut Step<'_, P>) {
        self.escalate(step);
        self.keep_overdue(step.now.moment);
        let mut stuck = SmallVec::<[Generation; 1]>::new();
        for turn in self.turns.iter_mut().filter(|it| it.opened && it.stopping.is_none()) {
            if let Some(stall) = turn.look(rule, step.now.moment) {
                stuck.push(turn.generation);
                step.effects.push(Effect::Stalled { stream: turn.stream.clone(), stall });
            }
        }
        if let Some(grace) = rule.act.filter(|_| !stuck.is_empty()) {
            for generation in stuck {
                self.tell(generation, CancelReason::Stalled, grace, step);
            }
            self.escalate(step);
        }
        if self.turns.is_empty() {
            self.watched = false;
            step.effects.push(Effect::Unwatch);
        }
    }

    /// Asks for looks, now that a turn is open, unless that has been done.
    pub(super) fn watch(&mut self, step: &mut Step<'_, P>) {
        if !std::mem::replace(&mut self.watched, true) {
            step.effects.push(Effect::Watch);
        }
    }
}

//! What those who shut a supervisor down at the same time share: what they want, and what has happened.

use std::collections::BTreeMap;

use super::report::{DrainEnd, DrainedSession, DrainedTurn, ShutdownOptions, ShutdownReport};
use crate::clock::Moment;
use crate::flight::Flights;
use crate::id::{Generation, Incarnation, StreamId};
use crate::outcome::TurnOutcome;
use crate::rt::Mutex;
use crate::slot::Slot;
use crate::slot::house::DrainStep;
use crate::store::DrainCounts;

/// A shutdown, from the first who asks for it on.
#[derive(Debug)]
pub(in crate::supervisor) struct Ending {
    /// Held by the one who does it. If that one is dropped, the next goes on.
    pub(super) flight: Flights<()>,
    /// What is behind the lock.
    state: Mutex<State>,
}

/// What is behind the lock.
#[derive(Debug, Default)]
struct State {
    /// When it was first asked for.
    since: Option<Moment>,
    /// When what runs is to be told to end: the earliest that anybody has asked for.
    deadline: Option<Moment>,
    /// What is not to be waited for, as everybody has asked for.
    except: Vec<StreamId>,
    /// What has happened in sessions.
    sessions: BTreeMap<Incarnation, Drained>,
    /// What was done, once it is done.
    report: Option<ShutdownReport>,
}

/// What has happened in a session.
#[derive(Debug)]
struct Drained {
    /// Which.
    session: DrainedSession,
    /// In its turns.
    turns: BTreeMap<Generation, Steps>,
}

/// What has happened to a turn.
#[derive(Clone, Copy, Debug, Default)]
struct Steps {
    told: bool,
    force: Force,
    outcome: Option<TurnOutcome>,
}

/// What was done to a turn whatever its holder does; the strongest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Force {
    #[default]
    None,
    Aborted,
    Fenced,
    Spared,
}

impl Steps {
    /// What it took to end it.
    fn end(self) -> DrainEnd {
        let Some(outcome) = self.outcome.filter(|it| *it != TurnOutcome::Interrupted) else {
            return DrainEnd::Open;
        };
        match self.force {
            Force::Spared => DrainEnd::Excepted,
            Force::Fenced => DrainEnd::Fenced,
            Force::Aborted => DrainEnd::Aborted,
            Force::None if matches!(outcome, TurnOutcome::Cancelled(_)) => DrainEnd::Cancelled,
            Force::None => DrainEnd::Finished,
        }
    }
}

impl Ending {
    /// Nobody has asked for it.
    pub(in crate::supervisor) fn new() -> Self {
        Self { flight: Flights::new(), state: Mutex::default() }
    }

    /// Somebody asks for it at `now`.
    pub(super) fn ask(&self, options: ShutdownOptions, now: Moment) {
        let mut state = self.state.lock();
        state.since.get_or_insert(now);
        let deadline = now.plus(options.deadline);
        state.deadline = Some(state.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        state.except.extend(options.except);
    }

    /// When what runs is to be told to end.
    pub(super) fn deadline(&self) -> Moment {
        self.state.lock().deadline.unwrap_or_default()
    }

    /// What is not to be waited for.
    pub(super) fn except(&self) -> Vec<StreamId> {
        self.state.lock().except.clone()
    }

    /// Notes a session that is not at rest.
    pub(super) fn found(&self, slot: &Slot) {
        self.with(slot, |_| {});
    }

    /// Notes what has happened to a turn.
    pub(in crate::supervisor) fn note(&self, slot: &Slot, turn: StreamId, step: DrainStep) {
        self.with(slot, |turns| {
            let steps = turns.entry(turn.generation()).or_default();
            match step {
                DrainStep::Found => {}
                DrainStep::Told => steps.told = true,
                DrainStep::Aborted => steps.force = steps.force.max(Force::Aborted),
                DrainStep::Fenced => steps.force = steps.force.max(Force::Fenced),
                DrainStep::Spared => steps.force = Force::Spared,
                DrainStep::Ended(outcome) => steps.outcome = steps.outcome.or(Some(outcome)),
            }
        });
    }

    /// Changes what is noted of a session.
    fn with(&self, slot: &Slot, change: impl FnOnce(&mut BTreeMap<Generation, Steps>)) {
        let mut state = self.state.lock();
        if state.report.is_some() {
            return;
        }
        let drained = state.sessions.entry(slot.incarnation).or_insert_with(|| Drained {
            session: DrainedSession {
                id: slot.id.clone(),
                key: slot.key.clone(),
                turns: Vec::new(),
            },
            turns: BTreeMap::new(),
        });
        change(&mut drained.turns);
    }

    /// What has happened so far, as of `now`.
    pub(super) fn report(&self, now: Moment) -> ShutdownReport {
        let state = self.state.lock();
        let mut report = ShutdownReport {
            took: now.since(state.since.unwrap_or(now)),
            ..ShutdownReport::default()
        };
        for (life, drained) in &state.sessions {
            let mut session = drained.session.clone();
            for (&generation, steps) in &drained.turns {
                let (stream, end) = (StreamId::new(*life, generation), steps.end());
                report.told += usize::from(steps.told && steps.force != Force::Spared);
                count(&mut report.turns, end);
                session.turns.push(DrainedTurn { stream, end, outcome: steps.outcome });
            }
            report.sessions.push(session);
        }
        report
    }

    /// What was done, once it is.
    pub(super) fn done(&self) -> Option<ShutdownReport> {
        self.state.lock().report.clone()
    }

    /// It is done.
    pub(super) fn finish(&self, report: ShutdownReport) {
        self.state.lock().report = Some(report);
    }
}

/// Counts a turn.
fn count(turns: &mut DrainCounts, end: DrainEnd) {
    match end {
        DrainEnd::Finished => turns.finished += 1,
        DrainEnd::Cancelled => turns.cancelled += 1,
        DrainEnd::Aborted => turns.aborted += 1,
        DrainEnd::Fenced | DrainEnd::Excepted => turns.fenced += 1,
        DrainEnd::Open => {}
    }
}

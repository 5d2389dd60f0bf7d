//! When a turn is stuck, from the whole history of what was seen of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::super::{Moment, StallRule};
use super::{Model, Seen, Turn};
use crate::outcome::CancelReason;
use crate::pulse::{Pulsing, WorkPhase};
use crate::state::{Budget, Stall};

/// What the watch is to find.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Whether somebody looks at the session.
    asked_for: bool,
    /// The turns that a look has to find stuck, by stream.
    stuck: BTreeMap<u32, Stall>,
    /// Whether such a turn is to be told to end.
    acts: bool,
    /// Those that were found stuck and are to be told.
    acting: BTreeSet<u32>,
}

impl Model {
    /// A look: notes which turns it has to find stuck.
    pub(super) fn look(&mut self, rule: &StallRule, now: Moment) {
        self.watch.acts = rule.act.is_some();
        for turn in self.open.iter_mut().filter(|turn| turn.given && turn.told.is_none()) {
            turn.seen.push(Seen { at: now, pulse: turn.stream.pulse() });
            if let Some(stall) = stall(turn, rule) {
                turn.stuck.push((turn.seen.len() - 1, stall.budget));
                self.watch.stuck.insert(turn.stream, stall);
            }
        }
    }

    /// A turn is told to end.
    pub(super) fn tell(&mut self, stream: u32, reason: CancelReason) {
        let turn = self.open.iter_mut().find(|turn| turn.stream == stream);
        let told = &mut turn.expect("who is told to end runs").told;
        assert_eq!(told.replace(reason), None, "told twice");
        let stuck = self.watch.acting.remove(&stream);
        assert_eq!(stuck, reason == CancelReason::Stalled, "told for no stall");
    }

    /// A turn's work is aborted.
    pub(super) fn abort(&mut self, stream: u32, reason: CancelReason) {
        let turn = self.open.iter_mut().find(|turn| turn.stream == stream);
        let turn = turn.expect("whose work is aborted runs");
        assert!(turn.given && turn.told == Some(reason), "aborted and never told");
        assert!(!std::mem::replace(&mut turn.aborted, true), "aborted twice");
    }

    /// A turn is found stuck.
    pub(super) fn stalled(&mut self, stream: u32, stall: Stall) {
        let expected = self.watch.stuck.remove(&stream);
        assert_eq!(Some(stall), expected, "found stuck, or in another way");
        if self.watch.acts {
            self.watch.acting.insert(stream);
        }
    }

    /// Somebody is to look from now on, or not any more.
    pub(super) fn asks_for_looks(&mut self, wanted: bool) {
        let before = std::mem::replace(&mut self.watch.asked_for, wanted);
        assert!(!(before && wanted), "asked for twice");
        assert!(wanted || self.open.is_empty(), "an open turn, and nobody looks");
    }

    /// After the effects of an input.
    pub(super) fn watches(&self) {
        let Watch { asked_for, stuck, acting, .. } = &self.watch;
        assert!(stuck.is_empty(), "not found stuck: {stuck:?}");
        assert!(acting.is_empty(), "stuck and not told: {acting:?}");
        assert!(*asked_for || self.open.is_empty(), "nobody looks");
    }
}

/// Whether a turn is found stuck by what was seen last.
fn stall(turn: &Turn, rule: &StallRule) -> Option<Stall> {
    let Seen { at: now, pulse } = *turn.seen.last()?;
    // Since when the same has been seen.
    let changed = turn.seen.iter().rposition(|seen| seen.pulse != pulse);
    let first = changed.map_or(0, |changed| changed + 1);
    let silent_for = now.since(turn.seen[first].at);
    // What it did at a look it did up to the next.
    let spans = turn.seen.windows(2).filter(|pair| pair[0].pulse.work != WorkPhase::Human);
    let worked_for: Duration = spans.map(|pair| pair[1].at.since(pair[0].at)).sum();
    let work = pulse.work;
    let most = match work {
        WorkPhase::Model => rule.model,
        WorkPhase::Tool => rule.tool,
        WorkPhase::Human => return None,
    };
    let told = |budget, from| turn.stuck.iter().any(|&(at, it)| it == budget && at >= from);
    let total = rule.total.is_some_and(|most| worked_for >= most) && !told(Budget::Total, 0);
    let silence = most.is_some_and(|most| silent_for >= most) && !told(Budget::Silence, first);
    let budget = match (total, silence) {
        (true, _) => Budget::Total,
        (false, true) => Budget::Silence,
        (false, false) => return None,
    };
    Some(Stall { work, silent_for, worked_for, budget })
}

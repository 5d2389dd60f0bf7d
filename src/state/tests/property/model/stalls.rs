//! When a turn is stuck, from the whole history of what was seen of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::super::{Moment, StallRule};
use super::{Model, Seen, Turn};
use crate::pulse::{Pulse, WorkPhase};
use crate::state::{Budget, Stall};

impl Model {
    /// A look: notes which turns it has to find stuck.
    pub(super) fn look(&mut self, rule: &StallRule, pulses: &BTreeMap<u32, Pulse>, now: Moment) {
        self.acts = rule.act.is_some();
        for turn in self.open.iter_mut().filter(|turn| turn.begun && turn.told.is_none()) {
            let pulse = pulses.get(&turn.stream).copied().unwrap_or_default();
            turn.seen.push(Seen { at: now, pulse });
            if let Some(stall) = stall(turn, rule) {
                turn.stuck.push((turn.seen.len() - 1, stall.budget));
                self.stuck.insert(turn.stream, stall);
            }
        }
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

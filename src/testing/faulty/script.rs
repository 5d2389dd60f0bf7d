//! What is to fail, and what was called.

use std::collections::BTreeMap;

use super::{Fault, StoreCall};

/// The faults of one store that wait to be met, and the counters of its calls.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// The faults, in the order in which they were asked for.
    rules: Vec<Rule>,
    /// How many calls of each kind there were.
    calls: BTreeMap<StoreCall, u64>,
}

/// One fault and the call that it is for.
#[derive(Debug)]
struct Rule {
    /// The kind of call; `None` is any.
    call: Option<StoreCall>,
    /// Which such call from now on, from 1; `None` is each.
    nth: Option<u64>,
    /// What happens to it.
    fault: Fault,
}

impl Script {
    /// Asks for `fault` at the `nth` call of a kind.
    pub(super) fn add(&mut self, call: Option<StoreCall>, nth: u64, fault: Fault) {
        self.rules.push(Rule { call, nth: Some(nth.max(1)), fault });
    }

    /// Asks for `fault` at each call of a kind.
    pub(super) fn always(&mut self, call: Option<StoreCall>, fault: Fault) {
        self.rules.push(Rule { call, nth: None, fault });
    }

    /// Counts a call and answers with the fault that it meets. Each rule counts it, so that two
    /// rules for the second and the third call mean what they say.
    pub(super) fn meet(&mut self, call: StoreCall) -> Option<Fault> {
        *self.calls.entry(call).or_default() += 1;
        let mut met = None;
        self.rules.retain_mut(|rule| {
            if rule.call.is_some_and(|wanted| wanted != call) {
                return true;
            }
            let Some(nth) = &mut rule.nth else {
                met.get_or_insert_with(|| rule.fault.clone());
                return true;
            };
            if *nth > 1 {
                *nth -= 1;
                return true;
            }
            if met.is_some() {
                // This call has its fault; the rule waits for the next.
                return true;
            }
            met = Some(rule.fault.clone());
            false
        });
        met
    }

    /// Forgets the faults.
    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// How many faults wait to be met.
    pub(super) fn left(&self) -> usize {
        self.rules.len()
    }

    /// How many calls there were of the kinds that `counts` picks.
    pub(super) fn count(&self, counts: impl Fn(StoreCall) -> bool) -> u64 {
        self.calls.iter().filter(|(call, _)| counts(**call)).map(|(_, made)| made).sum()
    }

    /// Counts from 0 again.
    pub(super) fn reset(&mut self) {
        self.calls.clear();
    }
}

//! Making a history that has no order small enough to be read.
//!
//! Invariant: what is left has no order, and without its last return it leads to the same states as before. So it
//! goes wrong where it did, and from where it did; and what alone makes it wrong is never left out.

use std::fmt::Debug;

use super::check::Model;
use super::search::{Found, Search, Stuck};
use super::{Illegal, Operation};
use crate::rt::HashSet;

/// Up to how many operations are tried to be left out in pairs, since that takes their number squared.
const MAX_PAIRED: usize = 64;

/// A history that is being shrunk.
struct Shrinking<'a, M: Model> {
    model: &'a M,
    part: &'a M::Part,
    /// What is left, in the order of the calls.
    operations: Vec<Operation<M::Call, M::Answer>>,
    /// In which states it may be before it goes wrong, if that could be found out.
    before: Option<HashSet<M::State>>,
}

/// Shrinks the history of `part`, which has no order.
pub(super) fn shrink<M>(
    model: &M,
    part: &M::Part,
    operations: &[Operation<M::Call, M::Answer>],
) -> Illegal<M::Call, M::Answer>
where
    M: Model,
    M::Call: Clone + Debug,
    M::Answer: Clone + Debug,
{
    let concerns = |operation: &&Operation<M::Call, M::Answer>| {
        let steps = model.steps(&operation.call, operation.answer.as_ref());
        steps.into_iter().any(|(at, _)| at == *part)
    };
    let operations: Vec<_> = operations.iter().filter(concerns).cloned().collect();
    let mut shrinking = Shrinking { model, part, operations, before: None };
    shrinking.cut();
    shrinking.before = shrinking.ends(&[]);
    while shrinking.leave_out_one() || shrinking.leave_out_two() {}
    let stuck = shrinking.stuck(&[]);
    let (at, order) = stuck.map_or_else(Default::default, |stuck| (stuck.at, stuck.order));
    let order = order.into_iter().map(|(index, step, state)| (index, step, format!("{state:?}")));
    Illegal {
        part: format!("{part:?}"),
        start: format!("{:?}", model.start(part)),
        operations: shrinking.operations,
        at,
        order: order.collect(),
    }
}

impl<M> Shrinking<'_, M>
where
    M: Model,
    M::Call: Clone,
    M::Answer: Clone,
{
    /// The search, without those that are `left_out`, and what is kept.
    fn search(&self, left_out: &[usize]) -> Option<(Search<M>, Vec<usize>)> {
        let kept: Vec<usize> =
            (0..self.operations.len()).filter(|place| !left_out.contains(place)).collect();
        let of = |place: &usize| self.operations.get(*place).cloned();
        let operations: Vec<_> = kept.iter().filter_map(of).collect();
        Some((Search::new(self.model, self.part, &operations)?, kept))
    }

    /// Where the search ends without those that are `left_out`; `None` if it finds an order.
    fn stuck(&self, left_out: &[usize]) -> Option<Stuck<M::State>> {
        let (search, kept) = self.search(left_out)?;
        let Found::Nothing(mut stuck) = search.run(self.model) else { return None };
        stuck.at = kept.get(stuck.at).copied().unwrap_or_default();
        Some(stuck)
    }

    /// In which states it may be before its last return, without those that are `left_out`; `None` if that is
    /// too much to find out, and then nothing is left out.
    fn ends(&self, left_out: &[usize]) -> Option<HashSet<M::State>> {
        let mut left_out = left_out.to_vec();
        left_out.push(self.last());
        self.search(&left_out)?.0.ends(self.model)
    }

    /// Leaves out what was called after the return that nothing explains; what had not returned by then may
    /// have happened or not.
    fn cut(&mut self) {
        let Some(stuck) = self.stuck(&[]) else { return };
        let Some(end) = self.operations.get(stuck.at).and_then(|it| it.returned) else { return };
        self.operations.retain(|operation| operation.called < end);
        for operation in &mut self.operations {
            operation.returned = operation.returned.filter(|returned| *returned <= end);
        }
    }

    /// The operation that returned last.
    fn last(&self) -> usize {
        let places = 0..self.operations.len();
        let returned = |place: &usize| self.operations.get(*place).and_then(|it| it.returned);
        places.max_by_key(returned).unwrap_or_default()
    }

    /// Whether it goes wrong in the same way without these.
    fn can_do_without(&self, left_out: &[usize]) -> bool {
        !left_out.contains(&self.last())
            && self.stuck(left_out).is_some()
            && self.ends(left_out).is_some_and(|ends| Some(ends) == self.before)
    }

    /// Leaves out whatever can be left out by itself, from the end; answers whether there was any.
    fn leave_out_one(&mut self) -> bool {
        let before = self.operations.len();
        for place in (0..before).rev() {
            if self.can_do_without(&[place]) {
                self.operations.remove(place);
            }
        }
        self.operations.len() < before
    }

    /// Leaves out two that only make sense together, such as a begin and its commit; answers whether there
    /// were two.
    fn leave_out_two(&mut self) -> bool {
        let is_wrong_without = |place: &usize| self.stuck(&[*place]).is_some();
        let candidates: Vec<usize> = (0..self.operations.len()).filter(is_wrong_without).collect();
        if candidates.len() > MAX_PAIRED {
            return false;
        }
        for (number, &later) in candidates.iter().enumerate().rev() {
            for &earlier in candidates.iter().take(number).rev() {
                if self.can_do_without(&[earlier, later]) {
                    self.operations.remove(later);
                    self.operations.remove(earlier);
                    return true;
                }
            }
        }
        false
    }
}

//! The search for an order, in one part.
//!
//! Invariants: a step has a place among at most 128 from its call to its return, so what has happened of
//! what is under way is one word; of two ways to the same return, state and word, one is followed.

use super::Operation;
use super::check::Model;
use crate::rt::HashSet;

/// How many steps are taken before it is given up.
const MAX_STEPS: usize = 2_000_000;

/// How many are taken to find every order there is.
const MAX_STEPS_OF_ALL: usize = 20_000;

/// What a search has found.
pub(super) enum Found<S> {
    /// An order.
    Order,
    /// None.
    Nothing(Stuck<S>),
    /// It was given up.
    TooMany,
}

/// Where a search has come to that found nothing.
pub(super) struct Stuck<S> {
    /// The operation that no order lets return; an index.
    pub(super) at: usize,
    /// An order of steps up to there, each an operation and what it did, with the state after it.
    pub(super) order: Vec<(usize, String, S)>,
}

/// One step of one operation.
struct Span<T> {
    /// Whose; an index.
    operation: usize,
    /// What.
    step: T,
    /// Its place in the word.
    bit: u128,
    /// Whether it is a further step of the operation of the span before.
    follows: bool,
    /// The places of the steps of the same operation that come before it.
    after: u128,
}

impl<T> Span<T> {
    /// Whether it may happen next.
    const fn may_happen(&self, happened: u128) -> bool {
        happened & self.bit == 0 && self.after & !happened == 0
    }
}

/// A step on a way.
struct Taken {
    /// Which.
    span: usize,
    /// To which of the states that it may lead to.
    choice: usize,
    /// The step before, as an index into the trail.
    after: usize,
}

/// A return: by then a step has happened.
struct Return {
    /// Whose.
    span: usize,
    /// What is under way then, itself included.
    under_way: Vec<usize>,
}

/// All there is to know of one part's history.
pub(super) struct Search<M: Model> {
    /// The state that it starts from.
    start: M::State,
    /// Every step.
    spans: Vec<Span<M::Step>>,
    /// Every return, in order.
    returns: Vec<Return>,
}

/// How far a way has come.
#[derive(Clone)]
struct Config<S> {
    /// The next return.
    at: usize,
    /// What has happened of what is under way.
    happened: u128,
    /// The state.
    state: S,
    /// The step that led here, as an index into the trail.
    from: usize,
}

/// No step.
const NOWHERE: usize = usize::MAX;

impl<M: Model> Search<M> {
    /// Of what `operations` do in one part, in the order of their calls.
    pub(super) fn new(
        model: &M,
        part: &M::Part,
        operations: &[Operation<M::Call, M::Answer>],
    ) -> Option<Self> {
        let mut steps = Vec::new();
        for (index, operation) in operations.iter().enumerate() {
            for (at, step) in model.steps(&operation.call, operation.answer.as_ref()) {
                if at == *part {
                    steps.push((index, step));
                }
            }
        }
        Self::of(model.start(part), operations, steps)
    }

    /// Of `steps`, each with the index of its operation, in the order of the calls; `None` if too much is
    /// under way.
    pub(super) fn of(
        start: M::State,
        operations: &[Operation<M::Call, M::Answer>],
        steps: Vec<(usize, M::Step)>,
    ) -> Option<Self> {
        let mut ends = Vec::with_capacity(2 * steps.len());
        let mut spans: Vec<Span<M::Step>> = Vec::with_capacity(steps.len());
        for (operation, step) in steps {
            let seen = operations.get(operation)?;
            let place = spans.len();
            let follows = spans.last().is_some_and(|before| before.operation == operation);
            spans.push(Span { operation, step, bit: 0, follows, after: 0 });
            ends.push((seen.called, place, false));
            ends.extend(seen.returned.map(|returned| (returned, place, true)));
        }
        // The last step of an operation returns first, while those before it still have their places.
        ends.sort_unstable_by_key(|(time, place, ends)| {
            (*time, if *ends { usize::MAX - place } else { *place })
        });
        let (mut free, mut under_way, mut before) = (u128::MAX, Vec::new(), 0);
        let mut returns = Vec::new();
        for (_, place, ends) in ends {
            let span = spans.get_mut(place)?;
            if ends {
                returns.push(Return { span: place, under_way: under_way.clone() });
                under_way.retain(|it| *it != place);
                free |= span.bit;
            } else {
                span.bit = 1_u128.checked_shl(free.trailing_zeros())?;
                span.after = if span.follows { before } else { 0 };
                (before, free) = (span.after | span.bit, free & !span.bit);
                under_way.push(place);
            }
        }
        Some(Self { start, spans, returns })
    }

    /// Looks for an order.
    pub(super) fn run(&self, model: &M) -> Found<M::State> {
        self.look(model, MAX_STEPS, |_| true)
    }

    /// In which states the part may be after all orders that there are; `None` if there are too many.
    pub(super) fn ends(&self, model: &M) -> Option<HashSet<M::State>> {
        let mut ends = HashSet::default();
        let found = self.look(model, MAX_STEPS_OF_ALL, |end| {
            ends.insert(end.clone());
            false
        });
        (!matches!(found, Found::TooMany)).then_some(ends)
    }

    /// Looks for orders until one is `enough`, by the state at its end.
    fn look(
        &self,
        model: &M,
        max_steps: usize,
        mut enough: impl FnMut(&M::State) -> bool,
    ) -> Found<M::State> {
        let mut seen = HashSet::default();
        let mut trail: Vec<Taken> = Vec::new();
        let mut furthest = Config { at: 0, happened: 0, state: self.start.clone(), from: NOWHERE };
        let mut open = vec![furthest.clone()];
        while let Some(mut way) = open.pop() {
            self.pass(&mut way);
            let Some(next) = self.returns.get(way.at) else {
                if enough(&way.state) {
                    return Found::Order;
                }
                continue;
            };
            if way.at > furthest.at {
                furthest = way.clone();
            }
            if trail.len() > max_steps {
                return Found::TooMany;
            }
            // What has to happen by now comes last here, and so is tried first.
            let others = next.under_way.iter().rev().filter(|it| **it != next.span);
            for &span in others.chain([&next.span]) {
                let Some(there) = self.spans.get(span).filter(|it| it.may_happen(way.happened))
                else {
                    continue;
                };
                let happened = way.happened | there.bit;
                for (choice, state) in model.apply(&way.state, &there.step).into_iter().enumerate()
                {
                    if seen.insert((way.at, happened, state.clone())) {
                        open.push(Config { at: way.at, happened, state, from: trail.len() });
                        trail.push(Taken { span, choice, after: way.from });
                    }
                }
            }
        }
        Found::Nothing(self.stuck(model, &furthest, &trail))
    }

    /// Goes past the returns of what has happened.
    fn pass(&self, way: &mut Config<M::State>) {
        while let Some(span) = self.returns.get(way.at).and_then(|it| self.spans.get(it.span)) {
            if way.happened & span.bit == 0 {
                return;
            }
            way.happened &= !span.bit;
            way.at += 1;
        }
    }

    /// What is to be told of the way that has come furthest.
    fn stuck(&self, model: &M, way: &Config<M::State>, trail: &[Taken]) -> Stuck<M::State> {
        let mut taken = Vec::new();
        let mut from = way.from;
        while let Some(step) = trail.get(from) {
            taken.push(step);
            from = step.after;
        }
        let (mut order, mut state) = (Vec::new(), self.start.clone());
        for step in taken.into_iter().rev() {
            let Some(span) = self.spans.get(step.span) else { continue };
            let next = model.apply(&state, &span.step).into_iter().nth(step.choice);
            state = next.unwrap_or(state);
            order.push((span.operation, format!("{:?}", span.step), state.clone()));
        }
        let operation = |span: &usize| self.spans.get(*span).map(|it| it.operation);
        let next = self.returns.get(way.at);
        Stuck { order, at: next.and_then(|it| operation(&it.span)).unwrap_or_default() }
    }
}

//! The model of an object that is used by one at a time, and the check against it.
//!
//! Invariants: parts are judged apart, since an order for each of them is an order for all; the same history
//! gets the same verdict, whatever the clients were.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use super::search::{Found, Search};
use super::{Illegal, Operation, shrink};

/// How an object behaves that is used by one at a time.
///
/// It consists of parts that have nothing to do with each other, such as the sessions of a supervisor. An
/// operation does one step in one part, as a rule. One that is seen by others while it is under way has
/// several, such as a delete: it closes, then it buries. The steps of one operation happen in the order in
/// which [`steps`](Self::steps) gives them, all between its call and its return, and others' may come between.
pub trait Model {
    /// What is asked.
    type Call;
    /// What is answered.
    type Answer;
    /// What steps are told apart by.
    type Part: Clone + Debug + Ord;
    /// What happens at one moment, with the answer that was seen.
    type Step: Debug;
    /// What there is to know of one part.
    type State: Clone + Debug + Eq + Hash;

    /// The state in which `part` is when nothing has happened.
    fn start(&self, part: &Self::Part) -> Self::State;

    /// What an operation does, and where. Without an `answer` it never returned, and each step may happen or
    /// not; none need be given for what changes nothing.
    fn steps(
        &self,
        call: &Self::Call,
        answer: Option<&Self::Answer>,
    ) -> impl IntoIterator<Item = (Self::Part, Self::Step)>;

    /// The states in which a part may be after `step`: none, if it cannot be that the step was answered so;
    /// several, if the answer does not say.
    fn apply(
        &self,
        state: &Self::State,
        step: &Self::Step,
    ) -> impl IntoIterator<Item = Self::State>;
}

/// What was found of a history.
#[derive(Clone, Debug)]
#[must_use = "a history is legal only if this says so"]
pub enum Verdict<C, A> {
    /// There is an order in which the same comes of it.
    Legal,
    /// There is none for one of its parts, which is told, shrunk.
    Illegal(Box<Illegal<C, A>>),
    /// It cannot be told: more is under way at one time than the 128 steps that are kept apart, or there are
    /// too many orders to look at. Of this part.
    TooHard(String),
}

impl<C, A> Verdict<C, A> {
    /// Whether there is an order.
    pub const fn is_legal(&self) -> bool {
        matches!(self, Self::Legal)
    }

    /// Whether there is none.
    pub const fn is_illegal(&self) -> bool {
        matches!(self, Self::Illegal(_))
    }
}

/// Looks for an order in which `operations` could have happened one at a time. Of what is wrong, the first
/// part is told.
///
/// The search is that of Wing and Gong, with the cache of Lowe: it steps from return to return and makes an
/// operation happen only when a return needs it, so what it costs depends on how much is under way at one
/// time, and hardly on how long the history is.
pub fn check<M>(
    model: &M,
    operations: impl IntoIterator<Item = Operation<M::Call, M::Answer>>,
) -> Verdict<M::Call, M::Answer>
where
    M: Model,
    M::Call: Clone + Debug,
    M::Answer: Clone + Debug,
{
    let operations: Vec<_> = operations.into_iter().collect();
    let mut parts: BTreeMap<M::Part, Vec<(usize, M::Step)>> = BTreeMap::new();
    for (place, operation) in operations.iter().enumerate() {
        for (part, step) in model.steps(&operation.call, operation.answer.as_ref()) {
            parts.entry(part).or_default().push((place, step));
        }
    }
    for (part, steps) in parts {
        let search = Search::of(model.start(&part), &operations, steps);
        match search.map(|search: Search<M>| search.run(model)) {
            Some(Found::Order) => {}
            Some(Found::Nothing(_)) => {
                let illegal = shrink::shrink(model, &part, &operations);
                return Verdict::Illegal(Box::new(illegal));
            }
            Some(Found::TooMany) | None => return Verdict::TooHard(format!("{part:?}")),
        }
    }
    Verdict::Legal
}

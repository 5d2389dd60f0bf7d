//! What concurrent callers did and were told, and whether one after the other could have been told the same.
//!
//! A history is linearizable if its events can be put into one order that a sequential model allows, and in
//! which whoever had its answer before another one asked comes first. The search tries the events that may
//! come next, and remembers where it has been (Wing and Gong, with the cache of Lowe). It starts no thread,
//! so it can be used inside a schedule.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Mutex;

/// One event: what was asked and answered, and between which ticks.
#[derive(Clone, Debug)]
pub(crate) struct Event<W> {
    pub(crate) called: u64,
    pub(crate) answered: u64,
    pub(crate) what: W,
}

/// What may follow on what.
pub(crate) trait Model {
    type What: Debug;
    type State: Clone + Eq + Hash + Debug;

    /// The states in which `state` may be after `what` was answered; none if it cannot have been.
    fn after(&self, state: &Self::State, what: &Self::What) -> Vec<Self::State>;
}

/// Why there is no such order: the longest one that could be found, and where it led.
#[derive(Debug)]
#[expect(dead_code, reason = "to be printed")]
pub(crate) struct Stuck<S> {
    order: Vec<usize>,
    state: S,
}

/// Whether `events` can have happened one after the other.
pub(crate) fn check<M: Model>(
    model: &M,
    start: M::State,
    events: &[Event<M::What>],
) -> Result<(), Stuck<M::State>> {
    assert!(events.len() <= 64, "a set of events is a word");
    let mut search = Search {
        model,
        events,
        seen: HashSet::new(),
        order: Vec::new(),
        stuck: Stuck { order: Vec::new(), state: start.clone() },
    };
    if search.goes_on(0, &start) { Ok(()) } else { Err(search.stuck) }
}

struct Search<'a, M: Model> {
    model: &'a M,
    events: &'a [Event<M::What>],
    /// Where it has been in vain: which events had happened, and the state they led to.
    seen: HashSet<(u64, M::State)>,
    /// The events that have happened.
    order: Vec<usize>,
    stuck: Stuck<M::State>,
}

impl<M: Model> Search<'_, M> {
    /// Whether the events that are not in the set `done` can follow on `state`.
    fn goes_on(&mut self, done: u64, state: &M::State) -> bool {
        let rest = || (0..self.events.len()).filter(|at| done & (1 << at) == 0);
        let Some(first) = rest().map(|at| self.events[at].answered).min() else { return true };
        if !self.seen.insert((done, state.clone())) {
            return false;
        }
        if self.order.len() > self.stuck.order.len() {
            self.stuck = Stuck { order: self.order.clone(), state: state.clone() };
        }
        // Whoever asked after the first answer comes later.
        let next: Vec<_> = rest().filter(|at| self.events[*at].called < first).collect();
        for at in next {
            for state in self.model.after(state, &self.events[at].what) {
                self.order.push(at);
                if self.goes_on(done | 1 << at, &state) {
                    return true;
                }
                self.order.pop();
            }
        }
        false
    }
}

/// Notes events from several tasks. It is one step: nothing in it lets anybody else run.
#[derive(Debug)]
pub(crate) struct Recorder<W> {
    noted: Mutex<(u64, Vec<Event<W>>)>,
}

impl<W> Recorder<W> {
    pub(crate) fn new() -> Self {
        Self { noted: Mutex::new((0, Vec::new())) }
    }

    /// The next tick.
    pub(crate) fn tick(&self) -> u64 {
        let mut noted = self.noted.lock().unwrap();
        noted.0 += 1;
        noted.0
    }

    /// Notes what was asked at the tick `called` and is answered now.
    pub(crate) fn note(&self, called: u64, what: impl IntoIterator<Item = W>) {
        let answered = self.tick();
        let events = what.into_iter().map(|what| Event { called, answered, what });
        self.noted.lock().unwrap().1.extend(events);
    }

    /// All of it, and nothing is left.
    pub(crate) fn take(&self) -> Vec<Event<W>> {
        std::mem::take(&mut self.noted.lock().unwrap().1)
    }
}

mod tests {
    use super::*;

    /// A word that is written and read.
    struct Register;

    impl Model for Register {
        /// Whether it is written, and the word.
        type What = (bool, u32);
        type State = u32;

        fn after(&self, state: &u32, (writes, word): &(bool, u32)) -> Vec<u32> {
            if *writes || state == word { vec![*word] } else { Vec::new() }
        }
    }

    fn event(called: u64, answered: u64, what: (bool, u32)) -> Event<(bool, u32)> {
        Event { called, answered, what }
    }

    #[test]
    fn a_history_is_refused_if_and_only_if_no_order_of_it_makes_sense() {
        let writes = [event(1, 10, (true, 1)), event(2, 9, (true, 2))];
        let with = |reads: &[Event<(bool, u32)>]| {
            let events: Vec<_> = writes.iter().chain(reads).cloned().collect();
            check(&Register, 0, &events)
        };
        // Each of two writes at once may be the later one, and a read among them sees any or none.
        with(&[event(3, 4, (false, 0)), event(11, 12, (false, 1))]).unwrap();
        with(&[event(3, 4, (false, 1)), event(11, 12, (false, 2))]).unwrap();
        // But the order is the same for everybody, and what is over is over.
        with(&[event(11, 12, (false, 1)), event(13, 14, (false, 2))]).unwrap_err();
        with(&[event(11, 12, (false, 0))]).unwrap_err();
        with(&[event(3, 4, (false, 1)), event(5, 6, (false, 0))]).unwrap_err();
        let stuck = with(&[event(11, 12, (false, 3))]).unwrap_err();
        assert_eq!(stuck.order.len(), 2, "as far as it goes");
    }
}

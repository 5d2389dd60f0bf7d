//! Who runs next: Shuttle's schedulers, kept to the part of a model that is to be explored, and one that
//! tries everything with few delays.

use std::cell::Cell;

use shuttle::scheduler::{DataSource, RandomDataSource, Schedule, Scheduler, Task, TaskId};

std::thread_local! {
    /// Whether the model has come to what is to be explored.
    static RACING: Cell<bool> = const { Cell::new(false) };
}

/// From here on the schedule is explored, or no longer.
pub(crate) fn set_racing(racing: bool) {
    RACING.set(racing);
}

/// A scheduler that is asked only while the model races. What comes before and after, which is the same for
/// all schedules, goes by itself: a task runs until it has to wait, and then the next one does.
#[derive(Debug)]
pub(crate) struct Staged<S>(pub(crate) S);

impl<S: Scheduler> Scheduler for Staged<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        set_racing(false);
        self.0.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        yields: bool,
    ) -> Option<TaskId> {
        if RACING.get() {
            self.0.next_task(runnable, current, yields)
        } else {
            by_itself(runnable, current, yields)
        }
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// The current task if it can go on and does not ask others to, otherwise the one after it.
fn by_itself(runnable: &[&Task], current: Option<TaskId>, yields: bool) -> Option<TaskId> {
    let ids = || runnable.iter().map(|task| task.id());
    let current = current.map_or(0, usize::from);
    let first = if yields { current + 1 } else { current };
    ids().find(|id| usize::from(*id) >= first).or_else(|| ids().next())
}

/// One choice of a schedule.
#[derive(Debug)]
struct Choice {
    /// Who could run: first the one that does by itself, then each that does if those before it are delayed.
    options: Vec<TaskId>,
    /// Which of them does, which is how many are delayed.
    taken: usize,
}

/// How many steps in a row a task may take at most while others could run: one that spins until they have
/// would never let them.
const LONGEST_RUN: usize = 500;

/// Tries every schedule with no more than so many delays, depth first. Without one, a task runs until it has
/// to wait, and then the next one does; whoever is delayed lets the next one go first.
///
/// Bugs of interleavings need few delays, mostly one or two; all schedules of a supervisor would be too many
/// to try (Emmi, Qadeer and Rakamarić, "Delay-bounded scheduling", 2011).
#[derive(Debug)]
pub(crate) struct Bounded {
    /// How many delays there may be.
    max: usize,
    /// How many schedules there may be.
    most: usize,
    /// How many there were.
    tried: usize,
    /// The choices of the schedule that runs, as far as they are known.
    choices: Vec<Choice>,
    /// Which choice comes next.
    step: usize,
    /// How many delays came before it.
    delays: usize,
    /// How many steps the same task has taken.
    run: usize,
    data: RandomDataSource,
}

impl Bounded {
    pub(crate) fn new(max: usize, most: usize) -> Self {
        let data = RandomDataSource::initialize(0);
        Self { max, most, tried: 0, choices: Vec::new(), step: 0, delays: 0, run: 0, data }
    }

    /// A place where nobody has chosen before.
    fn choice(&self, runnable: &[&Task], current: Option<TaskId>) -> Choice {
        let mut options: Vec<_> = runnable.iter().map(|task| task.id()).collect();
        let spins = self.run > LONGEST_RUN;
        if let Some(first) = by_itself(runnable, current, spins) {
            let place = options.iter().position(|id| *id == first).unwrap_or_default();
            options.rotate_left(place);
        }
        options.truncate(1 + self.max - self.delays);
        Choice { options, taken: 0 }
    }
}

impl Scheduler for Bounded {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.tried > 0 {
            while self.choices.last().is_some_and(|last| last.taken + 1 == last.options.len()) {
                self.choices.pop();
            }
            self.choices.last_mut()?.taken += 1;
        }
        assert!(self.tried < self.most, "more than {} schedules", self.most);
        self.tried += 1;
        (self.step, self.delays, self.run) = (0, 0, 0);
        self.data = RandomDataSource::initialize(0);
        Some(Schedule::new(self.data.reinitialize()))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        _yields: bool,
    ) -> Option<TaskId> {
        if self.step == self.choices.len() {
            self.choices.push(self.choice(runnable, current));
        }
        let choice = &self.choices[self.step];
        let next = choice.options[choice.taken];
        self.step += 1;
        self.delays += choice.taken;
        self.run = if Some(next) == current { self.run + 1 } else { 0 };
        Some(next)
    }

    fn next_u64(&mut self) -> u64 {
        self.data.next_u64()
    }
}

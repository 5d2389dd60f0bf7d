//! The watch: looks regularly at the sessions in which turns are open, and at no others.
//!
//! A session asks to be looked at when it opens a turn and nobody looks yet, and is looked at until
//! no turn is open. So a look costs what runs, not what is loaded; a session that is always in use
//! asks once per look and not once per turn; and nothing ticks while nothing runs.

use std::time::Duration;

use super::shared::Shared;
use crate::config::{Config, StallAction};
use crate::policy::Grace;
use crate::rt::{self, Arc, Mutex, Notify, Weak};
use crate::slot::Slot;
use crate::state::StallRule;

/// The sessions that are to be looked at.
#[derive(Debug)]
pub(super) struct Watch {
    /// Each once. Taken by a look while it lasts.
    slots: Mutex<Vec<Weak<Slot>>>,
    /// Notified when there is a first one.
    wanted: Notify,
}

impl Watch {
    /// Nothing to look at.
    pub(super) fn new() -> Self {
        Self { slots: Mutex::new(Vec::new()), wanted: Notify::new() }
    }

    /// One more.
    pub(super) fn add(&self, slot: Weak<Slot>) {
        self.put(|slots| slots.push(slot));
    }

    /// Adds some, and wakes the watch if these are the first.
    fn put(&self, add: impl FnOnce(&mut Vec<Weak<Slot>>)) {
        let first = {
            let mut slots = self.slots.lock();
            let was_empty = slots.is_empty();
            add(&mut slots);
            was_empty && !slots.is_empty()
        };
        if first {
            self.wanted.notify_one();
        }
    }

    /// Waits until there is something to look at.
    async fn wanted(&self) {
        while self.slots.lock().is_empty() {
            // The one who waits here finds a notification that came before.
            self.wanted.notified().await;
        }
    }
}

/// Looks every `stalls.check_every`, as long as there is something to look at.
///
/// Each time in a task of its own, so that a store that panics ends one look and not the watch.
pub(super) async fn run(watch: Arc<Watch>, shared: Weak<Shared>) {
    let every = shared.upgrade().map(|shared| shared.engine.config.stalls.check_every);
    let every = every.unwrap_or_default();
    loop {
        watch.wanted().await;
        rt::sleep(every).await;
        let Some(shared) = shared.upgrade() else { return };
        let spawner = shared.engine.spawner.clone();
        drop(spawner.spawn(async move { look(&shared) }));
    }
}

/// Looks once at every session that wants it.
pub(super) fn look(shared: &Arc<Shared>) {
    let (rule, now) = (rule(&shared.engine.config), shared.engine.now());
    let slots = std::mem::take(&mut *shared.watch.slots.lock());
    let mut round = Round { watch: &shared.watch, ahead: slots, kept: Vec::new() };
    shared.engine.capacity.publish();
    while let Some(slot) = round.ahead.last() {
        // Off the list only afterwards: if this panics, the next look finds it again.
        let again = slot.upgrade().is_some_and(|slot| slot.look(rule, now));
        let slot = round.ahead.pop();
        round.kept.extend(slot.filter(|_| again));
    }
}

/// One look, under way. Puts everything that is to be looked at again back, however it ends.
struct Round<'a> {
    /// Where.
    watch: &'a Watch,
    /// Not looked at yet.
    ahead: Vec<Weak<Slot>>,
    /// Looked at, and to be looked at again.
    kept: Vec<Weak<Slot>>,
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.kept.append(&mut self.ahead);
        self.watch.put(|slots| slots.append(&mut self.kept));
    }
}

/// What the settings say of turns that are stuck.
fn rule(config: &Config) -> StallRule {
    let (stalls, turns) = (&config.stalls, &config.turns);
    let bound = |budget: Duration| (!budget.is_zero()).then_some(budget);
    let grace = Grace::new(turns.abort_after, turns.cancel_grace);
    StallRule {
        model: bound(stalls.model),
        tool: bound(stalls.tool),
        total: bound(stalls.total),
        act: match stalls.action {
            StallAction::Observe => None,
            StallAction::Act => Some(grace),
        },
    }
}

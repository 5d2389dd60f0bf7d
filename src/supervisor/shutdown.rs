//! Ending in good order: refuse, wait, tell, abort, fence, mark, close.
//!
//! One at a time does it. Whoever asks meanwhile waits for the same report, and what each has asked for counts
//! at once: the earliest deadline, and every turn that is not to be waited for. If the one who does it is
//! dropped, the next goes on where that one was: every step can be done again.
//!
//! What races: a begin that comes at the same time. Whether it is admitted is decided under the session's
//! lock, and the look for what runs takes that lock after the refusal was decided; so either the begin
//! is seen here, or it sees that it is refused.

mod log;
mod report;

use std::time::Duration;

pub(super) use self::log::Ending;
pub use self::report::{DrainEnd, DrainedSession, DrainedTurn, ShutdownOptions, ShutdownReport};

use super::shared::Shared;
use crate::clock::Moment;
use crate::id::StreamId;
use crate::outcome::CancelReason;
use crate::rt::{self, Arc};
use crate::slot::Slot;
use crate::slot::house::DrainStep;
use crate::state::Target;
use crate::store::{CleanStop, StoreError};

/// How long what is left has to end once nothing runs: ends that are stored, tasks, actors.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Ends the supervisor: see [`Supervisor::shutdown`](super::Supervisor::shutdown).
pub(super) async fn shutdown(
    shared: &Arc<Shared>,
    options: ShutdownOptions,
) -> Result<ShutdownReport, StoreError> {
    let (engine, ending) = (&shared.engine, &shared.ending);
    ending.ask(options, engine.now().moment);
    engine.drain();
    for slot in shared.registry.slots() {
        slot.save();
    }
    // Whoever is at it looks again: at the deadline, and at what is not to be waited for.
    shared.stirred.notify_waiters();
    let _flight = ending.flight.join(&()).await;
    if let Some(report) = ending.done() {
        return Ok(report);
    }
    let drain = Drain { shared };
    let at_rest = drain.drain().await;
    // At once: a process that is killed from here on has not crashed.
    let marked = at_rest && drain.mark().await;
    let detached = drain.end_tasks().await;
    engine.over.cancel();
    // What is in flight has been waited for; whoever still hangs in the store is left behind.
    let stopped = super::actor::stop(shared, LAST_WAIT).await;
    let closed = engine.store.close().await;
    let mut report = ending.report(engine.now().moment);
    report.marked = marked;
    report.clean = at_rest && stopped && detached.is_empty();
    report.detached = detached;
    tracing::info!(turns = report.turns.total(), told = report.told, detached = report.detached.len(),
        marked, clean = report.clean, took = ?report.took, "a supervisor ends");
    closed?;
    ending.finish(report.clone());
    Ok(report)
}

/// The part of a shutdown in which turns end.
struct Drain<'a> {
    /// Whose.
    shared: &'a Arc<Shared>,
}

impl Drain<'_> {
    /// Waits, then tells, aborts and fences what runs; answers whether all sessions are at rest.
    async fn drain(&self) -> bool {
        let (engine, ending) = (&self.shared.engine, &self.shared.ending);
        self.note_what_runs();
        if !self.wait(|| ending.deadline(), self.all_ended()).await {
            self.tell();
            // Sessions abort and fence what does not unwind; after that only the store can be waited for.
            let most = engine.now().moment.plus(engine.config.turns.cancel_grace).plus(LAST_WAIT);
            self.wait(|| most, self.all_at_rest(ending.except())).await;
        }
        self.end_excepted();
        // What somebody was there for meanwhile.
        self.shared.registry.slots().iter().for_each(Slot::save);
        let most = engine.now().moment.plus(LAST_WAIT);
        self.wait(|| most, self.all_at_rest(Vec::new())).await
    }

    /// Marks the run as ended in good order; whether the store has the mark.
    async fn mark(&self) -> bool {
        let engine = &self.shared.engine;
        let now = engine.now();
        let stop = CleanStop { at: now.wall, turns: self.shared.ending.report(now.moment).turns };
        let marked = engine.store.close_run(engine.instance, stop).await;
        if let Err(error) = &marked {
            engine.counts.store_failed("close_run");
            tracing::warn!(%error, "the next start will take this run for one that crashed");
        }
        marked.is_ok()
    }

    /// Aborts the tasks that are left, and waits for them; answers those that still run.
    async fn end_tasks(&self) -> Vec<StreamId> {
        let (engine, ending) = (&self.shared.engine, &self.shared.ending);
        engine.tasks.abort(&ending.except());
        let most = engine.now().moment.plus(LAST_WAIT);
        let left = || engine.tasks.left(&ending.except());
        self.wait(|| most, || left().is_empty()).await;
        left()
    }

    /// Notes the sessions that are not at rest, and their turns.
    fn note_what_runs(&self) {
        let now = self.shared.engine.now();
        for slot in self.busy(&[]) {
            self.shared.ending.found(&slot);
            for turn in slot.snapshot(now).turns {
                self.shared.ending.note(&slot, turn.stream, DrainStep::Found);
            }
        }
    }

    /// Tells what runs to end, but for what is not to be told, and who waits that it will not be.
    fn tell(&self) {
        let engine = &self.shared.engine;
        let (except, grace) = (self.shared.ending.except(), engine.config.turns.cancel_grace);
        for slot in self.busy(&[]) {
            let turns = slot.snapshot(engine.now()).turns;
            if turns.iter().all(|turn| !except.contains(&turn.stream)) {
                slot.cancel(Target::Everything, CancelReason::Shutdown, grace);
                continue;
            }
            for turn in turns.iter().filter(|turn| !except.contains(&turn.stream)) {
                let target = Target::Turn(turn.stream.generation());
                slot.cancel(target, CancelReason::Shutdown, grace);
            }
        }
    }

    /// Has the turns that were not waited for ended over their holders' heads, without a word to them. Whoever
    /// asked for the shutdown in such a turn would be dropped with its work otherwise.
    fn end_excepted(&self) {
        let (now, except) = (self.shared.engine.now(), self.shared.ending.except());
        for slot in self.busy(&[]) {
            let turns = slot.snapshot(now).turns;
            let excepted: Vec<_> =
                turns.iter().map(|turn| turn.stream).filter(|it| except.contains(it)).collect();
            for &turn in &excepted {
                if let Some(stream) = slot.stream(turn) {
                    stream.spare();
                    self.shared.ending.note(&slot, turn, DrainStep::Spared);
                }
            }
            if !excepted.is_empty() {
                slot.cancel(Target::Everything, CancelReason::Shutdown, Duration::ZERO);
            }
        }
    }

    /// The sessions that are not at rest; one in which only `except` runs is.
    fn busy(&self, except: &[StreamId]) -> Vec<Arc<Slot>> {
        let mut slots = self.shared.registry.slots();
        slots.retain(|slot| !self.is_at_rest(slot, except));
        slots
    }

    /// Whether nothing runs in a session but `except`, and it owes the store nothing. Who waits behind such
    /// a turn is not waited for either.
    fn is_at_rest(&self, slot: &Slot, except: &[StreamId]) -> bool {
        if slot.is_quiet() || except.is_empty() {
            return slot.is_quiet();
        }
        let now = slot.snapshot(self.shared.engine.now());
        let excepted = now.turns.iter().all(|turn| except.contains(&turn.stream));
        excepted && !now.turns.is_empty() && now.unwritten == 0
    }

    /// Looks whether all sessions are at rest. Looked at again are those that were not, and the others only
    /// when these are.
    fn all_at_rest(&self, except: Vec<StreamId>) -> impl FnMut() -> bool {
        let mut busy: Vec<Arc<Slot>> = Vec::new();
        move || {
            busy.retain(|slot| !self.is_at_rest(slot, &except));
            if busy.is_empty() {
                busy = self.busy(&except);
            }
            busy.is_empty()
        }
    }

    /// Looks whether nothing runs any more but what is not to be waited for: no turn, and no task.
    fn all_ended(&self) -> impl FnMut() -> bool {
        let ending = &self.shared.ending;
        let mut except = ending.except();
        let mut at_rest = self.all_at_rest(except.clone());
        move || {
            let wanted = ending.except();
            if wanted != except {
                at_rest = self.all_at_rest(wanted.clone());
                except = wanted;
            }
            at_rest() && self.shared.engine.tasks.left(&except).is_empty()
        }
    }

    /// Waits until `look` finds it so, or until `deadline`, which may come to be earlier; whether it is so.
    async fn wait(&self, deadline: impl Fn() -> Moment, mut look: impl FnMut() -> bool) -> bool {
        loop {
            let stirred = self.shared.stirred.notified();
            let mut stirred = std::pin::pin!(stirred);
            // Whatever ends from here on is not missed.
            stirred.as_mut().enable();
            if look() {
                return true;
            }
            let until = deadline();
            let left = until.since(self.shared.engine.now().moment);
            let over = left.is_zero() || rt::timeout(left, stirred).await.is_err();
            if over && deadline() >= until {
                return look();
            }
        }
    }
}

//! The parent of all session actors: hears each end, and runs the clocks.
//!
//! It is on no request's path. What it does when a session's actor has ended is to see whether
//! something was left in the slot, and to start a successor for it.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::shared::Shared;
use super::{idle, prune, resume_sweep, watch};
use crate::capacity::keeper;
use crate::engine::Engine;
use crate::rt::{self, Arc, JoinHandle, Weak};
use crate::slot::Slot;
use crate::slot::actor::succeed;
use crate::store::Forget;

/// How many tombstones are removed at a time.
const SWEEP_SLICE: usize = 1_024;

/// How long the last of an actor may take once it was told to stop, and has.
const MOMENT: Duration = Duration::from_millis(100);

/// What the supervisor's actor is told. No message has a reply, none counts as use.
#[derive(Debug)]
pub(super) enum SupervisorMessage {
    /// From a session's actor, as it is dropped: it has ended, however.
    ActorEnded {
        /// What it looked after.
        slot: Weak<Slot>,
        /// Which of the slot's actors it was.
        tenure: u64,
    },
    /// From the clock: look for tombstones whose time is over.
    Sweep,
}

#[cfg(feature = "cluster")]
impl ractor::Message for SupervisorMessage {}

/// The behaviour.
#[derive(Debug)]
pub(super) struct SupervisorActor;

/// What the actor holds. Weak, so that dropping every handle ends the supervisor.
#[derive(Debug)]
pub(super) struct SupervisorState {
    /// What it looks after.
    shared: Weak<Shared>,
    /// Sends `Sweep`; ends with the supervisor.
    clock: JoinHandle<()>,
    /// Looks at open turns; ends with the supervisor.
    watch: JoinHandle<()>,
    /// Lets sessions leave that are not used; ends with the supervisor.
    idle: JoinHandle<()>,
    /// Ends conversations whose time is over; ends with the supervisor.
    prune: JoinHandle<()>,
    /// Tells those who wait for permits; ends with the supervisor.
    keeper: JoinHandle<()>,
}

impl Drop for SupervisorState {
    fn drop(&mut self) {
        self.clock.abort();
        self.watch.abort();
        self.idle.abort();
        self.prune.abort();
        self.keeper.abort();
    }
}

#[cfg_attr(feature = "async-trait", async_trait::async_trait)]
impl Actor for SupervisorActor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = Weak<Shared>;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        shared: Weak<Shared>,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let strong = shared.upgrade().ok_or("the supervisor was dropped before it had started")?;
        let every = strong.engine.config.tombstones.sweep_every;
        let clock = strong.engine.spawner.spawn(async move {
            loop {
                rt::sleep(every).await;
                if myself.cast(SupervisorMessage::Sweep).is_err() {
                    return;
                }
            }
        });
        let watch = strong.engine.spawner.spawn(watch::run(strong.watch.clone(), shared.clone()));
        let idle = strong.engine.spawner.spawn(idle::run(strong.idle.clone(), shared.clone()));
        let every = strong.engine.config.prune.every;
        let prune = strong.engine.spawner.spawn(prune::run(every, shared.clone()));
        let (capacity, engine) = (strong.engine.capacity.clone(), Arc::downgrade(&strong.engine));
        let keeper = strong.engine.spawner.spawn(keeper::run(capacity, engine));
        Ok(SupervisorState { shared, clock, watch, idle, prune, keeper })
    }

    async fn handle(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::ActorEnded { slot, tenure } => succeed(&slot, tenure),
            SupervisorMessage::Sweep => {
                if let Some(shared) = state.shared.upgrade() {
                    let spawner = shared.engine.spawner.clone();
                    drop(spawner.spawn(async move { sweep(&shared).await }));
                }
            }
        }
        Ok(())
    }

    /// Overridden because the default ends the supervisor when any child ends.
    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        _state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(actor, error) = event {
            tracing::error!(actor = %actor.get_id(), %error, "a session's actor has failed");
        }
        Ok(())
    }
}

/// Removes what is kept for a time and whose time is over, a slice at a time.
pub(super) async fn sweep(shared: &Arc<Shared>) {
    // The watch may have been woken by a thread that blocked at once, and is then in its queue.
    watch::look(shared);
    let now = shared.engine.now();
    shared.registry.sweep(now);
    shared.engine.shelf.sweep(now.moment);
    shared.engine.counts.tombstones(shared.registry.tombstones(), 0);
    shared.recount().await;
    shared.engine.capacity.publish();
    for what in over(&shared.engine).into_iter().chain(resume_sweep::over(&shared.engine, now.wall))
    {
        loop {
            match shared.engine.store.forget(what, SWEEP_SLICE).await {
                Ok(forgotten) if forgotten == SWEEP_SLICE => {}
                Ok(_) => break,
                Err(error) => {
                    shared.engine.counts.store_failed(what.name());
                    tracing::warn!(what = what.name(), %error, "a sweep failed");
                    break;
                }
            }
        }
    }
}

/// What is kept for a time, and whose time is over by now.
pub(super) fn over(engine: &Engine) -> [Forget; 3] {
    let (now, kept) = (engine.now().wall, &engine.config.kept);
    [
        Forget::Tombstones(now),
        Forget::Requests(now.minus(kept.requests_for)),
        Forget::Revisions(now.minus(kept.revisions_for)),
    ]
}

/// Stops it and every session's, each given as long as `most`; whether they ended.
pub(super) async fn stop(shared: &Arc<Shared>, most: Duration) -> bool {
    let Some(actor) = shared.actor.lock().take() else { return true };
    let mut stopping = Stopping { shared, actor: Some(actor.clone()) };
    actor.stop_children_and_wait(None, Some(most)).await;
    // Refused if it was told before, by a shutdown that was dropped.
    actor.stop(None);
    let ended = actor.wait(Some(most)).await.is_ok();
    // One that was linked at the last moment goes with its parent, a moment after it; and what an actor holds is
    // dropped after whoever waits for it has been told.
    let all_ended = || (shared.engine.counts.actors() == 0).then_some(());
    let all = rt::timeout(most.min(MOMENT), rt::wait(&shared.stirred, all_ended)).await;
    stopping.actor = None;
    ended && all.is_ok()
}

/// The supervisor's actor while it is being stopped: out of reach, so that nothing is linked to it
/// any more. Dropped in the middle it is put back for the next shutdown to finish.
struct Stopping<'a> {
    /// Where it stood.
    shared: &'a Arc<Shared>,
    /// The actor; `None` once it has ended.
    actor: Option<ActorRef<SupervisorMessage>>,
}

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        if let Some(actor) = self.actor.take() {
            *self.shared.actor.lock() = Some(actor);
        }
    }
}

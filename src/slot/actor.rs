//! The actor of a session: awaits what its store does not answer at once.
//!
//! It is started on first need, linked to the supervisor's actor, unnamed, and gets nothing but
//! [`Wake`]. What it is to do stands in the slot, so a lost message or a dead actor loses nothing:
//! a successor finds the same. It ends when its slot is over.

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use tracing::Instrument;

use super::Slot;
use crate::rt::{Arc, Weak};

/// "There may be something left for you in the slot." Sent by whoever leaves it; no reply; never
/// counts as use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wake;

#[cfg(feature = "cluster")]
impl ractor::Message for Wake {}

/// The actor of one slot, as the slot sees it.
#[derive(Debug)]
pub(crate) struct ActorHandle {
    /// Where to send a wake-up.
    actor: ActorRef<Wake>,
    /// Which of the slot's actors it is, so that the end of an earlier one is not taken for its.
    tenure: u64,
}

/// The behaviour; all state is in [`Tenure`].
struct SessionActor;

/// One actor's time in charge of a slot. Reports its end when dropped, however it ended.
struct Tenure {
    /// What it looks after.
    slot: Arc<Slot>,
    /// Which of the slot's actors it is.
    number: u64,
}

impl Drop for Tenure {
    fn drop(&mut self) {
        self.slot.engine.counts.actor_ended();
        if let Some(house) = self.slot.house() {
            house.actor_ended(&Arc::downgrade(&self.slot), self.number);
        }
    }
}

#[cfg_attr(feature = "async-trait", async_trait::async_trait)]
impl Actor for SessionActor {
    type Msg = Wake;
    type State = Tenure;
    type Arguments = Tenure;

    async fn pre_start(
        &self,
        _myself: ActorRef<Wake>,
        tenure: Tenure,
    ) -> Result<Tenure, ActorProcessingErr> {
        Ok(tenure)
    }

    async fn handle(
        &self,
        myself: ActorRef<Wake>,
        _wake: Wake,
        tenure: &mut Tenure,
    ) -> Result<(), ActorProcessingErr> {
        while let Some(writing) = tenure.slot.take_left() {
            let span = tracing::debug_span!("session", id = %tenure.slot.tip());
            tenure.slot.see_through(writing).instrument(span).await;
        }
        if tenure.slot.is_over() {
            myself.stop(None);
        }
        Ok(())
    }
}

/// Wakes the slot's actor, and starts it if there is none.
///
/// Without a supervisor to link to, which is so only at the very end of a shutdown, a bare task
/// does the work.
pub(super) fn wake(slot: &Arc<Slot>) {
    let mut actor = slot.actor.lock();
    if actor.as_ref().is_some_and(|handle| handle.actor.cast(Wake).is_ok()) {
        return;
    }
    let tenure = actor.as_ref().map_or(0, |handle| handle.tenure + 1);
    let first = actor.is_none();
    *actor = slot.house().and_then(|house| house.parent()).and_then(|parent| {
        let started = start(slot, tenure, parent)?;
        started.cast(Wake).is_ok().then_some(ActorHandle { actor: started, tenure })
    });
    if first && actor.is_some() {
        slot.grow();
    }
    if actor.is_none() {
        let slot = slot.clone();
        let spawner = slot.engine.spawner.clone();
        spawner.spawn(async move {
            while let Some(writing) = slot.take_left() {
                slot.see_through(writing).await;
            }
        });
    }
}

/// Starts an actor under `parent`.
fn start(slot: &Arc<Slot>, number: u64, parent: ActorCell) -> Option<ActorRef<Wake>> {
    slot.engine.counts.actor_started();
    let tenure = Tenure { slot: slot.clone(), number };
    let spawner = &slot.engine.spawner;
    let started = spawner
        .enter(|| ractor::ActorRuntime::spawn_linked_instant(None, SessionActor, tenure, parent));
    started.ok().map(|(actor, _starting)| actor)
}

/// Ends the actor of a slot that is over.
pub(super) fn retire(slot: &Arc<Slot>) {
    if let Some(handle) = slot.actor.lock().as_ref() {
        // Over a wake-up rather than a stop, so that it finishes what it is doing.
        drop(handle.actor.cast(Wake));
    }
}

/// From the supervisor's actor: the slot's actor has ended. If something is left in the slot, a
/// successor is started for it.
pub(crate) fn succeed(slot: &Weak<Slot>, tenure: u64) {
    let Some(slot) = slot.upgrade() else { return };
    let abandoned = {
        let actor = slot.actor.lock();
        actor.as_ref().is_none_or(|handle| handle.tenure == tenure)
    };
    if abandoned && slot.has_left() {
        wake(&slot);
    }
}

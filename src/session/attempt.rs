//! One try to begin a turn.
//!
//! It is asked for in one call, and as a rule that brings the answer with it: nobody is in the way, and the store
//! answers at once. Whatever takes longer is waited for by [`Attempt::answer`].

use std::time::Duration;

use bytes::Bytes;

use super::wait::answer;
use crate::capacity::Permit;
use crate::clock::Moment;
use crate::rt::{self, Arc};
use crate::slot::Slot;
use crate::slot::answer::{Answered, Begun, FromOver};
use crate::state::{BeginRequest, Redo, Special, Ticket};
use crate::store::Request;
use crate::turn::BeginOptions;

/// What a begin is about, once it is ready to be stored, and as far as no attempt has it.
#[derive(Default)]
pub(super) struct Encoded {
    /// What the turn is begun with.
    pub(super) input: Option<Bytes>,
    /// The name of the begin.
    pub(super) named: Option<Request>,
    /// What it does over.
    pub(super) redo: Option<Redo>,
    /// Its permit, if that was waited for before.
    pub(super) permit: Option<Permit>,
}

/// A begin that was asked for, and its answer, which is there or comes.
pub(super) struct Attempt {
    /// Names it while it waits.
    ticket: Ticket,
    /// For how long it is in the queue at most.
    wait: Option<Duration>,
    /// When it was asked for.
    pub(super) since: Moment,
    /// Whether it is in the queue.
    queued: bool,
    /// The answer.
    pub(super) begun: Answered<Begun>,
}

impl Attempt {
    /// Asks `slot` for a turn now. The input comes back with a refusal after which it is asked again.
    pub(super) fn new(
        slot: &Arc<Slot>,
        (input, permit): (Option<Bytes>, Option<Permit>),
        special: Option<Box<Special>>,
        options: &BeginOptions,
    ) -> Self {
        let engine = &slot.engine;
        let (ticket, now) = (slot.ticket(), engine.now());
        let policy = options.policy.unwrap_or(engine.config.busy);
        let (expect_version, draining) = (options.expect_version, false);
        let abort_after = engine.config.turns.abort_after;
        let request =
            BeginRequest { ticket, input, policy, expect_version, draining, abort_after, special };
        let (queued, begun) = slot.begin(request, permit, now);
        Self { ticket, wait: policy.wait(), since: now.moment, queued, begun }
    }

    /// Waits for the answer of `slot`, which was asked; at most as long as its policy says once it is in the
    /// queue.
    pub(super) async fn answer(self, slot: &Arc<Slot>) -> Begun {
        let mut receiver = match self.begun {
            Answered::Later(receiver) if self.queued => receiver,
            begun @ (Answered::Ready(_) | Answered::Later(_)) => return begun.get().await,
        };
        let place = QueuePlace::take(slot, self.ticket, self.since);
        let Some(wait) = self.wait else { return answer(receiver).await };
        if let Ok(answer) = rt::timeout(wait, &mut receiver).await {
            return answer.unwrap_or_else(|_| Err(FromOver::over()));
        }
        // From here the answer is near: refused as timed out, or admitted in this very moment.
        drop(place);
        answer(receiver).await
    }
}

/// A place in a session's queue; given up when dropped.
struct QueuePlace<'a> {
    /// The session.
    slot: &'a Arc<Slot>,
    /// Which place.
    ticket: Ticket,
    /// Since when.
    since: Moment,
}

impl<'a> QueuePlace<'a> {
    /// Notes that `ticket` waits.
    fn take(slot: &'a Arc<Slot>, ticket: Ticket, since: Moment) -> Self {
        slot.engine.counts.queued();
        Self { slot, ticket, since }
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        let waited = self.slot.engine.now().moment.since(self.since);
        self.slot.engine.counts.dequeued(waited.as_secs_f64());
        self.slot.leave_queue(self.ticket);
    }
}

//! How turns begin: admitted, queued or refused, and the slot passed on.

use super::outbox::Pending;
use super::stalls::Watched;
use super::{
    BeginRefusal, BeginRequest, Effect, OpenTurn, Phase, Ports, Queued, SessionState, Step, Ticket,
};
use crate::outcome::CancelReason;
use crate::policy::{BusyPolicy, DEFAULT_QUEUE_MAX, Holder, Parallel};
use crate::store::{TurnMarker, Write};

impl<P: Ports> SessionState<P> {
    /// Admits, queues or refuses a turn. In order: gone, closing, draining, busy, full, conflict.
    ///
    /// Whoever waits is never overtaken: a parallel newcomer waits, too, while somebody does.
    pub(super) fn begin(
        &mut self,
        request: BeginRequest,
        port: P::Begin,
        stream: P::Stream,
        step: &mut Step<'_, P>,
    ) {
        if let Some(refusal) =
            self.refuse_use().or(request.draining.then_some(BeginRefusal::Draining))
        {
            step.effects.push(Effect::Refused { port, refusal });
            return;
        }
        let Some(holder) = self.turns.last().map(|turn| self.holder(turn, step.now)) else {
            self.open(request, port, stream, step);
            return;
        };
        let queued = self.queue.len();
        let refusal = match request.policy {
            BusyPolicy::Parallel(Parallel::FirstCommit) if queued == 0 => {
                self.open(request, port, stream, step);
                return;
            }
            BusyPolicy::Reject => Some(BeginRefusal::Busy { holder, queued }),
            BusyPolicy::Queue { max, .. } | BusyPolicy::Interrupt { max, .. } => {
                self.refuse_wait(&request, max, holder)
            }
            BusyPolicy::Parallel(_) => self.refuse_wait(&request, DEFAULT_QUEUE_MAX, holder),
        };
        if let Some(refusal) = refusal {
            step.effects.push(Effect::Refused { port, refusal });
            return;
        }
        let interrupt = request.grace();
        self.queue.push_back(Queued { request, port, stream });
        step.effects.push(Effect::Waiting { holder });
        if let Some(grace) = interrupt {
            self.tell_all(CancelReason::Preempted, grace, step);
            self.escalate(step);
        }
    }

    /// Why a newcomer may not wait, if it may not.
    fn refuse_wait(
        &self,
        request: &BeginRequest,
        max: usize,
        holder: Holder,
    ) -> Option<BeginRefusal> {
        let queued = self.queue.len();
        if queued >= max {
            return Some(BeginRefusal::QueueFull { holder, queued });
        }
        // Before it interrupts anybody: a version that is wrong now will not get right.
        self.conflict(request)
    }

    /// Whether the session is not as the newcomer saw it last.
    fn conflict(&self, request: &BeginRequest) -> Option<BeginRefusal> {
        let conflict = request.expect_version.is_some_and(|expected| expected != self.version);
        conflict.then_some(BeginRefusal::Conflict { version: self.version })
    }

    /// Why nothing can be done with this session, if nothing can.
    fn refuse_use(&self) -> Option<BeginRefusal> {
        match &self.phase {
            Phase::Live => None,
            Phase::Closing(_) => Some(BeginRefusal::Closing),
            Phase::Gone(tombstone) => Some(BeginRefusal::Gone(*tombstone)),
            Phase::Left => Some(BeginRefusal::Left),
        }
    }

    /// Opens a turn: takes the slot now, and hands it over when the store has it.
    fn open(
        &mut self,
        request: BeginRequest,
        port: P::Begin,
        stream: P::Stream,
        step: &mut Step<'_, P>,
    ) {
        if let Some(refusal) = self.conflict(&request) {
            step.effects.push(Effect::Refused { port, refusal });
            return;
        }
        self.generation = self.generation.next();
        let generation = self.generation;
        let marker = TurnMarker { generation, instance: self.instance, began_at: step.now.wall };
        let input = request.input.map(|input| (self.take_seqs(1), input));
        self.last_active_at = step.now.wall;
        self.turns.push(OpenTurn {
            generation,
            stream: stream.clone(),
            parallel: matches!(request.policy, BusyPolicy::Parallel(_)),
            opened: false,
            base: self.last_commit,
            since: step.now.moment,
            stopping: None,
            watched: Watched::new(step.now.moment),
        });
        self.watch(step);
        let write = Write::Begin { marker, input, at: step.now.wall };
        step.effects.push(Effect::Opened { generation, stream: stream.clone() });
        self.outbox.push_back(Pending::Begin { write: Some(write), generation, port, stream });
    }

    /// Numbers for `count` entries; answers the first.
    pub(super) fn take_seqs(&mut self, count: usize) -> u64 {
        let first = self.next_seq;
        self.next_seq += count as u64;
        first
    }

    /// Gives the slot to whoever waits first, if it is free. Called whenever a turn leaves it.
    ///
    /// A waiter whose time is over in this moment gets it as well: its timer and this race, and
    /// whoever comes first decides.
    pub(super) fn admit_next(&mut self, step: &mut Step<'_, P>) {
        let parallel = |next: &Queued<P>| matches!(next.request.policy, BusyPolicy::Parallel(_));
        while self.turns.is_empty() || self.queue.front().is_some_and(parallel) {
            let Some(next) = self.queue.pop_front() else { return };
            self.open(next.request, next.port, next.stream, step);
            // Somebody behind it wants it interrupted already: its input is kept, its work is not
            // begun.
            if let Some(grace) = self.queue.iter().find_map(|queued| queued.request.grace()) {
                self.tell_all(CancelReason::Preempted, grace, step);
            }
        }
    }

    /// Takes a waiting begin off. One that has been granted the slot meanwhile is not waiting any
    /// more: its turn comes, and is abandoned when nobody takes it.
    pub(super) fn leave_queue(&mut self, ticket: Ticket, step: &mut Step<'_, P>) {
        let found = self.queue.iter().position(|queued| queued.request.ticket == ticket);
        if let Some(queued) = found.and_then(|place| self.queue.remove(place)) {
            let holder = self.turns.last().map(|turn| self.holder(turn, step.now));
            let refusal = BeginRefusal::TimedOut { holder };
            step.effects.push(Effect::Refused { port: queued.port, refusal });
            // It may have kept back a parallel newcomer that needs no free slot.
            self.admit_next(step);
        }
    }
}

//! How turns begin: admitted, queued or refused, and the slot passed on.

use super::outbox::Pending;
use super::{
    BeginRefusal, BeginRequest, Effect, OpenTurn, Phase, Ports, Queued, Redo, SessionState, Step,
    Ticket,
};
use crate::outcome::CancelReason;
use crate::policy::{BusyPolicy, DEFAULT_QUEUE_MAX, Holder, Parallel};
use crate::store::{BeginExtra, Request, TurnMarker, Write};

impl BeginRequest {
    /// What it takes back.
    pub(super) fn redo(&self) -> Option<Redo> {
        self.special.as_ref()?.redo
    }
}

impl<P: Ports> SessionState<P> {
    /// Admits, queues or refuses a turn. In order: gone, closing, shut, draining, due,
    /// busy, full, conflict.
    ///
    /// Whoever waits is never overtaken: a parallel newcomer waits, too, while somebody does.
    pub(super) fn begin(
        &mut self,
        mut request: BeginRequest,
        port: P::Begin,
        stream: P::Stream,
        step: &mut Step<'_, P>,
    ) {
        let refusal = match &self.phase {
            Phase::Live if request.draining => Some(BeginRefusal::Draining),
            Phase::Live => self.due(step.now).map(|_| BeginRefusal::Due(request.input.take())),
            Phase::Shut(standing) => Some(BeginRefusal::Shut(*standing)),
            Phase::Closing(_) => Some(BeginRefusal::Closing),
            Phase::Gone(tombstone) => Some(BeginRefusal::Gone(*tombstone)),
            Phase::Left => Some(BeginRefusal::Left(request.input.take())),
        };
        if let Some(refusal) = refusal {
            step.effects.push(Effect::Refused { port, refusal });
            return;
        }
        let Some((request, port)) = self.refuse_repeated(request, port, step) else { return };
        let Some(holder) = self.turns.last().map(|turn| self.holder(turn, step.now)) else {
            self.open(request, port, stream, step);
            return;
        };
        let queued = self.queue.len();
        let refusal = match request.policy {
            _ if request.redo().is_some() => Some(BeginRefusal::Busy { holder, queued }),
            BusyPolicy::Parallel(_) if queued == 0 => {
                self.open(request, port, stream, step);
                return;
            }
            BusyPolicy::Reject => Some(BeginRefusal::Busy { holder, queued }),
            BusyPolicy::Queue { max, .. }
            | BusyPolicy::Steer { max, .. }
            | BusyPolicy::Interrupt { max, .. } => self.refuse_wait(&request, max, holder),
            BusyPolicy::Parallel(_) => self.refuse_wait(&request, DEFAULT_QUEUE_MAX, holder),
        };
        if let Some(refusal) = refusal {
            step.effects.push(Effect::Refused { port, refusal });
            return;
        }
        let interrupt = request.grace();
        self.queue.push_back(Queued { request, port, stream });
        step.effects.push(Effect::Waiting { holder });
        self.offer(step);
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
        if request.expect_version.is_some_and(|expected| expected != self.version) {
            return Some(BeginRefusal::Conflict { version: self.version });
        }
        request.redo().filter(|redo| self.has_moved(*redo)).map(|_| BeginRefusal::Moved)
    }

    /// Opens a turn: takes the slot now, and hands it over when the store has it.
    fn open(
        &mut self,
        request: BeginRequest,
        port: P::Begin,
        stream: P::Stream,
        step: &mut Step<'_, P>,
    ) {
        let parallel = match request.policy {
            BusyPolicy::Parallel(parallel) => Some(parallel),
            BusyPolicy::Reject
            | BusyPolicy::Queue { .. }
            | BusyPolicy::Steer { .. }
            | BusyPolicy::Interrupt { .. } => None,
        };
        let branches = parallel == Some(Parallel::Branch);
        let refusal = self.conflict(&request);
        let siblings = match refusal {
            None if branches => self.branch(request.redo()).map(Some),
            None => Ok(None),
            Some(refusal) => Err(refusal),
        };
        if let Err(refusal) = siblings {
            self.refuse_echoes(request.ticket, &refusal, step);
            step.effects.push(Effect::Refused { port, refusal });
            return;
        }
        self.generation = self.generation.next();
        let generation = self.generation;
        let marker = TurnMarker { generation, instance: self.instance, began_at: step.now.wall };
        let (extra, named) = self.extra(&request);
        let beside = extra.as_ref().is_some_and(|extra| extra.parent.is_some());
        self.siblings = siblings.ok().flatten().unwrap_or(self.siblings);
        let input = request.input.map(|input| (self.take_seqs(1), input));
        self.touch(step.now);
        self.turns.push(OpenTurn {
            generation,
            stream: stream.clone(),
            parallel,
            beside,
            opened: false,
            base: self.last_commit,
            last_seq: input.as_ref().map_or(0, |(seq, _)| *seq),
            steered: false,
            named: None,
            since: step.now.moment,
            stopping: None,
            given_at: step.now.moment,
            seen: None,
        });
        self.watch(step);
        let write = Write::Begin { marker, input, extra, at: step.now.wall };
        step.effects.push(Effect::Opened { generation, stream: stream.clone() });
        let write = Some(write);
        self.outbox.push_back(Pending::Begin { write, generation, named, port, stream });
        self.echo_opened(request.ticket, generation);
    }

    /// What a begin has beside its marker and its input, and its name.
    fn extra(&mut self, request: &BeginRequest) -> (Option<Box<BeginExtra>>, Option<Box<Request>>) {
        let parallel = matches!(request.policy, BusyPolicy::Parallel(_));
        let branching = request.policy == BusyPolicy::Parallel(Parallel::Branch)
            || parallel && self.turns.iter().any(OpenTurn::branches);
        if request.special.is_none() && !branching {
            return (None, None);
        }
        // First, since what it takes back cannot be what it stands under.
        let take_back = request.redo().map(|redo| self.take_back(redo));
        let parent = branching.then_some(self.tip);
        let named = request.special.as_ref().and_then(|special| special.request.as_ref());
        let named = named.map(|asked| asked.request.clone());
        (
            Some(Box::new(BeginExtra { take_back, request: named.clone(), parent })),
            named.map(Box::new),
        )
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
            let Some(next) = self.queue.pop_front() else { break };
            self.open(next.request, next.port, next.stream, step);
            // Somebody behind it wants it interrupted already: its input is kept, its work is not
            // begun.
            if let Some(grace) = self.queue.iter().find_map(|queued| queued.request.grace()) {
                self.tell_all(CancelReason::Preempted, grace, step);
            }
        }
        // Somebody else may be the first now.
        self.offer(step);
    }

    /// Takes a waiting begin off. One that has been granted the slot meanwhile is not waiting any
    /// more: its turn comes, and is abandoned when nobody takes it.
    pub(super) fn leave_queue(&mut self, ticket: Ticket, step: &mut Step<'_, P>) {
        self.leave_echo(ticket, step);
        let found = self.queue.iter().position(|queued| queued.request.ticket == ticket);
        if let Some(queued) = found.and_then(|place| self.queue.remove(place)) {
            let holder = self.turns.last().map(|turn| self.holder(turn, step.now));
            let refusal = BeginRefusal::TimedOut { holder };
            self.refuse_echoes(ticket, &refusal, step);
            step.effects.push(Effect::Refused { port: queued.port, refusal });
            // It may have kept back a parallel newcomer that needs no free slot.
            self.admit_next(step);
        }
    }
}

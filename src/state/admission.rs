//! How turns begin: admitted, queued or refused, and the slot passed on.

use std::collections::VecDeque;

use super::branch::Siblings;
use super::pending::Pending;
use super::{
    BeginRefusal, BeginRequest, Effect, Gate, OpenTurn, Pass, Permit, Phase, Ports, Queued, Redo,
    SessionState, Size, Step, Taken, Ticket,
};
use bytes::Bytes;

use crate::outcome::CancelReason;
use crate::policy::{BusyPolicy, DEFAULT_QUEUE_MAX, Holder, Parallel};
use crate::store::{BeginExtra, Request, RevisionReason, TurnMarker, Write};

impl BeginRequest {
    /// What it takes back.
    pub(super) fn redo(&self) -> Option<Redo> {
        self.special.as_ref()?.redo
    }
}

impl<P: Ports> SessionState<P> {
    /// Admits, queues or refuses a turn. In order: gone, closing, shut, draining, due, busy, queue full,
    /// conflict, too long, and at last no permit.
    ///
    /// Whoever waits is never overtaken: a parallel newcomer waits, too, while somebody does. Who brings a
    /// permit gives it back where the slot is taken.
    pub(super) fn begin(
        &mut self,
        mut request: BeginRequest,
        (port, stream): (P::Begin, P::Stream),
        pass: Pass<Permit<P>>,
        step: &mut Step<'_, P>,
    ) {
        let refusal = match &self.phase {
            Phase::Live if request.draining => Some(BeginRefusal::Draining),
            Phase::Live => self.due(step.now).map(|_| BeginRefusal::Due(request.input.take())),
            Phase::Shut(standing) => Some(BeginRefusal::Shut(*standing)),
            Phase::Closing(_) => Some(BeginRefusal::Closing),
            Phase::Gone(tombstone) => Some(BeginRefusal::Gone(**tombstone)),
            Phase::Left => Some(BeginRefusal::Left(request.input.take())),
        };
        if let Some(refusal) = refusal {
            step.effects.push(Effect::Refused { port, refusal });
            return;
        }
        let Some(port) = self.refuse_repeated(&mut request, port, step) else { return };
        let holder = self.turns.last().map(|turn| self.holder(turn, step.now));
        let parallel = matches!(request.policy, BusyPolicy::Parallel(_));
        if self.queue.is_empty() && (parallel && request.redo().is_none() || holder.is_none()) {
            self.open(request, (port, stream), pass, step);
            return;
        }
        let refusal = match request.policy {
            _ if request.redo().is_some() => Some(self.refuse_busy(holder)),
            BusyPolicy::Reject => Some(self.refuse_busy(holder)),
            BusyPolicy::Queue { max, .. }
            | BusyPolicy::Steer { max, .. }
            | BusyPolicy::Interrupt { max, .. } => self.refuse_wait(&request, max, holder),
            BusyPolicy::Parallel(_) => self.refuse_wait(&request, DEFAULT_QUEUE_MAX, holder),
        };
        let bytes = request.input.as_ref().map_or(0, Bytes::len);
        let spot = match refusal {
            None => self.gate.enqueue(bytes).map_err(|full| BeginRefusal::Short(full.into())),
            Some(refusal) => Err(refusal),
        };
        let spot = match spot {
            Ok(spot) => Some(spot),
            Err(refusal) => {
                step.effects.push(Effect::Refused { port, refusal });
                return;
            }
        };
        let interrupt = request.grace();
        self.queue.make().push_back(Queued { request, port, stream, _spot: spot });
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
        holder: Option<Holder>,
    ) -> Option<BeginRefusal> {
        let queued = self.queued();
        if queued >= max {
            let full = |holder| BeginRefusal::QueueFull { holder, queued };
            return Some(holder.map_or_else(|| self.refuse_short(), full));
        }
        // Before it interrupts anybody: a version that is wrong now will not get right.
        self.conflict(request)
    }

    /// The refusal of one that may not wait: a turn runs, or somebody before it waits for a permit.
    fn refuse_busy(&self, holder: Option<Holder>) -> BeginRefusal {
        let busy = |holder| BeginRefusal::Busy { holder, queued: self.queued() };
        holder.map_or_else(|| self.refuse_short(), busy)
    }

    /// The refusal of one for whom there is no permit.
    pub(super) fn refuse_short(&self) -> BeginRefusal {
        BeginRefusal::Short(self.gate.shortage())
    }

    /// Whether the session is not as the newcomer saw it last.
    fn conflict(&self, request: &BeginRequest) -> Option<BeginRefusal> {
        if request.expect_version.is_some_and(|expected| expected != self.version) {
            return Some(BeginRefusal::Conflict { version: self.version });
        }
        request.redo().filter(|redo| self.has_moved(*redo)).map(|_| BeginRefusal::Moved)
    }

    /// Opens a turn: takes the slot now, and hands it over when the store has it. Without a permit where one
    /// is needed, it asks for one, first in the queue.
    fn open(
        &mut self,
        request: BeginRequest,
        (port, stream): (P::Begin, P::Stream),
        pass: Pass<Permit<P>>,
        step: &mut Step<'_, P>,
    ) {
        let parallel = match request.policy {
            BusyPolicy::Parallel(parallel) => Some(parallel),
            BusyPolicy::Reject
            | BusyPolicy::Queue { .. }
            | BusyPolicy::Steer { .. }
            | BusyPolicy::Interrupt { .. } => None,
        };
        let siblings = match self.stand_beside(&request, parallel) {
            Ok(siblings) => siblings,
            Err(refusal) => return self.refuse_open(request.ticket, port, refusal, step),
        };
        let permit = match pass {
            Pass::With(permit) => Some(permit),
            Pass::Free => None,
            Pass::Ask { waited } => match self.gate.take(waited, step.now.moment) {
                Taken::Permit(permit) => permit,
                Taken::Waits(place) => {
                    self.queue.make().push_front(Queued { request, port, stream, _spot: None });
                    return self.ask(place, step);
                }
                Taken::Short(shortage) => {
                    let refusal = BeginRefusal::Short(shortage);
                    return self.refuse_open(request.ticket, port, refusal, step);
                }
            },
        };
        self.generation = self.generation.next();
        let generation = self.generation;
        let marker = TurnMarker { generation, instance: self.instance, began_at: step.now.wall };
        let (extra, named) = self.extra(&request);
        let beside = extra.as_ref().is_some_and(|extra| extra.parent.is_some());
        if let Some(siblings) = siblings {
            self.siblings = siblings;
        }
        let input_bytes = request.input.as_ref().map(Bytes::len);
        self.grow(Size::of(input_bytes));
        let input = request.input.map(|input| (self.take_seqs(1), input));
        self.touch(step.now);
        self.turns.push(Box::new(OpenTurn {
            generation,
            stream: stream.clone(),
            parallel,
            beside,
            opened: false,
            base: self.last_commit,
            last_seq: input.as_ref().map_or(0, |(seq, _)| *seq),
            steered: 0,
            named: None,
            since: step.now.moment,
            stopping: None,
            given_at: step.now.moment,
            seen: None,
            permit,
            input_bytes,
        }));
        self.watch(step);
        let write = Some(Write::Begin { marker, input, extra, at: step.now.wall });
        step.effects.push(Effect::Opened { generation, stream: stream.clone() });
        self.outbox.push_back(Pending::Begin { write, generation, named, port, stream });
        self.echo_opened(request.ticket, generation);
    }

    /// The place of a turn for which the slot is free, if it is one beside others; or why it cannot be opened.
    fn stand_beside(
        &self,
        request: &BeginRequest,
        parallel: Option<Parallel>,
    ) -> Result<Option<Siblings>, BeginRefusal> {
        let refusal = self.conflict(request);
        match refusal.or_else(|| self.refuse_long(request).map(BeginRefusal::TooLong)) {
            Some(refusal) => Err(refusal),
            None if parallel == Some(Parallel::Branch) => self.branch(request.redo()).map(Some),
            None => Ok(None),
        }
    }

    /// Refuses one for whom the slot was free, and those who repeat it.
    fn refuse_open(
        &mut self,
        ticket: Ticket,
        port: P::Begin,
        refusal: BeginRefusal,
        step: &mut Step<'_, P>,
    ) {
        self.refuse_echoes(ticket, &refusal, step);
        step.effects.push(Effect::Refused { port, refusal });
    }

    /// What a begin has beside its marker and its input, and its name.
    fn extra(&mut self, request: &BeginRequest) -> (Option<Box<BeginExtra>>, Option<Box<Request>>) {
        let parallel = matches!(request.policy, BusyPolicy::Parallel(_));
        let branching = request.policy == BusyPolicy::Parallel(Parallel::Branch)
            || parallel && self.turns.iter().any(|turn| turn.branches());
        if request.special.is_none() && !branching {
            return (None, None);
        }
        // First, since what it takes back cannot be what it stands under.
        let take_back = request.redo().map(|redo| self.take_back(redo, RevisionReason::Retry));
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
        while self.asking.is_none()
            && (self.turns.is_empty() || self.queue.front().is_some_and(parallel))
        {
            let next = self.queue.made().and_then(VecDeque::pop_front);
            let Some(next) = next else { break };
            self.admit_first(next, Pass::Ask { waited: true }, step);
        }
        // Somebody else may be the first now.
        self.offer(step);
    }

    /// Gives the slot to `next`, which was the first in the queue.
    pub(super) fn admit_first(
        &mut self,
        next: Queued<P>,
        pass: Pass<Permit<P>>,
        step: &mut Step<'_, P>,
    ) {
        self.open(next.request, (next.port, next.stream), pass, step);
        // Somebody behind it wants it interrupted already: its input is kept, its work is not begun.
        let interrupt = self.queue.iter().find_map(|queued| queued.request.grace());
        if let Some(grace) = interrupt.filter(|_| self.asking.is_none()) {
            self.tell_all(CancelReason::Preempted, grace, step);
        }
    }

    /// Takes a waiting begin off. One that has been granted the slot meanwhile is not waiting any
    /// more: its turn comes, and is abandoned when nobody takes it.
    pub(super) fn leave_queue(&mut self, ticket: Ticket, step: &mut Step<'_, P>) {
        self.leave_echo(ticket, step);
        let found = self.queue.iter().position(|queued| queued.request.ticket == ticket);
        let asks = found == Some(0) && self.asking.is_some();
        let short = asks.then(|| self.refuse_short());
        let queue = self.queue.made();
        if let Some(queued) = queue.and_then(|queue| queue.remove(found?)) {
            if asks {
                self.stop_asking();
            }
            let holder = self.turns.last().map(|turn| self.holder(turn, step.now));
            let refusal = short.unwrap_or(BeginRefusal::TimedOut { holder });
            self.refuse_echoes(ticket, &refusal, step);
            step.effects.push(Effect::Refused { port: queued.port, refusal });
            // It may have kept back a parallel newcomer that needs no free slot.
            self.admit_next(step);
        }
    }
}

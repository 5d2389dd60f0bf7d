//! How turns begin and end.
//!
//! What may race with each transition is decided by the lock: whichever input comes first wins, and
//! the later one finds a turn that is open, fenced or over, and is answered so.

use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use super::outbox::Pending;
use super::{
    BeginRefusal, BeginRequest, Change, ChangeRefusal, Effect, OpenTurn, Phase, Ports, Queued,
    SessionState, Settlement, Step, Stopping, Target, Ticket,
};
use crate::clock::Now;
use crate::id::Generation;
use crate::store::{DataChange, InputFate, TurnMarker, Write};
use crate::turn::{BusyPolicy, CancelReason, DEFAULT_QUEUE_MAX, Holder, Parallel, TurnOutcome};

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
        let interrupt = request.policy.grace();
        self.queue.push_back(Queued { request, port, stream });
        step.effects.push(Effect::Waiting { holder });
        if let Some(grace) = interrupt {
            self.tell_all(CancelReason::Preempted, grace, step);
            self.fence_overdue(step);
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
        });
        let write = Write::Begin { marker, input, at: step.now.wall };
        self.outbox.push_back(Pending::Begin { write: Some(write), generation, port, stream });
        step.effects.push(Effect::Opened { generation });
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
            if let Some(grace) = self.queue.iter().find_map(|queued| queued.request.policy.grace())
            {
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
        }
    }

    /// Ends a turn with its reply, if it still may.
    pub(super) fn commit(
        &mut self,
        generation: Generation,
        (entries, data): (Vec<Bytes>, Vec<DataChange>),
        port: P::Settle,
        step: &mut Step<'_, P>,
    ) {
        let Some(turn) = self.take_turn(generation) else {
            let answer = Ok(Settlement::Stale { reason: self.take_fenced(generation) });
            step.effects.push(Effect::Settled { port, answer });
            return;
        };
        if let Some(stopping) = turn.stopping {
            let outcome = TurnOutcome::Cancelled(stopping.reason);
            let then = Some((port, Settlement::Stale { reason: stopping.reason }));
            self.settle(turn, (outcome, InputFate::Keep), then, step.now);
        } else if let Some(by) = self.last_commit.filter(|_| turn.base != self.last_commit) {
            let then = Some((port, Settlement::Superseded { by: self.stream_id(by) }));
            self.settle(turn, (TurnOutcome::Superseded, InputFate::Aside), then, step.now);
        } else {
            let first_seq = self.take_seqs(entries.len());
            self.version += 1;
            self.last_commit = Some(generation);
            self.last_active_at = step.now.wall;
            let answer = Settlement::Committed { seq: self.next_seq - 1, version: self.version };
            let (version, at) = (self.version, step.now.wall);
            let write = Write::Commit { generation, first_seq, entries, data, version, at };
            self.outbox.push_back(Pending::Settle {
                write: Some(write),
                generation,
                stream: Some(turn.stream),
                outcome: TurnOutcome::Committed,
                then: Some((port, answer)),
            });
        }
        self.admit_next(step);
    }

    /// Ends a turn without a reply, as its holder says.
    pub(super) fn fail(
        &mut self,
        generation: Generation,
        fate: InputFate,
        port: P::Settle,
        step: &mut Step<'_, P>,
    ) {
        let Some(turn) = self.take_turn(generation) else {
            let answer = Ok(Settlement::Stale { reason: self.take_fenced(generation) });
            step.effects.push(Effect::Settled { port, answer });
            return;
        };
        let (outcome, answer) = match turn.stopping {
            Some(Stopping { reason, .. }) => {
                (TurnOutcome::Cancelled(reason), Settlement::Stale { reason })
            }
            None => (TurnOutcome::Failed, Settlement::Failed),
        };
        self.settle(turn, (outcome, fate), Some((port, answer)), step.now);
        self.admit_next(step);
    }

    /// Ends a turn whose holder let go of it.
    pub(super) fn dropped(
        &mut self,
        generation: Generation,
        panicked: bool,
        step: &mut Step<'_, P>,
    ) {
        let Some(turn) = self.take_turn(generation) else {
            self.take_fenced(generation);
            return;
        };
        let outcome = match turn.stopping {
            Some(stopping) => TurnOutcome::Cancelled(stopping.reason),
            None if panicked => TurnOutcome::Panicked,
            None => TurnOutcome::Abandoned,
        };
        self.settle(turn, (outcome, InputFate::Keep), None, step.now);
        self.admit_next(step);
    }

    /// Tells turns to end. Each keeps the slot until it unwinds or `grace` is over.
    pub(super) fn cancel(
        &mut self,
        target: Target,
        reason: CancelReason,
        grace: Duration,
        step: &mut Step<'_, P>,
    ) {
        let hit = |turn: &OpenTurn<P>| match target {
            Target::Turn(generation) => turn.generation == generation,
            Target::Everything => true,
        };
        let found: SmallVec<[Generation; 1]> =
            self.turns.iter().filter(|turn| hit(turn)).map(|turn| turn.generation).collect();
        let streams = found.iter().map(|&generation| self.stream_id(generation)).collect();
        let mut already = true;
        for &generation in &found {
            already &= !self.tell(generation, reason, grace, step);
        }
        step.effects.push(Effect::Cancelled { streams, already });
        if target == Target::Everything {
            for queued in std::mem::take(&mut self.queue) {
                let refusal = BeginRefusal::Cancelled(reason);
                step.effects.push(Effect::Refused { port: queued.port, refusal });
            }
        }
        self.fence_overdue(step);
    }

    /// Tells every open turn to end.
    fn tell_all(&mut self, reason: CancelReason, grace: Duration, step: &mut Step<'_, P>) {
        let open: SmallVec<[Generation; 1]> =
            self.turns.iter().map(|turn| turn.generation).collect();
        for generation in open {
            self.tell(generation, reason, grace, step);
        }
    }

    /// Tells one turn to end; answers whether it had not been told before. The first reason stands,
    /// and a shorter grace than the first shortens it.
    fn tell(
        &mut self,
        generation: Generation,
        reason: CancelReason,
        grace: Duration,
        step: &mut Step<'_, P>,
    ) -> bool {
        let fence_at = step.now.moment.plus(grace);
        let Some(turn) = self.turns.iter_mut().find(|turn| turn.generation == generation) else {
            return false;
        };
        let earlier = turn.stopping;
        if earlier.is_none_or(|earlier| fence_at < earlier.fence_at) {
            let reason = earlier.map_or(reason, |earlier| earlier.reason);
            turn.stopping = Some(Stopping { reason, fence_at });
            step.effects.push(Effect::Alarm { at: fence_at });
        }
        if earlier.is_none() {
            step.effects.push(Effect::Tell { stream: turn.stream.clone(), reason });
        }
        earlier.is_none()
    }

    /// Ends every turn that was told to end and did not in time.
    pub(super) fn alarm(&mut self, step: &mut Step<'_, P>) {
        self.fence_overdue(step);
    }

    /// Fences the turns whose grace is over; their holders will find out when they report.
    fn fence_overdue(&mut self, step: &mut Step<'_, P>) {
        let overdue: SmallVec<[(Generation, CancelReason); 1]> = self
            .turns
            .iter()
            .filter_map(|turn| Some((turn.generation, turn.stopping?)))
            .filter(|(_, stopping)| stopping.fence_at <= step.now.moment)
            .map(|(generation, stopping)| (generation, stopping.reason))
            .collect();
        for &(generation, reason) in &overdue {
            let Some(turn) = self.fence(generation, reason, step) else { continue };
            let outcome = TurnOutcome::Cancelled(reason);
            self.settle(turn, (outcome, InputFate::Keep), None, step.now);
        }
        if !overdue.is_empty() {
            self.admit_next(step);
        }
    }

    /// Takes a turn from its holder. Whoever gets it has to see to its one end.
    pub(super) fn fence(
        &mut self,
        generation: Generation,
        reason: CancelReason,
        step: &mut Step<'_, P>,
    ) -> Option<OpenTurn<P>> {
        let turn = self.take_turn(generation)?;
        if turn.opened {
            self.fenced.push((generation, reason));
        }
        step.effects.push(Effect::Fence { stream: turn.stream.clone(), reason });
        Some(turn)
    }

    /// Takes a turn off the open ones.
    fn take_turn(&mut self, generation: Generation) -> Option<OpenTurn<P>> {
        let place = self.turns.iter().position(|turn| turn.generation == generation)?;
        Some(self.turns.remove(place))
    }

    /// Takes a turn off the fenced ones, now that its holder has reported; why it was fenced.
    fn take_fenced(&mut self, generation: Generation) -> CancelReason {
        match self.fenced.iter().position(|(fenced, _)| *fenced == generation) {
            Some(place) => self.fenced.remove(place).1,
            // Only a state that was left forgets whom it fenced.
            None => CancelReason::StoreFailed,
        }
    }

    /// Records the end of a turn that left no reply.
    fn settle(
        &mut self,
        turn: OpenTurn<P>,
        (outcome, input): (TurnOutcome, InputFate),
        then: Option<(P::Settle, Settlement)>,
        now: Now,
    ) {
        self.last_active_at = now.wall;
        let generation = turn.generation;
        let write = Write::Settle { generation, outcome, input, at: now.wall };
        self.outbox.push_back(Pending::Settle {
            write: Some(write),
            generation,
            stream: Some(turn.stream),
            outcome,
            then,
        });
    }

    /// Changes the session without a turn.
    pub(super) fn change(&mut self, change: Change, port: P::Change, step: &mut Step<'_, P>) {
        let refusal = match &self.phase {
            Phase::Live => None,
            Phase::Closing(_) => Some(ChangeRefusal::Closing),
            Phase::Gone(tombstone) => Some(ChangeRefusal::Gone(*tombstone)),
            Phase::Left => Some(ChangeRefusal::Left),
        };
        if let Some(refusal) = refusal {
            step.effects.push(Effect::Changed { port, answer: Err(refusal) });
            return;
        }
        let at = step.now.wall;
        let write = match change {
            Change::Append(entries) => {
                let first_seq = self.take_seqs(entries.len());
                self.version += 1;
                Write::Append { first_seq, entries, version: self.version, at }
            }
            Change::Data(changes) => {
                self.version += 1;
                Write::PutData { changes, version: self.version, at }
            }
            Change::Label(label) => Write::Label { label },
        };
        self.last_active_at = at;
        let (version, last_seq) = (self.version, self.next_seq - 1);
        self.outbox.push_back(Pending::Change { write: Some(write), port, version, last_seq });
    }
}

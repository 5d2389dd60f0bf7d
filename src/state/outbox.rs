//! What the store is still to be told, and what follows when it answers.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    BeginRefusal, ChangeRefusal, Changed, Effect, LeaveReason, Pending, Phase, Ports, SessionState,
    Settlement, Step,
};
use crate::clock::Timestamp;
use crate::id::Generation;
use crate::outcome::{CancelReason, TurnOutcome};
use crate::policy::PartialPolicy;
use crate::seldom::Seldom;
use crate::store::{FenceReason, InputFate, PartialFate, PartialPiece, Request, StoreError, Write};

/// The writes that wait, oldest first. There is one as a rule, which is there for a moment: in a box,
/// since most sessions have none and theirs would be the larger half of the state.
#[derive(Debug)]
pub(super) struct Outbox<P: Ports> {
    /// The oldest.
    front: Option<Box<Pending<P>>>,
    /// Those behind it. Empty if there is none in front.
    rest: Seldom<VecDeque<Box<Pending<P>>>>,
}

impl<P: Ports> Default for Outbox<P> {
    fn default() -> Self {
        Self { front: None, rest: Seldom::default() }
    }
}

impl<P: Ports> Outbox<P> {
    /// Adds one at the end.
    pub(super) fn push_back(&mut self, pending: Pending<P>) {
        let pending = Box::new(pending);
        if self.front.is_none() {
            self.front = Some(pending);
        } else {
            self.rest.make().push_back(pending);
        }
    }

    /// Takes the oldest out.
    fn pop_front(&mut self) -> Option<Box<Pending<P>>> {
        let next = self.rest.made().and_then(VecDeque::pop_front);
        std::mem::replace(&mut self.front, next)
    }

    /// The oldest.
    fn front_mut(&mut self) -> Option<&mut Pending<P>> {
        self.front.as_deref_mut()
    }

    /// The newest.
    pub(super) fn back(&self) -> Option<&Pending<P>> {
        self.rest.back().or(self.front.as_ref()).map(AsRef::as_ref)
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending<P>> {
        self.front.iter().chain(&*self.rest).map(AsRef::as_ref)
    }

    /// The same, to change them.
    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pending<P>> {
        self.front.iter_mut().chain(self.rest.made().into_iter().flatten()).map(AsMut::as_mut)
    }

    /// Gives the end of a turn another last piece, if it is still to be written: the piece before it was
    /// not kept.
    pub(super) fn mend_last_piece(
        &mut self,
        wanted: Generation,
        piece: impl FnOnce() -> Option<PartialPiece>,
    ) {
        for pending in self.iter_mut() {
            if let Pending::Settle {
                write: Some(Write::Settle { partial, .. }), generation, ..
            } = pending
                && *generation == wanted
                && let PartialFate::Keep { last } = partial
            {
                *last = piece();
                return;
            }
        }
    }

    /// Every write that was not handed out, oldest first.
    pub(super) fn into_writes(mut self) -> Vec<Write> {
        self.iter_mut().filter_map(Pending::take_write).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        usize::from(self.front.is_some()) + self.rest.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.front.is_none()
    }
}

impl<P: Ports> Extend<Pending<P>> for Outbox<P> {
    fn extend<T: IntoIterator<Item = Pending<P>>>(&mut self, more: T) {
        more.into_iter().for_each(|pending| self.push_back(pending));
    }
}

impl<P: Ports> SessionState<P> {
    /// Settles a turn that the record calls open and that nobody holds.
    pub(super) fn repair(
        &mut self,
        generation: Generation,
        said: Option<Bytes>,
        at: Timestamp,
        then: Option<(P::Settle, Settlement)>,
    ) {
        let (outcome, input) = (TurnOutcome::Interrupted, InputFate::Keep);
        let partial = match (self.partials, said) {
            (PartialPolicy::Drop, _) => PartialFate::Drop,
            (PartialPolicy::Entry, Some(said)) => self.partial_entry(said),
            (PartialPolicy::Beside | PartialPolicy::Entry, _) => PartialFate::Keep { last: None },
        };
        let (next_seq, version) = (self.next_seq, self.version);
        let write = Write::Settle { generation, outcome, input, partial, next_seq, version, at };
        let (write, stream) = (Some(write), None);
        self.outbox.push_back(Pending::Settle { write, generation, stream, outcome, then });
    }

    /// The write that the store is to be told next, if it is not busy with one.
    ///
    /// Whoever gets it has to bring the store's answer back as `Input::Stored`.
    pub(crate) fn next_write(&mut self) -> Option<Write> {
        if self.writing {
            return None;
        }
        let write = self.outbox.front_mut()?.take_write();
        self.writing = write.is_some();
        write
    }

    /// The stream of the turn whose end is at the front.
    pub(crate) fn front_ending(&self) -> Option<&P::Stream> {
        let Pending::Settle { stream, .. } = self.outbox.front.as_deref()? else { return None };
        stream.as_ref()
    }

    /// Whether a write waits that nobody has handed to the store.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.writing && !self.outbox.is_empty()
    }

    /// Takes in the store's answer for the write at the front.
    pub(super) fn stored(&mut self, result: Result<(), StoreError>, step: &mut Step<'_, P>) {
        self.writing = false;
        let Some(pending) = self.outbox.pop_front() else { return };
        if !matches!(
            *pending,
            Pending::Settle { stream: None, .. }
                | Pending::Change { used: false, .. }
                | Pending::Use { .. }
        ) {
            self.used_at = step.now.moment; // Those are nobody's work.
        }
        match result {
            Ok(()) => self.done(pending, step),
            Err(error) => self.not_done(pending, error, step),
        }
    }

    /// The store has done what was at the front.
    #[expect(clippy::boxed_local, reason = "taken apart where it stands")]
    fn done(&mut self, pending: Box<Pending<P>>, step: &mut Step<'_, P>) {
        match *pending {
            Pending::Begin { generation, named, port, stream, .. } => {
                self.requests += u64::from(named.is_some());
                self.begun(generation, named, (port, stream), step);
            }
            Pending::Settle { stream, outcome, then, .. } => {
                if let Some(stream) = stream {
                    step.effects.push(Effect::End { stream, outcome });
                }
                if let Some((port, answer)) = then {
                    step.effects.push(Effect::Settled { port, answer: Ok(answer) });
                }
            }
            Pending::Steer { generation, seq, port, stream, input, .. } => {
                step.effects.push(Effect::Steered { port, generation, seq, stream, input });
            }
            Pending::Partial { generation, stream, .. } => self.kept(generation, &stream, &Ok(())),
            Pending::Use { then_leave, .. } => self.saved(then_leave, step),
            Pending::Change { port, version, last_seq, rotated, .. } => {
                // First the name, then the answer: whoever is told finds the session by it.
                step.effects.extend(rotated.map(|to| Effect::Rotated { to }));
                let answer = Ok(Changed { version, last_seq });
                step.effects.push(Effect::Changed { port, answer });
            }
            Pending::Delete { .. } => self.buried(step),
        }
    }

    /// The store has not done what was at the front, or does not know.
    #[expect(clippy::boxed_local, reason = "taken apart where it stands")]
    fn not_done(&mut self, pending: Box<Pending<P>>, error: StoreError, step: &mut Step<'_, P>) {
        match *pending {
            Pending::Settle { stream: None, outcome, then, .. }
                if Self::is_cleared(outcome, &error) =>
            {
                let told = |(port, answer)| Effect::Settled { port, answer: Ok(answer) };
                step.effects.extend(then.map(told));
            }
            Pending::Partial { generation, stream, .. } => {
                self.kept(generation, &stream, &Err(error));
            }
            // The next look tries again; nothing hangs on it.
            Pending::Use { .. } if !matches!(error, StoreError::Fenced { .. }) => self.not_saved(),
            // Gone already: an earlier try, whose outcome was not known, had done it.
            Pending::Delete { .. }
                if matches!(error, StoreError::Fenced { reason: FenceReason::NoSuchLife }) =>
            {
                self.buried(step);
            }
            Pending::Delete { .. } => self.delete_failed(&error, step),
            failed @ (Pending::Begin { .. }
            | Pending::Settle { .. }
            | Pending::Steer { .. }
            | Pending::Change { .. }
            | Pending::Use { .. }) => {
                self.fail_pending(failed, &error, step);
                self.lose(&error, step);
            }
        }
    }

    /// A turn's begin is stored: its holder gets it, unless it was ended meanwhile.
    fn begun(
        &mut self,
        generation: Generation,
        named: Option<Box<Request>>,
        (port, stream): (P::Begin, P::Stream),
        step: &mut Step<'_, P>,
    ) {
        self.answer_echoes(generation, step);
        let open = self.turns.iter_mut().find(|turn| turn.generation == generation);
        let stopping = open.map(|turn| {
            (turn.opened, turn.named) = (true, named);
            turn.given_at = step.now.moment;
            turn.stopping
        });
        let refusal = match stopping {
            Some(None) => {
                step.effects.push(Effect::Begun { port, generation, stream });
                return;
            }
            Some(Some(stopping)) => {
                self.dropped(generation, false, step);
                BeginRefusal::Cancelled(stopping.reason)
            }
            None => match &self.phase {
                Phase::Gone(tombstone) => BeginRefusal::Gone(**tombstone),
                Phase::Closing(_) => BeginRefusal::Closing,
                Phase::Shut(standing) => BeginRefusal::Shut(*standing),
                Phase::Live | Phase::Left => BeginRefusal::Cancelled(self.cancelled_by(generation)),
            },
        };
        step.effects.push(Effect::Refused { port, refusal });
    }

    /// Why a turn that is being settled was told to end.
    fn cancelled_by(&self, wanted: Generation) -> CancelReason {
        let reason = self.outbox.iter().find_map(|pending| {
            let Pending::Settle { generation, outcome, .. } = pending else { return None };
            let TurnOutcome::Cancelled(reason) = outcome else { return None };
            (*generation == wanted).then_some(*reason)
        });
        reason.unwrap_or(CancelReason::Stopped)
    }

    /// Gives up this state after a write failed: everybody is told, and nothing is written from it
    /// any more. The record is the truth, and the next use loads it.
    fn lose(&mut self, error: &StoreError, step: &mut Step<'_, P>) {
        let open: Vec<_> = self.turns.iter().map(|turn| turn.generation).collect();
        for generation in open {
            let Some(turn) = self.fence(generation, CancelReason::StoreFailed, step) else {
                continue;
            };
            let outcome = TurnOutcome::Interrupted;
            step.effects.push(Effect::End { stream: turn.stream, outcome });
        }
        let mut lost = std::mem::take(&mut self.outbox);
        while let Some(pending) = lost.pop_front() {
            self.fail_pending(*pending, error, step);
        }
        self.stop_asking();
        for queued in self.queue.take() {
            let refusal = BeginRefusal::Store(error.clone());
            step.effects.push(Effect::Refused { port: queued.port, refusal });
        }
        self.refuse_all_echoes(&BeginRefusal::Store(error.clone()), step);
        if matches!(self.phase, Phase::Live | Phase::Shut(_)) {
            self.phase = Phase::Left;
            step.effects.push(Effect::Leave { reason: LeaveReason::StoreFailed });
        }
    }

    /// Tells whoever waits for a write that it failed.
    fn fail_pending(&mut self, pending: Pending<P>, error: &StoreError, step: &mut Step<'_, P>) {
        match pending {
            // Its turn's end is told by whoever took the turn.
            Pending::Begin { port, .. } | Pending::Steer { port, .. } => {
                let refusal = BeginRefusal::Store(error.clone());
                step.effects.push(Effect::Refused { port, refusal });
            }
            Pending::Settle { stream, then, .. } => {
                let outcome = TurnOutcome::Interrupted;
                step.effects.extend(stream.map(|stream| Effect::End { stream, outcome }));
                step.effects.extend(
                    then.map(|(port, _)| Effect::Settled { port, answer: Err(error.clone()) }),
                );
            }
            Pending::Change { port, .. } => {
                let answer = Err(ChangeRefusal::Store(error.clone()));
                step.effects.push(Effect::Changed { port, answer });
            }
            Pending::Partial { .. } | Pending::Use { .. } => {}
            Pending::Delete { .. } => self.delete_failed(error, step),
        }
    }
}

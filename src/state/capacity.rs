//! Turns need permits, where there are limits: how one is asked for, waited for and given back.
//!
//! A permit belongs to a turn that has the slot, and to nobody before that: who waits behind a turn has none.
//! So busy comes before full. Where the slot is free and there is no permit, the begin stands first in the
//! queue and *asks*: it has a place in the line for permits, nothing of it is stored, and whoever comes to the
//! session later waits behind it. A permit is given back when its turn is over, in whatever way, and before
//! the next one of the session asks for one: so no session hands capacity on within itself while others wait.
//!
//! What races with the grant is decided by the lock. A cancel, a delete, the end of the wait and a dropped
//! begin give the place up; a grant that comes after that finds that nobody asks, and the permit goes back.

use std::collections::VecDeque;
use std::fmt;

use super::{BeginRefusal, Effect, Ports, SessionState, Step};
use crate::clock::Moment;
use crate::limit::{Full, Place, Shortage};

/// Where the turns of a session get their permits. Its locks are taken under the session's, never the other
/// way round.
pub(crate) trait Gate: fmt::Debug {
    /// The right to run one turn. Dropped, it is given back.
    type Permit: fmt::Debug;
    /// The right to wait in a session's queue. Dropped, it is given back.
    type Spot: fmt::Debug;

    /// A permit, or else a place in the line; for one that `waited` in a session's queue, there always is a
    /// place.
    fn take(&self, waited: bool, now: Moment) -> Taken<Self::Permit>;

    /// Gives up a place.
    fn leave(&self, place: Place);

    /// Gives back the permit of a turn that is over.
    fn free(&self, permit: Self::Permit, now: Moment);

    /// What there is too little of for one that asks now.
    fn shortage(&self) -> Shortage;

    /// The right to wait for the session with an input of so many bytes.
    fn enqueue(&self, bytes: usize) -> Result<Self::Spot, Full>;
}

/// The permits of a session's turns.
pub(crate) type Permit<P> = <<P as Ports>::Gate as Gate>::Permit;

/// The spots of those who wait for a session.
pub(super) type Spot<P> = <<P as Ports>::Gate as Gate>::Spot;

/// What a begin has for its turn to run with.
#[derive(Debug)]
pub(crate) enum Pass<T> {
    /// Nothing: it asks for a permit.
    Ask {
        /// Whether it has waited in the queue.
        waited: bool,
    },
    /// Nothing, since nothing is needed.
    Free,
    /// A permit.
    With(T),
}

/// What becomes of one that asks for a permit.
#[derive(Debug)]
pub(crate) enum Taken<T> {
    /// It may run: with a permit, or without one where none is needed.
    Permit(Option<T>),
    /// It has a place in the line.
    Waits(Place),
    /// Neither.
    Short(Shortage),
}

impl<P: Ports> SessionState<P> {
    /// A permit is there for the first in the queue, unless that does not wait for it any more.
    pub(super) fn granted(&mut self, place: Place, permit: Permit<P>, step: &mut Step<'_, P>) {
        if self.asking != Some(place) {
            self.gate.free(permit, step.now.moment);
            return;
        }
        self.asking = None;
        if let Some(next) = self.queue.made().and_then(VecDeque::pop_front) {
            self.admit_first(next, Pass::With(permit), step);
        }
        self.admit_next(step);
    }

    /// The first in the queue has waited for a permit as long as it was to.
    pub(super) fn not_granted(&mut self, place: Place, shortage: Shortage, step: &mut Step<'_, P>) {
        if self.asking != Some(place) {
            return;
        }
        self.asking = None;
        if let Some(first) = self.queue.made().and_then(VecDeque::pop_front) {
            let refusal = BeginRefusal::Short(shortage);
            self.refuse_echoes(first.request.ticket, &refusal, step);
            step.effects.push(Effect::Refused { port: first.port, refusal });
        }
        self.admit_next(step);
    }

    /// The first in the queue has this place in the line for permits.
    pub(super) fn ask(&mut self, place: Place, step: &mut Step<'_, P>) {
        self.asking = Some(place);
        let holder = self.turns.last().map(|turn| self.holder(turn, step.now));
        step.effects.push(Effect::Waiting { holder });
    }

    /// Gives up the place in the line for permits, if there is one.
    pub(super) fn stop_asking(&mut self) {
        if let Some(place) = self.asking.take() {
            self.gate.leave(place);
        }
    }

    /// How many wait for the slot: all in the queue, without the first if it has that and asks for a permit.
    pub(super) fn queued(&self) -> usize {
        self.queue.len() - usize::from(self.asking.is_some())
    }

    /// How many permits the open turns have.
    pub(crate) fn permits(&self) -> usize {
        self.turns.iter().filter(|turn| turn.permit.is_some()).count()
    }
}

//! Permits that are counted out by hand.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::clock::Moment;
use crate::limit::{Full, Limit, Place, Shortage};
use crate::state::{Gate, Taken};

thread_local! {
    /// The permits of a test.
    static PERMITS: RefCell<Permits> = RefCell::default();
}

/// The permits of a test.
#[derive(Debug, Default)]
struct Permits {
    /// How many there are; `None` if none is needed.
    left: Option<usize>,
    /// Whether a newcomer may wait for one.
    no_line: bool,
    /// Those that are out.
    out: BTreeSet<u64>,
    /// Who waits.
    places: BTreeSet<Place>,
    newest: u64,
    /// How often they were counted anew: what is left of earlier ones does not count.
    round: u64,
    /// How many may wait for the session; `None` is any number.
    spots: Option<usize>,
}

impl Permits {
    fn give(&mut self) -> TestPermit {
        self.left = self.left.map(|left| left - 1);
        self.newest += 1;
        self.out.insert(self.newest);
        TestPermit { round: self.round, number: self.newest }
    }
}

/// There are so many permits from here on, and nobody has one.
pub(super) fn permits(left: Option<usize>) {
    PERMITS.with_borrow_mut(|permits| {
        let round = permits.round + 1;
        *permits = Permits { left, round, ..Permits::default() };
    });
}

/// Nobody waits for a permit from here on.
pub(super) fn no_line() {
    PERMITS.with_borrow_mut(|permits| permits.no_line = true);
}

/// So many more may wait for the session from here on.
pub(super) fn spots(spots: usize) {
    PERMITS.with_borrow_mut(|permits| permits.spots = Some(spots));
}

/// How many permits are out, and how many are left.
pub(super) fn counted() -> (usize, Option<usize>) {
    PERMITS.with_borrow(|permits| (permits.out.len(), permits.left))
}

/// Whether one more can be had.
pub(super) fn is_free() -> bool {
    PERMITS.with_borrow(|permits| permits.left != Some(0))
}

/// A permit for who waits, if there is one.
pub(super) fn grant() -> Option<(Place, TestPermit)> {
    PERMITS.with_borrow_mut(|permits| {
        let free = permits.left != Some(0) && !permits.places.is_empty();
        free.then(|| permits.places.pop_first().map(|place| (place, permits.give())))?
    })
}

/// There is one more.
pub(super) fn add_one() {
    PERMITS.with_borrow_mut(|permits| permits.left = permits.left.map(|left| left + 1));
}

/// A permit where none is needed.
pub(super) fn none_needed() -> TestPermit {
    PERMITS.with_borrow_mut(Permits::give)
}

/// Takes who waits off the line.
pub(super) fn expire() -> Option<Place> {
    PERMITS.with_borrow_mut(|permits| permits.places.pop_first())
}

/// Why there is none.
pub(super) fn short() -> Shortage {
    let (limit, current, max) = (Limit::Turns, 1, 1);
    Shortage::Full(Full { limit, current, max, retry_after: None })
}

#[derive(Debug)]
pub(super) struct TestGate;

impl TestGate {
    /// A permit that somebody else has.
    pub(super) fn take_one(&self) -> Option<TestPermit> {
        match self.take(false, Moment::default()) {
            Taken::Permit(permit) => permit,
            Taken::Waits(_) | Taken::Short(_) => None,
        }
    }
}

/// Gives itself back, once.
#[derive(Debug)]
pub(super) struct TestPermit {
    round: u64,
    number: u64,
}

impl Drop for TestPermit {
    fn drop(&mut self) {
        PERMITS.with_borrow_mut(|permits| {
            if permits.round != self.round {
                return;
            }
            assert!(permits.out.remove(&self.number), "given back twice");
            permits.left = permits.left.map(|left| left + 1);
        });
    }
}

#[derive(Debug)]
pub(super) struct TestSpot;

impl Drop for TestSpot {
    fn drop(&mut self) {
        PERMITS.with_borrow_mut(|permits| {
            permits.spots = permits.spots.map(|spots| spots + 1);
        });
    }
}

impl Gate for TestGate {
    type Permit = TestPermit;
    type Spot = TestSpot;

    fn take(&self, waited: bool, _now: Moment) -> Taken<TestPermit> {
        PERMITS.with_borrow_mut(|permits| match permits.left {
            None => Taken::Permit(None),
            Some(0) if permits.no_line && !waited => Taken::Short(short()),
            Some(0) => {
                permits.newest += 1;
                let place = Place(permits.newest);
                assert!(permits.places.insert(place) && permits.places.len() == 1, "asks twice");
                Taken::Waits(place)
            }
            Some(_) => Taken::Permit(Some(permits.give())),
        })
    }

    fn leave(&self, place: Place) {
        PERMITS.with_borrow_mut(|permits| permits.places.remove(&place));
    }

    fn free(&self, permit: TestPermit, _now: Moment) {
        drop(permit);
    }

    fn shortage(&self) -> Shortage {
        short()
    }

    fn enqueue(&self, bytes: usize) -> Result<TestSpot, Full> {
        PERMITS.with_borrow_mut(|permits| match &mut permits.spots {
            Some(0) => {
                let (limit, current) = (Limit::QueuedTurns, bytes as u64);
                Err(Full { limit, current, max: 0, retry_after: None })
            }
            Some(spots) => {
                *spots -= 1;
                Ok(TestSpot)
            }
            None => Ok(TestSpot),
        })
    }
}

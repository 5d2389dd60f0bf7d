//! Where the numbers of a session's turns go on when it is loaded from the store.
//!
//! Turns whose begins the store never heard of, because it failed or the process died, had numbers, too,
//! and somebody may have seen one start. Those are not given again, so that a late cancel of such a turn
//! hits nobody. Nothing that is stored says how far the numbers had come. So they come in *stretches*, each
//! with a tag inside the number:
//!
//! ```text
//! | 20 bits: how many stretches | 24 bits: the tag | 20 bits: turns |
//! ```
//!
//! A run of the process starts with a random tag, and takes another one whenever a write fails. A session
//! whose last number has the tag of now has begun that turn in this run, and no write has failed since:
//! everything that it began is stored, and its numbers simply go on. Any other goes on in a stretch of its
//! own. So leaving memory and coming back uses no numbers up, and they last for half a million restarts or
//! failures in one session.
//!
//! A session that is created starts at 1, in the stretch and with the tag 0.

use crate::id::Generation;
use crate::rt::{self, AtomicU64, Ordering};

/// How many bits the turns of a stretch have.
const TURN_BITS: u32 = 20;

/// How many bits a tag has.
const TAG_BITS: u32 = 24;

/// The tag of now.
#[derive(Debug)]
pub(crate) struct Numbers(AtomicU64);

impl Numbers {
    /// With a random tag.
    pub(crate) fn new() -> Self {
        let random = u64::try_from(rt::random_u128() >> 64).unwrap_or_default();
        Self(AtomicU64::new(random))
    }

    /// Takes another tag, one that was not there for long: a write has failed. Called before the session can be
    /// loaded again.
    pub(crate) fn move_on(&self) {
        // Odd, so every tag comes once before one comes again; and not the neighbour, into which a very long
        // stretch would run.
        self.0.fetch_add(0x9E_3779, Ordering::Relaxed);
    }

    /// The number after which those of a session go on that is loaded with `stored` as its last.
    pub(crate) fn go_on(&self, stored: Generation) -> Generation {
        let tags = (1 << TAG_BITS) - 1;
        let tag = self.0.load(Ordering::Relaxed) & tags;
        // 0 is that of sessions that were created and never loaded.
        let tag = tag.max(1);
        let number = stored.get();
        if number >> TURN_BITS & tags == tag {
            return stored;
        }
        let stretch = (number >> (TURN_BITS + TAG_BITS)) + 1;
        Generation::new(stretch << (TURN_BITS + TAG_BITS) | tag << TURN_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // C2
    #[test]
    fn a_session_that_comes_back_goes_on_and_uses_no_numbers_up() {
        let numbers = Numbers::new();
        let mut last = numbers.go_on(Generation::new(3));
        assert!(last > Generation::new(3));
        for _ in 0..100_000 {
            last = last.next();
            assert_eq!(numbers.go_on(last), last);
        }
    }

    // C2, D3
    #[test]
    fn after_a_failure_and_in_another_run_no_number_that_may_have_been_seen_comes_again() {
        let numbers = Numbers(AtomicU64::new(0));
        let stored = Generation::new(3);
        let mut stretches = std::collections::HashSet::new();
        for _ in 0..100_000 {
            // Each time some turns are begun that the store does not hear of.
            let first = numbers.go_on(stored).next();
            assert!(first.get() > stored.get() + (1 << TURN_BITS));
            assert!(stretches.insert(first), "a number comes again");
            numbers.move_on();
        }
        let other = Numbers(AtomicU64::new(77));
        let here = numbers.go_on(stored).next();
        assert!(other.go_on(here) > here, "another run does not go on in this one's stretch");
    }

    #[test]
    fn the_numbers_of_a_session_grow_however_often_it_is_lost() {
        let numbers = Numbers::new();
        let mut last = Generation::default();
        for _ in 0..500_000 {
            let next = numbers.go_on(last).next();
            assert!(next > last && next.get() < 1 << 63);
            last = next;
            numbers.move_on();
        }
    }
}

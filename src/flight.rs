//! One at a time for each name: loads of an id, bindings of a key.
//!
//! A flight is joined before something is looked up in the store and published, so that those who
//! come together do it once, in order of arrival. Whoever leads and is dropped, or fails, lets the
//! next one lead. A name that nobody is at costs nothing, and one who is alone at it allocates
//! nothing for it.
//!
//! What races: a leader that ends against a waiter that is dropped. The lead is handed over through
//! the waiter's channel; a waiter that is dropped with the lead in its hands passes it on.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;

use crate::rt::{ShardedMap, oneshot};

/// Who waits to lead at one name, in order of arrival.
type Line = VecDeque<oneshot::Sender<()>>;

/// The flights under way.
pub(crate) struct Flights<K: Hash + Eq + Clone> {
    /// A line for each name that somebody leads at, and for no other.
    lines: ShardedMap<K, Line>,
}

impl<K: Hash + Eq + Clone> Flights<K> {
    /// None.
    pub(crate) fn new() -> Self {
        Self { lines: ShardedMap::new() }
    }

    /// Waits until nobody else is at `name`, in order of arrival.
    pub(crate) async fn join<'a>(&'a self, name: &'a K) -> Flight<'a, K> {
        let turn = self.lines.alter(name, |line| match line {
            None => {
                *line = Some(Line::new());
                None
            }
            Some(line) => {
                let (sender, turn) = oneshot::channel();
                line.push_back(sender);
                Some(turn)
            }
        });
        // Made before the wait, so that one who is dropped while waiting passes the lead on, too.
        let mut flight = Flight { flights: self, name, turn };
        if let Some(turn) = &mut flight.turn {
            // The line is not dropped while somebody leads, so the lead comes.
            drop(turn.await);
        }
        flight.turn = None;
        flight
    }

    /// The lead at `name`, if nobody is there.
    pub(crate) fn try_join<'a>(&'a self, name: &'a K) -> Option<Flight<'a, K>> {
        let free = self.lines.alter(name, |line| {
            let free = line.is_none();
            line.get_or_insert_default();
            free
        });
        free.then(|| Flight { flights: self, name, turn: None })
    }

    /// How many names somebody is at.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Hands the lead at `name` to whoever is next, if anybody is.
    fn pass_on(&self, name: &K) {
        self.lines.alter(name, |line| {
            let mut next = line.take()?;
            while let Some(waiter) = next.pop_front() {
                if waiter.send(()).is_ok() {
                    *line = Some(next);
                    return Some(());
                }
            }
            None
        });
    }
}

impl<K: Hash + Eq + Clone> fmt::Debug for Flights<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("names", &self.len()).finish()
    }
}

/// The right to be the only one at a name, or a place in the line for it. Ends when dropped.
#[must_use = "a flight ends when it is dropped"]
pub(crate) struct Flight<'a, K: Hash + Eq + Clone> {
    /// Where it is noted.
    flights: &'a Flights<K>,
    /// At which name.
    name: &'a K,
    /// Brings the lead; `None` once it is here.
    turn: Option<oneshot::Receiver<()>>,
}

impl<K: Hash + Eq + Clone + fmt::Debug> fmt::Debug for Flight<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flight({:?})", self.name)
    }
}

impl<K: Hash + Eq + Clone> Drop for Flight<'_, K> {
    fn drop(&mut self) {
        let leads = match &mut self.turn {
            None => true,
            Some(turn) => {
                turn.close();
                turn.try_recv().is_ok()
            }
        };
        if leads {
            self.flights.pass_on(self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Polls once, without anybody to wake.
    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    // A6
    #[test]
    fn one_leads_and_the_others_follow_in_order_of_arrival() {
        let flights = Flights::new();
        let mut first = pin!(flights.join(&1));
        let Poll::Ready(first) = poll(first.as_mut()) else { panic!("nobody is there") };
        let (mut second, mut third) = (pin!(flights.join(&1)), pin!(flights.join(&1)));
        assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
        assert!(poll(pin!(flights.join(&2))).is_ready(), "another name is not held up");
        drop(first);
        assert!(poll(third.as_mut()).is_pending(), "the second is before it");
        let Poll::Ready(second) = poll(second.as_mut()) else { panic!("it is the next") };
        drop(second);
        assert!(poll(third.as_mut()).is_ready());
        assert_eq!(flights.len(), 0);
    }

    // A7
    #[test]
    fn one_who_goes_away_while_waiting_or_with_the_lead_lets_the_next_one_lead() {
        let flights = Flights::new();
        let Poll::Ready(first) = poll(pin!(flights.join(&1))) else { panic!("nobody is there") };
        let mut second = Box::pin(flights.join(&1));
        let mut third = Box::pin(flights.join(&1));
        let mut fourth = Box::pin(flights.join(&1));
        for waiter in [&mut second, &mut third, &mut fourth] {
            assert!(poll(waiter.as_mut()).is_pending());
        }
        drop(second);
        drop(first);
        drop(third); // With the lead, which it has not taken yet.
        assert!(poll(fourth.as_mut()).is_ready());
        assert_eq!(flights.len(), 0);
    }

    // A6
    #[test]
    fn one_who_does_not_wait_leads_where_nobody_is_and_holds_up_those_who_do() {
        let flights = Flights::new();
        let first = flights.try_join(&1).expect("nobody is there");
        assert!(flights.try_join(&1).is_none(), "somebody leads");
        let mut second = pin!(flights.join(&1));
        assert!(poll(second.as_mut()).is_pending());
        let other = flights.try_join(&2);
        assert!(other.is_some(), "another name is not held up");
        assert_eq!(flights.len(), 2);
        drop((first, other));
        assert!(flights.try_join(&1).is_none(), "the lead went to who waited");
        assert!(poll(second.as_mut()).is_ready());
        assert_eq!(flights.len(), 0);
    }
}

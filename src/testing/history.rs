//! What several clients did at once, and whether the same could have come of doing it one after another.
//!
//! A [`Recorder`] notes each call and each return; [`check()`] looks for an order in which the operations, one
//! at a time and each at some moment between its call and its return, have the answers that were seen. If
//! there is none, the object under test has lost or doubled something, or has told two clients stories that
//! exclude each other. That is linearizability.
//!
//! Invariants: calls and returns are numbered by one counter, so that of two operations of which one was
//! called after the other had returned, everybody sees which; an operation that never returned may have
//! happened at any time after its call, or not at all.

mod check;
mod illegal;
mod search;
mod shrink;

use std::future::Future;

pub use self::check::{Model, Verdict, check};
pub use self::illegal::Illegal;
use crate::rt::{Arc, AtomicU64, Mutex, Ordering};

/// One operation, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<C, A> {
    /// Whose it is.
    pub client: usize,
    /// What was asked.
    pub call: C,
    /// When, by the recorder's counter.
    pub called: u64,
    /// What was answered, if anything was.
    pub answer: Option<A>,
    /// When, by the recorder's counter; `None` if it is not known to have ended.
    pub returned: Option<u64>,
}

/// The operations of one client.
type Log<C, A> = Arc<Mutex<Vec<Operation<C, A>>>>;

/// Notes what several clients do. Made once; each client gets a [`Client`] of its own.
///
/// # Examples
///
/// A counter that two clients use at once, one of which is told a number that was given before:
///
/// ```
/// use session_supervisor::testing::{Model, Recorder, Verdict, check};
///
/// /// Each call gets the next number.
/// struct Numbers;
///
/// impl Model for Numbers {
///     type Call = ();
///     type Answer = u64;
///     type Part = ();
///     type Step = u64;
///     type State = u64;
///
///     fn start(&self, (): &()) -> u64 {
///         0
///     }
///
///     fn steps(&self, (): &(), answer: Option<&u64>) -> impl IntoIterator<Item = ((), u64)> {
///         answer.map(|told| ((), *told))
///     }
///
///     fn apply(&self, last: &u64, told: &u64) -> impl IntoIterator<Item = u64> {
///         (*told == last + 1).then_some(*told)
///     }
/// }
///
/// let recorder = Recorder::new();
/// let (ada, bob) = (recorder.client(), recorder.client());
/// let (hers, his) = (ada.call(()), bob.call(()));
/// bob.answer(his, 1);
/// ada.answer(hers, 2);
/// assert!(matches!(check(&Numbers, recorder.take()), Verdict::Legal));
///
/// let (hers, his) = (ada.call(()), bob.call(()));
/// bob.answer(his, 1);
/// ada.answer(hers, 1);
/// let Verdict::Illegal(illegal) = check(&Numbers, recorder.take()) else { panic!("it is not") };
/// println!("{illegal}");
/// ```
#[derive(Debug)]
pub struct Recorder<C, A> {
    /// Numbers calls and returns.
    time: Arc<AtomicU64>,
    /// What each client did.
    logs: Mutex<Vec<Log<C, A>>>,
}

/// Notes what one client does, which may be several things at once.
#[derive(Debug)]
pub struct Client<C, A> {
    /// Which one, from 0.
    number: usize,
    /// The recorder's.
    time: Arc<AtomicU64>,
    /// What it did.
    log: Log<C, A>,
}

/// An operation that was called and has not returned.
#[derive(Debug)]
#[must_use = "an operation that never returns may have happened or not"]
pub struct Pending(usize);

impl<C, A> Default for Recorder<C, A> {
    fn default() -> Self {
        Self { time: Arc::default(), logs: Mutex::default() }
    }
}

impl<C, A> Recorder<C, A> {
    /// One that has noted nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A further client.
    pub fn client(&self) -> Client<C, A> {
        let mut logs = self.logs.lock();
        let log = Log::default();
        logs.push(log.clone());
        Client { number: logs.len() - 1, time: self.time.clone(), log }
    }

    /// Takes out what was noted, in the order of the calls. What is called and has not returned is taken as
    /// it is: take it when nothing is under way, or lose what comes of it.
    pub fn take(&self) -> Vec<Operation<C, A>> {
        let mut operations = Vec::new();
        for log in &*self.logs.lock() {
            operations.append(&mut log.lock());
        }
        operations.sort_unstable_by_key(|operation| operation.called);
        operations
    }

    /// What is called and has not returned, with its client: what to tell of a test that hangs.
    pub fn under_way(&self) -> Vec<(usize, C)>
    where
        C: Clone,
    {
        let mut found = Vec::new();
        for log in &*self.logs.lock() {
            let log = log.lock();
            let hangs = log.iter().filter(|operation| operation.returned.is_none());
            found.extend(hangs.map(|operation| (operation.client, operation.call.clone())));
        }
        found
    }
}

impl<C, A> Client<C, A> {
    /// Notes that `call` is about to be made.
    pub fn call(&self, call: C) -> Pending {
        let mut log = self.log.lock();
        // The number is drawn last here and first in `answer`, so that no interval is wider than it was.
        let called = self.time.fetch_add(1, Ordering::SeqCst);
        log.push(Operation { client: self.number, call, called, answer: None, returned: None });
        Pending(log.len() - 1)
    }

    /// How many operations it has noted that were not taken out.
    pub fn noted(&self) -> usize {
        self.log.lock().len()
    }

    /// Notes that it has returned.
    ///
    /// # Panics
    ///
    /// If what was called was taken out meanwhile.
    pub fn answer(&self, Pending(place): Pending, answer: A) {
        let returned = self.time.fetch_add(1, Ordering::SeqCst);
        let mut log = self.log.lock();
        let operation = log.get_mut(place).expect("nobody takes out what is under way");
        (operation.answer, operation.returned) = (Some(answer), Some(returned));
    }

    /// Notes `call`, waits for `operation`, and notes what it answers.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the operation stays as one that never returned.
    pub async fn record(&self, call: C, operation: impl Future<Output = A>) -> A
    where
        A: Clone,
    {
        let pending = self.call(call);
        let answer = operation.await;
        self.answer(pending, answer.clone());
        answer
    }
}

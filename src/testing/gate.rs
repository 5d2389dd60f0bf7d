//! A place where tasks wait until a test lets them on.
//!
//! Invariants: who waits is counted before it waits, and who is let through is counted under the
//! lock, so that no wake-up is lost and none is used twice, whichever side comes first.

use std::fmt;

use crate::rt::{Arc, Mutex, Notify};

/// Holds whoever waits at it until it is opened, or until it lets some through. A clone is another
/// handle to the same gate.
///
/// Forces an order without sleeping: the code under test waits at the gate, the test waits until
/// the gate was reached, does what has to come in between, and opens it.
#[derive(Clone, Default)]
pub struct Gate {
    /// What the handles share.
    shared: Arc<Shared>,
}

/// What the handles of one gate share.
#[derive(Default)]
struct Shared {
    /// The counters; never locked across an await.
    state: Mutex<State>,
    /// Told when somebody may pass.
    passable: Notify,
    /// Told when somebody has reached the gate.
    approached: Notify,
}

/// The counters of a [`Gate`].
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Whether everybody may pass.
    is_open: bool,
    /// How many may pass while it is not open.
    permits: u64,
    /// How many have begun to wait.
    reached: u64,
    /// How many have passed.
    passed: u64,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// A gate that lets everybody through, until it is closed.
    pub fn opened() -> Self {
        let gate = Self::new();
        gate.open();
        gate
    }

    /// Waits until it may pass.
    ///
    /// # Cancel safety
    ///
    /// A wait that is dropped has been counted as one that reached the gate, and takes no permit.
    pub async fn wait(&self) {
        self.shared.state.lock().reached += 1;
        self.shared.approached.notify_waiters();
        loop {
            // Made before the look, so that an opening in between is not missed.
            let passable = self.shared.passable.notified();
            if self.try_pass() {
                return;
            }
            passable.await;
        }
    }

    /// Passes if it may.
    fn try_pass(&self) -> bool {
        let mut state = self.shared.state.lock();
        if !state.is_open {
            let Some(rest) = state.permits.checked_sub(1) else { return false };
            state.permits = rest;
        }
        state.passed += 1;
        true
    }

    /// Opens for everybody who waits, and for everybody who comes.
    pub fn open(&self) {
        self.shared.state.lock().is_open = true;
        self.shared.passable.notify_waiters();
    }

    /// Closes for those who come; permits that were not used are taken back.
    pub fn close(&self) {
        let mut state = self.shared.state.lock();
        state.is_open = false;
        state.permits = 0;
    }

    /// Lets `count` through, those who wait first.
    pub fn let_through(&self, count: u64) {
        self.shared.state.lock().permits += count;
        self.shared.passable.notify_waiters();
    }

    /// Waits until somebody has reached the gate, whether it still waits or not.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: it only looks.
    pub async fn wait_until_reached(&self) {
        self.wait_until_reached_by(1).await;
    }

    /// Waits until the gate has been reached `count` times since it was made.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: it only looks.
    pub async fn wait_until_reached_by(&self, count: u64) {
        loop {
            let approached = self.shared.approached.notified();
            if self.reached() >= count {
                return;
            }
            approached.await;
        }
    }

    /// How often the gate has been reached since it was made.
    pub fn reached(&self) -> u64 {
        self.shared.state.lock().reached
    }

    /// How often it has let somebody through since it was made.
    pub fn passed(&self) -> u64 {
        self.shared.state.lock().passed
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { is_open, permits, reached, passed } = *self.shared.state.lock();
        f.debug_struct("Gate")
            .field("is_open", &is_open)
            .field("permits", &permits)
            .field("reached", &reached)
            .field("passed", &passed)
            .finish()
    }
}

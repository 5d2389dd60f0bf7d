//! Asking for room before a session is loaded, where that may be refused.
//!
//! Who asks is counted until the session is loaded, so that of two who find room for one, one gets it.

use super::super::shared::Shared;
use super::{Idle, LOOKS_PER_ROUND};
use crate::config::WhenFull;
use crate::room::{Need, NoRoom};
use crate::rt::{Arc, Ordering};

/// What a session takes at least. Only told apart from nothing: its names are not known before it is read.
const LEAST: usize = 1_024;

/// How many are about to be loaded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coming {
    /// How many.
    pub(super) sessions: usize,
}

impl Coming {
    /// What they will take.
    pub(super) const fn bytes(self) -> usize {
        self.sessions * LEAST
    }
}

/// Room for one session, until it is loaded or this is dropped.
#[derive(Debug)]
pub(in crate::supervisor) struct Room(Arc<Idle>);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.coming.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Those that are about to be loaded.
    pub(super) fn coming(&self) -> Coming {
        Coming { sessions: self.idle.coming.load(Ordering::Relaxed) }
    }

    /// Asks for room for one more. `None` if it is loaded in any case.
    pub(in crate::supervisor) fn ask_for_room(&self, need: Need) -> Result<Option<Room>, NoRoom> {
        let config = &self.idle.config;
        let refuses = config.is_bounded() && config.when_full == WhenFull::Refuse;
        if need == Need::Look || !refuses {
            return Ok(None);
        }
        self.idle.coming.fetch_add(1, Ordering::Relaxed);
        let room = Room(self.idle.clone());
        let looks = LOOKS_PER_ROUND.min(self.idle.len());
        if self.make_room(looks, self.coming(), self.engine.now()) {
            return Ok(Some(room));
        }
        // The clock looks at others.
        self.idle.wanted.notify_one();
        self.engine.counts.load_refused();
        let no_room = NoRoom {
            loaded: self.registry.live(),
            bytes: self.engine.occupied.bytes(),
            retry_after: config.check_every,
            instance: self.engine.instance,
        };
        tracing::warn!(refusal = %no_room, "a session is not loaded");
        Err(no_room)
    }
}

//! How many begins wait in the queues of sessions, and with how many bytes.

use super::Capacity;
use crate::limit::{Full, Limit};
use crate::rt::Arc;

/// Who waits, in all sessions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queues {
    /// How many.
    pub(super) turns: u64,
    /// The bytes of their inputs.
    pub(super) bytes: u64,
}

/// The right to wait in the queue of a session. Dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Spot {
    /// Where it belongs.
    capacity: Arc<Capacity>,
    /// The bytes of the input.
    bytes: u64,
}

impl Capacity {
    /// The right to wait with an input of so many bytes, unless too many wait.
    pub(super) fn enqueue(self: &Arc<Self>, bytes: usize) -> Result<Spot, Full> {
        let limits = &self.config.limits;
        let (max_turns, max_bytes) =
            (limits.max_queued_turns as u64, limits.max_queued_bytes as u64);
        let bytes = bytes as u64;
        let mut queues = self.queues.lock();
        let retry_after = Some(std::time::Duration::from_secs(1));
        let full = |limit, current, max| Err(Full { limit, current, max, retry_after });
        if max_turns > 0 && queues.turns >= max_turns {
            return full(Limit::QueuedTurns, queues.turns, max_turns);
        }
        if max_bytes > 0 && queues.bytes.saturating_add(bytes) > max_bytes {
            return full(Limit::QueuedBytes, queues.bytes, max_bytes);
        }
        queues.turns += 1;
        queues.bytes += bytes;
        drop(queues);
        Ok(Spot { capacity: Arc::clone(self), bytes })
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        let mut queues = self.capacity.queues.lock();
        queues.turns = queues.turns.saturating_sub(1);
        queues.bytes = queues.bytes.saturating_sub(self.bytes);
    }
}

//! How limits stand: for metrics, and for whoever asks.

use metrics::{counter, gauge};

use super::Capacity;
use crate::limit::{Limit, LimitStatus};
use crate::rt::{Arc, AtomicU64, Ordering};

/// How often each limit was in the way, in the order of [`Limit::ALL`].
#[derive(Debug, Default)]
pub(super) struct Rejected([AtomicU64; Limit::ALL.len()]);

impl Rejected {
    /// How often one was.
    fn of(&self, limit: Limit) -> Option<&AtomicU64> {
        let place = Limit::ALL.iter().position(|it| *it == limit)?;
        self.0.get(place)
    }
}

impl Capacity {
    /// Somebody was refused because of `limit`.
    pub(crate) fn rejected(&self, limit: Limit) {
        if let Some(count) = self.rejected.of(limit) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        counter!("session_limit_rejected_total", "limit" => limit.as_str()).increment(1);
    }

    /// Tells what is set, and how it stands, once at the start.
    pub(crate) fn publish_settings(&self) {
        self.publish();
        for status in self.statuses() {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            let max = status.max as f64;
            if let Some(class) = status.class {
                gauge!("session_class_turns_max", "class" => class).set(max);
            } else {
                let limit = status.limit.as_str();
                gauge!("session_limit_max", "limit" => limit).set(max);
                counter!("session_limit_rejected_total", "limit" => limit).increment(0);
            }
        }
    }

    /// Sets the gauges, if something has changed. Called without any lock.
    pub(crate) fn publish(&self) {
        if !self.moved.swap(false, Ordering::Relaxed) {
            return;
        }
        gauge!("session_paused").set(f64::from(u8::from(self.is_paused())));
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        let float = |count: u64| count as f64;
        for LimitStatus { limit, class, current, waiting, .. } in self.statuses() {
            let Some(current) = current else { continue };
            if let Some(class) = class {
                gauge!("session_class_turns", "class" => class.clone()).set(float(current));
                gauge!("session_class_turns_waiting", "class" => class).set(float(waiting));
            } else {
                gauge!("session_limit_current", "limit" => limit.as_str()).set(float(current));
            }
        }
    }

    /// How each limit stands; those of classes one by one.
    pub(crate) fn statuses(&self) -> Vec<LimitStatus> {
        let limits = &self.config.limits;
        let queues = *self.queues.lock();
        let sessions = self.sessions.lock().stored;
        let mut classes = Vec::new();
        let turns = {
            let permits = self.permits.lock();
            for (class, config) in &self.config.classes {
                if config.max_turns > 0 {
                    let standing = permits.class_standing(&Arc::from(class.as_str()));
                    classes.push((class.clone(), standing, config.max_turns as u64));
                }
            }
            permits.standing()
        };
        let rejected =
            |limit| self.rejected.of(limit).map_or(0, |count| count.load(Ordering::Relaxed));
        let status = |limit, current, max: usize, waiting| LimitStatus {
            limit,
            class: None,
            current,
            max: max as u64,
            waiting,
            rejected: rejected(limit),
        };
        let (in_use, waiting) = (turns.in_use as u64, turns.waiting as u64);
        let one = |limit, max| status(limit, None, max, 0);
        let mut all = vec![
            status(Limit::Turns, Some(in_use), limits.max_turns, waiting),
            status(Limit::WaitingTurns, Some(waiting), limits.max_waiting_turns, 0),
            status(Limit::Sessions, Some(sessions), limits.max_sessions, 0),
            status(Limit::QueuedTurns, Some(queues.turns), limits.max_queued_turns, 0),
            status(Limit::QueuedBytes, Some(queues.bytes), limits.max_queued_bytes, 0),
            one(Limit::Entries, limits.max_entries),
            one(Limit::TranscriptBytes, limits.max_transcript_bytes),
        ];
        for (class, standing, max) in classes {
            all.push(LimitStatus {
                limit: Limit::ClassTurns,
                class: Some(class),
                current: Some(standing.in_use as u64),
                max,
                waiting: standing.waiting as u64,
                rejected: rejected(Limit::ClassTurns),
            });
        }
        all
    }

    /// How many permits are out, and every rule that is broken.
    pub(crate) fn audit(&self) -> (usize, Vec<String>) {
        let permits = self.permits.lock();
        (permits.standing().in_use, permits.audit())
    }
}

//! Looking at everything at once, for tests and for people.

use std::time::Duration;

use super::Supervisor;
use crate::clock::Timestamp;
use crate::id::{Incarnation, SessionId};
use crate::key::SessionKey;
use crate::metrics::CountsSnapshot;
use crate::session::{Session, SessionStatus};
use crate::state::{KeptBy, LeaseInfo};

/// Which rules between the structures are broken; none, if all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditReport {
    /// A line for each broken rule.
    pub broken: Vec<String>,
    /// How many sessions were looked at.
    pub sessions: usize,
}

impl AuditReport {
    /// Whether no rule is broken.
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty()
    }
}

/// What there is to know of a loaded session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Which: the id that it is told by.
    pub id: SessionId,
    /// Which life.
    pub incarnation: Incarnation,
    /// The key it was created under.
    pub key: Option<SessionKey>,
    /// When it was created.
    pub created_at: Timestamp,
    /// What is happening in it.
    pub status: SessionStatus,
    /// How long nothing has happened in it; zero while something keeps it loaded.
    pub idle_for: Duration,
    /// What keeps it loaded, whatever `idle.unload_after` says.
    pub kept_by: Vec<KeptBy>,
    /// The work beside the turns for which it is kept, in the order in which it began.
    pub leases: Vec<LeaseInfo>,
}

impl<E> Supervisor<E> {
    /// Checks the rules that hold between the structures: no slot without a session, no queue
    /// without a turn that drains it, no write that nobody sees through, no key that leads to a
    /// session that is over, no loaded session that would never be found idle.
    ///
    /// Looks at one session at a time and stops nobody, so that a rule may seem broken while
    /// something is changing; what is quiet must be clean.
    pub fn audit(&self) -> AuditReport {
        let shared = &self.shared;
        let mut broken = shared.registry.audit();
        let slots = shared.registry.slots();
        for slot in shared.idle.missing(&slots) {
            broken.push(format!("session {}: nobody looks whether it is idle", slot.id));
        }
        for (key, slot) in shared.keys.collect(|key, slot| Some((key.clone(), slot.clone()))) {
            if shared.loaded(&slot.id).is_none_or(|there| !crate::rt::Arc::ptr_eq(&there, &slot)) {
                broken.push(format!("key {key}: leads to a slot of {} that is over", slot.id));
            }
        }
        broken.extend(shared.engine.capacity.audit().1);
        AuditReport { broken, sessions: slots.len() }
    }

    /// Checks that the counts balance, which they do when nothing is changing; a line for each that
    /// does not.
    pub fn audit_counts(&self) -> Vec<String> {
        let slots = self.shared.registry.slots();
        let now = self.shared.engine.now();
        let open: usize = slots.iter().map(|slot| slot.snapshot(now).turns.len()).sum();
        let counts: CountsSnapshot = self.counts();
        let balance = |name: &str, left: u64, right: u64| {
            (left != right).then(|| format!("{name}: {left} is not {right}"))
        };
        let live = slots.len() as u64;
        [
            balance(
                "session_loaded_total = session_live + unloaded + deleted",
                counts.loaded,
                live + counts.unloaded + counts.deleted,
            ),
            balance(
                "session_turns_begun_total = session_turns_ended_total + session_turns_open",
                counts.turns_begun,
                counts.turns_ended + open as u64,
            ),
            balance(
                "session_begins_queued_total = session_begins_dequeued_total + waiting",
                counts.begins_queued,
                counts.begins_dequeued
                    + slots.iter().map(|slot| slot.snapshot(now).waiting() as u64).sum::<u64>(),
            ),
            balance(
                "session_limit_current{turns} = permits of open turns",
                self.shared.engine.capacity.audit().0 as u64,
                slots.iter().map(|slot| slot.permits() as u64).sum::<u64>(),
            ),
            balance(
                "session_leases_taken_total = released + expired + dropped + session_leases",
                counts.leases_taken,
                counts.leases_released
                    + counts.leases_expired
                    + counts.leases_dropped
                    + self.shared.registry.leases() as u64,
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What there is to know of the session `id`, if it is loaded. Loads nothing, waits for
    /// nothing, counts as no use.
    pub fn inspect(&self, id: &SessionId) -> Option<Inspection> {
        let slot = self.shared.loaded(id)?;
        let session: Session<E> = self.session(slot.clone());
        let now = self.shared.engine.now();
        let rest = slot.rest(now);
        Some(Inspection {
            id: slot.tip().clone(),
            incarnation: slot.incarnation,
            key: slot.key.clone(),
            created_at: slot.created_at,
            status: session.status(),
            idle_for: rest.idle_for,
            kept_by: rest.kept_by.to_vec(),
            leases: slot.leases(now),
        })
    }

    /// How many names somebody opens, loads or creates at this moment.
    pub fn in_flight(&self) -> usize {
        self.shared.key_flights.len() + self.shared.id_flights.len()
    }

    /// How many tombstones are held in memory.
    pub fn tombstones(&self) -> usize {
        self.shared.registry.tombstones()
    }

    /// How many sessions are loaded.
    pub fn loaded(&self) -> usize {
        self.shared.registry.live()
    }

    /// What the loaded sessions take in memory, in bytes, as it is held against `idle.max_bytes`.
    pub fn loaded_bytes(&self) -> usize {
        self.shared.engine.occupied.bytes()
    }
}

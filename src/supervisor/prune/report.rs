//! What a pass did, or would do.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::key::SessionKey;
use crate::standing::ExpiryClock;
use crate::state::KeptBy;
use crate::store::Record;

/// How many sessions a report names of each kind; beyond that it only counts.
const MOST_NAMED: usize = 1_000;

/// What a pass did, or would do.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PruneReport {
    /// Whether it only looked.
    pub dry_run: bool,
    /// How many sessions were looked at.
    pub looked: usize,
    /// How many were ended because their time was over.
    pub expired: usize,
    /// Which, up to a thousand.
    pub expired_sessions: Vec<ExpiredSession>,
    /// How many were deleted: because that is what becomes of those that expire, or because they had been
    /// closed for as long as they were to be kept.
    pub deleted: usize,
    /// How many were kept although their time was over. Pinned and suspended ones are not looked at.
    pub kept: usize,
    /// Which, and by what, up to a thousand.
    pub kept_sessions: Vec<(SessionId, Vec<KeptBy>)>,
    /// How many could not be ended, or not read.
    pub failed: usize,
    /// Which, and why, up to a thousand.
    pub failures: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// A session whose time was over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpiredSession {
    /// Which.
    pub id: SessionId,
    /// The key under which it was created.
    pub key: Option<SessionKey>,
    /// By which clock.
    pub clock: ExpiryClock,
    /// When it was last used.
    pub last_active_at: Timestamp,
}

impl PruneReport {
    /// Names one of many.
    fn name<T>(names: &mut Vec<T>, name: impl FnOnce() -> T) {
        if names.len() < MOST_NAMED {
            names.push(name());
        }
    }

    /// Adds what became of a slice.
    pub(super) fn add(&mut self, slice: Self) {
        self.looked += slice.looked;
        self.expired += slice.expired;
        self.deleted += slice.deleted;
        self.kept += slice.kept;
        self.failed += slice.failed;
        self.expired_sessions.extend(slice.expired_sessions);
        self.expired_sessions.truncate(MOST_NAMED);
        self.kept_sessions.extend(slice.kept_sessions);
        self.kept_sessions.truncate(MOST_NAMED);
        self.failures.extend(slice.failures);
        self.failures.truncate(MOST_NAMED);
    }

    /// A session was ended.
    pub(super) fn expired(&mut self, record: &Record, clock: ExpiryClock, last_use: Timestamp) {
        self.expired += 1;
        Self::name(&mut self.expired_sessions, || ExpiredSession {
            id: record.id.clone(),
            key: record.key.clone(),
            clock,
            last_active_at: last_use,
        });
    }

    /// A session was kept.
    pub(super) fn kept(&mut self, id: &SessionId, by: Vec<KeptBy>) {
        self.kept += 1;
        Self::name(&mut self.kept_sessions, || (id.clone(), by));
    }

    /// Something failed.
    pub(super) fn failed(&mut self, what: impl FnOnce() -> String) {
        self.failed += 1;
        Self::name(&mut self.failures, what);
    }
}

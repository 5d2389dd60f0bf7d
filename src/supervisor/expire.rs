//! Ending what is over: one decision, for whoever uses a session, for the pass, and for whoever asks why.
//!
//! What races: a session that is used against the one who found it due. A loaded one is asked under its
//! lock, and asked again after the host's hook; one that is not loaded cannot be used while the flight of
//! its id is held, and the store refuses to end what was used since it was read. The host is asked about one
//! session by one at a time: whoever else comes for it waits, and finds what became of it.

use std::time::Duration;

use super::shared::Shared;
use crate::clock::{Now, Timestamp};
use crate::expiry::Due;
use crate::hook::{Candidate, Said, is_asked_about};
use crate::id::Incarnation;
use crate::metrics::Counts;
use crate::rt::{Arc, ShardedMap};
use crate::slot::Slot;
use crate::slot::idle::Stay;
use crate::standing::{ExpiryClock, Standing};
use crate::state::{ChangeRefusal, DeleteRefusal, Deletion, KeptBy};
use crate::store::{Record, StoreError};
use crate::tombstone::GoneReason;

/// How long a session is left alone at most that something outside keeps.
const SPARED_FOR: Duration = Duration::from_secs(60);

/// What is to become of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Its time is over.
    Over {
        /// By which clock.
        clock: ExpiryClock,
        /// Since when.
        since: Duration,
        /// What keeps it all the same.
        kept_by: Vec<KeptBy>,
    },
    /// It goes on.
    GoesOn {
        /// The clock by which it will be over first, and in what time.
        next: Option<(ExpiryClock, Duration)>,
        /// What would keep it.
        kept_by: Vec<KeptBy>,
    },
    /// It takes no turns as it is.
    Inactive(Standing),
}

impl Decision {
    /// From what the clocks say of an active session and what keeps it.
    pub(super) fn new(clocks: Due, kept_by: Vec<KeptBy>) -> Self {
        match clocks {
            Due::Over { clock, since } => Self::Over { clock, since, kept_by },
            Due::In { clock, left } => Self::GoesOn { next: Some((clock, left)), kept_by },
            Due::Never => Self::GoesOn { next: None, kept_by },
        }
    }

    /// By which clock it is to be ended, if it is.
    pub(super) fn is_due(&self) -> Option<ExpiryClock> {
        match self {
            Self::Over { clock, kept_by, .. } if kept_by.is_empty() => Some(*clock),
            Self::Over { .. } | Self::GoesOn { .. } | Self::Inactive(_) => None,
        }
    }

    /// By which clock it is to be ended; or else what keeps it, which is nothing where its time is not over.
    pub(super) fn into_due(self) -> Result<ExpiryClock, Vec<KeptBy>> {
        match self {
            Self::Over { clock, kept_by, .. } if kept_by.is_empty() => Ok(clock),
            Self::Over { kept_by, .. } => Err(kept_by),
            Self::GoesOn { .. } | Self::Inactive(_) => Err(Vec::new()),
        }
    }

    /// Adds what keeps it.
    pub(super) fn keep(&mut self, by: KeptBy) {
        if let Self::Over { kept_by, .. } | Self::GoesOn { kept_by, .. } = self {
            kept_by.push(by);
        }
    }
}

impl Shared {
    /// What is to become of a session that is stored so and not loaded.
    pub(super) fn decide_stored(&self, record: &Record, now: Now) -> Decision {
        if !record.standing.is_active() {
            return Decision::Inactive(record.standing);
        }
        let mut kept_by = Vec::new();
        if record.pinned {
            kept_by.push(KeptBy::Pinned);
        }
        if !record.open.is_empty() {
            kept_by.push(KeptBy::Turn);
        }
        if self.registry.is_leased(record.first_id(), record.incarnation, now) {
            kept_by.push(KeptBy::Leased);
        }
        let clocks = self.engine.expiry(record).due(&self.engine.ages(record, now));
        Decision::new(clocks, kept_by)
    }

    /// What the host says of a session that is due; what keeps it, if something does.
    pub(super) async fn ask_hook(&self, candidate: Candidate) -> Option<KeptBy> {
        let (engine, hook) = (&self.engine, self.engine.hook.as_ref()?);
        match hook.keeps(&Arc::new(candidate), &engine.spawner).await {
            Said::Keep => Some(KeptBy::Hook),
            Said::Failed(failure) => {
                Counts::hook_failed("keeps", failure.as_str());
                Some(KeptBy::HookFailed)
            }
            Said::End => None,
        }
    }

    /// What the host would say of a session that is due, if it was to be ended now.
    pub(super) async fn would_keep(&self, candidate: Candidate) -> Option<KeptBy> {
        let life = candidate.incarnation;
        if self.engine.hook.is_none() || is_asked_about(life) {
            return None; // The hook itself wants to know what else there is.
        }
        let _asking = self.asking.join(&life).await;
        self.ask_hook(candidate).await
    }

    /// Gives a session its last rites; what keeps it, if something does. It was looked at since the host was asked:
    /// what was used meanwhile gets none.
    pub(super) async fn last_rites(&self, candidate: Candidate) -> Option<KeptBy> {
        let (engine, hook) = (&self.engine, self.engine.hook.as_ref()?);
        let candidate = Arc::new(candidate);
        let Err(failure) = hook.finalize(&candidate, &engine.spawner).await else {
            self.rites.forget(candidate.incarnation);
            return None;
        };
        Counts::hook_failed("finalize", failure.as_str());
        let failed = self.rites.failed(candidate.incarnation, candidate.last_active_at);
        if failed < engine.config.prune.finalize_attempts {
            return Some(KeptBy::HookFailed);
        }
        self.rites.forget(candidate.incarnation);
        Counts::forced();
        tracing::warn!(session = %candidate.id, attempts = failed,
            "a session ends without its last rites");
        None
    }

    /// Ends the session in `slot` if its time is over and nothing keeps it. In a task of its own, which whoever
    /// goes away leaves to itself: it is archived, counted, and deleted if that is what becomes of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it could not be stored; the session is loaded anew then, and still due.
    pub(super) async fn expire(&self, slot: &Arc<Slot>) -> Result<(), StoreError> {
        let engine = &self.engine;
        if let Some(hook) = &engine.hook
            && is_asked_about(slot.incarnation)
        {
            // The hook itself: whatever it does with the session it can do.
            slot.spare(engine.now().moment.plus(hook.timeout));
            return Ok(());
        }
        let (myself, slot) = (self.myself().ok_or(StoreError::Closed)?, slot.clone());
        let task = engine.spawner.spawn(async move { myself.expire_here(&slot).await });
        task.await.unwrap_or(Err(StoreError::Closed))
    }

    /// [`Self::expire`], in this task.
    async fn expire_here(&self, slot: &Arc<Slot>) -> Result<(), StoreError> {
        let engine = &self.engine;
        if engine.hook.is_none() {
            return self.end(slot).await;
        }
        // Those who come together ask once.
        let _asking = self.asking.join(&slot.incarnation).await;
        // If it left memory while the host thinks, the host would be asked again about what is loaded then.
        let Some(_stay) = Stay::take(slot) else { return Ok(()) };
        let Some(candidate) = slot.candidate(engine.now()) else { return Ok(()) };
        let mut kept = self.ask_hook(candidate).await;
        if kept.is_none() {
            // Also if the hook has looked at it, and not used it.
            slot.reconsider();
            let Some(candidate) = slot.candidate(engine.now()) else { return Ok(()) };
            kept = self.last_rites(candidate).await;
        }
        if kept.is_some() {
            let every = engine.config.prune.every;
            let spared_for = if every.is_zero() { SPARED_FOR } else { every.min(SPARED_FOR) };
            slot.spare(engine.now().moment.plus(spared_for));
            return Ok(());
        }
        slot.reconsider();
        self.end(slot).await
    }

    /// Ends the session in `slot` if its time is over and nothing that the library knows of keeps it, and
    /// deletes it if that is what becomes of it.
    async fn end(&self, slot: &Arc<Slot>) -> Result<(), StoreError> {
        // Between the two it is at rest, and might leave to make room; then nobody would come to delete it.
        let Some(_stay) = Stay::take(slot) else { return Ok(()) };
        if let Some((clock, true)) = self.close(slot).await? {
            delete(slot, GoneReason::Expired(clock)).await?;
        }
        Ok(())
    }

    /// Archives the session in `slot`, or ends it if it is to be deleted, if its time is over and nothing that
    /// the library knows of keeps it; by which clock, if this call did it, and whether it is to be deleted.
    pub(super) async fn close(
        &self,
        slot: &Arc<Slot>,
    ) -> Result<Option<(ExpiryClock, bool)>, StoreError> {
        let (closed, answer) = slot.expire();
        match crate::session::answer(answer).await {
            Ok(_) => {
                closed.inspect(|(clock, _)| self.engine.counts.expired(*clock));
                Ok(closed)
            }
            Err(ChangeRefusal::Store(error)) => Err(error),
            // Somebody else was faster, with something that counts more.
            Err(
                ChangeRefusal::Left
                | ChangeRefusal::Gone(_)
                | ChangeRefusal::Closing
                | ChangeRefusal::Shut(_)
                | ChangeRefusal::Due
                | ChangeRefusal::TooLong(_)
                | ChangeRefusal::Busy { .. }
                | ChangeRefusal::Moved,
            ) => Ok(None),
        }
    }

    /// `record` as it is to be shown: one whose time is over is closed, and only nobody has come for it yet.
    /// Where the host is to be asked before, it is as it is stored.
    pub(super) fn as_it_stands(&self, mut record: Record) -> Record {
        let now = self.engine.now();
        if self.engine.hook.is_none()
            && let Decision::Over { clock, since, kept_by } = self.decide(&record, now)
            && kept_by.is_empty()
        {
            let at = now.wall.minus(since);
            record.standing = self.engine.expiry(&record).closed(clock, at);
        }
        record
    }
}

/// Deletes what is in `slot`, and whose time is over; whether this call did it.
pub(super) async fn delete(slot: &Arc<Slot>, reason: GoneReason) -> Result<bool, StoreError> {
    match crate::session::answer(slot.delete(reason)).await {
        Ok(deletion) => Ok(matches!(deletion, Deletion::Deleted(_))),
        Err(DeleteRefusal::Left | DeleteRefusal::Kept) => Ok(false),
        Err(DeleteRefusal::Store(error)) => Err(error),
    }
}

/// How often in a row the last rites of sessions have failed. One is forgotten when it is used, closed or
/// deleted; what is used is forgotten when it is asked for again.
#[derive(Debug)]
pub(super) struct Rites(ShardedMap<Incarnation, (Timestamp, u32)>);

impl Rites {
    /// None has failed.
    pub(super) fn new() -> Self {
        Self(ShardedMap::new())
    }

    /// Those of a session that was used last at `active_at` have failed; how often in a row.
    fn failed(&self, life: Incarnation, active_at: Timestamp) -> u32 {
        self.0.alter(&life, |failed| {
            let before = failed.filter(|(at, _)| *at == active_at);
            let times = before.map_or(0, |(_, times)| times).saturating_add(1);
            *failed = Some((active_at, times));
            times
        })
    }

    /// They do not matter any more.
    pub(super) fn forget(&self, life: Incarnation) {
        self.0.remove_if(&life, |_| true);
    }

    /// How many sessions there are whose last rites have failed.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Supervisor;
    use super::*;
    use crate::expiry::ExpiryRules;
    use crate::hook::{HookFuture, PruneHook};
    use crate::supervisor::NewSession;
    use crate::testing::ManualClock;

    /// Lets everything end, and holds no rites.
    struct Unable;

    impl PruneHook for Unable {
        fn keeps(&self, _session: Arc<Candidate>) -> HookFuture<bool> {
            Box::pin(std::future::ready(Ok(false)))
        }

        fn finalize(&self, _session: Arc<Candidate>) -> HookFuture<()> {
            Box::pin(std::future::ready(Err("it cannot".into())))
        }
    }

    // X18, M4: what has failed is forgotten with the session, however it is closed, and when it ends
    #[tokio::test]
    async fn rites_that_failed_are_not_remembered_for_ever() {
        let (clock, hour) = (ManualClock::new(), Duration::from_secs(3_600));
        let mut config = crate::Config::default();
        config.prune.every = Duration::ZERO;
        config.expiry = ExpiryRules { idle: Some(hour), ..ExpiryRules::default() };
        let builder = Supervisor::builder().config(config).clock(clock.clone());
        let supervisor: Supervisor = builder.prune_hook(Unable).start().await.unwrap();
        let rites = &supervisor.shared.rites;
        for _ in 0..3 {
            let mut all = Vec::new();
            for _ in 0..5 {
                all.push(supervisor.create(NewSession::new()).await.unwrap());
            }
            clock.advance(hour);
            assert_eq!(supervisor.prune(false).await.unwrap().kept, 5);
            assert_eq!(rites.len(), 5);
            // One is tried again by whoever uses it, and is used then.
            all[0].insert("mood", &1).await.unwrap();
            all[1].delete().await.unwrap();
            assert_eq!(rites.len(), 4);
            all[0].archive().await.unwrap();
            assert_eq!(rites.len(), 3);
            for _ in 0..2 {
                supervisor.prune(false).await.unwrap();
            }
            assert_eq!(rites.len(), 0);
        }
    }
}

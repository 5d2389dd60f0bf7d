//! The handles of outside services beside a session's entries.

use super::Session;
use super::error::SessionError;
use crate::clock::Timestamp;
use crate::entry::check_name;
use crate::resume::{KeptHandle, ResumeAdvice, ResumeFailure, ResumeHandle, keeps};
use crate::state::Change;
use crate::store::{ResumeAction, ResumeChange, ResumeRecord, StoreError, Write, resume_digest};

impl<E> Session<E> {
    /// The handle of the outside service `provider`, to look at. Before it is used, ask for it by
    /// [`Turn::attempt_resume`](crate::Turn::attempt_resume), which counts.
    ///
    /// One that has not been used for `resume.max_age` is not told any more, and is dropped. `None` also if its row
    /// is damaged: it costs a conversation at the service, and not this one. Does not count as use.
    ///
    /// # Errors
    ///
    /// [`SessionError::Content`] if `provider` is empty or too long; otherwise as the store says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it reads, and drops what nobody is to have.
    pub async fn resume_handle(
        &self,
        provider: &str,
    ) -> Result<Option<ResumeHandle>, SessionError> {
        let Some(stored) = self.resume_record(provider).await?.handle else { return Ok(None) };
        let handle = ResumeHandle::new(provider, stored);
        let engine = &self.slot.engine;
        let (max_age, now) = (engine.config.resume.max_age, engine.now().wall);
        // Either way: a clock that was set back must not make it last for ever.
        if max_age.is_zero() || now.apart(handle.last_used_at()) < max_age {
            return Ok(Some(handle));
        }
        tracing::debug!(session = %self.id(), provider, last_used_at = %handle.last_used_at(),
            "a resume handle has expired");
        self.sweep_handle(&handle, now).await;
        Ok(None)
    }

    /// Keeps `value` as the handle of the outside service `provider`, in the place of another; keeping the
    /// same again says that it works. In a turn, [`Turn::keep_resume_handle`](crate::Turn::keep_resume_handle) keeps it
    /// with the reply. Does not count as use.
    ///
    /// Name services, and not accounts or users: the name is a label of metrics, and there are to be few.
    ///
    /// # Errors
    ///
    /// [`SessionError::Content`] if the value is empty or longer than `resume.max_value_bytes`, or the name is
    /// empty or too long; otherwise as [`insert`](Self::insert).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it may have been kept.
    pub async fn keep_resume_handle(
        &self,
        provider: &str,
        value: &str,
    ) -> Result<KeptHandle, SessionError> {
        let change = self.keeps(provider, value)?;
        let kept = self.may_keep(provider, value).await?;
        if kept == KeptHandle::Kept {
            self.change_resume(change).await?;
        }
        Ok(kept)
    }

    /// Counts an attempt with the handle of the outside service `provider`, and hands it out: for work
    /// that is not a turn. In a turn, use [`Turn::attempt_resume`](crate::Turn::attempt_resume), which also notes that it worked;
    /// here, [keep](Self::keep_resume_handle) it again to say so.
    ///
    /// `None` if there is none; if it has expired; or if `resume.max_attempts` in a row have failed or not
    /// ended, and then it is dropped.
    ///
    /// # Errors
    ///
    /// As [`keep_resume_handle`](Self::keep_resume_handle). Without an answer, do not make the attempt.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, an attempt may have been counted that was not made.
    pub async fn attempt_resume(
        &self,
        provider: &str,
    ) -> Result<Option<ResumeHandle>, SessionError> {
        loop {
            let Some(handle) = self.resume_handle(provider).await? else { return Ok(None) };
            let most = self.slot.engine.config.resume.max_attempts;
            let digest = handle.digest();
            if most > 0 && handle.attempts() >= most {
                tracing::warn!(session = %self.id(), provider, attempts = handle.attempts(),
                    "a resume handle has failed too often and is dropped");
                self.drop_resume(&handle, handle.last_used_at()).await?;
                return Ok(None);
            }
            let action = ResumeAction::Attempt { digest };
            self.change_resume(ResumeChange { provider: provider.to_owned(), action }).await?;
            // What is handed out is what was counted: it may have been replaced in between.
            let counted = self.resume_record(provider).await?.handle;
            if let Some(counted) = counted.filter(|counted| counted.digest() == digest) {
                self.slot.engine.counts.resume_attempted(provider);
                return Ok(Some(ResumeHandle::new(provider, counted)));
            }
        }
    }

    /// Says that an attempt with `handle` failed, and why; answers what is to be done.
    ///
    /// If it is gone, it is dropped at once, unless another has taken its place; its value is not taken
    /// again for `resume.max_age`, whoever brings it; and the answer is to retry without one, once.
    /// Otherwise it is kept, and the answer is to give up. In a turn, use
    /// [`Turn::resume_failed`](crate::Turn::resume_failed), which also sees to it that there is one retry in a turn.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    ///
    /// A future that was polled once has handed the change over, and dropping it takes nothing back.
    pub async fn resume_failed(
        &self,
        handle: &ResumeHandle,
        class: ResumeFailure,
    ) -> Result<ResumeAdvice, SessionError> {
        let (provider, digest) = (handle.provider().to_owned(), handle.digest());
        self.slot.engine.counts.resume_failed(&provider, class);
        tracing::info!(session = %self.id(), provider, %class, attempts = handle.attempts(),
            "an attempt to resume has failed");
        let (action, advice) = match class {
            ResumeFailure::Gone => (ResumeAction::Refuse { digest }, ResumeAdvice::RetryFresh),
            ResumeFailure::Unavailable => (ResumeAction::Absolve { digest }, ResumeAdvice::GiveUp),
            ResumeFailure::Rejected | ResumeFailure::Timeout | ResumeFailure::Other => {
                return Ok(ResumeAdvice::GiveUp);
            }
        };
        self.change_resume(ResumeChange { provider, action }).await?;
        Ok(advice)
    }

    /// Drops `handle`, unless another has taken its place; it may be kept again. For what the service's
    /// conversation should not go on with: turns that were taken back are still in it.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Cancel safety
    ///
    /// As [`resume_failed`](Self::resume_failed).
    pub async fn forget_resume_handle(&self, handle: &ResumeHandle) -> Result<(), SessionError> {
        self.drop_resume(handle, Timestamp::from_millis(u64::MAX)).await
    }

    /// Drops `handle`, unless it was used after `unused_since`.
    async fn drop_resume(
        &self,
        handle: &ResumeHandle,
        unused_since: Timestamp,
    ) -> Result<(), SessionError> {
        self.change_resume(handle.drops(unused_since)).await
    }

    /// Drops a handle that has expired, if it is still as it was read. Straight in the store, as a sweep
    /// does: it is no change of the session, and must not cost it anything if it fails.
    async fn sweep_handle(&self, handle: &ResumeHandle, at: Timestamp) {
        let (slot, change) = (&self.slot, Box::new(handle.drops(handle.last_used_at())));
        let write = Write::Resume { change, at };
        match slot.engine.store.write(&slot.id, slot.incarnation, write).await {
            // A life that is over has no handles.
            Ok(()) | Err(StoreError::Fenced { .. }) => {}
            Err(error) => {
                slot.engine.counts.store_failed("resume");
                tracing::warn!(session = %slot.tip(), %error, "a resume handle could not be dropped");
            }
        }
    }

    /// What is to be done to keep `value`, if it can be.
    pub(crate) fn keeps(&self, provider: &str, value: &str) -> Result<ResumeChange, SessionError> {
        let engine = &self.slot.engine;
        keeps(provider, value, &engine.config).map_err(|error| self.refused(error))
    }

    /// Whether `value` is one that the service has said is gone.
    pub(crate) async fn may_keep(
        &self,
        provider: &str,
        value: &str,
    ) -> Result<KeptHandle, SessionError> {
        let record = self.resume_record(provider).await?;
        let (engine, digest) = (&self.slot.engine, resume_digest(value));
        if !record.refuses(digest, engine.now().wall, engine.config.resume.max_age) {
            return Ok(KeptHandle::Kept);
        }
        engine.counts.resume_refused(provider);
        tracing::warn!(session = %self.id(), provider,
            "a resume handle that is gone was to be kept again");
        Ok(KeptHandle::RefusedDead)
    }

    /// What the store has of `provider`; nothing, if that is damaged.
    async fn resume_record(&self, provider: &str) -> Result<ResumeRecord, SessionError> {
        let slot = &self.slot;
        check_name(provider, &slot.engine.config.limits).map_err(|error| self.refused(error))?;
        match slot.engine.store.resume(&slot.id, slot.incarnation, provider).await {
            Ok(record) => Ok(record),
            Err(error @ StoreError::Damaged { .. }) => {
                slot.engine.counts.store_failed("read");
                tracing::warn!(session = %slot.tip(), %error, "a resume handle cannot be read");
                Ok(ResumeRecord::default())
            }
            Err(error) => Err(self.read_failed(error).await),
        }
    }

    /// Changes what is kept of a service.
    async fn change_resume(&self, change: ResumeChange) -> Result<(), SessionError> {
        self.change(Change::Resume(Box::new(change))).await.map(drop)
    }
}

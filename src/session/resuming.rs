//! What a turn does with the handles of outside services.

use super::Session;
use super::error::SessionError;
use crate::resume::{KeptHandle, ResumeAdvice, ResumeFailure, ResumeHandle};
use crate::store::{ResumeAction, ResumeChange, StoreError};
use crate::turn::Turn;

impl<E> Turn<E> {
    /// Counts an attempt with the handle of the outside service `provider`, and hands it out. The attempt
    /// is durable before this resolves, so that a process that dies of it is seen in
    /// [`attempts`](ResumeHandle::attempts).
    ///
    /// If the turn commits without [`resume_failed`](Self::resume_failed), the handle has worked: it is used now, and its
    /// attempts start from 0. `None` if there is none; if it has not been used for `resume.max_age`; or if
    /// `resume.max_attempts` in a row have failed or not ended, and then it is dropped.
    ///
    /// ```
    /// # use session_supervisor::*;
    /// # type Said = Result<(String, String), ResumeFailure>;
    /// # async fn call(_prompt: &str, resume: Option<&str>) -> Said {
    /// #     match resume {
    /// #         Some("dead") => Err(ResumeFailure::Gone),
    /// #         _ => Ok(("hello".into(), "fresh".into())),
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let supervisor: Supervisor = Supervisor::builder().start().await?;
    /// # let session = supervisor.open(&SessionKey::builder("irc").chat("#rust").build()?).await?;
    /// # let _ = session.keep_resume_handle("agent", "dead").await?;
    /// let turn = session.begin(&ChatMessage::user("hi"), BusyPolicy::Reject).await?;
    /// let (text, id) = loop {
    ///     let handle = turn.attempt_resume("agent").await?;
    ///     // `call` answers with the text, and with what the service calls the conversation.
    ///     match (call("hi", handle.as_ref().map(ResumeHandle::value)).await, &handle) {
    ///         (Ok(said), _) => break said,
    ///         (Err(class), Some(handle)) => match turn.resume_failed(handle, class).await? {
    ///             ResumeAdvice::RetryFresh => turn.emit("(the agent has lost the thread) ")?,
    ///             _ => return Err(class.to_string().into()),
    ///         },
    ///         (Err(class), None) => return Err(class.to_string().into()),
    ///     };
    /// };
    /// let reply = ChatMessage::assistant(text);
    /// let outcome = turn.commit(Reply::from(&reply).resume_handle("agent", &id)).await?;
    /// # assert!(matches!(outcome, CommitOutcome::Committed { .. }));
    /// # let kept = session.resume_handle("agent").await?.unwrap();
    /// # assert_eq!((kept.value(), kept.attempts()), ("fresh", 0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Session::keep_resume_handle`]. Without an answer, do not make the attempt.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, an attempt may have been counted that was not made.
    pub async fn attempt_resume(
        &self,
        provider: &str,
    ) -> Result<Option<ResumeHandle>, SessionError> {
        let handle = self.whole_session()?.attempt_resume(provider).await?;
        if let Some(handle) = &handle {
            let action = ResumeAction::Worked { digest: handle.digest() };
            self.stage(ResumeChange { provider: provider.to_owned(), action });
        }
        Ok(handle)
    }

    /// Says that an attempt with `handle` failed, and why; answers what is to be done. As
    /// [`Session::resume_failed`], but the answer is to retry without a handle once in a turn at most,
    /// and never in one that was told to end. The commit of this turn does not take the handle for one
    /// that works.
    ///
    /// # Errors
    ///
    /// As [`Session::resume_failed`].
    ///
    /// # Cancel safety
    ///
    /// As [`Session::resume_failed`].
    pub async fn resume_failed(
        &self,
        handle: &ResumeHandle,
        class: ResumeFailure,
    ) -> Result<ResumeAdvice, SessionError> {
        self.unstage(handle.provider(), handle.digest());
        let advice = self.whole_session()?.resume_failed(handle, class).await?;
        if advice == ResumeAdvice::GiveUp || self.cancelled_by().is_some() || !self.retry_once() {
            return Ok(ResumeAdvice::GiveUp);
        }
        let provider = handle.provider();
        self.slot().engine.counts.resume_retried(provider);
        tracing::info!(session = %self.session(), stream = %self.stream(), provider,
            "a turn retries without its resume handle");
        Ok(advice)
    }

    /// Keeps `value` as the handle of the outside service `provider` with the commit of this turn, in the
    /// same transaction, and not at all if it does not commit. Of several for one service the last one
    /// counts; call it as soon as the service has told the value, or use
    /// [`Reply::resume_handle`](crate::Reply::resume_handle) at the end.
    ///
    /// A failed run may echo the handle that is gone in what it says: then this answers
    /// [`KeptHandle::RefusedDead`], and the commit goes on without it.
    ///
    /// # Errors
    ///
    /// As [`Session::keep_resume_handle`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: before it resolves it only reads.
    pub async fn keep_resume_handle(
        &self,
        provider: &str,
        value: &str,
    ) -> Result<KeptHandle, SessionError> {
        let session = self.whole_session()?;
        let change = session.keeps(provider, value)?;
        let kept = session.may_keep(provider, value).await?;
        if kept == KeptHandle::Kept {
            self.stage(change);
        }
        Ok(kept)
    }

    /// The handle to the session that it is a turn of.
    fn whole_session(&self) -> Result<Session<E>, SessionError> {
        let slot = self.slot();
        let house = slot.house().ok_or_else(|| {
            let source = StoreError::Closed;
            SessionError::Store { id: slot.tip().clone(), source }
        })?;
        Ok(Session::new(slot.clone(), house))
    }
}

//! Suspending, archiving and ending a session, and the ways back.
//!
//! One whose time is over is archived first, as for whoever uses it, and then all of this is done with an archived
//! one.

use super::Session;
use super::error::SessionError;
use crate::expiry::ExpiryRules;
use crate::standing::SuspendReason;
use crate::state::{Change, Patch, Verb};

impl<E> Session<E> {
    /// Lets the session take no turns and no changes until it is [resumed](Self::resume). Its keys stay, and it
    /// does not expire.
    ///
    /// It does not wait: turns that run are ended over their holder's head with
    /// [`CancelReason::Suspended`](crate::CancelReason::Suspended) and their input is kept, begins that wait
    /// are told. Suspending it again changes nothing, and the first reason stands.
    ///
    /// # Errors
    ///
    /// [`SessionError::Inactive`] if it was archived or has ended, or its time was over.
    ///
    /// # Cancel safety
    ///
    /// A future that was polled once has handed the change over, and dropping it takes nothing back.
    pub async fn suspend(&self) -> Result<(), SessionError> {
        self.stand(Verb::Suspend(SuspendReason::Requested)).await
    }

    /// Lets a suspended session go on. Counts as use. One that is active is left as it is.
    ///
    /// # Errors
    ///
    /// [`SessionError::Inactive`] if it was archived or has ended.
    ///
    /// # Cancel safety
    ///
    /// As [`suspend`](Self::suspend).
    pub async fn resume(&self) -> Result<(), SessionError> {
        self.stand(Verb::Resume).await
    }

    /// Puts the session out of the way: no key leads to it any more, and it takes no turns and no changes. Its
    /// transcript stays, and [`restore`](Self::restore) brings it back. The next open of its key creates a
    /// fresh one, and says which was before.
    ///
    /// It does not wait, as [`suspend`](Self::suspend) does not.
    ///
    /// # Errors
    ///
    /// [`SessionError::Inactive`] if it has ended.
    ///
    /// # Cancel safety
    ///
    /// As [`suspend`](Self::suspend).
    pub async fn archive(&self) -> Result<(), SessionError> {
        self.stand(Verb::Archive).await
    }

    /// Brings an archived session back. Counts as use. Its keys lead to it again, unless they were opened
    /// since: then they lead to the fresh ones. One that is active is left as it is.
    ///
    /// One that was archived because of its age is too old again at once: [pin](Self::pin) it first, or give it
    /// [rules](Self::set_expiry) of its own.
    ///
    /// # Errors
    ///
    /// [`SessionError::Inactive`] if it is suspended or has ended.
    ///
    /// # Cancel safety
    ///
    /// As [`suspend`](Self::suspend).
    pub async fn restore(&self) -> Result<(), SessionError> {
        self.stand(Verb::Restore).await
    }

    /// Makes the session history: as [`archive`](Self::archive), but nothing brings it back. To be rid of the
    /// transcript as well, [delete](Self::delete) it.
    ///
    /// # Errors
    ///
    /// [`SessionError`]; never `Inactive`.
    ///
    /// # Cancel safety
    ///
    /// As [`suspend`](Self::suspend).
    pub async fn end(&self) -> Result<(), SessionError> {
        self.stand(Verb::End).await
    }

    /// Lets the session never end by itself. No use; it may still leave memory. One whose time was over by then is
    /// archived, and pinned as such.
    ///
    /// # Errors
    ///
    /// [`SessionError`]; never `Inactive`.
    ///
    /// # Cancel safety
    ///
    /// As [`suspend`](Self::suspend).
    pub async fn pin(&self) -> Result<(), SessionError> {
        self.change(Change::Patch(Patch::Pinned(true))).await.map(drop)
    }

    /// Lets the session end by itself again. No use.
    ///
    /// # Errors
    ///
    /// As [`pin`](Self::pin).
    ///
    /// # Cancel safety
    ///
    /// As [`suspend`](Self::suspend).
    pub async fn unpin(&self) -> Result<(), SessionError> {
        self.change(Change::Patch(Patch::Pinned(false))).await.map(drop)
    }

    /// Says when the session ends by itself, for it alone; what is `None` in `rules` is as for its class.
    /// `None` takes back what was said. No use.
    ///
    /// # Errors
    ///
    /// [`SessionError::Content`] if the rules are out of their bounds; otherwise as [`pin`](Self::pin).
    ///
    /// # Cancel safety
    ///
    /// As [`suspend`](Self::suspend).
    pub async fn set_expiry(&self, rules: Option<ExpiryRules>) -> Result<(), SessionError> {
        if let Some(rules) = &rules {
            rules.validate("expiry").map_err(|error| self.refused(error.into()))?;
        }
        let expiry = self.slot.expiry_with(rules.as_ref());
        self.change(Change::Patch(Patch::Expiry(rules.map(Box::new), expiry))).await.map(drop)
    }

    /// Changes whether it takes turns.
    async fn stand(&self, verb: Verb) -> Result<(), SessionError> {
        self.change(Change::Stand(verb)).await.map(drop)
    }
}

//! Somebody is there.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Session;
use super::error::SessionError;
use super::wait::Again;
use crate::rt::Arc;
use crate::slot::idle::Stay;
use crate::slot::{Presence, Slot};

/// [`Session::touch`], where it has to wait. In a box: a touch is to have nothing to do with how large that is.
type TouchAgain<'a> = Pin<Box<dyn Future<Output = Result<(), SessionError>> + Send + 'a>>;

/// [`Session::touch`].
struct Touching<'a, E> {
    /// What is touched.
    session: &'a Session<E>,
    /// What it waits for, if it has to.
    again: Option<TouchAgain<'a>>,
}

impl<E> Future for Touching<'_, E> {
    type Output = Result<(), SessionError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.again.is_none() {
            let Some(presence) = self.session.slot.touch() else { return Poll::Ready(Ok(())) };
            self.again = Some(self.session.touch_again(presence));
        }
        self.again.as_mut().map_or(Poll::Ready(Ok(())), |again| again.as_mut().poll(context))
    }
}

impl<E> Session<E> {
    /// Notes that somebody is there without saying anything: who types, presses a button, or has a client that
    /// sends a heartbeat. Idle counts from here, for leaving memory and for expiry.
    ///
    /// It costs a few nanoseconds and waits for nobody while the session is in memory; one that has left is
    /// loaded. It is noted to within [`Clock::reading_lasts`](crate::Clock::reading_lasts), which is a tenth of a
    /// second, and stored when the session is looked at as idle, when it leaves memory, and at the shutdown:
    /// a crash may take back the last `idle.unload_after` of it.
    ///
    /// # Errors
    ///
    /// [`SessionError`] if the session is gone or is being deleted, does not take turns
    /// ([`Inactive`](SessionError::Inactive), also if its time was over), or could not be loaded; nothing was
    /// noted.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it was noted or it was not.
    // Not an `async fn`: its answer would go through memory, which costs more than the touch.
    #[inline]
    pub fn touch(&self) -> impl Future<Output = Result<(), SessionError>> + Send + '_ {
        Touching { session: self, again: None }
    }

    /// [`Self::touch`], where the session cannot be used.
    #[cold]
    fn touch_again(&self, mut presence: Presence) -> TouchAgain<'_> {
        Box::pin(async move {
            let mut loaded: Option<Stay> = None;
            loop {
                let slot = loaded.as_deref().unwrap_or(&self.slot);
                loaded = self.usable(slot, presence).await?.or(loaded);
                let slot = loaded.as_deref().unwrap_or(&self.slot);
                match slot.touch() {
                    None => return Ok(()),
                    Some(now) => presence = now,
                }
            }
        })
    }

    /// Sees to it that a session which was found in `slot` so can be asked again; answers where it was
    /// loaded, if it was.
    pub(super) async fn usable(
        &self,
        slot: &Arc<Slot>,
        presence: Presence,
    ) -> Result<Option<Stay>, SessionError> {
        let (id, instance) = (self.slot.tip().clone(), self.slot.engine.instance);
        let again = match presence {
            Presence::Live => return Ok(None),
            Presence::Due => {
                let expired = self.house.expire(slot).await;
                return match expired {
                    Ok(()) => Ok(None),
                    Err(source) => Err(SessionError::Store { id, source }),
                };
            }
            Presence::Shut(standing) => {
                return Err(SessionError::Inactive { id, standing, instance });
            }
            Presence::Closing => return Err(SessionError::Closing { id, instance }),
            Presence::Gone(tombstone) => {
                return Err(SessionError::Gone { id, tombstone, instance });
            }
            Presence::Left => self.again().await,
        };
        match again {
            Ok(Again::Live(stay)) => Ok(Some(stay)),
            Ok(Again::Gone(tombstone)) => Err(SessionError::Gone { id, tombstone, instance }),
            Ok(Again::Unknown) => Err(SessionError::Unknown { id, instance }),
            Err(error) => Err(SessionError::from_load(error, id)),
        }
    }
}

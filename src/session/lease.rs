//! Leases: work beside the turns, for which a session is kept.

use std::fmt;
use std::time::Duration;

use super::Session;
use super::error::SessionError;
use crate::clock::Timestamp;
use crate::entry::check_name;
use crate::id::{InstanceId, SessionId};
use crate::rt::Arc;
use crate::slot::idle::Stay;
use crate::slot::{Presence, Slot};
use crate::state::{LeaseAnswer, LeaseInfo, LeaseKey, LeaseOp};

/// A lease that is given back when this is dropped. Made by [`Session::lease`].
///
/// As long as it stands its session does not leave memory, does not expire and is not pruned; idle counts
/// from its end. It may be moved into the task that does the work. It is over when its time is over, whether
/// this is held or not: renew it before, or ask [`is_expired`](Self::is_expired) before you rely on it.
///
/// It belongs to this run of the process: a restart ends it, and work that outlives the process takes a new
/// one. A store that fails does not end it.
#[must_use = "a lease that is not held is given back at once"]
pub struct Lease {
    /// Where it was taken.
    slot: Arc<Slot>,
    /// Its number.
    number: u64,
    /// Whether it has not been given back.
    held: bool,
}

/// What became of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseRenewal {
    /// It stands.
    Renewed {
        /// When it is over, unless it is renewed again.
        until: Timestamp,
    },
    /// There is no such lease: its time was over, it was given back, or its session has ended. Take a new
    /// one.
    Expired,
}

/// Why a lease was not taken or renewed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// It was to last for nothing, or for longer than `leases.max_age`.
    #[error("a lease of {asked:?} was asked for, it must be more than 0 and at most {max:?}")]
    MaxAge {
        /// How long it was to last.
        asked: Duration,
        /// `leases.max_age`.
        max: Duration,
    },
    /// As many leases stand as may.
    #[error("session {id} has {max} leases, which is the limit")]
    TooMany {
        /// Which session.
        id: SessionId,
        /// `leases.max_per_session`.
        max: usize,
        /// Which run of the process says so.
        instance: InstanceId,
    },
    /// The session could not be used. `Content` says that the name or the purpose is empty or too long.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl<E> Session<E> {
    /// Keeps the session for work beside the turns, for `max_age` at most: it stays in memory, does not
    /// expire and is not pruned. `purpose` is for people, who see it in [`leases`](Self::leases).
    ///
    /// A session that has left memory is loaded. Counts as use, and so does its end. Begins, deletes and
    /// whatever else somebody asks for are not held up by it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use session_supervisor::{SessionKey, Supervisor};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let supervisor: Supervisor = Supervisor::builder().start().await?;
    /// # let session = supervisor.open(&SessionKey::builder("irc").chat("#rust").build()?).await?;
    /// let lease = session.lease("index the attachments", Duration::from_secs(600)).await?;
    /// tokio::spawn(async move {
    ///     // The work; in between:
    ///     let _ = lease.renew(Duration::from_secs(600));
    ///     // Dropped with the task, however that ends.
    /// });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`LeaseError`]; no lease was taken.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a lease that nobody gets is given back.
    pub async fn lease(&self, purpose: &str, max_age: Duration) -> Result<Lease, LeaseError> {
        let number = self.slot.engine.lease_number();
        let (slot, _) = self.take_lease((number, None, purpose), max_age).await?;
        Ok(Lease { slot, number, held: true })
    }

    /// As [`lease`](Self::lease), for work that has a name and no place for a guard: it stands until its time
    /// is over or [`release_lease`](Self::release_lease) is called. Taken again under the same name it is
    /// renewed, with the new purpose. Answers until when it stands.
    ///
    /// # Errors
    ///
    /// [`LeaseError`]; no lease was taken or renewed.
    ///
    /// # Cancel safety
    ///
    /// A future that was dropped has either done nothing, or has taken the lease.
    pub async fn lease_named(
        &self,
        name: &str,
        purpose: &str,
        max_age: Duration,
    ) -> Result<Timestamp, LeaseError> {
        check_name(name, &self.slot.engine.config.limits).map_err(|error| self.refused(error))?;
        let number = self.slot.engine.lease_number();
        let lease = (number, Some(name.to_owned()), purpose);
        self.take_lease(lease, max_age).await.map(|(_, until)| until)
    }

    /// Lets the lease `name` last for `max_age` from now on. No use by itself: what counts is its end.
    ///
    /// # Errors
    ///
    /// [`LeaseError::MaxAge`].
    pub fn renew_lease(&self, name: &str, max_age: Duration) -> Result<LeaseRenewal, LeaseError> {
        check_age(&self.slot, max_age)?;
        Ok(renew(&self.slot, &LeaseKey::Name(name.to_owned()), max_age))
    }

    /// Gives the lease `name` back; answers whether it stood.
    pub fn release_lease(&self, name: &str) -> bool {
        release(&self.slot, &LeaseKey::Name(name.to_owned()))
    }

    /// The leases that stand, in the order in which they were taken: what keeps the session, for what, and
    /// since when. Never waits and counts as no use.
    pub fn leases(&self) -> Vec<LeaseInfo> {
        let now = self.slot.engine.now();
        self.slot.lease_holders().iter().flat_map(|slot| slot.leases(now)).collect()
    }

    /// Takes a lease where the session is loaded; answers where that is, and until when it stands.
    async fn take_lease(
        &self,
        (number, name, purpose): (u64, Option<String>, &str),
        max_age: Duration,
    ) -> Result<(Arc<Slot>, Timestamp), LeaseError> {
        let config = &self.slot.engine.config;
        check_name(purpose, &config.limits).map_err(|error| self.refused(error))?;
        check_age(&self.slot, max_age)?;
        let (purpose, max) = (purpose.to_owned(), config.leases.max_per_session);
        let op = LeaseOp::Take { number, name, purpose, max_age, max };
        let (id, instance) = (self.slot.tip().clone(), self.slot.engine.instance);
        let mut loaded: Option<Stay> = None;
        loop {
            let slot = loaded.as_deref().unwrap_or(&self.slot);
            let presence = match slot.lease(op.clone()) {
                LeaseAnswer::Stands(until) => return Ok((slot.clone(), until)),
                LeaseAnswer::TooMany => return Err(LeaseError::TooMany { id, max, instance }),
                LeaseAnswer::Due => Presence::Due,
                LeaseAnswer::Shut(standing) => Presence::Shut(standing),
                LeaseAnswer::Closing => Presence::Closing,
                LeaseAnswer::Gone(tombstone) => Presence::Gone(tombstone),
                LeaseAnswer::Left | LeaseAnswer::Over | LeaseAnswer::Released => Presence::Left,
            };
            loaded = self.usable(slot, presence).await?.or(loaded);
        }
    }
}

impl Lease {
    /// Lets it last for `max_age` from now on. No use of the session by itself: what counts is its end.
    ///
    /// A renewal that comes before its time is over keeps it; one that comes later is told
    /// [`Expired`](LeaseRenewal::Expired), also if nobody has noticed yet.
    ///
    /// # Errors
    ///
    /// [`LeaseError::MaxAge`]; the lease is as it was.
    pub fn renew(&self, max_age: Duration) -> Result<LeaseRenewal, LeaseError> {
        check_age(&self.slot, max_age)?;
        Ok(renew(&self.slot, &LeaseKey::Number(self.number), max_age))
    }

    /// Whether it is over: its time, or its session.
    pub fn is_expired(&self) -> bool {
        self.info().is_none()
    }

    /// What is to be seen of it, if it stands.
    pub fn info(&self) -> Option<LeaseInfo> {
        let now = self.slot.engine.now();
        let holders = self.slot.lease_holders();
        let mut leases = holders.iter().flat_map(|slot| slot.leases(now));
        leases.find(|lease| lease.number == self.number)
    }

    /// Which session it keeps.
    pub fn session(&self) -> &SessionId {
        self.slot.tip()
    }

    /// Its number, by which [`Session::leases`] tells it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Gives it back; answers whether it stood. Dropping it does the same.
    pub fn release(mut self) -> bool {
        self.held = false;
        release(&self.slot, &LeaseKey::Number(self.number))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.held {
            release(&self.slot, &LeaseKey::Number(self.number));
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({} of {})", self.number, self.slot.tip())
    }
}

/// Whether a lease may last for `max_age`.
fn check_age(slot: &Slot, asked: Duration) -> Result<(), LeaseError> {
    let max = slot.engine.config.leases.max_age;
    if asked.is_zero() || asked > max { Err(LeaseError::MaxAge { asked, max }) } else { Ok(()) }
}

/// Lets a lease last longer, wherever it is by now.
fn renew(slot: &Arc<Slot>, lease: &LeaseKey, max_age: Duration) -> LeaseRenewal {
    let asked = |slot: &Arc<Slot>| slot.lease(LeaseOp::Renew { lease: lease.clone(), max_age });
    let answers =
        slot.lease_holders().iter().map(asked).find(|answer| *answer != LeaseAnswer::Over);
    match answers {
        Some(LeaseAnswer::Stands(until)) => LeaseRenewal::Renewed { until },
        Some(_) | None => LeaseRenewal::Expired,
    }
}

/// Gives a lease back, wherever it is by now; answers whether it stood.
fn release(slot: &Arc<Slot>, lease: &LeaseKey) -> bool {
    let asked = |slot: &Arc<Slot>| slot.lease(LeaseOp::Release { lease: lease.clone() });
    slot.lease_holders().iter().map(asked).any(|answer| answer == LeaseAnswer::Released)
}

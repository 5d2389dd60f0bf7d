//! What a slot asks of the supervisor that keeps it.
//!
//! The dependency points upwards only through this trait, and weakly: a session does not keep its
//! supervisor alive.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::Slot;
use super::idle::Stay;
use crate::flight::Flight;
use crate::id::{Incarnation, SessionId, StreamId};
use crate::outcome::TurnOutcome;
use crate::room::{LoadError, Need};
use crate::rt::{Arc, Weak};
use crate::store::{Found, Record, StoreError};
use crate::tombstone::Tombstone;

/// Keeps slots.
pub(crate) trait House: fmt::Debug + Send + Sync {
    /// The slot's session was deleted: its place becomes the tombstone.
    fn bury(&self, slot: &Arc<Slot>, tombstone: Tombstone);

    /// The slot is over and its session is not: its place is freed.
    fn leave(&self, slot: &Arc<Slot>);

    /// Ends the session in `slot` if its time is over and nothing keeps it; afterwards it can be asked
    /// again.
    fn expire<'a>(
        &'a self,
        slot: &'a Arc<Slot>,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

    /// The slot's session stands otherwise than before.
    fn stands(&self, slot: &Arc<Slot>);

    /// The slot's session was given a further id, which leads to the slot from now on.
    fn rotated(&self, slot: &Arc<Slot>, to: &SessionId);

    /// What loaded sessions take has grown.
    fn grown(&self);

    /// Turns are opened in the slot: they are to be looked at.
    fn watch(&self, slot: &Arc<Slot>);

    /// Something ended while the supervisor shuts down.
    fn stirred(&self);

    /// Something happened to turn `turn` of the slot while the supervisor shuts down.
    fn drains(&self, slot: &Slot, turn: StreamId, step: DrainStep);

    /// The tombstone of this life of the session, if it stands in memory.
    fn tombstone(&self, id: &SessionId, incarnation: Incarnation) -> Option<Tombstone>;

    /// The slot that holds this life of the session, if it is loaded.
    fn loaded(&self, id: &SessionId, incarnation: Incarnation) -> Option<Arc<Slot>>;

    /// The slots that held this life of the session, were left, and still have leases.
    fn left(&self, id: &SessionId, incarnation: Incarnation) -> Vec<Arc<Slot>>;

    /// The slot that holds this life of the session, loaded if it is not, and kept so.
    fn reload<'a>(
        &'a self,
        id: &'a SessionId,
        incarnation: Incarnation,
        need: Need,
    ) -> Pin<Box<dyn Future<Output = Result<Reloaded, LoadError>> + Send + 'a>>;

    /// The right to give `id` to a session.
    fn claim<'a>(
        &'a self,
        id: &'a SessionId,
    ) -> Pin<Box<dyn Future<Output = Result<Claim<'a>, StoreError>> + Send + 'a>>;

    /// `record`, or what there is by now if it called a turn open that nobody holds, or its time was over; as
    /// it is, if the store cannot change that.
    fn current(&self, record: Record) -> Pin<Box<dyn Future<Output = Found> + Send + '_>>;

    /// `record`, or what there is by now if it called a turn open that nobody holds.
    fn fresh(
        &self,
        record: Record,
    ) -> Pin<Box<dyn Future<Output = Result<Found, StoreError>> + Send + '_>>;

    /// Deletes this life of the session, which cannot be loaded because its record is damaged; `None` if it is
    /// not so.
    fn delete_damaged<'a>(
        &'a self,
        id: &'a SessionId,
        incarnation: Incarnation,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Tombstone>, StoreError>> + Send + 'a>>;

    /// Links a new session actor to the supervisor's; `None` once that has ended.
    fn parent(&self) -> Option<ractor::ActorCell>;

    /// The actor of `slot` has ended, however.
    fn actor_ended(&self, slot: &Weak<Slot>, tenure: u64);
}

/// Whether an id is free.
#[derive(Debug)]
pub(crate) enum Claim<'a> {
    /// It is, and nobody else can take it while this stands.
    Free(Flight<'a, SessionId>),
    /// A session has it.
    Taken,
    /// It was deleted.
    Gone(Tombstone),
}

/// What happens to a turn while the supervisor shuts down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DrainStep {
    /// It was found open.
    Found,
    /// It was told to end.
    Told,
    /// Its work was dropped.
    Aborted,
    /// It was taken from its holder.
    Fenced,
    /// It is about to be, and its holder is not to hear of it.
    Spared,
    /// It has ended, and the store knows.
    Ended(TurnOutcome),
}

/// What is under an id whose slot was left.
#[derive(Debug)]
pub(crate) enum Reloaded {
    /// The same life, in a slot that can be used.
    Live(Stay),
    /// That life is over.
    Gone(Tombstone),
    /// That life is over, and it is not known since when.
    Unknown,
}

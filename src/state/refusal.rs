//! Why something was not done.

use bytes::Bytes;

use crate::id::Generation;
use crate::limit::{Shortage, TooLong};
use crate::outcome::CancelReason;
use crate::policy::Holder;
use crate::standing::Standing;
use crate::store::StoreError;
use crate::tombstone::Tombstone;

/// Why a begin was not admitted. In order of precedence where several hold.
#[derive(Clone, Debug)]
pub(crate) enum BeginRefusal {
    /// Not this state: load the session and ask again, with the input that comes back.
    Left(Option<Bytes>),
    /// It was deleted.
    Gone(Tombstone),
    /// It is being deleted.
    Closing,
    /// It takes no turns.
    Shut(Standing),
    /// Its time is over: expire it, and ask again with the input that comes back.
    Due(Option<Bytes>),
    /// The supervisor shuts down.
    Draining,
    /// Another turn runs.
    Busy { holder: Holder, queued: usize },
    /// The queue is full.
    QueueFull { holder: Holder, queued: usize },
    /// The conversation would be longer than it may be.
    TooLong(TooLong),
    /// There is no permit for it, and it may not wait, or has waited.
    Short(Shortage),
    /// The session is not as it was when it was found out what to do over.
    Moved,
    /// As many turns stand beside each other as may.
    TooManyBranches { parent: u64 },
    /// The store is to be asked for its name again, and then this with the input that comes back.
    AskAgain(Option<Bytes>),
    /// It was asked for before: the turn that came of that; whether it was the same.
    Repeated { generation: Generation, same: bool },
    /// A running turn took it.
    Steered { by: Generation, seq: u64 },
    /// It waited as long as it was to.
    TimedOut { holder: Option<Holder> },
    /// The session is not as the caller saw it last.
    Conflict { version: u64 },
    /// It was told to end before it had begun. Its input is kept if it was stored.
    Cancelled(CancelReason),
    /// The store failed.
    Store(StoreError),
}

impl BeginRefusal {
    /// The input that comes back with it, to be asked for again.
    pub(crate) fn take_input(&mut self) -> Option<Bytes> {
        if let Self::Left(input) | Self::Due(input) | Self::AskAgain(input) = self {
            input.take()
        } else {
            None
        }
    }
}

/// Why a change was refused.
#[derive(Clone, Debug)]
pub(crate) enum ChangeRefusal {
    /// Not this state: load the session and ask again.
    Left,
    /// It was deleted.
    Gone(Tombstone),
    /// It is being deleted.
    Closing,
    /// It does not take this as it stands.
    Shut(Standing),
    /// Its time is over: expire it, and ask again.
    Due,
    /// A turn runs or waits.
    Busy { holder: Holder },
    /// The conversation would be longer than it may be.
    TooLong(TooLong),
    /// The session is not as it was when it was found out what to take back.
    Moved,
    /// The store failed.
    Store(StoreError),
}

/// Why a delete did not happen.
#[derive(Clone, Debug)]
pub(crate) enum DeleteRefusal {
    /// Not this state: load the session and ask again.
    Left,
    /// It was to be deleted because its time was over, and was restored or pinned since.
    Kept,
    /// The store failed; the session stays closing and the next delete finishes it.
    Store(StoreError),
}

//! The calls that a fault can be for.

use crate::store::{Forget, Write};

/// The calls of a [`Store`](crate::store::Store), writes by their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoreCall {
    /// [`Store::create`](crate::store::Store::create).
    Create,
    /// [`Write::Begin`].
    Begin,
    /// [`Write::Steer`].
    Steer,
    /// [`Write::Partial`].
    Partial,
    /// [`Write::Commit`].
    Commit,
    /// [`Write::Settle`].
    Settle,
    /// [`Write::Append`].
    Append,
    /// [`Write::PutData`].
    PutData,
    /// [`Write::TakeBack`].
    TakeBack,
    /// [`Write::Resume`].
    Resume,
    /// [`Write::PutBack`].
    PutBack,
    /// [`Write::ForgetRevision`].
    ForgetRevision,
    /// [`Write::Label`].
    Label,
    /// [`Write::Standing`].
    Standing,
    /// [`Write::Patch`].
    Patch,
    /// [`Write::Rotate`].
    Rotate,
    /// [`Write::Delete`].
    Delete,
    /// [`Store::bind`](crate::store::Store::bind).
    Bind,
    /// [`Store::look_up`](crate::store::Store::look_up).
    LookUp,
    /// [`Store::life_of`](crate::store::Store::life_of).
    LifeOf,
    /// [`Store::bound_to`](crate::store::Store::bound_to).
    BoundTo,
    /// [`Store::keys_of`](crate::store::Store::keys_of).
    KeysOf,
    /// [`Store::entries`](crate::store::Store::entries).
    Entries,
    /// [`Store::datum`](crate::store::Store::datum).
    Datum,
    /// [`Store::turn`](crate::store::Store::turn).
    Turn,
    /// [`Store::list`](crate::store::Store::list).
    List,
    /// [`Store::count`](crate::store::Store::count).
    Count,
    /// [`Store::lanes`](crate::store::Store::lanes).
    Lanes,
    /// [`Store::due`](crate::store::Store::due).
    Due,
    /// [`Store::partial`](crate::store::Store::partial).
    ReadPartial,
    /// [`Store::request`](crate::store::Store::request).
    Request,
    /// [`Store::branches`](crate::store::Store::branches).
    Branches,
    /// [`Store::revisions`](crate::store::Store::revisions).
    Revisions,
    /// [`Store::resume`](crate::store::Store::resume).
    ReadResume,
    /// [`Store::forget`](crate::store::Store::forget) of [`Forget::Tombstones`].
    ForgetTombstones,
    /// [`Store::forget`](crate::store::Store::forget) of [`Forget::Revisions`].
    ForgetRevisions,
    /// [`Store::forget`](crate::store::Store::forget) of [`Forget::Requests`].
    ForgetRequests,
    /// [`Store::open_run`](crate::store::Store::open_run).
    OpenRun,
    /// [`Store::close_run`](crate::store::Store::close_run).
    CloseRun,
    /// [`Store::forget`](crate::store::Store::forget) of [`Forget::ResumeHandles`].
    ForgetResumeHandles,
    /// [`Store::forget`](crate::store::Store::forget) of [`Forget::RefusedHandles`].
    ForgetRefusedHandles,
    /// [`Store::heal`](crate::store::Store::heal).
    Heal,
    /// [`Store::check`](crate::store::Store::check).
    Check,
    /// [`Store::close`](crate::store::Store::close).
    Close,
}

impl StoreCall {
    /// The call that carries `write`.
    pub const fn of(write: &Write) -> Self {
        match write {
            Write::Begin { .. } => Self::Begin,
            Write::Steer { .. } => Self::Steer,
            Write::Partial { .. } => Self::Partial,
            Write::Commit { .. } => Self::Commit,
            Write::Settle { .. } => Self::Settle,
            Write::Append { .. } => Self::Append,
            Write::PutData { .. } => Self::PutData,
            Write::TakeBack { .. } => Self::TakeBack,
            Write::Resume { .. } => Self::Resume,
            Write::PutBack { .. } => Self::PutBack,
            Write::ForgetRevision { .. } => Self::ForgetRevision,
            Write::Label { .. } => Self::Label,
            Write::Standing { .. } => Self::Standing,
            Write::Patch { .. } => Self::Patch,
            Write::Rotate { .. } => Self::Rotate,
            Write::Delete { .. } => Self::Delete,
        }
    }

    /// The call of [`Store::forget`](crate::store::Store::forget) with `what`.
    pub const fn forgets(what: Forget) -> Self {
        match what {
            Forget::Tombstones(_) => Self::ForgetTombstones,
            Forget::Revisions(_) => Self::ForgetRevisions,
            Forget::Requests(_) => Self::ForgetRequests,
            Forget::ResumeHandles(_) => Self::ForgetResumeHandles,
            Forget::RefusedHandles(_) => Self::ForgetRefusedHandles,
        }
    }

    /// Whether it may change a session.
    pub const fn is_write(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Begin
                | Self::Steer
                | Self::Partial
                | Self::Commit
                | Self::Settle
                | Self::Append
                | Self::PutData
                | Self::TakeBack
                | Self::Resume
                | Self::PutBack
                | Self::ForgetRevision
                | Self::Label
                | Self::Standing
                | Self::Patch
                | Self::Rotate
                | Self::Bind
                | Self::Delete
        )
    }
}

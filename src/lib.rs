//! Supervises conversations: one turn at a time, deletes that stick, nothing lost in a crash.

mod clock;
mod config;
mod engine;
mod entry;
mod flight;
mod id;
mod key;
pub mod metrics;
mod registry;
mod rt;
mod session;
pub mod store;
mod stream;
mod supervisor;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tombstone;
mod turn;

pub use clock::{Clock, Moment, Now, SystemClock, Timestamp};
pub use config::{
    Config, ConfigError, LimitConfig, StreamConfig, TombstoneConfig, TurnConfig, UnknownPolicy,
};
pub use entry::{ChatMessage, Content, Entry, EntryError, Reply, TurnInput};
pub use id::{
    Generation, IdError, IdSource, Incarnation, InstanceId, MAX_SESSION_ID_BYTES, RandomIds,
    SessionId, StreamId,
};
pub use key::{KeyError, MAX_SESSION_KEY_BYTES, SessionKey, SessionKeyBuilder};
pub use metrics::CountsSnapshot;
pub use session::{
    BeginError, DeleteError, DeleteOutcome, Session, SessionError, SessionStatus, TurnStatus,
};
pub use store::{EntryMark, MemoryStore, Record, RecordFilter, RecordPage, Store, StoreError};
#[cfg(feature = "sqlite")]
pub use store::{SqliteOptions, SqliteStore};
pub use stream::{Chunk, Event, Subscription};
pub use supervisor::{
    AuditReport, CreateError, Inspection, Lookup, NewSession, OpenError, Opened, ReadError,
    RecoveryReport, SettledTurn, ShutdownReport, StartError, Supervisor, SupervisorBuilder,
};
pub use tombstone::{GoneReason, Tombstone};
pub use turn::{
    BeginOptions, BusyPolicy, CancelOutcome, CancelReason, CommitError, CommitOutcome,
    DEFAULT_GRACE, DEFAULT_QUEUE_MAX, EmitError, FailedInput, Holder, Parallel, RunError, Running,
    Turn, TurnOutcome, TurnPhase,
};

//! Supervises conversations for chat gateways in front of language models: one turn at a time, deletes
//! that stick, nothing lost in a crash.
//!
//! A gateway bot embeds it and stops writing the part that everybody gets wrong. It is not a model
//! client, not a bot framework and not a server.
//!
//! # A program
//!
//! ```
//! use session_supervisor::{BusyPolicy, ChatMessage, SessionKey, Supervisor};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let supervisor: Supervisor = Supervisor::builder().start().await?;
//!     let key = SessionKey::builder("telegram").chat("42").build()?;
//!     let session = supervisor.open(&key).await?;
//!
//!     let reply = session
//!         .run(&ChatMessage::user("hello"), BusyPolicy::queue(), |turn| async move {
//!             turn.emit("hi")?;
//!             turn.commit(&ChatMessage::assistant("hi")).await.map_err(Box::<dyn std::error::Error + Send + Sync>::from)
//!         })
//!         .await?;
//!     println!("{:?}", reply.await?);
//!     assert_eq!(session.transcript().await?.len(), 2);
//!     Ok(())
//! }
//! ```
//!
//! # The five nouns
//!
//! - [`Supervisor`]: the handle to everything. Open, create, look up, list, delete, shut down.
//! - [`Session`]: the handle to one conversation. Only deletion ends it.
//! - [`Turn`]: the right to produce one reply. Emit chunks, then commit or fail.
//! - [`Subscription`]: a reader of a turn's stream.
//! - [`Store`]: where records live. [`MemoryStore`], `SqliteStore`, or your own.
//!
//! [`SessionKey`] says who talks where and is stable for years; [`SessionId`] says which conversation.
//! A key is bound to one session at a time, and [`Supervisor::reset`] binds it to a fresh one; a session may have
//! several ([`Supervisor::bind`]), and may be given another id ([`Session::rotate`]).
//!
//! # What is guaranteed
//!
//! | when | then | shown in |
//! | --- | --- | --- |
//! | two turns are begun at once | one runs; what happens to the other is [`BusyPolicy`] | `tests/behaviour/turn_policies.rs` |
//! | a turn's code panics, or its future is dropped | the turn ends, the slot is free at once, the input is kept | `tests/behaviour/turn_outcomes.rs` |
//! | a turn ignores that it was told to end | its work is aborted after `turns.abort_after`, and it is fenced after `turns.cancel_grace`; what it commits later is `Stale` | `tests/behaviour/turn_outcomes.rs`, `tests/behaviour/stalls.rs` |
//! | a turn makes no progress | it is reported once, and ended if [`StallAction::Act`] is set; [`WorkPhase`] says how long it may be silent | `tests/behaviour/stalls.rs` |
//! | a session is deleted in the middle of a reply | the delete does not wait, and the reply cannot be written | `tests/behaviour/deletes.rs` |
//! | a deleted id is used again | it answers when and why it went, for `tombstones.keep_for` at least, over a restart too | `tests/behaviour/tombstones.rs` |
//! | the process is killed | what was acknowledged is there; a running turn is settled as interrupted, once, its input kept, and its reply up to the last piece that was stored | `tests/kill_every_step.rs`, `tests/crash.rs`, `tests/behaviour/recovery.rs`, `tests/behaviour/partials.rs` |
//! | the process crashes again and again over one conversation | that one is suspended at the third start, with the reason; the others go on | `tests/runs.rs` |
//! | a shutdown is asked for, also from within a turn | what runs is waited for, told, aborted and fenced, each with its own deadline, and told of; the next start knows that this run ended in good order | `tests/behaviour/shutdown.rs`, `tests/runs.rs` |
//! | a second process opens the file | it is told who has it; a dead owner blocks nobody | `tests/sqlite_store/owner.rs` |
//! | a message is delivered twice | one turn, if it is begun with an idempotency key; the second is told which | `tests/behaviour/requests.rs` |
//! | the last turn is done over | its input is there once, what was taken back is kept as a revision | `tests/behaviour/retry.rs` |
//! | a transcript is cut off | it takes a reason and leaves a revision, which can be listed, restored and dropped; a restore is undone by restoring what it replaced | `tests/behaviour/revisions.rs` |
//! | a store's file was put together from two states | what a session lost comes back, once; what was removed on purpose does not; what says neither is told and left | `tests/behaviour/heal.rs` |
//! | a row is damaged | it is told by name, and keeps nobody else from going on; its key can be reset, its session deleted | `tests/behaviour/heal.rs`, `tests/behaviour/recovery.rs` |
//! | another program writes to a session's rows | it is noticed at the next write that depends on them: the session is loaded anew, and nothing old is written back | `tests/behaviour/heal.rs` |
//! | the store calls a turn open that nobody holds | whoever reads clears it; a turn that may be alive is not touched | `tests/behaviour/stale.rs` |
//! | a conversation's time is over | whoever comes for it finds it archived or gone, and its key leads to a fresh one, whether a pass has come or not; what is at work, pinned or kept by the host is not over | `tests/behaviour/expiry.rs`, `tests/behaviour/prune.rs` |
//! | the wall clock jumps, or the process starts again | no conversation ends by it, and none lasts longer for it, but by as much as the clock went back | `tests/behaviour/expiry.rs` |
//! | a session is suspended, archived or ended | it does not wait; what runs is fenced with its input kept, what waits is told, and nothing is lost | `tests/behaviour/standing.rs` |
//! | several keys lead to one session | they are one: turns by any of them wait for each other | `tests/behaviour/aliases.rs` |
//! | a session is given another id | nothing else changes, not even a turn that runs; every id that it had leads to it | `tests/behaviour/rotation.rs` |
//! | the store fails | everybody who waits is told; the session is loaded again on its next use | `tests/behaviour/store_failures.rs` |
//! | a future of this crate is dropped at any await | nothing is left half done | `tests/behaviour/cancel_every_await.rs` |
//! | an outside service has lost its side of the conversation | its handle is dropped, not stored again, and the turn may retry once without it | `tests/behaviour/resume_handles.rs` |
//! | work beside the turns holds a lease | its session stays in memory and does not expire, up to the age of the lease; idle counts from its end | `tests/behaviour/leases.rs` |
//! | somebody is there and says nothing | a touch counts as use, and is stored before the session leaves memory; nothing that only looks, and nothing that is refused, does | `tests/behaviour/touch.rs` |
//! | more sessions are used than may be loaded | the idlest leave, and none that something keeps; if all are kept, one more exceeds or is refused, as is set | `tests/behaviour/unload.rs` |
//! | a reader is slow or goes away | it is told what it missed; nobody else notices | `tests/behaviour/streams_live.rs` |
//! | a reader comes back | it gets what has come since, with no gap and nothing twice, or is told what it cannot get | `tests/behaviour/streams_resume.rs` |
//!
//! Not guaranteed: that a turn's code stops (a thread that blocks cannot be stopped, only fenced), that
//! a reader sees every chunk, and that a store's file makes sense which another program has written to.
//!
//! # Where several reasons hold
//!
//! A begin is refused for the first of: an input that cannot be stored, denied by the host, gone, being deleted, suspended or archived or ended,
//! shutting down, busy, queue full, another version than expected, a conversation that is too long, no permit.
//!
//! # Features
//!
//! - `sqlite` (default): `SqliteStore`.
//! - `testing`: the tools for testing stores and bots; see `testing`.
//! - `cluster`, `async-trait`: pass through to `ractor`. Its features change its traits for the whole
//!   build, so set the one of the same name here if anything in your build sets it there.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod admission;
mod capacity;
mod clock;
mod config;
mod engine;
mod entry;
mod expiry;
mod flight;
#[cfg(all(fuzzing, feature = "sqlite"))]
pub mod fuzzing;
mod handover;
mod hook;
mod id;
mod key;
mod limit;
pub mod metrics;
mod numbers;
mod outcome;
mod partial;
mod policy;
mod pulse;
mod reading;
mod registry;
mod resume;
mod room;
mod rt;
mod seldom;
mod session;
mod slot;
mod standing;
mod state;
pub mod store;
mod stream;
mod supervisor;
mod tasks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tombstone;
mod tree;
mod turn;

pub use admission::{Admission, AdmissionRequest, Denial};
pub use clock::{Clock, Moment, Now, SystemClock, Timestamp};
pub use config::{
    ClassConfig, Config, ConfigError, ConfigProblem, ConfigWarning, IdleConfig, KeepConfig,
    LeaseConfig, LimitConfig, PartialConfig, PruneConfig, RecoveryConfig, ResumeConfig,
    StallAction, StallConfig, StreamConfig, TombstoneConfig, TurnConfig, UnknownPolicy, WhenFull,
};
pub use entry::{ChatMessage, Content, Entry, EntryError, Reply, TurnInput};
pub use expiry::{Calendar, CalendarError, ExpiryAction, ExpiryRules, Weekday};
pub use hook::{Candidate, HookError, HookFuture, PruneHook};
pub use id::{
    Generation, IdError, IdSource, Incarnation, InstanceId, MAX_SESSION_ID_BYTES, RandomIds,
    SessionId, StreamId,
};
pub use key::{KeyError, MAX_SESSION_KEY_BYTES, SessionKey, SessionKeyBuilder};
pub use limit::{ErrorKind, Full, Limit, LimitStatus, TooLong};
pub use metrics::CountsSnapshot;
pub use outcome::{CancelReason, TurnOutcome};
pub use partial::Partial;
pub use policy::{
    BusyPolicy, DEFAULT_GRACE, DEFAULT_QUEUE_MAX, Holder, Parallel, PartialPolicy, TurnPhase,
};
pub use pulse::WorkPhase;
pub use resume::{KeptHandle, ResumeAdvice, ResumeFailure, ResumeHandle};
pub use room::NoRoom;
pub use session::{
    BeginError, DeleteError, DeleteOutcome, Lease, LeaseError, LeaseRenewal, RestoredRevision,
    RolledBack, RotateError, Session, SessionError, SessionStatus, TakenBack, TurnStatus,
};
pub use standing::{EndReason, ExpiryClock, Previous, RebindReason, Standing, SuspendReason};
pub use state::LeaseInfo;
pub use store::{
    CleanStop, DrainCounts, EntryMark, MemoryStore, Record, RecordFilter, RecordPage, Store,
    StoreError,
};
#[cfg(feature = "sqlite")]
pub use store::{SqliteOptions, SqliteStore};
pub use stream::{Chunk, Cursor, CursorError, Event, RejoinError, Subscription, Unreadable};
pub use supervisor::{
    AuditReport, BindError, CreateError, DrainEnd, DrainedSession, DrainedTurn, ExpiredSession,
    Explanation, Fate, Inspection, KeptBy, LastRun, Lookup, NewSession, OpenError, Opened,
    PruneReport, ReadError, RecoveryReport, SettledTurn, ShutdownOptions, ShutdownReport,
    StartError, Supervisor, SupervisorBuilder, SuspendedSession, Swept,
};
pub use tombstone::{GoneReason, Tombstone};
pub use turn::{
    BeginOptions, CancelOutcome, CommitError, CommitOutcome, EmitError, FailedInput, RunError,
    Running, Turn,
};

//! What is promised, behaviour by behaviour: a file each, all of them one program, which is built once.

#[path = "../support/ending.rs"]
mod ending;
#[path = "../support/listen.rs"]
mod listen;
#[cfg(feature = "sqlite")]
#[path = "../support/stage.rs"]
mod stage;
#[path = "../support/turns.rs"]
mod support;

mod admission;
mod aliases;
#[cfg(feature = "sqlite")]
mod bad_input;
mod branches;
#[cfg(feature = "sqlite")]
mod cancel_every_await;
mod churn;
mod create_and_look_up;
mod create_for;
#[cfg(feature = "sqlite")]
mod deletes;
mod expiry;
#[cfg(feature = "sqlite")]
mod heal;
mod jumps;
mod leases;
mod limits;
mod open_by_key;
#[cfg(feature = "sqlite")]
mod partials;
mod prune;
#[cfg(feature = "sqlite")]
mod recovery;
mod requests;
mod resume_handles;
mod retry;
mod revisions;
mod rotation;
mod shutdown;
#[cfg(feature = "sqlite")]
mod stale;
mod stalls;
mod standing;
mod steer;
mod store_failures;
mod streams_live;
mod streams_resume;
mod streams_woken;
#[cfg(feature = "sqlite")]
mod tombstones;
mod touch;
mod turn_outcomes;
mod turn_policies;
mod unload;

//! What tests of this library, of foreign stores, and of programs on top of it are made of.
//!
//! - [`conformance()`] runs one suite against any [`Store`](crate::store::Store) and says which
//!   promises it breaks; [`differential`] plays a random sequence against it and the memory store.
//! - [`FaultyStore`] stands in front of a store, fails as it is told to, and counts the calls.
//! - [`Gate`] forces the order of concurrent steps, [`drop_at_every_await`] drops a future at each
//!   of its suspensions: nothing has to sleep.
//! - [`ManualClock`], [`PausedClock`], [`CountingIds`] and [`FixedIds`] make time and ids known.
//!
//! Invariants: everything belongs to the value that it was made with, and nothing to the process,
//! so tests that run beside each other do not meet; and nothing waits for real time.
//!
//! The author of a store needs one test:
//!
//! ```
//! use session_supervisor::store::MemoryStore; // yours
//! use session_supervisor::testing::conformance;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! // A new, empty store for each check.
//! let report = conformance(|| async { MemoryStore::new() }).await;
//! report.assert();
//! # });
//! # Ok::<_, std::io::Error>(())
//! ```

mod clock;
mod conformance;
mod drop_at;
mod faulty;
mod gate;
mod history;
mod ids;

pub use clock::{ManualClock, PausedClock};
pub use conformance::{CheckResult, Conformance, conformance, differential};
pub use drop_at::drop_at_every_await;
pub use faulty::{Fault, FaultyStore, StoreCall};
pub use gate::Gate;
pub use history::{Client, Illegal, Model, Operation, Pending, Recorder, Verdict, check};
pub use ids::{CountingIds, FixedIds};

//! What tests of this library, of foreign stores, and of programs on top of it are made of.
//!
//! - [`conformance()`] runs one suite against any [`Store`](crate::store::Store) and says which
//!   promises it breaks, who may write to what among them; [`differential`] plays a random sequence against it
//!   and the memory store.
//! - [`Crowd`] lets eight clients loose on a supervisor that stands on a store, all at once, and checks that
//!   what they were told could have been told to one after another.
//! - [`Recorder`], [`Model`] and [`check`] do the same for whatever is to be used by many at once: a bot, a
//!   store.
//! - [`settled()`] looks at everything once nothing is under way: the last line of a test.
//! - [`FaultyStore`] stands in front of a store, fails as it is told to, and counts the calls.
//! - [`Gate`] forces the order of concurrent steps, [`drop_at_every_await`] drops a future at each
//!   of its suspensions: nothing has to sleep.
//! - [`ManualClock`], [`PausedClock`], [`CountingIds`] and [`FixedIds`] make time and ids known.
//!
//! Invariants: everything belongs to the value that it was made with, and nothing to the process,
//! so tests that run beside each other do not meet; and nothing waits for real time.
//!
//! The author of a store needs one test (`examples/custom_store.rs` is a store with it):
//!
//! ```
//! use session_supervisor::store::MemoryStore; // yours
//! use session_supervisor::testing::{Crowd, conformance};
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! // A new, empty store for each check.
//! let report = conformance(|| async { MemoryStore::new() }).await;
//! report.assert();
//! let report = Crowd::new(1).operations(2_000).run(MemoryStore::new()).await;
//! report.assert();
//! # });
//! # Ok::<_, std::io::Error>(())
//! ```

mod clock;
mod conformance;
mod crowd;
mod dice;
mod drop_at;
mod faulty;
mod gate;
mod history;
mod ids;
mod settled;

pub use clock::{ManualClock, PausedClock};
pub use conformance::{CheckResult, Conformance, conformance, differential, differential_by};
pub use crowd::{Crowd, CrowdReport};
pub use drop_at::drop_at_every_await;
pub use faulty::{Fault, FaultyStore, StoreCall};
pub use gate::Gate;
pub use history::{Client, Illegal, Model, Operation, Pending, Recorder, Verdict, check};
pub use ids::{CountingIds, FixedIds};
pub use settled::{Unsettled, settled};

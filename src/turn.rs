//! One reply.

mod outcome;
mod policy;

pub use outcome::{CancelReason, TurnOutcome};
pub use policy::{BusyPolicy, Holder, Parallel, TurnPhase};

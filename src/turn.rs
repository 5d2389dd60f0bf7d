//! One reply.

mod outcome;

pub use outcome::{CancelReason, TurnOutcome};

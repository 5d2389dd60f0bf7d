//! What the fuzzers in `fuzz/` reach of what is private. Compiled for them alone, which set `--cfg fuzzing`.

pub use crate::store::fuzzing::{Column, Rows, tables};

/// Plays a history from bytes to the pure core of a session and to its model.
///
/// # Panics
///
/// If the core does what the model does not allow.
pub fn play_state(bytes: &[u8]) {
    crate::state::tests::property::play(bytes);
}

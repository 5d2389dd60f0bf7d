//! Supervises conversations.

mod clock;
mod id;
mod key;
mod rt;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tombstone;
mod turn;

pub use clock::*;
pub use id::*;
pub use key::*;
pub use tombstone::*;
pub use turn::*;

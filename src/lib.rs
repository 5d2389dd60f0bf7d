//! Supervises conversations.

mod clock;
mod id;
mod key;
mod rt;
mod session;
pub mod store;
mod tombstone;
mod turn;

pub use clock::*;
pub use id::*;
pub use key::*;
pub use tombstone::*;
pub use turn::*;

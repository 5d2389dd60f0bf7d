//! Models of the library, explored schedule by schedule. What each kind of file is for is said at its top.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "models are tests"
)]

mod explore;
mod history;
mod pairs;
mod schedule;
mod sequential;
mod stage;
mod whole;

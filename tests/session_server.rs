//! Drives `session-server` as its clients do: the built program on a free port, in front of an upstream that does
//! what the test says, through real sockets.
//!
//! Nothing sleeps to wait. The upstream hands each request to the test, which answers it when it likes, so a turn is
//! in flight for as long as the test wants; what has no event of its own is asked for until it is so.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod session_server {
    mod busy;
    mod chats;
    mod contract;
    mod guards;
    mod in_flight;
    mod lifecycle;
    mod passing;
    mod rejoining;
    pub(crate) mod rig;
    mod streaming;
    mod timeouts;
    pub(crate) mod upstream;
}

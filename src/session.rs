//! One conversation.
mod state;

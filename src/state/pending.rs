//! What is decided and not stored: one write, and what follows when the store answers.

use bytes::Bytes;

use super::{LeaveReason, Ports, Settlement};
use crate::clock::Moment;
use crate::id::{Generation, SessionId};
use crate::outcome::TurnOutcome;
use crate::store::{Request, Write};

/// One write, and who waits for it. `write` is `None` once the store has it.
#[derive(Debug)]
pub(crate) enum Pending<P: Ports> {
    /// Opens a turn.
    Begin {
        write: Option<Write>,
        generation: Generation,
        /// The name under which it was asked for. Also of a turn that was ended meanwhile: the store will
        /// know it, and does not yet.
        named: Option<Box<Request>>,
        port: P::Begin,
        stream: P::Stream,
    },
    /// Ends one.
    Settle {
        write: Option<Write>,
        generation: Generation,
        /// `None` for the repair of a turn that an earlier state or process left open.
        stream: Option<P::Stream>,
        outcome: TurnOutcome,
        /// Who ended it and is told; nobody after a drop, a fence or a repair.
        then: Option<(P::Settle, Settlement)>,
    },
    /// Keeps a piece of what a turn has said.
    Partial { write: Option<Write>, generation: Generation, stream: P::Stream },
    /// Adds an input to an open turn.
    Steer {
        write: Option<Write>,
        generation: Generation,
        seq: u64,
        port: P::Begin,
        stream: P::Stream,
        input: Bytes,
    },
    /// Changes the session without a turn.
    Change {
        write: Option<Write>,
        port: P::Change,
        version: u64,
        last_seq: u64,
        /// Whether it counts as use.
        used: bool,
        /// The further id that it gives the session, if it does.
        rotated: Option<Box<SessionId>>,
    },
    /// Says when it was used last.
    Use {
        write: Option<Write>,
        /// Whether it leaves memory then: if it was not used after that, and why.
        then_leave: Option<(Moment, LeaveReason)>,
    },
    /// Deletes it. Who waits stands in [`Phase::Closing`](super::Phase::Closing).
    Delete { write: Option<Write> },
}

impl<P: Ports> Pending<P> {
    /// Its write, which is taken out.
    pub(super) fn take_write(&mut self) -> Option<Write> {
        match self {
            Self::Begin { write, .. }
            | Self::Settle { write, .. }
            | Self::Partial { write, .. }
            | Self::Steer { write, .. }
            | Self::Change { write, .. }
            | Self::Use { write, .. }
            | Self::Delete { write } => write.take(),
        }
    }
}

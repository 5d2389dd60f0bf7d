//! What a gateway that was made by hand keeps of a session.

use tokio_util::sync::CancellationToken;

use crate::world::Said;

/// 200 bytes: the turn that runs, the numbers, the transcript, and what else a gateway knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    generation: u64,
    committed: u64,
    running: Option<Ticket>,
    entries: Vec<Box<[u8]>>,
    _rest: [u64; 17],
}

const _: () = assert!(size_of::<State>() == 200, "the state is as large as everybody's");

/// The right to commit a turn, for callers that do not hold the lock meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    /// Random, so that a turn of an earlier life is not taken for this one.
    stream: [u64; 2],
    /// What a cancel fires.
    cancel: CancellationToken,
}

/// What is said in a turn, encoded.
pub(crate) type Entries = [Box<[u8]>; 2];

/// Encodes an input and a reply.
pub(crate) fn encoded(said: &Said) -> Entries {
    [said.input_bytes().into(), said.reply_bytes().into()]
}

impl State {
    /// Takes the slot, unless a turn runs.
    pub(crate) fn begin(&mut self, input: Option<Box<[u8]>>) -> Option<Ticket> {
        if self.running.is_some() {
            return None;
        }
        self.generation += 1;
        self.entries.extend(input);
        let ticket = Ticket { stream: rand::random(), cancel: CancellationToken::new() };
        self.running = Some(ticket.clone());
        Some(ticket)
    }

    /// Commits the turn of `ticket`, unless it is over.
    pub(crate) fn commit(&mut self, ticket: &Ticket, reply: Option<Box<[u8]>>) -> bool {
        let mine = self.running.as_ref().is_some_and(|it| it.stream == ticket.stream);
        if !mine || ticket.cancel.is_cancelled() {
            return false;
        }
        self.running = None;
        self.entries.extend(reply);
        self.committed += 1;
        true
    }

    /// Both in one step, for an actor, which nobody can come between: no ticket is needed.
    pub(crate) fn turn(&mut self, entries: Option<Entries>) -> u64 {
        self.generation += 1;
        self.entries.extend(entries.into_iter().flatten());
        self.committed += 1;
        self.committed
    }

    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }
}

//! Begins with a name: asking twice begins once.
//!
//! What was begun under a name is known by the store. But it is asked before the lock, and what becomes known
//! to it between its answer and the lock it did not say. So the state remembers the names of the begins that
//! wait and of those that are being stored, and counts the named begins that the store has taken: if there
//! were more since it was asked, it is asked again. A turn that is open keeps its name as well, since it may
//! run for longer than the store remembers.
//!
//! Whoever repeats a begin that waits or is being stored is an echo: it waits for the same, and is told
//! what became of it.

use smallvec::SmallVec;

use super::pending::Pending;
use super::{BeginRefusal, BeginRequest, Effect, Ports, SessionState, Step, Ticket};
use crate::id::Generation;
use crate::store::Request;

/// One who asked for what another one has asked for.
#[derive(Debug)]
pub(super) struct Echo<P: Ports> {
    /// Names it while it waits.
    ticket: Ticket,
    /// What it waits for.
    of: Original,
    /// Whether it asked for the same under the same name.
    same: bool,
    /// Who waits.
    pub(super) port: P::Begin,
}

/// What an echo waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Original {
    /// A begin in the queue.
    Queued(Ticket),
    /// A turn whose begin is being stored.
    Starting(Generation),
}

impl BeginRequest {
    /// Its name.
    fn named(&self) -> Option<&Request> {
        Some(&self.special.as_ref()?.request.as_ref()?.request)
    }
}

impl<P: Ports> SessionState<P> {
    /// Lets a begin pass unless its name was used before, or may have been; then whoever waits is still to be
    /// told.
    pub(super) fn refuse_repeated(
        &mut self,
        request: &mut BeginRequest,
        port: P::Begin,
        step: &mut Step<'_, P>,
    ) -> Option<P::Begin> {
        let Some(asked) = request.special.as_ref().and_then(|special| special.request.as_ref())
        else {
            return Some(port);
        };
        let wanted = &asked.request;
        let open = self
            .turns
            .iter()
            .find(|turn| turn.named.as_ref().is_some_and(|named| named.key == wanted.key));
        let starting = self.starting().find(|(_, named)| named.key == wanted.key);
        let waiting = self
            .queue
            .iter()
            .find(|queued| queued.request.named().is_some_and(|named| named.key == wanted.key));
        let (of, original) = match (open, starting, waiting) {
            (Some(turn), _, _) => {
                let same = turn.named.as_ref().is_some_and(|named| **named == *wanted);
                let refusal = BeginRefusal::Repeated { generation: turn.generation, same };
                step.effects.push(Effect::Refused { port, refusal });
                return None;
            }
            (None, Some((generation, named)), _) => (Original::Starting(generation), Some(named)),
            (None, None, Some(queued)) => {
                (Original::Queued(queued.request.ticket), queued.request.named())
            }
            (None, None, None) if asked.seen == self.requests => return Some(port),
            (None, None, None) => {
                let refusal = BeginRefusal::AskAgain(request.input.take());
                step.effects.push(Effect::Refused { port, refusal });
                return None;
            }
        };
        let same = original == Some(wanted);
        let holder = self.turns.last().map(|turn| self.holder(turn, step.now));
        step.effects.push(Effect::Waiting { holder });
        self.echoes.make().push(Echo { ticket: request.ticket, of, same, port });
        None
    }

    /// The begins with a name that are being stored, also of turns that were ended meanwhile.
    fn starting(&self) -> impl Iterator<Item = (Generation, &Request)> {
        self.outbox.iter().filter_map(|pending| {
            let Pending::Begin { generation, named: Some(named), .. } = pending else {
                return None;
            };
            Some((*generation, &**named))
        })
    }

    /// A begin that waited is being stored.
    pub(super) fn echo_opened(&mut self, ticket: Ticket, generation: Generation) {
        for echo in self.echoes.made().into_iter().flatten() {
            if echo.of == Original::Queued(ticket) {
                echo.of = Original::Starting(generation);
            }
        }
    }

    /// A begin is stored: whoever repeated it is told so.
    pub(super) fn answer_echoes(&mut self, generation: Generation, step: &mut Step<'_, P>) {
        let of = Original::Starting(generation);
        let Some(echoes) = self.echoes.made() else { return };
        for echo in echoes.extract_if(.., |echo| echo.of == of) {
            let refusal = BeginRefusal::Repeated { generation, same: echo.same };
            step.effects.push(Effect::Refused { port: echo.port, refusal });
        }
    }

    /// A begin that waited left the queue without a turn: so do those who repeated it.
    pub(super) fn refuse_echoes(
        &mut self,
        ticket: Ticket,
        refusal: &BeginRefusal,
        step: &mut Step<'_, P>,
    ) {
        let of = Original::Queued(ticket);
        let Some(echoes) = self.echoes.made() else { return };
        for echo in echoes.extract_if(.., |echo| echo.of == of) {
            step.effects.push(Effect::Refused { port: echo.port, refusal: refusal.clone() });
        }
    }

    /// Nothing waits any more, and nothing will be stored.
    pub(super) fn refuse_all_echoes(&mut self, refusal: &BeginRefusal, step: &mut Step<'_, P>) {
        for echo in self.echoes.take() {
            step.effects.push(Effect::Refused { port: echo.port, refusal: refusal.clone() });
        }
    }

    /// Whether what an echo waits for is there.
    pub(super) fn has_original(&self, echo: &Echo<P>) -> bool {
        match echo.of {
            Original::Queued(ticket) => {
                self.queue.iter().any(|queued| queued.request.ticket == ticket)
            }
            Original::Starting(wanted) => self.outbox.iter().any(|pending| {
                matches!(pending, Pending::Begin { generation, .. } if *generation == wanted)
            }),
        }
    }

    /// An echo does not wait any more.
    pub(super) fn leave_echo(&mut self, ticket: Ticket, step: &mut Step<'_, P>) {
        let holder = self.turns.last().map(|turn| self.holder(turn, step.now));
        let Some(echoes) = self.echoes.made() else { return };
        for echo in echoes.extract_if(.., |echo| echo.ticket == ticket) {
            let refusal = BeginRefusal::TimedOut { holder };
            step.effects.push(Effect::Refused { port: echo.port, refusal });
        }
    }

    /// Whether each name is the name of one begin at most that waits, is being stored, or runs.
    pub(super) fn names_once(&self) -> bool {
        let open = self.turns.iter().filter_map(|turn| turn.named.as_deref());
        let starting = self.starting().map(|(_, named)| named);
        let waiting = self.queue.iter().filter_map(|queued| queued.request.named());
        let mut seen: SmallVec<[&str; 4]> = SmallVec::new();
        open.chain(starting).chain(waiting).all(|named| {
            let first = !seen.contains(&named.key.as_str());
            seen.push(&named.key);
            first
        })
    }
}

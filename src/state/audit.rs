//! What must hold of a session between any two inputs.

use super::{Pending, Phase, Ports, SessionState};

impl<P: Ports> SessionState<P> {
    /// Every rule that is broken, a line each; empty is well.
    pub(crate) fn audit(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut rule = |holds: bool, text: &str| {
            if !holds {
                broken.push(text.to_owned());
            }
        };
        let exclusive = self.turns.iter().filter(|turn| turn.parallel.is_none()).count();
        rule(exclusive <= 1, "two exclusive turns are open");
        rule(self.queue.is_empty() || !self.turns.is_empty(), "a queue has no turn to drain it");
        rule(
            self.turns.iter().all(|turn| turn.generation <= self.generation),
            "an open turn is newer than the newest",
        );
        rule(
            self.turns.iter().all(|turn| self.fenced.iter().all(|(it, _)| *it != turn.generation)),
            "a turn is both open and fenced",
        );
        rule(self.watched || self.turns.is_empty(), "a turn is open and nobody looks at it");
        rule(
            self.turns.iter().filter_map(|it| it.stopping).all(|it| it.abort_at <= it.fence_at),
            "a turn is to be aborted after its fence",
        );
        let starting = |wanted| {
            let begins = |pending: &Pending<P>| matches!(pending, Pending::Begin { generation, .. } if *generation == wanted);
            self.outbox.iter().any(begins)
        };
        rule(
            self.turns.iter().all(|turn| turn.opened != starting(turn.generation)),
            "an open turn is neither stored nor about to be",
        );
        rule(
            self.echoes.iter().all(|echo| self.has_original(echo)),
            "somebody repeats a begin that neither waits nor is being stored",
        );
        let deletes = self.outbox.iter().filter(|it| matches!(it, Pending::Delete { .. })).count();
        let last = self.outbox.back().is_none_or(|it| matches!(it, Pending::Delete { .. }));
        match &self.phase {
            Phase::Live => rule(deletes == 0, "a live session has a delete to write"),
            Phase::Closing(closing) => {
                let expected = usize::from(closing.failed.is_none());
                rule(deletes == expected, "a closing session has not one delete to write");
                rule(last, "something is written behind a delete");
                rule(
                    closing.failed.is_none() || closing.waiting.is_empty(),
                    "somebody waits for a delete that has failed",
                );
            }
            Phase::Gone(_) | Phase::Left => {
                rule(self.outbox.is_empty(), "a session that is over owes the store a write");
            }
        }
        if !matches!(self.phase, Phase::Live) {
            rule(self.turns.is_empty(), "a session that is not live has an open turn");
            rule(self.queue.is_empty(), "a session that is not live has a queue");
        }
        rule(!self.writing || !self.outbox.is_empty(), "the store writes what nobody asked for");
        broken
    }
}

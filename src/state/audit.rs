//! What must hold of a session between any two inputs.

use super::{Pending, Phase, Ports, Queued, SessionState};
use crate::policy::BusyPolicy;

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
            Phase::Live | Phase::Shut(_) => {
                rule(deletes == 0, "a live session has a delete to write");
            }
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
        broken.extend(self.audit_what_is_on_its_way().chain(self.audit_leases()));
        broken
    }

    /// Those of the rules that are about names, numbers, pieces and places.
    fn audit_what_is_on_its_way(&self) -> impl Iterator<Item = String> {
        let has_numbers =
            self.tip < self.next_seq && self.turns.iter().all(|it| it.last_seq < self.next_seq);
        let drained = !self.turns.is_empty() || self.asking.is_some();
        let drained = drained || self.queue.is_empty();
        let rules = [
            (drained, "a queue has neither a turn nor a permit to drain it"),
            (self.asks_rightly(), "a permit is asked for that nobody could use"),
            (self.names_once(), "two begins have one name"),
            (self.one_at_a_time(), "a turn has two pieces or two takings on their way"),
            (self.in_order(), "something of a turn is written behind its end"),
            (has_numbers, "an entry has a number that was not given"),
            (self.has_room(), "more turns stand beside each other than may"),
        ];
        rules.into_iter().filter(|(holds, _)| !holds).map(|(_, text)| text.to_owned())
    }

    /// Whether a permit is asked for only for the first in a queue, and one for whom the slot is free.
    fn asks_rightly(&self) -> bool {
        let parallel = |policy| matches!(policy, BusyPolicy::Parallel(_));
        let usable = |first: &Queued<P>| self.turns.is_empty() || parallel(first.request.policy);
        self.asking.is_none() || self.queue.front().is_some_and(usable)
    }

    /// Whether at most one piece and one taking of each turn are on their way.
    fn one_at_a_time(&self) -> bool {
        let count = |is_one: &dyn Fn(&Pending<P>) -> bool| {
            self.outbox.iter().filter(|pending| is_one(pending)).count()
        };
        self.turns.iter().map(|turn| turn.generation).all(|turn| {
            let piece = |it: &Pending<P>| matches!(it, Pending::Partial { generation, .. } if *generation == turn);
            let taking = |it: &Pending<P>| matches!(it, Pending::Steer { generation, .. } if *generation == turn);
            count(&piece) <= 1 && count(&taking) <= 1
        })
    }

    /// Whether the end of each turn is the last that is written of it.
    fn in_order(&self) -> bool {
        let mut over = Vec::new();
        self.outbox.iter().all(|pending| match pending {
            Pending::Settle { generation, stream: Some(_), .. } => {
                over.push(*generation);
                !self.is_open(*generation)
            }
            Pending::Begin { generation, .. }
            | Pending::Partial { generation, .. }
            | Pending::Steer { generation, .. } => !over.contains(generation),
            Pending::Settle { .. }
            | Pending::Change { .. }
            | Pending::Use { .. }
            | Pending::Delete { .. } => true,
        })
    }
}

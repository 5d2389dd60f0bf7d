//! What the model holds against each effect.

use std::collections::BTreeMap;

use super::super::super::{BRANCH, BusyPolicy, Generation, InputFate, Phase, Record, Test};
use super::{Begin, Model, Seen, Turn};
use crate::clock::Moment;
use crate::outcome::{CancelReason, TurnOutcome};
use crate::pulse::Pulse;
use crate::state::{BeginRefusal, ChangeRefusal, Changed, Deletion, Effect, LeaveReason};
use crate::store::{BranchRecord, EntryMark, StoredEntry};

impl Model {
    /// Holds an effect against what may be.
    pub(in super::super) fn effect(&mut self, effect: Effect<Test>) {
        match effect {
            Effect::Opened { generation, .. } => self.opened(generation),
            Effect::Begun { port, generation, stream } => {
                assert_eq!(stream, port);
                self.given(generation, port);
            }
            Effect::Refused { port, refusal } => self.refused(port, &refusal),
            Effect::Settled { port, answer } => {
                self.answered(port);
                let expected = self.settles.remove(&port).expect("somebody settles");
                match answer {
                    Ok(answer) => {
                        assert_eq!(answer, expected);
                        self.acknowledge(port);
                    }
                    Err(_) => assert!(self.failing),
                }
            }
            Effect::Rotated { to } => {
                // In order of arrival, and before whoever gave it is told.
                assert_eq!(self.rotations.pop_first().map(|(_, given)| given), Some(*to));
            }
            Effect::Changed { port, answer } => self.changed(port, &answer),
            Effect::Deleted { port, answer } => {
                self.answered(port);
                self.deletion(answer.ok());
            }
            Effect::Tell { stream, reason } => self.tell(stream, reason),
            Effect::Abort { stream, reason } => self.abort(stream, reason),
            Effect::Stalled { stream, stall } => self.stalled(stream, stall),
            Effect::Watch => self.asks_for_looks(true),
            Effect::Unwatch => self.asks_for_looks(false),
            Effect::Fence { stream, reason } => self.fence(stream, reason),
            Effect::End { stream, outcome } => self.ended(stream, outcome),
            Effect::Stands { standing, .. } => self.stands_now(standing),
            Effect::Bury { .. } => assert!(self.over),
            Effect::Leave { reason } => {
                assert!(!self.over);
                match reason {
                    LeaveReason::StoreFailed => assert!(self.failing),
                    LeaveReason::Idle | LeaveReason::Cap | LeaveReason::Outdated => self.settled(),
                }
            }
            Effect::Steered { port, generation, seq, stream, input } => {
                assert_eq!(self.streams.get(&generation), Some(&stream));
                self.steered(port, (generation, seq), &input);
            }
            Effect::Steerable { stream } => {
                self.offered.insert(stream);
            }
            Effect::Leased { answer } => self.leases.answered(answer),
            Effect::LeaseTaken { lease } => self.leases.taken(&lease),
            Effect::LeaseEnded { lease, end } => self.leases.ended(&lease, end),
            Effect::Waiting { .. } | Effect::Cancelled { .. } | Effect::Alarm { .. } => {}
        }
    }

    /// A change was made, or was not.
    fn changed(&mut self, port: u32, answer: &Result<Changed, ChangeRefusal>) {
        self.answered(port);
        if answer.is_err() {
            self.rotations.remove(&port);
        }
        match answer {
            Ok(changed) => {
                assert!(!self.rotations.contains_key(&port));
                assert_eq!(Some(*changed), self.changes.remove(&port));
                self.acknowledge(port);
            }
            // It did not count on it, or it has done nothing.
            Err(ChangeRefusal::Busy { .. }) => assert!(!self.open.is_empty()),
            Err(ChangeRefusal::Moved) => {
                assert!(!self.changes.contains_key(&port), "nothing came between");
            }
            Err(ChangeRefusal::Shut(_)) => {
                assert!(!self.is_active() && !self.changes.contains_key(&port));
            }
            Err(_) => assert!(self.over || self.failing),
        }
    }

    /// A turn whose begin is stored is given out, or ended if it was told to end meanwhile.
    pub(super) fn hands_over(&mut self, begins: Option<Generation>, now: Moment) {
        let given_to_nobody =
            self.open.iter().find(|turn| Some(turn.generation) == begins && turn.told.is_some());
        if let Some(turn) = given_to_nobody {
            self.end(turn.generation, TurnOutcome::Abandoned, InputFate::Keep);
        }
        for turn in self.open.iter_mut().filter(|it| Some(it.generation) == begins) {
            turn.given = true;
            turn.seen.push(Seen { at: now, pulse: Pulse::default() });
        }
    }

    /// A turn is handed to who began it.
    fn given(&mut self, generation: Generation, port: u32) {
        self.answered(port);
        assert_eq!(self.starting.remove(&generation), Some(port));
        let turn = self.open.iter().find(|turn| turn.generation == generation);
        let turn = turn.expect("a turn that is given out runs");
        assert_eq!(turn.told, None);
        if let Some(seq) = turn.input {
            self.acknowledged.insert(seq, self.lines[&seq].0.clone());
        }
    }

    /// What a delete did, if it did something.
    fn deletion(&mut self, answer: Option<Deletion>) {
        match answer {
            Some(Deletion::Deleted(_)) => {
                assert!(!std::mem::replace(&mut self.deleted, true), "deleted twice");
            }
            Some(Deletion::AlreadyGone(_)) => assert!(self.deleted),
            None => assert!(!self.deleted),
        }
    }

    /// A stream gets its terminal event.
    fn ended(&mut self, stream: u32, outcome: TurnOutcome) {
        assert!(self.endless.remove(&stream), "ended twice, or never opened");
        let expected = self.outcomes.remove(&stream).expect("its turn is over");
        let interrupted = self.failing && outcome == TurnOutcome::Interrupted;
        assert!(interrupted || outcome == expected, "{outcome} and not {expected}");
    }

    /// Whoever waited longest has the slot, unless the newcomer waits for nobody.
    fn opened(&mut self, generation: Generation) {
        let at_once = |(begin, _): &mut (Begin, _)| {
            self.queue.is_empty() && (is_parallel(begin) || self.open.is_empty())
        };
        let begin = match self.newcomer.take_if(at_once) {
            Some((begin, verdict)) => {
                assert!(verdict.is_none_or(|verdict| verdict.contains(&"opened")));
                begin
            }
            None => self.queue.remove(0),
        };
        assert_eq!(generation, self.newest.next());
        assert!(is_parallel(&begin) || self.open.is_empty(), "two exclusive turns overlap");
        assert!(begin.version.is_none_or(|version| version == self.version));
        self.newest = generation;
        self.starting.insert(generation, begin.port);
        self.endless.insert(begin.port);
        self.streams.insert(generation, begin.port);
        if let Some(redo) = begin.redo {
            self.take_back(redo);
        }
        self.stand(generation, &begin);
        if let Some(name) = &begin.name {
            self.names.insert(begin.port, name.clone());
        }
        let (branches, name) = (begin.policy == BRANCH, begin.name);
        let input = begin.input.map(|input| {
            self.lines.insert(self.next_seq, (input, EntryMark::Kept));
            self.owners.insert(self.next_seq, generation);
            self.next_seq += 1;
            self.next_seq - 1
        });
        let (stream, base) = (begin.port, self.commits.len());
        let (told, aborted, given, seen, stuck) = (None, false, false, Vec::new(), Vec::new());
        let took = Vec::new();
        self.open.push(Turn {
            generation,
            stream,
            input,
            took,
            branches,
            name,
            base,
            told,
            aborted,
            given,
            seen,
            stuck,
        });
    }

    fn refused(&mut self, port: u32, refusal: &BeginRefusal) {
        self.answered(port);
        self.became.insert(port, kind(refusal));
        if matches!(refusal, BeginRefusal::TooManyBranches { .. }) {
            assert!(self.stands_taken_back() || self.is_full(), "there is room for it");
        }
        if self.echoed(port, refusal) {
            return;
        }
        if let Some((begin, verdict)) = self.newcomer.take_if(|(begin, _)| begin.port == port) {
            let told = kind(refusal);
            assert!(verdict.is_none_or(|verdict| verdict.contains(&told)), "{refusal:?}");
            if let BeginRefusal::Repeated { generation, same } = refusal {
                assert!(self.is_repeated(&begin, *generation, *same), "{begin:?}: {refusal:?}");
            }
            if let Some(redo) = begin.redo.filter(|_| told == "moved") {
                assert!(!self.takes_back(redo), "nothing came between");
            }
        } else if let Some(taken) = self.steers.remove(&port) {
            assert!(self.failing, "a turn took it: {taken:?}");
        } else if let Some(place) = self.queue.iter().position(|begin| begin.port == port) {
            let begin = self.queue.remove(place);
            if let BeginRefusal::Conflict { version } = refusal {
                assert!(*version == self.version && begin.version != Some(self.version));
            }
        } else {
            // Its turn was opened, and ended before anybody had it.
            let starting = self.starting.iter().find(|(_, it)| **it == port);
            let generation = *starting.expect("it was asked for").0;
            self.starting.remove(&generation);
            let open = self.open.iter().any(|turn| turn.generation == generation);
            assert!(self.failing || !open, "its turn runs on");
        }
    }

    fn fence(&mut self, stream: u32, reason: CancelReason) {
        let turn = self.open.iter().find(|turn| turn.stream == stream).expect("it runs");
        let (generation, told) = (turn.generation, turn.told);
        match reason {
            CancelReason::Deleted | CancelReason::StoreFailed => {
                self.end(generation, TurnOutcome::Interrupted, InputFate::Keep);
                if reason == CancelReason::Deleted {
                    self.outcomes.insert(stream, TurnOutcome::Cancelled(reason));
                }
            }
            CancelReason::Suspended | CancelReason::Archived | CancelReason::Ended => {
                self.shut_out(stream, reason);
            }
            CancelReason::Stopped
            | CancelReason::Preempted
            | CancelReason::Reset
            | CancelReason::Shutdown
            | CancelReason::Stalled => {
                assert_eq!(told, Some(reason), "fenced and never told");
                self.end(generation, TurnOutcome::Interrupted, InputFate::Keep);
            }
        }
        self.fenced.insert(generation, reason);
    }

    /// A port is answered, and was not before.
    pub(super) fn answered(&mut self, port: u32) {
        assert!(self.owed.remove(&port), "port {port} is answered twice");
    }

    fn acknowledge(&mut self, port: u32) {
        let written = self.written.remove(&port).into_iter().flatten();
        // It may have been taken back since.
        let stays = written.filter(|(seq, _)| self.lines.contains_key(seq));
        self.acknowledged.extend(stays);
    }

    /// After the effects of an input.
    ///
    /// `asks` says whether the first in the queue waits for a permit.
    pub(in super::super) fn after(&mut self, phase: &Phase<Test>, asks: bool) {
        let waits = |(begin, _): &(Begin, _)| !self.echoes.contains_key(&begin.port);
        if let Some((begin, verdict)) = self.newcomer.take().filter(waits) {
            assert_eq!(verdict, None, "it was not to wait");
            self.queue.push(begin);
        }
        self.echoes_are_right();
        if matches!(phase, Phase::Live) {
            self.offers_are_made();
        }
        self.watches();
        self.over = !matches!(phase, Phase::Live | Phase::Shut(_));
        let shut = self.over || !self.is_active();
        assert!(!shut || (self.open.is_empty() && self.queue.is_empty()));
        // The slot is free for the first, so it has a permit or waits for one.
        let next = self.queue.first().filter(|it| self.open.is_empty() || is_parallel(it));
        assert_eq!(next.is_some(), asks, "nobody drains the queue, or a permit is for nobody");
    }

    /// The record and the entries of a live session at rest are what was written, in that order.
    pub(in super::super) fn compare(
        &self,
        record: &Record,
        entries: &[StoredEntry],
        branches: &[BranchRecord],
    ) {
        let found: BTreeMap<_, _> =
            entries.iter().map(|entry| (entry.seq, (entry.payload.clone(), entry.mark))).collect();
        assert_eq!(found, self.lines);
        assert_eq!(
            (record.generation, record.version, record.next_seq),
            (self.newest, self.version, self.next_seq)
        );
        assert!(record.open.is_empty());
        self.follows(entries, branches);
        self.keeps_what_was_acknowledged();
    }

    pub(super) fn keeps_what_was_acknowledged(&self) {
        for (seq, payload) in &self.acknowledged {
            let kept = self.lines.get(seq).map(|(payload, _)| payload);
            assert_eq!(kept, Some(payload), "#{seq} was acknowledged and is not there");
        }
    }
}

/// Whether a begin waits for nobody but those who wait.
fn is_parallel(begin: &Begin) -> bool {
    matches!(begin.policy, BusyPolicy::Parallel(_))
}

/// The name of a refusal in [`Model::verdict`].
pub(super) fn kind(refusal: &BeginRefusal) -> &'static str {
    match refusal {
        BeginRefusal::Left(_) | BeginRefusal::Gone(_) | BeginRefusal::Closing => "over",
        BeginRefusal::Shut(_) => "shut",
        BeginRefusal::Due(_) => "due",
        BeginRefusal::Draining => "draining",
        BeginRefusal::Short(_) => "short",
        BeginRefusal::TooLong(_) => "too long",
        BeginRefusal::Busy { .. } => "busy",
        BeginRefusal::QueueFull { .. } => "full",
        BeginRefusal::Conflict { .. } => "conflict",
        BeginRefusal::TimedOut { .. } => "timed out",
        BeginRefusal::Moved => "moved",
        BeginRefusal::TooManyBranches { .. } => "branches",
        BeginRefusal::AskAgain(_) => "ask again",
        BeginRefusal::Repeated { .. } => "repeated",
        BeginRefusal::Steered { .. } => "steered",
        BeginRefusal::Cancelled(_) => "cancelled",
        BeginRefusal::Store(_) => "store",
    }
}

//! What a begin may be told, and what the store's answers mean.

use super::super::super::gate::is_free;
use super::super::super::{BRANCH, BeginRequest, BusyPolicy, Generation, Input, Test, Write};
use super::{Begin, Model, Verdict};
use crate::outcome::TurnOutcome;
use crate::store::{FenceReason, StoreError};

impl Model {
    /// A step begins.
    pub(super) fn step_begins(&mut self) {
        self.before = (self.first_to_steer(), self.takers());
        self.offered.clear();
        self.became.clear();
        (self.begun, self.leaving, self.failing) = (None, None, false);
    }

    /// A write goes to the store.
    pub(in super::super) fn writes(&self, write: &Write) {
        if let Write::Commit { generation, .. } = write {
            assert!(self.commits.contains(generation), "a commit that was refused is written");
            assert!(!self.fenced.contains_key(generation), "a fenced turn commits");
        }
        if let Write::Settle { generation, .. } = write {
            // One that is to be cleared may be begun behind that.
            let open = self.open.iter().any(|turn| turn.generation == *generation && turn.given);
            assert!(!open, "a turn that runs is settled");
        }
    }

    /// Takes in what the store answers, if it does; answers which turn's begin it has kept.
    pub(super) fn stored(
        &mut self,
        input: &Input<Test>,
        written: Option<&Write>,
    ) -> Option<Generation> {
        let (Input::Stored { result }, Some(written)) = (input, written) else { return None };
        match (written, result) {
            (Write::Partial { generation, piece }, result) => {
                let lost = matches!(result, Err(StoreError::Unavailable { .. }));
                let kept = if lost { Some(false) } else { result.is_ok().then_some(true) };
                self.piece(*generation, piece, kept);
            }
            (Write::Begin { marker, extra, .. }, Ok(())) => {
                self.begun = Some(marker.generation);
                self.named += u64::from(extra.as_ref().is_some_and(|it| it.request.is_some()));
                // Whoever repeats it is told before its turn is given to anybody.
                return self.begun;
            }
            (Write::Commit { generation, .. } | Write::Settle { generation, .. }, result) => {
                let over = |it: &StoreError| {
                    matches!(it, StoreError::Fenced { reason: FenceReason::TurnNotOpen })
                };
                let cleared = self.clears(written) && result.as_ref().is_err_and(over);
                self.failing = result.is_err() && !cleared;
                self.endings.remove(generation);
            }
            (_, result) => self.failing = result.is_err(),
        }
        None
    }

    /// Whether a write clears a turn that did not run when that was asked for.
    pub(in super::super) fn clears(&self, write: &Write) -> bool {
        let Write::Settle { generation, outcome: TurnOutcome::Interrupted, .. } = write else {
            return false;
        };
        self.clearing.contains(generation)
    }

    /// What one is told for whom the slot is free, unless there is no permit for it: then it waits.
    fn asks(admitted: Verdict) -> Option<Verdict> {
        (is_free() || !admitted.contains(&"opened")).then_some(admitted)
    }

    /// A begin comes.
    pub(super) fn asked(&mut self, request: &BeginRequest, port: u32) {
        self.owed.insert(port);
        let begin = Begin::of(request, port);
        let verdict = self.verdict(&begin, request.draining);
        self.newcomer = Some((begin, verdict));
    }

    /// What a begin may be told at once; nothing if it has to wait.
    fn verdict(&mut self, begin: &Begin, draining: bool) -> Option<Verdict> {
        let conflict = begin.version.is_some_and(|version| version != self.version);
        let admitted: Verdict = match (conflict, begin.policy == BRANCH, begin.redo) {
            (true, _, _) => &["conflict"],
            (false, false, None) => &["opened"],
            (false, true, None) => &["opened", "branches"],
            (false, false, Some(_)) => &["opened", "moved"],
            (false, true, Some(_)) => &["opened", "branches", "moved"],
        };
        let max = match begin.policy {
            _ if self.over => return Some(&["over"]),
            _ if !self.is_active() => return Some(&["shut"]),
            _ if draining => return Some(&["draining"]),
            _ if begin.name.is_some() && self.repeats(begin) => return Some(&["repeated"]),
            _ if self.asks_late(begin) => return Some(&["ask again"]),
            _ if self.open.is_empty() && self.queue.is_empty() => return Self::asks(admitted),
            // Somebody else waits for a permit.
            _ if begin.redo.is_some() && self.open.is_empty() => return Some(&["short"]),
            BusyPolicy::Reject if self.open.is_empty() => return Some(&["short"]),
            _ if begin.redo.is_some() => return Some(&["busy"]),
            BusyPolicy::Parallel(_) if self.queue.is_empty() => return Self::asks(admitted),
            BusyPolicy::Reject => return Some(&["busy"]),
            BusyPolicy::Queue { max, .. }
            | BusyPolicy::Steer { max, .. }
            | BusyPolicy::Interrupt { max, .. } => max,
            BusyPolicy::Parallel(_) => 16,
        };
        let parallel = |it: &Begin| matches!(it.policy, BusyPolicy::Parallel(_));
        // The first does not wait for the slot if that is free for it.
        let next = self.queue.first().filter(|it| self.open.is_empty() || parallel(it));
        let waiting = self.queue.len() - usize::from(next.is_some());
        let told: Verdict = if self.open.is_empty() { &["short"] } else { &["full"] };
        let full: Option<Verdict> = (waiting >= max).then_some(told);
        full.or_else(|| conflict.then_some(&["conflict"]))
    }
}

//! What a begin may be told, and what the store's answers mean.

use super::super::super::{BRANCH, BusyPolicy, Generation, Input, Test, Write};
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

    /// What a begin may be told at once; nothing if it has to wait.
    pub(super) fn verdict(&mut self, begin: &Begin, draining: bool) -> Option<Verdict> {
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
            _ if self.open.is_empty() => return Some(admitted),
            _ if begin.redo.is_some() => return Some(&["busy"]),
            BusyPolicy::Parallel(_) if self.queue.is_empty() => return Some(admitted),
            BusyPolicy::Reject => return Some(&["busy"]),
            BusyPolicy::Queue { max, .. }
            | BusyPolicy::Steer { max, .. }
            | BusyPolicy::Interrupt { max, .. } => max,
            BusyPolicy::Parallel(_) => 16,
        };
        let full: Option<Verdict> = (self.queue.len() >= max).then_some(&["full"]);
        full.or_else(|| conflict.then_some(&["conflict"]))
    }
}

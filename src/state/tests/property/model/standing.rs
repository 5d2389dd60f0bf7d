//! What a session that takes no turns may do.

use super::Model;
use crate::outcome::{CancelReason, TurnOutcome};
use crate::standing::Standing;
use crate::state::{Changed, Verb};
use crate::store::InputFate;

/// How a session stands, without why and since when.
pub(super) type Stand = &'static str;

impl Model {
    /// Somebody wants it to stand otherwise.
    pub(super) fn asks_to_stand(&mut self, verb: Verb, port: u32) {
        let to = match (verb, self.stand) {
            (Verb::Expire, now) => now, // No clock counts here.
            (Verb::Suspend(_), "active" | "suspended") => "suspended",
            (Verb::Resume, "active" | "suspended") | (Verb::Restore, "active" | "archived") => {
                "active"
            }
            (Verb::Archive, "active" | "suspended" | "archived") => "archived",
            (Verb::End, _) => "ended",
            _ => return,
        };
        self.stand = to;
        let changed = Changed { version: self.version, last_seq: self.next_seq - 1 };
        self.changes.insert(port, changed);
    }

    /// It stands otherwise.
    pub(super) fn stands_now(&self, standing: Standing) {
        assert_eq!(standing.as_str(), self.stand);
    }

    /// A turn is fenced because the session takes no turns any more.
    pub(super) fn shut_out(&mut self, stream: u32, reason: CancelReason) {
        let turn = self.open.iter().find(|turn| turn.stream == stream).expect("it runs");
        assert_eq!(reason.as_str(), self.stand);
        self.end(turn.generation, TurnOutcome::Cancelled(reason), InputFate::Keep);
        // The reason counts that has ended it, whatever it was told before.
        self.outcomes.insert(stream, TurnOutcome::Cancelled(reason));
    }

    /// Whether keys may lead to it.
    pub(super) fn is_routable(&self) -> bool {
        matches!(self.stand, "active" | "suspended")
    }

    /// Whether it takes turns.
    pub(super) fn is_active(&self) -> bool {
        self.stand == "active"
    }
}

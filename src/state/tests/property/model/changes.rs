//! What changes without a turn do.

use super::Model;
use crate::state::{Change, Changed};

impl Model {
    /// Somebody changes something.
    pub(super) fn change(&mut self, change: &Change, port: u32) {
        if self.over {
            return;
        }
        match change {
            Change::Stand(verb) => return self.asks_to_stand(*verb, port),
            Change::Label(_) | Change::Patch(_) | Change::ForgetRevision(_) => {}
            _ if !self.is_active() => return,
            Change::Append(entries) => {
                self.notes();
                self.version += 1;
                self.write(entries, None, port);
            }
            Change::Data(_) => self.version += 1,
            Change::TakeBack { redo, .. } => {
                if !self.takes_back(*redo) {
                    return;
                }
                self.take_back(*redo);
            }
            Change::PutBack { redo, back, .. } => {
                let returning = std::mem::take(&mut self.returning);
                if returning.is_empty() || !self.takes_back(*redo) {
                    return;
                }
                assert_eq!(returning.len() as u64, back.entries);
                self.put_back(*redo, returning, port);
            }
            Change::Resume(_) => {}
            Change::Rotate(to) => {
                self.rotations.insert(port, (**to).clone());
            }
        }
        let changed = Changed { version: self.version, last_seq: self.next_seq - 1 };
        self.changes.insert(port, changed);
    }
}

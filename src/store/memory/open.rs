//! The open turns of one life.

use smallvec::SmallVec;

use crate::id::Generation;
use crate::store::TurnMarker;

/// An open turn.
#[derive(Debug)]
pub(super) struct Open {
    /// The turn.
    pub(super) marker: TurnMarker,
    /// The number of its first entry: its input, if it has one.
    pub(super) first: u64,
    /// Whether it has one.
    pub(super) has_input: bool,
}

/// The open turns, oldest first: a word while there is none. The box goes with the last of them, so that the
/// next one is in memory that was used a moment ago.
#[derive(Debug, Default)]
pub(super) struct OpenTurns(Option<Box<SmallVec<[Open; 1]>>>);

impl OpenTurns {
    /// Adds one.
    pub(super) fn push(&mut self, open: Open) {
        self.0.get_or_insert_default().push(open);
    }

    /// Takes out the one of turn `generation`, if there is one.
    pub(super) fn take(&mut self, generation: Generation) -> Option<Open> {
        let all = self.0.as_deref_mut()?;
        let place = all.iter().position(|open| open.marker.generation == generation)?;
        let taken = all.remove(place);
        if all.is_empty() {
            self.0 = None;
        }
        Some(taken)
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Open> {
        self.0.iter().flat_map(|all| all.iter())
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

//! How the turns of one life ended that left no reply.

use smallvec::SmallVec;

use crate::id::Generation;
use crate::store::TurnRecord;

/// How many have a place inside.
const NEWEST: usize = 2;

/// How turns ended, in that order.
///
/// A word while there is none. The newest have a place in the box, and go to the others together: an end is
/// written where the one before it was, and not behind all of them, in memory that was not touched since.
#[derive(Debug, Default)]
pub(super) struct Endings(Option<Box<Kept>>);

/// Those that there are.
#[derive(Debug, Default)]
struct Kept {
    /// The newest, oldest first.
    newest: SmallVec<[TurnRecord; NEWEST]>,
    /// Those before them, oldest first.
    before: Vec<TurnRecord>,
}

impl Endings {
    /// Adds one.
    pub(super) fn push(&mut self, turn: TurnRecord) {
        let Kept { newest, before } = &mut **self.0.get_or_insert_default();
        if newest.len() == NEWEST {
            before.extend_from_slice(newest);
            newest.clear();
        }
        newest.push(turn);
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &TurnRecord> {
        self.0.iter().flat_map(|kept| kept.before.iter().chain(&kept.newest))
    }

    /// The newest of a turn.
    pub(super) fn newest_of(&self, turn: Generation) -> Option<&TurnRecord> {
        self.iter().rev().find(|it| it.generation == turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::outcome::TurnOutcome;

    fn ended(turn: u64, at: u64) -> TurnRecord {
        let (outcome, settled_at) = (TurnOutcome::Failed, Timestamp::from_millis(at));
        TurnRecord { generation: Generation::new(turn), outcome, settled_at }
    }

    #[test]
    fn they_stand_in_their_order_and_the_newest_of_a_turn_is_told() {
        let mut endings = Endings::default();
        for turn in 1..=9 {
            endings.push(ended(turn, turn));
            let all: Vec<_> = endings.iter().map(|it| it.generation.get()).collect();
            assert_eq!(all, (1..=turn).collect::<Vec<_>>());
            let Kept { newest, before } = endings.0.as_deref().unwrap();
            assert!(turn > 2 || before.is_empty(), "the first have a place in the box");
            assert_eq!(newest.len() as u64, 2 - turn % 2);
        }
        endings.push(ended(3, 100));
        assert_eq!(endings.newest_of(Generation::new(3)), Some(&ended(3, 100)));
        assert_eq!(endings.newest_of(Generation::new(4)), Some(&ended(4, 4)));
        assert_eq!(endings.newest_of(Generation::new(10)), None);
    }
}

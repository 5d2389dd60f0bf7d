//! Whether what is missing in a transcript was lost or removed on purpose. Pure.

use crate::store::QuarantineReason;

/// What the record of a session counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// The entries that were removed as well: the transcript that it knows is whole.
    Whole,
    /// All but those: the transcript that it knows is short by exactly the removal.
    Short,
    /// Something else.
    Neither,
}

/// What there is of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing.
    None,
    /// Rows that can be read and fit.
    Sound,
    /// Rows of which one does not.
    Malformed(QuarantineReason),
}

/// What the record's version says of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// It is not below that of the removal: the session knows of it.
    Acknowledged,
    /// It is.
    Missing,
    /// That life of the session is over, and its record is gone.
    NewerLife,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: there was no removal, or it was meant.
    Leave,
    /// What was removed comes back.
    PutBack,
    /// Nothing is restored, and it is told.
    Quarantine(QuarantineReason),
}

/// Decides on a removal. `counted` is asked only where it matters, since it costs a look at the entries.
pub(super) fn decide<E>(
    evidence: Evidence,
    stamp: Stamp,
    counted: impl FnOnce() -> Result<Counted, E>,
) -> Result<Verdict, E> {
    Ok(match (evidence, stamp) {
        (Evidence::None, _) | (Evidence::Sound, Stamp::Acknowledged) => Verdict::Leave,
        (Evidence::Malformed(reason), _) => Verdict::Quarantine(reason),
        (Evidence::Sound, Stamp::NewerLife) => Verdict::Quarantine(QuarantineReason::NoSuchLife),
        (Evidence::Sound, Stamp::Missing) => match counted()? {
            Counted::Whole => Verdict::PutBack,
            // It has counted them out, so it knew.
            Counted::Short => Verdict::Leave,
            Counted::Neither => Verdict::Quarantine(QuarantineReason::Miscounted),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // G7
    #[test]
    fn only_what_both_the_version_and_the_count_call_lost_comes_back() {
        use Counted::{Neither, Short, Whole};
        use QuarantineReason::{Damaged, Miscounted, NoSuchLife};
        use Stamp::{Acknowledged, Missing, NewerLife};
        use Verdict::{Leave, PutBack, Quarantine};
        const BAD: Evidence = Evidence::Malformed(Damaged);
        let table = [
            // (evidence, stamp, [whole, short by exactly this, neither])
            (Evidence::None, Acknowledged, [Leave; 3]),
            (Evidence::None, Missing, [Leave; 3]),
            (Evidence::None, NewerLife, [Leave; 3]),
            (Evidence::Sound, Acknowledged, [Leave; 3]),
            (Evidence::Sound, Missing, [PutBack, Leave, Quarantine(Miscounted)]),
            (Evidence::Sound, NewerLife, [Quarantine(NoSuchLife); 3]),
            (BAD, Acknowledged, [Quarantine(Damaged); 3]),
            (BAD, Missing, [Quarantine(Damaged); 3]),
            (BAD, NewerLife, [Quarantine(Damaged); 3]),
        ];
        let mut restored = 0;
        for (evidence, stamp, expected) in table {
            for (counted, expected) in [Whole, Short, Neither].into_iter().zip(expected) {
                let found = decide(evidence, stamp, || Ok::<_, ()>(counted));
                assert_eq!(found, Ok(expected), "{evidence:?} {stamp:?} {counted:?}");
                restored += usize::from(expected == PutBack);
            }
        }
        assert_eq!(restored, 1, "of 27");
    }

    // G8: what a start costs does not grow with sessions that have lost nothing.
    #[test]
    fn entries_are_counted_only_where_the_version_says_that_something_is_lost() {
        for evidence in [Evidence::None, Evidence::Sound] {
            assert_eq!(decide(evidence, Stamp::Acknowledged, || Err(())), Ok(Verdict::Leave));
        }
        assert_eq!(decide(Evidence::Sound, Stamp::Missing, || Err(())), Err(()));
    }
}

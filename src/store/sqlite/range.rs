//! Stretches of numbers of entries. Pure.

/// Numbers of entries, both ends included; none if the second is below the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The first.
    pub(super) from: u64,
    /// The last.
    pub(super) to: u64,
}

impl Range {
    /// What of it lies in none of `others`, in order.
    pub(super) fn without(self, others: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut others: Vec<_> = others.into_iter().filter(|it| it.from <= it.to).collect();
        others.sort_unstable_by_key(|other| other.from);
        let mut left = Vec::new();
        let mut from = self.from;
        for other in others {
            if from < other.from && from <= self.to {
                left.push(Self { from, to: self.to.min(other.from - 1) });
            }
            from = from.max(other.to.saturating_add(1));
        }
        if from <= self.to {
            left.push(Self { from, to: self.to });
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(range: (u64, u64), others: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let range_of = |&(from, to): &(u64, u64)| Range { from, to };
        let left = range_of(&range).without(others.iter().map(range_of));
        left.into_iter().map(|range| (range.from, range.to)).collect()
    }

    #[test]
    fn a_range_without_others_is_what_none_of_them_covers() {
        assert_eq!(left((1, u64::MAX), &[]), [(1, u64::MAX)]);
        assert_eq!(left((5, 9), &[(1, 4), (10, 12)]), [(5, 9)]);
        assert_eq!(left((5, 9), &[(7, 7)]), [(5, 6), (8, 9)]);
        assert_eq!(left((5, 9), &[(8, 20), (1, 5)]), [(6, 7)]);
        assert_eq!(left((5, 9), &[(5, 9)]), []);
        assert_eq!(left((5, 9), &[(2, 30)]), []);
        assert_eq!(left((5, 9), &[(6, 9), (4, 6)]), []);
        assert_eq!(left((5, 9), &[(6, 8), (7, 7)]), [(5, 5), (9, 9)]);
        assert_eq!(left((5, 9), &[(7, 6)]), [(5, 9)], "an interval of nothing");
        assert_eq!(left((6, 5), &[]), []);
        assert_eq!(left((6, 5), &[(9, 9)]), []);
    }
}

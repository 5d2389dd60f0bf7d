//! Which session is used next.

use crate::measure::Draw;

/// How often each of many sessions is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Popularity {
    /// Each as often as the others.
    Uniform,
    /// The n-th as often as `1 / n^0.99`, as in YCSB; who comes where is mixed.
    Zipf,
}

/// The exponent of Zipf's law.
const EXPONENT: f64 = 0.99;

impl Popularity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }

    /// `count` draws of `0..sessions`, made in advance, so that drawing is not measured.
    pub(crate) fn draws(self, sessions: usize, count: usize, seed: u64) -> Vec<u32> {
        let mut draw = Draw::new(seed);
        let place = |place: usize| u32::try_from(place).expect("a place of few millions");
        match self {
            Self::Uniform => (0..count).map(|_| place(draw.below(sessions))).collect(),
            Self::Zipf => {
                let sums = Self::sums(sessions);
                let total = sums.last().copied().unwrap_or(1.0);
                let order = Self::mixed(sessions);
                let one = |_| {
                    let drawn = draw.below(1 << 52) as f64 / (1_u64 << 52) as f64 * total;
                    let rank = sums.partition_point(|sum| *sum < drawn);
                    order[rank.min(sessions - 1)]
                };
                (0..count).map(one).collect()
            }
        }
    }

    /// The weights of the first, of the first two, and so on.
    fn sums(sessions: usize) -> Vec<f64> {
        let weights = (1..=sessions).map(|rank| (rank as f64).powf(-EXPONENT));
        weights
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect()
    }

    /// The places in an order that has nothing to do with that of creation.
    fn mixed(sessions: usize) -> Vec<u32> {
        let mut places: Vec<_> = (0..u32::try_from(sessions).expect("few millions")).collect();
        let mut draw = Draw::new(77);
        for at in (1..sessions).rev() {
            places.swap(at, draw.below(at + 1));
        }
        places
    }
}

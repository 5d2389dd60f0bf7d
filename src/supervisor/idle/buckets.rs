//! Things in the order in which they were used last, roughly: buckets by time.
//!
//! What is used is not moved. It stands where it was put until somebody takes it out, looks at it, and puts
//! it where it belongs by then. So using something costs nothing here, and finding what was not used for
//! long costs what is found, and once per use at most what is put back.
//!
//! Invariants: no bucket is empty, and no chunk; taking out touches as many things as are taken.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// The most that one chunk has: small enough that one more is never a long copy.
const CHUNK: usize = 256;

/// Some things of one bucket.
pub(super) type Chunk<T> = VecDeque<T>;

/// Things by the span of time in which they were used last.
#[derive(Debug)]
pub(super) struct Buckets<T> {
    /// By span; each in chunks, in the order in which they came.
    buckets: BTreeMap<u64, VecDeque<Chunk<T>>>,
    /// How many things there are.
    len: usize,
}

impl<T> Buckets<T> {
    /// None.
    pub(super) const fn new() -> Self {
        Self { buckets: BTreeMap::new(), len: 0 }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The oldest span that has something.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.buckets.keys().next().copied()
    }

    /// Adds one that was used in `span`.
    pub(super) fn push(&mut self, span: u64, thing: T) {
        self.len += 1;
        // As a rule it is the newest.
        let newest = self.buckets.last_entry().filter(|newest| *newest.key() == span);
        let bucket = match newest {
            Some(newest) => newest.into_mut(),
            None => self.buckets.entry(span).or_default(),
        };
        match bucket.back_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push_back(thing),
            Some(_) | None => bucket.push_back(VecDeque::from([thing])),
        }
    }

    /// Takes out up to `most` of those that were put in first, of one span, `newest` or older.
    pub(super) fn take(&mut self, newest: u64, most: usize) -> Option<(u64, Chunk<T>)> {
        let mut oldest = self.buckets.first_entry().filter(|oldest| *oldest.key() <= newest)?;
        let span = *oldest.key();
        let bucket = oldest.get_mut();
        let first = bucket.front_mut()?;
        let taken =
            if first.len() <= most { bucket.pop_front()? } else { first.drain(..most).collect() };
        if bucket.is_empty() {
            oldest.remove();
        }
        self.len -= taken.len();
        Some((span, taken))
    }

    /// Takes out everything of the oldest span after `span`.
    pub(super) fn take_after(&mut self, span: Option<u64>) -> Option<(u64, VecDeque<Chunk<T>>)> {
        let after = span.map_or(Bound::Unbounded, Bound::Excluded);
        let span = *self.buckets.range((after, Bound::Unbounded)).next()?.0;
        let bucket = self.buckets.remove(&span)?;
        self.len -= bucket.iter().map(VecDeque::len).sum::<usize>();
        Some((span, bucket))
    }

    /// Puts some back that were taken out, in front of the others.
    pub(super) fn put_back(&mut self, span: u64, things: Chunk<T>) {
        if !things.is_empty() {
            self.len += things.len();
            self.buckets.entry(span).or_default().push_front(things);
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.buckets.values().flatten().flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may be done.
    #[derive(Clone, Debug)]
    enum Step {
        Push(u64),
        /// Take up to so many, of this span or older, and put so many of them back.
        Take(u64, usize, usize),
        TakeAfter(Option<u64>),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..8_u64).prop_map(Step::Push),
            2 => (0..10_u64, 1..600_usize, 0..600_usize).prop_map(|(n, most, back)| Step::Take(n, most, back)),
            1 => proptest::option::of(0..8_u64).prop_map(Step::TakeAfter),
        ]
    }

    proptest! {
        // X12: against a plain sorted list
        #[test]
        fn they_are_a_list_sorted_by_span(
            steps in proptest::collection::vec((step(), 1..300_usize), 0..80),
        ) {
            let (mut buckets, mut list, mut next) = (Buckets::new(), Vec::<(u64, u32)>::new(), 0);
            for (step, times) in steps {
                match step {
                    Step::Push(span) => for _ in 0..times {
                        next += 1;
                        buckets.push(span, next);
                        let place = list.partition_point(|(it, _)| *it <= span);
                        list.insert(place, (span, next));
                    },
                    Step::Take(newest, most, back) => {
                        let Some((span, taken)) = buckets.take(newest, most) else {
                            prop_assert!(list.first().is_none_or(|(it, _)| *it > newest));
                            continue;
                        };
                        prop_assert!(!taken.is_empty() && taken.len() <= most && span <= newest);
                        let expected: Vec<_> = list.drain(..taken.len()).collect();
                        let found: Vec<_> = taken.iter().map(|it| (span, *it)).collect();
                        prop_assert_eq!(&found, &expected);
                        let kept: Chunk<u32> = taken.iter().copied().take(back).collect();
                        list.splice(0..0, kept.iter().map(|it| (span, *it)));
                        buckets.put_back(span, kept);
                    }
                    Step::TakeAfter(after) => {
                        let first = list.iter().map(|(it, _)| *it).find(|it| after.is_none_or(|after| *it > after));
                        let taken = buckets.take_after(after);
                        prop_assert_eq!(taken.as_ref().map(|(span, _)| *span), first);
                        let found: Vec<_> = taken.into_iter().flat_map(|(span, bucket)| {
                            bucket.into_iter().flatten().map(move |it| (span, it))
                        }).collect();
                        let gone: Vec<_> = list.extract_if(.., |(it, _)| Some(*it) == first).collect();
                        prop_assert_eq!(found, gone);
                    }
                }
                prop_assert_eq!(buckets.len(), list.len());
                prop_assert_eq!(buckets.oldest(), list.first().map(|(it, _)| *it));
                prop_assert!(buckets.iter().eq(list.iter().map(|(_, it)| it)));
                let full = |bucket: &VecDeque<Chunk<u32>>| {
                    !bucket.is_empty() && bucket.iter().all(|it| (1..=CHUNK).contains(&it.len()))
                };
                prop_assert!(buckets.buckets.values().all(full), "something is empty or too large");
            }
        }
    }
}

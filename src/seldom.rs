//! What is empty as a rule.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;

/// A collection that most sessions never put anything in: a word, until one does.
///
/// A session at rest is looked at far more often than anybody waits in it, and what a look costs is how many
/// lines of memory it needs. Reads see an empty collection where there is none yet; whoever changes it says
/// whether it is to be made.
#[derive(Debug)]
pub(crate) struct Seldom<T>(Option<Box<T>>);

/// A collection of which there is an empty one to show.
pub(crate) trait Hollow: Default + 'static {
    /// An empty one.
    fn hollow() -> &'static Self;
}

impl<T: 'static> Hollow for VecDeque<T> {
    fn hollow() -> &'static Self {
        const { &Self::new() }
    }
}

impl<K: 'static, V: 'static> Hollow for BTreeMap<K, V> {
    fn hollow() -> &'static Self {
        const { &Self::new() }
    }
}

impl<T: 'static> Hollow for Vec<T> {
    fn hollow() -> &'static Self {
        const { &Self::new() }
    }
}

impl<T: Hollow> Seldom<T> {
    /// It, as `value` is.
    pub(crate) fn of(value: T) -> Self
    where
        T: PartialEq,
    {
        Self((value != *T::hollow()).then(|| Box::new(value)))
    }

    /// It, if it was made.
    pub(crate) fn made(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// It; made, if it was not.
    pub(crate) fn make(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }

    /// It, taken out.
    pub(crate) fn take(&mut self) -> T {
        self.0.take().map_or_else(T::default, |made| *made)
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Hollow> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or_else(|| T::hollow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_empty_until_something_is_put_in_and_after_it_was_taken() {
        let mut numbers = Seldom::<Vec<u8>>::default();
        assert!(numbers.is_empty() && numbers.made().is_none());
        numbers.make().push(1);
        assert_eq!(*numbers, [1]);
        assert_eq!(numbers.take(), [1]);
        assert!(numbers.is_empty() && numbers.made().is_none());
        assert_eq!(size_of::<Seldom<VecDeque<u8>>>(), size_of::<usize>());
    }
}

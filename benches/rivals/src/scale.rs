//! How much is measured.

/// Everything, or so little that it takes a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Full,
    /// For looking at while working: its numbers mean little.
    Quick,
}

impl Scale {
    /// One of two sizes.
    pub(crate) fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }

    /// As many rounds as are given, or three.
    pub(crate) fn rounds(self, full: usize) -> usize {
        self.pick(full, 3)
    }
}

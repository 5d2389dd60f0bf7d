//! What is stored of a session: the object of which each moment is decided by the store.

use super::model::Life;

/// What there is under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ContentState {
    /// Nothing, and never anything.
    Nothing,
    /// A session's.
    Live {
        /// Of which life.
        life: Life,
        /// How often it has changed.
        version: u64,
        /// What stands beside the transcript.
        value: Option<u64>,
    },
    /// A tombstone.
    Gone {
        /// Of which life.
        life: Life,
    },
}

/// What happens, or is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentStep {
    /// A life begins.
    New(Life),
    /// A life begins, or is there.
    NewOrLive(Life),
    /// There is a session.
    Exists,
    /// Nobody has ever created one.
    Nothing,
    /// It is deleted.
    Delete(Life),
    /// It is over, whatever came since.
    Over(Life),
    /// A reply is added, as this version.
    Commit { life: Life, version: u64 },
    /// A value is put in, as this version.
    Put { life: Life, value: u64, version: u64 },
    /// This value is there.
    Value { life: Life, value: Option<u64> },
    /// It has this version.
    Version { life: Life, version: u64 },
}

impl ContentState {
    /// The state after `step`, if it can be.
    pub(super) fn after(self, step: ContentStep) -> Option<Self> {
        match step {
            ContentStep::New(life) => self.born(life),
            ContentStep::NewOrLive(life) => {
                // It was handed out by its slot, and may be deleted by the time that is looked at here.
                if self.born(life).is_some() { self.born(life) } else { Some(self) }
            }
            ContentStep::Exists => Some(self).filter(|it| matches!(it, Self::Live { .. })),
            ContentStep::Nothing => Some(self).filter(|it| *it == Self::Nothing),
            ContentStep::Delete(life) => self.of(life).map(|_| Self::Gone { life }),
            ContentStep::Over(life) => Some(self).filter(|it| it.is_over(life)),
            ContentStep::Commit { life, version } => {
                let (before, value) = self.of(life)?;
                (version == before + 1).then_some(Self::Live { life, version, value })
            }
            ContentStep::Put { life, value, version } => {
                let (before, _) = self.of(life)?;
                let value = Some(value);
                (version == before + 1).then_some(Self::Live { life, version, value })
            }
            ContentStep::Value { life, value } => {
                Some(self).filter(|it| it.of(life).is_some_and(|(_, there)| there == value))
            }
            ContentStep::Version { life, version } => {
                Some(self).filter(|it| it.of(life).is_some_and(|(there, _)| there == version))
            }
        }
    }

    /// Version and value of this life.
    fn of(&self, life: Life) -> Option<(u64, Option<u64>)> {
        match *self {
            Self::Live { life: lives, version, value } if lives == life => Some((version, value)),
            Self::Nothing | Self::Live { .. } | Self::Gone { .. } => None,
        }
    }

    /// A life begins.
    fn born(self, life: Life) -> Option<Self> {
        let after = match self {
            Self::Nothing => true,
            Self::Gone { life: before } => before < life,
            Self::Live { .. } => false,
        };
        after.then_some(Self::Live { life, version: 0, value: None })
    }

    /// Whether this life is over.
    fn is_over(&self, life: Life) -> bool {
        match *self {
            Self::Nothing => false,
            Self::Live { life: lives, .. } => lives > life,
            Self::Gone { life: lived } => lived >= life,
        }
    }
}

//! What happens when a turn is begun while another runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::StreamId;

/// How many begins may wait for a session unless something else is said.
pub const DEFAULT_QUEUE_MAX: usize = 16;

/// How long a running turn has to unwind before a newcomer takes its place, unless something else
/// is said.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// What happens when a turn is begun while another runs in the same session.
///
/// There is a default for a supervisor ([`Config::busy`](crate::Config::busy)) and one may be given
/// with every begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum BusyPolicy {
    /// The newcomer is refused at once and told who runs. Nothing of it was stored or called.
    Reject,
    /// The newcomer waits, first come first served.
    Queue {
        /// How many may wait. Default: 16. 0 lets nobody wait.
        #[serde(default = "default_max")]
        max: usize,
        /// How long one waits. Default: `None`, as long as it takes.
        #[serde(default, with = "humantime_serde")]
        wait: Option<Duration>,
    },
    /// The running turn is told to end; the newcomer starts once that has unwound, or after `grace`,
    /// when it is fenced: whatever it does later is refused.
    Interrupt {
        /// How long the running turn has. Default: 5 s. 0 fences it at once.
        #[serde(default = "default_grace", with = "humantime_serde")]
        grace: Duration,
        /// How many may wait meanwhile. Default: 16.
        #[serde(default = "default_max")]
        max: usize,
    },
    /// The newcomer is handed to the running turn, if that asks for more input
    /// ([`Turn::next_input`](crate::Turn::next_input)); if it does not, the newcomer waits as in a queue,
    /// and becomes a turn of its own once it is first.
    Steer {
        /// How many may wait. Default: 16. 0 lets nobody wait.
        #[serde(default = "default_max")]
        max: usize,
        /// How long one waits. Default: `None`, as long as it takes.
        #[serde(default, with = "humantime_serde")]
        wait: Option<Duration>,
    },
    /// The newcomer runs at once beside the others.
    Parallel(Parallel),
}

/// Which of several turns that run at once gets its reply into the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Parallel {
    /// The first to commit wins; whoever began before that commit and commits after it is told
    /// [`Superseded`](crate::CommitOutcome::Superseded), and its input is kept beside the transcript.
    FirstCommit,
    /// Every reply gets in: turns that run at once are siblings under the entry that was the last when
    /// they began. The transcript follows the one that committed last;
    /// [`Session::branches`](crate::Session::branches) lists them. At most `limits.max_branches` stand
    /// under one entry.
    Branch,
}

/// What becomes of what a turn has said when it ends without a reply: when it is interrupted by a crash,
/// told to end, dropped, fails or panics, and its input stays in the transcript. Where the input goes, what
/// was said goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartialPolicy {
    /// It stays beside the transcript; [`Session::partial`](crate::Session::partial) reads it.
    #[default]
    Beside,
    /// It becomes an entry, marked [`EntryMark::Partial`](crate::store::EntryMark::Partial);
    /// [`SupervisorBuilder::partial_entry`](crate::SupervisorBuilder::partial_entry) says how.
    Entry,
    /// It goes. Then nothing of a reply is stored while it is being said.
    Drop,
}

/// For serde.
const fn default_max() -> usize {
    DEFAULT_QUEUE_MAX
}

/// For serde.
const fn default_grace() -> Duration {
    DEFAULT_GRACE
}

impl BusyPolicy {
    /// Waits behind at most 15 others, as long as it takes.
    pub const fn queue() -> Self {
        Self::Queue { max: DEFAULT_QUEUE_MAX, wait: None }
    }

    /// Steers, or waits behind at most 15 others, as long as it takes.
    pub const fn steer() -> Self {
        Self::Steer { max: DEFAULT_QUEUE_MAX, wait: None }
    }

    /// Interrupts, with 5 seconds of grace.
    pub const fn interrupt() -> Self {
        Self::Interrupt { grace: DEFAULT_GRACE, max: DEFAULT_QUEUE_MAX }
    }

    /// How long a newcomer waits.
    pub(crate) const fn wait(self) -> Option<Duration> {
        match self {
            Self::Queue { wait, .. } | Self::Steer { wait, .. } => wait,
            Self::Reject | Self::Interrupt { .. } | Self::Parallel(_) => None,
        }
    }

    /// The grace of an interrupting newcomer.
    pub(crate) const fn grace(self) -> Option<Duration> {
        match self {
            Self::Interrupt { grace, .. } => Some(grace),
            Self::Reject | Self::Queue { .. } | Self::Steer { .. } | Self::Parallel(_) => None,
        }
    }
}

/// How long a turn that is told to end has, counted from then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grace {
    /// Until its work is aborted.
    pub(crate) abort_after: Duration,
    /// Until it is ended over its holder's head.
    pub(crate) fence_after: Duration,
}

impl Grace {
    /// The abort never comes after the fence, whatever the settings say.
    pub(crate) fn new(abort_after: Duration, fence_after: Duration) -> Self {
        Self { abort_after: abort_after.min(fence_after), fence_after }
    }
}

/// Who holds the slot of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The turn's stream: what can be subscribed to, or cancelled.
    pub stream: StreamId,
    /// How long the turn has been open.
    pub age: Duration,
    /// What it is doing.
    pub phase: TurnPhase,
}

/// What an open turn is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TurnPhase {
    /// It has the slot; the store does not have its begin yet.
    Starting,
    /// It runs.
    Running,
    /// It was told to end and has not yet.
    Cancelling,
}

impl std::fmt::Display for TurnPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
        })
    }
}

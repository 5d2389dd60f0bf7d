//! Settings of turns: how they are ended, and when they are stuck.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of turns: what becomes of one that is told to end.
///
/// It is told, then aborted, then fenced, each counted from the cancel. The abort is never later than
/// the fence, and no setting can keep the fence from coming; so these, the grace of an interrupt and
/// the wait of a queue can be set one by one and never contradict each other: who waits is admitted when
/// the grace is over, or told before that who holds the slot, for how long and doing what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TurnConfig {
    /// How long after it was told to end the work of a turn is aborted: what was given to
    /// [`Session::run`](crate::Session::run) is dropped where it awaits. A turn that was begun with
    /// [`Session::begin`](crate::Session::begin), or whose work blocks its thread, goes on until the
    /// grace is over. Default: 3 s; 0 aborts it at once. At most 1 h, and never after the grace,
    /// however short that is.
    #[serde(with = "humantime_serde")]
    pub abort_after: Duration,
    /// How long after it was told to end a turn keeps its slot if it does not unwind. Then it is fenced:
    /// the slot is free, and what the turn commits later is refused. Default: 5 s; 0 takes it at
    /// once. At most 1 h.
    #[serde(with = "humantime_serde")]
    pub cancel_grace: Duration,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self { abort_after: Duration::from_secs(3), cancel_grace: Duration::from_secs(5) }
    }
}

/// Settings of turns that are stuck: of when a turn counts as stuck, and what is done about it.
///
/// A turn makes progress when it emits, [enters](crate::Turn::enter) a phase, or says
/// [so](crate::Turn::progress). How long it may make none depends on its
/// [phase](crate::WorkPhase); one that waits for a person may take as long as it likes. A turn is never
/// judged by its age.
///
/// Turns are looked at now and then, so one that is stuck is found up to two `check_every` late, and
/// never early. The budgets count from what the turn did last, and not from another setting, so none
/// of them can contradict another: the shortest that applies is the one that is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StallConfig {
    /// How long a turn may make no progress while it waits for the model. Default: 5 min; 0 is for
    /// ever. At most 100 years.
    #[serde(with = "humantime_serde")]
    pub model: Duration,
    /// How long a turn may make no progress while it waits for a tool. Default: 30 min; 0 is for ever.
    /// At most 100 years.
    #[serde(with = "humantime_serde")]
    pub tool: Duration,
    /// How long a turn may work in all, however much progress it makes: for retries that each begin
    /// afresh. Waiting for a person does not count. Default: 0, which is for ever. At most 100 years.
    #[serde(with = "humantime_serde")]
    pub total: Duration,
    /// What is done with a turn that is stuck. Default: observe.
    pub action: StallAction,
    /// How often the sessions in which turns run are looked at. Default: 1 s. Between 10 ms and 1 h.
    #[serde(with = "humantime_serde")]
    pub check_every: Duration,
}

/// What is done with a turn that is stuck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StallAction {
    /// It is told to the log and counted, once until it makes progress again.
    #[default]
    Observe,
    /// It is told to end as well, for the reason [`Stalled`](crate::CancelReason::Stalled).
    Act,
}

impl Default for StallConfig {
    fn default() -> Self {
        Self {
            model: Duration::from_secs(5 * 60),
            tool: Duration::from_secs(30 * 60),
            total: Duration::ZERO,
            action: StallAction::Observe,
            check_every: Duration::from_secs(1),
        }
    }
}

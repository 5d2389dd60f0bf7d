//! What sessions answer to one who uses them alone.
//!
//! Each name, an id or a key, is two objects that are judged apart: who may do what in it
//! ([`slot`](super::slot)), which is decided at once, and what is stored under it
//! ([`content`](super::content)), which is decided when the store has it. Nobody is promised that the two are
//! of one moment.

use std::fmt;

use smallvec::{SmallVec, smallvec};

use super::content::{ContentState, ContentStep};
use super::slot::{SlotState, SlotStep};
use crate::testing::Model;

/// Which life of a name.
pub(super) type Life = u64;

/// What is asked of a name.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// Which name.
    pub(super) name: usize,
    /// What is asked.
    pub(super) what: What,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name is that of the part, which is told above all.
        self.what.fmt(f)
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Creates a session under the id; also over a tombstone, if `reuse` is said.
    Create { reuse: bool },
    /// Opens the key.
    Open,
    /// Looks the id up. That of a key's session is of one life.
    LookUp { life: Option<Life> },
    /// Deletes, by the id, or by a handle of this life.
    Delete { life: Option<Life> },
    /// Begins a turn. The ticket tells begins apart.
    Begin { life: Life, how: How, ticket: u64 },
    /// A begin that its caller may give up leaves the slot, should it have taken it.
    Leave { life: Life, ticket: u64 },
    /// Ends a turn with a reply.
    Commit { life: Life, turn: u64 },
    /// Ends a turn without one.
    Fail { life: Life, turn: u64 },
    /// Lets go of a turn.
    Drop { life: Life, turn: u64 },
    /// Tells a turn to end.
    Cancel { life: Life, turn: u64 },
    /// Tells whatever runs and waits to end.
    Stop { life: Life },
    /// Puts a value beside the transcript.
    Insert { life: Life, value: u64 },
    /// Reads it.
    Get { life: Life },
    /// Reads the record, and clears what nobody holds.
    Record { life: Option<Life> },
    /// Looks when nothing is under way.
    Rest { life: Life },
}

/// How a turn is begun where another one runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It is refused.
    Reject,
    /// It waits.
    Queue,
    /// It takes the slot at once, over the other's head. Never where somebody waits.
    Interrupt,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A session was created.
    Created(Life),
    /// There is one.
    Live(Life),
    /// There is one by now, created by this call or not.
    Opened(Life),
    /// It was deleted.
    Gone(Life),
    /// It is being deleted.
    Closing,
    /// There is a session, of whatever life.
    Exists,
    /// There is nothing, and never was.
    Unknown,
    /// This call has deleted it.
    Deleted(Life),
    /// A turn was begun.
    Began(u64),
    /// This turn holds the slot.
    Busy(u64),
    /// It was told to end before it began.
    Cancelled,
    /// The caller did not wait.
    GaveUp,
    /// The reply is in, as the last of so many entries, and as this version.
    Committed { seq: u64, version: u64 },
    /// The turn is over, as it was said.
    Ended,
    /// The turn had been told to end.
    StaleStopped,
    /// The turn had been ended, as its session was deleted.
    StaleDeleted,
    /// The turn had been ended by another one.
    StalePreempted,
    /// This turn was told to end.
    Told(u64),
    /// This turn had been told before.
    ToldBefore(u64),
    /// No such turn runs.
    NotRunning,
    /// It is stored, as this version.
    Put(u64),
    /// It is stored.
    Value(Option<u64>),
    /// The record has this version.
    Version { life: Life, version: u64 },
    /// Nothing runs; the record has this version and numbers up to this one.
    Rests { version: u64, seq: u64 },
    /// Something that cannot be, whatever came before.
    Odd(String),
}

/// One of the two objects that a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Who may do what.
    Slot(usize),
    /// What is stored.
    Content(usize),
}

/// What happens in one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// In a [`Part::Slot`].
    Slot(SlotStep),
    /// In a [`Part::Content`].
    Content(ContentStep),
    /// In either: it never happens.
    Never,
}

/// How one of them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// A [`Part::Slot`].
    Slot(SlotState),
    /// A [`Part::Content`].
    Content(ContentState),
}

/// What an operation does.
type Steps = SmallVec<[(Part, Step); 4]>;

/// Sessions, as one who uses them alone sees them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sessions;

impl Answer {
    /// What it is, for counting.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Live(_) => "live",
            Self::Opened(_) => "opened",
            Self::Gone(_) => "gone",
            Self::Closing => "closing",
            Self::Exists => "exists",
            Self::Unknown => "unknown",
            Self::Deleted(_) => "deleted",
            Self::Began(_) => "begun",
            Self::Busy(_) => "busy",
            Self::Cancelled => "cancelled_before_begun",
            Self::GaveUp => "given_up",
            Self::Committed { .. } => "committed",
            Self::Ended => "ended",
            Self::StaleStopped => "stale_stopped",
            Self::StaleDeleted => "stale_deleted",
            Self::StalePreempted => "stale_preempted",
            Self::Told(_) => "told",
            Self::ToldBefore(_) => "told_before",
            Self::NotRunning => "not_running",
            Self::Put(_) => "put",
            Self::Value(_) => "value",
            Self::Version { .. } => "version",
            Self::Rests { .. } => "rests",
            Self::Odd(_) => "odd",
        }
    }
}

impl Model for Sessions {
    type Call = Call;
    type Answer = Answer;
    type Part = Part;
    type Step = Step;
    type State = State;

    fn start(&self, part: &Part) -> State {
        match part {
            Part::Slot(_) => State::Slot(SlotState::Nothing),
            Part::Content(_) => State::Content(ContentState::Nothing),
        }
    }

    fn steps(
        &self,
        Call { name, what }: &Call,
        answer: Option<&Answer>,
    ) -> impl IntoIterator<Item = (Part, Step)> {
        let slot = |step| (Part::Slot(*name), Step::Slot(step));
        let content = |step| (Part::Content(*name), Step::Content(step));
        let (slots, contents) = match answer {
            Some(Answer::Odd(_)) => return smallvec![(Part::Slot(*name), Step::Never)],
            answer => steps(what, answer),
        };
        let slots = slots.into_iter().map(slot);
        slots.chain(contents.into_iter().map(content)).collect::<Steps>()
    }

    fn apply(&self, state: &State, step: &Step) -> impl IntoIterator<Item = State> {
        let (one, other) = match (state, step) {
            (State::Slot(state), Step::Slot(step)) => {
                let (one, other) = state.after(*step);
                (one.map(State::Slot), other.map(State::Slot))
            }
            (State::Content(state), Step::Content(step)) => {
                (state.after(*step).map(State::Content), None)
            }
            (State::Slot(_) | State::Content(_), _) => (None, None),
        };
        // What is seldom so comes first, and is tried last.
        other.into_iter().chain(one)
    }
}

/// What one operation does in a slot, and what it does in what is stored.
type Both = (SmallVec<[SlotStep; 3]>, Option<ContentStep>);

/// What an operation that was answered so does in the two objects.
fn steps(what: &What, answer: Option<&Answer>) -> Both {
    use {ContentStep as In, SlotStep as At};
    match (what, answer) {
        (_, Some(&Answer::Created(life))) => (smallvec![At::New(life)], Some(In::New(life))),
        (_, Some(&Answer::Opened(life))) => {
            (smallvec![At::NewOrLive(life)], Some(In::NewOrLive(life)))
        }
        (_, Some(&Answer::Live(life))) => (smallvec![At::Live(life)], None),
        (_, Some(Answer::Exists)) => (smallvec![], Some(In::Exists)),
        (What::Create { .. } | What::LookUp { life: None }, Some(&Answer::Gone(life))) => {
            (smallvec![At::Grave(life)], Some(In::Over(life)))
        }
        (_, Some(Answer::Unknown)) => (smallvec![At::Nothing], Some(In::Nothing)),
        (_, Some(&Answer::Deleted(life))) | (&What::Delete { life: Some(life) }, None) => {
            (smallvec![At::Close(life), At::Bury(life)], Some(In::Delete(life)))
        }
        (&What::Begin { life, how, ticket }, answer) => {
            begin(life, (how == How::Interrupt, ticket), answer)
        }
        // It never returns: nobody hears of it.
        (&What::Leave { life, ticket }, None) => {
            (smallvec![At::LeavesLater { life, ticket }], None)
        }
        (&(What::Commit { life, turn } | What::Fail { life, turn }), Some(answer)) => {
            end(life, turn, answer)
        }
        (&What::Drop { life, turn }, Some(_)) => (smallvec![At::Drop { life, turn }], None),
        (&What::Cancel { life, turn }, Some(Answer::NotRunning)) => {
            (smallvec![At::NotOpen { life, turn }], None)
        }
        (&What::Stop { life }, Some(Answer::NotRunning)) => (smallvec![At::Free(life)], None),
        (&What::Cancel { turn, .. }, Some(&(Answer::Told(told) | Answer::ToldBefore(told))))
            if turn != told =>
        {
            (smallvec![At::Never], None)
        }
        (&(What::Cancel { life, .. } | What::Stop { life }), Some(&Answer::Told(turn))) => {
            (smallvec![At::Tell { life, turn }], None)
        }
        (&(What::Cancel { life, .. } | What::Stop { life }), Some(&Answer::ToldBefore(turn))) => {
            (smallvec![At::ToldBefore { life, turn }], None)
        }
        (&What::Insert { life, value }, Some(&Answer::Put(version))) => {
            (smallvec![At::Live(life)], Some(In::Put { life, value, version }))
        }
        (&What::Insert { life, .. }, Some(Answer::Closing)) => (smallvec![At::Closing(life)], None),
        (&What::Get { life }, Some(&Answer::Value(value))) => {
            (smallvec![], Some(In::Value { life, value }))
        }
        (_, Some(&Answer::Version { life, version })) => {
            (smallvec![], Some(In::Version { life, version }))
        }
        (&What::Rest { life }, Some(&Answer::Rests { version, seq })) => {
            (smallvec![At::Rests { life, seq }], Some(In::Version { life, version }))
        }
        (_, Some(&Answer::Gone(life))) => (smallvec![At::Over(life)], Some(In::Over(life))),
        (_, _) => (smallvec![], None),
    }
}

/// What a begin does.
fn begin(life: Life, (over, ticket): (bool, u64), answer: Option<&Answer>) -> Both {
    use {ContentStep as In, SlotStep as At};
    // The slot may have been taken for it and left again, seen by others.
    let (opens, leaves) = (At::Opens { life, over, ticket }, At::Leaves { life, ticket });
    match answer {
        Some(&Answer::Began(turn)) => (smallvec![At::Begin { life, over, turn }], None),
        Some(&Answer::Busy(turn)) => (smallvec![At::Open { life, turn }], None),
        Some(Answer::Closing) => (smallvec![opens, leaves, At::Closing(life)], None),
        Some(&Answer::Gone(life)) => {
            (smallvec![opens, leaves, At::Over(life)], Some(In::Over(life)))
        }
        Some(Answer::GaveUp) => (smallvec![opens], None),
        _ => (smallvec![opens, leaves], None),
    }
}

/// What the end of a turn does.
fn end(life: Life, turn: u64, answer: &Answer) -> Both {
    use {ContentStep as In, SlotStep as At};
    if let &Answer::Committed { seq, version } = answer {
        return (smallvec![At::Commit { life, turn, seq }], Some(In::Commit { life, version }));
    }
    let step = if *answer == Answer::Ended {
        At::Fail { life, turn }
    } else if *answer == Answer::StaleStopped {
        At::Unwind { life, turn }
    } else if *answer == Answer::StalePreempted {
        At::NotOpen { life, turn }
    } else {
        // Ended over its holder's head, as its session was deleted.
        At::Closing(life)
    };
    (smallvec![step], None)
}

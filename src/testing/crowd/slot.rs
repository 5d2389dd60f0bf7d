//! Who may do what in a session: the object of which each moment is decided under its lock.

use super::model::Life;

/// How a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum SlotState {
    /// Nobody has ever created it.
    Nothing,
    /// A session.
    Live {
        /// Of which life.
        life: Life,
        /// The turn that holds the slot.
        turn: Option<OpenTurn>,
        /// The number of the newest turn that was seen.
        newest: u64,
        /// The number of the last entry.
        seq: u64,
    },
    /// It is being deleted.
    Closing {
        /// Of which life.
        life: Life,
    },
    /// It was deleted.
    Gone {
        /// Of which life.
        life: Life,
    },
}

/// The turn that holds a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct OpenTurn {
    /// Its number; nobody knows that of a begin that was told to end before it was told.
    number: Option<u64>,
    /// The ticket of such a begin.
    ticket: Option<u64>,
    /// Whether it was told to end.
    told: bool,
}

/// What happens, or is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotStep {
    /// What cannot be.
    Never,
    /// A life begins.
    New(Life),
    /// It is live.
    Live(Life),
    /// It is live, or begins.
    NewOrLive(Life),
    /// It is under its tombstone.
    Grave(Life),
    /// It is over, whatever came since.
    Over(Life),
    /// It is being deleted, or over.
    Closing(Life),
    /// Nobody has ever created it.
    Nothing,
    /// A delete is decided.
    Close(Life),
    /// It is through.
    Bury(Life),
    /// A turn takes the slot; over the head of whoever has it, perhaps.
    Begin { life: Life, over: bool, turn: u64 },
    /// A begin takes the slot, or never does, and its caller is not told.
    Opens { life: Life, over: bool, ticket: u64 },
    /// It has left the slot again.
    Leaves { life: Life, ticket: u64 },
    /// It leaves the slot now, and its caller has given it up.
    LeavesLater { life: Life, ticket: u64 },
    /// This turn holds the slot.
    Open { life: Life, turn: u64 },
    /// This turn does not hold it.
    NotOpen { life: Life, turn: u64 },
    /// No turn holds it.
    Free(Life),
    /// A turn leaves the slot with a reply.
    Commit { life: Life, turn: u64, seq: u64 },
    /// A turn leaves it without one.
    Fail { life: Life, turn: u64 },
    /// A turn leaves it that was told to end.
    Unwind { life: Life, turn: u64 },
    /// A turn leaves it, unless it had to before.
    Drop { life: Life, turn: u64 },
    /// A turn is told to end.
    Tell { life: Life, turn: u64 },
    /// A turn was told to end and has not.
    ToldBefore { life: Life, turn: u64 },
    /// No turn holds the slot, and the last entry has this number.
    Rests { life: Life, seq: u64 },
}

impl SlotState {
    /// The states in which it may be after `step`: two at most.
    pub(super) fn after(self, step: SlotStep) -> (Option<Self>, Option<Self>) {
        if let SlotStep::Opens { life, over, ticket } = step {
            return (Some(self), self.opened(life, over, ticket));
        }
        (self.after_one(step), None)
    }

    /// The state after `step`, if it can be; of a begin that nobody is told of, that it never takes the slot.
    fn after_one(self, step: SlotStep) -> Option<Self> {
        match step {
            SlotStep::Never => None,
            SlotStep::New(life) => self.born(life),
            SlotStep::NewOrLive(life) => {
                if self.lives(life) {
                    Some(self)
                } else {
                    self.born(life)
                }
            }
            SlotStep::Live(life) => Some(self).filter(|it| it.lives(life)),
            SlotStep::Grave(life) => Some(self).filter(|it| *it == Self::Gone { life }),
            SlotStep::Over(life) => Some(self).filter(|it| it.is_over(life)),
            SlotStep::Closing(life) => {
                Some(self).filter(|it| *it == Self::Closing { life } || it.is_over(life))
            }
            SlotStep::Nothing => Some(self).filter(|it| *it == Self::Nothing),
            SlotStep::Close(life) => self.lives(life).then_some(Self::Closing { life }),
            SlotStep::Bury(life) => {
                let closing = self == Self::Closing { life };
                Some(if closing { Self::Gone { life } } else { self })
            }
            SlotStep::Opens { .. } => Some(self),
            SlotStep::Leaves { life, ticket } => Some(self.left(life, ticket)),
            SlotStep::LeavesLater { life, ticket } => {
                let left = self.left(life, ticket);
                (left != self).then_some(left)
            }
            SlotStep::Begin { life, over, turn } => self.begun(life, over, turn),
            SlotStep::Open { life, turn } => self.seen(life, turn, |_| true),
            SlotStep::NotOpen { life, turn } => {
                Some(self).filter(|it| it.seen(life, turn, |open| open.ticket.is_none()).is_none())
            }
            SlotStep::Free(life) => {
                Some(self).filter(|it| !it.lives(life) || it.holder(life).is_none())
            }
            SlotStep::Commit { life, turn, seq } => {
                self.ended(life, turn, |open| !open.told)?.with_entry(seq)
            }
            SlotStep::Fail { life, turn } => self.ended(life, turn, |open| !open.told),
            // Or it was told, and then ended by another one.
            SlotStep::Unwind { life, turn } => {
                let unwound = self.ended(life, turn, |open| open.told);
                unwound.or_else(|| self.after_one(SlotStep::NotOpen { life, turn }))
            }
            // It may have been ended over its holder's head.
            SlotStep::Drop { life, turn } => Some(self.ended(life, turn, |_| true).unwrap_or(self)),
            SlotStep::Tell { life, turn } => self.told(life, turn),
            SlotStep::ToldBefore { life, turn } => self.seen(life, turn, |open| open.told),
            SlotStep::Rests { life, seq } => {
                let rests = |it: &Self| matches!(it, Self::Live { life: lives, turn: None, seq: last, .. } if *lives == life && *last == seq);
                Some(self).filter(rests)
            }
        }
    }

    /// Whether it is this life.
    fn lives(&self, life: Life) -> bool {
        matches!(self, Self::Live { life: lives, .. } if *lives == life)
    }

    /// Whether this life is over.
    fn is_over(&self, life: Life) -> bool {
        match *self {
            Self::Nothing => false,
            Self::Live { life: lives, .. } | Self::Closing { life: lives } => lives > life,
            Self::Gone { life: lived } => lived >= life,
        }
    }

    /// A life begins. That the store has deleted the one before is enough.
    fn born(self, life: Life) -> Option<Self> {
        let after = match self {
            Self::Nothing => true,
            Self::Closing { life: before } | Self::Gone { life: before } => before < life,
            Self::Live { .. } => false,
        };
        after.then_some(Self::Live { life, turn: None, newest: 0, seq: 0 })
    }

    /// The turn that holds the slot of this life.
    fn holder(&self, life: Life) -> Option<OpenTurn> {
        match *self {
            Self::Live { life: lives, turn, .. } => turn.filter(|_| lives == life),
            Self::Nothing | Self::Closing { .. } | Self::Gone { .. } => None,
        }
    }

    /// With another holder.
    fn with_holder(mut self, holder: Option<OpenTurn>) -> Self {
        if let Self::Live { turn, .. } = &mut self {
            *turn = holder;
        }
        self
    }

    /// With one more entry.
    fn with_entry(mut self, number: u64) -> Option<Self> {
        if let Self::Live { seq, .. } = &mut self {
            *seq += 1;
            return (*seq == number).then_some(self);
        }
        None
    }

    /// A turn takes the slot, with its input as an entry.
    fn taken(self, life: Life, over: bool, open: OpenTurn) -> Option<Self> {
        match self {
            Self::Live { life: lives, turn, newest, seq } => {
                let taken = Self::Live { life, turn: Some(open), newest, seq: seq + 1 };
                (lives == life && (over || turn.is_none())).then_some(taken)
            }
            Self::Nothing | Self::Closing { .. } | Self::Gone { .. } => None,
        }
    }

    /// The turn of this number takes the slot: a newer one than any before.
    fn begun(self, life: Life, over: bool, number: u64) -> Option<Self> {
        let open = OpenTurn { number: Some(number), ticket: None, told: false };
        self.taken(life, over, open)?.numbered(number)
    }

    /// A begin takes it of which nobody is told.
    fn opened(self, life: Life, over: bool, ticket: u64) -> Option<Self> {
        self.taken(life, over, OpenTurn { number: None, ticket: Some(ticket), told: false })
    }

    /// Such a begin has left the slot.
    fn left(self, life: Life, ticket: u64) -> Self {
        let its = self.holder(life).is_some_and(|open| open.ticket == Some(ticket));
        if its { self.with_holder(None) } else { self }
    }

    /// With a newer number than any before.
    fn numbered(mut self, number: u64) -> Option<Self> {
        if let Self::Live { newest, .. } = &mut self {
            let newer = number > *newest;
            *newest = number;
            return newer.then_some(self);
        }
        None
    }

    /// This turn holds the slot, as somebody sees; of one that had no number, it is known from then on.
    fn seen(self, life: Life, number: u64, is: impl Fn(OpenTurn) -> bool) -> Option<Self> {
        let open = self.holder(life).filter(|open| is(*open))?;
        if let Some(known) = open.number {
            return (known == number).then_some(self);
        }
        let known = OpenTurn { number: Some(number), ..open };
        self.with_holder(Some(known)).numbered(number)
    }

    /// This turn is told to end, and had not been.
    fn told(self, life: Life, number: u64) -> Option<Self> {
        let seen = self.seen(life, number, |open| !open.told)?;
        let open = seen.holder(life)?;
        Some(seen.with_holder(Some(OpenTurn { told: true, ..open })))
    }

    /// This turn leaves the slot.
    fn ended(self, life: Life, number: u64, is: impl Fn(OpenTurn) -> bool) -> Option<Self> {
        let open = self.holder(life).filter(|open| open.number == Some(number) && is(*open));
        open.map(|_| self.with_holder(None))
    }
}

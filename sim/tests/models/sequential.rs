//! What one caller after the other would be told: a conversation under a key, or under an id of its own.
//!
//! What takes time is two events: a delete first closes and then is done, and a begin that is told to end
//! before it is stored has had the slot in between.

use session_supervisor::CancelReason;

use crate::history::Model;

/// Which conversation: the number of its first sight. A key leads to several, one after the other.
pub(crate) type Life = u8;

/// A turn, by its number.
pub(crate) type Turn = u64;

/// What a caller was told.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The key leads to it, freshly created or not.
    Opened(Life),
    /// The id is taken by it from now on.
    Created(Life),
    /// The id was taken.
    Exists,
    /// The id was deleted, and is not created again.
    Buried,
    Looked(Life, Seen),
    Status(Life, Seen, Vec<Turn>),
    Begun(Life, Turn),
    Busy(Life, Turn),
    BeginGone(Life),
    BeginClosing(Life),
    /// A begin that was told to end: it may have had the slot.
    Started(Life, u64),
    /// It has it no more.
    Refused(Life, u64, CancelReason),
    /// With the number of the reply.
    Committed(Life, Turn, u64),
    Stale(Life, Turn, CancelReason),
    /// Failed or dropped.
    Ended(Life, Turn),
    Stopped(Life, Vec<Turn>),
    NotRunning(Life),
    DeleteBegan(Life),
    DeleteDone(Life),
    AlreadyGone(Life),
}

/// How a session is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Seen {
    Live,
    Closing,
    Gone,
}

/// Who has the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Known(Turn),
    /// A begin that was refused later; its number was not told.
    Unknown(u64),
}

impl Holder {
    fn may_be(self, turn: Turn) -> bool {
        match self {
            Self::Known(known) => known == turn,
            Self::Unknown(_) => true,
        }
    }
}

/// One conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Conversation {
    life: Life,
    seen: Seen,
    /// Who has the slot, and why it was told to end if it was.
    holder: Option<(Holder, Option<CancelReason>)>,
    /// Who was ended over its head, and why.
    fenced: Vec<(Turn, CancelReason)>,
    /// The newest turn.
    newest: Turn,
    /// How many entries have been numbered.
    entries: u64,
}

/// What a key leads to, or led to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    lives: Vec<Conversation>,
}

/// A conversation under a key, or under an id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequential {
    /// Whether a turn that is stopped is fenced at once.
    pub(crate) fences: bool,
}

impl State {
    /// The one that can be used, or the newest that closes: of those that can be used there is one at most.
    fn current(&self) -> Option<&Conversation> {
        self.lives.iter().rfind(|it| it.seen != Seen::Gone)
    }

    /// Whether a key is free: its session is over, or closes and has not heard of it while the store knows.
    fn is_free(&self) -> bool {
        self.current().is_none_or(|it| it.seen == Seen::Closing)
    }

    /// With one more.
    fn born(&self, life: Life) -> Vec<Self> {
        let known = self.lives.iter().any(|it| it.life == life);
        if known || !self.is_free() {
            return Vec::new();
        }
        let mut next = self.clone();
        next.lives.push(Conversation {
            life,
            seen: Seen::Live,
            holder: None,
            fenced: Vec::new(),
            newest: 0,
            entries: 0,
        });
        vec![next]
    }

    /// With one changed; `None` says that it cannot have been.
    fn with(&self, life: Life, change: impl FnOnce(&mut Conversation) -> Option<()>) -> Vec<Self> {
        let mut next = self.clone();
        let found = next.lives.iter_mut().find(|it| it.life == life);
        found.and_then(change).map(|()| next).into_iter().collect()
    }

    /// As it is, if that holds.
    fn holds(&self, life: Life, holds: impl FnOnce(&Conversation) -> bool) -> Vec<Self> {
        self.with(life, |it| holds(it).then_some(()))
    }
}

impl Conversation {
    /// Gives the slot to `holder`.
    fn admit(&mut self, holder: Holder) -> Option<()> {
        (self.seen == Seen::Live && self.holder.is_none()).then_some(())?;
        self.holder = Some((holder, None));
        self.entries += 1;
        Some(())
    }

    /// Ends whoever has the slot over its head. Whatever it was told before, that is why it ends.
    fn fence(&mut self, reason: CancelReason) {
        if let Some((Holder::Known(turn), _)) = self.holder.take() {
            self.fenced.push((turn, reason));
        }
    }

    /// Why `turn` is told to end, if it is.
    fn told(&self, turn: Turn) -> Option<Option<CancelReason>> {
        if let Some((_, reason)) = self.fenced.iter().find(|it| it.0 == turn) {
            return Some(Some(*reason));
        }
        self.holder.filter(|it| it.0 == Holder::Known(turn)).map(|it| it.1)
    }

    /// Takes the slot from `turn`, if it has it.
    fn give_back(&mut self, turn: Turn) {
        if self.holder.is_some_and(|it| it.0 == Holder::Known(turn)) {
            self.holder = None;
        }
        self.fenced.retain(|it| it.0 != turn);
    }
}

impl Model for Sequential {
    type What = What;
    type State = State;

    fn after(&self, state: &State, what: &What) -> Vec<State> {
        match what {
            What::Opened(life) if state.is_free() => state.born(*life),
            What::Opened(life) => state.holds(*life, |it| it.seen == Seen::Live),
            What::Created(life) => {
                if state.lives.is_empty() {
                    state.born(*life)
                } else {
                    Vec::new()
                }
            }
            What::Exists => state.current().map(|_| state.clone()).into_iter().collect(),
            What::Buried => {
                let buried = !state.lives.is_empty() && state.is_free();
                buried.then(|| state.clone()).into_iter().collect()
            }
            What::Looked(life, seen) => state.holds(*life, |it| it.seen == *seen),
            What::Status(life, seen, turns) => state.holds(*life, |it| {
                let agrees = match (it.holder, turns.as_slice()) {
                    (None, []) => true,
                    (Some((holder, _)), [turn]) => holder.may_be(*turn),
                    _ => false,
                };
                it.seen == *seen && agrees
            }),
            What::Begun(life, turn) => state.with(*life, |it| {
                (*turn > it.newest).then_some(())?;
                it.newest = *turn;
                it.admit(Holder::Known(*turn))
            }),
            What::Busy(life, turn) => state.holds(*life, |it| {
                it.seen == Seen::Live && it.holder.is_some_and(|holder| holder.0.may_be(*turn))
            }),
            What::BeginGone(life) => state.holds(*life, |it| it.seen == Seen::Gone),
            What::BeginClosing(life) => state.holds(*life, |it| it.seen == Seen::Closing),
            What::Started(life, begin) => {
                let mut states = state.with(*life, |it| it.admit(Holder::Unknown(*begin)));
                states.push(state.clone());
                states
            }
            What::Refused(life, begin, reason) => state.with(*life, |it| match it.holder {
                Some((Holder::Unknown(holder), told)) if holder == *begin => {
                    it.holder = None;
                    (told? == *reason).then_some(())
                }
                _ => Some(()),
            }),
            What::Committed(life, turn, seq) => state.with(*life, |it| {
                (it.told(*turn)?.is_none()).then_some(())?;
                it.give_back(*turn);
                it.entries += 1;
                (it.entries == *seq).then_some(())
            }),
            What::Stale(life, turn, reason) => state.with(*life, |it| {
                (it.told(*turn)? == Some(*reason)).then_some(())?;
                it.give_back(*turn);
                Some(())
            }),
            What::Ended(life, turn) => state.with(*life, |it| {
                it.told(*turn)?;
                it.give_back(*turn);
                Some(())
            }),
            What::Stopped(life, turns) => state.with(*life, |it| {
                let [turn] = turns.as_slice() else { return None };
                let (holder, told) = it.holder?;
                holder.may_be(*turn).then_some(())?;
                let reason = told.unwrap_or(CancelReason::Stopped);
                it.holder = Some((holder, Some(reason)));
                if self.fences {
                    it.fence(reason);
                }
                Some(())
            }),
            What::NotRunning(life) => state.holds(*life, |it| it.holder.is_none()),
            What::DeleteBegan(life) => state.with(*life, |it| {
                (it.seen == Seen::Live).then_some(())?;
                it.seen = Seen::Closing;
                it.fence(CancelReason::Deleted);
                Some(())
            }),
            What::DeleteDone(life) => state.with(*life, |it| {
                (it.seen == Seen::Closing).then_some(())?;
                it.seen = Seen::Gone;
                Some(())
            }),
            What::AlreadyGone(life) => state.holds(*life, |it| it.seen == Seen::Gone),
        }
    }
}

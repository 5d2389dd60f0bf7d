//! What is made out from all that has happened to a session.

use session_supervisor::{ExpiryRules, GoneReason, KeptBy, Standing};

use crate::model::{Event, Life, Reading};

impl Life {
    pub(crate) fn last<T>(&self, mut which: impl FnMut(Reading, &Event) -> Option<T>) -> Option<T> {
        self.history.iter().rev().find_map(|(at, event)| which(*at, event))
    }

    pub(crate) fn created(&self) -> Reading {
        self.history[0].0
    }

    pub(crate) fn last_used(&self) -> Reading {
        let is_use = |event: &Event| matches!(event, Event::Created | Event::Used | Event::Noted);
        self.last(|at, event| is_use(event).then_some(at)).unwrap()
    }

    /// What may be stored as its last use, oldest first.
    pub(crate) fn stored_uses(&self) -> Vec<i64> {
        let mut uses = Vec::new();
        for (at, event) in &self.history {
            match event {
                Event::Created | Event::Used => uses = vec![at.wall],
                Event::Noted => uses.push(at.wall),
                _ => {}
            }
        }
        uses
    }

    /// Takes back what was noted of its use and not stored, if this was.
    pub(crate) fn forget_noted(&mut self, stored: i64) {
        let is_stored = |(at, event): &(Reading, Event)| {
            at.wall == stored && matches!(event, Event::Created | Event::Used | Event::Noted)
        };
        let Some(last) = self.history.iter().rposition(is_stored) else { return };
        let mut place = 0..;
        self.history
            .retain(|(_, event)| place.next().unwrap() <= last || !matches!(event, Event::Noted));
    }

    pub(crate) fn standing(&self) -> (Reading, Standing) {
        let stands = |at, event: &Event| match event {
            Event::Stands(standing) => Some((at, *standing)),
            Event::Created => Some((at, Standing::Active)),
            _ => None,
        };
        self.last(stands).unwrap()
    }

    pub(crate) fn is_active(&self) -> bool {
        self.gone().is_none() && self.standing().1.is_active()
    }

    pub(crate) fn gone(&self) -> Option<(Reading, GoneReason)> {
        self.last(|at, event| match event {
            Event::Gone(reason) => Some((at, *reason)),
            _ => None,
        })
    }

    pub(crate) fn pinned(&self) -> bool {
        let pinned = |_, event: &Event| match event {
            Event::Pinned(pinned) => Some(*pinned),
            _ => None,
        };
        self.last(pinned).unwrap_or(false)
    }

    pub(crate) fn own(&self) -> Option<ExpiryRules> {
        let own = |_, event: &Event| match event {
            Event::Own(own) => Some(own.clone()),
            _ => None,
        };
        self.last(own).flatten()
    }

    /// How often in a row, in this run and since it was used last, its last rites have failed.
    pub(crate) fn rites_failed(&self, run: usize) -> usize {
        let mut failed = 0;
        for (at, event) in &self.history {
            match event {
                Event::RitesFailed if at.run == run => failed += 1,
                Event::Used | Event::Noted | Event::Stands(_) => failed = 0,
                _ => {}
            }
        }
        failed
    }

    /// How many crashes in a row were found in the middle of a turn of it.
    pub(crate) fn crashes(&self) -> usize {
        let events = self.history.iter().rev().map(|(_, event)| event);
        let over =
            |event: &&Event| matches!(event, Event::Committed | Event::Stands(Standing::Active));
        let since = events.take_while(|event| !over(event));
        since.filter(|event| matches!(event, Event::Crashed)).count()
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.turns.iter().any(|turn| !turn.fenced)
    }

    /// What keeps it from ending, of what is known here.
    pub(crate) fn vetoes(&self) -> Vec<KeptBy> {
        let vetoes = [
            (KeptBy::Turn, self.is_busy()),
            (KeptBy::Waiting, !self.waiting.is_empty()),
            (KeptBy::Fenced, self.turns.iter().any(|turn| turn.fenced)),
            (KeptBy::Leased, !self.leases.is_empty()),
            (KeptBy::Pinned, self.pinned()),
        ];
        vetoes.into_iter().filter(|(_, keeps)| *keeps).map(|(veto, _)| veto).collect()
    }

    /// Ends its turns over their holders' heads.
    pub(crate) fn fence(&mut self) {
        for turn in &mut self.turns {
            turn.fenced = true;
        }
    }
}

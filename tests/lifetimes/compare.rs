//! Whether everything that is to be seen is as it has to be.

use session_supervisor::{ExpiryClock, Fate, KeptBy};

use crate::history::{Mood, Step};
use crate::model::{Account, Played, Reading, Row, TOMBSTONES, World, Wrong, demand};
use crate::play::Answers;

impl World {
    /// Whether what is explained is so.
    pub(crate) fn explained(
        &self,
        who: usize,
        account: Option<&Account>,
        now: Reading,
    ) -> Result<(), Wrong> {
        let life = &self.lives[who];
        let Some(account) = account else {
            demand!(life.gone().is_some(), "#{who}: nothing is explained");
            return Ok(());
        };
        let (_, _, action) = self.rules(life);
        demand!(life.gone().is_none(), "#{who}: it is gone, and {account:?} is explained");
        demand!(account.class == life.class, "#{who}: class {}", account.class);
        demand!(account.action == action, "#{who}: {:?}, not {action:?}", account.action);
        let standing = life.standing().1;
        demand!(account.standing == standing, "#{who}: {:?}, not {standing:?}", account.standing);
        if !standing.is_active() {
            demand!(account.fate == Fate::Inactive, "#{who}: {:?}", account.fate);
            return Ok(());
        }
        let (may, surely) = (self.may_be_over(who, now), self.is_surely_over(who, now));
        let mut kept = life.vetoes();
        if surely && kept.is_empty() && self.settings().hook {
            match self.moods.0 {
                Mood::Well => {}
                Mood::Keeps => kept.push(KeptBy::Hook),
                Mood::Fails | Mood::Panics | Mood::Hangs => kept.push(KeptBy::HookFailed),
            }
        }
        if may != surely {
            return Ok(()); // either is right
        }
        demand!(
            same(&account.kept_by, &kept),
            "#{who}: kept by {:?}, not {kept:?}",
            account.kept_by
        );
        let clocks = self.clocks(who, now);
        let exact = clocks.iter().all(|(_, _, gone)| gone.least == gone.most);
        let wanted = |clock: ExpiryClock, since: i64| {
            let best = clocks.iter().map(|(_, most, gone)| gone.most - most).max();
            let mine = clocks.iter().find(|it| it.0 == clock).map(|it| it.2.most - it.1);
            mine.is_some() && (!exact || (best == mine && mine == Some(since)))
        };
        let since = |it: std::time::Duration| i64::try_from(it.as_millis()).unwrap();
        let right = match account.fate {
            Fate::Ends { clock, since: it } => {
                surely && kept.is_empty() && wanted(clock, since(it))
            }
            Fate::Kept { clock, since: it } => {
                surely && !kept.is_empty() && wanted(clock, since(it))
            }
            Fate::GoesOn { clock, left } => !surely && wanted(clock, -since(left)),
            Fate::Stays => clocks.is_empty(),
            _ => false,
        };
        demand!(right, "#{who}: {:?}, but the clocks are {clocks:?}", account.fate);
        Ok(())
    }

    /// Whether everything is as it has to be.
    pub(crate) fn compare(&mut self, played: &Played<'_>, answers: &Answers) -> Result<(), Wrong> {
        let mut answered = played.answered.clone();
        answered.sort_by_key(|(begin, _)| *begin);
        let mut answers = answers.clone();
        answers.sort_by_key(|(begin, _)| *begin);
        demand!(
            matches!(played.step, Step::Restart { .. }) || answered == answers,
            "those who waited were told {answered:?}, not {answers:?}"
        );
        demand!(
            played.rows.len() == self.lives.len(),
            "there are {} sessions, not {}",
            played.rows.len(),
            self.lives.len()
        );
        for (life, row) in self.lives.iter_mut().zip(&played.rows) {
            if let Row::Live { last_active, .. } = row {
                life.stored = *last_active;
            }
            let gone = life.gone().filter(|_| *row == Row::Unknown);
            let over = gone.is_some_and(|(at, _)| played.settled.wall - at.wall >= TOMBSTONES);
            life.forgotten |= over;
        }
        demand!(played.keys == self.keys, "keys lead to {:?}, not {:?}", played.keys, self.keys);
        for (who, life) in self.lives.iter().enumerate() {
            let row = &played.rows[who];
            if let Some((at, reason)) = life.gone() {
                let right = match row {
                    Row::Gone { reason: told, at: when, until } => {
                        *told == reason && *when == at.wall && *until >= at.wall + TOMBSTONES
                    }
                    // The store goes by the wall clock.
                    Row::Unknown => life.forgotten || played.settled.wall - at.wall >= TOMBSTONES,
                    Row::Live { .. } => false,
                };
                demand!(right, "#{who} is {row:?}, not gone since {}: {reason:?}", at.wall);
                continue;
            }
            let uses = life.stored_uses();
            let stored = match row {
                Row::Live { last_active, .. } if uses.contains(last_active) => *last_active,
                _ => uses[0],
            };
            let expected = Row::Live {
                standing: life.standing().1,
                last_active: stored,
                created: life.created().wall,
                open: life.turns.iter().filter(|turn| !turn.fenced).count(),
                pinned: life.pinned(),
                own: life.own(),
                class: life.class.clone(),
                previous: life.previous,
                crashes: u32::try_from(life.crashes()).unwrap(),
            };
            demand!(*row == expected, "#{who} is\n    {row:?}, not\n    {expected:?}");
        }
        for (who, account) in &played.accounts {
            self.explained(*who, account.as_ref(), played.settled)?;
        }
        Ok(())
    }
}

/// Whether both say the same, in any order.
pub(crate) fn same(some: &[KeptBy], others: &[KeptBy]) -> bool {
    some.len() == others.len() && some.iter().all(|it| others.contains(it))
}

//! What each thing that somebody does has to come to.

use session_supervisor::{
    EndReason, ExpiryRules, GoneReason, RebindReason, Standing, SuspendReason,
};

use crate::history::{CLASSES, Finish, KEYS, Policy, Verb};
use crate::model::{
    Event, GRACE, Leased, Life, Must, Open, Played, Reading, Refusal, Row, TOMBSTONES, Told, World,
    Wrong, archived, demand, millis, stamp,
};
use crate::play::{Answers, expect};

impl World {
    /// Where a key leads: whether to a fresh session, and what is told of the one before.
    pub(crate) fn follow(
        &mut self,
        key: u8,
        played: &Played<'_>,
    ) -> Result<(bool, Option<(usize, RebindReason)>), Wrong> {
        let Some(bound) = self.keys[usize::from(key)] else { return Ok((true, None)) };
        self.find_out(bound, played, Must::Yes)?;
        let life = &self.lives[bound];
        let reason = match (life.gone(), life.standing().1) {
            (Some((_, GoneReason::Expired(clock))), _) => RebindReason::Expired(clock),
            (Some(_), _) => RebindReason::Gone,
            (None, Standing::Archived { reason, .. }) => match reason {
                EndReason::Expired(clock) => RebindReason::Expired(clock),
                _ => RebindReason::Archived,
            },
            (None, Standing::Ended { .. }) => RebindReason::Ended,
            (None, _) => return Ok((false, None)),
        };
        Ok((true, Some((bound, reason))))
    }

    pub(crate) fn opened(
        &mut self,
        key: u8,
        fresh: bool,
        previous: Option<(usize, RebindReason)>,
        class: Option<u8>,
        own: Option<ExpiryRules>,
        played: &Played<'_>,
    ) -> Result<(), Wrong> {
        let (who, says) = if fresh {
            (self.create(Some(key), class, own, previous, played)?, previous)
        } else {
            let who = self.keys[usize::from(key)].unwrap();
            (who, self.lives[who].previous)
        };
        self.keys[usize::from(key)] = Some(who);
        expect(&[Told::Opened { who, created: fresh, previous, says }], &played.told)
    }

    /// A session comes to be.
    pub(crate) fn create(
        &mut self,
        key: Option<u8>,
        class: Option<u8>,
        own: Option<ExpiryRules>,
        previous: Option<(usize, RebindReason)>,
        played: &Played<'_>,
    ) -> Result<usize, Wrong> {
        let who = self.lives.len();
        let Some(Row::Live { created, .. }) = played.rows.get(who) else {
            return Err(format!("nothing was created, but told {:?}", played.told));
        };
        let at = played.at(*created)?;
        let platform = key.map(|key| KEYS[usize::from(key)].split('/').next().unwrap());
        let class = class.map(|class| CLASSES[usize::from(class)]).or(platform);
        let mut history = vec![(at, Event::Created)];
        if own.is_some() {
            history.push((at, Event::Own(own)));
        }
        self.lives.push(Life {
            class: class.unwrap_or("default").to_owned(),
            previous,
            history,
            turns: Vec::new(),
            waiting: Vec::new(),
            leases: Vec::new(),
            stored: at.wall,
            forgotten: false,
            parallel: false,
        });
        Ok(who)
    }

    pub(crate) fn reset(
        &mut self,
        key: u8,
        class: Option<u8>,
        played: &Played<'_>,
        answers: &mut Answers,
        seen_to: &mut Vec<usize>,
    ) -> Result<(), Wrong> {
        let bound = self.keys[usize::from(key)];
        if let Some(old) = bound {
            seen_to.push(old);
            self.find_out(old, played, Must::May)?;
            self.lives[old].fence();
            self.refuse_waiting(old, &Refusal::Told, answers);
            self.perhaps_used(old, played)?;
        }
        let previous = bound.map(|old| (old, RebindReason::Reset));
        self.opened(key, true, previous, class, None, played)
    }

    /// A turn is begun in a session of which it is known by now that its time is not over.
    pub(crate) fn begin(
        &mut self,
        who: usize,
        policy: Policy,
        played: &Played<'_>,
    ) -> Result<(), Wrong> {
        if let Some(refusal) = self.refusal(who, played, true) {
            return expect(&refusal, &played.told);
        }
        let life = &mut self.lives[who];
        life.parallel |= policy == Policy::Parallel;
        let waits = match policy {
            _ if !life.is_busy() && life.waiting.is_empty() => false,
            Policy::Reject => return expect(&[Told::Refused(Refusal::Busy)], &played.told),
            Policy::Queue => true,
            Policy::Parallel => !life.waiting.is_empty(),
        };
        if waits {
            life.waiting.push((played.begin, policy == Policy::Parallel));
            return expect(&[Told::Waits], &played.told);
        }
        life.turns.push(Open { begin: played.begin, told: None, fenced: false });
        expect(&[Told::Begun], &played.told)?;
        self.used(who, played)
    }

    pub(crate) fn finish(
        &mut self,
        who: usize,
        how: Finish,
        played: &Played<'_>,
        answers: &mut Answers,
    ) -> Result<(), Wrong> {
        let life = &mut self.lives[who];
        let Some(at) = life.turns.iter().position(|turn| turn.begin == played.begin) else {
            return Err(format!("#{who} has no turn of begin {}", played.begin));
        };
        let turn = life.turns.remove(at);
        let late = turn.fenced || turn.told.is_some();
        let lost = life.parallel && how == Finish::Commit;
        let expected: &[Told] = match how {
            Finish::Drop => &[Told::Done],
            _ if late => &[Told::Late],
            _ if lost => &[Told::Ended, Told::Lost],
            _ => &[Told::Ended],
        };
        expect(expected, &played.told)?;
        if !turn.fenced {
            self.used(who, played)?;
            if how == Finish::Commit && played.told == Told::Ended {
                self.lives[who].history.push((played.before, Event::Committed));
            }
        }
        self.grant(who, played, answers)
    }

    pub(crate) fn cancel(&mut self, who: usize, played: &Played<'_>, answers: &mut Answers) {
        for turn in self.lives[who].turns.iter_mut().filter(|turn| !turn.fenced) {
            turn.told.get_or_insert(played.before);
        }
        self.refuse_waiting(who, &Refusal::Told, answers);
    }

    pub(crate) fn release(&mut self, played: &Played<'_>) -> Result<(), Wrong> {
        let stands = |life: &Life| life.leases.iter().any(|it| it.number == played.begin);
        let Some(life) = self.lives.iter_mut().find(|life| stands(life)) else {
            return expect(&[Told::Late], &played.told);
        };
        life.leases.retain(|lease| lease.number != played.begin);
        if life.gone().is_none() {
            life.history.push((played.after, Event::Noted));
        }
        expect(&[Told::Done], &played.told)
    }

    /// Leases whose time is over by `now`: it counts from then.
    pub(crate) fn end_leases(&mut self, now: Reading) {
        for life in &mut self.lives {
            let (over, stand) =
                life.leases.drain(..).partition(|lease: &Leased| lease.until <= now.moment);
            life.leases = stand;
            let last = over.iter().max_by_key(|lease| lease.until);
            if let Some(&Leased { until: moment, .. }) = last
                && life.gone().is_none()
            {
                // The wall clock does not jump while time passes.
                let over = Reading { moment, wall: now.wall - (now.moment - moment), ..now };
                // A turn that had to be ended over its holder's head meanwhile was noticed later.
                if over > life.last_used() {
                    life.history.push((over, Event::Noted));
                }
            }
        }
    }

    /// Those that were told to end and have not are ended over their holders' heads.
    pub(crate) fn fence_the_told(
        &mut self,
        played: &Played<'_>,
        answers: &mut Answers,
    ) -> Result<(), Wrong> {
        for who in 0..self.lives.len() {
            let now = played.settled;
            // One that was told by an earlier run ended with it.
            let is_over = |told: Reading| told.run == now.run && told.moment + GRACE <= now.moment;
            let over = |turn: &&mut Open| !turn.fenced && turn.told.is_some_and(is_over);
            let fenced: Vec<_> = self.lives[who].turns.iter_mut().filter(over).collect();
            if !fenced.is_empty() {
                for turn in fenced {
                    turn.fenced = true;
                }
                self.used(who, played)?;
                self.grant(who, played, answers)?;
            }
        }
        Ok(())
    }

    pub(crate) fn verb(
        &mut self,
        who: usize,
        verb: Verb,
        played: &Played<'_>,
        answers: &mut Answers,
    ) -> Result<(), Wrong> {
        self.find_out(who, played, Must::Yes)?;
        if let Some(refusal) = self.refusal(who, played, false) {
            return expect(&refusal, &played.told);
        }
        let now = self.lives[who].standing().1;
        let at = match &played.rows[who] {
            Row::Live { standing, .. } => since(*standing).map(|at| played.at(at)),
            _ => None,
        };
        let at = at.unwrap_or(Ok(played.before));
        let requested = EndReason::Requested;
        let next = match (verb, now) {
            (Verb::Suspend, Standing::Active) => Standing::Suspended {
                reason: SuspendReason::Requested,
                at: stamp(at.clone()?.wall),
            },
            (Verb::Archive, Standing::Active | Standing::Suspended { .. }) => {
                archived(requested, at.clone()?.wall)
            }
            (
                Verb::End,
                Standing::Active | Standing::Suspended { .. } | Standing::Archived { .. },
            ) => Standing::Ended { reason: requested, at: stamp(at.clone()?.wall) },
            (Verb::Resume, Standing::Suspended { .. })
            | (Verb::Restore, Standing::Archived { .. }) => Standing::Active,
            (Verb::Suspend, Standing::Suspended { .. })
            | (Verb::Archive, Standing::Archived { .. })
            | (Verb::End, Standing::Ended { .. })
            | (Verb::Resume | Verb::Restore, Standing::Active) => {
                return expect(&[Told::Done], &played.told);
            }
            _ => return expect(&[Told::Refused(Refusal::Inactive(now))], &played.told),
        };
        expect(&[Told::Done], &played.told)?;
        self.lives[who].history.push((at?, Event::Stands(next)));
        if next.is_active() {
            return self.used(who, played);
        }
        self.lives[who].fence();
        if !next.is_routable() {
            self.lives[who].leases.clear();
        }
        self.refuse_waiting(who, &Refusal::Inactive(next), answers);
        self.perhaps_used(who, played)
    }

    /// Something is said about a session that is no use of it.
    pub(crate) fn patch(
        &mut self,
        who: usize,
        event: Event,
        played: &Played<'_>,
    ) -> Result<(), Wrong> {
        self.find_out(who, played, Must::Yes)?;
        if let Some(refusal) = self.refusal(who, played, false) {
            return expect(&refusal, &played.told);
        }
        self.lives[who].history.push((played.before, event));
        expect(&[Told::Done], &played.told)
    }

    pub(crate) fn rebind(&mut self, key: u8, who: usize, played: &Played<'_>) -> Result<(), Wrong> {
        self.find_out(who, played, Must::Yes)?;
        if let Some(refusal) = self.refusal(who, played, false) {
            return expect(&refusal, &played.told);
        }
        let standing = self.lives[who].standing().1;
        if !standing.is_routable() {
            return expect(&[Told::Refused(Refusal::Inactive(standing))], &played.told);
        }
        self.keys[usize::from(key)] = Some(who);
        expect(&[Told::Done], &played.told)
    }

    pub(crate) fn delete(
        &mut self,
        who: usize,
        played: &Played<'_>,
        answers: &mut Answers,
    ) -> Result<(), Wrong> {
        self.find_out(who, played, Must::May)?;
        if let Some((_, reason)) = self.lives[who].gone() {
            let mut expected = self.refusal(who, played, false).unwrap_or_default();
            expected.push(Told::AlreadyGone(reason));
            return expect(&expected, &played.told);
        }
        expect(&[Told::Deleted], &played.told)?;
        self.refuse_waiting(who, &Refusal::Closing, answers);
        self.goes(who, GoneReason::Deleted, played)
    }

    /// A session is deleted in this step.
    pub(crate) fn goes(
        &mut self,
        who: usize,
        reason: GoneReason,
        played: &Played<'_>,
    ) -> Result<(), Wrong> {
        let Row::Gone { at, .. } = played.rows[who] else {
            return Err(format!("#{who} is not gone, but {:?}", played.rows[who]));
        };
        let at = played.at(at)?;
        self.lives[who].history.push((at, Event::Gone(reason)));
        self.unbind_gone(who);
        Ok(())
    }

    /// Why something cannot be done with a session: what may be told then.
    pub(crate) fn refusal(
        &self,
        who: usize,
        played: &Played<'_>,
        active: bool,
    ) -> Option<Vec<Told>> {
        let life = &self.lives[who];
        if let Some((at, reason)) = life.gone() {
            let mut refusals = vec![Told::Refused(Refusal::Gone(reason))];
            let now = played.settled;
            // A run remembers its own by the clock that does not jump; what the store says of an earlier one's
            // is by the wall clock.
            let by_wall = life.forgotten || now.wall - at.wall >= TOMBSTONES;
            if self.age(at, now).most >= TOMBSTONES || (by_wall && at.run != now.run) {
                refusals.push(Told::Refused(Refusal::Unknown));
            }
            return Some(refusals);
        }
        let standing = life.standing().1;
        (active && !standing.is_active()).then(|| vec![Told::Refused(Refusal::Inactive(standing))])
    }

    /// The session is used in this step.
    pub(crate) fn used(&mut self, who: usize, played: &Played<'_>) -> Result<(), Wrong> {
        let (from, to) = (played.before, played.settled);
        let Row::Live { last_active, .. } = played.rows[who] else {
            return Err(format!("#{who} was used, and is {:?}", played.rows[who]));
        };
        demand!(
            from.wall <= last_active && last_active <= to.wall,
            "#{who}: used from {} to {}, not at {last_active}",
            from.wall,
            to.wall
        );
        let at = Reading { moment: to.moment + last_active - to.wall, wall: last_active, ..to };
        self.lives[who].history.push((at, Event::Used));
        Ok(())
    }

    /// The session may have been used in this step.
    pub(crate) fn perhaps_used(&mut self, who: usize, played: &Played<'_>) -> Result<(), Wrong> {
        let unchanged = self.lives[who].stored_uses();
        match played.rows[who] {
            Row::Live { last_active, .. } if !unchanged.contains(&last_active) => {
                self.used(who, played)
            }
            _ => Ok(()),
        }
    }

    /// Lets the first of those who wait have their turn.
    pub(crate) fn grant(
        &mut self,
        who: usize,
        played: &Played<'_>,
        answers: &mut Vec<(usize, Told)>,
    ) -> Result<(), Wrong> {
        loop {
            let life = &mut self.lives[who];
            let Some((begin, beside)) = life.waiting.first().copied() else { return Ok(()) };
            if life.is_busy() && !beside || !life.is_active() {
                return Ok(());
            }
            life.waiting.remove(0);
            life.turns.push(Open { begin, told: None, fenced: false });
            answers.push((begin, Told::Begun));
            self.used(who, played)?;
        }
    }

    /// Tells everybody who waits.
    pub(crate) fn refuse_waiting(
        &mut self,
        who: usize,
        why: &Refusal,
        answers: &mut Vec<(usize, Told)>,
    ) {
        let waiting = std::mem::take(&mut self.lives[who].waiting);
        answers.extend(waiting.into_iter().map(|(begin, _)| (begin, Told::Refused(why.clone()))));
    }
}

/// Since when a session stands as it does.
pub(crate) fn since(standing: Standing) -> Option<i64> {
    match standing {
        Standing::Suspended { at, .. }
        | Standing::Archived { at, .. }
        | Standing::Ended { at, .. } => Some(millis(at)),
        _ => None,
    }
}

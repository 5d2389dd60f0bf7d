//! What each step has to do, and to tell.

use session_supervisor::{
    EndReason, ExpiryAction, ExpiryClock, ExpiryRules, Fate, GoneReason, KeptBy, RebindReason,
    Standing, SuspendReason,
};

use crate::history::{CLASSES, Change, Finish, KEYS, Mood, Policy, Step, Stop, Verb};
use crate::model::{
    Account, Event, GRACE, Leased, Life, Must, Open, Played, Reading, Refusal, Report, Row,
    TOMBSTONES, Told, Verdict, World, Wrong, archived, demand, millis, stamp,
};

/// What begins that had waited are told.
type Answers = Vec<(usize, Told)>;

impl World {
    /// Takes a step in, and says what is wrong with what came of it.
    pub(crate) fn play(&mut self, played: &Played<'_>) -> Result<(), Wrong> {
        let mut answers = Answers::new();
        let mut seen_to = Vec::new();
        self.fence_the_told(played, &mut answers)?;
        self.end_leases(played.after);
        self.step(played, &mut answers, &mut seen_to)?;
        for who in 0..self.lives.len() {
            if !seen_to.contains(&who) {
                self.in_passing(who, played)?;
            }
        }
        self.end_leases(played.settled);
        self.compare(played, &answers)
    }

    fn step(
        &mut self,
        played: &Played<'_>,
        answers: &mut Answers,
        seen_to: &mut Vec<usize>,
    ) -> Result<(), Wrong> {
        let who = played.who;
        demand!(played.told != Told::Nothing, "there is no answer");
        if played.told == Told::Skipped {
            return Ok(());
        }
        seen_to.extend(who);
        match played.step {
            Step::Open { key, class, own } => {
                seen_to.extend(self.keys[usize::from(*key)]);
                let (fresh, previous) = self.follow(*key, played)?;
                self.opened(*key, fresh, previous, *class, own.clone(), played)
            }
            Step::Create { class, own } => {
                self.create(None, *class, own.clone(), None, played)?;
                Ok(())
            }
            Step::Reset { key, class } => self.reset(*key, *class, played, answers, seen_to),
            Step::Say { key } => {
                seen_to.extend(self.keys[usize::from(*key)]);
                let (fresh, previous) = self.follow(*key, played)?;
                let who = if fresh {
                    let who = self.create(Some(*key), None, None, previous, played)?;
                    self.keys[usize::from(*key)] = Some(who);
                    who
                } else {
                    self.keys[usize::from(*key)].unwrap()
                };
                self.begin(who, Policy::Reject, played)
            }
            Step::Begin { policy, .. } => {
                self.find_out(who.unwrap(), played, Must::Yes)?;
                self.begin(who.unwrap(), *policy, played)
            }
            Step::Finish { how, .. } => self.finish(who.unwrap(), *how, played, answers),
            Step::Change { .. } => {
                let who = who.unwrap();
                self.find_out(who, played, Must::Yes)?;
                // A line for people is no part of the conversation.
                let is_label = matches!(played.step, Step::Change { what: Change::Label, .. });
                if let Some(refusal) = self.refusal(who, played, !is_label) {
                    return expect(&refusal, &played.told);
                }
                expect(&[Told::Done], &played.told)?;
                if is_label { Ok(()) } else { self.used(who, played) }
            }
            Step::Touch { .. } | Step::Lease { .. } => {
                let who = who.unwrap();
                self.find_out(who, played, Must::Yes)?;
                // Work for it may go on while it is suspended.
                let is_lease = matches!(played.step, Step::Lease { .. });
                let routable = self.lives[who].standing().1.is_routable();
                if let Some(refusal) = self.refusal(who, played, !(is_lease && routable)) {
                    return expect(&refusal, &played.told);
                }
                expect(&[Told::Done], &played.told)?;
                let life = &mut self.lives[who];
                life.history.push((played.after, Event::Noted));
                if let Step::Lease { millis, .. } = played.step {
                    let (number, after) = (played.begin, played.after);
                    let millis = i64::try_from(*millis).unwrap();
                    let (until, wall) = (after.moment + millis, after.wall + millis);
                    life.leases.push(Leased { number, until, wall });
                }
                Ok(())
            }
            Step::Renew { millis, .. } => {
                let mut leases = self.lives.iter_mut().flat_map(|life| &mut life.leases);
                let lease = leases.find(|lease| lease.number == played.begin);
                let Some(lease) = lease else { return expect(&[Told::Late], &played.told) };
                lease.until = played.after.moment + i64::try_from(*millis).unwrap();
                lease.wall = played.after.wall + i64::try_from(*millis).unwrap();
                expect(&[Told::Done], &played.told)
            }
            Step::Release { .. } => self.release(played),
            Step::Look { .. } => {
                self.find_out(who.unwrap(), played, Must::Yes)?;
                Ok(())
            }
            Step::LookUp { .. } => {
                let who = who.unwrap();
                self.find_out(who, played, Must::Yes)?;
                let refusal = self.refusal(who, played, false);
                expect(&refusal.unwrap_or(vec![Told::Found]), &played.told)
            }
            Step::Cancel { .. } => self.cancel(who.unwrap(), played, answers),
            Step::Verb { verb, .. } => self.verb(who.unwrap(), *verb, played, answers),
            Step::Pin { pinned, .. } => self.patch(who.unwrap(), Event::Pinned(*pinned), played),
            Step::Rules { own, .. } => self.patch(who.unwrap(), Event::Own(own.clone()), played),
            Step::Rebind { key, .. } => self.rebind(*key, who.unwrap(), played),
            Step::Unbind { key } => {
                expect(&[Told::Done], &played.told)?;
                self.keys[usize::from(*key)] = None;
                Ok(())
            }
            Step::Delete { .. } => self.delete(who.unwrap(), played, answers),
            Step::Explain { .. } => {
                let Told::Explained(account) = &played.told else {
                    return Err(format!("told {:?}", played.told));
                };
                let who = who.unwrap();
                if played.before == played.after {
                    self.explained(who, account.as_ref(), played.after)?;
                }
                self.find_out(who, played, Must::Never).map(|_| ())
            }
            Step::Prune { dry } => self.pass(*dry, played, seen_to),
            Step::Restart { how, .. } => self.stop(*how, played, seen_to),
            Step::Started => self.started(played, seen_to),
            Step::Wait { .. } | Step::Edge { .. } | Step::Jump { .. } | Step::Mood { .. } => {
                seen_to.clear();
                Ok(())
            }
        }
    }

    /// What becomes of those who have nothing to do with the step.
    fn in_passing(&mut self, who: usize, played: &Played<'_>) -> Result<(), Wrong> {
        let every = i64::try_from(self.settings().prune_every).unwrap();
        if every == 0 {
            let asked = played.asked.iter().any(|asked| asked.who == who);
            demand!(!asked, "#{who}: the hook was asked, and nobody came");
            return Ok(());
        }
        // There is a pass within that time.
        let passes = played.settled.moment - played.before.moment > every;
        let is_step = matches!(played.step, Step::Wait { .. } | Step::Edge { .. });
        let must = if passes && is_step { Must::Yes } else { Must::May };
        self.purge(who, must, played)?;
        self.find_out(who, played, must).map(|_| ())
    }

    /// Where a key leads: whether to a fresh session, and what is told of the one before.
    fn follow(
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

    fn opened(
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
    fn create(
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
            forgotten: false,
            parallel: false,
        });
        Ok(who)
    }

    fn reset(
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
    fn begin(&mut self, who: usize, policy: Policy, played: &Played<'_>) -> Result<(), Wrong> {
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

    fn finish(
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

    fn cancel(
        &mut self,
        who: usize,
        played: &Played<'_>,
        answers: &mut Answers,
    ) -> Result<(), Wrong> {
        for turn in self.lives[who].turns.iter_mut().filter(|turn| !turn.fenced) {
            turn.told.get_or_insert(played.before);
        }
        self.refuse_waiting(who, &Refusal::Told, answers);
        Ok(())
    }

    fn release(&mut self, played: &Played<'_>) -> Result<(), Wrong> {
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
    fn end_leases(&mut self, now: Reading) {
        for life in &mut self.lives {
            let (over, stand) =
                life.leases.drain(..).partition(|lease: &Leased| lease.until <= now.moment);
            life.leases = stand;
            let last = over.iter().max_by_key(|lease| lease.until);
            if let Some(&Leased { until: moment, wall, .. }) = last {
                if life.gone().is_none() {
                    life.history.push((Reading { moment, wall, ..now }, Event::Noted));
                }
            }
        }
    }

    /// Those that were told to end and have not are ended over their holders' heads.
    fn fence_the_told(&mut self, played: &Played<'_>, answers: &mut Answers) -> Result<(), Wrong> {
        for who in 0..self.lives.len() {
            let over = |turn: &&mut Open| {
                let left = |told: Reading| told.moment + GRACE - played.settled.moment;
                !turn.fenced && turn.told.is_some_and(|told| left(told) <= 0)
            };
            let fenced: Vec<_> = self.lives[who].turns.iter_mut().filter(over).collect();
            if !fenced.is_empty() {
                fenced.into_iter().for_each(|turn| turn.fenced = true);
                self.used(who, played)?;
                self.grant(who, played, answers)?;
            }
        }
        Ok(())
    }

    fn verb(
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
    fn patch(&mut self, who: usize, event: Event, played: &Played<'_>) -> Result<(), Wrong> {
        self.find_out(who, played, Must::Yes)?;
        if let Some(refusal) = self.refusal(who, played, false) {
            return expect(&refusal, &played.told);
        }
        self.lives[who].history.push((played.before, event));
        expect(&[Told::Done], &played.told)
    }

    fn rebind(&mut self, key: u8, who: usize, played: &Played<'_>) -> Result<(), Wrong> {
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

    fn delete(
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
    fn goes(&mut self, who: usize, reason: GoneReason, played: &Played<'_>) -> Result<(), Wrong> {
        let Row::Gone { at, .. } = played.rows[who] else {
            return Err(format!("#{who} is not gone, but {:?}", played.rows[who]));
        };
        let at = played.at(at)?;
        self.lives[who].history.push((at, Event::Gone(reason)));
        self.unbind_gone(who);
        Ok(())
    }

    /// Whoever was closed for long enough is deleted by a pass.
    fn purge(&mut self, who: usize, must: Must, played: &Played<'_>) -> Result<(), Wrong> {
        if matches!(played.rows[who], Row::Gone { reason: GoneReason::Purged, .. })
            && self.lives[who].gone().is_none()
        {
            let may = self.may_be_purged(who, played);
            demand!(may, "#{who}: deleted before its time, or kept by something");
            return self.goes(who, GoneReason::Purged, played);
        }
        let must = must == Must::Yes && self.must_be_purged(who, played);
        demand!(!must, "#{who}: closed for long, and not deleted");
        Ok(())
    }

    fn closed_for(&self, who: usize, now: Reading) -> Option<(i64, i64, i64)> {
        let life = &self.lives[who];
        let (at, standing) = life.standing();
        let limit = i64::try_from(self.settings().delete_closed_after).unwrap();
        let closed = life.gone().is_none() && !standing.is_routable() && !life.pinned();
        let age = self.age(at, now);
        (closed && limit > 0).then_some((age.least, age.most, limit))
    }

    fn may_be_purged(&self, who: usize, played: &Played<'_>) -> bool {
        let closed = self.closed_for(who, played.settled);
        closed.is_some_and(|(_, most, limit)| most >= limit)
    }

    fn must_be_purged(&self, who: usize, played: &Played<'_>) -> bool {
        let closed = self.closed_for(who, played.before);
        closed.is_some_and(|(least, _, limit)| least >= limit)
    }

    /// Somebody asks for a pass.
    fn pass(
        &mut self,
        dry: bool,
        played: &Played<'_>,
        seen_to: &mut Vec<usize>,
    ) -> Result<(), Wrong> {
        let Told::Report(report) = &played.told else {
            return Err(format!("told {:?}", played.told));
        };
        demand!(report.failures.is_empty(), "failures: {:?}", report.failures);
        let mut deleted = (0, 0);
        for who in 0..self.lives.len() {
            seen_to.push(who);
            let (least, most) = self.passed(who, dry, report, played)?;
            deleted = (deleted.0 + least, deleted.1 + most);
        }
        let within = deleted.0 <= report.deleted && report.deleted <= deleted.1;
        demand!(within, "{} deleted, not {deleted:?}", report.deleted);
        let known = report.expired.iter().map(|it| it.0).chain(report.kept.iter().map(|it| it.0));
        let mut known: Vec<usize> = known.collect();
        known.sort_unstable();
        let all = known.len();
        known.dedup();
        demand!(all == known.len(), "told twice of one: {report:?}");
        Ok(())
    }

    /// A pass comes to a session; answers how many were deleted by it, at least and at most.
    fn passed(
        &mut self,
        who: usize,
        dry: bool,
        report: &Report,
        played: &Played<'_>,
    ) -> Result<(usize, usize), Wrong> {
        let expired = report.expired.iter().find(|it| it.0 == who);
        let kept = report.kept.iter().find(|it| it.0 == who);
        let must_go = self.must_be_purged(who, played);
        let may_go = self.may_be_purged(who, played);
        let (may, surely) = (
            self.lives[who].is_active() && self.may_be_over(who, played.settled),
            self.lives[who].is_active() && self.is_surely_over(who, played.before),
        );
        let vetoes = self.lives[who].vetoes();
        let first = expired.is_none_or(|(_, clock, _)| {
            self.is_first_over(who, *clock, played.before, played.settled)
        });
        let verdict = self.find_out(who, played, if dry { Must::Never } else { Must::Yes })?;
        let last_used = self.lives[who].last_used().wall;
        if let Some((_, clock, last_active)) = expired {
            demand!(may && vetoes.is_empty(), "#{who}: the pass would end it, or did");
            demand!(first, "#{who}: the pass says {clock:?}");
            demand!(*last_active == last_used, "#{who}: last used at {last_used}");
        }
        if let Some((_, by)) = kept {
            demand!(may, "#{who}: the pass would end it but for {by:?}");
            let asked = played.asked.iter().rfind(|asked| asked.who == who);
            let expected = match asked.map(|asked| asked.mood) {
                _ if !vetoes.is_empty() => vetoes.clone(),
                Some(Mood::Keeps) => vec![KeptBy::Hook],
                Some(Mood::Fails | Mood::Panics | Mood::Hangs) => vec![KeptBy::HookFailed],
                Some(Mood::Well) | None => Vec::new(),
            };
            demand!(same(by, &expected), "#{who}: kept by {expected:?}");
        }
        // What is pinned is not looked at.
        let told = expired.is_some() || kept.is_some();
        let pinned = vetoes.contains(&KeptBy::Pinned);
        demand!(!surely || told != pinned, "#{who}: told {kept:?}, pinned {pinned}");
        demand!(
            dry || (verdict == Verdict::Ended) == expired.is_some(),
            "#{who}: {verdict:?}, but told {expired:?}"
        );
        let (_, _, action) = self.rules(&self.lives[who]);
        let by_expiry = usize::from(expired.is_some() && action == ExpiryAction::Delete);
        if dry {
            return Ok((by_expiry + usize::from(must_go), by_expiry + usize::from(may_go)));
        }
        let before = self.lives[who].gone().is_some();
        self.purge(who, Must::Yes, played)?;
        let purged = usize::from(!before && self.lives[who].gone().is_some());
        Ok((by_expiry + purged, by_expiry + purged))
    }

    /// The run ends.
    fn stop(
        &mut self,
        how: Stop,
        played: &Played<'_>,
        seen_to: &mut Vec<usize>,
    ) -> Result<(), Wrong> {
        for who in 0..self.lives.len() {
            let busy = self.lives[who].is_busy();
            if how == Stop::Shutdown && busy {
                seen_to.push(who);
                self.lives[who].turns.clear();
                self.used(who, played)?;
            }
            let life = &mut self.lives[who];
            life.waiting.clear();
            life.leases.clear();
            // What was noted of it counts as far as it was stored.
            if let Row::Live { last_active, .. } = played.rows[who] {
                let stored = life.stored_uses().contains(&last_active);
                demand!(
                    stored || busy,
                    "#{who}: last used at {last_active}, not {:?}",
                    life.stored_uses()
                );
                life.forget_noted(last_active);
            }
        }
        Ok(())
    }

    /// The next one has begun.
    fn started(&mut self, played: &Played<'_>, seen_to: &mut Vec<usize>) -> Result<(), Wrong> {
        for who in 0..self.lives.len() {
            seen_to.push(who);
            let life = &mut self.lives[who];
            if life.is_busy() {
                life.history.push((played.before, Event::Crashed));
                if life.crashes() >= 3 && life.is_active() {
                    let Row::Live { standing, .. } = played.rows[who] else {
                        return Err(format!("#{who} is {:?}", played.rows[who]));
                    };
                    let at = played.at(since(standing).unwrap_or_default())?;
                    let (reason, stamp) = (SuspendReason::CrashLoop, stamp(at.wall));
                    let standing = Standing::Suspended { reason, at: stamp };
                    life.history.push((at, Event::Stands(standing)));
                }
            }
            life.turns.clear();
            // The first pass.
            if self.settings().prune_every > 0 {
                self.purge(who, Must::Yes, played)?;
                self.find_out(who, played, Must::Yes)?;
            }
        }
        Ok(())
    }

    /// Why something cannot be done with a session: what may be told then.
    fn refusal(&self, who: usize, played: &Played<'_>, active: bool) -> Option<Vec<Told>> {
        let life = &self.lives[who];
        if let Some((at, reason)) = life.gone() {
            let mut refusals = vec![Told::Refused(Refusal::Gone(reason))];
            let over = self.age(at, played.settled).most >= TOMBSTONES;
            // A run remembers its own by the clock that does not jump.
            if over || (life.forgotten && at.run != played.settled.run) {
                refusals.push(Told::Refused(Refusal::Unknown));
            }
            return Some(refusals);
        }
        let standing = life.standing().1;
        (active && !standing.is_active()).then(|| vec![Told::Refused(Refusal::Inactive(standing))])
    }

    /// Whether what is explained is so.
    fn explained(&self, who: usize, account: Option<&Account>, now: Reading) -> Result<(), Wrong> {
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
    fn compare(&mut self, played: &Played<'_>, answers: &Answers) -> Result<(), Wrong> {
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

impl Played<'_> {
    /// When the wall clock showed that, if it was within the step.
    fn at(&self, wall: i64) -> Result<Reading, Wrong> {
        let (from, to) = (self.before, self.settled);
        demand!(
            from.wall <= wall && wall <= to.wall,
            "it is said to have been at {wall}, and was from {} to {}",
            from.wall,
            to.wall
        );
        Ok(Reading { moment: to.moment + wall - to.wall, wall, ..to })
    }
}

/// Whether both say the same, in any order.
fn same(some: &[KeptBy], others: &[KeptBy]) -> bool {
    some.len() == others.len() && some.iter().all(|it| others.contains(it))
}

/// Since when a session stands as it does.
fn since(standing: Standing) -> Option<i64> {
    match standing {
        Standing::Suspended { at, .. }
        | Standing::Archived { at, .. }
        | Standing::Ended { at, .. } => Some(millis(at)),
        _ => None,
    }
}

/// An error unless what was told is one of these.
fn expect(expected: &[Told], told: &Told) -> Result<(), Wrong> {
    demand!(expected.contains(told), "told {told:?}, not {expected:?}");
    Ok(())
}

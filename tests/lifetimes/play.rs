//! What each step has to do, and to tell.

use crate::history::{Change, Policy, Step};
use crate::model::{Event, Leased, Must, Played, Reading, Told, World, Wrong, demand};

/// What begins that had waited are told.
pub(crate) type Answers = Vec<(usize, Told)>;

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
                    let until = after.moment + i64::try_from(*millis).unwrap();
                    life.leases.push(Leased { number, until });
                }
                Ok(())
            }
            Step::Renew { millis, .. } => {
                let mut leases = self.lives.iter_mut().flat_map(|life| &mut life.leases);
                let lease = leases.find(|lease| lease.number == played.begin);
                let Some(lease) = lease else { return expect(&[Told::Late], &played.told) };
                lease.until = played.after.moment + i64::try_from(*millis).unwrap();
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
            Step::Cancel { .. } => {
                self.cancel(who.unwrap(), played, answers);
                Ok(())
            }
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
                self.find_out(who, played, self.look(who, played)).map(|_| ())
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
}

impl Played<'_> {
    /// When the wall clock showed that, if it was within the step.
    pub(crate) fn at(&self, wall: i64) -> Result<Reading, Wrong> {
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

/// An error unless what was told is one of these.
pub(crate) fn expect(expected: &[Told], told: &Told) -> Result<(), Wrong> {
    demand!(expected.contains(told), "told {told:?}, not {expected:?}");
    Ok(())
}

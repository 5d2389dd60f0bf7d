//! What a pass, a stop and a start have to come to.

use session_supervisor::{ExpiryAction, GoneReason, KeptBy, Standing, SuspendReason};

use crate::acts::since;
use crate::compare::same;
use crate::history::{Mood, Stop};
use crate::model::{
    Event, Must, Played, Reading, Report, Row, Told, Verdict, World, Wrong, demand, stamp,
};

impl World {
    /// Whoever was closed for long enough is deleted by a pass.
    pub(crate) fn purge(
        &mut self,
        who: usize,
        must: Must,
        played: &Played<'_>,
    ) -> Result<(), Wrong> {
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

    pub(crate) fn closed_for(&self, who: usize, now: Reading) -> Option<(i64, i64, i64)> {
        let life = &self.lives[who];
        let (at, standing) = life.standing();
        let limit = i64::try_from(self.settings().delete_closed_after).unwrap();
        let closed = life.gone().is_none() && !standing.is_routable() && !life.pinned();
        let age = self.age(at, now);
        (closed && limit > 0).then_some((age.least, age.most, limit))
    }

    pub(crate) fn may_be_purged(&self, who: usize, played: &Played<'_>) -> bool {
        let closed = self.closed_for(who, played.settled);
        closed.is_some_and(|(_, most, limit)| most >= limit)
    }

    pub(crate) fn must_be_purged(&self, who: usize, played: &Played<'_>) -> bool {
        let closed = self.closed_for(who, played.before);
        closed.is_some_and(|(least, _, limit)| least >= limit)
    }

    /// Somebody asks for a pass.
    pub(crate) fn pass(
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
    pub(crate) fn passed(
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
        let verdict =
            self.find_out(who, played, if dry { self.look(who, played) } else { Must::Yes })?;
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
        let ahead = self.is_filed_ahead(who, played.before);
        demand!(!surely || ahead || told != pinned, "#{who}: told {kept:?}, pinned {pinned}");
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
    pub(crate) fn stop(
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
    pub(crate) fn started(
        &mut self,
        played: &Played<'_>,
        seen_to: &mut Vec<usize>,
    ) -> Result<(), Wrong> {
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
}

//! Whether a session has ended by itself, and whether it had to.

use session_supervisor::{EndReason, ExpiryAction, ExpiryClock, GoneReason, Standing};

use crate::history::{Mood, Step, Verb};
use crate::model::{
    Asked, Event, Must, Played, Question, Reading, Row, Verdict, World, Wrong, archived, demand,
    millis,
};

impl World {
    /// Whether a session was ended since it was seen last, as far as the store says, because its time was
    /// over: by which clock, and when.
    pub(crate) fn seen_ended(&self, who: usize, played: &Played<'_>) -> Option<(ExpiryClock, i64)> {
        let life = &self.lives[who];
        if !life.is_active() {
            return None;
        }
        let row = &played.rows[who];
        let hidden = match (played.step, row) {
            // It was over, and restored at once.
            (Step::Verb { verb: Verb::Restore, .. }, Row::Live { last_active, .. }) => {
                *last_active != life.stored
            }
            // It is ended either way.
            (Step::Verb { verb: Verb::End, .. }, Row::Live { .. }) => true,
            _ => false,
        };
        let (_, _, action) = self.rules(life);
        if hidden && played.who == Some(who) && action == ExpiryAction::Archive {
            let mut clocks = self.clocks(who, played.settled).into_iter().map(|(clock, ..)| clock);
            let over = |clock: &ExpiryClock| {
                self.is_first_over(who, *clock, played.before, played.settled)
            };
            return clocks.find(over).map(|clock| (clock, played.before.wall));
        }
        match row {
            Row::Live {
                standing: Standing::Archived { reason: EndReason::Expired(clock), at },
                ..
            } => Some((*clock, millis(*at))),
            Row::Gone { reason: GoneReason::Expired(clock), at, .. } => Some((*clock, *at)),
            _ => None,
        }
    }

    /// Finds out whether the session's time is over, and takes in what comes of it.
    pub(crate) fn find_out(
        &mut self,
        who: usize,
        played: &Played<'_>,
        must: Must,
    ) -> Result<Verdict, Wrong> {
        let (from, to) = (played.before, played.settled);
        let is_pass = matches!(played.step, Step::Prune { .. });
        // Nobody uses it but a pass, which may not come to it.
        let passes = is_pass || played.who != Some(who);
        let must = match must {
            Must::Yes if passes && self.is_filed_ahead(who, from) => Must::May,
            must => must,
        };
        let asked: Vec<&Asked> = played.asked.iter().filter(|asked| asked.who == who).collect();
        let life = &self.lives[who];
        let kept = !life.vetoes().is_empty();
        let may = life.is_active() && self.may_be_over(who, to);
        if !may || kept {
            demand!(asked.is_empty(), "#{who}: the hook was asked without need");
            let over = may && self.is_surely_over(who, from);
            return Ok(if over { Verdict::Kept } else { Verdict::GoesOn });
        }
        // What a pass has read, and is stored as used later before it is ended, stays until the next one: a pass
        // that nobody asked for comes at the same moment as the look that stores it.
        let behind = self.lives[who].stored != self.lives[who].last_used().wall
            && self.settings().prune_every > 0
            && !is_pass
            && (played.who != Some(who) || matches!(played.step, Step::Edge { .. }));
        for question in &asked {
            let Asked { clock, last_active, .. } = question;
            let first = self.is_first_over(who, *clock, from, to);
            demand!(first, "#{who}: the hook was told of {clock:?}");
            let used = self.lives[who].last_used().wall;
            demand!(*last_active == used, "#{who}: the hook was told {last_active}, not {used}");
        }
        let seen = self.seen_ended(who, played);
        let surely = self.is_surely_over(who, from);
        let asks = self.settings().hook;
        let spared = !is_pass && self.is_spared(who, from);
        demand!(
            must != Must::Yes || !surely || !asks || !asked.is_empty() || spared || behind,
            "#{who}: the hook was not asked"
        );
        let ended = if asks {
            self.ended_by_hook(who, played, &asked)?
        } else {
            (surely && must == Must::Yes) || seen.is_some()
        };
        let ended = if behind { seen.is_some() } else { ended };
        if !ended || must == Must::Never {
            let kept = asked.iter().any(|asked| asked.mood != Mood::Well);
            if kept {
                self.lives[who].history.push((to, Event::Spared));
            }
            return Ok(if kept { Verdict::Kept } else { Verdict::GoesOn });
        }
        let Some((clock, at)) = seen else {
            return Err(format!("#{who}: its time is over, but there is {:?}", played.rows[who]));
        };
        demand!(from.wall <= at && at <= to.wall, "#{who}: ended at {at}, in {from:?} to {to:?}");
        demand!(self.is_first_over(who, clock, from, to), "#{who}: ended by {clock:?}");
        let (_, _, action) = self.rules(&self.lives[who]);
        let event = match action {
            ExpiryAction::Archive => Event::Stands(archived(EndReason::Expired(clock), at)),
            ExpiryAction::Delete => Event::Gone(GoneReason::Expired(clock)),
            _ => return Err(format!("unknown action {action:?}")),
        };
        let reading = Reading { moment: to.moment + at - to.wall, wall: at, ..to };
        self.lives[who].history.push((reading, event));
        self.unbind_gone(who);
        Ok(Verdict::Ended)
    }

    /// Whether the store has it as used later than the wall clock shows, which was put back: a pass, which goes by
    /// what is stored, does not come to it before that is put right.
    pub(crate) fn is_filed_ahead(&self, who: usize, now: Reading) -> bool {
        self.lives[who].stored > now.wall
    }

    /// Whether nobody has come to the session but somebody who only looks: a pass that nobody asked for may have, in
    /// the same moment.
    pub(crate) fn only_looks(&self, who: usize, played: &Played<'_>) -> bool {
        let looks = matches!(played.step, Step::Explain { .. } | Step::Prune { dry: true });
        let passed = self.settings().prune_every > 0 && self.seen_ended(who, played).is_some();
        looks && !passed
    }

    /// What a look has to find out.
    pub(crate) fn look(&self, who: usize, played: &Played<'_>) -> Must {
        if self.only_looks(who, played) { Must::Never } else { Must::May }
    }

    /// What the hook's answers came to.
    pub(crate) fn ended_by_hook(
        &mut self,
        who: usize,
        played: &Played<'_>,
        asked: &[&Asked],
    ) -> Result<bool, Wrong> {
        let attempts = usize::try_from(self.settings().attempts).unwrap();
        let looks = self.only_looks(who, played);
        let mut free = false;
        let mut ended = false;
        for question in asked {
            demand!(!ended, "#{who}: the hook was asked about what had been ended");
            match question.question {
                Question::Keeps => free = question.mood == Mood::Well,
                Question::Rites => {
                    demand!(free, "#{who}: last rites for what is kept");
                    demand!(!looks, "#{who}: last rites by somebody who only looks");
                    if question.mood != Mood::Well {
                        self.lives[who].history.push((played.before, Event::RitesFailed));
                    }
                    let failed = self.lives[who].rites_failed(played.before.run);
                    ended = question.mood == Mood::Well || failed >= attempts;
                    free = false;
                }
            }
        }
        demand!(!free || looks, "#{who}: no last rites");
        Ok(ended)
    }

    /// No key leads to what is gone.
    pub(crate) fn unbind_gone(&mut self, who: usize) {
        if self.lives[who].gone().is_some() {
            self.lives[who].fence();
            self.lives[who].leases.clear();
            for key in &mut self.keys {
                key.take_if(|bound| *bound == who);
            }
        }
    }
}

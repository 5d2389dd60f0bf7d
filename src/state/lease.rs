//! Leases: work beside the turns, for which the session is kept for a time.
//!
//! A lease is over at its time whether anybody looks or not: whoever reads compares it with the clock, and
//! an alarm tells it once. It counts as use when it is taken and when it ends: given back then, or at its
//! time, not when that is noticed. A state that was left after a failed write keeps its leases until the
//! session is loaded again and takes them over, so that they outlive it.
//!
//! What races is decided by the lock. A renewal that comes before the time of a lease keeps it, and the
//! alarm finds nothing; one that comes later is told that it is over, whether the alarm has rung or not.

use std::time::Duration;

use super::{Effect, Phase, Ports, SessionState, Step};
use crate::clock::{Moment, Now, Timestamp};
use crate::id::InstanceId;
use crate::rt::CancellationToken;
use crate::standing::Standing;
use crate::tombstone::Tombstone;

/// A lease that stands: work for which a session is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseInfo {
    /// Tells it from every other lease of this run of the process.
    pub number: u64,
    /// Its name, if it was taken under one.
    pub name: Option<String>,
    /// Which run of the process holds it.
    pub owner: InstanceId,
    /// What it is for, in the words of who took it.
    pub purpose: String,
    /// When it was taken.
    pub since: Timestamp,
    /// When it is over, unless it is renewed before.
    pub until: Timestamp,
}

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    /// It was given back.
    Released,
    /// Its time was over.
    Expired,
    /// Its session ended.
    Dropped,
}

impl LeaseEnd {
    /// As a label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
        }
    }
}

/// Which lease.
#[derive(Clone, Debug)]
pub(crate) enum LeaseKey {
    /// By its number.
    Number(u64),
    /// By its name.
    Name(String),
}

/// What is to be done with a lease.
#[derive(Clone, Debug)]
pub(crate) enum LeaseOp {
    /// Take one; or renew the one of that name.
    Take {
        /// Its number, if it is a new one.
        number: u64,
        /// Its name.
        name: Option<String>,
        /// What it is for.
        purpose: String,
        /// How long.
        max_age: Duration,
        /// How many may stand.
        max: usize,
    },
    /// Let it last for so long from now on.
    Renew {
        /// Which.
        lease: LeaseKey,
        /// How long.
        max_age: Duration,
    },
    /// Give it back.
    Release {
        /// Which.
        lease: LeaseKey,
    },
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseAnswer {
    /// It stands until then.
    Stands(Timestamp),
    /// It was given back.
    Released,
    /// There is none, or none any more.
    Over,
    /// As many stand as may.
    TooMany,
    /// Not in this state: load the session and ask again.
    Left,
    /// The time of the session is over: expire it, and ask again.
    Due,
    /// The session does not stand for it.
    Shut(Standing),
    /// The session is being deleted.
    Closing,
    /// The session was deleted.
    Gone(Tombstone),
}

/// The leases of a session. There is at least one.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    /// In the order in which they were taken. Some may be over and not be told yet.
    held: Vec<Held>,
    /// When the alarm rings that tells of the first that is over, and what keeps it waiting.
    alarm: Option<(Moment, Bell)>,
}

/// Keeps an alarm waiting for as long as there is something to tell: a lease for two days that is given back
/// after a minute would otherwise leave a task behind that sleeps for two days.
#[derive(Debug, Default)]
struct Bell(CancellationToken);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// One of them.
#[derive(Debug)]
struct Held {
    /// What is to be seen of it.
    info: LeaseInfo,
    /// When it is over.
    until: Moment,
}

impl Held {
    /// Whether it is over at `now`.
    fn is_over(&self, now: Moment) -> bool {
        self.until <= now
    }

    /// When it was over, as both clocks would have shown it: the wall clock may have jumped since it was said
    /// when that is to be.
    fn over(&self, now: Now) -> Now {
        now.back_at(self.until)
    }

    /// Whether it is the one that is meant.
    fn is(&self, lease: &LeaseKey) -> bool {
        match lease {
            LeaseKey::Number(number) => self.info.number == *number,
            LeaseKey::Name(name) => self.info.name.as_ref() == Some(name),
        }
    }

    /// Lets it last for `max_age` from `now` on; answers until when.
    fn extend(&mut self, max_age: Duration, now: Now) -> Timestamp {
        self.until = now.moment.plus(max_age);
        self.info.until = now.wall.plus(max_age);
        self.info.until
    }
}

impl<P: Ports> SessionState<P> {
    /// Takes, renews or gives back a lease.
    pub(super) fn lease(&mut self, op: LeaseOp, step: &mut Step<'_, P>) {
        self.expire_leases(step);
        let answer = match op {
            LeaseOp::Take { number, name, purpose, max_age, max } => {
                let lease = (number, name, purpose);
                self.refuse_lease(step.now)
                    .unwrap_or_else(|| self.take_lease(lease, max_age, max, step))
            }
            LeaseOp::Renew { lease, max_age } => {
                let held = self.find_lease(&lease);
                held.map_or(LeaseAnswer::Over, |it| {
                    LeaseAnswer::Stands(it.extend(max_age, step.now))
                })
            }
            LeaseOp::Release { lease } => self.release_lease(&lease, step),
        };
        self.arm_leases(step);
        step.effects.push(Effect::Leased { answer });
    }

    /// Why none can be taken, if none can.
    fn refuse_lease(&mut self, now: Now) -> Option<LeaseAnswer> {
        match &self.phase {
            Phase::Live => self.due(now).map(|_| LeaseAnswer::Due),
            // It is to go on.
            Phase::Shut(standing) if standing.is_routable() => None,
            Phase::Shut(standing) => Some(LeaseAnswer::Shut(*standing)),
            Phase::Closing(_) => Some(LeaseAnswer::Closing),
            Phase::Gone(tombstone) => Some(LeaseAnswer::Gone(**tombstone)),
            Phase::Left => Some(LeaseAnswer::Left),
        }
    }

    /// Takes one, unless there are too many; or renews the one of that name.
    fn take_lease(
        &mut self,
        (number, name, purpose): (u64, Option<String>, String),
        max_age: Duration,
        max: usize,
        step: &mut Step<'_, P>,
    ) -> LeaseAnswer {
        let now = step.now;
        if let Some(name) = &name
            && let Some(held) = self.find_lease(&LeaseKey::Name(name.clone()))
        {
            held.info.purpose = purpose;
            return LeaseAnswer::Stands(held.extend(max_age, now));
        }
        if self.leases.as_ref().is_some_and(|leases| leases.held.len() >= max) {
            return LeaseAnswer::TooMany;
        }
        let (since, until) = (now.wall, now.wall.plus(max_age));
        let info = LeaseInfo { number, name, owner: self.instance, purpose, since, until };
        let held = Held { info: info.clone(), until: now.moment.plus(max_age) };
        self.leases.get_or_insert_default().held.push(held);
        self.note_use(now);
        step.effects.push(Effect::LeaseTaken { lease: Box::new(info) });
        LeaseAnswer::Stands(until)
    }

    /// Gives one back, if it stands.
    fn release_lease(&mut self, lease: &LeaseKey, step: &mut Step<'_, P>) -> LeaseAnswer {
        let Some(leases) = &mut self.leases else { return LeaseAnswer::Over };
        let Some(place) = leases.held.iter().position(|held| held.is(lease)) else {
            return LeaseAnswer::Over;
        };
        let held = leases.held.remove(place);
        self.note_use(step.now);
        self.end_lease(held, LeaseEnd::Released, step);
        LeaseAnswer::Released
    }

    /// One that stands.
    fn find_lease(&mut self, lease: &LeaseKey) -> Option<&mut Held> {
        self.leases.as_mut()?.held.iter_mut().find(|held| held.is(lease))
    }

    /// Tells of one that has ended, and was taken off.
    fn end_lease(&mut self, held: Held, end: LeaseEnd, step: &mut Step<'_, P>) {
        self.leases.take_if(|leases| leases.held.is_empty());
        step.effects.push(Effect::LeaseEnded { lease: Box::new(held.info), end });
    }

    /// Takes off those whose time is over.
    pub(super) fn expire_leases(&mut self, step: &mut Step<'_, P>) {
        let now = step.now;
        while let Some(leases) = &mut self.leases {
            let over = leases.held.iter().position(|held| held.is_over(now.moment));
            let Some(place) = over else { return };
            let held = leases.held.remove(place);
            self.note_use(held.over(now));
            self.end_lease(held, LeaseEnd::Expired, step);
        }
    }

    /// Takes all off: the session ends.
    pub(super) fn drop_leases(&mut self, step: &mut Step<'_, P>) {
        self.expire_leases(step);
        for held in self.leases.take().map(|leases| leases.held).unwrap_or_default() {
            self.end_lease(held, LeaseEnd::Dropped, step);
        }
    }

    /// An alarm has rung: of a turn that was told to end, or of a lease.
    pub(super) fn alarm(&mut self, step: &mut Step<'_, P>) {
        self.escalate(step);
        self.alarm_leases(step);
    }

    /// An alarm has rung, that of the leases perhaps.
    fn alarm_leases(&mut self, step: &mut Step<'_, P>) {
        let Some(leases) = &mut self.leases else { return };
        leases.alarm.take_if(|(at, _)| *at <= step.now.moment);
        self.expire_leases(step);
        self.arm_leases(step);
    }

    /// Sees to it that an alarm rings when the first is over. One that rings earlier, since the lease was
    /// renewed, finds nothing and is set anew.
    fn arm_leases(&mut self, step: &mut Step<'_, P>) {
        let Some(leases) = &mut self.leases else { return };
        let Some(first) = leases.held.iter().map(|held| held.until).min() else { return };
        if leases.alarm.as_ref().is_none_or(|(at, _)| *at > first) {
            let bell = Bell::default();
            step.effects.push(Effect::Alarm { at: first, unneeded: Some(bell.0.clone()) });
            leases.alarm = Some((first, bell));
        }
    }

    /// Takes over what an earlier state of the same life had when it was left.
    pub(super) fn inherit(&mut self, leases: Leases, step: &mut Step<'_, P>) {
        for held in leases.held {
            let name = held.info.name.clone().map(LeaseKey::Name);
            if name.is_some_and(|name| self.find_lease(&name).is_some()) {
                // Taken anew in the meantime.
                self.end_lease(held, LeaseEnd::Released, step);
            } else {
                self.leases.get_or_insert_default().held.push(held);
            }
        }
        if self.ends() { self.drop_leases(step) } else { self.alarm_leases(step) }
    }

    /// Whether it is over with it, or nobody is led to it any more.
    fn ends(&self) -> bool {
        match &self.phase {
            Phase::Live | Phase::Left => false,
            Phase::Shut(standing) => !standing.is_routable(),
            Phase::Closing(_) | Phase::Gone(_) => true,
        }
    }

    /// What a state that was left hands over.
    pub(crate) fn bequeath(&mut self) -> Option<Box<Leases>> {
        matches!(self.phase, Phase::Left).then(|| self.leases.take()).flatten()
    }

    /// Those that stand at `now`.
    pub(crate) fn leases(&self, now: Moment) -> impl Iterator<Item = &LeaseInfo> {
        let held = self.leases.as_ref().map_or(&[][..], |leases| &leases.held);
        held.iter().filter(move |held| !held.is_over(now)).map(|held| &held.info)
    }

    /// How many have not been told to be over.
    pub(crate) fn lease_count(&self) -> usize {
        self.leases.as_ref().map_or(0, |leases| leases.held.len())
    }

    /// When the last of those was over that are over at `now` and have not been told to be.
    pub(super) fn lease_over(&self, now: Now) -> Option<Now> {
        let held = self.leases.as_ref()?.held.iter();
        let over = held.filter(|held| held.is_over(now.moment)).map(|held| held.over(now));
        over.max_by_key(|over| over.moment)
    }

    /// What is wrong with them.
    pub(super) fn audit_leases(&self) -> impl Iterator<Item = String> {
        let held = self.leases.as_ref().map_or(&[][..], |leases| &leases.held);
        let alarm = self.leases.as_ref().and_then(|leases| leases.alarm.as_ref());
        let first = held.iter().map(|held| held.until).min();
        let over = self.ends();
        let names = || held.iter().filter_map(|held| held.info.name.as_ref());
        let rules = [
            (self.leases.is_none() || !held.is_empty(), "there is room for leases, and none"),
            (!over || held.is_empty(), "a session that ends has a lease"),
            (
                first.is_none_or(|first| alarm.is_some_and(|(at, _)| *at <= first)),
                "a lease has nobody who tells that it is over",
            ),
            (
                names().all(|name| names().filter(|it| *it == name).count() == 1),
                "two leases have one name",
            ),
        ];
        rules.into_iter().filter(|(holds, _)| !holds).map(|(_, text)| text.to_owned())
    }
}

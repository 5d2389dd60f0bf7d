//! What a supervisor has only so much of: permits for turns, places in queues, sessions.
//!
//! Where no limit of turns is set and the supervisor was never paused, a turn needs no permit, and asking for
//! one is one look at a flag. Otherwise the counts and lines are under one short lock ([`permits`]). Who gets
//! a permit is decided when one gets free; who is told of it, and of a wait that is over, is the business of
//! one task that sleeps as long as there is nothing to tell ([`keeper`]). So a wait costs a place in a map.

pub(crate) mod keeper;
mod permits;
mod queues;
mod sessions;
mod status;

use std::fmt;

use self::permits::Permits;
use self::queues::Queues;
pub(crate) use self::queues::Spot;
pub(crate) use self::sessions::Reservation;
use self::sessions::Sessions;
use self::status::Rejected;
use crate::clock::Moment;
use crate::config::Config;
use crate::limit::{Full, Limit, Place, Shortage};
use crate::rt::{Arc, AtomicBool, HashSet, Mutex, Notify, Ordering, Weak, oneshot};
use crate::state::{Gate, Taken};
use crate::store::DEFAULT_CLASS;

/// What a supervisor has only so much of.
#[derive(Debug)]
pub(crate) struct Capacity {
    /// Whether turns need permits: a limit is set, or the supervisor was paused.
    gated: AtomicBool,
    /// Every setting.
    config: Config,
    /// Who has a permit and who waits for one.
    permits: Mutex<Permits<Arc<str>, Waiter>>,
    /// Notified when somebody is to be told something, or waits who may wait in vain.
    stirred: Notify,
    /// Whether the gauges are to be set.
    moved: AtomicBool,
    /// Who waits in sessions.
    queues: Mutex<Queues>,
    /// How many sessions are stored.
    sessions: Mutex<Sessions>,
    /// The names of the classes of loaded sessions, each once; empty where they make no difference.
    classes: Mutex<HashSet<Arc<str>>>,
    /// The class where they make no difference.
    no_class: Arc<str>,
    /// How often each limit was in the way.
    rejected: Rejected,
}

/// Who waits for a permit.
enum Waiter {
    /// The first in the queue of a session.
    Session(Weak<dyn Admit>),
    /// Who is about to create a session.
    Caller(oneshot::Sender<Permit>),
}

/// Takes permits in.
pub(crate) trait Admit: Send + Sync {
    /// The permit that was waited for in this place. Called without any lock.
    fn granted(self: Arc<Self>, place: Place, permit: Permit);

    /// The wait in this place is over. Called without any lock.
    fn not_granted(self: Arc<Self>, place: Place, shortage: Shortage);
}

/// The right to run one turn. Dropped, it is given back.
pub(crate) struct Permit(Option<Box<Out>>);

/// A permit that is out.
struct Out {
    /// Where it belongs.
    capacity: Arc<Capacity>,
    /// The class that has it.
    class: Arc<str>,
    /// Since when.
    since: Moment,
}

impl Capacity {
    /// That of a supervisor with these settings.
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        let limits = &config.limits;
        let by_class = config.classes.values().any(|class| class.max_turns > 0);
        Arc::new(Self {
            gated: AtomicBool::new(limits.max_turns > 0 || by_class),
            permits: Mutex::new(Permits::new(limits.max_turns, limits.max_waiting_turns)),
            stirred: Notify::new(),
            moved: AtomicBool::new(true),
            queues: Mutex::new(Queues::default()),
            sessions: Mutex::new(Sessions::default()),
            classes: Mutex::new(HashSet::default()),
            no_class: DEFAULT_CLASS.into(),
            rejected: Rejected::default(),
            config: config.clone(),
        })
    }

    /// The name of a class, for the sessions of it that are loaded.
    pub(crate) fn class(&self, name: &str) -> Arc<str> {
        if !self.is_gated() {
            return self.no_class.clone();
        }
        let mut classes = self.classes.lock();
        if let Some(class) = classes.get(name) {
            return class.clone();
        }
        if classes.len() == classes.capacity() {
            // Those that no session has any more make room.
            classes.retain(|class| Arc::strong_count(class) > 1);
        }
        let class: Arc<str> = name.into();
        classes.insert(class.clone());
        class
    }

    /// Whether turns need permits.
    pub(crate) fn is_gated(&self) -> bool {
        self.gated.load(Ordering::Relaxed)
    }

    /// Grants nothing from here on; answers whether it did before.
    pub(crate) fn pause(&self) -> bool {
        self.gated.store(true, Ordering::Relaxed);
        let mut permits = self.permits.lock();
        let paused = permits.pause();
        self.stir(&permits);
        paused
    }

    /// Grants again, first to those who wait; answers whether it did not before.
    pub(crate) fn resume(&self) -> bool {
        let mut permits = self.permits.lock();
        let resumed = permits.resume();
        self.stir(&permits);
        resumed
    }

    /// Whether nothing is granted.
    pub(crate) fn is_paused(&self) -> bool {
        self.is_gated() && self.permits.lock().is_paused()
    }

    /// The end of the wait of those who are about to create a session: nothing new is admitted.
    pub(crate) fn drain(&self) {
        if self.is_gated() {
            let mut permits = self.permits.lock();
            let away = permits.turn_away(|it| matches!(it, Waiter::Caller(_)));
            self.stir(&permits);
            drop(permits);
            drop(away);
        }
    }

    /// How many turns of a class may run at once.
    fn max_of(&self, class: &str) -> usize {
        self.config.classes.get(class).map_or(0, |class| class.max_turns)
    }

    /// A permit for `class`, or a place in its line for `waiter`.
    fn take(
        self: &Arc<Self>,
        class: &Arc<str>,
        waited: bool,
        now: Moment,
        who: impl FnOnce() -> Waiter,
    ) -> Taken<Permit> {
        let (max, wait) = (self.max_of(class), self.config.limits.turn_wait);
        let mut permits = self.permits.lock();
        let taken = {
            if permits.take(class, max) {
                Taken::Permit(Some(self.permit(class, now)))
            } else if wait.is_zero() {
                Taken::Short(self.shortage(&permits, class))
            } else if !waited && !permits.may_wait() {
                Taken::Short(match self.shortage(&permits, class) {
                    Shortage::Paused => Shortage::Paused,
                    Shortage::Full(full) => {
                        let current = permits.standing().waiting as u64;
                        let max = self.config.limits.max_waiting_turns as u64;
                        Shortage::Full(Full { limit: Limit::WaitingTurns, current, max, ..full })
                    }
                })
            } else {
                Taken::Waits(permits.join(class, max, now.plus(wait), who()))
            }
        };
        self.stir(&permits);
        taken
    }

    /// A permit that was taken or granted.
    fn permit(self: &Arc<Self>, class: &Arc<str>, since: Moment) -> Permit {
        let (capacity, class) = (Arc::clone(self), class.clone());
        Permit(Some(Box::new(Out { capacity, class, since })))
    }

    /// Why there is no permit for one of `class` that asks now.
    fn shortage(&self, permits: &Permits<Arc<str>, Waiter>, class: &Arc<str>) -> Shortage {
        if permits.is_paused() {
            return Shortage::Paused;
        }
        let (limit, current, max) = if permits.is_held_by_class(class) {
            (Limit::ClassTurns, permits.class_standing(class).in_use, self.max_of(class))
        } else {
            (Limit::Turns, permits.standing().in_use, self.config.limits.max_turns)
        };
        let (current, max) = (current as u64, max as u64);
        Shortage::Full(Full { limit, current, max, retry_after: Some(permits.hint(class)) })
    }

    /// Gives a place up.
    fn leave(&self, place: Place) {
        let mut permits = self.permits.lock();
        let left = permits.leave(place);
        self.stir(&permits);
        drop(permits);
        drop(left);
    }

    /// Takes a permit of `class` back that was out for so long, if that is known.
    fn release(&self, class: &Arc<str>, held_for: Option<std::time::Duration>) {
        let mut permits = self.permits.lock();
        if let Some(held_for) = held_for {
            permits.note_held(held_for);
        }
        permits.release(class);
        self.stir(&permits);
    }

    /// Something has changed: the gauges are to be set, and the keeper wakes if it has something to do.
    fn stir(&self, permits: &Permits<Arc<str>, Waiter>) {
        self.moved.store(true, Ordering::Relaxed);
        if permits.has_news() {
            self.stirred.notify_one();
        }
    }
}

impl Permit {
    /// Gives it back at `now`.
    fn free(mut self, now: Moment) {
        if let Some(out) = self.0.take() {
            out.capacity.release(&out.class, Some(now.since(out.since)));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(out) = self.0.take() {
            out.capacity.release(&out.class, None);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({:?})", self.0.as_ref().map(|out| &*out.class))
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session(_) => "Session",
            Self::Caller(_) => "Caller",
        })
    }
}

/// The way of one session's turns to their permits.
pub(crate) struct SessionGate {
    /// What there is.
    capacity: Arc<Capacity>,
    /// The class of the session.
    class: Arc<str>,
    /// The session.
    session: Weak<dyn Admit>,
}

impl SessionGate {
    /// That of a session of this class.
    pub(crate) fn new(capacity: Arc<Capacity>, class: Arc<str>, session: Weak<dyn Admit>) -> Self {
        Self { capacity, class, session }
    }
}

impl fmt::Debug for SessionGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionGate({})", self.class)
    }
}

impl Gate for SessionGate {
    type Permit = Permit;
    type Spot = Spot;

    fn take(&self, waited: bool, now: Moment) -> Taken<Permit> {
        if !self.capacity.is_gated() {
            return Taken::Permit(None);
        }
        let who = || Waiter::Session(self.session.clone());
        self.capacity.take(&self.class, waited, now, who)
    }

    fn leave(&self, place: Place) {
        self.capacity.leave(place);
    }

    fn free(&self, permit: Permit, now: Moment) {
        permit.free(now);
    }

    fn shortage(&self) -> Shortage {
        self.capacity.shortage(&self.capacity.permits.lock(), &self.class)
    }

    fn enqueue(&self, bytes: usize) -> Result<Spot, Full> {
        self.capacity.enqueue(bytes)
    }
}

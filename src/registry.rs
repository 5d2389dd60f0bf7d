//! What is live: one place for each id, and what stands there is the answer.
//!
//! A place holds a loaded session or a tombstone, never both, so no second look-up can disagree
//! with the first. A slot is put in by whoever loaded or created it, under the flight of its id, and
//! taken out by that slot alone.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Moment, Now};
use crate::id::{Incarnation, SessionId};
use crate::rt::{Arc, AtomicUsize, Mutex, Ordering, ShardedMap, Weak};
use crate::slot::{Presence, Slot};
use crate::tombstone::Tombstone;

/// Every loaded session and every tombstone that is held in memory.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The places. A session has one under each of its ids, and counts under the first.
    places: ShardedMap<SessionId, Place>,
    /// The tombstones, oldest first, and perhaps some whose id lives again. Locked on its own, never
    /// together with a place.
    buried: Mutex<VecDeque<(SessionId, Moment)>>,
    /// How many places hold a tombstone. Changed under the shard of the place.
    graves: AtomicUsize,
    /// How many places hold a session. Changed under the shard of the place.
    live: AtomicUsize,
    /// The most tombstones that are held.
    max_tombstones: usize,
    /// Slots that were taken out while turns of theirs still ran, under their ids: such a turn pins
    /// the tombstone of its life, too.
    ghosts: ShardedMap<SessionId, Vec<Weak<Slot>>>,
    /// Slots that were left after a failed write and whose leases nobody has taken over yet, by id.
    testators: ShardedMap<SessionId, Vec<Arc<Slot>>>,
}

/// What stands under an id.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A loaded session.
    Live(Arc<Slot>),
    /// It was deleted. In a box: most places are of sessions that live, and how many of them a cache holds is
    /// what a look-up costs.
    Gone(Box<Grave>),
}

/// A tombstone, and what keeps it standing.
#[derive(Clone, Debug)]
pub(crate) struct Grave {
    /// What it says.
    pub(crate) tombstone: Tombstone,
    /// Until when it stands, by the clock that does not jump.
    until: Moment,
    /// The slots whose turns still ran when it was buried.
    pins: Vec<Weak<Slot>>,
}

impl Grave {
    /// Whether it still stands: its time is not over, or a turn of that life still runs.
    pub(crate) fn stands(&self, now: Now) -> bool {
        self.until > now.moment || self.is_pinned()
    }

    /// Whether a turn of that life still runs.
    fn is_pinned(&self) -> bool {
        self.pins.iter().any(is_haunting)
    }
}

impl Registry {
    /// An empty one.
    pub(crate) fn new(max_tombstones: usize) -> Self {
        Self {
            places: ShardedMap::new(),
            buried: Mutex::new(VecDeque::new()),
            graves: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            max_tombstones,
            ghosts: ShardedMap::new(),
            testators: ShardedMap::new(),
        }
    }

    /// What stands under `id`.
    pub(crate) fn get(&self, id: &SessionId) -> Option<Place> {
        self.places.get(id)
    }

    /// Puts a slot in under all its ids, and answers with what stands there afterwards: the slot, another
    /// one of the same life, or the tombstone of that life. Called under the flight of its first id.
    pub(crate) fn publish(&self, slot: &Arc<Slot>) -> Published {
        let (published, before) = self.places.alter(&slot.id, |place| {
            match place {
                Some(Place::Live(there)) if there.incarnation >= slot.incarnation => {
                    return (Published::Existing(there.clone()), None);
                }
                Some(Place::Gone(grave)) if grave.tombstone.incarnation >= slot.incarnation => {
                    return (Published::Gone(grave.tombstone), None);
                }
                Some(Place::Live(_) | Place::Gone(_)) | None => {}
            }
            (Published::New, self.put(&slot.id, place, Some(Place::Live(slot.clone()))))
        });
        // What it held may be the last of it, and is not dropped under the shard.
        drop(before);
        if matches!(published, Published::New) {
            slot.later_ids().for_each(|id| self.share(slot, id));
        }
        published
    }

    /// Puts a slot in under a further id of its session, which no other has.
    pub(crate) fn share(&self, slot: &Arc<Slot>, id: &SessionId) {
        let before = self.places.alter(id, |place| match place {
            // It was deleted meanwhile.
            Some(Place::Gone(grave)) if grave.tombstone.incarnation == slot.incarnation => None,
            // Of a tombstone there is only what does not stand any more, however late its life began.
            Some(Place::Gone(_) | Place::Live(_)) | None => {
                self.put(id, place, Some(Place::Live(slot.clone())))
            }
        });
        drop(before);
        // A slot is taken out when it is over, which may have been before it was in.
        if matches!(slot.presence(), Presence::Gone(_) | Presence::Left) {
            self.take_out(slot, id);
        }
    }

    /// Changes what stands under `id`, with the shard locked, and counts; answers with what stood there.
    fn put(&self, id: &SessionId, place: &mut Option<Place>, new: Option<Place>) -> Option<Place> {
        let count = |place: &Option<Place>| match place {
            Some(Place::Live(slot)) => (usize::from(slot.id == *id), 0),
            Some(Place::Gone(_)) => (0, 1),
            None => (0, 0),
        };
        let ((live, graves), (had_live, had_graves)) = (count(&new), count(place));
        if live != had_live {
            self.live.fetch_add(live, Ordering::Relaxed);
            self.live.fetch_sub(had_live, Ordering::Relaxed);
        }
        if graves != had_graves {
            self.graves.fetch_add(graves, Ordering::Relaxed);
            self.graves.fetch_sub(had_graves, Ordering::Relaxed);
        }
        if let Some(Place::Live(slot)) = place
            && slot.id == *id
        {
            slot.take_off_weight();
        }
        if let Some(Place::Live(slot)) = &new
            && slot.id == *id
        {
            slot.put_on_weight();
        }
        std::mem::replace(place, new)
    }

    /// Turns a slot's places into its tombstone; answers how many tombstones had to make room.
    ///
    /// Where it does not stand, something came after it: the id may have been created again as soon as the
    /// store had the delete, and that life may have left memory since. The store knows both.
    pub(crate) fn bury(
        &self,
        slot: &Arc<Slot>,
        tombstone: Tombstone,
        keep_for: Duration,
        now: Now,
    ) -> usize {
        let until = now.moment.plus(keep_for);
        let ghosts = self.ghosts.remove_if(&slot.id, |_| true).unwrap_or_default();
        let haunting = ghosts.into_iter().chain([Arc::downgrade(slot)]);
        let pins: Vec<_> = haunting.filter(is_haunting).collect();
        for id in slot.ids() {
            let grave = Box::new(Grave { tombstone, until, pins: pins.clone() });
            let before = self.places.alter(id, |place| match place {
                Some(Place::Live(there)) if there.incarnation <= slot.incarnation => {
                    self.put(id, place, Some(Place::Gone(grave)))
                }
                Some(Place::Live(_) | Place::Gone(_)) | None => None,
            });
            if before.is_some() {
                self.buried.lock().push_back((id.clone(), until));
            }
        }
        self.make_room()
    }

    /// Removes the oldest tombstones while there are too many; answers how many.
    fn make_room(&self) -> usize {
        let mut evicted = 0;
        // Each tombstone is looked at once: those that are pinned go to the back.
        let named = self.buried.lock().len();
        for _ in 0..named {
            let oldest = {
                if self.tombstones() <= self.max_tombstones {
                    break;
                }
                self.buried.lock().pop_front()
            };
            let Some((id, until)) = oldest else { break };
            match self.dig(&id, until) {
                Dug::Pinned => self.buried.lock().push_back((id, until)),
                Dug::Removed => evicted += 1,
                Dug::Nothing => {}
            }
        }
        evicted
    }

    /// Removes the tombstones whose time is over.
    pub(crate) fn sweep(&self, now: Now) {
        let ended =
            self.ghosts.collect(|id, ghosts| (!ghosts.iter().any(is_haunting)).then(|| id.clone()));
        self.forget_testators();
        for id in ended {
            self.ghosts.remove_if(&id, |ghosts| !ghosts.iter().any(is_haunting));
        }
        let named = self.buried.lock().len();
        for _ in 0..named {
            let due = {
                let mut buried = self.buried.lock();
                match buried.front() {
                    Some((_, until)) if *until <= now.moment => buried.pop_front(),
                    Some(_) | None => None,
                }
            };
            let Some((id, until)) = due else { return };
            if matches!(self.dig(&id, until), Dug::Pinned) {
                self.buried.lock().push_back((id, until));
            }
        }
    }

    /// Removes one tombstone unless it is pinned.
    fn dig(&self, id: &SessionId, buried_until: Moment) -> Dug {
        self.places.alter(id, |place| match place {
            Some(Place::Gone(grave)) if grave.until == buried_until => {
                if grave.is_pinned() {
                    return Dug::Pinned;
                }
                self.put(id, place, None);
                Dug::Removed
            }
            Some(Place::Gone(_) | Place::Live(_)) | None => Dug::Nothing,
        })
    }

    /// Takes out a slot, if it is this one that stands there.
    pub(crate) fn remove(&self, slot: &Arc<Slot>) {
        if slot.has_holders() {
            self.ghosts.alter(&slot.id, |ghosts| {
                let ghosts = ghosts.get_or_insert_default();
                ghosts.retain(is_haunting);
                ghosts.push(Arc::downgrade(slot));
            });
        }
        if slot.lease_count() > 0 {
            self.testators.alter(&slot.id, |left| {
                let left = left.get_or_insert_default();
                if !left.iter().any(|there| Arc::ptr_eq(there, slot)) {
                    left.push(slot.clone());
                }
            });
        }
        slot.ids().for_each(|id| self.take_out(slot, id));
    }

    /// Takes out a slot from under one id, if it is this one that stands there.
    fn take_out(&self, slot: &Arc<Slot>, id: &SessionId) {
        let removed = self.places.alter(id, |place| match place {
            Some(Place::Live(there)) if Arc::ptr_eq(there, slot) => self.put(id, place, None),
            Some(Place::Live(_) | Place::Gone(_)) | None => None,
        });
        // What it held may be the last of it, and is not dropped under the shard.
        drop(removed);
    }

    /// Lets a slot that was just put in take over the leases of those of its life that were left.
    pub(crate) fn bequeath(&self, slot: &Arc<Slot>) {
        // As a rule there are none at all, which is quickly seen.
        let left = self
            .testators
            .remove_if(&slot.id, |left| left.iter().all(|old| old.incarnation == slot.incarnation));
        for old in left.unwrap_or_default() {
            slot.inherit(&old);
        }
    }

    /// The slots of `id` that were left and have leases.
    pub(crate) fn testators(&self, id: &SessionId) -> Vec<Arc<Slot>> {
        self.testators.get(id).unwrap_or_default()
    }

    /// Whether a lease stands in a slot of this life that was left.
    pub(crate) fn is_leased(&self, id: &SessionId, incarnation: Incarnation, now: Now) -> bool {
        let left = self.testators(id);
        let mut left = left.iter().filter(|slot| slot.incarnation == incarnation);
        left.any(|slot| !slot.leases(now).is_empty())
    }

    /// How many leases stand, loaded or left.
    pub(crate) fn leases(&self) -> usize {
        let left = self.testators.collect(|_, left| Some(left.clone())).into_iter().flatten();
        self.slots().into_iter().chain(left).map(|slot| slot.lease_count()).sum()
    }

    /// Removes those that were left and whose leases are over.
    fn forget_testators(&self) {
        let over = |left: &[Arc<Slot>]| left.iter().all(|slot| slot.lease_count() == 0);
        for id in self.testators.collect(|id, left| over(left).then(|| id.clone())) {
            drop(self.testators.remove_if(&id, |left| over(left)));
        }
    }

    /// Every loaded session.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.places.collect(|id, place| match place {
            Place::Live(slot) if slot.id == *id => Some(slot.clone()),
            Place::Live(_) | Place::Gone(_) => None,
        })
    }

    /// How many sessions are loaded.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// How many tombstones are held.
    pub(crate) fn tombstones(&self) -> usize {
        self.graves.load(Ordering::Relaxed)
    }

    /// Every rule that is broken.
    pub(crate) fn audit(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let slots = self.slots();
        if slots.len() != self.live() {
            broken.push("the loaded sessions are not as many as were counted".to_owned());
        }
        for slot in slots {
            broken.extend(slot.audit());
            for id in slot.later_ids() {
                if !matches!(self.get(id), Some(Place::Live(there)) if Arc::ptr_eq(&there, &slot)) {
                    broken.push(format!("session {}: {id} does not lead to it", slot.id));
                }
            }
            match slot.presence() {
                Presence::Live | Presence::Shut(_) | Presence::Due | Presence::Closing => {}
                Presence::Gone(_) => {
                    broken.push(format!("session {}: gone, and its slot stands", slot.id));
                }
                Presence::Left => {
                    broken.push(format!("session {}: left, and its slot stands", slot.id));
                }
            }
        }
        for (id, slot) in self.places.collect(|id, place| match place {
            Place::Live(slot) if slot.id != *id => Some((id.clone(), slot.clone())),
            Place::Live(_) | Place::Gone(_) => None,
        }) {
            let stands = matches!(self.get(&slot.id), Some(Place::Live(there)) if Arc::ptr_eq(&there, &slot));
            if !stands || slot.later_ids().all(|later| *later != id) {
                broken.push(format!("{id}: leads to a slot of {} that is over", slot.id));
            }
        }
        let graves = self.places.collect(|_, place| matches!(place, Place::Gone(_)).then_some(()));
        if graves.len() != self.tombstones() {
            broken.push("the tombstones are not as many as were counted".to_owned());
        }
        if graves.len() > self.buried.lock().len() {
            broken.push("a tombstone is held that will not be swept".to_owned());
        }
        broken
    }
}

/// Whether a turn of that slot still runs.
fn is_haunting(slot: &Weak<Slot>) -> bool {
    slot.upgrade().is_some_and(|slot| slot.has_holders())
}

/// What came of publishing a slot.
#[derive(Debug)]
pub(crate) enum Published {
    /// It stands.
    New,
    /// Another one of the same life, or of a later one, stood there.
    Existing(Arc<Slot>),
    /// That life is over.
    Gone(Tombstone),
}

/// What became of a tombstone that was to be removed.
enum Dug {
    /// It has to stay.
    Pinned,
    /// It is gone.
    Removed,
    /// Something newer stands there.
    Nothing,
}

#[cfg(test)]
mod tests;

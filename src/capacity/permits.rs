//! Who may have a turn now, and who waits for that: counts and lines, as pure data.
//!
//! There is one line a class, in order of arrival, and what gets free goes round between the classes that
//! wait and have room: of `n` classes that wait, each gets every `n`-th permit, however many wait in the
//! others. Whoever is granted a permit has it from that moment on, and is told by whoever keeps the lines.
//!
//! Invariants, checked by [`Permits::audit`]:
//!
//! - as many permits are out as are counted, and never more than there are, for all and for each class;
//! - nobody waits who could be granted a permit, so a newcomer that finds room overtakes nobody;
//! - whoever waits stands in the line of one class, once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use crate::clock::Moment;
use crate::limit::Place;
use crate::rt::HashMap;

/// The permits of a supervisor, and the lines for them. `C` names a class, `W` one who waits.
#[derive(Debug)]
pub(super) struct Permits<C, W> {
    /// How many permits there are; 0 is any number.
    max: usize,
    /// How many may wait; 0 is any number.
    max_waiting: usize,
    /// Whether nothing is granted.
    paused: bool,
    /// How many are out.
    in_use: usize,
    /// The classes that have a permit, or wait for one.
    classes: HashMap<C, Class>,
    /// The classes that wait and have room, in the order in which they are served.
    ring: VecDeque<C>,
    /// Who waits, in order of arrival.
    waiting: BTreeMap<Place, Waiting<C, W>>,
    /// Who has been granted a permit and was not told.
    granted: BTreeMap<Place, (C, W)>,
    /// The newest place.
    newest: u64,
    /// How long permits were out, of late.
    held_for: Option<Duration>,
}

/// One class.
#[derive(Debug)]
struct Class {
    /// How many permits it may have; 0 is any number.
    max: usize,
    /// How many it has.
    in_use: usize,
    /// Who waits in it.
    line: BTreeSet<Place>,
    /// Whether it is in the ring.
    in_ring: bool,
}

/// One who waits.
#[derive(Debug)]
struct Waiting<C, W> {
    /// In which class.
    class: C,
    /// Until when.
    until: Moment,
    /// Who.
    waiter: W,
}

impl Class {
    /// Whether it may have one more.
    fn has_room(&self) -> bool {
        self.max == 0 || self.in_use < self.max
    }
}

/// How permits and lines stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// How many permits are out.
    pub(super) in_use: usize,
    /// How many wait.
    pub(super) waiting: usize,
}

impl<C: Clone + Eq + Hash, W> Permits<C, W> {
    /// `max` permits, and lines for `max_waiting`; 0 is any number.
    pub(super) fn new(max: usize, max_waiting: usize) -> Self {
        Self {
            max,
            max_waiting,
            paused: false,
            in_use: 0,
            classes: HashMap::default(),
            ring: VecDeque::new(),
            waiting: BTreeMap::new(),
            granted: BTreeMap::new(),
            newest: 0,
            held_for: None,
        }
    }

    /// Takes a permit for a class that may have `max` of them, if nobody has to be waited for.
    pub(super) fn take(&mut self, class: &C, max: usize) -> bool {
        let room = !self.paused && self.has_room();
        let taken = room && self.class(class, max).has_room();
        if taken {
            self.in_use += 1;
            self.class(class, max).in_use += 1;
        } else {
            self.forget(class);
        }
        taken
    }

    /// Whether one more may wait.
    pub(super) fn may_wait(&self) -> bool {
        self.max_waiting == 0 || self.waiting.len() < self.max_waiting
    }

    /// Waits at the end of the class's line. For one that was not given a permit just now.
    pub(super) fn join(&mut self, class: &C, max: usize, until: Moment, waiter: W) -> Place {
        self.newest += 1;
        let place = Place(self.newest);
        self.class(class, max).line.insert(place);
        self.waiting.insert(place, Waiting { class: class.clone(), until, waiter });
        self.line_up(class);
        self.grant();
        place
    }

    /// Gives a place up, or the permit that it was granted and was not told of; answers who had it.
    pub(super) fn leave(&mut self, place: Place) -> Option<W> {
        if let Some((class, waiter)) = self.granted.remove(&place) {
            self.release(&class);
            return Some(waiter);
        }
        let Waiting { class, waiter, .. } = self.waiting.remove(&place)?;
        if let Some(it) = self.classes.get_mut(&class) {
            it.line.remove(&place);
        }
        self.line_up(&class);
        self.forget(&class);
        Some(waiter)
    }

    /// Takes a permit of `class` back.
    pub(super) fn release(&mut self, class: &C) {
        let Some(it) = self.classes.get_mut(class) else { return };
        it.in_use = it.in_use.saturating_sub(1);
        self.in_use = self.in_use.saturating_sub(1);
        self.line_up(class);
        self.forget(class);
        self.grant();
    }

    /// Notes how long a permit was out. Of late ones more counts than of early ones.
    pub(super) fn note_held(&mut self, held_for: Duration) {
        let before = self.held_for.unwrap_or(held_for);
        self.held_for = Some((before * 7 + held_for) / 8);
    }

    /// Grants nothing from here on; answers whether it did before.
    pub(super) fn pause(&mut self) -> bool {
        !std::mem::replace(&mut self.paused, true)
    }

    /// Grants again; answers whether it did not before.
    pub(super) fn resume(&mut self) -> bool {
        let was = std::mem::replace(&mut self.paused, false);
        self.grant();
        was
    }

    /// Whether nothing is granted.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether there is somebody to be told, or the first one to be watched.
    pub(super) fn has_news(&self) -> bool {
        !self.granted.is_empty() || self.waiting.len() == 1
    }

    /// The next one that was granted a permit, to be told.
    pub(super) fn next_granted(&mut self) -> Option<(Place, C, W)> {
        self.granted.pop_first().map(|(place, (class, waiter))| (place, class, waiter))
    }

    /// The next one whose wait is over at `now`; it waits no more.
    pub(super) fn next_overdue(&mut self, now: Moment) -> Option<(Place, C, W)> {
        let place = *self.waiting.first_key_value().filter(|(_, first)| first.until <= now)?.0;
        let class = self.waiting.get(&place)?.class.clone();
        self.leave(place).map(|waiter| (place, class, waiter))
    }

    /// When the first wait is over. All wait equally long, so the first to come is the first to go.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.waiting.first_key_value().map(|(_, first)| first.until)
    }

    /// Those who wait and whom `pick` picks, who wait no more.
    pub(super) fn turn_away(&mut self, pick: impl Fn(&W) -> bool) -> Vec<W> {
        let picked = |it: (&Place, &Waiting<C, W>)| pick(&it.1.waiter).then_some(*it.0);
        let waiting: Vec<_> = self.waiting.iter().filter_map(picked).collect();
        waiting.into_iter().filter_map(|place| self.leave(place)).collect()
    }

    /// How all stand.
    pub(super) fn standing(&self) -> Standing {
        Standing { in_use: self.in_use, waiting: self.waiting.len() }
    }

    /// How a class stands.
    pub(super) fn class_standing(&self, class: &C) -> Standing {
        self.classes.get(class).map_or_else(Standing::default, |it| Standing {
            in_use: it.in_use,
            waiting: it.line.len(),
        })
    }

    /// Whether the next one of `class` would wait because of the class and not because of all.
    pub(super) fn is_held_by_class(&self, class: &C) -> bool {
        self.has_room() && self.classes.get(class).is_some_and(|it| !it.has_room())
    }

    /// When a permit may be free for one who comes now: so long permits were out of late, for each
    /// round of those that wait. Between 1 s and 1 min; 1 s if nothing is known.
    pub(super) fn hint(&self, class: &C) -> Duration {
        let (most, least) = (Duration::from_secs(60), Duration::from_secs(1));
        let Some(held_for) = self.held_for else { return least };
        let (max, waiting) = match self.classes.get(class) {
            Some(it) if self.is_held_by_class(class) => (it.max, it.line.len()),
            _ => (self.max, self.waiting.len()),
        };
        let rounds = (waiting + 1).div_ceil(max.max(1));
        held_for.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX)).clamp(least, most)
    }

    /// Every rule that is broken.
    pub(super) fn audit(&self) -> Vec<String> {
        let counted: usize = self.classes.values().map(|it| it.in_use).sum();
        let lines: usize = self.classes.values().map(|it| it.line.len()).sum();
        let ready = |it: &Class| !it.line.is_empty() && it.has_room();
        let rules = [
            (counted == self.in_use, "permits are not counted once for their class"),
            (self.max == 0 || self.in_use <= self.max, "more permits are out than there are"),
            (
                self.classes.values().all(|it| it.max == 0 || it.in_use <= it.max),
                "a class has more permits than it may have",
            ),
            (lines == self.waiting.len(), "somebody waits in no line, or in two"),
            (
                self.waiting.iter().all(|(place, it)| {
                    self.classes.get(&it.class).is_some_and(|class| class.line.contains(place))
                }),
                "somebody waits in the line of another class",
            ),
            (
                self.classes.values().all(|it| it.in_ring == ready(it)),
                "a class that could be served is not in the ring",
            ),
            (
                self.ring.len() == self.classes.values().filter(|it| it.in_ring).count(),
                "a class is in the ring twice",
            ),
            (
                self.paused || !self.has_room() || self.ring.is_empty(),
                "somebody waits who could be granted a permit",
            ),
            (
                self.classes.values().all(|it| it.in_use > 0 || !it.line.is_empty()),
                "a class is remembered for nothing",
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, rule)| rule.to_owned()).collect()
    }

    /// Whether there is one more for all.
    fn has_room(&self) -> bool {
        self.max == 0 || self.in_use < self.max
    }

    /// What is known of a class, which may have `max`.
    fn class(&mut self, class: &C, max: usize) -> &mut Class {
        let new = || Class { max, in_use: 0, line: BTreeSet::new(), in_ring: false };
        self.classes.entry(class.clone()).or_insert_with(new)
    }

    /// Forgets a class that has nothing and waits for nothing.
    fn forget(&mut self, class: &C) {
        if self.classes.get(class).is_some_and(|it| it.in_use == 0 && it.line.is_empty()) {
            self.classes.remove(class);
        }
    }

    /// Puts a class into the ring or takes it out, as it waits and has room.
    fn line_up(&mut self, class: &C) {
        let Some(it) = self.classes.get_mut(class) else { return };
        let ready = !it.line.is_empty() && it.has_room();
        if ready && !it.in_ring {
            self.ring.push_back(class.clone());
        } else if !ready && it.in_ring {
            self.ring.retain(|other| other != class);
        }
        it.in_ring = ready;
    }

    /// Grants what can be granted, one permit a class and then the next class.
    fn grant(&mut self) {
        while !self.paused && self.has_room() {
            let Some(class) = self.ring.pop_front() else { return };
            let Some(it) = self.classes.get_mut(&class) else { continue };
            it.in_ring = false;
            let Some(place) = it.line.pop_first() else { continue };
            it.in_use += 1;
            self.in_use += 1;
            if let Some(Waiting { waiter, .. }) = self.waiting.remove(&place) {
                self.granted.insert(place, (class.clone(), waiter));
            }
            self.line_up(&class);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines, said again in the plainest words: one list, searched from the front.
    #[derive(Default)]
    struct Model {
        max: usize,
        class_max: [usize; 3],
        paused: bool,
        /// The class of each permit that is out.
        out: Vec<usize>,
        /// Who waits: class and name.
        waiting: Vec<(usize, u32)>,
        /// The classes in the order in which they come next.
        order: Vec<usize>,
        granted: Vec<(usize, u32)>,
    }

    impl Model {
        fn has_room(&self, class: usize) -> bool {
            let has = self.out.iter().filter(|it| **it == class).count();
            (self.max == 0 || self.out.len() < self.max)
                && (self.class_max[class] == 0 || has < self.class_max[class])
        }

        fn take(&mut self, class: usize) -> bool {
            let taken = !self.paused && self.has_room(class);
            if taken {
                self.out.push(class);
            }
            taken
        }

        /// Which classes wait and have room of their own, in order.
        fn line_up(&mut self) {
            for class in 0..3 {
                let has = self.out.iter().filter(|it| **it == class).count();
                let room = self.class_max[class] == 0 || has < self.class_max[class];
                let ready = room && self.waiting.iter().any(|(it, _)| *it == class);
                let listed = self.order.contains(&class);
                if ready && !listed {
                    self.order.push(class);
                } else if !ready {
                    self.order.retain(|it| *it != class);
                }
            }
        }

        fn grant(&mut self) {
            self.line_up();
            while !self.paused && !self.order.is_empty() && self.has_room(self.order[0]) {
                let class = self.order.remove(0);
                let first = self.waiting.iter().position(|(it, _)| *it == class).unwrap();
                self.granted.push(self.waiting.remove(first));
                self.out.push(class);
                self.line_up();
            }
        }
    }

    fn moment(second: u64) -> Moment {
        Moment::after_start(Duration::from_secs(second))
    }

    proptest! {
        // K1, K4, K6: against lists that are searched
        #[test]
        fn permits_are_what_the_lists_say(
            max in 0_usize..4,
            class_max in prop::array::uniform3(0_usize..3),
            steps in prop::collection::vec(any::<[u8; 3]>(), 1..120),
        ) {
            let mut permits: Permits<usize, u32> = Permits::new(max, 0);
            let mut model = Model { max, class_max, ..Model::default() };
            let mut places: Vec<(Place, usize, u32)> = Vec::new();
            let mut held: Vec<usize> = Vec::new();
            let mut name = 0;
            for [kind, class, which] in steps {
                let class = usize::from(class % 3);
                match kind % 8 {
                    0..3 => {
                        let taken = permits.take(&class, class_max[class]);
                        prop_assert_eq!(taken, model.take(class));
                        if taken {
                            held.push(class);
                        } else {
                            name += 1;
                            let place = permits.join(&class, class_max[class], moment(9), name);
                            places.push((place, class, name));
                            model.waiting.push((class, name));
                        }
                    }
                    3 | 4 => if !held.is_empty() {
                        let class = held.remove(usize::from(which) % held.len());
                        permits.release(&class);
                        let out = model.out.iter().position(|it| *it == class).unwrap();
                        model.out.remove(out);
                    },
                    5 => if !places.is_empty() {
                        let at = usize::from(which) % places.len();
                        let (place, class, name) = places.remove(at);
                        permits.leave(place);
                        let waits = model.waiting.iter().position(|(_, it)| *it == name);
                        if let Some(waits) = waits {
                            model.waiting.remove(waits);
                        } else {
                            model.granted.retain(|(_, it)| *it != name);
                            let out = model.out.iter().position(|it| *it == class).unwrap();
                            model.out.remove(out);
                        }
                    },
                    6 => { permits.pause(); model.paused = true; }
                    _ => { permits.resume(); model.paused = false; }
                }
                model.grant();
                prop_assert_eq!(permits.audit(), Vec::<String>::new());
                prop_assert_eq!(permits.standing().in_use, model.out.len());
                prop_assert_eq!(permits.standing().waiting, model.waiting.len());
                // Half of the time they are told at once.
                if which % 2 == 0 {
                    let mut told = Vec::new();
                    while let Some((place, class, name)) = permits.next_granted() {
                        places.retain(|(it, _, _)| *it != place);
                        held.push(class);
                        told.push((class, name));
                    }
                    let mut expected = std::mem::take(&mut model.granted);
                    expected.sort_by_key(|(_, name)| *name);
                    prop_assert_eq!(told, expected);
                }
            }
        }
    }

    // K6
    #[test]
    fn a_class_that_floods_delays_another_by_one_permit() {
        let mut permits = Permits::new(2, 0);
        assert!(permits.take(&"loud", 0) && permits.take(&"loud", 0));
        for name in 0..1_000 {
            permits.join(&"loud", 0, moment(30), name);
        }
        permits.join(&"quiet", 0, moment(30), 7_777);
        permits.release(&"loud");
        permits.release(&"loud");
        let mut granted = [permits.next_granted().unwrap().2, permits.next_granted().unwrap().2];
        granted.sort_unstable();
        assert_eq!(granted, [0, 7_777]);
        assert!(permits.next_granted().is_none());
    }

    // K1
    #[test]
    fn a_wait_is_over_at_its_time_and_not_before() {
        let mut permits = Permits::new(1, 2);
        assert!(permits.take(&0, 0) && !permits.take(&0, 0) && permits.may_wait());
        permits.join(&0, 0, moment(10), "first");
        permits.join(&0, 0, moment(11), "second");
        assert!(!permits.may_wait());
        assert_eq!(permits.next_deadline(), Some(moment(10)));
        assert!(permits.next_overdue(moment(9)).is_none());
        assert_eq!(permits.next_overdue(moment(10)).map(|it| it.2), Some("first"));
        assert!(permits.next_overdue(moment(10)).is_none());
        permits.release(&0);
        assert_eq!(permits.next_granted().map(|it| it.2), Some("second"));
        assert_eq!(permits.next_deadline(), None);
    }

    // K1
    #[test]
    fn the_hint_grows_with_those_that_wait_and_stays_in_its_bounds() {
        let mut permits = Permits::new(2, 0);
        assert_eq!(permits.hint(&0), Duration::from_secs(1));
        permits.note_held(Duration::from_secs(8));
        assert!(permits.take(&0, 0) && permits.take(&0, 0));
        assert_eq!(permits.hint(&0), Duration::from_secs(8));
        for _ in 0..2 {
            permits.join(&0, 0, moment(30), ());
        }
        assert_eq!(permits.hint(&0), Duration::from_secs(16));
        for _ in 0..100 {
            permits.join(&0, 0, moment(30), ());
        }
        assert_eq!(permits.hint(&0), Duration::from_secs(60));
        // One that is held by its class counts what is before it there.
        let mut permits = Permits::new(0, 0);
        permits.note_held(Duration::from_secs(8));
        assert!(permits.take(&0, 1));
        permits.join(&0, 1, moment(30), ());
        assert!(permits.is_held_by_class(&0) && !permits.is_held_by_class(&1));
        assert_eq!(permits.hint(&0), Duration::from_secs(16));
    }

    #[test]
    fn the_hint_counts_the_line_that_somebody_would_stand_in() {
        let mut permits = Permits::new(4, 0);
        permits.note_held(Duration::from_secs(8));
        assert!(permits.take(&0, 2) && permits.take(&0, 2) && permits.take(&1, 1));
        permits.join(&0, 2, moment(30), ());
        permits.join(&1, 1, moment(30), ());
        permits.join(&1, 1, moment(30), ());
        // Two of one, one of the other class; three behind four permits for a class that has no line.
        assert_eq!(permits.hint(&0), Duration::from_secs(8));
        assert_eq!(permits.hint(&1), Duration::from_secs(24));
        assert_eq!(permits.hint(&2), Duration::from_secs(8));
        let standing = |in_use, waiting| Standing { in_use, waiting };
        assert_eq!(permits.class_standing(&0), standing(2, 1));
        assert_eq!(permits.class_standing(&1), standing(1, 2));
        assert_eq!(permits.class_standing(&2), standing(0, 0));
    }

    #[test]
    fn there_is_news_when_somebody_was_granted_one_or_is_the_first_to_wait() {
        let mut permits = Permits::new(1, 0);
        assert!(permits.take(&0, 0) && !permits.has_news());
        permits.join(&0, 0, moment(30), "first");
        assert!(permits.has_news(), "it is to be watched");
        permits.join(&0, 0, moment(30), "second");
        assert!(!permits.has_news(), "another one is");
        permits.join(&0, 0, moment(30), "third");
        permits.release(&0);
        assert!(permits.has_news(), "one is to be told");
        assert!(permits.next_granted().is_some() && !permits.has_news());
    }

    // K1
    #[test]
    fn those_who_are_turned_away_wait_no_more() {
        let mut permits = Permits::new(1, 0);
        assert!(permits.take(&0, 0));
        for name in 0..4 {
            permits.join(&0, 0, moment(30), name);
        }
        assert_eq!(permits.turn_away(|name| name % 2 == 0), [0, 2]);
        assert_eq!(permits.standing(), Standing { in_use: 1, waiting: 2 });
        assert_eq!(permits.turn_away(|name| name % 2 == 0), [0; 0]);
        assert_eq!(permits.audit(), [""; 0]);
    }

    // K4
    #[test]
    fn who_pauses_and_who_resumes_is_told_whether_that_was_new() {
        let mut permits: Permits<u8, ()> = Permits::new(1, 0);
        assert!(!permits.is_paused() && !permits.resume());
        assert!(permits.pause() && permits.is_paused() && !permits.pause());
        assert!(!permits.take(&0, 0), "not while it is paused");
        assert!(permits.resume() && !permits.is_paused() && permits.take(&0, 0));
    }

    type Break = fn(&mut Permits<u8, ()>);

    #[test]
    fn the_audit_finds_every_rule_that_is_broken() {
        // One has its permit, one waits behind it; another class has neither.
        let new = || {
            let mut permits = Permits::new(1, 0);
            assert!(permits.take(&0, 1));
            permits.join(&0, 1, moment(30), ());
            assert_eq!(permits.audit(), [""; 0]);
            permits
        };
        let broken: [(Break, &[&str]); 8] = [
            (|it| it.in_use = 0, &["permits are not counted once for their class"]),
            (
                |it| {
                    it.in_use = 2;
                    it.classes.get_mut(&0).unwrap().in_use = 2;
                },
                &[
                    "more permits are out than there are",
                    "a class has more permits than it may have",
                ],
            ),
            (
                |it| it.classes.get_mut(&0).unwrap().line.clear(),
                &[
                    "somebody waits in no line, or in two",
                    "somebody waits in the line of another class",
                ],
            ),
            (
                |it| it.waiting.values_mut().for_each(|it| it.class = 1),
                &["somebody waits in the line of another class"],
            ),
            (
                |it| it.classes.get_mut(&0).unwrap().max = 2,
                &["a class that could be served is not in the ring"],
            ),
            (|it| it.ring.push_back(0), &["a class is in the ring twice"]),
            (
                |it| {
                    it.classes.get_mut(&0).unwrap().max = 2;
                    it.line_up(&0);
                    it.max = 2;
                },
                &["somebody waits who could be granted a permit"],
            ),
            (
                |it| {
                    it.class(&1, 1);
                },
                &["a class is remembered for nothing"],
            ),
        ];
        for (at, (change, rules)) in broken.into_iter().enumerate() {
            let mut permits = new();
            change(&mut permits);
            assert_eq!(permits.audit(), rules, "{at}");
        }
    }
}

//! Which leases stand.

use super::Model;
use crate::clock::Moment;
use crate::state::{LeaseAnswer, LeaseEnd, LeaseInfo, LeaseKey, LeaseOp};

/// One that was taken and has not been told to be over.
#[derive(Clone, Debug, PartialEq)]
struct Taken {
    number: u64,
    name: Option<String>,
    until: Moment,
}

/// What was taken, and what is expected.
#[derive(Debug, Default)]
pub(super) struct Leases {
    taken: Vec<Taken>,
    now: Moment,
    /// Whether none can be taken.
    over: bool,
    /// What is asked for, and what it has to be told.
    asked: Option<(LeaseOp, Vec<LeaseAnswer>)>,
    /// The one that is given back.
    released: Option<u64>,
    /// The one that comes to stand.
    new: Option<Taken>,
}

impl Leases {
    pub(super) fn step_begins(&mut self, now: Moment, over: bool) {
        assert!(self.asked.is_none() && self.new.is_none() && self.released.is_none());
        (self.now, self.over) = (now, over);
    }

    fn is(lease: &LeaseKey, taken: &Taken) -> bool {
        match lease {
            LeaseKey::Number(number) => taken.number == *number,
            LeaseKey::Name(name) => taken.name.as_ref() == Some(name),
        }
    }

    /// Those that stand.
    fn standing(&self) -> impl Iterator<Item = &Taken> {
        self.taken.iter().filter(|taken| taken.until > self.now)
    }

    /// Something is asked for: what has to be told.
    pub(super) fn asked(&mut self, op: &LeaseOp) {
        let stands = |until: Moment| {
            // Both clocks show the same here.
            let millis = u64::try_from(until.since(Moment::default()).as_millis()).expect("short");
            vec![LeaseAnswer::Stands(crate::clock::Timestamp::from_millis(millis))]
        };
        let find = |lease: &LeaseKey| self.standing().find(|it| Self::is(lease, it)).cloned();
        let told = match op {
            LeaseOp::Take { .. } if self.over => Vec::new(),
            LeaseOp::Take { number, name, max_age, max, .. } => {
                let until = self.now.plus(*max_age);
                let there = name.clone().and_then(|name| find(&LeaseKey::Name(name)));
                if let Some(mut there) = there {
                    there.until = until;
                    self.replace(there);
                    stands(until)
                } else if self.standing().count() >= *max {
                    vec![LeaseAnswer::TooMany]
                } else {
                    self.new = Some(Taken { number: *number, name: name.clone(), until });
                    stands(until)
                }
            }
            LeaseOp::Renew { lease, max_age } => match find(lease) {
                Some(mut there) => {
                    there.until = self.now.plus(*max_age);
                    let until = there.until;
                    self.replace(there);
                    stands(until)
                }
                None => vec![LeaseAnswer::Over],
            },
            LeaseOp::Release { lease } => {
                self.released = find(lease).map(|there| there.number);
                let stood = self.released.is_some();
                vec![if stood { LeaseAnswer::Released } else { LeaseAnswer::Over }]
            }
        };
        self.asked = Some((op.clone(), told));
    }

    fn replace(&mut self, there: Taken) {
        let place = self.taken.iter_mut().find(|it| it.number == there.number);
        *place.expect("it stands") = there;
    }

    pub(super) fn answered(&mut self, answer: LeaseAnswer) {
        let (op, told) = self.asked.take().expect("somebody asks");
        let over = matches!(
            answer,
            LeaseAnswer::Left | LeaseAnswer::Shut(_) | LeaseAnswer::Closing | LeaseAnswer::Gone(_)
        );
        let right = if told.is_empty() { over } else { told.contains(&answer) };
        assert!(right, "{answer:?} and not {told:?} for {op:?}");
        assert!(self.released.is_none() && self.new.is_none(), "it was not told: {op:?}");
        // Whoever asks finds out what is over.
        assert_eq!(self.standing().count(), self.taken.len());
    }

    pub(super) fn taken(&mut self, lease: &LeaseInfo) {
        let new = self.new.take().expect("somebody takes one");
        assert_eq!((lease.number, &lease.name), (new.number, &new.name));
        self.taken.push(new);
    }

    pub(super) fn ended(&mut self, lease: &LeaseInfo, end: LeaseEnd) {
        let place = self.taken.iter().position(|taken| taken.number == lease.number);
        let taken = self.taken.remove(place.expect("told once, of one that was taken"));
        match end {
            LeaseEnd::Expired => assert!(taken.until <= self.now, "it stands"),
            LeaseEnd::Released => assert_eq!(self.released.take(), Some(taken.number)),
            LeaseEnd::Dropped => assert!(taken.until > self.now && !self.over),
        }
    }

    /// After the effects of an input: these stand, and the session can be used or is left.
    pub(super) fn after(&self, standing: &[u64], ends: bool, alarm: bool) {
        let expected: Vec<_> = self.standing().map(|taken| taken.number).collect();
        assert_eq!(standing, expected);
        assert!(!ends || self.taken.is_empty(), "a session that ends has leases");
        assert!(!alarm || expected.len() == self.taken.len(), "an alarm does not tell");
    }

    /// Whether none stands.
    pub(super) fn are_none(&self) -> bool {
        self.standing().next().is_none()
    }
}

impl Model {
    /// What stands of leases, after an input; whether that was an alarm.
    pub(in super::super) fn leases(&self, standing: &[u64], ends: bool, alarm: bool) {
        self.leases.after(standing, ends, alarm);
    }

    /// Whether no lease stands.
    pub(in super::super) fn is_free(&self) -> bool {
        self.leases.are_none()
    }
}

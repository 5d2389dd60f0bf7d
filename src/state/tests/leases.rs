//! Leases, and when they are over.

use std::time::Duration;

use super::gate::TestGate;
use super::{
    Effects, Input, Now, PartialPolicy, Phase, Rig, START, SessionState, Test, at, record,
    settings, unavailable,
};
use crate::state::{KeptBy, LeaseKey, LeaseOp, LeaveReason};

/// Takes lease `number` for so many seconds; `max` may stand.
pub(super) fn take(number: u64, seconds: u64, max: usize) -> LeaseOp {
    let max_age = Duration::from_secs(seconds);
    LeaseOp::Take { number, name: None, purpose: "work".into(), max_age, max }
}

/// Takes a lease with a name.
pub(super) fn take_named(number: u64, name: &str, seconds: u64) -> LeaseOp {
    let (name, max_age) = (Some(name.to_owned()), Duration::from_secs(seconds));
    LeaseOp::Take { number, name, purpose: "work".into(), max_age, max: 3 }
}

pub(super) fn renew(number: u64, seconds: u64) -> LeaseOp {
    let max_age = Duration::from_secs(seconds);
    LeaseOp::Renew { lease: LeaseKey::Number(number), max_age }
}

pub(super) fn release(number: u64) -> LeaseOp {
    LeaseOp::Release { lease: LeaseKey::Number(number) }
}

/// The lease `number`, which lasts for so many seconds from the start, of a state that was left.
pub(super) fn inherit(number: u64, seconds: u64) -> Input<Test> {
    let settings = settings(2, PartialPolicy::Beside);
    let mut old = SessionState::<Test>::load(&record(&[]), Vec::new(), settings, TestGate);
    let mut effects = Effects::new();
    old.apply(Input::Lease { op: take(number, seconds, 1) }, at(START), &mut effects);
    old.phase = Phase::Left;
    Input::Inherit { leases: old.bequeath().expect("it was left with one") }
}

impl Rig {
    pub(super) fn lease(&mut self, op: LeaseOp) -> String {
        self.apply(Input::Lease { op })
    }

    /// Is to leave if it was not used after `second`.
    fn unload(&mut self, second: u64) -> String {
        let unused_since = at(second).moment;
        self.apply(Input::Unload { unused_since, reason: LeaveReason::Idle })
    }
}

// X6, X7
#[test]
fn a_lease_keeps_the_session_until_its_time_is_over() {
    let mut rig = Rig::new();
    assert_eq!(rig.lease(take(1, 50, 3)), "taken(l1) alarm(150) leased(150)");
    rig.second = START + 49;
    assert_eq!(rig.rest().kept_by.to_vec(), [KeptBy::Leased]);
    assert_eq!(rig.rest().idle_for, Duration::ZERO);
    assert_eq!(rig.unload(1_000), "", "it is kept");
    rig.flush();
    rig.second = START + 50;
    // Over, though nobody has told it yet.
    assert_eq!(rig.rest().kept_by.to_vec(), []);
    assert_eq!(rig.lease(renew(1, 50)), "expired(l1) leased(over)");
    assert_eq!(rig.apply(Input::Alarm), "", "told once");
}

// X4: not from when somebody notices
#[test]
fn idle_counts_from_the_end_of_a_lease() {
    let mut rig = Rig::new();
    rig.lease(take(1, 50, 3));
    rig.second = START + 80;
    assert_eq!(rig.rest().idle_for.as_secs(), 30);
    assert_eq!(rig.snapshot().last_active_at, at(START + 50).wall);
    assert!(!rig.state.is_timeless(), "how long it has been idle has changed by itself");
    rig.apply(Input::Alarm);
    assert!(rig.state.is_timeless());
    assert_eq!(rig.rest().idle_for.as_secs(), 30);
    assert_eq!(rig.snapshot().last_active_at, at(START + 50).wall);
    // One that is given back: from then.
    rig.lease(take(2, 50, 3));
    rig.second = START + 90;
    assert_eq!(rig.lease(release(2)), "released(l2) leased(released)");
    rig.second = START + 95;
    assert_eq!(rig.rest().idle_for.as_secs(), 5);
    assert_eq!(rig.lease(release(2)), "leased(over)", "given back once");
    assert_eq!(rig.rest().idle_for.as_secs(), 5, "which is no use");
    assert_eq!(rig.unload(START + 89), "", "it was used since");
    rig.flush();
    assert_eq!(rig.unload(START + 90), "leave(idle)");
}

#[test]
fn a_name_taken_again_is_renewed() {
    let mut rig = Rig::new();
    assert_eq!(rig.lease(take_named(1, "upload", 10)), "taken(l1) alarm(110) leased(110)");
    rig.second = START + 5;
    assert_eq!(rig.lease(take_named(2, "upload", 10)), "leased(115)");
    assert_eq!(rig.lease(take_named(3, "index", 3)), "taken(l3) alarm(108) leased(108)");
    assert_eq!(rig.lease(take(4, 10, 3)), "taken(l4) leased(115)");
    assert_eq!(rig.lease(take(5, 10, 3)), "leased(too many)");
    assert_eq!(rig.lease(take_named(6, "upload", 10)), "leased(115)", "which needs no room");
    rig.second = START + 8;
    assert_eq!(rig.apply(Input::Alarm), "expired(l3) alarm(115)");
    assert_eq!(rig.lease(take(7, 10, 3)), "taken(l7) leased(118)");
}

// F23, X13
#[test]
fn renewal_and_expiry_agree_on_who_was_first_at_every_moment() {
    // Every order of a renewal and an alarm at each second around the end of a lease of ten seconds.
    for renewed_at in 8..=12 {
        for alarm_at in 8..=14 {
            let mut inputs = [(renewed_at, true), (alarm_at, false)];
            inputs.sort_by_key(|(second, _)| *second);
            for orders in [inputs, [inputs[1], inputs[0]]] {
                if orders[0].0 > orders[1].0 {
                    continue;
                }
                let mut rig = Rig::new();
                rig.lease(take(1, 10, 3));
                let mut told = Vec::new();
                for (second, renews) in orders {
                    rig.second = START + second;
                    told.push(if renews {
                        rig.lease(renew(1, 10))
                    } else {
                        rig.apply(Input::Alarm)
                    });
                }
                let told = told.join(" ");
                let kept = renewed_at < 10;
                let stands = format!("leased({})", START + renewed_at + 10);
                assert_eq!(told.contains(&stands), kept, "{orders:?}: {told}");
                assert_eq!(told.contains("leased(over)"), !kept, "{orders:?}: {told}");
                assert_eq!(told.matches("expired").count(), usize::from(!kept), "{orders:?}");
                // And nothing is left that nobody will find: `audit` has seen that an alarm is set.
                rig.second = START + renewed_at + 10;
                let last = rig.apply(Input::Alarm);
                assert_eq!(last, if kept { "expired(l1)" } else { "" }, "{orders:?}");
                assert_eq!(rig.unload(rig.second), "", "the store is told");
                assert_eq!(rig.flush(), "leave(idle)");
            }
        }
    }
}

// E3, G12
#[test]
fn a_delete_ends_leases_and_a_failed_write_does_not() {
    let mut rig = Rig::new();
    rig.lease(take(1, 50, 3));
    rig.append(1);
    assert_eq!(rig.stored(Err(unavailable())), "changed(c1 unavailable) leave");
    assert_eq!(rig.digest(), "left l1");
    assert_eq!(rig.lease(renew(1, 60)), "leased(160)", "also where it was left");
    let leases = rig.state.bequeath().unwrap();
    assert!(rig.state.bequeath().is_none(), "handed over once");
    let mut next = Rig::new();
    assert_eq!(next.apply(Input::Inherit { leases }), "alarm(160)");
    assert_eq!(next.rest().kept_by.to_vec(), [KeptBy::Leased]);
    assert_eq!(rig.lease(release(1)), "leased(over)");
    assert_eq!(next.delete(2), "dropped(l1)");
    assert_eq!(next.lease(release(1)), "leased(over)");
}

// X14: what nothing else writes is written before it leaves
#[test]
fn a_touch_is_stored_before_the_session_leaves() {
    let mut rig = Rig::new();
    rig.second = START + 10;
    let now = at(rig.second);
    rig.state.note_use(now);
    rig.second = START + 20;
    assert_eq!(rig.unload(START + 9), "", "it was used since");
    assert_eq!(rig.digest(), "live | use:patch");
    assert_eq!(rig.ok(), "");
    assert_eq!(rig.unload(START + 10), "leave(idle)", "it is stored");
    // It is touched while the store has the last one.
    let mut rig = Rig::new();
    rig.state.note_use(at(START));
    rig.second = START + 20;
    assert_eq!(rig.unload(START), "");
    assert_eq!(rig.rest().kept_by.to_vec(), [KeptBy::Unwritten]);
    rig.send();
    rig.state.note_use(at(START + 20));
    assert_eq!(rig.ok(), "", "it stays");
    assert_eq!(rig.digest(), "live u");
    // The store fails: it stays, and the next look tries again.
    rig.unload(START + 20);
    assert_eq!(rig.stored(Err(unavailable())), "");
    assert_eq!(rig.digest(), "live u");
    rig.unload(START + 20);
    assert_eq!(rig.ok(), "leave(idle)");
}

// X7, X14: what was seen is not told anew by a wall clock that has jumped since
#[test]
fn a_use_in_the_moment_in_which_a_lease_ends_is_told_as_it_was_seen() {
    let mut rig = Rig::new();
    rig.lease(take(1, 50, 3));
    let used = at(START + 50);
    rig.state.note_use(used);
    let later = at(START + 60);
    let jumped = Now { wall: later.wall.plus(Duration::from_secs(1_000)), ..later };
    assert_eq!(rig.state.last_use(jumped), used);
}

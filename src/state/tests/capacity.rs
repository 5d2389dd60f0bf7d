//! Permits: asked for when the slot is free, waited for in the queue, given back once.

use super::gate::{self, TestPermit, counted, short};
use super::{
    Act, BusyPolicy, Generation, Input, InputFate, Length, Name, PARALLEL, Place, QUEUE, Redo, Rig,
    STEER, Size, Target, begin_with, cancel, interrupt, leave, redoing, unavailable,
};

const NAME: Name = ("a name", 1);

/// A session that nobody uses, and `left` permits.
fn limited(left: usize) -> Rig {
    let rig = Rig::new();
    gate::permits(Some(left));
    rig
}

impl Rig {
    /// Grants a permit to who waits for one.
    fn grant(&mut self) -> String {
        let (place, permit) = gate::grant().expect("somebody waits, and there is one");
        self.apply(Input::Granted { place, permit })
    }

    /// The wait for a permit is over.
    fn expire(&mut self) -> String {
        let place = gate::expire().expect("somebody waits");
        self.apply(Input::NotGranted { place, shortage: short() })
    }
}

/// A session in which begin 1 waits for a permit, and one that comes free.
fn asking(policy: BusyPolicy) -> (Rig, TestPermit) {
    let mut rig = limited(1);
    let elsewhere = gate::TestGate.take_one().expect("there was one");
    assert_eq!(rig.begin(1, policy), "");
    assert_eq!(rig.digest(), "live q1?");
    (rig, elsewhere)
}

// K1
#[test]
fn a_begin_without_a_permit_has_the_slot_and_stores_nothing_until_it_gets_one() {
    let (mut rig, elsewhere) = asking(BusyPolicy::Reject);
    assert_eq!(rig.snapshot().queued, 1);
    assert!(rig.send().is_none());
    drop(elsewhere);
    assert_eq!(rig.grant(), "opened(t1)");
    assert_eq!(rig.digest(), "live t1s | begin1#1");
    assert_eq!(rig.flush(), "begun(b1 t1 ~1)");
    assert_eq!(counted(), (1, Some(0)));
    rig.commit(1, 1);
    assert_eq!(counted(), (0, Some(1)));
}

// B5, K1
#[test]
fn busy_comes_before_full_and_who_waits_for_the_slot_has_no_permit() {
    let mut rig = limited(1);
    rig.begin(1, BusyPolicy::Reject);
    rig.flush();
    assert_eq!(rig.begin(2, BusyPolicy::Reject), "refused(b2 busy t1 running q0)");
    assert_eq!(
        rig.begin(3, BusyPolicy::Queue { max: 0, wait: None }),
        "refused(b3 full t1 running q0)"
    );
    rig.begin(4, QUEUE);
    assert_eq!(counted(), (1, Some(0)));
    assert_eq!(rig.commit(1, 1), "opened(t2)");
    assert_eq!(counted(), (1, Some(0)));
}

// B5
#[test]
fn where_somebody_waits_for_a_permit_the_next_one_is_told_that_or_waits_behind() {
    let (mut rig, elsewhere) = asking(BusyPolicy::Reject);
    assert_eq!(rig.begin(2, BusyPolicy::Reject), "refused(b2 short)");
    assert_eq!(rig.begin(3, BusyPolicy::Queue { max: 0, wait: None }), "refused(b3 short)");
    // The first has the slot, so it does not count as waiting for it.
    assert_eq!(rig.begin(4, BusyPolicy::Queue { max: 1, wait: None }), "");
    assert_eq!(rig.begin(5, BusyPolicy::Queue { max: 1, wait: None }), "refused(b5 short)");
    assert_eq!(rig.begin(6, PARALLEL), "");
    assert_eq!(rig.begin(7, interrupt(5)), "");
    assert_eq!(rig.begin(8, STEER), "");
    let draining = begin_with(9, QUEUE, |request| request.draining = true);
    assert_eq!(rig.apply(draining), "refused(b9 draining)");
    assert_eq!(rig.digest(), "live q1? q4 q6 q7 q8");
    drop(elsewhere);
    // One that somebody behind it wants interrupted is told so at once, and its input is kept.
    assert_eq!(rig.grant(), "opened(t1) alarm(103) alarm(105) tell(~1 preempted)");
    assert!(rig.flush().starts_with("opened(t2) "), "its permit is the next one's");
}

// K1, K4
#[test]
fn every_end_of_a_turn_gives_its_permit_back_once() {
    let ends: [(&str, Act); 10] = [
        ("commit", |rig| rig.commit(1, 1)),
        ("fail", |rig| rig.fail(1, InputFate::Keep, 1)),
        ("drop", |rig| rig.drop_turn(1)),
        ("fence", |rig| rig.stop(1, 0)),
        ("delete", |rig| rig.delete(1)),
        ("a store that fails", |rig| {
            rig.append(1);
            rig.stored(Err(unavailable()))
        }),
        ("a fence that comes late", |rig| {
            rig.stop(1, 5);
            rig.second += 9;
            rig.apply(Input::Alarm)
        }),
        ("an interrupt", |rig| rig.begin(2, interrupt(0))),
        ("a commit that was told to end", |rig| {
            rig.stop(1, 5);
            rig.commit(1, 1)
        }),
        ("twice", |rig| {
            rig.commit(1, 1);
            rig.commit(1, 2)
        }),
    ];
    for (name, end) in ends {
        let mut rig = limited(2);
        rig.begin(1, BusyPolicy::Reject);
        rig.flush();
        assert_eq!(counted(), (1, Some(1)), "{name}");
        end(&mut rig);
        let successor = rig.state.turns.len();
        assert_eq!(counted().0, successor, "{name}");
        // What its holder reports later gives nothing back.
        rig.drop_turn(1);
        rig.commit(1, 3);
        assert_eq!(counted().0, successor, "{name}");
    }
}

// K4
#[test]
fn a_begin_that_is_not_stored_gives_its_permit_back() {
    for (name, end, told) in [
        ("unavailable", (|rig: &mut Rig| rig.stored(Err(unavailable()))) as Act, 0),
        (
            "cancelled",
            |rig| {
                rig.stop(1, 5);
                rig.flush()
            },
            0,
        ),
        (
            "deleted",
            |rig| {
                rig.delete(2);
                rig.flush()
            },
            0,
        ),
    ] {
        let mut rig = limited(1);
        rig.begin(1, BusyPolicy::Reject);
        assert_eq!(counted().0, 1);
        end(&mut rig);
        assert_eq!(counted(), (told, Some(1)), "{name}");
    }
}

// K4: the grant and what takes the wait back, both ways round
#[test]
fn a_grant_and_the_end_of_the_wait_are_decided_by_who_comes_first() {
    let gives_up: [(&str, Act, &str); 5] = [
        ("leaves", |rig| rig.apply(leave(1)), "refused(b1 short)"),
        (
            "is stopped",
            |rig| rig.apply(cancel(Target::Everything, 5)),
            "cancelled(none) refused(b1 cancelled stopped)",
        ),
        ("is deleted", |rig| rig.delete(9), "refused(b1 closing)"),
        (
            "loses its store",
            |rig| {
                rig.append(9);
                rig.stored(Err(unavailable()))
            },
            "changed(c9 unavailable) refused(b1 unavailable) leave",
        ),
        ("has waited long enough", Rig::expire, "refused(b1 short)"),
    ];
    for (name, give_up, told) in gives_up {
        let (mut rig, elsewhere) = asking(BusyPolicy::Reject);
        assert_eq!(give_up(&mut rig), told, "{name}");
        drop(elsewhere);
        assert!(gate::grant().is_none(), "{name}: nobody waits any more");
        assert_eq!(counted(), (0, Some(1)), "{name}");

        // The permit was on its way already.
        let (mut rig, elsewhere) = asking(BusyPolicy::Reject);
        drop(elsewhere);
        let (place, permit) = gate::grant().unwrap();
        if name == "has waited long enough" {
            // Whoever is granted a permit is off the line, so its wait cannot end.
            assert!(gate::expire().is_none());
            drop(permit);
            continue;
        }
        assert_eq!(give_up(&mut rig), told, "{name}");
        assert_eq!(counted(), (1, Some(0)), "{name}");
        assert_eq!(rig.apply(Input::Granted { place, permit }), "", "{name}");
        assert_eq!(counted(), (0, Some(1)), "{name}");

        // The permit comes first.
        let (mut rig, elsewhere) = asking(BusyPolicy::Reject);
        drop(elsewhere);
        assert_eq!(rig.grant(), "opened(t1)");
        rig.flush();
        assert_eq!(rig.state.permits(), 1);
    }
    let (mut rig, _elsewhere) = asking(BusyPolicy::Reject);
    let place = Place(999);
    assert_eq!(rig.apply(Input::NotGranted { place, shortage: short() }), "");
    assert_eq!(rig.digest(), "live q1?");
}

// K1
#[test]
fn when_the_first_gives_up_the_next_one_asks() {
    let (mut rig, elsewhere) = asking(BusyPolicy::Reject);
    rig.begin(2, QUEUE);
    assert_eq!(rig.expire(), "refused(b1 short)");
    assert_eq!(rig.digest(), "live q2?");
    rig.begin(3, QUEUE);
    assert_eq!(rig.apply(leave(2)), "refused(b2 short)");
    assert_eq!(rig.digest(), "live q3?");
    drop(elsewhere);
    assert_eq!(rig.grant(), "opened(t1)");
}

// K6: no session hands a permit on within itself
#[test]
fn a_turn_that_is_over_gives_its_permit_back_before_the_next_one_asks() {
    let mut rig = limited(1);
    rig.begin(1, BusyPolicy::Reject);
    rig.flush();
    rig.begin(2, QUEUE);
    // What it gives back is somebody else's at once.
    gate::permits(Some(0));
    assert_eq!(rig.commit(1, 1), "");
    assert_eq!(rig.digest(), "live q2? | commit1#2v1");
}

// K1
#[test]
fn a_begin_that_may_not_wait_for_a_permit_is_refused_and_leaves_nothing() {
    let mut rig = limited(0);
    gate::no_line();
    assert_eq!(rig.begin(1, QUEUE), "refused(b1 short)");
    assert_eq!(rig.digest(), "live");
    assert!(rig.rest().kept_by.is_empty());
}

// K3
#[test]
fn a_begin_that_finds_no_spot_is_refused_and_interrupts_nobody() {
    let mut rig = limited(2);
    rig.begin(1, BusyPolicy::Reject);
    rig.flush();
    gate::spots(1);
    assert_eq!(rig.begin(2, QUEUE), "");
    assert_eq!(rig.begin(3, interrupt(0)), "refused(b3 short)");
    assert_eq!(rig.digest(), "live t1r q2");
    // A begin that leaves the queue makes room.
    rig.apply(leave(2));
    assert_eq!(rig.begin(4, QUEUE), "");
}

/// A session with so much in it, that may have as much.
fn long(size: Size, max: Size) -> Rig {
    let mut rig = Rig::new();
    rig.state.length = Length { size, max };
    rig
}

// K3
#[test]
fn a_begin_and_an_append_that_make_the_conversation_too_long_are_refused() {
    let entries = |entries| Size { entries, bytes: 0 };
    // There has to be room for the reply as well.
    assert_eq!(long(entries(9), entries(10)).begin(1, QUEUE), "refused(b1 too long)");
    let mut rig = long(entries(8), entries(10));
    assert_eq!(rig.begin(1, QUEUE), "opened(t1)");
    rig.flush();
    assert!(rig.state.refuse_reply(Generation::new(1), entries(1)).is_none());
    assert!(rig.state.refuse_reply(Generation::new(1), entries(2)).is_some());
    assert!(rig.state.refuse_reply(Generation::new(9), entries(2)).is_none());
    assert_eq!(rig.append(1), "");
    assert_eq!(rig.append(2), "changed(c2 too long)");
    // What is dropped makes room.
    rig.fail(1, InputFate::Drop, 1);
    rig.flush();
    assert_eq!(rig.state.length.size, Size { entries: 9, bytes: 8 });
    let bytes = |bytes| Size { entries: 0, bytes };
    assert_eq!(long(bytes(94), bytes(100)).begin(1, QUEUE), "refused(b1 too long)");
    assert_eq!(long(bytes(93), bytes(100)).begin(1, QUEUE), "opened(t1)");
    assert_eq!(long(bytes(93), bytes(100)).append(1), "changed(c1 too long)");
}

// K3: doing over needs no more room than there was
#[test]
fn what_is_taken_back_makes_room_for_what_is_done_over() {
    let full = Size { entries: 2, bytes: 14 };
    let mut rig = long(Size::default(), Size { entries: 2, bytes: 0 });
    rig.begin(1, QUEUE);
    rig.flush();
    rig.commit(1, 1);
    rig.flush();
    assert_eq!(rig.state.length.size, full);
    assert_eq!(rig.begin(2, QUEUE), "refused(b2 too long)");
    let redo = Redo { taken: full, ..rig.redo(1) };
    assert_eq!(rig.apply(redoing(3, QUEUE, redo)), "opened(t2)");
    rig.flush();
    assert_eq!(rig.state.length.size, Size { entries: 1, bytes: 7 });
}

// C7, K1: a name is a name while its begin waits for a permit
#[test]
fn a_begin_that_waits_for_a_permit_is_echoed() {
    let mut rig = limited(0);
    rig.begin_named(1, BusyPolicy::Reject, NAME);
    assert_eq!(rig.begin_named(2, BusyPolicy::Reject, NAME), "");
    assert_eq!(rig.digest(), "live q1? e2");
    assert_eq!(rig.expire(), "refused(b2 short) refused(b1 short)");
}

// K1: a version that was right when the wait began, and is wrong when the permit comes
#[test]
fn a_permit_for_a_begin_that_cannot_be_any_more_goes_back_and_the_next_one_has_it() {
    let (mut rig, elsewhere) = asking(BusyPolicy::Reject);
    rig.apply(leave(1));
    let begin = begin_with(2, QUEUE, |request| request.expect_version = Some(0));
    assert_eq!(rig.apply(begin), "");
    rig.begin(3, QUEUE);
    rig.append(1);
    drop(elsewhere);
    assert_eq!(rig.grant(), "refused(b2 conflict v1) opened(t1)");
    assert_eq!(counted(), (1, Some(0)));
}

// K1: beside a turn that runs
#[test]
fn a_parallel_turn_asks_while_another_runs() {
    let mut rig = limited(1);
    rig.begin(1, PARALLEL);
    rig.flush();
    assert_eq!(rig.begin(2, PARALLEL), "");
    assert_eq!(rig.digest(), "live p1r q2?");
    assert_eq!(rig.begin(3, PARALLEL), "");
    // Its own session's permit is as good as any.
    assert_eq!(rig.commit(1, 1), "");
    assert_eq!(rig.grant(), "opened(t2)");
    assert_eq!(rig.digest(), "live p2s q3? | commit1#2v1 begin2#3");
}

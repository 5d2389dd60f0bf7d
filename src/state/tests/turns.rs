//! Fences, cancels, and what becomes of a turn and its input.

use super::{
    Act, BusyPolicy, CancelReason, Generation, Input, InputFate, PARALLEL, QUEUE, Rig, START,
    Target, Write, at, cancel, grace, interrupt, record, unavailable,
};
use crate::policy::TurnPhase;

/// Cancels everything because of `reason`.
fn end_all(rig: &mut Rig, reason: CancelReason) -> String {
    rig.apply(Input::Cancel { target: Target::Everything, reason, grace: grace(0) })
}

// C1, C3, C5: after each fence a late commit, fail and drop write nothing, and say why.
#[test]
fn after_each_kind_of_fence_the_holder_is_told_why_and_writes_nothing() {
    let fences: [(Act, &str); 6] = [
        (|rig| rig.stop(1, 0), "stopped"),
        (|rig| end_all(rig, CancelReason::Reset), "reset"),
        (|rig| end_all(rig, CancelReason::Shutdown), "shutdown"),
        (|rig| rig.begin(2, interrupt(0)), "preempted"),
        (|rig| rig.delete(1), "deleted"),
        (
            |rig| {
                rig.append(1);
                rig.stored(Err(unavailable()))
            },
            "store_failed",
        ),
    ];
    for (fence, reason) in fences {
        let late: [Act; 2] = [|rig| rig.commit(1, 8), |rig| rig.fail(1, InputFate::Drop, 8)];
        for late in late {
            let mut rig = Rig::running();
            fence(&mut rig);
            let before = rig.digest();
            assert_eq!(late(&mut rig), format!("settled(s8 stale {reason})"));
            assert_eq!(rig.digest(), before.replace(" !1", ""));
        }
        let mut rig = Rig::running();
        fence(&mut rig);
        let before = rig.digest();
        assert_eq!(rig.drop_turn(1), "");
        assert_eq!(rig.digest(), before.replace(" !1", ""));
    }
}

// C2
#[test]
fn generations_grow_over_ends_failures_and_loads() {
    let mut rig = Rig::running();
    rig.drop_turn(1);
    rig.begin(2, BusyPolicy::Reject);
    rig.flush();
    assert_eq!(rig.snapshot().generation, Generation::new(2));
    let mut loaded = Rig::load(&record(&[2]));
    assert_eq!(loaded.begin(3, BusyPolicy::Reject), "opened(t3)");
}

// C7, C10
#[test]
fn a_failed_turn_leaves_the_version_as_it_was_and_can_be_tried_again() {
    let mut rig = Rig::running();
    rig.fail(1, InputFate::Drop, 1);
    assert_eq!(rig.flush(), "end(~1 failed) settled(s1 failed)");
    assert_eq!(rig.snapshot().version, 0);
    rig.begin(2, BusyPolicy::Reject);
    rig.flush();
    rig.commit(2, 2);
    assert_eq!(rig.flush(), "end(~2 committed) settled(s2 committed #3 v1)");
}

// C10: at every phase of a turn a cancel keeps the input, once.
#[test]
fn the_input_of_a_cancelled_turn_is_written_once_and_kept() {
    for (with_the_store, running, told) in [
        (false, false, false),
        (false, false, true),
        (true, false, false),
        (true, false, true),
        (true, true, false),
        (true, true, true),
    ] {
        let mut rig = Rig::new();
        let mut writes = Vec::new();
        rig.begin(1, BusyPolicy::Reject);
        if with_the_store {
            writes.extend(rig.send());
        }
        if running {
            rig.ok();
        }
        if told {
            rig.stop(1, 5);
        }
        rig.stop(1, 0);
        while !rig.state.outbox.is_empty() {
            writes.extend(rig.send());
            rig.ok();
        }
        assert!(matches!(
            writes.as_slice(),
            [Write::Begin { input: Some(_), .. }, Write::Settle { input: InputFate::Keep, .. }]
        ));
    }
}

// C10, B10
#[test]
fn the_input_of_a_superseded_turn_is_put_aside() {
    let mut rig = Rig::new();
    rig.begin(1, PARALLEL);
    rig.begin(2, PARALLEL);
    rig.flush();
    rig.commit(2, 2);
    rig.commit(1, 1);
    assert_eq!(rig.digest(), "live | commit2#3v1 settle1:superseded/aside");
}

// C11, J6: whatever comes after the first end finds the turn over.
#[test]
fn a_turn_has_one_end_whatever_races() {
    let races: [Act; 6] = [
        |rig| rig.commit(1, 70),
        |rig| rig.fail(1, InputFate::Keep, 71),
        |rig| rig.drop_turn(1),
        |rig| rig.stop(1, 0),
        |rig| rig.delete(72),
        |rig| end_all(rig, CancelReason::Shutdown),
    ];
    for first in races {
        for second in races {
            for third in races {
                let mut rig = Rig::running();
                let mut told = Vec::new();
                for race in [first, second, third] {
                    told.push(race(&mut rig));
                    told.push(rig.flush());
                }
                let ends = told.join(" ").matches("end(~1").count();
                assert_eq!(ends, 1, "{told:?}");
            }
        }
    }
}

// D1, D6
#[test]
fn a_turn_that_ignores_its_cancel_is_fenced_after_the_grace_and_the_slot_is_free() {
    let mut rig = Rig::running();
    assert_eq!(rig.stop(1, 5), "alarm(103) alarm(105) tell(~1 stopped) cancelled([1])");
    assert_eq!(rig.begin(2, BusyPolicy::Reject), "refused(b2 busy t1 cancelling q0)");
    rig.second += 5;
    assert_eq!(rig.apply(Input::Alarm), "fence(~1 stopped)");
    assert_eq!(rig.begin(3, BusyPolicy::Reject), "opened(t2)");
    assert!(rig.state.has_holders());
    assert_eq!(rig.flush(), "end(~1 cancelled_stopped) begun(b3 t2 ~3)");
}

// D3, F9
#[test]
fn a_stale_cancel_says_that_nothing_runs_and_never_hits_a_newer_turn() {
    let mut rig = Rig::running();
    rig.commit(1, 1);
    rig.begin(2, BusyPolicy::Reject);
    assert_eq!(rig.stop(1, 0), "cancelled(none)");
    assert_eq!(rig.snapshot().turns[0].phase, TurnPhase::Starting);
    rig.flush();
    assert_eq!(rig.stop(1, 0), "cancelled(none)");
    assert_eq!(rig.digest(), "live t2r");
}

// D4, F10
#[test]
fn stopping_everything_stops_each_of_three_parallel_turns() {
    let mut rig = Rig::new();
    for number in 1..=3 {
        rig.begin(number, PARALLEL);
    }
    rig.flush();
    let told = rig.apply(cancel(Target::Everything, 5));
    assert_eq!(
        told,
        "alarm(103) alarm(105) tell(~1 stopped) alarm(103) alarm(105) tell(~2 stopped) alarm(103) alarm(105) tell(~3 stopped) \
         cancelled([1, 2, 3])"
    );
    rig.second += 5;
    let fenced = rig.apply(Input::Alarm);
    assert_eq!(fenced, "fence(~1 stopped) fence(~2 stopped) fence(~3 stopped)");
    assert_eq!(rig.flush().matches("end(").count(), 3);
}

// D4, B1: one of several ends, and nobody who waits is let in before the last has.
#[test]
fn the_queue_waits_for_the_last_of_several_parallel_turns() {
    let mut rig = Rig::new();
    rig.begin(1, PARALLEL);
    rig.begin(2, PARALLEL);
    rig.begin(3, QUEUE);
    rig.flush();
    assert_eq!(rig.stop(1, 0), "alarm(100) tell(~1 stopped) cancelled([1]) fence(~1 stopped)");
    assert_eq!(rig.commit(2, 2), "opened(t3)");
}

// D5, B17
#[test]
fn told_to_end_and_ended_are_two_states() {
    let mut rig = Rig::running();
    rig.stop(1, 5);
    assert_eq!(rig.snapshot().turns[0].phase, TurnPhase::Cancelling);
    assert_eq!((rig.snapshot().turns.len(), rig.snapshot().fenced), (1, 0));
    rig.second += 5;
    rig.apply(Input::Alarm);
    assert_eq!((rig.snapshot().turns.len(), rig.snapshot().fenced), (0, 1));
}

// D7
#[test]
fn the_grace_is_measured_from_the_cancel_and_not_from_the_begin() {
    let mut rig = Rig::running();
    rig.second += 10_000;
    assert_eq!(rig.stop(1, 5), "alarm(10103) alarm(10105) tell(~1 stopped) cancelled([1])");
    assert_eq!(rig.apply(Input::Alarm), "");
    assert_eq!(rig.digest(), "live t1c");
}

// D11
#[test]
fn a_stop_before_the_begin_is_stored_gives_the_turn_to_nobody() {
    let mut rig = Rig::new();
    rig.begin(1, BusyPolicy::Reject);
    rig.send();
    rig.stop(1, 5);
    assert_eq!(rig.ok(), "refused(b1 cancelled stopped)");
    assert_eq!(rig.flush(), "end(~1 cancelled_stopped)");
    assert!(rig.state.is_quiet() && !rig.state.has_holders());
}

// D11, D6
#[test]
fn a_fence_before_the_begin_is_stored_frees_the_slot_and_leaves_no_holder() {
    let mut rig = Rig::new();
    rig.begin(1, BusyPolicy::Reject);
    rig.stop(1, 0);
    assert!(!rig.state.has_holders());
    assert_eq!(rig.begin(2, BusyPolicy::Reject), "opened(t2)");
    assert_eq!(
        rig.flush(),
        "refused(b1 cancelled stopped) end(~1 cancelled_stopped) begun(b2 t2 ~2)"
    );
}

// D11, B7: its caller is told the reason for which it was fenced, not some reason.
#[test]
fn a_begin_that_is_preempted_before_it_is_stored_says_so() {
    let mut rig = Rig::new();
    rig.begin(1, BusyPolicy::Reject);
    rig.begin(2, interrupt(0));
    assert_eq!(
        rig.flush(),
        "refused(b1 cancelled preempted) end(~1 cancelled_preempted) begun(b2 t2 ~2)"
    );
}

// D13
#[test]
fn ten_stops_tell_the_turn_once_and_the_first_reason_stands() {
    let mut rig = Rig::running();
    assert_eq!(rig.stop(1, 5), "alarm(103) alarm(105) tell(~1 stopped) cancelled([1])");
    for _ in 0..10 {
        rig.second += 1;
        let reason = CancelReason::Shutdown;
        let (target, grace) = (Target::Everything, grace(5));
        let told = rig.apply(Input::Cancel { target, reason, grace });
        assert!(told.starts_with("cancelled("), "{told}");
        rig.commit(77, 1);
    }
    assert_eq!(rig.commit(1, 8), "settled(s8 stale stopped)");
}

// D6: an impatient second stop shortens the grace, and a patient one does not lengthen it.
#[test]
fn the_shortest_grace_counts() {
    let mut rig = Rig::running();
    rig.stop(1, 50);
    assert_eq!(rig.stop(1, 5), "alarm(105) cancelled([1] already)");
    assert_eq!(rig.stop(1, 500), "cancelled([1] already)");
    rig.second += 5;
    assert_eq!(rig.apply(Input::Alarm), "fence(~1 stopped)");
}

// C5: told to end, and the reply came all the same: it is refused, and the caller hears why.
#[test]
fn what_comes_after_the_cancel_and_before_the_fence_is_stale_and_unwinds_the_turn() {
    let reports: [Act; 2] = [|rig| rig.commit(1, 1), |rig| rig.fail(1, InputFate::Keep, 1)];
    for report in reports {
        let mut rig = Rig::running();
        rig.stop(1, 5);
        assert_eq!(report(&mut rig), "");
        assert_eq!(rig.flush(), "end(~1 cancelled_stopped) settled(s1 stale stopped)");
        assert!(!rig.state.has_holders());
    }
}

// X4, X5
#[test]
fn a_turn_counts_as_use_until_its_end_and_a_refusal_or_a_cancel_does_not() {
    let mut rig = Rig::running();
    let used = |rig: &Rig| rig.snapshot().last_active_at;
    rig.second += 10;
    rig.begin(2, BusyPolicy::Reject);
    rig.begin(3, QUEUE);
    rig.stop(1, 50);
    rig.apply(Input::Alarm);
    assert_eq!(used(&rig), at(START).wall);
    rig.apply(cancel(Target::Everything, 50));
    assert_eq!(used(&rig), at(START).wall);
    rig.drop_turn(1);
    assert_eq!(used(&rig), at(START + 10).wall);
}

// D3
#[test]
fn a_cancel_that_gives_no_less_time_than_the_first_changes_nothing() {
    let mut rig = Rig::running();
    assert_eq!(rig.stop(1, 5), "alarm(103) alarm(105) tell(~1 stopped) cancelled([1])");
    let again = rig.stop(1, 5);
    assert!(!again.contains("alarm") && !again.contains("tell"), "{again}");
    let sooner = rig.stop(1, 4);
    assert!(sooner.contains("alarm(104)") && !sooner.contains("tell"), "{sooner}");
}

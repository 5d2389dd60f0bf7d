//! Who gets the slot, who waits for it, and what the others are told.

use std::time::Duration;

use super::{
    Act, BusyPolicy, Input, InputFate, PARALLEL, QUEUE, Rig, Target, begin_with, cancel, interrupt,
    leave, unavailable,
};
use crate::policy::TurnPhase;

// B1
#[test]
fn of_64_begins_one_runs_and_63_are_told_that_it_does() {
    let mut rig = Rig::new();
    assert_eq!(rig.begin(1, BusyPolicy::Reject), "opened(t1)");
    for number in 2..=64 {
        let told = rig.begin(number, BusyPolicy::Reject);
        assert_eq!(told, format!("refused(b{number} busy t1 starting q0)"));
    }
    assert_eq!(rig.digest(), "live t1s | begin1#1");
}

// B1
#[test]
fn queued_turns_run_one_after_the_other() {
    let mut rig = Rig::new();
    for number in 1..=10 {
        rig.begin(number, QUEUE);
    }
    for turn in 1..=10 {
        rig.flush();
        let open: Vec<_> = rig.snapshot().turns.iter().map(|it| it.stream.generation()).collect();
        assert_eq!(open, [super::Generation::new(turn)]);
        rig.commit(turn, 1);
    }
    assert_eq!(rig.snapshot().turns.len(), 0);
}

// B2
#[test]
fn the_slot_is_taken_in_the_apply_that_admits_before_the_store_knows() {
    let mut rig = Rig::new();
    rig.begin(1, BusyPolicy::Reject);
    assert!(rig.state.has_unsent() && !rig.state.writing);
    let second = rig.begin(2, BusyPolicy::Reject);
    assert_eq!(second, "refused(b2 busy t1 starting q0)");
    assert_eq!(rig.snapshot().turns[0].phase, TurnPhase::Starting);
}

// B3
#[test]
fn the_slot_is_free_in_the_apply_that_ends_a_turn_however_it_ends() {
    let ends: [Act; 6] = [
        |rig| rig.commit(1, 1),
        |rig| rig.fail(1, InputFate::Keep, 1),
        |rig| rig.drop_turn(1),
        |rig| rig.apply(Input::Drop { generation: super::Generation::new(1), panicked: true }),
        |rig| rig.stop(1, 0),
        |rig| rig.apply(cancel(Target::Everything, 0)),
    ];
    for end in ends {
        let mut rig = Rig::running();
        end(&mut rig);
        assert_eq!(rig.begin(2, BusyPolicy::Reject), "opened(t2)");
    }
}

// B3
#[test]
fn an_old_turn_that_ends_twice_does_not_free_the_slot_of_the_next() {
    let mut rig = Rig::running();
    rig.commit(1, 1);
    rig.begin(2, BusyPolicy::Reject);
    rig.drop_turn(1);
    rig.commit(1, 2);
    rig.fail(1, InputFate::Drop, 3);
    assert_eq!(rig.digest(), "live t2s | commit1#2v1 begin2#3");
}

// B5: each row of the table breaks every rule below it too.
#[test]
fn a_refusal_names_the_first_of_gone_closing_draining_busy_and_full() {
    let draining_and_full = || {
        begin_with(9, BusyPolicy::Queue { max: 0, wait: None }, |request| {
            request.draining = true;
            request.expect_version = Some(55);
        })
    };
    let full = || {
        begin_with(9, BusyPolicy::Queue { max: 0, wait: None }, |request| {
            request.expect_version = Some(55);
        })
    };
    let busy = || begin_with(9, BusyPolicy::Reject, |request| request.expect_version = Some(55));
    let mut rig = Rig::running();
    assert_eq!(rig.apply(full()), "refused(b9 full t1 running q0)");
    assert_eq!(rig.apply(busy()), "refused(b9 busy t1 running q0)");
    assert_eq!(rig.apply(draining_and_full()), "refused(b9 draining)");
    rig.delete(1);
    assert_eq!(rig.apply(draining_and_full()), "refused(b9 closing)");
    rig.flush();
    assert_eq!(rig.apply(draining_and_full()), "refused(b9 gone)");
}

// B6
#[test]
fn the_queue_is_first_come_first_served_under_every_end_of_a_turn() {
    let ends: [fn(&mut Rig, u64) -> String; 5] = [
        |rig, turn| rig.commit(turn, 90),
        |rig, turn| rig.fail(turn, InputFate::Keep, 90),
        |rig, turn| rig.drop_turn(turn),
        |rig, turn| rig.stop(turn, 0),
        |rig, turn| {
            rig.apply(Input::Drop { generation: super::Generation::new(turn), panicked: true })
        },
    ];
    let mut rig = Rig::running();
    for number in 2..=6 {
        rig.begin(number, QUEUE);
    }
    for (turn, end) in (1_u64..).zip(ends) {
        assert!(end(&mut rig, turn).contains(&format!("opened(t{})", turn + 1)));
        let next = turn + 1;
        assert!(rig.flush().contains(&format!("begun(b{next} t{next} ~{next})")));
    }
}

// B6, F7: a message that lands 91 ms around a turn's end is run, whichever the lock saw first.
#[test]
fn a_begin_that_lands_at_a_turns_end_is_queued_and_admitted_or_admitted_at_once() {
    let mut before = Rig::running();
    assert_eq!(before.begin(2, QUEUE), "");
    assert_eq!(before.commit(1, 1), "opened(t2)");

    let mut after = Rig::running();
    assert_eq!(after.commit(1, 1), "");
    assert_eq!(after.begin(2, QUEUE), "opened(t2)");

    assert_eq!(before.digest(), after.digest());
    assert_eq!(before.digest(), "live t2s | commit1#2v1 begin2#3");
}

// B6
#[test]
fn a_full_queue_says_so_and_nobody_in_it_is_lost() {
    let two = BusyPolicy::Queue { max: 2, wait: None };
    let mut rig = Rig::running();
    rig.begin(2, two);
    rig.begin(3, two);
    assert_eq!(rig.begin(4, two), "refused(b4 full t1 running q2)");
    assert_eq!(
        rig.begin(5, BusyPolicy::Interrupt { grace: Duration::ZERO, max: 2 }),
        "refused(b5 full t1 running q2)"
    );
    assert_eq!(rig.digest(), "live t1r q2 q3");
}

// B7
#[test]
fn an_interrupting_begin_starts_when_the_old_turn_unwinds() {
    let mut rig = Rig::running();
    assert_eq!(rig.begin(2, interrupt(5)), "alarm(103) alarm(105) tell(~1 preempted)");
    assert_eq!(rig.digest(), "live t1c q2");
    rig.second += 1;
    assert_eq!(rig.drop_turn(1), "opened(t2)");
    assert_eq!(rig.flush(), "end(~1 cancelled_preempted) begun(b2 t2 ~2)");
}

// B7, C1
#[test]
fn an_interrupting_begin_starts_when_the_grace_is_over_and_the_old_turn_is_fenced() {
    let mut rig = Rig::running();
    rig.begin(2, interrupt(5));
    rig.second += 4;
    assert_eq!(rig.apply(Input::Alarm), "abort(~1 preempted)");
    rig.second += 1;
    assert_eq!(rig.apply(Input::Alarm), "fence(~1 preempted) opened(t2)");
    assert_eq!(rig.flush(), "end(~1 cancelled_preempted) begun(b2 t2 ~2)");
    assert_eq!(rig.commit(1, 1), "settled(s1 stale preempted)");
    assert_eq!(rig.digest(), "live t2r");
}

// B7
#[test]
fn a_turn_that_was_granted_while_an_interrupt_waits_keeps_its_input_and_never_runs() {
    let mut rig = Rig::running();
    rig.begin(2, QUEUE);
    rig.begin(3, interrupt(5));
    assert_eq!(rig.drop_turn(1), "opened(t2) alarm(103) alarm(105) tell(~2 preempted)");
    assert_eq!(
        rig.flush(),
        "end(~1 cancelled_preempted) opened(t3) refused(b2 cancelled preempted) \
         end(~2 cancelled_preempted) begun(b3 t3 ~3)"
    );
}

// B10, B1
#[test]
fn of_parallel_turns_the_first_to_commit_wins_and_the_others_are_told_so() {
    let mut rig = Rig::new();
    for number in 1..=4 {
        assert_eq!(rig.begin(number, PARALLEL), format!("opened(t{number})"));
    }
    rig.flush();
    for turn in [3_u64, 1, 4, 2] {
        rig.commit(turn, u32::try_from(turn).expect("small"));
    }
    assert_eq!(
        rig.flush(),
        "end(~3 committed) settled(s3 committed #5 v1) \
         end(~1 superseded) settled(s1 superseded t3) \
         end(~4 superseded) settled(s4 superseded t3) \
         end(~2 superseded) settled(s2 superseded t3)"
    );
}

// B10
#[test]
fn a_parallel_turn_that_began_after_the_commit_is_not_superseded_by_it() {
    let mut rig = Rig::new();
    rig.begin(1, PARALLEL);
    rig.begin(2, PARALLEL);
    rig.flush();
    rig.commit(1, 1);
    rig.begin(3, PARALLEL);
    rig.flush();
    rig.commit(3, 3);
    rig.commit(2, 2);
    assert_eq!(
        rig.flush(),
        "end(~3 committed) settled(s3 committed #5 v2) end(~2 superseded) settled(s2 superseded t3)"
    );
}

// B10
#[test]
fn an_append_beside_parallel_turns_supersedes_nobody() {
    let mut rig = Rig::new();
    rig.begin(1, PARALLEL);
    rig.append(1);
    rig.commit(1, 1);
    assert!(rig.flush().ends_with("end(~1 committed) settled(s1 committed #3 v2)"));
}

// B12
#[test]
fn a_wait_that_is_over_is_answered_with_the_holder_its_age_and_its_phase() {
    let wait = BusyPolicy::Queue { max: 16, wait: Some(Duration::from_secs(3)) };
    let mut rig = Rig::running();
    rig.begin(2, wait);
    rig.begin(3, wait);
    rig.second += 3;
    assert_eq!(rig.snapshot().turns[0].age, Duration::from_secs(3));
    assert_eq!(rig.apply(leave(2)), "refused(b2 timeout t1 running)");
    assert_eq!(rig.apply(leave(2)), "");
    rig.stop(1, 9);
    assert_eq!(rig.apply(leave(3)), "refused(b3 timeout t1 cancelling)");
    assert_eq!(rig.digest(), "live t1c");
}

// B6, B7: a stream of parallel newcomers once held off whoever waited for ever.
#[test]
fn a_parallel_newcomer_does_not_overtake_whoever_waits() {
    let mut rig = Rig::running();
    rig.begin(2, QUEUE);
    assert_eq!(rig.begin(3, PARALLEL), "");
    assert_eq!(rig.begin(4, PARALLEL), "");
    assert_eq!(rig.commit(1, 1), "opened(t2) opened(t3) opened(t4)");
    let told = rig.flush();
    assert!(told.contains("begun(b2 t2 ~2) begun(b3 t3 ~3) begun(b4 t4 ~4)"), "{told}");
}

// C8: it once told the running turn to end first, and was refused only then.
#[test]
fn an_interrupter_that_saw_another_version_interrupts_nobody() {
    let mut rig = Rig::running();
    let stale = begin_with(2, interrupt(0), |request| request.expect_version = Some(7));
    assert_eq!(rig.apply(stale), "refused(b2 conflict v0)");
    assert_eq!(rig.digest(), "live t1r");
}

// B13, D4
#[test]
fn whoever_waits_when_everything_is_stopped_is_told_and_never_runs() {
    let mut rig = Rig::running();
    rig.begin(2, QUEUE);
    rig.begin(3, interrupt(50));
    let told = rig.apply(cancel(Target::Everything, 0));
    assert_eq!(
        told,
        "alarm(100) cancelled([1] already) refused(b2 cancelled stopped) \
         refused(b3 cancelled stopped) fence(~1 preempted)"
    );
    assert_eq!(rig.digest(), "live !1 | settle1:cancelled_preempted/keep");
}

// C8
#[test]
fn a_begin_that_saw_another_version_is_told_the_present_one_and_nothing_is_written() {
    let mut rig = Rig::running();
    rig.commit(1, 1);
    rig.flush();
    let stale = begin_with(2, BusyPolicy::Reject, |request| request.expect_version = Some(0));
    assert_eq!(rig.apply(stale), "refused(b2 conflict v1)");
    assert_eq!(rig.digest(), "live");
    let equal = begin_with(2, BusyPolicy::Reject, |request| request.expect_version = Some(1));
    assert_eq!(rig.apply(equal), "opened(t2)");
}

// C8, B6
#[test]
fn a_waiter_is_measured_against_the_version_at_its_turn_and_the_next_is_not_held_up() {
    let mut rig = Rig::running();
    rig.apply(begin_with(2, QUEUE, |request| request.expect_version = Some(0)));
    rig.begin(3, QUEUE);
    assert_eq!(rig.commit(1, 1), "refused(b2 conflict v1) opened(t2)");
    assert!(rig.flush().contains("begun(b3 t2 ~3)"));
}

// B6, G2: nobody waits for a store that has failed, and nobody is forgotten.
#[test]
fn a_waiter_is_told_when_the_store_fails() {
    let mut rig = Rig::running();
    rig.begin(2, QUEUE);
    rig.append(1);
    let told = rig.stored(Err(unavailable()));
    assert!(told.contains("refused(b2 unavailable)"), "{told}");
    assert_eq!(rig.digest(), "left !1");
}

//! Turns that are stuck, and the steps by which a turn is ended.

use std::time::Duration;

use super::{
    BusyPolicy, CancelReason, Input, PARALLEL, Rig, START, StallRule, Target, cancel, grace,
};
use crate::pulse::WorkPhase;

/// Silence of five seconds for the model, of ten for a tool; nothing is done about it.
fn observe() -> StallRule {
    let (model, tool) = (Some(Duration::from_secs(5)), Some(Duration::from_secs(10)));
    StallRule { model, tool, ..StallRule::default() }
}

/// Looks each second until `second`; what was found, with the second.
fn look_until(rig: &mut Rig, second: u64, rule: StallRule) -> String {
    let mut found = Vec::new();
    while rig.second < second && !rig.state.turns.is_empty() {
        rig.second += 1;
        let told = rig.look(rule);
        if !told.is_empty() {
            found.push(format!("{}: {told}", rig.second));
        }
    }
    found.join("; ")
}

// D9
#[test]
fn a_silence_is_told_once_and_again_only_after_progress() {
    let mut rig = Rig::running();
    let found = look_until(&mut rig, START + 60, observe());
    assert_eq!(found, "105: stalled(~1 model 5/5 silence)");
    assert_eq!(rig.digest(), "live t1r", "it is only observed");
    rig.beat(1, None);
    // Seen at 161, so the next episode counts from there.
    let found = look_until(&mut rig, START + 120, observe());
    assert_eq!(found, "166: stalled(~1 model 5/66 silence)");
}

// D8, F11: however old it is
#[test]
fn a_turn_that_makes_progress_is_never_stuck() {
    let mut rig = Rig::running();
    for _ in 0..1_000 {
        rig.second += 4;
        rig.beat(1, None);
        assert_eq!(rig.look(observe()), "");
    }
}

// D8: each phase has its budget, and changing it is progress.
#[test]
fn a_tool_may_be_silent_for_longer_than_the_model() {
    let mut rig = Rig::running();
    assert_eq!(look_until(&mut rig, START + 4, observe()), "");
    rig.beat(1, Some(WorkPhase::Tool));
    // Seen at 105.
    let found = look_until(&mut rig, START + 30, observe());
    assert_eq!(found, "115: stalled(~1 tool 10/15 silence)");
    rig.beat(1, Some(WorkPhase::Model));
    let found = look_until(&mut rig, START + 60, observe());
    assert_eq!(found, "136: stalled(~1 model 5/36 silence)");
}

// D8
#[test]
fn a_turn_that_waits_for_a_person_is_not_stuck_and_does_not_work() {
    let mut rig = Rig::running();
    let rule = StallRule { total: Some(Duration::from_secs(20)), ..observe() };
    rig.beat(1, Some(WorkPhase::Human));
    assert_eq!(look_until(&mut rig, START + 10_000, rule), "");
    rig.beat(1, Some(WorkPhase::Tool));
    // The second before the first look was work, and so is each from 10101 on.
    let found = look_until(&mut rig, START + 10_100, rule);
    assert_eq!(found, "10111: stalled(~1 tool 10/11 silence); 10120: stalled(~1 tool 19/20 total)");
}

// D10, F12: retries are progress each, and the time over all of them is bounded all the same.
#[test]
fn retries_that_each_begin_afresh_use_up_the_total() {
    let mut rig = Rig::running();
    let (model, total) = (Some(Duration::from_secs(100)), Some(Duration::from_secs(120)));
    let rule = StallRule { model, total, act: Some(grace(5)), ..StallRule::default() };
    assert_eq!(look_until(&mut rig, START + 95, rule), "");
    rig.beat(1, None);
    let found = look_until(&mut rig, START + 190, rule);
    assert_eq!(
        found,
        "220: stalled(~1 model 24/120 total) alarm(223) alarm(225) tell(~1 stalled); \
         223: abort(~1 stalled); 225: fence(~1 stalled) unwatch"
    );
}

// D10: it is told once, and what is silent after that is told as well.
#[test]
fn a_total_is_told_once_however_much_progress_there_is() {
    let mut rig = Rig::running();
    let rule = StallRule { total: Some(Duration::from_secs(2)), ..observe() };
    let found = look_until(&mut rig, START + 20, rule);
    assert_eq!(found, "102: stalled(~1 model 2/2 total); 105: stalled(~1 model 5/5 silence)");
    rig.beat(1, None);
    let found = look_until(&mut rig, START + 40, rule);
    assert_eq!(found, "126: stalled(~1 model 5/26 silence)");
}

// D8
#[test]
fn without_a_budget_nothing_is_ever_stuck() {
    let mut rig = Rig::running();
    let rule = StallRule { act: Some(grace(0)), ..StallRule::default() };
    assert_eq!(look_until(&mut rig, START + 100_000, rule), "");
}

// D6, D9: what was only observed before is told to end at its next episode, and only then.
#[test]
fn a_stuck_turn_is_told_aborted_and_fenced_each_at_its_time() {
    let mut rig = Rig::running();
    let rule = StallRule { act: Some(grace(7)), ..observe() };
    let found = look_until(&mut rig, START + 60, rule);
    assert_eq!(
        found,
        "105: stalled(~1 model 5/5 silence) alarm(108) alarm(112) tell(~1 stalled); \
         108: abort(~1 stalled); 112: fence(~1 stalled) unwatch"
    );
    assert_eq!(rig.commit(1, 1), "settled(s1 stale stalled)");
    assert_eq!(rig.flush(), "end(~1 cancelled_stalled)");
}

// D6: no grace, so the fence is now, and there is nothing left to abort.
#[test]
fn a_stuck_turn_without_grace_is_fenced_by_the_look_that_finds_it() {
    let mut rig = Rig::running();
    rig.begin(2, BusyPolicy::queue());
    rig.second += 5;
    let told = rig.look(StallRule { act: Some(grace(0)), ..observe() });
    assert_eq!(
        told,
        "stalled(~1 model 5/5 silence) alarm(105) tell(~1 stalled) fence(~1 stalled) opened(t2)"
    );
    assert!(rig.state.watched, "the next turn is looked at, too");
}

// D7, D6: of an old turn, too, each step counts from the cancel.
#[test]
fn each_step_counts_from_the_cancel_and_not_from_the_begin() {
    let mut rig = Rig::running();
    rig.second += 10_000;
    rig.stop(1, 5);
    let mut alarms = Vec::new();
    for _ in 0..6 {
        alarms.push(rig.apply(Input::Alarm));
        rig.second += 1;
    }
    assert_eq!(alarms, ["", "", "", "abort(~1 stopped)", "", "fence(~1 stopped)"]);
}

// D6
#[test]
fn a_turn_that_unwinds_when_it_is_aborted_ends_as_cancelled_and_is_not_fenced() {
    let mut rig = Rig::running();
    rig.stop(1, 5);
    rig.second += 3;
    assert_eq!(rig.apply(Input::Alarm), "abort(~1 stopped)");
    assert_eq!(rig.digest(), "live t1a");
    assert_eq!(rig.drop_turn(1), "");
    assert!(!rig.state.has_holders());
    assert_eq!(rig.flush(), "end(~1 cancelled_stopped)");
    rig.second += 2;
    assert_eq!(rig.apply(Input::Alarm), "");
}

// D6, F3: an impatient second cancel brings both steps forward; a patient one neither.
#[test]
fn a_shorter_grace_shortens_the_time_to_the_abort_too() {
    let mut rig = Rig::running();
    rig.stop(1, 50);
    rig.second += 1;
    assert_eq!(rig.stop(1, 1), "alarm(102) cancelled([1] already)");
    assert_eq!(rig.stop(1, 50), "cancelled([1] already)");
    rig.second += 1;
    assert_eq!(rig.apply(Input::Alarm), "fence(~1 stopped)");
    let mut rig = Rig::running();
    rig.apply(Input::Cancel {
        target: Target::Everything,
        reason: CancelReason::Reset,
        grace: crate::policy::Grace::new(Duration::from_secs(30), Duration::from_secs(50)),
    });
    rig.second += 1;
    let told = rig.apply(cancel(Target::Everything, 20));
    assert_eq!(told, "alarm(104) alarm(121) cancelled([1] already)");
    rig.second += 3;
    assert_eq!(rig.apply(Input::Alarm), "abort(~1 reset)");
}

// D6: a lost alarm does not keep a turn in its slot.
#[test]
fn a_look_takes_the_steps_that_are_due() {
    let mut rig = Rig::running();
    rig.stop(1, 5);
    rig.second += 3;
    assert_eq!(rig.look(StallRule::default()), "abort(~1 stopped)");
    rig.second += 2;
    assert_eq!(rig.look(StallRule::default()), "fence(~1 stopped) unwatch");
}

// D11: before its begin is stored nobody works on it, so it is neither silent nor aborted.
#[test]
fn a_turn_that_starts_is_not_stuck() {
    let mut rig = Rig::new();
    rig.begin(1, BusyPolicy::Reject);
    let rule = StallRule { total: Some(Duration::from_secs(5)), ..observe() };
    assert_eq!(look_until(&mut rig, START + 100, rule), "");
    assert_eq!(rig.ok(), "begun(b1 t1 ~1)");
    let found = look_until(&mut rig, START + 106, rule);
    assert!(found.starts_with("205: stalled(~1 model 5/5 total)"), "{found}");
}

// D4: one of several
#[test]
fn of_parallel_turns_each_is_judged_by_itself() {
    let mut rig = Rig::new();
    rig.begin(1, PARALLEL);
    rig.begin(2, PARALLEL);
    rig.flush();
    rig.second += 4;
    rig.beat(2, None);
    assert_eq!(rig.look(observe()), "");
    rig.second += 1;
    assert_eq!(rig.look(observe()), "stalled(~1 model 5/5 silence)");
}

// X5
#[test]
fn a_look_is_no_use_of_the_session() {
    let mut rig = Rig::running();
    rig.second += 50;
    rig.look(StallRule { act: Some(grace(5)), ..observe() });
    assert_eq!(rig.snapshot().last_active_at, super::at(START).wall);
}

// X12: a session asks to be looked at once, not once a turn, and is let go of when it is idle.
#[test]
fn a_session_in_use_asks_once_to_be_looked_at() {
    let mut rig = Rig::new();
    let asked = |rig: &mut Rig, number| {
        let mut effects = super::Effects::new();
        let now = super::at(rig.second);
        rig.state.apply(super::begin(number, BusyPolicy::Reject), now, &mut effects);
        effects.iter().any(|effect| matches!(effect, crate::state::Effect::Watch))
    };
    assert!(asked(&mut rig, 1));
    for generation in 1..10 {
        rig.flush();
        rig.commit(generation, 1);
        assert!(!asked(&mut rig, 2), "turn {generation}");
    }
    rig.commit(10, 1);
    rig.flush();
    assert_eq!(rig.look(observe()), "unwatch");
    assert!(asked(&mut rig, 3));
}

// L4
#[test]
fn the_status_says_what_a_turn_waits_for_and_for_how_long_it_was_seen_silent() {
    let mut rig = Rig::running();
    let seen = |rig: &Rig| {
        let turn = rig.snapshot().turns[0];
        (turn.work, turn.silent_for.as_secs())
    };
    rig.second += 3;
    assert_eq!(seen(&rig), (WorkPhase::Model, 3), "before any look");
    rig.look(observe());
    rig.beat(1, Some(WorkPhase::Tool));
    rig.second += 3;
    assert_eq!(seen(&rig), (WorkPhase::Tool, 0), "it has moved since the last look");
    rig.look(observe());
    rig.second += 4;
    assert_eq!(seen(&rig), (WorkPhase::Tool, 4));
}

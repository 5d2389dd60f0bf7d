//! Begins with a name: asked for twice, begun once.

use super::{
    BusyPolicy, Input, Name, QUEUE, Rig, Target, cancel, leave, named, outcome_unknown, unavailable,
};

const NAME: Name = ("a name", 1);

/// A session whose turn 1 is being begun under [`NAME`].
fn starting() -> Rig {
    let mut rig = Rig::new();
    rig.begin_named(1, BusyPolicy::Reject, NAME);
    rig
}

// B15
#[test]
fn who_repeats_a_begin_that_is_being_stored_is_told_its_turn_once_that_is() {
    let mut rig = starting();
    assert_eq!(rig.begin_named(2, BusyPolicy::Reject, NAME), "");
    assert_eq!(rig.begin_named(3, BusyPolicy::Reject, (NAME.0, 2)), "");
    let told = "refused(b2 repeats t1 same) refused(b3 repeats t1 other) begun(b1 t1 ~1)";
    assert_eq!(rig.flush(), told);
    assert_eq!(rig.digest(), "live t1r");
}

// B15
#[test]
fn who_repeats_a_turn_that_runs_is_told_so_whatever_the_policy() {
    let mut rig = starting();
    rig.flush();
    assert_eq!(rig.begin_named(2, QUEUE, NAME), "refused(b2 repeats t1 same)");
    assert_eq!(rig.begin_named(3, QUEUE, (NAME.0, 2)), "refused(b3 repeats t1 other)");
    assert_eq!(rig.begin_named(4, QUEUE, ("another", 1)), "");
}

// B15: the store was asked before the first was stored, and the lock was had after that was over.
#[test]
fn a_name_that_was_stored_since_the_store_was_asked_is_asked_for_again() {
    let mut rig = Rig::new();
    let seen = rig.snapshot().requests;
    rig.begin_named(1, BusyPolicy::Reject, NAME);
    rig.flush();
    rig.commit(1, 1);
    rig.flush();
    let late = named(2, BusyPolicy::Reject, NAME, seen);
    assert_eq!(rig.apply(late), "refused(b2 ask again)");
}

// B15: the same, and the first had been admitted already when the store was asked.
#[test]
fn a_name_that_was_admitted_and_not_stored_when_the_store_was_asked_is_asked_for_again() {
    let mut rig = starting();
    let seen = rig.snapshot().requests;
    rig.flush();
    rig.commit(1, 1);
    rig.flush();
    let late = named(2, BusyPolicy::Reject, NAME, seen);
    assert_eq!(rig.apply(late), "refused(b2 ask again)");
}

// B15: the store does not know the name yet, and the turn is not open any more.
#[test]
fn a_turn_that_was_fenced_before_it_was_stored_keeps_its_name() {
    let mut rig = starting();
    rig.stop(1, 0);
    assert_eq!(rig.begin_named(2, BusyPolicy::Reject, NAME), "");
    assert_eq!(
        rig.flush(),
        "refused(b2 repeats t1 same) refused(b1 cancelled stopped) end(~1 cancelled_stopped)"
    );
}

// B15
#[test]
fn who_repeats_a_begin_that_waits_is_told_what_becomes_of_it() {
    let queued = || {
        let mut rig = Rig::running();
        rig.begin_named(2, QUEUE, NAME);
        assert_eq!(rig.begin_named(3, QUEUE, NAME), "");
        rig
    };
    let mut rig = queued();
    rig.commit(1, 1);
    let told = rig.flush();
    assert!(told.ends_with("refused(b3 repeats t2 same) begun(b2 t2 ~2)"), "{told}");

    let mut rig = queued();
    let told = rig.apply(leave(2));
    assert_eq!(told, "refused(b3 timeout t1 running) refused(b2 timeout t1 running)");

    let mut rig = queued();
    let told = rig.apply(cancel(Target::Everything, 5));
    assert!(told.contains("refused(b3 cancelled stopped) refused(b2 cancelled stopped)"), "{told}");

    let mut rig = queued();
    let told = rig.delete(1);
    assert!(told.contains("refused(b3 closing) refused(b2 closing)"), "{told}");

    let mut rig = queued();
    rig.append(1);
    let told = rig.stored(Err(unavailable()));
    assert!(told.contains("refused(b2 unavailable) refused(b3 unavailable) leave"), "{told}");
}

// B15
#[test]
fn who_goes_away_repeats_nothing_any_more_and_the_others_do() {
    let mut rig = starting();
    rig.begin_named(2, QUEUE, NAME);
    rig.begin_named(3, QUEUE, NAME);
    assert_eq!(rig.apply(leave(2)), "refused(b2 timeout t1 starting)");
    assert_eq!(rig.flush(), "refused(b3 repeats t1 same) begun(b1 t1 ~1)");
}

// B15: a begin whose outcome is not known may be there, and the next state asks the store.
#[test]
fn a_begin_that_failed_fails_for_those_who_repeat_it() {
    let mut rig = starting();
    rig.begin_named(2, BusyPolicy::Reject, NAME);
    let told = rig.stored(Err(outcome_unknown()));
    assert!(told.contains("refused(b1 unknown)") && told.contains("refused(b2 unknown)"), "{told}");
    assert_eq!(rig.begin_named(3, BusyPolicy::Reject, NAME), "refused(b3 left)");
}

// B15, B5: the name does not hide that the session is over or that nothing is admitted.
#[test]
fn a_session_that_closes_says_so_to_those_who_repeat() {
    let mut rig = starting();
    rig.delete(1);
    assert_eq!(rig.begin_named(2, BusyPolicy::Reject, NAME), "refused(b2 closing)");
    let Input::Begin { mut request, port, stream, pass } = named(3, QUEUE, NAME, 0) else {
        panic!()
    };
    request.draining = true;
    let mut rig = starting();
    assert_eq!(rig.apply(Input::Begin { request, port, stream, pass }), "refused(b3 draining)");
}

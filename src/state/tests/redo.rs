//! Taking back, and doing over.

use super::{BRANCH, BusyPolicy, InputFate, QUEUE, Redo, Rig, begin, record, redoing, unavailable};

/// A session with one turn that was answered: entries 1 and 2, version 1.
fn answered() -> Rig {
    let mut rig = Rig::running();
    rig.commit(1, 1);
    rig.flush();
    rig
}

// C9
#[test]
fn what_is_taken_back_is_gone_its_numbers_are_not_given_again_and_the_version_grows() {
    let mut rig = answered();
    let redo = rig.redo(1);
    assert_eq!(rig.take_back(redo, 1), "");
    assert_eq!(rig.digest(), "live | change:back#1v2");
    assert_eq!(rig.flush(), "changed(c1 v2 #2)");
    rig.begin(2, BusyPolicy::Reject);
    assert_eq!(rig.digest(), "live t2s | begin2#3");
}

// C9: one write, so that no crash comes between.
#[test]
fn doing_over_takes_back_and_begins_in_one_write() {
    let mut rig = answered();
    let redo = rig.redo(1);
    assert_eq!(rig.apply(redoing(2, QUEUE, redo)), "opened(t2)");
    assert_eq!(rig.digest(), "live t2s | begin2#3<back#1v2>");
    assert_eq!(rig.flush(), "begun(b2 t2 ~2)");
}

// C9: nothing was changed.
#[test]
fn nothing_is_taken_back_under_a_turn_that_runs() {
    let mut rig = answered();
    rig.begin(2, BusyPolicy::Reject);
    let redo = rig.redo(1);
    let before = rig.digest();
    assert_eq!(rig.take_back(redo, 1), "changed(c1 busy)");
    assert_eq!(rig.apply(redoing(3, QUEUE, redo)), "refused(b3 busy t2 starting q0)");
    assert_eq!(rig.digest(), before);
}

// C9: each of these came after it was found out what to take back.
#[test]
fn what_has_moved_is_found_out_again() {
    let between: [fn(&mut Rig); 5] = [
        |rig| {
            rig.append(8);
        },
        |rig| {
            let redo = rig.redo(2);
            rig.take_back(redo, 8);
            rig.flush();
        },
        |rig| {
            rig.begin(8, BusyPolicy::Reject);
            rig.flush();
            rig.fail(2, InputFate::Drop, 8);
            rig.flush();
        },
        |rig| {
            rig.apply(super::begin_with(8, BusyPolicy::Reject, |request| request.input = None));
            rig.flush();
            rig.drop_turn(2);
        },
        |rig| {
            rig.apply(super::begin_with(8, BusyPolicy::Reject, |request| request.input = None));
            rig.flush();
            rig.commit(2, 8);
            rig.flush();
        },
    ];
    for come_between in between {
        let mut rig = answered();
        let redo = rig.redo(1);
        come_between(&mut rig);
        let before = rig.digest();
        assert_eq!(rig.take_back(redo, 1), "changed(c1 moved)");
        assert_eq!(rig.apply(redoing(3, QUEUE, redo)), "refused(b3 moved)");
        assert_eq!(rig.digest(), before);
    }
}

// C9: two that go back by one turn each, and have seen the same, do not both take back that one.
#[test]
fn of_two_that_take_back_the_same_the_second_looks_again() {
    let mut rig = answered();
    let redo = rig.redo(1);
    assert_eq!(rig.take_back(redo, 1), "");
    assert_eq!(rig.take_back(redo, 2), "changed(c2 moved)");
    assert_eq!(rig.flush(), "changed(c1 v2 #2)");
    assert_eq!(rig.take_back(redo, 3), "changed(c3 moved)");
}

// C9: it was open when that was found out, and its input is gone now.
#[test]
fn a_turn_that_was_open_in_the_store_has_moved() {
    let mut rig = Rig::running();
    let redo = Redo { open: true, ..rig.redo(1) };
    rig.fail(1, InputFate::Drop, 1);
    rig.flush();
    assert_eq!(rig.take_back(redo, 1), "changed(c1 moved)");
}

// C9, C6
#[test]
fn a_store_that_fails_takes_back_nothing_and_says_so() {
    let mut rig = answered();
    let redo = rig.redo(1);
    rig.take_back(redo, 1);
    assert_eq!(rig.stored(Err(unavailable())), "changed(c1 unavailable) leave");
    let mut rig = answered();
    let redo = rig.redo(1);
    rig.apply(redoing(2, QUEUE, redo));
    let told = rig.stored(Err(unavailable()));
    assert!(told.starts_with("refused(b2 unavailable)"), "{told}");
}

// C9, C8: who says which version it saw is told first that it saw another.
#[test]
fn a_wrong_version_is_told_before_what_has_moved() {
    let mut rig = answered();
    let redo = Redo { next_seq: 99, ..rig.redo(1) };
    let super::Input::Begin { mut request, port, stream, pass } = redoing(2, QUEUE, redo) else {
        panic!()
    };
    request.expect_version = Some(55);
    let begin = super::Input::Begin { request, port, stream, pass };
    assert_eq!(rig.apply(begin), "refused(b2 conflict v1)");
}

// C9, B9: it stands under what is left.
#[test]
fn a_branch_that_is_done_over_stands_where_it_stood() {
    let mut rig = answered();
    for number in 2..=4 {
        rig.begin(number, BRANCH);
        rig.flush();
        rig.drop_turn(number.into());
        rig.flush();
    }
    assert_eq!(rig.apply(begin(5, BRANCH)), "refused(b5 branches under #2)");
    let redo = rig.redo(3);
    assert_eq!(rig.apply(redoing(6, BRANCH, redo)), "opened(t5)");
    assert_eq!(rig.digest(), "live b5s | begin5#6^2<back#3v2>");
}

// C9, B9: not what was taken back.
#[test]
fn what_is_begun_after_taking_back_stands_under_what_is_left() {
    let mut rig = answered();
    let redo = rig.redo(1);
    rig.take_back(redo, 1);
    rig.begin(2, BRANCH);
    assert_eq!(rig.digest(), "live b2s | change:back#1v2 begin2#3^0");
}

// C9: a session that was loaded knows as much.
#[test]
fn what_was_found_out_before_a_load_holds_after_it() {
    let mut rig = Rig::load(&record(&[]));
    let redo = rig.redo(1);
    assert_eq!(rig.take_back(redo, 1), "");
}

// G6: what is in its place goes in the same write, and its numbers are not given again.
#[test]
fn what_is_put_back_comes_last_and_the_version_grows() {
    let mut rig = answered();
    let redo = rig.redo(2);
    rig.take_back(redo, 1);
    rig.append(2);
    rig.flush();
    let redo = rig.redo(2);
    assert_eq!(rig.put_back(redo, 2, 1, 3), "");
    assert_eq!(rig.digest(), "live | change:put2@2#4+1v4");
    assert_eq!(rig.flush(), "changed(c3 v4 #4)");
    rig.begin(4, BRANCH);
    assert_eq!(rig.digest(), "live b2s | begin2#5^4");
}

// G6: nothing was changed.
#[test]
fn nothing_is_put_back_while_something_may_come_between() {
    let mut rig = answered();
    let redo = rig.redo(1);
    rig.take_back(redo, 1);
    assert_eq!(rig.put_back(redo, 2, 2, 2), "changed(c2 moved)");
    rig.flush();
    assert_eq!(rig.put_back(redo, 2, 2, 3), "changed(c3 moved)");
    let redo = rig.redo(1);
    rig.apply(super::Input::Change { change: super::Change::ForgetRevision(2), port: 4 });
    assert_eq!(rig.put_back(redo, 2, 2, 5), "changed(c5 moved)", "it may be this one");
    assert_eq!(rig.flush(), "changed(c4 v2 #2)");
    rig.begin(6, BusyPolicy::Reject);
    assert_eq!(rig.put_back(redo, 2, 2, 7), "changed(c7 busy)");
}

// K1: as much as it has room for once what is in its place is gone.
#[test]
fn what_is_put_back_may_take_the_room_of_what_it_replaces() {
    let mut rig = answered();
    let taken = rig.state.length.size;
    rig.state.length.max = taken;
    let redo = Redo { taken, ..rig.redo(1) };
    assert_eq!(rig.put_back(redo, 1, taken.entries, 1), "");
    let more = taken.entries + 1;
    let redo = Redo { taken: rig.state.length.size, ..rig.redo(1) };
    assert!(rig.put_back(redo, 1, more, 2).starts_with("changed(c2 "));
}

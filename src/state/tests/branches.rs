//! Turns whose replies stand beside each other.

use super::{BRANCH, BusyPolicy, InputFate, PARALLEL, PartialPolicy, QUEUE, Rig, record, redoing};

/// A session with one turn that was answered: entries 1 and 2.
fn answered() -> Rig {
    let mut rig = Rig::running();
    rig.commit(1, 1);
    rig.flush();
    rig
}

// B9
#[test]
fn siblings_stand_under_what_was_the_last_entry_when_they_began() {
    let mut rig = answered();
    rig.begin(2, BRANCH);
    rig.begin(3, BRANCH);
    assert_eq!(rig.digest(), "live b2s b3s | begin2#3^2 begin3#4^2");
}

// B9
#[test]
fn every_branch_commits() {
    let mut rig = answered();
    rig.begin(2, BRANCH);
    rig.begin(3, BRANCH);
    rig.flush();
    rig.commit(3, 3);
    rig.commit(2, 2);
    let told = rig.flush();
    assert!(told.contains("settled(s3 committed #5 v2)"), "{told}");
    assert!(told.contains("settled(s2 committed #6 v3)"), "{told}");
}

// B9: what begins later follows the reply that came last.
#[test]
fn what_is_begun_after_a_commit_stands_under_it() {
    let mut rig = answered();
    rig.begin(2, BRANCH);
    rig.begin(3, BRANCH);
    rig.flush();
    rig.commit(2, 2);
    rig.begin(4, BRANCH);
    assert_eq!(rig.digest(), "live b3r b4s | commit2#5v2 begin4#6^5");
}

// B9: before anything is stored or called.
#[test]
fn no_more_than_the_limit_stand_under_one_entry() {
    let mut rig = answered();
    for number in 2..=4 {
        assert_eq!(rig.begin(number, BRANCH), format!("opened(t{number})"));
    }
    let before = rig.digest();
    assert_eq!(rig.begin(5, BRANCH), "refused(b5 branches under #2)");
    assert_eq!(rig.digest(), before);
    rig.flush();
    rig.commit(2, 2);
    assert_eq!(rig.begin(6, BRANCH), "opened(t5)", "there is room under the next one");
}

// B9, C10: an input that nobody has answered is followed by nothing.
#[test]
fn a_branch_that_failed_leaves_the_place_as_it_was() {
    let mut rig = answered();
    rig.begin(2, BRANCH);
    rig.flush();
    rig.fail(2, InputFate::Keep, 2);
    rig.flush();
    rig.begin(3, BRANCH);
    assert_eq!(rig.digest(), "live b3s | begin3#4^2");
}

// B9, C10: unless something of its reply is there.
#[test]
fn a_branch_whose_reply_was_cut_short_can_be_gone_on_from() {
    let mut rig = Rig::load_with(&record(&[]), Vec::new(), PartialPolicy::Entry);
    rig.begin(1, BRANCH);
    rig.flush();
    rig.say(1, "half");
    rig.drop_turn(1);
    rig.begin(2, BRANCH);
    assert_eq!(rig.digest(), "live b2s | settle1:abandoned/keep+entry#2 begin2#3^2");
}

// B9, B10: of what is not a branch the first to commit wins, also against branches; its place is known
// to the store, and when it has failed nothing stands under it.
#[test]
fn who_runs_beside_branches_and_is_none_has_a_place_and_can_lose() {
    let mut rig = answered();
    rig.begin(2, BRANCH);
    rig.begin(3, PARALLEL);
    rig.begin(4, PARALLEL);
    assert_eq!(rig.digest(), "live b2s p3s p4s | begin2#3^2 begin3#4^2 begin4#5^2");
    rig.flush();
    rig.fail(4, InputFate::Keep, 4);
    rig.begin(5, BRANCH);
    rig.commit(2, 2);
    rig.commit(3, 3);
    assert_eq!(
        rig.digest(),
        "live b5s | settle4:failed/keep begin5#6^2 commit2#7v2 settle3:superseded/aside"
    );
}

// B9: it was alone when it began.
#[test]
fn a_turn_beside_which_a_branch_is_begun_has_no_place_and_the_branch_is_not_under_it() {
    let mut rig = answered();
    rig.begin(2, BusyPolicy::Reject);
    rig.begin(3, BRANCH);
    assert_eq!(rig.digest(), "live t2s b3s | begin2#3 begin3#4^2");
}

// B9, B6
#[test]
fn a_branch_does_not_overtake_whoever_waits() {
    let mut rig = Rig::running();
    rig.begin(2, QUEUE);
    assert_eq!(rig.begin(3, BRANCH), "");
    assert_eq!(rig.commit(1, 1), "opened(t2) opened(t3)");
    assert_eq!(rig.digest(), "live t2s b3s | commit1#2v1 begin2#3 begin3#4^2");
}

// B9, C10: an input that is dropped was nothing that one could stand under.
#[test]
fn a_turn_whose_input_is_dropped_leaves_the_place_as_it_was() {
    let mut rig = answered();
    rig.begin(2, BusyPolicy::Reject);
    rig.flush();
    rig.fail(2, InputFate::Drop, 2);
    rig.flush();
    rig.begin(3, BRANCH);
    assert!(rig.digest().ends_with("^2"), "{}", rig.digest());
}

/// A session under whose entry 2 stand as many branches as may, all of which have failed.
fn full() -> Rig {
    let mut rig = answered();
    for number in 2..=4 {
        rig.begin(number, BRANCH);
    }
    rig.flush();
    for number in 2..=4 {
        rig.fail(number.into(), InputFate::Keep, number);
    }
    rig.flush();
    assert_eq!(rig.begin(5, BRANCH), "refused(b5 branches under #2)");
    rig
}

// B9, C12
#[test]
fn places_are_free_again_when_all_that_stands_there_is_taken_back() {
    let mut rig = full();
    let redo = rig.redo(3);
    rig.take_back(redo, 1);
    rig.flush();
    rig.begin(6, BRANCH);
    assert!(rig.digest().ends_with("^2"), "{}", rig.digest());
    // What is taken back is above them: there are as many as before.
    let mut rig = full();
    let redo = rig.redo(4);
    rig.take_back(redo, 1);
    rig.flush();
    assert_eq!(rig.begin(6, BRANCH), "refused(b6 branches under #2)");
}

// B9, C12
#[test]
fn a_branch_that_does_another_turn_over_stands_under_what_is_left() {
    let mut rig = answered();
    rig.begin(2, BusyPolicy::Reject);
    rig.flush();
    rig.commit(2, 2);
    rig.flush();
    let redo = rig.redo(3);
    assert_eq!(rig.apply(redoing(3, BRANCH, redo)), "opened(t3)");
    assert_eq!(rig.digest(), "live b3s | begin3#5^2<back#3v3>");
    rig.begin(4, BRANCH);
    rig.begin(5, BRANCH);
    assert_eq!(rig.begin(6, BRANCH), "refused(b6 branches under #2)", "it is one of them");
}

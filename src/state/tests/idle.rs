//! When a session leaves memory, and what keeps it.

use super::{Generation, Input, InputFate, QUEUE, Rig, StoreError, at, interrupt};
use crate::state::{KeptBy, LeaveReason, Phase, Rest};

/// Is to leave if it was not used after `second`.
fn unload(second: u64) -> Input<super::Test> {
    Input::Unload { unused_since: at(second).moment, reason: LeaveReason::Idle }
}

impl Rig {
    /// Whether it leaves at `second`, if it was not used after `unused_since`. It does not, really.
    fn would_leave(&mut self, second: u64, unused_since: u64) -> bool {
        self.second = second;
        let leaves = self.apply(unload(unused_since)) == "leave(idle)";
        assert_eq!(leaves, matches!(self.state.phase, Phase::Left));
        if leaves {
            self.state.phase = Phase::Live;
        }
        leaves
    }

    /// Whether it rests.
    pub(super) fn rest(&self) -> Rest {
        self.state.rest(at(self.second))
    }

    fn kept_by(&self) -> Vec<KeptBy> {
        self.rest().kept_by.to_vec()
    }
}

// X13: whichever comes first
#[test]
fn a_begin_keeps_the_session_or_finds_it_left_and_gets_its_input_back() {
    let mut rig = Rig::new();
    rig.begin(1, QUEUE);
    assert!(!rig.would_leave(1_000, 1_000));
    let mut rig = Rig::new();
    rig.second = 1_000;
    assert_eq!(rig.apply(unload(1_000)), "leave(idle)");
    assert_eq!(rig.begin(1, QUEUE), "refused(b1 left)");
    assert_eq!(rig.append(2), "changed(c2 left)");
    assert_eq!(rig.delete(3), "deleted(d3 left)");
    assert_eq!(rig.apply(unload(1_000)), "", "it leaves once");
    assert_eq!(rig.digest(), "left");
}

// X4: from the end of the turn, and of its last write
#[test]
fn idle_counts_from_the_end_of_the_last_write() {
    let mut rig = Rig::running();
    rig.second = 200;
    rig.commit(1, 1);
    rig.second = 300;
    assert_eq!(rig.kept_by(), [KeptBy::Unwritten]);
    rig.ok();
    assert!(!rig.would_leave(400, 299));
    assert_eq!(rig.rest().idle_for.as_secs(), 100);
    assert!(rig.would_leave(400, 300));
}

// X5
#[test]
fn what_is_refused_or_only_looks_does_not_keep_it_loaded_longer() {
    let mut rig = Rig::running();
    rig.fail(1, InputFate::Keep, 1);
    rig.ok();
    rig.second = 200;
    rig.begin(2, QUEUE);
    rig.ok();
    rig.drop_turn(2);
    rig.ok();
    rig.second = 300;
    rig.stop(2, 5);
    rig.commit(2, 3);
    rig.apply(super::leave(77));
    rig.apply(Input::Alarm);
    rig.apply(super::begin_with(4, QUEUE, |request| request.expect_version = Some(99)));
    rig.apply(super::begin_with(5, QUEUE, |request| request.draining = true));
    // A turn that the store calls open and that nobody holds is not this session's work.
    rig.apply(Input::Clear { generation: Generation::new(77), port: 6 });
    assert!(!rig.would_leave(300, 300), "it is to be written");
    rig.stored(Err(StoreError::fenced(super::FenceReason::TurnNotOpen)));
    assert!(!rig.would_leave(400, 199));
    assert!(rig.would_leave(400, 200));
}

// X6
#[test]
fn a_fenced_turn_keeps_it_until_its_holder_reports() {
    let mut rig = Rig::running();
    rig.begin(2, interrupt(0));
    rig.flush();
    rig.drop_turn(2);
    rig.flush();
    assert_eq!(rig.kept_by(), [KeptBy::Fenced]);
    assert!(!rig.would_leave(1_000, 1_000));
    assert_eq!(rig.commit(1, 3), "settled(s3 stale preempted)");
    assert!(rig.would_leave(1_000, 1_000));
}

// X13: whoever has waited for it gets to use it
#[test]
fn who_is_about_to_use_it_keeps_it() {
    let mut rig = Rig::new();
    assert!(rig.state.let_in() && rig.state.let_in());
    assert_eq!(rig.kept_by(), [KeptBy::Guest]);
    assert!(!rig.would_leave(1_000, 1_000));
    rig.state.let_out();
    assert!(!rig.would_leave(1_000, 1_000));
    rig.state.let_out();
    rig.second = 1_000;
    assert_eq!(rig.apply(unload(1_000)), "leave(idle)");
    assert!(!rig.state.let_in(), "it has left");
    assert_eq!(rig.kept_by(), []);
}

// X13: who touches it while that is being decided has to ask
#[test]
fn it_is_leaving_while_the_store_is_told_of_its_last_use() {
    let mut rig = Rig::new();
    rig.append(1);
    assert!(!rig.state.is_leaving(), "it is used");
    rig.flush();
    rig.state.note_use(at(super::START + 10));
    rig.second = 1_000;
    rig.apply(Input::Save);
    assert!(!rig.state.is_leaving(), "it stays");
    rig.flush();
    rig.state.note_use(at(1_001));
    rig.second = 2_000;
    rig.apply(unload(2_000));
    assert!(rig.state.is_leaving());
    assert_eq!(rig.flush(), "leave(idle)");
    assert!(!rig.state.is_leaving(), "it has left");
}

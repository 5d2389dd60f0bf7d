//! How each phase of the table is reached.

use std::time::Duration;

use super::super::leases::take;
use super::super::{
    BRANCH, BusyPolicy, InputFate, PARALLEL, QUEUE, Rig, START, STEER, at, gate, interrupt, record,
    unavailable,
};
use super::NAME;
use crate::standing::SuspendReason;
use crate::state::Verb;

pub(super) fn idle() -> Rig {
    Rig::new()
}

pub(super) fn starting() -> Rig {
    let mut rig = Rig::new();
    rig.begin(1, BusyPolicy::Reject);
    rig.send();
    rig
}

pub(super) fn cancelling() -> Rig {
    let mut rig = Rig::running();
    rig.stop(1, 5);
    rig
}

pub(super) fn cancelling_while_starting() -> Rig {
    let mut rig = starting();
    rig.stop(1, 5);
    rig
}

pub(super) fn queued() -> Rig {
    let mut rig = Rig::running();
    rig.begin(2, QUEUE);
    rig
}

pub(super) fn interrupting() -> Rig {
    let mut rig = Rig::running();
    rig.begin(2, interrupt(5));
    rig
}

pub(super) fn parallel() -> Rig {
    let mut rig = Rig::new();
    rig.begin(1, PARALLEL);
    rig.begin(2, PARALLEL);
    rig.flush();
    rig
}

pub(super) fn fenced() -> Rig {
    let mut rig = Rig::running();
    rig.stop(1, 0);
    rig.begin(2, BusyPolicy::Reject);
    rig.flush();
    rig
}

pub(super) fn committing() -> Rig {
    let mut rig = Rig::running();
    rig.commit(1, 1);
    rig.send();
    rig
}

pub(super) fn settling() -> Rig {
    let mut rig = Rig::running();
    rig.fail(1, InputFate::Keep, 1);
    rig.send();
    rig
}

pub(super) fn stale() -> Rig {
    Rig::load(&record(&[3]))
}

pub(super) fn steering() -> Rig {
    let mut rig = Rig::running();
    rig.begin(2, STEER);
    rig
}

pub(super) fn steered() -> Rig {
    let mut rig = steering();
    rig.take(1);
    rig.send();
    rig
}

pub(super) fn named_running() -> Rig {
    let mut rig = Rig::new();
    rig.begin_named(1, BusyPolicy::Reject, NAME);
    rig.ok();
    rig
}

pub(super) fn echo_starting() -> Rig {
    let mut rig = Rig::new();
    rig.begin_named(1, BusyPolicy::Reject, NAME);
    rig.send();
    rig.begin_named(3, BusyPolicy::Reject, NAME);
    rig
}

pub(super) fn echo_queued() -> Rig {
    let mut rig = Rig::running();
    rig.begin_named(2, QUEUE, NAME);
    rig.begin_named(3, QUEUE, NAME);
    rig
}

pub(super) fn asking() -> Rig {
    let mut rig = Rig::new();
    gate::permits(Some(0));
    rig.begin(1, BusyPolicy::Reject);
    rig.begin(2, QUEUE);
    rig
}

pub(super) fn asking_beside() -> Rig {
    let mut rig = Rig::new();
    gate::permits(Some(1));
    rig.begin(1, PARALLEL);
    rig.begin(2, PARALLEL);
    rig.flush();
    rig
}

pub(super) fn branch() -> Rig {
    let mut rig = Rig::new();
    rig.begin(1, BRANCH);
    rig.flush();
    rig
}

pub(super) fn branches() -> Rig {
    let mut rig = branch();
    rig.begin(2, BRANCH);
    rig.begin(3, BRANCH);
    rig.flush();
    rig
}

pub(super) fn piece() -> Rig {
    let mut rig = Rig::running();
    rig.say(1, "one");
    rig.say(1, "two");
    rig.send();
    rig
}

pub(super) fn last_piece() -> Rig {
    let mut rig = piece();
    rig.say(1, "three");
    rig.drop_turn(1);
    rig
}

pub(super) fn leased() -> Rig {
    let mut rig = Rig::new();
    rig.lease(take(9, 4, 2));
    rig
}

pub(super) fn touched() -> Rig {
    let mut rig = Rig::new();
    rig.state.note_use(at(START));
    rig
}

pub(super) fn leaving() -> Rig {
    let mut rig = touched();
    rig.apply(super::input("unload"));
    rig
}

pub(super) fn closing() -> Rig {
    let mut rig = Rig::running();
    rig.delete(1);
    rig.send();
    rig
}

pub(super) fn closing_failed() -> Rig {
    let mut rig = closing();
    rig.stored(Err(unavailable()));
    rig
}

pub(super) fn closing_behind() -> Rig {
    let mut rig = starting();
    rig.delete(1);
    rig
}

pub(super) fn gone() -> Rig {
    let mut rig = closing();
    rig.ok();
    rig
}

pub(super) fn left() -> Rig {
    let mut rig = Rig::running();
    rig.append(1);
    rig.stored(Err(unavailable()));
    rig
}

pub(super) fn suspended() -> Rig {
    let mut rig = Rig::running();
    rig.begin(2, QUEUE);
    rig.stand(Verb::Suspend(SuspendReason::Requested));
    rig.flush();
    rig
}

pub(super) fn archived() -> Rig {
    let mut rig = Rig::new();
    rig.stand(Verb::Archive);
    rig.flush();
    rig
}

pub(super) fn ended() -> Rig {
    let mut rig = Rig::new();
    rig.stand(Verb::End);
    rig.flush();
    rig
}

/// Its time was over a second after it was loaded.
pub(super) fn due() -> Rig {
    Rig::expiring(Duration::from_secs(1))
}

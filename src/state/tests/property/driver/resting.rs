//! When a session comes to rest, and whether it is then as it should be.

use std::time::Duration;

use super::super::super::{Input, Phase, gate};
use super::{Driver, Fault};
use crate::store::{Found, Store};

impl Driver {
    /// Lets everything end: time passes, turns report, and the store answers well.
    pub(in super::super) fn drain(&mut self) {
        self.clock += Duration::from_secs(1_000);
        let told = self.model.told();
        self.apply(Input::Alarm);
        assert!(!told.iter().any(|&turn| self.state.is_open(turn)), "outlived its grace");
        let mut rounds = 0;
        while self.in_flight.is_some() || !self.held.is_empty() || !self.state.is_quiet() {
            rounds += 1;
            assert!(rounds < 1_000, "it never comes to rest: {:?}", self.state);
            self.send(Fault::None);
            self.answer();
            self.permit(0);
            self.permit(3);
            if let Some(generation) = self.take_held(0) {
                self.apply(Input::Drop { generation, panicked: false });
            }
        }
        while !self.granted.is_empty() {
            self.permit(3);
        }
        assert!(!self.state.has_holders());
        self.model.settled();
        assert_eq!(gate::counted().0, 0, "a permit was not given back");
    }

    /// What is stored is what the model says.
    pub(in super::super) fn compare(&mut self) {
        self.reload();
        self.drain();
        assert!(self.store.check().now().expect("at once").expect("no faults").is_empty());
        let found = self.store.look_up(&self.record.id, self.now().wall).now().expect("at once");
        match (&self.state.phase, found.expect("no faults")) {
            (Phase::Live | Phase::Shut(_), Found::Live(record)) => {
                assert_eq!(record.standing, self.state.standing());
                self.model.compare(&record, &self.entries(), &self.branches());
                assert_eq!(record.entries, self.size().entries);
                assert_eq!(self.state.length.size, self.size());
                self.model.keeps_partials(|turn| self.partial(turn));
                if matches!(self.state.phase, Phase::Live) {
                    self.takes_back_at_rest();
                }
            }
            (Phase::Gone(told), Found::Gone(kept)) => assert_eq!(**told, kept),
            (Phase::Closing(closing), _) => assert!(closing.failed.is_some()),
            (phase, found) => panic!("{phase:?} here, {found:?} there"),
        }
    }
}

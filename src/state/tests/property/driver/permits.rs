//! What happens in the line for permits.

use super::super::super::{Input, gate};
use super::Driver;
use crate::limit::Place;

impl Driver {
    /// Something happens in the line for permits.
    pub(super) fn permit(&mut self, which: u8) {
        match which % 8 {
            0..3 => self.granted.extend(gate::grant()),
            3..6 => {
                if let Some((place, permit)) = self.granted.pop() {
                    self.apply(Input::Granted { place, permit });
                }
            }
            6 => {
                let place = gate::expire().unwrap_or(Place(0));
                self.apply(Input::NotGranted { place, shortage: gate::short() });
            }
            _ => {
                let shortage = gate::short();
                self.apply(Input::NotGranted { place: Place(0), shortage });
            }
        }
    }
}

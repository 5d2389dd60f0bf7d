//! Histories of the pure core, with delays and faults, against its model and the memory store: a byte says
//! how it is set up, then each four are a step.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| session_supervisor::fuzzing::play_state(bytes));

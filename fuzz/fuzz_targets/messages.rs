//! Entries as JSON: what another program stored comes back whole.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use session_supervisor::ChatMessage;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(message) = serde_json::from_slice::<ChatMessage>(bytes) else { return Corpus::Keep };
    let stored = serde_json::to_vec(&message).expect("a message can be stored");
    let read: ChatMessage = serde_json::from_slice(&stored).expect("and read");
    assert_eq!(read, message);
    assert_eq!(serde_json::to_vec(&read).expect("and stored again"), stored);
    Corpus::Keep
});

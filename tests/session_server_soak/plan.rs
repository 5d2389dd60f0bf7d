//! What the upstream is to do with a request. The client puts it into the request, where the server has to pass it on as it
//! does with every field that it does not know; so the client knows what it may be told.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dice::Dice;

/// What the upstream is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// How it ends.
    pub(crate) end: End,
    /// After how long the answer begins, in milliseconds.
    pub(crate) wait: u64,
    /// In how many pieces it comes: two at least, so that it has a middle.
    pub(crate) pieces: usize,
    /// How long it pauses after each, in milliseconds.
    pub(crate) pause: u64,
    /// Where it waits until it is let go.
    pub(crate) hold: Hold,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// With a completion.
    Whole,
    /// With this status, and a header that says whose it is.
    Status(u16),
    /// The connection is closed before anything was said.
    Refuse,
    /// The connection is closed in the middle.
    Cut,
    /// It is over in good order, and half of it is not there.
    Half,
    /// It is no completion.
    Strange,
    /// It says in the stream that it has failed; in one piece, with a status.
    Error,
}

/// Where an answer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hold {
    Nowhere,
    /// Before it begins.
    Head,
    /// After half of its pieces.
    Middle,
}

/// The status of an upstream that is told to fail. The server has no use for it.
pub(crate) const OVERLOADED: u16 = 529;

/// A request of a client, with what is to become of it.
#[derive(Clone, Debug)]
pub(crate) struct Chat {
    /// What it says; said once in a whole run. Its last part is the number of pieces.
    pub(crate) text: String,
    pub(crate) plan: Plan,
    pub(crate) streams: bool,
}

impl Plan {
    /// One that brings an answer, at once.
    pub(crate) const fn whole(pieces: usize) -> Self {
        Self { end: End::Whole, wait: 0, pieces, pause: 0, hold: Hold::Nowhere }
    }

    /// Any.
    pub(crate) fn any(dice: &mut Dice) -> Self {
        let fails = [
            End::Status(OVERLOADED),
            End::Status(418),
            End::Refuse,
            End::Cut,
            End::Half,
            End::Strange,
            End::Error,
        ];
        let end = if dice.once_in(4) { dice.one_of(&fails) } else { End::Whole };
        let wait = dice.one_of(&[0, 0, 0, 1, 5, 20]);
        let pause = dice.one_of(&[0, 0, 1, 5]);
        Self { end, wait, pieces: 2 + dice.below(5) as usize, pause, hold: Hold::Nowhere }
    }

    pub(crate) const fn held(self, hold: Hold) -> Self {
        Self { hold, ..self }
    }

    /// How many pieces come before it is held or broken off in the middle.
    pub(crate) const fn before(self) -> usize {
        self.pieces.div_ceil(2)
    }
}

impl Chat {
    /// As it is sent.
    pub(crate) fn body(&self) -> Value {
        json!({"model": "m", "stream": self.streams, "plan": self.plan,
            "messages": [{"role": "user", "content": self.text}]})
    }
}

/// The pieces of the answer to `text`.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = String> {
    let count: usize = text.rsplit_once('/').unwrap().1.parse().unwrap();
    (0..count).map(move |at| if at == 0 { format!("re: {text}") } else { format!(" {at}") })
}

/// The whole of it.
pub(crate) fn answer(text: &str) -> String {
    pieces(text).collect()
}

/// The chunk that has a piece.
pub(crate) fn chunk(piece: &str, finish: Option<&str>) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": finish}]})
}

/// The chunks of the answer to `text`; the last says that it is over.
pub(crate) fn chunks(text: &str) -> Vec<String> {
    let pieces: Vec<_> = pieces(text).collect();
    let last = pieces.len() - 1;
    let finish = |at| (at == last).then_some("stop");
    let chunks = pieces.iter().enumerate();
    chunks.map(|(at, piece)| chunk(piece, finish(at)).to_string()).collect()
}

/// The completion that answers `text`.
pub(crate) fn completion(text: &str) -> Value {
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "odd": [0.10, null],
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": answer(text)}}]})
}

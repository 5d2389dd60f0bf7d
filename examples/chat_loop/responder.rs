//! Who replies.

use std::fmt;
use std::time::Duration;

use session_supervisor::ChatMessage;

use crate::offline;
use crate::upstream::{Upstream, UpstreamError};

/// Who replies.
#[derive(Debug)]
pub(crate) enum Responder {
    /// A small program, without a network.
    Offline {
        /// How long it takes for a word.
        pace: Duration,
    },
    /// A server that has a model.
    Upstream(Upstream),
}

impl Responder {
    /// Replies to `text`, the last thing that was said in `messages`. Each piece is handed to `say`
    /// as soon as it is there; the whole is returned.
    pub(crate) async fn answer(
        &self,
        text: &str,
        messages: &[ChatMessage],
        say: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<String, UpstreamError> {
        match self {
            Self::Offline { pace } => {
                let reply = offline::reply(text, messages);
                for word in reply.split_inclusive(' ') {
                    tokio::time::sleep(*pace).await;
                    say(word);
                }
                Ok(reply)
            }
            Self::Upstream(upstream) => upstream.answer(messages, say).await,
        }
    }
}

impl fmt::Display for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline { .. } => f.write_str("an offline bot replies"),
            Self::Upstream(upstream) => fmt::Display::fmt(upstream, f),
        }
    }
}

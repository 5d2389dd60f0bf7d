//! Doing the last turns over: `/retry`.
//!
//! It has two steps, because a turn that runs is in the way of it: what runs is told to end, and once it
//! has, the library takes the turns back and begins a new one with the same input, in one step.

use session_supervisor::{BeginError, Session, SessionError, StreamId};

use crate::asking::{Began, answer};
use crate::chat::Chat;
use crate::words::{chain, count};

impl Chat {
    /// `/retry`
    pub(crate) fn retry(&mut self, turns: usize) {
        // If something runs, its end is told, and wakes the loop.
        self.session.stop();
        self.again = Some(turns);
    }

    /// The turns that are to be done over, once nothing is in the way of that.
    pub(crate) fn may_do_over(&mut self) -> Option<usize> {
        let free = !self.session.status().is_busy() && !self.following.is_showing();
        self.again.take_if(|_| free)
    }

    /// Does the last `turns` turns over.
    pub(crate) async fn do_over(&mut self, turns: usize) {
        let turn = match self.session.retry(turns, ()).await {
            Ok(turn) => turn,
            Err(error) => return self.screen.warn(&refused(&error)),
        };
        let text = match input(&self.session, turn.stream()).await {
            Ok(text) => text,
            // Dropping the turn ends it; what it was begun with is kept.
            Err(error) => return self.screen.warn(&format!("no reply: {}", chain(&error))),
        };
        let last = if turns == 1 { "last turn".to_owned() } else { format!("last {turns} turns") };
        self.screen.note(&format!("once more, in place of the {last}:"));
        let (session, subscription) = (self.session.id().clone(), turn.subscribe());
        self.has_begun(Began { session, subscription, text: text.clone() });
        self.spawn(answer(turn, self.session.clone(), text, self.responder.clone()));
    }
}

/// What the turn `stream` was begun with.
async fn input(session: &Session, stream: StreamId) -> Result<String, SessionError> {
    let entries = session.transcript_of(stream).await?;
    let of_it = entries.into_iter().find(|entry| entry.input && entry.stream == Some(stream));
    // If that cannot be read, the responder gets the conversation without it.
    let text = of_it.and_then(|entry| entry.content.ok()).map(|message| message.content);
    Ok(text.unwrap_or_default())
}

/// Why nothing was done over, and what to do.
fn refused(error: &BeginError) -> String {
    match error {
        BeginError::TooDeep { max: 0, .. } => {
            "nothing has been said here yet, so there is nothing to do over".to_owned()
        }
        BeginError::TooDeep { max, .. } => {
            let most = count(*max as u64, "turn", "turns");
            format!("at most {most} can be done over here: /retry {max}")
        }
        BeginError::NoInput { .. } => {
            "nothing was said to begin that turn, so there is nothing to ask again; say something"
                .to_owned()
        }
        BeginError::Busy { .. } => "a reply runs; /stop it, then /retry".to_owned(),
        error => format!("nothing was done over: {}", chain(error)),
    }
}

//! One turn, from what the user said to what it came to.

use std::sync::Arc;

use session_supervisor::{
    BeginError, BusyPolicy, CancelReason, ChatMessage, CommitError, CommitOutcome, EntryMark,
    FailedInput, RunError, Session, SessionError, SessionId, StoreError, StreamId, Subscription,
    Turn,
};
use tokio::sync::mpsc;

use crate::responder::Responder;
use crate::upstream::UpstreamError;
use crate::words::shorten;

/// How many characters of the first message a session's label has.
const LABEL_CHARS: usize = 40;

/// A turn has begun.
#[derive(Debug)]
pub(crate) struct Began {
    /// In which session.
    pub(crate) session: SessionId,
    /// A reader of its reply, from the first word.
    pub(crate) subscription: Subscription,
    /// What the user said.
    pub(crate) text: String,
}

/// What asking came to.
#[derive(Debug)]
pub(crate) struct Done {
    /// In which session.
    pub(crate) session: SessionId,
    /// The turn, if one was begun.
    pub(crate) stream: Option<StreamId>,
    /// What the user said.
    pub(crate) text: String,
    /// What it came to.
    pub(crate) result: Result<Ended, AskError>,
}

impl Done {
    /// Whether it was told to end while it waited.
    pub(crate) fn was_dropped(&self) -> bool {
        matches!(self.result, Err(AskError::Begin(BeginError::Cancelled { .. })))
    }
}

/// How a turn ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The reply is in the transcript.
    Committed,
    /// The turn was told to end.
    Told(CancelReason),
}

/// Why there was no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// No turn was begun.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// The work panicked or was aborted.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The conversation could not be read.
    #[error(transparent)]
    Read(#[from] SessionError),
    /// The server failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The reply was not stored.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The end of the turn was not stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Says `text` in `session` and has it answered. The reply goes to whoever subscribes to the turn;
/// `began` gets the first reader.
pub(crate) async fn ask(
    session: Session,
    text: String,
    policy: BusyPolicy,
    responder: Arc<Responder>,
    began: mpsc::Sender<Began>,
) -> Done {
    let id = session.id().clone();
    let message = ChatMessage::user(&text);
    let work = {
        let (session, text) = (session.clone(), text.clone());
        |turn: Turn| async move {
            let (session_id, subscription) = (session.id().clone(), turn.subscribe());
            let news = Began { session: session_id, subscription, text: text.clone() };
            // A chat that is over needs no reader; the reply is finished all the same.
            drop(began.send(news).await);
            reply(turn, &session, &text, &responder).await
        }
    };
    match session.run(&message, policy, work).await {
        Err(error) => Done { session: id, stream: None, text, result: Err(error.into()) },
        Ok(running) => {
            let stream = Some(running.stream());
            let result = match running.await {
                Ok(result) => result,
                // What was fenced before it could unwind was told all the same.
                Err(RunError::Aborted { reason, .. }) => Ok(Ended::Told(reason)),
                Err(error) => Err(error.into()),
            };
            Done { session: id, stream, text, result }
        }
    }
}

/// Answers what a turn was begun with that has begun already.
pub(crate) async fn answer(
    turn: Turn,
    session: Session,
    text: String,
    responder: Arc<Responder>,
) -> Done {
    let (id, stream, said) = (session.id().clone(), Some(turn.stream()), text.clone());
    let work = turn.run(move |turn| async move { reply(turn, &session, &said, &responder).await });
    let result = work.await.map_err(AskError::from).flatten();
    Done { session: id, stream, text, result }
}

/// The work of a turn: produces the reply, unless it is told to end before.
async fn reply(
    turn: Turn,
    session: &Session,
    text: &str,
    responder: &Responder,
) -> Result<Ended, AskError> {
    let produced = tokio::select! {
        biased;
        reason = turn.cancelled() => Ok(Err(reason)),
        reply = produce(&turn, session, text, responder) => reply.map(Ok),
    };
    match produced {
        Ok(Ok(reply)) => match turn.commit(&ChatMessage::assistant(reply)).await? {
            CommitOutcome::Stale { reason } => Ok(Ended::Told(reason)),
            _ => Ok(Ended::Committed),
        },
        // What the user said stays, marked unanswered.
        Ok(Err(reason)) => {
            turn.fail(FailedInput::Keep).await?;
            Ok(Ended::Told(reason))
        }
        Err(error) => {
            turn.fail(FailedInput::Keep).await?;
            Err(error)
        }
    }
}

/// Produces the reply, and emits it piece by piece.
async fn produce(
    turn: &Turn,
    session: &Session,
    text: &str,
    responder: &Responder,
) -> Result<String, AskError> {
    if session.record().await?.label.is_none() {
        session.set_label(Some(&shorten(text, LABEL_CHARS))).await?;
    }
    let mut messages: Vec<ChatMessage> = Vec::new();
    for entry in session.transcript().await? {
        // A damaged entry is told by `/history`; the conversation goes on without it.
        let Ok(message) = entry.content else { continue };
        match messages.last_mut() {
            // What was never answered is still a part of the conversation. Many models insist that
            // the roles alternate, so it is put in front of what was said next.
            Some(last) if last.role == message.role => {
                last.content = format!("{}\n\n{}", last.content, message.content);
            }
            _ => messages.push(message),
        }
        if entry.mark == EntryMark::Pending {
            break;
        }
    }
    // A chunk is refused only once the turn was told to end, and then this is dropped.
    let say = |piece: &str| {
        turn.emit(piece).ok();
    };
    Ok(responder.answer(text, &messages, &say).await?)
}

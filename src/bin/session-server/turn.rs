//! The work of one chat: ask the upstream, commit, answer.
//!
//! The [`Turn`] is held to its end, whatever becomes of the client. It is not given to [`Session::run`]: the library
//! drops what that runs as soon as its session is deleted, and here the upstream's call has to go on then. The turn is fenced all the same, so nothing of it is recorded.
//!
//! A turn that is told to end for any other reason drops its call, and its client is told what ended it.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use metrics::counter;
use session_supervisor::{
    CancelReason, CommitError, CommitOutcome, FailedInput, Session, SessionId, StreamId, Turn,
};

use crate::app::App;
use crate::attended::Gone;
use crate::error::{ApiError, STREAM, chain};
use crate::flags::OnDisconnect;
use crate::headers::{self, to_client};
use crate::records::{self, Answer, CHAT_PATH, Exchange};
use crate::relay;
use crate::upstream::{self, Answered, Ask, UpstreamError};

/// Says what became of the turn's record.
pub(crate) const COMMIT: HeaderName = HeaderName::from_static("x-session-commit");

/// What the client gets.
pub(crate) type Reply = Result<Response, ApiError>;

/// A turn that has begun, and what is to be asked in it.
pub(crate) struct Work {
    /// Everything else.
    pub(crate) app: App,
    /// The session, as the client named it.
    pub(crate) id: SessionId,
    /// The session.
    pub(crate) session: Session<Exchange>,
    /// The turn.
    pub(crate) turn: Turn<Exchange>,
    /// Whether the client wants a stream.
    pub(crate) streams: bool,
}

/// What became of a record, where the client gets the upstream's answer in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It is in the session.
    Committed,
    /// Another turn had committed since this one began.
    Superseded,
    /// The session was deleted.
    Stale,
}

impl Recorded {
    /// As it is told.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Superseded => "superseded",
            Self::Stale => "stale",
        }
    }
}

/// The end of a chat that brought no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The turn was told to end.
    Told(CancelReason),
    /// The upstream has not answered.
    Upstream(UpstreamError),
    /// It has answered with something else than a completion.
    Strange(String),
    /// The answer could not be recorded.
    Store(String),
}

impl Failure {
    /// What the client is told.
    pub(crate) fn tell(&self, id: &SessionId, stream: StreamId) -> ApiError {
        let told = match self {
            Self::Told(reason) => return ApiError::ended(id, Some(stream), *reason),
            Self::Upstream(error) => error.tell(),
            Self::Strange(what) => ApiError::new(StatusCode::BAD_GATEWAY, what.clone()),
            Self::Store(what) => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, what.clone()),
        };
        told.about(id)
    }
}

impl Work {
    /// Does it; answers what the client is told, if that is still there.
    pub(crate) async fn run(self, ask: Ask, gone: Gone) -> Reply {
        let (id, stream) = (self.id.clone(), self.turn.stream());
        let answered = self.until_told(self.app.upstream.ask(ask), gone.wait()).await;
        let answered = answered.and_then(|answered| answered.map_err(Failure::Upstream));
        let reply = match answered {
            Ok(answered) if self.streams && is_event_stream(&answered) => {
                return Ok(relay::relay(self, answered));
            }
            Ok(answered) => self.whole(answered, &gone).await,
            Err(failure) => {
                fail(self.turn).await;
                Err(failure)
            }
        };
        reply.map_err(|failure| failure.tell(&id, stream))
    }

    /// Takes an answer that comes in one piece.
    async fn whole(self, answered: Answered, gone: &Gone) -> Result<Response, Failure> {
        let Answered { mut response, permit } = answered;
        let reading = upstream::read(&mut response, self.app.settings.max_answer_bytes);
        let read = self.until_told(reading, gone.wait()).await;
        let body = match read.and_then(|read| read.map_err(Failure::Upstream)) {
            Ok(body) => body,
            Err(failure) => {
                fail(self.turn).await;
                return Err(failure);
            }
        };
        drop(permit);
        let (status, headers) = (response.status(), response.headers().clone());
        let mut reply = rebuilt(status, headers, body.clone());
        name_stream(reply.headers_mut(), self.turn.stream());
        if status != StatusCode::OK {
            fail(self.turn).await;
            return Ok(reply);
        }
        let json = records::json(&body).ok().filter(|json| records::has_message(json));
        let Some(json) = json else {
            fail(self.turn).await;
            return Err(Failure::Strange("the upstream's answer has no choices[0].message".into()));
        };
        // For whoever follows; refused if the turn was ended, and then nobody does.
        self.turn.emit(json.get()).ok();
        let at = self.app.supervisor.now();
        let answer = Exchange::Response(Answer { at, status: status.as_u16(), body: json });
        let recorded = commit(self.turn, &answer).await?;
        reply.headers_mut().insert(COMMIT, HeaderValue::from_static(recorded.as_str()));
        Ok(reply)
    }

    /// Does something unless the turn is told to end before, or its client goes away and that is to end it.
    pub(crate) async fn until_told<T>(
        &self,
        doing: impl Future<Output = T>,
        gone: impl Future<Output = ()>,
    ) -> Result<T, Failure> {
        let told = async {
            match self.app.settings.on_disconnect {
                OnDisconnect::Continue => told(&self.turn).await,
                OnDisconnect::Cancel => tokio::select! {
                    reason = told(&self.turn) => reason,
                    () = gone => {
                        self.session.cancel(self.turn.stream());
                        told(&self.turn).await
                    }
                },
            }
        };
        tokio::select! {
            biased;
            reason = told => Err(Failure::Told(reason)),
            done = doing => Ok(done),
        }
    }
}

/// Waits until the turn is told to end, and its call with it: by anything but a delete.
async fn told(turn: &Turn<Exchange>) -> CancelReason {
    match turn.cancelled().await {
        CancelReason::Deleted => std::future::pending().await,
        reason => reason,
    }
}

/// Ends a turn without a record. The client asks again, so its request is not kept.
pub(crate) async fn fail(turn: Turn<Exchange>) {
    let stream = turn.stream();
    counter!("session_server_turns_total", "end" => "failed").increment(1);
    if let Err(error) = turn.fail(FailedInput::Drop).await {
        tracing::warn!(%stream, error = chain(&error), "the end of a turn was not stored");
    }
}

/// Ends a turn with its record.
pub(crate) async fn commit(turn: Turn<Exchange>, answer: &Exchange) -> Result<Recorded, Failure> {
    let recorded = match turn.commit(answer).await {
        Ok(CommitOutcome::Committed { .. }) => Ok(Recorded::Committed),
        Ok(CommitOutcome::Superseded { .. }) => Ok(Recorded::Superseded),
        Ok(CommitOutcome::Stale { reason: CancelReason::Deleted }) => Ok(Recorded::Stale),
        Ok(CommitOutcome::Stale { reason }) => Err(Failure::Told(reason)),
        Ok(other) => Err(Failure::Store(format!("the answer was not recorded: {other:?}"))),
        // Only a store that is not ours can refuse what was taken in within its limits.
        Err(CommitError::Reply { turn, source }) => {
            fail(*turn).await;
            Err(Failure::Store(chain(&source)))
        }
        Err(error) => Err(Failure::Store(chain(&error))),
    };
    let end = recorded.as_ref().map_or("ended", |recorded| recorded.as_str());
    counter!("session_server_turns_total", "end" => end).increment(1);
    recorded
}

/// Whether an answer is a stream of events.
fn is_event_stream(answered: &Answered) -> bool {
    let response = &answered.response;
    let kind = response.headers().get(axum::http::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    response.status() == StatusCode::OK && kind.trim_start().starts_with("text/event-stream")
}

/// The upstream's answer, sent anew.
fn rebuilt(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response {
    let mut reply = (status, Body::from(body)).into_response();
    *reply.headers_mut() = to_client(headers, headers::Body::Anew);
    reply
}

/// Says which turn an answer is of.
pub(crate) fn name_stream(headers: &mut HeaderMap, stream: StreamId) {
    let stream = HeaderValue::try_from(stream.to_string());
    headers.insert(STREAM, stream.expect("a stream id is hexadecimal"));
}

/// What the upstream is asked in a turn.
pub(crate) fn ask(headers: HeaderMap, query: Option<&str>, body: Bytes) -> Ask {
    let path = query.map_or_else(|| CHAT_PATH.to_owned(), |query| format!("{CHAT_PATH}?{query}"));
    Ask { method: Method::POST, path, headers, body }
}

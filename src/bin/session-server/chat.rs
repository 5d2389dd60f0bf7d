//! A chat: a turn of a session.

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use metrics::counter;
use session_supervisor::{BeginError, Session};

use crate::app::App;
use crate::attended::Attended;
use crate::body;
use crate::error::{ApiError, ErrorBody};
use crate::flags::Busy;
use crate::headers::{self, to_upstream};
use crate::ids::Named;
use crate::records::{self, CHAT_PATH, Exchange};
use crate::turn::{self, Work};

/// A turn: begin, ask the upstream, commit, answer.
///
/// `x-session-commit` says what became of the record, `x-session-stream` which turn it was.
#[utoipa::path(post, path = "/sessions/{id}/v1/chat/completions", params(("id" = String, Path)),
    request_body(content = Object, description = "as the upstream wants it"), responses(
    (status = 200, description = "the upstream's answer, as it came; as server-sent events if `stream` is true"),
    (status = 400, body = ErrorBody, description = "the body is not JSON"),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "another turn runs, or this one was ended"),
    (status = 413, body = ErrorBody),
    (status = 429, body = ErrorBody, description = "a limit is reached; `retry-after` says when to come back"),
    (status = 502, body = ErrorBody, description = "the upstream could not be reached, or its answer is none"),
    (status = 503, body = ErrorBody, description = "the server shuts down, or its store failed"),
))]
pub(crate) async fn chat(
    State(app): State<App>,
    named: Named,
    request: Request,
) -> Result<Response, ApiError> {
    let Named { id, session } = named;
    if let (Busy::Reject, Some(session)) = (app.settings.busy, &session) {
        refuse_if_busy(&id, session)?;
    }
    let (parts, body) = request.into_parts();
    let body = body::read(&app, body).await?;
    let json = records::json(&body).map_err(|error| {
        ApiError::bad_request(format!("the body is not JSON: {error}: session_id={id}"))
    })?;
    let streams = records::wants_stream(&json);
    let session = if let Some(session) = session {
        session
    } else {
        let opened = app.supervisor.open_id(&id).await;
        opened.map_err(|error| ApiError::create(&app.settings, &id, &error))?
    };
    let asked = Exchange::Request(records::Request {
        at: app.supervisor.now(),
        method: Method::POST.to_string(),
        path: CHAT_PATH.to_owned(),
        body: json,
    });
    let begun = Box::pin(session.begin(&asked, ())).await;
    let turn = begun.map_err(|error| {
        if matches!(error, BeginError::QueueFull { .. }) {
            counter!("session_server_limit_rejected_total", "limit" => "queue").increment(1);
        }
        ApiError::begin(&app.settings, &id, &error)
    })?;
    drop(asked);
    let mut headers = to_upstream(parts.headers, &id, &app.settings, headers::Body::Anew);
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    let ask = turn::ask(headers, parts.uri.query(), body);
    let work = Work { app: app.clone(), id, session, turn, streams };
    Attended::new(&app.turns, |gone| work.run(ask, gone)).await
}

/// Refuses a turn before its body is read, if one runs. The library decides again when it begins.
fn refuse_if_busy(
    id: &session_supervisor::SessionId,
    session: &Session<Exchange>,
) -> Result<(), ApiError> {
    match session.status().turns.last() {
        Some(running) => Err(ApiError::busy(id, running.stream)),
        None => Ok(()),
    }
}

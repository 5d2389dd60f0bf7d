//! Reading a turn's stream: again after a line broke, from a second tab, or from the start.
//!
//! The library decides what a cursor gets. Here its answers become events: chunks as the upstream sent them, each
//! with the cursor after it as its id; a gap, or a cursor that cannot be used, as an event of its own; and an end.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use session_supervisor::{Cursor, Event, Session, Subscription, TurnOutcome};

use crate::cancel;
use crate::error::{ApiError, ErrorBody, chain};
use crate::ids::Named;
use crate::records::Exchange;
use crate::relay::{DONE, error_event, outcome};
use crate::sse::Frame;
use crate::turn::name_stream;

/// How often a stream says that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What browsers say when they come back.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Where to read.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// The id of the last event that was seen; as the header `Last-Event-ID`, which counts more.
    after: Option<String>,
    /// The turn, from its start. Default: the one that was begun last.
    stream_id: Option<String>,
}

/// The stream of the turn that runs, or else of the last one.
#[utoipa::path(get, path = "/sessions/{id}/stream", params(("id" = String, Path), StreamQuery), responses(
    (status = 200, description = "server-sent events: the upstream's chunks, each with an id; `[DONE]` last", content_type = "text/event-stream"),
    (status = 204, description = "there is nothing to read"),
    (status = 404, body = ErrorBody),
))]
pub(crate) async fn rejoin(
    named: Named,
    query: Result<Query<StreamQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let Some(session) = &named.session else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let seen = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
    let seen = seen.or(query.after).filter(|cursor| !cursor.is_empty());
    let (subscription, first) = if let Some(cursor) = seen {
        after(session, &cursor)
    } else {
        let wanted = query.stream_id.as_deref().map(cancel::parse).transpose()?;
        let found = match wanted {
            Some(stream) => session.subscribe_to(stream),
            None => session.subscribe_last(),
        };
        (found, None)
    };
    if subscription.is_none() && first.is_none() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(respond(subscription, first))
}

/// Where a cursor leads; with an event that says so, if that is not where it was.
fn after(session: &Session<Exchange>, cursor: &str) -> (Option<Subscription>, Option<Bytes>) {
    let (why, go_on) = match cursor.parse::<Cursor>() {
        Ok(cursor) => match session.rejoin(cursor) {
            Ok(subscription) => return (Some(subscription), None),
            Err(error) => (chain(&error), error.go_on.and_then(|go_on| session.rejoin(go_on).ok())),
        },
        Err(error) => (chain(&error), session.subscribe_last()),
    };
    let id = go_on.as_ref().map(|go_on| go_on.cursor().to_string());
    let data = json!({ "error": why, "go_on": id }).to_string();
    let first =
        Frame { event: Some("reset"), id: id.as_deref(), data: Some(&data), ..Frame::default() };
    (go_on, Some(first.write()))
}

/// The events that there are, and those that come.
fn respond(subscription: Option<Subscription>, first: Option<Bytes>) -> Response {
    let named = subscription.as_ref().map(Subscription::stream);
    let events = stream::unfold((subscription, first), |(mut reading, first)| async {
        if let Some(first) = first {
            return Some((Ok::<_, Infallible>(first), (reading, None)));
        }
        let subscription = reading.as_mut()?;
        let Ok(event) = tokio::time::timeout(KEEP_ALIVE, subscription.next()).await else {
            let alive = Frame { comment: Some("still there"), ..Frame::default() };
            return Some((Ok(alive.write()), (reading, None)));
        };
        let written = write(&event?, subscription);
        Some((Ok(written), (reading, None)))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, axum::http::HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, axum::http::HeaderValue::from_static("no-cache"));
    if let Some(stream) = named {
        name_stream(headers, stream);
    }
    response
}

/// An event of the library, as one of the wire.
fn write(event: &Event, subscription: &Subscription) -> Bytes {
    let cursor = subscription.cursor().to_string();
    let id = Some(cursor.as_str());
    match event {
        Event::Chunk { chunk, .. } => {
            Frame { id, data: Some(chunk.as_str()), ..Frame::default() }.write()
        }
        Event::Lagged { missed } => {
            let data = json!({ "missed": missed }).to_string();
            Frame { event: Some("gap"), id, data: Some(&data), ..Frame::default() }.write()
        }
        Event::Ended(TurnOutcome::Committed) => done("committed", id),
        Event::Ended(TurnOutcome::Superseded) => done("superseded", id),
        Event::Ended(outcome) => {
            let error =
                format!("turn {} has ended without an answer: {outcome}", subscription.stream());
            error_event(&ErrorBody { error }, id)
        }
        _ => Frame { comment: Some("something else"), ..Frame::default() }.write(),
    }
}

/// The end of a turn that has brought an answer.
fn done(recorded: &str, id: Option<&str>) -> Bytes {
    Frame { comment: Some(&outcome(recorded)), id, data: Some(DONE), ..Frame::default() }.write()
}

//! Telling turns to end.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use serde::{Deserialize, Serialize};
use session_supervisor::{CancelOutcome, StreamId};

use crate::app::App;
use crate::body;
use crate::error::{ApiError, ErrorBody, chain};
use crate::ids::Named;

/// Which turn is to end.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct CancelBody {
    /// The turn; without it, every turn of the session, those that wait included.
    stream_id: Option<String>,
}

/// What a cancel did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Cancelled {
    /// Whether a turn has been told to end.
    cancelled: bool,
    /// Which; of several, the one that was begun last.
    stream_id: Option<String>,
}

/// Tells a turn to end, or all of them. A stale id never hits a newer turn.
#[utoipa::path(post, path = "/sessions/{id}/cancel", request_body = Option<CancelBody>,
    params(("id" = String, Path), CancelBody), responses(
    (status = 200, body = Cancelled),
    (status = 400, body = ErrorBody, description = "not the id of a stream"),
    (status = 404, body = ErrorBody),
))]
pub(crate) async fn cancel(
    State(app): State<App>,
    named: Named,
    query: Result<Query<CancelBody>, QueryRejection>,
    request: Request,
) -> Result<Json<Cancelled>, ApiError> {
    let Query(query) = query?;
    let body = body::read(&app, request.into_body()).await?;
    let said = if body.trim_ascii().is_empty() {
        query
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| ApiError::bad_request(format!("not a cancel: {error}")))?
    };
    let stream = said.stream_id.as_deref().map(parse).transpose()?;
    let Some(session) = &named.session else {
        return Ok(Json(Cancelled { cancelled: false, stream_id: said.stream_id }));
    };
    let outcome = stream.map_or_else(|| session.stop(), |stream| session.cancel(stream));
    let told = match outcome {
        CancelOutcome::Cancelling { streams } | CancelOutcome::AlreadyCancelling { streams } => {
            streams.last().copied()
        }
        _ => None,
    };
    let stream_id = told.or(stream).map(|stream| stream.to_string());
    Ok(Json(Cancelled { cancelled: told.is_some(), stream_id }))
}

/// The id of a stream.
pub(crate) fn parse(text: &str) -> Result<StreamId, ApiError> {
    text.parse().map_err(|error| {
        let shown: String = text.chars().take(64).collect();
        ApiError::bad_request(format!("not the id of a stream: {shown:?}: {}", chain(&error)))
    })
}

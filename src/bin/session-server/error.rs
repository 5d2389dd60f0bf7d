//! What a client is told if something cannot be done: `{"error": "<text>"}`, with a status.

use std::error::Error;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use session_supervisor::{
    BeginError, CancelReason, CreateError, DeleteError, ErrorKind, OpenError, ReadError,
    SessionError, SessionId, StreamId, Tombstone,
};

use crate::settings::Settings;

/// The header that names the turn that is in the way, and the turn that an answer is of.
pub(crate) const STREAM: HeaderName = HeaderName::from_static("x-session-stream");

/// What a client is told.
#[derive(Debug)]
pub(crate) struct ApiError {
    /// The status.
    pub(crate) status: StatusCode,
    /// What is wrong, and with which session.
    pub(crate) message: String,
    /// When to come back.
    retry_after: Option<Duration>,
    /// The turn that it is about.
    stream: Option<StreamId>,
}

/// The body of every error.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ErrorBody {
    /// What is wrong.
    pub(crate) error: String,
}

impl ApiError {
    /// With this status.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None, stream: None }
    }

    /// What was sent makes no sense.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Nobody knows the session.
    pub(crate) fn not_found(id: &SessionId) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("session not found: session_id={id}"))
    }

    /// The session was deleted.
    pub(crate) fn gone(settings: &Settings, id: &SessionId, tombstone: Option<&Tombstone>) -> Self {
        if settings.gone == StatusCode::NOT_FOUND {
            return Self::not_found(id);
        }
        let how = tombstone.map_or_else(
            || "deleted a moment ago".to_owned(),
            |tombstone| format!("{} at {}", tombstone.reason, tombstone.at),
        );
        Self::new(settings.gone, format!("session is gone: session_id={id}: {how}"))
    }

    /// A turn was told to end.
    pub(crate) fn ended(id: &SessionId, stream: Option<StreamId>, reason: CancelReason) -> Self {
        let status = match reason {
            CancelReason::Shutdown | CancelReason::StoreFailed => StatusCode::SERVICE_UNAVAILABLE,
            CancelReason::Stalled => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::CONFLICT,
        };
        let which = stream.map_or_else(|| "the turn".to_owned(), |stream| format!("turn {stream}"));
        let message = format!("{which} was ended: {reason}: session_id={id}");
        Self { stream, ..Self::new(status, message) }
    }

    /// A turn was not begun.
    pub(crate) fn begin(settings: &Settings, id: &SessionId, error: &BeginError) -> Self {
        match error {
            BeginError::Gone { tombstone, .. } => Self::gone(settings, id, Some(tombstone)),
            // It was found, so it is gone, and its id may have been given to another.
            BeginError::Unknown { .. }
            | BeginError::Closing { .. }
            | BeginError::Cancelled { reason: CancelReason::Deleted } => {
                Self::gone(settings, id, None)
            }
            BeginError::Cancelled { reason } => Self::ended(id, None, *reason),
            BeginError::Busy { holder, .. } => Self::busy(id, holder.stream),
            BeginError::QueueFull { holder, .. } => Self {
                stream: Some(holder.stream),
                ..Self::of(error.kind(), id, error).after(error.retry_after())
            },
            _ => Self::of(error.kind(), id, error).after(error.retry_after()),
        }
    }

    /// Another turn runs.
    pub(crate) fn busy(id: &SessionId, stream: StreamId) -> Self {
        let message = format!("session is busy: session_id={id}: active stream {stream}");
        Self { stream: Some(stream), ..Self::new(StatusCode::CONFLICT, message) }
    }

    /// A session was not created.
    pub(crate) fn create(settings: &Settings, id: &SessionId, error: &CreateError) -> Self {
        match error {
            CreateError::Unknown { .. } => Self::not_found(id),
            CreateError::Gone { tombstone, .. } => Self::gone(settings, id, Some(tombstone)),
            _ => Self::of(error.kind(), id, error).after(error.retry_after()),
        }
    }

    /// A session with an id of the caller's own was not created. That it is gone is told as it is, since the
    /// id was not in the path.
    pub(crate) fn create_named(id: &SessionId, error: &CreateError) -> Self {
        Self::of(error.kind(), id, error).after(error.retry_after())
    }

    /// A session without an id of the caller's own was not created.
    pub(crate) fn create_anew(error: &CreateError) -> Self {
        Self::new(status(error.kind()), chain(error)).after(error.retry_after())
    }

    /// A key was not opened.
    pub(crate) fn open(error: &OpenError) -> Self {
        let told = chain(error);
        Self::new(status(error.kind()), told).after(error.retry_after())
    }

    /// A session was not changed or read.
    pub(crate) fn session(settings: &Settings, id: &SessionId, error: &SessionError) -> Self {
        match error {
            SessionError::Gone { tombstone, .. } => Self::gone(settings, id, Some(tombstone)),
            // It was found, so it is gone, and its id may have been given to another.
            SessionError::Unknown { .. } | SessionError::Closing { .. } => {
                Self::gone(settings, id, None)
            }
            _ => Self::of(error.kind(), id, error),
        }
    }

    /// A session was not deleted.
    pub(crate) fn delete(id: &SessionId, error: &DeleteError) -> Self {
        Self::of(ErrorKind::Unavailable, id, error)
    }

    /// The store could not be read.
    pub(crate) fn read(error: &ReadError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, chain(error))
    }

    /// An error of that kind, about that session.
    fn of(kind: ErrorKind, id: &SessionId, error: &dyn Error) -> Self {
        Self::new(status(kind), format!("{}: session_id={id}", chain(error)))
    }

    /// As it is told of a session.
    pub(crate) fn about(self, id: &SessionId) -> Self {
        Self { message: format!("{}: session_id={id}", self.message), ..self }
    }

    /// With a time to come back.
    pub(crate) fn after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Its body.
    pub(crate) fn body(&self) -> ErrorBody {
        ErrorBody { error: self.message.clone() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after {
            // In whole seconds, and never early.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(stream) = self.stream {
            let stream = HeaderValue::try_from(stream.to_string());
            headers.insert(STREAM, stream.expect("a stream id is hexadecimal"));
        }
        response
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

/// The usual status.
fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Gone => StatusCode::GONE,
        ErrorKind::Inactive => StatusCode::LOCKED,
        ErrorKind::Conflict | ErrorKind::Busy | ErrorKind::Done | ErrorKind::Cancelled => {
            StatusCode::CONFLICT
        }
        ErrorKind::Full => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_told = cause.to_string();
        // Some say their cause themselves.
        if !told.ends_with(&cause_told) {
            told.push_str(": ");
            told.push_str(&cause_told);
        }
        source = cause.source();
    }
    told
}

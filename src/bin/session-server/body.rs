//! Bodies of requests, up to a limit.

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::http::StatusCode;
use metrics::counter;

use crate::app::App;
use crate::error::ApiError;

/// Reads the whole of a body, unless it is too large.
pub(crate) async fn read(app: &App, body: Body) -> Result<Bytes, ApiError> {
    let max = app.settings.max_body_bytes;
    let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if said > max {
        return Err(too_large(max));
    }
    // One more than may be, to tell what is too large from what breaks off.
    match to_bytes(body, max).await {
        Ok(bytes) => Ok(bytes),
        Err(error) if is_too_large(&error) => Err(too_large(max)),
        Err(_) => Err(ApiError::bad_request("the body of the request broke off")),
    }
}

/// Whether it was the limit.
fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|it| it.to_string().contains("length limit"))
}

/// It is larger than it may be.
fn too_large(max: usize) -> ApiError {
    counter!("session_server_limit_rejected_total", "limit" => "body_bytes").increment(1);
    let message = format!("the body of the request is larger than {max} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

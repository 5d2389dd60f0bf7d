//! Which request goes where.

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use metrics::{counter, histogram};
use serde::Serialize;
use session_supervisor::Clock as _;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::auth;
use crate::cancel::cancel;
use crate::chat::chat;
use crate::error::{ApiError, ErrorBody};
use crate::openapi;
use crate::page;
use crate::passthrough::pass;
use crate::rejoin::rejoin;
use crate::sessions::{create, delete, list, show, status};

/// That the process is there.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
    /// Names this run of the process.
    instance_id: String,
}

/// Every route.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(page::show))
        .route("/page/{file}", get(page::file))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi::show))
        .route("/sessions", post(create).get(list))
        .route("/sessions/{id}", get(show).delete(delete))
        .route("/sessions/{id}/status", get(status).fallback(pass))
        .route("/sessions/{id}/cancel", post(cancel).fallback(pass))
        .route("/sessions/{id}/stream", get(rejoin).fallback(pass))
        .route("/sessions/{id}/v1/chat/completions", post(chat).fallback(pass))
        .route("/sessions/{id}/", any(pass))
        .route("/sessions/{id}/{*path}", any(pass))
        .fallback(|| async { ApiError::new(StatusCode::NOT_FOUND, "there is no such route") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this route takes another method")
        })
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "a handler has panicked")
                .into_response()
        }))
        .layer(from_fn_with_state(app.clone(), auth::check))
        .layer(from_fn_with_state(app.clone(), count))
        .with_state(app)
}

/// Says that the process is there. Looks at nothing else.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health)))]
pub(crate) async fn health(State(app): State<App>) -> Json<Health> {
    Json(Health { status: "ok", instance_id: app.supervisor.instance().to_string() })
}

/// Says whether turns can be begun.
#[utoipa::path(get, path = "/ready", responses(
    (status = 200, body = Health),
    (status = 503, body = ErrorBody, description = "it shuts down"),
))]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    if app.supervisor.is_ready() {
        return Ok(health(State(app)).await);
    }
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the server shuts down"))
}

/// Every metric, as text for Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, content_type = "text/plain", body = String)))]
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render()).into_response()
}

/// Counts every request, by its route.
async fn count(
    State(app): State<App>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let route = route.map_or_else(|| "other".to_owned(), |route| route.as_str().to_owned());
    let began = app.clock.now().moment;
    let response = next.run(request).await;
    let took = app.clock.now().moment.since(began).as_secs_f64();
    let status = response.status().as_str().to_owned();
    histogram!("session_server_request_seconds", "route" => route.clone()).record(took);
    counter!("session_server_requests_total", "route" => route, "status" => status).increment(1);
    response
}

//! The description of the API, as the handlers say it themselves.

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Description;

/// What is described.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "session-server",
        description = "Keeps conversations in front of an OpenAI-compatible server. Any other method and path \
            under `/sessions/{id}/` is passed to the upstream."
    ),
    paths(
        crate::page::show,
        crate::routes::health,
        crate::routes::ready,
        crate::routes::metrics,
        crate::sessions::create,
        crate::sessions::list,
        crate::sessions::show,
        crate::sessions::status,
        crate::sessions::delete,
        crate::chat::chat,
        crate::cancel::cancel,
        crate::rejoin::rejoin,
        show,
    )
)]
struct Api;

/// This description.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = Object)))]
pub(crate) async fn show() -> Json<Description> {
    Json(Api::openapi())
}

//! Anything else under a session: passed to the upstream as it is, and back.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::StreamExt as _;

use crate::app::App;
use crate::body;
use crate::error::ApiError;
use crate::headers::{self, to_client, to_upstream};
use crate::ids::Live;
use crate::upstream::{Answered, Ask, transport};

/// Passes a request of a live session to the upstream, and its answer back. Nothing is recorded; it counts as use.
pub(crate) async fn pass(
    State(app): State<App>,
    Live { id, session }: Live,
    request: Request,
) -> Result<Response, ApiError> {
    let path = upstream_path(request.uri().path())
        .ok_or_else(|| ApiError::bad_request("the path leads out of the upstream"))?;
    let path =
        request.uri().query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let touched = session.touch().await;
    touched.map_err(|error| ApiError::session(&app.settings, &id, &error))?;
    let (parts, body) = request.into_parts();
    let body = body::read(&app, body).await?;
    let headers = to_upstream(parts.headers, &id, &app.settings, headers::Body::AsItIs);
    let ask = Ask { method: parts.method, path, headers, body };
    let answered = app.upstream.ask(ask).await;
    let Answered { response, permit } = answered.map_err(|error| error.tell().about(&id))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes_stream().map(move |bytes| {
        // Open for as long as its body comes.
        let _ = &permit;
        bytes.map_err(transport)
    });
    let mut reply = Response::new(Body::from_stream(bytes));
    *reply.status_mut() = status;
    *reply.headers_mut() = to_client(headers, headers::Body::AsItIs);
    Ok(reply)
}

/// What is behind `/sessions/{id}`; none if a part of it goes up, which the upstream's address must not.
fn upstream_path(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/sessions/")?;
    let rest = rest.split_once('/').map_or("", |(_, rest)| rest);
    let plain = rest.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/");
    let goes_up = plain.split(['/', '\\']).any(|part| part == "." || part == "..");
    (!goes_up).then(|| format!("/{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_passed_on_as_it_is_written_and_leads_nowhere_up() {
        let passed = |path| upstream_path(path);
        assert_eq!(passed("/sessions/a/v1/models").as_deref(), Some("/v1/models"));
        assert_eq!(passed("/sessions/a/x%20y//z").as_deref(), Some("/x%20y//z"));
        assert_eq!(passed("/sessions/a/").as_deref(), Some("/"));
        for up in [
            "/sessions/a/../x",
            "/sessions/a/x/%2E%2e/y",
            "/sessions/a/x%2f..%2fy",
            "/sessions/a/.",
        ] {
            assert_eq!(passed(up), None, "{up}");
        }
    }
}

//! Who may ask.
//!
//! With a token: whoever shows it. Without one the server listens on loopback only, and then the danger is the
//! user's own browser: a page from anywhere can send requests to this machine, also under a name of its own that
//! leads here. So `Host` has to name this machine, and `Origin`, where there is one, the server itself.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use metrics::counter;

use crate::app::App;
use crate::error::ApiError;
use crate::page;

/// What everybody may ask, with or without a token, beside the page.
const OPEN: [&str; 2] = ["/health", "/ready"];

/// Lets a request in, or refuses it.
pub(crate) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let refused = match &app.settings.token {
        Some(token) => {
            let path = request.uri().path();
            let open = OPEN.contains(&path) || page::is_path(path);
            let shown = open || shows(request.headers(), token);
            (!shown).then(|| ApiError::new(StatusCode::UNAUTHORIZED, "a bearer token is needed"))
        }
        None => refuse_stranger(request.uri(), request.headers()),
    };
    let Some(refused) = refused else { return next.run(request).await };
    counter!("session_server_refused_total", "status" => refused.status.as_str().to_owned())
        .increment(1);
    let unauthorized = refused.status == StatusCode::UNAUTHORIZED;
    let mut response = refused.into_response();
    if unauthorized {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Whether the token is shown.
fn shows(headers: &HeaderMap, token: &str) -> bool {
    let shown = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let Some((scheme, shown)) = shown.split_at_checked("Bearer ".len()) else { return false };
    scheme.eq_ignore_ascii_case(b"Bearer ") && same(shown.trim_ascii(), token.as_bytes())
}

/// Whether two secrets are the same, in a time that does not say how much of them is.
fn same(left: &[u8], right: &[u8]) -> bool {
    let differences = left.iter().zip(right).fold(0, |all, (left, right)| all | (left ^ right));
    left.len() == right.len() && differences == 0
}

/// Refuses what a page from elsewhere sends.
fn refuse_stranger(uri: &Uri, headers: &HeaderMap) -> Option<ApiError> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str));
    let forbidden = |message: &str| Some(ApiError::new(StatusCode::FORBIDDEN, message));
    let Some(host) = host.filter(|host| is_loopback(host)) else {
        return forbidden("`Host` is not this machine: without a token only loopback is served");
    };
    match headers.get(ORIGIN) {
        None => None,
        Some(origin) if origin.as_bytes() == format!("http://{host}").as_bytes() => None,
        Some(_) => forbidden("`Origin` is another site: without a token only this one is served"),
    }
}

/// Whether a host with or without a port is this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = |address: std::net::IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.3.2.1", "[::1]:80", "[::1]"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "[::2]:1",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_token_is_shown_whole_or_not_at_all() {
        let with = |value: &'static str| {
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))])
        };
        assert!(shows(&with("Bearer abc"), "abc"));
        assert!(shows(&with("bearer abc"), "abc"));
        for other in ["Bearer ab", "Bearer abcd", "Bearer", "Basic abc", "abc", "Bearer "] {
            assert!(!shows(&with(other), "abc"), "{other}");
        }
        assert!(!shows(&HeaderMap::new(), "abc"));
    }
}

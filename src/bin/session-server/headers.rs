//! Which headers go on, and which belong to one connection.

use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, DATE, EXPECT,
    HOST, ORIGIN, SERVER, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use session_supervisor::SessionId;

use crate::settings::Settings;

/// Names the session to the upstream, so that a router in front of it can keep a session in one place.
const ROUTING_KEY: HeaderName = HeaderName::from_static("x-smg-routing-key");

/// What belongs to one connection, whatever `Connection` says.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("proxy-authorization"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What happens with a body on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// It is read here, and sent anew.
    Anew,
    /// It goes on as it is.
    AsItIs,
}

/// Removes what belongs to one connection.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// The headers of a client's request, as the upstream gets them.
pub(crate) fn to_upstream(
    mut headers: HeaderMap,
    id: &SessionId,
    settings: &Settings,
    answer: Body,
) -> HeaderMap {
    remove_hop_by_hop(&mut headers);
    // `Origin` was checked here, and means nothing there.
    for name in [HOST, CONTENT_LENGTH, EXPECT, ORIGIN] {
        headers.remove(name);
    }
    if answer == Body::Anew {
        // The answer is read here, and nothing here decompresses.
        headers.remove(ACCEPT_ENCODING);
    }
    if settings.token.is_some() {
        // The server's own secret is nobody else's.
        headers.remove(AUTHORIZATION);
    }
    if let Some(token) = &settings.upstream_token {
        headers.insert(AUTHORIZATION, token.clone());
    }
    let id = HeaderValue::try_from(id.to_string()).expect("a session id is fit for a header");
    headers.insert(ROUTING_KEY, id);
    headers
}

/// The headers of the upstream's answer, as the client gets them.
pub(crate) fn to_client(mut headers: HeaderMap, body: Body) -> HeaderMap {
    remove_hop_by_hop(&mut headers);
    // Ours are set by what sends the answer.
    for name in [SERVER, DATE] {
        headers.remove(name);
    }
    if body == Body::Anew {
        headers.remove(CONTENT_LENGTH);
        headers.remove(CONTENT_ENCODING);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn what_belongs_to_one_connection_stays_there() {
        let headers = map(&[
            ("connection", "close, x-mine"),
            ("connection", "x-other"),
            ("x-mine", "1"),
            ("x-other", "1"),
            ("keep-alive", "5"),
            ("x-kept", "1"),
            ("server", "them"),
            ("date", "then"),
            ("content-length", "3"),
            ("content-encoding", "gzip"),
        ]);
        let anew = to_client(headers.clone(), Body::Anew);
        assert_eq!(anew, map(&[("x-kept", "1")]));
        let kept = map(&[("x-kept", "1"), ("content-length", "3"), ("content-encoding", "gzip")]);
        assert_eq!(to_client(headers, Body::AsItIs), kept);
    }
}

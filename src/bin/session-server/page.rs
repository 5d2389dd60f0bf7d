//! The page: to watch sessions and to chat, in a browser.
//!
//! Static files that are part of the program, without a build step. Everybody may have them, with or without a token:
//! they hold nothing, and the page asks its user for the token. What the page shows comes from the routes that
//! every client has; nothing here knows a session.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::error::ApiError;

/// Where everything but the page itself is.
const FOLDER: &str = "/page/";

/// Scripts, styles and requests from here only, and none that is written into the page; nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
struct File {
    /// Its name below [`FOLDER`].
    name: &'static str,
    /// What it is.
    kind: &'static str,
    /// What is in it.
    text: &'static str,
}

/// Reads files when the program is built.
macro_rules! files {
    ($($kind:literal: $($name:literal)*;)*) => {
        [$($(File { name: $name, kind: $kind, text: include_str!(concat!("page/", $name)) },)*)*]
    };
}

/// What the page consists of.
static FILES: [File; 25] = files! {
    "text/html; charset=utf-8": "index.html";
    "text/css; charset=utf-8": "style.css" "chat.css";
    "image/svg+xml": "icon.svg";
    "text/javascript; charset=utf-8":
        "api.js" "asked.js" "chat.js" "confirm.js" "conversation.js" "counters.js" "dom.js" "format.js" "history.js" "main.js"
        "messages.js" "metrics.js" "pages.js" "plot.js" "poll.js" "records.js" "reply.js" "server.js" "session.js"
        "sessions.js" "sse.js";
};

/// Names the state of all files together: they are written for each other.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for file in &FILES {
        digest.update(file.text);
    }
    let digest: [u8; 32] = digest.finalize().into();
    let [one, two, three, four, ..] = digest;
    format!("\"{:08x}\"", u32::from_be_bytes([one, two, three, four]))
});

/// Whether a path is the page's, which nobody needs a token for.
pub(crate) fn is_path(path: &str) -> bool {
    path == "/" || path.starts_with(FOLDER)
}

/// The page, for browsers.
#[utoipa::path(get, path = "/", responses((status = 200, content_type = "text/html", body = String)))]
pub(crate) async fn show(headers: HeaderMap) -> Result<Response, ApiError> {
    answer("index.html", &headers)
}

/// A file of the page.
pub(crate) async fn file(
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    answer(name.as_deref().map_or("", String::as_str), &headers)
}

/// A file, unless the browser has it.
fn answer(name: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    let file = FILES.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| {
        ApiError::new(StatusCode::NOT_FOUND, format!("the page has no file {name:?}"))
    })?;
    let known = headers.get(IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == TAG.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(file.text))
    };
    let told: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, file.kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    let headers = response.headers_mut();
    headers.extend(told.map(|(name, value)| (name, HeaderValue::from_static(value))));
    let tag = HeaderValue::from_str(&TAG);
    headers.insert(ETAG, tag.expect("a tag is hexadecimal in quotes"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_a_file_asks_for_is_there_and_none_is_idle() {
        let there: Vec<_> = FILES.iter().map(|file| file.name).collect();
        let mut asked = vec!["index.html"];
        for file in &FILES {
            for (open, close) in [("'./", '\''), ("\"/page/", '"')] {
                let names = file.text.split(open).skip(1).filter_map(|it| it.split(close).next());
                asked.extend(names);
            }
        }
        for name in &asked {
            assert!(there.contains(name), "{name} is not there");
        }
        for name in there {
            assert!(asked.contains(&name), "nobody asks for {name}");
        }
    }

    #[test]
    fn no_data_becomes_markup_and_nothing_is_written_into_the_page() {
        let forbidden = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("];
        for file in &FILES {
            for word in forbidden {
                assert!(!file.text.contains(word), "{}: {word}", file.name);
            }
            let lines = file.text.lines().count();
            assert!(lines <= 430, "{} has {lines} lines", file.name);
        }
    }
}

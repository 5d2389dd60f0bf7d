//! Who answers: the OpenAI-compatible server behind this one.
//!
//! Every request holds a permit until its answer has been read, so that `--upstream-connections` bounds what is
//! open. Redirects are the client's to follow, and nothing is retried: the upstream may have done it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode};
use metrics::{counter, gauge};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ApiError, chain};
use crate::records::CHAT_PATH;
use crate::settings::Settings;

/// When to come back if as many requests are open as may be.
const SOON: Duration = Duration::from_secs(1);

/// The upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Keeps connections.
    client: Client,
    /// Where it is, without a slash at the end.
    base: String,
    /// Where chats go. Nearly every request goes there, and reading an address takes longer than copying it.
    chats: Url,
    /// How many more requests may be open.
    permits: Arc<Semaphore>,
}

/// What it is asked.
#[derive(Debug)]
pub(crate) struct Ask {
    /// How.
    pub(crate) method: Method,
    /// Where, with the query.
    pub(crate) path: String,
    /// The headers, as they are to arrive.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

/// The beginning of its answer; the body is still to come.
#[derive(Debug)]
pub(crate) struct Answered {
    /// What came.
    pub(crate) response: Response,
    /// Says that it is open.
    pub(crate) permit: Permit,
}

/// A request that is open.
#[derive(Debug)]
pub(crate) struct Permit(
    #[expect(dead_code, reason = "given back when dropped")] OwnedSemaphorePermit,
);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// It could not be reached, or the connection broke, or it said nothing for too long.
    #[error("backend transport error")]
    Transport(#[source] reqwest::Error),
    /// It sent more than may be.
    #[error("the upstream's answer is larger than {max} bytes")]
    TooLarge {
        /// How much may be.
        max: usize,
    },
    /// As many requests are open as may be.
    #[error("as many requests are open at the upstream as may be")]
    Full,
}

impl UpstreamError {
    /// What the client is told.
    pub(crate) fn tell(&self) -> ApiError {
        match self {
            Self::Full => {
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, self.to_string()).after(Some(SOON))
            }
            Self::Transport(_) | Self::TooLarge { .. } => {
                ApiError::new(StatusCode::BAD_GATEWAY, chain(self))
            }
        }
    }
}

impl Upstream {
    /// Prepares to talk to it; nothing is connected yet.
    pub(crate) fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        // The first in a process wins, and another one that is there is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .connect_timeout(settings.upstream_connect_timeout)
            .read_timeout(settings.upstream_timeout)
            .redirect(Policy::none())
            .tcp_nodelay(true)
            .build()?;
        let permits = Arc::new(Semaphore::new(settings.upstream_connections));
        let base = settings.upstream.clone();
        let chats = client.post(format!("{base}{CHAT_PATH}")).build()?.url().clone();
        Ok(Self { client, base, chats, permits })
    }

    /// Asks it; resolves with the beginning of its answer.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Answered, UpstreamError> {
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            rejected("upstream_connections");
            return Err(UpstreamError::Full);
        };
        let permit = Permit::new(permit);
        let request = if ask.path == CHAT_PATH {
            self.client.request(ask.method, self.chats.clone())
        } else {
            self.client.request(ask.method, format!("{}{}", self.base, ask.path))
        };
        let request = request.headers(ask.headers);
        let request = if ask.body.is_empty() { request } else { request.body(ask.body) };
        let answered = request.send().await;
        let told = answered.as_ref().map_or("transport", |response| class(response.status()));
        counter!("session_server_upstream_answers_total", "status" => told).increment(1);
        let response = answered.map_err(transport)?;
        Ok(Answered { response, permit })
    }
}

impl Permit {
    /// Counts it.
    fn new(permit: OwnedSemaphorePermit) -> Self {
        gauge!("session_server_limit_current", "limit" => "upstream_connections").increment(1);
        Self(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        gauge!("session_server_limit_current", "limit" => "upstream_connections").decrement(1);
    }
}

/// Reads the rest of an answer, up to `max` bytes.
pub(crate) async fn read(response: &mut Response, max: usize) -> Result<Bytes, UpstreamError> {
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(transport)? {
        if body.len() + bytes.len() > max {
            return Err(too_large(max));
        }
        if body.is_empty() {
            body.reserve(
                response.content_length().map_or(0, |it| usize::try_from(it).unwrap_or(0)).min(max),
            );
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body.into())
}

/// It sent more than may be.
pub(crate) fn too_large(max: usize) -> UpstreamError {
    rejected("answer_bytes");
    UpstreamError::TooLarge { max }
}

/// Counts what a limit has refused.
fn rejected(limit: &'static str) {
    counter!("session_server_limit_rejected_total", "limit" => limit).increment(1);
}

/// The connection broke, or nothing came for too long.
pub(crate) fn transport(error: reqwest::Error) -> UpstreamError {
    if error.is_timeout() {
        rejected("upstream_timeout");
    }
    UpstreamError::Transport(error.without_url())
}

/// The class of a status, for metrics.
fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "200",
        201..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

//! An OpenAI-compatible server, streaming.

use std::fmt;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use session_supervisor::ChatMessage;

use crate::sse::{Parser, TooLong};
use crate::words::{harmless, shorten};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server may say nothing. Large models think before the first word.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(120);

/// How much of an answer that is no stream is read, in bytes.
const MAX_BODY: usize = 1 << 20;

/// How many characters of an unexpected answer are shown.
const SHOWN: usize = 200;

/// A server, and the model that it is asked for.
pub(crate) struct Upstream {
    /// Keeps connections.
    client: Client,
    /// Where completions are asked for.
    url: String,
    /// Which model.
    model: String,
    /// Who asks.
    key: Option<String>,
}

/// Why a server gave no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// The address is none.
    #[error("--upstream {url} is not an address")]
    Address {
        /// What was given.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The server could not be reached, or the connection broke.
    #[error("the connection to the server failed")]
    Connection(#[from] reqwest::Error),
    /// The server refused.
    #[error("the server says {status}: {message}")]
    Status {
        /// How.
        status: StatusCode,
        /// What it says.
        message: String,
    },
    /// The server failed in the middle of its reply.
    #[error("the server failed in the middle of its reply: {message}")]
    Midway {
        /// What it says.
        message: String,
    },
    /// The reply stopped before its end.
    #[error("the server's reply broke off before its end")]
    Cut,
    /// The server sent something that is no completion.
    #[error("the server sent something that is not a chat completion: {start}")]
    Strange {
        /// How it starts.
        start: String,
    },
    /// The server sent a line without end.
    #[error("the server cannot be followed")]
    TooLong(#[from] TooLong),
}

/// A piece of a completion, or the whole.
#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    error: Option<serde_json::Value>,
}

/// One of several replies; only the first is asked for.
#[derive(Deserialize)]
struct Choice {
    /// What was added, in a stream.
    #[serde(alias = "message")]
    delta: Option<Said>,
    /// Set with the last piece.
    finish_reason: Option<String>,
}

/// What was said.
#[derive(Deserialize)]
struct Said {
    content: Option<String>,
}

impl Upstream {
    /// Prepares to talk to `url`; nothing is connected yet.
    pub(crate) fn new(url: &str, model: &str, key: Option<&str>) -> Result<Self, UpstreamError> {
        // The first in a process wins, and another one that is there is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let timeouts = Client::builder().connect_timeout(CONNECT_TIMEOUT);
        let client = timeouts.read_timeout(SILENCE_TIMEOUT).build()?;
        // People paste the address with or without the version.
        let base = url.trim_end_matches('/').trim_end_matches("/v1");
        let url = format!("{base}/v1/chat/completions");
        if let Err(source) = client.post(&url).build() {
            return Err(UpstreamError::Address { url, source: source.without_url() });
        }
        Ok(Self { client, url, model: model.to_owned(), key: key.map(str::to_owned) })
    }

    /// Asks for a reply to `messages`, and hands each piece to `say`.
    pub(crate) async fn answer(
        &self,
        messages: &[ChatMessage],
        say: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<String, UpstreamError> {
        let messages: Vec<_> = messages
            .iter()
            .map(|said| serde_json::json!({ "role": said.role, "content": said.content }))
            .collect();
        let body = serde_json::json!({ "model": self.model, "messages": messages, "stream": true });
        let mut request = self.client.post(&self.url).header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request.body(body.to_string()).send().await?;
        let status = response.status();
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let streams = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        if !status.is_success() {
            let message = said_in_error(&body_of(response).await?);
            Err(UpstreamError::Status { status, message })
        } else if streams {
            follow(response, say).await
        } else {
            whole(&body_of(response).await?, say)
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({}, {})", self.url, self.model)
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} replies", self.model, self.url)
    }
}

/// Follows a stream to its end.
async fn follow(
    mut response: Response,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<String, UpstreamError> {
    let (mut parser, mut reply, mut finished) = (Parser::default(), String::new(), false);
    while let Some(bytes) = response.chunk().await? {
        for data in parser.feed(&bytes)? {
            if data == "[DONE]" {
                return Ok(reply);
            }
            let completion = parse(&data)?;
            if let Some(error) = completion.error {
                return Err(UpstreamError::Midway { message: told(&error) });
            }
            let Some(choice) = completion.choices.into_iter().next() else { continue };
            finished |= choice.finish_reason.is_some();
            let piece = choice.delta.and_then(|said| said.content).unwrap_or_default();
            if !piece.is_empty() {
                say(&piece);
                reply.push_str(&piece);
            }
        }
    }
    // Some servers close after the last piece without saying so.
    if finished { Ok(reply) } else { Err(UpstreamError::Cut) }
}

/// Takes a reply that came in one piece: some servers do not stream.
fn whole(body: &str, say: &(dyn Fn(&str) + Send + Sync)) -> Result<String, UpstreamError> {
    let completion = parse(body)?;
    if let Some(error) = completion.error {
        return Err(UpstreamError::Midway { message: told(&error) });
    }
    let said = completion.choices.into_iter().next().and_then(|choice| choice.delta);
    match said.and_then(|said| said.content) {
        Some(reply) => {
            say(&reply);
            Ok(reply)
        }
        None => Err(strange(body)),
    }
}

/// Reads one JSON text.
fn parse(text: &str) -> Result<Completion, UpstreamError> {
    serde_json::from_str(text).map_err(|_| strange(text))
}

/// The error of something that is no completion.
fn strange(text: &str) -> UpstreamError {
    let start = if text.trim().is_empty() { "nothing".to_owned() } else { start_of(text) };
    UpstreamError::Strange { start }
}

/// What an error says, in the form of most servers or any other.
fn told(error: &serde_json::Value) -> String {
    let message = error.get("message").unwrap_or(error);
    start_of(message.as_str().unwrap_or(&message.to_string()))
}

/// What the body of a refusal says.
fn said_in_error(body: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(body) {
        Ok(value) => told(value.get("error").unwrap_or(&value)),
        Err(_) if body.trim().is_empty() => "nothing more".to_owned(),
        Err(_) => start_of(body),
    }
}

/// The beginning of what a server sent, fit for a terminal.
fn start_of(text: &str) -> String {
    shorten(&harmless(text), SHOWN)
}

/// The body of a response that is no stream, up to [`MAX_BODY`].
async fn body_of(mut response: Response) -> Result<String, UpstreamError> {
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await? {
        body.extend_from_slice(&bytes);
        if body.len() > MAX_BODY {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

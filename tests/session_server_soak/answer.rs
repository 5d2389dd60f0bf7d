//! What a client is told, read as the contract says it is to be read.

use reqwest::Response;
use serde_json::Value;

use super::plan::{Chat, End, chunks, completion};

/// What a client was told of its chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is recorded.
    Committed,
    /// Another turn had committed since it began.
    Superseded,
    /// Its session was deleted meanwhile.
    Stale,
    /// The upstream has failed, as it was to.
    Failed,
    /// It was cancelled or interrupted.
    Ended,
    /// Another turn runs, or it has waited for too long.
    Busy,
    /// A limit is reached.
    Full,
    /// There is no such session any more.
    Gone,
}

impl Told {
    /// As it is counted.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Superseded => "superseded",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Ended => "ended",
            Self::Busy => "busy",
            Self::Full => "full",
            Self::Gone => "gone",
        }
    }
}

/// What an answer says, and which turn it is of.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) told: Told,
    /// The turn, if there was one.
    pub(crate) stream: Option<String>,
}

/// The value of a header.
pub(crate) fn header(response: &Response, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

/// Reads the answer to a chat to its end. An error says what the contract does not allow, whatever has happened.
pub(crate) async fn judge(chat: &Chat, response: Response) -> Result<Judged, String> {
    let stream = header(&response, "x-session-stream");
    let status = response.status().as_u16();
    let told = match status {
        200 if is_events(&response) => streamed(chat, response).await?,
        200 => whole(chat, response).await?,
        _ if header(&response, "x-scripted").is_some() => {
            let expected = match chat.plan.end {
                End::Status(status) => Some(status),
                End::Error if !chat.streams => Some(418),
                End::Whole | End::Refuse | End::Cut | End::Half | End::Strange | End::Error => None,
            };
            if expected != Some(status) {
                return Err(format!("the upstream's {status}, which it has not said"));
            }
            let body = response.text().await.map_err(|error| format!("{status}: {error}"))?;
            if body != "{\"odd\": 1}" {
                return Err(format!("the upstream's {status} with another body: {body}"));
            }
            Told::Failed
        }
        _ => refused(chat, response).await?,
    };
    Ok(Judged { told, stream })
}

/// Whether it is a stream.
fn is_events(response: &Response) -> bool {
    header(response, "content-type").is_some_and(|kind| kind == "text/event-stream")
}

/// What became of the record.
fn outcome(said: &str) -> Result<Told, String> {
    match said {
        "committed" => Ok(Told::Committed),
        "superseded" => Ok(Told::Superseded),
        "stale" => Ok(Told::Stale),
        other => Err(format!("a record that is {other:?}")),
    }
}

/// An answer in one piece.
async fn whole(chat: &Chat, response: Response) -> Result<Told, String> {
    let said = header(&response, "x-session-commit").unwrap_or_default();
    let body = response.json::<Value>().await.map_err(|error| format!("200: {error}"))?;
    if chat.plan.end != End::Whole || body != completion(&chat.text) {
        return Err(format!("an answer that the upstream has not given: {body}"));
    }
    outcome(&said)
}

/// An answer in pieces.
async fn streamed(chat: &Chat, response: Response) -> Result<Told, String> {
    let read = response.text().await.map_err(|error| format!("a stream that broke: {error}"))?;
    events(chat, &read)
}

/// What a stream says that was read to its end.
pub(crate) fn events(chat: &Chat, read: &str) -> Result<Told, String> {
    let mut data: Vec<_> = read.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let last = data.pop().ok_or("a stream of nothing")?;
    let chunks = chunks(&chat.text);
    let sent: Vec<_> = chunks.iter().map(String::as_str).collect();
    if last == "[DONE]" {
        let comment = read.lines().find_map(|line| line.strip_prefix(": x-session-commit: "));
        let ends = read.ends_with("\n\ndata: [DONE]\n\n");
        if chat.plan.end != End::Whole || data != sent || !ends {
            return Err(format!("a whole stream that the upstream has not sent: {read}"));
        }
        return outcome(comment.unwrap_or_default());
    }
    if !sent.starts_with(&data) {
        return Err(format!("pieces that the upstream has not sent: {read}"));
    }
    let error = serde_json::from_str::<Value>(last).ok().map(|mut last| last["error"].take());
    match error {
        Some(Value::Object(error)) if chat.plan.end == End::Error => {
            (error["message"] == "scripted").then_some(Told::Failed).ok_or(read.to_owned())
        }
        Some(Value::String(error)) if error.contains(" was ended: ") => Ok(Told::Ended),
        Some(Value::String(_)) if chat.plan.end != End::Whole => Ok(Told::Failed),
        _ => Err(format!("a stream that ends with: {last}")),
    }
}

/// An error of the server.
async fn refused(chat: &Chat, response: Response) -> Result<Told, String> {
    let status = response.status().as_u16();
    let comes_back = header(&response, "retry-after").is_some();
    let error = error(response).await?;
    let wrong = || Err(format!("{status}: {error}"));
    match status {
        404 | 410 => Ok(Told::Gone),
        409 if error.contains(" was ended: ") => Ok(Told::Ended),
        409 => Ok(Told::Busy),
        429 if comes_back => Ok(Told::Full),
        502 => match chat.plan.end {
            End::Refuse | End::Cut | End::Half if error.starts_with("backend transport error") => {
                Ok(Told::Failed)
            }
            End::Strange if error.contains("choices[0].message") => Ok(Told::Failed),
            End::Whole
            | End::Status(_)
            | End::Refuse
            | End::Cut
            | End::Half
            | End::Strange
            | End::Error => wrong(),
        },
        _ => wrong(),
    }
}

/// The text of an error, in the form that every error has.
pub(crate) async fn error(response: Response) -> Result<String, String> {
    let status = response.status().as_u16();
    let kind = header(&response, "content-type").unwrap_or_default();
    let body = response.text().await.map_err(|error| format!("{status}: {error}"))?;
    let parsed = serde_json::from_str::<Value>(&body).ok();
    let text = parsed.as_ref().and_then(|body| body["error"].as_str());
    match text {
        Some(text) if kind == "application/json" => Ok(text.to_owned()),
        _ => Err(format!("{status} without the form of an error: {kind}: {body}")),
    }
}

//! What a session consists of, and how it is told.
//!
//! A turn is begun with the request and committed with the answer, each an entry of the transcript and each as the
//! bytes that came: numbers, the order of fields and fields that nobody knows are as they were. A record is a pair
//! of them. So what is asked under `queue` is counted by the library's limits, and a loser's request stands
//! beside the transcript, where no record is made of it.

use std::collections::HashMap;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use session_supervisor::{Entry, StreamId, Timestamp};

/// Where chats go, at the upstream.
pub(crate) const CHAT_PATH: &str = "/v1/chat/completions";

/// One half of a record, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exchange {
    /// What a client asked.
    Request(Request),
    /// What the upstream answered.
    Response(Answer),
}

/// What a client asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// When.
    pub(crate) at: Timestamp,
    /// How.
    pub(crate) method: String,
    /// Where, at the upstream.
    pub(crate) path: String,
    /// What.
    pub(crate) body: Box<RawValue>,
}

/// What the upstream answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// When.
    pub(crate) at: Timestamp,
    /// With which status.
    pub(crate) status: u16,
    /// What.
    pub(crate) body: Box<RawValue>,
}

/// A turn that was committed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Record {
    /// When the upstream had answered, in seconds since 1970.
    timestamp: f64,
    /// When the client had asked, in seconds since 1970.
    request_timestamp: f64,
    /// How the upstream was asked.
    method: String,
    /// Where.
    path: String,
    /// The body of the request, as it came.
    #[schema(value_type = Object)]
    request: Box<RawValue>,
    /// The body of the answer, as it came; of one that was streamed, the `chat.completion` that its chunks make.
    #[schema(value_type = Object)]
    response: Box<RawValue>,
    /// The status of the answer.
    status_code: u16,
}

/// In seconds since 1970.
pub(crate) fn seconds(at: Timestamp) -> f64 {
    at.since(Timestamp::from_millis(0)).as_secs_f64()
}

/// The records that a transcript makes, in the order in which they were committed.
pub(crate) fn pair(transcript: Vec<Entry<Exchange>>) -> Vec<Record> {
    let mut asked: HashMap<StreamId, Request> = HashMap::new();
    let mut records = Vec::new();
    for entry in transcript {
        let Some(stream) = entry.stream else { continue };
        match entry.content {
            Ok(Exchange::Request(request)) => drop(asked.insert(stream, request)),
            Ok(Exchange::Response(answer)) => {
                records.extend(asked.remove(&stream).map(|request| Record::new(request, answer)));
            }
            Err(error) => tracing::warn!(%stream, %error, "a record cannot be read"),
        }
    }
    records
}

impl Record {
    /// Of its halves.
    fn new(request: Request, answer: Answer) -> Self {
        Self {
            timestamp: seconds(answer.at),
            request_timestamp: seconds(request.at),
            method: request.method,
            path: request.path,
            request: request.body,
            response: answer.body,
            status_code: answer.status,
        }
    }
}

/// A body as JSON, byte for byte but for the white space around it.
pub(crate) fn json(body: &Bytes) -> Result<Box<RawValue>, serde_json::Error> {
    let value: &RawValue = serde_json::from_slice(body)?;
    Ok(value.to_owned())
}

/// Whether a request wants its answer as a stream.
pub(crate) fn wants_stream(request: &RawValue) -> bool {
    /// What is looked at.
    #[derive(Deserialize)]
    struct Peek<'a> {
        #[serde(borrow, default)]
        stream: Option<&'a RawValue>,
    }
    let peek = object::<Peek<'_>>(request);
    peek.is_some_and(|peek| peek.stream.is_some_and(|stream| stream.get() == "true"))
}

/// Whether an answer has `choices[0].message`.
pub(crate) fn has_message(answer: &RawValue) -> bool {
    /// What is looked at.
    #[derive(Deserialize)]
    struct Peek<'a> {
        #[serde(borrow)]
        choices: Vec<&'a RawValue>,
    }
    /// One of the choices.
    #[derive(Deserialize)]
    struct Choice<'a> {
        #[serde(borrow)]
        message: Option<&'a RawValue>,
    }
    let Some(peek) = object::<Peek<'_>>(answer) else { return false };
    let first = peek.choices.first().and_then(|first| object::<Choice<'_>>(first));
    // `null` is read as none.
    first.is_some_and(|first| first.message.is_some_and(|message| message.get().starts_with('{')))
}

/// Reads an object; a list is none, though serde would take one.
fn object<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    let text = value.get();
    text.starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &'static str) -> Box<RawValue> {
        json(&Bytes::from_static(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_half_reads_back_byte_for_byte() {
        let body = r#"{"b":1e400,"a":0.10,"a":[ 1,2 ],"ü":"\u00e4"}"#;
        let (at, path) = (Timestamp::from_millis(5), CHAT_PATH.to_owned());
        let asked = Exchange::Request(Request { at, method: "POST".into(), path, body: raw(body) });
        let stored = serde_json::to_vec(&asked).unwrap();
        let Exchange::Request(read) = serde_json::from_slice(&stored).unwrap() else { panic!() };
        assert_eq!(read.body.get(), body);
    }

    #[test]
    fn only_true_is_a_wish_for_a_stream() {
        assert!(wants_stream(&raw(r#"{"stream": true}"#)));
        for other in [r#"{"stream":false}"#, r#"{"stream":"true"}"#, "{}", "[true]", "3"] {
            assert!(!wants_stream(&raw(other)), "{other}");
        }
    }

    #[test]
    fn an_answer_needs_a_first_message() {
        assert!(has_message(&raw(r#"{"choices":[{"message":{}}],"x":1}"#)));
        for other in [
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":[{}]}"#,
            r#"{"choices":[{"message":null}]}"#,
            r#"{"choices":[{"message":"hi"}]}"#,
            r#"{"choices":[[{}]]}"#,
            r#"{"choices":[{"text":"a"},{"message":{}}]}"#,
            "[]",
        ] {
            assert!(!has_message(&raw(other)), "{other}");
        }
    }
}

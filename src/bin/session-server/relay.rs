//! A chat whose answer is streamed: each event goes on as it comes, and is recorded in the turn's stream.
//!
//! The last event is kept back until the turn has committed, so that whoever has read `[DONE]` can rely on what the
//! comment before it says. What the client does has no influence: one that takes nothing for
//! `--client-timeout` counts as gone.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::response::Response;
use futures_util::stream;
use metrics::counter;
use serde_json::value::to_raw_value;
use session_supervisor::{SessionId, StreamId};
use tokio::sync::mpsc;

use crate::assembly::{Assembly, Said};
use crate::error::ErrorBody;
use crate::headers::{self, to_client};
use crate::records::{Answer, Exchange};
use crate::sse::{Block, Frame, Splitter};
use crate::turn::{Failure, Work, commit, fail, name_stream};
use crate::upstream::{Answered, too_large, transport};

/// How many pieces wait for a client that is slower than the upstream.
const PIECES: usize = 64;

/// How long the upstream has to end its answer after it has said that it is over, so that its connection can be
/// used again.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What ends every stream.
pub(crate) const DONE: &str = "[DONE]";

/// The client of a stream.
struct Client {
    /// Where its pieces go; none once it is gone.
    pieces: Option<mpsc::Sender<Bytes>>,
    /// How long it may take nothing.
    timeout: Duration,
}

impl Client {
    /// Sends a piece, unless the client is gone.
    async fn send(&mut self, bytes: Bytes) {
        let Some(pieces) = &self.pieces else { return };
        if pieces.send_timeout(bytes, self.timeout).await.is_err() {
            counter!("session_server_clients_gone_total").increment(1);
            self.pieces = None;
        }
    }

    /// Waits until the client is gone.
    async fn gone(&self) {
        if let Some(pieces) = &self.pieces {
            pieces.closed().await;
        }
    }
}

/// The stream so far.
#[derive(Default)]
struct Progress {
    /// Cuts it into events.
    splitter: Splitter,
    /// What its chunks make.
    assembly: Assembly,
    /// Whether it has said that it is over.
    done: bool,
    /// Whether the upstream has said that it failed, so that the client knows.
    told: bool,
}

/// Has a task relay the answer; answers with its head, to which the pieces come.
pub(crate) fn relay(work: Work, answered: Answered) -> Response {
    let (pieces, taken) = mpsc::channel(PIECES);
    let client = Client { pieces: Some(pieces), timeout: work.app.settings.client_timeout };
    let headers = to_client(answered.response.headers().clone(), headers::Body::Anew);
    let reply = reply(headers, work.turn.stream(), taken);
    let turns = work.app.turns.clone();
    drop(turns.spawn(relaying(work, answered, client)));
    reply
}

/// Relays the answer to the client, records it, and tells the outcome.
async fn relaying(work: Work, answered: Answered, mut client: Client) {
    let (id, stream) = (work.id.clone(), work.turn.stream());
    let Answered { mut response, permit } = answered;
    let mut progress = Progress::default();
    let followed = follow(&work, &mut response, &mut client, &mut progress).await;
    let failure = match followed {
        Ok(()) => match finish(work, progress.assembly).await {
            Ok(comment) => {
                let done = Frame { comment: Some(&comment), ..Frame::default() }.write();
                let last = Frame { data: Some(DONE), ..Frame::default() }.write();
                client.send([done, last].concat().into()).await;
                drop(client);
                read_out(&mut response).await;
                drop(permit);
                return;
            }
            Err(failure) => Some(failure),
        },
        Err(failure) => {
            fail(work.turn).await;
            failure
        }
    };
    if let Some(failure) = failure {
        client.send(told(&failure, &id, stream)).await;
    }
}

/// The head of the answer, with the pieces that will come.
fn reply(
    headers: axum::http::HeaderMap,
    stream: StreamId,
    taken: mpsc::Receiver<Bytes>,
) -> Response {
    let pieces = stream::unfold(taken, |mut taken| async {
        let piece = taken.recv().await?;
        Some((Ok::<_, Infallible>(piece), taken))
    });
    let mut reply = Response::new(Body::from_stream(pieces));
    *reply.headers_mut() = headers;
    let headers = reply.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.entry(unbuffered).or_insert(HeaderValue::from_static("no"));
    name_stream(headers, stream);
    reply
}

/// Relays what comes until it is over. An error that the upstream has told by itself is `None`.
async fn follow(
    work: &Work,
    response: &mut reqwest::Response,
    client: &mut Client,
    progress: &mut Progress,
) -> Result<(), Option<Failure>> {
    while !progress.done {
        let next = work.until_told(response.chunk(), client.gone()).await.map_err(Some)?;
        let next = next.map_err(|error| Some(Failure::Upstream(transport(error))))?;
        let is_end = next.is_none();
        let blocks = match &next {
            Some(bytes) => progress.splitter.feed(bytes),
            None => std::mem::take(&mut progress.splitter).finish().into_iter().collect(),
        };
        let (pieces, taken) = take(work, blocks, progress);
        if !pieces.is_empty() {
            // The client is waited for, but not longer than the turn may go on.
            let sent = client.send(pieces);
            let never = std::future::pending();
            work.until_told(sent, never).await.map_err(Some)?;
        }
        taken.map_err(Some)?;
        if progress.told {
            return Err(None);
        }
        if is_end && !progress.done {
            if progress.assembly.is_finished() {
                return Ok(());
            }
            let cut = "backend transport error: the upstream's stream broke off".to_owned();
            return Err(Some(Failure::Strange(cut)));
        }
    }
    Ok(())
}

/// Takes in whole events; answers what of them goes on to the client.
fn take(work: &Work, blocks: Vec<Block>, progress: &mut Progress) -> (Bytes, Result<(), Failure>) {
    let mut pieces = Vec::new();
    let max = work.app.settings.max_answer_bytes;
    for Block { raw, data } in blocks {
        match data.as_deref().map(str::trim) {
            Some(DONE) => {
                progress.done = true;
                break;
            }
            Some(data) => match progress.assembly.add(data) {
                Ok(said) => {
                    // Refused once the turn was ended: then nobody follows it.
                    work.turn.emit(data).ok();
                    pieces.extend_from_slice(&raw);
                    if said == Said::Error {
                        progress.told = true;
                        break;
                    }
                }
                Err(strange) => return (pieces.into(), Err(Failure::Strange(strange.to_string()))),
            },
            None => pieces.extend_from_slice(&raw),
        }
    }
    if progress.assembly.bytes() + progress.splitter.waiting() > max {
        return (pieces.into(), Err(Failure::Upstream(too_large(max))));
    }
    (pieces.into(), Ok(()))
}

/// Records what was streamed; answers the comment that tells what became of it.
async fn finish(work: Work, assembly: Assembly) -> Result<String, Failure> {
    let whole = assembly.finish().and_then(|whole| to_raw_value(&whole).ok());
    let Some(body) = whole else {
        fail(work.turn).await;
        let what = "the upstream's answer has no choices[0].message".to_owned();
        return Err(Failure::Strange(what));
    };
    let answer = Exchange::Response(Answer { at: work.app.supervisor.now(), status: 200, body });
    let recorded = commit(work.turn, &answer).await?;
    Ok(outcome(recorded.as_str()))
}

/// The comment that tells what became of a record.
pub(crate) fn outcome(recorded: &str) -> String {
    format!("x-session-commit: {recorded}")
}

/// The last event of a stream that brought no record.
fn told(failure: &Failure, id: &SessionId, stream: StreamId) -> Bytes {
    error_event(&failure.tell(id, stream).body(), None)
}

/// An error, as the last event of a stream.
pub(crate) fn error_event(body: &ErrorBody, id: Option<&str>) -> Bytes {
    let data = serde_json::json!({ "error": body.error }).to_string();
    Frame { id, data: Some(&data), ..Frame::default() }.write()
}

/// Reads an answer to its end, for a moment.
async fn read_out(response: &mut reqwest::Response) {
    let reading = async { while let Ok(Some(_)) = response.chunk().await {} };
    // If it does not end, its connection is not used again.
    drop(tokio::time::timeout(LAST_WAIT, reading).await);
}

//! An upstream that hands each request to the test, and answers as the test says.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that is to happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it was to happen within half a minute")
}

/// A request that has arrived.
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    reply: oneshot::Sender<Response>,
}

/// An answer that is streamed.
pub(crate) struct Streaming(mpsc::Sender<Result<Bytes, Cut>>);

/// The connection breaks.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by the test")
    }
}

impl std::error::Error for Cut {}

/// A completion that says `text`.
pub(crate) fn completion(text: &str) -> Value {
    json!({
        "id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "odd": [0.10, null],
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
    })
}

/// A piece of a streamed completion.
pub(crate) fn piece(text: &str) -> Value {
    json!({"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]})
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Answers.
    pub(crate) fn respond(self, response: Response) {
        self.reply.send(response).expect("somebody waits for the answer");
    }

    /// Answers with a completion that says `text`.
    pub(crate) fn say(self, text: &str) {
        self.respond(axum::Json(completion(text)).into_response());
    }

    /// Answers with a status and a body.
    pub(crate) fn status(self, status: u16, body: &'static str) {
        self.respond((StatusCode::from_u16(status).unwrap(), body).into_response());
    }

    /// Waits until the server has dropped the call.
    pub(crate) async fn dropped(mut self) {
        soon(self.reply.closed()).await;
    }

    /// Begins to answer with a stream.
    pub(crate) fn stream(self) -> Streaming {
        let (pieces, taken) = mpsc::channel(64);
        let events = stream::unfold(taken, |mut taken: mpsc::Receiver<_>| async {
            taken.recv().await.map(|piece| (piece, taken))
        });
        let headers = [("content-type", "text/event-stream"), ("server", "scripted")];
        self.respond((headers, Body::from_stream(events)).into_response());
        Streaming(pieces)
    }
}

impl Streaming {
    /// Sends bytes as they are.
    pub(crate) async fn send(&self, bytes: impl Into<Bytes>) {
        soon(self.0.send(Ok(bytes.into()))).await.expect("somebody reads the stream");
    }

    /// Sends a piece.
    pub(crate) async fn say(&self, text: &str) {
        self.send(format!("data: {}\n\n", piece(text))).await;
    }

    /// Says that it is over, in good order.
    pub(crate) async fn done(self) {
        self.send("data: [DONE]\n\n").await;
    }

    /// Breaks the connection.
    pub(crate) async fn cut(self) {
        soon(self.0.send(Err(Cut))).await.unwrap();
    }

    /// Waits until the server has dropped the call.
    pub(crate) async fn dropped(self) {
        soon(self.0.closed()).await;
    }
}

/// The upstream. It ends when dropped.
pub(crate) struct Upstream {
    pub(crate) url: String,
    asked: Mutex<mpsc::Receiver<Asked>>,
    _task: JoinSet<()>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (hand, asked) = mpsc::channel(64);
        let app = Router::new().fallback(hand_over).with_state(hand);
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, asked: Mutex::new(asked), _task: task }
    }

    /// Waits for the next request.
    #[expect(clippy::await_holding_invalid_type, reason = "one test asks at a time")]
    pub(crate) async fn next(&self) -> Asked {
        let mut asked = self.asked.lock().await;
        soon(asked.recv()).await.unwrap()
    }

    /// Whether a request has come that nobody has taken.
    pub(crate) fn is_idle(&self) -> bool {
        self.asked.try_lock().unwrap().is_empty()
    }
}

/// Hands a request to the test, and waits for what that says.
async fn hand_over(
    State(hand): State<mpsc::Sender<Asked>>,
    request: Request,
) -> Result<Response, Infallible> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let (reply, answer) = oneshot::channel();
    let (method, headers) = (parts.method, parts.headers);
    hand.send(Asked { method, path, headers, body, reply })
        .await
        .unwrap_or_else(|_| panic!("over"));
    // A test that drops a request is done with it.
    Ok(answer.await.unwrap_or_else(|_| StatusCode::IM_A_TEAPOT.into_response()))
}

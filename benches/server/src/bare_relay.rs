//! The limit: a server on what `session-server` stands on, axum and reqwest, which passes each chat on and its answer back.
//! No session, no turn, no record, no limit, no metric, and nobody is asked for anything.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use reqwest::{Client, Url};
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Clone)]
struct Upstream {
    client: Client,
    chats: Url,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|it| it == name);
        at.and_then(|at| arguments.get(at + 1)).unwrap_or_else(|| panic!("{name} is missing"))
    };
    let chats = format!("{}/v1/chat/completions", after("--upstream")).parse().expect("a URL");
    let client = Client::builder().tcp_nodelay(true).build().expect("a client");
    let address = format!("127.0.0.1:{}", after("--port"));
    let routes = Router::new()
        .route("/sessions", post(create))
        .route("/sessions/{id}/v1/chat/completions", post(chat))
        .with_state(Upstream { client, chats });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let listener = listener.tap_io(|connection| {
            connection.set_nodelay(true).expect("a socket");
        });
        axum::serve(listener, routes).await.expect("it serves");
    });
}

async fn create() -> Response {
    ([(CONTENT_TYPE, JSON)], "{\"session_id\":\"00112233445566778899aabbccddeeff\"}")
        .into_response()
}

async fn chat(State(to): State<Upstream>, Path(id): Path<String>, body: Bytes) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, JSON);
    let key = HeaderValue::try_from(id).expect("an id");
    headers.insert(HeaderName::from_static("x-smg-routing-key"), key);
    let answered = to.client.post(to.chats).headers(headers).body(body).send().await;
    let read = match answered {
        Ok(answered) => answered.bytes().await,
        Err(error) => Err(error),
    };
    match read {
        Ok(answer) => ([(CONTENT_TYPE, JSON)], answer).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

//! A server that gives scripted answers, byte for byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// One answer.
pub(crate) struct Answer {
    /// The pieces in which it is written.
    pieces: Vec<Vec<u8>>,
    /// Whether the connection is cut before the answer says that it is over.
    broken: bool,
}

impl Answer {
    /// A stream of events, in pieces of `cut` bytes.
    pub(crate) fn stream(body: &str, cut: usize) -> Self {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
            transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
        let chunk = |bytes: &[u8]| {
            let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
            chunk.extend_from_slice(bytes);
            chunk.extend_from_slice(b"\r\n");
            chunk
        };
        let mut pieces = vec![head.as_bytes().to_vec()];
        pieces.extend(body.as_bytes().chunks(cut).map(chunk));
        Self { pieces, broken: false }
    }

    /// Something else.
    pub(crate) fn plain(status: &str, body: &str) -> Self {
        let length = body.len();
        let whole = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        );
        Self { pieces: vec![whole.into_bytes()], broken: true }
    }

    /// The same, but the connection breaks in the middle.
    pub(crate) fn broken(mut self) -> Self {
        self.broken = true;
        self
    }
}

/// A server on this machine. It ends when dropped.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) url: String,
    /// The requests so far.
    asked: Arc<Mutex<Vec<String>>>,
    /// Its task.
    _task: JoinSet<()>,
}

impl Server {
    /// Gives each request the next of `answers`.
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let mut task = JoinSet::new();
        let requests = asked.clone();
        task.spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = request(&mut stream).await;
                requests.lock().unwrap().push(request);
                for piece in answer.pieces {
                    stream.write_all(&piece).await.unwrap();
                    stream.flush().await.unwrap();
                    tokio::task::yield_now().await;
                }
                if !answer.broken {
                    stream.write_all(b"0\r\n\r\n").await.unwrap();
                }
            }
        });
        Self { url, asked, _task: task }
    }

    /// An address where nobody listens.
    pub(crate) async fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Reads one request, with its body.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return text.into_owned();
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
}

//! The upstream: it does what each request says. On bare sockets, since it has to break off where no server would.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::plan::{End, Hold, Plan, chunks, completion};
use crate::rig::spawn;

/// The upstream. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) url: String,
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What waits for those who hold a request.
    gates: Mutex<HashMap<String, Gate>>,
    /// Everything that was said in a chat so far, and what was said twice.
    said: Mutex<(HashSet<String>, Vec<String>)>,
    asked: AtomicU64,
    connections: AtomicU64,
}

#[derive(Debug)]
struct Gate {
    arrived: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

/// A request that does not go on until it is let go.
#[derive(Debug)]
pub(crate) struct Held {
    arrived: Option<oneshot::Receiver<()>>,
    go: Option<oneshot::Sender<()>>,
    text: String,
    shared: Arc<Shared>,
}

impl Held {
    /// Waits until it is held.
    pub(crate) async fn arrived(&mut self) {
        if let Some(arrived) = self.arrived.take() {
            arrived.await.ok();
        }
    }

    /// Lets it go.
    pub(crate) fn let_go(mut self) {
        if let Some(go) = self.go.take() {
            go.send(()).ok();
        }
    }

    /// Waits until the server has dropped the call.
    pub(crate) async fn dropped(mut self) {
        if let Some(mut go) = self.go.take() {
            go.closed().await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.gates.lock().unwrap().remove(&self.text);
    }
}

impl Scripted {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let (mut task, serving) = (JoinSet::new(), shared.clone());
        task.spawn(async move {
            loop {
                let Ok((connection, _)) = listener.accept().await else { continue };
                let shared = serving.clone();
                drop(spawn(async move {
                    shared.connections.fetch_add(1, Ordering::Relaxed);
                    // Whoever leaves in the middle is done with it.
                    serve(connection, &shared).await.ok();
                    shared.connections.fetch_sub(1, Ordering::Relaxed);
                }));
            }
        });
        Self { url, shared, _task: task }
    }

    /// Holds the request that says `text`, once it comes.
    pub(crate) fn hold(&self, text: &str) -> Held {
        let (arrived, news) = oneshot::channel();
        let (starter, go) = oneshot::channel();
        let gate = Gate { arrived, go };
        self.shared.gates.lock().unwrap().insert(text.to_owned(), gate);
        let (arrived, go) = (Some(news), Some(starter));
        Held { arrived, go, text: text.to_owned(), shared: self.shared.clone() }
    }

    /// How often it was asked for anything.
    pub(crate) fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// How many connections to it are open.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// What it was asked twice.
    pub(crate) fn asked_twice(&self) -> Vec<String> {
        self.shared.said.lock().unwrap().1.clone()
    }
}

/// Serves one connection.
async fn serve(mut connection: TcpStream, shared: &Shared) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let (read, mut write) = connection.split();
    let mut read = BufReader::new(read);
    while let Some(body) = request(&mut read).await? {
        shared.asked.fetch_add(1, Ordering::Relaxed);
        let body: Option<Value> = serde_json::from_slice(&body).ok();
        let answered = async {
            match body.filter(|body| body["plan"].is_object()) {
                Some(body) => chat(&body, &mut write, shared).await,
                None => plain(&mut write, "200 OK", "passed on").await,
            }
        };
        // Nothing is sent while an answer is awaited: what can be read is the end.
        let goes_on = tokio::select! {
            answered = answered => answered?,
            _ = read.fill_buf() => false,
        };
        if !goes_on {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads a request; answers its body.
async fn request(
    read: &mut BufReader<impl tokio::io::AsyncRead + Unpin>,
) -> io::Result<Option<Vec<u8>>> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if read.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            let mut body = vec![0; length];
            read.read_exact(&mut body).await?;
            return Ok(Some(body));
        }
        if let Some(said) = line.strip_prefix("content-length: ") {
            length = said.trim().parse().map_err(io::Error::other)?;
        }
    }
}

type Write<'a> = tokio::net::tcp::WriteHalf<'a>;

/// Does what a chat says; answers whether the connection goes on.
async fn chat(body: &Value, write: &mut Write<'_>, shared: &Shared) -> io::Result<bool> {
    let text = body["messages"][0]["content"].as_str().unwrap_or_default();
    let plan: Plan = serde_json::from_value(body["plan"].clone())?;
    {
        let (once, twice) = &mut *shared.said.lock().unwrap();
        if !once.insert(text.to_owned()) {
            twice.push(text.to_owned());
        }
    }
    pause(plan.wait).await;
    if plan.hold == Hold::Head {
        held(text, shared).await;
    }
    match plan.end {
        End::Refuse => Ok(false),
        End::Status(status) => plain(write, &format!("{status} Scripted"), "{\"odd\": 1}").await,
        _ if body["stream"] == true => stream(text, plan, write, shared).await,
        End::Error => plain(write, "418 Scripted", "{\"odd\": 1}").await,
        End::Strange => plain(write, "200 OK", "{\"choices\":[]}").await,
        End::Whole => plain(write, "200 OK", &completion(text).to_string()).await,
        End::Cut | End::Half => {
            let whole = completion(text).to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", whole.len());
            write.write_all(head.as_bytes()).await?;
            write.write_all(&whole.as_bytes()[..whole.len() / 2]).await?;
            Ok(false)
        }
    }
}

/// Waits until somebody lets the request go.
async fn held(text: &str, shared: &Shared) {
    let gate = shared.gates.lock().unwrap().remove(text);
    if let Some(Gate { arrived, go }) = gate {
        arrived.send(()).ok();
        go.await.ok();
    }
}

async fn pause(milliseconds: u64) {
    if milliseconds > 0 {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}

/// An answer in one piece.
async fn plain(write: &mut Write<'_>, status: &str, body: &str) -> io::Result<bool> {
    let head = format!(
        "HTTP/1.1 {status}\r\nserver: scripted\r\nx-scripted: 1\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    write.write_all(head.as_bytes()).await?;
    Ok(true)
}

/// An answer in pieces.
async fn stream(
    text: &str,
    plan: Plan,
    write: &mut Write<'_>,
    shared: &Shared,
) -> io::Result<bool> {
    let head = "HTTP/1.1 200 OK\r\nserver: scripted\r\nx-scripted: 1\r\n\
        content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    write.write_all(head.as_bytes()).await?;
    for (at, chunk) in chunks(text).into_iter().enumerate() {
        if at == plan.before() {
            if plan.hold == Hold::Middle {
                held(text, shared).await;
            }
            match plan.end {
                End::Cut => return Ok(false),
                End::Half => break,
                End::Error => {
                    event(write, "{\"error\":{\"message\":\"scripted\"}}", 0).await?;
                    break;
                }
                End::Strange => {
                    event(write, "{\"choices\":[3]}", 0).await?;
                    break;
                }
                End::Whole | End::Status(_) | End::Refuse => {}
            }
        }
        // Where the bytes are cut means nothing.
        event(write, &chunk, at * 7 % chunk.len()).await?;
        pause(plan.pause).await;
    }
    if plan.end == End::Whole {
        event(write, "[DONE]", 0).await?;
    }
    write.write_all(b"0\r\n\r\n").await?;
    Ok(true)
}

/// An event of a stream, in two chunks if `cut` is not 0.
async fn event(write: &mut Write<'_>, data: &str, cut: usize) -> io::Result<()> {
    let event = format!("data: {data}\n\n");
    let (left, right) = event.split_at(cut);
    for part in [left, right].into_iter().filter(|part| !part.is_empty()) {
        let chunk = format!("{:x}\r\n{part}\r\n", part.len());
        write.write_all(chunk.as_bytes()).await?;
    }
    Ok(())
}

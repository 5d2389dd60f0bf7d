//! The program, its upstream, and a client.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::upstream::{Upstream, soon};

/// How long a client keeps a connection that it does not use.
const KEPT: Duration = Duration::from_secs(1);

/// What a program has said.
#[derive(Default)]
struct Heard {
    lines: Mutex<Vec<String>>,
    more: Notify,
}

/// The program, as it runs.
pub(crate) struct Program {
    child: Child,
    heard: Arc<Heard>,
    /// Where it listens.
    pub(crate) url: String,
}

/// Starts the program without waiting for anything.
pub(crate) fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-server"));
    command.args(flags).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    command
}

impl Program {
    /// Starts it, and waits until it listens.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let mut child = command(&[&["--port", "0"], flags].concat()).spawn().unwrap();
        let heard = Arc::<Heard>::default();
        listen(child.stdout.take().unwrap(), heard.clone());
        listen(child.stderr.take().unwrap(), heard.clone());
        let mut program = Self { child, heard, url: String::new() };
        let line = program.heard("listening on http").await;
        let url = line.split_once("listening on ").unwrap().1.split(',').next().unwrap();
        url.clone_into(&mut program.url);
        program
    }

    /// Waits for a line that has `text` in it.
    pub(crate) async fn heard(&self, text: &str) -> String {
        let find = || self.said().into_iter().find(|it| it.contains(text));
        soon(async {
            loop {
                let more = self.heard.more.notified();
                let mut more = std::pin::pin!(more);
                more.as_mut().enable();
                if let Some(line) = find() {
                    return line;
                }
                more.await;
            }
        })
        .await
    }

    /// Everything that it has said so far.
    pub(crate) fn said(&self) -> Vec<String> {
        self.heard.lines.lock().unwrap().clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        soon(self.child.wait()).await.unwrap()
    }

    /// Kills it.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Hears what is said.
fn listen(from: impl AsyncRead + Unpin + Send + 'static, heard: Arc<Heard>) {
    drop(spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            heard.lines.lock().unwrap().push(line);
            heard.more.notify_waiters();
        }
    }));
}

/// Starts a task of the test.
#[expect(clippy::disallowed_methods, reason = "a test's own task")]
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future)
}

/// The program in front of an upstream, with a client.
pub(crate) struct Rig {
    pub(crate) program: Program,
    pub(crate) upstream: Upstream,
    pub(crate) http: Client,
    folder: TempDir,
    flags: Vec<String>,
}

impl Rig {
    /// With a file as its store.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let (upstream, folder) = (Upstream::start().await, tempfile::tempdir().unwrap());
        let store = format!("sqlite:{}", folder.path().join("sessions.db").display());
        let own = ["--upstream", &upstream.url, "--store", &store];
        let flags: Vec<_> = own.iter().chain(flags).map(|&flag| flag.to_owned()).collect();
        let program = Program::start(&refs(&flags)).await;
        Self { program, upstream, http: client(), folder, flags }
    }

    /// Its flags, once more.
    pub(crate) fn flags(&self) -> Vec<&str> {
        refs(&self.flags)
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Starts the program again, over the same file.
    pub(crate) async fn restart(&mut self) {
        self.program = Program::start(&refs(&self.flags)).await;
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.program.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        soon(self.ask(Method::GET, path).send()).await.unwrap()
    }

    /// What is at a path, which has to be there.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Response {
        soon(self.ask(Method::POST, path).json(&body).send()).await.unwrap()
    }

    pub(crate) async fn delete(&self, id: &str) -> StatusCode {
        let path = format!("/sessions/{id}");
        soon(self.ask(Method::DELETE, &path).send()).await.unwrap().status()
    }

    /// What is answered to a request that is sent as it stands, and goes on to be sent for as long as it takes.
    pub(crate) async fn raw(&self, method: &str, path: &str, headers: &str) -> String {
        let address = self.program.url.strip_prefix("http://").unwrap();
        let mut raw = TcpStream::connect(address).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n");
        raw.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let read = soon(raw.read(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    /// Creates a session.
    pub(crate) async fn create(&self) -> String {
        let created: Value = self.post("/sessions", json!({})).await.json().await.unwrap();
        created["session_id"].as_str().unwrap().to_owned()
    }

    /// Begins to chat.
    pub(crate) fn chat(&self, id: &str, body: &Value) -> JoinHandle<Response> {
        let request = self.ask(Method::POST, &format!("/sessions/{id}/v1/chat/completions"));
        let request = request.json(body);
        spawn(async move { soon(request.send()).await.unwrap() })
    }

    /// A whole chat.
    pub(crate) async fn say(&self, id: &str, said: &str, answer: &str) -> Response {
        let chat = self.chat(id, &request(said));
        self.upstream.next().await.say(answer);
        chat.await.unwrap()
    }

    /// The records of a session.
    pub(crate) async fn records(&self, id: &str) -> Vec<Value> {
        let session = self.json(&format!("/sessions/{id}")).await;
        session["records"].as_array().unwrap().clone()
    }

    /// What was said in the committed turns of a session, and answered.
    pub(crate) async fn said(&self, id: &str) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let said = |record: &Value| {
            let asked = text(&record["request"]["messages"][0]["content"]);
            (asked, text(&record["response"]["choices"][0]["message"]["content"]))
        };
        self.records(id).await.iter().map(said).collect()
    }

    /// Asks for the status until it is so.
    pub(crate) async fn until(&self, id: &str, so: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/sessions/{id}/status");
        soon(async {
            loop {
                let status = self.json(&path).await;
                if so(&status) {
                    return status;
                }
            }
        })
        .await
    }
}

/// As arguments.
fn refs(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

/// A client with connections of its own.
pub(crate) fn client() -> Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().no_proxy().pool_idle_timeout(KEPT).build().unwrap()
}

/// A request that says `text`.
pub(crate) fn request(text: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": text}], "top_k": 4})
}

/// The same, for a stream.
pub(crate) fn streamed(text: &str) -> Value {
    let mut request = request(text);
    request["stream"] = json!(true);
    request
}

/// What became of the record, as the answer says.
pub(crate) fn commit(response: &Response) -> &str {
    response.headers().get("x-session-commit").map_or("", |value| value.to_str().unwrap())
}

/// The text of an error, whose form is checked.
pub(crate) async fn error(response: Response) -> String {
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["error"].as_str().unwrap().to_owned()
}

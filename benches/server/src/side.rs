//! Who is measured: the upstream itself, and servers in front of it.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::wire::Wire;

/// One side of the comparison.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    address: String,
    /// Its process; none of the upstream, which is a thread here.
    process: Option<Child>,
    /// What a connection asks, by its session.
    asked: Vec<Vec<u8>>,
}

/// How many sessions there are; connections take turns with them.
pub(crate) const SESSIONS: usize = 64;

impl Side {
    /// The upstream, asked directly.
    pub(crate) fn direct(upstream: &str) -> Self {
        let address = upstream.trim_start_matches("http://").to_owned();
        let asked = vec![chat(&address, "/v1/chat/completions")];
        Self { name: "direct", address, process: None, asked }
    }

    /// The server, as it is built, with defaults.
    pub(crate) async fn ours(
        name: &'static str,
        program: &Path,
        upstream: &str,
        store: &str,
    ) -> io::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string(), "--upstream", upstream, "--store", store]);
        Self::start(name, command, port).await
    }

    /// A server in Python.
    pub(crate) async fn python(
        name: &'static str,
        python: &Path,
        script: &str,
        upstream: &str,
    ) -> io::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script));
        command.args(["--port", &port.to_string(), "--upstream", upstream]);
        Self::start(name, command, port).await
    }

    async fn start(name: &'static str, mut command: Command, port: u16) -> io::Result<Self> {
        command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let process = Some(command.spawn()?);
        let address = format!("127.0.0.1:{port}");
        let mut side = Self { name, address, process, asked: Vec::new() };
        let mut wire = side.until_it_listens().await?;
        for _ in 0..SESSIONS {
            let (head, body) = side.ask(&mut wire, "POST", "/sessions").await?;
            let body = String::from_utf8_lossy(&body).into_owned();
            let id = body.split("\"session_id\":").nth(1).and_then(|rest| rest.split('"').nth(1));
            let id = id.ok_or_else(|| io::Error::other(format!("{name}: {head}{body}")))?;
            side.asked.push(chat(&side.address, &format!("/sessions/{id}/v1/chat/completions")));
        }
        Ok(side)
    }

    async fn until_it_listens(&mut self) -> io::Result<Wire> {
        for _ in 0..600 {
            if let Ok(wire) = self.connect().await {
                return Ok(wire);
            }
            if let Some(ended) = self.process.as_mut().and_then(|it| it.try_wait().transpose()) {
                return Err(io::Error::other(format!("{}: it ended with {}", self.name, ended?)));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(io::Error::other(format!("{}: it does not listen", self.name)))
    }

    pub(crate) async fn connect(&self) -> io::Result<Wire> {
        Wire::new(TcpStream::connect(&self.address).await?)
    }

    /// What is sent in the turn `turn` of the connection `connection`. No two connections are in one session.
    pub(crate) fn chat(&self, connection: usize, connections: usize, turn: usize) -> &[u8] {
        let own = (self.asked.len() / connections).max(1);
        &self.asked[(connection * own + turn % own) % self.asked.len()]
    }

    async fn ask(
        &self,
        wire: &mut Wire,
        method: &str,
        path: &str,
    ) -> io::Result<(String, Vec<u8>)> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\n\r\n",
            self.address
        );
        wire.send(head.as_bytes()).await?;
        wire.receive().await?.ok_or_else(|| io::Error::other("closed"))
    }

    /// How many turns are recorded, in all sessions.
    pub(crate) async fn recorded(&self) -> io::Result<usize> {
        let mut wire = self.connect().await?;
        let mut recorded = 0;
        for asked in &self.asked {
            let asked = String::from_utf8_lossy(asked);
            let path = asked.split(' ').nth(1).unwrap_or_default();
            let session = path.trim_end_matches("/v1/chat/completions");
            let (_, body) = self.ask(&mut wire, "GET", session).await?;
            let name = b"\"request_timestamp\"";
            recorded += body.windows(name.len()).filter(|it| it == name).count();
        }
        Ok(recorded)
    }

    /// The processor time that its process has taken, in clock ticks; 0 of the upstream.
    pub(crate) fn ticks(&self) -> u64 {
        let Some(pid) = self.process.as_ref().and_then(Child::id) else { return 0 };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        fields.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum()
    }
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A chat, as it is sent.
fn chat(host: &str, path: &str) -> Vec<u8> {
    let body = "{\"model\":\"m\",\"temperature\":0.7,\"messages\":[{\"role\":\"system\",\"content\":\"You are brief.\"},\
        {\"role\":\"user\",\"content\":\"What is a session, and who keeps it while nobody looks?\"},\
        {\"role\":\"assistant\",\"content\":\"A conversation that goes on; its supervisor does.\"},\
        {\"role\":\"user\",\"content\":\"And what does that cost?\"}]}";
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\naccept: */*\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

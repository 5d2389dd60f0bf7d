//! The program, as a script sees it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// When a test that waits is given up. No test needs nearly as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running chat. Killed when dropped.
pub(crate) struct Chat {
    /// The process.
    child: Child,
    /// What is typed.
    input: ChildStdin,
    /// What is printed.
    output: ChildStdout,
    /// What was read of it.
    read: Vec<u8>,
    /// How much of that a test has waited for.
    seen: usize,
}

impl Chat {
    /// Starts the program on `store`.
    pub(crate) fn start(store: &Path, flags: &[&str]) -> Self {
        let mut child = Command::new(program())
            .arg("--store")
            .arg(store)
            .args(flags)
            .env("OPENAI_API_KEY", "test-key")
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output, read: Vec::new(), seen: 0 }
    }

    /// Types.
    pub(crate) async fn say(&mut self, lines: &str) {
        self.input.write_all(lines.as_bytes()).await.unwrap();
        self.input.flush().await.unwrap();
    }

    /// Waits until `text` is printed, after what was waited for before.
    pub(crate) async fn until(&mut self, text: &str) {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let unseen = &self.read[self.seen..];
                let found = unseen.windows(text.len()).position(|part| part == text.as_bytes());
                if let Some(at) = found {
                    self.seen += at + text.len();
                    return true;
                }
                if self.output.read_buf(&mut self.read).await.unwrap() == 0 {
                    return false;
                }
            }
        });
        let found = waited.await.unwrap_or(false);
        assert!(found, "{text:?} was not printed: {}", String::from_utf8_lossy(&self.read));
    }

    /// Ends the input; waits for the end of the program. Everything that it printed, and its status.
    pub(crate) async fn finish(self) -> (String, Option<i32>) {
        let (output, status, errors) = self.finish_with_errors().await;
        assert_eq!(errors, "");
        (output, status)
    }

    /// As [`finish`](Self::finish), with what it printed as errors.
    pub(crate) async fn finish_with_errors(mut self) -> (String, Option<i32>, String) {
        self.input.shutdown().await.ok();
        drop(self.input);
        let mut errors = String::new();
        let ended = tokio::time::timeout(PATIENCE, async {
            self.output.read_to_end(&mut self.read).await.unwrap();
            self.child.stderr.take().unwrap().read_to_string(&mut errors).await.unwrap();
            self.child.wait().await.unwrap()
        });
        let status = ended.await.expect("the program ends with its input").code();
        (String::from_utf8_lossy(&self.read).into_owned(), status, errors)
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// `kill -NAME`.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let status = std::process::Command::new("kill").args([&format!("-{name}"), &*id]).status();
        assert!(status.unwrap().success());
    }
}

/// The built example: `cargo test` builds it beside the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join("examples").join(format!("chat_loop{}", std::env::consts::EXE_SUFFIX))
}

//! A Python asyncio dictionary with locks, in a process of its own, which takes its times itself.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::measure::Sample;

/// What it is called.
pub(crate) const NAME: &str = "asyncio";

/// What it runs.
const PROGRAM: &str = include_str!("../../python/rival.py");

/// The process. It ends when its input does.
pub(crate) struct Python {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// What it answers.
#[derive(Deserialize)]
struct Answer {
    cpu: f64,
    wall: f64,
    done: u64,
}

impl Python {
    /// Starts it, or says on standard error why that is not possible.
    pub(crate) fn start() -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped());
        match command.spawn() {
            Ok(mut child) => {
                let input = child.stdin.take();
                let output = BufReader::new(child.stdout.take().expect("it is piped"));
                Some(Self { child, input, output })
            }
            Err(error) => {
                eprintln!("without asyncio: python3 does not start: {error}");
                None
            }
        }
    }

    /// Has so many sessions there.
    pub(crate) fn fill(&mut self, sessions: usize) {
        let done = self.ask("fill", json!({"sessions": sessions})).done;
        assert_eq!(done, sessions as u64);
    }

    /// Has it do `work` with `arguments`.
    pub(crate) fn work(&mut self, work: &str, arguments: Value) -> Sample {
        let answer = self.ask(work, arguments);
        Sample { wall: answer.wall, cpu: answer.cpu }
    }

    fn ask(&mut self, work: &str, mut request: Value) -> Answer {
        request["work"] = work.into();
        let input = self.input.as_mut().expect("it is open until the end");
        writeln!(input, "{request}").expect("it listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).expect("it answers with a line of JSON")
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.input.take());
        if let Err(error) = self.child.wait() {
            eprintln!("asyncio: {error}");
        }
    }
}

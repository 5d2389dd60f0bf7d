//! Where typed things come from: keys of a terminal, or the lines of a pipe.

use std::io::{self, BufRead as _};

use crossterm::event::{self, Event};
use tokio::sync::mpsc;

/// How many typed things may wait; whoever types more has to wait. A person never does.
const MAX_WAITING: usize = 64;

/// Something that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A key, a paste, or a new size of the terminal.
    Event(Event),
    /// A line of a pipe.
    Line(String),
    /// Nothing more comes.
    End,
}

/// Starts to read, on a thread that may block for ever.
pub(crate) fn start(terminal: bool) -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    drop(tokio::task::spawn_blocking(move || {
        let next = || if terminal { key() } else { line() };
        loop {
            let input = next().unwrap_or(Input::End);
            let over = input == Input::End;
            if sender.blocking_send(input).is_err() || over {
                break;
            }
        }
    }));
    receiver
}

/// The next thing that happens at the terminal.
fn key() -> io::Result<Input> {
    event::read().map(Input::Event)
}

/// The next line of the pipe.
fn line() -> io::Result<Input> {
    let mut line = Vec::new();
    let read = io::stdin().lock().read_until(b'\n', &mut line)?;
    Ok(if read == 0 {
        Input::End
    } else {
        Input::Line(String::from_utf8_lossy(&line).into_owned())
    })
}

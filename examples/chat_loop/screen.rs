//! What the user sees, with a terminal or without one.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use crossterm::event::Event;

use crate::editor::Edited;
use crate::plain::Plain;
use crate::terminal::{Style, Terminal};

/// What the user sees.
#[derive(Debug)]
pub(crate) enum Screen {
    /// A person at a terminal.
    Terminal(Terminal),
    /// A script.
    Plain(Plain),
}

impl Screen {
    /// For a terminal if both ends are one.
    pub(crate) fn new(history: Option<PathBuf>) -> io::Result<Self> {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            Terminal::new(history).map(Self::Terminal)
        } else {
            Ok(Self::Plain(Plain::default()))
        }
    }

    /// Whether a person sits there.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Terminal(terminal) => terminal.is_gone(),
            Self::Plain(plain) => plain.is_gone(),
        }
    }

    /// Says something about the chat.
    pub(crate) fn note(&mut self, text: &str) {
        match self {
            Self::Terminal(terminal) => terminal.print(text, Style::Note),
            Self::Plain(plain) => plain.print(text, "* "),
        }
    }

    /// Says something that should not be missed.
    pub(crate) fn warn(&mut self, text: &str) {
        match self {
            Self::Terminal(terminal) => terminal.print(text, Style::Warning),
            Self::Plain(plain) => plain.print(text, "* "),
        }
    }

    /// Prints what a command was asked for.
    pub(crate) fn block(&mut self, text: &str) {
        match self {
            Self::Terminal(terminal) => terminal.print(text, Style::Block),
            Self::Plain(plain) => plain.print(text, ""),
        }
    }

    /// Repeats what the user said, so that a reply can be seen under it. A script knows.
    pub(crate) fn said(&mut self, text: &str) {
        if let Self::Terminal(terminal) = self {
            terminal.print(text, Style::Said);
        }
    }

    /// As [`said`](Self::said), for what has to wait.
    pub(crate) fn waits(&mut self, text: &str) {
        if let Self::Terminal(terminal) = self {
            terminal.print(&format!("{text}  (waits)"), Style::Waits);
        }
    }

    /// A reply begins, to what had to wait: repeats what was said.
    pub(crate) fn begin_reply(&mut self, text: &str) {
        if let Self::Terminal(terminal) = self {
            terminal.begin_reply(text);
        }
    }

    /// Prints a piece of a reply.
    pub(crate) fn reply(&mut self, piece: &str) {
        match self {
            Self::Terminal(terminal) => terminal.reply(piece),
            Self::Plain(plain) => plain.reply(piece),
        }
    }

    /// The reply is complete.
    pub(crate) fn end_reply(&mut self) {
        match self {
            Self::Terminal(terminal) => terminal.end_reply(),
            Self::Plain(plain) => plain.end_reply(),
        }
    }

    /// Shows whether a reply is being produced.
    pub(crate) fn busy(&mut self, busy: bool) {
        if let Self::Terminal(terminal) = self {
            terminal.busy(busy);
        }
    }

    /// Throws away what has been typed; whether there was anything.
    pub(crate) fn clear_line(&mut self) -> bool {
        match self {
            Self::Terminal(terminal) => terminal.clear_line(),
            Self::Plain(_) => false,
        }
    }

    /// Takes a key.
    pub(crate) fn event(&mut self, event: Event) -> Option<Edited> {
        match self {
            Self::Terminal(terminal) => terminal.event(event),
            Self::Plain(_) => None,
        }
    }
}

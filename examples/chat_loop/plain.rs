//! What is printed where there is no terminal: lines, without colours, for scripts.
//!
//! Lines of the bot start with `bot: `, those of this program with `* `; what a command prints is
//! printed as it is.

use std::io::{self, Write as _};

use crate::words::harmless;

/// Prints plain lines.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    /// Whether a line of a reply has begun and not ended.
    open: bool,
    /// Whether nobody reads any more.
    gone: bool,
}

impl Plain {
    /// Whether nobody reads any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Prints lines of its own.
    pub(crate) fn print(&mut self, lines: &str, prefix: &str) {
        self.end_reply();
        for line in lines.lines() {
            self.put(&format!("{prefix}{line}\n"));
        }
    }

    /// Prints a piece of a reply.
    pub(crate) fn reply(&mut self, piece: &str) {
        let mut text = String::new();
        for (number, part) in harmless(piece).split('\n').enumerate() {
            if number > 0 {
                // An empty line has its prefix too.
                text.push_str(if self.open { "\n" } else { "bot: \n" });
                self.open = false;
            }
            if !part.is_empty() {
                text.push_str(if self.open { "" } else { "bot: " });
                text.push_str(part);
                self.open = true;
            }
        }
        self.put(&text);
    }

    /// Ends the line that a reply has begun.
    pub(crate) fn end_reply(&mut self) {
        if std::mem::take(&mut self.open) {
            self.put("\n");
        }
    }

    /// Prints at once.
    fn put(&mut self, text: &str) {
        let mut out = io::stdout().lock();
        self.gone |= out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err();
    }
}

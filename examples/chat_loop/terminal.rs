//! The terminal: what was said above, the row of the reply that grows, and the line being typed.
//!
//! One owner draws everything, in one write each time, so nothing garbles the line being typed. The
//! cursor is always on the last row. Above it is the row of the reply that is still growing, if
//! there is one; it is drawn anew with each word. Everything further up is never touched again.

use std::io::{self, Write as _};
use std::path::PathBuf;

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, Event};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::editor::{Edited, Editor};
use crate::words::harmless;

/// In front of the line being typed, and of what was said. Two columns.
const PROMPT: &str = "› ";

/// The same while a reply is being produced.
const BUSY_PROMPT: &str = "… ";

/// In front of replies, so that they stand under what was said.
const INDENT: &str = "  ";

/// The narrowest terminal that is reckoned with, in columns.
const MIN_COLUMNS: usize = 10;

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// What the user said.
    Said,
    /// What the user said and has to wait.
    Waits,
    /// A word about the chat.
    Note,
    /// A word that should not be missed.
    Warning,
    /// What a command was asked for.
    Block,
    /// A reply.
    Reply,
}

impl Style {
    /// How the terminal is told.
    const fn code(self) -> &'static str {
        match self {
            Self::Said => "\x1b[1m",
            Self::Waits | Self::Note => "\x1b[2m",
            Self::Warning => "\x1b[33m",
            Self::Block => "",
            Self::Reply => "\x1b[36m",
        }
    }

    /// What is in front of the first row.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Said | Self::Waits => PROMPT,
            Self::Note | Self::Warning => "* ",
            Self::Block | Self::Reply => INDENT,
        }
    }
}

/// The terminal. Dropping it leaves it as it was found.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// The line being typed.
    editor: Editor,
    /// How wide it is.
    columns: usize,
    /// The row of the reply that is still growing, without its indent.
    growing: Option<String>,
    /// In which column the cursor is.
    cursor: usize,
    /// What the user said, if that was printed last.
    said: Option<String>,
    /// Whether a reply is being produced.
    busy: bool,
    /// Whether to use colours.
    colours: bool,
    /// Whether nobody reads any more.
    gone: bool,
}

impl Terminal {
    /// Takes the terminal over.
    pub(crate) fn new(history: Option<PathBuf>) -> io::Result<Self> {
        enable_raw_mode()?;
        let mut terminal = Self {
            editor: Editor::new(history),
            columns: columns().unwrap_or(80),
            growing: None,
            cursor: 0,
            said: None,
            busy: false,
            colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            gone: false,
        };
        crossterm::execute!(io::stdout(), EnableBracketedPaste)?;
        terminal.draw(0, Vec::new());
        Ok(terminal)
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Prints something above the line being typed.
    pub(crate) fn print(&mut self, text: &str, style: Style) {
        self.adapt();
        let (prefix, text) = (style.prefix(), harmless(text));
        let mut rows = Vec::new();
        for line in text.lines() {
            let (mut wrapped, last) = wrap(line, self.room(prefix));
            wrapped.push(last);
            for row in wrapped {
                let first = rows.is_empty();
                let space = " ".repeat(prefix.width());
                rows.push(self.styled(style, if first { prefix } else { &space }, &row));
            }
        }
        self.draw(self.rows_above(), rows);
        self.said = (style == Style::Said).then_some(text);
    }

    /// A reply begins: what it is a reply to is printed, unless it just was.
    pub(crate) fn begin_reply(&mut self, text: &str) {
        if self.said.as_deref() != Some(&*harmless(text)) {
            self.print(text, Style::Said);
        }
    }

    /// Prints a piece of a reply.
    pub(crate) fn reply(&mut self, piece: &str) {
        self.adapt();
        self.said = None;
        let above = self.rows_above();
        let mut rows = Vec::new();
        let mut text = self.growing.take().unwrap_or_default();
        text.push_str(&harmless(piece));
        let mut lines = text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let (wrapped, last) = wrap(line, self.room(INDENT));
            rows.extend(wrapped);
            if lines.peek().is_some() {
                rows.push(last);
            } else {
                self.growing = Some(last);
            }
        }
        let rows = rows.iter().map(|row| self.styled(Style::Reply, INDENT, row)).collect();
        self.draw(above, rows);
    }

    /// The reply is complete: its row grows no more.
    pub(crate) fn end_reply(&mut self) {
        let above = self.rows_above();
        let Some(last) = self.growing.take() else { return };
        let last = last.trim_end();
        let rows = (!last.is_empty()).then(|| self.styled(Style::Reply, INDENT, last));
        self.draw(above, rows.into_iter().collect());
    }

    /// Shows whether a reply is being produced.
    pub(crate) fn busy(&mut self, busy: bool) {
        if self.busy != busy {
            self.busy = busy;
            self.draw(self.rows_above(), Vec::new());
        }
    }

    /// Throws away what has been typed; whether there was anything.
    pub(crate) fn clear_line(&mut self) -> bool {
        let typed = self.editor.clear();
        self.draw(self.rows_above(), Vec::new());
        typed
    }

    /// Takes a key, a paste or a new size.
    pub(crate) fn event(&mut self, event: Event) -> Option<Edited> {
        let edited = match event {
            Event::Key(key) => self.editor.key(key),
            Event::Paste(text) => {
                self.editor.paste(&text);
                Edited::Typed
            }
            Event::Resize(..) => {
                self.adapt();
                return None;
            }
            _ => return None,
        };
        if edited == Edited::Clear {
            self.put("\x1b[2J\x1b[H");
            self.draw(0, Vec::new());
            return Some(Edited::Typed);
        }
        self.draw(self.rows_above(), Vec::new());
        Some(edited)
    }

    /// Finds out how wide the terminal is. Asked before anything is drawn, since the event comes late.
    fn adapt(&mut self) {
        match columns() {
            Some(columns) if columns != self.columns => self.resize(columns),
            _ => {}
        }
    }

    /// The terminal has wrapped what no longer fits; draws the growing row and the line anew.
    fn resize(&mut self, columns: usize) {
        let wrapped = |width: usize| width.div_ceil(columns);
        let growing = self.growing.as_ref().map(|row| wrapped(INDENT.width() + row.width()).max(1));
        let above = self.cursor / columns + growing.unwrap_or(0);
        self.columns = columns;
        match self.growing.take() {
            Some(row) => {
                let (rows, last) = wrap(&row, self.room(INDENT));
                self.growing = Some(last);
                let rows = rows.iter().map(|row| self.styled(Style::Reply, INDENT, row)).collect();
                self.draw(above, rows);
            }
            None => self.draw(above, Vec::new()),
        }
    }

    /// How many rows of its own are above the cursor.
    fn rows_above(&self) -> usize {
        usize::from(self.growing.is_some())
    }

    /// How many columns there are after a prefix. The last one is left free: terminals differ in
    /// what they do there.
    fn room(&self, prefix: &str) -> usize {
        self.columns.saturating_sub(prefix.width() + 1)
    }

    /// A row in its style.
    fn styled(&self, style: Style, prefix: &str, row: &str) -> String {
        match style.code() {
            code if self.colours && !code.is_empty() => format!("{code}{prefix}{row}\x1b[0m"),
            _ => format!("{prefix}{row}"),
        }
    }

    /// Goes up over `above` rows, which are drawn anew or were replaced, and draws `rows`, the
    /// growing row and the line being typed. The terminal is asked to show all of it at once.
    fn draw(&mut self, above: usize, rows: Vec<String>) {
        let up = if above > 0 { format!("\x1b[{above}A") } else { String::new() };
        let mut text = format!("\x1b[?2026h\r{up}\x1b[J");
        let growing = self.growing.as_ref().map(|row| self.styled(Style::Reply, INDENT, row));
        for row in rows.into_iter().chain(growing) {
            text.push_str(&row);
            text.push_str("\r\n");
        }
        let (prompt, code) =
            if self.busy { (BUSY_PROMPT, "\x1b[33m") } else { (PROMPT, "\x1b[32m") };
        let (shown, cursor) = window(self.editor.line(), self.room(prompt));
        self.cursor = prompt.width() + cursor;
        let prompt =
            if self.colours { format!("{code}{prompt}\x1b[0m") } else { prompt.to_owned() };
        self.put(&format!("{text}{prompt}{shown}\r\x1b[{}C\x1b[?2026l", self.cursor));
    }

    /// Prints at once.
    fn put(&mut self, text: &str) {
        let mut out = io::stdout().lock();
        self.gone |= out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.put("\r\x1b[J");
        // Nothing can be done about a terminal that is gone.
        drop(crossterm::execute!(io::stdout(), DisableBracketedPaste));
        drop(disable_raw_mode());
    }
}

/// How wide the terminal is now.
fn columns() -> Option<usize> {
    size().ok().map(|(columns, _)| usize::from(columns).max(MIN_COLUMNS))
}

/// Cuts a line at its spaces into rows of at most `columns`; the last row apart.
fn wrap(line: &str, columns: usize) -> (Vec<String>, String) {
    let columns = columns.max(2);
    let (mut rows, mut row, mut width) = (Vec::new(), String::new(), 0);
    for c in line.chars() {
        let wide = c.width().unwrap_or(0);
        if width + wide > columns {
            if c == ' ' {
                rows.push(std::mem::take(&mut row));
                width = 0;
                continue;
            }
            // The word that has begun goes along, unless it fills the row.
            let rest = row.rfind(' ').map(|space| row.split_off(space + 1)).unwrap_or_default();
            row.truncate(row.trim_end().len());
            rows.push(std::mem::replace(&mut row, rest));
            width = row.width();
        }
        row.push(c);
        width += wide;
    }
    (rows, row)
}

/// The part of the line that fits into `columns` with the cursor in it, and the cursor's column.
fn window((text, cursor): (&[char], usize), columns: usize) -> (String, usize) {
    let wide = |c: &char| c.width().unwrap_or(0);
    let before: Vec<_> = text.iter().take(cursor).collect();
    let (mut start, mut column) = (cursor, 0);
    for c in before.into_iter().rev() {
        if column + wide(c) > columns.saturating_sub(1) {
            break;
        }
        column += wide(c);
        start -= 1;
    }
    let mut width = 0;
    let fits = |c: &&char| {
        width += wide(c);
        width <= columns
    };
    (text.iter().skip(start).take_while(fits).collect(), column)
}

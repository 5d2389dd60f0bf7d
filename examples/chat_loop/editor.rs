//! The line that is being typed, and those that were.
//!
//! Why not a ready line editor: they own the terminal while they read and print only whole lines of
//! others above their prompt, so a reply could not be seen word by word. This one only turns keys
//! into a line; [`Terminal`](crate::terminal::Terminal) alone draws.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// How many lines of earlier runs are taken.
const MAX_LINES: usize = 1_000;

/// What a key did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edited {
    /// Nothing, or it changed the line.
    Typed,
    /// The line is complete.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line.
    End,
    /// Ctrl-L.
    Clear,
}

/// The line that is being typed, and those that were.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    /// What has been typed.
    text: Vec<char>,
    /// Where the next character goes.
    cursor: usize,
    /// What was typed before, oldest first.
    lines: Vec<String>,
    /// Which of them is shown; `lines.len()` is the line being typed.
    at: usize,
    /// What had been typed when an older line was asked for.
    draft: Vec<char>,
    /// Where the lines are kept.
    file: Option<PathBuf>,
}

impl Editor {
    /// An empty line, and what `file` has of earlier runs.
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        let kept = file.as_ref().and_then(|file| fs::read(file).ok()).unwrap_or_default();
        let kept = String::from_utf8_lossy(&kept);
        let mut lines: Vec<_> = kept.lines().rev().take(MAX_LINES).map(str::to_owned).collect();
        lines.reverse();
        Self { at: lines.len(), lines, file, ..Self::default() }
    }

    /// What has been typed, and where the cursor is in it.
    pub(crate) fn line(&self) -> (&[char], usize) {
        (&self.text, self.cursor)
    }

    /// Throws away what has been typed; whether there was anything.
    pub(crate) fn clear(&mut self) -> bool {
        let typed = !self.text.is_empty();
        self.show(self.lines.len(), Vec::new());
        typed
    }

    /// Takes what was pasted. It does not end the line, whatever it has in it.
    pub(crate) fn paste(&mut self, text: &str) {
        let pasted = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c });
        let end = self.text.split_off(self.cursor);
        self.text.extend(pasted);
        self.cursor = self.text.len();
        self.text.extend(end);
    }

    /// Takes a key.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Edited {
        if key.kind == KeyEventKind::Release {
            return Edited::Typed;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return self.control(key.code);
        }
        if key.modifiers.contains(KeyModifiers::ALT) {
            self.alternate(key.code);
            return Edited::Typed;
        }
        match key.code {
            KeyCode::Enter => return Edited::Line(self.take()),
            KeyCode::Char(c) => {
                self.text.insert(self.cursor, c);
                self.cursor += 1;
            }
            KeyCode::Backspace if self.cursor > 0 => self.cut(self.cursor - 1, self.cursor),
            KeyCode::Delete => self.cut(self.cursor, self.cursor + 1),
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Up => self.older(),
            KeyCode::Down => self.newer(),
            _ => {}
        }
        Edited::Typed
    }

    /// Takes a key with Ctrl.
    fn control(&mut self, code: KeyCode) -> Edited {
        match code {
            KeyCode::Char('c') => return Edited::Interrupt,
            KeyCode::Char('d') if self.text.is_empty() => return Edited::End,
            KeyCode::Char('d') => self.cut(self.cursor, self.cursor + 1),
            KeyCode::Char('l') => return Edited::Clear,
            KeyCode::Char('a') => self.cursor = 0,
            KeyCode::Char('e') => self.cursor = self.text.len(),
            KeyCode::Char('b') => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Char('f') => self.cursor = (self.cursor + 1).min(self.text.len()),
            KeyCode::Char('h') if self.cursor > 0 => self.cut(self.cursor - 1, self.cursor),
            KeyCode::Char('u') => self.cut(0, self.cursor),
            KeyCode::Char('k') => self.cut(self.cursor, self.text.len()),
            KeyCode::Char('w') | KeyCode::Backspace => self.cut(self.word_before(), self.cursor),
            KeyCode::Char('p') => self.older(),
            KeyCode::Char('n') => self.newer(),
            KeyCode::Left => self.cursor = self.word_before(),
            KeyCode::Right => self.cursor = self.word_after(),
            _ => {}
        }
        Edited::Typed
    }

    /// Takes a key with Alt.
    fn alternate(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char('b') | KeyCode::Left => self.cursor = self.word_before(),
            KeyCode::Char('f') | KeyCode::Right => self.cursor = self.word_after(),
            KeyCode::Char('d') => self.cut(self.cursor, self.word_after()),
            KeyCode::Backspace => self.cut(self.word_before(), self.cursor),
            _ => {}
        }
    }

    /// Removes what is between two places.
    fn cut(&mut self, from: usize, to: usize) {
        let to = to.min(self.text.len());
        if from < to {
            drop(self.text.drain(from..to));
            self.cursor = from;
        }
    }

    /// Where the word before the cursor begins.
    fn word_before(&self) -> usize {
        let before = self.text.iter().take(self.cursor).enumerate().rev();
        let mut word = before.skip_while(|(_, c)| c.is_whitespace());
        word.find(|(_, c)| c.is_whitespace()).map_or(0, |(at, _)| at + 1)
    }

    /// Where the word after the cursor ends.
    fn word_after(&self) -> usize {
        let after = self.text.iter().enumerate().skip(self.cursor);
        let mut word = after.skip_while(|(_, c)| c.is_whitespace());
        word.find(|(_, c)| c.is_whitespace()).map_or(self.text.len(), |(at, _)| at)
    }

    /// Shows the line before the one that is shown.
    fn older(&mut self) {
        let Some(before) = self.at.checked_sub(1) else { return };
        if self.at == self.lines.len() {
            self.draft.clone_from(&self.text);
        }
        let line = self.lines.get(before).map(|line| line.chars().collect());
        self.show(before, line.unwrap_or_default());
    }

    /// Shows the line after the one that is shown.
    fn newer(&mut self) {
        if self.at == self.lines.len() {
            return;
        }
        let line = self.lines.get(self.at + 1).map(|line| line.chars().collect());
        let line = line.unwrap_or_else(|| std::mem::take(&mut self.draft));
        self.show(self.at + 1, line);
    }

    /// Puts `text` into the line, as number `at` of the lines.
    fn show(&mut self, at: usize, text: Vec<char>) {
        (self.at, self.cursor, self.text) = (at, text.len(), text);
    }

    /// Takes the line, and notes it.
    fn take(&mut self) -> String {
        let line: String = self.text.iter().collect();
        if !line.trim().is_empty() && self.lines.last() != Some(&line) {
            // Without a file there is still the list of this run.
            if self.keep(&line).is_err() {
                self.file = None;
            }
            self.lines.push(line.clone());
        }
        self.show(self.lines.len(), Vec::new());
        line
    }

    /// Adds a line to the file; nobody else may read it.
    fn keep(&self, line: &str) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(file)?.write_all(format!("{line}\n").as_bytes())
    }
}

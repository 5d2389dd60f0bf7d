//! Server-sent events: reading the upstream's, writing our own.

use axum::body::Bytes;

/// Cuts bytes into events, at the blank lines between them.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// What was read and is not a whole event.
    rest: Vec<u8>,
    /// Where the line begins that is not whole.
    line: usize,
}

/// One event, or comments between events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// As it came, with the blank line that ends it.
    pub(crate) raw: Bytes,
    /// Its data, if it has any.
    pub(crate) data: Option<String>,
}

impl Splitter {
    /// Takes in more; answers the events that are whole by now.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Block> {
        let mut looked_at = self.rest.len();
        self.rest.extend_from_slice(bytes);
        let (mut blocks, mut start) = (Vec::new(), 0);
        while let Some(end) = self.end_of_line(looked_at) {
            let line = self.rest.get(self.line..end).unwrap_or_default();
            let is_blank = line == b"\n" || line == b"\r\n";
            (self.line, looked_at) = (end, end);
            if is_blank {
                let raw = self.rest.get(start..end).unwrap_or_default();
                blocks.push(Block { raw: Bytes::copy_from_slice(raw), data: data(raw) });
                start = end;
            }
        }
        self.rest.drain(..start);
        self.line -= start;
        blocks
    }

    /// What is left at the end: an event that nobody ended with a blank line.
    pub(crate) fn finish(self) -> Option<Block> {
        let data = data(&self.rest);
        let ended = |mut raw: Vec<u8>| {
            raw.extend_from_slice(b"\n\n");
            Bytes::from(raw)
        };
        data.is_some().then(|| Block { raw: ended(self.rest), data })
    }

    /// How much was read and is not a whole event, in bytes.
    pub(crate) fn waiting(&self) -> usize {
        self.rest.len()
    }

    /// Where the first line ends that ends at or after `from`.
    fn end_of_line(&self, from: usize) -> Option<usize> {
        let found = self.rest.get(from..)?.iter().position(|byte| *byte == b'\n')?;
        Some(from + found + 1)
    }
}

/// The data of an event.
fn data(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let mut lines = text.lines().filter_map(|line| {
        let data =
            line.strip_prefix("data").filter(|rest| rest.is_empty() || rest.starts_with(':'))?;
        let data = data.strip_prefix(':').unwrap_or(data);
        Some(data.strip_prefix(' ').unwrap_or(data))
    });
    let first = lines.next()?.to_owned();
    Some(lines.fold(first, |all, line| all + "\n" + line))
}

/// An event of our own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frame<'a> {
    /// A line that clients skip, and people read.
    pub(crate) comment: Option<&'a str>,
    /// What it is, if it is no chunk.
    pub(crate) event: Option<&'a str>,
    /// Where to come back to.
    pub(crate) id: Option<&'a str>,
    /// What it says; without it, there is only the comment.
    pub(crate) data: Option<&'a str>,
}

impl Frame<'_> {
    /// As it is written.
    pub(crate) fn write(self) -> Bytes {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            text.push_str(name);
            text.push_str(value);
            text.push('\n');
        };
        if let Some(comment) = self.comment {
            line(": ", comment);
        }
        if let Some(event) = self.event {
            line("event: ", event);
        }
        if let Some(id) = self.id {
            line("id: ", id);
        }
        if let Some(data) = self.data {
            // A carriage return would end a line as well.
            for part in data.split(['\n', '\r']) {
                line("data: ", part);
            }
        }
        text.push('\n');
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b": hi\n\ndata: {\"a\":1}\n\nevent: x\r\ndata:b\r\ndata\r\n\r\ndata: [DONE]\n\nda";

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        for cut in 1..STREAM.len() {
            let mut splitter = Splitter::default();
            let blocks: Vec<_> =
                STREAM.chunks(cut).flat_map(|bytes| splitter.feed(bytes)).collect();
            let data: Vec<_> = blocks.iter().map(|block| block.data.as_deref()).collect();
            assert_eq!(data, [None, Some("{\"a\":1}"), Some("b\n"), Some("[DONE]")], "{cut}");
            let raw: Vec<u8> = blocks.iter().flat_map(|block| block.raw.to_vec()).collect();
            assert_eq!(raw, STREAM[..STREAM.len() - 2]);
            assert_eq!(splitter.waiting(), 2);
        }
    }

    #[test]
    fn an_event_that_nobody_ended_is_found_at_the_end() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.feed(b"data: [DONE]"), []);
        assert_eq!(splitter.finish().unwrap().data.as_deref(), Some("[DONE]"));
        assert_eq!(Splitter::default().finish(), None);
    }

    #[test]
    fn what_is_written_reads_back() {
        let frame = Frame { id: Some("1-2-3"), data: Some("a\nb"), ..Frame::default() };
        let written = frame.write();
        assert_eq!(&written[..], b"id: 1-2-3\ndata: a\ndata: b\n\n");
        assert_eq!(data(&written).as_deref(), Some("a\nb"));
        let comment = Frame { comment: Some("hi"), ..Frame::default() };
        assert_eq!(&comment.write()[..], b": hi\n\n");
    }
}

//! HTTP/1.1 as far as both ends of a bench need it: a message is a head with a `content-length`, and that much.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One end of a connection that is kept open.
pub(crate) struct Wire {
    socket: TcpStream,
    read: Vec<u8>,
}

/// Where a message ends, and where its body begins.
struct Extent {
    body: usize,
    end: usize,
}

impl Wire {
    pub(crate) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket, read: Vec::with_capacity(8 << 10) })
    }

    pub(crate) async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.socket.write_all(message).await
    }

    /// The next message, as its head and its body; none at the end.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<(String, Vec<u8>)>> {
        let Some(Extent { body, end }) = self.whole().await? else { return Ok(None) };
        let head = String::from_utf8_lossy(&self.read[..body]).into_owned();
        let content = self.read[body..end].to_vec();
        self.read.drain(..end);
        Ok(Some((head, content)))
    }

    /// Whether there is one more message, whose head begins with `start`; it is thrown away.
    pub(crate) async fn expect(&mut self, start: &[u8]) -> io::Result<bool> {
        let Some(Extent { end, .. }) = self.whole().await? else { return Ok(false) };
        if !self.read.starts_with(start) {
            let told = String::from_utf8_lossy(&self.read[..end]).into_owned();
            return Err(io::Error::other(told));
        }
        self.read.drain(..end);
        Ok(true)
    }

    /// Reads until a message is there.
    async fn whole(&mut self) -> io::Result<Option<Extent>> {
        loop {
            if let Some(extent) = extent(&self.read) {
                if self.read.len() >= extent.end {
                    return Ok(Some(extent));
                }
            }
            if self.socket.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// Where a message ends whose head is there.
fn extent(read: &[u8]) -> Option<Extent> {
    let body = read.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let name = b"\r\ncontent-length:";
    let head = &read[..body];
    let found = head.windows(name.len()).position(|it| it.eq_ignore_ascii_case(name));
    let length = found.map_or(0, |at| {
        let value = head[at + name.len()..].iter().skip_while(|byte| **byte == b' ');
        value
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0, |all, byte| all * 10 + usize::from(byte - b'0'))
    });
    Some(Extent { body, end: body + length })
}

//! The upstream: it answers everything at once with the same completion. In a thread of its own.

use std::io;

use tokio::net::{TcpListener, TcpStream};

use crate::wire::Wire;

/// How much it says.
const WORDS: usize = 80;

/// Starts it; answers where it listens.
pub(crate) fn start() -> io::Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime for the upstream");
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, accept(listener)).expect("the upstream goes on");
    });
    Ok(url)
}

async fn accept(listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let answer: &'static [u8] = Box::leak(answer().into_boxed_slice());
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::task::spawn_local(async move {
            // Whoever closes a connection is done with it.
            drop(serve(socket, answer).await);
        });
    }
}

async fn serve(socket: TcpStream, answer: &[u8]) -> io::Result<()> {
    let mut wire = Wire::new(socket)?;
    while wire.expect(b"POST /v1/chat/completions ").await? {
        wire.send(answer).await?;
    }
    Ok(())
}

fn answer() -> Vec<u8> {
    let content = vec!["word"; WORDS].join(" ");
    let body = format!(
        "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\
         \"finish_reason\":\"stop\",\"message\":{{\"role\":\"assistant\",\"content\":\"{content}\"}}}}],\
         \"usage\":{{\"prompt_tokens\":40,\"completion_tokens\":{WORDS},\"total_tokens\":120}}}}"
    );
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

//! The clients: connections that stay open, each with a turn after the other.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::side::Side;

/// Clock ticks a second, as Linux counts a process's time.
const TICKS: f64 = 100.0;

/// What a round of one side has found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The median of a chat on one connection.
    pub(crate) one: Duration,
    /// Turns a second on many.
    pub(crate) rate: f64,
    /// Processor time of the server a turn, on many.
    pub(crate) cpu: Duration,
    /// How many turns there were.
    pub(crate) turns: usize,
}

/// One round: `turns` chats on one connection, then chats on `connections` for so long.
pub(crate) async fn round(
    side: &Rc<Side>,
    turns: usize,
    connections: usize,
    lasts: Duration,
) -> io::Result<Found> {
    let (one, first) = one(side, turns).await?;
    let (ticks, began) = (side.ticks(), Instant::now());
    let until = began + lasts;
    let mut tasks = JoinSet::new();
    for at in 0..connections {
        let side = side.clone();
        tasks.spawn_local(async move { many(&side, at, connections, until).await });
    }
    let mut done = 0;
    while let Some(ended) = tasks.join_next().await {
        done += ended.map_err(io::Error::other)??;
    }
    let took = began.elapsed().as_secs_f64();
    let cpu = (side.ticks() - ticks) as f64 / TICKS / done as f64;
    let rate = done as f64 / took;
    Ok(Found { one, rate, cpu: Duration::from_secs_f64(cpu), turns: first + done })
}

/// Chats on one connection; answers the median, and how many there were.
async fn one(side: &Side, turns: usize) -> io::Result<(Duration, usize)> {
    let mut wire = side.connect().await?;
    let mut took = Vec::with_capacity(turns);
    let warm = turns / 10;
    for turn in 0..warm + turns {
        let began = Instant::now();
        wire.send(side.chat(0, 1, turn)).await?;
        if !wire.expect(b"HTTP/1.1 200 ").await? {
            return Err(io::Error::other(format!("{}: closed", side.name)));
        }
        if turn >= warm {
            took.push(began.elapsed());
        }
    }
    took.sort_unstable();
    Ok((took[took.len() / 2], warm + turns))
}

/// Chats on one of many connections; answers how many there were.
async fn many(side: &Side, at: usize, of: usize, until: Instant) -> io::Result<usize> {
    let mut wire = side.connect().await?;
    let mut done = 0;
    while Instant::now() < until {
        wire.send(side.chat(at, of, done)).await?;
        if !wire.expect(b"HTTP/1.1 200 ").await? {
            return Err(io::Error::other(format!("{}: closed", side.name)));
        }
        done += 1;
    }
    Ok(done)
}

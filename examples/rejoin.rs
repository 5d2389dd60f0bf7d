//! A reader that drops out three times in the middle of a reply, and misses nothing.
//!
//! Run it:
//!
//! ```text
//! cargo run --example rejoin
//! ```
//!
//! You will see the reply arrive in four stretches, with the token that the reader kept in between
//! (all that a browser or a telephone has to keep), and at the end the proof: every number once, in
//! order, and the text as it was said. Then what an old token gets when its place is not kept any
//! more: not silence, but how much is gone and where to go on.
#![allow(clippy::print_stdout, reason = "it shows something")]
#![allow(clippy::wildcard_enum_match_arm, reason = "enums of another crate may grow")]

use session_supervisor::{
    BusyPolicy, ChatMessage, Config, Cursor, Event, SessionKey, Supervisor, Turn,
};

const REPLY: &str = "A line may break where it will. What was said is kept for whoever comes back, \
                     and what is said next comes after it, with no gap and nothing twice.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::default();
    config.streams.max_items = 20;
    let supervisor: Supervisor = Supervisor::builder().config(config).start().await?;
    let session = supervisor.open(&SessionKey::builder("web").user("ada").build()?).await?;
    let words: Vec<&str> = REPLY.split_inclusive(' ').collect();

    // The model speaks whether anybody listens or not.
    let input = ChatMessage::user("what if my line breaks?");
    let turn = session.begin(&input, BusyPolicy::Reject).await?;
    let first = turn.subscribe().cursor();
    let (mut numbers, mut text) = (Vec::new(), String::new());
    let mut token = first.to_string();
    for (connection, spoken) in words.chunks(words.len().div_ceil(4)).enumerate() {
        for word in spoken {
            turn.emit(*word)?;
        }
        // The reader is back, with nothing but its token, and reads a part of what there is.
        let mut reader = session.rejoin(token.parse::<Cursor>()?)?;
        let before = text.len();
        for _ in 0..spoken.len() - 1 {
            let Some(Event::Chunk { seq, chunk }) = reader.next().await else { break };
            numbers.push(seq);
            text.push_str(chunk.as_str());
        }
        token = reader.cursor().to_string();
        println!("connection {}: {}", connection + 1, text[before..].trim_end());
        println!("   ... the line breaks; the reader keeps {token}");
    }
    finish(turn).await?;

    // The reply is over; what the reader has not seen is still there.
    let mut reader = session.rejoin(token.parse()?)?;
    while let Some(event) = reader.next().await {
        match event {
            Event::Chunk { seq, chunk } => {
                numbers.push(seq);
                text.push_str(chunk.as_str());
            }
            Event::Ended(outcome) => println!("connection 5: the rest, and the end: {outcome}"),
            other => println!("connection 5: {other:?}"),
        }
    }
    let all: Vec<u64> = (1..=words.len() as u64).collect();
    println!("\nproof: numbers 1 to {} once each, in order: {}", words.len(), numbers == all);
    println!("proof: the text as it was said: {}", text == REPLY);

    // A token from the very start: 20 chunks are kept, the first ones are gone.
    let error = session.rejoin(first).expect_err("its place is gone");
    println!("\nan old token: {error}");
    println!("   go on from {:?}, the transcript is at version {}", error.go_on, error.version);
    supervisor.shutdown(std::time::Duration::from_secs(1)).await?;
    Ok(())
}

/// Commits the whole reply.
async fn finish(turn: Turn) -> Result<(), Box<dyn std::error::Error>> {
    match turn.commit(&ChatMessage::assistant(REPLY)).await {
        Ok(outcome) => println!("   the reply is over: {outcome:?}"),
        Err(error) => return Err(Box::new(error)),
    }
    Ok(())
}

//! A conversation is deleted in the middle of a reply: what everybody who had to do with it gets.
//!
//! ```text
//! cargo run --example delete_mid_turn
//! ```
//!
//! You will see what the delete answers while the reply still runs, and then what the reader of the
//! reply, the one who produces it, the next look-up and the next message get.
#![allow(clippy::print_stdout, reason = "an example talks to people")]
#![allow(clippy::wildcard_enum_match_arm, reason = "enums of another crate may grow")]

use std::error::Error;
use std::time::Duration;

use session_supervisor::{
    BeginError, BusyPolicy, ChatMessage, CommitOutcome, DeleteOutcome, Event, Lookup, Session,
    SessionKey, Subscription, Supervisor, Turn,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let supervisor: Supervisor = Supervisor::builder().start().await?;
    let key = SessionKey::builder("example").user("ada").build()?;
    let session = supervisor.open(&key).await?;

    let turn = session.begin(&ChatMessage::user("forget me"), BusyPolicy::Reject).await?;
    let reader = turn.subscribe();
    turn.emit("As you ")?;

    // The delete waits for the store, never for the reply.
    match supervisor.delete(session.id()).await? {
        DeleteOutcome::Deleted(tombstone) => println!("delete:       {}", tombstone.reason),
        other => println!("delete:       {other:?}"),
    }
    match supervisor.delete(session.id()).await? {
        DeleteOutcome::AlreadyGone(_) => println!("once more:    gone already"),
        other => println!("once more:    {other:?}"),
    }

    look_at_the_reply(turn, reader).await?;
    look_at_the_names(&supervisor, &key, &session).await?;
    supervisor.shutdown(Duration::from_secs(1)).await?;
    Ok(())
}

/// What those get who had to do with the reply.
async fn look_at_the_reply(turn: Turn, mut reader: Subscription) -> Result<(), Box<dyn Error>> {
    // The reader keeps what was said before, and is told how it ended.
    while let Some(event) = reader.next().await {
        match event {
            Event::Chunk { chunk, .. } => println!("reader:       “{chunk}”"),
            Event::Ended(outcome) => println!("reader:       ended, {outcome}"),
            other => println!("reader:       {other:?}"),
        }
    }

    // Whoever produces the reply is told, can say nothing more, and cannot bring anything back.
    if let Err(error) = turn.emit("wish") {
        println!("emit:         refused, {}", error.reason);
    }
    match turn.commit(&ChatMessage::assistant("As you wish")).await? {
        CommitOutcome::Stale { reason } => println!("commit:       stale, {reason}"),
        other => println!("commit:       {other:?}"),
    }
    Ok(())
}

/// What those get who look for the conversation afterwards.
async fn look_at_the_names(
    supervisor: &Supervisor,
    key: &SessionKey,
    session: &Session,
) -> Result<(), Box<dyn Error>> {
    match supervisor.look_up(session.id()).await? {
        Lookup::Gone(tombstone) => println!("look-up:      gone, {}", tombstone.reason),
        Lookup::Live(_) => println!("look-up:      live"),
        Lookup::Unknown => println!("look-up:      unknown"),
    }
    match session.begin(&ChatMessage::user("hello?"), BusyPolicy::Reject).await {
        Err(BeginError::Gone { .. }) => println!("old handle:   gone"),
        other => println!("old handle:   {other:?}"),
    }

    // The key is free: whoever writes next gets a conversation that knows nothing of the old one.
    let fresh = supervisor.open(key).await?;
    let (same, entries) = (fresh.id() == session.id(), fresh.transcript().await?.len());
    println!("the key:      opens another session: {}, with {entries} entries", !same);
    Ok(())
}
